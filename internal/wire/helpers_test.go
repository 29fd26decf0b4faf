package wire_test

import (
	"bytes"
	"encoding/json"
	"flag"
	"os"
	"path/filepath"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/go-sps/sps/internal/wire"
)

var randomTimes = flag.Int("random-times", 1, "factor for the number of random documents and lists that the tests generate")

// random returns the number of random inputs that a test generates. Without the race
// detector, it is n times the value of the flag -random-times. With the race detector, it is
// a quarter of that. The inputs have the same seeds in each run.
func random(n int) int {
	if raceEnabled {
		n /= 4
	}
	return n * *randomTimes
}

// secret is a type whose own encoders hide its value.
type secret struct{ text string }

func (secret) String() string               { return "hidden" }
func (secret) MarshalJSON() ([]byte, error) { return []byte(`"hidden"`), nil }

var codec = wire.NewCodec(func(s secret) string { return s.text })

func marshal(t testing.TB, v any) []byte {
	t.Helper()
	data, err := codec.Marshal(v)
	if err != nil {
		t.Fatal(err)
	}
	return data
}

// parse decodes JSON and keeps the spelling of numbers.
func parse(t testing.TB, data []byte) any {
	t.Helper()
	decoder := json.NewDecoder(bytes.NewReader(data))
	decoder.UseNumber()
	var value any
	if err := decoder.Decode(&value); err != nil {
		t.Fatalf("invalid JSON: %v: %s", err, data)
	}
	return value
}

// diff fails the test if want and got differ.
func diff(t testing.TB, what string, want, got any) {
	t.Helper()
	if d := cmp.Diff(want, got); d != "" {
		t.Errorf("%s mismatch (-want +got):\n%s", what, d)
	}
}

// samples returns the sample bodies of the guide.
func samples(t testing.TB) [][]byte {
	t.Helper()
	names, err := filepath.Glob("../../testdata/*.json")
	if err != nil || len(names) == 0 {
		t.Fatalf("no sample: %v", err)
	}
	var all [][]byte
	for _, name := range names {
		data, err := os.ReadFile(name)
		if err != nil {
			t.Fatal(err)
		}
		all = append(all, data)
	}
	return all
}
