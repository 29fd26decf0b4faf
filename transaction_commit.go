package sps

import (
	"context"
	"errors"
	"net/http"
	"strings"
	"time"
)

// A commit may take minutes, and the appliance may continue it after the response was
// lost. If the response is lost, the result is either success or ErrOutcomeUnknown. It is
// success if the transaction is closed and the objects have the written values. The
// client cannot find out that the commit failed. If the transaction is still open, if a
// rollback was accepted, or if the objects are unchanged, the appliance may still execute
// the commit later.

// commit sends the commit. done means that there is nothing to roll back.
func (tx *Transaction) commit(ctx context.Context) (done bool, err error) {
	body, _, err := encode(commitBody(tx.o.message))
	if err != nil {
		return false, err
	}
	end := tx.client.patience(ctx)
	defer end.release()
	k := &call{class: classCommit, method: http.MethodPut, path: transactionPath, body: body, bounds: bounds{begin: end.begin}}
	a, err := tx.client.transport.do(end.traced, k, tx.session)
	if err == nil && !newTransactionStatus(a).Open() {
		return true, nil
	}
	if err == nil {
		err = a.unusable("the transaction is still open after the commit")
	}
	var refused *Error
	var broken *TransportError
	switch {
	case errors.As(err, &broken) && !broken.sent:
		return false, because(errors.New("the commit was not executed"), withoutUnknown(err))
	case !errors.As(err, &refused) || refused.Type == "" || refused.Status >= 500:
		return tx.resolve(ctx, end, err)
	case expired(k, nil, err):
		return false, tx.lose(err)
	case refusedWithoutTransaction(refused):
		if tx.closedAsWritten(ctx) {
			return true, nil
		}
		return false, tx.lose(err)
	case strings.TrimSpace(tx.o.message) == "" && refusedWithoutMessage(refused):
		err = because(ErrCommitMessageRequired, err)
	case stepRefusedByLock(refused):
		err = because(ErrLocked, err) // do not wait: the reads of the transaction would miss the changes of the other user
	}
	return false, err
}

// closedAsWritten checks once whether the transaction is closed and its objects have the
// written values.
func (tx *Transaction) closedAsWritten(ctx context.Context) bool {
	ctx, cancel := tx.client.budget(ctx)
	defer cancel()
	return tx.statusOnce(ctx) != statusOpen && tx.find(ctx).asWritten()
}

// resolve polls the appliance for the outcome of a commit whose response was lost, until
// it finds that the commit was executed, or until the context end.over is done.
func (tx *Transaction) resolve(ctx context.Context, end *patience, cause error) (done bool, err error) {
	found := tx.client.ask(ctx, end, "PUT "+transactionPath.Text, cause, func(ctx context.Context) (bool, string, error) {
		status := tx.statusOnce(ctx)
		return (status == statusClosed || status == statusGone) && tx.find(ctx).asWritten(), status, nil
	})
	if !found.seen {
		return tx.unresolved(ctx, &OutcomeUnknownDetails{Waited: found.waited, Status: found.state}, cause)
	}
	if found.state == statusGone {
		tx.client.writing.drop(tx.session)
		tx.client.reading.drop(tx.session)
	}
	return true, nil
}

// statusGone is the status in [OutcomeUnknownDetails] if the session has ended.
const statusGone = "gone"

// statusOnce reads the status of the transaction without retries. It returns "" if the
// read fails.
func (tx *Transaction) statusOnce(ctx context.Context) string {
	k := &call{class: classRead, method: http.MethodGet, path: transactionPath, bounds: bounds{once: true}}
	a, err := tx.client.transport.do(ctx, k, tx.session)
	switch {
	case expired(k, a, err):
		return statusGone
	case err != nil:
		return ""
	}
	status := newTransactionStatus(a).Status
	switch {
	case status == statusClosed && !tx.client.logins.separate() && tx.stillStaged(ctx):
		return statusOpen
	case status == statusOpen, status == statusClosed:
		return status
	}
	return ""
}

// stillStaged reports whether the session of the transaction still has staged changes,
// even if the status is closed. This matters with one session for reads and writes: its
// reads return staged values, which would then look committed.
func (tx *Transaction) stillStaged(ctx context.Context) bool {
	k := &call{class: classRead, method: http.MethodGet, path: changesPath, bounds: bounds{once: true}}
	a, err := tx.client.transport.do(ctx, k, tx.session)
	var refused *Error
	if err != nil {
		return !errors.As(err, &refused) || refused.Status >= 500
	}
	changes, err := newChanges(a)
	return err != nil || len(changes) > 0
}

// unresolved cleans up after a commit with an unknown outcome, and reads the written
// objects one last time.
func (tx *Transaction) unresolved(ctx context.Context, details *OutcomeUnknownDetails, cause error) (done bool, err error) {
	c := tx.client
	began := time.Now()
	bound, cancel := context.WithTimeout(context.WithoutCancel(ctx), c.transport.timeouts.Close/2)
	defer cancel()
	half, halved := halfOf(bound)
	_, rollback := c.transport.do(half, &call{class: classRollback, method: http.MethodDelete, path: transactionPath}, tx.session)
	halved()
	details.RolledBack = rollback == nil
	if rollback != nil || !c.logins.separate() {
		if status := tx.statusOnce(bound); status != "" {
			details.Status = status
		}
	}
	over := details.Status == statusClosed || details.Status == statusGone
	if over { // nothing is left to roll back
		rollback = nil
	}
	found := &findings{}
	if over || c.logins.separate() {
		// With one session for reads and writes, reads return staged values until the
		// transaction is closed.
		found = tx.find(bound)
	}
	left := c.endSession(bound, tx.session, rollback, true)
	c.cleaned(began.Add(-c.transport.timeouts.Close / 2))
	if found.asWritten() && (over || details.RolledBack) {
		return true, nil
	}
	details.AsBefore, details.AsWritten, details.Neither = found.before, found.written, found.neither
	if !errors.Is(cause, ErrOutcomeUnknown) {
		cause = because(ErrOutcomeUnknown, cause)
	}
	err = &undecided{cause, details, ""}
	if left != nil {
		err = beside(err, "its session could not be ended", left)
	}
	return true, err
}
