package simulate

import (
	"bytes"
	"context"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/pem"
	"io"
	"math/big"
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

// syncBuffer is a buffer that can be read while it is written.
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

// start runs spssim and waits until it has printed its usage.
func start(t *testing.T, args ...string) *program {
	t.Helper()
	ctx, cancel := context.WithCancel(t.Context())
	p := &program{stop: cancel, code: make(chan int, 1)}
	p.out.on = make(chan struct{})
	t.Cleanup(cancel)
	go func() { p.code <- Run(ctx, "spssim", args, &p.out, &p.err) }()
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

// These constants contain the results of the printed curl commands, in order. The command
// that joins the appliance is printed only if the appliance is not joined yet.
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
	traced := strings.NewReplacer("?product_tims=222-333-444", "", "?force=true", "").Replace(want) // the trace shows no query, because a query can be secret
	if diff := cmp.Diff(traced, p.err.String()); diff != "" {
		t.Errorf("trace (-want +got):\n%s", diff)
	}
	left, err := filepath.Glob(filepath.Join(dir, "*"))
	if err != nil || len(left) != 2 {
		t.Errorf("files %v, error %v: want the two files that the flags name", left, err)
	}
}

// exported returns the variables that the lines of output export. It checks that the
// other lines are comments or curl commands.
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

// who is a user of the simulated appliance: a name with a password, or a certificate.
type who struct {
	name, password string
	certificate    []tls.Certificate // used instead of a password
}

// ask logs in as the administrator, sends a request and returns its status code.
func ask(t *testing.T, p *program, method, path, body string) (int, error) {
	t.Helper()
	env := exported(t, p.out.String())
	status, _, err := who{name: env["SPS_USERNAME"], password: env["SPS_PASSWORD"]}.ask(t, p, method, path, body)
	return status, err
}

// ask logs in, sends a request and returns its status code and body. If the method is "" or
// the login is refused, it returns the status code and body of the login.
func (w who) ask(t *testing.T, p *program, method, path, body string) (status int, answer string, _ error) {
	t.Helper()
	env := exported(t, p.out.String())
	pool := x509.NewCertPool()
	pool.AppendCertsFromPEM([]byte(read(t, env["SPS_CA_BUNDLE"])))
	jar, err := cookiejar.New(nil)
	if err != nil {
		t.Fatal(err)
	}
	transport := &http.Transport{TLSClientConfig: &tls.Config{RootCAs: pool, Certificates: w.certificate}, DisableKeepAlives: true}
	client := &http.Client{Jar: jar, Transport: transport}
	login := "authentication"
	if w.certificate != nil {
		login += "?type=x509"
	}
	for _, call := range [][3]string{{"GET", login, ""}, {method, path, body}} {
		if call[0] == "" || status >= http.StatusBadRequest {
			break
		}
		req, err := http.NewRequestWithContext(t.Context(), call[0], "https://"+env["SPS_HOST"]+"/api/"+call[1], strings.NewReader(call[2]))
		if err != nil {
			t.Fatal(err)
		}
		if w.certificate == nil {
			req.SetBasicAuth(w.name, w.password)
		}
		resp, err := client.Do(req)
		if err != nil {
			return 0, "", err
		}
		raw, err := io.ReadAll(resp.Body)
		resp.Body.Close()
		if err != nil {
			return 0, "", err
		}
		status, answer = resp.StatusCode, string(raw)
	}
	return status, answer, nil
}

// get is like ask but fails the test if the connection breaks.
func (w who) get(t *testing.T, p *program, method, path, body string) (status int, answer string) {
	t.Helper()
	status, answer, err := w.ask(t, p, method, path, body)
	if err != nil {
		t.Fatal(err)
	}
	return status, answer
}

// TestUsers checks that the users of -user and the certificates of -client-ca can log in,
// and their rights.
func TestUsers(t *testing.T) {
	t.Parallel()
	clientCA := filepath.Join(t.TempDir(), "clients.pem")
	certificate := clientCertificates(t, clientCA)
	for name, test := range map[string]struct {
		who                 who
		login, reads, write int
	}{
		"the administrator":                {who{name: "root", password: "r"}, 200, 200, 200},
		"a user with all rights":           {who{name: "admin", password: "all"}, 200, 200, 200},
		"a user who may read":              {who{name: "viewer", password: "v:w"}, 200, 200, 403},
		"a wrong password":                 {who{name: "viewer", password: "v"}, 401, 401, 401},
		"a user without a right":           {who{name: "limited", password: "l"}, 200, 403, 403},
		"a certificate of a user":          {who{certificate: certificate("robot")}, 200, 200, 403},
		"a certificate of a viewer":        {who{certificate: certificate("viewer")}, 200, 200, 403},
		"a certificate of an unknown user": {who{certificate: certificate("somebody")}, 200, 200, 200},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			p := start(t, "-ca-out", filepath.Join(t.TempDir(), "ca.pem"), "-client-ca", clientCA, "-username", "root", "-password", "r", "-user", "admin:all",
				"-user", "viewer:v:w read-only", "-user", "limited:l none:configuration/datetime", "-user", "robot:x read-only:configuration")
			const timezone = "configuration/datetime/timezone"
			login, _ := test.who.get(t, p, "", "", "")
			reads, _ := test.who.get(t, p, "GET", timezone, "")
			write, _ := test.who.get(t, p, "PUT", timezone, `"UTC"`)
			if diff := cmp.Diff([]int{test.login, test.reads, test.write}, []int{login, reads, write}); diff != "" {
				t.Errorf("login, read and write (-want +got):\n%s", diff)
			}
		})
	}
}

// clientCertificates writes the PEM of a CA to a file, and returns a function that issues
// client certificates of the CA.
func clientCertificates(t *testing.T, caFile string) func(name string) []tls.Certificate {
	t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	ca := &x509.Certificate{
		SerialNumber: big.NewInt(1), Subject: pkix.Name{CommonName: "Clients"}, NotBefore: time.Now().Add(-time.Hour), NotAfter: time.Now().Add(time.Hour),
		IsCA: true, BasicConstraintsValid: true, KeyUsage: x509.KeyUsageCertSign,
	}
	der, err := x509.CreateCertificate(rand.Reader, ca, ca, key.Public(), key)
	if err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(caFile, pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: der}), 0o600); err != nil {
		t.Fatal(err)
	}
	return func(name string) []tls.Certificate {
		client := &x509.Certificate{
			SerialNumber: big.NewInt(2), Subject: pkix.Name{CommonName: name}, NotBefore: ca.NotBefore, NotAfter: ca.NotAfter,
			KeyUsage: x509.KeyUsageDigitalSignature, ExtKeyUsage: []x509.ExtKeyUsage{x509.ExtKeyUsageClientAuth},
		}
		der, err := x509.CreateCertificate(rand.Reader, client, ca, key.Public(), key)
		if err != nil {
			t.Fatal(err)
		}
		return []tls.Certificate{{Certificate: [][]byte{der}, PrivateKey: key}}
	}
}

func TestProducts(t *testing.T) {
	t.Parallel()
	for name, test := range map[string]struct {
		args []string
		want []string // texts that the response must contain
		not  string
	}{
		"none":                         {nil, []string{`"items":[]`}, "issues"},
		"Starling":                     {[]string{"-products", "starling"}, []string{`"Defender"`, `"RemoteAccess"`}, "issues"},
		"integrated":                   {[]string{"-products", "starling-integrated"}, []string{"https://2fa.cloud.oneidentity.com"}, "issues"},
		"passwords":                    {[]string{"-products", "passwords"}, []string{"Safeguard for Privileged Passwords"}, "Defender"},
		"joined to Starling":           {[]string{"-starling"}, []string{`"Defender"`}, "issues"},
		"joined, but without products": {[]string{"-starling", "-products", "none"}, []string{`"items":[]`}, "Defender"},
		"warning without -products":    {[]string{"-product-warning", "starling-unavailable"}, []string{"cannot be retrieved", `"Defender"`}, "Re-join"},
		"warning with -products none":  {[]string{"-product-warning", "starling-credentials-invalid", "-products", "none"}, []string{"Re-join", `"items":[]`}, "Defender"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			p := start(t, append(test.args, "-ca-out", filepath.Join(t.TempDir(), "ca.pem"))...)
			status, answer := who{name: "admin", password: "a"}.get(t, p, "GET", "integrated_products", "")
			for _, want := range test.want {
				if status != http.StatusOK || !strings.Contains(answer, want) || strings.Contains(answer, test.not) {
					t.Errorf("status %d, %s: want %s and not %s", status, answer, want, test.not)
				}
			}
		})
	}
}

func TestTestSummary(t *testing.T) {
	t.Parallel()
	p := start(t, "-ca-out", filepath.Join(t.TempDir(), "ca.pem"), "-slot", "5=9.1.0:tainted",
		"-test-summary", `2=HA check started\nDisk check failed: a=b`, "-test-summary", "5=Of its own")
	for slot, want := range map[string]string{
		"2": `"exit_code":1,"test_summary":"HA check started\nDisk check failed: a=b"`,
		"5": `"exit_code":1,"test_summary":"Of its own"`,
		"4": `"test_summary":"HA check started\nHA check finished"`,
	} {
		if _, answer := (who{name: "admin", password: "a"}).get(t, p, "POST", "firmware/test", `{"slot_id":"`+slot+`"}`); !strings.Contains(answer, want) {
			t.Errorf("slot %s: %s, want %s", slot, answer, want)
		}
	}
}

// TestStateOfUsers checks that -state keeps the passwords and rights of users from one
// run to the next, and that -password overrides the administrator's password.
func TestStateOfUsers(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	state := filepath.Join(dir, "state.json")
	args := func(more ...string) []string {
		return append(more, "-ca-out", filepath.Join(dir, "ca.pem"), "-state", state)
	}
	for _, step := range []struct {
		name      string
		args      []string
		edit      [2]string // a text to replace in the state file before the run, and its replacement
		who       who
		login     int
		write     int
		notBefore who // a user who cannot log in
	}{
		{"first", args("-password", "first", "-user", "viewer:v read-only"), [2]string{}, who{name: "viewer", password: "v"}, 200, 403, who{name: "admin", password: "a"}},
		{"again", args(), [2]string{}, who{name: "viewer", password: "v"}, 200, 403, who{name: "admin", password: "a"}},
		{"the administrator", args(), [2]string{}, who{name: "admin", password: "first"}, 200, 200, who{name: "admin", password: "a"}},
		{"another password", args("-password", "a"), [2]string{}, who{name: "admin", password: "a"}, 200, 200, who{name: "admin", password: "first"}},
		{"another administrator", args("-username", "viewer"), [2]string{}, who{name: "viewer", password: "v"}, 200, 403, who{name: "viewer", password: "a"}},
		{"read-only", args(), [2]string{`"password": "a",
			"read_only": false`, `"password": "a",
			"read_only": true`}, who{name: "admin", password: "a"}, 200, 403, who{name: "admin", password: "first"}},
		{"rights set again", args("-user", "viewer:new full"), [2]string{}, who{name: "viewer", password: "new"}, 200, 200, who{name: "viewer", password: "v"}},
	} {
		if step.edit[0] != "" {
			content := read(t, state)
			edited := strings.Replace(content, step.edit[0], step.edit[1], 1)
			if edited == content {
				t.Fatalf("%s: the state lacks %s:\n%s", step.name, step.edit[0], content)
			}
			if err := os.WriteFile(state, []byte(edited), 0o600); err != nil {
				t.Fatal(err)
			}
		}
		p := start(t, step.args...)
		login, _ := step.who.get(t, p, "", "", "")
		write, _ := step.who.get(t, p, "PUT", "configuration/datetime/timezone", `"UTC"`)
		before, _ := step.notBefore.get(t, p, "", "", "")
		if login != step.login || write != step.write || before != http.StatusUnauthorized {
			t.Errorf("%s: statuses %d, %d, %d, want %d, %d, 401", step.name, login, write, before, step.login, step.write)
		}
		p.stop()
		if code := <-p.code; code != exitOK {
			t.Fatalf("%s: exit code %d: %s", step.name, code, p.err.String())
		}
	}
}

func TestState(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	state := filepath.Join(dir, "state.json")
	args := []string{"-ca-out", filepath.Join(dir, "ca.pem"), "-state", state}
	for _, step := range []struct{ method, path, body string }{
		{"POST", "upload/firmware", "SPS-FIRMWARE 9.0\n"}, // the image is stored in slot 3
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
		t.Errorf("files %v, error %v: want the two files that the flags name", left, err)
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
		t.Errorf("status %d, although the connection was cut", status)
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
		t.Errorf("the output has no curl command that lists the sessions: %s", out)
	}
}

// call sends the request of a curl command and returns its method, path and status code.
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
		t.Fatalf("the curl command requests %q, want a URL that starts with %s", target, base)
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

// shellWords splits a line into words like a shell, with quotes and backslashes but
// without variables.
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
		stdout string // the start of the output
		stderr string // the start of the error output
	}{
		{"remote access alone", []string{"-remote-access"}, exitError, "", "spssim: -remote-access needs -starling"},
		{"help", []string{"-h"}, exitOK, "usage: spssim", ""},
		{"list", []string{"-list"}, exitOK, "endpoints:\n  GET /api\n", ""},
		{"flag", []string{"-nothing"}, exitError, "", "spssim: flag provided but not defined: -nothing"},
		{"argument", []string{"now"}, exitError, "", `spssim: unexpected argument "now"`},
		{"profile", []string{"-profile", "5"}, exitError, "", `spssim: unknown profile "5": want one of 6.0`},
		{"user", []string{"-user", "viewer"}, exitError, "", `spssim: invalid value "viewer" for flag -user: want name:password, followed by rights such as read-only`},
		{"user without a name", []string{"-user", ":b"}, exitError, "", `spssim: invalid value ":b" for flag -user: want name:password`},
		{"no user", []string{"-user", " "}, exitError, "", `spssim: invalid value " " for flag -user: want name:password`},
		{"user, right", []string{"-user", "viewer:b write"}, exitError, "", `spssim: unknown right "write"`},
		{"user who is the administrator", []string{"-user", "admin:b read-only"}, exitError, "", "spssim: -user admin: the administrator already has this name"},
		{"client CA", []string{"-client-ca", "nowhere.pem"}, exitError, "", `spssim: invalid value "nowhere.pem" for flag -client-ca: open nowhere.pem`},
		{"client CA without a certificate", []string{"-client-ca", "simulate.go"}, exitError, "", "spssim: WithClientCA found no certificate in its PEM"},
		{"products", []string{"-products", "all"}, exitError, "", `spssim: invalid value "all" for flag -products: want one of none, passwords, starling, starling-integrated`},
		{"product warning", []string{"-product-warning", "x"}, exitError, "", `spssim: invalid value "x" for flag -product-warning: want one of starling-credentials-invalid, starling-unavailable`},
		{"test summary", []string{"-test-summary", "2"}, exitError, "", `spssim: invalid value "2" for flag -test-summary: want key=text`},
		{"test summary of an empty slot", []string{"-test-summary", "5=text"}, exitError, "", `spssim: -test-summary: slot "5" has no firmware to test`},
		{"test summary of no slot", []string{"-test-summary", "9=text"}, exitError, "", `spssim: -test-summary: slot "9" has no firmware to test`},
		{"sessions", []string{"-sessions", "-1"}, exitError, "", "spssim: number of sessions -1: want 0 to 2147483647"},
		{"trail size", []string{"-trail-size", "-1"}, exitError, "", "spssim: size of recordings -1 is not positive"},
		{"variant", []string{"-variant", "x=y"}, exitError, "", `spssim: invalid value "x=y" for flag -variant: spstest: unknown variant "x"`},
		{"fault", []string{"-fault", "GET firmware"}, exitError, "", `spssim: invalid value "GET firmware" for flag -fault: spstest: fault "GET firmware": the rule has no effect`},
		{"fault, path", []string{"-fault", "GET firmwares status=503"}, exitError, "", `spssim: fault "GET firmwares status=503": no endpoint of the appliance has the path "firmwares"`},
		{"takes", []string{"-takes", "PUT transaction"}, exitError, "", `spssim: invalid value "PUT transaction" for flag -takes: "PUT transaction": want a rule such as "PUT transaction=12s"`},
		{"takes, method", []string{"-takes", "put transaction=12s"}, exitError, "", `spssim: WithTakes: unknown method "put"`},
		{"takes, path", []string{"-takes", "PUT transactions=12s"}, exitError, "", `spssim: WithTakes: no endpoint of the appliance has the path "transactions"`},
		{"state", []string{"-state", "simulate.go"}, exitError, "", "spssim: simulate.go: state: invalid character"},
		{"state that is a directory", []string{"-state", "."}, exitError, "", "spssim: read .: is a directory"},
		{"address", []string{"-listen", "127.0.0.1:http:"}, exitError, "", "spssim: listen tcp"},
		{"file", []string{"-ca-out", filepath.Join("nowhere", "ca.pem")}, exitError, "", "spssim: open nowhere"},
	} {
		t.Run(test.name, func(t *testing.T) {
			t.Parallel()
			var stdout, stderr bytes.Buffer
			ctx, cancel := context.WithCancel(t.Context())
			cancel()
			code := Run(ctx, "spssim", test.args, &stdout, &stderr)
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
		a := spstest.NewServer(t, spstest.WithoutListener(), option)
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
