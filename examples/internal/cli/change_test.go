package cli

import (
	"errors"
	"flag"
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/go-sps/sps"
	"github.com/go-sps/sps/spstest"
)

func TestChange(t *testing.T) {
	t.Parallel()
	for _, test := range []struct {
		args    []string
		changes bool
		options int
		want    string // the faults
	}{
		{nil, false, 0, ""},
		{nil, true, 0, ""},
		{[]string{"-dry-run"}, false, 0, "-dry-run needs something to change"},
		{[]string{"-message", "x", "-wait", "1m"}, false, 2, "-message needs something to change; -wait needs something to change"},
		{[]string{"-message", "x", "-wait", "1m", "-dry-run"}, true, 2, ""},
		{[]string{"-wait", "-1s"}, true, 0, "-wait must not be negative"},
	} {
		var c Change
		flags := flag.NewFlagSet("program", flag.ContinueOnError)
		c.Define(flags)
		if err := flags.Parse(test.args); err != nil {
			t.Fatal(err)
		}
		if d := cmp.Diff(test.want, strings.Join(c.Check(flags, test.changes), "; ")); d != "" {
			t.Errorf("%q: faults (-want +got):\n%s", test.args, d)
		}
		if n := len(c.Options()); n != test.options {
			t.Errorf("%q: %d options, want %d", test.args, n, test.options)
		}
	}
}

func TestReason(t *testing.T) {
	t.Parallel()
	for _, test := range []struct {
		err  error
		want string
	}{
		{errors.New("one\ntwo\x1b[2J"), "one two[2J"},
		{fmt.Errorf("x: %w", sps.ErrLocked), "x: the configuration is locked (somebody else is changing the configuration; -wait says how long to wait for them)"},
		{sps.ErrCommitMessageRequired, "the appliance requires a commit message (give one with -message)"},
		{fmt.Errorf("x: %w", sps.Unauthorized), "x: Unauthorized (the user lacks the right to do this)"},
	} {
		if got := Reason(test.err); got != test.want {
			t.Errorf("Reason(%q) = %q, want %q", test.err, got, test.want)
		}
	}
}

func TestTarget(t *testing.T) {
	t.Parallel()
	none := func(string) string { return "" }
	for _, test := range []struct {
		c    Connection
		want string
	}{
		{Connection{Appliance: "sps1", Username: "u"}, "no password"},
		{Connection{Appliance: "sps1", Username: "u", PasswordFile: "testdata/none"}, "-password-file: open"},
	} {
		if _, err := test.c.Target("program", none); err == nil || !strings.Contains(err.Error(), test.want) {
			t.Errorf("%+v: error %v, want %q", test.c, err, test.want)
		}
	}
	c := Connection{Appliance: "sps1", Username: "u", CAFile: "testdata/none"}
	if _, err := c.Target("program", func(string) string { return "p" }); err == nil || !strings.Contains(err.Error(), "-ca: open") {
		t.Errorf("a CA that does not exist gives %v", err)
	}
	c.CAFile = ""
	if got, err := c.Target("program", func(string) string { return "p" }); err != nil || got.Host != "sps1" || got.Credential == nil {
		t.Errorf("target %+v, error %v", got, err)
	}
}

func TestSimulated(t *testing.T) {
	t.Parallel()
	a := spstest.NewServer(t)
	target := Simulated(a)
	client, err := sps.Connect(t.Context(), target.Host, target.Credential, target.Options...)
	if err != nil {
		t.Fatal(err)
	}
	if err := client.Close(t.Context()); err != nil {
		t.Fatal(err)
	}
}

func TestPrintJSON(t *testing.T) {
	t.Parallel()
	var got strings.Builder
	if err := PrintJSON(&got, struct {
		Text string        `json:"text"`
		Time time.Duration `json:"time"`
	}{"a<b", 1}); err != nil {
		t.Fatal(err)
	}
	if d := cmp.Diff("{\n  \"text\": \"a<b\",\n  \"time\": 1\n}\n", got.String()); d != "" {
		t.Errorf("JSON (-want +got):\n%s", d)
	}
}
