// Package reliability runs random programs under random faults, and compares the results of
// their calls with what the appliance has done.
package reliability

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"maps"
	"math/rand/v2"
	"os"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/go-sps/sps"
	"github.com/go-sps/sps/internal/testkit"
	"github.com/go-sps/sps/spstest"
)

var (
	reliabilityPrograms = flag.Int("reliability-programs", 0, "how many new random programs TestReliability runs; 0 runs the fixed ones")
	reliabilitySeed     = flag.Uint64("reliability-seed", 0, "seed of the one program to run again; 0 runs all")
)

// fixedPrograms is the number of programs that TestReliability runs by default. Their seeds are
// 1, 2 and so on: the programs are the same in each run, so that a new failure is caused by a
// change of the code.
const fixedPrograms = 150

// TestReliability runs random programs against the simulated appliance, over TLS on an
// in-memory network, under random faults. An hour after the last call, it compares the results
// of the calls with what the appliance has done:
//
//   - If a call returns nil, its changes were applied exactly once. If it returns an error other
//     than ErrOutcomeUnknown, none of them was applied, and none will be.
//   - ErrOutcomeUnknown is returned only if a response was lost, and only after the client has
//     polled for Timeouts.Outcome, unless its context ended or it was closed before. It is not
//     returned if the commit was executed and the client could observe that.
//   - No trust store is created twice, and Starling is not joined more often than Join was called.
//   - A read returns values that were committed at that moment.
//   - A lock does not last longer than the session of its client.
//   - Calls end at their deadlines, and Close ends within Timeouts.Close.
//   - After Close, no transaction is open, and no session is left whose ID the client received,
//     unless Close has returned an error.
//   - No goroutine is left. The synctest bubble checks this.
func TestReliability(t *testing.T) {
	t.Parallel()
	if *reliabilitySeed != 0 {
		reliable(t, *reliabilitySeed)
		return
	}
	programs, seed := fixedPrograms, func(i int) uint64 { return uint64(i + 1) }
	if *reliabilityPrograms > 0 {
		programs, seed = *reliabilityPrograms, func(int) uint64 { return rand.Uint64() }
	}
	if testkit.Race {
		programs = max(1, programs/6)
	}
	var total counts
	for i := range programs {
		total.add(reliable(t, seed(i)))
		if t.Failed() {
			return
		}
	}
	t.Logf("%+v", total)
}

// counts contains statistics of one or more programs, for the log of the test.
type counts struct {
	Programs, Steps, Clients, Transactions, Reads, Requests, Faults int
	Committed, Unchanged, Refused, Unknown, Lost                    int
	Late                                                            int // how many of the transactions with an unknown outcome were committed
}

func (c *counts) add(other counts) {
	c.Programs += other.Programs
	c.Steps += other.Steps
	c.Clients += other.Clients
	c.Transactions += other.Transactions
	c.Reads += other.Reads
	c.Requests += other.Requests
	c.Faults += other.Faults
	c.Committed += other.Committed
	c.Unchanged += other.Unchanged
	c.Refused += other.Refused
	c.Unknown += other.Unknown
	c.Lost += other.Lost
	c.Late += other.Late
}

// reliable runs the program with the given seed. If a check fails, it removes parts of the
// program as long as a check still fails, and reports the smallest program that fails.
func reliable(t *testing.T, seed uint64) counts {
	t.Helper()
	p := newProgram(seed)
	ended := tellUnlessEnded(seed) // a deadlock in a bubble causes a panic
	defer ended(false)
	faulty, figures := p.run(t)
	for changed := len(faulty) > 0; changed; {
		changed = false
		for _, smaller := range p.smaller() {
			if still := smaller.wrong(t); len(still) > 0 {
				p, faulty, changed = smaller, still, true
				break
			}
		}
	}
	if len(faulty) > 0 {
		t.Errorf("replay with -reliability-seed=%d; the smallest program that fails:\n%s\n%s", seed, p, strings.Join(faulty, "\n"))
	}
	ended(true)
	return figures
}

// tellUnlessEnded returns a function that a program must call with true at its end. If the
// function is first called with false, it prints the seed of the program.
func tellUnlessEnded(seed uint64) (ended func(well bool)) {
	var once sync.Once
	return func(well bool) {
		once.Do(func() {
			if !well {
				fmt.Fprintf(os.Stderr, "replay with -reliability-seed=%d\n", seed)
			}
		})
	}
}

// wrong runs the program up to three times, until a check fails, because the order of events at
// the same simulated time may differ between runs. It returns the failures.
func (p *program) wrong(t *testing.T) (faulty []string) {
	t.Helper()
	for range 3 {
		if faulty, _ = p.run(t); len(faulty) > 0 {
			break
		}
	}
	return faulty
}

// program describes the calls of several clients, and the faults that the appliance has during
// these calls.
type program struct {
	seed     uint64
	options  []string // the profile of the appliance, then its variants
	message  bool     // whether the appliance requires a message for each commit
	takes    []takes
	faults   []spstest.Fault
	timeouts sps.Timeouts
	one      bool // whether the main client, which runs the steps, uses one session
	steps    []step
	users    []user
	closes   time.Duration // the time after which the main client is closed; 0 to close it after the steps
}

// takes is the time that the appliance takes for requests with a method and a path.
type takes struct {
	method, path string
	d            time.Duration
}

func (p *program) String() string {
	var b strings.Builder
	fmt.Fprintf(&b, "appliance: %s, message wanted: %t\n", strings.Join(p.options, " "), p.message)
	fmt.Fprintf(&b, "client: one session: %t, closed after %s, %+v\n", p.one, p.closes, p.timeouts)
	for _, s := range p.takes {
		fmt.Fprintf(&b, "takes: %s %s %s\n", s.method, s.path, s.d)
	}
	for _, f := range p.faults {
		fmt.Fprintf(&b, "fault: %+v\n", f)
	}
	for _, u := range p.users {
		fmt.Fprintf(&b, "beside: %s\n", u)
	}
	for _, s := range p.steps {
		fmt.Fprintf(&b, "step: %s\n", s.what)
	}
	return b.String()
}

// smaller returns all programs that have one part less than p: one user, step, fault or option.
func (p *program) smaller() []*program {
	var all []*program
	without := func(change func(q *program)) {
		q := *p
		change(&q)
		all = append(all, &q)
	}
	for i := range p.users {
		without(func(q *program) { q.users = lacking(p.users, i) })
	}
	for i := range p.steps {
		without(func(q *program) { q.steps = lacking(p.steps, i) })
	}
	for i := range p.faults {
		without(func(q *program) { q.faults = lacking(p.faults, i) })
	}
	for i := range p.takes {
		without(func(q *program) { q.takes = lacking(p.takes, i) })
	}
	for i := 1; i < len(p.options); i++ {
		without(func(q *program) { q.options = lacking(p.options, i) })
	}
	if p.closes > 0 {
		without(func(q *program) { q.closes = 0 })
	}
	if p.timeouts != (sps.Timeouts{}) {
		without(func(q *program) { q.timeouts = sps.Timeouts{} })
	}
	if p.one {
		without(func(q *program) { q.one = false })
	}
	return all
}

func lacking[T any](list []T, i int) []T { return slices.Delete(slices.Clone(list), i, i+1) }

// sessionLifetime is the lifetime of the sessions of the simulated appliance.
const sessionLifetime = 20 * time.Minute

// reliabilityRun is the state of a program while it runs.
type reliabilityRun struct {
	p       *program
	a       *spstest.Appliance
	network *testkit.MemNet
	first   state // the committed state before the first call
	main    *party
	parties []*party
	loops   sync.WaitGroup
	step    atomic.Int32

	joins int

	mu       sync.Mutex
	attempts []*attempt
	sights   []sight
	noted    []time.Time // for each commit, the time at which commits first counted it
	faulty   []string
	figures  counts
}

func (r *reliabilityRun) wrong(format string, args ...any) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.faulty = append(r.faulty, fmt.Sprintf(format, args...))
}

// run runs the program. It returns the failures of its checks, and its statistics.
func (p *program) run(t *testing.T) (faulty []string, figures counts) {
	t.Helper()
	synctest.Test(t, func(t *testing.T) {
		ended := tellUnlessEnded(p.seed)
		defer ended(false)
		r := &reliabilityRun{p: p, network: testkit.NewMemNet()}
		a := spstest.NewServer(nil, r.options(t)...)
		defer a.Close()
		r.a, r.first = a, stateOf(a)
		for _, s := range p.takes {
			a.SetTakes(s.method, s.path, s.d)
		}
		looping, stop := context.WithCancel(t.Context())
		for i, u := range p.users {
			r.begin(looping, u, i)
		}
		for _, f := range p.faults {
			a.Inject(f)
		}
		if main, err := r.connect(t.Context(), a.Username(), a.Password(), p.one, p.timeouts); err == nil {
			r.main = main
			r.shared(looping)
			r.runSteps(t.Context())
		} else {
			time.Sleep(time.Minute) // wait, in simulated time, until the background login of the failed Connect has ended
		}
		stop()
		r.loops.Wait()
		r.closeAll()
		r.judge()
		faulty, figures = r.faulty, r.figures
		a.ClearFaults()
		ended(true)
	})
	return faulty, figures
}

func (r *reliabilityRun) options(t *testing.T) []spstest.Option {
	p := r.p
	options := []spstest.Option{
		spstest.WithListener(r.network), spstest.WithProfile(p.options[0]), spstest.WithSessionLifetime(sessionLifetime),
		spstest.WithTrace(func(spstest.Request) { r.commits() }),
	}
	if p.message {
		options = append(options, spstest.WithCommitMessageRequired())
	}
	for i := range p.users {
		options = append(options, spstest.WithUser(userName(i), "b"))
	}
	for _, variant := range p.options[1:] {
		option, err := spstest.ParseVariant(variant)
		if err != nil {
			t.Fatal(err)
		}
		options = append(options, option)
	}
	return options
}

func userName(i int) string { return fmt.Sprintf("user%d", i) }

// commits returns the number of commits so far, and records the time for each commit that it
// counts for the first time.
func (r *reliabilityRun) commits() int {
	n := len(r.a.Commits())
	r.mu.Lock()
	defer r.mu.Unlock()
	for len(r.noted) < n {
		r.noted = append(r.noted, time.Now())
	}
	return n
}

// runSteps runs the steps of the program one after another.
func (r *reliabilityRun) runSteps(ctx context.Context) {
	if r.p.closes > 0 {
		r.loops.Go(func() {
			time.Sleep(r.p.closes)
			r.main.close(r)
		})
	}
	for _, s := range r.p.steps {
		r.step.Add(1)
		r.figures.Steps++
		if s.transaction != nil {
			r.transact(ctx, r.main, *s.transaction)
			continue
		}
		r.act(ctx, s)
	}
}

// act makes the call of a step that is not a transaction. It checks the state of the appliance
// at once, and again after all requests of the call have ended.
func (r *reliabilityRun) act(ctx context.Context, s step) {
	before := r.state()
	began, cancel := time.Now(), context.CancelFunc(func() {})
	if s.limit > 0 {
		ctx, cancel = context.WithTimeout(ctx, s.limit)
	}
	wanted, err := s.call(ctx, r, before)
	cancel()
	r.inTime(s.what, r.main, began, s.limit, err)
	if now := r.state(); err == nil && !sameActs(wanted, now) {
		r.wrong("%s: no error, and it was not done (-want +got):\n%s", s.what, cmp.Diff(wanted, now))
	}
	waiting, done := context.WithTimeout(context.WithoutCancel(ctx), time.Hour)
	defer done()
	if r.a.WaitIdle(waiting) != nil {
		return
	}
	now := r.state()
	switch asWanted, asBefore := sameActs(wanted, now), sameActs(before, now); {
	case err == nil && !asWanted:
		r.wrong("%s: no error, and it was undone (-want +got):\n%s", s.what, cmp.Diff(wanted, now))
	case err != nil && !errors.Is(err, sps.ErrOutcomeUnknown) && !asBefore:
		r.wrong("%s: %v; and it was done (-before +now):\n%s", s.what, err, cmp.Diff(before, now))
	case !asBefore && !asWanted:
		r.wrong("%s: %v; and a part was done (-before +now):\n%s", s.what, err, cmp.Diff(before, now))
	}
}

// inTime checks that a call ended no later than its deadline plus the time that the client may
// take to clean up.
func (r *reliabilityRun) inTime(what string, p *party, began time.Time, limit time.Duration, err error) {
	took := time.Since(began)
	if most := limit + p.limits.Close + time.Second; limit > 0 && took > most {
		r.wrong("%s: took %s, and was to be given up after %s: %v", what, took, limit, err)
	}
}

func (r *reliabilityRun) state() state { return stateOf(r.a) }

// sameActs reports whether two states are equal in the values that calls outside of
// transactions change.
func sameActs(a, b state) bool { return a.Joined == b.Joined && a.Slot4 == b.Slot4 }

// state contains the committed values that the programs change.
type state struct {
	Address      string
	Counter      int
	Alerts       map[string]bool // whether each alert is sent by mail
	Stores       []string        // the names of the trust stores
	RemoteAccess bool
	Joined       bool
	Slot4        bool
}

func (s state) clone() state {
	s.Alerts, s.Stores = maps.Clone(s.Alerts), slices.Clone(s.Stores)
	return s
}
