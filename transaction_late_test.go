package sps_test

import (
	"context"
	"testing"
	"time"

	"github.com/go-sps/sps"
	"github.com/go-sps/sps/spstest"
)

// TestCommitEndsDuringRollback has a commit that ends while the rollback after the last
// look waits for it, and then has nothing to roll back.
func TestCommitEndsDuringRollback(t *testing.T) {
	t.Parallel()
	for _, refusal := range []string{"200", "404:ResourceNotFound", "405:MethodNotAllowed"} {
		for _, one := range []bool{false, true} {
			options := []sps.Option{nil}
			if one {
				options = append(options, sps.WithOneSession())
			}
			bubbleWith(t, []spstest.Option{spstest.WithVariant("rollback-closed", refusal), spstest.WithTakes("PUT", "transaction", 18*time.Second)},
				func(t *testing.T, a *spstest.Appliance, c *sps.Client) {
					ctx, cancel := context.WithTimeout(t.Context(), 5*time.Second)
					defer cancel()
					if err := c.Transaction(ctx, setAdmin(after)); err != nil {
						t.Errorf("%s, one session %t: %v, though the commit was executed", refusal, one, err)
					}
					settled(t, a, after)
				}, options...)
		}
	}
}
