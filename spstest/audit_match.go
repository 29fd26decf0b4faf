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

// timeForms are the accepted formats of times, with the precision of each.
var timeForms = []struct {
	layout string
	open   func(time.Time) time.Time // returns the end of the period that a text means; nil means one second, or one millisecond if the text has a fraction
}{
	{time.RFC3339Nano, nil}, // also without fractions of a second
	{"2006-01-02T15:04:05.999999999", nil},
	{"2006-01-02T15:04Z07:00", func(t time.Time) time.Time { return t.Add(time.Minute) }},
	{"2006-01-02T15:04", func(t time.Time) time.Time { return t.Add(time.Minute) }},
	{"2006-01-02", func(t time.Time) time.Time { return t.AddDate(0, 0, 1) }},
	{"2006-01", func(t time.Time) time.Time { return t.AddDate(0, 1, 0) }},
	{"2006", func(t time.Time) time.Time { return t.AddDate(1, 0, 0) }},
}

// readTime reads a time in ISO 8601, or in milliseconds since 1970. from is the first
// millisecond of the period that the text means, and to is the first millisecond after
// it. A time without a zone is in UTC.
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

// matcher reports whether a session matches a query.
type matcher func(*auditView) bool

// matching compiles queries, with the interpretation that the variants select.
type matching struct {
	store       *auditStore
	anywheres   int      // the number of terms without a field so far
	words       bool     // a phrase also matches a part of a value
	noSuchField bool     // an unknown field is an error
	noRanges    []string // the time fields that do not accept ranges
}

// compile returns a matcher for a query, or nil if the query is empty and matches all
// sessions.
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
	panic(fmt.Sprintf("spstest: query of %T", node)) // reached only by a bug in this package
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

// field returns the field with a name. It returns nil without an error for an unknown
// field that no session matches.
func (m *matching) field(name string) (*auditField, error) {
	f := m.store.field(name)
	if f == nil && m.noSuchField {
		return nil, fmt.Errorf("unknown field %s", name)
	}
	return f, nil
}

// exists reports whether there is a value: null and an empty list are not values.
func (x auditValue) exists() bool {
	return x.kind != noValue && x.kind != nullValue && (x.kind != listValue || len(x.list) > 0)
}

// compileTerm returns a matcher that compares a field with a word or phrase.
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
			return nil, fmt.Errorf("%q is not a value of %s: want true or false", word.text, term.field)
		}
		return func(v *auditView) bool { x := v.value(f); return x.kind == boolValue && (x.number != 0) == wanted }, nil
	case f.kind == numberValue || f.kind == timeValue:
		return nil, fmt.Errorf("the field %s does not accept wildcards", term.field)
	case term.phrase && m.words:
		has := wordFinder(word.text)
		return func(v *auditView) bool { return v.value(f).some(has) }, nil
	}
	return func(v *auditView) bool { return v.value(f).some(word.matches) }, nil
}

// some reports whether one of the texts of a value satisfies the condition.
func (x auditValue) some(condition func(string) bool) bool {
	switch x.kind {
	case textValue:
		return condition(x.text)
	case listValue:
		return slices.ContainsFunc(x.list, condition)
	}
	return false
}

// anywhere returns a matcher that looks for a word in all texts of a session.
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

// finder returns a function that reports whether a text contains the word, or contains the
// words of the phrase one after the other. The function ignores case.
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

// mayHave is a quick check before a slow comparison that ignores case. If mayHave returns
// false, text does not contain part. If it returns true, text may contain part.
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

// wordFinder returns a function that reports whether a text contains the words of part one
// after the other. The function ignores case.
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

// compileRange returns a matcher that compares a field with two bounds.
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
		return nil, fmt.Errorf("the field %s does not accept ranges", r.field)
	}
	return func(v *auditView) bool { return v.value(f).some(r.spans) }, nil
}

// bounds returns the smallest and the largest number in a range.
func (m *matching) bounds(f *auditField, r queryRange) (from, to float64, err error) {
	if f.kind == timeValue && slices.Contains(m.noRanges, f.name) && (r.openFrom || r.openTo || r.from != r.to) {
		return 0, 0, fmt.Errorf("the field %s does not accept ranges", f.name)
	}
	from, to = math.Inf(-1), math.Inf(1)
	read := func(s string) (least, most float64) {
		if f.kind == timeValue {
			first, behind, ok := readTime(s)
			if !ok {
				err = fmt.Errorf("%q is not a time for the field %s", s, f.name)
			}
			return float64(first), float64(behind - 1)
		}
		n, problem := strconv.ParseFloat(s, 64)
		if problem != nil || math.IsNaN(n) || math.IsInf(n, 0) {
			err = fmt.Errorf("%q is not a number for the field %s", s, f.name)
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

// spans reports whether a text is in the range.
func (r queryRange) spans(text string) bool {
	if c := strings.Compare(text, r.from); !r.openFrom && (c < 0 || c == 0 && r.aboveFrom) {
		return false
	}
	c := strings.Compare(text, r.to)
	return r.openTo || c < 0 || c == 0 && !r.belowTo
}

// period returns the range of start times that a query permits. Sessions that start
// outside of it do not match the query.
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
			from, to, _ = m.bounds(f, node) // compile returns the error
		}
	}
	return from, to
}
