// Command prof burns CPU time under a profile, or panics: what can be told of either depends on how it was linked.
package main

import (
	"fmt"
	"os"
	"runtime/pprof"
	"time"
)

//go:noinline
func burn(rounds int) uint64 {
	sum := uint64(1)
	for i := 0; i < rounds; i++ {
		sum = sum*6364136223846793005 + 1442695040888963407
	}
	return sum
}

//go:noinline
func fail(reason string) {
	panic(reason)
}

func profile(path string) error {
	out, err := os.Create(path)
	if err != nil {
		return err
	}
	defer out.Close()
	if err := pprof.StartCPUProfile(out); err != nil {
		return err
	}
	defer pprof.StopCPUProfile()
	for end := time.Now().Add(400 * time.Millisecond); time.Now().Before(end); {
		burn(1 << 20)
	}
	return nil
}

func main() {
	if len(os.Args) < 2 {
		fail("on demand")
	}
	if err := profile(os.Args[1]); err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
}
