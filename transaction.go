package sps

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"net/http"
	"net/url"
	"strings"
	"sync/atomic"
	"time"

	"github.com/go-sps/sps/internal/wire"
)

var transactionPath = mustPath("transaction")

// Transaction is an open configuration transaction, the only way to write the
// configuration. [Client.Transaction] hands it to your function; it is over when
// that returns. It is safe for several goroutines, whose steps take turns.
type Transaction struct {
	// Alerting writes which alerts are sent where, configuration/alerting.
	Alerting AlertingTx
	// Management writes the settings for the disk, mail and SNMP, configuration/management.
	Management ManagementTx
	// Starling writes configuration/starling.
	Starling StarlingTx
	// TrustStores writes the authorities that the appliance trusts,
	// configuration/trust_stores.
	TrustStores CollectionTx[TrustStore]

	client *Client
	ctx    context.Context
	cancel context.CancelCauseFunc
	forget func() bool // lets go of the client's life
	o      *transactionOptions
	looks  *looks  // what was read before it held the lock
	staged *staged // what was written, and what was there before
	phase  atomic.Int32

	turn      chan struct{} // held during a step, and by whoever ends the transaction
	session   *session      // the one that it is open in: no other may write; nil before that
	since     time.Time     // when it was opened
	deadline  time.Time     // until when it waits for the lock, once it does
	confirmed bool          // what was read before was repeated with the lock held
	accepted  bool          // a write was accepted
	late      bool          // a request whose answer was lost may still be executed
	fatal     error         // why it must not be committed
	over      error         // why it accepts no further step
	final     bool          // over is what the transaction gives, whatever its function returns
}

// The phases of a transaction.
const (
	phaseReading int32 = iota // nothing was written: it is not open, and reads take no turn
	phaseOpening              // its first write is under way
	phaseOpen
	phaseOver
)

// TransactionOption refines one [Client.Transaction]: [WithMessage], [WithLockWait],
// [WithLockFirst], [WithRerun] and [WithChanges].
type TransactionOption interface{ applyTransaction(*transactionOptions) }

type transactionOptions struct {
	message   string
	patient   bool
	wait      time.Duration
	lockFirst bool
	rerun     time.Duration // how long the function may be run again
	changes   *CommittedChanges
	preview   *[]Change // where a dry run puts what it would change
}

// MessageOption is what [WithMessage] returns. It fits transactions and upgrades.
type MessageOption string

// WithMessage is what the change log of the appliance shows for a commit or an upgrade, a
// ticket for example. Some appliances require one.
func WithMessage(message string) MessageOption { return MessageOption(message) }

func (o MessageOption) applyTransaction(t *transactionOptions) { t.message = string(o) }

type lockOption func(*transactionOptions)

func (o lockOption) applyTransaction(t *transactionOptions) { o(t) }

type changesOption struct{ changes *CommittedChanges }

func (o changesOption) applyTransaction(t *transactionOptions) { t.changes = o.changes }

// WithLockWait makes a transaction wait while somebody else holds the configuration, and
// while another transaction of the same client runs: up to this time for each of both
// together, and within its context. It asks again at random moments, at least 50 ms
// apart. Without it [ErrLocked] comes at once; so it does where the appliance refuses
// the commit because of the lock.
func WithLockWait(limit time.Duration) TransactionOption {
	return lockOption(func(o *transactionOptions) { o.patient, o.wait = true, limit })
}

// WithLockFirst opens the transaction before the function runs, and makes its reads in
// the transaction; none is repeated. It takes the lock, and needs a message where the
// appliance requires one, even if the function then changes nothing. An appliance that
// takes the lock with the first change or with the commit does not lock by the opening:
// there [ErrConflict] is promised for the objects that were written only.
func WithLockFirst() TransactionOption {
	return lockOption(func(o *transactionOptions) { o.lockFirst = true })
}

// WithChanges puts what the transaction committed into changes, once it has succeeded.
// Nothing is written to it where the transaction fails.
func WithChanges(changes *CommittedChanges) TransactionOption {
	return changesOption{changes}
}

// transactionKey finds a client's running transaction in a context.
type transactionKey struct{ client *Client }

// Transaction calls fn, and commits what it wrote when fn returns nil.
//
// The first write opens the transaction (POST /api/transaction), in a session of its own
// where the client has two, and takes the configuration lock. What fn reads before that
// is read without the lock; when the first write is accepted, the reads are repeated.
// Where one shows something else by then, the transaction is rolled back with
// [ErrConflict], and may be run again, as [WithRerun] does; the write of an Update that merely finds its own
// object changed is made anew instead. Reads count when they are of the configuration
// and made with the transaction or with fn's context. A function that writes nothing
// needs no lock, no message and no commit.
//
// It rolls back when fn returns an error, panics or calls runtime.Goexit, and when ctx
// is done, within [Timeouts].Close. It also rolls back where every write was refused.
//
// It returns nil when every change was applied, or there was none. It returns fn's
// error, or that of the step or the commit that failed, when nothing was applied; an
// error of the rollback is added and never hides it. A commit whose answer was lost has
// two ends. It is a success where the appliance shows the transaction closed and the
// objects as they were written. Everything else is [ErrOutcomeUnknown] with
// [OutcomeUnknownDetails]: the client asks for up to [Timeouts].Outcome, and after the
// end of ctx for half of [Timeouts].Close.
//
// A first write gives [ErrLocked] while somebody else changes the configuration (see
// [WithLockWait]), and [ErrCommitMessageRequired] where the appliance says that it
// requires a message; those before 7.0 do not say so, and refuse the commit. Both end
// the transaction, whatever fn returns. A step whose answer was lost is not repeated:
// the transaction rolls back, even if fn swallows the error. A session that ends after
// the first write takes the transaction with it: [ErrTransactionLost].
//
// It is not known when each appliance takes the lock. Where that is with the commit
// only, and for a client with one session for both, ErrConflict is promised for the
// objects that were written, not for everything that was read.
//
// A client runs one transaction at a time: another call waits within its context. One
// inside fn, with fn's context, is refused with [ErrNested]; with another context it
// would wait for itself. Use the context that fn is given.
func (c *Client) Transaction(ctx context.Context, fn func(context.Context, *Transaction) error, options ...TransactionOption) error {
	o := &transactionOptions{}
	for _, option := range options {
		if option != nil {
			option.applyTransaction(o)
		}
	}
	return c.transactAgain(ctx, fn, o)
}

// Preview runs a function like [Client.Transaction] and returns what it would change, as
// the appliance lists it, then rolls back. No commit message is needed. Where the
// function writes nothing, the list is empty and nothing is sent but its reads. It takes the
// options of the transaction, so that the same call can be a dry run; the message and
// [WithChanges] have no effect. What an
// appliance finds wrong only with the commit is not found.
func (c *Client) Preview(ctx context.Context, fn func(context.Context, *Transaction) error, options ...TransactionOption) ([]Change, error) {
	var changes []Change
	o := &transactionOptions{preview: &changes}
	for _, option := range options {
		if option != nil {
			option.applyTransaction(o)
		}
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
		return c.fail("transaction", invalid("no function"))
	}
	tx, release, err := c.begin(ctx, o)
	if err != nil {
		return err
	}
	defer release()
	settled := false
	defer func() {
		if !settled { // by panic or Goexit, which go on
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
	if err == nil && o.changes != nil {
		*o.changes = tx.staged.committed
	}
	return err
}

// made returns an error for a transaction that was not made by the package.
func (tx *Transaction) made() error {
	if tx == nil || tx.client == nil {
		return fmt.Errorf("sps: %w", invalid("this transaction is nil or a zero value: use the one that Client.Transaction hands to its function"))
	}
	return nil
}

// fail makes an error that names the appliance and what was to be done.
func (c *Client) fail(what string, err error) error {
	if unmade := c.made(); unmade != nil {
		return unmade
	}
	return errorf("sps: %s: %s: %w", c.transport.host, what, err)
}

// Invoke sends a request to an endpoint that the SDK does not type, like
// [Client.Invoke], as a step of the transaction: reads, and the writes that
// Client.Invoke refuses.
func (tx *Transaction) Invoke(ctx context.Context, method, path string, body any, options ...RequestOption) (*Response, error) {
	if err := tx.made(); err != nil {
		return nil, err
	}
	k, err := newInvocation(method, path, body, options)
	if err != nil {
		return nil, err
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

// write sends a body with its references made bare, nil for none, and the secrets that
// it shows.
func (tx *Transaction) write(ctx context.Context, method string, path apiPath, body []byte, secrets ...Secret) (*answer, error) {
	return tx.writeFresh(ctx, method, path, body, nil, secrets...)
}

// errStale says that an object was written after it had been read.
var errStale = invalid("other steps of the transaction wrote it meanwhile, again and again: is it written within its own update?")

// writeFresh writes a body that was made from what was read, unless another step of
// the transaction has written the object since. Then it gives errStale.
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
	return invalid("no write of a transaction: only those below %s are", strings.Join(transactional, ", "))
}

// admit reports why a handle of a client cannot be used with the transaction, or nil.
func (tx *Transaction) admit(c *Client, path apiPath) error {
	if err := tx.made(); err != nil {
		return err
	}
	if tx.client != c {
		return tx.client.fail(path.Text, ErrOtherClient)
	}
	return nil
}

// giveUp ends the transaction at once, with what [Client.Transaction] then returns
// whatever its function does. The caller holds the turn.
func (tx *Transaction) giveUp(ctx context.Context, err error) error {
	if tx.over != nil { // by what gave the error
		return err
	}
	tx.phase.Store(phaseOver)
	if rollback := tx.rollBack(ctx); rollback != nil {
		err = beside(err, "rolling back failed too", rollback)
	}
	tx.over, tx.final = err, true
	return err
}

// lose ends a transaction that the appliance says is gone, usually with its session.
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
	tx.late = true // should the session live after all, it ends
	tx.over = ErrTransactionLost
	return err
}

// spoil lets the transaction roll back whatever its function returns.
func (tx *Transaction) spoil(err error) {
	tx.turn <- struct{}{}
	defer func() { <-tx.turn }()
	tx.fatal = err
}

// begin takes the client's turn.
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

// alone makes the caller the only one who may do what is refused while a transaction is
// open, and ends what this client has left open.
func (c *Client) alone(ctx context.Context, what string) (release func(), err error) {
	release, err = c.takeTurn(ctx, what, &transactionOptions{})
	if err == nil {
		_ = c.sweep(ctx, true) // what is left over makes the appliance refuse, and that tells
	}
	return release, err
}

// takeTurn makes the caller the only one with, or without, a transaction.
func (c *Client) takeTurn(ctx context.Context, what string, o *transactionOptions) (release func(), err error) {
	fail := func(err error) (func(), error) { return nil, c.fail(what, err) }
	switch {
	case c.made() != nil:
		return fail(nil)
	case ctx.Value(transactionKey{c}) != nil && what == transactionPath.Text:
		return fail(fmt.Errorf("%w: use that one", ErrNested))
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
		return fail(fmt.Errorf("%w: another transaction of this client runs; waited %s", ErrLocked, o.wait))
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

// finish ends the transaction once: by a commit if nothing speaks against it.
func (tx *Transaction) finish(ctx context.Context, err error) error {
	if err != nil {
		tx.cancel(ErrTransactionOver)
	}
	tx.turn <- struct{}{} // a step under way ends with its context or its time limit
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
	return beside(err, "rolling back failed too", rollback)
}

// finished makes the error of a transaction that was over before its function returned.
func (tx *Transaction) finished(ctx context.Context, err error) error {
	if tx.session != nil {
		tx.freed()
	}
	if errors.Is(tx.over, ErrTransactionLost) {
		// Should the session live after all, its lock must not stay.
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

// complete commits, or shows what would be committed. done means that nothing is left
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

// rollBack rolls back, and gives up the session where that failed or where a request may
// still be executed.
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

// discard rolls back what is open in a session of the client. Where that fails, and
// where a request may still be executed in it, it ends the session too.
func (c *Client) discard(ctx context.Context, s *session, late bool) error {
	half, cancel := halfOf(ctx)
	again, err := c.transport.rollback(half, s)
	cancel()
	if err == nil && !late && !again {
		return nil
	}
	return c.endSession(ctx, s, err, late)
}

// abandon rolls back after a panic, wherever it came from.
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
		return fmt.Errorf("a step of the transaction goes on: %w", ErrOutcomeUnknown)
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

// rollback drops the open transaction of a session; one that has expired has
// taken it with it. Without a proper answer the appliance is asked whether there
// is anything left to drop. late means that a rollback whose answer was lost may come
// yet, and drop what is opened in the session until then.
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
