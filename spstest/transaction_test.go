package spstest_test

import (
	"bytes"
	"io"
	"net/http"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/go-sps/sps/spstest"
)

const (
	timezone = "/api/configuration/datetime/timezone"
	email    = "/api/configuration/management/email"
	audit    = "/api/configuration/policies/audit_policies"
)

func TestTransactionShapes(t *testing.T) {
	t.Parallel()
	oldShape := `{"key":"transaction","meta":{"href":"/api/transaction","parent":"/api","remaining_seconds":43200},"transaction":{"status":"closed"}}`
	newShape := `{"body":{"commit_message":"optional","status":"closed"},"key":"transaction","meta":{"href":"/api/transaction","parent":"/api","remaining_seconds":43200}}`
	for profile, want := range map[string]string{"6.0": oldShape, "6.9": oldShape, "7.4": newShape, "8.0": newShape} {
		a := newInProcess(t, spstest.WithProfile(profile), frozenClock())
		wantJSON(t, want, inProcess(t, a).logIn("admin", "a").want(200, "GET", "/api/transaction", "").raw)
	}
}

func TestCommitAndRollback(t *testing.T) {
	t.Parallel()
	a := newInProcess(t)
	c := inProcess(t, a).logIn("admin", "a")
	reader := inProcess(t, a).logIn("admin", "a")
	zone := func(c *client) any { return c.want(200, "GET", timezone, "").body["body"] }

	c.want(200, "PUT", timezone, `"Europe/Berlin"`) // this change opens the transaction
	if diff := cmp.Diff([]any{"Europe/Berlin", "America/New_York"}, []any{zone(c), zone(reader)}); diff != "" {
		t.Errorf("values that the owner and another session read (-want +got):\n%s", diff)
	}
	wantJSON(t, `{"changes":[{"type":"replace","path":"/api/configuration/datetime/timezone","old_value":"America/New_York","new_value":"Europe/Berlin"}],
		"meta":{"href":"/api/transaction/changes","parent":"/api/transaction","transaction":"/api/transaction"}}`,
		c.want(200, "GET", "/api/transaction/changes", "").raw)
	wantJSON(t, `{"meta":{"href":"/api/transaction","parent":"/api"}}`, c.want(200, "DELETE", "/api/transaction", "").raw)
	c.want(200, "DELETE", "/api/transaction", "") // a rollback without an open transaction
	if diff := cmp.Diff("America/New_York", zone(c)); diff != "" {
		t.Errorf("rolled back (-want +got):\n%s", diff)
	}

	c.want(200, "POST", "/api/transaction", "{}")
	c.want(200, "PUT", timezone, `"Asia/Tokyo"`)
	c.want(200, "PUT", "/api/transaction", `{"status":"commit","commit_message":"CHG-1"}`)
	if diff := cmp.Diff("Asia/Tokyo", zone(reader)); diff != "" {
		t.Errorf("committed (-want +got):\n%s", diff)
	}
	if diff := cmp.Diff([]spstest.Commit{{User: "admin", Message: "CHG-1", Member: "commit_message"}}, a.Commits()); diff != "" {
		t.Errorf("commits (-want +got):\n%s", diff)
	}
	body, ok := a.Configuration("datetime/timezone")
	if !ok || string(body) != `"Asia/Tokyo"` {
		t.Errorf("Configuration = %s, %t", body, ok)
	}
}

func TestSessionEndDropsTheTransaction(t *testing.T) {
	t.Parallel()
	a := newInProcess(t)
	c := inProcess(t, a).logIn("admin", "a")
	c.want(200, "PUT", timezone, `"UTC"`)
	a.ExpireSessions()
	c.logIn("admin", "a")
	if diff := cmp.Diff("America/New_York", c.want(200, "GET", timezone, "").body["body"]); diff != "" {
		t.Errorf("after a new login (-want +got):\n%s", diff)
	}
	if a.TransactionOpen() || a.LockedBy() != "" {
		t.Error("the transaction is still open after its session ended")
	}
}

func TestLock(t *testing.T) {
	t.Parallel()
	a := newInProcess(t, spstest.WithUser("other", "b"))
	c := inProcess(t, a).logIn("admin", "a")
	other := inProcess(t, a).logIn("other", "b")
	c.want(200, "POST", "/api/transaction", "")
	if diff := cmp.Diff("admin", a.LockedBy()); diff != "" {
		t.Errorf("locked by (-want +got):\n%s", diff)
	}
	wantError(t, other.do("POST", "/api/transaction", ""), 403, "OpenTransactionError", nil)
	wantError(t, other.do("PUT", timezone, `"UTC"`), 403, "OpenTransactionError", nil)
	if !a.TransactionOpen() {
		t.Error("no transaction is open")
	}
	c.want(200, "DELETE", "/api/transaction", "")

	release := a.LockConfiguration("web UI")
	if diff := cmp.Diff("web UI", a.LockedBy()); diff != "" {
		t.Errorf("locked by (-want +got):\n%s", diff)
	}
	wantError(t, c.do("PUT", timezone, `"UTC"`), 403, "OpenTransactionError", nil)
	release()
	release()
	c.want(200, "PUT", timezone, `"UTC"`)
}

func TestLockTakenAtTheFirstChange(t *testing.T) {
	t.Parallel()
	a := newInProcess(t, variants(t, "lock-taken=first-change", "lock-error=423:ConfigurationLocked")...)
	c := inProcess(t, a).logIn("admin", "a")
	other := inProcess(t, a).logIn("admin", "a")
	c.want(200, "POST", "/api/transaction", "")
	other.want(200, "POST", "/api/transaction", "")
	if got := a.LockedBy(); got != "" {
		t.Errorf("locked by %q before a change", got)
	}
	c.want(200, "PUT", timezone, `"UTC"`)
	wantError(t, other.do("PUT", timezone, `"UTC"`), 423, "ConfigurationLocked", nil)
	c.want(200, "PUT", "/api/transaction", `{"status":"commit"}`)
	other.want(200, "PUT", timezone, `"Asia/Tokyo"`)
}

func TestOldReleasesNeedAnOpenTransaction(t *testing.T) {
	t.Parallel()
	a := newInProcess(t, spstest.WithProfile("6.0"))
	c := inProcess(t, a).logIn("admin", "a")
	wantError(t, c.do("PUT", timezone, `"UTC"`), 409, "Conflict", nil)
	c.want(200, "POST", "/api/transaction", "")
	c.want(200, "PUT", timezone, `"UTC"`)
}

func TestCommitRefused(t *testing.T) {
	t.Parallel()
	a := newInProcess(t, spstest.WithCommitMessageRequired())
	c := inProcess(t, a).logIn("admin", "a")
	body := c.want(200, "POST", "/api/transaction", "").body["body"].(map[string]any)
	if diff := cmp.Diff("required", body["commit_message"]); diff != "" {
		t.Errorf("commit_message (-want +got):\n%s", diff)
	}
	for request, want := range map[string]struct {
		kind    string
		details any
	}{
		`{"status":"commit"}`:              {"IncompleteRequestBodyError", map[string]any{"missing_paths": []any{"commit_message"}}},
		`{"status":"commit","message":""}`: {"IncompleteRequestBodyError", map[string]any{"missing_paths": []any{"commit_message"}}},
		`{}`:                               {"IncompleteRequestBodyError", map[string]any{"missing_paths": []any{"status"}}},
		`{"status":"close"}`:               {"SyntacticError", "/api/transaction#status"},
		`{"status":`:                       {"InvalidRequestBody", nil},
	} {
		wantError(t, c.do("PUT", "/api/transaction", request), 400, want.kind, want.details)
	}
	c.want(200, "PUT", "/api/transaction", `{"status":"commit","message":"CHG-2"}`)
	if diff := cmp.Diff([]spstest.Commit{{User: "admin", Message: "CHG-2", Member: "message"}}, a.Commits()); diff != "" {
		t.Errorf("commits (-want +got):\n%s", diff)
	}
}

func TestCommitWithoutABody(t *testing.T) {
	t.Parallel()
	missing := func(member string) any { return map[string]any{"missing_paths": []any{member}} }
	for variant, want := range map[string]any{"400:IncompleteRequestBodyError": missing("status"), "commits": missing("commit_message")} {
		a := newInProcess(t, append(variants(t, "commit-without-body="+variant), spstest.WithCommitMessageRequired())...)
		c := inProcess(t, a).logIn("admin", "a")
		c.want(200, "PUT", timezone, `"UTC"`)
		wantError(t, c.do("PUT", "/api/transaction", ""), 400, "IncompleteRequestBodyError", want)
	}
	a := newInProcess(t, variants(t, "commit-without-body=commits")...)
	c := inProcess(t, a).logIn("admin", "a")
	c.want(200, "PUT", timezone, `"UTC"`)
	c.want(200, "PUT", "/api/transaction", "")
	if diff := cmp.Diff([]spstest.Commit{{User: "admin"}}, a.Commits()); diff != "" || a.TransactionOpen() {
		t.Errorf("open: %t; commits (-want +got):\n%s", a.TransactionOpen(), diff)
	}
	if got, _ := a.Configuration("datetime/timezone"); string(got) != `"UTC"` {
		t.Errorf("committed %s", got)
	}
}

func TestTransactionVariants(t *testing.T) {
	t.Parallel()
	const open = `{"body":{"commit_message":"optional","status":"open"},"key":"transaction","meta":{"href":"/api/transaction","parent":"/api"}}`
	const closed = `{"body":{"commit_message":"optional","status":"closed"},"key":"transaction","meta":{"href":"/api/transaction","parent":"/api"}}`
	const meta = `{"meta":{"href":"/api/transaction","parent":"/api"}}`
	for _, test := range []struct {
		variant, method, body string
		opened                bool
		status                int
		want                  string // "" means that there is none or that it is not compared
	}{
		{"open-answer=200-transaction", "POST", "", false, 200, open},
		{"open-answer=201-transaction", "POST", "", false, 201, open},
		{"open-answer=200-meta", "POST", "", false, 200, meta},
		{"open-answer=204", "POST", "", false, 204, ""},
		{"open-twice=200", "POST", "", true, 200, open},
		{"open-twice=409:TransactionAlreadyOpen", "POST", "", true, 409, ""},
		{"commit-answer=201-transaction", "PUT", `{"status":"commit"}`, true, 201, ""},
		{"commit-answer=200-meta", "PUT", `{"status":"commit"}`, true, 200, meta},
		{"commit-answer=204", "PUT", `{"status":"commit"}`, true, 204, ""},
		{"commit-without-body=commits", "PUT", "", true, 200, closed},
		{"commit-without-body=commits", "PUT", "", false, 200, closed},
		{"commit-without-body=commits", "PUT", "{}", true, 400, ""},
		{"commit-without-body=400:IncompleteRequestBodyError", "PUT", "", true, 400, ""},
		{"commit-closed=200", "PUT", `{"status":"commit"}`, false, 200, ""},
		{"commit-closed=409:Conflict", "PUT", `{"status":"commit"}`, false, 409, ""},
		{"commit-closed=409:NoOpenTransaction", "PUT", `{"status":"commit"}`, false, 409, ""},
		{"rollback-closed=200", "DELETE", "", false, 200, meta},
		{"rollback-closed=404:ResourceNotFound", "DELETE", "", false, 404, ""},
		{"rollback-closed=405:MethodNotAllowed", "DELETE", "", false, 405, ""},
		{"rollback-closed=405:MethodNotAllowed", "DELETE", "", true, 200, meta},
	} {
		t.Run(test.variant, func(t *testing.T) {
			t.Parallel()
			a := newInProcess(t, variants(t, test.variant, "remaining-seconds=none")...)
			c := inProcess(t, a).logIn("admin", "a")
			if test.opened {
				c.do("POST", "/api/transaction", "")
			}
			r := c.want(test.status, test.method, "/api/transaction", test.body)
			if test.want != "" {
				wantJSON(t, test.want, r.raw)
			}
			if test.status == 204 && r.raw != "" {
				t.Errorf("a response with the status 204 has a body: %s", r.raw)
			}
		})
	}
}

func TestChangeLog(t *testing.T) {
	t.Parallel()
	a := newInProcess(t, variants(t, "change-path=member", "empty-changes=list")...)
	c := inProcess(t, a).logIn("admin", "a")
	changes := func() string {
		return c.want(200, "GET", "/api/transaction/changes", "").raw
	}
	meta := `"meta":{"href":"/api/transaction/changes","parent":"/api/transaction","transaction":"/api/transaction"}`
	wantJSON(t, `{"changes":[],`+meta+`}`, changes())
	c.want(200, "PUT", "/api/configuration/management/disk_fillup_prevention", `{"archiving_enabled":true,"enabled":true}`)
	c.want(200, "DELETE", audit+"/4110330695c094b5776670", "")
	created := c.want(201, "POST", audit, `{"name":"new"}`).body["key"].(string)
	wantJSON(t, `{"changes":[
		{"type":"replace","path":"/api/configuration/management/disk_fillup_prevention#archiving_enabled","old_value":false,"new_value":true},
		{"type":"replace","path":"/api/configuration/management/disk_fillup_prevention#used_space_ratio_limit","old_value":80},
		{"type":"delete","path":"`+audit+`/4110330695c094b5776670","old_value":{"encryption":{"enabled":false},"name":"remote-timestamping",
			"signing":{"enabled":false},"signing_and_timestamping_interval":42,"timestamping":{"enabled":true,"server":{"oid":{"enabled":true,
			"policy_oid":"2.3.5.3.1.5.32.322.32"},"selection":"remote","server_url":"http://tsa.example.com/"}}}},
		{"type":"create","path":"`+audit+`/`+created+`","new_value":{"name":"new"}}],`+meta+`}`, changes())
	c.want(200, "DELETE", audit+"/"+created, "") // an object that was created and deleted is not a change
	status := c.want(200, "GET", "/api/transaction", "").body["meta"].(map[string]any)
	if diff := cmp.Diff("/api/transaction/changes", status["changes"]); diff != "" {
		t.Errorf("meta.changes (-want +got):\n%s", diff)
	}
}

func TestLengthRequired(t *testing.T) {
	t.Parallel()
	a := spstest.NewServer(t)
	for name, c := range map[string]*client{"TLS": overTLS(t, a), "in process": inProcess(t, a)} {
		c.logIn("admin", "a")
		req, err := http.NewRequestWithContext(t.Context(), "POST", c.base+"/api/transaction", io.NopCloser(bytes.NewReader([]byte("{}"))))
		if err != nil {
			t.Fatal(err)
		}
		req.Header.Set("Cookie", "session_id="+c.cookie)
		resp, err := c.transport.RoundTrip(req)
		if err != nil {
			t.Fatal(err)
		}
		resp.Body.Close()
		if resp.StatusCode != 411 {
			t.Errorf("%s: status %d without a length, want 411", name, resp.StatusCode)
		}
		c.want(200, "POST", "/api/transaction", "") // Content-Length: 0
		c.want(200, "DELETE", "/api/transaction", "")
	}
}
