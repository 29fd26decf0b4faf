package wire_test

import (
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"math/rand/v2"
	"reflect"
	"slices"
	"strings"
	"testing"

	"github.com/go-sps/sps/internal/wire"
)

func TestUpdate(t *testing.T) {
	t.Parallel()
	tests := []struct{ name, original, before, after, want string }{
		// These changes leave parts of the body unmodified.
		{"nothing changed", ` { "b" : 1.0 , "a" : null } `, `{"b":1}`, `{"b":1}`, ` { "b" : 1.0 , "a" : null } `},
		{"unknown member", `{"u":{"v":[1.0]},"a":1}`, `{"a":1}`, `{"a":2}`, `{"u":{"v":[1.0]},"a":2}`},
		{
			"unknown members at every depth", `{"u":1,"a":{"u":2,"b":{"u":3,"c":[{"u":4,"d":"x"}]}}}`,
			`{"a":{"b":{"c":[{"d":"x"}]}}}`, `{"a":{"b":{"c":[{"d":"y"}]}}}`, `{"u":1,"a":{"u":2,"b":{"u":3,"c":[{"u":4,"d":"y"}]}}}`,
		},
		{"null stays", `{"n":null,"a":1}`, `{"a":1,"n":""}`, `{"a":2,"n":""}`, `{"n":null,"a":2}`},
		{"null list stays", `{"n":null,"a":1}`, `{"a":1,"n":[]}`, `{"a":2,"n":[]}`, `{"n":null,"a":2}`},
		{"empty list stays", `{"n":[],"a":1}`, `{"a":1,"n":null}`, `{"a":2,"n":null}`, `{"n":[],"a":2}`},
		{"empty object stays", `{"n":{},"a":1}`, `{"a":1,"n":{"x":0}}`, `{"a":2,"n":{"x":0}}`, `{"n":{},"a":2}`},
		{"absent stays", `{"a":1}`, `{"a":1,"n":"","o":{"x":0}}`, `{"a":2,"n":"","o":{"x":0}}`, `{"a":2}`},
		{
			"spelling of numbers", `{"a":1,"x":1.0,"y":1e2,"z":12345678901234567890,"l":[1.0,1E2]}`,
			`{"a":1,"l":[1,100],"x":1,"y":100,"z":12345678901234567000}`, `{"a":2,"l":[1,100],"x":1,"y":100,"z":12345678901234567000}`,
			`{"a":2,"x":1.0,"y":1e2,"z":12345678901234567890,"l":[1.0,1E2]}`,
		},
		{"spelling of texts", `{"a":1,"x":"\u0062\/"}`, `{"a":1,"x":"b/"}`, `{"a":2,"x":"b/"}`, `{"a":2,"x":"\u0062\/"}`},
		{"order of members", `{"c":1,"b":2,"a":3}`, `{"a":3,"b":2,"c":1}`, `{"a":3,"b":9,"c":1}`, `{"c":1,"b":9,"a":3}`},
		{"names with escapes", `{"a\"\n":1,"b":1}`, `{"a\"\n":1}`, `{"a\"\n":2}`, `{"a\"\n":2,"b":1}`},
		{"names in another case", `{"A":1,"a":1}`, `{"a":1}`, `{"a":2}`, `{"A":1,"a":2}`},
		{"reference stays", `{"p":{"key":"1","meta":{"href":"/api/x"}},"a":1}`, `{"a":1,"p":"1"}`, `{"a":2,"p":"1"}`, `{"p":{"key":"1","meta":{"href":"/api/x"}},"a":2}`},

		// These changes set, add and remove members.
		{"changed", `{"a":1.0}`, `{"a":1}`, `{"a":2}`, `{"a":2}`},
		{"added", `{"a":1.0}`, `{"a":1}`, `{"a":1,"b":2}`, `{"a":1.0,"b":2}`},
		{"removed", `{"u":0,"a":1.0,"b":2}`, `{"a":1,"b":2}`, `{"b":2}`, `{"u":0,"b":2}`},
		{"last member removed", `{"a":1}`, `{"a":1}`, `{}`, `{}`},
		{"removed and added", `{"u":0,"a":1.0}`, `{"a":1}`, `{"b":2}`, `{"u":0,"b":2}`},
		{"absent and set", `{"a":1}`, `{"a":1,"n":""}`, `{"a":1,"n":"x"}`, `{"a":1,"n":"x"}`},
		{"absent and removed", `{"a":1}`, `{"a":1,"n":""}`, `{"a":1}`, `{"a":1}`},
		{"reference replaced", `{"p":{"key":"1","meta":{"href":"/api/x"}}}`, `{"p":"1"}`, `{"p":"2"}`, `{"p":"2"}`},

		// The user's type omits empty members.
		{"omitted member set", `{"n":"","u":1}`, `{}`, `{"n":"x"}`, `{"n":"x","u":1}`},
		{"omitted object set", `{"n":{"u":1,"x":""}}`, `{}`, `{"n":{"x":"y"}}`, `{"n":{"u":1,"x":"y"}}`},
		{"omitted nested object set", `{"n":{"u":1,"m":{"u":2,"x":0}}}`, `{}`, `{"n":{"m":{"x":1}}}`, `{"n":{"u":1,"m":{"u":2,"x":1}}}`},
		{"omitted list set", `{"n":[]}`, `{}`, `{"n":["x"]}`, `{"n":["x"]}`},
		{"omitted null set", `{"n":null}`, `{}`, `{"n":{"x":1}}`, `{"n":{"x":1}}`},
		{"member set to empty and omitted", `{"n":"x","u":1}`, `{"n":"x"}`, `{}`, `{"u":1}`},

		// These changes replace a value by one of another kind.
		{"null to an object", `{"a":null}`, `{"a":null}`, `{"a":{"b":1}}`, `{"a":{"b":1}}`},
		{"object to null", `{"a":{"b":1,"u":2}}`, `{"a":{"b":1}}`, `{"a":null}`, `{"a":null}`},
		{"null that the type holds as an object", `{"a":null}`, `{"a":{"b":0}}`, `{"a":{"b":1}}`, `{"a":{"b":1}}`},
		{"list to an object", `{"a":[1]}`, `{"a":[1]}`, `{"a":{"b":1}}`, `{"a":{"b":1}}`},
		{"texts", `"a"`, `"a"`, `"b"`, `"b"`},
		{"numbers", `1.0`, `1`, `2`, `2`},
		{"number of the same value", `1.0`, `1`, `1`, `1.0`},
		{"body null", `null`, `null`, `{}`, `{}`},

		// These changes modify lists of numbers and strings.
		{"remove the first number", `[1.0,2.0,1e2]`, `[1,2,100]`, `[2,100]`, `[2.0,1e2]`},
		{"remove the middle number", `[1.0,2.0,1e2]`, `[1,2,100]`, `[1,100]`, `[1.0,1e2]`},
		{"remove the last number", `[1.0,2.0,1e2]`, `[1,2,100]`, `[1,2]`, `[1.0,2.0]`},
		{"remove all", `[1.0,2.0]`, `[1,2]`, `[]`, `[]`},
		{"insert a number", `[1.0,2.0]`, `[1,2]`, `[1,3,2]`, `[1.0,3,2.0]`},
		{"append a number", `[1.0]`, `[1]`, `[1,1]`, `[1.0,1]`},
		{"fill", `[]`, `[]`, `[1]`, `[1]`},
		{"change a number", `[1.0,2.0]`, `[1,2]`, `[1,3]`, `[1.0,3]`},
		{"list that the type holds as a set", `["b","a","b"]`, `["a","b"]`, `["a","b","c"]`, `["a","b","c"]`},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			t.Parallel()
			diff(t, "body", test.want, update(t, test.original, test.before, test.after))
		})
	}
}

// update calls wire.Update. It checks that the result is valid JSON and that the arguments
// were not modified.
func update(t testing.TB, original, before, after string) string {
	t.Helper()
	inputs := [3][]byte{[]byte(original), []byte(before), []byte(after)}
	got, err := wire.Update(t.Context(), inputs[0], inputs[1], inputs[2])
	if err != nil {
		t.Fatal(err)
	}
	if err := wire.Valid(got); err != nil {
		t.Errorf("%s is not valid JSON: %v", got, err)
	}
	for i, text := range []string{original, before, after} {
		if string(inputs[i]) != text {
			t.Errorf("argument %d was overwritten: %s", i, inputs[i])
		}
	}
	return string(got)
}

// rule is a type for the elements of a list. It has only some of their members.
type rule struct {
	Name string   `json:"name"`
	Port float64  `json:"port"`
	Tags []string `json:"tags"`
}

// TestUpdateArrayOfObjects checks changes of a list of three objects. The unknown member u
// shows from which original element an element of the result comes.
func TestUpdateArrayOfObjects(t *testing.T) {
	t.Parallel()
	const (
		a = `{"u":1,"name":"a","port":1.0,"tags":["x"]}`
		b = `{"u":2,"name":"b","port":2.0,"tags":[]}`
		c = `{"u":3,"name":"c","port":3.0,"tags":null}`
	)
	tests := []struct {
		name   string
		change func([]rule) []rule
		want   string
	}{
		{"remove the first", func(r []rule) []rule { return r[1:] }, `[` + b + `,` + c + `]`},
		{"remove the middle one", func(r []rule) []rule { return append(r[:1:1], r[2]) }, `[` + a + `,` + c + `]`},
		{"remove the last", func(r []rule) []rule { return r[:2] }, `[` + a + `,` + b + `]`},
		{"remove two", func(r []rule) []rule { return r[2:] }, `[` + c + `]`},
		{"remove all", func([]rule) []rule { return nil }, `[]`},
		{"insert", func(r []rule) []rule { return []rule{r[0], {Name: "n"}, r[1], r[2]} }, `[` + a + `,{"name":"n","port":0,"tags":[]},` + b + `,` + c + `]`},
		{"prepend", func(r []rule) []rule { return append([]rule{{Name: "n"}}, r...) }, `[{"name":"n","port":0,"tags":[]},` + a + `,` + b + `,` + c + `]`},
		{"append", func(r []rule) []rule { return append(r, rule{Name: "n", Port: 4}) }, `[` + a + `,` + b + `,` + c + `,{"name":"n","port":4,"tags":[]}]`},
		{"append an equal element", func(r []rule) []rule { return append(r, r[0]) }, `[` + a + `,` + b + `,` + c + `,{"name":"a","port":1,"tags":["x"]}]`},
		{"reverse", func(r []rule) []rule { return []rule{r[2], r[1], r[0]} }, `[` + c + `,` + b + `,` + a + `]`},
		{"rotate", func(r []rule) []rule { return []rule{r[1], r[2], r[0]} }, `[` + b + `,` + c + `,` + a + `]`},
		{"change the first", func(r []rule) []rule { r[0].Port = 9; return r }, `[{"u":1,"name":"a","port":9,"tags":["x"]},` + b + `,` + c + `]`},
		{"rename the middle one", func(r []rule) []rule { r[1].Name = "B"; return r }, `[` + a + `,{"u":2,"name":"B","port":2.0,"tags":[]},` + c + `]`},
		{"change the inner list", func(r []rule) []rule { r[2].Tags = []string{"y"}; return r }, `[` + a + `,` + b + `,{"u":3,"name":"c","port":3.0,"tags":["y"]}]`},
		{"change all", func(r []rule) []rule {
			for i := range r {
				r[i].Port *= 10
			}
			return r
		}, `[{"u":1,"name":"a","port":10,"tags":["x"]},{"u":2,"name":"b","port":20,"tags":[]},{"u":3,"name":"c","port":30,"tags":null}]`},
		{"change and remove", func(r []rule) []rule { r[1].Port = 9; return r[1:] }, `[{"u":2,"name":"b","port":9,"tags":[]},` + c + `]`},
		{"change and append", func(r []rule) []rule { r[1].Port = 9; return append(r, rule{Name: "n"}) }, `[` + a + `,{"u":2,"name":"b","port":9,"tags":[]},` + c + `,{"name":"n","port":0,"tags":[]}]`},
		{"change and move", func(r []rule) []rule { r[1].Port = 9; return []rule{r[1], r[0], r[2]} }, `[{"u":2,"name":"b","port":9,"tags":[]},` + a + `,` + c + `]`},
		{"replace in place", func(r []rule) []rule { r[0] = rule{Name: "n", Port: 9, Tags: []string{"z"}}; return r }, `[{"u":1,"name":"n","port":9,"tags":["z"]},` + b + `,` + c + `]`},
		{"change and remove", func(r []rule) []rule { r[1].Port = 9; return r[1:] }, `[{"u":2,"name":"b","port":9,"tags":[]},` + c + `]`},
		{"change all and append", func(r []rule) []rule {
			for i := range r {
				r[i].Port = 9
			}
			return append(r, rule{Name: "n", Port: 9})
		}, `[{"u":1,"name":"a","port":9,"tags":["x"]},{"u":2,"name":"b","port":9,"tags":[]},{"u":3,"name":"c","port":9,"tags":null},{"name":"n","port":9,"tags":[]}]`},
		{"change all and prepend", func(r []rule) []rule {
			for i := range r {
				r[i].Port = 9
			}
			return append([]rule{{Name: "n"}}, r...)
		}, `[{"name":"n","port":0,"tags":[]},{"u":1,"name":"a","port":9,"tags":["x"]},{"u":2,"name":"b","port":9,"tags":[]},{"u":3,"name":"c","port":9,"tags":null}]`},
		{"change and swap", func(r []rule) []rule { r[0].Port = 9; r[2].Port = 8; return []rule{r[2], r[1], r[0]} }, `[{"u":3,"name":"c","port":8,"tags":null},` + b + `,{"u":1,"name":"a","port":9,"tags":["x"]}]`},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			t.Parallel()
			original := `[` + a + `,` + b + `,` + c + `]`
			var rules []rule
			if err := wire.Unmarshal([]byte(original), &rules); err != nil {
				t.Fatal(err)
			}
			before := string(marshal(t, rules))
			after := string(marshal(t, test.change(rules)))
			diff(t, "list", parse(t, []byte(test.want)), parse(t, []byte(update(t, original, before, after))))
		})
	}
}

// TestUpdateArrayPairing checks lists in which it is not obvious which elements match. An
// element that the change did not modify must keep its unknown members, and no element may get
// the unknown members of another element.
func TestUpdateArrayPairing(t *testing.T) {
	t.Parallel()
	tests := []struct{ name, original, before, after, want string }{
		{
			"one of two equal elements removed", `[{"k":"a","u":1},{"k":"a","u":1},{"k":"b","u":2}]`,
			`[{"k":"a"},{"k":"a"},{"k":"b"}]`, `[{"k":"a"},{"k":"b"}]`, `[{"k":"a","u":1},{"k":"b","u":2}]`,
		},
		{
			"equal elements keep their order", `[{"k":"a","u":1},{"k":"b","u":2},{"k":"a","u":3}]`,
			`[{"k":"a"},{"k":"b"},{"k":"a"}]`, `[{"k":"a"},{"k":"a"}]`, `[{"k":"a","u":1},{"k":"a","u":3}]`,
		},
		{
			"flag changed in place", `[{"on":true,"u":1},{"on":true,"u":2}]`,
			`[{"on":true},{"on":true}]`, `[{"on":true},{"on":false}]`, `[{"on":true,"u":1},{"on":false,"u":2}]`,
		},
		{
			"flag changed in place, now equal to the next element", `[{"on":true,"u":1},{"on":false,"u":2},{"on":false,"u":3}]`,
			`[{"on":true},{"on":false},{"on":false}]`, `[{"on":false},{"on":false},{"on":false}]`,
			`[{"on":false,"u":1},{"on":false,"u":2},{"on":false,"u":3}]`,
		},
		{
			"flag changed in place, now equal to the previous element", `[{"on":false,"u":1},{"on":true,"u":2}]`,
			`[{"on":false},{"on":true}]`, `[{"on":false},{"on":false}]`, `[{"on":false,"u":1},{"on":false,"u":2}]`,
		},
		{
			"text changed in place, now equal to the next element", `[{"k":"a","u":1},{"k":"b","u":2}]`,
			`[{"k":"a"},{"k":"b"}]`, `[{"k":"b"},{"k":"b"}]`, `[{"k":"b","u":1},{"k":"b","u":2}]`,
		},
		{
			"one of two equal elements changed in place", `[{"k":"a","n":1,"u":1},{"k":"a","n":1,"u":2}]`,
			`[{"k":"a","n":1},{"k":"a","n":1}]`, `[{"k":"a","n":2},{"k":"a","n":1}]`, `[{"k":"a","n":2,"u":1},{"k":"a","n":1,"u":2}]`,
		},
		{
			"numeric id, one removed, one changed", `[{"id":1,"k":"x","u":1},{"id":2,"k":"x","u":2}]`,
			`[{"id":1,"k":"x"},{"id":2,"k":"x"}]`, `[{"id":2,"k":"x","n":5}]`, `[{"id":2,"k":"x","u":2,"n":5}]`,
		},
		{
			"reference as the only unchanged value", `[{"k":{"key":"1"},"u":1},{"k":{"key":"2"},"u":2}]`,
			`[{"k":"1","n":1},{"k":"2","n":1}]`, `[{"k":"2","n":2}]`, `[{"k":{"key":"2"},"u":2,"n":2}]`,
		},
		{
			"inner list changed in place", `[[{"k":"a","u":1}],[{"k":"b","u":2}]]`,
			`[[{"k":"a"}],[{"k":"b"}]]`, `[[{"k":"a"}],[{"k":"b","n":1}]]`, `[[{"k":"a","u":1}],[{"k":"b","u":2,"n":1}]]`,
		},
		{
			"inner list removed", `[[{"k":"a","u":1}],[{"k":"b","u":2}]]`,
			`[[{"k":"a"}],[{"k":"b"}]]`, `[[{"k":"b"}]]`, `[[{"k":"b","u":2}]]`,
		},
		{
			"list inside an element", `[{"k":"a","l":[{"m":"x","u":1},{"m":"y","u":2}]}]`,
			`[{"k":"a","l":[{"m":"x"},{"m":"y"}]}]`, `[{"k":"a","l":[{"m":"y"}]}]`, `[{"k":"a","l":[{"m":"y","u":2}]}]`,
		},
		{
			"key replaced, so another element", `[{"key":"a","v":"x","u":1},{"key":"b","v":"x","u":2}]`,
			`[{"key":"a","v":"x"},{"key":"b","v":"x"}]`, `[{"key":"a","v":"x"},{"key":"c","v":"x"}]`, `[{"key":"a","v":"x","u":1},{"key":"c","v":"x"}]`,
		},
		{
			"equal elements with different unknown members removed", `[{"k":"a","u":1},{"k":"a","u":2},{"k":"b","u":3}]`,
			`[{"k":"a"},{"k":"a"},{"k":"b"}]`, `[{"k":"b"}]`, `[{"k":"b","u":3}]`,
		},
		{
			"one removed, one appended", `[{"k":"a","u":1},{"k":"b","u":2}]`,
			`[{"k":"a"},{"k":"b"}]`, `[{"k":"b"},{"k":"c"}]`, `[{"k":"b","u":2},{"k":"c"}]`,
		},
		{
			"name outweighs a value and the index", `[{"name":"a","v":"x","u":1},{"name":"b","v":"y","u":2}]`,
			`[{"name":"a","v":"x"},{"name":"b","v":"y"}]`, `[{"name":"b","v":"x"},{"name":"a","v":"y"}]`,
			`[{"name":"b","v":"x","u":2},{"name":"a","v":"y","u":1}]`,
		},
		{
			"key that two elements have is ignored", `[{"key":"k","name":"a","u":1},{"key":"k","name":"b","u":2}]`,
			`[{"key":"k","name":"a"},{"key":"k","name":"b"}]`, `[{"key":"k","name":"b","n":1},{"key":"k","name":"a","n":1}]`,
			`[{"key":"k","name":"b","u":2,"n":1},{"key":"k","name":"a","u":1,"n":1}]`,
		},
		{"empty key is ignored", `[{"key":"","u":1}]`, `[{"key":""}]`, `[{"key":"a"}]`, `[{"key":"a","u":1}]`},
		{"same name, other key", `[{"key":"a","name":"x","u":1}]`, `[{"key":"a","name":"x"}]`, `[{"key":"b","name":"x"}]`, `[{"key":"b","name":"x"}]`},
		{
			"copy of an unchanged element", `[{"key":"a","u":1},{"key":"b","u":2}]`,
			`[{"key":"a"},{"key":"b"}]`, `[{"key":"a"},{"key":"a","n":1}]`, `[{"key":"a","u":1},{"key":"a","n":1}]`,
		},
		{
			"one of two elements with the same key replaced", `[{"key":"a","n":1,"u":1},{"key":"a","n":2,"u":2}]`,
			`[{"key":"a","n":1},{"key":"a","n":2}]`, `[{"key":"b"},{"key":"a","n":2}]`, `[{"key":"b"},{"key":"a","n":2,"u":2}]`,
		},
		{
			"copied and changed, no unknown members", `[{"key":"a","v":"x"}]`,
			`[{"key":"a","v":"x"}]`, `[{"key":"a","v":"y"},{"key":"a","v":"z"}]`, `[{"key":"a","v":"y"},{"key":"a","v":"z"}]`,
		},
		{
			"second match possible after the first", `[{"v":"x","n":2,"u":1},{"n":2,"u":2}]`,
			`[{"v":"x","n":2},{"n":2}]`, `[{"n":2,"on":true},{"v":"x","n":2,"on":true}]`,
			`[{"n":2,"on":true,"u":2},{"v":"x","n":2,"on":true,"u":1}]`,
		},
		{
			"match by a unique value", `[{"n":2,"m":5,"u":1}]`,
			`[{"n":2,"m":5}]`, `[{"n":2,"m":5,"on":true},{"n":3,"m":5}]`, `[{"n":2,"m":5,"on":true,"u":1},{"n":3,"m":5}]`,
		},
		{
			"value moves to the previous element", `[{"n":1,"m":5,"u":1},{"n":2,"u":2}]`,
			`[{"n":1,"m":5},{"n":2}]`, `[{"n":2,"m":5},{"n":3,"m":5}]`, `[{"n":2,"m":5,"u":1},{"n":3,"m":5,"u":2}]`,
		},
		{
			"similar elements changed in place", `[{"n":3,"m":1,"u":1},{"n":3,"u":2}]`,
			`[{"n":3,"m":1},{"n":3}]`, `[{"n":3,"m":2},{"n":3,"on":true}]`, `[{"n":3,"m":2,"u":1},{"n":3,"on":true,"u":2}]`,
		},
		{
			"key added in place", `[{"v":"x","u":1},{"key":"c","v":"y","u":2}]`,
			`[{"v":"x"},{"key":"c","v":"y"}]`, `[{"key":"b","v":"y"},{"key":"a","v":"y"}]`, `[{"key":"b","v":"y","u":1},{"key":"a","v":"y"}]`,
		},
		{
			"key removed in place", `[{"key":"a","v":"x","u":1},{"key":"b","v":"y","u":2}]`,
			`[{"key":"a","v":"x"},{"key":"b","v":"y"}]`, `[{"v":"z"},{"key":"c","v":"x"}]`, `[{"v":"z","u":1},{"key":"c","v":"x"}]`,
		},
		{
			"changed between two swapped elements", `[{"k":"a","u":1},{"k":"b","u":2},{"k":"c","u":3}]`,
			`[{"k":"a"},{"k":"b"},{"k":"c"}]`, `[{"k":"c"},{"k":"x"},{"k":"a"}]`, `[{"k":"c","u":3},{"k":"x","u":2},{"k":"a","u":1}]`,
		},
		{
			"changed, and another element moved past it", `[{"k":"a","n":1,"u":1},{"k":"b","n":1,"u":2},{"k":"c","n":1,"u":3},{"k":"d","n":1,"u":4}]`,
			`[{"k":"a","n":1},{"k":"b","n":1},{"k":"c","n":1},{"k":"d","n":1}]`, `[{"k":"b","n":2},{"k":"c","n":1},{"k":"d","n":1},{"k":"a","n":1}]`,
			`[{"k":"b","n":2,"u":2},{"k":"c","n":1,"u":3},{"k":"d","n":1,"u":4},{"k":"a","n":1,"u":1}]`,
		},
		{
			"equal elements that another element moved past", `[{"k":"a","u":1},{"k":"a","u":2},{"k":"b","u":3}]`,
			`[{"k":"a"},{"k":"a"},{"k":"b"}]`, `[{"k":"b"},{"k":"a"},{"k":"a"}]`, `[{"k":"b","u":3},{"k":"a","u":1},{"k":"a","u":2}]`,
		},
		{
			"one copied, another one changed", `[{"k":"a","u":1},{"k":"b","u":2},{"k":"c","n":1,"u":3}]`,
			`[{"k":"a"},{"k":"b"},{"k":"c","n":1}]`, `[{"k":"a"},{"k":"a"},{"k":"b"},{"k":"c","n":2}]`,
			`[{"k":"a","u":1},{"k":"a"},{"k":"b","u":2},{"k":"c","n":2,"u":3}]`,
		},
		{
			"removed and renamed, no unknown members", `[{"k":"a"},{"k":"b"}]`,
			`[{"k":"a"},{"k":"b"}]`, `[{"k":"c"}]`, `[{"k":"c"}]`,
		},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			t.Parallel()
			got := update(t, test.original, test.before, test.after)
			diff(t, "list", parse(t, []byte(test.want)), parse(t, []byte(got)))
		})
	}
}

// TestUpdateAmbiguous checks that Update returns ErrAmbiguous for changes with more than one
// possible match of the elements.
func TestUpdateAmbiguous(t *testing.T) {
	t.Parallel()
	for name, test := range map[string]struct{ original, before, after string }{
		"removed and renamed":                                              {`[{"k":"a","u":1},{"k":"b","u":2}]`, `[{"k":"a"},{"k":"b"}]`, `[{"k":"c"}]`},
		"one removed, one value of the other changed":                      {`[{"k":"a","v":"x","u":1},{"k":"b","v":"x","u":2}]`, `[{"k":"a","v":"x"},{"k":"b","v":"x"}]`, `[{"k":"c","v":"x"}]`},
		"one of two equal elements with different unknown members removed": {`[{"k":"a","u":1},{"k":"a","u":2}]`, `[{"k":"a"},{"k":"a"}]`, `[{"k":"a"}]`},
		"changed, with a similar new element before it": {
			`[{"who":"admins","may":"all","u":{"g":1}}]`, `[{"who":"admins","may":"all"}]`, `[{"who":"interns","may":"all"},{"who":"admins","may":"some"}]`,
		},
		"copied and changed": {
			`[{"key":"a","v":"x","u":1}]`, `[{"key":"a","v":"x"}]`, `[{"key":"a","v":"y"},{"key":"a","v":"z"}]`,
		},
		"a set of objects": {`[{"k":"a","u":1},{"k":"b","u":2}]`, `["a"]`, `["b"]`},
		"a set of lists":   {`[["a"],["a"]]`, `[["a"]]`, `[["b"]]`},
		"copied, each copy changed, one value kept": {
			`[{"key":"a","v":"x","n":1,"u":1}]`, `[{"key":"a","v":"x","n":1}]`, `[{"key":"a","v":"y","n":2},{"key":"a","v":"z","n":1}]`,
		},
		"two elements merged into one": {`[{"k":"a","n":3,"u":1},{"m":7,"u":2}]`, `[{"k":"a","n":3},{"m":7}]`, `[{"k":"a","n":3,"m":7}]`},
		"one element split into two":   {`[{"k":"a","n":3,"m":7,"u":1}]`, `[{"k":"a","n":3,"m":7}]`, `[{"k":"a"},{"n":3,"m":7}]`},
		"as many values in common with each new element": {
			`[{"n":2,"k":"a","u":1}]`, `[{"n":2,"k":"a"}]`, `[{"n":2,"k":"b"},{"n":2,"k":"c"},{"n":3,"k":"a"}]`,
		},
		"value moves to the next element":  {`[{"n":3,"u":1},{"m":5,"u":2}]`, `[{"n":3},{"m":5}]`, `[{"on":true},{"n":3,"m":5}]`},
		"value of the next element copied": {`[{"m":1,"u":1},{"m":2,"u":2}]`, `[{"m":1},{"m":2}]`, `[{"m":2,"on":true},{"m":2,"on":true}]`},
		"moved, copied and changed": {
			`[{"k":"a","u":1},{"k":"b","u":2}]`, `[{"k":"a"},{"k":"b"}]`, `[{"k":"b"},{"k":"a","n":1},{"k":"a","n":2}]`,
		},
		"changed, with a new element after it": {`[{"key":"a","v":"x","u":1}]`, `[{"key":"a","v":"x"}]`, `[{"v":"y"},{"key":"c","v":"z"}]`},
		"one of two equal elements removed, one added": {
			`[{"k":"a","u":1},{"k":"a","u":2},{"k":"b","u":3}]`, `[{"k":"a"},{"k":"a"},{"k":"b"}]`, `[{"k":"a"},{"k":"b"},{"k":"c"}]`,
		},
		"element changed to equal another one, or removed": {
			`[{"on":true,"u":1},{"on":false,"u":2},{"k":"a","u":3}]`, `[{"on":true},{"on":false},{"k":"a"}]`, `[{"on":true},{"on":true}]`,
		},
		"element changed to equal the next one, or removed": {
			`[{"on":false,"u":1},{"on":true,"u":2},{"k":"a","u":3}]`, `[{"on":false},{"on":true},{"k":"a"}]`, `[{"on":true},{"on":true}]`,
		},
		"one removed, one with a common value added": {
			`[{"k":"a","n":1,"u":1},{"k":"b","n":1,"u":2}]`, `[{"k":"a","n":1},{"k":"b","n":1}]`, `[{"k":"b","n":1},{"k":"c","n":1}]`,
		},
		"one removed and one added around two changed elements": {
			`[{"k":"a","u":1},{"k":"b","u":2},{"k":"c","u":3},{"k":"d","u":4}]`, `[{"k":"a"},{"k":"b"},{"k":"c"},{"k":"d"}]`, `[{"k":"B"},{"k":"C"},{"k":"d"},{"k":"n"}]`,
		},
		"as many values support each match": {
			`[{"k":"a","n":1,"u":1},{"k":"b","n":2,"u":2}]`, `[{"k":"a","n":1},{"k":"b","n":2}]`, `[{"k":"a","n":2}]`,
		},
		"only a flag in common":                   {`[{"on":false,"u":1}]`, `[{"on":false}]`, `[{"n":2,"on":true},{"n":1,"on":false}]`},
		"unknown member in an inner object":       {`[{"o":{"k":"a","u":1}}]`, `[{"o":{"k":"a"}}]`, `[{"o":{"k":"b"}},{"o":{"k":"c"}}]`},
		"unknown member in an inner list":         {`[{"l":[{"k":"a","u":1}]}]`, `[{"l":[{"k":"a"}]}]`, `[{"l":[{"k":"b"}]},{"l":[{"k":"c"}]}]`},
		"inner list that the type holds as a set": {`[{"l":["a","a"]}]`, `[{"l":["a"]}]`, `[{"l":["b"]},{"l":["c"]}]`},
		"deeply nested list":                      {`{"l":[{"l":[{"k":"a","u":{"v":[{}]}},{"k":"b"}]}]}`, `{"l":[{"l":[{"k":"a"},{"k":"b"}]}]}`, `{"l":[{"l":[{"k":"c"}]}]}`},
	} {
		got, err := wire.Update(t.Context(), []byte(test.original), []byte(test.before), []byte(test.after))
		if !errors.Is(err, wire.ErrAmbiguous) {
			t.Errorf("%s: %s, %v", name, got, err)
		}
	}
}

// TestUpdateTypes checks changes of a Go struct whose JSON does not have the same members as
// the original.
func TestUpdateTypes(t *testing.T) {
	t.Parallel()
	type address struct {
		Selection string `json:"selection"`
		Value     string `json:"value,omitempty"`
	}
	type body struct {
		Name     string            `json:"name"`
		Timeout  float64           `json:"timeout"`
		Server   address           `json:"server"`
		Backup   *address          `json:"backup"`
		Labels   map[string]string `json:"labels"`
		Password secret            `json:"password"`
		Extra    []string          `json:"extra,omitempty"`
	}
	const original = `{"unknown":{"deep":[1.0,null]},"name":"a","timeout":10.0,"server":{"selection":"ip","value":"10.0.0.1","port":25},` +
		`"backup":null,"labels":{"z":"1","y":"2"},"password":null,"extra":[]}`
	tests := []struct {
		name     string
		change   func(*body)
		old, new string // the part of original that changes, and the same part of the result
	}{
		{"nothing", func(*body) {}, ``, ``},
		{"text", func(b *body) { b.Name = "b" }, `"name":"a"`, `"name":"b"`},
		{"number", func(b *body) { b.Timeout = 11 }, `"timeout":10.0`, `"timeout":11`},
		{"inner member", func(b *body) { b.Server.Value = "10.0.0.2" }, `"10.0.0.1"`, `"10.0.0.2"`},
		{"inner member removed", func(b *body) { b.Server = address{Selection: "none"} }, `"selection":"ip","value":"10.0.0.1"`, `"selection":"none"`},
		{"null replaced by an object", func(b *body) { b.Backup = &address{"ip", "10.0.0.3"} }, `"backup":null`, `"backup":{"selection":"ip","value":"10.0.0.3"}`},
		{"map key added", func(b *body) { b.Labels["x"] = "3" }, `"y":"2"`, `"y":"2","x":"3"`},
		{"map key removed", func(b *body) { delete(b.Labels, "z") }, `"z":"1",`, ``},
		{"map emptied", func(b *body) { b.Labels = nil }, `{"z":"1","y":"2"}`, `{}`},
		{"secret", func(b *body) { b.Password = secret{"s3cret"} }, `"password":null`, `"password":"s3cret"`},
		{"omitted empty list set", func(b *body) { b.Extra = []string{"x"} }, `"extra":[]`, `"extra":["x"]`},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			t.Parallel()
			b := body{
				Name: "a", Timeout: 10, Server: address{"ip", "10.0.0.1"}, Labels: map[string]string{"y": "2", "z": "1"},
			}
			before := string(marshal(t, b))
			test.change(&b)
			after := string(marshal(t, b))
			diff(t, "body", strings.Replace(original, test.old, test.new, 1), update(t, original, before, after))
		})
	}
}

func TestUpdateErrors(t *testing.T) {
	t.Parallel()
	const good, other = `{"a":{"b":1}}`, `{"a":{"b":2}}`
	for name, bad := range map[string]string{
		"truncated": `{"a":{"b":1}`,
		"trailing":  `{"a":{"b":1}} {}`,
		"list":      `[1,`,
	} {
		for i, arguments := range [][3]string{{bad, good, other}, {good, bad, other}, {good, other, bad}} {
			if name == "list" {
				arguments = [3]string{`[1]`, `[1]`, `[2]`}
				arguments[i] = bad
			}
			got, err := wire.Update(t.Context(), []byte(arguments[0]), []byte(arguments[1]), []byte(arguments[2]))
			if err == nil {
				t.Errorf("%s, argument %d: got %s, want an error", name, i, got)
			}
		}
	}
}

// TestUpdateDepth checks that Update accepts 100 nested levels and refuses more, because it
// reads a value once for each level above it.
func TestUpdateDepth(t *testing.T) {
	t.Parallel()
	for depth, want := range map[int]bool{100: true, 101: false} {
		nested := func(leaf string) []byte {
			return []byte(strings.Repeat(`{"a":`, depth) + leaf + strings.Repeat(`}`, depth))
		}
		got, err := wire.Update(t.Context(), nested("1.0"), nested("1"), nested("2"))
		if want != (err == nil) || want && string(got) != string(nested("2")) {
			t.Errorf("%d levels: %s, %v", depth, got, err)
		}
	}
}

// documents generates random JSON. Equal numbers have the same spelling, so that results can
// be compared exactly.
type documents struct {
	*rand.Rand
	serial int
}

func newDocuments(seed uint64) *documents {
	return &documents{Rand: rand.New(rand.NewPCG(seed, 1))}
}

var (
	spellings = []string{`0`, `-1`, `1.0`, `1e2`, `2.50`, `-7001`, `12345678901234567890`, `1E-3`}
	strange   = []string{``, `null`, `"`, `\`, "\n", `<&>`, `€`, `😀`, "\u2028", `/`, `a`, `b`, `key`, `meta`}
)

func (d *documents) pick(list []string) string { return list[d.IntN(len(list))] }

// quoted returns a text as a JSON string, sometimes with unnecessary escapes.
func (d *documents) quoted(text string) string {
	data, _ := json.Marshal(text)
	if d.IntN(3) == 0 {
		return strings.ReplaceAll(string(data), "a", `\u0061`)
	}
	return string(data)
}

// unique returns a text that this generator has not returned before.
func (d *documents) unique() string {
	d.serial++
	return fmt.Sprintf("%s#%d", d.pick(strange), d.serial)
}

func (d *documents) space() string { return d.pick([]string{"", "", "", " ", "\n\t"}) }

func (d *documents) value(depth int) string {
	kind := d.IntN(7)
	if depth <= 0 {
		kind = d.IntN(4)
	}
	switch kind {
	case 0:
		return d.pick([]string{"null", "true", "false"})
	case 1:
		return d.pick(spellings)
	case 2, 3:
		return d.quoted(d.pick(strange))
	case 4, 5:
		return d.object(depth, nil)
	}
	return d.list(d.IntN(5), func() string { return d.value(depth - 1) })
}

func (d *documents) list(n int, value func() string) string {
	elements := make([]string, n)
	for i := range elements {
		elements[i] = d.space() + value() + d.space()
	}
	return "[" + strings.Join(elements, ",") + "]"
}

// object generates an object that has some of the known members, and unknown members, in
// random order.
func (d *documents) object(depth int, known map[string]func() string) string {
	members := map[string]string{}
	for range d.IntN(4) {
		members["u"+d.pick(strange)] = d.value(depth - 1)
	}
	for _, name := range slices.Sorted(maps.Keys(known)) {
		if d.IntN(4) > 0 {
			members[name] = known[name]()
		}
	}
	var list []string
	for _, name := range slices.Sorted(maps.Keys(members)) {
		list = append(list, d.space()+d.quoted(name)+d.space()+":"+d.space()+members[name])
	}
	d.Shuffle(len(list), func(i, j int) { list[i], list[j] = list[j], list[i] })
	return "{" + strings.Join(list, ",") + d.space() + "}"
}

// partial has some of the members of the documents that documents.known generates.
type partial struct {
	Name    string             `json:"name"`
	Count   float64            `json:"count"`
	Flag    bool               `json:"flag"`
	Inner   *partial           `json:"inner"`
	List    []partial          `json:"list"`
	Labels  map[string]string  `json:"labels"`
	Sparse  string             `json:"sparse,omitempty"`
	Numbers map[string]float64 `json:"numbers,omitempty"`
}

func (d *documents) known(depth int) string {
	null := func(value func() string) func() string {
		return func() string {
			if d.IntN(5) == 0 {
				return "null"
			}
			return value()
		}
	}
	members := map[string]func() string{
		"name":  null(func() string { return d.quoted(d.unique()) }),
		"count": null(func() string { return d.pick(spellings) }),
		"flag":  null(func() string { return d.pick([]string{"true", "false"}) }),
		// The type of labels accepts only strings, so this object has no unknown members.
		"labels": null(func() string {
			return `{` + d.space() + `"x":` + d.quoted(d.pick(strange)) + `,"y":"a"}`
		}),
		"sparse":  null(func() string { return d.quoted(d.pick(strange)) }),
		"numbers": null(func() string { return `{"a":1.0,"b":1e2}` }),
	}
	if depth > 0 {
		members["inner"] = null(func() string { return d.known(depth - 1) })
		members["list"] = null(func() string {
			return d.list(d.IntN(4), func() string { return d.known(depth - 1) })
		})
	}
	return d.object(depth, members)
}

func TestUpdateRandomUnchanged(t *testing.T) {
	t.Parallel()
	for seed := range uint64(random(1000)) {
		d := newDocuments(seed)
		for _, document := range []string{d.value(4), d.known(3)} {
			for _, v := range []any{new(any), new(map[string]any), new(partial)} {
				if err := wire.Unmarshal([]byte(document), v); err != nil {
					continue // the document does not fit into the type
				}
				data := string(marshal(t, v))
				if got := update(t, document, data, data); got != document {
					t.Fatalf("seed %d, %T: mismatch\nwant %s\ngot  %s", seed, v, document, got)
				}
			}
		}
	}
}

// leaves calls f for each leaf of a value, with the place of the leaf and a function that
// sets it.
func leaves(value any, place []any, set func(any), f func(place []any, set func(any))) {
	at := func(step any) []any { return append(place[:len(place):len(place)], step) }
	switch v := value.(type) {
	case map[string]any:
		for name := range v {
			leaves(v[name], at(name), func(n any) { v[name] = n }, f)
		}
	case []any:
		for i := range v {
			leaves(v[i], at(i), func(n any) { v[i] = n }, f)
		}
	default:
		f(place, set)
	}
}

// TestUpdateRandomLeafOfMap changes one leaf of a document that was decoded into a map, and
// checks that the rest of the document stays the same.
func TestUpdateRandomLeafOfMap(t *testing.T) {
	t.Parallel()
	changed := 0
	for seed := range uint64(random(1000)) {
		d := newDocuments(seed)
		document := d.object(4, map[string]func() string{"a": func() string { return d.value(3) }, "b": func() string { return d.known(2) }})
		var places []string
		leaves(parse(t, []byte(document)), nil, nil, func(place []any, _ func(any)) { places = append(places, fmt.Sprintf("%q", place)) })
		if len(places) == 0 {
			continue
		}
		slices.Sort(places) // because the order of a map is random
		place := places[d.IntN(len(places))]
		change := func(value any) any {
			leaves(value, nil, nil, func(p []any, set func(any)) {
				if fmt.Sprintf("%q", p) == place {
					set("changed")
				}
			})
			return value
		}
		var decoded map[string]any
		if err := wire.Unmarshal([]byte(document), &decoded); err != nil {
			t.Fatal(err)
		}
		before := string(marshal(t, decoded))
		after := string(marshal(t, change(decoded)))
		got := update(t, document, before, after)
		if want := change(parse(t, []byte(document))); !reflect.DeepEqual(want, parse(t, []byte(got))) {
			t.Errorf("seed %d, %s of %s", seed, place, document)
			diff(t, "document", want, parse(t, []byte(got)))
			return
		}
		changed++
	}
	if changed < random(1000)/2 {
		t.Errorf("only %d documents had a leaf", changed)
	}
}

// edit is one change, made in two ways: do changes a value of type partial, and same makes the
// same change to the parsed document.
type edit struct {
	what string
	do   func()
	same func()
}

// edits returns a change for each leaf that the type and the document both have.
func (p *partial) edits(place string, document map[string]any) []edit {
	var list []edit
	if _, ok := document["name"]; ok {
		list = append(list, edit{place + ".name", func() { p.Name = "changed" }, func() { document["name"] = "changed" }})
	}
	if _, ok := document["count"]; ok {
		list = append(list, edit{place + ".count", func() { p.Count = 4711 }, func() { document["count"] = json.Number("4711") }})
	}
	if _, ok := document["flag"].(bool); ok {
		list = append(list, edit{place + ".flag", func() { p.Flag = !p.Flag }, func() { document["flag"] = !document["flag"].(bool) }})
	}
	if _, ok := document["sparse"]; ok {
		list = append(list, edit{place + ".sparse", func() { p.Sparse = "changed" }, func() { document["sparse"] = "changed" }})
	}
	if labels, ok := document["labels"].(map[string]any); ok {
		list = append(list, edit{place + ".labels.x", func() { p.Labels["x"] = "changed" }, func() { labels["x"] = "changed" }},
			edit{place + ".labels.y", func() { delete(p.Labels, "y") }, func() { delete(labels, "y") }})
	}
	if inner, ok := document["inner"].(map[string]any); ok {
		list = append(list, p.Inner.edits(place+".inner", inner)...)
	}
	if elements, ok := document["list"].([]any); ok {
		for i, element := range elements {
			list = append(list, p.List[i].edits(fmt.Sprintf("%s.list[%d]", place, i), element.(map[string]any))...)
			// An element without a name may be equal to another one, so that its removal
			// would be ambiguous.
			if element.(map[string]any)["name"] != nil {
				list = append(list, edit{
					fmt.Sprintf("%s.list[%d] removed", place, i),
					func() { p.List = slices.Delete(p.List, i, i+1) },
					func() { document["list"] = slices.Delete(elements, i, i+1) },
				})
			}
		}
	}
	return list
}

// TestUpdateRandomLeafOfStruct changes one leaf of a document that was decoded into a struct
// with some of its members, and checks that the rest of the document stays the same.
func TestUpdateRandomLeafOfStruct(t *testing.T) {
	t.Parallel()
	changed := map[string]bool{}
	for seed := range uint64(random(1000)) {
		d := newDocuments(seed)
		document := d.known(3)
		var decoded partial
		if err := wire.Unmarshal([]byte(document), &decoded); err != nil {
			t.Fatalf("seed %d: %v", seed, err)
		}
		want := parse(t, []byte(document)).(map[string]any)
		all := decoded.edits("", want)
		if len(all) == 0 {
			continue
		}
		pick := all[d.IntN(len(all))]
		before := string(marshal(t, decoded))
		pick.do()
		after := string(marshal(t, decoded))
		pick.same()
		got := parse(t, []byte(update(t, document, before, after)))
		if !reflect.DeepEqual(any(want), got) {
			t.Errorf("seed %d, %s of %s", seed, pick.what, document)
			diff(t, "document", any(want), got)
			return
		}
		changed[pick.what] = true
	}
	if len(changed) < 50 {
		t.Errorf("only %d places were changed", len(changed))
	}
}

func FuzzUpdate(f *testing.F) {
	all := samples(f)
	for i, sample := range all {
		f.Add(sample, sample, all[(i+1)%len(all)])
		f.Add(sample, []byte(`{"body":{},"items":[]}`), sample)
	}
	f.Add([]byte(`{"a":[{"k":"a","u":1.0},{"k":"b"}],"n":null}`), []byte(`{"a":[{"k":"a"},{"k":"b"}]}`), []byte(`{"a":[{"k":"b"}],"n":{}}`))
	f.Add([]byte(`[1.0,[2],{"a":{}}]`), []byte(`[1,[2],{}]`), []byte(`[[2],{"a":1}]`))
	f.Add([]byte(`{"a":1,"a":2}`), []byte(`{}`), []byte(`{"a":`))
	f.Fuzz(func(t *testing.T, x, y, z []byte) {
		same, err := wire.Update(t.Context(), x, y, y)
		if err != nil || string(same) != string(x) {
			t.Errorf("Update(x, y, y) = %q, %v, want %q", same, err, x)
		}
		got, err := wire.Update(t.Context(), x, y, z)
		if wire.Valid(x) != nil || wire.Valid(y) != nil || wire.Valid(z) != nil {
			return
		}
		if errors.Is(err, wire.ErrAmbiguous) {
			return
		}
		if err != nil {
			t.Fatalf("error of valid JSON: %v", err)
		}
		if err := wire.Valid(got); err != nil {
			t.Errorf("result %q: %v", got, err)
		}
		// With before equal to the original, the original has no unknown members. The result
		// must then equal after.
		full, err := wire.Update(t.Context(), y, y, z)
		if err != nil {
			t.Fatal(err)
		}
		if want := parse(t, z); !reflect.DeepEqual(want, parse(t, full)) {
			t.Errorf("Update(y, y, z) = %s, want the value of %s", full, z)
		}
	})
}
