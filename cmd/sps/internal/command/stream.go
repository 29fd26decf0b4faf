package command

import (
	"context"
	"encoding/json"
	"fmt"
	"strings"
	"time"

	"github.com/go-sps/sps/cmd/sps/internal/conn"
	"github.com/go-sps/sps/cmd/sps/internal/out"
	"github.com/go-sps/sps/cmd/sps/internal/text"
)

// runStream runs a command that prints as it goes, on one appliance after the other.
func (a *app) runStream(ctx context.Context, name string, s spec, targets []*conn.Target, args []string) error {
	if a.flags.Demo {
		a.startDemo()
	}
	if a.output == "junit" || a.output == "yaml" {
		return usagef("%s has the formats table, json and jsonl", name)
	}
	names := make([]string, len(targets))
	for i, t := range targets {
		names[i] = "demo"
		if t != nil {
			names[i] = text.Line(t.Name)
		}
	}
	var printer out.Printer
	if a.output == "json" {
		printer = a.newPrinter(name, names, nil)
		if err := printer.Begin(); err != nil {
			return a.writeError(err)
		}
	}
	for i, t := range targets {
		o := a.streamOne(ctx, s, t, names[i], args, len(targets) > 1)
		a.status = max(a.status, o.Status)
		if printer != nil {
			if err := printer.Print(o); err != nil {
				return a.writeError(err)
			}
		} else if o.Error != nil {
			a.warnf("%s: %s", names[i], o.Error.Text())
		}
	}
	if printer != nil {
		if err := printer.End(a.status); err != nil {
			return a.writeError(err)
		}
	}
	return nil
}

func (a *app) streamOne(ctx context.Context, s spec, t *conn.Target, name string, args []string, several bool) out.Outcome {
	if err := a.checkAlive(ctx, t); err != nil {
		return a.outcome(t, name, 0, out.Report{}, err)
	}
	return a.one(ctx, s, t, name, args, several)
}

// items prints the items of a list as they come: as rows of a table, as JSON Lines, or
// collected for JSON.
type items struct {
	j       *job
	widths  []int
	columns []string
	all     []json.RawMessage
	count   int
}

func (j *job) newItems(columns []string, widths []int) *items {
	if j.several {
		columns, widths = append([]string{"APPLIANCE"}, columns...), append([]int{len(j.name)}, widths...)
	}
	return &items{j: j, columns: columns, widths: widths, all: []json.RawMessage{}}
}

// add prints an item, or keeps it for a document.
func (s *items) add(raw json.RawMessage, cells ...string) error {
	s.count++
	switch s.j.output {
	case "json":
		s.all = append(s.all, raw)
		return nil
	case "jsonl":
		line, err := s.j.line(raw)
		if err != nil {
			return err
		}
		return s.write(string(line) + "\n")
	}
	if s.j.several {
		cells = append([]string{s.j.name}, cells...)
	}
	line := ""
	if !s.j.headed {
		s.j.headed = true
		line = s.row(s.columns)
	}
	return s.write(line + s.row(cells))
}

func (s *items) write(text string) error {
	if _, err := fmt.Fprint(s.j.Stdout, text); err != nil {
		return fmt.Errorf("the results could not be written: %w", err)
	}
	return nil
}

// row is a row with columns of a fixed width: those of later rows are not known.
func (s *items) row(cells []string) string {
	var b strings.Builder
	for i, cell := range cells {
		cell = text.Cell(cell)
		b.WriteString(cell)
		if i < len(cells)-1 {
			b.WriteString(strings.Repeat(" ", max(0, s.widths[i]-len([]rune(cell)))+2))
		}
	}
	return strings.TrimRight(b.String(), " ") + "\n"
}

// line is an item as a line of JSON; of several appliances it names that.
func (j *job) line(raw json.RawMessage) ([]byte, error) {
	if !j.several {
		return []byte(out.Escape(string(raw))), nil
	}
	line, err := out.Encode(struct {
		Appliance string          `json:"appliance"`
		Item      json.RawMessage `json:"item"`
	}{j.name, raw}, "", "")
	return []byte(strings.TrimSuffix(string(line), "\n")), err
}

// report is what a document has.
func (s *items) report(name string, err error) (out.Report, error) {
	if err == nil && s.j.output == "table" && s.count == 0 {
		err = s.write("None.\n")
	}
	return out.Report{Data: map[string]any{name: s.all, "count": s.count}}, err
}

// moment reads a time before now, such as 24h, or a date or time. Nothing is the zero time.
func moment(flag, value string, now time.Time) (time.Time, error) {
	if value == "" {
		return time.Time{}, nil
	}
	for _, layout := range []string{time.DateOnly, time.RFC3339} {
		if at, err := time.Parse(layout, value); err == nil {
			return at, nil
		}
	}
	ago, err := time.ParseDuration(value)
	if err != nil || ago < 0 {
		return time.Time{}, fmt.Errorf("--%s %q is neither a time before now such as 24h nor one such as 2027-01-31 or 2027-01-31T10:00:00Z", flag, value)
	}
	return now.Add(-ago), nil
}
