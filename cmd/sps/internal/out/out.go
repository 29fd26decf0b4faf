// Package out prints what became of appliances: as tables for people, and as JSON, JSON
// Lines, YAML and JUnit XML for programs.
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

// The exit statuses, of a run and of each appliance in it. The highest wins.
const (
	OK      = 0 // done, and well
	No      = 1 // the answer is no
	Failed  = 2 // it could not be carried out, and nothing was applied
	Unknown = 3 // the outcome is unknown
)

// Results are the statuses in words.
var Results = [...]string{"done", "no", "error", "unknown"}

// Outcome is what became of one appliance.
type Outcome struct {
	Appliance string   `json:"appliance"`
	Status    int      `json:"status"`
	Result    string   `json:"result"`
	Error     *Problem `json:"error"`
	Data      any      `json:"data"`

	Elapsed time.Duration `json:"-"`
	Report  Report        `json:"-"`
	// Shown is set if the report tells of the error already.
	Shown bool `json:"-"`
}

// Problem says why something could not be carried out.
type Problem struct {
	// Kind is the kind of the error in the SDK's words, "" for none.
	Kind string `json:"kind"`
	// Type is the appliance's error type, "" where it gave none.
	Type string `json:"type"`
	// Message says what went wrong, in one line, and Advice what to do, "" for nothing.
	Message string `json:"message"`
	Advice  string `json:"advice"`
}

// Text is the problem in one line.
func (p *Problem) Text() string {
	if p.Advice == "" {
		return p.Message
	}
	return p.Message + " (" + p.Advice + ")"
}

// Report is what a command found out about an appliance, for people and programs.
type Report struct {
	// Data is the value for JSON and YAML.
	Data any
	// No is set if the answer is no.
	No bool
	// Columns and Rows are a table. Fields are another one with the columns as its rows,
	// for one object; of several appliances each is a row.
	Columns []string
	Rows    []Row
	Fields  [][2]string
	// Text is what a table ends with: lines, fit to print.
	Text string
	// Cases are for JUnit. Without any, the outcome itself is the only case.
	Cases []Case
}

// Row is a row of a table, with lines below it that are not part of its columns.
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

// Case is a test case of JUnit.
type Case struct {
	Name    string
	Status  string // one of the above
	Type    string // the cause
	Message string // why, in words
	Text    string
	Elapsed time.Duration
}

// Printer prints outcomes in the order in which it gets them.
type Printer interface {
	Begin() error
	Print(Outcome) error
	End(status int) error
}

// Formats are the names of the formats.
var Formats = []string{"table", "json", "jsonl", "yaml", "junit"}

// Options say how to print.
type Options struct {
	Command    string
	Appliances []string // all that are to come
	Columns    []string // of the table, where they are known before
	Width      int      // of the terminal; 0 for none
	Color      bool
}

// New makes the printer of a format, nil for an unknown one.
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

// Encode writes a value as JSON, in lines if it is indented. What could drive a terminal
// is escaped.
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

// Escape escapes what could drive a terminal in a JSON text.
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
