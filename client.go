package sps

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/netip"
	"os"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/go-sps/sps/internal/wire"
)

// Client talks to one appliance. It is safe for any number of goroutines. Make one
// with [Connect] or [NewClient] and end it with [Client.Close].
//
// Read through the client's fields and methods; write the configuration in a
// [Client.Transaction]. A client reads in one session of the appliance and writes in
// another one, which its first write opens: nobody reads changes of a transaction that
// is not committed. [WithOneSession] puts both into one session.
type Client struct {
	// Alerting reads which alerts are sent where, configuration/alerting.
	Alerting Alerting
	// Audit reads what the appliance recorded, audit.
	Audit Audit
	// Cluster reads the state of a cluster, cluster.
	Cluster Cluster
	// Firmware tests, uploads and upgrades the firmware, firmware.
	Firmware Firmware
	// Management reads the settings for the disk, mail and SNMP, configuration/management.
	Management Management
	// Starling joins the appliance to Starling and takes it out, starling, and reads
	// configuration/starling.
	Starling Starling
	// Troubleshooting makes files for the vendor's support, troubleshooting.
	Troubleshooting Troubleshooting
	// TrustStores reads the authorities that the appliance trusts,
	// configuration/trust_stores.
	TrustStores Collection[TrustStore]

	transport *transport
	logins    *logins
	reading   *sessions // for everything but transactions
	writing   *sessions // for transactions; reading, where there is one session for both

	// life ends with Close, and with it every call under way.
	life context.Context
	end  context.CancelCauseFunc

	turn chan struct{} // held by whoever has, or must not have, a transaction
	mu   sync.Mutex
	open *Transaction  // the running transaction, for Close
	held time.Duration // how long the last transaction held the lock
	free time.Time     // when it let go of it

	clean      cleanup
	background sync.WaitGroup // what runs beside the calls

	closing  sync.Once
	closed   chan struct{} // closed when Close begins
	closeErr error
}

// Connect logs in to an appliance and returns a client. The host is a name or
// an IP address, with a port if it is not 443: "sps1.example.com",
// "10.0.0.5:8443", "[2001:db8::5]:443"; the protocol is always https.
//
// A wrong password is [AuthenticationFailure], a certificate that is not
// trusted a [CertificateError], an unreachable appliance a [TransportError], an
// argument that cannot be right [ErrInvalidInput]. When ctx ends during the login,
// Connect returns at once, and logs out in the background what that login opens.
//
// Nothing is sent where ctx is done already.
//
// A session that expires is renewed by one login for all callers. When the appliance
// refuses that login, the client does not send the same password again, because that may
// lock the account: every call that needs a login then fails with the refusal. See
// [PasswordFunc] for other passwords, [WithLoginRetry] for the same one, and
// [Client.Err].
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
			err = refused.err // what follows concerns a client that goes on
		}
		if ctx.Err() == nil {
			c.Close(ctx)
			return nil, err
		}
		go func() { // the login goes on, and what it opens is logged out
			time.AfterFunc(connectGrace, func() { c.reading.giveUp() })
			c.Close(ctx)
		}()
		return nil, err
	}
	return c, nil
}

// NewClient returns a client that has sent nothing yet: its first call logs in. It is for
// programs that start before their appliance, see [Client.WaitReady]. The arguments are
// those of [Connect], and are checked at once; a wrong password, a certificate that is
// not trusted and an appliance that is not there show with the first call. A call that
// fails leaves the client as it is, and the next one tries again, unless the login was
// refused: see [Client.Err].
func NewClient(host string, credential Credential, options ...Option) (*Client, error) {
	return prepare(context.Background(), host, credential, options)
}

// prepare makes a client that has sent nothing yet.
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
		return nil, fmt.Errorf("sps: connect: %w", invalid("no credential"))
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

// connectGrace is how long a Connect that failed goes on in the background, to log out
// what its login may have opened.
const connectGrace = 3 * time.Second

// ConnectFromEnv is [Connect] with what the environment says: SPS_HOST,
// SPS_USERNAME, SPS_PASSWORD, and where they are set SPS_LOGIN_METHOD,
// SPS_CA_BUNDLE (a file in PEM form) and SPS_FINGERPRINT (SHA-256, several
// separated by commas). The options come after those of the environment.
func ConnectFromEnv(ctx context.Context, options ...Option) (*Client, error) {
	var missing []string
	for _, name := range []string{"SPS_HOST", "SPS_USERNAME", "SPS_PASSWORD"} {
		if os.Getenv(name) == "" {
			missing = append(missing, name)
		}
	}
	if missing != nil {
		return nil, fmt.Errorf("sps: connect: %w", invalid("the environment lacks %s", strings.Join(missing, ", ")))
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

// parseHost checks a host and returns it as it stands in a URL.
func parseHost(host string) (string, error) {
	fail := func(why string) (string, error) {
		shown := host[strings.LastIndexByte(host, '@')+1:] // what is before it may be a password
		return "", fmt.Errorf("sps: connect: %w", invalid("host %s %s: give a name or an IP address, with a port if need be, such as sps1.example.com or [2001:db8::5]:8443", quoted(shown), why))
	}
	switch {
	case host == "":
		return fail("is empty")
	case strings.Contains(host, "://"):
		return fail("has a scheme; the protocol is always https")
	case strings.ContainsAny(host, "/?#\\"):
		return fail("has a path")
	case strings.Contains(host, "@"):
		return fail("has a user name")
	case len(host) > 300:
		return fail("is too long")
	}
	bare := host
	if inner, ok := strings.CutPrefix(host, "["); ok && strings.HasSuffix(inner, "]") {
		bare = strings.TrimSuffix(inner, "]")
	}
	if ip, err := netip.ParseAddr(bare); err == nil && ip.Is6() {
		if !plainName(ip.Zone()) {
			return fail("has a zone with characters that none has")
		}
		return "[" + ip.String() + "]", nil
	}
	name, port := host, ""
	if strings.Contains(host, ":") {
		var err error
		if name, port, err = net.SplitHostPort(host); err != nil {
			return fail("has no proper port")
		}
		if number, err := net.LookupPort("tcp", port); err != nil || number == 0 || strings.Trim(port, "0123456789") != "" {
			return fail("has no proper port")
		}
	}
	if ip, err := netip.ParseAddr(name); err == nil {
		if !plainName(ip.Zone()) {
			return fail("has a zone with characters that none has")
		}
		name = ip.String()
	} else if !plainName(name) || name == "" || strings.Trim(name, ".-") == "" {
		return fail("has characters that no host name has")
	}
	if port == "" || port == "443" {
		if strings.Contains(name, ":") {
			return "[" + name + "]", nil
		}
		return name, nil
	}
	return net.JoinHostPort(name, port), nil
}

// plainName reports whether a name has only characters that names of hosts and of
// network interfaces have.
func plainName(name string) bool {
	return strings.Trim(name, "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789.-_") == ""
}

// made returns an error for a client that was not made by the package.
func (c *Client) made() error {
	if c == nil || c.transport == nil {
		return fmt.Errorf("sps: %w", invalid("this client is nil or a zero value: make one with Connect or NewClient"))
	}
	return nil
}

// Host returns the host that the client is connected to, with its port if it is
// not 443; "" for nil and the zero value.
func (c *Client) Host() string {
	if c.made() != nil {
		return ""
	}
	return c.transport.host
}

// String names the client's host, and nothing of its session.
func (c *Client) String() string { return "sps.Client(" + c.Host() + ")" }

// Err returns why no call can succeed any more, nil while one can: [ErrClosed] after
// [Client.Close]; the refusal, where logins were refused and none is tried by itself any
// more, see [PasswordFunc] and [WithLoginRetry]; [Unauthenticated] for an
// [ExistingSession] that has expired. It sends nothing: a session that has ended on the
// appliance counts as alive until a call meets that.
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

// Close rolls back a transaction that is open, ends calls under way with [ErrClosed],
// and logs out (not from an [ExistingSession]). All of that together takes at most
// [Timeouts].Close; a commit that was sent may use half of it to end. A ctx that ends
// while Close runs ends that too. One that is done already when Close is called, as after
// a signal, leaves it all of Timeouts.Close.
//
// The error says what could not be cleaned up: the session then ends by its
// time-out on the appliance, and the configuration stays locked for as long if its
// transaction is open. Further calls of Close return the same error.
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

// closeGrace is how much longer than the time limit for cleaning up it takes at most to
// log out after the end of a transaction that used all of it.
const closeGrace = 900 * time.Millisecond

// closeDeadline is when Close has to be done. What the end of a transaction has just
// used of the time limit is not to be had a second time.
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

// whileAlive returns a context that ends with another one, if that is alive now and ends
// by itself. That of a function in a transaction ends by Close.
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
	c.end(ErrClosed) // nothing begins in the background from now on
	c.clean.mu.Unlock()
	half, halved := halfOf(bound) // the rest is for the log-outs
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

// settled waits for what runs beside the calls.
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

// endAll ends what is left, side by side.
func (c *Client) endAll(ctx context.Context, left []*session) (errs []error) {
	c.clean.mu.Lock()
	remnants := slices.Clone(c.clean.remnants)
	dirty := c.clean.dirty
	c.clean.mu.Unlock()
	for _, s := range left {
		remnants = append(remnants, &remnant{session: s, open: s == dirty})
	}
	results := make([]error, len(remnants)+1) // the last one for a session that was handed in
	var all sync.WaitGroup
	for i, r := range remnants {
		switch {
		case r.hung: // it was tried a moment ago, for as long as there was time
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

// unended tells what it means that a session could not be ended.
func (r *remnant) unended() error {
	if r.open {
		return errorf("%w (its transaction may be open and hold the lock%s)", r.err, r.session.endsIn())
	}
	ends := "by its time-out"
	if left := r.session.remaining(); left > 0 {
		ends = fmt.Sprintf("in %s if nobody uses it", left.Round(time.Second))
	}
	return errorf("%w (a session is not logged out: it ends %s)", r.err, ends)
}

// call sends a call outside of a transaction, in the session that reads. It renews a
// session that has expired once, for all callers, and then repeats the call: a 401
// means that it was not executed.
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

// renewing sends a call in the session that reads, and renews that once. life bounds
// the wait for a login beside ctx.
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
		if a != nil { // the old session was taken for expired too, and may live
			c.endUnused(ctx, old)
		}
		return nil, c.stillExpired(k, err, errors.New("the appliance takes a new session for expired"))
	}
	return a, err
}

// writeSession returns a session for transactions, other than the stale one. Where the
// credential turns out to serve one login only, that is the session that reads.
func (c *Client) writeSession(ctx context.Context, stale *session) (*session, error) {
	if c.logins.separate() {
		s, err := c.writing.get(ctx, stale)
		if err == nil || c.logins.separate() {
			return s, err
		}
	}
	return c.reading.get(ctx, stale)
}

// present is the session of transactions, nil while there is none.
func (c *Client) present() *session {
	if c.logins.separate() {
		return c.writing.now()
	}
	return c.reading.now()
}

// stillExpired makes the error of a call whose session has expired for good: of one form,
// whether the appliance refused it, answered as it does to anybody (GET info), or was not
// asked again. err is its refusal, nil for none.
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

// sessionOver gives the error of a session that was handed in and has ended the form of
// stillExpired.
func (c *Client) sessionOver(k *call, err error) error {
	if !errors.Is(err, errExpiredExisting) {
		return err
	}
	e := c.stillExpired(k, nil, errExpiredExisting)
	e.(*Error).Attempts = 0
	return e
}

// merge returns ctx, ended also by the end of another context.
func merge(ctx, other context.Context) (context.Context, context.CancelFunc) {
	ctx, cancel := context.WithCancelCause(ctx)
	stop := context.AfterFunc(other, func() { cancel(context.Cause(other)) })
	return ctx, func() {
		stop()
		cancel(nil)
	}
}

// codec writes bodies, secrets in clear.
var codec = wire.NewCodec(Secret.ExposeString)

// encode makes the body of a request: a []byte or a json.RawMessage is JSON
// already, everything else is encoded. It returns the secrets that the body shows, too.
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

// reveal encodes a value, and returns the secrets that the data shows.
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

// checkBody refuses a body that is no JSON, and one in which a Secret was
// printed instead of being passed on: the appliance would store the placeholder
// as the password.
func checkBody(body []byte) error {
	if err := wire.Valid(body); err != nil {
		return invalid("the body is no proper JSON")
	}
	if bytes.Contains(body, []byte(redacted)) {
		return invalid("the body contains the placeholder of a Secret that was printed; put the Secret itself into it")
	}
	return nil
}

// Response is the answer to an [Client.Invoke].
type Response struct {
	// StatusCode is the HTTP status, 200 to 299.
	StatusCode int
	// Header is the header, without cookies.
	Header http.Header
	// Body is the body as it was sent, at most 32 MiB. It is proper JSON, but its text may
	// be garbled: not valid UTF-8, or half of a surrogate pair.
	Body []byte
}

// Decode decodes the whole body, envelope included, into v. Names must match
// exactly, so give the fields of structs json tags. Duplicate names, invalid UTF-8 and
// what does not fit into v are [ErrBadAnswer]; unknown members are ignored.
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

// RequestOption refines one [Client.Invoke], [Transaction.Invoke], [Client.Download]
// or list: [WithQuery] and [WithHeader]. One that cannot be right makes that fail with
// [ErrInvalidInput]; nil does nothing.
type RequestOption func(*call) error

func (o RequestOption) applyDownload(k *call) error { return k.apply([]RequestOption{o}) }

// DownloadOption refines one [Client.Download]: [WithProgress], and what a
// [RequestOption] is.
type DownloadOption interface{ applyDownload(*call) error }

func (o ProgressOption) applyDownload(k *call) error {
	start := time.Now()
	k.sink.moved = func(done, total int64) { o.report(transferred(done, total, start)) }
	return nil
}

// WithQuery adds a parameter to the query, plain: it is escaped for you.
func WithQuery(name, value string) RequestOption {
	return func(k *call) error {
		k.query.Add(name, value)
		return nil
	}
}

// WithHeader sets a header. Those that carry the session and the credential,
// frame the message or name another method are the SDK's own and refused. With
// an Accept other than application/json, an answer that is no JSON is let
// through.
func WithHeader(name, value string) RequestOption {
	return func(k *call) error {
		name = http.CanonicalHeaderKey(name)
		if slices.Contains(reservedHeaders, name) || strings.HasPrefix(name, "X-Http-Method") || strings.HasPrefix(name, "Proxy-") {
			return invalid("the header %s is reserved", quoted(name))
		}
		if strings.Trim(name, "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-") != "" || name == "" ||
			strings.ContainsFunc(value, func(r rune) bool { return r < ' ' || r == 0x7f }) {
			return invalid("the header %s or its value has characters that no header may have", quoted(name))
		}
		if name == "Accept" {
			k.raw = value != "application/json"
		}
		k.header.Set(name, value)
		return nil
	}
}

var reservedHeaders = []string{
	"Authorization", "Connection", "Content-Length", "Content-Type", "Cookie", "Expect", "Host", "Te", "Trailer",
	"Transfer-Encoding", "Upgrade", "User-Agent", "X-Method-Override", "X-Token",
	// net/http repeats a POST that carries one of these.
	"Idempotency-Key", "X-Idempotency-Key",
}

// Invoke sends a request to an endpoint that the SDK does not type, through the
// same session, retries and errors as every other. The path is relative to
// /api/ or a link of an answer ("/api/firmware/slots/2"), escaped as in a URL: a slash
// within a key is %2F.
// A nil body sends none, []byte and json.RawMessage are sent as they are, and
// everything else is encoded as JSON, a json.Number as a number.
//
// Writes to configuration/, acl/, to the parts of cluster/ that the guide wants in a
// transaction, and to the transaction itself are refused with
// [ErrTransactionOnly] and not sent: use [Transaction.Invoke]. A write that the
// appliance refuses while a transaction is open, such as POST starling/join, waits for
// the client's own transaction; in the function of one it is [ErrNested]. A POST may
// have any effect, and is never repeated after it may have been executed. A write whose
// answer was lost is [ErrOutcomeUnknown]: the SDK does not know where it shows.
func (c *Client) Invoke(ctx context.Context, method, path string, body any, options ...RequestOption) (*Response, error) {
	if err := c.made(); err != nil {
		return nil, err
	}
	k, err := newInvocation(method, path, body, options)
	if err != nil {
		return nil, err
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

// Download reads an endpoint that answers with a file, such as a support bundle or
// an audit trail, and writes it to w as it comes, in constant memory; see
// [Client.Invoke] for path and options, and [WithProgress]. It returns how many
// bytes were written. There is no time limit in all; [Timeouts].Stall bounds the
// time in which nothing moves.
//
// A download is tried again only as long as nothing was written. An answer of JSON
// is not a file: it gives the [Error] that it holds, or [ErrBadAnswer].
func (c *Client) Download(ctx context.Context, path string, w io.Writer, options ...DownloadOption) (int64, error) {
	if err := c.made(); err != nil {
		return 0, err
	}
	k, err := newInvocation(http.MethodGet, path, nil, nil)
	if err != nil {
		return 0, err
	}
	k.class, k.sink = classDownload, &sink{w: w, moved: func(int64, int64) {}}
	for _, option := range options {
		if option == nil {
			continue
		}
		if err := option.applyDownload(k); err != nil {
			return 0, err
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
		return k.sink.done, a.unusable("it is JSON, not a file: use Invoke")
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
		return nil, fmt.Errorf("sps: %w", invalid("method %s: the API knows GET, POST, PUT and DELETE", quoted(method)))
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

// apply refines a call.
func (k *call) apply(options []RequestOption) error {
	for _, option := range options {
		if option == nil {
			continue
		}
		if err := option(k); err != nil {
			return fmt.Errorf("sps: %w", err)
		}
	}
	return nil
}
