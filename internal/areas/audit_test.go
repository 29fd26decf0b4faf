package areas

import (
	"bytes"
	"context"
	"encoding/csv"
	"errors"
	"fmt"
	"io"
	"iter"
	"net/http"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/go-sps/sps"
	"github.com/go-sps/sps/audit"
	"github.com/go-sps/sps/internal/testkit"
	"github.com/go-sps/sps/spstest"
)

// countAll returns the number of values before the first error of an iterator, and that error.
func countAll[T any](all iter.Seq2[*T, error]) (n int, err error) {
	for _, err := range all {
		if err != nil {
			return n, err
		}
		n++
	}
	return n, nil
}

// TestAuditSession checks that the client reads the details, events, content, alerts, channels,
// indexing results and downloads of sessions, and statistics, a histogram and a count of sessions,
// with each variant of the appliance.
func TestAuditSession(t *testing.T) {
	t.Parallel()
	testkit.UnderVariants(t, func(t *testing.T, options ...spstest.Option) {
		a := spstest.NewServer(t, append(options, spstest.WithAuditSessions(60))...)
		c := testkit.Connect(t, a)
		s := c.Audit.Sessions
		var events, alerts, channels, indexing, downloads, found int
		for stored := range a.AuditSessions() {
			session, err := s.Get(t.Context(), stored.Key)
			if err != nil {
				t.Fatal(err)
			}
			if session.Key != stored.Key || !session.StartTime.Equal(stored.Start) || session.Protocol != stored.Protocol || session.Active != stored.End.IsZero() {
				t.Errorf("%+v, want %+v", session, stored)
			}
			for event, err := range s.Events(t.Context(), stored.Key) {
				if err != nil || event.Action == "" || event.Time.IsZero() || event.ChannelID != "0" {
					t.Fatalf("event %+v, %v", event, err)
				}
				events++
			}
			for event, err := range s.Content(t.Context(), stored.Key, `ls OR iptables`) {
				if err != nil || !strings.Contains(event.Content, "ls") && !strings.Contains(event.Content, "iptables") {
					t.Fatalf("content %+v, %v", event, err)
				}
				found++
			}
			for alert, err := range s.Alerts(t.Context(), stored.Key) {
				if err != nil || alert.RuleName == "" {
					t.Fatalf("alert %+v, %v", alert, err)
				}
				alerts++
			}
			for channel, err := range s.Channels(t.Context(), stored.Key) {
				if err != nil || channel.Type == "" || channel.StartTime.IsZero() {
					t.Fatalf("channel %+v, %v", channel, err)
				}
				channels++
			}
			for one, err := range s.Indexing(t.Context(), stored.Key) {
				if err != nil || one.Status != "COMPLETED" || one.Statistics.StartTime.IsZero() {
					t.Fatalf("indexing %+v, %v", one, err)
				}
				indexing++
			}
			for download, err := range s.Downloads(t.Context(), stored.Key) {
				if err != nil || download.Username == "" {
					t.Fatalf("download %+v, %v", download, err)
				}
				downloads++
			}
		}
		if min(events, alerts, channels, indexing, downloads, found) == 0 {
			t.Errorf("%d events, %d alerts, %d channels, %d times indexed, %d downloads, %d found", events, alerts, channels, indexing, downloads, found)
		}
		stats, err := s.Stats(t.Context(), audit.StatsQuery{Field: audit.FieldProtocol, SubField: audit.FieldVerdict, Size: 3})
		if err != nil || len(stats.All) != 3 || stats.All[0].Value == "" || stats.All[0].Count < stats.All[1].Count || len(stats.All[0].Below) == 0 || len(stats.Raw) == 0 {
			t.Errorf("statistics %+v, %v", stats, err)
		}
		bins, err := s.Histogram(t.Context(), audit.HistogramQuery{Field: audit.FieldStartTime, BinSize: audit.BinHour})
		sum := int64(0)
		if err == nil {
			for _, bin := range bins.All {
				sum += bin.Count
			}
		}
		if err != nil || sum != 60 {
			t.Errorf("%d sessions in the histogram %+v, %v", sum, bins, err)
		}
		filter := audit.Term(audit.FieldProtocol, audit.ProtocolSSH)
		n, err := s.Count(t.Context(), audit.Query{Filter: filter, Sort: audit.Sort{Field: audit.FieldStartTime}})
		keys, searchErr := keysOf(s.Search(t.Context(), audit.Query{Filter: filter}).All())
		if err != nil || searchErr != nil || n != len(keys) || n == 0 || n == 60 {
			t.Errorf("count %d, %v; search %d, %v", n, err, len(keys), searchErr)
		}
	}, "rights")
}

// TestAuditNoSession checks that a key without a session returns ResourceNotFound, and that
// invalid keys and arguments are rejected before a request is sent.
func TestAuditNoSession(t *testing.T) {
	t.Parallel()
	a := spstest.NewServer(t, spstest.WithAuditSessions(3))
	c := testkit.Connect(t, a)
	s := c.Audit.Sessions
	calls := func(key string) map[string]error {
		_, get := s.Get(t.Context(), key)
		_, events := countAll(s.Events(t.Context(), key))
		_, alerts := countAll(s.Alerts(t.Context(), key))
		_, channels := countAll(s.Channels(t.Context(), key))
		_, indexing := countAll(s.Indexing(t.Context(), key))
		_, downloads := countAll(s.Downloads(t.Context(), key))
		_, content := countAll(s.Content(t.Context(), key, "ls"))
		_, trail := s.DownloadTrail(t.Context(), key, io.Discard)
		return map[string]error{"Get": get, "Events": events, "Alerts": alerts, "Channels": channels, "Indexing": indexing, "Downloads": downloads, "Content": content, "DownloadTrail": trail}
	}
	for what, err := range calls("moon") {
		if !errors.Is(err, sps.ResourceNotFound) || errors.Is(err, sps.ErrNoRecording) {
			t.Errorf("%s: %v", what, err)
		}
	}
	a.ResetJournal()
	for _, key := range []string{"", ".", "..", "a/b", "_snapshot", "_count", "stats", "histogram", "\xff"} {
		for what, err := range calls(key) {
			if !errors.Is(err, sps.ErrInvalidInput) {
				t.Errorf("%s %q: %v", what, key, err)
			}
		}
	}
	for what, err := range map[string]error{
		"no content": second(countAll(s.Content(t.Context(), "x", " "))), "a leading *": second(countAll(s.Content(t.Context(), "x", "*"))),
		"statistics without a field": second(s.Stats(t.Context(), audit.StatsQuery{})), "a size of -1": second(s.Stats(t.Context(), audit.StatsQuery{Field: "a", Size: -1})),
		"a second field":              second(s.Stats(t.Context(), audit.StatsQuery{Field: "a", SubField: "a b"})),
		"a histogram without a field": second(s.Histogram(t.Context(), audit.HistogramQuery{})), "bins": second(s.Histogram(t.Context(), audit.HistogramQuery{Field: "a", BinSize: "\n"})),
		"a format": second(s.DownloadTrail(t.Context(), "x", io.Discard, sps.WithTrailFormat("mp4"))),
	} {
		if !errors.Is(err, sps.ErrInvalidInput) {
			t.Errorf("%s: %v", what, err)
		}
	}
	if sent := testkit.Requests(a); len(sent) > 0 {
		t.Errorf("requests were sent that must not be sent: %q", sent)
	}
}

// clock returns a fixed time in the past, at the given hour of the day.
func clock(hours int) time.Time { return time.Date(2024, 3, 1, hours, 0, 0, 0, time.UTC) }

func second[T any](_ T, err error) error { return err }

// TestAuditKeys checks that keys with special characters are escaped in paths.
func TestAuditKeys(t *testing.T) {
	t.Parallel()
	a := spstest.NewServer(t)
	c := testkit.Connect(t, a)
	for _, key := range []string{"a b", "a%20b", "a?b=c", "a#b", "a+b", "日本", "a;b", "a&b", "svc-x:1"} {
		a.AddAuditSession(spstest.AuditSession{Key: key})
		session, err := c.Audit.Sessions.Get(t.Context(), key)
		if err != nil || session.Key != key {
			t.Errorf("%q: %+v, %v", key, session, err)
		}
		if _, err := countAll(c.Audit.Sessions.Channels(t.Context(), key)); err != nil {
			t.Errorf("%q: %v", key, err)
		}
	}
	address := c.Audit.Sessions.WebAddress("svc-a b/c")
	testkit.Diff(t, "address", "https://"+a.Addr()+"/portal/#/audit/sessions/svc-a%20b%2Fc", address)
}

// TestCountCeiling checks that Count returns 10,000 and ErrSearchCeiling if an appliance
// without the count endpoint has more sessions.
func TestCountCeiling(t *testing.T) {
	t.Parallel()
	a := spstest.NewServer(t, spstest.WithProfile("6.9"), spstest.WithAuditSessions(10_001))
	n, err := testkit.Connect(t, a).Audit.Sessions.Count(t.Context(), audit.Query{})
	if n != 10_000 || !errors.Is(err, sps.ErrSearchCeiling) {
		t.Errorf("%d, %v", n, err)
	}
}

// TestAuditRecordPages checks that the client follows a link to the next page of records only
// if the link leads to the same list, and that it returns ErrBadAnswer if records are missing.
// The guide documents two paths for the indexing results, and the client accepts both.
func TestAuditRecordPages(t *testing.T) {
	t.Parallel()
	page := func(href, next string, total int, items int) string {
		return fmt.Sprintf(`{"items":[%s],"meta":{"href":%q,"next":%s,"match_count":%d}}`, strings.TrimSuffix(strings.Repeat(`{"status":"COMPLETED"},`, items), ","), href, next, total)
	}
	const own, other = "/api/audit/sessions/1/indexing", "/api/audit/sessions/1/indexer"
	for name, test := range map[string]struct {
		pages []string
		want  int
		err   error
		path  string // the path of the last request
	}{
		"one page":                      {[]string{page(own, "null", 2, 2)}, 2, nil, own},
		"two pages":                     {[]string{page(own, `"`+own+`?limit=2&offset=2"`, 3, 2), page(own, "null", 3, 1)}, 3, nil, own},
		"two pages at indexer":          {[]string{page(other, `"`+other+`?limit=2&offset=2"`, 3, 2), page(other, "null", 3, 1)}, 3, nil, other},
		"next leads to another session": {[]string{page(own, `"/api/audit/sessions/2/indexing?limit=2&offset=2"`, 3, 2)}, 0, sps.ErrBadAnswer, own},
		"all records, next leads to another session": {[]string{page(own, `"/api/audit/sessions/2/indexing?limit=2&offset=2"`, 2, 2)}, 2, nil, own},
		"next leads outside of the sessions":         {[]string{page("/api/passwords", `"/api/passwords?a=1"`, 3, 2)}, 0, sps.ErrBadAnswer, own},
		"records missing, no next link":              {[]string{page(own, "null", 3, 2)}, 0, sps.ErrBadAnswer, own},
		"next leads to the same page":                {[]string{page(own, `"`+own+`?limit=2&offset=2"`, 9, 2), page(own, `"`+own+`?limit=2&offset=2"`, 9, 2)}, 2, sps.ErrBadAnswer, own},
		"empty page with a next link":                {[]string{page(own, `"`+own+`?limit=2&offset=2"`, 9, 0)}, 0, sps.ErrBadAnswer, own},
		"no match_count":                             {[]string{`{"items":[{}],"meta":{}}`}, 1, nil, own},
		"item is a number":                           {[]string{`{"items":[7],"meta":{}}`}, 0, sps.ErrBadAnswer, own},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			n, path := 0, ""
			c, err := sps.Connect(t.Context(), "appliance.test", sps.ExistingSession(sps.NewSecretString("id")), testkit.Quick, testkit.RoundTrip(func(r *http.Request) (*http.Response, error) {
				body := test.pages[min(n, len(test.pages)-1)]
				n, path = n+1, r.URL.Path
				return testkit.Answer(r, 200, http.Header{"Content-Type": {"application/json"}}, body), nil
			}))
			if err != nil {
				t.Fatal(err)
			}
			defer c.Close(context.Background())
			got, err := countAll(c.Audit.Sessions.Indexing(t.Context(), "1"))
			if got != test.want || !errors.Is(err, test.err) || test.err == nil && err != nil || path != test.path || n > 5 {
				t.Errorf("%d records, %v after %d requests, the last one for %s", got, err, n, path)
			}
		})
	}
}

// TestAuditGarbledText checks that invalid characters in a session or an event do not prevent
// the client from reading the other sessions or events. The client decodes the valid part of
// the damaged text, and Raw has the original bytes.
func TestAuditGarbledText(t *testing.T) {
	t.Parallel()
	for name, odd := range map[string]string{"lone surrogate": `\udfff`, "invalid UTF-8": "\xff"} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			c, err := sps.Connect(t.Context(), "appliance.test", sps.ExistingSession(sps.NewSecretString("id")), testkit.Quick, testkit.RoundTrip(func(r *http.Request) (*http.Response, error) {
				body := `{"items":[{"type":"command","content":"a` + odd + `"},{"type":"command","content":"b"}],"meta":{"next":null,"match_count":2}}`
				switch r.URL.Path {
				case "/api/audit/sessions":
					body = `{"items":[{"key":"1","body":{"protocol":"SSH","user":{"name":"a` + odd + `"}}},{"key":"2","body":{"protocol":"SSH","user":{"name":"b"}}}],"meta":{"next":null,"match_count":2}}`
				case "/api/audit/sessions/1":
					body = `{"key":"1","body":{"protocol":"SSH","user":{"name":"a` + odd + `"}},"meta":{}}`
				}
				return testkit.Answer(r, 200, http.Header{"Content-Type": {"application/json"}}, body), nil
			}))
			if err != nil {
				t.Fatal(err)
			}
			defer c.Close(context.Background())
			var names, raw []string
			for s, err := range c.Audit.Sessions.Search(t.Context(), audit.Query{}, sps.WithoutSnapshot()).All() {
				if err != nil {
					t.Fatal(err)
				}
				names, raw = append(names, strings.ToValidUTF8(s.User.Name, "\ufffd")), append(raw, string(s.Raw))
			}
			testkit.Diff(t, "users", []string{"a\ufffd", "b"}, names)
			if len(raw) == 0 || !strings.Contains(raw[0], odd) {
				t.Errorf("the bytes are %q", raw)
			}
			if s, err := c.Audit.Sessions.Get(t.Context(), "1"); err != nil || s.Protocol != "SSH" {
				t.Errorf("the garbled session read by its key: %+v, %v", s, err)
			}
			if n, err := countAll(c.Audit.Sessions.Events(t.Context(), "1")); n != 2 || err != nil {
				t.Errorf("%d events, %v", n, err)
			}
		})
	}
}

// TestAuditEndlessRecords checks that the client stops with ErrBadAnswer if the pages repeat
// the same record without end, and that it accepts equal records if their number matches
// match_count.
func TestAuditEndlessRecords(t *testing.T) {
	t.Parallel()
	for name, test := range map[string]struct {
		counted, pages int
		want           error
	}{
		"no match_count":                 {-1, 1_000, sps.ErrBadAnswer},
		"more records than match_count":  {2, 1_000, sps.ErrBadAnswer},
		"as many records as match_count": {20, 20, nil},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			asked := 0
			c, err := sps.Connect(t.Context(), "appliance.test", sps.ExistingSession(sps.NewSecretString("id")), testkit.Quick, testkit.RoundTrip(func(r *http.Request) (*http.Response, error) {
				asked++
				next := "null"
				if asked < test.pages {
					next = fmt.Sprintf(`"/api/audit/sessions/1/events?offset=%d"`, asked)
				}
				return testkit.Answer(r, 200, http.Header{"Content-Type": {"application/json"}}, fmt.Sprintf(`{"items":[{"type":"command"}],"meta":{"next":%s,"match_count":%d}}`, next, test.counted)), nil
			}))
			if err != nil {
				t.Fatal(err)
			}
			defer c.Close(context.Background())
			n, err := countAll(c.Audit.Sessions.Events(t.Context(), "1"))
			if !errors.Is(err, test.want) || test.want == nil && (err != nil || n != test.pages) || asked > 20 {
				t.Errorf("%d records, %v after %d requests", n, err, asked)
			}
		})
	}
}

// TestDownloadTrail checks the download of recordings in each format, of a session without a
// recording, and of a session that is still active.
func TestDownloadTrail(t *testing.T) {
	t.Parallel()
	testkit.UnderVariants(t, func(t *testing.T, options ...spstest.Option) {
		a := spstest.NewServer(t, options...)
		c := testkit.Connect(t, a)
		s := c.Audit.Sessions
		with := a.AddAuditSession(spstest.AuditSession{Key: "1", Start: clock(1), End: clock(2), TrailSize: 300_000})
		without := a.AddAuditSession(spstest.AuditSession{Key: "2", Start: clock(1), End: clock(2), TrailSize: -1})
		active := a.AddAuditSession(spstest.AuditSession{Key: "3", Start: clock(1), TrailSize: 100_000})
		for _, format := range []string{"", sps.TrailZAT, sps.TrailSRS} {
			var last sps.Progress
			download := []sps.DownloadOption{sps.WithProgress(func(p sps.Progress) { last = p })}
			stored := format
			if format != "" {
				download = append(download, sps.WithTrailFormat(format))
			}
			if format == sps.TrailZAT {
				stored = ""
			}
			var got bytes.Buffer
			n, err := s.DownloadTrail(t.Context(), with, &got, download...)
			content, size, _ := a.AuditTrail(with, stored)
			want, readErr := io.ReadAll(content)
			if err != nil || readErr != nil || n != size || last.Done != size || last.Total != size && last.Total != -1 || !bytes.Equal(want, got.Bytes()) {
				t.Errorf("%q: %d of %d bytes, progress %+v, %v", format, n, size, last, err)
			}
		}
		n, err := s.DownloadTrail(t.Context(), without, io.Discard)
		if n != 0 || !errors.Is(err, sps.ErrNoRecording) {
			t.Errorf("without a recording: %d bytes, %v", n, err)
		}
		if n, err := s.DownloadTrail(t.Context(), active, io.Discard, sps.WithTrailFormat(sps.TrailSRS)); err != nil || n != 100_000 {
			t.Errorf("an active session: %d bytes, %v", n, err)
		}
		if _, err := s.DownloadTrail(t.Context(), active, io.Discard); err != nil && (!errors.Is(err, sps.ErrNoRecording) || !strings.Contains(err.Error(), "TrailSRS")) {
			t.Errorf("an active session, in the default format: %v", err)
		}
		if n, err := countAll(s.Downloads(t.Context(), with)); err != nil || n < 3 {
			t.Errorf("%d downloads, %v", n, err)
		}
	}, "rights")
}

// TestTrailBreaksOff checks that a download returns an error and the number of written bytes if
// the connection breaks during the response or the writer fails.
func TestTrailBreaksOff(t *testing.T) {
	t.Parallel()
	for _, length := range []string{"known", "unknown"} {
		a := spstest.NewServer(t, spstest.WithVariant("trail-length", length))
		c := testkit.Connect(t, a)
		key := a.AddAuditSession(spstest.AuditSession{Start: clock(1), End: clock(2), TrailSize: 1 << 20})
		a.Inject(spstest.Fault{Path: "audit/sessions/*/audit_trail", Truncate: 100_000})
		var got bytes.Buffer
		n, err := c.Audit.Sessions.DownloadTrail(t.Context(), key, &got)
		if err == nil || n > 100_000 || int64(got.Len()) != n || errors.Is(err, sps.ErrNoRecording) {
			t.Errorf("%s: %d bytes, %v", length, n, err)
		}
		if n, err := c.Audit.Sessions.DownloadTrail(t.Context(), key, &fullDisk{200_000}); !errors.Is(err, errDisk) || n > 200_000 {
			t.Errorf("%s: a write to a full disk: %d bytes, %v", length, n, err)
		}
	}
}

// TestSearchCSV checks the CSV text of sessions, and the errors of WriteCSV.
func TestSearchCSV(t *testing.T) {
	t.Parallel()
	for _, form := range []string{"nested", "dotted"} {
		a := spstest.NewServer(t, spstest.WithVariant("search-fields-form", form))
		c := testkit.Connect(t, a)
		a.AddAuditSession(spstest.AuditSession{Key: "1", Start: clock(1), End: clock(2), User: `a "b", c`, Body: []byte(
			`{"client":{"port":22},"user":{"server_username":["x","y"]},"analytics":{"scripted":true,"score":{"aggregated":null}},"recording":{"archive":{"path":"/a;b"}}}`)})
		fields := []string{audit.FieldStartTime, audit.FieldUserName, audit.FieldClientPort, audit.FieldUserServerUsername, audit.FieldAnalyticsScripted,
			audit.FieldAnalyticsScoreAggregated, audit.FieldRecordingArchivePath, audit.FieldLogAuthMethod}
		var out strings.Builder
		n, err := c.Audit.Sessions.Search(t.Context(), audit.Query{Fields: fields}).WriteCSV(&out)
		if err != nil || n != 1 {
			t.Fatalf("%d lines, %v", n, err)
		}
		rows, err := csv.NewReader(strings.NewReader(out.String())).ReadAll()
		if err != nil {
			t.Fatal(err)
		}
		testkit.Diff(t, form, [][]string{append([]string{"key"}, fields...), {"1", clock(1).Format("2006-01-02T15:04:05.000Z"), `a "b", c`, "22", "x;y", "true", "", "/a;b", ""}}, rows)

		out.Reset()
		if n, err := c.Audit.Sessions.Search(t.Context(), audit.Query{KeysOnly: true}).WriteCSV(&out); n != 1 || err != nil || out.String() != "key\n1\n" {
			t.Errorf("keys: %d, %v, %q", n, err, out.String())
		}
		for _, q := range []audit.Query{{}, {Fields: []string{audit.AllFields}}} {
			if _, err := c.Audit.Sessions.Search(t.Context(), q).WriteCSV(io.Discard); !errors.Is(err, sps.ErrInvalidInput) {
				t.Errorf("%v: %v", q.Fields, err)
			}
		}
		if _, err := c.Audit.Sessions.Search(t.Context(), audit.Query{KeysOnly: true}).WriteCSV(&fullDisk{3}); !errors.Is(err, errDisk) {
			t.Errorf("a write to a full disk: %v", err)
		}
	}
}

// TestSearchSpaces checks that a space in a query is sent as %20, as in the guide.
func TestSearchSpaces(t *testing.T) {
	t.Parallel()
	a := spstest.NewServer(t)
	c := testkit.Connect(t, a)
	if _, err := countAll(c.Audit.Sessions.Search(t.Context(), audit.Query{Filter: audit.Term(audit.FieldUserName, "man + iptables")}).All()); err != nil {
		t.Fatal(err)
	}
	queries := slices.Collect(func(yield func(string) bool) {
		for _, r := range a.Journal() {
			if strings.Contains(r.RawQuery, "q=") && !yield(r.RawQuery) {
				return
			}
		}
	})
	if len(queries) == 0 || !strings.Contains(queries[0], "man%20%2B%20iptables") {
		t.Errorf("%q", queries)
	}
}
