// Package wire converts Go values to the JSON of the SPS REST API and back.
//
// No other package imports the JSON library, so that a move to encoding/json/v2 of the
// standard library changes this package only. It handles JSON and the common form of
// responses, and contains nothing about single endpoints.
//
// [ParseEnvelope], [Unmarshal] and [Valid] check that their input is valid JSON. The other
// functions do not check it again. Pass them JSON that one of these three has accepted.
package wire

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"reflect"

	"github.com/go-json-experiment/json"
	"github.com/go-json-experiment/json/jsontext"
)

// Codec encodes request bodies.
type Codec struct {
	marshal json.Options
	holds   func(reflect.Type) bool // reports whether a value of a type may hold an S
	// telling returns the same options as marshal, which also pass each revealed value to
	// the given function.
	telling func(func(string)) json.Options
}

// NewCodec returns a codec that writes the value that reveal returns for each S. Other
// encoders write a placeholder for an S. It writes each json.Number as a JSON number.
func NewCodec[S any](reveal func(S) string) Codec {
	telling := func(tell func(string)) json.Options {
		return json.JoinOptions(
			json.Deterministic(true),
			json.WithMarshalers(json.JoinMarshalers(json.MarshalToFunc(func(e *jsontext.Encoder, s S) error {
				text := reveal(s)
				tell(text)
				return e.WriteToken(jsontext.String(text))
			}), json.MarshalToFunc(marshalNumber))),
		)
	}
	return Codec{telling(func(string) {}), holder(func(t reflect.Type) bool {
		return t == reflect.TypeFor[S]() || t.Kind() == reflect.Interface || reflect.PointerTo(t).Implements(marshalerTo)
	}), telling}
}

// marshalerTo is implemented by types that may encode any value with the options of the
// encoder.
var marshalerTo = reflect.TypeFor[json.MarshalerTo]()

// Marshal encodes v. It writes maps in the order of their keys. It writes nil slices and
// nil maps as [] and {}, because the appliance requires empty members.
func (c Codec) Marshal(v any) ([]byte, error) {
	data, err := json.Marshal(v, c.marshal)
	if err != nil {
		return nil, trim(err)
	}
	return data, nil
}

// Reveal is like [Codec.Marshal] and also returns the revealed values, each once, in
// their order in the data.
func (c Codec) Reveal(v any) (data []byte, revealed []string, err error) {
	if !c.holds(reflect.TypeOf(v)) { // new options for each value would cost more than the encoding
		data, err = c.Marshal(v)
		return data, nil, err
	}
	seen := map[string]bool{}
	data, err = json.Marshal(v, c.telling(func(text string) {
		if !seen[text] {
			seen[text] = true
			revealed = append(revealed, text)
		}
	}))
	if err != nil {
		return nil, nil, trim(err)
	}
	return data, revealed, nil
}

// Unmarshal decodes data into v. It ignores unknown members. Duplicate names and invalid
// UTF-8 are errors.
func Unmarshal(data []byte, v any) error {
	if holdsNumber(reflect.TypeOf(v)) {
		return trim(json.Unmarshal(data, v, numbers))
	}
	return trim(json.Unmarshal(data, v))
}

// Decode is like [Unmarshal], for data that was already checked. If v has its own
// UnmarshalJSON, Decode calls it without checking the data again.
func Decode(data []byte, v any) error {
	own, ok := v.(json.Unmarshaler)
	if !ok {
		return Unmarshal(data, v)
	}
	// The library would check the data again before it calls UnmarshalJSON.
	err := own.UnmarshalJSON(bytes.TrimSpace(data))
	if err == nil {
		return nil
	}
	var unfit Unfit
	if errors.As(err, &unfit) {
		return err
	}
	return fmt.Errorf("at the top level: a JSON %s does not fit into %T", jsontext.Value(data).Kind(), v)
}

// Valid returns an error if data is not exactly one valid JSON value.
func Valid(data []byte) error {
	if jsontext.Value(data).IsValid() {
		return nil
	}
	d := jsontext.NewDecoder(bytes.NewBuffer(data))
	if err := d.SkipValue(); err != nil {
		return trim(err)
	}
	switch _, err := d.ReadToken(); {
	case err == nil:
		return errors.New("more than one JSON value")
	case errors.Is(err, io.EOF):
		return errMalformed // unreachable: data is not valid
	default:
		return err
	}
}

// Unfit is an error that a type's own UnmarshalJSON returns. Its text is shown to users, so
// it must not quote the value, which may be a secret.
type Unfit string

func (u Unfit) Error() string { return string(u) }

// trim returns an error of the JSON library without the JSON that it quotes, because the
// JSON may contain a secret.
func trim(err error) error {
	if err == nil {
		return nil
	}
	var semantic *json.SemanticError
	if !errors.As(err, &semantic) {
		return err
	}
	var unfit Unfit
	if errors.As(err, &unfit) {
		return unfit
	}
	where := string(semantic.JSONPointer)
	if where == "" {
		where = "the top level"
	}
	switch {
	case semantic.GoType != nil && semantic.JSONKind != 0:
		return fmt.Errorf("at %s: a JSON %s does not fit into %s", where, semantic.JSONKind, semantic.GoType)
	case semantic.GoType != nil:
		return fmt.Errorf("at %s: a value of type %s cannot be written as JSON", where, semantic.GoType)
	}
	return fmt.Errorf("at %s: the JSON does not fit", where)
}
