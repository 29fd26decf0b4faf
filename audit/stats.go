package audit

import (
	"bytes"
	"encoding/json"
	"net/url"
	"strconv"
)

// StatsQuery asks how many sessions have which value in a field
// (GET /api/audit/sessions/stats).
type StatsQuery struct {
	// Field is the dotted name of the field that is counted (field). It is needed.
	Field string
	// SubField is a second field, which is counted within each value of the first one
	// (sub_fields). Empty is none.
	SubField string
	// Size is how many of the most frequent values there are (size). 0 leaves it to the
	// appliance.
	Size int
	// Filter says which sessions are counted (q).
	Filter Filter
}

// Validate returns why the query must not be sent, an [ErrInvalidQuery], or nil.
func (q StatsQuery) Validate() error {
	if err := checkField(q.Field); err != nil {
		return err
	}
	if q.SubField != "" {
		if err := checkField(q.SubField); err != nil {
			return err
		}
	}
	if q.Size < 0 {
		return invalid("the size is %d; use 1 or more, or 0 for what the appliance has", q.Size)
	}
	return q.Filter.Validate()
}

// Values returns the parameters of the request. It gives [ErrInvalidQuery] where
// [StatsQuery.Validate] does.
func (q StatsQuery) Values() (url.Values, error) {
	if err := q.Validate(); err != nil {
		return nil, err
	}
	v := url.Values{"field": {q.Field}}
	setUnlessEmpty(v, "sub_fields", q.SubField)
	setUnlessEmpty(v, "q", q.Filter.String())
	if q.Size > 0 {
		v.Set("size", strconv.Itoa(q.Size))
	}
	return v, nil
}

// HistogramQuery asks how many sessions there are in each interval
// (GET /api/audit/sessions/histogram).
type HistogramQuery struct {
	// Field is the dotted name of the field with the time, such as [FieldStartTime]
	// (field). It is needed.
	Field string
	// BinSize is the length of an interval, such as [BinHour] (bin-size). Empty leaves it
	// to the appliance.
	BinSize string
	// Filter says which sessions are counted (q).
	Filter Filter
}

// BinHour is the [HistogramQuery.BinSize] that the guide shows. There are others.
const BinHour = "hour"

// Validate returns why the query must not be sent, an [ErrInvalidQuery], or nil.
func (q HistogramQuery) Validate() error {
	if err := checkField(q.Field); err != nil {
		return err
	}
	if err := checkCharacters("the size of the bins", q.BinSize); err != nil {
		return err
	}
	return q.Filter.Validate()
}

// Values returns the parameters of the request. It gives [ErrInvalidQuery] where
// [HistogramQuery.Validate] does.
func (q HistogramQuery) Values() (url.Values, error) {
	if err := q.Validate(); err != nil {
		return nil, err
	}
	v := url.Values{"field": {q.Field}}
	setUnlessEmpty(v, "bin-size", q.BinSize)
	setUnlessEmpty(v, "q", q.Filter.String())
	return v, nil
}

func setUnlessEmpty(v url.Values, name, value string) {
	if value != "" {
		v.Set(name, value)
	}
}

// Tallies is an answer of the statistics or of the histogram. Its form is not documented:
// what is read of it is an assumption, and Raw has everything.
type Tallies struct {
	// All has an entry for each value or interval, in the order of the appliance. It is
	// empty where the answer has none, or another form.
	All []Tally
	// Raw is the whole answer as it was decoded.
	Raw json.RawMessage
}

// Tally counts the sessions of one value or interval.
type Tally struct {
	// Value is the value of the field, or the beginning of the interval, as text.
	Value string
	// Count is how many sessions there are.
	Count int64
	// Below has the values of the second field; nil without one.
	Below []Tally
	// Raw is the whole entry as it was decoded.
	Raw json.RawMessage
}

// UnmarshalJSON decodes an answer. One in a form that is not known has no entries. What
// it keeps of data is a copy.
func (t *Tallies) UnmarshalJSON(data []byte) error {
	raw := bytes.Clone(bytes.TrimSpace(data))
	*t = Tallies{All: talliesOf(raw, 0), Raw: raw}
	return nil
}

// MarshalJSON encodes what was decoded, null for nothing.
func (t Tallies) MarshalJSON() ([]byte, error) {
	if len(t.Raw) == 0 {
		return []byte("null"), nil
	}
	return t.Raw, nil
}
