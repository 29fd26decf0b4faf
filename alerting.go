package sps

import (
	"fmt"
	"maps"
	"slices"
	"strings"

	"github.com/go-sps/sps/internal/wire"
)

var (
	trafficAlerts = spec[TrafficAlerts]{describe("configuration/alerting/traffic_alerts")}.checked(CheckChange(changedAlerts[TrafficAlert]))
	systemAlerts  = spec[SystemAlerts]{describe("configuration/alerting/system_alerts")}.checked(CheckChange(changedAlerts[SystemAlert]))
)

// Alerting reads which alerts the appliance sends and how (guide: Basic settings,
// Alerting; configuration/alerting).
type Alerting struct {
	// TrafficAlerts reads configuration/alerting/traffic_alerts.
	TrafficAlerts Singleton[TrafficAlerts]
	// SystemAlerts reads configuration/alerting/system_alerts.
	SystemAlerts Singleton[SystemAlerts]
}

func newAlerting(c *Client) Alerting {
	return Alerting{trafficAlerts.singleton(c), systemAlerts.singleton(c)}
}

// AlertingTx writes the endpoints that [Alerting] reads.
type AlertingTx struct {
	// TrafficAlerts writes configuration/alerting/traffic_alerts.
	TrafficAlerts SingletonTx[TrafficAlerts]
	// SystemAlerts writes configuration/alerting/system_alerts.
	SystemAlerts SingletonTx[SystemAlerts]
}

func newAlertingTx(tx *Transaction) AlertingTx {
	return AlertingTx{trafficAlerts.singletonTx(tx), systemAlerts.singletonTx(tx)}
}

// AlertChannel is a way to send an alert: by e-mail or by SNMP.
type AlertChannel string

// The channels by which the appliance can send an alert.
const (
	ChannelEmail AlertChannel = "email" // to the alerting address of [EmailSettings]
	ChannelSNMP  AlertChannel = "snmp"  // to the server of [SNMPTrap]
)

// TrafficAlert is the id of an alert about controlled traffic. The set is open: an
// appliance may have ids that have no constant here.
type TrafficAlert string

// The traffic alerts of the guide.
const (
	AlertAuthFailure            TrafficAlert = "scbAuthFailure"            // a user failed to authenticate on the server
	AlertAuthSuccess            TrafficAlert = "scbAuthSuccess"            // a user authenticated on the server
	AlertChannelDenied          TrafficAlert = "scbChannelDenied"          // the opening of a channel was denied
	AlertConnectionDenied       TrafficAlert = "scbConnectionDenied"       // a connection was denied
	AlertConnectionFailed       TrafficAlert = "scbConnectionFailed"       // the connection to the server failed
	AlertConnectionTimedout     TrafficAlert = "scbConnectionTimedout"     // a connection timed out
	AlertCredStoreClosed        TrafficAlert = "scbCredStoreClosed"        // the requested credential store is closed
	AlertCredStoreDecryptError  TrafficAlert = "scbCredStoreDecryptError"  // a credential could not be decrypted
	AlertCredStoreUnlockFailure TrafficAlert = "scbCredStoreUnlockFailure" // the credential store could not be unlocked
	AlertGWAuthFailure          TrafficAlert = "scbGWAuthFailure"          // a user failed to authenticate on the gateway
	AlertGWAuthSuccess          TrafficAlert = "scbGWAuthSuccess"          // a user authenticated on the gateway
	AlertProtocolViolation      TrafficAlert = "scbProtocolViolation"      // somebody violated the protocol
	AlertRealTimeAlert          TrafficAlert = "scbRealTimeAlert"          // a real-time audit event was detected
	AlertSSHHostKeyLearned      TrafficAlert = "scbSshHostKeyLearned"      // a new SSH host key was learned
	AlertSSHHostKeyMismatch     TrafficAlert = "scbSshHostKeyMismatch"     // an SSH host key differed from the known one
	AlertUserMappingFailure     TrafficAlert = "scbUserMappingFailure"     // mapping a user failed on the gateway
)

// SystemAlert is the id of an alert about the appliance itself. The constants are the SNMP
// traps of the platform, because the guide's list of system alerts was not available. The
// set is open: an appliance may have other ids, and an older one may lack some of these.
type SystemAlert string

// The known system alerts.
const (
	SystemAlertAlert                SystemAlert = "xcbAlert"                // a general alert of the system log
	SystemAlertArchiveFailed        SystemAlert = "xcbArchiveFailed"        // archiving data failed
	SystemAlertBackupFailed         SystemAlert = "xcbBackupFailed"         // a backup of data or configuration failed
	SystemAlertBruteforceAttempt    SystemAlert = "xcbBruteforceAttempt"    // too many attempts to log in
	SystemAlertConfigChange         SystemAlert = "xcbConfigChange"         // the configuration was changed
	SystemAlertDBError              SystemAlert = "xcbDBError"              // an error of the database
	SystemAlertDiskFull             SystemAlert = "xcbDiskFull"             // the disk is fuller than its limit
	SystemAlertError                SystemAlert = "xcbError"                // a general error of the system log
	SystemAlertFirmwareError        SystemAlert = "xcbFirmwareError"        // an error of the firmware
	SystemAlertHANodeChanged        SystemAlert = "xcbHaNodeChanged"        // a node of the high-availability pair changed its state
	SystemAlertHWError              SystemAlert = "xcbHWError"              // an error of the hardware
	SystemAlertInitSystemUnitFailed SystemAlert = "xcbInitSystemUnitFailed" // a system service failed
	SystemAlertLicenseAlmostExpired SystemAlert = "xcbLicenseAlmostExpired" // the license expires soon
	SystemAlertLimitReached         SystemAlert = "xcbLimitReached"         // the limit of the license is reached
	SystemAlertLoadAvgHigh          SystemAlert = "xcbLoadAvgHigh"          // the load is above its limit
	SystemAlertLogin                SystemAlert = "xcbLogin"                // somebody logged in
	SystemAlertLoginFailure         SystemAlert = "xcbLoginFailure"         // somebody failed to log in
	SystemAlertLogout               SystemAlert = "xcbLogout"               // somebody logged out
	SystemAlertRaidStatus           SystemAlert = "xcbRaidStatus"           // the state of the RAID changed
	SystemAlertRandomGeneratorError SystemAlert = "xcbRandomGeneratorError" // an error of the random generator
	SystemAlertSwapFull             SystemAlert = "xcbSwapFull"             // the swap space is fuller than its limit
	SystemAlertTimestampError       SystemAlert = "xcbTimestampError"       // timestamping failed
	SystemAlertTimeSyncLost         SystemAlert = "xcbTimeSyncLost"         // the time is no longer synchronised
)

// AlertSetting says by which channels an alert is sent. The zero value means that the
// alert is not sent.
type AlertSetting struct {
	Email bool `json:"email"` // to [EmailSettings].AlertingAddress
	SNMP  bool `json:"snmp"`  // to the server of [SNMPTrap]
}

// Alerts has the setting of each alert of an appliance. Range over the map to read the
// settings. Change them with [Alerts.Enable] and [Alerts.Disable], which refuse a
// misspelt id. If a write adds or omits an alert, the client refuses it with
// [ErrInvalidInput], because the appliance would silently ignore an added alert and lose
// an omitted one.
type Alerts[ID ~string] map[ID]AlertSetting

// TrafficAlerts is the body of configuration/alerting/traffic_alerts (guide: Basic
// settings, Traffic alerts).
type TrafficAlerts = Alerts[TrafficAlert]

// SystemAlerts is the body of configuration/alerting/system_alerts (guide: Basic
// settings, System alerts).
type SystemAlerts = Alerts[SystemAlert]

// AlertDifference is one alert whose setting differs between two values.
type AlertDifference[ID ~string] struct {
	// Alert is the id of the alert.
	Alert ID
	// Old and New are the two settings. Old or New is nil if the alert does not exist in
	// that value.
	Old, New *AlertSetting
}

// String returns the difference as text, for example "scbAuthFailure: email off -> on".
func (d AlertDifference[ID]) String() string {
	text := oneLine(string(d.Alert), 100) + ":"
	word := map[bool]string{true: "on", false: "off"}
	switch {
	case d.Old == nil:
		return text + " added"
	case d.New == nil:
		return text + " removed"
	}
	if d.Old.Email != d.New.Email {
		text += " email " + word[d.Old.Email] + " -> " + word[d.New.Email]
	}
	if d.Old.SNMP != d.New.SNMP {
		text += " snmp " + word[d.Old.SNMP] + " -> " + word[d.New.SNMP]
	}
	return text
}

// UnmarshalJSON decodes the members that are alerts: objects with at least one of the two
// channels. It ignores other members, and an update keeps their values.
func (a *Alerts[ID]) UnmarshalJSON(data []byte) error {
	if wire.Kind(data) != wire.Object {
		return wire.Unfit("the alerts are not an object")
	}
	all := make(Alerts[ID], 16)
	err := wire.Each(data, func(id string, value []byte) error {
		if wire.Kind(value) != wire.Object {
			return nil
		}
		var s AlertSetting
		known := false
		err := wire.Each(value, func(name string, value []byte) error {
			channel := &s.Email
			switch AlertChannel(name) {
			case ChannelEmail:
			case ChannelSNMP:
				channel = &s.SNMP
			default:
				return nil
			}
			known = true
			on, ok := wire.Bool(value)
			if !ok && wire.Kind(value) != wire.Null {
				return wire.Unfit("a channel of " + oneLine(id, 60) + " is not a boolean")
			}
			*channel = on
			return nil
		})
		if known {
			all[ID(id)] = s
		}
		return err
	})
	if err != nil {
		return err
	}
	*a = all
	return nil
}

// Enable switches a channel on for the given alerts. The other channel and all other
// alerts stay as they are. If the appliance does not have one of the alerts, Enable
// returns [ErrInvalidInput] and changes nothing.
func (a Alerts[ID]) Enable(channel AlertChannel, alerts ...ID) error {
	return a.set(true, channel, alerts)
}

// Disable switches a channel off for the given alerts. Otherwise it works like
// [Alerts.Enable].
func (a Alerts[ID]) Disable(channel AlertChannel, alerts ...ID) error {
	return a.set(false, channel, alerts)
}

// EnableAll switches a channel on for all alerts of the appliance.
func (a Alerts[ID]) EnableAll(channel AlertChannel) error {
	return a.set(true, channel, a.ids())
}

// DisableAll switches a channel off for all alerts of the appliance.
func (a Alerts[ID]) DisableAll(channel AlertChannel) error {
	return a.set(false, channel, a.ids())
}

func (a Alerts[ID]) set(on bool, channel AlertChannel, alerts []ID) error {
	if channel != ChannelEmail && channel != ChannelSNMP {
		return fmt.Errorf("sps: %w", invalid("alert channel %s: use ChannelEmail or ChannelSNMP", quoted(string(channel))))
	}
	if err := a.has(alerts); err != nil {
		return fmt.Errorf("sps: %w", err)
	}
	for _, id := range alerts {
		s := a[id]
		if channel == ChannelEmail {
			s.Email = on
		} else {
			s.SNMP = on
		}
		a[id] = s
	}
	return nil
}

// has returns an error for the first of the alerts that a does not contain. It returns nil if
// a contains all of them.
func (a Alerts[ID]) has(alerts []ID) error {
	for _, id := range alerts {
		if _, ok := a[id]; ok {
			continue
		}
		for known := range a {
			if strings.EqualFold(string(known), string(id)) {
				return breach("", string(id), "there is no alert %s: did you mean %s?", quoted(string(id)), quoted(string(known)))
			}
		}
		return breach("", string(id), "there is no alert %s: the appliance has %s", quoted(string(id)), oneLine(fmt.Sprint(a.ids()), 800))
	}
	return nil
}

func (a Alerts[ID]) ids() []ID { return slices.Sorted(maps.Keys(a)) }

// changedAlerts refuses alerts that the appliance does not have, because the appliance would
// silently ignore them. It also refuses a set that lacks some of the appliance's alerts,
// because the appliance would lose them.
func changedAlerts[ID ~string](was, now *Alerts[ID]) error {
	if was == nil {
		return nil
	}
	if err := was.has(now.ids()); err != nil {
		return err
	}
	for _, id := range was.ids() {
		if _, ok := (*now)[id]; !ok {
			return breach("", string(id), "the alert %s is missing in the new value, and would be lost: switch its channels off instead", quoted(string(id)))
		}
	}
	return nil
}

// Diff lists the alerts whose settings differ, in the order of their ids. To see what an
// update changes, make a copy with maps.Clone(*a) at the start of the update function and
// call Diff on it at the end.
func (a Alerts[ID]) Diff(other Alerts[ID]) []AlertDifference[ID] {
	all := maps.Clone(a)
	if all == nil {
		all = Alerts[ID]{}
	}
	maps.Copy(all, other)
	var differences []AlertDifference[ID]
	for _, id := range all.ids() {
		d := AlertDifference[ID]{Alert: id}
		if s, ok := a[id]; ok {
			d.Old = &s
		}
		if s, ok := other[id]; ok {
			d.New = &s
		}
		if d.Old == nil || d.New == nil || *d.Old != *d.New {
			differences = append(differences, d)
		}
	}
	return differences
}
