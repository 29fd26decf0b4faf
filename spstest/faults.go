package spstest

import (
	"net/http"
	"path"
	"strings"
	"time"
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
	// Method restricts the fault to requests of this method.
	Method string
	// Path restricts it by a glob over the path below /api/, as in
	// "firmware/test" or "configuration/management/*", with or without a
	// leading "/api/". A final "**" stands for
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
}

type activeFault struct {
	Fault
	seen int
}

// Inject adds a fault.
func (a *Appliance) Inject(f Fault) {
	a.enter()
	defer a.mu.Unlock()
	f.Header = f.Header.Clone()
	a.faults = append(a.faults, &activeFault{Fault: f})
}

// ClearFaults removes all faults.
func (a *Appliance) ClearFaults() {
	a.enter()
	defer a.mu.Unlock()
	a.faults = nil
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
		return f.Fault
	}
	return Fault{}
}

func (f *Fault) matches(x *exchange) bool {
	return (f.Method == "" || f.Method == x.method) && matchPath(f.Path, x.path)
}

func (f *Fault) needsConnection() bool {
	return f.Refuse || f.CutBefore || f.CutAfter || f.Truncate > 0 || f.Endless
}

func matchPath(glob, p string) bool {
	glob = strings.TrimPrefix(glob, "/api/")
	if glob == "" {
		return true
	}
	if head, ok := strings.CutSuffix(glob, "**"); ok {
		head = strings.TrimSuffix(head, "/")
		if head == "" {
			return true
		}
		segments := strings.Split(p, "/")
		n := strings.Count(head, "/") + 1
		if len(segments) < n {
			return false
		}
		p, glob = strings.Join(segments[:n], "/"), head
	}
	ok, _ := path.Match(glob, p)
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
