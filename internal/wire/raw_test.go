package wire_test

import (
	"testing"

	"github.com/go-sps/sps/internal/wire"
)

// noObjects contains texts that are not one valid JSON object.
var noObjects = map[string]string{
	"empty":                   ``,
	"blank":                   " \n",
	"list":                    `[{}]`,
	"text":                    `"{}"`,
	"number":                  `1`,
	"null":                    `null`,
	"truncated":               `{`,
	"truncated after a name":  `{"a"`,
	"truncated after a colon": `{"a":`,
	"truncated in a value":    `{"a":{"b":[1,`,
	"truncated after a value": `{"a":1`,
	"truncated after a comma": `{"a":1,`,
	"truncated in a text":     `{"a":"b`,
	"trailing comma":          `{"a":1,}`,
	"trailing value":          `{"a":1}{"a":1}`,
	"trailing garbage":        `{"a":1}x`,
	"duplicates":              `{"a":1,"a":2}`,
	"duplicates by an escape": `{"a":1,"\u0061":2}`,
	"duplicates further down": `{"a":[{"b":1,"b":2}]}`,
	"name without quotes":     `{a:1}`,
	"invalid UTF-8":           "{\"a\":\"\xff\"}",
	"invalid UTF-8 in a name": "{\"\xff\":1}",
	"lone surrogate":          `{"a":"\ud800"}`,
	"HTML":                    `<html></html>`,
	"byte order mark":         "\ufeff{}",
	"NUL":                     "{}\x00",
}

func TestMembers(t *testing.T) {
	t.Parallel()
	tests := []struct {
		data string
		want []wire.Member
	}{
		{`{}`, nil},
		{" {\n} ", nil},
		{`{"b":1.0,"a":null}`, []wire.Member{{"b", []byte(`1.0`)}, {"a", []byte(`null`)}}},
		{` { "a" : { "x" : [ 1 ] } , "" : "y" } `, []wire.Member{{"a", []byte(`{ "x" : [ 1 ] }`)}, {"", []byte(`"y"`)}}},
		{`{"\u0061\n":"\u0062"}`, []wire.Member{{"a\n", []byte(`"\u0062"`)}}},
		{`{"a":1,"A":2}`, []wire.Member{{"a", []byte(`1`)}, {"A", []byte(`2`)}}},
	}
	for _, test := range tests {
		got, err := wire.Members([]byte(test.data))
		if err != nil {
			t.Errorf("%s: %v", test.data, err)
		}
		diff(t, test.data, test.want, got)
	}
	for name, data := range noObjects {
		got, err := wire.Members([]byte(data))
		if wire.Valid([]byte(data)) == nil && err == nil {
			t.Errorf("%s: got %v, want an error", name, got)
		}
	}
}

// TestMembersDoNotOverlap checks that appending to the value of a member does not overwrite the
// next member.
func TestMembersDoNotOverlap(t *testing.T) {
	t.Parallel()
	members, err := wire.Members([]byte(`{"a":1,"b":2}`))
	if err != nil {
		t.Fatal(err)
	}
	_ = append(members[0].Value, `,"c":3}`...)
	diff(t, "b", "2", string(members[1].Value))
}

func TestElements(t *testing.T) {
	t.Parallel()
	tests := []struct {
		data string
		want [][]byte
	}{
		{`[]`, nil},
		{" [ ]\n", nil},
		{`[1.0, "a" ,{ }, [[]],null]`, [][]byte{[]byte(`1.0`), []byte(`"a"`), []byte(`{ }`), []byte(`[[]]`), []byte(`null`)}},
	}
	for _, test := range tests {
		got, err := wire.Elements([]byte(test.data))
		if err != nil {
			t.Errorf("%s: %v", test.data, err)
		}
		diff(t, test.data, test.want, got)
	}
	for _, data := range []string{``, ` `, `{}`, `null`, `"[]"`, `[`, `[1`, `[1,`, `[1,]`, `[1 2]`, `[] []`, `[]x`} {
		if got, err := wire.Elements([]byte(data)); err == nil {
			t.Errorf("%q: got %q, want an error", data, got)
		}
	}
}

func TestText(t *testing.T) {
	t.Parallel()
	tests := []struct {
		data, want string
		ok         bool
	}{
		{`"7.4.0"`, "7.4.0", true},
		{`""`, "", true},
		{` "a" `, "a", true},
		{`"\u20ac\n\"\\\/"`, "€\n\"\\/", true},
		{`"\ud83d\ude00"`, "😀", true},
		{`7.40`, "7.40", true},
		{` 1e2 `, "1e2", true},
		{`-7001`, "-7001", true},
		{`null`, "", false},
		{`true`, "", false},
		{`{}`, "", false},
		{`[]`, "", false},
		{``, "", false},
	}
	for _, test := range tests {
		got, ok := wire.Text([]byte(test.data))
		if got != test.want || ok != test.ok {
			t.Errorf("Text(%s) = %q, %t, want %q, %t", test.data, got, ok, test.want, test.ok)
		}
	}
	if _, ok := wire.Text([]byte(`"\ud800"`)); ok {
		t.Error("a lone surrogate is a text")
	}
}

func TestKindAndFind(t *testing.T) {
	t.Parallel()
	for data, want := range map[string]byte{
		`null`: wire.Null, ` "x"`: wire.String, `-1`: wire.Number, `0`: wire.Number, "\n{}": wire.Object, `[]`: wire.Array,
		`true`: 't', `false`: 'f', ``: 0, `  `: 0,
	} {
		if got := wire.Kind([]byte(data)); got != want {
			t.Errorf("Kind(%q) = %q, want %q", data, got, want)
		}
	}
	if got := wire.Kind(nil); got != 0 {
		t.Errorf("Kind(nil) = %q, want 0", got)
	}
	members := []wire.Member{{"a", []byte(`1`)}, {"b", []byte(`null`)}}
	diff(t, "b", "null", string(wire.Find(members, "b")))
	if got := wire.Find(members, "c"); got != nil {
		t.Errorf("Find of an absent member: %s", got)
	}
	if got := wire.Find(members, "A"); got != nil {
		t.Errorf("Find in another case: %s", got)
	}
}
