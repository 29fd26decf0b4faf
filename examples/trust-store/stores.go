package main

import (
	"context"
	"crypto/x509"
	"errors"
	"fmt"
	"strings"
	"time"

	"github.com/go-sps/sps"
	"github.com/go-sps/sps/examples/internal/cli"
)

type certificates = []*x509.Certificate

// job is what to do on an appliance. Its zero value is to list the trust stores.
type job struct {
	store   string    // a name; "": all
	before  time.Time // find what expires before; zero: do not
	in, out certificates
	remove  cli.Values // fingerprints
	create  bool
	cli.Change
}

// The statuses of a result.
const (
	shown       = "shown"
	expiring    = "expiring"
	notExpiring = "not-expiring"
	changed     = "changed"
	unchanged   = "unchanged"    // all was as it should be already
	wouldChange = "would-change" // a dry run
	errored     = "error"
)

// result is what a job came to. Its texts are safe to print.
type result struct {
	Appliance string      `json:"appliance"`
	Status    string      `json:"status"`
	Stores    []store     `json:"stores"`
	Expiring  []authority `json:"expiring"`
	Created   bool        `json:"created"`
	Added     []authority `json:"added"`
	Removed   []authority `json:"removed"`
	Note      string      `json:"note"`
	Error     string      `json:"error"`

	job job
}

// store is a trust store.
type store struct {
	Key             string      `json:"key"`
	Name            string      `json:"name"`
	Type            string      `json:"type"`
	RevocationCheck string      `json:"revocation_check"`
	Authorities     []authority `json:"authorities"`
	EarliestExpiry  string      `json:"earliest_expiry"` // "" if it is unknown
}

// authority is a certificate authority in a trust store.
type authority struct {
	Store       string `json:"store"`
	Subject     string `json:"subject"`
	Fingerprint string `json:"fingerprint"`
	Expires     string `json:"expires"` // "" if it is unknown
}

// newResult makes a result whose lists are no null in JSON.
func newResult(host string) result {
	return result{
		Appliance: cli.Line(host), Stores: []store{},
		Expiring: []authority{}, Added: []authority{}, Removed: []authority{},
	}
}

// fail makes a result of an error.
func (r result) fail(err error) result {
	r.Status, r.Error = errored, cli.Reason(err)
	return r
}

// do does a job on an appliance.
func do(ctx context.Context, client *sps.Client, host string, j job) result {
	r := newResult(host)
	r.job = j
	if len(j.in)+len(j.out)+len(j.remove) > 0 {
		return rotate(ctx, client, r, j)
	}
	stores, err := read(ctx, client, j.store)
	if err != nil {
		return r.fail(err)
	}
	r.Status = shown
	for _, s := range stores {
		r.Stores = append(r.Stores, newStore(s))
	}
	if j.before.IsZero() {
		return r
	}
	r.Status = notExpiring
	var unread []error
	for _, s := range stores {
		found, err := s.Body.ExpiringBefore(j.before)
		unread = append(unread, err)
		for _, certificate := range found {
			r.Status = expiring
			r.Expiring = append(r.Expiring, newAuthority(s.Body.Name, certificate))
		}
	}
	// An authority that cannot be read may have expired: that is no "all is well".
	if err := errors.Join(unread...); err != nil {
		return r.fail(err)
	}
	return r
}

// read reads one trust store, or all.
func read(ctx context.Context, client *sps.Client, name string) ([]*sps.Object[sps.TrustStore], error) {
	if name == "" {
		return client.TrustStores.List(ctx)
	}
	s, err := client.TrustStores.GetByName(ctx, name)
	if err != nil {
		return nil, err
	}
	return []*sps.Object[sps.TrustStore]{s}, nil
}

// rotate adds and removes authorities in one transaction.
func rotate(ctx context.Context, client *sps.Client, r result, j job) result {
	empty := r
	change := func(ctx context.Context, tx *sps.Transaction) error {
		s, err := tx.TrustStores.GetByName(ctx, j.store)
		switch {
		case err == nil:
			return tx.TrustStores.Update(ctx, s.Key, r.rotate)
		case !errors.Is(err, sps.ErrNoSuchName):
			return err
		case !j.create:
			return fmt.Errorf("%w (-create makes it)", err)
		}
		r.Created = true
		body := sps.NewTrustStore(j.store)
		if err := r.rotate(&body); err != nil {
			return err
		}
		_, err = tx.TrustStores.Create(ctx, body)
		return err
	}
	var err error
	if j.DryRun {
		_, err = client.Preview(ctx, change, j.Options()...)
	} else {
		err = client.Transaction(ctx, change, j.Options()...)
	}
	switch {
	case err != nil:
		return empty.fail(err)
	case !r.Created && len(r.Added)+len(r.Removed) == 0:
		r.Status = unchanged
	case j.DryRun:
		r.Status = wouldChange
	default:
		r.Status = changed
	}
	return r
}

// rotate adds and removes authorities of a store.
func (r *result) rotate(s *sps.TrustStore) error {
	for _, certificate := range r.job.in {
		err := s.AddAuthority(certificate)
		if errors.Is(err, sps.ErrAuthorityExists) {
			continue
		}
		if err != nil {
			return err
		}
		r.Added = append(r.Added, newAuthority(s.Name, certificate))
		for _, warning := range sps.NewTrustStore(s.Name, certificate).Warnings() {
			r.note(cli.Line(warning))
		}
		if s.RevocationCheck != sps.RevocationNone {
			r.note(fmt.Sprintf("the store checks revocation (%s): its CRL URLs must have those of the new authorities too", cli.Line(string(s.RevocationCheck))))
		}
	}
	for _, fingerprint := range r.job.remove {
		if err := r.remove(s, fingerprint); err != nil {
			return err
		}
	}
	for _, certificate := range r.job.out {
		err := r.remove(s, sps.CertificateFingerprint(certificate))
		if err != nil && !errors.Is(err, sps.ErrNoSuchAuthority) {
			return err
		}
	}
	if len(r.Removed) > 0 && len(s.Authorities) == 0 {
		r.note("the store has no authority left: whatever uses it trusts nobody")
	}
	return nil
}

// note adds what to look at, once.
func (r *result) note(text string) {
	switch {
	case r.Note == "":
		r.Note = text
	case !strings.Contains(r.Note, text):
		r.Note += "; " + text
	}
}

// remove removes the authority with a fingerprint.
func (r *result) remove(s *sps.TrustStore, fingerprint string) error {
	gone, err := s.Authority(fingerprint)
	if err != nil {
		return err
	}
	r.Removed = append(r.Removed, readAuthority(s.Name, gone))
	return s.RemoveAuthority(fingerprint)
}

func newStore(o *sps.Object[sps.TrustStore]) store {
	s := store{
		Key: cli.Line(o.Key), Name: cli.Line(o.Body.Name), Type: cli.Line(string(o.Body.Type)),
		RevocationCheck: cli.Line(string(o.Body.RevocationCheck)), Authorities: []authority{},
	}
	for _, a := range o.Body.Authorities {
		one := readAuthority(o.Body.Name, a)
		s.Authorities = append(s.Authorities, one)
		// All of them are written alike, so the earliest is the smallest.
		if one.Expires != "" && (s.EarliestExpiry == "" || one.Expires < s.EarliestExpiry) {
			s.EarliestExpiry = one.Expires
		}
	}
	return s
}

// readAuthority makes an authority of what the appliance says about it, which may
// be a certificate that cannot be read.
func readAuthority(store string, a sps.TrustStoreAuthority) authority {
	certificate, err := a.Certificate()
	if err != nil {
		return authority{cli.Line(store), cli.Line(a.Subject), cli.Line(a.Fingerprint.Digest), ""}
	}
	return newAuthority(store, certificate)
}

func newAuthority(store string, certificate *x509.Certificate) authority {
	return authority{
		cli.Line(store), cli.Line(certificate.Subject.String()),
		sps.CertificateFingerprint(certificate), certificate.NotAfter.UTC().Format(time.RFC3339),
	}
}
