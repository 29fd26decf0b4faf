package sps

import (
	"bytes"
	"errors"
	"time"

	"github.com/go-sps/sps/internal/wire"
)

// Object is what the API shows of one object: its key, its meta and its body.
type Object[T any] struct {
	// Key names the object within its collection; for an endpoint with one
	// object it is the last segment of its path. A record of a list that has no keys, such
	// as an event of a session, has none.
	Key string
	// Meta is what the appliance says about the object.
	Meta Meta
	// Body is its value.
	Body T
}

// Meta is the meta member of an answer. A member that is absent, null or of
// another type than here is the zero value.
type Meta struct {
	// Href is the path of the resource, Parent that of the one above.
	Href, Parent string
	// First, Last, Next and Previous are siblings in the configuration, and
	// pages in a paged list.
	First, Last, Next, Previous string
	// Transaction is the path of the transaction, given in the configuration.
	Transaction string
	// SessionRemaining is the time until the session ends, with its open
	// transaction; 0 where the appliance does not say.
	SessionRemaining time.Duration

	raw string
}

// Link returns any member that is a text or a number, by its name; "" for none.
func (m Meta) Link(name string) string {
	text, _ := wire.Text(member([]byte(m.raw), name))
	return text
}

// UnmarshalJSON decodes a meta member; whatever does not fit stays zero.
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
		// The text stands in raw, beyond the one before: that needs no copy.
		at += bytes.Index(data[at:], value)
		*field = m.raw[at+1 : at+len(value)-1]
		return nil
	})
	if err != nil {
		return Meta{}
	}
	return m
}

// Ref is a reference to another object. Answers show it as an object with key
// and meta, and requests must send the bare key; it decodes from both and
// encodes as the key. The zero value is no reference, and encodes as null.
type Ref struct {
	// Key is the key of the object.
	Key string
	// Href is its path, where the answer gave one.
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
	return errors.New("a reference is an object with key and meta, or a key")
}

// MarshalJSON encodes the key, null without one.
func (r Ref) MarshalJSON() ([]byte, error) {
	if r.Key == "" {
		return []byte("null"), nil
	}
	return codec.Marshal(r.Key)
}
