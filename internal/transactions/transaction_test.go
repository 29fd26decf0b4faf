// Package transactions tests transactions: locks, reads, writes, commits, conflicts, and the
// outcome of requests whose responses are lost.
package transactions

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"reflect"
	"runtime"
	"strings"
	"syscall"
	"testing"
	"testing/synctest"
	"time"
	"weak"

	"github.com/go-sps/sps"
	"github.com/go-sps/sps/internal/testkit"
	"github.com/go-sps/sps/spstest"
)

func TestMain(m *testing.M) { testkit.RunTests(m) }

func TestTransactionFlow(t *testing.T) {
	t.Parallel()
	boom := errors.New("boom")
	testkit.UnderVariants(t, func(t *testing.T, options ...spstest.Option) {
		a := spstest.NewServer(t, append(options, spstest.WithCommitMessageRequired())...)
		c := testkit.Connect(t, a)

		err := c.Transaction(t.Context(), func(ctx context.Context, tx *sps.Transaction) error {
			if err := testkit.SetAdmin(testkit.AdminAfter)(ctx, tx); err != nil {
				return err
			}
			staged, err := c.Management.Email.Get(ctx)
			if err != nil || staged.Body.AdminAddress != testkit.AdminAfter {
				t.Errorf("a read in the transaction returns %+v, %v, want the staged value", staged, err)
			}
			testkit.Diff(t, "committed address during the transaction", testkit.AdminBefore, testkit.Admin(t, a))
			return nil
		}, sps.WithMessage("CHG-1"))
		if err != nil {
			t.Fatal(err)
		}
		testkit.Settled(t, a, testkit.AdminAfter)
		if commits := a.Commits(); len(commits) != 1 || commits[0].Message != "CHG-1" {
			t.Errorf("commits %+v", commits)
		}

		err = c.Transaction(t.Context(), func(ctx context.Context, tx *sps.Transaction) error {
			if err := testkit.SetAdmin("never@example.com")(ctx, tx); err != nil {
				return err
			}
			return boom
		}, sps.WithMessage("CHG-2"))
		if err != boom {
			t.Errorf("error %v, want the error of the function", err)
		}
		testkit.Settled(t, a, testkit.AdminAfter)

		// If the appliance rejects a value, none of the changes is applied.
		err = c.Transaction(t.Context(), func(ctx context.Context, tx *sps.Transaction) error {
			_, err := tx.Invoke(ctx, "PUT", "configuration/management/email", map[string]any{"admin_address": 5})
			return err
		}, sps.WithMessage("CHG-3"))
		var path *sps.SyntacticErrorDetails
		if !errors.Is(err, sps.SyntacticError) || !errors.As(err, &path) {
			t.Errorf("error %v, want SyntacticError with its path", err)
		}
		testkit.Settled(t, a, testkit.AdminAfter)
	})
}

func TestCommitMessageRequired(t *testing.T) {
	t.Parallel()
	a := spstest.NewServer(t, spstest.WithCommitMessageRequired())
	c := testkit.Connect(t, a)
	a.ResetJournal()
	for _, options := range [][]sps.TransactionOption{nil, {sps.WithMessage(" ")}} {
		if err := c.Transaction(t.Context(), testkit.SetAdmin(testkit.AdminAfter), options...); !errors.Is(err, sps.ErrCommitMessageRequired) {
			t.Errorf("error %v, want ErrCommitMessageRequired", err)
		}
	}
	const read = "GET /api/configuration/management/email"
	testkit.Diff(t, "requests", []string{
		read, "GET /api/authentication", "POST /api/transaction", "DELETE /api/transaction",
		read, "POST /api/transaction", "DELETE /api/transaction",
	}, testkit.Requests(a))
	testkit.Settled(t, a, testkit.AdminBefore)
}

// TestTransactionEnds checks that the client rolls back if the function panics, calls
// runtime.Goexit or returns after its context has ended.
func TestTransactionEnds(t *testing.T) {
	t.Parallel()
	for name, test := range map[string]func(ctx context.Context, cancel func(), c *sps.Client) error{
		"panic": func(ctx context.Context, _ func(), c *sps.Client) (err error) {
			defer func() {
				if recover() != "boom" {
					err = errors.New("the panic was not passed on")
				}
			}()
			c.Transaction(ctx, func(ctx context.Context, tx *sps.Transaction) error {
				testkit.SetAdmin(testkit.AdminAfter)(ctx, tx)
				panic("boom")
			})
			return errors.New("returned")
		},
		"Goexit": func(ctx context.Context, _ func(), c *sps.Client) error {
			done := make(chan struct{})
			var err error
			go func() {
				defer close(done)
				err = errors.New("not left")
				c.Transaction(ctx, func(ctx context.Context, tx *sps.Transaction) error {
					testkit.SetAdmin(testkit.AdminAfter)(ctx, tx)
					err = nil
					runtime.Goexit()
					return nil
				})
				err = errors.New("returned")
			}()
			<-done
			return err
		},
		"context done, error returned": func(ctx context.Context, cancel func(), c *sps.Client) error {
			err := c.Transaction(ctx, func(ctx context.Context, tx *sps.Transaction) error {
				testkit.SetAdmin(testkit.AdminAfter)(ctx, tx)
				cancel()
				return ctx.Err()
			})
			return want(err, context.Canceled)
		},
		"context done, nil returned": func(ctx context.Context, cancel func(), c *sps.Client) error {
			err := c.Transaction(ctx, func(ctx context.Context, tx *sps.Transaction) error {
				testkit.SetAdmin(testkit.AdminAfter)(ctx, tx)
				cancel()
				return nil
			})
			return want(err, context.Canceled)
		},
		"context done between two writes": func(ctx context.Context, cancel func(), c *sps.Client) error {
			err := c.Transaction(ctx, func(ctx context.Context, tx *sps.Transaction) error {
				testkit.SetAdmin(testkit.AdminAfter)(ctx, tx)
				cancel()
				return testkit.SetAdmin("more@example.com")(ctx, tx)
			})
			return want(err, context.Canceled)
		},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			a := spstest.NewServer(t)
			c := testkit.Connect(t, a)
			ctx, cancel := context.WithCancel(t.Context())
			defer cancel()
			if err := test(ctx, cancel, c); err != nil {
				t.Error(err)
			}
			testkit.Settled(t, a, testkit.AdminBefore)
			if err := c.Transaction(t.Context(), testkit.SetAdmin(testkit.AdminAfter)); err != nil {
				t.Errorf("the next transaction: %v", err)
			}
			testkit.Settled(t, a, testkit.AdminAfter)
		})
	}
}

func want(err, target error) error {
	if !errors.Is(err, target) {
		return errors.Join(errors.New("another error was wanted: "+target.Error()), err)
	}
	return nil
}

// TestTransactionFaults injects a fault at each kind of request of a transaction. It checks
// that the result of the transaction agrees with what the appliance has applied, and that the
// next transaction succeeds.
func TestTransactionFaults(t *testing.T) {
	t.Parallel()
	cutBefore, cutAfter, truncate, bad := spstest.Fault{CutBefore: true}, spstest.Fault{CutAfter: true}, spstest.Fault{Truncate: 3}, spstest.Fault{Status: 502}
	badAfter := spstest.Fault{Status: 502, Execute: true}
	expired := spstest.Fault{ExpireSession: true}
	refuse := spstest.Fault{Refuse: true}
	slow := spstest.Fault{Delay: time.Hour}
	busy, tooMany := spstest.Fault{Status: 503}, spstest.Fault{Status: 429}
	for name, test := range map[string]struct {
		method, path string
		fault        spstest.Fault
		more         []spstest.Fault
		err          error // nil if the transaction succeeds
		applied      string
	}{
		"open, connection breaks before execution": {"POST", "transaction", cutBefore, nil, new(sps.TransportError), testkit.AdminBefore},
		"open, connection breaks after execution":  {"POST", "transaction", cutAfter, nil, new(sps.TransportError), testkit.AdminBefore},
		"open, 502":                                  {"POST", "transaction", bad, nil, sps.Status(502), testkit.AdminBefore},
		"open, 502 after execution":                  {"POST", "transaction", badAfter, nil, sps.Status(502), testkit.AdminBefore},
		"open, connection refused once":              {"POST", "transaction", refuse, nil, nil, testkit.AdminAfter},
		"open, session expired":                      {"POST", "transaction", expired, nil, nil, testkit.AdminAfter},
		"open, no response":                          {"POST", "transaction", slow, nil, context.DeadlineExceeded, testkit.AdminBefore},
		"read, connection breaks":                    {"GET", "configuration/**", cutBefore, nil, nil, testkit.AdminAfter},
		"read, session expired":                      {"GET", "configuration/**", expired, nil, nil, testkit.AdminAfter},
		"write, connection breaks before execution":  {"PUT", "configuration/**", cutBefore, nil, new(sps.TransportError), testkit.AdminBefore},
		"write, connection breaks after execution":   {"PUT", "configuration/**", cutAfter, nil, new(sps.TransportError), testkit.AdminBefore},
		"write, response truncated":                  {"PUT", "configuration/**", truncate, nil, new(sps.TransportError), testkit.AdminBefore},
		"write, 502":                                 {"PUT", "configuration/**", bad, nil, sps.Status(502), testkit.AdminBefore},
		"write, session expired":                     {"PUT", "configuration/**", expired, nil, sps.ErrTransactionLost, testkit.AdminBefore},
		"write, connection refused once":             {"PUT", "configuration/**", refuse, nil, nil, testkit.AdminAfter},
		"commit, connection breaks before execution": {"PUT", "transaction", cutBefore, nil, sps.ErrOutcomeUnknown, testkit.AdminBefore},
		"commit, connection breaks after execution":  {"PUT", "transaction", cutAfter, nil, nil, testkit.AdminAfter},
		"commit, response truncated":                 {"PUT", "transaction", truncate, nil, nil, testkit.AdminAfter},
		"commit, 502":                                {"PUT", "transaction", bad, nil, sps.ErrOutcomeUnknown, testkit.AdminBefore},
		"commit, 502 after execution":                {"PUT", "transaction", badAfter, nil, nil, testkit.AdminAfter},
		"commit, session expired":                    {"PUT", "transaction", expired, nil, sps.ErrTransactionLost, testkit.AdminBefore},
		"commit, connection refused once":            {"PUT", "transaction", refuse, nil, nil, testkit.AdminAfter},
		"open, 503":                                  {"POST", "transaction", busy, nil, sps.Status(503), testkit.AdminBefore},
		"open, 429":                                  {"POST", "transaction", tooMany, nil, sps.Status(429), testkit.AdminBefore},
		"write, 503":                                 {"PUT", "configuration/**", busy, nil, sps.Status(503), testkit.AdminBefore},
		"write, 429":                                 {"PUT", "configuration/**", tooMany, nil, sps.Status(429), testkit.AdminBefore},
		"commit, 503":                                {"PUT", "transaction", busy, nil, sps.ErrOutcomeUnknown, testkit.AdminBefore},
		"commit, 429":                                {"PUT", "transaction", tooMany, nil, sps.ErrOutcomeUnknown, testkit.AdminBefore},
		"commit, 500 with an error type":             {"PUT", "transaction", spstest.Fault{Status: 500, Body: `{"error":{"type":"InternalError"}}`}, nil, sps.ErrOutcomeUnknown, testkit.AdminBefore},
		"commit, response with the status open":      {"PUT", "transaction", spstest.Fault{Status: 200, Body: `{"body":{"status":"open"}}`}, nil, sps.ErrOutcomeUnknown, testkit.AdminBefore},
		"commit, no response":                        {"PUT", "transaction", slow, nil, sps.ErrOutcomeUnknown, testkit.AdminBefore},
		"commit, SemanticError":                      {"PUT", "transaction", spstest.Fault{Status: 400, Body: `{"error":{"type":"SemanticError","details":["a","b"]}}`}, nil, sps.SemanticError, testkit.AdminBefore},
		"commit, 404 of a gateway after execution":   {"PUT", "transaction", spstest.Fault{Status: 404, Execute: true}, nil, nil, testkit.AdminAfter},
		"commit, 401 in a valid session":             {"PUT", "transaction", spstest.Fault{Status: 401, Body: `{"error":{"type":"Unauthenticated"}}`}, nil, sps.ErrTransactionLost, testkit.AdminBefore},
		"commit, 501 after execution, 500 for each poll": {"PUT", "transaction", spstest.Fault{Status: 501, Execute: true}, []spstest.Fault{{Method: "GET", Path: "transaction", Status: 500, Times: -1}},
			nil, testkit.AdminAfter},
		"commit, connection breaks after execution, 500 for two polls": {"PUT", "transaction", cutAfter, []spstest.Fault{{Method: "GET", Path: "transaction", Status: 500, Times: 2}},
			nil, testkit.AdminAfter},
		"commit, connection breaks before execution, 500 for one poll": {"PUT", "transaction", cutBefore, []spstest.Fault{{Method: "GET", Path: "transaction", Status: 500}},
			sps.ErrOutcomeUnknown, testkit.AdminBefore},
		"commit, connection breaks after execution, 500 for each read of the configuration": {"PUT", "transaction", cutAfter, []spstest.Fault{{Method: "GET", Path: "configuration/**", Status: 500, Times: -1, Skip: 2}},
			sps.ErrOutcomeUnknown, testkit.AdminAfter},
		"rollback, 500, then the session expires": {"DELETE", "transaction", spstest.Fault{Status: 500}, []spstest.Fault{{Method: "PUT", Path: "configuration/**", Status: 400, Body: `{"error":{"type":"SemanticError"}}`}, {Method: "GET", Path: "transaction", ExpireSession: true}},
			sps.SemanticError, testkit.AdminBefore},
		"commit, connection breaks after execution, 500 for each poll": {"PUT", "transaction", cutAfter, []spstest.Fault{{Method: "GET", Path: "transaction", Status: 500, Times: -1}},
			nil, testkit.AdminAfter},
		"commit, connection breaks after execution, session expires": {"PUT", "transaction", cutAfter, []spstest.Fault{{Method: "GET", Path: "transaction", ExpireSession: true}},
			nil, testkit.AdminAfter},
		"rollback, 429 once":               {"DELETE", "transaction", tooMany, []spstest.Fault{{Method: "PUT", Path: "configuration/**", CutBefore: true}, {Method: "GET", Path: "transaction", Status: 500, Times: -1, MayMiss: true}}, new(sps.TransportError), testkit.AdminBefore},
		"rollback, connection breaks once": {"DELETE", "transaction", cutBefore, []spstest.Fault{{Method: "PUT", Path: "configuration/**", CutBefore: true}}, new(sps.TransportError), testkit.AdminBefore},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			limits := sps.DefaultTimeouts()
			limits.Write, limits.Commit = 5*time.Second, 5*time.Second
			testkit.Bubble(t, func(t *testing.T, a *spstest.Appliance, c *sps.Client) {
				test.fault.Method, test.fault.Path = test.method, test.path
				a.Inject(test.fault)
				for _, f := range test.more {
					a.Inject(f)
				}
				err := c.Transaction(t.Context(), testkit.SetAdmin(testkit.AdminAfter))
				switch {
				case test.err == nil && err != nil:
					t.Errorf("error %v, want success", err)
				case test.err != nil && reflect.TypeOf(test.err) == reflect.TypeFor[*sps.TransportError]():
					var broken *sps.TransportError
					if !errors.As(err, &broken) || errors.Is(err, sps.ErrOutcomeUnknown) {
						t.Errorf("error %v, want a TransportError without ErrOutcomeUnknown, because the transaction was rolled back", err)
					}
				case !errors.Is(err, test.err):
					t.Errorf("error %v, want %v", err, test.err)
				}
				if err != nil && strings.Contains(err.Error(), "\n") {
					t.Errorf("error of several lines: %v", err)
				}
				if err != nil && strings.Contains(err.Error(), "the rollback failed") {
					t.Errorf("error %v, although no transaction was left to roll back", err)
				}
				testkit.Settled(t, a, test.applied)
				// The client must not send a write again that the appliance may have received.
				received := map[string]int{}
				for _, r := range a.Journal() {
					received[r.Method+" "+r.Path]++
				}
				for request, n := range received {
					if n > 1 && (strings.HasPrefix(request, "P")) && !test.fault.Refuse && !test.fault.ExpireSession {
						t.Errorf("%s was sent %d times", request, n)
					}
				}
				a.ClearFaults()
				if err := c.Transaction(t.Context(), testkit.SetAdmin("last@example.com")); err != nil {
					t.Errorf("the next transaction: %v", err)
				}
				testkit.Settled(t, a, "last@example.com")
			}, sps.WithTimeouts(limits))
		})
	}
}

// TestFailedRollback checks that the returned error contains both the error of the function and
// the error of the failed rollback, and that the client cleans up before its next transaction
// or by a log-out.
func TestFailedRollback(t *testing.T) {
	t.Parallel()
	boom := errors.New("boom")
	testkit.Bubble(t, func(t *testing.T, a *spstest.Appliance, c *sps.Client) {
		a.Inject(spstest.Fault{Method: "DELETE", Path: "transaction", Status: 500, Times: 1})
		a.Inject(spstest.Fault{Method: "DELETE", Path: "authentication", Status: 500, Times: 1})
		err := c.Transaction(t.Context(), func(ctx context.Context, tx *sps.Transaction) error {
			testkit.SetAdmin("lost@example.com")(ctx, tx)
			return boom
		})
		if !errors.Is(err, boom) || !errors.Is(err, sps.Status(500)) || !strings.HasPrefix(err.Error(), "boom") {
			t.Errorf("error %v, want the error of the function, followed by the error of the rollback", err)
		}
		if !a.TransactionOpen() {
			t.Fatal("the rollback succeeded, so the test does not test a failed rollback")
		}
		if err := c.Transaction(t.Context(), func(ctx context.Context, tx *sps.Transaction) error {
			_, err := tx.Invoke(ctx, "PUT", "configuration/datetime/timezone", "Europe/Budapest")
			return err
		}); err != nil {
			t.Errorf("the next transaction: %v", err)
		}
		testkit.Settled(t, a, testkit.AdminBefore)
	})
}

// TestTransactionLeftInExistingSession checks a session that the caller provided. If a
// transaction of the client is left open in it, the client must roll it back before it opens
// another one there.
func TestTransactionLeftInExistingSession(t *testing.T) {
	t.Parallel()
	testkit.Bubble(t, func(t *testing.T, a *spstest.Appliance, owner *sps.Client) {
		owner.Info(t.Context())
		c, err := sps.Connect(t.Context(), a.Addr(), sps.ExistingSession(sps.NewSecretString(testkit.SessionID(a))), testkit.InProcess(a))
		if err != nil {
			t.Fatal(err)
		}
		defer c.Close(t.Context())
		a.Inject(spstest.Fault{Method: "DELETE", Path: "transaction", Status: 500, Times: 2})
		boom := errors.New("boom")
		if err := c.Transaction(t.Context(), func(ctx context.Context, tx *sps.Transaction) error {
			return errors.Join(testkit.SetAdmin("lost@example.com")(ctx, tx), boom)
		}); !errors.Is(err, boom) {
			t.Errorf("error %v, want the error of the function", err)
		}
		timezone := func(ctx context.Context, tx *sps.Transaction) error {
			_, err := tx.Invoke(ctx, "PUT", "configuration/datetime/timezone", "Europe/Budapest")
			return err
		}
		if err := c.Transaction(t.Context(), timezone); !errors.Is(err, sps.Status(500)) {
			t.Errorf("a transaction while the rollback of the old transaction fails: %v, want the status 500", err)
		}
		if err := c.Transaction(t.Context(), timezone); err != nil {
			t.Errorf("a transaction after the rollback of the old transaction succeeds: %v", err)
		}
		testkit.Settled(t, a, testkit.AdminBefore)
		// From here on, a transaction that is open in the session belongs to the owner of the
		// session.
		if err := owner.Transaction(t.Context(), func(ctx context.Context, tx *sps.Transaction) error {
			if err := testkit.SetAdmin(testkit.AdminAfter)(ctx, tx); err != nil {
				return err
			}
			if err := c.Transaction(t.Context(), timezone); !errors.Is(err, sps.ErrLocked) {
				t.Errorf("while the owner's transaction is open: %v, want ErrLocked", err)
			}
			return c.Close(t.Context())
		}); err != nil {
			t.Errorf("the owner's transaction: %v", err)
		}
		testkit.Settled(t, a, testkit.AdminAfter)
	})
}

// TestTransactionLeftInExpiredSession checks that the client sends no rollback for a
// transaction that ended with its session.
func TestTransactionLeftInExpiredSession(t *testing.T) {
	t.Parallel()
	testkit.Bubble(t, func(t *testing.T, a *spstest.Appliance, c *sps.Client) {
		a.Inject(spstest.Fault{Method: "DELETE", Path: "transaction", Status: 500, Times: 1})
		c.Transaction(t.Context(), func(ctx context.Context, tx *sps.Transaction) error {
			return errors.Join(testkit.SetAdmin("lost@example.com")(ctx, tx), errRollback)
		})
		a.ExpireSessions()
		a.ResetJournal()
		if err := c.Transaction(t.Context(), testkit.SetAdmin(testkit.AdminAfter)); err != nil {
			t.Errorf("the next transaction: %v", err)
		}
		for _, r := range testkit.Requests(a) {
			if strings.HasPrefix(r, "DELETE ") {
				t.Errorf("sent %s, although no transaction was left", r)
			}
		}
		testkit.Settled(t, a, testkit.AdminAfter)
	})
}

// TestTransactionIsReleased checks that the client keeps no reference to a transaction that has
// ended, so that its memory is freed.
func TestTransactionIsReleased(t *testing.T) {
	t.Parallel()
	a := spstest.NewServer(t)
	c := testkit.Connect(t, a, testkit.InProcess(a))
	var over weak.Pointer[sps.Transaction]
	if err := c.Transaction(t.Context(), func(ctx context.Context, tx *sps.Transaction) error {
		over = weak.Make(tx)
		return testkit.SetAdmin(testkit.AdminAfter)(ctx, tx)
	}); err != nil {
		t.Fatal(err)
	}
	for range 10 {
		if runtime.GC(); over.Value() == nil {
			return
		}
	}
	t.Error("the client still refers to the ended transaction")
}

// TestLostRequestEndsSession checks that the client opens no transaction in a session in which
// a request with a lost response may still be executed, even if the log-out of that session
// fails.
func TestLostRequestEndsSession(t *testing.T) {
	t.Parallel()
	noStatus := spstest.Fault{Method: "GET", Path: "transaction", Status: 500, Times: -1, Skip: 1}
	for name, faults := range map[string][]spstest.Fault{
		"open":                      {{Method: "POST", Path: "transaction", CutBefore: true}},
		"write":                     {{Method: "PUT", Path: "configuration/**", CutBefore: true}},
		"commit":                    {{Method: "PUT", Path: "transaction", CutBefore: true}},
		"commit, 500 for each poll": {{Method: "PUT", Path: "transaction", CutBefore: true}, noStatus},
	} {
		for _, fails := range []bool{false, true} {
			t.Run(fmt.Sprintf("%s, log-out fails: %t", name, fails), func(t *testing.T) {
				t.Parallel()
				testkit.Bubble(t, func(t *testing.T, a *spstest.Appliance, c *sps.Client) {
					for _, f := range faults {
						a.Inject(f)
					}
					if fails {
						a.Inject(spstest.Fault{Method: "DELETE", Path: "authentication", Status: 500})
					}
					ctx, cancel := context.WithCancel(t.Context())
					err := c.Transaction(ctx, func(ctx context.Context, tx *sps.Transaction) error {
						err := testkit.SetAdmin("lost@example.com")(ctx, tx)
						if err != nil {
							cancel() // the client must log out even after the context was cancelled
						}
						return err
					})
					cancel()
					if err == nil {
						t.Error("no error")
					}
					old := sessionOf(a, "POST")
					a.ClearFaults()
					a.ResetJournal()
					if err := c.Transaction(t.Context(), testkit.SetAdmin(testkit.AdminAfter)); err != nil {
						t.Errorf("the next transaction: %v", err)
					}
					if sessionOf(a, "POST") == old {
						t.Error("the next transaction uses the same session")
					}
					testkit.Settled(t, a, testkit.AdminAfter)
					if !fails {
						testkit.Diff(t, "sessions", 2, a.Sessions()) // one session for reads and one for writes
					}
				})
			})
		}
	}
}

// sessionOf returns the session cookie of the first request with the given method.
func sessionOf(a *spstest.Appliance, method string) string {
	for _, r := range a.Journal() {
		if r.Method == method {
			return r.Header.Get("Cookie")
		}
	}
	return ""
}

// TestStepRunningAtEnd checks a transaction whose function ends while a step that it started is
// still running. If the function returns nil, the transaction must wait for the step and
// commit. If the function fails, the transaction must cancel the step and roll back.
func TestStepRunningAtEnd(t *testing.T) {
	t.Parallel()
	boom := errors.New("boom")
	for name, test := range map[string]struct {
		end     func() error
		want    error
		applied string
		took    time.Duration
	}{
		"function returns nil":      {func() error { return nil }, nil, testkit.AdminAfter, 5 * time.Second},
		"function returns an error": {func() error { return boom }, boom, testkit.AdminBefore, 0},
		"function panics":           {func() error { panic(boom) }, boom, testkit.AdminBefore, 0},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			testkit.Bubble(t, func(t *testing.T, a *spstest.Appliance, c *sps.Client) {
				a.Inject(spstest.Fault{Method: "PUT", Path: "configuration/**", Delay: 5 * time.Second})
				start := time.Now()
				err := func() (err error) {
					defer func() {
						if recovered, ok := recover().(error); ok {
							err = recovered
						}
					}()
					return c.Transaction(t.Context(), func(ctx context.Context, tx *sps.Transaction) error {
						go testkit.SetAdmin(testkit.AdminAfter)(ctx, tx)
						synctest.Wait()
						return test.end()
					})
				}()
				if !errors.Is(err, test.want) {
					t.Errorf("error %v, want %v", err, test.want)
				}
				testkit.Diff(t, "time", test.took, time.Since(start))
				testkit.Settled(t, a, test.applied)
			})
		})
	}
}

// TestStepNeverSent checks that a transaction can continue after a step for which the client
// could not open a connection.
func TestStepNeverSent(t *testing.T) {
	t.Parallel()
	testkit.Bubble(t, func(t *testing.T, a *spstest.Appliance, c *sps.Client) {
		err := c.Transaction(t.Context(), func(ctx context.Context, tx *sps.Transaction) error {
			a.Inject(spstest.Fault{Path: "configuration/datetime/timezone", Refuse: true, Times: -1})
			var broken *sps.TransportError
			if _, err := tx.Invoke(ctx, "PUT", "configuration/datetime/timezone", "Europe/Budapest"); !errors.As(err, &broken) {
				t.Errorf("error %v, want a TransportError", err)
			}
			return testkit.SetAdmin(testkit.AdminAfter)(ctx, tx)
		})
		if err != nil {
			t.Error(err)
		}
		testkit.Settled(t, a, testkit.AdminAfter)
	})
}

// TestIgnoredError checks that a transaction with a lost response is rolled back even if its
// function ignores the error and returns nil.
func TestIgnoredError(t *testing.T) {
	t.Parallel()
	a := spstest.NewServer(t)
	c := testkit.Connect(t, a)
	a.Inject(spstest.Fault{Method: "PUT", Path: "configuration/**", CutAfter: true})
	err := c.Transaction(t.Context(), func(ctx context.Context, tx *sps.Transaction) error {
		testkit.SetAdmin(testkit.AdminAfter)(ctx, tx)
		return nil
	})
	var broken *sps.TransportError
	if !errors.As(err, &broken) {
		t.Errorf("error %v, want the error of the step", err)
	}
	testkit.Settled(t, a, testkit.AdminBefore)

	// If the appliance refuses a step, the transaction is not rolled back, because the function
	// may ignore the error on purpose.
	err = c.Transaction(t.Context(), func(ctx context.Context, tx *sps.Transaction) error {
		if _, err := tx.Invoke(ctx, "DELETE", "configuration/policies/audit_policies/nowhere", nil); !errors.Is(err, sps.ResourceNotFound) || errors.Is(err, sps.ErrConflict) {
			t.Errorf("error %v, want only ResourceNotFound, because nobody deleted the object", err)
		}
		return testkit.SetAdmin(testkit.AdminAfter)(ctx, tx)
	})
	if err != nil {
		t.Error(err)
	}
	testkit.Settled(t, a, testkit.AdminAfter)
}

func TestNothingWritten(t *testing.T) {
	t.Parallel()
	a := spstest.NewServer(t)
	c := testkit.Connect(t, a)
	a.ResetJournal()
	err := c.Transaction(t.Context(), func(ctx context.Context, tx *sps.Transaction) error {
		if _, err := tx.Management.Email.Get(ctx); err != nil {
			return err
		}
		return tx.Management.Email.Update(ctx, func(*sps.EmailSettings) error { return nil })
	})
	if err != nil {
		t.Error(err)
	}
	testkit.Diff(t, "requests", []string{"GET /api/configuration/management/email", "GET /api/configuration/management/email"}, testkit.Requests(a))
	testkit.Settled(t, a, testkit.AdminBefore)

	// Transaction returns an error if the client cannot release the lock.
	a.Inject(spstest.Fault{Method: "DELETE", Path: "transaction", Status: 500})
	a.Inject(spstest.Fault{Method: "DELETE", Path: "authentication", Status: 500})
	err = c.Transaction(t.Context(), func(ctx context.Context, tx *sps.Transaction) error {
		_, err := tx.Invoke(ctx, "DELETE", auditPolicies+"/none", nil)
		if !errors.Is(err, sps.ResourceNotFound) {
			return errors.New("the deletion was not refused")
		}
		return nil
	})
	if !errors.Is(err, sps.Status(500)) || !strings.Contains(err.Error(), "hold the lock") {
		t.Errorf("error %v, want the error of the rollback, and its consequence", err)
	}
}

func TestLocked(t *testing.T) {
	t.Parallel()
	testkit.UnderVariants(t, func(t *testing.T, options ...spstest.Option) {
		a := spstest.NewServer(t, options...)
		c := testkit.Connect(t, a)
		release := a.LockConfiguration("somebody")
		err := c.Transaction(t.Context(), testkit.SetAdmin(testkit.AdminAfter))
		var raw *sps.Error
		if !errors.Is(err, sps.ErrLocked) || !errors.As(err, &raw) || !strings.Contains(err.Error(), "WithLockWait") {
			t.Errorf("error %v, want ErrLocked that wraps the appliance's error", err)
		}
		release()
		testkit.Settled(t, a, testkit.AdminBefore)
		if err := c.Transaction(t.Context(), testkit.SetAdmin(testkit.AdminAfter)); err != nil {
			t.Errorf("after the lock is released: %v", err)
		}
	}, "lock-taken")
}

func TestWaitForLock(t *testing.T) {
	t.Parallel()
	testkit.Bubble(t, func(t *testing.T, a *spstest.Appliance, c *sps.Client) {
		release := a.LockConfiguration("somebody")
		time.AfterFunc(40*time.Second, release)
		if err := c.Transaction(t.Context(), testkit.SetAdmin(testkit.AdminAfter), sps.WithLockWait(time.Minute)); err != nil {
			t.Errorf("the lock is released within WithLockWait: %v", err)
		}
		testkit.Settled(t, a, testkit.AdminAfter)

		a.LockConfiguration("somebody")
		start := time.Now()
		if err := c.Transaction(t.Context(), testkit.SetAdmin(testkit.AdminBefore), sps.WithLockWait(time.Minute)); !errors.Is(err, sps.ErrLocked) {
			t.Errorf("the lock is never released: %v, want ErrLocked", err)
		}
		if took := time.Since(start); took != time.Minute {
			t.Errorf("the client stopped waiting for the lock after %v", took)
		}
		a.ResetJournal()
		c.Transaction(t.Context(), testkit.SetAdmin(testkit.AdminBefore), sps.WithLockWait(10*time.Minute))
		if n := len(testkit.Requests(a)); n < 800 || n > 1800 { // about two polls in a second
			t.Errorf("%d requests in ten minutes", n)
		}
		ctx, cancel := context.WithTimeout(t.Context(), 5*time.Second)
		defer cancel()
		if err := c.Transaction(ctx, testkit.SetAdmin(testkit.AdminBefore), sps.WithLockWait(time.Hour)); !errors.Is(err, sps.ErrLocked) || !errors.Is(err, context.DeadlineExceeded) {
			t.Errorf("the context ends before WithLockWait: %v, want ErrLocked and DeadlineExceeded", err)
		}
	})
}

// TestForbidden checks that a write returns Unauthorized if the user has only the right to
// read.
func TestForbidden(t *testing.T) {
	t.Parallel()
	a := spstest.NewServer(t, spstest.WithUser("reader", "secret", spstest.ReadOnly))
	c, err := sps.Connect(t.Context(), a.Addr(), sps.UsernamePassword("reader", sps.NewSecretString("secret")), sps.WithCABundle(a.CA()))
	if err != nil {
		t.Fatal(err)
	}
	defer c.Close(t.Context())
	err = c.Transaction(t.Context(), testkit.SetAdmin(testkit.AdminAfter))
	if !errors.Is(err, sps.Unauthorized) || errors.Is(err, sps.ErrLocked) {
		t.Errorf("error %v, want Unauthorized", err)
	}
	testkit.Settled(t, a, testkit.AdminBefore)
}

func TestNestedOrFinishedTransaction(t *testing.T) {
	t.Parallel()
	a := spstest.NewServer(t)
	c, other := testkit.Connect(t, a), testkit.Connect(t, a)
	var leaked *sps.Transaction
	err := c.Transaction(t.Context(), func(ctx context.Context, tx *sps.Transaction) error {
		leaked = tx
		if err := c.Transaction(ctx, testkit.SetAdmin(testkit.AdminAfter)); !errors.Is(err, sps.ErrNested) {
			t.Errorf("nested: %v, want ErrNested", err)
		}
		if err := other.Management.Email.In(tx).Update(ctx, func(e *sps.EmailSettings) error { e.AdminAddress = testkit.AdminAfter; return nil }); !errors.Is(err, sps.ErrOtherClient) {
			t.Errorf("another client's handle: %v, want ErrOtherClient", err)
		}
		return nil
	})
	if err != nil {
		t.Error(err)
	}
	a.ResetJournal()
	for name, err := range map[string]error{
		"Update":  testkit.SetAdmin(testkit.AdminAfter)(t.Context(), leaked),
		"Replace": leaked.Management.Email.Replace(t.Context(), sps.EmailSettings{}),
		"Get":     func() error { _, err := leaked.Management.Email.Get(t.Context()); return err }(),
		"Invoke":  func() error { _, err := leaked.Invoke(t.Context(), "GET", "info", nil); return err }(),
		"handle":  c.Management.Email.In(leaked).Replace(t.Context(), sps.EmailSettings{}),
	} {
		if !errors.Is(err, sps.ErrTransactionOver) {
			t.Errorf("%s after the end: %v, want ErrTransactionOver", name, err)
		}
	}
	testkit.Diff(t, "requests after the end", []string(nil), testkit.Requests(a))
	testkit.Settled(t, a, testkit.AdminBefore)
}

// TestOneTransactionAtATime checks that a second transaction of the same client waits for the
// first.
func TestOneTransactionAtATime(t *testing.T) {
	t.Parallel()
	testkit.Bubble(t, func(t *testing.T, a *spstest.Appliance, c *sps.Client) {
		enough := make(chan struct{})
		results := make(chan error, 2)
		go func() {
			results <- c.Transaction(t.Context(), func(ctx context.Context, tx *sps.Transaction) error {
				<-enough
				return testkit.SetAdmin("first@example.com")(ctx, tx)
			})
		}()
		synctest.Wait()
		ctx, cancel := context.WithTimeout(t.Context(), time.Second)
		defer cancel()
		if err := c.Transaction(ctx, testkit.SetAdmin(testkit.AdminAfter)); !errors.Is(err, context.DeadlineExceeded) {
			t.Errorf("waiting for another transaction until the context ends: %v, want DeadlineExceeded", err)
		}
		go func() { results <- c.Transaction(t.Context(), testkit.SetAdmin(testkit.AdminAfter)) }()
		synctest.Wait()
		close(enough)
		for range 2 {
			if err := <-results; err != nil {
				t.Error(err)
			}
		}
		testkit.Settled(t, a, testkit.AdminAfter)
		testkit.Diff(t, "commits", 2, len(a.Commits()))
	})
}

// TestCloseInTransaction checks that Close rolls back a running transaction. Close is called by
// the function of the transaction or by another goroutine.
func TestCloseInTransaction(t *testing.T) {
	t.Parallel()
	for name, wrap := range map[string]func(func()){"in the function": func(f func()) { f() }, "in another goroutine": func(f func()) {
		done := make(chan struct{})
		go func() { defer close(done); f() }()
		<-done
	}} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			a := spstest.NewServer(t)
			c, err := testkit.Dial(t.Context(), a)
			if err != nil {
				t.Fatal(err)
			}
			err = c.Transaction(t.Context(), func(ctx context.Context, tx *sps.Transaction) error {
				if err := testkit.SetAdmin(testkit.AdminAfter)(ctx, tx); err != nil {
					return err
				}
				wrap(func() {
					if err := c.Close(ctx); err != nil {
						t.Errorf("Close: %v", err)
					}
				})
				if ctx.Err() == nil {
					t.Error("the function's context has not ended")
				}
				if err := testkit.SetAdmin("more@example.com")(context.WithoutCancel(ctx), tx); !errors.Is(err, sps.ErrClosed) {
					t.Errorf("a step after Close: %v, want ErrClosed", err)
				}
				return nil
			})
			if !errors.Is(err, sps.ErrClosed) {
				t.Errorf("error %v, want ErrClosed", err)
			}
			testkit.Settled(t, a, testkit.AdminBefore)
			testkit.Diff(t, "sessions", 0, a.Sessions())
		})
	}
}

// TestNoCommitAfterClose checks that no transaction is committed after Close, not even in a
// session that the caller provided and that stays open.
func TestNoCommitAfterClose(t *testing.T) {
	t.Parallel()
	testkit.Bubble(t, func(t *testing.T, a *spstest.Appliance, owner *sps.Client) {
		owner.Info(t.Context())
		c, err := sps.Connect(t.Context(), a.Addr(), sps.ExistingSession(sps.NewSecretString(testkit.SessionID(a))), testkit.InProcess(a))
		if err != nil {
			t.Fatal(err)
		}
		err = c.Transaction(t.Context(), func(ctx context.Context, tx *sps.Transaction) error {
			if err := tx.Management.Email.Replace(ctx, sps.EmailSettings{AdminAddress: testkit.AdminAfter}); err != nil {
				return err
			}
			err := c.Close(ctx)
			a.ResetJournal()
			return err
		})
		if !errors.Is(err, sps.ErrClosed) {
			t.Errorf("error %v, want ErrClosed", err)
		}
		testkit.Diff(t, "requests after Close", []string(nil), testkit.Requests(a))
		testkit.Settled(t, a, testkit.AdminBefore)
	})
}

// TestStepsDuringCommit checks that the client rejects steps while the commit is running,
// because the appliance could open another transaction for them.
func TestStepsDuringCommit(t *testing.T) {
	t.Parallel()
	testkit.Bubble(t, func(t *testing.T, a *spstest.Appliance, c *sps.Client) {
		a.Inject(spstest.Fault{Method: "PUT", Path: "transaction", Delay: time.Second})
		errs := make(chan error, 20)
		err := c.Transaction(t.Context(), func(ctx context.Context, tx *sps.Transaction) error {
			if err := testkit.SetAdmin(testkit.AdminAfter)(ctx, tx); err != nil {
				return err
			}
			time.AfterFunc(time.Second/2, func() {
				for range cap(errs) {
					go func() { errs <- tx.Management.Email.Replace(ctx, sps.EmailSettings{AdminAddress: "late@example.com"}) }()
				}
			})
			return nil
		})
		if err != nil {
			t.Error(err)
		}
		for range cap(errs) {
			if err := <-errs; !errors.Is(err, sps.ErrTransactionOver) {
				t.Errorf("error %v, want ErrTransactionOver", err)
			}
		}
		testkit.Settled(t, a, testkit.AdminAfter)
	})
}

// TestNoWritesAfterLostTransaction expires the sessions during a transaction, after which a read
// logs in again. Further steps must return ErrTransactionLost without a request, because a
// write in the new session could open another transaction.
func TestNoWritesAfterLostTransaction(t *testing.T) {
	t.Parallel()
	a := spstest.NewServer(t)
	c := testkit.Connect(t, a)
	err := c.Transaction(t.Context(), func(ctx context.Context, tx *sps.Transaction) error {
		if err := testkit.SetAdmin(testkit.AdminAfter)(ctx, tx); err != nil {
			return err
		}
		a.ExpireSessions()
		if _, err := c.Firmware.Slots.List(ctx); err != nil { // makes the client log in again
			return err
		}
		if err := testkit.SetAdmin("half@example.com")(ctx, tx); !errors.Is(err, sps.ErrTransactionLost) {
			t.Errorf("the next step: %v, want ErrTransactionLost", err)
		}
		a.ResetJournal()
		if err := tx.Management.Email.Replace(ctx, sps.EmailSettings{}); !errors.Is(err, sps.ErrTransactionLost) {
			t.Errorf("the step after the next: %v, want ErrTransactionLost", err)
		}
		testkit.Diff(t, "requests", []string(nil), testkit.Requests(a))
		return nil
	})
	if !errors.Is(err, sps.ErrTransactionLost) {
		t.Errorf("error %v, want ErrTransactionLost", err)
	}
	testkit.Settled(t, a, testkit.AdminBefore)
	// The session that the read opened can still be used.
	if _, err := c.Firmware.Slots.List(t.Context()); err != nil {
		t.Error(err)
	}
	testkit.Diff(t, "sessions", 1, a.Sessions())
}

// TestGuardedWrites checks that the client rejects a write of the configuration outside of a
// transaction, for each spelling of the path.
func TestGuardedWrites(t *testing.T) {
	t.Parallel()
	a := spstest.NewServer(t)
	c := testkit.Connect(t, a)
	a.ResetJournal()
	for _, path := range []string{
		"configuration", "configuration/management/email", "/api/configuration/management/email", "api/configuration/management/email",
		"configuration/management/email/", "Configuration/management/email", "%63onfiguration/management/email", "%2563onfiguration/x",
		"%252563onfiguration/x", "transaction", "/api/transaction", "Transaction", "transaction/changes", "cluster/promote", "/api/cluster/promote", "cluster%2fpromote",
		"firmware/../configuration/x", "./configuration/x", "//configuration/x", "firmware/%2e%2e/configuration/x", "api//configuration/x",
		"configuration/management/email?x=1", "configuration#x", "firmware/..%2fconfiguration", "firmware\\..\\configuration", "https://evil.example/x", "authentication",
	} {
		for _, method := range []string{"POST", "PUT", "DELETE"} {
			_, err := c.Invoke(t.Context(), method, path, nil)
			if !errors.Is(err, sps.ErrTransactionOnly) && !errors.Is(err, sps.ErrInvalidInput) {
				t.Errorf("%s %s: %v", method, path, err)
			}
		}
	}
	for _, method := range []string{"PATCH", "put", "Put", "", "GET\r\nX: y", "CONNECT", "OPTIONS"} {
		if _, err := c.Invoke(t.Context(), method, "configuration/x", nil); !errors.Is(err, sps.ErrInvalidInput) && !errors.Is(err, sps.ErrTransactionOnly) {
			t.Errorf("method %q: %v", method, err)
		}
	}
	for _, name := range []string{"Cookie", "authorization", "X-Token", "x-http-method-override", "Host", "Content-Length", "transfer-encoding", "User-Agent", "Expect", "Accept-Encoding", "X-Bad\r\nCookie", ""} {
		if _, err := c.Invoke(t.Context(), "GET", "info", nil, sps.WithHeader(name, "x")); !errors.Is(err, sps.ErrInvalidInput) {
			t.Errorf("header %q: %v", name, err)
		}
	}
	if _, err := c.Invoke(t.Context(), "GET", "info", nil, sps.WithHeader("X-Mine", "a\r\nCookie: b")); !errors.Is(err, sps.ErrInvalidInput) {
		t.Errorf("header injection: %v", err)
	}
	err := c.Transaction(t.Context(), func(ctx context.Context, tx *sps.Transaction) error {
		a.ResetJournal()
		for _, path := range []string{"transaction", "firmware/test", "starling/join", "Configuration/x", "authentication", "cluster/spp"} {
			if _, err := tx.Invoke(ctx, "PUT", path, nil); !errors.Is(err, sps.ErrInvalidInput) {
				t.Errorf("PUT %s in a transaction: %v, want ErrInvalidInput", path, err)
			}
		}
		return nil
	})
	if err != nil {
		t.Error(err)
	}
	testkit.Diff(t, "requests", []string(nil), testkit.Requests(a))
}

// TestClientHasNoWrites uses reflection to visit all handles that can be reached from a client.
// It checks that none of them has a method that could write the configuration outside of a
// transaction.
func TestClientHasNoWrites(t *testing.T) {
	t.Parallel()
	// These methods may change the appliance without a transaction.
	allowed := map[string]bool{
		"sps.FirmwareSlots.Delete": true, "sps.Firmware.Test": true,
		"sps.Firmware.Upload": true, "sps.Firmware.UploadFile": true, "sps.FirmwareFetches.Start": true, "sps.FirmwareFetches.Cancel": true,
		"sps.FirmwareFetches.Delete": true, "sps.Firmware.StartUpgrade": true, "sps.Firmware.Upgrade": true,
		"*sps.Client.Transaction": true, "*sps.Client.Invoke": true, "*sps.Client.Close": true,
		"*sps.Client.Preview": true, // rolls back its changes
		"sps.Starling.Join":   true,
		"sps.Starling.Unjoin": true, "sps.Starling.ForceUnjoin": true,
		"sps.SupportBundles.Start": true, "sps.SupportBundles.Delete": true,
	}
	reads := []string{"Get", "List", "All", "In", "WaitForVersion", "WaitReady", "Info", "Host", "Err", "String", "GoString",
		"GetByName", "Listing", "Walk", "TransactionStatus", "UserInfo", "HealthStatus", "Status", "IntegratedProducts",
		"JoinStatus", "JoinPage", "CheckUnjoin", "Wait", "Download",
		"Search", "Follow", "Count", "Stats", "Histogram", "Content", "Events", "Alerts", "Channels", "Indexing", "Downloads", "DownloadTrail", "WebAddress"}
	seen := map[reflect.Type]bool{}
	handles := 0
	var walk func(reflect.Type)
	walk = func(typ reflect.Type) {
		if seen[typ] || !strings.Contains(typ.String(), "sps.") {
			return
		}
		seen[typ] = true
		for i := range typ.NumMethod() {
			name := typ.Method(i).Name
			known := allowed[typ.String()+"."+name]
			for _, read := range reads {
				known = known || name == read
			}
			if !known {
				t.Errorf("%s.%s can be reached from a client: add it to allowed if it does not write the configuration", typ, name)
			}
		}
		if typ.Kind() == reflect.Pointer {
			typ = typ.Elem()
		}
		if typ.Kind() != reflect.Struct {
			return
		}
		for i := range typ.NumField() {
			if field := typ.Field(i); field.IsExported() {
				handles++
				walk(field.Type)
			}
		}
	}
	walk(reflect.TypeFor[*sps.Client]())
	if handles < 2 {
		t.Errorf("only %d handles were found", handles)
	}
}

// TestDialFailureInTransaction checks that the client repeats a step if its connection was
// refused.
func TestDialFailureInTransaction(t *testing.T) {
	t.Parallel()
	a := spstest.NewServer(t)
	failures := 0
	c := testkit.Connect(t, a, sps.WithTransport(func(base http.RoundTripper) http.RoundTripper {
		return testkit.RoundTripper(func(r *http.Request) (*http.Response, error) {
			if r.Method != "GET" && failures < 3 {
				failures++
				return nil, &net.OpError{Op: "dial", Err: syscall.ECONNREFUSED}
			}
			return base.RoundTrip(r)
		})
	}))
	if err := c.Transaction(t.Context(), testkit.SetAdmin(testkit.AdminAfter)); err != nil {
		t.Error(err)
	}
	testkit.Settled(t, a, testkit.AdminAfter)
}

// TestLateCommit checks that a transaction returns nil if the appliance executes the commit
// after the connection broke.
func TestLateCommit(t *testing.T) {
	t.Parallel()
	var a *spstest.Appliance
	late := sps.WithTransport(func(http.RoundTripper) http.RoundTripper {
		return testkit.RoundTripper(func(r *http.Request) (*http.Response, error) {
			if r.Method != "PUT" || !strings.HasSuffix(r.URL.Path, "/transaction") {
				return a.RoundTrip(r)
			}
			time.AfterFunc(2*time.Second, func() { a.RoundTrip(r.WithContext(context.Background())) })
			return nil, io.ErrUnexpectedEOF
		})
	})
	synctest.Test(t, func(t *testing.T) {
		var err error
		a = spstest.NewServer(t, spstest.WithoutListener())
		defer a.Close()
		c, err := sps.Connect(t.Context(), a.Addr(), sps.UsernamePassword(a.Username(), sps.NewSecretString(a.Password())), late)
		if err != nil {
			t.Fatal(err)
		}
		defer c.Close(t.Context())
		if err := c.Transaction(t.Context(), testkit.SetAdmin(testkit.AdminAfter)); err != nil {
			t.Errorf("error %v, although the appliance executed the commit later", err)
		}
		testkit.Settled(t, a, testkit.AdminAfter)
	})
}

// TestLostCommitWithoutReads checks a commit with a lost response, after which the appliance
// does not respond to reads. The client must poll for the outcome until Timeouts.Outcome has
// passed, and then return ErrOutcomeUnknown.
func TestLostCommitWithoutReads(t *testing.T) {
	t.Parallel()
	limits := sps.DefaultTimeouts()
	limits.Outcome = 40 * time.Second
	testkit.Bubble(t, func(t *testing.T, a *spstest.Appliance, c *sps.Client) {
		a.Inject(spstest.Fault{Method: "PUT", Path: "transaction", CutAfter: true})
		a.Inject(spstest.Fault{Method: "GET", Path: "**", Delay: time.Hour, Times: -1, Skip: 4})
		start := time.Now()
		if err := c.Transaction(t.Context(), testkit.SetAdmin(testkit.AdminAfter)); !errors.Is(err, sps.ErrOutcomeUnknown) {
			t.Errorf("error %v, want ErrOutcomeUnknown", err)
		}
		if took := time.Since(start); took < limits.Outcome || took > limits.Outcome+limits.Close {
			t.Errorf("the transaction took %s", took)
		}
		testkit.Settled(t, a, testkit.AdminAfter)
	}, sps.WithTimeouts(limits))
}

// TestLostSlowCommit checks a commit whose response is lost and which the appliance executes
// later. The result of the transaction must agree with the committed configuration.
func TestLostSlowCommit(t *testing.T) {
	t.Parallel()
	for name, test := range map[string]struct {
		runs     time.Duration // the time after which the appliance executes the commit
		deadline time.Duration // the caller's deadline, 0 for none
		unknown  bool
	}{
		"executed after 5 s":                   {5 * time.Second, 0, false},
		"executed after 60 s":                  {time.Minute, 0, false},
		"executed after 240 s":                 {4 * time.Minute, 0, false},
		"executed after Timeouts.Outcome":      {6 * time.Minute, 0, true},
		"executed after 9 s, deadline of 2 s":  {9 * time.Second, 2 * time.Second, false},
		"executed after 60 s, deadline of 2 s": {time.Minute, 2 * time.Second, true},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			synctest.Test(t, func(t *testing.T) {
				a := spstest.NewServer(t, spstest.WithoutListener())
				defer a.Close()
				late := make(chan struct{})
				c, err := sps.Connect(t.Context(), a.Addr(), sps.UsernamePassword(a.Username(), sps.NewSecretString(a.Password())),
					testkit.RoundTrip(func(r *http.Request) (*http.Response, error) {
						if r.Method != "PUT" || !strings.HasSuffix(r.URL.Path, "/transaction") {
							return a.RoundTrip(r)
						}
						time.AfterFunc(test.runs, func() {
							defer close(late)
							if resp, err := a.RoundTrip(r.WithContext(context.Background())); err == nil {
								resp.Body.Close()
							}
						})
						return nil, io.ErrUnexpectedEOF
					}))
				if err != nil {
					t.Fatal(err)
				}
				defer c.Close(context.Background())
				ctx := t.Context()
				if test.deadline > 0 {
					var cancel context.CancelFunc
					ctx, cancel = context.WithTimeout(ctx, test.deadline)
					defer cancel()
				}
				err = c.Transaction(ctx, testkit.SetAdmin(testkit.AdminAfter))
				<-late
				switch {
				case test.unknown && !errors.Is(err, sps.ErrOutcomeUnknown):
					t.Errorf("error %v, want ErrOutcomeUnknown", err)
				case !test.unknown && err != nil:
					t.Errorf("error %v, although the commit was executed", err)
				case !test.unknown:
					testkit.Settled(t, a, testkit.AdminAfter)
				}
			})
		})
	}
}

// TestNothingToRollBack checks that Transaction returns no rollback error if the appliance
// refuses the rollback because no transaction is open.
func TestNothingToRollBack(t *testing.T) {
	t.Parallel()
	for _, refusal := range []string{"200", "404:ResourceNotFound", "405:MethodNotAllowed"} {
		a := spstest.NewServer(t, spstest.WithVariant("rollback-closed", refusal))
		c := testkit.Connect(t, a)
		a.Inject(spstest.Fault{Method: "POST", Path: "transaction", CutBefore: true})
		if err := c.Transaction(t.Context(), testkit.SetAdmin(testkit.AdminAfter)); err == nil || strings.Contains(err.Error(), "the rollback failed") {
			t.Errorf("%s: %v, want only the broken connection and no rollback error", refusal, err)
		}
		if err := c.Transaction(t.Context(), testkit.SetAdmin(testkit.AdminAfter)); err != nil {
			t.Errorf("%s: the next transaction: %v", refusal, err)
		}
		testkit.Settled(t, a, testkit.AdminAfter)
	}
}

// TestFalse401InTransaction checks a step to which the appliance responds with 401 although the
// session still exists. The transaction must return ErrTransactionLost, and the client must roll
// it back.
func TestFalse401InTransaction(t *testing.T) {
	t.Parallel()
	a := spstest.NewServer(t)
	c := testkit.Connect(t, a)
	a.Inject(spstest.Fault{Method: "PUT", Path: "configuration/**", Status: 401, Body: `{"error":{"type":"Unauthenticated"}}`})
	if err := c.Transaction(t.Context(), testkit.SetAdmin(testkit.AdminAfter)); !errors.Is(err, sps.ErrTransactionLost) {
		t.Errorf("error %v, want ErrTransactionLost", err)
	}
	testkit.Settled(t, a, testkit.AdminBefore)
}

// TestLockAtFirstChange checks that Transaction returns ErrLocked if an appliance takes the
// lock at the first write and another user holds it.
func TestLockAtFirstChange(t *testing.T) {
	t.Parallel()
	for _, refusal := range []string{"403:OpenTransactionError", "409:ConfigurationLocked", "423:ConfigurationLocked"} {
		a := spstest.NewServer(t, spstest.WithVariant("lock-taken", "first-change"), spstest.WithVariant("lock-error", refusal))
		c := testkit.Connect(t, a)
		release := a.LockConfiguration("somebody")
		if err := c.Transaction(t.Context(), testkit.SetAdmin(testkit.AdminAfter)); !errors.Is(err, sps.ErrLocked) {
			t.Errorf("%s: %v, want ErrLocked", refusal, err)
		}
		release()
		testkit.Settled(t, a, testkit.AdminBefore)
	}
}

// TestDroppedCommitWith5xx checks that a transaction returns ErrOutcomeUnknown if the appliance
// drops the transaction and responds to the commit with a 5xx status.
func TestDroppedCommitWith5xx(t *testing.T) {
	t.Parallel()
	replace := func(ctx context.Context, tx *sps.Transaction) error {
		return tx.Management.Email.Replace(ctx, sps.EmailSettings{AdminAddress: testkit.AdminAfter})
	}
	remove := func(ctx context.Context, tx *sps.Transaction) error {
		_, err := tx.Invoke(ctx, "DELETE", "configuration/policies/audit_policies/"+policyKey, nil)
		return err
	}
	for name, test := range map[string]struct {
		change func(context.Context, *sps.Transaction) error
		status int
		body   string
		want   error
	}{
		"500, update":                     {testkit.SetAdmin(testkit.AdminAfter), 500, `{"error":{"type":"InternalError"}}`, sps.ErrOutcomeUnknown},
		"503, update":                     {testkit.SetAdmin(testkit.AdminAfter), 503, "<html>", sps.ErrOutcomeUnknown},
		"500, deletion":                   {remove, 500, `{"error":{"type":"InternalError"}}`, sps.ErrOutcomeUnknown},
		"500, replacement without a read": {replace, 500, `{"error":{"type":"InternalError"}}`, sps.ErrOutcomeUnknown},
		"503, replacement without a read": {replace, 503, "<html>", sps.ErrOutcomeUnknown},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			a := spstest.NewServer(t)
			c := testkit.Connect(t, a, sps.WithTransport(func(base http.RoundTripper) http.RoundTripper {
				return testkit.RoundTripper(func(r *http.Request) (*http.Response, error) {
					if r.Method != "PUT" || !strings.HasSuffix(r.URL.Path, "/transaction") {
						return base.RoundTrip(r)
					}
					drop := r.Clone(r.Context())
					drop.Method, drop.Body, drop.ContentLength = "DELETE", nil, 0
					if resp, err := base.RoundTrip(drop); err == nil {
						resp.Body.Close()
					}
					return testkit.Answer(r, test.status, http.Header{}, test.body), nil
				})
			}))
			err := c.Transaction(t.Context(), test.change)
			if !errors.Is(err, test.want) || errors.Is(err, sps.ErrOutcomeUnknown) != (test.want == sps.ErrOutcomeUnknown) {
				t.Errorf("error %v, want %v", err, test.want)
			}
			testkit.Settled(t, a, testkit.AdminBefore)
		})
	}
}

// policyKey is the key of an audit policy of the simulated appliance. No other object refers to
// that policy, so that it can be deleted.
const policyKey = "4110330695c094b5776670"

// TestGatewayTimeout checks that a transaction is rolled back if the response to a step is a
// 504, even if the appliance has executed the step and the function ignores the error.
func TestGatewayTimeout(t *testing.T) {
	t.Parallel()
	a := spstest.NewServer(t)
	c := testkit.Connect(t, a)
	a.Inject(spstest.Fault{Method: "PUT", Path: "configuration/**", Status: 504, Execute: true})
	err := c.Transaction(t.Context(), func(ctx context.Context, tx *sps.Transaction) error {
		testkit.SetAdmin(testkit.AdminAfter)(ctx, tx)
		return nil
	})
	if !errors.Is(err, sps.Status(504)) {
		t.Errorf("error %v, want the status 504", err)
	}
	testkit.Settled(t, a, testkit.AdminBefore)
}

// TestCreatedWithoutKey checks that a created object is not committed if the response to its
// creation contains no key.
func TestCreatedWithoutKey(t *testing.T) {
	t.Parallel()
	a := spstest.NewServer(t)
	c := testkit.Connect(t, a)
	policies := sps.NewCollection[map[string]any](c, "configuration/policies/audit_policies")
	sample, err := policies.Get(t.Context(), policyKey)
	if err != nil {
		t.Fatal(err)
	}
	sample.Body["name"] = "new"
	a.Inject(spstest.Fault{Method: "POST", Path: "configuration/**", Mutate: func([]byte) []byte { return []byte("{}") }})
	err = c.Transaction(t.Context(), func(ctx context.Context, tx *sps.Transaction) error {
		policies.In(tx).Create(ctx, sample.Body)
		return nil
	})
	if !errors.Is(err, sps.ErrBadAnswer) {
		t.Errorf("error %v, want ErrBadAnswer", err)
	}
	testkit.Diff(t, "commits", 0, len(a.Commits()))
	testkit.Settled(t, a, testkit.AdminBefore)
}

// TestRollbackInHTML checks that the client does not treat an HTML page in response to a
// rollback as a successful rollback.
func TestRollbackInHTML(t *testing.T) {
	t.Parallel()
	a := spstest.NewServer(t)
	c := testkit.Connect(t, a)
	a.Inject(spstest.Fault{Method: "DELETE", Path: "transaction", Status: 200, Body: "<html>", ContentType: "text/html"})
	a.Inject(spstest.Fault{Method: "DELETE", Path: "authentication", Status: 500})
	boom := errors.New("boom")
	err := c.Transaction(t.Context(), func(ctx context.Context, tx *sps.Transaction) error {
		testkit.SetAdmin(testkit.AdminAfter)(ctx, tx)
		return boom
	})
	if !errors.Is(err, boom) || !errors.Is(err, sps.ErrBadAnswer) {
		t.Errorf("error %v, want the error of the function and ErrBadAnswer", err)
	}
	if err := c.Transaction(t.Context(), testkit.SetAdmin("next@example.com")); err != nil {
		t.Errorf("the next transaction: %v", err)
	}
	testkit.Settled(t, a, "next@example.com")
}

// TestCloseAndTransactions calls Close while a transaction opens, writes or commits. It checks
// that the transaction fails, that none of its changes is applied, and that no transaction,
// lock or session of the client is left. A session that the caller provided stays open.
func TestCloseAndTransactions(t *testing.T) {
	t.Parallel()
	for name, test := range map[string]struct {
		fault    spstest.Fault
		existing bool
		sessions int
	}{
		"open":                         {spstest.Fault{Method: "POST", Path: "transaction", Delay: time.Hour}, false, 0},
		"open, response lost":          {spstest.Fault{Method: "POST", Path: "transaction", CutAfter: true}, false, 0},
		"open in an existing session":  {spstest.Fault{Method: "POST", Path: "transaction", Execute: true, Status: 502, Delay: time.Hour}, true, 1},
		"commit":                       {spstest.Fault{Method: "PUT", Path: "transaction", Delay: time.Hour}, false, 0},
		"write":                        {spstest.Fault{Method: "PUT", Path: "configuration/**", Delay: time.Hour}, false, 0},
		"write in an existing session": {spstest.Fault{Method: "PUT", Path: "configuration/**", Delay: time.Hour}, true, 1},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			synctest.Test(t, func(t *testing.T) {
				a := spstest.NewServer(t, spstest.WithoutListener())
				defer a.Close()
				c, err := sps.Connect(t.Context(), a.Addr(), sps.UsernamePassword(a.Username(), sps.NewSecretString(a.Password())), testkit.InProcess(a))
				if err != nil {
					t.Fatal(err)
				}
				if test.existing {
					c.Info(t.Context())
					id := testkit.SessionID(a)
					if c, err = sps.Connect(t.Context(), a.Addr(), sps.ExistingSession(sps.NewSecretString(id)), testkit.InProcess(a)); err != nil {
						t.Fatal(err)
					}
				}
				a.Inject(test.fault)
				done := make(chan error, 1)
				go func() { done <- c.Transaction(t.Context(), testkit.SetAdmin(testkit.AdminAfter)) }()
				synctest.Wait()
				start := time.Now()
				c.Close(t.Context())
				took := time.Since(start)
				if took > time.Minute {
					t.Errorf("Close took %v", took)
				}
				if strings.HasPrefix(name, "write") {
					// Close cancels the running step and rolls back without a wait.
					testkit.Diff(t, "time", time.Duration(0), took)
					testkit.Settled(t, a, testkit.AdminBefore)
				}
				if err := <-done; err == nil {
					t.Error("the transaction succeeded")
				}
				synctest.Wait()
				testkit.Settled(t, a, testkit.AdminBefore)
				testkit.Diff(t, "sessions", test.sessions, a.Sessions())
			})
		})
	}
}

// TestCloseRepeatsRollback checks that Close repeats a failed rollback in a session that
// the client does not log out, because the caller provided it.
func TestCloseRepeatsRollback(t *testing.T) {
	t.Parallel()
	a := spstest.NewServer(t)
	owner := testkit.Connect(t, a)
	owner.Info(t.Context())
	id := testkit.SessionID(a)
	c, err := sps.Connect(t.Context(), a.Addr(), sps.ExistingSession(sps.NewSecretString(id)), sps.WithCABundle(a.CA()), testkit.Quick)
	if err != nil {
		t.Fatal(err)
	}
	a.Inject(spstest.Fault{Method: "DELETE", Path: "transaction", Status: 500})
	c.Transaction(t.Context(), func(ctx context.Context, tx *sps.Transaction) error {
		testkit.SetAdmin(testkit.AdminAfter)(ctx, tx)
		return errors.New("boom")
	})
	if !a.TransactionOpen() {
		t.Fatal("no transaction is left open, so the test does not test the rollback by Close")
	}
	if err := c.Close(t.Context()); err != nil {
		t.Errorf("Close: %v", err)
	}
	testkit.Settled(t, a, testkit.AdminBefore)
}

// TestNestedAcrossClients checks that a client rejects a transaction inside one of its own
// transactions, even if a transaction of another client is in between. The transaction of the
// other client must succeed.
func TestNestedAcrossClients(t *testing.T) {
	t.Parallel()
	a, b := spstest.NewServer(t), spstest.NewServer(t)
	ca, cb := testkit.Connect(t, a), testkit.Connect(t, b)
	err := ca.Transaction(t.Context(), func(ctx context.Context, tx *sps.Transaction) error {
		return cb.Transaction(ctx, func(ctx context.Context, other *sps.Transaction) error {
			if err := ca.Transaction(ctx, testkit.SetAdmin(testkit.AdminAfter)); !errors.Is(err, sps.ErrNested) {
				t.Errorf("error %v, want ErrNested", err)
			}
			return testkit.SetAdmin(testkit.AdminAfter)(ctx, other)
		})
	})
	if err != nil {
		t.Error(err)
	}
	testkit.Settled(t, a, testkit.AdminBefore)
	testkit.Settled(t, b, testkit.AdminAfter)
}

// TestSlowCommit checks that a commit may take longer than other requests.
func TestSlowCommit(t *testing.T) {
	t.Parallel()
	testkit.Bubble(t, func(t *testing.T, a *spstest.Appliance, c *sps.Client) {
		a.Inject(spstest.Fault{Method: "PUT", Path: "transaction", Delay: 9 * time.Minute})
		if err := c.Transaction(t.Context(), testkit.SetAdmin(testkit.AdminAfter)); err != nil {
			t.Error(err)
		}
		testkit.Settled(t, a, testkit.AdminAfter)
	})
}

// TestPanicOfTransport checks that the client releases the lock if a RoundTripper panics during
// the commit.
func TestPanicOfTransport(t *testing.T) {
	t.Parallel()
	a := spstest.NewServer(t)
	once := true
	c := testkit.Connect(t, a, sps.WithTransport(func(base http.RoundTripper) http.RoundTripper {
		return testkit.RoundTripper(func(r *http.Request) (*http.Response, error) {
			if r.Method == "PUT" && strings.HasSuffix(r.URL.Path, "/transaction") && once {
				once = false
				panic("boom")
			}
			return base.RoundTrip(r)
		})
	}))
	func() {
		defer func() {
			if recover() == nil {
				t.Error("the panic was not passed on")
			}
		}()
		c.Transaction(t.Context(), testkit.SetAdmin(testkit.AdminAfter))
	}()
	testkit.Settled(t, a, testkit.AdminBefore)
	if err := c.Transaction(t.Context(), testkit.SetAdmin(testkit.AdminAfter)); err != nil {
		t.Errorf("the next transaction: %v", err)
	}
}

// TestRawReferences checks that a write with Invoke replaces references in the body by their
// keys. A read returns a reference as an object, and a write must contain its key.
func TestRawReferences(t *testing.T) {
	t.Parallel()
	a := spstest.NewServer(t)
	c := testkit.Connect(t, a)
	err := c.Transaction(t.Context(), func(ctx context.Context, tx *sps.Transaction) error {
		response, err := tx.Invoke(ctx, "GET", "configuration/management/system_backup", nil)
		if err != nil {
			return err
		}
		var object struct {
			Body json.RawMessage `json:"body"`
		}
		if err := response.Decode(&object); err != nil {
			return err
		}
		_, err = tx.Invoke(ctx, "PUT", "configuration/management/system_backup", object.Body)
		return err
	})
	if err != nil {
		t.Error(err)
	}
}

// TestForeignTransaction checks two clients that share a session. A client must neither commit
// nor roll back changes that the other client has staged.
func TestForeignTransaction(t *testing.T) {
	t.Parallel()
	a := spstest.NewServer(t)
	owner := testkit.Connect(t, a)
	err := owner.Transaction(t.Context(), func(ctx context.Context, tx *sps.Transaction) error {
		if err := testkit.SetAdmin(testkit.AdminAfter)(ctx, tx); err != nil {
			return err
		}
		id := testkit.SessionID(a)
		guest, err := sps.Connect(ctx, a.Addr(), sps.ExistingSession(sps.NewSecretString(id)), sps.WithCABundle(a.CA()))
		if err != nil {
			return err
		}
		if err := guest.Transaction(context.WithoutCancel(ctx), testkit.SetAdmin("guest@example.com")); !errors.Is(err, sps.ErrLocked) {
			t.Errorf("error %v, want ErrLocked", err)
		}
		if err := guest.Close(ctx); err != nil {
			t.Errorf("Close: %v", err)
		}
		testkit.Diff(t, "committed address during the transaction", testkit.AdminBefore, testkit.Admin(t, a))
		return nil
	})
	if err != nil {
		t.Error(err)
	}
	testkit.Settled(t, a, testkit.AdminAfter)
}

// TestCloseAfterFailedRollback checks that Close returns nil if the rollback fails and the
// log-out ends the transaction.
func TestCloseAfterFailedRollback(t *testing.T) {
	t.Parallel()
	a := spstest.NewServer(t)
	c, err := testkit.Dial(t.Context(), a)
	if err != nil {
		t.Fatal(err)
	}
	a.Inject(spstest.Fault{Method: "DELETE", Path: "transaction", Status: 500, Times: -1})
	err = c.Transaction(t.Context(), func(ctx context.Context, tx *sps.Transaction) error {
		if err := testkit.SetAdmin(testkit.AdminAfter)(ctx, tx); err != nil {
			return err
		}
		if err := c.Close(ctx); err != nil {
			t.Errorf("Close: %v", err)
		}
		return nil
	})
	if !errors.Is(err, sps.ErrClosed) {
		t.Errorf("error %v, want ErrClosed", err)
	}
	testkit.Settled(t, a, testkit.AdminBefore)
}
