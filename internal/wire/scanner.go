package wire

// Scanner reads checked JSON once, from left to right. Use it for types that a program
// decodes hundreds of thousands of times, because it does not scan an object or a list a
// second time. If the next value is not of the requested kind, the scanner does not move.
type Scanner struct {
	c     cursor
	first bool // whether the innermost object or list was entered and nothing in it has been read
	bad   bool // the JSON is malformed
}

// Reset makes the scanner start at the beginning of data.
func (s *Scanner) Reset(data []byte) { *s = Scanner{c: cursor{data: data}} }

// Kind returns the kind of the next value, or 0 if there is none.
func (s *Scanner) Kind() byte {
	s.c.skipSpace()
	if s.c.at == len(s.c.data) {
		return 0
	}
	switch b := s.c.data[s.c.at]; {
	case b == '-' || b >= '0' && b <= '9':
		return Number
	default:
		return b
	}
}

// Enter moves into the next value and returns true if the value has the given kind,
// [Object] or [Array]. Otherwise it returns false.
func (s *Scanner) Enter(kind byte) bool {
	s.first = s.c.take(kind)
	return s.first
}

// Member moves to the value of the next member of the innermost object, and returns the
// name of the member, which may alias the data. ok is false at the end of the object.
func (s *Scanner) Member() (name []byte, ok bool) {
	if !s.more(Object) {
		return nil, false
	}
	quoted, escaped, ok := s.Text()
	if !ok || !s.c.take(':') {
		return nil, s.fail()
	}
	name = quoted[1 : len(quoted)-1]
	if escaped {
		text, _ := unquote(quoted)
		name = []byte(text)
	}
	return name, true
}

// Element moves to the next element of the innermost list. It returns false at the end of
// the list.
func (s *Scanner) Element() bool { return s.more(Array) }

// Text moves past the next value if it is a string. It returns the string with its quotes,
// and whether it contains an escape sequence.
func (s *Scanner) Text() (quoted []byte, escaped, ok bool) {
	s.c.skipSpace()
	data := s.c.data[s.c.at:]
	if len(data) == 0 || data[0] != String {
		return nil, false, false
	}
	for i := 1; i < len(data); i++ {
		switch data[i] {
		case '"':
			s.c.at += i + 1
			return data[: i+1 : i+1], escaped, true
		case '\\':
			escaped = true
			i++
		}
	}
	return nil, false, s.fail()
}

// Value moves past the next value and returns it. The value aliases the data. It is nil if
// there is no next value.
func (s *Scanner) Value() []byte {
	value, err := s.c.value()
	if err != nil {
		s.fail()
		return nil
	}
	return value
}

// Close returns an error if the JSON was malformed or was not read to its end.
func (s *Scanner) Close() error {
	if s.bad || s.Kind() != 0 {
		return errMalformed
	}
	return nil
}

// more moves to the next member of an object or the next element of a list and returns
// true, or moves past the end of the object or list and returns false.
func (s *Scanner) more(kind byte) bool {
	first := s.first
	s.first = false
	switch {
	case s.bad || s.c.take(kind+2): // in ASCII, } is { + 2, and ] is [ + 2
		return false
	case !first && !s.c.take(','):
		return s.fail()
	}
	return true
}

// fail marks the JSON as malformed, moves to the end of the data and returns false.
func (s *Scanner) fail() bool {
	s.bad, s.c.at = true, len(s.c.data)
	return false
}
