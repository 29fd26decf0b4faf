package sps

import (
	"bytes"
	"crypto/x509"
	"encoding/pem"
	"fmt"
	"net/url"
	"slices"
	"strings"
	"time"

	"github.com/go-sps/sps/internal/pemtext"
	"github.com/go-sps/sps/internal/wire"
)

var trustStores = spec[TrustStore]{describe("configuration/trust_stores")}.checked(
	CheckChange(changedTrustStore),
	CheckKey[TrustStore](trustStoreKey),
	logWarnings((*TrustStore).Warnings),
	keepSpelling(respellTrustStore),
	UniqueName(func(s *TrustStore) string { return s.Name }),
)

// BuiltInTrustStoreKey is the key of the built-in trust store. It has well known
// authorities, which the appliance does not list, and cannot be changed.
const BuiltInTrustStoreKey = "-7001"

// TrustStoreType tells where a [TrustStore] comes from.
type TrustStoreType string

// The types of trust stores.
const (
	TrustStoreBuiltIn TrustStoreType = "built-in" // came with the appliance, read-only, without a CRL check
	TrustStoreCustom  TrustStoreType = "custom"   // made by a user
)

// RevocationCheck tells which certificates of a chain are looked for in revocation
// lists.
type RevocationCheck string

// The revocation checks.
const (
	RevocationNone RevocationCheck = "none" // no check; CRLURLs must be empty
	RevocationLeaf RevocationCheck = "leaf" // CRLURLs need at least the CRL of the authority that signed the certificate
	RevocationFull RevocationCheck = "full" // CRLURLs need the CRLs of all authorities of the chain
)

// TrustStore is a set of certificate authorities that the appliance trusts when it
// connects to others (guide: Basic settings, Trust stores;
// configuration/trust_stores). [NewTrustStore] makes one.
//
// Only the URLs in CRLURLs are looked at for revocation lists; those in the
// certificates are ignored. Users without a right on trust stores can still read
// them if they may read something that refers to one, such as the Starling join,
// the login settings or an LDAP server policy; they cannot write them. A right on
// the management settings is the exception: it holds for trust stores too.
type TrustStore struct {
	// Name is unique among the trust stores.
	Name string `json:"name"`
	// Authorities are the certificate authorities, each once. The built-in store
	// does not list its own.
	Authorities []TrustStoreAuthority `json:"authorities"`
	// CRLURLs are the http or https URLs of revocation lists, each once.
	CRLURLs []string `json:"crl_urls"`
	// RevocationCheck tells which certificates are looked for in them.
	RevocationCheck RevocationCheck `json:"revocation_check"`
	// Type is [TrustStoreCustom] for every store that can be written.
	Type TrustStoreType `json:"trust_store_type"`
}

// TrustStoreAuthority is a certificate authority in a [TrustStore]. A new one is its PEM; the
// appliance makes the rest of it. Two texts that hold the same certificate are the same
// authority: an update does not send one because its PEM is spelled in another way.
type TrustStoreAuthority struct {
	// PEM is the certificate in PEM form.
	PEM string `json:"pem"`
	// Issuer is the name of who signed the certificate, in one line.
	Issuer string `json:"issuer,omitzero"`
	// Subject is the name of whose certificate it is, in one line.
	Subject string `json:"subject,omitzero"`
	// Fingerprint is that of the certificate.
	Fingerprint TrustStoreFingerprint `json:"fingerprint,omitzero"`
}

// TrustStoreFingerprint is the hash of a certificate, as the appliance writes it.
type TrustStoreFingerprint struct {
	// Digest is the hash in hex, in pairs separated by colons.
	Digest string `json:"digest"`
	// HashAlgorithm names the hash, "sha256".
	HashAlgorithm string `json:"hash_algorithm"`
}

// NewTrustStore makes the body of a new trust store of these authorities, without a
// revocation check.
func NewTrustStore(name string, certificates ...*x509.Certificate) TrustStore {
	s := TrustStore{Name: name, CRLURLs: []string{}, RevocationCheck: RevocationNone, Type: TrustStoreCustom}
	for _, certificate := range certificates {
		s.Authorities = append(s.Authorities, newAuthority(certificate))
	}
	return s
}

func newAuthority(certificate *x509.Certificate) TrustStoreAuthority {
	if certificate == nil {
		return TrustStoreAuthority{}
	}
	return TrustStoreAuthority{PEM: string(pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: certificate.Raw}))}
}

// ParseCertificates reads the certificates of a PEM text, such as a file of
// authorities. Text around the blocks and a byte order mark are ignored. A private key, a
// block that is no certificate or cannot be read, and a text without a certificate are
// [ErrInvalidInput], which names the blocks.
func ParseCertificates(text []byte) ([]*x509.Certificate, error) {
	certificates, err := parseCertificates(text)
	if err != nil {
		return nil, fmt.Errorf("sps: %w", err)
	}
	return certificates, nil
}

func parseCertificates(text []byte) ([]*x509.Certificate, error) {
	p, err := pemtext.Read(text)
	if err != nil {
		what := "the text"
		if bytes.Contains(text, []byte(pemtext.Begin)) {
			what = "the PEM text"
		}
		return nil, invalid("%s %s", what, err)
	}
	if len(p.Unread) > 0 {
		return nil, invalid("%s", p.UnreadBlocks())
	}
	return p.Certificates, nil
}

// CertificateFingerprint returns the SHA-256 of a certificate in the form of
// [TrustStoreFingerprint].Digest; "" for none.
func CertificateFingerprint(certificate *x509.Certificate) string {
	if certificate == nil {
		return ""
	}
	return formatFingerprint(fingerprint(certificate))
}

// Certificate parses the PEM. One that holds no certificate, or several, is
// [ErrInvalidInput].
func (a TrustStoreAuthority) Certificate() (*x509.Certificate, error) {
	certificate, err := a.parse()
	if err != nil {
		return nil, fmt.Errorf("sps: authority %s: %w", a.label(), err)
	}
	return certificate, nil
}

func (a TrustStoreAuthority) parse() (*x509.Certificate, error) {
	certificates, err := parseCertificates([]byte(a.PEM))
	if err != nil {
		return nil, err
	}
	if len(certificates) > 1 {
		return nil, invalid("the PEM text holds %d certificates; each is an authority of its own", len(certificates))
	}
	return certificates[0], nil
}

// certificateIn returns the certificates of a PEM text, or that of an authority of a trust
// store; nil for anything else.
func certificateIn(value []byte) []*x509.Certificate {
	if !bytes.Contains(value, []byte("-----BEGIN CERTIFICATE-----")) {
		return nil
	}
	if wire.Kind(value) == wire.Object {
		members, _ := wire.Members(value)
		for _, m := range members {
			switch m.Name { // beside the PEM, what the appliance makes of it
			case "pem":
				value = m.Value
			case "issuer", "subject", "fingerprint":
			default:
				return nil
			}
		}
	}
	text, _ := wire.Text(value)
	certificates, err := parseCertificates([]byte(text))
	if err != nil {
		return nil
	}
	return certificates
}

// label names an authority for people.
func (a TrustStoreAuthority) label() string {
	switch {
	case a.Subject != "":
		return oneLine(a.Subject, 120)
	case a.Fingerprint.Digest != "":
		return oneLine(a.Fingerprint.Digest, 120)
	}
	return "without a subject"
}

// fingerprint is that of an authority in the plain form, "" where it is not known.
func (a TrustStoreAuthority) fingerprint() string {
	if certificate, err := a.parse(); err == nil {
		return fingerprint(certificate)
	}
	own, _ := parseFingerprint(a.Fingerprint.Digest)
	return own
}

// Certificates returns the certificates of the authorities. Where some cannot be
// parsed it returns the others, and an error that names those.
func (s TrustStore) Certificates() ([]*x509.Certificate, error) {
	var certificates []*x509.Certificate
	var errs []error
	for _, authority := range s.Authorities {
		certificate, err := authority.Certificate()
		if err != nil {
			errs = append(errs, err)
			continue
		}
		certificates = append(certificates, certificate)
	}
	if errs != nil {
		return certificates, joined("sps: trust store "+quoted(s.Name), errs)
	}
	return certificates, nil
}

// ExpiringBefore returns the certificates of the authorities that are not valid at
// that time any more. It treats those that cannot be parsed like
// [TrustStore.Certificates]. The built-in store does not list its own, and so gives
// none.
func (s TrustStore) ExpiringBefore(t time.Time) ([]*x509.Certificate, error) {
	certificates, err := s.Certificates()
	return slices.DeleteFunc(certificates, func(c *x509.Certificate) bool { return !c.NotAfter.Before(t) }), err
}

// Authority returns the authority with that SHA-256 fingerprint, in the forms of
// [WithPinnedCertificates]. It gives [ErrNoSuchAuthority] where there is none, and
// [ErrInvalidInput] for what is no fingerprint.
func (s TrustStore) Authority(fingerprint string) (TrustStoreAuthority, error) {
	i, err := s.find(fingerprint)
	if err != nil {
		return TrustStoreAuthority{}, err
	}
	return s.Authorities[i], nil
}

func (s TrustStore) find(fingerprint string) (int, error) {
	plain, err := parseFingerprint(fingerprint)
	if err != nil {
		return 0, fmt.Errorf("sps: %w", err)
	}
	i := s.index(plain)
	if i < 0 {
		return 0, fmt.Errorf("sps: trust store %s: %w: %s", quoted(s.Name), ErrNoSuchAuthority, formatFingerprint(plain))
	}
	return i, nil
}

func (s TrustStore) index(plain string) int {
	return slices.IndexFunc(s.Authorities, func(a TrustStoreAuthority) bool { return a.fingerprint() == plain })
}

// AddAuthority adds a certificate authority. It gives [ErrAuthorityExists] for one
// that the store has already, and [ErrInvalidInput] for nil. A certificate that is no
// authority's is added, see [TrustStore.Warnings]. Where the store checks revocation, mind
// that it needs a list of the new authority among its CRLURLs.
func (s *TrustStore) AddAuthority(certificate *x509.Certificate) error {
	fail := func(err error) error { return fmt.Errorf("sps: trust store %s: %w", quoted(s.Name), err) }
	if certificate == nil {
		return fail(invalid("no certificate"))
	}
	name := oneLine(certificate.Subject.String(), 120)
	if s.index(fingerprint(certificate)) >= 0 {
		return fail(fmt.Errorf("%w: %s", ErrAuthorityExists, name))
	}
	s.Authorities = append(s.Authorities, newAuthority(certificate))
	return nil
}

// HasAuthority reports whether a certificate is one of the authorities, however its PEM is
// spelled there.
func (s TrustStore) HasAuthority(certificate *x509.Certificate) bool {
	return certificate != nil && s.index(fingerprint(certificate)) >= 0
}

// SetAuthorities makes these certificates the authorities, each once. What the store has of
// them stays where and as it is, the others are removed, and what is new comes last: an
// update that sets the same certificates again changes nothing. nil among them is
// [ErrInvalidInput], and no certificate at all empties the store.
func (s *TrustStore) SetAuthorities(certificates ...*x509.Certificate) error {
	wanted := make(map[string]bool, len(certificates)) // by fingerprint, until it was found
	for _, certificate := range certificates {
		if certificate == nil {
			return fmt.Errorf("sps: trust store %s: %w", quoted(s.Name), invalid("no certificate"))
		}
		wanted[fingerprint(certificate)] = true
	}
	authorities := make([]TrustStoreAuthority, 0, len(wanted))
	for _, authority := range s.Authorities {
		if plain := authority.fingerprint(); wanted[plain] {
			wanted[plain] = false
			authorities = append(authorities, authority)
		}
	}
	for _, certificate := range certificates {
		if plain := fingerprint(certificate); wanted[plain] {
			wanted[plain] = false
			authorities = append(authorities, newAuthority(certificate))
		}
	}
	s.Authorities = authorities
	return nil
}

// RemoveAuthority removes the authority that [TrustStore.Authority] finds.
func (s *TrustStore) RemoveAuthority(fingerprint string) error {
	i, err := s.find(fingerprint)
	if err != nil {
		return err
	}
	s.Authorities = slices.Delete(s.Authorities, i, i+1)
	return nil
}

// Validate tells the rules of the guide that a new trust store breaks, all of them, as
// [ErrInvalidInput] and, with its detail, what the appliance would say: [SyntacticError]
// and [SemanticError]. [Faults] gives them one by one. Create, Update and Replace ask it before they send
// anything; an update is held only to what it changed. They also look whether
// another store has the name, which must be unique. The appliance stays the judge
// of what Validate lets through: it answers with [SyntacticError] or
// [SemanticError].
func (s TrustStore) Validate() error {
	if err := s.invalid(s.faults()); err != nil {
		return fmt.Errorf("sps: %w", err)
	}
	return nil
}

// Warnings tells what is unusual about a store and may not work as it is meant: an
// authority whose certificate says that it is none, such as that of a self-signed server.
// The guide speaks of CA certificates and no more, so the appliance may take it. Create,
// Update and Replace go on, and log the warnings about what is new (see [WithLogger]).
// Authorities that cannot be read are left to [TrustStore.Validate].
func (s TrustStore) Warnings() []string {
	var warnings []string
	for _, authority := range s.Authorities {
		if certificate, err := authority.parse(); err == nil && !authoritative(certificate) {
			warnings = append(warnings, oneLine(certificate.Subject.String(), 120)+" is no certificate authority: the appliance may refuse it, or trust nothing that it signed")
		}
	}
	return warnings
}

// storeFault is a rule that a trust store breaks.
type storeFault struct {
	ruleFault
	about string // the value that breaks it, "" for the store as a whole
}

// same is what two versions of a store have in common where they break a rule alike.
func (f storeFault) same() [2]string { return [2]string{f.about, f.Message} }

func (s TrustStore) invalid(faults []storeFault) error {
	if len(faults) == 0 {
		return nil
	}
	u := &unmet{own: ErrInvalidInput}
	for _, fault := range faults {
		u.faults = append(u.faults, fault.ruleFault)
	}
	texts := make([]string, 0, maxFaults+1)
	for i, fault := range faults {
		if i == maxFaults {
			texts = append(texts, fmt.Sprintf("and %d more", len(faults)-i))
			break
		}
		texts = append(texts, fault.Message)
	}
	u.text = fmt.Sprintf("trust store %s: %s", quoted(s.Name), strings.Join(texts, "; "))
	return u
}

// maxFaults bounds how many faults an error names.
const maxFaults = 10

const builtInRefused = "a built-in trust store cannot be created, changed or deleted"

func (s TrustStore) faults() []storeFault {
	var faults []storeFault
	fault := func(as ErrorType, member, about, format string, args ...any) {
		faults = append(faults, storeFault{ruleFault{Fault{Message: fmt.Sprintf(format, args...), Member: member}, as}, about})
	}
	if s.Name == "" {
		fault(SyntacticError, "name", "", "it needs a name")
	}
	switch s.Type {
	case TrustStoreBuiltIn:
		fault(SyntacticError, "trust_store_type", "", builtInRefused)
	case "":
		fault(SyntacticError, "trust_store_type", "", "it needs the type %q", TrustStoreCustom)
	}
	switch s.RevocationCheck {
	case RevocationNone:
		if len(s.CRLURLs) > 0 {
			fault(SyntacticError, "crl_urls", "", "without a revocation check (%q) it must have no CRL URLs", RevocationNone)
		}
	case RevocationLeaf, RevocationFull:
		if len(s.CRLURLs) == 0 {
			fault(SyntacticError, "crl_urls", "", "the revocation check %q needs CRL URLs", s.RevocationCheck)
		}
	default:
		fault(SyntacticError, "revocation_check", "", "the revocation check %s is none of %q, %q and %q", quoted(string(s.RevocationCheck)), RevocationNone, RevocationLeaf, RevocationFull)
	}
	links := make(map[string]bool, len(s.CRLURLs))
	for i, link := range s.CRLURLs {
		member := fmt.Sprintf("crl_urls/%d", i)
		if u, err := url.Parse(link); err != nil || u.Host == "" || u.Scheme != "http" && u.Scheme != "https" {
			fault(SyntacticError, member, link, "the CRL URL %s is no http or https URL", shownURL(link))
		}
		if links[link] {
			fault(SemanticError, member, link, "the CRL URL %s is there twice", shownURL(link))
		}
		links[link] = true
	}
	seen := map[string]bool{}
	for i, authority := range s.Authorities {
		member := fmt.Sprintf("authorities/%d", i)
		certificate, err := authority.parse()
		if err != nil {
			fault(SyntacticError, member+"/pem", authority.PEM, "authority %s: %s", authority.label(), strings.TrimPrefix(err.Error(), ErrInvalidInput.Error()+": "))
			continue
		}
		name := oneLine(certificate.Subject.String(), 120)
		if seen[string(certificate.Raw)] {
			fault(SemanticError, member, authority.PEM, "the authority %s is there twice", name)
		}
		seen[string(certificate.Raw)] = true
	}
	return faults
}

// shownURL shows a URL without a password in it.
func shownURL(link string) string {
	u, err := url.Parse(link)
	if err != nil {
		return "that cannot be parsed"
	}
	return quoted(u.Redacted())
}

// authoritative reports whether a certificate may sign others. Those of version 1
// cannot say so.
func authoritative(certificate *x509.Certificate) bool {
	return certificate.Version < 3 || certificate.BasicConstraintsValid && certificate.IsCA
}

// changedTrustStore holds a new store to all rules, and a change to what it changed: what
// the appliance has taken must not keep anybody from changing the rest.
func changedTrustStore(was, s *TrustStore) error {
	if was == nil {
		return s.invalid(s.faults())
	}
	if was.Type == TrustStoreBuiltIn {
		return breach(SyntacticError, "", builtInRefused)
	}
	old := map[[2]string]bool{}
	for _, fault := range was.faults() {
		old[fault.same()] = true
	}
	return s.invalid(slices.DeleteFunc(s.faults(), func(fault storeFault) bool { return old[fault.same()] }))
}

// respellTrustStore gives a certificate that the appliance has the spelling that it has there:
// one in another is no change.
func respellTrustStore(was, s *TrustStore) {
	known := make(map[string]TrustStoreAuthority, len(was.Authorities))
	for _, authority := range was.Authorities {
		if plain := authority.fingerprint(); known[plain].PEM == "" {
			known[plain] = authority
		}
	}
	s.Authorities = slices.Clone(s.Authorities) // the caller may have another use for them
	for i, authority := range s.Authorities {
		if slices.Contains(was.Authorities, authority) {
			continue
		}
		if certificate, err := authority.parse(); err == nil {
			if old := known[fingerprint(certificate)]; old.PEM != "" {
				s.Authorities[i] = old
			}
		}
	}
}

func trustStoreKey(key string) error {
	if key == BuiltInTrustStoreKey {
		return breach(SyntacticError, "", builtInRefused)
	}
	return nil
}
