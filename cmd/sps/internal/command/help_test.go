package command

import (
	"context"
	"io"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/spf13/cobra"
	"github.com/spf13/pflag"

	"github.com/go-sps/sps/cmd/sps/internal/out"
	"github.com/go-sps/sps/spstest"
)

// leaves are the commands that do something.
func leaves(c *cobra.Command) (all []*cobra.Command) {
	for _, child := range c.Commands() {
		all = append(all, leaves(child)...)
	}
	if !c.HasSubCommands() {
		all = append(all, c)
	}
	return all
}

func newRoot() *cobra.Command {
	a := &app{Env: Env{Getenv: func(string) string { return "" }, Stdout: io.Discard, Stderr: io.Discard}}
	return a.root()
}

// TestHelp demands a description and two examples of each command, and a description of
// each flag.
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

// TestExamples runs the examples of the help.
func TestExamples(t *testing.T) {
	for _, c := range leaves(newRoot()) {
		for line := range strings.Lines(c.Example) {
			line = strings.TrimSpace(line)
			t.Run(strings.ReplaceAll(line, " ", "_"), func(t *testing.T) {
				t.Chdir(t.TempDir())
				runExample(t, line)
			})
		}
	}
}

func runExample(t *testing.T, line string) {
	a := exampleAppliance(t)
	writeExampleFiles(t, a)
	if strings.Contains(line, "Directory") {
		reach(t, a).want(t, out.OK, nil, "trust-stores", "rotate", "Directory", "--in", "old.pem", "--create")
	}
	line = strings.NewReplacer("sps1.example.com", a.Addr(), "central.example.com", a.Addr(), exampleFingerprint, a.Fingerprint(), exampleSession, recorded(a, strings.Contains(line, "srs")), "127.0.0.1:8443", "127.0.0.1:0").Replace(line)
	words := strings.Fields(line)
	if words[0] != "sps" {
		t.Fatalf("%s: not the tool", line)
	}
	ctx, cancel := context.WithCancel(t.Context())
	defer cancel()
	if words[1] == "simulate" {
		cancel() // it would serve for ever
	}
	if strings.Contains(line, "sessions follow") {
		time.AfterFunc(200*time.Millisecond, cancel)
	}
	got := reach(t, a).run(t, ctx, words[1:]...)
	if got.status > out.No {
		t.Errorf("status %d\n%s%s", got.status, got.stdout, got.stderr)
	}
}

// recorded is the key of a session with a recording.
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
