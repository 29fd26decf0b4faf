package wire_test

import (
	"strings"
	"testing"

	"github.com/go-json-experiment/json"
	"github.com/go-json-experiment/json/jsontext"

	"github.com/go-sps/sps/internal/wire"
)

func TestMarshal(t *testing.T) {
	t.Parallel()
	type inner struct {
		Password secret `json:"password"`
	}
	type body struct {
		Name    string            `json:"name"`
		List    []string          `json:"list"`
		Map     map[string]int    `json:"map"`
		Pointer *string           `json:"pointer"`
		Secret  secret            `json:"secret"`
		Inner   *inner            `json:"inner"`
		Secrets map[string]secret `json:"secrets"`
		Any     any               `json:"any"`
		Omitted []string          `json:"omitted,omitempty"`
		Ignored string            `json:"-"`
	}
	text := "x"
	tests := []struct {
		name  string
		value any
		want  string
	}{
		{"empty members are present", body{}, `{"name":"","list":[],"map":{},"pointer":null,"secret":"","inner":null,"secrets":{},"any":null}`},
		{
			"secrets in clear", body{
				Pointer: &text, Secret: secret{"a"}, Inner: &inner{secret{"b"}}, Secrets: map[string]secret{"k": {"c"}},
				Any: []any{secret{"d"}, &secret{"e"}},
			},
			`{"name":"","list":[],"map":{},"pointer":"x","secret":"a","inner":{"password":"b"},"secrets":{"k":"c"},"any":["d","e"]}`,
		},
		{"a secret by itself", secret{`"\` + "\n€"}, `"\"\\\n€"`},
		{"a pointer to a secret", &secret{"a"}, `"a"`},
		{"a nil pointer to a secret", (*secret)(nil), `null`},
		{"a list of secrets", []secret{{"a"}, {}}, `["a",""]`},
		{"a map in the order of its keys", map[string]any{"c": 1, "a": nil, "b": map[string]int{"z": 1, "y": 2}}, `{"a":null,"b":{"y":2,"z":1},"c":1}`},
		{"nil list", []string(nil), `[]`},
		{"nil map", map[string]string(nil), `{}`},
		{"nil", nil, `null`},
		{"text for HTML", "<&>", `"<&>"`},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			t.Parallel()
			diff(t, "JSON", test.want, string(marshal(t, test.value)))
		})
	}
}

// TestReveal checks that Reveal returns each secret in the data once.
func TestReveal(t *testing.T) {
	t.Parallel()
	type list []secret
	value := map[string]any{"b": []any{secret{"two"}, &secret{"one"}, list{{"one"}, {""}}}, "a": struct{ s, S secret }{secret{"never"}, secret{`a"b`}}, "c": "plain"}
	data, revealed, err := codec.Reveal(value)
	if err != nil {
		t.Fatal(err)
	}
	diff(t, "JSON", string(marshal(t, value)), string(data))
	diff(t, "revealed", []string{`a"b`, "two", "one", ""}, revealed)

	if data, revealed, err = codec.Reveal(map[string]int{"a": 1}); err != nil || revealed != nil {
		t.Errorf("%s, revealed %q, %v", data, revealed, err)
	}
	if data, revealed, err = codec.Reveal([]any{secret{"one"}, func() {}}); err == nil || data != nil || revealed != nil {
		t.Errorf("%s, revealed %q, %v, want only an error", data, revealed, err)
	}
}

// through encodes its secret with the options of the encoder.
type through struct{ s secret }

func (t through) MarshalJSONTo(e *jsontext.Encoder) error { return json.MarshalEncode(e, t.s) }

// TestRevealByType checks that Reveal finds a secret wherever the type of a value has one.
func TestRevealByType(t *testing.T) {
	t.Parallel()
	type node struct {
		Next  *node
		Value *secret
	}
	one := secret{"one"}
	for name, value := range map[string]any{
		"a secret":             one,
		"a pointer":            &one,
		"a slice":              []secret{one},
		"an array":             [1]secret{one},
		"a value of a map":     map[string]secret{"a": one},
		"a nested struct":      struct{ A struct{ B secret } }{struct{ B secret }{one}},
		"a recursive type":     node{Next: &node{Value: &one}},
		"an interface":         struct{ A any }{one},
		"an encoding method":   []through{{one}},
		"a pointer to any":     ptr[any](map[string]any{"a": []any{one}}),
		"a method of the type": struct{ A *through }{&through{one}},
	} {
		_, revealed, err := codec.Reveal(value)
		if err != nil {
			t.Errorf("%s: %v", name, err)
		}
		diff(t, name, []string{"one"}, revealed)
	}
}

func ptr[T any](v T) *T { return &v }

func TestMarshalIsDeterministic(t *testing.T) {
	t.Parallel()
	value := map[string]int{}
	for c := 'a'; c <= 'z'; c++ {
		value[string(c)] = int(c)
	}
	first := string(marshal(t, value))
	for range 20 {
		diff(t, "JSON", first, string(marshal(t, value)))
	}
}

func TestMarshalErrors(t *testing.T) {
	t.Parallel()
	for name, value := range map[string]any{
		"function":      map[string]any{"secret": "s3cret", "f": func() {}},
		"channel":       struct{ C chan int }{make(chan int)},
		"invalid UTF-8": "s3cret\xff",
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			data, err := codec.Marshal(value)
			if err == nil {
				t.Fatalf("got %s, want an error", data)
			}
			if strings.Contains(err.Error(), "s3cret") {
				t.Errorf("the text has a value: %v", err)
			}
		})
	}
}

func TestUnmarshal(t *testing.T) {
	t.Parallel()
	var got struct {
		Name string            `json:"name"`
		N    float64           `json:"n"`
		Map  map[string]string `json:"map"`
	}
	if err := wire.Unmarshal([]byte(`{"unknown":{"a":[1]},"name":"x","n":1e2,"map":{"k":"v"},"Name":"y"}`), &got); err != nil {
		t.Fatal(err)
	}
	diff(t, "name", "x", got.Name)
	diff(t, "number", 100.0, got.N)
	diff(t, "map", map[string]string{"k": "v"}, got.Map)
}

// TestUnmarshalErrors checks that an error names the place in the JSON, and does not quote the
// JSON, which may contain a secret.
func TestUnmarshalErrors(t *testing.T) {
	t.Parallel()
	type body struct {
		Text  string         `json:"text"`
		N     int8           `json:"n"`
		List  []bool         `json:"list"`
		Map   map[string]int `json:"map"`
		Inner struct {
			Flag bool `json:"flag"`
		} `json:"inner"`
	}
	tests := []struct{ name, data, where string }{
		{"text for a number", `{"n":"s3cret"}`, "/n"},
		{"number for a text", `{"text":53733737}`, "/text"},
		{"number too large", `{"n":53733737}`, "/n"},
		{"fraction", `{"n":5373.3737}`, "/n"},
		{"text in a list", `{"list":[true,"s3cret"]}`, "/list/1"},
		{"text in a map", `{"map":{"a":"s3cret"}}`, "/map/a"},
		{"text in an inner object", `{"inner":{"flag":"s3cret"}}`, "/inner/flag"},
		{"object for a text", `{"text":{"password":"s3cret"}}`, "/text"},
		{"list for the whole", `["s3cret"]`, "top level"},
		{"text for the whole", `"s3cret"`, "top level"},
		{"duplicate name", `{"text":"s3cret","text":"s3cret"}`, ""},
		{"duplicate name in what is unknown", `{"x":{"a":"s3cret","a":"s3cret"}}`, ""},
		{"truncated", `{"text":"s3cret`, ""},
		{"control character", "{\"text\":\"s3cret\n\"}", ""},
		{"invalid UTF-8", "{\"text\":\"s3cret\xff\"}", ""},
		{"invalid escape", `{"text":"s3cret\x"}`, ""},
		{"literal", `{"text":s3cret}`, ""},
		{"trailing value", `{} "s3cret"`, ""},
		{"empty", ``, ""},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			t.Parallel()
			err := wire.Unmarshal([]byte(test.data), new(body))
			if err == nil {
				t.Fatal("no error")
			}
			text := err.Error()
			for _, value := range []string{"s3cret", "5373"} {
				if strings.Contains(text, value) {
					t.Errorf("the text has a value: %s", text)
				}
			}
			if !strings.Contains(text, test.where) {
				t.Errorf("%q does not name the place %q", text, test.where)
			}
		})
	}
}

func TestValid(t *testing.T) {
	t.Parallel()
	for _, good := range []string{`{}`, ` [1, 2.0e3] `, `"x"`, `null`, `-0`, `{"a":{"b":[null,true]}}`} {
		if err := wire.Valid([]byte(good)); err != nil {
			t.Errorf("%s: %v", good, err)
		}
	}
	for _, bad := range []string{``, ` `, `{`, `[1,]`, `{"a":1,}`, `{"a":1,"a":2}`, `{} {}`, `01`, `NaN`, `'x'`, "\"\xff\"", `{"a"}`, `tru`, `"\ud800"`, `[{"a":1,"a":1}]`, `{"a":1,"\u0061":2}`, `[x]`, `[] []`, `"a`} {
		if err := wire.Valid([]byte(bad)); err == nil {
			t.Errorf("%q is valid", bad)
		}
	}
}
