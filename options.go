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

// Version is the version of this module. The client sends it in the User-Agent header.
const Version = "0.1.0"

// Option is an option of [Connect], [NewClient] and [ConnectFromEnv]. These functions
// return [ErrInvalidInput] if an option is invalid. A nil option does nothing.
type Option func(*config) error

// config is the result of the options and the credential.
type config struct {
	roots             *x509.CertPool
	pool              *x509.CertPool // the pool of WithRootCAs, which replaces roots
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

// joined makes one error from several errors. Its text is one line.
func joined(context string, errs []error) error {
	return &joinedError{context, errs}
}

// maxJoined is the maximum number of errors in the text of a joinedError.
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

// WithCABundle makes the client trust the certificate authorities in a PEM text instead
// of those of the system. Pass, for example, the certificate of the authority that signed
// the appliance's certificate. The option is invalid ([ErrInvalidInput]) if the text
// contains a private key or no certificate that can be read. The client skips other
// blocks that it cannot read. A warning in the log names these blocks, and so does a
// [CertificateError] about an unknown authority.
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

// WithRootCAs is like [WithCABundle] but takes a pool of certificates. For example, you
// can add the authority of your company to the pool that x509.SystemCertPool returns. The
// client copies the pool. The option is invalid ([ErrInvalidInput]) if the pool is nil,
// or together with WithCABundle.
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
// colons, or the form that openssl prints, "sha256 Fingerprint=52:2C:…". The fingerprint
// replaces the verification of the certificate authority and the host name, so the option
// works for an appliance with a self-signed certificate. If you also pass [WithCABundle]
// or [WithRootCAs], the client makes both checks.
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

// WithInsecureTLS makes the client accept any certificate. An attacker between the client
// and the appliance can then read the credential. Use this option only for experiments.
// [WithPinnedCertificates] is the safe alternative if you have no certificate of an
// authority. The client logs a warning if it has a logger.
func WithInsecureTLS() Option {
	return func(o *config) error {
		o.insecure = true
		return nil
	}
}

// WithLogger sets the logger of the client. The client logs one record, "sps request",
// for each attempt of a request, with the caller's context. The record contains the host,
// method, path, attempt, duration, the names of the query parameters, and the status code
// or the error. It contains no header, no body and no value of a query parameter. The
// level is Debug, or Warn if there was no response or if its status code was 500 or
// above. The client also logs other records, for example a warning about
// [WithInsecureTLS], about a CA bundle that cannot be read completely, about
// [TrustStore.Warnings], or about a lost response. Without this option, the client logs
// nothing.
func WithLogger(logger *slog.Logger) Option {
	return func(o *config) error {
		o.logger = logger
		return nil
	}
}

// WithTransport wraps the http.RoundTripper of the client, for tracing, recording or
// fault injection. wrap is called once and may also return a different RoundTripper. The
// option is invalid ([ErrInvalidInput]) if wrap is nil. If you pass the option several
// times, the last one is the outermost. The RoundTripper receives each attempt of a
// request, with the values of the caller's context. Requests and responses contain the
// credentials and the session cookie: do not record these. The RoundTripper must be safe
// for concurrent use.
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
// the SDK in the User-Agent header. A text that contains "Mozilla" is invalid, because
// the appliance would treat the client as a browser and require an additional token.
func WithUserAgent(product string) Option {
	return func(o *config) error {
		switch {
		case strings.Contains(strings.ToLower(product), "mozilla"):
			return invalid("the User-Agent must not contain Mozilla: the appliance would treat the client as a browser")
		case strings.TrimSpace(product) == "" || strings.ContainsFunc(product, func(r rune) bool { return r > unicode.MaxASCII || unicode.IsControl(r) }):
			return invalid("the User-Agent must be printable ASCII")
		}
		o.userAgent = strings.TrimSpace(product) + " go-sps/" + Version
		return nil
	}
}

// WithProxyFromEnvironment makes the client use the proxy that the environment variables
// HTTPS_PROXY and NO_PROXY define. Without this option, the client connects directly. The
// client verifies the certificate of an HTTPS proxy with the certificate authorities of
// the system. The trust options, such as [WithCABundle], and a [ClientCertificate] apply
// to the appliance and not to the proxy.
func WithProxyFromEnvironment() Option {
	return func(o *config) error {
		o.proxyFromEnv = true
		return nil
	}
}

// WithOneSession makes the client read and write in one session of the appliance, instead
// of two. Use it with one-time codes, with push notifications that permit one login, and
// with appliances that limit the number of sessions per user. Reads outside of a
// transaction then also return the staged changes of a running transaction. After a
// failed rollback, and after [ErrOutcomeUnknown], changes may remain staged in the
// session. The next call then first rolls them back; if that fails, the call returns
// ErrOutcomeUnknown. If a delayed request of an earlier transaction modifies the staged
// changes of the current transaction, the current transaction returns [ErrConflict].
//
// A client with an [ExistingSession] also has one session. A client with a [PasswordFunc]
// uses one session if its second login is refused while its first session is alive. It
// uses two sessions again after the appliance has accepted the same password twice,
// because that password is not a one-time code.
func WithOneSession() Option {
	return func(o *config) error {
		o.oneSession = true
		return nil
	}
}

// WithLoginRetry makes the client send a password or a certificate again after the
// appliance has refused it. The parameter every is the wait after a refusal, at least one
// minute. During the wait, calls that need a session return the error of the refused
// login at once. After the wait, the client logs in again when a call needs a session.
// Use the option for programs that run for a long time, because an appliance that is
// starting may refuse a correct password. Each refused login may bring the account closer
// to being locked, so choose a time after which the appliance no longer counts earlier
// attempts.
//
// Without this option, the client does not send a refused password again, except while
// [Firmware.WaitForVersion] or [Firmware.Upgrade] waits for the appliance to restart. If
// a [PasswordFunc] returns a different password, the client sends it without this delay,
// unless three logins in a row were refused.
func WithLoginRetry(every time.Duration) Option {
	return func(o *config) error {
		if every < time.Minute {
			return invalid("WithLoginRetry needs a minute or more: each attempt may lock the account")
		}
		o.loginEvery = every
		return nil
	}
}

// RetryPolicy sets how often the client retries a request and how long it waits before a
// retry. It does not change which requests are retried. The client retries reads after
// connection errors and after the status codes 429, 502, 503 and 504. It retries a write
// only if the appliance certainly has not executed it. Exceptions are the rollback, the
// log-out and the test of a firmware image, which are safe to repeat.
//
// A zero field keeps its default. RetryPolicy{Attempts: 1} turns retries off. It also
// prevents net/http from repeating a read by itself after a connection broke. With more
// attempts, net/http may do so, and the appliance may receive more requests than Attempts.
// The policy does not apply in two cases. If the appliance refuses a request because its session has
// expired, the client logs in and sends the request once more. If the response to a
// commit is lost, the client polls the appliance for the outcome, see
// [Client.Transaction].
type RetryPolicy struct {
	// Attempts is the maximum number of attempts, including the first: 4 by default. 1
	// means no retry.
	Attempts int
	// MinWait and MaxWait limit the waits between attempts: 500 ms and 10 s by default.
	// Each wait is a random time between zero and a limit. The limit is MinWait for the
	// first wait. It doubles for each further wait, up to MaxWait. A negative value means
	// no wait. If you set only one of the two fields, the default of the other is
	// adjusted so that MinWait is not greater than MaxWait.
	MinWait, MaxWait time.Duration
	// MaxRetryAfter is the longest time in a Retry-After header that the client waits: 30
	// s by default. If the appliance requires a longer wait, the client does not retry
	// the request. With a negative value, the client does not retry if the appliance
	// requires any wait.
	MaxRetryAfter time.Duration
}

// DefaultRetryPolicy returns the policy that applies without [WithRetry]: 4 attempts,
// waits of at most 500 ms, 1 s and 2 s, and a Retry-After of up to 30 s.
func DefaultRetryPolicy() RetryPolicy {
	return RetryPolicy{Attempts: 4, MinWait: 500 * time.Millisecond, MaxWait: 10 * time.Second, MaxRetryAfter: 30 * time.Second}
}

// WithRetry sets the retry policy. Zero fields of policy keep the values of
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

// orDefault replaces zero by the default and a negative value by zero. After that, zero
// means no wait or no limit.
func orDefault(set *time.Duration, standard time.Duration) {
	switch {
	case *set == 0:
		*set = standard
	case *set < 0:
		*set = 0
	}
}

// Timeouts are the time limits for one attempt of a request. Each kind of request has its
// own limit. It covers the time from the dial to the last byte of the response. The
// context of a call limits all its attempts together.
//
// A zero field keeps its default, so Timeouts{Action: time.Hour} changes one limit. A
// negative field means no limit. Login, Outcome and Close cannot be negative, because
// nothing else limits those requests: the client returns [ErrInvalidInput] for a negative
// value.
type Timeouts struct {
	// Connect limits the time to make the TCP connection and, separately, the time of the
	// TLS handshake: 15 seconds each by default.
	Connect time.Duration
	// Login limits a login including its retries: 1 minute by default. Several calls may
	// wait for the same login. If the context of one of them ends, this call returns, but
	// the login continues until this limit.
	Login time.Duration
	// Read limits a GET: 1 minute by default.
	Read time.Duration
	// Write limits a write inside or outside of a transaction: 2 minutes by default.
	Write time.Duration
	// Commit limits the commit of a transaction, which may restart services: 10 minutes
	// by default.
	Commit time.Duration
	// Action limits firmware tests and other actions, which may take minutes: 30 minutes
	// by default.
	Action time.Duration
	// Stall limits how long an upload or a download may make no progress: 2 minutes by
	// default. Only the context of the call limits the total time. After the last byte of
	// an upload, Action limits the wait for the response.
	Stall time.Duration
	// Outcome limits how long the client polls for the outcome of a commit, a join or
	// another request whose response was lost: 5 minutes by default. The appliance may
	// still be executing the request during this time.
	Outcome time.Duration
	// Close limits the total time of the cleanup at the end of a transaction and in
	// [Client.Close]: 20 seconds by default. The cleanup includes the rollback and the
	// log-outs, which are sent even if the caller's context is done. It also includes the
	// wait for a commit that was already sent, which may use half of the limit. If the
	// context of Client.Close ends while Client.Close runs, the cleanup stops.
	Close time.Duration
}

// DefaultTimeouts returns the limits that apply without [WithTimeouts].
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

// WithTimeouts sets the time limits. Zero fields of timeouts keep the values of
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
