package areas

import (
	"context"
	"errors"
	"strings"
	"testing"
	"time"

	"github.com/go-sps/sps"
	"github.com/go-sps/sps/internal/testkit"
	"github.com/go-sps/sps/spstest"
)

// TestFetchFlow checks fetches that finish, are cancelled and fail, with each variant of the
// appliance.
func TestFetchFlow(t *testing.T) {
	t.Parallel()
	testkit.UnderVariants(t, func(t *testing.T, options ...spstest.Option) {
		a := spstest.NewServer(t, options...)
		a.ServeImage(testkit.ImageURL, "8.1.0", testkit.ImageSum)
		c := testkit.Connect(t, a)
		f := c.Firmware

		key, err := f.Fetch.Start(t.Context(), testkit.ImageURL, strings.ToUpper(testkit.ImageSum))
		if err != nil {
			t.Fatal(err)
		}
		if err := f.Fetch.Delete(t.Context(), key); !errors.Is(err, sps.ErrFetchRunning) {
			t.Errorf("Delete of a running fetch: %v, want ErrFetchRunning", err)
		}
		looks := 0
		done, err := f.Fetch.Wait(t.Context(), key, sps.WithPollInterval(time.Millisecond), sps.WithProgress(func(sps.Progress) { looks++ }))
		if err != nil || done.Status != sps.JobFinished || looks == 0 {
			t.Fatalf("fetch %+v after %d polls, %v", done, looks, err)
		}
		slot, err := f.Slots.Get(t.Context(), "3")
		if err != nil || slot.Body.Version != "8.1.0" || done.SlotKey != "" && done.SlotKey != "3" {
			t.Errorf("slot %+v, %v; the fetch says %q", slot, err, done.SlotKey)
		}
		if err := f.Fetch.Cancel(t.Context(), key); !errors.Is(err, sps.ErrFetchDone) {
			t.Errorf("Cancel of a finished fetch: %v, want ErrFetchDone", err)
		}

		other, err := f.Fetch.Start(t.Context(), testkit.ImageURL, testkit.ImageSum)
		if err != nil {
			t.Fatal(err)
		}
		if err := f.Fetch.Cancel(t.Context(), other); err != nil {
			t.Errorf("Cancel: %v", err)
		}
		var failed *sps.FirmwareFetchError
		if _, err := f.Fetch.Wait(t.Context(), other); !errors.As(err, &failed) || failed.Fetch.Status != sps.JobCancelled {
			t.Errorf("Wait for a cancelled fetch: %v", err)
		}

		wrong, err := f.Fetch.Start(t.Context(), testkit.ImageURL, strings.Repeat("0", 64))
		if err != nil {
			t.Fatal(err)
		}
		if _, err := f.Fetch.Wait(t.Context(), wrong, sps.WithPollInterval(time.Millisecond)); !errors.As(err, &failed) || failed.Fetch.Status != sps.JobFailed {
			t.Errorf("a wrong checksum: %v", err)
		}

		list, err := f.Fetch.List(t.Context())
		if err != nil || len(list) != 3 {
			t.Fatalf("fetches %+v, %v", list, err)
		}
		for _, fetch := range list {
			if err := f.Fetch.Delete(t.Context(), fetch.Key); err != nil {
				t.Errorf("Delete of %+v: %v", fetch, err)
			}
		}
		if list, err = f.Fetch.List(t.Context()); err != nil || len(list) != 0 {
			t.Errorf("fetches after all were deleted: %+v, %v", list, err)
		}
		for operation, err := range map[string]error{
			"Fetch": func() error { _, err := f.Fetch.Get(t.Context(), key); return err }(), "CancelFetch": f.Fetch.Cancel(t.Context(), key),
			"WaitForFetch": func() error { _, err := f.Fetch.Wait(t.Context(), key); return err }(),
		} {
			if !errors.Is(err, sps.ResourceNotFound) {
				t.Errorf("%s of an unknown key: %v, want ResourceNotFound", operation, err)
			}
		}
	})
}

func TestFetchInput(t *testing.T) {
	t.Parallel()
	a := spstest.NewServer(t)
	c := testkit.Connect(t, a)
	a.ResetJournal()
	for _, input := range [][2]string{
		{"", testkit.ImageSum}, {"ftp://x/y", testkit.ImageSum}, {"/etc/passwd", testkit.ImageSum}, {"https://", testkit.ImageSum}, {"https://x\n/y", testkit.ImageSum},
		{testkit.ImageURL, ""}, {testkit.ImageURL, "abc"}, {testkit.ImageURL, strings.Repeat("g", 64)}, {testkit.ImageURL, testkit.ImageSum + "00"},
	} {
		if _, err := c.Firmware.Fetch.Start(t.Context(), input[0], input[1]); !errors.Is(err, sps.ErrInvalidInput) {
			t.Errorf("%q: %v, want ErrInvalidInput", input, err)
		}
	}
	for _, key := range []string{"", "..", "a/b"} {
		if _, err := c.Firmware.Fetch.Get(t.Context(), key); !errors.Is(err, sps.ErrInvalidInput) {
			t.Errorf("key %q: %v, want ErrInvalidInput", key, err)
		}
	}
	testkit.Diff(t, "requests", []string(nil), testkit.Requests(a))
}

// TestWaitForFetchEnds checks that Fetch.Wait ends with an error at its time limit and at the
// deadline of its context.
func TestWaitForFetchEnds(t *testing.T) {
	t.Parallel()
	testkit.Bubble(t, func(t *testing.T, a *spstest.Appliance, c *sps.Client) {
		a.ServeImage(testkit.ImageURL, "8.1.0", testkit.ImageSum)
		key, err := c.Firmware.Fetch.Start(t.Context(), testkit.ImageURL, testkit.ImageSum)
		if err != nil {
			t.Fatal(err)
		}
		a.Inject(spstest.Fault{Method: "GET", Path: "firmware/fetch/*", Times: -1, Mutate: func([]byte) []byte {
			return []byte(`{"key":"` + key + `","body":{"status":"pondering","progress":"12%"}}`)
		}})
		start := time.Now()
		_, err = c.Firmware.Fetch.Wait(t.Context(), key, sps.WithWaitLimit(time.Minute))
		if !errors.Is(err, context.DeadlineExceeded) || !strings.Contains(err.Error(), "pondering") {
			t.Errorf("error %v, want the time limit and the last status", err)
		}
		if took := time.Since(start); took != time.Minute {
			t.Errorf("waited %v", took)
		}
		ctx, cancel := context.WithTimeout(t.Context(), 7*time.Second)
		defer cancel()
		if _, err := c.Firmware.Fetch.Wait(ctx, key); !errors.Is(err, context.DeadlineExceeded) || ctx.Err() == nil {
			t.Errorf("error %v, want the error of the context", err)
		}
	})
}

// TestFetchListWithoutBodies checks that List reads each fetch by its key if the list contains
// keys only, and leaves out a fetch that no longer exists.
func TestFetchListWithoutBodies(t *testing.T) {
	t.Parallel()
	a := spstest.NewServer(t)
	a.ServeImage(testkit.ImageURL, "8.1.0", testkit.ImageSum)
	c := testkit.Connect(t, a)
	key, err := c.Firmware.Fetch.Start(t.Context(), testkit.ImageURL, testkit.ImageSum)
	if err != nil {
		t.Fatal(err)
	}
	a.Inject(spstest.Fault{Method: "GET", Path: "firmware/fetch", Mutate: func([]byte) []byte {
		return []byte(`{"items":[{"key":"` + key + `"},{"key":"gone"}]}`)
	}})
	list, err := c.Firmware.Fetch.List(t.Context())
	if err != nil || len(list) != 1 || list[0].Key != key || list[0].Status == "" {
		t.Errorf("fetches %+v, %v", list, err)
	}
}

// TestFetchHidesCredentials checks that an error does not show the password of a URL, even if
// the appliance repeats it.
func TestFetchHidesCredentials(t *testing.T) {
	t.Parallel()
	const secretURL = "https://robot:hushhush@images.example/x"
	a := spstest.NewServer(t)
	c := testkit.Connect(t, a)
	a.Inject(spstest.Fault{Method: "POST", Path: "firmware/fetch", Status: 400, Body: `{"error":{"type":"SyntacticError","message":"cannot get ` + secretURL + ` with hushhush"}}`})
	if _, err := c.Firmware.Fetch.Start(t.Context(), secretURL, testkit.ImageSum); !errors.Is(err, sps.SyntacticError) || strings.Contains(err.Error(), "hush") {
		t.Errorf("error %v", err)
	}
}

// TestJobStatus checks that each spelling of a known status is decoded as its constant, and
// that an unknown status is returned unchanged.
func TestJobStatus(t *testing.T) {
	t.Parallel()
	a := spstest.NewServer(t)
	c := testkit.Connect(t, a)
	for written, want := range map[string]sps.JobStatus{
		"queued": sps.JobQueued, "in_progress": sps.JobInProgress, "In Progress": sps.JobInProgress, "IN-PROGRESS": sps.JobInProgress,
		"Finished": sps.JobFinished, "ERROR": sps.JobFailed, "failed": sps.JobFailed, "canceled": sps.JobCancelled, "CANCELLED": sps.JobCancelled,
		"Pondering_It": "Pondering_It", "finished!": "finished!",
	} {
		a.Inject(spstest.Fault{Method: "GET", Path: "*/*/x", Status: 200, Times: 2, Body: `{"key":"x","body":{"status":"` + written + `"}}`})
		fetch, err := c.Firmware.Fetch.Get(t.Context(), "x")
		if err != nil {
			t.Fatal(err)
		}
		testkit.Diff(t, written, want, fetch.Status)
		bundle, err := c.Troubleshooting.SupportBundle.Get(t.Context(), "x")
		if err != nil {
			t.Fatal(err)
		}
		testkit.Diff(t, written, want, bundle.Status)
	}
}
