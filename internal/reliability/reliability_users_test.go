package reliability

import (
	"context"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/go-sps/sps"
	"github.com/go-sps/sps/internal/testkit"
	"github.com/go-sps/sps/spstest"
)

// This file contains the clients of a program, and the records of their calls and requests.

// userKind is the kind of a user. Users repeat their calls while the main client runs the steps
// of a program.
type userKind int

const (
	exporter   userKind = iota // reads the mail settings, the alerts and the trust stores
	reconciler                 // reads an alert, and writes it if it is not as wanted
	writer                     // changes the mail settings in a transaction
)

func (k userKind) String() string { return [...]string{"an exporter", "a reconciler", "a writer"}[k] }

type user struct {
	kind   userKind
	shared bool          // whether the user uses the main client
	one    bool          // whether its own client uses one session
	pace   time.Duration // the first pause between two rounds
	cut    bool          // whether its last call is cancelled at the end of the program
	wait   time.Duration // how long its transactions wait for the lock
	alert  sps.TrafficAlert
}

func (u user) String() string {
	return fmt.Sprintf("%s every %s, on the client of the steps: %t, one session: %t, cut short at the end: %t, waits for the lock: %s, alert %s", u.kind, u.pace, u.shared, u.one, u.cut, u.wait, u.alert)
}

func (d *drawing) user() user {
	return user{
		kind: pick(d, exporter, reconciler, writer, writer), shared: d.IntN(2) == 0, one: d.IntN(5) == 0, cut: d.IntN(2) == 0,
		pace: time.Duration(1+d.IntN(30)) * 100 * time.Millisecond, wait: pick(d, 0, 5*time.Second, d.around()),
		alert: testkit.AllTrafficAlerts[d.IntN(len(testkit.AllTrafficAlerts))],
	}
}

// party is a client in a program, with the records of its requests.
type party struct {
	name   string
	c      *sps.Client
	one    bool
	limits sps.Timeouts
	trips  *trips

	mu       sync.Mutex
	active   int // the number of running transactions
	begun    int // the number of started transactions
	closing  sync.Once
	closeErr error
	closed   time.Time // when Close returned
	shut     time.Time // when Close was called
}

func (r *reliabilityRun) connect(ctx context.Context, name, password string, one bool, timeouts sps.Timeouts) (*party, error) {
	p := &party{name: name, one: one, limits: limitsWith(timeouts), trips: &trips{}}
	options := []sps.Option{sps.WithCABundle(r.a.CA()), r.network.Dial(), sps.WithTransport(p.trips.record), sps.WithTimeouts(timeouts)}
	if one {
		options = append(options, sps.WithOneSession())
	}
	c, err := sps.Connect(ctx, r.a.Addr(), sps.UsernamePassword(name, sps.NewSecretString(password)), options...)
	r.mu.Lock()
	defer r.mu.Unlock()
	p.c = c
	if err == nil {
		r.figures.Clients++
		r.parties = append(r.parties, p)
	}
	return p, err
}

func (p *party) close(r *reliabilityRun) {
	p.closing.Do(func() {
		p.mu.Lock()
		p.shut = time.Now()
		p.mu.Unlock()
		p.closeErr = p.c.Close(context.Background())
		p.closed = time.Now()
		if took := p.closed.Sub(p.shut); took > p.limits.Close+time.Second {
			r.wrong("%s: Close took %s, and was to take %s: %v", p.name, took, p.limits.Close, p.closeErr)
		}
	})
}

// begin starts a user that has its own client.
func (r *reliabilityRun) begin(ctx context.Context, u user, i int) {
	if u.shared {
		return
	}
	p, err := r.connect(ctx, userName(i), "b", u.one, sps.Timeouts{})
	if err != nil {
		r.wrong("no fault was there yet, and %s could not connect: %v", u, err)
		return
	}
	r.loops.Go(func() { r.loop(ctx, u, i, p) })
}

// shared starts the users that use the main client.
func (r *reliabilityRun) shared(ctx context.Context) {
	for i, u := range r.p.users {
		if u.shared {
			r.loops.Go(func() { r.loop(ctx, u, i, r.main) })
		}
	}
}

// mostPace is the longest pause between two rounds of a user.
const mostPace = 10 * time.Minute

// loop repeats the calls of a user until the program ends. The pauses between the rounds grow
// until the program begins its next step.
func (r *reliabilityRun) loop(ctx context.Context, u user, i int, p *party) {
	working := ctx
	if !u.cut {
		working = context.WithoutCancel(ctx)
	}
	pause, step := u.pace, int32(0)
	for n := 0; ctx.Err() == nil; n++ {
		x := transaction{what: fmt.Sprintf("%s %d", u.kind, i), wait: u.wait}
		switch u.kind {
		case exporter:
			r.export(working, p)
		case reconciler:
			x.changes = []changing{reconcile(u.alert, i%2 == 0)}
			r.transact(working, p, x)
		case writer:
			x.changes = []changing{count(), setAddress(fmt.Sprintf("w%d-%d", i, n))}
			r.transact(working, p, x)
		}
		if now := r.step.Load(); now != step {
			pause, step = u.pace, now
		}
		select {
		case <-time.After(pause):
		case <-ctx.Done():
		}
		pause = min(3*pause, mostPace)
	}
}

// sight contains the values that a read of an exporter returned.
type sight struct {
	who      string
	from, to int // the number of commits before and after the read
	email    *sps.EmailSettings
	alerts   sps.TrafficAlerts
	stores   []string
}

// export makes one round of an exporter: it reads the mail settings, the alerts and the trust
// stores.
func (r *reliabilityRun) export(ctx context.Context, p *party) {
	r.read(p, func(s *sight) error {
		email, err := p.c.Management.Email.Get(ctx)
		if err == nil {
			s.email = &email.Body
		}
		return err
	})
	r.read(p, func(s *sight) error {
		alerts, err := p.c.Alerting.TrafficAlerts.Get(ctx)
		if err == nil {
			s.alerts = alerts.Body
		}
		return err
	})
	r.read(p, func(s *sight) error {
		stores, err := p.c.TrustStores.List(ctx)
		for _, store := range stores {
			s.stores = append(s.stores, store.Body.Name)
		}
		return err
	})
}

// read runs one read and records the returned values. It does not record them if the client has
// one session and ran a transaction meanwhile, because the read may then have returned staged
// values.
func (r *reliabilityRun) read(p *party, read func(*sight) error) {
	s := sight{who: p.name, from: r.commits()}
	p.mu.Lock()
	active, begun := p.active, p.begun
	p.mu.Unlock()
	err := read(&s)
	s.to = r.commits()
	p.mu.Lock()
	alone := active == 0 && begun == p.begun
	p.mu.Unlock()
	r.mu.Lock()
	defer r.mu.Unlock()
	r.figures.Reads++
	if err == nil && (alone || !p.one) {
		r.sights = append(r.sights, s)
	}
}

// attempt is one call of Transaction or Preview, with its result.
type attempt struct {
	transaction
	p            *party
	label        string
	began, ended time.Time
	from, to     int // the number of commits before and after the transaction
	wrote        []func(*state)
	deaf         time.Duration // how long the function of the transaction paused
	err          error
	expired      bool // whether its context had ended when it returned
}

// transact runs a transaction or a preview and records the result.
func (r *reliabilityRun) transact(ctx context.Context, p *party, x transaction) {
	r.mu.Lock()
	t := &attempt{transaction: x, p: p, label: fmt.Sprintf("t%d", len(r.attempts))}
	r.attempts = append(r.attempts, t)
	r.mu.Unlock()
	p.mu.Lock()
	p.active++
	p.begun++
	p.mu.Unlock()
	var options []sps.TransactionOption
	if !x.silent {
		options = append(options, sps.WithMessage(t.label))
	}
	if x.wait > 0 {
		options = append(options, sps.WithLockWait(x.wait))
	}
	if x.lockFirst {
		options = append(options, sps.WithLockFirst())
	}
	caller, cancel := ctx, context.CancelFunc(func() {})
	if x.limit > 0 {
		caller, cancel = context.WithTimeout(ctx, x.limit)
	}
	defer cancel()
	fn := func(ctx context.Context, tx *sps.Transaction) error {
		for _, change := range x.changes {
			wrote, err := change.do(ctx, r, t, tx)
			switch {
			case err != nil && !x.swallows:
				return err
			case err == nil && wrote != nil:
				t.wrote = append(t.wrote, wrote)
			}
		}
		return x.fails
	}
	t.began, t.from = time.Now(), r.commits()
	if x.preview {
		_, t.err = p.c.Preview(caller, fn, options...)
	} else {
		t.err = p.c.Transaction(caller, fn, options...)
	}
	t.ended, t.to, t.expired = time.Now(), r.commits(), caller.Err() != nil
	p.mu.Lock()
	p.active--
	p.mu.Unlock()
	r.inTime(t.what, p, t.began.Add(t.deaf), x.limit, t.err)
}

// trips contains the requests of a client, with the times and responses that the client
// observed.
type trips struct {
	mu   sync.Mutex
	list []*trip
}

type trip struct {
	method, path string
	began, ended time.Time // ended is zero while the request is running
	status       int       // 0 for no response
	length, got  int64     // the announced and the received number of bytes of the response
	json, login  bool
}

// whole reports whether the client received the complete response.
func (t *trip) whole() bool { return t.status != 0 && t.got == t.length }

// lost reports whether the client cannot know the outcome of the request, because it received
// no complete response, or a response that is neither a success nor an error of the API.
func (t *trip) lost() bool {
	return !t.whole() || t.status >= 300 && t.status < 400 || t.status >= 500 || t.status >= 400 && !t.json
}

// record is a function for [sps.WithTransport]. It adds each request to the list.
func (l *trips) record(next http.RoundTripper) http.RoundTripper {
	return testkit.RoundTripper(func(req *http.Request) (*http.Response, error) {
		t := &trip{method: req.Method, path: strings.TrimPrefix(req.URL.Path, "/api/"), began: time.Now()}
		l.mu.Lock()
		l.list = append(l.list, t)
		l.mu.Unlock()
		resp, err := next.RoundTrip(req)
		l.mu.Lock()
		defer l.mu.Unlock()
		t.ended = time.Now()
		if err == nil {
			t.status, t.length = resp.StatusCode, max(resp.ContentLength, 0)
			t.json = resp.Header.Get("Content-Type") == "application/json"
			t.login = t.path == "authentication" && t.method == http.MethodGet && len(resp.Header["Set-Cookie"]) > 0
			resp.Body = &tripBody{resp.Body, l, t}
		}
		return resp, err
	})
}

type tripBody struct {
	io.ReadCloser
	trips *trips
	trip  *trip
}

func (b *tripBody) Read(p []byte) (int, error) {
	n, err := b.ReadCloser.Read(p)
	b.trips.mu.Lock()
	defer b.trips.mu.Unlock()
	b.trip.got += int64(n)
	b.trip.ended = time.Now()
	return n, err
}

// within returns the requests that started between from and to.
func (l *trips) within(from, to time.Time) (list []trip) {
	l.mu.Lock()
	defer l.mu.Unlock()
	for _, t := range l.list {
		if !t.began.Before(from) && !t.began.After(to) {
			list = append(list, *t)
		}
	}
	return list
}

// stateOf returns the committed state of an appliance.
func stateOf(a *spstest.Appliance) (s state) {
	read := func(path string, into any) {
		if raw, ok := a.Configuration(path); ok {
			if err := json.Unmarshal(raw, into); err != nil {
				panic(err)
			}
		}
	}
	var email sps.EmailSettings
	read("management/email", &email)
	s.Address, s.Counter = email.AdminAddress, countOf(email.ReportingAddress)
	var alerts sps.TrafficAlerts
	read("alerting/traffic_alerts", &alerts)
	s.Alerts = byMail(alerts)
	var saved struct {
		Collections map[string][]string `json:"collections"`
	}
	if err := json.Unmarshal(a.State(), &saved); err != nil {
		panic(err)
	}
	for _, key := range saved.Collections["configuration/trust_stores"] {
		var store sps.TrustStore
		read("trust_stores/"+key, &store)
		s.Stores = append(s.Stores, store.Name)
	}
	slices.Sort(s.Stores)
	var starling struct {
		RemoteAccess struct {
			Enabled bool `json:"enabled"`
		} `json:"remote_access"`
	}
	read("starling", &starling)
	s.Joined, s.RemoteAccess = a.Starling().Joined, starling.RemoteAccess.Enabled
	for _, slot := range a.Slots() {
		if slot.Key == "4" {
			s.Slot4 = slot.Version != ""
		}
	}
	return s
}

func byMail(alerts sps.TrafficAlerts) map[string]bool {
	all := make(map[string]bool, len(alerts))
	for id, setting := range alerts {
		all[string(id)] = setting.Email
	}
	return all
}
