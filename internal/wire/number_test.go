package wire_test

import (
	"encoding/json"
	"strings"
	"testing"

	"github.com/go-sps/sps/internal/wire"
)

var numberSpellings = []string{
	"42", "0", "-0", "1.50", "-1E+2", "1e400", "12345678901234567890123", "0.1000000000000000055511151231257827",
	"1" + strings.Repeat("0", 1000),
}

// TestNumbersOut checks that Marshal writes each json.Number as a number with the same
// digits, and returns an error for a json.Number that does not spell a number.
func TestNumbersOut(t *testing.T) {
	t.Parallel()
	type inner struct {
		N json.Number            `json:"n"`
		P *json.Number           `json:"p"`
		M map[string]json.Number `json:"m"`
		K map[json.Number]bool   `json:"k"`
		Q json.Number            `json:"q,string"`
	}
	for _, spelling := range numberSpellings {
		n := json.Number(spelling)
		for _, test := range []struct {
			value any
			want  string
		}{
			{n, "N"},
			{&n, "N"},
			{map[string]any{"n": n}, `{"n":N}`},
			{[]any{n, []json.Number{n}, map[string]any{"a": &n}}, `[N,[N],{"a":N}]`},
			{inner{n, &n, map[string]json.Number{"x": n}, map[json.Number]bool{n: true}, n}, `{"n":N,"p":N,"m":{"x":N},"k":{"N":true},"q":"N"}`},
		} {
			diff(t, "JSON", strings.ReplaceAll(test.want, "N", spelling), string(marshal(t, test.value)))
		}
	}
	diff(t, "the zero value", `{"n":0}`, string(marshal(t, map[string]json.Number{"n": ""})))
	for _, bad := range []string{"s3cret", " 1", "1 ", "1\n", "01", "0x1", "NaN", "+1", ".5", "1,2", `"1"`, "null", "{}"} {
		data, err := codec.Marshal(map[string]any{"n": json.Number(bad)})
		if err == nil || strings.Contains(err.Error(), "s3cret") || !strings.Contains(err.Error(), "/n") {
			t.Errorf("%q gives %s, %v", bad, data, err)
		}
	}
}

// TestNumbersIn checks that Unmarshal reads numbers, and strings that spell a number, into a
// json.Number and keeps their spelling.
func TestNumbersIn(t *testing.T) {
	t.Parallel()
	type inner struct {
		N    json.Number            `json:"n"`
		P    *json.Number           `json:"p"`
		L    []json.Number          `json:"l"`
		M    map[string]json.Number `json:"m"`
		K    map[json.Number]bool   `json:"k"`
		Next *inner                 `json:"next"`
		Rest map[string]any         `json:"rest"`
	}
	for _, spelling := range numberSpellings {
		n := json.Number(spelling)
		var got inner
		data := strings.ReplaceAll(`{"n":N,"p":"N","l":[N,"N"],"m":{"x":N},"k":{"N":true},"next":{"n":N},"rest":{"a":1}}`, "N", spelling)
		if err := wire.Unmarshal([]byte(data), &got); err != nil {
			t.Fatal(err)
		}
		diff(t, "value", inner{n, &n, []json.Number{n, n}, map[string]json.Number{"x": n}, map[json.Number]bool{n: true}, &inner{N: n}, map[string]any{"a": 1.0}}, got)
	}
	n := json.Number("1")
	if err := wire.Unmarshal([]byte(`null`), &n); err != nil || n != "" {
		t.Errorf("null gives %q, %v", n, err)
	}
	for _, bad := range []string{`{"n":"s3cret"}`, `{"n":""}`, `{"n":" 1"}`, `{"n":true}`, `{"n":{}}`, `{"n":[1]}`, `{"n":01}`} {
		var got inner
		if err := wire.Unmarshal([]byte(bad), &got); err == nil || strings.Contains(err.Error(), "s3cret") {
			t.Errorf("%s gives %+v, %v", bad, got, err)
		}
	}
}

// TestNumbersRoundTrip checks that samples that encoding/json decodes with UseNumber do not
// change if Marshal encodes them again.
func TestNumbersRoundTrip(t *testing.T) {
	t.Parallel()
	for _, sample := range samples(t) {
		again := marshal(t, parse(t, sample))
		if wire.Differs(sample, again) || wire.Differs(again, sample) {
			t.Errorf("%s\nbecomes %s", sample, again)
		}
	}
}
