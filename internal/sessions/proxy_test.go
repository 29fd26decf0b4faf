package sessions

import (
	"context"
	"crypto/tls"
	"errors"
	"io"
	"net"
	"net/http"
	"net/url"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync/atomic"
	"testing"

	"github.com/go-sps/sps"
	"github.com/go-sps/sps/internal/testkit"
	"github.com/go-sps/sps/spstest"
)

// tunnel starts a TLS proxy that connects every tunnel to the address to. tunnels counts the
// tunnels, and shown counts the requests on connections with a client certificate.
func tunnel(t *testing.T, certificate *tls.Config, to string) (address string, tunnels, shown *atomic.Int32) {
	t.Helper()
	tunnels, shown = new(atomic.Int32), new(atomic.Int32)
	certificate.ClientAuth = tls.RequestClientCert
	listener, err := tls.Listen("tcp", "127.0.0.1:0", certificate)
	if err != nil {
		t.Fatal(err)
	}
	server := &http.Server{Handler: http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if len(r.TLS.PeerCertificates) > 0 {
			shown.Add(1)
		}
		there, err := net.Dial("tcp", to)
		if err != nil || r.Method != http.MethodConnect {
			w.WriteHeader(http.StatusBadGateway)
			return
		}
		here, _, err := w.(http.Hijacker).Hijack()
		if err != nil {
			there.Close()
			return
		}
		tunnels.Add(1)
		_, _ = io.WriteString(here, "HTTP/1.1 200 OK\r\n\r\n")
		go func() {
			defer there.Close()
			_, _ = io.Copy(there, here)
		}()
		defer here.Close()
		_, _ = io.Copy(here, there)
	})}
	go func() { _ = server.Serve(listener) }()
	t.Cleanup(func() { server.Close() })
	return listener.Addr().String(), tunnels, shown
}

// TestUntrustedProxy checks that a proxy with an untrusted certificate is rejected, even if an
// option trusts that certificate, because the trust options apply to the appliance only.
func TestUntrustedProxy(t *testing.T) {
	t.Parallel()
	a := spstest.NewServer(t)
	own := issue(t, nil, "Proxy", asCA)
	leaf := issue(t, own, "proxy")
	proxy, tunnels, _ := tunnel(t, chainOf(leaf), a.Addr())
	for name, trust := range map[string]sps.Option{
		"a pin of the appliance":    sps.WithPinnedCertificates(a.Fingerprint()),
		"a pin of the proxy":        sps.WithPinnedCertificates(sps.CertificateFingerprint(leaf.Certificate)),
		"the appliance's authority": sps.WithCABundle(a.CA()),
		"the proxy's authority":     sps.WithCABundle([]byte(testkit.PEM(own.Certificate))),
		"insecure TLS":              sps.WithInsecureTLS(),
		"no trust option":           nil,
	} {
		_, err := sps.Connect(t.Context(), "sps1.example.invalid", sps.UsernamePassword(a.Username(), sps.NewSecretString(a.Password())), testkit.Quick, trust,
			sps.WithTransport(func(base http.RoundTripper) http.RoundTripper {
				base.(*http.Transport).Proxy = http.ProxyURL(&url.URL{Scheme: "https", Host: proxy})
				return base
			}))
		var broken *sps.TransportError
		var untrusted *sps.CertificateError
		if !errors.As(err, &broken) || broken.Attempts != 1 || errors.As(err, &untrusted) || !strings.Contains(err.Error(), "the certificate of the proxy "+proxy+" is not trusted: x509: ") {
			t.Errorf("%s: %v", name, err)
		}
	}
	testkit.Diff(t, "tunnels", int32(0), tunnels.Load())
}

// TestTrustBehindProxy connects through a TLS proxy whose certificate the system trusts. It
// checks that the trust options and the client certificate apply to the appliance behind the
// proxy. The test runs in a second process, because Go reads the trusted authorities of the
// system and the proxy settings only once per process.
func TestTrustBehindProxy(t *testing.T) {
	const set = "SPS_TEST_BEHIND_PROXY" // passes the appliance's data to the second process
	if os.Getenv(set) != "" {
		trustBehindProxy(t, strings.Split(os.Getenv(set), " "))
		return
	}
	t.Parallel()
	a := spstest.NewServer(t)
	own := issue(t, nil, "Proxy", asCA)
	proxy, tunnels, shown := tunnel(t, chainOf(issue(t, own, "proxy")), a.Addr())
	file := filepath.Join(t.TempDir(), "ca.pem")
	if err := os.WriteFile(file, []byte(testkit.PEM(own.Certificate)), 0o600); err != nil {
		t.Fatal(err)
	}
	again := exec.CommandContext(t.Context(), os.Args[0], "-test.run=^TestTrustBehindProxy$", "-test.count=1")
	again.Env = append(os.Environ(), set+"="+strings.Join([]string{a.Username(), a.Password(), a.Fingerprint()}, " "), "SSL_CERT_FILE="+file, "HTTPS_PROXY=https://"+proxy, "NO_PROXY=")
	if out, err := again.CombinedOutput(); err != nil {
		t.Errorf("%v\n%s", err, out)
	}
	if n := tunnels.Load(); n != 3 {
		t.Errorf("%d tunnels, want 3", n)
	}
	testkit.Diff(t, "client certificates shown to the proxy", int32(0), shown.Load())
}

func trustBehindProxy(t *testing.T, appliance []string) {
	connect := func(credential sps.Credential, trust ...sps.Option) error {
		c, err := sps.Connect(t.Context(), "sps1.example.invalid", credential, append(trust, testkit.Quick, sps.WithProxyFromEnvironment())...)
		if err == nil {
			c.Close(context.Background())
		}
		return err
	}
	password, pin := sps.UsernamePassword(appliance[0], sps.NewSecretString(appliance[1])), appliance[2]
	if err := connect(password, sps.WithPinnedCertificates(pin)); err != nil {
		t.Errorf("with the appliance's pin: %v", err)
	}
	var untrusted *sps.CertificateError
	if err := connect(password); !errors.As(err, &untrusted) || strings.ReplaceAll(untrusted.Fingerprint, ":", "") != pin {
		t.Errorf("without a pin: %v, want the fingerprint of the appliance", err)
	}
	client := chainOf(issue(t, nil, "user")).Certificates[0]
	if err := connect(sps.ClientCertificate(client), sps.WithPinnedCertificates(pin)); !errors.Is(err, sps.AuthenticationFailure) {
		t.Errorf("with a client certificate: %v, want the appliance's error", err)
	}
}
