"""Packages ranked by an independent truth: build the app without a dependency and see what that really saves."""

from __future__ import annotations

import shutil
import subprocess
from pathlib import Path

import builds
import pytest

import goforensics
from goforensics.bytemap import ByteMap

GO = "1.27"
IMPORTS = """	"google.golang.org/grpc"
	"google.golang.org/grpc/health"
	healthpb "google.golang.org/grpc/health/grpc_health_v1"
	"google.golang.org/grpc/reflection"
"""
SERVE = """	rpc := grpc.NewServer()
	healthpb.RegisterHealthServer(rpc, health.NewServer())
	reflection.Register(rpc)
	return rpc.Serve(listener)"""
LOG = 'zerolog.New(os.Stderr).With().Timestamp().Str("service", "app").Logger()'
GIN = """	router := gin.New()
	router.Use(gin.Recovery())
	router.GET("/users", s.listUsers)
	return router"""
WITHOUT_GIN = (
    ('	"github.com/gin-gonic/gin"\n', ""),
    ("listUsers(c *gin.Context)", "listUsers(w http.ResponseWriter, r *http.Request)"),
    ('c.Request.Context(), c.Query("name")', 'r.Context(), r.URL.Query().Get("name")'),
    ('c.JSON(http.StatusInternalServerError, gin.H{"error": err.Error()})', "http.Error(w, err.Error(), 500)"),
    ("	c.JSON(http.StatusOK, users)\n", "	_ = users\n"),
    (GIN, '	router := http.NewServeMux()\n	router.HandleFunc("/users", s.listUsers)\n	return router'),
)
WITHOUT_GRPC = ((IMPORTS, ""), (SERVE, "	return listener.Close()"))

pytestmark = pytest.mark.builds


def build(place: Path, edits: tuple[tuple[str, str], ...]) -> ByteMap:
    """The map of the app with some of its source replaced."""
    shutil.copytree(builds.SOURCES / "app", place)
    main = (place / "main.go").read_text()
    for old, new in edits:
        assert old in main
        main = main.replace(old, new)
    (place / "main.go").write_text(main)
    command = [str(builds.go_command(GO)), "build", "-mod=mod", "-buildvcs=false", "-trimpath", builds.STRIP]
    environment = builds._environment(builds.Build("app", GO))
    subprocess.run([*command, "-o", "out", "."], cwd=place, env=environment, check=True, capture_output=True)
    return goforensics.bytemap_of(goforensics.open(place / "out"))


def costs(found: ByteMap, *by: str) -> dict[tuple[str, ...], int]:
    """Apportioned bytes."""
    total: dict[tuple[str, ...], int] = {}
    for row in found.group(by, apportioned=True):
        total[row.path] = total.get(row.path, 0) + row.bytes
    return total


@pytest.fixture(scope="module")
def whole(tmp_path_factory: pytest.TempPathFactory) -> ByteMap:
    return build(tmp_path_factory.mktemp("whole") / "app", ())


@pytest.mark.parametrize(
    ("edits", "gone", "share"),
    # Without gRPC the linker drops methods everywhere, for nothing calls them by name any more:
    # less than half of what is saved was in the packages that left.
    [(WITHOUT_GIN, "github.com/gin-gonic/gin", 0.85), (WITHOUT_GRPC, "google.golang.org/grpc", 0.35)],
)
def test_what_a_dependency_costs(
    whole: ByteMap, tmp_path: Path, edits: tuple[tuple[str, str], ...], gone: str, share: float
) -> None:
    rest = build(tmp_path / "app", edits)
    saved = whole.size - rest.size
    before, after = costs(whole, "package"), costs(rest, "package")
    left = {path for path in before if path not in after}
    assert (gone,) in left
    cost = sum(before[path] for path in left)
    assert share * saved < cost <= saved
    # The rest was saved in packages that stayed: of functions that nothing calls any more, and what belongs to them.
    functions, still = costs(whole, "package", "symbol"), costs(rest, "package", "symbol")
    dead = sum(size for path, size in functions.items() if path not in still and (path[0],) in after)
    print(f"saved {saved}, in packages that left {cost}, in functions of others that left {dead}")
    assert abs(cost + dead - saved) <= saved * 0.1
