// Command http answers one request to itself: a program of medium size that needs the standard library alone.
package main

import (
	"encoding/json"
	"fmt"
	"net/http"
	"net/http/httptest"
	"runtime"
)

type answer struct {
	Path string `json:"path"`
	Root bool   `json:"root"`
}

func handle(w http.ResponseWriter, r *http.Request) {
	// runtime.GOROOT keeps the linker's default for it in the program.
	_ = json.NewEncoder(w).Encode(answer{r.URL.Path, runtime.GOROOT() != ""})
}

func main() {
	recorder := httptest.NewRecorder()
	handle(recorder, httptest.NewRequest(http.MethodGet, "/answer", nil))
	fmt.Print(recorder.Body.String())
}
