package sessions

import (
	"bytes"
	"context"
	"crypto/tls"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net"
	"net/http"
	"runtime"
	"strings"
	"sync/atomic"
	"syscall"
	"testing"
	"testing/synctest"
	"time"

	"github.com/go-sps/sps"
	"github.com/go-sps/sps/internal/testkit"
	"github.com/go-sps/sps/spstest"
)

// TestRetries checks, for each kind of operation and each failure, how many attempts the client
// makes, and whether a write returns ErrOutcomeUnknown.
func TestRetries(t *testing.T) {
	t.Parallel()
	operations := map[string]func(context.Context, *sps.Client) error{
		"read": func(ctx context.Context, c *sps.Client) error { _, err := c.Firmware.Slots.List(ctx); return err },
		"raw read": func(ctx context.Context, c *sps.Client) error {
			_, err := c.Invoke(ctx, "GET", "firmware/slots", nil)
			return err
		},
		"PUT": func(ctx context.Context, c *sps.Client) error {
			_, err := c.Invoke(ctx, "PUT", "firmware/slots", nil)
			return err
		},
		"DELETE": func(ctx context.Context, c *sps.Client) error {
			_, err := c.Invoke(ctx, "DELETE", "firmware/slots", nil)
			return err
		},
		"POST": func(ctx context.Context, c *sps.Client) error {
			_, err := c.Invoke(ctx, "POST", "firmware/slots", nil)
			return err
		},
	}
	reads, always := map[string]int{"read": 4, "raw read": 4}, map[string]int{"read": 4, "raw read": 4, "PUT": 4, "DELETE": 4, "POST": 4}
	idempotent := map[string]int{"read": 4, "raw read": 4, "PUT": 4, "DELETE": 4}
	refused := &net.OpError{Op: "dial", Err: syscall.ECONNREFUSED}
	for failure, test := range map[string]struct {
		status  int
		header  http.Header
		err     error
		body    func() io.Reader
		want    map[string]int // the number of attempts of each operation; an operation that is missing is attempted once
		unknown bool           // whether a write returns ErrOutcomeUnknown
	}{
		"connection refused":                    {err: refused, want: always},
		"proxy refuses":                         {err: &net.OpError{Op: "proxyconnect", Err: syscall.ECONNREFUSED}, want: always},
		"no such host":                          {err: &net.DNSError{Err: "no such host", Name: "x"}, want: always},
		"connection reset":                      {err: &net.OpError{Op: "read", Err: syscall.ECONNRESET}, want: reads, unknown: true},
		"connection breaks":                     {err: io.ErrUnexpectedEOF, want: reads, unknown: true},
		"connection breaks within the response": {status: 200, body: func() io.Reader { return io.MultiReader(strings.NewReader(`{"items":[`), broken{}) }, want: reads, unknown: true},
		"500":                                   {status: 500, unknown: true},
		"500 with an error type":                {status: 500, body: func() io.Reader { return strings.NewReader(`{"error":{"type":"SemanticError"}}`) }},
		"501":                                   {status: 501},
		"502":                                   {status: 502, want: reads, unknown: true},
		"503":                                   {status: 503, want: reads, unknown: true},
		"504":                                   {status: 504, want: reads, unknown: true},
		"429":                                   {status: 429, want: idempotent},
		"429, Retry-After of 30 s":              {status: 429, header: http.Header{"Retry-After": {"30"}}, want: idempotent},
		"429, Retry-After of 31 s":              {status: 429, header: http.Header{"Retry-After": {"31"}}},
		"503, Retry-After of a day":             {status: 503, header: http.Header{"Retry-After": {"86400"}}, unknown: true},
		"503, Retry-After too large":            {status: 503, header: http.Header{"Retry-After": {"99999999999999999999"}}, unknown: true},
		"503, invalid Retry-After":              {status: 503, header: http.Header{"Retry-After": {"-5, soon"}}, want: reads, unknown: true},
		"503, Retry-After with a date":          {status: 503, header: http.Header{"Retry-After": {"Sat, 01 Jan 2000 00:00:20 GMT"}}, want: reads, unknown: true},
		"503, Retry-After with a date in 2050":  {status: 503, header: http.Header{"Retry-After": {"Sat, 01 Jan 2050 00:00:20 GMT"}}, unknown: true},
		"400":                                   {status: 400},
		"404":                                   {status: 404},
		"redirect":                              {status: 302, header: http.Header{"Location": {"https://evil.example/"}}, unknown: true},
		"malformed response":                    {status: 200, body: func() io.Reader { return strings.NewReader(`{"items"`) }, unknown: true},
		"compressed response":                   {status: 200, header: http.Header{"Content-Encoding": {"gzip"}}, unknown: true},
		"untrusted certificate":                 {err: &tls.CertificateVerificationError{Err: errors.New("self-signed")}},
		"not TLS":                               {err: tls.RecordHeaderError{Msg: "not TLS"}, unknown: true},
	} {
		for name, operation := range operations {
			t.Run(failure+", "+name, func(t *testing.T) {
				t.Parallel()
				synctest.Test(t, func(t *testing.T) {
					sent := 0
					c, err := sps.Connect(t.Context(), "appliance.test", sps.ExistingSession(sps.NewSecretString("id")), testkit.RoundTrip(func(r *http.Request) (*http.Response, error) {
						sent++
						if test.err != nil {
							return nil, test.err
						}
						header := test.header
						if header == nil {
							header = http.Header{}
						}
						resp := testkit.Answer(r, test.status, header, "")
						if test.body != nil {
							resp.Body, resp.ContentLength = io.NopCloser(test.body()), -1
						}
						return resp, nil
					}))
					if err != nil {
						t.Fatal(err)
					}
					defer c.Close(t.Context())
					start := time.Now()
					err = operation(t.Context(), c)
					if err == nil {
						t.Fatal("no error")
					}
					testkit.Diff(t, "attempts", max(1, test.want[name]), sent)
					if test.status != 0 && test.body == nil && test.header == nil && !errors.Is(err, sps.Status(test.status)) {
						t.Errorf("error %v, want the status of the last response", err)
					}
					if took := time.Since(start); took > 100*time.Second {
						t.Errorf("took %v", took)
					}
					if unknown := test.unknown && !strings.Contains(name, "read"); errors.Is(err, sps.ErrOutcomeUnknown) != unknown {
						t.Errorf("error %v, want ErrOutcomeUnknown: %t", err, unknown)
					}
				})
			})
		}
	}
}

type broken struct{}

func (broken) Read([]byte) (int, error) { return 0, io.ErrUnexpectedEOF }

func TestRetrySucceeds(t *testing.T) {
	t.Parallel()
	testkit.Bubble(t, func(t *testing.T, a *spstest.Appliance, c *sps.Client) {
		a.Inject(spstest.Fault{Path: "firmware/slots", Refuse: true})
		a.Inject(spstest.Fault{Path: "firmware/slots", CutBefore: true})
		a.Inject(spstest.Fault{Path: "firmware/slots", Status: 503, Header: http.Header{"Retry-After": {"7"}}})
		start := time.Now()
		if _, err := c.Firmware.Slots.List(t.Context()); err != nil {
			t.Fatal(err)
		}
		if took := time.Since(start); took < 7*time.Second || took > 10*time.Second {
			t.Errorf("took %v, want the Retry-After of 7 s and two short waits", took)
		}
	})
}

// TestRetriesUsedUp checks that the error after the last attempt contains the appliance's
// error.
func TestRetriesUsedUp(t *testing.T) {
	t.Parallel()
	testkit.Bubble(t, func(t *testing.T, a *spstest.Appliance, c *sps.Client) {
		a.Inject(spstest.Fault{Path: "firmware/slots", Status: 503, Body: `{"error":{"type":"Busy","message":"an upgrade is under way"}}`, Times: -1})
		if _, err := c.Firmware.Slots.List(t.Context()); !errors.Is(err, sps.ErrorType("Busy")) {
			t.Errorf("error %v, want the appliance's message", err)
		}
	})
}

// TestRetryEndsWithContext checks that the wait before a retry ends with the context, and that
// the error contains the failure that caused the retry.
func TestRetryEndsWithContext(t *testing.T) {
	t.Parallel()
	testkit.Bubble(t, func(t *testing.T, a *spstest.Appliance, c *sps.Client) {
		a.Inject(spstest.Fault{Path: "firmware/slots", Status: 503, Header: http.Header{"Retry-After": {"20"}}, Times: -1})
		ctx, cancel := context.WithTimeout(t.Context(), 5*time.Second)
		defer cancel()
		start := time.Now()
		_, err := c.Firmware.Slots.List(ctx)
		if !errors.Is(err, sps.Status(503)) {
			t.Errorf("error %v, want the status 503", err)
		}
		if took := time.Since(start); took != 0 {
			t.Errorf("waited %v for a retry that is later than the end of the context", took)
		}

		ctx, cancel = context.WithCancel(t.Context())
		time.AfterFunc(3*time.Second, cancel)
		_, err = c.Firmware.Slots.List(ctx)
		if !errors.Is(err, context.Canceled) || !errors.Is(err, sps.Status(503)) {
			t.Errorf("error %v, want Canceled and the status 503", err)
		}

		a.ResetJournal()
		_, err = c.Invoke(ctx, "PUT", "firmware/slots", nil)
		var broken *sps.TransportError
		if !errors.As(err, &broken) || broken.Attempts != 0 || !errors.Is(err, context.Canceled) || errors.Is(err, sps.ErrOutcomeUnknown) {
			t.Errorf("error %#v, want one that says that the request was not sent", err)
		}
		testkit.Diff(t, "requests with a context that is done", []string(nil), testkit.Requests(a))

		// If the context ends during an attempt, the error mentions no wait.
		a.ClearFaults()
		a.Inject(spstest.Fault{Path: "firmware/slots", Delay: 10 * time.Second, Times: -1})
		ctx, cancel = context.WithCancel(t.Context())
		time.AfterFunc(3*time.Second, cancel)
		if _, err = c.Firmware.Slots.List(ctx); !errors.Is(err, context.Canceled) || strings.Contains(err.Error(), "waiting") {
			t.Errorf("error %v, want only the cancellation", err)
		}
	})
}

// TestBackOff checks that the random wait before each retry stays below a bound, which doubles
// up to MaxWait.
func TestBackOff(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		var sent []time.Time
		c, err := sps.Connect(t.Context(), "appliance.test", sps.ExistingSession(sps.NewSecretString("id")),
			sps.WithRetry(sps.RetryPolicy{Attempts: 6, MinWait: time.Second, MaxWait: 4 * time.Second}),
			testkit.RoundTrip(func(r *http.Request) (*http.Response, error) {
				sent = append(sent, time.Now())
				return testkit.Answer(r, 503, http.Header{}, ""), nil
			}))
		if err != nil {
			t.Fatal(err)
		}
		defer c.Close(t.Context())
		var longest [5]time.Duration
		for range 300 {
			sent = nil
			if _, err := c.Firmware.Slots.List(t.Context()); !errors.Is(err, sps.Status(503)) {
				t.Fatal(err)
			}
			testkit.Diff(t, "attempts", 6, len(sent))
			for i := range longest {
				longest[i] = max(longest[i], sent[i+1].Sub(sent[i]))
			}
		}
		for i, bound := range []time.Duration{1, 2, 4, 4, 4} {
			if bound *= time.Second; longest[i] >= bound || longest[i] < bound*8/10 {
				t.Errorf("wait %d was at most %v, want almost %v", i+1, longest[i], bound)
			}
		}
	})
}

func TestTimeouts(t *testing.T) {
	t.Parallel()
	testkit.Bubble(t, func(t *testing.T, a *spstest.Appliance, c *sps.Client) {
		a.Inject(spstest.Fault{Path: "firmware/slots", Delay: time.Hour, Times: -1})
		start := time.Now()
		_, err := c.Firmware.Slots.List(t.Context())
		if !errors.Is(err, context.DeadlineExceeded) || !strings.Contains(err.Error(), "within 10s") {
			t.Errorf("error %v, want one that names the limit", err)
		}
		if took := time.Since(start); took != 20*time.Second {
			t.Errorf("took %v, want two attempts", took)
		}
	}, sps.WithTimeouts(sps.Timeouts{Read: 10 * time.Second}), sps.WithRetry(sps.RetryPolicy{Attempts: 2, MinWait: -1}))
}

// TestConnections checks that 300 calls, many of which fail, use one connection.
func TestConnections(t *testing.T) {
	t.Parallel()
	a := spstest.NewServer(t)
	var dials atomic.Int32
	c := testkit.Connect(t, a, testkit.CountDials(&dials))
	a.Inject(spstest.Fault{Path: "firmware/slots/2", Status: 500, Times: -1})
	for range 100 {
		c.Firmware.Slots.Get(t.Context(), "2")
		c.Firmware.Slots.Get(t.Context(), "99")
		if _, err := c.Firmware.Slots.Get(t.Context(), "1"); err != nil {
			t.Fatal(err)
		}
	}
	testkit.Diff(t, "connections", int32(1), dials.Load())
}

func TestUnreachable(t *testing.T) {
	t.Parallel()
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	listener.Close()
	_, err = sps.Connect(t.Context(), listener.Addr().String(), sps.UsernamePassword("u", sps.NewSecretString("p")), testkit.Quick)
	var unreachable *sps.TransportError
	if !errors.As(err, &unreachable) || !errors.Is(err, syscall.ECONNREFUSED) || errors.Is(err, sps.ErrOutcomeUnknown) {
		t.Fatalf("error %v, want a TransportError of ECONNREFUSED", err)
	}
	testkit.Diff(t, "attempts", 4, unreachable.Attempts)
}

// TestHostileAnswers checks that each malformed or endless response results in an error, within
// limits of time and memory.
func TestHostileAnswers(t *testing.T) {
	t.Parallel()
	huge := `{"items":["` + strings.Repeat("a", 33<<20) + `"]}`
	for name, fault := range map[string]spstest.Fault{
		"endless":            {Endless: true},
		"100 MB":             {Mutate: func([]byte) []byte { return []byte(huge + huge + huge) }},
		"truncated":          {Truncate: 5},
		"half of the JSON":   {Mutate: func(b []byte) []byte { return b[:len(b)/2] }},
		"deeply nested":      {Mutate: func([]byte) []byte { return bytes.Repeat([]byte("["), 1<<20) }},
		"duplicate names":    {Mutate: func([]byte) []byte { return []byte(`{"items":[],"items":[]}`) }},
		"invalid UTF-8":      {Mutate: func([]byte) []byte { return []byte("{\"items\":[\"\xff\"]}") }},
		"no items":           {Mutate: func([]byte) []byte { return []byte(`{"meta":{}}`) }},
		"items is an object": {Mutate: func([]byte) []byte { return []byte(`{"items":{}}`) }},
		"item is a number":   {Mutate: func([]byte) []byte { return []byte(`{"items":[1]}`) }},
		"invalid key":        {Mutate: func([]byte) []byte { return []byte(`{"items":[{"key":"../../x"}]}`) }},
		"body is a number":   {Mutate: func([]byte) []byte { return []byte(`{"items":[{"key":"1","body":7}]}`) }},
		"empty object":       {Mutate: func([]byte) []byte { return []byte(`{}`) }},
		"HTML":               {Status: 200, Body: "<html>Welcome</html>", ContentType: "text/html"},
		"503 in HTML":        {Status: 503},
		"redirect":           {Status: 302, Header: http.Header{"Location": {"https://evil.example/api/firmware/slots"}}, Body: "moved", ContentType: "text/plain"},
		"redirect to http":   {Status: 301, Header: http.Header{"Location": {"http://127.0.0.1/"}}, Body: "moved", ContentType: "text/plain"},
		"empty":              {Mutate: func([]byte) []byte { return nil }},
		"unknown error type": {Mutate: func([]byte) []byte { return []byte(`{"error":{"type":"Gremlins","details":"all over"}}`) }},
		"1 MiB of headers":   {Header: http.Header{"X-Flood": {strings.Repeat("a", 1<<20)}}},
	} {
		t.Run(name, func(t *testing.T) {
			a := spstest.NewServer(t)
			fault.Path, fault.Times = "firmware/slots", -1
			c := testkit.Connect(t, a)
			a.Inject(fault)
			ctx, cancel := context.WithTimeout(t.Context(), 20*time.Second)
			defer cancel()
			var before, after runtime.MemStats
			runtime.ReadMemStats(&before)
			_, err := c.Firmware.Slots.List(ctx)
			runtime.ReadMemStats(&after)
			if err == nil {
				t.Fatal("no error")
			}
			if text := err.Error(); len(text) > 1000 || strings.Contains(text, "\n") {
				t.Errorf("an error text with more than one line or 1000 bytes: %.2000q", text)
			}
			if ctx.Err() != nil {
				t.Errorf("the call ended only at its deadline: %v", err)
			}
			// An attempt may double its buffer up to the limit of 32 MiB. The limit here is
			// higher, because it includes the copies that the simulator makes.
			if grown := after.Sys - before.Sys; after.Sys > before.Sys && grown > 1<<30 {
				t.Errorf("memory grew by %d MiB", grown>>20)
			}
		})
	}
}

// TestCutWithinResponse checks that a read is repeated if the connection breaks within its
// response.
func TestCutWithinResponse(t *testing.T) {
	t.Parallel()
	a := spstest.NewServer(t)
	c := testkit.Connect(t, a)
	a.Inject(spstest.Fault{Path: "firmware/slots", Truncate: 10})
	a.ResetJournal()
	if _, err := c.Firmware.Slots.List(t.Context()); err != nil {
		t.Error(err)
	}
	testkit.Diff(t, "requests", []string{"GET /api/firmware/slots", "GET /api/firmware/slots"}, testkit.Requests(a))
}

// TestUnknownMembers checks that the client decodes a response that has unknown members, and
// optional members of an unexpected type.
func TestUnknownMembers(t *testing.T) {
	t.Parallel()
	a := spstest.NewServer(t)
	c := testkit.Connect(t, a)
	a.Inject(spstest.Fault{Path: "firmware/slots", Mutate: func([]byte) []byte {
		return []byte(`{"new":1,"items":[{"key":1,"new":{},"body":{"version":7.4,"new":[],"current":null}}],"meta":{"new":{},"next":5,"href":[],"number_of_empty_slots":"x","remaining_seconds":"soon"}}`)
	}})
	slots, err := c.Firmware.Slots.List(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	if slots.Slots[0].Key != "1" || slots.Slots[0].Body.Version != "7.4" {
		t.Errorf("slots %+v", slots)
	}
}

func TestLogging(t *testing.T) {
	t.Parallel()
	var out bytes.Buffer
	logger := slog.New(slog.NewJSONHandler(&out, &slog.HandlerOptions{Level: slog.LevelDebug - 100}))
	a := spstest.NewServer(t, spstest.WithCredentials("admin", awkward))
	c, err := testkit.Dial(t.Context(), a, sps.WithLogger(logger))
	if err != nil {
		t.Fatal(err)
	}
	c.Invoke(t.Context(), "GET", "firmware/slots?token=hush", nil, sps.WithQuery("other", "hush"))
	a.Inject(spstest.Fault{Path: "firmware/slots", Status: 503})
	c.Firmware.Slots.List(t.Context())
	c.Close(t.Context())

	type record struct {
		Level, Msg, Method, Path, Query string
		Status, Attempt                 int
	}
	var got []record
	for line := range strings.Lines(out.String()) {
		var r record
		if err := json.Unmarshal([]byte(line), &r); err != nil {
			t.Fatal(err)
		}
		r.Query = strings.ReplaceAll(r.Query, "token,other", "other,token")
		got = append(got, r)
	}
	want := []record{
		{"DEBUG", "sps request", "GET", "authentication", "", 200, 1},
		{"DEBUG", "sps request", "GET", "firmware/slots", "other,token", 200, 1},
		{"WARN", "sps request", "GET", "firmware/slots", "", 503, 1},
		{"DEBUG", "sps request", "GET", "firmware/slots", "", 200, 2},
		{"DEBUG", "sps request", "DELETE", "authentication", "", 200, 1},
	}
	testkit.Diff(t, "records", want, got)
	for _, secret := range []string{"hush", awkward, "session_id"} {
		if strings.Contains(out.String(), secret) {
			t.Errorf("the log shows %q", secret)
		}
	}
}

// TestCloseEndsCalls checks that Close ends running calls with ErrClosed.
func TestCloseEndsCalls(t *testing.T) {
	t.Parallel()
	testkit.Bubble(t, func(t *testing.T, a *spstest.Appliance, c *sps.Client) {
		a.Inject(spstest.Fault{Path: "firmware/test", Delay: time.Minute})
		failed := make(chan error)
		go func() {
			_, err := c.Firmware.Test(t.Context(), "2")
			failed <- err
		}()
		synctest.Wait()
		if err := c.Close(t.Context()); err != nil {
			t.Errorf("Close: %v", err)
		}
		start := time.Now()
		if err := <-failed; !errors.Is(err, sps.ErrClosed) || time.Since(start) > 0 {
			t.Errorf("the running call: %v after %v, want ErrClosed at once", err, time.Since(start))
		}
		testkit.Diff(t, "sessions", 0, a.Sessions())
	})
}

// TestCloseDuringRenewal checks that Close logs out the session of a login that is still
// running when Close is called.
func TestCloseDuringRenewal(t *testing.T) {
	t.Parallel()
	testkit.Bubble(t, func(t *testing.T, a *spstest.Appliance, c *sps.Client) {
		a.ExpireSessions()
		a.Inject(spstest.Fault{Path: "authentication", Delay: 5 * time.Second})
		go c.Firmware.Slots.List(t.Context())
		synctest.Wait()
		if err := c.Close(t.Context()); err != nil {
			t.Errorf("Close: %v", err)
		}
		synctest.Wait()
		testkit.Diff(t, "sessions", 0, a.Sessions())
		if _, err := c.Info(t.Context()); !errors.Is(err, sps.ErrClosed) {
			t.Errorf("error %v, want ErrClosed", err)
		}
	})
}

// TestConnectCancelled checks that Connect leaves no session if its context ends during the
// login.
func TestConnectCancelled(t *testing.T) {
	t.Parallel()
	for _, delay := range []time.Duration{2 * time.Second, 10 * time.Second, 50 * time.Second} {
		synctest.Test(t, func(t *testing.T) {
			a := spstest.NewServer(t, spstest.WithoutListener())
			defer a.Close()
			a.Inject(spstest.Fault{Path: "authentication", Delay: delay})
			ctx, cancel := context.WithTimeout(t.Context(), time.Second)
			defer cancel()
			start := time.Now()
			_, err := sps.Connect(ctx, a.Addr(), sps.UsernamePassword(a.Username(), sps.NewSecretString(a.Password())), testkit.InProcess(a))
			if !errors.Is(err, context.DeadlineExceeded) {
				t.Errorf("error %v, want DeadlineExceeded", err)
			}
			if took := time.Since(start); took > 4*time.Second {
				t.Errorf("returned after %v", took)
			}
			time.Sleep(time.Minute) // simulated time, in which the login ends
			testkit.Diff(t, "sessions", 0, a.Sessions())
		})
	}
}

// TestUnusualResponses checks that a response with an unusual content type or a byte order mark
// is decoded.
func TestUnusualResponses(t *testing.T) {
	t.Parallel()
	const slots = `{"items":[{"key":"1","body":{"version":"7.4.0","current":true}},{"key":"3"}]}`
	for name, fault := range map[string]spstest.Fault{
		"byte order mark": {Mutate: func([]byte) []byte { return []byte("\xef\xbb\xbf" + slots) }},
		"text/plain":      {Status: 200, Body: slots, ContentType: "text/plain"},
		"no content type": {Status: 200, Body: slots, Header: http.Header{"Content-Type": {""}}},
		"charset":         {Status: 200, Body: slots, ContentType: "application/json; charset=utf-8"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			a := spstest.NewServer(t)
			c := testkit.Connect(t, a)
			fault.Path = "firmware/slots"
			a.Inject(fault)
			a.Inject(spstest.Fault{Path: "firmware/slots/3", Status: 404, Body: `{"error":{"type":"ResourceNotFound"}}`})
			list, err := c.Firmware.Slots.List(t.Context())
			if err != nil {
				t.Fatal(err)
			}
			// If the list has no body for a slot and reading the slot returns 404, the slot is
			// empty.
			if len(list.Slots) != 2 || list.EmptySlots != 1 || list.CurrentSlot != "1" {
				t.Errorf("slots %+v", list)
			}
		})
	}
}

// TestLoginAnswerBroken checks that the client logs out a session if the response to its login
// cannot be used.
func TestLoginAnswerBroken(t *testing.T) {
	t.Parallel()
	a := spstest.NewServer(t)
	a.Inject(spstest.Fault{Method: "GET", Path: "authentication", Header: http.Header{"Content-Encoding": {"gzip"}}})
	if _, err := testkit.Dial(t.Context(), a); !errors.Is(err, sps.ErrBadAnswer) {
		t.Errorf("error %v, want ErrBadAnswer", err)
	}
	testkit.Diff(t, "sessions", 0, a.Sessions())

	// If the response to a login breaks off, the client logs in again and logs out the session
	// of the first login.
	a.Inject(spstest.Fault{Method: "GET", Path: "authentication", Truncate: 3})
	c, err := testkit.Dial(t.Context(), a)
	if err != nil {
		t.Fatal(err)
	}
	testkit.Diff(t, "sessions", 1, a.Sessions())
	c.Close(t.Context())
	testkit.Diff(t, "Accept-Encoding", "identity", a.Journal()[0].Header.Get("Accept-Encoding"))
}

// TestLoginRepeated checks a login whose first response breaks off. The client must log in
// again, use the session of the second response, and log out the session of the first one.
func TestLoginRepeated(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		var sent []string
		c, err := sps.Connect(t.Context(), "appliance.test", sps.UsernamePassword("u", sps.NewSecretString("p")),
			testkit.RoundTrip(func(r *http.Request) (*http.Response, error) {
				sent = append(sent, strings.TrimSpace(r.Method+" "+r.URL.Path+" "+r.Header.Get("Cookie")))
				header := http.Header{}
				if r.Method == "GET" && strings.HasSuffix(r.URL.Path, "/authentication") {
					header.Set("Set-Cookie", fmt.Sprintf("session_id=s%d", len(sent)))
				}
				resp := testkit.Answer(r, 200, header, `{"items":[]}`)
				if len(sent) == 1 {
					resp.Body, resp.ContentLength = io.NopCloser(broken{}), -1
				}
				return resp, nil
			}))
		if err != nil {
			t.Fatal(err)
		}
		if _, err := c.Firmware.Slots.List(t.Context()); err != nil {
			t.Error(err)
		}
		c.Close(t.Context())
		testkit.Diff(t, "requests", []string{
			"GET /api/authentication", "GET /api/authentication", "DELETE /api/authentication session_id=s1",
			"GET /api/firmware/slots session_id=s2", "DELETE /api/authentication session_id=s2",
		}, sent)
	})
}

// TestLoginNotAnswered checks that the client logs out the session of a login whose response
// has not ended at the time limit, and that it sends no log-out if the login was rejected.
func TestLoginNotAnswered(t *testing.T) {
	t.Parallel()
	for name, test := range map[string]struct {
		status int
		stands bool
		want   []string
	}{
		"refused":               {401, false, nil},
		"response does not end": {200, true, []string{"DELETE session_id=s2"}},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			synctest.Test(t, func(t *testing.T) {
				password := func(context.Context) (sps.Secret, error) {
					time.Sleep(time.Second) // simulated time, so that the time limit of the login ends before the time limit of its request
					return sps.NewSecretString("p"), nil
				}
				logins := 0
				var sent []string
				c, err := sps.Connect(t.Context(), "appliance.test", sps.PasswordFunc("u", password), testkit.RoundTrip(func(r *http.Request) (*http.Response, error) {
					switch {
					case r.Method != "GET":
						sent = append(sent, r.Method+" "+r.Header.Get("Cookie"))
						return testkit.Answer(r, 200, http.Header{}, `{}`), nil
					case !strings.HasSuffix(r.URL.Path, "/authentication"):
						return testkit.Answer(r, 401, http.Header{}, `{"error":{"type":"Unauthenticated"}}`), nil
					}
					logins++
					header := http.Header{"Set-Cookie": {fmt.Sprintf("session_id=s%d", logins)}}
					if logins == 1 {
						return testkit.Answer(r, 200, header, `{}`), nil
					}
					resp := testkit.Answer(r, test.status, header, `{"error":{"type":"AuthenticationFailure"}}`)
					if test.stands {
						resp.Body, resp.ContentLength = io.NopCloser(endless{r.Context()}), -1
					}
					return resp, nil
				}))
				if err != nil {
					t.Fatal(err)
				}
				if _, err := c.Firmware.Slots.List(t.Context()); err == nil {
					t.Error("no error")
				}
				testkit.Diff(t, "sent", test.want, sent)
				c.Close(t.Context())
			})
		})
	}
}

// endless is a response body that blocks until the context of its request ends.
type endless struct{ ctx context.Context }

func (e endless) Read([]byte) (int, error) {
	<-e.ctx.Done()
	return 0, e.ctx.Err()
}

// TestErrorsShowNoQuery checks that errors do not contain the values of a query.
func TestErrorsShowNoQuery(t *testing.T) {
	t.Parallel()
	a := spstest.NewServer(t)
	c := testkit.Connect(t, a, sps.WithRetry(sps.RetryPolicy{Attempts: 1}))
	for _, fault := range []spstest.Fault{{CutBefore: true}, {Status: 503}, {Status: 302, Header: http.Header{"Location": {"https://[hush"}}, Body: "x"}, {Truncate: 1}} {
		fault.Method, fault.Path, fault.Unimplemented = "POST", "firmware/x", true
		a.Inject(fault)
		if _, err := c.Invoke(t.Context(), "POST", "firmware/x?token=hush", nil); err == nil || strings.Contains(err.Error(), "hush") {
			t.Errorf("error %v shows the query or the Location header", err)
		}
	}
	for _, link := range []string{"firmware/../x?token=hush", "firmware/x?token=hush;%zz"} {
		if _, err := c.Invoke(t.Context(), "GET", link, nil); err == nil || strings.Contains(err.Error(), "hush") {
			t.Errorf("error %v shows the query", err)
		}
	}
}

// TestCauses checks that an error contains both the context's error and its cause.
func TestCauses(t *testing.T) {
	t.Parallel()
	testkit.Bubble(t, func(t *testing.T, a *spstest.Appliance, c *sps.Client) {
		why := errors.New("the shift is over")
		ctx, cancel := context.WithTimeoutCause(t.Context(), time.Second, why)
		defer cancel()
		a.Inject(spstest.Fault{Path: "firmware/test", Delay: time.Minute})
		if _, err := c.Firmware.Test(ctx, "2"); !errors.Is(err, why) || !errors.Is(err, context.DeadlineExceeded) {
			t.Errorf("error %v, want the context's error and its cause", err)
		}
	})
}

// TestFaultyRoundTrippers checks that the client handles responses that net/http does not
// return, but a faulty RoundTripper of the caller may return.
func TestFaultyRoundTrippers(t *testing.T) {
	t.Parallel()
	for name, test := range map[string]struct {
		make func(*http.Request) *http.Response
		want error
	}{
		"no answer": {func(*http.Request) *http.Response { return nil }, new(sps.TransportError)},
		"no body": {func(r *http.Request) *http.Response {
			return &http.Response{StatusCode: 200, Header: http.Header{}, Request: r}
		}, sps.ErrBadAnswer},
		"no header": {func(r *http.Request) *http.Response {
			return &http.Response{StatusCode: 500, Request: r}
		}, sps.Status(500)},
		"no length": {func(r *http.Request) *http.Response {
			resp := testkit.Answer(r, 200, http.Header{}, `{"error":{"type":"Gremlins"}}`)
			resp.ContentLength = 0
			return resp
		}, sps.ErrorType("Gremlins")},
		"another protocol": {func(r *http.Request) *http.Response { return testkit.Answer(r, 101, http.Header{}, "") }, sps.Status(101)},
		"compressed refusal": {func(r *http.Request) *http.Response {
			return testkit.Answer(r, 403, http.Header{"Content-Encoding": {"gzip"}}, "\x1f\x8b")
		}, sps.Status(403)},
		"broken text": {func(r *http.Request) *http.Response {
			return testkit.Answer(r, 200, http.Header{}, "{\"error\":{\"type\":\"FirmwareTestFailed\",\"details\":{\"exit_code\":1,\"test_summary\":\"Ged\xe4chtnis\"}}}")
		}, sps.FirmwareTestFailed},
	} {
		c, err := sps.Connect(t.Context(), "appliance.test", sps.ExistingSession(sps.NewSecretString("id")), testkit.Quick,
			testkit.RoundTrip(func(r *http.Request) (*http.Response, error) { return test.make(r), nil }))
		if err != nil {
			t.Fatal(err)
		}
		_, err = c.Firmware.Test(t.Context(), "2")
		var broken *sps.TransportError
		if _, ok := test.want.(*sps.TransportError); ok && errors.As(err, &broken) {
			continue
		}
		if !errors.Is(err, test.want) {
			t.Errorf("%s: %v, want %v", name, err, test.want)
		}
	}
}

// TestQuerySpelling checks that a space in a query is sent as %20, as the guide requires, for
// each way in which a caller can pass a query.
func TestQuerySpelling(t *testing.T) {
	t.Parallel()
	seen := ""
	c, err := sps.Connect(t.Context(), "sps1", sps.ExistingSession(sps.NewSecretString("session")), testkit.RoundTrip(func(r *http.Request) (*http.Response, error) {
		seen = r.URL.RequestURI()
		return testkit.Answer(r, 200, http.Header{"Content-Type": {"application/json"}}, `{"items":[]}`), nil
	}))
	if err != nil {
		t.Fatal(err)
	}
	defer c.Close(context.Background())
	invoke := func(path string, options ...sps.RequestOption) error {
		_, err := c.Invoke(t.Context(), "GET", path, nil, options...)
		return err
	}
	const want = "/api/audit/sessions?q=man%20iptables%2Bx"
	for name, call := range map[string]func() error{
		"WithQuery":        func() error { return invoke("audit/sessions", sps.WithQuery("q", "man iptables+x")) },
		"a path":           func() error { return invoke("audit/sessions?q=man%20iptables%2Bx") },
		"a path with plus": func() error { return invoke("audit/sessions?q=man+iptables%2Bx") },
		"a list": func() error {
			_, err := sps.NewCollection[any](c, "audit/sessions").List(t.Context(), sps.WithQuery("q", "man iptables+x"))
			return err
		},
	} {
		if err := call(); err != nil {
			t.Errorf("%s: %v", name, err)
		}
		testkit.Diff(t, name, want, seen)
	}
}
