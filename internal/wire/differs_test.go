package wire_test

import (
	"strings"
	"testing"

	"github.com/go-sps/sps/internal/wire"
)

func TestDiffers(t *testing.T) {
	t.Parallel()
	tests := []struct {
		a, b string
		want bool
	}{
		{`1`, `1.0`, false},
		{`1`, `2`, true},
		{`1`, `"1"`, true},
		{`9007199254740993`, `9007199254740992`, true},
		{`9007199254740993`, `9007199254740993.0`, false},
		{`1e400`, `10e399`, false},
		{`1e400`, `1e401`, true},
		{`0`, `-0.0e9`, false},
		{`-1`, `1`, true},
		{`"\u0061"`, `"a"`, false},
		{`"a"`, `"b"`, true},
		{`null`, `null`, false},
		{`null`, `{}`, true},
		{`true`, ` true`, false},
		{`true`, `false`, true},
		{`{}`, `{"a":1}`, false},
		{`{"a":1,"b":2}`, `{"b":2.0,"c":3}`, false},
		{`{"a":1}`, `{"a":2}`, true},
		{`{"a":{"b":[1,{"c":null}]}}`, `{"a":{"b":[1,{"c":0}]}}`, true},
		{`{"a":{"b":[1,{"c":null}]}}`, `{"a":{"b":[1,{"d":0}]}}`, false},
		{`[1,2]`, `[1,2]`, false},
		{`[1,2]`, `[2,1]`, true},
		{`[1]`, `[1,2]`, true},
		{`[]`, `{}`, true},
		{``, `1`, true},
		{`{`, `{}`, true},
		{`[`, `[]`, true},
	}
	for _, test := range tests {
		if got := wire.Differs([]byte(test.a), []byte(test.b)); got != test.want {
			t.Errorf("Differs(%s, %s) = %t", test.a, test.b, got)
		}
		if got := wire.Differs([]byte(test.b), []byte(test.a)); got != test.want {
			t.Errorf("Differs(%s, %s) = %t", test.b, test.a, got)
		}
	}
	deep := strings.Repeat("[", 5000) + strings.Repeat("]", 5000)
	wire.Differs([]byte(deep), []byte(deep)) // must return
}

func TestAt(t *testing.T) {
	t.Parallel()
	value := `{"a":{"b/c":[10,{"d":"x"}]},"":1}`
	for place, want := range map[string]string{
		"":                           value,
		"a":                          `{"b/c":[10,{"d":"x"}]}`,
		"a b/c 0":                    `10`,
		"a b/c 1 d":                  `"x"`,
		"a b/c 2":                    ``,
		"a b/c -1":                   ``,
		"a b/c 01x":                  ``,
		"a b/c 1 d e":                ``,
		"z":                          ``,
		"a b/c 99999999999999999999": ``,
	} {
		var steps []string
		if place != "" {
			steps = strings.Split(place, " ")
		}
		diff(t, place, want, string(wire.At([]byte(value), steps)))
	}
	diff(t, "the member without a name", "1", string(wire.At([]byte(value), []string{""})))
	if got := wire.At([]byte(`{`), []string{"a"}); got != nil {
		t.Errorf("At in invalid JSON: %s", got)
	}
}
