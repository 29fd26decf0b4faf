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
	"strings"
	"sync/atomic"
	"time"

	"github.com/go-sps/sps/internal/attempt"
)

// This file records whether an attempt had a connection. If not, the request cannot have
// reached the appliance.

// approach records which steps of connecting an attempt has completed.
type approach struct {
	asked   atomic.Bool // net/http has requested a connection, so it supports httptrace
	got     atomic.Bool // there was a connection, so the request may have been sent
	shaking atomic.Bool // the TLS handshake has begun
}

// traced returns a context that records the connection of an attempt in w. net/http may
// send a request again on a new connection. If repeatable is false, it does this only if
// it has not sent the request before, so only the last connection matters.
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

// unsent reports whether the attempt certainly sent nothing. It returns false if nothing
// was recorded, for example because the RoundTripper is not from net/http.
func (w *approach) unsent() bool { return w != nil && w.asked.Load() && !w.got.Load() }

// explained adds the step in which the connection failed to the error of an attempt that
// has sent nothing.
func (w *approach) explained(err error, proxy *url.URL) error {
	where := ""
	var op *net.OpError
	var refusal *proxyRefusal
	var proxied *untrustedProxy
	switch {
	case errors.As(err, &refusal), errors.As(err, &proxied), untrusted(err):
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

// neverMade is the error of an attempt that could not connect and has therefore sent
// nothing.
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

// proxyRefusal means that a proxy refused to connect.
type proxyRefusal struct {
	proxy  string
	status int
}

func (p *proxyRefusal) Error() string {
	return fmt.Sprintf("the proxy %s refused to connect: %s", p.proxy, Status(p.status))
}

func (p *proxyRefusal) Unwrap() error { return Status(p.status) }

// refusedByProxy makes an error from a proxy's answer.
func refusedByProxy(_ context.Context, proxy *url.URL, _ *http.Request, answer *http.Response) error {
	if answer.StatusCode != http.StatusOK {
		return &proxyRefusal{oneLine(proxy.Host, 100), answer.StatusCode}
	}
	return nil
}

// proxy returns the proxy of a request, or nil.
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

// dialTLS makes a TLS connection to the appliance or to an HTTPS proxy. The client uses
// it if [WithProxyFromEnvironment] is set. The trust options apply to the appliance only.
// The certificate of a proxy is verified with the system's authorities, and a proxy does
// not receive the client's certificate.
func (t *transport) dialTLS(ctx context.Context, network, address string) (net.Conn, error) {
	dial := t.base.DialContext // the function of WithTransport may have changed this field
	if dial == nil {
		dial = (&net.Dialer{}).DialContext
	}
	conn, err := dial(ctx, network, address)
	if err != nil {
		return nil, err
	}
	config, toProxy := t.base.TLSClientConfig.Clone(), address != t.address()
	if toProxy || config == nil {
		config = &tls.Config{MinVersion: tls.VersionTLS12}
	}
	if config.ServerName == "" {
		name, _, _ := net.SplitHostPort(address)
		config.ServerName = withoutZone(name)
	}
	if trace := httptrace.ContextClientTrace(ctx); trace != nil && trace.TLSHandshakeStart != nil {
		trace.TLSHandshakeStart() // net/http calls TLSHandshakeDone
	}
	if limit := t.base.TLSHandshakeTimeout; limit > 0 {
		var cancel context.CancelFunc
		ctx, cancel = context.WithTimeoutCause(ctx, limit, attempt.Timeout(limit))
		defer cancel()
	}
	secured := tls.Client(conn, config)
	if err := secured.HandshakeContext(ctx); err != nil {
		conn.Close()
		var limit attempt.Timeout
		switch {
		case errors.As(context.Cause(ctx), &limit):
			return nil, limit
		case toProxy && untrusted(err):
			return nil, &untrustedProxy{oneLine(address, 100), strings.TrimPrefix(oneLine(err.Error(), 250), "tls: failed to verify certificate: ")}
		}
		return nil, err
	}
	return secured, nil
}

// address returns the address of the appliance in the form that net/http passes to a dial
// function.
func (t *transport) address() string {
	u := url.URL{Host: t.host}
	port := u.Port()
	if port == "" {
		port = "443"
	}
	return net.JoinHostPort(u.Hostname(), port)
}

// untrustedProxy means that the certificate of a proxy is not trusted. It does not unwrap
// to its cause, because the cause would look like an error about the certificate of the
// appliance.
type untrustedProxy struct{ proxy, why string }

func (u *untrustedProxy) Error() string {
	return "the certificate of the proxy " + u.proxy + " is not trusted: " + u.why + " (one of the system's authorities must have signed it; the trust options apply to the appliance only)"
}

// neverSent reports whether the request certainly did not reach the appliance: no
// connection could be made, or the other end refused the client's certificate.
func neverSent(err error) bool {
	var made *neverMade
	var op *net.OpError
	var name *net.DNSError
	return errors.As(err, &made) || errors.As(err, &op) && (op.Op == "dial" || op.Op == "proxyconnect") ||
		errors.As(err, &name) || untrusted(err) || aboutCertificate(err)
}

// permanent reports whether the same request would fail again: one end reported a TLS
// problem, the proxy is not trusted, or the proxy requires a user that the client does
// not have.
func permanent(err error) bool {
	var proxy *proxyRefusal
	var proxied *untrustedProxy
	var writing errSink
	return errors.Is(err, ErrBadAnswer) || untrusted(err) || disagreed(err) || errors.As(err, &proxied) || errors.As(err, &writing) ||
		errors.As(err, &proxy) && proxy.status == http.StatusProxyAuthRequired
}

// disagreed reports whether a TLS connection failed for a reason that will not change:
// one end sent an alert, or the data was not valid TLS.
func disagreed(err error) bool {
	var alert *net.OpError
	var record tls.RecordHeaderError
	if errors.As(err, &record) || errors.Is(err, http.ErrSchemeMismatch) {
		return true
	}
	if errors.As(err, &alert) {
		switch alert.Err.Error() {
		case "tls: internal error", "tls: bad record MAC": // temporary
			return false
		case "tls: no renegotiation":
			return true
		}
		return alert.Op == "remote error"
	}
	// Handshake errors are not wrapped; later errors are.
	var outer *url.Error
	if errors.As(err, &outer) {
		err = outer.Err
	}
	if made, ok := err.(*neverMade); ok {
		err = made.err
	}
	return strings.HasPrefix(err.Error(), "tls: ")
}

// aboutCertificate reports whether an alert says that the client's certificate is missing
// or refused. In TLS 1.3, the alert arrives after the client has finished its handshake.
func aboutCertificate(err error) bool {
	var alert *net.OpError
	if !errors.As(err, &alert) || alert.Op != "remote error" {
		return false
	}
	switch strings.TrimPrefix(alert.Err.Error(), "tls: ") {
	case "certificate required", "bad certificate", "unsupported certificate", "revoked certificate", "expired certificate",
		"unknown certificate", "unknown certificate authority", "access denied":
		return true
	}
	return false
}

// freshFor limits the idle time of the connections that the client uses for a request that
// it cannot repeat. The appliance closes idle connections by itself. If the client sends a
// request on a connection while the appliance closes it, the outcome is unknown.
const freshFor = 200 * time.Millisecond

// freshen closes the idle connections unless one was used very recently.
func (t *transport) freshen() {
	if used := t.used.Load(); used != 0 && time.Since(time.Unix(0, used)) > freshFor {
		t.base.CloseIdleConnections()
	}
}

// touch records that a connection was used.
func (t *transport) touch() { t.used.Store(time.Now().UnixNano()) }
