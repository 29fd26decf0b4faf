package examples

import (
	"bytes"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
)

// TestExamples runs each example without arguments, on the simulated appliance, and looks
// whether it is one file of at most 100 lines that needs nothing but the module.
func TestExamples(t *testing.T) {
	t.Parallel()
	folders, err := filepath.Glob("*/main.go")
	if err != nil {
		t.Fatal(err)
	}
	for _, name := range folders {
		folder := filepath.Dir(name)
		t.Run(folder, func(t *testing.T) {
			t.Parallel()
			content, err := os.ReadFile(name)
			if err != nil {
				t.Fatal(err)
			}
			if n := bytes.Count(content, []byte("\n")); n > 100 {
				t.Errorf("it has %d lines", n)
			}
			if bytes.Contains(content, []byte("/internal/")) {
				t.Error("it imports something internal")
			}
			files, _ := filepath.Glob(filepath.Join(folder, "*.go"))
			if len(files) > 1 && folder != "tracing" {
				t.Errorf("it has the files %q", files)
			}
			if _, err := os.Stat(filepath.Join(folder, "go.mod")); err == nil {
				return // a module of its own, with a test of its own
			}
			command := exec.CommandContext(t.Context(), "go", "run", "./"+folder)
			command.Env = append(os.Environ(), "SPS_HOST=")
			output, err := command.CombinedOutput()
			if err != nil || len(strings.TrimSpace(string(output))) == 0 {
				t.Errorf("%v:\n%s", err, output)
			}
		})
	}
	if len(folders) != 6 {
		t.Errorf("%d examples", len(folders))
	}
}
