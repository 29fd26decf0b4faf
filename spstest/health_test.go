package spstest_test

import (
	"encoding/json"
	"testing"

	"github.com/google/go-cmp/cmp"
)

func TestHealth(t *testing.T) {
	t.Parallel()
	a := newInProcess(t)
	wantError(t, inProcess(t, a).do("GET", "/api/health_status", ""), 401, "Unauthenticated", "/api/health_status")
	c := inProcess(t, a).logIn("admin", "a")
	firmware := func() any {
		return c.want(200, "GET", "/api/health_status", "").body["health_status"].(map[string]any)["firmware"]
	}
	healthy := fromJSON(t, `{"integrity":{"boot":"OK","core":"OK"},"tainted_files":{"boot":0,"core":0,"ha_other":0}}`)
	if diff := cmp.Diff(healthy, firmware()); diff != "" {
		t.Errorf("healthy (-want +got):\n%s", diff)
	}
	a.SetHealth(json.RawMessage(`{"disk":96.5,"firmware":{"integrity":{"core":"CORRUPTED"},"tainted_files":{"core":2}}}`))
	want := fromJSON(t, `{"integrity":{"boot":"OK","core":"CORRUPTED"},"tainted_files":{"boot":0,"core":2,"ha_other":0}}`)
	if diff := cmp.Diff(want, firmware()); diff != "" {
		t.Errorf("unhealthy (-want +got):\n%s", diff)
	}
	a.SetHealth(nil)
	if diff := cmp.Diff(healthy, firmware()); diff != "" {
		t.Errorf("healthy again (-want +got):\n%s", diff)
	}
	defer func() {
		if recover() == nil {
			t.Error("SetHealth accepted JSON that is not an object")
		}
	}()
	a.SetHealth(json.RawMessage(`7`))
}

func TestSetup(t *testing.T) {
	t.Parallel()
	a := newInProcess(t)
	c := inProcess(t, a) // the client has no session
	meta := `"meta":{"eula":"https://www.oneidentity.com/legal/sta.aspx","href":"/api/setup","parent":"/api","remaining_seconds":0}`
	wantJSON(t, `{`+meta+`,"status":"completed"}`, c.want(200, "GET", "/api/setup", "").raw)
	a.SetSetupStatus("uninitialized")
	wantJSON(t, `{`+meta+`,"status":"uninitialized"}`, c.want(200, "GET", "/api/setup", "").raw)
}
