package spstest_test

import (
	"slices"
	"testing"

	"github.com/go-sps/sps/spstest"
)

func TestVariantsAreComplete(t *testing.T) {
	t.Parallel()
	names := make(map[string]bool)
	for _, v := range spstest.Variants() {
		if names[v.Name] || v.Name == "" || v.Default == "" || v.Reason == "" || v.Source == "" || len(v.Alternatives) == 0 || slices.Contains(v.Alternatives, v.Default) {
			t.Errorf("variant %+v is incomplete or given twice", v)
		}
		names[v.Name] = true
	}
	spstest.Variants()[0].Alternatives[0] = "changed"
	if spstest.Variants()[0].Alternatives[0] == "changed" {
		t.Error("Variants gives away its own memory")
	}
}

// TestEveryAlternative runs one flow under each alternative and profile. What
// it checks holds under all of them.
func TestEveryAlternative(t *testing.T) {
	t.Parallel()
	for _, profile := range spstest.Profiles() {
		for _, v := range spstest.Variants() {
			for _, alternative := range v.Alternatives {
				t.Run(profile+"/"+v.Name+"="+alternative, func(t *testing.T) {
					t.Parallel()
					a := newInProcess(t, spstest.WithProfile(profile), spstest.WithVariant(v.Name, alternative))
					flow(t, a)
				})
			}
		}
	}
}

func flow(t *testing.T, a *spstest.Appliance) {
	t.Helper()
	c := inProcess(t, a).logIn(a.Username(), a.Password())
	a.SetProducts(spstest.ProductsStarling(), spstest.StarlingCredentialsInvalid)
	for _, path := range []string{"", "/info", "/user_info", "/integrated_products", "/firmware", "/firmware/slots", "/firmware/slots/2", "/configuration", "/transaction", "/transaction/changes"} {
		c.want(200, "GET", "/api"+path, "")
	}
	success := func(method, path, body string) response {
		t.Helper()
		r := c.do(method, path, body)
		if _, failed := r.body["error"]; failed || r.status >= 300 {
			t.Fatalf("%s %s: status %d: %s", method, path, r.status, r.raw)
		}
		return r
	}
	failure := func(method, path, body string) {
		t.Helper()
		if r := c.do(method, path, body); r.body["error"] == nil {
			t.Fatalf("%s %s: no error: status %d: %s", method, path, r.status, r.raw)
		}
	}
	success("POST", "/api/transaction", "")
	success("PUT", timezone, `"UTC"`)
	key := success("POST", audit, `{"name":"new"}`).body["key"].(string)
	success("DELETE", audit+"/"+key, "")
	failure("DELETE", "/api/configuration/policies/time_policies/-100", "")
	failure("DELETE", "/api/configuration/policies/backup_policies/35603920755b8fb4711d3c", "")
	success("PUT", "/api/transaction", `{"status":"commit","message":"m","commit_message":"m"}`)
	if got, _ := a.Configuration("datetime/timezone"); string(got) != `"UTC"` {
		t.Errorf("committed %s", got)
	}
	success("POST", "/api/transaction", "")
	success("DELETE", "/api/transaction", "")

	release := a.LockConfiguration("web UI")
	c.do("POST", "/api/transaction", "")
	failure("PUT", timezone, `"UTC"`)
	release()

	failure("POST", "/api/firmware/test", `{}`)
	a.SetSlot(spstest.Slot{Key: "2", Version: "8.0.0", TestFailure: spstest.NotEnoughStorage()})
	failure("POST", "/api/firmware/test", `{"slot_id":2}`)
	failure("DELETE", "/api/firmware/slots/1", "")
	success("DELETE", "/api/firmware/slots/4", "")
	c.cookie = ""
	failure("GET", "/api/firmware", "")
}
