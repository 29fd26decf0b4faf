package areas

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"runtime"
	"strconv"
	"strings"
	"testing"
	"testing/iotest"
	"testing/synctest"
	"time"

	"github.com/go-sps/sps"
	"github.com/go-sps/sps/internal/testkit"
)

// fileServer starts a TLS server that responds to each request with a file that consists of zero
// bytes and has the given size. It returns a client of this server, and the server.
func fileServer(t *testing.T, size int64) (*sps.Client, *httptest.Server) {
	t.Helper()
	server := httptest.NewTLSServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set("Content-Type", "application/octet-stream")
		w.Header().Set("Content-Length", strconv.FormatInt(size, 10))
		chunk := make([]byte, 64<<10)
		for left := size; left > 0; {
			n, err := w.Write(chunk[:min(left, int64(len(chunk)))])
			if err != nil {
				return
			}
			left -= int64(n)
		}
	}))
	t.Cleanup(server.Close)
	c, err := sps.Connect(t.Context(), server.Listener.Addr().String(), sps.ExistingSession(sps.NewSecretString("id")), sps.WithInsecureTLS(), testkit.Quick)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { c.Close(context.Background()) })
	return c, server
}

// TestDownloadMemory checks that the download of a large file allocates little memory.
func TestDownloadMemory(t *testing.T) {
	const size = 256 << 20
	c, _ := fileServer(t, size)
	var before, after runtime.MemStats
	runtime.GC()
	runtime.ReadMemStats(&before)
	var last, total int64
	n, err := c.Download(t.Context(), "troubleshooting/support-bundle/1/download", io.Discard, sps.WithProgress(func(p sps.Progress) { last, total = p.Done, p.Total }))
	runtime.ReadMemStats(&after)
	if err != nil || n != size || last != size || total != size {
		t.Errorf("%d bytes, progress %d of %d, %v", n, last, total, err)
	}
	limit := uint64(8 << 20)
	if testkit.Race {
		limit = 128 << 20 // with the race detector, sync.Pool drops buffers at random
	}
	if allocated := after.TotalAlloc - before.TotalAlloc; allocated > limit {
		t.Errorf("%d MiB were allocated for a download of 256 MiB", allocated>>20)
	}
}

type fullDisk struct{ left int }

func (d *fullDisk) Write(p []byte) (int, error) {
	if d.left -= len(p); d.left < 0 {
		return 0, errDisk
	}
	return len(p), nil
}

func TestDownloadEnds(t *testing.T) {
	t.Parallel()
	c, _ := fileServer(t, 1<<30)
	if n, err := c.Download(t.Context(), "x", &fullDisk{1 << 20}); !errors.Is(err, errDisk) || n > 1<<20 {
		t.Errorf("a write to a full disk: %d bytes, %v", n, err)
	}
	ctx, cancel := context.WithCancel(t.Context())
	n, err := c.Download(ctx, "x", io.Discard, sps.WithProgress(func(sps.Progress) { cancel() }))
	if !errors.Is(err, context.Canceled) || n == 1<<30 {
		t.Errorf("a cancelled download: %d bytes, %v", n, err)
	}
}

// TestDownloadAnswers checks which responses Download accepts as a file, and which it retries.
func TestDownloadAnswers(t *testing.T) {
	t.Parallel()
	octets := http.Header{"Content-Type": {"application/octet-stream"}}
	for name, test := range map[string]struct {
		answers []func(*http.Request) (*http.Response, error)
		want    string
		err     error
		sent    int
	}{
		"a file":  {[]func(*http.Request) (*http.Response, error){reply(200, octets, "content")}, "content", nil, 1},
		"empty":   {[]func(*http.Request) (*http.Response, error){reply(200, octets, "")}, "", nil, 1},
		"no type": {[]func(*http.Request) (*http.Response, error){reply(200, http.Header{}, "content")}, "content", nil, 1},
		"503 first": {[]func(*http.Request) (*http.Response, error){
			reply(503, http.Header{}, "busy"), reply(200, octets, "content")}, "content", nil, 2},
		"cut at once": {[]func(*http.Request) (*http.Response, error){
			cutReply(octets, ""), reply(200, octets, "content")}, "content", nil, 2},
		"cut within":    {[]func(*http.Request) (*http.Response, error){cutReply(octets, "con")}, "con", io.ErrUnexpectedEOF, 1},
		"refused":       {[]func(*http.Request) (*http.Response, error){reply(404, http.Header{}, `{"error":{"type":"ResourceNotFound"}}`)}, "", sps.ResourceNotFound, 1},
		"an error, 200": {[]func(*http.Request) (*http.Response, error){reply(200, http.Header{"Content-Type": {"application/json"}}, `{"error":{"type":"ResourceNotFound"}}`)}, "", sps.ResourceNotFound, 1},
		"JSON, 200":     {[]func(*http.Request) (*http.Response, error){reply(200, http.Header{"Content-Type": {"application/json"}}, `{"body":{}}`)}, "", sps.ErrBadAnswer, 1},
		"202, no file":  {[]func(*http.Request) (*http.Response, error){reply(202, octets, "")}, "", sps.ErrBadAnswer, 1},
		"compressed":    {[]func(*http.Request) (*http.Response, error){reply(200, http.Header{"Content-Encoding": {"gzip"}}, "x")}, "", sps.ErrBadAnswer, 1},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			sent := 0
			c, err := sps.Connect(t.Context(), "appliance.test", sps.ExistingSession(sps.NewSecretString("id")), testkit.Quick,
				testkit.RoundTrip(func(r *http.Request) (*http.Response, error) {
					if r.Header.Get("Accept") != "application/octet-stream" {
						t.Errorf("Accept %q", r.Header.Get("Accept"))
					}
					sent++
					return test.answers[min(sent, len(test.answers))-1](r)
				}))
			if err != nil {
				t.Fatal(err)
			}
			var got bytes.Buffer
			n, err := c.Download(t.Context(), "audit/sessions/1/audit_trail", &got)
			if !errors.Is(err, test.err) || err != nil && test.err == nil || int(n) != got.Len() {
				t.Errorf("%d bytes, error %v, want %v", n, err, test.err)
			}
			testkit.Diff(t, "content", test.want, got.String())
			testkit.Diff(t, "attempts", test.sent, sent)
		})
	}
}

func reply(status int, header http.Header, body string) func(*http.Request) (*http.Response, error) {
	return func(r *http.Request) (*http.Response, error) { return testkit.Answer(r, status, header, body), nil }
}

func cutReply(header http.Header, body string) func(*http.Request) (*http.Response, error) {
	return func(r *http.Request) (*http.Response, error) {
		resp := testkit.Answer(r, 200, header, "")
		resp.Body, resp.ContentLength = io.NopCloser(io.MultiReader(strings.NewReader(body), iotest.ErrReader(io.ErrUnexpectedEOF))), 100
		return resp, nil
	}
}

// TestDownloadStalls checks that Download gives up if no byte arrives for 2 minutes.
func TestDownloadStalls(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		c, err := sps.Connect(t.Context(), "appliance.test", sps.ExistingSession(sps.NewSecretString("id")),
			testkit.RoundTrip(func(r *http.Request) (*http.Response, error) {
				resp := testkit.Answer(r, 200, http.Header{}, "")
				first := strings.NewReader("first")
				resp.ContentLength = -1
				resp.Body = io.NopCloser(io.MultiReader(first, readerFunc(func([]byte) (int, error) {
					<-r.Context().Done()
					return 0, r.Context().Err()
				})))
				return resp, nil
			}))
		if err != nil {
			t.Fatal(err)
		}
		defer c.Close(t.Context())
		start := time.Now()
		_, err = c.Download(t.Context(), "x", io.Discard)
		if !errors.Is(err, context.DeadlineExceeded) || !strings.Contains(fmt.Sprint(err), "after 5 bytes") || time.Since(start) != 2*time.Minute {
			t.Errorf("error %v after %v", err, time.Since(start))
		}
	})
}

type readerFunc func([]byte) (int, error)

func (f readerFunc) Read(p []byte) (int, error) { return f(p) }
