package bench_test

import (
	"bytes"
	"context"
	"fmt"
	"io"
	"net/http"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/go-sps/sps"
	"github.com/go-sps/sps/audit"
	"github.com/go-sps/sps/bench/hand"
	"github.com/go-sps/sps/spstest"
)

// sessionCount is the number of sessions in an iteration. A page has 500 sessions.
const sessionCount = 100_000

// sessionPages is an http.RoundTripper that replays the responses of a simulated appliance to
// a search.
type sessionPages map[string][]byte

// pageOf returns the key of the response to a request in sessionPages. The requests of a
// search have different keys.
func pageOf(r *http.Request) string {
	if strings.HasSuffix(r.URL.Path, "/sessions") {
		return "page" + r.URL.Query().Get("search_after")
	}
	return r.Method + r.URL.Path
}

func (p sessionPages) RoundTrip(r *http.Request) (*http.Response, error) {
	body, status := p[pageOf(r)], 200
	if body == nil {
		body, status = []byte(`{"meta":{"href":"/api/authentication"}}`), 200
	}
	return &http.Response{
		StatusCode: status, ProtoMajor: 1, ProtoMinor: 1, ContentLength: int64(len(body)), Body: io.NopCloser(bytes.NewReader(body)), Request: r,
		Header: http.Header{"Content-Type": {"application/json"}, "Set-Cookie": {"session_id=" + session + "; Path=/api"}},
	}, nil
}

// recording is an http.RoundTripper that stores the responses of a simulated appliance.
type recording struct {
	appliance *spstest.Appliance
	pages     sessionPages
}

func (r recording) RoundTrip(req *http.Request) (*http.Response, error) {
	resp, err := r.appliance.RoundTrip(req)
	if err != nil {
		return nil, err
	}
	body, err := io.ReadAll(resp.Body)
	resp.Body = io.NopCloser(bytes.NewReader(body))
	if strings.Contains(req.URL.Path, "/audit/") {
		r.pages[pageOf(req)] = body
	}
	return resp, err
}

var recordedPages = sync.OnceValues(func() (sessionPages, error) {
	a := spstest.NewServer(nil, spstest.WithoutListener(), spstest.WithAuditSessions(sessionCount))
	defer a.Close()
	r := recording{a, sessionPages{}}
	c, err := sps.Connect(context.Background(), "a", sps.UsernamePassword(a.Username(), sps.NewSecretString(a.Password())),
		sps.WithTransport(func(http.RoundTripper) http.RoundTripper { return r }))
	if err != nil {
		return nil, err
	}
	defer c.Close(context.Background())
	n := 0
	for _, err := range c.Audit.Sessions.Search(context.Background(), audit.Query{}).All() {
		if err != nil {
			return nil, err
		}
		n++
	}
	if n != sessionCount {
		return nil, fmt.Errorf("%d sessions", n)
	}
	return r.pages, nil
})

// BenchmarkSessions measures an iteration over 100,000 sessions in pages of 500, with all
// fields.
func BenchmarkSessions(b *testing.B) {
	pages, err := recordedPages()
	if err != nil {
		b.Fatal(err)
	}
	transport := sps.WithTransport(func(http.RoundTripper) http.RoundTripper { return pages })
	byHand := &hand.Sessions{Client: &http.Client{Transport: pages}, URL: "https://sps1.example.com", Session: session}
	counted := func(n int, err error) error {
		if err == nil && n != sessionCount {
			err = fmt.Errorf("%d sessions", n)
		}
		return err
	}
	compare(b, []rival{
		{"sps", func() error {
			// Each run has a new client, because a client detects that it receives its old
			// snapshot again.
			c, err := sps.Connect(b.Context(), "sps1.example.com", sps.ExistingSession(sps.NewSecretString(session)), transport)
			if err != nil {
				return err
			}
			defer c.Close(b.Context())
			n := 0
			for session, err := range c.Audit.Sessions.Search(b.Context(), audit.Query{}).All() {
				if err != nil {
					return err
				}
				if session.Key != "" {
					n++
				}
			}
			return counted(n, nil)
		}},
		{"new-json", func() error {
			n := 0
			err := byHand.Each(b.Context(), func(s *hand.Session) error {
				if s.Key != "" {
					n++
				}
				return nil
			})
			return counted(n, err)
		}},
	})
}

// cpuTime returns the CPU time that this process has used, in seconds.
func cpuTime() float64 {
	var usage syscall.Rusage
	if syscall.Getrusage(syscall.RUSAGE_SELF, &usage) != nil {
		return 0
	}
	return time.Duration(usage.Utime.Nano() + usage.Stime.Nano()).Seconds()
}
