// Package local is required through a replace directive, which build information records.
package local

// Describe must not be inlined away, or no file of this module would be named in the executable.
//
//go:noinline
func Describe(items []string) int {
	total := 0
	for _, item := range items {
		total += len(item)
	}
	return total
}
