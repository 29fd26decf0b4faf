package sps

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"net"
	"net/http"
	"net/http/httptrace"
	"net/url"
	"sync/atomic"
	"time"
)

// What is known of the connection of an attempt: whether it was made, and so whether
// anything can have reached the appliance.

// approach is how far an attempt has come on its way to the appliance.
type approach struct {
	asked   atomic.Bool // a connection was asked for: there is a trace
	got     atomic.Bool // there was one, and something may have been sent
	shaking atomic.Bool // the TLS handshake has begun
}

// traced notes the approach of an attempt. net/http may try a request a second time on
// a new connection. Of one that it does not repeat after it may have been sent, only the
// last connection counts.
func (w *approach) traced(ctx context.Context, repeatable bool) context.Context {
	return httptrace.WithClientTrace(ctx, &httptrace.ClientTrace{
		GetConn: func(string) {
			w.asked.Store(true)
			w.shaking.Store(false)
			if !repeatable {
				w.got.Store(false)
			}
		},
		GotConn:           func(httptrace.GotConnInfo) { w.got.Store(true) },
		TLSHandshakeStart: func() { w.shaking.Store(true) },
		TLSHandshakeDone:  func(_ tls.ConnectionState, err error) { w.shaking.Store(err != nil) },
	})
}

// unsent reports whether the attempt certainly sent nothing. Without a trace, from a
// RoundTripper that is not net/http's, it is not known.
func (w *approach) unsent() bool { return w != nil && w.asked.Load() && !w.got.Load() }

// explained adds to the error of an attempt that sent nothing where it ended.
func (w *approach) explained(err error, proxy *url.URL) error {
	where := ""
	var op *net.OpError
	var refusal *proxyRefusal
	switch {
	case errors.As(err, &refusal), untrusted(err):
	case w.shaking.Load():
		where = "in the TLS handshake"
	case proxy != nil:
		where = "by way of the proxy " + oneLine(proxy.Host, 100)
	case errors.As(err, &op) && op.Op == "dial":
	default:
		where = "while connecting"
	}
	return &neverMade{where, err}
}

// neverMade is the error of a connection that was not made: nothing was sent.
type neverMade struct {
	where string
	err   error
}

func (n *neverMade) Error() string {
	if n.where == "" {
		return n.err.Error()
	}
	return n.where + ": " + n.err.Error()
}

func (n *neverMade) Unwrap() error { return n.err }

// proxyRefusal says that a proxy refused to connect.
type proxyRefusal struct {
	proxy  string
	status int
}

func (p *proxyRefusal) Error() string {
	return fmt.Sprintf("the proxy %s refused to connect: %s", p.proxy, Status(p.status))
}

func (p *proxyRefusal) Unwrap() error { return Status(p.status) }

// refusedByProxy makes the error of a proxy's answer.
func refusedByProxy(_ context.Context, proxy *url.URL, _ *http.Request, answer *http.Response) error {
	if answer.StatusCode != http.StatusOK {
		return &proxyRefusal{oneLine(proxy.Host, 100), answer.StatusCode}
	}
	return nil
}

// proxy returns the proxy of a request, nil for none.
func (t *transport) proxy(req *http.Request) *url.URL {
	if t.base.Proxy == nil {
		return nil
	}
	proxy, err := t.base.Proxy(req)
	if err != nil {
		return nil
	}
	return proxy
}

// neverSent reports whether the request certainly did not reach the appliance: the
// connection could not be made.
func neverSent(err error) bool {
	var made *neverMade
	var op *net.OpError
	var name *net.DNSError
	return errors.As(err, &made) || errors.As(err, &op) && (op.Op == "dial" || op.Op == "proxyconnect") ||
		errors.As(err, &name) || untrusted(err)
}

// permanent reports whether the same request would fail in the same way: the other end
// said so in the TLS handshake, or the proxy wants a user that it is not given.
func permanent(err error) bool {
	var alert *net.OpError
	var proxy *proxyRefusal
	var writing errSink
	return errors.Is(err, ErrBadAnswer) || untrusted(err) || errors.As(err, &writing) ||
		errors.As(err, &alert) && alert.Op == "remote error" ||
		errors.As(err, &proxy) && proxy.status == http.StatusProxyAuthRequired
}

// freshFor is how long a connection may have been idle that a request is sent on which
// cannot be repeated. The appliance closes idle connections by itself, and what is just
// on its way then has an unknown outcome.
const freshFor = 200 * time.Millisecond

// freshen closes the idle connections if none of them was used just now.
func (t *transport) freshen() {
	if used := t.used.Load(); used != 0 && time.Since(time.Unix(0, used)) > freshFor {
		t.base.CloseIdleConnections()
	}
}

// touch notes that a connection was used.
func (t *transport) touch() { t.used.Store(time.Now().UnixNano()) }
