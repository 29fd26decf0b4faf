package sps

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"math/rand/v2"
	"net/http"
	"strings"
	"time"
	"unicode"
)

// This part opens a transaction and waits for the configuration lock.

// lockFirst opens the transaction before its function runs.
func (tx *Transaction) lockFirst() error {
	tx.confirmed = true // nothing was read without the lock
	return tx.ensureOpen(tx.ctx)
}

// ensureOpen opens the transaction unless it is open.
func (tx *Transaction) ensureOpen(ctx context.Context) error {
	ctx, cancel := merge(ctx, tx.ctx)
	defer cancel()
	release, err := tx.takeTurn(ctx, transactionPath.Text)
	if err != nil {
		return err
	}
	defer release()
	if tx.session != nil {
		return nil
	}
	return tx.open(ctx)
}

// open opens the transaction on the appliance. The caller holds the turn.
func (tx *Transaction) open(ctx context.Context) error {
	c := tx.client
	switch conflict, full := tx.looks.unfit(); {
	case full:
		return c.fail("transaction", invalid("its function made more than %d different reads before its first write, which are too many to repeat: pass WithLockFirst", maxLooks))
	case conflict != "":
		return tx.giveUp(ctx, tx.conflict(apiPath{Text: conflict}))
	}
	tx.phase.Store(phaseOpening)
	_ = c.sweep(ctx, true) // a session that cannot be ended holds the lock, and the refusal says so
	if err := c.scour(ctx); err != nil {
		return tx.giveUp(ctx, err)
	}
	if err := c.yield(ctx); err != nil {
		return tx.giveUp(ctx, c.fail("transaction", err))
	}
	for {
		session, a, err := c.openTransaction(ctx)
		if err == nil {
			tx.session, tx.since = session, time.Now()
			tx.phase.Store(phaseOpen)
			if err := tx.checkMessage(ctx, a); err != nil {
				return tx.giveUp(ctx, err)
			}
			return nil
		}
		if !errors.Is(err, ErrLocked) {
			return tx.giveUp(ctx, err)
		}
		if !tx.waitForLock(ctx) {
			return tx.giveUp(ctx, tx.locked(ctx, errors.Unwrap(err)))
		}
	}
}

// yield waits for a moment after the client has held the lock, so that others can take
// it.
func (c *Client) yield(ctx context.Context) error {
	c.mu.Lock()
	pause := min(c.held/yieldShare, mostYield) - time.Since(c.free)
	c.mu.Unlock()
	if pause <= 0 {
		return nil
	}
	return sleep(ctx, pause)
}

// Before it takes the lock again, a client waits for this part of the time that it held
// the lock.
const (
	yieldShare = 10
	mostYield  = time.Second
)

// freed records that the client has released the lock.
func (tx *Transaction) freed() {
	tx.client.mu.Lock()
	defer tx.client.mu.Unlock()
	tx.client.free = time.Now()
	tx.client.held = tx.client.free.Sub(tx.since)
}

// lockRefused is a refusal to open a transaction because of the lock.
type lockRefused struct{ err error }

func (l lockRefused) Error() string        { return l.err.Error() }
func (l lockRefused) Is(target error) bool { return target == ErrLocked || target == KindLocked }
func (l lockRefused) Unwrap() error        { return l.err }
func (l lockRefused) LogValue() slog.Value { return logged(l) }
func (l lockRefused) passing()             {} // SafeToRetry

// openTransaction sends the request that opens a transaction. It renews an expired
// session once.
func (c *Client) openTransaction(ctx context.Context) (*session, *answer, error) {
	k := &call{class: classOpen, method: http.MethodPost, path: transactionPath}
	s, err := c.writeSession(ctx, nil)
	if err != nil {
		return nil, nil, c.sessionOver(k, err)
	}
	a, err := c.openIn(ctx, s, k)
	if expired(k, a, err) {
		renewed, renewal := c.writeSession(ctx, s)
		switch {
		case errors.Is(renewal, errExpiredExisting):
			return nil, nil, c.stillExpired(k, err, errExpiredExisting)
		case renewal != nil:
			return nil, nil, renewal
		}
		s = renewed
		a, err = c.openIn(ctx, s, k)
	}
	return s, a, c.openingFailed(ctx, s, err)
}

func (c *Client) openIn(ctx context.Context, s *session, k *call) (*answer, error) {
	if err := c.ownTransaction(ctx, s); err != nil {
		return nil, err
	}
	return c.transport.do(ctx, k, s)
}

// ownTransaction makes sure that an existing session has no open transaction of somebody
// else.
func (c *Client) ownTransaction(ctx context.Context, s *session) error {
	if c.logins.renewable() {
		return nil
	}
	status, err := c.transport.transactionStatus(ctx, s)
	if err == nil && status == statusOpen {
		return lockRefused{c.fail("transaction", errors.New("a transaction of somebody else is open in this session"))}
	}
	return err
}

// openingFailed judges the answer to an opening. nil means that the transaction is open.
func (c *Client) openingFailed(ctx context.Context, s *session, err error) error {
	var refused *Error
	var broken *TransportError
	switch {
	case err == nil, errors.Is(err, ErrLocked):
		return err
	case expired(&call{}, nil, err):
		c.writing.drop(s)
		return err
	case errors.As(err, &refused) && refusedByLock(refused):
		mean(err, KindLocked)
		return lockRefused{err}
	case refused != nil && refused.Status < 500, errors.As(err, &broken) && !broken.sent:
		return err
	}
	// The transaction may be open or may still be opened, so the session must end.
	began := time.Now()
	bound, cancel := c.budget(ctx)
	defer cancel()
	err = withoutUnknown(err) // nothing was written
	if left := c.discard(bound, s, true); left != nil {
		err = beside(err, "the rollback failed too", left)
	}
	c.cleaned(began)
	return err
}

// checkMessage refuses a transaction without a message if the appliance requires one. a
// is the answer to the opening.
func (tx *Transaction) checkMessage(ctx context.Context, a *answer) error {
	tx.session.note(newMeta(a.Meta).SessionRemaining)
	if tx.o.preview != nil || strings.TrimSpace(tx.o.message) != "" {
		return nil
	}
	required, told := messageRule(a)
	if !told {
		k := &call{class: classRead, method: http.MethodGet, path: transactionPath, bounds: bounds{once: true}}
		a, err := tx.client.transport.do(ctx, k, tx.session)
		switch {
		case expired(k, a, err):
			return tx.lose(err)
		case err == nil:
			tx.session.note(newMeta(a.Meta).SessionRemaining)
			required, _ = messageRule(a)
		}
	}
	if required {
		return tx.client.fail("transaction", fmt.Errorf("%w: pass WithMessage", ErrCommitMessageRequired))
	}
	return nil
}

// waitForLock waits before the client asks for the lock again. It returns false when the
// time is up.
func (tx *Transaction) waitForLock(ctx context.Context) bool {
	if !tx.o.patient {
		return false
	}
	now := time.Now()
	if tx.deadline.IsZero() {
		tx.deadline = now.Add(tx.o.wait)
	}
	left := tx.deadline.Sub(now)
	return left > 0 && sleep(ctx, min(lockPause(tx.o.wait-left), left)) == nil
}

// The pauses between two requests for the lock.
const (
	leastLockPause = 50 * time.Millisecond
	firstLockPause = 150 * time.Millisecond
	mostLockPause  = time.Second
)

// lockPause returns how long to wait before the client asks for the lock again. The time
// is random, so that a client that takes the lock repeatedly does not always win. It
// grows with the time already waited.
func lockPause(waited time.Duration) time.Duration {
	bound := min(max(waited/8, firstLockPause), mostLockPause)
	return leastLockPause + rand.N(bound-leastLockPause)
}

// locked makes the error of a refusal because of the lock.
func (tx *Transaction) locked(ctx context.Context, err error) error {
	err = because(ErrLocked, err)
	if own := tx.client.holdsOwnLock(); own != nil {
		err = own.endOf(errorf("%w; an earlier session of this client, which could not be ended yet, may hold it%s", err, own.endsIn()))
	} else if tx.client.namesOwnUser(err) {
		err = tx.client.timed().endOf(errorf("%w; the appliance names this client's own user: an earlier run of yours may hold the lock, which ends with its session%s", err, tx.client.lifetime()))
	}
	switch {
	case tx.accepted: // the transaction had the lock and lost it
		return err
	case ctx.Err() != nil:
		return errorf("%w (%w while waiting for the lock)", err, ended(ctx))
	case !tx.o.patient:
		return errorf("%w; pass WithLockWait to wait for it", err)
	}
	return errorf("%w; waited %s", err, tx.o.limit)
}

// endOf adds to an error about a lock when the lock ends with a session, if that is
// known.
func (s *session) endOf(err error) error {
	if s == nil {
		return err
	}
	if left := s.remaining(); left > 0 {
		return &lockEnds{err, time.Now().Add(left)}
	}
	return err
}

// namesOwnUser reports whether a refusal names the user that the client logs in as.
func (c *Client) namesOwnUser(err error) bool {
	var refused *Error
	name := c.logins.credential.username
	return name != "" && errors.As(err, &refused) && containsWord(refused.Message, name)
}

// containsWord reports whether a text contains a word.
func containsWord(text, word string) bool {
	for field := range strings.FieldsFuncSeq(text, func(r rune) bool { return unicode.IsSpace(r) || strings.ContainsRune(`"'(),:;`, r) }) {
		if strings.TrimSuffix(field, ".") == word {
			return true
		}
	}
	return false
}

// lifetime returns a text that says how long an unused session lives, or "" if the
// appliance has not said it.
func (c *Client) lifetime() string {
	if s := c.timed(); s != nil {
		return fmt.Sprintf(", at the latest %s after its last request", s.remaining().Round(time.Second))
	}
	return ""
}

// timed returns a session of this client of which it is known how long it lives, nil for
// none. All sessions of a user live equally long.
func (c *Client) timed() *session {
	for _, s := range []*session{c.present(), c.reading.now()} {
		if s != nil && s.remaining() > 0 {
			return s
		}
	}
	return nil
}

// This part makes the steps of a transaction: its reads, and the writes that open it.

// step makes one step of the transaction. Before the first write, reads use the reading
// session. From then on, every step uses the session of the transaction. It must be the
// same session: after a new login the appliance might open a new transaction by itself,
// and only half of the changes would be applied.
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

// takeTurn lets one step run at a time, and none after the end.
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
	if err == nil {
		a.session.note(newMeta(a.Meta).SessionRemaining)
	}
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
		// After this write, the reads would show what it stages.
		if fresh, err := tx.confirm(ctx, k.path, k.read); err != nil {
			return nil, tx.giveUp(ctx, err)
		} else if fresh != nil {
			return nil, &outdated{fresh, false}
		}
	}
	untouched := tx.staged.begin(k.path)
	tx.session.remember(k.secret)
	a, err := tx.client.transport.do(ctx, k, tx.session)
	for !tx.accepted && lockedStep(err) && tx.waitForLock(ctx) {
		a, err = tx.client.transport.do(ctx, k, tx.session)
		tx.since = time.Now() // the transaction did not have the lock before
	}
	var broken *TransportError
	var refused *Error
	errors.As(err, &refused)
	switch {
	case expired(k, a, err):
		return nil, tx.lose(err)
	case errors.As(err, &broken) && broken.sent, refused != nil && refused.Status >= 500:
		tx.fatal, tx.late = err, true // it may have been executed, or may still be
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
	if untouched && errors.Is(err, ResourceNotFound) && tx.staged.had(k.path) && tx.isGone(ctx, k.path, err) {
		err = because(ErrConflict, err) // the object was there when it was read
	}
	return a, err
}

// isGone reports whether a 404 is about the object that was written, and not about another
// one that it refers to. The caller holds the turn.
func (tx *Transaction) isGone(ctx context.Context, path apiPath, refusal error) bool {
	var told *ResourceNotFoundDetails
	if errors.As(refusal, &told) && told.Resource != "" {
		return strings.Trim(told.MountPoint+"/"+told.Resource, "/") == path.Text
	}
	var refused *Error
	if errors.As(refusal, &refused) {
		if about := relative(detailPath(refused.details())); about != "" {
			return about == path.Text
		}
	}
	_, err := tx.client.transport.do(ctx, newRead(path, nil), tx.session)
	return errors.Is(err, ResourceNotFound)
}

// confirmAfter repeats the reads after the first write was answered. If the write was
// refused, the transaction may not hold the lock, and the next write repeats the reads
// again.
func (tx *Transaction) confirmAfter(ctx context.Context, k *call, accepted bool) (fresh *answer, err error) {
	if tx.client.logins.separate() {
		fresh, err = tx.confirm(ctx, k.path, k.read)
	}
	tx.confirmed = accepted && err == nil
	return fresh, err
}

// outdated says that an update was made from a body that is no longer current. It holds
// the current one.
type outdated struct {
	now    *answer
	staged bool // the change to the old body is staged
}

func (o *outdated) Error() string { return errStale.Error() }

// lockedStep reports whether a write was refused because of the lock.
func lockedStep(err error) bool {
	var refused *Error
	return errors.As(err, &refused) && stepRefusedByLock(refused)
}

// vanished reports whether a write was refused because the transaction no longer exists.
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
