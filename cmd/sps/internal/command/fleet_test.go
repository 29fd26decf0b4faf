package command

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net"
	"runtime"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/go-sps/sps"
	"github.com/go-sps/sps/cmd/sps/internal/out"
	"github.com/go-sps/sps/spstest"
)

// fleet returns a tool and a file for --hosts that names the appliances. For a nil appliance it
// uses a listener that accepts connections and sends nothing.
func fleet(t *testing.T, appliances ...*spstest.Appliance) (c *tool, hosts []string) {
	t.Helper()
	var lines strings.Builder
	for _, a := range appliances {
		if a == nil {
			listener, err := net.Listen("tcp", "127.0.0.1:0")
			if err != nil {
				t.Fatal(err)
			}
			t.Cleanup(func() { listener.Close() }) // it accepts connections and sends nothing
			hosts = append(hosts, listener.Addr().String())
			fmt.Fprintln(&lines, listener.Addr())
			continue
		}
		hosts = append(hosts, a.Addr())
		fmt.Fprintf(&lines, "%s fingerprint=%s\n", a.Addr(), a.Fingerprint())
	}
	return &tool{env: map[string]string{"SPS_USERNAME": testUser, "SPS_PASSWORD": testPassword, "HOSTS": writeFile(t, "hosts.txt", lines.String())}}, hosts
}

// TestFleet checks the output and the status of commands on several appliances, of which one
// cannot be reached.
func TestFleet(t *testing.T) {
	t.Parallel()
	c, hosts := fleet(t, startAppliance(t, withSlots()), nil, startAppliance(t), startAppliance(t))
	args := []string{"--hosts", c.env["HOSTS"], "--connect-timeout", "100ms", "--parallel", "3"}
	d := c.json(t, out.Failed, append(args, "firmware", "precheck")...)
	for i, want := range []int{out.No, out.Failed, out.OK, out.OK} {
		if r := d.Results[i]; r.Status != want || r.Appliance != hosts[i] || (r.Error != nil) != (want == out.Failed) {
			t.Errorf("result %d: %+v, want the status %d of %s", i, r, want, hosts[i])
		}
	}
	got := c.want(t, out.Failed, []string{"APPLIANCE", "error: ", "the TLS handshake did not end within 100ms", "appliances: 2 done, 1 no, 1 error"}, append(args, "firmware", "precheck")...)
	if lines := strings.Split(got.stdout, "\n"); !strings.HasPrefix(lines[0], "APPLIANCE") || !strings.HasPrefix(lines[1], hosts[0]) {
		t.Errorf("the table is\n%s", got.stdout)
	}
	got = c.want(t, out.Failed, nil, append(args, "-o", "jsonl", "info")...)
	for i, line := range strings.Split(strings.TrimSpace(got.stdout), "\n") {
		var r struct {
			Format             int
			Appliance, Command string
		}
		if err := json.Unmarshal([]byte(line), &r); err != nil || r.Appliance != hosts[i] || r.Format != 1 || r.Command != "sps info" {
			t.Errorf("line %d is %s, error %v", i, line, err)
		}
	}
	c.want(t, out.Failed, []string{`tests="4"`, `errors="1"`}, append(args, "-o", "junit", "info")...)
	c.want(t, out.Failed, []string{"results:\n- appliance: \"" + hosts[0] + "\""}, append(args, "-o", "yaml", "info")...)
	c.want(t, out.Failed, []string{"works on one appliance at a time, and 4 are named"}, append(args, "firmware", "delete", "2", "--yes")...)
	c.want(t, out.Failed, []string{"works on one appliance at a time"}, append(args, "api", "POST", "firmware/test")...)
	c.want(t, out.Failed, []string{"timezone"}, append(args, "api", "GET", "configuration/datetime/timezone")...)
}

// TestUnreachable checks the message and the advice of the error for an appliance that cannot be
// reached.
func TestUnreachable(t *testing.T) {
	t.Parallel()
	c, _ := fleet(t, nil)
	for _, test := range []struct{ name, host, message, advice string }{
		{"refused", "127.0.0.1:1", "connection refused", "check the host and the port"},
		{"silent", "", "the TLS handshake did not end within 100ms", "check the port, or give more time with --connect-timeout"},
	} {
		t.Run(test.name, func(t *testing.T) {
			t.Parallel()
			named := []string{"--host", test.host}
			if test.host == "" {
				named = []string{"--hosts", c.env["HOSTS"]}
			}
			d := c.json(t, out.Failed, append(named, "--connect-timeout", "100ms", "info")...)
			message, _ := (*d.Results[0].Error)["message"].(string)
			if !strings.HasPrefix(message, "connect: the appliance cannot be reached: ") || !strings.HasSuffix(message, test.message) {
				t.Errorf("message %s", message)
			}
			if advice := (*d.Results[0].Error)["advice"]; advice != test.advice {
				t.Errorf("advice %s", advice)
			}
			if kind := (*d.Results[0].Error)["kind"]; kind != "unavailable" {
				t.Errorf("kind %s", kind)
			}
		})
	}
}

// TestFleetFromStandardInput reads the appliances from standard input, and checks that a line is
// printed as soon as its result and all results before it are known.
func TestFleetFromStandardInput(t *testing.T) {
	t.Parallel()
	slow := startAppliance(t)
	c, hosts := fleet(t, startAppliance(t), slow)
	release := make(chan struct{})
	slow.Inject(spstest.Fault{Method: "GET", Path: "info", Mutate: func(body []byte) []byte { <-release; return body }})
	reader, writer := io.Pipe()
	status := make(chan int)
	hostsFile := strings.NewReader(hosts[0] + "\n" + hosts[1] + "\n")
	go func() {
		defer writer.Close()
		status <- Run(t.Context(), Env{
			Args: []string{"--hosts", "-", "--insecure", "-o", "jsonl", "info"}, Getenv: func(name string) string { return c.env[name] },
			Stdin: hostsFile, Stdout: writer, Stderr: io.Discard,
		})
	}()
	buffer := make([]byte, 1<<16)
	n, err := reader.Read(buffer)
	if err != nil || !strings.Contains(string(buffer[:n]), hosts[0]) {
		t.Errorf("%s, error %v", buffer[:n], err)
	}
	close(release)
	n, err = reader.Read(buffer)
	if err != nil || !strings.Contains(string(buffer[:n]), hosts[1]) {
		t.Errorf("%s, error %v", buffer[:n], err)
	}
	if got := <-status; got != out.OK {
		t.Errorf("status %d", got)
	}
}

// full is a writer that fails after a number of bytes.
type full struct {
	mu   sync.Mutex
	left int
}

func (f *full) Write(b []byte) (int, error) {
	f.mu.Lock()
	defer f.mu.Unlock()
	if len(b) > f.left {
		return 0, errors.New("no space left on device")
	}
	f.left -= len(b)
	return len(b), nil
}

// TestFullDisk checks that output that cannot be written is an error with the status 2.
func TestFullDisk(t *testing.T) {
	t.Parallel()
	a := startAppliance(t)
	c := reach(t, a)
	for _, format := range out.Formats {
		for _, room := range []int{0, 30} {
			var stderr strings.Builder
			status := Run(t.Context(), Env{
				Args: []string{"-o", format, "firmware", "slots"}, Getenv: func(name string) string { return c.env[name] },
				Stdin: strings.NewReader(""), Stdout: &full{left: room}, Stderr: &stderr,
			})
			if status != out.Failed || !strings.Contains(stderr.String(), "could not be written: no space left on device") {
				t.Errorf("%s, %d bytes: status %d, %s", format, room, status, stderr.String())
			}
		}
	}
	if n := a.Sessions(); n != 0 {
		t.Errorf("%d sessions are left", n)
	}
}

// TestInterrupt checks that an interrupted command rolls back and logs out.
func TestInterrupt(t *testing.T) {
	t.Parallel()
	a := startAppliance(t)
	c := reach(t, a)
	ctx, cancel := context.WithCancel(t.Context())
	defer cancel()
	a.Inject(spstest.Fault{Method: "PUT", Path: "configuration/**", Mutate: func(body []byte) []byte { cancel(); return body }})
	got := c.run(t, ctx, "alerts", "enable", "--all", "--channel", "email")
	if got.status != out.Failed || !strings.Contains(got.stderr, "interrupted") {
		t.Errorf("%+v", got)
	}
	if a.TransactionOpen() || a.LockedBy() != "" || a.Sessions() != 0 || len(a.Commits()) != 0 {
		t.Errorf("left: transaction %v, lock %q, %d sessions, %d commits", a.TransactionOpen(), a.LockedBy(), a.Sessions(), len(a.Commits()))
	}
}

// TestTimeouts checks the errors of --timeout and --appliance-timeout.
func TestTimeouts(t *testing.T) {
	t.Parallel()
	c, _ := fleet(t, startAppliance(t, spstest.WithTakes("GET", "firmware/slots", time.Hour)), startAppliance(t))
	c.want(t, out.Failed, []string{"stopped by --appliance-timeout after 1s", "(give more time with --appliance-timeout)", "running"}, "--hosts", c.env["HOSTS"], "--appliance-timeout", "1s", "firmware", "slots")
	c.want(t, out.Failed, []string{"stopped by --timeout after 100ms", "(give more time with --timeout)"}, "--hosts", c.env["HOSTS"], "--timeout", "100ms", "firmware", "slots")
	c.want(t, out.Failed, []string{"\"--timeout\" flag: the duration must not be negative"}, "--hosts", c.env["HOSTS"], "--timeout", "-1s", "firmware", "slots")
}

// TestDemo checks that --demo uses a simulated appliance, and excludes the flags that name an
// appliance.
func TestDemo(t *testing.T) {
	t.Parallel()
	c := &tool{env: map[string]string{"SPS_HOST": "192.0.2.1"}}
	c.want(t, out.OK, []string{"--demo: this is a simulated appliance", "passed"}, "--demo", "firmware", "precheck")
	c.want(t, out.Failed, []string{"--demo excludes --host"}, "--demo", "--host", "sps1", "info")
	c.want(t, out.Failed, []string{"--demo excludes --host"}, "--demo", "--hosts", "x", "info")
	none := &tool{env: map[string]string{"SPS_CONFIG": writeFile(t, "c.yaml", "appliances: {}")}}
	got := none.want(t, out.Failed, []string{"no appliance: give --host"}, "info")
	if got.stdout != "" {
		t.Errorf("stdout %s", got.stdout)
	}
}

// TestUsageErrors checks that errors in the command line are reported before a request is sent.
func TestUsageErrors(t *testing.T) {
	t.Parallel()
	a := startAppliance(t)
	c := reach(t, a)
	for _, test := range []struct{ args, want string }{
		{"", "Available Commands"},
		{"nothing", `unknown command "nothing" for "sps"`},
		{"firmware", "sps firmware needs one of its commands: slots, test, "},
		{"firmware nothing", `unknown command "nothing" for "sps firmware"`},
		{"info --moon", "unknown flag: --moon"},
		{"--timeout 5 info", `invalid argument "5" for "--timeout" flag: give a number with a unit, such as 90s, 2h or 7d`},
		{"--connect-timeout 5x info", `invalid argument "5x" for "--connect-timeout" flag: give a number with a unit`},
		{"sessions follow --every 5", `invalid argument "5" for "--every" flag: give a number with a unit`},
		{"info extra", `unknown command "extra" for "sps info"`},
		{"info -o xml", `--output "xml" is not a format: use one of table, json, jsonl, yaml, junit`},
		{"firmware test", `SLOT is missing: the usage is "sps firmware test SLOT..."`},
		{"config set", `PATH is missing: the usage is "sps config set PATH [MEMBER=VALUE...]"`},
		{"config diff a b c", `there are too many arguments: the usage is "sps config diff [FOLDER [FOLDER]]"`},
		{"sessions download", `KEY and FILE are missing`},
		{"api GET", `PATH is missing: the usage is "sps api METHOD PATH"`},
		{"completion", "bash|zsh|fish|powershell is missing"},
		{"completion tcsh", `"tcsh" is not a shell: use one of bash, zsh, fish, powershell`},
		{"trust", `HOST is missing: the usage is "sps trust HOST"`},
		{"infos", "unknown command \"infos\" for \"sps\": did you mean info?\n"},
		{"api FETCH info", `"FETCH" is not a method: use one of GET, POST, PUT, DELETE`},
		{"api GET info --dry-run", "--dry-run is for writes"},
		{"api GET info -q x", "does not have the form name=value"},
		{"api PUT info --data nowhere", "open nowhere"},
		{"--hosts= info", "--hosts is empty"},
		{"--username= info", "--username is empty"},
		{"--host= info", "--host is empty"},
	} {
		status := out.Failed
		if test.args == "" {
			status = out.OK
		}
		c.want(t, status, []string{test.want}, strings.Fields(test.args)...)
	}
	c.stdin = "{"
	c.want(t, out.Failed, []string{"--data: - is not valid JSON"}, "api", "PUT", "info", "--data", "-")
	if n := len(a.Journal()); n != 0 {
		t.Errorf("%d requests were sent", n)
	}
}

// TestAPI checks that sps api sends reads, writes in a transaction, and writes without one.
func TestAPI(t *testing.T) {
	t.Parallel()
	a := startAppliance(t, withSlots())
	c := reach(t, a)
	c.want(t, out.OK, []string{`"body": "America/New_York"`}, "api", "GET", "configuration/datetime/timezone")
	c.want(t, out.Failed, []string{"ResourceNotFound"}, "api", "get", "configuration/nothing")
	c.stdin = `"UTC"`
	c.want(t, out.OK, []string{"would change: replace configuration/datetime/timezone"}, "api", "PUT", "configuration/datetime/timezone", "--data", "-", "--dry-run")
	if len(a.Commits()) != 0 {
		t.Fatal("the dry run was committed")
	}
	c.want(t, out.OK, nil, "api", "PUT", "configuration/datetime/timezone", "--data", "-", "-m", "CHG")
	c.want(t, out.OK, []string{"UTC"}, "api", "GET", "configuration/datetime/timezone")
	c.stdin = `{"slot_id": "4"}`
	c.want(t, out.Failed, []string{"cannot be rolled back; leave out --dry-run"}, "api", "POST", "firmware/upgrade", "--data", "-", "--dry-run")
	c.want(t, out.OK, []string{"test_summary"}, "api", "POST", "firmware/test", "--data", "-")
	if a.Restarts() != 0 {
		t.Fatal("the dry run upgraded")
	}
	c.want(t, out.OK, []string{"/api/firmware/slots"}, "api", "GET", "/api/firmware")
	a.Inject(spstest.Fault{Method: "DELETE", Path: "firmware/slots/*", CutAfter: true})
	c.want(t, out.Unknown, []string{"check the appliance before"}, "api", "DELETE", "firmware/slots/5")
	a.ClearFaults()
}

// TestForeignText checks that control characters from an appliance are not printed.
func TestForeignText(t *testing.T) {
	t.Parallel()
	evil := "\x1b[2J\u009b2J\r\n\u202eevil" + strings.Repeat("x", 10_000)
	c := reach(t, startAppliance(t, spstest.WithSlots(
		spstest.Slot{Key: "1", Version: "7.4.0", Current: true, AfterReboot: true},
		spstest.Slot{Key: "2", Version: "8.0.0", TestFailure: &spstest.TestFailure{ExitCode: 1, Summary: evil}},
		spstest.Slot{Key: "3", Version: "9" + evil},
	)))
	for _, format := range out.Formats {
		got := c.run(t, t.Context(), "-o", format, "firmware", "precheck")
		if i := strings.IndexAny(got.stdout+got.stderr, "\x1b\u009b\r\u202e"); i >= 0 {
			t.Errorf("%s: %q", format, (got.stdout + got.stderr)[max(0, i-20):][:40])
		}
		if format == "table" && strings.Contains(got.stdout, strings.Repeat("x", 1000)+"  ") {
			t.Errorf("a long text makes the table wide")
		}
	}
}

// TestCertificates checks the errors and the flags for a certificate that is not trusted.
func TestCertificates(t *testing.T) {
	t.Parallel()
	a := startAppliance(t)
	c := reach(t, a)
	c.env["SPS_CA_BUNDLE"] = ""
	c.want(t, out.Failed, []string{strings.ToLower(strings.ReplaceAll(a.Fingerprint(), ":", ""))[:2] + ":", `"sps trust HOST"`, "--ca-bundle or --fingerprint"}, "info")
	c.want(t, out.OK, nil, "--fingerprint", a.Fingerprint(), "info")
	c.want(t, out.OK, []string{"not verified"}, "--insecure", "info")
	got := c.want(t, out.Failed, []string{"not trusted"}, "-o", "junit", "info")
	if strings.Contains(got.stdout, "With") {
		t.Errorf("the output names functions of the SDK:\n%s", got.stdout)
	}
	if !strings.Contains(got.stdout, `type="CertificateError"`) {
		t.Errorf("no type in\n%s", got.stdout)
	}
	c.env["SPS_PASSWORD"] = "wrong"
	c.want(t, out.Failed, []string{"AuthenticationFailure", "check --username"}, "--fingerprint", a.Fingerprint(), "info")
}

// TestFleetTime checks the time for 200 appliances, of which 20 cannot be reached.
func TestFleetTime(t *testing.T) {
	const number, dead, parallel, took, limit = 200, 20, 50, 200 * time.Millisecond, time.Second
	appliances := make([]*spstest.Appliance, number)
	for i := range appliances {
		if i%(number/dead) != 0 {
			appliances[i] = startAppliance(t, withSlots(), spstest.WithTakes("POST", "firmware/test", took/2))
		}
	}
	c, _ := fleet(t, appliances...)
	start := time.Now()
	c.want(t, out.Failed, nil, "--hosts", c.env["HOSTS"], "--parallel", fmt.Sprint(parallel), "--connect-timeout", limit.String(), "-o", "jsonl", "firmware", "precheck")
	bound := max(limit, ((number-dead)*took+dead*limit)/parallel)
	t.Logf("%s, with the bound %s, on %d CPUs", time.Since(start).Round(time.Millisecond), bound, runtime.NumCPU())
	if took := time.Since(start); took > 3*bound { // the target is a factor of 1.2, but CI machines are busy
		t.Errorf("it took %s, with the bound %s", took, bound)
	}
}

// TestNoFunctionNames checks that the tool prints no names of SDK functions for errors whose text
// names one.
func TestNoFunctionNames(t *testing.T) {
	t.Parallel()
	for _, err := range []error{sps.ErrLocked, sps.ErrSnapshotQuota, sps.ErrCommitMessageRequired, sps.ErrSearchInUse} {
		if words := problemOf(fmt.Errorf("x: %w; pass WithLockWait to wait for it", err)).Text(); strings.Contains(words, "With") {
			t.Errorf("%s", words)
		}
	}
	for text, want := range map[string]string{
		"the client logs in again after 5m, see WithLoginRetry":                        "the client logs in again after 5m",
		"connect again with the correct credential, or pass WithLoginRetry to send it": "connect again with the correct credential",
		"too many reads: pass WithLockFirst: x":                                        "too many reads: x",
		"it was refused; WithLoginRetry sends the same one again":                      "it was refused",
		"SemanticError (400): no; correct what Faults lists":                           "SemanticError (400): no; correct these values",
		"AuthenticationFailure (401); check the user name and the password":            "AuthenticationFailure (401)",
		"the wait has ended (see WithWaitLimit)":                                       "the wait has ended (give more time with --wait)",
	} {
		if got := message(errors.New(text)); got != want {
			t.Errorf("%q becomes %q, want %q", text, got, want)
		}
	}
}

// TestVerbose checks that --verbose logs the requests to standard error and changes nothing in
// standard output.
func TestVerbose(t *testing.T) {
	t.Parallel()
	c := reach(t, startAppliance(t))
	quiet := c.want(t, out.OK, nil, "info")
	verbose := c.want(t, out.OK, []string{`msg="sps request"`, "path=info", "status=200"}, "-v", "info")
	if quiet.stderr != "" || verbose.stdout != quiet.stdout {
		t.Errorf("without --verbose: %q, %q; with it: %q", quiet.stdout, quiet.stderr, verbose.stdout)
	}
	c.want(t, out.OK, []string{`msg="sps request"`}, "--demo", "--verbose", "info")
}
