package main

import (
	"crypto/sha256"
	"fmt"
	"io"
	"strings"
	"unicode/utf8"

	"github.com/go-sps/sps/examples/internal/cli"
	"github.com/go-sps/sps/examples/internal/export"
)

// printers print the result in the formats of -output.
var printers = map[string]func(io.Writer, *result) error{
	"text": printText,
	"json": printJSON,
}

// printJSON prints one line per difference.
func printJSON(w io.Writer, r *result) error {
	for _, d := range r.differences {
		line, err := export.Encode(d, "")
		if err != nil {
			return err
		}
		if _, err := w.Write(line); err != nil {
			return err
		}
	}
	return nil
}

// printText prints both sides, a line per difference, and how many there are.
func printText(w io.Writer, r *result) error {
	var text strings.Builder
	for i, side := range r.sides {
		fmt.Fprintf(&text, "%s %s, firmware %s\n", []string{"---", "+++"}[i], cli.Line(side.Host), cli.Line(side.Version))
	}
	for _, d := range r.differences {
		text.WriteString(cli.Line(d.String()) + "\n")
	}
	switch n := len(r.differences); n {
	case 0:
		text.WriteString("No difference.\n")
	case 1:
		text.WriteString("1 difference.\n")
	default:
		fmt.Fprintf(&text, "%d differences.\n", n)
	}
	if len(r.unread) > 0 {
		fmt.Fprintf(&text, "Not compared, because no appliance shows it: %s.\n", cli.Line(strings.Join(r.unread, ", ")))
	}
	if r.unresolved > 0 {
		fmt.Fprintf(&text, "References not compared, because what they refer to is in neither configuration: %d.\n", r.unresolved)
	}
	_, err := io.WriteString(w, text.String())
	return err
}

// String is the line of a difference.
func (d difference) String() string {
	place, whole := d.path(), len(d.member) == 0
	if !whole {
		place += "#" + d.Member
	}
	if d.Name != "" {
		place += fmt.Sprintf(" (%s)", encode(d.Name))
	}
	switch {
	case d.Change == reordered:
		return place + ": in another order"
	case whole && (d.Left == "" || d.Right == ""):
		return place + ": " + d.Change
	case d.Hidden && d.Change == changed:
		return place + ": differs, not shown"
	case d.Hidden:
		return place + ": " + d.Change + ", not shown"
	case d.Change == removed:
		return place + ": " + short(d.Old) + " -> (none)"
	case d.Change == added:
		return place + ": (none) -> " + short(d.New)
	}
	return place + ": " + short(d.Old) + " -> " + short(d.New)
}

// short shortens a long value, and tells it from others that begin like it.
func short(value []byte) string {
	const most = 160
	if len(value) <= most {
		return string(value)
	}
	cut := most / 2
	for !utf8.RuneStart(value[cut]) {
		cut--
	}
	return fmt.Sprintf("%s… (%d bytes, SHA-256 %.8x)", value[:cut], len(value), sha256.Sum256(value))
}
