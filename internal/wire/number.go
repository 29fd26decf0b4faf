package wire

import (
	"bytes"
	stdjson "encoding/json"
	"errors"
	"math"
	"reflect"
	"strconv"

	"github.com/go-json-experiment/json"
	"github.com/go-json-experiment/json/jsontext"
)

// A [stdjson.Number] holds the spelling of a number, so that a program keeps a number of any
// size unchanged. Without the functions in this file, the JSON library would read and write
// it as a string, which is its type in Go.

var errNumber = errors.New("no number")

// marshalNumber writes a Number as the number that it spells, and "" as 0, like
// encoding/json. It writes a Number that is the name of a member as a string.
func marshalNumber(e *jsontext.Encoder, n stdjson.Number) error {
	text := string(n)
	if text == "" {
		text = "0"
	}
	quoted, _ := json.GetOption(e.Options(), json.StringifyNumbers)
	switch {
	case atName(e.StackIndex(e.StackDepth())):
		return e.WriteToken(jsontext.String(string(n)))
	case !isNumber(text):
		return errNumber
	case quoted:
		return e.WriteToken(jsontext.String(text))
	}
	return e.WriteValue(jsontext.Value(text))
}

// unmarshalNumber reads a number, or a string that spells a number, into a Number.
func unmarshalNumber(d *jsontext.Decoder, n *stdjson.Number) error {
	kind := d.PeekKind()
	named := atName(d.StackIndex(d.StackDepth()))
	if kind != Number && kind != String && kind != Null {
		return errNumber
	}
	value, err := d.ReadValue()
	if err != nil {
		return err
	}
	text, _ := Text(value)
	if kind == String && !named && !isNumber(text) {
		return errNumber
	}
	*n = stdjson.Number(text)
	return nil
}

// atName reports whether the next token is the name of a member.
func atName(kind jsontext.Kind, length int64) bool { return kind == '{' && length%2 == 0 }

// isNumber reports whether text is a JSON number without white space.
func isNumber(text string) bool {
	value := jsontext.Value(text)
	return value.Kind() == Number && value.IsValid() && len(bytes.TrimSpace(value)) == len(text)
}

var numbers = json.WithUnmarshalers(json.UnmarshalFromFunc(unmarshalNumber))

// holdsNumber reports whether a value of a type may hold a Number.
var holdsNumber = holder(func(t reflect.Type) bool { return t == reflect.TypeFor[stdjson.Number]() })

// plainNumber returns a number in a normal form, which is the same for equal numbers of any
// size.
func plainNumber(value []byte) string {
	text := bytes.TrimSpace(value)
	mantissa, exponent := text, int64(0)
	if i := bytes.IndexAny(text, "eE"); i >= 0 {
		var err error
		if exponent, err = strconv.ParseInt(string(text[i+1:]), 10, 64); err != nil || exponent > math.MaxInt32 || exponent < math.MinInt32 {
			return string(text)
		}
		mantissa = text[:i]
	}
	mantissa, negative := bytes.CutPrefix(mantissa, []byte("-"))
	whole, fraction, _ := bytes.Cut(mantissa, []byte("."))
	digits := append(append(make([]byte, 0, len(mantissa)), whole...), fraction...)
	short := bytes.TrimRight(digits, "0")
	exponent += int64(len(digits)-len(short)) - int64(len(fraction))
	if short = bytes.TrimLeft(short, "0"); len(short) == 0 {
		return "0"
	}
	sign := ""
	if negative {
		sign = "-"
	}
	return sign + string(short) + "e" + strconv.FormatInt(exponent, 10)
}
