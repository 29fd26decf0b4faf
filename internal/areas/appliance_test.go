package areas

import (
	"bytes"
	"compress/gzip"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp/cmpopts"

	"github.com/go-sps/sps"
	"github.com/go-sps/sps/internal/testkit"
	"github.com/go-sps/sps/spstest"
)

func TestUserInfo(t *testing.T) {
	t.Parallel()
	testkit.UnderVariants(t, func(t *testing.T, options ...spstest.Option) {
		c := testkit.Connect(t, spstest.NewServer(t, options...))
		got, err := c.UserInfo(t.Context())
		if err != nil {
			t.Fatal(err)
		}
		want := &sps.UserInfo{Name: "admin"}
		if got.Endpoints != nil {
			want.Endpoints = []sps.AllowedEndpoint{{URL: "/api", Methods: []string{"DELETE", "GET", "POST", "PUT"}}}
		} else {
			want.LoginMethod = sps.LoginMethod{Name: "local", Authentication: "local", Credential: "password"}
		}
		testkit.Diff(t, "user info", want, got)
	})
	a := spstest.NewServer(t)
	c := testkit.Connect(t, a)
	for _, body := range []string{`{}`, `{"user":"admin"}`, `{"user":{"name":null}}`, `{"body":{}}`} {
		a.Inject(spstest.Fault{Method: "GET", Path: "user_info", Status: 200, Body: body})
		if got, err := c.UserInfo(t.Context()); !errors.Is(err, sps.ErrBadAnswer) {
			t.Errorf("%s: %+v, %v", body, got, err)
		}
	}
}

func TestHealth(t *testing.T) {
	t.Parallel()
	a := spstest.NewServer(t)
	c := testkit.Connect(t, a)
	healthy, err := c.HealthStatus(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	if healthy.RAIDStatus != "OK" || healthy.Integrity["core"] != "OK" || healthy.TaintedFiles["core"] != 0 || len(healthy.Raw) == 0 {
		t.Errorf("the status of a healthy appliance: %+v", healthy)
	}
	sample := struct {
		Health json.RawMessage `json:"health_status"`
	}{}
	if err := json.Unmarshal([]byte(testkit.Sample(t, "health_status.get")), &sample); err != nil {
		t.Fatal(err)
	}
	a.SetHealth(sample.Health)
	got, err := c.HealthStatus(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	testkit.Diff(t, "health", &sps.HealthStatus{
		CPU: new(1.0), Disk: new(2.0), Memory: new(7.0), Swap: new(8.0), Load1: new(3.0), Load5: new(5.0), Load15: new(4.0),
		TaintedFiles: map[string]int{"boot": 1, "core": 2, "ha_other": 0}, Integrity: map[string]string{"boot": "OK", "core": "CORRUPTED"},
		RAIDStatus: "OK", RAIDDetail: "OK", RAIDDisks: map[string]string{"252:0": "OK", "252:1": "OK"},
		Sessions:      map[string]int{"http": 1, "ica": 2, "mssql": 3, "rdp": 4, "ssh": 5, "telnet": 6, "vnc": 7},
		SessionsTotal: new(28), PipelineQueues: map[string]float64{"session_events": 64.3, "indexer_events": 40},
	}, got, cmpopts.IgnoreFields(sps.HealthStatus{}, "Raw"))
	// A member with an unexpected type does not prevent the other members from being read.
	a.Inject(spstest.Fault{Method: "GET", Path: "health_status", Status: 200,
		Body: `{"health_status":{"cpu":"high","disk":2.5,"raid":[],"firmware":{"tainted_files":7,"integrity":null},"sessions_total":1}}`})
	if got, err = c.HealthStatus(t.Context()); err != nil {
		t.Fatal(err)
	}
	testkit.Diff(t, "health with unexpected types", &sps.HealthStatus{
		Disk: new(2.5), SessionsTotal: new(1), Unreadable: []string{"cpu", "firmware/tainted_files", "raid"},
	}, got, cmpopts.IgnoreFields(sps.HealthStatus{}, "Raw"))
	a.Inject(spstest.Fault{Method: "GET", Path: "health_status", Status: 200, Body: `{"meta":{}}`})
	if got, err := c.HealthStatus(t.Context()); !errors.Is(err, sps.ErrBadAnswer) {
		t.Errorf("a response without a status: %+v, %v", got, err)
	}
}

// TestHealthIssues checks which issues are reported for a health status. A status that is bad,
// that is incomplete or that cannot be read must not pass as good.
func TestHealthIssues(t *testing.T) {
	t.Parallel()
	a := spstest.NewServer(t)
	c := testkit.Connect(t, a)
	const good = `"firmware":{"tainted_files":{"core":0},"integrity":{"core":"OK"}},"disk":2`
	const raid = `"raid":{"status":{"status":"OK"},"disks":{"252:0":{"status":"OK"}}}`
	for body, want := range map[string][]string{
		`{` + good + `}`:               nil,
		`{` + good + `,` + raid + `}`:  nil,
		`{` + good + `,"raid":null}`:   nil,
		`{` + good + `,"raid":"none"}`: {"the RAID cannot be read"},
		`{}`:                           {"the number of modified firmware files is not reported", "the integrity of the firmware is not reported", "the used disk space is not reported"},
		`{"firmware":7,"disk":2}`:      {"the number of modified firmware files is not reported", "the integrity of the firmware is not reported"},
		`{"firmware":{"tainted_files":{"boot":"0","core":"7","ha":[],"x":-1},"integrity":{"boot":null,"core":"CORRUPTED","y":1}},"disk":{}}`: {
			"7 modified files in core", "the number of modified files in ha cannot be read", "the number of modified files in x cannot be read",
			"the integrity of boot cannot be read", "the integrity of core is CORRUPTED", "the integrity of y cannot be read", "the used disk space is not reported",
		},
		`{` + good + `,"raid":{"status":{"status":"DEGRADED"},"disks":{"252:0":{"status":"OK"},"252:1":{}}}}`: {"the RAID is DEGRADED", "the disk 252:1 of the RAID cannot be read"},
	} {
		a.Inject(spstest.Fault{Method: "GET", Path: "health_status", Status: 200, Body: `{"health_status":` + body + `}`})
		got, err := c.HealthStatus(t.Context())
		if err != nil {
			t.Fatal(err)
		}
		testkit.Diff(t, body, want, got.Issues())
	}
	// total_sessions and sessions_total are separate members, in either order.
	for range 20 {
		a.Inject(spstest.Fault{Method: "GET", Path: "health_status", Status: 200, Body: `{"health_status":{"total_sessions":"9","sessions_total":4}}`})
		got, err := c.HealthStatus(t.Context())
		if err != nil {
			t.Fatal(err)
		}
		testkit.Diff(t, "totals", []*int{new(4), new(9)}, []*int{got.SessionsTotal, got.TotalSessions})
	}
}

func TestClusterStatus(t *testing.T) {
	t.Parallel()
	testkit.UnderVariants(t, func(t *testing.T, options ...spstest.Option) {
		alone := testkit.Connect(t, spstest.NewServer(t, options...))
		var refused *sps.Error
		if got, err := alone.Cluster.Status(t.Context()); !errors.As(err, &refused) {
			t.Errorf("without a cluster: %+v, %v", got, err)
		}
		c := testkit.Connect(t, spstest.NewServer(t, append(options, spstest.WithCluster())...))
		got, err := c.Cluster.Status(t.Context())
		if err != nil {
			t.Fatal(err)
		}
		if len(got.Nodes) != 2 || got.Self == "" || got.Self != got.Nodes[0].Key {
			t.Fatalf("status %+v", got)
		}
		ours, theirs := got.Nodes[0], got.Nodes[1]
		if ours.SyncStatus != "n/a" || ours.Health != nil || ours.FQDN == "" || len(ours.Raw) == 0 {
			t.Errorf("the node of this appliance: %+v", ours)
		}
		if theirs.Health == nil || theirs.Health.Memory == nil || *theirs.Health.Memory != 62.5 || theirs.Health.SessionsTotal != nil || theirs.Health.TotalSessions == nil || *theirs.Health.TotalSessions != 7 || theirs.LastSeen.IsZero() || len(theirs.Warnings) != 1 || len(theirs.Warnings[0].Paths) != 2 {
			t.Errorf("the other node: %+v", theirs)
		}
	})
}

func TestSetupStatus(t *testing.T) {
	t.Parallel()
	a := spstest.NewServer(t)
	for _, status := range []string{"uninitialized", "booting", "completed"} {
		a.SetSetupStatus(status)
		got, err := sps.SetupStatus(t.Context(), a.Addr(), sps.WithCABundle(a.CA()))
		if err != nil {
			t.Fatal(err)
		}
		if got.Status != status || got.EULA == "" {
			t.Errorf("setup %+v", got)
		}
	}
	if a.Sessions() != 0 {
		t.Error("SetupStatus logged in")
	}
	a.Inject(spstest.Fault{Method: "GET", Path: "setup", Status: 200, Body: `{"meta":{}}`})
	if got, err := sps.SetupStatus(t.Context(), a.Addr(), sps.WithCABundle(a.CA())); !errors.Is(err, sps.ErrBadAnswer) {
		t.Errorf("a response without a status: %+v, %v", got, err)
	}
}

func TestSupportBundle(t *testing.T) {
	t.Parallel()
	testkit.UnderVariants(t, func(t *testing.T, options ...spstest.Option) {
		a := spstest.NewServer(t, options...)
		c := testkit.Connect(t, a)
		key, err := c.Troubleshooting.SupportBundle.Start(t.Context())
		if err != nil {
			t.Fatal(err)
		}
		var states int
		bundle, err := c.Troubleshooting.SupportBundle.Wait(t.Context(), key, sps.WithPollInterval(time.Millisecond), sps.WithProgress(func(sps.Progress) { states++ }))
		if err != nil {
			t.Fatal(err)
		}
		if bundle.Key != key || bundle.Status != sps.JobFinished || bundle.Progress != -1 || states < 2 {
			t.Errorf("bundle %+v after %d polls", bundle, states)
		}
		list, err := c.Troubleshooting.SupportBundle.List(t.Context())
		if err != nil {
			t.Fatal(err)
		}
		testkit.Diff(t, "list", []sps.SupportBundle{*bundle}, list, cmpopts.IgnoreFields(sps.SupportBundle{}, "Raw"))
		var file bytes.Buffer
		n, err := c.Troubleshooting.SupportBundle.Download(t.Context(), key, &file)
		if err != nil || n == 0 || n != int64(file.Len()) {
			t.Fatalf("%d bytes, %v", n, err)
		}
		if unzipped, err := gzip.NewReader(&file); err != nil {
			t.Errorf("reading the downloaded file: %v", err)
		} else if _, err := io.Copy(io.Discard, unzipped); err != nil {
			t.Errorf("reading the downloaded file: %v", err)
		}
		if err := c.Troubleshooting.SupportBundle.Delete(t.Context(), key); err != nil {
			t.Fatal(err)
		}
		if gone, err := c.Troubleshooting.SupportBundle.Get(t.Context(), key); !errors.Is(err, sps.ResourceNotFound) {
			t.Errorf("after the deletion: %+v, %v", gone, err)
		}

		a.FailBundles(true)
		if key, err = c.Troubleshooting.SupportBundle.Start(t.Context()); err != nil {
			t.Fatal(err)
		}
		var failed *sps.SupportBundleError
		if _, err := c.Troubleshooting.SupportBundle.Wait(t.Context(), key, sps.WithPollInterval(time.Millisecond)); !errors.As(err, &failed) || failed.Bundle.Key != key {
			t.Errorf("a failed bundle: %v", err)
		}
	})
}

func TestSupportBundleFailures(t *testing.T) {
	t.Parallel()
	testkit.Bubble(t, func(t *testing.T, a *spstest.Appliance, c *sps.Client) {
		key, err := c.Troubleshooting.SupportBundle.Start(t.Context())
		if err != nil {
			t.Fatal(err)
		}
		a.Inject(spstest.Fault{Method: "GET", Path: "troubleshooting/support-bundle/*", Status: 200, Body: `{"body":{"status":"packing","progress":"40 %","message":"m"},"meta":{}}`, Times: -1})
		bundle, err := c.Troubleshooting.SupportBundle.Get(t.Context(), key)
		if err != nil {
			t.Fatal(err)
		}
		if bundle.Status != "packing" || bundle.Message != "m" {
			t.Errorf("bundle %+v", bundle)
		}
		start := time.Now()
		_, err = c.Troubleshooting.SupportBundle.Wait(t.Context(), key, sps.WithWaitLimit(time.Minute))
		if !errors.Is(err, context.DeadlineExceeded) || !strings.Contains(fmt.Sprint(err), "it was packing") || time.Since(start) != time.Minute {
			t.Errorf("Wait ended after %s: %v, want DeadlineExceeded after 1 m", time.Since(start), err)
		}
		a.ClearFaults()
		a.Inject(spstest.Fault{Method: "GET", Path: "troubleshooting/support-bundle/*", Status: 200, Body: `{"body":{}}`})
		if bundle, err := c.Troubleshooting.SupportBundle.Get(t.Context(), key); !errors.Is(err, sps.ErrBadAnswer) {
			t.Errorf("a response without a status: %+v, %v", bundle, err)
		}
		// A list may contain keys without bodies, and a listed object may no longer exist.
		a.Inject(spstest.Fault{Method: "GET", Path: "troubleshooting/support-bundle", Status: 200, Body: `{"items":[{"key":"` + key + `"},{"key":"gone"}]}`})
		list, err := c.Troubleshooting.SupportBundle.List(t.Context())
		if err != nil || len(list) != 1 || list[0].Key != key {
			t.Errorf("list %+v, %v", list, err)
		}
		a.Inject(spstest.Fault{Method: "POST", Path: "troubleshooting/support-bundle", CutAfter: true})
		if _, err := c.Troubleshooting.SupportBundle.Start(t.Context()); !errors.Is(err, sps.ErrOutcomeUnknown) {
			t.Errorf("a lost response: %v", err)
		}
		a.Inject(spstest.Fault{Method: "POST", Path: "troubleshooting/support-bundle", Status: http.StatusAccepted, Body: `{"meta":{}}`})
		if _, err := c.Troubleshooting.SupportBundle.Start(t.Context()); !errors.Is(err, sps.ErrBadAnswer) {
			t.Errorf("a response without a key: %v", err)
		}
		for _, key := range []string{"", "..", "a/b"} {
			if _, err := c.Troubleshooting.SupportBundle.Get(t.Context(), key); !errors.Is(err, sps.ErrInvalidInput) {
				t.Errorf("key %q: %v", key, err)
			}
			if _, err := c.Troubleshooting.SupportBundle.Download(t.Context(), key, io.Discard); !errors.Is(err, sps.ErrInvalidInput) {
				t.Errorf("key %q: %v", key, err)
			}
			if err := c.Troubleshooting.SupportBundle.Delete(t.Context(), key); !errors.Is(err, sps.ErrInvalidInput) {
				t.Errorf("key %q: %v", key, err)
			}
		}
	})
}

// TestSessionRemaining checks that the remaining time of the session is read from the info
// endpoint and from the metadata of an object.
func TestSessionRemaining(t *testing.T) {
	t.Parallel()
	a := spstest.NewServer(t)
	c := testkit.Connect(t, a)
	a.Inject(spstest.Fault{Method: "GET", Path: "info", Status: 200, Body: `{"body":{"firmware_version":"8.0.0"},"meta":{"remaining_seconds":90}}`})
	info, err := c.Info(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	testkit.Diff(t, "info", 90*time.Second, info.SessionRemaining)
	a.Inject(spstest.Fault{Method: "GET", Path: "configuration/management/email", Status: 200, Body: `{"key":"email","body":{},"meta":{"remaining_seconds":90}}`})
	email, err := c.Management.Email.Get(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	testkit.Diff(t, "meta", 90*time.Second, email.Meta.SessionRemaining)
}
