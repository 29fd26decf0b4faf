package spstest

import (
	"bytes"
	"context"
	"io"
	"net"
	"net/http"
	"net/url"
	"slices"
	"strconv"
	"strings"
	"sync"
	"syscall"
	"time"
)

// maxBody is the maximum size of a request body in bytes, except for uploads.
const maxBody = 64 << 20

// endlessStart and endlessMore are the first bytes and the repeated bytes of an endless
// response body.
var (
	endlessStart = []byte(`{"body":"`)
	endlessMore  = bytes.Repeat([]byte("0123456789abcdef"), 256)
)

// outcome is the result of a request: a response, or the error with which its connection
// ends.
type outcome struct {
	answer
	cut      error // the error with which the connection ends without a response
	truncate int
	endless  bool
	last     bool // the connection is closed after this response, because a restart has started
}

// The errors that net/http returns for a refused connection and for a reset connection.
var (
	errRefused = &net.OpError{Op: "dial", Net: "tcp", Err: syscall.ECONNREFUSED}
	errReset   = &net.OpError{Op: "read", Net: "tcp", Err: syscall.ECONNRESET}
)

// process adds a request to the journal, applies its fault and executes it. If connection
// is false, faults that need a connection do not apply.
func (a *Appliance) process(ctx context.Context, x *exchange, escapedPath, rawQuery string, connection bool) outcome {
	a.enter()
	began := a.clock()
	entry := &Request{Method: x.method, Path: escapedPath, RawQuery: rawQuery, Header: x.header, Body: x.body, Size: int64(len(x.body))}
	a.journal = append(a.journal, entry)
	a.identify(x)
	boots := a.boots
	var f Fault
	switch x.phase = a.meet(x); {
	case x.phase != refused:
		f = a.fault(x, connection)
	case connection:
		f.Refuse = true
	default:
		f.Status = http.StatusServiceUnavailable
	}
	a.mu.Unlock()

	out := a.suffer(ctx, x, entry, f)
	if out.answer.cut && connection {
		out.cut = io.ErrUnexpectedEOF
	}

	a.enter()
	a.settle()
	out.last = a.boots != boots
	if x.incoming != nil {
		entry.Size = x.incoming.n
	}
	entry.Session, entry.Executed = x.label, x.executed
	if out.cut == nil {
		entry.Status = out.status
	}
	entry.Duration = a.clock().Sub(began)
	done := entry.clone()
	a.mu.Unlock()
	if a.trace != nil {
		a.trace(done)
	}
	return out
}

// identify sets the label of a request's session for the journal. It does not count as a
// use of the session.
func (a *Appliance) identify(x *exchange) {
	for _, cookie := range (&http.Request{Header: x.header}).CookiesNamed("session_id") {
		if s := a.sessions[cookie.Value]; s != nil {
			x.label = s.label
			return
		}
	}
}

// suffer applies a fault to a request, and executes the request if the fault permits it.
func (a *Appliance) suffer(ctx context.Context, x *exchange, entry *Request, f Fault) outcome {
	if x.incoming != nil && !f.Refuse && !f.CutBefore {
		got, err := x.incoming.receive(x.header.Get("Content-Type"), a.variant("upload-labelled-json") == "accepted")
		if err != nil {
			return outcome{cut: err}
		}
		x.received = got
	}
	if f.Delay > 0 {
		if err := a.wait(ctx, f.Delay); err != nil {
			return outcome{cut: err}
		}
	}
	switch {
	case f.Refuse:
		return outcome{cut: errRefused}
	case f.CutBefore:
		return outcome{cut: errReset}
	}

	var ans answer
	executes := f.Status == 0 || f.Execute || f.Detached
	if executes || f.ExpireSession {
		var op *operation
		a.enter()
		if f.ExpireSession {
			a.expire(x)
		}
		if executes {
			op = a.accept(x, entry, f.Takes)
		}
		a.mu.Unlock()
		if executes && !f.Detached {
			if err := a.await(ctx, op); err != nil {
				return outcome{cut: err}
			}
			ans = op.answer
		}
	}
	if f.AnswerDelay > 0 {
		if err := a.wait(ctx, f.AnswerDelay); err != nil {
			return outcome{cut: err}
		}
	}
	if f.Mutate != nil && f.Status == 0 {
		ans.body, ans.stream = f.Mutate(ans.body), nil
	}
	if f.Status != 0 {
		ans = f.falseAnswer()
	}
	if ans.header == nil {
		ans.header = http.Header{}
	}
	for name, values := range f.Header {
		ans.header[http.CanonicalHeaderKey(name)] = slices.Clone(values)
	}
	out := outcome{answer: ans, endless: f.Endless}
	if f.CutAfter {
		out.cut = io.ErrUnexpectedEOF
	}
	if f.Truncate > 0 && int64(f.Truncate) < ans.size() {
		out.truncate = f.Truncate
	}
	return out
}

// expire ends the session that the cookie of a request belongs to.
func (a *Appliance) expire(x *exchange) {
	for _, cookie := range (&http.Request{Header: x.header}).CookiesNamed("session_id") {
		a.end(a.sessions[cookie.Value])
	}
}

func (a *Appliance) wait(ctx context.Context, d time.Duration) error {
	timer := time.NewTimer(d)
	defer timer.Stop()
	select {
	case <-timer.C:
		return nil
	case <-ctx.Done():
		return ctx.Err()
	case <-a.closed:
		return errReset
	}
}

func newExchange(method string, u *url.URL, header http.Header) *exchange {
	p := strings.TrimSuffix(u.EscapedPath(), "/")
	x := &exchange{method: method, query: u.Query(), header: header}
	if p == "/api" {
		x.api = true
	} else if x.path, x.api = strings.CutPrefix(p, "/api/"); !x.api {
		x.path = strings.TrimPrefix(p, "/")
	}
	x.path = plainPath(x.path)
	return x
}

// plainPath removes the escapes from the segments of a path. It keeps an escaped slash,
// and an escaped "." or "..".
func plainPath(p string) string {
	segments := strings.Split(p, "/")
	for i, segment := range segments {
		if plain, err := url.PathUnescape(segment); err == nil && plain != "." && plain != ".." && !strings.Contains(plain, "/") {
			segments[i] = plain
		}
	}
	return strings.Join(segments, "/")
}

// Handler returns the appliance as an http.Handler, without TLS. Faults with Refuse,
// CutBefore, CutAfter, Truncate or Endless do not apply to its requests.
func (a *Appliance) Handler() http.Handler { return a.handler(false) }

func (a *Appliance) handler(connection bool) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		x := newExchange(r.Method, r.URL, r.Header.Clone())
		x.remote = r.RemoteAddr
		switch {
		case r.Header.Get("Expect") != "": // the request is refused; reading its body would send 100 Continue to the client
		case x.uploads():
			x.incoming = overTheWire(r)
		default:
			var err error
			if x.body, err = io.ReadAll(io.LimitReader(r.Body, maxBody)); err != nil {
				panic(http.ErrAbortHandler) // the client disconnected while it was sending
			}
		}
		x.conn, _ = r.Context().Value(connectionKey{}).(*accepted)
		x.hasLength = r.ContentLength > 0 || r.ContentLength == 0 && statesLength(r)
		if r.TLS != nil {
			x.certificates = r.TLS.PeerCertificates
		}
		a.write(w, r, a.process(r.Context(), x, r.URL.EscapedPath(), r.URL.RawQuery, connection))
	})
}

// statesLength reports whether a request with a ContentLength of 0 has the header
// Content-Length. A request that did not come through a server, such as one from
// httptest, counts as having the header.
func statesLength(r *http.Request) bool {
	return r.Header.Get("Content-Length") != "" || r.Context().Value(http.ServerContextKey) == nil
}

func (a *Appliance) write(w http.ResponseWriter, r *http.Request, out outcome) {
	if out.cut != nil {
		if out.cut == errRefused {
			reset(w)
		}
		panic(http.ErrAbortHandler)
	}
	if out.status == http.StatusExpectationFailed && r.Header.Get("Expect") != "" && expectationFailed(w, r, out.answer) {
		return
	}
	for name, values := range out.header {
		w.Header()[name] = values
	}
	if out.last {
		w.Header().Set("Connection", "close")
	}
	switch {
	case out.endless:
		a.writeEndless(w, r, out.status)
	case out.truncate > 0:
		w.Header().Set("Content-Length", strconv.FormatInt(out.size(), 10))
		w.WriteHeader(out.status)
		_, _ = io.CopyN(w, out.content(), int64(out.truncate))
		_ = http.NewResponseController(w).Flush()
		panic(http.ErrAbortHandler)
	case out.stream != nil:
		a.writeStream(w, out)
	default:
		if out.status != http.StatusNoContent {
			w.Header().Set("Content-Length", strconv.Itoa(len(out.body)))
		}
		w.WriteHeader(out.status)
		_, _ = w.Write(out.body)
	}
}

// curlExpects is the length of a body from which on curl sends an Expect header without
// being told to.
const curlExpects = 1 << 20

// expectationFailed sends 417 to a request with an Expect header. For a body that is long
// or has an unknown length, the response keeps the connection open, because curl then
// repeats the request without Expect; net/http would close the connection. For a short
// body, the response closes the connection: there the user told curl to send Expect, and
// curl would send it again.
func expectationFailed(w http.ResponseWriter, r *http.Request, ans answer) bool {
	conn, _, err := http.NewResponseController(w).Hijack()
	if err != nil {
		return false
	}
	defer conn.Close()
	resp := &http.Response{
		StatusCode:    ans.status,
		ProtoMajor:    1,
		ProtoMinor:    1,
		Header:        ans.header,
		Body:          io.NopCloser(bytes.NewReader(ans.body)),
		ContentLength: int64(len(ans.body)),
		Close:         0 <= r.ContentLength && r.ContentLength < curlExpects,
	}
	_ = resp.Write(conn)
	return true
}

func (a *Appliance) writeEndless(w http.ResponseWriter, r *http.Request, status int) {
	w.WriteHeader(status)
	_, err := w.Write(endlessStart)
	for err == nil && r.Context().Err() == nil {
		_, err = w.Write(endlessMore)
	}
	panic(http.ErrAbortHandler)
}

// reset closes the connection of a request with a TCP reset. After a request has been
// read, this is the closest to a refused connection.
func reset(w http.ResponseWriter) {
	conn, _, err := http.NewResponseController(w).Hijack()
	if err != nil {
		return
	}
	for {
		wrapped, ok := conn.(interface{ NetConn() net.Conn })
		if !ok {
			break
		}
		conn = wrapped.NetConn()
	}
	resetConn(conn)
}

func resetConn(conn net.Conn) {
	if tcp, ok := conn.(*net.TCPConn); ok {
		_ = tcp.SetLinger(0)
	}
	_ = conn.Close()
}

// RoundTrip sends a request to the appliance in process, without a socket. It makes the
// appliance an [http.RoundTripper]. Connection faults are returned as errors with the
// types of net/http: a refused connection is a *net.OpError with ECONNREFUSED, a
// connection that was cut before the execution is a *net.OpError with ECONNRESET, and a
// connection that was cut after it is io.ErrUnexpectedEOF. For an X.509 login, RoundTrip
// takes the client certificate from the TLS field of the request.
func (a *Appliance) RoundTrip(req *http.Request) (*http.Response, error) {
	ctx := req.Context()
	if req.Body != nil {
		defer req.Body.Close()
	}
	if err := a.reachable(ctx); err != nil {
		return nil, err
	}
	header := req.Header.Clone()
	if header == nil {
		header = http.Header{}
	}
	method := req.Method
	if method == "" {
		method = http.MethodGet
	}
	if _, ok := header["User-Agent"]; !ok {
		header.Set("User-Agent", "Go-http-client/1.1")
	}
	x := newExchange(method, req.URL, header)
	x.remote = req.RemoteAddr
	// Like http.Transport, send no Content-Length if the length of the body is unknown.
	empty := req.Body == nil || req.Body == http.NoBody
	x.hasLength = empty || req.ContentLength > 0
	var length int64
	switch {
	case empty:
	case x.uploads():
		length = req.ContentLength
	default:
		var err error
		if x.body, err = receive(req); err != nil {
			return nil, err
		}
		length = int64(len(x.body))
	}
	if x.uploads() && header.Get("Expect") == "" {
		x.incoming = a.incoming(ctx, req.Body, length)
	}
	if x.hasLength && (length > 0 || method == http.MethodPost || method == http.MethodPut) {
		header.Set("Content-Length", strconv.FormatInt(length, 10))
	}
	if req.TLS != nil {
		x.certificates = req.TLS.PeerCertificates
	}
	out := a.process(ctx, x, req.URL.EscapedPath(), req.URL.RawQuery, true)
	if out.cut != nil {
		return nil, out.cut
	}
	return a.response(req, out), nil
}

// reachable returns an error if the appliance is closed or the context has ended.
func (a *Appliance) reachable(ctx context.Context) error {
	select {
	case <-a.closed:
		return errRefused
	default:
		return ctx.Err()
	}
}

// receive reads the body of an in-process request.
func receive(req *http.Request) ([]byte, error) {
	body, err := io.ReadAll(io.LimitReader(req.Body, maxBody))
	if err != nil {
		return nil, err
	}
	if req.ContentLength > 0 && int64(len(body)) != req.ContentLength {
		return nil, &net.OpError{Op: "write", Net: "tcp", Err: io.ErrUnexpectedEOF}
	}
	return body, nil
}

func (a *Appliance) response(req *http.Request, out outcome) *http.Response {
	resp := &http.Response{
		Status:        strconv.Itoa(out.status) + " " + http.StatusText(out.status),
		StatusCode:    out.status,
		Proto:         "HTTP/1.1",
		ProtoMajor:    1,
		ProtoMinor:    1,
		Header:        out.header.Clone(),
		ContentLength: out.size(),
		Request:       req,
	}
	switch {
	case out.endless:
		resp.ContentLength = -1
		resp.Body = &endlessBody{ctx: req.Context(), closed: a.closed, next: endlessStart}
	case out.truncate > 0:
		resp.Body = io.NopCloser(io.MultiReader(io.LimitReader(out.content(), int64(out.truncate)), broken{}))
	case req.Method == http.MethodHead:
		resp.Body = http.NoBody
	case out.stream != nil:
		resp.ContentLength = out.stream.length()
		resp.Body = &streamBody{ctx: req.Context(), closed: a.closed, from: out.content()}
	default:
		resp.Body = io.NopCloser(bytes.NewReader(out.body))
	}
	if resp.ContentLength >= 0 && out.status != http.StatusNoContent {
		resp.Header.Set("Content-Length", strconv.FormatInt(resp.ContentLength, 10))
	}
	return resp
}

// broken is a reader that ends a truncated body with io.ErrUnexpectedEOF.
type broken struct{}

func (broken) Read([]byte) (int, error) { return 0, io.ErrUnexpectedEOF }

// endlessBody is a body that does not end until it is closed, the request's context ends
// or the appliance is closed.
type endlessBody struct {
	ctx    context.Context
	closed <-chan struct{}
	mu     sync.Mutex
	done   bool
	next   []byte
}

func (b *endlessBody) Read(p []byte) (int, error) {
	b.mu.Lock()
	defer b.mu.Unlock()
	if b.done {
		return 0, http.ErrBodyReadAfterClose
	}
	if err := b.ctx.Err(); err != nil {
		return 0, err
	}
	select {
	case <-b.closed:
		return 0, io.ErrUnexpectedEOF
	default:
	}
	if len(b.next) == 0 {
		b.next = endlessMore
	}
	n := copy(p, b.next)
	b.next = b.next[n:]
	return n, nil
}

func (b *endlessBody) Close() error {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.done = true
	return nil
}
