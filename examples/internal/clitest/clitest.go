// Package clitest is what the tests of the example programs have in common: a run
// of a program, an appliance for it, and the flags that lead from the one to the
// other.
package clitest

import (
	"bytes"
	"context"
	"flag"
	"io"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/go-sps/sps/spstest"
)

// The user that the appliances of these tests know.
const (
	Username = "operator"
	Password = "correct-horse-battery"
)

// Program is a program to test.
type Program struct {
	Main   func(ctx context.Context, args []string, getenv func(string) string, stdout, stderr io.Writer) int
	Hidden []string // what no run may print, beside the passwords
}

// Outcome is what a run of a program comes to.
type Outcome struct {
	Status         int
	Stdout, Stderr string
}

// Run runs the program with Password in its environment.
func (p Program) Run(t *testing.T, ctx context.Context, args ...string) Outcome {
	t.Helper()
	return p.RunWithPassword(t, ctx, Password, args...)
}

// RunWithPassword runs the program with a password in its environment, or without
// one if it is empty. The test fails if the program prints a secret.
func (p Program) RunWithPassword(t *testing.T, ctx context.Context, password string, args ...string) Outcome {
	t.Helper()
	getenv := func(name string) string {
		if name == "SPS_PASSWORD" {
			return password
		}
		return ""
	}
	var stdout, stderr bytes.Buffer
	status := p.Main(ctx, args, getenv, &stdout, &stderr)
	got := Outcome{status, stdout.String(), stderr.String()}
	for _, secret := range append([]string{Password, password}, p.Hidden...) {
		if secret != "" && strings.Contains(got.Stdout+got.Stderr, secret) {
			t.Errorf("the secret %q was printed:\n%s%s", secret, got.Stdout, got.Stderr)
		}
	}
	return got
}

// RunTests runs the tests of a program, more of them at once than there are processors:
// most of their time they wait.
func RunTests(m *testing.M) int {
	flag.Parse()
	given := false
	flag.Visit(func(f *flag.Flag) { given = given || f.Name == "test.parallel" })
	if !given {
		if err := flag.Set("test.parallel", "8"); err != nil {
			panic(err)
		}
	}
	return m.Run()
}

// Start starts an appliance that knows the user of these tests.
func Start(t *testing.T, options ...spstest.Option) *spstest.Appliance {
	t.Helper()
	return spstest.NewServer(t, append([]spstest.Option{spstest.WithCredentials(Username, Password)}, options...)...)
}

// Reach gives the flags that reach an appliance, and adds others.
func Reach(t *testing.T, a *spstest.Appliance, more ...string) []string {
	t.Helper()
	return append([]string{"-appliance", a.Addr(), "-username", Username, "-ca", File(t, a.CA())}, more...)
}

// File writes a file of its own folder, and gives its name.
func File(t *testing.T, content ...[]byte) string {
	t.Helper()
	name := filepath.Join(t.TempDir(), "file")
	if err := os.WriteFile(name, bytes.Join(content, nil), 0o600); err != nil {
		t.Fatal(err)
	}
	return name
}
