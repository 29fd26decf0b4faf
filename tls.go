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

// tlsConfig makes the client's TLS configuration for the appliance: TLS 1.2 or later,
// verified against the system's roots unless the options say otherwise.
func (o *config) tlsConfig(host string) *tls.Config {
	t := &tls.Config{
		MinVersion: tls.VersionTLS12,
		RootCAs:    o.roots,
	}
	if name := (&url.URL{Host: host}).Hostname(); withoutZone(name) != name {
		t.ServerName = withoutZone(name)
	}
	if o.clientCertificate != nil {
		// Web servers with TLS 1.2 may ask for the certificate after the request.
		t.Renegotiation = tls.RenegotiateOnceAsClient
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

// withoutZone takes the zone off an address: it names an interface of this machine, and
// stands in no certificate.
func withoutZone(name string) string {
	name, _, _ = strings.Cut(name, "%")
	return name
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
	return &CertificateError{Fingerprint: formatFingerprint(got), Err: errNotPinned, shown: shown}
}

var errNotPinned = errors.New("it is none of the pinned certificates")

// certificateError recognises a certificate that was not trusted, and adds the
// fingerprint.
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

// isUnread reports whether an error of crypto/tls says that it cannot read what the
// server showed. These errors have no types.
func isUnread(text string) bool {
	return strings.HasPrefix(text, "tls: failed to parse certificate from server: ") ||
		strings.HasPrefix(text, "tls: server sent certificate containing RSA key larger than ") ||
		strings.HasPrefix(text, "tls: server's certificate contains an unsupported type of public key")
}

// certificateError is what a certificate that was not trusted means to this client: the
// authority may stand in a block of the bundle that could not be read.
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
	pinIt      = "once compared, pin it with WithPinnedCertificates"
	pinItAlone = pinIt + " alone"
)

// hint says what helps with the reason.
func (e *CertificateError) hint() string {
	var name x509.HostnameError
	var invalid x509.CertificateInvalidError
	var unknown x509.UnknownAuthorityError
	text := causeOf(e.Err).Error()
	switch {
	case e.Err == errNotPinned:
		return "it may have been renewed: compare it with the appliance's own before you pin it"
	case strings.Contains(text, "negative serial number"):
		return "Go reads one with a negative serial number where the program runs with GODEBUG=x509negativeserial=1; or let the appliance make a new one"
	case strings.Contains(text, "RSA key larger than"):
		return "Go takes it where the program runs with GODEBUG=tlsmaxrsasize=16384; or let the appliance make a new one"
	case isUnread(text):
		return "Go cannot read it: let the appliance make a new one"
	case strings.Contains(text, "signature check attempts limit"):
		return "too many authorities of the CA bundle have the same name: give WithCABundle fewer of them, best this appliance's alone, or, " + pinIt
	case errors.As(e.Err, &name):
		if c := name.Certificate; c != nil && len(c.DNSNames)+len(c.IPAddresses) == 0 {
			return "it names no host in its alternative names, and Go does not look at the common name: renew it with them or, " + pinItAlone
		}
		return "connect by a name that stands in it or, " + pinItAlone
	case errors.As(e.Err, &invalid) && invalid.Reason == x509.Expired:
		return e.validity(invalid.Cert)
	case errors.As(e.Err, &invalid) && invalid.Reason == x509.IncompatibleUsage:
		return "it is not made for servers: renew it on the appliance with the extended key usage serverAuth or, " + pinItAlone
	case errors.As(e.Err, &invalid) && invalid.Reason == x509.NotAuthorizedToSign:
		return "the certificate that signed it is no authority's: give WithCABundle that of the authority or, " + pinItAlone
	case errors.As(e.Err, &unknown):
		return e.unknown(text)
	}
	return "renew it on the appliance or, " + pinItAlone
}

// validity says what helps with a certificate outside of its time.
func (e *CertificateError) validity(c *x509.Certificate) string {
	its, where := "it", "on the appliance"
	if len(e.shown) > 0 && c != nil && !c.Equal(e.shown[0]) {
		its, where = "the certificate of its authority "+quoted(oneLine(c.Subject.String(), 100)), "and give WithCABundle the new one"
	}
	if c != nil && time.Now().Before(c.NotBefore) {
		return its + " is valid from later on: check the clocks of this machine and of the appliance or, " + pinItAlone
	}
	return its + " has expired: renew it " + where + ", or check the clock of this machine or, " + pinItAlone
}

// unknown says what helps where no authority is known to have signed it. Where one had
// the right name, crypto/x509 says in the text why it was not the one.
func (e *CertificateError) unknown(text string) string {
	switch why, _, candidate := strings.Cut(text, "while trying to verify candidate authority certificate"); {
	case !candidate:
	case strings.Contains(why, "insecure algorithm"):
		return "it is signed by an algorithm that is no longer safe, such as SHA-1: renew it on the appliance or, " + pinItAlone
	case strings.Contains(why, "cannot sign this kind of certificate"):
		return "the certificate that signed it is no authority's: give WithCABundle that of the authority or, " + pinItAlone
	default:
		return "an authority of the same name is trusted, but another one signed it: trust this appliance's CA with WithCABundle or, " + pinItAlone
	}
	issuer := e.issuer()
	if issuer == "" {
		return "trust its CA with WithCABundle or, " + pinIt
	}
	return "trust its CA with WithCABundle, which needs the certificate of " + quoted(oneLine(issuer, 100)) + ", be that an intermediate one; or, " + pinIt
}

// issuer is the name of whose certificate is missing above what was shown, "" where what
// was shown ends with its own issuer.
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
