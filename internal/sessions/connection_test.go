package sessions

import (
	"context"
	"crypto/rand"
	"crypto/rsa"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"go/ast"
	"io"
	"math/big"
	"net"
	"net/http"
	"net/http/httptest"
	"net/url"
	"regexp"
	"runtime/metrics"
	"strings"
	"sync"
	"syscall"
	"testing"
	"testing/synctest"
	"time"

	"github.com/go-sps/sps"
	"github.com/go-sps/sps/internal/testkit"
	"github.com/go-sps/sps/spstest"
)

// TestConnectionNeverMade checks writes whose connection breaks before the request is sent.
// Each must return an error that does not match ErrOutcomeUnknown. The test also checks the
// number of attempts.
func TestConnectionNeverMade(t *testing.T) {
	t.Parallel()
	reset := func(conn net.Conn) { _ = conn.(*net.TCPConn).SetLinger(0) }
	hello := func(conn net.Conn) { _, _ = conn.Read(make([]byte, 1)) }
	for name, test := range map[string]struct {
		accept   func(conn net.Conn) // handles a connection to the appliance or to the proxy
		proxy    bool
		attempts int
		text     string
	}{
		"closed in the handshake":      {func(conn net.Conn) { hello(conn) }, false, 3, "in the TLS handshake"},
		"reset in the handshake":       {func(conn net.Conn) { hello(conn); reset(conn) }, false, 3, "in the TLS handshake"},
		"no response in the handshake": {func(conn net.Conn) { _, _ = io.Copy(io.Discard, conn) }, false, 3, "TLS handshake"},
		"TLS alert in the handshake": {func(conn net.Conn) {
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

// TestIncompatibleTLS connects to servers whose TLS settings are not compatible with those of the
// client. It checks that the client makes one attempt, because another one would fail in the
// same way, and that a write does not return ErrOutcomeUnknown.
func TestIncompatibleTLS(t *testing.T) {
	t.Parallel()
	leaf := issue(t, nil, "x")
	config := func(change func(*tls.Config)) string {
		c := chainOf(leaf)
		change(c)
		return refuseTLS(t, c)
	}
	plain := httptest.NewServer(http.NotFoundHandler())
	t.Cleanup(plain.Close)
	for name, test := range map[string]struct{ address, text string }{
		"only RSA key exchange": {config(rsaExchange(t)), "remote error: tls: handshake failure"},
		"client certificate required, TLS 1.2": {config(func(c *tls.Config) {
			c.ClientAuth, c.MaxVersion = tls.RequireAnyClientCert, tls.VersionTLS12
		}), "remote error: tls: handshake failure"},
		"client certificate required, TLS 1.3": {config(func(c *tls.Config) { c.ClientAuth = tls.RequireAnyClientCert }), "remote error: tls: certificate required"},
		"TLS 1.1":                              {config(func(c *tls.Config) { c.MinVersion, c.MaxVersion = tls.VersionTLS10, tls.VersionTLS11 }), "remote error: tls: protocol version not supported"},
		"no TLS":                               {plain.Listener.Addr().String(), ""},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			c, err := sps.Connect(t.Context(), test.address, sps.ExistingSession(sps.NewSecretString("session")), testkit.Quick, sps.WithInsecureTLS())
			if err != nil {
				t.Fatal(err)
			}
			defer c.Close(context.Background())
			for _, method := range []string{"GET", "POST"} {
				_, err := c.Invoke(t.Context(), method, "upload/x", nil)
				var broken *sps.TransportError
				if !errors.As(err, &broken) || broken.Attempts != 1 || errors.Is(err, sps.ErrOutcomeUnknown) || !strings.Contains(err.Error(), test.text) {
					t.Errorf("%s: %v, want %q after one attempt", method, err, test.text)
				}
			}
		})
	}
}

// refuseTLS starts a server on which every handshake must fail. The server keeps each
// connection open until the client closes it, so that the client receives the TLS alert.
func refuseTLS(t *testing.T, config *tls.Config) string {
	t.Helper()
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	var serving sync.WaitGroup
	serving.Go(func() {
		for {
			conn, err := listener.Accept()
			if err != nil {
				return
			}
			serving.Go(func() {
				defer conn.Close()
				if tls.Server(conn, config).Handshake() == nil {
					t.Error("a handshake succeeded")
				}
				_, _ = io.Copy(io.Discard, conn)
			})
		}
	})
	t.Cleanup(func() { listener.Close(); serving.Wait() })
	return listener.Addr().String()
}

// rsaExchange returns a function that limits a server to RSA key exchange, as in old servers.
func rsaExchange(t *testing.T) func(*tls.Config) {
	t.Helper()
	key, err := rsa.GenerateKey(rand.Reader, 2048)
	if err != nil {
		t.Fatal(err)
	}
	template := &x509.Certificate{SerialNumber: big.NewInt(1), NotAfter: time.Now().Add(time.Hour)}
	der, err := x509.CreateCertificate(rand.Reader, template, template, key.Public(), key)
	if err != nil {
		t.Fatal(err)
	}
	return func(c *tls.Config) {
		c.Certificates = []tls.Certificate{{Certificate: [][]byte{der}, PrivateKey: key}}
		c.MaxVersion, c.CipherSuites = tls.VersionTLS12, []uint16{tls.TLS_RSA_WITH_AES_128_GCM_SHA256}
	}
}

// TestGODEBUGSettings checks the GODEBUG settings that docs/how-to/troubleshooting.md and the
// error texts recommend for TLS problems. Each setting must exist in Go. For tlsrsakex and
// tlsmlkem, the test also checks that the setting has the described effect.
func TestGODEBUGSettings(t *testing.T) {
	known := map[string]bool{"tlsmlkem": true} // not in the list of metrics, but tested below
	for _, metric := range metrics.All() {
		if name, ok := strings.CutPrefix(metric.Name, "/godebug/non-default-behavior/"); ok {
			known[strings.TrimSuffix(name, ":events")] = true
		}
	}
	page := testkit.File(t, "docs/how-to/troubleshooting.md")
	texts := page
	for _, file := range append(testkit.SourceFiles(t, ""), testkit.SourceFiles(t, "internal/pemtext")...) {
		ast.Inspect(file, func(n ast.Node) bool {
			if text, ok := n.(*ast.BasicLit); ok {
				texts += text.Value + "\n"
			}
			return true
		})
	}
	named := map[string]bool{}
	for _, match := range regexp.MustCompile(`GODEBUG=(\w+)=`).FindAllStringSubmatch(texts, -1) {
		if named[match[1]] = true; !known[match[1]] {
			t.Errorf("Go has no setting %s", match[1])
		}
	}
	for _, name := range []string{"x509negativeserial", "tlsrsakex", "tlsmlkem", "tlsmaxrsasize"} {
		if !strings.Contains(page, "`GODEBUG="+name+"=") || !named[name] {
			t.Errorf("docs/how-to/troubleshooting.md does not name %s", name)
		}
	}

	config := chainOf(issue(t, nil, "x"))
	rsaExchange(t)(config)
	address := serveTLS(t, config)
	t.Setenv("GODEBUG", "tlsrsakex=1")
	if _, err := sps.Connect(t.Context(), address, sps.UsernamePassword("u", sps.NewSecretString("p")), sps.WithInsecureTLS()); !errors.Is(err, sps.Status(404)) {
		t.Errorf("with tlsrsakex=1: %v, want the response of the server", err)
	}

	// This server acts as a network device that resets a connection with a large first message.
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	var serving sync.WaitGroup
	defer serving.Wait()
	defer listener.Close()
	to := serveTLS(t, chainOf(issue(t, nil, "x")))
	serving.Go(func() {
		for {
			here, err := listener.Accept()
			if err != nil {
				return
			}
			serving.Go(func() {
				defer here.Close()
				head := make([]byte, 5)
				if _, err := io.ReadFull(here, head); err != nil || int(head[3])<<8+int(head[4]) > 1200 {
					_ = here.(*net.TCPConn).SetLinger(0)
					return
				}
				there, err := net.Dial("tcp", to)
				if err != nil {
					return
				}
				defer there.Close()
				_, _ = there.Write(head)
				go func() { _, _ = io.Copy(there, here); there.Close() }()
				_, _ = io.Copy(here, there)
			})
		}
	})
	reach := func() error {
		c, err := sps.Connect(t.Context(), listener.Addr().String(), sps.ExistingSession(sps.NewSecretString("x")), sps.WithInsecureTLS(), testkit.Quick)
		if err != nil {
			return err
		}
		defer c.Close(context.Background())
		_, err = c.Info(t.Context())
		return err
	}
	t.Setenv("GODEBUG", "")
	if err := reach(); !errors.Is(err, syscall.ECONNRESET) || !strings.Contains(err.Error(), "in the TLS handshake") {
		t.Errorf("a large first message: %v, want a reset in the handshake", err)
	}
	t.Setenv("GODEBUG", "tlsmlkem=0")
	if err := reach(); !errors.Is(err, sps.Status(404)) {
		t.Errorf("with tlsmlkem=0: %v, want the response of the server", err)
	}
}

// TestIdleConnection sends requests that must not be repeated, at about the time at which the
// appliance closes its idle connection. It checks that every request succeeds.
func TestIdleConnection(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		a := spstest.NewServer(t, spstest.WithoutListener()) // provides the certificate
		defer a.Close()
		network := &slowNet{testkit.NewMemNet(), 20 * time.Millisecond}
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
				t.Errorf("a request after an idle time of %s: %v", idle, err)
			}
			time.Sleep(idle) // simulated time
		}
	})
}

// slowNet is an in-memory network with latency.
type slowNet struct {
	*testkit.MemNet
	latency time.Duration
}

// plain returns an option that makes a client connect over the network without TLS.
func (n *slowNet) plain() sps.Option {
	return sps.WithTransport(func(base http.RoundTripper) http.RoundTripper {
		transport := base.(*http.Transport)
		transport.DialTLSContext = func(ctx context.Context, _, _ string) (net.Conn, error) {
			client, server := testkit.MemPipe()
			there, back := &slowConn{Conn: client, latency: n.latency}, &slowConn{Conn: server, latency: n.latency}
			select {
			case n.Connections <- back:
				return there, nil
			case <-ctx.Done():
				return nil, ctx.Err()
			}
		}
		return transport
	})
}

// slowConn delays what is written, and the end of the connection, by its latency.
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
