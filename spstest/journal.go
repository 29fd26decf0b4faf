package spstest

import (
	"bytes"
	"net/http"
	"slices"
	"time"
)

// Request is a request as the appliance received it.
//
// Header includes the values of Cookie and Authorization, so that a test can compare
// them. Do not print it where secrets must not appear.
type Request struct {
	Method   string        // the HTTP method
	Path     string        // the escaped path, including /api
	RawQuery string        // the query of the URL without "?"; "" if there is none
	Header   http.Header   // the request header, including secrets
	Body     []byte        // the request body; nil for an upload, whose body is not stored
	Size     int64         // the number of received bytes of the body
	Status   int           // the status code of the response; 0 if no response was sent
	Session  string        // the label of the session of the cookie or of the login, such as "s1", even if the session has ended; "" if there is none
	Executed bool          // true if an endpoint executed the request after the checks of session, method and rights
	Running  bool          // true while the request is being executed or waits for its turn; Executed may still become true
	Duration time.Duration // the time until the response, by the appliance's clock
	Ignored  []string      // the unknown members in the body of a POST or PUT of the configuration, such as "rules/0/nmae"
}

func (r *Request) clone() Request {
	c := *r
	c.Header = r.Header.Clone()
	c.Body = bytes.Clone(r.Body)
	c.Ignored = slices.Clone(r.Ignored)
	return c
}

// Journal returns the received requests in the order of arrival, including requests that
// a [Fault] refused or cut.
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
