package spstest_test

import (
	"encoding/json"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/go-sps/sps/spstest"
)

const emailBody = `{"admin_address":"admin@example.com","alerting_address":"alerts@example.com","reporting_address":"reports@example.com",
	"sender_address":null,"smtp_auth":{"enabled":false},"smtp_encryption":{"selection":"disabled"},
	"smtp_server":{"selection":"ip","value":"10.20.30.40"}}`

// TestIgnoredMembers checks that the journal lists the unknown members that a POST or PUT wrote.
func TestIgnoredMembers(t *testing.T) {
	t.Parallel()
	a := newInProcess(t)
	c := inProcess(t, a).logIn("admin", "a")
	c.want(200, "POST", "/api/transaction", "")
	for _, test := range []struct {
		method, path, body string
		status             int
		want               []string
	}{
		{"POST", "/api/configuration/trust_stores", `{"name":"x","nmae":"y","authorities":[],"crl_urls":[],"revocation_check":"none","trust_store_type":"custom"}`, 201, []string{"nmae"}},
		{"PUT", "/api/configuration/management/email", `{"admin_address":"a@example.com","smtp_server":{"selection":"ip","value":"10.0.0.1","valeu":"x"},"Smtp":1}`, 200, []string{"Smtp", "smtp_server/valeu"}},
		{"PUT", "/api/configuration/datetime/timezone", `{"timezone":"Europe/Budapest"}`, 400, nil},
	} {
		a.ResetJournal()
		c.want(test.status, test.method, test.path, test.body)
		if diff := cmp.Diff(test.want, a.Journal()[0].Ignored); diff != "" {
			t.Errorf("%s %s (-want +got):\n%s", test.method, test.path, diff)
		}
	}
}

func TestReadConfiguration(t *testing.T) {
	t.Parallel()
	c := inProcess(t, newInProcess(t)).logIn("admin", "a")
	for path, want := range map[string]string{
		"datetime": `{"items":[{"key":"timezone","meta":{"href":"/api/configuration/datetime/timezone"}}],
			"meta":{"first":"/api/configuration/aaa","href":"/api/configuration/datetime","last":"/api/configuration/trust_stores",
			"next":"/api/configuration/local_services","parent":"/api/configuration","previous":"/api/configuration/alerting","transaction":"/api/transaction"}}`,
		"management/email": `{"body":` + emailBody + `,"key":"email","meta":{"first":"/api/configuration/management/accounting",
			"href":"/api/configuration/management/email","last":"/api/configuration/management/webinterface",
			"next":"/api/configuration/management/health_monitoring","parent":"/api/configuration/management",
			"previous":"/api/configuration/management/disk_fillup_prevention","transaction":"/api/transaction"}}`,
		"datetime/timezone": `{"body":"America/New_York","key":"timezone","meta":{"first":"/api/configuration/datetime/timezone",
			"href":"/api/configuration/datetime/timezone","last":"/api/configuration/datetime/timezone","next":null,
			"parent":"/api/configuration/datetime","previous":null,"transaction":"/api/transaction"}}`,
		"policies/time_policies/-100": `{"body":{"Fri":[["0:00","23:59"]],"Mon":[["0:00","23:59"]],"Sat":[["0:00","23:59"]],"Sun":[["0:00","23:59"]],
			"Thu":[["0:00","23:59"]],"Tue":[["0:00","23:59"]],"Wed":[["0:00","23:59"]],"name":"7x24"},"key":"-100",
			"meta":{"first":"/api/configuration/policies/time_policies/-100","href":"/api/configuration/policies/time_policies/-100",
			"last":"/api/configuration/policies/time_policies/-100","next":null,"parent":"/api/configuration/policies/time_policies",
			"previous":null,"transaction":"/api/transaction"}}`,
	} {
		wantJSON(t, want, c.want(200, "GET", "/api/configuration/"+path, "").raw)
	}
	meta := c.want(200, "GET", "/api/configuration", "").body["meta"]
	if diff := cmp.Diff(fromJSON(t, `{"first":"/api/configuration","href":"/api/configuration","last":"/api/configuration","next":null,
		"parent":null,"previous":null,"transaction":"/api/transaction"}`), meta); diff != "" {
		t.Errorf("root meta (-want +got):\n%s", diff)
	}
}

func TestListsByProfile(t *testing.T) {
	t.Parallel()
	for profile, fat := range map[string]bool{"6.0": false, "6.9": true, "7.4": true, "8.0": true} {
		c := inProcess(t, newInProcess(t, spstest.WithProfile(profile))).logIn("admin", "a")
		items := c.want(200, "GET", audit, "").body["items"].([]any)
		if len(items) != 2 {
			t.Fatalf("%s: %d items, want 2", profile, len(items))
		}
		for _, item := range items {
			if _, has := item.(map[string]any)["body"]; has != fat {
				t.Errorf("%s: an item has a body: %t, want %t", profile, has, fat)
			}
		}
	}
}

func TestPutReplacesAndDrops(t *testing.T) {
	t.Parallel()
	a := newInProcess(t)
	a.SetConfiguration("management/email", json.RawMessage(`{"admin_address":"x@example.com","limits":{"rate":1.50,"note":null,"tags":[]}}`))
	c := inProcess(t, a).logIn("admin", "a")
	// A PUT keeps known members, drops unknown members, and removes the members that the
	// request does not contain.
	c.want(200, "PUT", email, `{"limits":{"rate":2.50,"colour":"red","note":null,"tags":[]},"nonsense":1}`)
	wantJSON(t, `{"limits":{"rate":2.50,"note":null,"tags":[]}}`, string(encodeJSON(t, c.want(200, "GET", email, "").body["body"])))
	if got, _ := a.Configuration("management/email"); string(got) != `{"admin_address":"x@example.com","limits":{"rate":1.50,"note":null,"tags":[]}}` {
		t.Errorf("the committed body changed before the commit: %s", got)
	}
	c.want(200, "PUT", "/api/transaction", `{"status":"commit"}`)
	if got, _ := a.Configuration("/api/configuration/management/email"); string(got) != `{"limits":{"note":null,"rate":2.50,"tags":[]}}` {
		t.Errorf("committed body %s", got)
	}
}

func encodeJSON(t *testing.T, v any) []byte {
	t.Helper()
	b, err := json.Marshal(v)
	if err != nil {
		t.Fatal(err)
	}
	return b
}

func TestReferences(t *testing.T) {
	t.Parallel()
	const backup = "/api/configuration/management/system_backup"
	const policies = "/api/configuration/policies/backup_policies"
	const shown = `{"backup_policy":{"key":"35603920755b8fb4711d3c","meta":{"href":"/api/configuration/policies/backup_policies/35603920755b8fb4711d3c"}}}`
	for _, check := range []string{"write", "commit"} {
		c := inProcess(t, newInProcess(t, variants(t, "semantic-check="+check)...)).logIn("admin", "a")
		body := c.want(200, "GET", backup, "").body["body"]
		wantJSON(t, shown, string(encodeJSON(t, body)))
		wantError(t, c.do("PUT", backup, shown), 400, "SyntacticError", backup+"#backup_policy")
		wantError(t, c.do("DELETE", policies+"/35603920755b8fb4711d3c", ""), 400, "SemanticError",
			[]any{"The object is in use: " + policies + "/35603920755b8fb4711d3c, " + backup})

		key := c.want(201, "POST", policies, `{"name":"weekly","start_times":[],"include_node_id_in_path":true}`).body["key"].(string)
		c.want(200, "PUT", backup, `{"backup_policy":"`+key+`"}`)
		wantJSON(t, `{"backup_policy":{"key":"`+key+`","meta":{"href":"`+policies+`/`+key+`"}}}`, string(encodeJSON(t, c.want(200, "GET", backup, "").body["body"])))
		c.want(200, "PUT", "/api/transaction", `{"status":"commit"}`)

		dangling := []any{"A reference points to an object that does not exist: " + backup + ", " + policies + "/nowhere"}
		r := c.do("PUT", backup, `{"backup_policy":"nowhere"}`)
		if check == "commit" {
			if r.status != 200 {
				t.Fatalf("status %d, want 200 before the commit: %s", r.status, r.raw)
			}
			r = c.do("PUT", "/api/transaction", `{"status":"commit"}`)
		}
		wantError(t, r, 400, "SemanticError", dangling)
	}
}

func TestReferencesOfUnknownBodies(t *testing.T) {
	t.Parallel()
	a := newInProcess(t)
	nic := `{"key":"nic1.interfaces.7.addresses.1","meta":{"href":"/api/configuration/network/nics/nic1#interfaces/7/addresses/1"}}`
	a.SetConfiguration("local_services/cluster", json.RawMessage(`{"enabled":true,"listen_address":`+nic+`}`))
	c := inProcess(t, a).logIn("admin", "a")
	const cluster = "/api/configuration/local_services/cluster"
	wantError(t, c.do("PUT", cluster, `{"enabled":false,"listen_address":`+nic+`}`), 400, "SyntacticError", cluster+"#listen_address")
	c.want(200, "PUT", cluster, `{"enabled":false,"listen_address":"nic1.interfaces.7.addresses.1"}`)
	wantJSON(t, `{"enabled":false,"listen_address":`+nic+`}`, string(encodeJSON(t, c.want(200, "GET", cluster, "").body["body"])))
	wantError(t, c.do("PUT", "/api/configuration/local_services/snmp_agent",
		`{"version_3":{"users":[{"auth_password":{"key":"k","meta":{"href":"/api/configuration/passwords/k"}}}]}}`),
		400, "SyntacticError", "/api/configuration/local_services/snmp_agent#version_3/users/0/auth_password")
}

func TestWriteRefused(t *testing.T) {
	t.Parallel()
	a := newInProcess(t)
	c := inProcess(t, a).logIn("admin", "a")
	for _, test := range []struct {
		method, path, body string
		status             int
		kind               string
		details            any
	}{
		{"PUT", email, `{"admin_address":1}`, 400, "SyntacticError", email + "#admin_address"},
		{"PUT", email, `{"admin_address":null}`, 400, "SyntacticError", email + "#admin_address"},
		{"PUT", email, `[]`, 400, "SyntacticError", email},
		{"PUT", email, `{"admin_address":`, 400, "InvalidRequestBody", nil},
		{"PUT", email, ``, 400, "InvalidRequestBody", nil},
		{"PUT", timezone, `{"body":"UTC"}`, 400, "SyntacticError", timezone},
		{"PUT", "/api/configuration/management", `{}`, 405, "MethodNotAllowed", nil},
		{"POST", email, `{}`, 405, "MethodNotAllowed", nil},
		{"DELETE", email, ``, 405, "MethodNotAllowed", nil},
		{"PUT", audit, `{}`, 405, "MethodNotAllowed", nil},
		{"POST", audit, `{}`, 400, "SyntacticError", audit + "#name"},
		{"PUT", audit + "/nowhere", `{}`, 404, "ResourceNotFound", map[string]any{"mount_point": "/configuration/policies/audit_policies", "resource": "nowhere"}},
		{"DELETE", audit + "/nowhere", ``, 404, "ResourceNotFound", map[string]any{"mount_point": "/configuration/policies/audit_policies", "resource": "nowhere"}},
		{"DELETE", "/api/configuration/policies/time_policies/-100", ``, 400, "SyntacticError", "/api/configuration/policies/time_policies/-100"},
		{"PUT", "/api/configuration/nowhere", `{}`, 404, "ResourceNotFound", map[string]any{"mount_point": "/configuration", "resource": "nowhere"}},
	} {
		wantError(t, c.do(test.method, test.path, test.body), test.status, test.kind, test.details)
	}
	if a.TransactionOpen() || a.LockedBy() != "" {
		t.Error("a refused write opened a transaction")
	}
}

func TestCollection(t *testing.T) {
	t.Parallel()
	a := newInProcess(t)
	c := inProcess(t, a).logIn("admin", "a")
	r := c.want(201, "POST", audit, `{"name":"strict","encryption":{"enabled":true}}`)
	key := r.body["key"].(string)
	wantJSON(t, `{"key":"`+key+`","meta":{"first":"`+audit+`/78101850949e47437dd91d","href":"`+audit+`/`+key+`","last":"`+audit+`/`+key+`",
		"next":null,"parent":"`+audit+`","previous":"`+audit+`/4110330695c094b5776670","transaction":"/api/transaction"}}`, r.raw)
	c.want(200, "PUT", audit+"/"+key, `{"name":"stricter"}`)
	wantJSON(t, `{"name":"stricter"}`, string(encodeJSON(t, c.want(200, "GET", audit+"/"+key, "").body["body"])))
	c.want(200, "DELETE", audit+"/"+key, "")
	c.want(404, "GET", audit+"/"+key, "")

	// The commit refuses a duplicate name, and the transaction stays open.
	double := c.want(201, "POST", audit, `{"name":"default"}`).body["key"].(string)
	wantError(t, c.do("PUT", "/api/transaction", `{"status":"commit"}`), 400, "SemanticError",
		[]any{`The name "default" is not unique: ` + audit + `/78101850949e47437dd91d, ` + audit + `/` + double})
	if !a.TransactionOpen() {
		t.Error("the refused commit closed the transaction")
	}
}

func TestWriteAnswers(t *testing.T) {
	t.Parallel()
	for _, test := range []struct {
		variant, method, path, body string
		status                      int
		member                      string // a member of the response; "" means that the response has no body
	}{
		{"put-answer=200", "PUT", timezone, `"UTC"`, 200, "meta"},
		{"put-answer=201", "PUT", timezone, `"UTC"`, 201, "meta"},
		{"put-answer=204", "PUT", timezone, `"UTC"`, 204, ""},
		{"create-answer=body", "POST", audit, `{"name":"new"}`, 201, "body"},
		{"delete-answer=204", "DELETE", audit + "/4110330695c094b5776670", "", 204, ""},
		{"semantic-check=write", "POST", audit, `{"name":"default"}`, 400, "error"},
	} {
		t.Run(test.variant, func(t *testing.T) {
			t.Parallel()
			c := inProcess(t, newInProcess(t, variants(t, test.variant)...)).logIn("admin", "a")
			r := c.want(test.status, test.method, test.path, test.body)
			if _, has := r.body[test.member]; has != (test.member != "") {
				t.Errorf("response %s: want the member %q", r.raw, test.member)
			}
		})
	}
}

// TestWalk checks that the links of the listings lead to the endpoints of the
// configuration, and that each response has the link of its own path.
func TestWalk(t *testing.T) {
	t.Parallel()
	c := inProcess(t, newInProcess(t)).logIn("admin", "a")
	seen := make(map[string]bool)
	var walk func(path string)
	walk = func(path string) {
		seen[strings.TrimPrefix(path, "/api/configuration/")] = true
		r := c.do("GET", path, "")
		if r.status == 405 {
			return // secrets cannot be listed
		}
		meta, _ := r.body["meta"].(map[string]any)
		if r.status != 200 || meta["href"] != path {
			t.Errorf("%s: status %d: %s", path, r.status, r.raw)
		}
		items, _ := r.body["items"].([]any)
		for _, item := range items {
			walk(item.(map[string]any)["meta"].(map[string]any)["href"].(string))
		}
	}
	walk("/api/configuration")
	for _, want := range []string{"aaa/acls", "alerting/system_alerts", "alerting/traffic_alerts", "local_services/ssh", "management/certificates",
		"management/webinterface", "network/dns", "network/nics/nic1", "network/routing", "passwords", "policies/ldap_servers", "private_keys",
		"rdp/domain_membership", "rdp/options", "starling", "trust_stores/-7001"} {
		if !seen[want] {
			t.Errorf("%s is not found", want)
		}
	}
}

func TestNics(t *testing.T) {
	t.Parallel()
	c := inProcess(t, newInProcess(t)).logIn("admin", "a")
	const nics = "/api/configuration/network/nics"
	wantError(t, c.do("POST", nics, `{}`), 405, "MethodNotAllowed", nil)
	wantError(t, c.do("DELETE", nics+"/nic1", ""), 405, "MethodNotAllowed", nil)
	wantError(t, c.do("PUT", "/api/configuration/aaa/acls", `[]`), 405, "MethodNotAllowed", nil)
	c.want(200, "PUT", nics+"/nic3", `{"interfaces":{"@order":["a"],"a":{"addresses":{"@order":["7"],"7":"10.0.0.5/24"}}}}`)
	c.want(200, "PUT", "/api/configuration/local_services/ssh", `{"enabled":true,"listen":[{"address":"nic3.interfaces.a.addresses.7","port":22}]}`)
	wantJSON(t, `{"enabled":true,"listen":[{"address":{"key":"nic3.interfaces.a.addresses.7",
		"meta":{"href":"`+nics+`/nic3#interfaces/a/addresses/7"}},"port":22}]}`,
		string(encodeJSON(t, c.want(200, "GET", "/api/configuration/local_services/ssh", "").body["body"])))
	c.want(200, "PUT", "/api/transaction", `{"status":"commit"}`)
	c.want(200, "PUT", "/api/configuration/local_services/ssh", `{"listen":[{"address":"nic9.interfaces.a.addresses.7","port":22}]}`)
	c.want(400, "PUT", "/api/transaction", `{"status":"commit"}`)
}

// TestNaming checks that /api/info shows changed names of the appliance after the commit.
func TestNaming(t *testing.T) {
	t.Parallel()
	const naming = "/api/configuration/network/naming"
	a := newInProcess(t)
	c := inProcess(t, a).logIn("admin", "a")
	body := c.want(200, "GET", naming, "").body["body"]
	if diff := cmp.Diff(fromJSON(t, `{"domainname":"example","hostname":"sps","nickname":null}`), body); diff != "" {
		t.Errorf("naming (-want +got):\n%s", diff)
	}
	wantError(t, c.do("PUT", naming, `{"domainname":"example","hostname":null}`), 400, "SyntacticError", naming+"#hostname")
	c.want(200, "PUT", naming, `{"domainname":"corp.example","hostname":"sps2","nickname":"two"}`)
	named := func() map[string]any {
		info := inProcess(t, a).want(200, "GET", "/api/info", "").body["body"].(map[string]any)
		return map[string]any{"domainname": info["domainname"], "hostname": info["hostname"], "nickname": info["nickname"]}
	}
	if diff := cmp.Diff(body, any(named())); diff != "" {
		t.Errorf("info before the commit (-want +got):\n%s", diff)
	}
	c.want(200, "PUT", "/api/transaction", `{"status":"commit"}`)
	if diff := cmp.Diff(map[string]any{"domainname": "corp.example", "hostname": "sps2", "nickname": "two"}, named()); diff != "" {
		t.Errorf("info (-want +got):\n%s", diff)
	}
}

func TestSetConfigurationDuringATransaction(t *testing.T) {
	t.Parallel()
	a := newInProcess(t)
	c := inProcess(t, a).logIn("admin", "a")
	c.want(200, "PUT", timezone, `"UTC"`)
	a.SetConfiguration("management/accounting", json.RawMessage(`{"require_commitlog":true}`))
	a.SetConfiguration("policies/audit_policies/abc", json.RawMessage(`{"name":"abc"}`))
	c.want(400, "PUT", "/api/transaction", `{"status":"commit"}`)
	c.want(200, "PUT", "/api/transaction", `{"status":"commit","message":"m"}`)
	for path, want := range map[string]string{"management/accounting": `{"require_commitlog":true}`, "policies/audit_policies/abc": `{"name":"abc"}`, "datetime/timezone": `"UTC"`} {
		if got, _ := a.Configuration(path); string(got) != want {
			t.Errorf("%s: %s, want %s", path, got, want)
		}
	}
}
