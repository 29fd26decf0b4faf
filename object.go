package sps

import (
	"bytes"
	"errors"
	"time"

	"github.com/go-sps/sps/internal/wire"
)

// Object is one object of the API: its key, its metadata and its body.
type Object[T any] struct {
	// Key is the name of the object within its collection. For an endpoint with one
	// object, it is the last segment of the path. It is empty for the record of a list
	// without keys, such as an event of a session.
	Key string
	// Meta is the metadata of the object.
	Meta Meta
	// Body is the value of the object.
	Body T
}

// Meta is the meta member of an answer. A member that is absent, null or of an unexpected
// type is the zero value.
type Meta struct {
	// Href is the path of the resource; Parent is the path of the resource above.
	Href, Parent string
	// First, Last, Next and Previous are the paths of siblings in the configuration, and
	// of pages in a paged list.
	First, Last, Next, Previous string
	// Transaction is the path of the transaction. Only answers of the configuration have
	// it.
	Transaction string
	// SessionRemaining is the time until the session ends, and its open transaction with
	// it. It is 0 if the appliance does not report it.
	SessionRemaining time.Duration

	raw string
}

// Link returns any member of the metadata that is a string or a number. It returns "" if
// there is none with this name.
func (m Meta) Link(name string) string {
	text, _ := wire.Text(member([]byte(m.raw), name))
	return text
}

// UnmarshalJSON decodes a meta member. A value that does not fit stays zero.
func (m *Meta) UnmarshalJSON(data []byte) error {
	*m = newMeta(data)
	return nil
}

func newMeta(data []byte) Meta {
	if wire.Kind(data) != wire.Object {
		return Meta{}
	}
	m := Meta{raw: string(data)}
	at := 0
	err := wire.Each(data, func(name string, value []byte) error {
		var field *string
		switch name {
		case "href":
			field = &m.Href
		case "parent":
			field = &m.Parent
		case "first":
			field = &m.First
		case "last":
			field = &m.Last
		case "next":
			field = &m.Next
		case "previous":
			field = &m.Previous
		case "transaction":
			field = &m.Transaction
		case "remaining_seconds":
			var seconds float64
			if wire.Kind(value) == wire.Number && wire.Unmarshal(value, &seconds) == nil && seconds > 0 && seconds < 1e9 {
				m.SessionRemaining = time.Duration(seconds * float64(time.Second))
			}
			return nil
		default:
			return nil
		}
		if wire.Kind(value) != wire.String {
			return nil
		}
		if bytes.IndexByte(value, '\\') >= 0 {
			*field, _ = wire.Text(value)
			return nil
		}
		// The value is part of raw, after the previous one, so no copy is needed.
		at += bytes.Index(data[at:], value)
		*field = m.raw[at+1 : at+len(value)-1]
		return nil
	})
	if err != nil {
		return Meta{}
	}
	return m
}

// Ref is a reference to another object. Answers show a reference as an object with key
// and meta; requests must send the bare key. A Ref decodes from both and encodes as the
// key. The zero value refers to nothing and encodes as null.
type Ref struct {
	// Key is the key of the object.
	Key string
	// Href is the path of the object, if the answer has one.
	Href string
}

// UnmarshalJSON decodes an object with key and meta, a bare key, or null.
func (r *Ref) UnmarshalJSON(data []byte) error {
	*r = Ref{}
	if key, ok := wire.Text(data); ok {
		r.Key = key
		return nil
	}
	switch wire.Kind(data) {
	case wire.Null:
		return nil
	case wire.Object:
		r.Key, _ = wire.Text(member(data, "key"))
		r.Href, _ = wire.Text(member(member(data, "meta"), "href"))
		return nil
	}
	return errors.New("a reference must be an object with key and meta, or a key")
}

// MarshalJSON encodes the key, or null if there is none.
func (r Ref) MarshalJSON() ([]byte, error) {
	if r.Key == "" {
		return []byte("null"), nil
	}
	return codec.Marshal(r.Key)
}
