package sps

import (
	"crypto/sha256"
	"crypto/tls"
	"crypto/x509"
	"encoding/hex"
	"errors"
	"regexp"
	"strings"
)

// tlsConfig makes the client's TLS configuration: TLS 1.2 or later, verified
// against the system's roots unless the options say otherwise.
func (o *config) tlsConfig() *tls.Config {
	t := &tls.Config{
		MinVersion: tls.VersionTLS12,
		RootCAs:    o.roots,
	}
	if o.clientCertificate != nil {
		t.GetClientCertificate = func(*tls.CertificateRequestInfo) (*tls.Certificate, error) {
			return o.clientCertificate, nil
		}
	}
	switch {
	case o.insecure:
		t.InsecureSkipVerify = true
	case len(o.pins) > 0:
		// Pins without a CA bundle take the place of the chain: the usual
		// appliance is self-signed. With one, both must hold.
		t.InsecureSkipVerify = o.roots == nil
		// Unlike VerifyPeerCertificate it is called on resumed connections too.
		t.VerifyConnection = func(state tls.ConnectionState) error {
			return checkPins(state.PeerCertificates, o.pins)
		}
	}
	return t
}

func checkPins(shown []*x509.Certificate, pins []string) error {
	if len(shown) == 0 {
		return errors.New("the appliance showed no certificate")
	}
	got := fingerprint(shown[0])
	for _, pin := range pins {
		if pin == got {
			return nil
		}
	}
	return &CertificateError{formatFingerprint(got), errNotPinned}
}

var errNotPinned = errors.New("it is none of the pinned certificates")

// fingerprint returns the SHA-256 of a certificate, lower-case hex.
func fingerprint(c *x509.Certificate) string {
	sum := sha256.Sum256(c.Raw)
	return hex.EncodeToString(sum[:])
}

// sha256Label is what stands before a fingerprint where openssl and others print it.
var sha256Label = regexp.MustCompile(`(?i)^sha-?256(\s+fingerprint)?\s*[=:]`)

// parseFingerprint accepts hex digits in either case, in pairs separated by
// colons or spaces or not at all, and the name of the hash before them.
func parseFingerprint(text string) (string, error) {
	plain := strings.TrimSpace(text)
	plain = plain[len(sha256Label.FindString(plain)):]
	digits := strings.ToLower(strings.NewReplacer(":", "", " ", "").Replace(strings.TrimSpace(plain)))
	if sum, err := hex.DecodeString(digits); err != nil || len(sum) != sha256.Size {
		return "", invalid("fingerprint %s is no SHA-256: 64 hex digits are expected, colons allowed, as openssl x509 -noout -fingerprint -sha256 prints them", quoted(text))
	}
	return digits, nil
}

func formatFingerprint(digits string) string {
	var b strings.Builder
	for i := 0; i+2 <= len(digits); i += 2 {
		if i > 0 {
			b.WriteByte(':')
		}
		b.WriteString(digits[i : i+2])
	}
	return b.String()
}
