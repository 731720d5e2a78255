// Package words joins words.
package words

// Join puts blanks between words.  It has a loop, so that it is not inlined and has a file of its own.
//
//go:noinline
func Join(words []string) string {
	joined := ""
	for i, word := range words {
		if i > 0 {
			joined += " "
		}
		joined += word
	}
	return joined
}
