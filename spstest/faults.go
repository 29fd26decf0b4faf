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

// Fault makes requests go wrong. The zero value matches one request of any kind
// and changes nothing.
//
// Of several faults that match a request, the first one injected whose turn it
// is applies; those after it do not see the request, and do not count it.
//
// Mind that net/http sends a request again by itself if a connection that it
// re-used ends before any answer and the request may be repeated: over TLS such
// a client can use up a Refuse, CutBefore or CutAfter unseen.
type Fault struct {
	// Method restricts the fault to requests of this method, in upper case; "" is any.
	Method string
	// Path restricts it by a glob over the path below /api/, as in
	// "firmware/test" or "configuration/management/*", with or without a
	// leading "/api/"; "" is any. A final "**" stands for
	// the rest of the path, and for nothing.
	Path string
	// Skip lets that many matching requests pass first.
	Skip int
	// Times is how many matching requests the fault applies to: 0 is once, -1
	// is always.
	Times int

	// Delay comes before anything else. It ends early when the client goes
	// away or the appliance closes.
	Delay time.Duration
	// Takes is how long the execution lasts, by the appliance's clock; 0 is as long as
	// [Appliance.SetTakes] says. Other requests see meanwhile what there was before, and
	// the effect comes at the end: a change is staged, a slot is emptied, a read is made.
	// What is refused is refused at once, and checked again at the end.
	//
	// The execution goes on when the client leaves, see [Appliance.WaitIdle]. What other
	// requests of the same session get meanwhile are the variants busy-session and
	// rollback-during-commit. A transaction that is being committed stays open and keeps
	// the lock to the end, when all of it is applied and it closes, also if its session
	// ends before. A change whose transaction or session ends before stages nothing, and
	// the lock is held until the time of the change is over. A restart ends all without
	// effect.
	//
	// With a clock of [WithClock] that does not move by itself, an execution whose time
	// is over ends when a request or a method of the appliance comes next.
	Takes time.Duration
	// Detached gives the false answer of Status, or cuts the connection with CutAfter,
	// as soon as the execution begins, which then goes on without a client. It implies
	// Execute.
	Detached bool
	// AnswerDelay holds the answer back for that much longer after the execution, or,
	// with Detached, after its beginning. It ends early as Delay does.
	AnswerDelay time.Duration
	// Refuse refuses the connection. A listening appliance, which must read a
	// request to match it, resets the connection instead.
	Refuse bool
	// CutBefore cuts the connection; the request is not executed.
	CutBefore bool
	// CutAfter executes the request and cuts the connection without an answer.
	CutAfter bool
	// Truncate executes the request and cuts the answer after that many bytes
	// of its body, although Content-Length promises all of it.
	Truncate int
	// Endless answers with a body that is the start of a JSON string and never
	// ends, until the client goes away. The request is executed.
	Endless bool

	// Status is answered in place of executing the request; 0 is no false answer.
	Status int
	// Body is that of the false answer. Without one, an error status comes with
	// the HTML page of a front-end web server.
	Body string
	// ContentType is that of the Body, "" for application/json.
	ContentType string
	// Header is added to the answer, false or true.
	Header http.Header
	// Execute executes the request before the false answer.
	Execute bool

	// ExpireSession ends the session of the request before the request is
	// looked at, which then gets what a dead session gets.
	ExpireSession bool
	// Mutate replaces the body of the answer of the executed request.
	Mutate func(body []byte) []byte

	// MayMiss allows that no request ever meets the fault. Without it, the appliance of a
	// test fails it at the end.
	MayMiss bool
	// Unimplemented allows a Path that no endpoint of the appliance has, for a Status and a
	// Body that stand in for the endpoint.
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

// Inject adds a fault. It refuses one that could never apply, so that no test passes
// because of a slip of the pen: a Method that is none of the API, as "get" is not; a Path
// that is no pattern, has a "**" elsewhere than at its end, or matches no endpoint that
// the appliance has at this moment (see [Implemented] and [Appliance.SetConfiguration]),
// unless the fault says Unimplemented; words that contradict each other, such as CutBefore
// and Status.
//
// A fault that is refused ends the test that [NewServer] got; call Inject from the
// goroutine of the test. Without a test it is a panic.
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

// WithFaults injects faults from the start. [NewServer] refuses what [Appliance.Inject]
// would refuse.
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

// ClearFaults removes all faults. Those that never applied to a request are still listed
// by [Appliance.MissedFaults].
func (a *Appliance) ClearFaults() {
	a.enter()
	defer a.mu.Unlock()
	a.cleared = append(a.cleared, slices.DeleteFunc(a.faults, func(f *activeFault) bool { return !f.missed() })...)
	a.faults = nil
}

// MissedFaults lists the faults that have not applied to any request yet, in the order in
// which they were injected, but for those that MayMiss. The test of [NewServer] fails where
// any is left at its end.
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
