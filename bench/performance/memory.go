package main

import (
	"context"
	"fmt"
	"io"
	"log/slog"
	"net/http"
	"runtime"
	"strconv"
	"strings"
	"testing"

	"github.com/go-sps/sps"
)

// inMemory returns a client whose RoundTripper makes each response with a function.
func inMemory(body func(*http.Request) string, options ...sps.Option) (*sps.Client, error) {
	transport := sps.WithTransport(func(http.RoundTripper) http.RoundTripper {
		return roundTripper(func(r *http.Request) (*http.Response, error) {
			text := body(r)
			return &http.Response{
				StatusCode: http.StatusOK, ProtoMajor: 1, ProtoMinor: 1, Header: http.Header{"Content-Type": {"application/json"}},
				Body: io.NopCloser(strings.NewReader(text)), ContentLength: int64(len(text)), Request: r,
			}, nil
		})
	})
	return sps.Connect(context.Background(), "sps1.example.com", sps.ExistingSession(sps.NewSecretString(session)), append(options, transport)...)
}

// logging measures the additional allocations of a logger whose level is off.
func logging() ([]row, error) {
	const slot = `{"body":{"version":"7.4.0","current":true},"key":"1","meta":{"href":"/api/firmware/slots/1"}}`
	ctx := context.Background()
	var failed error
	allocations := func(options ...sps.Option) float64 {
		c, err := inMemory(func(*http.Request) string { return slot }, options...)
		if err != nil {
			failed = err
			return 0
		}
		defer c.Close(ctx)
		return testing.AllocsPerRun(2000, func() {
			if _, err := c.Firmware.Slots.Get(ctx, "1"); err != nil {
				failed = err
			}
		})
	}
	without := allocations()
	off := allocations(sps.WithLogger(slog.New(slog.NewTextHandler(io.Discard, &slog.HandlerOptions{Level: slog.LevelError}))))
	return []row{{"log records below the level of the logger: additional allocations", "0 allocations", fmt.Sprintf("%.0f", off-without), off <= without}}, failed
}

// iteration measures the heap during an iteration over many pages.
func iteration() ([]row, error) {
	const pages, each = 100, 100
	ctx := context.Background()
	c, err := inMemory(func(r *http.Request) string {
		page, _ := strconv.Atoi(r.URL.Query().Get("page"))
		items := make([]string, each)
		for i := range items {
			items[i] = fmt.Sprintf(`{"key":"%d","body":{"name":"%s"}}`, page*each+i, strings.Repeat("x", 1000))
		}
		next := "null"
		if page < pages-1 {
			next = fmt.Sprintf(`"/api/things?page=%d"`, page+1)
		}
		return fmt.Sprintf(`{"items":[%s],"meta":{"next":%s}}`, strings.Join(items, ","), next)
	})
	if err != nil {
		return nil, err
	}
	defer c.Close(ctx)
	heap := func() int64 {
		runtime.GC()
		runtime.GC() // a sync.Pool keeps its values for one collection
		var m runtime.MemStats
		runtime.ReadMemStats(&m)
		return int64(m.HeapAlloc)
	}
	n, early, late := 0, int64(0), int64(0)
	for _, err := range sps.NewCollection[struct {
		Name string `json:"name"`
	}](c, "things").All(ctx) {
		if err != nil {
			return nil, err
		}
		switch n++; n {
		case 10 * each:
			early = heap()
		case 99 * each:
			late = heap()
		}
	}
	if n != pages*each {
		return nil, fmt.Errorf("%d items, want %d", n, pages*each)
	}
	grown := late - early
	return []row{{"iterating 10,000 items of 1 KB: growth of the heap from the 10th to the 99th page", "no growth with the pages", fmt.Sprintf("%+d bytes", grown), grown <= 64<<10}}, nil
}
