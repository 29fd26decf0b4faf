package sps

import (
	"context"
	"errors"
	"math/rand/v2"
	"time"
)

// WithRerun runs the function of a transaction again, in a new transaction, where
// [SafeToRetry] says so of its error: after [ErrConflict], [ErrLocked] or
// [ErrTransactionLost], and while the appliance cannot be reached or is overloaded. It
// does so for up to this time from the beginning of the first run, and within the context
// of the transaction. It waits between the runs: as long as the appliance asks for or a
// lock lasts, and else a time that is drawn at random and grows from 200 ms to 10 s. It
// does not begin a run that would begin after the limit; one that has begun may end later.
// The error is that of the last run.
//
// An outcome that is unknown is never run again. With [WithLockWait] the lock is waited
// for by that option alone: ErrLocked after its limit is not run again. The function must
// bear to be run several times, so it must not keep what an earlier run has read or made.
//
// A limit of 0 is none of it, and a negative one is [ErrInvalidInput].
func WithRerun(limit time.Duration) TransactionOption {
	return lockOption(func(o *transactionOptions) { o.rerun = limit })
}

// The waits between two runs.
const (
	firstRerunPause = 200 * time.Millisecond
	mostRerunPause  = 10 * time.Second
)

// transactAgain is transact, as often as the options allow.
func (c *Client) transactAgain(ctx context.Context, fn func(context.Context, *Transaction) error, o *transactionOptions) error {
	if o.rerun < 0 {
		return c.fail("transaction", invalid("the limit of WithRerun is negative"))
	}
	end := time.Now().Add(o.rerun)
	for runs := 0; ; runs++ {
		run := *o // a run uses up the time for the lock
		err := c.transact(ctx, fn, &run)
		if err == nil || o.rerun == 0 || ctx.Err() != nil {
			return err
		}
		pause, again := SafeToRetry(err)
		if !again || o.patient && errors.Is(err, ErrLocked) {
			return err
		}
		if pause <= 0 {
			bound := min(firstRerunPause<<min(runs, 10), mostRerunPause)
			pause = bound/2 + rand.N(bound/2)
		}
		if time.Until(end) < pause || sleep(ctx, pause) != nil {
			return err
		}
	}
}
