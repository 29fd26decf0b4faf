// Package oneline shows texts of others in one line: shortened, and without what moves the
// cursor of a terminal.
package oneline

import (
	"strconv"
	"strings"
	"unicode"
)

// Text shows a text of at most limit bytes. What is no text becomes U+FFFD, and what cannot
// be printed a space.
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

// Quoted shows an input as it is, escaped and shortened.
func Quoted(text string) string {
	if len(text) > 100 {
		return strconv.Quote(text[:100]) + "…"
	}
	return strconv.Quote(text)
}
