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
// management, fetch; firmware/fetch). Its methods are those of [SupportBundles], the
// other job of the API.
type FirmwareFetches struct{ client *Client }

// FirmwareFetch is a download of a firmware image by the appliance itself (guide:
// Firmware management, fetch). The guide shows no answer of the endpoint, so
// everything but the key may be missing.
type FirmwareFetch struct {
	// Key names the fetch.
	Key string
	// Status is its state.
	Status JobStatus
	// Progress is the share that is done, from 0 to 100; -1 where the appliance
	// does not say.
	Progress float64
	// SlotKey is the slot that the image is put into, "" where the appliance does
	// not say.
	SlotKey string
	// Message is what the appliance says about a failure, "" for nothing.
	Message string
	// Raw is the body as it was sent, for what is not known here.
	Raw json.RawMessage
}

// FirmwareFetchError is the error of a fetch that ended otherwise than finished.
type FirmwareFetchError struct {
	// Fetch is its last state.
	Fetch FirmwareFetch
}

// Error returns the key, the status and the message.
func (e *FirmwareFetchError) Error() string {
	text := fmt.Sprintf("sps: firmware fetch %s: %s", oneLine(e.Fetch.Key, 40), oneLine(string(e.Fetch.Status), 60))
	if e.Fetch.Message != "" {
		text += ": " + oneLine(e.Fetch.Message, 300)
	}
	return text
}

// List lists the fetches (GET /api/firmware/fetch). The appliance keeps their
// records until they are removed.
func (f FirmwareFetches) List(ctx context.Context) ([]FirmwareFetch, error) {
	return f.jobs().list(ctx)
}

// Get reads one fetch (GET /api/firmware/fetch/<key>). It gives
// [ResourceNotFound] for one that does not exist.
func (f FirmwareFetches) Get(ctx context.Context, key string) (*FirmwareFetch, error) {
	return f.jobs().get(ctx, key)
}

func (f FirmwareFetches) jobs() jobs[FirmwareFetch] {
	return jobs[FirmwareFetch]{f.client, fetchPath, "firmware fetch", newFetch, func(f *FirmwareFetch) (JobStatus, float64) { return f.Status, f.Progress }}
}

// Start lets the appliance download an image from a URL (POST
// /api/firmware/fetch) and returns its key. The URL is one of http or https, the
// SHA-256 that of the image, 64 hex digits; anything else is [ErrInvalidInput]. Follow
// it with [FirmwareFetches.Wait].
//
// The fetches are listed first. Where the answer is lost they are listed again, for up to
// [Timeouts].Outcome, and after the end of ctx for half of [Timeouts].Close: the key is
// that of the one new fetch whose record names the URL. Without one it is
// [ErrOutcomeUnknown] with [OutcomeUnknownDetails]: the appliance may begin it yet, or
// its records need not name the URL.
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
	if err == nil { // the list is a help; without it the fetch is begun nonetheless
		w.look = f.lookFor(before, imageURL, &seen)
	}
	if key, err = f.client.create(ctx, fetchPath, body, w, urlSecrets(imageURL)...); err != nil {
		return "", err
	}
	return cmp.Or(key, seen), nil
}

// keys lists the keys of the fetches.
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

// lookFor looks for the one fetch of a URL that was not there before, and puts its
// key into found. A record that does not name its URL, and two that do, tell nothing.
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

// urlSecrets are what a URL may give access with: its user and its query.
func urlSecrets(text string) []Secret {
	u, err := url.Parse(text)
	if err != nil || u.User == nil && u.RawQuery == "" {
		return nil
	}
	given, ok := u.User.Password()
	if !ok {
		given = u.User.Username() // a token
	}
	return []Secret{NewSecretString(text), NewSecretString(u.RawQuery), NewSecretString(given)}
}

// fetchBody makes the body that starts a fetch.
func fetchBody(imageURL, sha256 string) ([]byte, error) {
	u, err := url.Parse(imageURL)
	if err != nil || u.Host == "" || u.Scheme != "http" && u.Scheme != "https" {
		return nil, invalid("the image needs an http or https URL")
	}
	sum, err := hex.DecodeString(strings.ToLower(strings.TrimSpace(sha256)))
	if err != nil || len(sum) != 32 {
		return nil, invalid("the checksum is no SHA-256: 64 hex digits are expected")
	}
	body, _, err := encode(map[string]any{"url": imageURL, "checksum": map[string]string{"sha256": hex.EncodeToString(sum)}})
	return body, err
}

// Cancel cancels a fetch that is queued or in progress (DELETE
// /api/firmware/fetch/<key>). Its record stays, and [FirmwareFetches.Delete] deletes
// it. Once the image is verified the installation cannot be cancelled any more.
// One that has ended is left as it is, and [ErrFetchDone] is given: the same
// request would remove its record.
//
// Where the answer is lost the fetch is read, for up to [Timeouts].Outcome, and after the
// end of ctx for half of [Timeouts].Close. Cancel returns nil once it is cancelled.
// Otherwise it is [ErrOutcomeUnknown] with [OutcomeUnknownDetails].
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
		case errors.Is(err, ResourceNotFound): // whether it was cancelled or finished before, nobody can tell
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

// Delete deletes the record of a fetch that has ended (DELETE
// /api/firmware/fetch/<key>). One that is under way is left as it is, and
// [ErrFetchRunning] is given: the same request would cancel it.
//
// Where the answer is lost the fetch is read, like with [FirmwareFetches.Cancel].
// Delete returns nil once the appliance has no such record.
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

// remove looks before it sends a request that means two things.
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

// Wait waits until a fetch has ended, and returns it if it is finished. A
// fetch that failed or was cancelled is a [FirmwareFetchError]. When the time is over it
// goes on by itself; the error then wraps context.DeadlineExceeded.
func (f FirmwareFetches) Wait(ctx context.Context, key string, options ...WaitOption) (*FirmwareFetch, error) {
	o, err := newWait(5*time.Second, 2*time.Hour, options)
	if err != nil {
		return nil, err
	}
	fetch, finished, err := f.jobs().wait(ctx, key, o)
	if err == nil && !finished {
		return nil, &FirmwareFetchError{*fetch}
	}
	return fetch, err
}
