package command

import (
	"strings"
	"testing"

	"github.com/go-sps/sps/cmd/sps/internal/out"
	"github.com/go-sps/sps/spstest"
)

// TestPasswordSource checks that the error of a refused login names the source of the password.
func TestPasswordSource(t *testing.T) {
	t.Parallel()
	a := startAppliance(t)
	password := writeFile(t, "password", "wrong\n")
	config := writeFile(t, "config.yaml", "appliances: {lab: {host: '"+a.Addr()+"', username: "+testUser+", fingerprint: '"+a.Fingerprint()+"', password: wrong}}\n")
	for name, test := range map[string]struct {
		env, args, want string
	}{
		"environment": {"wrong", "info", "SPS_PASSWORD"},
		"file":        {"", "info --password-file " + password, "the file " + password},
		"command":     {"", "info --password-command cat=" + password, "the password command cat"},
		"config":      {"", "info -a lab --config " + config, config},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			c := reach(t, a)
			c.env["SPS_PASSWORD"] = test.env
			args := strings.Fields(test.args)
			for i, arg := range args {
				args[i] = strings.ReplaceAll(arg, "cat=", "cat ")
			}
			c.want(t, out.Failed, []string{"AuthenticationFailure", "check --username and the password from " + test.want + "; --login-method"}, args...)
		})
	}
}

// TestRemedies checks that an error names its remedy.
func TestRemedies(t *testing.T) {
	t.Parallel()
	c := reach(t, startAppliance(t, withSlots()))
	for name, test := range map[string]struct{ args, want string }{
		"no image":         {"firmware upload " + writeFile(t, "notes.txt", "notes\n"), "(check that the file is an image of the SPS firmware"},
		"expected version": {"firmware upgrade --slot 4 --yes --expect-version 9.0", "(correct --expect-version, or choose another image; \"sps firmware slots\" lists"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			c.want(t, out.Failed, []string{test.want}, strings.Fields(test.args)...)
		})
	}
}

// TestFailedLogout checks that the line about a failed logout names the appliance once.
func TestFailedLogout(t *testing.T) {
	t.Parallel()
	a := startAppliance(t, spstest.WithFaults(spstest.Fault{Method: "DELETE", Path: "authentication", Status: 503, Times: 100}))
	got := reach(t, a).want(t, out.OK, []string{"the logout failed: close: DELETE authentication: "}, "whoami")
	if strings.Count(got.stderr, a.Addr()) != 1 || strings.Count(got.stderr, "the session") != 1 {
		t.Errorf("%s", got.stderr)
	}
}
