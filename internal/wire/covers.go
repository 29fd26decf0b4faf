package wire

// Covers reports whether the value have contains the value want. Each member of an object in
// want must be in the same object of have. Lists, strings and numbers must be equal. The
// objects of have may contain further members.
func Covers(have, want []byte) bool { return covers(have, want, nil, 0) }

// CoversBut is like [Covers], but ignores a string of want if skip returns true for it. The
// value have may then contain any other value in its place, or no value.
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
