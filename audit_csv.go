package sps

import (
	"encoding/csv"
	"encoding/json"
	"fmt"
	"io"
	"strconv"
	"strings"

	"github.com/go-sps/sps/audit"
	"github.com/go-sps/sps/internal/wire"
)

// WriteCSV writes the sessions as CSV (RFC 4180) in constant memory, and returns how many
// there were. The first line has the names of the columns: key, and the fields of the
// query, which it must name. It reads what [AuditSearch.All] reads, with the same errors:
// so it has no ceiling, and its columns are the same for each appliance, which the CSV of
// the API itself does not promise.
//
// A text, a number and a boolean are written as the appliance sent them, an absent value
// and null as nothing, a list of texts with semicolons between them, and whatever else as
// JSON. A spreadsheet takes a text that begins with an equals sign for a formula; users can
// choose such names.
func (s *AuditSearch) WriteCSV(w io.Writer) (rows int, err error) {
	fields := s.query.Fields
	switch {
	case s.err != nil:
		return 0, s.err
	case len(fields) > 0 && fields[0] == audit.AllFields, len(fields) == 0 && !s.query.KeysOnly:
		return 0, fmt.Errorf("sps: %s: %w", auditSessionsPath.Text, invalid("name the columns of the CSV in Query.Fields"))
	}
	out := csv.NewWriter(w)
	if err := out.Write(append([]string{"key"}, fields...)); err != nil {
		return 0, s.sessions.failed(fmt.Errorf("writing the CSV: %w", err))
	}
	line := make([]string, 0, 1+len(fields))
	for session, err := range s.All() {
		if err != nil {
			out.Flush()
			return rows, err
		}
		line = append(line[:0], session.Key)
		for _, value := range session.Values(fields...) {
			line = append(line, cell(value))
		}
		if err := out.Write(line); err != nil {
			return rows, s.sessions.failed(fmt.Errorf("writing the CSV: %w", err))
		}
		rows++
	}
	if out.Flush(); out.Error() != nil {
		return rows, s.sessions.failed(fmt.Errorf("writing the CSV: %w", out.Error()))
	}
	return rows, nil
}

// cell writes a value for people and spreadsheets.
func cell(value json.RawMessage) string {
	if text, ok := wire.Text(value); ok {
		return text
	}
	switch wire.Kind(value) {
	case wire.Null:
		return ""
	case wire.Array:
		elements, err := wire.Elements(value)
		texts := make([]string, len(elements))
		for i, e := range elements {
			text, ok := wire.Text(e)
			if texts[i] = text; !ok || err != nil {
				return string(value)
			}
		}
		return strings.Join(texts, ";")
	}
	if is, ok := wire.Bool(value); ok {
		return strconv.FormatBool(is)
	}
	return string(value)
}
