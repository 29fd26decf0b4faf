package diff

import (
	"bytes"
	"encoding/json"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/go-sps/sps/cmd/sps/internal/export"
)

// side returns an export. Its objects are given as pairs of a path below configuration and JSON.
func side(t *testing.T, objects ...string) *export.Export {
	t.Helper()
	e := &export.Export{Root: "configuration", Listings: []string{"configuration"}}
	for i := 0; i < len(objects); i += 2 {
		decoder := json.NewDecoder(bytes.NewReader([]byte(objects[i+1])))
		decoder.UseNumber()
		var body any
		if err := decoder.Decode(&body); err != nil {
			t.Fatalf("%s: %v", objects[i+1], err)
		}
		e.Objects = append(e.Objects, export.Object{Path: "configuration/" + objects[i], Body: body})
	}
	return e
}

// compared returns the lines of a comparison.
func compared(t *testing.T, left, right *export.Export, o Options) []string {
	t.Helper()
	r, err := Compare([2]*export.Export{left, right}, o)
	if err != nil {
		t.Fatal(err)
	}
	found := []string{}
	for _, d := range r.Differences {
		found = append(found, strings.TrimPrefix(d.String(), "configuration/"))
	}
	return found
}

const (
	refA     = `{"key":"a","meta":{"href":"/api/configuration/l/a"}}`
	refB     = `{"key":"b","meta":{"href":"/api/configuration/l/b"}}`
	refOther = `{"meta":{"href":"/api/configuration/l/a","parent":null},"key":"a"}`
	unset    = `{"key":null,"meta":{}}`
)

// TestValues checks the differences between the values of two objects.
func TestValues(t *testing.T) {
	t.Parallel()
	for _, test := range []struct {
		name, left, right string
		want              []string
	}{
		{"the same", `{"a":[1,{"b":null}],"c":1.50}`, `{"c":1.50,"a":[1,{"b":null}]}`, nil},
		{"whole", `"x"`, `"y"`, []string{`o: "x" -> "y"`}},
		{"kinds of scalars", `{"a":1,"b":"1","c":null}`, `{"a":"1","b":true,"c":false}`,
			[]string{`o#a: 1 -> "1"`, `o#b: "1" -> true`, `o#c: null -> false`}},
		{"absent is not null", `{"a":null}`, `{}`, []string{`o#a: null -> (none)`}},
		{"a member with members", `{}`, `{"a":{"b":{"c":1,"d":[true]},"e":{},"f":[]}}`,
			[]string{`o#a/b/c: (none) -> 1`, `o#a/b/d/0: (none) -> true`, `o#a/e: (none) -> {}`, `o#a/f: (none) -> []`}},
		{"an object in place of nothing", `{"a":null}`, `{"a":{"b":1}}`, []string{`o#a: null -> (none)`, `o#a/b: (none) -> 1`}},
		{"an array in place of an object", `{"a":{}}`, `{"a":[]}`, []string{`o#a: {} -> []`}},
		{"precise numbers", `{"a":9007199254740993}`, `{"a":9007199254740992}`, []string{`o#a: 9007199254740993 -> 9007199254740992`}},

		{"texts", `["a","b","c"]`, `["a","c","d"]`, []string{`o#1: "b" -> (none)`, `o#2: (none) -> "d"`}},
		{"another order", `["a","b"]`, `["b","a"]`, []string{`o: in another order`}},
		{"objects with names", `[{"name":"x","v":1},{"name":"y","v":1}]`, `[{"name":"z","v":1},{"name":"x","v":2}]`,
			[]string{`o#0/v: 1 -> 2`, `o#1/name: "y" -> (none)`, `o#1/v: 1 -> (none)`, `o#0/name: (none) -> "z"`, `o#0/v: (none) -> 1`}},
		{"by their position", `[{"v":1},{"v":2},{"v":3}]`, `[{"v":1},{"v":4},{"v":3}]`, []string{`o#1/v: 2 -> 4`}},
		{"one too many", `[1,2,3]`, `[1,3]`, []string{`o#1: 2 -> (none)`}},
		{"the same twice", `["a","a"]`, `["a"]`, []string{`o#1: "a" -> (none)`}},

		{"a reference", `{"r":` + refA + `}`, `{"r":` + refOther + `}`, nil},
		{"another reference", `{"r":` + refA + `}`, `{"r":` + refB + `}`, []string{`o#r: "a" -> "b"`}},
		{"no reference", `{"r":` + unset + `}`, `{"r":` + refB + `}`, []string{`o#r: null -> "b"`}},
		{"two forms of none", `{"r":` + unset + `}`, `{"r":null}`, nil},
		{"a bare key", `{"r":` + refA + `}`, `{"r":"a"}`, nil},
		{"references", `[` + refA + `,` + refB + `]`, `[` + refB + `]`, []string{`o#0: "a" -> (none)`}},
		{"like a reference", `{"r":{"key":"a","meta":{"href":"https://x"}}}`, `{"r":{"key":"a","meta":{"href":"https://y"}}}`,
			[]string{`o#r/meta/href: "https://x" -> "https://y"`}},
	} {
		t.Run(test.name, func(t *testing.T) {
			t.Parallel()
			o := Options{ShowSecrets: true}
			left, right := side(t, "o", test.left), side(t, "o", test.right)
			if d := cmp.Diff(append([]string{}, test.want...), compared(t, left, right, o)); d != "" {
				t.Errorf("differences (-want +got):\n%s", d)
			}
			if order := compared(t, left, right, Options{IgnoreOrder: true, ShowSecrets: true}); test.name == "another order" && len(order) > 0 {
				t.Errorf("in any order: %q", order)
			}
			if back := compared(t, right, left, o); len(back) != len(test.want) {
				t.Errorf("backwards: %q", back)
			}
		})
	}
}

// TestObjects checks how the objects of two lists are matched by key and by name.
func TestObjects(t *testing.T) {
	t.Parallel()
	base := []string{"l/a", `{"name":"one"}`, "l/b", `{"name":"two"}`}
	for _, test := range []struct {
		name     string
		right    []string
		keys     []string
		names    []string
		disorder bool
	}{
		{"the same", base, nil, nil, false},
		{"another order", []string{"l/b", `{"name":"two"}`, "l/a", `{"name":"one"}`}, []string{"l: in another order"}, []string{"l: in another order"}, false},
		{"any order", []string{"l/b", `{"name":"two"}`, "l/a", `{"name":"one"}`}, nil, nil, true},
		{"other keys", []string{"l/c", `{"name":"one"}`, "l/d", `{"name":"two"}`},
			[]string{`l/a ("one"): removed`, `l/b ("two"): removed`, `l/c ("one"): added`, `l/d ("two"): added`}, nil, false},
		{"keys that changed hands", []string{"l/b", `{"name":"one"}`, "l/a", `{"name":"two"}`},
			[]string{"l: in another order", `l/a#name ("one"): "one" -> "two"`, `l/b#name ("two"): "two" -> "one"`}, nil, false},
		{"another name", []string{"l/a", `{"name":"ONE"}`, "l/b", `{"name":"two"}`},
			[]string{`l/a#name ("one"): "one" -> "ONE"`}, []string{`l/a#name ("one"): "one" -> "ONE"`}, false},
		{"a name that is there twice", []string{"l/c", `{"name":"one"}`, "l/d", `{"name":"one"}`, "l/b", `{"name":"two"}`},
			[]string{`l/a ("one"): removed`, `l/c ("one"): added`, `l/d ("one"): added`},
			[]string{`l/a ("one"): removed`, `l/c ("one"): added`, `l/d ("one"): added`}, false},
		{"a list instead", []string{"l/a/x", `1`, "l/b", `{"name":"two"}`},
			[]string{`l/a#name ("one"): "one" -> (none)`, "l/a/x: added"}, []string{`l/a#name ("one"): "one" -> (none)`, "l/a/x: added"}, false},
	} {
		t.Run(test.name, func(t *testing.T) {
			t.Parallel()
			for i, want := range [][]string{test.keys, test.names} {
				got := compared(t, side(t, base...), side(t, test.right...), Options{ByName: i == 1, IgnoreOrder: test.disorder})
				if d := cmp.Diff(append([]string{}, want...), got); d != "" {
					t.Errorf("by name %v (-want +got):\n%s", i == 1, d)
				}
			}
		})
	}
}

// TestReferencesByName checks that ByName compares references by the objects to which they refer.
func TestReferencesByName(t *testing.T) {
	t.Parallel()
	ref := func(list, key string) string {
		return `{"key":"` + key + `","meta":{"href":"/api/configuration/` + list + `/` + key + `"}}`
	}
	for _, test := range []struct {
		name        string
		left, right string
		want        []string
		unresolved  int
	}{
		{"the same name", ref("l", "a"), ref("l", "c"), nil, 0},
		{"the same key, another name", ref("l", "a"), ref("l", "a"), []string{`o#r: "configuration/l/one" -> "configuration/l/two"`}, 0},
		{"unknown", ref("passwords", "1"), ref("passwords", "2"), nil, 1},
		{"unknown, the same key", ref("passwords", "1"), ref("passwords", "1"), nil, 0},
		{"unknown, of two lists", ref("x", "1"), ref("y", "2"), []string{`o#r: "1" -> "2"`}, 0},
		{"known on one side", ref("l", "a"), ref("l", "9"), []string{`o#r: "configuration/l/one" -> "9"`}, 0},
		{"set", `null`, ref("l", "a"), []string{`o#r: null -> "configuration/l/two"`}, 0},
		{"unset", ref("l", "a"), unset, []string{`o#r: "configuration/l/one" -> null`}, 0},
		{"a list", `[` + ref("l", "a") + `,` + ref("l", "b") + `]`, `[` + ref("l", "a") + `,` + ref("l", "c") + `]`, []string{`o#r: in another order`}, 0},
		{"a list of unknown ones", `[` + ref("x", "1") + `,` + ref("x", "2") + `]`, `[` + ref("x", "3") + `,` + ref("x", "4") + `]`, nil, 2},
		{"a part of an object", ref("l", "a#if/1"), ref("l", "c#if/2"), []string{`o#r: "configuration/l/one#if/1" -> "configuration/l/one#if/2"`}, 0},
		{"a broken link", ref("l", "%zz"), ref("l", "%yy"), nil, 1},
	} {
		t.Run(test.name, func(t *testing.T) {
			t.Parallel()
			r, err := Compare([2]*export.Export{
				side(t, "l/a", `{"name":"one"}`, "l/b", `{"name":"two"}`, "o", `{"r":`+test.left+`}`),
				side(t, "l/a", `{"name":"two"}`, "l/c", `{"name":"one"}`, "o", `{"r":`+test.right+`}`),
			}, Options{ByName: true, IgnoreOrder: false, Exclude: []string{"configuration/l"}})
			if err != nil {
				t.Fatal(err)
			}
			got := []string{}
			for _, d := range r.Differences {
				got = append(got, strings.TrimPrefix(d.String(), "configuration/"))
			}
			if d := cmp.Diff(append([]string{}, test.want...), got); d != "" || r.Unresolved != test.unresolved {
				t.Errorf("%d unresolved, want %d; differences (-want +got):\n%s", r.Unresolved, test.unresolved, d)
			}
		})
	}
}

// TestSecret checks that values are hidden if the name of the member, the path or the value
// itself looks like a secret, and that other values are shown.
func TestSecret(t *testing.T) {
	t.Parallel()
	at := func(path, member string) place {
		return place{left: &node{path: path}, member: strings.Split(member, "/")}
	}
	for _, test := range []struct {
		path, member string
		value        any
		want         bool
	}{
		{"configuration/management/email", "alerting_address", "a@example.com", false},
		{"configuration/management/email", "smtp_auth/password", "x", true},
		{"configuration/management/email", "smtp_auth/passwordHash", "x", true},
		{"configuration/management/email", "smtp_auth/enabled", true, false},
		{"configuration/management/snmp/trap", "version/value/community", "public", true},
		{"configuration/management/root_password", "value", json.Number("1234"), true},
		{"configuration/management/root_password", "enabled", false, false},
		{"configuration/management/root_password", "value", nil, false},
		{"configuration/policies/credentialstores/1", "master", "x", true},
		{"configuration/x509/1", "private_key", "x", true},
		{"configuration/local_services/ssh", "public_keys/0", "ssh-rsa AAAA", true},
		{"configuration/x", "psk", "x", true},
		{"configuration/x", "monkey", "x", false},
		{"configuration/x", "bypass", "x", false},
		{"configuration/policies/time_policies/1", "Mon/0/0", "0:00", false},
		{"configuration/network/dns", "primary", "192.168.56.1", false},
		{"configuration/x", "pem", "-----BEGIN RSA PRIVATE KEY-----\nx", true},
		{"configuration/x", "value", "$6$abc$def", true},
		{"configuration/x", "value", strings.Repeat("a0", 16), true},
		{"configuration/x", "url", "https://user:word@example.com/", true},
		{"configuration/x", "url", "https://example.com/", false},
	} {
		if got := secret(at(test.path, test.member), test.value); got != test.want {
			t.Errorf("secret(%s#%s, %v) = %v", test.path, test.member, test.value, got)
		}
	}
}

// TestShort checks that long values are shortened, and that two long values with the same start
// look different.
func TestShort(t *testing.T) {
	t.Parallel()
	long := strings.Repeat("é ", 200)
	got := compared(t, side(t, "o", `"`+long+`1"`), side(t, "o", `"`+long+`2"`), Options{})
	if len(got) != 1 || len(got[0]) > 300 {
		t.Fatalf("differences %q", got)
	}
	old, new, _ := strings.Cut(strings.TrimPrefix(got[0], "o: "), " -> ")
	if old == new || !strings.Contains(old, "é… (603 bytes, SHA-256 ") && !strings.Contains(old, " … (603 bytes, SHA-256 ") {
		t.Errorf("shortened to %q and %q", old, new)
	}
}
