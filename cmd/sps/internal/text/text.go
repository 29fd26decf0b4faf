// Package text makes texts of an appliance fit to print.
package text

import (
	"strings"
	"unicode"
)

// Lines keeps line breaks and visible characters of a text, so that it cannot move
// the cursor of a terminal or colour it.
func Lines(text string) string {
	return strings.Map(func(r rune) rune {
		switch {
		case r == '\t':
			return ' '
		case r == '\n', unicode.IsGraphic(r):
			return r
		}
		return -1
	}, text)
}

// Line is Lines for a text that has to stay on one line.
func Line(text string) string { return strings.ReplaceAll(Lines(text), "\n", " ") }

// MaxCell is how many characters of a text a table shows.
const MaxCell = 200

// Cell is Line for a text in a table: a long one is cut.
func Cell(text string) string {
	text = Line(text)
	if len(text) <= MaxCell {
		return text
	}
	count := 0
	for i := range text {
		if count++; count == MaxCell {
			return text[:i] + "…"
		}
	}
	return text
}

// Indent puts a text below another one, each of its lines indented.
func Indent(text string) string {
	var indented strings.Builder
	for row := range strings.Lines(Lines(text)) {
		indented.WriteString(strings.TrimRight("    "+row, " \n") + "\n")
	}
	return indented.String()
}

// OrDash is the text, or a dash for none.
func OrDash(text string) string {
	if text == "" {
		return "-"
	}
	return text
}
