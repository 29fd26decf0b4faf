package spstest_test

import (
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/go-sps/sps/spstest"
)

const passwordsJoin = "/api/cluster/spp"

func passwordsBody(chain string) string {
	return `{"spp":"10.10.10.10","spp_api_token":"a secret","spp_cert_chain":` + chain + `}`
}

func products(c *client) (names []string) {
	for _, item := range c.want(200, "GET", "/api/integrated_products", "").body["items"].([]any) {
		product := item.(map[string]any)
		names = append(names, fmt.Sprintf("%s at %v", product["name"], product["link"]))
	}
	return names
}

// TestPasswordsJoin checks that a join accepts the certificate chain as a list and as one
// text, like the vendor's clients send it.
func TestPasswordsJoin(t *testing.T) {
	t.Parallel()
	for _, chain := range []string{`[]`, `["-----BEGIN CERTIFICATE-----\n", "-----BEGIN CERTIFICATE-----\n"]`, `"-----BEGIN CERTIFICATE-----\n"`, `""`} {
		a := newInProcess(t)
		c := inProcess(t, a).logIn("admin", "a")
		wantJSON(t, `{"meta":{"href":"/api/cluster/spp","parent":"/api/cluster"}}`, c.want(200, "POST", passwordsJoin, passwordsBody(chain)).raw)
		for _, c := range []*client{c, inProcess(t, newInProcess(t, spstest.WithState(a.State()))).logIn("admin", "a")} {
			if diff := cmp.Diff([]string{"Safeguard for Privileged Passwords at https://10.10.10.10"}, products(c)); diff != "" {
				t.Errorf("%s: products (-want +got):\n%s", chain, diff)
			}
			r := c.do("POST", passwordsJoin, passwordsBody(chain))
			kind, details := r.errorOf()
			code := details.(map[string]any)["response"].(map[string]any)["Code"]
			if r.status != 400 || kind != "JoinError" || code != 60657.0 {
				t.Errorf("%s: status %d, %s with the code %v", chain, r.status, kind, code)
			}
		}
		if a.TransactionOpen() || strings.Contains(string(a.State()), "a secret") {
			t.Error("the join opened a transaction, or the state contains the token")
		}
	}
}

func TestPasswordsJoinBesideStarling(t *testing.T) {
	t.Parallel()
	c := inProcess(t, newInProcess(t, spstest.WithStarling(spstest.Starling{Joined: true}))).logIn("admin", "a")
	c.want(200, "POST", passwordsJoin, passwordsBody(`[]`))
	if got := products(c); len(got) != 5 {
		t.Errorf("products %q", got)
	}
}

func TestPasswordsJoinAnswers(t *testing.T) {
	t.Parallel()
	const meta = `"meta":{"href":"/api/cluster/spp","parent":"/api/cluster"}`
	for variant, want := range map[string]struct {
		status int
		raw    string
	}{
		"200-meta": {200, "{" + meta + "}"},
		"201-meta": {201, "{" + meta + "}"},
		"202":      {202, "{" + meta + "}"},
		"200-body": {200, `{"body":{"spp":"10.10.10.10"},"key":"spp",` + meta + "}"},
		"204":      {204, ""},
	} {
		c := inProcess(t, newInProcess(t, variants(t, "spp-join-answer="+variant)...)).logIn("admin", "a")
		r := c.want(want.status, "POST", passwordsJoin, passwordsBody(`[]`))
		if want.raw == "" {
			if r.raw != "" {
				t.Errorf("a response with the status 204 has a body: %s", r.raw)
			}
			continue
		}
		wantJSON(t, want.raw, r.raw)
	}
}

func TestPasswordsJoinRefused(t *testing.T) {
	t.Parallel()
	missing := func(members ...any) any { return map[string]any{"missing_paths": members} }
	for _, test := range []struct {
		variant, body string
		status        int
		kind          string
		details       any
	}{
		{"", `{}`, 400, "IncompleteRequestBodyError", missing("spp", "spp_api_token", "spp_cert_chain")},
		{"", ``, 400, "IncompleteRequestBodyError", missing("spp", "spp_api_token", "spp_cert_chain")},
		{"", `{"spp":"","spp_api_token":"token","spp_cert_chain":null}`, 400, "IncompleteRequestBodyError", missing("spp", "spp_cert_chain")},
		{"spp-without-members=400:SyntacticError", `{"spp":"x"}`, 400, "SyntacticError", passwordsJoin + "#spp_api_token"},
		{"spp-without-members=422:IncompleteRequestBodyError", `{"spp":"x","spp_cert_chain":[]}`, 422, "IncompleteRequestBodyError", missing("spp_api_token")},
		{"", `{"spp":7,"spp_api_token":"token","spp_cert_chain":[]}`, 400, "SyntacticError", passwordsJoin + "#spp"},
		{"", `{"spp":"x","spp_api_token":["token"],"spp_cert_chain":[]}`, 400, "SyntacticError", passwordsJoin + "#spp_api_token"},
		{"", passwordsBody(`{}`), 400, "SyntacticError", passwordsJoin + "#spp_cert_chain"},
		{"", passwordsBody(`["a",7]`), 400, "SyntacticError", passwordsJoin + "#spp_cert_chain/1"},
		{"", `[]`, 400, "InvalidRequestBody", nil},
	} {
		var options []spstest.Option
		if test.variant != "" {
			options = variants(t, test.variant)
		}
		c := inProcess(t, newInProcess(t, options...)).logIn("admin", "a")
		wantError(t, c.do("POST", passwordsJoin, test.body), test.status, test.kind, test.details)
		if got := products(c); len(got) != 0 {
			t.Errorf("%s: joined: %q", test.body, got)
		}
	}
	c := inProcess(t, newInProcess(t, spstest.WithUser("reader", "r", spstest.ReadOnly))).logIn("reader", "r")
	wantError(t, c.do("POST", passwordsJoin, passwordsBody(`[]`)), 403, "Unauthorized", passwordsJoin)
	for _, variant := range []string{"403:ForbiddenActionError", "409:JoinError", "500:JoinError", "502:JoinError"} {
		c := inProcess(t, newInProcess(t, variants(t, "spp-joined-again="+variant)...)).logIn("admin", "a")
		c.want(200, "POST", passwordsJoin, passwordsBody(`[]`))
		r := c.do("POST", passwordsJoin, passwordsBody(`[]`))
		if kind, _ := r.errorOf(); fmt.Sprint(r.status, ":", kind) != variant {
			t.Errorf("%s: status %d, %s", variant, r.status, kind)
		}
	}
}

// TestPasswordsJoinTakesTime checks that several joins at the same time join the
// appliance once.
func TestPasswordsJoinTakesTime(t *testing.T) {
	t.Parallel()
	now := time.Date(2024, 5, 6, 7, 8, 9, 0, time.UTC)
	a := newInProcess(t, spstest.WithClock(func() time.Time { return now }))
	c := inProcess(t, a).logIn("admin", "a")
	a.Inject(spstest.Fault{Method: "POST", Path: "cluster/spp", Takes: time.Minute, Detached: true, Status: 504, Times: 2})
	for range 2 {
		c.want(504, "POST", passwordsJoin, passwordsBody(`[]`))
	}
	if got := products(c); len(got) != 0 || a.Busy() == 0 {
		t.Errorf("products %q, busy with %d", got, a.Busy())
	}
	now = now.Add(time.Hour)
	if got := products(c); len(got) != 1 || a.Busy() != 0 {
		t.Errorf("products %q, busy with %d", got, a.Busy())
	}
	var executed []bool
	for _, r := range a.Journal() {
		if r.Method == "POST" {
			executed = append(executed, r.Executed)
		}
	}
	if diff := cmp.Diff([]bool{true, true}, executed); diff != "" {
		t.Errorf("executed (-want +got):\n%s", diff)
	}
}
