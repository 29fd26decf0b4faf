package sps_test

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"slices"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/go-sps/sps"
	"github.com/go-sps/sps/spstest"
)

// lateAppliance loses the answers to some requests, and executes these requests only
// later: what their errors say has to hold then.
type lateAppliance struct {
	a       *spstest.Appliance
	method  string
	path    string        // of the requests, below /api/; "*" at its end is any key
	cut     time.Duration // when the answer is lost
	runs    time.Duration // when the request is executed, from its sending on; negative for never
	once    bool          // only the first request
	lost    int
	settled chan struct{} // closed once the last lost request was executed
	left    int
}

func (l *lateAppliance) matches(r *http.Request) bool {
	path := strings.TrimPrefix(r.URL.Path, "/api/")
	if parent, any := strings.CutSuffix(l.path, "*"); any {
		return r.Method == l.method && strings.HasPrefix(path, parent)
	}
	return r.Method == l.method && path == l.path && (!l.once || l.lost == 0)
}

func (l *lateAppliance) RoundTrip(r *http.Request) (*http.Response, error) {
	if !l.matches(r) {
		return l.a.RoundTrip(r)
	}
	l.lost++
	var body []byte
	if r.Body != nil {
		var err error
		if body, err = io.ReadAll(r.Body); err != nil {
			return nil, err
		}
		r.Body.Close()
	}
	if l.runs >= 0 {
		late := r.Clone(context.Background())
		if body != nil {
			late.Body = io.NopCloser(bytes.NewReader(body))
		}
		l.left++
		time.AfterFunc(l.runs, func() {
			if resp, err := l.a.RoundTrip(late); err == nil {
				resp.Body.Close()
			}
			if l.left--; l.left == 0 {
				close(l.settled)
			}
		})
	}
	timer := time.NewTimer(l.cut)
	defer timer.Stop()
	select {
	case <-timer.C:
		return nil, io.ErrUnexpectedEOF
	case <-r.Context().Done():
		return nil, r.Context().Err()
	}
}

// lateOperation is one row of the table of operations.
type lateOperation struct {
	method, path string
	options      []spstest.Option
	// prepare makes what the operation is about, and returns its key.
	prepare func(t *testing.T, a *spstest.Appliance, c *sps.Client) string
	call    func(ctx context.Context, c *sps.Client, key string) error
	// done reports whether the appliance has executed it.
	done func(a *spstest.Appliance, key string) bool
	// means is what a lost answer means.
	means string
	once  bool
}

// What a lost answer means.
const (
	meansNothing = "nothing changes"
	meansStaged  = "the transaction decides"
	meansSettled = "the client finds out"
	meansUnknown = "unknown"
)

func slotHolds(a *spstest.Appliance, key string) bool {
	return slices.ContainsFunc(a.Slots(), func(s spstest.Slot) bool { return s.Key == key && s.Version != "" })
}

// lateJob asks for the status of a job by a client of its own, "" for none.
func lateJob(a *spstest.Appliance, list string, key string) (status string) {
	c, err := sps.Connect(context.Background(), a.Addr(), sps.UsernamePassword(a.Username(), sps.NewSecretString(a.Password())), inProcess(a))
	if err != nil {
		panic(err)
	}
	defer c.Close(context.Background())
	if list == "fetch" {
		if fetch, err := c.Firmware.Fetch(context.Background(), key); err == nil {
			return string(fetch.Status)
		}
		return ""
	}
	if bundle, err := c.SupportBundles.Get(context.Background(), key); err == nil {
		return string(bundle.Status)
	}
	return ""
}

func startFetch(t *testing.T, a *spstest.Appliance, c *sps.Client) string {
	a.ServeImage(imageURL, "8.1.0", imageSum)
	key, err := c.Firmware.StartFetch(t.Context(), imageURL, imageSum)
	if err != nil {
		t.Fatal(err)
	}
	return key
}

func startBundle(t *testing.T, _ *spstest.Appliance, c *sps.Client) string {
	key, err := c.SupportBundles.Start(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	return key
}

func posts(a *spstest.Appliance, path string) int {
	n := 0
	for _, r := range a.Journal() {
		if r.Method == "POST" && r.Path == "/api/"+path && r.Executed && r.Status < 300 {
			n++
		}
	}
	return n
}

// lateOperations has a row for each operation that may be going on when its client stops
// waiting. The commit has a test of its own, TestLostSlowCommit.
var lateOperations = map[string]lateOperation{
	"join": {
		method: "POST", path: "starling/join", means: meansSettled,
		call: func(ctx context.Context, c *sps.Client, _ string) error {
			return c.Starling.Join(ctx, sps.StarlingJoinRequest{CredentialString: sps.NewSecretString("credential")})
		},
		done: func(a *spstest.Appliance, _ string) bool { return a.Starling().Joined },
	},
	"join of one that is joined": {
		method: "POST", path: "starling/join", means: meansUnknown, options: []spstest.Option{spstest.WithStarling(spstest.Starling{Joined: true})},
		call: func(ctx context.Context, c *sps.Client, _ string) error {
			return c.Starling.Join(ctx, sps.StarlingJoinRequest{CredentialString: sps.NewSecretString("credential")})
		},
	},
	"unjoin": {
		method: "DELETE", path: "starling/join", means: meansSettled, options: []spstest.Option{spstest.WithStarling(spstest.Starling{Joined: true})},
		call: func(ctx context.Context, c *sps.Client, _ string) error { return c.Starling.Unjoin(ctx) },
		done: func(a *spstest.Appliance, _ string) bool { return !a.Starling().Joined },
	},
	"forced unjoin": {
		method: "DELETE", path: "starling/join", means: meansSettled, options: []spstest.Option{spstest.WithStarling(spstest.Starling{Joined: true, RemoteAccess: true})},
		call: func(ctx context.Context, c *sps.Client, _ string) error { return c.Starling.ForceUnjoin(ctx) },
		done: func(a *spstest.Appliance, _ string) bool { return !a.Starling().Joined },
	},
	"slot deletion": {
		method: "DELETE", path: "firmware/slots/*", means: meansSettled,
		call: func(ctx context.Context, c *sps.Client, _ string) error { return c.Firmware.DeleteSlot(ctx, "4") },
		done: func(a *spstest.Appliance, _ string) bool { return !slotHolds(a, "4") },
	},
	"firmware test": {
		method: "POST", path: "firmware/test", means: meansNothing,
		call: func(ctx context.Context, c *sps.Client, _ string) error {
			_, err := c.Firmware.Test(ctx, "2")
			return err
		},
	},
	"upload": {
		method: "POST", path: "upload/firmware", means: meansUnknown,
		call: func(ctx context.Context, c *sps.Client, _ string) error {
			_, err := c.Firmware.Upload(ctx, spstest.Image("8.1.0", 1000), 1000)
			return err
		},
		done: func(a *spstest.Appliance, _ string) bool { return slotHolds(a, "3") },
	},
	"fetch": {
		method: "POST", path: "firmware/fetch", means: meansSettled,
		call: func(ctx context.Context, c *sps.Client, _ string) error {
			key, err := c.Firmware.StartFetch(ctx, imageURL, imageSum)
			if err == nil {
				_, err = c.Firmware.Fetch(context.WithoutCancel(ctx), key)
			}
			return err
		},
		done: func(a *spstest.Appliance, _ string) bool { return posts(a, "firmware/fetch") == 1 },
	},
	"fetch beside another one": {
		method: "POST", path: "firmware/fetch", means: meansSettled, prepare: startFetch, once: true,
		call: func(ctx context.Context, c *sps.Client, before string) error {
			key, err := c.Firmware.StartFetch(ctx, imageURL, imageSum)
			if key == before {
				return fmt.Errorf("the key %q is that of an older one", key)
			}
			return err
		},
		done: func(a *spstest.Appliance, _ string) bool { return posts(a, "firmware/fetch") == 2 },
	},
	"cancelling of a fetch": {
		method: "DELETE", path: "firmware/fetch/*", means: meansSettled, options: []spstest.Option{spstest.WithFetchPolls(1000)}, prepare: startFetch,
		call: func(ctx context.Context, c *sps.Client, key string) error { return c.Firmware.CancelFetch(ctx, key) },
		done: func(a *spstest.Appliance, key string) bool { return lateJob(a, "fetch", key) == "cancelled" },
	},
	"deletion of a fetch": {
		method: "DELETE", path: "firmware/fetch/*", means: meansSettled, options: []spstest.Option{spstest.WithFetchPolls(0)}, prepare: startFetch,
		call: func(ctx context.Context, c *sps.Client, key string) error { return c.Firmware.DeleteFetch(ctx, key) },
		done: func(a *spstest.Appliance, key string) bool { return lateJob(a, "fetch", key) == "" },
	},
	"start of an upgrade": {
		method: "POST", path: "firmware/upgrade", means: meansUnknown,
		call: func(ctx context.Context, c *sps.Client, _ string) error {
			_, err := c.Firmware.StartUpgrade(ctx, "2", "")
			return err
		},
		done: func(a *spstest.Appliance, _ string) bool { return a.Restarts() == 1 },
	},
	"support bundle": {
		method: "POST", path: "troubleshooting/support-bundle", means: meansUnknown,
		call: func(ctx context.Context, c *sps.Client, _ string) error {
			_, err := c.SupportBundles.Start(ctx)
			return err
		},
		done: func(a *spstest.Appliance, _ string) bool { return posts(a, "troubleshooting/support-bundle") == 1 },
	},
	"deletion of a bundle": {
		method: "DELETE", path: "troubleshooting/support-bundle/*", means: meansSettled, prepare: startBundle,
		call: func(ctx context.Context, c *sps.Client, key string) error { return c.SupportBundles.Delete(ctx, key) },
		done: func(a *spstest.Appliance, key string) bool { return lateJob(a, "bundle", key) == "" },
	},
	"POST of Invoke": {
		method: "POST", path: "troubleshooting/support-bundle", means: meansUnknown,
		call: func(ctx context.Context, c *sps.Client, _ string) error {
			_, err := c.Invoke(ctx, "POST", "troubleshooting/support-bundle", nil)
			return err
		},
		done: func(a *spstest.Appliance, _ string) bool { return posts(a, "troubleshooting/support-bundle") == 1 },
	},
	"DELETE of Invoke": {
		method: "DELETE", path: "firmware/slots/*", means: meansUnknown,
		call: func(ctx context.Context, c *sps.Client, _ string) error {
			_, err := c.Invoke(ctx, "DELETE", "firmware/slots/4", nil)
			return err
		},
		done: func(a *spstest.Appliance, _ string) bool { return !slotHolds(a, "4") },
	},
	"opening": {
		method: "POST", path: "transaction", means: meansStaged, once: true,
		call: func(ctx context.Context, c *sps.Client, _ string) error { return c.Transaction(ctx, setAdmin(after)) },
	},
	"step": {
		method: "PUT", path: "configuration/management/email", means: meansStaged, once: true,
		call: func(ctx context.Context, c *sps.Client, _ string) error { return c.Transaction(ctx, setAdmin(after)) },
	},
	"create": {
		method: "POST", path: "configuration/trust_stores", means: meansStaged, once: true,
		call: func(ctx context.Context, c *sps.Client, _ string) error {
			return c.Transaction(ctx, func(ctx context.Context, tx *sps.Transaction) error {
				if err := setAdmin(after)(ctx, tx); err != nil {
					return err
				}
				_, err := tx.TrustStores.Create(ctx, sps.NewTrustStore("late"))
				return err
			})
		},
	},
	"rollback": {
		method: "DELETE", path: "transaction", means: meansStaged,
		call: func(ctx context.Context, c *sps.Client, _ string) error {
			return c.Transaction(ctx, func(ctx context.Context, tx *sps.Transaction) error {
				if err := setAdmin(after)(ctx, tx); err != nil {
					return err
				}
				return errMind
			})
		},
	},
}

var errMind = errors.New("it changes its mind")

// TestLateExecution loses the answer to each operation, and executes it afterwards. What
// the call returned has to hold once everything has ended.
func TestLateExecution(t *testing.T) {
	t.Parallel()
	const close = 20 * time.Second // Timeouts.Close
	for when, late := range map[string]struct {
		cut, runs time.Duration
		deadline  time.Duration // of the caller, 0 for none
		seen      bool          // while the client asks
	}{
		"5 s":                                    {0, 5 * time.Second, 0, true},
		"12 s, lost after 5 s":                   {5 * time.Second, 12 * time.Second, 0, true},
		"60 s":                                   {0, time.Minute, 0, true},
		"longer than patience":                   {0, 6 * time.Minute, 0, false},
		"never":                                  {0, -1, 0, false},
		"9 s, given up after 2 s":                {0, 9 * time.Second, 2 * time.Second, true},
		"9 s, given up before the answer":        {5 * time.Second, 9 * time.Second, 2 * time.Second, true},
		"one minute, given up after 2 s":         {0, time.Minute, 2 * time.Second, false},
		"one minute, given up before the answer": {time.Hour, time.Minute, 2 * time.Second, false},
	} {
		for name, op := range lateOperations {
			t.Run(name+"/"+when, func(t *testing.T) {
				t.Parallel()
				synctest.Test(t, func(t *testing.T) {
					a, err := spstest.New(op.options...)
					if err != nil {
						t.Fatal(err)
					}
					defer a.Close()
					l := &lateAppliance{a: a, method: "prepared", settled: make(chan struct{})}
					c, err := sps.Connect(t.Context(), a.Addr(), sps.UsernamePassword(a.Username(), sps.NewSecretString(a.Password())),
						sps.WithTransport(func(http.RoundTripper) http.RoundTripper { return l }))
					if err != nil {
						t.Fatal(err)
					}
					defer c.Close(context.Background())
					key := ""
					if op.prepare != nil {
						key = op.prepare(t, a, c)
					}
					l.method, l.path, l.cut, l.runs, l.once = op.method, op.path, late.cut, late.runs, op.once
					ctx, cancel := t.Context(), context.CancelFunc(func() {})
					if late.deadline > 0 {
						ctx, cancel = context.WithTimeout(ctx, late.deadline)
					}
					defer cancel()
					start := time.Now()
					err = op.call(ctx, c, key)
					took := time.Since(start)
					if late.deadline > 0 && took > late.deadline+close {
						t.Errorf("it took %v after a deadline of %v", took, late.deadline)
					}
					if l.lost == 0 {
						t.Fatal("no answer was lost")
					}
					if l.left > 0 {
						<-l.settled
					}
					if l.lost > 1 && op.method != "DELETE" {
						t.Errorf("it was sent %d times", l.lost)
					}
					op.judge(t, a, key, late.seen, late.runs < 0, err)
				})
			})
		}
	}
}

// judge holds what a call returned against what became of the appliance.
func (op lateOperation) judge(t *testing.T, a *spstest.Appliance, key string, seen, never bool, err error) {
	t.Helper()
	unknown := errors.Is(err, sps.ErrOutcomeUnknown)
	if op.done != nil {
		diff(t, "executed", !never, op.done(a, key))
	}
	switch op.means {
	case meansNothing:
		if err == nil || unknown {
			t.Errorf("error %v, want one without ErrOutcomeUnknown", err)
		}
	case meansSettled:
		if seen != (err == nil) || !seen && !unknown {
			t.Errorf("error %v, want success: %t", err, seen)
		}
		var details *sps.OutcomeUnknownDetails
		if !seen && (!errors.As(err, &details) || details.Status == "" || details.Waited < time.Second) {
			t.Errorf("details %+v of %v", details, err)
		}
	case meansUnknown:
		if !unknown {
			t.Errorf("error %v, want ErrOutcomeUnknown", err)
		}
	case meansStaged:
		if err == nil || unknown {
			t.Errorf("error %v, want one without ErrOutcomeUnknown", err)
		}
		settled(t, a, before)
		if strings.Contains(string(a.State()), `"late"`) {
			t.Error("what the transaction created is there")
		}
		if by := a.LockedBy(); by != "" && !strings.Contains(err.Error(), "lock") {
			t.Errorf("%s holds the lock, and the error does not say so: %v", by, err)
		}
	}
	if err != nil && strings.Contains(err.Error(), "\n") {
		t.Errorf("the text has more than one line: %q", err)
	}
}
