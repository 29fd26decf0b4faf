package spstest_test

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/go-sps/sps/spstest"
)

const (
	transactionURL = "/api/transaction"
	commitBody     = `{"status":"commit"}`
	long           = 12 * time.Second
)

// meanwhile is a request that is running in the background.
type meanwhile struct {
	status int
	err    error
	took   time.Duration
	done   chan struct{}
}

// begin sends a request in the background and returns when the request is running.
func (c *client) begin(method, path, body string) *meanwhile {
	m := &meanwhile{done: make(chan struct{})}
	began := time.Now()
	go func() {
		defer close(m.done)
		var r response
		r, m.err = c.try(method, path, body)
		m.status, m.took = r.status, time.Since(began)
	}()
	synctest.Wait()
	return m
}

// ended waits for the end of the request and checks its status code and duration.
func (m *meanwhile) ended(t *testing.T, status int, took time.Duration) {
	t.Helper()
	<-m.done
	if m.err != nil || m.status != status || m.took != took {
		t.Errorf("status %d after %v, error %v; want %d after %v", m.status, m.took, m.err, status, took)
	}
}

// within returns a client of the same session whose requests have a timeout.
func (c *client) within(d time.Duration) *client {
	short := *c
	short.transport = roundTripper(func(req *http.Request) (*http.Response, error) {
		ctx, cancel := context.WithTimeout(req.Context(), d)
		defer cancel()
		return c.transport.RoundTrip(req.WithContext(ctx))
	})
	return &short
}

type roundTripper func(*http.Request) (*http.Response, error)

func (f roundTripper) RoundTrip(req *http.Request) (*http.Response, error) { return f(req) }

// zoneIs checks the committed time zone.
func zoneIs(t *testing.T, a *spstest.Appliance, want string) {
	t.Helper()
	got, _ := a.Configuration("datetime/timezone")
	if diff := cmp.Diff(`"`+want+`"`, string(got)); diff != "" {
		t.Errorf("committed time zone (-want +got):\n%s", diff)
	}
}

func statusOf(t *testing.T, c *client) any {
	t.Helper()
	return c.want(200, "GET", transactionURL, "").body["body"].(map[string]any)["status"]
}

// idle waits until no request is running.
func idle(t *testing.T, a *spstest.Appliance) {
	t.Helper()
	if err := a.WaitIdle(t.Context()); err != nil || a.Busy() != 0 {
		t.Errorf("error %v, busy %d", err, a.Busy())
	}
}

func TestCommitTakesTime(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		a := newInProcess(t, spstest.WithUser("other", "b"), spstest.WithTakes("PUT", "transaction", long))
		c, other := inProcess(t, a).logIn("admin", "a"), inProcess(t, a).logIn("other", "b")
		c.want(200, "PUT", timezone, `"UTC"`)
		commit := c.begin("PUT", transactionURL, commitBody)
		time.Sleep(long - time.Nanosecond)
		if got := statusOf(t, c); got != "open" || a.LockedBy() != "admin" || !a.TransactionOpen() || a.Busy() != 1 || len(a.Commits()) != 0 {
			t.Errorf("status %v, locked by %q, busy %d, commits %v", got, a.LockedBy(), a.Busy(), a.Commits())
		}
		zoneIs(t, a, "America/New_York")
		wantError(t, other.do("POST", transactionURL, ""), 403, "OpenTransactionError", nil)
		if r := a.Journal(); r[3].Executed || !r[3].Running || r[3].Status != 0 {
			t.Errorf("journal while the request is running: %+v", r[3])
		}
		commit.ended(t, 200, long)
		if got := statusOf(t, c); got != "closed" || a.LockedBy() != "" || a.TransactionOpen() || a.Busy() != 0 || len(a.Commits()) != 1 {
			t.Errorf("status %v, locked by %q, busy %d, commits %v", got, a.LockedBy(), a.Busy(), a.Commits())
		}
		zoneIs(t, a, "UTC")
		if r := a.Journal(); !r[3].Executed || r[3].Running || r[3].Status != 200 || r[3].Duration != long {
			t.Errorf("journal: %+v", r[3])
		}
	})
}

func TestRefusedCommitTakesNoTime(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		a := newInProcess(t, spstest.WithTakes("PUT", "transaction", long))
		c := inProcess(t, a).logIn("admin", "a")
		name := c.want(200, "GET", audit, "").body["items"].([]any)[0].(map[string]any)["body"].(map[string]any)["name"].(string)
		c.want(201, "POST", audit, `{"name":"`+name+`"}`)
		for body, kind := range map[string]string{commitBody: "SemanticError", "{}": "IncompleteRequestBodyError", "[": "InvalidRequestBody"} {
			m := c.begin("PUT", transactionURL, body)
			m.ended(t, 400, 0)
			if got, _ := c.do("PUT", transactionURL, body).errorOf(); got != kind {
				t.Errorf("%s: %s, want %s", body, got, kind)
			}
		}
		if a.Busy() != 0 || !a.TransactionOpen() {
			t.Errorf("busy %d, open %t", a.Busy(), a.TransactionOpen())
		}
	})
}

// TestRequestOutlivesItsClient checks that a slow request takes effect when its duration is
// over, even if its client has disconnected before.
func TestRequestOutlivesItsClient(t *testing.T) {
	t.Parallel()
	for _, test := range []struct {
		name, method, path, body string
		staged                   bool // stage a change first
		began                    func(a *spstest.Appliance) bool
	}{
		{"commit", "PUT", transactionURL, commitBody, true, func(a *spstest.Appliance) bool { return len(a.Commits()) == 1 }},
		{"step", "PUT", timezone, `"UTC"`, false, func(a *spstest.Appliance) bool { return a.LockedBy() == "admin" }},
		{"rollback", "DELETE", transactionURL, "", true, func(a *spstest.Appliance) bool { return !a.TransactionOpen() }},
		{"opening", "POST", transactionURL, "", false, func(a *spstest.Appliance) bool { return a.TransactionOpen() }},
		{"join", "POST", join, joinBody, false, func(a *spstest.Appliance) bool { return a.Starling().Joined }},
		{"slot", "DELETE", "/api/firmware/slots/4", "", false, func(a *spstest.Appliance) bool { return a.Slots()[3].Version == "" }},
		{"upload", "POST", "/api/upload/firmware", "SPS-FIRMWARE 8.1.0\n", false, func(a *spstest.Appliance) bool { return len(a.Uploads()) == 1 }},
		{"upgrade", "POST", "/api/firmware/upgrade", `{"slot_id":2,"message":null}`, false, func(a *spstest.Appliance) bool { return a.Restarts() == 1 }},
		{"log-out", "DELETE", "/api/authentication", "", false, func(a *spstest.Appliance) bool { return a.Sessions() == 0 }},
	} {
		t.Run(test.name, func(t *testing.T) {
			t.Parallel()
			synctest.Test(t, func(t *testing.T) {
				a := newInProcess(t, spstest.WithBundlePolls(0))
				c := inProcess(t, a).logIn("admin", "a")
				if test.staged {
					c.want(200, "PUT", timezone, `"UTC"`)
				}
				a.ResetJournal()
				a.Inject(spstest.Fault{Takes: long})
				if _, err := c.within(2*time.Second).try(test.method, test.path, test.body); !errors.Is(err, context.DeadlineExceeded) {
					t.Fatalf("error %v, want DeadlineExceeded", err)
				}
				if r := a.Journal()[0]; test.began(a) || a.Busy() != 1 || !r.Running || r.Executed || r.Status != 0 || r.Duration != 2*time.Second {
					t.Errorf("after 2s: effect %t, busy %d, journal %+v", test.began(a), a.Busy(), r)
				}
				began := time.Now()
				idle(t, a)
				if r := a.Journal()[0]; !test.began(a) || r.Running || !r.Executed || r.Status != 0 || time.Since(began) != long-2*time.Second {
					t.Errorf("after %v: effect %t, journal %+v", 2*time.Second+time.Since(began), test.began(a), r)
				}
			})
		})
	}
}

// TestSessionEndsDuringRequest checks the effect of a commit or a change whose session or
// transaction ends during its execution.
func TestSessionEndsDuringRequest(t *testing.T) {
	t.Parallel()
	logOut := func(c *client) { c.want(200, "DELETE", "/api/authentication", "") }
	for _, test := range []struct {
		name, method, path, body string
		meanwhile                func(c *client)
		status                   int
		zone                     string
	}{
		{"commit", "PUT", transactionURL, commitBody, logOut, 200, "UTC"},
		{"step", "PUT", timezone, `"Asia/Tokyo"`, logOut, 401, "America/New_York"},
		{"step, rolled back", "PUT", timezone, `"Asia/Tokyo"`, func(c *client) { c.want(200, "DELETE", transactionURL, "") }, 409, "America/New_York"},
		{"step, committed", "PUT", timezone, `"Asia/Tokyo"`, func(c *client) { c.want(200, "PUT", transactionURL, commitBody) }, 409, "UTC"},
	} {
		t.Run(test.name, func(t *testing.T) {
			t.Parallel()
			synctest.Test(t, func(t *testing.T) {
				a := newInProcess(t)
				c := inProcess(t, a).logIn("admin", "a")
				c.want(200, "PUT", timezone, `"UTC"`)
				a.Inject(spstest.Fault{Takes: long})
				m := c.begin(test.method, test.path, test.body)
				test.meanwhile(c)
				time.Sleep(long - time.Nanosecond)
				if got := a.LockedBy(); got != "admin" {
					t.Errorf("locked by %q before the end", got)
				}
				m.ended(t, test.status, long)
				if a.LockedBy() != "" || a.TransactionOpen() {
					t.Errorf("locked by %q, open %t after the end", a.LockedBy(), a.TransactionOpen())
				}
				zoneIs(t, a, test.zone)
			})
		})
	}
}

func TestSessionExpiresDuringRequest(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		a := newInProcess(t, spstest.WithSessionLifetime(10*time.Second), spstest.WithTakes("PUT", "transaction", time.Minute))
		c := inProcess(t, a).logIn("admin", "a")
		c.want(200, "PUT", timezone, `"UTC"`)
		m := c.begin("PUT", transactionURL, commitBody)
		time.Sleep(30 * time.Second)
		if a.Sessions() != 0 || a.LockedBy() != "admin" || !a.TransactionOpen() {
			t.Errorf("sessions %d, locked by %q, open %t", a.Sessions(), a.LockedBy(), a.TransactionOpen())
		}
		m.ended(t, 200, time.Minute)
		zoneIs(t, a, "UTC")
	})
}

func TestLostAnswers(t *testing.T) {
	t.Parallel()
	for rule, want := range map[string]struct {
		status int // 0 means that the connection is cut
		after  time.Duration
	}{
		"PUT transaction cut-after":                                      {0, 0},
		"PUT transaction takes=12s cut-after":                            {0, long},
		"PUT transaction takes=12s cut-after detached":                   {0, 0},
		"PUT transaction takes=12s cut-after detached delay=3s":          {0, 3 * time.Second},
		"PUT transaction takes=12s status=504 detached":                  {504, 0},
		"PUT transaction takes=12s status=504 execute":                   {504, long},
		"PUT transaction takes=90s status=504 detached answer-delay=60s": {504, time.Minute},
		"PUT transaction takes=12s answer-delay=60s":                     {200, long + time.Minute},
		"PUT transaction answer-delay=60s":                               {200, time.Minute},
		"PUT transaction cut-after answer-delay=60s":                     {0, time.Minute},
		"PUT transaction status=502 execute answer-delay=60s":            {502, time.Minute},
	} {
		t.Run(rule, func(t *testing.T) {
			t.Parallel()
			synctest.Test(t, func(t *testing.T) {
				a := newInProcess(t)
				c := inProcess(t, a).logIn("admin", "a")
				c.want(200, "PUT", timezone, `"UTC"`)
				fault, err := spstest.ParseFault(rule)
				if err != nil {
					t.Fatal(err)
				}
				a.Inject(fault)
				began := time.Now()
				r, err := c.try("PUT", transactionURL, commitBody)
				if r.status != want.status || (want.status == 0) != errors.Is(err, io.ErrUnexpectedEOF) || time.Since(began) != want.after {
					t.Errorf("status %d, error %v after %v, want %+v", r.status, err, time.Since(began), want)
				}
				idle(t, a)
				zoneIs(t, a, "UTC")
				journal := a.Journal()
				if last := journal[len(journal)-1]; !last.Executed || last.Running || last.Status != want.status || last.Session != "s1" {
					t.Errorf("journal %+v", last)
				}
			})
		})
	}
}

// TestTakesFollowsTheClock checks that the duration of a request follows the clock of
// WithClock, which the test sets by hand.
func TestTakesFollowsTheClock(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		var mu sync.Mutex
		now := time.Date(2024, 5, 6, 7, 8, 9, 0, time.UTC)
		a := newInProcess(t, spstest.WithClock(func() time.Time { mu.Lock(); defer mu.Unlock(); return now }), spstest.WithTakes("", "transaction", long))
		move := func(d time.Duration) { mu.Lock(); defer mu.Unlock(); now = now.Add(d) }
		c := inProcess(t, a).logIn("admin", "a")
		c.want(200, "PUT", timezone, `"UTC"`)
		commit := c.begin("PUT", transactionURL, commitBody)
		time.Sleep(time.Hour) // does not move the appliance's clock
		move(long - 1)
		if a.Busy() != 1 || !a.TransactionOpen() {
			t.Errorf("busy %d, open %t before the end", a.Busy(), a.TransactionOpen())
		}
		move(1)
		zoneIs(t, a, "UTC") // this method call executes the overdue commit
		<-commit.done
		if r := a.Journal()[2]; commit.status != 200 || r.Duration != long {
			t.Errorf("status %d, journal %+v", commit.status, r)
		}
	})
}

func TestTakesRules(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		a := newInProcess(t, spstest.WithTakes("", "firmware/**", 2*time.Second))
		c := inProcess(t, a).logIn("admin", "a")
		took := func(method, path string) time.Duration {
			began := time.Now()
			c.do(method, path, "")
			return time.Since(began)
		}
		a.SetTakes("GET", "/api/firmware/slots", 3*time.Second)
		got := []time.Duration{took("GET", "/api/firmware"), took("GET", "/api/firmware/slots"), took("GET", "/api/info")}
		a.Inject(spstest.Fault{Takes: time.Second})
		got = append(got, took("GET", "/api/firmware/slots"))
		a.SetTakes("GET", "firmware/slots", 0)
		got = append(got, took("GET", "/api/firmware/slots"), took("POST", "/api/firmware/slots"))
		a.SetTakes("", "firmware/**", 0)
		got = append(got, took("GET", "/api/firmware/slots"))
		for i := range got {
			got[i] /= time.Second
		}
		if diff := cmp.Diff([]time.Duration{2, 3, 0, 1, 2, 0, 0}, got); diff != "" {
			t.Errorf("seconds (-want +got):\n%s", diff)
		}
	})
	for name, test := range map[string]struct {
		method, glob string
		takes        time.Duration
		want         string
	}{
		"method":  {"get", "**", 1, `unknown method "get"`},
		"pattern": {"GET", "[", 1, `the path "[" is not a valid pattern`},
		"path":    {"GET", "firmwares", 1, `no endpoint of the appliance has the path "firmwares"`},
		"time":    {"GET", "**", -1, "the time -1ns is negative"},
	} {
		if err := startError(spstest.WithTakes(test.method, test.glob, test.takes)); err == nil || !strings.HasPrefix(err.Error(), "spstest: WithTakes: "+test.want) {
			t.Errorf("%s: error %v, want %s", name, err, test.want)
		}
		var of failing
		spstest.NewServer(&of).SetTakes(test.method, test.glob, test.takes)
		of.end()
		for how, message := range map[string]string{
			"in a test": of.message,
			"elsewhere": fmt.Sprint(panicOf(func() { inNoTest(t).SetTakes(test.method, test.glob, test.takes) })),
		} {
			if !strings.HasPrefix(message, "spstest: SetTakes: "+test.want) {
				t.Errorf("%s, %s: %s, want %s", name, how, message, test.want)
			}
		}
	}
}

// TestCloseDuringRequest checks that Close cuts the connection of a running request, and that
// the request still has its effect.
func TestCloseDuringRequest(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		a := newInProcess(t, spstest.WithTakes("PUT", "transaction", long))
		c := inProcess(t, a).logIn("admin", "a")
		c.want(200, "PUT", timezone, `"UTC"`)
		m := c.begin("PUT", transactionURL, commitBody)
		waited := make(chan error)
		go func() { waited <- a.WaitIdle(context.Background()) }()
		synctest.Wait()
		a.Close()
		<-m.done
		if err := <-waited; m.err == nil || err == nil {
			t.Errorf("errors %v and %v after the appliance was closed", m.err, err)
		}
		ctx, cancel := context.WithTimeout(t.Context(), 0)
		defer cancel()
		if err := a.WaitIdle(ctx); err == nil || a.Busy() != 1 {
			t.Errorf("error %v, busy %d", err, a.Busy())
		}
		time.Sleep(long)
		zoneIs(t, a, "UTC") // the commit had its effect
	})
	synctest.Test(t, func(t *testing.T) {
		a := newInProcess(t, spstest.WithTakes("", "**", long))
		ctx, cancel := context.WithTimeout(t.Context(), time.Second)
		defer cancel()
		inProcess(t, a).begin("GET", "/api/info", "")
		if err := a.WaitIdle(ctx); !errors.Is(err, context.DeadlineExceeded) {
			t.Errorf("error %v, want DeadlineExceeded", err)
		}
		a.Close()
	})
}

func TestRestartDuringRequest(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		a := newInProcess(t, spstest.WithTakes("PUT", "transaction", long), spstest.WithRestart(spstest.Restart{}))
		c := inProcess(t, a).logIn("admin", "a")
		c.want(200, "PUT", timezone, `"UTC"`)
		m := c.begin("PUT", transactionURL, commitBody)
		a.Restart()
		<-m.done
		if m.err == nil || a.Busy() != 0 || a.LockedBy() != "" {
			t.Errorf("error %v, busy %d, locked by %q", m.err, a.Busy(), a.LockedBy())
		}
		time.Sleep(2 * long)
		zoneIs(t, a, "America/New_York")
	})
}

// TestTakesOverTLS checks that a request over TLS continues after its client has
// disconnected.
func TestTakesOverTLS(t *testing.T) {
	t.Parallel()
	a := spstest.NewServer(t)
	c := overTLS(t, a).logIn("admin", "a")
	c.want(200, "PUT", timezone, `"UTC"`)
	a.Inject(spstest.Fault{Method: "PUT", Takes: 50 * time.Millisecond})
	if _, err := c.within(10*time.Millisecond).try("PUT", transactionURL, commitBody); err == nil {
		t.Log("the client got the response before its timeout")
	}
	idle(t, a)
	if len(a.Commits()) == 0 { // the client disconnected before its request arrived
		c.want(200, "PUT", transactionURL, commitBody)
	}
	zoneIs(t, a, "UTC")
	a.Inject(spstest.Fault{Takes: time.Hour, CutAfter: true, Detached: true})
	if _, err := c.try("POST", transactionURL, ""); err == nil {
		t.Error("no error although the connection was cut")
	}
	if a.Busy() != 1 || a.TransactionOpen() {
		t.Errorf("busy %d, open %t", a.Busy(), a.TransactionOpen())
	}
}

// TestBusySession checks whether another request of a session is answered, waits or is
// refused while the session executes a change or a commit. The variants determine this.
func TestBusySession(t *testing.T) {
	t.Parallel()
	type want struct {
		status int
		waits  bool
	}
	at := func(status int) want { return want{status, false} }
	after := func(status int) want { return want{status, true} }
	for _, test := range []struct {
		variants                    string
		running                     string // the running request: "commit", or "step" for a change
		get, put, rollback, logOut2 want
	}{
		{"", "step", at(200), at(200), at(200), at(200)},
		{"", "commit", at(200), after(200), after(200), at(200)},
		{"busy-session=wait", "step", after(200), after(200), after(200), after(200)},
		{"busy-session=wait", "commit", after(200), after(200), after(200), after(200)},
		{"busy-session=409:Busy", "step", at(409), at(409), at(409), at(409)},
		{"busy-session=409:Busy", "commit", at(409), at(409), at(409), at(409)},
		{"rollback-closed=404:ResourceNotFound", "commit", at(200), after(200), after(404), at(200)},
		{"rollback-during-commit=answered", "step", at(200), at(200), at(200), at(200)},
		{"rollback-during-commit=answered", "commit", at(200), after(200), at(200), at(200)},
		{"rollback-during-commit=403:ForbiddenActionError", "commit", at(200), after(200), at(403), at(200)},
		{"rollback-during-commit=409:Conflict", "commit", at(200), after(200), at(409), at(200)},
		{"rollback-during-commit=409:Conflict busy-session=wait", "commit", after(200), after(200), at(409), after(200)},
		{"rollback-during-commit=answered busy-session=409:Busy", "commit", at(409), at(409), at(200), at(409)},
	} {
		requests := map[string]struct {
			method, path, body string
			want               want
		}{
			"get":      {"GET", email, "", test.get},
			"put":      {"PUT", email, emailBody, test.put},
			"rollback": {"DELETE", transactionURL, "", test.rollback},
			"log-out":  {"DELETE", "/api/authentication", "", test.logOut2},
		}
		for name, request := range requests {
			t.Run(strings.Join([]string{test.variants, test.running, name}, " "), func(t *testing.T) {
				t.Parallel()
				synctest.Test(t, func(t *testing.T) {
					a := newInProcess(t, variants(t, strings.Fields(test.variants)...)...)
					c := inProcess(t, a).logIn("admin", "a")
					c.want(200, "PUT", timezone, `"UTC"`)
					a.Inject(spstest.Fault{Takes: long})
					var running *meanwhile
					if test.running == "commit" {
						running = c.begin("PUT", transactionURL, commitBody)
					} else {
						running = c.begin("PUT", timezone, `"Asia/Tokyo"`)
					}
					time.Sleep(time.Second)
					other := c.begin(request.method, request.path, request.body)
					took := time.Duration(0)
					if request.want.waits {
						took = long - time.Second
					}
					if busy := a.Busy(); (busy == 2) != request.want.waits {
						t.Errorf("busy %d", busy)
					}
					other.ended(t, request.want.status, took)
					<-running.done
					if test.running == "commit" {
						zoneIs(t, a, "UTC")
						if running.status != 200 {
							t.Errorf("commit: status %d", running.status)
						}
					}
				})
			})
		}
	}
}

// TestWaitingClientLeaves checks that a rollback that waits for a commit is executed
// although its client has disconnected.
func TestWaitingClientLeaves(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		a := newInProcess(t, spstest.WithTakes("PUT", "transaction", long))
		c := inProcess(t, a).logIn("admin", "a")
		c.want(200, "PUT", timezone, `"UTC"`)
		commit := c.begin("PUT", transactionURL, commitBody)
		if _, err := c.within(time.Second).try("DELETE", transactionURL, ""); !errors.Is(err, context.DeadlineExceeded) {
			t.Errorf("error %v, want DeadlineExceeded", err)
		}
		idle(t, a)
		commit.ended(t, 200, long)
		if r := a.Journal()[3]; r.Method != "DELETE" || !r.Executed || r.Running || r.Status != 0 {
			t.Errorf("journal %+v", r)
		}
		zoneIs(t, a, "UTC")
	})
}

// TestSessionEndsWhileWaiting checks that a request whose session ends while it waits
// has no effect.
func TestSessionEndsWhileWaiting(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		a := newInProcess(t, spstest.WithTakes("PUT", "transaction", long))
		c := inProcess(t, a).logIn("admin", "a")
		c.want(http.StatusOK, "POST", transactionURL, "")
		commit := c.begin("PUT", transactionURL, commitBody)
		waiting := c.begin("POST", transactionURL, "")
		c.want(http.StatusOK, "DELETE", "/api/authentication", "")
		commit.ended(t, http.StatusOK, long)
		waiting.ended(t, http.StatusUnauthorized, long)
		if a.TransactionOpen() || a.LockedBy() != "" {
			t.Errorf("a transaction is open: %t; the lock is held by %q", a.TransactionOpen(), a.LockedBy())
		}
	})
}

func TestLockTakenByTheCommit(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		a := newInProcess(t, append(variants(t, "lock-taken=commit", "lock-error-names-user=yes"), spstest.WithUser("other", "b"))...)
		c, other := inProcess(t, a).logIn("admin", "a"), inProcess(t, a).logIn("other", "b")
		refusedBy := func(r response, holder string) {
			t.Helper()
			wantError(t, r, 403, "OpenTransactionError", nil)
			if message := r.body["error"].(map[string]any)["message"]; message != "The configuration is locked by "+holder {
				t.Errorf("message %q", message)
			}
		}
		// Two sessions stage changes, and the commit of each keeps the changes of the other.
		other.want(200, "POST", transactionURL, "")
		key := other.want(201, "POST", audit, `{"name":"theirs"}`).body["key"].(string)
		other.want(200, "PUT", email, emailBody)
		c.want(200, "POST", transactionURL, "")
		c.want(200, "PUT", timezone, `"UTC"`)
		mine := c.want(201, "POST", audit, `{"name":"mine"}`).body["key"].(string)
		if got := a.LockedBy(); got != "" {
			t.Errorf("locked by %q while changes are staged", got)
		}
		release := a.LockConfiguration("web UI")
		refusedBy(c.do("PUT", transactionURL, commitBody), "web UI")
		release()
		a.Inject(spstest.Fault{Method: "PUT", Takes: long})
		commit := c.begin("PUT", transactionURL, commitBody)
		if got := a.LockedBy(); got != "admin" {
			t.Errorf("locked by %q while a commit is running", got)
		}
		refusedBy(other.do("PUT", transactionURL, commitBody), "admin")
		other.want(200, "PUT", email, emailBody) // this session can still stage changes
		commit.ended(t, 200, long)
		if got := a.LockedBy(); got != "" {
			t.Errorf("locked by %q after the commit", got)
		}
		other.want(200, "PUT", transactionURL, commitBody)
		zoneIs(t, a, "UTC")
		for _, key := range []string{key, mine} {
			if _, ok := a.Configuration("policies/audit_policies/" + key); !ok {
				t.Errorf("the policy %s is lost", key)
			}
		}
		// A committed deletion keeps the other objects.
		c.want(200, "DELETE", audit+"/"+mine, "")
		other.want(200, "PUT", timezone, `"Asia/Tokyo"`)
		other.want(200, "PUT", transactionURL, commitBody)
		c.want(200, "PUT", transactionURL, commitBody)
		c.want(404, "GET", audit+"/"+mine, "")
		zoneIs(t, a, "Asia/Tokyo")
	})
}

func TestLockErrorNamesTheUser(t *testing.T) {
	t.Parallel()
	for variant, want := range map[string]string{
		"lock-error-names-user=no":  "The configuration is locked by another user",
		"lock-error-names-user=yes": "The configuration is locked by admin",
	} {
		a := newInProcess(t, variants(t, variant)...)
		c, other := inProcess(t, a).logIn("admin", "a"), inProcess(t, a).logIn("admin", "a")
		c.want(200, "POST", transactionURL, "")
		got := other.want(403, "POST", transactionURL, "").body["error"].(map[string]any)["message"]
		if diff := cmp.Diff(any(want), got); diff != "" {
			t.Errorf("%s (-want +got):\n%s", variant, diff)
		}
	}
}

func TestChangeWithoutTransaction(t *testing.T) {
	t.Parallel()
	for _, test := range []struct {
		profile, variant string
		status           int
		kind             string
	}{
		{"6.0", "", 409, "Conflict"},
		{"8.0", "", 200, ""},
		{"6.0", "opens", 200, ""},
		{"8.0", "409:Conflict", 409, "Conflict"},
		{"8.0", "403:ForbiddenActionError", 403, "ForbiddenActionError"},
	} {
		options := []spstest.Option{spstest.WithProfile(test.profile)}
		if test.variant != "" {
			options = append(options, spstest.WithVariant("no-transaction", test.variant))
		}
		a := newInProcess(t, options...)
		r := inProcess(t, a).logIn("admin", "a").want(test.status, "PUT", timezone, `"UTC"`)
		if kind, _ := r.errorOf(); kind != test.kind || a.TransactionOpen() != (test.kind == "") {
			t.Errorf("%s %s: %s, open %t", test.profile, test.variant, kind, a.TransactionOpen())
		}
	}
}

// TestJoinWhileOpen checks whether a join and an unjoin are refused while a transaction
// is open or is being committed.
func TestJoinWhileOpen(t *testing.T) {
	t.Parallel()
	for variant, want := range map[string][4]int{ // the statuses with an open transaction of the own session, of another session, during a commit, and without a transaction
		"join-open=anybody":        {403, 403, 403, 200},
		"join-open=own":            {403, 200, 200, 200},
		"starling-unjoin-open=200": {403, 403, 403, 200},
	} {
		for _, method := range []string{"POST", "DELETE"} {
			t.Run(variant+" "+method, func(t *testing.T) {
				t.Parallel()
				synctest.Test(t, func(t *testing.T) {
					a := newInProcess(t, append(variants(t, variant), spstest.WithTakes("PUT", "transaction", long))...)
					c, other := inProcess(t, a).logIn("admin", "a"), inProcess(t, a).logIn("admin", "a")
					do := func(c *client) int {
						a.SetStarling(spstest.Starling{Joined: method == "DELETE"})
						body := ""
						if method == "POST" {
							body = joinBody
						}
						return c.do(method, join, body).status
					}
					c.want(200, "POST", transactionURL, "")
					got := [4]int{do(c), do(other)}
					commit := c.begin("PUT", transactionURL, commitBody)
					c.want(200, "DELETE", "/api/authentication", "")
					got[2] = do(other)
					<-commit.done
					got[3] = do(other)
					want := want
					if method == "DELETE" && variant == "starling-unjoin-open=200" {
						want = [4]int{200, 200, 200, 200}
					}
					if diff := cmp.Diff(want, got); diff != "" {
						t.Errorf("status (-want +got):\n%s", diff)
					}
				})
			})
		}
	}
}
