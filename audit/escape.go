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

// shown quotes and shortens an input for an error text.
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
			return invalid("%s is not the name of a field: use letters, digits and underscores, with dots between the parts", shown(field))
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

// checkQuery refuses an invalid text of the query language.
func checkQuery(what, text string) error {
	if err := checkCharacters(what, text); err != nil {
		return err
	}
	switch text := strings.TrimSpace(text); {
	case text == "":
		return nil
	case text[0] == '*' || text[0] == '?':
		return invalid("%s begins with %c, which the appliance does not accept: %s", what, text[0], shown(text))
	case (len(text)-len(strings.TrimRight(text, `\`)))%2 != 0:
		return invalid("%s ends with a backslash that escapes nothing: %s", what, shown(text))
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

// escapePattern returns a pattern as one term of the query language. Wildcards work only
// outside of quotes, so escapePattern does not quote the pattern but escapes its other
// special characters.
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

// textOf returns a value as a text in the form of the API.
func textOf[V Value](value V) (string, error) {
	v := reflect.ValueOf(value)
	switch {
	case v.CanInt():
		return strconv.FormatInt(v.Int(), 10), nil
	case v.CanUint():
		return strconv.FormatUint(v.Uint(), 10), nil
	case v.CanFloat():
		if f := v.Float(); math.IsNaN(f) || math.IsInf(f, 0) {
			return "", invalid("%v is not a number that can be searched for", f)
		}
		return strconv.FormatFloat(v.Float(), 'f', -1, v.Type().Bits()), nil
	case v.Kind() == reflect.Bool:
		return strconv.FormatBool(v.Bool()), nil
	}
	return v.String(), nil
}

// timeText returns a time as one end of a range, or "*" for the zero time.
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
