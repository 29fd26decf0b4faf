package sessions

import (
	"bytes"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"log/slog"
	"net"
	"net/http"
	"net/http/httptest"
	"net/url"
	"slices"
	"strings"
	"testing"

	"github.com/go-sps/sps"
	"github.com/go-sps/sps/internal/testkit"
	"github.com/go-sps/sps/spstest"
)

func TestTrust(t *testing.T) {
	t.Parallel()
	a := spstest.NewServer(t)
	other := spstest.NewServer(t)
	pin := a.Fingerprint()
	var colons []string
	for i := 0; i < len(pin); i += 2 {
		colons = append(colons, strings.ToUpper(pin[i:i+2]))
	}
	wrong := strings.Repeat("00", 32)
	pool := x509.NewCertPool()
	pool.AppendCertsFromPEM(a.CA())
	for name, test := range map[string]struct {
		options []sps.Option
		ok      bool
	}{
		"CA":                                     {[]sps.Option{sps.WithCABundle(a.CA())}, true},
		"two CAs":                                {[]sps.Option{sps.WithCABundle(append(other.CA(), a.CA()...))}, true},
		"another CA":                             {[]sps.Option{sps.WithCABundle(other.CA())}, false},
		"pool":                                   {[]sps.Option{sps.WithRootCAs(pool)}, true},
		"empty pool":                             {[]sps.Option{sps.WithRootCAs(x509.NewCertPool())}, false},
		"fingerprint and pool":                   {[]sps.Option{sps.WithPinnedCertificates(pin), sps.WithRootCAs(pool)}, true},
		"fingerprint and empty pool":             {[]sps.Option{sps.WithPinnedCertificates(pin), sps.WithRootCAs(x509.NewCertPool())}, false},
		"no trust option":                        {nil, false},
		"fingerprint":                            {[]sps.Option{sps.WithPinnedCertificates(pin)}, true},
		"fingerprint with colons":                {[]sps.Option{sps.WithPinnedCertificates(strings.Join(colons, ":"))}, true},
		"fingerprint as openssl 3 prints it":     {[]sps.Option{sps.WithPinnedCertificates("sha256 Fingerprint=" + strings.Join(colons, ":") + "\n")}, true},
		"fingerprint as openssl 1 prints it":     {[]sps.Option{sps.WithPinnedCertificates("SHA256 Fingerprint=" + strings.Join(colons, ":"))}, true},
		"fingerprint with the name of the hash":  {[]sps.Option{sps.WithPinnedCertificates("SHA-256:" + pin)}, true},
		"one of two fingerprints matches":        {[]sps.Option{sps.WithPinnedCertificates(wrong, pin)}, true},
		"wrong fingerprint":                      {[]sps.Option{sps.WithPinnedCertificates(wrong)}, false},
		"fingerprint and CA":                     {[]sps.Option{sps.WithPinnedCertificates(pin), sps.WithCABundle(a.CA())}, true},
		"fingerprint and wrong CA":               {[]sps.Option{sps.WithPinnedCertificates(pin), sps.WithCABundle(other.CA())}, false},
		"wrong fingerprint and CA":               {[]sps.Option{sps.WithPinnedCertificates(wrong), sps.WithCABundle(a.CA())}, false},
		"insecure":                               {[]sps.Option{sps.WithInsecureTLS()}, true},
		"wrong fingerprint, TLS session resumed": {[]sps.Option{sps.WithPinnedCertificates(wrong), resume(t, a)}, false},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			c, err := sps.Connect(t.Context(), a.Addr(), sps.UsernamePassword(a.Username(), sps.NewSecretString(a.Password())), test.options...)
			if err == nil {
				c.Close(t.Context())
			}
			var untrusted *sps.CertificateError
			switch {
			case test.ok && err != nil:
				t.Error(err)
			case !test.ok && !errors.As(err, &untrusted):
				t.Errorf("error %v, want a CertificateError", err)
			case !test.ok && strings.ReplaceAll(untrusted.Fingerprint, ":", "") != pin:
				t.Errorf("fingerprint %s, want %s", untrusted.Fingerprint, pin)
			}
		})
	}
}

// TestFingerprintsRefused checks that a fingerprint that is not a SHA-256 is rejected, with an
// error that says how to get one.
func TestFingerprintsRefused(t *testing.T) {
	t.Parallel()
	digits := strings.Repeat("5a", 32)
	for _, text := range []string{
		"", "12:34", digits + "00", "sha1 Fingerprint=" + digits[:40], "SHA1 Fingerprint=" + digits, "sha512 Fingerprint=" + digits, "MD5 Fingerprint=" + digits,
		"sha256 Fingerprint=", "sha256 Fingerprint=sha256 Fingerprint=" + digits, "Fingerprint " + digits, "sha256" + digits,
	} {
		_, err := sps.Connect(t.Context(), "sps1", sps.UsernamePassword("u", sps.NewSecretString("p")), sps.WithPinnedCertificates(text))
		if !errors.Is(err, sps.ErrInvalidInput) || !strings.Contains(err.Error(), "-fingerprint -sha256") {
			t.Errorf("%q: error %v, want ErrInvalidInput", text, err)
		}
	}
}

// resume returns an option that gives the client a TLS session of the appliance, so that its
// first connection resumes that session.
func resume(t *testing.T, a *spstest.Appliance) sps.Option {
	t.Helper()
	cache := tls.NewLRUClientSessionCache(1)
	first := &http.Client{Transport: &http.Transport{TLSClientConfig: &tls.Config{InsecureSkipVerify: true, ClientSessionCache: cache}}}
	resp, err := first.Get("https://" + a.Addr() + "/api/info")
	if err != nil {
		t.Fatal(err)
	}
	resp.Body.Close()
	first.CloseIdleConnections()
	return sps.WithTransport(func(base http.RoundTripper) http.RoundTripper {
		base.(*http.Transport).TLSClientConfig.ClientSessionCache = cache
		return base
	})
}

func TestInsecureIsLogged(t *testing.T) {
	t.Parallel()
	a := spstest.NewServer(t)
	var out bytes.Buffer
	c, err := sps.Connect(t.Context(), a.Addr(), sps.UsernamePassword(a.Username(), sps.NewSecretString(a.Password())),
		sps.WithInsecureTLS(), sps.WithLogger(slog.New(slog.NewTextHandler(&out, nil))))
	if err != nil {
		t.Fatal(err)
	}
	c.Close(t.Context())
	if !strings.Contains(out.String(), "level=WARN") || !strings.Contains(out.String(), "not verified") {
		t.Errorf("log: %s", out.String())
	}
}

// TestOldTLS checks that the client rejects a server with TLS 1.1 and a server without TLS.
func TestOldTLS(t *testing.T) {
	t.Parallel()
	old := httptest.NewUnstartedServer(http.NotFoundHandler())
	old.TLS = &tls.Config{MinVersion: tls.VersionTLS10, MaxVersion: tls.VersionTLS11}
	old.Config.ErrorLog = slog.NewLogLogger(slog.DiscardHandler, slog.LevelError)
	old.StartTLS()
	defer old.Close()
	plain := httptest.NewServer(http.NotFoundHandler())
	defer plain.Close()
	for name, server := range map[string]*httptest.Server{"TLS 1.1": old, "no TLS": plain} {
		_, err := sps.Connect(t.Context(), server.Listener.Addr().String(), sps.UsernamePassword("u", sps.NewSecretString("p")), sps.WithInsecureTLS(), testkit.Quick)
		var broken *sps.TransportError
		if !errors.As(err, &broken) {
			t.Errorf("%s: error %v, want a TransportError", name, err)
		}
	}
}

func TestHosts(t *testing.T) {
	t.Parallel()
	for host, want := range map[string]string{
		"sps1.example.com":       "sps1.example.com",
		"sps1.example.com:443":   "sps1.example.com",
		"sps1.example.com:8443":  "sps1.example.com:8443",
		"sps_1":                  "sps_1",
		"10.0.0.5":               "10.0.0.5",
		"10.0.0.5:8443":          "10.0.0.5:8443",
		"2001:db8::5":            "[2001:db8::5]",
		"[2001:db8::5]":          "[2001:db8::5]",
		"[2001:db8::5]:443":      "[2001:db8::5]",
		"[2001:db8::5]:8443":     "[2001:db8::5]:8443",
		"":                       "",
		"http://sps1":            "",
		"https://sps1":           "",
		"sps1/":                  "",
		"sps1/api":               "",
		"sps1?x":                 "",
		"sps1#x":                 "",
		"admin@sps1":             "",
		"admin:pw@sps1":          "",
		"sps1:":                  "",
		"sps1:0":                 "",
		"sps1:99999":             "",
		"sps1:https":             "",
		"sps1:-1":                "",
		"sps1:+1":                "",
		"sp s1":                  "",
		"sps1\r\nHost: x":        "",
		"sps1%2f":                "",
		"[2001:db8::5":           "",
		"2001:db8::5]":           "",
		"[]":                     "",
		".":                      "",
		strings.Repeat("a", 400): "",
	} {
		seen := ""
		_, err := sps.Connect(t.Context(), host, sps.UsernamePassword("u", sps.NewSecretString("p")), sps.WithRetry(sps.RetryPolicy{Attempts: 1}),
			testkit.RoundTrip(func(r *http.Request) (*http.Response, error) {
				seen = r.URL.Host
				return nil, &net.OpError{Op: "dial", Err: errors.New("nobody there")}
			}))
		if want == "" && !errors.Is(err, sps.ErrInvalidInput) {
			t.Errorf("%q: error %v, want ErrInvalidInput", host, err)
		}
		testkit.Diff(t, "host "+host, want, seen)
	}
}

// TestIPv6 checks that a client can connect to an IPv6 address.
func TestIPv6(t *testing.T) {
	t.Parallel()
	a := spstest.NewServer(t, spstest.WithListenAddress("[::1]:0"))
	testkit.Connect(t, a)
}

// TestIPv6Zone checks that a client can connect to an IPv6 address with a zone. Certificates do
// not contain the zone, because it has a meaning on the local machine only.
func TestIPv6Zone(t *testing.T) {
	t.Parallel()
	interfaces, err := net.Interfaces()
	if err != nil {
		t.Fatal(err)
	}
	i := slices.IndexFunc(interfaces, func(i net.Interface) bool { return i.Flags&net.FlagLoopback != 0 })
	if i < 0 {
		t.Fatal("this machine has no loopback interface")
	}
	a := spstest.NewServer(t, spstest.WithListenAddress("[::1]:0"))
	_, port, err := net.SplitHostPort(a.Addr())
	if err != nil {
		t.Fatal(err)
	}
	host := "[::1%" + interfaces[i].Name + "]:" + port
	credential := sps.UsernamePassword(a.Username(), sps.NewSecretString(a.Password()))
	for name, option := range map[string]sps.Option{
		"directly": nil,
		"with a proxy function": sps.WithTransport(func(base http.RoundTripper) http.RoundTripper {
			base.(*http.Transport).Proxy = func(*http.Request) (*url.URL, error) { return nil, nil }
			return base
		}),
	} {
		c, err := sps.Connect(t.Context(), host, credential, sps.WithCABundle(a.CA()), option)
		if err != nil {
			t.Errorf("%s: %v", name, err)
			continue
		}
		testkit.Diff(t, "host", host, c.Host())
		if err := c.Close(t.Context()); err != nil {
			t.Errorf("%s: %v", name, err)
		}
	}
	// The client still verifies that a trusted authority has signed the certificate.
	other := spstest.NewServer(t)
	_, err = sps.Connect(t.Context(), host, credential, sps.WithCABundle(other.CA()))
	var untrusted *sps.CertificateError
	if !errors.As(err, &untrusted) {
		t.Errorf("a certificate of another authority: %v, want a CertificateError", err)
	}
}
