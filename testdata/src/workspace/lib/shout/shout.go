// Package shout makes words loud.
package shout

import "strings"

// Loud is a word in capitals.
//
//go:noinline
func Loud(word string) string {
	return strings.ToUpper(word) + "!"
}
