// Command cgo mixes Go with C from an inline preamble, C from a file and the resolver of package net.
package main

/*
static int twice(int n) { return n + n; }
int answer(int seed);
*/
import "C"

import (
	"fmt"
	"net"
	"os"
)

func main() {
	fmt.Println(int(C.twice(C.int(len(os.Args)))), int(C.answer(2)))
	addresses, err := net.LookupHost("localhost")
	fmt.Println(len(addresses) > 0, err)
}
