package sps

import (
	"cmp"
	"context"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"net/url"
	"strings"
	"time"

	"github.com/go-sps/sps/internal/wire"
)

var fetchPath = mustPath("firmware/fetch")

// FirmwareFetches lets the appliance download firmware images (guide: Firmware
// management, fetch; firmware/fetch).
type FirmwareFetches struct{ client *Client }

// FirmwareFetch is a download of a firmware image by the appliance (guide: Firmware
// management, fetch). The guide shows no sample of a response, so the response may lack
// any member except the key.
type FirmwareFetch struct {
	// Key identifies the fetch.
	Key string
	// Status is the status of the fetch.
	Status JobStatus
	// Progress is the completed share in percent, or -1 if the appliance does not report
	// it.
	Progress float64
	// SlotKey is the key of the slot for the image, or "" if the appliance does not
	// report it.
	SlotKey string
	// Message is the appliance's message about a failure, or "".
	Message string
	// Raw is the unchanged body. It includes members that this type lacks.
	Raw json.RawMessage
}

// FirmwareFetchError means that a fetch failed or was cancelled.
type FirmwareFetchError struct {
	// Fetch is the last state of the fetch.
	Fetch FirmwareFetch
}

// Error returns the key, the status and the message of the fetch.
func (e *FirmwareFetchError) Error() string {
	text := fmt.Sprintf("sps: firmware fetch %s: %s", oneLine(e.Fetch.Key, 40), oneLine(string(e.Fetch.Status), 60))
	if e.Fetch.Message != "" {
		text += ": " + oneLine(e.Fetch.Message, 300)
	}
	return text
}

// List lists the fetches (GET /api/firmware/fetch). The appliance keeps their records
// until they are deleted.
func (f FirmwareFetches) List(ctx context.Context) ([]FirmwareFetch, error) {
	return f.jobs().list(ctx)
}

// Get reads one fetch (GET /api/firmware/fetch/<key>). It returns [ResourceNotFound] if
// the fetch does not exist.
func (f FirmwareFetches) Get(ctx context.Context, key string) (*FirmwareFetch, error) {
	return f.jobs().get(ctx, key)
}

func (f FirmwareFetches) jobs() jobs[FirmwareFetch] {
	return jobs[FirmwareFetch]{f.client, fetchPath, "firmware fetch", newFetch, func(f *FirmwareFetch) (JobStatus, float64) { return f.Status, f.Progress }}
}

// Start makes the appliance download an image from a URL (POST /api/firmware/fetch) and
// returns the key of the fetch. The URL must be http or https. sha256 is the SHA-256
// checksum of the image in 64 hex digits. For other arguments, Start returns
// [ErrInvalidInput]. Wait for the end of the fetch with [FirmwareFetches.Wait].
//
// Start lists the fetches before it sends the request. If the response is lost, Start
// lists them again, for up to [Timeouts].Outcome, or for half of [Timeouts].Close if ctx
// has ended. If exactly one new record has the URL, Start returns its key. Otherwise it
// returns [ErrOutcomeUnknown] with [OutcomeUnknownDetails], because the appliance may
// still start the fetch, or its records may lack the URL.
func (f FirmwareFetches) Start(ctx context.Context, imageURL, sha256 string) (key string, err error) {
	body, err := fetchBody(imageURL, sha256)
	if err != nil {
		return "", f.client.fail("POST "+fetchPath.Text, err)
	}
	before, err := f.keys(ctx)
	if err != nil && ctx.Err() != nil {
		return "", err
	}
	w, seen := witness{method: "Firmware.Fetch.List"}, ""
	if err == nil { // if the list could not be read, the fetch is started anyway
		w.look = f.lookFor(before, imageURL, &seen)
	}
	if key, err = f.client.create(ctx, fetchPath, body, w, urlSecrets(imageURL)...); err != nil {
		return "", err
	}
	return cmp.Or(key, seen), nil
}

// keys returns the keys of all fetches.
func (f FirmwareFetches) keys(ctx context.Context) (map[string]bool, error) {
	keys := make(map[string]bool)
	for listed, err := range allEntries(ctx, f.client, newRead(fetchPath, nil)) {
		if err != nil {
			return nil, err
		}
		keys[listed.key] = true
	}
	return keys, nil
}

// lookFor returns a probe that searches the list for a new fetch of a URL and stores its
// key in found. The probe ignores records without a URL. It fails if two new records have
// the URL.
func (f FirmwareFetches) lookFor(before map[string]bool, imageURL string, found *string) probe {
	return func(ctx context.Context) (seen bool, state string, err error) {
		now, err := f.keys(ctx)
		if err != nil {
			return false, "", err
		}
		var ours []string
		for key := range now {
			if before[key] {
				continue
			}
			fetch, err := f.Get(ctx, key)
			switch {
			case errors.Is(err, ResourceNotFound):
				continue
			case err != nil:
				return false, "", err
			}
			if text, _ := wire.Text(member(fetch.Raw, "url")); text == imageURL {
				ours = append(ours, key)
			}
		}
		switch len(ours) {
		case 0:
			return false, "not listed", nil
		case 1:
			*found = ours[0]
			return true, "listed", nil
		}
		return false, "listed twice", errTooLate
	}
}

// urlSecrets returns the parts of a URL that may grant access: its user information and
// its query.
func urlSecrets(text string) []Secret {
	u, err := url.Parse(text)
	if err != nil || u.User == nil && u.RawQuery == "" {
		return nil
	}
	given, ok := u.User.Password()
	if !ok {
		given = u.User.Username() // without a password, the user name may be a token
	}
	return []Secret{NewSecretString(text), NewSecretString(u.RawQuery), NewSecretString(given)}
}

// fetchBody makes the body of the request that starts a fetch.
func fetchBody(imageURL, sha256 string) ([]byte, error) {
	u, err := url.Parse(imageURL)
	if err != nil || u.Host == "" || u.Scheme != "http" && u.Scheme != "https" {
		return nil, invalid("the URL of the image must be http or https")
	}
	sum, err := hex.DecodeString(strings.ToLower(strings.TrimSpace(sha256)))
	if err != nil || len(sum) != 32 {
		return nil, invalid("the checksum is not a SHA-256: give 64 hex digits")
	}
	body, _, err := encode(map[string]any{"url": imageURL, "checksum": map[string]string{"sha256": hex.EncodeToString(sum)}})
	return body, err
}

// Cancel cancels a fetch that is queued or running (DELETE /api/firmware/fetch/<key>).
// The record of the fetch remains; [FirmwareFetches.Delete] deletes it. A fetch cannot be
// cancelled after the appliance has verified the image. If the fetch has ended, Cancel
// returns [ErrFetchDone] and sends no request, because the same request would delete the
// record.
//
// If the response is lost, the client polls the fetch for up to [Timeouts].Outcome, or
// for half of [Timeouts].Close if ctx has ended. Cancel returns nil once the fetch is
// cancelled. Otherwise it returns [ErrOutcomeUnknown] with [OutcomeUnknownDetails].
func (f FirmwareFetches) Cancel(ctx context.Context, key string) error {
	allowed := func(s JobStatus) error {
		if s.Done() {
			return ErrFetchDone
		}
		return nil
	}
	return f.remove(ctx, key, allowed, func(ctx context.Context) (bool, string, error) {
		now, err := f.Get(ctx, key)
		switch {
		case errors.Is(err, ResourceNotFound): // it is not known whether the fetch was cancelled or had finished before
			return false, "not listed", errTooLate
		case err != nil:
			return false, "", err
		case now.Status == JobCancelled:
			return true, string(now.Status), nil
		case now.Status.Done():
			return false, string(now.Status), errTooLate
		}
		return false, string(now.Status), nil
	})
}

// Delete deletes the record of a fetch that has ended (DELETE /api/firmware/fetch/<key>).
// If the fetch is still running, Delete returns [ErrFetchRunning] and sends no request,
// because the same request would cancel the fetch.
//
// If the response is lost, the client polls the fetch as [FirmwareFetches.Cancel] does.
// Delete returns nil once the record does not exist.
func (f FirmwareFetches) Delete(ctx context.Context, key string) error {
	allowed := func(s JobStatus) error {
		if !s.Done() {
			return ErrFetchRunning
		}
		return nil
	}
	return f.remove(ctx, key, allowed, func(ctx context.Context) (bool, string, error) {
		now, err := f.Get(ctx, key)
		if errors.Is(err, ResourceNotFound) {
			return true, "", nil
		}
		if err != nil {
			return false, "", err
		}
		return false, string(now.Status), nil
	})
}

// remove reads the fetch before it sends the request, because the same request cancels a
// running fetch and deletes an ended one.
func (f FirmwareFetches) remove(ctx context.Context, key string, allowed func(JobStatus) error, look probe) error {
	fetch, err := f.Get(ctx, key)
	if err != nil {
		return err
	}
	path, err := itemPath(fetchPath, key)
	if err != nil {
		return err
	}
	if err := allowed(fetch.Status); err != nil {
		return f.client.fail("DELETE "+path.Text, fmt.Errorf("%w: it is %s", err, oneLine(string(fetch.Status), 60)))
	}
	return f.client.remove(ctx, path, nil, witness{"Firmware.Fetch.Get", look})
}

// Wait waits until a fetch has ended and returns it if it finished. It returns a
// [FirmwareFetchError] if the fetch failed or was cancelled. When the time limit of the
// wait or the deadline of ctx has passed, the error wraps context.DeadlineExceeded, and
// the fetch continues on the appliance.
func (f FirmwareFetches) Wait(ctx context.Context, key string, options ...WaitOption) (*FirmwareFetch, error) {
	o, err := newWait(5*time.Second, 2*time.Hour, options)
	if err != nil {
		return nil, f.client.at(err)
	}
	fetch, finished, err := f.jobs().wait(ctx, key, o)
	if err == nil && !finished {
		return nil, f.client.at(&FirmwareFetchError{*fetch})
	}
	return fetch, err
}

func newFetch(e wire.Envelope, key string) FirmwareFetch {
	job := readJob(e)
	f := FirmwareFetch{Key: key, Status: newJobStatus(job.status), Progress: job.progress, Message: job.message, Raw: json.RawMessage(e.Body)}
	for _, slot := range job.slots {
		if f.SlotKey != "" {
			break
		}
		if f.SlotKey = slotOfLink(slot); f.SlotKey == "" && checkSlotKey(slotsPath, slot) == nil {
			f.SlotKey = slot
		}
	}
	return f
}

// severalSteps marks the error for [SafeToRetry], which returns false because some steps
// of the failed call may have taken effect.
func (e *FirmwareFetchError) severalSteps() {}
