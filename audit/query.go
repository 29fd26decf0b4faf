package audit

import (
	"net/url"
	"strconv"
	"strings"
	"time"
)

const (
	// MaxPageSize is how many sessions an appliance gives in one answer at most, and
	// how many without a [Query.PageSize].
	MaxPageSize = 500
	// AllFields, alone in [Query.Fields], stands for all of them.
	AllFields = "*"
)

// Query is what to search for (GET /api/audit/sessions). The zero value finds all
// sessions with all of their fields, in the order of the appliance.
type Query struct {
	// Filter is about the fields of the sessions (q).
	Filter Filter
	// Content is about what was recorded: commands, titles, and texts on the screen, of
	// sessions that are indexed (content). It is in the query language, as [Raw] is.
	Content string
	// Start finds sessions that started after it, and End sessions that ended before it
	// (start, end). A session that still goes on has not ended. Zero is no limit; the
	// appliance gets ten millionths of a second.
	Start, End time.Time
	// Fields are the fields that the sessions come with, by their dotted names (fields).
	// None are all of them.
	Fields []string
	// KeysOnly leaves everything out but the keys. It goes without Fields.
	KeysOnly bool
	// Sort is the order (sort). Package sps sorts by start_time where it is the zero value.
	Sort Sort
	// PageSize is how many sessions one answer has (limit): [MaxPageSize] at most, which
	// is also meant by 0.
	PageSize int
}

// Sort is the order of a search. The zero value is that of the appliance.
type Sort struct {
	// Field is the dotted name of a field, such as [FieldStartTime].
	Field string
	// Descending puts the largest first.
	Descending bool
}

// String returns the order as it is sent: the name, with a minus sign before it where it
// is descending. It is empty for the zero value.
func (s Sort) String() string {
	if s.Descending {
		return "-" + s.Field
	}
	return s.Field
}

// Validate returns why the query must not be sent, an [ErrInvalidQuery], or nil. It knows
// what no appliance takes. Whether there is a field of that name, the appliance knows.
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
		return invalid("the order is descending and has no field")
	case strings.HasPrefix(s.Field, "-") || strings.HasPrefix(s.Field, "+"):
		return invalid("the field to sort by begins with %c: %s; use Descending for the direction", s.Field[0], shown(s.Field))
	}
	return checkField(s.Field)
}

func (q Query) validateFields() error {
	if q.KeysOnly && len(q.Fields) > 0 {
		return invalid("KeysOnly goes without Fields")
	}
	for _, field := range q.Fields {
		if field == AllFields && len(q.Fields) > 1 {
			return invalid("%s stands for all fields, and goes without others", AllFields)
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

// Values returns the parameters of the search; without limit where PageSize is 0, as the
// appliance has the same default. It gives [ErrInvalidQuery] where [Query.Validate] does.
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
