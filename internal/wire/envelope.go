package wire

import (
	"strings"

	"github.com/go-json-experiment/json/jsontext"
)

// Envelope is what the answers of the API share: an object has key, meta and
// body, a list has items and meta, a failure has error. Each member is the JSON
// as it was sent, nil where it is absent.
type Envelope struct {
	Key   []byte
	Meta  []byte
	Body  []byte
	Items []byte
	Error []byte
	// Elements are those of Items, nil where there is none, or where it is no list.
	Elements [][]byte
	// All holds every top-level member, these five included: some endpoints
	// put their value beside meta.
	All []Member
	// Garbled says that some text is not valid UTF-8, or half of a surrogate pair, and
	// that all else is proper JSON. Only [ParseGarbled] lets that through.
	Garbled bool
}

// ParseEnvelope splits an answer, which must be one JSON object. A null error
// is no error.
func ParseEnvelope(data []byte) (Envelope, error) {
	if err := Valid(data); err != nil {
		return Envelope{}, err
	}
	return split(data)
}

// ParseGarbled is [ParseEnvelope], and takes text that is garbled: one name must not hide
// all others. In Error it stands replaced.
func ParseGarbled(data []byte) (Envelope, error) {
	err := Valid(data)
	switch {
	case err == nil:
		return split(data)
	case !isGarbled(data, err):
		return Envelope{}, err
	}
	e, err := split(data)
	if e.Garbled = err == nil; e.Error != nil { // a refusal counts even if its text is broken
		e.Error, _ = jsontext.AppendFormat(nil, e.Error, lenient)
	}
	return e, err
}

var lenient = jsontext.AllowInvalidUTF8(true)

// isGarbled reports whether nothing but text is wrong with data, which is not valid for a
// reason.
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
