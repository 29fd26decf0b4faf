package out

import (
	"bytes"
	"encoding/json"
	"errors"
	"strings"
	"testing"

	"github.com/goccy/go-yaml"
	"github.com/google/go-cmp/cmp"
)

// outcomes returns the outcomes of two appliances, with strings that are difficult to print.
func outcomes() []Outcome {
	return []Outcome{
		{Appliance: "sps1", Status: No, Result: "no", Data: map[string]any{
			"texts": []string{"yes", "a: b", "-", "", "\x1b[2J\r\n\u202e\U000e0001", "# x", "007", "Ärger 🙂", `q"\`}, "empty": []int{}, "none": map[string]int{}, "number": 1.5e10, "nested": [][]int{{1, 2}, {}},
		}, Report: Report{Columns: []string{"SLOT", "DETAIL"}, Rows: []Row{{Cells: []string{"2", "bad"}, Below: "more\nlines"}}}},
		{Appliance: "sps2.example.com", Status: Failed, Result: "error", Error: &Problem{Kind: "unavailable", Message: "down", Advice: "wait"}},
	}
}

// printed returns the output of a format for the outcomes.
func printed(t *testing.T, format string, o Options) string {
	t.Helper()
	var b bytes.Buffer
	printer := New(format, &b, o)
	err := printer.Begin()
	for _, outcome := range outcomes() {
		err = errors.Join(err, printer.Print(outcome))
	}
	if err = errors.Join(err, printer.End(Failed)); err != nil {
		t.Fatal(err)
	}
	return b.String()
}

// TestYAML decodes the YAML with another package, and checks that it equals the JSON.
func TestYAML(t *testing.T) {
	t.Parallel()
	o := Options{Command: "sps test"}
	var want, got any
	if err := json.Unmarshal([]byte(printed(t, "json", o)), &want); err != nil {
		t.Fatal(err)
	}
	text := printed(t, "yaml", o)
	var plain any
	if err := yaml.Unmarshal([]byte(text), &plain); err != nil {
		t.Fatalf("%v in\n%s", err, text)
	}
	asJSON, err := json.Marshal(plain)
	if err = errors.Join(err, json.Unmarshal(asJSON, &got)); err != nil {
		t.Fatal(err)
	}
	if d := cmp.Diff(want, got); d != "" {
		t.Errorf("(-JSON +YAML):\n%s\n%s", d, text)
	}
	if strings.ContainsAny(text, "\x1b\r\u202e") {
		t.Errorf("%q", text)
	}
}

// TestJSONLines checks that each outcome has one line.
func TestJSONLines(t *testing.T) {
	t.Parallel()
	lines := strings.Split(strings.TrimSpace(printed(t, "jsonl", Options{Command: "sps test"})), "\n")
	if len(lines) != 2 || !strings.HasPrefix(lines[1], `{"format":1,"command":"sps test","appliance":"sps2.example.com","status":2,"result":"error","error":{"kind":"unavailable"`) {
		t.Errorf("%q", lines)
	}
}

// TestTable checks tables for one and several appliances and for narrow terminals.
func TestTable(t *testing.T) {
	t.Parallel()
	names := []string{"sps1", "sps2.example.com"}
	for name, test := range map[string]struct {
		o    Options
		want string
	}{
		"fleet":  {Options{Appliances: names}, "APPLIANCE         SLOT  DETAIL\nsps1              2     bad\n    more\n    lines\nsps2.example.com  error: down (wait)\n"},
		"narrow": {Options{Appliances: names, Width: 20}, "appliance: sps1\nslot: 2\ndetail: bad\n    more\n    lines\n\nsps2.example.com  error: down (wait)\n"},
		"wide":   {Options{Appliances: names, Width: 40}, "APPLIANCE         SLOT  DETAIL\nsps1              2     bad\n    more\n    lines\nsps2.example.com  error: down (wait)\n"},
		"one":    {Options{}, "SLOT  DETAIL\n2     bad\n    more\n    lines\n"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			if d := cmp.Diff(test.want, printed(t, "table", test.o)); d != "" {
				t.Errorf("(-want +got):\n%s", d)
			}
		})
	}
}

// TestJUnit checks the JUnit XML of the outcomes.
func TestJUnit(t *testing.T) {
	t.Parallel()
	text := printed(t, "junit", Options{Command: "sps test"})
	for _, part := range []string{
		`<testsuites name="sps test" tests="2" failures="1" errors="1"`, `<failure message="" type="no">`,
		`<error message="down (wait)" type="unavailable">`,
	} {
		if !strings.Contains(text, part) {
			t.Errorf("no %s in\n%s", part, text)
		}
	}
}
