package hostile

import (
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net/http"
	"runtime"
	"strconv"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/go-sps/sps"
	"github.com/go-sps/sps/internal/testkit"
	"github.com/go-sps/sps/spstest"
)

// The tests in this file check limits of allocations, connections, memory and goroutines,
// which do not depend on the speed of the machine. docs/explanation/performance.md has the
// measurements that do. The limits of uploads and downloads are next to their tests in
// internal/areas.

// canned returns a client of an appliance that answers every request with the same body.
func canned(t *testing.T, body string, options ...sps.Option) *sps.Client {
	t.Helper()
	header := http.Header{"Content-Type": {"application/json"}}
	c, err := sps.Connect(t.Context(), "appliance.test", sps.ExistingSession(sps.NewSecretString("id")),
		append([]sps.Option{testkit.RoundTrip(func(r *http.Request) (*http.Response, error) {
			return testkit.Answer(r, 200, header, body), nil
		})}, options...)...)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { c.Close(context.Background()) })
	return c
}

// TestAllocationsOfRead limits the number of allocations of a typed read, including those of
// http.Client. It checks that logging adds none if it is switched off.
func TestAllocationsOfRead(t *testing.T) {
	if testkit.Race {
		t.Skip("the race detector allocates")
	}
	data := testkit.Sample(t, "configuration_alerting_traffic_alerts.get")
	allocations := func(options ...sps.Option) float64 {
		c := canned(t, data, options...)
		return testing.AllocsPerRun(500, func() {
			if _, err := c.Alerting.TrafficAlerts.Get(t.Context()); err != nil {
				t.Error(err)
			}
		})
	}
	const budget = 40
	silent := allocations()
	if silent > budget {
		t.Errorf("a typed read makes %.0f allocations, and may make %d", silent, budget)
	}
	off := slog.New(slog.NewTextHandler(io.Discard, &slog.HandlerOptions{Level: slog.LevelError}))
	if logging := allocations(sps.WithLogger(off)); logging > silent {
		t.Errorf("a typed read makes %.0f allocations with a logger that is switched off, and %.0f without a logger", logging, silent)
	}
}

// TestThousandCalls makes a thousand calls, some of which fail. It checks that the client
// opens one connection, and at most one more for each call that was cancelled while its
// request was running.
func TestThousandCalls(t *testing.T) {
	t.Parallel()
	a := spstest.NewServer(t)
	var dials atomic.Int32
	c := testkit.Connect(t, a, testkit.CountDials(&dials), sps.WithRetry(sps.RetryPolicy{Attempts: 1}))
	const calls, cut = 1000, 5
	failed := 0
	for i := range calls {
		switch i % 10 {
		case 3:
			a.Inject(spstest.Fault{Path: "firmware/slots/1", Status: 500 + i/10%5})
		case 5:
			a.Inject(spstest.Fault{Path: "firmware/slots/1", Status: 404, Body: `{"error":{"type":"ResourceNotFound"}}`})
		}
		ctx, cancel := t.Context(), func() {}
		if i%(calls/cut) == 7 {
			a.Inject(spstest.Fault{Path: "firmware/slots/1", Delay: time.Minute})
			ctx, cancel = context.WithTimeout(ctx, 30*time.Millisecond)
		}
		if _, err := c.Firmware.Slots.Get(ctx, "1"); err != nil {
			failed++
		}
		cancel()
	}
	if failed < calls/5 {
		t.Errorf("%d calls failed, want at least %d", failed, calls/5)
	}
	if n := dials.Load(); n > 1+cut {
		t.Errorf("%d connections, want at most %d", n, 1+cut)
	}
}

// TestIterationMemory checks that iterating over many pages uses no more memory than a few
// pages.
func TestIterationMemory(t *testing.T) {
	const pages, each = 100, 100
	c, err := sps.Connect(t.Context(), "appliance.test", sps.ExistingSession(sps.NewSecretString("id")),
		testkit.RoundTrip(func(r *http.Request) (*http.Response, error) {
			page, _ := strconv.Atoi(r.URL.Query().Get("page"))
			var items []string
			for i := range each {
				items = append(items, fmt.Sprintf(`{"key":"%d","body":{"name":"%s"}}`, page*each+i, strings.Repeat("x", 1000)))
			}
			next := "null"
			if page < pages-1 {
				next = fmt.Sprintf(`"/api/things?page=%d"`, page+1)
			}
			return testkit.Answer(r, 200, http.Header{}, fmt.Sprintf(`{"items":[%s],"meta":{"next":%s}}`, strings.Join(items, ","), next)), nil
		}))
	if err != nil {
		t.Fatal(err)
	}
	defer c.Close(context.Background())
	heap := func() int64 {
		var m runtime.MemStats
		runtime.GC()
		runtime.GC() // the first collection does not free the contents of sync.Pool
		runtime.ReadMemStats(&m)
		return int64(m.HeapAlloc)
	}
	n, early, late := 0, int64(0), int64(0)
	for o, err := range sps.NewCollection[struct {
		Name string `json:"name"`
	}](c, "things").All(t.Context()) {
		if err != nil {
			t.Fatal(err)
		}
		if o.Key != strconv.Itoa(n) {
			t.Fatalf("the item %d has the key %s", n, o.Key)
		}
		switch n++; n {
		case 10 * each:
			early = heap()
		case (pages - 1) * each:
			late = heap()
		}
	}
	testkit.Diff(t, "items", pages*each, n)
	if grown := late - early; grown > 64<<10 {
		t.Errorf("the heap grows by %d bytes from page 10 to page %d", grown, pages-1)
	}
}

// TestClosedClientsLeaveNothing checks that closed clients leave no goroutines and no sessions.
func TestClosedClientsLeaveNothing(t *testing.T) {
	a := spstest.NewServer(t)
	before := runtime.NumGoroutine()
	for range 10 {
		c, err := testkit.Dial(t.Context(), a)
		if err != nil {
			t.Fatal(err)
		}
		if _, err := c.Firmware.Test(t.Context(), "4"); err != nil && !errors.Is(err, sps.FirmwareTestFailed) {
			t.Error(err)
		}
		if err := c.Close(t.Context()); err != nil {
			t.Error(err)
		}
	}
	testkit.Diff(t, "sessions", 0, a.Sessions())
	deadline := time.Now().Add(10 * time.Second)
	for runtime.NumGoroutine() > before { // the goroutines of a closed connection may end a little later
		if time.Now().After(deadline) {
			t.Fatalf("%d goroutines, %d before", runtime.NumGoroutine(), before)
		}
		runtime.Gosched()
	}
}
