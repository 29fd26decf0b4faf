package spstest_test

import (
	"context"
	"errors"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
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
		Body                    string // contained
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
		{"other method", spstest.Fault{Method: "GET", Status: 503}, want{200, "application/json", "", `"meta"`, true}},
		{"other path", spstest.Fault{Path: "firmware/*", Status: 503}, want{200, "application/json", "", `"meta"`, true}},
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
				t.Errorf("answer (-want +got):\n%s", diff)
			}
			if a.TransactionOpen() != test.want.Executed {
				t.Errorf("executed: %t, want %t", a.TransactionOpen(), test.want.Executed)
			}
			c.want(200, "PUT", timezone, `"UTC"`) // once only
		})
	}
}

func TestFaultPathsAndTurns(t *testing.T) {
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
	a.Inject(spstest.Fault{Times: -1, Status: 503})
	a.ClearFaults()
	c.want(200, "GET", "/api/firmware", "")
}

func TestConnectionFaults(t *testing.T) {
	t.Parallel()
	for _, test := range []struct {
		name     string
		fault    spstest.Fault
		executed bool
		matches  func(error) bool // what RoundTrip gives
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
		t.Error("the session or its transaction lives on")
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
			t.Errorf("error %v, want the deadline's", err)
		}

		go func() {
			time.Sleep(time.Second)
			a.Close()
		}()
		if _, err := c.try("GET", "/api/firmware", ""); err == nil {
			t.Error("no error from an appliance that closed")
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
	a.Inject(spstest.Fault{CutAfter: true, Times: -1})
	a.Inject(spstest.Fault{Status: 503})
	for _, want := range []int{503, 200} {
		w := httptest.NewRecorder()
		a.Handler().ServeHTTP(w, httptest.NewRequestWithContext(t.Context(), "GET", "/api/info", http.NoBody))
		if w.Code != want {
			t.Errorf("status %d, want %d", w.Code, want)
		}
	}
}
