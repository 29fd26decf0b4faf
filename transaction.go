package sps

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"math/rand/v2"
	"net/http"
	"net/url"
	"strings"
	"sync/atomic"
	"time"

	"github.com/go-sps/sps/internal/wire"
)

// Transaction reads and writes the configuration in one transaction of the appliance.
// [Client.Transaction] passes it to your function. The transaction ends when the function
// returns. A Transaction is safe for concurrent use. From the first write on, it sends
// one request at a time.
type Transaction struct {
	// Alerting writes which alerts the appliance sends, and how it sends them
	// (configuration/alerting).
	Alerting AlertingTx
	// Management writes the settings for the disk, mail and SNMP
	// (configuration/management).
	Management ManagementTx
	// Starling writes the configuration of Starling (configuration/starling).
	Starling StarlingTx
	// TrustStores writes the trust stores (configuration/trust_stores).
	TrustStores CollectionTx[TrustStore]

	client *Client
	ctx    context.Context
	cancel context.CancelCauseFunc
	forget func() bool // unregisters the function that cancels ctx when the client is closed
	o      *transactionOptions
	looks  *looks  // the reads that were made before the transaction held the lock
	staged *staged // the written values, and the values before the writes
	phase  atomic.Int32

	turn      chan struct{} // held during a step, and by the goroutine that ends the transaction
	session   *session      // the session in which the transaction is open, which sends all writes; nil before the first write
	since     time.Time     // when the transaction was opened
	deadline  time.Time     // when to stop waiting for the lock; set when the wait begins
	confirmed bool          // the earlier reads were repeated with the lock held
	accepted  bool          // the appliance has accepted a write
	late      bool          // the appliance may still execute a request whose response was lost
	fatal     error         // the reason why the transaction must not be committed
	over      error         // the reason why the transaction accepts no further step
	final     bool          // Client.Transaction returns the error in over, whatever its function returns
}

// The phases of a transaction.
const (
	phaseReading int32 = iota // nothing was written: the transaction is not open, and reads run concurrently
	phaseOpening              // the first write is running
	phaseOpen
	phaseOver
)

// TransactionOption is an option of [Client.Transaction] and [Client.Preview]:
// [WithMessage], [WithLockWait], [WithLockFirst], [WithRerun] or [WithChanges]. A nil
// option does nothing.
type TransactionOption interface{ applyTransaction(*transactionOptions) }

type transactionOptions struct {
	message   string
	patient   bool
	wait      time.Duration
	limit     time.Duration // the limit of WithLockWait; wait is the part of it that remains
	lockFirst bool
	rerun     time.Duration // the limit of WithRerun
	changes   *CommittedChanges
	preview   *[]Change // receives the changes of a dry run
}

// MessageOption is the option that [WithMessage] returns. It is valid for transactions
// and upgrades.
type MessageOption string

// WithMessage sets the message, such as a ticket number, that the appliance's change log
// shows for a commit or an upgrade. Some appliances require one.
func WithMessage(message string) MessageOption { return MessageOption(message) }

func (o MessageOption) applyTransaction(t *transactionOptions) { t.message = string(o) }

type lockOption func(*transactionOptions)

func (o lockOption) applyTransaction(t *transactionOptions) { o(t) }

type changesOption struct{ changes *CommittedChanges }

func (o changesOption) applyTransaction(t *transactionOptions) { t.changes = o.changes }

// WithLockWait makes a transaction wait if somebody else holds the configuration lock.
// The limit applies to the wait for the lock and the wait for another transaction of the
// same client together. If the context of the call ends, both waits end. The client
// requests the lock again at random intervals of 50 ms to 1 s. Without this option, a
// transaction returns [ErrLocked] at once if somebody else holds the lock. If the
// appliance refuses the commit because of the lock, the transaction returns ErrLocked
// even with this option. For a negative limit, it returns [ErrInvalidInput].
func WithLockWait(limit time.Duration) TransactionOption {
	return lockOption(func(o *transactionOptions) { o.patient, o.wait, o.limit = true, limit, limit })
}

// WithLockFirst opens the transaction before the function runs. All reads of the function
// are then made inside the transaction, and the client does not repeat them. The
// transaction takes the lock even if the function changes nothing. If the appliance
// requires a message, the transaction needs one even then. An appliance may take the lock
// only at the first change or at the commit. On such an appliance, [ErrConflict] is
// guaranteed only for the objects that the transaction wrote.
func WithLockFirst() TransactionOption {
	return lockOption(func(o *transactionOptions) { o.lockFirst = true })
}

// WithChanges stores the committed changes in changes. It stores nothing if the
// transaction fails.
func WithChanges(changes *CommittedChanges) TransactionOption {
	return changesOption{changes}
}

// transactionKey is the context key of a client's running transaction.
type transactionKey struct{ client *Client }

// Transaction calls fn. If fn returns nil, Transaction commits the changes that fn has
// made. Otherwise it rolls them back.
//
// Opening: the first write opens the transaction (POST /api/transaction) and takes the
// configuration lock. By default, the transaction has a session of its own. Reads before
// the first write are made without the lock. The client therefore repeats them after the
// appliance has accepted the first write. If a value has changed, the transaction rolls
// back and returns [ErrConflict]; with [WithRerun], it runs fn again. If the first write
// is an Update and only its object has changed, the client repeats the update instead.
// The client repeats reads of the configuration that used the Transaction or the context
// of fn. If fn writes nothing, the transaction needs no lock, no message and no commit.
//
// Rollback: the transaction rolls back when fn returns an error, panics or calls
// runtime.Goexit, when ctx is done, and when every write was refused. The rollback takes
// at most [Timeouts].Close.
//
// Result: Transaction returns nil if the changes were applied or if there were none. If
// nothing was applied, it returns the error of fn, of a request or of the commit. If the
// rollback fails, the error also contains the error of the rollback. If the response to
// the commit is lost, the client polls the appliance for up to [Timeouts].Outcome. If ctx
// ends meanwhile, the client polls for at most half of [Timeouts].Close longer.
// Transaction returns nil if the transaction is closed and the objects have the written
// values. Otherwise it returns [ErrOutcomeUnknown] with [OutcomeUnknownDetails].
//
// Errors that end the transaction, whatever fn returns:
//   - [ErrLocked]: somebody else holds the configuration lock. See [WithLockWait].
//   - [ErrCommitMessageRequired]: the appliance requires a message, see [WithMessage].
//     Appliances before 7.0 report this only when they refuse the commit.
//   - [ErrTransactionLost]: the session ended after the first write, and the transaction
//     ended with it.
//   - The error of a write whose response was lost. The client does not repeat the write.
//
// The REST API guide does not say when the appliance takes the lock. If the appliance
// takes the lock only at the commit, or if the client reads and writes in one session,
// ErrConflict is guaranteed only for the objects that the transaction wrote.
//
// A client runs one transaction at a time. A second call of Transaction waits for the
// first one until its own context ends. Do not call Transaction inside fn. With the
// context of fn, the nested call returns [ErrNested]. With another context, it waits for
// the outer transaction, which waits for fn. Inside fn, use only the context that fn
// receives.
func (c *Client) Transaction(ctx context.Context, fn func(context.Context, *Transaction) error, options ...TransactionOption) error {
	o := &transactionOptions{}
	for option := range given(options) {
		option.applyTransaction(o)
	}
	return c.transactAgain(ctx, fn, o)
}

// Preview runs fn like [Client.Transaction], but rolls back the changes instead of
// committing them. It returns the list of staged changes that it has read from the
// appliance before the rollback. Preview needs no commit message. If fn writes nothing,
// the list is empty and, without [WithLockFirst], Preview sends no requests besides the
// reads of fn. Preview takes the same options as Transaction, but [WithMessage] and
// [WithChanges] have no effect. It cannot find problems that the appliance reports only at
// the commit.
func (c *Client) Preview(ctx context.Context, fn func(context.Context, *Transaction) error, options ...TransactionOption) ([]Change, error) {
	var changes []Change
	o := &transactionOptions{preview: &changes}
	for option := range given(options) {
		option.applyTransaction(o)
	}
	if err := c.transactAgain(ctx, fn, o); err != nil {
		return nil, err
	}
	return changes, nil
}

func (c *Client) transact(ctx context.Context, fn func(context.Context, *Transaction) error, o *transactionOptions) error {
	if err := c.made(); err != nil {
		return err
	}
	if fn == nil {
		return c.fail("transaction", invalid("the function is nil"))
	}
	tx, release, err := c.begin(ctx, o)
	if err != nil {
		return err
	}
	defer release()
	settled := false
	defer func() {
		if !settled { // a panic or Goexit, which continues
			tx.abandon(ctx)
		}
	}()
	if o.lockFirst {
		err = tx.lockFirst()
	}
	if err == nil {
		err = fn(context.WithValue(tx.ctx, transactionKey{c}, tx), tx)
	}
	err = tx.finish(ctx, err)
	settled = true
	if err == nil && o.changes != nil && o.preview == nil {
		*o.changes = tx.staged.committed
	}
	return err
}

// made returns an error if the transaction is nil or a zero value.
func (tx *Transaction) made() error {
	if tx == nil || tx.client == nil {
		return fmt.Errorf("sps: %w", invalid("this transaction is nil or a zero value: use the one that Client.Transaction passes to its function"))
	}
	return nil
}

// at adds the name of the appliance to an error that does not name it.
func (c *Client) at(err error) error {
	if err == nil || c.made() != nil || strings.HasPrefix(plain(err), c.transport.host+": ") {
		return err
	}
	return &located{c.transport.host, err}
}

func (tx *Transaction) at(err error) error {
	if tx.made() != nil {
		return err
	}
	return tx.client.at(err)
}

// located is an error with the name of the appliance that it concerns.
type located struct {
	host string
	err  error
}

func (l *located) Error() string { return "sps: " + l.host + ": " + plain(l.err) }

func (l *located) Unwrap() error { return l.err }

func (l *located) LogValue() slog.Value { return logged(l) }

// fail makes an error that names the appliance and the operation.
func (c *Client) fail(what string, err error) error {
	if unmade := c.made(); unmade != nil {
		return unmade
	}
	if strings.HasPrefix(plain(err), c.transport.host+": ") { // name the appliance once
		return c.at(because(errors.New(what), err))
	}
	return errorf("sps: %s: %s: %w", c.transport.host, what, err)
}

// Invoke sends a request to an endpoint for which the SDK has no field or method, as part
// of the transaction. The arguments are those of [Client.Invoke]. Invoke accepts the
// writes for which Client.Invoke returns [ErrTransactionOnly], except those to
// transaction/. It returns [ErrInvalidInput] for all other writes.
func (tx *Transaction) Invoke(ctx context.Context, method, path string, body any, options ...RequestOption) (*Response, error) {
	if err := tx.made(); err != nil {
		return nil, err
	}
	k, err := newInvocation(method, path, body, options)
	if err != nil {
		return nil, tx.at(err)
	}
	if k.method != http.MethodGet {
		if !k.path.Below(transactional...) {
			return nil, tx.client.fail(k.method+" "+k.path.Text, notTransactional())
		}
		k.class = classStep
		if k.body != nil {
			if k.body, err = wire.BareReferences(k.body); err != nil {
				return nil, tx.client.fail(k.method+" "+k.path.Text, fmt.Errorf("%w: %w", ErrInvalidInput, err))
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

// write sends a write request. It replaces each reference in the body by its key. If body
// is nil, the request has no body. secrets are the secrets in the body.
func (tx *Transaction) write(ctx context.Context, method string, path apiPath, body []byte, secrets ...Secret) (*answer, error) {
	return tx.writeFresh(ctx, method, path, body, nil, secrets...)
}

// errStale means that another step of the transaction has written an object after an
// update had read it.
var errStale = invalid("other writes of the transaction changed the object each time before the update could write it: check that the function of the update does not write the same object")

// writeFresh sends a write whose body was made from a value that was read before. It
// returns errStale if another step of the transaction has written the object since that
// read. If read is nil, it does not check this.
func (tx *Transaction) writeFresh(ctx context.Context, method string, path apiPath, body []byte, read *version, secrets ...Secret) (*answer, error) {
	fail := func(err error) (*answer, error) {
		return nil, tx.client.fail(method+" "+path.Text, err)
	}
	if !path.Below(transactional...) {
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
	return tx.step(ctx, &call{class: classStep, method: method, path: path, body: body, secret: secrets, basis: basis{read: read}})
}

func notTransactional() error {
	return invalid("this write cannot be part of a transaction: its path must be below %s", strings.Join(transactional, ", "))
}

// admit returns the reason why a client's handle cannot be used with the transaction, or
// nil.
func (tx *Transaction) admit(c *Client, path apiPath) error {
	if err := tx.made(); err != nil {
		return err
	}
	if tx.client != c {
		return tx.client.fail(path.Text, ErrOtherClient)
	}
	return nil
}

// giveUp rolls back the transaction at once. [Client.Transaction] then returns err,
// whatever its function returns. The caller holds tx.turn.
func (tx *Transaction) giveUp(ctx context.Context, err error) error {
	if tx.over != nil { // the transaction has already ended for another reason
		return err
	}
	tx.phase.Store(phaseOver)
	if rollback := tx.rollBack(ctx); rollback != nil {
		err = beside(err, "the rollback failed too", rollback)
	}
	tx.over, tx.final = err, true
	return err
}

// lose ends a transaction that no longer exists on the appliance, usually because its
// session has ended. err is the refusal of the appliance, or nil.
func (tx *Transaction) lose(err error) error {
	gone := expired(&call{}, nil, err) || err == nil
	if err == nil {
		err = tx.client.fail("transaction", ErrTransactionLost)
	} else {
		err = because(ErrTransactionLost, err)
	}
	if gone {
		tx.client.writing.drop(tx.session)
		tx.client.reading.drop(tx.session)
	}
	tx.late = true // end the session, in case it still exists
	tx.over = ErrTransactionLost
	return err
}

// spoil makes the transaction roll back, whatever its function returns.
func (tx *Transaction) spoil(err error) {
	tx.turn <- struct{}{}
	defer func() { <-tx.turn }()
	tx.fatal = err
}

// begin waits until no other transaction of the client runs, and returns a new one.
// release must be called when the transaction has ended.
func (c *Client) begin(ctx context.Context, o *transactionOptions) (tx *Transaction, release func(), err error) {
	start := time.Now()
	turn, err := c.takeTurn(ctx, transactionPath.Text, o)
	if err != nil {
		return nil, nil, err
	}
	o.wait -= time.Since(start)
	tx = c.newTransaction(ctx, o)
	c.mu.Lock()
	c.open = tx
	c.mu.Unlock()
	return tx, func() {
		c.mu.Lock()
		c.open = nil
		c.mu.Unlock()
		tx.forget()
		tx.cancel(ErrTransactionOver)
		turn()
	}, nil
}

// alone waits until no transaction of the client runs and prevents new ones until release
// is called. The caller uses it for an action that the appliance refuses while a
// transaction is open. alone also tries to end sessions of this client that may still
// have an open transaction.
func (c *Client) alone(ctx context.Context, what string) (release func(), err error) {
	release, err = c.takeTurn(ctx, what, &transactionOptions{})
	if err == nil {
		_ = c.sweep(ctx, true) // if a transaction remains open, the appliance refuses the action
	}
	return release, err
}

// takeTurn waits until the client runs no other transaction and no action that has called
// alone. It then takes the lock c.turn.
func (c *Client) takeTurn(ctx context.Context, what string, o *transactionOptions) (release func(), err error) {
	fail := func(err error) (func(), error) { return nil, c.fail(what, err) }
	switch {
	case c.made() != nil:
		return fail(nil)
	case ctx.Value(transactionKey{c}) != nil && what == transactionPath.Text:
		return fail(fmt.Errorf("%w: use the transaction that is already open", ErrNested))
	case ctx.Value(transactionKey{c}) != nil:
		return fail(whileOpen(what))
	case c.life.Err() != nil:
		return fail(ErrClosed)
	case ctx.Err() != nil:
		return fail(ended(ctx))
	}
	var over <-chan time.Time
	if o.patient {
		timer := time.NewTimer(o.wait)
		defer timer.Stop()
		over = timer.C
	}
	select {
	case c.turn <- struct{}{}:
		return func() { <-c.turn }, nil
	default:
	}
	select {
	case c.turn <- struct{}{}:
		return func() { <-c.turn }, nil
	case <-ctx.Done():
		return fail(fmt.Errorf("%w while waiting for another transaction of this client", ended(ctx)))
	case <-over:
		return fail(fmt.Errorf("%w: another transaction of this client is running; waited %s", ErrLocked, o.limit))
	case <-c.closed:
		return fail(ErrClosed)
	}
}

func (c *Client) newTransaction(ctx context.Context, o *transactionOptions) *Transaction {
	tx := &Transaction{client: c, o: o, turn: make(chan struct{}, 1), looks: &looks{&glances{}}, staged: &staged{&memory{}}}
	tx.ctx, tx.cancel = context.WithCancelCause(ctx)
	tx.forget = context.AfterFunc(c.life, func() { tx.cancel(ErrClosed) })
	tx.Alerting = newAlertingTx(tx)
	tx.Management = newManagementTx(tx)
	tx.Starling = StarlingTx{starlingConfiguration.singletonTx(tx)}
	tx.TrustStores = trustStores.collectionTx(tx)
	return tx
}

// finish commits or rolls back the transaction. err is the error of its function. finish
// rolls back if err is not nil or if there is another reason.
func (tx *Transaction) finish(ctx context.Context, err error) error {
	if err != nil {
		tx.cancel(ErrTransactionOver)
	}
	tx.turn <- struct{}{} // wait for a running step, which ends at the latest with its context or its time limit
	defer func() { <-tx.turn }()
	defer tx.phase.Store(phaseOver)
	if tx.over != nil {
		return tx.finished(ctx, err)
	}
	tx.over = ErrTransactionOver
	if tx.session == nil {
		return err
	}
	defer tx.freed()
	if err == nil {
		err = tx.fatal
	}
	if err == nil && ctx.Err() != nil {
		err = tx.client.fail("transaction", ended(ctx))
	}
	if err == nil && tx.accepted {
		var done bool
		if done, err = tx.complete(ctx); done {
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
	return beside(err, "the rollback failed too", rollback)
}

// finished makes the error of a transaction that had ended before its function returned.
func (tx *Transaction) finished(ctx context.Context, err error) error {
	if tx.session != nil {
		tx.freed()
	}
	if errors.Is(tx.over, ErrTransactionLost) {
		// Roll back in case the session still exists, so that it does not keep the lock.
		_ = tx.rollBack(ctx)
	}
	switch {
	case tx.final && (err == nil || errors.Is(err, tx.over)):
		return orElse(err, tx.over)
	case err == nil:
		return tx.client.fail("transaction", tx.over)
	case errors.Is(err, tx.over):
		return err
	}
	return errorf("%w (%w)", err, tx.over)
}

func orElse(err, other error) error {
	if err == nil {
		return other
	}
	return err
}

// complete commits, or reads the changes for a dry run. done means that there is nothing
// to roll back.
func (tx *Transaction) complete(ctx context.Context) (done bool, err error) {
	if !tx.o.lockFirst {
		if _, err := tx.confirm(ctx, apiPath{}, nil); err != nil {
			return false, err
		}
	}
	changes, unlisted, err := tx.judge(ctx)
	if err != nil || tx.o.preview != nil {
		return false, err
	}
	tx.staged.committed = CommittedChanges{Changes: changes, Err: unlisted}
	return tx.commit(ctx)
}

// rollBack rolls back the transaction. It also ends the session if the rollback failed or
// if the appliance may still execute a request of the transaction.
func (tx *Transaction) rollBack(ctx context.Context) error {
	if tx.session == nil {
		return nil
	}
	began := time.Now()
	bound, cancel := tx.client.budget(ctx)
	defer cancel()
	defer tx.client.cleaned(began)
	return tx.client.discard(bound, tx.session, tx.late)
}

// discard rolls back the open transaction of a session. It also ends the session if the
// rollback failed or if the appliance may still execute a request in the session.
func (c *Client) discard(ctx context.Context, s *session, late bool) error {
	half, cancel := halfOf(ctx)
	again, err := c.transport.rollback(half, s)
	cancel()
	if err == nil && !late && !again {
		return nil
	}
	return c.endSession(ctx, s, err, late)
}

// abandon rolls back after a panic.
func (tx *Transaction) abandon(ctx context.Context) {
	tx.cancel(ErrTransactionOver)
	tx.turn <- struct{}{}
	defer func() { <-tx.turn }()
	tx.phase.Store(phaseOver)
	if tx.over == nil || tx.over == ErrTransactionOver {
		tx.over = ErrTransactionOver
		_ = tx.rollBack(ctx)
	}
}

// abort ends the transaction for Close, whatever its function is doing.
func (tx *Transaction) abort(ctx context.Context) error {
	tx.cancel(ErrClosed)
	select {
	case tx.turn <- struct{}{}:
		defer func() { <-tx.turn }()
	case <-ctx.Done():
		return fmt.Errorf("a step of the transaction is still running: %w", ErrOutcomeUnknown)
	}
	if tx.over != nil {
		return nil
	}
	tx.over = ErrClosed
	tx.phase.Store(phaseOver)
	if tx.session == nil {
		return nil
	}
	return tx.client.discard(ctx, tx.session, tx.late)
}

// rollback rolls back the open transaction of a session. An expired session has no
// transaction, so this is a success. If the request fails, rollback reads from the
// appliance whether a transaction is still open. late means that the response to a
// rollback request was lost. The appliance may then execute the request later and roll
// back a new transaction in the same session.
func (t *transport) rollback(ctx context.Context, s *session) (late bool, err error) {
	a, err := t.do(ctx, &call{class: classRollback, method: http.MethodDelete, path: transactionPath}, s)
	switch {
	case err == nil:
		return a.exchange.attempts > 1, nil
	case expired(&call{}, nil, err):
		return false, nil
	}
	status, asking := t.transactionStatus(ctx, s)
	if status == statusClosed || expired(&call{}, nil, asking) {
		return true, nil
	}
	return true, err
}

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
	return "", a.unusable("the answer lacks the status of the transaction")
}

// withoutUnknown returns an error without ErrOutcomeUnknown, for an outcome that is known
// by now.
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

// WithRerun runs the function again, in a new transaction, if [SafeToRetry] allows it for
// the error: after [ErrConflict], [ErrLocked] or [ErrTransactionLost], and while the
// appliance cannot be reached or is overloaded. The limit counts from the start of the
// first run. No run starts after the limit, but a run that has started may end later. If
// the context of the transaction ends, no further run starts. Between two runs, the
// client waits for the time in a Retry-After header, or until the session that holds the
// lock ends, if the client can find out when. Otherwise it waits for a random time, which
// is at most 200 ms after the first run and grows to at most 10 s. If no run succeeds,
// Transaction returns the error of the last run.
//
// WithRerun does not repeat a run that failed with [ErrOutcomeUnknown]. If [WithLockWait]
// is also set, it does not repeat a run that failed with ErrLocked. Write the function so
// that it can be called several times. It must not use values that an earlier run has
// read or computed.
//
// A limit of 0 turns the option off. For a negative limit, Transaction returns
// [ErrInvalidInput].
func WithRerun(limit time.Duration) TransactionOption {
	return lockOption(func(o *transactionOptions) { o.rerun = limit })
}

// firstRerunPause is the maximum wait after the first run. It doubles with each run, up
// to mostRerunPause.
const (
	firstRerunPause = 200 * time.Millisecond
	mostRerunPause  = 10 * time.Second
)

// transactAgain calls transact as often as the options allow.
func (c *Client) transactAgain(ctx context.Context, fn func(context.Context, *Transaction) error, o *transactionOptions) error {
	switch {
	case o.rerun < 0:
		return c.fail("transaction", invalid("the limit of WithRerun is negative"))
	case o.limit < 0:
		return c.fail("transaction", invalid("the limit of WithLockWait is negative"))
	}
	end := time.Now().Add(o.rerun)
	for runs := 0; ; runs++ {
		run := *o // a copy, because a run decreases o.wait
		if o.preview != nil {
			*o.preview = nil // an earlier run may have stored its changes before it failed
		}
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
