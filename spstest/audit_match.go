package spstest

import (
	"fmt"
	"math"
	"slices"
	"strconv"
	"strings"
	"time"
	"unicode"
	"unicode/utf8"
)

// timeForms are the accepted forms of times, with the precision of each.
var timeForms = []struct {
	layout string
	open   func(time.Time) time.Time // the first instant behind what is meant; nil: one millisecond
}{
	{time.RFC3339Nano, nil}, // with any number of digits behind the second, and none
	{"2006-01-02T15:04:05.999999999", nil},
	{"2006-01-02T15:04Z07:00", func(t time.Time) time.Time { return t.Add(time.Minute) }},
	{"2006-01-02T15:04", func(t time.Time) time.Time { return t.Add(time.Minute) }},
	{"2006-01-02", func(t time.Time) time.Time { return t.AddDate(0, 0, 1) }},
	{"2006-01", func(t time.Time) time.Time { return t.AddDate(0, 1, 0) }},
	{"2006", func(t time.Time) time.Time { return t.AddDate(1, 0, 0) }},
}

// readTime reads a time in ISO 8601, or in milliseconds since 1970: the first millisecond
// that is meant, and the first one behind. Without a zone it is in UTC.
func readTime(s string) (from, to int64, ok bool) {
	for _, form := range timeForms {
		t, err := time.Parse(form.layout, s)
		if err != nil {
			continue
		}
		if form.open != nil {
			return t.UnixMilli(), form.open(t).UnixMilli(), true
		}
		from = t.UnixMilli()
		if t.Nanosecond() == 0 && !strings.Contains(s, ".") {
			return from, from + 1000, true
		}
		return from, from + 1, true
	}
	if n, err := strconv.ParseInt(s, 10, 64); err == nil && len(s) > 4 {
		return n, n + 1, true
	}
	return 0, 0, false
}

// matcher tells whether a session is meant.
type matcher func(*auditView) bool

// matching is how the language is read.
type matching struct {
	store       *auditStore
	anywheres   int      // terms without a field so far
	words       bool     // a phrase may be a part of a value
	noSuchField bool     // a field that does not exist is an error
	noRanges    []string // the fields of time that have no ranges
}

// compile turns a query into a matcher; nil matches everything.
func (m *matching) compile(node queryNode) (matcher, error) {
	switch node := node.(type) {
	case nil:
		return nil, nil
	case queryAll:
		return m.compileAll(node)
	case queryAny:
		return m.compileAny(node)
	case queryNot:
		inner, err := m.compile(node.node)
		return func(v *auditView) bool { return !inner(v) }, err
	case queryTerm:
		if node.field == "" {
			if m.anywheres++; m.anywheres > maxAnywhere {
				return nil, fmt.Errorf("the query has more than %d terms without a field", maxAnywhere)
			}
			return m.anywhere(node), nil
		}
		return m.compileTerm(node)
	case queryRange:
		return m.compileRange(node)
	case queryExists:
		f, err := m.field(node.field)
		if f == nil {
			return nothing, err
		}
		return func(v *auditView) bool { return v.value(f).exists() }, nil
	}
	panic(fmt.Sprintf("spstest: query of %T", node)) // only a bug of this package gets here
}

func nothing(*auditView) bool { return false }

func (m *matching) compileEach(nodes []queryNode) ([]matcher, error) {
	matchers := make([]matcher, len(nodes))
	for i, node := range nodes {
		var err error
		if matchers[i], err = m.compile(node); err != nil {
			return nil, err
		}
	}
	return matchers, nil
}

func (m *matching) compileAll(nodes []queryNode) (matcher, error) {
	all, err := m.compileEach(nodes)
	return func(v *auditView) bool {
		for _, match := range all {
			if !match(v) {
				return false
			}
		}
		return true
	}, err
}

func (m *matching) compileAny(nodes []queryNode) (matcher, error) {
	any, err := m.compileEach(nodes)
	return func(v *auditView) bool {
		for _, match := range any {
			if match(v) {
				return true
			}
		}
		return false
	}, err
}

// field finds a field; nil without an error is one that no session has.
func (m *matching) field(name string) (*auditField, error) {
	f := m.store.field(name)
	if f == nil && m.noSuchField {
		return nil, fmt.Errorf("there is no field %s", name)
	}
	return f, nil
}

// exists tells a value from none.
func (x auditValue) exists() bool {
	return x.kind != noValue && x.kind != nullValue && (x.kind != listValue || len(x.list) > 0)
}

// compileTerm compares a field with a word.
func (m *matching) compileTerm(term queryTerm) (matcher, error) {
	f, err := m.field(term.field)
	if f == nil {
		return nothing, err
	}
	word := term.word
	if word.wild == nil && (f.kind == numberValue || f.kind == timeValue) {
		return m.compileRange(queryRange{field: term.field, from: word.text, to: word.text})
	}
	switch {
	case f.kind == boolValue:
		wanted, err := strconv.ParseBool(word.text)
		if err != nil {
			return nil, fmt.Errorf("%q is no value for %s, which is true or false", word.text, term.field)
		}
		return func(v *auditView) bool { x := v.value(f); return x.kind == boolValue && (x.number != 0) == wanted }, nil
	case f.kind == numberValue || f.kind == timeValue:
		return nil, fmt.Errorf("%s takes no wildcards", term.field)
	case term.phrase && m.words:
		has := wordFinder(word.text)
		return func(v *auditView) bool { return v.value(f).some(has) }, nil
	}
	return func(v *auditView) bool { return v.value(f).some(word.matches) }, nil
}

// some tells whether one of the texts of a value is meant.
func (x auditValue) some(is func(string) bool) bool {
	switch x.kind {
	case textValue:
		return is(x.text)
	case listValue:
		return slices.ContainsFunc(x.list, is)
	}
	return false
}

// anywhere looks for a word in the texts of a session.
func (m *matching) anywhere(term queryTerm) matcher {
	has := term.finder()
	return func(v *auditView) bool {
		for i := range m.store.forms.fields {
			f := &m.store.forms.fields[i]
			if (f.kind == textValue || f.kind == listValue) && v.value(f).some(has) {
				return true
			}
		}
		return false
	}
}

// finder gives what tells whether a text has the word, or the words of the phrase in a
// row, in any case.
func (t queryTerm) finder() func(text string) bool {
	if t.phrase || t.word.wild == nil {
		return wordFinder(t.word.text)
	}
	lower := t.word
	lower.text = strings.ToLower(lower.text)
	return func(text string) bool {
		return slices.ContainsFunc(append(wordsOf(text), strings.ToLower(text)), lower.matches)
	}
}

func wordsOf(text string) []string {
	return strings.FieldsFunc(strings.ToLower(text), func(r rune) bool { return !unicode.IsLetter(r) && !unicode.IsDigit(r) })
}

// mayHave tells whether a text may have a part in any case; it is wrong about none that
// has it.
func mayHave(text, part string) bool {
	for i := range len(part) {
		if part[i] >= utf8.RuneSelf {
			return true
		}
	}
	for i := 0; i+len(part) <= len(text); i++ {
		if strings.EqualFold(text[i:i+len(part)], part) {
			return true
		}
	}
	return slices.ContainsFunc([]byte(text), func(b byte) bool { return b >= utf8.RuneSelf })
}

// wordFinder finds texts that have the words of another in a row.
func wordFinder(part string) func(text string) bool {
	wanted := wordsOf(part)
	if len(wanted) == 0 {
		return func(text string) bool { return strings.Contains(text, part) }
	}
	return func(text string) bool {
		if !mayHave(text, wanted[0]) {
			return false
		}
		words := wordsOf(text)
		for i := 0; i+len(wanted) <= len(words); i++ {
			if slices.Equal(words[i:i+len(wanted)], wanted) {
				return true
			}
		}
		return false
	}
}

// compileRange compares a field with two bounds.
func (m *matching) compileRange(r queryRange) (matcher, error) {
	f, err := m.field(r.field)
	switch {
	case f == nil:
		return nothing, err
	case r.openFrom && r.openTo:
		return func(v *auditView) bool { return v.value(f).exists() }, nil
	case f.kind == numberValue || f.kind == timeValue:
		from, to, err := m.bounds(f, r)
		return func(v *auditView) bool {
			x := v.value(f)
			return (x.kind == numberValue || x.kind == timeValue || x.kind == zonedTimeValue) && x.number >= from && x.number <= to
		}, err
	case f.kind == boolValue || f.kind == rawValue:
		return nil, fmt.Errorf("%s has no ranges", r.field)
	}
	return func(v *auditView) bool { return v.value(f).some(r.spans) }, nil
}

// bounds are the least and the largest number of a range.
func (m *matching) bounds(f *auditField, r queryRange) (from, to float64, err error) {
	if f.kind == timeValue && slices.Contains(m.noRanges, f.name) && (r.openFrom || r.openTo || r.from != r.to) {
		return 0, 0, fmt.Errorf("%s has no ranges", f.name)
	}
	from, to = math.Inf(-1), math.Inf(1)
	read := func(s string) (least, most float64) {
		if f.kind == timeValue {
			first, behind, ok := readTime(s)
			if !ok {
				err = fmt.Errorf("%q is no time for %s", s, f.name)
			}
			return float64(first), float64(behind - 1)
		}
		n, problem := strconv.ParseFloat(s, 64)
		if problem != nil || math.IsNaN(n) || math.IsInf(n, 0) {
			err = fmt.Errorf("%q is no number for %s", s, f.name)
		}
		return n, n
	}
	if !r.openFrom {
		least, most := read(r.from)
		if from = least; r.aboveFrom {
			from = math.Nextafter(most, math.Inf(1))
		}
	}
	if !r.openTo {
		least, most := read(r.to)
		if to = most; r.belowTo {
			to = math.Nextafter(least, math.Inf(-1))
		}
	}
	return from, to, err
}

// spans tells whether a text is in the range.
func (r queryRange) spans(text string) bool {
	if c := strings.Compare(text, r.from); !r.openFrom && (c < 0 || c == 0 && r.aboveFrom) {
		return false
	}
	c := strings.Compare(text, r.to)
	return r.openTo || c < 0 || c == 0 && !r.belowTo
}

// period is what a query demands of the start of the sessions: nothing outside of it
// matches.
func (m *matching) period(node queryNode) (from, to float64) {
	from, to = math.Inf(-1), math.Inf(1)
	switch node := node.(type) {
	case queryAll:
		for _, part := range node {
			least, most := m.period(part)
			from, to = max(from, least), min(to, most)
		}
	case queryRange:
		if f := m.store.field(node.field); f != nil && f.name == fieldStart {
			from, to, _ = m.bounds(f, node) // compile tells of the error
		}
	}
	return from, to
}
