package spstest_test

import (
	"fmt"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/go-sps/sps/spstest"
)

const (
	starling = "/api/configuration/starling"
	join     = "/api/starling/join"

	joinBody = `{"joined":false,"product_instance":"starling-joiner-2","product_name":"Safeguard","product_tims":"1-2-3",
		"environment":"prod","token_endpoint":"https://sts.example.com","credential_string":"secret"}`
	joinMeta = `"key":"join","meta":{"href":"/api/starling/join","parent":"/api/starling"}`
)

// sra returns a body of configuration/starling.
func sra(info, enabled string) string {
	return `{"join_info":` + info + `,"remote_access":{"enabled":` + enabled + `}}`
}

const usualJoin = `{"environment":"prod","product_instance":"starling-joiner-11111111-1111-1111-1111-111111111111","product_tims":"123-456-789"}`

func TestStarlingConfiguration(t *testing.T) {
	t.Parallel()
	const other = `{"environment":"prod","product_instance":"other","product_tims":"123-456-789"}`
	for _, test := range []struct {
		name   string
		joined bool
		body   string
		kind   string // the error type; "" means no error
	}{
		{"nothing changed", false, sra("null", "false"), ""},
		{"enabled without a join", false, sra("null", "true"), "RemoteAccessDependsOnStarlingJoinError"},
		{"joined here", false, sra(usualJoin, "true"), "StarlingJoinInfoIsReadOnlyError"},
		{"enabled", true, sra(usualJoin, "true"), ""},
		{"unjoined here", true, sra("null", "false"), "StarlingJoinInfoIsReadOnlyError"},
		{"join left out", true, `{"remote_access":{"enabled":true}}`, "StarlingJoinInfoIsReadOnlyError"},
		{"joined otherwise", true, sra(other, "true"), "StarlingJoinInfoIsReadOnlyError"},
	} {
		t.Run(test.name, func(t *testing.T) {
			t.Parallel()
			a := newInProcess(t)
			if test.joined {
				a.SetStarling(spstest.Starling{Joined: true})
			}
			c := inProcess(t, a).logIn("admin", "a")
			c.want(200, "POST", "/api/transaction", "")
			r := c.do("PUT", starling, test.body)
			if test.kind != "" {
				wantError(t, r, 403, test.kind, nil)
				return
			}
			if r.status != 200 {
				t.Fatalf("status %d: %s", r.status, r.raw)
			}
			wantJSON(t, test.body, string(encodeJSON(t, c.want(200, "GET", starling, "").body["body"])))
		})
	}
}

func TestGetJoin(t *testing.T) {
	t.Parallel()
	const instance = `"product_instance":"starling-joiner-11111111-1111-1111-1111-111111111111","product_name":"Safeguard"`
	const link = "https://account.cloud.oneidentity.com/join/Safeguard/starling-joiner-11111111-1111-1111-1111-111111111111/"
	for _, test := range []struct {
		name, variant string
		joined        bool
		query, want   string
	}{
		{"not joined", "", false, "", `{"body":{"joined":false,` + instance + `,"product_tims":"123-456-789"},` + joinMeta + `}`},
		{"not joined, with TIMS", "", false, "?product_tims=222-333-444", `{"body":{"joined":false,` + instance + `,"product_tims":"222-333-444"},` + joinMeta + `}`},
		{"not joined, variant", "starling-not-joined=absent", false, "", `{"body":{` + instance + `,"product_tims":"123-456-789"},` + joinMeta + `}`},
		{"joined", "", true, "", `{"body":{"joined":true,` + instance + `,"product_tims":"123-456-789"},` + joinMeta + `}`},
		{"joined, with TIMS", "", true, "?product_tims=222-333-444", `{"body":{"joined":true,` + instance + `,"product_tims":"123-456-789"},` + joinMeta + `}`},
		{"joined, variant", "starling-join-meta=absent", true, "", `{"body":{"joined":true,` + instance + `,"product_tims":"123-456-789"}}`},
	} {
		t.Run(test.name, func(t *testing.T) {
			t.Parallel()
			var opts []spstest.Option
			if test.variant != "" {
				opts = variants(t, test.variant)
			}
			if test.joined {
				opts = append(opts, spstest.WithStarling(spstest.Starling{Joined: true}))
			}
			c := inProcess(t, newInProcess(t, opts...)).logIn("admin", "a")
			wantJSON(t, test.want, c.want(200, "GET", join+test.query, "").raw)
		})
	}
	for variant, status := range map[string]int{"page": 200, "303": 303} {
		c := inProcess(t, newInProcess(t, variants(t, "starling-join-html="+variant)...)).logIn("admin", "a")
		c.header.Set("Accept", "text/html,application/xml;q=0.9")
		r := c.want(status, "GET", join+"?product_tims=2", "")
		if variant == "page" && (!strings.Contains(r.raw, link+"2") || r.header.Get("Content-Type") != "text/html") {
			t.Errorf("page of type %s: %s", r.header.Get("Content-Type"), r.raw)
		}
		if location := r.header.Get("Location"); variant == "303" && location != link+"2" {
			t.Errorf("location %s", location)
		}
	}
}

func TestJoin(t *testing.T) {
	t.Parallel()
	const shown = `{"body":{"joined":true,"product_instance":"starling-joiner-2","product_name":"Safeguard","product_tims":"1-2-3"},` + joinMeta + `}`
	for answer, want := range map[string]struct {
		status int
		body   string
	}{
		"200-body": {200, shown},
		"201-body": {201, shown},
		"200-meta": {200, `{"meta":{"href":"/api/starling/join","parent":"/api/starling"}}`},
		"204":      {204, ""},
	} {
		a := newInProcess(t, variants(t, "starling-join-answer="+answer)...)
		c := inProcess(t, a).logIn("admin", "a")
		for range 2 { // the second join replaces the first one
			r := c.want(want.status, "POST", join, joinBody)
			if want.body != "" {
				wantJSON(t, want.body, r.raw)
			}
		}
		got, _ := a.Configuration("starling")
		wantJSON(t, sra(`{"environment":"prod","product_instance":"starling-joiner-2","product_tims":"1-2-3"}`, "false"), string(got))
		if !a.Starling().Joined {
			t.Errorf("%s: not joined", answer)
		}
	}
}

func TestJoinRefused(t *testing.T) {
	t.Parallel()
	a := newInProcess(t)
	c := inProcess(t, a).logIn("admin", "a")
	for body, want := range map[string]string{
		`{}`: "MissingCredentialStringError",
		`{"product_instance":"i","credential_string":""}`:   "MissingCredentialStringError",
		`{"product_instance":"i","credential_string":null}`: "MissingCredentialStringError",
		`{"credential_string":"s"}`:                         "MissingProductInstanceError",
		`{"credential_string":1,"product_instance":"i"}`:    "SyntacticError",
		`{`: "InvalidRequestBody",
	} {
		if kind, _ := c.want(400, "POST", join, body).errorOf(); kind != want {
			t.Errorf("%s: %s, want %s", body, kind, want)
		}
	}
	c.want(200, "POST", "/api/transaction", "")
	wantError(t, c.do("POST", join, joinBody), 403, "OpenTransactionError", nil)
	if a.Starling().Joined || !a.TransactionOpen() {
		t.Error("the refused join joined the appliance or closed the transaction")
	}
}

// TestJoinKeepsStagedChanges checks that a join and the open transaction of another session do not
// discard each other's changes.
func TestJoinKeepsStagedChanges(t *testing.T) {
	t.Parallel()
	a := newInProcess(t)
	c := inProcess(t, a).logIn("admin", "a")
	c.want(200, "PUT", timezone, `"UTC"`)
	a.SetStarling(spstest.Starling{Joined: true, RemoteAccess: true})
	c.want(200, "PUT", "/api/transaction", `{"status":"commit"}`)
	got, _ := a.Configuration("starling")
	wantJSON(t, sra(usualJoin, "true"), string(got))
}

func TestUnjoin(t *testing.T) {
	t.Parallel()
	for _, test := range []struct {
		name, variant string
		joined, sra   bool
		open          bool
		query         string
		status        int
		kind          string
	}{
		{"joined", "", true, false, false, "", 200, ""},
		{"joined, variant", "starling-unjoin-answer=204", true, false, false, "", 204, ""},
		{"remote access", "", true, true, false, "", 403, "StarlingJoinIsInUseByRemoteAccessError"},
		{"remote access, not forced", "", true, true, false, "?force=false", 403, "StarlingJoinIsInUseByRemoteAccessError"},
		{"remote access, forced", "", true, true, false, "?force=true", 200, ""},
		{"not joined", "", false, false, false, "", 200, ""},
		{"not joined, variant", "starling-unjoin-closed=403:ForbiddenActionError", false, false, false, "", 403, "ForbiddenActionError"},
		{"not joined, other variant", "starling-unjoin-closed=404:ResourceNotFound", false, false, false, "", 404, "ResourceNotFound"},
		{"open", "", true, false, true, "", 403, "OpenTransactionError"},
		{"open, variant", "starling-unjoin-open=200", true, false, true, "", 200, ""},
	} {
		t.Run(test.name, func(t *testing.T) {
			t.Parallel()
			var opts []spstest.Option
			if test.variant != "" {
				opts = variants(t, test.variant)
			}
			a := newInProcess(t, opts...)
			if test.joined {
				a.SetStarling(spstest.Starling{Joined: true, RemoteAccess: test.sra})
			}
			c := inProcess(t, a).logIn("admin", "a")
			if test.open {
				c.want(200, "PUT", starling, sra(usualJoin, "true"))
			}
			r := c.want(test.status, "DELETE", join+test.query, "")
			if kind, _ := r.errorOf(); kind != test.kind {
				t.Errorf("%s, want %s", kind, test.kind)
			}
			if stays := test.joined && test.kind != ""; a.Starling().Joined != stays {
				t.Errorf("joined: %t, want %t", !stays, stays)
			}
			if test.open {
				c.want(200, "PUT", "/api/transaction", `{"status":"commit"}`)
			}
			if got, _ := a.Configuration("starling"); test.kind == "" {
				if diff := cmp.Diff(sra("null", "false"), string(got)); diff != "" {
					t.Errorf("configuration (-want +got):\n%s", diff)
				}
			}
		})
	}
}

// TestUnjoinElsewhere checks that a DELETE of configuration/starling or of starling is
// refused with the advice to use the path of the join.
func TestUnjoinElsewhere(t *testing.T) {
	t.Parallel()
	for variant, want := range map[string]map[string]string{
		"403:ForbiddenActionError": {starling: "403 ForbiddenActionError", "/api/starling": "403 ForbiddenActionError"},
		"405:MethodNotAllowed":     {starling: "405 MethodNotAllowed", "/api/starling": "404 ResourceNotFound"},
	} {
		for _, open := range []bool{false, true} {
			a := newInProcess(t, append(variants(t, "starling-unjoin-elsewhere="+variant), spstest.WithStarling(spstest.Starling{Joined: true}))...)
			c := inProcess(t, a)
			wantError(t, c.do("DELETE", starling, ""), 401, "Unauthenticated", starling)
			c.logIn("admin", "a")
			if open {
				c.want(200, "POST", transactionURL, "")
			}
			got := map[string]string{}
			for path := range want {
				r := c.do("DELETE", path, "")
				kind, _ := r.errorOf()
				got[path] = fmt.Sprint(r.status, " ", kind)
			}
			if diff := cmp.Diff(want, got); diff != "" {
				t.Errorf("%s, in a transaction: %t (-want +got):\n%s", variant, open, diff)
			}
			if !a.Starling().Joined || a.TransactionOpen() != open {
				t.Error("the refused request changed the join or the transaction")
			}
		}
	}
}

// TestJoinRefusedDuringTransactions checks that a join is refused while any session has an open
// transaction, even another session of the same user, and while the web interface holds
// the lock.
func TestJoinRefusedDuringTransactions(t *testing.T) {
	t.Parallel()
	for _, method := range []string{"POST", "DELETE"} {
		a := newInProcess(t, spstest.WithUser("other", "o"), spstest.WithStarling(spstest.Starling{Joined: true}))
		reads, writes, other := inProcess(t, a).logIn("admin", "a"), inProcess(t, a).logIn("admin", "a"), inProcess(t, a).logIn("other", "o")
		for who, c := range map[string]*client{"a session of the same user": writes, "a session of somebody else": other} {
			c.want(200, "POST", transactionURL, "")
			if r := reads.do(method, join, joinBody); r.status != 403 {
				t.Errorf("%s during a transaction of %s: status %d", method, who, r.status)
			} else {
				wantError(t, r, 403, "OpenTransactionError", nil)
			}
			c.want(200, "DELETE", transactionURL, "")
		}
		release := a.LockConfiguration("somebody in the web interface")
		wantError(t, reads.do(method, join, joinBody), 403, "OpenTransactionError", nil)
		release()
		reads.want(200, method, join, joinBody)
	}
}

func TestSetStarling(t *testing.T) {
	t.Parallel()
	a := newInProcess(t, spstest.WithStarling(spstest.Starling{Joined: true, RemoteAccess: true}))
	none, joined, all := spstest.Starling{}, spstest.Starling{Joined: true}, spstest.Starling{Joined: true, RemoteAccess: true}
	if got := a.Starling(); got != all {
		t.Errorf("at the start %+v", got)
	}
	for set, want := range map[spstest.Starling]spstest.Starling{none: none, joined: joined, all: all, {RemoteAccess: true}: none} {
		a.SetStarling(set)
		if got := a.Starling(); got != want {
			t.Errorf("%+v: %+v, want %+v", set, got, want)
		}
	}
}
