package main

import (
	"encoding/json"
	"fmt"
	"io"
	"strings"
	"text/tabwriter"

	"github.com/go-sps/sps/examples/internal/cli"
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

// printers print the results in the formats of -output.
var printers = map[string]func(io.Writer, []result) error{
	"text":  printText,
	"json":  printJSON,
	"jsonl": printJSONLines,
	"junit": printJUnit,
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

// printJSONLines prints each result as one line.
func printJSONLines(w io.Writer, results []result) error {
	encoder := json.NewEncoder(w)
	encoder.SetEscapeHTML(false)
	for _, r := range results {
		if err := encoder.Encode(r); err != nil {
			return err
		}
	}
	return nil
}

// printText prints a table, and below each failed test its summary, as below those of
// which the table has not all.
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
		if i >= 0 && results[i].below() {
			text.WriteString(cli.Indent(results[i].Summary))
		}
		i++
	}
	_, err := io.WriteString(w, text.String())
	return err
}

// maxSummary is how much the table shows of a summary.
const maxSummary = 100

// inOne is the summary of a test in one line.
func (r result) inOne() string {
	return strings.Join(strings.FieldsFunc(r.Summary, func(c rune) bool { return c == '\n' }), "; ")
}

// below reports whether the summary stands below the row.
func (r result) below() bool {
	return r.Status == failed && r.Summary != "" || r.Status == passed && len(r.inOne()) > maxSummary
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
	case r.below():
		return "see below"
	}
	return r.inOne() // whoever reads the verdict sees what the appliance said
}

func orDash(text string) string {
	if text == "" {
		return "-"
	}
	return text
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
