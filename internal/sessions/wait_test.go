package sessions

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"slices"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/go-sps/sps"
	"github.com/go-sps/sps/internal/testkit"
	"github.com/go-sps/sps/spstest"
)

// lazily returns a client that was created with NewClient, and has sent no request yet.
func lazily(t *testing.T, a *spstest.Appliance, options ...sps.Option) *sps.Client {
	t.Helper()
	c, err := sps.NewClient(a.Addr(), sps.UsernamePassword(a.Username(), sps.NewSecretString(a.Password())), append([]sps.Option{testkit.InProcess(a)}, options...)...)
	if err != nil {
		t.Fatal(err)
	}
	return c
}

const forbiddenPage = "<html><title>403 Forbidden</title>"

// TestWaitReady checks that WaitReady waits until the appliance responds that it is ready, and
// that the client logs in once.
func TestWaitReady(t *testing.T) {
	t.Parallel()
	page := func(status int, times int) func(*spstest.Appliance) {
		return func(a *spstest.Appliance) {
			a.Inject(spstest.Fault{Path: "**", Status: status, Body: forbiddenPage, ContentType: "text/html", Times: times})
		}
	}
	for name, test := range map[string]struct {
		prepare func(*spstest.Appliance)
		took    time.Duration // the minimum duration of the wait
	}{
		"already ready":               {func(*spstest.Appliance) {}, 0},
		"403 in HTML for two minutes": {page(403, 12), 2 * time.Minute},
		"404 in HTML":                 {page(404, 3), 30 * time.Second},
		"HTML page with 200":          {page(200, 3), 30 * time.Second},
		"502 for ten minutes":         {page(502, 60), 10 * time.Minute},
		"connections break": {func(a *spstest.Appliance) {
			a.Inject(spstest.Fault{Path: "**", CutBefore: true, Times: 3})
		}, 30 * time.Second},
		"booting": {func(a *spstest.Appliance) {
			a.SetSetupStatus("booting")
			time.AfterFunc(5*time.Minute, func() { a.SetSetupStatus("completed") })
		}, 5 * time.Minute},
		"setup not started": {func(a *spstest.Appliance) {
			a.SetSetupStatus("uninitialized")
			time.AfterFunc(5*time.Minute, func() { a.SetSetupStatus("completed") })
		}, 5 * time.Minute},
		"unknown setup status": {func(a *spstest.Appliance) { a.SetSetupStatus("finished") }, 0},
		"no setup endpoint": {func(a *spstest.Appliance) {
			a.Inject(spstest.Fault{Path: "setup", Status: 404, Body: `{"error":{"type":"ResourceNotFound"}}`, Times: -1})
		}, 0},
		"no right to read info": {func(a *spstest.Appliance) {
			a.Inject(spstest.Fault{Path: "info", Status: 403, Body: `{"error":{"type":"Unauthorized"}}`, Times: -1})
		}, 0},
		"a restart": {func(a *spstest.Appliance) { a.Restart() }, 30 * time.Second},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			synctest.Test(t, func(t *testing.T) {
				a := spstest.NewServer(t, spstest.WithoutListener(), spstest.WithRestart(spstest.Restart{Refused: 2, Unavailable: 3, Starting: 4}), spstest.WithVariant("starting-login", "401:AuthenticationFailure"))
				defer a.Close()
				test.prepare(a)
				c := lazily(t, a)
				start, states := time.Now(), 0
				if err := c.WaitReady(t.Context(), sps.WithProgress(func(sps.Progress) { states++ })); err != nil {
					t.Error(err)
				}
				took := time.Since(start)
				if took < test.took || took > test.took+time.Minute || states == 0 {
					t.Errorf("WaitReady took %s and %d polls", took, states)
				}
				testkit.Diff(t, "logins", 1, logins(a))
				if err := c.WaitReady(t.Context()); err != nil {
					t.Errorf("a second WaitReady: %v", err)
				}
				testkit.Diff(t, "logins of both calls", 1, logins(a))
				if err := c.Close(t.Context()); err != nil {
					t.Error(err)
				}
				testkit.Diff(t, "sessions", 0, a.Sessions())
			})
		})
	}
}

// TestWaitReadyWhileLoginsFail checks an appliance that reports its setup status before it
// accepts logins. WaitReady must wait until logins succeed. If the appliance rejects the
// password until then, this requires WithLoginRetry.
func TestWaitReadyWhileLoginsFail(t *testing.T) {
	t.Parallel()
	for login, option := range map[string]bool{"503": false, "500": false, "401:AuthenticationFailure": true} {
		for _, setup := range []string{"booting", "completed"} {
			t.Run(login+", "+setup, func(t *testing.T) {
				t.Parallel()
				synctest.Test(t, func(t *testing.T) {
					a := spstest.NewServer(t, spstest.WithoutListener(), spstest.WithRestart(spstest.Restart{Starting: 20}),
						spstest.WithVariant("starting-login", login), spstest.WithVariant("starting-setup", setup))
					defer a.Close()
					a.Restart()
					var options []sps.Option
					if option && setup == "completed" {
						c := lazily(t, a)
						if err := c.WaitReady(t.Context()); !errors.Is(err, sps.AuthenticationFailure) {
							t.Errorf("without WithLoginRetry: %v, want AuthenticationFailure", err)
						}
						if err := c.WaitReady(t.Context()); !errors.Is(err, sps.AuthenticationFailure) {
							t.Errorf("WaitReady on a client that no longer logs in: %v, want AuthenticationFailure", err)
						}
						testkit.Diff(t, "logins without WithLoginRetry", 1, logins(a))
						options = append(options, sps.WithLoginRetry(time.Minute))
					}
					c := lazily(t, a, options...)
					if err := c.WaitReady(t.Context()); err != nil {
						t.Error(err)
					}
					c.Close(t.Context())
				})
			})
		}
	}
}

// TestWaitReadyEnds checks that WaitReady returns an error if the password is rejected, at its
// time limit, and at the deadline of its context.
func TestWaitReadyEnds(t *testing.T) {
	t.Parallel()
	wrong := func(a *spstest.Appliance) { a.SetPassword(a.Username(), "another") }
	booting := func(a *spstest.Appliance) { a.SetSetupStatus("booting") }
	for name, test := range map[string]struct {
		prepare func(*spstest.Appliance)
		ctx     time.Duration
		options []sps.WaitOption
		want    error
		says    string
		took    time.Duration
	}{
		"a wrong password":        {wrong, 0, nil, sps.AuthenticationFailure, "waiting for the appliance", 0},
		"wait limit":              {booting, 0, []sps.WaitOption{sps.WithWaitLimit(time.Minute)}, context.DeadlineExceeded, "last seen: the setup is booting", time.Minute},
		"default wait limit":      {booting, 0, []sps.WaitOption{sps.WithWaitLimit(0)}, context.DeadlineExceeded, "last seen: the setup is booting", 30 * time.Minute},
		"deadline of the context": {booting, 95 * time.Second, nil, context.DeadlineExceeded, "last seen: the setup is booting", 95 * time.Second},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			synctest.Test(t, func(t *testing.T) {
				a := spstest.NewServer(t, spstest.WithoutListener())
				defer a.Close()
				c := lazily(t, a)
				test.prepare(a)
				ctx := t.Context()
				if test.ctx > 0 {
					var cancel context.CancelFunc
					ctx, cancel = context.WithTimeout(ctx, test.ctx)
					defer cancel()
				}
				start := time.Now()
				err := c.WaitReady(ctx, test.options...)
				if !errors.Is(err, test.want) || !strings.Contains(fmt.Sprint(err), test.says) {
					t.Errorf("error %v, want %v with %q", err, test.want, test.says)
				}
				testkit.Diff(t, "time", test.took, time.Since(start))
				c.Close(t.Context())
			})
		})
	}
}

// TestWaitReadyCertificate checks that WaitReady stops if the certificate of the appliance is
// not trusted.
func TestWaitReadyCertificate(t *testing.T) {
	t.Parallel()
	a := spstest.NewServer(t)
	c, err := sps.NewClient(a.Addr(), sps.UsernamePassword(a.Username(), sps.NewSecretString(a.Password())))
	if err != nil {
		t.Fatal(err)
	}
	defer c.Close(t.Context())
	var untrusted *sps.CertificateError
	if err := c.WaitReady(t.Context(), sps.WithPollInterval(time.Millisecond)); !errors.As(err, &untrusted) {
		t.Errorf("error %v, want a CertificateError", err)
	}
}

// TestWaitReadyClosed checks that WaitReady returns ErrClosed when its client is closed.
func TestWaitReadyClosed(t *testing.T) {
	t.Parallel()
	testkit.Bubble(t, func(t *testing.T, a *spstest.Appliance, c *sps.Client) {
		a.SetSetupStatus("booting")
		start := time.Now()
		time.AfterFunc(15*time.Second, func() { c.Close(context.Background()) })
		if err := c.WaitReady(t.Context()); !errors.Is(err, sps.ErrClosed) {
			t.Errorf("error %v, want ErrClosed", err)
		}
		testkit.Diff(t, "time", 15*time.Second, time.Since(start))
	})
}

// TestVersionWaitForbidden checks that WaitForVersion continues after a 403 with an HTML page,
// which does not come from the API.
func TestVersionWaitForbidden(t *testing.T) {
	t.Parallel()
	testkit.Bubble(t, func(t *testing.T, a *spstest.Appliance, c *sps.Client) {
		a.ExpireSessions()
		a.Inject(spstest.Fault{Path: "**", Status: 403, Body: forbiddenPage, ContentType: "text/html", Times: 18})
		start := time.Now()
		if _, err := c.Firmware.WaitForVersion(t.Context(), "7.4.0"); err != nil {
			t.Error(err)
		}
		if took := time.Since(start); took < 3*time.Minute {
			t.Errorf("the wait took %s", took)
		}
	})
}

// TestWaitTimes checks that a poll interval or a wait limit of zero means the default, and that
// a negative one is rejected before a request is sent.
func TestWaitTimes(t *testing.T) {
	t.Parallel()
	type options struct {
		wait    []sps.WaitOption
		version []sps.VersionWaitOption
		upgrade []sps.UpgradeOption
	}
	type timing interface {
		sps.WaitOption
		sps.VersionWaitOption
		sps.UpgradeOption
	}
	both := func(o timing) options {
		return options{[]sps.WaitOption{o}, []sps.VersionWaitOption{o}, []sps.UpgradeOption{o}}
	}
	waits := map[string]func(context.Context, *sps.Client, options) error{
		"WaitReady": func(ctx context.Context, c *sps.Client, o options) error { return c.WaitReady(ctx, o.wait...) },
		"WaitForFetch": func(ctx context.Context, c *sps.Client, o options) error {
			_, err := c.Firmware.Fetch.Wait(ctx, "k", o.wait...)
			return err
		},
		"SupportBundles.Wait": func(ctx context.Context, c *sps.Client, o options) error {
			_, err := c.Troubleshooting.SupportBundle.Wait(ctx, "k", o.wait...)
			return err
		},
		"WaitForVersion": func(ctx context.Context, c *sps.Client, o options) error {
			_, err := c.Firmware.WaitForVersion(ctx, "9.9.9", o.version...)
			return err
		},
		"Upgrade": func(ctx context.Context, c *sps.Client, o options) error {
			_, err := c.Firmware.Upgrade(ctx, sps.FromSlot("2"), o.upgrade...)
			return err
		},
	}
	for name, wait := range waits {
		for what, option := range map[string]timing{"interval": sps.WithPollInterval(-time.Second), "limit": sps.WithWaitLimit(-1)} {
			t.Run(name+", negative "+what, func(t *testing.T) {
				t.Parallel()
				testkit.Bubble(t, func(t *testing.T, a *spstest.Appliance, c *sps.Client) {
					a.ResetJournal()
					if err := wait(t.Context(), c, both(option)); !errors.Is(err, sps.ErrInvalidInput) {
						t.Errorf("error %v, want ErrInvalidInput", err)
					}
					testkit.Diff(t, "requests", []string(nil), testkit.Requests(a))
				})
			})
		}
	}
	for what, option := range map[string]timing{"interval": sps.WithPollInterval(0), "limit": sps.WithWaitLimit(0)} {
		t.Run("WaitForVersion, no "+what, func(t *testing.T) {
			t.Parallel()
			testkit.Bubble(t, func(t *testing.T, a *spstest.Appliance, c *sps.Client) {
				a.ResetJournal()
				start := time.Now()
				if _, err := c.Firmware.WaitForVersion(t.Context(), "9.9.9", option); !errors.Is(err, context.DeadlineExceeded) {
					t.Errorf("error %v, want DeadlineExceeded", err)
				}
				testkit.Diff(t, "time", 30*time.Minute, time.Since(start))
				testkit.Diff(t, "polls", true, len(testkit.Requests(a)) > 170 && len(testkit.Requests(a)) < 190)
			})
		})
	}
}

// TestDoneContextSendsNothing checks that a call whose context is already done sends no request
// and does not call the password function.
func TestDoneContextSendsNothing(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		a := spstest.NewServer(t, spstest.WithoutListener())
		defer a.Close()
		done, cancel := context.WithCancel(t.Context())
		cancel()
		asked := false
		credential := sps.PasswordFunc(a.Username(), func(context.Context) (sps.Secret, error) {
			asked = true
			return sps.NewSecretString(a.Password()), nil
		})
		var sent []string
		record := testkit.RoundTrip(func(r *http.Request) (*http.Response, error) {
			sent = append(sent, r.URL.Path)
			return a.RoundTrip(r)
		})
		for name, credential := range map[string]sps.Credential{"password": credential, "session": sps.ExistingSession(sps.NewSecretString("s"))} {
			if _, err := sps.Connect(done, a.Addr(), credential, record); !errors.Is(err, context.Canceled) {
				t.Errorf("Connect with a %s: %v, want Canceled", name, err)
			}
		}
		c, err := sps.NewClient(a.Addr(), credential, record)
		if err != nil {
			t.Fatal(err)
		}
		for name, call := range map[string]func() error{
			"Slots":       func() error { _, err := c.Firmware.Slots.List(done); return err },
			"WaitReady":   func() error { return c.WaitReady(done) },
			"Transaction": func() error { return c.Transaction(done, testkit.SetAdmin(testkit.AdminAfter)) },
			"Download":    func() error { _, err := c.Download(done, "info", nil); return err },
		} {
			if err := call(); !errors.Is(err, context.Canceled) {
				t.Errorf("%s: %v, want Canceled", name, err)
			}
		}
		synctest.Wait()
		if asked || len(sent) > 0 {
			t.Errorf("the password function was called: %t; sent %v", asked, slices.Compact(sent))
		}
		if err := c.Close(t.Context()); err != nil {
			t.Error(err)
		}
	})
}
