// Command inlined has copies of inlined functions that can be counted by reading it: 8 of leaf, 2 of outer.
// Every pinned release of Go must build it.
package main

import "os"

var total int
var cells [16]int

// leaf is inlined wherever it is called: once in main, three times in direct, twice in each copy of outer.
// It writes where another copy may have written, so that no optimisation can make one of two, or none.
func leaf(x int) int {
	cells[x&15] += x
	return x
}

// outer is inlined into nested, and holds two copies of leaf each time.
func outer(x int) int { return leaf(x) - leaf(x*x) }

// unused is linked nowhere, so that its copies are none.
func unused(x int) int { return leaf(x) + outer(x) }

//go:noinline
func direct(n int) int { return leaf(n) ^ leaf(n*5) ^ leaf(n*n) }

//go:noinline
func nested(n int) int { return outer(n) ^ outer(n*7) }

//go:noinline
func sink(x int) { total += x }

func main() {
	n := len(os.Args)
	sink(direct(n))
	sink(nested(n))
	sink(leaf(n))
}
