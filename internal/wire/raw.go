package wire

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"sync/atomic"

	"github.com/go-json-experiment/json/jsontext"
)

// Kinds of JSON values, as [Kind] returns them. A kind is the first byte of the value, or
// '0' for a number.
const (
	Null   = 'n'
	String = '"'
	Number = '0'
	Object = '{'
	Array  = '['
)

// Member is one member of an object. Value is the JSON of its value, unchanged.
type Member struct {
	Name  string
	Value []byte
}

// Kind returns the kind of a JSON value, or 0 if there is no value.
func Kind(value []byte) byte {
	return byte(jsontext.Value(value).Kind())
}

// Text returns the text of a string or a number. The API writes versions, keys and ids as
// strings or as numbers.
func Text(value []byte) (string, bool) {
	switch Kind(value) {
	case String:
		return unquote(bytes.TrimSpace(value))
	case Number:
		return string(bytes.TrimSpace(value)), true
	}
	return "", false
}

// unquote returns the text of a JSON string. It decodes into a buffer on the stack, because
// most texts are short.
func unquote(quoted []byte) (string, bool) {
	var space [128]byte
	text, err := jsontext.AppendUnquote(space[:0], quoted)
	return string(text), err == nil
}

// Bool returns the value of a JSON boolean. ok is false if value is not a boolean.
func Bool(value []byte) (is, ok bool) {
	value = bytes.TrimSpace(value)
	return string(value) == "true", string(value) == "true" || string(value) == "false"
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

// Members returns the members of an object. The values are slices of data.
func Members(data []byte) ([]Member, error) {
	var members []Member
	err := Each(data, func(name string, value []byte) error {
		if members == nil {
			members = make([]Member, 0, 4)
		}
		members = append(members, Member{name, value})
		return nil
	})
	if err != nil {
		return nil, err
	}
	return members, nil
}

// Each calls member for each member of an object, until the function returns an error. The
// values are slices of data.
func Each(data []byte, member func(name string, value []byte) error) error {
	c := cursor{data, 0}
	for first := true; ; first = false {
		name, more, err := c.member(first)
		if err != nil {
			return err
		}
		if !more {
			return c.end()
		}
		value, err := c.value()
		if err != nil {
			return err
		}
		if err := member(name, value); err != nil {
			return err
		}
	}
}

// Elements returns the elements of an array. The elements are slices of data.
func Elements(data []byte) ([][]byte, error) {
	c := cursor{data, 0}
	elements, err := c.elements()
	if err != nil {
		return nil, err
	}
	return elements, c.end()
}

// cursor splits JSON that [Valid] has accepted. A response is checked once when it
// arrives, and then split many times. If the JSON is not valid, cursor returns an error or
// wrong parts of data, but does not read outside of data.
type cursor struct {
	data []byte
	at   int
}

var errMalformed = errors.New("malformed JSON")

// skipSpace moves to the next byte that is not white space.
func (c *cursor) skipSpace() {
	for c.at < len(c.data) {
		switch c.data[c.at] {
		case ' ', '\t', '\r', '\n':
			c.at++
		default:
			return
		}
	}
}

// take moves past the next byte if it is b, and reports whether it was.
func (c *cursor) take(b byte) bool {
	c.skipSpace()
	if c.at == len(c.data) || c.data[c.at] != b {
		return false
	}
	c.at++
	return true
}

// next moves to the next member of an object or the next element of a list, and reports
// whether there is one.
func (c *cursor) next(begin, end byte, first bool) (bool, error) {
	if first && !c.take(begin) {
		switch kind := jsontext.Value(c.data).Kind(); kind {
		case 0:
			return false, io.ErrUnexpectedEOF
		default:
			return false, fmt.Errorf("a JSON %s was expected, not a %s", jsontext.Kind(begin), kind)
		}
	}
	if c.take(end) {
		return false, nil
	}
	if !first && !c.take(',') {
		return false, errMalformed
	}
	return true, nil
}

// end returns an error if anything but white space follows.
func (c *cursor) end() error {
	if c.skipSpace(); c.at < len(c.data) {
		return errors.New("more than one JSON value")
	}
	return nil
}

// member returns the name of the next member of an object, if there is one, and moves to
// its value.
func (c *cursor) member(first bool) (name string, more bool, err error) {
	if more, err := c.next('{', '}', first); err != nil || !more {
		return "", false, err
	}
	quoted, err := c.value()
	if err != nil {
		return "", false, err
	}
	if quoted[0] != '"' || !c.take(':') {
		return "", false, errMalformed
	}
	return nameOf(quoted), true, nil
}

// elements moves past an array and returns its elements.
func (c *cursor) elements() ([][]byte, error) {
	var elements [][]byte
	for first := true; ; first = false {
		more, err := c.next('[', ']', first)
		if err != nil || !more {
			return elements, err
		}
		value, err := c.value()
		if err != nil {
			return nil, err
		}
		if elements == nil {
			elements = make([][]byte, 0, 8)
		}
		elements = append(elements, value)
	}
}

// value moves past one value and returns it.
func (c *cursor) value() ([]byte, error) {
	c.skipSpace()
	start := c.at
	if start == len(c.data) {
		return nil, errMalformed
	}
	switch c.data[start] {
	case '"':
		if !c.text() {
			return nil, errMalformed
		}
	case '{', '[':
		if !c.compound() {
			return nil, errMalformed
		}
	case '}', ']', ',', ':':
		return nil, errMalformed
	default:
		c.at++
		for c.at < len(c.data) && !delimits[c.data[c.at]] {
			c.at++
		}
	}
	return c.data[start:c.at:c.at], nil
}

// compound moves past an object or a list, and reports whether it has an end.
func (c *cursor) compound() bool {
	data, depth := c.data, 0
	for i := c.at; i < len(data); i++ {
		if !marks[data[i]] {
			continue
		}
		switch data[i] {
		case '{', '[':
			depth++
		case '}', ']':
			if depth--; depth == 0 {
				c.at = i + 1
				return true
			}
		default:
			for short := min(len(data), i+24); ; {
				if i++; i >= short {
					if !c.textFrom(i) {
						return false
					}
					i = c.at - 1
					break
				}
				if data[i] == '"' {
					break
				}
				if data[i] == '\\' {
					i++
				}
			}
		}
	}
	return false
}

// marks contains the bytes that compound must examine to find the end of an object or a
// list.
var marks = [256]bool{'{': true, '[': true, '}': true, ']': true, '"': true}

// text moves past a string, and reports whether it has an end.
func (c *cursor) text() bool {
	i := c.at + 1
	for short := min(len(c.data), i+32); i < short; i++ {
		switch c.data[i] {
		case '"':
			c.at = i + 1
			return true
		case '\\':
			i++
		}
	}
	return c.textFrom(i)
}

// textFrom moves past the rest of a string, which starts at i. It searches with
// bytes.IndexByte, because the string may be as long as a certificate.
func (c *cursor) textFrom(i int) bool {
	for i < len(c.data) {
		end := bytes.IndexByte(c.data[i:], '"')
		if end < 0 {
			return false
		}
		end += i
		for i <= end { // until a quote that is not escaped
			escape := bytes.IndexByte(c.data[i:end], '\\')
			if escape < 0 {
				c.at = end + 1
				return true
			}
			i += escape + 2
		}
	}
	return false
}

// delimits contains the bytes that end a number, true, false or null.
var delimits = [256]bool{' ': true, '\t': true, '\r': true, '\n': true, ',': true, ':': true, '}': true, ']': true, '{': true, '[': true, '"': true}

// nameOf returns the name of a member. It caches names, because the API has few of them.
func nameOf(quoted []byte) string {
	text := quoted[1 : len(quoted)-1]
	if len(text) > maxName || bytes.IndexByte(text, '\\') >= 0 {
		name, _ := unquote(quoted)
		return name
	}
	hash := uint32(2166136261) // FNV-1a
	for _, b := range text {
		hash = (hash ^ uint32(b)) * 16777619
	}
	place := &names[(hash^hash>>16)%uint32(len(names))]
	if known := place.Load(); known != nil && *known == string(text) {
		return *known
	}
	name := string(text)
	place.Store(&name)
	return name
}

// names is the cache of nameOf. It holds one name for each hash, so that an appliance that
// sends many different names cannot fill the memory.
var names [4096]atomic.Pointer[string]

// maxName is the maximum length in bytes of a name in the cache.
const maxName = 64

// Plain returns a value with its strings written in the shortest way, as [Codec] writes
// them. It returns a value that is not JSON unchanged.
func Plain(value []byte) []byte {
	plain, err := jsontext.AppendFormat(nil, value)
	if err != nil {
		return value
	}
	return plain
}

// quote returns text as a JSON string.
func quote(text string) []byte {
	quoted, err := jsontext.AppendQuote(nil, text)
	if err != nil {
		// AppendQuote returns an error only for invalid UTF-8. It has then replaced the
		// invalid bytes, so quoted can be used.
		return quoted
	}
	return quoted
}
