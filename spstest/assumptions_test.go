package spstest_test

import (
	"errors"
	"io"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/go-sps/sps/spstest"
)

func TestVariantsAreComplete(t *testing.T) {
	t.Parallel()
	names := make(map[string]bool)
	for _, v := range spstest.Variants() {
		if names[v.Name] || v.Area == "" || v.Name == "" || v.Default == "" || v.Reason == "" || v.Source == "" || len(v.Alternatives) == 0 || slices.Contains(v.Alternatives, v.Default) {
			t.Errorf("variant %+v is incomplete, or two variants have its name", v)
		}
		names[v.Name] = true
	}
	spstest.Variants()[0].Alternatives[0] = "changed"
	if spstest.Variants()[0].Alternatives[0] == "changed" {
		t.Error("a change of the result of Variants changed the variants")
	}
}

// TestEveryAlternative checks that typical requests of a client have the same outcome
// with each alternative of each variant. With the newest profile, it sends the requests
// of all areas. With the other profiles, it sends only the requests of the variant's
// area, to save time. Under the race detector, it runs the newest profile only.
func TestEveryAlternative(t *testing.T) {
	t.Parallel()
	profiles := spstest.Profiles()
	if raceEnabled {
		profiles = profiles[len(profiles)-1:]
	}
	for i, profile := range profiles {
		for _, v := range spstest.Variants() {
			area := v.Area
			if i == len(profiles)-1 || area == "session" || area == "answer" {
				area = "" // run the requests of all areas
			}
			for _, alternative := range v.Alternatives {
				t.Run(profile+"/"+v.Name+"="+alternative, func(t *testing.T) {
					t.Parallel()
					a := newInProcess(t, spstest.WithProfile(profile), spstest.WithVariant(v.Name, alternative))
					flow(t, a, area)
				})
			}
		}
	}
}

// flow sends typical requests of an area and checks the responses. "" means all areas.
func flow(t *testing.T, a *spstest.Appliance, area string) {
	t.Helper()
	concerns := func(areas ...string) bool { return area == "" || slices.Contains(areas, area) }
	c := inProcess(t, a).logIn(a.Username(), a.Password())
	for _, path := range []string{"", "/info", "/user_info", "/integrated_products", "/firmware", "/firmware/slots", "/firmware/slots/2",
		"/configuration", "/transaction", "/transaction/changes", "/health_status", "/setup"} {
		c.want(200, "GET", "/api"+path, "")
	}
	a.SetProducts(spstest.ProductsStarling(), spstest.StarlingCredentialsInvalid)
	if r := c.do("GET", "/api/integrated_products", ""); !strings.Contains(r.raw, "Re-join the SPS") {
		t.Errorf("the warning is missing: %s", r.raw)
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
	if area != "audit" && area != "firmware" {
		configurationFlow(t, a, c, success, failure)
	}
	if concerns("appliance") {
		bundleFlow(t, c, success, failure)
	}
	if concerns("audit") {
		auditFlow(t, a, c, success, failure)
	}

	release := a.LockConfiguration("web UI")
	c.do("POST", "/api/transaction", "")
	if c.do("PUT", timezone, `"UTC"`).status < 300 { // the variant lock-taken makes the commit take the lock
		failure("PUT", "/api/transaction", `{"status":"commit","message":"m","commit_message":"m"}`)
	}
	c.do("DELETE", "/api/transaction", "")
	release()

	if concerns("firmware") {
		slotFlow(t, a, c, success, failure)
	}

	c.cookie = ""
	failure("GET", "/api/firmware", "")
}

// slotFlow tests the firmware in a slot and deletes it.
func slotFlow(t *testing.T, a *spstest.Appliance, c *client, success func(method, path, body string) response, failure func(method, path, body string)) {
	t.Helper()
	failure("POST", "/api/firmware/test", `{}`)
	a.SetSlot(spstest.Slot{Key: "2", Version: "8.0.0", TestFailure: spstest.NotEnoughStorage()})
	failure("POST", "/api/firmware/test", `{"slot_id":2}`)
	failure("DELETE", "/api/firmware/slots/1", "")
	success("DELETE", "/api/firmware/slots/4", "")
	a.SetSlot(spstest.Slot{Key: "2", Version: "8.0.0"})
	firmwareFlow(t, a, c, success, failure)
}

// configurationFlow changes alerts, creates and deletes a trust store, and joins and
// unjoins Starling.
func configurationFlow(t *testing.T, a *spstest.Appliance, c *client, success func(method, path, body string) response, failure func(method, path, body string)) {
	t.Helper()
	const commit = `{"status":"commit","message":"m","commit_message":"m"}`
	for _, path := range []string{trafficAlerts, systemAlerts} {
		body := c.want(200, "GET", path, "").body["body"].(map[string]any)
		for _, alert := range body {
			alert.(map[string]any)["snmp"] = true
		}
		success("POST", "/api/transaction", "")
		success("PUT", path, string(encodeJSON(t, body)))
		success("PUT", "/api/transaction", commit)
		if diff := cmp.Diff(body, c.want(200, "GET", path, "").body["body"]); diff != "" {
			t.Errorf("%s (-want +got):\n%s", path, diff)
		}
	}

	c.want(200, "GET", trustStores, "")
	success("POST", "/api/transaction", "")
	failure("POST", trustStores, `{"name":"x","authorities":[],"crl_urls":[],"revocation_check":"none","trust_store_type":"built-in"}`)
	failure("PUT", trustStores+"/-7001", `{"name":"x","authorities":[],"crl_urls":[],"revocation_check":"none","trust_store_type":"custom"}`)
	failure("DELETE", ldapStore, "")
	store := trustStores + "/" + success("POST", trustStores, trustStore(t, "new", "leaf", `["http://crl.example.com/a"]`, guidePEM(t))).body["key"].(string)
	success("PUT", store, trustStore(t, "newer", "none", `[]`, guidePEM(t)))
	success("PUT", "/api/transaction", commit)
	success("POST", "/api/transaction", "")
	success("DELETE", store, "")
	secret := success("POST", passwords, `{"plain":"secret"}`).body["key"].(string)
	success("PUT", "/api/transaction", commit)
	success("GET", passwords+"/"+secret, "")
	failure("GET", passwords, "")

	failure("GET", "/api/cluster/status", "")
	success("GET", join, "")
	failure("POST", join, `{}`)
	success("POST", join, joinBody)
	joined := string(encodeJSON(t, c.want(200, "GET", starling, "").body["body"]))
	success("POST", "/api/transaction", "")
	failure("POST", join, joinBody)
	success("PUT", starling, strings.Replace(joined, `"enabled":false`, `"enabled":true`, 1))
	success("PUT", "/api/transaction", commit)
	failure("DELETE", join, "")
	success("DELETE", join+"?force=true", "")
	if a.Starling().Joined {
		t.Error("the appliance is still joined to Starling")
	}
}

// auditFlow searches recorded sessions and downloads a recording.
func auditFlow(t *testing.T, a *spstest.Appliance, c *client, success func(method, path, body string) response, failure func(method, path, body string)) {
	t.Helper()
	ended := a.AddAuditSession(spstest.AuditSession{Start: at(1, 0), End: at(2, 0), Protocol: "SSH", TrailSize: 3})
	running := a.AddAuditSession(spstest.AuditSession{Start: at(1, 0), Protocol: "RDP", TrailSize: -1})
	for q, want := range map[string]string{"protocol:SSH": ended, `protocol:"RDP" AND verdict:ACCEPT`: running, "active:true": running, "duration:[3600 TO *]": ended} {
		if diff := cmp.Diff([]string{want}, keysOf(t, success("GET", search("q", q, "fields", "*"), ""))); diff != "" {
			t.Errorf("%s (-want +got):\n%s", q, diff)
		}
	}
	failure("GET", search("q", "*"), "")
	success("GET", auditSessions+"/"+ended, "")
	for _, of := range []string{"events", "alerts", "channels", "content", "indexing", "trail_downloads"} {
		success("GET", auditSessions+"/"+running+"/"+of, "")
	}
	success("GET", auditSessions+"/stats?field=protocol", "")
	success("GET", auditSessions+"/histogram?field=start_time", "")
	if r := success("GET", auditSessions+"/"+ended+"/audit_trail", ""); len(r.raw) != 3 {
		t.Errorf("the recording has %d bytes; want 3", len(r.raw))
	}
	failure("GET", auditSessions+"/"+running+"/audit_trail", "")
	failure("GET", auditSessions+"/none", "")
	if r := c.do("GET", auditSessions+"/_snapshot", ""); r.status == 200 {
		id := r.body["body"].(map[string]any)["snapshot"].(string)
		if n := len(keysOf(t, success("GET", search("snapshot", id), ""))); n != 2 {
			t.Errorf("the snapshot has %d sessions; want 2", n)
		}
		a.DropSnapshots()
		failure("GET", search("snapshot", id), "")
	}
}

// bundleFlow creates, downloads and deletes a support bundle.
func bundleFlow(t *testing.T, c *client, success func(method, path, body string) response, failure func(method, path, body string)) {
	t.Helper()
	bundle := bundles + "/" + success("POST", bundles, "").body["key"].(string)
	failure("GET", bundle+"/download", "")
	for range 3 {
		success("GET", bundle, "")
	}
	if got := c.want(200, "GET", bundle, "").body["body"].(map[string]any)["status"].(string); !strings.EqualFold(got, "finished") {
		t.Errorf("bundle %s", got)
	}
	c.want(200, "GET", bundle+"/download", "")
	success("DELETE", bundle, "")
	failure("GET", bundle, "")
}

// firmwareFlow fills the empty slots and upgrades the firmware.
func firmwareFlow(t *testing.T, a *spstest.Appliance, c *client, success func(method, path, body string) response, failure func(method, path, body string)) {
	t.Helper()
	failure("POST", "/api/upload/firmware", "no image")
	success("POST", "/api/upload/firmware", "SPS-FIRMWARE 8.1.0\n")
	if diff := cmp.Diff([]spstest.Upload{{Version: "8.1.0", SHA256: spstest.ImageSHA256("8.1.0", 19), Size: 19, Form: "raw", Slot: "3"}}, a.Uploads()); diff != "" {
		t.Errorf("uploads (-want +got):\n%s", diff)
	}

	failure("POST", fetchesURL, "{}")
	a.ServeImage(imageURL, "8.2.0", imageSum)
	cancelled := success("POST", fetchesURL, fetchBody(imageURL, imageSum)).body["meta"].(map[string]any)["href"].(string)
	success("DELETE", cancelled, "")
	success("GET", cancelled, "")
	success("DELETE", cancelled, "")
	path := success("POST", fetchesURL, fetchBody(imageURL, imageSum)).body["meta"].(map[string]any)["href"].(string)
	statuses(c, path, 3)
	failure("DELETE", path, "") // the download is being installed and cannot be cancelled
	if got := statuses(c, path, 1)[0]; !strings.EqualFold(got, "finished") || a.Slots()[3].Version != "8.2.0" {
		t.Errorf("download %s, slots %v", got, a.Slots())
	}
	success("DELETE", path, "")
	success("POST", "/api/upload/firmware", "SPS-FIRMWARE 8.3.0\n")
	failure("POST", "/api/upload/firmware", "SPS-FIRMWARE 8.4.0\n")

	failure("POST", "/api/firmware/upgrade", "{}")
	runs, next := a.Slots()[0].Version, a.Slots()[1].Version
	_, err := c.try("POST", "/api/firmware/upgrade", `{"slot_id":2,"message":null}`)
	if err != nil && !errors.Is(err, io.ErrUnexpectedEOF) {
		t.Fatal(err)
	}
	if diff := cmp.Diff([]string{runs, "-", "-", "-", "503", "503", "public", "public"}, meets(c, 8, "GET", "/api/info")); diff != "" {
		t.Errorf("restart (-want +got):\n%s", diff)
	}
	c.logIn(a.Username(), a.Password())
	if diff := cmp.Diff([]string{next}, meets(c, 1, "GET", "/api/info")); diff != "" || a.Restarts() != 1 {
		t.Errorf("restarts %d; version (-want +got):\n%s", a.Restarts(), diff)
	}
}
