package reliability

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"net/http"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/go-sps/sps"
	"github.com/go-sps/sps/internal/testkit"
	"github.com/go-sps/sps/spstest"
)

// This file generates random programs. A program describes the calls of several clients and
// the faults of the appliance during these calls.

// drawing is the state of the generation of one program.
type drawing struct {
	*rand.Rand
	p      *program
	limits []time.Duration // random durations are close to these limits
	limit  time.Duration   // the deadline of most steps that have a deadline
	focus  struct{ method, path string }
}

func newProgram(seed uint64) *program {
	p := &program{seed: seed}
	d := &drawing{Rand: rand.New(rand.NewPCG(seed, 3)), p: p}
	d.appliance()
	d.limitsOf()
	d.focus = faultyPaths[d.IntN(len(faultyPaths))]
	for range d.IntN(3) * d.IntN(2) {
		p.takes = append(p.takes, d.takes())
	}
	for range 1 + d.IntN(5) {
		p.faults = append(p.faults, d.fault())
	}
	for range 2 + d.IntN(5) {
		p.steps = append(p.steps, d.step(len(p.steps)))
	}
	p.users = append(p.users, user{kind: exporter, pace: 300 * time.Millisecond}, user{kind: exporter, shared: true, pace: 700 * time.Millisecond})
	for range d.IntN(4) * d.IntN(2) {
		p.users = append(p.users, d.user())
	}
	if d.IntN(10) == 0 {
		p.closes = d.around()
	}
	return p
}

func (d *drawing) appliance() {
	p := d.p
	p.options = []string{pick(d, spstest.Profiles()...)}
	for _, v := range spstest.Variants() {
		if d.IntN(12) == 0 || slowVariants[v.Name] && d.IntN(3) == 0 {
			p.options = append(p.options, v.Name+"="+pick(d, v.Alternatives...))
		}
	}
	p.message = d.IntN(8) == 0
}

// slowVariants lists the variants that are chosen more often than others, because they
// determine what happens to requests that overlap.
var slowVariants = map[string]bool{"busy-session": true, "rollback-during-commit": true, "lock-taken": true, "join-open": true}

func pick[T any](d *drawing, of ...T) T { return of[d.IntN(len(of))] }

// limitsOf chooses the timeouts of the client at random. It also stores the limits near which
// other random durations are chosen.
func (d *drawing) limitsOf() {
	p := d.p
	p.one = d.IntN(4) == 0
	if d.IntN(2) == 0 {
		p.timeouts = sps.Timeouts{
			Read:    pick(d, 0, 0, 2*time.Second, 10*time.Second),
			Write:   pick(d, 0, 0, 2*time.Second, 20*time.Second),
			Commit:  pick(d, 0, 2*time.Second, 2*time.Second, 30*time.Second),
			Action:  pick(d, 0, 5*time.Second, time.Minute),
			Close:   pick(d, 0, 2*time.Second, 8*time.Second),
			Outcome: pick(d, 0, 3*time.Second, 40*time.Second),
		}
	}
	d.limit = time.Duration(1+d.IntN(20)) * 500 * time.Millisecond
	l := limitsWith(p.timeouts)
	d.limits = []time.Duration{l.Read, l.Write, l.Commit, l.Action, l.Close, l.Close / 2, l.Outcome, d.limit, d.limit}
}

// limitsWith returns the timeouts of a client that is created with WithTimeouts(t): zero
// fields of t have their defaults.
func limitsWith(t sps.Timeouts) sps.Timeouts {
	l := sps.DefaultTimeouts()
	for _, set := range []struct{ limit, to *time.Duration }{
		{&l.Read, &t.Read}, {&l.Write, &t.Write}, {&l.Commit, &t.Commit}, {&l.Action, &t.Action}, {&l.Close, &t.Close}, {&l.Outcome, &t.Outcome},
	} {
		if *set.to != 0 {
			*set.limit = *set.to
		}
	}
	return l
}

// around returns a random duration. Most results are one of the limits, half or twice a limit, or
// slightly less or more than a limit.
func (d *drawing) around() time.Duration {
	limit := d.limits[d.IntN(len(d.limits))]
	switch d.IntN(8) {
	case 0:
		return limit / 2
	case 1:
		return limit - time.Millisecond
	case 2:
		return limit
	case 3:
		return limit + time.Millisecond
	case 4:
		return limit + 3*time.Second
	case 5:
		return 2 * limit
	case 6:
		return 12 * time.Second
	}
	return time.Duration(1 + d.IntN(int(time.Minute)))
}

var takesPaths = []struct{ method, path string }{
	{"PUT", "transaction"}, {"PUT", "transaction"}, {"", "transaction"}, {"POST", "transaction"}, {"DELETE", "transaction"},
	{"PUT", "configuration/**"}, {"", "configuration/**"}, {"POST", "configuration/**"}, {"GET", "transaction"},
	{"GET", "transaction/changes"}, {"DELETE", "authentication"}, {"POST", "starling/join"}, {"POST", "firmware/test"},
	{"DELETE", "firmware/slots/*"},
}

func (d *drawing) takes() takes {
	at := takesPaths[d.IntN(len(takesPaths))]
	s := takes{at.method, at.path, d.around()}
	if at.method != "PUT" && at.method != "POST" && d.IntN(2) == 0 {
		s.d = time.Duration(1 + d.IntN(int(3*time.Second)))
	}
	return s
}

var faultyPaths = []struct{ method, path string }{
	{"PUT", "transaction"}, {"PUT", "transaction"}, {"PUT", "transaction"}, {"POST", "transaction"}, {"DELETE", "transaction"}, {"GET", "transaction"},
	{"GET", "transaction/changes"}, {"PUT", "configuration/**"}, {"PUT", "configuration/**"}, {"GET", "configuration/**"},
	{"POST", "configuration/**"}, {"DELETE", "configuration/**"}, {"GET", "authentication"}, {"DELETE", "authentication"},
	{"POST", "starling/join"}, {"DELETE", "starling/join"}, {"GET", "starling/join"}, {"POST", "firmware/test"},
	{"DELETE", "firmware/slots/*"}, {"", "**"}, {"GET", "**"},
}

func (d *drawing) fault() spstest.Fault {
	at := faultyPaths[d.IntN(len(faultyPaths))]
	if d.IntN(3) == 0 {
		at = d.focus
	}
	f := spstest.Fault{Method: at.method, Path: at.path, Skip: d.IntN(4), Times: pick(d, 1, 1, 1, 2, 6)}
	switch d.IntN(16) {
	case 0:
		f.Refuse = true
	case 1, 2:
		f.CutBefore = true
	case 3:
		f.CutAfter = true
	case 4:
		f.Truncate = 1 + d.IntN(20)
	case 5:
		f.ExpireSession = true
	case 6:
		f.Status = pick(d, 429, 503)
		if d.IntN(2) == 0 {
			f.Header = http.Header{"Retry-After": {pick(d, "1", "20", "3600")}}
		}
	case 7:
		f.Status, f.Execute = 502, d.IntN(2) == 0
	case 8:
		f.Status, f.Body, f.Execute = 500, `{"error":{"type":"InternalError"}}`, d.IntN(2) == 0
	case 9:
		f.Delay = pick(d, time.Second, 47*time.Second, 67*time.Minute, d.around())
	case 10: // a gateway responds with an error while the appliance continues
		f.Status, f.Detached, f.Takes, f.AnswerDelay = pick(d, 502, 504), true, d.around(), pick(d, 0, d.around())
	case 11, 12:
		f.CutAfter, f.Detached, f.Takes, f.AnswerDelay = true, true, d.around(), pick(d, 0, 0, d.around())
	case 13:
		f.Takes = d.around()
	case 14:
		f.Takes, f.AnswerDelay = pick(d, 0, d.around()), d.around()
	case 15:
		f.Takes, f.CutAfter = d.around(), true
	}
	return f
}

// step is one call in a program.
type step struct {
	what string
	// transaction is the transaction that the step runs. It is nil if the step makes another
	// call.
	transaction *transaction
	// call makes the call if the step runs no transaction. It returns the state that the
	// appliance must have if the call succeeds.
	call func(ctx context.Context, r *reliabilityRun, before state) (wanted state, err error)
	// limit is the time limit of the context of the call, or 0 for no limit.
	limit time.Duration
}

func (d *drawing) step(n int) step {
	s := step{}
	if d.IntN(4) == 0 {
		s.limit = pick(d, d.limit, d.limit, d.around())
	}
	switch d.IntN(14) {
	case 0:
		held := time.Duration(1+d.IntN(30)) * time.Second
		s.what = fmt.Sprintf("somebody else holds the lock for %s", held)
		s.call = func(_ context.Context, r *reliabilityRun, now state) (state, error) {
			release := r.a.LockConfiguration("somebody")
			r.loops.Go(func() { time.Sleep(held); release() })
			return now, nil
		}
	case 1:
		s.what = "the appliance restarts"
		s.call = func(_ context.Context, r *reliabilityRun, now state) (state, error) { r.a.Restart(); return now, nil }
	case 2:
		s.what = "test a slot"
		s.call = func(ctx context.Context, r *reliabilityRun, now state) (state, error) {
			_, err := r.main.c.Firmware.Test(ctx, "2")
			return now, err
		}
	case 3:
		s.what = "empty slot 4"
		s.call = func(ctx context.Context, r *reliabilityRun, now state) (state, error) {
			now.Slot4 = false
			return now, r.main.c.Firmware.Slots.Delete(ctx, "4")
		}
	case 4:
		s.what = "join"
		s.call = func(ctx context.Context, r *reliabilityRun, now state) (state, error) {
			now.Joined = true
			r.joins++
			return now, r.main.c.Starling.Join(ctx, sps.StarlingJoinRequest{CredentialString: sps.NewSecretString("credential")})
		}
	case 5:
		force := d.IntN(2) == 0
		s.what = fmt.Sprintf("unjoin, forced: %t", force)
		s.call = func(ctx context.Context, r *reliabilityRun, now state) (state, error) {
			now.Joined = false
			if force {
				return now, r.main.c.Starling.ForceUnjoin(ctx)
			}
			return now, r.main.c.Starling.Unjoin(ctx)
		}
	case 6:
		long := d.around()
		s.what = fmt.Sprintf("nothing for %s", long)
		s.call = func(ctx context.Context, _ *reliabilityRun, now state) (state, error) { return now, idle(ctx, long) }
	default:
		s.transaction = d.transaction(n, s.limit)
		s.what = s.transaction.what
	}
	if s.limit > 0 {
		s.what += fmt.Sprintf(", given up after %s", s.limit)
	}
	return s
}

// transaction describes a transaction of a program.
type transaction struct {
	what      string
	changes   []changing
	limit     time.Duration
	wait      time.Duration // the argument of WithLockWait; 0 to omit the option
	lockFirst bool
	silent    bool // whether the transaction has no commit message
	preview   bool
	swallows  bool  // whether the function of the transaction ignores the errors of its changes
	fails     error // the error that the function returns after its changes
}

// changing is one change in the function of a transaction.
type changing struct {
	what string
	// do makes the change in tx. It returns a function that makes the same change in a state,
	// or nil if the change writes nothing.
	do func(ctx context.Context, r *reliabilityRun, t *attempt, tx *sps.Transaction) (func(*state), error)
}

var errProgram = errors.New("the program changed its mind")

func (d *drawing) transaction(n int, limit time.Duration) *transaction {
	x := &transaction{limit: limit, lockFirst: d.IntN(5) == 0, preview: d.IntN(12) == 0, swallows: d.IntN(4) == 0, silent: d.p.message && d.IntN(3) == 0}
	x.what = "a transaction: "
	for range 1 + d.IntN(4) {
		change := d.change(fmt.Sprintf("%d-%d", n, len(x.changes)))
		x.changes = append(x.changes, change)
		x.what += change.what + "; "
	}
	if d.IntN(3) == 0 {
		x.wait = pick(d, 15*time.Second, d.around())
		x.what += fmt.Sprintf("waiting %s for the lock; ", x.wait)
	}
	if d.IntN(6) == 0 {
		x.fails = errProgram
	}
	x.what += fmt.Sprintf("lock first: %t, a preview: %t, swallows errors: %t, changes its mind: %t", x.lockFirst, x.preview, x.swallows, x.fails != nil)
	return x
}

func (d *drawing) change(name string) changing {
	switch d.IntN(11) {
	case 0:
		return setAddress(name)
	case 8, 9:
		return storeOfCount(name, pick(d, 0, time.Second, 5*time.Second, d.around()))
	case 1, 2:
		return count()
	case 3, 4:
		return setAlert(testkit.AllTrafficAlerts[d.IntN(len(testkit.AllTrafficAlerts))], d.IntN(2) == 0)
	case 5, 6:
		return createStore(name)
	case 7:
		return sleeps(pick(d, time.Second, d.around(), sessionLifetime-time.Second, sessionLifetime+2*time.Second), d.IntN(2) == 0)
	}
	return setRemoteAccess(d.IntN(2) == 0)
}

// setAddress sets the administrator's address to a value that no other change sets.
func setAddress(name string) changing {
	address := name + "@example.com"
	return changing{"address " + address, func(ctx context.Context, _ *reliabilityRun, _ *attempt, tx *sps.Transaction) (func(*state), error) {
		err := tx.Management.Email.Update(ctx, func(e *sps.EmailSettings) error { e.AdminAddress = address; return nil })
		return func(s *state) { s.Address = address }, err
	}}
}

// count increments a number in the configuration. The final number shows whether an update was
// lost or executed twice.
func count() changing {
	return changing{"count", func(ctx context.Context, _ *reliabilityRun, _ *attempt, tx *sps.Transaction) (func(*state), error) {
		err := tx.Management.Email.Update(ctx, func(e *sps.EmailSettings) error {
			e.ReportingAddress = fmt.Sprintf("n%d@example.com", countOf(e.ReportingAddress)+1)
			return nil
		})
		return func(s *state) { s.Counter++ }, err
	}}
}

func countOf(address string) int {
	name, _, _ := strings.Cut(address, "@")
	n, _ := strconv.Atoi(strings.TrimPrefix(name, "n"))
	return n
}

// storeOfCount reads the number that count increments, and creates a trust store with this
// number in its name. The number must be unchanged when the transaction commits.
func storeOfCount(name string, after time.Duration) changing {
	return changing{fmt.Sprintf("store %s of the count, after %s", name, after), func(ctx context.Context, r *reliabilityRun, t *attempt, tx *sps.Transaction) (func(*state), error) {
		email, err := tx.Management.Email.Get(ctx)
		if err != nil {
			return nil, err
		}
		read := countOf(email.Body.ReportingAddress)
		if err := idle(ctx, after); err != nil {
			return nil, err
		}
		_, err = tx.TrustStores.Create(ctx, sps.NewTrustStore(fmt.Sprintf("%s-%d", name, read)))
		return func(s *state) {
			if r.promised(t) {
				read = s.Counter
			}
			s.Stores = append(s.Stores, fmt.Sprintf("%s-%d", name, read))
		}, err
	}}
}

// promised reports whether the values that a transaction has read must be unchanged when it
// commits, even if the transaction does not write them.
func (r *reliabilityRun) promised(t *attempt) bool {
	switch {
	case slices.Contains(r.p.options, "lock-taken=commit"):
		return false
	case slices.Contains(r.p.options, "lock-taken=first-change"):
		return !t.p.one && !t.lockFirst
	}
	return true
}

func setAlert(id sps.TrafficAlert, on bool) changing {
	return changing{fmt.Sprintf("%s by mail: %t", id, on), func(ctx context.Context, _ *reliabilityRun, _ *attempt, tx *sps.Transaction) (func(*state), error) {
		return switched(id, on), tx.Alerting.TrafficAlerts.Update(ctx, switchAlert(id, on))
	}}
}

func switched(id sps.TrafficAlert, on bool) func(*state) {
	return func(s *state) { s.Alerts[string(id)] = on }
}

func switchAlert(id sps.TrafficAlert, on bool) func(*sps.TrafficAlerts) error {
	return func(a *sps.TrafficAlerts) error {
		if on {
			return a.Enable(sps.ChannelEmail, id)
		}
		return a.Disable(sps.ChannelEmail, id)
	}
}

// reconcile reads an alert, and writes it only if its mail setting differs from on.
func reconcile(id sps.TrafficAlert, on bool) changing {
	return changing{fmt.Sprintf("%s by mail is to be %t", id, on), func(ctx context.Context, _ *reliabilityRun, _ *attempt, tx *sps.Transaction) (func(*state), error) {
		alerts, err := tx.Alerting.TrafficAlerts.Get(ctx)
		if err != nil || alerts.Body[id].Email == on {
			return switched(id, on), err
		}
		return switched(id, on), tx.Alerting.TrafficAlerts.Update(ctx, switchAlert(id, on))
	}}
}

func createStore(name string) changing {
	return changing{"store " + name, func(ctx context.Context, _ *reliabilityRun, _ *attempt, tx *sps.Transaction) (func(*state), error) {
		_, err := tx.TrustStores.Create(ctx, sps.NewTrustStore(name))
		return func(s *state) { s.Stores = append(s.Stores, name) }, err
	}}
}

func setRemoteAccess(on bool) changing {
	return changing{fmt.Sprintf("remote access: %t", on), func(ctx context.Context, _ *reliabilityRun, _ *attempt, tx *sps.Transaction) (func(*state), error) {
		return func(s *state) { s.RemoteAccess = on }, testkit.SetRemoteAccess(on)(ctx, tx)
	}}
}

// sleeps pauses the function of a transaction for the time d, or until its context ends if
// deaf is false. It checks that the client does not hold the lock longer than the lifetime of
// its session.
func sleeps(d time.Duration, deaf bool) changing {
	return changing{fmt.Sprintf("sleep %s, ignoring the context: %t", d, deaf), func(ctx context.Context, r *reliabilityRun, t *attempt, _ *sps.Transaction) (func(*state), error) {
		if deaf {
			ctx = context.WithoutCancel(ctx)
		}
		began, quiet := time.Now(), r.a.Busy() == 0 // a request that is still being executed may take the lock later
		err := idle(ctx, d)
		t.deaf += time.Since(began)
		if err == nil && d > sessionLifetime+time.Second && !t.p.one && r.a.LockedBy() == t.p.name && quiet && r.a.Busy() == 0 {
			r.wrong("%s did nothing for %s in a transaction, and still holds the lock", t.p.name, d)
		}
		return nil, err
	}}
}

func idle(ctx context.Context, d time.Duration) error {
	timer := time.NewTimer(d)
	defer timer.Stop()
	select {
	case <-timer.C:
		return nil
	case <-ctx.Done():
		return ctx.Err()
	}
}
