package transactions

import (
	"context"
	"errors"
	"net/http"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/go-sps/sps"
	"github.com/go-sps/sps/internal/testkit"
	"github.com/go-sps/sps/spstest"
)

const trapPath = "configuration/management/snmp/trap"

func disableTrap(ctx context.Context, tx *sps.Transaction) error {
	return tx.Management.SNMP.Trap.Update(ctx, func(s *sps.SNMPTrap) error {
		s.Enabled = !s.Enabled
		s.Version.Value.Community = sps.NewSecretString("tr0ub4dor")
		return nil
	})
}

// TestLateStepInOneSession checks a write that the appliance executes late, during the next
// transaction in the same session. The next transaction must not commit the late write.
func TestLateStepInOneSession(t *testing.T) {
	t.Parallel()
	for name, write := range map[string]func(context.Context, *sps.Transaction) error{
		"another object": func(ctx context.Context, tx *sps.Transaction) error {
			_, err := tx.TrustStores.Create(ctx, sps.NewTrustStore("second"))
			return err
		},
		"the same object": testkit.SetAdmin("second@example.com"),
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			synctest.Test(t, func(t *testing.T) { lateStepInOneSession(t, write) })
		})
	}
}

func lateStepInOneSession(t *testing.T, write func(context.Context, *sps.Transaction) error) {
	a := spstest.NewServer(t, spstest.WithoutListener())
	l := &lateAppliance{a: a, method: "PUT", path: "configuration/management/email", cut: time.Second, runs: 10 * time.Second, once: true}
	c, err := sps.Connect(t.Context(), a.Addr(), sps.UsernamePassword(a.Username(), sps.NewSecretString(a.Password())),
		sps.WithOneSession(), sps.WithTransport(func(http.RoundTripper) http.RoundTripper { return l }))
	if err != nil {
		t.Fatal(err)
	}
	defer c.Close(t.Context())
	defer l.late.Wait()
	if err := c.Transaction(t.Context(), testkit.SetAdmin(testkit.AdminAfter)); err == nil {
		t.Fatal("no error")
	}
	second := func() error {
		return c.Transaction(t.Context(), func(ctx context.Context, tx *sps.Transaction) error {
			if err := write(ctx, tx); err != nil {
				return err
			}
			time.Sleep(20 * time.Second)
			return nil
		})
	}
	if err := second(); !errors.Is(err, sps.ErrConflict) || !strings.Contains(err.Error(), "delayed request") {
		t.Errorf("error %v, want ErrConflict that names the delayed request", err)
	}
	testkit.Settled(t, a, testkit.AdminBefore)
	if err := second(); err != nil {
		t.Errorf("the transaction when it is run again: %v", err)
	}
}

// TestSecretOfAnotherStep writes a secret in one step of a transaction, and the appliance
// repeats the secret in its response to a later request. The returned error must not contain
// the secret.
func TestSecretOfAnotherStep(t *testing.T) {
	t.Parallel()
	for _, path := range []string{"PUT transaction", "PUT configuration/management/email"} {
		t.Run(path, func(t *testing.T) {
			t.Parallel()
			testkit.Bubble(t, func(t *testing.T, a *spstest.Appliance, c *sps.Client) {
				method, path, _ := strings.Cut(path, " ")
				a.Inject(spstest.Fault{Method: method, Path: path, Status: 400, Body: `{"error":{"type":"SemanticError","message":"bad tr0ub4dor"}}`})
				err := c.Transaction(t.Context(), func(ctx context.Context, tx *sps.Transaction) error {
					if err := disableTrap(ctx, tx); err != nil {
						return err
					}
					return testkit.SetAdmin(testkit.AdminAfter)(ctx, tx)
				})
				if !errors.Is(err, sps.SemanticError) || strings.Contains(err.Error(), "tr0ub") {
					t.Errorf("error %v", err)
				}
			})
		})
	}
}

// TestLostCommitWithSecret checks a commit that wrote a secret and whose response is lost. The
// client must find out the outcome even if the appliance returns the secret in another form.
func TestLostCommitWithSecret(t *testing.T) {
	t.Parallel()
	for _, shown := range []string{`"********"`, `null`, `{"key":"p1","meta":{"href":"/api/configuration/passwords/p1"}}`} {
		t.Run(shown, func(t *testing.T) {
			t.Parallel()
			testkit.Bubble(t, func(t *testing.T, a *spstest.Appliance, c *sps.Client) {
				a.Inject(spstest.Fault{Method: "PUT", Path: "transaction", CutAfter: true})
				a.Inject(spstest.Fault{Method: "GET", Path: trapPath, Times: -1, Mutate: func(body []byte) []byte {
					return []byte(strings.ReplaceAll(string(body), `"tr0ub4dor"`, shown))
				}})
				if err := c.Transaction(t.Context(), disableTrap); err != nil {
					t.Errorf("error %v, although the commit was executed", err)
				}
			})
		})
	}
	testkit.Bubble(t, func(t *testing.T, a *spstest.Appliance, c *sps.Client) {
		a.Inject(spstest.Fault{Method: "PUT", Path: "transaction", CutBefore: true})
		if err := c.Transaction(t.Context(), disableTrap); err == nil {
			t.Error("a commit that was never executed is reported as a success")
		}
	})
}

// TestPasswordConflict checks that the client recognizes the error type Conflict even if the
// password of the client, which is hidden in error texts, is the same word or a similar one.
func TestPasswordConflict(t *testing.T) {
	t.Parallel()
	for _, password := range []string{"Conflict", "Failed", "auth"} {
		t.Run(password, func(t *testing.T) {
			t.Parallel()
			testkit.BubbleOf(t, func(t *testing.T, a *spstest.Appliance, c *sps.Client) {
				a.Inject(spstest.Fault{Method: "PUT", Path: "transaction", Execute: true, Status: 409, Body: `{"error":{"type":"Conflict","message":"no transaction"}}`})
				if err := c.Transaction(t.Context(), testkit.SetAdmin(testkit.AdminAfter)); err != nil {
					t.Errorf("error %v, although the commit was executed", err)
				}
				testkit.Settled(t, a, testkit.AdminAfter)
			}, spstest.WithCredentials("admin", password))
		})
	}
}

// TestMissingReference checks a 404 in response to an update. The error must be ErrConflict if
// the updated object does not exist, and must not be ErrConflict if an object that it refers to
// does not exist.
func TestMissingReference(t *testing.T) {
	t.Parallel()
	for details, want := range map[string]error{
		`{"mount_point":"/configuration/policies/time_policies","resource":"9"}`: nil,
		`{"mount_point":"/configuration/management","resource":"email"}`:         sps.ErrConflict,
		`null`: nil,
	} {
		testkit.Bubble(t, func(t *testing.T, a *spstest.Appliance, c *sps.Client) {
			a.Inject(spstest.Fault{Method: "PUT", Path: "configuration/management/email", Status: 404, Body: `{"error":{"type":"ResourceNotFound","message":"Resource was not found","details":` + details + `}}`})
			err := c.Transaction(t.Context(), testkit.SetAdmin(testkit.AdminAfter))
			if !errors.Is(err, sps.ResourceNotFound) || errors.Is(err, sps.ErrConflict) != (want != nil) {
				t.Errorf("%s: error %v", details, err)
			}
		})
	}
}

// TestLockWaitInErrorText checks that the text of ErrLocked contains the time that the caller
// passed to WithLockWait.
func TestLockWaitInErrorText(t *testing.T) {
	t.Parallel()
	for limit, want := range map[time.Duration]string{700 * time.Millisecond: "waited 700ms", 0: "waited 0s"} {
		testkit.Bubble(t, func(t *testing.T, a *spstest.Appliance, c *sps.Client) {
			a.LockConfiguration("somebody")
			err := c.Transaction(t.Context(), testkit.SetAdmin(testkit.AdminAfter), sps.WithLockWait(limit))
			if !errors.Is(err, sps.ErrLocked) || !strings.HasSuffix(err.Error(), want) {
				t.Errorf("error %v, want %q at its end", err, want)
			}
		})
	}
}

// TestLeftTransactionIsNamedOnce lets the appliance refuse each rollback of a client with one
// session. It checks that the next call returns ErrOutcomeUnknown with the refusal, and that the
// text names the appliance once.
func TestLeftTransactionIsNamedOnce(t *testing.T) {
	t.Parallel()
	testkit.Bubble(t, func(t *testing.T, a *spstest.Appliance, c *sps.Client) {
		a.Inject(spstest.Fault{Method: "DELETE", Path: "transaction", Status: 403, Times: -1, Body: `{"error":{"type":"OpenTransactionError","message":"locked"}}`})
		boom := errors.New("boom")
		if err := c.Transaction(t.Context(), func(ctx context.Context, tx *sps.Transaction) error {
			return errors.Join(testkit.SetAdmin(testkit.AdminAfter)(ctx, tx), boom)
		}); !errors.Is(err, boom) {
			t.Errorf("the transaction: %v", err)
		}
		_, err := c.Info(t.Context())
		if !errors.Is(err, sps.ErrOutcomeUnknown) || !errors.Is(err, sps.OpenTransactionError) || strings.Count(err.Error(), a.Addr()) != 1 || strings.Count(err.Error(), "sps:") != 1 {
			t.Errorf("the next call: %v", err)
		}
		a.ClearFaults()
	}, sps.WithOneSession())
}
