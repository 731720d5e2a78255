// Command frames prints what the runtime makes of addresses in its own code: one line per address of standard input,
// the address and, for each of runtime.CallersFrames' frames, innermost first, function, file and line.
//
// The rest of it is here to be compiled: inlining in several steps, generics, closures, deferred calls, wrappers.
package main

import (
	"bufio"
	"encoding/json"
	"fmt"
	"os"
	"runtime"
	_ "runtime/pprof"
	"sort"
	"strconv"
	"strings"
	_ "unsafe"
)

// expand adds the frames around the last address of a stack, as runtime/pprof does before it asks for names.
//
//go:linkname expand runtime/pprof.runtime_expandFinalInlineFrame
func expand(stack []uintptr) []uintptr

type shape interface{ area() int }
type square struct{ side int }
type framed struct {
	square
	label string
}

func (s square) area() int { return times(s.side, s.side) }

func times(a, b int) int { return clip(a) * clip(b) }

func clip(a int) int {
	if a > limit {
		return limit
	}
	return a
}

func largest[T any](all []T, weight func(T) int) (found T) {
	for i, one := range all {
		if i == 0 || weight(one) > weight(found) {
			found = one
		}
	}
	return found
}

var limit = 1 << 20

func measure(all []shape) (sum int, err error) {
	defer func() {
		if r := recover(); r != nil {
			err = fmt.Errorf("measure: %v", r)
		}
	}()
	for _, one := range all {
		sum += one.area()
	}
	sort.Slice(all, func(i, j int) bool { return all[i].area() < all[j].area() })
	return sum / largest(all, shape.area).area(), nil
}

func main() {
	shapes := []shape{square{len(os.Args)}, &framed{square{2}, "two"}}
	if _, err := measure(shapes); err != nil {
		fmt.Fprintln(os.Stderr, err)
	}
	if text, err := json.Marshal(strings.Fields("a b")); err != nil || len(text) == 0 {
		os.Exit(1)
	}
	out := bufio.NewWriter(os.Stdout)
	defer out.Flush()
	for in := bufio.NewScanner(os.Stdin); in.Scan(); {
		pc, err := strconv.ParseUint(in.Text(), 0, 64)
		if err != nil {
			fmt.Fprintln(os.Stderr, err)
			os.Exit(1)
		}
		// Callers gives return addresses, one past an instruction's first byte at least; so is asked for them.
		frames := runtime.CallersFrames(expand([]uintptr{uintptr(pc) + 1}))
		fmt.Fprintf(out, "%#x", pc)
		for more := true; more; {
			var frame runtime.Frame
			frame, more = frames.Next()
			fmt.Fprintf(out, "\t%s\t%s\t%d", frame.Function, frame.File, frame.Line)
		}
		fmt.Fprintln(out)
	}
}
