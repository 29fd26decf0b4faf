// Package oneline prints external texts in one line: shortened, and without characters
// that move the cursor of a terminal.
package oneline

import (
	"strconv"
	"strings"
	"unicode"
)

// Text returns a text in one line of at most limit bytes. Invalid UTF-8 becomes U+FFFD,
// and unprintable characters become spaces.
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

// Quoted returns an input escaped and shortened.
func Quoted(text string) string {
	if len(text) > 100 {
		return strconv.Quote(text[:100]) + "…"
	}
	return strconv.Quote(text)
}
