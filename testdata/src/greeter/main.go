// Command greeter greets with a proverb.
package main

import (
	"fmt"
	"os"

	"rsc.io/quote"
)

type greeter struct {
	greeting string
	proverb  func() string
}

func (g greeter) greet(name string) string {
	return fmt.Sprintf("%s, %s! %s", g.greeting, name, g.proverb())
}

func names(arguments []string) []string {
	if len(arguments) == 0 {
		return []string{"world"}
	}
	return arguments
}

func main() {
	g := greeter{greeting: "Hello", proverb: quote.Go}
	for _, name := range names(os.Args[1:]) {
		fmt.Println(g.greet(name))
	}
}
