//go:build !windows

package main

import (
	"bufio"
	"bytes"
	"errors"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/go-sps/sps/spstest"
)

// TestMain runs the tool instead of the tests if a test has started this binary as a process.
func TestMain(m *testing.M) {
	if os.Getenv("SPS_TEST_MAIN") != "" {
		main()
	}
	os.Exit(m.Run())
}

// process returns the command that runs the tool as a process on an appliance, and the buffer for
// its standard error.
func process(t *testing.T, a *spstest.Appliance, args ...string) (*exec.Cmd, *bytes.Buffer) {
	t.Helper()
	ca := filepath.Join(t.TempDir(), "ca.pem")
	if err := os.WriteFile(ca, a.CA(), 0o600); err != nil {
		t.Fatal(err)
	}
	c := exec.CommandContext(t.Context(), os.Args[0], args...)
	stderr := &bytes.Buffer{}
	c.Stderr = stderr
	c.Env = append(os.Environ(), "SPS_TEST_MAIN=1", "SPS_HOST="+a.Addr(), "SPS_USERNAME="+a.Username(), "SPS_PASSWORD="+a.Password(), "SPS_CA_BUNDLE="+ca)
	return c, stderr
}

// status returns the exit status of a process.
func status(t *testing.T, err error) int {
	t.Helper()
	var exit *exec.ExitError
	switch {
	case err == nil:
		return 0
	case errors.As(err, &exit):
		return exit.ExitCode()
	}
	t.Fatal(err)
	return -1
}

// held returns an appliance that delays its response to a write of the configuration until
// release is called. It closes arrived when the request has arrived.
func held(t *testing.T) (a *spstest.Appliance, arrived chan struct{}, release func()) {
	t.Helper()
	a = spstest.NewServer(t)
	arrived, wait := make(chan struct{}), make(chan struct{})
	a.Inject(spstest.Fault{Method: "PUT", Path: "configuration/**", Mutate: func(body []byte) []byte {
		close(arrived)
		<-wait
		return body
	}})
	return a, arrived, func() { close(wait) }
}

// TestSignal checks that an interrupted change is rolled back, and that the tool logs out.
func TestSignal(t *testing.T) {
	t.Parallel()
	a, arrived, release := held(t)
	c, stderr := process(t, a, "alerts", "enable", "--all", "--channel", "email")
	if err := c.Start(); err != nil {
		t.Fatal(err)
	}
	<-arrived
	if err := c.Process.Signal(syscall.SIGTERM); err != nil {
		t.Fatal(err)
	}
	time.AfterFunc(100*time.Millisecond, release)
	if got := status(t, c.Wait()); got != 2 || !strings.Contains(stderr.String(), "interrupted") {
		t.Errorf("status %d, %s", got, stderr)
	}
	if a.LockedBy() != "" || a.Sessions() != 0 || len(a.Commits()) != 0 {
		t.Errorf("left: lock %q, %d sessions, %d commits", a.LockedBy(), a.Sessions(), len(a.Commits()))
	}
}

// TestKilled kills the tool during a change, with SIGKILL and with a second SIGTERM, and checks
// that the error of the next run explains the lock that the killed run left. It does not use SIGINT, because that signal
// may be ignored where the tests run.
func TestKilled(t *testing.T) {
	t.Parallel()
	for name, kill := range map[string]func(*os.Process) error{
		"at once": (*os.Process).Kill,
		"twice": func(p *os.Process) error {
			err := p.Signal(syscall.SIGTERM)
			for range 100 { // until a signal arrives when the tool no longer catches it
				time.Sleep(10 * time.Millisecond)
				if p.Signal(syscall.SIGTERM) != nil {
					break
				}
			}
			return err
		},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			a, arrived, release := held(t)
			defer release()
			a.Inject(spstest.Fault{Method: "DELETE", Path: "transaction", Delay: time.Minute, CutBefore: true, MayMiss: true}) // so that the rollback takes long
			c, _ := process(t, a, "alerts", "enable", "--all", "--channel", "email")
			if err := c.Start(); err != nil {
				t.Fatal(err)
			}
			<-arrived
			if err := kill(c.Process); err != nil {
				t.Fatal(err)
			}
			if got := status(t, c.Wait()); got != -1 {
				t.Errorf("status %d, want a signal", got)
			}
			a.ClearFaults()
			next, stderr := process(t, a, "alerts", "enable", "--all", "--channel", "email")
			if got := status(t, next.Run()); got != 2 || !strings.Contains(stderr.String(), "if a run that was killed left the lock") {
				t.Errorf("status %d, %s", got, stderr)
			}
		})
	}
}

// TestClosedPipe checks that the tool logs out if the reader of standard output exits.
func TestClosedPipe(t *testing.T) {
	t.Parallel()
	a := spstest.NewServer(t, spstest.WithAuditSessions(3_000))
	c, stderr := process(t, a, "-o", "jsonl", "sessions", "search")
	stdout, err := c.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := c.Start(); err != nil {
		t.Fatal(err)
	}
	if _, err := bufio.NewReader(stdout).ReadString('\n'); err != nil {
		t.Fatal(err)
	}
	stdout.Close()
	if got := status(t, c.Wait()); got != 2 || !strings.Contains(stderr.String(), syscall.EPIPE.Error()) {
		t.Errorf("status %d, %s", got, stderr)
	}
	if n := a.Sessions(); n != 0 {
		t.Errorf("%d sessions are left", n)
	}
}

// TestProcess checks the exit status and the output of the tool as a process.
func TestProcess(t *testing.T) {
	t.Parallel()
	a := spstest.NewServer(t)
	for _, test := range []struct {
		args string
		want int
		part string
	}{
		{"firmware slots", 0, "running"},
		{"--version", 0, "sps version"},
		{"nothing", 2, ""},
		{"firmware delete 2", 2, ""}, // standard input is no terminal
	} {
		c, stderr := process(t, a, strings.Fields(test.args)...)
		output, err := c.Output()
		if got := status(t, err); got != test.want || !strings.Contains(string(output), test.part) {
			t.Errorf("%s: status %d, %s%s", test.args, got, output, stderr)
		}
	}
}
