package spstest_test

import (
	"encoding/json"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/go-sps/sps/spstest"
)

func TestState(t *testing.T) {
	t.Parallel()
	a := newInProcess(t, spstest.WithUser("reader", "reader's password", spstest.ReadOnly), spstest.WithFetchPolls(1))
	a.ServeImage(imageURL, "8.1.0", imageSum)
	a.SetProducts(spstest.ProductsPasswords(), spstest.StarlingUnavailable)
	a.SetHealth(json.RawMessage(`{"disk":96.5}`))
	a.SetSetupStatus("booting")
	a.SetStarling(spstest.Starling{Joined: true, RemoteAccess: true})
	news := "news"
	a.SetSlot(spstest.Slot{Key: "4", Version: "7.0", UpgradeNews: &news, TestFailure: spstest.TaintedFirmware()})
	a.SetConfiguration("somewhere/new", json.RawMessage(`{"a":1}`))
	c := inProcess(t, a).logIn("admin", "a")
	c.want(200, "PUT", timezone, `"UTC"`)
	key := c.want(201, "POST", audit, `{"name":"kept"}`).body["key"].(string)
	c.want(200, "DELETE", audit+"/78101850949e47437dd91d", "")
	c.want(200, "PUT", "/api/transaction", `{"status":"commit"}`)
	c.want(200, "PUT", timezone, `"Europe/Budapest"`) // not committed
	path := startFetch(c, fetchBody(imageURL, imageSum))
	statuses(c, path, 1)
	bundle := bundles + "/" + c.want(202, "POST", bundles, "").body["key"].(string)
	bundleStatuses(c, bundle, 2)

	state := a.State()
	if strings.Contains(string(state), c.cookie) || strings.Contains(string(state), "reader's password") {
		t.Errorf("state %s", state)
	}
	b := newInProcess(t, spstest.WithState(state), spstest.WithCredentials("root", "other"), spstest.WithFetchPolls(1))
	before, after := fromJSON(t, string(state)).(map[string]any), fromJSON(t, string(b.State())).(map[string]any)
	delete(before, "users")
	delete(after, "users")
	if diff := cmp.Diff(before, after); diff != "" {
		t.Errorf("state (-want +got):\n%s", diff)
	}
	if diff := cmp.Diff(a.Slots(), b.Slots()); diff != "" {
		t.Errorf("slots (-want +got):\n%s", diff)
	}
	if b.LockedBy() != "" || b.Sessions() != 0 {
		t.Error("sessions are part of the state")
	}
	d := inProcess(t, b)
	for _, password := range []string{"", "a", "reader's password"} {
		for _, name := range []string{"admin", "reader"} {
			d.header.Set("Authorization", basic(name, password))
			d.want(401, "GET", "/api/authentication", "")
		}
	}
	d.header.Del("Authorization")
	b.SetPassword("reader", "new")
	d.logIn("reader", "new").want(403, "PUT", timezone, `"UTC"`)
	d.logIn("root", "other")
	if d.cookie == c.cookie {
		t.Error("a session has the cookie of one before")
	}
	if got := d.want(200, "GET", timezone, "").body["body"]; got != "UTC" {
		t.Errorf("time zone %v", got)
	}
	d.want(200, "GET", audit+"/"+key, "")
	if health := d.want(200, "GET", "/api/health_status", "").body["health_status"].(map[string]any); health["disk"] != 96.5 || health["swap"] != 0.0 {
		t.Errorf("health %v", health)
	}
	if got := d.want(200, "GET", "/api/setup", "").body["status"]; got != "booting" || !b.Starling().Joined {
		t.Errorf("setup %v, joined %t", got, b.Starling().Joined)
	}
	if diff := cmp.Diff([]string{"finished"}, bundleStatuses(d, bundle, 1)); diff != "" {
		t.Errorf("bundle (-want +got):\n%s", diff)
	}
	d.want(404, "GET", audit+"/78101850949e47437dd91d", "")
	d.want(200, "PUT", "/api/configuration/somewhere/new", `{"a":2}`)
	if again := d.want(201, "POST", audit, `{"name":"new"}`).body["key"]; again == key {
		t.Error("a key is used again")
	}
	b.ServeImage(imageURL, "8.1.0", imageSum)
	if diff := cmp.Diff([]string{"finished"}, statuses(d, path, 1)); diff != "" {
		t.Errorf("download (-want +got):\n%s", diff)
	}
}

func TestStateThatIsWrong(t *testing.T) {
	t.Parallel()
	for state, want := range map[string]string{
		``:                              "state: EOF",
		`[]`:                            "state: json: cannot unmarshal array",
		`{"format":2}`:                  "state: format 2: want 1",
		`{"format":1,"speed":1}`:        `state: json: unknown field "speed"`,
		`{"format":1,"slots":[{}]}`:     `slot key "" is empty or given twice`,
		`{"format":1,"fetches":[null]}`: "state: one of the downloads is null",
		`{"format":1,"bundles":[null]}`: "state: one of the support bundles is null",
		`{"format":1,"cluster":[{}]}`:   "cluster node {} has no key",
		`{"format":1,"users":[{"name":"u","rights":["none:"]}]}`:                              `right "none:": "" is not a path`,
		`{"format":1,"configuration":{"email":1}}`:                                            "state: email is not below configuration",
		`{"format":1,"collections":{"configuration/policies/audit_policies":["x"]}}`:          `state: configuration/policies/audit_policies lacks the object "x"`,
		`{"format":1,"configuration":{"configuration/policies/audit_policies/x":{"name":1}}}`: "state: configuration/policies/audit_policies/x is not listed in its collection",
	} {
		_, err := spstest.New(spstest.WithState([]byte(state)))
		if err == nil || !strings.HasPrefix(err.Error(), "spstest: "+want) {
			t.Errorf("%s: error %v, want %s", state, err, want)
		}
	}
	// An appliance that had less to tell.
	a := newInProcess(t, spstest.WithState([]byte(`{"format":1}`)))
	inProcess(t, a).logIn("admin", "a").want(200, "GET", timezone, "")
}
