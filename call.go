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

// apiPath is a path below /api/ that was checked and escaped once.
type apiPath = apipath.Path

// mustPath makes a path from a constant of this package.
func mustPath(text string) apiPath {
	p, err := newPath(text)
	if err != nil {
		panic(err)
	}
	return p
}

// newPath makes a path from a user's text for an endpoint.
func newPath(text string) (apiPath, error) {
	p, err := apipath.New(text)
	if err != nil {
		return apiPath{}, fmt.Errorf("sps: path %s: %w", quoted(text), invalid("%s", err))
	}
	return p, nil
}

// parseLink makes a path and a query from a link of an answer or of a user.
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

// relative removes the leading /api/ from the path of an answer.
func relative(path string) string {
	return strings.TrimPrefix(strings.TrimPrefix(path, "/"), "api/")
}

// What the engine itself asks for, beside the areas.
var (
	infoPath  = mustPath("info")
	setupPath = mustPath("setup")
)

// transactional are the roots below which the guide requires a transaction for writes.
var transactional = []string{
	"configuration", "acl", "cluster/configuration_sync_plugin", "cluster/join_request", "cluster/nodes", "cluster/promote",
}

// alone are the endpoints whose writes the guide does not allow while a transaction is
// open.
var alone = []string{"starling/join"}

// making are the endpoints whose GET creates something.
var making = []string{"audit/sessions/_snapshot"}

// guarded reports whether writes to a path need a transaction. To be safe, it ignores
// case and counts escaped paths, in case a server on the way unescapes them.
func guarded(p apiPath) bool {
	text := strings.ToLower(p.Text)
	return strings.Contains(text, "%") || strings.Contains(text, "..") ||
		apiPath{Text: text}.Below(append(transactional, "transaction")...)
}

// quoted returns an input escaped and shortened.
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

// This file defines which requests may be repeated, and what a lost answer means. An
// appliance may work on a request long after its client has stopped waiting, so an
// observation that the request was not executed yet does not prove that it will not be.

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

func (t *Timeouts) read() time.Duration { return t.Read }

func (t *Timeouts) stall() time.Duration { return t.Stall }

func (t *Timeouts) login() time.Duration { return t.Login }

func (t *Timeouts) close() time.Duration { return t.Close }

func (t *Timeouts) action() time.Duration { return t.Action }

func (t *Timeouts) write() time.Duration { return t.Write }

func (t *Timeouts) commit() time.Duration { return t.Commit }

// stream is a body that is too large for memory. Each attempt reads it again.
type stream struct {
	contentType string
	length      int64
	open        func() (io.Reader, error)
}

// sink receives a stream.
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

// encode makes the body of a request. A []byte or a json.RawMessage is sent unchanged;
// every other value is encoded as JSON. encode also returns the secrets that the body
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
