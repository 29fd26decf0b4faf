package reliability

import (
	"context"
	"errors"
	"maps"
	"net/http"
	"slices"
	"strings"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/go-sps/sps"
	"github.com/go-sps/sps/spstest"
)

// This file contains the checks of a program after its last call.

// closeAll closes every client, and waits until every request and session has ended. It
// checks that no transaction, lock or session is left on the appliance.
func (r *reliabilityRun) closeAll() {
	for _, p := range slices.Backward(r.parties) {
		p.close(r)
	}
	ctx := context.Background()
	clean := !slices.Contains(r.p.options, "logout=404") && !slices.Contains(r.p.options, "logout=405")
	for _, p := range r.parties {
		clean = clean && p.closeErr == nil
	}
	_ = r.a.WaitIdle(ctx) // a commit whose client stopped waiting holds the lock until it ends
	if clean && (r.a.TransactionOpen() || r.a.Sessions() > r.lostLogins()) {
		r.wrong("each Close returned nil, and a transaction is open: %t; sessions are left: %d, of which %d were never known", r.a.TransactionOpen(), r.a.Sessions(), r.lostLogins())
	}
	time.Sleep(sessionLifetime + time.Second)
	_ = r.a.WaitIdle(ctx)
	if by := r.a.LockedBy(); by != "" && by != "somebody" || r.a.TransactionOpen() {
		r.wrong("all clients are closed, their sessions over, and a transaction is open: %t; the lock is held by %q", r.a.TransactionOpen(), by)
	}
	time.Sleep(time.Hour)
	_ = r.a.WaitIdle(ctx)
}

// lostLogins returns the number of sessions whose IDs no client received, because the
// responses to their logins were lost.
func (r *reliabilityRun) lostLogins() (lost int) {
	for _, request := range r.a.Journal() {
		if request.Method == http.MethodGet && request.Path == "/api/authentication" && request.Executed && request.Session != "" {
			lost++
		}
	}
	for _, p := range r.parties {
		for _, t := range p.trips.within(time.Time{}, time.Now()) {
			if t.login {
				lost--
			}
		}
	}
	return lost
}

// judge compares the result of each transaction and each read with what the appliance has
// committed.
func (r *reliabilityRun) judge() {
	r.figures.Programs, r.figures.Faults, r.figures.Transactions = 1, len(r.p.faults), len(r.attempts)
	r.commits()
	journal := r.a.Journal()
	r.figures.Requests = len(journal)
	r.twice(journal)
	h := r.history()
	if h == nil {
		return
	}
	for _, t := range r.attempts {
		r.judgeAttempt(t, h)
	}
	if h.exact {
		if now := r.state(); !h.same(h.versions[len(h.versions)-1], now) {
			r.wrong("what is committed is not what the transactions wrote (-want +got):\n%s", cmp.Diff(h.versions[len(h.versions)-1], now))
		}
	}
	for _, s := range r.sights {
		r.judgeSight(s, h)
	}
}

// history contains the committed versions of the configuration, oldest first.
type history struct {
	at       map[string]int // by the label of a transaction, the version that it committed
	versions []state
	// exact is true if each version can be computed from the version before it. It is false
	// if several clients write and transactions hold no lock before they commit. It is also
	// false if a restart of the appliance drops a transaction and keeps its session, so that
	// the next change opens another transaction.
	exact bool
	// remote is true if only transactions change the remote access setting.
	remote bool
}

func (r *reliabilityRun) history() *history {
	h := &history{at: map[string]int{}, versions: []state{r.first}}
	alone := !slices.ContainsFunc(r.p.users, func(u user) bool { return u.kind != exporter })
	h.exact = (alone || !slices.Contains(r.p.options, "lock-taken=commit")) && (r.a.Restarts() == 0 || !slices.Contains(r.p.options, "session-after-upgrade=alive"))
	// If the appliance allows an unjoin while a transaction is open, the unjoin also switches
	// off remote access in the staged configuration of that transaction.
	among := slices.Contains(r.p.options, "starling-unjoin-open=200") || slices.Contains(r.p.options, "join-open=own")
	h.remote = !slices.ContainsFunc(r.p.steps, func(s step) bool {
		return strings.HasPrefix(s.what, "unjoin, forced: true") || among && strings.HasPrefix(s.what, "unjoin")
	})
	labels := map[string]*attempt{}
	for _, t := range r.attempts {
		labels[t.label] = t
	}
	for i, commit := range r.a.Commits() {
		t := labels[commit.Message]
		if t == nil || t.preview {
			r.wrong("a commit with the message %q, which no transaction had", commit.Message)
			return nil
		}
		if before, twice := h.at[t.label]; twice {
			r.wrong("%s: committed twice, as %d and %d", t.what, before, i+1)
		}
		h.at[t.label] = i + 1
		h.versions = append(h.versions, t.applied(h.versions[i]))
	}
	return h
}

// applied returns a copy of s after the writes of the transaction.
func (t *attempt) applied(s state) state {
	s = s.clone()
	for _, write := range t.wrote {
		write(&s)
	}
	slices.Sort(s.Stores)
	return s
}

// same reports whether two states are equal in the values that transactions write.
func (h *history) same(a, b state) bool {
	return a.Address == b.Address && a.Counter == b.Counter && maps.Equal(a.Alerts, b.Alerts) && slices.Equal(a.Stores, b.Stores) &&
		(!h.remote || a.RemoteAccess == b.RemoteAccess)
}

// judgeAttempt checks the returned error of a transaction against the commits of the
// appliance.
func (r *reliabilityRun) judgeAttempt(t *attempt, h *history) {
	version, committed := h.at[t.label]
	unknown := errors.Is(t.err, sps.ErrOutcomeUnknown)
	f := &r.figures
	switch {
	case t.preview:
		f.Unchanged++
	case t.err == nil && committed:
		f.Committed++
		if version > t.to {
			r.wrong("%s: no error, and it was committed later only", t.what)
		}
	case t.err == nil:
		f.Unchanged++
		there := slices.ContainsFunc(h.versions[t.from:min(t.to+1, len(h.versions))], func(s state) bool { return h.same(s, t.applied(s)) })
		if !there && h.exact {
			r.wrong("%s (%s): no error, but it was not committed and the configuration did not have the wanted values", t.what, t.label)
		}
	case unknown:
		f.Unknown++
		if committed {
			f.Late++
		}
		r.judgeUnknown(t, h, version)
	case committed:
		r.wrong("%s (%s): %v; and it was committed", t.what, t.label, t.err)
	case errors.Is(t.err, sps.ErrTransactionLost):
		f.Lost++
	default:
		f.Refused++
	}
}

// longLook is longer than the longest interval between two polls for the outcome of a commit.
const longLook = 16 * time.Second

// judgeUnknown checks that a transaction returned ErrOutcomeUnknown only if the client could
// not find out whether the commit was executed. version is the version that the transaction
// committed, or 0 if it was not committed.
func (r *reliabilityRun) judgeUnknown(t *attempt, h *history, version int) {
	var lost *trip
	requests := t.p.trips.within(t.began, t.ended)
	for _, trip := range requests {
		if trip.method == http.MethodPut && trip.path == "transaction" && trip.lost() {
			lost = &trip
		}
	}
	var details *sps.OutcomeUnknownDetails
	switch detailed := errors.As(t.err, &details); {
	case !detailed && t.p.one: // the client has one session, and could not verify that no change stays staged in it
		return
	case !detailed:
		r.wrong("%s (%s): %v; and it has no details", t.what, t.label, t.err)
		return
	case lost == nil:
		r.wrong("%s (%s): %v; and no answer of a commit was lost", t.what, t.label, t.err)
		return
	}
	t.p.mu.Lock()
	shut := !t.p.shut.IsZero() && !t.p.shut.After(t.ended)
	t.p.mu.Unlock()
	if waited := t.ended.Sub(lost.ended); waited < t.p.limits.Outcome && !t.expired && !shut {
		r.wrong("%s (%s): %v; but it polled only for %s and not for %s", t.what, t.label, t.err, waited, t.p.limits.Outcome)
	}
	if version == 0 || r.noted[version-1].After(t.ended) || t.to > version || h.same(h.versions[version], h.versions[version-1]) {
		return // the client could not observe the commit: the commit was not executed by then, changed no value, or was followed by another commit
	}
	seen, looked := r.noted[version-1], false
	for _, trip := range requests {
		switch {
		case trip.began.Before(seen) || !strings.HasPrefix(trip.path, "transaction") && trip.path != "authentication" && !strings.HasPrefix(trip.path, "configuration/"):
		case trip.method != http.MethodGet:
		case !trip.whole() || trip.status != http.StatusOK && trip.status != http.StatusUnauthorized, trip.ended.Sub(trip.began) > time.Second:
			return // a read after the commit had no usable response, so the client may not have observed the commit
		case trip.path == "transaction":
			looked = true
		}
	}
	if looked || t.ended.Sub(seen) > longLook {
		r.wrong("%s (%s): %v; but it was committed %s before and could be observed", t.what, t.label, t.err, t.ended.Sub(seen))
	}
}

// judgeSight checks that the values that a read returned were committed at some time between
// its start and its end.
func (r *reliabilityRun) judgeSight(s sight, h *history) {
	versions := h.versions[s.from : s.to+1]
	if !h.exact {
		versions = h.versions[:s.to+1]
	}
	shows := func(show func(state) bool) bool { return slices.ContainsFunc(versions, show) }
	switch {
	case s.email != nil && !shows(func(v state) bool {
		return v.Address == s.email.AdminAddress && (v.Counter == countOf(s.email.ReportingAddress) || !h.exact)
	}):
		r.wrong("%s saw the addresses %s and %s, which were not committed then", s.who, s.email.AdminAddress, s.email.ReportingAddress)
	case s.alerts != nil && h.exact && !shows(func(v state) bool { return maps.Equal(v.Alerts, byMail(s.alerts)) }):
		r.wrong("%s saw alerts that were not committed then: %v", s.who, byMail(s.alerts))
	}
	for _, name := range s.stores {
		if !shows(func(v state) bool { return slices.Contains(v.Stores, name) }) {
			r.wrong("%s saw the store %s, which was not committed then", s.who, name)
		}
	}
}

// twice checks that no trust store was created twice, and that the appliance executed no more
// joins than there were calls of Join.
func (r *reliabilityRun) twice(journal []spstest.Request) {
	creates := map[string]int{}
	var joins int
	for _, request := range journal {
		if !request.Executed || request.Method != http.MethodPost || request.Status >= 300 && request.Status < 500 {
			continue
		}
		switch request.Path {
		case "/api/configuration/trust_stores":
			if creates[string(request.Body)]++; creates[string(request.Body)] > 1 {
				r.wrong("executed twice: POST %s %s", request.Path, request.Body)
			}
		case "/api/starling/join":
			joins++
		}
	}
	if joins > r.joins {
		r.wrong("%d joins of %d calls", joins, r.joins)
	}
}
