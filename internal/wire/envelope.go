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
	members, err := Members(data)
	if err != nil {
		return Envelope{}, err
	}
	e := Envelope{All: members}
	for _, m := range members {
		switch m.Name {
		case "key":
			e.Key = m.Value
		case "meta":
			e.Meta = m.Value
		case "body":
			e.Body = m.Value
		case "items":
			e.Items = m.Value
		case "error":
			if Kind(m.Value) != Null {
				e.Error = m.Value
			}
		}
	}
	return e, nil
}
