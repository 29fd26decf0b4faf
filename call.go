package sps

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"strings"
	"time"

	"github.com/go-sps/sps/internal/apipath"
	"github.com/go-sps/sps/internal/oneline"
	"github.com/go-sps/sps/internal/wire"
)

// apiPath is a path below /api/ that was already checked and escaped.
type apiPath = apipath.Path

// mustPath makes a path from a constant of this package.
func mustPath(text string) apiPath {
	p, err := newPath(text)
	if err != nil {
		panic(err)
	}
	return p
}

// newPath makes a path from a text of the caller.
func newPath(text string) (apiPath, error) {
	p, err := apipath.New(text)
	if err != nil {
		return apiPath{}, fmt.Errorf("sps: path %s: %w", quoted(text), invalid("%s", err))
	}
	return p, nil
}

// parseLink splits a link in a response, or a path that the caller passed, into a path and
// a query.
func parseLink(link string) (apiPath, url.Values, error) {
	p, query, err := apipath.Parse(link)
	if err != nil {
		path, _, _ := strings.Cut(link, "?") // the query may contain a secret
		return apiPath{}, nil, fmt.Errorf("sps: path %s: %w", quoted(path), invalid("%s", err))
	}
	return p, query, nil
}

// itemPath makes the path of an object in a list.
func itemPath(list apiPath, key string) (apiPath, error) {
	p, err := list.Join(key)
	if err != nil {
		return apiPath{}, fmt.Errorf("sps: %s: %w", list.Text, invalid("%s", err))
	}
	return p, nil
}

// relative removes the leading /api/ from a path in an answer.
func relative(path string) string {
	return strings.TrimPrefix(strings.TrimPrefix(path, "/"), "api/")
}

// These endpoints are not part of an area of the API such as audit or firmware.
var (
	infoPath  = mustPath("info")
	setupPath = mustPath("setup")
)

// transactional are the paths below which the REST API guide requires a transaction for
// writes.
var transactional = []string{
	"configuration", "acl", "cluster/configuration_sync_plugin", "cluster/join_request", "cluster/nodes", "cluster/promote",
}

// alone are the endpoints to which the REST API guide does not permit writes while a
// transaction is open.
var alone = []string{"starling/join"}

// making are the endpoints whose GET creates something on the appliance.
var making = []string{"audit/sessions/_snapshot"}

// guarded reports whether writes to a path need a transaction. It ignores case. It also
// returns true for a path with an escaped character or with "..", because a server
// between the client and the appliance might convert it to a path that needs a
// transaction.
func guarded(p apiPath) bool {
	text := strings.ToLower(p.Text)
	return strings.Contains(text, "%") || strings.Contains(text, "..") ||
		apiPath{Text: text}.Below(append(transactional, "transaction")...)
}

// quoted returns a text in quotation marks, escaped and shortened.
func quoted(text string) string { return oneline.Quoted(text) }

// invalid makes an ErrInvalidInput with its reason.
func invalid(format string, args ...any) error {
	return fmt.Errorf("%w: %s", ErrInvalidInput, fmt.Sprintf(format, args...))
}

var transactionPath = mustPath("transaction")

// call is one request.
type call struct {
	class  class
	method string
	path   apiPath
	query  url.Values
	header http.Header // in addition to the client's own
	body   []byte      // JSON, or nil for no body
	stream *stream     // the body of an upload, which is sent instead of body
	secret []Secret    // the secrets that an answer might repeat, in addition to the session id
	intake
	bounds
	basis
}

// intake says how the answer to a call is handled. The zero value means that the answer
// must be JSON and is read into memory.
type intake struct {
	sink     *sink             // receives an answer that is too large for memory
	space    []byte            // a buffer for the answer, used if it is large enough
	raw      bool              // the answer need not be JSON
	redirect bool              // a redirect is a successful answer, not an error
	seen     func(http.Header) // receives the headers of the answer, even if the answer is unusable
}

// bounds limit a call in addition to the caller's context. The zero value adds no limit.
type bounds struct {
	life  context.Context // if it ends, the call ends
	begin context.Context // if it ends, no further attempt starts
	once  bool            // there is only one attempt
}

// The following types define which requests the client repeats, and what a lost response
// means. An appliance may execute a request long after the client has stopped waiting.
// Even if the client has read that a request was not executed yet, the appliance may
// execute it later.

// class is a kind of request.
type class uint8

const (
	classRead     class = iota // GET
	classDownload              // GET of a stream: no total time limit, only the stall limit
	classSnapshot              // GET that creates something: audit/sessions/_snapshot
	classLogin                 // GET authentication with a reusable credential
	classCode                  // GET authentication with a possible one-time code
	classLogOut                // DELETE authentication: safe to repeat
	classTry                   // POST that changes nothing and takes minutes: firmware/test
	classOpen                  // POST transaction
	classStep                  // a write inside a transaction
	classRollback              // DELETE transaction: safe to repeat
	classCommit                // PUT transaction
	classCreate                // POST that creates a fetch or a support bundle
	classAct                   // POST that does something and takes minutes: a join, an upgrade
	classRemove                // DELETE of a firmware slot, a fetch, a support bundle or the join to Starling
	classUpload                // POST of a firmware image: no total time limit, only the stall limit
	classWrite                 // PUT and DELETE of Client.Invoke: idempotent
	classInvoke                // POST of Client.Invoke: the effect is unknown
)

// lost is the consequence of a lost response.
type lost uint8

const (
	// lostNothing means that the request changes nothing that the caller could see.
	lostNothing lost = iota
	// lostStaged means that the request only changes what a transaction has staged. The
	// client rolls back the transaction and ends its session, so that a delayed execution
	// changes nothing.
	lostStaged
	// lostUnknown means that the outcome is unknown until a [witness] finds that the
	// request was executed.
	lostUnknown
)

// harmless reports whether a lost response does not lead to [ErrOutcomeUnknown].
func (l lost) harmless() bool { return l < lostUnknown }

// policy has the rules for a class.
type policy struct {
	broken  bool  // the client retries the request after a connection broke during the request or the answer
	refusal []int // the client retries the request after these status codes
	limit   func(*Timeouts) time.Duration
	lost    lost
}

var (
	limited = []int{429}
	busy    = []int{429, 502, 503, 504}
)

// policies has the policy of each class. The client also retries each class if it could
// not connect, because it has sent nothing.
var policies = [...]policy{
	classRead:     {true, busy, (*Timeouts).read, lostNothing},
	classDownload: {true, busy, (*Timeouts).stall, lostNothing},
	classSnapshot: {false, nil, (*Timeouts).read, lostNothing},  // if the response is lost, a snapshot may remain; it expires after five minutes
	classLogin:    {true, busy, (*Timeouts).login, lostNothing}, // if the response is lost, a session may remain until it times out
	classCode:     {false, []int{429, 503}, (*Timeouts).login, lostNothing},
	classLogOut:   {true, busy, (*Timeouts).close, lostNothing}, // if the log-out fails, a later call ends the session, or the session times out
	classTry:      {true, nil, (*Timeouts).action, lostNothing}, // not retried after its time limit, which is long: half an hour by default

	classOpen:     {false, nil, (*Timeouts).write, lostStaged},
	classStep:     {false, nil, (*Timeouts).write, lostStaged},
	classRollback: {true, busy, (*Timeouts).close, lostStaged}, // if the rollback is not confirmed, the session is ended

	classCommit: {false, nil, (*Timeouts).commit, lostUnknown},
	classCreate: {false, nil, (*Timeouts).write, lostUnknown},
	classAct:    {false, nil, (*Timeouts).action, lostUnknown},
	classRemove: {false, limited, (*Timeouts).write, lostUnknown},
	classUpload: {false, nil, (*Timeouts).stall, lostUnknown},
	classWrite:  {false, limited, (*Timeouts).write, lostUnknown},
	classInvoke: {false, nil, (*Timeouts).action, lostUnknown},
}

func (t *Timeouts) read() time.Duration { return t.Read }

func (t *Timeouts) stall() time.Duration { return t.Stall }

func (t *Timeouts) login() time.Duration { return t.Login }

func (t *Timeouts) close() time.Duration { return t.Close }

func (t *Timeouts) action() time.Duration { return t.Action }

func (t *Timeouts) write() time.Duration { return t.Write }

func (t *Timeouts) commit() time.Duration { return t.Commit }

// stream is a request body that is too large for memory. Each attempt reads it from the
// start.
type stream struct {
	contentType string
	length      int64
	open        func() (io.Reader, error)
}

// sink receives the body of a download.
type sink struct {
	w     io.Writer
	moved func(done, total int64)
	done  int64
}

// errSink is an error of the caller's writer.
type errSink struct{ err error }

func (e errSink) Error() string { return "writing the download: " + e.err.Error() }

func (e errSink) Unwrap() error { return e.err }

func (s *sink) Write(p []byte) (int, error) {
	n, err := s.w.Write(p)
	s.done += int64(n)
	if err == nil && n < len(p) {
		err = io.ErrShortWrite
	}
	if err != nil {
		return n, errSink{err}
	}
	return n, nil
}

// deliver copies an answer to the sink.
func (s *sink) deliver(resp *http.Response) error {
	total := resp.ContentLength
	buffer := make([]byte, 64<<10)
	var reported int64
	for {
		n, err := resp.Body.Read(buffer)
		if n > 0 {
			if _, err := s.Write(buffer[:n]); err != nil {
				return err
			}
		}
		if s.done-reported >= progressStep || err == io.EOF {
			reported = s.done
			s.moved(s.done, total)
		}
		if err == io.EOF {
			return nil
		}
		if err != nil {
			return fmt.Errorf("the connection broke after %d bytes: %w", s.done, err)
		}
	}
}

// codec encodes bodies with their secrets in clear text.
var codec = wire.NewCodec(Secret.ExposeString)

// encode makes the body of a request. It returns a []byte or a json.RawMessage unchanged,
// and encodes any other value as JSON. encode also returns the secrets that the body
// contains.
func encode(v any) ([]byte, []Secret, error) {
	var body []byte
	var secrets []Secret
	switch v := v.(type) {
	case nil:
		return nil, nil, nil
	case []byte:
		body = v
	case json.RawMessage:
		body = v
	default:
		var err error
		if body, secrets, err = reveal(v); err != nil {
			return nil, nil, fmt.Errorf("sps: %w: the body cannot be encoded: %w", ErrInvalidInput, err)
		}
	}
	if err := checkBody(body); err != nil {
		return nil, nil, fmt.Errorf("sps: %w", err)
	}
	return body, secrets, nil
}

// reveal encodes a value and returns the secrets that the result contains.
func reveal(v any) ([]byte, []Secret, error) {
	data, revealed, err := codec.Reveal(v)
	if err != nil {
		return nil, nil, err
	}
	var secrets []Secret
	for _, text := range revealed {
		if text != "" {
			secrets = append(secrets, NewSecretString(text))
		}
	}
	return data, secrets, nil
}

// checkBody refuses a body that is not valid JSON. It also refuses a body that contains
// the placeholder of a printed Secret, because the appliance would store the placeholder
// as the password.
func checkBody(body []byte) error {
	if err := wire.Valid(body); err != nil {
		return invalid("the body is not valid JSON")
	}
	if bytes.Contains(body, []byte(redacted)) {
		return invalid("the body contains the placeholder of a printed Secret; put the Secret itself into the body")
	}
	return nil
}
