// Package testkit is what the tests of several packages share: clients of simulated
// appliances, networks in memory, certificates, files of the module, and flows under the
// variants of the simulator. Tests alone import it.
package testkit

import (
	"context"
	"io"
	"net"
	"net/http"
	"runtime/debug"
	"strings"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/go-sps/sps"
	"github.com/go-sps/sps/spstest"
)

// RunTests runs the tests of a package that makes many small appliances and clients: a
// quarter of the time would go into collecting them.
func RunTests(m *testing.M) {
	debug.SetGCPercent(400)
	debug.SetMemoryLimit(512 << 20)
	m.Run()
}

// Quick makes retries cheap where a test waits for them over a real network.
var Quick = sps.WithRetry(sps.RetryPolicy{Attempts: 4, MinWait: time.Millisecond, MaxWait: 2 * time.Millisecond, MaxRetryAfter: time.Second})

// Connect returns a client of a simulated appliance, closed at the end of the test. It is
// over TLS where the appliance listens.
func Connect(t *testing.T, a *spstest.Appliance, options ...sps.Option) *sps.Client {
	t.Helper()
	c, err := Dial(t.Context(), a, options...)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := c.Close(context.Background()); err != nil {
			t.Errorf("Close: %v", err)
		}
	})
	return c
}

// withoutListener is the address of an appliance that does not listen.
const withoutListener = "appliance.test"

// Dial connects as the administrator and leaves closing to the caller.
func Dial(ctx context.Context, a *spstest.Appliance, options ...sps.Option) (*sps.Client, error) {
	credential := sps.UsernamePassword(a.Username(), sps.NewSecretString(a.Password()))
	way := sps.WithCABundle(a.CA())
	if a.Addr() == withoutListener {
		way = InProcess(a)
	}
	return sps.Connect(ctx, a.Addr(), credential, append([]sps.Option{way, Quick, sps.WithTimeouts(sps.Timeouts{Outcome: 300 * time.Millisecond})}, options...)...)
}

// Diff fails the test where want and got differ.
func Diff(t *testing.T, what string, want, got any, options ...cmp.Option) {
	t.Helper()
	if d := cmp.Diff(want, got, options...); d != "" {
		t.Errorf("%s mismatch (-want +got):\n%s", what, d)
	}
}

// Requests returns what the appliance received, as "METHOD path".
func Requests(a *spstest.Appliance) []string {
	var list []string
	for _, r := range a.Journal() {
		list = append(list, r.Method+" "+r.Path)
	}
	return list
}

// Bubble runs a test in a bubble of its own time, against an appliance without
// sockets: waits cost nothing and last exactly as long as they say.
func Bubble(t *testing.T, test func(t *testing.T, a *spstest.Appliance, c *sps.Client), options ...sps.Option) {
	t.Helper()
	BubbleWith(t, nil, test, options...)
}

// BubbleOf is bubble with another appliance.
func BubbleOf(t *testing.T, test func(t *testing.T, a *spstest.Appliance, c *sps.Client), appliance ...spstest.Option) {
	t.Helper()
	BubbleWith(t, appliance, test)
}

func BubbleWith(t *testing.T, appliance []spstest.Option, test func(t *testing.T, a *spstest.Appliance, c *sps.Client), options ...sps.Option) {
	t.Helper()
	synctest.Test(t, func(t *testing.T) {
		a := spstest.NewServer(t, append([]spstest.Option{spstest.WithoutListener()}, appliance...)...)
		c, err := sps.Connect(t.Context(), a.Addr(),
			sps.UsernamePassword(a.Username(), sps.NewSecretString(a.Password())),
			append([]sps.Option{InProcess(a)}, options...)...)
		if err != nil {
			t.Fatal(err)
		}
		defer c.Close(context.Background())
		test(t, a, c)
	})
}

// InProcess connects a client to an appliance without sockets.
func InProcess(a *spstest.Appliance) sps.Option {
	return sps.WithTransport(func(http.RoundTripper) http.RoundTripper { return a })
}

// RoundTrip answers every request by a function.
func RoundTrip(f func(*http.Request) (*http.Response, error)) sps.Option {
	return sps.WithTransport(func(http.RoundTripper) http.RoundTripper { return RoundTripper(f) })
}

type RoundTripper func(*http.Request) (*http.Response, error)

func (f RoundTripper) RoundTrip(r *http.Request) (*http.Response, error) { return f(r) }

// Answer makes an answer to a request.
func Answer(r *http.Request, status int, header http.Header, body string) *http.Response {
	return &http.Response{
		StatusCode: status, Header: header, Body: io.NopCloser(strings.NewReader(body)), ContentLength: int64(len(body)),
		ProtoMajor: 1, ProtoMinor: 1, Request: r,
	}
}

// SessionID returns the id of the session in which the latest request came.
func SessionID(a *spstest.Appliance) string {
	journal := a.Journal()
	return strings.TrimPrefix(journal[len(journal)-1].Header.Get("Cookie"), "session_id=")
}

// CountDials counts the connections that a client makes.
func CountDials(dials *atomic.Int32) sps.Option {
	return sps.WithTransport(func(base http.RoundTripper) http.RoundTripper {
		transport := base.(*http.Transport)
		dial := transport.DialContext
		transport.DialContext = func(ctx context.Context, network, address string) (net.Conn, error) {
			dials.Add(1)
			return dial(ctx, network, address)
		}
		return transport
	})
}

func Must[T any](v T, err error) T {
	if err != nil {
		panic(err)
	}
	return v
}
