package areas

import (
	"context"
	"errors"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/go-sps/sps"
	"github.com/go-sps/sps/internal/testkit"
	"github.com/go-sps/sps/spstest"
)

// upgradeBubble runs a test in a synctest bubble, with an appliance without sockets that it
// closes before the bubble ends.
func upgradeBubble(t *testing.T, test func(t *testing.T, a *spstest.Appliance, c *sps.Client), options ...spstest.Option) {
	t.Helper()
	synctest.Test(t, func(t *testing.T) {
		a := spstest.NewServer(t, append([]spstest.Option{spstest.WithoutListener()}, options...)...)
		defer a.Close()
		c, err := sps.Connect(t.Context(), a.Addr(), sps.UsernamePassword(a.Username(), sps.NewSecretString(a.Password())), testkit.InProcess(a))
		if err != nil {
			t.Fatal(err)
		}
		defer c.Close(context.Background())
		test(t, a, c)
	})
}

// TestUpgradeFlow checks a complete upgrade from a slot, from an image and from a URL, with
// each variant of the appliance.
func TestUpgradeFlow(t *testing.T) {
	t.Parallel()
	testkit.BubblesUnderVariants(t, func(t *testing.T, options ...spstest.Option) {
		for _, name := range []string{"slot", "image", "URL"} {
			upgradeBubble(t, func(t *testing.T, a *spstest.Appliance, c *sps.Client) {
				from, to := a.Slots()[0].Version, a.Slots()[1].Version // the versions of the profile
				a.ServeImage(testkit.ImageURL, to, testkit.ImageSum)
				source := map[string]sps.UpgradeSource{
					"slot":  sps.FromSlot("2"),
					"image": sps.FromImage(spstest.Image(to, imageSize), imageSize),
					"URL":   sps.FromURL(testkit.ImageURL, testkit.ImageSum),
				}[name]
				var steps []sps.FirmwareUpgradeStep
				report, err := c.Firmware.Upgrade(t.Context(), source, sps.WithMessage("CHG-1"), sps.WithProgress(func(p sps.Progress) {
					if p.State == "begun" {
						steps = append(steps, p.Step)
					}
				}))
				if err != nil {
					t.Fatalf("%s: %v", name, err)
				}
				if report.From != from || report.To != to || report.Info.FirmwareVersion != to || !strings.Contains(report.TestSummary, "HA") {
					t.Errorf("%s: report %+v, want one from %s to %s", name, report, from, to)
				}
				want := map[string][]sps.FirmwareUpgradeStep{
					"slot":  {"prepare", "test", "upgrade", "wait", "verify"},
					"image": {"prepare", "upload", "test", "upgrade", "wait", "verify"},
					"URL":   {"prepare", "fetch", "test", "upgrade", "wait", "verify"},
				}
				testkit.Diff(t, name+": steps", want[name], steps)
				testkit.Diff(t, name+": restarts", 1, a.Restarts())
				upgrades := 0
				for _, r := range a.Journal() {
					if r.Method == "POST" && r.Path == "/api/firmware/upgrade" {
						upgrades++
					}
				}
				testkit.Diff(t, name+": upgrades sent", 1, upgrades)
			}, options...)
		}
	})
}

// TestUpgradeOverTLS checks an upgrade whose restart closes a real listener.
func TestUpgradeOverTLS(t *testing.T) {
	t.Parallel()
	a := spstest.NewServer(t)
	c := testkit.Connect(t, a)
	report, err := c.Firmware.Upgrade(t.Context(), sps.FromSlot("2"), sps.WithPollInterval(time.Millisecond))
	if err != nil || report.Info.FirmwareVersion != "8.0.0" {
		t.Errorf("report %+v, %v", report, err)
	}
}

// TestUpgradeStops checks that an upgrade stops at the first failure, and that its error names
// the step and the state in which the appliance is left.
func TestUpgradeStops(t *testing.T) {
	t.Parallel()
	for name, test := range map[string]struct {
		source  sps.UpgradeSource
		options []spstest.Option
		prepare func(*spstest.Appliance)
		step    sps.FirmwareUpgradeStep
		want    error
		left    string
	}{
		"no source":                {nil, nil, nil, sps.StepPrepare, sps.ErrInvalidInput, "no upgrade was started"},
		"invalid key":              {sps.FromSlot("../info"), nil, nil, sps.StepPrepare, sps.ErrInvalidInput, "no upgrade was started"},
		"an unknown slot":          {sps.FromSlot("77"), nil, nil, sps.StepPrepare, sps.ResourceNotFound, "no upgrade was started; the appliance ran 7.4.0"},
		"an empty slot":            {sps.FromSlot("3"), nil, nil, sps.StepTest, sps.ResourceNotFound, "no upgrade was started; the appliance ran 7.4.0"},
		"required message missing": {sps.FromSlot("2"), []spstest.Option{spstest.WithCommitMessageRequired()}, nil, sps.StepPrepare, sps.ErrCommitMessageRequired, "no upgrade was started; the appliance ran 7.4.0"},
		"no such file":             {sps.FromFile("/no/such/file"), nil, nil, sps.StepUpload, sps.ErrInvalidInput, "the image was not uploaded"},
		"a broken image":           {sps.FromImage(strings.NewReader("x"), 1), nil, nil, sps.StepUpload, sps.ErrorType("InvalidFirmwareImage"), "the image was not uploaded"},
		"an unknown URL":           {sps.FromURL("https://nowhere.example/x", testkit.ImageSum), nil, nil, sps.StepFetch, nil, "its record remains"},
		"the test fails": {sps.FromSlot("2"), nil, func(a *spstest.Appliance) {
			a.SetSlot(spstest.Slot{Key: "2", Version: "8.0.0", TestFailure: spstest.TaintedFirmware()})
		}, sps.StepTest, sps.FirmwareTestFailed, "the image stays in slot 2"},
		"refused": {sps.FromSlot("2"), nil, func(a *spstest.Appliance) {
			a.Inject(spstest.Fault{Path: "firmware/upgrade", Status: 403, Body: `{"error":{"type":"Unauthorized"}}`})
		}, sps.StepUpgrade, sps.Unauthorized, "the image stays in slot 2"},
		"appliance never responds again": {sps.FromSlot("2"), nil, func(a *spstest.Appliance) { a.AfterRestart(spstest.OutcomeNeverBack) }, sps.StepWait, context.DeadlineExceeded, "look at the appliance"},
		"restart with the old version":   {sps.FromSlot("2"), nil, func(a *spstest.Appliance) { a.AfterRestart(spstest.OutcomeOldVersion) }, sps.StepWait, sps.ErrWrongVersion, "look at the appliance"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			upgradeBubble(t, func(t *testing.T, a *spstest.Appliance, c *sps.Client) {
				if test.prepare != nil {
					test.prepare(a)
				}
				report, err := c.Firmware.Upgrade(t.Context(), test.source)
				var stopped *sps.FirmwareUpgradeError
				if !errors.As(err, &stopped) || test.want != nil && !errors.Is(err, test.want) || report == nil {
					t.Fatalf("error %v, want %v", err, test.want)
				}
				if stopped.Step != test.step || !strings.Contains(stopped.Left, test.left) || strings.Contains(err.Error(), "\n") {
					t.Errorf("stopped at %s: %s", stopped.Step, err)
				}
				if test.step != sps.StepWait && a.Restarts() != 0 {
					t.Error("the appliance was restarted")
				}
			}, test.options...)
		})
	}
}

func TestStopAfterTest(t *testing.T) {
	t.Parallel()
	upgradeBubble(t, func(t *testing.T, a *spstest.Appliance, c *sps.Client) {
		report, err := c.Firmware.Upgrade(t.Context(), sps.FromImage(spstest.Image("8.1.0", imageSize), imageSize), sps.WithTestOnly())
		if err != nil || report.SlotKey != "3" || report.To != "8.1.0" || report.TestSummary == "" || report.Info != nil {
			t.Errorf("report %+v, %v", report, err)
		}
		testkit.Diff(t, "restarts", 0, a.Restarts())
	}, spstest.WithCommitMessageRequired())
}

// TestUpgradeAnswerLost checks that Upgrade finds out whether the appliance executed the
// upgrade request if its response is lost.
func TestUpgradeAnswerLost(t *testing.T) {
	t.Parallel()
	upgradeBubble(t, func(t *testing.T, a *spstest.Appliance, c *sps.Client) {
		a.Inject(spstest.Fault{Path: "firmware/upgrade", CutAfter: true})
		if report, err := c.Firmware.Upgrade(t.Context(), sps.FromSlot("2")); err != nil || report.Info.FirmwareVersion != "8.0.0" {
			t.Errorf("the upgrade was executed: report %+v, %v", report, err)
		}
	})
	upgradeBubble(t, func(t *testing.T, a *spstest.Appliance, c *sps.Client) {
		a.Inject(spstest.Fault{Path: "firmware/upgrade", CutBefore: true})
		_, err := c.Firmware.Upgrade(t.Context(), sps.FromSlot("2"), sps.WithWaitLimit(5*time.Minute))
		if !errors.Is(err, context.DeadlineExceeded) || !strings.Contains(err.Error(), "still runs 7.4.0") {
			t.Errorf("the upgrade was not executed: %v", err)
		}
		a.ClearFaults()
		a.Inject(spstest.Fault{Path: "firmware/upgrade", CutBefore: true})
		if _, err := c.Firmware.StartUpgrade(t.Context(), "2"); !errors.Is(err, sps.ErrOutcomeUnknown) {
			t.Errorf("StartUpgrade: %v, want ErrOutcomeUnknown", err)
		}
	})
}

// TestReinstall upgrades to the version that already runs. It checks that the client waits
// until it detects a restart, because the version does not change.
func TestReinstall(t *testing.T) {
	t.Parallel()
	slots := spstest.WithSlots(
		spstest.Slot{Key: "1", Version: "7.4.0", Current: true, AfterReboot: true},
		spstest.Slot{Key: "2", Version: "7.4.0"},
	)
	upgradeBubble(t, func(t *testing.T, a *spstest.Appliance, c *sps.Client) {
		var states []string
		_, err := c.Firmware.Upgrade(t.Context(), sps.FromSlot("2"), sps.WithProgress(func(p sps.Progress) { states = append(states, p.State) }))
		if err != nil {
			t.Fatal(err)
		}
		testkit.Diff(t, "restarts", 1, a.Restarts())
		if all := strings.Join(states, "\n"); !strings.Contains(all, "has not restarted yet") {
			t.Errorf("states:\n%s", all)
		}
	}, slots, spstest.WithRestart(spstest.Restart{Up: 5, Refused: 2, Unavailable: 2, Starting: 2}))

	// With WithRestartOf, the expected version alone does not end the wait: the appliance must
	// also have restarted.
	upgradeBubble(t, func(t *testing.T, a *spstest.Appliance, c *sps.Client) {
		before, err := c.Info(t.Context())
		if err != nil {
			t.Fatal(err)
		}
		_, err = c.Firmware.WaitForVersion(t.Context(), "7.4.0", sps.WithRestartOf(before), sps.WithWaitLimit(10*time.Minute))
		if !errors.Is(err, context.DeadlineExceeded) {
			t.Errorf("error %v, want the time limit", err)
		}
		if _, err = c.Firmware.WaitForVersion(t.Context(), "7.4"); err != nil {
			t.Errorf("WaitForVersion without WithRestartOf: %v", err)
		}
	}, slots)
}

// TestLoginRejectedWhileStarting checks an upgrade after which the starting appliance rejects
// logins. Upgrade must succeed if the rejections end soon. If they do not end, it must return
// AuthenticationFailure. In both cases, it may send at most 6 logins that are rejected.
func TestLoginRejectedWhileStarting(t *testing.T) {
	t.Parallel()
	starting := spstest.WithVariant("starting-login", "401:AuthenticationFailure")
	for _, test := range []struct {
		looks int
		ok    bool
	}{{3, true}, {100, false}} {
		upgradeBubble(t, func(t *testing.T, a *spstest.Appliance, c *sps.Client) {
			_, err := c.Firmware.Upgrade(t.Context(), sps.FromSlot("2"))
			if test.ok != (err == nil) || !test.ok && !errors.Is(err, sps.AuthenticationFailure) {
				t.Errorf("%d rejected logins: %v", test.looks, err)
			}
			refused := 0
			for _, r := range a.Journal() {
				if r.Path == "/api/authentication" && r.Status == 401 {
					refused++
				}
			}
			if refused > 6 {
				t.Errorf("%d logins were refused: the account would be locked", refused)
			}
		}, starting, spstest.WithRestart(spstest.Restart{Up: 1, Refused: 2, Unavailable: 1, Starting: test.looks}))
	}
}

// TestAnotherCertificate checks that an upgrade stops if the appliance has another certificate
// after the restart.
func TestAnotherCertificate(t *testing.T) {
	t.Parallel()
	a := spstest.NewServer(t)
	a.AfterRestart(spstest.OutcomeNewCertificate)
	c, err := testkit.Dial(t.Context(), a)
	if err != nil {
		t.Fatal(err)
	}
	_, err = c.Firmware.Upgrade(t.Context(), sps.FromSlot("2"), sps.WithPollInterval(time.Millisecond))
	var untrusted *sps.CertificateError
	if !errors.As(err, &untrusted) {
		t.Errorf("error %v, want a CertificateError", err)
	}
	c.Close(t.Context())
}

// TestWaitCancelled checks that WaitForVersion stops when its context is cancelled, and that
// its error contains the last failure.
func TestWaitCancelled(t *testing.T) {
	t.Parallel()
	upgradeBubble(t, func(t *testing.T, a *spstest.Appliance, c *sps.Client) {
		a.AfterRestart(spstest.OutcomeNeverBack)
		a.Restart()
		ctx, cancel := context.WithCancel(t.Context())
		time.AfterFunc(time.Minute, cancel)
		start := time.Now()
		_, err := c.Firmware.WaitForVersion(ctx, "8.0.0")
		if !errors.Is(err, context.Canceled) || !strings.Contains(err.Error(), "refused") || time.Since(start) != time.Minute {
			t.Errorf("error %v after %v", err, time.Since(start))
		}
	})
}

func TestCompareVersions(t *testing.T) {
	t.Parallel()
	for _, test := range []struct {
		a, b  string
		order int
		ok    bool
	}{
		{"7.10", "7.9", 1, true}, {"7.9", "7.10", -1, true}, {"8.0", "8.0.0", 0, true}, {"7.0.5.1", "7.0.5", 1, true}, {"8", "7.99.99", 1, true},
		{"", "1", 0, false}, {"7.x", "7.1", 0, false}, {"7.4.0-beta", "7.4.0", 0, false}, {"7..4", "7.4", 0, false}, {"-1", "1", 0, false},
		{"99999999999999999999", "1", 0, false},
	} {
		order, ok := sps.CompareVersions(test.a, test.b)
		if order != test.order || ok != test.ok {
			t.Errorf("CompareVersions(%q, %q) = %d, %t; want %d, %t", test.a, test.b, order, ok, test.order, test.ok)
		}
	}
}

// TestUpgradeVerifies checks that an upgrade fails in the step verify if the current slot
// after the restart is not the upgraded slot.
func TestUpgradeVerifies(t *testing.T) {
	t.Parallel()
	upgradeBubble(t, func(t *testing.T, a *spstest.Appliance, c *sps.Client) {
		a.Inject(spstest.Fault{Path: "firmware/slots", Skip: 1, Mutate: func(b []byte) []byte {
			return []byte(strings.ReplaceAll(string(b), `"current_slot":"/api/firmware/slots/2"`, `"current_slot":"/api/firmware/slots/1"`))
		}})
		_, err := c.Firmware.Upgrade(t.Context(), sps.FromSlot("2"))
		var stopped *sps.FirmwareUpgradeError
		if !errors.As(err, &stopped) || stopped.Step != sps.StepVerify {
			t.Errorf("error %v, want a failure in the step verify", err)
		}
	})
}

// TestUpgradeFromURLFindsTheSlot checks that Upgrade names both candidates if it cannot tell
// which slot a fetch has filled, and that it starts no fetch if there is no empty slot.
func TestUpgradeFromURLFindsTheSlot(t *testing.T) {
	t.Parallel()
	silent := spstest.WithVariant("fetch-slot", "none")
	upgradeBubble(t, func(t *testing.T, a *spstest.Appliance, c *sps.Client) {
		a.ServeImage(testkit.ImageURL, "8.1.0", testkit.ImageSum)
		a.Inject(spstest.Fault{Method: "GET", Path: "firmware/fetch/*", Skip: 1, Mutate: func(b []byte) []byte {
			a.SetSlot(spstest.Slot{Key: "5", Version: "8.1.0"}) // an upload by somebody else
			return b
		}})
		report, err := c.Firmware.Upgrade(t.Context(), sps.FromURL(testkit.ImageURL, testkit.ImageSum), sps.WithTestOnly())
		if err == nil || !strings.Contains(err.Error(), "two slots were filled") || report.FetchKey == "" {
			t.Errorf("report %+v, error %v, want one that names both slots", report, err)
		}
	}, silent)
	upgradeBubble(t, func(t *testing.T, a *spstest.Appliance, c *sps.Client) {
		a.ResetJournal()
		_, err := c.Firmware.Upgrade(t.Context(), sps.FromURL(testkit.ImageURL, testkit.ImageSum))
		if !errors.Is(err, sps.ErrNoEmptySlot) {
			t.Errorf("error %v, want ErrNoEmptySlot", err)
		}
		for _, request := range testkit.Requests(a) {
			if strings.HasPrefix(request, "POST") {
				t.Errorf("sent %s", request)
			}
		}
	}, spstest.WithSlots(spstest.Slot{Key: "1", Version: "7.4.0", Current: true, AfterReboot: true}))
}

// TestUpgradeAnsweredByGateway checks that Upgrade waits for the new version if a gateway
// answers the upgrade request with a 5xx status, because the upgrade may have begun.
func TestUpgradeAnsweredByGateway(t *testing.T) {
	t.Parallel()
	for _, status := range []int{500, 502, 503, 504} {
		upgradeBubble(t, func(t *testing.T, a *spstest.Appliance, c *sps.Client) {
			a.Inject(spstest.Fault{Path: "firmware/upgrade", Status: status, Execute: true})
			if report, err := c.Firmware.Upgrade(t.Context(), sps.FromSlot("2")); err != nil || report.Info.FirmwareVersion != "8.0.0" {
				t.Errorf("%d: report %+v, %v", status, report, err)
			}
			testkit.Diff(t, "restarts", 1, a.Restarts())
		})
	}
}

// TestExpectVersion checks that Upgrade stops before the test if the image has another version
// than WithExpectedVersion demands.
func TestExpectVersion(t *testing.T) {
	t.Parallel()
	upgradeBubble(t, func(t *testing.T, a *spstest.Appliance, c *sps.Client) {
		_, err := c.Firmware.Upgrade(t.Context(), sps.FromSlot("4"), sps.WithExpectedVersion("8.0.0"))
		if !errors.Is(err, sps.ErrUnexpectedImage) || !strings.Contains(err.Error(), "6.0.10") {
			t.Errorf("error %v, want ErrUnexpectedImage with the version of the image", err)
		}
		for _, request := range testkit.Requests(a) {
			if strings.HasPrefix(request, "POST") {
				t.Errorf("sent %s", request)
			}
		}
		if _, err := c.Firmware.Upgrade(t.Context(), sps.FromSlot("2"), sps.WithExpectedVersion("8.0"), sps.WithTestOnly()); err != nil {
			t.Errorf("the same version in another spelling: %v", err)
		}
	})
}

// TestUpgradeSurvivesFailedReads checks that an upgrade continues if reads before or after it fail
// temporarily.
func TestUpgradeSurvivesFailedReads(t *testing.T) {
	t.Parallel()
	upgradeBubble(t, func(t *testing.T, a *spstest.Appliance, c *sps.Client) {
		a.ServeImage(testkit.ImageURL, "8.0.0", testkit.ImageSum)
		a.Inject(spstest.Fault{Method: "GET", Path: "firmware/fetch/*", Skip: 1, Times: 12, Status: 503})
		a.Inject(spstest.Fault{Method: "GET", Path: "firmware/slots", Skip: 1, Times: 6, Status: 503})
		if _, err := c.Firmware.Upgrade(t.Context(), sps.FromURL(testkit.ImageURL, testkit.ImageSum)); err != nil {
			t.Error(err)
		}
	})
	// The error and the report name the slot of the image even if reading that slot failed.
	upgradeBubble(t, func(t *testing.T, a *spstest.Appliance, c *sps.Client) {
		a.Inject(spstest.Fault{Method: "GET", Path: "firmware/slots/3", Times: -1, Status: 500})
		report, err := c.Firmware.Upgrade(t.Context(), sps.FromImage(spstest.Image("8.1.0", imageSize), imageSize))
		var stopped *sps.FirmwareUpgradeError
		if !errors.As(err, &stopped) || report.SlotKey != "3" || !strings.Contains(stopped.Left, "slot 3") {
			t.Errorf("report %+v, error %v", report, err)
		}
	})
}

// TestRestartBetweenPolls checks that WaitForVersion detects a restart between two polls,
// because the restart ended the client's session.
func TestRestartBetweenPolls(t *testing.T) {
	t.Parallel()
	upgradeBubble(t, func(t *testing.T, a *spstest.Appliance, c *sps.Client) {
		before, err := c.Info(t.Context())
		if err != nil {
			t.Fatal(err)
		}
		time.AfterFunc(25*time.Second, a.ExpireSessions)
		start := time.Now()
		if _, err := c.Firmware.WaitForVersion(t.Context(), "7.4.0", sps.WithRestartOf(before)); err != nil {
			t.Error(err)
		}
		if took := time.Since(start); took != 30*time.Second {
			t.Errorf("WaitForVersion returned after %v, want 30 s", took)
		}
	})
}

// TestPollsAreSpaced checks that WaitForVersion sends one request for each interval, even if
// the appliance answers with 503.
func TestPollsAreSpaced(t *testing.T) {
	t.Parallel()
	upgradeBubble(t, func(t *testing.T, a *spstest.Appliance, c *sps.Client) {
		a.Inject(spstest.Fault{Path: "info", Status: 503, Times: -1})
		a.ResetJournal()
		looks := 0
		_, err := c.Firmware.WaitForVersion(t.Context(), "8.0.0", sps.WithPollInterval(10*time.Second), sps.WithWaitLimit(time.Minute),
			sps.WithProgress(func(sps.Progress) { looks++ }))
		if err == nil {
			t.Error("no error")
		}
		testkit.Diff(t, "requests", looks, len(testkit.Requests(a)))
	})
}

// TestRefusedLoginsAreSpaced checks that WaitForVersion waits longer than the poll interval
// between rejected logins, which could otherwise lock the account.
func TestRefusedLoginsAreSpaced(t *testing.T) {
	t.Parallel()
	upgradeBubble(t, func(t *testing.T, a *spstest.Appliance, c *sps.Client) {
		a.SetPassword(a.Username(), "rotated")
		a.ExpireSessions()
		start := time.Now()
		_, err := c.Firmware.WaitForVersion(t.Context(), "8.0.0", sps.WithPollInterval(time.Second))
		if !errors.Is(err, sps.AuthenticationFailure) || time.Since(start) < time.Minute {
			t.Errorf("error %v after %v, want at least a minute", err, time.Since(start))
		}
	})
}

// TestMessageRequired checks that the error of an upgrade without the required message names
// WithMessage.
func TestMessageRequired(t *testing.T) {
	t.Parallel()
	a := spstest.NewServer(t, spstest.WithCommitMessageRequired())
	c := testkit.Connect(t, a)
	if _, err := c.Firmware.Upgrade(t.Context(), sps.FromSlot("2")); !errors.Is(err, sps.ErrCommitMessageRequired) || !strings.Contains(err.Error(), "WithMessage") {
		t.Errorf("error %v, want one that names WithMessage", err)
	}
}
