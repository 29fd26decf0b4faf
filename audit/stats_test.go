package audit_test

import (
	"encoding/json"
	"testing"

	"github.com/go-sps/sps/audit"
)

// TestTallies checks the decoding of statistics in the supported forms and in unknown
// forms.
func TestTallies(t *testing.T) {
	t.Parallel()
	two := []audit.Tally{{Value: "SSH", Count: 3}, {Value: "RDP", Count: 1}}
	for data, want := range map[string][]audit.Tally{
		`{"items":[{"value":"SSH","count":3},{"value":"RDP","count":1}]}`:                      two,
		`{"items":[{"name":"SSH","count":"3"},{"name":"RDP","count":1}],"meta":{}}`:            two,
		`{"buckets":[{"key":"SSH","doc_count":3},{"key":"RDP","doc_count":1}]}`:                two,
		`{"body":{"buckets":[{"key":"SSH","doc_count":3},{"key":"RDP","doc_count":1}]}}`:       two,
		`{"body":[{"key":"SSH","count":3},{"key":"RDP","count":1},{"key":"x"},7,{"count":1}]}`: two,
		`{"items":[{"value":true,"count":3}]}`:                                                 {{Value: "true", Count: 3}},
		`{"items":[{"value":7,"count":3,"items":[{"value":"a","count":2}]}]}`:                  {{Value: "7", Count: 3, Below: []audit.Tally{{Value: "a", Count: 2}}}},
		`{"items":[{"value":"a","count":1e99}]}`:                                               {},
		`{"items":[]}`:                                                                         {},
		`{"SSH":3}`:                                                                            nil,
		`[1]`:                                                                                  nil,
		`null`:                                                                                 nil,
	} {
		var got audit.Tallies
		if err := json.Unmarshal([]byte(data), &got); err != nil {
			t.Errorf("%s: %v", data, err)
			continue
		}
		if string(got.Raw) != data {
			t.Errorf("raw %s, want %s", got.Raw, data)
		}
		if again, err := json.Marshal(got); err != nil || string(again) != data {
			t.Errorf("%s becomes %s, %v", data, again, err)
		}
		dropRaw(got.All)
		diff(t, data, want, got.All)
	}
	if data, err := json.Marshal(audit.Tallies{}); err != nil || string(data) != "null" {
		t.Errorf("%s, %v", data, err)
	}
}

func dropRaw(all []audit.Tally) {
	for i := range all {
		all[i].Raw = nil
		dropRaw(all[i].Below)
	}
}

// TestValues checks that Values finds a field in each form of a session, and returns nil
// for a missing field.
func TestValues(t *testing.T) {
	t.Parallel()
	for data, want := range map[string]string{
		`{"key":"1","body":{"user":{"name":"a"}}}`:    `"a"`,
		`{"key":"1","body":{"user.name":"a"}}`:        `"a"`,
		`{"key":"1","body":{"user":{"name":null}}}`:   `null`,
		`{"key":"1","body":{"user":[{"name":1},{}]}}`: `1`,
		`{"key":"1","body":{"user":[]}}`:              ``,
		`{"key":"1","body":{"user":7}}`:               ``,
		`{"key":"1","body":null}`:                     ``,
		`{"key":"1"}`:                                 ``,
	} {
		var s audit.Session
		if err := json.Unmarshal([]byte(data), &s); err != nil {
			t.Fatal(err)
		}
		if got := s.Values("user.name", "moon"); string(got[0]) != want || got[1] != nil {
			t.Errorf("%s: %s", data, got)
		}
	}
	if got := new(audit.Session).Values("a"); len(got) != 1 || got[0] != nil {
		t.Errorf("a session that was not decoded: %q", got)
	}
}
