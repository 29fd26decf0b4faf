package audit

import (
	"math"
	"reflect"
	"strconv"
	"strings"
	"time"
	"unicode"
	"unicode/utf8"
)

// shown quotes and shortens an input.
func shown(text string) string {
	if len(text) > 100 {
		return strconv.Quote(text[:100]) + "…"
	}
	return strconv.Quote(text)
}

// checkField refuses an invalid field name.
func checkField(field string) error {
	if field == "" {
		return invalid("the name of a field is empty")
	}
	for part := range strings.SplitSeq(field, ".") {
		if part == "" || isWord(part) || strings.ContainsFunc(part, func(r rune) bool { return !isNameCharacter(r) }) {
			return invalid("%s is no name of a field, which has letters, digits, underscores, and dots between them", shown(field))
		}
	}
	return nil
}

// checkText refuses a text that cannot be the value of a field.
func checkText(field, text string) error {
	if text == "" {
		return invalid("the value for %s is empty; use Not and Exists for sessions without it", shown(field))
	}
	return checkCharacters("the value for "+shown(field), text)
}

func checkCharacters(what, text string) error {
	if !utf8.ValidString(text) {
		return invalid("%s is not valid UTF-8: %s", what, shown(text))
	}
	if strings.ContainsFunc(text, unicode.IsControl) {
		return invalid("%s has a line break or another control character: %s", what, shown(text))
	}
	return nil
}

// checkQuery refuses an invalid text in the query language.
func checkQuery(what, text string) error {
	if err := checkCharacters(what, text); err != nil {
		return err
	}
	switch text := strings.TrimSpace(text); {
	case text == "":
		return nil
	case text[0] == '*' || text[0] == '?':
		return invalid("%s begins with %c, which an appliance does not take: %s", what, text[0], shown(text))
	case (len(text)-len(strings.TrimRight(text, `\`)))%2 != 0:
		return invalid("%s ends with a backslash that nothing follows: %s", what, shown(text))
	}
	return nil
}

// paired reports whether the quotes and parentheses of a text are balanced.
func paired(text string) bool {
	depth, quoted := 0, false
	for i := 0; i < len(text); i++ {
		switch c := text[i]; {
		case c == '\\':
			i++
		case c == '"':
			quoted = !quoted
		case quoted:
		case c == '(':
			depth++
		case c == ')':
			if depth--; depth < 0 {
				return false
			}
		}
	}
	return depth == 0 && !quoted
}

// escapePattern writes a pattern as one term. Wildcards have a meaning only outside of
// quotes, so all other special characters are escaped.
func escapePattern(pattern string) string {
	var escaped, plain strings.Builder
	wild, literal := false, false
	for i, r := range pattern {
		switch {
		case !literal && r == '\\' && i+1 < len(pattern) && strings.IndexByte(`*?\`, pattern[i+1]) >= 0:
			literal = true
			continue
		case !literal && (r == '*' || r == '?'):
			wild = true
		case r < utf8.RuneSelf && !isNameCharacter(r) && r != '.' || unicode.IsSpace(r):
			escaped.WriteByte('\\')
		}
		literal = false
		escaped.WriteRune(r)
		plain.WriteRune(r)
	}
	if !wild {
		return quoteTerm(plain.String())
	}
	return escaped.String()
}

// textOf writes a value in the form of the API.
func textOf[V Value](value V) (string, error) {
	v := reflect.ValueOf(value)
	switch {
	case v.CanInt():
		return strconv.FormatInt(v.Int(), 10), nil
	case v.CanUint():
		return strconv.FormatUint(v.Uint(), 10), nil
	case v.CanFloat():
		if f := v.Float(); math.IsNaN(f) || math.IsInf(f, 0) {
			return "", invalid("%v is no number to search for", f)
		}
		return strconv.FormatFloat(v.Float(), 'f', -1, v.Type().Bits()), nil
	case v.Kind() == reflect.Bool:
		return strconv.FormatBool(v.Bool()), nil
	}
	return v.String(), nil
}

// timeText writes the end of a range.
func timeText(t time.Time) (string, error) {
	if t.IsZero() {
		return "*", nil
	}
	t = t.UTC()
	if t.Year() < 0 || t.Year() > 9999 {
		return "", invalid("the year %d cannot be searched for", t.Year())
	}
	if t.Nanosecond()%1e6 == 0 {
		return t.Format(filterTime), nil
	}
	return t.Format(exactFilterTime), nil
}
