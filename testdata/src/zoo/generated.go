package main

//line /home/alice/secret/gen.go:1
//go:noinline
func generated(n int) int {
	if n > 1000 {
		panic("too many arguments")
	}
	return n * n
}
