package spstest_test

import (
	"crypto/x509"
	"errors"
	"fmt"
	"io"
	"net/http/httptest"
	"strings"
	"syscall"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/go-sps/sps/spstest"
)

// meets sends n requests and returns the results.
func meets(c *client, n int, method, path string) (got []string) {
	c.t.Helper()
	for range n {
		r, err := c.try(method, path, "")
		switch body, _ := r.body["body"].(map[string]any); {
		case err != nil:
			got = append(got, "-")
		case body["firmware_version"] != nil:
			got = append(got, body["firmware_version"].(string))
		case r.status == 200:
			got = append(got, "public")
		default:
			got = append(got, fmt.Sprint(r.status))
		}
	}
	return got
}

// flags returns the key of the current slot and of the slot for the next boot.
func flags(a *spstest.Appliance) string {
	var current, next string
	for _, s := range a.Slots() {
		if s.Current {
			current += s.Key
		}
		if s.AfterReboot {
			next += s.Key
		}
	}
	return current + " " + next
}

func TestUpgrade(t *testing.T) {
	t.Parallel()
	a := spstest.NewServer(t)
	for mode, c := range map[string]*client{"TLS": overTLS(t, a), "in process": inProcess(t, a)} {
		a.SetSlot(spstest.Slot{Key: "1", Version: "7.4.0", Current: true, AfterReboot: true})
		c.logIn("admin", "a")
		c.want(200, "POST", "/api/transaction", "")
		old := c.want(200, "GET", "/api/info", "").body["body"].(map[string]any)
		before := a.Restarts()
		wantJSON(t, `{"body":{"test_summary":"HA check started\nHA check finished"},"key":"2",
			"meta":{"href":"/api/firmware/upgrade","parent":"/api/firmware","slot":"/api/firmware/slots/2"}}`,
			c.want(200, "POST", "/api/firmware/upgrade", `{"slot_id":2,"message":null}`).raw)
		if diff := cmp.Diff("1 2", flags(a)); diff != "" {
			t.Errorf("%s: current and next slot before the restart (-want +got):\n%s", mode, diff)
		}
		want := []string{"7.4.0", "-", "-", "-", "503", "503", "public", "public", "public"}
		if diff := cmp.Diff(want, meets(c, len(want), "GET", "/api/info")); diff != "" {
			t.Errorf("%s: responses during the restart (-want +got):\n%s", mode, diff)
		}
		wantError(t, c.do("GET", "/api/firmware", ""), 401, "Unauthenticated", "/api/firmware")
		c.logIn("admin", "a")
		info := c.want(200, "GET", "/api/info", "").body["body"].(map[string]any)
		if info["firmware_version"] != "8.0.0" || info["version"] != "8 LTS" || info["build_date"] == old["build_date"] {
			t.Errorf("%s: after the upgrade: %v, before: %v", mode, info, old)
		}
		if a.Restarts() != before+1 || flags(a) != "2 2" || a.TransactionOpen() || a.Sessions() != 1 {
			t.Errorf("%s: restarts %d, slots %s, transaction %t, sessions %d", mode, a.Restarts(), flags(a), a.TransactionOpen(), a.Sessions())
		}
		a.ExpireSessions()
	}
}

func TestUpgradeRefused(t *testing.T) {
	t.Parallel()
	missing := func(path string) any { return map[string]any{"missing_paths": []any{path}} }
	for _, test := range []struct {
		name, variant string
		required      bool
		body          string
		status        int
		kind          string
		details       any
	}{
		{"no JSON", "", false, `{`, 400, "InvalidRequestBody", nil},
		{"no slot", "", false, `{"message":"m"}`, 400, "IncompleteRequestBodyError", missing("slot_id")},
		{"empty slot", "", false, `{"slot_id":3}`, 404, "ResourceNotFound", map[string]any{"mount_point": "/firmware/upgrade", "resource": "3"}},
		{"failing test", "", false, `{"slot_id":4}`, 400, "FirmwareTestFailed", map[string]any{"exit_code": 1.0, "test_summary": "failed"}},
		{"slot as text", "slot-id=number", false, `{"slot_id":"2"}`, 400, "SyntacticError", "slot_id"},
		{"message of a wrong type", "", false, `{"slot_id":2,"message":1}`, 400, "SyntacticError", "message"},
		{"message not there", "upgrade-message=present", false, `{"slot_id":2}`, 400, "IncompleteRequestBodyError", missing("message")},
		{"message required", "", true, `{"slot_id":2,"message":null}`, 400, "IncompleteRequestBodyError", missing("message")},
		{"message required, other error", "upgrade-message-missing=422:MissingCommitMessage", true, `{"slot_id":2,"message":""}`, 422, "MissingCommitMessage", nil},
		{"message required, semantic error", "upgrade-message-missing=400:SemanticError", true, `{"slot_id":2}`, 400, "SemanticError",
			[]any{"The upgrade needs a message: /api/firmware/upgrade"}},
	} {
		t.Run(test.name, func(t *testing.T) {
			t.Parallel()
			var opts []spstest.Option
			if test.variant != "" {
				opts = variants(t, test.variant)
			}
			if test.required {
				opts = append(opts, spstest.WithCommitMessageRequired())
			}
			a := newInProcess(t, opts...)
			a.SetSlot(spstest.Slot{Key: "4", Version: "6.0.10", TestFailure: &spstest.TestFailure{ExitCode: 1, Summary: "failed"}})
			c := inProcess(t, a).logIn("admin", "a")
			wantError(t, c.do("POST", "/api/firmware/upgrade", test.body), test.status, test.kind, test.details)
			if a.Restarts() != 0 || flags(a) != "1 1" {
				t.Errorf("restarts %d, slots %s", a.Restarts(), flags(a))
			}
			c.want(200, "POST", "/api/firmware/upgrade", `{"slot_id":2,"message":"m"}`)
		})
	}
}

func TestUpgradeWithoutAnAnswer(t *testing.T) {
	t.Parallel()
	a := spstest.NewServer(t, variants(t, "upgrade-answer=cut")...)
	for mode, c := range map[string]*client{"TLS": overTLS(t, a), "in process": inProcess(t, a)} {
		c.logIn("admin", "a")
		before := a.Restarts()
		_, err := c.try("POST", "/api/firmware/upgrade", `{"slot_id":2}`)
		if err == nil || mode == "in process" && !errors.Is(err, io.ErrUnexpectedEOF) || a.Restarts() != before+1 {
			t.Errorf("%s: error %v, restarts %d", mode, err, a.Restarts())
		}
		meets(c, 8, "GET", "/api/info")
	}
}

func TestRestartCounts(t *testing.T) {
	t.Parallel()
	for _, test := range []struct {
		restart spstest.Restart
		want    []string
	}{
		{spstest.Restart{}, []string{"public"}},
		{spstest.Restart{Up: 2}, []string{"7.4.0", "7.4.0", "public"}},
		{spstest.Restart{Refused: 2}, []string{"-", "-", "public"}},
		{spstest.Restart{Unavailable: 1}, []string{"503", "public"}},
		{spstest.Restart{Up: 1, Refused: 1, Unavailable: 1, Starting: 1}, []string{"7.4.0", "-", "503", "public", "public"}},
	} {
		a := spstest.NewServer(t, spstest.WithRestart(test.restart))
		for mode, c := range map[string]*client{"TLS": overTLS(t, a), "in process": inProcess(t, a)} {
			a.SetSlot(spstest.Slot{Key: "1", Version: "7.4.0", Current: true, AfterReboot: true})
			c.logIn("admin", "a")
			c.want(200, "POST", "/api/firmware/upgrade", `{"slot_id":2}`)
			if diff := cmp.Diff(test.want, meets(c, len(test.want), "GET", "/api/info")); diff != "" {
				t.Errorf("%s: %+v (-want +got):\n%s", mode, test.restart, diff)
			}
			if diff := cmp.Diff("2 2", flags(a)); diff != "" {
				t.Errorf("%s: %+v: slots (-want +got):\n%s", mode, test.restart, diff)
			}
		}
	}
}

func TestRequestsWhileStarting(t *testing.T) {
	t.Parallel()
	for _, test := range []struct {
		variant string
		status  int
		kind    string
	}{
		{"503", 503, ""}, {"500", 500, ""}, {"401:AuthenticationFailure", 401, "AuthenticationFailure"},
	} {
		a := newInProcess(t, append(variants(t, "starting-login="+test.variant), spstest.WithRestart(spstest.Restart{Starting: 3}))...)
		c := inProcess(t, a).logIn("admin", "a")
		a.Restart()
		a.ResetJournal()
		c.header.Set("Authorization", basic("admin", "a"))
		wantError(t, c.do("GET", "/api/authentication", ""), test.status, test.kind, nil)
		c.want(503, "GET", "/api/firmware", "")
		if info := c.want(200, "GET", "/api/info", "").body["body"].(map[string]any); info["firmware_version"] != nil || info["hostname"] != "sps" {
			t.Errorf("info %v", info)
		}
		c.want(200, "GET", "/api/authentication", "")
		var got []bool
		for _, r := range a.Journal() {
			got = append(got, r.Executed)
		}
		if diff := cmp.Diff([]bool{false, false, true, true}, got); diff != "" {
			t.Errorf("executed (-want +got):\n%s", diff)
		}
	}
}

func TestSessionAfterUpgrade(t *testing.T) {
	t.Parallel()
	a := newInProcess(t, append(variants(t, "session-after-upgrade=alive"), spstest.WithRestart(spstest.Restart{Refused: 1, Starting: 1}))...)
	c := inProcess(t, a).logIn("admin", "a")
	c.want(200, "POST", "/api/transaction", "")
	c.want(200, "POST", "/api/firmware/upgrade", `{"slot_id":2}`)
	if diff := cmp.Diff([]string{"-", "public", "8.0.0"}, meets(c, 3, "GET", "/api/info")); diff != "" {
		t.Errorf("responses to the session from before the restart (-want +got):\n%s", diff)
	}
	if a.TransactionOpen() || a.LockedBy() != "" {
		t.Error("the transaction is still open after the restart")
	}
}

func TestReinstall(t *testing.T) {
	t.Parallel()
	for _, variant := range []string{"stays", "differs"} {
		a := newInProcess(t, append(variants(t, "reinstall-build-date="+variant), spstest.WithRestart(spstest.Restart{}))...)
		a.SetSlot(spstest.Slot{Key: "3", Version: "7.4.0"})
		c := inProcess(t, a).logIn("admin", "a")
		date := func() any {
			return c.logIn("admin", "a").want(200, "GET", "/api/info", "").body["body"].(map[string]any)["build_date"]
		}
		dates := []any{date()}
		for _, slot := range []string{"3", "3"} { // an upgrade from another slot, and an upgrade to the running slot
			c.want(200, "POST", "/api/firmware/upgrade", `{"slot_id":`+slot+`}`)
			dates = append(dates, date())
			if diff := cmp.Diff("3 3", flags(a)); diff != "" {
				t.Errorf("slots (-want +got):\n%s", diff)
			}
		}
		a.Restart()
		if date() != dates[2] {
			t.Error("a plain restart changes the build date")
		}
		if a.Restarts() != 3 || (dates[0] != dates[1]) != (variant == "differs") || (dates[1] != dates[2]) != (variant == "differs") {
			t.Errorf("%s: restarts %d, dates %v", variant, a.Restarts(), dates)
		}
	}
}

func TestPlainRestart(t *testing.T) {
	t.Parallel()
	a := newInProcess(t, spstest.WithRestart(spstest.Restart{Refused: 1}))
	c := inProcess(t, a).logIn("admin", "a")
	a.Restart()
	if a.Sessions() != 0 || a.Restarts() != 1 {
		t.Errorf("sessions %d, restarts %d", a.Sessions(), a.Restarts())
	}
	if _, err := c.try("GET", "/api/info", ""); !errors.Is(err, syscall.ECONNREFUSED) {
		t.Errorf("error %v, want a refused connection", err)
	}
	wantError(t, c.do("GET", "/api/firmware", ""), 401, "Unauthenticated", "/api/firmware")
	if diff := cmp.Diff("1 1", flags(a)); diff != "" {
		t.Errorf("slots (-want +got):\n%s", diff)
	}
	a.SetSlot(spstest.Slot{Key: "2", Version: "8.0.0", AfterReboot: true})
	a.Restart()
	meets(c, 2, "GET", "/api/info")
	if diff := cmp.Diff("2 2", flags(a)); diff != "" {
		t.Errorf("slots after a restart with the firmware of another slot (-want +got):\n%s", diff)
	}
}

func TestOutcomes(t *testing.T) {
	t.Parallel()
	a := spstest.NewServer(t, spstest.WithRestart(spstest.Restart{Up: 1, Refused: 1}))
	c := overTLS(t, a).logIn("admin", "a")

	a.AfterRestart(spstest.OutcomeOldVersion)
	c.want(200, "POST", "/api/firmware/upgrade", `{"slot_id":2}`)
	want := []string{"7.4.0", "-", "public"}
	if diff := cmp.Diff(want, meets(c, len(want), "GET", "/api/info")); diff != "" {
		t.Errorf("old version (-want +got):\n%s", diff)
	}
	c.logIn("admin", "a")
	if diff := cmp.Diff([]string{"7.4.0", "1 1"}, append(meets(c, 1, "GET", "/api/info"), flags(a))); diff != "" {
		t.Errorf("old version (-want +got):\n%s", diff)
	}

	a.AfterRestart(spstest.OutcomeNeverBack)
	c.want(200, "POST", "/api/firmware/upgrade", `{"slot_id":2}`)
	want = []string{"7.4.0", "-", "-", "-", "-", "-", "-"}
	if diff := cmp.Diff(want, meets(c, len(want), "GET", "/api/info")); diff != "" {
		t.Errorf("connections that are refused forever (-want +got):\n%s", diff)
	}
	a.AfterRestart(spstest.OutcomeNewVersion) // somebody switched the appliance on again
	if diff := cmp.Diff([]string{"public", "2 2"}, append(meets(c, 1, "GET", "/api/info"), flags(a))); diff != "" {
		t.Errorf("after the outcome was changed to a new version (-want +got):\n%s", diff)
	}

	a.AfterRestart(spstest.OutcomeNewCertificate)
	fingerprint, ca := a.Fingerprint(), a.CA()
	c.logIn("admin", "a")
	c.want(200, "POST", "/api/firmware/upgrade", `{"slot_id":1}`)
	meets(c, 2, "GET", "/api/info")
	var unknown x509.UnknownAuthorityError
	if _, err := c.try("GET", "/api/info", ""); !errors.As(err, &unknown) {
		t.Errorf("error %v, want an unknown authority", err)
	}
	if a.Fingerprint() == fingerprint || string(a.CA()) == string(ca) {
		t.Error("the certificate or the CA has not changed")
	}
	if diff := cmp.Diff([]string{"7.4.0"}, meets(overTLS(t, a).logIn("admin", "a"), 1, "GET", "/api/info")); diff != "" {
		t.Errorf("version (-want +got):\n%s", diff)
	}
}

// TestConnectionFromBeforeTheRestart checks that a connection that was idle while the
// appliance went down is reset at its next request.
func TestConnectionFromBeforeTheRestart(t *testing.T) {
	t.Parallel()
	a := spstest.NewServer(t, spstest.WithRestart(spstest.Restart{Refused: 2, Unavailable: 1}))
	idle := overTLS(t, a).logIn("admin", "a")
	late := overTLS(t, a).logIn("admin", "a")
	a.Restart()
	if _, err := idle.try("PATCH", "/api/info", "{}"); err == nil { // net/http does not repeat a PATCH
		t.Error("a request on a connection from before the restart got a response")
	}
	got := meets(overTLS(t, a), 3, "GET", "/api/info")
	if diff := cmp.Diff([]string{"-", "503", "public"}, got); diff != "" {
		t.Errorf("the reset connection counts as refused (-want +got):\n%s", diff)
	}
	if _, err := late.try("PATCH", "/api/info", "{}"); err == nil {
		t.Error("a request on a connection from before the restart got a response after the restart")
	}
	late.want(200, "GET", "/api/info", "")
}

func TestRestartThroughAHandler(t *testing.T) {
	t.Parallel()
	a := newInProcess(t, append(variants(t, "upgrade-answer=cut"), spstest.WithRestart(spstest.Restart{Refused: 1}))...)
	c := inProcess(t, a).logIn("admin", "a")
	var got []int
	for _, call := range []string{"POST /api/firmware/upgrade", "GET /api/info", "GET /api/info"} {
		method, path, _ := strings.Cut(call, " ")
		r := httptest.NewRequestWithContext(t.Context(), method, path, strings.NewReader(`{"slot_id":2}`))
		r.Header.Set("Cookie", "session_id="+c.cookie)
		w := httptest.NewRecorder()
		a.Handler().ServeHTTP(w, r)
		got = append(got, w.Code)
	}
	if diff := cmp.Diff([]int{200, 503, 200}, got); diff != "" {
		t.Errorf("statuses (-want +got):\n%s", diff)
	}
}

func TestFaultsDuringARestart(t *testing.T) {
	t.Parallel()
	a := newInProcess(t, spstest.WithRestart(spstest.Restart{Refused: 1, Unavailable: 2}))
	c := inProcess(t, a)
	a.Restart()
	a.Inject(spstest.Fault{Status: 502})
	if diff := cmp.Diff([]string{"-", "502", "503", "public"}, meets(c, 4, "GET", "/api/info")); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
}
