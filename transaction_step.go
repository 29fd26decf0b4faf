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

// The first part of this file opens a transaction and waits for the configuration lock.

// lockFirst opens the transaction before its function runs.
func (tx *Transaction) lockFirst() error {
	tx.confirmed = true // nothing was read without the lock
	return tx.ensureOpen(tx.ctx)
}

// ensureOpen opens the transaction if it is not open yet.
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

// open opens the transaction on the appliance. The caller holds tx.turn.
func (tx *Transaction) open(ctx context.Context) error {
	c := tx.client
	switch conflict, full := tx.looks.unfit(); {
	case full:
		return c.fail("transaction", invalid("its function made more than %d different reads before its first write, which are too many to repeat: pass WithLockFirst", maxLooks))
	case conflict != "":
		return tx.giveUp(ctx, tx.conflict(apiPath{Text: conflict}))
	}
	tx.phase.Store(phaseOpening)
	_ = c.sweep(ctx, true) // if a session that cannot be ended holds the lock, the appliance refuses the opening
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

// yield waits for a short time if the client has just released the lock, so that other
// clients can take it.
func (c *Client) yield(ctx context.Context) error {
	c.mu.Lock()
	pause := min(c.held/yieldShare, mostYield) - time.Since(c.free)
	c.mu.Unlock()
	if pause <= 0 {
		return nil
	}
	return sleep(ctx, pause)
}

// yieldShare and mostYield limit the wait of yield: to a tenth of the time that the
// client has held the lock, and to a second.
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

// lockRefused is the error if the appliance refuses to open a transaction because
// somebody else holds the lock.
type lockRefused struct{ err error }

func (l lockRefused) Error() string        { return l.err.Error() }
func (l lockRefused) Is(target error) bool { return target == ErrLocked || target == KindLocked }
func (l lockRefused) Unwrap() error        { return l.err }
func (l lockRefused) LogValue() slog.Value { return logged(l) }
func (l lockRefused) passing()             {} // SafeToRetry permits a retry

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

// ownTransaction returns an error if an ExistingSession already has an open transaction,
// which somebody else must have opened.
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

// openingFailed converts the error of a request that opens a transaction. It returns nil
// if the transaction is open. If the appliance may have opened the transaction
// nevertheless, openingFailed rolls it back and ends the session.
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

// waitForLock waits before the client requests the lock again. It returns false if the
// transaction does not wait for the lock or has waited long enough.
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

// The limits of the pause between two requests for the lock. See lockPause.
const (
	leastLockPause = 50 * time.Millisecond
	firstLockPause = 150 * time.Millisecond
	mostLockPause  = time.Second
)

// lockPause returns how long to wait before the client requests the lock again. The time
// is random, so that each waiting client has a chance to get the lock. It grows with the
// time that the client has already waited.
func lockPause(waited time.Duration) time.Duration {
	bound := min(max(waited/8, firstLockPause), mostLockPause)
	return leastLockPause + rand.N(bound-leastLockPause)
}

// locked makes the [ErrLocked] error of a transaction. Its text says who may hold the
// lock and what to do.
func (tx *Transaction) locked(ctx context.Context, err error) error {
	err = because(ErrLocked, err)
	if own := tx.client.holdsOwnLock(); own != nil {
		err = own.endOf(errorf("%w; an earlier session of this client, which could not be ended yet, may hold the lock%s", err, own.endsIn()))
	} else if tx.client.namesOwnUser(err) {
		err = tx.client.timed().endOf(errorf("%w; the appliance names the user of this client: an earlier run of this program may hold the lock, which ends with its session%s", err, tx.client.lifetime()))
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

// endOf adds the time when session s expires to an error about the lock, because the lock is
// released at that time at the latest. If the time is not known, endOf returns the error
// unchanged.
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

// lifetime returns a text that says how long an unused session remains valid, or "" if
// this is not known.
func (c *Client) lifetime() string {
	if s := c.timed(); s != nil {
		return fmt.Sprintf(", at the latest %s after its last request", s.remaining().Round(time.Second))
	}
	return ""
}

// timed returns a session of this client whose remaining time is known, or nil. All
// sessions of a user have the same timeout.
func (c *Client) timed() *session {
	for _, s := range []*session{c.present(), c.reading.now()} {
		if s != nil && s.remaining() > 0 {
			return s
		}
	}
	return nil
}

// The second part of this file makes the steps of a transaction: its reads and its
// writes. The first write opens the transaction.

// step makes one step of the transaction. Before the first write, reads use the reading
// session. From then on, every step uses the session of the transaction. step does not
// renew this session: in a new session, the appliance might open a new transaction by
// itself, and a commit would apply only a part of the changes.
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

// takeTurn waits until no other step runs. It returns an error if the transaction has
// ended.
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

// look sends a read before the first write.
func (tx *Transaction) look(ctx context.Context, k *call) (*answer, error) {
	a, err := tx.client.call(ctx, k)
	if err == nil {
		a.session.note(newMeta(a.Meta).SessionRemaining)
	}
	tx.noteRead(k, a, err, true)
	return a, err
}

// readOpen sends a read in the session of the transaction. The caller holds tx.turn.
func (tx *Transaction) readOpen(ctx context.Context, k *call) (*answer, error) {
	a, err := tx.client.transport.do(ctx, k, tx.session)
	if expired(k, a, err) {
		return nil, tx.lose(err)
	}
	tx.noteRead(k, a, err, !tx.confirmed)
	return a, err
}

// writeOpen sends a write. The caller holds tx.turn.
func (tx *Transaction) writeOpen(ctx context.Context, k *call) (*answer, error) {
	if !k.fresh(tx.staged) {
		return nil, tx.client.fail(k.method+" "+k.path.Text, errStale)
	}
	if !tx.confirmed && !tx.client.logins.separate() {
		// Repeat the reads now: after this write, they would return the staged value.
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
		tx.since = time.Now() // the transaction did not hold the lock before
	}
	var broken *TransportError
	var refused *Error
	errors.As(err, &refused)
	switch {
	case expired(k, a, err):
		return nil, tx.lose(err)
	case errors.As(err, &broken) && broken.sent, refused != nil && refused.Status >= 500:
		tx.fatal, tx.late = err, true // the appliance may have executed the write, or may still execute it
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
		err = because(ErrConflict, err) // the object existed when it was read, so somebody else has deleted it
	}
	return a, err
}

// isGone reports whether a 404 means that the written object does not exist. A 404 can
// also be about an object to which the written object refers. The caller holds tx.turn.
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

// confirmAfter repeats the earlier reads after the appliance has answered the first
// write. If the appliance has refused the write, the transaction may not hold the lock,
// and the next write repeats the reads again.
func (tx *Transaction) confirmAfter(ctx context.Context, k *call, accepted bool) (fresh *answer, err error) {
	if tx.client.logins.separate() {
		fresh, err = tx.confirm(ctx, k.path, k.read)
	}
	tx.confirmed = accepted && err == nil
	return fresh, err
}

// outdated is the error of an update that was made from a body that is no longer current.
// It holds the current body.
type outdated struct {
	now    *answer
	staged bool // the appliance has staged the update of the old body
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
