// Command app is a service of ordinary size: HTTP, gRPC, logging and SQL, each really called.
package main

import (
	"flag"
	"net"
	"net/http"
	"os"

	"github.com/gin-gonic/gin"
	"github.com/rs/zerolog"
	"google.golang.org/grpc"
	"google.golang.org/grpc/health"
	healthpb "google.golang.org/grpc/health/grpc_health_v1"
	"google.golang.org/grpc/reflection"

	"example.com/app/internal/store"
)

type server struct {
	log   zerolog.Logger
	users *store.Users
}

func (s *server) listUsers(c *gin.Context) {
	users, err := s.users.List(c.Request.Context(), c.Query("name"))
	if err != nil {
		s.log.Error().Err(err).Msg("list users")
		c.JSON(http.StatusInternalServerError, gin.H{"error": err.Error()})
		return
	}
	c.JSON(http.StatusOK, users)
}

func (s *server) routes() http.Handler {
	router := gin.New()
	router.Use(gin.Recovery())
	router.GET("/users", s.listUsers)
	return router
}

func (s *server) serveGRPC(address string) error {
	listener, err := net.Listen("tcp", address)
	if err != nil {
		return err
	}
	rpc := grpc.NewServer()
	healthpb.RegisterHealthServer(rpc, health.NewServer())
	reflection.Register(rpc)
	return rpc.Serve(listener)
}

func main() {
	httpAddress := flag.String("http", "127.0.0.1:8080", "address of the HTTP server")
	rpcAddress := flag.String("grpc", "127.0.0.1:9090", "address of the gRPC server")
	check := flag.Bool("check", false, "query the store once and exit")
	flag.Parse()

	log := zerolog.New(os.Stderr).With().Timestamp().Str("service", "app").Logger()
	users, err := store.Open()
	if err != nil {
		log.Fatal().Err(err).Msg("open store")
	}
	s := &server{log: log, users: users}
	if *check {
		found, err := s.users.First("alice")
		log.Info().Err(err).Interface("user", found).Msg("checked")
		return
	}
	go func() {
		log.Fatal().Err(s.serveGRPC(*rpcAddress)).Msg("grpc")
	}()
	log.Fatal().Err(http.ListenAndServe(*httpAddress, s.routes())).Msg("http")
}
