// Package oneline shortens texts from outside of the program, and puts them in one line
// without characters that move the cursor of a terminal.
package oneline

import (
	"strconv"
	"strings"
	"unicode"
)

// Text returns the first limit bytes of a text in one line, with "…" if it was cut. Invalid
// UTF-8 becomes U+FFFD. White space and unprintable characters become single spaces.
func Text(text string, limit int) string {
	cut := false
	if len(text) > limit {
		text, cut = strings.ToValidUTF8(text[:limit], ""), true
	}
	text = strings.ToValidUTF8(text, "\uFFFD")
	text = strings.Join(strings.FieldsFunc(text, func(r rune) bool {
		return unicode.IsSpace(r) || !unicode.IsPrint(r)
	}), " ")
	if cut {
		text += "…"
	}
	return text
}

// Quoted returns the first 100 bytes of a text as a quoted Go string, with "…" if it was cut.
func Quoted(text string) string {
	if len(text) > 100 {
		return strconv.Quote(text[:100]) + "…"
	}
	return strconv.Quote(text)
}
