package main

import (
	"encoding/json"
	"fmt"
	"io"

	"github.com/go-sps/sps/examples/internal/cli"
)

// The exit statuses.
const (
	exitOK     = 0 // the new version runs, or the dry run passed
	exitFailed = 1 // the firmware test failed
	exitError  = 2 // anything else
)

func (r result) exitStatus() int {
	switch r.Status {
	case upgraded, tested:
		return exitOK
	case failed:
		return exitFailed
	}
	return exitError
}

// printJSON prints one object. Every member is always there, "" where it does not
// apply.
func printJSON(w io.Writer, r result) error {
	encoder := json.NewEncoder(w)
	encoder.SetEscapeHTML(false)
	encoder.SetIndent("", "  ")
	return encoder.Encode(r)
}

// printText prints what became of the appliance, and what is left on it.
func printText(w io.Writer, r result) error {
	var text string
	switch r.Status {
	case upgraded:
		text = fmt.Sprintf("upgraded from %s to %s, which is in slot %s.\n", r.From, r.To, r.Slot)
	case tested:
		text = fmt.Sprintf("%s in slot %s passed the firmware test.\n", r.To, r.Slot)
	case failed:
		text = fmt.Sprintf("%s in slot %s failed the firmware test.\n%s", r.To, r.Slot, cli.Indent(r.Summary))
	default:
		text = fmt.Sprintf("stopped at %s: %s.\n", r.Step, r.Error)
	}
	if r.Left != "" {
		text += "What is left: " + r.Left + ".\n"
	}
	_, err := fmt.Fprintf(w, "%s: %s", r.Appliance, text)
	return err
}
