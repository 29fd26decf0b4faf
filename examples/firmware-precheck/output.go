package main

import (
	"encoding/json"
	"fmt"
	"io"
	"os"
	"strings"
	"text/tabwriter"
	"unicode"
)

// The exit statuses. The greater one wins.
const (
	exitOK     = 0 // nothing failed
	exitFailed = 1 // at least one precheck failed
	exitError  = 2 // something could not be carried out
)

func exitStatus(results []result) int {
	status := exitOK
	for _, r := range results {
		switch r.Status {
		case passed, skipped:
		case failed:
			status = max(status, exitFailed)
		default:
			status = exitError
		}
	}
	return status
}

// printJSON prints one object. Every member is always there, null or "" where it
// does not apply.
func printJSON(w io.Writer, results []result) error {
	encoder := json.NewEncoder(w)
	encoder.SetEscapeHTML(false)
	encoder.SetIndent("", "  ")
	return encoder.Encode(struct {
		Results []result `json:"results"`
	}{results})
}

// printText prints a table, and below each failed test its summary.
func printText(w io.Writer, results []result) error {
	var table strings.Builder
	columns := tabwriter.NewWriter(&table, 0, 0, 2, ' ', 0)
	fmt.Fprintln(columns, "APPLIANCE\tSLOT\tVERSION\tSTATUS\tDETAIL")
	for _, r := range results {
		fmt.Fprintf(columns, "%s\t%s\t%s\t%s\t%s\n", r.Appliance, orDash(r.Slot), orDash(r.Version), r.Status, r.detail())
	}
	if err := columns.Flush(); err != nil {
		return err
	}
	// A summary inside the table would end its columns: it is put between the
	// finished rows, of which there is one per result.
	var text strings.Builder
	i := -1 // the header
	for row := range strings.Lines(table.String()) {
		fmt.Fprintln(&text, strings.TrimRight(row, " \n"))
		if i >= 0 && results[i].Status == failed && results[i].Summary != "" {
			for row := range strings.Lines(results[i].Summary) {
				fmt.Fprintln(&text, strings.TrimRight("    "+row, " \n"))
			}
		}
		i++
	}
	_, err := io.WriteString(w, text.String())
	return err
}

// detail is what the table says about a result beside its status.
func (r result) detail() string {
	switch {
	case r.Status == skipped:
		return r.Summary
	case r.Status == errored:
		return r.Error
	case r.Status == failed && r.ExitCode == nil:
		return "exit code unknown"
	case r.Status == failed:
		return fmt.Sprintf("exit code %d", *r.ExitCode)
	}
	return ""
}

func orDash(text string) string {
	if text == "" {
		return "-"
	}
	return text
}

// lines makes a text of the appliance fit to print: nothing but line breaks and
// visible characters, so that it cannot drive the terminal.
func lines(text string) string {
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

// line is lines for a text that has to stay on one.
func line(text string) string { return strings.ReplaceAll(lines(text), "\n", " ") }

// isTerminal tells whether people watch what is written to w.
func isTerminal(w io.Writer) bool {
	file, ok := w.(*os.File)
	if !ok {
		return false
	}
	info, err := file.Stat()
	return err == nil && info.Mode()&os.ModeCharDevice != 0
}

// verdict sums up the results in words.
func verdict(results []result) string {
	var versions []string
	for _, r := range results {
		if r.Status == passed {
			versions = append(versions, r.Version)
		}
	}
	switch exitStatus(results) {
	case exitFailed:
		return "at least one precheck failed; the summary below its row says why"
	case exitError:
		return "not everything could be tested"
	}
	return "the appliance can be upgraded to " + strings.Join(versions, " and to ")
}
