package spstest

import (
	"bytes"
	"context"
	"crypto/sha256"
	"crypto/tls"
	"crypto/x509"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"log"
	"net"
	"net/http"
	"sync"
	"time"
)

// inProcessAddr is the address of an appliance that does not listen.
const inProcessAddr = "appliance.test"

// TB is the part of testing.TB that [NewServer] needs. Package spstest does not import
// package testing, so that programs that are not tests can use spstest.
type TB interface {
	Helper()                           // marks the calling function as a test helper
	Cleanup(func())                    // registers the function that closes the appliance at the end of the test
	Errorf(format string, args ...any) // reports each fault that did not apply to any request
	Fatalf(format string, args ...any) // ends the test if the appliance cannot start or refuses an argument
}

// Appliance is one simulated appliance. Its methods are safe for concurrent use.
type Appliance struct {
	profile   profile
	variants  map[string]string
	clock     func() time.Time
	lifetime  time.Duration
	trace     func(Request)
	username  string
	listenOn  string
	listener  net.Listener // from WithListener; nil means that the appliance listens on listenOn
	unheard   bool         // set by WithoutListener: the appliance does not listen
	clientCAs *x509.CertPool
	addr      string
	tb        TB             // the test; nil if the appliance belongs to no test
	late      []func() error // parts of options that run after all options have been applied

	certificate tls.Certificate // the certificate at the start
	restart     Restart
	fetchPolls  int
	bundlePolls int

	server      *http.Server
	serving     chan struct{}
	connections sync.WaitGroup
	closed      chan struct{}
	closeOnce   sync.Once

	mu          sync.Mutex
	ca          []byte
	fingerprint string
	tlsConfig   *tls.Config // the TLS configuration of new connections
	users       map[string]*user
	sessions    map[string]*session // by cookie value; includes ended sessions, because the journal shows their labels
	ids         map[string]int      // the counter of each kind of generated id, by kind
	nodes       map[string]*node    // the nodes of the configuration tree, by path
	committed   *store
	lock        *session    // the session that holds the configuration lock, or nil
	outside     []*outsider // holders of the lock from LockConfiguration
	commits     []Commit
	slots       []Slot
	uploads     []Upload
	fetches     []*fetch
	images      map[string]served // images that can be downloaded, by URL
	phase       phase             // the phase of a restart
	left        int               // the number of requests or connections that this phase still handles
	outcome     Outcome
	upgrading   bool // the restart belongs to an upgrade
	restarts    int
	boots       int // how often the appliance went down
	restored    []stateUser
	reinstalls  int       // how often a version was installed over itself; changes the build date
	products    []Product // set by a test; nil means the default products
	productWarn string
	health      json.RawMessage // nil means healthy
	setup       string
	cluster     []json.RawMessage
	passwords   string // the address of the joined Safeguard for Privileged Passwords; "" if there is none
	bundles     []*bundle
	bundlesFail bool
	audit       *auditStore
	faults      []*activeFault
	cleared     []*activeFault // faults that ClearFaults removed before they applied to a request
	takes       []takesRule
	operations  []*operation // the running operations, sorted by their end
	waiting     []*operation // operations that wait for their turn, in the order of arrival
	at          time.Time    // the time at which the current overdue event was due; zero means the clock's time
	timer       *time.Timer  // fires at the end of the first operation
	armedFor    time.Time    // the time for which timer is set
	rings       int          // how often the timer was set or stopped
	timers      sync.WaitGroup
	journal     []*Request
}

// Option changes an appliance before it starts.
type Option func(*Appliance) error

// WithCredentials replaces the default administrator, whose name is admin and whose
// password is a. The administrator has all rights. If the state of [WithState] has a user
// with that name, the rights of the state apply instead.
func WithCredentials(username, password string) Option {
	return func(a *Appliance) error {
		if username == "" {
			return errors.New("spstest: the administrator needs a name")
		}
		if u := a.users[a.username]; u != nil && !u.added {
			delete(a.users, a.username)
		}
		a.username = username
		a.users[username] = &user{name: username, password: password, named: true}
		return nil
	}
}

// WithUser adds a user. Without rights, the user has [FullAccess], or the rights that the
// user of that name has in the state of [WithState]. If several rights are given, each of
// them restricts the user.
func WithUser(name, password string, rights ...Right) Option {
	return func(a *Appliance) error {
		u := &user{name: name, password: password, named: true, added: true, granted: len(rights) > 0}
		for _, right := range rights {
			if err := u.grant(right); err != nil {
				return err
			}
		}
		a.users[name] = u
		return nil
	}
}

// WithClientCA accepts X.509 logins (GET authentication?type=x509) with client
// certificates that the given CA signed. The common name of the certificate is the user
// name. A user that does not exist gets full rights.
func WithClientCA(caPEM []byte) Option {
	return func(a *Appliance) error {
		pool := x509.NewCertPool()
		if !pool.AppendCertsFromPEM(caPEM) {
			return errors.New("spstest: WithClientCA found no certificate in its PEM")
		}
		a.clientCAs = pool
		return nil
	}
}

// WithClock sets the clock of the appliance; the default is time.Now. Session limits,
// cookies and the duration of requests (see [WithTakes]) follow this clock.
func WithClock(now func() time.Time) Option {
	return func(a *Appliance) error { a.clock = now; return nil }
}

// WithSessionLifetime sets how long a session lasts after its latest request; the default
// is 12 hours. With the alternative "absolute" of the variant session-limit, d is the time
// from the login to the end of the session.
func WithSessionLifetime(d time.Duration) Option {
	return func(a *Appliance) error {
		if d <= 0 {
			return fmt.Errorf("spstest: session lifetime %v is not positive", d)
		}
		a.lifetime = d
		return nil
	}
}

// WithListenAddress sets the address to listen on, for example ":8443". The default is a
// free port of 127.0.0.1.
func WithListenAddress(addr string) Option {
	return func(a *Appliance) error { a.listenOn = addr; return nil }
}

// WithListener makes the appliance accept connections from the listener, for example a
// listener in memory. The appliance closes the listener.
func WithListener(listener net.Listener) Option {
	return func(a *Appliance) error { a.listener = listener; return nil }
}

// WithoutListener makes an appliance that does not listen. Send requests with
// [Appliance.RoundTrip] or [Appliance.Handler]. The appliance needs no socket, so it
// works in a testing/synctest bubble.
func WithoutListener() Option {
	return func(a *Appliance) error { a.unheard = true; return nil }
}

// WithCertificate sets the server certificate, for example to test a client with a wrong
// CA, an expired certificate, or a certificate that stays the same for several
// appliances. [Appliance.CA] then returns the last certificate of its chain.
func WithCertificate(certificate tls.Certificate) Option {
	return func(a *Appliance) error {
		if len(certificate.Certificate) == 0 {
			return errors.New("spstest: WithCertificate got an empty certificate")
		}
		a.certificate = certificate
		return nil
	}
}

// WithTrace calls f with each request after the request has ended. Calls may be
// concurrent.
func WithTrace(f func(Request)) Option {
	return func(a *Appliance) error { a.trace = f; return nil }
}

// NewServer makes an appliance and serves it over TLS, like httptest.NewServer. The
// appliance accepts connections when NewServer returns. [Appliance.Close] stops it. With
// [WithoutListener], the appliance does not listen.
//
// If t is a test, the appliance is closed when the test ends. The test then fails if a
// fault did not apply to any request, unless the fault has MayMiss. An invalid option
// ends the test, and so does a fault that [Appliance.Inject] refuses. If the test's
// Fatalf returns, NewServer returns nil.
//
// If t is nil, the program must close the appliance itself, and NewServer panics if there
// is an error.
func NewServer(t TB, opts ...Option) *Appliance {
	if t != nil {
		t.Helper()
	}
	a, err := newAppliance(t, opts)
	if err == nil {
		err = a.listen()
	}
	if err != nil {
		refuse(t, err)
		return nil
	}
	if t != nil {
		t.Cleanup(func() {
			a.Close()
			a.report()
		})
	}
	return a
}

// refuse ends the test with an error, or panics if there is no test.
func refuse(t TB, err error) {
	if t == nil {
		panic(err.Error())
	}
	t.Helper()
	t.Fatalf("%v", err)
}

func newAppliance(t TB, opts []Option) (*Appliance, error) {
	a := &Appliance{
		profile:  profiles[defaultProfile],
		variants: make(map[string]string),
		clock:    time.Now,
		lifetime: 12 * time.Hour,
		username: "admin",
		listenOn: "127.0.0.1:0",
		addr:     inProcessAddr,
		closed:   make(chan struct{}),
		users:    map[string]*user{"admin": {name: "admin", password: "a"}},
		sessions: make(map[string]*session),
		ids:      make(map[string]int),
		images:   make(map[string]served),
		restart:  defaultRestart,

		setup: "completed",

		fetchPolls:  3,
		bundlePolls: 2,

		tb: t,
	}
	a.nodes, a.committed = defaultConfiguration()
	a.audit = newAuditStore()
	for _, opt := range opts {
		if err := opt(a); err != nil {
			return nil, err
		}
	}
	if a.slots == nil {
		a.slots = a.profile.slots()
	}
	for _, do := range a.late {
		if err := do(); err != nil {
			return nil, err
		}
	}
	a.chooseAlerts()
	a.prepareAudit()
	if err := a.restoreUsers(); err != nil {
		return nil, err
	}
	if !a.unheard {
		if err := a.prepareTLS(); err != nil {
			return nil, err
		}
	}
	return a, nil
}

// listen starts to serve, unless the appliance has no listener.
func (a *Appliance) listen() (err error) {
	listener := a.listener
	switch {
	case a.unheard && listener != nil:
		return errors.New("spstest: WithListener and WithoutListener contradict each other")
	case a.unheard:
		return nil
	case listener == nil:
		if listener, err = (&net.ListenConfig{}).Listen(context.Background(), "tcp", a.listenOn); err != nil {
			return fmt.Errorf("spstest: %w", err)
		}
	}
	a.addr = listener.Addr().String()
	a.serve(listener)
	return nil
}

func (a *Appliance) serve(listener net.Listener) {
	a.server = &http.Server{
		Handler:           a.handler(true),
		ErrorLog:          log.New(io.Discard, "", 0), // failed handshakes are part of some tests
		ReadHeaderTimeout: time.Minute,
		TLSNextProto:      map[string]func(*http.Server, *tls.Conn, http.Handler){}, // disables HTTP/2, because faults need the connection of a request
		ConnContext: func(ctx context.Context, conn net.Conn) context.Context {
			if secure, ok := conn.(*tls.Conn); ok {
				ctx = context.WithValue(ctx, connectionKey{}, secure.NetConn())
			}
			return ctx
		},
		ConnState: func(_ net.Conn, state http.ConnState) {
			switch state {
			case http.StateNew:
				a.connections.Add(1)
			case http.StateHijacked, http.StateClosed:
				a.connections.Done()
			}
		},
	}
	a.serving = make(chan struct{})
	go func() {
		defer close(a.serving)
		_ = a.server.Serve(&entrance{listener, a})
	}()
}

// connectionKey is the context key for the connection of a request.
type connectionKey struct{}

// entrance is a listener that drops the connections that a restart refuses.
type entrance struct {
	net.Listener
	a *Appliance
}

func (e *entrance) Accept() (net.Conn, error) {
	for {
		conn, err := e.Listener.Accept()
		if err != nil {
			return nil, err
		}
		if config, boots := e.a.admit(); config != nil {
			return tls.Server(&accepted{conn, boots}, config), nil
		}
		resetConn(conn)
	}
}

// admit returns the TLS configuration for a new connection and the number of restarts so
// far. While a restart refuses connections, it counts the connection and returns no
// configuration.
func (a *Appliance) admit() (config *tls.Config, boots int) {
	a.enter()
	defer a.mu.Unlock()
	a.settle()
	if a.phase == refused {
		a.left = max(a.left-1, 0)
		return nil, 0
	}
	return a.tlsConfig, a.boots
}

// Close stops the appliance and waits for its goroutines. Further calls do nothing.
// Requests that are still being executed get no response. Their effects happen at the
// first method call after the time at which they are due.
func (a *Appliance) Close() {
	a.closeOnce.Do(func() {
		close(a.closed)
		a.mu.Lock()
		a.disarm()
		a.mu.Unlock()
		a.timers.Wait()
		if a.server == nil {
			return
		}
		_ = a.server.Close()
		<-a.serving
		_ = a.server.Close() // closes a connection that was accepted during the first call
		a.connections.Wait()
	})
}

// Addr returns the host and port that the appliance listens on, or "appliance.test" if it
// does not listen.
func (a *Appliance) Addr() string { return a.addr }

// CA returns the PEM of the CA that signed the server certificate. The certificate is
// valid for 127.0.0.1, ::1, localhost and appliance.test. Each appliance has its own CA
// with a unique name, so one bundle can hold the CAs of several appliances. A restart
// with [OutcomeNewCertificate] replaces the CA and the certificate.
func (a *Appliance) CA() []byte {
	a.enter()
	defer a.mu.Unlock()
	a.showTLS()
	return bytes.Clone(a.ca)
}

// Fingerprint returns the SHA-256 fingerprint of the server certificate in lower-case
// hexadecimal digits.
func (a *Appliance) Fingerprint() string {
	a.enter()
	defer a.mu.Unlock()
	a.showTLS()
	return a.fingerprint
}

// Username returns the name of the administrator.
func (a *Appliance) Username() string { return a.username }

// Password returns the current password of the administrator.
func (a *Appliance) Password() string {
	a.enter()
	defer a.mu.Unlock()
	return a.users[a.username].password
}

// id returns the next id of a kind, with n hexadecimal digits. The ids are the same in
// each run.
func (a *Appliance) id(kind string, n int) string {
	a.ids[kind]++
	sum := sha256.Sum256(fmt.Appendf(nil, "%s %d", kind, a.ids[kind]))
	return hex.EncodeToString(sum[:])[:n]
}
