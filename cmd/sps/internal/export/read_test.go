package export

import (
	"context"
	"net/http"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/go-sps/sps"
	"github.com/go-sps/sps/spstest"
)

// connect returns a client that is closed at the end of the test.
func connect(t *testing.T, a *spstest.Appliance, options ...sps.Option) *sps.Client {
	t.Helper()
	client, err := sps.Connect(t.Context(), a.Addr(), sps.UsernamePassword(a.Username(), sps.NewSecretString(a.Password())),
		append([]sps.Option{sps.WithCABundle(a.CA())}, options...)...)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { client.Close(context.Background()) })
	return client
}

// TestReadAll checks that readAll returns the nodes of Client.Walk in the same order.
func TestReadAll(t *testing.T) {
	t.Parallel()
	for _, profile := range spstest.Profiles() {
		t.Run(profile, func(t *testing.T) {
			t.Parallel()
			a := spstest.NewServer(t, spstest.WithProfile(profile))
			a.Inject(spstest.Fault{Method: "GET", Path: "configuration/management/email", Status: 500, Times: -1})
			a.Inject(spstest.Fault{Method: "GET", Path: "configuration/datetime", Times: -1, MayMiss: true, Mutate: func(b []byte) []byte {
				return []byte(strings.Replace(string(b), `"items"`, `"items_"`, 1)) // the response has neither a body nor items
			}})
			client := connect(t, a, sps.WithRetry(sps.RetryPolicy{Attempts: 1}))
			describe := func(nodes []*sps.WalkNode) (all []string) {
				for _, n := range nodes {
					line := n.Path + " in " + n.Parent + " " + string(n.Body)
					if n.Err != nil {
						line += " refused"
					}
					all = append(all, line)
				}
				return all
			}
			var want []*sps.WalkNode
			for node, err := range client.Walk(t.Context(), Configuration) {
				if err != nil {
					t.Fatal(err)
				}
				want = append(want, node)
			}
			got, err := readAll(t.Context(), client, Configuration, func(string) {})
			if err != nil {
				t.Fatal(err)
			}
			if d := cmp.Diff(describe(want), describe(got)); d != "" {
				t.Errorf("(-Walk +readAll):\n%s", d)
			}
		})
	}
}

// TestReadAllTime checks that readAll sends up to Parallel requests at the same time to an
// appliance with a high latency.
func TestReadAllTime(t *testing.T) {
	t.Parallel()
	const latency, number = 10 * time.Millisecond, 400
	a := spstest.NewServer(t, spstest.WithProfile("6.0")) // its lists have no bodies
	for i := range number {
		a.SetConfiguration("configuration/policies/time_policies/"+strings.Repeat("0", 6)+string(rune('a'+i%26))+string(rune('a'+i/26)), []byte(`{"name":"x"}`))
	}
	var requests, now, most atomic.Int64
	client := connect(t, a, sps.WithTransport(func(base http.RoundTripper) http.RoundTripper {
		return roundTripper(func(r *http.Request) (*http.Response, error) {
			requests.Add(1)
			if n := now.Add(1); n > most.Load() {
				most.Store(n)
			}
			defer now.Add(-1)
			time.Sleep(latency)
			return base.RoundTrip(r)
		})
	}))
	requests.Store(0)
	start := time.Now()
	nodes, err := readAll(t.Context(), client, Configuration, func(string) {})
	if err != nil {
		t.Fatal(err)
	}
	bound := time.Duration(requests.Load()) * latency / Parallel
	t.Logf("%d nodes, %d requests, %s of %s", len(nodes), requests.Load(), time.Since(start).Round(time.Millisecond), bound)
	if most.Load() != Parallel || len(nodes) < number {
		t.Errorf("%d requests at a time, want %d; %d nodes", most.Load(), Parallel, len(nodes))
	}
}

type roundTripper func(*http.Request) (*http.Response, error)

func (f roundTripper) RoundTrip(r *http.Request) (*http.Response, error) { return f(r) }
