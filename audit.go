package sps

import (
	"context"
	"errors"
	"fmt"
	"io"
	"iter"
	"net/http"
	"net/url"
	"slices"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"

	"github.com/go-sps/sps/audit"
	"github.com/go-sps/sps/internal/wire"
)

var (
	auditSessionsPath  = mustPath("audit/sessions")
	auditSnapshotPath  = mustPath("audit/sessions/_snapshot")
	auditCountPath     = mustPath("audit/sessions/_count")
	auditStatsPath     = mustPath("audit/sessions/stats")
	auditHistogramPath = mustPath("audit/sessions/histogram")
)

// TrailZAT and TrailSRS are the file formats in which the appliance can return a
// recording. See [WithTrailFormat].
const (
	// TrailZAT is the default format of a download.
	TrailZAT = "zat"
	// TrailSRS is the format for a session that is still running.
	TrailSRS = "srs"
)

// Audit reads the recorded sessions of the appliance (audit).
type Audit struct {
	// Sessions searches and reads recorded sessions (audit/sessions).
	Sessions *AuditSessions
}

func newAudit(c *Client) Audit { return Audit{&AuditSessions{client: c}} }

// AuditSessions finds and reads recorded sessions (guide: Search, download and index
// sessions; audit/sessions). Package audit has the types of sessions and of queries. The
// user needs the right to search; otherwise the error is [Unauthorized].
//
// The API cannot change sessions, so no method needs a transaction.
type AuditSessions struct {
	client *Client

	reading atomic.Bool // true while a search is reading a snapshot
	mu      sync.Mutex
	last    snapshot // the latest snapshot
}

// Get reads one session by its key (GET /api/audit/sessions/KEY). It returns
// [ResourceNotFound] if the session does not exist.
func (s *AuditSessions) Get(ctx context.Context, key string) (*audit.Session, error) {
	path, err := sessionPath(key)
	if err != nil {
		return nil, s.client.at(err)
	}
	a, err := s.client.read(ctx, path, nil)
	if err != nil {
		return nil, err
	}
	if a.Body == nil {
		return nil, a.unusable("the answer lacks the body of %s", oneLine(key, 60))
	}
	session, err := decodeSession(a, a.body)
	if err != nil {
		return nil, err
	}
	if session.Key == "" {
		session.Key = key
	}
	if session.Key != key {
		return nil, a.unusable("the answer is about %q, not %q", oneLine(session.Key, 60), oneLine(key, 60))
	}
	return session, nil
}

// sessionPath returns the path of a session, or of an endpoint below a session.
func sessionPath(key string, below ...string) (apiPath, error) {
	if slices.Contains(notSessions, key) {
		return apiPath{}, fmt.Errorf("sps: %s: %w", auditSessionsPath.Text, invalid("%s is the name of an endpoint, not the key of a session", quoted(key)))
	}
	path, err := itemPath(auditSessionsPath, key)
	for _, name := range below {
		if err == nil {
			path, err = itemPath(path, name)
		}
	}
	return path, err
}

// notSessions are the endpoints below audit/sessions that are not sessions.
var notSessions = []string{"_snapshot", "_count", "stats", "histogram"}

// decodeSession decodes a session.
func decodeSession(a *answer, data []byte) (*audit.Session, error) {
	session := new(audit.Session)
	if err := wire.Decode(data, session); err != nil {
		return nil, a.unusable("a session cannot be read: %s", oneLine(err.Error(), 200))
	}
	return session, nil
}

// Count returns how many sessions a query finds (GET /api/audit/sessions/_count).
// Appliances before 7.3 do not have that endpoint; for them, Count runs a search. If such
// an appliance finds 10,000 sessions or more, it does not report the exact number. Count
// then returns 10,000 and [ErrSearchCeiling].
func (s *AuditSessions) Count(ctx context.Context, query audit.Query) (int, error) {
	query.Sort, query.PageSize, query.Fields, query.KeysOnly = audit.Sort{}, 0, nil, true
	values, err := s.searchValues(query)
	if err != nil {
		return 0, err
	}
	a, err := s.client.read(ctx, auditCountPath, values)
	if err == nil {
		text, _ := wire.Text(wire.Find(a.All, "count"))
		count, err := strconv.Atoi(text)
		if err != nil || count < 0 {
			return 0, a.unusable("the answer lacks the count")
		}
		return count, nil
	}
	if !lacksEndpoint(err) {
		return 0, err
	}
	values.Set("limit", "1")
	if a, err = s.client.read(ctx, auditSessionsPath, values); err != nil {
		return 0, err
	}
	count, ok := matchCount(a)
	switch {
	case !ok:
		return 0, a.unusable("the answer lacks match_count")
	case count >= searchCeiling:
		return searchCeiling, s.failed(fmt.Errorf("%w: this appliance does not return the exact number; narrow the query", ErrSearchCeiling))
	}
	return count, nil
}

// lacksEndpoint reports whether an error says that an appliance does not have the
// endpoint.
func lacksEndpoint(err error) bool {
	return errors.Is(err, ResourceNotFound) || errors.Is(err, Status(http.StatusNotFound)) || errors.Is(err, Status(http.StatusMethodNotAllowed))
}

// matchCount returns how many sessions a search has found. The value searchCeiling means
// "at least searchCeiling sessions".
func matchCount(a *answer) (count int, ok bool) {
	text, _ := wire.Text(member(a.Meta, "match_count"))
	count, err := strconv.Atoi(text)
	return count, err == nil && count >= 0
}

// searchValues returns the parameters of a query.
func (s *AuditSessions) searchValues(query audit.Query) (url.Values, error) {
	values, err := query.Values()
	return values, s.client.at(badQuery(err))
}

// badQuery makes an error that is both the query error of package audit and
// ErrInvalidInput.
func badQuery(err error) error {
	if err == nil {
		return nil
	}
	return fmt.Errorf("sps: %s: %w: %w", auditSessionsPath.Text, ErrInvalidInput, err)
}

// failed adds the name of the appliance to an error that is not about one request.
func (s *AuditSessions) failed(err error) error {
	return errorf("sps: %s: %s: %w", s.client.Host(), auditSessionsPath.Text, err)
}

// Stats counts the sessions for each value of a field (GET /api/audit/sessions/stats).
// The form of the response is not documented: see [audit.Tallies].
func (s *AuditSessions) Stats(ctx context.Context, query audit.StatsQuery) (*audit.Tallies, error) {
	values, err := query.Values()
	return s.tallies(ctx, auditStatsPath, values, err)
}

// Histogram counts the sessions in each time interval (GET
// /api/audit/sessions/histogram). The form of the response is not documented: see
// [audit.Tallies].
func (s *AuditSessions) Histogram(ctx context.Context, query audit.HistogramQuery) (*audit.Tallies, error) {
	values, err := query.Values()
	return s.tallies(ctx, auditHistogramPath, values, err)
}

func (s *AuditSessions) tallies(ctx context.Context, path apiPath, values url.Values, err error) (*audit.Tallies, error) {
	if err != nil {
		return nil, s.client.at(badQuery(err))
	}
	a, err := s.client.read(ctx, path, values)
	if err != nil {
		return nil, err
	}
	t := new(audit.Tallies)
	if err := wire.Decode(a.body, t); err != nil {
		return nil, a.unusable("%s", oneLine(err.Error(), 200))
	}
	return t, nil
}

// Content searches in one recording and iterates over the events that match (GET
// /api/audit/sessions/KEY/content). Write the search text in the query language, like
// [audit.Query.Content]. For an empty text, the error is [ErrInvalidInput]. A session that
// is not indexed has no events. An error ends the iteration.
func (s *AuditSessions) Content(ctx context.Context, key, content string) iter.Seq2[*audit.Event, error] {
	path, err := sessionPath(key, "content")
	if err == nil {
		err = badQuery(audit.Query{Content: content}.Validate())
	}
	if err == nil && strings.TrimSpace(content) == "" {
		err = fmt.Errorf("sps: GET %s: %w", path.Text, invalid("the search text is empty"))
	}
	return sessionRecords[audit.Event](ctx, s.client, path, url.Values{"q": {strings.TrimSpace(content)}}, err)
}

// Events iterates over the recorded events of a session (GET
// /api/audit/sessions/KEY/events). A session that is not indexed has no events. An error
// ends the iteration.
func (s *AuditSessions) Events(ctx context.Context, key string) iter.Seq2[*audit.Event, error] {
	return recordsOf[audit.Event](ctx, s.client, key, "events")
}

// Alerts iterates over the events of a session that a content policy matched (GET
// /api/audit/sessions/KEY/alerts). An error ends the iteration.
func (s *AuditSessions) Alerts(ctx context.Context, key string) iter.Seq2[*audit.Alert, error] {
	return recordsOf[audit.Alert](ctx, s.client, key, "alerts")
}

// Channels iterates over the channels of a session (GET
// /api/audit/sessions/KEY/channels). An error ends the iteration.
func (s *AuditSessions) Channels(ctx context.Context, key string) iter.Seq2[*audit.Channel, error] {
	return recordsOf[audit.Channel](ctx, s.client, key, "channels")
}

// Indexing iterates over the indexing jobs of a session (GET
// /api/audit/sessions/KEY/indexing). An error ends the iteration.
func (s *AuditSessions) Indexing(ctx context.Context, key string) iter.Seq2[*audit.Indexing, error] {
	return recordsOf[audit.Indexing](ctx, s.client, key, "indexing")
}

// Downloads iterates over the downloads of a recording (GET
// /api/audit/sessions/KEY/trail_downloads). An error ends the iteration.
func (s *AuditSessions) Downloads(ctx context.Context, key string) iter.Seq2[*audit.Download, error] {
	return recordsOf[audit.Download](ctx, s.client, key, "trail_downloads")
}

func recordsOf[T any](ctx context.Context, r reader, key, name string) iter.Seq2[*T, error] {
	path, err := sessionPath(key, name)
	return sessionRecords[T](ctx, r, path, nil, err)
}

// sessionRecords iterates over a list below a session. The items of the list have no
// keys, and most of them have no member body.
func sessionRecords[T any](ctx context.Context, r reader, path apiPath, query url.Values, err error) iter.Seq2[*T, error] {
	return func(yield func(*T, error) bool) {
		if err != nil {
			yield(nil, r.at(err))
			return
		}
		for p := (recordPages{path: path, query: query}); ; {
			a, items, err := p.read(ctx, r)
			if err != nil {
				yield(nil, err)
				return
			}
			for _, item := range items {
				record := new(T)
				err := wire.Decode(bareRecord[T](item), record)
				if err != nil {
					record, err = nil, a.unusable("an item does not fit into %T: %s", *record, oneLine(err.Error(), 200))
				}
				if !yield(record, err) || err != nil {
					return
				}
			}
			if p.done {
				return
			}
		}
	}
}

// recordPages reads the pages of a list below a session.
type recordPages struct {
	path  apiPath
	query url.Values
	seen  pages
	done  bool
}

// read reads the next page. The link to the next page may use another name of the list,
// because the guide has both .../indexing and .../indexer.
func (p *recordPages) read(ctx context.Context, r reader) (*answer, [][]byte, error) {
	a, err := r.read(ctx, p.path, p.query)
	if err != nil {
		return nil, nil, err
	}
	items, err := a.list()
	if err != nil {
		return nil, nil, err
	}
	next, query, err := p.seen.following(p.path, a, len(items))
	switch total, ok := matchCount(a); {
	case err != nil:
		return nil, nil, err
	case len(query) == 0 && ok && total > p.seen.came:
		return nil, nil, a.unusable("the list has %d of %d items, and no link to the next page", p.seen.came, total)
	case len(query) == 0:
		p.done = true
		return a, items, nil
	case !next.Below(auditSessionsPath.Text):
		return nil, nil, a.unusable("the next page of the list is at %s, which belongs to no session", quoted(oneLine(next.Text, 100)))
	}
	for _, item := range items {
		p.seen.note("", item)
	}
	if len(items) == 0 || p.seen.endless(p.query, query) {
		return nil, nil, a.unusable("the pages of the list do not end")
	}
	p.path, p.query = next, query
	return a, items, nil
}

// DownloadTrail writes the recording of a session to w, in constant memory (GET
// /api/audit/sessions/KEY/audit_trail). See [Client.Download] for the result.
// [WithProgress] reports the progress. The format is [TrailZAT] unless [WithTrailFormat]
// sets another. The appliance also returns archived recordings, as long as it can reach
// the archive.
//
// DownloadTrail returns [ErrNoRecording] if the session has no recording, or if the
// session is still running and is available only as [TrailSRS]. It returns
// [ResourceNotFound] without ErrNoRecording if the session does not exist. A download
// that breaks off cannot be resumed; start it again.
func (s *AuditSessions) DownloadTrail(ctx context.Context, key string, w io.Writer, options ...DownloadOption) (int64, error) {
	path, err := sessionPath(key, "audit_trail")
	if err != nil {
		return 0, s.client.at(err)
	}
	n, err := s.client.Download(ctx, "/api/"+path.Escaped, w, options...)
	if err != nil && n == 0 && mayLackRecording(err) {
		err = s.withoutRecording(ctx, key, err)
	}
	return n, err
}

// WithTrailFormat sets the format of a recording in [AuditSessions.DownloadTrail]:
// [TrailZAT] or [TrailSRS]. For any other format, the error is [ErrInvalidInput].
func WithTrailFormat(format string) DownloadOption { return trailFormat(format) }

type trailFormat string

func (o trailFormat) applyDownload(k *call) error {
	switch o {
	case TrailZAT: // the default, which needs no parameter
		k.query.Del("format")
	case TrailSRS:
		k.query.Set("format", string(o))
	default:
		return fmt.Errorf("sps: %w", invalid("the format %s of a recording is not supported: use TrailZAT or TrailSRS", quoted(string(o))))
	}
	return nil
}

// withoutRecording returns ErrNoRecording if a download was refused because the session
// has no recording. Otherwise it returns the refusal.
func (s *AuditSessions) withoutRecording(ctx context.Context, key string, refusal error) error {
	session, err := s.Get(ctx, key)
	switch {
	case err != nil: // the session does not exist, or could not be read
		return refusal
	case session.Active:
		return because(fmt.Errorf("%w yet: it is still running; download it with WithTrailFormat(TrailSRS)", ErrNoRecording), refusal)
	case hasRecording(session):
		return refusal
	}
	return because(ErrNoRecording, refusal)
}

func hasRecording(session *audit.Session) bool {
	if r := session.Recording; r != nil && r.AuditTrail != nil && r.AuditTrail.Download != nil {
		return true
	}
	return session.TrailDownloadLink != ""
}

// WebAddress returns the URL of a session in the appliance's web interface:
// https://HOST/portal/#/audit/sessions/KEY.
func (s *AuditSessions) WebAddress(key string) string {
	return "https://" + s.client.Host() + "/portal/#/audit/sessions/" + url.PathEscape(key)
}
