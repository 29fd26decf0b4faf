package spstest_test

import (
	"fmt"
	"net/http"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/go-sps/sps/spstest"
)

// TestSnapshotPages checks that a snapshot returns each session once, in pages of at most
// 500, and that the links and the meta objects have the form of the vendor's test data.
func TestSnapshotPages(t *testing.T) {
	t.Parallel()
	const n = 1_234
	a := newInProcess(t, spstest.WithAuditSessions(n), frozenClock())
	c := inProcess(t, a).logIn("admin", "a")
	first := c.want(200, "GET", auditSessions+"/_snapshot", "")
	id := first.body["body"].(map[string]any)["snapshot"].(string)
	wantJSON(t, `{"body":{"snapshot":"`+id+`"}}`, first.raw)
	var want []string
	for s := range a.AuditSessions() {
		want = append(want, s.Key)
	}
	var got []string
	var sizes []int
	after := "null"
	for next := search("fields", "*", "sort", "start_time", "snapshot", id); next != ""; {
		r := c.want(200, "GET", next, "")
		keys := keysOf(t, r)
		got, sizes = append(got, keys...), append(sizes, len(keys))
		next, _ = metaOf(r)["next"].(string)
		link := "null"
		if len(keys) > 0 {
			link = fmt.Sprintf(`"/api/audit/sessions?search_after=%d&fields=*&sort=start_time&snapshot=%s"`, len(got), id)
		}
		meta := fromJSON(t, `{"fields":["*"],"first":null,"href":"/api/audit/sessions","last":null,"limit":500,"next":`+link+`,
			"parent":"/api/audit","previous":null,"remaining_seconds":43200,"search_after":`+after+`}`)
		if diff := cmp.Diff(meta, any(metaOf(r))); diff != "" {
			t.Errorf("meta (-want +got):\n%s", diff)
		}
		after = fmt.Sprintf("%q", fmt.Sprint(len(got)))
	}
	if diff := cmp.Diff([]int{500, 500, 234, 0}, sizes); diff != "" {
		t.Errorf("pages (-want +got):\n%s", diff)
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("sessions (-want +got):\n%s", diff)
	}
}

func TestSnapshotExpires(t *testing.T) {
	t.Parallel()
	now := at(12, 0)
	a := newInProcess(t, spstest.WithAuditSessions(3), spstest.WithClock(func() time.Time { return now }))
	c := inProcess(t, a).logIn("admin", "a")
	id := snapshot(c)
	for range 5 { // each query extends the lifetime of the snapshot by five minutes
		now = now.Add(5*time.Minute - time.Second)
		c.want(200, "GET", search("snapshot", id), "")
	}
	now = now.Add(5 * time.Minute)
	gone := map[string]any{"mount_point": "/audit", "resource": "sessions"}
	wantError(t, c.do("GET", search("snapshot", id), ""), 404, "ResourceNotFound", gone)
	id = snapshot(c)
	c.want(200, "GET", search("snapshot", id), "")
	if n := a.DropSnapshots(); n != 1 {
		t.Errorf("%d snapshots were dropped", n)
	}
	wantError(t, c.do("GET", search("snapshot", id), ""), 404, "ResourceNotFound", gone)
	// A snapshot remains usable after the session of its owner has ended.
	id = snapshot(c)
	a.ExpireSessions()
	c.logIn("admin", "a")
	c.want(200, "GET", search("snapshot", id), "")
}

func TestSnapshotOwner(t *testing.T) {
	t.Parallel()
	for _, test := range []struct {
		name, variant string
		user, agent   string
		address       string
		create, use   int // the status of a second GET of _snapshot, and of a search in the first snapshot
	}{
		{"the owner", "", "admin", "one", "10.0.0.1:1", 200, 404}, // the second snapshot replaces the first one
		{"the owner, refused", "snapshot-again=refused", "admin", "one", "10.0.0.1:2", 429, 200},
		{"the owner, the same", "snapshot-again=same", "admin", "one", "10.0.0.1:3", 200, 200},
		{"another agent", "", "admin", "two", "10.0.0.1:1", 429, 404},
		{"another address", "", "admin", "one", "10.0.0.2:1", 429, 404},
		{"another user", "", "other", "one", "10.0.0.1:1", 429, 404},
		{"another user, type", "snapshot-quota-error=429:QuotaExceeded", "other", "one", "10.0.0.1:1", 429, 404},
		{"another user, quota by user", "snapshot-quota=user", "other", "one", "10.0.0.1:1", 200, 404},
		{"another agent, quota by user", "snapshot-quota=user", "admin", "two", "10.0.0.1:1", 429, 404},
		{"another agent, quota by owner", "snapshot-quota=owner", "admin", "two", "10.0.0.1:1", 200, 404},
		{"another user, forbidden", "snapshot-foreign=403:Unauthorized", "other", "one", "10.0.0.1:1", 429, 403},
	} {
		t.Run(test.name, func(t *testing.T) {
			t.Parallel()
			opts := []spstest.Option{spstest.WithAuditSessions(3), spstest.WithUser("other", "a")}
			if test.variant != "" {
				opts = append(opts, variants(t, test.variant)...)
			}
			a := newInProcess(t, opts...)
			from := func(address string) http.RoundTripper {
				return roundTripper(func(req *http.Request) (*http.Response, error) {
					req.RemoteAddr = address
					return a.RoundTrip(req)
				})
			}
			mine := inProcess(t, a).logIn("admin", "a")
			mine.transport = from("10.0.0.1:7")
			mine = agent(mine, "one")
			id := snapshot(mine)
			other := inProcess(t, a).logIn(test.user, "a")
			other.transport = from(test.address)
			other = agent(other, test.agent)
			r := other.do("GET", auditSessions+"/_snapshot", "")
			if r.status != test.create {
				t.Errorf("another snapshot: status %d, want %d: %s", r.status, test.create, r.raw)
			}
			if kind, _ := r.errorOf(); test.variant == "snapshot-quota-error=429:QuotaExceeded" && kind != "QuotaExceeded" {
				t.Errorf("another snapshot: %s", kind)
			}
			if r := other.do("GET", search("snapshot", id), ""); r.status != test.use {
				t.Errorf("search: status %d, want %d: %s", r.status, test.use, r.raw)
			}
			if r := mine.do("GET", search("snapshot", id), ""); (r.status == 200) != (test.create == 429 || test.variant != "") {
				t.Errorf("the owner's search: status %d", r.status)
			}
		})
	}
}

func TestSnapshotVariants(t *testing.T) {
	t.Parallel()
	t.Run("retry-after", func(t *testing.T) {
		t.Parallel()
		a := newInProcess(t, variants(t, "snapshot-retry-after=300", "snapshot-again=refused")...)
		c := inProcess(t, a).logIn("admin", "a")
		snapshot(c)
		if got := c.want(429, "GET", auditSessions+"/_snapshot", "").header.Get("Retry-After"); got != "300" {
			t.Errorf("Retry-After %q", got)
		}
	})
	t.Run("limit", func(t *testing.T) {
		t.Parallel()
		for variant, want := range map[string]int{"snapshot-limit=ignored": 10, "snapshot-limit=honoured": 4} {
			a := newInProcess(t, append(variants(t, variant), spstest.WithAuditSessions(10))...)
			c := inProcess(t, a).logIn("admin", "a")
			if n := iterate(t, c, "limit=4", func(p *pageOf) {
				if len(p.Items) > want {
					t.Errorf("%s: %d sessions in a page", variant, len(p.Items))
				}
			}); n != 10 {
				t.Errorf("%s: %d sessions", variant, n)
			}
		}
	})
	t.Run("restart", func(t *testing.T) {
		t.Parallel()
		for variant, want := range map[string]int{"snapshot-restart=gone": 404, "snapshot-restart=kept": 200} {
			a := newInProcess(t, append(variants(t, variant), spstest.WithRestart(spstest.Restart{}))...)
			c := inProcess(t, a).logIn("admin", "a")
			id := snapshot(c)
			a.Restart()
			c.logIn("admin", "a")
			c.want(want, "GET", search("snapshot", id), "")
		}
	})
	t.Run("ties", func(t *testing.T) {
		t.Parallel()
		for variant, want := range map[string]bool{"search-ties=stored": true, "search-ties=shuffled": false} {
			a := newInProcess(t, append(variants(t, variant), spstest.WithAuditSessions(400))...)
			c := inProcess(t, a).logIn("admin", "a")
			var orders [2][]string
			for i := range orders {
				iterate(t, c, "sort=protocol", func(p *pageOf) {
					for _, item := range p.Items {
						orders[i] = append(orders[i], item.Key)
					}
				})
			}
			if slices.Equal(orders[0], orders[1]) != want {
				t.Errorf("%s: the orders of two snapshots are the same: %v", variant, !want)
			}
			slices.Sort(orders[0])
			slices.Sort(orders[1])
			if !slices.Equal(orders[0], orders[1]) || len(orders[0]) != 400 {
				t.Errorf("%s: the sessions of two snapshots differ", variant)
			}
		}
	})
}

// TestSnapshotProfiles checks that 7.4 and 8.0 have snapshots and _count, and that 6.x
// does not.
func TestSnapshotProfiles(t *testing.T) {
	t.Parallel()
	got := map[string][2]int{}
	for _, profile := range spstest.Profiles() {
		a := newInProcess(t, spstest.WithProfile(profile))
		c := inProcess(t, a).logIn("admin", "a")
		got[profile] = [2]int{c.do("GET", auditSessions+"/_snapshot", "").status, c.do("GET", auditSessions+"/_count", "").status}
	}
	want := map[string][2]int{"6.0": {404, 404}, "6.9": {404, 404}, "7.4": {200, 200}, "8.0": {200, 200}}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("_snapshot and _count (-want +got):\n%s", diff)
	}
	a := newInProcess(t, append(variants(t, "session-count=always"), spstest.WithProfile("6.0"), spstest.WithAuditSessions(7))...)
	c := inProcess(t, a).logIn("admin", "a")
	wantJSON(t, `{"count":7}`, c.want(200, "GET", auditSessions+"/_count", "").raw)
	// 6.0 ignores the parameter snapshot like any unknown parameter.
	if n := len(keysOf(t, c.want(200, "GET", search("snapshot", "x"), ""))); n != 7 {
		t.Errorf("%d sessions", n)
	}
}

// TestPowerBI sends the requests of the vendor's Power BI connector, in the same order,
// and checks the responses.
func TestPowerBI(t *testing.T) {
	t.Parallel()
	for _, profile := range []string{"7.4", "8.0"} {
		t.Run(profile, func(t *testing.T) {
			t.Parallel()
			powerBI(t, profile)
		})
	}
}

func powerBI(t *testing.T, profile string) {
	const n = 1_100
	now := at(12, 0)
	a := newInProcess(t, spstest.WithAuditSessions(n), spstest.WithProfile(profile), spstest.WithUser("poor", "pw", spstest.NoSearch), spstest.WithClock(func() time.Time { return now }))
	c := agent(inProcess(t, a).logIn("admin", "a"), "Microsoft.Data.Mashup")
	filters := "&q=protocol%3ASSH%20AND%20user.name%3Ayoda&start=2024-05-01T00%3A00%3A00.0000000%2B00%3A00&end=2024-05-06T12%3A00%3A00.0000000%2B00%3A00"
	for _, filter := range []string{"", filters} {
		id := snapshot(c)
		total := 0
		next := auditSessions + "?fields=*&sort=-start_time" + filter + "&snapshot=" + id
		last := "9"
		for next != "" {
			r := c.want(200, "GET", next, "")
			for i := range keysOf(t, r) {
				body := bodyOf(t, r, i)
				start := body["start_time"].(string)
				if start > last || filter != "" && (body["protocol"] != "SSH" || body["user"].(map[string]any)["name"] != "yoda" || body["active"] != false) {
					t.Fatalf("after the start %s: unexpected session %v", last, body)
				}
				last = start
				total++
			}
			meta := metaOf(r)
			next, _ = meta["next"].(string)
			if (next == "") != (len(keysOf(t, r)) == 0) {
				t.Errorf("%d sessions, and next is %q", len(keysOf(t, r)), next)
			}
			for _, name := range []string{"fields", "first", "href", "last", "limit", "next", "parent", "previous", "remaining_seconds", "search_after"} {
				if _, ok := meta[name]; !ok {
					t.Errorf("meta has no %s", name)
				}
			}
		}
		if filter == "" && total != n || total == 0 {
			t.Errorf("%q: %d sessions", filter, total)
		}
		count := c.want(200, "GET", auditSessions+"/_count?fields=*&sort=-start_time"+filter, "")
		wantJSON(t, fmt.Sprintf(`{"count":%d}`, total), count.raw)
	}
	// The connector reports these statuses to its user.
	guest := agent(inProcess(t, a).logIn("admin", "a"), "another program")
	for _, test := range []struct {
		path   string
		status int
	}{
		{auditSessions + "/_snapshot", 429},
		{auditSessions + "?fields=*&sort=-start_time&snapshot=" + strings.Repeat("0", 32), 404},
		{auditSessions + "/_count?q=%28", 400},
	} {
		if r := guest.do("GET", test.path, ""); r.status != test.status {
			t.Errorf("%s: status %d, want %d", test.path, r.status, test.status)
		}
	}
	poor := agent(inProcess(t, a).logIn("poor", "pw"), "Microsoft.Data.Mashup")
	for _, path := range []string{"/_snapshot", "?fields=*", "/_count"} {
		poor.want(403, "GET", auditSessions+path, "")
	}
	now = now.Add(5 * time.Minute)
	guest.want(200, "GET", auditSessions+"/_snapshot", "")
	a.Inject(spstest.Fault{Path: "audit/**", Status: 500})
	guest.want(500, "GET", auditSessions+"?fields=*", "")
}

// TestSafeguardJava sends the requests of the test in the vendor's SafeguardJava, and
// checks that the recordings can be downloaded.
func TestSafeguardJava(t *testing.T) {
	t.Parallel()
	a := newInProcess(t, spstest.WithAuditSessions(50))
	c := inProcess(t, a).logIn("admin", "a")
	downloaded := 0
	for _, key := range keysOf(t, c.want(200, "GET", auditSessions, "")) {
		c.header = http.Header{"Accept": {"application/octet-stream"}}
		if r := c.do("GET", auditSessions+"/"+key+"/audit_trail", ""); r.status == 200 && len(r.raw) > 0 {
			downloaded++
		}
	}
	if downloaded < 20 {
		t.Errorf("%d recordings", downloaded)
	}
}
