package spstest_test

import (
	"bytes"
	"crypto/sha256"
	"crypto/tls"
	"crypto/x509"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"maps"
	"net"
	"net/http"
	"runtime"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/go-sps/sps/spstest"
)

func TestCertificate(t *testing.T) {
	t.Parallel()
	a := spstest.NewServer(t)
	pool := x509.NewCertPool()
	if !pool.AppendCertsFromPEM(a.CA()) {
		t.Fatal("CA() is not PEM")
	}
	for _, name := range []string{"127.0.0.1", "::1", "localhost", "appliance.test"} {
		conn, err := tls.Dial("tcp", a.Addr(), &tls.Config{RootCAs: pool, ServerName: name})
		if err != nil {
			t.Errorf("%s: %v", name, err)
			continue
		}
		sum := sha256.Sum256(conn.ConnectionState().PeerCertificates[0].Raw)
		if diff := cmp.Diff(hex.EncodeToString(sum[:]), a.Fingerprint()); diff != "" {
			t.Errorf("%s: fingerprint (-want +got):\n%s", name, diff)
		}
		conn.Close()
	}
	var unknown x509.UnknownAuthorityError
	if _, err := overTLS(t, spstest.NewServer(t)).try("GET", "/api/info", ""); err != nil {
		t.Error(err)
	}
	stranger := overTLS(t, newInProcess(t)) // this client trusts the CA of another appliance
	stranger.base = "https://" + a.Addr()
	if _, err := stranger.try("GET", "/api/info", ""); !errors.As(err, &unknown) {
		t.Errorf("error %v with a foreign CA, want an unknown authority", err)
	}
}

// TestCertificatesInOneBundle checks that clients can connect with a bundle of so many
// CAs that crypto/x509 would not try all of them for one certificate.
func TestCertificatesInOneBundle(t *testing.T) {
	t.Parallel()
	var appliances []*spstest.Appliance
	for range 3 {
		appliances = append(appliances, spstest.NewServer(t))
	}
	var bundle []byte
	for range 150 {
		bundle = append(bundle, newInProcess(t).CA()...)
	}
	for _, a := range appliances {
		bundle = append(bundle, a.CA()...)
	}
	pool := x509.NewCertPool()
	if !pool.AppendCertsFromPEM(bundle) {
		t.Fatal("the bundle is not PEM")
	}
	subjects := map[string]bool{}
	for _, a := range appliances {
		conn, err := tls.Dial("tcp", a.Addr(), &tls.Config{RootCAs: pool})
		if err != nil {
			t.Fatal(err)
		}
		conn.Close()
		chain := conn.ConnectionState().PeerCertificates
		leaf, ca := chain[0], chain[1]
		if len(leaf.AuthorityKeyId) == 0 || !bytes.Equal(leaf.AuthorityKeyId, ca.SubjectKeyId) {
			t.Errorf("the certificate has the authority key identifier %x, and the CA is %x", leaf.AuthorityKeyId, ca.SubjectKeyId)
		}
		subjects[leaf.Subject.String()], subjects[ca.Subject.String()] = true, true
	}
	if len(subjects) != 2*len(appliances) {
		t.Errorf("subjects %v, want one for each certificate", subjects)
	}
}

func TestWithCertificate(t *testing.T) {
	t.Parallel()
	_, certificate := clientCertificate(t, "other")
	a := spstest.NewServer(t, spstest.WithCertificate(certificate))
	b := spstest.NewServer(t, spstest.WithCertificate(certificate))
	if a.Fingerprint() != b.Fingerprint() || a.Fingerprint() == spstest.NewServer(t).Fingerprint() {
		t.Error("the fingerprint differs from that of WithCertificate")
	}
}

func TestStrictPaths(t *testing.T) {
	t.Parallel()
	c := inProcess(t, newInProcess(t))
	wantError(t, c.do("GET", "/api/nowhere", ""), 401, "Unauthenticated", "/api/nowhere")
	c.logIn("admin", "a")
	wantError(t, c.do("GET", "/api/nowhere/9", ""), 404, "ResourceNotFound", map[string]any{"mount_point": "/nowhere", "resource": "9"})
	wantError(t, c.do("GET", "/api/firmware%2Fslots", ""), 404, "ResourceNotFound", map[string]any{"mount_point": "/", "resource": "firmware%2Fslots"})
	wantError(t, c.do("PATCH", "/api/firmware", "{}"), 405, "MethodNotAllowed", nil)
	c.want(404, "GET", "/", "")
	c.want(404, "GET", "/apiary", "")
	r := c.want(200, "GET", "/api/", "")
	want := map[string]string{"Allow": "GET", "Content-Language": "en", "Content-Type": "application/json"}
	for name, value := range want {
		if got := r.header.Get(name); got != value {
			t.Errorf("%s: %q, want %q", name, got, value)
		}
	}
	c.header.Set("Expect", "100-continue")
	c.want(417, "POST", "/api/transaction", "{}")
}

func TestImplementedEndpoints(t *testing.T) {
	t.Parallel()
	all := spstest.Implemented()
	for _, want := range []string{"GET /api", "GET /api/firmware/slots", "DELETE /api/firmware/slots/*", "POST /api/firmware/test",
		"GET /api/configuration", "PUT /api/configuration/management/email", "POST /api/configuration/policies/audit_policies"} {
		if !slices.Contains(all, want) {
			t.Errorf("%s is not listed", want)
		}
	}
	for _, line := range all {
		method, path, _ := strings.Cut(line, " ")
		a := newInProcess(t)
		c := inProcess(t, a).logIn("admin", "a")
		body := ""
		if method == "PUT" || method == "POST" {
			body = "{}"
		}
		r := c.do(method, strings.ReplaceAll(path, "*", "1"), body)
		kind, _ := r.errorOf()
		missing := r.status == 404 && !strings.Contains(path, "*") && path != "/api/authentication/types"
		if missing || kind == "MethodNotAllowed" {
			t.Errorf("%s: status %d: %s", line, r.status, r.raw)
		}
	}
}

func TestJournal(t *testing.T) {
	t.Parallel()
	var mu sync.Mutex
	var traced []string
	a := spstest.NewServer(t, spstest.WithTrace(func(r spstest.Request) {
		mu.Lock()
		defer mu.Unlock()
		traced = append(traced, r.Method+" "+r.Path)
	}))
	type entry struct {
		Method, Path, RawQuery, Body, Session string
		Status                                int
		Executed                              bool
	}
	for mode, c := range map[string]*client{"TLS": overTLS(t, a), "in process": inProcess(t, a)} {
		a.ResetJournal()
		a.ExpireSessions()
		c.header.Set("Authorization", basic("admin", "a"))
		first := c.want(200, "GET", "/api/authentication?login_method=local", "")
		c.header.Del("Authorization")
		c.cookie = sessionCookie(t, first)
		c.want(200, "POST", "/api/firmware/test", `{"slot_id": 2}`)
		a.ExpireSessions()
		c.want(401, "DELETE", "/api/firmware/slots/4", "")
		c.cookie = ""
		c.want(401, "GET", "/api/firmware", "")
		journal := a.Journal()
		label := journal[0].Session
		var got []entry
		for _, r := range journal {
			got = append(got, entry{r.Method, r.Path, r.RawQuery, string(r.Body), r.Session, r.Status, r.Executed})
		}
		if diff := cmp.Diff([]entry{
			{"GET", "/api/authentication", "login_method=local", "", label, 200, true},
			{"POST", "/api/firmware/test", "", `{"slot_id": 2}`, label, 200, true},
			{"DELETE", "/api/firmware/slots/4", "", "", label, 401, false},
			{"GET", "/api/firmware", "", "", "", 401, false},
		}, got); diff != "" {
			t.Errorf("%s: journal (-want +got):\n%s", mode, diff)
		}
		if got := journal[0].Header.Get("Authorization"); got != basic("admin", "a") {
			t.Errorf("%s: the journal lacks the Authorization header", mode)
		}
		if got := journal[1].Header.Get("Content-Length"); got != "14" {
			t.Errorf("%s: Content-Length %q, want 14", mode, got)
		}
		if label != "s1" && label != "s2" {
			t.Errorf("%s: session label %q", mode, label)
		}
	}
	mu.Lock()
	defer mu.Unlock()
	if len(traced) != 8 {
		t.Errorf("traced %d requests, want 8: %v", len(traced), traced)
	}
}

func TestInvalidOptions(t *testing.T) {
	t.Parallel()
	for want, opt := range map[string]spstest.Option{
		`unknown profile "5.0": want one of 6.0, 6.9, 7.4, 8.0`:                  spstest.WithProfile("5.0"),
		`variant put-answer has no alternative "202": want one of 200, 201, 204`: spstest.WithVariant("put-answer", "202"),
		`unknown variant "put": want one of login-body, wrong-password, logout`:  spstest.WithVariant("put", "200"),
		`session lifetime 0s is not positive`:                                    spstest.WithSessionLifetime(0),
		`WithClientCA found no certificate in its PEM`:                           spstest.WithClientCA([]byte("x")),
		`slot key "1" is empty or given twice`:                                   spstest.WithSlots(spstest.Slot{Key: "1"}, spstest.Slot{Key: "1"}),
		`unknown right "write": want "full" or "read-only"`:                      spstest.WithUser("u", "p", "write"),
		`right "read-only:": "" is not a path`:                                   spstest.WithUser("u", "p", spstest.ReadOnlyAt("/api/")),
		`right "none:a//b": "a//b" is not a path`:                                spstest.WithUser("u", "p", spstest.NoAccessTo("a//b")),
		`right "none:a/*": "a/*" is not a path`:                                  spstest.WithUser("u", "p", spstest.NoAccessTo("a/*")),
		`unknown right "write:a": want "full"`:                                   spstest.WithUser("u", "p", "write:a"),
		`number of polls -1 is negative`:                                         spstest.WithBundlePolls(-1),
		`cluster node {} has no key`:                                             spstest.WithCluster(json.RawMessage(`{}`)),
		`cluster node: json`:                                                     spstest.WithCluster(json.RawMessage(`[]`)),
		`the administrator needs a name`:                                         spstest.WithCredentials("", ""),
		`WithCertificate got an empty certificate`:                               spstest.WithCertificate(tls.Certificate{}),
	} {
		if err := startError(opt); err == nil || !strings.HasPrefix(err.Error(), "spstest: "+want) {
			t.Errorf("error %v, want %s", err, want)
		}
	}
	for _, s := range []string{"put-answer", "put-answer=", "=200"} {
		if _, err := spstest.ParseVariant(s); err == nil {
			t.Errorf("ParseVariant(%q) returned no error", s)
		}
	}
}

// failing is a TB that records the calls of its methods.
type failing struct {
	cleanups []func()
	message  string
	errors   []string
}

func (*failing) Helper()                             {}
func (f *failing) Cleanup(clean func())              { f.cleanups = append(f.cleanups, clean) }
func (f *failing) Fatalf(format string, args ...any) { f.message = fmt.Sprintf(format, args...) }
func (f *failing) Errorf(format string, args ...any) {
	f.errors = append(f.errors, fmt.Sprintf(format, args...))
}

// end calls the cleanup functions, like the end of a test.
func (f *failing) end() {
	for _, clean := range slices.Backward(f.cleanups) {
		clean()
	}
}

func TestNewServer(t *testing.T) {
	t.Parallel()
	var f failing
	a := spstest.NewServer(&f, spstest.WithCredentials("root", "secret"))
	if a.Username() != "root" || a.Password() != "secret" {
		t.Errorf("credentials %s, %s", a.Username(), a.Password())
	}
	overTLS(t, a).logIn("root", "secret")
	f.end()
	if _, err := overTLS(t, a).try("GET", "/api/info", ""); err == nil {
		t.Error("the appliance responds after its cleanup")
	}
	before := len(f.cleanups)
	if b := spstest.NewServer(&f, spstest.WithProfile("x")); b != nil || !strings.Contains(f.message, "unknown profile") || len(f.errors) > 0 || len(f.cleanups) > before {
		t.Errorf("appliance %v, message %q, errors %q, %d more cleanups", b, f.message, f.errors, len(f.cleanups)-before)
	}
}

// TestNewServerWithoutATest checks that NewServer without a test panics for an invalid
// option, and that Close stops the appliance.
func TestNewServerWithoutATest(t *testing.T) {
	t.Parallel()
	a := spstest.NewServer(nil)
	overTLS(t, a).logIn("admin", "a")
	a.Close()
	if _, err := overTLS(t, a).try("GET", "/api/info", ""); err == nil {
		t.Error("the appliance responds after Close")
	}
	taken, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer taken.Close()
	for want, options := range map[string][]spstest.Option{
		`spstest: unknown profile "x"`: {spstest.WithProfile("x")},
		"spstest: listen tcp ":         {spstest.WithListenAddress(taken.Addr().String())},
		"spstest: WithListener and WithoutListener contradict each other": {spstest.WithListener(taken), spstest.WithoutListener()},
	} {
		got := fmt.Sprint(panicOf(func() { spstest.NewServer(nil, options...) }))
		if !strings.HasPrefix(got, want) {
			t.Errorf("panic %s, want %s", got, want)
		}
		if err := startError(options...); err == nil || err.Error() != got {
			t.Errorf("the error in a test is %v, want %s", err, got)
		}
	}
}

func TestWithoutListener(t *testing.T) {
	t.Parallel()
	var f failing
	a := spstest.NewServer(&f, spstest.WithoutListener())
	if a.Addr() != "appliance.test" {
		t.Errorf("address %s", a.Addr())
	}
	c := inProcess(t, a).logIn("admin", "a")
	a.Inject(spstest.Fault{Path: "setup", Status: 503})
	f.end()
	if _, err := c.try("GET", "/api/info", ""); err == nil || len(f.errors) != 1 {
		t.Errorf("error %v after the end of the test, %q", err, f.errors)
	}
}

// TestCloseLeavesNothing checks that Close ends all goroutines of the appliance. It is
// not parallel, because it counts the goroutines of the process.
func TestCloseLeavesNothing(t *testing.T) {
	before := runtime.NumGoroutine()
	a := spstest.NewServer(t)
	c := overTLS(t, a)
	c.logIn("admin", "a")                                   // leaves an idle connection open
	if conn, err := net.Dial("tcp", a.Addr()); err == nil { // a connection without a handshake
		defer conn.Close()
	}
	a.Inject(spstest.Fault{Delay: time.Hour, Path: "firmware"})
	a.Inject(spstest.Fault{Endless: true, Path: "firmware/slots"})
	var wg sync.WaitGroup
	for _, path := range []string{"/api/firmware", "/api/firmware/slots"} {
		wg.Go(func() {
			other := overTLS(t, a)
			other.cookie = c.cookie
			if _, err := other.try("GET", path, ""); err == nil {
				t.Errorf("%s: a closed appliance responded", path)
			}
		})
	}
	for len(a.Journal()) < 3 {
		runtime.Gosched()
	}
	a.Close()
	a.Close()
	wg.Wait()
	c.transport.(*http.Transport).CloseIdleConnections()
	for deadline := time.Now().Add(5 * time.Second); runtime.NumGoroutine() > before && time.Now().Before(deadline); {
		runtime.Gosched()
	}
	if n := runtime.NumGoroutine(); n > before {
		stacks := make([]byte, 1<<16)
		t.Errorf("%d goroutines, %d before:\n%s", n, before, stacks[:runtime.Stack(stacks, true)])
	}
}

func TestManyClients(t *testing.T) {
	t.Parallel()
	a := spstest.NewServer(t)
	var wg sync.WaitGroup
	for range 8 {
		wg.Go(func() {
			c := overTLS(t, a)
			c.logIn("admin", "a")
			for range 5 {
				if r, err := c.try("PUT", timezone, `"UTC"`); err != nil || r.status != 200 && r.status != 403 {
					t.Errorf("status %d, error %v", r.status, err)
				}
				_, _ = c.try("PUT", "/api/transaction", `{"status":"commit"}`)
				a.Journal()
				a.SetSlot(spstest.Slot{Key: "5", Version: "9.0"})
			}
		})
	}
	wg.Wait()
	if a.LockedBy() != "" {
		t.Error("the lock is still held")
	}
	if a.Sessions() != 8 {
		t.Errorf("%d sessions, want 8", a.Sessions())
	}
}

func TestRoundTripReadsTheBody(t *testing.T) {
	t.Parallel()
	a := newInProcess(t)
	body := &watched{Reader: strings.NewReader("{}")}
	req, err := http.NewRequestWithContext(t.Context(), "POST", "https://appliance.test/api/transaction", body)
	if err != nil {
		t.Fatal(err)
	}
	resp, err := a.RoundTrip(req)
	if err != nil {
		t.Fatal(err)
	}
	resp.Body.Close()
	if !body.closed || resp.Request != req || resp.StatusCode != 411 {
		t.Errorf("closed %t, status %d", body.closed, resp.StatusCode)
	}
	req, err = http.NewRequestWithContext(t.Context(), "POST", "https://appliance.test/api/transaction", &watched{Reader: strings.NewReader("{}")})
	if err != nil {
		t.Fatal(err)
	}
	req.ContentLength = 3
	if _, err := a.RoundTrip(req); err == nil {
		t.Error("no error for a body that is shorter than stated")
	}
}

type watched struct {
	io.Reader
	closed bool
}

func (w *watched) Close() error { w.closed = true; return nil }

func TestProducts(t *testing.T) {
	t.Parallel()
	a := newInProcess(t)
	c := inProcess(t, a).logIn("admin", "a")
	meta := `"meta":{"href":"/api/integrated_products","parent":"/api"}`
	wantJSON(t, `{"items":[],`+meta+`}`, c.want(200, "GET", "/api/integrated_products", "").raw)
	a.SetProducts(spstest.ProductsPasswords(), "")
	wantJSON(t, `{"items":[{"name":"Safeguard for Privileged Passwords","activated":true,"link":"https://10.10.10.10"}],`+meta+`}`,
		c.want(200, "GET", "/api/integrated_products", "").raw)
	a.SetProducts(spstest.ProductsStarling()[:1], spstest.StarlingUnavailable)
	r := c.want(200, "GET", "/api/integrated_products", "")
	if diff := cmp.Diff(map[string]any{"warnings": []any{map[string]any{"message": spstest.StarlingUnavailable, "paths": []any{"/api/integrated_products"}}}}, r.body["issues"]); diff != "" {
		t.Errorf("issues (-want +got):\n%s", diff)
	}
}

func TestProductWarnings(t *testing.T) {
	t.Parallel()
	const text = spstest.StarlingCredentialsInvalid
	list := []any{text}
	for place, want := range map[string]struct {
		status    int
		top, meta map[string]any // members in addition to items and links
	}{
		"warnings":      {200, map[string]any{"warnings": list}, nil},
		"warning":       {200, map[string]any{"warning": text}, nil},
		"message":       {200, map[string]any{"message": text}, nil},
		"meta.warnings": {200, nil, map[string]any{"warnings": list}},
		"meta.warning":  {200, nil, map[string]any{"warning": text}},
		"meta.message":  {200, nil, map[string]any{"message": text}},
		"error:200":     {200, map[string]any{"error": map[string]any{"type": "IntegratedProductsError", "message": text}}, nil},
		"error:503":     {503, map[string]any{"error": map[string]any{"type": "IntegratedProductsError", "message": text}}, nil},
	} {
		t.Run(place, func(t *testing.T) {
			t.Parallel()
			a := newInProcess(t, variants(t, "product-warnings="+place)...)
			c := inProcess(t, a).logIn("admin", "a")
			c.want(200, "GET", "/api/integrated_products", "") // without a warning
			a.SetProducts(spstest.ProductsStarling(), text)
			got := c.want(want.status, "GET", "/api/integrated_products", "").body
			expected := map[string]any{"meta": map[string]any{"href": "/api/integrated_products", "parent": "/api"}}
			if _, failed := want.top["error"]; !failed {
				expected["items"] = got["items"]
			}
			maps.Copy(expected, want.top)
			maps.Copy(expected["meta"].(map[string]any), want.meta)
			if diff := cmp.Diff(expected, got); diff != "" {
				t.Errorf("response (-want +got):\n%s", diff)
			}
		})
	}
}

func TestProductsOfAJoin(t *testing.T) {
	t.Parallel()
	names := func(opts ...spstest.Option) []string {
		names := []string{}
		c := inProcess(t, newInProcess(t, opts...)).logIn("admin", "a")
		for _, item := range c.want(200, "GET", "/api/integrated_products", "").body["items"].([]any) {
			names = append(names, item.(map[string]any)["name"].(string))
		}
		return names
	}
	if diff := cmp.Diff([]string{"Defender", "Connect", "Governance", "RemoteAccess"}, names(spstest.WithStarling(spstest.Starling{Joined: true, RemoteAccess: true}))); diff != "" {
		t.Errorf("joined (-want +got):\n%s", diff)
	}
	if diff := cmp.Diff([]string{}, names(spstest.WithStarling(spstest.Starling{Joined: true, RemoteAccess: true}), spstest.WithProducts())); diff != "" {
		t.Errorf("joined, set to none (-want +got):\n%s", diff)
	}
}

func BenchmarkStart(b *testing.B) {
	for b.Loop() {
		a := spstest.NewServer(b)
		a.Close()
	}
}
