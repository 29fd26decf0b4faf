package command

import (
	"io"
	"os"
	"path/filepath"
	"strings"
	"testing"

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
	t.Chdir(t.TempDir())
	for _, c := range leaves(newRoot()) {
		for line := range strings.Lines(c.Example) {
			line = strings.TrimSpace(line)
			t.Run(strings.ReplaceAll(line, " ", "_"), func(t *testing.T) {
				runExample(t, line)
			})
		}
	}
}

func runExample(t *testing.T, line string) {
	a := exampleAppliance(t)
	writeExampleFiles(t, a)
	line = strings.NewReplacer("sps1.example.com", a.Addr(), "central.example.com", a.Addr()).Replace(line)
	words := strings.Fields(line)
	if words[0] != "sps" {
		t.Fatalf("%s: not the tool", line)
	}
	got := reach(t, a).run(t, t.Context(), words[1:]...)
	if got.status > out.No {
		t.Errorf("status %d\n%s%s", got.status, got.stdout, got.stderr)
	}
}

func exampleAppliance(t *testing.T) *spstest.Appliance {
	a := startAppliance(t, spstest.WithSlots(
		spstest.Slot{Key: "1", Version: "7.4.0", Current: true, AfterReboot: true},
		spstest.Slot{Key: "2", Version: "8.0.0"},
		spstest.Slot{Key: "3", Version: "7.0.5"},
		spstest.Slot{Key: "4"},
	), spstest.WithAuditSessions(50), spstest.WithCluster(), spstest.WithFetchPolls(0))
	a.ServeImage("https://example.com/sps.iso", "8.1.0", demoSHA256)
	return a
}

func writeExampleFiles(t *testing.T, a *spstest.Appliance) {
	for name, content := range map[string]string{
		"hosts.txt":     a.Addr() + "\n",
		"sps-8.1.0.iso": "SPS-FIRMWARE 8.1.0\n",
		"timezone.json": `"UTC"`,
	} {
		if err := os.WriteFile(filepath.Clean(name), []byte(content), 0o600); err != nil {
			t.Fatal(err)
		}
	}
}
