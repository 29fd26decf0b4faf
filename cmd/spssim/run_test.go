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

	"github.com/google/go-cmp/cmp"
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

func TestPrintedCallsWork(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	ca, address := filepath.Join(dir, "ca.pem"), filepath.Join(dir, "address")
	p := start(t, "-ca-out", ca, "-address-out", address, "-username", "root", "-password", "it's", "-variant", "slot-id=number", "-trace")

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

	var got []string
	for line := range strings.Lines(p.out.String()) {
		if words := shellWords(line); words[0] == "curl" {
			got = append(got, call(t, client, base, words))
		}
	}
	want := []string{
		"GET /api/authentication 200", "GET /api/integrated_products 200", "GET /api/firmware 200", "GET /api/firmware/slots 200",
		"GET /api/firmware/slots/2 200", "POST /api/firmware/test 200", "DELETE /api/firmware/slots/4 200",
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("calls (-want +got):\n%s", diff)
	}
	p.stop()
	if code := <-p.code; code != exitOK {
		t.Errorf("exit code %d: %s", code, p.err.String())
	}
	if diff := cmp.Diff(strings.Join(want, "\n")+"\n", p.err.String()); diff != "" {
		t.Errorf("trace (-want +got):\n%s", diff)
	}
	left, err := filepath.Glob(filepath.Join(dir, "*"))
	if err != nil || len(left) != 2 {
		t.Errorf("files %v, error %v: want the two that were asked for", left, err)
	}
}

// call does what curl does with these words.
func call(t *testing.T, client *http.Client, base string, words []string) string {
	t.Helper()
	method, target, user, data := "", "", "", ""
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
		if data != "" {
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
	if data != "" {
		req.Header.Set("Content-Type", "application/x-www-form-urlencoded")
	}
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
		{"help", []string{"-h"}, exitOK, "usage: spssim", ""},
		{"list", []string{"-list"}, exitOK, "endpoints:\n  GET /api\n", ""},
		{"flag", []string{"-nothing"}, exitError, "", "spssim: flag provided but not defined: -nothing"},
		{"argument", []string{"now"}, exitError, "", `spssim: unexpected argument "now"`},
		{"profile", []string{"-profile", "5"}, exitError, "", `spssim: unknown profile "5": want one of 6.0`},
		{"variant", []string{"-variant", "x=y"}, exitError, "", `spssim: invalid value "x=y" for flag -variant: spstest: unknown variant "x"`},
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
