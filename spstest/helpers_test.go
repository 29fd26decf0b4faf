package spstest_test

import (
	"crypto/tls"
	"crypto/x509"
	"encoding/json"
	"errors"
	"io"
	"net/http"
	"runtime/debug"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/go-sps/sps/spstest"
)

// TestMain makes garbage collection rarer. Otherwise, it would take a quarter of the time
// of the tests, which create many appliances.
func TestMain(m *testing.M) {
	debug.SetGCPercent(400)
	debug.SetMemoryLimit(512 << 20)
	m.Run()
}

// client is an HTTP client with one session.
type client struct {
	t         testing.TB
	transport http.RoundTripper
	base      string
	cookie    string
	header    http.Header
}

type response struct {
	status int
	header http.Header
	raw    string
	body   map[string]any
}

func newInProcess(t testing.TB, opts ...spstest.Option) *spstest.Appliance {
	t.Helper()
	a := spstest.NewServer(t, append([]spstest.Option{spstest.WithoutListener()}, opts...)...)
	return a
}

// startError returns the error with which an appliance with these options fails to start,
// or nil.
func startError(opts ...spstest.Option) error {
	var f failing
	spstest.NewServer(&f, opts...)
	f.end()
	if f.message == "" {
		return nil
	}
	return errors.New(f.message)
}

// inProcess returns a client without a session that sends requests in process.
func inProcess(t testing.TB, a *spstest.Appliance) *client {
	return &client{t: t, transport: a, base: "https://" + a.Addr(), header: http.Header{}}
}

// overTLS returns a client without a session that connects over TLS and verifies the
// certificate.
func overTLS(t testing.TB, a *spstest.Appliance, certificates ...tls.Certificate) *client {
	pool := x509.NewCertPool()
	pool.AppendCertsFromPEM(a.CA())
	transport := &http.Transport{TLSClientConfig: &tls.Config{RootCAs: pool, Certificates: certificates}}
	t.Cleanup(transport.CloseIdleConnections)
	return &client{t: t, transport: transport, base: "https://" + a.Addr(), header: http.Header{}}
}

func (c *client) try(method, path, body string) (response, error) {
	c.t.Helper()
	var reader io.Reader
	if body != "" {
		reader = strings.NewReader(body)
	}
	req, err := http.NewRequestWithContext(c.t.Context(), method, c.base+path, reader)
	if err != nil {
		c.t.Fatal(err)
	}
	for name, values := range c.header {
		req.Header[name] = values
	}
	if c.cookie != "" {
		req.Header.Set("Cookie", "session_id="+c.cookie)
	}
	resp, err := c.transport.RoundTrip(req)
	if err != nil {
		return response{}, err
	}
	defer resp.Body.Close()
	raw, err := io.ReadAll(resp.Body)
	if err != nil {
		return response{}, err
	}
	r := response{status: resp.StatusCode, header: resp.Header, raw: string(raw)}
	if strings.HasPrefix(resp.Header.Get("Content-Type"), "application/json") {
		if err := json.Unmarshal(raw, &r.body); err != nil {
			c.t.Fatalf("%s %s: %v in %s", method, path, err, raw)
		}
	}
	return r, nil
}

func (c *client) do(method, path, body string) response {
	c.t.Helper()
	r, err := c.try(method, path, body)
	if err != nil {
		c.t.Fatalf("%s %s: %v", method, path, err)
	}
	return r
}

// want sends a request and checks the status code of the response.
func (c *client) want(status int, method, path, body string) response {
	c.t.Helper()
	r := c.do(method, path, body)
	if r.status != status {
		c.t.Fatalf("%s %s: status %d, want %d: %s", method, path, r.status, status, r.raw)
	}
	return r
}

// logIn opens a session.
func (c *client) logIn(name, password string) *client {
	c.t.Helper()
	req := &http.Request{Header: http.Header{}}
	req.SetBasicAuth(name, password)
	old := c.header
	c.header = old.Clone()
	c.header.Set("Authorization", req.Header.Get("Authorization"))
	r := c.want(http.StatusOK, "GET", "/api/authentication", "")
	c.header = old
	c.cookie = sessionCookie(c.t, r)
	return c
}

func sessionCookie(t testing.TB, r response) string {
	t.Helper()
	for _, cookie := range (&http.Response{Header: r.header}).Cookies() {
		if cookie.Name == "session_id" {
			return cookie.Value
		}
	}
	t.Fatal("the response has no session_id cookie")
	return ""
}

// errorOf returns the type and the details of an error response.
func (r response) errorOf() (kind string, details any) {
	e, _ := r.body["error"].(map[string]any)
	kind, _ = e["type"].(string)
	return kind, e["details"]
}

func wantError(t testing.TB, r response, status int, kind string, details any) {
	t.Helper()
	gotKind, gotDetails := r.errorOf()
	type answer struct {
		Status  int
		Kind    string
		Details any
	}
	if diff := cmp.Diff(answer{status, kind, details}, answer{r.status, gotKind, gotDetails}); diff != "" {
		t.Errorf("error (-want +got):\n%s", diff)
	}
}

func fromJSON(t testing.TB, s string) (v any) {
	t.Helper()
	if err := json.Unmarshal([]byte(s), &v); err != nil {
		t.Fatalf("%v in %s", err, s)
	}
	return v
}

// wantJSON compares two JSON texts by their values.
func wantJSON(t testing.TB, want, got string) {
	t.Helper()
	if diff := cmp.Diff(fromJSON(t, want), fromJSON(t, got)); diff != "" {
		t.Errorf("JSON (-want +got):\n%s", diff)
	}
}

// variants returns options for texts of the form "name=alternative".
func variants(t testing.TB, all ...string) []spstest.Option {
	t.Helper()
	var opts []spstest.Option
	for _, s := range all {
		opt, err := spstest.ParseVariant(s)
		if err != nil {
			t.Fatal(err)
		}
		opts = append(opts, opt)
	}
	return opts
}

// frozenClock returns an option for a clock that does not move.
func frozenClock() spstest.Option {
	now := time.Date(2024, 5, 6, 7, 8, 9, 0, time.UTC)
	return spstest.WithClock(func() time.Time { return now })
}
