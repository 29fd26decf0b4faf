package spstest_test

import (
	"encoding/json"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/go-sps/sps/spstest"
)

const clusterStatus = "/api/cluster/status"

func TestClusterStatus(t *testing.T) {
	t.Parallel()
	for refusal, want := range map[string]struct {
		status int
		kind   string
	}{
		"403:ForbiddenActionError": {403, "ForbiddenActionError"},
		"400:NotInCluster":         {400, "NotInCluster"},
		"404:ResourceNotFound":     {404, "ResourceNotFound"},
		"500:NotInCluster":         {500, "NotInCluster"},
	} {
		c := inProcess(t, newInProcess(t, variants(t, "cluster-status="+refusal)...)).logIn("admin", "a")
		for _, path := range []string{clusterStatus, clusterStatus + "/x"} {
			if kind, _ := c.want(want.status, "GET", path, "").errorOf(); kind != want.kind {
				t.Errorf("%s: %s", refusal, kind)
			}
		}
	}

	c := inProcess(t, newInProcess(t, spstest.WithCluster())).logIn("admin", "a")
	r := c.want(200, "GET", clusterStatus, "")
	items := r.body["items"].([]any)
	const self = clusterStatus + "/b35c54da-1b0f-4f2c-8a52-6d3f6f0e9d11"
	if diff := cmp.Diff(fromJSON(t, `{"fqdn":"sps.example.com","health_status":null,"key":"b35c54da-1b0f-4f2c-8a52-6d3f6f0e9d11","sync_status":"n/a",
		"meta":{"configuration":"/api/cluster/nodes/b35c54da-1b0f-4f2c-8a52-6d3f6f0e9d11","href":"`+self+`"}}`), items[0]); diff != "" || len(items) != 2 {
		t.Errorf("%d items; first (-want +got):\n%s", len(items), diff)
	}
	if diff := cmp.Diff(fromJSON(t, `{"href":"`+clusterStatus+`","parent":"/api/cluster","self":"`+self+`"}`), r.body["meta"]); diff != "" {
		t.Errorf("meta (-want +got):\n%s", diff)
	}

	a := newInProcess(t, spstest.WithCluster(json.RawMessage(`{"key":"one","sync_status":"up-to-date"}`)))
	for _, a := range []*spstest.Appliance{a, newInProcess(t, spstest.WithState(a.State()), spstest.WithCredentials("admin", "a"))} {
		c := inProcess(t, a).logIn("admin", "a")
		wantJSON(t, `{"key":"one","sync_status":"up-to-date","meta":{"configuration":"/api/cluster/nodes/one","href":"`+clusterStatus+`/one","parent":"`+clusterStatus+`"}}`,
			c.want(200, "GET", clusterStatus+"/one", "").raw)
		c.want(404, "GET", clusterStatus+"/two", "")
	}
}
