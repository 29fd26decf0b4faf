package wire

// Covers reports whether have contains all of want: the members of its objects, and equal
// lists, strings and numbers. Objects in have may contain further members.
func Covers(have, want []byte) bool { return covers(have, want, nil, 0) }

// CoversBut is like [Covers], but ignores the strings of want for which skip returns true.
// In their place, have may contain any value or none.
func CoversBut(have, want []byte, skip func(text string) bool) bool {
	return covers(have, want, skip, 0)
}

func covers(have, want []byte, skip func(string) bool, depth int) bool {
	kind := Kind(want)
	if skip != nil && kind == String {
		if text, ok := Text(want); ok && skip(text) {
			return true
		}
	}
	if depth > maxDepth || Kind(have) != kind {
		return false
	}
	switch kind {
	case Object:
		wanted, err := Members(want)
		if err != nil {
			return false
		}
		had, err := Members(have)
		if err != nil {
			return false
		}
		named := index(had)
		for _, m := range wanted {
			if !covers(named[m.Name], m.Value, skip, depth+1) {
				return false
			}
		}
		return true
	case Array:
		wanted, err := Elements(want)
		if err != nil {
			return false
		}
		had, err := Elements(have)
		if err != nil || len(had) != len(wanted) {
			return false
		}
		for i := range wanted {
			if !covers(had[i], wanted[i], skip, depth+1) {
				return false
			}
		}
		return true
	}
	return sameScalar(have, want, kind)
}
