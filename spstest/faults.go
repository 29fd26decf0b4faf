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

// Fault changes how the appliance handles matching requests. The zero value matches one
// request of any kind and changes nothing.
//
// If several faults match a request, only one of them applies: the first injected one
// whose Skip is used up and whose Times is not. The request does not count towards Skip and
// Times of the faults that were injected later.
//
// Note that net/http repeats a request by itself if a reused connection ends before the
// response and the request is safe to repeat. Over TLS, the repeated request of such a
// client can then use up a Refuse, CutBefore or CutAfter, and the client returns no
// error.
type Fault struct {
	// Method is the method of the matching requests, in upper case. "" matches any
	// method.
	Method string
	// Path is a glob for the path below /api/ of the matching requests, such as
	// "firmware/test" or "configuration/management/*", with or without a leading "/api/".
	// "" matches any path. A final "**" matches the rest of the path, which may be
	// empty.
	Path string
	// Skip is the number of matching requests that are handled normally before the fault
	// applies.
	Skip int
	// Times is the number of matching requests that the fault applies to after Skip. 0
	// means one request, and -1 means all further requests.
	Times int

	// Delay is a wait before the request is handled. It ends early when the client
	// disconnects or the appliance is closed.
	Delay time.Duration
	// Takes is how long the execution of the request lasts, by the appliance's clock. 0
	// means the duration that [Appliance.SetTakes] set. During the execution, other
	// requests see the old state. The effect happens at the end: for example, a change is
	// staged, a slot is emptied, or the values of a response are read. If the appliance
	// refuses the request, it does so at once. It checks the request again at the end.
	//
	// The execution continues when the client disconnects, see [Appliance.WaitIdle]. The
	// variants busy-session and rollback-during-commit determine the responses to other
	// requests of the same session. A transaction that is being committed stays open and
	// holds the lock until the commit ends, even if its session ends earlier. Then its
	// changes are applied and the transaction is closed. If the transaction or the session
	// of a change ends during the execution of the change, nothing is staged, but the lock
	// is held until the execution ends. A restart ends the running executions without an
	// effect.
	//
	// If a test sets the clock of [WithClock] by hand, an execution ends at the first
	// request or method call after the clock has passed its end.
	Takes time.Duration
	// Detached sends the response of Status, or cuts the connection for CutAfter, as soon
	// as the execution starts. The execution continues without a client. Detached implies
	// Execute.
	Detached bool
	// AnswerDelay delays the response after the end of the execution or, with Detached,
	// after its start. It ends early when the client disconnects or the appliance is
	// closed.
	AnswerDelay time.Duration
	// Refuse refuses the connection, and the request is not executed. An appliance that
	// listens must first read the request to match it, so it resets the connection
	// instead.
	Refuse bool
	// CutBefore cuts the connection without executing the request.
	CutBefore bool
	// CutAfter executes the request and cuts the connection without a response.
	CutAfter bool
	// Truncate executes the request and cuts the connection after the given number of
	// bytes of the response body. The Content-Length is that of the whole body. 0 means
	// that the response is not cut.
	Truncate int
	// Endless executes the request and sends a body that starts a JSON string and does not
	// end until the client disconnects.
	Endless bool

	// Status is the status code of a false response. The appliance sends the false response
	// instead of executing the request, unless Execute is set. 0 means no false response.
	Status int
	// Body is the body of the false response. Without a Body, a response with an error
	// status has the HTML page of a front-end web server.
	Body string
	// ContentType is the media type of Body; "" means application/json.
	ContentType string
	// Header is added to the response, whether it is the response of the executed request
	// or the false response of Status.
	Header http.Header
	// Execute executes the request before the false response of Status is sent.
	Execute bool

	// ExpireSession ends the session of the request before the request is executed. The
	// request gets the response for an expired session.
	ExpireSession bool
	// Mutate is called with the response body of the executed request and returns the body
	// to send instead.
	Mutate func(body []byte) []byte

	// MayMiss permits that the fault applies to no request. Without MayMiss, the test fails
	// at its end if the fault did not apply to any request.
	MayMiss bool
	// Unimplemented permits a Path that the appliance does not implement, so that Status
	// and Body can simulate the endpoint.
	Unimplemented bool
}

// activeFault is a fault that was injected, with its state.
type activeFault struct {
	Fault
	glob  string // Path in the form that matchPath reads
	where string // the file and line that injected the fault; "" if unknown
	seen  int    // number of matching requests
	fired bool   // whether the fault applied to a request
}

// Inject adds a fault. Inject refuses an invalid fault, so that a test with a typing
// error does not pass by accident. It refuses a Method that the API does not have, such
// as "get"; a Path that is not a valid glob or has "**" elsewhere than at its end; and
// fields that contradict each other, such as CutBefore and Status. It also refuses a Path
// that matches no endpoint at the time of the call (see [Implemented] and
// [Appliance.SetConfiguration]), unless Unimplemented is set.
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

// refuseRule ends the test that the appliance belongs to, or panics if there is none.
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

// WithFaults injects faults from the start. [NewServer] refuses the same faults as
// [Appliance.Inject].
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

// ClearFaults removes all faults. [Appliance.MissedFaults] still returns the removed
// faults that did not apply to any request.
func (a *Appliance) ClearFaults() {
	a.enter()
	defer a.mu.Unlock()
	a.cleared = append(a.cleared, slices.DeleteFunc(a.faults, func(f *activeFault) bool { return !f.missed() })...)
	a.faults = nil
}

// MissedFaults returns the faults that have not applied to any request yet, in the order
// of their injection. It leaves out faults with MayMiss, and faults that change nothing.
// The test that was passed to [NewServer] fails if MissedFaults would return a fault at its
// end.
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

// missed reports whether a fault should have applied to a request and did not. A fault
// that changes nothing is not missed.
func (f *activeFault) missed() bool { return !f.fired && !f.MayMiss && f.changes() }

// report fails the test that the appliance belongs to if there are missed faults.
func (a *Appliance) report() {
	a.enter()
	missed := a.missedFaults()
	a.mu.Unlock()
	for _, f := range missed {
		where := ""
		if f.where != "" {
			where = " from " + f.where
		}
		a.tb.Errorf("spstest: fault %q%s never applied to a request: %s; set MayMiss if this is permitted", f.brief(), where, f.matched())
	}
}

// brief returns a fault as text of at most 100 characters and an ellipsis, for a message.
func (f *Fault) brief() string {
	const most = 100
	s := f.String()
	if utf8.RuneCountInString(s) <= most {
		return s
	}
	return string([]rune(s)[:most]) + "…"
}

// matched says how many requests matched a fault, for the message about a missed fault.
func (f *activeFault) matched() string {
	switch f.seen {
	case 0:
		return "no request matched"
	case 1:
		return fmt.Sprintf("1 request matched, and Skip is %d", f.Skip)
	}
	return fmt.Sprintf("%d requests matched, and Skip is %d", f.seen, f.Skip)
}

// plainGlob returns a glob without a leading "/api/" and without slashes at its ends. It
// is then compared with paths below /api/.
func plainGlob(glob string) string {
	return strings.Trim(strings.TrimPrefix(strings.TrimPrefix(glob, "/"), "api/"), "/")
}

// checkRule refuses a method or a glob that matches no endpoint of the appliance.
func (a *Appliance) checkRule(method, glob string) error {
	if err := checkPattern(method, glob); err != nil {
		return err
	}
	if glob == "" || a.hasEndpoint(glob) {
		return nil
	}
	return fmt.Errorf("no endpoint of the appliance has the path %q, see Implemented", glob)
}

// checkPattern checks the syntax of a method and a glob. It does not check whether the
// endpoint exists.
func checkPattern(method, glob string) error {
	if method != "" && !slices.Contains(faultMethods, method) {
		return fmt.Errorf("unknown method %q: want one of %s, or none", method, strings.Join(faultMethods, ", "))
	}
	if _, err := path.Match(glob, ""); err != nil {
		return fmt.Errorf("the path %q is not a valid pattern", glob)
	}
	if head, rest := globParts(glob); rest && head == "" || !strings.Contains(head, "**") {
		return nil
	}
	return fmt.Errorf("the path %q has a ** that is not its last segment", glob)
}

// globParts separates the segments of a glob from a final "**".
func globParts(glob string) (head string, rest bool) {
	if glob == "**" {
		return "", true
	}
	return strings.CutSuffix(glob, "/**")
}

// hasEndpoint reports whether the glob matches the path of an endpoint, including
// listings.
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

// reaches reports whether a glob matches any path of an endpoint, in which a "*" stands
// for any segment.
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

// fault returns the fault that applies to a request, or the zero Fault. If connection is
// false, it ignores the faults that need a connection, such as CutAfter, and does not count
// the request for them.
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

// matchPath compares a path with the result of plainGlob.
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

// falseAnswer returns the response that the fields Status, Body and ContentType describe.
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
