// Package wire converts Go values to the JSON of the SPS REST API and back.
//
// It is the only package that imports the JSON library, so a move to the standard
// library's encoding/json/v2 affects no other package. It knows JSON and the common form
// of answers, but no endpoint.
//
// [ParseEnvelope], [Unmarshal] and [Valid] check their input. All other functions take
// JSON that one of them has accepted, and do not check it again.
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

// Codec encodes request bodies and decodes answers.
type Codec struct {
	marshal json.Options
	// telling returns the options that also pass each revealed value to a function.
	telling func(func(string)) json.Options
}

// NewCodec returns a codec that writes the true value of every S, although other encoders
// print a placeholder, and every json.Number as a number.
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
	return Codec{telling(func(string) {}), telling}
}

// Marshal encodes v. Maps are written in the order of their keys, and nil slices and maps
// as [] and {}, because the appliance requires empty members.
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

// Unmarshal decodes data into v. Unknown members are ignored; duplicate names
// and invalid UTF-8 are errors.
func Unmarshal(data []byte, v any) error {
	if holdsNumber(reflect.TypeOf(v)) {
		return trim(json.Unmarshal(data, v, numbers))
	}
	return trim(json.Unmarshal(data, v))
}

// Decode is [Unmarshal] for data that was already checked.
func Decode(data []byte, v any) error {
	own, ok := v.(json.Unmarshaler)
	if !ok {
		return Unmarshal(data, v)
	}
	// The library would check it again before it does the same.
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

// Valid reports why data is not one JSON value, or nil.
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
		return errMalformed // cannot be: it is not valid
	default:
		return err
	}
}

// Unfit is the error of a type's own UnmarshalJSON. It must not quote the value, because
// its text is shown.
type Unfit string

func (u Unfit) Error() string { return string(u) }

// trim removes the values from an error of the JSON library, which quotes JSON that may
// be a secret.
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
		return fmt.Errorf("at %s: %s has no form in JSON", where, semantic.GoType)
	}
	return fmt.Errorf("at %s: the JSON does not fit", where)
}
