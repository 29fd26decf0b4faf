package audit

import (
	"cmp"
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"
)

// ErrInvalidQuery is what refuses a query or a filter that must not be sent. The text
// says what to do.
var ErrInvalidQuery = errors.New("invalid query")

func invalid(format string, args ...any) error {
	return fmt.Errorf("%w: %s", ErrInvalidQuery, fmt.Sprintf(format, args...))
}

// Number is a value that a range can have an end of.
type Number interface {
	~int | ~int8 | ~int16 | ~int32 | ~int64 | ~uint | ~uint8 | ~uint16 | ~uint32 | ~uint64 | ~float32 | ~float64
}

// Value is a value that a field can be compared with.
type Value interface{ ~string | ~bool | Number }

// Filter says which sessions to find, in the query language of the appliance (the
// parameter q of a search). It is built by functions such as [Term] and [And], which
// escape whatever has a meaning in that language: no value can become more than a value.
// The zero value matches every session. A filter does not change, and may be used in
// several others.
//
// A filter that must not be sent is refused by [Filter.Validate], and with it the query
// that has it.
type Filter struct{ node *node }

// node is a part of a filter that does not change.
type node struct {
	op       op
	text     string // of a term, or raw
	operands []Filter
	err      error // why it must not be sent
}

type op byte

const (
	term op = iota
	raw
	and
	or
	not
)

func refused(format string, args ...any) Filter {
	return Filter{&node{err: invalid(format, args...)}}
}

// Term matches sessions with that value in a field. A text is compared as the appliance
// compares it; what is special in the query language is a character like any other.
func Term[V Value](field string, value V) Filter {
	text, err := textOf(value)
	if err == nil {
		err = checkText(field, text)
	}
	return leaf(field, quoteTerm(text), err)
}

// Phrase matches sessions with those words in a field, one after the other.
func Phrase(field, text string) Filter {
	return leaf(field, quotePhrase(text), checkText(field, text))
}

// Wildcard matches sessions whose field fits a pattern: * stands for any number of
// characters and ? for one. A backslash before one of these or another backslash takes
// its meaning away. A pattern must not begin with * or ?, which the guide forbids; one
// of * alone is [Exists].
func Wildcard(field, pattern string) Filter {
	err := checkText(field, pattern)
	if err == nil && (pattern[0] == '*' || pattern[0] == '?') {
		err = invalid("the pattern %s of %s begins with %c, which an appliance does not take; use Exists for any value", shown(pattern), field, pattern[0])
	}
	return leaf(field, escapePattern(pattern), err)
}

// Exists matches sessions that have the field.
func Exists(field string) Filter { return leaf(field, rangeText("*", "*"), nil) }

// Range matches sessions with a number in a field that is from at least and to at most.
func Range[N Number](field string, from, to N) Filter {
	if from > to {
		return refused("the range of %s ends at %v, before it begins at %v", shown(field), to, from)
	}
	begin, err := textOf(from)
	end, endErr := textOf(to)
	return leaf(field, rangeText(begin, end), cmp.Or(err, endErr))
}

// AtLeast matches sessions with that number in a field, or a larger one.
func AtLeast[N Number](field string, from N) Filter {
	text, err := textOf(from)
	return leaf(field, rangeText(text, "*"), err)
}

// AtMost matches sessions with that number in a field, or a smaller one.
func AtMost[N Number](field string, to N) Filter {
	text, err := textOf(to)
	return leaf(field, rangeText("*", text), err)
}

// TimeRange matches sessions with a time in a field that is not before from and not after
// to. A zero time leaves that end open.
func TimeRange(field string, from, to time.Time) Filter {
	switch {
	case from.IsZero() && to.IsZero():
		return refused("the range of %s has no end; use Exists", shown(field))
	case !from.IsZero() && !to.IsZero() && to.Before(from):
		return refused("the range of %s ends at %s, before it begins at %s", shown(field), to.Format(time.RFC3339Nano), from.Format(time.RFC3339Nano))
	}
	begin, err := timeText(from)
	end, endErr := timeText(to)
	return leaf(field, rangeText(begin, end), cmp.Or(err, endErr))
}

// And matches sessions that all operands match; without operands, every session.
// Operands that are the zero value are left out.
func And(operands ...Filter) Filter {
	operands = slices.DeleteFunc(slices.Clone(operands), Filter.IsZero)
	switch len(operands) {
	case 0:
		return Filter{}
	case 1:
		return operands[0]
	}
	return compound(and, operands)
}

// Or matches sessions that one of the operands matches at least. It needs an operand,
// and none may be the zero value, which would match every session by itself.
func Or(operands ...Filter) Filter {
	switch {
	case len(operands) == 0:
		return refused("Or without operands matches no session")
	case slices.ContainsFunc(operands, Filter.IsZero):
		return refused("an operand of Or is the zero Filter, which matches every session")
	case len(operands) == 1:
		return operands[0]
	}
	return compound(or, slices.Clone(operands))
}

// Not matches sessions that the operand does not match. The zero value, which every
// session matches, is refused.
func Not(operand Filter) Filter {
	switch {
	case operand.IsZero():
		return refused("Not of the zero Filter matches no session")
	case operand.node.op == not:
		return operand.node.operands[0]
	}
	return compound(not, []Filter{operand})
}

// Raw is a filter in the query language itself, sent as it is; in [And], [Or] and [Not] in
// parentheses, for which its own and its quotes must be paired. Empty, it is the zero
// value. What comes from elsewhere does not belong into it: it would be more than a value.
func Raw(text string) Filter {
	text = strings.TrimSpace(text)
	if text == "" {
		return Filter{}
	}
	return Filter{&node{op: raw, text: text, err: checkQuery("the filter", text)}}
}

// leaf is a filter on one field.
func leaf(field, text string, err error) Filter {
	return Filter{&node{text: field + ":" + text, err: cmp.Or(checkField(field), err)}}
}

func compound(kind op, operands []Filter) Filter {
	for _, f := range operands {
		if f.node.err != nil {
			return f
		}
		if f.node.op == raw && !paired(f.node.text) {
			return refused("%s has quotes or parentheses that are not paired, and cannot be a part of a filter", shown(f.node.text))
		}
	}
	return Filter{&node{op: kind, operands: operands}}
}

// IsZero reports whether the filter matches every session because nothing was asked for.
func (f Filter) IsZero() bool { return f.node == nil }

// Validate returns why the filter must not be sent, an [ErrInvalidQuery], or nil.
func (f Filter) Validate() error {
	if f.node == nil {
		return nil
	}
	return f.node.err
}

// String returns the filter in the query language, empty for the zero value. Where
// [Filter.Validate] has an error, it is that in parentheses with a percent sign before,
// which no appliance takes for a filter.
func (f Filter) String() string {
	if f.node == nil {
		return ""
	}
	if f.node.err != nil {
		return "%!(" + f.node.err.Error() + ")"
	}
	var b strings.Builder
	type part struct {
		Filter
		text  string // in place of a filter
		above op     // what the filter is an operand of; term for nothing
	}
	stack := []part{{Filter: f}} // a loop may have nested a filter deeper than calls can be
	for len(stack) > 0 {
		p := stack[len(stack)-1]
		stack = stack[:len(stack)-1]
		n := p.node
		switch {
		case n == nil:
			b.WriteString(p.text)
		case n.op == term || n.op == raw && p.above == term:
			b.WriteString(n.text)
		case n.op == raw:
			b.WriteString("(" + n.text + ")")
		case p.above != term && n.op != p.above && !(n.op == not && p.above == and):
			stack = append(stack, part{text: ")"}, part{Filter: p.Filter}, part{text: "("})
		case n.op == not:
			stack = append(stack, part{Filter: n.operands[0], above: not}, part{text: negation})
		default:
			joint := map[op]string{and: " AND ", or: " OR "}[n.op]
			for i, operand := range slices.Backward(n.operands) {
				stack = append(stack, part{Filter: operand, above: n.op})
				if i > 0 {
					stack = append(stack, part{text: joint})
				}
			}
		}
	}
	return b.String()
}
