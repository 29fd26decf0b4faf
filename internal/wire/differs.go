package wire

import "bytes"

// Differs reports whether two JSON forms of a value differ in a string, a number, a boolean
// or the elements of a list. It ignores members that only one form has, because one form
// may show more than the other.
func Differs(a, b []byte) bool { return differs(a, b, 0) }

func differs(a, b []byte, depth int) bool {
	kind := Kind(a)
	if depth > maxDepth {
		return false
	}
	if Kind(b) != kind {
		return true
	}
	switch kind {
	case Object:
		as, aerr := Members(a)
		bs, berr := Members(b)
		if aerr != nil || berr != nil {
			return aerr != berr
		}
		named := index(bs)
		for _, m := range as {
			if other, ok := named[m.Name]; ok && differs(m.Value, other, depth+1) {
				return true
			}
		}
		return false
	case Array:
		as, aerr := Elements(a)
		bs, berr := Elements(b)
		if aerr != nil || berr != nil || len(as) != len(bs) {
			return true
		}
		for i := range as {
			if differs(as[i], bs[i], depth+1) {
				return true
			}
		}
		return false
	}
	return !sameScalar(a, b, kind)
}

// sameScalar reports whether two strings or numbers have the same value, even if their
// spelling differs.
func sameScalar(a, b []byte, kind byte) bool {
	switch kind {
	case String:
		x, _ := Text(a)
		y, _ := Text(b)
		return x == y
	case Number:
		return bytes.Equal(a, b) || plainNumber(a) == plainNumber(b)
	}
	return bytes.Equal(bytes.TrimSpace(a), bytes.TrimSpace(b))
}

// At returns the value at a place within another value, or nil. Steps are names of
// members or positions in lists.
func At(value []byte, steps []string) []byte {
	for _, step := range steps {
		switch Kind(value) {
		case Object:
			members, err := Members(value)
			if err != nil {
				return nil
			}
			value = Find(members, step)
		case Array:
			elements, err := Elements(value)
			i, ok := position(step, len(elements))
			if err != nil || !ok {
				return nil
			}
			value = elements[i]
		default:
			return nil
		}
	}
	return value
}

// position parses step as an index into a list with length elements.
func position(step string, length int) (int, bool) {
	i := 0
	for _, digit := range []byte(step) {
		if digit < '0' || digit > '9' || i > length {
			return 0, false
		}
		i = i*10 + int(digit-'0')
	}
	return i, step != "" && i < length
}
