package spstest_test

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"regexp"
	"strings"
	"syscall"
	"testing"
	"testing/synctest"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/go-sps/sps/spstest"
)

func TestFaultAnswers(t *testing.T) {
	t.Parallel()
	type want struct {
		Status                  int
		ContentType, RetryAfter string
		Body                    string // a part of the body
		Executed                bool
	}
	for _, test := range []struct {
		name  string
		fault spstest.Fault
		want  want
	}{
		{"page", spstest.Fault{Status: 503, Header: http.Header{"retry-after": {"7"}}}, want{503, "text/html", "7", "<h1>503 Service Unavailable</h1>", false}},
		{"body", spstest.Fault{Status: 200, Body: `{"error":{"type":"X"}}`}, want{200, "application/json", "", `{"error":{"type":"X"}}`, false}},
		{"content type", spstest.Fault{Status: 500, Body: "oops", ContentType: "text/plain"}, want{500, "text/plain", "", "oops", false}},
		{"executed", spstest.Fault{Status: 502, Execute: true}, want{502, "text/html", "", "502 Bad Gateway", true}},
		{"mutated", spstest.Fault{Mutate: func(b []byte) []byte { return append([]byte(" "), b...) }}, want{200, "application/json", "", ` {"meta":`, true}},
		{"other method", spstest.Fault{Method: "GET", Status: 503, MayMiss: true}, want{200, "application/json", "", `"meta"`, true}},
		{"other path", spstest.Fault{Path: "firmware/*", Status: 503, MayMiss: true}, want{200, "application/json", "", `"meta"`, true}},
	} {
		t.Run(test.name, func(t *testing.T) {
			t.Parallel()
			a := newInProcess(t)
			c := inProcess(t, a).logIn("admin", "a")
			a.ResetJournal()
			a.Inject(test.fault)
			r := c.do("PUT", timezone, `"UTC"`)
			got := want{r.status, r.header.Get("Content-Type"), r.header.Get("Retry-After"), r.raw, a.Journal()[0].Executed}
			if strings.Contains(got.Body, test.want.Body) {
				got.Body = test.want.Body
			}
			if diff := cmp.Diff(test.want, got); diff != "" {
				t.Errorf("response (-want +got):\n%s", diff)
			}
			if a.TransactionOpen() != test.want.Executed {
				t.Errorf("executed: %t, want %t", a.TransactionOpen(), test.want.Executed)
			}
			c.want(200, "PUT", timezone, `"UTC"`) // the fault applies to one request only
		})
	}
}

func TestFaultPathsAndOrder(t *testing.T) {
	t.Parallel()
	for glob, want := range map[string]string{
		"":                           "1111",
		"**":                         "1111",
		"firmware":                   "1000",
		"firmware/*":                 "0100",
		"firmware/**":                "1110",
		"configuration/**":           "0001",
		"configuration/*/email":      "0001",
		"configuration/management/*": "0001",
		"*":                          "1000",
	} {
		a := newInProcess(t)
		c := inProcess(t, a).logIn("admin", "a")
		a.Inject(spstest.Fault{Path: glob, Status: 503, Times: -1})
		got := ""
		for _, path := range []string{"firmware", "firmware/slots", "firmware/slots/1", "configuration/management/email"} {
			got += map[int]string{200: "0", 503: "1"}[c.do("GET", "/api/"+path, "").status]
		}
		if diff := cmp.Diff(want, got); diff != "" {
			t.Errorf("%q (-want +got):\n%s", glob, diff)
		}
	}

	a := newInProcess(t)
	c := inProcess(t, a).logIn("admin", "a")
	a.Inject(spstest.Fault{Skip: 1, Times: 2, Status: 503})
	a.Inject(spstest.Fault{Skip: 2, Status: 502})
	var got []int
	for range 6 {
		got = append(got, c.do("GET", "/api/firmware", "").status)
	}
	if diff := cmp.Diff([]int{200, 503, 503, 200, 502, 200}, got); diff != "" {
		t.Errorf("turns (-want +got):\n%s", diff)
	}
	a.Inject(spstest.Fault{Times: -1, Status: 503, MayMiss: true})
	a.ClearFaults()
	c.want(200, "GET", "/api/firmware", "")
}

func TestConnectionFaults(t *testing.T) {
	t.Parallel()
	for _, test := range []struct {
		name     string
		fault    spstest.Fault
		executed bool
		matches  func(error) bool // checks the error of RoundTrip
	}{
		{"refused", spstest.Fault{Refuse: true}, false, func(err error) bool {
			var op *net.OpError
			return errors.As(err, &op) && op.Op == "dial" && op.Err == syscall.ECONNREFUSED
		}},
		{"cut before", spstest.Fault{CutBefore: true}, false, func(err error) bool { return errors.Is(err, syscall.ECONNRESET) }},
		{"cut after", spstest.Fault{CutAfter: true}, true, func(err error) bool { return errors.Is(err, io.ErrUnexpectedEOF) }},
		{"truncated", spstest.Fault{Truncate: 10}, true, func(err error) bool { return errors.Is(err, io.ErrUnexpectedEOF) }},
	} {
		t.Run(test.name, func(t *testing.T) {
			t.Parallel()
			a := spstest.NewServer(t)
			for mode, c := range map[string]*client{"TLS": overTLS(t, a), "in process": inProcess(t, a)} {
				c.logIn("admin", "a")
				a.ResetJournal()
				a.Inject(test.fault)
				_, err := c.try("POST", "/api/transaction", "{}")
				if err == nil || mode == "in process" && !test.matches(err) {
					t.Errorf("%s: error %v", mode, err)
				}
				journal := a.Journal()
				if len(journal) != 1 || journal[0].Executed != test.executed {
					t.Errorf("%s: journal %+v, want one request, executed: %t", mode, journal, test.executed)
				}
				if open := a.TransactionOpen(); open != test.executed {
					t.Errorf("%s: transaction open: %t, want %t", mode, open, test.executed)
				}
				c.want(200, "DELETE", "/api/transaction", "")
			}
		})
	}
}

func TestEndlessBody(t *testing.T) {
	t.Parallel()
	a := spstest.NewServer(t)
	for mode, c := range map[string]*client{"TLS": overTLS(t, a), "in process": inProcess(t, a)} {
		c.logIn("admin", "a")
		a.Inject(spstest.Fault{Endless: true})
		req, err := http.NewRequestWithContext(t.Context(), "GET", c.base+"/api/firmware", nil)
		if err != nil {
			t.Fatal(err)
		}
		req.Header.Set("Cookie", "session_id="+c.cookie)
		resp, err := c.transport.RoundTrip(req)
		if err != nil {
			t.Fatal(err)
		}
		head := make([]byte, 1<<20)
		if _, err := io.ReadFull(resp.Body, head); err != nil || !strings.HasPrefix(string(head), `{"body":"`) {
			t.Errorf("%s: %q…, error %v", mode, head[:20], err)
		}
		resp.Body.Close()
	}
}

func TestExpireSessionFault(t *testing.T) {
	t.Parallel()
	a := newInProcess(t)
	c := inProcess(t, a).logIn("admin", "a")
	c.want(200, "PUT", timezone, `"UTC"`)
	a.Inject(spstest.Fault{ExpireSession: true, Path: "transaction"})
	wantError(t, c.do("PUT", "/api/transaction", `{"status":"commit"}`), 401, "Unauthenticated", "/api/transaction")
	if a.TransactionOpen() || a.Sessions() != 0 {
		t.Error("the session or its transaction has not ended")
	}
}

func TestDelay(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		a := newInProcess(t)
		c := inProcess(t, a).logIn("admin", "a")
		a.ResetJournal()
		a.Inject(spstest.Fault{Delay: time.Minute, Times: -1})
		began := time.Now()
		c.want(200, "GET", "/api/firmware", "")
		if d := time.Since(began); d != time.Minute {
			t.Errorf("took %v, want a minute", d)
		}

		ctx, cancel := context.WithTimeout(t.Context(), time.Second)
		defer cancel()
		req, err := http.NewRequestWithContext(ctx, "GET", c.base+"/api/firmware", nil)
		if err != nil {
			t.Fatal(err)
		}
		if _, err := a.RoundTrip(req); !errors.Is(err, context.DeadlineExceeded) {
			t.Errorf("error %v, want DeadlineExceeded", err)
		}

		go func() {
			time.Sleep(time.Second)
			a.Close()
		}()
		if _, err := c.try("GET", "/api/firmware", ""); err == nil {
			t.Error("no error although the appliance was closed")
		}
		if _, err := c.try("GET", "/api/firmware", ""); !errors.Is(err, syscall.ECONNREFUSED) {
			t.Errorf("error %v from a closed appliance, want a refused connection", err)
		}
		var got []bool
		for _, r := range a.Journal() {
			got = append(got, r.Executed)
		}
		if diff := cmp.Diff([]bool{true, false, false}, got); diff != "" {
			t.Errorf("executed (-want +got):\n%s", diff)
		}
	})
}

func TestHandlerHasNoConnectionFaults(t *testing.T) {
	t.Parallel()
	a := newInProcess(t)
	a.Inject(spstest.Fault{CutAfter: true, Times: -1, MayMiss: true})
	a.Inject(spstest.Fault{Status: 503})
	for _, want := range []int{503, 200} {
		w := httptest.NewRecorder()
		a.Handler().ServeHTTP(w, httptest.NewRequestWithContext(t.Context(), "GET", "/api/info", http.NoBody))
		if w.Code != want {
			t.Errorf("status %d, want %d", w.Code, want)
		}
	}
}

func TestInjectRefuses(t *testing.T) {
	t.Parallel()
	for _, test := range []struct {
		fault spstest.Fault
		want  string
	}{
		{spstest.Fault{Path: "firmware/[", Status: 503}, `the path "firmware/[" is not a valid pattern`},
		{spstest.Fault{Path: "firmware[/**", Status: 503}, `the path "firmware[/**" is not a valid pattern`},
		{spstest.Fault{Path: "**/slots", Status: 503}, `the path "**/slots" has a ** that is not its last segment`},
		{spstest.Fault{Path: "firmware**", Status: 503}, `the path "firmware**" has a ** that is not its last segment`},
		{spstest.Fault{Path: "firmwares", Status: 503}, `no endpoint of the appliance has the path "firmwares", see Implemented`},
		{spstest.Fault{Path: "/api/firmware/slot/*", Status: 503}, `no endpoint of the appliance has the path "firmware/slot/*"`},
		{spstest.Fault{Path: "firmware/slots/1/image", Status: 503}, `no endpoint of the appliance has the path "firmware/slots/1/image"`},
		{spstest.Fault{Path: "firmware/slots/1/image/**", Status: 503}, `no endpoint of the appliance has the path "firmware/slots/1/image/**"`},
		{spstest.Fault{Path: "firmware//slots", Status: 503}, `no endpoint of the appliance has the path "firmware//slots"`},
		{spstest.Fault{Path: "firmware/slots?limit=1", Status: 503}, `no endpoint of the appliance has the path "firmware/slots?limit=1"`},
		{spstest.Fault{Path: "configuration/management/mail", Status: 503}, `no endpoint of the appliance has the path "configuration/management/mail"`},
		{spstest.Fault{Method: "get", Path: "info", Status: 503}, `unknown method "get": want one of DELETE, GET,`},
		{spstest.Fault{Method: "FETCH", Status: 503}, `unknown method "FETCH"`},
		{spstest.Fault{CutBefore: true, Status: 503}, "refuse and cut-before send no response"},
		{spstest.Fault{Path: "moon/[", Status: 503, Unimplemented: true}, `the path "moon/[" is not a valid pattern`},
		{spstest.Fault{Method: "put", Path: "moon", Status: 503, Unimplemented: true}, `unknown method "put"`},
		{spstest.Fault{Status: 503, Mutate: func(b []byte) []byte { return b }}, "mutate changes the response of the executed request"},
		{spstest.Fault{Body: "{}"}, "body=, content-type= and execute need status="},
	} {
		want := fmt.Sprintf("spstest: fault %q: %s", test.fault, test.want)
		var of failing
		spstest.NewServer(&of).Inject(test.fault)
		of.end()
		err := startError(spstest.WithFaults(test.fault))
		got := map[string]string{
			"in a test": of.message,
			"elsewhere": fmt.Sprint(panicOf(func() { inNoTest(t).Inject(test.fault) })),
			"an option": fmt.Sprint(err),
		}
		for how, message := range got {
			if !strings.HasPrefix(message, want) {
				t.Errorf("%s: %s, want %s", how, message, want)
			}
		}
		if len(of.errors) > 0 {
			t.Errorf("a refused fault is reported as missed: %q", of.errors)
		}
	}
}

// inNoTest returns an appliance that was created without a test, so that its methods
// panic.
func inNoTest(t *testing.T) *spstest.Appliance {
	t.Helper()
	a := spstest.NewServer(nil, spstest.WithoutListener())
	t.Cleanup(a.Close)
	return a
}

// panicOf calls a function and returns the value of its panic.
func panicOf(f func()) (value any) {
	defer func() { value = recover() }()
	f()
	return nil
}

func TestInjectAccepts(t *testing.T) {
	t.Parallel()
	a := newInProcess(t)
	a.SetConfiguration("ssh/options", json.RawMessage(`{"timeout":1}`))
	for _, path := range []string{
		"", "**", "/api/info", "/firmware/slots/", "*", "firmware/**", "firmware/slots/1/**", "firmware/slots/[1-5]", "f*/sl?ts",
		"configuration", "configuration/policies", "configuration/*/email", "configuration/trust_stores/of-tomorrow",
		"configuration/ssh", "configuration/ssh/options", "audit/sessions/*/audit_trail",
	} {
		a.Inject(spstest.Fault{Path: path, Status: 503, MayMiss: true})
	}
	a.ClearFaults()
	a.Inject(spstest.Fault{Path: "moon/*", Status: 200, Body: `{"full":true}`, Unimplemented: true})
	wantJSON(t, `{"full":true}`, inProcess(t, a).want(200, "GET", "/api/moon/1", "").raw)
}

func TestMissedFaults(t *testing.T) {
	t.Parallel()
	var of failing
	a := spstest.NewServer(&of)
	for _, f := range []spstest.Fault{
		{Path: "firmware", Status: 503},
		{Path: "firmware/slots", Status: 502, Skip: 2},
		{Path: "setup", Delay: 1},
		{Path: "setup", Status: 500},
		{Path: "firmware/fetch", Status: 500, MayMiss: true},
		{Path: "firmware/test", Skip: 3}, // a fault that changes nothing is not missed
		{Path: "info", Status: 500, Times: 7},
	} {
		a.Inject(f)
	}
	c := inProcess(t, a).logIn("admin", "a")
	c.want(200, "GET", "/api/firmware/slots", "")
	c.want(200, "GET", "/api/firmware/slots", "")
	c.want(500, "GET", "/api/info", "") // Times is seven; a fault that applied once is not missed
	c.want(200, "GET", "/api/setup", "")
	c.want(500, "GET", "/api/setup", "")
	a.ClearFaults()
	a.Inject(spstest.Fault{Method: "PUT", Path: "transaction", CutAfter: true})
	a.Inject(spstest.Fault{Path: "info", Status: 400, Body: strings.Repeat("ű", 200)})

	var missed []string
	for _, f := range a.MissedFaults() {
		missed = append(missed, f.String())
	}
	if diff := cmp.Diff([]string{"firmware status=503", "firmware/slots skip=2 status=502", "PUT transaction cut-after", "info status=400 body=" + strings.Repeat("ű", 200)}, missed); diff != "" {
		t.Errorf("missed (-want +got):\n%s", diff)
	}
	of.end()
	for i, want := range []string{
		`^spstest: fault "firmware status=503" from faults_test.go:\d+ never applied to a request: no request matched; set MayMiss if this is permitted$`,
		`^spstest: fault "firmware/slots skip=2 status=502" from faults_test.go:\d+ never applied to a request: 2 requests matched, and Skip is 2; `,
		`^spstest: fault "PUT transaction cut-after" from faults_test.go:\d+ never applied to a request: no request matched; `,
		`^spstest: fault "info status=400 body=ű{79}…" from `,
	} {
		if i >= len(of.errors) || !regexp.MustCompile(want).MatchString(of.errors[i]) {
			t.Errorf("errors %q, want the %dth to be %s", of.errors, i+1, want)
		}
	}
	if len(of.errors) != 4 || of.message != "" {
		t.Errorf("errors %q, message %q", of.errors, of.message)
	}
}

func TestFaultsFromTheStart(t *testing.T) {
	t.Parallel()
	// The options can have any order: here the state adds the endpoint of the fault.
	before := inNoTest(t)
	before.SetConfiguration("ssh/options", json.RawMessage(`{"timeout":1}`))
	var of failing
	a := spstest.NewServer(&of, spstest.WithoutListener(),
		spstest.WithFaults(spstest.Fault{Path: "configuration/ssh/options", Status: 503}, spstest.Fault{Path: "setup", Status: 500}),
		spstest.WithTakes("", "configuration/ssh/options", time.Nanosecond),
		spstest.WithState(before.State()))
	a.SetPassword("admin", "a")
	inProcess(t, a).logIn("admin", "a").want(503, "GET", "/api/configuration/ssh/options", "")
	of.end()
	if diff := cmp.Diff([]string{`spstest: fault "setup status=500" never applied to a request: no request matched; set MayMiss if this is permitted`}, of.errors); diff != "" {
		t.Errorf("errors (-want +got):\n%s", diff)
	}
}
