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

// fetch is a download, or the record of one that is over.
type fetch struct {
	Key    string `json:"key"`
	URL    string `json:"url"`
	SHA256 string `json:"sha256,omitempty"` // "" means that no check was requested
	Status string `json:"status"`
	Polls  int    `json:"polls"`            // how often it was polled
	Slot   string `json:"slot,omitempty"`   // the slot of the image
	Reason string `json:"reason,omitempty"` // the reason for the failure
}

func (f *fetch) over() bool {
	return f.Status == fetchFinished || f.Status == fetchFailed || f.Status == fetchCancelled
}

// served is what a URL gives.
type served struct{ version, sha256 string }

// WithFetchPolls sets how many polls see a download unfinished; the default is 3. A poll
// is a GET of its record or of the list. The first poll sees the download queued. The
// last of three or more sees the installation, which cannot be cancelled. The polls in
// between see it in progress.
func WithFetchPolls(n int) Option {
	return func(a *Appliance) error {
		if n < 0 {
			return fmt.Errorf("spstest: number of polls %d is negative", n)
		}
		a.fetchPolls = n
		return nil
	}
}

// ServeImage makes a firmware/fetch of the URL return an image with the given version and
// SHA-256. An empty SHA-256 passes every check. An image without a version is broken. The
// appliance downloads nothing: any other URL is a failed download.
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

// deleteFetch cancels a download and keeps its record; the record of one that
// is over goes away.
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

// look takes a download to what the next look at it sees.
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

// verify fails a download that gives nothing, or something else.
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

// fetchObject shows a download.
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
