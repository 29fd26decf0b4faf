package main

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"os"
	"runtime"
	"strings"
	"testing"
	"time"
	"unicode"

	"github.com/google/go-cmp/cmp"

	"github.com/go-sps/sps/examples/internal/clitest"
	"github.com/go-sps/sps/spstest"
)

// program is the program under test.
var program = clitest.Program{Main: run}

// decode reads the JSON output: one object with nothing around it, and all
// members in each result.
func decode(t *testing.T, stdout string) []result {
	t.Helper()
	var raw struct {
		Results []map[string]any `json:"results"`
	}
	if err := json.Unmarshal([]byte(stdout), &raw); err != nil {
		t.Fatalf("standard output is not one JSON object: %v\n%s", err, stdout)
	}
	for _, r := range raw.Results {
		for _, name := range []string{"appliance", "slot", "version", "status", "exit_code", "summary", "error"} {
			if _, ok := r[name]; !ok {
				t.Errorf("a result lacks %s:\n%s", name, stdout)
			}
		}
	}
	var typed struct {
		Results []result `json:"results"`
	}
	decoder := json.NewDecoder(strings.NewReader(stdout))
	decoder.DisallowUnknownFields()
	if err := decoder.Decode(&typed); err != nil {
		t.Fatal(err)
	}
	return typed.Results
}

// anyText stands in a wanted Error for a text that is not the program's own.
const anyText = "any text"

// diff compares what a run came to with the wanted status and results.
func diff(t *testing.T, status int, want []result, got clitest.Outcome) {
	t.Helper()
	if got.Status != status {
		t.Errorf("status %d, want %d; standard error:\n%s", got.Status, status, got.Stderr)
	}
	results := decode(t, got.Stdout)
	for i := range results {
		if i < len(want) && want[i].Error == anyText && results[i].Error != "" {
			results[i].Error = anyText
		}
	}
	if d := cmp.Diff(want, results); d != "" {
		t.Errorf("results (-want +got):\n%s", d)
	}
}

// noSession checks that the program logged in and out.
func noSession(t *testing.T, a *spstest.Appliance) {
	t.Helper()
	if n := a.Sessions(); n != 0 {
		t.Errorf("%d sessions are left on the appliance", n)
	}
}

const passedSummary = "HA check started\nHA check finished"

func TestDemo(t *testing.T) {
	t.Parallel()
	got := program.RunWithPassword(t, t.Context(), "")
	want := `No -appliance is given, so this is a demonstration: a simulated appliance was
started in this process, at 127.0.0.1:NNNNN. Its firmware slots:

  slot 1 holds 7.4.0, which is running
  slot 2 holds 8.0.0
  slot 3 holds 7.0.5.1
  slot 4 is empty

Only a version higher than the running one is worth a test:

APPLIANCE        SLOT  VERSION  STATUS   DETAIL
127.0.0.1:NNNNN  1     7.4.0    skipped  the running firmware
127.0.0.1:NNNNN  2     8.0.0    passed   HA check started; HA check finished
127.0.0.1:NNNNN  3     7.0.5.1  skipped  older than the running 7.4.0

The verdict: the appliance can be upgraded to 8.0.0.
`
	_, rest, _ := strings.Cut(got.Stdout, ", at ")
	addr, _, _ := strings.Cut(rest, ". ")
	if d := cmp.Diff(clitest.Outcome{Stdout: want}, anonymous(got, addr)); d != "" {
		t.Errorf("demonstration (-want +got):\n%s", d)
	}
}

// anonymous replaces the address of an appliance by one of the same width in
// every run.
func anonymous(o clitest.Outcome, addr string) clitest.Outcome {
	host, port, _ := strings.Cut(addr, ":")
	stable := host + ":" + strings.Repeat("N", len(port))
	o.Stdout = strings.ReplaceAll(o.Stdout, addr, stable)
	o.Stderr = strings.ReplaceAll(o.Stderr, addr, stable)
	return o
}

func TestDemoJSON(t *testing.T) {
	t.Parallel()
	got := program.RunWithPassword(t, t.Context(), "", "-output", "json", "-slot", "2")
	results := decode(t, got.Stdout)
	if len(results) != 1 {
		t.Fatalf("results %v, want one", results)
	}
	diff(t, exitOK, []result{
		{Appliance: results[0].Appliance, Slot: "2", Version: "8.0.0", Status: passed, ExitCode: new(0), Summary: passedSummary},
	}, got)
	if !strings.Contains(got.Stderr, "The verdict") {
		t.Errorf("the story is not on standard error:\n%s", got.Stderr)
	}
}

func TestHelp(t *testing.T) {
	t.Parallel()
	got := program.Run(t, t.Context(), "-h")
	if got.Status != exitOK || !strings.Contains(got.Stdout, "-password-file file") || got.Stderr != "" {
		t.Errorf("-h gives %+v", got)
	}
	if strings.Contains(got.Stdout, "-password string") {
		t.Error("there is a flag for the password")
	}
}

func TestUsageErrors(t *testing.T) {
	t.Parallel()
	full := []string{"-appliance", "127.0.0.1:1", "-username", clitest.Username}
	for _, test := range []struct {
		name     string
		password string
		args     []string
		want     string
	}{
		{"unknown flag", clitest.Password, []string{"-password", "x"}, "not defined: -password"},
		{"argument", clitest.Password, []string{"sps1"}, `unexpected argument "sps1"`},
		{"empty appliance", clitest.Password, []string{"-appliance", ""}, "-appliance is empty"},
		{"empty slot", clitest.Password, append(full, "-slot", ""), "a value is empty"},
		{"slot without key", clitest.Password, append(full, "-slot", "2,"), "a value is empty"},
		{"empty ca", clitest.Password, append(full, "-ca", ""), "-ca is empty"},
		{"no username", clitest.Password, full[:2], "-appliance needs -username"},
		{"username alone", clitest.Password, []string{"-username", "x"}, "-username needs -appliance"},
		{"login method alone", clitest.Password, []string{"-login-method", "x"}, "-login-method needs -appliance"},
		{"ca alone", clitest.Password, []string{"-ca", "x"}, "-ca needs -appliance"},
		{"fingerprint alone", clitest.Password, []string{"-fingerprint", "x"}, "-fingerprint needs -appliance"},
		{"insecure alone", clitest.Password, []string{"-insecure"}, "-insecure needs -appliance"},
		{"password file alone", clitest.Password, []string{"-password-file", "x"}, "-password-file needs -appliance"},
		{"insecure and fingerprint", clitest.Password, append(full, "-insecure", "-fingerprint", "x"), "-insecure excludes"},
		{"output", clitest.Password, []string{"-output", "xml"}, `-output "xml" is none of`},
		{"timeout", clitest.Password, []string{"-timeout", "0s"}, "-timeout must be positive"},
		{"no timeout", clitest.Password, []string{"-timeout", "soon"}, "invalid value"},
		{"no password", "", full, "no password"},
		{"no such ca", clitest.Password, append(full, "-ca", "testdata/none"), "-ca: open testdata/none"},
		{"no such password file", clitest.Password, append(full, "-password-file", "testdata/none"), "-password-file: open testdata/none"},
		{"empty password file", clitest.Password, append(full, "-password-file", clitest.File(t, []byte("\n"))), "holds no password"},
	} {
		t.Run(test.name, func(t *testing.T) {
			t.Parallel()
			for _, output := range []string{"text", "json"} {
				got := program.RunWithPassword(t, t.Context(), test.password, append([]string{"-output", output}, test.args...)...)
				if got.Status != exitError || got.Stdout != "" {
					t.Errorf("status %d and standard output %q, want %d and none", got.Status, got.Stdout, exitError)
				}
				if !strings.Contains(got.Stderr, test.want) || strings.Count(got.Stderr, "\n") != 1 {
					t.Errorf("standard error %q, want one line with %q", got.Stderr, test.want)
				}
			}
		})
	}
}

func TestTrust(t *testing.T) {
	t.Parallel()
	a, other := clitest.Start(t), clitest.Start(t)
	flags := []string{"-appliance", a.Addr(), "-username", clitest.Username}
	for _, test := range []struct {
		name  string
		flags []string
		want  string // in the error; "" for success
	}{
		{"ca", []string{"-ca", clitest.File(t, a.CA())}, ""},
		{"fingerprint", []string{"-fingerprint", a.Fingerprint()}, ""},
		{"fingerprints with comma", []string{"-fingerprint", other.Fingerprint() + "," + strings.ToUpper(a.Fingerprint())}, ""},
		{"fingerprints repeated", []string{"-fingerprint", a.Fingerprint(), "-fingerprint", other.Fingerprint()}, ""},
		{"ca and fingerprint", []string{"-ca", clitest.File(t, a.CA()), "-fingerprint", a.Fingerprint()}, ""},
		{"insecure", []string{"-insecure"}, ""},
		{"the system's ca", nil, "certificate is not trusted"},
		{"wrong ca", []string{"-ca", clitest.File(t, other.CA())}, "certificate is not trusted"},
		{"wrong fingerprint", []string{"-fingerprint", other.Fingerprint()}, "certificate is not trusted"},
		{"ca and wrong fingerprint", []string{"-ca", clitest.File(t, a.CA()), "-fingerprint", other.Fingerprint()}, "certificate is not trusted"},
		{"no fingerprint", []string{"-fingerprint", "12:34"}, "fingerprint"},
		{"no ca", []string{"-ca", clitest.File(t, []byte("no PEM"))}, "no certificate"},
	} {
		t.Run(test.name, func(t *testing.T) {
			t.Parallel()
			got := program.Run(t, t.Context(), append(append([]string{"-output", "json", "-slot", "2"}, flags...), test.flags...)...)
			if test.want == "" {
				diff(t, exitOK, []result{
					{Appliance: a.Addr(), Slot: "2", Version: "8.0.0", Status: passed, ExitCode: new(0), Summary: passedSummary},
				}, got)
				return
			}
			diff(t, exitError, []result{{Appliance: a.Addr(), Status: errored, Error: anyText}}, got)
			if !strings.Contains(got.Stdout, test.want) {
				t.Errorf("the error lacks %q:\n%s", test.want, got.Stdout)
			}
		})
	}
}

func TestInsecureWarns(t *testing.T) {
	t.Parallel()
	a := clitest.Start(t)
	got := program.Run(t, t.Context(), "-appliance", a.Addr(), "-username", clitest.Username, "-insecure")
	if got.Status != exitOK || !strings.Contains(got.Stderr, "not verified") {
		t.Errorf("-insecure gives %+v", got)
	}
}

func TestConnectFails(t *testing.T) {
	t.Parallel()
	t.Run("wrong password", func(t *testing.T) {
		t.Parallel()
		a := clitest.Start(t)
		got := program.RunWithPassword(t, t.Context(), "not-the-password", clitest.Reach(t, a, "-output", "json")...)
		diff(t, exitError, []result{{Appliance: a.Addr(), Status: errored, Error: anyText}}, got)
		if !strings.Contains(got.Stdout, "AuthenticationFailure") {
			t.Errorf("the error does not tell why:\n%s", got.Stdout)
		}
	})
	t.Run("unknown login method", func(t *testing.T) {
		t.Parallel()
		a := clitest.Start(t)
		got := program.Run(t, t.Context(), clitest.Reach(t, a, "-output", "json", "-login-method", "none")...)
		diff(t, exitError, []result{{Appliance: a.Addr(), Status: errored, Error: anyText}}, got)
	})
	t.Run("unreachable", func(t *testing.T) {
		t.Parallel()
		const nobody = "127.0.0.1:1" // a port that nothing gets by chance
		got := program.Run(t, t.Context(), "-appliance", nobody, "-username", clitest.Username, "-output", "json")
		diff(t, exitError, []result{{Appliance: nobody, Status: errored, Error: anyText}}, got)
	})
	t.Run("not a host", func(t *testing.T) {
		t.Parallel()
		got := program.Run(t, t.Context(), "-appliance", "https://sps1/", "-username", clitest.Username, "-output", "json")
		diff(t, exitError, []result{{Appliance: "https://sps1/", Status: errored, Error: anyText}}, got)
	})
	t.Run("text", func(t *testing.T) {
		t.Parallel()
		a := clitest.Start(t)
		got := program.RunWithPassword(t, t.Context(), "not-the-password", clitest.Reach(t, a)...)
		if got.Status != exitError || !strings.Contains(got.Stdout, "AuthenticationFailure") || got.Stderr != "" {
			t.Errorf("a wrong password gives %+v", got)
		}
	})
}

func TestPasswordFile(t *testing.T) {
	t.Parallel()
	for _, ending := range []string{"", "\n", "\r\n"} {
		a := clitest.Start(t)
		name := clitest.File(t, []byte(clitest.Password+ending))
		got := program.RunWithPassword(t, t.Context(), "that-of-the-environment", clitest.Reach(t, a, "-password-file", name, "-login-method", "local")...)
		if got.Status != exitOK {
			t.Errorf("a password file that ends with %q gives %+v", ending, got)
		}
		noSession(t, a)
	}
}

func TestPresets(t *testing.T) {
	t.Parallel()
	for _, test := range []struct {
		name    string
		failure *spstest.TestFailure
	}{
		{"VersionIncompatible", spstest.VersionIncompatible()},
		{"NotEnoughStorage", spstest.NotEnoughStorage()},
		{"ConfigurationIncompatible", spstest.ConfigurationIncompatible()},
		{"TaintedFirmware", spstest.TaintedFirmware()},
	} {
		t.Run(test.name, func(t *testing.T) {
			t.Parallel()
			a := clitest.Start(t)
			a.SetSlot(spstest.Slot{Key: "2", Version: "8.0.0", TestFailure: test.failure})

			got := program.Run(t, t.Context(), clitest.Reach(t, a)...)
			want := `APPLIANCE        SLOT  VERSION  STATUS   DETAIL
127.0.0.1:NNNNN  1     7.4.0    skipped  the running firmware
127.0.0.1:NNNNN  2     8.0.0    failed   exit code 1
    ` + strings.ReplaceAll(test.failure.Summary, "\n", "\n    ") + `
127.0.0.1:NNNNN  4     6.0.10   skipped  older than the running 7.4.0
`
			if d := cmp.Diff(clitest.Outcome{Status: exitFailed, Stdout: want}, anonymous(got, a.Addr())); d != "" {
				t.Errorf("text (-want +got):\n%s", d)
			}

			diff(t, exitFailed, []result{
				{Appliance: a.Addr(), Slot: "1", Version: "7.4.0", Status: skipped, Summary: "the running firmware"},
				{Appliance: a.Addr(), Slot: "2", Version: "8.0.0", Status: failed, ExitCode: new(1), Summary: test.failure.Summary},
				{Appliance: a.Addr(), Slot: "4", Version: "6.0.10", Status: skipped, Summary: "older than the running 7.4.0"},
			}, program.Run(t, t.Context(), clitest.Reach(t, a, "-output", "json")...))
			noSession(t, a)
		})
	}
}

func TestSelection(t *testing.T) {
	t.Parallel()
	broken := spstest.NotEnoughStorage()
	for _, test := range []struct {
		name   string
		slots  []spstest.Slot
		flags  []string
		status int
		want   []result
	}{
		{
			name: "newer versions only",
			slots: []spstest.Slot{
				{Key: "1", Version: "7.9", Current: true},
				{Key: "2", Version: "7.10"},
				{Key: "3", Version: "7.9.0"},
				{Key: "4"},
				{Key: "5", Version: "7.8.9"},
			},
			want: []result{
				{Slot: "1", Version: "7.9", Status: skipped, Summary: "the running firmware"},
				{Slot: "2", Version: "7.10", Status: passed, ExitCode: new(0), Summary: passedSummary},
				{Slot: "3", Version: "7.9.0", Status: skipped, Summary: "the same version as the running 7.9"},
				{Slot: "5", Version: "7.8.9", Status: skipped, Summary: "older than the running 7.9"},
			},
		},
		{
			name: "a version that cannot be compared",
			slots: []spstest.Slot{
				{Key: "1", Version: "7.4.0", Current: true},
				{Key: "2", Version: "7.0-hotfix"},
			},
			want: []result{
				{Slot: "1", Version: "7.4.0", Status: skipped, Summary: "the running firmware"},
				{Slot: "2", Version: "7.0-hotfix", Status: passed, ExitCode: new(0), Summary: passedSummary},
			},
		},
		{
			name:  "the running firmware is unknown",
			slots: []spstest.Slot{{Key: "2", Version: "6.0"}},
			want:  []result{{Slot: "2", Version: "6.0", Status: passed, ExitCode: new(0), Summary: passedSummary}},
		},
		{
			name:   "nothing newer",
			slots:  []spstest.Slot{{Key: "1", Version: "8.0", Current: true}, {Key: "2"}},
			status: exitError,
			want: []result{
				{Slot: "1", Version: "8.0", Status: skipped, Summary: "the running firmware"},
				{Status: errored, Error: "no slot to test: none holds a version higher than the running one"},
			},
		},
		{
			name:   "nothing at all",
			slots:  []spstest.Slot{{Key: "1"}},
			status: exitError,
			want:   []result{{Status: errored, Error: "no slot to test: none holds a version higher than the running one"}},
		},
		{
			name:  "slots by key, each once and in order",
			slots: []spstest.Slot{{Key: "1", Version: "7.4.0", Current: true}, {Key: "2", Version: "6.0"}},
			flags: []string{"-slot", "2", "-slot", "1", "-slot", "2"},
			want: []result{
				{Slot: "2", Version: "6.0", Status: passed, ExitCode: new(0), Summary: passedSummary},
				{Slot: "1", Version: "7.4.0", Status: passed, ExitCode: new(0), Summary: passedSummary},
			},
		},
		{
			name:   "an empty slot",
			slots:  []spstest.Slot{{Key: "3"}},
			flags:  []string{"-slot", "3"},
			status: exitError,
			want:   []result{{Slot: "3", Status: errored, Error: anyText}},
		},
		{
			name:   "an unknown slot does not stop the others",
			slots:  []spstest.Slot{{Key: "2", Version: "8.0.0"}},
			flags:  []string{"-slot", "9", "-slot", "2"},
			status: exitError,
			want: []result{
				{Slot: "9", Status: errored, Error: anyText},
				{Slot: "2", Version: "8.0.0", Status: passed, ExitCode: new(0), Summary: passedSummary},
			},
		},
		{
			name:   "an error wins over a failure",
			slots:  []spstest.Slot{{Key: "2", Version: "8.0.0", TestFailure: broken}, {Key: "3"}},
			flags:  []string{"-slot", "3,2"},
			status: exitError,
			want: []result{
				{Slot: "3", Status: errored, Error: anyText},
				{Slot: "2", Version: "8.0.0", Status: failed, ExitCode: new(1), Summary: broken.Summary},
			},
		},
	} {
		t.Run(test.name, func(t *testing.T) {
			t.Parallel()
			a := clitest.Start(t, spstest.WithSlots(test.slots...))
			for i := range test.want {
				test.want[i].Appliance = a.Addr()
			}
			got := program.Run(t, t.Context(), clitest.Reach(t, a, append(test.flags, "-output", "json")...)...)
			diff(t, test.status, test.want, got)
			if strings.Contains(test.name, "slot") && test.status == exitError && !strings.Contains(got.Stdout, "ResourceNotFound") {
				t.Errorf("the error is no ResourceNotFound:\n%s", got.Stdout)
			}
			noSession(t, a)
		})
	}
}

// The program relies on nothing that is open in the API.
func TestVariants(t *testing.T) {
	t.Parallel()
	for name, option := range clitest.Variants(t, "firmware") {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			a := clitest.Start(t, option)
			a.SetSlot(spstest.Slot{Key: "2", Version: "8.0.0", TestFailure: spstest.TaintedFirmware()})
			a.SetSlot(spstest.Slot{Key: "5", Version: "8.1.0"})
			third := result{Appliance: a.Addr(), Slot: "2", Version: "8.0.0", Status: failed, ExitCode: new(1), Summary: spstest.TaintedFirmware().Summary}
			if strings.HasPrefix(name, "firmware-errors=") {
				third.ExitCode, third.Summary = nil, "" // the appliance does not tell
			}
			diff(t, exitError, []result{
				{Appliance: a.Addr(), Slot: "5", Version: "8.1.0", Status: passed, ExitCode: new(0), Summary: passedSummary},
				{Appliance: a.Addr(), Slot: "3", Status: errored, Error: anyText},
				third,
			}, program.Run(t, t.Context(), clitest.Reach(t, a, "-output", "json", "-slot", "5,3,2")...))
		})
	}
}

func TestProfiles(t *testing.T) {
	t.Parallel()
	for _, profile := range spstest.Profiles() {
		t.Run(profile, func(t *testing.T) {
			t.Parallel()
			a := clitest.Start(t, spstest.WithProfile(profile))
			runs, next := a.Slots()[0].Version, a.Slots()[1].Version
			diff(t, exitOK, []result{
				{Appliance: a.Addr(), Slot: "1", Version: runs, Status: skipped, Summary: "the running firmware"},
				{Appliance: a.Addr(), Slot: "2", Version: next, Status: passed, ExitCode: new(0), Summary: passedSummary},
				{Appliance: a.Addr(), Slot: "4", Version: "6.0.10", Status: skipped, Summary: "older than the running " + runs},
			}, program.Run(t, t.Context(), clitest.Reach(t, a, "-output", "json")...))
			noSession(t, a)
		})
	}
}

func TestListingFails(t *testing.T) {
	t.Parallel()
	a := clitest.Start(t)
	a.Inject(spstest.Fault{Path: "firmware/slots", Status: 500, Times: -1})
	diff(t, exitError, []result{{Appliance: a.Addr(), Status: errored, Error: anyText}},
		program.Run(t, t.Context(), clitest.Reach(t, a, "-output", "json")...))
	noSession(t, a)
}

// Whatever an appliance says, it cannot drive a terminal.
func TestControlCharacters(t *testing.T) {
	t.Parallel()
	a := clitest.Start(t, spstest.WithSlots(
		spstest.Slot{Key: "1", Version: "7.4.0\x1b[31m", Current: true},
		spstest.Slot{Key: "2", Version: "8.0.0\u009b31m\n", TestFailure: &spstest.TestFailure{
			ExitCode: 1, Summary: "\x1b]0;title\x07first\r\n\u009b2Jsecond\u202e\x7f\tthird",
		}},
	))
	a.Inject(spstest.Fault{Path: "firmware/test", Skip: 2, Status: 400, Body: `{"error":{"type":"\u001b[2JBad","message":"\u001b[2Jworse"}}`})
	diff(t, exitFailed, []result{
		{Appliance: a.Addr(), Slot: "1", Version: "7.4.0[31m", Status: skipped, Summary: "the running firmware"},
		{Appliance: a.Addr(), Slot: "2", Version: "8.0.031m ", Status: failed, ExitCode: new(1), Summary: "]0;titlefirst\n2Jsecond third"},
	}, program.Run(t, t.Context(), clitest.Reach(t, a, "-output", "json")...))
	for _, status := range []int{exitFailed, exitError} {
		got := program.Run(t, t.Context(), clitest.Reach(t, a)...)
		if got.Status != status {
			t.Errorf("status %d, want %d:\n%s", got.Status, status, got.Stdout)
		}
		if strings.ContainsFunc(got.Stdout+got.Stderr, func(r rune) bool { return r != '\n' && !unicode.IsGraphic(r) }) {
			t.Errorf("control characters are printed: %q", got.Stdout+got.Stderr)
		}
	}
}

func TestCancelled(t *testing.T) {
	t.Parallel()
	ctx, cancel := context.WithCancelCause(t.Context())
	defer cancel(nil)
	a := clitest.Start(t)
	a.SetSlot(spstest.Slot{Key: "5", Version: "8.1.0"})
	over := make(chan struct{})
	a.Inject(spstest.Fault{Path: "firmware/test", Mutate: func(body []byte) []byte {
		cancel(errors.New("the power is going"))
		<-over // there is no answer before the program has ended
		return body
	}})
	got := program.Run(t, ctx, clitest.Reach(t, a, "-output", "json")...)
	noSession(t, a)
	close(over)
	diff(t, exitError, []result{
		{Appliance: a.Addr(), Slot: "1", Version: "7.4.0", Status: skipped, Summary: "the running firmware"},
		{Appliance: a.Addr(), Slot: "2", Version: "8.0.0", Status: errored, Error: anyText},
		{Appliance: a.Addr(), Slot: "4", Version: "6.0.10", Status: skipped, Summary: "older than the running 7.4.0"},
		{Appliance: a.Addr(), Slot: "5", Version: "8.1.0", Status: errored, Error: "not tested: the power is going"},
	}, got)
	want := []string{"GET /api/authentication", "GET /api/firmware/slots", "POST /api/firmware/test", "DELETE /api/authentication"}
	var requests []string
	for _, r := range a.Journal() {
		requests = append(requests, r.Method+" "+r.Path)
	}
	if d := cmp.Diff(want, requests); d != "" {
		t.Errorf("requests (-want +got):\n%s", d)
	}
}

// The login that is running when the program is interrupted opens a session, which must
// not stay behind either.
func TestCancelledLogin(t *testing.T) {
	t.Parallel()
	ctx, cancel := context.WithCancel(t.Context())
	defer cancel()
	a := clitest.Start(t)
	a.Inject(spstest.Fault{Path: "authentication", Method: "GET", Mutate: func(body []byte) []byte {
		cancel()
		return body
	}})
	got := program.Run(t, ctx, clitest.Reach(t, a, "-output", "json")...)
	// What the login opens is logged out beside the program.
	for deadline := time.Now().Add(10 * time.Second); a.Sessions() > 0 && time.Now().Before(deadline); {
		runtime.Gosched()
	}
	noSession(t, a)
	diff(t, exitError, []result{{Appliance: a.Addr(), Status: errored, Error: anyText}}, got)
}

func TestTimeout(t *testing.T) {
	t.Parallel()
	a := clitest.Start(t)
	a.Inject(spstest.Fault{Path: "authentication", Method: "GET", Delay: time.Hour, MayMiss: true}) // missed where the time is over before
	got := program.Run(t, t.Context(), clitest.Reach(t, a, "-output", "json", "-timeout", "20ms")...)
	diff(t, exitError, []result{{Appliance: a.Addr(), Status: errored, Error: anyText}}, got)
	if !strings.Contains(got.Stdout, "-timeout allows, 20ms") {
		t.Errorf("the error does not name the flag:\n%s", got.Stdout)
	}
}

// A log-out that fails says nothing about the firmware, but must not get lost.
func TestLogOutFails(t *testing.T) {
	t.Parallel()
	a := clitest.Start(t)
	a.Inject(spstest.Fault{Path: "authentication", Method: "DELETE", Status: 500, Times: -1})
	got := program.Run(t, t.Context(), clitest.Reach(t, a)...)
	if got.Status != exitOK || !strings.Contains(got.Stderr, "sps: "+a.Addr()+": close") {
		t.Errorf("a log-out that fails gives %+v", got)
	}
}

// brokenPipe is an output that nobody reads.
type brokenPipe struct{}

func (brokenPipe) Write([]byte) (int, error) { return 0, os.ErrClosed }

func TestOutputLost(t *testing.T) {
	t.Parallel()
	for _, output := range []string{"text", "json"} {
		var stderr bytes.Buffer
		status := run(t.Context(), []string{"-output", output}, os.Getenv, brokenPipe{}, &stderr)
		if status != exitError || !strings.Contains(stderr.String(), "could not be printed") {
			t.Errorf("%s: status %d, want %d; standard error:\n%s", output, status, exitError, stderr.String())
		}
	}
}

// TestJSONLines prints the same results as the one object, a line each.
func TestJSONLines(t *testing.T) {
	t.Parallel()
	a := spstest.NewServer(t)
	object := program.Run(t, t.Context(), clitest.Reach(t, a, "-output", "json")...)
	want := decode(t, object.Stdout)
	got := program.Run(t, t.Context(), clitest.Reach(t, a, "-output", "jsonl")...)
	if got.Status != object.Status || len(want) == 0 {
		t.Errorf("status %d, want %d, for %d results", got.Status, object.Status, len(want))
	}
	var results []result
	for line := range strings.Lines(got.Stdout) {
		results = append(results, decode(t, `{"results":[`+line+`]}`)...)
	}
	if d := cmp.Diff(want, results); d != "" {
		t.Errorf("results (-want +got):\n%s", d)
	}
}
