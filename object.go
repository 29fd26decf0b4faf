package sps

import (
	"bytes"
	"errors"
	"time"

	"github.com/go-sps/sps/internal/wire"
)

// Object is one object of the API: its key, its metadata and its body.
type Object[T any] struct {
	// Key identifies the object within its collection. For an endpoint with one object,
	// it is the last segment of the path. It is empty for a record of a list without
	// keys, such as an event of a session.
	Key string
	// Meta is the metadata of the object.
	Meta Meta
	// Body is the value of the object.
	Body T
}

// Meta is the member meta of a response. A member that is absent, null or of an
// unexpected type has the zero value.
type Meta struct {
	// Href is the path of the resource. Parent is the path of its parent.
	Href, Parent string
	// First, Last, Next and Previous are the paths of other pages in a list with pages.
	// In the configuration, they are the paths of siblings of the resource.
	First, Last, Next, Previous string
	// Transaction is the path of the transaction. It is empty outside of the
	// configuration.
	Transaction string
	// SessionRemaining is the time until the session ends. An open transaction ends with
	// the session. SessionRemaining is 0 if the appliance does not report it.
	SessionRemaining time.Duration

	raw string
}

// Link returns the member of the metadata with this name as text, if it is a string or a
// number. Otherwise it returns "".
func (m Meta) Link(name string) string {
	text, _ := wire.Text(member([]byte(m.raw), name))
	return text
}

// UnmarshalJSON decodes the member meta. A value of an unexpected type is ignored.
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
		// The value is a part of raw, after the previous value, so no copy is needed.
		at += bytes.Index(data[at:], value)
		*field = m.raw[at+1 : at+len(value)-1]
		return nil
	})
	if err != nil {
		return Meta{}
	}
	return m
}

// Ref is a reference to another object. In responses, a reference is an object with key
// and meta; in requests, it must be the key as a string. A Ref decodes both forms and
// encodes the key. The zero value refers to no object and encodes as null.
type Ref struct {
	// Key is the key of the object.
	Key string
	// Href is the path of the object. It is empty if the response does not have it.
	Href string
}

// UnmarshalJSON decodes an object with key and meta, a key as a string, or null.
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
