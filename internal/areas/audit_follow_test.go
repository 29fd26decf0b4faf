package areas

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
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

// daemon is an exporting program that is killed and started again. It holds the sessions that
// the program has written, and the state that it saved with the last checkpoint.
type daemon struct {
	a          *spstest.Appliance
	options    []sps.FollowOption
	out        []string
	saved      int
	checkpoint []byte
	largest    int // the size of the largest checkpoint
	starts     int
}

var errKilled = errors.New("killed")

// run exports sessions until ctx ends. After each session it returns errKilled with the
// probability kill. It drops the output that was written after the last checkpoint, and
// continues from that checkpoint.
func (e *daemon) run(ctx context.Context, random *rand.Rand, kill float64, more ...sps.FollowOption) error {
	e.starts++
	e.out = e.out[:e.saved]
	credential := sps.UsernamePassword(e.a.Username(), sps.NewSecretString(e.a.Password()))
	if random.IntN(2) == 0 { // half of the runs read the password through a function
		credential = sps.PasswordFunc(e.a.Username(), func(context.Context) (sps.Secret, error) { return sps.NewSecretString(e.a.Password()), nil })
	}
	c, err := sps.Connect(ctx, e.a.Addr(), credential, testkit.InProcess(e.a))
	if err != nil {
		return err
	}
	defer c.Close(context.Background())
	follow, err := c.Audit.Sessions.Follow(ctx, audit.Query{KeysOnly: true, PageSize: 3 + random.IntN(100)}, append(slices.Concat(e.options, more), sps.WithCheckpoint(e.checkpoint))...)
	if err != nil {
		return err
	}
	for session, err := range follow.All() {
		if err != nil {
			return err
		}
		e.out = append(e.out, session.Key)
		if random.Float64() < kill {
			return errKilled
		}
		if !follow.EndOfPage() && random.IntN(10) > 0 {
			continue
		}
		checkpoint, err := follow.Checkpoint()
		if err != nil {
			return err
		}
		e.checkpoint, e.saved, e.largest = checkpoint, len(e.out), max(e.largest, len(checkpoint))
	}
	return nil
}

// TestFollowExactlyOnce checks that a program that follows the sessions of an appliance writes
// each session exactly once, even if the program is killed and started again. Meanwhile,
// sessions begin, end and arrive late, the appliance restarts and drops snapshots, the client's
// sessions expire, and the password changes.
func TestFollowExactlyOnce(t *testing.T) {
	t.Parallel()
	for name, options := range map[string][]spstest.Option{
		"by end":        nil,
		"6.9":           {spstest.WithProfile("6.9")},
		"null ends":     {spstest.WithVariant("session-running-end", "null")},
		"no end ranges": {spstest.WithVariant("search-time-ranges", "no-end-time")},
		"no ranges":     {spstest.WithVariant("search-time-ranges", "refused")},
		"dotted":        {spstest.WithVariant("search-fields-form", "dotted")},
	} {
		seeds := uint64(1)
		switch {
		case testkit.Race && name != "by end" && name != "no ranges": // these two subtests cover both ways in which Follow searches
			continue
		case options == nil && !testkit.Race:
			seeds = 3
		}
		for seed := range seeds {
			t.Run(fmt.Sprintf("%s %d", name, seed), func(t *testing.T) {
				t.Parallel()
				synctest.Test(t, func(t *testing.T) { followExactlyOnce(t, rand.New(rand.NewPCG(seed, 1)), options) })
			})
		}
	}
}

func followExactlyOnce(t *testing.T, random *rand.Rand, options []spstest.Option) {
	a := spstest.NewServer(t, append([]spstest.Option{spstest.WithoutListener()}, append(options, spstest.WithAuditSessions(300), spstest.WithRestart(spstest.Restart{Refused: 3, Unavailable: 2, Starting: 2}))...)...)
	defer a.Close()
	e := &daemon{a: a}
	ctx, cancel := context.WithTimeout(t.Context(), 2*time.Hour)
	defer cancel()
	done := make(chan struct{})
	own := rand.New(rand.NewPCG(random.Uint64(), 2))
	go func() {
		defer close(done)
		disturb(ctx, a, own)
	}()
	for ctx.Err() == nil {
		err := e.run(ctx, random, 0.01)
		switch {
		case err == nil, errors.Is(err, errKilled), ctx.Err() != nil:
		case meetsRestart(err), errors.Is(err, sps.AuthenticationFailure): // the client used the old password
			time.Sleep(10 * time.Second)
		default:
			t.Fatal(err)
		}
	}
	<-done
	for session := range a.AuditSessions() {
		a.EndAuditSession(session.Key, time.Time{})
	}
	time.Sleep(time.Minute)
	for try := 0; ; try++ {
		err := e.run(t.Context(), random, 0, sps.WithOnce())
		if err == nil {
			break
		}
		if try == 5 {
			t.Fatal(err)
		}
		time.Sleep(time.Minute)
	}
	once(t, storedKeys(a), e.out)
	if e.starts < 5 || e.largest > 64<<10 {
		t.Errorf("%d starts, a checkpoint of %d bytes", e.starts, e.largest)
	}
}

// meetsRestart reports whether a login failed because the appliance was restarting.
func meetsRestart(err error) bool {
	var broken *sps.TransportError
	refused, ok := errors.AsType[*sps.Error](err)
	return errors.As(err, &broken) || ok && (refused.Status >= 500 || refused.Type == "")
}

// disturb adds and ends recorded sessions, and causes failures of the appliance, at random
// times until ctx ends.
func disturb(ctx context.Context, a *spstest.Appliance, random *rand.Rand) {
	var active []string
	for n := 0; ; n++ {
		select {
		case <-ctx.Done():
			return
		case <-time.After(time.Duration(random.IntN(40_000)) * time.Millisecond):
		}
		now := time.Now()
		switch what := random.IntN(100); {
		case what < 35:
			active = append(active, a.AddAuditSession(spstest.AuditSession{Key: fmt.Sprintf("a%d", n)}))
		case what < 60 && len(active) > 0:
			i := random.IntN(len(active))
			a.EndAuditSession(active[i], time.Time{})
			active = slices.Delete(active, i, i+1)
		case what < 75: // delivered late by another node
			end := now.Add(-time.Duration(random.IntN(600)) * time.Second)
			a.AddAuditSession(spstest.AuditSession{Key: fmt.Sprintf("l%d", n), Start: end.Add(-time.Duration(random.IntN(120)) * time.Second), End: end})
		case what < 85: // several at once
			for i := range random.IntN(60) {
				a.AddAuditSession(spstest.AuditSession{Key: fmt.Sprintf("b%d-%d", n, i), Start: now, End: now})
			}
		case what < 92:
			a.ExpireSessions()
		case what < 94:
			a.Restart()
		case what < 96:
			a.DropSnapshots()
		case what < 97:
			a.SetPassword(a.Username(), fmt.Sprintf("password %d", n))
			a.ExpireSessions()
		}
	}
}

// followed returns the keys that Follow reports with WithOnce, and the checkpoint after them.
func followed(t *testing.T, c *sps.Client, checkpoint []byte, options ...sps.FollowOption) (keys []string, next []byte, err error) {
	t.Helper()
	follow, err := c.Audit.Sessions.Follow(t.Context(), audit.Query{}, append(options, sps.WithCheckpoint(checkpoint), sps.WithOnce())...)
	if err != nil {
		return nil, nil, err
	}
	keys, err = keysOf(follow.All())
	if err != nil {
		return keys, nil, err
	}
	next, err = follow.Checkpoint()
	return keys, next, err
}

// TestCheckpoints checks that Follow accepts valid and empty checkpoints, and that it rejects
// damaged and foreign checkpoints, and invalid options, before it sends a request.
func TestCheckpoints(t *testing.T) {
	t.Parallel()
	testkit.BubbleOf(t, func(t *testing.T, a *spstest.Appliance, c *sps.Client) {
		_, good, err := followed(t, c, nil)
		if err != nil {
			t.Fatal(err)
		}
		for _, empty := range [][]byte{nil, {}} {
			if keys, _, err := followed(t, c, empty); err != nil || len(keys) < 20 {
				t.Errorf("an empty checkpoint: %d sessions, %v", len(keys), err)
			}
		}
		if keys, _, err := followed(t, c, good); err != nil || len(keys) > 0 {
			t.Errorf("a valid checkpoint: %q, %v", keys, err)
		}
		swap := func(old, with string) string {
			if !strings.Contains(string(good), old) {
				t.Fatalf("the checkpoint %s lacks %s", good, old)
			}
			return strings.Replace(string(good), old, with, 1)
		}
		member := func(name string) string {
			_, rest, _ := strings.Cut(string(good), `"`+name+`":"`)
			value, _, _ := strings.Cut(rest, `"`)
			return `"` + name + `":"` + value + `"`
		}
		a.ResetJournal()
		for what, test := range map[string]struct{ checkpoint, want string }{
			"truncated":                   {string(good[:len(good)/2]), "is incomplete"},
			"empty object":                {"{}", "it is not a checkpoint"},
			"not JSON":                    {"hello", "it is not a checkpoint"},
			"null":                        {"null", "it is not a checkpoint"},
			"too large":                   {swap(`"by":`, `"x":"`+strings.Repeat("x", 64<<10)+`","by":`), "it is not a checkpoint"},
			"another host":                {swap(a.Addr(), "other.test"), "appliance"},
			"another query":               {swap(member("query"), `"query":"00"`), "another query"},
			"a newer version":             {swap(`"version":1`, `"version":2,"handed":["a new form"],"x"`+`:1,"y"`), "newer"},
			"from the future":             {swap(member("from"), `"from":"2999-01-01T00:00:00Z"`), "clock"},
			"from is not a time":          {swap(member("from"), `"from":"noon"`), "modified"},
			"handed is truncated":         {swap(member("handed"), `"handed":"AAAA"`), "modified"},
			"handed is not base64":        {swap(member("handed"), `"handed":"***"`), "modified"},
			"by is unknown":               {swap(member("by"), `"by":"moon"`), "modified"},
			"running without paths":       {swap(`"by":`, `"running":["a"],"by":`), "modified"},
			"running with an invalid key": {swap(`"by":`, `"running":["../x",""],"by":`), "modified"},
			"handed is a number":          {swap(member("handed"), `"handed":7`), "modified"},
		} {
			if what == "a newer version" {
				test.checkpoint = swap(`"version":1`, `"version":2`)
			}
			_, _, err := followed(t, c, []byte(test.checkpoint))
			if !errors.Is(err, sps.ErrCheckpoint) || !strings.Contains(err.Error(), test.want) {
				t.Errorf("%s: %v, want %q", what, err, test.want)
			}
		}
		follow, err := c.Audit.Sessions.Follow(t.Context(), audit.Query{Filter: audit.Term(audit.FieldProtocol, "SSH")}, sps.WithCheckpoint(good))
		if follow != nil || !errors.Is(err, sps.ErrCheckpoint) {
			t.Errorf("a checkpoint with another filter: %v", err)
		}
		if _, err := c.Audit.Sessions.Follow(t.Context(), audit.Query{KeysOnly: true, PageSize: 7}, sps.WithCheckpoint(good)); err != nil {
			t.Errorf("a checkpoint with other fields: %v", err)
		}
		for what, q := range map[string]audit.Query{"an order": {Sort: audit.Sort{Field: audit.FieldStartTime}}, "an end": {End: time.Now()}} {
			if _, err := c.Audit.Sessions.Follow(t.Context(), q); !errors.Is(err, sps.ErrInvalidInput) {
				t.Errorf("%s: %v", what, err)
			}
		}
		if _, err := c.Audit.Sessions.Follow(t.Context(), audit.Query{}, nil, sps.WithWindow(-1)); !errors.Is(err, sps.ErrInvalidInput) {
			t.Errorf("a negative window: %v, want ErrInvalidInput", err)
		}
		if _, err := c.Audit.Sessions.Follow(t.Context(), audit.Query{}, sps.WithPollInterval(-1)); !errors.Is(err, sps.ErrInvalidInput) {
			t.Errorf("a negative poll interval: %v, want ErrInvalidInput", err)
		}
		if sent := testkit.Requests(a); len(sent) > 0 {
			t.Errorf("requests were sent before the input was rejected: %q", sent)
		}
	}, spstest.WithAuditSessions(30))
}

// TestFollowBursts checks Follow with more sessions that end at about the same time than a
// checkpoint can hold.
func TestFollowBursts(t *testing.T) {
	t.Parallel()
	for name, test := range map[string]struct {
		n       int
		spacing time.Duration
		want    error // the error of Checkpoint
		failed  error // the error of the loop over the sessions
	}{
		"fewer than a checkpoint holds": {n: 5_000},
		"20000 within a minute":         {n: 20_000, spacing: 3 * time.Millisecond},
		"7000 at the same time":         {n: 7_000, want: sps.ErrCheckpointFull},
		"10100 at the same time":        {n: 10_100, failed: sps.ErrSearchCeiling},
		"30000, two per millisecond":    {n: 30_000, spacing: time.Millisecond / 2},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			testkit.BubbleOf(t, func(t *testing.T, a *spstest.Appliance, c *sps.Client) {
				end := time.Now().Add(-time.Minute)
				for i := range test.n {
					at := end.Add(time.Duration(i) * test.spacing).Truncate(time.Millisecond)
					a.AddAuditSession(spstest.AuditSession{Start: at.Add(-time.Second), End: at})
				}
				follow, err := c.Audit.Sessions.Follow(t.Context(), audit.Query{KeysOnly: true}, sps.WithOnce())
				if err != nil {
					t.Fatal(err)
				}
				keys, err := keysOf(follow.All())
				if !errors.Is(err, test.failed) || err != nil && test.failed == nil {
					t.Fatal(err)
				}
				if err != nil {
					return
				}
				once(t, storedKeys(a), keys)
				checkpoint, err := follow.Checkpoint()
				if !errors.Is(err, test.want) || len(checkpoint) > 64<<10 {
					t.Errorf("a checkpoint of %d bytes, %v", len(checkpoint), err)
				}
				time.Sleep(time.Hour) // a checkpoint is possible again after a later session
				last := a.AddAuditSession(spstest.AuditSession{Start: time.Now(), End: time.Now()})
				more, err := keysOf(follow.All())
				if err != nil || !slices.Equal(more, []string{last}) {
					t.Errorf("the sessions after the checkpoint: %q, %v", more, err)
				}
				if checkpoint, err = follow.Checkpoint(); err != nil {
					t.Fatal(err)
				}
				if again, _, err := followed(t, c, checkpoint); err != nil || len(again) > 0 {
					t.Errorf("after a restart of the program: %d, %v", len(again), err)
				}
			})
		})
	}
}

// TestFollowWindow checks that Follow reports a session that arrives late if it ended within
// the window, skips it if it ended earlier, and reports a session whose end is in the future
// once.
func TestFollowWindow(t *testing.T) {
	t.Parallel()
	for _, ranges := range []string{"accepted", "refused"} {
		testkit.BubbleOf(t, func(t *testing.T, a *spstest.Appliance, c *sps.Client) {
			add := func(key string, ago time.Duration) {
				end := time.Now().Add(-ago)
				a.AddAuditSession(spstest.AuditSession{Key: key, Start: end.Add(-time.Second), End: end})
			}
			add("future", -365*24*time.Hour)
			add("first", 0)
			keys, checkpoint, err := followed(t, c, nil, sps.WithWindow(10*time.Minute))
			if err != nil {
				t.Fatal(err)
			}
			once(t, []string{"first", "future"}, keys)
			time.Sleep(time.Minute)
			add("within", 9*time.Minute)
			add("after", 30*time.Minute)
			add("now", 0)
			if keys, _, err = followed(t, c, checkpoint, sps.WithWindow(10*time.Minute)); err != nil {
				t.Fatal(err)
			}
			once(t, []string{"now", "within"}, keys)
		}, spstest.WithVariant("search-time-ranges", ranges))
	}
}

// TestFollowSince checks that WithSince skips the sessions that ended before the given time.
func TestFollowSince(t *testing.T) {
	t.Parallel()
	for _, ranges := range []string{"accepted", "no-end-time", "refused"} {
		testkit.BubbleOf(t, func(t *testing.T, a *spstest.Appliance, c *sps.Client) {
			since := time.Now().Add(-time.Hour)
			a.AddAuditSession(spstest.AuditSession{Key: "old", Start: since.Add(-time.Hour), End: since.Add(-time.Minute)})
			a.AddAuditSession(spstest.AuditSession{Key: "new", Start: since.Add(-24 * time.Hour), End: since.Add(time.Minute)})
			a.AddAuditSession(spstest.AuditSession{Key: "active", Start: since.Add(-48 * time.Hour)})
			keys, checkpoint, err := followed(t, c, nil, sps.WithSince(since))
			if err != nil {
				t.Fatal(err)
			}
			once(t, []string{"new"}, keys)
			a.EndAuditSession("active", time.Time{})
			if keys, _, err = followed(t, c, checkpoint); err != nil {
				t.Fatal(err)
			}
			once(t, []string{"active"}, keys)
		}, spstest.WithVariant("search-time-ranges", ranges))
	}
}

// TestFollowEmptyRangeResults checks that Follow finds all sessions even if the appliance
// returns an empty result, and no error, for a query with a range of end_time.
func TestFollowEmptyRangeResults(t *testing.T) {
	t.Parallel()
	testkit.BubbleOf(t, func(t *testing.T, a *spstest.Appliance, c *sps.Client) {
		empty := func(body []byte) []byte { return []byte(`{"items":[],"meta":{"match_count":0,"next":null}}`) }
		a.Inject(spstest.Fault{Path: "audit/sessions", Mutate: empty}) // modifies the response to the search by end_time
		a.Inject(spstest.Fault{Path: "audit/sessions", Skip: 1, Mutate: empty})
		keys, _, err := followed(t, c, nil)
		if err != nil {
			t.Fatal(err)
		}
		var want []string
		for session := range a.AuditSessions() {
			if !session.End.IsZero() {
				want = append(want, session.Key)
			}
		}
		slices.Sort(want)
		once(t, want, keys)
	}, spstest.WithAuditSessions(30))
}

// TestFollowErrors checks that Follow continues after temporary errors and returns permanent
// errors.
func TestFollowErrors(t *testing.T) {
	t.Parallel()
	html := spstest.Fault{Path: "audit/sessions", Times: 7, Status: 403, Body: "<html>starting</html>", ContentType: "text/html"}
	for name, test := range map[string]struct {
		fault   spstest.Fault
		options []sps.FollowOption
		want    error
	}{
		"refused connections":   {fault: spstest.Fault{Path: "audit/**", Times: 30, Refuse: true}},
		"503":                   {fault: spstest.Fault{Path: "audit/**", Times: 30, Status: 503}},
		"429":                   {fault: spstest.Fault{Path: "audit/**", Times: 30, Status: 429}},
		"HTML page with 403":    {fault: html},
		"expired login session": {fault: spstest.Fault{Path: "audit/**", ExpireSession: true}},
		"503 with WithOnce":     {fault: spstest.Fault{Path: "audit/**", Times: -1, Status: 503}, options: []sps.FollowOption{sps.WithOnce()}, want: sps.Status(503)},
		"not JSON":              {fault: spstest.Fault{Path: "audit/**", Times: -1, Status: 200, Body: "hello", ContentType: "application/json"}, want: sps.ErrBadAnswer},
		"Unauthorized":          {fault: spstest.Fault{Path: "audit/**", Times: -1, Status: 403, Body: `{"error":{"type":"Unauthorized"}}`}, want: sps.Unauthorized},
		"SyntacticError":        {fault: spstest.Fault{Path: "audit/**", Times: -1, Status: 400, Body: `{"error":{"type":"SyntacticError"}}`}, want: sps.SyntacticError},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			testkit.BubbleOf(t, func(t *testing.T, a *spstest.Appliance, c *sps.Client) {
				a.Inject(test.fault)
				ctx, cancel := context.WithTimeout(t.Context(), 2*time.Hour)
				defer cancel()
				told := 0
				follow, err := c.Audit.Sessions.Follow(ctx, audit.Query{}, append(test.options, sps.WithPollInterval(time.Minute), sps.WithErrorFunc(nil), sps.WithErrorFunc(func(error) { told++ }))...)
				if err != nil {
					t.Fatal(err)
				}
				begin := time.Now()
				keys, err := keysOf(follow.All())
				if test.want == nil {
					if !errors.Is(err, context.DeadlineExceeded) || len(keys) < 25 || told == 0 && !test.fault.ExpireSession {
						t.Errorf("%d sessions, %d errors reported, %v", len(keys), told, err)
					}
					return
				}
				if !errors.Is(err, test.want) || time.Since(begin) > time.Hour || len(keys) > 0 {
					t.Errorf("%d sessions, %v after %s", len(keys), err, time.Since(begin))
				}
			}, spstest.WithAuditSessions(30))
		})
	}
}

// TestFollowEnds leaves the loop by break, by a panic and by the end of the context. It checks
// that the next loop over the same value continues without a repeated session, and that a
// closed client returns ErrClosed.
func TestFollowEnds(t *testing.T) {
	t.Parallel()
	testkit.BubbleOf(t, func(t *testing.T, a *spstest.Appliance, c *sps.Client) {
		ctx, cancel := context.WithCancel(t.Context())
		defer cancel()
		follow, err := c.Audit.Sessions.Follow(ctx, audit.Query{PageSize: 10})
		if err != nil {
			t.Fatal(err)
		}
		var keys []string
		for session := range follow.All() {
			if keys = append(keys, session.Key); len(keys) == 5 {
				break
			}
		}
		func() {
			defer func() { _ = recover() }()
			for session := range follow.All() {
				if keys = append(keys, session.Key); len(keys) == 10 {
					panic("in the loop")
				}
			}
		}()
		var failed error
		ends := 0
		for session, err := range follow.All() {
			if failed = err; err != nil {
				break
			}
			if follow.EndOfPage() {
				ends++
			}
			if keys = append(keys, session.Key); len(keys) == 40 {
				cancel()
			}
		}
		if !errors.Is(failed, context.Canceled) || ends < 3 || ends > 10 {
			t.Errorf("the loop ended with %v after %d ends of pages, want Canceled after 3 to 10", failed, ends)
		}
		if slices.Sort(keys); len(slices.Compact(keys)) != len(keys) {
			t.Errorf("a session was returned twice: %q", keys)
		}
		c.Close(context.Background())
		again, err := c.Audit.Sessions.Follow(t.Context(), audit.Query{})
		if err != nil {
			t.Fatal(err)
		}
		if _, err := keysOf(again.All()); !errors.Is(err, sps.ErrClosed) {
			t.Errorf("Follow on a closed client: %v", err)
		}
	}, spstest.WithAuditSessions(60))
}

// TestFollowInterval checks that Follow polls at the interval that WithPollInterval sets, and
// once a minute if the interval is 0.
func TestFollowInterval(t *testing.T) {
	t.Parallel()
	for want, options := range map[time.Duration][]sps.FollowOption{
		time.Minute:     {sps.WithPollInterval(0)},
		7 * time.Second: {sps.WithPollInterval(7 * time.Second)},
		time.Hour:       {sps.WithPollInterval(time.Hour)},
	} {
		testkit.BubbleOf(t, func(t *testing.T, a *spstest.Appliance, c *sps.Client) {
			ctx, cancel := context.WithTimeout(t.Context(), 20*want-1)
			defer cancel()
			follow, err := c.Audit.Sessions.Follow(ctx, audit.Query{}, options...)
			if err != nil {
				t.Fatal(err)
			}
			if _, err := keysOf(follow.All()); !errors.Is(err, context.DeadlineExceeded) {
				t.Fatal(err)
			}
			looks := 0
			for _, r := range a.Journal() {
				if strings.HasSuffix(r.Path, "/sessions") {
					looks++
				}
			}
			testkit.Diff(t, want.String(), 20, looks)
		}, spstest.WithAuditSessions(30))
	}
}
