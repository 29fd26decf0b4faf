package sessions

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/go-sps/sps"
	"github.com/go-sps/sps/internal/testkit"
	"github.com/go-sps/sps/spstest"
)

// TestOutage makes the appliance unreachable for a minute after the first write of a
// transaction. It checks that the next calls succeed when the appliance responds again, and
// that no read returns the staged values.
func TestOutage(t *testing.T) {
	t.Parallel()
	for name, next := range map[string]func(t *testing.T, c *sps.Client) error{
		"a transaction": func(t *testing.T, c *sps.Client) error { return nil },
		"a read": func(t *testing.T, c *sps.Client) error {
			email, err := c.Management.Email.Get(t.Context())
			if err == nil && email.Body.AdminAddress != testkit.AdminBefore {
				t.Errorf("a read returns the staged value %+v", email.Body)
			}
			return err
		},
		"a join": func(t *testing.T, c *sps.Client) error {
			return c.Starling.Join(t.Context(), sps.StarlingJoinRequest{CredentialString: sps.NewSecretString("credential")})
		},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			synctest.Test(t, func(t *testing.T) {
				a := spstest.NewServer(t, spstest.WithoutListener())
				defer a.Close()
				var out atomic.Bool
				c, err := sps.Connect(t.Context(), a.Addr(), sps.UsernamePassword(a.Username(), sps.NewSecretString(a.Password())),
					testkit.RoundTrip(func(r *http.Request) (*http.Response, error) {
						if out.Load() {
							return nil, errors.New("connection reset")
						}
						return a.RoundTrip(r)
					}))
				if err != nil {
					t.Fatal(err)
				}
				defer c.Close(context.Background())
				err = c.Transaction(t.Context(), func(ctx context.Context, tx *sps.Transaction) error {
					if err := testkit.SetAdmin("lost@example.com")(ctx, tx); err != nil {
						return err
					}
					out.Store(true)
					return testkit.SetAdmin("lost too@example.com")(ctx, tx)
				})
				if err == nil || errors.Is(err, sps.ErrOutcomeUnknown) {
					t.Errorf("error %v", err)
				}
				time.Sleep(time.Minute) // simulated time
				if !a.TransactionOpen() {
					t.Fatal("no transaction was left open, so the test does not test the cleanup")
				}
				out.Store(false)
				if err := next(t, c); err != nil {
					t.Errorf("the next call: %v", err)
				}
				if name != "a transaction" && a.TransactionOpen() {
					t.Error("the transaction is still open after the next call")
				}
				if err := c.Transaction(t.Context(), testkit.SetAdmin(testkit.AdminAfter)); err != nil {
					t.Errorf("the next transaction: %v", err)
				}
				testkit.Settled(t, a, testkit.AdminAfter)
			})
		})
	}
}

// TestOwnLockIsNamed checks that ErrLocked says that an earlier session of this client holds
// the lock, if the client could not release it.
func TestOwnLockIsNamed(t *testing.T) {
	t.Parallel()
	testkit.Bubble(t, func(t *testing.T, a *spstest.Appliance, c *sps.Client) {
		a.Inject(spstest.Fault{Method: "DELETE", Status: 500, Times: -1})
		boom := errors.New("boom")
		if err := c.Transaction(t.Context(), func(ctx context.Context, tx *sps.Transaction) error {
			return errors.Join(testkit.SetAdmin("lost@example.com")(ctx, tx), boom)
		}); !errors.Is(err, boom) || !strings.Contains(err.Error(), "hold the lock") {
			t.Errorf("error %v", err)
		}
		if err := c.Transaction(t.Context(), testkit.SetAdmin(testkit.AdminAfter)); !errors.Is(err, sps.ErrLocked) || !strings.Contains(err.Error(), "earlier session of this client") {
			t.Errorf("error %v", err)
		}
		if after, ok := sps.SafeToRetry(c.Transaction(t.Context(), testkit.SetAdmin(testkit.AdminAfter))); !ok || after <= 0 {
			t.Errorf("safe to retry after %s, %t, want the end of the session", after, ok)
		}
		before := len(a.Journal())
		for range 10 {
			if _, err := c.Firmware.Slots.List(t.Context()); err != nil {
				t.Error(err)
			}
		}
		if n := len(a.Journal()) - before; n > 20 {
			t.Errorf("ten reads in a row made %d requests: the client does not pause between attempts", n)
		}
		a.ClearFaults()
		if err := c.Close(t.Context()); err != nil {
			t.Error(err)
		}
		if a.TransactionOpen() || a.Sessions() > 0 {
			t.Error("a transaction or a session is left after Close")
		}
	})
}

// TestOneSession checks a client with WithOneSession, which uses one session for reads and
// transactions. After a rollback that failed, no call may return the staged values.
func TestOneSession(t *testing.T) {
	t.Parallel()
	for name, test := range map[string]struct {
		faults []spstest.Fault
		err    error // the error of the next call
		seen   string
	}{
		"rollback fails once":                        {[]spstest.Fault{{Method: "DELETE", Path: "transaction", Status: 500, Times: 1}}, nil, testkit.AdminBefore},
		"every rollback fails":                       {[]spstest.Fault{{Method: "DELETE", Path: "transaction", Status: 500, Times: -1}}, sps.ErrOutcomeUnknown, ""},
		"rollback fails once, status cannot be read": {[]spstest.Fault{{Method: "DELETE", Path: "transaction", Status: 500, Times: 1}, {Method: "GET", Path: "transaction", Status: 500, Times: -1}}, sps.ErrOutcomeUnknown, ""},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			testkit.Bubble(t, func(t *testing.T, a *spstest.Appliance, c *sps.Client) {
				for _, f := range test.faults {
					a.Inject(f)
				}
				err := c.Transaction(t.Context(), func(ctx context.Context, tx *sps.Transaction) error {
					if err := testkit.SetAdmin("lost@example.com")(ctx, tx); err != nil {
						return err
					}
					return errors.New("boom")
				})
				if err == nil {
					t.Fatal("no error")
				}
				email, err := c.Management.Email.Get(t.Context())
				switch {
				case test.err != nil && !errors.Is(err, test.err):
					t.Errorf("the next call: %+v, %v, want %v", email, err, test.err)
				case test.err == nil && (err != nil || email.Body.AdminAddress != test.seen):
					t.Errorf("the next call: %+v, %v", email, err)
				}
				a.ClearFaults()
				if email, err := c.Management.Email.Get(t.Context()); err != nil || email.Body.AdminAddress != testkit.AdminBefore {
					t.Errorf("a read after the faults: %+v, %v", email, err)
				}
				if err := c.Transaction(t.Context(), testkit.SetAdmin(testkit.AdminAfter)); err != nil {
					t.Error(err)
				}
				testkit.Settled(t, a, testkit.AdminAfter)
				diffSessions(t, a, 1)
			}, sps.WithOneSession())
		})
	}
}

func diffSessions(t *testing.T, a *spstest.Appliance, want int) {
	t.Helper()
	testkit.Diff(t, "sessions", want, a.Sessions())
}

// TestOneTimeCodeForTransactions checks that transactions use the session for reads if the
// password function returns codes that are valid for one login.
func TestOneTimeCodeForTransactions(t *testing.T) {
	t.Parallel()
	testkit.Bubble(t, func(t *testing.T, a *spstest.Appliance, _ *sps.Client) {
		asked := 0
		c, err := sps.Connect(t.Context(), a.Addr(), sps.PasswordFunc(a.Username(), func(context.Context) (sps.Secret, error) {
			if asked++; asked > 1 {
				return sps.NewSecretString("used already"), nil
			}
			return sps.NewSecretString(a.Password()), nil
		}), testkit.InProcess(a))
		if err != nil {
			t.Fatal(err)
		}
		defer c.Close(t.Context())
		for i := range 2 {
			if err := c.Transaction(t.Context(), testkit.SetAdmin(fmt.Sprintf("a%d@example.com", i))); err != nil {
				t.Errorf("transaction %d: %v", i, err)
			}
		}
		if _, err := c.Firmware.Slots.List(t.Context()); err != nil {
			t.Errorf("a read: %v", err)
		}
		testkit.Diff(t, "logins", 2, asked)
		testkit.Settled(t, a, "a1@example.com")
	})
}

// TestOneLoginAfterPasswordChange checks that both sessions of a client together make one login
// attempt after the password has changed.
func TestOneLoginAfterPasswordChange(t *testing.T) {
	t.Parallel()
	testkit.Bubble(t, func(t *testing.T, a *spstest.Appliance, c *sps.Client) {
		a.SetPassword(a.Username(), "another")
		a.ResetJournal()
		if err := c.Transaction(t.Context(), testkit.SetAdmin(testkit.AdminAfter)); !errors.Is(err, sps.AuthenticationFailure) {
			t.Errorf("a transaction: %v, want AuthenticationFailure", err)
		}
		if _, err := c.Firmware.Slots.List(t.Context()); err != nil {
			t.Errorf("a read in the session that is still alive: %v", err)
		}
		a.ExpireSessions()
		if _, err := c.Firmware.Slots.List(t.Context()); !errors.Is(err, sps.AuthenticationFailure) {
			t.Errorf("a read after that session has ended: %v, want AuthenticationFailure", err)
		}
		testkit.Diff(t, "logins", 1, logins(a))
	})
}

// TestWriteSessionEnds ends the session of one request of a transaction, for each of its
// requests in turn. It checks that the transaction succeeds or returns ErrTransactionLost,
// that none of its changes is applied in the second case, and that no transaction and no lock
// is left.
func TestWriteSessionEnds(t *testing.T) {
	t.Parallel()
	for name, test := range map[string]struct {
		method, path string
		skip         int
		want         error // nil if the transaction succeeds
	}{
		"a read before the first write": {"GET", "configuration/**", 0, nil},
		"the opening":                   {"POST", "transaction", 0, nil},
		"the first write":               {"PUT", "configuration/**", 0, sps.ErrTransactionLost},
		"the second write":              {"PUT", "configuration/**", 1, sps.ErrTransactionLost},
		"a read after the first write":  {"GET", "configuration/management/snmp/trap", 0, sps.ErrTransactionLost},
		"the repeated read":             {"GET", "configuration/management/email", 1, nil}, // sent in the session for reads
		"the read of the changes":       {"GET", "transaction/changes", 0, sps.ErrTransactionLost},
		"the commit":                    {"PUT", "transaction", 0, sps.ErrTransactionLost},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			testkit.Bubble(t, func(t *testing.T, a *spstest.Appliance, c *sps.Client) {
				a.Inject(spstest.Fault{Method: test.method, Path: test.path, Skip: test.skip, ExpireSession: true})
				err := c.Transaction(t.Context(), func(ctx context.Context, tx *sps.Transaction) error {
					if err := testkit.SetAdmin("first@example.com")(ctx, tx); err != nil {
						return err
					}
					if _, err := tx.Management.SNMP.Trap.Get(ctx); err != nil {
						return err
					}
					return testkit.SetAdmin(testkit.AdminAfter)(ctx, tx)
				})
				want := testkit.AdminAfter
				if test.want != nil {
					want = testkit.AdminBefore
				}
				if !errors.Is(err, test.want) {
					t.Errorf("error %v, want %v", err, test.want)
				}
				testkit.Settled(t, a, want)
				if err := c.Transaction(t.Context(), testkit.SetAdmin("last@example.com")); err != nil {
					t.Errorf("the next transaction: %v", err)
				}
				testkit.Settled(t, a, "last@example.com")
			})
		})
	}
}

// TestRawJoinWaitsForTransaction checks that a raw request to join or unjoin Starling waits for a
// transaction of the client, and returns ErrNested inside of it.
func TestRawJoinWaitsForTransaction(t *testing.T) {
	t.Parallel()
	a := spstest.NewServer(t)
	c := testkit.Connect(t, a)
	join := map[string]any{"credential_string": "c", "product_instance": "p", "environment": "prod"}
	err := c.Transaction(t.Context(), func(ctx context.Context, tx *sps.Transaction) error {
		if err := testkit.SetAdmin(testkit.AdminAfter)(ctx, tx); err != nil {
			return err
		}
		if _, err := c.Invoke(ctx, "POST", "starling/join", join); !errors.Is(err, sps.ErrNested) {
			t.Errorf("a join inside the transaction: %v, want ErrNested", err)
		}
		done, cancel := context.WithTimeout(t.Context(), 50*time.Millisecond)
		defer cancel()
		if _, err := c.Invoke(done, "DELETE", "starling/join", nil); !errors.Is(err, context.DeadlineExceeded) {
			t.Errorf("a join outside of the transaction: %v, want that the join waits", err)
		}
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	if _, err := c.Invoke(t.Context(), "POST", "starling/join", join); err != nil {
		t.Errorf("a join after the transaction: %v", err)
	}
}

// TestCancelOrCloseAtEachRequest cancels the context or closes the client at each request of a
// transaction in turn, before the request is sent or after it was executed. It checks that the
// returned error agrees with the configuration of the appliance an hour later, and that no
// transaction is left. No session may be left either, unless the response to its login was
// lost.
func TestCancelOrCloseAtEachRequest(t *testing.T) {
	t.Parallel()
	for _, how := range []string{"ctx", "Close"} {
		for _, executed := range []bool{false, true} {
			for _, one := range []bool{false, true} {
				for n := range 9 {
					t.Run(fmt.Sprintf("%s at request %d, executed: %t, one session: %t", how, n, executed, one), func(t *testing.T) {
						t.Parallel()
						synctest.Test(t, func(t *testing.T) { endsAt(t, how, n, executed, one) })
					})
				}
			}
		}
	}
}

func endsAt(t *testing.T, how string, n int, executed, one bool) {
	a := spstest.NewServer(t, spstest.WithoutListener())
	defer a.Close()
	ctx, cancel := context.WithCancel(t.Context())
	defer cancel()
	var c *sps.Client
	var closing sync.WaitGroup
	end := func() {
		if how == "ctx" {
			cancel()
			return
		}
		closing.Go(func() { _ = c.Close(context.Background()) })
		synctest.Wait()
	}
	var counting atomic.Bool
	var seen atomic.Int32
	options := []sps.Option{testkit.RoundTrip(func(r *http.Request) (*http.Response, error) {
		mine := counting.Load() && int(seen.Add(1))-1 == n
		if mine && !executed {
			end()
			<-r.Context().Done()
			return nil, r.Context().Err()
		}
		resp, err := a.RoundTrip(r.WithContext(context.WithoutCancel(r.Context())))
		if mine {
			end()
			<-r.Context().Done()
			return nil, r.Context().Err()
		}
		return resp, err
	})}
	if one {
		options = append(options, sps.WithOneSession())
	}
	var err error
	if c, err = sps.Connect(t.Context(), a.Addr(), sps.UsernamePassword(a.Username(), sps.NewSecretString(a.Password())), options...); err != nil {
		t.Fatal(err)
	}
	counting.Store(true)
	err = c.Transaction(ctx, func(ctx context.Context, tx *sps.Transaction) error {
		if err := testkit.SetAdmin("first@example.com")(ctx, tx); err != nil {
			return err
		}
		return testkit.SetAdmin(testkit.AdminAfter)(ctx, tx)
	})
	counting.Store(false)
	closing.Wait()
	time.Sleep(time.Hour) // simulated time
	now := testkit.Admin(t, a)
	switch {
	case err == nil && now != testkit.AdminAfter:
		t.Errorf("no error, and the address is %s", now)
	case err != nil && !errors.Is(err, sps.ErrOutcomeUnknown) && now != testkit.AdminBefore:
		t.Errorf("error %v, and the address is %s", err, now)
	}
	if a.TransactionOpen() || a.LockedBy() != "" {
		t.Error("a transaction is still open")
	}
	closed := c.Close(context.Background())
	left := 0 // the number of sessions that the client has not logged out
	for _, r := range a.Journal() {
		if r.Method == "GET" && r.Path == "/api/authentication" && r.Executed {
			left++
		}
		if r.Method == "DELETE" && r.Path == "/api/authentication" && r.Executed {
			left--
		}
	}
	if lost := executed && n == 1 && !one; left != 0 && !lost || left > 1 || closed != nil && !(how == "Close" && n == 1 && !one) {
		t.Errorf("Close: %v; sessions left: %d", closed, left)
	}
}

// TestNotAnAppliance checks a login whose response comes from another HTTP server. The client
// must not treat the credential as rejected, and must log in again at the next call.
func TestNotAnAppliance(t *testing.T) {
	t.Parallel()
	for name, test := range map[string]struct {
		fault spstest.Fault
		says  string
	}{
		"HTML page with 200": {spstest.Fault{Status: 200, Body: "<html>Welcome", ContentType: "text/html"}, "is this the address of an SPS appliance?"},
		"HTML page with 403": {spstest.Fault{Status: 403, Body: "<html>Blocked", ContentType: "text/html"}, "text/html"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			a := spstest.NewServer(t)
			test.fault.Method, test.fault.Path = "GET", "authentication"
			a.Inject(test.fault)
			if _, err := testkit.Dial(t.Context(), a); err == nil || !strings.Contains(err.Error(), test.says) || strings.Contains(err.Error(), "does not log in again") {
				t.Errorf("error %v", err)
			}
			c := testkit.Connect(t, a)
			a.ExpireSessions()
			a.Inject(test.fault)
			if _, err := c.Firmware.Slots.List(t.Context()); err == nil {
				t.Error("no error")
			}
			if _, err := c.Firmware.Slots.List(t.Context()); err != nil {
				t.Errorf("a read after the fault: %v", err)
			}
		})
	}
}

// TestLoginBrokenThenRejected checks a client for which the connection breaks after the
// cookie of the first login responses, and whose next login is rejected. The client must log
// out the sessions of the first logins.
func TestLoginBrokenThenRejected(t *testing.T) {
	t.Parallel()
	for status, body := range map[int]string{503: "", 403: `{"error":{"type":"ForbiddenActionError"}}`} {
		synctest.Test(t, func(t *testing.T) {
			a := spstest.NewServer(t, spstest.WithoutListener())
			defer a.Close()
			a.Inject(spstest.Fault{Method: "GET", Path: "authentication", Truncate: 1, Times: 2})
			a.Inject(spstest.Fault{Method: "GET", Path: "authentication", Status: status, Body: body, Times: -1})
			_, err := sps.Connect(t.Context(), a.Addr(), sps.UsernamePassword(a.Username(), sps.NewSecretString(a.Password())), testkit.InProcess(a))
			if !errors.Is(err, sps.Status(status)) {
				t.Errorf("error %v, want status %d", err, status)
			}
			testkit.Diff(t, "sessions left", 0, a.Sessions())
		})
	}
}
