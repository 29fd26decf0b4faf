package command

import (
	"bytes"
	"context"
	"encoding/json"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/go-sps/sps"
	"github.com/go-sps/sps/spstest"
)

// The user name and the password of the appliances in these tests.
const (
	testUser     = "operator"
	testPassword = "correct-horse-battery"
)

// outcome is the result of a run of the tool.
type outcome struct {
	status         int
	stdout, stderr string
}

// tool is the tool with environment variables and standard input.
type tool struct {
	env   map[string]string
	stdin string
}

// startAppliance starts an appliance with the user of these tests.
func startAppliance(t *testing.T, options ...spstest.Option) *spstest.Appliance {
	t.Helper()
	return spstest.NewServer(t, append([]spstest.Option{spstest.WithCredentials(testUser, testPassword)}, options...)...)
}

// reach returns a tool whose environment variables name an appliance and the user of these tests.
func reach(t *testing.T, a *spstest.Appliance) *tool {
	t.Helper()
	return &tool{env: map[string]string{
		"SPS_HOST": a.Addr(), "SPS_USERNAME": testUser, "SPS_PASSWORD": testPassword, "SPS_CA_BUNDLE": writeFile(t, "ca.pem", string(a.CA())),
		"SPS_CONFIG": writeFile(t, "config.yaml", "appliances: {}\n"),
	}}
}

// run runs the tool. The test fails if it prints a secret.
func (c *tool) run(t *testing.T, ctx context.Context, args ...string) outcome {
	t.Helper()
	var stdout, stderr bytes.Buffer
	status := Run(ctx, Env{
		Args: args, Getenv: func(name string) string { return c.env[name] },
		Stdin: strings.NewReader(c.stdin), Stdout: &stdout, Stderr: &stderr,
		Options: []sps.Option{sps.WithTimeouts(sps.Timeouts{Outcome: 200 * time.Millisecond})}, Poll: time.Millisecond,
	})
	got := outcome{status, stdout.String(), stderr.String()}
	if strings.Contains(got.stdout+got.stderr, testPassword) {
		t.Errorf("%q: the password was printed:\n%s%s", args, got.stdout, got.stderr)
	}
	return got
}

// want runs the tool, and checks its status and that its output contains the parts.
func (c *tool) want(t *testing.T, status int, parts []string, args ...string) outcome {
	t.Helper()
	got := c.run(t, t.Context(), args...)
	if got.status != status {
		t.Errorf("%q: status %d, want %d\n%s%s", args, got.status, status, got.stdout, got.stderr)
	}
	for _, part := range parts {
		if !strings.Contains(got.stdout+got.stderr, part) {
			t.Errorf("%q: no %q in\n%s%s", args, part, got.stdout, got.stderr)
		}
	}
	return got
}

// document is the JSON output of a run.
type document struct {
	Format  int    `json:"format"`
	Command string `json:"command"`
	Status  int    `json:"status"`
	Results []struct {
		Appliance string          `json:"appliance"`
		Status    int             `json:"status"`
		Result    string          `json:"result"`
		Error     *map[string]any `json:"error"`
		Data      json.RawMessage `json:"data"`
	} `json:"results"`
}

// json runs the tool with -o json, and checks the status.
func (c *tool) json(t *testing.T, status int, args ...string) document {
	t.Helper()
	got := c.want(t, status, nil, append([]string{"-o", "json"}, args...)...)
	var d document
	if err := json.Unmarshal([]byte(got.stdout), &d); err != nil {
		t.Fatalf("%q: %v in\n%s%s", args, err, got.stdout, got.stderr)
	}
	if d.Format != 1 || d.Status != status || got.status != status {
		t.Errorf("%q: format %d, status %d of %d", args, d.Format, d.Status, got.status)
	}
	return d
}

// writeFile writes a file into a new folder, and returns the name of the file.
func writeFile(t *testing.T, name, content string) string {
	t.Helper()
	name = filepath.Join(t.TempDir(), name)
	if err := os.WriteFile(name, []byte(content), 0o600); err != nil {
		t.Fatal(err)
	}
	return name
}
