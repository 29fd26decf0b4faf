package spstest_test

import (
	"maps"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
)

const (
	trafficAlerts = "/api/configuration/alerting/traffic_alerts"
	systemAlerts  = "/api/configuration/alerting/system_alerts"
)

func TestTrafficAlerts(t *testing.T) {
	t.Parallel()
	c := inProcess(t, newInProcess(t)).logIn("admin", "a")
	r := c.want(200, "GET", trafficAlerts, "")
	body := r.body["body"].(map[string]any)
	if diff := cmp.Diff([]string{
		"scbAuthFailure", "scbAuthSuccess", "scbChannelDenied", "scbConnectionDenied", "scbConnectionFailed", "scbConnectionTimedout",
		"scbCredStoreClosed", "scbCredStoreDecryptError", "scbCredStoreUnlockFailure", "scbGWAuthFailure", "scbGWAuthSuccess",
		"scbProtocolViolation", "scbRealTimeAlert", "scbSshHostKeyLearned", "scbSshHostKeyMismatch", "scbUserMappingFailure",
	}, slices.Sorted(maps.Keys(body))); diff != "" {
		t.Errorf("alerts (-want +got):\n%s", diff)
	}
	for name, alert := range body {
		if diff := cmp.Diff(map[string]any{"email": false, "snmp": false}, alert); diff != "" {
			t.Errorf("%s (-want +got):\n%s", name, diff)
		}
	}
	if diff := cmp.Diff(fromJSON(t, `{"first":"`+systemAlerts+`","href":"`+trafficAlerts+`","last":"`+trafficAlerts+`","next":null,
		"parent":"/api/configuration/alerting","previous":"`+systemAlerts+`","transaction":"/api/transaction"}`), r.body["meta"]); diff != "" {
		t.Errorf("meta (-want +got):\n%s", diff)
	}

	c.want(200, "PUT", trafficAlerts, `{"scbAuthFailure":{"email":true,"snmp":false,"sms":true},"scbNonsense":{"email":true,"snmp":true}}`)
	wantJSON(t, `{"scbAuthFailure":{"email":true,"snmp":false}}`, string(encodeJSON(t, c.want(200, "GET", trafficAlerts, "").body["body"])))
	wantError(t, c.do("PUT", trafficAlerts, `{"scbAuthFailure":{"email":1}}`), 400, "SyntacticError", trafficAlerts+"#scbAuthFailure/email")
}

func TestSystemAlerts(t *testing.T) {
	t.Parallel()
	for variant, want := range map[string]int{"all": 23, "without-health": 20} {
		c := inProcess(t, newInProcess(t, variants(t, "system-alerts="+variant)...)).logIn("admin", "a")
		body := c.want(200, "GET", systemAlerts, "").body["body"].(map[string]any)
		_, health := body["xcbDiskFull"]
		if len(body) != want || health != (variant == "all") || body["xcbLoginFailure"] == nil {
			t.Errorf("%s: %d alerts, want %d: %v", variant, len(body), want, body)
		}
		c.want(200, "PUT", systemAlerts, `{"xcbDiskFull":{"email":true,"snmp":true}}`)
		if got := c.want(200, "GET", systemAlerts, "").raw; strings.Contains(got, "xcbDiskFull") != health {
			t.Errorf("%s: %s", variant, got)
		}
	}
}
