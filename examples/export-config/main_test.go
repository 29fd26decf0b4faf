package main

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"net/http"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
	"time"
	"unicode"

	"github.com/google/go-cmp/cmp"

	"github.com/go-sps/sps/examples/internal/clitest"
	"github.com/go-sps/sps/examples/internal/export"
	"github.com/go-sps/sps/spstest"
)

// program is the program under test.
var program = clitest.Program{Main: run}

// newTarget returns a folder that does not exist, in one that is empty.
func newTarget(t *testing.T) string {
	t.Helper()
	return filepath.Join(t.TempDir(), "sps1")
}

// alone checks that nothing but the target, or not even that, is where it should be.
func alone(t *testing.T, target string, exists bool) {
	t.Helper()
	entries, err := os.ReadDir(filepath.Dir(target))
	if err != nil {
		t.Fatal(err)
	}
	got, want := []string{}, []string{}
	for _, entry := range entries {
		got = append(got, entry.Name())
	}
	if exists {
		want = append(want, filepath.Base(target))
	}
	if d := cmp.Diff(want, got); d != "" {
		t.Errorf("files beside the folder (-want +got):\n%s", d)
	}
}

func load(t *testing.T, target string) *export.Export {
	t.Helper()
	e, err := export.Load(target)
	if err != nil {
		t.Fatal(err)
	}
	return e
}

// body returns what an export has at a path.
func body(t *testing.T, e *export.Export, path string) any {
	t.Helper()
	for _, object := range e.Objects {
		if object.Path == path {
			return object.Body
		}
	}
	t.Errorf("the export lacks %s", path)
	return nil
}

func is(t *testing.T, got clitest.Outcome, status int, says ...string) {
	t.Helper()
	if got.Status != status {
		t.Errorf("status %d, want %d", got.Status, status)
	}
	for _, want := range says {
		if !strings.Contains(got.Stdout+got.Stderr, want) {
			t.Errorf("the output lacks %q", want)
		}
	}
	if t.Failed() {
		t.Logf("%s%s", got.Stdout, got.Stderr)
	}
}

func noSession(t *testing.T, a *spstest.Appliance) {
	t.Helper()
	if n := a.Sessions(); n != 0 {
		t.Errorf("%d sessions are left on the appliance", n)
	}
}

func TestDemo(t *testing.T) {
	t.Parallel()
	got := program.RunWithPassword(t, t.Context(), "")
	is(t, got, exitOK, "this is a demonstration", "configuration/management/email.json", `"admin_address": "admin@example.com"`, "removed again")
	if got.Stderr != "" {
		t.Errorf("standard error %q", got.Stderr)
	}
	folder := regexp.MustCompile(`written to (.+)\.\n`).FindStringSubmatch(got.Stdout)
	if folder == nil {
		t.Fatal("it does not name the folder")
	}
	if _, err := os.Stat(filepath.Dir(folder[1])); !errors.Is(err, os.ErrNotExist) {
		t.Errorf("the folder is left: %v", err)
	}

	target := newTarget(t)
	is(t, program.RunWithPassword(t, t.Context(), "", "-out", target, "-root", "configuration/policies"), exitOK, "is kept: "+target)
	alone(t, target, true)
	if e := load(t, target); e.Root != "configuration/policies" || e.Listings[0] != e.Root {
		t.Errorf("exported %s", e.Root)
	}
	is(t, program.RunWithPassword(t, t.Context(), "", "-out", target), exitError, "exists")
	is(t, program.RunWithPassword(t, t.Context(), "", "-out", target, "-replace"), exitOK)
	alone(t, target, true)
	if e := load(t, target); e.Root != "configuration" {
		t.Errorf("exported %s", e.Root)
	}
}

func TestHelp(t *testing.T) {
	t.Parallel()
	got := program.Run(t, t.Context(), "-h")
	if got.Status != exitOK || !strings.Contains(got.Stdout, "usage: export-config") || got.Stderr != "" {
		t.Errorf("-h gives %+v", got)
	}
}

func TestUsageErrors(t *testing.T) {
	t.Parallel()
	a := clitest.Start(t)
	target := newTarget(t)
	full := clitest.Reach(t, a, "-out", target)
	with := func(more ...string) []string { return append(full[:len(full):len(full)], more...) }
	for _, test := range []struct {
		name     string
		password string
		args     []string
		want     string
	}{
		{"unknown flag", clitest.Password, []string{"-force"}, "not defined: -force"},
		{"argument", clitest.Password, with("sps2"), `unexpected argument "sps2"`},
		{"empty appliance", clitest.Password, []string{"-appliance", "", "-out", target}, "-appliance is empty"},
		{"no username", clitest.Password, []string{"-appliance", a.Addr(), "-out", target}, "-appliance needs -username"},
		{"username alone", clitest.Password, []string{"-username", clitest.Username}, "-username needs -appliance"},
		{"no folder", clitest.Password, clitest.Reach(t, a), "-appliance needs -out"},
		{"an empty folder", clitest.Password, clitest.Reach(t, a, "-out", ""), "-out is empty"},
		{"replace alone", clitest.Password, []string{"-replace"}, "-replace needs -out"},
		{"another root", clitest.Password, with("-root", "firmware"), `-root: "firmware" is neither`},
		{"timeout", clitest.Password, with("-timeout", "0s"), "-timeout must be positive"},
		{"no password", "", full, "no password"},
		{"no such ca", clitest.Password, with("-ca", "testdata/none"), "-ca: open testdata/none"},
	} {
		t.Run(test.name, func(t *testing.T) {
			t.Parallel()
			got := program.RunWithPassword(t, t.Context(), test.password, test.args...)
			if got.Status != exitError || got.Stdout != "" {
				t.Errorf("status %d and standard output %q, want %d and none", got.Status, got.Stdout, exitError)
			}
			if !strings.Contains(got.Stderr, test.want) || strings.Count(got.Stderr, "\n") != 1 {
				t.Errorf("standard error %q, want one line with %q", got.Stderr, test.want)
			}
		})
	}
	t.Cleanup(func() {
		alone(t, target, false)
		if n := len(a.Journal()); n != 0 {
			t.Errorf("wrong usage sent %d requests", n)
		}
	})
}

// The export is the same whatever the API leaves open, and whether its lists show
// the bodies or not.
func TestExport(t *testing.T) {
	t.Parallel()
	options := map[string]spstest.Option{}
	for _, profile := range []string{"6.0", "6.9", "7.4", "8.0"} {
		options[profile] = spstest.WithProfile(profile)
	}
	for _, variant := range spstest.Variants() {
		for _, alternative := range variant.Alternatives {
			options[variant.Name+"="+alternative] = spstest.WithVariant(variant.Name, alternative)
		}
	}
	for name, option := range options {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			a, target := clitest.Start(t, option), newTarget(t)
			is(t, program.Run(t, t.Context(), clitest.Reach(t, a, "-out", target)...), exitOK)
			alone(t, target, true)
			e := load(t, target)
			if e.Host != a.Addr() || e.Version != a.Slots()[0].Version || e.ConfigHash == "" || e.Changed {
				t.Errorf("export of %s, %s, %s, %v", e.Host, e.Version, e.ConfigHash, e.Changed)
			}
			for _, path := range []string{"management/email", "datetime/timezone", "policies/time_policies/-100", "management/snmp/trap"} {
				committed, _ := a.Configuration(path)
				var want any
				decoder := json.NewDecoder(bytes.NewReader(committed))
				decoder.UseNumber()
				if err := decoder.Decode(&want); err != nil {
					t.Fatal(err)
				}
				if d := cmp.Diff(want, body(t, e, "configuration/"+path)); d != "" {
					t.Errorf("%s (-want +got):\n%s", path, d)
				}
			}
			if !strings.HasPrefix(name, "logout=") { // some appliances have none
				noSession(t, a)
			}
		})
	}
}

// Two exports of the same configuration have the same files.
func TestStable(t *testing.T) {
	t.Parallel()
	a, target := clitest.Start(t), newTarget(t)
	email := filepath.Join(target, "configuration", "management", "email.json")
	index := filepath.Join(target, "_export.json")
	var got [2]string
	for i := range got {
		is(t, program.Run(t, t.Context(), clitest.Reach(t, a, "-out", target, "-replace")...), exitOK)
		for _, name := range []string{email, index} {
			content, err := os.ReadFile(name)
			if err != nil {
				t.Fatal(err)
			}
			got[i] += string(content)
		}
	}
	if d := cmp.Diff(got[0], got[1]); d != "" {
		t.Errorf("the second export differs:\n%s", d)
	}
}

func TestRefused(t *testing.T) {
	t.Parallel()
	const unauthorized = `{"error":{"type":"Unauthorized","message":"No\u001b[31m right"}}`
	a, target := clitest.Start(t), newTarget(t)
	a.Inject(spstest.Fault{Path: "configuration/management/email", Times: -1, Status: 403, Body: unauthorized})
	a.Inject(spstest.Fault{Path: "configuration/management/accounting", Times: -1, Status: 200, Body: `{"nothing":1}`})
	got := program.Run(t, t.Context(), clitest.Reach(t, a, "-out", target)...)
	is(t, got, exitPartial, "Refused: configuration/management/email: sps: "+a.Addr()+": GET configuration/management/email: Unauthorized (403)",
		"Refused: configuration/management/accounting: ")
	e := load(t, target)
	var paths []string
	for _, r := range e.Refused {
		if !r.Documented {
			paths = append(paths, r.Path)
		}
	}
	if d := cmp.Diff([]string{"configuration/management/accounting", "configuration/management/email"}, paths); d != "" {
		t.Errorf("refused (-want +got):\n%s", d)
	}
	body(t, e, "configuration/management/snmp/trap") // what comes after it
	noSession(t, a)
}

// That nobody may read the lists of secrets is no reason for another status.
func TestRefusedByDesign(t *testing.T) {
	t.Parallel()
	for _, test := range []struct {
		status, want int
	}{{http.StatusForbidden, exitOK}, {http.StatusMethodNotAllowed, exitOK}, {http.StatusInternalServerError, exitPartial}} {
		a, target := clitest.Start(t), newTarget(t)
		a.SetConfiguration("passwords", json.RawMessage(`[]`))
		a.Inject(spstest.Fault{Path: "configuration/passwords", Times: -1, Status: test.status, Body: `{"error":{"type":"Refused"}}`})
		is(t, program.Run(t, t.Context(), clitest.Reach(t, a, "-out", target)...), test.want, "configuration/passwords")
	}
}

// Keys that are no file names cannot leave the folder, nor get lost.
func TestHostileKeys(t *testing.T) {
	t.Parallel()
	a, target := clitest.Start(t), newTarget(t)
	const list = "configuration/policies/time_policies"
	for _, key := range []string{"..", "CON", "con", "a.json", "a b:c", "%2e%2e", "%2f", "_export", "first", "second", "third"} {
		a.SetConfiguration("policies/time_policies/"+key, json.RawMessage(`{"name":"`+key+`"}`))
	}
	a.Inject(spstest.Fault{Path: list, Times: -1, Mutate: func(body []byte) []byte {
		return []byte(strings.NewReplacer(
			"/first", "/..%2f..%2fetc", `"first"`, `"../../etc"`,
			`/second`, `/a%00b`, `"second"`, `"a\u0000b"`,
			list+`/third`, `../../../third`,
		).Replace(string(body)))
	}})
	got := program.Run(t, t.Context(), clitest.Reach(t, a, "-out", target)...)
	is(t, got, exitPartial, `with the key ".."`, `with the key "../../etc"`, `with the key "a\x00b"`)
	alone(t, target, true)
	e := load(t, target)
	for _, key := range []string{"CON", "con", "a.json", "a b:c", "%2e%2e", "%2f", "_export", "third"} {
		body(t, e, list+"/"+key)
	}
	for _, name := range []string{"%43%4f%4e", "%63on", "a%2ejson", "a%20b%3ac", "%252e%252e", "%252f", "_export", "third"} {
		if _, err := os.Stat(filepath.Join(target, filepath.FromSlash(list), name+".json")); err != nil {
			t.Error(err)
		}
	}
	if strings.ContainsFunc(got.Stdout+got.Stderr, func(r rune) bool { return r != '\n' && !unicode.IsGraphic(r) }) {
		t.Errorf("control characters are printed: %q", got.Stdout+got.Stderr)
	}
}

func TestChangedMeanwhile(t *testing.T) {
	t.Parallel()
	a, target := clitest.Start(t), newTarget(t)
	a.Inject(spstest.Fault{Path: "configuration/management/email", Mutate: func(body []byte) []byte {
		a.SetConfiguration("datetime/timezone", json.RawMessage(`"UTC"`))
		return body
	}})
	is(t, program.Run(t, t.Context(), clitest.Reach(t, a, "-out", target)...), exitPartial, "was changed meanwhile")
	if !load(t, target).Changed {
		t.Error("the index does not tell")
	}
}

func TestErrors(t *testing.T) {
	t.Parallel()
	for _, test := range []struct {
		name  string
		fault spstest.Fault
		flags []string
		says  string
	}{
		{"a wrong fingerprint", spstest.Fault{}, []string{"-fingerprint", strings.Repeat("0", 64)}, "certificate is not trusted"},
		{"no such root", spstest.Fault{}, []string{"-root", "configuration/none"}, "ResourceNotFound"},
		{"the root refuses", spstest.Fault{Path: "configuration", Times: -1, Status: 403, Body: `{"error":{"type":"Unauthorized"}}`}, nil, "Unauthorized"},
		{"the time is over", spstest.Fault{Path: "configuration/policies", Delay: time.Hour, MayMiss: true}, []string{"-timeout", "50ms"}, "-timeout allows, 50ms"}, // missed where the 50 ms are over before
		{"no info", spstest.Fault{Path: "info", Skip: 1, Times: -1, Status: 403, Body: `{"error":{"type":"Unauthorized"}}`}, nil, "GET info"},
	} {
		t.Run(test.name, func(t *testing.T) {
			t.Parallel()
			a, target := clitest.Start(t), newTarget(t)
			a.Inject(test.fault)
			got := program.Run(t, t.Context(), clitest.Reach(t, a, append(test.flags, "-out", target)...)...)
			is(t, got, exitError, test.says)
			if strings.Count(got.Stderr, "\n") != 1 || got.Stdout != "" {
				t.Errorf("standard error is not one line:\n%s%s", got.Stderr, got.Stdout)
			}
			alone(t, target, false)
			noSession(t, a)
		})
	}
}

// An interrupt leaves nothing behind, and an earlier export as it was.
func TestInterrupted(t *testing.T) {
	t.Parallel()
	for _, replace := range []bool{false, true} {
		a, target := clitest.Start(t), newTarget(t)
		flags := clitest.Reach(t, a, "-out", target)
		if replace {
			is(t, program.Run(t, t.Context(), flags...), exitOK)
			flags = append(flags, "-replace")
		}
		ctx, cancel := context.WithCancelCause(t.Context())
		a.Inject(spstest.Fault{Path: "configuration/policies", Mutate: func(body []byte) []byte {
			cancel(errors.New("somebody interrupts"))
			return body
		}})
		is(t, program.Run(t, ctx, flags...), exitError, "somebody interrupts")
		alone(t, target, replace)
		if replace {
			body(t, load(t, target), "configuration/management/email")
		}
		noSession(t, a)
	}
}

// A folder that must stay is noticed before the appliance is asked for anything.
func TestFolderStays(t *testing.T) {
	t.Parallel()
	a, target := clitest.Start(t), newTarget(t)
	if err := os.MkdirAll(filepath.Join(target, "work"), 0o700); err != nil {
		t.Fatal(err)
	}
	is(t, program.Run(t, t.Context(), clitest.Reach(t, a, "-out", target)...), exitError, "exists")
	is(t, program.Run(t, t.Context(), clitest.Reach(t, a, "-out", target, "-replace")...), exitError, "is no export")
	alone(t, target, true)
	if n := len(a.Journal()); n != 0 {
		t.Errorf("%d requests were sent", n)
	}
}

func TestInsecureWarns(t *testing.T) {
	t.Parallel()
	a := clitest.Start(t)
	is(t, program.Run(t, t.Context(), "-appliance", a.Addr(), "-username", clitest.Username, "-insecure", "-out", newTarget(t)), exitOK, "not verified")
}

// A log-out that fails says nothing about the export, but must not get lost.
func TestLogOutFails(t *testing.T) {
	t.Parallel()
	a := clitest.Start(t)
	a.Inject(spstest.Fault{Path: "authentication", Method: "DELETE", Status: 500, Times: -1})
	is(t, program.Run(t, t.Context(), clitest.Reach(t, a, "-out", newTarget(t))...), exitOK, "sps: "+a.Addr()+": close")
}

// brokenPipe is an output that nobody reads.
type brokenPipe struct{}

func (brokenPipe) Write([]byte) (int, error) { return 0, os.ErrClosed }

func TestOutputLost(t *testing.T) {
	t.Parallel()
	a, target := clitest.Start(t), newTarget(t)
	for _, args := range [][]string{nil, clitest.Reach(t, a, "-out", target)} {
		var stderr bytes.Buffer
		getenv := func(string) string { return clitest.Password }
		status := run(t.Context(), args, getenv, brokenPipe{}, &stderr)
		if status != exitError || !strings.Contains(stderr.String(), "could not be printed") {
			t.Errorf("status %d, want %d; standard error:\n%s", status, exitError, stderr.String())
		}
	}
	load(t, target) // it is there anyway
}
