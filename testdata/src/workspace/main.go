// Command workspace uses another module of its workspace: -trimpath names the files there by import path alone.
package main

import (
	"fmt"

	"example.com/lib/shout"
)

func main() {
	fmt.Println(shout.Loud("hello"))
}
