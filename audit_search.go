package sps

import (
	"context"
	"encoding/csv"
	"encoding/json"
	"errors"
	"fmt"
	"hash/maphash"
	"io"
	"iter"
	"log/slog"
	"math/rand/v2"
	"net/http"
	"net/url"
	"strconv"
	"strings"
	"sync/atomic"
	"time"

	"github.com/go-sps/sps/audit"
	"github.com/go-sps/sps/internal/wire"
)

// searchCeiling is the limit of the basic search: it ignores a larger offset, and a count
// of this number means that many or more.
const searchCeiling = 10_000

// AuditSearch is a search for recorded sessions. [AuditSessions.Search] makes it.
type AuditSearch struct {
	sessions *AuditSessions
	ctx      context.Context
	query    audit.Query
	err      error // the reason why nothing is sent
	wait     time.Duration
	basic    bool
	snapshot atomic.Bool
}

// SearchOption is an option of [AuditSessions.Search]: [WithSnapshotWait] or
// [WithoutSnapshot]. A nil option does nothing.
type SearchOption interface{ applySearch(*AuditSearch) error }

type searchOption func(*AuditSearch) error

func (o searchOption) applySearch(s *AuditSearch) error { return o(s) }

// WithSnapshotWait waits for the appliance's snapshot for at most the given time if
// another search has it. Without it, [ErrSnapshotQuota] is returned at once. A snapshot
// becomes free five minutes after its last page was read.
func WithSnapshotWait(limit time.Duration) SearchOption {
	return searchOption(func(s *AuditSearch) error {
		if limit < 0 {
			return invalid("the wait for a snapshot is negative")
		}
		s.wait = limit
		return nil
	})
}

// WithoutSnapshot searches without a snapshot, even on appliances that have them, so that
// the one snapshot of the appliance stays free for others. [AuditSearch.All] describes
// the consequences.
func WithoutSnapshot() SearchOption {
	return searchOption(func(s *AuditSearch) error {
		s.basic = true
		return nil
	})
}

// Search returns a search for recorded sessions (GET /api/audit/sessions). Nothing is
// sent before the result is used; its requests use ctx. An invalid query then fails with
// [audit.ErrInvalidQuery], which is [ErrInvalidInput] as well.
//
// Without a Sort, the sessions come in the order of [audit.FieldStartTime]. A search in
// that order can continue after an interruption. The client requests the field of the
// order in addition to the fields of the query.
func (s *AuditSessions) Search(ctx context.Context, query audit.Query, options ...SearchOption) *AuditSearch {
	search := &AuditSearch{sessions: s, ctx: ctx, query: query}
	search.err = s.client.at(badQuery(query.Validate()))
	for option := range given(options) {
		if err := option.applySearch(search); err != nil && search.err == nil {
			search.err = s.failed(err)
		}
	}
	if search.query.Sort == (audit.Sort{}) {
		search.query.Sort.Field = audit.FieldStartTime
	}
	return search
}

// Snapshot reports whether [AuditSearch.All] reads a snapshot of the appliance. It does
// so if the appliance has snapshots. The result is known after the loop has started.
func (s *AuditSearch) Snapshot() bool { return s.snapshot.Load() }

// Count returns how many sessions the search finds now, see [AuditSessions.Count].
func (s *AuditSearch) Count() (int, error) {
	if s.err != nil {
		return 0, s.err
	}
	return s.sessions.Count(s.ctx, s.query)
}

// All iterates over the sessions, page by page, in constant memory. Each call of All
// starts a new search. An error ends the iteration.
//
// With a snapshot (appliances from 7.3 on), sessions that are added, changed or deleted
// meanwhile have no effect. The appliance has one snapshot at a time. If another program
// has it, the error is [ErrSnapshotQuota], see [WithSnapshotWait]. If another loop of
// this client reads it, the error is [ErrSearchInUse]. A snapshot ends five minutes after
// its last page was read, and with a restart of the appliance. In the order of start_time
// or creation_time, the search then continues in a new snapshot after the last returned
// session. No session is returned twice, but new sessions before that place are left out.
// In any other order, the error is [ErrSnapshotLost]. If snapshots keep disappearing, the
// error is [ErrSnapshotTaken].
//
// Without a snapshot, each page shows the current state. This applies to older
// appliances, and if the appliance does not replace a snapshot that this client used in
// the last five minutes. A session whose place changes meanwhile may be missing; no
// session is returned twice. The appliance shows 10,000 sessions to such a search. In the
// order of start_time or creation_time, the client requests the rest in parts, by ranges
// of that field in the filter. In any other order, if the appliance refuses such ranges,
// and if more than 10,000 sessions have the same time, the error is [ErrSearchCeiling].
func (s *AuditSearch) All() iter.Seq2[*audit.Session, error] {
	return func(yield func(*audit.Session, error) bool) {
		if s.err != nil {
			yield(nil, s.err)
			return
		}
		r := &searchRun{search: s, client: s.sessions.client, ctx: s.ctx, yield: yield, seed: maphash.MakeSeed()}
		r.place.field, r.place.descending = s.query.Sort.Field, s.query.Sort.Descending
		if err := r.run(); err != nil && err != errStopped {
			yield(nil, err)
		}
	}
}

// errStopped ends a run after the caller has left the loop.
var errStopped = errors.New("the loop was left")

// searchRun is one loop over a search.
type searchRun struct {
	search *AuditSearch
	client *Client
	ctx    context.Context
	yield  func(*audit.Session, error) bool

	place place
	keys  keyMemory
	space []byte    // for the next page
	used  time.Time // when the snapshot was used
	part  part
	skip  bool // sessions before the place are skipped one by one
	given bool // a session was returned

	seed  maphash.Seed
	marks uint64 // of an earlier page, to detect a circle
	pages int    // since the start of this snapshot or part
	since int    // pages with new sessions since the last loss of a snapshot
}

// keyMemory holds the keys of this page and the previous one, or of all pages.
type keyMemory struct {
	now, before map[string]struct{}
	all         bool
}

// turn starts a page.
func (m *keyMemory) turn() {
	if m.now == nil {
		m.now, m.before = map[string]struct{}{}, map[string]struct{}{}
	}
	if !m.all {
		m.now, m.before = m.before, m.now
		clear(m.now)
	}
}

// add adds a key, and reports whether it is new.
func (m *keyMemory) add(key string) bool {
	_, twice := m.now[key]
	_, again := m.before[key]
	m.now[key] = struct{}{}
	return !twice && !again
}

func (m *keyMemory) clear() {
	clear(m.now)
	clear(m.before)
}

// part is the part of the sessions that is requested.
type part uint8

const (
	partAll     part = iota
	partFrom         // those from the place on
	partUntimed      // those without the field by which they are sorted
)

func (r *searchRun) run() error {
	sessions := r.search.sessions
	if r.search.basic {
		return r.readBasic()
	}
	if !sessions.reading.CompareAndSwap(false, true) {
		return sessions.failed(ErrSearchInUse)
	}
	held := true
	release := func() {
		if held {
			held = false
			sessions.reading.Store(false)
		}
	}
	defer release()
	snap, err := r.open()
	if errors.Is(err, errNoSnapshot) {
		release()
		return r.readBasic()
	}
	if err != nil {
		return err
	}
	defer sessions.leave(r)
	r.search.snapshot.Store(true)
	return r.readSnapshots(snap)
}

// place is the position of a loop in the order of the sessions.
type place struct {
	field      string
	descending bool
	last       time.Time // of the last session with a time; zero if there is none
	ties       []string  // the keys of those with that time
	untimed    []string  // the keys of those without a time
	unordered  bool      // they did not come in the requested order
	crowded    bool      // there are too many keys to keep
}

// maxTies limits the keys that a place keeps.
const maxTies = searchCeiling

// fixed reports whether the order is by a time that does not change.
func (p *place) fixed() bool {
	return p.field == audit.FieldStartTime || p.field == audit.FieldCreationTime
}

// timeOf returns the time by which a session is sorted, or zero.
func (p *place) timeOf(session *audit.Session) time.Time {
	switch p.field {
	case audit.FieldStartTime:
		return session.StartTime
	case audit.FieldCreationTime:
		return session.CreationTime
	}
	return time.Time{}
}

// before reports whether one time comes before another in the order.
func (p *place) before(a, b time.Time) bool {
	if p.descending {
		return a.After(b)
	}
	return a.Before(b)
}

// pass records that a session was returned.
func (p *place) pass(session *audit.Session) {
	if !p.fixed() {
		return
	}
	at := p.timeOf(session)
	into := &p.ties
	switch {
	case at.IsZero():
		into = &p.untimed
	case p.last.IsZero() || p.before(p.last, at):
		p.last, p.ties = at, p.ties[:0]
	case p.before(at, p.last):
		p.unordered = true
		return
	}
	if len(*into) == maxTies {
		p.crowded = true
		return
	}
	*into = append(*into, session.Key)
}

// passed reports whether a session was returned, or is before the place.
func (p *place) passed(session *audit.Session) bool {
	at := p.timeOf(session)
	switch {
	case at.IsZero():
		return contains(p.untimed, session.Key)
	case p.last.IsZero() || p.before(p.last, at):
		return false
	case p.before(at, p.last):
		return true
	}
	return contains(p.ties, session.Key)
}

func contains(keys []string, key string) bool {
	for i := len(keys) - 1; i >= 0; i-- {
		if keys[i] == key {
			return true
		}
	}
	return false
}

// whyNot returns the reason why a search cannot continue from the place, or "".
func (p *place) whyNot() string {
	switch {
	case !p.fixed():
		return "its order is by " + p.field + ": sort by start_time"
	case p.unordered:
		return "the sessions did not come in the requested order"
	case p.crowded:
		return fmt.Sprintf("more than %d sessions have the same time", maxTies)
	}
	return ""
}

// query returns the query for the current part.
func (r *searchRun) query() audit.Query {
	q := r.search.query
	switch p := &r.place; {
	case r.part == partUntimed:
		q.Filter = audit.And(q.Filter, audit.Not(audit.Exists(p.field)))
	case r.part == partAll:
	case p.descending:
		q.Filter = audit.And(q.Filter, audit.TimeRange(p.field, time.Time{}, p.last))
	default:
		q.Filter = audit.And(q.Filter, audit.TimeRange(p.field, p.last, time.Time{}))
	}
	return withField(q, r.place.field)
}

// withField adds a field to the fields of a query.
func withField(q audit.Query, field string) audit.Query {
	switch {
	case q.KeysOnly:
		q.KeysOnly, q.Fields = false, []string{field}
	case len(q.Fields) > 0 && q.Fields[0] != audit.AllFields && !contains(q.Fields, field):
		q.Fields = append(q.Fields[:len(q.Fields):len(q.Fields)], field)
	}
	return q
}

// handOn returns the sessions of a page to the loop.
func (r *searchRun) handOn(a *answer, entries [][]byte) error {
	r.keys.turn()
	marks, fresh := uint64(len(entries)), false
	for _, entry := range entries {
		session, err := decodeSession(a, entry)
		if err != nil {
			return err
		}
		if session.Key == "" {
			return a.unusable("a session lacks its key")
		}
		marks += maphash.String(r.seed, session.Key)
		if !r.keys.add(session.Key) || (r.part != partAll || r.skip) && r.place.passed(session) {
			continue
		}
		r.place.pass(session)
		r.given, fresh = true, true
		if !r.yield(session, nil) {
			return errStopped
		}
	}
	if len(entries) > 0 && r.pages > 0 && marks == r.marks {
		return a.unusable("its pages do not end")
	}
	// The remembered page changes at powers of two, so every circle is detected without
	// keeping all pages.
	if r.pages++; r.pages&(r.pages-1) == 0 {
		r.marks = marks
	}
	if fresh {
		r.since++
	}
	return nil
}

// again starts a new snapshot or part.
func (r *searchRun) again(next part) {
	r.part, r.pages = next, 0
	r.keys.clear()
}

// searchPage is a page of a search with or without a snapshot.
type searchPage struct {
	*answer
	entries [][]byte
	count   int // number of sessions; searchCeiling means that many or more, -1 unknown
	next    url.Values
}

// readSearchPage reads a page and checks its link. The page is valid until the next one
// is read into the same space.
func readSearchPage(ctx context.Context, c *Client, query url.Values, space *[]byte) (*searchPage, error) {
	k := newRead(auditSessionsPath, query)
	k.space, *space = *space, nil
	a, err := c.get(ctx, k)
	if err != nil {
		return nil, err // the error may refer to the space
	}
	*space = a.body
	p := &searchPage{answer: a, count: -1}
	if p.entries, err = a.list(); err != nil {
		return nil, err
	}
	if count, ok := matchCount(a); ok {
		p.count = count
	}
	link := newMeta(a.Meta).Next
	if link == "" {
		return p, nil
	}
	next, following, err := parseLink(link)
	switch {
	case err != nil || next != auditSessionsPath || len(following) == 0:
		return nil, a.unusable("its next page is %s, which is not a search for sessions", quoted(oneLine(link, 100)))
	case len(p.entries) == 0, following.Encode() == query.Encode():
		return nil, a.unusable("its pages do not end")
	}
	p.next = following
	return p, nil
}

// readBasic reads without a snapshot.
func (r *searchRun) readBasic() error {
	r.keys.all = true
	for {
		full, err := r.readPiece()
		why := r.place.whyNot()
		switch {
		case err != nil && r.part == partFrom && r.pages == 0 && refusesQuery(err):
			return because(fmt.Errorf("%w: it does not accept ranges of %s in a filter", ErrSearchCeiling, r.place.field), err)
		case err != nil:
			return err
		case full && why == "" && (r.place.last.IsZero() || r.part == partUntimed):
			why = "they have no " + r.place.field
		case full && why == "":
			r.again(partFrom)
			continue
		case r.part == partFrom:
			r.again(partUntimed)
			continue
		}
		if full {
			return r.search.sessions.failed(fmt.Errorf("%w: %s", ErrSearchCeiling, why))
		}
		return nil
	}
}

// refusesQuery reports whether an error says that the appliance does not accept a query.
func refusesQuery(err error) bool {
	var refused *Error
	return errors.As(err, &refused) && refused.Status == http.StatusBadRequest
}

// maxRereads limits how often a page is read again because sessions were deleted.
const maxRereads = 100

// readPiece reads what the basic search shows of a part: up to searchCeiling sessions.
// full means that there may be more.
func (r *searchRun) readPiece() (full bool, err error) {
	values, err := r.search.sessions.searchValues(r.query())
	if err != nil {
		return false, err
	}
	from, piece, known, rereads := r.place.last, r.part == partFrom, -1, 0
	for offset := 0; offset < searchCeiling; {
		values.Set("offset", strconv.Itoa(offset))
		page, err := readSearchPage(r.ctx, r.client, values, &r.space)
		if err != nil {
			return false, err
		}
		if err := r.handOn(page.answer, page.entries); err != nil {
			return false, err
		}
		if gone := known - page.count; known >= 0 && page.count >= 0 && gone > 0 && offset > 0 && rereads < maxRereads {
			// Sessions were deleted, and the sessions after them have moved.
			offset, known, rereads = max(0, offset-gone), page.count, rereads+1
			r.pages = 0
			continue
		}
		known = page.count
		offset += len(page.entries)
		switch {
		case known >= 0 && offset >= known && known < searchCeiling, known < 0 && page.next == nil:
			return false, nil
		case len(page.entries) == 0:
			return false, page.unusable("the appliance has %d sessions, and shows %d of them", known, offset)
		}
	}
	if piece && r.place.last.Equal(from) {
		return false, r.search.sessions.failed(fmt.Errorf("%w: as many have the same %s, %s", ErrSearchCeiling, r.place.field, from.Format(time.RFC3339Nano)))
	}
	return true, nil
}

// snapshot is what a search reads so that all its pages are of the same time. It belongs
// to the user, the address and the User-Agent, so a new login keeps it.
type snapshot struct {
	id   string
	run  *searchRun
	used time.Time // approximately when it was last used, after its loop has ended
}

const (
	// snapshotLife is how long a snapshot lives without a query.
	snapshotLife = 5 * time.Minute
	// quotaPause is the time between two attempts to get one.
	quotaPause = 30 * time.Second
	// maxLosses is how many snapshots in a row may disappear within a few pages.
	maxLosses = 10
	// fewPages is the number of pages up to which another program may have taken the
	// snapshot.
	fewPages = 2
)

// errNoSnapshot means that the appliance has no snapshots, or returns only the old one of
// this client.
var errNoSnapshot = errors.New("the appliance gives no new snapshot")

// open makes a snapshot. The request is never repeated, because a repetition would make a
// second snapshot and there is only one at a time.
func (r *searchRun) open() (id string, err error) {
	deadline := time.Now().Add(r.search.wait)
	for {
		a, err := r.client.read(r.ctx, auditSnapshotPath, nil)
		if err == nil {
			id, _ := wire.Text(member(a.Body, "snapshot"))
			if id == "" {
				return "", a.unusable("the answer lacks the id of the snapshot")
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

// take records the snapshot of a loop. It returns false for the snapshot of an earlier
// loop, which would show the old state.
func (s *AuditSessions) take(id string, r *searchRun) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.last.id == id && s.last.run != r {
		return false
	}
	s.last = snapshot{id: id, run: r}
	return true
}

// leave records that a loop has ended. The API cannot release a snapshot.
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

// readSnapshots reads a snapshot to its end. If the snapshot disappears, it continues in
// a new one.
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
			// Without ranges, sessions that were already returned are skipped.
			r.skip = true
			r.again(partAll)
			continue
		case !vanished(err), !r.given && losses > 0 && errors.Is(err, Unauthorized): // the right is missing
			return err
		}
		if losses++; r.since > fewPages || time.Since(r.used) >= snapshotLife { // nobody else took it
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
		r.client.logWaiting(r.ctx, slog.LevelWarn, "sps: the snapshot of a search has disappeared; continuing in another one", slog.Int("in_a_row", losses))
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

// lossPause returns the wait before the next snapshot. There is none after the first
// loss, which may be due to a restart.
func lossPause(losses int) time.Duration {
	if losses == 1 {
		return 0
	}
	return rand.N(250 * time.Millisecond << min(losses, 5))
}

// vanished reports whether the appliance no longer has the snapshot, or it now belongs to
// somebody else.
func vanished(err error) bool {
	var refused *Error
	return errors.As(err, &refused) && (errors.Is(err, ResourceNotFound) || refused.Status == http.StatusNotFound || refused.Status == http.StatusForbidden)
}

// readSnapshot reads the current part in a snapshot.
func (r *searchRun) readSnapshot(id string) error {
	values, err := r.search.sessions.searchValues(r.query())
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
			return page.unusable("its next page belongs to another snapshot")
		}
		if err := r.handOn(page.answer, page.entries); err != nil {
			return err
		}
		values = page.next
	}
	return nil
}

// WriteCSV writes the sessions as CSV (RFC 4180), in constant memory, and returns the
// number of rows. The first line has the names of the columns: key, and the fields of the
// query, which must name them. It reads like [AuditSearch.All] and returns the same
// errors. It has no limit of 10,000 sessions, and its columns do not depend on the
// appliance; the CSV export of the API itself guarantees neither.
//
// A text, a number or a boolean is written as the appliance sent it. An absent value or
// null is an empty cell. A list of texts is joined with semicolons. Anything else is
// JSON. A spreadsheet treats a text that starts with an equals sign as a formula, and
// users can choose such names.
func (s *AuditSearch) WriteCSV(w io.Writer) (rows int, err error) {
	fields := s.query.Fields
	switch {
	case s.err != nil:
		return 0, s.err
	case len(fields) > 0 && fields[0] == audit.AllFields, len(fields) == 0 && !s.query.KeysOnly:
		return 0, s.sessions.failed(invalid("name the columns of the CSV in Query.Fields"))
	}
	out := csv.NewWriter(w)
	if err := out.Write(append([]string{"key"}, fields...)); err != nil {
		return 0, s.sessions.failed(fmt.Errorf("writing the CSV: %w", err))
	}
	line := make([]string, 0, 1+len(fields))
	for session, err := range s.All() {
		if err != nil {
			out.Flush()
			return rows, err
		}
		line = append(line[:0], session.Key)
		for _, value := range session.Values(fields...) {
			line = append(line, cell(value))
		}
		if err := out.Write(line); err != nil {
			return rows, s.sessions.failed(fmt.Errorf("writing the CSV: %w", err))
		}
		rows++
	}
	if out.Flush(); out.Error() != nil {
		return rows, s.sessions.failed(fmt.Errorf("writing the CSV: %w", out.Error()))
	}
	return rows, nil
}

// cell formats a value for people and spreadsheets.
func cell(value json.RawMessage) string {
	if text, ok := wire.Text(value); ok {
		return text
	}
	switch wire.Kind(value) {
	case wire.Null:
		return ""
	case wire.Array:
		elements, err := wire.Elements(value)
		texts := make([]string, len(elements))
		for i, e := range elements {
			text, ok := wire.Text(e)
			if texts[i] = text; !ok || err != nil {
				return string(value)
			}
		}
		return strings.Join(texts, ";")
	}
	if is, ok := wire.Bool(value); ok {
		return strconv.FormatBool(is)
	}
	return string(value)
}
