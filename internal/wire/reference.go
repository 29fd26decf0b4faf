package wire

import (
	"bytes"
	"errors"
	"strings"
)

// BareReferences replaces the references in a body by their keys. A response has
// {"key":"-100","meta":{"href":"/api/…"}} for a reference, and a request must send "-100".
// The body itself is not treated as a reference.
func BareReferences(body []byte) ([]byte, error) {
	if !bytes.Contains(body, []byte(`"meta"`)) {
		return body, nil
	}
	return bareReferences(body, 0)
}

// maxDepth limits the nesting of values that functions of this package process, because
// they read a value once for each level above it.
const maxDepth = 100

var errDepth = errors.New("nested more than 100 levels deep")

func bareReferences(value []byte, depth int) ([]byte, error) {
	if depth > maxDepth {
		return nil, errDepth
	}
	switch Kind(value) {
	case Object:
		members, err := Members(value)
		if err != nil {
			return nil, err
		}
		if depth > 0 {
			if key := referenceKey(members); key != nil {
				return key, nil
			}
		}
		changed := false
		for i := range members {
			bare, err := bareReferences(members[i].Value, depth+1)
			if err != nil {
				return nil, err
			}
			changed = changed || !same(bare, members[i].Value)
			members[i].Value = bare
		}
		if changed {
			return Join(members), nil
		}
	case Array:
		elements, err := Elements(value)
		if err != nil {
			return nil, err
		}
		changed := false
		for i := range elements {
			bare, err := bareReferences(elements[i], depth+1)
			if err != nil {
				return nil, err
			}
			changed = changed || !same(bare, elements[i])
			elements[i] = bare
		}
		if changed {
			return joinArray(elements), nil
		}
	}
	return value, nil
}

// referenceKey returns the key of an object that is a reference, or nil. A reference has
// key and meta as its only members, and meta.href is a path of the API. An unset reference
// is {"key":null,"meta":{}}.
func referenceKey(members []Member) []byte {
	if len(members) != 2 {
		return nil
	}
	key, meta := Find(members, "key"), Find(members, "meta")
	if key == nil || Kind(meta) != Object {
		return nil
	}
	inner, err := Members(meta)
	if err != nil {
		return nil
	}
	switch Kind(key) {
	case Null:
		if len(inner) == 0 {
			return key
		}
	case String, Number:
		if href, ok := Text(Find(inner, "href")); ok && strings.HasPrefix(href, "/api/") {
			return key
		}
	}
	return nil
}

// same reports whether a and b are the same slice of memory, not only equal in content.
func same(a, b []byte) bool {
	return len(a) == len(b) && (len(a) == 0 || &a[0] == &b[0])
}

// Join returns the JSON object with the members.
func Join(members []Member) []byte {
	size := 2
	for _, m := range members {
		size += len(m.Name) + len(m.Value) + 4
	}
	out := append(make([]byte, 0, size), '{')
	for i, m := range members {
		if i > 0 {
			out = append(out, ',')
		}
		out = append(out, quote(m.Name)...)
		out = append(out, ':')
		out = append(out, m.Value...)
	}
	return append(out, '}')
}

// joinArray returns the JSON list with the elements.
func joinArray(elements [][]byte) []byte {
	size := 2
	for _, e := range elements {
		size += len(e) + 1
	}
	out := append(make([]byte, 0, size), '[')
	for i, e := range elements {
		if i > 0 {
			out = append(out, ',')
		}
		out = append(out, e...)
	}
	return append(out, ']')
}
