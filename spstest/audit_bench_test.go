package spstest_test

import (
	"bytes"
	"encoding/json"
	"io"
	"net/http"
	"runtime"
	"strconv"
	"testing"

	"github.com/go-sps/sps/spstest"
)

// pageOf is the part of a page that iterate reads.
type pageOf struct {
	Items []struct{ Key string } `json:"items"`
	Meta  struct {
		Next string `json:"next"`
	} `json:"meta"`
}

// iterate reads all pages of a snapshot and counts the sessions. It passes each page to
// the function each. If this function is nil, iterate decodes as little as possible of a
// page.
func iterate(tb testing.TB, c *client, query string, each func(p *pageOf)) (sessions int) {
	tb.Helper()
	id := c.want(200, "GET", "/api/audit/sessions/_snapshot", "").body["body"].(map[string]any)["snapshot"].(string)
	for next := "/api/audit/sessions?" + query + "&snapshot=" + id; next != ""; {
		req, err := http.NewRequestWithContext(tb.Context(), "GET", c.base+next, nil)
		if err != nil {
			tb.Fatal(err)
		}
		req.Header.Set("Cookie", "session_id="+c.cookie)
		resp, err := c.transport.RoundTrip(req)
		if err != nil {
			tb.Fatal(err)
		}
		raw, err := io.ReadAll(resp.Body)
		resp.Body.Close()
		if err != nil || resp.StatusCode != 200 {
			tb.Fatalf("%s: status %d, %v", next, resp.StatusCode, err)
		}
		var p pageOf
		if each == nil { // count the sessions without decoding them
			sessions += bytes.Count(raw, []byte(`,"meta":{"href":"/api/audit/sessions/`))
			err = json.Unmarshal(raw[bytes.LastIndex(raw, []byte(`],"meta":{`))+len(`],"meta":`):len(raw)-1], &p.Meta)
		} else {
			err = json.Unmarshal(raw, &p)
			sessions += len(p.Items)
			each(&p)
		}
		if err != nil {
			tb.Fatalf("%s: %v", next, err)
		}
		next = p.Meta.Next
	}
	return sessions
}

func liveHeap() uint64 {
	runtime.GC()
	runtime.GC()
	var m runtime.MemStats
	runtime.ReadMemStats(&m)
	return m.HeapAlloc
}

// BenchmarkAuditSnapshot reads all sessions from a snapshot. With fields=, responses
// contain only keys. With fields=*, they contain all fields.
func BenchmarkAuditSnapshot(b *testing.B) {
	for _, n := range []int{100_000, 1_500_000} {
		for _, fields := range []string{"", "*"} {
			b.Run(strconv.Itoa(n)+"/fields="+fields, func(b *testing.B) {
				a := newInProcess(b, spstest.WithAuditSessions(n))
				c := inProcess(b, a).logIn("admin", "a")
				for b.Loop() {
					if got := iterate(b, c, "sort=-start_time&fields="+fields, nil); got != n {
						b.Fatalf("%d sessions of %d", got, n)
					}
					a.ResetJournal()
				}
				b.ReportMetric(float64(b.Elapsed().Nanoseconds())/float64(b.N)/float64(n), "ns/session")
			})
		}
	}
}

// TestAuditMemory checks that a session, including a search in a snapshot, needs at most
// 64 bytes of memory.
func TestAuditMemory(t *testing.T) {
	const n, most = 1_500_000, 64
	before := liveHeap()
	a := newInProcess(t, spstest.WithAuditSessions(n))
	stored := liveHeap()
	c := inProcess(t, a).logIn("admin", "a")
	id := c.want(200, "GET", "/api/audit/sessions/_snapshot", "").body["body"].(map[string]any)["snapshot"].(string)
	c.want(200, "GET", "/api/audit/sessions?fields=*&sort=-start_time&snapshot="+id, "")
	searched := liveHeap()
	runtime.KeepAlive(a)
	t.Logf("bytes per session: %.1f stored, %.1f with a snapshot", float64(stored-before)/n, float64(searched-before)/n)
	if got := (searched - before) / n; got > most {
		t.Errorf("a session needs %d bytes of memory; want at most %d", got, most)
	}
}
