package main

import (
	"context"
	"maps"
	"slices"

	"github.com/go-sps/sps"
	"github.com/go-sps/sps/examples/internal/cli"
)

// job is what to do on an appliance. Its zero value is to show the traffic alerts.
type job struct {
	system          bool // the system alerts instead
	enable, disable cli.Values
	alerts          cli.Values
	all             bool
	cli.Change
}

func (j *job) changes() bool { return len(j.enable)+len(j.disable) > 0 }

// The statuses of a result.
const (
	shown       = "shown"
	changed     = "changed"
	unchanged   = "unchanged"    // all was as it should be already
	wouldChange = "would-change" // a dry run
	errored     = "error"
)

// result is what a job came to. Its texts are safe to print.
type result struct {
	Appliance string   `json:"appliance"`
	Status    string   `json:"status"`
	Alerts    []alert  `json:"alerts"`
	EmailTo   string   `json:"email_to"`
	SNMPTo    string   `json:"snmp_to"`
	Changes   []change `json:"changes"`
	Error     string   `json:"error"`
}

// alert is one alert and its channels.
type alert struct {
	Alert string `json:"alert"`
	Email bool   `json:"email"`
	SNMP  bool   `json:"snmp"`
}

// change is one channel of an alert that is switched.
type change struct {
	Alert   string           `json:"alert"`
	Channel sps.AlertChannel `json:"channel"`
	From    bool             `json:"from"`
	To      bool             `json:"to"`
}

// newResult makes a result whose lists are no null in JSON.
func newResult(host string) result {
	return result{Appliance: cli.Line(host), Alerts: []alert{}, Changes: []change{}}
}

// fail makes a result of an error.
func (r result) fail(err error) result {
	r.Status, r.Error = errored, cli.Reason(err)
	return r
}

// do does a job on an appliance.
func do(ctx context.Context, client *sps.Client, host string, j job) result {
	r := newResult(host)
	// That an address cannot be read must not keep the alerts from being shown.
	if email, err := client.Management.Email.Get(ctx); err == nil {
		r.EmailTo = cli.Line(email.Body.AlertingAddress)
	}
	if trap, err := client.Management.SNMP.Trap.Get(ctx); err == nil && trap.Body.Enabled {
		r.SNMPTo = cli.Line(trap.Body.Version.Value.Server.Value)
	}
	if j.system {
		return doAlerts(ctx, client, client.Alerting.SystemAlerts, r, j)
	}
	return doAlerts(ctx, client, client.Alerting.TrafficAlerts, r, j)
}

// doAlerts does a job on either kind of alerts.
func doAlerts[ID ~string](ctx context.Context, client *sps.Client, alerts sps.Singleton[sps.Alerts[ID]], r result, j job) result {
	if !j.changes() {
		object, err := alerts.Get(ctx)
		if err != nil {
			return r.fail(err)
		}
		r.Status, r.Alerts = shown, list(object.Body)
		return r
	}

	var before, after sps.Alerts[ID]
	change := func(ctx context.Context, tx *sps.Transaction) error {
		return alerts.In(tx).Update(ctx, func(a *sps.Alerts[ID]) error {
			before, after = maps.Clone(*a), *a
			return switchAlerts(after, j)
		})
	}
	var err error
	if j.DryRun {
		_, err = client.Preview(ctx, change, j.Options()...)
	} else {
		err = client.Transaction(ctx, change, j.Options()...)
	}
	if err != nil {
		r.Alerts = list(before)
		return r.fail(err)
	}
	r.Alerts, r.Changes = list(after), differences(before, after)
	switch {
	case len(r.Changes) == 0:
		r.Status = unchanged
	case j.DryRun:
		r.Status = wouldChange
	default:
		r.Status = changed
	}
	return r
}

// switchAlerts carries out what the flags say, and refuses an alert that is not
// among those of the appliance.
func switchAlerts[ID ~string](a sps.Alerts[ID], j job) error {
	var ids []ID
	for _, id := range j.alerts {
		ids = append(ids, ID(id))
	}
	if j.all {
		ids = slices.Collect(maps.Keys(a))
	}
	for _, channel := range j.enable {
		if err := a.Enable(sps.AlertChannel(channel), ids...); err != nil {
			return err
		}
	}
	for _, channel := range j.disable {
		if err := a.Disable(sps.AlertChannel(channel), ids...); err != nil {
			return err
		}
	}
	return nil
}

// list returns the alerts in the order of their ids.
func list[ID ~string](a sps.Alerts[ID]) []alert {
	all := []alert{}
	for _, id := range slices.Sorted(maps.Keys(a)) {
		all = append(all, alert{cli.Line(string(id)), a[id].Email, a[id].SNMP})
	}
	return all
}

// differences returns the channels in which two settings of the same alerts differ.
func differences[ID ~string](before, after sps.Alerts[ID]) []change {
	all := []change{}
	for _, d := range before.Diff(after) {
		id := cli.Line(string(d.Alert))
		if d.Old.Email != d.New.Email {
			all = append(all, change{id, sps.ChannelEmail, d.Old.Email, d.New.Email})
		}
		if d.Old.SNMP != d.New.SNMP {
			all = append(all, change{id, sps.ChannelSNMP, d.Old.SNMP, d.New.SNMP})
		}
	}
	return all
}
