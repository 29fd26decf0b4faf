package sps_test

import (
	"context"
	"io"
	"net/http"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/go-sps/sps"
	"github.com/go-sps/sps/spstest"
)

// quick makes retries cheap where a test waits for them over a real network.
var quick = sps.WithRetry(sps.RetryPolicy{Attempts: 4, MinWait: time.Millisecond, MaxWait: 2 * time.Millisecond, MaxRetryAfter: time.Second})

// connect returns a client of a simulated appliance over TLS, closed at the end
// of the test.
func connect(t *testing.T, a *spstest.Appliance, options ...sps.Option) *sps.Client {
	t.Helper()
	c, err := dial(t.Context(), a, options...)
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

// dial connects as the administrator and leaves closing to the caller.
func dial(ctx context.Context, a *spstest.Appliance, options ...sps.Option) (*sps.Client, error) {
	credential := sps.UsernamePassword(a.Username(), sps.NewSecretString(a.Password()))
	return sps.Connect(ctx, a.Addr(), credential, append([]sps.Option{sps.WithCABundle(a.CA()), quick, sps.WithTimeouts(sps.Timeouts{Outcome: 300 * time.Millisecond})}, options...)...)
}

// diff fails the test where want and got differ.
func diff(t *testing.T, what string, want, got any, options ...cmp.Option) {
	t.Helper()
	if d := cmp.Diff(want, got, options...); d != "" {
		t.Errorf("%s mismatch (-want +got):\n%s", what, d)
	}
}

// requests returns what the appliance received, as "METHOD path".
func requests(a *spstest.Appliance) []string {
	var list []string
	for _, r := range a.Journal() {
		list = append(list, r.Method+" "+r.Path)
	}
	return list
}

// bubble runs a test in a bubble of its own time, against an appliance without
// sockets: waits cost nothing and last exactly as long as they say.
func bubble(t *testing.T, test func(t *testing.T, a *spstest.Appliance, c *sps.Client), options ...sps.Option) {
	t.Helper()
	bubbleWith(t, nil, test, options...)
}

// bubbleOf is bubble with another appliance.
func bubbleOf(t *testing.T, test func(t *testing.T, a *spstest.Appliance, c *sps.Client), appliance ...spstest.Option) {
	t.Helper()
	bubbleWith(t, appliance, test)
}

func bubbleWith(t *testing.T, appliance []spstest.Option, test func(t *testing.T, a *spstest.Appliance, c *sps.Client), options ...sps.Option) {
	t.Helper()
	synctest.Test(t, func(t *testing.T) {
		a := spstest.NewServer(t, append([]spstest.Option{spstest.WithoutListener()}, appliance...)...)
		c, err := sps.Connect(t.Context(), a.Addr(),
			sps.UsernamePassword(a.Username(), sps.NewSecretString(a.Password())),
			append([]sps.Option{inProcess(a)}, options...)...)
		if err != nil {
			t.Fatal(err)
		}
		defer c.Close(context.Background())
		test(t, a, c)
	})
}

// inProcess connects a client to an appliance without sockets.
func inProcess(a *spstest.Appliance) sps.Option {
	return sps.WithTransport(func(http.RoundTripper) http.RoundTripper { return a })
}

// roundTrip answers every request by a function.
func roundTrip(f func(*http.Request) (*http.Response, error)) sps.Option {
	return sps.WithTransport(func(http.RoundTripper) http.RoundTripper { return roundTripper(f) })
}

type roundTripper func(*http.Request) (*http.Response, error)

func (f roundTripper) RoundTrip(r *http.Request) (*http.Response, error) { return f(r) }

// answer makes an answer to a request.
func answer(r *http.Request, status int, header http.Header, body string) *http.Response {
	return &http.Response{
		StatusCode: status, Header: header, Body: io.NopCloser(strings.NewReader(body)), ContentLength: int64(len(body)),
		ProtoMajor: 1, ProtoMinor: 1, Request: r,
	}
}

// sessionID returns the id of the session in which the latest request came.
func sessionID(a *spstest.Appliance) string {
	journal := a.Journal()
	return strings.TrimPrefix(journal[len(journal)-1].Header.Get("Cookie"), "session_id=")
}
