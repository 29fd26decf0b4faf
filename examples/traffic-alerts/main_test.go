package main

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"os"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/go-sps/sps"
	"github.com/go-sps/sps/examples/internal/clitest"
	"github.com/go-sps/sps/spstest"
)

const (
	trafficAlerts = "alerting/traffic_alerts"
	systemAlerts  = "alerting/system_alerts"
)

// program is the program under test.
var program = clitest.Program{Main: run}

// reach returns the flags that reach an appliance and print JSON, and adds others.
func reach(t *testing.T, a *spstest.Appliance, more ...string) []string {
	t.Helper()
	return clitest.Reach(t, a, append([]string{"-output", "json"}, more...)...)
}

// decode reads the JSON output: one object with nothing around it, and all members
// in it.
func decode(t *testing.T, got clitest.Outcome) result {
	t.Helper()
	var members map[string]any
	if err := json.Unmarshal([]byte(got.Stdout), &members); err != nil {
		t.Fatalf("standard output is not one JSON object: %v\n%s%s", err, got.Stdout, got.Stderr)
	}
	for _, name := range []string{"appliance", "status", "alerts", "email_to", "snmp_to", "changes", "error"} {
		if members[name] == nil {
			t.Errorf("the result lacks %s:\n%s", name, got.Stdout)
		}
	}
	var r result
	decoder := json.NewDecoder(strings.NewReader(got.Stdout))
	decoder.DisallowUnknownFields()
	if err := decoder.Decode(&r); err != nil {
		t.Fatal(err)
	}
	return r
}

// diff compares what a run came to with the wanted status and changes.
func diff(t *testing.T, status string, want []change, got clitest.Outcome) result {
	t.Helper()
	r := decode(t, got)
	if got.Status != exitOK || r.Status != status || r.Error != "" {
		t.Errorf("exit status %d, %s %q, want %d and %s; standard error:\n%s", got.Status, r.Status, r.Error, exitOK, status, got.Stderr)
	}
	if d := cmp.Diff(want, r.Changes); d != "" {
		t.Errorf("changes (-want +got):\n%s", d)
	}
	return r
}

// fails checks that a run ended with an error that says something.
func fails(t *testing.T, got clitest.Outcome, want string) {
	t.Helper()
	r := decode(t, got)
	if got.Status != exitError || r.Status != errored || !strings.Contains(r.Error, want) || strings.Contains(r.Error, "\n") {
		t.Errorf("exit status %d, %s %q, want %d and one line with %q", got.Status, r.Status, r.Error, exitError, want)
	}
	if len(r.Changes) > 0 {
		t.Errorf("changes of a run that failed: %v", r.Changes)
	}
}

// untouched checks that nothing was committed, and nothing is left behind.
func untouched(t *testing.T, a *spstest.Appliance) {
	t.Helper()
	if n := len(a.Commits()); n != 0 {
		t.Errorf("%d commits", n)
	}
	leftNothing(t, a)
}

func leftNothing(t *testing.T, a *spstest.Appliance) {
	t.Helper()
	if a.TransactionOpen() || a.LockedBy() != "" || a.Sessions() != 0 {
		t.Errorf("left behind: transaction open %t, lock of %q, %d sessions", a.TransactionOpen(), a.LockedBy(), a.Sessions())
	}
}

// configured returns the alerts that the appliance has.
func configured(t *testing.T, a *spstest.Appliance, path string) sps.TrafficAlerts {
	t.Helper()
	body, _ := a.Configuration(path)
	var alerts sps.TrafficAlerts
	if err := json.Unmarshal(body, &alerts); err != nil {
		t.Fatal(err)
	}
	return alerts
}

func TestDemo(t *testing.T) {
	t.Parallel()
	got := program.Run(t, t.Context())
	want := `No -appliance is given, so this is a demonstration: a simulated appliance was
started in this process, at ADDRESS.

Its alerts about the traffic:

ALERT                      EMAIL  SNMP
scbAuthFailure             off    off
scbAuthSuccess             off    off
scbChannelDenied           off    off
scbConnectionDenied        off    off
scbConnectionFailed        off    off
scbConnectionTimedout      off    off
scbCredStoreClosed         off    off
scbCredStoreDecryptError   off    off
scbCredStoreUnlockFailure  off    off
scbGWAuthFailure           off    off
scbGWAuthSuccess           off    off
scbProtocolViolation       off    off
scbRealTimeAlert           off    off
scbSshHostKeyLearned       off    off
scbSshHostKeyMismatch      off    off
scbUserMappingFailure      off    off

E-mail alerts go to alerts@example.com, SNMP alerts to 10.20.30.40.

What "-enable email -alert scbConnectionDenied,scbSshHostKeyMismatch -dry-run" says:

ADDRESS: this would change, and did not:
    scbConnectionDenied    email  off -> on
    scbSshHostKeyMismatch  email  off -> on

The same without -dry-run:

ADDRESS: changed:
    scbConnectionDenied    email  off -> on
    scbSshHostKeyMismatch  email  off -> on

And once more, which does no harm:

ADDRESS: nothing to change: all of it is like that already.
`
	_, rest, _ := strings.Cut(got.Stdout, ", at ")
	addr, _, _ := strings.Cut(rest, ".\n")
	got.Stdout = strings.ReplaceAll(got.Stdout, addr, "ADDRESS")
	if d := cmp.Diff(clitest.Outcome{Stdout: want}, got); d != "" {
		t.Errorf("demonstration (-want +got):\n%s", d)
	}
}

func TestDemoJSON(t *testing.T) {
	t.Parallel()
	got := program.Run(t, t.Context(), "-output", "json")
	if r := diff(t, unchanged, []change{}, got); len(r.Alerts) != 16 || !strings.Contains(got.Stderr, "The same without -dry-run") {
		t.Errorf("%d alerts; the story:\n%s", len(r.Alerts), got.Stderr)
	}
}

func TestHelp(t *testing.T) {
	t.Parallel()
	got := program.Run(t, t.Context(), "-h")
	if got.Status != exitOK || !strings.Contains(got.Stdout, "-enable channel") || got.Stderr != "" {
		t.Errorf("-h gives %+v", got)
	}
}

func TestUsageErrors(t *testing.T) {
	t.Parallel()
	full := []string{"-appliance", "127.0.0.1:1", "-username", clitest.Username}
	one := []string{"-enable", "email", "-alert", "scbAuthFailure"}
	with := func(more ...string) []string { return slices.Concat(full, more) }
	for _, test := range []struct {
		name string
		args []string
		want string
	}{
		{"unknown flag", []string{"-password", "x"}, "not defined: -password"},
		{"argument", []string{"sps1"}, `unexpected argument "sps1"`},
		{"empty appliance", []string{"-appliance", ""}, "-appliance is empty"},
		{"no username", full[:2], "-appliance needs -username"},
		{"no appliance", one, "-enable needs -appliance"},
		{"dry run alone", []string{"-dry-run"}, "-dry-run needs -appliance"},
		{"no such channel", with("-enable", "sms", "-all"), `"sms" is no channel: use email or snmp`},
		{"empty channel", with("-enable", "", "-all"), "a value is empty"},
		{"both ways", with("-enable", "email,snmp", "-disable", "snmp", "-all"), "-enable and -disable have the same channel"},
		{"no alert", with("-enable", "email"), "-enable and -disable need -alert or -all"},
		{"empty alert", with("-enable", "email", "-alert", "scbAuthFailure,"), "a value is empty"},
		{"no channel", with("-alert", "scbAuthFailure"), "-alert and -all need -enable or -disable"},
		{"no channel for all", with("-all"), "-alert and -all need -enable or -disable"},
		{"one and all", with("-enable", "email", "-all", "-alert", "scbAuthFailure"), "-all excludes -alert"},
		{"dry run of nothing", with("-dry-run"), "-dry-run needs something to change"},
		{"message of nothing", with("-message", "x"), "-message needs something to change"},
		{"empty message", with(append(one, "-message", "")...), "-message is empty"},
		{"negative wait", with(append(one, "-wait", "-1s")...), "-wait must not be negative"},
		{"output", []string{"-output", "xml"}, `-output "xml" is neither text nor json`},
		{"no such ca", with("-ca", "testdata/none"), "-ca: open testdata/none"},
	} {
		got := program.Run(t, t.Context(), test.args...)
		if got.Status != exitError || got.Stdout != "" {
			t.Errorf("%s: status %d and standard output %q, want %d and none", test.name, got.Status, got.Stdout, exitError)
		}
		if !strings.Contains(got.Stderr, test.want) || strings.Count(got.Stderr, "\n") != 1 {
			t.Errorf("%s: standard error %q, want one line with %q", test.name, got.Stderr, test.want)
		}
	}
}

func TestConnectFails(t *testing.T) {
	t.Parallel()
	const nobody = "127.0.0.1:1" // a port that nothing gets by chance
	fails(t, program.Run(t, t.Context(), "-appliance", nobody, "-username", clitest.Username, "-output", "json"), nobody)
	a := clitest.Start(t, spstest.WithCredentials(clitest.Username, "another"))
	fails(t, program.Run(t, t.Context(), reach(t, a)...), "AuthenticationFailure")
	untouched(t, a)
}

func TestShow(t *testing.T) {
	t.Parallel()
	a := clitest.Start(t)
	a.SetConfiguration(trafficAlerts, json.RawMessage(`{"scbNew\u001b[2J":{"email":true,"snmp":false},"scbAuthFailure":{"email":false,"snmp":true}}`))
	r := diff(t, shown, []change{}, program.Run(t, t.Context(), reach(t, a)...))
	want := []alert{{"scbAuthFailure", false, true}, {"scbNew[2J", true, false}}
	if d := cmp.Diff(want, r.Alerts); d != "" {
		t.Errorf("alerts (-want +got):\n%s", d)
	}
	if r.EmailTo != "alerts@example.com" || r.SNMPTo != "10.20.30.40" {
		t.Errorf("they go to %q and %q", r.EmailTo, r.SNMPTo)
	}
	r = diff(t, shown, []change{}, program.Run(t, t.Context(), reach(t, a, "-system")...))
	if !slices.Contains(r.Alerts, alert{"xcbLogin", false, false}) {
		t.Errorf("no system alerts, but %v", r.Alerts)
	}
	untouched(t, a)
}

// Where the alerts go may be none of the user's business, or nowhere.
func TestDestinations(t *testing.T) {
	t.Parallel()
	a := clitest.Start(t, spstest.WithUser(clitest.Username, clitest.Password, spstest.NoAccessTo("configuration/management")))
	if r := diff(t, shown, []change{}, program.Run(t, t.Context(), reach(t, a)...)); r.EmailTo != "" || r.SNMPTo != "" || len(r.Alerts) == 0 {
		t.Errorf("%d alerts go to %q and %q", len(r.Alerts), r.EmailTo, r.SNMPTo)
	}
	got := program.Run(t, t.Context(), reach(t, a, "-output", "text")...)
	if want := "E-mail alerts go to (not set, or not readable)"; !strings.Contains(got.Stdout, want) {
		t.Errorf("the output lacks %q:\n%s", want, got.Stdout)
	}
	a = clitest.Start(t)
	a.SetConfiguration("management/snmp/trap", json.RawMessage(`{"enabled":false,"version":{"selection":"2c","value":{"community":"very-private","server":{"selection":"ip","value":"10.20.30.40"}}}}`))
	got = program.Run(t, t.Context(), reach(t, a)...)
	if r := diff(t, shown, []change{}, got); r.SNMPTo != "" || strings.Contains(got.Stdout+got.Stderr, "very-private") {
		t.Errorf("SNMP is off, but %s", got.Stdout)
	}
}

func TestSwitch(t *testing.T) {
	t.Parallel()
	a := clitest.Start(t, spstest.WithCommitMessageRequired())
	a.SetConfiguration(trafficAlerts, json.RawMessage(`{
		"scbAuthFailure":{"email":false,"snmp":true},"scbAuthSuccess":{"email":false,"snmp":true},
		"scbConnectionDenied":{"email":true,"snmp":true,"webhook":{"url":null}},"scbNew":{"email":false,"snmp":false}}`))
	want := []change{{"scbAuthFailure", sps.ChannelEmail, false, true}, {"scbAuthFailure", sps.ChannelSNMP, true, false}, {"scbConnectionDenied", sps.ChannelSNMP, true, false}}
	r := diff(t, changed, want, program.Run(t, t.Context(), reach(t, a,
		"-enable", "email", "-disable", "snmp", "-alert", "scbAuthFailure", "-alert", "scbConnectionDenied", "-message", "CHG-1")...))
	if !slices.Contains(r.Alerts, alert{"scbAuthFailure", true, false}) {
		t.Errorf("the alerts are not those in the end: %v", r.Alerts)
	}
	if d := cmp.Diff([]spstest.Commit{{User: clitest.Username, Message: "CHG-1", Member: "commit_message"}}, a.Commits()); d != "" {
		t.Errorf("commits (-want +got):\n%s", d)
	}
	body, _ := a.Configuration(trafficAlerts)
	const after = `{"scbAuthFailure":{"email":true,"snmp":false},"scbAuthSuccess":{"email":false,"snmp":true},` +
		`"scbConnectionDenied":{"email":true,"snmp":false,"webhook":{"url":null}},"scbNew":{"email":false,"snmp":false}}`
	if d := cmp.Diff(after, string(body)); d != "" {
		t.Errorf("configuration (-want +got):\n%s", d)
	}
	leftNothing(t, a)

	diff(t, unchanged, []change{}, program.Run(t, t.Context(), reach(t, a, "-enable", "email", "-alert", "scbAuthFailure,scbConnectionDenied", "-message", "x")...))
	if n := len(a.Commits()); n != 1 {
		t.Errorf("%d commits after a run with nothing to do, want 1", n)
	}
	leftNothing(t, a)
}

func TestSwitchAllSystemAlerts(t *testing.T) {
	t.Parallel()
	a := clitest.Start(t)
	before := configured(t, a, trafficAlerts)
	got := program.Run(t, t.Context(), reach(t, a, "-system", "-all", "-enable", "email,snmp")...)
	if r := decode(t, got); got.Status != exitOK || r.Status != changed || len(r.Alerts) == 0 || len(r.Changes) != 2*len(r.Alerts) {
		t.Errorf("exit status %d, %s, %d changes of %d alerts", got.Status, r.Status, len(r.Changes), len(r.Alerts))
	}
	for id, setting := range configured(t, a, systemAlerts) {
		if !setting.Email || !setting.SNMP {
			t.Errorf("%s: %+v", id, setting)
		}
	}
	if d := before.Diff(configured(t, a, trafficAlerts)); d != nil {
		t.Errorf("traffic alerts changed: %v", d)
	}
	leftNothing(t, a)
}

// Every answer that the API's documentation leaves open will do, and every release.
func TestVariants(t *testing.T) {
	t.Parallel()
	try := func(name string, option spstest.Option) {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			a := clitest.Start(t, option)
			flags := reach(t, a, "-enable", "snmp", "-alert", "scbAuthFailure")
			want := []change{{"scbAuthFailure", sps.ChannelSNMP, false, true}}
			diff(t, wouldChange, want, program.Run(t, t.Context(), append(flags, "-dry-run")...))
			diff(t, changed, want, program.Run(t, t.Context(), flags...))
			if !configured(t, a, trafficAlerts)[sps.AlertAuthFailure].SNMP {
				t.Error("it was not switched")
			}
			if a.TransactionOpen() || a.LockedBy() != "" { // some do not log out
				t.Error("the configuration is locked")
			}
		})
	}
	for _, profile := range spstest.Profiles() {
		try(profile, spstest.WithProfile(profile))
	}
	for name, option := range clitest.Variants(t, "transaction", "configuration", "alerting") {
		try(name, option)
	}
}

func TestDryRun(t *testing.T) {
	t.Parallel()
	a := clitest.Start(t, spstest.WithCommitMessageRequired())
	before, _ := a.Configuration(trafficAlerts)
	r := diff(t, wouldChange, []change{{"scbAuthFailure", sps.ChannelEmail, false, true}},
		program.Run(t, t.Context(), reach(t, a, "-enable", "email", "-alert", "scbAuthFailure", "-dry-run")...))
	if !slices.Contains(r.Alerts, alert{"scbAuthFailure", true, false}) {
		t.Errorf("the alerts are not as they would be: %v", r.Alerts)
	}
	if after, _ := a.Configuration(trafficAlerts); !bytes.Equal(before, after) {
		t.Errorf("the configuration was changed: %s", after)
	}
	untouched(t, a)
}

// TestRefused is about runs that fail, and change nothing.
func TestRefused(t *testing.T) {
	t.Parallel()
	enable := []string{"-enable", "email", "-alert"}
	for _, test := range []struct {
		name    string
		options []spstest.Option
		args    []string
		want    string
		writes  int // of the configuration
	}{
		{"unknown alert", nil, append(enable, "scbAuthFailure,scbNone"), `there is no alert "scbNone": the appliance has [scbAuthFailure `, 0},
		{"misspelt alert", nil, append(enable, "scbauthfailure"), `did you mean "scbAuthFailure"?`, 0},
		{"system alert", nil, append(enable, "xcbLogin"), `there is no alert "xcbLogin"`, 0},
		{"traffic alert", nil, append(enable, "scbAuthFailure", "-system"), `there is no alert "scbAuthFailure"`, 0},
		{"in a dry run", nil, append(enable, "scbNone", "-dry-run"), `there is no alert "scbNone"`, 0},
		{"read-only user", []spstest.Option{spstest.WithUser(clitest.Username, clitest.Password, spstest.ReadOnly)},
			append(enable, "scbAuthFailure"), "Unauthorized (403)", 0},
		{"read-only alerts", []spstest.Option{spstest.WithUser(clitest.Username, clitest.Password, spstest.ReadOnlyAt("configuration/alerting"))},
			append(enable, "scbAuthFailure"), "the user lacks the right to do this", 1},
		{"message required", []spstest.Option{spstest.WithCommitMessageRequired()},
			append(enable, "scbAuthFailure"), "give one with -message", 0},
		{"no such alerts", nil, append(enable, "scbAuthFailure"), "500", 0},
	} {
		t.Run(test.name, func(t *testing.T) {
			t.Parallel()
			a := clitest.Start(t, test.options...)
			if test.name == "no such alerts" {
				a.Inject(spstest.Fault{Method: "GET", Path: "configuration/" + trafficAlerts, Status: 500, Times: -1})
			}
			fails(t, program.Run(t, t.Context(), reach(t, a, test.args...)...), test.want)
			writes := 0
			for _, request := range a.Journal() {
				if request.Method == "PUT" {
					writes++
				}
			}
			if writes != test.writes {
				t.Errorf("%d writes, want %d", writes, test.writes)
			}
			untouched(t, a)
		})
	}
}

func TestLocked(t *testing.T) {
	t.Parallel()
	for _, variant := range []string{"opening", "first-change"} {
		a := clitest.Start(t, spstest.WithVariant("lock-taken", variant))
		release := a.LockConfiguration("somebody else")
		flags := reach(t, a, "-enable", "email", "-alert", "scbAuthFailure")
		fails(t, program.Run(t, t.Context(), flags...), "-wait says how long to wait")
		if n := len(a.Commits()); n != 0 || a.TransactionOpen() || a.Sessions() != 0 {
			t.Errorf("%s: %d commits, transaction open %t, %d sessions", variant, n, a.TransactionOpen(), a.Sessions())
		}

		// Somebody else ends as soon as the first attempt is refused.
		fault := spstest.Fault{Method: "POST", Path: "transaction"}
		if variant == "first-change" {
			fault = spstest.Fault{Method: "PUT", Path: "configuration/**"}
		}
		fault.Mutate = func(body []byte) []byte { release(); return body }
		a.Inject(fault)
		diff(t, changed, []change{{"scbAuthFailure", sps.ChannelEmail, false, true}}, program.Run(t, t.Context(), append(flags, "-wait", "1m")...))
		leftNothing(t, a)
	}
}

// Ctrl-C between the write and the commit.
func TestInterrupted(t *testing.T) {
	t.Parallel()
	ctx, cancel := context.WithCancelCause(t.Context())
	defer cancel(nil)
	a := clitest.Start(t)
	a.Inject(spstest.Fault{Method: "PUT", Path: "configuration/**", Mutate: func(body []byte) []byte {
		cancel(errors.New("interrupt signal received"))
		return body
	}})
	fails(t, program.Run(t, ctx, reach(t, a, "-enable", "email", "-alert", "scbAuthFailure")...), "interrupt signal received")
	untouched(t, a)
}

// A log-out that fails says nothing about the alerts, but must not get lost.
func TestLogOutFails(t *testing.T) {
	t.Parallel()
	a := clitest.Start(t)
	a.Inject(spstest.Fault{Path: "authentication", Method: "DELETE", Status: 500, Times: -1})
	got := program.Run(t, t.Context(), reach(t, a)...)
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
