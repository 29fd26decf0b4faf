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

// searchCeiling is where the basic search ends: a larger offset is ignored, and a count of
// as many means as many or more.
const searchCeiling = 10_000

// AuditSearch is a search for recorded sessions, made by [AuditSessions.Search].
type AuditSearch struct {
	sessions *AuditSessions
	ctx      context.Context
	query    audit.Query
	err      error // why nothing is sent
	wait     time.Duration
	basic    bool
	snapshot atomic.Bool
}

// SearchOption refines [AuditSessions.Search]: [WithSnapshotWait] and [WithoutSnapshot]. Nil
// does nothing.
type SearchOption interface{ applySearch(*AuditSearch) error }

type searchOption func(*AuditSearch) error

func (o searchOption) applySearch(s *AuditSearch) error { return o(s) }

// WithSnapshotWait waits for the appliance's snapshot for at most that long where another
// search has it, in place of [ErrSnapshotQuota] at once. Another search lets go of it five
// minutes after its last page.
func WithSnapshotWait(limit time.Duration) SearchOption {
	return searchOption(func(s *AuditSearch) error {
		if limit < 0 {
			return invalid("the wait for a snapshot is negative")
		}
		s.wait = limit
		return nil
	})
}

// WithoutSnapshot searches without a snapshot on appliances that have them, too: the one
// snapshot of the appliance stays free for others. See [AuditSearch.All] for what that
// means.
func WithoutSnapshot() SearchOption {
	return searchOption(func(s *AuditSearch) error {
		s.basic = true
		return nil
	})
}

// Search searches for recorded sessions (GET /api/audit/sessions). Nothing is sent before
// the result is used, with ctx. A query that must not be sent is then
// [audit.ErrInvalidQuery], which is [ErrInvalidInput] as well.
//
// A query without a Sort comes in the order of [audit.FieldStartTime]: in that order a
// search can go on after an interruption. The field of the order is asked for beside the
// query's own fields.
func (s *AuditSessions) Search(ctx context.Context, query audit.Query, options ...SearchOption) *AuditSearch {
	search := &AuditSearch{sessions: s, ctx: ctx, query: query}
	search.err = badQuery(query.Validate())
	for _, option := range options {
		if option == nil {
			continue
		}
		if err := option.applySearch(search); err != nil && search.err == nil {
			search.err = errorf("sps: %s: %w", auditSessionsPath.Text, err)
		}
	}
	if search.query.Sort == (audit.Sort{}) {
		search.query.Sort.Field = audit.FieldStartTime
	}
	return search
}

// Snapshot reports whether [AuditSearch.All] reads a snapshot of the appliance, which it
// does where there are snapshots. It is known once the loop has begun.
func (s *AuditSearch) Snapshot() bool { return s.snapshot.Load() }

// Count returns how many sessions the search finds now, see [AuditSessions.Count].
func (s *AuditSearch) Count() (int, error) {
	if s.err != nil {
		return 0, s.err
	}
	return s.sessions.Count(s.ctx, s.query)
}

// All iterates over the sessions, page by page in constant memory. Each call searches anew.
// After an error the iteration ends.
//
// On appliances with snapshots, from 7.3 on, the search reads one: what is added, changed or
// deleted meanwhile makes no difference. The appliance has one at a time. Where another
// program has it, it is [ErrSnapshotQuota], see [WithSnapshotWait]. Where a loop of this
// client reads one, it is [ErrSearchInUse]. A snapshot ends five minutes after its last
// page, and with a restart of the appliance. The search then goes on in a new one, behind
// the session that it gave last, where the order is by start_time or creation_time; a
// session is given once, and those that came since, before that place, are not. In any
// other order it is [ErrSnapshotLost]. A snapshot that vanishes again and again is
// [ErrSnapshotTaken].
//
// On other appliances, and where this client had a snapshot in the last five minutes that
// the appliance does not replace, pages are those of the moment: a session whose place
// changes meanwhile may be missing, none is given twice. The appliance shows 10,000
// sessions to such a search. Where the order is by start_time or creation_time, those beyond
// are asked for in pieces, by ranges of that field in the filter. In any other order, where
// the appliance refuses such ranges, and where more than 10,000 sessions have the same
// time, it is [ErrSearchCeiling].
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

// errStopped ends a run whose loop was left.
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
	used  time.Time // when the snapshot was
	part  part
	skip  bool // what is before the place is left out by looking at it
	given bool // a session was handed on

	seed  maphash.Seed
	marks uint64 // of an earlier page, to notice a circle
	pages int    // since the beginning of this snapshot or piece
	since int    // pages with something new since the last loss of a snapshot
}

// keyMemory knows the keys of this page and of the one before, or of all pages.
type keyMemory struct {
	now, before map[string]struct{}
	all         bool
}

// turn begins a page.
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

// part is what of the sessions is asked for.
type part uint8

const (
	partAll     part = iota
	partFrom         // those from the place on
	partUntimed      // those without the field that they are sorted by
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

// place is how far a loop has come in the order of the sessions.
type place struct {
	field      string
	descending bool
	last       time.Time // of the last session that has a time; zero for none
	ties       []string  // the keys of those with that time
	untimed    []string  // the keys of those without a time
	unordered  bool      // they did not come in the order that was asked for
	crowded    bool      // there are too many keys to keep
}

// maxTies bounds the keys that a place keeps.
const maxTies = searchCeiling

// fixed reports whether the order is by a time that does not change.
func (p *place) fixed() bool {
	return p.field == audit.FieldStartTime || p.field == audit.FieldCreationTime
}

// timeOf is the time by which a session is sorted, zero for none.
func (p *place) timeOf(session *audit.Session) time.Time {
	switch p.field {
	case audit.FieldStartTime:
		return session.StartTime
	case audit.FieldCreationTime:
		return session.CreationTime
	}
	return time.Time{}
}

// before reports whether a time comes before another one in the order.
func (p *place) before(a, b time.Time) bool {
	if p.descending {
		return a.After(b)
	}
	return a.Before(b)
}

// pass notes that a session is handed on.
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

// passed reports whether a session was handed on, or is before the place.
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

// whyNot says why a search cannot go on from the place, "" if it can.
func (p *place) whyNot() string {
	switch {
	case !p.fixed():
		return "its order is by " + p.field + ": sort by start_time"
	case p.unordered:
		return "the sessions did not come in the order that was asked for"
	case p.crowded:
		return fmt.Sprintf("more than %d sessions have the same time", maxTies)
	}
	return ""
}

// query is the query for the present part.
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

// withField asks for a field beside those of a query.
func withField(q audit.Query, field string) audit.Query {
	switch {
	case q.KeysOnly:
		q.KeysOnly, q.Fields = false, []string{field}
	case len(q.Fields) > 0 && q.Fields[0] != audit.AllFields && !contains(q.Fields, field):
		q.Fields = append(q.Fields[:len(q.Fields):len(q.Fields)], field)
	}
	return q
}

// handOn hands the sessions of a page on.
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
	// The page that is remembered moves on at powers of two, so every circle is noticed
	// without keeping all pages.
	if r.pages++; r.pages&(r.pages-1) == 0 {
		r.marks = marks
	}
	if fresh {
		r.since++
	}
	return nil
}

// again begins a new snapshot or piece.
func (r *searchRun) again(next part) {
	r.part, r.pages = next, 0
	r.keys.clear()
}

// searchPage is a page of either search.
type searchPage struct {
	*answer
	entries [][]byte
	count   int // how many there are, searchCeiling for as many or more; -1 where it does not say
	next    url.Values
}

// readSearchPage reads a page, and checks where it leads to. The page is valid until the
// next one is read into the same space.
func readSearchPage(ctx context.Context, c *Client, query url.Values, space *[]byte) (*searchPage, error) {
	k := newRead(auditSessionsPath, query)
	k.space, *space = *space, nil
	a, err := c.get(ctx, k)
	if err != nil {
		return nil, err // which may hold the space
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
		return nil, a.unusable("its next page is %s, which is no search for sessions", quoted(oneLine(link, 100)))
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
			return because(fmt.Errorf("%w: it takes no ranges of %s in a filter", ErrSearchCeiling, r.place.field), err)
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

// refusesQuery tells that the appliance does not take a query.
func refusesQuery(err error) bool {
	var refused *Error
	return errors.As(err, &refused) && refused.Status == http.StatusBadRequest
}

// maxRereads bounds how often a page is read once more because sessions were deleted.
const maxRereads = 100

// readPiece reads what the basic search shows of a part: up to searchCeiling sessions. full
// means that there may be more.
func (r *searchRun) readPiece() (full bool, err error) {
	values, err := searchValues(r.query())
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
			// Sessions were deleted, and what follows them has moved.
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
			return false, page.unusable("it has %d sessions, and shows %d of them", known, offset)
		}
	}
	if piece && r.place.last.Equal(from) {
		return false, r.search.sessions.failed(fmt.Errorf("%w: as many have the same %s, %s", ErrSearchCeiling, r.place.field, from.Format(time.RFC3339Nano)))
	}
	return true, nil
}

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

// WriteCSV writes the sessions as CSV (RFC 4180) in constant memory, and returns how many
// there were. The first line has the names of the columns: key, and the fields of the
// query, which it must name. It reads what [AuditSearch.All] reads, with the same errors:
// so it has no ceiling, and its columns are the same for each appliance, which the CSV of
// the API itself does not promise.
//
// A text, a number and a boolean are written as the appliance sent them, an absent value
// and null as nothing, a list of texts with semicolons between them, and whatever else as
// JSON. A spreadsheet takes a text that begins with an equals sign for a formula; users can
// choose such names.
func (s *AuditSearch) WriteCSV(w io.Writer) (rows int, err error) {
	fields := s.query.Fields
	switch {
	case s.err != nil:
		return 0, s.err
	case len(fields) > 0 && fields[0] == audit.AllFields, len(fields) == 0 && !s.query.KeysOnly:
		return 0, fmt.Errorf("sps: %s: %w", auditSessionsPath.Text, invalid("name the columns of the CSV in Query.Fields"))
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

// cell writes a value for people and spreadsheets.
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
