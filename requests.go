package sps

import (
	"context"
	"errors"
	"log/slog"
	"net/http"
	"net/url"
	"time"
)

// What an operation may do again, and what it means that its answer was lost. An
// appliance may be at work on a request long after its client has stopped waiting. So a
// look that shows "not yet" never proves "never".

// call is one request.
type call struct {
	class  class
	method string
	path   apiPath
	query  url.Values
	header http.Header // beside the client's own
	body   []byte      // JSON; nil sends none
	stream *stream     // sent in place of body
	secret []Secret    // what an answer might quote, beside the session id
	intake
	bounds
	basis
}

// intake is what becomes of the answer to a call. Its zero value is JSON in memory.
type intake struct {
	sink     *sink             // takes what is too large for memory
	space    []byte            // memory for it, which is used if it is large enough
	raw      bool              // it need not be JSON
	redirect bool              // a redirect is an answer; it is not followed
	seen     func(http.Header) // is shown the header, also of an answer that is unusable
}

// bounds are when a call ends beside the caller's context. Their zero value is never.
type bounds struct {
	life  context.Context // ends it at any time
	begin context.Context // ends it before an attempt begins: nothing is sent then
	once  bool            // after the first attempt
}

// class is a kind of request.
type class uint8

const (
	classRead     class = iota // GET
	classDownload              // GET of a stream: no limit in all, but one for standing still
	classSnapshot              // GET that makes something: audit/sessions/_snapshot
	classLogin                 // GET authentication with what may be shown again
	classCode                  // GET authentication with what may be a one-time code
	classLogOut                // DELETE authentication: harmless twice, and must get through
	classTry                   // POST that changes nothing and takes minutes: firmware/test
	classOpen                  // POST transaction
	classStep                  // a write inside a transaction
	classRollback              // DELETE transaction: harmless twice, and must get through
	classCommit                // PUT transaction
	classCreate                // POST that makes something: a fetch, a support bundle
	classAct                   // POST that does something and takes minutes: a join, an upgrade
	classRemove                // DELETE: an unjoin, a slot, a fetch, a support bundle
	classUpload                // POST of an image: no limit in all, but one for standing still
	classWrite                 // PUT and DELETE of Client.Invoke: the same twice is the same once
	classInvoke                // POST of Client.Invoke: may have any effect
)

// lost is what it means that the answer to a request was lost.
type lost uint8

const (
	// lostNothing: it changes nothing, or nothing that the caller could see.
	lostNothing lost = iota
	// lostStaged: the transaction decides. It is rolled back and its session ended, so
	// that what is executed yet is staged in no transaction.
	lostStaged
	// lostUnknown: unknown until a [witness] sees that it was executed.
	lostUnknown
)

// harmless reports whether a lost answer leaves nothing unknown.
func (l lost) harmless() bool { return l < lostUnknown }

// policy is what holds for a class.
type policy struct {
	broken  bool  // tried again after a connection that broke, within the request or the answer
	refusal []int // tried again after these statuses
	limit   func(*Timeouts) time.Duration
	lost    lost
}

var (
	limited = []int{429}
	busy    = []int{429, 502, 503, 504}
)

// policies says what holds for each class. Every class is tried again when the
// connection could not be made: nothing was sent.
var policies = [...]policy{
	classRead:     {true, busy, (*Timeouts).read, lostNothing},
	classDownload: {true, busy, (*Timeouts).stall, lostNothing},
	classSnapshot: {false, nil, (*Timeouts).read, lostNothing},  // one may be left, which ends after five minutes
	classLogin:    {true, busy, (*Timeouts).login, lostNothing}, // a session may be left, which ends by its time-out
	classCode:     {false, []int{429, 503}, (*Timeouts).login, lostNothing},
	classLogOut:   {true, busy, (*Timeouts).close, lostNothing}, // the next call ends the session, or its time-out
	classTry:      {true, nil, (*Timeouts).action, lostNothing}, // not after its time limit, which is half an hour

	classOpen:     {false, nil, (*Timeouts).write, lostStaged},
	classStep:     {false, nil, (*Timeouts).write, lostStaged},
	classRollback: {true, busy, (*Timeouts).close, lostStaged}, // without proof its session is ended

	classCommit: {false, nil, (*Timeouts).commit, lostUnknown},
	classCreate: {false, nil, (*Timeouts).write, lostUnknown},
	classAct:    {false, nil, (*Timeouts).action, lostUnknown},
	classRemove: {false, limited, (*Timeouts).write, lostUnknown},
	classUpload: {false, nil, (*Timeouts).stall, lostUnknown},
	classWrite:  {false, limited, (*Timeouts).write, lostUnknown},
	classInvoke: {false, nil, (*Timeouts).action, lostUnknown},
}

// The verbs that the areas are made of, each for one kind of request.

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

// page reads what a browser would get: anything, a redirect included.
func (c *Client) page(ctx context.Context, path apiPath, query url.Values) (*answer, error) {
	k := newRead(path, query)
	k.header, k.raw, k.redirect = http.Header{"Accept": {"text/html"}}, true, true
	return c.call(ctx, k)
}

// get sends a read. In the function of a transaction, one of the configuration is a
// read of the transaction.
func (c *Client) get(ctx context.Context, k *call) (*answer, error) {
	if tx, ok := ctx.Value(transactionKey{c}).(*Transaction); ok && k.counts() {
		return tx.get(ctx, k)
	}
	return c.call(ctx, k)
}

// try lets the appliance try something that changes nothing, which may take minutes
// (POST).
func (c *Client) try(ctx context.Context, path apiPath, body []byte) (*answer, error) {
	return c.call(ctx, &call{class: classTry, method: http.MethodPost, path: path, body: body})
}

// create makes something (POST) and returns its key, "" where w has seen it.
func (c *Client) create(ctx context.Context, path apiPath, body []byte, w witness, secrets ...Secret) (key string, err error) {
	k := &call{class: classCreate, method: http.MethodPost, path: path, body: body, secret: secrets}
	a, err := c.call(ctx, k)
	if err == nil {
		key, err = a.createdKey(path)
	}
	return key, c.settle(ctx, k, err, w)
}

// act lets the appliance do something, which may take minutes (POST). Where the answer is
// one of success, accept says whether it can be relied on, nil for always.
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

// upload sends what is too large for memory (POST). What a lost answer means is left to
// the caller.
func (c *Client) upload(ctx context.Context, path apiPath, body *stream) (*answer, error) {
	return c.call(ctx, &call{class: classUpload, method: http.MethodPost, path: path, stream: body})
}

// witness is what shows the outcome of a request whose answer was lost.
type witness struct {
	// method is the method that shows it to the caller, "" where none does.
	method string
	// look finds it out, nil where no look could tell it from what others do.
	look probe
}

func (t *Timeouts) read() time.Duration   { return t.Read }
func (t *Timeouts) stall() time.Duration  { return t.Stall }
func (t *Timeouts) login() time.Duration  { return t.Login }
func (t *Timeouts) close() time.Duration  { return t.Close }
func (t *Timeouts) action() time.Duration { return t.Action }
func (t *Timeouts) write() time.Duration  { return t.Write }
func (t *Timeouts) commit() time.Duration { return t.Commit }

// probe is one look at the appliance for what became of a request: whether it shows
// that the request was executed, and what was seen in words, "" for nothing. An error
// is a look that failed.
type probe func(context.Context) (seen bool, state string, err error)

// errTooLate is what a look gives where a later one will not show any more whether the
// request was executed.
var errTooLate = errors.New("it will not show any more")

// inquiry is what came of asking.
type inquiry struct {
	seen   bool
	state  string // as it was seen last
	asked  bool   // a look succeeded
	waited time.Duration
}

// ask looks at the appliance, with growing pauses, until it shows that the request
// whose answer was lost was executed, or patience ends, or [Timeouts].Outcome. Meanwhile
// nothing is sent that could disturb the request.
func (c *Client) ask(ctx context.Context, end *patience, what string, cause error, look probe) inquiry {
	start := time.Now()
	c.logWaiting(ctx, slog.LevelWarn, "sps: an answer was lost; asking what became of the request",
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
		c.logWaiting(ctx, slog.LevelInfo, "sps: asked what became of a request",
			slog.String("request", what), slog.String("seen", state), slog.Duration("waited", time.Since(start)))
		if seen || inVain(err) || !p.wait(asking) {
			break
		}
	}
	found.waited = time.Since(start)
	return found
}

// inVain reports whether further looks would fail like the one that gave the error.
func inVain(err error) bool {
	return errors.Is(err, errTooLate) || errors.Is(err, ErrClosed) || errors.Is(err, errExpiredExisting) ||
		errors.Is(err, Unauthorized) || refusesCredential(err) || untrusted(err)
}

// pauses are the waits between looks at what became of a request. They grow, and begin
// anew when the caller gives up, because there is little time from then on.
type pauses struct {
	begin    context.Context // ends when the caller gives up
	deadline time.Time       // about when the asking ends
	short    time.Duration   // what is left once the caller has given up
	looks    int
	hurried  bool
}

// The pauses between looks, and how long before the end the last look is made.
const (
	firstPause = 500 * time.Millisecond
	mostPause  = 15 * time.Second
	lastLook   = time.Second
)

// wait waits before the next look. It says no where there is none.
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

// settle finds out what became of a request that gave an error, nil for none: nil where
// the witness saw that it was executed, or the error with what was seen. It looks for
// [Timeouts].Outcome, and after the end of the caller's context for half of
// [Timeouts].Close.
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

// answerLost reports whether an error is that of a request whose outcome is unknown.
func answerLost(err error) bool {
	var broken *TransportError
	var refused *Error
	return errors.As(err, &broken) && broken.OutcomeUnknown || errors.As(err, &refused) && refused.OutcomeUnknown
}

// undecided is an error of a request whose outcome is unknown, with what was seen of it.
type undecided struct {
	err     error
	details *OutcomeUnknownDetails // nil where nothing was looked at
	shown   string                 // what will show it, "" for no one thing
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
