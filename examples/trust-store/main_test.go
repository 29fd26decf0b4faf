package main

import (
	"bytes"
	"context"
	"crypto/ed25519"
	"crypto/rand"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/json"
	"encoding/pem"
	"errors"
	"math/big"
	"regexp"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/go-sps/sps"
	"github.com/go-sps/sps/examples/internal/clitest"
	"github.com/go-sps/sps/spstest"
)

// program is the program under test.
var program = clitest.Program{Main: run}

// reach gives the flags that reach an appliance and print JSON, and adds others.
func reach(t *testing.T, a *spstest.Appliance, more ...string) []string {
	t.Helper()
	return clitest.Reach(t, a, append([]string{"-output", "json"}, more...)...)
}

// ca makes the certificate of an authority, which expires in ten days.
func ca(t *testing.T, name string) *x509.Certificate {
	t.Helper()
	certificate, err := makeCA(name, time.Now().Add(10*24*time.Hour))
	if err != nil {
		t.Fatal(err)
	}
	return certificate
}

func pemOf(all ...*x509.Certificate) []byte {
	var text []byte
	for _, c := range all {
		text = append(text, pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: c.Raw})...)
	}
	return text
}

// withStore adds a store with some authorities to an appliance.
func withStore(t *testing.T, a *spstest.Appliance, name string, authorities ...*x509.Certificate) {
	t.Helper()
	client, err := sps.Connect(t.Context(), a.Addr(), sps.UsernamePassword("setup", sps.NewSecretString("setup")), sps.WithCABundle(a.CA()))
	if err != nil {
		t.Fatal(err)
	}
	defer client.Close(t.Context())
	err = client.Transaction(t.Context(), func(ctx context.Context, tx *sps.Transaction) error {
		_, err := tx.TrustStores.Create(ctx, sps.NewTrustStore(name, authorities...))
		return err
	}, sps.WithMessage("setup"))
	if err != nil {
		t.Fatal(err)
	}
	a.ResetJournal()
}

// names gives the common names of the authorities that a store has, nil of one that
// does not exist.
func names(t *testing.T, a *spstest.Appliance, store string) []string {
	t.Helper()
	client, err := sps.Connect(t.Context(), a.Addr(), sps.UsernamePassword("setup", sps.NewSecretString("setup")), sps.WithCABundle(a.CA()))
	if err != nil {
		t.Fatal(err)
	}
	defer client.Close(t.Context())
	object, err := client.TrustStores.GetByName(t.Context(), store)
	if errors.Is(err, sps.ResourceNotFound) {
		return nil
	}
	if err != nil {
		t.Fatal(err)
	}
	all, err := object.Body.Certificates()
	if err != nil {
		t.Fatal(err)
	}
	found := []string{}
	for _, c := range all {
		found = append(found, c.Subject.CommonName)
	}
	return found
}

// setup is a user who prepares the appliances of these tests.
var setup = spstest.WithUser("setup", "setup")

// decode reads the JSON output: one object with nothing around it, and all members
// in it.
func decode(t *testing.T, got clitest.Outcome) result {
	t.Helper()
	var members map[string]any
	if err := json.Unmarshal([]byte(got.Stdout), &members); err != nil {
		t.Fatalf("standard output is not one JSON object: %v\n%s%s", err, got.Stdout, got.Stderr)
	}
	for _, name := range []string{"appliance", "status", "stores", "expiring", "created", "added", "removed", "note", "error"} {
		if members[name] == nil {
			t.Errorf("the result lacks %s:\n%s", name, got.Stdout)
		}
	}
	var r result
	decoder := json.NewDecoder(strings.NewReader(got.Stdout))
	decoder.DisallowUnknownFields()
	if err := decoder.Decode(&r); err != nil {
		t.Fatal(err)
	}
	return r
}

// comes checks what a run came to without an error.
func comes(t *testing.T, exit int, status string, got clitest.Outcome) result {
	t.Helper()
	r := decode(t, got)
	if got.Status != exit || r.Status != status || r.Error != "" {
		t.Errorf("exit status %d, %s %q, want %d and %s; standard error:\n%s", got.Status, r.Status, r.Error, exit, status, got.Stderr)
	}
	return r
}

// fails checks that a run ended with an error that says something.
func fails(t *testing.T, got clitest.Outcome, want string) result {
	t.Helper()
	r := decode(t, got)
	if got.Status != exitError || r.Status != errored || !strings.Contains(r.Error, want) || strings.Contains(r.Error, "\n") {
		t.Errorf("exit status %d, %s %q, want %d and one line with %q", got.Status, r.Status, r.Error, exitError, want)
	}
	if r.Created || len(r.Added)+len(r.Removed) > 0 {
		t.Errorf("a run that failed has added %v and removed %v", r.Added, r.Removed)
	}
	return r
}

// subjects checks the common names of authorities.
func subjects(t *testing.T, what string, all []authority, want ...string) {
	t.Helper()
	var got []string
	for _, a := range all {
		name, _, _ := strings.Cut(strings.TrimPrefix(a.Subject, "CN="), ",")
		got = append(got, name)
		if len(a.Fingerprint) != 95 || a.Expires == "" {
			t.Errorf("%s: fingerprint %q, expires %q", what, a.Fingerprint, a.Expires)
		}
	}
	if d := cmp.Diff(want, got); d != "" {
		t.Errorf("%s (-want +got):\n%s", what, d)
	}
}

func leftNothing(t *testing.T, a *spstest.Appliance) {
	t.Helper()
	if a.TransactionOpen() || a.LockedBy() != "" || a.Sessions() != 0 {
		t.Errorf("left behind: transaction open %t, lock of %q, %d sessions", a.TransactionOpen(), a.LockedBy(), a.Sessions())
	}
}

func TestDemo(t *testing.T) {
	t.Parallel()
	got := program.Run(t, t.Context())
	want := `No -appliance is given, so this is a demonstration: a simulated appliance was
started in this process, at ADDRESS. The certificates are made up.

A store of our own, as of "-store Directory -create -rotate-in old.pem":

ADDRESS: the trust store Directory was made.
ADDRESS: this was added:
    CN=Example Root 1,O=Example expires DATE, in Directory
        FINGERPRINT

All trust stores:

NAME                   KEY                                   TYPE      REVOCATION  AUTHORITIES  EARLIEST EXPIRY
Built-in               -7001                                 built-in  none        not told     -
My_Custom_Trust_Store  UUID  custom    full        1            DATE
LDAP_CAs               UUID  custom    none        1            DATE
Directory              UUID  custom    none        1            DATE

What "-expiring 720h" finds, with exit status 1:

ADDRESS: these authorities expire before DATE TIME UTC:
CN=Example Root 1,O=Example expires DATE, in Directory
    FINGERPRINT

What "-store Directory -rotate-in new.pem -rotate-out old.pem -dry-run" says:

ADDRESS: this would be added:
    CN=Example Root 2,O=Example expires DATE, in Directory
        FINGERPRINT
ADDRESS: this would be removed:
    CN=Example Root 1,O=Example expires DATE, in Directory
        FINGERPRINT

The same without -dry-run, in one transaction:

ADDRESS: this was added:
    CN=Example Root 2,O=Example expires DATE, in Directory
        FINGERPRINT
ADDRESS: this was removed:
    CN=Example Root 1,O=Example expires DATE, in Directory
        FINGERPRINT

And "-expiring 720h" again:

ADDRESS: no authority expires before DATE TIME UTC.
`
	_, rest, _ := strings.Cut(got.Stdout, ", at ")
	addr, _, _ := strings.Cut(rest, ". ")
	got.Stdout = strings.ReplaceAll(got.Stdout, addr, "ADDRESS")
	for _, word := range []struct{ pattern, name string }{
		{`[0-9a-f]{2}(:[0-9a-f]{2}){31}`, "FINGERPRINT"},
		{`[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}`, "UUID"},
		{`\d{4}-\d\d-\d\d`, "DATE"},
		{`\d\d:\d\d:\d\d`, "TIME"},
	} {
		got.Stdout = regexp.MustCompile(word.pattern).ReplaceAllString(got.Stdout, word.name)
	}
	if d := cmp.Diff(clitest.Outcome{Stdout: want}, got); d != "" {
		t.Errorf("demonstration (-want +got):\n%s", d)
	}
}

func TestDemoJSON(t *testing.T) {
	t.Parallel()
	got := program.Run(t, t.Context(), "-output", "json")
	comes(t, exitOK, notExpiring, got)
	if !strings.Contains(got.Stderr, "The same without -dry-run") {
		t.Errorf("the story is not on standard error:\n%s", got.Stderr)
	}
}

func TestHelp(t *testing.T) {
	t.Parallel()
	got := program.Run(t, t.Context(), "-h")
	if got.Status != exitOK || !strings.Contains(got.Stdout, "-rotate-in file") || got.Stderr != "" {
		t.Errorf("-h gives %+v", got)
	}
}

// Whatever is wrong with the flags and the files is found before anything is sent.
func TestUsageErrors(t *testing.T) {
	t.Parallel()
	a := clitest.Start(t)
	public, private, err := ed25519.GenerateKey(rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	der, err := x509.MarshalPKCS8PrivateKey(private)
	if err != nil {
		t.Fatal(err)
	}
	key := pem.EncodeToMemory(&pem.Block{Type: "PRIVATE KEY", Bytes: der})
	secret := strings.Split(string(key), "\n")[1]
	other, err := x509.MarshalPKIXPublicKey(public)
	if err != nil {
		t.Fatal(err)
	}
	one, two := ca(t, "one"), ca(t, "two")
	good := clitest.File(t, pemOf(one))
	in := []string{"-store", "x", "-rotate-in", good}
	reaching := func(more ...string) []string { return reach(t, a, more...) }
	for _, test := range []struct {
		name string
		args []string
		want string
	}{
		{"unknown flag", []string{"-password", "x"}, "not defined: -password"},
		{"argument", []string{"sps1"}, `unexpected argument "sps1"`},
		{"empty appliance", []string{"-appliance", ""}, "-appliance is empty"},
		{"no username", []string{"-appliance", "sps1"}, "-appliance needs -username"},
		{"no appliance", in, "-store needs -appliance"},
		{"empty store", reaching("-store", ""), "-store is empty"},
		{"no store", reaching("-rotate-in", good), "-rotate-in, -rotate-out and -remove need -store"},
		{"no such time", reaching("-expiring", "soon"), `-expiring: "soon" is neither a time such as 720h nor a date such as 2027-01-01`},
		{"time in the past", reaching("-expiring", "-1h"), `"-1h" is neither`},
		{"no such date", reaching("-expiring", "2027-02-30"), `"2027-02-30" is neither`},
		{"expiring and rotate", reaching(append(in, "-expiring", "1h")...), "-expiring excludes"},
		{"two ways to remove", reaching(append(in, "-rotate-out", good, "-remove", "ab")...), "-rotate-out excludes -remove"},
		{"create nothing", reaching("-store", "x", "-create"), "-create needs -rotate-in"},
		{"dry run of nothing", reaching("-store", "x", "-dry-run"), "-dry-run needs something to change"},
		{"negative wait", reaching(append(in, "-wait", "-1s")...), "-wait must not be negative"},
		{"output", reaching("-output", "xml"), `-output "xml" is neither text nor json`},
		{"no such file", reaching("-store", "x", "-rotate-in", "testdata/none"), "-rotate-in: open testdata/none"},
		{"no such old file", reaching("-store", "x", "-rotate-out", "testdata/none"), "-rotate-out: open testdata/none"},
		{"no PEM", reaching("-store", "x", "-rotate-in", clitest.File(t, []byte("hello"))), "holds no certificate"},
		{"in and out", reaching("-store", "x", "-rotate-in", clitest.File(t, pemOf(one, two)), "-rotate-out", clitest.File(t, pemOf(two))), "both have the certificate CN=two"},
		{"in and removed", reaching("-store", "x", "-rotate-in", good, "-remove", sps.CertificateFingerprint(one)), "-rotate-in has the certificate that -remove names"},
		{"a private key", reaching("-store", "x", "-rotate-in", clitest.File(t, key)), "holds a private key"},
		{"a private key beside", reaching("-store", "x", "-rotate-in", clitest.File(t, pemOf(one), key)), "holds a private key"},
		{"a private key in an old file", reaching("-store", "x", "-rotate-out", clitest.File(t, key, pemOf(one))), "holds a private key"},
		{"a broken private key", reaching("-store", "x", "-rotate-in", clitest.File(t, pemOf(one), key[:len(key)/2])), "holds a private key"},
		{"a request", reaching("-store", "x", "-rotate-in", clitest.File(t, pemOf(one), bytes.ReplaceAll(pemOf(two), []byte("CERTIFICATE"), []byte("CERTIFICATE REQUEST")))), "block 2 (line "},
		{"a public key", reaching("-store", "x", "-rotate-in", clitest.File(t, pem.EncodeToMemory(&pem.Block{Type: "PUBLIC KEY", Bytes: other}))), "PUBLIC KEY"},
	} {
		got := program.Run(t, t.Context(), test.args...)
		if got.Status != exitError || got.Stdout != "" {
			t.Errorf("%s: status %d and standard output %q, want %d and none", test.name, got.Status, got.Stdout, exitError)
		}
		if !strings.Contains(got.Stderr, test.want) || strings.Count(got.Stderr, "\n") != 1 {
			t.Errorf("%s: standard error %q, want one line with %q", test.name, got.Stderr, test.want)
		}
		if strings.Contains(got.Stderr, secret) {
			t.Errorf("%s: the private key was printed", test.name)
		}
	}
	if n := len(a.Journal()); n != 0 {
		t.Errorf("%d requests were sent", n)
	}
}

func TestMoment(t *testing.T) {
	t.Parallel()
	now := time.Date(2026, 7, 1, 12, 0, 0, 0, time.UTC)
	for text, want := range map[string]time.Time{
		"":           {},
		"720h":       time.Date(2026, 7, 31, 12, 0, 0, 0, time.UTC),
		"0s":         now,
		"2027-01-01": time.Date(2027, 1, 1, 0, 0, 0, 0, time.UTC),
	} {
		if got, err := moment(text, now); err != nil || !got.Equal(want) {
			t.Errorf("moment(%q) = %s, error %v, want %s", text, got, err, want)
		}
	}
}

func TestConnectFails(t *testing.T) {
	t.Parallel()
	const nobody = "127.0.0.1:1" // a port that nothing gets by chance
	fails(t, program.Run(t, t.Context(), "-appliance", nobody, "-username", clitest.Username, "-output", "json"), nobody)
}

func TestShow(t *testing.T) {
	t.Parallel()
	a := clitest.Start(t, setup)
	withStore(t, a, "Our\u202e stores", ca(t, "one"), ca(t, "two"))
	r := comes(t, exitOK, shown, program.Run(t, t.Context(), reach(t, a)...))
	var got []string
	for _, s := range r.Stores {
		got = append(got, s.Name)
	}
	if d := cmp.Diff([]string{"Built-in", "My_Custom_Trust_Store", "LDAP_CAs", "Our stores"}, got); d != "" {
		t.Errorf("stores (-want +got):\n%s", d)
	}
	custom := r.Stores[1]
	if custom.Type != "custom" || custom.RevocationCheck != "full" || custom.EarliestExpiry != "2034-06-18T12:36:48Z" || len(custom.Authorities) != 1 {
		t.Errorf("a store is shown as %+v", custom)
	}

	r = comes(t, exitOK, shown, program.Run(t, t.Context(), reach(t, a, "-store", "LDAP_CAs")...))
	if len(r.Stores) != 1 {
		t.Fatalf("%d stores, want one", len(r.Stores))
	}
	subjects(t, "authorities", r.Stores[0].Authorities, "Example LDAP CA")
	text := program.Run(t, t.Context(), reach(t, a, "-store", "LDAP_CAs", "-output", "text")...)
	if want := "CN=Example LDAP CA,O=Example,C=HU expires 2049-12-31, in LDAP_CAs\n    dc:62:"; !strings.Contains(text.Stdout, want) {
		t.Errorf("the output lacks %q:\n%s", want, text.Stdout)
	}
	fails(t, program.Run(t, t.Context(), reach(t, a, "-store", "None")...), `no object has that name: "None"`)
	leftNothing(t, a)
}

func TestExpiring(t *testing.T) {
	t.Parallel()
	a := clitest.Start(t, setup)
	withStore(t, a, "Ours", ca(t, "one"), ca(t, "two"))
	for _, test := range []struct {
		args []string
		want []string
	}{
		{[]string{"-expiring", "24h"}, nil},
		{[]string{"-expiring", "720h"}, []string{"one", "two"}},
		{[]string{"-expiring", "2034-06-18"}, []string{"one", "two"}},
		{[]string{"-expiring", "2034-06-19"}, []string{"O=Internet Widgits Pty Ltd", "one", "two"}},
		{[]string{"-expiring", "2034-06-19", "-store", "LDAP_CAs"}, nil},
		{[]string{"-expiring", "2034-06-19", "-store", "Built-in"}, nil},
		{[]string{"-expiring", "2050-01-01", "-store", "LDAP_CAs"}, []string{"Example LDAP CA"}},
	} {
		exit, status := exitOK, notExpiring
		if test.want != nil {
			exit, status = exitFound, expiring
		}
		r := comes(t, exit, status, program.Run(t, t.Context(), reach(t, a, test.args...)...))
		subjects(t, strings.Join(test.args, " "), r.Expiring, test.want...)
	}
	leftNothing(t, a)
}

// An authority that cannot be read may have expired.
func TestUnreadableAuthority(t *testing.T) {
	t.Parallel()
	a := clitest.Start(t, setup)
	withStore(t, a, "Ours", ca(t, "one"))
	a.SetConfiguration("trust_stores/broken", json.RawMessage(`{"name":"Broken","crl_urls":[],"revocation_check":"none",
		"trust_store_type":"custom","authorities":[{"pem":"garbage","subject":"CN=Garbage","issuer":"","fingerprint":{"digest":"ab","hash_algorithm":"sha256"}}]}`))
	r := fails(t, program.Run(t, t.Context(), reach(t, a, "-expiring", "720h")...), "CN=Garbage")
	subjects(t, "expiring", r.Expiring, "one")
	r = comes(t, exitOK, shown, program.Run(t, t.Context(), reach(t, a, "-store", "Broken")...))
	want := []store{{"broken", "Broken", "custom", "none", []authority{{"Broken", "CN=Garbage", "ab", ""}}, ""}}
	if d := cmp.Diff(want, r.Stores); d != "" {
		t.Errorf("stores (-want +got):\n%s", d)
	}
}

func TestRotate(t *testing.T) {
	t.Parallel()
	a := clitest.Start(t, setup, spstest.WithCommitMessageRequired())
	one, two, three := ca(t, "one"), ca(t, "two"), ca(t, "three")
	withStore(t, a, "Ours", one, two)
	flags := reach(t, a, "-store", "Ours", "-rotate-in", clitest.File(t, pemOf(two, three)), "-rotate-out", clitest.File(t, pemOf(one)))

	r := comes(t, exitOK, wouldChange, program.Run(t, t.Context(), append(flags, "-dry-run")...))
	subjects(t, "added", r.Added, "three")
	subjects(t, "removed", r.Removed, "one")
	if d := cmp.Diff([]string{"one", "two"}, names(t, a, "Ours")); d != "" {
		t.Errorf("after a dry run (-want +got):\n%s", d)
	}
	leftNothing(t, a)

	fails(t, program.Run(t, t.Context(), flags...), "give one with -message")
	r = comes(t, exitOK, changed, program.Run(t, t.Context(), append(flags, "-message", "CHG-1")...))
	subjects(t, "added", r.Added, "three")
	subjects(t, "removed", r.Removed, "one")
	if d := cmp.Diff([]string{"two", "three"}, names(t, a, "Ours")); d != "" {
		t.Errorf("after the change (-want +got):\n%s", d)
	}
	if commits := a.Commits(); len(commits) != 2 || commits[1].Message != "CHG-1" {
		t.Errorf("commits %v", commits)
	}

	comes(t, exitOK, unchanged, program.Run(t, t.Context(), append(flags, "-message", "CHG-1")...))
	if n := len(a.Commits()); n != 2 {
		t.Errorf("%d commits after a run with nothing to do, want 2", n)
	}
	leftNothing(t, a)
}

func TestRemove(t *testing.T) {
	t.Parallel()
	a := clitest.Start(t, setup)
	one, two, three := ca(t, "one"), ca(t, "two"), ca(t, "three")
	withStore(t, a, "Ours", one, two)
	plain := strings.ToUpper(strings.ReplaceAll(sps.CertificateFingerprint(one), ":", ""))
	r := comes(t, exitOK, changed, program.Run(t, t.Context(), reach(t, a, "-store", "Ours", "-remove", plain, "-rotate-in", clitest.File(t, pemOf(three)))...))
	subjects(t, "added", r.Added, "three")
	subjects(t, "removed", r.Removed, "one")

	// It may be misspelt, so that nothing else is done either.
	fails(t, program.Run(t, t.Context(), reach(t, a, "-store", "Ours", "-remove", plain, "-rotate-in", clitest.File(t, pemOf(ca(t, "four"))))...), "no authority has that fingerprint")
	fails(t, program.Run(t, t.Context(), reach(t, a, "-store", "Ours", "-remove", "12:34")...), "fingerprint")
	if d := cmp.Diff([]string{"two", "three"}, names(t, a, "Ours")); d != "" {
		t.Errorf("authorities (-want +got):\n%s", d)
	}

	r = comes(t, exitOK, changed, program.Run(t, t.Context(), reach(t, a, "-store", "Ours", "-rotate-out", clitest.File(t, pemOf(two, three)))...))
	if !strings.Contains(r.Note, "no authority left") {
		t.Errorf("note %q of an empty store", r.Note)
	}
	leftNothing(t, a)
}

func TestCreate(t *testing.T) {
	t.Parallel()
	a := clitest.Start(t, setup)
	flags := reach(t, a, "-store", "Ours", "-rotate-in", clitest.File(t, pemOf(ca(t, "one"))))
	fails(t, program.Run(t, t.Context(), flags...), "-create makes it")
	flags = append(flags, "-create")
	if r := comes(t, exitOK, wouldChange, program.Run(t, t.Context(), append(flags, "-dry-run")...)); !r.Created {
		t.Error("it would not be made")
	}
	if got := names(t, a, "Ours"); got != nil {
		t.Errorf("a dry run made a store of %v", got)
	}
	if r := comes(t, exitOK, changed, program.Run(t, t.Context(), flags...)); !r.Created {
		t.Error("it was not made")
	}
	if d := cmp.Diff([]string{"one"}, names(t, a, "Ours")); d != "" {
		t.Errorf("authorities (-want +got):\n%s", d)
	}
	if r := comes(t, exitOK, unchanged, program.Run(t, t.Context(), flags...)); r.Created {
		t.Error("it was made twice")
	}
	leftNothing(t, a)
}

// A store that something refers to keeps its key, and one with a revocation check
// its CRL URLs.
func TestStoreInUse(t *testing.T) {
	t.Parallel()
	a := clitest.Start(t, setup)
	in := clitest.File(t, pemOf(ca(t, "one")))
	policies := func() string {
		body, _ := a.Configuration("policies/ldap_servers/7db5d7a8553b7c4be1ea5")
		return string(body)
	}
	before := policies()
	comes(t, exitOK, changed, program.Run(t, t.Context(), reach(t, a, "-store", "LDAP_CAs", "-rotate-in", in,
		"-remove", "dc:62:c6:99:f5:e8:bf:dc:1e:8a:60:aa:30:ef:98:54:d7:cd:0a:3a:cd:fc:8b:21:97:03:21:72:20:35:c2:48")...))
	if d := cmp.Diff([]string{"one"}, names(t, a, "LDAP_CAs")); d != "" {
		t.Errorf("authorities (-want +got):\n%s", d)
	}
	if d := cmp.Diff(before, policies()); d != "" {
		t.Errorf("the policy that uses it (-want +got):\n%s", d)
	}
	r := comes(t, exitOK, changed, program.Run(t, t.Context(), reach(t, a, "-store", "My_Custom_Trust_Store", "-rotate-in", in)...))
	if !strings.Contains(r.Note, "checks revocation (full)") {
		t.Errorf("note %q of a store with a revocation check", r.Note)
	}
	leftNothing(t, a)
}

// Every answer that the API's documentation leaves open will do, and every release.
func TestVariants(t *testing.T) {
	t.Parallel()
	one, two := ca(t, "one"), ca(t, "two")
	try := func(name string, option spstest.Option) {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			a := clitest.Start(t, setup, option)
			in, out := clitest.File(t, pemOf(one)), clitest.File(t, pemOf(two))
			comes(t, exitOK, changed, program.Run(t, t.Context(), reach(t, a, "-store", "Ours", "-rotate-in", in, "-create")...))
			comes(t, exitOK, changed, program.Run(t, t.Context(), reach(t, a, "-store", "Ours", "-rotate-in", out, "-rotate-out", in)...))
			if d := cmp.Diff([]string{"two"}, names(t, a, "Ours")); d != "" {
				t.Errorf("authorities (-want +got):\n%s", d)
			}
			if a.TransactionOpen() || a.LockedBy() != "" { // some do not log out
				t.Error("the configuration is locked")
			}
		})
	}
	for _, profile := range spstest.Profiles() {
		try(profile, spstest.WithProfile(profile))
	}
	for name, option := range clitest.Variants(t, "transaction", "configuration", "trust_stores") {
		try(name, option)
	}
}

// A self-signed server is no authority, and yet the guide does not forbid it.
func TestSelfSignedServer(t *testing.T) {
	t.Parallel()
	public, private, err := ed25519.GenerateKey(rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	template := x509.Certificate{SerialNumber: big.NewInt(1), Subject: pkix.Name{CommonName: "server"}, BasicConstraintsValid: true, NotAfter: time.Now().Add(time.Hour)}
	der, err := x509.CreateCertificate(rand.Reader, &template, &template, public, private)
	if err != nil {
		t.Fatal(err)
	}
	server, err := x509.ParseCertificate(der)
	if err != nil {
		t.Fatal(err)
	}
	a := clitest.Start(t, setup)
	withStore(t, a, "Ours")
	r := comes(t, exitOK, changed, program.Run(t, t.Context(), reach(t, a, "-store", "Ours", "-rotate-in", clitest.File(t, pemOf(server)))...))
	subjects(t, "added", r.Added, "server")
	if !strings.HasPrefix(r.Note, "CN=server is not a certificate authority") {
		t.Errorf("note %q", r.Note)
	}
}

// TestRefused is about runs that fail, and change nothing.
func TestRefused(t *testing.T) {
	t.Parallel()
	good := pemOf(ca(t, "one"))
	for _, test := range []struct {
		name   string
		option spstest.Option
		args   []string
		pem    []byte
		want   string
	}{
		{"no such store", setup, []string{"-store", "None"}, good, `no object has that name: "None"`},
		{"the built-in store", setup, []string{"-store", "Built-in"}, good, "a built-in trust store cannot be"},
		{"read-only user", spstest.WithUser(clitest.Username, clitest.Password, spstest.ReadOnly), []string{"-store", "Ours"}, good, "the user lacks the right to do this"},
		{"read-only stores", spstest.WithUser(clitest.Username, clitest.Password, spstest.ReadOnlyAt("configuration/trust_stores")), []string{"-store", "Ours"}, good, "the user lacks the right to do this"},
		{"no access", spstest.WithUser(clitest.Username, clitest.Password, spstest.NoAccessTo("configuration"), spstest.NoAccessTo("starling")), []string{"-store", "Ours"}, good, "the user lacks the right to do this"},
		{"message required", spstest.WithCommitMessageRequired(), []string{"-store", "Ours"}, good, "give one with -message"},
	} {
		t.Run(test.name, func(t *testing.T) {
			t.Parallel()
			a := clitest.Start(t, setup, test.option)
			withStore(t, a, "Ours", ca(t, "two"))
			fails(t, program.Run(t, t.Context(), reach(t, a, append(test.args, "-rotate-in", clitest.File(t, test.pem))...)...), test.want)
			if d := cmp.Diff([]string{"two"}, names(t, a, "Ours")); d != "" {
				t.Errorf("authorities (-want +got):\n%s", d)
			}
			if names(t, a, "New") != nil {
				t.Error("a store was made")
			}
			leftNothing(t, a)
		})
	}
}

func TestLocked(t *testing.T) {
	t.Parallel()
	a := clitest.Start(t, setup)
	withStore(t, a, "Ours", ca(t, "one"))
	release := a.LockConfiguration("somebody else")
	flags := reach(t, a, "-store", "Ours", "-rotate-in", clitest.File(t, pemOf(ca(t, "two"))))
	fails(t, program.Run(t, t.Context(), flags...), "-wait says how long to wait")
	// Somebody else ends as soon as the first attempt is refused.
	a.Inject(spstest.Fault{Method: "POST", Path: "transaction", Mutate: func(body []byte) []byte { release(); return body }})
	r := comes(t, exitOK, changed, program.Run(t, t.Context(), append(flags, "-wait", "1m")...))
	subjects(t, "added", r.Added, "two")
	leftNothing(t, a)
}

// Ctrl-C between the write and the commit.
func TestInterrupted(t *testing.T) {
	t.Parallel()
	ctx, cancel := context.WithCancelCause(t.Context())
	defer cancel(nil)
	a := clitest.Start(t, setup)
	a.Inject(spstest.Fault{Method: "POST", Path: "configuration/**", Mutate: func(body []byte) []byte {
		cancel(errors.New("interrupt signal received"))
		return body
	}})
	fails(t, program.Run(t, ctx, reach(t, a, "-store", "Ours", "-create", "-rotate-in", clitest.File(t, pemOf(ca(t, "one"))))...), "interrupt signal received")
	if slices.ContainsFunc(a.Journal(), func(r spstest.Request) bool { return r.Method == "PUT" }) || names(t, a, "Ours") != nil {
		t.Error("it was committed")
	}
	leftNothing(t, a)
}
