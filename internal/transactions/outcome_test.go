package transactions

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"slices"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/go-sps/sps"
	"github.com/go-sps/sps/internal/testkit"
	"github.com/go-sps/sps/spstest"
)

// lateAppliance loses the responses to some requests and executes these requests later. The
// tests check that the errors of the client agree with the state of the appliance after the
// execution.
type lateAppliance struct {
	a       *spstest.Appliance
	method  string
	path    string         // the path below /api/ of the requests whose responses are lost; "*" at the end matches any key
	cut     time.Duration  // the time until the response is lost
	runs    time.Duration  // the time from sending to execution; negative for never
	once    bool           // whether only the first matching response is lost
	gateway bool           // whether the client receives a 504, as from a gateway, instead of a broken connection
	lost    int            // the number of lost responses
	late    sync.WaitGroup // the requests whose responses were lost and that are not executed yet
}

// newLateAppliance returns an appliance and a client that is logged in to it. The appliance
// loses no response until the test sets method and path. Call newLateAppliance in a synctest
// bubble.
func newLateAppliance(t *testing.T, options ...spstest.Option) (*lateAppliance, *sps.Client) {
	t.Helper()
	a := spstest.NewServer(t, append([]spstest.Option{spstest.WithoutListener()}, options...)...)
	t.Cleanup(a.Close)
	l := &lateAppliance{a: a}
	c, err := sps.Connect(t.Context(), a.Addr(), sps.UsernamePassword(a.Username(), sps.NewSecretString(a.Password())),
		sps.WithTransport(func(http.RoundTripper) http.RoundTripper { return l }))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { c.Close(context.Background()) })
	return l, c
}

func (l *lateAppliance) matches(r *http.Request) bool {
	if r.Method != l.method || l.once && l.lost > 0 {
		return false
	}
	path := strings.TrimPrefix(r.URL.Path, "/api/")
	if parent, any := strings.CutSuffix(l.path, "*"); any {
		return strings.HasPrefix(path, parent)
	}
	return path == l.path
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
		l.late.Go(func() {
			time.Sleep(l.runs)
			if resp, err := l.a.RoundTrip(late); err == nil {
				resp.Body.Close()
			}
		})
	}
	timer := time.NewTimer(l.cut)
	defer timer.Stop()
	select {
	case <-timer.C:
		if l.gateway {
			return testkit.Answer(r, 504, http.Header{"Content-Type": {"text/html"}}, "<html>"), nil
		}
		return nil, io.ErrUnexpectedEOF
	case <-r.Context().Done():
		return nil, r.Context().Err()
	}
}

// lateOperation is an operation whose response is lost.
type lateOperation struct {
	method, path string
	options      []spstest.Option
	// prepare creates the object that the operation needs, and returns its key.
	prepare func(t *testing.T, a *spstest.Appliance, c *sps.Client) string
	call    func(ctx context.Context, c *sps.Client, key string) error
	// done reports whether the appliance has executed the operation.
	done func(a *spstest.Appliance, key string) bool
	// means is the result that the call must have, as one of the following constants.
	means string
	once  bool // whether only the first matching response is lost
}

// These constants are the results that a call can have if the response to its request is lost.
const (
	meansNothing = "nothing changes"         // an error without ErrOutcomeUnknown, because the request changes nothing
	meansStaged  = "the transaction decides" // an error without ErrOutcomeUnknown, because the transaction is rolled back
	meansSettled = "the client finds out"    // success if the client can observe the execution, and ErrOutcomeUnknown otherwise
	meansUnknown = "unknown"                 // ErrOutcomeUnknown
)

func slotHolds(a *spstest.Appliance, key string) bool {
	return slices.ContainsFunc(a.Slots(), func(s spstest.Slot) bool { return s.Key == key && s.Version != "" })
}

// lateJob returns the status of a job, or "" if there is no such job. It reads the job with
// another client.
func lateJob(a *spstest.Appliance, list string, key string) (status string) {
	c, err := sps.Connect(context.Background(), a.Addr(), sps.UsernamePassword(a.Username(), sps.NewSecretString(a.Password())), testkit.InProcess(a))
	if err != nil {
		panic(err)
	}
	defer c.Close(context.Background())
	if list == "fetch" {
		if fetch, err := c.Firmware.Fetch.Get(context.Background(), key); err == nil {
			return string(fetch.Status)
		}
		return ""
	}
	if bundle, err := c.Troubleshooting.SupportBundle.Get(context.Background(), key); err == nil {
		return string(bundle.Status)
	}
	return ""
}

func startFetch(t *testing.T, a *spstest.Appliance, c *sps.Client) string {
	a.ServeImage(testkit.ImageURL, "8.1.0", testkit.ImageSum)
	key, err := c.Firmware.Fetch.Start(t.Context(), testkit.ImageURL, testkit.ImageSum)
	if err != nil {
		t.Fatal(err)
	}
	return key
}

func startBundle(t *testing.T, _ *spstest.Appliance, c *sps.Client) string {
	key, err := c.Troubleshooting.SupportBundle.Start(t.Context())
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

// lateOperations lists the operations that may still be running when the client stops waiting.
// The commit has its own test, TestLostSlowCommit.
var lateOperations = map[string]lateOperation{
	"join": {
		method: "POST", path: "starling/join", means: meansSettled,
		call: func(ctx context.Context, c *sps.Client, _ string) error {
			return c.Starling.Join(ctx, sps.StarlingJoinRequest{CredentialString: sps.NewSecretString("credential")})
		},
		done: func(a *spstest.Appliance, _ string) bool { return a.Starling().Joined },
	},
	"join of a joined appliance": {
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
		call: func(ctx context.Context, c *sps.Client, _ string) error { return c.Firmware.Slots.Delete(ctx, "4") },
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
			key, err := c.Firmware.Fetch.Start(ctx, testkit.ImageURL, testkit.ImageSum)
			if err == nil {
				_, err = c.Firmware.Fetch.Get(context.WithoutCancel(ctx), key)
			}
			return err
		},
		done: func(a *spstest.Appliance, _ string) bool { return posts(a, "firmware/fetch") == 1 },
	},
	"fetch of the same URL as an earlier fetch": {
		method: "POST", path: "firmware/fetch", means: meansSettled, prepare: startFetch, once: true,
		call: func(ctx context.Context, c *sps.Client, before string) error {
			key, err := c.Firmware.Fetch.Start(ctx, testkit.ImageURL, testkit.ImageSum)
			if key == before {
				return fmt.Errorf("the returned key %q belongs to an earlier fetch", key)
			}
			return err
		},
		done: func(a *spstest.Appliance, _ string) bool { return posts(a, "firmware/fetch") == 2 },
	},
	"cancellation of a fetch": {
		method: "DELETE", path: "firmware/fetch/*", means: meansSettled, options: []spstest.Option{spstest.WithFetchPolls(1000)}, prepare: startFetch,
		call: func(ctx context.Context, c *sps.Client, key string) error { return c.Firmware.Fetch.Cancel(ctx, key) },
		done: func(a *spstest.Appliance, key string) bool { return lateJob(a, "fetch", key) == "cancelled" },
	},
	"deletion of a fetch": {
		method: "DELETE", path: "firmware/fetch/*", means: meansSettled, options: []spstest.Option{spstest.WithFetchPolls(0)}, prepare: startFetch,
		call: func(ctx context.Context, c *sps.Client, key string) error { return c.Firmware.Fetch.Delete(ctx, key) },
		done: func(a *spstest.Appliance, key string) bool { return lateJob(a, "fetch", key) == "" },
	},
	"start of an upgrade": {
		method: "POST", path: "firmware/upgrade", means: meansUnknown,
		call: func(ctx context.Context, c *sps.Client, _ string) error {
			_, err := c.Firmware.StartUpgrade(ctx, "2")
			return err
		},
		done: func(a *spstest.Appliance, _ string) bool { return a.Restarts() == 1 },
	},
	"support bundle": {
		method: "POST", path: "troubleshooting/support-bundle", means: meansUnknown,
		call: func(ctx context.Context, c *sps.Client, _ string) error {
			_, err := c.Troubleshooting.SupportBundle.Start(ctx)
			return err
		},
		done: func(a *spstest.Appliance, _ string) bool { return posts(a, "troubleshooting/support-bundle") == 1 },
	},
	"deletion of a bundle": {
		method: "DELETE", path: "troubleshooting/support-bundle/*", means: meansSettled, prepare: startBundle,
		call: func(ctx context.Context, c *sps.Client, key string) error {
			return c.Troubleshooting.SupportBundle.Delete(ctx, key)
		},
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
		call: func(ctx context.Context, c *sps.Client, _ string) error {
			return c.Transaction(ctx, testkit.SetAdmin(testkit.AdminAfter))
		},
	},
	"step": {
		method: "PUT", path: "configuration/management/email", means: meansStaged, once: true,
		call: func(ctx context.Context, c *sps.Client, _ string) error {
			return c.Transaction(ctx, testkit.SetAdmin(testkit.AdminAfter))
		},
	},
	"create": {
		method: "POST", path: "configuration/trust_stores", means: meansStaged, once: true,
		call: func(ctx context.Context, c *sps.Client, _ string) error {
			return c.Transaction(ctx, func(ctx context.Context, tx *sps.Transaction) error {
				if err := testkit.SetAdmin(testkit.AdminAfter)(ctx, tx); err != nil {
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
				if err := testkit.SetAdmin(testkit.AdminAfter)(ctx, tx); err != nil {
					return err
				}
				return errMind
			})
		},
	},
}

var errMind = errors.New("it changes its mind")

// TestLateExecution checks operations whose response is lost and which the appliance executes
// later or never. For each operation, the result of the call must agree with the state of the
// appliance.
func TestLateExecution(t *testing.T) {
	t.Parallel()
	const close = 20 * time.Second // Timeouts.Close
	for when, late := range map[string]struct {
		cut, runs time.Duration
		deadline  time.Duration // the caller's deadline, 0 for none
		seen      bool          // whether the appliance executes the operation while the client polls
		gateway   bool
	}{
		"executed after 5 s": {0, 5 * time.Second, 0, true, false},
		"executed after 12 s, connection breaks after 5 s":                 {5 * time.Second, 12 * time.Second, 0, true, false},
		"executed after 12 s, 504 after 5 s":                               {5 * time.Second, 12 * time.Second, 0, true, true},
		"executed after 60 s":                                              {0, time.Minute, 0, true, false},
		"executed just before Timeouts.Outcome":                            {0, 5*time.Minute - 2*time.Second, 0, true, false},
		"executed after Timeouts.Outcome":                                  {0, 6 * time.Minute, 0, false, false},
		"never executed":                                                   {0, -1, 0, false, false},
		"executed after 9 s, deadline of 2 s":                              {0, 9 * time.Second, 2 * time.Second, true, false},
		"executed after 9 s, deadline of 2 s before the connection breaks": {5 * time.Second, 9 * time.Second, 2 * time.Second, true, false},
		"executed after 60 s, deadline of 2 s":                             {0, time.Minute, 2 * time.Second, false, false},
		"executed after 60 s, deadline of 2 s, no response":                {time.Hour, time.Minute, 2 * time.Second, false, false},
	} {
		for name, op := range lateOperations {
			t.Run(name+"/"+when, func(t *testing.T) {
				t.Parallel()
				synctest.Test(t, func(t *testing.T) {
					l, c := newLateAppliance(t, op.options...)
					a := l.a
					key := ""
					if op.prepare != nil {
						key = op.prepare(t, a, c)
					}
					l.method, l.path, l.cut, l.runs, l.once, l.gateway = op.method, op.path, late.cut, late.runs, op.once, late.gateway
					ctx, cancel := t.Context(), context.CancelFunc(func() {})
					if late.deadline > 0 {
						ctx, cancel = context.WithTimeout(ctx, late.deadline)
					}
					defer cancel()
					start := time.Now()
					err := op.call(ctx, c, key)
					took := time.Since(start)
					if late.deadline > 0 && took > late.deadline+close {
						t.Errorf("the call took %v with a deadline of %v", took, late.deadline)
					}
					if l.lost == 0 {
						t.Fatal("no response was lost")
					}
					l.late.Wait()
					if l.lost > 1 && op.method != "DELETE" && name != "firmware test" { // a firmware test changes nothing and may be repeated
						t.Errorf("the request was sent %d times", l.lost)
					}
					op.judge(t, a, key, late.seen, late.runs < 0, err)
				})
			})
		}
	}
}

// judge compares the result of the call with the state of the appliance. seen is whether the
// appliance executed the operation while the client polled, and never is whether it never
// executed it.
func (op lateOperation) judge(t *testing.T, a *spstest.Appliance, key string, seen, never bool, err error) {
	t.Helper()
	unknown := errors.Is(err, sps.ErrOutcomeUnknown)
	if op.done != nil {
		testkit.Diff(t, "executed", !never, op.done(a, key))
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
		testkit.Settled(t, a, testkit.AdminBefore)
		if strings.Contains(string(a.State()), `"late"`) {
			t.Error("the object that the transaction created exists")
		}
		if by := a.LockedBy(); by != "" && !strings.Contains(err.Error(), "lock") {
			t.Errorf("%s holds the lock, and the error does not say so: %v", by, err)
		}
	}
	if err != nil && strings.Contains(err.Error(), "\n") {
		t.Errorf("the text has more than one line: %q", err)
	}
}

// TestLateLogOut checks that Close returns within its time limit if the responses to its
// log-outs are lost, and that it returns nil only if no session is left.
func TestLateLogOut(t *testing.T) {
	t.Parallel()
	for name, runs := range map[string]time.Duration{"5 s": 5 * time.Second, "60 s": time.Minute, "never": -1} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			synctest.Test(t, func(t *testing.T) {
				l, c := newLateAppliance(t)
				l.method, l.path, l.runs = "DELETE", "authentication", runs
				start := time.Now()
				err := c.Close(t.Context())
				if took := time.Since(start); took > 20*time.Second {
					t.Errorf("Close took %v", took)
				}
				if left := l.a.Sessions(); (err == nil) != (left == 0) {
					t.Errorf("error %v, sessions left: %d", err, left)
				}
				l.late.Wait()
				testkit.Diff(t, "a session is left", runs < 0, l.a.Sessions() > 0)
			})
		})
	}
}

// TestLateUpload checks the error of an upload whose response is lost: it describes the slots that
// the client has read, and does not say that no image was stored.
func TestLateUpload(t *testing.T) {
	t.Parallel()
	for name, test := range map[string]struct {
		runs  time.Duration
		asked bool // whether the client can list the slots
		says  string
	}{
		"stored after 60 s":             {time.Minute, true, "the image is in slot 3 (8.1.0), unless somebody else filled that slot"},
		"stored after Timeouts.Outcome": {6 * time.Minute, true, "no slot was filled when the client checked, but the appliance may still fill one"},
		"slots cannot be read":          {time.Minute, false, "slots of the appliance could not be read"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			synctest.Test(t, func(t *testing.T) {
				l, c := newLateAppliance(t)
				l.method, l.path, l.runs = "POST", "upload/firmware", test.runs
				if !test.asked {
					l.a.Inject(spstest.Fault{Path: "firmware/slots", Skip: 1, Times: -1, Status: 503})
				}
				_, err := c.Firmware.Upload(t.Context(), spstest.Image("8.1.0", 1000), 1000)
				var failed *sps.FirmwareUploadError
				if !errors.As(err, &failed) || !errors.Is(err, sps.ErrOutcomeUnknown) || !strings.Contains(err.Error(), test.says) {
					t.Fatalf("error %v, want one that says %q", err, test.says)
				}
				testkit.Diff(t, "known", test.asked, failed.Known)
				testkit.Diff(t, "stored", test.runs == time.Minute && test.asked, failed.Stored != nil && failed.Stored.Key == "3")
				l.late.Wait()
				testkit.Diff(t, "uploads", 1, len(l.a.Uploads()))
			})
		})
	}
}

// TestLateUpgrade checks whether Upgrade continues after the response to one of its requests was
// lost. If Upgrade fails, the error must name the step and the state of the appliance.
func TestLateUpgrade(t *testing.T) {
	t.Parallel()
	for name, test := range map[string]struct {
		path     string
		runs     time.Duration
		deadline time.Duration
		step     sps.FirmwareUpgradeStep // "" for success
		left     string
	}{
		"upgrade after 60 s":                  {"firmware/upgrade", time.Minute, 0, "", ""},
		"upgrade after an hour":               {"firmware/upgrade", time.Hour, 0, sps.StepWait, "it is not known whether the upgrade was started"},
		"upgrade never executed":              {"firmware/upgrade", -1, 0, sps.StepWait, "it is not known whether the upgrade was started"},
		"upgrade after 60 s, deadline of 2 s": {"firmware/upgrade", time.Minute, 2 * time.Second, sps.StepWait, "it is not known whether the upgrade was started"},
		"upload after 60 s":                   {"upload/firmware", time.Minute, 0, sps.StepUpload, "no upgrade was started; the appliance ran 7.4.0; the image is in slot 3, unless"},
		"upload after an hour":                {"upload/firmware", time.Hour, 0, sps.StepUpload, "no upgrade was started; the appliance ran 7.4.0; the appliance may still put the image into a slot"},
		"fetch after an hour":                 {"firmware/fetch", time.Hour, 0, sps.StepFetch, "it is not known whether the fetch was started"},
		"fetch after 60 s":                    {"firmware/fetch", time.Minute, 0, "", ""},
		"test after 60 s":                     {"firmware/test", time.Minute, 0, sps.StepTest, "no upgrade was started; the appliance ran 7.4.0; the image stays in slot 2"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			synctest.Test(t, func(t *testing.T) {
				l, c := newLateAppliance(t)
				l.a.ServeImage(testkit.ImageURL, "8.0.0", testkit.ImageSum)
				l.method, l.path, l.runs = "POST", test.path, test.runs
				source := map[string]sps.UpgradeSource{
					"upload/firmware": sps.FromImage(spstest.Image("8.1.0", 1000), 1000), "firmware/fetch": sps.FromURL(testkit.ImageURL, testkit.ImageSum),
				}[test.path]
				if source == nil {
					source = sps.FromSlot("2")
				}
				ctx := t.Context()
				if test.deadline > 0 {
					var cancel context.CancelFunc
					ctx, cancel = context.WithTimeout(ctx, test.deadline)
					defer cancel()
				}
				report, err := c.Firmware.Upgrade(ctx, source)
				l.late.Wait()
				if test.step == "" {
					if err != nil || report.Info.FirmwareVersion != "8.0.0" {
						t.Errorf("report %+v, %v", report, err)
					}
					return
				}
				var stopped *sps.FirmwareUpgradeError
				if !errors.As(err, &stopped) || stopped.Step != test.step || !strings.Contains(stopped.Left, test.left) {
					t.Fatalf("error %v, want one at %s that says %q", err, test.step, test.left)
				}
				testkit.Diff(t, "unknown", test.step != sps.StepTest, errors.Is(err, sps.ErrOutcomeUnknown))
			})
		})
	}
}

// TestUpgradeNotConfirmed checks the errors of an upgrade after which the appliance does not
// respond again or runs the old version.
func TestUpgradeNotConfirmed(t *testing.T) {
	t.Parallel()
	testkit.BubbleOf(t, func(t *testing.T, a *spstest.Appliance, c *sps.Client) {
		a.AfterRestart(spstest.OutcomeNeverBack)
		_, err := c.Firmware.Upgrade(t.Context(), sps.FromSlot("2"))
		if !errors.Is(err, sps.ErrOutcomeUnknown) || !errors.Is(err, context.DeadlineExceeded) || !strings.Contains(err.Error(), "the upgrade was started") {
			t.Errorf("the appliance does not respond again: %v, want ErrOutcomeUnknown and DeadlineExceeded", err)
		}
	})
	testkit.BubbleOf(t, func(t *testing.T, a *spstest.Appliance, c *sps.Client) {
		a.AfterRestart(spstest.OutcomeOldVersion)
		_, err := c.Firmware.Upgrade(t.Context(), sps.FromSlot("2"))
		if errors.Is(err, sps.ErrOutcomeUnknown) || !errors.Is(err, sps.ErrWrongVersion) {
			t.Errorf("the appliance runs the old version: %v, want ErrWrongVersion", err)
		}
	})
	testkit.BubbleOf(t, func(t *testing.T, a *spstest.Appliance, c *sps.Client) {
		a.AfterRestart(spstest.OutcomeOldVersion)
		a.Inject(spstest.Fault{Method: "POST", Path: "firmware/upgrade", CutAfter: true})
		_, err := c.Firmware.Upgrade(t.Context(), sps.FromSlot("2"))
		if !errors.Is(err, sps.ErrOutcomeUnknown) || !errors.Is(err, sps.ErrWrongVersion) || strings.Contains(err.Error(), "; the upgrade was started:") {
			t.Errorf("the appliance runs the old version after a lost response: %v", err)
		}
	})
}

// TestCloseWhilePolling checks that Close ends a call that polls for the outcome of a lost
// request.
func TestCloseWhilePolling(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		l, c := newLateAppliance(t)
		l.method, l.path, l.runs = "POST", "starling/join", time.Minute
		time.AfterFunc(20*time.Second, func() { c.Close(context.Background()) })
		start := time.Now()
		err := c.Starling.Join(t.Context(), sps.StarlingJoinRequest{CredentialString: sps.NewSecretString("credential")})
		if took := time.Since(start); !errors.Is(err, sps.ErrOutcomeUnknown) || took > 25*time.Second {
			t.Errorf("error %v after %v", err, took)
		}
		l.late.Wait()
	})
}

// TestPollingStopsWithoutLogin checks that a call stops polling for the outcome of a lost
// request if the client can no longer log in.
func TestPollingStopsWithoutLogin(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		l, c := newLateAppliance(t)
		l.method, l.path, l.runs = "DELETE", "firmware/slots/4", time.Minute
		time.AfterFunc(5*time.Second, func() {
			l.a.SetPassword(l.a.Username(), "rotated")
			l.a.ExpireSessions()
		})
		start := time.Now()
		err := c.Firmware.Slots.Delete(t.Context(), "4")
		if took := time.Since(start); !errors.Is(err, sps.ErrOutcomeUnknown) || took > 30*time.Second {
			t.Errorf("error %v after %v", err, took)
		}
		l.late.Wait()
	})
}

// TestFetchStartLost checks Start if the response to its request is lost: Start finds the
// started fetch among the fetches of the appliance, or returns ErrOutcomeUnknown if another
// client may have started the fetch that it finds.
func TestFetchStartLost(t *testing.T) {
	t.Parallel()
	strip := func(body []byte) []byte { return []byte(strings.ReplaceAll(string(body), `"url"`, `"hidden"`)) }
	for name, test := range map[string]struct {
		prepare func(l *lateAppliance, other *sps.Client)
		unknown bool
	}{
		"fetch of another URL by another client": {func(l *lateAppliance, other *sps.Client) {
			time.AfterFunc(3*time.Second, func() {
				_, _ = other.Firmware.Fetch.Start(context.Background(), "https://images.example/other.iso", testkit.ImageSum)
			})
		}, false},
		"fetch of the same URL by another client": {func(l *lateAppliance, other *sps.Client) {
			time.AfterFunc(l.runs, func() { _, _ = other.Firmware.Fetch.Start(context.Background(), testkit.ImageURL, testkit.ImageSum) })
		}, true},
		"fetches without their URL": {func(l *lateAppliance, _ *sps.Client) {
			l.a.Inject(spstest.Fault{Method: "GET", Path: "firmware/fetch/*", Times: -1, Mutate: strip})
		}, true},
		"fetches not listed before": {func(l *lateAppliance, _ *sps.Client) {
			l.a.Inject(spstest.Fault{Method: "GET", Path: "firmware/fetch", Status: 403, Body: `{"error":{"type":"Unauthorized"}}`})
		}, true},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			synctest.Test(t, func(t *testing.T) {
				l, c := newLateAppliance(t)
				other, err := sps.Connect(t.Context(), l.a.Addr(), sps.UsernamePassword(l.a.Username(), sps.NewSecretString(l.a.Password())), testkit.InProcess(l.a))
				if err != nil {
					t.Fatal(err)
				}
				defer other.Close(context.Background())
				l.runs = 20 * time.Second
				test.prepare(l, other)
				l.method, l.path = "POST", "firmware/fetch"
				key, err := c.Firmware.Fetch.Start(t.Context(), testkit.ImageURL, testkit.ImageSum)
				l.late.Wait()
				if unknown := errors.Is(err, sps.ErrOutcomeUnknown); unknown != test.unknown || unknown == (key != "") {
					t.Errorf("key %q, error %v", key, err)
				}
			})
		})
	}
}

// TestFetchCancelledTooLate checks Cancel if the response to its request is lost and the fetch
// finishes before the appliance executes the cancellation. Cancel must return ErrOutcomeUnknown
// and stop polling when the fetch has finished, because the appliance may still remove the
// record of the fetch.
func TestFetchCancelledTooLate(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		l, c := newLateAppliance(t)
		key := startFetch(t, l.a, c)
		l.method, l.path, l.runs = "DELETE", "firmware/fetch/"+key, 10*time.Minute
		start := time.Now()
		err := c.Firmware.Fetch.Cancel(t.Context(), key)
		var details *sps.OutcomeUnknownDetails
		if !errors.Is(err, sps.ErrOutcomeUnknown) || !errors.As(err, &details) || details.Status != "finished" {
			t.Errorf("error %v", err)
		}
		if took := time.Since(start); took > time.Minute {
			t.Errorf("polled for %v although the outcome can no longer be observed", took)
		}
		l.late.Wait()
	})
}

// TestRedirectedWrite checks that the client treats a redirect in response to a write as a lost
// response, because a redirect does not come from the API.
func TestRedirectedWrite(t *testing.T) {
	t.Parallel()
	for _, executed := range []bool{false, true} {
		testkit.Bubble(t, func(t *testing.T, a *spstest.Appliance, c *sps.Client) {
			a.SetStarling(spstest.Starling{Joined: true})
			a.Inject(spstest.Fault{Method: "DELETE", Path: "starling/join", Status: 302, Execute: executed})
			if err := c.Starling.Unjoin(t.Context()); (err == nil) != executed || !executed && !errors.Is(err, sps.ErrOutcomeUnknown) {
				t.Errorf("unjoin executed: %t; error %v", executed, err)
			}
		})
	}
}
