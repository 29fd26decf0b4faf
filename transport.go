package sps

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"math"
	"math/rand/v2"
	"mime"
	"net"
	"net/http"
	"net/url"
	"strconv"
	"strings"
	"sync/atomic"
	"time"

	"github.com/hashicorp/go-retryablehttp"

	"github.com/go-sps/sps/internal/attempt"
	"github.com/go-sps/sps/internal/foreign"
	"github.com/go-sps/sps/internal/query"
	"github.com/go-sps/sps/internal/wire"
)

// answer is a response whose status and body report success.
type answer struct {
	wire.Envelope
	status   int
	header   http.Header
	body     []byte    // unchanged, at most maxAnswer bytes
	session  *session  // the session in which the call was executed
	exchange *exchange // the exchange that received it
}

// maxAnswer is the maximum size of an answer that is read into memory.
const maxAnswer = 32 << 20

// transport sends calls to one appliance.
type transport struct {
	host      string // the host as in a URL, with the port if it is not 443
	userAgent []string
	retry     RetryPolicy
	timeouts  Timeouts
	logger    *slog.Logger
	client    *retryablehttp.Client
	base      *http.Transport
	unread    []string     // the blocks of the CA bundle that could not be decoded
	used      atomic.Int64 // when a connection was last used, in Unix nanoseconds; 0 if never
}

func newTransport(host string, o *config) (*transport, error) {
	t := &transport{
		host:      host,
		userAgent: []string{o.userAgent},
		retry:     o.retry,
		timeouts:  o.timeouts,
		logger:    o.logger,
		unread:    o.unread,
		base: &http.Transport{
			DialContext:         (&net.Dialer{Timeout: o.timeouts.Connect}).DialContext,
			TLSClientConfig:     o.tlsConfig(host),
			TLSHandshakeTimeout: o.timeouts.Connect,
			// An appliance closes idle connections by itself. If the client sends a write
			// on a connection that is being closed, the outcome of the write is unknown.
			// The client therefore closes its idle connections earlier.
			IdleConnTimeout:        30 * time.Second,
			MaxIdleConnsPerHost:    16,
			DisableCompression:     true,
			MaxResponseHeaderBytes: 256 << 10,
			OnProxyConnectResponse: refusedByProxy,
		},
	}
	if o.proxyFromEnv {
		t.base.Proxy = http.ProxyFromEnvironment
	}
	var trip http.RoundTripper = t.base
	for _, wrap := range o.wrap {
		if trip = wrap(trip); trip == nil {
			return nil, fmt.Errorf("sps: connect: %w", invalid("the function of WithTransport returned no RoundTripper"))
		}
	}
	if t.base.Proxy != nil && t.base.DialTLSContext == nil {
		t.base.DialTLSContext = t.dialTLS
	}
	t.client = &retryablehttp.Client{
		HTTPClient: &http.Client{
			Transport: attempts{t, trip},
			// Do not follow redirects: this would send the session cookie to another
			// server.
			CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse },
		},
		RetryMax:     o.retry.Attempts - 1,
		CheckRetry:   checkRetry,
		Backoff:      func(_, _ time.Duration, _ int, _ *http.Response) time.Duration { return 0 },
		PrepareRetry: pause,
		ErrorHandler: retryablehttp.PassthroughErrorHandler,
	}
	return t, nil
}

// exchange is one call with all its attempts. It also contains the request and the
// answer, so that they need no allocations of their own.
type exchange struct {
	*call
	t        *transport
	sess     *session // nil if there is none
	id       string   // the session id in the request; an answer may set a new one
	attempts int
	wait     time.Duration // the wait before the next attempt
	sent     bool          // an attempt may have reached the appliance
	body     []byte
	location string // the target of a redirect
	last     error  // the error of the last attempt

	url     url.URL
	fields  http.Header // the headers of the request
	request retryablehttp.Request
	answer  answer
}

type exchangeKey struct{}

func exchangeOf(ctx context.Context) *exchange { return ctx.Value(exchangeKey{}).(*exchange) }

// do sends a call in a session, or without a session if sess is nil. It returns an *Error
// if the appliance refused the call, and a *TransportError if there was no usable answer.
func (t *transport) do(ctx context.Context, k *call, sess *session) (*answer, error) {
	x := &exchange{call: k, t: t, sess: sess}
	x.url = url.URL{Scheme: "https", Host: t.host, Path: "/api/" + k.path.Plain(), RawPath: "/api/" + k.path.Escaped, RawQuery: query.Encode(k.query)}
	req := blank.WithContext(context.WithValue(ctx, exchangeKey{}, x))
	req.Method, req.URL, req.Host = k.method, &x.url, t.host
	req.Header = http.Header{} // http.Client copies the headers; RoundTrip sets x.fields instead
	x.fields = make(http.Header, 5+len(k.header))
	x.fields["Accept"] = acceptJSON
	x.fields["Accept-Encoding"] = plainly
	for name, values := range k.header {
		x.fields[name] = values
	}
	x.fields["User-Agent"] = t.userAgent
	if sess != nil {
		pair := sess.cookie()
		x.id = strings.TrimPrefix(pair, sessionCookie+"=")
		x.fields["Cookie"] = []string{pair}
	}
	if err := x.ended(ctx); err != nil {
		return nil, x.fail(ctx, err)
	}
	rreq := &x.request
	rreq.Request = req
	if k.body != nil {
		x.fields["Content-Type"] = contentJSON
		if err := rreq.SetBody(k.body); err != nil {
			return nil, x.fail(ctx, err)
		}
	}
	if k.stream != nil {
		x.fields["Content-Type"] = []string{k.stream.contentType}
		if err := rreq.SetBody(retryablehttp.ReaderFunc(k.stream.open)); err != nil {
			return nil, x.fail(ctx, err)
		}
		// The retry library does not know the length of a body that a function returns.
		// Without a length, net/http would send the body in chunks, which the appliance
		// refuses.
		rreq.ContentLength = k.stream.length
	}
	rreq.SetResponseHandler(x.receive)
	resp, err := t.client.Do(rreq)
	if err != nil {
		return nil, x.fail(ctx, err)
	}
	return x.judge(resp, sess)
}

// blank is a template for requests. Copying it avoids parsing a URL.
var blank = &http.Request{Proto: "HTTP/1.1", ProtoMajor: 1, ProtoMinor: 1}

var (
	acceptJSON  = []string{"application/json"}
	contentJSON = []string{"application/json"}
	plainly     = []string{"identity"} // a compressed answer could expand to any size
)

// receive reads the body of an answer, or passes it to the sink. It returns an error if
// the body is too large.
func (x *exchange) receive(resp *http.Response) error {
	defer resp.Body.Close()
	if x.seen != nil {
		x.seen(resp.Header)
	}
	if resp.StatusCode < 200 {
		return nil // after status 101, the body is not an HTTP body
	}
	if encoding := resp.Header.Get("Content-Encoding"); encoding != "" && encoding != "identity" {
		if resp.StatusCode >= 300 {
			return nil // the status code is enough for an error
		}
		return unusable("the answer is compressed, although the client did not accept compression")
	}
	if x.sink != nil && resp.StatusCode == http.StatusOK && contentType(resp.Header) != "application/json" {
		return x.sink.deliver(resp)
	}
	if resp.ContentLength > maxAnswer {
		return unusable("the answer has a body of %d bytes, more than the limit of %d", resp.ContentLength, maxAnswer)
	}
	body, err := readAll(resp.Body, resp.ContentLength, x.space)
	x.body = bytes.TrimPrefix(body, []byte("\xef\xbb\xbf")) // some servers send a byte order mark
	if err != nil {
		return fmt.Errorf("the connection broke within the answer: %w", err)
	}
	if len(body) > maxAnswer {
		return unusable("the answer has a body of more than the limit of %d bytes", maxAnswer)
	}
	return nil
}

// readAll reads up to maxAnswer+1 bytes, into space or with one allocation if the length
// is known.
func readAll(r io.Reader, length int64, space []byte) ([]byte, error) {
	if length > 0 && length <= max(1<<20, int64(cap(space))) {
		body := space[:cap(space)]
		if int64(len(body)) < length {
			body = make([]byte, length)
		}
		n, err := io.ReadFull(r, body[:length])
		return body[:n], err
	}
	body := bytes.NewBuffer(space[:0])
	_, err := body.ReadFrom(io.LimitReader(r, maxAnswer+1))
	return body.Bytes(), err
}

// unusable makes an ErrBadAnswer with its reason.
func unusable(format string, args ...any) error {
	return fmt.Errorf("%w: %s", ErrBadAnswer, fmt.Sprintf(format, args...))
}

// unusable makes the error for an answer that reports success but cannot be used. It
// treats each string among the arguments as a text from the answer, which may contain a
// secret.
func (a *answer) unusable(format string, args ...any) error {
	if v := a.exchange.veil(); v.holds(string(a.body)) {
		for i, arg := range args {
			if text, ok := arg.(string); ok {
				args[i] = v.detail(text)
			}
		}
	}
	return a.exchange.failed(unusable(format, args...))
}

// checkRetry decides whether there is another attempt. The retry library calls it after
// each attempt, and again after the answer was read.
func checkRetry(ctx context.Context, resp *http.Response, err error) (bool, error) {
	x := exchangeOf(ctx)
	policy := &policies[x.class]
	if err != nil {
		x.last = withoutURL(err)
		notSent := neverSent(err)
		x.sent = x.sent || !notSent
		started := x.sink != nil && x.sink.done > 0 // a part of the download was already written
		var limit attempt.Timeout
		tooLong := x.class == classTry && errors.As(err, &limit)
		if x.ended(ctx) != nil || started || tooLong || permanent(err) || !notSent && !policy.broken {
			return false, nil
		}
		return x.again(ctx, 0), nil
	}
	x.sent = true
	for _, status := range policy.refusal {
		if resp.StatusCode == status {
			x.last = Status(status)
			return x.again(ctx, retryAfter(resp.Header)), nil
		}
	}
	return false, nil
}

// again sets a random wait before the next attempt. wish is the wait of a Retry-After
// header, or 0. again returns false if no attempt is left, if wish is too long, or if the
// caller's context would end during the wait. In the last case, the caller gets the last
// answer, which is more useful than the end of the context.
func (x *exchange) again(ctx context.Context, wish time.Duration) bool {
	retry := &x.t.retry
	if x.once || x.attempts >= retry.Attempts || wish > retry.MaxRetryAfter {
		return false
	}
	bound := min(retry.MinWait<<min(x.attempts-1, 20), retry.MaxWait)
	if bound > 0 {
		x.wait = rand.N(bound)
	}
	x.wait = max(x.wait, wish)
	if deadline, ok := ctx.Deadline(); ok && time.Until(deadline) <= x.wait {
		return false
	}
	return true
}

// pause waits before the next attempt. It replaces the wait of the retry library, whose
// error does not contain the error of the last attempt if the context ends.
func pause(req *http.Request) error {
	ctx := req.Context()
	x := exchangeOf(ctx)
	timer := time.NewTimer(x.wait)
	defer timer.Stop()
	var over <-chan struct{}
	if x.life != nil {
		over = x.life.Done()
	}
	select {
	case <-timer.C:
		return nil
	case <-ctx.Done():
	case <-over:
	case <-x.beginning():
	}
	return fmt.Errorf("%w while waiting to try again after: %w", x.ended(ctx), x.last)
}

// sleep waits for the time d. If the context ends first, it returns the reason.
func sleep(ctx context.Context, d time.Duration) error {
	timer := time.NewTimer(d)
	defer timer.Stop()
	select {
	case <-timer.C:
		return nil
	case <-ctx.Done():
		return ended(ctx)
	}
}

// retryAfter returns the wait in the Retry-After header, which is a number of seconds or
// a date. It returns 0 without a valid header.
func retryAfter(header http.Header) time.Duration {
	text := header.Get("Retry-After")
	if seconds, err := strconv.ParseUint(text, 10, 31); err == nil {
		return time.Duration(seconds) * time.Second
	} else if errors.Is(err, strconv.ErrRange) {
		return math.MaxInt64
	}
	if date, err := http.ParseTime(text); err == nil {
		return max(0, time.Until(date))
	}
	return 0
}

// fail makes the error of a call without an answer.
func (x *exchange) fail(ctx context.Context, err error) error {
	err = withoutURL(err)
	var writing errSink
	if errors.As(err, &writing) { // not an error of the connection
		return errorf("sps: %s: %s %s: %w", x.t.host, x.method, x.path.Text, writing)
	}
	if err == io.EOF {
		err = fmt.Errorf("the connection was closed without an answer: %w", err)
	}
	if cause := x.ended(ctx); cause != nil && !errors.Is(err, cause) {
		err = cause
	}
	return x.failed(x.t.certificateError(err))
}

// failed makes the error of a call without a usable answer.
func (x *exchange) failed(err error) error {
	return &TransportError{
		Host: x.t.host, Method: x.method, Path: x.path.Text, Attempts: x.attempts, Err: err, sent: x.sent,
		OutcomeUnknown: x.sent && !policies[x.class].lost.harmless(),
	}
}

// beginning returns a channel that is closed when no further attempt may start, or nil.
func (x *exchange) beginning() <-chan struct{} {
	if x.begin == nil {
		return nil
	}
	return x.begin.Done()
}

// ended returns the reason why the call must end, or nil.
func (x *exchange) ended(ctx context.Context) error {
	if x.begin != nil && !x.sent {
		if err := ended(x.begin); err != nil {
			return err
		}
	}
	if err := ended(ctx); err != nil || x.life == nil {
		return err
	}
	return ended(x.life)
}

// ended returns the reason why a context is done, or nil. The error wraps the caller's
// own cause and the error of package context, unless the SDK itself ended the context.
func ended(ctx context.Context) error {
	err, cause := ctx.Err(), context.Cause(ctx)
	switch {
	case err == nil, err == cause:
		return err
	case errors.Is(cause, ErrClosed), errors.Is(cause, ErrTransactionOver), errors.Is(cause, err):
		return cause
	}
	return fmt.Errorf("%w: %w", err, cause)
}

// withoutURL unwraps a *url.Error, whose text contains the query of the request.
func withoutURL(err error) error {
	var wrapped *url.Error
	if errors.As(err, &wrapped) {
		return wrapped.Err
	}
	return err
}

// judge returns the answer if it reports success, and otherwise an *Error. An answer with
// the member error is an error even if its status code is 200, because the status codes
// of some errors are not documented.
func (x *exchange) judge(resp *http.Response, sess *session) (*answer, error) {
	a := &x.answer
	*a = answer{status: resp.StatusCode, header: resp.Header, body: x.body, session: sess, exchange: x}
	failed := resp.StatusCode < 200 || resp.StatusCode >= 300 && (!x.redirect || resp.StatusCode >= 400)
	if sess != nil && resp.StatusCode != http.StatusUnauthorized {
		sess.refresh(resp.Header, x.t.host)
	}
	envelope, err := wire.Envelope{}, error(nil)
	if len(x.body) > 0 {
		envelope, err = wire.ParseGarbled(x.body)
	}
	if envelope.Error != nil || failed {
		e := newError(x.call, resp.StatusCode, envelope.Error, x.describe(resp), x.secrets()...)
		e.Host, e.Attempts, e.RetryAfter = x.t.host, x.attempts, retryAfter(resp.Header)
		e.OutcomeUnknown = !policies[x.class].lost.harmless() && e.mayBeExecuted()
		return nil, e
	}
	switch {
	case err != nil && !x.raw:
		if kind := contentType(resp.Header); kind != "" && kind != "application/json" {
			return nil, a.unusable("the answer is not JSON but %s%s: is this the address of an SPS appliance?", words(x.veil().mediaType(resp.Header)), words(x.foreignWords()))
		}
		return nil, a.unusable("the answer is not a valid JSON object: %s", oneLine(err.Error(), 200))
	}
	a.Envelope = envelope
	return a, nil
}

// secrets returns the secrets that an answer might repeat and that an error must not
// show.
func (x *exchange) secrets() []string {
	secrets := make([]string, 0, 8)
	for _, secret := range x.secret {
		secrets = append(secrets, secret.ExposeString())
	}
	if x.sess != nil {
		for _, hidden := range x.sess.hidden {
			secrets = append(secrets, hidden.ExposeString())
		}
		if said := x.sess.said.Load(); said != nil {
			for _, hidden := range *said {
				secrets = append(secrets, hidden.ExposeString())
			}
		}
		secrets = append(secrets, x.id, strings.TrimPrefix(x.sess.cookie(), sessionCookie+"="))
	}
	return secrets
}

// describe returns a text for an error about an answer without the member error.
func (x *exchange) describe(resp *http.Response) string {
	if wait := retryAfter(resp.Header); wait > 0 {
		return fmt.Sprintf("the appliance asks to wait for %s", wait.Round(time.Second))
	}
	if x.location != "" {
		return "a redirect to " + x.place() + ", which is not followed"
	}
	body := x.body
	if len(body) == 0 {
		return "without a body"
	}
	if kind := contentType(resp.Header); kind != "application/json" {
		return fmt.Sprintf("not an error of the API but %d bytes of %s", len(body), x.veil().mediaType(resp.Header)) + x.foreignWords()
	}
	return "without an error member" + x.foreignWords()
}

// place returns the host of a redirect as a text for an error.
func (x *exchange) place() string {
	u, err := url.Parse(x.location)
	switch {
	case err != nil || u.Hostname() == "":
		return "another place"
	case u.Host != x.t.host && x.veil().holds(x.location):
		return "a place " + kindNotShown
	}
	return oneLine(u.Host, 100)
}

func contentType(header http.Header) string {
	kind, _, err := mime.ParseMediaType(header.Get("Content-Type"))
	if err != nil {
		return ""
	}
	return kind
}

// attempts is the innermost RoundTripper of the SDK. It limits the time of each attempt
// and logs it. It does not have the method CloseIdleConnections, because the retry
// library would call it after each failed call.
type attempts struct {
	t    *transport
	next http.RoundTripper
}

func (a attempts) RoundTrip(req *http.Request) (*http.Response, error) {
	ctx := req.Context()
	x := exchangeOf(ctx)
	x.attempts++
	limit := policies[x.class].limit(&a.t.timeouts)
	var bound context.Context
	var cancel context.CancelFunc
	var dog *attempt.Watchdog
	switch {
	case x.stream != nil || x.sink != nil:
		bound, dog, cancel = attempt.Watch(ctx, limit, a.t.timeouts.Action)
	case limit > 0:
		bound, cancel = context.WithTimeoutCause(ctx, limit, attempt.Timeout(limit))
	default:
		bound, cancel = context.WithCancel(ctx)
	}
	if x.life != nil {
		end, stop := cancel, context.AfterFunc(x.life, cancel)
		cancel = func() { stop(); end() }
	}
	var way *approach
	if !policies[x.class].broken || x.attempts > 1 {
		way = &approach{}
		bound = way.traced(bound, req.Method == http.MethodGet)
	}
	single := a.t.retry.Attempts == 1 || x.class == classCode
	if !policies[x.class].broken || single {
		a.t.freshen()
	}
	req = req.WithContext(bound)
	req.Header = x.fields
	if single && req.Body == nil && req.Method == http.MethodGet {
		req.Body = unrepeatable{}
	}
	if x.stream != nil {
		req.Body = &attempt.Watched{ReadCloser: req.Body, Dog: dog}
	}
	start := time.Now()
	resp, err := a.next.RoundTrip(req)
	if err == nil && resp == nil {
		err = errors.New("the RoundTripper of WithTransport returned neither an answer nor an error")
	}
	if err != nil {
		err = x.hide(ctx, x.cause(ctx, bound, err))
		if way.unsent() {
			err = way.explained(err, a.t.proxy(req))
		}
		cancel()
		a.log(ctx, x, 0, time.Since(start), err)
		return nil, err
	}
	a.log(ctx, x, resp.StatusCode, time.Since(start), nil)
	// Remove the header Location of a redirect. http.Client would parse it and, if it is
	// invalid, quote it in an error.
	if x.location = resp.Header.Get("Location"); resp.StatusCode >= 300 && resp.StatusCode < 400 {
		resp.Header = resp.Header.Clone()
		resp.Header.Del("Location")
	}
	if resp.Body == nil {
		resp.Body = http.NoBody
	}
	if x.sink != nil {
		resp.Body = &attempt.Watched{ReadCloser: resp.Body, Dog: dog}
	}
	resp.Body = &limitedBody{resp.Body, x, ctx, bound, cancel}
	return resp, nil
}

// unrepeatable is an empty body of a GET. If a reused connection breaks, net/http repeats a
// GET by itself, but not one with a body that it cannot read again. net/http reads the body
// of a GET before it writes the header, and sends an empty body as no body. It would send
// the body of a POST or a PUT in chunks, which the appliance refuses. net/http does not
// repeat a POST, a PUT or a DELETE that it has sent.
type unrepeatable struct{}

func (unrepeatable) Read([]byte) (int, error) { return 0, io.EOF }

func (unrepeatable) Close() error { return nil }

// cause returns the reason why an attempt failed: the time limit or the end of the client
// if one of them ended the attempt, and otherwise err.
func (x *exchange) cause(caller, bound context.Context, err error) error {
	switch {
	case caller.Err() != nil || bound.Err() == nil:
		return err
	case x.life != nil && x.life.Err() != nil:
		return ended(x.life)
	}
	return context.Cause(bound)
}

// limitedBody is the body of an answer. Its Close ends the time limit of the attempt,
// which also applies while the body is read.
type limitedBody struct {
	io.ReadCloser
	x             *exchange
	caller, bound context.Context
	cancel        context.CancelFunc
}

func (b *limitedBody) Read(p []byte) (int, error) {
	n, err := b.ReadCloser.Read(p)
	if err != nil && err != io.EOF {
		err = b.x.hide(b.caller, b.x.cause(b.caller, b.bound, err))
	}
	return n, err
}

func (b *limitedBody) Close() error {
	err := b.ReadCloser.Close()
	b.x.t.touch()
	b.cancel()
	return err
}

// log writes the log record of one attempt. The record contains only the attributes in
// list.
func (a attempts) log(ctx context.Context, x *exchange, status int, took time.Duration, err error) {
	if a.t.logger == nil {
		return
	}
	level := slog.LevelDebug
	if err != nil || status >= 500 {
		level = slog.LevelWarn
	}
	if !a.t.logger.Enabled(ctx, level) {
		return
	}
	list := []slog.Attr{
		slog.String("host", a.t.host),
		slog.String("method", x.method),
		slog.String("path", x.path.Text),
		slog.Int("attempt", x.attempts),
		slog.Duration("duration", took),
	}
	if len(x.query) > 0 {
		names := make([]string, 0, len(x.query))
		for name := range x.query {
			names = append(names, name)
		}
		list = append(list, slog.String("query", strings.Join(names, ",")))
	}
	if err != nil {
		list = append(list, slog.String("error", oneLine(a.t.certificateError(err).Error(), 1200)))
	} else {
		list = append(list, slog.Int("status", status))
	}
	a.t.logger.LogAttrs(ctx, level, "sps request", list...)
}

// foreignWords returns a quotation from an answer that is not from the API, for the text
// of an error: the title of an HTML page, or a message at the beginning. The client does
// not use it for decisions.
func (x *exchange) foreignWords() string {
	text := foreign.Words(x.body)
	switch {
	case text == "":
		return ""
	case x.veil().holds(text):
		return ": " + notShown
	}
	return ": " + strconv.Quote(oneLine(text, 200))
}

// progressStep is the number of bytes between two progress reports.
const progressStep = 1 << 20
