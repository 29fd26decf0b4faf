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

// searchCeiling is the limit of a search without a snapshot. The appliance ignores a
// larger offset. A count of this number means "this number or more".
const searchCeiling = 10_000

// AuditSearch is a search for recorded sessions. [AuditSessions.Search] makes it.
type AuditSearch struct {
	sessions *AuditSessions
	ctx      context.Context
	query    audit.Query
	err      error // the reason why the search cannot run
	wait     time.Duration
	basic    bool
	snapshot atomic.Bool
}

// SearchOption is an option of [AuditSessions.Search]: [WithSnapshotWait] or
// [WithoutSnapshot]. A nil option does nothing.
type SearchOption interface{ applySearch(*AuditSearch) error }

type searchOption func(*AuditSearch) error

func (o searchOption) applySearch(s *AuditSearch) error { return o(s) }

// WithSnapshotWait makes a search wait, for at most the given time, while another program
// uses the snapshot of the appliance. Without this option, the search returns
// [ErrSnapshotQuota] at once. The appliance deletes a snapshot five minutes after its
// last page was read.
func WithSnapshotWait(limit time.Duration) SearchOption {
	return searchOption(func(s *AuditSearch) error {
		if limit < 0 {
			return invalid("the wait for a snapshot is negative")
		}
		s.wait = limit
		return nil
	})
}

// WithoutSnapshot makes a search run without a snapshot, even if the appliance supports
// snapshots. The one snapshot of the appliance then stays free for other programs.
// [AuditSearch.All] describes the differences.
func WithoutSnapshot() SearchOption {
	return searchOption(func(s *AuditSearch) error {
		s.basic = true
		return nil
	})
}

// Search returns a search for recorded sessions (GET /api/audit/sessions). It sends no
// request; the methods of the result do, with ctx. If the query is invalid, these methods
// return an error that matches both [audit.ErrInvalidQuery] and [ErrInvalidInput].
//
// Without a Sort, the sessions are sorted by [audit.FieldStartTime]. A search in that
// order can continue after an interruption. The client requests the field by which it
// sorts in addition to the fields of the query.
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

// Snapshot reports whether [AuditSearch.All] reads from a snapshot of the appliance. It
// returns false until the loop over All has read the first page.
func (s *AuditSearch) Snapshot() bool { return s.snapshot.Load() }

// Count returns how many sessions the search finds now, see [AuditSessions.Count].
func (s *AuditSearch) Count() (int, error) {
	if s.err != nil {
		return 0, s.err
	}
	return s.sessions.Count(s.ctx, s.query)
}

// All iterates over the sessions that the search finds, page by page, in constant memory.
// Each loop over All starts a new search. An error ends the iteration.
//
// Appliances from 7.3 on make a snapshot for the search. Sessions that are added, changed
// or deleted during the loop do not affect the result. The appliance has one snapshot at
// a time. If another program has it, the error is [ErrSnapshotQuota], see
// [WithSnapshotWait]. If another loop of this client reads it, the error is
// [ErrSearchInUse]. A snapshot ends five minutes after its last page was read, and when
// the appliance restarts. If the sessions are sorted by start_time or creation_time, the
// search then continues in a new snapshot after the last returned session. It returns no
// session twice, but it omits new sessions that would come before that place. With any
// other order, the error is [ErrSnapshotLost]. If snapshots keep disappearing, the error
// is [ErrSnapshotTaken].
//
// Without a snapshot, each page shows the current state. This is the case on older
// appliances, with [WithoutSnapshot], and if the appliance does not replace a snapshot
// that this client used in the last five minutes. A session whose position changes during
// the loop may be missing; no session is returned twice. The appliance returns at most
// 10,000 sessions for a query without a snapshot. If the sessions are sorted by
// start_time or creation_time, the client requests the rest in parts, with ranges of that
// field in the filter. The error is [ErrSearchCeiling] with any other order, if the
// appliance refuses such ranges, or if more than 10,000 sessions have the same time.
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

// errStopped ends a searchRun after the caller has left the loop.
var errStopped = errors.New("the loop was left")

// searchRun is the state of one loop over the results of a search.
type searchRun struct {
	search *AuditSearch
	client *Client
	ctx    context.Context
	yield  func(*audit.Session, error) bool

	place place
	keys  keyMemory
	space []byte    // memory for the next page
	used  time.Time // when the snapshot was last used
	part  part
	skip  bool // pages may contain sessions that were already returned; skip these one by one
	given bool // at least one session was returned

	seed  maphash.Seed
	marks uint64 // a checksum of an earlier page, to detect pages that repeat
	pages int    // number of pages since the start of this snapshot or part
	since int    // number of pages with new sessions since the last snapshot disappeared
}

// keyMemory holds the keys of the current and the previous page, or of all pages if all
// is set.
type keyMemory struct {
	now, before map[string]struct{}
	all         bool
}

// turn starts a new page.
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

// part says which of the found sessions a query requests.
type part uint8

const (
	partAll     part = iota
	partFrom         // sessions at and after the current place
	partUntimed      // sessions without the field by which the search sorts
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
	last       time.Time // time of the last returned session that has one; zero if there is none
	ties       []string  // keys of the returned sessions with the time last
	untimed    []string  // keys of the returned sessions without a time
	unordered  bool      // the sessions did not come in the requested order
	crowded    bool      // there are more than maxTies keys
}

// maxTies is the maximum number of keys that a place stores.
const maxTies = searchCeiling

// fixed reports whether the search sorts by a time that does not change during a session.
func (p *place) fixed() bool {
	return p.field == audit.FieldStartTime || p.field == audit.FieldCreationTime
}

// timeOf returns the time by which the search sorts a session, or the zero time.
func (p *place) timeOf(session *audit.Session) time.Time {
	switch p.field {
	case audit.FieldStartTime:
		return session.StartTime
	case audit.FieldCreationTime:
		return session.CreationTime
	}
	return time.Time{}
}

// before reports whether a comes before b in the order of the search.
func (p *place) before(a, b time.Time) bool {
	if p.descending {
		return a.After(b)
	}
	return a.Before(b)
}

// pass records that the loop returned a session.
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

// passed reports whether a session was already returned, or comes before the place.
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

// whyNot returns the reason why a search cannot continue from the place. It returns "" if
// it can.
func (p *place) whyNot() string {
	switch {
	case !p.fixed():
		return "the search sorts by " + p.field + ": sort by start_time instead"
	case p.unordered:
		return "the sessions did not come in the requested order"
	case p.crowded:
		return fmt.Sprintf("more than %d sessions have the same time", maxTies)
	}
	return ""
}

// query returns the query for the sessions of r.part.
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
		return a.unusable("the pages of the list do not end")
	}
	// The checksum of a page is kept if the number of the page is a power of two. The
	// search can thus detect a cycle of pages of any length, although it keeps only one
	// checksum.
	if r.pages++; r.pages&(r.pages-1) == 0 {
		r.marks = marks
	}
	if fresh {
		r.since++
	}
	return nil
}

// again prepares for a new snapshot or for the next part.
func (r *searchRun) again(next part) {
	r.part, r.pages = next, 0
	r.keys.clear()
}

// searchPage is a page of a search with or without a snapshot.
type searchPage struct {
	*answer
	entries [][]byte
	count   int // number of sessions; searchCeiling means "at least searchCeiling", -1 means unknown
	next    url.Values
}

// readSearchPage reads a page and checks its link to the next page. The page is valid
// until another page is read into the same space.
func readSearchPage(ctx context.Context, c *Client, query url.Values, space *[]byte) (*searchPage, error) {
	k := newRead(auditSessionsPath, query)
	k.space, *space = *space, nil
	a, err := c.get(ctx, k)
	if err != nil {
		return nil, err // the error may refer to the memory in space
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
		return nil, a.unusable("the next page of the list is at %s, which is not a search for sessions", quoted(oneLine(link, 100)))
	case len(p.entries) == 0, following.Encode() == query.Encode():
		return nil, a.unusable("the pages of the list do not end")
	}
	p.next = following
	return p, nil
}

// readBasic reads the sessions without a snapshot.
func (r *searchRun) readBasic() error {
	r.keys.all = true
	for {
		full, err := r.readPiece()
		why := r.place.whyNot()
		switch {
		case err != nil && r.part == partFrom && r.pages == 0 && refusesQuery(err):
			return because(fmt.Errorf("%w: the appliance does not accept ranges of %s in a filter", ErrSearchCeiling, r.place.field), err)
		case err != nil:
			return err
		case full && why == "" && (r.place.last.IsZero() || r.part == partUntimed):
			why = "too many sessions have no " + r.place.field
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

// readPiece reads up to searchCeiling sessions of r.part. full means that the part may
// have more sessions.
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
			// Sessions were deleted, so the sessions after them have a lower offset now.
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
			return false, page.unusable("the appliance reports %d sessions but returned only %d", known, offset)
		}
	}
	if piece && r.place.last.Equal(from) {
		return false, r.search.sessions.failed(fmt.Errorf("%w: too many sessions have the same %s, %s", ErrSearchCeiling, r.place.field, from.Format(time.RFC3339Nano)))
	}
	return true, nil
}

// snapshot identifies a snapshot of the appliance. All pages of a search in a snapshot show
// the same state. A snapshot belongs to the user, the address and the User-Agent of the
// client, so the client can still read it after a new login.
type snapshot struct {
	id   string
	run  *searchRun
	used time.Time // the end of the loop that read the snapshot; zero while the loop runs
}

const (
	// snapshotLife is how long the appliance keeps a snapshot after its last query.
	snapshotLife = 5 * time.Minute
	// quotaPause is the time between two attempts to get a snapshot.
	quotaPause = 30 * time.Second
	// maxLosses is the maximum number of snapshots in a row that may disappear within
	// fewPages pages. If another one disappears, the search fails.
	maxLosses = 10
	// fewPages limits when the disappearance of a snapshot counts as suspicious: within
	// this number of pages, another program has probably replaced it.
	fewPages = 2
)

// errNoSnapshot means that the appliance does not support snapshots, or returns only an
// earlier snapshot of this client.
var errNoSnapshot = errors.New("the appliance does not create a new snapshot")

// open makes a snapshot. It does not repeat the request, because a repetition would make
// a second snapshot and the appliance has only one at a time.
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

// take records that a loop reads a snapshot. It returns false if the snapshot belongs to
// an earlier loop. Such a snapshot cannot be used, because it shows an older state.
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

// readSnapshots reads a snapshot to its end. If the snapshot disappears, readSnapshots
// continues in a new snapshot.
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
			// The appliance does not accept ranges, so the loop skips the sessions that
			// were already returned.
			r.skip = true
			r.again(partAll)
			continue
		case !vanished(err), !r.given && losses > 0 && errors.Is(err, Unauthorized): // the user lacks the right to search
			return err
		}
		if losses++; r.since > fewPages || time.Since(r.used) >= snapshotLife { // another program has probably not replaced it
			losses = 1
		}
		r.since = 0
		why := r.place.whyNot()
		switch {
		case losses > maxLosses:
			return because(fmt.Errorf("%w (%d times): another program may be searching as the same user from the same address", ErrSnapshotTaken, losses), err)
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

// lossPause returns the wait before the next snapshot. The wait is 0 after the first
// loss, which may be due to a restart of the appliance.
func lossPause(losses int) time.Duration {
	if losses == 1 {
		return 0
	}
	return rand.N(250 * time.Millisecond << min(losses, 5))
}

// vanished reports whether the appliance no longer has the snapshot, or whether the
// snapshot now belongs to another user.
func vanished(err error) bool {
	var refused *Error
	return errors.As(err, &refused) && (errors.Is(err, ResourceNotFound) || refused.Status == http.StatusNotFound || refused.Status == http.StatusForbidden)
}

// readSnapshot reads the sessions of r.part from a snapshot, page by page.
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
			return page.unusable("the next page of the list belongs to another snapshot")
		}
		if err := r.handOn(page.answer, page.entries); err != nil {
			return err
		}
		values = page.next
	}
	return nil
}

// WriteCSV writes the sessions as CSV (RFC 4180), in constant memory, and returns the
// number of rows. The first line has the names of the columns: key, and then the fields of
// the query. If the query names no fields, the error is [ErrInvalidInput], unless it has
// KeysOnly. WriteCSV reads the sessions with [AuditSearch.All] and returns the same errors.
// The columns are the same on each appliance. The API also has a CSV export, but its columns
// depend on the appliance, and it may be limited to 10,000 sessions.
//
// A text, a number or a boolean is written as the appliance sent it. An absent value or
// null is an empty cell. A list of texts is joined with semicolons. Any other value is
// written as JSON. Be careful with spreadsheets: they treat a text that starts with an
// equals sign as a formula, and a user name may be such a text.
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

// cell formats a value for a cell of a CSV file.
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
