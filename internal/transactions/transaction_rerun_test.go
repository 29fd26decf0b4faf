package transactions

import (
	"context"
	"errors"
	"net/http"
	"testing"
	"time"

	"github.com/go-sps/sps"
	"github.com/go-sps/sps/internal/testkit"
	"github.com/go-sps/sps/spstest"
)

func TestRerun(t *testing.T) {
	for name, test := range map[string]struct {
		prepare func(*spstest.Appliance)
		options []sps.TransactionOption
		timeout time.Duration
		runs    int
		is      error // nil for success
		took    [2]time.Duration
	}{
		"503 twice": {
			func(a *spstest.Appliance) {
				a.Inject(spstest.Fault{Method: "PUT", Path: "configuration/**", Status: 503, Times: 2, Header: http.Header{"Retry-After": {"7"}}})
			},
			[]sps.TransactionOption{sps.WithRerun(time.Minute)}, time.Hour, 3, nil, [2]time.Duration{14 * time.Second, 15 * time.Second},
		},
		"503 until the limit of WithRerun": {
			func(a *spstest.Appliance) {
				a.Inject(spstest.Fault{Method: "PUT", Path: "configuration/**", Status: 503, Times: -1, Header: http.Header{"Retry-After": {"25"}}})
			},
			[]sps.TransactionOption{sps.WithRerun(time.Minute)}, time.Hour, 3, sps.Status(503), [2]time.Duration{50 * time.Second, 51 * time.Second},
		},
		"503 until the deadline of the context": {
			func(a *spstest.Appliance) {
				a.Inject(spstest.Fault{Method: "PUT", Path: "configuration/**", Status: 503, Times: -1, Header: http.Header{"Retry-After": {"25"}}})
			},
			[]sps.TransactionOption{sps.WithRerun(time.Hour)}, 40 * time.Second, 2, sps.Status(503), [2]time.Duration{40 * time.Second, 41 * time.Second},
		},
		"503 without WithRerun": {
			func(a *spstest.Appliance) {
				a.Inject(spstest.Fault{Method: "PUT", Path: "configuration/**", Status: 503})
			},
			nil, time.Hour, 1, sps.Status(503), [2]time.Duration{0, time.Second},
		},
		"locked": {
			func(a *spstest.Appliance) { a.LockConfiguration("somebody else") },
			[]sps.TransactionOption{sps.WithRerun(20 * time.Second)}, time.Hour, -5, sps.ErrLocked, [2]time.Duration{10 * time.Second, 21 * time.Second},
		},
		"locked, with WithLockWait": {
			func(a *spstest.Appliance) { a.LockConfiguration("somebody else") },
			[]sps.TransactionOption{sps.WithRerun(time.Hour), sps.WithLockWait(5 * time.Second)}, time.Hour, 1, sps.ErrLocked, [2]time.Duration{5 * time.Second, 6 * time.Second},
		},
		"outcome unknown": {
			func(a *spstest.Appliance) {
				a.Inject(spstest.Fault{Method: "PUT", Path: "transaction", CutBefore: true})
			},
			[]sps.TransactionOption{sps.WithRerun(time.Hour)}, time.Hour, 1, sps.ErrOutcomeUnknown, [2]time.Duration{0, time.Hour},
		},
		"write refused": {
			func(a *spstest.Appliance) {
				a.Inject(spstest.Fault{Method: "PUT", Path: "configuration/**", Status: 400, Body: `{"error":{"type":"SyntacticError"}}`})
			},
			[]sps.TransactionOption{sps.WithRerun(time.Hour)}, time.Hour, 1, sps.SyntacticError, [2]time.Duration{0, time.Second},
		},
		"negative limit": {
			func(*spstest.Appliance) {}, []sps.TransactionOption{sps.WithRerun(-1)}, time.Hour, 0, sps.ErrInvalidInput, [2]time.Duration{0, time.Second},
		},
	} {
		t.Run(name, func(t *testing.T) {
			testkit.Bubble(t, func(t *testing.T, a *spstest.Appliance, c *sps.Client) {
				test.prepare(a)
				ctx, cancel := context.WithTimeout(t.Context(), test.timeout)
				defer cancel()
				runs, start := 0, time.Now()
				err := c.Transaction(ctx, func(ctx context.Context, tx *sps.Transaction) error {
					runs++
					return testkit.SetAdmin(testkit.AdminAfter)(ctx, tx)
				}, test.options...)
				if took := time.Since(start); took < test.took[0] || took > test.took[1] {
					t.Errorf("the transaction took %s, want %s to %s", took, test.took[0], test.took[1])
				}
				if runs != test.runs && !(test.runs < 0 && runs >= -test.runs) {
					t.Errorf("%d runs, want %d", runs, test.runs)
				}
				if !errors.Is(err, test.is) {
					t.Errorf("%v, want %v", err, test.is)
				}
				if test.is == nil {
					testkit.Settled(t, a, testkit.AdminAfter)
				}
			})
		})
	}
}

// TestRerunAfterConflict checks that WithRerun runs the function again if another user has
// changed an object that the function has read.
func TestRerunAfterConflict(t *testing.T) {
	testkit.Bubble(t, func(t *testing.T, a *spstest.Appliance, c *sps.Client) {
		other, err := sps.Connect(t.Context(), a.Addr(), sps.UsernamePassword(a.Username(), sps.NewSecretString(a.Password())), testkit.InProcess(a))
		if err != nil {
			t.Fatal(err)
		}
		defer other.Close(context.Background())
		runs := 0
		err = c.Transaction(t.Context(), func(ctx context.Context, tx *sps.Transaction) error {
			if _, err := tx.Management.SNMP.Trap.Get(ctx); err != nil {
				return err
			}
			if runs++; runs == 1 {
				err := other.Transaction(context.WithoutCancel(t.Context()), func(ctx context.Context, tx *sps.Transaction) error {
					return tx.Management.SNMP.Trap.Update(ctx, func(s *sps.SNMPTrap) error {
						s.Enabled = !s.Enabled
						return nil
					})
				})
				if err != nil {
					t.Error(err)
				}
			}
			return testkit.SetAdmin(testkit.AdminAfter)(ctx, tx)
		}, sps.WithRerun(time.Minute))
		if err != nil || runs != 2 {
			t.Errorf("%d runs, %v", runs, err)
		}
		testkit.Settled(t, a, testkit.AdminAfter)
	})
}

// TestNoRerunAfterOwnError checks that WithRerun does not run the function again after the
// function's own error, even if the rollback then fails in a way that passes.
func TestNoRerunAfterOwnError(t *testing.T) {
	testkit.Bubble(t, func(t *testing.T, a *spstest.Appliance, c *sps.Client) {
		a.Inject(spstest.Fault{Method: "DELETE", Path: "**", Status: 503, Times: -1})
		own, runs := errors.New("own error"), 0
		err := c.Transaction(t.Context(), func(ctx context.Context, tx *sps.Transaction) error {
			runs++
			return errors.Join(testkit.SetAdmin(testkit.AdminAfter)(ctx, tx), own)
		}, sps.WithRerun(time.Hour))
		if runs != 1 || !errors.Is(err, own) || !errors.Is(err, sps.Status(503)) {
			t.Errorf("%d runs, %v, want one run with both errors", runs, err)
		}
	})
}
