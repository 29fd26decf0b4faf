package audit

import (
	"bytes"
	"encoding/json"
	"net/url"
	"strconv"
)

// StatsQuery counts the sessions for each value of a field (GET
// /api/audit/sessions/stats).
type StatsQuery struct {
	// Field is the dotted name of the field whose values are counted (field). It is
	// required.
	Field string
	// SubField is a second field whose values are counted within each value of the first
	// (sub_fields). It is optional.
	SubField string
	// Size is the maximum number of values to return, beginning with the most frequent
	// (size). 0 means the default of the appliance.
	Size int
	// Filter selects the sessions to count (q).
	Filter Filter
}

// Validate returns an [ErrInvalidQuery] if the query is invalid, otherwise nil.
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
		return invalid("the size is %d; use 1 or more, or 0 for the default of the appliance", q.Size)
	}
	return q.Filter.Validate()
}

// Values returns the parameters of the request. It returns the errors of
// [StatsQuery.Validate].
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

// HistogramQuery counts the sessions in each time interval (GET
// /api/audit/sessions/histogram).
type HistogramQuery struct {
	// Field is the dotted name of the field with the time, such as [FieldStartTime]
	// (field). It is required.
	Field string
	// BinSize is the length of an interval, such as [BinHour] (bin-size). "" means the
	// default of the appliance.
	BinSize string
	// Filter selects the sessions to count (q).
	Filter Filter
}

// BinHour is a value of [HistogramQuery.BinSize], the only one that the guide shows. The
// appliance may accept others.
const BinHour = "hour"

// Validate returns an [ErrInvalidQuery] if the query is invalid, otherwise nil.
func (q HistogramQuery) Validate() error {
	if err := checkField(q.Field); err != nil {
		return err
	}
	if err := checkCharacters("the size of the bins", q.BinSize); err != nil {
		return err
	}
	return q.Filter.Validate()
}

// Values returns the parameters of the request. It returns the errors of
// [HistogramQuery.Validate].
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

// Tallies is the response to a [StatsQuery] or a [HistogramQuery]. The guide does not
// document its form, so the decoded field All may be incomplete. Raw is the whole
// response.
type Tallies struct {
	// All has an entry for each value or interval, in the order of the appliance. It is
	// empty if the response has no entries or has an unknown form.
	All []Tally
	// Raw is the whole response, unchanged.
	Raw json.RawMessage
}

// Tally is the number of sessions with one value or in one interval.
type Tally struct {
	// Value is the value of the field, or the start of the interval, as a string.
	Value string
	// Count is the number of sessions.
	Count int64
	// Below has the values of the second field. It is nil if there is no second field.
	Below []Tally
	// Raw is the whole entry, unchanged.
	Raw json.RawMessage
}

// UnmarshalJSON decodes the response to a statistics or histogram request. For a response
// of an unknown form, All is empty. The result does not refer to the memory of data.
func (t *Tallies) UnmarshalJSON(data []byte) error {
	raw := bytes.Clone(bytes.TrimSpace(data))
	*t = Tallies{All: talliesOf(raw, 0), Raw: raw}
	return nil
}

// MarshalJSON returns the decoded response, or null if nothing was decoded.
func (t Tallies) MarshalJSON() ([]byte, error) {
	if len(t.Raw) == 0 {
		return []byte("null"), nil
	}
	return t.Raw, nil
}
