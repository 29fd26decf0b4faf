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

	noPassword bool // none is right
	named      bool // by an option
	added      bool // by WithUser
	granted    bool // an option gave rights
}

type session struct {
	label   string
	cookie  string
	token   string // what a browser must send as X-Token
	user    *user
	method  object // the login method, as user_info shows it
	began   time.Time
	used    time.Time
	left    time.Duration // how much was left when the present request came
	ended   bool
	pending *transaction
}

// loginMethods lists the ways to log in.
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

// logIn begins a session. A session cookie that comes along is not looked at:
// this is the one place where credentials count.
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

// challenge asks for Basic credentials: some HTTP clients send none unasked.
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

// setCookies sets the session cookie and its companion, whose purpose nobody
// has documented: a client must pick by name.
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

// find looks the session of a request up and, if it lives, counts the use.
func (a *Appliance) find(x *exchange) {
	x.session = nil // of a request that waited, it may have ended
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

// remaining is the value of remaining_seconds.
func (s *session) remaining() int { return int(s.left / time.Second) }

// end ends a session and what hangs on it.
func (a *Appliance) end(s *session) {
	if s == nil || s.ended {
		return
	}
	s.ended = true
	a.drop(s)
}

// reap ends the sessions whose time is over.
func (a *Appliance) reap() {
	now := a.now()
	for _, s := range a.sessions {
		if !s.ended && !now.Before(s.deadline(a)) {
			a.end(s)
		}
	}
}

// browserRefused tells whether a request looks like a browser's and lacks the
// token that keeps foreign web pages out.
func (a *Appliance) browserRefused(x *exchange) bool {
	return a.profile.browserToken && x.writes() &&
		strings.Contains(x.header.Get("User-Agent"), "Mozilla") &&
		(x.session == nil || x.header.Get("X-Token") != x.session.token)
}

// Sessions returns the number of live sessions.
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

// ExpireSessions ends every session, with its open transaction and its staged changes.
func (a *Appliance) ExpireSessions() {
	a.enter()
	defer a.mu.Unlock()
	for _, s := range a.sessions {
		a.end(s)
	}
}

// SetPassword changes the password of a user. If the user does not exist, it adds the
// user with full rights. Sessions remain open.
func (a *Appliance) SetPassword(name, password string) {
	a.enter()
	defer a.mu.Unlock()
	if u := a.users[name]; u != nil {
		u.password, u.noPassword = password, false
		return
	}
	a.users[name] = &user{name: name, password: password}
}
