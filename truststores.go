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
)

var trustStores = spec[TrustStore]{describe("configuration/trust_stores")}.checked(
	CheckChange(changedTrustStore),
	CheckKey[TrustStore](trustStoreKey),
	logWarnings((*TrustStore).Warnings),
	keepSpelling(respellTrustStore),
	UniqueName(func(s *TrustStore) string { return s.Name }),
)

// BuiltInTrustStoreKey is the key of the built-in trust store. The store contains
// well-known public authorities. The appliance does not list them, and does not allow
// changes to the store.
const BuiltInTrustStoreKey = "-7001"

// TrustStoreType is the origin of a [TrustStore].
type TrustStoreType string

// The types of trust stores.
const (
	TrustStoreBuiltIn TrustStoreType = "built-in" // part of the appliance, read-only, without a CRL check
	TrustStoreCustom  TrustStoreType = "custom"   // created by a user
)

// RevocationCheck says which certificates of a chain the appliance checks against the
// certificate revocation lists (CRLs).
type RevocationCheck string

// The revocation checks.
const (
	RevocationNone RevocationCheck = "none" // no check; CRLURLs must be empty
	RevocationLeaf RevocationCheck = "leaf" // check the leaf certificate; CRLURLs need at least the CRL of the authority that signed it
	RevocationFull RevocationCheck = "full" // check the whole chain; CRLURLs need the CRLs of all authorities of the chain
)

// TrustStore is a set of certificate authorities that the appliance trusts when it
// connects to other servers (guide: Basic settings, Trust stores;
// configuration/trust_stores). Make a new one with [NewTrustStore].
//
// The appliance uses the revocation lists in CRLURLs and ignores the URLs of revocation
// lists in the certificates. A user without a right on trust stores can still read them
// with the right to read an object that refers to one, such as the Starling join, the
// login settings or an LDAP server policy. Such a user cannot write them. A right on the
// management settings includes trust stores.
type TrustStore struct {
	// Name is the name of the store. It must be unique.
	Name string `json:"name"`
	// Authorities are the certificate authorities, without duplicates. The list is empty
	// for the built-in store.
	Authorities []TrustStoreAuthority `json:"authorities"`
	// CRLURLs are the http or https URLs of revocation lists, without duplicates.
	CRLURLs []string `json:"crl_urls"`
	// RevocationCheck says which certificates are checked against the lists.
	RevocationCheck RevocationCheck `json:"revocation_check"`
	// Type is [TrustStoreCustom] for a store that can be changed.
	Type TrustStoreType `json:"trust_store_type"`
}

// TrustStoreAuthority is a certificate authority in a [TrustStore]. For a new authority,
// set only PEM; the appliance fills in the other fields. Two PEM texts of the same
// certificate are the same authority: an update sends nothing if only the spelling of the
// PEM differs.
type TrustStoreAuthority struct {
	// PEM is the certificate in PEM form.
	PEM string `json:"pem"`
	// Issuer is the name of the certificate's issuer, in one line.
	Issuer string `json:"issuer,omitzero"`
	// Subject is the name of the certificate's subject, in one line.
	Subject string `json:"subject,omitzero"`
	// Fingerprint is the fingerprint of the certificate.
	Fingerprint TrustStoreFingerprint `json:"fingerprint,omitzero"`
}

// TrustStoreFingerprint is the fingerprint of a certificate, in the form that the
// appliance reports.
type TrustStoreFingerprint struct {
	// Digest is the hash in hex digits, in pairs separated by colons.
	Digest string `json:"digest"`
	// HashAlgorithm is the name of the hash, "sha256".
	HashAlgorithm string `json:"hash_algorithm"`
}

// NewTrustStore returns the body of a new trust store with the given authorities and
// without a revocation check.
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

// ParseCertificates reads the certificates in a PEM text, such as a CA file. It ignores
// text around the blocks and a byte order mark. It returns [ErrInvalidInput] if the text
// contains a private key, a block that is not a certificate, or a block that cannot be
// read, and if it contains no certificate. The error names the wrong blocks.
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

// CertificateFingerprint returns the SHA-256 fingerprint of a certificate in the form of
// [TrustStoreFingerprint].Digest. It returns "" for nil.
func CertificateFingerprint(certificate *x509.Certificate) string {
	if certificate == nil {
		return ""
	}
	return formatFingerprint(fingerprint(certificate))
}

// Certificate parses the PEM of the authority. It returns [ErrInvalidInput] if the PEM
// does not contain exactly one certificate.
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
		return nil, invalid("the PEM text has %d certificates; add each as an authority of its own", len(certificates))
	}
	return certificates[0], nil
}

// label returns a name of the authority for error texts.
func (a TrustStoreAuthority) label() string {
	switch {
	case a.Subject != "":
		return oneLine(a.Subject, 120)
	case a.Fingerprint.Digest != "":
		return oneLine(a.Fingerprint.Digest, 120)
	}
	return "without a subject"
}

// fingerprint returns the fingerprint of an authority as hex digits without colons, or ""
// if it is not known.
func (a TrustStoreAuthority) fingerprint() string {
	if certificate, err := a.parse(); err == nil {
		return fingerprint(certificate)
	}
	own, _ := parseFingerprint(a.Fingerprint.Digest)
	return own
}

// Certificates returns the certificates of the authorities. If some certificates cannot
// be parsed, it returns the other certificates and an error that names the broken ones.
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

// ExpiringBefore returns the certificates of the authorities that expire before t. It
// handles certificates that cannot be parsed like [TrustStore.Certificates]. For the
// built-in store, it returns no certificate, because the appliance does not list the
// authorities of that store.
func (s TrustStore) ExpiringBefore(t time.Time) ([]*x509.Certificate, error) {
	certificates, err := s.Certificates()
	return slices.DeleteFunc(certificates, func(c *x509.Certificate) bool { return !c.NotAfter.Before(t) }), err
}

// Authority returns the authority with the given SHA-256 fingerprint. Write the
// fingerprint as for [WithPinnedCertificates]. Authority returns [ErrNoSuchAuthority] if
// the store has no such authority, and [ErrInvalidInput] for an invalid fingerprint.
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

// AddAuthority adds a certificate authority. It returns [ErrAuthorityExists] if the store
// already has it, and [ErrInvalidInput] for nil. It does not check that the certificate
// is a CA certificate, see [TrustStore.Warnings]. If the store checks revocation, add a
// revocation list of the new authority to CRLURLs.
func (s *TrustStore) AddAuthority(certificate *x509.Certificate) error {
	fail := func(err error) error { return fmt.Errorf("sps: trust store %s: %w", quoted(s.Name), err) }
	if certificate == nil {
		return fail(invalid("the certificate is nil"))
	}
	name := oneLine(certificate.Subject.String(), 120)
	if s.index(fingerprint(certificate)) >= 0 {
		return fail(fmt.Errorf("%w: %s", ErrAuthorityExists, name))
	}
	s.Authorities = append(s.Authorities, newAuthority(certificate))
	return nil
}

// HasAuthority reports whether a certificate is one of the authorities. It compares the
// certificates, not their PEM texts.
func (s TrustStore) HasAuthority(certificate *x509.Certificate) bool {
	return certificate != nil && s.index(fingerprint(certificate)) >= 0
}

// SetAuthorities replaces the authorities with the given certificates, without
// duplicates. It keeps authorities that the store already has, in their order; it removes
// other authorities, and adds new ones at the end. If the certificates are the same as
// before, an update changes nothing. A nil certificate is [ErrInvalidInput]. If you pass
// no certificates, the store becomes empty.
func (s *TrustStore) SetAuthorities(certificates ...*x509.Certificate) error {
	wanted := make(map[string]bool, len(certificates)) // by fingerprint, until it is found
	for _, certificate := range certificates {
		if certificate == nil {
			return fmt.Errorf("sps: trust store %s: %w", quoted(s.Name), invalid("a certificate is nil"))
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

// RemoveAuthority removes the authority with a SHA-256 fingerprint, in the forms that
// [TrustStore.Authority] accepts. It returns [ErrNoSuchAuthority] if the store does not
// have the authority, and [ErrInvalidInput] if the text is not a fingerprint.
func (s *TrustStore) RemoveAuthority(fingerprint string) error {
	i, err := s.find(fingerprint)
	if err != nil {
		return err
	}
	s.Authorities = slices.Delete(s.Authorities, i, i+1)
	return nil
}

// Validate checks a new trust store against the rules of the guide and reports the broken
// rules. The error matches [ErrInvalidInput] and the error type that the appliance uses:
// [SyntacticError] or [SemanticError]. [Faults] lists the broken rules. Create, Update
// and Replace make the same checks before they write; Update and Replace ignore broken
// rules that the stored object already breaks. They also check that no other store has
// the same name. The appliance may still refuse a store that passes these checks.
func (s TrustStore) Validate() error {
	if err := s.invalid(s.faults()); err != nil {
		return fmt.Errorf("sps: %w", err)
	}
	return nil
}

// Warnings lists problems of a store that are not errors. There is one kind: an authority
// whose certificate is not a CA certificate, such as a self-signed certificate of a
// server. The guide does not say whether the appliance accepts such a certificate.
// Create, Update and Replace log the warnings about new authorities (see [WithLogger])
// and continue. [TrustStore.Validate] reports certificates that cannot be parsed.
func (s TrustStore) Warnings() []string {
	var warnings []string
	for _, authority := range s.Authorities {
		if certificate, err := authority.parse(); err == nil && !authoritative(certificate) {
			warnings = append(warnings, oneLine(certificate.Subject.String(), 120)+" is not a certificate authority: the appliance may refuse it, or trust nothing that it signed")
		}
	}
	return warnings
}

// storeFault is a rule that a trust store breaks.
type storeFault struct {
	ruleFault
	about string // the value that breaks the rule; "" for the store as a whole
}

// same returns a value that is equal for two faults that break the same rule with the
// same value.
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

// maxFaults limits how many faults an error names.
const maxFaults = 10

const builtInRefused = "a built-in trust store cannot be created, changed or deleted"

func (s TrustStore) faults() []storeFault {
	var faults []storeFault
	fault := func(as ErrorType, member, about, format string, args ...any) {
		faults = append(faults, storeFault{ruleFault{Fault{Message: fmt.Sprintf(format, args...), Member: member}, as}, about})
	}
	if s.Name == "" {
		fault(SyntacticError, "name", "", "the name is empty")
	}
	switch s.Type {
	case TrustStoreBuiltIn:
		fault(SyntacticError, "trust_store_type", "", builtInRefused)
	case "":
		fault(SyntacticError, "trust_store_type", "", "the type must be %q", TrustStoreCustom)
	}
	switch s.RevocationCheck {
	case RevocationNone:
		if len(s.CRLURLs) > 0 {
			fault(SyntacticError, "crl_urls", "", "without a revocation check (%q), CRL URLs are not allowed", RevocationNone)
		}
	case RevocationLeaf, RevocationFull:
		if len(s.CRLURLs) == 0 {
			fault(SyntacticError, "crl_urls", "", "the revocation check %q needs CRL URLs", s.RevocationCheck)
		}
	default:
		fault(SyntacticError, "revocation_check", "", "revocation check %s: use %q, %q or %q", quoted(string(s.RevocationCheck)), RevocationNone, RevocationLeaf, RevocationFull)
	}
	links := make(map[string]bool, len(s.CRLURLs))
	for i, link := range s.CRLURLs {
		member := fmt.Sprintf("crl_urls/%d", i)
		if u, err := url.Parse(link); err != nil || u.Host == "" || u.Scheme != "http" && u.Scheme != "https" {
			fault(SyntacticError, member, link, "the CRL URL %s is not an http or https URL", shownURL(link))
		}
		if links[link] {
			fault(SemanticError, member, link, "the CRL URL %s is duplicated", shownURL(link))
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
			fault(SemanticError, member, authority.PEM, "the authority %s is duplicated", name)
		}
		seen[string(certificate.Raw)] = true
	}
	return faults
}

// shownURL returns a URL for an error text, without its password.
func shownURL(link string) string {
	u, err := url.Parse(link)
	if err != nil {
		return "that cannot be parsed"
	}
	return quoted(u.Redacted())
}

// authoritative reports whether a certificate may sign others. A certificate of version 1
// or 2 cannot contain this information and counts as an authority.
func authoritative(certificate *x509.Certificate) bool {
	return certificate.Version < 3 || certificate.BasicConstraintsValid && certificate.IsCA
}

// changedTrustStore checks a new store against all rules. For a changed store, it ignores
// rules that the old store also broke, because a fault that the appliance has accepted
// must not block other changes.
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

// respellTrustStore restores the PEM text of the appliance for each certificate that is
// in both stores, because another PEM text of the same certificate is not a change.
func respellTrustStore(was, s *TrustStore) {
	known := make(map[string]TrustStoreAuthority, len(was.Authorities))
	for _, authority := range was.Authorities {
		if plain := authority.fingerprint(); known[plain].PEM == "" {
			known[plain] = authority
		}
	}
	s.Authorities = slices.Clone(s.Authorities) // the caller may use the old slice elsewhere
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
