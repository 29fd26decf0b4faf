package spstest

import (
	"context"
	"fmt"
	"net/http"
	"slices"
	"strings"
	"time"
)

// operation is the execution of a request. Most operations end at once, some last for a
// configured duration, and some first wait for another operation of the same session.
type operation struct {
	x      *exchange
	entry  *Request      // the entry of the request in the journal
	ends   time.Time     // the time of the effect; zero before the start
	done   chan struct{} // closed at the end of the operation; the fields below do not change afterwards
	answer answer
	cut    error // the error if the connection of the request was cut
}

// takesRule is a rule of [Appliance.SetTakes].
type takesRule struct {
	method, glob string
	takes        time.Duration
}

// WithTakes makes requests with the given method and a path that matches the glob last
// for d, see [Appliance.SetTakes]. The path is relative to /api/. An empty method matches
// any method.
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

// SetTakes makes further requests with the given method and a path that matches the glob
// last for d, by the appliance's clock. An empty method matches any method. The glob has
// the form of [Fault].Path, for example "transaction" or "firmware/*". If several rules
// match a request, the rule that was set last applies. A d of 0 removes the rule for this
// method and glob. [Fault].Takes overrides the rules; its documentation describes the
// effects.
//
// If the method or the glob is invalid or d is negative, SetTakes ends the test or, without a
// test, panics.
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

// takesOf returns how long a request lasts if no fault sets the duration.
func (a *Appliance) takesOf(x *exchange) time.Duration {
	for _, r := range slices.Backward(a.takes) {
		if (r.method == "" || r.method == x.method) && matchPath(r.glob, x.path) {
			return r.takes
		}
	}
	return 0
}

// Busy returns the number of requests that are being executed or wait for their turn,
// including requests whose clients have disconnected.
func (a *Appliance) Busy() int {
	a.enter()
	defer a.mu.Unlock()
	return len(a.operations) + len(a.waiting)
}

// WaitIdle waits until no request is being executed. Requests whose clients disconnected
// have then had their effect, too. WaitIdle returns an error if ctx ends or the appliance
// is closed first.
//
// If a test sets the clock of [WithClock] by hand, set it before the call: WaitIdle does
// not change it.
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
			return fmt.Errorf("spstest: %d requests are still being executed: %w", n, ctx.Err())
		case <-a.closed:
			return fmt.Errorf("spstest: the appliance was closed while %d requests were being executed", n)
		}
	}
}

// enter locks the appliance for a caller. It first executes the events that are due by
// the appliance's clock.
func (a *Appliance) enter() {
	a.mu.Lock()
	a.catchUp()
}

// now returns the appliance's time. While an overdue event is executed, now returns the
// time at which the event was due.
func (a *Appliance) now() time.Time {
	if !a.at.IsZero() {
		return a.at
	}
	return a.clock()
}

// catchUp executes the events that are due, in the order of time: operations end, the
// operations that waited for them start, and sessions end.
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

// accept starts the execution of a request that lasts for takes or, if takes is 0, for
// the duration of the rules.
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

// start executes a request at once, starts a request that lasts for a duration, or makes
// the request wait for its turn. The checks have this order: those of the web server,
// session, path, method, rights.
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

// finish applies the effect of an operation. It repeats the checks of the request,
// because their result may have changed since the start.
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

// finishWith passes the response to the goroutine that waits for it.
func (a *Appliance) finishWith(op *operation, ans answer) {
	op.answer = ans
	op.entry.Session, op.entry.Executed, op.entry.Running, op.entry.Ignored = op.x.label, op.x.executed, false, op.x.ignored
	close(op.done)
}

// cutOperations ends all running and waiting operations without an effect.
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

// holds reports whether the effect of a request must wait until its duration is over. A
// handler calls holds after its checks. If holds returns true, the handler returns
// without an effect and is called again at the end of the duration.
func (x *exchange) holds() bool {
	if x.takes <= 0 || x.ends {
		return false
	}
	x.held = true
	return true
}

// needsItsSession reports whether a request has no effect if its session has ended: a
// request of the transaction or of the configuration.
func (x *exchange) needsItsSession() bool {
	return x.path == "transaction" || strings.HasPrefix(x.path, configurationPath+"/")
}

// turn says what happens to a request: it runs now, waits, or is refused.
type turn int

const (
	goesOn turn = iota
	waits
	isRefused
)

// turn decides whether a request runs now, waits or is refused. A session is busy while one
// of its writes is running; a read does not make the session busy. A login does not wait for
// a session. During a commit, a request that would change the transaction waits, unless the
// variant busy-session makes the appliance refuse the request. For a rollback, the variant
// rollback-during-commit applies instead.
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

// busy reports whether a write of a session is running.
func (a *Appliance) busy(s *session) bool {
	return slices.ContainsFunc(a.operations, func(op *operation) bool { return op.x.session == s && op.x.writes() })
}

// committing reports whether a commit of a session is running.
func (a *Appliance) committing(s *session) bool {
	return slices.ContainsFunc(a.operations, func(op *operation) bool { return op.x.session == s && op.x.commits != nil })
}

// takeTurns starts the requests that waited for an operation that has ended, in the order
// of arrival.
func (a *Appliance) takeTurns() {
	waiting := a.waiting
	a.waiting = nil
	for _, op := range waiting {
		a.start(op) // the request may wait again, for another operation
	}
}

// await waits for the end of an operation, of the context or of the appliance.
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

// arm sets the timer for the end of the first operation. If the clock of the appliance has
// not moved when the timer fires, the timer does nothing, and the operation ends at the first
// request or method call after its end by that clock.
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
