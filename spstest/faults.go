package spstest

import (
	"fmt"
	"net/http"
	"path"
	"runtime"
	"slices"
	"strconv"
	"strings"
	"time"
	"unicode/utf8"
)

// Fault makes requests fail. The zero value matches one request of any kind and changes
// nothing.
//
// If several faults match a request, the first injected one that is due applies. Faults
// after it do not see or count the request.
//
// Note that net/http repeats a request by itself if a reused connection ends before any
// answer and the request may be repeated. Over TLS, such a client can use up a Refuse,
// CutBefore or CutAfter unnoticed.
type Fault struct {
	// Method is the method of the matching requests, in upper case. "" matches every
	// method.
	Method string
	// Path is a glob for the path below /api/ of the matching requests, such as
	// "firmware/test" or "configuration/management/*", with or without a leading "/api/".
	// "" matches every path. A final "**" matches the rest of the path, which may be
	// empty.
	Path string
	// Skip is the number of matching requests that pass first.
	Skip int
	// Times is the number of matching requests that the fault applies to: 0 means once,
	// -1 means always.
	Times int

	// Delay is a wait before anything else. It ends early when the client leaves or the
	// appliance closes.
	Delay time.Duration
	// Takes is how long the execution lasts, by the appliance's clock. 0 means as long as
	// [Appliance.SetTakes] says. Meanwhile, other requests see the old state. The effect
	// comes at the end: a change is staged, a slot is emptied, a read is made. A refusal
	// comes at once, and the request is checked again at the end.
	//
	// The execution continues when the client leaves, see [Appliance.WaitIdle]. The
	// variants busy-session and rollback-during-commit determine the answers to other
	// requests of the same session. A transaction that is being committed stays open and
	// keeps the lock to the end, even if its session ends earlier. Then all changes are
	// applied and the transaction is closed. A change whose transaction or session ends
	// earlier stages nothing, but holds the lock until its time is over. A restart ends
	// every execution without an effect.
	//
	// If the clock of [WithClock] does not move by itself, an execution whose time is
	// over ends at the next request or method call.
	Takes time.Duration
	// Detached sends the false answer of Status, or cuts the connection for CutAfter, as
	// soon as the execution starts. The execution continues without a client. Detached
	// implies Execute.
	Detached bool
	// AnswerDelay delays the answer after the execution or, with Detached, after its
	// start. It ends early like Delay.
	AnswerDelay time.Duration
	// Refuse refuses the connection. An appliance that listens must read a request to
	// match it, so it resets the connection instead.
	Refuse bool
	// CutBefore cuts the connection; the request is not executed.
	CutBefore bool
	// CutAfter executes the request and cuts the connection without an answer.
	CutAfter bool
	// Truncate executes the request and cuts the answer after the given number of bytes
	// of its body. The Content-Length is that of the whole body.
	Truncate int
	// Endless executes the request and answers with a body that starts a JSON string and
	// does not end until the client leaves.
	Endless bool

	// Status is the status of a false answer, sent instead of executing the request. 0
	// means no false answer.
	Status int
	// Body is the body of the false answer. Without a Body, an error status has the HTML
	// page of a front-end web server.
	Body string
	// ContentType is the media type of Body; "" means application/json.
	ContentType string
	// Header is added to the answer, true or false.
	Header http.Header
	// Execute executes the request before the false answer.
	Execute bool

	// ExpireSession ends the session of the request before the request is handled. The
	// request gets the answer of an expired session.
	ExpireSession bool
	// Mutate replaces the body of the true answer.
	Mutate func(body []byte) []byte

	// MayMiss permits that no request meets the fault. Without it, the test fails at its
	// end.
	MayMiss bool
	// Unimplemented permits a Path that the appliance does not have, so that Status and
	// Body simulate the endpoint.
	Unimplemented bool
}

// activeFault is a fault that was injected.
type activeFault struct {
	Fault
	glob  string // of Path
	where string // the place in the source that injected it, "" for unknown
	seen  int    // how many requests matched
	fired bool   // it applied to a request
}

// Inject adds a fault. It refuses a fault that can never apply, so that a typing error
// does not make a test pass. Examples are a Method that the API does not have, such as
// "get"; a Path that is not a valid glob, or has "**" elsewhere than at its end; a Path
// that matches no endpoint at this moment (see [Implemented] and
// [Appliance.SetConfiguration]), unless Unimplemented is set; and fields that contradict
// each other, such as CutBefore and Status.
//
// A refused fault ends the test that was passed to [NewServer], so call Inject from the
// goroutine of the test. Without a test, Inject panics.
func (a *Appliance) Inject(f Fault) {
	where := ""
	if _, file, line, ok := runtime.Caller(1); ok {
		where = path.Base(file) + ":" + strconv.Itoa(line)
	}
	if a.tb != nil {
		a.tb.Helper()
	}
	a.enter()
	err := a.inject(f, where)
	a.mu.Unlock()
	if err != nil {
		a.refuseRule(err)
	}
}

// refuseRule ends the test of an appliance, or panics.
func (a *Appliance) refuseRule(err error) {
	if a.tb != nil {
		a.tb.Helper()
	}
	refuse(a.tb, fmt.Errorf("spstest: %w", err))
}

func (a *Appliance) inject(f Fault, where string) error {
	glob := plainGlob(f.Path)
	err := f.contradiction()
	switch {
	case err != nil:
	case f.Unimplemented:
		err = checkPattern(f.Method, glob)
	default:
		err = a.checkRule(f.Method, glob)
	}
	if err != nil {
		return fmt.Errorf("fault %q: %w", f.brief(), err)
	}
	f.Header = f.Header.Clone()
	a.faults = append(a.faults, &activeFault{Fault: f, glob: glob, where: where})
	return nil
}

// WithFaults injects faults from the start. [NewServer] refuses the faults that
// [Appliance.Inject] refuses.
func WithFaults(faults ...Fault) Option {
	return func(a *Appliance) error {
		a.late = append(a.late, func() error {
			for _, f := range faults {
				if err := a.inject(f, ""); err != nil {
					return fmt.Errorf("spstest: %w", err)
				}
			}
			return nil
		})
		return nil
	}
}

// ClearFaults removes all faults. [Appliance.MissedFaults] still lists those that never
// applied to a request.
func (a *Appliance) ClearFaults() {
	a.enter()
	defer a.mu.Unlock()
	a.cleared = append(a.cleared, slices.DeleteFunc(a.faults, func(f *activeFault) bool { return !f.missed() })...)
	a.faults = nil
}

// MissedFaults returns the faults that have not applied to any request yet, in the order
// of their injection, except those with MayMiss. The test of [NewServer] fails if there
// are any at its end.
func (a *Appliance) MissedFaults() []Fault {
	a.enter()
	defer a.mu.Unlock()
	var missed []Fault
	for _, f := range a.missedFaults() {
		missed = append(missed, f.Fault)
	}
	return missed
}

func (a *Appliance) missedFaults() []*activeFault {
	all := slices.Clone(a.cleared)
	for _, f := range a.faults {
		if f.missed() {
			all = append(all, f)
		}
	}
	return all
}

// missed tells a fault that somebody relies on and that did nothing. What changes
// nothing is not missed.
func (f *activeFault) missed() bool { return !f.fired && !f.MayMiss && f.changes() }

// report fails the test of an appliance whose faults were not met.
func (a *Appliance) report() {
	a.enter()
	missed := a.missedFaults()
	a.mu.Unlock()
	for _, f := range missed {
		where := ""
		if f.where != "" {
			where = " of " + f.where
		}
		a.tb.Errorf("spstest: fault %q%s never applied: %s; set MayMiss if it need not", f.brief(), where, f.matched())
	}
}

// brief is a fault in a message: bodies may be long.
func (f *Fault) brief() string {
	const most = 100
	s := f.String()
	if utf8.RuneCountInString(s) <= most {
		return s
	}
	return string([]rune(s)[:most]) + "…"
}

// matched says how near a fault came to a request.
func (f *activeFault) matched() string {
	switch f.seen {
	case 0:
		return "no request came to it"
	case 1:
		return fmt.Sprintf("1 request came to it, and it skips %d", f.Skip)
	}
	return fmt.Sprintf("%d requests came to it, and it skips %d", f.seen, f.Skip)
}

// plainGlob is a glob as it is compared with paths.
func plainGlob(glob string) string {
	return strings.Trim(strings.TrimPrefix(strings.TrimPrefix(glob, "/"), "api/"), "/")
}

// checkRule finds a method or a glob that no request can have, or that none could have
// with success.
func (a *Appliance) checkRule(method, glob string) error {
	if err := checkPattern(method, glob); err != nil {
		return err
	}
	if glob == "" || a.hasEndpoint(glob) {
		return nil
	}
	return fmt.Errorf("no endpoint of the appliance has the path %q, see Implemented", glob)
}

// checkPattern is checkRule as far as it goes without an appliance.
func checkPattern(method, glob string) error {
	if method != "" && !slices.Contains(faultMethods, method) {
		return fmt.Errorf("unknown method %q: want one of %s, or none", method, strings.Join(faultMethods, ", "))
	}
	if _, err := path.Match(glob, ""); err != nil {
		return fmt.Errorf("the path %q is no pattern", glob)
	}
	if head, rest := globParts(glob); rest && head == "" || !strings.Contains(head, "**") {
		return nil
	}
	return fmt.Errorf("the path %q has a ** that is not its last segment", glob)
}

// globParts tells the segments of a glob from the "**" that ends it.
func globParts(glob string) (head string, rest bool) {
	if glob == "**" {
		return "", true
	}
	return strings.CutSuffix(glob, "/**")
}

// hasEndpoint tells whether a request with a path that the glob matches leads anywhere.
func (a *Appliance) hasEndpoint(glob string) bool {
	for i := range routes {
		if reaches(glob, routes[i].path) {
			return true
		}
	}
	for p, n := range a.nodes {
		if reaches(glob, p) || n.collection && reaches(glob, p+"/*") {
			return true
		}
		for parent := parentOf(p); parent != ""; parent = parentOf(parent) {
			if reaches(glob, parent) {
				return true
			}
		}
	}
	return false
}

// reaches tells whether a glob matches any path of an endpoint, in which a "*" stands for
// any segment.
func reaches(glob, endpoint string) bool {
	head, rest := globParts(glob)
	if head == "" {
		return rest
	}
	wanted, has := strings.Split(head, "/"), strings.Split(endpoint, "/")
	if len(wanted) > len(has) || len(wanted) < len(has) && !rest {
		return false
	}
	for i, segment := range wanted {
		if has[i] == "*" && segment != "" {
			continue
		}
		if ok, _ := path.Match(segment, has[i]); !ok {
			return false
		}
	}
	return true
}

// fault picks the fault that applies to a request. Faults that only a
// connection can show are left for one that has a connection.
func (a *Appliance) fault(x *exchange, connection bool) Fault {
	for _, f := range a.faults {
		if !f.matches(x) || f.needsConnection() && !connection {
			continue
		}
		f.seen++
		if f.seen <= f.Skip {
			continue
		}
		if f.Times >= 0 && f.seen-f.Skip > max(f.Times, 1) {
			continue
		}
		f.fired = true
		return f.Fault
	}
	return Fault{}
}

func (f *activeFault) matches(x *exchange) bool {
	return (f.Method == "" || f.Method == x.method) && matchPath(f.glob, x.path)
}

func (f *Fault) needsConnection() bool {
	return f.Refuse || f.CutBefore || f.CutAfter || f.Truncate > 0 || f.Endless
}

// matchPath compares a path with a glob of plainGlob.
func matchPath(glob, p string) bool {
	if glob == "" || glob == "**" {
		return true
	}
	head, rest := globParts(glob)
	if rest {
		segments := strings.Split(p, "/")
		n := strings.Count(head, "/") + 1
		if len(segments) < n {
			return false
		}
		p = strings.Join(segments[:n], "/")
	}
	ok, _ := path.Match(head, p)
	return ok
}

// falseAnswer is what a fault says in place of the appliance.
func (f *Fault) falseAnswer() answer {
	var ans answer
	switch {
	case f.Body != "":
		ans = answer{status: f.Status, header: http.Header{"Content-Type": {"application/json"}}, body: []byte(f.Body)}
	case f.Status >= http.StatusBadRequest:
		ans = page(f.Status)
	default:
		ans = answer{status: f.Status, header: http.Header{}}
	}
	if f.ContentType != "" {
		ans.header.Set("Content-Type", f.ContentType)
	}
	return ans
}
