package sessions

import (
	"context"
	"crypto/tls"
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

// vault provides a password function whose password can change.
type vault struct {
	password atomic.Pointer[string]
	asked    atomic.Int32
}

func newVault(password string) *vault {
	v := &vault{}
	v.set(password)
	return v
}

func (v *vault) set(password string) { v.password.Store(&password) }

func (v *vault) get(context.Context) (sps.Secret, error) {
	v.asked.Add(1)
	return sps.NewSecretString(*v.password.Load()), nil
}

// withVault runs a test in a synctest bubble with a client that takes its password from a
// vault.
func withVault(t *testing.T, test func(t *testing.T, a *spstest.Appliance, c *sps.Client, v *vault), options ...sps.Option) {
	t.Helper()
	synctest.Test(t, func(t *testing.T) {
		a := spstest.NewServer(t, spstest.WithoutListener())
		defer a.Close()
		v := newVault(a.Password())
		c, err := sps.Connect(t.Context(), a.Addr(), sps.PasswordFunc(a.Username(), v.get), append([]sps.Option{testkit.InProcess(a)}, options...)...)
		if err != nil {
			t.Fatal(err)
		}
		defer c.Close(context.Background())
		a.ResetJournal()
		v.asked.Store(0)
		test(t, a, c, v)
	})
}

// refusedSlots lists the slots. It checks that the call returns AuthenticationFailure with an
// error text that contains says.
func refusedSlots(t *testing.T, c *sps.Client, says string) {
	t.Helper()
	if _, err := c.Firmware.Slots.List(t.Context()); !errors.Is(err, sps.AuthenticationFailure) || !strings.Contains(fmt.Sprint(err), says) {
		t.Errorf("error %v, want AuthenticationFailure with %q", err, says)
	}
}

// TestPasswordFuncReturnsOldPassword changes the password on the appliance before the vault
// returns the new password. It checks that the client does not send the rejected password
// again, and that it logs in as soon as the vault returns the new password.
func TestPasswordFuncReturnsOldPassword(t *testing.T) {
	t.Parallel()
	withVault(t, func(t *testing.T, a *spstest.Appliance, c *sps.Client, v *vault) {
		a.SetPassword(a.Username(), "rotated")
		a.ExpireSessions()
		for i, err := range together(func(int) error { _, err := c.Firmware.Slots.List(t.Context()); return err }) {
			if !errors.Is(err, sps.AuthenticationFailure) {
				t.Errorf("call %d: %v", i, err)
			}
		}
		testkit.Diff(t, "logins of many goroutines", 1, logins(a))
		for range 100 { // one hour of calls, as a metrics exporter could make them
			refusedSlots(t, c, "accepted before")
			time.Sleep(36 * time.Second) // simulated time
		}
		refusedSlots(t, c, "WithLoginRetry")
		testkit.Diff(t, "logins with the refused password", 1, logins(a))
		if err := c.Err(); err != nil {
			t.Errorf("Err is %v while the password function may still return another password", err)
		}
		v.asked.Store(0)
		for range 4 {
			refusedSlots(t, c, "")
		}
		testkit.Diff(t, "calls of the function at once", int32(0), v.asked.Load())
		v.set("rotated")
		time.Sleep(5 * time.Second)
		if _, err := c.Firmware.Slots.List(t.Context()); err != nil {
			t.Errorf("a read after the vault has the new password: %v", err)
		}
		if err := c.Transaction(t.Context(), testkit.SetAdmin(testkit.AdminAfter)); err != nil {
			t.Errorf("a transaction after the vault has the new password: %v", err)
		}
		testkit.Diff(t, "logins", 3, logins(a))
	})
}

// TestThreeRejectedLogins checks a password function that returns only wrong passwords. The client
// must make three login attempts in total for both of its sessions, at least 5 seconds apart.
func TestThreeRejectedLogins(t *testing.T) {
	t.Parallel()
	for name, write := range map[string]bool{"reading": false, "reading and writing": true} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			withVault(t, func(t *testing.T, a *spstest.Appliance, c *sps.Client, v *vault) {
				a.SetPassword(a.Username(), "rotated")
				a.ExpireSessions()
				var at []time.Time
				for i := range 200 {
					v.set(fmt.Sprintf("wrong %d", i))
					before := logins(a)
					var err error
					if write && i%2 == 1 {
						err = c.Transaction(t.Context(), testkit.SetAdmin(testkit.AdminAfter))
					} else {
						_, err = c.Firmware.Slots.List(t.Context())
					}
					if !errors.Is(err, sps.AuthenticationFailure) {
						t.Fatalf("call %d: %v", i, err)
					}
					if logins(a) > before {
						at = append(at, time.Now())
					}
					if dead := c.Err(); (dead != nil) != (len(at) == 3) {
						t.Errorf("call %d: Err after %d refusals: %v", i, len(at), dead)
					}
					time.Sleep(time.Second)
				}
				if len(at) != 3 || at[1].Sub(at[0]) < 5*time.Second || at[2].Sub(at[1]) < 5*time.Second {
					t.Errorf("logins at %v, want three, 5 s apart", at)
				}
				if err := c.Err(); !errors.Is(err, sps.AuthenticationFailure) || !strings.Contains(err.Error(), "3 logins in a row were refused") {
					t.Errorf("Err: %v", err)
				}
				v.set("rotated")
				refusedSlots(t, c, "3 logins in a row")
			})
		})
	}
}

// TestLoginResetsRejections checks that a successful login resets the count of rejected logins.
func TestLoginResetsRejections(t *testing.T) {
	t.Parallel()
	withVault(t, func(t *testing.T, a *spstest.Appliance, c *sps.Client, v *vault) {
		for i := range 5 {
			a.SetPassword(a.Username(), fmt.Sprintf("rotated %d", i))
			a.ExpireSessions()
			refusedSlots(t, c, "accepted before")
			time.Sleep(10 * time.Second)
			v.set(fmt.Sprintf("rotated %d", i))
			if _, err := c.Firmware.Slots.List(t.Context()); err != nil {
				t.Fatalf("after password change %d: %v", i, err)
			}
		}
		testkit.Diff(t, "logins", 10, logins(a))
	})
}

// TestUsedOneTimeCode checks a password function that returns the same one-time code until the
// next code is valid. The client must send a used code only once.
func TestUsedOneTimeCode(t *testing.T) {
	t.Parallel()
	withVault(t, func(t *testing.T, a *spstest.Appliance, c *sps.Client, v *vault) {
		a.SetPassword(a.Username(), "second code")
		a.ExpireSessions()
		for range 5 {
			refusedSlots(t, c, "another password")
			time.Sleep(6 * time.Second)
		}
		v.set("second code")
		if _, err := c.Firmware.Slots.List(t.Context()); err != nil {
			t.Errorf("a read with the next one-time code: %v", err)
		}
		testkit.Diff(t, "logins", 2, logins(a))
	})
}

// TestLoginRetryDuringRestart calls an appliance that rejects the right password for ten minutes
// while it starts. It checks that the client then works again with WithLoginRetry, and stays
// unusable without it.
func TestLoginRetryDuringRestart(t *testing.T) {
	t.Parallel()
	const every = 2 * time.Minute
	for name, test := range map[string]struct {
		options  []sps.Option
		recovers bool
		logins   int
		says     string
	}{
		"without WithLoginRetry": {nil, false, 1, "the client does not log in again: connect again with the correct credential, or pass WithLoginRetry"},
		"with WithLoginRetry":    {[]sps.Option{sps.WithLoginRetry(every)}, true, 6, "the client logs in again after 2m0s, see WithLoginRetry"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			testkit.Bubble(t, func(t *testing.T, a *spstest.Appliance, c *sps.Client) {
				a.ExpireSessions()
				a.Inject(spstest.Fault{Method: "GET", Path: "authentication", Status: 401, Body: `{"error":{"type":"AuthenticationFailure"}}`, Times: -1})
				a.ResetJournal()
				start, last := time.Now(), 0
				var at time.Time
				for time.Since(start) < 10*time.Minute {
					refusedSlots(t, c, "the same password was accepted before")
					refusedSlots(t, c, test.says)
					if n := logins(a); n > last {
						if n > 1 && time.Since(at) < every {
							t.Errorf("login %d came only %s after the login before it", n, time.Since(at))
						}
						last, at = n, time.Now()
					}
					if dead := c.Err(); (dead == nil) != test.recovers {
						t.Errorf("Err: %v", dead)
					}
					time.Sleep(15 * time.Second)
				}
				a.ClearFaults()
				time.Sleep(every)
				if _, err := c.Firmware.Slots.List(t.Context()); (err == nil) != test.recovers {
					t.Errorf("after the appliance has started: %v", err)
				}
				testkit.Diff(t, "logins", test.logins, logins(a))
			}, test.options...)
		})
	}
}

// TestFirstLoginRejected checks the error if the first login is rejected. The error must not
// say that the password was accepted before. The error of Connect must not announce another
// attempt.
func TestFirstLoginRejected(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		a := spstest.NewServer(t, spstest.WithoutListener())
		defer a.Close()
		credential := sps.PasswordFunc(a.Username(), newVault("wrong").get)
		_, err := sps.Connect(t.Context(), a.Addr(), credential, testkit.InProcess(a))
		if !errors.Is(err, sps.AuthenticationFailure) || strings.Contains(err.Error(), "again") || strings.Contains(err.Error(), "before") {
			t.Errorf("Connect: %v", err)
		}
		c, err := sps.NewClient(a.Addr(), credential, testkit.InProcess(a))
		if err != nil {
			t.Fatal(err)
		}
		_, err = c.Info(t.Context())
		if !errors.Is(err, sps.AuthenticationFailure) || !strings.Contains(err.Error(), "logs in again when the password function") || strings.Contains(err.Error(), "before") {
			t.Errorf("the first call: %v", err)
		}
		if err := c.Close(t.Context()); err != nil {
			t.Error(err)
		}
	})
}

// TestCertificateRefused checks that a rejected client certificate is treated like a rejected
// fixed password.
func TestCertificateRefused(t *testing.T) {
	t.Parallel()
	_, certificate := testkit.ClientCertificate(t, "operator")
	for name, test := range map[string]struct {
		options []sps.Option
		logins  int
	}{"without WithLoginRetry": {nil, 1}, "with it": {[]sps.Option{sps.WithLoginRetry(time.Minute)}, 10}} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			synctest.Test(t, func(t *testing.T) { certificateRefused(t, certificate, test.logins, test.options...) })
		})
	}
}

func certificateRefused(t *testing.T, certificate tls.Certificate, want int, options ...sps.Option) {
	sent := 0
	c, err := sps.NewClient("appliance.test", sps.ClientCertificate(certificate), append(options, testkit.RoundTrip(func(r *http.Request) (*http.Response, error) {
		sent++
		return testkit.Answer(r, 401, nil, `{"error":{"type":"AuthenticationFailure"}}`), nil
	}))...)
	if err != nil {
		t.Fatal(err)
	}
	for range 40 {
		refusedSlots(t, c, "")
		time.Sleep(15 * time.Second) // simulated time
	}
	testkit.Diff(t, "logins", want, sent)
	if dead := c.Err(); (dead != nil) != (want == 1) {
		t.Errorf("Err: %v", dead)
	}
}

// TestClientErr checks that Client.Err returns nil while the client can be used, and otherwise the
// error that made the client unusable.
func TestClientErr(t *testing.T) {
	t.Parallel()
	a := spstest.NewServer(t)
	c, err := testkit.Dial(t.Context(), a)
	if err != nil {
		t.Fatal(err)
	}
	if err := c.Err(); err != nil {
		t.Errorf("Err of a new client: %v", err)
	}
	a.Inject(spstest.Fault{Path: "firmware/slots", Status: 500, Times: -1})
	if _, err := c.Firmware.Slots.List(t.Context()); err == nil || c.Err() != nil {
		t.Errorf("after a failed call: %v, Err: %v", err, c.Err())
	}
	a.SetPassword(a.Username(), "another")
	if err := c.Transaction(t.Context(), testkit.SetAdmin(testkit.AdminAfter)); !errors.Is(err, sps.AuthenticationFailure) || c.Err() != nil {
		t.Errorf("while the session for reads is alive: %v, Err: %v", err, c.Err())
	}
	a.ExpireSessions()
	if _, err := c.Info(t.Context()); !errors.Is(err, sps.AuthenticationFailure) || !errors.Is(c.Err(), sps.AuthenticationFailure) {
		t.Errorf("after the password has changed: %v, Err: %v", err, c.Err())
	}
	c.Close(t.Context())
	if err := c.Err(); !errors.Is(err, sps.ErrClosed) {
		t.Errorf("Err after Close: %v", err)
	}

	c, err = sps.Connect(t.Context(), a.Addr(), sps.ExistingSession(sps.NewSecretString("gone")), sps.WithCABundle(a.CA()))
	if err != nil || c.Err() != nil {
		t.Fatalf("an existing session: %v, Err: %v", err, c.Err())
	}
	if _, err := c.Info(t.Context()); !errors.Is(err, sps.Unauthenticated) || !errors.Is(c.Err(), sps.Unauthenticated) {
		t.Errorf("after the existing session has ended: %v, Err: %v", err, c.Err())
	}
}

// TestLoginRetryRefused checks that WithLoginRetry rejects intervals that could lock an
// account.
func TestLoginRetryRefused(t *testing.T) {
	t.Parallel()
	for _, every := range []time.Duration{-time.Hour, 0, time.Second, time.Minute - 1} {
		if _, err := sps.NewClient("appliance.test", sps.UsernamePassword("u", sps.NewSecretString("p")), sps.WithLoginRetry(every)); !errors.Is(err, sps.ErrInvalidInput) {
			t.Errorf("%s: %v", every, err)
		}
	}
}

// TestNoOneTimeCode checks a client whose second login is rejected because the appliance is
// starting. A password function may also return one-time codes, which are rejected at the
// second use, so the client must not conclude from one rejection that its password is such a
// code. Transactions must run in a session of their own as soon as the appliance accepts the
// same password again.
func TestNoOneTimeCode(t *testing.T) {
	t.Parallel()
	refusal := spstest.Fault{Method: "GET", Path: "authentication", Status: 401, Body: `{"error":{"type":"AuthenticationFailure"}}`}
	for name, test := range map[string]struct {
		written bool // whether the client wrote before the first rejection
		want    error
	}{
		"first write during the rejection": {false, nil}, // the transaction uses the session for reads
		"write before the rejection":       {true, sps.AuthenticationFailure},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			withVault(t, func(t *testing.T, a *spstest.Appliance, c *sps.Client, v *vault) {
				if test.written {
					if err := c.Transaction(t.Context(), testkit.SetAdmin("first@example.com")); err != nil {
						t.Fatal(err)
					}
					a.ExpireSessions()
					if _, err := c.Firmware.Slots.List(t.Context()); err != nil {
						t.Fatal(err)
					}
				}
				a.Inject(refusal)
				if err := c.Transaction(t.Context(), testkit.SetAdmin(testkit.AdminAfter)); !errors.Is(err, test.want) {
					t.Errorf("while the appliance starts: %v, want %v", err, test.want)
				}
				a.ExpireSessions()
				time.Sleep(2 * time.Minute) // simulated time
				if _, err := c.Firmware.Slots.List(t.Context()); err != nil {
					t.Errorf("after the appliance has started: %v", err)
				}
				if err := c.Transaction(t.Context(), testkit.SetAdmin("last@example.com")); err != nil {
					t.Errorf("after the appliance has started: %v", err)
				}
				diffSessions(t, a, 2)
				testkit.Settled(t, a, "last@example.com")
			}, sps.WithLoginRetry(time.Minute))
		})
	}
}

// TestManyCallsDuringVersionWait makes many calls during WaitForVersion, in which the client
// may send a rejected password again. It checks that the calls cause no additional login
// attempts, which could lock the account.
func TestManyCallsDuringVersionWait(t *testing.T) {
	t.Parallel()
	testkit.Bubble(t, func(t *testing.T, a *spstest.Appliance, c *sps.Client) {
		info, err := c.Info(t.Context())
		if err != nil {
			t.Fatal(err)
		}
		a.ExpireSessions()
		a.Inject(spstest.Fault{Method: "GET", Path: "authentication", Status: 401, Body: `{"error":{"type":"AuthenticationFailure"}}`, Times: -1})
		a.ResetJournal()
		ctx, cancel := context.WithCancel(t.Context())
		var crowd sync.WaitGroup
		for range 20 {
			crowd.Go(func() {
				for ctx.Err() == nil {
					time.Sleep(time.Second) // simulated time, in which WaitForVersion begins
					c.Firmware.Slots.List(ctx)
				}
			})
		}
		start := time.Now()
		time.AfterFunc(50*time.Second, a.ClearFaults)
		if _, err := c.Firmware.WaitForVersion(t.Context(), info.FirmwareVersion); err != nil {
			t.Error(err)
		}
		cancel()
		crowd.Wait()
		if n, took := logins(a), time.Since(start); n > 6 || took > 2*time.Minute {
			t.Errorf("%d logins in %s", n, took)
		}
	})
}

// TestRefusedWaitNamesHostOnce checks that the error of a wait whose login is refused names the
// appliance once.
func TestRefusedWaitNamesHostOnce(t *testing.T) {
	t.Parallel()
	testkit.Bubble(t, func(t *testing.T, a *spstest.Appliance, c *sps.Client) {
		a.SetPassword(a.Username(), "changed")
		a.ExpireSessions()
		err := c.WaitReady(t.Context())
		if !errors.Is(err, sps.AuthenticationFailure) || strings.Count(err.Error(), a.Addr()) != 1 || strings.Count(err.Error(), "sps:") != 1 {
			t.Errorf("error %v", err)
		}
	})
}
