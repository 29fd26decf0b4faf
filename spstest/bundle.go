package spstest

import (
	"archive/tar"
	"bytes"
	"compress/gzip"
	"fmt"
	"net/http"
	"slices"
	"strings"
	"time"
)

const bundlesPath = "troubleshooting/support-bundle"

// bundleLifetime is how long the appliance keeps a support bundle after its creation was
// requested.
const bundleLifetime = 24 * time.Hour

// The statuses of a support bundle. Variants determine how a response spells them.
const (
	bundleRunning   = "running"
	bundleFinished  = "finished"
	bundleFailed    = "failed"
	bundleCancelled = "cancelled"
)

// bundle is a support bundle that is being created or is finished.
type bundle struct {
	Key    string    `json:"key"`
	Status string    `json:"status"`
	Polls  int       `json:"polls"` // the number of polls so far
	Began  time.Time `json:"began"`
}

// WithBundlePolls sets how many polls of a support bundle return an unfinished status;
// the default is 2. A poll is a GET of the bundle or of the list of bundles.
func WithBundlePolls(n int) Option {
	return func(a *Appliance) error {
		if n < 0 {
			return fmt.Errorf("spstest: number of polls %d is negative", n)
		}
		a.bundlePolls = n
		return nil
	}
}

// FailBundles sets whether the creation of support bundles fails from now on. It also
// applies to bundles that are being created.
func (a *Appliance) FailBundles(fail bool) {
	a.enter()
	defer a.mu.Unlock()
	a.bundlesFail = fail
}

// expireBundles deletes the bundles that are older than [bundleLifetime].
func (a *Appliance) expireBundles() {
	now := a.now()
	a.bundles = slices.DeleteFunc(a.bundles, func(b *bundle) bool { return now.Sub(b.Began) >= bundleLifetime })
}

func (a *Appliance) startBundle(x *exchange) answer {
	a.expireBundles()
	running := slices.IndexFunc(a.bundles, func(b *bundle) bool { return b.Status == bundleRunning })
	second := a.variant("bundle-second")
	if running >= 0 && second == "same" {
		return a.bundleAnswer(a.bundles[running])
	}
	if running >= 0 && second != "new" {
		return a.refuse(x, "bundle-second", "A support bundle is being made", nil)
	}
	if x.holds() {
		return answer{}
	}
	b := &bundle{Key: a.id("bundle", 22), Status: bundleRunning, Began: a.now()}
	a.bundles = append(a.bundles, b)
	return a.bundleAnswer(b)
}

func (a *Appliance) bundleAnswer(b *bundle) answer {
	shown := a.bundleObject(b, true)
	delete(shown, "body")
	status := map[string]int{"200": http.StatusOK, "201": http.StatusCreated, "202": http.StatusAccepted}
	return reply(status[a.variant("bundle-answer")], shown)
}

// bundleObject returns the JSON object of a bundle. alone is false for an item of the
// list, which has no parent link.
func (a *Appliance) bundleObject(b *bundle, alone bool) object {
	status := b.Status
	switch status {
	case bundleRunning:
		status = a.variant("bundle-running")
	case bundleFailed:
		status = a.variant("bundle-failed")
	case bundleFinished:
		status = a.variant("bundle-finished")
	}
	meta := object{"href": href(bundlesPath + "/" + b.Key)}
	if alone {
		meta["parent"] = href(bundlesPath)
	}
	return object{"body": object{"status": status}, "key": b.Key, "meta": meta}
}

func (a *Appliance) getBundles(x *exchange) answer {
	a.expireBundles()
	items := []object{}
	for _, b := range a.bundles {
		a.lookAtBundle(b)
		items = append(items, a.bundleObject(b, false))
	}
	return reply(http.StatusOK, object{"items": items, "meta": x.meta()})
}

// bundleAt returns the bundle whose key is in the path, or nil if there is none.
func (a *Appliance) bundleAt(x *exchange) *bundle {
	a.expireBundles()
	key, _, _ := strings.Cut(strings.TrimPrefix(x.path, bundlesPath+"/"), "/")
	for _, b := range a.bundles {
		if b.Key == key {
			return b
		}
	}
	return nil
}

func (a *Appliance) getBundle(x *exchange) answer {
	b := a.bundleAt(x)
	if b == nil {
		return a.notFound(x)
	}
	a.lookAtBundle(b)
	return reply(http.StatusOK, a.bundleObject(b, true))
}

// lookAtBundle counts a poll of a bundle and sets the status that this poll returns.
func (a *Appliance) lookAtBundle(b *bundle) {
	if b.Status != bundleRunning {
		return
	}
	if b.Polls++; b.Polls <= a.bundlePolls {
		return
	}
	b.Status = bundleFinished
	if a.bundlesFail {
		b.Status = bundleFailed
	}
}

// deleteBundle deletes a bundle. If the bundle is still being created, this cancels its
// creation.
func (a *Appliance) deleteBundle(x *exchange) answer {
	b := a.bundleAt(x)
	if b == nil {
		return a.notFound(x)
	}
	if x.holds() {
		return answer{}
	}
	if b.Status == bundleRunning && a.variant("bundle-cancel") == "kept" {
		b.Status = bundleCancelled
	} else {
		a.bundles = slices.DeleteFunc(a.bundles, func(other *bundle) bool { return other == b })
	}
	if a.variant("bundle-delete-answer") == "204" {
		return empty(http.StatusNoContent)
	}
	return reply(http.StatusOK, object{"meta": x.meta()})
}

func (a *Appliance) downloadBundle(x *exchange) answer {
	b := a.bundleAt(x)
	switch {
	case b == nil:
		return a.notFound(x)
	case b.Status != bundleFinished:
		return a.refuseHere(x, "bundle-early", "The support bundle is not finished")
	}
	ans := empty(http.StatusOK)
	ans.header.Set("Content-Type", "application/octet-stream")
	ans.body = b.archive()
	return ans
}

// archive returns a small .tar.gz file with one text file in it.
func (b *bundle) archive() []byte {
	content := "support bundle " + b.Key + "\n"
	var file bytes.Buffer
	zipped, err := gzip.NewWriterLevel(&file, gzip.NoCompression)
	if err != nil {
		panic(fmt.Sprintf("spstest: support bundle: %v", err)) // reached only by a bug in this package
	}
	archive := tar.NewWriter(zipped)
	_ = archive.WriteHeader(&tar.Header{Name: "bundle.txt", Mode: 0o600, Size: int64(len(content)), ModTime: b.Began}) // a write to a buffer returns no error
	_, _ = archive.Write([]byte(content))
	_ = archive.Close()
	_ = zipped.Close()
	return file.Bytes()
}
