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
	a.SetSlot(spstest.Slot{Key: "2", Version: "8.0.0"})
	firmwareFlow(t, a, c, success, failure)

	c.cookie = ""
	failure("GET", "/api/firmware", "")
}

// firmwareFlow fills the empty slots, and upgrades.
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
	failure("DELETE", path, "") // it is being installed
	if got := statuses(c, path, 1)[0]; !strings.EqualFold(got, "finished") || a.Slots()[3].Version != "8.2.0" {
		t.Errorf("download %s, slots %v", got, a.Slots())
	}
	success("DELETE", path, "")
	success("POST", "/api/upload/firmware", "SPS-FIRMWARE 8.3.0\n")
	failure("POST", "/api/upload/firmware", "SPS-FIRMWARE 8.4.0\n")

	failure("POST", "/api/firmware/upgrade", "{}")
	_, err := c.try("POST", "/api/firmware/upgrade", `{"slot_id":2,"message":null}`)
	if err != nil && !errors.Is(err, io.ErrUnexpectedEOF) {
		t.Fatal(err)
	}
	if diff := cmp.Diff([]string{"7.4.0", "-", "-", "-", "503", "503", "public", "public"}, meets(c, 8, "GET", "/api/info")); diff != "" {
		t.Errorf("restart (-want +got):\n%s", diff)
	}
	c.logIn(a.Username(), a.Password())
	if diff := cmp.Diff([]string{"8.0.0"}, meets(c, 1, "GET", "/api/info")); diff != "" || a.Restarts() != 1 {
		t.Errorf("restarts %d; version (-want +got):\n%s", a.Restarts(), diff)
	}
}
