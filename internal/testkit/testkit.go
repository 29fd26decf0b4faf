// Package testkit contains helpers that tests of several packages share: clients of simulated
// appliances, in-memory networks, certificates, access to files of the module, and test runs
// under the variants of the simulator. Only tests import it.
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

// RunTests runs the tests of a package that creates many small appliances and clients. It lets
// the heap grow further before a garbage collection, which would otherwise use a quarter of the
// time.
func RunTests(m *testing.M) {
	debug.SetGCPercent(400)
	debug.SetMemoryLimit(512 << 20)
	m.Run()
}

// Quick is a retry policy with waits of a few milliseconds, for tests that wait in real time.
var Quick = sps.WithRetry(sps.RetryPolicy{Attempts: 4, MinWait: time.Millisecond, MaxWait: 2 * time.Millisecond, MaxRetryAfter: time.Second})

// Connect returns a client of a simulated appliance. The client is closed at the end of the
// test. It connects over TLS if the appliance listens, and in process otherwise.
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

// withoutListener is the address of an appliance that does not listen on a socket.
const withoutListener = "appliance.test"

// Dial returns a client that has logged in as the administrator. The caller must close it.
func Dial(ctx context.Context, a *spstest.Appliance, options ...sps.Option) (*sps.Client, error) {
	credential := sps.UsernamePassword(a.Username(), sps.NewSecretString(a.Password()))
	way := sps.WithCABundle(a.CA())
	if a.Addr() == withoutListener {
		way = InProcess(a)
	}
	return sps.Connect(ctx, a.Addr(), credential, append([]sps.Option{way, Quick, sps.WithTimeouts(sps.Timeouts{Outcome: 300 * time.Millisecond})}, options...)...)
}

// Diff fails the test if want and got differ. what names the compared value in the message.
func Diff(t *testing.T, what string, want, got any, options ...cmp.Option) {
	t.Helper()
	if d := cmp.Diff(want, got, options...); d != "" {
		t.Errorf("%s mismatch (-want +got):\n%s", what, d)
	}
}

// Requests returns the requests that the appliance has received, each as "METHOD path".
func Requests(a *spstest.Appliance) []string {
	var list []string
	for _, r := range a.Journal() {
		list = append(list, r.Method+" "+r.Path)
	}
	return list
}

// Bubble runs a test in a testing/synctest bubble. Its appliance has no sockets, and time is
// simulated: a wait takes exactly its length and no real time.
func Bubble(t *testing.T, test func(t *testing.T, a *spstest.Appliance, c *sps.Client), options ...sps.Option) {
	t.Helper()
	BubbleWith(t, nil, test, options...)
}

// BubbleOf is like Bubble, with options for the appliance instead of the client.
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

// InProcess returns an option that passes the requests of a client to an appliance without
// sockets.
func InProcess(a *spstest.Appliance) sps.Option {
	return sps.WithTransport(func(http.RoundTripper) http.RoundTripper { return a })
}

// RoundTrip returns an option that passes every request of a client to f, which returns the
// response.
func RoundTrip(f func(*http.Request) (*http.Response, error)) sps.Option {
	return sps.WithTransport(func(http.RoundTripper) http.RoundTripper { return RoundTripper(f) })
}

type RoundTripper func(*http.Request) (*http.Response, error)

func (f RoundTripper) RoundTrip(r *http.Request) (*http.Response, error) { return f(r) }

// Answer returns a response to r.
func Answer(r *http.Request, status int, header http.Header, body string) *http.Response {
	return &http.Response{
		StatusCode: status, Header: header, Body: io.NopCloser(strings.NewReader(body)), ContentLength: int64(len(body)),
		ProtoMajor: 1, ProtoMinor: 1, Request: r,
	}
}

// SessionID returns the session ID that the most recent request in the journal had in its
// cookie.
func SessionID(a *spstest.Appliance) string {
	journal := a.Journal()
	return strings.TrimPrefix(journal[len(journal)-1].Header.Get("Cookie"), "session_id=")
}

// CountDials returns an option that adds to dials the number of connections that a client
// opens.
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
