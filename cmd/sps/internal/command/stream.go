package command

import (
	"context"
	"encoding/json"
	"fmt"
	"strings"
	"time"

	"github.com/go-sps/sps/cmd/sps/internal/conn"
	"github.com/go-sps/sps/cmd/sps/internal/days"
	"github.com/go-sps/sps/cmd/sps/internal/out"
	"github.com/go-sps/sps/cmd/sps/internal/text"
)

// runStream runs a command that prints items as they arrive. It works on one appliance after the
// other.
func (a *app) runStream(ctx context.Context, name string, s spec, targets []*conn.Target, args []string) error {
	if a.flags.Demo {
		a.startDemo()
	}
	if a.output == "junit" || a.output == "yaml" {
		return usagef("%s does not support -o %s: use table, json or jsonl", name, a.output)
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

// streamOne runs a streaming command on one appliance.
func (a *app) streamOne(ctx context.Context, s spec, t *conn.Target, name string, args []string, several bool) out.Outcome {
	if err := a.checkAlive(ctx, t); err != nil {
		return a.outcome(t, name, 0, out.Report{}, err)
	}
	return a.one(ctx, s, t, name, args, several)
}

// items prints items as they arrive, as rows of a table or as JSON Lines. For JSON it collects
// them.
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

// add prints an item, or keeps it for the JSON document.
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

// row returns a row of the table. The columns have a fixed width, because the later rows are not
// known yet.
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

// line returns an item as a line of JSON. If the run has several appliances, the line is an
// object with the name of the appliance and the item.
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

// report returns the report after the last item. In a table it prints "None." if there was no
// item.
func (s *items) report(data func() any, err error) (out.Report, error) {
	if err == nil && s.j.output == "table" && s.count == 0 {
		err = s.write("None.\n")
	}
	return out.Report{Data: data()}, err
}

// moment parses the value of a flag: a date, a time in the format of RFC 3339, or a duration
// before now, such as 24h or 7d. It returns the zero time for "".
func moment(flag, value string, now time.Time) (time.Time, error) {
	if value == "" {
		return time.Time{}, nil
	}
	for _, layout := range []string{time.DateOnly, time.RFC3339} {
		if at, err := time.Parse(layout, value); err == nil {
			return at, nil
		}
	}
	ago, err := days.Parse(value)
	if err != nil || ago < 0 {
		return time.Time{}, fmt.Errorf("--%s %q is not a time: give a duration before now such as 24h or 7d, a date such as 2027-01-31, or a time such as 2027-01-31T10:00:00Z", flag, value)
	}
	return now.Add(-ago), nil
}
