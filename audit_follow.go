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

// AuditFollow gives each recorded session once, when it has ended; see
// [AuditSessions.Follow]. It is for one goroutine.
type AuditFollow struct {
	sessions *AuditSessions
	ctx      context.Context
	query    audit.Query
	every    time.Duration
	window   time.Duration
	once     bool
	notify   func(error)

	checkpoint []byte // to go on from

	by        followBy
	since     time.Time            // what ended before it is not wanted; zero for none
	floor     time.Time            // where the window begins; zero for everything
	top       time.Time            // the latest time that was seen
	handed    map[uint64]handed    // what was handed on, from floor on
	running   map[string]time.Time // what goes on with its start, where it is followed by that
	endOfPage bool
	space     []byte // for the next page
}

// followBy is the time by which sessions are asked for.
type followBy string

const (
	byEnd     followBy = audit.FieldEndTime
	byStart   followBy = audit.FieldStartTime
	byUnknown followBy = "" // it shows with the first request
)

// handed is a session that was handed on.
type handed struct {
	at   time.Time
	seen bool // at is known: a checkpoint does not have it
}

// FollowOption refines [AuditSessions.Follow]: [WithCheckpoint], [WithSince],
// [WithPollInterval], [WithWindow], [WithOnce] and [WithErrorFunc]. Nil does nothing.
type FollowOption interface{ applyFollow(*AuditFollow) error }

type followOption func(*AuditFollow) error

func (o followOption) applyFollow(f *AuditFollow) error { return o(f) }

func (o IntervalOption) applyFollow(f *AuditFollow) error {
	w := waitOptions{every: time.Duration(o)}
	err := w.complete(followInterval, 0)
	f.every = w.every
	return err
}

// followInterval is the time between two looks without [WithPollInterval].
const followInterval = time.Minute

// WithCheckpoint goes on from a checkpoint, see [AuditFollow.Checkpoint]. An empty one is
// none. One that is torn, of a newer version, of another appliance or query, or from the
// future is [ErrCheckpoint].
func WithCheckpoint(checkpoint []byte) FollowOption {
	return followOption(func(f *AuditFollow) error {
		f.checkpoint = checkpoint
		return nil
	})
}

// WithSince leaves out the sessions that ended before a time. Without it and without a
// checkpoint, all sessions that the appliance has are given first. A checkpoint counts more.
func WithSince(t time.Time) FollowOption {
	return followOption(func(f *AuditFollow) error {
		f.since = t
		return nil
	})
}

// WithWindow sets how late a session may arrive, compared with the one that ended last,
// without being lost; 15 minutes by default. The clocks of the nodes of a cluster may differ
// by as much, and members may deliver as late. A longer window costs larger answers.
func WithWindow(window time.Duration) FollowOption {
	return followOption(func(f *AuditFollow) error {
		if window <= 0 {
			return invalid("the window %s is not positive", window)
		}
		f.window = window
		return nil
	})
}

// WithOnce ends the loop when all sessions that have ended were given: for programs that
// are started again and again in place of a daemon.
func WithOnce() FollowOption {
	return followOption(func(f *AuditFollow) error {
		f.once = true
		return nil
	})
}

// WithErrorFunc calls a function with each error after which [AuditFollow.All] tries again,
// from the goroutine of the loop. Nil is none.
func WithErrorFunc(notify func(error)) FollowOption {
	return followOption(func(f *AuditFollow) error {
		if notify != nil {
			f.notify = notify
		}
		return nil
	})
}

// Follow gives each session that a query finds once, when it has ended, for programs that
// hand sessions on as they come. Nothing is sent before [AuditFollow.All].
//
// The query must have no Sort and no End, which are [ErrInvalidInput]. Its Filter should
// be about what does not change in a session. Sessions are asked for by the time of their end
// (GET /api/audit/sessions, with a range of end_time in the filter), in an overlapping
// window; no snapshot is used. Where the appliance takes no such range, they are asked for by
// their start, and those that go on are remembered and read one by one until they have
// ended.
//
// A restart of the appliance, a session of the API that expires, and sessions that end long
// after they began lose none. What arrives later than [WithWindow] is lost; so is a
// session that never has an end. What changes in a session after its end, such as a late
// index, is not seen.
func (s *AuditSessions) Follow(ctx context.Context, query audit.Query, options ...FollowOption) (*AuditFollow, error) {
	f := &AuditFollow{
		sessions: s, ctx: ctx, query: query, every: followInterval, window: 15 * time.Minute, notify: func(error) {},
		handed: map[uint64]handed{}, running: map[string]time.Time{},
	}
	if err := query.Validate(); err != nil {
		return nil, badQuery(err)
	}
	if query.Sort != (audit.Sort{}) || !query.End.IsZero() {
		return nil, fmt.Errorf("sps: %s: %w", auditSessionsPath.Text, invalid("what is followed has no Sort and no End"))
	}
	for _, option := range options {
		if option == nil {
			continue
		}
		if err := option.applyFollow(f); err != nil {
			return nil, s.failed(err)
		}
	}
	if len(f.checkpoint) > 0 { // it counts more than other options
		if err := f.load(f.checkpoint); err != nil {
			return nil, s.failed(err)
		}
	}
	return f, nil
}

// EndOfPage reports whether the session that was given last is the last one of an answer: a
// good time to save what was done and the checkpoint. The next session may take a while.
func (f *AuditFollow) EndOfPage() bool { return f.endOfPage }

// All iterates over the sessions as they end, about in the order of their ends, until the
// context ends, which is the last error, or with [WithOnce] until there are no more. Called
// once more, it goes on.
//
// While the appliance cannot be reached, restarts, or answers that it is too busy, it tries
// again and again, with [WithOnce] five times; see [WithErrorFunc]. Other errors end the
// iteration: a refused password or query, a missing right, answers that are unusable five
// times in a row, [ErrSearchCeiling] where more than 10,000 sessions end at the same time.
// Go on from the checkpoint then.
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

// followPause is the wait after some failures in a row.
func followPause(failures int) time.Duration {
	bound := min(time.Second<<min(failures, 10), time.Minute)
	return bound/2 + rand.N(bound/2)
}

// goesOn reports whether a failure may be gone with the next look.
func (f *AuditFollow) goesOn(err error, failures int) bool {
	var refused *Error
	var broken *TransportError
	lasting := f.once || errors.Is(err, ErrBadAnswer)
	switch {
	case errors.Is(err, ErrClosed) || refusesCredential(err) || failures+1 >= maxFailures && lasting:
		return false
	case errors.As(err, &refused): // a page of something before the API has no type
		return refused.Status >= 500 || refused.Status == 429 || refused.Type == "" && refused.Status != 400
	}
	return errors.As(err, &broken) && !untrusted(err)
}

// poll hands on what has ended since the last time.
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
		err = f.pollByEnd(hand) // that session may have ended meanwhile
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
	f.by = byUnknown // it was not the range that is refused
	return err
}

// epoch is before everything.
var epoch = time.Unix(0, 0).UTC()

// pollByEnd asks for what has ended, from floor on.
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

// rangesWork tells an appliance where nothing has ended from one that finds nothing by
// ranges of end_time: there, the session that ended last is not found.
func (f *AuditFollow) rangesWork() (bool, error) {
	q := f.query
	q.KeysOnly, q.Fields, q.PageSize = false, []string{audit.FieldEndTime}, 1
	q.Sort = audit.Sort{Field: audit.FieldEndTime, Descending: true}
	values, err := searchValues(q)
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

// pollByStart asks for what went on, and for what has begun, from floor on.
func (f *AuditFollow) pollByStart(hand func(*audit.Session) bool) error {
	if err := f.pollRunning(hand); err != nil {
		return err
	}
	w := followWalk{f: f, hand: hand, field: audit.FieldStartTime, cursor: f.floor}
	return w.run(func(q *audit.Query, cursor time.Time) {
		// The parameter finds what started later.
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

// hasEnded reports whether a session has ended. One that was not recorded may have no end.
func hasEnded(s *audit.Session) bool {
	if s.Active {
		return false
	}
	return !s.EndTime.IsZero() || string(s.Values(audit.FieldActive)[0]) == "false"
}

// pollRunning hands on those that have ended of those that went on.
func (f *AuditFollow) pollRunning(hand func(*audit.Session) bool) error {
	for _, key := range slices.Sorted(maps.Keys(f.running)) {
		session, err := f.sessions.Get(f.ctx, key)
		if errors.Is(err, ResourceNotFound) { // it was deleted
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

// followWalk goes through the sessions in the order of a time. Each page is asked for from the
// time of the last one on, and not by an offset: what is added or deleted meanwhile moves
// nothing.
type followWalk struct {
	f      *AuditFollow
	hand   func(*audit.Session) bool
	field  string
	cursor time.Time
}

// at is the time of a session that counts.
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
			return page.unusable("it has %d sessions, and shows %d of them", page.count, offset)
		case last.After(w.cursor):
			w.cursor, offset = last, 0
		default:
			offset += n
		}
	}
	return f.sessions.failed(fmt.Errorf("%w: as many have the same %s, %s", ErrSearchCeiling, w.field, w.cursor.Format(time.RFC3339Nano)))
}

func (w *followWalk) values(narrow func(*audit.Query, time.Time), offset int) (url.Values, error) {
	q := w.f.query
	narrow(&q, w.cursor)
	q.Sort.Field = w.field
	for _, field := range []string{audit.FieldActive, audit.FieldEndTime, w.field} {
		q = withField(q, field)
	}
	values, err := searchValues(q)
	if err == nil {
		values.Set("offset", strconv.Itoa(offset))
	}
	return values, err
}

// page hands on what is new of a page, and returns the time of its last session.
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
			return last, page.unusable("its sessions are not in the order of %s", w.field)
		}
		last = later(last, at)
		if !at.IsZero() && at.Before(f.floor) {
			continue // before the window
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
	f.top = later(f.top, last) // not before: the window must not begin behind what is not handed on
	return last, nil
}

// forget drops what was handed on before the checkpoint and is not there any more.
func (f *AuditFollow) forget() {
	maps.DeleteFunc(f.handed, func(_ uint64, h handed) bool { return !h.seen })
}

// prune moves the window on, and drops what is before it. The window ends at the latest
// time that was seen, or now where that is in the future.
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
	// What was handed on does not fit into a checkpoint: the window begins later.
	times := make([]time.Time, 0, len(f.handed))
	for _, h := range f.handed {
		if h.seen {
			times = append(times, h.at)
		}
	}
	slices.SortFunc(times, time.Time.Compare)
	for i := len(f.handed) - room; i < len(times); i++ {
		if i > 0 && times[i].After(times[i-1]) {
			f.sessions.client.logWaiting(f.ctx, slog.LevelWarn, "sps: more sessions came at once than a checkpoint holds; the window begins later",
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
	// maxCheckpoint bounds a checkpoint, in bytes.
	maxCheckpoint = 64 << 10
	// checkpointVersion is the version that is written, and the latest that is read.
	checkpointVersion = 1
	// checkpointRest is what a checkpoint has beside what was handed on and what goes on.
	checkpointRest = 2 << 10
	// markSize is what a session takes that was handed on, before it is encoded.
	markSize = 8
)

// checkpoint is how far an AuditFollow has come.
type checkpoint struct {
	Version   int      `json:"version"`
	Appliance string   `json:"appliance"`
	Query     string   `json:"query"`             // a hash of what decides which sessions are meant
	By        string   `json:"by"`                // the time that they are asked for by, "" for not yet known
	Since     string   `json:"since,omitzero"`    // WithSince
	From      string   `json:"from,omitzero"`     // where the window begins
	Top       string   `json:"top,omitzero"`      // the latest time that was seen
	Handed    string   `json:"handed,omitzero"`   // marks of what was handed on in the window
	Running   []string `json:"running,omitempty"` // keys of what goes on, each followed by its start
}

// markOf stands for the key of a session in a checkpoint.
func markOf(key string) uint64 {
	sum := sha256.Sum256([]byte(key))
	return binary.BigEndian.Uint64(sum[:])
}

// queryMark stands for what decides which sessions a query means.
func queryMark(q audit.Query) (string, error) {
	values, err := searchValues(audit.Query{Filter: q.Filter, Content: q.Content, Start: q.Start, KeysOnly: true})
	if err != nil {
		return "", err
	}
	sum := sha256.Sum256([]byte(values.Encode()))
	return hex.EncodeToString(sum[:16]), nil
}

// room is how many sessions that were handed on fit into a checkpoint.
func (f *AuditFollow) room() int {
	rest := maxCheckpoint - checkpointRest - len(f.sessions.client.Host())
	for key := range f.running {
		rest -= 2*len(key) + 40 // escapes, quotes and the time
	}
	return max(rest/4*3/markSize, 0)
}

// Checkpoint returns how far the loop has come, for [WithCheckpoint]: all sessions that were
// given, the present one included, are done. It is a JSON object of at most 64 KiB with a
// version, the appliance, the query, and what was given in the window.
//
// About 6,000 sessions of the window fit into it. When more end at once, the window begins
// later, and the logger gets a warning. Where all of them ended at the same time, and where
// thousands go on on an appliance that is followed by their start, it is
// [ErrCheckpointFull]; a later one may fit again.
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
		return nil, f.sessions.failed(fmt.Errorf("%w: %d sessions were given at the same time, and %d go on", ErrCheckpointFull, len(f.handed), len(f.running)))
	}
	return encoded, nil
}

func checkpointTime(t time.Time) string {
	if t.IsZero() {
		return ""
	}
	return t.UTC().Format(time.RFC3339Nano)
}

// load goes on from a checkpoint.
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
		return refuse("it is none, or only a part of one")
	case first.Version > checkpointVersion:
		return refuse("it has the version %d, and this program reads %d: it was written by a newer one", first.Version, checkpointVersion)
	case wire.Unmarshal(data, &c) != nil:
		return refuse("its members do not fit together: it was changed")
	}
	query, err := queryMark(f.query)
	if err != nil {
		return err
	}
	switch host := f.sessions.client.Host(); {
	case c.Appliance != host:
		return refuse("it is of the appliance %s", quoted(c.Appliance))
	case c.Query != query:
		return refuse("it is of another query: begin a new one, or use the old filter, content and start")
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
		return refuse("its members do not fit together: it was changed")
	}
	if now := time.Now(); f.floor.After(now) {
		return refuse("it is from the future, %s: the clock of this machine or of the one that wrote it is wrong", c.From)
	}
	for ; len(marks) > 0; marks = marks[markSize:] {
		f.handed[binary.BigEndian.Uint64(marks)] = handed{}
	}
	for pair := range slices.Chunk(c.Running, 2) {
		if f.running[pair[0]] = read(pair[1]); broken || apipath.CheckSegment(pair[0]) != nil {
			return refuse("its members do not fit together: it was changed")
		}
	}
	return nil
}
