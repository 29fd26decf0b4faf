package spstest

import (
	"context"
	"fmt"
	"net/http"
	"slices"
	"strings"
	"time"
)

// operation is the execution of a request. Most are over as soon as they begin, some
// take time, and some wait for their turn first.
type operation struct {
	x      *exchange
	entry  *Request      // of the journal
	ends   time.Time     // when the effect comes; zero before it began
	done   chan struct{} // closed at the end, after which the rest does not change
	answer answer
	cut    error // the connection of the request is lost, if it still waits
}

// takesRule is one of [Appliance.SetTakes].
type takesRule struct {
	method, glob string
	takes        time.Duration
}

// WithTakes makes every request with the method and a path below /api/ that matches the
// glob last for the given time, see [Appliance.SetTakes]. An empty method matches every
// method.
func WithTakes(method, glob string, d time.Duration) Option {
	return func(a *Appliance) error {
		a.late = append(a.late, func() error {
			if err := a.setTakes(method, glob, d); err != nil {
				return fmt.Errorf("spstest: WithTakes: %w", err)
			}
			return nil
		})
		return nil
	}
}

// SetTakes makes every further request with the method and a path below /api/ that
// matches the glob last for the given time, by the appliance's clock. An empty method
// matches every method. 0 removes the rule for this method and glob. The glob is like
// [Fault].Path: "transaction" or "firmware/*". If several rules match a request, the last
// one applies. [Fault].Takes, which describes the effects, overrides all rules.
//
// SetTakes refuses an invalid method or glob, and a negative time, in the way of
// [Appliance.Inject]: it ends the test, or panics.
func (a *Appliance) SetTakes(method, glob string, d time.Duration) {
	if a.tb != nil {
		a.tb.Helper()
	}
	a.enter()
	err := a.setTakes(method, glob, d)
	a.mu.Unlock()
	if err != nil {
		a.refuseRule(fmt.Errorf("SetTakes: %w", err))
	}
}

func (a *Appliance) setTakes(method, glob string, d time.Duration) error {
	glob = plainGlob(glob)
	if err := a.checkRule(method, glob); err != nil {
		return err
	}
	if d < 0 {
		return fmt.Errorf("the time %v is negative", d)
	}
	a.takes = slices.DeleteFunc(a.takes, func(r takesRule) bool { return r.method == method && r.glob == glob })
	if d > 0 {
		a.takes = append(a.takes, takesRule{method, glob, d})
	}
	return nil
}

// takesOf tells how long a request takes without a fault.
func (a *Appliance) takesOf(x *exchange) time.Duration {
	for _, r := range slices.Backward(a.takes) {
		if (r.method == "" || r.method == x.method) && matchPath(r.glob, x.path) {
			return r.takes
		}
	}
	return 0
}

// Busy returns the number of requests that are being executed or wait for their turn,
// including those whose clients have left.
func (a *Appliance) Busy() int {
	a.enter()
	defer a.mu.Unlock()
	return len(a.operations) + len(a.waiting)
}

// WaitIdle waits until no request is being executed. Then requests that outlived their
// client have had their effect. It returns an error if ctx ends or the appliance is
// closed first.
//
// If the clock of [WithClock] stands still, move it first: WaitIdle does not move it.
func (a *Appliance) WaitIdle(ctx context.Context) error {
	for {
		a.enter()
		n := len(a.operations)
		if n == 0 {
			a.mu.Unlock()
			return nil
		}
		done := a.operations[0].done
		a.mu.Unlock()
		select {
		case <-done:
		case <-ctx.Done():
			return fmt.Errorf("spstest: requests are still executed: %d: %w", n, ctx.Err())
		case <-a.closed:
			return fmt.Errorf("spstest: the appliance was closed while requests were executed: %d", n)
		}
	}
}

// enter locks the appliance for somebody who looks at it or asks something of it: what
// is due by its clock has happened then.
func (a *Appliance) enter() {
	a.mu.Lock()
	a.catchUp()
}

// now is the appliance's time. While what is due happens it is the time that it was due.
func (a *Appliance) now() time.Time {
	if !a.at.IsZero() {
		return a.at
	}
	return a.clock()
}

// catchUp lets happen what is due, in the order of time: operations end, those that
// waited for them begin, sessions end.
func (a *Appliance) catchUp() {
	now := a.clock()
	for len(a.operations) > 0 && !a.operations[0].ends.After(now) {
		op := a.operations[0]
		a.operations = slices.Delete(a.operations, 0, 1)
		a.at = op.ends
		a.reap()
		a.finish(op)
		a.takeTurns()
	}
	a.at = time.Time{}
	a.reap()
	a.arm()
}

// accept begins the execution of a request.
func (a *Appliance) accept(x *exchange, entry *Request, takes time.Duration) *operation {
	a.catchUp()
	if takes <= 0 {
		takes = a.takesOf(x)
	}
	x.takes = takes
	op := &operation{x: x, entry: entry, done: make(chan struct{})}
	a.start(op)
	a.arm()
	return op
}

// start executes a request as an appliance without faults does, begins to, or lets it
// wait for its turn. The order of the checks: what a web server checks, session, path,
// method, rights.
func (a *Appliance) start(op *operation) {
	x := op.x
	if ans, refused := a.atTheDoor(x); refused {
		a.finishWith(op, ans)
		return
	}
	a.find(x)
	refusal, turn := a.turn(x)
	switch turn {
	case waits:
		op.entry.Running = true
		a.waiting = append(a.waiting, op)
		return
	case isRefused:
		a.finishWith(op, a.complete(x, refusal))
		return
	}
	ans := a.complete(x, a.dispatch(x))
	if !x.held {
		a.finishWith(op, ans)
		return
	}
	op.entry.Running = true
	op.ends = a.now().Add(x.takes)
	i := len(a.operations)
	for i > 0 && a.operations[i-1].ends.After(op.ends) {
		i--
	}
	a.operations = slices.Insert(a.operations, i, op)
}

// finish lets an operation have its effect. What was checked at its beginning is
// checked again: others may have changed what it needs.
func (a *Appliance) finish(op *operation) {
	x := op.x
	x.ends = true
	s := x.session
	if s != nil {
		s.left = s.deadline(a).Sub(a.now())
	}
	var ans answer
	if s != nil && s.ended && x.commits == nil && x.needsItsSession() {
		ans = a.unauthenticated(x)
	} else {
		ans = a.perform(x)
	}
	a.finishWith(op, a.complete(x, ans))
	if s != nil {
		a.release(s)
	}
}

// finishWith gives the answer to whoever waits for it.
func (a *Appliance) finishWith(op *operation, ans answer) {
	op.answer = ans
	op.entry.Session, op.entry.Executed, op.entry.Running, op.entry.Ignored = op.x.label, op.x.executed, false, op.x.ignored
	close(op.done)
}

// cutOperations ends everything that goes on or waits, without its effect.
func (a *Appliance) cutOperations() {
	operations := append(a.operations, a.waiting...)
	a.operations, a.waiting = nil, nil
	for _, op := range operations {
		op.cut = errReset
		a.finishWith(op, answer{})
		if s := op.x.session; s != nil {
			a.release(s)
		}
	}
}

// holds tells a handler whose checks are done to come back when the time of its
// request is over.
func (x *exchange) holds() bool {
	if x.takes <= 0 || x.ends {
		return false
	}
	x.held = true
	return true
}

// needsItsSession tells whether a request has no effect without the session that it
// belongs to.
func (x *exchange) needsItsSession() bool {
	return x.path == "transaction" || strings.HasPrefix(x.path, configurationPath+"/")
}

// What becomes of a request whose session is busy.
type turn int

const (
	goesOn turn = iota
	waits
	isRefused
)

// turn tells whether it is a request's turn. A session is busy while one of its writes
// goes on; its reads keep nobody waiting, and a login belongs to no session. While a
// commit goes on, whatever else would change its transaction waits for it at least,
// but for the rollback, which has a variant of its own.
func (a *Appliance) turn(x *exchange) (refusal answer, _ turn) {
	if x.session == nil || x.method == http.MethodGet && x.path == "authentication" || !a.busy(x.session) {
		return answer{}, goesOn
	}
	commits := a.committing(x.session)
	if commits && x.method == http.MethodDelete && x.path == "transaction" {
		switch a.variant("rollback-during-commit") {
		case "wait":
		case "answered":
			return answer{}, goesOn
		default:
			return a.refuse(x, "rollback-during-commit", "The transaction is being committed", nil), isRefused
		}
	}
	switch a.variant("busy-session") {
	case "wait":
		return answer{}, waits
	case "answer":
		if commits && x.writes() && x.needsItsSession() {
			return answer{}, waits
		}
		return answer{}, goesOn
	}
	return a.refuse(x, "busy-session", "The session is busy with another request", nil), isRefused
}

// busy tells whether a write of a session goes on.
func (a *Appliance) busy(s *session) bool {
	return slices.ContainsFunc(a.operations, func(op *operation) bool { return op.x.session == s && op.x.writes() })
}

// committing tells whether a commit of a session goes on.
func (a *Appliance) committing(s *session) bool {
	return slices.ContainsFunc(a.operations, func(op *operation) bool { return op.x.session == s && op.x.commits != nil })
}

// takeTurns begins what waited for an operation that ended, in the order of arrival.
func (a *Appliance) takeTurns() {
	waiting := a.waiting
	a.waiting = nil
	for _, op := range waiting {
		a.start(op) // which may have to wait again
	}
}

// await waits for the end of an operation, or of the interest in it.
func (a *Appliance) await(ctx context.Context, op *operation) error {
	select {
	case <-op.done:
		return op.cut
	default:
	}
	select {
	case <-op.done:
		return op.cut
	case <-ctx.Done():
		return ctx.Err()
	case <-a.closed:
		return errReset
	}
}

// arm sets the timer for the end of the first operation. Where the clock does not move
// with the time, the timer comes in vain: whoever moves the clock has to look.
func (a *Appliance) arm() {
	if len(a.operations) == 0 || a.isClosed() {
		a.disarm()
		return
	}
	ends := a.operations[0].ends
	if a.timer != nil && a.armedFor.Equal(ends) {
		return
	}
	a.disarm()
	now := a.clock()
	a.armedFor = ends
	a.rings++
	ring := a.rings
	a.timers.Add(1)
	a.timer = time.AfterFunc(max(ends.Sub(now), time.Millisecond), func() {
		defer a.timers.Done()
		a.mu.Lock()
		defer a.mu.Unlock()
		if ring != a.rings {
			return
		}
		a.timer = nil
		if !a.clock().Equal(now) {
			a.catchUp()
		}
	})
}

// disarm stops the timer.
func (a *Appliance) disarm() {
	if a.timer != nil && a.timer.Stop() {
		a.timers.Done()
	}
	a.timer = nil
	a.rings++
}

func (a *Appliance) isClosed() bool {
	select {
	case <-a.closed:
		return true
	default:
		return false
	}
}
