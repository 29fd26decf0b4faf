package sps

import (
	"context"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"net/http"
	"net/url"
	"strings"
	"time"
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
func (f *Firmware) StartFetch(ctx context.Context, imageURL, sha256 string) (key string, err error) {
	body, err := fetchBody(imageURL, sha256)
	if err != nil {
		return "", fmt.Errorf("sps: POST %s: %w", fetchPath.text, err)
	}
	k := &call{class: classCreate, method: http.MethodPost, path: fetchPath, body: body, secret: urlSecrets(imageURL)}
	a, err := f.client.call(ctx, k)
	if err != nil {
		return "", err
	}
	return a.createdKey(fetchPath)
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
func (f *Firmware) CancelFetch(ctx context.Context, key string) error {
	return f.deleteFetch(ctx, key, func(s JobStatus) error {
		if s.Done() {
			return ErrFetchDone
		}
		return nil
	})
}

// DeleteFetch deletes the record of a fetch that has ended (DELETE
// /api/firmware/fetch/<key>). One that is under way is left as it is, and
// [ErrFetchRunning] is given: the same request would cancel it.
func (f *Firmware) DeleteFetch(ctx context.Context, key string) error {
	return f.deleteFetch(ctx, key, func(s JobStatus) error {
		if !s.Done() {
			return ErrFetchRunning
		}
		return nil
	})
}

// deleteFetch looks before it sends a request that means two things.
func (f *Firmware) deleteFetch(ctx context.Context, key string, allowed func(JobStatus) error) error {
	fetch, err := f.Fetch(ctx, key)
	if err != nil {
		return err
	}
	path, err := itemPath(fetchPath, key, nil)
	if err != nil {
		return err
	}
	if err := allowed(fetch.Status); err != nil {
		return fmt.Errorf("sps: DELETE %s: %w: it is %s", path.text, err, oneLine(string(fetch.Status), 60))
	}
	_, err = f.client.call(ctx, &call{class: classWrite, method: http.MethodDelete, path: path})
	return err
}

// WaitForFetch waits until a fetch has ended, and returns it if it is finished. A
// fetch that failed or was cancelled is a [FirmwareFetchError]. When the time is over it
// goes on by itself; the error then wraps context.DeadlineExceeded.
func (f *Firmware) WaitForFetch(ctx context.Context, key string, options ...WaitOption) (*FirmwareFetch, error) {
	fetch, finished, err := f.fetches().wait(ctx, key, newWait(5*time.Second, 2*time.Hour, options))
	if err == nil && !finished {
		return nil, &FirmwareFetchError{*fetch}
	}
	return fetch, err
}
