package sps

import (
	"errors"
	"fmt"
	"log/slog"
	"math/rand/v2"
	"net/http"
	"time"

	"github.com/go-sps/sps/internal/wire"
)

// snapshot is what a search reads, so that its pages are of one time. It belongs to the
// user, the address and the User-Agent; so a new login keeps it.
type snapshot struct {
	id   string
	run  *searchRun
	used time.Time // about when it was used last, once its loop has ended
}

const (
	// snapshotLife is how long a snapshot lives without a query.
	snapshotLife = 5 * time.Minute
	// quotaPause is the time between two attempts to get one.
	quotaPause = 30 * time.Second
	// maxLosses is how many snapshots in a row may vanish within a few pages.
	maxLosses = 10
	// fewPages are so few that others may have taken the snapshot.
	fewPages = 2
)

// errNoSnapshot is that of an appliance without snapshots, and of one that gives nothing
// but the old one of this client.
var errNoSnapshot = errors.New("the appliance gives no new snapshot")

// open makes a snapshot. The request is never repeated: it would make a second one, and
// there is one at a time.
func (r *searchRun) open() (id string, err error) {
	deadline := time.Now().Add(r.search.wait)
	for {
		a, err := r.client.read(r.ctx, auditSnapshotPath, nil)
		if err == nil {
			id, _ := wire.Text(member(a.Body, "snapshot"))
			if id == "" {
				return "", a.unusable("it lacks the id of the snapshot")
			}
			if !r.search.sessions.take(id, r) {
				return "", errNoSnapshot
			}
			return id, nil
		}
		rest := time.Until(deadline)
		switch {
		case lacksEndpoint(err):
			return "", errNoSnapshot
		case !errors.Is(err, Status(http.StatusTooManyRequests)):
			return "", err
		case r.search.wait == 0 && r.search.sessions.hasOld(r):
			return "", errNoSnapshot
		case rest <= 0:
			return "", because(ErrSnapshotQuota, err)
		}
		r.client.logWaiting(r.ctx, slog.LevelInfo, "sps: waiting for the snapshot of another search", slog.Duration("at_most", rest))
		if err := sleep(r.ctx, min(quotaPause, rest)); err != nil {
			return "", r.search.sessions.failed(errorf("%w while waiting: %w", err, ErrSnapshotQuota))
		}
	}
}

// take notes the snapshot of a loop. It is false for that of an earlier one: an appliance
// that gives it once more gives what there was then.
func (s *AuditSessions) take(id string, r *searchRun) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.last.id == id && s.last.run != r {
		return false
	}
	s.last = snapshot{id: id, run: r}
	return true
}

// leave notes that a loop has ended. The API has no way to give a snapshot back.
func (s *AuditSessions) leave(r *searchRun) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.last.run == r {
		s.last.run, s.last.used = nil, time.Now()
	}
}

// hasOld reports whether the appliance may still have the snapshot of an earlier loop.
func (s *AuditSessions) hasOld(r *searchRun) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.last.id != "" && s.last.run != r && time.Since(s.last.used) < snapshotLife
}

// readSnapshots reads a snapshot to its end, and where it vanishes goes on in others.
func (r *searchRun) readSnapshots(id string) error {
	losses := 0
	for {
		err := r.readSnapshot(id)
		switch {
		case err == nil && r.part == partFrom:
			r.again(partUntimed)
			continue
		case err == nil:
			return nil
		case r.part == partFrom && r.pages == 0 && refusesQuery(err):
			// Without ranges, what was handed on is passed over.
			r.skip = true
			r.again(partAll)
			continue
		case !vanished(err), !r.given && losses > 0 && errors.Is(err, Unauthorized): // it is the right that is missing
			return err
		}
		if losses++; r.since > fewPages || time.Since(r.used) >= snapshotLife { // nobody took it
			losses = 1
		}
		r.since = 0
		why := r.place.whyNot()
		switch {
		case losses > maxLosses:
			return because(fmt.Errorf("%w (%d times): does another program search as the same user, from the same address?", ErrSnapshotTaken, losses), err)
		case r.given && why != "":
			return because(fmt.Errorf("%w: %s", ErrSnapshotLost, why), err)
		}
		r.client.logWaiting(r.ctx, slog.LevelWarn, "sps: the snapshot of a search has vanished; going on in another one", slog.Int("in_a_row", losses))
		if err := sleep(r.ctx, lossPause(losses)); err != nil {
			return r.search.sessions.failed(err)
		}
		next, openErr := r.open()
		if openErr != nil {
			return openErr
		}
		id = next
		switch {
		case r.part == partUntimed:
			r.again(partUntimed)
		case r.skip || r.place.last.IsZero():
			r.skip = r.given
			r.again(partAll)
		default:
			r.again(partFrom)
		}
	}
}

// lossPause is the wait before the next snapshot: none after the first loss, which may be
// that of a restart.
func lossPause(losses int) time.Duration {
	if losses == 1 {
		return 0
	}
	return rand.N(250 * time.Millisecond << min(losses, 5))
}

// vanished tells that the appliance does not have the snapshot any more, or that it
// belongs to somebody else now.
func vanished(err error) bool {
	var refused *Error
	return errors.As(err, &refused) && (errors.Is(err, ResourceNotFound) || refused.Status == http.StatusNotFound || refused.Status == http.StatusForbidden)
}

// readSnapshot reads the present part in a snapshot.
func (r *searchRun) readSnapshot(id string) error {
	values, err := searchValues(r.query())
	if err != nil {
		return err
	}
	values.Set("snapshot", id)
	r.used = time.Now()
	for values != nil {
		page, err := readSearchPage(r.ctx, r.client, values, &r.space)
		if err != nil {
			return err
		}
		r.used = time.Now()
		if other := page.next["snapshot"]; len(other) > 0 && other[0] != id {
			return page.unusable("its next page is of another snapshot")
		}
		if err := r.handOn(page.answer, page.entries); err != nil {
			return err
		}
		values = page.next
	}
	return nil
}
