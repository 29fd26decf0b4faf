// Package areas tests the areas of the API against simulated appliances. Each area has its own
// file.
package areas

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"strings"
	"testing"

	"github.com/go-sps/sps"
	"github.com/go-sps/sps/internal/testkit"
	"github.com/go-sps/sps/spstest"
)

func TestMain(m *testing.M) { testkit.RunTests(m) }

func TestAlertingListing(t *testing.T) {
	t.Parallel()
	testkit.UnderVariants(t, func(t *testing.T, options ...spstest.Option) {
		c := testkit.Connect(t, spstest.NewServer(t, options...))
		list, err := c.Listing(t.Context(), "configuration/alerting")
		if err != nil {
			t.Fatal(err)
		}
		testkit.Diff(t, "links", []sps.ListingEntry{
			{Key: "system_alerts", Href: "/api/configuration/alerting/system_alerts"},
			{Key: "traffic_alerts", Href: "/api/configuration/alerting/traffic_alerts"},
		}, list.Entries)
		testkit.Diff(t, "parent", "/api/configuration", list.Meta.Parent)
	})
}

func TestAlerts(t *testing.T) {
	t.Parallel()
	testkit.UnderVariants(t, func(t *testing.T, options ...spstest.Option) {
		a := spstest.NewServer(t, options...)
		c := testkit.Connect(t, a)
		old, err := c.Alerting.TrafficAlerts.Get(t.Context())
		if err != nil {
			t.Fatal(err)
		}
		testkit.Diff(t, "key", "traffic_alerts", old.Key)
		for _, id := range testkit.AllTrafficAlerts {
			if s, ok := old.Body[id]; !ok || s != (sps.AlertSetting{}) {
				t.Errorf("%s: %+v, %t", id, s, ok)
			}
		}
		err = c.Transaction(t.Context(), func(ctx context.Context, tx *sps.Transaction) error {
			if err := tx.Alerting.TrafficAlerts.Update(ctx, func(a *sps.TrafficAlerts) error {
				return errors.Join(a.Enable(sps.ChannelEmail, sps.AlertConnectionDenied, sps.AlertAuthFailure), a.EnableAll(sps.ChannelSNMP),
					a.Disable(sps.ChannelSNMP, sps.AlertConnectionDenied))
			}); err != nil {
				return err
			}
			return tx.Alerting.SystemAlerts.Update(ctx, func(a *sps.SystemAlerts) error {
				return a.Enable(sps.ChannelEmail, sps.SystemAlertConfigChange)
			})
		})
		if err != nil {
			t.Fatal(err)
		}
		now, err := c.Alerting.TrafficAlerts.Get(t.Context())
		if err != nil {
			t.Fatal(err)
		}
		want := sps.TrafficAlerts{}
		for _, id := range testkit.AllTrafficAlerts {
			want[id] = sps.AlertSetting{SNMP: true}
		}
		want[sps.AlertConnectionDenied] = sps.AlertSetting{Email: true}
		want[sps.AlertAuthFailure] = sps.AlertSetting{Email: true, SNMP: true}
		testkit.Diff(t, "traffic alerts", want, now.Body)
		if differences := old.Body.Diff(now.Body); len(differences) != len(testkit.AllTrafficAlerts) {
			t.Errorf("differences %v", differences)
		}
		system, err := c.Alerting.SystemAlerts.Get(t.Context())
		if err != nil {
			t.Fatal(err)
		}
		for id, s := range system.Body {
			if s != (sps.AlertSetting{Email: id == sps.SystemAlertConfigChange}) {
				t.Errorf("%s: %+v", id, s)
			}
		}
		if len(system.Body) < 15 {
			t.Errorf("%d system alerts", len(system.Body))
		}
	})
}

// TestAlertsKeepUnknownMembers checks that an update of the alerts keeps members that the SDK does
// not know, at each level of the object, and that reading a malformed object returns
// ErrBadAnswer.
func TestAlertsKeepUnknownMembers(t *testing.T) {
	t.Parallel()
	a := spstest.NewServer(t)
	c := testkit.Connect(t, a)
	const path = "alerting/traffic_alerts"
	a.SetConfiguration(path, json.RawMessage(`{
		"scbAuthFailure":{"email":true,"snmp":false,"syslog":true,"throttle":{"per_minute":1.50,"exempt":[]}},
		"scbFutureAlert":{"email":false,"snmp":true},
		"scbHalf":{"email":true},
		"scbNull":null,
		"version":2,
		"recipients":[{"address":"a@example.com","since":null}],
		"policy":{"key":"-100","meta":{"href":"/api/configuration/policies/time_policies/-100"}}}`))
	got, err := c.Alerting.TrafficAlerts.Get(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	testkit.Diff(t, "alerts", sps.TrafficAlerts{
		sps.AlertAuthFailure: {Email: true}, "scbFutureAlert": {SNMP: true}, "scbHalf": {Email: true},
	}, got.Body)
	want := testkit.Committed(t, a, path)
	err = c.Transaction(t.Context(), func(ctx context.Context, tx *sps.Transaction) error {
		return tx.Alerting.TrafficAlerts.Update(ctx, func(a *sps.TrafficAlerts) error {
			return errors.Join(a.DisableAll(sps.ChannelEmail), a.Enable(sps.ChannelEmail, "scbFutureAlert"))
		})
	})
	if err != nil {
		t.Fatal(err)
	}
	want["scbAuthFailure"].(map[string]any)["email"] = false
	want["scbFutureAlert"].(map[string]any)["email"] = true
	want["scbHalf"].(map[string]any)["email"] = false
	testkit.Diff(t, "after the update", want, testkit.Committed(t, a, path))
	for name, body := range map[string]string{
		"channel value is a string": `{"scbAuthFailure":{"email":"yes"}}`,
		"body is a list":            `[1]`,
	} {
		a.Inject(spstest.Fault{Method: "GET", Path: "configuration/" + path, Status: 200, Body: `{"body":` + body + `}`})
		if got, err := c.Alerting.TrafficAlerts.Get(t.Context()); !errors.Is(err, sps.ErrBadAnswer) {
			t.Errorf("%s: %v, %v", name, got, err)
		}
	}
}

func TestUnknownAlert(t *testing.T) {
	t.Parallel()
	a := spstest.NewServer(t)
	c := testkit.Connect(t, a)
	for name, test := range map[string]struct {
		change func(sps.TrafficAlerts) error
		text   string
	}{
		"misspelt": {func(a sps.TrafficAlerts) error {
			return a.Enable(sps.ChannelEmail, sps.AlertAuthFailure, "scbAuthFailur")
		}, `there is no alert "scbAuthFailur": the appliance has [scbAuthFailure `},
		"name in lower case":                 {func(a sps.TrafficAlerts) error { return a.Disable(sps.ChannelSNMP, "scbauthfailure") }, `did you mean "scbAuthFailure"?`},
		"unknown name set in the map itself": {func(a sps.TrafficAlerts) error { a["scbTypo"] = sps.AlertSetting{Email: true}; return nil }, `there is no alert "scbTypo"`},
		"an unknown channel":                 {func(a sps.TrafficAlerts) error { return a.EnableAll("fax") }, `alert channel "fax": use ChannelEmail or ChannelSNMP`},
	} {
		a.ResetJournal()
		err := c.Transaction(t.Context(), func(ctx context.Context, tx *sps.Transaction) error {
			return tx.Alerting.TrafficAlerts.Update(ctx, func(a *sps.TrafficAlerts) error { return test.change(*a) })
		})
		if !errors.Is(err, sps.ErrInvalidInput) || !strings.Contains(fmt.Sprint(err), test.text) {
			t.Errorf("%s: %v, want %q", name, err, test.text)
		}
		for _, request := range testkit.Requests(a) {
			if strings.HasPrefix(request, "PUT") {
				t.Errorf("%s: sent %s", name, request)
			}
		}
		testkit.Settled(t, a, testkit.AdminBefore)
	}
	// Replace rejects alerts that the appliance does not have, as Update does.
	err := c.Transaction(t.Context(), func(ctx context.Context, tx *sps.Transaction) error {
		return tx.Alerting.TrafficAlerts.Replace(ctx, sps.TrafficAlerts{"scbTypo": {}})
	})
	if !errors.Is(err, sps.ErrInvalidInput) {
		t.Errorf("Replace with an unknown alert: %v, want ErrInvalidInput", err)
	}
	alerts := sps.TrafficAlerts{sps.AlertAuthFailure: {}}
	if err := alerts.Enable(sps.ChannelEmail, sps.AlertAuthFailure, "scbTypo"); err == nil || alerts[sps.AlertAuthFailure].Email {
		t.Errorf("Enable with an unknown alert: error %v, alerts %v; want an error and no change", err, alerts)
	}
}

func TestAlertsDiff(t *testing.T) {
	t.Parallel()
	on := &sps.AlertSetting{Email: true}
	off := &sps.AlertSetting{}
	old := sps.TrafficAlerts{"a": *on, "b": *on, "gone": *off}
	changed := sps.TrafficAlerts{"a": *on, "b": *off, "new": *on}
	testkit.Diff(t, "differences", []sps.AlertDifference[sps.TrafficAlert]{
		{Alert: "b", Old: on, New: off}, {Alert: "gone", Old: off}, {Alert: "new", New: on},
	}, old.Diff(changed))
	testkit.Diff(t, "differences between equal alerts", []sps.AlertDifference[sps.TrafficAlert](nil), old.Diff(old))
	testkit.Diff(t, "differences from no alerts", []sps.AlertDifference[sps.TrafficAlert]{{Alert: "x", New: off}}, sps.TrafficAlerts(nil).Diff(sps.TrafficAlerts{"x": *off}))
}

func TestAlertDestinations(t *testing.T) {
	t.Parallel()
	testkit.UnderVariants(t, func(t *testing.T, options ...spstest.Option) {
		a := spstest.NewServer(t, options...)
		c := testkit.Connect(t, a)
		email, err := c.Management.Email.Get(t.Context())
		if err != nil {
			t.Fatal(err)
		}
		testkit.Diff(t, "mail", sps.EmailSettings{
			AdminAddress: testkit.AdminBefore, AlertingAddress: "alerts@example.com", ReportingAddress: "reports@example.com",
			SMTPServer:     sps.Selection{Selection: "ip", Value: "10.20.30.40"},
			SMTPEncryption: sps.SMTPEncryption{Selection: "disabled"},
		}, email.Body)
		trap, err := c.Management.SNMP.Trap.Get(t.Context())
		if err != nil {
			t.Fatal(err)
		}
		testkit.Diff(t, "trap", sps.SNMPTrap{Enabled: true, Version: sps.SNMPVersion{Selection: "2c", Value: sps.SNMPTarget{
			Community: sps.NewSecretString("public"), Server: sps.Selection{Selection: "ip", Value: "10.20.30.40"},
		}}}, trap.Body)
		if text := fmt.Sprintf("%v %+v %#v", trap, trap.Body, trap.Body); strings.Contains(text, "public") {
			t.Errorf("the community is shown: %s", text)
		}
		err = c.Transaction(t.Context(), func(ctx context.Context, tx *sps.Transaction) error {
			return tx.Management.SNMP.Trap.Update(ctx, func(trap *sps.SNMPTrap) error {
				trap.Version.Value.Community = sps.NewSecretString("hidden")
				trap.Version.Value.Server.Value = "10.0.0.9"
				return nil
			})
		})
		if err != nil {
			t.Fatal(err)
		}
		testkit.Diff(t, "committed", map[string]any{"enabled": true, "version": map[string]any{
			"selection": "2c", "value": map[string]any{"community": "hidden", "server": map[string]any{"selection": "ip", "value": "10.0.0.9"}},
		}}, testkit.Committed(t, a, "management/snmp/trap"))
	})
}

// TestUnknownSelections checks that tagged values (objects with the members selection and
// value) of an unknown form can be read, and that an update leaves them unchanged.
func TestUnknownSelections(t *testing.T) {
	t.Parallel()
	a := spstest.NewServer(t)
	c := testkit.Connect(t, a)
	a.SetConfiguration("management/snmp/trap", json.RawMessage(`{"enabled":true,"version":{"selection":"3","value":{
		"server":{"selection":"fqdn","value":{"name":"trap.example.com","port":162}},"user":{"name":"u","auth_password":null}}}}`))
	want := testkit.Committed(t, a, "management/snmp/trap")
	err := c.Transaction(t.Context(), func(ctx context.Context, tx *sps.Transaction) error {
		return tx.Management.SNMP.Trap.Update(ctx, func(trap *sps.SNMPTrap) error {
			testkit.Diff(t, "version", sps.SNMPVersion{Selection: "3", Value: sps.SNMPTarget{Server: sps.Selection{Selection: "fqdn"}}}, trap.Version)
			trap.Enabled = false
			return nil
		})
	})
	if err != nil {
		t.Fatal(err)
	}
	want["enabled"] = false
	testkit.Diff(t, "committed", want, testkit.Committed(t, a, "management/snmp/trap"))
}
