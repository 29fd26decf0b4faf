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
	c.want(200, "PUT", timezone, `"Europe/Budapest"`) // this change is not committed
	path := startFetch(c, fetchBody(imageURL, imageSum))
	statuses(c, path, 1)
	bundle := bundles + "/" + c.want(202, "POST", bundles, "").body["key"].(string)
	bundleStatuses(c, bundle, 2)

	state := a.State()
	if strings.Contains(string(state), c.cookie) {
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
	d.logIn("reader", "reader's password").want(403, "PUT", timezone, `"UTC"`)
	d.logIn("admin", "a")
	d.logIn("root", "other")
	if d.cookie == c.cookie {
		t.Error("a new session has the cookie of an earlier session")
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
		t.Error("a new object has the key of another object")
	}
	b.ServeImage(imageURL, "8.1.0", imageSum)
	if diff := cmp.Diff([]string{"finished"}, statuses(d, path, 1)); diff != "" {
		t.Errorf("download (-want +got):\n%s", diff)
	}
}

// TestStateOfUsers checks which users can log in after WithState, and their rights.
// Options override the password of a user, and override the rights only if they contain
// rights.
func TestStateOfUsers(t *testing.T) {
	t.Parallel()
	const state = `{"format":1,"users":[
		{"name":"admin","password":"changed","read_only":true},
		{"name":"viewer","password":"v","read_only":true},
		{"name":"limited","password":"l","read_only":false,"rights":["none:configuration/datetime"]},
		{"name":"nobody","read_only":false},
		{"name":"empty","password":"","read_only":false}]}`
	type user struct{ login, read, write int }
	for name, test := range map[string]struct {
		options   []spstest.Option
		passwords map[string]string
		want      map[string]user
	}{
		"no option": {nil, map[string]string{"admin": "changed", "viewer": "v", "limited": "l", "nobody": "", "empty": ""}, map[string]user{
			"admin": {200, 200, 403}, "viewer": {200, 200, 403}, "limited": {200, 403, 403}, "nobody": {login: 401}, "empty": {200, 200, 200}}},
		"the old password": {nil, map[string]string{"admin": "a"}, map[string]user{"admin": {login: 401}}},
		"credentials": {[]spstest.Option{spstest.WithCredentials("admin", "new")}, map[string]string{"admin": "new"},
			map[string]user{"admin": {200, 200, 403}}},
		"credentials of another user": {[]spstest.Option{spstest.WithCredentials("viewer", "new")}, map[string]string{"admin": "changed", "viewer": "new"},
			map[string]user{"admin": {200, 200, 403}, "viewer": {200, 200, 403}}},
		"credentials of a new user": {[]spstest.Option{spstest.WithCredentials("root", "r")}, map[string]string{"root": "r"},
			map[string]user{"root": {200, 200, 200}}},
		"a user without rights given": {[]spstest.Option{spstest.WithUser("limited", "new")}, map[string]string{"limited": "new"},
			map[string]user{"limited": {200, 403, 403}}},
		"a user with rights": {[]spstest.Option{spstest.WithUser("viewer", "new", spstest.FullAccess), spstest.WithUser("limited", "new", spstest.ReadOnly)},
			map[string]string{"viewer": "new", "limited": "new"}, map[string]user{"viewer": {200, 200, 200}, "limited": {200, 200, 403}}},
	} {
		for order, options := range map[string][]spstest.Option{
			"before": append([]spstest.Option{spstest.WithState([]byte(state))}, test.options...),
			"after":  append(test.options[:len(test.options):len(test.options)], spstest.WithState([]byte(state))),
		} {
			t.Run(name+", the state "+order, func(t *testing.T) {
				t.Parallel()
				a := newInProcess(t, options...)
				again := newInProcess(t, append(options, spstest.WithState(a.State()))...)
				for _, a := range []*spstest.Appliance{a, again} {
					got := map[string]user{}
					for name, password := range test.passwords {
						c := inProcess(t, a)
						c.header.Set("Authorization", basic(name, password))
						u := user{login: c.do("GET", "/api/authentication", "").status}
						if u.login == 200 {
							c.logIn(name, password)
							u.read, u.write = c.do("GET", timezone, "").status, c.do("PUT", timezone, `"UTC"`).status
							c.want(200, "DELETE", "/api/authentication", "")
						}
						got[name] = u
					}
					if diff := cmp.Diff(test.want, got, cmp.AllowUnexported(user{})); diff != "" {
						t.Errorf("users (-want +got):\n%s", diff)
					}
				}
			})
		}
	}
}

func TestInvalidState(t *testing.T) {
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
		err := startError(spstest.WithState([]byte(state)))
		if err == nil || !strings.HasPrefix(err.Error(), "spstest: "+want) {
			t.Errorf("%s: error %v, want %s", state, err, want)
		}
	}
	// A state can lack endpoints that the appliance has.
	a := newInProcess(t, spstest.WithState([]byte(`{"format":1}`)))
	inProcess(t, a).logIn("admin", "a").want(200, "GET", timezone, "")
}
