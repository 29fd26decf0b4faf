package wire

// Scanner goes through checked JSON once, from left to right, for types that are read
// by the hundred thousand: what it enters is not looked at twice. Where the next value
// is not of the kind that is asked for, it stays before it.
type Scanner struct {
	c     cursor
	first bool // nothing of what was entered last is read yet
	bad   bool // the JSON was not checked
}

// Reset lets the scanner begin with a value.
func (s *Scanner) Reset(data []byte) { *s = Scanner{c: cursor{data: data}} }

// Kind returns the kind of the next value, 0 for none.
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

// Enter goes into the next value if it is of the kind, [Object] or [Array].
func (s *Scanner) Enter(kind byte) bool {
	s.first = s.c.take(kind)
	return s.first
}

// Member goes to the next member of the object that was entered last and is not over,
// and returns its name, which may alias the data. The next value is then the member's.
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

// Element goes to the next element of the list that was entered last and is not over.
func (s *Scanner) Element() bool { return s.more(Array) }

// Text goes beyond the next value if it is a string, and returns it with its quotes, and
// whether anything in it is escaped.
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

// Value goes beyond the next value and returns it. It aliases the data, and is nil
// where there is none.
func (s *Scanner) Value() []byte {
	value, err := s.c.value()
	if err != nil {
		s.fail()
		return nil
	}
	return value
}

// Close reports whether all of the value was read, and that it could be.
func (s *Scanner) Close() error {
	if s.bad || s.Kind() != 0 {
		return errMalformed
	}
	return nil
}

// more goes to the next part of an object or a list, or beyond its end.
func (s *Scanner) more(kind byte) bool {
	first := s.first
	s.first = false
	switch {
	case s.bad || s.c.take(kind+2): // in ASCII, } stands two after {, and ] two after [
		return false
	case !first && !s.c.take(','):
		return s.fail()
	}
	return true
}

func (s *Scanner) fail() bool {
	s.bad, s.c.at = true, len(s.c.data)
	return false
}
