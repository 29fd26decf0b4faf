package areas

import (
	"bytes"
	"context"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/x509"
	"encoding/json"
	"encoding/pem"
	"errors"
	"fmt"
	"log/slog"
	"net/http"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/go-sps/sps"
	"github.com/go-sps/sps/internal/testkit"
	"github.com/go-sps/sps/spstest"
)

// privateKey returns a new private key in PEM form.
func privateKey(t *testing.T) string {
	t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	der, err := x509.MarshalPKCS8PrivateKey(key)
	if err != nil {
		t.Fatal(err)
	}
	return string(pem.EncodeToMemory(&pem.Block{Type: "PRIVATE KEY", Bytes: der}))
}

var sameCertificate = cmp.Comparer(func(a, b *x509.Certificate) bool { return a.Equal(b) })

func TestTrustStores(t *testing.T) {
	t.Parallel()
	one, two := testkit.Authority(t, "One"), testkit.Authority(t, "Two")
	testkit.UnderVariants(t, func(t *testing.T, options ...spstest.Option) {
		a := spstest.NewServer(t, options...)
		c := testkit.Connect(t, a)
		builtIn, err := c.TrustStores.Get(t.Context(), sps.BuiltInTrustStoreKey)
		if err != nil {
			t.Fatal(err)
		}
		testkit.Diff(t, "built-in", sps.TrustStore{Name: "Built-in", RevocationCheck: sps.RevocationNone, Type: sps.TrustStoreBuiltIn}, builtIn.Body)

		sample, err := c.TrustStores.GetByName(t.Context(), testkit.SampleStore)
		if err != nil {
			t.Fatal(err)
		}
		if len(sample.Body.Authorities) != 1 || sample.Body.RevocationCheck != sps.RevocationFull || sample.Body.CRLURLs[0] != "http://crl.it/sec" {
			t.Errorf("sample %+v", sample.Body)
		}
		certificates, err := sample.Body.Certificates()
		if err != nil || len(certificates) != 1 || sps.CertificateFingerprint(certificates[0]) != sample.Body.Authorities[0].Fingerprint.Digest {
			t.Errorf("certificates %v, %v", certificates, err)
		}
		found, err := sample.Body.Authority("01251FA2DF2A311A297ABA43C40342A5D730EC2DE0D77A72A71BC399C56C10EA")
		if err != nil {
			t.Error(err)
		}
		testkit.Diff(t, "by its fingerprint", sample.Body.Authorities[0], found)

		var key string
		err = c.Transaction(t.Context(), func(ctx context.Context, tx *sps.Transaction) (err error) {
			key, err = tx.TrustStores.Create(ctx, sps.NewTrustStore("Ours", one))
			return err
		})
		if err != nil {
			t.Fatal(err)
		}
		created, err := c.TrustStores.Get(t.Context(), key)
		if err != nil {
			t.Fatal(err)
		}
		shown := created.Body.Authorities[0]
		testkit.Diff(t, "fingerprint", sps.TrustStoreFingerprint{Digest: sps.CertificateFingerprint(one), HashAlgorithm: "sha256"}, shown.Fingerprint)
		if shown.Subject == "" || shown.Issuer == "" {
			t.Errorf("authority %+v", shown)
		}

		err = c.Transaction(t.Context(), func(ctx context.Context, tx *sps.Transaction) error {
			return tx.TrustStores.Update(ctx, key, func(s *sps.TrustStore) error {
				s.RevocationCheck, s.CRLURLs = sps.RevocationLeaf, []string{"https://crl.example/one.crl"}
				return errors.Join(s.AddAuthority(two), s.RemoveAuthority(strings.ToUpper(sps.CertificateFingerprint(one))))
			})
		})
		if err != nil {
			t.Fatal(err)
		}
		updated, err := c.TrustStores.GetByName(t.Context(), "Ours")
		if err != nil {
			t.Fatal(err)
		}
		got, err := updated.Body.Certificates()
		testkit.Diff(t, "certificates", []*x509.Certificate{two}, got, sameCertificate)
		if err != nil || updated.Body.RevocationCheck != sps.RevocationLeaf || updated.Key != key {
			t.Errorf("updated %+v, %v", updated, err)
		}

		names := map[string]bool{}
		for store, err := range c.TrustStores.All(t.Context()) {
			if err != nil {
				t.Fatal(err)
			}
			names[store.Body.Name] = true
		}
		for _, name := range []string{"Built-in", testkit.SampleStore, "Ours"} {
			if !names[name] {
				t.Errorf("the list lacks %q: %v", name, names)
			}
		}

		err = c.Transaction(t.Context(), func(ctx context.Context, tx *sps.Transaction) error { return tx.TrustStores.Delete(ctx, key) })
		if err != nil {
			t.Fatal(err)
		}
		if gone, err := c.TrustStores.GetByName(t.Context(), "Ours"); !errors.Is(err, sps.ResourceNotFound) {
			t.Errorf("after the deletion: %+v, %v", gone, err)
		}
	})
	c := testkit.Connect(t, spstest.NewServer(t))
	if _, err := c.TrustStores.GetByName(t.Context(), "none"); !errors.Is(err, sps.ErrNoSuchName) || !errors.Is(err, sps.ResourceNotFound) {
		t.Errorf("GetByName of a name that does not exist: %v", err)
	}
	if _, err := c.TrustStores.GetByName(t.Context(), ""); !errors.Is(err, sps.ErrInvalidInput) {
		t.Errorf("GetByName of an empty name: %v", err)
	}
	if _, err := sps.NewCollection[sps.TrustStore](c, "configuration/none").GetByName(t.Context(), "none"); errors.Is(err, sps.ErrNoSuchName) || !errors.Is(err, sps.ResourceNotFound) {
		t.Errorf("GetByName in a list that does not exist: %v", err)
	}
}

// TestTrustStoreRules checks that the client rejects an invalid trust store before it sends a
// write, with an error text that explains why.
func TestTrustStoreRules(t *testing.T) {
	t.Parallel()
	one, two := testkit.Authority(t, "One"), testkit.Authority(t, "Two")
	key := privateKey(t)
	body := func(change func(*sps.TrustStore)) sps.TrustStore {
		s := sps.NewTrustStore("Ours", one)
		change(&s)
		return s
	}
	tests := map[string]struct {
		body sps.TrustStore
		text string
	}{
		"no name":        {body(func(s *sps.TrustStore) { s.Name = "" }), `trust store "": the name is empty`},
		"built-in":       {body(func(s *sps.TrustStore) { s.Type = sps.TrustStoreBuiltIn }), "a built-in trust store cannot be created, changed or deleted"},
		"no type":        {body(func(s *sps.TrustStore) { s.Type = "" }), `the type must be "custom"`},
		"none with URLs": {body(func(s *sps.TrustStore) { s.CRLURLs = []string{"http://crl.example/a"} }), `without a revocation check ("none"), CRL URLs are not allowed`},
		"leaf without URLs": {body(func(s *sps.TrustStore) { s.RevocationCheck = sps.RevocationLeaf }),
			`the revocation check "leaf" needs CRL URLs`},
		"full without URLs": {body(func(s *sps.TrustStore) { s.RevocationCheck = sps.RevocationFull }),
			`the revocation check "full" needs CRL URLs`},
		"another check": {body(func(s *sps.TrustStore) { s.RevocationCheck = "most" }), `revocation check "most": use "none", "leaf" or "full"`},
		"ftp": {body(func(s *sps.TrustStore) {
			s.RevocationCheck, s.CRLURLs = sps.RevocationFull, []string{"ftp://user:pw4711@crl.example/a"}
		}),
			`the CRL URL "ftp://user:xxxxx@crl.example/a" is not an http or https URL`},
		"no URL": {body(func(s *sps.TrustStore) { s.RevocationCheck, s.CRLURLs = sps.RevocationFull, []string{"crl"} }),
			`the CRL URL "crl" is not an http or https URL`},
		"URLs twice": {body(func(s *sps.TrustStore) {
			s.RevocationCheck, s.CRLURLs = sps.RevocationFull, []string{"http://crl.example/a", "http://crl.example/a"}
		}), `the CRL URL "http://crl.example/a" is duplicated`},
		"certificate twice": {sps.NewTrustStore("Ours", one, two, one), "the authority CN=One,C=HU is duplicated"},
		"no certificate":    {sps.NewTrustStore("Ours", nil), "the text holds no certificate in PEM form"},
		"private key": {body(func(s *sps.TrustStore) { s.Authorities[0].PEM += key }),
			"the PEM text holds a private key; pass certificates only"},
		"two certificates in one text": {body(func(s *sps.TrustStore) { s.Authorities[0].PEM += testkit.PEM(two) }),
			"the PEM text has 2 certificates; add each as an authority of its own"},
		"broken": {body(func(s *sps.TrustStore) {
			s.Authorities[0].PEM = "-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n"
		}),
			"the one block of the PEM text cannot be read: block 1 (line 1): Go cannot read the certificate"},
		"several": {body(func(s *sps.TrustStore) { s.Name, s.Type = "", "" }), `the name is empty; the type must be "custom"`},
	}
	a := spstest.NewServer(t)
	c := testkit.Connect(t, a)
	sample, err := c.TrustStores.GetByName(t.Context(), testkit.SampleStore)
	if err != nil {
		t.Fatal(err)
	}
	a.ResetJournal()
	for name, test := range tests {
		if err := test.body.Validate(); !errors.Is(err, sps.ErrInvalidInput) || !strings.Contains(fmt.Sprint(err), test.text) {
			t.Errorf("%s: Validate returns %v, want %q", name, err, test.text)
		}
		for what, write := range map[string]func(context.Context, *sps.Transaction) error{
			"create": func(ctx context.Context, tx *sps.Transaction) error {
				_, err := tx.TrustStores.Create(ctx, test.body)
				return err
			},
			"replace": func(ctx context.Context, tx *sps.Transaction) error {
				return tx.TrustStores.Replace(ctx, sample.Key, test.body)
			},
			"update": func(ctx context.Context, tx *sps.Transaction) error {
				return tx.TrustStores.Update(ctx, sample.Key, func(s *sps.TrustStore) error { *s = test.body; return nil })
			},
		} {
			err := c.Transaction(t.Context(), write)
			if !errors.Is(err, sps.ErrInvalidInput) || !strings.Contains(fmt.Sprint(err), test.text) || strings.Contains(fmt.Sprint(err), "\n") {
				t.Errorf("%s, %s: %v, want %q in one line", name, what, err, test.text)
			}
			if text := fmt.Sprint(err); strings.Contains(text, "pw4711") || strings.Contains(text, key[30:60]) {
				t.Errorf("%s, %s: a secret is shown: %s", name, what, text)
			}
		}
	}
	if err := sps.NewTrustStore("Ours", one, two).Validate(); err != nil {
		t.Errorf("a valid store: %v", err)
	}
	for _, key := range []string{sps.BuiltInTrustStoreKey} {
		for what, write := range map[string]func(context.Context, *sps.Transaction) error{
			"delete": func(ctx context.Context, tx *sps.Transaction) error { return tx.TrustStores.Delete(ctx, key) },
			"replace": func(ctx context.Context, tx *sps.Transaction) error {
				return tx.TrustStores.Replace(ctx, key, sample.Body)
			},
			"update": func(ctx context.Context, tx *sps.Transaction) error {
				return tx.TrustStores.Update(ctx, key, func(s *sps.TrustStore) error { s.Name = "Ours"; return nil })
			},
		} {
			if err := c.Transaction(t.Context(), write); !errors.Is(err, sps.ErrInvalidInput) || !strings.Contains(fmt.Sprint(err), "a built-in trust store") {
				t.Errorf("the built-in store, %s: %v", what, err)
			}
		}
	}
	for _, r := range a.Journal() {
		if r.Method != "GET" && !strings.HasSuffix(r.Path, "/transaction") {
			t.Errorf("sent %s %s", r.Method, r.Path)
		}
	}
}

// TestTrustStoreRejectedByAppliance checks that a write that the appliance rejects returns a
// typed error with the paths of the faults, and that nothing is applied.
func TestTrustStoreRejectedByAppliance(t *testing.T) {
	t.Parallel()
	one := testkit.Authority(t, "One")
	testkit.UnderVariants(t, func(t *testing.T, options ...spstest.Option) {
		a := spstest.NewServer(t, options...)
		c := testkit.Connect(t, a)
		sample, err := c.TrustStores.GetByName(t.Context(), testkit.SampleStore)
		if err != nil {
			t.Fatal(err)
		}
		raw := func(method, path string, body any) func(context.Context, *sps.Transaction) error {
			return func(ctx context.Context, tx *sps.Transaction) error {
				_, err := tx.Invoke(ctx, method, "configuration/trust_stores"+path, body)
				return err
			}
		}
		store := func(change func(*sps.TrustStore)) sps.TrustStore {
			s := sps.NewTrustStore("Ours", one)
			change(&s)
			return s
		}
		for name, test := range map[string]struct {
			write func(context.Context, *sps.Transaction) error
			want  error
		}{
			"none with URLs":    {raw("POST", "", store(func(s *sps.TrustStore) { s.CRLURLs = []string{"http://crl.example/a"} })), sps.SyntacticError},
			"full without URLs": {raw("POST", "", store(func(s *sps.TrustStore) { s.RevocationCheck = sps.RevocationFull })), sps.SyntacticError},
			"name taken":        {raw("POST", "", store(func(s *sps.TrustStore) { s.Name = testkit.SampleStore })), sps.SemanticError},
			"certificate twice": {raw("POST", "", sps.NewTrustStore("Ours", one, one)), sps.SemanticError},
			"URLs twice": {raw("PUT", "/"+sample.Key, store(func(s *sps.TrustStore) {
				s.RevocationCheck, s.CRLURLs = sps.RevocationFull, []string{"http://crl.example/a", "http://crl.example/a"}
			})), sps.SemanticError},
		} {
			err := c.Transaction(t.Context(), test.write)
			var path *sps.SyntacticErrorDetails
			var faults *sps.SemanticErrorDetails
			if !errors.Is(err, test.want) || !errors.As(err, &path) && !errors.As(err, &faults) {
				t.Errorf("%s: %v, want %v with its detail", name, err, test.want)
			}
			testkit.Settled(t, a, testkit.AdminBefore)
		}
		// The error type depends on the variant for the built-in store and for a store in use.
		for _, write := range []func(context.Context, *sps.Transaction) error{
			raw("POST", "", store(func(s *sps.TrustStore) { s.Type = sps.TrustStoreBuiltIn })),
			raw("PUT", "/-7001", sps.NewTrustStore("Ours", one)),
			raw("DELETE", "/-7001", nil),
			func(ctx context.Context, tx *sps.Transaction) error { // deletes a store in use
				store, err := tx.TrustStores.GetByName(ctx, "LDAP_CAs")
				if err != nil {
					return err
				}
				return tx.TrustStores.Delete(ctx, store.Key)
			},
		} {
			var refused *sps.Error
			if err := c.Transaction(t.Context(), write); !errors.As(err, &refused) {
				t.Errorf("a write of the built-in store or of a store in use: %v", err)
			}
			testkit.Settled(t, a, testkit.AdminBefore)
		}
	})
}

// TestTrustStoreNameTaken checks that the client rejects a name that another store has, before
// it writes the store.
func TestTrustStoreNameTaken(t *testing.T) {
	t.Parallel()
	a := spstest.NewServer(t)
	c := testkit.Connect(t, a)
	err := c.Transaction(t.Context(), func(ctx context.Context, tx *sps.Transaction) error {
		_, err := tx.TrustStores.Create(ctx, sps.NewTrustStore(testkit.SampleStore, testkit.Authority(t, "One")))
		return err
	})
	if !errors.Is(err, sps.ErrInvalidInput) || !strings.Contains(fmt.Sprint(err), `the name "My_Custom_Trust_Store" is already used by the object `) {
		t.Errorf("creating a store whose name is taken: %v", err)
	}
	err = c.Transaction(t.Context(), func(ctx context.Context, tx *sps.Transaction) error {
		key, err := tx.TrustStores.Create(ctx, sps.NewTrustStore("Ours", testkit.Authority(t, "One")))
		if err != nil {
			return err
		}
		if err := tx.TrustStores.Update(ctx, key, func(s *sps.TrustStore) error { s.Name = "Still ours"; return nil }); err != nil {
			return err
		}
		return tx.TrustStores.Update(ctx, key, func(s *sps.TrustStore) error { s.Name = testkit.SampleStore; return nil })
	})
	if !errors.Is(err, sps.ErrInvalidInput) || !strings.Contains(fmt.Sprint(err), "is already used by") {
		t.Errorf("renaming a store to a name that is taken: %v", err)
	}
	testkit.Settled(t, a, testkit.AdminBefore)
}

// TestTrustStoreNameKept checks that an update that keeps the name does not read the list of
// stores.
func TestTrustStoreNameKept(t *testing.T) {
	t.Parallel()
	a := spstest.NewServer(t)
	c := testkit.Connect(t, a)
	store, err := c.TrustStores.GetByName(t.Context(), testkit.SampleStore)
	if err != nil {
		t.Fatal(err)
	}
	a.ResetJournal()
	if err := c.Transaction(t.Context(), func(ctx context.Context, tx *sps.Transaction) error {
		return tx.TrustStores.Update(ctx, store.Key, func(s *sps.TrustStore) error { s.CRLURLs = []string{"http://crl.example/a"}; return nil })
	}); err != nil {
		t.Error(err)
	}
	for _, r := range testkit.Requests(a) {
		if strings.HasSuffix(r, "/trust_stores") {
			t.Errorf("sent %s", r)
		}
	}
}

// TestTrustStoreNameSetByNestedUpdate checks that an update may set a name that a nested update
// of the same store has just set.
func TestTrustStoreNameSetByNestedUpdate(t *testing.T) {
	t.Parallel()
	a := spstest.NewServer(t)
	c := testkit.Connect(t, a)
	store, err := c.TrustStores.GetByName(t.Context(), testkit.SampleStore)
	if err != nil {
		t.Fatal(err)
	}
	rename := func(s *sps.TrustStore) error { s.Name = "Renamed"; return nil }
	if err := c.Transaction(t.Context(), func(ctx context.Context, tx *sps.Transaction) error {
		return tx.TrustStores.Update(ctx, store.Key, func(s *sps.TrustStore) error {
			return errors.Join(tx.TrustStores.Update(ctx, store.Key, rename), rename(s))
		})
	}); err != nil {
		t.Error(err)
	}
}

// TestTrustStoreNoList checks that Create sends nothing if the list of stores, which it needs
// to check the name, cannot be read.
func TestTrustStoreNoList(t *testing.T) {
	t.Parallel()
	a := spstest.NewServer(t)
	c := testkit.Connect(t, a)
	a.Inject(spstest.Fault{Method: "GET", Path: "configuration/trust_stores", Status: 404, Body: `{"error":{"type":"ResourceNotFound"}}`})
	err := c.Transaction(t.Context(), func(ctx context.Context, tx *sps.Transaction) error {
		_, err := tx.TrustStores.Create(ctx, sps.NewTrustStore("Ours", testkit.Authority(t, "One")))
		return err
	})
	if !errors.Is(err, sps.ResourceNotFound) || errors.Is(err, sps.ErrNoSuchName) {
		t.Errorf("error %v, want ResourceNotFound from the read of the list", err)
	}
	for _, r := range testkit.Requests(a) {
		if strings.HasPrefix(r, "POST /api/configuration") {
			t.Errorf("sent %s", r)
		}
	}
}

// TestStoredTrustStoreViolatesRules checks that a stored trust store that violates the client's
// rules can still be changed, if the change itself follows the rules.
func TestStoredTrustStoreViolatesRules(t *testing.T) {
	t.Parallel()
	a := spstest.NewServer(t)
	c := testkit.Connect(t, a)
	odd := `{"body":{"name":"Odd","authorities":[{"pem":"odd","subject":"CN=odd"},{"pem":"odd","subject":"CN=odder"}],"crl_urls":["ldap://x"],"revocation_check":"full","trust_store_type":"custom","future":[{}]},"key":"odd"}`
	show := spstest.Fault{Method: "GET", Path: "configuration/trust_stores/odd", Status: 200, Body: odd, Times: -1}
	a.Inject(show)
	a.Inject(spstest.Fault{Method: "PUT", Path: "configuration/trust_stores/odd", Status: 200, Body: `{"meta":{}}`, Times: -1})
	update := func(change func(*sps.TrustStore)) error {
		_, err := c.Preview(t.Context(), func(ctx context.Context, tx *sps.Transaction) error {
			return tx.TrustStores.Update(ctx, "odd", func(s *sps.TrustStore) error { change(s); return nil })
		})
		return err
	}
	if err := update(func(s *sps.TrustStore) { s.Name = "Renamed" }); err != nil {
		t.Errorf("renaming a store: %v", err)
	}
	if err := update(func(s *sps.TrustStore) { s.Authorities = s.Authorities[1:] }); err != nil {
		t.Errorf("removing an authority: %v", err)
	}
	if err := update(func(s *sps.TrustStore) { s.CRLURLs = append(s.CRLURLs, "ftp://y") }); !errors.Is(err, sps.ErrInvalidInput) || strings.Contains(fmt.Sprint(err), "ldap") {
		t.Errorf("adding an invalid CRL URL: %v, want ErrInvalidInput", err)
	}
	store, err := c.TrustStores.Get(t.Context(), "odd")
	if err != nil {
		t.Fatal(err)
	}
	if certificates, err := store.Body.Certificates(); len(certificates) > 0 || !strings.Contains(fmt.Sprint(err), "CN=odder") || !errors.Is(err, sps.ErrInvalidInput) {
		t.Errorf("certificates %v, %v", certificates, err)
	}
	store.Body.Authorities = slices.Repeat(store.Body.Authorities, 1000)
	if _, err := store.Body.Certificates(); len(fmt.Sprint(err)) > 10_000 || !strings.HasSuffix(fmt.Sprint(err), "more") {
		t.Errorf("the error for many certificates has %d bytes", len(fmt.Sprint(err)))
	}
}

func TestTrustStoreAuthorities(t *testing.T) {
	t.Parallel()
	soon := testkit.Authority(t, "Soon", func(c *x509.Certificate) { c.NotAfter = time.Now().Add(time.Hour) })
	later := testkit.Authority(t, "Later")
	server := testkit.Authority(t, "Server", func(c *x509.Certificate) { c.IsCA = false })
	s := sps.NewTrustStore("Ours", soon)
	if err := s.AddAuthority(later); err != nil {
		t.Fatal(err)
	}
	_, missing := s.Authority(sps.CertificateFingerprint(server))
	_, malformed := s.Authority("01")
	for name, test := range map[string]struct{ err, want error }{
		"twice":                   {s.AddAuthority(later), sps.ErrAuthorityExists},
		"nil":                     {s.AddAuthority(nil), sps.ErrInvalidInput},
		"removed, not there":      {s.RemoveAuthority(sps.CertificateFingerprint(server)), sps.ErrNoSuchAuthority},
		"removed, no fingerprint": {s.RemoveAuthority("zz"), sps.ErrInvalidInput},
		"not there":               {missing, sps.ErrNoSuchAuthority},
		"no fingerprint":          {malformed, sps.ErrInvalidInput},
	} {
		if !errors.Is(test.err, test.want) || !strings.HasPrefix(fmt.Sprint(test.err), "sps: ") {
			t.Errorf("%s: %v, want %v", name, test.err, test.want)
		}
	}
	expiring, err := s.ExpiringBefore(time.Now().Add(24 * time.Hour))
	if err != nil {
		t.Fatal(err)
	}
	testkit.Diff(t, "expiring", []*x509.Certificate{soon}, expiring, sameCertificate)
	if none, err := s.ExpiringBefore(time.Now()); err != nil || len(none) > 0 {
		t.Errorf("expired: %v, %v", none, err)
	}
	if err := s.RemoveAuthority(sps.CertificateFingerprint(soon)); err != nil {
		t.Fatal(err)
	}
	left, err := s.Certificates()
	if err != nil {
		t.Fatal(err)
	}
	testkit.Diff(t, "certificates that are left", []*x509.Certificate{later}, left, sameCertificate)
}

// TestTrustStoreSpelling checks that two PEM texts of the same certificate count as equal, so
// that an update with another spelling sends nothing.
func TestTrustStoreSpelling(t *testing.T) {
	t.Parallel()
	one, two, three := testkit.Authority(t, "One"), testkit.Authority(t, "Two"), testkit.Authority(t, "Three")
	respelled := func(c *x509.Certificate) sps.TrustStoreAuthority {
		return sps.TrustStoreAuthority{PEM: "subject=" + c.Subject.String() + "\r\n" + strings.ReplaceAll(strings.TrimSpace(testkit.PEM(c)), "\n", "\r\n")}
	}
	a := spstest.NewServer(t)
	c := testkit.Connect(t, a)
	var key string
	create := func(ctx context.Context, tx *sps.Transaction) (err error) {
		key, err = tx.TrustStores.Create(ctx, sps.NewTrustStore("Ours", one, two))
		return err
	}
	if err := c.Transaction(t.Context(), create); err != nil {
		t.Fatal(err)
	}
	for name, test := range map[string]struct {
		change func(s *sps.TrustStore) error
		want   []string // the subjects of the certificates sent, nil if nothing is sent
	}{
		"set again": {func(s *sps.TrustStore) error { return s.SetAuthorities(two, one, two) }, nil},
		"spelled in another way": {func(s *sps.TrustStore) error {
			s.Authorities = []sps.TrustStoreAuthority{respelled(one), respelled(two)}
			return nil
		}, nil},
		"an authority added": {func(s *sps.TrustStore) error {
			s.Authorities = []sps.TrustStoreAuthority{respelled(one), respelled(two), {PEM: testkit.PEM(three)}}
			return nil
		}, []string{"One", "Two", "Three"}},
		"an authority replaced": {func(s *sps.TrustStore) error { return s.SetAuthorities(three, two) }, []string{"Two", "Three"}},
		"none":                  {func(s *sps.TrustStore) error { return s.SetAuthorities() }, []string{}},
	} {
		a.ResetJournal()
		given := []sps.TrustStoreAuthority{}
		_, err := c.Preview(t.Context(), func(ctx context.Context, tx *sps.Transaction) error {
			return tx.TrustStores.Update(ctx, key, func(s *sps.TrustStore) error {
				if err := test.change(s); err != nil {
					return err
				}
				given = s.Authorities
				return nil
			})
		})
		if err != nil {
			t.Errorf("%s: %v", name, err)
		}
		var sent []string
		for _, r := range a.Journal() {
			if r.Method != "PUT" {
				continue
			}
			var store sps.TrustStore
			if err := json.Unmarshal(r.Body, &store); err != nil {
				t.Fatal(err)
			}
			sent = []string{}
			certificates, err := store.Certificates()
			if err != nil {
				t.Error(err)
			}
			for _, certificate := range certificates {
				sent = append(sent, certificate.Subject.CommonName)
			}
		}
		testkit.Diff(t, name, test.want, sent)
		if len(given) == 3 && given[0] != respelled(one) {
			t.Errorf("%s: the update writes into the list of the caller", name)
		}
	}
	s := sps.TrustStore{Authorities: []sps.TrustStoreAuthority{respelled(one), {PEM: "odd", Fingerprint: sps.TrustStoreFingerprint{Digest: sps.CertificateFingerprint(two)}}}}
	testkit.Diff(t, "has", []bool{true, true, false, false}, []bool{s.HasAuthority(one), s.HasAuthority(two), s.HasAuthority(three), s.HasAuthority(nil)})
	if err := s.SetAuthorities(one, nil); !errors.Is(err, sps.ErrInvalidInput) || len(s.Authorities) != 2 {
		t.Errorf("SetAuthorities with nil: %v, want ErrInvalidInput and an unchanged store", err)
	}
}

// TestSelfSignedServer checks that adding the certificate of a self-signed server to a store
// causes a warning and not an error, because the guide does not forbid it.
func TestSelfSignedServer(t *testing.T) {
	t.Parallel()
	server := testkit.Authority(t, "www.example.com", func(c *x509.Certificate) { c.IsCA = false; c.KeyUsage = x509.KeyUsageDigitalSignature })
	s := sps.NewTrustStore("Ours", testkit.Authority(t, "One"))
	testkit.Diff(t, "warnings of an authority", []string(nil), s.Warnings())
	if err := s.AddAuthority(server); err != nil {
		t.Fatal(err)
	}
	if err := s.Validate(); err != nil {
		t.Error(err)
	}
	const warning = "CN=www.example.com,C=HU is not a certificate authority"
	if got := s.Warnings(); len(got) != 1 || !strings.HasPrefix(got[0], warning) {
		t.Errorf("warnings %q", got)
	}
	var out bytes.Buffer
	a := spstest.NewServer(t)
	c := testkit.Connect(t, a, sps.WithLogger(slog.New(slog.NewTextHandler(&out, nil))))
	var key string
	for _, write := range []func(context.Context, *sps.Transaction) error{
		func(ctx context.Context, tx *sps.Transaction) (err error) {
			key, err = tx.TrustStores.Create(ctx, s)
			return err
		},
		func(ctx context.Context, tx *sps.Transaction) error {
			return tx.TrustStores.Update(ctx, key, func(s *sps.TrustStore) error { s.Name = "Theirs"; return nil })
		},
	} {
		if err := c.Transaction(t.Context(), write); err != nil {
			t.Fatal(err)
		}
	}
	if n := strings.Count(out.String(), warning); n != 1 || !strings.Contains(out.String(), "level=WARN") {
		t.Errorf("%d warnings, want one warning, for the new certificate: %s", n, out.String())
	}
}

// TestParseCertificates reads PEM texts with [sps.ParseCertificates] and as a CA bundle. It
// checks that the error names each block that cannot be read, and that a bundle uses the other
// blocks.
func TestParseCertificates(t *testing.T) {
	t.Parallel()
	one, two := testkit.Authority(t, "One"), testkit.Authority(t, "Two")
	const mark = "\ufeff"
	for name, text := range map[string]string{
		"text around":          "One's:\n" + testkit.PEM(one) + "\nTwo's:\r\n" + strings.ReplaceAll(testkit.PEM(two), "\n", "\r\n") + "end",
		"a mark":               mark + testkit.PEM(one, two),
		"a mark before each":   mark + testkit.PEM(one) + mark + testkit.PEM(two),
		"no line break at all": strings.TrimSpace(testkit.PEM(one)) + strings.TrimSpace(testkit.PEM(two)),
		"an old label":         strings.ReplaceAll(testkit.PEM(one), "CERTIFICATE", "X509 CERTIFICATE") + testkit.PEM(two),
	} {
		got, err := sps.ParseCertificates([]byte(text))
		if err != nil {
			t.Errorf("%s: %v", name, err)
		}
		testkit.Diff(t, name, []*x509.Certificate{one, two}, got, sameCertificate)
	}
	key := privateKey(t)
	negative := testkit.PEM(testkit.NegativeSerial(t, one))
	indented := "  " + strings.ReplaceAll(strings.TrimSpace(testkit.PEM(two)), "\n", "\n  ") + "\n"
	relabelled := func(label string) string { return strings.ReplaceAll(testkit.PEM(two), "CERTIFICATE", label) }
	for name, test := range map[string]struct {
		text, want string
		good       bool // whether Connect accepts the text as a CA bundle, because another block is a valid certificate
	}{
		"empty":              {"", "the text holds no certificate in PEM form", false},
		"a mark alone":       {mark, "holds no certificate in PEM form", false},
		"DER":                {string(one.Raw), "one in DER form: convert it with openssl x509 -inform der", false},
		"UTF-16":             {"\xff\xfe-\x00-\x00", "it is UTF-16", false},
		"private key":        {testkit.PEM(one) + key, "holds a private key", false},
		"another key":        {strings.ReplaceAll(key, "PRIVATE", "RSA PRIVATE"), "holds a private key", false},
		"encrypted key":      {strings.ReplaceAll(key, "PRIVATE", "ENCRYPTED PRIVATE"), "holds a private key", false},
		"request":            {relabelled("CERTIFICATE REQUEST"), `the one block of the PEM text cannot be read: block 1 (line 1): it is a block of type "CERTIFICATE REQUEST"`, false},
		"PKCS7 among":        {testkit.PEM(one) + relabelled("PKCS7"), `1 of the 2 blocks of the PEM text cannot be read: block 2 (line 11): it is a block of type "PKCS7"`, true},
		"truncated":          {testkit.PEM(one) + testkit.PEM(two)[:100], "block 2 (line 11): its end line is missing", true},
		"truncated between":  {testkit.PEM(one)[:100] + "\n" + testkit.PEM(two), "block 1 (line 1): its end line is missing", true},
		"indented":           {"ca: |\n" + indented, "block 1 (line 2): its lines are indented", false},
		"indented after one": {testkit.PEM(one) + indented, "block 2 (line 11): its lines are indented", true},
		"no base64":          {"-----BEGIN CERTIFICATE-----\n???\n-----END CERTIFICATE-----", "block 1 (line 1): it is malformed", false},
		"other bytes":        {mark + "\n-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----", "block 1 (line 2): Go cannot read the certificate", false},
		"negative serial":    {negative, "negative serial number (set GODEBUG=x509negativeserial=1 to accept it)", false},
		"negative and good":  {negative + testkit.PEM(one), "block 1 (line 1): Go cannot read the certificate: negative serial number", true},
		"many":               {strings.Repeat(negative, 20), "; and 15 more", false},
	} {
		got, err := sps.ParseCertificates([]byte(test.text))
		if !errors.Is(err, sps.ErrInvalidInput) || !strings.Contains(fmt.Sprint(err), test.want) || got != nil {
			t.Errorf("%s: %v, %v, want %q", name, got, err, test.want)
		}
		var out bytes.Buffer
		c, err := sps.Connect(t.Context(), "sps1", sps.ExistingSession(sps.NewSecretString("session")),
			sps.WithCABundle([]byte(test.text)), sps.WithLogger(slog.New(slog.NewTextHandler(&out, nil))))
		told := fmt.Sprint(err)
		if test.good {
			told = out.String()
		}
		_, reason, _ := strings.Cut(test.want, "cannot be read: ")
		if !strings.Contains(strings.ReplaceAll(told, `\"`, `"`), reason) || test.good != (err == nil) || err != nil && !errors.Is(err, sps.ErrInvalidInput) {
			t.Errorf("%s, as a bundle: %v, logged %q", name, err, out.String())
		}
		if err == nil {
			c.Close(t.Context())
		}
	}
}

// TestTrustStoreRights checks that a user who may only read trust stores cannot create one, and
// that the client rolls back.
func TestTrustStoreRights(t *testing.T) {
	t.Parallel()
	a := spstest.NewServer(t, spstest.WithUser("reader", "secret", spstest.ReadOnlyAt("configuration/trust_stores")))
	c, err := sps.Connect(t.Context(), a.Addr(), sps.UsernamePassword("reader", sps.NewSecretString("secret")), sps.WithCABundle(a.CA()))
	if err != nil {
		t.Fatal(err)
	}
	defer c.Close(context.Background())
	err = c.Transaction(t.Context(), func(ctx context.Context, tx *sps.Transaction) error {
		if err := testkit.SetAdmin(testkit.AdminAfter)(ctx, tx); err != nil {
			return err
		}
		if _, err := tx.TrustStores.List(ctx); err != nil {
			t.Errorf("reading the trust stores: %v", err)
		}
		_, err := tx.TrustStores.Create(ctx, sps.NewTrustStore("Ours", testkit.Authority(t, "One")))
		return err
	})
	var path *sps.UnauthorizedDetails
	if !errors.Is(err, sps.Unauthorized) || !errors.As(err, &path) || path.Path != "configuration/trust_stores" {
		t.Errorf("creating a trust store: %v, want Unauthorized", err)
	}
	testkit.Settled(t, a, testkit.AdminBefore) // the mail settings were staged before the refusal, and rolled back
	if journal := testkit.Requests(a); !slices.Contains(journal, "DELETE /api/transaction") {
		t.Errorf("requests %v", journal)
	}
}

// TestCreateListsOnce checks that a transaction that creates several stores reads their names
// once and remembers the names that it sets itself.
func TestCreateListsOnce(t *testing.T) {
	t.Parallel()
	a := spstest.NewServer(t)
	c := testkit.Connect(t, a)
	var refused error
	if err := c.Transaction(t.Context(), func(ctx context.Context, tx *sps.Transaction) error {
		for i := range 5 {
			if _, err := tx.TrustStores.Create(ctx, sps.NewTrustStore(fmt.Sprint("store ", i))); err != nil {
				return err
			}
		}
		key, err := tx.TrustStores.Create(ctx, sps.NewTrustStore("other"))
		if err != nil {
			return err
		}
		if err := tx.TrustStores.Update(ctx, key, func(s *sps.TrustStore) error { s.Name = "another"; return nil }); err != nil {
			return err
		}
		_, refused = tx.TrustStores.Create(ctx, sps.NewTrustStore("another"))
		if _, err := tx.TrustStores.Create(ctx, sps.NewTrustStore("other")); err != nil {
			return err
		}
		return tx.TrustStores.Delete(ctx, key)
	}); err != nil {
		t.Fatal(err)
	}
	if !errors.Is(refused, sps.ErrInvalidInput) {
		t.Errorf("creating a second store with the same name: %v", refused)
	}
	lists := 0
	for _, r := range a.Journal() {
		if r.Method == http.MethodGet && r.Path == "/api/configuration/trust_stores" {
			lists++
		}
	}
	if lists != 2 { // the client repeats the read when the first write is accepted
		t.Errorf("the list was read %d times, want 2", lists)
	}
}
