package spstest_test

import (
	"fmt"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/go-sps/sps/spstest"
)

func TestRights(t *testing.T) {
	t.Parallel()
	a := newInProcess(t, spstest.WithUser("u", "p",
		spstest.ReadOnlyAt("/api/configuration/trust_stores"), spstest.NoAccessTo("configuration/policies/"),
		spstest.ReadOnlyAt("configuration/policies/audit_policies"), spstest.NoAccessTo("firmware/slots/2"), spstest.NoAccessTo("starling")))
	restored := newInProcess(t, spstest.WithState(a.State()))
	for name, a := range map[string]*spstest.Appliance{"option": a, "state": restored} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			c := inProcess(t, a).logIn("u", "p")
			c.want(200, "PUT", timezone, `"UTC"`)
			for _, test := range []struct {
				method, path, body string
				status             int
			}{
				{"GET", trustStores, "", 200},
				{"GET", customStore, "", 200},
				{"POST", trustStores, `{"name":"x"}`, 403},
				{"PUT", customStore, `{"name":"x"}`, 403},
				{"DELETE", customStore, "", 403},
				{"GET", "/api/configuration/policies", "", 403},
				{"GET", "/api/configuration/policies/backup_policies", "", 403},
				{"GET", audit, "", 200},
				{"POST", audit, `{"name":"x"}`, 403},
				{"GET", "/api/firmware/slots/2", "", 403},
				{"GET", "/api/firmware/slots/4", "", 200},
				{"GET", "/api/configuration/starling", "", 200},
				{"POST", join, joinBody, 403},
				{"GET", "/api/configuration", "", 200},
			} {
				r := c.want(test.status, test.method, test.path, test.body)
				if test.status == 403 {
					wantError(t, r, 403, "Unauthorized", test.path)
				}
			}
			if !a.TransactionOpen() {
				t.Error("a refusal ended the transaction")
			}
			c.want(200, "PUT", "/api/transaction", `{"status":"commit"}`)
			c.want(200, "DELETE", "/api/authentication", "")
		})
	}
}

// TestRightsOnTrustStores checks that a user without a right on trust stores has the
// rights on them that follow from the endpoints that refer to trust stores.
func TestRightsOnTrustStores(t *testing.T) {
	t.Parallel()
	no := spstest.NoAccessTo
	stores, management, settings, servers, page := no("configuration/trust_stores"), no("configuration/management"), no("configuration/aaa"),
		no("configuration/policies/ldap_servers"), no("starling")
	const readOnly, nothing, everything = "200 403", "403 403", "200 201"
	for name, test := range map[string]struct {
		rights []spstest.Right
		want   string // the statuses of a read and of a write
	}{
		"of their own":              {[]spstest.Right{management, settings, servers, page}, everything},
		"of their own, to read":     {[]spstest.Right{spstest.ReadOnlyAt("configuration/trust_stores")}, readOnly},
		"management":                {[]spstest.Right{stores, settings, servers, page}, everything},
		"management, by a reader":   {[]spstest.Right{stores, settings, servers, page, spstest.ReadOnly}, readOnly},
		"management, to read":       {[]spstest.Right{stores, spstest.ReadOnlyAt("configuration/management"), settings, servers, page}, readOnly},
		"LDAP servers":              {[]spstest.Right{stores, management, settings, page}, readOnly},
		"LDAP servers, to read":     {[]spstest.Right{stores, management, settings, page, spstest.ReadOnlyAt("configuration/policies/ldap_servers")}, readOnly},
		"the settings of the login": {[]spstest.Right{stores, management, servers, page}, readOnly},
		"the join":                  {[]spstest.Right{stores, management, settings, servers}, readOnly},
		"none":                      {[]spstest.Right{stores, management, settings, servers, page}, nothing},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			a := newInProcess(t, spstest.WithUser("u", "p", test.rights...))
			for _, path := range []string{trustStores, customStore} {
				c := inProcess(t, a).logIn("u", "p")
				got := fmt.Sprint(c.do("GET", path, "").status, c.do("POST", trustStores, `{"name":"x"}`).status)
				if diff := cmp.Diff(test.want, got); diff != "" {
					t.Errorf("reading %s and writing (-want +got):\n%s", path, diff)
				}
				c.want(200, "DELETE", "/api/authentication", "")
			}
		})
	}
}

func TestRightsInTheOldUserInfo(t *testing.T) {
	t.Parallel()
	a := newInProcess(t, spstest.WithProfile("6.9"), spstest.WithUser("u", "p", spstest.ReadOnlyAt("configuration"), spstest.NoAccessTo("configuration/aaa")))
	wantJSON(t, `{"user":{"name":"u"},"endpoints":[{"methods":["DELETE","GET","POST","PUT"],"url":"/api"},
		{"methods":["GET"],"url":"/api/configuration"},{"methods":[],"url":"/api/configuration/aaa"}],
		"meta":{"href":"/api/user_info","parent":"/api"}}`, inProcess(t, a).logIn("u", "p").want(200, "GET", "/api/user_info", "").raw)
}
