package wire_test

import (
	"testing"

	"github.com/go-sps/sps/internal/wire"
)

// scan decodes a value with a Scanner to the same Go values as encoding/json.
func scan(s *wire.Scanner) any {
	switch s.Kind() {
	case wire.Object:
		if s.Enter(wire.Array) || !s.Enter(wire.Object) {
			return "entered a list"
		}
		object := map[string]any{}
		for name, ok := s.Member(); ok; name, ok = s.Member() {
			member := string(name)
			object[member] = scan(s)
		}
		return object
	case wire.Array:
		if s.Enter(wire.Object) || !s.Enter(wire.Array) {
			return "entered an object"
		}
		list := []any{}
		for s.Element() {
			list = append(list, scan(s))
		}
		return list
	}
	value := s.Value()
	if wire.Valid(value) != nil {
		return nil
	}
	var scalar any
	if wire.Unmarshal(value, &scalar) != nil {
		return nil
	}
	return scalar
}

func TestScanner(t *testing.T) {
	t.Parallel()
	texts := [][]byte{
		[]byte(`1`), []byte(` [ ] `), []byte(`{}`), []byte("\t{ \"a\" : [ -1 , {} , [ [ ] ] , null ] , \"\" : { \"b\\u002f\\\"\" : \"\\\"}\" } }\n"),
		[]byte(`[true,false,"]",-0.5e3]`),
	}
	for _, data := range append(texts, samples(t)...) {
		var s wire.Scanner
		s.Reset(data)
		got := scan(&s)
		if err := s.Close(); err != nil {
			t.Errorf("%v: %s", err, data)
		}
		var want any
		if err := wire.Unmarshal(data, &want); err != nil {
			t.Fatal(err)
		}
		diff(t, string(data), want, got)
	}
}

// TestScannerMalformed checks that a Scanner stops at malformed JSON and that Close returns an
// error.
func TestScannerMalformed(t *testing.T) {
	t.Parallel()
	for _, data := range []string{
		``, ` `, `[`, `{`, `[1`, `[1 2]`, `[,]`, `[1,]`, `{"a"}`, `{"a":}`, `{"a":1,}`, `{"a" 1}`, `{a:1}`, `{"a":1 "b":2}`, `[}`, `{]`, `]`, `}`, `1 2`, `{} {}`, `["`, `["\`, `{"a`, `{"a":"`, `:`, `,`,
		`{"a":[1}`, `[{"a":1]`,
	} {
		var s wire.Scanner
		s.Reset([]byte(data))
		scan(&s)
		if s.Close() == nil {
			t.Errorf("%q is accepted as JSON", data)
		}
	}
}

// TestScannerDoesNotMove checks that a Scanner does not move if the next value is not of the
// requested kind.
func TestScannerDoesNotMove(t *testing.T) {
	t.Parallel()
	var s wire.Scanner
	s.Reset([]byte(`{"a":{"b":[1]},"c":2}`))
	if !s.Enter(wire.Object) {
		t.Fatal("Enter returned false for an object")
	}
	if name, ok := s.Member(); !ok || string(name) != "a" {
		t.Fatalf("%q, %t", name, ok)
	}
	diff(t, "the value of a", `{"b":[1]}`, string(s.Value()))
	if name, ok := s.Member(); !ok || string(name) != "c" {
		t.Fatalf("%q, %t", name, ok)
	}
	diff(t, "the kind of c", byte(wire.Number), s.Kind())
	if s.Enter(wire.Object) || s.Enter(wire.Array) {
		t.Error("Enter returned true for a number")
	}
	diff(t, "the value of c", `2`, string(s.Value()))
	if _, ok := s.Member(); ok {
		t.Error("Member returned a member after the last one")
	}
	if err := s.Close(); err != nil {
		t.Error(err)
	}
}
