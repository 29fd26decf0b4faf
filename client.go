package sps

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"os"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/go-sps/sps/internal/wire"
)

// Client sends requests to one appliance. It is safe for concurrent use. Create a Client
// with [Connect] or [NewClient], and call [Client.Close] when you no longer need it.
//
// Use the fields and methods of the client to read. Use [Client.Transaction] to write the
// configuration. By default, a client reads in one session of the appliance, and its
// first transaction opens a second session for writes. Reads outside of a transaction
// therefore do not return uncommitted changes. [WithOneSession] makes the client use one
// session for both.
type Client struct {
	// Alerting reads which alerts the appliance sends, and how it sends them
	// (configuration/alerting).
	Alerting Alerting
	// Audit reads the recorded sessions (audit).
	Audit Audit
	// Cluster reads the state of a cluster (cluster).
	Cluster Cluster
	// Firmware uploads and tests firmware images and upgrades the appliance (firmware).
	Firmware Firmware
	// Management reads the settings for the disk, mail and SNMP
	// (configuration/management).
	Management Management
	// Starling joins the appliance to One Identity Starling and unjoins it (starling). It
	// also reads configuration/starling.
	Starling Starling
	// Troubleshooting creates support bundles (troubleshooting).
	Troubleshooting Troubleshooting
	// TrustStores reads the trust stores, which hold the certificate authorities that the
	// appliance trusts (configuration/trust_stores).
	TrustStores Collection[TrustStore]

	transport *transport
	logins    *logins
	reading   *sessions // the session for calls outside of transactions
	writing   *sessions // the session for transactions; not used if the client has only one session

	// life is the context of the client. Close cancels it, which cancels all running
	// calls.
	life context.Context
	end  context.CancelCauseFunc

	turn chan struct{} // a lock: held by a running transaction, or by a call that excludes transactions
	mu   sync.Mutex
	open *Transaction  // the running transaction, which Close rolls back
	held time.Duration // how long the last transaction held the configuration lock
	free time.Time     // when the last transaction released the configuration lock

	clean      cleanup
	background sync.WaitGroup // the goroutines that clean up in the background

	closing  sync.Once
	closed   chan struct{} // closed at the start of Close
	closeErr error
}

// Connect logs in to an appliance and returns a client. The host is a name or an IP
// address. Add the port if it is not 443. Examples are "sps1.example.com",
// "10.0.0.5:8443" and "[2001:db8::5]:443". Do not add a scheme: the client uses HTTPS.
//
// The errors are:
//   - [AuthenticationFailure]: the user name or the password is wrong.
//   - [CertificateError]: the client does not trust the appliance's certificate.
//   - [TransportError]: the appliance cannot be reached.
//   - [ErrInvalidInput]: an argument is invalid.
//
// If ctx is done before the call, Connect sends nothing. If ctx ends during the login,
// Connect returns at once; if the login still succeeds, the client logs out in the
// background.
//
// If the session expires later, the client logs in again, once for all goroutines. If the
// appliance refuses this login, the client does not send the same password again, because
// that might lock the account. From then on, calls that need a login return the error of
// the refused login. [Client.Err] returns it without a request. Use [PasswordFunc] if the
// password may change. Use [WithLoginRetry] to send the same password again after some
// time.
func Connect(ctx context.Context, host string, credential Credential, options ...Option) (*Client, error) {
	c, err := prepare(ctx, host, credential, options)
	if err != nil {
		return nil, err
	}
	if ctx.Err() != nil {
		return nil, fmt.Errorf("sps: %s: connect: %w", c.transport.host, ended(ctx))
	}
	if _, err := c.reading.get(ctx, nil); err != nil {
		var refused *refusedLogin
		if errors.As(err, &refused) {
			err = refused.err // without the text about the next login: this client does not log in again
		}
		if ctx.Err() == nil {
			c.Close(ctx)
			return nil, err
		}
		go func() { // the login continues; log out if it succeeds
			time.AfterFunc(connectGrace, func() { c.reading.giveUp() })
			c.Close(ctx)
		}()
		return nil, err
	}
	return c, nil
}

// NewClient returns a client without sending a request; the first call logs in. Use
// NewClient, together with [Client.WaitReady], in programs that may start before the
// appliance. It takes the same arguments as [Connect] and returns [ErrInvalidInput] if
// one of them is invalid. If the password is wrong, the certificate is not trusted or the
// appliance cannot be reached, the first call fails. The next call tries to log in again,
// unless the appliance refused the login: see [Client.Err].
func NewClient(host string, credential Credential, options ...Option) (*Client, error) {
	return prepare(context.Background(), host, credential, options)
}

// prepare makes a client without sending a request.
func prepare(ctx context.Context, host string, credential Credential, options []Option) (*Client, error) {
	address, err := parseHost(host)
	if err != nil {
		return nil, err
	}
	o, err := newConfig(options)
	if err != nil {
		return nil, err
	}
	if credential == nil {
		return nil, fmt.Errorf("sps: connect: %w", invalid("no credential: pass one such as UsernamePassword"))
	}
	cred := credential.credential()
	if cred.invalid != nil {
		return nil, fmt.Errorf("sps: connect: %w", cred.invalid)
	}
	o.clientCertificate = cred.certificate
	o.warn(ctx, address)
	c, err := newClient(address, o, cred)
	if err != nil {
		return nil, err
	}
	if !cred.existing.IsZero() {
		c.reading.current = newSession(cred.existing.ExposeString(), nil)
	}
	return c, nil
}

func newClient(address string, o *config, cred *credential) (*Client, error) {
	t, err := newTransport(address, o)
	if err != nil {
		return nil, err
	}
	c := &Client{transport: t, turn: make(chan struct{}, 1), closed: make(chan struct{})}
	c.clean.sweeping = make(chan struct{}, 1)
	c.life, c.end = context.WithCancelCause(context.Background())
	c.logins = &logins{
		transport: c.transport, credential: cred, life: c.life, one: make(chan struct{}, 1),
		single: o.oneSession || !cred.existing.IsZero(), every: o.loginEvery,
	}
	c.logins.unused = c.endUnused
	c.reading = &sessions{logins: c.logins}
	c.writing = &sessions{logins: c.logins, reading: c.reading}
	c.Audit = newAudit(c)
	c.Alerting = newAlerting(c)
	c.Cluster = Cluster{c}
	c.Firmware = newFirmware(c)
	c.Management = newManagement(c)
	c.Starling = newStarling(c)
	c.Troubleshooting = Troubleshooting{SupportBundles{c}}
	c.TrustStores = trustStores.collection(c)
	return c, nil
}

// connectGrace is how long the login may continue in the background if the context of
// Connect ends. If the login succeeds within this time, the client logs out.
const connectGrace = 3 * time.Second

// ConnectFromEnv calls [Connect] with settings from environment variables. SPS_HOST,
// SPS_USERNAME and SPS_PASSWORD are required. SPS_LOGIN_METHOD, SPS_CA_BUNDLE (the name
// of a PEM file) and SPS_FINGERPRINT (SHA-256 fingerprints, separated by commas) are
// optional. ConnectFromEnv applies these settings first, then options.
func ConnectFromEnv(ctx context.Context, options ...Option) (*Client, error) {
	var missing []string
	for _, name := range []string{"SPS_HOST", "SPS_USERNAME", "SPS_PASSWORD"} {
		if os.Getenv(name) == "" {
			missing = append(missing, name)
		}
	}
	if missing != nil {
		return nil, fmt.Errorf("sps: connect: %w", invalid("these environment variables are not set: %s", strings.Join(missing, ", ")))
	}
	var fromEnv []Option
	if file := os.Getenv("SPS_CA_BUNDLE"); file != "" {
		pem, err := os.ReadFile(file)
		if err != nil {
			return nil, fmt.Errorf("sps: connect: %w: SPS_CA_BUNDLE: %w", ErrInvalidInput, err)
		}
		fromEnv = append(fromEnv, WithCABundle(pem))
	}
	if pins := os.Getenv("SPS_FINGERPRINT"); pins != "" {
		fromEnv = append(fromEnv, WithPinnedCertificates(strings.Split(pins, ",")...))
	}
	var method []CredentialOption
	if name := os.Getenv("SPS_LOGIN_METHOD"); name != "" {
		method = append(method, WithLoginMethod(name))
	}
	credential := UsernamePassword(os.Getenv("SPS_USERNAME"), NewSecretString(os.Getenv("SPS_PASSWORD")), method...)
	return Connect(ctx, os.Getenv("SPS_HOST"), credential, append(fromEnv, options...)...)
}

// made returns an error if the client is nil or a zero value.
func (c *Client) made() error {
	if c == nil || c.transport == nil {
		return fmt.Errorf("sps: %w", invalid("this client is nil or a zero value: make one with Connect or NewClient"))
	}
	return nil
}

// Host returns the host that the client connects to, with the port if it is not 443. It
// returns "" for a nil client and for the zero value.
func (c *Client) Host() string {
	if c.made() != nil {
		return ""
	}
	return c.transport.host
}

// String returns a text with the host of the client. The text contains nothing about the
// session.
func (c *Client) String() string { return "sps.Client(" + c.Host() + ")" }

// Err returns the reason why no further call can succeed, or nil. The reasons are:
//   - [ErrClosed]: [Client.Close] was called.
//   - The error of a refused login, if the client does not log in again by itself. See
//     [PasswordFunc] and [WithLoginRetry].
//   - [Unauthenticated]: an [ExistingSession] has expired.
//
// Err sends no request. If a session has ended, Err returns nil until a call has failed
// for that reason.
func (c *Client) Err() error {
	if err := c.made(); err != nil {
		return err
	}
	select {
	case <-c.closed:
		return fmt.Errorf("sps: %s: %w", c.transport.host, ErrClosed)
	default:
		return c.logins.dead(c.reading, c.writing)
	}
}

// Close rolls back an open transaction, ends running calls with [ErrClosed], and logs
// out. It does not log out of an [ExistingSession]. Close takes at most [Timeouts].Close,
// plus one second for the log-out if a rollback has used all of that time. A commit that
// was already sent may use half of the time to finish. If ctx ends while Close runs,
// Close stops. If ctx is already done, for example after a signal, Close ignores ctx.
//
// The error says what Close could not clean up. If the log-out fails, the session remains
// on the appliance until it times out. If a transaction is open in that session, the
// configuration remains locked until then. Further calls of Close return the same error.
func (c *Client) Close(ctx context.Context) error {
	if err := c.made(); err != nil {
		return err
	}
	c.closing.Do(func() {
		close(c.closed)
		c.closeErr = c.close(ctx)
	})
	return c.closeErr
}

// closeGrace is the additional time that Close has for the log-out if the end of a
// transaction has used all of Timeouts.Close.
const closeGrace = 900 * time.Millisecond

// closeDeadline returns the time by which Close must be done. It deducts the time that
// the cleanup of a transaction has just used.
func (c *Client) closeDeadline() time.Time {
	limit := c.transport.timeouts.Close
	now := time.Now()
	c.clean.mu.Lock()
	defer c.clean.mu.Unlock()
	if c.clean.began.IsZero() || now.Sub(c.clean.ended) >= limit {
		return now.Add(limit)
	}
	deadline := c.clean.began.Add(limit)
	if least := now.Add(closeGrace); deadline.Before(least) {
		return least
	}
	return deadline
}

// whileAlive returns the context for Close. If ctx is already done, the returned context
// ignores ctx. Otherwise it ends when ctx ends, unless Close itself has ended ctx. Close
// ends ctx if ctx is the context of a transaction's function.
func whileAlive(ctx context.Context) (context.Context, context.CancelFunc) {
	own, cancel := context.WithCancel(context.WithoutCancel(ctx))
	if ctx.Err() != nil {
		return own, cancel
	}
	stop := context.AfterFunc(ctx, func() {
		if cause := context.Cause(ctx); !errors.Is(cause, ErrClosed) && !errors.Is(cause, ErrTransactionOver) {
			cancel()
		}
	})
	release := func() {
		stop()
		cancel()
	}
	deadline, ok := ctx.Deadline()
	if !ok {
		return own, release
	}
	bound, end := context.WithDeadline(own, deadline)
	return bound, func() {
		end()
		release()
	}
}

func (c *Client) close(ctx context.Context) error {
	ctx, release := whileAlive(ctx)
	defer release()
	bound, cancel := context.WithDeadline(ctx, c.closeDeadline())
	defer cancel()
	defer c.transport.base.CloseIdleConnections()
	c.mu.Lock()
	open := c.open
	c.mu.Unlock()
	var errs []error
	if open != nil {
		if err := open.abort(bound); err != nil {
			errs = append(errs, err)
		}
		if bound.Err() != nil {
			var grace context.CancelFunc
			bound, grace = context.WithTimeout(ctx, closeGrace)
			defer grace()
		}
	}
	c.clean.mu.Lock()
	c.end(ErrClosed) // from here on, no background work starts
	c.clean.mu.Unlock()
	half, halved := halfOf(bound) // the other half is for the log-outs
	left, late := c.logins.close(half, bound, c.reading, c.writing)
	halved()
	if late != nil {
		errs = append(errs, late)
	}
	c.settled(bound)
	errs = append(errs, c.endAll(bound, left)...)
	if len(errs) > 0 {
		return joined("sps: "+c.transport.host+": close", errs)
	}
	return nil
}

// settled waits until the background work has ended or ctx is done.
func (c *Client) settled(ctx context.Context) {
	done := make(chan struct{})
	go func() {
		defer close(done)
		c.background.Wait()
	}()
	select {
	case <-done:
	case <-ctx.Done():
	}
}

// endAll ends the remaining sessions concurrently and returns the errors.
func (c *Client) endAll(ctx context.Context, left []*session) (errs []error) {
	c.clean.mu.Lock()
	remnants := slices.Clone(c.clean.remnants)
	dirty := c.clean.dirty
	c.clean.mu.Unlock()
	for _, s := range left {
		remnants = append(remnants, &remnant{session: s, open: s == dirty})
	}
	results := make([]error, len(remnants)+1) // the last element is for an ExistingSession
	var all sync.WaitGroup
	for i, r := range remnants {
		switch {
		case r.hung: // the last attempt has used all of its time, so another one would too
			results[i] = r.unended()
		default:
			all.Go(func() {
				if c.tryEnd(ctx, r) != nil {
					results[i] = r.unended()
				}
			})
		}
	}
	if dirty != nil && !c.logins.renewable() {
		all.Go(func() { results[len(remnants)] = c.scourSession(ctx, dirty) })
	}
	all.Wait()
	return slices.DeleteFunc(results, func(err error) bool { return err == nil })
}

// unended makes the error about a session that could not be ended. It says when the
// session will end by itself.
func (r *remnant) unended() error {
	if r.open {
		return errorf("%w (its transaction may be open and hold the lock%s)", r.err, r.session.endsIn())
	}
	ends := "when it times out"
	if left := r.session.remaining(); left > 0 {
		ends = fmt.Sprintf("in %s if nobody uses it", left.Round(time.Second))
	}
	return errorf("%w (the session is not logged out; it ends %s)", r.err, ends)
}

// call sends a call outside of a transaction, in the reading session. If that session has
// expired, call renews it once for all callers and repeats the request. The repetition is
// safe, because status 401 means that the appliance has not executed the request.
func (c *Client) call(ctx context.Context, k *call) (*answer, error) {
	if err := c.made(); err != nil {
		return nil, err
	}
	if err := c.scour(ctx); err != nil {
		return nil, err
	}
	defer c.sweepBeside(ctx)()
	k.life = c.life
	return c.renewing(ctx, k, c.life)
}

// renewing sends a call in the reading session and renews that session at most once. life
// limits the wait for a login, in addition to ctx.
func (c *Client) renewing(ctx context.Context, k *call, life context.Context) (*answer, error) {
	s, err := c.reading.until(ctx, life, nil)
	if err != nil {
		return nil, c.sessionOver(k, err)
	}
	a, err := c.transport.do(ctx, k, s)
	if !expired(k, a, err) {
		return a, err
	}
	old := s
	s, renewal := c.reading.until(ctx, life, old)
	if errors.Is(renewal, errExpiredExisting) {
		return nil, c.stillExpired(k, err, renewal)
	}
	if renewal != nil {
		return nil, because(errors.New("the session has expired and could not be renewed"), renewal)
	}
	a, err = c.transport.do(ctx, k, s)
	if expired(k, a, err) {
		if a != nil { // in both sessions, GET info returned the response for callers without a session: the old session may still exist
			c.endUnused(ctx, old)
		}
		return nil, c.stillExpired(k, err, errors.New("the appliance treats a new session as expired"))
	}
	return a, err
}

// writeSession returns the session for transactions. If stale is the current session, it
// logs in again. If the client has only one session, it returns the reading session.
func (c *Client) writeSession(ctx context.Context, stale *session) (*session, error) {
	if c.logins.separate() {
		s, err := c.writing.get(ctx, stale)
		if err == nil || c.logins.separate() {
			return s, err
		}
	}
	return c.reading.get(ctx, stale)
}

// present returns the session for transactions, or nil if there is none.
func (c *Client) present() *session {
	if c.logins.separate() {
		return c.writing.now()
	}
	return c.reading.now()
}

// stillExpired makes the [Unauthenticated] error of a call whose session has expired and
// cannot be renewed. err is the refusal of the appliance. It is nil if GET info returned
// the response for callers without a session, or if the client has sent nothing. why is
// the reason why the session cannot be renewed.
func (c *Client) stillExpired(k *call, err, why error) error {
	e := &Error{
		Status: http.StatusUnauthorized, Type: Unauthenticated, Message: strings.TrimSuffix(plain(why), ": "+Unauthenticated.Error()), Attempts: 1, over: why == errExpiredExisting,
		Host: c.transport.host, Method: k.method, Path: k.path.Text, Detail: &UnauthenticatedDetails{k.path.Text},
	}
	var refused *Error
	if errors.As(err, &refused) {
		e.Details, e.Attempts, e.RetryAfter = refused.Details, refused.Attempts, refused.RetryAfter
		if refused.Message != "" {
			e.Message = refused.Message + " (" + e.Message + ")"
		}
	}
	return e
}

// sessionOver converts errExpiredExisting to the error of stillExpired. It returns other
// errors unchanged.
func (c *Client) sessionOver(k *call, err error) error {
	if !errors.Is(err, errExpiredExisting) {
		return err
	}
	e := c.stillExpired(k, nil, errExpiredExisting)
	e.(*Error).Attempts = 0
	return e
}

// merge returns a context that ends when one of the two contexts ends.
func merge(ctx, other context.Context) (context.Context, context.CancelFunc) {
	ctx, cancel := context.WithCancelCause(ctx)
	stop := context.AfterFunc(other, func() { cancel(context.Cause(other)) })
	return ctx, func() {
		stop()
		cancel(nil)
	}
}

// Response is the response to [Client.Invoke] or [Transaction.Invoke].
type Response struct {
	// StatusCode is the HTTP status code, 200 to 299.
	StatusCode int
	// Header has the headers of the response, except Set-Cookie.
	Header http.Header
	// Body is the response body without a byte order mark, at most 32 MiB. Unless
	// [WithHeader] has set Accept, the body is empty or valid JSON. The strings in it may
	// contain invalid UTF-8 or half of a surrogate pair.
	Body []byte
}

// Decode decodes the whole body, including its envelope, into v. Member names are
// case-sensitive, so give the fields of a struct json tags. Decode returns [ErrBadAnswer]
// for duplicate names, invalid UTF-8 and values that do not fit into v. It ignores
// unknown members.
func (r *Response) Decode(v any) error {
	if err := wire.Unmarshal(r.Body, v); err != nil {
		return fmt.Errorf("sps: %w", unusable("%s", oneLine(err.Error(), 200)))
	}
	return nil
}

func newResponse(a *answer) *Response {
	header := a.header.Clone()
	header.Del("Set-Cookie")
	return &Response{StatusCode: a.status, Header: header, Body: a.body}
}

// RequestOption is an option of [Client.Invoke], [Transaction.Invoke], [Client.Download]
// and the list methods: [WithQuery] or [WithHeader]. An invalid option makes the call
// fail with [ErrInvalidInput]. A nil option does nothing.
type RequestOption func(*call) error

func (o RequestOption) applyDownload(k *call) error { return k.apply([]RequestOption{o}) }

// DownloadOption is an option of [Client.Download]: [WithProgress] or a [RequestOption].
type DownloadOption interface{ applyDownload(*call) error }

func (o ProgressOption) applyDownload(k *call) error {
	start := time.Now()
	k.sink.moved = func(done, total int64) { o.report(transferred(done, total, start)) }
	return nil
}

// WithQuery adds a query parameter. Do not escape the value; the client escapes it.
func WithQuery(name, value string) RequestOption {
	return func(k *call) error {
		k.query.Add(name, value)
		return nil
	}
}

// WithHeader sets a request header. The option is invalid for headers that the SDK
// controls, such as Authorization, Cookie, Content-Length, User-Agent and
// X-Method-Override. If you set Accept to a type other than application/json, the call
// also accepts a response that is not JSON.
func WithHeader(name, value string) RequestOption {
	return func(k *call) error {
		name = http.CanonicalHeaderKey(name)
		if slices.Contains(reservedHeaders, name) || strings.HasPrefix(name, "X-Http-Method") || strings.HasPrefix(name, "Proxy-") {
			return invalid("the header %s is reserved", quoted(name))
		}
		if strings.Trim(name, "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-") != "" || name == "" ||
			strings.ContainsFunc(value, func(r rune) bool { return r < ' ' || r == 0x7f }) {
			return invalid("the header %s or its value has characters that are not allowed in a header", quoted(name))
		}
		if name == "Accept" {
			k.raw = value != "application/json"
		}
		k.header.Set(name, value)
		return nil
	}
}

var reservedHeaders = []string{
	"Accept-Encoding", "Authorization", "Connection", "Content-Length", "Content-Type", "Cookie", "Expect", "Host", "Te", "Trailer",
	"Transfer-Encoding", "Upgrade", "User-Agent", "X-Method-Override", "X-Token",
	// net/http may repeat a POST that has one of these headers.
	"Idempotency-Key", "X-Idempotency-Key",
}

// Invoke sends a request to an endpoint for which the SDK has no field or method.
// Sessions, retries and errors work as in the other methods. The path is relative to
// /api/, or a link from a response ("/api/firmware/slots/2"). Escape it as in a URL:
// write a slash within a key as %2F. If body is nil, the request has no body. A []byte or
// a json.RawMessage is sent unchanged. Any other value is encoded as JSON; a json.Number
// is encoded as a number.
//
// Invoke returns [ErrTransactionOnly] and sends nothing for writes to configuration/, to
// acl/, to some parts of cluster/, and to transaction/. Use [Client.Transaction] to open
// and commit a transaction, and [Transaction.Invoke] for the other writes. The appliance
// refuses a POST to starling/join while a transaction is open. Invoke therefore waits
// until the client's own transaction has ended before it sends this request. Inside the
// function of a transaction, it returns [ErrNested] instead.
//
// Invoke does not repeat a POST that the appliance may have executed. If the response to
// a write is lost, Invoke returns [ErrOutcomeUnknown]. It does not look for the outcome,
// because it does not know what the request does.
func (c *Client) Invoke(ctx context.Context, method, path string, body any, options ...RequestOption) (*Response, error) {
	if err := c.made(); err != nil {
		return nil, err
	}
	k, err := newInvocation(method, path, body, options)
	if err != nil {
		return nil, c.at(err)
	}
	if k.method != http.MethodGet {
		switch {
		case guarded(k.path):
			return nil, c.fail(k.method+" "+k.path.Text, fmt.Errorf("%w: use Client.Transaction", ErrTransactionOnly))
		case strings.EqualFold(k.path.Text, authenticationPath.Text):
			return nil, c.fail(k.method+" "+k.path.Text, invalid("use Client.Close to log out"))
		}
	}
	if k.method != http.MethodGet && k.path.Below(alone...) {
		release, err := c.alone(ctx, k.method+" "+k.path.Text)
		if err != nil {
			return nil, err
		}
		defer release()
	}
	a, err := c.get(ctx, k)
	if err != nil {
		return nil, c.settle(ctx, k, err, witness{})
	}
	return newResponse(a), nil
}

// Download reads an endpoint that returns a file, such as a support bundle or an audit
// trail. It writes the file to w while it arrives, so it needs little memory, and returns
// the number of bytes written. The path and the request options are those of
// [Client.Invoke]. Use [WithProgress] to receive progress reports. Download has no total
// time limit. It fails if no data arrives for [Timeouts].Stall.
//
// Download retries a failed request only if it has not written anything to w yet. If the
// response is JSON instead of a file, Download returns the [Error] in it, or
// [ErrBadAnswer].
func (c *Client) Download(ctx context.Context, path string, w io.Writer, options ...DownloadOption) (int64, error) {
	if err := c.made(); err != nil {
		return 0, err
	}
	k, err := newInvocation(http.MethodGet, path, nil, nil)
	if err != nil {
		return 0, c.at(err)
	}
	k.class, k.sink = classDownload, &sink{w: w, moved: func(int64, int64) {}}
	for option := range given(options) {
		if err := option.applyDownload(k); err != nil {
			return 0, c.at(err)
		}
	}
	if k.header.Get("Accept") == "" {
		k.header.Set("Accept", "application/octet-stream")
	}
	a, err := c.call(ctx, k)
	if err != nil {
		return k.sink.done, err
	}
	if len(a.body) > 0 || a.status != http.StatusOK {
		return k.sink.done, a.unusable("the answer is JSON, not a file: use Invoke")
	}
	return k.sink.done, nil
}

func newInvocation(method, path string, body any, options []RequestOption) (*call, error) {
	p, query, err := parseLink(path)
	if err != nil {
		return nil, err
	}
	k := &call{path: p, query: query, header: http.Header{}}
	switch method {
	case http.MethodGet:
		k.class = newRead(p, nil).class
	case http.MethodPut, http.MethodDelete:
		k.class = classWrite
	case http.MethodPost:
		k.class = classInvoke
	default:
		return nil, fmt.Errorf("sps: %w", invalid("method %s: use GET, POST, PUT or DELETE", quoted(method)))
	}
	k.method = method
	if k.body, k.secret, err = encode(body); err != nil {
		return nil, err
	}
	if k.body != nil && k.method == http.MethodGet {
		return nil, fmt.Errorf("sps: %w", invalid("a GET has no body"))
	}
	if err := k.apply(options); err != nil {
		return nil, err
	}
	return k, nil
}

// apply applies the options to a call.
func (k *call) apply(options []RequestOption) error {
	for option := range given(options) {
		if err := option(k); err != nil {
			return fmt.Errorf("sps: %w", err)
		}
	}
	return nil
}
