// Package text makes text from an appliance safe to print on a terminal.
package text

import (
	"strings"
	"unicode"
)

// Lines removes the characters of a text that are not visible, except for line breaks. A tab
// becomes a space. The result cannot move the cursor of a terminal or change its colours.
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

// Line is like Lines, and also replaces line breaks by spaces.
func Line(text string) string { return strings.ReplaceAll(Lines(text), "\n", " ") }

// MaxCell is the maximum number of characters in a cell of a table.
const MaxCell = 200

// Cell is like Line, and also shortens the text to MaxCell characters.
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

// Indent indents each line of a text, for printing it below a row of a table.
func Indent(text string) string {
	var indented strings.Builder
	for row := range strings.Lines(Lines(text)) {
		indented.WriteString(strings.TrimRight("    "+row, " \n") + "\n")
	}
	return indented.String()
}

// OrDash returns the text, or "-" if it is empty.
func OrDash(text string) string {
	if text == "" {
		return "-"
	}
	return text
}
