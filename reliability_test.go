package sps_test

import (
	"context"
	"encoding/json"
	"errors"
	"flag"
	"fmt"
	"math/rand/v2"
	"net/http"
	"slices"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/go-sps/sps"
	"github.com/go-sps/sps/spstest"
)

var (
	reliabilityPrograms = flag.Int("reliability-programs", 300, "how many random programs TestReliability runs")
	reliabilitySeed     = flag.Uint64("reliability-seed", 0, "seed of the one program to run again; 0 draws new ones")
)

// TestReliability runs random programs against the simulated appliance, over TLS on a
// network in memory, under random faults, and holds what the calls returned against
// what became of the appliance:
//
//   - nil means that all was applied, exactly once; an error means that nothing was,
//     unless it is ErrOutcomeUnknown.
//   - No create and no action is executed twice.
//   - Nobody else sees what is not committed.
//   - After Close no transaction is open and no session is left that the client knew of,
//     or Close returned an error and none is left after the time-out.
//   - No goroutine is left, which the bubble sees to.
func TestReliability(t *testing.T) {
	t.Parallel()
	if *reliabilitySeed != 0 {
		reliable(t, *reliabilitySeed)
		return
	}
	programs := *reliabilityPrograms
	if raceEnabled {
		programs = max(1, programs/6)
	}
	var total counts
	for range programs {
		total.add(reliable(t, rand.Uint64()))
		if t.Failed() {
			return
		}
	}
	t.Logf("%+v", total)
}

// counts are the figures of some programs.
type counts struct {
	Programs, Steps, Transactions, Requests, Faults int
	Committed, Refused, Unknown, Lost               int
}

func (c *counts) add(other counts) {
	c.Programs += other.Programs
	c.Steps += other.Steps
	c.Transactions += other.Transactions
	c.Requests += other.Requests
	c.Faults += other.Faults
	c.Committed += other.Committed
	c.Refused += other.Refused
	c.Unknown += other.Unknown
	c.Lost += other.Lost
}

// reliable runs the program of a seed, and tells what is wrong with as little of it as
// shows it.
func reliable(t *testing.T, seed uint64) counts {
	t.Helper()
	p := newProgram(seed)
	faulty, figures := p.run(t)
	if len(faulty) == 0 {
		return figures
	}
	for changed := true; changed; {
		changed = false
		for _, smaller := range p.smaller() {
			if still, _ := smaller.run(t); len(still) > 0 {
				p, faulty, changed = smaller, still, true
				break
			}
		}
	}
	t.Errorf("replay with -reliability-seed=%d; as small as it gets:\n%s\n%s", seed, p, strings.Join(faulty, "\n"))
	return figures
}

// program is what a client does, and what goes wrong meanwhile.
type program struct {
	seed    uint64
	options []string // profile and variants
	faults  []spstest.Fault
	steps   []step
}

func (p *program) String() string {
	var b strings.Builder
	fmt.Fprintf(&b, "appliance: %s\n", strings.Join(p.options, " "))
	for _, f := range p.faults {
		fmt.Fprintf(&b, "fault: %+v\n", f)
	}
	for _, s := range p.steps {
		fmt.Fprintf(&b, "step: %s\n", s.what)
	}
	return b.String()
}

// smaller are the programs that lack one thing.
func (p *program) smaller() []*program {
	var all []*program
	for i := range p.faults {
		q := *p
		q.faults = slices.Delete(slices.Clone(p.faults), i, i+1)
		all = append(all, &q)
	}
	for i := range p.steps {
		q := *p
		q.steps = slices.Delete(slices.Clone(p.steps), i, i+1)
		all = append(all, &q)
	}
	for i := range p.options {
		if i > 0 {
			q := *p
			q.options = slices.Delete(slices.Clone(p.options), i, i+1)
			all = append(all, &q)
		}
	}
	return all
}

// state is what the programs change, as the appliance has committed it.
type state struct {
	Address      string
	Alerts       map[string]bool // by mail
	Stores       []string        // names
	Joined       bool
	RemoteAccess bool
	Slot4        bool
}

func (s state) clone() state {
	c := s
	c.Alerts = make(map[string]bool, len(s.Alerts))
	for id, on := range s.Alerts {
		c.Alerts[id] = on
	}
	c.Stores = slices.Clone(s.Stores)
	return c
}

func stateOf(a *spstest.Appliance) (s state) {
	read := func(path string, into any) {
		if raw, ok := a.Configuration(path); ok {
			if err := json.Unmarshal(raw, into); err != nil {
				panic(err)
			}
		}
	}
	var email struct {
		Address string `json:"admin_address"`
	}
	read("management/email", &email)
	s.Address = email.Address
	var alerts map[string]struct {
		Email bool `json:"email"`
	}
	read("alerting/traffic_alerts", &alerts)
	s.Alerts = make(map[string]bool)
	for id, setting := range alerts {
		s.Alerts[id] = setting.Email
	}
	var saved struct {
		Collections map[string][]string `json:"collections"`
	}
	if err := json.Unmarshal(a.State(), &saved); err != nil {
		panic(err)
	}
	for _, key := range saved.Collections["configuration/trust_stores"] {
		var store auditPolicy
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

// step is one call of a program.
type step struct {
	what string
	// call makes it, and returns what the appliance should be then.
	call func(ctx context.Context, r *reliabilityRun) (wanted state, err error)
	// limit is when the caller gives up, 0 for never.
	limit time.Duration
	// checked is set where the outcome is held against the state.
	checked     bool
	transaction bool
}

// change is one write of a transaction.
type changing struct {
	what  string
	write func(ctx context.Context, tx *sps.Transaction) error
	apply func(*state)
}

func newProgram(seed uint64) *program {
	random := rand.New(rand.NewPCG(seed, 2))
	p := &program{seed: seed, options: []string{spstest.Profiles()[random.IntN(len(spstest.Profiles()))]}}
	for _, v := range spstest.Variants() {
		if random.IntN(12) == 0 {
			p.options = append(p.options, v.Name+"="+v.Alternatives[random.IntN(len(v.Alternatives))])
		}
	}
	for range random.IntN(6) {
		p.faults = append(p.faults, newFault(random))
	}
	for range 2 + random.IntN(5) {
		p.steps = append(p.steps, newStep(random, len(p.steps)))
	}
	return p
}

var faultyPaths = []struct{ method, path string }{
	{"PUT", "transaction"}, {"PUT", "transaction"}, {"POST", "transaction"}, {"DELETE", "transaction"}, {"GET", "transaction"},
	{"GET", "transaction/changes"}, {"PUT", "configuration/**"}, {"PUT", "configuration/**"}, {"GET", "configuration/**"},
	{"POST", "configuration/**"}, {"DELETE", "configuration/**"}, {"GET", "authentication"}, {"DELETE", "authentication"},
	{"POST", "starling/join"}, {"DELETE", "starling/join"}, {"GET", "starling/join"}, {"POST", "firmware/test"},
	{"DELETE", "firmware/slots/*"}, {"", "**"}, {"GET", "**"},
}

func newFault(random *rand.Rand) spstest.Fault {
	at := faultyPaths[random.IntN(len(faultyPaths))]
	f := spstest.Fault{Method: at.method, Path: at.path, Skip: random.IntN(4), Times: []int{1, 1, 1, 2, 6}[random.IntN(5)]}
	switch random.IntN(11) {
	case 0:
		f.Refuse = true
	case 1, 2:
		f.CutBefore = true
	case 3, 4:
		f.CutAfter = true
	case 5:
		f.Truncate = 1 + random.IntN(20)
	case 6:
		f.ExpireSession = true
	case 7:
		f.Status = []int{429, 503}[random.IntN(2)]
		if random.IntN(2) == 0 {
			f.Header = http.Header{"Retry-After": {[]string{"1", "20", "3600"}[random.IntN(3)]}}
		}
	case 8:
		f.Status, f.Execute = 502, random.IntN(2) == 0
	case 9:
		f.Status, f.Body, f.Execute = 500, `{"error":{"type":"InternalError"}}`, random.IntN(2) == 0
	case 10:
		f.Delay = []time.Duration{time.Second, 47 * time.Second, 67 * time.Minute}[random.IntN(3)] // none is a limit of the client
	}
	return f
}

func newStep(random *rand.Rand, n int) step {
	s := step{checked: true}
	if random.IntN(4) == 0 {
		s.limit = time.Duration(1+random.IntN(20)) * 500 * time.Millisecond
	}
	switch random.IntN(12) {
	case 0:
		d := time.Duration(1+random.IntN(30)) * time.Second
		s.what = fmt.Sprintf("somebody else holds the lock for %s", d)
		s.call = func(_ context.Context, r *reliabilityRun) (state, error) {
			release := r.a.LockConfiguration("somebody")
			r.background.Go(func() { time.Sleep(d); release() })
			return r.now, nil
		}
	case 1:
		s.what = "the appliance restarts"
		s.call = func(_ context.Context, r *reliabilityRun) (state, error) { r.a.Restart(); return r.now, nil }
	case 2:
		s.what = "test a slot"
		s.call = func(ctx context.Context, r *reliabilityRun) (state, error) {
			r.tests++
			_, err := r.c.Firmware.Test(ctx, "2")
			return r.now, err
		}
	case 3:
		s.what = "empty slot 4"
		s.call = func(ctx context.Context, r *reliabilityRun) (state, error) {
			wanted := r.now.clone()
			wanted.Slot4 = false
			return wanted, r.c.Firmware.DeleteSlot(ctx, "4")
		}
	case 4:
		s.what = "join"
		s.call = func(ctx context.Context, r *reliabilityRun) (state, error) {
			wanted := r.now.clone()
			wanted.Joined = true
			r.joins++
			return wanted, r.c.Starling.Join(ctx, sps.StarlingJoinRequest{CredentialString: sps.NewSecretString("credential")})
		}
	case 5:
		force := random.IntN(2) == 0
		s.what = fmt.Sprintf("unjoin, forced: %t", force)
		s.call = func(ctx context.Context, r *reliabilityRun) (state, error) {
			wanted := r.now.clone()
			wanted.Joined = false
			if force {
				wanted.RemoteAccess = false
				return wanted, r.c.Starling.ForceUnjoin(ctx)
			}
			return wanted, r.c.Starling.Unjoin(ctx)
		}
	default:
		newTransaction(random, n, &s)
	}
	if s.limit > 0 {
		s.what += fmt.Sprintf(", given up after %s", s.limit)
	}
	return s
}

var errProgram = errors.New("the program changed its mind")

func newTransaction(random *rand.Rand, n int, s *step) {
	var changes []changing
	for range 1 + random.IntN(4) {
		changes = append(changes, newChange(random, fmt.Sprintf("%d-%d", n, len(changes))))
	}
	var options []sps.TransactionOption
	s.transaction, s.what = true, "a transaction: "
	for _, change := range changes {
		s.what += change.what + "; "
	}
	if random.IntN(3) == 0 {
		options = append(options, sps.WaitForLock(15*time.Second))
		s.what += "waiting for the lock; "
	}
	fails := random.IntN(6) == 0
	if fails {
		s.what += "then it changes its mind"
	}
	s.call = func(ctx context.Context, r *reliabilityRun) (state, error) {
		wanted := r.now.clone()
		for _, change := range changes {
			change.apply(&wanted)
		}
		slices.Sort(wanted.Stores)
		err := r.c.Transaction(ctx, func(ctx context.Context, tx *sps.Transaction) error {
			for _, change := range changes {
				if err := change.write(ctx, tx); err != nil {
					return err
				}
			}
			if fails {
				return errProgram
			}
			return nil
		}, options...)
		return wanted, err
	}
}

func newChange(random *rand.Rand, name string) changing {
	switch random.IntN(7) {
	case 0, 1:
		address := name + "@example.com"
		return changing{"address " + address, func(ctx context.Context, tx *sps.Transaction) error {
			return tx.Email.Update(ctx, func(e *sps.EmailSettings) error { e.AdminAddress = address; return nil })
		}, func(s *state) { s.Address = address }}
	case 2, 3:
		id, on := allTrafficAlerts[random.IntN(len(allTrafficAlerts))], random.IntN(2) == 0
		return changing{fmt.Sprintf("%s by mail: %t", id, on), func(ctx context.Context, tx *sps.Transaction) error {
			return tx.TrafficAlerts.Update(ctx, func(a *sps.TrafficAlerts) error {
				if on {
					return a.Enable(sps.Email, id)
				}
				return a.Disable(sps.Email, id)
			})
		}, func(s *state) { s.Alerts[string(id)] = on }}
	case 4, 5:
		return changing{"store " + name, func(ctx context.Context, tx *sps.Transaction) error {
			_, err := tx.TrustStores.Create(ctx, sps.NewTrustStore(name))
			return err
		}, func(s *state) { s.Stores = append(s.Stores, name) }}
	}
	on := random.IntN(2) == 0
	return changing{fmt.Sprintf("remote access: %t", on), func(ctx context.Context, tx *sps.Transaction) error {
		return remoteAccess(on)(ctx, tx)
	}, func(s *state) { s.RemoteAccess = on }}
}

// reliabilityRun is a program under way.
type reliabilityRun struct {
	a            *spstest.Appliance
	c            *sps.Client
	now          state
	tests, joins int
	background   sync.WaitGroup

	mu   sync.Mutex
	seen map[string]bool // addresses that another client saw
}

// sessionLifetime of the appliance of a program.
const sessionLifetime = 20 * time.Minute

// run runs the program, and returns what was wrong.
func (p *program) run(t *testing.T) (faulty []string, figures counts) {
	t.Helper()
	wrong := func(format string, args ...any) { faulty = append(faulty, fmt.Sprintf(format, args...)) }
	synctest.Test(t, func(t *testing.T) {
		network := newMemNet()
		options := []spstest.Option{spstest.WithListener(network), spstest.WithProfile(p.options[0]), spstest.WithSessionLifetime(sessionLifetime)}
		for _, variant := range p.options[1:] {
			option, err := spstest.ParseVariant(variant)
			if err != nil {
				t.Fatal(err)
			}
			options = append(options, option)
		}
		a, err := spstest.Start(options...)
		if err != nil {
			t.Fatal(err)
		}
		defer a.Close()
		dial := func() (*sps.Client, error) {
			return sps.Connect(t.Context(), a.Addr(), sps.UsernamePassword(a.Username(), sps.NewSecretString(a.Password())), sps.WithCABundle(a.CA()), network.dial())
		}
		watcher, err := dial()
		if err != nil {
			t.Fatal(err)
		}
		for _, f := range p.faults {
			a.Inject(f)
		}
		r := &reliabilityRun{a: a, now: stateOf(a), seen: map[string]bool{}}
		committed := map[string]bool{r.now.Address: true}
		if r.c, err = dial(); err == nil {
			watching, stop := context.WithCancel(t.Context())
			r.watch(watching, watcher)
			p.steal(watching, r)
			for _, s := range p.steps {
				figures.Steps++
				before := len(a.Journal())
				ctx, cancel := t.Context(), context.CancelFunc(func() {})
				if s.limit > 0 {
					ctx, cancel = context.WithTimeout(ctx, s.limit)
				}
				wanted, err := s.call(ctx, r)
				cancel()
				now := stateOf(a)
				committed[now.Address] = true
				if s.transaction {
					figures.Transactions++
				}
				unknown := errors.Is(err, sps.ErrOutcomeUnknown)
				switch asWanted, asBefore := cmp.Equal(wanted, now), cmp.Equal(r.now, now); {
				case err == nil && !asWanted:
					wrong("%s: no error, and not all was applied (-want +got):\n%s", s.what, cmp.Diff(wanted, now))
				case err != nil && !unknown && !asBefore:
					wrong("%s: %v; and something was applied (-before +now):\n%s", s.what, err, cmp.Diff(r.now, now))
				case unknown && !asWanted && !asBefore:
					wrong("%s: %v; and a part was applied (-before +now):\n%s", s.what, err, cmp.Diff(r.now, now))
				case unknown && s.transaction && !commitLost(a.Journal()[before:]):
					wrong("%s: %v; and no answer of a commit was lost", s.what, err)
				case err == nil && s.transaction:
					figures.Committed++
				case unknown:
					figures.Unknown++
				case errors.Is(err, sps.ErrTransactionLost):
					figures.Lost++
				case err != nil:
					figures.Refused++
				}
				r.now = now
			}
			stop()
			r.background.Wait()
			p.closed(a, r, watcher, wrong)
		} else {
			time.Sleep(time.Minute) // a login that was given up ends by its limit
		}
		a.ClearFaults()
		watcher.Close(context.Background())
		for address := range r.seen {
			if !committed[address] {
				wrong("somebody else saw %s, which was never committed", address)
			}
		}
		journal := a.Journal()
		figures.Programs, figures.Requests, figures.Faults = 1, len(journal), len(p.faults)
		twice(journal, r, wrong)
	})
	return faulty, figures
}

// watch has another client look at the configuration all the time, and this client's
// own readers too.
func (r *reliabilityRun) watch(ctx context.Context, other *sps.Client) {
	r.background.Go(func() {
		for ctx.Err() == nil {
			if email, err := other.Email.Get(ctx); err == nil {
				r.mu.Lock()
				r.seen[email.Body.AdminAddress] = true
				r.mu.Unlock()
			}
			time.Sleep(300 * time.Millisecond)
		}
	})
}

// steal has readers of the same client beside its transactions.
func (p *program) steal(ctx context.Context, r *reliabilityRun) {
	for range 2 {
		r.background.Go(func() {
			for ctx.Err() == nil {
				_, _ = r.c.TrafficAlerts.Get(ctx)
				time.Sleep(700 * time.Millisecond)
			}
		})
	}
}

// closed closes both clients, and looks for what is left.
func (p *program) closed(a *spstest.Appliance, r *reliabilityRun, watcher *sps.Client, wrong func(string, ...any)) {
	unsure := watcher.Close(context.Background())
	synctest.Wait() // for the log-out of a login that its Close overtook
	err := r.c.Close(context.Background())
	lost := 0 // logins whose answer was lost: nobody knows their sessions
	for _, request := range a.Journal() {
		if request.Method == "GET" && request.Path == "/api/authentication" && request.Executed && request.Status != http.StatusOK {
			lost++
		}
	}
	left := a.Sessions() - lost
	if unsure != nil || slices.Contains(p.options, "logout=404") || slices.Contains(p.options, "logout=405") {
		left = 0 // the watcher's are left, or there is no log-out: they end by their time-out
	}
	if err == nil && (a.TransactionOpen() || left > 0) {
		wrong("Close returned nil, and a transaction is open: %t; sessions left: %d", a.TransactionOpen(), left)
	}
	if err != nil {
		time.Sleep(sessionLifetime + time.Second)
		if a.TransactionOpen() || a.LockedBy() != "" {
			wrong("Close returned %v, and after the time-out a transaction is open", err)
		}
	}
}

// commitLost reports whether the answer to a commit was lost, or came from something
// before the API.
func commitLost(journal []spstest.Request) bool {
	return slices.ContainsFunc(journal, func(r spstest.Request) bool {
		return r.Method == "PUT" && r.Path == "/api/transaction" && r.Status != http.StatusOK && r.Status != http.StatusCreated
	})
}

// twice looks for what was executed more often than it was asked for.
func twice(journal []spstest.Request, r *reliabilityRun, wrong func(string, ...any)) {
	creates := map[string]int{}
	var tests, joins int
	for _, request := range journal {
		if !request.Executed || request.Method != "POST" || request.Status >= 300 && request.Status < 500 {
			continue
		}
		switch request.Path {
		case "/api/configuration/trust_stores":
			if creates[string(request.Body)]++; creates[string(request.Body)] > 1 {
				wrong("executed twice: POST %s %s", request.Path, request.Body)
			}
		case "/api/firmware/test":
			tests++
		case "/api/starling/join":
			joins++
		}
	}
	if tests > r.tests || joins > r.joins {
		wrong("%d firmware tests of %d calls, %d joins of %d calls", tests, r.tests, joins, r.joins)
	}
}
