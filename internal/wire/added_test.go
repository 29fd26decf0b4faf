package wire_test

import (
	"testing"

	"github.com/go-sps/sps/internal/wire"
)

func TestAdded(t *testing.T) {
	t.Parallel()
	for name, test := range map[string]struct{ original, before, after, want string }{
		"misspelt":               {`{"a":1}`, `{"a":1,"B":0}`, `{"a":1,"B":2}`, "B"},
		"not set":                {`{"a":1}`, `{"a":1,"B":0}`, `{"a":2,"B":0}`, ""},
		"the first of two":       {`{}`, `{}`, `{"b":1,"c":1}`, "b"},
		"switched with it":       {`{"type":"x"}`, `{"type":"x"}`, `{"b":1,"type":"y"}`, ""},
		"a switch not touched":   {`{"type":"x"}`, `{"type":"x"}`, `{"b":1,"type":"x"}`, "b"},
		"a switch that it lacks": {`{"a":1}`, `{"a":1}`, `{"a":1,"enabled":true,"b":1}`, "enabled"},
		"no object":              {`"x"`, `"x"`, `"y"`, ""},
	} {
		got, added := wire.Added([]byte(test.original), []byte(test.before), []byte(test.after))
		diff(t, name, test.want, got)
		diff(t, name+": added", test.want != "", added)
	}
}

func TestCovers(t *testing.T) {
	t.Parallel()
	for name, test := range map[string]struct {
		have, want string
		covers     bool
	}{
		"more members":           {`{"a":1.0,"b":{"c":"x","d":1}}`, `{"b":{"c":"\u0078"},"a":1}`, true},
		"a member less":          {`{"a":1}`, `{"a":1,"b":1}`, false},
		"null is a member":       {`{"a":1}`, `{"a":1,"b":null}`, false},
		"another value":          {`{"a":1}`, `{"a":2}`, false},
		"the same list":          {`[1,{"a":1,"b":2}]`, `[1,{"a":1}]`, true},
		"a longer list":          {`[1,2]`, `[1]`, false},
		"a shorter list":         {`[1]`, `[1,2]`, false},
		"another order":          {`[2,1]`, `[1,2]`, false},
		"another kind":           {`"1"`, `1`, false},
		"a list for an object":   {`[]`, `{}`, false},
		"whatever it is, within": {`{"a":true}`, `{}`, true},
	} {
		diff(t, name, test.covers, wire.Covers([]byte(test.have), []byte(test.want)))
	}
}
