package spstest_test

import (
	"context"
	"errors"
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

// meanwhile is a request that goes on.
type meanwhile struct {
	status int
	err    error
	took   time.Duration
	done   chan struct{}
}

// begin sends a request and does not wait for its end, but until it goes on.
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

// ended waits for the end.
func (m *meanwhile) ended(t *testing.T, status int, took time.Duration) {
	t.Helper()
	<-m.done
	if m.err != nil || m.status != status || m.took != took {
		t.Errorf("status %d after %v, error %v; want %d after %v", m.status, m.took, m.err, status, took)
	}
}

// within is a client of the same session whose requests end after some time.
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

// idle waits until nothing goes on.
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
			t.Errorf("journal while it goes on: %+v", r[3])
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

// TestOutlivesItsClient lets the client of a request go before its end.
func TestOutlivesItsClient(t *testing.T) {
	t.Parallel()
	for _, test := range []struct {
		name, method, path, body string
		staged                   bool // there is a change before
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
					t.Fatalf("error %v, want the deadline's", err)
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

// TestSessionEndsMeanwhile ends the session, or the transaction, of what goes on.
func TestSessionEndsMeanwhile(t *testing.T) {
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
		{"step, rolled back", "PUT", timezone, `"Asia/Tokyo"`, func(c *client) { c.want(200, "DELETE", transactionURL, "") }, 403, "America/New_York"},
		{"step, committed", "PUT", timezone, `"Asia/Tokyo"`, func(c *client) { c.want(200, "PUT", transactionURL, commitBody) }, 403, "UTC"},
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

func TestSessionExpiresMeanwhile(t *testing.T) {
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
		status int // 0: the connection is cut
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

// TestTakesFollowsTheClock moves the clock by hand.
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
		time.Sleep(time.Hour) // not by the clock
		move(long - 1)
		if a.Busy() != 1 || !a.TransactionOpen() {
			t.Errorf("busy %d, open %t before the end", a.Busy(), a.TransactionOpen())
		}
		move(1)
		zoneIs(t, a, "UTC") // the look that lets it happen
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
		"pattern": {"GET", "[", 1, `the path "[" is no pattern`},
		"time":    {"GET", "**", -1, "the time -1ns is negative"},
	} {
		if _, err := spstest.New(spstest.WithTakes(test.method, test.glob, test.takes)); err == nil || !strings.HasPrefix(err.Error(), "spstest: WithTakes: "+test.want) {
			t.Errorf("%s: error %v, want %s", name, err, test.want)
		}
		func() {
			defer func() {
				if text, _ := recover().(string); !strings.HasPrefix(text, "spstest: SetTakes: "+test.want) {
					t.Errorf("%s: panic %q, want %s", name, text, test.want)
				}
			}()
			newInProcess(t).SetTakes(test.method, test.glob, test.takes)
		}()
	}
}

// TestCloseMeanwhile closes an appliance that executes something.
func TestCloseMeanwhile(t *testing.T) {
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
			t.Errorf("errors %v and %v of an appliance that was closed", m.err, err)
		}
		ctx, cancel := context.WithTimeout(t.Context(), 0)
		defer cancel()
		if err := a.WaitIdle(ctx); err == nil || a.Busy() != 1 {
			t.Errorf("error %v, busy %d", err, a.Busy())
		}
		time.Sleep(long)
		zoneIs(t, a, "UTC") // it went on
	})
	synctest.Test(t, func(t *testing.T) {
		a := newInProcess(t, spstest.WithTakes("", "**", long))
		ctx, cancel := context.WithTimeout(t.Context(), time.Second)
		defer cancel()
		inProcess(t, a).begin("GET", "/api/info", "")
		if err := a.WaitIdle(ctx); !errors.Is(err, context.DeadlineExceeded) {
			t.Errorf("error %v, want the deadline's", err)
		}
		a.Close()
	})
}

func TestRestartMeanwhile(t *testing.T) {
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

// TestTakesOverTLS lets a client with a connection go.
func TestTakesOverTLS(t *testing.T) {
	t.Parallel()
	a := spstest.NewServer(t)
	c := overTLS(t, a).logIn("admin", "a")
	c.want(200, "PUT", timezone, `"UTC"`)
	a.Inject(spstest.Fault{Method: "PUT", Takes: 50 * time.Millisecond})
	if _, err := c.within(10*time.Millisecond).try("PUT", transactionURL, commitBody); err == nil {
		t.Log("the client was too slow to go")
	}
	idle(t, a)
	if len(a.Commits()) == 0 { // the client went before its request arrived
		c.want(200, "PUT", transactionURL, commitBody)
	}
	zoneIs(t, a, "UTC")
	a.Inject(spstest.Fault{Takes: time.Hour, CutAfter: true, Detached: true})
	if _, err := c.try("POST", transactionURL, ""); err == nil {
		t.Error("no error from a connection that was cut")
	}
	if a.Busy() != 1 || a.TransactionOpen() {
		t.Errorf("busy %d, open %t", a.Busy(), a.TransactionOpen())
	}
}
