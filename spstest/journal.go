package spstest

import (
	"bytes"
	"net/http"
	"slices"
	"time"
)

// Request is one request as the appliance received it.
//
// Header includes the values of Cookie and Authorization, because assertions need them.
// Do not print it where secrets must not appear.
type Request struct {
	Method   string        // as sent
	Path     string        // escaped as sent, with /api
	RawQuery string        // as sent; "" if there is none
	Header   http.Header   // as sent, with secrets
	Body     []byte        // nil for an upload, which is not kept
	Size     int64         // received bytes of the body
	Status   int           // status of the answer; 0 if none was sent
	Session  string        // label of the session of the cookie or of the login, live or ended: "s1", "s2"; never the cookie's value
	Executed bool          // an endpoint executed it, after all checks of session, method and rights
	Running  bool          // it is being executed or waits for its turn: Executed may become true
	Duration time.Duration // until the answer, by the appliance's clock
	Ignored  []string      // unknown members that a POST or PUT of the configuration wrote, such as "rules/0/nmae"
}

func (r *Request) clone() Request {
	c := *r
	c.Header = r.Header.Clone()
	c.Body = bytes.Clone(r.Body)
	c.Ignored = slices.Clone(r.Ignored)
	return c
}

// Journal returns every request in the order of arrival, including those that a [Fault]
// refused or cut.
func (a *Appliance) Journal() []Request {
	a.enter()
	defer a.mu.Unlock()
	requests := make([]Request, len(a.journal))
	for i, r := range a.journal {
		requests[i] = r.clone()
	}
	return requests
}

// ResetJournal removes all requests from the journal.
func (a *Appliance) ResetJournal() {
	a.enter()
	defer a.mu.Unlock()
	a.journal = nil
}
