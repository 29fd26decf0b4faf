package sps

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"fmt"
	"log/slog"
	"net/http"
	"strings"
	"time"
	"unicode"

	"github.com/go-sps/sps/internal/pemtext"
)

// Version is the version of this module, as it stands in the User-Agent.
const Version = "0.1.0"

// Option changes how [Connect] makes a client; nil does nothing. One that cannot be
// right makes Connect fail with [ErrInvalidInput].
type Option func(*config) error

// config is what the options and the credential add up to.
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

func newConfig(options []Option) (*config, error) {
	o := &config{
		userAgent: "go-sps/" + Version,
		retry:     DefaultRetryPolicy(),
		timeouts:  DefaultTimeouts(),
	}
	var errs []error
	for _, option := range options {
		if option == nil {
			continue
		}
		if err := option(o); err != nil {
			errs = append(errs, err)
		}
	}
	if o.pool != nil {
		if o.roots != nil {
			errs = append(errs, invalid("WithRootCAs excludes WithCABundle: put the certificates of the bundle into the pool"))
		}
		o.roots = o.pool
	}
	if o.insecure && (o.roots != nil || len(o.pins) > 0) {
		errs = append(errs, invalid("WithInsecureTLS excludes WithCABundle, WithRootCAs and WithPinnedCertificates"))
	}
	if len(errs) > 0 {
		return nil, joined("sps: connect", errs)
	}
	return o, nil
}

// warn logs what makes the connection less safe, or less likely, than it looks.
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

// joined makes one line of several errors.
func joined(context string, errs []error) error {
	return &joinedError{context, errs}
}

// maxJoined is how many errors a text names.
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

// WithCABundle trusts the certificates in the PEM text, in place of the
// system's: the appliance's own certificate authority, usually. Private keys in
// the text are refused. A block that cannot be read is left out: the logger names it, and
// so does a [CertificateError] about an unknown authority. A text of which no block can be
// read is [ErrInvalidInput].
func WithCABundle(pem []byte) Option {
	return func(o *config) error {
		p, err := pemtext.Read(pem)
		switch {
		case err != nil:
			return invalid("the CA bundle %s", err)
		case len(p.Certificates) == 0:
			return invalid("the CA bundle holds no certificate that can be read: %s", p.UnreadBlocks())
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

// WithRootCAs is [WithCABundle] with a pool, for authorities that come from elsewhere
// than a text: x509.SystemCertPool and the company's own, say. The pool is copied. A nil
// one, and both options together, are [ErrInvalidInput].
func WithRootCAs(pool *x509.CertPool) Option {
	return func(o *config) error {
		if pool == nil {
			return invalid("WithRootCAs needs a pool")
		}
		o.pool = pool.Clone()
		return nil
	}
}

// WithPinnedCertificates trusts an appliance whose own certificate has one of
// these SHA-256 fingerprints, and no other: 64 hex digits in either case,
// colons allowed, or as openssl prints them, "sha256 Fingerprint=52:2C:…". Alone it
// takes the place of the verification by certificate authorities and host name, which
// suits the usual self-signed appliance; with [WithCABundle], both must hold.
func WithPinnedCertificates(fingerprints ...string) Option {
	return func(o *config) error {
		if len(fingerprints) == 0 {
			return invalid("WithPinnedCertificates needs a fingerprint")
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

// WithInsecureTLS accepts every certificate, and so hands the credential to
// whoever answers. For experiments only: [WithPinnedCertificates] is as easy
// and safe. The logger, if there is one, gets a warning.
func WithInsecureTLS() Option {
	return func(o *config) error {
		o.insecure = true
		return nil
	}
}

// WithLogger logs one record, "sps request", for each attempt of a request, with the
// caller's context: host, method, path, attempt, duration, the names of the query's
// parameters, and the status or the error; never a header, a body or the value of a
// parameter. The level is Debug, and Warn for an attempt without an answer or with a
// status of 500 or above. Warnings have records of their own: of [WithInsecureTLS], of a
// bundle that cannot be read in full, of [TrustStore.Warnings]. Without this option nothing
// is logged.
func WithLogger(logger *slog.Logger) Option {
	return func(o *config) error {
		o.logger = logger
		return nil
	}
}

// WithTransport wraps the client's http.RoundTripper, for tracing, recording or
// faults; it is called once and may return another one altogether. Nil is
// [ErrInvalidInput]. Several wrap in the order of the options, the last outermost. What it
// returns sees every attempt, in a context with the values of the caller's, and with its
// cookie and credentials: do not record them. It must be safe for concurrent use.
func WithTransport(wrap func(base http.RoundTripper) http.RoundTripper) Option {
	return func(o *config) error {
		if wrap == nil {
			return invalid("WithTransport needs a function")
		}
		o.wrap = append(o.wrap, wrap)
		return nil
	}
}

// WithUserAgent puts the name of your program, such as "precheck/1.2", before
// the SDK's own in the User-Agent. An appliance takes an agent that looks like a
// browser's for one, and demands a further token: a text with "Mozilla" is
// refused.
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

// WithProxyFromEnvironment honours HTTPS_PROXY and NO_PROXY. Without it the
// client connects directly whatever the environment says. The certificate of an https
// proxy needs an authority of the system: the options about trust, and the certificate of
// a login, are about the appliance behind it.
func WithProxyFromEnvironment() Option {
	return func(o *config) error {
		o.proxyFromEnv = true
		return nil
	}
}

// WithOneSession reads and writes in one session of the appliance, in place of one for
// each: for a one-time code or a push that serves one login, and for appliances that
// limit the sessions of a user strictly. Reads beside a transaction then show its staged
// changes. After a rollback that failed, and after [ErrOutcomeUnknown], the next call
// first makes sure that nothing is left staged, or fails with ErrOutcomeUnknown.
//
// A client on an [ExistingSession] has one session too; so does one by [PasswordFunc]
// once its second login is refused while the first session lives, until the same password
// is accepted twice and so is no one-time code.
func WithOneSession() Option {
	return func(o *config) error {
		o.oneSession = true
		return nil
	}
}

// WithLoginRetry sends a password, or a certificate, that the appliance has refused again:
// when a call needs a session, and not sooner than this time after the last refusal, which
// is at least a minute. It is for programs that live long: an appliance that starts may
// refuse a password that is right. Each attempt counts towards the lock of an account, so
// take a time in which the appliance forgets them. Calls in between fail with the refusal
// at once. Without this option the same secret is never sent again. Other passwords of a
// [PasswordFunc] wait for this time only after three refusals in a row.
func WithLoginRetry(every time.Duration) Option {
	return func(o *config) error {
		if every < time.Minute {
			return invalid("WithLoginRetry takes a minute or more: each attempt may lock the account")
		}
		o.loginEvery = every
		return nil
	}
}

// RetryPolicy says how often and how patiently a request is tried again. Which
// requests may be is not a matter of policy, but of safety: reads after
// connection errors and the statuses 429, 502, 503 and 504; writes only where
// they were certainly not executed.
//
// A field that is zero keeps its default, so RetryPolicy{Attempts: 1} is a policy
// that never sends a request again that failed, not even a read on a connection that
// breaks, as net/http does by itself. Two things are not part of the policy: a request that
// was refused because its session has expired is sent once in the new session, and the
// client looks at what became of a commit whose answer was lost, see [Client.Transaction].
type RetryPolicy struct {
	// Attempts is the greatest number of attempts, the first included: 4 by
	// default; 1 never tries again.
	Attempts int
	// MinWait is the bound of the first wait, 500 ms by default, which doubles with
	// each attempt up to MaxWait, 10 s by default. The wait is drawn at random
	// between zero and the bound. One that is negative is no wait. A default gives
	// way where the other one is set beyond it.
	MinWait, MaxWait time.Duration
	// MaxRetryAfter is the longest Retry-After of an answer that is obeyed, 30 s by
	// default; one above it ends the attempts. Negative is none at all.
	MaxRetryAfter time.Duration
}

// DefaultRetryPolicy is the policy without [WithRetry]: 4 attempts, waits bound
// by 500 ms, 1 s and 2 s, and a Retry-After of up to 30 s.
func DefaultRetryPolicy() RetryPolicy {
	return RetryPolicy{Attempts: 4, MinWait: 500 * time.Millisecond, MaxWait: 10 * time.Second, MaxRetryAfter: 30 * time.Second}
}

// WithRetry sets the policy; what is zero in it stays as in [DefaultRetryPolicy].
func WithRetry(policy RetryPolicy) Option {
	return func(o *config) error {
		if policy.Attempts < 0 || policy.MinWait > 0 && policy.MaxWait != 0 && policy.MaxWait < policy.MinWait {
			return invalid("the retry policy needs attempts that are not negative, and MinWait at most MaxWait")
		}
		o.retry = policy.effective()
		return nil
	}
}

// effective is the policy with its defaults, in which no wait is zero.
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

// orDefault puts the default in the place of zero, and zero, which means nothing
// of the kind from then on, in that of what is negative.
func orDefault(set *time.Duration, standard time.Duration) {
	switch {
	case *set == 0:
		*set = standard
	case *set < 0:
		*set = 0
	}
}

// Timeouts bound one attempt of a request, by the kind of the request, from the
// dial to the last byte of the answer. The context of a call bounds all its
// attempts together.
//
// A field that is zero keeps its default, so Timeouts{Action: time.Hour} changes
// one. A negative one is no bound, except for Login, Outcome and Close, where nothing else
// would bound the request and [ErrInvalidInput] is given.
type Timeouts struct {
	// Connect bounds the TCP connection and, once more, the TLS handshake: 15
	// seconds by default.
	Connect time.Duration
	// Login bounds a login with its further attempts: 1 minute by default. A
	// re-login runs on this limit and not on its caller's, because several callers
	// wait for it.
	Login time.Duration
	// Read bounds a GET: 1 minute by default.
	Read time.Duration
	// Write bounds a write outside and inside of a transaction: 2 minutes by
	// default.
	Write time.Duration
	// Commit bounds the commit of a transaction, which may restart services: 10
	// minutes by default.
	Commit time.Duration
	// Action bounds a firmware test and other actions, which may take minutes: 30
	// minutes by default.
	Action time.Duration
	// Stall bounds the time in which no byte of an upload or a download moves: 2
	// minutes by default. As a whole these have no limit but their context.
	Stall time.Duration
	// Outcome bounds how long the appliance is asked what became of a commit, a join or
	// another request whose answer was lost: 5 minutes by default. An appliance may be
	// at work on it for that long after the connection broke.
	Outcome time.Duration
	// Close bounds all cleaning up together, at the end of a transaction and in
	// [Client.Close]: the rollback and the log-outs, which are sent even when the
	// caller's context is done, and the wait for a commit that was sent, which may use
	// half of it. A context that ends while Client.Close runs bounds that, too. 20 seconds
	// by default.
	Close time.Duration
}

// DefaultTimeouts are the limits without [WithTimeouts].
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

// WithTimeouts sets the time limits; those that are zero stay as in
// [DefaultTimeouts].
func WithTimeouts(timeouts Timeouts) Option {
	return func(o *config) error {
		if timeouts.Close < 0 || timeouts.Login < 0 || timeouts.Outcome < 0 {
			return invalid("the limits Close, Login and Outcome cannot be switched off: nothing else bounds these requests")
		}
		o.timeouts = timeouts.effective()
		return nil
	}
}

// effective are the limits with their defaults, in which zero is no bound.
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
