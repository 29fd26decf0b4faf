package sps_test

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/url"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/go-sps/sps"
	"github.com/go-sps/sps/spstest"
)

// TestConnectionNeverMade has connections that break before anything was sent: the
// outcome of a write is never unknown then.
func TestConnectionNeverMade(t *testing.T) {
	t.Parallel()
	reset := func(conn net.Conn) { _ = conn.(*net.TCPConn).SetLinger(0) }
	hello := func(conn net.Conn) { _, _ = conn.Read(make([]byte, 1)) }
	for name, test := range map[string]struct {
		accept   func(conn net.Conn) // of the appliance, or of the proxy
		proxy    bool
		attempts int
		text     string
	}{
		"closed in the handshake": {func(conn net.Conn) { hello(conn) }, false, 3, "in the TLS handshake"},
		"reset in the handshake":  {func(conn net.Conn) { hello(conn); reset(conn) }, false, 3, "in the TLS handshake"},
		"silent in the handshake": {func(conn net.Conn) { _, _ = io.Copy(io.Discard, conn) }, false, 3, "TLS handshake"},
		"a TLS alert": {func(conn net.Conn) {
			hello(conn)
			_, _ = conn.Write([]byte{21, 3, 3, 0, 2, 2, 40})
			_, _ = io.Copy(io.Discard, conn)
		}, false, 1, "handshake failure"},
		"a proxy with 407": {func(conn net.Conn) {
			hello(conn)
			_, _ = io.WriteString(conn, "HTTP/1.1 407 Proxy Authentication Required\r\nContent-Length: 0\r\n\r\n")
		}, true, 1, "refused to connect: 407"},
		"a proxy with 503": {func(conn net.Conn) {
			hello(conn)
			_, _ = io.WriteString(conn, "HTTP/1.1 503 Service Unavailable\r\nContent-Length: 0\r\n\r\n")
		}, true, 3, "refused to connect: 503"},
		"a proxy that closes": {func(conn net.Conn) { hello(conn) }, true, 3, "by way of the proxy"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			listener, err := net.Listen("tcp", "127.0.0.1:0")
			if err != nil {
				t.Fatal(err)
			}
			var serving sync.WaitGroup
			defer serving.Wait()
			defer listener.Close()
			serving.Go(func() {
				for {
					conn, err := listener.Accept()
					if err != nil {
						return
					}
					serving.Go(func() {
						defer conn.Close()
						test.accept(conn)
					})
				}
			})
			host := listener.Addr().String()
			if test.proxy {
				host = "sps.example.invalid"
			}
			c, err := sps.Connect(t.Context(), host, sps.ExistingSession(sps.NewSecretString("session")),
				sps.WithRetry(sps.RetryPolicy{Attempts: 3, MinWait: time.Millisecond, MaxWait: time.Millisecond}),
				sps.WithTimeouts(sps.Timeouts{Connect: 200 * time.Millisecond}),
				sps.WithTransport(func(base http.RoundTripper) http.RoundTripper {
					if test.proxy {
						base.(*http.Transport).Proxy = http.ProxyURL(&url.URL{Scheme: "http", Host: listener.Addr().String()})
					}
					return base
				}))
			if err != nil {
				t.Fatal(err)
			}
			defer c.Close(context.Background())
			for what, call := range map[string]func() error{
				"a create":   func() error { _, err := c.Troubleshooting.SupportBundle.Start(t.Context()); return err },
				"a deletion": func() error { _, err := c.Invoke(t.Context(), "DELETE", "firmware/slots/4", nil); return err },
				"an upload":  func() error { _, err := c.Invoke(t.Context(), "POST", "upload/x", map[string]int{"a": 1}); return err },
			} {
				err := call()
				var broken *sps.TransportError
				if !errors.As(err, &broken) || errors.Is(err, sps.ErrOutcomeUnknown) || broken.Attempts != test.attempts || !strings.Contains(err.Error(), test.text) {
					t.Errorf("%s: %v", what, err)
				}
				if test.proxy && !strings.Contains(err.Error(), listener.Addr().String()) {
					t.Errorf("%s: %v does not name the proxy", what, err)
				}
			}
		})
	}
}

// TestIdleConnection sends what cannot be repeated around the moment at which the
// appliance closes its idle connections.
func TestIdleConnection(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		a, err := spstest.New() // for its certificate
		if err != nil {
			t.Fatal(err)
		}
		defer a.Close()
		network := &slowNet{newMemNet(), 20 * time.Millisecond}
		posts := 0
		server := &http.Server{IdleTimeout: 300 * time.Millisecond, Handler: http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			posts++
			w.Header().Set("Content-Type", "application/json")
			fmt.Fprintf(w, `{"key":"%d","meta":{"slot":"/api/firmware/slots/2"},"body":{"test_summary":"ok"}}`, posts)
		})}
		go func() { _ = server.Serve(network) }()
		defer server.Close()
		c, err := sps.Connect(t.Context(), "appliance.test", sps.ExistingSession(sps.NewSecretString("session")), network.plain())
		if err != nil {
			t.Fatal(err)
		}
		defer c.Close(context.Background())
		for idle := 265 * time.Millisecond; idle < 335*time.Millisecond; idle += time.Millisecond {
			if _, err := c.Troubleshooting.SupportBundle.Start(t.Context()); err != nil {
				t.Errorf("after %s: %v", idle, err)
			}
			time.Sleep(idle) // the bubble's
		}
	})
}

// slowNet is a network in memory on which everything takes its time.
type slowNet struct {
	*memNet
	latency time.Duration
}

// plain lets a client connect to it, without TLS.
func (n *slowNet) plain() sps.Option {
	return sps.WithTransport(func(base http.RoundTripper) http.RoundTripper {
		transport := base.(*http.Transport)
		transport.DialTLSContext = func(ctx context.Context, _, _ string) (net.Conn, error) {
			client, server := memPipe()
			there, back := &slowConn{Conn: client, latency: n.latency}, &slowConn{Conn: server, latency: n.latency}
			select {
			case n.connections <- back:
				return there, nil
			case <-ctx.Done():
				return nil, ctx.Err()
			}
		}
		return transport
	})
}

// slowConn delivers what is written, and its end, later.
type slowConn struct {
	net.Conn
	latency time.Duration
}

func (c *slowConn) Write(p []byte) (int, error) {
	data := append([]byte(nil), p...)
	time.AfterFunc(c.latency, func() { _, _ = c.Conn.Write(data) })
	return len(p), nil
}

func (c *slowConn) Close() error {
	time.AfterFunc(c.latency, func() { _ = c.Conn.Close() })
	return nil
}
