package sps

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"fmt"
	"iter"
	"log/slog"
	"net"
	"net/http"
	"net/netip"
	"reflect"
	"strings"
	"time"
	"unicode"

	"github.com/go-sps/sps/internal/pemtext"
)

// Version is the version of this module, as sent in the User-Agent header.
const Version = "0.1.0"

// Option is an option of [Connect], [NewClient] and [ConnectFromEnv]. An invalid option
// makes them fail with [ErrInvalidInput]. A nil option does nothing.
type Option func(*config) error

// config is the result of the options and the credential.
type config struct {
	roots             *x509.CertPool
	pool              *x509.CertPool // instead of roots
	unread            []string       // the blocks of the bundles that could not be read
	pins              []string
	insecure          bool
	clientCertificate *tls.Certificate
	proxyFromEnv      bool
	wrap              []func(http.RoundTripper) http.RoundTripper
	logger            *slog.Logger
	userAgent         string
	retry             RetryPolicy
	timeouts          Timeouts
	oneSession        bool
	loginEvery        time.Duration
}

// given iterates over the options that are not nil.
func given[O any](options []O) iter.Seq[O] {
	return func(yield func(O) bool) {
		for _, option := range options {
			v := reflect.ValueOf(option)
			if !v.IsValid() || v.Kind() == reflect.Func && v.IsNil() {
				continue
			}
			if !yield(option) {
				return
			}
		}
	}
}

func newConfig(options []Option) (*config, error) {
	o := &config{
		userAgent: "go-sps/" + Version,
		retry:     DefaultRetryPolicy(),
		timeouts:  DefaultTimeouts(),
	}
	var errs []error
	for option := range given(options) {
		if err := option(o); err != nil {
			errs = append(errs, err)
		}
	}
	if o.pool != nil {
		if o.roots != nil {
			errs = append(errs, invalid("WithRootCAs and WithCABundle cannot be combined: add the certificates of the bundle to the pool"))
		}
		o.roots = o.pool
	}
	if o.insecure && (o.roots != nil || len(o.pins) > 0) {
		errs = append(errs, invalid("WithInsecureTLS cannot be combined with WithCABundle, WithRootCAs or WithPinnedCertificates"))
	}
	if len(errs) > 0 {
		return nil, joined("sps: connect", errs)
	}
	return o, nil
}

// warn logs settings that make the connection less safe, or less likely to work, than
// expected.
func (o *config) warn(ctx context.Context, address string) {
	if o.logger == nil {
		return
	}
	if o.insecure {
		o.logger.WarnContext(ctx, "sps: the appliance's certificate is not verified (WithInsecureTLS)", "host", address)
	}
	if len(o.unread) > 0 {
		o.logger.WarnContext(ctx, "sps: the CA bundle has blocks that cannot be read", "host", address, "blocks", pemtext.Named(o.unread))
	}
}

// joined makes one line from several errors.
func joined(context string, errs []error) error {
	return &joinedError{context, errs}
}

// maxJoined is how many errors the text includes.
const maxJoined = 20

type joinedError struct {
	context string
	errs    []error
}

func (j *joinedError) Error() string {
	texts, host := make([]string, 0, maxJoined+1), ""
	for i, err := range j.errs {
		if i == maxJoined {
			texts = append(texts, fmt.Sprintf("and %d more", len(j.errs)-i))
			break
		}
		texts = append(texts, plainBeside(host, err))
		if own, _ := apart(err); own != "" {
			host = own
		}
	}
	return j.context + ": " + strings.Join(texts, "; ")
}

func (j *joinedError) LogValue() slog.Value { return logged(j) }

func (j *joinedError) Unwrap() []error { return j.errs }

// WithCABundle makes the client trust the certificates in a PEM text instead of those of
// the system. Usually this is the appliance's own certificate authority. A private key in
// the text is refused. A block that cannot be read is skipped: a warning in the log names
// it, and so does a [CertificateError] about an unknown authority. If no block can be
// read, the option is [ErrInvalidInput].
func WithCABundle(pem []byte) Option {
	return func(o *config) error {
		p, err := pemtext.Read(pem)
		switch {
		case err != nil:
			return invalid("the CA bundle %s", err)
		case len(p.Certificates) == 0:
			return invalid("the CA bundle has no certificate that can be read: %s", p.UnreadBlocks())
		}
		if o.roots == nil {
			o.roots = x509.NewCertPool()
		}
		for _, certificate := range p.Certificates {
			o.roots.AddCert(certificate)
		}
		o.unread = append(o.unread, p.Unread...)
		return nil
	}
}

// WithRootCAs is like [WithCABundle] but takes a pool, for example the pool of
// x509.SystemCertPool with your company's authority added. The pool is copied. A nil
// pool, and both options together, are [ErrInvalidInput].
func WithRootCAs(pool *x509.CertPool) Option {
	return func(o *config) error {
		if pool == nil {
			return invalid("the pool of WithRootCAs is nil")
		}
		o.pool = pool.Clone()
		return nil
	}
}

// WithPinnedCertificates makes the client trust only a certificate with one of these
// SHA-256 fingerprints. A fingerprint has 64 hex digits in either case, with or without
// colons, or the form that openssl prints, "sha256 Fingerprint=52:2C:…". On its own,
// the option replaces the verification of the certificate authority and the host name,
// which suits a self-signed appliance. Together with [WithCABundle], both checks must
// pass.
func WithPinnedCertificates(fingerprints ...string) Option {
	return func(o *config) error {
		if len(fingerprints) == 0 {
			return invalid("WithPinnedCertificates needs at least one fingerprint")
		}
		for _, text := range fingerprints {
			pin, err := parseFingerprint(text)
			if err != nil {
				return err
			}
			o.pins = append(o.pins, pin)
		}
		return nil
	}
}

// WithInsecureTLS accepts every certificate, so it may send the credential to an
// impostor. Use it for experiments only: [WithPinnedCertificates] is as easy, and safe.
// The client logs a warning.
func WithInsecureTLS() Option {
	return func(o *config) error {
		o.insecure = true
		return nil
	}
}

// WithLogger logs one record, "sps request", for each attempt of a request, with the
// caller's context. The record has host, method, path, attempt, duration, the names of
// the query parameters, and the status or the error. It never has a header, a body or the
// value of a parameter. The level is Debug; it is Warn if there was no answer or its
// status was 500 or above. Warnings have their own records: for [WithInsecureTLS], for a
// CA bundle that cannot be read completely, and for [TrustStore.Warnings]. Without this
// option, the client logs nothing.
func WithLogger(logger *slog.Logger) Option {
	return func(o *config) error {
		o.logger = logger
		return nil
	}
}

// WithTransport wraps the http.RoundTripper of the client, for tracing, recording or
// fault injection. wrap is called once and may also return a different RoundTripper. A
// nil function is [ErrInvalidInput]. If the option is given several times, the last one
// is the outermost. The RoundTripper sees every attempt, with the values of the caller's
// context. It also sees the session cookie and the credentials: do not record them. It
// must be safe for concurrent use.
func WithTransport(wrap func(base http.RoundTripper) http.RoundTripper) Option {
	return func(o *config) error {
		if wrap == nil {
			return invalid("WithTransport needs a function")
		}
		o.wrap = append(o.wrap, wrap)
		return nil
	}
}

// WithUserAgent puts the name of your program, such as "precheck/1.2", before the name of
// the SDK in the User-Agent header. The appliance requires an additional token from
// browsers, so a text that contains "Mozilla" is refused.
func WithUserAgent(product string) Option {
	return func(o *config) error {
		switch {
		case strings.Contains(strings.ToLower(product), "mozilla"):
			return invalid("the User-Agent must not look like a browser's")
		case strings.TrimSpace(product) == "" || strings.ContainsFunc(product, func(r rune) bool { return r > unicode.MaxASCII || unicode.IsControl(r) }):
			return invalid("the User-Agent must be printable ASCII")
		}
		o.userAgent = strings.TrimSpace(product) + " go-sps/" + Version
		return nil
	}
}

// WithProxyFromEnvironment uses the proxy of the environment variables HTTPS_PROXY and
// NO_PROXY. Without this option, the client connects directly. The system's certificate
// authorities must verify the certificate of an https proxy: the trust options and a
// [ClientCertificate] apply to the appliance behind the proxy.
func WithProxyFromEnvironment() Option {
	return func(o *config) error {
		o.proxyFromEnv = true
		return nil
	}
}

// WithOneSession makes the client read and write in one session of the appliance, instead
// of one for each. Use it for one-time codes, for push notifications that allow one
// login, and for appliances with a strict limit of sessions per user. Reads outside of a
// transaction then return the staged changes of a running transaction. After a failed
// rollback, and after [ErrOutcomeUnknown], the next call first makes sure that nothing
// remains staged, or fails with ErrOutcomeUnknown. A transaction gives [ErrConflict] if a
// late request of an earlier transaction changed what it has staged.
//
// A client with an [ExistingSession] has one session too. So does a client with a
// [PasswordFunc] whose second login is refused while its first session is alive. It uses
// two sessions again after the same password was accepted twice, because that password is
// not a one-time code.
func WithOneSession() Option {
	return func(o *config) error {
		o.oneSession = true
		return nil
	}
}

// WithLoginRetry makes the client send a password or a certificate again after the
// appliance has refused it. The client tries again when a call needs a session, but not
// sooner than the given time after the last refusal. The time is at least one minute. Use
// the option for programs that run for a long time, because an appliance that is starting
// may refuse a correct password. Each attempt counts towards the lock of the account, so
// choose a time after which the appliance forgets earlier attempts. Calls in between fail
// with the refusal at once.
//
// Without this option, the client never sends a refused password again. The option delays
// a different password from a [PasswordFunc] only after three refusals in a row.
func WithLoginRetry(every time.Duration) Option {
	return func(o *config) error {
		if every < time.Minute {
			return invalid("WithLoginRetry needs a minute or more: each attempt may lock the account")
		}
		o.loginEvery = every
		return nil
	}
}

// RetryPolicy sets how often the client retries a request and how long it waits. It does
// not set which requests are retried: reads after connection errors and the statuses 429,
// 502, 503 and 504, and writes only if they were certainly not executed.
//
// A zero field keeps its default. RetryPolicy{Attempts: 1} turns retries off, including
// the repetition of a read on a broken connection that net/http does by itself. Two cases
// are not part of the policy. A request that was refused because its session has expired
// is sent once in the new session. After a commit whose answer was lost, the client asks
// for the outcome, see [Client.Transaction].
type RetryPolicy struct {
	// Attempts is the maximum number of attempts, including the first: 4 by default. 1
	// means no retry.
	Attempts int
	// MinWait and MaxWait bound the waits between attempts: 500 ms and 10 s by default.
	// The bound of the first wait is MinWait. It doubles with each attempt, up to
	// MaxWait. Each wait is a random time between zero and its bound. A negative value
	// means no wait. If one of them is set beyond the default of the other, that default
	// moves with it.
	MinWait, MaxWait time.Duration
	// MaxRetryAfter is the longest Retry-After that the client waits for: 30 s by
	// default. A longer one ends the attempts. A negative value means that the client
	// waits for none.
	MaxRetryAfter time.Duration
}

// DefaultRetryPolicy returns the policy without [WithRetry]: 4 attempts, waits of at most
// 500 ms, 1 s and 2 s, and a Retry-After of up to 30 s.
func DefaultRetryPolicy() RetryPolicy {
	return RetryPolicy{Attempts: 4, MinWait: 500 * time.Millisecond, MaxWait: 10 * time.Second, MaxRetryAfter: 30 * time.Second}
}

// WithRetry sets the retry policy. Its zero fields keep the values of
// [DefaultRetryPolicy].
func WithRetry(policy RetryPolicy) Option {
	return func(o *config) error {
		if policy.Attempts < 0 || policy.MinWait > 0 && policy.MaxWait != 0 && policy.MaxWait < policy.MinWait {
			return invalid("the retry policy must not have negative Attempts or a MinWait above MaxWait")
		}
		o.retry = policy.effective()
		return nil
	}
}

// effective returns the policy with its defaults. In the result, zero means no wait.
func (p RetryPolicy) effective() RetryPolicy {
	d := DefaultRetryPolicy()
	if p.MinWait != 0 {
		d.MaxWait = max(d.MaxWait, p.MinWait)
	}
	if p.MaxWait != 0 {
		d.MinWait = min(d.MinWait, max(p.MaxWait, 0))
	}
	if p.Attempts == 0 {
		p.Attempts = d.Attempts
	}
	for _, wait := range []struct{ set, standard *time.Duration }{
		{&p.MinWait, &d.MinWait}, {&p.MaxWait, &d.MaxWait}, {&p.MaxRetryAfter, &d.MaxRetryAfter},
	} {
		orDefault(wait.set, *wait.standard)
	}
	return p
}

// orDefault replaces zero by the default, and a negative value by zero, which means none
// from then on.
func orDefault(set *time.Duration, standard time.Duration) {
	switch {
	case *set == 0:
		*set = standard
	case *set < 0:
		*set = 0
	}
}

// Timeouts limit one attempt of a request, by the kind of the request, from the dial to
// the last byte of the answer. The context of a call limits all its attempts together.
//
// A zero field keeps its default, so Timeouts{Action: time.Hour} changes one limit. A
// negative field means no limit. Login, Outcome and Close cannot be negative, because
// nothing else limits those requests: a negative value is [ErrInvalidInput].
type Timeouts struct {
	// Connect limits the TCP connection, and separately the TLS handshake: 15 seconds by
	// default.
	Connect time.Duration
	// Login limits a login including its retries: 1 minute by default. A login after the
	// session has expired has this limit instead of its caller's context, because several
	// callers wait for it.
	Login time.Duration
	// Read limits a GET: 1 minute by default.
	Read time.Duration
	// Write limits a write outside or inside of a transaction: 2 minutes by default.
	Write time.Duration
	// Commit limits the commit of a transaction, which may restart services: 10 minutes
	// by default.
	Commit time.Duration
	// Action limits firmware tests and other actions, which may take minutes: 30 minutes
	// by default.
	Action time.Duration
	// Stall limits the time in which no byte of an upload or a download moves: 2 minutes
	// by default. The context of the call is the only limit of its total time.
	Stall time.Duration
	// Outcome limits how long the client asks for the outcome of a commit, a join or
	// another request whose answer was lost: 5 minutes by default. The appliance may
	// still work on the request for that long.
	Outcome time.Duration
	// Close limits all cleanup together, at the end of a transaction and in
	// [Client.Close]: 20 seconds by default. The cleanup includes the rollback and the
	// log-outs, which are sent even if the caller's context is done. It also includes the
	// wait for a commit that was already sent, which may use half of the limit. A context
	// that ends while Client.Close runs ends the cleanup too.
	Close time.Duration
}

// DefaultTimeouts returns the limits without [WithTimeouts].
func DefaultTimeouts() Timeouts {
	return Timeouts{
		Connect: 15 * time.Second,
		Login:   time.Minute,
		Read:    time.Minute,
		Write:   2 * time.Minute,
		Commit:  10 * time.Minute,
		Action:  30 * time.Minute,
		Stall:   2 * time.Minute,
		Outcome: 5 * time.Minute,
		Close:   20 * time.Second,
	}
}

// WithTimeouts sets the time limits. Its zero fields keep the values of
// [DefaultTimeouts].
func WithTimeouts(timeouts Timeouts) Option {
	return func(o *config) error {
		if timeouts.Close < 0 || timeouts.Login < 0 || timeouts.Outcome < 0 {
			return invalid("the limits Close, Login and Outcome cannot be negative: nothing else limits these requests")
		}
		o.timeouts = timeouts.effective()
		return nil
	}
}

// effective returns the limits with their defaults. In the result, zero means no limit.
func (t Timeouts) effective() Timeouts {
	d := DefaultTimeouts()
	for _, limit := range []struct{ set, standard *time.Duration }{
		{&t.Connect, &d.Connect}, {&t.Login, &d.Login}, {&t.Read, &d.Read}, {&t.Write, &d.Write},
		{&t.Commit, &d.Commit}, {&t.Action, &d.Action}, {&t.Stall, &d.Stall}, {&t.Outcome, &d.Outcome}, {&t.Close, &d.Close},
	} {
		orDefault(limit.set, *limit.standard)
	}
	return t
}

// parseHost checks a host and returns it in the form that a URL needs.
func parseHost(host string) (string, error) {
	fail := func(why string) (string, error) {
		shown := host[strings.LastIndexByte(host, '@')+1:] // the part before it may be a password
		return "", fmt.Errorf("sps: connect: %w", invalid("host %s %s: give a name or an IP address, with a port if it is not 443, such as sps1.example.com or [2001:db8::5]:8443", quoted(shown), why))
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
			return fail("has a zone with invalid characters")
		}
		return "[" + ip.String() + "]", nil
	}
	name, port := host, ""
	if strings.Contains(host, ":") {
		var err error
		if name, port, err = net.SplitHostPort(host); err != nil {
			return fail("has an invalid port")
		}
		if number, err := net.LookupPort("tcp", port); err != nil || number == 0 || strings.Trim(port, "0123456789") != "" {
			return fail("has an invalid port")
		}
	}
	if ip, err := netip.ParseAddr(name); err == nil {
		if !plainName(ip.Zone()) {
			return fail("has a zone with invalid characters")
		}
		name = ip.String()
	} else if !plainName(name) || name == "" || strings.Trim(name, ".-") == "" {
		return fail("has characters that are not allowed in a host name")
	}
	if port == "" || port == "443" {
		if strings.Contains(name, ":") {
			return "[" + name + "]", nil
		}
		return name, nil
	}
	return net.JoinHostPort(name, port), nil
}

// plainName reports whether a name contains only characters that are valid in the names
// of hosts and network interfaces.
func plainName(name string) bool {
	return strings.Trim(name, "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789.-_") == ""
}
