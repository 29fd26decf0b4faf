package cli

import (
	"io"
	"log"
	"os"
	"strings"
	"unicode"
)

// Lines makes a text of the appliance fit to print: nothing but line breaks and
// visible characters, so that it cannot drive the terminal.
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

// Line is Lines for a text that has to stay on one.
func Line(text string) string { return strings.ReplaceAll(Lines(text), "\n", " ") }

// Indent puts a text below another one, each of its lines indented.
func Indent(text string) string {
	var indented strings.Builder
	for row := range strings.Lines(text) {
		indented.WriteString(strings.TrimRight("    "+row, " \n") + "\n")
	}
	return indented.String()
}

// Progress logs to standard error where that is a terminal, and else nowhere.
func Progress(stderr io.Writer) *log.Logger {
	if !isTerminal(stderr) {
		stderr = io.Discard
	}
	return log.New(stderr, "", 0)
}

// isTerminal reports whether people watch what is written to w.
func isTerminal(w io.Writer) bool {
	file, ok := w.(*os.File)
	if !ok {
		return false
	}
	info, err := file.Stat()
	return err == nil && info.Mode()&os.ModeCharDevice != 0
}
