// Package out prints the results of a run: as tables for people, and as JSON, JSON Lines, YAML
// and JUnit XML for programs.
package out

import (
	"bytes"
	"encoding/json"
	"fmt"
	"io"
	"strings"
	"time"
	"unicode"
	"unicode/utf16"
)

// Format is the version of the JSON and YAML. Members may be added within a version.
const Format = 1

// The statuses of an appliance. The exit status of a run is the highest of them.
const (
	OK      = 0 // success
	No      = 1 // the command ran, and its result is negative
	Failed  = 2 // the command could not be carried out, and nothing was applied
	Unknown = 3 // a change was applied in part, or its outcome is unknown
)

// Results has the word for each status. The status is the index.
var Results = [...]string{"done", "no", "error", "unknown"}

// Outcome is the result of a command on one appliance.
type Outcome struct {
	Appliance string   `json:"appliance"`
	Status    int      `json:"status"`
	Result    string   `json:"result"`
	Error     *Problem `json:"error"`
	Data      any      `json:"data"`

	Elapsed time.Duration `json:"-"`
	Report  Report        `json:"-"`
	// Shown is true if the report already contains the error.
	Shown bool `json:"-"`
}

// Problem describes an error.
type Problem struct {
	// Kind is the SDK's kind of the error, or "".
	Kind string `json:"kind"`
	// Type is the error type that the appliance sent, or "".
	Type string `json:"type"`
	// Message is one line that says what went wrong.
	Message string `json:"message"`
	// Advice says what to do about the error. It may be empty.
	Advice string `json:"advice"`
}

// Text returns the message and the advice in one line.
func (p *Problem) Text() string {
	if p.Advice == "" {
		return p.Message
	}
	return p.Message + " (" + p.Advice + ")"
}

// Report is the result of a command on one appliance, for all output formats.
type Report struct {
	// Data is the value for JSON and YAML.
	Data any
	// No is true if the result is negative, so that the status is 1.
	No bool
	// Columns and Rows are a table.
	Columns []string
	Rows    []Row
	// Fields are pairs of a name and a value that describe one object. They are printed one
	// below the other. If there are several appliances, the values become a row of a table.
	Fields [][2]string
	// Text has lines that are printed after the table. They must be safe to print.
	Text string
	// Cases are the test cases for JUnit XML. If there are none, the outcome is the only case.
	Cases []Case
}

// Row is a row of a table. Below has lines that are printed below the row, across all columns.
type Row struct {
	Cells []string
	Below string
}

// The statuses of a Case.
const (
	Passed  = "passed"
	Failure = "failed"
	Errored = "error"
	Skipped = "skipped"
)

// Case is a test case of JUnit XML.
type Case struct {
	Name    string
	Status  string // Passed, Failure, Errored or Skipped
	Type    string // the type attribute of the failure or error
	Message string // the message attribute of the failure or error
	Text    string // the content of the failure, or the output of the case if it passed
	Elapsed time.Duration
}

// Printer prints outcomes in the order of the calls of Print.
type Printer interface {
	Begin() error
	Print(Outcome) error
	End(status int) error
}

// Formats are the names of the formats.
var Formats = []string{"table", "json", "jsonl", "yaml", "junit"}

// Options are the options of a printer.
type Options struct {
	Command    string
	Appliances []string // the names of the appliances whose outcomes will be printed
	Columns    []string // the columns of the table, if they are known before the first outcome
	Width      int      // the columns of the terminal; 0 if the output is not a terminal
	Color      bool
}

// New returns a printer for a format, or nil if there is no such format.
func New(format string, w io.Writer, o Options) Printer {
	switch format {
	case "table":
		return &table{w: w, fleet: len(o.Appliances) > 1, names: o.Appliances, known: o.Columns, width: o.Width, color: o.Color}
	case "json":
		return &jsonDocument{w: w, command: o.Command}
	case "jsonl":
		return &jsonLines{w: w, command: o.Command}
	case "yaml":
		return &yamlDocument{w: w, command: o.Command}
	case "junit":
		return &junit{w: w, command: o.Command}
	}
	return nil
}

// Encode encodes a value as JSON. With a prefix or an indent, each member has its own line.
// Characters that could control a terminal are escaped.
func Encode(value any, prefix, indent string) ([]byte, error) {
	var b bytes.Buffer
	encoder := json.NewEncoder(&b)
	encoder.SetEscapeHTML(false)
	if prefix+indent != "" {
		encoder.SetIndent(prefix, indent)
	}
	if err := encoder.Encode(value); err != nil {
		return nil, err
	}
	return []byte(Escape(b.String())), nil
}

// Escape escapes the characters of a JSON text that could control a terminal.
func Escape(encoded string) string {
	if !strings.ContainsFunc(encoded, func(r rune) bool { return r != '\n' && !unicode.IsGraphic(r) }) {
		return encoded
	}
	var text strings.Builder
	for _, r := range encoded {
		switch {
		case r == '\n' || unicode.IsGraphic(r):
			text.WriteRune(r)
		case r > 0xffff:
			high, low := utf16.EncodeRune(r)
			fmt.Fprintf(&text, `\u%04x\u%04x`, high, low)
		default:
			fmt.Fprintf(&text, `\u%04x`, r)
		}
	}
	return text.String()
}

type jsonDocument struct {
	w       io.Writer
	command string
	count   int
}

func (j *jsonDocument) Begin() error {
	_, err := fmt.Fprintf(j.w, "{\n  \"format\": %d,\n  \"command\": %q,\n  \"results\": [", Format, j.command)
	return err
}

func (j *jsonDocument) Print(o Outcome) error {
	text, err := Encode(o, "    ", "  ")
	if err != nil {
		return err
	}
	separator := ","
	if j.count == 0 {
		separator = ""
	}
	j.count++
	_, err = fmt.Fprintf(j.w, "%s\n    %s", separator, bytes.TrimSuffix(text, []byte("\n")))
	return err
}

func (j *jsonDocument) End(status int) error {
	_, err := fmt.Fprintf(j.w, "\n  ],\n  \"status\": %d\n}\n", status)
	return err
}

type jsonLines struct {
	w       io.Writer
	command string
}

func (*jsonLines) Begin() error { return nil }

func (j *jsonLines) Print(o Outcome) error {
	text, err := Encode(struct {
		Format  int    `json:"format"`
		Command string `json:"command"`
		Outcome
	}{Format, j.command, o}, "", "")
	if err != nil {
		return err
	}
	_, err = j.w.Write(text)
	return err
}

func (*jsonLines) End(int) error { return nil }
