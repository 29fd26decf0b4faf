package sps

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"time"

	"github.com/go-sps/sps/internal/wire"
)

var supportBundlePath = mustPath("troubleshooting/support-bundle")

// SupportBundles creates support bundles: files with logs and settings of an appliance
// for the vendor's support (guide: Health and maintenance;
// troubleshooting/support-bundle). The appliance deletes a bundle after 24 hours.
type SupportBundles struct{ client *Client }

// Troubleshooting creates files for the vendor's support (guide: Troubleshooting).
type Troubleshooting struct {
	// SupportBundle creates support bundles (troubleshooting/support-bundle).
	SupportBundle SupportBundles
}

// SupportBundle is a job that creates a support bundle.
type SupportBundle struct {
	// Key identifies the bundle.
	Key string
	// Status is the status of the job. The guide names only [JobFinished].
	Status JobStatus
	// Progress is the completed share in percent, or -1 if the appliance does not report
	// it.
	Progress float64
	// Message is the appliance's message about a failure, or "".
	Message string
	// Raw is the unchanged body. It includes members that this type lacks.
	Raw json.RawMessage
}

// SupportBundleError means that the creation of a support bundle failed or was cancelled.
type SupportBundleError struct {
	// Bundle is the last state of the job.
	Bundle SupportBundle
}

// Error returns the key, the status and the message of the bundle.
func (e *SupportBundleError) Error() string {
	text := fmt.Sprintf("sps: support bundle %s: %s", oneLine(e.Bundle.Key, 40), oneLine(string(e.Bundle.Status), 60))
	if e.Bundle.Message != "" {
		text += ": " + oneLine(e.Bundle.Message, 300)
	}
	return text
}

// List lists the bundles that the appliance has or is creating (GET
// /api/troubleshooting/support-bundle).
func (s SupportBundles) List(ctx context.Context) ([]SupportBundle, error) {
	return s.jobs().list(ctx)
}

// Get reads the state of one bundle (GET /api/troubleshooting/support-bundle/<key>). It
// returns [ResourceNotFound] if the bundle does not exist.
func (s SupportBundles) Get(ctx context.Context, key string) (*SupportBundle, error) {
	return s.jobs().get(ctx, key)
}

func (s SupportBundles) jobs() jobs[SupportBundle] {
	return jobs[SupportBundle]{s.client, supportBundlePath, "support bundle", newBundle, func(b *SupportBundle) (JobStatus, float64) { return b.Status, b.Progress }}
}

// Start starts the creation of a bundle (POST /api/troubleshooting/support-bundle) and
// returns its key. Wait for the end with [SupportBundles.Wait]. The guide does not
// document how the appliance responds while it is creating another bundle. If the
// response is lost, Start returns [ErrOutcomeUnknown]. It does not search for the bundle,
// because a new bundle in [SupportBundles.List] may belong to somebody else.
func (s SupportBundles) Start(ctx context.Context) (key string, err error) {
	return s.client.create(ctx, supportBundlePath, nil, witness{method: "Troubleshooting.SupportBundle.List"})
}

// Wait waits until the creation of a bundle has ended and returns the bundle. It returns
// a [SupportBundleError] if the creation failed or was cancelled. When the time limit of
// the wait or the deadline of ctx has passed, the error wraps context.DeadlineExceeded,
// and the job continues on the appliance.
func (s SupportBundles) Wait(ctx context.Context, key string, options ...WaitOption) (*SupportBundle, error) {
	o, err := newWait(10*time.Second, 30*time.Minute, options)
	if err != nil {
		return nil, s.client.at(err)
	}
	bundle, finished, err := s.jobs().wait(ctx, key, o)
	if err == nil && !finished {
		return nil, s.client.at(&SupportBundleError{*bundle})
	}
	return bundle, err
}

// Download writes a finished bundle, a .tar.gz file, to w (GET
// /api/troubleshooting/support-bundle/<key>/download); see [Client.Download].
func (s SupportBundles) Download(ctx context.Context, key string, w io.Writer, options ...DownloadOption) (int64, error) {
	path, err := itemPath(supportBundlePath, key)
	if err != nil {
		return 0, s.client.at(err)
	}
	return s.client.Download(ctx, "/api/"+path.Escaped+"/download", w, options...)
}

// Delete deletes a bundle, or cancels its creation (DELETE
// /api/troubleshooting/support-bundle/<key>). It returns [ResourceNotFound] if the bundle
// does not exist. If the response is lost, the client polls the bundle for up to
// [Timeouts].Outcome, or for half of [Timeouts].Close if ctx has ended. Delete returns
// nil once the bundle does not exist, and [ErrOutcomeUnknown] with
// [OutcomeUnknownDetails] otherwise.
func (s SupportBundles) Delete(ctx context.Context, key string) error {
	path, err := itemPath(supportBundlePath, key)
	if err != nil {
		return s.client.at(err)
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

func newBundle(e wire.Envelope, key string) SupportBundle {
	job := readJob(e)
	return SupportBundle{Key: key, Status: newJobStatus(job.status), Progress: job.progress, Message: job.message, Raw: json.RawMessage(e.Body)}
}

// severalSteps marks the error for [SafeToRetry], which returns false because some steps
// of the failed call may have taken effect.
func (e *SupportBundleError) severalSteps() {}
