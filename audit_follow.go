package sps

import (
	"context"
	"crypto/sha256"
	"encoding/base64"
	"encoding/binary"
	"encoding/hex"
	"errors"
	"fmt"
	"iter"
	"log/slog"
	"maps"
	"math/rand/v2"
	"net/url"
	"slices"
	"strconv"
	"time"

	"github.com/go-sps/sps/audit"
	"github.com/go-sps/sps/internal/apipath"
	"github.com/go-sps/sps/internal/wire"
)

// AuditFollow returns each recorded session once, after the session has ended; see
// [AuditSessions.Follow]. Use it in one goroutine only.
type AuditFollow struct {
	sessions *AuditSessions
	ctx      context.Context
	query    audit.Query
	every    time.Duration
	window   time.Duration
	once     bool
	notify   func(error)

	checkpoint []byte // where to continue

	by        followBy
	since     time.Time            // sessions that ended earlier are left out; zero means no limit
	floor     time.Time            // start of the window; zero means no limit
	top       time.Time            // the latest time of a session so far
	handed    map[uint64]handed    // sessions that were returned since floor
	running   map[string]time.Time // running sessions with their start, if the sessions are requested by start
	endOfPage bool
	space     []byte // memory for the next page
}

// followBy is the time by which the sessions are requested.
type followBy string

const (
	byEnd     followBy = audit.FieldEndTime
	byStart   followBy = audit.FieldStartTime
	byUnknown followBy = "" // decided by the first requests
)

// handed is a session that was returned.
type handed struct {
	at   time.Time
	seen bool // true if at is known; false for a session from a loaded checkpoint
}

// FollowOption is an option of [AuditSessions.Follow]: [WithCheckpoint], [WithSince],
// [WithPollInterval], [WithWindow], [WithOnce] or [WithErrorFunc]. A nil option does
// nothing.
type FollowOption interface{ applyFollow(*AuditFollow) error }

type followOption func(*AuditFollow) error

func (o followOption) applyFollow(f *AuditFollow) error { return o(f) }

func (o IntervalOption) applyFollow(f *AuditFollow) error {
	w := waitOptions{every: time.Duration(o)}
	err := w.complete(followInterval, 0)
	f.every = w.every
	return errors.Unwrap(err) // Follow adds the prefix itself
}

// followInterval is the time between two polls without [WithPollInterval].
const followInterval = time.Minute

// WithCheckpoint makes [AuditSessions.Follow] continue from a checkpoint, see
// [AuditFollow.Checkpoint]. An empty checkpoint has no effect. Follow returns
// [ErrCheckpoint] for a checkpoint that is incomplete, has a newer version, belongs to
// another appliance or query, or is from the future.
func WithCheckpoint(checkpoint []byte) FollowOption {
	return followOption(func(f *AuditFollow) error {
		f.checkpoint = checkpoint
		return nil
	})
}

// WithSince leaves out the sessions that ended before a time. Without this option and
// without a checkpoint, [AuditFollow.All] first returns all ended sessions on the
// appliance. A checkpoint overrides this option.
func WithSince(t time.Time) FollowOption {
	return followOption(func(f *AuditFollow) error {
		f.since = t
		return nil
	})
}

// WithWindow sets how late a session may appear in the search: its end may be this much
// earlier than the latest end so far, 15 minutes by default. A session that appears later
// is lost. Cluster nodes may deliver sessions late, and their clocks may differ. A longer
// window makes the responses larger.
func WithWindow(window time.Duration) FollowOption {
	return followOption(func(f *AuditFollow) error {
		if window <= 0 {
			return invalid("the window %s is not positive", window)
		}
		f.window = window
		return nil
	})
}

// WithOnce ends the loop when it has returned all sessions that have ended. Use it for a
// program that runs periodically instead of as a daemon.
func WithOnce() FollowOption {
	return followOption(func(f *AuditFollow) error {
		f.once = true
		return nil
	})
}

// WithErrorFunc sets a function that [AuditFollow.All] calls with each error after which
// it tries again. The call is made in the goroutine of the loop. A nil function does
// nothing.
func WithErrorFunc(notify func(error)) FollowOption {
	return followOption(func(f *AuditFollow) error {
		if notify != nil {
			f.notify = notify
		}
		return nil
	})
}

// Follow returns an [AuditFollow], which returns each session that a query finds once,
// after the session has ended. Use it to forward sessions as they end. Follow sends no
// request; [AuditFollow.All] does.
//
// The query must not have a Sort or an End; otherwise Follow returns [ErrInvalidInput].
// The Filter should use only fields that do not change during a session. The client
// requests sessions by their end (GET /api/audit/sessions, with a range of end_time in
// the filter), in overlapping windows and without a snapshot. If the appliance does not
// accept such ranges, the client requests sessions by their start, and reads each running
// session separately until it has ended.
//
// No session is lost if the appliance restarts, if the API session expires, or if a
// session ends long after its start. A session that appears later than [WithWindow]
// allows is lost. A session without an end is not returned. Changes after the end of a
// session, such as late indexing, are not reported.
func (s *AuditSessions) Follow(ctx context.Context, query audit.Query, options ...FollowOption) (*AuditFollow, error) {
	f := &AuditFollow{
		sessions: s, ctx: ctx, query: query, every: followInterval, window: 15 * time.Minute, notify: func(error) {},
		handed: map[uint64]handed{}, running: map[string]time.Time{},
	}
	if err := query.Validate(); err != nil {
		return nil, s.client.at(badQuery(err))
	}
	if query.Sort != (audit.Sort{}) || !query.End.IsZero() {
		return nil, s.failed(invalid("a followed query must not have a Sort or an End"))
	}
	for option := range given(options) {
		if err := option.applyFollow(f); err != nil {
			return nil, s.failed(err)
		}
	}
	if len(f.checkpoint) > 0 { // the checkpoint overrides the other options
		if err := f.load(f.checkpoint); err != nil {
			return nil, s.failed(err)
		}
	}
	return f, nil
}

// EndOfPage reports whether the session that was returned last is the last one of a
// response. This is a good time to save your results and the checkpoint, because the next
// session may take a while.
func (f *AuditFollow) EndOfPage() bool { return f.endOfPage }

// All iterates over the sessions as they end, approximately in the order of their ends.
// The loop runs until the context ends; its last error is then the error of the context.
// With [WithOnce], the loop runs until there are no more sessions. Another loop over All
// continues after the last returned session.
//
// While the appliance is unreachable, restarting or too busy, All tries again. By default,
// it does so without limit. With [WithOnce], five failures in a row end the loop.
// [WithErrorFunc] reports the errors after which All tries again. Other errors end the iteration: a refused password or query, a missing right,
// unusable responses five times in a row, or [ErrSearchCeiling] if more than 10,000
// sessions end at the same time. Continue from the checkpoint after such an error.
func (f *AuditFollow) All() iter.Seq2[*audit.Session, error] {
	return func(yield func(*audit.Session, error) bool) {
		hand := func(session *audit.Session) bool { return yield(session, nil) }
		for failures := 0; ; {
			err := f.poll(hand)
			switch {
			case err == errStopped:
				return
			case err == nil && f.once:
				return
			case err == nil:
				failures = 0
				err = sleep(f.ctx, f.every)
			case f.ctx.Err() == nil && f.goesOn(err, failures):
				failures++
				f.notify(err)
				f.sessions.client.logWaiting(f.ctx, slog.LevelWarn, "sps: following the sessions failed; trying again", slog.Any("error", err))
				err = sleep(f.ctx, followPause(failures))
			}
			if err != nil {
				if f.ctx.Err() != nil && !errors.Is(err, ErrClosed) {
					err = f.sessions.failed(ended(f.ctx))
				}
				yield(nil, err)
				return
			}
		}
	}
}

// followPause returns the time to wait after a number of failures in a row.
func followPause(failures int) time.Duration {
	bound := min(time.Second<<min(failures, 10), time.Minute)
	return bound/2 + rand.N(bound/2)
}

// goesOn reports whether the next poll may succeed after a failure.
func (f *AuditFollow) goesOn(err error, failures int) bool {
	var refused *Error
	var broken *TransportError
	lasting := f.once || errors.Is(err, ErrBadAnswer)
	switch {
	case errors.Is(err, ErrClosed) || refusesCredential(err) || failures+1 >= maxFailures && lasting:
		return false
	case errors.As(err, &refused): // a page of a server in front of the API has no type
		return refused.Status >= 500 || refused.Status == 429 || refused.Type == "" && refused.Status != 400
	}
	return errors.As(err, &broken) && !untrusted(err)
}

// poll returns the sessions that have ended since the last poll.
func (f *AuditFollow) poll(hand func(*audit.Session) bool) error {
	f.endOfPage = false
	if f.by == byStart {
		return f.pollByStart(hand)
	}
	err := f.pollByEnd(hand)
	if err == nil && f.by == byUnknown {
		works, err := f.rangesWork()
		if err != nil || works {
			return err
		}
		err = f.pollByEnd(hand) // the session that rangesWork found may have ended after the first poll
		if err != nil || f.by == byEnd {
			return err
		}
	}
	if f.by == byEnd || err != nil && !refusesQuery(err) {
		return err
	}
	f.by = byStart
	if startErr := f.pollByStart(hand); startErr == nil || !refusesQuery(startErr) {
		return startErr
	}
	f.by = byUnknown // the range was not the reason for the refusal
	return err
}

// epoch is a time before the start of any session.
var epoch = time.Unix(0, 0).UTC()

// pollByEnd requests the sessions that have ended since floor.
func (f *AuditFollow) pollByEnd(hand func(*audit.Session) bool) error {
	w := followWalk{f: f, hand: hand, field: audit.FieldEndTime, cursor: later(f.floor, f.since, epoch)}
	return w.run(func(q *audit.Query, cursor time.Time) {
		q.Filter = audit.And(q.Filter, audit.TimeRange(audit.FieldEndTime, cursor, time.Time{}))
	}, func(s *audit.Session) bool {
		if !s.EndTime.IsZero() {
			f.by = byEnd
		}
		return !s.EndTime.IsZero() && !s.Active
	})
}

func later(times ...time.Time) (latest time.Time) {
	for _, t := range times {
		if t.After(latest) {
			latest = t
		}
	}
	return latest
}

// rangesWork reports whether the appliance finds sessions by ranges of end_time. It is
// called after a range found no ended session. The reason is either that no session has
// ended, or that ranges do not work. rangesWork reads the session with the latest
// end_time. If its end is in the range, ranges do not work.
func (f *AuditFollow) rangesWork() (bool, error) {
	q := f.query
	q.KeysOnly, q.Fields, q.PageSize = false, []string{audit.FieldEndTime}, 1
	q.Sort = audit.Sort{Field: audit.FieldEndTime, Descending: true}
	values, err := f.sessions.searchValues(q)
	if err != nil {
		return false, err
	}
	page, err := readSearchPage(f.ctx, f.sessions.client, values, &f.space)
	if err != nil || len(page.entries) == 0 {
		return true, err
	}
	last, err := decodeSession(page.answer, page.entries[0])
	if err != nil {
		return false, err
	}
	return last.EndTime.IsZero() || last.EndTime.Before(later(f.floor, f.since, epoch)), nil
}

// pollByStart reads the running sessions, and requests the sessions that have started
// since floor.
func (f *AuditFollow) pollByStart(hand func(*audit.Session) bool) error {
	if err := f.pollRunning(hand); err != nil {
		return err
	}
	w := followWalk{f: f, hand: hand, field: audit.FieldStartTime, cursor: f.floor}
	return w.run(func(q *audit.Query, cursor time.Time) {
		// The parameter start finds sessions that started after the given time.
		if after := cursor.Add(-time.Millisecond); !cursor.IsZero() && after.After(q.Start) {
			q.Start = after
		}
	}, func(s *audit.Session) bool {
		_, goesOn := f.running[s.Key]
		if !goesOn && !hasEnded(s) {
			f.running[s.Key], goesOn = s.StartTime, true
		}
		return !goesOn && f.wanted(s)
	})
}

// wanted reports whether a session ended late enough.
func (f *AuditFollow) wanted(s *audit.Session) bool {
	return f.since.IsZero() || s.EndTime.IsZero() || !s.EndTime.Before(f.since)
}

// hasEnded reports whether a session has ended. A session that was not recorded may have
// no end.
func hasEnded(s *audit.Session) bool {
	if s.Active {
		return false
	}
	return !s.EndTime.IsZero() || string(s.Values(audit.FieldActive)[0]) == "false"
}

// pollRunning reads the running sessions, and returns the sessions that have ended.
func (f *AuditFollow) pollRunning(hand func(*audit.Session) bool) error {
	for _, key := range slices.Sorted(maps.Keys(f.running)) {
		session, err := f.sessions.Get(f.ctx, key)
		if errors.Is(err, ResourceNotFound) { // the session was deleted
			delete(f.running, key)
			continue
		}
		if err != nil {
			return err
		}
		if !hasEnded(session) {
			continue
		}
		start := f.running[key]
		delete(f.running, key)
		if !f.wanted(session) {
			continue
		}
		f.endOfPage = true
		f.handed[markOf(key)] = handed{start, true}
		if !hand(session) {
			return errStopped
		}
	}
	return nil
}

// followWalk reads the sessions in the order of a time. It requests each page from the
// time of the previous page's last session instead of by an offset, so sessions that are
// added or deleted meanwhile do not shift the pages.
type followWalk struct {
	f      *AuditFollow
	hand   func(*audit.Session) bool
	field  string
	cursor time.Time
}

// at returns the time by which the walk sorts a session.
func (w *followWalk) at(s *audit.Session) time.Time {
	if w.field == audit.FieldEndTime {
		return s.EndTime
	}
	return s.StartTime
}

func (w *followWalk) run(narrow func(*audit.Query, time.Time), look func(*audit.Session) (ended bool)) error {
	f := w.f
	for offset := 0; offset < searchCeiling; {
		values, err := w.values(narrow, offset)
		if err != nil {
			return err
		}
		page, err := readSearchPage(f.ctx, f.sessions.client, values, &f.space)
		if err != nil {
			return err
		}
		last, err := w.page(page, look)
		f.prune()
		if err != nil {
			return err
		}
		n := len(page.entries)
		switch {
		case page.count >= 0 && page.count < searchCeiling && offset+n >= page.count, page.count < 0 && page.next == nil:
			f.forget()
			return nil
		case n == 0:
			return page.unusable("the appliance reports %d sessions but returned only %d", page.count, offset)
		case last.After(w.cursor):
			w.cursor, offset = last, 0
		default:
			offset += n
		}
	}
	return f.sessions.failed(fmt.Errorf("%w: too many sessions have the same %s, %s", ErrSearchCeiling, w.field, w.cursor.Format(time.RFC3339Nano)))
}

func (w *followWalk) values(narrow func(*audit.Query, time.Time), offset int) (url.Values, error) {
	q := w.f.query
	narrow(&q, w.cursor)
	q.Sort.Field = w.field
	for _, field := range []string{audit.FieldActive, audit.FieldEndTime, w.field} {
		q = withField(q, field)
	}
	values, err := w.f.sessions.searchValues(q)
	if err == nil {
		values.Set("offset", strconv.Itoa(offset))
	}
	return values, err
}

// page returns the new sessions of a page, and the time of the page's last session.
func (w *followWalk) page(page *searchPage, look func(*audit.Session) bool) (last time.Time, err error) {
	f := w.f
	type fresh struct {
		session *audit.Session
		mark    uint64
		at      time.Time
	}
	var list []fresh
	within := make(map[uint64]bool, len(page.entries))
	for _, entry := range page.entries {
		session, err := decodeSession(page.answer, entry)
		if err != nil {
			return last, err
		}
		if session.Key == "" {
			return last, page.unusable("a session lacks its key")
		}
		at := w.at(session)
		if !at.IsZero() && at.Before(last.Add(-assumedPrecision)) {
			return last, page.unusable("the sessions are not sorted by %s", w.field)
		}
		last = later(last, at)
		if !at.IsZero() && at.Before(f.floor) {
			continue // the session is before the window
		}
		ended := look(session)
		mark := markOf(session.Key)
		_, again := f.handed[mark]
		switch {
		case again:
			f.handed[mark] = handed{at, true}
		case !ended:
		case !within[mark]:
			list = append(list, fresh{session, mark, at})
		}
		within[mark] = true
	}
	for i, one := range list {
		f.endOfPage = i == len(list)-1
		f.handed[one.mark] = handed{one.at, true}
		f.top = later(f.top, one.at)
		if !w.hand(one.session) {
			return last, errStopped
		}
	}
	f.top = later(f.top, last) // set after the loop: the window must not start after a session that was not returned
	return last, nil
}

// forget drops the returned sessions of a loaded checkpoint that the appliance no longer
// has.
func (f *AuditFollow) forget() {
	maps.DeleteFunc(f.handed, func(_ uint64, h handed) bool { return !h.seen })
}

// prune moves the window forward and drops the returned sessions before its start. The
// end of the window is the latest time of a session so far, but not later than now.
func (f *AuditFollow) prune() {
	if !f.top.IsZero() {
		end := f.top
		if now := time.Now(); end.After(now) {
			end = now
		}
		f.floor = later(f.floor, end.Add(-f.window).UTC())
	}
	f.drop()
	room := f.room()
	if len(f.handed) <= room {
		return
	}
	// The returned sessions do not fit into a checkpoint, so the window starts later.
	times := make([]time.Time, 0, len(f.handed))
	for _, h := range f.handed {
		if h.seen {
			times = append(times, h.at)
		}
	}
	slices.SortFunc(times, time.Time.Compare)
	for i := len(f.handed) - room; i < len(times); i++ {
		if i > 0 && times[i].After(times[i-1]) {
			f.sessions.client.logWaiting(f.ctx, slog.LevelWarn, "sps: more sessions ended at once than fit into a checkpoint; the window starts later",
				slog.Time("from", times[i]))
			f.floor = times[i]
			f.drop()
			return
		}
	}
}

func (f *AuditFollow) drop() {
	maps.DeleteFunc(f.handed, func(_ uint64, h handed) bool { return h.seen && h.at.Before(f.floor) })
}

const (
	// maxCheckpoint is the maximum size of a checkpoint, in bytes.
	maxCheckpoint = 64 << 10
	// checkpointVersion is the version of new checkpoints, and the latest version that
	// can be read.
	checkpointVersion = 1
	// checkpointRest is the space in a checkpoint that is reserved for everything except
	// the returned and the running sessions, in bytes.
	checkpointRest = 2 << 10
	// markSize is the size of the result of markOf, in bytes. A checkpoint stores one
	// mark for each returned session.
	markSize = 8
)

// checkpoint is the position of an AuditFollow.
type checkpoint struct {
	Version   int      `json:"version"`
	Appliance string   `json:"appliance"`
	Query     string   `json:"query"`             // a hash of the parts of the query that select sessions
	By        string   `json:"by"`                // the field by which sessions are requested; "" if not yet decided
	Since     string   `json:"since,omitzero"`    // WithSince
	From      string   `json:"from,omitzero"`     // start of the window
	Top       string   `json:"top,omitzero"`      // the latest time of a session so far: top of AuditFollow
	Handed    string   `json:"handed,omitzero"`   // marks of the sessions returned in the window
	Running   []string `json:"running,omitempty"` // keys of running sessions, each followed by its start
}

// markOf returns the mark that stands for a session in a checkpoint: a hash of its key.
func markOf(key string) uint64 {
	sum := sha256.Sum256([]byte(key))
	return binary.BigEndian.Uint64(sum[:])
}

// queryMark returns a hash of the parts of a query that select sessions.
func queryMark(q audit.Query) (string, error) {
	values, err := audit.Query{Filter: q.Filter, Content: q.Content, Start: q.Start, KeysOnly: true}.Values()
	if err != nil {
		return "", badQuery(err)
	}
	sum := sha256.Sum256([]byte(values.Encode()))
	return hex.EncodeToString(sum[:16]), nil
}

// room returns how many returned sessions fit into a checkpoint.
func (f *AuditFollow) room() int {
	rest := maxCheckpoint - checkpointRest - len(f.sessions.client.Host())
	for key := range f.running {
		rest -= 2*len(key) + 40 // escapes, quotes and the time
	}
	return max(rest/4*3/markSize, 0)
}

// Checkpoint returns the position of the loop for [WithCheckpoint]. A loop that continues
// from the checkpoint does not return the sessions that were already returned, including the
// current one. The checkpoint is a JSON object of at most 64 KiB with a version, the
// appliance, the query, and the sessions returned in the window.
//
// About 6,000 sessions fit into a checkpoint. If more sessions end within the window, the
// window starts later, and the client logs a warning. Checkpoint returns
// [ErrCheckpointFull] if more sessions than that ended at the same time, or if the client
// requests sessions by their start and thousands of sessions are running. A later call of
// Checkpoint may succeed.
func (f *AuditFollow) Checkpoint() ([]byte, error) {
	f.prune()
	query, err := queryMark(f.query)
	if err != nil {
		return nil, err
	}
	c := checkpoint{
		Version: checkpointVersion, Appliance: f.sessions.client.Host(), Query: query, By: string(f.by),
		Since: checkpointTime(f.since), From: checkpointTime(f.floor), Top: checkpointTime(f.top),
	}
	marks := slices.Sorted(maps.Keys(f.handed))
	data := make([]byte, 0, markSize*len(marks))
	for _, mark := range marks {
		data = binary.BigEndian.AppendUint64(data, mark)
	}
	c.Handed = base64.StdEncoding.EncodeToString(data)
	for _, key := range slices.Sorted(maps.Keys(f.running)) {
		c.Running = append(c.Running, key, checkpointTime(f.running[key]))
	}
	encoded, err := codec.Marshal(c)
	if err != nil {
		return nil, f.sessions.failed(err)
	}
	if len(encoded) > maxCheckpoint {
		return nil, f.sessions.failed(fmt.Errorf("%w: %d sessions ended at the same time, and %d are running", ErrCheckpointFull, len(f.handed), len(f.running)))
	}
	return encoded, nil
}

func checkpointTime(t time.Time) string {
	if t.IsZero() {
		return ""
	}
	return t.UTC().Format(time.RFC3339Nano)
}

// load continues from a checkpoint.
func (f *AuditFollow) load(data []byte) error {
	refuse := func(format string, args ...any) error {
		return fmt.Errorf("%w: %s", ErrCheckpoint, fmt.Sprintf(format, args...))
	}
	var first struct {
		Version int `json:"version"`
	}
	var c checkpoint
	switch err := wire.Unmarshal(data, &first); {
	case err != nil || first.Version < 1 || len(data) > maxCheckpoint && first.Version == checkpointVersion:
		return refuse("it is not a checkpoint, or is incomplete: use the last complete checkpoint, or start without one")
	case first.Version > checkpointVersion:
		return refuse("it has version %d, and this program reads up to %d: a newer program wrote it", first.Version, checkpointVersion)
	case wire.Unmarshal(data, &c) != nil:
		return refuse("it was modified: use the last checkpoint that was saved, or start without one")
	}
	query, err := queryMark(f.query)
	if err != nil {
		return err
	}
	switch host := f.sessions.client.Host(); {
	case c.Appliance != host:
		return refuse("it belongs to the appliance %s: use the checkpoint of this appliance, or start without one", quoted(c.Appliance))
	case c.Query != query:
		return refuse("it belongs to another query: start without the checkpoint, or use the Filter, Content and Start of the query that the checkpoint was made with")
	}
	var broken bool
	read := func(text string) (t time.Time) {
		if text != "" {
			t, err = time.Parse(time.RFC3339Nano, text)
			broken = broken || err != nil
		}
		return t
	}
	f.by, f.since, f.floor, f.top = followBy(c.By), read(c.Since), read(c.From), read(c.Top)
	marks, err := base64.StdEncoding.DecodeString(c.Handed)
	broken = broken || err != nil || len(marks)%markSize != 0 || len(c.Running)%2 != 0
	if f.by != byEnd && f.by != byStart && f.by != byUnknown || broken {
		return refuse("it was modified: use the last checkpoint that was saved, or start without one")
	}
	if now := time.Now(); f.floor.After(now) {
		return refuse("its time %s is in the future: the clock of this machine, or of the machine that wrote the checkpoint, is wrong", c.From)
	}
	for ; len(marks) > 0; marks = marks[markSize:] {
		f.handed[binary.BigEndian.Uint64(marks)] = handed{}
	}
	for pair := range slices.Chunk(c.Running, 2) {
		if f.running[pair[0]] = read(pair[1]); broken || apipath.CheckSegment(pair[0]) != nil {
			return refuse("it was modified: use the last checkpoint that was saved, or start without one")
		}
	}
	return nil
}
