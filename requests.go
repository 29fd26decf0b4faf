package sps

import (
	"context"
	"errors"
	"log/slog"
	"net/http"
	"net/url"
	"time"
)

// This file defines which requests may be repeated, and what a lost answer means. An
// appliance may work on a request long after its client has stopped waiting, so an
// observation that the request was not executed yet does not prove that it will not be.

// call is one request.
type call struct {
	class  class
	method string
	path   apiPath
	query  url.Values
	header http.Header // in addition to the client's own
	body   []byte      // JSON; nil sends none
	stream *stream     // sent instead of body
	secret []Secret    // what an answer might quote, in addition to the session id
	intake
	bounds
	basis
}

// intake says how the answer to a call is handled. The zero value means JSON in memory.
type intake struct {
	sink     *sink             // receives what is too large for memory
	space    []byte            // memory for the answer, used if it is large enough
	raw      bool              // it need not be JSON
	redirect bool              // a redirect is an answer and is not followed
	seen     func(http.Header) // receives the header, even if the answer is unusable
}

// bounds say when a call ends, in addition to the caller's context. The zero value means
// never.
type bounds struct {
	life  context.Context // ends it at any time
	begin context.Context // prevents further attempts from starting
	once  bool            // after the first attempt
}

// class is a kind of request.
type class uint8

const (
	classRead     class = iota // GET
	classDownload              // GET of a stream: no total time limit, only the stall limit
	classSnapshot              // GET that creates something: audit/sessions/_snapshot
	classLogin                 // GET authentication with a reusable credential
	classCode                  // GET authentication with a possible one-time code
	classLogOut                // DELETE authentication: harmless twice, and important
	classTry                   // POST that changes nothing and takes minutes: firmware/test
	classOpen                  // POST transaction
	classStep                  // a write inside a transaction
	classRollback              // DELETE transaction: harmless twice, and important
	classCommit                // PUT transaction
	classCreate                // POST that creates something: a fetch, a support bundle
	classAct                   // POST that does something and takes minutes: a join, an upgrade
	classRemove                // DELETE: an unjoin, a slot, a fetch, a support bundle
	classUpload                // POST of an image: no total time limit, only the stall limit
	classWrite                 // PUT and DELETE of Client.Invoke: idempotent
	classInvoke                // POST of Client.Invoke: the effect is unknown
)

// lost is the consequence of a lost answer.
type lost uint8

const (
	// lostNothing means that the request changes nothing that the caller could see.
	lostNothing lost = iota
	// lostStaged means that the transaction decides. It is rolled back and its session
	// ended, so that a late execution changes nothing.
	lostStaged
	// lostUnknown means that the outcome is unknown until a [witness] sees that the
	// request was executed.
	lostUnknown
)

// harmless reports whether a lost answer leaves no unknown outcome.
func (l lost) harmless() bool { return l < lostUnknown }

// policy has the rules for a class.
type policy struct {
	broken  bool  // retried after a connection broke during the request or the answer
	refusal []int // retried after these statuses
	limit   func(*Timeouts) time.Duration
	lost    lost
}

var (
	limited = []int{429}
	busy    = []int{429, 502, 503, 504}
)

// policies has the policy of each class. Every class is retried if no connection could be
// made, because nothing was sent.
var policies = [...]policy{
	classRead:     {true, busy, (*Timeouts).read, lostNothing},
	classDownload: {true, busy, (*Timeouts).stall, lostNothing},
	classSnapshot: {false, nil, (*Timeouts).read, lostNothing},  // a snapshot may be left over, which ends after five minutes
	classLogin:    {true, busy, (*Timeouts).login, lostNothing}, // a session may be left over, which ends when it times out
	classCode:     {false, []int{429, 503}, (*Timeouts).login, lostNothing},
	classLogOut:   {true, busy, (*Timeouts).close, lostNothing}, // the next call ends the session, or it times out
	classTry:      {true, nil, (*Timeouts).action, lostNothing}, // not after its time limit, which is half an hour

	classOpen:     {false, nil, (*Timeouts).write, lostStaged},
	classStep:     {false, nil, (*Timeouts).write, lostStaged},
	classRollback: {true, busy, (*Timeouts).close, lostStaged}, // without proof, its session is ended

	classCommit: {false, nil, (*Timeouts).commit, lostUnknown},
	classCreate: {false, nil, (*Timeouts).write, lostUnknown},
	classAct:    {false, nil, (*Timeouts).action, lostUnknown},
	classRemove: {false, limited, (*Timeouts).write, lostUnknown},
	classUpload: {false, nil, (*Timeouts).stall, lostUnknown},
	classWrite:  {false, limited, (*Timeouts).write, lostUnknown},
	classInvoke: {false, nil, (*Timeouts).action, lostUnknown},
}

// The verbs that the areas use, one for each kind of request.

// newRead makes a call that reads.
func newRead(path apiPath, query url.Values) *call {
	class := classRead
	if path.Below(making...) {
		class = classSnapshot
	}
	return &call{class: class, method: http.MethodGet, path: path, query: query}
}

// read reads.
func (c *Client) read(ctx context.Context, path apiPath, query url.Values) (*answer, error) {
	return c.get(ctx, newRead(path, query))
}

// readOnce reads, without a second attempt.
func (c *Client) readOnce(ctx context.Context, path apiPath) (*answer, error) {
	k := newRead(path, nil)
	k.once = true
	return c.call(ctx, k)
}

// page reads what a browser would get: any content, including a redirect.
func (c *Client) page(ctx context.Context, path apiPath, query url.Values) (*answer, error) {
	k := newRead(path, query)
	k.header, k.raw, k.redirect = http.Header{"Accept": {"text/html"}}, true, true
	return c.call(ctx, k)
}

// get sends a read. Inside a transaction's function, a read of the configuration is a
// read of the transaction.
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

// create creates something (POST) and returns its key. The key is "" if only w has seen
// the result.
func (c *Client) create(ctx context.Context, path apiPath, body []byte, w witness, secrets ...Secret) (key string, err error) {
	k := &call{class: classCreate, method: http.MethodPost, path: path, body: body, secret: secrets}
	a, err := c.call(ctx, k)
	if err == nil {
		key, err = a.createdKey(path)
	}
	return key, c.settle(ctx, k, err, w)
}

// act makes the appliance do something that may take minutes (POST). If the answer
// reports success, accept says whether it is usable; nil accepts every answer.
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

// upload sends what is too large for memory (POST). The caller handles a lost answer.
func (c *Client) upload(ctx context.Context, path apiPath, body *stream) (*answer, error) {
	return c.call(ctx, &call{class: classUpload, method: http.MethodPost, path: path, stream: body})
}

// witness can find out the outcome of a request whose answer was lost.
type witness struct {
	// method is the method that shows the outcome to the caller, or "".
	method string
	// look finds out the outcome. It is nil if the result could not be distinguished from
	// other users' actions.
	look probe
}

func (t *Timeouts) read() time.Duration   { return t.Read }
func (t *Timeouts) stall() time.Duration  { return t.Stall }
func (t *Timeouts) login() time.Duration  { return t.Login }
func (t *Timeouts) close() time.Duration  { return t.Close }
func (t *Timeouts) action() time.Duration { return t.Action }
func (t *Timeouts) write() time.Duration  { return t.Write }
func (t *Timeouts) commit() time.Duration { return t.Commit }

// probe looks once at the appliance for the outcome of a request. seen reports whether
// the request was executed. state describes what was seen, or is "". An error means that
// the look failed.
type probe func(context.Context) (seen bool, state string, err error)

// errTooLate means that later looks cannot find out whether the request was executed.
var errTooLate = errors.New("the appliance no longer shows it")

// inquiry is the result of asking for an outcome.
type inquiry struct {
	seen   bool
	state  string // the last state seen
	asked  bool   // a look succeeded
	waited time.Duration
}

// ask looks at the appliance, with growing pauses, until the appliance shows that the
// request was executed, patience ends, or [Timeouts].Outcome has passed. Nothing that
// could disturb the request is sent meanwhile.
func (c *Client) ask(ctx context.Context, end *patience, what string, cause error, look probe) inquiry {
	start := time.Now()
	c.logWaiting(ctx, slog.LevelWarn, "sps: an answer was lost; asking for the outcome of the request",
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
		c.logWaiting(ctx, slog.LevelInfo, "sps: asked for the outcome of a request",
			slog.String("request", what), slog.String("seen", state), slog.Duration("waited", time.Since(start)))
		if seen || inVain(err) || !p.wait(asking) {
			break
		}
	}
	found.waited = time.Since(start)
	return found
}

// inVain reports whether further looks would fail in the same way.
func inVain(err error) bool {
	return errors.Is(err, errTooLate) || errors.Is(err, ErrClosed) || errors.Is(err, errExpiredExisting) ||
		errors.Is(err, Unauthorized) || refusesCredential(err) || untrusted(err)
}

// pauses are the waits between looks for an outcome. They grow. When the caller gives up,
// they start again with short ones, because little time is left.
type pauses struct {
	begin    context.Context // ends when the caller gives up
	deadline time.Time       // approximate end of the asking
	short    time.Duration   // the remaining time after the caller has given up
	looks    int
	hurried  bool
}

// The pauses between looks, and the time of the last look before the end.
const (
	firstPause = 500 * time.Millisecond
	mostPause  = 15 * time.Second
	lastLook   = time.Second
)

// wait waits before the next look. It returns false if there is none.
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

// settle finds out the outcome of a request that returned an error. It returns nil if err
// is nil or if the witness saw that the request was executed; otherwise it returns the
// error with what was seen. It looks for up to [Timeouts].Outcome, or for half of
// [Timeouts].Close after the end of the caller's context.
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

// undecided is an error of a request whose outcome is unknown, with what was seen of it.
type undecided struct {
	err     error
	details *OutcomeUnknownDetails // nil if nothing was looked at
	shown   string                 // the method that shows the outcome, or ""
}

func (u *undecided) Error() string {
	text := u.err.Error() + " ("
	if u.details != nil {
		text += u.details.Error() + "; "
	}
	if u.shown == "" {
		return text + "look at the appliance before you repeat it)"
	}
	return text + "ask " + u.shown + " before you repeat it)"
}

func (u *undecided) LogValue() slog.Value { return logged(u) }

func (u *undecided) Unwrap() []error {
	if u.details == nil {
		return []error{u.err}
	}
	return []error{u.err, u.details}
}
