package transactions

import (
	"context"
	"errors"
	"testing"
	"time"

	"github.com/go-sps/sps"
	"github.com/go-sps/sps/internal/testkit"
	"github.com/go-sps/sps/spstest"
)

// TestCommitEndsDuringRollback checks a commit during which the context of the caller
// ends. The commit ends while the final rollback of the client waits for it. The client
// must find that the commit was executed.
func TestCommitEndsDuringRollback(t *testing.T) {
	t.Parallel()
	for _, refusal := range []string{"200", "404:ResourceNotFound", "405:MethodNotAllowed"} {
		for _, one := range []bool{false, true} {
			options := []sps.Option{nil}
			if one {
				options = append(options, sps.WithOneSession())
			}
			testkit.BubbleWith(t, []spstest.Option{spstest.WithVariant("rollback-closed", refusal), spstest.WithTakes("PUT", "transaction", 18*time.Second)},
				func(t *testing.T, a *spstest.Appliance, c *sps.Client) {
					ctx, cancel := context.WithTimeout(t.Context(), 5*time.Second)
					defer cancel()
					if err := c.Transaction(ctx, testkit.SetAdmin(testkit.AdminAfter)); err != nil {
						t.Errorf("%s, one session %t: %v, although the commit was executed", refusal, one, err)
					}
					testkit.Settled(t, a, testkit.AdminAfter)
				}, options...)
		}
	}
}

// TestLateRollback checks the next transaction after a rollback whose response was lost and
// which the appliance executes late, during the next transaction. The appliance must still
// apply all changes of the next transaction.
func TestLateRollback(t *testing.T) {
	t.Parallel()
	testkit.Bubble(t, func(t *testing.T, a *spstest.Appliance, c *sps.Client) {
		a.Inject(spstest.Fault{Method: "DELETE", Path: "transaction", CutAfter: true, Detached: true, Takes: 10 * time.Second})
		err := c.Transaction(t.Context(), func(ctx context.Context, tx *sps.Transaction) error {
			if err := testkit.SetAdmin(testkit.AdminAfter)(ctx, tx); err != nil {
				t.Error(err)
			}
			return errRollback
		})
		if !errors.Is(err, errRollback) {
			t.Errorf("error %v, want the error of the function", err)
		}
		err = c.Transaction(t.Context(), func(ctx context.Context, tx *sps.Transaction) error {
			if _, err := tx.TrustStores.Create(ctx, sps.NewTrustStore("first")); err != nil {
				return err
			}
			time.Sleep(20 * time.Second)
			return testkit.SetAdmin(testkit.AdminAfter)(ctx, tx)
		}, sps.WithLockWait(time.Minute))
		if err != nil {
			t.Error(err)
		}
		testkit.Settled(t, a, testkit.AdminAfter)
		if _, err := c.TrustStores.GetByName(t.Context(), "first"); err != nil {
			t.Errorf("the transaction succeeded, but a trust store that it created is missing: %v", err)
		}
	})
}
