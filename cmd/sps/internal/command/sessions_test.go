package command

import (
	"bufio"
	"bytes"
	"context"
	"encoding/json"
	"io"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/go-sps/sps/cmd/sps/internal/out"
	"github.com/go-sps/sps/spstest"
)

// keys returns the sorted keys of sessions in JSON Lines.
func keys(t *testing.T, text string) (keys []string) {
	t.Helper()
	scanner := bufio.NewScanner(strings.NewReader(text))
	scanner.Buffer(nil, 1<<20)
	for scanner.Scan() {
		var session struct {
			Key string `json:"key"`
		}
		if err := json.Unmarshal(scanner.Bytes(), &session); err != nil || session.Key == "" {
			t.Fatalf("%s: %v", scanner.Text(), err)
		}
		keys = append(keys, session.Key)
	}
	slices.Sort(keys)
	return keys
}

// written returns the sorted keys of the sessions in a file.
func written(t *testing.T, name string) []string {
	t.Helper()
	data, err := os.ReadFile(name)
	if err != nil {
		t.Fatal(err)
	}
	return keys(t, string(data))
}

// ended returns the sorted keys of the sessions that have ended.
func ended(a *spstest.Appliance) (keys []string) {
	for session := range a.AuditSessions() {
		if !session.End.IsZero() {
			keys = append(keys, session.Key)
		}
	}
	slices.Sort(keys)
	return keys
}

// TestSessions checks the commands about sessions, and the errors of their flags.
func TestSessions(t *testing.T) {
	t.Parallel()
	a := startAppliance(t, spstest.WithAuditSessions(700))
	c := reach(t, a)
	got := c.want(t, out.OK, []string{"START", "PROTOCOL"}, "sessions", "search", "--limit", "3")
	if n := strings.Count(got.stdout, "\n"); n != 4 {
		t.Errorf("%d lines:\n%s", n, got.stdout)
	}
	got = c.want(t, out.OK, nil, "-o", "jsonl", "sessions", "search")
	if n := len(keys(t, got.stdout)); n != 700 {
		t.Errorf("%d sessions", n)
	}
	d := c.json(t, out.OK, "sessions", "search", "--protocol", "SSH", "--limit", "2", "--sort", "-start_time")
	if !strings.Contains(string(d.Results[0].Data), `"count": 2`) {
		t.Errorf("%s", d.Results[0].Data)
	}
	c.want(t, out.OK, []string{"None."}, "sessions", "search", "--user", "nobody-at-all")
	c.want(t, out.OK, []string{"SESSIONS\n700\n"}, "sessions", "count")
	c.want(t, out.OK, []string{"SSH", "####"}, "sessions", "stats", "--field", "protocol")
	c.want(t, out.OK, []string{"FROM", "####"}, "sessions", "histogram")
	key := recorded(a, false)
	c.want(t, out.OK, []string{key, "in the web interface: https://"}, "sessions", "show", key)
	c.want(t, out.OK, nil, "sessions", "events", key)
	c.want(t, out.OK, nil, "-o", "jsonl", "sessions", "events", key, "--alerts")
	file := filepath.Join(t.TempDir(), "x.zat")
	c.want(t, out.OK, []string{"contains the recording"}, "sessions", "download", key, file)
	c.want(t, out.Failed, []string{"already exists: name a new file"}, "sessions", "download", key, file)
	c.want(t, out.Failed, []string{"sessions download: the session nothing does not exist, or has no recording in the format zat (check the key: \"sps sessions search\" lists the keys"}, "sessions", "download", "nothing", file+"2")
	if left, _ := filepath.Glob(filepath.Join(filepath.Dir(file), ".*")); len(left) > 0 {
		t.Errorf("left: %q", left)
	}
	for _, test := range []struct{ args, want string }{
		{"search --since soon", `--since "soon" is not a time: give a duration before now`},
		{"search --checkpoint x", "--checkpoint needs -o jsonl"},
		{"search --output-file x", "--output-file needs -o jsonl, or -o csv with sessions search"},
		{"search -o jsonl --checkpoint x --limit 3", "--checkpoint excludes"},
		{"search -o jsonl --checkpoint x --output-file x", "need two files"},
		{"search --limit -1", "--limit must not be negative"},
		{"search -o yaml", "does not support -o yaml: use table, json or jsonl"},
		{"search -q ( --user x", `--query: invalid query: "(" has unbalanced`},
		{"search --user \xff", "--user: invalid query: the value for"},
		{"search --content )", "(correct the value of --content)"},
		{"search --content \xff", "--content: invalid query"},
		{"search --since 1h --until 2h", "--until: invalid query: the end"},
		{"search --field a..b", `--field: invalid query: "a..b" is not the name of a field`},
		{"search --sort -", `--sort "-" is not the name of a field`},
		{"search --sort --x", `--sort "--x" is not the name of a field`},
		{"search --sort a..b", `--sort: invalid query: "a..b"`},
		{"stats --field protocol --size -1", "--size: invalid query: the size is -1"},
		{"stats --field protocol --sub-field a..b", "--sub-field: invalid query"},
		{"search -q protocol:", "at audit/sessions (correct the value of --query)"},
		{"search --sort nonsense -q x", "(correct the value of --query or --sort)"},
		{"count -q protocol:", "(correct the value of --query)"},
		{"stats --field nonsense", "(correct the value of --field)"},
		{"histogram --bin nonsense", "(correct the value of --bin)"},
		{"stats", "--field is missing"},
		{"follow -o json", "does not support -o json: use table or jsonl"},
		{"follow --window -1s", "must not be negative"},
		{"download x y --format mp4", "neither zat nor srs"},
		{"events x --alerts --content y", "--alerts excludes"},
	} {
		c.want(t, out.Failed, []string{test.want}, append([]string{"sessions"}, strings.Fields(test.args)...)...)
	}
}

// TestMisspelt checks that a search accepts its known values in any case, and warns about a value
// or a field that is probably misspelt.
func TestMisspelt(t *testing.T) {
	t.Parallel()
	c := reach(t, startAppliance(t, spstest.WithAuditSessions(50)))
	for name, test := range map[string]struct {
		args, want string // the arguments, and a part of the warning; "" if there is no warning
	}{
		"protocol in lower case": {"search --protocol ssh --limit 1", ""},
		"verdict in lower case":  {"count --verdict accept", ""},
		"unknown protocol":       {"search --protocol SHS", `--protocol "SHS" is not one of the known values SSH, RDP`},
		"unknown verdict":        {"search --verdict Foo", `--verdict "Foo" is not one of the known values ACCEPT, AUTH_FAIL`},
		"unknown fields":         {"search --field protocol,nonsense,user.nonsense", "--field: no session in the result has nonsense, user.nonsense: check the name"},
		"known fields":           {"search --field key,protocol,user.name", ""},
		"all fields":             {"search --field *", ""},
		"no sessions":            {"search --field nonsense --user nobody-at-all", ""},
		"no limit":               {"search --limit 0", ""},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			got := c.want(t, out.OK, nil, append([]string{"sessions"}, strings.Fields(test.args)...)...)
			if strings.Count(got.stderr, "\n") > 1 || !strings.Contains(got.stderr, test.want) || test.want == "" && got.stderr != "" {
				t.Errorf("%s, want %q", got.stderr, test.want)
			}
			if strings.Contains(name, "lower case") && (strings.Contains(got.stdout, "None") || strings.HasSuffix(got.stdout, "\n0\n")) {
				t.Errorf("%s", got.stdout)
			}
		})
	}
}

// TestSessionsOfAFleet checks that the lines of several appliances have the name of the
// appliance.
func TestSessionsOfAFleet(t *testing.T) {
	t.Parallel()
	c, hosts := fleet(t, startAppliance(t, spstest.WithAuditSessions(3)), nil, startAppliance(t, spstest.WithAuditSessions(2)))
	got := c.want(t, out.Failed, []string{"the TLS handshake did not end within 50ms"}, "--hosts", c.env["HOSTS"], "--connect-timeout", "50ms", "-o", "jsonl", "sessions", "search")
	lines := strings.Split(strings.TrimSpace(got.stdout), "\n")
	if len(lines) != 5 || !strings.HasPrefix(lines[4], `{"appliance":"`+hosts[2]+`","item":{`) {
		t.Errorf("%s", got.stdout)
	}
	c.want(t, out.Failed, []string{"APPLIANCE", hosts[2]}, "--hosts", c.env["HOSTS"], "--connect-timeout", "50ms", "sessions", "search")
}

// TestCrashes interrupts an export at different requests and repeats it, and checks that the file
// has each session once.
func TestCrashes(t *testing.T) {
	t.Parallel()
	a := startAppliance(t, spstest.WithAuditSessions(1_700))
	c := reach(t, a)
	file := filepath.Join(t.TempDir(), "sessions.jsonl")
	args := []string{"-o", "jsonl", "sessions", "search", "--checkpoint", file + ".checkpoint", "--output-file", file}
	for crash := 1; ; crash++ {
		ctx, cancel := context.WithCancel(t.Context())
		a.Inject(spstest.Fault{Path: "audit/sessions", Skip: crash % 4, MayMiss: true, Mutate: func(body []byte) []byte {
			cancel() // while the response with a page is sent
			return body
		}})
		got := c.run(t, ctx, args...)
		cancel()
		a.ClearFaults()
		if got.status == out.OK {
			break
		}
		if !strings.Contains(got.stderr, "interrupted") || crash > 20 {
			t.Fatalf("%+v", got)
		}
		// A crash may leave an incomplete line that was not saved.
		left, err := os.OpenFile(file, os.O_APPEND|os.O_WRONLY, 0)
		if err != nil {
			t.Fatal(err)
		}
		if _, err := left.WriteString("{\"key\":\"half"); err != nil {
			t.Fatal(err)
		}
		left.Close()
		a.AddAuditSession(spstest.AuditSession{Start: time.Now(), End: time.Now()})
	}
	if want, got := ended(a), written(t, file); !slices.Equal(want, got) {
		t.Errorf("%d sessions, want %d", len(got), len(want))
	}
	a.AddAuditSession(spstest.AuditSession{Start: time.Now(), End: time.Now()})
	c.want(t, out.OK, []string{"1 sessions were written"}, args...)
	c.want(t, out.Failed, []string{"belongs to an output file"}, "-o", "jsonl", "sessions", "search", "--checkpoint", file+".checkpoint")
}

// TestCheckpointOfStandardOutput checks that two runs without an error print each session once.
func TestCheckpointOfStandardOutput(t *testing.T) {
	t.Parallel()
	a := startAppliance(t, spstest.WithAuditSessions(600))
	c := reach(t, a)
	args := []string{"-o", "jsonl", "sessions", "search", "--checkpoint", filepath.Join(t.TempDir(), "checkpoint")}
	first := c.want(t, out.OK, nil, args...)
	a.AddAuditSession(spstest.AuditSession{Start: time.Now(), End: time.Now()})
	second := c.want(t, out.OK, nil, args...)
	got := append(keys(t, first.stdout), keys(t, second.stdout)...)
	slices.Sort(got)
	if !slices.Equal(ended(a), got) || strings.Count(second.stdout, "\n") != 1 {
		t.Errorf("%d sessions, want %d; the second run has\n%s", len(got), len(ended(a)), second.stdout)
	}
	c.want(t, out.Failed, []string{"checkpoint"}, append(args, "--protocol", "SSH")...)
}

// TestFollow checks that sessions follow prints a new session, and has the status 0 after an
// interrupt.
func TestFollow(t *testing.T) {
	t.Parallel()
	a := startAppliance(t, spstest.WithAuditSessions(5))
	c := reach(t, a)
	ctx, cancel := context.WithCancel(t.Context())
	defer cancel()
	reader, writer := io.Pipe()
	status := make(chan int, 1)
	go func() {
		defer writer.Close()
		status <- Run(ctx, Env{
			Args: []string{"sessions", "follow"}, Getenv: func(name string) string { return c.env[name] },
			Stdin: strings.NewReader(""), Stdout: writer, Stderr: io.Discard, Poll: time.Millisecond,
		})
	}()
	lines := bufio.NewScanner(reader)
	for range 1 + len(ended(a)) {
		if !lines.Scan() {
			t.Fatal("the output ended")
		}
	}
	key := a.AddAuditSession(spstest.AuditSession{Start: time.Now(), End: time.Now()})
	if !lines.Scan() || !strings.Contains(lines.Text(), key) {
		t.Errorf("%q, want %s", lines.Text(), key)
	}
	cancel()
	if got := <-status; got != out.OK {
		t.Errorf("status %d", got)
	}
	if n := a.Sessions(); n != 0 {
		t.Errorf("%d sessions are left", n)
	}
}

// TestForeignFiles checks that files that no earlier run has written are refused and stay
// unchanged.
func TestForeignFiles(t *testing.T) {
	t.Parallel()
	c := reach(t, startAppliance(t, spstest.WithAuditSessions(3)))
	for name, test := range map[string]struct{ file, checkpoint, want string }{
		"no checkpoint":   {"x", "", "but its checkpoint"},
		"torn":            {"", `{"length":0,"check`, "is not a checkpoint of this tool"},
		"shorter":         {"x", `{"length":7,"checkpoint":{}}`, "is shorter than its checkpoint"},
		"negative":        {"x", `{"length":-7,"checkpoint":{}}`, "is not a checkpoint"},
		"without its own": {"x", `{"length":1,"checkpoint":{}}`, "cannot be used"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			file := filepath.Join(t.TempDir(), "out")
			for name, content := range map[string]string{file: test.file, file + ".c": test.checkpoint} {
				if content != "" && os.WriteFile(name, []byte(content), 0o600) != nil {
					t.Fatal(name)
				}
			}
			c.want(t, out.Failed, []string{test.want}, "-o", "jsonl", "sessions", "search", "--output-file", file, "--checkpoint", file+".c")
			if data, _ := os.ReadFile(file); !bytes.Equal(data, []byte(test.file)) {
				t.Errorf("the file has %q now", data)
			}
		})
	}
}
