package command

import (
	"context"
	"encoding/json"
	"fmt"
	"io"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/spf13/cobra"
	"github.com/spf13/pflag"

	"github.com/go-sps/sps/cmd/sps/internal/out"
	"github.com/go-sps/sps/spstest"
)

// leaves returns the commands without subcommands.
func leaves(c *cobra.Command) (all []*cobra.Command) {
	for _, child := range c.Commands() {
		all = append(all, leaves(child)...)
	}
	if !c.HasSubCommands() {
		all = append(all, c)
	}
	return all
}

// newRoot returns the root command without an environment.
func newRoot() *cobra.Command {
	a := &app{Env: Env{Getenv: func(string) string { return "" }, Stdout: io.Discard, Stderr: io.Discard}}
	return a.root()
}

// TestHelp checks that each command has a description and two examples, and that each flag has a
// description.
func TestHelp(t *testing.T) {
	t.Parallel()
	for _, c := range leaves(newRoot()) {
		if c.Short == "" || c.Long == "" || strings.Count(c.Example, "sps ") < 2 {
			t.Errorf("%s lacks a description or two examples", c.CommandPath())
		}
		c.LocalFlags().VisitAll(func(f *pflag.Flag) {
			if f.Usage == "" {
				t.Errorf("%s: --%s is not described", c.CommandPath(), f.Name)
			}
		})
	}
}

// TestSimulateHelp checks that the help of simulate lists its own flags, and no flag that it
// refuses.
func TestSimulateHelp(t *testing.T) {
	t.Parallel()
	got := (&tool{env: map[string]string{}}).want(t, out.OK, []string{"--slot", "--listen"}, "simulate", "--help")
	if strings.Contains(got.stdout, "Global Flags") || strings.Contains(got.stdout, "--hosts") {
		t.Errorf("%s", got.stdout)
	}
}

// TestExamples runs the examples of the help, and checks that their data has the members that the
// reference lists.
func TestExamples(t *testing.T) {
	for _, c := range leaves(newRoot()) {
		for line := range strings.Lines(c.Example) {
			line = strings.TrimSpace(line)
			t.Run(strings.ReplaceAll(line, " ", "_"), func(t *testing.T) {
				t.Chdir(t.TempDir())
				runExample(t, line)
				if data := c.Annotations[dataAnnotation]; data != "" && !strings.Contains(line, "--checkpoint") {
					t.Chdir(t.TempDir())
					compareData(t, data, runExample(t, line+" -o json"))
				}
			})
		}
	}
}

// runExample runs an example of the help on a simulated appliance.
func runExample(t *testing.T, line string) outcome {
	a := exampleAppliance(t)
	writeExampleFiles(t, a)
	if strings.Contains(line, "Directory") {
		reach(t, a).want(t, out.OK, nil, "trust-stores", "rotate", "Directory", "--in", "old.pem", "--create")
	}
	line = strings.NewReplacer("sps1.example.com", a.Addr(), "central.example.com", a.Addr(), exampleFingerprint, a.Fingerprint(), exampleSession, recorded(a, strings.Contains(line, "srs")), "127.0.0.1:8443", "127.0.0.1:0").Replace(line)
	line, _, _ = strings.Cut(line, " >") // without the redirection of the shell
	words := strings.Fields(line)
	if words[0] != "sps" {
		t.Fatalf("%s: not the tool", line)
	}
	ctx, cancel := context.WithCancel(t.Context())
	defer cancel()
	if words[1] == "simulate" {
		cancel() // otherwise the command does not end
	}
	if strings.Contains(line, "sessions follow") {
		time.AfterFunc(200*time.Millisecond, cancel)
	}
	got := reach(t, a).run(t, ctx, words[1:]...)
	if got.status > out.No {
		t.Errorf("status %d\n%s%s", got.status, got.stdout, got.stderr)
	}
	return got
}

// compareData checks that the data of a run has the members that the reference shows, and that
// its lists are not null.
func compareData(t *testing.T, shown string, got outcome) {
	t.Helper()
	var want any
	if err := json.Unmarshal([]byte(shown), &want); err != nil {
		t.Fatal(err)
	}
	var d document
	if err := json.Unmarshal([]byte(got.stdout), &d); err != nil {
		if strings.Contains(got.stdout, "{\"body\"") || got.stdout == "" {
			return // the example prints JSON Lines, or writes a file
		}
		t.Fatalf("%v in %s", err, got.stdout)
	}
	for _, r := range d.Results {
		var data any
		if err := json.Unmarshal(r.Data, &data); err != nil {
			t.Fatalf("%v in %s", err, r.Data)
		}
		compareShape(t, "data", want, data)
	}
}

// compareShape checks that got has the same members as shown, the value in the reference, and
// lists in the same places.
func compareShape(t *testing.T, place string, shown, got any) {
	t.Helper()
	switch shown := shown.(type) {
	case []any:
		list, ok := got.([]any)
		if !ok {
			t.Errorf("%s is %v, want a list", place, got)
		}
		for i, element := range list {
			if len(shown) > 0 {
				compareShape(t, fmt.Sprintf("%s[%d]", place, i), shown[0], element)
			}
		}
	case map[string]any:
		members, ok := got.(map[string]any)
		if _, open := shown["…"]; open || !ok || len(shown) == 0 {
			return // the appliance chooses the members
		}
		for _, name := range slices.Sorted(maps.Keys(shown)) {
			member, ok := members[name]
			switch {
			case ok:
				compareShape(t, place+"."+name, shown[name], member)
			case name != "below":
				t.Errorf("%s has no member %q", place, name)
			}
		}
		for name := range members {
			if _, ok := shown[name]; !ok {
				t.Errorf("%s has the member %q, which the reference lacks", place, name)
			}
		}
	}
}

// recorded returns the key of a session with a recording.
func recorded(a *spstest.Appliance, srs bool) string {
	format := "zat"
	if srs {
		format = "srs"
	}
	for session := range a.AuditSessions() {
		if _, _, ok := a.AuditTrail(session.Key, format); ok && session.End.IsZero() == srs {
			return session.Key
		}
	}
	return "none"
}

// exampleAppliance starts an appliance on which the examples of the help work.
func exampleAppliance(t *testing.T) *spstest.Appliance {
	a := startAppliance(t, spstest.WithSlots(
		spstest.Slot{Key: "1", Version: "7.4.0", Current: true, AfterReboot: true},
		spstest.Slot{Key: "2", Version: "8.0.0"},
		spstest.Slot{Key: "3", Version: "7.0.5"},
		spstest.Slot{Key: "4"},
	), spstest.WithAuditSessions(50), spstest.WithCluster(), spstest.WithFetchPolls(0))
	a.SetStarling(spstest.Starling{Joined: strings.Contains(t.Name(), "unjoin") || strings.Contains(t.Name(), "remote-access")})
	a.ServeImage("https://example.com/sps.iso", "8.1.0", demoSHA256)
	return a
}

// writeExampleFiles writes the files that the examples of the help read.
func writeExampleFiles(t *testing.T, a *spstest.Appliance) {
	if strings.Contains(t.Name(), "_diff_") {
		for _, folder := range []string{"monday", "friday"} {
			reach(t, a).want(t, out.OK, nil, "config", "export", folder)
		}
	}
	for name, content := range map[string]string{
		"hosts.txt":      a.Addr() + "\n",
		"sps-8.1.0.iso":  "SPS-FIRMWARE 8.1.0\n",
		"timezone.json":  `"UTC"`,
		"credential.txt": "credential\n",
		"new.pem":        string(makeCA(t, "New", time.Now().AddDate(10, 0, 0))),
		"old.pem":        string(makeCA(t, "Old", time.Now().AddDate(0, 0, 7))),
	} {
		if err := os.WriteFile(filepath.Clean(name), []byte(content), 0o600); err != nil {
			t.Fatal(err)
		}
	}
}
