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

// TB is the part of testing.TB that [NewServer] needs. The package does not import
// testing, so that programs can use it.
type TB interface {
	Helper()                           // marks the caller as a helper
	Cleanup(func())                    // closes the appliance at the end of the test
	Errorf(format string, args ...any) // reports the faults that never applied to a request
	Fatalf(format string, args ...any) // ends a test whose appliance cannot start or gets an invalid instruction
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
	listener  net.Listener // nil: one on listenOn
	unheard   bool         // there is none
	clientCAs *x509.CertPool
	addr      string
	tb        TB             // nil: of no test
	late      []func() error // what the options leave for when all of them are known

	certificate tls.Certificate // the first one
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
	tlsConfig   *tls.Config // of new connections
	users       map[string]*user
	sessions    map[string]*session // by cookie value, ended ones too: the journal names them
	ids         map[string]int      // counters of the deterministic ids, by what is counted
	nodes       map[string]*node    // what the configuration tree consists of, by path
	committed   *store
	lock        *session // who holds the configuration lock
	outside     []*outsider
	commits     []Commit
	slots       []Slot
	uploads     []Upload
	fetches     []*fetch
	images      map[string]served // by URL
	phase       phase             // of a restart
	left        int               // how many requests the phase still meets
	outcome     Outcome
	upgrading   bool // the restart is that of an upgrade
	restarts    int
	boots       int // how often everything ended
	restored    []stateUser
	reinstalls  int       // of the running version, as far as the build date tells
	products    []Product // nil: nobody has set them
	productWarn string
	health      json.RawMessage // nil: healthy
	setup       string
	cluster     []json.RawMessage
	passwords   string // the address of the Safeguard for Privileged Passwords that it is joined to
	bundles     []*bundle
	bundlesFail bool
	audit       *auditStore
	faults      []*activeFault
	cleared     []*activeFault // that were missed when they were cleared
	takes       []takesRule
	operations  []*operation // that go on, by their end
	waiting     []*operation // for their turn, in the order of arrival
	at          time.Time    // of what happens late; zero: now
	timer       *time.Timer  // for the end of the first operation
	armedFor    time.Time
	rings       int // how often the timer was set or stopped
	timers      sync.WaitGroup
	journal     []*Request
}

// Option changes an appliance before it starts.
type Option func(*Appliance) error

// WithCredentials replaces the default administrator, who is admin with the password a.
// The administrator has all rights, or those that the state of [WithState] has for that
// name.
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
// state of [WithState] has for that name. If several rights are given, each restricts the
// user.
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
// certificates that the given CA signed. The user name is the common name of the
// certificate. An unknown user gets full rights.
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

// WithClock replaces time.Now as the appliance's clock, which session limits, cookies and
// slow requests (see [WithTakes]) use.
func WithClock(now func() time.Time) Option {
	return func(a *Appliance) error { a.clock = now; return nil }
}

// WithSessionLifetime sets how long a session lives without a request; the default is 12
// hours. With the variant session-limit, the time counts from the login.
func WithSessionLifetime(d time.Duration) Option {
	return func(a *Appliance) error {
		if d <= 0 {
			return fmt.Errorf("spstest: session lifetime %v is not positive", d)
		}
		a.lifetime = d
		return nil
	}
}

// WithListenAddress sets the address to listen on, instead of a free port of 127.0.0.1.
func WithListenAddress(addr string) Option {
	return func(a *Appliance) error { a.listenOn = addr; return nil }
}

// WithListener makes the appliance accept connections from a listener, for example one in
// memory, instead of listening itself. The appliance closes the listener.
func WithListener(listener net.Listener) Option {
	return func(a *Appliance) error { a.listener = listener; return nil }
}

// WithoutListener makes an appliance that does not listen. Use it through
// [Appliance.RoundTrip] or [Appliance.Handler]. It needs no socket, so it works in a
// testing/synctest bubble.
func WithoutListener() Option {
	return func(a *Appliance) error { a.unheard = true; return nil }
}

// WithCertificate sets the server certificate, for tests with a wrong CA or with a
// certificate that changes or stays. [Appliance.CA] then returns the last certificate of
// its chain.
func WithCertificate(certificate tls.Certificate) Option {
	return func(a *Appliance) error {
		if len(certificate.Certificate) == 0 {
			return errors.New("spstest: WithCertificate got an empty certificate")
		}
		a.certificate = certificate
		return nil
	}
}

// WithTrace calls f with every request after its end. Calls may be concurrent.
func WithTrace(f func(Request)) Option {
	return func(a *Appliance) error { a.trace = f; return nil }
}

// NewServer makes an appliance and serves it over TLS, like httptest.NewServer. It
// accepts connections when NewServer returns, and [Appliance.Close] stops it. With
// [WithoutListener], it does not listen, for tests in a testing/synctest bubble.
//
// If t is a test, the appliance is closed when the test ends. The test then fails if a
// fault never applied to a request, unless the fault has MayMiss. An invalid option, and
// a fault that [Appliance.Inject] refuses, end the test. If the test's Fatalf returns,
// NewServer returns nil.
//
// If t is nil, the program must close the appliance itself, and errors are panics.
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

// refuse ends a test, or panics.
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

// listen begins to serve, unless the appliance is to be used without a listener.
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
		TLSNextProto:      map[string]func(*http.Server, *tls.Conn, http.Handler){}, // the appliance speaks HTTP/1.1; faults need its connection
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

// connectionKey finds the connection of a request in its context.
type connectionKey struct{}

// entrance accepts the connections that a restart does not refuse.
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

// admit counts a new connection if it is refused. It tells what the connection
// is served with otherwise.
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
// Requests that are still being executed get no answer. Effects that are due by the clock
// happen at the next method call.
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
		_ = a.server.Close() // a connection that was accepted while the first call ran
		a.connections.Wait()
	})
}

// Addr returns the host and port that the appliance listens on, or "appliance.test" if it
// does not listen.
func (a *Appliance) Addr() string { return a.addr }

// CA returns the PEM of the CA that signed the server certificate. The certificate is
// valid for 127.0.0.1, ::1, localhost and appliance.test. Each appliance has a CA with
// its own name, so the CAs of several appliances fit into one bundle. CA and certificate
// change with [OutcomeNewCertificate].
func (a *Appliance) CA() []byte {
	a.enter()
	defer a.mu.Unlock()
	a.showTLS()
	return bytes.Clone(a.ca)
}

// Fingerprint returns the SHA-256 fingerprint of the server certificate in lower-case hex
// digits.
func (a *Appliance) Fingerprint() string {
	a.enter()
	defer a.mu.Unlock()
	a.showTLS()
	return a.fingerprint
}

// Username returns the name of the default administrator.
func (a *Appliance) Username() string { return a.username }

// Password returns the current password of the default administrator.
func (a *Appliance) Password() string {
	a.enter()
	defer a.mu.Unlock()
	return a.users[a.username].password
}

// id gives the next deterministic id of a kind, n hex digits long.
func (a *Appliance) id(kind string, n int) string {
	a.ids[kind]++
	sum := sha256.Sum256(fmt.Appendf(nil, "%s %d", kind, a.ids[kind]))
	return hex.EncodeToString(sum[:])[:n]
}
