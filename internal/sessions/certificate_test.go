package sessions

import (
	"bytes"
	"crypto"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"crypto/x509/pkix"
	"errors"
	"fmt"
	"log/slog"
	"math/big"
	"net"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/go-sps/sps"
	"github.com/go-sps/sps/internal/testkit"
)

// issued is a certificate with its private key.
type issued struct {
	*x509.Certificate
	key crypto.Signer
}

// issue creates a server certificate that is signed by the certificate by, or self-signed if by
// is nil. Each change function modifies the template before the certificate is created.
func issue(t *testing.T, by *issued, name string, change ...func(*x509.Certificate)) *issued {
	t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	serial, err := rand.Int(rand.Reader, big.NewInt(1<<62))
	if err != nil {
		t.Fatal(err)
	}
	template := &x509.Certificate{
		SerialNumber: serial.Add(serial, big.NewInt(1)), Subject: pkix.Name{CommonName: name}, IPAddresses: []net.IP{net.IPv4(127, 0, 0, 1)},
		NotBefore: time.Now().Add(-24 * time.Hour), NotAfter: time.Now().Add(24 * time.Hour),
		KeyUsage: x509.KeyUsageDigitalSignature, ExtKeyUsage: []x509.ExtKeyUsage{x509.ExtKeyUsageServerAuth},
	}
	for _, f := range change {
		f(template)
	}
	if by == nil {
		by = &issued{template, key}
	}
	der, err := x509.CreateCertificate(rand.Reader, template, by.Certificate, key.Public(), by.key)
	if err != nil {
		t.Fatal(err)
	}
	certificate, err := x509.ParseCertificate(der)
	if err != nil {
		t.Fatal(err)
	}
	return &issued{certificate, key}
}

// asCA changes a template to that of a certificate authority.
func asCA(c *x509.Certificate) {
	c.IsCA, c.BasicConstraintsValid, c.KeyUsage, c.ExtKeyUsage, c.IPAddresses = true, true, x509.KeyUsageCertSign, nil, nil
}

// serveTLS starts a TLS server that answers every request with the status 404. It returns its
// address.
func serveTLS(t *testing.T, config *tls.Config) string {
	t.Helper()
	listener, err := tls.Listen("tcp", "127.0.0.1:0", config)
	if err != nil {
		t.Fatal(err)
	}
	server := &http.Server{Handler: http.NotFoundHandler(), ErrorLog: slog.NewLogLogger(slog.DiscardHandler, slog.LevelError)}
	go func() { _ = server.Serve(listener) }()
	t.Cleanup(func() { server.Close() })
	return listener.Addr().String()
}

func chainOf(leaf *issued, others ...*issued) *tls.Config {
	c := tls.Certificate{Certificate: [][]byte{leaf.Raw}, PrivateKey: leaf.key}
	for _, other := range others {
		c.Certificate = append(c.Certificate, other.Raw)
	}
	return &tls.Config{Certificates: []tls.Certificate{c}}
}

// TestCertificateHints checks the remedy in the error text for each reason why a certificate is
// not trusted.
func TestCertificateHints(t *testing.T) {
	t.Parallel()
	ca := issue(t, nil, "CA", asCA)
	sameName := issue(t, nil, "CA", asCA)
	intermediate := issue(t, ca, "Intermediate", asCA)
	expiredCA := issue(t, nil, "Old CA", asCA, func(c *x509.Certificate) { c.NotAfter = time.Now().Add(-time.Hour) })
	noCA := issue(t, nil, "No CA", asCA, func(c *x509.Certificate) { c.IsCA = false })
	weak := func(c *x509.Certificate) { c.SignatureAlgorithm = x509.ECDSAWithSHA1 }
	self := issue(t, nil, "Self")
	bundle := func(all ...*issued) sps.Option {
		var certificates []*x509.Certificate
		for _, one := range all {
			certificates = append(certificates, one.Certificate)
		}
		return sps.WithCABundle([]byte(testkit.PEM(certificates...)))
	}
	var many []*issued
	for range 150 {
		many = append(many, issue(t, nil, "CA", asCA, func(c *x509.Certificate) { c.SubjectKeyId = []byte{1} }))
	}
	for name, test := range map[string]struct {
		server *tls.Config
		option sps.Option
		want   string
		not    string
	}{
		"expired": {chainOf(issue(t, ca, "x", func(c *x509.Certificate) { c.NotAfter = time.Now().Add(-time.Hour) })), bundle(ca),
			"it has expired: renew it on the appliance, or check the clock of this machine or, after you have compared the fingerprint, pin it with WithPinnedCertificates alone", "pass its CA"},
		"not yet valid": {chainOf(issue(t, ca, "x", func(c *x509.Certificate) { c.NotBefore = time.Now().Add(time.Hour) })), bundle(ca),
			"it is not valid yet: check the clocks of this machine and of the appliance or, after you have compared the fingerprint, pin it", "pass its CA"},
		"SHA-1": {chainOf(issue(t, ca, "x", weak)), bundle(ca), "no longer safe, such as SHA-1: renew it on the appliance or, after you have compared the fingerprint, pin it", "pass its CA"},
		"client certificate as server certificate": {chainOf(issue(t, ca, "x", func(c *x509.Certificate) { c.ExtKeyUsage = []x509.ExtKeyUsage{x509.ExtKeyUsageClientAuth} })), bundle(ca),
			"it is not a server certificate: renew it on the appliance with the extended key usage serverAuth", "pass its CA"},
		"no alternative names": {chainOf(issue(t, ca, "127.0.0.1", func(c *x509.Certificate) { c.IPAddresses = nil })), bundle(ca),
			"it has no alternative names", "a name that is in the certificate"},
		"another name": {chainOf(issue(t, ca, "x", func(c *x509.Certificate) { c.IPAddresses, c.DNSNames = nil, []string{"sps1.example.com"} })), bundle(ca),
			"connect by a name that is in the certificate or, after you have compared the fingerprint, pin it with WithPinnedCertificates alone", "pass its CA"},
		"an intermediate missing":               {chainOf(issue(t, intermediate, "x")), bundle(ca), `needs the certificate of "CN=Intermediate", even if that is an intermediate one`, ""},
		"another CA":                            {chainOf(issue(t, intermediate, "x"), intermediate), bundle(self), `needs the certificate of "CN=CA"`, ""},
		"no CA passed":                          {chainOf(self), sps.WithRetry(sps.RetryPolicy{}), "pass its CA to WithCABundle or, after you have compared the fingerprint, pin it", ""},
		"a CA of the same name":                 {chainOf(issue(t, ca, "x")), bundle(sameName), "a trusted authority has the same name but did not sign it", ""},
		"an expired CA":                         {chainOf(issue(t, expiredCA, "x")), bundle(expiredCA), `the certificate of its authority "CN=Old CA" has expired: renew it and pass the new one to WithCABundle`, "pass its CA"},
		"signed by a certificate that is no CA": {chainOf(issue(t, noCA, "x")), bundle(noCA), "is not a CA certificate: pass the certificate of the CA to WithCABundle", ""},
		"150 CAs with the same name":            {chainOf(issue(t, many[len(many)-1], "x")), bundle(many...), "too many authorities in the CA bundle have the same name: pass fewer of them to WithCABundle", "pass its CA"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			_, err := sps.Connect(t.Context(), serveTLS(t, test.server), sps.UsernamePassword("u", sps.NewSecretString("p")), testkit.Quick, test.option)
			var untrusted *sps.CertificateError
			var broken *sps.TransportError
			if !errors.As(err, &untrusted) || !errors.As(err, &broken) {
				t.Fatalf("error %v, want a CertificateError", err)
			}
			text := err.Error()
			if !strings.Contains(text, test.want) || test.not != "" && strings.Contains(text, test.not) || strings.ContainsAny(text, "\n…") {
				t.Errorf("%s\nwant %q, not %q", text, test.want, test.not)
			}
			shown, _ := x509.ParseCertificate(test.server.Certificates[0].Certificate[0])
			testkit.Diff(t, "attempts", 1, broken.Attempts)
			testkit.Diff(t, "fingerprint", sps.CertificateFingerprint(shown), untrusted.Fingerprint)
			c, err := sps.Connect(t.Context(), serveTLS(t, test.server), sps.ExistingSession(sps.NewSecretString("x")), sps.WithPinnedCertificates(untrusted.Fingerprint))
			if err != nil {
				t.Fatal(err)
			}
			defer c.Close(t.Context())
			if _, err := c.Info(t.Context()); !errors.Is(err, sps.Status(404)) {
				t.Errorf("with a pinned certificate: %v, want the response of the server", err)
			}
		})
	}
}

// TestUnreadBlocks connects with a bundle in which Go cannot read the certificate of the
// required authority. It checks that the log and the error name the unreadable block, and that
// a bundle is rejected only if it has no readable certificate.
func TestUnreadBlocks(t *testing.T) {
	t.Parallel()
	ca, other := issue(t, nil, "CA", asCA), issue(t, nil, "Other", asCA)
	address := serveTLS(t, chainOf(issue(t, ca, "x")))
	bundle := testkit.PEM(other.Certificate) + testkit.PEM(testkit.NegativeSerial(t, ca.Certificate))
	var out bytes.Buffer
	connect := func(bundle string) error {
		_, err := sps.Connect(t.Context(), address, sps.UsernamePassword("u", sps.NewSecretString("p")), testkit.Quick,
			sps.WithCABundle([]byte(bundle)), sps.WithLogger(slog.New(slog.NewTextHandler(&out, nil))))
		return err
	}
	if err := connect(testkit.PEM(testkit.NegativeSerial(t, ca.Certificate))); !errors.Is(err, sps.ErrInvalidInput) || !strings.Contains(err.Error(), "no certificate that can be read") || out.Len() > 0 {
		t.Errorf("a bundle without a readable certificate: %v, log %s", err, &out)
	}
	err := connect(bundle)
	if !strings.Contains(out.String(), "the CA bundle has blocks that cannot be read") || !strings.Contains(out.String(), "block 2 (line 11): ") {
		t.Errorf("log %s", &out)
	}
	if text := fmt.Sprint(err); !strings.Contains(text, "the CA bundle has blocks that cannot be read: block 2 (line 11): ") || !strings.Contains(text, "GODEBUG=x509negativeserial=1") {
		t.Error(text)
	}
}

// TestNegativeSerial connects to an appliance whose certificate Go cannot read by default. It
// checks that the remedy in the error text works.
func TestNegativeSerial(t *testing.T) {
	leaf := issue(t, nil, "x", func(c *x509.Certificate) { c.SerialNumber = big.NewInt(1 << 40) })
	leaf.Certificate = testkit.NegativeSerial(t, leaf.Certificate)
	address := serveTLS(t, chainOf(leaf))
	credential := sps.UsernamePassword("u", sps.NewSecretString("p"))
	_, err := sps.Connect(t.Context(), address, credential, testkit.Quick, sps.WithInsecureTLS())
	var untrusted *sps.CertificateError
	var broken *sps.TransportError
	if !errors.As(err, &untrusted) || !errors.As(err, &broken) || broken.Attempts != 1 || untrusted.Fingerprint != "" {
		t.Fatalf("error %v, want a CertificateError after one attempt", err)
	}
	const help = "GODEBUG=x509negativeserial=1"
	if text := err.Error(); !strings.Contains(text, help) || strings.Contains(text, "fingerprint") {
		t.Error(text)
	}
	name, value, _ := strings.Cut(help, "=")
	t.Setenv(name, value)
	_, err = sps.Connect(t.Context(), address, credential, testkit.Quick, sps.WithPinnedCertificates(sps.CertificateFingerprint(leaf.Certificate)))
	if !errors.Is(err, sps.Status(404)) {
		t.Errorf("with %s: %v, want the response of the server", help, err)
	}
	if _, err := sps.ParseCertificates([]byte(testkit.PEM(leaf.Certificate))); err != nil {
		t.Errorf("with %s: %v", help, err)
	}
}
