package command

import (
	"context"
	"strings"
	"testing"
	"time"

	"github.com/go-sps/sps/cmd/sps/internal/out"
	"github.com/go-sps/sps/spstest"
)

// TestAlerts checks the list of alerts, the errors of the flags, the dry run and the change.
func TestAlerts(t *testing.T) {
	t.Parallel()
	a := startAppliance(t)
	c := reach(t, a)
	c.want(t, out.OK, []string{"ALERT", "scbAuthFailure", "E-mail alerts are sent to"}, "alerts", "list")
	c.want(t, out.OK, []string{"EMAIL"}, "alerts", "list", "--system")
	for _, test := range []struct{ args, want string }{
		{"scbAuthFailure", "--channel is missing"},
		{"--channel email", "name the alerts, or give --all"},
		{"--channel pigeon --all", "neither email nor snmp"},
		{"--channel email --all scbAuthFailure", "--all excludes"},
		{"--channel email scbNothing", `there is no alert "scbNothing" about the traffic: the appliance has scbAuthFailure, scbAuthSuccess, `},
		{"--channel email xcbRaidStatus", "(alerts about the appliance itself need --system)"},
		{"--channel email --system scbAuthFailure", "(alerts about the traffic need no --system)"},
		{"--channel email --all --wait-for-lock -1s", "must not be negative"},
	} {
		c.want(t, out.Failed, []string{test.want}, append([]string{"alerts", "enable"}, strings.Fields(test.args)...)...)
	}
	c.want(t, out.OK, []string{"this would change (dry run, nothing was changed):\n    scbAuthFailure: email off -> on\n"}, "alerts", "enable", "scbAuthFailure", "--channel", "email", "--dry-run")
	if len(a.Commits()) != 0 {
		t.Fatal("a dry run was committed")
	}
	c.want(t, out.OK, []string{"changed:\n    scbAuthFailure: email off -> on\n"}, "alerts", "enable", "scbAuthFailure", "--channel", "email", "-m", "CHG-1")
	c.want(t, out.OK, []string{"nothing to change"}, "alerts", "enable", "scbAuthFailure", "--channel", "email")
	c.want(t, out.OK, []string{"nothing to change"}, "alerts", "disable", "--all", "--channel", "snmp", "--channel", "email", "--system")
	if commits := a.Commits(); len(commits) == 0 || commits[0].Message != "CHG-1" {
		t.Errorf("commits %v", commits)
	}
}

// TestAlertsOfAFleet checks that one run changes the alerts of several appliances, and that a locked
// appliance does not stop the changes of the other appliances.
func TestAlertsOfAFleet(t *testing.T) {
	t.Parallel()
	one, locked, other := startAppliance(t), startAppliance(t), startAppliance(t)
	defer locked.LockConfiguration("somebody")()
	c, _ := fleet(t, one, locked, other)
	c.want(t, out.Failed, []string{"scbAuthFailure: email off -> on", "appliances: 2 done, 1 error"}, "--hosts", c.env["HOSTS"], "alerts", "enable", "scbAuthFailure", "--channel", "email")
	for i, a := range []*spstest.Appliance{one, locked, other} {
		if n := len(a.Commits()); n != (i+1)%2 {
			t.Errorf("appliance %d has %d commits", i, n)
		}
	}
}

// TestWaitForLock checks that --wait-for-lock waits until another user releases the lock.
func TestWaitForLock(t *testing.T) {
	t.Parallel()
	a := startAppliance(t)
	release := a.LockConfiguration("somebody")
	time.AfterFunc(200*time.Millisecond, release)
	reach(t, a).want(t, out.OK, []string{"changed:", ": the configuration is locked: waiting up to 1m0s for the lock\n"}, "alerts", "enable", "--all", "--channel", "email", "--wait-for-lock", "1m")
	if got := reach(t, a).want(t, out.OK, nil, "alerts", "disable", "--all", "--channel", "email", "--wait-for-lock", "1m"); got.stderr != "" {
		t.Errorf("without a lock, the command prints %s", got.stderr)
	}
}

// TestLocked checks the error of a command whose wait for the lock ends.
func TestLocked(t *testing.T) {
	t.Parallel()
	for _, test := range []struct{ name, args, want string }{
		{"wait", "--wait-for-lock 200ms", "by another user; waited 200ms (wait longer with --wait-for-lock; if a run that was killed left the lock, "},
		{"timeout", "--wait-for-lock 1m --timeout 300ms", "by another user (give more time with --timeout)\n"},
		{"interrupt", "--wait-for-lock 1m", "by another user (run the command again to wait for the lock; if a run that was killed left the lock, "},
	} {
		t.Run(test.name, func(t *testing.T) {
			t.Parallel()
			a := startAppliance(t)
			defer a.LockConfiguration("somebody")()
			ctx, cancel := context.WithCancel(t.Context())
			defer cancel()
			if test.name == "interrupt" {
				time.AfterFunc(300*time.Millisecond, cancel)
			}
			got := reach(t, a).run(t, ctx, append([]string{"alerts", "enable", "--all", "--channel", "email"}, strings.Fields(test.args)...)...)
			if got.status != out.Failed || !strings.Contains(got.stderr, test.want) {
				t.Errorf("status %d, no %q in %s", got.status, test.want, got.stderr)
			}
		})
	}
}

// TestOperationInErrors checks that the errors of writes name the operation after the appliance, and
// then say what to do.
func TestOperationInErrors(t *testing.T) {
	t.Parallel()
	file := writeFile(t, "timezone.json", `"UTC"`)
	for _, test := range []struct {
		args string
		lock bool
		want string
	}{
		{"config set management/email alerting_address=x@example.com", true, "config set configuration/management/email: the configuration is locked: "},
		{"config set management/email nothing=1", false, "config set configuration/management/email: nothing: there is no member"},
		{"api PUT configuration/datetime/timezone --data " + file, true, "PUT configuration/datetime/timezone: the configuration is locked: "},
		{"api PUT configuration/datetime/timezone --dry-run --data " + file, true, "PUT configuration/datetime/timezone: the configuration is locked: "},
		{"starling remote-access on", true, "starling remote-access: the configuration is locked: "},
		{"trust-stores rotate My_Custom_Trust_Store --remove " + exampleFingerprint, false, `trust-stores rotate: trust store "My_Custom_Trust_Store": no authority has that fingerprint: ` + strings.ToLower(exampleFingerprint) + ` (check the fingerprint; "sps trust-stores show NAME" lists the fingerprints)`},
	} {
		t.Run(test.args, func(t *testing.T) {
			t.Parallel()
			a := startAppliance(t)
			if test.lock {
				defer a.LockConfiguration("somebody")()
			}
			reach(t, a).want(t, out.Failed, []string{"sps: " + a.Addr() + ": " + test.want}, strings.Fields(test.args)...)
		})
	}
}

// TestStatusOfWrites checks the exit status of failed writes: it is 3 if the outcome is unknown,
// and 2 otherwise.
func TestStatusOfWrites(t *testing.T) {
	t.Parallel()
	for name, test := range map[string]struct {
		options []spstest.Option
		lock    bool
		status  int
		want    string
	}{
		"locked":           {lock: true, status: out.Failed, want: "(wait for the lock with --wait-for-lock; if a run that was killed left the lock, the appliance releases it when"},
		"message required": {options: []spstest.Option{spstest.WithCommitMessageRequired()}, status: out.Failed, want: "give a message with --message"},
		"no right":         {options: []spstest.Option{spstest.WithUser(testUser, testPassword, spstest.ReadOnly)}, status: out.Failed, want: "lacks the right"},
		"commit refused": {options: []spstest.Option{spstest.WithFaults(spstest.Fault{
			Method: "PUT", Path: "transaction", Status: 400, Body: `{"error":{"type":"SemanticError","message":"no","details":{}}}`,
		})}, status: out.Failed, want: "SemanticError"},
		"write cut": {options: []spstest.Option{spstest.WithFaults(spstest.Fault{Method: "PUT", Path: "configuration/**", CutAfter: true})}, status: out.Failed},
		"commit cut, and nobody tells": {options: []spstest.Option{spstest.WithFaults(
			spstest.Fault{Method: "PUT", Path: "transaction", CutBefore: true},
			spstest.Fault{Method: "GET", Path: "transaction", Status: 503, Times: -1, Skip: 1, MayMiss: true},
		)}, status: out.Unknown, want: "check the appliance before"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			options := test.options
			a := startAppliance(t, options...)
			if test.lock {
				defer a.LockConfiguration("somebody")()
			}
			reach(t, a).want(t, test.status, []string{test.want}, "alerts", "enable", "--all", "--channel", "email")
		})
	}
}
