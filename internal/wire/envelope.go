package wire

import (
	"strings"

	"github.com/go-json-experiment/json/jsontext"
)

// Envelope is the common form of the API's answers: an object has key, meta and body, a
// list has items and meta, a failure has error. Each member is the unchanged JSON, or nil
// if it is absent.
type Envelope struct {
	Key   []byte
	Meta  []byte
	Body  []byte
	Items []byte
	Error []byte
	// Elements are the elements of Items. It is nil if Items is absent or not a list.
	Elements [][]byte
	// All has every top-level member, including the five above, because some endpoints
	// have their value beside meta.
	All []Member
	// Garbled is true if some text contains invalid UTF-8 or half of a surrogate pair,
	// and everything else is valid JSON. Only [ParseGarbled] accepts that.
	Garbled bool
}

// ParseEnvelope splits an answer, which must be one JSON object. A null error counts as
// absent.
func ParseEnvelope(data []byte) (Envelope, error) {
	if err := Valid(data); err != nil {
		return Envelope{}, err
	}
	return split(data)
}

// ParseGarbled is like [ParseEnvelope] but accepts garbled text, so that one broken name
// does not hide all others. In Error, garbled text is replaced.
func ParseGarbled(data []byte) (Envelope, error) {
	err := Valid(data)
	switch {
	case err == nil:
		return split(data)
	case !isGarbled(data, err):
		return Envelope{}, err
	}
	e, err := split(data)
	if e.Garbled = err == nil; e.Error != nil { // a refusal counts even if its text is garbled
		e.Error, _ = jsontext.AppendFormat(nil, e.Error, lenient)
	}
	return e, err
}

var lenient = jsontext.AllowInvalidUTF8(true)

// isGarbled reports whether invalid text is the only problem of data.
func isGarbled(data []byte, reason error) bool {
	about := reason.Error()
	return (strings.Contains(about, "UTF-8") || strings.Contains(about, "surrogate")) && jsontext.Value(data).IsValid(lenient)
}

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

func (e Envelope) unless(err error) (Envelope, error) {
	if err != nil {
		return Envelope{}, err
	}
	return e, nil
}

// value goes beyond the value of a member. A list of items, which may be megabytes, is
// split on the way.
func (e *Envelope) value(c *cursor, name string) (value []byte, err error) {
	c.skipSpace()
	start := c.at
	if name != "items" || start == len(c.data) || c.data[start] != Array {
		return c.value()
	}
	e.Elements, err = c.elements()
	return c.data[start:c.at:c.at], err
}

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
