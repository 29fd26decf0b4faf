package audit

import (
	"cmp"
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"
)

// ErrInvalidQuery is the error for an invalid query or filter. The text says how to
// correct it.
var ErrInvalidQuery = errors.New("invalid query")

func invalid(format string, args ...any) error {
	return fmt.Errorf("%w: %s", ErrInvalidQuery, fmt.Sprintf(format, args...))
}

// Number is the constraint for the limits of [Range], [AtLeast] and [AtMost].
type Number interface {
	~int | ~int8 | ~int16 | ~int32 | ~int64 | ~uint | ~uint8 | ~uint16 | ~uint32 | ~uint64 | ~float32 | ~float64
}

// Value is the constraint for the value of [Term].
type Value interface{ ~string | ~bool | Number }

// Filter says which sessions to find, in the query language of the appliance (the
// parameter q of a search). Build it with functions such as [Term] and [And]. These
// functions escape the special characters of the query language, so a value cannot change
// the structure of the filter. The zero value matches every session. A filter is
// immutable and may be used in several other filters.
//
// [Filter.Validate] refuses an invalid filter. [Query.Validate] refuses a query with an
// invalid filter.
type Filter struct{ node *node }

// node is an immutable part of a filter.
type node struct {
	op       op
	text     string // text of a term or of a raw filter
	operands []Filter
	err      error // the reason why the node is invalid
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

// Term matches sessions with the given value in a field. The appliance decides how it
// compares a string. Special characters of the query language have no effect.
func Term[V Value](field string, value V) Filter {
	text, err := textOf(value)
	if err == nil {
		err = checkText(field, text)
	}
	return leaf(field, quoteTerm(text), err)
}

// Phrase matches sessions with the given words in a field, in this order.
func Phrase(field, text string) Filter {
	return leaf(field, quotePhrase(text), checkText(field, text))
}

// Wildcard matches sessions whose field matches a pattern: * stands for any number of
// characters and ? for one character. To match one of the characters *, ? and \ itself,
// put a backslash before it. A pattern must not start with * or ?, because the guide
// forbids this. Use [Exists] instead of the pattern *.
func Wildcard(field, pattern string) Filter {
	err := checkText(field, pattern)
	if err == nil && (pattern[0] == '*' || pattern[0] == '?') {
		err = invalid("the pattern %s of %s begins with %c, which the appliance does not accept; use Exists for any value", shown(pattern), field, pattern[0])
	}
	return leaf(field, escapePattern(pattern), err)
}

// Exists matches sessions that have the field.
func Exists(field string) Filter { return leaf(field, rangeText("*", "*"), nil) }

// Range matches sessions with a number in a field that is at least from and at most to.
func Range[N Number](field string, from, to N) Filter {
	if from > to {
		return refused("the range of %s ends at %v, before it begins at %v", shown(field), to, from)
	}
	begin, err := textOf(from)
	end, endErr := textOf(to)
	return leaf(field, rangeText(begin, end), cmp.Or(err, endErr))
}

// AtLeast matches sessions with a number in a field that is at least from.
func AtLeast[N Number](field string, from N) Filter {
	text, err := textOf(from)
	return leaf(field, rangeText(text, "*"), err)
}

// AtMost matches sessions with a number in a field that is at most to.
func AtMost[N Number](field string, to N) Filter {
	text, err := textOf(to)
	return leaf(field, rangeText("*", text), err)
}

// TimeRange matches sessions with a time in a field that is not before from and not after
// to. If from or to is the zero time, the range is open at that end.
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

// And matches sessions that match all operands. Operands that are the zero value are
// ignored. Without any other operand, And returns the zero value, which matches every
// session.
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

// Or matches sessions that match at least one operand. It needs at least one operand. An
// operand must not be the zero value, which matches every session.
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

// Not matches sessions that do not match the operand. The zero value, which matches every
// session, is refused.
func Not(operand Filter) Filter {
	switch {
	case operand.IsZero():
		return refused("Not of the zero Filter matches no session")
	case operand.node.op == not:
		return operand.node.operands[0]
	}
	return compound(not, []Filter{operand})
}

// Raw returns a filter from a text in the query language of the appliance. The text is
// sent without the white space around it, and otherwise unchanged. Inside [And], [Or] and
// [Not], Raw puts it in parentheses, so its own parentheses and quotes must be balanced.
// Raw returns the zero value for a text that is empty or only white space. Do not put
// external input into the text, because Raw escapes nothing.
func Raw(text string) Filter {
	text = strings.TrimSpace(text)
	if text == "" {
		return Filter{}
	}
	return Filter{&node{op: raw, text: text, err: checkQuery("the filter", text)}}
}

// leaf returns a filter on one field.
func leaf(field, text string, err error) Filter {
	return Filter{&node{text: field + ":" + text, err: cmp.Or(checkField(field), err)}}
}

func compound(kind op, operands []Filter) Filter {
	for _, f := range operands {
		if f.node.err != nil {
			return f
		}
		if f.node.op == raw && !paired(f.node.text) {
			return refused("%s has unbalanced quotes or parentheses and cannot be part of a filter", shown(f.node.text))
		}
	}
	return Filter{&node{op: kind, operands: operands}}
}

// IsZero reports whether the filter is the zero value, which matches every session.
func (f Filter) IsZero() bool { return f.node == nil }

// Validate returns an [ErrInvalidQuery] if the filter is invalid, otherwise nil.
func (f Filter) Validate() error {
	if f.node == nil {
		return nil
	}
	return f.node.err
}

// String returns the filter in the query language, or "" for the zero value. For an
// invalid filter, it returns "%!" and the error of [Filter.Validate] in parentheses. This
// text is not valid in the query language, so it cannot be used as a filter by mistake.
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
		text  string // a text to write, if there is no filter
		above op     // the operator that contains the filter; term if there is none
	}
	stack := []part{{Filter: f}} // a stack instead of recursion, because filters may be nested very deeply
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
