package sps

import (
	"context"
	"crypto/tls"
	"encoding/base64"
	"errors"
	"fmt"
	"log/slog"
	"net/http"
	"net/http/httptrace"
	"net/url"
	"runtime/debug"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"time"
	"unicode"
	"unicode/utf8"

	"github.com/go-sps/sps/internal/attempt"
	"github.com/go-sps/sps/internal/wire"
)

// Credential is the credential with which a client logs in. Create one with
// [UsernamePassword], [PasswordFunc], [ClientCertificate] or [ExistingSession].
type Credential interface{ credential() *credential }

// CredentialOption is an option of a credential: [WithLoginMethod]. A nil option does
// nothing.
type CredentialOption func(*credential)

// credential holds any kind of credential. The client sends it to /api/authentication
// only.
type credential struct {
	username    string
	password    func(context.Context) (Secret, error)
	certificate *tls.Certificate
	existing    Secret
	method      string
	class       class // the class of the login request
	invalid     error
}

func (c *credential) credential() *credential { return c }

// String returns the kind of the credential and the user name. The text contains no
// secret.
func (c *credential) String() string {
	switch {
	case c.certificate != nil:
		return "certificate"
	case c.password != nil:
		return "password of " + c.username
	}
	return "existing session"
}

// GoString returns the same text as String.
func (c *credential) GoString() string { return c.String() }

// UsernamePassword returns a credential for HTTP Basic authentication, encoded as UTF-8
// (GET /api/authentication). The user name must not be empty, and must not contain a
// colon, because HTTP Basic does not permit one. The password must not be empty. Both
// must not contain invisible characters, such as a line feed from the end of a file. If
// the credential is invalid, [Connect] returns [ErrInvalidInput].
func UsernamePassword(username string, password Secret, options ...CredentialOption) Credential {
	c := newPassword(username, func(context.Context) (Secret, error) { return password, nil }, options)
	if c.invalid == nil {
		c.invalid = checkPassword(password)
	}
	return c
}

// PasswordFunc returns a credential like [UsernamePassword] whose password comes from a
// function. The client calls the function before each login, for example after a session
// has expired. Use PasswordFunc with a vault that rotates the password, or with one-time
// codes. The context of the function ends after [Timeouts].Login.
//
// After a refused login, the client calls the function again when a call needs a session,
// but at most once in 5 seconds. It logs in with the new password if the appliance has
// not refused this password before. After three refused logins in a row, it does not log
// in again. See [WithLoginRetry] to send a refused password again.
//
// A client logs in a second time for its first transaction, and again when a session has
// expired. For one-time codes, the function must return the code that is currently valid.
// If the appliance refuses a code because it was already used, calls that need a login
// return this refusal at once, until the function returns the next code. If the second
// login is refused while the first session is alive, the client reads and writes in the
// first session, until the appliance has accepted the same password twice.
// [WithOneSession] avoids the second login. If the response to a login is lost, the client
// does not repeat the request, because it might use a one-time code twice.
func PasswordFunc(username string, password func(context.Context) (Secret, error), options ...CredentialOption) Credential {
	c := newPassword(username, password, options)
	c.class = classCode
	if password == nil {
		c.invalid = invalid("the function of PasswordFunc is nil")
	}
	return c
}

func newPassword(username string, password func(context.Context) (Secret, error), options []CredentialOption) *credential {
	c := &credential{username: username, password: password, class: classLogin}
	switch {
	case username == "":
		c.invalid = invalid("the user name is empty")
	case strings.Contains(username, ":"):
		c.invalid = invalid("a user name with a colon cannot be sent by HTTP Basic")
	default:
		c.invalid = checkVisible("user name", username)
	}
	return c.apply(options)
}

// checkVisible returns an error if a part of a credential contains an invisible
// character, such as the line feed at the end of a file or a byte order mark. Such a
// character is there by mistake: the appliance would refuse the login and might lock the
// account.
func checkVisible(what, text string) error {
	if !utf8.ValidString(text) {
		return invalid("the %s is not valid UTF-8", what)
	}
	where := "has an invisible character"
	i := strings.IndexFunc(text, invisible)
	if i < 0 {
		return nil
	}
	r, size := utf8.DecodeRuneInString(text[i:])
	switch {
	case i+size == len(text), strings.Trim(text[i:], "\r\n") == "":
		where = "ends with an invisible character"
	case i == 0:
		where = "begins with an invisible character"
	}
	name := fmt.Sprintf("%U", r)
	if known := map[rune]string{'\n': "a line feed", '\r': "a carriage return", '\t': "a tab", '\ufeff': "a byte order mark"}[r]; known != "" {
		name = known
	}
	return invalid("the %s %s (%s), probably by mistake: remove it", what, where, name)
}

// invisible reports whether a character is invisible. It returns false for a space, and
// for the joiners U+200C and U+200D, which have a visible effect on the characters next
// to them.
func invisible(r rune) bool {
	return unicode.IsControl(r) || unicode.In(r, unicode.Zl, unicode.Zp) ||
		unicode.Is(unicode.Cf, r) && r != '\u200c' && r != '\u200d'
}

func checkPassword(password Secret) error {
	if password.IsZero() {
		return invalid("the password is empty")
	}
	return checkVisible("password", password.ExposeString())
}

// ClientCertificate returns a credential for authentication with an X.509 certificate
// (GET /api/authentication?type=x509). The private key may be any crypto.Signer, for
// example one in a hardware module or a vault. With TLS 1.2, the server may request the
// certificate after it has received the HTTP request. The client therefore permits one
// TLS renegotiation per connection.
func ClientCertificate(certificate tls.Certificate, options ...CredentialOption) Credential {
	c := &credential{certificate: &certificate, class: classLogin}
	if len(certificate.Certificate) == 0 || certificate.PrivateKey == nil {
		c.invalid = invalid("the client certificate lacks the certificate or the private key")
	}
	return c.apply(options)
}

// ExistingSession returns a credential for a session that already exists. id is the value
// of its session_id cookie. [Connect] sends no request, so the first call fails if the id
// is wrong. The client cannot renew the session when it expires, and [Client.Close] does
// not log out of it.
func ExistingSession(id Secret) Credential {
	c := &credential{existing: id}
	if !validSessionID(id.ExposeString()) {
		c.invalid = invalid("the session id is empty or has characters that are not allowed in a cookie")
	}
	return c
}

// WithLoginMethod selects a login method of the appliance by its name, such as "local";
// see [LoginMethods]. Without this option, the appliance tries all methods that apply.
func WithLoginMethod(name string) CredentialOption {
	return func(c *credential) {
		c.method = name
		switch err := checkVisible("login method", name); {
		case strings.TrimSpace(name) == "":
			c.invalid = invalid("the login method is empty")
		case err != nil:
			c.invalid = err
		}
	}
}

func (c *credential) apply(options []CredentialOption) *credential {
	for option := range given(options) {
		option(c)
	}
	return c
}

// request makes the call that logs in: GET /api/authentication.
func (c *credential) request(ctx context.Context) (*call, error) {
	// The client uses only the status and the cookie of the answer.
	k := &call{class: c.class, method: http.MethodGet, path: authenticationPath, query: url.Values{}, intake: intake{raw: true}}
	if c.method != "" {
		k.query.Set("login_method", c.method)
	}
	if c.certificate != nil {
		k.query.Set("type", "x509")
		return k, nil
	}
	password, err := c.password(ctx)
	if err == nil {
		err = checkPassword(password)
	}
	if err != nil {
		return nil, errorf("sps: no password for the login: %w", inOneLine{err})
	}
	basic := base64.StdEncoding.EncodeToString([]byte(c.username + ":" + password.ExposeString()))
	k.header = http.Header{"Authorization": {"Basic " + basic}}
	k.secret = []Secret{password, NewSecretString(basic)}
	return k, nil
}

var authenticationPath = mustPath("authentication")

// sessionCookie is the name of the session's cookie.
const sessionCookie = "session_id"

// session is one login to the appliance.
type session struct {
	id     atomic.Pointer[string] // the Cookie header
	hidden []Secret               // the secrets of the login, which errors must not show
	// suspect is the time until which the appliance may still execute a delayed request
	// of an earlier transaction in this session, in Unix nanoseconds; 0 if there is no
	// such request. The request could change what the current transaction has staged.
	suspect atomic.Int64
	said    atomic.Pointer[[]Secret] // the secrets of bodies that were sent in the session, which errors must not show either
	ends    atomic.Int64             // when the session ends, as the appliance last reported, in Unix nanoseconds; 0 if unknown
}

// suspicious reports whether a delayed request of an earlier transaction may change what
// is staged in the session.
func (s *session) suspicious() bool { return time.Now().UnixNano() < s.suspect.Load() }

// maxSaid is the maximum number of secrets that a session stores.
const maxSaid = 1000

// remember stores the secrets of a request body, because the appliance may repeat them
// when it refuses a later request.
func (s *session) remember(secrets []Secret) {
	for {
		old := s.said.Load()
		var all []Secret
		if old != nil {
			all = *old
		}
		n := len(all)
		for _, secret := range secrets {
			if !slices.ContainsFunc(all, func(known Secret) bool { return known.ExposeString() == secret.ExposeString() }) {
				all = append(all[:len(all):len(all)], secret)
			}
		}
		if len(all) == n {
			return
		}
		all = all[max(0, len(all)-maxSaid):]
		if s.said.CompareAndSwap(old, &all) {
			return
		}
	}
}

// note stores how long the session remains valid if it is not used.
func (s *session) note(remaining time.Duration) {
	if remaining > 0 {
		s.ends.Store(time.Now().Add(remaining).UnixNano())
	}
}

// remaining returns how long the session remains valid if it is not used, or 0 if
// unknown.
func (s *session) remaining() time.Duration {
	if ends := s.ends.Load(); ends != 0 {
		return max(0, time.Until(time.Unix(0, ends)))
	}
	return 0
}

// endsIn returns a text that says when an unused session ends.
func (s *session) endsIn() string {
	if left := s.remaining(); left > 0 {
		return fmt.Sprintf(" until that session ends, in %s if nobody uses it", left.Round(time.Second))
	}
	return " until that session times out"
}

func newSession(id string, hidden []Secret) *session {
	s := &session{hidden: hidden}
	s.set(id)
	return s
}

func (s *session) set(id string) {
	pair := sessionCookie + "=" + id
	s.id.Store(&pair)
}

// cookie returns the Cookie header of a request in this session.
func (s *session) cookie() string { return *s.id.Load() }

// String returns a fixed text, so that printing a session does not show its id.
func (s *session) String() string { return "session" }

// GoString returns a fixed text, so that printing a session does not show its id.
func (s *session) GoString() string { return "session" }

// refresh stores a new session id if the answer sets one.
func (s *session) refresh(header http.Header, host string) {
	if len(header["Set-Cookie"]) == 0 {
		return
	}
	if id := sessionID(header, host); id != "" {
		s.set(id)
	}
}

// sessionID returns the session id from the cookies that an answer sets, or "". It
// ignores the expiry of the cookie, because the expiry may be in the past if the clocks
// of the client and the appliance differ. The appliance ends its sessions itself.
func sessionID(header http.Header, host string) string {
	id := ""
	for _, line := range header["Set-Cookie"] {
		cookie, err := http.ParseSetCookie(line)
		if err != nil || cookie.Name != sessionCookie || !validSessionID(cookie.Value) {
			continue
		}
		if cookie.Domain != "" && !sameDomain(host, cookie.Domain) {
			continue
		}
		if cookie.MaxAge < 0 || cookie.Path != "" && !strings.HasPrefix("/api/", strings.TrimSuffix(cookie.Path, "/")+"/") {
			continue // the appliance deletes the cookie, or it belongs to another application
		}
		id = cookie.Value
	}
	return id
}

func sameDomain(host, domain string) bool {
	name := withoutZone((&url.URL{Host: host}).Hostname())
	domain = strings.TrimPrefix(domain, ".")
	return strings.EqualFold(name, domain) || strings.HasSuffix(strings.ToLower(name), "."+strings.ToLower(domain))
}

func validSessionID(id string) bool {
	return id != "" && len(id) <= 4096 && !strings.ContainsFunc(id, func(r rune) bool {
		return r <= ' ' || r >= 0x7f || strings.ContainsRune(`",;\`, r)
	})
}

// logins is the part of a client that its two sessions share: the credential, and the
// results of the logins. Only one login runs at a time, so that the client sends a wrong
// password once and not twice.
type logins struct {
	transport  *transport
	credential *credential
	life       context.Context                 // the context of the client, which Close cancels
	one        chan struct{}                   // held by the login that is running
	unused     func(context.Context, *session) // ends an unused session

	every time.Duration // time after which a refused secret is sent again; 0 means never

	mu       sync.Mutex
	refused  refusals
	accepted *Secret // the secret of the last successful login, or nil
	reusable bool    // the same secret was accepted twice, so it is not a one-time code
	closed   bool
	single   bool // transactions use the reading session
	presumed bool // single was set because a second login was refused
	waiting  int  // number of callers that wait for a restart, during which a refusal may be temporary
	late     bool // Close has returned, so a login that still succeeds must log out by itself
}

// refusals are the refused logins since the last successful one.
type refusals struct {
	count int       // the number of refusals, without those during a wait for a restart
	last  error     // the latest refusal, or nil
	at    time.Time // time of the latest refusal
	asked time.Time // time of the latest login, successful or not
	shown []Secret  // the latest refused secrets
}

// Limits for a credential that is refused. Each attempt may lock the account.
const (
	maxRefusals = 3
	// refusalPause is the minimum time before the password function is called again after
	// a refusal.
	refusalPause = 5 * time.Second
)

// refusedLogin is the error of a refused login, with a text about the next login.
type refusedLogin struct {
	err  error
	next string
}

func (r *refusedLogin) Error() string { return r.err.Error() + " (" + r.next + ")" }

func (r *refusedLogin) Unwrap() error { return r.err }

func (r *refusedLogin) LogValue() slog.Value { return logged(r) }

// sessions manages one of the client's two sessions: the session for reading or the
// session for writing. All goroutines that need the session share one login.
type sessions struct {
	*logins
	reading *sessions // for the session for writing: the session for reading; otherwise nil
	current *session
	flight  *flight
}

// flight is a running login.
type flight struct {
	done   chan struct{}
	cancel context.CancelFunc
	phase  atomic.Pointer[string] // the current step of the login, as a text for an error
	err    error
}

// get returns the current session. It logs in if there is none or if the current session
// is stale. The login continues when ctx ends, because other goroutines may wait for it.
func (s *sessions) get(ctx context.Context, stale *session) (*session, error) {
	return s.until(ctx, s.life, stale)
}

// until is like get, but the wait ends when life ends, instead of when the client is
// closed.
func (s *sessions) until(ctx, life context.Context, stale *session) (*session, error) {
	for {
		s.mu.Lock()
		if s.current == stale {
			s.current = nil
		}
		current, err := s.current, s.blocked()
		if err != nil || current != nil {
			s.mu.Unlock()
			return current, err
		}
		f := s.flight
		if f == nil && ctx.Err() != nil { // do not start a login for a call that has already ended
			s.mu.Unlock()
			return nil, &TransportError{Host: s.transport.host, Method: http.MethodGet, Path: authenticationPath.Text, Err: ended(ctx)}
		}
		if f == nil {
			f = &flight{done: make(chan struct{})}
			s.flight = f
			limit := s.transport.timeouts.Login
			flying, cancel := context.WithTimeoutCause(context.WithoutCancel(ctx), limit, attempt.Timeout(limit))
			f.cancel = cancel
			go s.login(f.traced(flying), f)
		}
		s.mu.Unlock()
		select {
		case <-f.done:
			if f.err != nil {
				return nil, f.err
			}
		case <-ctx.Done():
			return nil, s.waited(f, ended(ctx))
		case <-life.Done():
			return nil, s.waited(f, ended(life))
		}
	}
}

// traced returns a context that records the progress of a login in f.
func (f *flight) traced(ctx context.Context) context.Context {
	f.note("for another login of this client")
	return httptrace.WithClientTrace(ctx, &httptrace.ClientTrace{
		GetConn:           func(string) { f.note("for a connection") },
		TLSHandshakeStart: func() { f.note("for the TLS handshake") },
		TLSHandshakeDone:  func(tls.ConnectionState, error) { f.note("for a connection") },
		WroteRequest:      func(httptrace.WroteRequestInfo) { f.note("for the answer to the login") },
	})
}

func (f *flight) note(phase string) { f.phase.Store(&phase) }

// waited makes the error of a caller that stopped waiting before the login ended.
func (s *sessions) waited(f *flight, why error) error {
	if errors.Is(why, ErrClosed) {
		return fmt.Errorf("sps: %s: %w", s.transport.host, why)
	}
	return &TransportError{
		Host: s.transport.host, Method: http.MethodGet, Path: authenticationPath.Text, Attempts: 1,
		Err: fmt.Errorf("%w while waiting %s", why, *f.phase.Load()),
	}
}

// blocked returns the reason why no session is available, or nil. The caller holds mu.
func (s *sessions) blocked() error {
	switch {
	case s.closed:
		return fmt.Errorf("sps: %s: %w", s.transport.host, ErrClosed)
	case s.current != nil:
		return nil
	case !s.renewable():
		return errExpiredExisting
	case s.held():
		return s.refused.last
	}
	return nil
}

// held reports whether earlier refusals forbid a login now. The caller holds mu.
func (l *logins) held() bool {
	r := &l.refused
	switch {
	case r.last == nil, l.due():
		return false
	case r.count == 0: // during a wait for a restart
		return time.Since(r.at) < loginPause
	case l.spent():
		return true
	}
	return time.Since(r.asked) < refusalPause
}

// due reports whether enough time has passed for another login with a refused secret, see
// [WithLoginRetry]. The caller holds mu.
func (l *logins) due() bool { return l.every > 0 && time.Since(l.refused.at) >= l.every }

// spent reports whether the client does not log in again by itself. The caller holds mu.
func (l *logins) spent() bool {
	return l.refused.count >= maxRefusals || l.refused.count > 0 && l.credential.class != classCode
}

// sendable returns nil if a secret may be sent. If the appliance has refused the secret,
// sendable returns the error of the latest refused login.
func (l *logins) sendable(shown Secret) error {
	l.mu.Lock()
	defer l.mu.Unlock()
	r := &l.refused
	if r.count == 0 || l.due() || !slices.ContainsFunc(r.shown, shown.Equal) {
		return nil
	}
	return r.last
}

// taken records a successful login. The caller holds mu.
func (l *logins) taken(shown Secret) {
	l.reusable = l.reusable || l.accepted != nil && l.accepted.Equal(shown)
	if l.presumed && l.reusable { // the password is not a one-time code, so two sessions work
		l.single, l.presumed = false, false
	}
	l.accepted, l.refused = &shown, refusals{}
}

// refuse records a refused login. It returns the error, with a text about the next login.
// The caller holds mu.
func (l *logins) refuse(shown Secret, err error) error {
	r := &l.refused
	r.at, r.asked, r.last = time.Now(), time.Now(), err
	if l.waiting == 0 || r.count > 0 {
		r.count++
		r.shown = append(r.shown, shown)
		r.shown = r.shown[max(0, len(r.shown)-maxRefusals):]
		r.last = &refusedLogin{err, l.outlook(shown)}
	}
	return r.last
}

// outlook returns a text for an error that says whether and when the client logs in again
// after a refusal. The caller holds mu.
func (l *logins) outlook(shown Secret) string {
	what, before := "password", ""
	if l.credential.certificate != nil {
		what = "certificate"
	}
	known := l.accepted != nil && l.accepted.Equal(shown)
	if known {
		before = "the same " + what + " was accepted before: it was changed meanwhile, or the appliance is starting; "
	}
	switch {
	case l.every > 0:
		return before + "the client logs in again after " + l.every.String() + ", see WithLoginRetry"
	case !l.spent():
		next := before + "the client logs in again when the password function returns another password"
		if known {
			next += "; pass WithLoginRetry to send the same password again"
		}
		return next
	case l.refused.count >= maxRefusals:
		return fmt.Sprintf("%s%d logins in a row were refused, so the client does not log in again: connect again with the correct credential", before, l.refused.count)
	case known:
		return before + "the client does not log in again: connect again with the correct credential, or pass WithLoginRetry to send the same " + what + " again"
	}
	return "the client does not log in again: connect again with the correct credential"
}

// dead returns the reason why no further call can succeed, or nil.
func (l *logins) dead(all ...*sessions) error {
	l.mu.Lock()
	defer l.mu.Unlock()
	for _, s := range all {
		if s.current != nil {
			return nil
		}
	}
	switch {
	case !l.renewable():
		return errExpiredExisting
	case l.every == 0 && l.spent():
		return l.refused.last
	}
	return nil
}

func (l *logins) renewable() bool { return l.credential.existing.IsZero() }

// separate reports whether transactions have a session of their own.
func (l *logins) separate() bool {
	l.mu.Lock()
	defer l.mu.Unlock()
	return !l.single
}

// patient permits further logins after a refusal, until end is called. A wait for a
// restart uses it, because an appliance that is starting may refuse a correct password.
func (l *logins) patient() (end func()) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.waiting++
	return func() {
		l.mu.Lock()
		defer l.mu.Unlock()
		if l.waiting--; l.waiting == 0 && l.refused.count == 0 {
			l.refused = refusals{}
		}
	}
}

// now returns the current session, or nil.
func (s *sessions) now() *session {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.current
}

// giveUp cancels a running login.
func (s *sessions) giveUp() {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.flight != nil {
		s.flight.cancel()
	}
}

// drop removes an expired session, so that the next call logs in.
func (s *sessions) drop(expired *session) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.current == expired {
		s.current = nil
	}
}

// login opens a session within its own time limit. It ends the flight even if the
// password function or a RoundTripper panics or calls runtime.Goexit.
func (s *sessions) login(ctx context.Context, f *flight) {
	defer f.cancel()
	var next *session
	var shown Secret
	var refused bool
	err := errors.New("sps: the password function or the RoundTripper ended the goroutine of the login")
	defer func() {
		if value := recover(); value != nil {
			err = &PanicError{value, debug.Stack()}
		}
		s.mu.Lock()
		defer s.mu.Unlock()
		if s.late && err == nil {
			go s.transport.logOut(context.WithoutCancel(ctx), next) // Close has already returned
		}
		s.flight = nil
		f.err = err
		switch {
		case err == nil:
			s.taken(shown)
			s.current = next
		case refused:
			if s.oneOnly() {
				s.single, s.presumed = true, true
			}
			f.err = s.refuse(shown, err)
		}
		close(f.done)
	}()
	select {
	case s.one <- struct{}{}:
		defer func() { <-s.one }()
	case <-ctx.Done():
		err = s.waited(f, ended(ctx))
		return
	}
	f.note("for the login")
	s.mu.Lock()
	blocked := s.blocked() // the other login may have been refused meanwhile
	if blocked == nil {
		s.refused.asked = time.Now()
	}
	s.mu.Unlock()
	if blocked != nil {
		err = blocked
		return
	}
	next, shown, refused, err = s.open(ctx)
}

// oneOnly reports whether a refused login for the writing session may mean that the
// credential permits only one login, as a one-time code does. The caller holds mu.
func (s *sessions) oneOnly() bool {
	return s.credential.class == classCode && !s.reusable && !s.single && s.reading != nil && s.reading.current != nil
}

// open logs in. shown is the secret that open sent, or the zero value for a certificate.
// refused reports whether the appliance refused the credential.
func (s *sessions) open(ctx context.Context) (opened *session, shown Secret, refused bool, err error) {
	k, err := s.credential.request(ctx)
	if err != nil {
		return nil, shown, false, &located{s.transport.host, err}
	}
	if len(k.secret) > 0 {
		shown = k.secret[0]
	}
	if err := s.sendable(shown); err != nil {
		return nil, shown, false, err
	}
	if k.class == classCode {
		// On a reused connection, net/http may repeat a GET by itself, which would use a
		// one-time code twice.
		s.transport.base.CloseIdleConnections()
	}
	var ids []string // the ids of the sessions, one for each attempt that received a session
	named := false   // whether the last attempt received a session
	k.seen = func(header http.Header) {
		id := sessionID(header, s.transport.host)
		if named = id != ""; named {
			ids = append(ids, id)
		}
	}
	a, err := s.transport.do(ctx, k, nil)
	if err == nil && len(ids) == 0 {
		return nil, shown, false, noSession(a)
	}
	if err == nil {
		last := len(ids) - 1
		opened, ids = newSession(ids[last], k.secret), ids[:last]
	}
	var answered *Error
	if errors.As(err, &answered) && named {
		ids = ids[:len(ids)-1] // a refusal opens no session
	}
	for _, id := range ids { // sessions of attempts whose answer could not be read completely
		s.unused(context.WithoutCancel(ctx), newSession(id, nil))
	}
	return opened, shown, refusesCredential(err), err
}

// noSession makes the error of a login that succeeded but did not return a session
// cookie.
func noSession(a *answer) error {
	if kind := contentType(a.header); kind != "" && kind != "application/json" {
		return a.unusable("the login was answered with %s and no %s cookie: is this the address of an SPS appliance?", oneLine(kind, 60), sessionCookie)
	}
	return a.unusable("the login succeeded without a usable %s cookie", sessionCookie)
}

// refusesCredential reports whether an error means that the credential is wrong. It
// returns false if the login may succeed later, for example if a server in front of the
// API has refused the request with an HTML page.
func refusesCredential(err error) bool {
	var refused *Error
	if !errors.As(err, &refused) {
		return false
	}
	switch refused.Type {
	case AuthenticationFailure, Unauthenticated, Unauthorized:
		return true
	}
	return refused.Status == http.StatusUnauthorized || refused.Type != "" && refused.Status == http.StatusForbidden
}

// errLateLogin means that a login did not end in time.
var errLateLogin = errors.New("a login was still running: the session that it may have opened ends when it times out")

// close prevents further logins, waits for running ones, and returns the sessions that
// must be logged out. An [ExistingSession] is not among them. close cancels a login that
// takes longer than ctx, and waits until the login has ended or bound is done.
func (l *logins) close(ctx, bound context.Context, all ...*sessions) (left []*session, err error) {
	l.mu.Lock()
	l.closed = true
	var flights []*flight
	for _, s := range all {
		if s.flight != nil {
			flights = append(flights, s.flight)
		}
	}
	l.mu.Unlock()
	for _, f := range flights {
		select {
		case <-f.done:
		case <-ctx.Done():
			err = errLateLogin
			f.cancel()
			select {
			case <-f.done:
			case <-time.After(lateLoginGrace):
			case <-bound.Done():
			}
		}
	}
	l.mu.Lock()
	defer l.mu.Unlock()
	for _, s := range all {
		l.late = l.late || s.flight != nil
		if s.current != nil && l.renewable() {
			left = append(left, s.current)
		}
		s.current = nil
	}
	if len(flights) == len(left) { // all logins have ended
		err = nil
	}
	return left, err
}

// lateLoginGrace is how long Close waits for a login that it has cancelled.
const lateLoginGrace = 500 * time.Millisecond

// logOut ends a session on the appliance. ended is false if the appliance does not have
// the endpoint for the log-out.
func (t *transport) logOut(ctx context.Context, s *session) (ended bool, err error) {
	ctx, cancel := context.WithTimeout(ctx, t.timeouts.Close)
	defer cancel()
	_, err = t.do(ctx, &call{class: classLogOut, method: logOutMethod, path: logOutPath, intake: intake{raw: true}}, s)
	var refused *Error
	if errors.As(err, &refused) && logOutDone(refused) {
		return refused.Status == http.StatusUnauthorized || refused.Type == Unauthenticated, nil
	}
	return err == nil, err
}

// expired reports whether the result of a call means that the session has ended: the
// error is a 401 that is not about a wrong password, or the answer is the one that GET
// /api/info returns without a session.
func expired(k *call, a *answer, err error) bool {
	if err != nil {
		var refused *Error
		return errors.As(err, &refused) && (refused.Type == Unauthenticated || refused.Type == "" && refused.Status == http.StatusUnauthorized)
	}
	if k.method != http.MethodGet || k.path != infoPath {
		return false
	}
	// Without a session, the endpoint returns fewer members.
	return wire.Kind(a.Body) == wire.Object && member(a.Body, "firmware_version") == nil
}

// LoginMethod is a login method of an appliance.
type LoginMethod struct {
	// Name is the name of the method. Pass it to [WithLoginMethod].
	Name string
	// Authentication is the place where the appliance looks up users: "local", "ldap",
	// "x509", "radius" or "saml2". It is empty if the appliance does not report it.
	Authentication string
	// Credential is the kind of credential with which users log in, such as "password" or
	// "x509". It is empty if the appliance does not report it.
	Credential string
}

// anonymously reads an endpoint that needs no login.
func anonymously(ctx context.Context, host string, path apiPath, options []Option) (*answer, error) {
	o, err := newConfig(options)
	if err != nil {
		return nil, err
	}
	address, err := parseHost(host)
	if err != nil {
		return nil, err
	}
	o.warn(ctx, address)
	t, err := newTransport(address, o)
	if err != nil {
		return nil, err
	}
	defer t.base.CloseIdleConnections()
	return t.do(ctx, &call{method: http.MethodGet, path: path}, nil)
}

// LoginMethods lists the login methods of an appliance without logging in (GET
// /api/authentication/login_methods). Appliances before 7.0 do not have the endpoint: the
// error is [ResourceNotFound].
func LoginMethods(ctx context.Context, host string, options ...Option) ([]LoginMethod, error) {
	a, err := anonymously(ctx, host, loginMethodsPath, options)
	if err != nil {
		return nil, err
	}
	entries, err := wire.Elements(wire.Find(a.All, "login_methods"))
	if err != nil {
		return nil, a.unusable("the answer lacks the list login_methods")
	}
	methods := make([]LoginMethod, len(entries))
	for i, entry := range entries {
		methods[i] = newLoginMethod(entry)
	}
	return methods, nil
}

var loginMethodsPath = mustPath("authentication/login_methods")

// Limits for errors that can come from an appliance that is starting, but also from a
// wrong configuration.
const (
	maxRefusedLogins = 5
	maxUntrusted     = 3
	// loginPause is the minimum time between two refused logins, so that maxRefusedLogins
	// of them take at least a minute.
	loginPause = 15 * time.Second
)

func newLoginMethod(entry []byte) LoginMethod {
	name, authentication, credential := loginMethodOf(entry)
	return LoginMethod{Name: name, Authentication: authentication, Credential: credential}
}
