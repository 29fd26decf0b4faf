package wire_test

import (
	"encoding/json"
	"maps"
	"reflect"
	"strings"
	"testing"
	"unicode/utf8"

	"github.com/go-sps/sps/internal/wire"
)

// nested returns the depth of a parsed value.
func nested(value any) int {
	deepest := 0
	switch v := value.(type) {
	case map[string]any:
		for _, inner := range v {
			deepest = max(deepest, nested(inner))
		}
	case []any:
		for _, inner := range v {
			deepest = max(deepest, nested(inner))
		}
	default:
		return 0
	}
	return deepest + 1
}

// FuzzValue compares the functions that split, compare and join JSON with the standard
// library.
func FuzzValue(f *testing.F) {
	all := samples(f)
	for i, sample := range all {
		f.Add(sample, all[(i+1)%len(all)], "body")
		f.Add(sample, sample, "items/0/key")
	}
	for _, data := range noObjects {
		f.Add([]byte(data), []byte(`{"a":1}`), "a/b")
	}
	for _, pair := range [][2]string{
		{`1`, `1.0`}, {`1e999`, `1e998`}, {`-0`, `0`}, {`"\u0061"`, `"a"`}, {`"\ud83d\ude00"`, `"😀"`}, {`"\ud800"`, `"\udc00"`}, {`null`, `{}`}, {` [ 1 , 2 ] `, `[1,2]`},
		{`{"":{"":1}}`, `{"":{}}`}, {`{"a":{"key":"1","meta":{"href":"/api/x"}}}`, `{"a":"1"}`}, {`[{"key":null,"meta":{}}]`, `[null]`},
		{strings.Repeat("[", 101) + `"meta"` + strings.Repeat("]", 101), strings.Repeat(`{"meta":`, 101) + "1" + strings.Repeat("}", 101)},
		{strings.Repeat("[", 5000) + strings.Repeat("]", 5000), strings.Repeat("[", 11000) + strings.Repeat("]", 11000)},
		{`9007199254740993`, `9007199254740992`}, {`{"a":[1,{"b":"c"}]}`, `{"a":[1,{"b":"d"}]}`}, {`{"\u2028":"\u2028\u2029"}`, "{\"\u2028\":\"<>&\"}"},
	} {
		f.Add([]byte(pair[0]), []byte(pair[1]), "a/1/b")
	}
	f.Fuzz(func(t *testing.T, a, b []byte, place string) {
		kind := wire.Kind(a)
		text, isText := wire.Text(a)
		members, membersErr := wire.Members(a)
		elements, elementsErr := wire.Elements(a)
		wire.At(a, strings.Split(place, "/"))
		wire.Differs(a, b)
		wire.Covers(a, b)
		bare, bareErr := wire.BareReferences(a)
		var decoded any
		decodeErr := wire.Unmarshal(a, &decoded)
		if wire.Valid(a) != nil {
			if _, err := wire.ParseEnvelope(a); err == nil || decodeErr == nil {
				t.Errorf("invalid JSON was accepted: ParseEnvelope %v, Unmarshal %v", err, decodeErr)
			}
			return
		}
		value := parse(t, a)
		if (membersErr == nil) != (kind == wire.Object) || (elementsErr == nil) != (kind == wire.Array) || isText != (kind == wire.String || kind == wire.Number) {
			t.Errorf("kind %q: %v, %v, %t", kind, membersErr, elementsErr, isText)
		}
		switch v := value.(type) {
		case map[string]any:
			if len(v) != len(members) {
				t.Errorf("%d members, want %d", len(members), len(v))
			}
			for _, m := range members {
				if !reflect.DeepEqual(v[m.Name], parse(t, m.Value)) {
					t.Errorf("the member %q is %s", m.Name, m.Value)
				}
			}
			if joined := wire.Join(members); wire.Valid(joined) != nil || !reflect.DeepEqual(value, parse(t, joined)) {
				t.Errorf("Join of the members returns %s", joined)
			} else if len(joined) > 6*len(a)+2 {
				t.Errorf("%d bytes become %d", len(a), len(joined))
			}
		case []any:
			if len(v) != len(elements) {
				t.Fatalf("%d elements, want %d", len(elements), len(v))
			}
			for i, e := range elements {
				if !reflect.DeepEqual(v[i], parse(t, e)) {
					t.Errorf("element %d is %s", i, e)
				}
			}
		case string:
			if text != v || !utf8.ValidString(text) {
				t.Errorf("the text is %q, want %q", text, v)
			}
		case json.Number:
			if text != v.String() {
				t.Errorf("the number is %q, want %q", text, v)
			}
		}
		if plain := wire.Plain(a); !reflect.DeepEqual(value, parse(t, plain)) || len(plain) > len(a) {
			t.Errorf("Plain returns %s", plain)
		}
		depth := nested(value)
		if bareErr != nil && depth <= 100 {
			t.Errorf("BareReferences: %v", bareErr)
		}
		if bareErr == nil {
			if wire.Valid(bare) != nil || len(bare) > 6*len(a)+2 {
				t.Errorf("BareReferences returns %s", bare)
			}
			if want := withoutReferences(parse(t, a), true); !reflect.DeepEqual(want, parse(t, bare)) {
				t.Errorf("BareReferences returns %s, want %v", bare, want)
			}
		}
		if depth <= 100 && (wire.Differs(a, a) || !wire.Covers(a, a)) {
			t.Errorf("the value differs from itself, or does not cover itself")
		}
		if wire.Valid(b) != nil {
			return
		}
		if wire.Differs(a, b) != wire.Differs(b, a) {
			t.Errorf("Differs depends on the order of the arguments, for %s", b)
		}
		if other := nested(parse(t, b)); depth <= 100 && other <= 100 && wire.Covers(a, b) && wire.Differs(a, b) {
			t.Errorf("the value covers %s and differs from it", b)
		}
	})
}

// withoutReferences replaces the references in a parsed value by their keys.
func withoutReferences(value any, top bool) any {
	switch v := value.(type) {
	case map[string]any:
		meta, isObject := v["meta"].(map[string]any)
		if key, ok := v["key"]; ok && !top && len(v) == 2 && isObject {
			href, _ := meta["href"].(string)
			switch key.(type) {
			case nil:
				if len(meta) == 0 {
					return nil
				}
			case string, json.Number:
				if strings.HasPrefix(href, "/api/") {
					return key
				}
			}
		}
		v = maps.Clone(v)
		for name := range v {
			v[name] = withoutReferences(v[name], false)
		}
		return v
	case []any:
		for i := range v {
			v[i] = withoutReferences(v[i], false)
		}
	}
	return value
}
