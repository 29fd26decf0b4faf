package spstest_test

import (
	"crypto/x509"
	"encoding/json"
	"encoding/pem"
	"regexp"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/go-sps/sps/spstest"
)

const (
	trustStores = "/api/configuration/trust_stores"
	customStore = trustStores + "/5f0b1d3e-8c52-4a7e-9d4b-6f1a2c3e4d50"
	ldapStore   = trustStores + "/c1a7e0b4-2f63-4d18-a9c5-70de31b8f642"
)

// untouched is an appliance that the tests only read from.
var untouched = sync.OnceValue(func() *spstest.Appliance { return spstest.NewServer(nil, spstest.WithoutListener()) })

// guidePEM returns the certificate of the guide's sample as PEM.
func guidePEM(t testing.TB) string {
	t.Helper()
	return sampleStore(t, customStore)["authorities"].([]any)[0].(map[string]any)["pem"].(string)
}

func sampleStore(t testing.TB, p string) map[string]any {
	t.Helper()
	body, _ := untouched().Configuration(p)
	return fromJSON(t, string(body)).(map[string]any)
}

// trustStore returns a body for a request that writes a custom trust store.
func trustStore(t *testing.T, name, check, urls string, pems ...string) string {
	t.Helper()
	authorities := []map[string]string{}
	for _, pem := range pems {
		authorities = append(authorities, map[string]string{"pem": pem})
	}
	return string(encodeJSON(t, map[string]any{"name": name, "authorities": authorities, "crl_urls": json.RawMessage(urls),
		"revocation_check": check, "trust_store_type": "custom"}))
}

// TestTrustStoreSamples checks that the members of the samples that were derived by hand
// are the same as those that the appliance derives from the certificates.
func TestTrustStoreSamples(t *testing.T) {
	t.Parallel()
	for _, path := range []string{customStore, ldapStore} {
		c := inProcess(t, newInProcess(t, variants(t, "authority-derived=checked")...)).logIn("admin", "a")
		sample := sampleStore(t, path)
		c.want(200, "PUT", path, string(encodeJSON(t, sample)))
		if diff := cmp.Diff(sample, c.want(200, "GET", path, "").body["body"]); diff != "" {
			t.Errorf("%s (-want +got):\n%s", path, diff)
		}
	}
}

func TestTrustStoreList(t *testing.T) {
	t.Parallel()
	for variant, hasMeta := range map[string]bool{"present": true, "absent": false} {
		c := inProcess(t, newInProcess(t, variants(t, "trust-store-list-meta="+variant)...)).logIn("admin", "a")
		r := c.want(200, "GET", trustStores, "")
		items := r.body["items"].([]any)
		if diff := cmp.Diff(fromJSON(t, `{"key":"-7001","meta":{"href":"`+trustStores+`/-7001"},
			"body":{"name":"Built-in","revocation_check":"none","trust_store_type":"built-in"}}`), items[0]); diff != "" || len(items) != 3 {
			t.Errorf("%d items; built-in store (-want +got):\n%s", len(items), diff)
		}
		if _, has := r.body["meta"]; has != hasMeta {
			t.Errorf("%s: meta: %t", variant, has)
		}
	}
}

func TestTrustStoreWrites(t *testing.T) {
	t.Parallel()
	c := inProcess(t, newInProcess(t)).logIn("admin", "a")
	pem := strings.ReplaceAll(strings.TrimSuffix(guidePEM(t), "\n"), "\n", "\r\n")
	r := c.want(201, "POST", trustStores, trustStore(t, "new", "full", `["https://crl.example.com/a"]`, pem))
	key := r.body["key"].(string)
	if !regexp.MustCompile(`^[0-9a-f]{8}-[0-9a-f]{4}-4[0-9a-f]{3}-a[0-9a-f]{3}-[0-9a-f]{12}$`).MatchString(key) {
		t.Errorf("the key %q is not a UUID", key)
	}
	want := sampleStore(t, customStore)
	want["name"], want["crl_urls"] = "new", []any{"https://crl.example.com/a"}
	if diff := cmp.Diff(want, c.want(200, "GET", trustStores+"/"+key, "").body["body"]); diff != "" {
		t.Errorf("created (-want +got):\n%s", diff)
	}
	c.want(200, "DELETE", customStore, "")
	c.want(200, "PUT", "/api/transaction", `{"status":"commit"}`)
	c.want(404, "GET", customStore, "")

	c.want(201, "POST", trustStores, `{"name":"short"}`)
	r = c.do("DELETE", ldapStore, "")
	wantError(t, r, 400, "SemanticError", []any{"The object is in use: " + ldapStore + ", /api/configuration/policies/ldap_servers/7db5d7a8553b7c4be1ea5"})
}

func TestTrustStoreRefused(t *testing.T) {
	t.Parallel()
	pem := guidePEM(t)
	short := `{"name":"x","revocation_check":"none","trust_store_type":"custom"}`
	wrong := `{"name":"x","authorities":[{"pem":` + string(encodeJSON(t, pem)) + `,"subject":"CN=other"}]}`
	bare := `{"name":"x","authorities":[` + string(encodeJSON(t, pem)) + `]}`
	for _, test := range []struct {
		name, variant, method, path, body string
		status                            int
		kind                              string
		details                           any
	}{
		{"built-in, created", "", "POST", trustStores, `{"name":"x","trust_store_type":"built-in"}`, 400, "SyntacticError", trustStores + "#trust_store_type"},
		{"custom, made built-in", "", "PUT", customStore, `{"name":"x","trust_store_type":"built-in"}`, 400, "SyntacticError", customStore + "#trust_store_type"},
		{"built-in, edited", "", "PUT", trustStores + "/-7001", short, 400, "SyntacticError", trustStores + "/-7001"},
		{"built-in, deleted", "", "DELETE", trustStores + "/-7001", "", 400, "SyntacticError", trustStores + "/-7001"},
		{"built-in, created, variant", "built-in-refused=403:ForbiddenActionError", "POST", trustStores, `{"name":"x","trust_store_type":"built-in"}`, 403, "ForbiddenActionError", trustStores + "#trust_store_type"},
		{"details, variant", "path-details=object", "DELETE", trustStores + "/-7001", "", 400, "SyntacticError", map[string]any{"path": trustStores + "/-7001"}},
		{"none with URLs", "", "POST", trustStores, trustStore(t, "x", "none", `["http://a.example/"]`), 400, "SyntacticError", trustStores + "#crl_urls"},
		{"full without URLs", "", "POST", trustStores, trustStore(t, "x", "full", `[]`), 400, "SyntacticError", trustStores + "#crl_urls"},
		{"leaf without URLs", "", "PUT", customStore, trustStore(t, "x", "leaf", `[]`), 400, "SyntacticError", customStore + "#crl_urls"},
		{"unknown check", "", "POST", trustStores, trustStore(t, "x", "some", `[]`), 400, "SyntacticError", trustStores + "#revocation_check"},
		{"unknown type", "", "POST", trustStores, `{"name":"x","trust_store_type":"other"}`, 400, "SyntacticError", trustStores + "#trust_store_type"},
		{"other URL", "", "POST", trustStores, trustStore(t, "x", "full", `["http://a.example/","ldap://b.example/"]`), 400, "SyntacticError", trustStores + "#crl_urls/1"},
		{"no name", "", "POST", trustStores, `{"revocation_check":"none"}`, 400, "SyntacticError", trustStores + "#name"},
		{"no PEM", "", "POST", trustStores, trustStore(t, "x", "none", `[]`, "-----BEGIN CERTIFICATE-----\n"), 400, "SyntacticError", trustStores + "#authorities/0/pem"},
		{"no certificate", "", "POST", trustStores, trustStore(t, "x", "none", `[]`, "-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n"), 400, "SyntacticError", trustStores + "#authorities/0/pem"},
		{"two certificates", "", "POST", trustStores, trustStore(t, "x", "none", `[]`, pem, pem+pem), 400, "SyntacticError", trustStores + "#authorities/1/pem"},
		{"text before", "", "POST", trustStores, trustStore(t, "x", "none", `[]`, "CA\n"+pem), 400, "SyntacticError", trustStores + "#authorities/0/pem"},
		{"no PEM member", "", "POST", trustStores, `{"name":"x","authorities":[{}]}`, 400, "SyntacticError", trustStores + "#authorities/0/pem"},
		{"bare PEM", "", "POST", trustStores, bare, 400, "SyntacticError", trustStores + "#authorities/0"},
		{"bare PEM, variant", "authority-text=accepted", "POST", trustStores, bare, 201, "", nil},
		{"wrong subject", "", "POST", trustStores, wrong, 201, "", nil},
		{"wrong subject, variant", "authority-derived=checked", "POST", trustStores, wrong, 400, "SyntacticError", trustStores + "#authorities/0/subject"},
		{"members missing, variant", "trust-store-members=400:SyntacticError", "POST", trustStores, short, 400, "SyntacticError", trustStores + "#authorities"},
		{"members missing, other variant", "trust-store-members=400:IncompleteRequestBodyError", "POST", trustStores, short, 400, "IncompleteRequestBodyError", map[string]any{"missing_paths": []any{"authorities", "crl_urls"}}},
	} {
		t.Run(test.name, func(t *testing.T) {
			t.Parallel()
			var opts []spstest.Option
			if test.variant != "" {
				opts = variants(t, test.variant)
			}
			c := inProcess(t, newInProcess(t, opts...)).logIn("admin", "a")
			wantError(t, c.do(test.method, test.path, test.body), test.status, test.kind, test.details)
		})
	}
}

func TestTrustStoreInconsistent(t *testing.T) {
	t.Parallel()
	pem := guidePEM(t)
	for name, test := range map[string]struct{ body, detail string }{
		"name":        {trustStore(t, "My_Custom_Trust_Store", "none", `[]`), `The name "My_Custom_Trust_Store" is not unique: ` + customStore + ", " + ldapStore},
		"authorities": {trustStore(t, "x", "none", `[]`, pem, strings.TrimSpace(pem)), "The authorities of a trust store have to be unique: " + ldapStore + "#authorities/1"},
		"CRL URLs":    {trustStore(t, "x", "leaf", `["http://a.example/","http://b.example/","http://a.example/"]`), "The CRL URLs of a trust store have to be unique: " + ldapStore + "#crl_urls/2"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			c := inProcess(t, newInProcess(t)).logIn("admin", "a")
			c.want(200, "PUT", ldapStore, test.body)
			wantError(t, c.do("PUT", "/api/transaction", `{"status":"commit"}`), 400, "SemanticError", []any{test.detail})

			c = inProcess(t, newInProcess(t, variants(t, "semantic-check=write")...)).logIn("admin", "a")
			wantError(t, c.do("PUT", ldapStore, test.body), 400, "SemanticError", []any{test.detail})
		})
	}
}

// TestSampleExpiry checks when the certificates of a new appliance expire, and that a trust
// store accepts a certificate that expires soon.
func TestSampleExpiry(t *testing.T) {
	t.Parallel()
	expiry := func(text string) time.Time {
		block, _ := pem.Decode([]byte(text))
		certificate, err := x509.ParseCertificate(block.Bytes)
		if err != nil {
			t.Fatal(err)
		}
		return certificate.NotAfter
	}
	inStore := func(body any) (years []int) {
		for _, authority := range body.(map[string]any)["authorities"].([]any) {
			years = append(years, expiry(authority.(map[string]any)["pem"].(string)).Year())
		}
		return years
	}
	got := [][]int{inStore(sampleStore(t, customStore)), inStore(sampleStore(t, ldapStore))}
	if diff := cmp.Diff([][]int{{2034}, {2049}}, got); diff != "" {
		t.Errorf("years (-want +got):\n%s", diff)
	}
	a := newInProcess(t)
	if left := time.Until(expiry(string(a.CA()))); left < 9*365*24*time.Hour {
		t.Errorf("the CA of the server certificate expires in %v", left)
	}
	soon, _ := clientCertificate(t, "soon")
	if left := time.Until(expiry(string(soon))); left > 48*time.Hour {
		t.Fatalf("the certificate expires in %v", left)
	}
	c := inProcess(t, a).logIn("admin", "a")
	key := c.want(201, "POST", trustStores, trustStore(t, "soon", "none", `[]`, string(soon))).body["key"].(string)
	if authorities := c.want(200, "GET", trustStores+"/"+key, "").body["body"].(map[string]any)["authorities"].([]any); len(authorities) != 1 {
		t.Errorf("authorities %v", authorities)
	}
}
