package examples

import (
	"bytes"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
)

// TestExamples runs each example without arguments, so that it uses a simulated appliance. It
// checks that each example succeeds, prints something, and is one file of at most 100 lines
// that does not import internal packages.
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
				t.Error("it imports an internal package")
			}
			files, _ := filepath.Glob(filepath.Join(folder, "*.go"))
			if len(files) > 1 && folder != "tracing" {
				t.Errorf("it has the files %q", files)
			}
			if _, err := os.Stat(filepath.Join(folder, "go.mod")); err == nil {
				return // a separate module, which has its own test
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
