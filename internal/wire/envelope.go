package wire

import (
	"strings"

	"github.com/go-json-experiment/json/jsontext"
)

// Envelope is the common form of the API's responses. An object has key, meta and body, a
// list has items and meta, and a failure has error. Each field is the unchanged JSON of its
// member, or nil if the member is absent.
type Envelope struct {
	Key   []byte
	Meta  []byte
	Body  []byte
	Items []byte
	Error []byte
	// Elements are the elements of Items. It is nil if Items is absent or not a list.
	Elements [][]byte
	// All contains all top-level members, including those of the fields above. Some
	// endpoints return their value beside meta.
	All []Member
	// Garbled is true if a string contains invalid UTF-8 or half of a surrogate pair,
	// and everything else is valid JSON. [ParseGarbled] accepts such JSON, and
	// [ParseEnvelope] does not.
	Garbled bool
}

// ParseEnvelope splits a response, which must be one JSON object. It treats a null error
// as absent.
func ParseEnvelope(data []byte) (Envelope, error) {
	if err := Valid(data); err != nil {
		return Envelope{}, err
	}
	return split(data)
}

// ParseGarbled is like [ParseEnvelope] but accepts garbled strings, so that one broken name
// does not make a whole list unreadable. In Error, it replaces the invalid bytes.
func ParseGarbled(data []byte) (Envelope, error) {
	err := Valid(data)
	switch {
	case err == nil:
		return split(data)
	case !isGarbled(data, err):
		return Envelope{}, err
	}
	e, err := split(data)
	if e.Garbled = err == nil; e.Error != nil { // an error is reported even if its text is garbled
		e.Error, _ = jsontext.AppendFormat(nil, e.Error, lenient)
	}
	return e, err
}

var lenient = jsontext.AllowInvalidUTF8(true)

// isGarbled reports whether garbled strings are the only fault in data.
func isGarbled(data []byte, reason error) bool {
	about := reason.Error()
	return (strings.Contains(about, "UTF-8") || strings.Contains(about, "surrogate")) && jsontext.Value(data).IsValid(lenient)
}

// split returns the envelope of a JSON object.
func split(data []byte) (Envelope, error) {
	var e Envelope
	c := cursor{data, 0}
	for first := true; ; first = false {
		name, more, err := c.member(first)
		if err == nil && !more {
			err = c.end()
		}
		if err != nil || !more {
			return e.unless(err)
		}
		value, err := e.value(&c, name)
		if err != nil {
			return Envelope{}, err
		}
		if e.All == nil {
			e.All = make([]Member, 0, 4)
		}
		e.All = append(e.All, Member{name, value})
		e.set(name, value)
	}
}

// unless returns e, or an empty envelope if err is not nil.
func (e Envelope) unless(err error) (Envelope, error) {
	if err != nil {
		return Envelope{}, err
	}
	return e, nil
}

// value moves past the value of a member and returns it. It splits a list of items at the
// same time, because the list may have megabytes.
func (e *Envelope) value(c *cursor, name string) (value []byte, err error) {
	c.skipSpace()
	start := c.at
	if name != "items" || start == len(c.data) || c.data[start] != Array {
		return c.value()
	}
	e.Elements, err = c.elements()
	return c.data[start:c.at:c.at], err
}

// set stores the value of a member in its field.
func (e *Envelope) set(name string, value []byte) {
	switch name {
	case "key":
		e.Key = value
	case "meta":
		e.Meta = value
	case "body":
		e.Body = value
	case "items":
		e.Items = value
	case "error":
		if Kind(value) != Null {
			e.Error = value
		}
	}
}
