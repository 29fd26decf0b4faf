package spstest_test

import (
	"fmt"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/go-sps/sps/spstest"
)

func TestFirmwareListing(t *testing.T) {
	t.Parallel()
	c := inProcess(t, newInProcess(t)).logIn("admin", "a")
	wantJSON(t, `{"items":[
		{"key":"fetch","meta":{"href":"/api/firmware/fetch"}},
		{"key":"slots","meta":{"href":"/api/firmware/slots"}},
		{"key":"test","meta":{"href":"/api/firmware/test"}},
		{"key":"upgrade","meta":{"href":"/api/firmware/upgrade"}}],
		"meta":{"href":"/api/firmware","parent":"/api","fetch":"/api/firmware/fetch","slots":"/api/firmware/slots",
		"test":"/api/firmware/test","upgrade":"/api/firmware/upgrade"}}`, c.want(200, "GET", "/api/firmware", "").raw)
}

func TestSlots(t *testing.T) {
	t.Parallel()
	a := newInProcess(t, spstest.WithSlots(
		spstest.Slot{Key: "1", Version: "6.5.0", UpgradeNotes: "some notes", Current: true},
		spstest.Slot{Key: "2", Version: "6.6.0", UpgradeNotes: "some notes", AfterReboot: true},
		spstest.Slot{Key: "3"},
		spstest.Slot{Key: "4", Version: "6.7.0", UpgradeNotes: "some notes"},
		spstest.Slot{Key: "5"},
	))
	c := inProcess(t, a).logIn("admin", "a")
	wantJSON(t, `{"items":[
		{"body":{"after_reboot":false,"current":true,"upgrade_news":null,"upgrade_notes":"some notes","version":"6.5.0"},"key":"1","meta":{"href":"/api/firmware/slots/1"}},
		{"body":{"after_reboot":true,"current":false,"upgrade_news":null,"upgrade_notes":"some notes","version":"6.6.0"},"key":"2","meta":{"href":"/api/firmware/slots/2"}},
		{"body":{},"key":"3","meta":{"href":"/api/firmware/slots/3"}},
		{"body":{"after_reboot":false,"current":false,"upgrade_news":null,"upgrade_notes":"some notes","version":"6.7.0"},"key":"4","meta":{"href":"/api/firmware/slots/4"}},
		{"body":{},"key":"5","meta":{"href":"/api/firmware/slots/5"}}],
		"meta":{"current_slot":"/api/firmware/slots/1","href":"/api/firmware/slots","number_of_empty_slots":2,
		"parent":"/api/firmware","slot_after_reboot":"/api/firmware/slots/2"}}`, c.want(200, "GET", "/api/firmware/slots", "").raw)

	wantError(t, c.do("DELETE", "/api/firmware/slots/1", ""), 403, "ForbiddenActionError", nil)
	wantError(t, c.do("DELETE", "/api/firmware/slots/2", ""), 403, "ForbiddenActionError", nil)
	wantError(t, c.do("GET", "/api/firmware/slots/9", ""), 404, "ResourceNotFound",
		map[string]any{"mount_point": "/firmware/slots", "resource": "9"})
	c.want(200, "DELETE", "/api/firmware/slots/4", "")
	wantJSON(t, `{"body":{},"key":"4","meta":{"href":"/api/firmware/slots/4","parent":"/api/firmware/slots"}}`,
		c.want(200, "GET", "/api/firmware/slots/4", "").raw)
	meta := c.want(200, "GET", "/api/firmware/slots", "").body["meta"].(map[string]any)
	if diff := cmp.Diff(3.0, meta["number_of_empty_slots"]); diff != "" {
		t.Errorf("empty slots (-want +got):\n%s", diff)
	}
}

func TestSlotsWithABody(t *testing.T) {
	t.Parallel()
	without := inProcess(t, newInProcess(t)).logIn("admin", "a").want(200, "GET", "/api/firmware/slots", "").body
	with := inProcess(t, newInProcess(t, variants(t, "slots-body=present")...)).logIn("admin", "a").want(200, "GET", "/api/firmware/slots", "").body
	without["body"] = map[string]any{}
	if diff := cmp.Diff(without, with); diff != "" {
		t.Errorf("slots (-want +got):\n%s", diff)
	}
}

func TestSetSlotMovesTheFlags(t *testing.T) {
	t.Parallel()
	a := newInProcess(t)
	a.SetSlot(spstest.Slot{Key: "2", Version: "8.0.0", Current: true, AfterReboot: true})
	var got []string
	for _, s := range a.Slots() {
		got = append(got, fmt.Sprintf("%s %t %t", s.Key, s.Current, s.AfterReboot))
	}
	want := []string{"1 false false", "2 true true", "3 false false", "4 false false", "5 false false"}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("slots (-want +got):\n%s", diff)
	}
	info := inProcess(t, a).logIn("admin", "a").want(200, "GET", "/api/info", "").body["body"].(map[string]any)
	if diff := cmp.Diff("8.0.0", info["firmware_version"]); diff != "" {
		t.Errorf("firmware_version (-want +got):\n%s", diff)
	}
}

func TestFirmwareTest(t *testing.T) {
	t.Parallel()
	const passed = `{"body":{"test_summary":"HA check started\nHA check finished"},"key":"2",
		"meta":{"href":"/api/firmware/test","parent":"/api/firmware","slot":"/api/firmware/slots/2","upgrade":"/api/firmware/upgrade"}}`
	for _, test := range []struct {
		name, variant, body string
		status              int
		want                string
	}{
		{"number", "", `{"slot_id": 2}`, 200, passed},
		{"string", "", `{"slot_id": "2"}`, 200, passed},
		{"number key", "slot-key=number", `{"slot_id": 2}`, 200, strings.Replace(passed, `"key":"2"`, `"key":2`, 1)},
		{"missing id", "", `{"slot": 2}`, 400, `{"error":{"details":{"missing_paths":["slot_id"]},
			"message":"Some paths were missing from the request body","type":"IncompleteRequestBodyError"},
			"meta":{"href":"/api/firmware/test","parent":"/api/firmware"}}`},
		{"no body", "firmware-errors=short", "", 400, `{"error":{"type":"IncompleteRequestBodyError"}}`},
		{"empty slot", "", `{"slot_id": 3}`, 404, `{"error":{"details":{"mount_point":"/firmware/test","resource":"3"},
			"message":"Resource was not found","type":"ResourceNotFound"},"meta":{"href":"/api/firmware/test","parent":"/api/firmware"}}`},
		{"empty slot, other status", "firmware-not-found-status=200", `{"slot_id": 3}`, 200, `{"error":{"details":{"mount_point":"/firmware/test","resource":"3"},
			"message":"Resource was not found","type":"ResourceNotFound"},"meta":{"href":"/api/firmware/test","parent":"/api/firmware"}}`},
		{"failing", "firmware-failed-status=422", `{"slot_id": 4}`, 422, `{"error":{"details":{"exit_code":1,"test_summary":"HA check started\nHA check failed"},
			"message":"The firmware test failed","type":"FirmwareTestFailed"},"meta":{"href":"/api/firmware/test","parent":"/api/firmware"}}`},
		{"malformed", "", `{"slot_id": `, 400, `{"error":{"message":"The request body is not valid JSON","type":"InvalidRequestBody"},
			"meta":{"href":"/api/firmware/test","parent":"/api/firmware"}}`},
		{"string refused", "slot-id=number", `{"slot_id": "2"}`, 400, `{"error":{"details":"slot_id","message":"The slot id has to be a number","type":"SyntacticError"},
			"meta":{"href":"/api/firmware/test","parent":"/api/firmware"}}`},
	} {
		t.Run(test.name, func(t *testing.T) {
			t.Parallel()
			var opts []spstest.Option
			if test.variant != "" {
				opts = variants(t, test.variant)
			}
			a := newInProcess(t, opts...)
			a.SetSlot(spstest.Slot{Key: "4", Version: "6.0.10", TestFailure: &spstest.TestFailure{ExitCode: 1, Summary: "HA check started\nHA check failed"}})
			c := inProcess(t, a).logIn("admin", "a")
			wantJSON(t, test.want, c.want(test.status, "POST", "/api/firmware/test", test.body).raw)
		})
	}
}

func TestPresetsBeginWithTheHACheck(t *testing.T) {
	t.Parallel()
	for name, failure := range map[string]*spstest.TestFailure{
		"version":       spstest.VersionIncompatible(),
		"storage":       spstest.NotEnoughStorage(),
		"configuration": spstest.ConfigurationIncompatible(),
		"tainted":       spstest.TaintedFirmware(),
	} {
		if failure.ExitCode != 1 || !strings.HasPrefix(failure.Summary, "HA check started\nHA check finished\n") || !strings.HasSuffix(failure.Summary, " failed") {
			t.Errorf("%s: exit code %d, summary %q", name, failure.ExitCode, failure.Summary)
		}
	}
}

func TestSlotVersionAsNumber(t *testing.T) {
	t.Parallel()
	a := newInProcess(t, append(variants(t, "slot-version=number"), spstest.WithSlots(
		spstest.Slot{Key: "1", Version: "8.0"}, spstest.Slot{Key: "2", Version: "8.0.1"}))...)
	c := inProcess(t, a).logIn("admin", "a")
	for key, want := range map[string]any{"1": 8.0, "2": "8.0.1"} {
		body := c.want(200, "GET", "/api/firmware/slots/"+key, "").body["body"].(map[string]any)
		if diff := cmp.Diff(want, body["version"]); diff != "" {
			t.Errorf("slot %s (-want +got):\n%s", key, diff)
		}
	}
}

func TestFirmwareMethods(t *testing.T) {
	t.Parallel()
	c := inProcess(t, newInProcess(t)).logIn("admin", "a")
	r := c.do("GET", "/api/firmware/test", "")
	wantError(t, r, 405, "MethodNotAllowed", nil)
	if diff := cmp.Diff("POST", r.header.Get("Allow")); diff != "" {
		t.Errorf("Allow (-want +got):\n%s", diff)
	}
}
