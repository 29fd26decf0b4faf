package wire_test

import (
	"testing"

	"github.com/go-sps/sps/internal/wire"
)

func TestBareReferences(t *testing.T) {
	t.Parallel()
	const reference = `{"key":"-100","meta":{"href":"/api/configuration/policies/x/-100"}}`
	tests := []struct{ name, body, want string }{
		{"member", `{"policy":` + reference + `}`, `{"policy":"-100"}`},
		{"members in the other order", `{"policy":{"meta":{"href":"/api/x"},"key":"a"}}`, `{"policy":"a"}`},
		{"white space", `{ "policy" : { "key" : "a" , "meta" : { "href" : "/api/x" } } }`, `{"policy":"a"}`},
		{"further members of meta", `{"p":{"key":"a","meta":{"href":"/api/x","parent":"/api"}}}`, `{"p":"a"}`},
		{"deep", `{"a":{"b":[{"c":` + reference + `}]},"d":1.0}`, `{"a":{"b":[{"c":"-100"}]},"d":1.0}`},
		{"list", `{"list":[` + reference + `,{"key":"b","meta":{"href":"/api/x"}}]}`, `{"list":["-100","b"]}`},
		{"list of lists", `{"list":[[` + reference + `],[]]}`, `{"list":[["-100"],[]]}`},
		{"list at the top", `[` + reference + `]`, `["-100"]`},
		{"the body itself", reference, reference},
		{"key a number", `{"p":{"key":-7001,"meta":{"href":"/api/x"}}}`, `{"p":-7001}`},
		{"key empty", `{"p":{"key":"","meta":{"href":"/api/x"}}}`, `{"p":""}`},
		{"key with escapes", `{"p":{"key":"a\"\u0062","meta":{"href":"/api/x"}}}`, `{"p":"a\"\u0062"}`},
		{"dotted key with a fragment", `{"p":{"key":"nic1.interfaces.a","meta":{"href":"/api/n/nic1#interfaces/a"}}}`, `{"p":"nic1.interfaces.a"}`},
		{"unset", `{"p":{"key":null,"meta":{}}}`, `{"p":null}`},
		{"unset in a list", `{"p":[{"key":null,"meta":{}}]}`, `{"p":[null]}`},
		{"beside an object with a body", `{"p":` + reference + `,"q":{"key":"a","meta":{"href":"/api/x"},"body":{}}}`, `{"p":"-100","q":{"key":"a","meta":{"href":"/api/x"},"body":{}}}`},
		{"inside an object with a body", `{"q":{"key":"a","meta":{"href":"/api/x"},"body":{"p":` + reference + `}}}`, `{"q":{"key":"a","meta":{"href":"/api/x"},"body":{"p":"-100"}}}`},
		{"names with escapes stay the same names", `{"a\"\n":` + reference + `}`, `{"a\"\n":"-100"}`},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			t.Parallel()
			got, err := wire.BareReferences([]byte(test.body))
			if err != nil {
				t.Fatal(err)
			}
			diff(t, "body", test.want, string(got))
		})
	}
}

func TestNoReferences(t *testing.T) {
	t.Parallel()
	for name, body := range map[string]string{
		"no meta at all":                     `{"key": "a", "x":[1.0]}`,
		"a body beside":                      `{"p":{"key":"a","meta":{"href":"/api/x"},"body":{}}}`,
		"another member beside":              `{"p":{"key":"a","meta":{"href":"/api/x"},"name":"b"}}`,
		"no key":                             `{"p":{"meta":{"href":"/api/x"},"body":"a"}}`,
		"meta without href":                  `{"p":{"key":"a","meta":{}}}`,
		"meta with another href":             `{"p":{"key":"a","meta":{"href":"https://example.com/api/"}}}`,
		"meta with a relative href":          `{"p":{"key":"a","meta":{"href":"api/x"}}}`,
		"href of a wrong kind":               `{"p":{"key":"a","meta":{"href":["/api/x"]}}}`,
		"meta of a wrong kind":               `{"p":{"key":"a","meta":"/api/x"}}`,
		"key an object":                      `{"p":{"key":{"a":1},"meta":{"href":"/api/x"}}}`,
		"key a list":                         `{"p":{"key":["a"],"meta":{"href":"/api/x"}}}`,
		"key true":                           `{"p":{"key":true,"meta":{"href":"/api/x"}}}`,
		"unset without meta":                 `{"p":{"key":null,"meta":null}}`,
		"names in another case":              `{"p":{"Key":"a","Meta":{"href":"/api/x"}},"meta":1}`,
		"a text that looks like a reference": `{"p":"{\"key\":\"a\",\"meta\":{\"href\":\"/api/x\"}}","meta":1}`,
		"a text":                             `"meta"`,
		"only meta":                          `{"meta": {} }`,
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			got, err := wire.BareReferences([]byte(body))
			if err != nil {
				t.Fatal(err)
			}
			diff(t, "body", body, string(got))
		})
	}
}

func TestBareReferencesErrors(t *testing.T) {
	t.Parallel()
	for name, body := range map[string]string{
		"truncated": `{"p":{"key":"a","meta":{"href":"/api/x"}`,
		"trailing":  `{"meta":1} 2`,
	} {
		if got, err := wire.BareReferences([]byte(body)); err == nil {
			t.Errorf("%s: got %s, want an error", name, got)
		}
	}
}
