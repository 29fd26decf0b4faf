package spstest

import (
	"errors"
	"fmt"
	"strings"
	"unicode/utf8"
)

// The language of the parameter q, as far as the guides show it: that of Lucene
// without fuzzy terms, boosts, regular expressions and date arithmetic.

// Limits of a query.
const (
	maxQueryDepth   = 100
	maxQueryClauses = 1024
	maxAnywhere     = 32 // terms that have to be looked for in each field
)

// queryNode is a part of a query: one of the types below.
type queryNode any

type (
	// queryAll, queryAny and queryNot combine.
	queryAll []queryNode
	queryAny []queryNode
	queryNot struct{ node queryNode }

	// queryTerm is a word or a phrase in a field, "" for any field.
	queryTerm struct {
		field  string
		word   queryWord
		phrase bool
	}
	// queryRange has bounds that may be open.
	queryRange struct {
		field     string
		from, to  string
		openFrom  bool
		openTo    bool
		aboveFrom bool // the bound itself is outside
		belowTo   bool
	}
	// queryExists asks for any value.
	queryExists struct{ field string }
)

// queryWord is a word without its escapes.
type queryWord struct {
	text string
	wild []bool // by byte of the text: an asterisk or a question mark that stands for others; nil: none does
}

// Reserved words of the query language.
const (
	wordAnd = "AND"
	wordOr  = "OR"
	wordNot = "NOT"
	wordTo  = "TO"
)

// queryParser reads a query.
type queryParser struct {
	rest    string
	all     bool // what stands side by side must all hold, rather than any
	noNot   bool // a query that only takes away finds nothing
	clauses int
}

// parseQuery reads a query; nil is an empty one. With all, what stands side by
// side without an operator must all hold. With noNot, what only takes away finds
// nothing.
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
		return nil, fmt.Errorf("%q is not expected", p.next())
	}
	return node, nil
}

func (p *queryParser) space() { p.rest = strings.TrimLeft(p.rest, " \t\r\n") }

// next is the next character, "" at the end.
func (p *queryParser) next() string {
	_, n := utf8.DecodeRuneInString(p.rest)
	return p.rest[:n]
}

// take removes a prefix if it is there.
func (p *queryParser) take(prefix string) bool {
	rest, ok := strings.CutPrefix(p.rest, prefix)
	if ok {
		p.rest = rest
	}
	return ok
}

// operator removes an operator: a word of its own, or its sign.
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

// clause is a part of a list with what its signs say.
type clause struct {
	node       queryNode
	required   bool // by a +
	prohibited bool // by a NOT that stands beside another clause
}

// list reads clauses up to the end or a closing parenthesis: what AND joins,
// side by side or joined by OR.
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

// atEnd tells whether nothing follows in a list.
func (p *queryParser) atEnd() bool {
	p.space()
	return p.rest == "" || p.next() == ")"
}

// combine is what Lucene makes of a list: all that is required or prohibited
// counts; of the rest one is enough, and none is needed beside a required one.
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

// conjunction reads what AND joins.
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

// joins tells whether another clause must hold as well.
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

// unary reads a clause with its signs.
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

// unaryBelow reads what follows a sign.
func (p *queryParser) unaryBelow(field string, depth int) (clause, error) {
	if depth > maxQueryDepth {
		return clause{}, fmt.Errorf("the query is nested more than %d levels deep", maxQueryDepth)
	}
	return p.unary(field, depth+1)
}

// primary reads a group, a phrase, a range or a word, with its field.
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
			return nil, fmt.Errorf("a colon in the value of %s has to be escaped or quoted", field)
		}
		return p.value(word, depth)
	}
	return term(field, word)
}

// value reads what follows the colon after a field.
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
	p.clauses-- // with its field it is one
	return p.primary(field, depth)
}

// term is a word that has been read.
func term(field string, word queryWord) (queryNode, error) {
	switch {
	case word.wild == nil && (word.text == wordAnd || word.text == wordOr || word.text == wordNot):
		return nil, fmt.Errorf("the operator %s stands where a term is expected", word.text)
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

// noSuffix refuses what Lucene knows and no guide shows.
func (p *queryParser) noSuffix() error {
	if p.rest != "" && strings.ContainsAny(p.rest[:1], "~^") {
		return fmt.Errorf("%q is not known to the simulated appliance", p.next())
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

// quoted reads a text between quotation marks.
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

// special are the characters that must be escaped in a word, apart from wildcards.
const special = `+!(){}[]^"~:/&|`

// word reads up to the next space or special character. A + or - within it is
// one of its characters.
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
			return queryWord{}, fmt.Errorf("%q has to be escaped with a backslash", c)
		}
		text, wild, any = append(text, c), append(wild, stands), any || stands
	}
end:
	if len(text) == 0 {
		return queryWord{}, fmt.Errorf("%q stands where a term is expected", p.next())
	}
	p.rest = p.rest[i:]
	if !any {
		wild = nil
	}
	return queryWord{string(text), wild}, nil
}

// span reads a range in brackets: square ones include their bounds.
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
		return nil, fmt.Errorf("the range of %s lacks the word TO", field)
	}
	if r.to, r.openTo, err = p.bound(); err != nil {
		return nil, err
	}
	p.space()
	r.belowTo = p.next() == "}"
	if !p.take("}") && !p.take("]") {
		return nil, fmt.Errorf("the range of %s is not closed", field)
	}
	return r, p.noSuffix()
}

// bound reads one end of a range; an asterisk is none.
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

// comparison reads a range with one bound, as in duration:>=60.
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
			err = fmt.Errorf("the comparison of %s has a wildcard", field)
		}
		bound = word.text
	}
	r.from, r.to = bound, bound
	return r, err
}

// matches tells whether the word is a text, with its wildcards.
func (w queryWord) matches(text string) bool {
	if w.wild == nil {
		return w.text == text
	}
	pattern, wild := w.text, w.wild
	// The last asterisk takes as much as it has to.
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
