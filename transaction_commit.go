package sps

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net/http"
	"net/http/httptrace"
	"strings"
	"sync/atomic"
	"time"
)

// A commit may take minutes, and it continues after its answer was lost. A lost answer
// therefore has two results: success, if the transaction is closed and the objects are as
// they were written, or ErrOutcomeUnknown. None of the following proves that the commit
// will not happen: a transaction that is still open, a rollback that was answered,
// unchanged objects. The commit may still be executed.

// OutcomeUnknownDetails is the detail of an [ErrOutcomeUnknown]: what the client saw
// before it stopped asking. Commits have it, and so does each operation outside of
// transactions whose outcome the client looks for. Only a commit sets RolledBack and the
// lists of objects.
type OutcomeUnknownDetails struct {
	// Waited is how long the client asked, counted from the lost answer.
	Waited time.Duration
	// Status is the last status that the client saw, or "" if the appliance gave none.
	// For a commit, it is the status of the transaction: "open", "closed", or "gone" if
	// its session had ended. For a join and an unjoin it is "joined" or "not joined". For
	// the deletion of a slot it is "not empty". For a fetch or a support bundle it is the
	// [JobStatus], or "not listed" if none was found.
	Status string
	// RolledBack is true if the appliance answered the rollback that followed. A commit
	// that was running may have succeeded nevertheless.
	RolledBack bool
	// AsBefore, AsWritten and Neither are the paths of the written objects, relative to
	// /api/, grouped by how the client last saw them. Objects that could not be read or
	// compared are in none of the lists.
	AsBefore, AsWritten, Neither []string
}

// Error returns what the client saw, in one line.
func (d *OutcomeUnknownDetails) Error() string {
	text := fmt.Sprintf("asked for %s", d.Waited.Round(time.Second))
	switch d.Status {
	case "":
	case statusOpen, statusClosed, statusGone:
		text += ", the transaction was " + d.Status
	default:
		text += ", it was " + oneLine(d.Status, 60)
	}
	if d.RolledBack {
		text += ", rolled back"
	}
	for _, objects := range []struct {
		paths []string
		state string
	}{{d.AsBefore, "as before"}, {d.AsWritten, "as written"}, {d.Neither, "neither as before nor as written"}} {
		if n := len(objects.paths); n > 0 {
			text += ", " + objects.state + ": " + oneLine(strings.Join(objects.paths[:min(n, 3)], " "), 300)
			if n > 3 {
				text += fmt.Sprintf(" and %d more", n-3)
			}
		}
	}
	return text
}

// commit commits. done means that there is nothing to roll back.
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
		err = because(ErrLocked, err) // not waited for: the transaction would not see the changes of the other user
	}
	return false, err
}

// closedAsWritten checks once whether the transaction is closed and its objects are as
// they were written.
func (tx *Transaction) closedAsWritten(ctx context.Context) bool {
	ctx, cancel := tx.client.budget(ctx)
	defer cancel()
	return tx.statusOnce(ctx) != statusOpen && tx.find(ctx).asWritten()
}

// patience limits how long the client waits for a request and asks about its outcome.
type patience struct {
	// traced is the context of a commit. After the request was sent, it outlives the
	// caller's context.
	traced context.Context
	// begin ends with the caller's context and with Close. After that, the request is not
	// sent.
	begin context.Context
	// over ends some time after begin. After that, nobody waits any longer.
	over    context.Context
	release func()
}

// patience makes the contexts of a request whose outcome the client can look for. When
// ctx ends or the client is closed, a request that was not sent ends at once. A request
// that was sent may use half of the time for cleaning up.
func (c *Client) patience(ctx context.Context) *patience {
	begin, stop := context.WithCancelCause(ctx)
	over, end := context.WithCancelCause(context.WithoutCancel(ctx))
	var dialing atomic.Bool // a connection is being made, so nothing was sent
	expire := func() {
		why := ended(begin)
		if dialing.Load() {
			end(why)
			return
		}
		timer := time.AfterFunc(c.transport.timeouts.Close/2, func() { end(why) })
		context.AfterFunc(over, func() { timer.Stop() })
	}
	unhook := context.AfterFunc(begin, expire)
	gone := make(chan struct{})
	go func() {
		select {
		case <-c.closed:
			stop(ErrClosed)
		case <-gone:
		}
	}()
	return &patience{
		traced: httptrace.WithClientTrace(over, &httptrace.ClientTrace{
			GetConn: func(string) { dialing.Store(true) },
			GotConn: func(httptrace.GotConnInfo) { dialing.Store(false) },
		}),
		begin: begin,
		over:  over,
		release: func() {
			close(gone)
			unhook()
			stop(nil)
			end(nil)
		},
	}
}

// resolve asks the appliance for the outcome of a commit without an answer, until the
// outcome is known or patience ends.
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

// statusOnce asks once for the status of the transaction. It returns "" without an
// answer.
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

// stillStaged reports whether the session of the transaction has staged changes, whatever
// the status says. With one session for both, staged values would look committed.
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

// unresolved cleans up after a commit with an unknown outcome, and looks one last time.
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
		// With one session for both, staged values show until the transaction is closed.
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

// logWaiting logs that the client waits.
func (c *Client) logWaiting(ctx context.Context, level slog.Level, text string, attrs ...slog.Attr) {
	if c.transport.logger != nil {
		c.transport.logger.LogAttrs(ctx, level, text, append([]slog.Attr{slog.String("host", c.transport.host)}, attrs...)...)
	}
}
