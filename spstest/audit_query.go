package spstest

import (
	"errors"
	"fmt"
	"strings"
	"unicode/utf8"
)

// This file parses the query language of the parameter q, as far as the guides describe it.
// It is the language of Lucene without fuzzy terms, boosts, regular expressions and date
// arithmetic.

// Limits of a query.
const (
	maxQueryDepth   = 100
	maxQueryClauses = 1024
	maxAnywhere     = 32 // the maximum number of terms without a field, which are compared with each field
)

// queryNode is a node of a parsed query: one of the types below.
type queryNode any

type (
	// queryAll, queryAny and queryNot combine other nodes.
	queryAll []queryNode
	queryAny []queryNode
	queryNot struct{ node queryNode }

	// queryTerm is a word or a phrase in a field. The field "" means any field.
	queryTerm struct {
		field  string
		word   queryWord
		phrase bool
	}
	// queryRange is a range of values of a field.
	queryRange struct {
		field     string
		from, to  string
		openFrom  bool // there is no lower bound
		openTo    bool // there is no upper bound
		aboveFrom bool // the lower bound itself is outside of the range
		belowTo   bool // the upper bound itself is outside of the range
	}
	// queryExists matches sessions that have a value in a field.
	queryExists struct{ field string }
)

// queryWord is a word of a query after its escapes were removed.
type queryWord struct {
	text string
	wild []bool // for each byte of the text, whether it is a wildcard; nil if there are no wildcards
}

// Reserved words of the query language.
const (
	wordAnd = "AND"
	wordOr  = "OR"
	wordNot = "NOT"
	wordTo  = "TO"
)

// queryParser parses a query.
type queryParser struct {
	rest    string
	all     bool // clauses without an operator between them are joined by AND instead of OR
	noNot   bool // a query with only negative clauses matches no session
	clauses int
}

// parseQuery parses a query. It returns nil for an empty query. If all is true, clauses
// without an operator between them are joined by AND instead of OR. If noNot is true, a
// query with only negative clauses matches no session.
func parseQuery(q string, all, noNot bool) (queryNode, error) {
	if !utf8.ValidString(q) {
		return nil, errors.New("the query is not valid UTF-8")
	}
	p := &queryParser{rest: q, all: all, noNot: noNot}
	if p.space(); p.rest == "" {
		return nil, nil
	}
	node, err := p.list("", 0)
	if err != nil {
		return nil, err
	}
	if p.rest != "" {
		return nil, fmt.Errorf("unexpected %q", p.next())
	}
	return node, nil
}

func (p *queryParser) space() { p.rest = strings.TrimLeft(p.rest, " \t\r\n") }

// next returns the next character, or "" at the end.
func (p *queryParser) next() string {
	_, n := utf8.DecodeRuneInString(p.rest)
	return p.rest[:n]
}

// take removes a prefix from the rest of the query and reports whether it was there.
func (p *queryParser) take(prefix string) bool {
	rest, ok := strings.CutPrefix(p.rest, prefix)
	if ok {
		p.rest = rest
	}
	return ok
}

// operator removes an operator, written as a word or as its sign, and reports whether it
// was there.
func (p *queryParser) operator(word, sign string) bool {
	p.space()
	if sign != "" && p.take(sign) {
		return true
	}
	rest, ok := strings.CutPrefix(p.rest, word)
	if !ok || rest != "" && !strings.ContainsAny(rest[:1], " \t\r\n()") {
		return false
	}
	p.rest = rest
	return true
}

// clause is one of the parts of a query or of a group in parentheses, which AND, OR or spaces
// separate. A clause can start with +, - or NOT.
type clause struct {
	node       queryNode
	required   bool // the clause starts with +
	prohibited bool // the clause starts with NOT or -, and does not follow an OR
}

// list parses the clauses up to the end of the query or a closing parenthesis.
func (p *queryParser) list(field string, depth int) (queryNode, error) {
	if depth > maxQueryDepth {
		return nil, fmt.Errorf("the query is nested more than %d levels deep", maxQueryDepth)
	}
	var clauses []clause
	for alternative := false; ; {
		c, err := p.conjunction(field, depth)
		if err != nil {
			return nil, err
		}
		c.prohibited = c.prohibited && !alternative
		clauses = append(clauses, c)
		if p.atEnd() {
			return p.combine(clauses), nil
		}
		alternative = p.operator(wordOr, "||")
	}
}

// atEnd reports whether the query or the group in parentheses ends here.
func (p *queryParser) atEnd() bool {
	p.space()
	return p.rest == "" || p.next() == ")"
}

// combine joins clauses like Lucene. A session must match all required clauses and none of
// the prohibited clauses. Unless there is a required clause, the session must also match at
// least one of the other clauses.
func (p *queryParser) combine(clauses []clause) queryNode {
	var all queryAll
	var any queryAny
	required := false
	for _, c := range clauses {
		if c.required || c.prohibited {
			all = append(all, c.node)
		} else {
			any = append(any, c.node)
		}
		required = required || c.required && !c.prohibited
	}
	switch {
	case len(all) == 0 && len(any) == 1:
		return any[0]
	case len(all) == 0:
		return any
	case len(any) > 0 && !required:
		return append(all, any)
	case len(any) == 0 && !required && p.noNot:
		return queryAny{}
	}
	return all
}

// conjunction parses clauses that are joined by AND.
func (p *queryParser) conjunction(field string, depth int) (clause, error) {
	var all queryAll
	for {
		c, err := p.unary(field, depth)
		if err != nil {
			return clause{}, err
		}
		all = append(all, c.node)
		if p.joins() {
			continue
		}
		if len(all) == 1 {
			return c, nil
		}
		return clause{node: all}, nil
	}
}

// joins reports whether the next clause is joined by AND: because an AND operator precedes
// it or, if p.all is set, because no operator precedes it.
func (p *queryParser) joins() bool {
	if p.operator(wordAnd, "&&") {
		return true
	}
	if !p.all || p.atEnd() {
		return false
	}
	rest := p.rest
	either := p.operator(wordOr, "||")
	p.rest = rest
	return !either
}

// unary parses a clause, which can start with +, - or NOT.
func (p *queryParser) unary(field string, depth int) (clause, error) {
	if p.operator(wordNot, "!") || p.take("-") {
		c, err := p.unaryBelow(field, depth)
		return clause{node: queryNot{c.node}, prohibited: true}, err
	}
	if p.take("+") {
		c, err := p.unaryBelow(field, depth)
		c.required = true
		return c, err
	}
	node, err := p.primary(field, depth)
	return clause{node: node}, err
}

// unaryBelow parses the clause after a +, - or NOT.
func (p *queryParser) unaryBelow(field string, depth int) (clause, error) {
	if depth > maxQueryDepth {
		return clause{}, fmt.Errorf("the query is nested more than %d levels deep", maxQueryDepth)
	}
	return p.unary(field, depth+1)
}

// primary parses a group, a phrase, a range or a word, with its field.
func (p *queryParser) primary(field string, depth int) (queryNode, error) {
	p.space()
	if p.clauses++; p.clauses > maxQueryClauses {
		return nil, fmt.Errorf("the query has more than %d clauses", maxQueryClauses)
	}
	switch p.next() {
	case "":
		return nil, errors.New("the query ends where a term is expected")
	case "(":
		return p.group(field, depth)
	case `"`:
		return p.phrase(field)
	case "[", "{":
		return p.span(field)
	case ">", "<":
		if field != "" {
			return p.comparison(field)
		}
	}
	word, err := p.word()
	if err != nil {
		return nil, err
	}
	if p.take(":") {
		if field != "" {
			return nil, fmt.Errorf("a colon in the value of the field %s must be escaped or quoted", field)
		}
		return p.value(word, depth)
	}
	return term(field, word)
}

// value parses the value after a field and its colon.
func (p *queryParser) value(word queryWord, depth int) (queryNode, error) {
	field := word.text
	switch {
	case word.wild != nil:
		return nil, fmt.Errorf("the name of the field %s has a wildcard", field)
	case p.rest == "" || strings.ContainsAny(p.rest[:1], " \t\r\n)"):
		return nil, fmt.Errorf("the field %s has no value", field)
	case field == "_exists_":
		name, err := p.word()
		return queryExists{name.text}, err
	}
	p.clauses-- // primary counts the field and its value as one clause
	return p.primary(field, depth)
}

// term returns the node of a word.
func term(field string, word queryWord) (queryNode, error) {
	switch {
	case word.wild == nil && (word.text == wordAnd || word.text == wordOr || word.text == wordNot):
		return nil, fmt.Errorf("found the operator %s where a term is expected", word.text)
	case word.wild != nil && word.wild[0] && field != "" && word.text == "*":
		return queryExists{field}, nil
	case word.wild != nil && word.wild[0]:
		return nil, fmt.Errorf("the term %q begins with a wildcard", word.text)
	}
	return queryTerm{field: field, word: word}, nil
}

func (p *queryParser) group(field string, depth int) (queryNode, error) {
	p.take("(")
	if p.space(); p.next() == ")" {
		return nil, errors.New("the parentheses are empty")
	}
	node, err := p.list(field, depth+1)
	if err != nil {
		return nil, err
	}
	if !p.take(")") {
		return nil, errors.New("a parenthesis is not closed")
	}
	return node, p.noSuffix()
}

// noSuffix refuses the suffixes ~ and ^ of Lucene, which no guide describes.
func (p *queryParser) noSuffix() error {
	if p.rest != "" && strings.ContainsAny(p.rest[:1], "~^") {
		return fmt.Errorf("the simulated appliance does not support %q", p.next())
	}
	return nil
}

func (p *queryParser) phrase(field string) (queryNode, error) {
	text, err := p.quoted()
	if err != nil {
		return nil, err
	}
	return queryTerm{field: field, word: queryWord{text: text}, phrase: true}, p.noSuffix()
}

// quoted parses a text between quotation marks.
func (p *queryParser) quoted() (string, error) {
	var text strings.Builder
	for i := 1; i < len(p.rest); i++ {
		switch c := p.rest[i]; {
		case c == '"':
			p.rest = p.rest[i+1:]
			return text.String(), nil
		case c == '\\' && i+1 < len(p.rest):
			i++
			text.WriteByte(p.rest[i])
		default:
			text.WriteByte(c)
		}
	}
	return "", errors.New("a quotation mark is not closed")
}

// special are the characters, apart from wildcards, that must be escaped in a word.
const special = `+!(){}[]^"~:/&|`

// word parses the text up to the next space or special character. A + or - inside a word
// is part of the word.
func (p *queryParser) word() (queryWord, error) {
	var text []byte
	var wild []bool
	any := false
	i := 0
	for ; i < len(p.rest); i++ {
		c, stands := p.rest[i], false
		switch {
		case c == '\\':
			if i++; i == len(p.rest) {
				return queryWord{}, errors.New("the query ends with a backslash")
			}
			c = p.rest[i]
		case c == '*' || c == '?':
			stands = true
		case strings.IndexByte(" \t\r\n):", c) >= 0:
			goto end
		case c == '+' && len(text) > 0:
		case strings.IndexByte(special, c) >= 0:
			return queryWord{}, fmt.Errorf("%q must be escaped with a backslash", c)
		}
		text, wild, any = append(text, c), append(wild, stands), any || stands
	}
end:
	if len(text) == 0 {
		return queryWord{}, fmt.Errorf("found %q where a term is expected", p.next())
	}
	p.rest = p.rest[i:]
	if !any {
		wild = nil
	}
	return queryWord{string(text), wild}, nil
}

// span parses a range in brackets. A square bracket includes its bound, and a brace
// excludes it.
func (p *queryParser) span(field string) (queryNode, error) {
	if field == "" {
		return nil, errors.New("a range needs a field")
	}
	r := queryRange{field: field, aboveFrom: p.next() == "{"}
	p.rest = p.rest[1:]
	var err error
	if r.from, r.openFrom, err = p.bound(); err != nil {
		return nil, err
	}
	if !p.operator(wordTo, "") {
		return nil, fmt.Errorf("the range of the field %s lacks the word TO", field)
	}
	if r.to, r.openTo, err = p.bound(); err != nil {
		return nil, err
	}
	p.space()
	r.belowTo = p.next() == "}"
	if !p.take("}") && !p.take("]") {
		return nil, fmt.Errorf("the range of the field %s is not closed", field)
	}
	return r, p.noSuffix()
}

// bound parses one bound of a range. open is true if the bound is an asterisk.
func (p *queryParser) bound() (text string, open bool, err error) {
	p.space()
	if p.next() == `"` {
		text, err = p.quoted()
		return text, false, err
	}
	var b []byte
	i, escaped := 0, false
	for ; i < len(p.rest) && strings.IndexByte(" \t\r\n]}", p.rest[i]) < 0; i++ {
		if p.rest[i] == '\\' {
			if i++; i == len(p.rest) {
				break
			}
			escaped = true
		}
		b = append(b, p.rest[i])
	}
	if len(b) == 0 || string(b) == wordTo && !escaped {
		return "", false, errors.New("a range lacks one of its bounds")
	}
	p.rest = p.rest[i:]
	return string(b), string(b) == "*" && !escaped, nil
}

// comparison parses a range with one bound, such as >=60 in duration:>=60.
func (p *queryParser) comparison(field string) (queryNode, error) {
	sign := p.next()
	p.rest = p.rest[1:]
	r := queryRange{field: field, openFrom: sign == "<", openTo: sign == ">"}
	outside := !p.take("=")
	r.aboveFrom, r.belowTo = outside && sign == ">", outside && sign == "<"
	var bound string
	var err error
	if p.next() == `"` {
		bound, err = p.quoted()
	} else {
		var word queryWord
		if word, err = p.word(); word.wild != nil {
			err = fmt.Errorf("the comparison of the field %s has a wildcard", field)
		}
		bound = word.text
	}
	r.from, r.to = bound, bound
	return r, err
}

// matches reports whether a text is equal to the word, or matches its wildcards.
func (w queryWord) matches(text string) bool {
	if w.wild == nil {
		return w.text == text
	}
	pattern, wild := w.text, w.wild
	// If the rest does not match, the last asterisk takes one more character.
	back, from := -1, 0
	p, t := 0, 0
	for t < len(text) {
		switch {
		case p < len(pattern) && wild[p] && pattern[p] == '*':
			back, from = p, t
			p++
		case p < len(pattern) && wild[p]:
			_, n := utf8.DecodeRuneInString(text[t:])
			p, t = p+1, t+n
		case p < len(pattern) && pattern[p] == text[t]:
			p, t = p+1, t+1
		case back >= 0:
			from++
			p, t = back+1, from
		default:
			return false
		}
	}
	for p < len(pattern) && wild[p] && pattern[p] == '*' {
		p++
	}
	return p == len(pattern)
}
