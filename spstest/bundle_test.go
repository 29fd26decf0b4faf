package spstest_test

import (
	"archive/tar"
	"compress/gzip"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/go-sps/sps/spstest"
)

const bundles = "/api/troubleshooting/support-bundle"

// bundleStatuses polls a bundle n times and returns the statuses.
func bundleStatuses(c *client, path string, n int) []string {
	c.t.Helper()
	var all []string
	for range n {
		all = append(all, c.want(200, "GET", path, "").body["body"].(map[string]any)["status"].(string))
	}
	return all
}

func TestBundle(t *testing.T) {
	t.Parallel()
	a := newInProcess(t, spstest.WithBundlePolls(1))
	c := inProcess(t, a).logIn("admin", "a")
	r := c.want(202, "POST", bundles, "")
	key := r.body["key"].(string)
	path := bundles + "/" + key
	wantJSON(t, `{"key":"`+key+`","meta":{"href":"`+path+`","parent":"`+bundles+`"}}`, r.raw)
	wantJSON(t, `{"items":[{"body":{"status":"in-progress"},"key":"`+key+`","meta":{"href":"`+path+`"}}],
		"meta":{"href":"`+bundles+`","parent":"/api/troubleshooting"}}`, c.want(200, "GET", bundles, "").raw)
	wantJSON(t, `{"body":{"status":"finished"},"key":"`+key+`","meta":{"href":"`+path+`","parent":"`+bundles+`"}}`, c.want(200, "GET", path, "").raw)

	// A finished bundle is part of the state.
	b := newInProcess(t, spstest.WithState(a.State()), spstest.WithCredentials("admin", "a"))
	for _, c := range []*client{c, inProcess(t, b).logIn("admin", "a")} {
		r = c.want(200, "GET", path+"/download", "")
		zipped, err := gzip.NewReader(strings.NewReader(r.raw))
		if err != nil {
			t.Fatal(err)
		}
		if header, err := tar.NewReader(zipped).Next(); err != nil || header.Name == "" || r.header.Get("Content-Type") != "application/octet-stream" {
			t.Errorf("download of type %s, error %v", r.header.Get("Content-Type"), err)
		}
		c.want(200, "DELETE", path, "")
		for _, gone := range []string{path, path + "/download"} {
			c.want(404, "GET", gone, "")
		}
		c.want(404, "DELETE", path, "")
	}
}

func TestBundleVariants(t *testing.T) {
	t.Parallel()
	for _, test := range []struct {
		variant string
		fail    bool
		want    []string
	}{
		{"bundle-running=queued", false, []string{"queued", "queued", "finished"}},
		{"bundle-finished=FINISHED", false, []string{"in-progress", "in-progress", "FINISHED"}},
		{"bundle-failed=failed", true, []string{"in-progress", "in-progress", "failed"}},
		{"bundle-failed=error", true, []string{"in-progress", "in-progress", "error"}},
	} {
		a := newInProcess(t, variants(t, test.variant)...)
		a.FailBundles(test.fail)
		c := inProcess(t, a).logIn("admin", "a")
		path := bundles + "/" + c.want(202, "POST", bundles, "").body["key"].(string)
		if diff := cmp.Diff(test.want, bundleStatuses(c, path, 3)); diff != "" {
			t.Errorf("%s (-want +got):\n%s", test.variant, diff)
		}
		if test.fail {
			c.want(404, "GET", path+"/download", "")
		}
	}
	for _, test := range []struct {
		variant, method, path string // path is relative to the bundle
		status                int
		left                  int // the number of bundles after the request
	}{
		{"bundle-answer=200", "GET", "", 200, 1},
		{"bundle-answer=201", "GET", "", 200, 1},
		{"bundle-second=403:ForbiddenActionError", "POST", "", 403, 1},
		{"bundle-second=400:BundleInProgress", "POST", "", 400, 1},
		{"bundle-second=409:BundleInProgress", "POST", "", 409, 1},
		{"bundle-second=same", "POST", "", 202, 1},
		{"bundle-second=new", "POST", "", 202, 2},
		{"bundle-early=403:ForbiddenActionError", "GET", "/download", 403, 1},
		{"bundle-early=400:BundleNotFinished", "GET", "/download", 400, 1},
		{"bundle-early=409:BundleNotFinished", "GET", "/download", 409, 1},
		{"bundle-cancel=removed", "DELETE", "", 200, 0},
		{"bundle-cancel=kept", "DELETE", "", 200, 1},
		{"bundle-delete-answer=204", "DELETE", "", 204, 0},
	} {
		t.Run(test.variant, func(t *testing.T) {
			t.Parallel()
			c := inProcess(t, newInProcess(t, variants(t, test.variant)...)).logIn("admin", "a")
			r := c.do("POST", bundles, "")
			want := 202
			if number, ok := strings.CutPrefix(test.variant, "bundle-answer="); ok {
				want = map[string]int{"200": 200, "201": 201}[number]
			}
			if r.status != want {
				t.Errorf("status %d, want %d", r.status, want)
			}
			path := bundles + "/" + r.body["key"].(string) + test.path
			if test.method == "POST" {
				path = bundles
			}
			c.want(test.status, test.method, path, "")
			items := c.want(200, "GET", bundles, "").body["items"].([]any)
			if len(items) != test.left {
				t.Errorf("%d bundles, want %d", len(items), test.left)
			}
			if test.variant == "bundle-cancel=kept" {
				if diff := cmp.Diff([]string{"cancelled"}, bundleStatuses(c, path, 1)); diff != "" {
					t.Errorf("cancelled (-want +got):\n%s", diff)
				}
			}
		})
	}
}

func TestBundlesAreDeletedAfterADay(t *testing.T) {
	t.Parallel()
	now := time.Date(2024, 5, 6, 7, 8, 9, 0, time.UTC)
	a := newInProcess(t, spstest.WithClock(func() time.Time { return now }), spstest.WithSessionLifetime(100*time.Hour), spstest.WithBundlePolls(0))
	c := inProcess(t, a).logIn("admin", "a")
	path := bundles + "/" + c.want(202, "POST", bundles, "").body["key"].(string)
	now = now.Add(24*time.Hour - time.Second)
	c.want(200, "GET", path, "")
	now = now.Add(time.Second)
	c.want(404, "GET", path, "")
}
