package sps

import (
	"context"
	"errors"
	"time"
)

// The steps of a transaction: reads, and the writes that open it.

// step makes one step of the transaction. Before the first write, reads go out in the
// session that reads. From then on everything goes through the session of the
// transaction, and no other: after a re-login the appliance might open a new transaction
// by itself, and half of the changes would be applied.
func (tx *Transaction) step(ctx context.Context, k *call) (*answer, error) {
	ctx, cancel := merge(ctx, tx.ctx)
	defer cancel()
	if k.class != classStep && tx.phase.Load() == phaseReading {
		return tx.look(ctx, k)
	}
	release, err := tx.takeTurn(ctx, k.method+" "+k.path.Text)
	if err != nil {
		return nil, err
	}
	defer release()
	if tx.session == nil {
		if k.class != classStep {
			return tx.look(ctx, k)
		}
		if err := tx.open(ctx); err != nil {
			return nil, err
		}
	}
	if k.class != classStep {
		return tx.readOpen(ctx, k)
	}
	return tx.writeOpen(ctx, k)
}

// takeTurn lets one step at a time through, and none after the end.
func (tx *Transaction) takeTurn(ctx context.Context, what string) (release func(), err error) {
	select {
	case tx.turn <- struct{}{}:
	case <-ctx.Done():
		return nil, tx.client.fail(what, ended(ctx))
	}
	release = func() { <-tx.turn }
	switch {
	case tx.over != nil && tx.final:
		err = tx.over
	case tx.over != nil:
		err = tx.client.fail(what, tx.over)
	case ctx.Err() != nil:
		err = tx.client.fail(what, ended(ctx))
	default:
		return release, nil
	}
	release()
	return nil, err
}

// look reads before the first write.
func (tx *Transaction) look(ctx context.Context, k *call) (*answer, error) {
	a, err := tx.client.call(ctx, k)
	tx.noteRead(k, a, err, true)
	return a, err
}

// readOpen reads in the session of the transaction. The caller holds the turn.
func (tx *Transaction) readOpen(ctx context.Context, k *call) (*answer, error) {
	a, err := tx.client.transport.do(ctx, k, tx.session)
	if expired(k, a, err) {
		return nil, tx.lose(err)
	}
	tx.noteRead(k, a, err, !tx.confirmed)
	return a, err
}

// writeOpen sends a write. The caller holds the turn.
func (tx *Transaction) writeOpen(ctx context.Context, k *call) (*answer, error) {
	if !k.fresh(tx.staged) {
		return nil, tx.client.fail(k.method+" "+k.path.Text, errStale)
	}
	if !tx.confirmed && !tx.client.logins.separate() {
		// Later, what this write stages would show.
		if fresh, err := tx.confirm(ctx, k.path, k.read); err != nil {
			return nil, tx.giveUp(ctx, err)
		} else if fresh != nil {
			return nil, &outdated{fresh, false}
		}
	}
	untouched := tx.staged.begin(k.path)
	a, err := tx.client.transport.do(ctx, k, tx.session)
	for !tx.accepted && lockedStep(err) && tx.waitForLock(ctx) {
		a, err = tx.client.transport.do(ctx, k, tx.session)
		tx.since = time.Now() // it did not have the lock before
	}
	var broken *TransportError
	var refused *Error
	errors.As(err, &refused)
	switch {
	case expired(k, a, err):
		return nil, tx.lose(err)
	case errors.As(err, &broken) && broken.sent, refused != nil && refused.Status >= 500:
		tx.fatal, tx.late = err, true // it may have been executed, or be still
		return nil, err
	case broken != nil:
		return nil, err
	case lockedStep(err):
		return nil, tx.giveUp(ctx, tx.locked(ctx, err))
	case refused != nil && tx.vanished(ctx, refused):
		return nil, tx.lose(err)
	case err == nil:
		tx.accepted = true
		tx.staged.write(k, a)
	}
	if !tx.confirmed {
		fresh, changed := tx.confirmAfter(ctx, k, err == nil)
		if changed != nil {
			return nil, tx.giveUp(ctx, changed)
		}
		if fresh != nil {
			return nil, &outdated{fresh, err == nil}
		}
	}
	if untouched && errors.Is(err, ResourceNotFound) && tx.staged.had(k.path) {
		err = because(ErrConflict, err) // it was there when it was read
	}
	return a, err
}

// confirmAfter repeats what was read once the first write was answered. If that was a
// refusal, the lock need not be held yet, and the next write does it again.
func (tx *Transaction) confirmAfter(ctx context.Context, k *call, accepted bool) (fresh *answer, err error) {
	if tx.client.logins.separate() {
		fresh, err = tx.confirm(ctx, k.path, k.read)
	}
	tx.confirmed = accepted && err == nil
	return fresh, err
}

// outdated says that an update was made from a body that is no longer there, and what
// is there now.
type outdated struct {
	now    *answer
	staged bool // what was made of the old body is staged
}

func (o *outdated) Error() string { return errStale.Error() }

// lockedStep reports whether a write was refused because of the lock.
func lockedStep(err error) bool {
	var refused *Error
	return errors.As(err, &refused) && stepRefusedByLock(refused)
}

// vanished reports whether a write was refused because the transaction is no longer
// there.
func (tx *Transaction) vanished(ctx context.Context, refused *Error) bool {
	if refusedWithoutTransaction(refused) {
		return true
	}
	if !mayLackTransaction(refused) {
		return false
	}
	status, err := tx.client.transport.transactionStatus(ctx, tx.session)
	return err == nil && status == statusClosed
}
