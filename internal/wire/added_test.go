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
		"with a changed type":    {`{"type":"x"}`, `{"type":"x"}`, `{"b":1,"type":"y"}`, ""},
		"with an unchanged type": {`{"type":"x"}`, `{"type":"x"}`, `{"b":1,"type":"x"}`, "b"},
		"enabled added":          {`{"a":1}`, `{"a":1}`, `{"a":1,"enabled":true,"b":1}`, "enabled"},
		"no object":              {`"x"`, `"x"`, `"y"`, ""},

		"below": {`{"a":{"b":1}}`, `{"a":{"b":1,"B":0}}`, `{"a":{"b":1,"B":2}}`, "a/B"},
		"in an object that was omitted when empty": {`{"a":{"b":1}}`, `{}`, `{"a":{"B":2}}`, "a/B"},
		"in an object, not set":                    {`{"a":{"b":1}}`, `{"a":{"b":1,"B":0}}`, `{"a":{"b":2,"B":0}}`, ""},
		"deeply nested":                            {`{"a":[{"b":{"c":[[{"d":1}]]}}]}`, `{"a":[{"b":{"c":[[{"d":1}]]}}]}`, `{"a":[{"b":{"c":[[{"d":1,"D":1}]]}}]}`, "a/0/b/c/0/0/D"},
		"with a changed selection in the object":   {`{"a":{"selection":"x","b":1}}`, `{"a":{"selection":"x"}}`, `{"a":{"selection":"y","c":1}}`, ""},
		"with enabled changed in the outer object": {`{"a":{"b":1},"enabled":false}`, `{"a":{"b":1},"enabled":false}`, `{"a":{"b":1,"c":1},"enabled":true}`, ""},
		"with enabled changed in another object":   {`{"a":{"b":1},"x":{"enabled":false}}`, `{"a":{"b":1},"x":{"enabled":false}}`, `{"a":{"b":1,"c":1},"x":{"enabled":true}}`, "a/c"},
		"an object in place of null":               {`{"a":null}`, `{"a":null}`, `{"a":{"b":1}}`, ""},
		"in an object that is empty":               {`{"a":{}}`, `{"a":{}}`, `{"a":{"b":1}}`, ""},
		"in a new element":                         {`{"a":[{"b":1}]}`, `{"a":[{"b":1}]}`, `{"a":[{"b":1},{"b":2,"c":1}]}`, ""},
		"in an element that moved":                 {`[{"key":"1","b":1},{"key":"2","b":1}]`, `[{"key":"1"},{"key":"2"}]`, `[{"key":"2"},{"key":"1","B":1}]`, "1/B"},
		"member that another element has":          {`[{"key":"1","b":{"c":1}},{"key":"2","b":{"d":1}}]`, `[{"key":"1","b":{}},{"key":"2","b":{}}]`, `[{"key":"1","b":{}},{"key":"2","b":{"c":1}}]`, ""},
		"the second of two":                        {`[{"key":"1"},{"key":"2","b":1}]`, `[{"key":"1"},{"key":"2"}]`, `[{"key":"1","b":1,"c":1},{"key":"2"}]`, "0/c"},
	} {
		_, got, err := wire.Lay(t.Context(), []byte(test.original), []byte(test.before), []byte(test.after))
		if err != nil {
			t.Errorf("%s: %v", name, err)
		}
		diff(t, name, test.want, got)
	}
}

func TestCovers(t *testing.T) {
	t.Parallel()
	for name, test := range map[string]struct {
		have, want string
		covers     bool
	}{
		"more members":         {`{"a":1.0,"b":{"c":"x","d":1}}`, `{"b":{"c":"\u0078"},"a":1}`, true},
		"missing member":       {`{"a":1}`, `{"a":1,"b":1}`, false},
		"null is a member":     {`{"a":1}`, `{"a":1,"b":null}`, false},
		"another value":        {`{"a":1}`, `{"a":2}`, false},
		"the same list":        {`[1,{"a":1,"b":2}]`, `[1,{"a":1}]`, true},
		"a longer list":        {`[1,2]`, `[1]`, false},
		"a shorter list":       {`[1]`, `[1,2]`, false},
		"another order":        {`[2,1]`, `[1,2]`, false},
		"another kind":         {`"1"`, `1`, false},
		"a list for an object": {`[]`, `{}`, false},
		"empty object":         {`{"a":true}`, `{}`, true},
	} {
		diff(t, name, test.covers, wire.Covers([]byte(test.have), []byte(test.want)))
	}
}
