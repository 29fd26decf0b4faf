package command

import (
	"context"
	"crypto/x509"
	"errors"
	"fmt"
	"os"
	"strconv"
	"strings"
	"time"

	"github.com/spf13/cobra"
	"github.com/spf13/pflag"

	"github.com/go-sps/sps"
	"github.com/go-sps/sps/cmd/sps/internal/days"
	"github.com/go-sps/sps/cmd/sps/internal/out"
	"github.com/go-sps/sps/cmd/sps/internal/text"
)

func (a *app) trustStoresCommands() *cobra.Command {
	return group("trust-stores", "Show trust stores and replace their authorities",
		a.storesListCommand(), a.storesShowCommand(), a.storesExpiringCommand(), a.storesRotateCommand())
}

type storesData struct {
	Stores []storeData `json:"stores"`
}

type expiringData struct {
	Before   string          `json:"before"`
	Expiring []authorityData `json:"expiring"`
	// NotChecked has the names of the stores whose authorities the appliance does not list.
	NotChecked []string `json:"not_checked"`
}

type storeData struct {
	Key             string `json:"key"`
	Name            string `json:"name"`
	Type            string `json:"type"`
	RevocationCheck string `json:"revocation_check"`
	// Listed is false if the appliance does not list the authorities of the store. Authorities is
	// then empty.
	Listed         bool            `json:"authorities_listed"`
	Authorities    []authorityData `json:"authorities"`
	EarliestExpiry string          `json:"earliest_expiry"` // "" if it is unknown
}

type authorityData struct {
	Store       string `json:"store"`
	Subject     string `json:"subject"`
	Fingerprint string `json:"fingerprint"`
	Expires     string `json:"expires"` // "" if it is unknown
}

func storeOf(o *sps.Object[sps.TrustStore]) storeData {
	s := storeData{
		Key: o.Key, Name: o.Body.Name, Type: string(o.Body.Type),
		RevocationCheck: string(o.Body.RevocationCheck), Listed: o.Body.Type != sps.TrustStoreBuiltIn, Authorities: []authorityData{},
	}
	for _, authority := range o.Body.Authorities {
		one := authorityOf(o.Body.Name, authority)
		s.Authorities = append(s.Authorities, one)
		// The times have the same format and are in UTC, so the smallest string is the earliest.
		if one.Expires != "" && (s.EarliestExpiry == "" || one.Expires < s.EarliestExpiry) {
			s.EarliestExpiry = one.Expires
		}
	}
	return s
}

// authorityOf returns the data of an authority. If its certificate cannot be parsed, it returns
// the subject and the fingerprint that the appliance sent.
func authorityOf(store string, a sps.TrustStoreAuthority) authorityData {
	certificate, err := a.Certificate()
	if err != nil {
		return authorityData{store, a.Subject, a.Fingerprint.Digest, ""}
	}
	return certificateData(store, certificate)
}

func certificateData(store string, c *x509.Certificate) authorityData {
	return authorityData{store, c.Subject.String(), sps.CertificateFingerprint(c), c.NotAfter.UTC().Format(time.RFC3339)}
}

// day returns the date of a time in the format of RFC 3339, or "-".
func day(moment string) string {
	date, _, _ := strings.Cut(moment, "T")
	return text.OrDash(date)
}

var (
	storeColumns     = []string{"NAME", "KEY", "TYPE", "REVOCATION", "AUTHORITIES", "EARLIEST EXPIRY"}
	authorityColumns = []string{"STORE", "EXPIRES", "SUBJECT", "SHA-256"}
)

func (s storeData) row() out.Row {
	number := strconv.Itoa(len(s.Authorities))
	if !s.Listed {
		number = "not listed"
	}
	return out.Row{Cells: []string{s.Name, s.Key, s.Type, s.RevocationCheck, number, day(s.EarliestExpiry)}}
}

func (d authorityData) row() out.Row {
	return out.Row{Cells: []string{d.Store, day(d.Expires), d.Subject, d.Fingerprint}}
}

func (a *app) storesListCommand() *cobra.Command {
	return a.command(spec{
		use: "list", short: "List the trust stores",
		long: `List the trust stores, with the number of their authorities and the date on which the first
authority expires. The appliance does not list the authorities of the built-in store. In JSON,
"authorities_listed" of that store is false.`,
		examples: []string{"sps --host sps1.example.com trust-stores list", "sps --hosts hosts.txt -o jsonl trust-stores list"},
		columns:  storeColumns, data: storesData{},
		run: func(ctx context.Context, j *job) (out.Report, error) {
			stores, err := j.client.TrustStores.List(ctx)
			if err != nil {
				return out.Report{}, err
			}
			r, all := out.Report{Columns: storeColumns}, []storeData{}
			for _, s := range stores {
				all = append(all, storeOf(s))
				r.Rows = append(r.Rows, all[len(all)-1].row())
			}
			r.Data = storesData{all}
			return r, nil
		},
	})
}

func (a *app) storesShowCommand() *cobra.Command {
	return a.command(spec{
		use: "show NAME", short: "Show a trust store with its authorities",
		long: `Show the subject, the date of expiry and the fingerprint of each authority in a trust store.
The appliance does not list the authorities of the built-in store. In JSON,
"authorities_listed" of that store is false.`,
		examples: []string{"sps --host sps1.example.com trust-stores show Directory", "sps --hosts hosts.txt -o yaml trust-stores show Directory"},
		args:     cobra.ExactArgs(1), valid: a.completeStores, columns: authorityColumns, data: storeData{},
		run: func(ctx context.Context, j *job) (out.Report, error) {
			store, err := j.client.TrustStores.GetByName(ctx, j.args[0])
			if err != nil {
				return out.Report{}, err
			}
			s := storeOf(store)
			r := out.Report{Columns: authorityColumns, Data: s}
			for _, authority := range s.Authorities {
				r.Rows = append(r.Rows, authority.row())
			}
			if len(r.Rows) == 0 {
				r.Text = "The appliance lists no authority of this store.\n"
			}
			return r, nil
		},
	})
}

func (a *app) completeStores(c *cobra.Command, _ []string, _ string) ([]cobra.Completion, cobra.ShellCompDirective) {
	return a.complete(c, func(ctx context.Context, client *sps.Client) (words []cobra.Completion, _ error) {
		stores, err := client.TrustStores.List(ctx)
		for _, s := range stores {
			words = append(words, text.Line(s.Body.Name))
		}
		return words, err
	})
}

func (a *app) storesExpiringCommand() *cobra.Command {
	var within time.Duration
	var until string
	var before time.Time
	var flags *pflag.FlagSet
	return a.command(spec{
		use: "expiring [NAME...]", short: "Find authorities that expire soon",
		long: `Find the authorities that expire within a duration or before a date, in all trust stores or
in the stores that are named. The status is 1 if there is such an authority. The status is 2
if the certificate of an authority cannot be parsed, because the command then cannot find out
whether it has expired. The appliance does not list the authorities of the built-in store, so
that store is not checked: in JSON, "not_checked" has its name, and in JUnit XML, it is
skipped.`,
		examples: []string{"sps --hosts hosts.txt trust-stores expiring", "sps --host sps1.example.com trust-stores expiring --before 2040-01-01"},
		args:     cobra.ArbitraryArgs, valid: a.completeStores, columns: authorityColumns, data: expiringData{},
		flags: func(f *pflag.FlagSet) {
			flags = f
			days.Var(f, &within, "within", 30*days.Day, "find authorities that expire within this `duration` from now, such as 365d or 12h")
			f.StringVar(&until, "before", "", "find authorities that expire before this `date` in UTC, such as 2027-01-31, instead of --within")
		},
		check: func([]string) (err error) {
			if until != "" && flags.Changed("within") {
				return errors.New("--before excludes --within: give one of them")
			}
			before = time.Now().Add(within)
			if until != "" {
				before, err = time.Parse(time.DateOnly, until)
			}
			if err != nil {
				return fmt.Errorf("--before %q is not a date: give a date such as 2027-01-31", until)
			}
			return nil
		},
		run: func(ctx context.Context, j *job) (out.Report, error) { return j.expiring(ctx, before) },
	})
}

// expiring finds the authorities that expire before a time.
func (j *job) expiring(ctx context.Context, before time.Time) (out.Report, error) {
	stores, err := j.client.TrustStores.List(ctx)
	if err != nil {
		return out.Report{}, err
	}
	r, found, notChecked := out.Report{Columns: authorityColumns}, []authorityData{}, []string{}
	var unread []error
	seen := map[string]bool{}
	for _, s := range stores {
		if len(j.args) > 0 && !contains(j.args, s.Body.Name) {
			continue
		}
		seen[s.Body.Name] = true
		c := out.Case{Name: "trust store " + text.Line(s.Body.Name), Status: out.Passed}
		if s.Body.Type == sps.TrustStoreBuiltIn {
			notChecked = append(notChecked, s.Body.Name)
			c.Status, c.Message = out.Skipped, "not checked, because the appliance does not list the authorities of this store"
			r.Cases = append(r.Cases, c)
			continue
		}
		expiring, err := s.Body.ExpiringBefore(before)
		unread = append(unread, err)
		for _, certificate := range expiring {
			d := certificateData(s.Body.Name, certificate)
			found = append(found, d)
			r.Rows = append(r.Rows, d.row())
			c.Status, c.Type = out.Failure, "Expiring"
			c.Text += text.Line(fmt.Sprintf("%s expires %s", d.Subject, day(d.Expires))) + "\n"
		}
		if err != nil {
			c.Status, c.Type, c.Message = out.Errored, "Unreadable", message(err)
		}
		if c.Message == "" {
			c.Message = strings.TrimSuffix(strings.ReplaceAll(c.Text, "\n", "; "), "; ")
		}
		r.Cases = append(r.Cases, c)
	}
	for _, name := range j.args {
		if !seen[name] {
			unread = append(unread, fmt.Errorf("trust-stores expiring: %w: %s", sps.ErrNoSuchName, text.Line(name)))
		}
	}
	r.No = len(found) > 0
	r.Data = expiringData{before.UTC().Format(time.RFC3339), found, notChecked}
	err = errors.Join(unread...)
	switch {
	case r.No:
		r.Text = fmt.Sprintf("Authorities that expire before %s UTC: %d.\n", before.UTC().Format(time.DateTime), len(found))
	case err == nil:
		r.Text = fmt.Sprintf("No authority expires before %s UTC.\n", before.UTC().Format(time.DateTime))
	}
	if err == nil && len(j.args) > 0 && len(notChecked) > 0 {
		r.Text += text.Line("Not checked, because the appliance does not list the authorities: "+strings.Join(notChecked, ", ")) + ".\n"
	}
	return r, err
}

func contains(words []string, word string) bool {
	for _, w := range words {
		if w == word {
			return true
		}
	}
	return false
}

// rotation has the changes to make in a trust store.
type rotation struct {
	inFile, outFile string
	remove          []string
	create          bool
	in, out         []*x509.Certificate
}

// rotationData has the changes that were made in a trust store.
type rotationData struct {
	Store   string          `json:"store"`
	Created bool            `json:"created"`
	Added   []authorityData `json:"added"`
	Removed []authorityData `json:"removed"`
	Notes   []string        `json:"notes"`
	DryRun  bool            `json:"dry_run"`
}

func (a *app) storesRotateCommand() *cobra.Command {
	r := &rotation{}
	return a.command(spec{
		use: "rotate NAME", short: "Add and remove authorities of a trust store",
		long: `Add the certificates of one PEM file to a trust store and remove the certificates of another
PEM file, in one transaction: either all these changes are made or none. A certificate of
--in that the store already has is not added again, and a certificate of --out that the store
does not have is ignored, so the command can be repeated. A fingerprint of --remove that the
store does not have is an error, because it may be misspelt. A file with a private key is
refused before anything is sent.`,
		examples: []string{
			"sps --host sps1.example.com trust-stores rotate Directory --in new.pem --out old.pem --message CHG-1234",
			"sps --hosts hosts.txt trust-stores rotate Directory --in new.pem --create --dry-run",
		},
		args: cobra.ExactArgs(1), valid: a.completeStores, change: true, commit: true, data: rotationData{},
		flags: func(f *pflag.FlagSet) {
			f.StringVar(&r.inFile, "in", "", "PEM `file` with the certificates to add")
			f.StringVar(&r.outFile, "out", "", "PEM `file` with the certificates to remove")
			f.StringArrayVar(&r.remove, "remove", nil, "`SHA-256` fingerprint of a certificate to remove, instead of --out; may be repeated")
			f.BoolVar(&r.create, "create", false, "create the store without a revocation check if it does not exist")
		},
		check: r.check,
		run:   func(ctx context.Context, j *job) (out.Report, error) { return j.rotate(ctx, r) },
	})
}

func (r *rotation) check([]string) (err error) {
	switch {
	case r.inFile == "" && r.outFile == "" && len(r.remove) == 0:
		return errors.New("trust-stores rotate has nothing to change: give --in, --out or --remove")
	case r.outFile != "" && len(r.remove) > 0:
		return errors.New("--out excludes --remove: give one of them")
	case r.create && r.inFile == "":
		return errors.New("--create needs --in: give the certificates of the new store with --in")
	}
	if r.in, err = readCertificates(r.inFile); err != nil {
		return fmt.Errorf("--in: %w", err)
	}
	if r.out, err = readCertificates(r.outFile); err != nil {
		return fmt.Errorf("--out: %w", err)
	}
	added := sps.NewTrustStore("", r.in...)
	for _, certificate := range r.out {
		if _, err := added.Authority(sps.CertificateFingerprint(certificate)); err == nil {
			return fmt.Errorf("--in and --out both have the certificate %s: remove it from one of the files", text.Line(certificate.Subject.String()))
		}
	}
	for _, fingerprint := range r.remove {
		if _, err := added.Authority(fingerprint); err == nil {
			return fmt.Errorf("--in and --remove have the same certificate, %s: leave it out of one of them", fingerprint)
		}
	}
	return nil
}

// readCertificates reads the certificates of a PEM file. It returns none if name is "".
func readCertificates(name string) ([]*x509.Certificate, error) {
	if name == "" {
		return nil, nil
	}
	content, err := os.ReadFile(name)
	if err != nil {
		return nil, fmt.Errorf("%w: give a readable PEM file", err)
	}
	found, err := sps.ParseCertificates(content)
	if err != nil {
		return nil, fmt.Errorf("%s: %w", name, err)
	}
	return found, nil
}

// rotate adds and removes the authorities of a trust store in a transaction.
func (j *job) rotate(ctx context.Context, r *rotation) (out.Report, error) {
	var d *rotationData
	err := j.transaction(ctx, func(ctx context.Context, tx *sps.Transaction) error {
		d = &rotationData{Store: j.args[0], Added: []authorityData{}, Removed: []authorityData{}, Notes: []string{}, DryRun: j.dryRun}
		s, err := tx.TrustStores.GetByName(ctx, d.Store)
		switch {
		case err == nil:
			return tx.TrustStores.Update(ctx, s.Key, func(s *sps.TrustStore) error { return d.apply(s, r) })
		case !errors.Is(err, sps.ErrNoSuchName):
			return err
		case !r.create:
			return fmt.Errorf("%w; --create creates the store", err)
		}
		d.Created = true
		body := sps.NewTrustStore(d.Store)
		if err := d.apply(&body, r); err != nil {
			return err
		}
		_, err = tx.TrustStores.Create(ctx, body)
		return err
	})
	if err != nil {
		return out.Report{}, fmt.Errorf("trust-stores rotate: %w", err)
	}
	var lines []string
	if d.Created {
		lines = append(lines, "created: the trust store "+text.Line(d.Store))
	}
	for _, a := range d.Added {
		lines = append(lines, fmt.Sprintf("added: %s, expires %s, %s", text.Line(a.Subject), day(a.Expires), a.Fingerprint))
	}
	for _, a := range d.Removed {
		lines = append(lines, fmt.Sprintf("removed: %s, expires %s, %s", text.Line(a.Subject), day(a.Expires), text.Line(a.Fingerprint)))
	}
	report := j.changed(lines, d)
	for _, note := range d.Notes {
		report.Text += "note: " + note + "\n"
	}
	return report, nil
}

// apply adds and removes the authorities of a store.
func (d *rotationData) apply(s *sps.TrustStore, r *rotation) error {
	d.Added, d.Removed, d.Notes = []authorityData{}, []authorityData{}, []string{}
	for _, certificate := range r.in {
		err := s.AddAuthority(certificate)
		if errors.Is(err, sps.ErrAuthorityExists) {
			continue
		}
		if err != nil {
			return err
		}
		d.Added = append(d.Added, certificateData(s.Name, certificate))
		for _, warning := range sps.NewTrustStore(s.Name, certificate).Warnings() {
			d.note(text.Line(warning))
		}
		if s.RevocationCheck != sps.RevocationNone {
			d.note(fmt.Sprintf("the store checks revocation (%s): add the CRL URLs of the new authorities to it", text.Line(string(s.RevocationCheck))))
		}
	}
	for _, fingerprint := range r.remove {
		if err := d.remove(s, fingerprint); err != nil {
			return err
		}
	}
	for _, certificate := range r.out {
		err := d.remove(s, sps.CertificateFingerprint(certificate))
		if err != nil && !errors.Is(err, sps.ErrNoSuchAuthority) {
			return err
		}
	}
	if len(d.Removed) > 0 && len(s.Authorities) == 0 {
		d.note("the store has no authority left, so connections that use the store trust no certificate")
	}
	return nil
}

// remove removes the authority with a fingerprint from a store.
func (d *rotationData) remove(s *sps.TrustStore, fingerprint string) error {
	gone, err := s.Authority(fingerprint)
	if err != nil {
		return err
	}
	d.Removed = append(d.Removed, authorityOf(s.Name, gone))
	return s.RemoveAuthority(fingerprint)
}

// note adds a note, unless the notes contain it already.
func (d *rotationData) note(words string) {
	if !contains(d.Notes, words) {
		d.Notes = append(d.Notes, words)
	}
}
