// Command zoo holds one specimen of every way that an executable tells where and with what it was built.
// Every secret in it is made up.
package main

import (
	_ "embed"
	"fmt"
	"os"
	"runtime"

	"example.com/local"
)

// Set with -ldflags=-X, as release scripts do.
var token = "unset"

//go:embed data/.env
var environment string

//go:embed data/notes.txt
var notes string

func main() {
	fmt.Println(token, len(environment), len(notes))
	fmt.Println(runtime.GOROOT(), local.Describe(os.Args), generated(len(os.Args)))
	fmt.Println(fromC())
}
