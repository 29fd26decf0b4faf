package sps

import (
	"context"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"net/url"
	"strings"
	"time"

	"github.com/go-sps/sps/internal/wire"
)

var fetchPath = mustPath("firmware/fetch")

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

// Fetches lists the fetches (GET /api/firmware/fetch). The appliance keeps their
// records until they are removed.
func (f *Firmware) Fetches(ctx context.Context) ([]FirmwareFetch, error) {
	return f.fetches().list(ctx)
}

// Fetch reads one fetch (GET /api/firmware/fetch/<key>). It gives
// [ResourceNotFound] for one that does not exist.
func (f *Firmware) Fetch(ctx context.Context, key string) (*FirmwareFetch, error) {
	return f.fetches().get(ctx, key)
}

func (f *Firmware) fetches() jobs[FirmwareFetch] {
	return jobs[FirmwareFetch]{f.client, fetchPath, "firmware fetch", newFetch, func(f *FirmwareFetch) (JobStatus, float64) { return f.Status, f.Progress }}
}

// StartFetch lets the appliance download an image from a URL (POST
// /api/firmware/fetch) and returns its key. The URL is one of http or https, the
// SHA-256 that of the image, 64 hex digits; anything else is [ErrInvalidInput]. Follow
// it with [Firmware.WaitForFetch].
//
// The fetches are listed first. Where the answer is lost they are listed again, for up to
// [Timeouts].Outcome, and after the end of ctx for half of [Timeouts].Close: the key is
// that of the one new fetch whose record names the URL. Without one it is
// [ErrOutcomeUnknown] with [OutcomeUnknownDetails]: the appliance may begin it yet, or
// its records need not name the URL.
func (f *Firmware) StartFetch(ctx context.Context, imageURL, sha256 string) (key string, err error) {
	body, err := fetchBody(imageURL, sha256)
	if err != nil {
		return "", f.client.fail("POST "+fetchPath.text, err)
	}
	before, err := f.fetchKeys(ctx)
	if err != nil && ctx.Err() != nil {
		return "", err
	}
	var look probe // the list is a help; without it the fetch is begun nonetheless
	if err == nil {
		look = f.lookForFetch(before, imageURL, &key)
	}
	k := &call{class: classStartFetch, method: http.MethodPost, path: fetchPath, body: body, secret: urlSecrets(imageURL)}
	a, err := f.client.call(ctx, k)
	if err == nil {
		key, err = a.createdKey(fetchPath)
	}
	if err = f.client.settle(ctx, k, err, look); err != nil {
		return "", err
	}
	return key, nil
}

// fetchKeys lists the keys of the fetches.
func (f *Firmware) fetchKeys(ctx context.Context) (map[string]bool, error) {
	keys := make(map[string]bool)
	for listed, err := range allEntries(ctx, f.client, newRead(fetchPath, nil)) {
		if err != nil {
			return nil, err
		}
		keys[listed.key] = true
	}
	return keys, nil
}

// lookForFetch looks for the one fetch of a URL that was not there before, and puts its
// key into found. A record that does not name its URL, and two that do, tell nothing.
func (f *Firmware) lookForFetch(before map[string]bool, imageURL string, found *string) probe {
	return func(ctx context.Context) (seen bool, state string, err error) {
		now, err := f.fetchKeys(ctx)
		if err != nil {
			return false, "", err
		}
		var ours []string
		for key := range now {
			if before[key] {
				continue
			}
			fetch, err := f.Fetch(ctx, key)
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

// CancelFetch cancels a fetch that is queued or in progress (DELETE
// /api/firmware/fetch/<key>). Its record stays, and [Firmware.DeleteFetch] deletes
// it. Once the image is verified the installation cannot be cancelled any more.
// One that has ended is left as it is, and [ErrFetchDone] is given: the same
// request would remove its record.
//
// Where the answer is lost the fetch is read, for up to [Timeouts].Outcome, and after the
// end of ctx for half of [Timeouts].Close. CancelFetch returns nil once it is cancelled.
// Otherwise it is [ErrOutcomeUnknown] with [OutcomeUnknownDetails].
func (f *Firmware) CancelFetch(ctx context.Context, key string) error {
	allowed := func(s JobStatus) error {
		if s.Done() {
			return ErrFetchDone
		}
		return nil
	}
	return f.deleteFetch(ctx, classCancelFetch, key, allowed, func(ctx context.Context) (bool, string, error) {
		now, err := f.Fetch(ctx, key)
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

// DeleteFetch deletes the record of a fetch that has ended (DELETE
// /api/firmware/fetch/<key>). One that is under way is left as it is, and
// [ErrFetchRunning] is given: the same request would cancel it.
//
// Where the answer is lost the fetch is read, like with [Firmware.CancelFetch].
// DeleteFetch returns nil once the appliance has no such record.
func (f *Firmware) DeleteFetch(ctx context.Context, key string) error {
	allowed := func(s JobStatus) error {
		if !s.Done() {
			return ErrFetchRunning
		}
		return nil
	}
	return f.deleteFetch(ctx, classDeleteFetch, key, allowed, func(ctx context.Context) (bool, string, error) {
		now, err := f.Fetch(ctx, key)
		if errors.Is(err, ResourceNotFound) {
			return true, "", nil
		}
		if err != nil {
			return false, "", err
		}
		return false, string(now.Status), nil
	})
}

// deleteFetch looks before it sends a request that means two things.
func (f *Firmware) deleteFetch(ctx context.Context, class class, key string, allowed func(JobStatus) error, look probe) error {
	fetch, err := f.Fetch(ctx, key)
	if err != nil {
		return err
	}
	path, err := itemPath(fetchPath, key, nil)
	if err != nil {
		return err
	}
	if err := allowed(fetch.Status); err != nil {
		return f.client.fail("DELETE "+path.text, fmt.Errorf("%w: it is %s", err, oneLine(string(fetch.Status), 60)))
	}
	return f.client.change(ctx, &call{class: class, method: http.MethodDelete, path: path}, look)
}

// WaitForFetch waits until a fetch has ended, and returns it if it is finished. A
// fetch that failed or was cancelled is a [FirmwareFetchError]. When the time is over it
// goes on by itself; the error then wraps context.DeadlineExceeded.
func (f *Firmware) WaitForFetch(ctx context.Context, key string, options ...WaitOption) (*FirmwareFetch, error) {
	o, err := newWait(5*time.Second, 2*time.Hour, options)
	if err != nil {
		return nil, err
	}
	fetch, finished, err := f.fetches().wait(ctx, key, o)
	if err == nil && !finished {
		return nil, &FirmwareFetchError{*fetch}
	}
	return fetch, err
}
