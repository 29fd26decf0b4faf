package command

import (
	"crypto/ed25519"
	"crypto/rand"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/json"
	"encoding/pem"
	"math/big"
	"strings"
	"testing"
	"time"

	"github.com/go-sps/sps/cmd/sps/internal/out"
	"github.com/go-sps/sps/spstest"
)

// makeCA returns the certificate of a new authority in PEM.
func makeCA(t *testing.T, name string, expires time.Time) []byte {
	t.Helper()
	public, private, err := ed25519.GenerateKey(rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	template := &x509.Certificate{
		SerialNumber: big.NewInt(1), Subject: pkix.Name{CommonName: name},
		NotBefore: expires.AddDate(-20, 0, 0), NotAfter: expires,
		IsCA: true, BasicConstraintsValid: true, KeyUsage: x509.KeyUsageCertSign | x509.KeyUsageCRLSign,
	}
	der, err := x509.CreateCertificate(rand.Reader, template, template, public, private)
	if err != nil {
		t.Fatal(err)
	}
	return pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: der})
}

// TestTrustStores checks the commands that read and change trust stores, and their dry run.
func TestTrustStores(t *testing.T) {
	t.Parallel()
	a := startAppliance(t)
	c := reach(t, a)
	oldFile := writeFile(t, "old.pem", string(makeCA(t, "Old", time.Now().AddDate(0, 0, 7))))
	newFile := writeFile(t, "new.pem", string(makeCA(t, "New", time.Now().AddDate(10, 0, 0))))
	rotate := func(more ...string) []string { return append([]string{"trust-stores", "rotate", "Mine"}, more...) }

	c.want(t, out.OK, []string{"NAME", "EARLIEST EXPIRY", "not listed"}, "trust-stores", "list")
	c.want(t, out.Failed, []string{"no object has that name", "--create creates the store"}, rotate("--in", oldFile)...)
	c.want(t, out.OK, []string{"this would change (dry run, nothing was changed)", "created: the trust store Mine"}, rotate("--in", oldFile, "--create", "--dry-run")...)
	if len(a.Commits()) != 0 {
		t.Fatal("the dry run was committed")
	}
	c.want(t, out.OK, []string{"changed:", "added: CN=Old"}, rotate("--in", oldFile, "--create")...)
	c.want(t, out.No, []string{"CN=Old", "Authorities that expire before ", " UTC: 1.\n"}, "trust-stores", "expiring")
	c.want(t, out.No, []string{`<failure message="CN=Old expires `, `type="Expiring"`}, "-o", "junit", "trust-stores", "expiring", "Mine")
	c.want(t, out.OK, []string{"No authority expires before"}, "trust-stores", "expiring", "Mine", "--within", "1h")
	c.want(t, out.No, []string{"CN=Old"}, "trust-stores", "expiring", "Mine", "--within", "8d")
	c.want(t, out.OK, nil, "trust-stores", "expiring", "Mine", "--within", "6d12h")
	c.want(t, out.Failed, []string{"give a number with a unit, such as 90s, 2h or 7d"}, "trust-stores", "expiring", "--within", "soon")
	c.want(t, out.Failed, []string{"\"--within\" flag: the duration must not be negative"}, "trust-stores", "expiring", "--within", "-1d")
	c.want(t, out.No, nil, "trust-stores", "expiring", "--before", "2300-01-01")
	if got := c.want(t, out.Failed, []string{"no object has that name: Nobody"}, "trust-stores", "expiring", "Nobody"); got.stdout != "" {
		t.Errorf("the output for an unknown store is %q", got.stdout)
	}
	c.want(t, out.OK, []string{"CN=Old"}, "trust-stores", "show", "Mine")
	c.want(t, out.Failed, []string{"no object has that name"}, "trust-stores", "show", "Nobody")
	c.want(t, out.OK, []string{"added: CN=New", "removed: CN=Old"}, rotate("--in", newFile, "--out", oldFile, "-m", "CHG")...)
	c.want(t, out.OK, []string{"nothing to change"}, rotate("--in", newFile, "--out", oldFile)...)
	c.want(t, out.OK, nil, "trust-stores", "expiring")
	d := c.json(t, out.OK, rotate("--out", newFile, "--dry-run")...)
	var data rotationData
	if err := json.Unmarshal(d.Results[0].Data, &data); err != nil || len(data.Removed) != 1 || !data.DryRun || len(data.Notes) != 1 || !strings.Contains(data.Notes[0], "connections that use the store") {
		t.Errorf("%+v, error %v", data, err)
	}
}

// TestBuiltInStore checks that no output reports the built-in store, whose authorities the
// appliance does not list, as checked or empty.
func TestBuiltInStore(t *testing.T) {
	t.Parallel()
	c := reach(t, startAppliance(t))
	for _, test := range []struct{ args, want string }{
		{"-o json trust-stores list", `"authorities_listed": false`},
		{"-o json trust-stores show Built-in", `"authorities_listed": false`},
		{"-o jsonl trust-stores expiring", `"not_checked":["Built-in"]`},
		{"-o junit trust-stores expiring", `<skipped message="not checked, because the appliance does not list the authorities of this store">`},
		{"trust-stores expiring Built-in", "Not checked, because the appliance does not list the authorities: Built-in."},
	} {
		c.want(t, out.OK, []string{test.want}, strings.Fields(test.args)...)
	}
}

// TestRotateUsage checks that wrong flags and files are refused before a request is sent.
func TestRotateUsage(t *testing.T) {
	t.Parallel()
	a := startAppliance(t)
	c := reach(t, a)
	pemFile := writeFile(t, "a.pem", string(makeCA(t, "A", time.Now().AddDate(10, 0, 0))))
	key := writeFile(t, "key.pem", "-----BEGIN PRIVATE KEY-----\nMAA=\n-----END PRIVATE KEY-----\n")
	empty := writeFile(t, "none.pem", "nothing\n")
	for _, test := range []struct{ args, want string }{
		{"", "give --in, --out or --remove"},
		{"--create --out " + pemFile, "--create needs --in"},
		{"--out " + pemFile + " --remove x", "--out excludes --remove"},
		{"--in " + pemFile + " --out " + pemFile, "both have the certificate CN=A"},
		{"--in nowhere", "--in: open nowhere: no such file or directory: give a readable PEM file"},
		{"--in " + key, "private key"},
		{"--in " + empty, "--in: " + empty},
	} {
		c.want(t, out.Failed, []string{test.want}, append([]string{"trust-stores", "rotate", "Mine"}, strings.Fields(test.args)...)...)
	}
	c.want(t, out.Failed, []string{"is not a date: give a date such as"}, "trust-stores", "expiring", "--before", "soon")
	c.want(t, out.Failed, []string{"--before excludes --within: give one of them"}, "trust-stores", "expiring", "--before", "2300-01-01", "--within", "5d")
	if n := len(a.Journal()); n != 0 {
		t.Errorf("%d requests were sent", n)
	}
}

// TestRotateFleet checks that a locked appliance does not stop the changes of the other
// appliances.
func TestRotateFleet(t *testing.T) {
	t.Parallel()
	locked, good := startAppliance(t), startAppliance(t)
	defer locked.LockConfiguration("somebody")()
	c, _ := fleet(t, locked, good)
	file := writeFile(t, "a.pem", string(makeCA(t, "A", time.Now().AddDate(10, 0, 0))))
	d := c.json(t, out.Failed, "--hosts", c.env["HOSTS"], "trust-stores", "rotate", "Mine", "--in", file, "--create")
	if d.Results[0].Status != out.Failed || d.Results[1].Status != out.OK || len(good.Commits()) != 1 {
		t.Errorf("%+v", d)
	}
}

// TestStarling checks the join, the unjoin and the remote access of an appliance.
func TestStarling(t *testing.T) {
	t.Parallel()
	a := startAppliance(t)
	c := reach(t, a)
	credential := writeFile(t, "credential", "s3cret-of-starling\n")
	c.want(t, out.OK, []string{"joined          no"}, "starling", "status")
	c.want(t, out.No, []string{"not joined"}, "starling", "unjoin", "--dry-run")
	c.want(t, out.Failed, []string{"remote access needs a join"}, "starling", "remote-access", "on")
	c.want(t, out.Failed, []string{"--credential-file is missing"}, "starling", "join", "--yes")
	c.want(t, out.Failed, []string{"give --yes"}, "starling", "join", "--credential-file", credential)
	c.want(t, out.OK, []string{"nothing was done"}, "starling", "join", "--credential-file", credential, "--dry-run")
	got := c.want(t, out.OK, []string{"joined          yes"}, "starling", "join", "--credential-file", credential, "--yes")
	if strings.Contains(got.stdout+got.stderr, "s3cret") {
		t.Error("the credential string was printed")
	}
	c.want(t, out.OK, []string{"already joined"}, "starling", "join", "--credential-file", credential, "--yes")
	c.want(t, out.OK, []string{"remote access: off -> on"}, "starling", "remote-access", "on")
	c.want(t, out.OK, []string{"nothing to change"}, "starling", "remote-access", "on")
	c.want(t, out.Failed, []string{"neither on nor off"}, "starling", "remote-access", "maybe")
	c.want(t, out.No, []string{"--disable-remote-access disables it"}, "starling", "unjoin", "--yes")
	c.want(t, out.Failed, []string{"excludes"}, "starling", "unjoin", "--force", "--disable-remote-access", "--yes")
	c.want(t, out.Failed, []string{"an unjoin alone has no transaction"}, "starling", "unjoin", "--message", "x", "--yes")
	if !a.Starling().Joined || !a.Starling().RemoteAccess {
		t.Fatalf("%+v", a.Starling())
	}
	a.Inject(spstest.Fault{Method: "DELETE", Path: "starling/join", Status: 400, Body: `{"error":{"type":"ForbiddenActionError","message":"no","details":{}}}`})
	c.want(t, out.Unknown, []string{"remote access was already switched off"}, "starling", "unjoin", "--disable-remote-access", "--yes")
	c.want(t, out.OK, []string{"no longer joined to Starling"}, "starling", "unjoin", "--disable-remote-access", "--yes")
	if a.Starling().Joined {
		t.Error("it is joined")
	}
}

// TestBundle checks the download of a support bundle, and its errors.
func TestBundle(t *testing.T) {
	t.Parallel()
	a := startAppliance(t)
	c := reach(t, a)
	name := t.TempDir() + "/bundle.tar.gz"
	c.want(t, out.OK, []string{"the appliance would create a bundle"}, "bundle", "create", name, "--dry-run")
	c.want(t, out.OK, []string{"contains the support bundle"}, "bundle", "create", name)
	c.want(t, out.Failed, []string{"already exists: name a new file"}, "bundle", "create", name)
	a.FailBundles(true)
	c.want(t, out.Failed, nil, "bundle", "create", name+"2")
	c.want(t, out.Failed, nil, "bundle", "create", "/nowhere/x")
}
