// Command vendored takes a module from its vendor directory: -trimpath names the files there by module and version.
package main

import (
	"fmt"

	"example.com/Greet/words"
)

func main() {
	fmt.Println(words.Join([]string{"hello", "from", "vendor"}))
}
