package sps

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"sync"
	"time"
)

// remnant is a session that the client no longer uses but could not end yet.
type remnant struct {
	session *session
	open    bool // a transaction may be open in it
	late    bool // the appliance may still execute a request of the session
	hung    bool // the last attempt to end the session used all of its time
	tries   int
	tried   time.Time // when the last attempt ended
	err     error     // the error of the last attempt
}

// cleanup holds the sessions that a client must still clean up.
type cleanup struct {
	mu       sync.Mutex
	remnants []*remnant
	dirty    *session      // with one session for reads and writes: the session, if changes may remain staged in it
	sweeping chan struct{} // held while the remnants are ended
	began    time.Time     // when the last cleanup at the end of a transaction began
	ended    time.Time     // when that cleanup ended
}

// maxSweepPause is the longest pause between two attempts to end a session.
const maxSweepPause = time.Minute

// due reports whether a call should try to end the session.
func (r *remnant) due(now time.Time) bool {
	pause := min(time.Second<<min(r.tries-1, 6), maxSweepPause)
	return now.Sub(r.tried) >= pause || r.tries <= 1
}

// budget returns a context for cleaning up. It does not end with the caller's context,
// but after [Timeouts].Close.
func (c *Client) budget(ctx context.Context) (context.Context, context.CancelFunc) {
	return context.WithTimeout(context.WithoutCancel(ctx), c.transport.timeouts.Close)
}

// cleaned records when the cleanup of a transaction began and ended. Close deducts this
// time from its own.
func (c *Client) cleaned(began time.Time) {
	c.clean.mu.Lock()
	defer c.clean.mu.Unlock()
	c.clean.began, c.clean.ended = began, time.Now()
}

// endSession ends a session that the client will no longer use. left is the error of its
// rollback, or nil. late means that the appliance may still execute one of its requests.
// If the session cannot be ended, endSession stores it, and a later call tries again. If
// the client has only one session, the client continues to use the session, and the next
// call rolls back what remains staged in it.
func (c *Client) endSession(ctx context.Context, s *session, left error, late bool) error {
	if !c.logins.separate() {
		c.setDirty(s)
		if late {
			s.suspect.Store(time.Now().Add(c.transport.timeouts.Outcome).UnixNano())
		}
		if left == nil {
			return nil
		}
		return (&remnant{session: s, open: true, err: left}).unended()
	}
	c.writing.drop(s)
	r := &remnant{session: s, open: left != nil || late, late: late}
	ended, err := c.transport.logOut(ctx, s)
	if err == nil && (ended || left == nil) {
		return nil
	}
	r.failed(ctx, orElse(left, err))
	c.clean.mu.Lock()
	c.clean.remnants = append(c.clean.remnants, r)
	c.clean.mu.Unlock()
	if left == nil {
		return nil
	}
	return r.unended()
}

// endUnused ends a session that has no open transaction. If the session cannot be ended,
// endUnused stores it, and a later call tries again.
func (c *Client) endUnused(ctx context.Context, s *session) {
	bound, cancel := c.budget(ctx)
	defer cancel()
	if _, err := c.transport.logOut(bound, s); err != nil {
		r := &remnant{session: s}
		r.failed(bound, err)
		c.clean.mu.Lock()
		defer c.clean.mu.Unlock()
		c.clean.remnants = append(c.clean.remnants, r)
	}
}

// failed records a failed attempt.
func (r *remnant) failed(ctx context.Context, err error) {
	r.tries++
	r.tried, r.hung, r.err = time.Now(), ctx.Err() != nil, err
}

// tryEnd tries again to end a session. The log-out ends the session's transaction too, so
// the rollback gets at most half of the time.
func (c *Client) tryEnd(ctx context.Context, r *remnant) error {
	left := error(nil)
	if r.open {
		half, cancel := halfOf(ctx)
		_, left = c.transport.rollback(half, r.session)
		cancel()
	}
	ended, err := c.transport.logOut(ctx, r.session)
	if err == nil && (ended || left == nil) {
		return nil
	}
	r.open = left != nil || r.late
	r.failed(ctx, orElse(left, err))
	return r.err
}

// halfOf returns a context that ends after half of the remaining time of ctx.
func halfOf(ctx context.Context) (context.Context, context.CancelFunc) {
	deadline, ok := ctx.Deadline()
	if !ok {
		return context.WithCancel(ctx)
	}
	return context.WithTimeout(ctx, time.Until(deadline)/2)
}

// sweepGrace is how long a call waits for the cleanup that it started.
const sweepGrace = time.Second

// sweep tries to end the remaining sessions concurrently. It returns when all attempts
// have ended. Without force, it tries only sessions whose pause since the last attempt is
// over.
func (c *Client) sweep(ctx context.Context, force bool) error {
	c.clean.mu.Lock()
	none := len(c.clean.remnants) == 0
	c.clean.mu.Unlock()
	if none {
		return nil
	}
	select {
	case c.clean.sweeping <- struct{}{}:
		defer func() { <-c.clean.sweeping }()
	case <-ctx.Done():
		return ended(ctx)
	}
	c.clean.mu.Lock()
	var due []*remnant
	for _, r := range c.clean.remnants {
		if force || r.due(time.Now()) {
			due = append(due, r)
		}
	}
	c.clean.mu.Unlock()
	bound, cancel := context.WithTimeout(ctx, c.transport.timeouts.Close)
	defer cancel()
	gone := make([]bool, len(due))
	var all sync.WaitGroup
	for i, r := range due {
		all.Go(func() { gone[i] = c.tryEnd(bound, r) == nil })
	}
	all.Wait()
	c.clean.mu.Lock()
	defer c.clean.mu.Unlock()
	for i, r := range due {
		if gone[i] {
			c.clean.forget(r)
		}
	}
	if len(c.clean.remnants) > 0 {
		return c.clean.remnants[0].err
	}
	return nil
}

func (c *cleanup) forget(gone *remnant) {
	for i, r := range c.remnants {
		if r == gone {
			c.remnants = append(c.remnants[:i:i], c.remnants[i+1:]...)
			return
		}
	}
}

// sweepBeside starts to end the remaining sessions in the background while a call runs.
// The returned function waits until these attempts have ended, but at most for
// sweepGrace.
func (c *Client) sweepBeside(ctx context.Context) (wait func()) {
	c.clean.mu.Lock()
	defer c.clean.mu.Unlock()
	due := false
	for _, r := range c.clean.remnants {
		due = due || r.due(time.Now())
	}
	if !due || len(c.clean.sweeping) > 0 || c.life.Err() != nil {
		return func() {}
	}
	done := make(chan struct{})
	bound, cancel := c.budget(ctx)
	c.background.Go(func() {
		defer close(done)
		defer cancel()
		stop := context.AfterFunc(c.life, cancel)
		defer stop()
		_ = c.sweep(bound, false)
	})
	return func() {
		timer := time.NewTimer(sweepGrace)
		defer timer.Stop()
		select {
		case <-done:
		case <-ctx.Done():
		case <-timer.C:
		}
	}
}

// holdsOwnLock returns a session of this client that may hold the lock, or nil.
func (c *Client) holdsOwnLock() *session {
	c.clean.mu.Lock()
	defer c.clean.mu.Unlock()
	for _, r := range c.clean.remnants {
		if r.open {
			return r.session
		}
	}
	return nil
}

func (c *Client) setDirty(s *session) {
	c.clean.mu.Lock()
	defer c.clean.mu.Unlock()
	c.clean.dirty = s
}

// scour makes sure that no changes of an earlier transaction remain staged in the session
// of a client with one session. It reads whether a transaction is open, rolls it back
// once, and reads the status again.
func (c *Client) scour(ctx context.Context) error {
	c.clean.mu.Lock()
	dirty := c.clean.dirty
	c.clean.mu.Unlock()
	if dirty == nil {
		return nil
	}
	select {
	case c.clean.sweeping <- struct{}{}:
		defer func() { <-c.clean.sweeping }()
	case <-ctx.Done():
		return fmt.Errorf("sps: %s: %w while the client cleans up an earlier transaction", c.transport.host, ended(ctx))
	}
	c.clean.mu.Lock()
	dirty = c.clean.dirty
	c.clean.mu.Unlock()
	if dirty == nil {
		return nil
	}
	err := c.scourSession(ctx, dirty)
	if err == nil {
		c.setDirty(nil)
		return nil
	}
	return c.at(because(fmt.Errorf("%w: an earlier transaction may still be open in the client's only session", ErrOutcomeUnknown), err))
}

var errStillOpen = errors.New("the appliance reports that the transaction is still open after its rollback")

func (c *Client) scourSession(ctx context.Context, s *session) error {
	ctx, cancel := context.WithTimeout(ctx, c.transport.timeouts.Close)
	defer cancel()
	gone := func(status string, err error) bool {
		if expired(&call{}, nil, err) {
			c.reading.drop(s)
			return true
		}
		return err == nil && status == statusClosed
	}
	status, err := c.transport.transactionStatus(ctx, s)
	if gone(status, err) {
		return nil
	}
	if err != nil {
		return err
	}
	_, refused := c.transport.do(ctx, &call{class: classRollback, method: http.MethodDelete, path: transactionPath}, s)
	if status, err = c.transport.transactionStatus(ctx, s); gone(status, err) {
		return nil
	}
	switch {
	case err != nil:
		return err
	case refused != nil:
		return refused
	}
	return errStillOpen
}
