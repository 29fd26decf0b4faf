package spstest

import "strings"

// trafficAlerts are the traffic alerts of the guide's sample.
var trafficAlerts = []string{
	"scbAuthFailure", "scbAuthSuccess", "scbChannelDenied", "scbConnectionDenied", "scbConnectionFailed",
	"scbConnectionTimedout", "scbCredStoreClosed", "scbCredStoreDecryptError", "scbCredStoreUnlockFailure",
	"scbGWAuthFailure", "scbGWAuthSuccess", "scbProtocolViolation", "scbRealTimeAlert", "scbSshHostKeyLearned",
	"scbSshHostKeyMismatch", "scbUserMappingFailure",
}

// systemAlerts are the traps in the MIB of the appliance. The guide has no sample of
// system alerts.
var systemAlerts = []string{
	"xcbAlert", "xcbArchiveFailed", "xcbBackupFailed", "xcbBruteforceAttempt", "xcbConfigChange", "xcbDBError",
	"xcbDiskFull", "xcbError", "xcbFirmwareError", "xcbHWError", "xcbHaNodeChanged", "xcbInitSystemUnitFailed",
	"xcbLicenseAlmostExpired", "xcbLimitReached", "xcbLoadAvgHigh", "xcbLogin", "xcbLoginFailure", "xcbLogout",
	"xcbRaidStatus", "xcbRandomGeneratorError", "xcbSwapFull", "xcbTimeSyncLost", "xcbTimestampError",
}

// healthAlerts are the traps of health monitoring, which form another group in the MIB.
// The guide does not say whether they are system alerts, see the variant system-alerts.
var healthAlerts = []string{"xcbDiskFull", "xcbLoadAvgHigh", "xcbSwapFull"}

func addAlerting(t *tree) {
	addAlerts(t, "alerting/traffic_alerts", trafficAlerts)
	addAlerts(t, systemAlertsPath, systemAlerts)
}

const systemAlertsPath = "alerting/system_alerts"

// addAlerts adds an endpoint with alerts that are all switched off.
func addAlerts(t *tree, p string, alerts []string) {
	const off = `{"email":false,"snmp":false}`
	members := make(map[string]*shape, len(alerts))
	for _, alert := range alerts {
		members[alert] = recordOf(map[string]*shape{"email": flag(), "snmp": flag()})
	}
	t.singleton(p, recordOf(members), `{"`+strings.Join(alerts, `":`+off+`,"`)+`":`+off+`}`)
}

// chooseAlerts removes the alerts of health monitoring if the variant system-alerts
// selects this.
func (a *Appliance) chooseAlerts() {
	if a.variant("system-alerts") != "without-health" {
		return
	}
	p := configurationPath + "/" + systemAlertsPath
	v, err := decode(a.committed.bodies[p])
	body, ok := v.(object)
	if err != nil || !ok {
		return // the state from WithState has another kind of body
	}
	for _, alert := range healthAlerts {
		delete(a.nodes[p].shape.members, alert)
		delete(body, alert)
	}
	a.committed.bodies[p] = encode(body)
}
