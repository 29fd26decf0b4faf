package wire

import (
	"bytes"
	"errors"
	"fmt"
	"io"

	"github.com/go-json-experiment/json/jsontext"
)

// Kinds of JSON values, as [Kind] gives them: the first byte of the value,
// with '0' for every number.
const (
	Null   = 'n'
	String = '"'
	Number = '0'
	Object = '{'
	Array  = '['
)

// Member is one member of an object, its value as it was written.
type Member struct {
	Name  string
	Value []byte
}

// Kind returns the kind of a JSON value, 0 for none.
func Kind(value []byte) byte {
	return byte(jsontext.Value(value).Kind())
}

// Text returns the text of a string or a number: the API writes versions, keys
// and ids as either.
func Text(value []byte) (string, bool) {
	switch Kind(value) {
	case String:
		text, err := jsontext.AppendUnquote(nil, bytes.TrimSpace(value))
		return string(text), err == nil
	case Number:
		return string(bytes.TrimSpace(value)), true
	}
	return "", false
}

// Find returns the value of the member with that name, or nil.
func Find(members []Member, name string) []byte {
	for i := range members {
		if members[i].Name == name {
			return members[i].Value
		}
	}
	return nil
}

// Members splits an object. The values alias data.
func Members(data []byte) ([]Member, error) {
	d := decoder(data)
	if err := open(d, Object); err != nil {
		return nil, err
	}
	var members []Member
	for d.PeekKind() != '}' {
		name, err := d.ReadToken()
		if err != nil {
			return nil, err
		}
		// The token is valid until the next read only.
		text := name.String()
		value, err := next(d, data)
		if err != nil {
			return nil, err
		}
		members = append(members, Member{text, value})
	}
	return members, close(d)
}

// Elements splits an array. The values alias data.
func Elements(data []byte) ([][]byte, error) {
	d := decoder(data)
	if err := open(d, Array); err != nil {
		return nil, err
	}
	var elements [][]byte
	for d.PeekKind() != ']' {
		value, err := next(d, data)
		if err != nil {
			return nil, err
		}
		elements = append(elements, value)
	}
	return elements, close(d)
}

func decoder(data []byte) *jsontext.Decoder {
	return jsontext.NewDecoder(bytes.NewBuffer(data))
}

func open(d *jsontext.Decoder, kind jsontext.Kind) error {
	token, err := d.ReadToken()
	if errors.Is(err, io.EOF) {
		return io.ErrUnexpectedEOF
	}
	if err != nil {
		return err
	}
	if token.Kind() != kind {
		return fmt.Errorf("a JSON %s was expected, not a %s", kind, token.Kind())
	}
	return nil
}

// next reads one value and returns it as a slice of data, which outlives the
// decoder's own buffer.
func next(d *jsontext.Decoder, data []byte) ([]byte, error) {
	value, err := d.ReadValue()
	if err != nil {
		return nil, err
	}
	stop := d.InputOffset()
	return data[stop-int64(len(value)) : stop : stop], nil
}

func close(d *jsontext.Decoder) error {
	if _, err := d.ReadToken(); err != nil {
		return err
	}
	return end(d)
}

// end refuses whatever follows the first value.
func end(d *jsontext.Decoder) error {
	if _, err := d.ReadToken(); err == nil {
		return errors.New("more than one JSON value")
	} else if !errors.Is(err, io.EOF) {
		return err
	}
	return nil
}

// Plain returns a value with its strings written in the shortest way, as [Codec]
// writes them; one that is no JSON is returned as it is.
func Plain(value []byte) []byte {
	plain, err := jsontext.AppendFormat(nil, value)
	if err != nil {
		return value
	}
	return plain
}

func quote(text string) []byte {
	quoted, err := jsontext.AppendQuote(nil, text)
	if err != nil {
		// Only invalid UTF-8 is refused, and it is replaced nonetheless.
		return quoted
	}
	return quoted
}
