package command

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"slices"
	"strings"

	"github.com/spf13/cobra"
	"github.com/spf13/pflag"

	"github.com/go-sps/sps"
	"github.com/go-sps/sps/cmd/sps/internal/out"
	"github.com/go-sps/sps/cmd/sps/internal/text"
)

func (a *app) alertsCommands() *cobra.Command {
	return group("alerts", "Show, enable and disable alerts by e-mail and SNMP",
		a.alertsListCommand(), a.alertsSwitchCommand(true), a.alertsSwitchCommand(false))
}

type alertsData struct {
	Alerts  []alertData `json:"alerts"`
	EmailTo string      `json:"email_to"`
	SNMPTo  string      `json:"snmp_to"`
}

type alertChanges struct {
	Changes []alertChange `json:"changes"`
	DryRun  bool          `json:"dry_run"`
}

type alertData struct {
	Alert string `json:"alert"`
	Email bool   `json:"email"`
	SNMP  bool   `json:"snmp"`
}

type alertChange struct {
	Alert   string `json:"alert"`
	Channel string `json:"channel"`
	From    bool   `json:"from"`
	To      bool   `json:"to"`
}

func (a *app) alertsListCommand() *cobra.Command {
	var system bool
	columns := []string{"ALERT", "EMAIL", "SNMP"}
	return a.command(spec{
		use: "list", short: "List the alerts and where they are sent",
		long: `List the alerts about the traffic, or with --system the alerts about the appliance itself.
The output shows for each alert whether it is sent by e-mail and by SNMP, and the recipients.`,
		examples: []string{"sps --host sps1.example.com alerts list", "sps --hosts hosts.txt -o jsonl alerts list --system"},
		columns:  columns, data: alertsData{},
		flags: func(f *pflag.FlagSet) {
			f.BoolVar(&system, "system", false, "list the alerts about the appliance itself")
		},
		run: func(ctx context.Context, j *job) (out.Report, error) {
			alerts, err := readAlerts(ctx, j.client, system)
			if err != nil {
				return out.Report{}, err
			}
			emailTo, snmpTo := alertTargets(ctx, j.client)
			r := out.Report{Columns: columns, Data: alertsData{alerts, emailTo, snmpTo}}
			for _, alert := range alerts {
				r.Rows = append(r.Rows, out.Row{Cells: []string{alert.Alert, onOff(alert.Email), onOff(alert.SNMP)}})
			}
			r.Text = fmt.Sprintf("E-mail alerts are sent to %s, SNMP alerts to %s.\n", orUnknown(emailTo), orUnknown(snmpTo))
			return r, nil
		},
	})
}

// readAlerts reads the alerts about the traffic or about the appliance itself.
func readAlerts(ctx context.Context, client *sps.Client, system bool) ([]alertData, error) {
	if system {
		object, err := client.Alerting.SystemAlerts.Get(ctx)
		if err != nil {
			return nil, err
		}
		return alertList(object.Body), nil
	}
	object, err := client.Alerting.TrafficAlerts.Get(ctx)
	if err != nil {
		return nil, err
	}
	return alertList(object.Body), nil
}

func alertList[ID ~string](alerts sps.Alerts[ID]) []alertData {
	list := []alertData{}
	for _, id := range slices.Sorted(maps.Keys(alerts)) {
		list = append(list, alertData{string(id), alerts[id].Email, alerts[id].SNMP})
	}
	return list
}

// alertTargets returns the recipients of alerts. A recipient is "" if it is not set or cannot be
// read. The command then still lists the alerts.
func alertTargets(ctx context.Context, client *sps.Client) (email, snmp string) {
	if settings, err := client.Management.Email.Get(ctx); err == nil {
		email = settings.Body.AlertingAddress
	}
	if trap, err := client.Management.SNMP.Trap.Get(ctx); err == nil && trap.Body.Enabled {
		snmp = trap.Body.Version.Value.Server.Value
	}
	return email, snmp
}

func onOff(on bool) string {
	if on {
		return "on"
	}
	return "off"
}

func orUnknown(where string) string {
	if where == "" {
		return "(no recipient is set, or it cannot be read)"
	}
	return text.Line(where)
}

// alertSwitch has the alerts and channels to enable or disable.
type alertSwitch struct {
	on, system, all bool
	channels        []string
}

func (a *app) alertsSwitchCommand(on bool) *cobra.Command {
	s := alertSwitch{on: on}
	verb, other := s.verb(), "Enable alerts"
	if !on {
		other = "Disable alerts"
	}
	return a.command(spec{
		use: verb + " ALERT...", short: other,
		long: other + ` on the channels that --channel names: email, snmp or both. Channels and alerts that
are not named stay unchanged. If an appliance does not have one of the named alerts, the
command fails for this appliance and changes nothing on it.`,
		examples: []string{
			"sps --host sps1.example.com alerts " + verb + " scbAuthFailure --channel email --message CHG-1234",
			"sps --host sps1.example.com alerts " + verb + " --all --channel snmp --dry-run",
		},
		args: cobra.ArbitraryArgs, valid: a.completeAlerts, change: true, commit: true, data: alertChanges{},
		flags: func(f *pflag.FlagSet) {
			f.StringArrayVar(&s.channels, "channel", nil, "`channel` to "+verb+": email or snmp; required; may be repeated")
			f.BoolVar(&s.all, "all", false, verb+" all alerts")
			f.BoolVar(&s.system, "system", false, verb+" alerts about the appliance itself, not alerts about the traffic")
		},
		check: s.check,
		run: func(ctx context.Context, j *job) (out.Report, error) {
			if s.system {
				return switchAlerts(ctx, j, j.client.Alerting.SystemAlerts, s)
			}
			return switchAlerts(ctx, j, j.client.Alerting.TrafficAlerts, s)
		},
	})
}

// verb returns the name of the command.
func (s *alertSwitch) verb() string {
	if s.on {
		return "enable"
	}
	return "disable"
}

// unknown returns the error for an alert that the appliance does not have.
func (s alertSwitch) unknown(name string, alerts []alertData) error {
	about, advice := "the traffic", "alerts about the appliance itself need --system"
	if s.system {
		about, advice = "the appliance itself", "alerts about the traffic need no --system"
	}
	names := make([]string, len(alerts))
	for i, alert := range alerts {
		names[i] = alert.Alert
	}
	return &advisedError{
		text.Line(fmt.Sprintf("there is no alert %q about %s: the appliance has %s", name, about, strings.Join(names, ", "))),
		advice, sps.ErrInvalidInput,
	}
}

// check validates the channels and the names of the alerts.
func (s *alertSwitch) check(args []string) error {
	switch {
	case len(s.channels) == 0:
		return errors.New("--channel is missing: give --channel email, --channel snmp, or both")
	case s.all && len(args) > 0:
		return errors.New("--all excludes names of alerts: give --all or the names, not both")
	case !s.all && len(args) == 0:
		return errors.New("no alert is named: name the alerts, or give --all")
	}
	for _, channel := range s.channels {
		if channel != string(sps.ChannelEmail) && channel != string(sps.ChannelSNMP) {
			return fmt.Errorf("--channel %q is neither email nor snmp: give one of these", channel)
		}
	}
	return nil
}

// switchAlerts enables or disables alerts in a transaction, and reports the changes.
func switchAlerts[ID ~string](ctx context.Context, j *job, alerts sps.Singleton[sps.Alerts[ID]], s alertSwitch) (out.Report, error) {
	var before, after sps.Alerts[ID]
	err := j.transaction(ctx, func(ctx context.Context, tx *sps.Transaction) error {
		return alerts.In(tx).Update(ctx, func(a *sps.Alerts[ID]) error {
			before, after = maps.Clone(*a), *a
			for _, name := range j.args {
				if _, ok := after[ID(name)]; !ok {
					return s.unknown(name, alertList(after))
				}
			}
			return s.apply(func(channel sps.AlertChannel) error { return switchChannel(after, channel, s, j.args) })
		})
	})
	if err != nil {
		return out.Report{}, fmt.Errorf("alerts %s: %w", s.verb(), err)
	}
	changes := alertDifferences(before, after)
	lines := make([]string, len(changes))
	for i, c := range changes {
		lines[i] = fmt.Sprintf("%s: %s %s -> %s", c.Alert, c.Channel, onOff(c.From), onOff(c.To))
	}
	return j.changed(lines, alertChanges{changes, j.dryRun}), nil
}

// apply calls the function one for each channel.
func (s alertSwitch) apply(one func(sps.AlertChannel) error) error {
	for _, channel := range s.channels {
		if err := one(sps.AlertChannel(channel)); err != nil {
			return err
		}
	}
	return nil
}

func switchChannel[ID ~string](alerts sps.Alerts[ID], channel sps.AlertChannel, s alertSwitch, names []string) error {
	ids := make([]ID, len(names))
	for i, name := range names {
		ids[i] = ID(name)
	}
	switch {
	case s.all && s.on:
		return alerts.EnableAll(channel)
	case s.all:
		return alerts.DisableAll(channel)
	case s.on:
		return alerts.Enable(channel, ids...)
	}
	return alerts.Disable(channel, ids...)
}

// alertDifferences lists the alerts and channels that differ between before and after.
func alertDifferences[ID ~string](before, after sps.Alerts[ID]) []alertChange {
	all := []alertChange{}
	for _, d := range before.Diff(after) {
		if d.Old.Email != d.New.Email {
			all = append(all, alertChange{string(d.Alert), "email", d.Old.Email, d.New.Email})
		}
		if d.Old.SNMP != d.New.SNMP {
			all = append(all, alertChange{string(d.Alert), "snmp", d.Old.SNMP, d.New.SNMP})
		}
	}
	return all
}

// changed returns the report of a change of the configuration, with a line for each change.
func (j *job) changed(lines []string, data any) out.Report {
	head := "changed:"
	switch {
	case len(lines) == 0:
		head = "nothing to change: the appliance already has these settings"
	case j.dryRun:
		head = "this would change (dry run, nothing was changed):"
	}
	return out.Report{Data: data, Text: head + "\n" + text.Indent(strings.Join(lines, "\n"))}
}
