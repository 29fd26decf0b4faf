package wire

// Covers reports whether have contains everything in want: every member of its objects,
// and equal lists, strings and numbers. have may contain more.
func Covers(have, want []byte) bool { return covers(have, want, 0) }

func covers(have, want []byte, depth int) bool {
	kind := Kind(want)
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
			if !covers(named[m.Name], m.Value, depth+1) {
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
			if !covers(had[i], wanted[i], depth+1) {
				return false
			}
		}
		return true
	}
	return sameScalar(have, want, kind)
}
