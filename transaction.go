package sps

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"net/http"
	"net/url"
	"strings"
	"time"

	"github.com/go-sps/sps/internal/wire"
)

var transactionPath = mustPath("transaction")

// Transaction is an open configuration transaction, the only way to write the
// configuration. [Client.Transaction] hands it to your function; it is over when
// that returns. It is safe for several goroutines, whose steps take turns.
type Transaction struct {
	// TrafficAlerts writes configuration/alerting/traffic_alerts.
	TrafficAlerts *SingletonTx[TrafficAlerts]
	// SystemAlerts writes configuration/alerting/system_alerts.
	SystemAlerts *SingletonTx[SystemAlerts]
	// Email writes configuration/management/email.
	Email *SingletonTx[EmailSettings]
	// SNMPTrap writes configuration/management/snmp/trap.
	SNMPTrap *SingletonTx[SNMPTrap]
	// TrustStores writes configuration/trust_stores.
	TrustStores *CollectionTx[TrustStore]
	// StarlingConfiguration writes configuration/starling.
	StarlingConfiguration *SingletonTx[StarlingConfiguration]

	client   *Client
	session  *session // the one that holds the lock: no other may write
	ctx      context.Context
	cancel   context.CancelCauseFunc
	forget   func() bool // lets go of the client's life
	patience time.Time   // until when a step waits for the lock; zero: not at all

	turn   chan struct{} // held during a step, and by whoever ends the transaction
	wrote  bool          // something may be staged
	took   bool          // a write was accepted
	staged *staged       // what was read and written
	late   bool          // a request whose answer was lost may still be executed
	fatal  error         // why it must not be committed
	over   error         // why it accepts no further step
}

// TransactionOption refines one [Client.Transaction].
type TransactionOption func(*transactionOptions)

type transactionOptions struct {
	message string
	patient bool
	wait    time.Duration
	preview *[]Change // where a dry run puts what it would change
}

// CommitMessage is what the change log of the appliance shows for the commit, a
// ticket for example. Some appliances require one.
func CommitMessage(message string) TransactionOption {
	return func(o *transactionOptions) { o.message = message }
}

// WaitForLock makes a transaction wait up to this time, and within its context,
// while somebody else holds the configuration: before the function is called or,
// on an appliance that takes the lock with the first change, within the first
// write. Without it, and where it is the commit that is refused, [ErrLocked] comes at
// once.
func WaitForLock(limit time.Duration) TransactionOption {
	return func(o *transactionOptions) { o.patient, o.wait = true, limit }
}

// transactionKey finds a client's running transaction in a context.
type transactionKey struct{ client *Client }

// Transaction opens a transaction (/api/transaction), calls fn, and commits when fn
// returns nil. It rolls back when fn returns an error, panics or calls
// runtime.Goexit, and when ctx is done; the rollback goes out even then, within
// [Timeouts].Close. Where nothing was written, or every write was refused, there is
// nothing to commit, and it rolls back too.
//
// It is opened before fn is called, and so needs the lock, and a message where the
// appliance requires one, even if fn finds nothing to change.
//
// It returns nil when every change was applied. It returns fn's error, or that
// of the step or the commit that failed, when nothing was applied; an error of
// the rollback is added and never hides it. A commit may go on for minutes after its
// answer was lost. Such a commit has two ends. It is a success where the appliance
// shows the transaction closed and the objects as they were written. Everything else is
// [ErrOutcomeUnknown] with [OutcomeUnknownDetails]: the client asks for up to
// [Timeouts].Outcome and, after the end of ctx, for half of [Timeouts].Close.
//
// Somebody else may have changed an object between the moment in which fn read it
// and that of the write, on an appliance that takes the lock with the first
// change. The list of changes shows that before the commit: it is rolled back
// with [ErrConflict], and may be run again.
//
// Before anything is written it gives [ErrLocked] while somebody else changes
// the configuration (see [WaitForLock]), and [ErrCommitMessageRequired] where the
// appliance says that it requires a message; those before 7.0 do not say so, and
// refuse the commit. A step whose answer was lost is not repeated: the transaction
// rolls back, even if fn swallows the error. A session that ends takes the
// transaction with it: [ErrTransactionLost].
//
// A client has one transaction at a time: another call waits within its
// context. One inside fn, with fn's context, is refused with [ErrNested]; with
// another context it would wait for itself. Use the context that fn is given.
func (c *Client) Transaction(ctx context.Context, fn func(context.Context, *Transaction) error, options ...TransactionOption) error {
	return c.transact(ctx, fn, &transactionOptions{}, options)
}

// Preview runs a function like [Client.Transaction] and returns what it would
// change, as the appliance lists it; then it rolls back, always. No commit message
// is needed. What an appliance finds wrong only with the commit is not found.
func (c *Client) Preview(ctx context.Context, fn func(context.Context, *Transaction) error, options ...TransactionOption) ([]Change, error) {
	var changes []Change
	if err := c.transact(ctx, fn, &transactionOptions{preview: &changes}, options); err != nil {
		return nil, err
	}
	return changes, nil
}

func (c *Client) transact(ctx context.Context, fn func(context.Context, *Transaction) error, o *transactionOptions, options []TransactionOption) error {
	if fn == nil {
		return fmt.Errorf("sps: transaction: %w", invalid("no function"))
	}
	for _, option := range options {
		if option != nil {
			option(o)
		}
	}
	tx, err := c.begin(ctx, o)
	if err != nil {
		return err
	}
	defer func() {
		c.mu.Lock()
		c.open = nil
		c.mu.Unlock()
		tx.forget()
		tx.cancel(ErrTransactionOver)
		<-c.turn
	}()
	settled := false
	defer func() {
		if !settled { // by panic or Goexit, which go on
			tx.abandon(ctx)
		}
	}()
	err = fn(context.WithValue(tx.ctx, transactionKey{c}, tx), tx)
	err = tx.finish(ctx, err, o)
	settled = true
	return err
}

// Invoke sends a request to an endpoint that the SDK does not type, like
// [Client.Invoke], as a step of the transaction: reads, and the writes that
// Client.Invoke refuses.
func (tx *Transaction) Invoke(ctx context.Context, method, path string, body any, options ...RequestOption) (*Response, error) {
	k, err := newInvocation(method, path, body, options)
	if err != nil {
		return nil, err
	}
	if err := k.notDownload(); err != nil {
		return nil, err
	}
	if k.method != http.MethodGet {
		if !k.path.below(transactional...) {
			return nil, fmt.Errorf("sps: %s %s: %w", k.method, k.path.text, notTransactional())
		}
		k.class = classStep
		if k.body != nil {
			if k.body, err = wire.BareReferences(k.body); err != nil {
				return nil, fmt.Errorf("sps: %s: %w: %w", k.path.text, ErrInvalidInput, err)
			}
		}
	}
	a, err := tx.step(ctx, k)
	if err != nil {
		return nil, err
	}
	return newResponse(a), nil
}

func (tx *Transaction) read(ctx context.Context, path apiPath, query url.Values) (*answer, error) {
	return tx.get(ctx, newRead(path, query))
}

func (tx *Transaction) get(ctx context.Context, k *call) (*answer, error) { return tx.step(ctx, k) }

// write sends a body with its references made bare, nil for none.
func (tx *Transaction) write(ctx context.Context, method string, path apiPath, body []byte) (*answer, error) {
	return tx.writeFresh(ctx, method, path, body, nil)
}

// errStale says that an object was written after it had been read.
var errStale = invalid("other steps of the transaction wrote it meanwhile, again and again: is it written within its own update?")

// writeFresh writes a body that was made from what was read, unless another step of
// the transaction has written the object since. Then it gives errStale.
func (tx *Transaction) writeFresh(ctx context.Context, method string, path apiPath, body []byte, read *version) (*answer, error) {
	fail := func(err error) (*answer, error) {
		return nil, fmt.Errorf("sps: %s %s: %w", method, path.text, err)
	}
	if !path.below(transactional...) {
		return fail(notTransactional())
	}
	if body != nil {
		var err error
		if body, err = wire.BareReferences(body); err == nil {
			err = checkBody(body)
		}
		if err != nil {
			return fail(err)
		}
	}
	return tx.step(ctx, &call{class: classStep, method: method, path: path, body: body, read: read})
}

func notTransactional() error {
	return invalid("no write of a transaction: only those below %s are", strings.Join(transactional, ", "))
}

// admit reports why a handle cannot be used with the transaction, or nil.
func (tx *Transaction) admit(c *Client, path apiPath, err error) error {
	switch {
	case err != nil:
		return err
	case tx == nil:
		return fmt.Errorf("sps: %s: %w", path.text, invalid("no transaction"))
	case tx.client != c:
		return fmt.Errorf("sps: %s: %w", path.text, ErrOtherClient)
	}
	return nil
}

// step sends one call in the session of the transaction, and no other: after a
// re-login the appliance might open a new transaction by itself, and half of the
// changes would be applied.
func (tx *Transaction) step(ctx context.Context, k *call) (*answer, error) {
	fail := func(err error) (*answer, error) {
		return nil, fmt.Errorf("sps: %s %s: %w", k.method, k.path.text, err)
	}
	ctx, cancel := merge(ctx, tx.ctx)
	defer cancel()
	select {
	case tx.turn <- struct{}{}:
		defer func() { <-tx.turn }()
	case <-ctx.Done():
		return fail(ended(ctx))
	}
	if tx.over != nil {
		return fail(tx.over)
	}
	if ctx.Err() != nil {
		return fail(ended(ctx))
	}
	began, untouched := tx.wrote, false
	if k.class == classStep {
		if !k.fresh(tx.staged) {
			return fail(errStale)
		}
		untouched = tx.staged.begin(k.path)
		tx.wrote = true
	}
	a, err := tx.client.transport.do(ctx, k, tx.session)
	for attempt := 0; !began && lockedStep(k, err) && tx.waitForLock(ctx, attempt); attempt++ {
		a, err = tx.client.transport.do(ctx, k, tx.session)
	}
	if expired(k, a, err) {
		tx.over = ErrTransactionLost
		return nil, tx.lost(err)
	}
	var broken *TransportError
	var refused *Error
	switch {
	case k.class != classStep:
		if err == nil {
			tx.staged.read(k, a)
		}
	case errors.As(err, &broken) && broken.sent, errors.As(err, &refused) && refused.Status >= 500:
		tx.fatal, tx.late = err, true // it may have been executed, or be still
	case err == nil:
		tx.took = true
		tx.staged.write(k, a)
	case refused != nil && refusedWithoutTransaction(refused):
		tx.over = ErrTransactionLost
		return nil, because(ErrTransactionLost, err)
	case lockedStep(k, err):
		if err = because(ErrLocked, err); ctx.Err() != nil {
			err = fmt.Errorf("%w (%w while waiting for the lock)", err, ended(ctx))
		}
	case untouched && errors.Is(err, ResourceNotFound) && tx.staged.had(k.path):
		err = because(ErrConflict, err) // it was there when it was read
	}
	return a, err
}

// lockedStep reports whether a write was refused because of the lock.
func lockedStep(k *call, err error) bool {
	var refused *Error
	return k.class == classStep && errors.As(err, &refused) && stepRefusedByLock(refused)
}

// waitForLock waits before a write is tried again that was refused because of the
// lock, and so not executed. It says no where the time is over.
func (tx *Transaction) waitForLock(ctx context.Context, attempt int) bool {
	left := time.Until(tx.patience)
	return left > 0 && sleep(ctx, min(lockPause(attempt), left)) == nil
}

// spoil lets the transaction roll back whatever its function returns.
func (tx *Transaction) spoil(err error) {
	tx.turn <- struct{}{}
	defer func() { <-tx.turn }()
	tx.fatal = err
}

// lost makes the error of a session that ended.
func (tx *Transaction) lost(err error) error {
	tx.client.sessions.drop(tx.session)
	if err == nil {
		return fmt.Errorf("sps: %w", ErrTransactionLost)
	}
	return because(ErrTransactionLost, err)
}

// begin takes the client's turn and opens a transaction.
func (c *Client) begin(ctx context.Context, o *transactionOptions) (*Transaction, error) {
	release, err := c.takeTurn(ctx, transactionPath.text)
	if err != nil {
		return nil, err
	}
	opened := false
	defer func() {
		if !opened {
			release()
		}
	}()
	deadline := time.Now().Add(o.wait)
	for attempt := 0; ; attempt++ {
		session, err := c.lock(ctx, o)
		if errors.Is(err, Unauthenticated) && c.sessions.renewable() {
			session, err = c.lock(ctx, o) // it expired after the first look
		}
		if err == nil {
			tx := c.newTransaction(ctx, session)
			if o.patient {
				tx.patience = deadline
			}
			c.mu.Lock()
			c.open = tx
			c.mu.Unlock()
			if c.life.Err() != nil {
				// Close came too late to see it.
				tx.abort(context.WithoutCancel(ctx))
			}
			opened = true
			return tx, nil
		}
		// The last attempt is made when the time is over.
		left := time.Until(deadline)
		switch {
		case !errors.Is(err, ErrLocked):
			return nil, err
		case !o.patient:
			return nil, fmt.Errorf("%w; WaitForLock waits for it", err)
		case left <= 0:
			return nil, fmt.Errorf("%w; waited %s", err, o.wait)
		}
		pause := min(lockPause(attempt), left)
		select {
		case <-time.After(pause):
		case <-ctx.Done():
			return nil, fmt.Errorf("%w (%w while waiting for the lock)", err, ended(ctx))
		case <-c.life.Done():
			return nil, fmt.Errorf("sps: %w", ErrClosed)
		}
	}
}

// lockPause is how long to wait before asking for the lock again: about one
// second at first, about ten later, never the same for two clients.
func lockPause(attempt int) time.Duration {
	base := min(time.Second<<min(attempt, 4), 10*time.Second)
	return base/2 + rand.N(base)
}

// takeTurn makes the caller the only one with, or without, a transaction.
func (c *Client) takeTurn(ctx context.Context, what string) (release func(), err error) {
	fail := func(err error) (func(), error) { return nil, fmt.Errorf("sps: %s: %w", what, err) }
	switch {
	case ctx.Value(transactionKey{c}) != nil && what == transactionPath.text:
		return fail(fmt.Errorf("%w: use that one", ErrNested))
	case ctx.Value(transactionKey{c}) != nil:
		return fail(fmt.Errorf("%w: do this after it", ErrNested))
	case c.life.Err() != nil:
		return fail(ErrClosed)
	case ctx.Err() != nil:
		return fail(ended(ctx))
	}
	select {
	case c.turn <- struct{}{}:
		return func() { <-c.turn }, nil
	case <-ctx.Done():
		return fail(fmt.Errorf("%w while waiting for another transaction of this client", ended(ctx)))
	case <-c.life.Done():
		return fail(ErrClosed)
	}
}

// lock opens a transaction on the appliance. It looks first, on a read that may
// log in again and be repeated: nothing is opened where a commit message lacks,
// or where changes that are not ours are staged in this session.
func (c *Client) lock(ctx context.Context, o *transactionOptions) (*session, error) {
	a, err := c.read(ctx, transactionPath, nil)
	if err != nil {
		return nil, err
	}
	state := newTransactionStatus(a)
	if left := c.leftOpen(); left != nil && left == a.session {
		if state.Status != statusClosed {
			if err := c.transport.rollback(ctx, left); err != nil {
				return nil, fmt.Errorf("%w (an earlier transaction is still open)", err)
			}
			state.Status = statusClosed
		}
		c.setLeft(nil)
		if c.sessions.renewable() {
			c.retire(ctx, left) // what was left in it may be executed yet
			return c.lock(ctx, o)
		}
	}
	if state.CommitMessageRequired && o.preview == nil && strings.TrimSpace(o.message) == "" {
		return nil, fmt.Errorf("sps: %w: pass CommitMessage", ErrCommitMessageRequired)
	}
	if state.Open() {
		return nil, fmt.Errorf("sps: %w: a transaction is open already", ErrLocked)
	}
	// In the session that was looked at, so that it is known where to roll back.
	open, cancel := c.whileOpen(ctx)
	defer cancel()
	k := &call{class: classCreate, method: http.MethodPost, path: transactionPath}
	opened, err := c.transport.do(open, k, a.session)
	if err == nil {
		return a.session, nil
	}
	var refused *Error
	switch {
	case expired(k, opened, err):
		c.sessions.drop(a.session)
		return nil, err
	case errors.As(err, &refused) && refusedByLock(refused):
		return nil, because(ErrLocked, err)
	case errors.As(err, &refused) && refused.Status < 500, refused == nil && !errors.Is(err, ErrOutcomeUnknown):
		return nil, err
	}
	// It may be open, and nobody must wait for the time-out of our session.
	err = withoutUnknown(err) // nothing was written
	if rollback := c.rollBack(ctx, a.session); rollback != nil {
		return nil, beside(err, "rolling back failed too", rollback)
	}
	c.retire(ctx, a.session)
	return nil, err
}

func (c *Client) newTransaction(ctx context.Context, session *session) *Transaction {
	tx := &Transaction{client: c, session: session, turn: make(chan struct{}, 1), staged: &staged{&memory{}}}
	tx.ctx, tx.cancel = context.WithCancelCause(ctx)
	tx.forget = context.AfterFunc(c.life, func() { tx.cancel(ErrClosed) })
	tx.TrafficAlerts = c.TrafficAlerts.In(tx)
	tx.SystemAlerts = c.SystemAlerts.In(tx)
	tx.Email = c.Email.In(tx)
	tx.SNMPTrap = c.SNMPTrap.In(tx)
	tx.TrustStores = c.TrustStores.In(tx)
	tx.StarlingConfiguration = c.StarlingConfiguration.In(tx)
	return tx
}

// finish ends the transaction once: by a commit if nothing speaks against it.
func (tx *Transaction) finish(ctx context.Context, err error, o *transactionOptions) error {
	if err != nil {
		tx.cancel(ErrTransactionOver)
	}
	tx.turn <- struct{}{} // a step under way ends with its context or its time limit
	defer func() { <-tx.turn }()
	if tx.over != nil {
		if errors.Is(tx.over, ErrTransactionLost) {
			// Should the session live after all, its lock must not stay.
			tx.client.rollBack(ctx, tx.session)
		}
		switch {
		case err == nil:
			return fmt.Errorf("sps: transaction: %w", tx.over)
		case errors.Is(err, tx.over):
			return err
		}
		return fmt.Errorf("%w (%w)", err, tx.over)
	}
	tx.over = ErrTransactionOver
	if err == nil {
		err = tx.fatal
	}
	if err == nil && ctx.Err() != nil {
		err = fmt.Errorf("sps: transaction: %w", ended(ctx))
	}
	if err == nil && tx.took {
		err = tx.judge(ctx, o)
	}
	if err == nil && tx.took && o.preview == nil {
		var done bool
		if done, err = tx.commit(ctx, o); done {
			return err
		}
	}
	rollback := tx.rollBack(ctx)
	switch {
	case rollback == nil:
		return err
	case err == nil:
		return rollback
	}
	return beside(err, "rolling back failed too", rollback)
}

// rollBack rolls back, and ends the session where a request may still be executed.
func (tx *Transaction) rollBack(ctx context.Context) error {
	if err := tx.client.rollBack(ctx, tx.session); err != nil {
		return err
	}
	if tx.late {
		tx.client.retire(ctx, tx.session)
	}
	return nil
}

// retire ends a session in which a request may still be executed, so that nothing of
// it gets into another transaction. One that was handed in stays.
func (c *Client) retire(ctx context.Context, s *session) {
	if !c.sessions.renewable() {
		return
	}
	c.sessions.drop(s)
	c.sessions.logOut(context.WithoutCancel(ctx), s)
}

// abandon rolls back after a panic, wherever it came from.
func (tx *Transaction) abandon(ctx context.Context) {
	tx.cancel(ErrTransactionOver)
	tx.turn <- struct{}{}
	defer func() { <-tx.turn }()
	if tx.over == nil || tx.over == ErrTransactionOver {
		tx.over = ErrTransactionOver
		tx.rollBack(ctx)
	}
}

// commit commits. done means that nothing is left to roll back.
func (tx *Transaction) commit(ctx context.Context, o *transactionOptions) (done bool, err error) {
	body, err := encode(commitBody(o.message))
	if err != nil {
		return false, err
	}
	k := &call{class: classCommit, method: http.MethodPut, path: transactionPath, body: body}
	a, err := tx.client.transport.do(ctx, k, tx.session)
	if err == nil && !newTransactionStatus(a).Open() {
		return true, nil
	}
	if err == nil {
		err = a.unusable("the transaction is still open after the commit")
	}
	var refused *Error
	var broken *TransportError
	switch {
	case expired(k, a, err):
		return false, tx.lost(err)
	case errors.As(err, &broken) && !broken.sent:
		return false, because(errors.New("the commit was not executed"), err)
	case !errors.As(err, &refused) || refused.Type == "" || refused.Status >= 500:
		return tx.resolve(ctx, err)
	case refusedWithoutTransaction(refused):
		bound, cancel := tx.client.bounded(ctx)
		defer cancel()
		status, _ := tx.client.transport.transactionStatus(bound, tx.session)
		if status == statusClosed && tx.staged.find(bound, tx.client).asWritten() {
			return true, nil
		}
		return false, because(ErrTransactionLost, err)
	case strings.TrimSpace(o.message) == "" && refusedWithoutMessage(refused):
		err = because(ErrCommitMessageRequired, err)
	case stepRefusedByLock(refused):
		err = because(ErrLocked, err) // not waited for: what the other one changes would not be seen
	}
	return false, err
}

// OutcomeUnknownDetails is the detail of an [ErrOutcomeUnknown] of a commit: what was
// seen until the client stopped asking.
type OutcomeUnknownDetails struct {
	// Waited is how long the client asked.
	Waited time.Duration
	// Status is the last status of the transaction: "open", "closed", "gone" where its
	// session had ended, or "" where the appliance did not tell.
	Status string
	// RolledBack is set where the appliance answered the rollback that followed. That
	// does not stop a commit that the appliance is executing.
	RolledBack bool
	// AsBefore, AsWritten and Neither are the paths of the written objects, relative to
	// /api/, by how they were seen last. Objects that could not be read or compared are
	// in none of them.
	AsBefore, AsWritten, Neither []string
}

// Error returns what was seen, in one line.
func (d *OutcomeUnknownDetails) Error() string {
	text := fmt.Sprintf("asked for %s", d.Waited.Round(time.Second))
	if d.Status != "" {
		text += ", the transaction was " + d.Status
	}
	if d.RolledBack {
		text += ", rolled back"
	}
	for _, objects := range []struct {
		state string
		paths []string
	}{{"as before", d.AsBefore}, {"as written", d.AsWritten}, {"neither as before nor as written", d.Neither}} {
		if n := len(objects.paths); n > 0 {
			text += ", " + objects.state + ": " + oneLine(strings.Join(objects.paths[:min(n, 3)], " "), 300)
			if n > 3 {
				text += fmt.Sprintf(" and %d more", n-3)
			}
		}
	}
	return text
}

// statusGone is the status of a transaction whose session has ended.
const statusGone = "gone"

// resolvePause is how long to wait before the next look at what became of a commit.
func resolvePause(looks int) time.Duration {
	return min(500*time.Millisecond<<min(looks, 10), 15*time.Second)
}

// resolve asks the appliance what became of a commit without an answer. That the
// transaction is open proves nothing, nor do objects that are unchanged: the commit may
// come yet. So it asks until the objects are as they were written, or its patience
// ends, and sends nothing meanwhile that could disturb the commit.
func (tx *Transaction) resolve(ctx context.Context, cause error) (done bool, err error) {
	tx.late = true
	c := tx.client
	start := time.Now()
	asking, cancel := context.WithTimeout(context.WithoutCancel(ctx), c.transport.timeouts.Outcome)
	defer cancel()
	stop := context.AfterFunc(tx.ctx, func() {
		time.AfterFunc(c.transport.timeouts.Close/2, cancel)
	})
	defer stop()
	details := &OutcomeUnknownDetails{}
	for looks := 0; asking.Err() == nil; looks++ {
		status, err := c.transport.transactionStatus(asking, tx.session)
		if expired(&call{}, nil, err) {
			c.sessions.drop(tx.session)
			status = statusGone
		}
		if status != "" {
			details.Status = status
		}
		if status == statusClosed || status == statusGone {
			if tx.staged.find(asking, c).asWritten() {
				return true, nil
			}
		}
		if sleep(asking, resolvePause(looks)) != nil {
			break
		}
	}
	details.Waited = time.Since(start)
	return true, tx.unresolved(ctx, details, cause)
}

// unresolved cleans up after a commit whose outcome could not be found out, looks a last
// time, and makes its error; nil if it was executed after all.
func (tx *Transaction) unresolved(ctx context.Context, details *OutcomeUnknownDetails, cause error) error {
	c := tx.client
	bound, cancel := c.bounded(ctx)
	defer cancel()
	if details.Status != statusGone {
		k := &call{class: classRollback, method: http.MethodDelete, path: transactionPath, once: true}
		half, halved := context.WithTimeout(bound, c.transport.timeouts.Close/4)
		_, err := c.transport.do(half, k, tx.session)
		halved()
		details.RolledBack = err == nil
		if err != nil {
			c.setLeft(tx.session)
		}
		// While it is open, the session sees what is staged, which proves nothing.
		found := &findings{}
		if status, _ := c.transport.transactionStatus(bound, tx.session); status == statusClosed {
			found = tx.staged.find(bound, c)
		}
		if details.RolledBack {
			c.retire(ctx, tx.session) // the commit may arrive yet
		}
		if found.asWritten() {
			return nil
		}
		details.AsBefore, details.AsWritten, details.Neither = found.before, found.written, found.neither
	}
	if !errors.Is(cause, ErrOutcomeUnknown) {
		cause = because(ErrOutcomeUnknown, cause)
	}
	return &undecided{cause, details}
}

// undecided is a lost commit with what was seen of it.
type undecided struct {
	err     error
	details *OutcomeUnknownDetails
}

func (u *undecided) Error() string {
	return u.err.Error() + " (" + u.details.Error() + "; look at the appliance before you repeat it)"
}

func (u *undecided) Unwrap() []error { return []error{u.err, u.details} }

// transactionStatus reads the status of a session's transaction, open or closed.
func (t *transport) transactionStatus(ctx context.Context, s *session) (string, error) {
	a, err := t.do(ctx, &call{class: classRead, method: http.MethodGet, path: transactionPath}, s)
	if err != nil {
		return "", err
	}
	switch status := newTransactionStatus(a).Status; status {
	case statusOpen, statusClosed:
		return status, nil
	}
	return "", a.unusable("it lacks the status of the transaction")
}

// withoutUnknown takes back what was thought of an error, once the outcome is
// known.
func withoutUnknown(err error) error {
	var broken *TransportError
	var refused *Error
	switch {
	case errors.As(err, &broken):
		known := *broken
		known.OutcomeUnknown = false
		return &known
	case errors.As(err, &refused):
		known := *refused
		known.OutcomeUnknown = false
		return &known
	}
	return err
}

// abort ends the transaction for Close, whatever its function is doing.
func (tx *Transaction) abort(ctx context.Context) error {
	tx.cancel(ErrClosed)
	select {
	case tx.turn <- struct{}{}:
		defer func() { <-tx.turn }()
	case <-ctx.Done():
		return fmt.Errorf("sps: a step of the transaction goes on: %w", ErrOutcomeUnknown)
	}
	if tx.over != nil {
		return nil
	}
	tx.over = ErrClosed
	return tx.rollBack(ctx)
}

// rollBack rolls back whatever ctx says, and remembers a session in which it
// failed.
func (c *Client) rollBack(ctx context.Context, s *session) error {
	ctx, cancel := c.bounded(ctx)
	defer cancel()
	if err := c.transport.rollback(ctx, s); err != nil {
		c.setLeft(s)
		return err
	}
	return nil
}

// rollback drops the open transaction of a session; one that has expired has
// taken it with it. Without a proper answer the appliance is asked whether there
// is anything left to drop.
func (t *transport) rollback(ctx context.Context, s *session) error {
	_, err := t.do(ctx, &call{class: classRollback, method: http.MethodDelete, path: transactionPath}, s)
	if err == nil || expired(&call{}, nil, err) {
		return nil
	}
	status, asking := t.transactionStatus(ctx, s)
	if status == statusClosed || expired(&call{}, nil, asking) {
		return nil
	}
	return err
}

// bounded returns a context that outlives the caller's, for as long as cleaning
// up may take.
func (c *Client) bounded(ctx context.Context) (context.Context, context.CancelFunc) {
	return context.WithTimeout(context.WithoutCancel(ctx), c.transport.timeouts.Close)
}

func (c *Client) leftOpen() *session {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.left
}

func (c *Client) setLeft(s *session) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.left = s
}
