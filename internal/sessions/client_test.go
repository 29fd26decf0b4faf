package sessions

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"reflect"
	"strings"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/go-sps/sps"
	"github.com/go-sps/sps/internal/testkit"
	"github.com/go-sps/sps/spstest"
)

// TestCloseWithin checks how long Close takes if a log-out, a rollback or a login does not end,
// and what its error says about it. Close ends when the deadline of its context passes or the
// context is cancelled, and after Timeouts.Close at the latest. If the context is already done
// when Close is called, Close may still take up to Timeouts.Close.
func TestCloseWithin(t *testing.T) {
	t.Parallel()
	const soon = 200 * time.Millisecond
	limit := sps.DefaultTimeouts().Close
	within := func(d time.Duration) func() (context.Context, context.CancelFunc) {
		return func() (context.Context, context.CancelFunc) {
			return context.WithTimeout(context.Background(), d)
		}
	}
	done := func() (context.Context, context.CancelFunc) {
		ctx, cancel := context.WithCancel(context.Background())
		cancel()
		return ctx, cancel
	}
	cancelled := func() (context.Context, context.CancelFunc) {
		ctx, cancel := context.WithCancel(context.Background())
		time.AfterFunc(3*time.Second, cancel)
		return ctx, cancel
	}
	logOut := []spstest.Fault{{Method: "DELETE", Path: "authentication", Delay: time.Hour, Times: -1}}
	rollback := []spstest.Fault{{Method: "DELETE", Path: "**", Delay: time.Hour, Times: -1}}
	login := []spstest.Fault{{Method: "GET", Path: "authentication", Delay: time.Hour, Times: -1}}
	for name, test := range map[string]struct {
		ctx    func() (context.Context, context.CancelFunc)
		faults []spstest.Fault
		during string // what the client does when Close is called
		took   time.Duration
		says   string // a part of the error text, or "" for no error
	}{
		"no delay, context with a deadline":                  {within(soon), nil, "", 0, ""},
		"log-out does not end, deadline of 200 ms":           {within(soon), logOut, "", soon, "the session is not logged out"},
		"log-out does not end, deadline of 1 h":              {within(time.Hour), logOut, "", limit, "the session is not logged out"},
		"log-out does not end, context already done":         {done, logOut, "", limit, "the session is not logged out"},
		"log-out does not end, context cancelled after 3 s":  {cancelled, logOut, "", 3 * time.Second, "the session is not logged out"},
		"open transaction, context already done":             {done, nil, "transaction", 0, ""},
		"rollback does not end, deadline of 200 ms":          {within(soon), rollback, "transaction", soon, "may be open and hold the lock"},
		"rollback does not end, context cancelled after 3 s": {cancelled, rollback, "transaction", 3 * time.Second, "may be open and hold the lock"},
		"login does not end, deadline of 200 ms":             {within(soon), login, "login", soon / 2, "a login was still running"},
		"login ignores its context, deadline of 200 ms":      {within(soon), nil, "uncancellable login", soon, "a login was still running"},
		"login ignores its context, context already done":    {done, nil, "uncancellable login", limit/2 + 500*time.Millisecond, "a login was still running"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			synctest.Test(t, func(t *testing.T) {
				a := spstest.NewServer(t, spstest.WithoutListener())
				defer a.Close()
				var uncancellable atomic.Bool
				c, err := sps.Connect(t.Context(), a.Addr(), sps.UsernamePassword(a.Username(), sps.NewSecretString(a.Password())),
					testkit.RoundTrip(func(r *http.Request) (*http.Response, error) {
						if uncancellable.Load() && r.Method == "GET" && strings.HasSuffix(r.URL.Path, "/authentication") {
							time.Sleep(time.Hour) // simulated time
							r = r.WithContext(context.WithoutCancel(r.Context()))
						}
						return a.RoundTrip(r)
					}))
				if err != nil {
					t.Fatal(err)
				}
				switch test.during {
				case "transaction":
					go c.Transaction(context.Background(), func(ctx context.Context, tx *sps.Transaction) error {
						if err := testkit.SetAdmin(testkit.AdminAfter)(ctx, tx); err != nil {
							t.Error(err)
						}
						<-ctx.Done()
						return ctx.Err()
					})
				case "login", "uncancellable login":
					uncancellable.Store(test.during == "uncancellable login")
					a.ExpireSessions()
					for _, f := range test.faults {
						a.Inject(f)
					}
					go c.Firmware.Slots.List(context.Background())
				}
				synctest.Wait()
				if test.during != "login" {
					for _, f := range test.faults {
						a.Inject(f)
					}
				}
				ctx, cancel := test.ctx()
				defer cancel()
				start := time.Now()
				err = c.Close(ctx)
				testkit.Diff(t, "time", test.took, time.Since(start))
				if (err != nil) != (test.says != "") || !strings.Contains(fmt.Sprint(err), test.says) {
					t.Errorf("error %v, want one with %q", err, test.says)
				}
				a.ClearFaults()
				time.Sleep(2 * time.Hour) // simulated time, in which delayed requests end
			})
		})
	}
}

// TestNoRoundTripper checks that a function of WithTransport that returns nil is rejected.
func TestNoRoundTripper(t *testing.T) {
	t.Parallel()
	none := sps.WithTransport(func(http.RoundTripper) http.RoundTripper { return nil })
	credential := sps.UsernamePassword("u", sps.NewSecretString("p"))
	for name, call := range map[string]func() error{
		"Connect":      func() error { _, err := sps.Connect(t.Context(), "appliance.test", credential, none); return err },
		"NewClient":    func() error { _, err := sps.NewClient("appliance.test", credential, none); return err },
		"LoginMethods": func() error { _, err := sps.LoginMethods(t.Context(), "appliance.test", none); return err },
		"SetupStatus":  func() error { _, err := sps.SetupStatus(t.Context(), "appliance.test", none); return err },
	} {
		if err := call(); !errors.Is(err, sps.ErrInvalidInput) || !strings.Contains(err.Error(), "WithTransport") {
			t.Errorf("%s: %v, want ErrInvalidInput", name, err)
		}
	}
}

// TestSingleAttempt checks how often a read is sent if its connection breaks. With a single
// attempt it is sent once, although net/http itself repeats a GET on a reused connection.
func TestSingleAttempt(t *testing.T) {
	t.Parallel()
	for name, test := range map[string]struct {
		policy sps.RetryPolicy
		most   int
	}{
		"one attempt":  {sps.RetryPolicy{Attempts: 1}, 1},
		"two attempts": {sps.RetryPolicy{Attempts: 2, MinWait: time.Millisecond, MaxWait: time.Millisecond}, 4},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			a := spstest.NewServer(t)
			var dials atomic.Int32
			c := testkit.Connect(t, a, sps.WithRetry(test.policy), testkit.CountDials(&dials))
			for _, fault := range []spstest.Fault{{CutBefore: true}, {CutAfter: true}} {
				fault.Path, fault.Times = "firmware/slots", -1
				a.Inject(fault)
				if _, err := c.Info(t.Context()); err != nil { // opens a connection that the next call reuses
					t.Fatal(err)
				}
				a.ResetJournal()
				var broken *sps.TransportError
				if _, err := c.Firmware.Slots.List(t.Context()); !errors.As(err, &broken) || broken.Attempts != test.policy.Attempts {
					t.Errorf("error %v", err)
				}
				if n := len(a.Journal()); n < test.policy.Attempts || n > test.most {
					t.Errorf("the appliance received %d requests, want at most %d", n, test.most)
				}
				for _, r := range a.Journal() {
					if r.Header.Get("Content-Length") != "" || r.Header.Get("Transfer-Encoding") != "" {
						t.Errorf("a read was sent with a body: %v", r.Header)
					}
				}
				a.ClearFaults()
			}
		})
	}
}

// TestSingleAttemptWrites checks that a client with a single attempt can send each kind of
// write over TLS, and that a request without a body announces no chunks.
func TestSingleAttemptWrites(t *testing.T) {
	t.Parallel()
	a := spstest.NewServer(t)
	c := testkit.Connect(t, a, sps.WithRetry(sps.RetryPolicy{Attempts: 1}))
	for name, call := range map[string]func() error{
		"Transaction": func() error { return c.Transaction(t.Context(), testkit.SetAdmin(testkit.AdminAfter)) },
		"Preview": func() error {
			_, err := c.Preview(t.Context(), testkit.SetAdmin("preview@example.com"))
			return err
		},
		"Start":  func() error { _, err := c.Troubleshooting.SupportBundle.Start(t.Context()); return err },
		"Test":   func() error { _, err := c.Firmware.Test(t.Context(), "2"); return err },
		"Delete": func() error { return c.Firmware.Slots.Delete(t.Context(), "4") },
		"Upload": func() error {
			_, err := c.Firmware.Upload(t.Context(), spstest.Image("9.0.0", 1000), 1000)
			return err
		},
	} {
		if err := call(); err != nil {
			t.Errorf("%s: %v", name, err)
		}
	}
	for _, r := range a.Journal() {
		if r.Header.Get("Transfer-Encoding") != "" {
			t.Errorf("%s %s was sent in chunks", r.Method, r.Path)
		}
	}
}

// TestUnmade calls the methods of nil and zero values of Client and Transaction. It checks that
// no method panics, and that each method that returns an error returns ErrInvalidInput.
func TestUnmade(t *testing.T) {
	t.Parallel()
	for name, value := range map[string]any{
		"a nil client":       (*sps.Client)(nil),
		"a zero client":      new(sps.Client),
		"a nil transaction":  (*sps.Transaction)(nil),
		"a zero transaction": new(sps.Transaction),
	} {
		v := reflect.ValueOf(value)
		tried := 0
		for i := range v.NumMethod() {
			method, what := v.Method(i), name+": "+v.Type().Method(i).Name
			for _, err := range callUnmade(t, what, method) {
				tried++
				if !errors.Is(err, sps.ErrInvalidInput) || !strings.Contains(err.Error(), "zero value") {
					t.Errorf("%s: error %v, want ErrInvalidInput that says what to do", what, err)
				}
			}
		}
		if least := map[bool]int{true: 14, false: 2}[strings.Contains(name, "client")]; tried < least {
			t.Errorf("%s: only %d methods gave an error", name, tried)
		}
	}
}

// callUnmade calls a method with zero values as arguments, apart from a context, and returns
// the errors that it returns.
func callUnmade(t *testing.T, what string, method reflect.Value) (errs []error) {
	t.Helper()
	defer func() {
		if r := recover(); r != nil {
			t.Errorf("%s panics: %v", what, r)
		}
	}()
	typ := method.Type()
	var arguments []reflect.Value
	for i := range typ.NumIn() {
		switch in := typ.In(i); {
		case typ.IsVariadic() && i == typ.NumIn()-1:
		case in == reflect.TypeFor[context.Context]():
			arguments = append(arguments, reflect.ValueOf(context.Background()))
		default:
			arguments = append(arguments, reflect.Zero(in))
		}
	}
	fails := reflect.TypeFor[error]()
	for _, result := range method.Call(arguments) {
		switch typ := result.Type(); {
		case typ == fails:
			err, _ := result.Interface().(error)
			errs = append(errs, err)
		case typ.Kind() == reflect.Func && typ.NumIn() == 1 && typ.In(0).NumIn() == 2 && typ.In(0).In(1) == fails: // an iterator
			for _, err := range result.Seq2() {
				err, _ := err.Interface().(error)
				errs = append(errs, err)
			}
		}
	}
	return errs
}
