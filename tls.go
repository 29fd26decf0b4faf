package sps

import (
	"bytes"
	"crypto/sha256"
	"crypto/tls"
	"crypto/x509"
	"encoding/hex"
	"errors"
	"net/url"
	"regexp"
	"slices"
	"strings"
	"time"
)

// tlsConfig makes the TLS configuration for the appliance: TLS 1.2 or later. The system's
// authorities must verify the certificate, unless the options specify another check.
func (o *config) tlsConfig(host string) *tls.Config {
	t := &tls.Config{
		MinVersion: tls.VersionTLS12,
		RootCAs:    o.roots,
	}
	if name := (&url.URL{Host: host}).Hostname(); withoutZone(name) != name {
		t.ServerName = withoutZone(name)
	}
	if o.clientCertificate != nil {
		// With TLS 1.2, a server may request the certificate after it has received the
		// HTTP request.
		t.Renegotiation = tls.RenegotiateOnceAsClient
		t.GetClientCertificate = func(*tls.CertificateRequestInfo) (*tls.Certificate, error) {
			return o.clientCertificate, nil
		}
	}
	switch {
	case o.insecure:
		t.InsecureSkipVerify = true
	case len(o.pins) > 0:
		// Without a CA bundle, the pins replace the verification of the certificate
		// chain, because most appliances have a self-signed certificate. With a CA
		// bundle, both checks must pass.
		t.InsecureSkipVerify = o.roots == nil
		// Unlike VerifyPeerCertificate, this function is also called for resumed
		// connections.
		t.VerifyConnection = func(state tls.ConnectionState) error {
			return checkPins(state.PeerCertificates, o.pins)
		}
	}
	return t
}

// withoutZone removes the zone from an IPv6 address. A zone is the name of a network
// interface of this machine, so a certificate does not contain it.
func withoutZone(name string) string {
	name, _, _ = strings.Cut(name, "%")
	return name
}

func checkPins(shown []*x509.Certificate, pins []string) error {
	if len(shown) == 0 {
		return errors.New("the appliance presented no certificate")
	}
	got := fingerprint(shown[0])
	for _, pin := range pins {
		if pin == got {
			return nil
		}
	}
	return &CertificateError{Fingerprint: formatFingerprint(got), Err: errNotPinned, shown: shown}
}

var errNotPinned = errors.New("the certificate is not one of the pinned certificates")

// certificateError converts an error about an untrusted certificate to a
// *CertificateError with the fingerprint. It returns other errors unchanged.
func certificateError(err error) error {
	var known *CertificateError
	var verification *tls.CertificateVerificationError
	switch {
	case errors.As(err, &known):
		return known
	case errors.As(err, &verification):
		e := &CertificateError{Err: verification.Err, shown: verification.UnverifiedCertificates}
		if len(e.shown) > 0 {
			e.Fingerprint = formatFingerprint(fingerprint(e.shown[0]))
		}
		return e
	}
	for cause := err; cause != nil; cause = errors.Unwrap(cause) {
		if isUnread(cause.Error()) {
			return &CertificateError{Err: cause}
		}
	}
	return err
}

// isUnread reports whether an error of crypto/tls says that it cannot read the server's
// certificate. These errors have no types.
func isUnread(text string) bool {
	return strings.HasPrefix(text, "tls: failed to parse certificate from server: ") ||
		strings.HasPrefix(text, "tls: server sent certificate containing RSA key larger than ") ||
		strings.HasPrefix(text, "tls: server's certificate contains an unsupported type of public key")
}

// certificateError converts an error like the function certificateError. If the authority
// of the certificate is unknown, it adds the blocks of the CA bundle that could not be
// read, because the authority may be in one of them.
func (t *transport) certificateError(err error) error {
	err = certificateError(err)
	var unknown x509.UnknownAuthorityError
	known, ok := err.(*CertificateError)
	if !ok || len(t.unread) == 0 || !errors.As(known.Err, &unknown) {
		return err
	}
	told := *known
	told.unread = t.unread
	return &told
}

const (
	pinIt      = "after you have compared the fingerprint, pin it with WithPinnedCertificates"
	pinItAlone = pinIt + " alone"
)

// hint returns the remedy for the error.
func (e *CertificateError) hint() string {
	var name x509.HostnameError
	var invalid x509.CertificateInvalidError
	var unknown x509.UnknownAuthorityError
	text := causeOf(e.Err).Error()
	switch {
	case e.Err == errNotPinned:
		return "it may have been renewed: compare the fingerprint with the one that the appliance shows before you pin it"
	case strings.Contains(text, "negative serial number"):
		return "Go accepts a negative serial number if the program runs with GODEBUG=x509negativeserial=1; or create a new certificate on the appliance"
	case strings.Contains(text, "RSA key larger than"):
		return "Go accepts the key if the program runs with GODEBUG=tlsmaxrsasize=16384; or create a new certificate on the appliance"
	case isUnread(text):
		return "Go cannot read it: create a new certificate on the appliance"
	case strings.Contains(text, "signature check attempts limit"):
		return "too many authorities in the CA bundle have the same name: pass fewer of them to WithCABundle, if possible only this appliance's, or, " + pinIt
	case errors.As(e.Err, &name):
		if c := name.Certificate; c != nil && len(c.DNSNames)+len(c.IPAddresses) == 0 {
			return "it has no alternative names, and Go ignores the common name: renew it with alternative names or, " + pinItAlone
		}
		return "connect by a name that is in the certificate or, " + pinItAlone
	case errors.As(e.Err, &invalid) && invalid.Reason == x509.Expired:
		return e.validity(invalid.Cert)
	case errors.As(e.Err, &invalid) && invalid.Reason == x509.IncompatibleUsage:
		return "it is not a server certificate: renew it on the appliance with the extended key usage serverAuth or, " + pinItAlone
	case errors.As(e.Err, &invalid) && invalid.Reason == x509.NotAuthorizedToSign:
		return "the certificate that signed it is not a CA certificate: pass the certificate of the CA to WithCABundle or, " + pinItAlone
	case errors.As(e.Err, &unknown):
		return e.unknown(text)
	}
	return "renew it on the appliance or, " + pinItAlone
}

// validity returns the remedy for a certificate outside of its validity period.
func (e *CertificateError) validity(c *x509.Certificate) string {
	its, where := "it", "on the appliance"
	if len(e.shown) > 0 && c != nil && !c.Equal(e.shown[0]) {
		its, where = "the certificate of its authority "+quoted(oneLine(c.Subject.String(), 100)), "and pass the new one to WithCABundle"
	}
	if c != nil && time.Now().Before(c.NotBefore) {
		return its + " is not valid yet: check the clocks of this machine and of the appliance or, " + pinItAlone
	}
	return its + " has expired: renew it " + where + ", or check the clock of this machine or, " + pinItAlone
}

// unknown returns the remedy if no trusted authority has signed the certificate. text is
// the error text of crypto/x509. If a trusted authority has the name of the issuer, the
// text says why that authority was not accepted.
func (e *CertificateError) unknown(text string) string {
	switch why, _, candidate := strings.Cut(text, "while trying to verify candidate authority certificate"); {
	case !candidate:
	case strings.Contains(why, "insecure algorithm"):
		return "it is signed with an algorithm that is no longer safe, such as SHA-1: renew it on the appliance or, " + pinItAlone
	case strings.Contains(why, "cannot sign this kind of certificate"):
		return "the certificate that signed it is not a CA certificate: pass the certificate of the CA to WithCABundle or, " + pinItAlone
	default:
		return "a trusted authority has the same name but did not sign it: pass this appliance's CA to WithCABundle or, " + pinItAlone
	}
	issuer := e.issuer()
	if issuer == "" {
		return "pass its CA to WithCABundle or, " + pinIt
	}
	return "pass its CA to WithCABundle: it needs the certificate of " + quoted(oneLine(issuer, 100)) + ", even if that is an intermediate one; or, " + pinIt
}

// issuer returns the name of the issuer whose certificate is missing from the chain that
// the appliance presented, or "" if the chain ends with a self-signed certificate.
func (e *CertificateError) issuer() string {
	if len(e.shown) == 0 {
		return ""
	}
	top := e.shown[0]
	for range e.shown {
		if bytes.Equal(top.RawIssuer, top.RawSubject) {
			return ""
		}
		i := slices.IndexFunc(e.shown, func(c *x509.Certificate) bool { return bytes.Equal(c.RawSubject, top.RawIssuer) })
		if i < 0 {
			break
		}
		top = e.shown[i]
	}
	return top.Issuer.String()
}

// fingerprint returns the SHA-256 fingerprint of a certificate in lower-case hex digits.
func fingerprint(c *x509.Certificate) string {
	sum := sha256.Sum256(c.Raw)
	return hex.EncodeToString(sum[:])
}

// sha256Label matches the label that openssl and other programs print before a
// fingerprint.
var sha256Label = regexp.MustCompile(`(?i)^sha-?256(\s+fingerprint)?\s*[=:]`)

// parseFingerprint accepts hex digits in either case, with or without colons or spaces
// between the pairs, and an optional label before them.
func parseFingerprint(text string) (string, error) {
	plain := strings.TrimSpace(text)
	plain = plain[len(sha256Label.FindString(plain)):]
	digits := strings.ToLower(strings.NewReplacer(":", "", " ", "").Replace(strings.TrimSpace(plain)))
	if sum, err := hex.DecodeString(digits); err != nil || len(sum) != sha256.Size {
		return "", invalid("fingerprint %s is not a SHA-256 fingerprint: give 64 hex digits, with or without colons, as openssl x509 -noout -fingerprint -sha256 prints them", quoted(text))
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

func untrusted(err error) bool {
	var cert *CertificateError
	return errors.As(certificateError(err), &cert)
}
