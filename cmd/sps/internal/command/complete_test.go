package command

import (
	"strings"
	"testing"

	"github.com/go-sps/sps/cmd/sps/internal/out"
)

// TestCompletion checks the words that are completed from the appliance and from the
// configuration file.
func TestCompletion(t *testing.T) {
	t.Parallel()
	a := startAppliance(t, withSlots())
	c := reach(t, a)
	for _, test := range []struct {
		args []string
		want []string
		not  string
	}{
		{[]string{"firmware", "test", ""}, []string{"2\t8.0.0\n", "4\t8.1.0\n", ":4\n"}, "\n3"},
		{[]string{"firmware", "precheck", "--slot", ""}, []string{"2\t8.0.0\n"}, ""},
		{[]string{"alerts", "enable", ""}, []string{"scbAuthFailure\n"}, "xcb"},
		{[]string{"alerts", "enable", "--channel", ""}, []string{"email\n", "snmp\n"}, ""},
		{[]string{"trust-stores", "show", ""}, []string{"Built-in"}, ""},
		{[]string{"api", ""}, []string{"GET\n", "DELETE\n"}, ""},
		{[]string{"-o", ""}, []string{"table\n", "junit\n"}, ""},
		{[]string{"simulate", "--sl"}, []string{"--slot\n"}, ""},
		{[]string{"simulate", "--"}, []string{"--slot\n"}, "--host\t"},
		{[]string{"starling", "remote-access", ""}, []string{"on\n", "off\n"}, ""},
	} {
		got := c.want(t, out.OK, test.want, append([]string{"__complete"}, test.args...)...)
		if test.not != "" && strings.Contains(got.stdout, test.not) {
			t.Errorf("%q: %s", test.args, got.stdout)
		}
	}
	c.env["SPS_CONFIG"] = writeFile(t, "config.yaml", "appliances:\n  lab: {host: a}\n  prod: {host: b}\n")
	c.want(t, out.OK, []string{"lab\nprod\n"}, "__complete", "--appliance", "")
	c.env["SPS_PASSWORD"] = "wrong"
	got := c.want(t, out.OK, []string{":4\n"}, "__complete", "firmware", "test", "")
	if strings.Contains(got.stdout, "8.0.0") {
		t.Errorf("%s", got.stdout)
	}
	for _, shell := range []string{"bash", "zsh", "fish"} {
		c.want(t, out.OK, []string{"sps"}, "completion", shell)
	}
	if n := a.Sessions(); n != 0 {
		t.Errorf("%d sessions are left", n)
	}
}
