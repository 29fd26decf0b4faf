package spstest

import (
	"crypto/x509"
	"net/http"
	"strconv"
	"strings"
	"time"
)

type user struct {
	name     string
	password string
	readOnly bool
	limits   []limit

	noPassword bool // the user cannot log in with a password
	named      bool // an option set the password
	added      bool // WithUser added the user
	granted    bool // an option set the rights
}

type session struct {
	label   string
	cookie  string
	token   string // the value of X-Token that a browser must send
	user    *user
	method  object // the login method, as user_info shows it
	began   time.Time
	used    time.Time
	left    time.Duration // remaining time when the current request arrived
	ended   bool
	pending *transaction
}

// loginMethods returns the login methods.
func (a *Appliance) loginMethods() []object {
	methods := []object{{"name": "local", "authentication": "local", "credential": "password"}}
	if a.clientCAs != nil {
		methods = append(methods, object{"name": "x509", "authentication": "x509", "credential": "x509"})
	}
	return methods
}

func (a *Appliance) getLoginMethods(x *exchange) answer {
	if !a.profile.loginMethods {
		return a.notFound(x)
	}
	return reply(http.StatusOK, object{"login_methods": a.loginMethods(), "meta": x.meta()})
}

func (a *Appliance) getAuthenticationTypes(x *exchange) answer {
	if a.profile.loginMethods {
		return a.notFound(x)
	}
	types := []string{"basic"}
	if a.clientCAs != nil {
		types = append(types, "x509")
	}
	return reply(http.StatusOK, object{"types": types, "meta": x.meta()})
}

// logIn opens a session. It ignores the session cookie of the request and uses only its
// credentials.
func (a *Appliance) logIn(x *exchange) answer {
	if name := x.query.Get("login_method"); name != "" && !a.hasLoginMethod(name) {
		return a.challenge(a.wrongCredentials(x))
	}
	if x.query.Get("type") == "x509" {
		u := a.certificateUser(x.certificates)
		if u == nil {
			return a.challenge(a.wrongCredentials(x))
		}
		return a.begin(x, u, object{"name": "x509", "authentication": "x509", "credential": "x509"})
	}
	name, password, ok := (&http.Request{Header: x.header}).BasicAuth()
	if !ok {
		return a.challenge(a.unauthenticated(x))
	}
	u := a.users[name]
	if u == nil || u.noPassword || u.password != password {
		return a.challenge(a.wrongCredentials(x))
	}
	return a.begin(x, u, object{"name": "local", "authentication": "local", "credential": "password"})
}

func (a *Appliance) hasLoginMethod(name string) bool {
	for _, method := range a.loginMethods() {
		if method["name"] == name {
			return true
		}
	}
	return false
}

func (a *Appliance) wrongCredentials(x *exchange) answer {
	return a.refuse(x, "wrong-password", "The credentials are not valid", nil)
}

// challenge adds the header that requests Basic credentials. Some HTTP clients send
// credentials only after a response with this header.
func (a *Appliance) challenge(ans answer) answer {
	ans.header.Set("WWW-Authenticate", `Basic realm="SPS"`)
	return ans
}

func (a *Appliance) certificateUser(chain []*x509.Certificate) *user {
	if a.clientCAs == nil || len(chain) == 0 {
		return nil
	}
	intermediates := x509.NewCertPool()
	for _, c := range chain[1:] {
		intermediates.AddCert(c)
	}
	_, err := chain[0].Verify(x509.VerifyOptions{
		Roots:         a.clientCAs,
		Intermediates: intermediates,
		KeyUsages:     []x509.ExtKeyUsage{x509.ExtKeyUsageClientAuth},
	})
	name := chain[0].Subject.CommonName
	if err != nil || name == "" {
		return nil
	}
	if u := a.users[name]; u != nil {
		return u
	}
	return &user{name: name}
}

func (a *Appliance) begin(x *exchange, u *user, method object) answer {
	now := a.now()
	s := &session{
		cookie: a.id("session", 40),
		token:  a.id("token", 40),
		user:   u,
		method: method,
		began:  now,
		used:   now,
		left:   a.lifetime,
	}
	s.label = "s" + strconv.Itoa(a.ids["session"])
	a.sessions[s.cookie] = s
	x.session, x.label = s, s.label

	body := object{}
	if a.variant("login-body") == "meta" {
		body["meta"] = x.meta()
	}
	ans := reply(http.StatusOK, body)
	a.setCookies(ans.header, s)
	return ans
}

// setCookies sets the session cookie and another cookie. The purpose of the other cookie
// is not documented; a client must select the session cookie by its name.
func (a *Appliance) setCookies(h http.Header, s *session) {
	expires := a.now().Add(a.lifetime).UTC().Format(http.TimeFormat)
	seconds := strconv.Itoa(int(a.lifetime / time.Second))
	h.Add("Set-Cookie", "ticket="+s.token[:32]+"; expires="+expires+"; HttpOnly; Path=/; Secure")
	h.Add("Set-Cookie", "session_id="+s.cookie+"; expires="+expires+"; HttpOnly; Max-Age="+seconds+"; Path=/; Secure")
}

func (a *Appliance) logOut(x *exchange) answer {
	switch a.variant("logout") {
	case "404":
		return a.notFound(x)
	case "405":
		return a.methodNotAllowed(x, []string{http.MethodGet})
	}
	if x.holds() {
		return answer{}
	}
	a.end(x.session)
	if a.variant("logout") == "204" {
		return empty(http.StatusNoContent)
	}
	return reply(http.StatusOK, object{"meta": x.meta()})
}

// find sets the session of a request. If the session is alive, this counts as a use of
// the session.
func (a *Appliance) find(x *exchange) {
	x.session = nil // the session may have ended while the request waited
	for _, cookie := range (&http.Request{Header: x.header}).CookiesNamed("session_id") {
		s := a.sessions[cookie.Value]
		if s == nil {
			continue
		}
		x.label = s.label
		if s.ended {
			continue
		}
		now := a.now()
		s.left = s.deadline(a).Sub(now)
		s.used = now
		x.session = s
		return
	}
}

func (s *session) deadline(a *Appliance) time.Time {
	if a.variant("session-limit") == "absolute" {
		return s.began.Add(a.lifetime)
	}
	return s.used.Add(a.lifetime)
}

// remaining returns the value of remaining_seconds.
func (s *session) remaining() int { return int(s.left / time.Second) }

// end ends a session and its transaction.
func (a *Appliance) end(s *session) {
	if s == nil || s.ended {
		return
	}
	s.ended = true
	a.drop(s)
}

// reap ends the sessions whose lifetime is over.
func (a *Appliance) reap() {
	now := a.now()
	for _, s := range a.sessions {
		if !s.ended && !now.Before(s.deadline(a)) {
			a.end(s)
		}
	}
}

// browserRefused reports whether a write comes from a browser and lacks the token that
// protects against requests from other web pages.
func (a *Appliance) browserRefused(x *exchange) bool {
	return a.profile.browserToken && x.writes() &&
		strings.Contains(x.header.Get("User-Agent"), "Mozilla") &&
		(x.session == nil || x.header.Get("X-Token") != x.session.token)
}

// Sessions returns the number of live sessions of the REST API.
func (a *Appliance) Sessions() int {
	a.enter()
	defer a.mu.Unlock()
	n := 0
	for _, s := range a.sessions {
		if !s.ended {
			n++
		}
	}
	return n
}

// ExpireSessions ends the live sessions. Their open transactions are rolled back.
func (a *Appliance) ExpireSessions() {
	a.enter()
	defer a.mu.Unlock()
	for _, s := range a.sessions {
		a.end(s)
	}
}

// SetPassword changes the password of a user. If the user does not exist, SetPassword
// adds it with full rights. Open sessions of the user remain open.
func (a *Appliance) SetPassword(name, password string) {
	a.enter()
	defer a.mu.Unlock()
	if u := a.users[name]; u != nil {
		u.password, u.noPassword = password, false
		return
	}
	a.users[name] = &user{name: name, password: password}
}
