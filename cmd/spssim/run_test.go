package main

import (
	"bytes"
	"context"
	"crypto/tls"
	"crypto/x509"
	"io"
	"net/http"
	"net/http/cookiejar"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/go-sps/sps/spstest"
)

// program is a running spssim.
type program struct {
	out, err syncBuffer
	stop     context.CancelFunc
	code     chan int
}

// syncBuffer is a buffer that may be read while it is written.
type syncBuffer struct {
	mu sync.Mutex
	b  bytes.Buffer
	on chan struct{} // closed after the first write
}

func (s *syncBuffer) Write(p []byte) (int, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.b.Len() == 0 && s.on != nil {
		defer close(s.on)
	}
	return s.b.Write(p)
}

func (s *syncBuffer) String() string {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.b.String()
}

// start runs spssim until it has printed how to use it.
func start(t *testing.T, args ...string) *program {
	t.Helper()
	ctx, cancel := context.WithCancel(t.Context())
	p := &program{stop: cancel, code: make(chan int, 1)}
	p.out.on = make(chan struct{})
	t.Cleanup(cancel)
	go func() { p.code <- run(ctx, args, &p.out, &p.err) }()
	select {
	case <-p.out.on:
	case code := <-p.code:
		t.Fatalf("spssim ended with %d: %s", code, p.err.String())
	}
	return p
}

func read(t *testing.T, name string) string {
	t.Helper()
	b, err := os.ReadFile(name)
	if err != nil {
		t.Fatal(err)
	}
	return string(b)
}

// The printed calls, in their order; the join is printed for an appliance that
// is not joined.
const (
	callsBeforeJoin = `GET /api/authentication 200
GET /api/integrated_products 200
GET /api/configuration/alerting/traffic_alerts 200
POST /api/transaction 200
PUT /api/configuration/alerting/traffic_alerts 200
PUT /api/transaction 200
GET /api/configuration/trust_stores 200
GET /api/configuration/trust_stores/-7001 200
GET /api/configuration/trust_stores/5f0b1d3e-8c52-4a7e-9d4b-6f1a2c3e4d50 200
POST /api/transaction 200
POST /api/configuration/trust_stores 201
PUT /api/configuration/trust_stores/5f0b1d3e-8c52-4a7e-9d4b-6f1a2c3e4d50 200
PUT /api/transaction 200
POST /api/transaction 200
DELETE /api/configuration/trust_stores/5f0b1d3e-8c52-4a7e-9d4b-6f1a2c3e4d50 200
PUT /api/transaction 200
GET /api/starling/join 200
GET /api/starling/join?product_tims=222-333-444 200
GET /api/starling/join 200
`
	callOfJoin     = "POST /api/starling/join 200\n"
	callsAfterJoin = `GET /api/configuration/starling 200
POST /api/transaction 200
PUT /api/configuration/starling 200
PUT /api/transaction 200
POST /api/transaction 200
PUT /api/configuration/starling 200
PUT /api/transaction 200
DELETE /api/starling/join 200
POST /api/starling/join 200
DELETE /api/starling/join?force=true 200
GET /api/firmware 200
GET /api/firmware/slots 200
GET /api/firmware/slots/2 200
POST /api/firmware/test 200
POST /api/firmware/fetch 202
GET /api/firmware/fetch 200
DELETE /api/firmware/slots/4 200
POST /api/firmware/upgrade 200
`
)

func TestPrintedCallsWork(t *testing.T) {
	t.Parallel()
	for name, test := range map[string]struct {
		args []string
		want string
	}{
		"default":  {nil, callsBeforeJoin + callOfJoin + callsAfterJoin},
		"joined":   {[]string{"-starling"}, callsBeforeJoin + callsAfterJoin},
		"access":   {[]string{"-starling", "-remote-access"}, callsBeforeJoin + callsAfterJoin},
		"6.0":      {[]string{"-profile", "6.0"}, callsBeforeJoin + callOfJoin + callsAfterJoin},
		"8.0":      {[]string{"-profile", "8.0"}, callsBeforeJoin + callOfJoin + callsAfterJoin},
		"variants": {[]string{"-variant", "starling-unjoin-closed=403:ForbiddenActionError", "-variant", "semantic-check=write"}, callsBeforeJoin + callOfJoin + callsAfterJoin},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			checkPrintedCalls(t, test.want, test.args...)
		})
	}
}

func checkPrintedCalls(t *testing.T, want string, args ...string) {
	t.Helper()
	dir := t.TempDir()
	ca, address := filepath.Join(dir, "ca.pem"), filepath.Join(dir, "address")
	p := start(t, append(args, "-ca-out", ca, "-address-out", address, "-username", "root", "-password", "it's", "-variant", "slot-id=number", "-trace")...)

	pool := x509.NewCertPool()
	if !pool.AppendCertsFromPEM([]byte(read(t, ca))) {
		t.Fatal("-ca-out holds no PEM")
	}
	jar, err := cookiejar.New(nil)
	if err != nil {
		t.Fatal(err)
	}
	transport := &http.Transport{TLSClientConfig: &tls.Config{RootCAs: pool}}
	t.Cleanup(transport.CloseIdleConnections)
	client := &http.Client{Jar: jar, Transport: transport}
	base := "https://" + strings.TrimSpace(read(t, address))

	got := ""
	for line := range strings.Lines(p.out.String()) {
		if words := shellWords(line); words[0] == "curl" {
			got += call(t, client, base, words) + "\n"
		}
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("calls (-want +got):\n%s", diff)
	}
	p.stop()
	if code := <-p.code; code != exitOK {
		t.Errorf("exit code %d: %s", code, p.err.String())
	}
	traced := strings.NewReplacer("?product_tims=222-333-444", "", "?force=true", "").Replace(want) // a query may be secret
	if diff := cmp.Diff(traced, p.err.String()); diff != "" {
		t.Errorf("trace (-want +got):\n%s", diff)
	}
	left, err := filepath.Glob(filepath.Join(dir, "*"))
	if err != nil || len(left) != 2 {
		t.Errorf("files %v, error %v: want the two that were asked for", left, err)
	}
}

// exported reads the exports in the output; everything in it is one, a comment
// or a curl call.
func exported(t *testing.T, output string) map[string]string {
	t.Helper()
	set := make(map[string]string)
	for line := range strings.Lines(output) {
		if strings.HasPrefix(line, "#") || strings.HasPrefix(line, "curl ") {
			continue
		}
		words := shellWords(line)
		name, value, ok := strings.Cut(words[len(words)-1], "=")
		if len(words) != 2 || words[0] != "export" || !ok {
			t.Errorf("line %q is neither a comment nor an export", line)
		}
		set[name] = value
	}
	return set
}

func TestEnvironment(t *testing.T) {
	t.Parallel()
	address := filepath.Join(t.TempDir(), "address")
	env := filepath.Join(t.TempDir(), "env")
	p := start(t, "-address-out", address, "-env-out", env, "-username", "a b", "-password", "it's $HOME #")
	got := exported(t, p.out.String())
	if diff := cmp.Diff(got, exported(t, read(t, env))); diff != "" || strings.Contains(read(t, env), "curl") {
		t.Errorf("-env-out (-printed +written):\n%s", diff)
	}
	want := map[string]string{"SPS_HOST": strings.TrimSpace(read(t, address)), "SPS_USERNAME": "a b", "SPS_PASSWORD": "it's $HOME #", "SPS_FINGERPRINT": got["SPS_FINGERPRINT"]}
	if diff := cmp.Diff(want, got); diff != "" || len(got["SPS_FINGERPRINT"]) != 64 {
		t.Errorf("environment (-want +got):\n%s", diff)
	}
	ca := filepath.Join(t.TempDir(), "ca.pem")
	got = exported(t, start(t, "-ca-out", ca).out.String())
	if _, pinned := got["SPS_FINGERPRINT"]; pinned || got["SPS_CA_BUNDLE"] != ca {
		t.Errorf("environment %v, want the CA in %s", got, ca)
	}
}

// ask sends a request with the administrator's credentials, after a login.
func ask(t *testing.T, p *program, method, path, body string) (int, error) {
	t.Helper()
	env := exported(t, p.out.String())
	pem, err := os.ReadFile(env["SPS_CA_BUNDLE"])
	if err != nil {
		t.Fatal(err)
	}
	pool := x509.NewCertPool()
	pool.AppendCertsFromPEM(pem)
	jar, err := cookiejar.New(nil)
	if err != nil {
		t.Fatal(err)
	}
	transport := &http.Transport{TLSClientConfig: &tls.Config{RootCAs: pool}, DisableKeepAlives: true}
	client := &http.Client{Jar: jar, Transport: transport}
	for _, call := range [][3]string{{"GET", "authentication"}, {method, path, body}} {
		req, err := http.NewRequestWithContext(t.Context(), call[0], "https://"+env["SPS_HOST"]+"/api/"+call[1], strings.NewReader(call[2]))
		if err != nil {
			t.Fatal(err)
		}
		req.SetBasicAuth(env["SPS_USERNAME"], env["SPS_PASSWORD"])
		resp, err := client.Do(req)
		if err != nil {
			return 0, err
		}
		resp.Body.Close()
		if call[1] == path {
			return resp.StatusCode, nil
		}
	}
	return 0, nil
}

func TestState(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	state := filepath.Join(dir, "state.json")
	args := []string{"-ca-out", filepath.Join(dir, "ca.pem"), "-state", state}
	for _, step := range []struct{ method, path, body string }{
		{"POST", "upload/firmware", "SPS-FIRMWARE 9.0\n"}, // into slot 3
		{"DELETE", "firmware/slots/2", ""},
		{"POST", "firmware/test", `{"slot_id":3}`},
	} {
		p := start(t, args...)
		if status, err := ask(t, p, step.method, step.path, step.body); status != http.StatusOK {
			t.Errorf("%s %s: status %d, error %v", step.method, step.path, status, err)
		}
		p.stop()
		if code := <-p.code; code != exitOK {
			t.Fatalf("exit code %d: %s", code, p.err.String())
		}
		info, err := os.Stat(state)
		if err != nil || info.Mode().Perm() != 0o600 {
			t.Errorf("mode %v, error %v", info.Mode(), err)
		}
	}
	if content := read(t, state); !strings.Contains(content, `"version": "9.0"`) || strings.Contains(content, `"version": "8.0.0"`) {
		t.Errorf("state %s", content)
	}
	left, err := filepath.Glob(filepath.Join(dir, "*"))
	if err != nil || len(left) != 2 {
		t.Errorf("files %v, error %v: want the two that were asked for", left, err)
	}
}

func TestFaults(t *testing.T) {
	t.Parallel()
	p := start(t, "-ca-out", filepath.Join(t.TempDir(), "ca.pem"), "-fault", "GET firmware/** status=418", "-fault", "POST firmware/test cut-after")
	for _, want := range []int{http.StatusTeapot, http.StatusOK} {
		if status, err := ask(t, p, "GET", "firmware/slots", ""); status != want {
			t.Errorf("status %d, error %v, want %d", status, err, want)
		}
	}
	if status, err := ask(t, p, "POST", "firmware/test", `{"slot_id":2}`); err == nil {
		t.Errorf("status %d of a connection that is cut", status)
	}
}

func TestMissedFaults(t *testing.T) {
	t.Parallel()
	p := start(t, "-ca-out", filepath.Join(t.TempDir(), "ca.pem"), "-fault", "GET info cut-after may-miss", "-fault", "GET  /api/setup status=503")
	p.stop()
	if code := <-p.code; code != exitOK {
		t.Errorf("exit code %d", code)
	}
	if diff := cmp.Diff("spssim: fault \"GET setup status=503\" never applied to a request\n", p.err.String()); diff != "" {
		t.Errorf("stderr (-want +got):\n%s", diff)
	}
}

func TestSessions(t *testing.T) {
	t.Parallel()
	p := start(t, "-ca-out", filepath.Join(t.TempDir(), "ca.pem"), "-profile", "6.0", "-sessions", "7", "-trail-size", "9")
	for path, want := range map[string]int{"audit/sessions?fields=*": http.StatusOK, "audit/sessions/7": http.StatusOK, "audit/sessions/8": http.StatusNotFound} {
		if status, err := ask(t, p, "GET", path, ""); status != want {
			t.Errorf("%s: status %d, error %v, want %d", path, status, err, want)
		}
	}
	if out := p.out.String(); !strings.Contains(out, "/api/audit/sessions?fields=*&limit=2'\n") {
		t.Errorf("no call for the sessions in %s", out)
	}
}

// call does what curl does with these words.
func call(t *testing.T, client *http.Client, base string, words []string) string {
	t.Helper()
	method, target, user, data := "", "", "", ""
	header := http.Header{}
	for i := 1; i < len(words); i++ {
		switch word := words[i]; word {
		case "-X":
			method = words[i+1]
			i++
		case "--user":
			user = words[i+1]
			i++
		case "--data":
			data = words[i+1]
			header.Set("Content-Type", "application/x-www-form-urlencoded")
			i++
		case "--header":
			name, value, _ := strings.Cut(words[i+1], ": ")
			header.Set(name, value)
			i++
		case "--cacert", "--cookie", "--cookie-jar", "-b":
			i++
		case "--basic":
		default:
			target = word
		}
	}
	if method == "" {
		method = http.MethodGet
		if header.Get("Content-Type") != "" {
			method = http.MethodPost
		}
	}
	path, ok := strings.CutPrefix(target, base)
	if !ok {
		t.Fatalf("call of %q, want something at %s", target, base)
	}
	req, err := http.NewRequestWithContext(t.Context(), method, target, strings.NewReader(data))
	if err != nil {
		t.Fatal(err)
	}
	req.Header = header
	if name, password, ok := strings.Cut(user, ":"); ok {
		req.SetBasicAuth(name, password)
	}
	resp, err := client.Do(req)
	if err != nil {
		t.Fatal(err)
	}
	defer resp.Body.Close()
	if _, err := io.Copy(io.Discard, resp.Body); err != nil {
		t.Fatal(err)
	}
	return method + " " + path + " " + strings.Fields(resp.Status)[0]
}

// shellWords splits a line as a shell does, as far as quotes and backslashes
// go.
func shellWords(line string) []string {
	var words []string
	var word strings.Builder
	quoted, escaped, begun := false, false, false
	for _, r := range strings.TrimSpace(line) {
		switch {
		case escaped:
			word.WriteRune(r)
			escaped = false
		case r == '\'':
			quoted, begun = !quoted, true
		case r == '\\' && !quoted:
			escaped, begun = true, true
		case r == ' ' && !quoted:
			if begun {
				words = append(words, word.String())
			}
			word.Reset()
			begun = false
		default:
			word.WriteRune(r)
			begun = true
		}
	}
	return append(words, word.String())
}

func TestRunEnds(t *testing.T) {
	t.Parallel()
	for _, test := range []struct {
		name   string
		args   []string
		code   int
		stdout string // begins with
		stderr string // begins with
	}{
		{"remote access alone", []string{"-remote-access"}, exitError, "", "spssim: -remote-access needs -starling"},
		{"help", []string{"-h"}, exitOK, "usage: spssim", ""},
		{"list", []string{"-list"}, exitOK, "endpoints:\n  GET /api\n", ""},
		{"flag", []string{"-nothing"}, exitError, "", "spssim: flag provided but not defined: -nothing"},
		{"argument", []string{"now"}, exitError, "", `spssim: unexpected argument "now"`},
		{"profile", []string{"-profile", "5"}, exitError, "", `spssim: unknown profile "5": want one of 6.0`},
		{"sessions", []string{"-sessions", "-1"}, exitError, "", "spssim: number of sessions -1: want 0 to 2147483647"},
		{"trail size", []string{"-trail-size", "-1"}, exitError, "", "spssim: size of recordings -1 is not positive"},
		{"variant", []string{"-variant", "x=y"}, exitError, "", `spssim: invalid value "x=y" for flag -variant: spstest: unknown variant "x"`},
		{"fault", []string{"-fault", "GET firmware"}, exitError, "", `spssim: invalid value "GET firmware" for flag -fault: spstest: fault "GET firmware": the rule says nothing to happen`},
		{"fault, path", []string{"-fault", "GET firmwares status=503"}, exitError, "", `spssim: fault "GET firmwares status=503": no endpoint of the appliance has the path "firmwares"`},
		{"takes", []string{"-takes", "PUT transaction"}, exitError, "", `spssim: invalid value "PUT transaction" for flag -takes: "PUT transaction" is not of the form "PUT transaction=12s"`},
		{"takes, method", []string{"-takes", "put transaction=12s"}, exitError, "", `spssim: WithTakes: unknown method "put"`},
		{"takes, path", []string{"-takes", "PUT transactions=12s"}, exitError, "", `spssim: WithTakes: no endpoint of the appliance has the path "transactions"`},
		{"state", []string{"-state", "run.go"}, exitError, "", "spssim: run.go: state: invalid character"},
		{"state that is a directory", []string{"-state", "."}, exitError, "", "spssim: read .: is a directory"},
		{"address", []string{"-listen", "127.0.0.1:http:"}, exitError, "", "spssim: listen tcp"},
		{"file", []string{"-ca-out", filepath.Join("nowhere", "ca.pem")}, exitError, "", "spssim: open nowhere"},
	} {
		t.Run(test.name, func(t *testing.T) {
			t.Parallel()
			var stdout, stderr bytes.Buffer
			ctx, cancel := context.WithCancel(t.Context())
			cancel()
			code := run(ctx, test.args, &stdout, &stderr)
			if code != test.code || !strings.HasPrefix(stdout.String(), test.stdout) || !strings.HasPrefix(stderr.String(), test.stderr) {
				t.Errorf("code %d, want %d\nstdout %q, want %q\nstderr %q, want %q", code, test.code, stdout.String(), test.stdout, stderr.String(), test.stderr)
			}
			if test.code != exitOK && strings.Count(stderr.String(), "\n") != 1 {
				t.Errorf("stderr is not one line: %q", stderr.String())
			}
		})
	}
}

func TestParseSlot(t *testing.T) {
	t.Parallel()
	for text, want := range map[string]spstest.Slot{
		"2=8.1.0":         {Key: "2", Version: "8.1.0"},
		"4=9.0.0:tainted": {Key: "4", Version: "9.0.0", TestFailure: spstest.TaintedFirmware()},
		"5=":              {Key: "5"},
	} {
		got, err := parseSlot(text)
		if err != nil {
			t.Errorf("%s: %v", text, err)
		}
		if diff := cmp.Diff(want, got); diff != "" {
			t.Errorf("%s (-want +got):\n%s", text, diff)
		}
	}
	for _, text := range []string{"", "2", "=8.0", "2=8.0:", "2=8.0:broken", "2=:tainted"} {
		if _, err := parseSlot(text); err == nil {
			t.Errorf("%q: no error", text)
		}
	}
}

func TestTakes(t *testing.T) {
	t.Parallel()
	for text, want := range map[string]int{
		"PUT transaction=1h": 0,
		"info=1h":            1,
		"GET info = 1h":      1,
	} {
		option, err := parseTakes(text)
		if err != nil {
			t.Fatalf("%q: %v", text, err)
		}
		a, err := spstest.New(option)
		if err != nil {
			t.Fatal(err)
		}
		ctx, cancel := context.WithTimeout(t.Context(), 20*time.Millisecond)
		req, err := http.NewRequestWithContext(ctx, http.MethodGet, "https://"+a.Addr()+"/api/info", http.NoBody)
		if err != nil {
			t.Fatal(err)
		}
		if resp, err := a.RoundTrip(req); err == nil {
			resp.Body.Close()
		}
		if diff := cmp.Diff(want, a.Busy()); diff != "" {
			t.Errorf("%q: busy (-want +got):\n%s", text, diff)
		}
		cancel()
		a.Close()
	}
	for _, text := range []string{"", "=1s", "info", "info=", "info=0s", "info=-1s", "info=x"} {
		if _, err := parseTakes(text); err == nil {
			t.Errorf("%q: no error", text)
		}
	}
}
