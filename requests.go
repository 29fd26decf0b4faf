package sps

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net/http"
	"net/http/httptrace"
	"net/url"
	"strings"
	"sync/atomic"
	"time"
)

// This file has one method of Client for each kind of request. It also has the code that
// finds out the outcome of a request whose response was lost.

// newRead makes a call with GET.
func newRead(path apiPath, query url.Values) *call {
	class := classRead
	if path.Below(making...) {
		class = classSnapshot
	}
	return &call{class: class, method: http.MethodGet, path: path, query: query}
}

// read sends a GET.
func (c *Client) read(ctx context.Context, path apiPath, query url.Values) (*answer, error) {
	return c.get(ctx, newRead(path, query))
}

// readOnce sends a GET without retries.
func (c *Client) readOnce(ctx context.Context, path apiPath) (*answer, error) {
	k := newRead(path, nil)
	k.once = true
	return c.call(ctx, k)
}

// page sends a GET like a browser. It accepts any content type, and a redirect is not an
// error.
func (c *Client) page(ctx context.Context, path apiPath, query url.Values) (*answer, error) {
	k := newRead(path, query)
	k.header, k.raw, k.redirect = http.Header{"Accept": {"text/html"}}, true, true
	return c.call(ctx, k)
}

// get sends a read. If ctx is the context of a transaction's function, the transaction
// sends the reads of the configuration.
func (c *Client) get(ctx context.Context, k *call) (*answer, error) {
	if tx, ok := ctx.Value(transactionKey{c}).(*Transaction); ok && k.counts() {
		return tx.get(ctx, k)
	}
	return c.call(ctx, k)
}

// try makes the appliance do a test that changes nothing and may take minutes (POST).
func (c *Client) try(ctx context.Context, path apiPath, body []byte) (*answer, error) {
	return c.call(ctx, &call{class: classTry, method: http.MethodPost, path: path, body: body})
}

// create creates something (POST) and returns its key. If the response is lost and w
// finds that the request was executed, the key is "" and the error nil.
func (c *Client) create(ctx context.Context, path apiPath, body []byte, w witness, secrets ...Secret) (key string, err error) {
	k := &call{class: classCreate, method: http.MethodPost, path: path, body: body, secret: secrets}
	a, err := c.call(ctx, k)
	if err == nil {
		key, err = a.createdKey(path)
	}
	return key, c.settle(ctx, k, err, w)
}

// act makes the appliance do something that may take minutes (POST). accept checks an
// answer that reports success. If accept is nil, there is no such check.
func (c *Client) act(ctx context.Context, path apiPath, body []byte, accept func(*answer) error, w witness, secrets ...Secret) error {
	k := &call{class: classAct, method: http.MethodPost, path: path, body: body, secret: secrets}
	a, err := c.call(ctx, k)
	if err == nil && accept != nil {
		err = accept(a)
	}
	return c.settle(ctx, k, err, w)
}

// remove ends or removes something (DELETE).
func (c *Client) remove(ctx context.Context, path apiPath, query url.Values, w witness) error {
	k := &call{class: classRemove, method: http.MethodDelete, path: path, query: query}
	_, err := c.call(ctx, k)
	return c.settle(ctx, k, err, w)
}

// upload sends a body that is too large for memory (POST). The caller handles a lost
// response.
func (c *Client) upload(ctx context.Context, path apiPath, body *stream) (*answer, error) {
	return c.call(ctx, &call{class: classUpload, method: http.MethodPost, path: path, stream: body})
}

// witness can find out the outcome of a request whose response was lost.
type witness struct {
	// method is the method that the caller can call to find out the outcome, or "".
	method string
	// look finds out the outcome. It is nil if the result cannot be distinguished from
	// the actions of other users.
	look probe
}

// probe polls the appliance once for the outcome of a request. seen reports whether the
// request was executed. state is the state that the appliance reported, or "". err is the
// error of the poll.
type probe func(context.Context) (seen bool, state string, err error)

// errTooLate means that later polls cannot find out whether the request was executed.
var errTooLate = errors.New("the appliance no longer shows whether the request was executed")

// inquiry is the result of polling for an outcome.
type inquiry struct {
	seen   bool
	state  string // the last state that the appliance reported
	asked  bool   // a poll succeeded
	waited time.Duration
}

// ask polls the appliance, with growing pauses, until the request was executed, until the
// context end.over is done, or until [Timeouts].Outcome has passed. Meanwhile, it sends
// nothing that could disturb the request.
func (c *Client) ask(ctx context.Context, end *patience, what string, cause error, look probe) inquiry {
	start := time.Now()
	c.logWaiting(ctx, slog.LevelWarn, "sps: a response was lost; polling for the outcome of the request",
		slog.String("request", what), slog.String("cause", oneLine(withheld(cause), 300)))
	asking, cancel := context.WithTimeout(end.over, c.transport.timeouts.Outcome)
	defer cancel()
	p := &pauses{begin: end.begin, deadline: start.Add(c.transport.timeouts.Outcome), short: c.transport.timeouts.Close / 2}
	var found inquiry
	for asking.Err() == nil {
		seen, state, err := look(asking)
		if state = oneLine(state, 60); state != "" {
			found.state = state
		}
		found.seen, found.asked = seen, found.asked || err == nil
		c.logWaiting(ctx, slog.LevelInfo, "sps: polled for the outcome of a request",
			slog.String("request", what), slog.String("seen", state), slog.Duration("waited", time.Since(start)))
		if seen || inVain(err) || !p.wait(asking) {
			break
		}
	}
	found.waited = time.Since(start)
	return found
}

// inVain reports whether further polls would fail in the same way.
func inVain(err error) bool {
	return errors.Is(err, errTooLate) || errors.Is(err, ErrClosed) || errors.Is(err, errExpiredExisting) ||
		errors.Is(err, Unauthorized) || refusesCredential(err) || untrusted(err)
}

// pauses are the waits between the polls for an outcome. The waits grow. When the
// caller's context ends, they start again with a short wait, because little time is left.
type pauses struct {
	begin    context.Context // ends when the caller's context ends
	deadline time.Time       // approximate end of the polling
	short    time.Duration   // the remaining time after begin has ended
	looks    int
	hurried  bool
}

// Limits of the pauses: the pause after the first poll, the longest pause, and the
// minimum time between the last poll and the deadline.
const (
	firstPause = 500 * time.Millisecond
	mostPause  = 15 * time.Second
	lastLook   = time.Second
)

// wait waits before the next poll. It returns false if there is no next poll.
func (p *pauses) wait(asking context.Context) bool {
	var hurry <-chan struct{}
	if !p.hurried {
		hurry = p.begin.Done()
	}
	pause := min(firstPause<<min(p.looks, 10), mostPause)
	if rest := time.Until(p.deadline) - lastLook; rest > 0 {
		pause = min(pause, rest)
	}
	p.looks++
	timer := time.NewTimer(pause)
	defer timer.Stop()
	select {
	case <-timer.C:
		return true
	case <-hurry:
		p.hurried, p.looks = true, 0
		if soon := time.Now().Add(p.short); soon.Before(p.deadline) {
			p.deadline = soon
		}
		return asking.Err() == nil
	case <-asking.Done():
		return false
	}
}

// settle finds out the outcome of a request. err is the result of the request. If err
// does not mean that the response was lost, settle returns it. Otherwise, settle polls
// for up to [Timeouts].Outcome, or for half of [Timeouts].Close after the end of the
// caller's context. It returns nil if the witness finds that the request was executed,
// and otherwise err with the last state that the client read.
func (c *Client) settle(ctx context.Context, k *call, err error, w witness) error {
	if !answerLost(err) {
		return err
	}
	if w.look == nil {
		return &undecided{err, nil, w.method}
	}
	end := c.patience(ctx)
	defer end.release()
	found := c.ask(ctx, end, k.method+" "+k.path.Text, err, w.look)
	if found.seen {
		return nil
	}
	return &undecided{err, &OutcomeUnknownDetails{Waited: found.waited, Status: found.state}, w.method}
}

// answerLost reports whether the outcome of a request is unknown.
func answerLost(err error) bool {
	var broken *TransportError
	var refused *Error
	return errors.As(err, &broken) && broken.OutcomeUnknown || errors.As(err, &refused) && refused.OutcomeUnknown
}

// undecided is the error of a request whose outcome is unknown, with the last state that
// the client read.
type undecided struct {
	err     error
	details *OutcomeUnknownDetails // nil if the client has not polled
	shown   string                 // the method that the caller can call to find out the outcome, or ""
}

func (u *undecided) Error() string {
	text := u.err.Error() + " ("
	if u.details != nil {
		text += u.details.Error() + "; "
	}
	if u.shown == "" {
		return text + "check on the appliance whether it was executed before you repeat it)"
	}
	return text + "check with " + u.shown + " whether it was executed before you repeat it)"
}

func (u *undecided) LogValue() slog.Value { return logged(u) }

func (u *undecided) Unwrap() []error {
	if u.details == nil {
		return []error{u.err}
	}
	return []error{u.err, u.details}
}

// OutcomeUnknownDetails is the detail of an [ErrOutcomeUnknown] error. It says what the
// client read from the appliance before it stopped polling for the outcome. It is present
// if the client polls for the outcome of the operation, as it does for commits.
// RolledBack and the lists of objects are set for commits only.
type OutcomeUnknownDetails struct {
	// Waited is how long the client polled after the response was lost.
	Waited time.Duration
	// Status is the last status that the client read, or "" if it read none. For a
	// commit, it is the status of the transaction: "open", "closed", or "gone" if its
	// session had ended. For a join and an unjoin it is "joined" or "not joined". For the
	// deletion of a slot it is "not empty". For a fetch or a support bundle it is the
	// [JobStatus], or "not listed" if the appliance did not list the job.
	Status string
	// RolledBack is true if the appliance accepted a rollback that the client sent after
	// the polling. The commit may have succeeded nevertheless.
	RolledBack bool
	// AsBefore, AsWritten and Neither are the paths of the written objects, relative to
	// /api/, grouped by the last value that the client read. AsBefore lists objects with
	// the value before the transaction, AsWritten lists objects with the written value,
	// and Neither lists objects with a different value. Objects that could not be read or
	// compared are in none of the lists.
	AsBefore, AsWritten, Neither []string
}

// Error returns the details as a text in one line.
func (d *OutcomeUnknownDetails) Error() string {
	text := fmt.Sprintf("polled for %s", d.Waited.Round(time.Second))
	switch d.Status {
	case "":
	case statusOpen, statusClosed, statusGone:
		text += ", the transaction was " + d.Status
	default:
		text += ", it was " + oneLine(d.Status, 60)
	}
	if d.RolledBack {
		text += ", a rollback was accepted afterwards, but the commit may have been executed before it"
	}
	for _, objects := range []struct {
		paths []string
		state string
	}{{d.AsBefore, "objects with the value before the transaction"}, {d.AsWritten, "objects with the written value"}, {d.Neither, "objects with another value"}} {
		if n := len(objects.paths); n > 0 {
			text += ", " + objects.state + ": " + oneLine(strings.Join(objects.paths[:min(n, 3)], " "), 300)
			if n > 3 {
				text += fmt.Sprintf(" and %d more", n-3)
			}
		}
	}
	return text
}

// patience has the contexts that limit how long the client waits for a response and polls
// for the outcome.
type patience struct {
	// traced is the context of a commit. After the request was sent, it outlives the
	// caller's context.
	traced context.Context
	// begin ends if the caller's context ends or if the client is closed. After that, the
	// request is not sent.
	begin context.Context
	// over ends some time after begin. After that, the client does not wait any longer.
	over    context.Context
	release func()
}

// patience makes the contexts of a request for whose outcome the client can poll. When
// ctx ends or the client is closed, a request that was not sent ends at once. If the
// request was sent, the client waits for half of [Timeouts].Close longer.
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

// logWaiting logs a record about the state of a request for which the client waits.
func (c *Client) logWaiting(ctx context.Context, level slog.Level, text string, attrs ...slog.Attr) {
	if c.transport.logger != nil {
		c.transport.logger.LogAttrs(ctx, level, text, append([]slog.Attr{slog.String("host", c.transport.host)}, attrs...)...)
	}
}
