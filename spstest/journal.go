package spstest

import (
	"bytes"
	"net/http"
	"slices"
	"time"
)

// Request is one request as the appliance received it.
//
// Header holds what was sent, the values of Cookie and Authorization included,
// because assertions need them: do not print it where secrets must not appear.
type Request struct {
	Method   string        // as sent
	Path     string        // escaped as sent, with /api
	RawQuery string        // as sent, "" for none
	Header   http.Header   // as sent, with secrets
	Body     []byte        // nil for an upload, which is not kept
	Size     int64         // how much body arrived
	Status   int           // of the answer; 0 when none was sent
	Session  string        // label of the session that the cookie names or that the login began, live or ended: "s1", "s2"; never the cookie's value
	Executed bool          // an endpoint did its work: past all checks of session, method and rights
	Running  bool          // the execution goes on, or waits for its turn: Executed may become true
	Duration time.Duration // until the answer, by the appliance's clock
	Ignored  []string      // members that a POST or PUT of the configuration wrote and the appliance does not know, such as "rules/0/nmae"
}

func (r *Request) clone() Request {
	c := *r
	c.Header = r.Header.Clone()
	c.Body = bytes.Clone(r.Body)
	c.Ignored = slices.Clone(r.Ignored)
	return c
}

// Journal gives every request in the order of arrival, those that a [Fault]
// refused or cut too.
func (a *Appliance) Journal() []Request {
	a.enter()
	defer a.mu.Unlock()
	requests := make([]Request, len(a.journal))
	for i, r := range a.journal {
		requests[i] = r.clone()
	}
	return requests
}

// ResetJournal forgets the requests so far.
func (a *Appliance) ResetJournal() {
	a.enter()
	defer a.mu.Unlock()
	a.journal = nil
}
