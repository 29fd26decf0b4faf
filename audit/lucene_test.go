package audit_test

import (
	"fmt"
	"strings"
	"unicode/utf8"
)

// This file has a small parser of the query language. It follows the syntax of Lucene and
// does not use the code of the package. The tests use it to check the meaning of the
// filters that the package writes.

// parsed is the syntax tree of a query. Operands is set for the kinds and, or and not.
// For the kind everything, only Kind is set.
type parsed struct {
	Kind     string // everything, and, or, not, text, pattern, range
	Field    string
	Text     string // in a pattern, the constants many and one stand for the wildcards * and ?
	From, To string // "*" for an open end
	Operands []parsed
}

const (
	many = '\uE000'
	one  = '\uE001'
)

// special are the special characters of the query language. The characters - + < > and =
// are special only at the beginning of a term.
const special = "+-&|!(){}[]^\"~*?:\\/<>="

type luceneParser struct {
	rest string
	err  error
}

// parseQuery reads a query. It is stricter than Lucene: a mixture of AND and OR needs
// parentheses, and so does a mixture of NOT and OR.
func parseQuery(text string) (parsed, error) {
	p := &luceneParser{rest: text}
	if p.space(); p.rest == "" {
		return parsed{Kind: "everything"}, nil
	}
	q := p.operands()
	if p.space(); p.err == nil && p.rest != "" {
		p.fail("%q is left", p.rest)
	}
	return q, p.err
}

func (p *luceneParser) fail(format string, args ...any) {
	if p.err == nil {
		p.err = fmt.Errorf(format, args...)
	}
	p.rest = ""
}

func (p *luceneParser) space() { p.rest = strings.TrimLeft(p.rest, " \t\r\n\u3000") }

func (p *luceneParser) take(prefix string) bool {
	rest, ok := strings.CutPrefix(p.rest, prefix)
	if ok {
		p.rest = rest
	}
	return ok
}

// operands reads operands that are joined by the same operator.
func (p *luceneParser) operands() parsed {
	q := parsed{Operands: []parsed{p.operand()}}
	for p.err == nil {
		p.space()
		kind := ""
		switch {
		case p.take("AND "):
			kind = "and"
		case p.take("OR "):
			kind = "or"
		default:
			if q.Kind == "" {
				return q.Operands[0]
			}
			return q
		}
		if q.Kind != "" && q.Kind != kind {
			p.fail("AND and OR without parentheses")
		}
		q.Kind = kind
		q.Operands = append(q.Operands, p.operand())
	}
	return q
}

func (p *luceneParser) operand() parsed {
	p.space()
	switch {
	case p.take("NOT "):
		return parsed{Kind: "not", Operands: []parsed{p.operand()}}
	case p.take("("):
		q := p.operands()
		if p.space(); !p.take(")") {
			p.fail("a parenthesis is not closed at %q", p.rest)
		}
		return q
	}
	colon := strings.IndexByte(p.rest, ':')
	if colon <= 0 || strings.ContainsAny(p.rest[:colon], special+" ") {
		p.fail("no field at %q", p.rest)
		return parsed{}
	}
	q := parsed{Field: p.rest[:colon]}
	p.rest = p.rest[colon+1:]
	switch {
	case p.take("["):
		return p.between(q)
	case p.take(`"`):
		q.Kind, q.Text = "text", p.quoted()
		return q
	}
	return p.term(q)
}

// between reads a range: [from TO to].
func (p *luceneParser) between(q parsed) parsed {
	inside, rest, ok := strings.Cut(p.rest, "]")
	from, to, both := strings.Cut(inside, " TO ")
	if !ok || !both || from == "" || to == "" || strings.ContainsAny(from+to, " []{}\"") {
		p.fail("no range at %q", p.rest)
	}
	q.Kind, q.From, q.To, p.rest = "range", from, to, rest
	p.end()
	return q
}

func (p *luceneParser) quoted() string {
	var text strings.Builder
	for i := 0; i < len(p.rest); i++ {
		switch c := p.rest[i]; {
		case c == '"':
			p.rest = p.rest[i+1:]
			p.end()
			return text.String()
		case c == '\\' && i+1 < len(p.rest):
			i++
			if p.rest[i] == 'u' {
				p.fail("a Unicode escape")
				return ""
			}
			text.WriteByte(p.rest[i])
		default:
			text.WriteByte(c)
		}
	}
	p.fail("a quote is open")
	return ""
}

func (p *luceneParser) term(q parsed) parsed {
	var text strings.Builder
	wild, i := false, 0
	for i < len(p.rest) {
		r, size := utf8.DecodeRuneInString(p.rest[i:])
		if strings.ContainsRune(" \t\r\n\u3000)", r) {
			break
		}
		i += size
		switch {
		case r == '\\':
			next, size := utf8.DecodeRuneInString(p.rest[i:])
			if size == 0 || next == 'u' {
				p.fail("a backslash escapes nothing at %q", p.rest)
			}
			i += size
			text.WriteRune(next)
		case r == '*':
			wild = true
			text.WriteRune(many)
		case r == '?':
			wild = true
			text.WriteRune(one)
		case strings.ContainsRune(special, r) && (r != '-' && r != '+' || text.Len() == 0):
			p.fail("the special character %q is not escaped at %q", r, p.rest)
			return q
		default:
			text.WriteRune(r)
		}
		if wild && text.Len() == utf8.RuneLen(many) && i == size {
			p.fail("a value begins with a wildcard at %q", p.rest)
		}
	}
	q.Kind, q.Text = "text", text.String()
	if wild {
		q.Kind = "pattern"
	}
	switch {
	case q.Text == "":
		p.fail("no value at %q", p.rest)
	case q.Kind == "text" && strings.Contains(" AND OR NOT TO ", " "+p.rest[:i]+" "):
		p.fail("an operator instead of a value at %q", p.rest)
	}
	p.rest = p.rest[i:]
	return q
}

// end fails if a value is followed by a character such as ~ or ^. Only a space or a
// closing parenthesis may follow.
func (p *luceneParser) end() {
	if p.rest != "" && p.rest[0] != ' ' && p.rest[0] != ')' {
		p.fail("a value is followed by an unexpected character at %q", p.rest)
	}
}
