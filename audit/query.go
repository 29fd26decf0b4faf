package audit

import (
	"net/url"
	"strconv"
	"strings"
	"time"
)

const (
	// MaxPageSize is the maximum number of sessions in one response. It is also the
	// default of [Query.PageSize].
	MaxPageSize = 500
	// AllFields, alone in [Query.Fields], selects all fields.
	AllFields = "*"
)

// Query says which sessions to find (GET /api/audit/sessions). The zero value finds all
// sessions with all of their fields.
type Query struct {
	// Filter selects sessions by their fields (q).
	Filter Filter
	// Content selects indexed sessions by their recorded content: commands, window
	// titles, and texts on the screen (content). Write it in the query language, as for
	// [Raw].
	Content string
	// Start selects sessions that started after this time, and End selects sessions that
	// ended before this time (start, end). End excludes running sessions. The zero time
	// means no limit. The times are sent with a precision of 100 ns.
	Start, End time.Time
	// Fields are the fields to return, by their dotted names (fields). An empty list
	// means all fields.
	Fields []string
	// KeysOnly selects no fields: the sessions that a search returns have a Key and no
	// other values. It cannot be combined with Fields.
	KeysOnly bool
	// Sort is the order of the sessions (sort). If it is the zero value, package sps
	// sorts by start_time.
	Sort Sort
	// PageSize is the number of sessions in one response (limit), at most [MaxPageSize].
	// 0 means MaxPageSize.
	PageSize int
}

// Sort is the order of a search. With the zero value, [Query.Values] does not set the
// parameter sort; package sps sorts by start_time instead.
type Sort struct {
	// Field is the dotted name of the field to sort by, such as [FieldStartTime].
	Field string
	// Descending sorts from the largest to the smallest value.
	Descending bool
}

// String returns the order as it is sent: the name of the field, with a minus sign before
// it if Descending is true. It is empty for the zero value.
func (s Sort) String() string {
	if s.Descending {
		return "-" + s.Field
	}
	return s.Field
}

// Validate returns an [ErrInvalidQuery] if the query is invalid, otherwise nil. It checks
// the rules of the query language. It does not check that a field exists.
func (q Query) Validate() error {
	if err := q.Filter.Validate(); err != nil {
		return err
	}
	if err := checkQuery("the content", q.Content); err != nil {
		return err
	}
	for _, t := range []time.Time{q.Start, q.End} {
		if _, err := timeText(t); err != nil {
			return err
		}
	}
	if !q.Start.IsZero() && !q.End.IsZero() && q.End.Before(q.Start) {
		return invalid("the end %s is before the start %s", q.End.Format(time.RFC3339Nano), q.Start.Format(time.RFC3339Nano))
	}
	if q.PageSize < 0 || q.PageSize > MaxPageSize {
		return invalid("the page size is %d; use 1 to %d, or 0 for %d", q.PageSize, MaxPageSize, MaxPageSize)
	}
	if err := q.Sort.validate(); err != nil {
		return err
	}
	return q.validateFields()
}

func (s Sort) validate() error {
	switch {
	case s == Sort{}:
		return nil
	case s.Field == "":
		return invalid("Sort has Descending but no Field: set Field to the field to sort by")
	case strings.HasPrefix(s.Field, "-") || strings.HasPrefix(s.Field, "+"):
		return invalid("the field to sort by begins with %c: %s; use Descending for the direction", s.Field[0], shown(s.Field))
	}
	return checkField(s.Field)
}

func (q Query) validateFields() error {
	if q.KeysOnly && len(q.Fields) > 0 {
		return invalid("KeysOnly cannot be combined with Fields")
	}
	for _, field := range q.Fields {
		if field == AllFields && len(q.Fields) > 1 {
			return invalid("%s stands for all fields and cannot be combined with other fields", AllFields)
		}
		if field == AllFields {
			continue
		}
		if err := checkField(field); err != nil {
			return err
		}
	}
	return nil
}

// Values returns the query as the parameters of a request. It leaves out limit if
// PageSize is 0, because the appliance has the same default. It returns the errors of
// [Query.Validate].
func (q Query) Values() (url.Values, error) {
	if err := q.Validate(); err != nil {
		return nil, err
	}
	v := url.Values{"fields": {AllFields}}
	set := func(name, value string) {
		if value != "" {
			v.Set(name, value)
		}
	}
	set("q", q.Filter.String())
	set("content", strings.TrimSpace(q.Content))
	set("sort", q.Sort.String())
	set("fields", strings.Join(q.Fields, fieldSeparator))
	if q.KeysOnly {
		v.Set("fields", "")
	}
	if q.PageSize != 0 {
		v.Set("limit", strconv.Itoa(q.PageSize))
	}
	if !q.Start.IsZero() {
		v.Set("start", q.Start.UTC().Format(parameterTime))
	}
	if !q.End.IsZero() {
		v.Set("end", q.End.UTC().Format(parameterTime))
	}
	return v, nil
}
