package wire_test

import (
	"testing"

	"github.com/go-sps/sps/internal/wire"
)

func TestParseEnvelope(t *testing.T) {
	t.Parallel()
	tests := []struct {
		name, data string
		want       wire.Envelope
	}{
		{"empty", `{}`, wire.Envelope{}},
		{
			"object", `{"key":1, "meta":{}, "body": {"a":1.0} }`, wire.Envelope{
				Key: []byte(`1`), Meta: []byte(`{}`), Body: []byte(`{"a":1.0}`),
				All: []wire.Member{{"key", []byte(`1`)}, {"meta", []byte(`{}`)}, {"body", []byte(`{"a":1.0}`)}},
			},
		},
		{
			"list", `{"items":[],"meta":null}`, wire.Envelope{
				Items: []byte(`[]`), Meta: []byte(`null`),
				All: []wire.Member{{"items", []byte(`[]`)}, {"meta", []byte(`null`)}},
			},
		},
		{"error", `{"error":"x"}`, wire.Envelope{Error: []byte(`"x"`), All: []wire.Member{{"error", []byte(`"x"`)}}}},
		{"error false", `{"error":false}`, wire.Envelope{Error: []byte(`false`), All: []wire.Member{{"error", []byte(`false`)}}}},
		{"error null", `{"error": null}`, wire.Envelope{All: []wire.Member{{"error", []byte(`null`)}}}},
		{"error empty", `{"error":{}}`, wire.Envelope{Error: []byte(`{}`), All: []wire.Member{{"error", []byte(`{}`)}}}},
		{"value beside meta", `{"login_methods":[1]}`, wire.Envelope{All: []wire.Member{{"login_methods", []byte(`[1]`)}}}},
		{"name by an escape", `{"\u0065rror":1}`, wire.Envelope{Error: []byte(`1`), All: []wire.Member{{"error", []byte(`1`)}}}},
		{"another case", `{"Error":1}`, wire.Envelope{All: []wire.Member{{"Error", []byte(`1`)}}}},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			t.Parallel()
			got, err := wire.ParseEnvelope([]byte(test.data))
			if err != nil {
				t.Fatal(err)
			}
			diff(t, "envelope", test.want, got)
		})
	}
	for name, data := range noObjects {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			got, err := wire.ParseEnvelope([]byte(data))
			if err == nil {
				t.Errorf("got %v, want an error", got)
			}
			diff(t, "envelope of an error", wire.Envelope{}, got)
		})
	}
}

// TestParseGarbled checks that ParseGarbled accepts garbled strings and refuses other invalid
// JSON.
func TestParseGarbled(t *testing.T) {
	t.Parallel()
	for name, test := range map[string]struct {
		data string
		want wire.Envelope
	}{
		"proper":         {`{"key":1}`, wire.Envelope{Key: []byte(`1`), All: []wire.Member{{"key", []byte(`1`)}}}},
		"half of a pair": {`{"body":"\ud800"}`, wire.Envelope{Body: []byte(`"\ud800"`), All: []wire.Member{{"body", []byte(`"\ud800"`)}}, Garbled: true}},
		"no UTF-8":       {"{\"body\":\"\xff\"}", wire.Envelope{Body: []byte("\"\xff\""), All: []wire.Member{{"body", []byte("\"\xff\"")}}, Garbled: true}},
		"error":          {`{"error":{"type":"\udfff"}}`, wire.Envelope{Error: []byte("{\"type\":\"\ufffd\"}"), All: []wire.Member{{"error", []byte(`{"type":"\udfff"}`)}}, Garbled: true}},
	} {
		got, err := wire.ParseGarbled([]byte(test.data))
		if err != nil {
			t.Errorf("%s: %v", name, err)
		}
		diff(t, name, test.want, got)
	}
	for _, data := range []string{``, `[]`, `{"a":"\ud800"`, "{\"a\":\"\xff\",\"b\":1,\"b\":2}", `{"a":1}{"b":"\ud800"}`, `["\ud800"]`} {
		got, err := wire.ParseGarbled([]byte(data))
		if err == nil {
			t.Errorf("%s: got %v, want an error", data, got)
		}
		diff(t, data, wire.Envelope{}, got)
	}
}

func FuzzParseEnvelope(f *testing.F) {
	for _, sample := range samples(f) {
		f.Add(sample)
	}
	for _, data := range noObjects {
		f.Add([]byte(data))
	}
	f.Fuzz(func(t *testing.T, data []byte) {
		e, err := wire.ParseEnvelope(data)
		valid := wire.Valid(data) == nil && wire.Kind(data) == wire.Object
		if (err == nil) != valid {
			t.Fatalf("error %v of JSON whose validity is %t", err, valid)
		}
		seen := map[string]bool{}
		for _, m := range e.All {
			if seen[m.Name] {
				t.Errorf("the member %q occurs twice", m.Name)
			}
			seen[m.Name] = true
			if err := wire.Valid(m.Value); err != nil {
				t.Errorf("%q: %v", m.Name, err)
			}
		}
	})
}
