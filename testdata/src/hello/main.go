// Command hello is the smallest program worth analysing. Every pinned release of Go must build it.
package main

import "fmt"

var version = "dev"

func main() {
	fmt.Println("hello", version)
}
