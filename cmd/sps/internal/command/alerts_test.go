package command

import (
	"strings"
	"testing"

	"github.com/go-sps/sps/cmd/sps/internal/out"
	"github.com/go-sps/sps/spstest"
)

func TestAlerts(t *testing.T) {
	t.Parallel()
	a := startAppliance(t)
	c := reach(t, a)
	c.want(t, out.OK, []string{"ALERT", "scbAuthFailure", "E-mail alerts go to"}, "alerts", "list")
	c.want(t, out.OK, []string{"EMAIL"}, "alerts", "list", "--system")
	for _, test := range []struct{ args, want string }{
		{"scbAuthFailure", "--channel is missing"},
		{"--channel email", "name the alerts"},
		{"--channel pigeon --all", "neither email nor snmp"},
		{"--channel email --all scbAuthFailure", "--all excludes"},
		{"--channel email scbNothing", "scbNothing"},
		{"--channel email --all --wait-for-lock -1s", "must not be negative"},
	} {
		c.want(t, out.Failed, []string{test.want}, append([]string{"alerts", "enable"}, strings.Fields(test.args)...)...)
	}
	c.want(t, out.OK, []string{"this would change, and did not:\n    scbAuthFailure: email off -> on\n"}, "alerts", "enable", "scbAuthFailure", "--channel", "email", "--dry-run")
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

// TestStatusOfWrites has the commits that are lost: the status is 3 exactly where the
// outcome is unknown.
func TestStatusOfWrites(t *testing.T) {
	t.Parallel()
	for name, test := range map[string]struct {
		options []spstest.Option
		lock    bool
		status  int
		want    string
	}{
		"locked":           {lock: true, status: out.Failed, want: "a run that was killed left its lock"},
		"message required": {options: []spstest.Option{spstest.WithCommitMessageRequired()}, status: out.Failed, want: "give one with --message"},
		"no right":         {options: []spstest.Option{spstest.WithUser(testUser, testPassword, spstest.ReadOnly)}, status: out.Failed, want: "lacks the right"},
		"commit refused": {options: []spstest.Option{spstest.WithFaults(spstest.Fault{
			Method: "PUT", Path: "transaction", Status: 400, Body: `{"error":{"type":"SemanticError","message":"no","details":{}}}`,
		})}, status: out.Failed, want: "SemanticError"},
		"write cut": {options: []spstest.Option{spstest.WithFaults(spstest.Fault{Method: "PUT", Path: "configuration/**", CutAfter: true})}, status: out.Failed},
		"commit cut, and nobody tells": {options: []spstest.Option{spstest.WithFaults(
			spstest.Fault{Method: "PUT", Path: "transaction", CutBefore: true},
			spstest.Fault{Method: "GET", Path: "transaction", Status: 503, Times: -1, Skip: 1, MayMiss: true},
		)}, status: out.Unknown, want: "look at the appliance"},
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
