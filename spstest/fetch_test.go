package spstest_test

import (
	"fmt"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/go-sps/sps/spstest"
)

const (
	imageURL   = "https://example.com/sps.iso"
	fetchesURL = "/api/firmware/fetch"
)

var imageSum = spstest.ImageSHA256("8.1.0", 1000)

func fetchBody(url, sum string) string {
	return fmt.Sprintf(`{"url":%q,"checksum":{"sha256":%q}}`, url, sum)
}

// startFetch starts a download and returns the path of its record.
func startFetch(c *client, body string) string {
	c.t.Helper()
	return c.want(202, "POST", fetchesURL, body).body["meta"].(map[string]any)["href"].(string)
}

// statuses polls a download n times and returns the statuses.
func statuses(c *client, path string, n int) (got []string) {
	c.t.Helper()
	for range n {
		r := c.want(200, "GET", path, "")
		body, _ := r.body["body"].(map[string]any)
		status, ok := body["status"].(string)
		if !ok {
			status, _ = r.body["status"].(string)
		}
		if reason, ok := body["error"].(string); ok {
			status += ": " + reason
		}
		got = append(got, status)
	}
	return got
}

func TestFetch(t *testing.T) {
	t.Parallel()
	a := newInProcess(t)
	a.ServeImage(imageURL, "8.1.0", strings.ToUpper(imageSum))
	c := inProcess(t, a).logIn("admin", "a")
	wantJSON(t, `{"items":[],"meta":{"href":"/api/firmware/fetch","parent":"/api/firmware"}}`, c.want(200, "GET", fetchesURL, "").raw)
	r := c.want(202, "POST", fetchesURL, fetchBody(imageURL, imageSum))
	key := r.body["key"].(string)
	path := fetchesURL + "/" + key
	wantJSON(t, `{"key":"`+key+`","meta":{"href":"`+path+`","parent":"/api/firmware/fetch"}}`, r.raw)

	body := `{"checksum":{"sha256":"` + imageSum + `"},"status":"queued","url":"` + imageURL + `"}`
	wantJSON(t, `{"body":`+body+`,"key":"`+key+`","meta":{"href":"`+path+`","parent":"/api/firmware/fetch"}}`, c.want(200, "GET", path, "").raw)
	wantJSON(t, `{"items":[{"body":`+strings.Replace(body, "queued", "in-progress", 1)+`,"key":"`+key+`","meta":{"href":"`+path+`"}}],
		"meta":{"href":"/api/firmware/fetch","parent":"/api/firmware"}}`, c.want(200, "GET", fetchesURL, "").raw)
	c.want(200, "GET", path, "")
	wantJSON(t, `{"body":`+strings.Replace(body, "queued", "finished", 1)+`,"key":"`+key+`",
		"meta":{"href":"`+path+`","parent":"/api/firmware/fetch","slot":"/api/firmware/slots/3"}}`, c.want(200, "GET", path, "").raw)
	if diff := cmp.Diff(spstest.Slot{Key: "3", Version: "8.1.0", UpgradeNotes: "Upgrade notes of 8.1.0"}, a.Slots()[2]); diff != "" {
		t.Errorf("slot (-want +got):\n%s", diff)
	}
	if a.Uploads() != nil {
		t.Errorf("uploads %v", a.Uploads())
	}
	c.want(200, "DELETE", path, "")
	missing := map[string]any{"mount_point": "/firmware/fetch", "resource": key}
	wantError(t, c.do("GET", path, ""), 404, "ResourceNotFound", missing)
	wantError(t, c.do("DELETE", path, ""), 404, "ResourceNotFound", missing)
	if again := c.want(202, "POST", fetchesURL, fetchBody(imageURL, imageSum)).body["key"]; again == key {
		t.Errorf("the key %s was used twice", again)
	}
}

func TestFetchStatuses(t *testing.T) {
	t.Parallel()
	other := strings.Repeat("0", 64)
	good := fetchBody(imageURL, imageSum)
	for _, test := range []struct {
		name     string
		variants []string
		polls    int
		full     bool
		body     string
		want     []string
	}{
		{"at once", nil, 0, false, good, []string{"finished", "finished"}},
		{"one", nil, 1, false, good, []string{"queued", "finished"}},
		{"two", nil, 2, false, good, []string{"queued", "in-progress", "finished"}},
		{"three", nil, 3, false, good, []string{"queued", "in-progress", "in-progress", "finished", "finished"}},
		{"five", []string{"fetch-installing=installing"}, 5, false, good, []string{"queued", "in-progress", "in-progress", "in-progress", "installing", "finished"}},
		{"on top", []string{"fetch-status-place=top"}, 1, false, good, []string{"queued", "finished"}},
		{"underscore", []string{"fetch-in-progress=in_progress"}, 2, false, good, []string{"queued", "in_progress", "finished"}},
		{"capitals", []string{"fetch-in-progress=IN-PROGRESS", "fetch-installing=verifying"}, 3, false, good, []string{"QUEUED", "IN-PROGRESS", "VERIFYING", "FINISHED"}},
		{"unknown URL", nil, 3, false, fetchBody("https://example.com/other", imageSum), []string{"queued", "in-progress", "failed: The URL cannot be downloaded"}},
		{"unknown URL, quick", nil, 1, false, fetchBody("http://example.com/other", imageSum), []string{"queued", "failed: The URL cannot be downloaded"}},
		{"wrong checksum", nil, 1, false, fetchBody(imageURL, other), []string{"queued", "failed: The checksum of the downloaded file is " + imageSum}},
		{"reason hidden", []string{"fetch-reason=none"}, 0, false, fetchBody(imageURL, other), []string{"failed"}},
		{"no image", nil, 0, false, fetchBody("https://example.com/broken", other), []string{"failed: The downloaded file is not a firmware image"}},
		{"full", nil, 3, true, good, []string{"queued", "in-progress", "in-progress", "failed: There is no empty firmware slot"}},
		{"no checksum", []string{"fetch-checksum=optional"}, 0, false, `{"url":"` + imageURL + `"}`, []string{"finished"}},
	} {
		t.Run(test.name, func(t *testing.T) {
			t.Parallel()
			opts := append(variants(t, test.variants...), spstest.WithFetchPolls(test.polls))
			if test.full {
				opts = append(opts, spstest.WithSlots(spstest.Slot{Key: "1", Version: "8.0.0"}))
			}
			a := newInProcess(t, opts...)
			a.ServeImage(imageURL, "8.1.0", imageSum)
			a.ServeImage("https://example.com/broken", "", "")
			c := inProcess(t, a).logIn("admin", "a")
			if diff := cmp.Diff(test.want, statuses(c, startFetch(c, test.body), len(test.want))); diff != "" {
				t.Errorf("statuses (-want +got):\n%s", diff)
			}
		})
	}
}

func TestFetchCancelled(t *testing.T) {
	t.Parallel()
	a := newInProcess(t, append(variants(t, "fetch-cancelled=canceled"), spstest.WithFetchPolls(3))...)
	a.ServeImage(imageURL, "8.1.0", imageSum)
	c := inProcess(t, a).logIn("admin", "a")
	for looks, want := range [][]string{{"canceled", "canceled"}, {"canceled", "canceled"}, {"canceled", "canceled"}, {"finished", "finished"}} {
		path := startFetch(c, fetchBody(imageURL, imageSum))
		statuses(c, path, looks)
		r := c.do("DELETE", path, "")
		if looks == 3 {
			wantError(t, r, 403, "ForbiddenActionError", nil)
		} else {
			wantJSON(t, `{"meta":{"href":"`+path+`","parent":"/api/firmware/fetch"}}`, r.raw)
		}
		if diff := cmp.Diff(want, statuses(c, path, 2)); diff != "" {
			t.Errorf("cancelled after %d polls (-want +got):\n%s", looks, diff)
		}
		c.want(200, "DELETE", path, "")
		c.want(404, "GET", path, "")
	}
}

func TestFetchRefused(t *testing.T) {
	t.Parallel()
	missing := func(paths ...any) any { return map[string]any{"missing_paths": paths} }
	sum := `"checksum":{"sha256":"` + imageSum + `"}`
	c := inProcess(t, newInProcess(t)).logIn("admin", "a")
	for body, want := range map[string]struct {
		kind    string
		details any
	}{
		`{`:                                     {"InvalidRequestBody", nil},
		``:                                      {"IncompleteRequestBodyError", missing("url", "checksum")},
		`{` + sum + `}`:                         {"IncompleteRequestBodyError", missing("url")},
		`{"url":"https://x/","checksum":{}}`:    {"IncompleteRequestBodyError", missing("checksum/sha256")},
		`{"url":"https://x/","checksum":"md5"}`: {"SyntacticError", "checksum"},
		`{"url":"https://x/","checksum":{"sha256":"abc"}}`: {"SyntacticError", "checksum/sha256"},
		`{"url":"https://x/","checksum":{"sha256":1}}`:     {"SyntacticError", "checksum/sha256"},
		`{"url":1,` + sum + `}`:                            {"SyntacticError", "url"},
		`{"url":"sps.iso",` + sum + `}`:                    {"SyntacticError", "url"},
		`{"url":"file:///sps.iso",` + sum + `}`:            {"SyntacticError", "url"},
		`{"url":"https://%zz/",` + sum + `}`:               {"SyntacticError", "url"},
	} {
		wantError(t, c.do("POST", fetchesURL, body), 400, want.kind, want.details)
	}
	if items := c.want(200, "GET", fetchesURL, "").body["items"].([]any); len(items) > 0 {
		t.Errorf("downloads %v", items)
	}
}

func TestFetchShapes(t *testing.T) {
	t.Parallel()
	a := newInProcess(t, append(variants(t, "fetch-answer=body", "fetch-key=number", "fetch-progress=percent", "fetch-slot=body.slot_id", "fetch-delete-answer=204"),
		spstest.WithFetchPolls(2))...)
	a.ServeImage(imageURL, "8.1.0", "")
	c := inProcess(t, a).logIn("admin", "a")
	shown := func(status string, progress int, more string) string {
		return fmt.Sprintf(`{"body":{"checksum":{"sha256":%q},"progress":%d,"status":%q,"url":%q%s},
			"key":1,"meta":{"href":"/api/firmware/fetch/1","parent":"/api/firmware/fetch"}}`, imageSum, progress, status, imageURL, more)
	}
	wantJSON(t, shown("queued", 0, ""), c.want(202, "POST", fetchesURL, fetchBody(imageURL, imageSum)).raw)
	wantJSON(t, shown("queued", 0, ""), c.want(200, "GET", fetchesURL+"/1", "").raw)
	wantJSON(t, shown("in-progress", 50, ""), c.want(200, "GET", fetchesURL+"/1", "").raw)
	wantJSON(t, shown("finished", 100, `,"slot_id":"3"`), c.want(200, "GET", fetchesURL+"/1", "").raw)
	c.want(204, "DELETE", fetchesURL+"/1", "")
}
