package areas

import (
	"errors"
	"net/http"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp/cmpopts"

	"github.com/go-sps/sps"
	"github.com/go-sps/sps/internal/testkit"
	"github.com/go-sps/sps/spstest"
)

// TestPrecheckFlow checks the list of slots, the firmware tests of a good, a bad, an empty and a
// missing slot, and the deletion of a slot, with each variant of the appliance.
func TestPrecheckFlow(t *testing.T) {
	t.Parallel()
	testkit.UnderVariants(t, func(t *testing.T, options ...spstest.Option) {
		a := spstest.NewServer(t, options...)
		failure := spstest.NotEnoughStorage()
		a.SetSlot(spstest.Slot{Key: "5", Version: "8.1.0", TestFailure: failure})
		c := testkit.Connect(t, a)

		slots, err := c.Firmware.Slots.List(t.Context())
		if err != nil {
			t.Fatal(err)
		}
		if slots.CurrentSlot != "1" || slots.SlotAfterReboot != "1" || slots.EmptySlots != 1 || len(slots.Slots) != 5 {
			t.Errorf("slots: current %q, after reboot %q, %d empty of %d", slots.CurrentSlot, slots.SlotAfterReboot, slots.EmptySlots, len(slots.Slots))
		}

		report, err := c.Firmware.Test(t.Context(), "2")
		if err != nil {
			t.Fatalf("Test of a good slot: %v", err)
		}
		if report.SlotKey != "2" || !strings.Contains(report.TestSummary, "HA check") {
			t.Errorf("report: %+v", report)
		}

		report, err = c.Firmware.Test(t.Context(), "5")
		var failed *sps.FirmwareTestFailedDetails
		if report != nil || !errors.Is(err, sps.FirmwareTestFailed) || !errors.As(err, &failed) {
			t.Fatalf("Test of a bad slot: %+v, %v; want FirmwareTestFailed", report, err)
		}
		if failed.ExitCode != sps.ExitCodeUnknown {
			testkit.Diff(t, "failure", &sps.FirmwareTestFailedDetails{ExitCode: failure.ExitCode, TestSummary: failure.Summary}, failed)
		}

		for _, key := range []string{"3", "77"} {
			if report, err := c.Firmware.Test(t.Context(), key); report != nil || !errors.Is(err, sps.ResourceNotFound) {
				t.Errorf("Test of slot %s: %+v, %v; want ResourceNotFound", key, report, err)
			}
		}
		if err := c.Firmware.Slots.Delete(t.Context(), "4"); err != nil {
			t.Errorf("DeleteSlot: %v", err)
		}
		slot, err := c.Firmware.Slots.Get(t.Context(), "4")
		if err != nil || !slot.Body.Empty() {
			t.Errorf("the deleted slot: %+v, %v; want an empty one", slot, err)
		}
	})
}

// TestPresets checks that Test returns the exit code and the summary of a failed firmware test,
// for each failure that the guide names.
func TestPresets(t *testing.T) {
	t.Parallel()
	for name, preset := range map[string]func() *spstest.TestFailure{
		"version compatibility":       spstest.VersionIncompatible,
		"storage space":               spstest.NotEnoughStorage,
		"configuration compatibility": spstest.ConfigurationIncompatible,
		"tainted firmware":            spstest.TaintedFirmware,
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			a := spstest.NewServer(t)
			a.SetSlot(spstest.Slot{Key: "2", Version: "8.0.0", TestFailure: preset()})
			_, err := testkit.Connect(t, a).Firmware.Test(t.Context(), "2")
			var failed *sps.FirmwareTestFailedDetails
			if !errors.As(err, &failed) {
				t.Fatalf("error %v, want a FirmwareTestFailedDetails", err)
			}
			testkit.Diff(t, "failure", &sps.FirmwareTestFailedDetails{ExitCode: preset().ExitCode, TestSummary: preset().Summary}, failed)
		})
	}
}

func TestSlots(t *testing.T) {
	t.Parallel()
	news := "Read this first."
	a := spstest.NewServer(t, spstest.WithSlots(
		spstest.Slot{Key: "1", Version: "7.4.0", UpgradeNotes: "notes", UpgradeNews: &news, Current: true},
		spstest.Slot{Key: "2"},
		spstest.Slot{Key: "4", Version: "8.0.0", AfterReboot: true},
	))
	got, err := testkit.Connect(t, a).Firmware.Slots.List(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	want := &sps.FirmwareSlotList{
		Slots: []sps.FirmwareSlot{
			{Key: "1", Body: sps.FirmwareImage{Version: "7.4.0", Current: true, UpgradeNews: news, UpgradeNotes: "notes"}},
			{Key: "2"},
			{Key: "4", Body: sps.FirmwareImage{Version: "8.0.0", AfterReboot: true}},
		},
		CurrentSlot: "1", SlotAfterReboot: "4", EmptySlots: 1,
	}
	testkit.Diff(t, "slots", want, got, cmpopts.IgnoreTypes(sps.Meta{}))
}

// TestSlotKeys checks that invalid slot keys are rejected before a request is sent, and that
// Test sends a key that is a small decimal number as a JSON number, and any other key as a
// string.
func TestSlotKeys(t *testing.T) {
	t.Parallel()
	a := spstest.NewServer(t)
	c := testkit.Connect(t, a)
	for _, key := range []string{"", "-1", "../info", "2/../1", "%2e", "2\n", "2 ", " 2", "2?x=1", "2#", `2"`, `\2`, "٢", strings.Repeat("1", 65), "."} {
		a.ResetJournal()
		_, testErr := c.Firmware.Test(t.Context(), key)
		_, slotErr := c.Firmware.Slots.Get(t.Context(), key)
		for operation, err := range map[string]error{"Test": testErr, "Slot": slotErr, "DeleteSlot": c.Firmware.Slots.Delete(t.Context(), key)} {
			if !errors.Is(err, sps.ErrInvalidInput) || strings.ContainsAny(err.Error(), "\n") {
				t.Errorf("%s(%q): %v; want ErrInvalidInput in one line", operation, key, err)
			}
		}
		if sent := testkit.Requests(a); sent != nil {
			t.Errorf("key %q: sent %v", key, sent)
		}
	}
	for key, body := range map[string]string{
		"2": `{"slot_id":2}`, "0": `{"slot_id":0}`, "007": `{"slot_id":"007"}`, "abc": `{"slot_id":"abc"}`, "99999999999": `{"slot_id":"99999999999"}`,
	} {
		a.ResetJournal()
		c.Firmware.Test(t.Context(), key)
		testkit.Diff(t, "body for "+key, body, string(a.Journal()[0].Body))
	}
}

func TestDeleteSlotInUse(t *testing.T) {
	t.Parallel()
	a := spstest.NewServer(t)
	a.SetSlot(spstest.Slot{Key: "2", Version: "8.0.0", AfterReboot: true})
	c := testkit.Connect(t, a)
	for _, key := range []string{"1", "2"} {
		a.ResetJournal()
		if err := c.Firmware.Slots.Delete(t.Context(), key); !errors.Is(err, sps.ErrSlotInUse) {
			t.Errorf("DeleteSlot(%s): %v, want ErrSlotInUse", key, err)
		}
		testkit.Diff(t, "requests", []string{"GET /api/firmware/slots/" + key}, testkit.Requests(a))
	}
	if err := c.Firmware.Slots.Delete(t.Context(), "9"); !errors.Is(err, sps.ResourceNotFound) {
		t.Errorf("DeleteSlot of an unknown slot: %v", err)
	}
}

// TestNoFalsePass checks that a malformed or contradictory response is never taken for a passed
// test.
func TestNoFalsePass(t *testing.T) {
	t.Parallel()
	for name, body := range map[string]string{
		"empty object":           `{}`,
		"no body":                `{"key":"2","meta":{}}`,
		"body null":              `{"key":"2","body":null}`,
		"body empty":             `{"key":"2","body":{}}`,
		"body is a list":         `{"key":"2","body":[]}`,
		"summary is an object":   `{"key":"2","body":{"test_summary":{}}}`,
		"key of another slot":    `{"key":"1","body":{"test_summary":"fine"}}`,
		"number of another slot": `{"key":1,"body":{"test_summary":"fine"}}`,
		"empty":                  ``,
		"not JSON":               `fine`,
		"truncated":              `{"key":"2","body":{"test_summary":"HA`,
		"duplicate names":        `{"key":"2","body":{"test_summary":"x"},"body":{"test_summary":"x"}}`,
		"a list":                 `[{"body":"fine"}]`,
		"two values":             `{"key":"2","body":"fine"}{"error":{"type":"FirmwareTestFailed"}}`,
		"invalid UTF-8":          "{\"key\":\"2\",\"body\":\"\xff\"}",
		"exit code true":         `{"key":"2","body":{"test_summary":"x","exit_code":true}}`,
		"exit code a list":       `{"key":"2","body":{"test_summary":"x","exit_code":[1]}}`,
		"link to another slot":   `{"body":{"test_summary":"x"},"meta":{"slot":"/api/firmware/slots/1"}}`,
		"exit code 1":            `{"key":"2","body":{"test_summary":"HA check failed","exit_code":1}}`,
		"error beside body":      `{"key":"2","body":{"test_summary":"fine"},"error":{"type":"FirmwareTestFailed"}}`,
		"error is a text":        `{"key":"2","body":{"test_summary":"fine"},"error":"no"}`,
		"error is empty":         `{"key":"2","body":{"test_summary":"fine"},"error":{}}`,
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			a := spstest.NewServer(t)
			a.Inject(spstest.Fault{Path: "firmware/test", Mutate: func([]byte) []byte { return []byte(body) }})
			report, err := testkit.Connect(t, a).Firmware.Test(t.Context(), "2")
			if report != nil || err == nil {
				t.Fatalf("the test passed with %+v", report)
			}
			var refused *sps.Error
			if !errors.Is(err, sps.ErrBadAnswer) && !errors.As(err, &refused) {
				t.Errorf("error %v is neither ErrBadAnswer nor *Error", err)
			}
			if strings.Contains(err.Error(), "\n") {
				t.Errorf("error of several lines: %q", err)
			}
		})
	}
}

// TestFirmwareTestIsRetried checks that the request for a firmware test is sent again if the
// connection breaks, because a test changes nothing, and that it is sent once if the response
// has an error status.
func TestFirmwareTestIsRetried(t *testing.T) {
	t.Parallel()
	for name, fault := range map[string]spstest.Fault{
		"connection breaks before execution": {CutBefore: true}, "connection breaks after execution": {CutAfter: true}, "response truncated": {Truncate: 10},
		"503": {Status: 503}, "502": {Status: 502}, "504": {Status: 504}, "429": {Status: 429, Header: http.Header{"Retry-After": {"0"}}},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			a := spstest.NewServer(t)
			c := testkit.Connect(t, a)
			fault.Path, fault.Times = "firmware/test", -1
			a.Inject(fault)
			a.ResetJournal()
			if _, err := c.Firmware.Test(t.Context(), "2"); err == nil {
				t.Error("no error")
			} else if errors.Is(err, sps.ErrOutcomeUnknown) {
				t.Errorf("error %v, although a firmware test changes nothing", err)
			}
			want := 1
			if fault.Status == 0 {
				want = 4
			}
			testkit.Diff(t, "requests", slices.Repeat([]string{"POST /api/firmware/test"}, want), testkit.Requests(a))
		})
	}
}

// TestSlowFirmwareTest checks that a firmware test may take longer than the time limit of a
// read.
func TestSlowFirmwareTest(t *testing.T) {
	t.Parallel()
	testkit.Bubble(t, func(t *testing.T, a *spstest.Appliance, c *sps.Client) {
		a.Inject(spstest.Fault{Path: "firmware/test", Delay: 20 * time.Minute})
		start := time.Now()
		if _, err := c.Firmware.Test(t.Context(), "2"); err != nil {
			t.Fatal(err)
		}
		if took := time.Since(start); took != 20*time.Minute {
			t.Errorf("took %v", took)
		}
	})
}
