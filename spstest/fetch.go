package spstest

import (
	"encoding/hex"
	"fmt"
	"net/http"
	"net/url"
	"slices"
	"strconv"
	"strings"
)

const fetchPath = "firmware/fetch"

// The statuses of a download. The variant fetch-installing sets the status of an
// installation.
const (
	fetchQueued     = "queued"
	fetchInProgress = "in-progress"
	fetchInstalling = "installing"
	fetchFinished   = "finished"
	fetchFailed     = "failed"
	fetchCancelled  = "cancelled"
)

// fetch is a download that is running or has ended.
type fetch struct {
	Key    string `json:"key"`
	URL    string `json:"url"`
	SHA256 string `json:"sha256,omitempty"` // the expected checksum; "" if the client did not send one
	Status string `json:"status"`
	Polls  int    `json:"polls"`            // the number of polls so far
	Slot   string `json:"slot,omitempty"`   // the slot that the image was installed into
	Reason string `json:"reason,omitempty"` // why the download failed
}

func (f *fetch) over() bool {
	return f.Status == fetchFinished || f.Status == fetchFailed || f.Status == fetchCancelled
}

// served is the image that a URL returns.
type served struct{ version, sha256 string }

// WithFetchPolls sets how many polls of a download return an unfinished status; the
// default is 3. A poll is a GET of the download or of the list of downloads. The first
// poll returns the status queued, and the others return in-progress. If n is 3 or more,
// the n-th poll returns the status of the installation instead. During the installation,
// the download cannot be cancelled.
func WithFetchPolls(n int) Option {
	return func(a *Appliance) error {
		if n < 0 {
			return fmt.Errorf("spstest: number of polls %d is negative", n)
		}
		a.fetchPolls = n
		return nil
	}
}

// ServeImage makes a download (firmware/fetch) of the URL return an image with the given
// version and SHA-256. With an empty SHA-256, the checksum of the client is not checked.
// With an empty version, the file is not a firmware image, and the download fails. The
// appliance does not access the network: the download of any other URL fails.
func (a *Appliance) ServeImage(url, version, sha256 string) {
	a.enter()
	defer a.mu.Unlock()
	a.images[url] = served{version, sha256}
}

func (a *Appliance) startFetch(x *exchange) answer {
	body, ok := x.jsonObject()
	if !ok {
		return a.invalidBody(x)
	}
	var missing []string
	link := body["url"]
	if link == nil {
		missing = append(missing, "url")
	}
	var sum any
	switch checksum := body["checksum"].(type) {
	case nil:
		if a.variant("fetch-checksum") == "required" {
			missing = append(missing, "checksum")
		}
	case object:
		if sum = checksum["sha256"]; sum == nil {
			missing = append(missing, "checksum/sha256")
		}
	default:
		return a.syntacticError(x, "checksum", "The checksum has a wrong type")
	}
	if len(missing) > 0 {
		return a.missing(x, missing...)
	}
	f := &fetch{Status: fetchQueued}
	if f.URL, ok = link.(string); !ok || !downloadable(f.URL) {
		return a.syntacticError(x, "url", "The value is not a URL to download from")
	}
	if sum != nil {
		f.SHA256, _ = sum.(string)
		if raw, err := hex.DecodeString(f.SHA256); err != nil || len(raw) != 32 {
			return a.syntacticError(x, "checksum/sha256", "The value is not a SHA-256 in hexadecimal digits")
		}
	}
	if x.holds() {
		return answer{}
	}
	f.Key = a.id("fetch", 22)
	if a.variant("fetch-key") == "number" {
		f.Key = strconv.Itoa(a.ids["fetch"])
	}
	a.fetches = append(a.fetches, f)

	answer := a.fetchObject(f)
	answer["meta"].(object)["parent"] = href(fetchPath)
	if a.variant("fetch-answer") == "key" {
		answer = object{"key": answer["key"], "meta": answer["meta"]}
	}
	return reply(http.StatusAccepted, answer)
}

func downloadable(s string) bool {
	u, err := url.Parse(s)
	return err == nil && (u.Scheme == "http" || u.Scheme == "https") && u.Hostname() != ""
}

func (a *Appliance) getFetches(x *exchange) answer {
	items := []object{}
	for _, f := range a.fetches {
		a.look(f)
		items = append(items, a.fetchObject(f))
	}
	return reply(http.StatusOK, object{"items": items, "meta": x.meta()})
}

func (a *Appliance) getFetch(x *exchange) answer {
	i := a.fetchIndex(x)
	if i < 0 {
		return a.notFound(x)
	}
	f := a.fetches[i]
	a.look(f)
	shown := a.fetchObject(f)
	shown["meta"].(object)["parent"] = href(fetchPath)
	return reply(http.StatusOK, shown)
}

// deleteFetch cancels a running download and keeps its record, or deletes the record of a
// download that has ended.
func (a *Appliance) deleteFetch(x *exchange) answer {
	i := a.fetchIndex(x)
	if i < 0 {
		return a.notFound(x)
	}
	f := a.fetches[i]
	if f.Status == fetchInstalling {
		return a.refuse(x, "fetch-cancel-refused", "The installation cannot be cancelled", nil)
	}
	if x.holds() {
		return answer{}
	}
	if f.over() {
		a.fetches = slices.Delete(a.fetches, i, i+1)
	} else {
		f.Status = fetchCancelled
	}
	if a.variant("fetch-delete-answer") == "204" {
		return empty(http.StatusNoContent)
	}
	return reply(http.StatusOK, object{"meta": x.meta()})
}

func (a *Appliance) fetchIndex(x *exchange) int {
	return slices.IndexFunc(a.fetches, func(f *fetch) bool { return f.Key == x.last() })
}

// look counts a poll of a download and sets the status that this poll returns.
func (a *Appliance) look(f *fetch) {
	if f.over() {
		return
	}
	f.Polls++
	switch n := a.fetchPolls; {
	case f.Polls > n:
		a.install(f)
	case f.Polls == 1:
		f.Status = fetchQueued
	case f.Polls == n && n >= 3:
		f.Status = fetchInstalling
		a.verify(f)
	default:
		f.Status = fetchInProgress
	}
}

// verify fails a download if the URL has no image, the checksum differs, or the file is
// not an image.
func (a *Appliance) verify(f *fetch) bool {
	got, ok := a.images[f.URL]
	switch {
	case !ok:
		return f.fail("The URL cannot be downloaded")
	case f.SHA256 != "" && got.sha256 != "" && !strings.EqualFold(got.sha256, f.SHA256):
		return f.fail("The checksum of the downloaded file is " + strings.ToLower(got.sha256))
	case got.version == "":
		return f.fail("The downloaded file is not a firmware image")
	}
	return true
}

func (a *Appliance) install(f *fetch) bool {
	if !a.verify(f) {
		return false
	}
	i, _ := a.emptySlots()
	if i < 0 {
		return f.fail("There is no empty firmware slot")
	}
	f.Slot, f.Status = a.store(i, a.images[f.URL].version).Key, fetchFinished
	return true
}

func (f *fetch) fail(reason string) bool {
	f.Status, f.Reason = fetchFailed, reason
	return false
}

// fetchObject returns the JSON object of a download.
func (a *Appliance) fetchObject(f *fetch) object {
	body := object{"url": f.URL}
	if f.SHA256 != "" {
		body["checksum"] = object{"sha256": f.SHA256}
	}
	meta := object{"href": href(fetchPath + "/" + f.Key)}
	shown := object{"body": body, "key": any(f.Key), "meta": meta}
	if a.variant("fetch-key") == "number" {
		shown["key"] = asNumber(f.Key)
	}
	if a.variant("fetch-status-place") == "top" {
		shown["status"] = a.fetchStatus(f)
	} else {
		body["status"] = a.fetchStatus(f)
	}
	if a.variant("fetch-progress") == "percent" {
		body["progress"] = a.fetchProgress(f)
	}
	if member := a.variant("fetch-reason"); member != "none" && f.Reason != "" {
		body[member] = f.Reason
	}
	if f.Slot != "" {
		switch a.variant("fetch-slot") {
		case "meta.slot":
			meta["slot"] = href("firmware/slots/" + f.Slot)
		case "body.slot_id":
			body["slot_id"] = a.slotKey(&Slot{Key: f.Slot})
		}
	}
	return shown
}

func (a *Appliance) fetchStatus(f *fetch) string {
	status := f.Status
	if status == fetchInstalling {
		status = a.variant("fetch-installing")
	}
	if status == fetchCancelled {
		status = a.variant("fetch-cancelled")
	}
	switch a.variant("fetch-in-progress") {
	case "IN-PROGRESS":
		return strings.ToUpper(status)
	case "in_progress":
		return strings.ReplaceAll(status, "-", "_")
	}
	return status
}

func (a *Appliance) fetchProgress(f *fetch) int {
	switch {
	case f.Status == fetchFinished:
		return 100
	case f.Polls == 0 || a.fetchPolls == 0:
		return 0
	}
	return min(f.Polls-1, a.fetchPolls) * 100 / a.fetchPolls
}
