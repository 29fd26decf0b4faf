package out

import (
	"io"
	"strings"
	"unicode/utf8"

	"github.com/go-sps/sps/cmd/sps/internal/text"
)

// table prints tables. It prints each outcome at once, so later rows may have wider columns.
type table struct {
	w      io.Writer
	fleet  bool
	names  []string
	known  []string
	width  int
	color  bool
	widths []int
	header bool
}

func (*table) Begin() error { return nil }

func (t *table) Print(o Outcome) error {
	columns, rows := o.Report.Columns, o.Report.Rows
	if t.fleet {
		columns, rows = t.withAppliance(o)
	}
	var b strings.Builder
	if !t.fleet && len(o.Report.Fields) > 0 {
		printFields(&b, o.Report.Fields)
	}
	if len(columns) > 0 && len(rows) > 0 || t.fleet {
		t.printRows(&b, columns, rows)
	}
	if o.Report.Text != "" && !t.fleet {
		if b.Len() > 0 {
			b.WriteString("\n")
		}
		b.WriteString(o.Report.Text)
	}
	_, err := io.WriteString(t.w, b.String())
	return err
}

func (*table) End(int) error { return nil }

// withAppliance returns the rows of one of several appliances, with its name in the first
// column.
func (t *table) withAppliance(o Outcome) (columns []string, rows []Row) {
	r := o.Report
	switch {
	case len(r.Columns) > 0:
		columns = r.Columns
		for _, row := range r.Rows {
			rows = append(rows, Row{append([]string{o.Appliance}, row.Cells...), row.Below})
		}
	case len(r.Fields) > 0:
		cells := []string{o.Appliance}
		for _, field := range r.Fields {
			columns = append(columns, strings.ToUpper(field[0]))
			cells = append(cells, field[1])
		}
		rows = []Row{{Cells: cells}}
	case r.Text != "":
		lines := strings.SplitN(strings.TrimSuffix(r.Text, "\n"), "\n", 2)
		row := Row{Cells: []string{o.Appliance, lines[0]}}
		if len(lines) > 1 {
			row.Below = lines[1]
		}
		rows = []Row{row}
	}
	if o.Error != nil && !o.Shown {
		rows = append(rows, Row{Cells: []string{o.Appliance, Results[o.Status] + ": " + o.Error.Text()}})
	} else if len(rows) == 0 {
		rows = []Row{{Cells: []string{o.Appliance, "nothing to show"}}}
	}
	if len(columns) == 0 {
		columns = t.known
	}
	if len(columns) > 0 {
		columns = append([]string{"APPLIANCE"}, columns...)
	}
	return columns, rows
}

func printFields(b *strings.Builder, fields [][2]string) {
	width := 0
	for _, field := range fields {
		width = max(width, utf8.RuneCountInString(field[0]))
	}
	for _, field := range fields {
		line := field[0] + strings.Repeat(" ", width-utf8.RuneCountInString(field[0])+2) + text.Line(field[1])
		b.WriteString(strings.TrimRight(line, " ") + "\n")
	}
}

func (t *table) printRows(b *strings.Builder, columns []string, rows []Row) {
	if t.widths == nil {
		t.widths = []int{0}
		if t.fleet {
			for _, name := range t.names {
				t.widths[0] = max(t.widths[0], utf8.RuneCountInString(text.Cell(name)))
			}
		}
	}
	t.grow(columns)
	for i, row := range rows {
		for j, cell := range row.Cells {
			rows[i].Cells[j] = text.Cell(cell)
		}
		if !t.fleet || len(row.Cells) == len(columns) { // the row of an error does not widen a column
			t.grow(rows[i].Cells)
		}
	}
	if t.narrow(len(columns)) {
		printRecords(b, columns, rows)
		return
	}
	if !t.header && len(columns) > 0 {
		t.header = true
		t.printRow(b, columns)
	}
	for _, row := range rows {
		t.printRow(b, row.Cells)
		b.WriteString(text.Indent(row.Below))
	}
}

func (t *table) grow(cells []string) {
	for i, cell := range cells {
		if i == len(t.widths) {
			t.widths = append(t.widths, 0)
		}
		t.widths[i] = max(t.widths[i], utf8.RuneCountInString(cell))
	}
}

// narrow reports whether the columns do not fit into the terminal. The last column fits if there
// is room for 20 of its characters: the terminal breaks longer lines.
func (t *table) narrow(columns int) bool {
	if t.width <= 0 || columns < 2 {
		return false
	}
	total := 0
	for _, width := range t.widths[:columns-1] {
		total += width + 2
	}
	return total+min(t.widths[columns-1], 20) > t.width
}

func (t *table) printRow(b *strings.Builder, cells []string) {
	var line strings.Builder
	for i, cell := range cells {
		line.WriteString(t.paint(cell))
		if i < len(cells)-1 {
			line.WriteString(strings.Repeat(" ", t.widths[i]-utf8.RuneCountInString(cell)+2))
		}
	}
	b.WriteString(strings.TrimRight(line.String(), " ") + "\n")
}

// colors has the colour of each word for a status, as an ANSI escape code.
var colors = map[string]string{Passed: "32", Failure: "31", Errored: "31", Skipped: "33"}

func (t *table) paint(cell string) string {
	if color := colors[cell]; t.color && color != "" {
		return "\x1b[" + color + "m" + cell + "\x1b[0m"
	}
	return cell
}

// printRecords prints each row as lines with the name of a column and a value, for narrow
// terminals.
func printRecords(b *strings.Builder, columns []string, rows []Row) {
	for _, row := range rows {
		if len(row.Cells) != len(columns) {
			b.WriteString(strings.Join(row.Cells, ": ") + "\n\n")
			continue
		}
		for i, cell := range row.Cells {
			b.WriteString(strings.ToLower(columns[i]) + ": " + cell + "\n")
		}
		b.WriteString(text.Indent(row.Below) + "\n")
	}
}
