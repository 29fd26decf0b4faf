package sps

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"time"
)

var supportBundlePath = mustPath("troubleshooting/support-bundle")

// SupportBundles makes support bundles: files with logs and settings of one
// appliance for the vendor's support (guide: Health and maintenance;
// troubleshooting/support-bundle). The appliance deletes them after 24 hours.
type SupportBundles struct{ client *Client }

// Troubleshooting is what helps the vendor's support (guide: Troubleshooting).
type Troubleshooting struct {
	// SupportBundle makes support bundles, troubleshooting/support-bundle.
	SupportBundle SupportBundles
}

// SupportBundle is the job that makes one.
type SupportBundle struct {
	// Key names the bundle.
	Key string
	// Status is its state; [JobFinished] is the one that the guide names.
	Status JobStatus
	// Progress is the share that is done, from 0 to 100; -1 where the appliance
	// does not say.
	Progress float64
	// Message is what the appliance says about a failure, "" for nothing.
	Message string
	// Raw is the body as it was sent, for what is not known here.
	Raw json.RawMessage
}

// SupportBundleError is the error of a support bundle that ended otherwise than finished.
type SupportBundleError struct {
	// Bundle is its last state.
	Bundle SupportBundle
}

// Error returns the key, the status and the message.
func (e *SupportBundleError) Error() string {
	text := fmt.Sprintf("sps: support bundle %s: %s", oneLine(e.Bundle.Key, 40), oneLine(string(e.Bundle.Status), 60))
	if e.Bundle.Message != "" {
		text += ": " + oneLine(e.Bundle.Message, 300)
	}
	return text
}

// List lists the bundles that the appliance has or makes (GET
// /api/troubleshooting/support-bundle).
func (s SupportBundles) List(ctx context.Context) ([]SupportBundle, error) {
	return s.jobs().list(ctx)
}

// Get reads one bundle's state (GET /api/troubleshooting/support-bundle/<key>). It
// gives [ResourceNotFound] for one that does not exist.
func (s SupportBundles) Get(ctx context.Context, key string) (*SupportBundle, error) {
	return s.jobs().get(ctx, key)
}

func (s SupportBundles) jobs() jobs[SupportBundle] {
	return jobs[SupportBundle]{s.client, supportBundlePath, "support bundle", newBundle, func(b *SupportBundle) (JobStatus, float64) { return b.Status, b.Progress }}
}

// Start begins a bundle (POST /api/troubleshooting/support-bundle) and returns its
// key. Follow it with [SupportBundles.Wait]. What the appliance answers while it makes
// another one is not documented. Where the answer is lost it is [ErrOutcomeUnknown]: a
// bundle that [SupportBundles.List] shows then may be somebody else's.
func (s SupportBundles) Start(ctx context.Context) (key string, err error) {
	return s.client.create(ctx, supportBundlePath, nil, witness{method: "Troubleshooting.SupportBundle.List"})
}

// Wait waits until a bundle has ended, and returns it if it is finished; otherwise
// it is a [SupportBundleError]. When the time is over the error wraps
// context.DeadlineExceeded, and the appliance goes on.
func (s SupportBundles) Wait(ctx context.Context, key string, options ...WaitOption) (*SupportBundle, error) {
	o, err := newWait(10*time.Second, 30*time.Minute, options)
	if err != nil {
		return nil, err
	}
	bundle, finished, err := s.jobs().wait(ctx, key, o)
	if err == nil && !finished {
		return nil, &SupportBundleError{*bundle}
	}
	return bundle, err
}

// Download writes a finished bundle, a .tar.gz file, to w as it comes (GET
// /api/troubleshooting/support-bundle/<key>/download); see [Client.Download].
func (s SupportBundles) Download(ctx context.Context, key string, w io.Writer, options ...DownloadOption) (int64, error) {
	path, err := itemPath(supportBundlePath, key)
	if err != nil {
		return 0, err
	}
	return s.client.Download(ctx, "/api/"+path.Escaped+"/download", w, options...)
}

// Delete deletes a bundle, or cancels one that is being made (DELETE
// /api/troubleshooting/support-bundle/<key>). It gives [ResourceNotFound] for one that
// does not exist. Where the answer is lost the bundle is read, for up to
// [Timeouts].Outcome, and after the end of ctx for half of [Timeouts].Close. Delete
// returns nil once the appliance has no such bundle, and [ErrOutcomeUnknown] with
// [OutcomeUnknownDetails] otherwise.
func (s SupportBundles) Delete(ctx context.Context, key string) error {
	path, err := itemPath(supportBundlePath, key)
	if err != nil {
		return err
	}
	look := func(ctx context.Context) (bool, string, error) {
		now, err := s.Get(ctx, key)
		if errors.Is(err, ResourceNotFound) {
			return true, "", nil
		}
		if err != nil {
			return false, "", err
		}
		return false, string(now.Status), nil
	}
	return s.client.remove(ctx, path, nil, witness{"Troubleshooting.SupportBundle.Get", look})
}
