package areas

import (
	"context"
	"errors"
	"fmt"
	"io"
	"iter"
	"math/rand/v2"
	"net/http"
	"net/url"
	"slices"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/go-sps/sps"
	"github.com/go-sps/sps/audit"
	"github.com/go-sps/sps/internal/testkit"
	"github.com/go-sps/sps/spstest"
)

// keysOf collects the keys of the sessions that an iterator returns, up to the first error.
func keysOf(all iter.Seq2[*audit.Session, error]) (keys []string, err error) {
	for session, err := range all {
		if err != nil {
			return keys, err
		}
		keys = append(keys, session.Key)
	}
	return keys, nil
}

// storedKeys returns the sorted keys of all sessions of an appliance.
func storedKeys(a *spstest.Appliance) (keys []string) {
	for session := range a.AuditSessions() {
		keys = append(keys, session.Key)
	}
	slices.Sort(keys)
	return keys
}

// once fails the test unless got contains each key of want exactly once and no other. want must
// be sorted.
func once(t *testing.T, want, got []string) {
	t.Helper()
	got = slices.Sorted(slices.Values(got))
	if !slices.Equal(want, got) {
		t.Errorf("%d sessions, %d of them different; want %d: %s", len(got), len(slices.Compact(slices.Clone(got))), len(want), firstDifference(want, got))
	}
}

func firstDifference(want, got []string) string {
	for i := range max(len(want), len(got)) {
		switch {
		case i >= len(got):
			return "lacks " + want[i]
		case i >= len(want):
			return "has " + got[i]
		case want[i] != got[i]:
			return fmt.Sprintf("%s in place of %s", got[i], want[i])
		}
	}
	return "none"
}

// TestSearch checks that a search returns each session once, with each variant of the
// appliance.
func TestSearch(t *testing.T) {
	t.Parallel()
	testkit.UnderVariants(t, func(t *testing.T, options ...spstest.Option) {
		a := spstest.NewServer(t, append(options, spstest.WithAuditSessions(603))...)
		c := testkit.Connect(t, a)
		for range 2 { // the second search may not get a snapshot
			keys, err := keysOf(c.Audit.Sessions.Search(t.Context(), audit.Query{PageSize: 200, KeysOnly: true}).All())
			if err != nil {
				t.Fatal(err)
			}
			once(t, storedKeys(a), keys)
		}
	}, "rights")
}

// TestSearchBeyondTheCeiling checks that a search without a snapshot returns all of 23,456
// sessions, although the appliance shows at most 10,000 sessions of one result: the client
// divides the search into ranges of the start time or the creation time. If the appliance or
// the sort order does not permit that, the search returns 10,000 sessions and ErrSearchCeiling.
func TestSearchBeyondTheCeiling(t *testing.T) {
	t.Parallel()
	const n = 23_456
	for name, test := range map[string]struct {
		options []spstest.Option
		query   audit.Query
		want    error
		got     int // the number of sessions before the error
	}{
		"ascending":               {query: audit.Query{}},
		"descending":              {query: audit.Query{Sort: audit.Sort{Field: audit.FieldStartTime, Descending: true}, KeysOnly: true}},
		"creation time":           {query: audit.Query{Sort: audit.Sort{Field: audit.FieldCreationTime}, Fields: []string{audit.FieldUserName}, PageSize: 300}},
		"repeats":                 {options: []spstest.Option{spstest.WithVariant("search-ceiling", "repeats")}},
		"no ranges of start_time": {options: []spstest.Option{spstest.WithVariant("search-time-ranges", "no-start-time")}, want: sps.ErrSearchCeiling, got: 10_000},
		"by protocol":             {query: audit.Query{Sort: audit.Sort{Field: audit.FieldProtocol}}, want: sps.ErrSearchCeiling, got: 10_000},
		"profile 8.0":             {options: []spstest.Option{spstest.WithProfile("8.0")}},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			a := spstest.NewServer(t, append([]spstest.Option{spstest.WithProfile("6.9"), spstest.WithAuditSessions(n)}, test.options...)...)
			c := testkit.Connect(t, a)
			search := c.Audit.Sessions.Search(t.Context(), test.query, sps.WithoutSnapshot())
			keys, err := keysOf(search.All())
			if !errors.Is(err, test.want) || test.want != nil && len(keys) != test.got {
				t.Fatalf("%d sessions, %v", len(keys), err)
			}
			if search.Snapshot() {
				t.Error("Snapshot returns true without a snapshot")
			}
			if test.want == nil {
				once(t, storedKeys(a), keys)
			}
		})
	}
}

// TestSearchSnapshot checks that a search returns the sessions that existed when its loop
// began, with one snapshot for all pages, even if sessions are added and the client must log in
// again.
func TestSearchSnapshot(t *testing.T) {
	t.Parallel()
	a := spstest.NewServer(t, spstest.WithAuditSessions(1_700))
	c := testkit.Connect(t, a)
	want := storedKeys(a)
	a.ResetJournal()
	search := c.Audit.Sessions.Search(t.Context(), audit.Query{Sort: audit.Sort{Field: audit.FieldStartTime, Descending: true}})
	if search.Snapshot() {
		t.Error("there is a snapshot before the loop")
	}
	var keys []string
	for session, err := range search.All() {
		if err != nil {
			t.Fatal(err)
		}
		keys = append(keys, session.Key)
		if len(keys)%600 == 1 {
			a.AddAuditSession(spstest.AuditSession{})
			a.ExpireSessions() // the client must log in again, and continue with the same snapshot
		}
	}
	if !search.Snapshot() {
		t.Error("Snapshot returns false after a read of a snapshot")
	}
	once(t, want, keys)
	agents, snapshots := map[string]bool{}, 0
	for _, r := range a.Journal() {
		agents[r.Header.Get("User-Agent")] = true
		if strings.HasSuffix(r.Path, "_snapshot") {
			snapshots++
		}
		if q, err := url.ParseQuery(r.RawQuery); strings.HasSuffix(r.Path, "/sessions") && (err != nil || q.Get("snapshot") == "") {
			t.Errorf("a page without a snapshot: %s", r.RawQuery)
		}
	}
	if snapshots != 1 || len(agents) != 1 {
		t.Errorf("%d snapshots, by %v", snapshots, agents)
	}
	if n, err := search.Count(); err != nil || n != len(want)+3 {
		t.Errorf("count %d, %v; want %d", n, err, len(want)+3)
	}
}

// TestSnapshotVanishes drops the snapshot several times while a search reads it, so that the
// client must continue with a new one. Sessions that started at the same time may have a
// different order in each snapshot. The test checks that the search still returns each session
// once. With a sort order by which the client cannot continue, the search must return
// ErrSnapshotLost.
func TestSnapshotVanishes(t *testing.T) {
	t.Parallel()
	for name, test := range map[string]struct {
		options []spstest.Option
		query   audit.Query
		want    error
	}{
		"ascending":      {},
		"descending":     {query: audit.Query{Sort: audit.Sort{Field: audit.FieldStartTime, Descending: true}}},
		"creation time":  {query: audit.Query{Sort: audit.Sort{Field: audit.FieldCreationTime}, KeysOnly: true}},
		"a filter":       {query: audit.Query{Filter: audit.Not(audit.Term(audit.FieldProtocol, "SMTP")), Fields: []string{audit.FieldVerdict}}},
		"no time ranges": {options: []spstest.Option{spstest.WithVariant("search-time-ranges", "refused")}},
		"no time ranges, descending": {options: []spstest.Option{spstest.WithVariant("search-time-ranges", "refused")},
			query: audit.Query{Sort: audit.Sort{Field: audit.FieldStartTime, Descending: true}}},
		"random order of ties":    {options: []spstest.Option{spstest.WithVariant("search-ties", "shuffled")}},
		"403 for a lost snapshot": {options: []spstest.Option{spstest.WithVariant("snapshot-foreign", "403:Unauthorized")}},
		"by protocol":             {query: audit.Query{Sort: audit.Sort{Field: audit.FieldProtocol}}, want: sps.ErrSnapshotLost},
		"by duration":             {query: audit.Query{Sort: audit.Sort{Field: audit.FieldDuration}}, want: sps.ErrSnapshotLost},
		"by end time":             {query: audit.Query{Sort: audit.Sort{Field: audit.FieldEndTime}}, want: sps.ErrSnapshotLost},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			testkit.BubbleOf(t, func(t *testing.T, a *spstest.Appliance, c *sps.Client) {
				want := storedKeys(a)
				test.query.PageSize = 17
				var keys []string
				var failed error
				for session, err := range c.Audit.Sessions.Search(t.Context(), test.query).All() {
					if err != nil {
						failed = err
						break
					}
					keys = append(keys, session.Key)
					if len(keys)%60 == 1 {
						a.DropSnapshots()
					}
				}
				switch {
				case !errors.Is(failed, test.want):
					t.Errorf("%v, want %v", failed, test.want)
				case failed == nil:
					once(t, want, keys)
				case !strings.Contains(failed.Error(), "sort by start_time"):
					t.Errorf("%v does not name the remedy", failed)
				}
			}, append([]spstest.Option{spstest.WithAuditSessions(600), spstest.WithVariant("snapshot-limit", "honoured")}, test.options...)...)
		})
	}
}

// TestSnapshotTies drops the snapshot while the search reads sessions that started at the same
// time or have no start time. It checks that each session is returned once.
func TestSnapshotTies(t *testing.T) {
	t.Parallel()
	for _, descending := range []bool{false, true} {
		testkit.BubbleOf(t, func(t *testing.T, a *spstest.Appliance, c *sps.Client) {
			start := time.Now().Add(-time.Hour)
			for i := range 50 {
				a.AddAuditSession(spstest.AuditSession{Start: start, End: start.Add(time.Minute)})
				a.AddAuditSession(spstest.AuditSession{Key: fmt.Sprint("bare", i), Body: []byte(`{"protocol":"SSH"}`), Exact: true})
			}
			var keys []string
			query := audit.Query{PageSize: 10, Sort: audit.Sort{Field: audit.FieldStartTime, Descending: descending}}
			for session, err := range c.Audit.Sessions.Search(t.Context(), query).All() {
				if err != nil {
					t.Fatal(err)
				}
				if keys = append(keys, session.Key); len(keys)%35 == 0 {
					a.DropSnapshots()
				}
			}
			once(t, storedKeys(a), keys)
		}, spstest.WithVariant("snapshot-limit", "honoured"), spstest.WithVariant("search-ties", "shuffled"))
	}
}

// TestSnapshotTaken checks that a search ends with ErrSnapshotTaken if its snapshot vanishes
// after each page, and that no other error occurs if two programs replace each other's
// snapshot.
func TestSnapshotTaken(t *testing.T) {
	t.Parallel()
	testkit.BubbleOf(t, func(t *testing.T, a *spstest.Appliance, c *sps.Client) {
		a.ResetJournal()
		var failed error
		for _, err := range c.Audit.Sessions.Search(t.Context(), audit.Query{PageSize: 1}).All() {
			failed = err
			a.DropSnapshots()
		}
		if !errors.Is(failed, sps.ErrSnapshotTaken) || len(a.Journal()) > 50 {
			t.Errorf("%v after %d requests", failed, len(a.Journal()))
		}
	}, spstest.WithAuditSessions(600), spstest.WithVariant("snapshot-limit", "honoured"))

	synctest.Test(t, func(t *testing.T) {
		a := spstest.NewServer(t, spstest.WithoutListener(), spstest.WithAuditSessions(1_000), spstest.WithVariant("snapshot-limit", "honoured"))
		defer a.Close()
		results := make(chan error, 2)
		for range 2 {
			c, err := sps.Connect(t.Context(), a.Addr(), sps.UsernamePassword(a.Username(), sps.NewSecretString(a.Password())), testkit.InProcess(a))
			if err != nil {
				t.Fatal(err)
			}
			defer c.Close(context.Background())
			go func() {
				_, err := keysOf(c.Audit.Sessions.Search(t.Context(), audit.Query{PageSize: 1}).All())
				results <- err
			}()
		}
		for range 2 {
			// If one search ends with ErrSnapshotTaken, the other can finish without an error.
			if err := <-results; err != nil && !errors.Is(err, sps.ErrSnapshotTaken) {
				t.Error(err)
			}
		}
	})
}

// TestSnapshotExpires checks that a search returns each session once even if the loop takes
// longer for a page than the appliance keeps a snapshot.
func TestSnapshotExpires(t *testing.T) {
	t.Parallel()
	testkit.BubbleOf(t, func(t *testing.T, a *spstest.Appliance, c *sps.Client) {
		var keys []string
		for session, err := range c.Audit.Sessions.Search(t.Context(), audit.Query{PageSize: 10}).All() {
			if err != nil {
				t.Fatal(err)
			}
			if keys = append(keys, session.Key); len(keys)%10 == 0 {
				time.Sleep(6 * time.Minute)
			}
		}
		once(t, storedKeys(a), keys)
	}, spstest.WithAuditSessions(300), spstest.WithVariant("snapshot-limit", "honoured"))
}

// TestSnapshotQuota checks a search while another user holds the snapshot. The search returns
// ErrSnapshotQuota at once, waits if WithSnapshotWait permits it, and stops when its context
// ends.
func TestSnapshotQuota(t *testing.T) {
	t.Parallel()
	for _, kind := range []string{"429:TooManyRequests", "429:QuotaExceeded", "429:SnapshotQuotaExceeded"} {
		for _, after := range []string{"none", "300"} {
			testkit.BubbleOf(t, func(t *testing.T, a *spstest.Appliance, c *sps.Client) {
				other, err := sps.Connect(t.Context(), a.Addr(), sps.UsernamePassword("other", sps.NewSecretString("pw")), testkit.InProcess(a))
				if err != nil {
					t.Fatal(err)
				}
				defer other.Close(context.Background())
				for range other.Audit.Sessions.Search(t.Context(), audit.Query{}).All() {
					break
				}
				begin := time.Now()
				keys, err := keysOf(c.Audit.Sessions.Search(t.Context(), audit.Query{}).All())
				if !errors.Is(err, sps.ErrSnapshotQuota) || !errors.Is(err, sps.Status(429)) || len(keys) > 0 || time.Since(begin) != 0 {
					t.Errorf("%d sessions, %v after %s", len(keys), err, time.Since(begin))
				}
				if _, err = keysOf(c.Audit.Sessions.Search(t.Context(), audit.Query{}, sps.WithSnapshotWait(time.Minute)).All()); !errors.Is(err, sps.ErrSnapshotQuota) || time.Since(begin) != time.Minute {
					t.Errorf("%v after %s, want a minute", err, time.Since(begin))
				}
				keys, err = keysOf(c.Audit.Sessions.Search(t.Context(), audit.Query{}, sps.WithSnapshotWait(10*time.Minute)).All())
				if err != nil || len(keys) != 40 || time.Since(begin) > 6*time.Minute {
					t.Errorf("%d sessions, %v after %s", len(keys), err, time.Since(begin))
				}
				for _, err := range other.Audit.Sessions.Search(t.Context(), audit.Query{}, sps.WithoutSnapshot()).All() {
					if err != nil {
						t.Error(err)
					}
				}
				ctx, cancel := context.WithTimeout(t.Context(), time.Second)
				defer cancel()
				if _, err = keysOf(other.Audit.Sessions.Search(ctx, audit.Query{}, sps.WithSnapshotWait(time.Hour)).All()); !errors.Is(err, context.DeadlineExceeded) {
					t.Errorf("a search whose context ends while it waits: %v, want DeadlineExceeded", err)
				}
			}, spstest.WithUser("other", "pw"), spstest.WithAuditSessions(40), spstest.WithVariant("snapshot-quota-error", kind), spstest.WithVariant("snapshot-retry-after", after))
		}
	}
}

// TestTooManyRequests checks that the client sends a request for a page again after a 429, and
// that a search does not return ErrSnapshotQuota for this 429.
func TestTooManyRequests(t *testing.T) {
	t.Parallel()
	testkit.BubbleOf(t, func(t *testing.T, a *spstest.Appliance, c *sps.Client) {
		a.Inject(spstest.Fault{Path: "audit/sessions", Skip: 1, Times: 2, Status: 429})
		keys, err := keysOf(c.Audit.Sessions.Search(t.Context(), audit.Query{}).All())
		if err != nil {
			t.Fatal(err)
		}
		once(t, storedKeys(a), keys)
		a.Inject(spstest.Fault{Path: "audit/sessions", Skip: 1, Times: -1, Status: 429})
		keys, err = keysOf(c.Audit.Sessions.Search(t.Context(), audit.Query{}).All())
		if !errors.Is(err, sps.Status(429)) || errors.Is(err, sps.ErrSnapshotQuota) || len(keys) != 500 {
			t.Errorf("%d sessions, %v", len(keys), err)
		}
	}, spstest.WithAuditSessions(1_100))
}

// TestSnapshotIsNotRepeated checks that the client does not repeat the request that creates a
// snapshot if the response is lost.
func TestSnapshotIsNotRepeated(t *testing.T) {
	t.Parallel()
	for name, fault := range map[string]spstest.Fault{
		"cut":      {CutAfter: true},
		"503":      {Status: 503, Execute: true},
		"504":      {Status: 504, Execute: true},
		"truncate": {Truncate: 5},
	} {
		testkit.BubbleOf(t, func(t *testing.T, a *spstest.Appliance, c *sps.Client) {
			a.ResetJournal()
			calls := map[string]func() error{
				"Search": func() error {
					_, err := keysOf(c.Audit.Sessions.Search(t.Context(), audit.Query{}).All())
					return err
				},
				"Invoke": func() error {
					_, err := c.Invoke(t.Context(), "GET", "audit/sessions/_snapshot", nil)
					return err
				},
				"a handle": func() error {
					_, err := sps.NewSingleton[map[string]any](c, "audit/sessions/_snapshot").Get(t.Context())
					return err
				},
			}
			for call, f := range calls {
				fault.Path = "audit/sessions/_snapshot"
				a.Inject(fault)
				if err := f(); err == nil {
					t.Errorf("%s: %s: no error", name, call)
				}
			}
			if n := len(a.Journal()); n != len(calls) {
				t.Errorf("%s: %d requests for %d calls: %q", name, n, len(calls), testkit.Requests(a))
			}
		}, spstest.WithAuditSessions(3))
	}
}

// TestSearchInUse checks that a client refuses a second search with a snapshot while the loop
// of the first one runs. It then leaves a loop in several ways and checks that the next search
// succeeds.
func TestSearchInUse(t *testing.T) {
	t.Parallel()
	testkit.BubbleOf(t, func(t *testing.T, a *spstest.Appliance, c *sps.Client) {
		s := c.Audit.Sessions
		within := 0
		for _, err := range s.Search(t.Context(), audit.Query{}).All() {
			if err != nil {
				t.Fatal(err)
			}
			if within++; within > 3 {
				break
			}
			begin := time.Now()
			if keys, err := keysOf(s.Search(t.Context(), audit.Query{}).All()); !errors.Is(err, sps.ErrSearchInUse) || len(keys) > 0 || time.Since(begin) > 0 {
				t.Errorf("a search within a loop: %d sessions, %v", len(keys), err)
			}
			if keys, err := keysOf(s.Search(t.Context(), audit.Query{}, sps.WithoutSnapshot()).All()); err != nil || len(keys) != 700 {
				t.Errorf("a search without a snapshot within a loop: %d sessions, %v", len(keys), err)
			}
			if _, err := s.Count(t.Context(), audit.Query{}); err != nil {
				t.Error(err)
			}
		}
		all := func(how string) {
			t.Helper()
			if keys, err := keysOf(s.Search(t.Context(), audit.Query{}).All()); err != nil || len(keys) != 700 {
				t.Errorf("after %s: %d sessions, %v", how, len(keys), err)
			}
		}
		all("break")
		func() {
			defer func() {
				if recover() == nil {
					t.Error("the panic in the loop was not passed on")
				}
			}()
			for range s.Search(t.Context(), audit.Query{}).All() {
				panic("in the loop")
			}
		}()
		all("a panic")
		ctx, cancel := context.WithCancel(t.Context())
		defer cancel()
		n := 0
		var failed error
		for _, err := range s.Search(ctx, audit.Query{}).All() {
			failed = err
			n++
			cancel()
		}
		if !errors.Is(failed, context.Canceled) || n != 501 {
			t.Errorf("a search whose context ends: %d sessions, %v", n-1, failed)
		}
		all("a context")
		next, stop := iter.Pull2(s.Search(t.Context(), audit.Query{}).All())
		next()
		stop()
		all("iter.Pull")
	}, spstest.WithAuditSessions(700))
}

// TestSearchAgain checks that a search finds all sessions while the snapshot of an earlier
// search still exists.
func TestSearchAgain(t *testing.T) {
	t.Parallel()
	for _, again := range []string{"replaced", "refused", "same"} {
		testkit.BubbleOf(t, func(t *testing.T, a *spstest.Appliance, c *sps.Client) {
			for range 3 {
				a.AddAuditSession(spstest.AuditSession{})
				search := c.Audit.Sessions.Search(t.Context(), audit.Query{})
				keys, err := keysOf(search.All())
				if err != nil {
					t.Fatal(err)
				}
				once(t, storedKeys(a), keys)
			}
		}, spstest.WithVariant("snapshot-again", again), spstest.WithAuditSessions(10))
	}
}

// TestSearchRights checks that each method returns Unauthorized for a user without the right to
// search.
func TestSearchRights(t *testing.T) {
	t.Parallel()
	for _, profile := range spstest.Profiles() {
		a := spstest.NewServer(t, spstest.WithProfile(profile), spstest.WithAuditSessions(3), spstest.WithUser("poor", "pw", spstest.NoSearch))
		c, err := sps.Connect(t.Context(), a.Addr(), sps.UsernamePassword("poor", sps.NewSecretString("pw")), sps.WithCABundle(a.CA()), testkit.Quick)
		if err != nil {
			t.Fatal(err)
		}
		defer c.Close(context.Background())
		s := c.Audit.Sessions
		follow, err := s.Follow(t.Context(), audit.Query{})
		if err != nil {
			t.Fatal(err)
		}
		_, searched := keysOf(s.Search(t.Context(), audit.Query{}).All())
		_, basic := keysOf(s.Search(t.Context(), audit.Query{}, sps.WithoutSnapshot()).All())
		_, followed := keysOf(follow.All())
		_, counted := s.Count(t.Context(), audit.Query{})
		_, got := s.Get(t.Context(), storedKeys(a)[0])
		_, trail := s.DownloadTrail(t.Context(), storedKeys(a)[0], io.Discard)
		for what, err := range map[string]error{"Search": searched, "WithoutSnapshot": basic, "Follow": followed, "Count": counted, "Get": got, "DownloadTrail": trail} {
			if !errors.Is(err, sps.Unauthorized) || errors.Is(err, sps.ErrNoRecording) {
				t.Errorf("%s: %s: %v", profile, what, err)
			}
		}
	}
}

// TestSearchOrder checks that sorting by a field that does not exist returns SyntacticError
// after at most 2 requests.
func TestSearchOrder(t *testing.T) {
	t.Parallel()
	for _, profile := range []string{"6.9", "8.0"} {
		a := spstest.NewServer(t, spstest.WithProfile(profile), spstest.WithAuditSessions(3))
		c := testkit.Connect(t, a)
		a.ResetJournal()
		keys, err := keysOf(c.Audit.Sessions.Search(t.Context(), audit.Query{Sort: audit.Sort{Field: "moon"}}).All())
		if !errors.Is(err, sps.SyntacticError) || len(keys) > 0 || len(a.Journal()) > 2 {
			t.Errorf("%d sessions, %v after %q", len(keys), err, testkit.Requests(a))
		}
	}
}

// TestSearchFilters checks that a filter by a user name finds only that user, even if the name
// contains operators of the query language, and that invalid queries are rejected before a
// request is sent.
func TestSearchFilters(t *testing.T) {
	t.Parallel()
	names := []string{
		`"`, `a"b`, `\`, `a\b`, `a\`, `a:b`, `(a)`, `a AND b`, `NOT`, `a*b`, `a?b`, `[a TO b]`, `{a}`, `a~2`, `a^3`, `+a`, `-a`, `!a`, `a&&b`,
		`a||b`, `a/b`, ` a`, `a b`, `a%20b`, `a+b`, `a=b&c`, `a#b`, `日本`, `é`, strings.Repeat("x", 10_000),
	}
	a := spstest.NewServer(t, spstest.WithAuditSessions(20))
	c := testkit.Connect(t, a)
	keys := map[string]string{}
	for _, name := range names {
		keys[name] = a.AddAuditSession(spstest.AuditSession{User: name})
	}
	for _, name := range names {
		got, err := keysOf(c.Audit.Sessions.Search(t.Context(), audit.Query{Filter: audit.Term(audit.FieldUserName, name), KeysOnly: true}, sps.WithoutSnapshot()).All())
		if err != nil || len(got) != 1 || got[0] != keys[name] {
			t.Errorf("%.40q: %d sessions, %v", name, len(got), err)
		}
	}
	a.ResetJournal()
	for what, q := range map[string]audit.Query{
		"a leading *":                {Filter: audit.Wildcard(audit.FieldUserName, "*x")},
		"a raw leading *":            {Filter: audit.Raw("*:*")},
		"content that starts with *": {Content: "*"},
		"invalid UTF-8":              {Filter: audit.Term(audit.FieldUserName, "\xff")},
		"end before start":           {Start: time.Now(), End: time.Now().Add(-time.Hour)},
		"sort field with a space":    {Sort: audit.Sort{Field: "a b"}},
		"page size 501":              {PageSize: 501},
	} {
		_, searched := keysOf(c.Audit.Sessions.Search(t.Context(), q).All())
		_, counted := c.Audit.Sessions.Search(t.Context(), q).Count()
		_, written := c.Audit.Sessions.Search(t.Context(), q).WriteCSV(io.Discard)
		_, followed := c.Audit.Sessions.Follow(t.Context(), q)
		for call, err := range map[string]error{"All": searched, "Count": counted, "WriteCSV": written, "Follow": followed} {
			if !errors.Is(err, sps.ErrInvalidInput) || !errors.Is(err, audit.ErrInvalidQuery) {
				t.Errorf("%s: %s: %v", what, call, err)
			}
		}
	}
	for what, option := range map[string]sps.SearchOption{"a negative wait": sps.WithSnapshotWait(-1)} {
		if _, err := keysOf(c.Audit.Sessions.Search(t.Context(), audit.Query{}, nil, option).All()); !errors.Is(err, sps.ErrInvalidInput) {
			t.Errorf("%s: %v", what, err)
		}
	}
	if sent := testkit.Requests(a); len(sent) > 0 {
		t.Errorf("requests were sent that must not be sent: %q", sent)
	}
	// The client sends raw filter text unchecked, and the appliance rejects it.
	if _, err := keysOf(c.Audit.Sessions.Search(t.Context(), audit.Query{Filter: audit.Raw("a:(")}).All()); !errors.Is(err, sps.SyntacticError) {
		t.Errorf("a raw filter with an open parenthesis: %v, want SyntacticError", err)
	}
}

// searchServer returns a client of a server that returns page(n, query) in response to the n-th
// search. The server supports snapshots if snapshots is true. sent returns the number of
// searches that the server received.
func searchServer(t *testing.T, snapshots bool, page func(n int, q url.Values) string) (c *sps.Client, sent func() int) {
	t.Helper()
	n := 0
	c, err := sps.Connect(t.Context(), "appliance.test", sps.ExistingSession(sps.NewSecretString("id")), testkit.Quick,
		testkit.RoundTrip(func(r *http.Request) (*http.Response, error) {
			status, body := 200, ""
			switch path := strings.TrimPrefix(r.URL.Path, "/api/audit/sessions"); {
			case path == "/_snapshot" && snapshots:
				body = `{"body":{"snapshot":"s1"}}`
			case path == "/_snapshot":
				status, body = 404, `{"error":{"type":"ResourceNotFound"}}`
			default:
				n++
				body = page(n, r.URL.Query())
			}
			return testkit.Answer(r, status, http.Header{"Content-Type": {"application/json"}}, body), nil
		}))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { c.Close(context.Background()) })
	return c, func() int { return n }
}

// TestSearchPages checks that malformed or endless pages end a search with ErrBadAnswer after
// few requests, and that a session that occurs twice is returned once.
func TestSearchPages(t *testing.T) {
	t.Parallel()
	session := func(key, more string) string {
		return fmt.Sprintf(`{"key":%q,"body":{"start_time":"2024-01-01T00:00:00.000Z"%s}}`, key, more)
	}
	page := func(next string, items ...string) string {
		return `{"items":[` + strings.Join(items, ",") + `],"meta":{"next":` + next + `}}`
	}
	const more = `"/api/audit/sessions?snapshot=s1&search_after=%d"`
	for name, test := range map[string]struct {
		basic bool
		pages func(n int, q url.Values) string
		want  error
		got   string // the keys of the returned sessions
		most  int    // the maximum number of requests
	}{
		"next leads to another path": {pages: func(int, url.Values) string { return page(`"/api/configuration/x?a=1"`, session("a", "")) }, want: sps.ErrBadAnswer},
		"next leads to another host": {pages: func(int, url.Values) string {
			return page(`"https://evil.example/api/audit/sessions?a=1"`, session("a", ""))
		}, want: sps.ErrBadAnswer},
		"next without a query":        {pages: func(int, url.Values) string { return page(`"/api/audit/sessions"`, session("a", "")) }, want: sps.ErrBadAnswer},
		"next has another snapshot":   {pages: func(int, url.Values) string { return page(`"/api/audit/sessions?snapshot=s2"`, session("a", "")) }, want: sps.ErrBadAnswer},
		"next leads to the same page": {pages: func(int, url.Values) string { return page(fmt.Sprintf(more, 1), session("a", "")) }, want: sps.ErrBadAnswer, got: "a", most: 3},
		"same two sessions without end": {pages: func(n int, _ url.Values) string {
			return page(fmt.Sprintf(more, n), session("a", ""), session("b", ""))
		}, want: sps.ErrBadAnswer, got: "a b", most: 3},
		"three pages in a circle": {pages: func(n int, _ url.Values) string {
			return page(fmt.Sprintf(more, n), session(string(rune('a'+n%3)), ""))
		}, want: sps.ErrBadAnswer, most: 10},
		"empty page with a next link": {pages: func(n int, _ url.Values) string { return page(fmt.Sprintf(more, n)) }, want: sps.ErrBadAnswer, most: 1},
		"no items":                    {pages: func(int, url.Values) string { return `{"meta":{"next":null}}` }, want: sps.ErrBadAnswer},
		"items is an object":          {pages: func(int, url.Values) string { return `{"items":{},"meta":{"next":null}}` }, want: sps.ErrBadAnswer},
		"no key":                      {pages: func(int, url.Values) string { return page("null", session("a", ""), `{"body":{}}`) }, want: sps.ErrBadAnswer, got: "a"},
		"key is null":                 {pages: func(int, url.Values) string { return page("null", `{"key":null,"body":{}}`) }, want: sps.ErrBadAnswer},
		"item is a number":            {pages: func(int, url.Values) string { return page("null", `7`) }, want: sps.ErrBadAnswer},
		"session twice on a page": {pages: func(int, url.Values) string {
			return page("null", session("a", ""), session("b", ""), session("a", ""))
		}, got: "a b"},
		"session on two pages": {pages: func(n int, _ url.Values) string {
			if n == 1 {
				return page(fmt.Sprintf(more, 1), session("a", ""), session("b", ""))
			}
			return page("null", session("b", ""), session("c", ""))
		}, got: "a b c"},
		"key with special characters": {pages: func(int, url.Values) string { return page("null", session("svc/a b?c#d%2F", "")) }, got: "svc/a b?c#d%2F"},
		"no snapshots, same page without end": {basic: true, pages: func(n int, _ url.Values) string {
			return `{"items":[` + session("a", "") + `],"meta":{"match_count":9000,"next":"/api/audit/sessions?offset=` + fmt.Sprint(n) + `"}}`
		}, want: sps.ErrBadAnswer, got: "a", most: 3},
		"no snapshots, next leads to another path": {basic: true, pages: func(int, url.Values) string {
			return `{"items":[` + session("a", "") + `],"meta":{"match_count":9000,"next":"/api/audit/other?offset=1"}}`
		}, want: sps.ErrBadAnswer},
		"no snapshots, match_count too high": {basic: true, pages: func(n int, q url.Values) string {
			if n > 1 {
				return `{"items":[],"meta":{"match_count":9000,"next":null}}`
			}
			return `{"items":[` + session("a", "") + `],"meta":{"match_count":9000,"next":null}}`
		}, want: sps.ErrBadAnswer, got: "a", most: 2},
		"no snapshots, no match_count": {basic: true, pages: func(int, url.Values) string { return page("null", session("a", "")) }, got: "a"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			c, sent := searchServer(t, !test.basic, test.pages)
			keys, err := keysOf(c.Audit.Sessions.Search(t.Context(), audit.Query{}).All())
			if !errors.Is(err, test.want) || test.want == nil && err != nil {
				t.Errorf("%v, want %v", err, test.want)
			}
			if got := strings.Join(keys, " "); test.got != "" && got != test.got {
				t.Errorf("sessions %q, want %q", got, test.got)
			}
			if test.most > 0 && sent() > test.most {
				t.Errorf("%d requests, want %d at most", sent(), test.most)
			}
		})
	}
}

// TestSearchForms checks that times, numbers and access requests are decoded from each known
// JSON form.
func TestSearchForms(t *testing.T) {
	t.Parallel()
	want := time.Date(2024, 3, 1, 11, 0, 0, 0, time.UTC)
	for form, zero := range map[string]bool{
		`"2024-03-01T11:00:00.000Z"`: false, `"2024-03-01T13:00:00.0000000+02:00"`: false, `"2024-03-01T11:00:00"`: false,
		`1709290800`: false, `1709290800000`: false, `"1709290800"`: false, `null`: true, `"noon"`: true, `{}`: true,
	} {
		for vault, requests := range map[string]int{`{"account_id":"13"}`: 1, `[{"account_id":13},{"account_id":13.0}]`: 2, `null`: 0, `7`: 0} {
			c, _ := searchServer(t, true, func(int, url.Values) string {
				return `{"items":[{"key":7,"body":{"start_time":` + form + `,"client":{"port":"22"},"vault":` + vault + `}}],"meta":{"next":null}}`
			})
			for session, err := range c.Audit.Sessions.Search(t.Context(), audit.Query{}).All() {
				switch {
				case err != nil:
					t.Errorf("%s, %s: %v", form, vault, err)
				case session.Key != "7" || session.Client.Port != 22 || len(session.Vault) != requests || session.StartTime.IsZero() != zero || !zero && !session.StartTime.Equal(want):
					t.Errorf("%s, %s: %+v", form, vault, session)
				case requests > 0 && session.Vault[requests-1].AccountID != 13:
					t.Errorf("%s: %+v", vault, session.Vault)
				}
			}
		}
	}
}

// TestSearchDeleted checks that the basic search misses no session if sessions that it has
// already returned are deleted while it continues.
func TestSearchDeleted(t *testing.T) {
	t.Parallel()
	keys := make([]string, 100)
	for i := range keys {
		keys[i] = fmt.Sprintf("k%03d", i)
	}
	c, _ := searchServer(t, false, func(n int, q url.Values) string {
		if n%3 == 2 {
			keys = keys[3:] // the remaining sessions move to smaller offsets
		}
		var offset int
		fmt.Sscan(q.Get("offset"), &offset)
		var items []string
		for _, key := range keys[min(offset, len(keys)):min(offset+10, len(keys))] {
			items = append(items, fmt.Sprintf(`{"key":%q,"body":{}}`, key))
		}
		return fmt.Sprintf(`{"items":[%s],"meta":{"match_count":%d,"next":null}}`, strings.Join(items, ","), len(keys))
	})
	got, err := keysOf(c.Audit.Sessions.Search(t.Context(), audit.Query{PageSize: 10}).All())
	if err != nil {
		t.Fatal(err)
	}
	for i := range 100 {
		if key := fmt.Sprintf("k%03d", i); !slices.Contains(got, key) {
			t.Errorf("session %s is missing", key)
		}
	}
	if len(got) != 100 {
		t.Errorf("%d sessions", len(got))
	}
}

// TestSearchExactlyOnce runs a search while the appliance adds sessions, drops or expires the
// snapshot, ends the client's login session, and restarts. It checks that the search returns
// each session that existed when it began, and returns no session twice.
func TestSearchExactlyOnce(t *testing.T) {
	t.Parallel()
	for name, options := range map[string][]spstest.Option{
		"snapshots":            nil,
		"page limit honoured":  {spstest.WithVariant("snapshot-limit", "honoured")},
		"random order of ties": {spstest.WithVariant("snapshot-limit", "honoured"), spstest.WithVariant("search-ties", "shuffled")},
		"no time ranges":       {spstest.WithVariant("snapshot-limit", "honoured"), spstest.WithVariant("search-time-ranges", "refused")},
		"6.9":                  {spstest.WithProfile("6.9")},
	} {
		for seed := range uint64(4) {
			t.Run(fmt.Sprintf("%s %d", name, seed), func(t *testing.T) {
				t.Parallel()
				options := append(slices.Clone(options), spstest.WithAuditSessions(1_200), spstest.WithRestart(spstest.Restart{Refused: 1, Unavailable: 1}))
				testkit.BubbleOf(t, func(t *testing.T, a *spstest.Appliance, c *sps.Client) {
					searchExactlyOnce(t, rand.New(rand.NewPCG(seed, 3)), a, c)
				}, options...)
			})
		}
	}
}

func searchExactlyOnce(t *testing.T, random *rand.Rand, a *spstest.Appliance, c *sps.Client) {
	want := storedKeys(a)
	query := audit.Query{PageSize: 5 + random.IntN(40), Sort: audit.Sort{Field: audit.FieldStartTime, Descending: random.IntN(2) == 0}}
	got, disturbances := map[string]int{}, 0
	for session, err := range c.Audit.Sessions.Search(t.Context(), query).All() {
		if err != nil {
			t.Fatal(err)
		}
		got[session.Key]++
		if random.IntN(50) > 0 {
			continue
		}
		disturbances++
		now := time.Now()
		switch random.IntN(6) {
		case 0:
			a.AddAuditSession(spstest.AuditSession{})
		case 1: // a session that another node delivers late
			a.AddAuditSession(spstest.AuditSession{Start: now.AddDate(0, 0, -random.IntN(60)), End: now})
		case 2:
			a.DropSnapshots()
		case 3:
			time.Sleep(6 * time.Minute) // the snapshot expires
		case 4:
			a.ExpireSessions()
		case 5:
			a.Restart()
		}
	}
	for _, key := range want {
		if got[key] == 0 {
			t.Errorf("session %s is missing", key)
		}
	}
	for key, n := range got {
		if n > 1 {
			t.Errorf("session %s was returned %d times", key, n)
		}
	}
	if disturbances < 10 || a.Restarts() == 0 {
		t.Errorf("%d disturbances and %d restarts, want at least 10 and 1", disturbances, a.Restarts())
	}
}
