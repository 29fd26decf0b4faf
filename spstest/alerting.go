package spstest

import "strings"

// trafficAlerts are the alerts of the guide's sample.
var trafficAlerts = []string{
	"scbAuthFailure", "scbAuthSuccess", "scbChannelDenied", "scbConnectionDenied", "scbConnectionFailed",
	"scbConnectionTimedout", "scbCredStoreClosed", "scbCredStoreDecryptError", "scbCredStoreUnlockFailure",
	"scbGWAuthFailure", "scbGWAuthSuccess", "scbProtocolViolation", "scbRealTimeAlert", "scbSshHostKeyLearned",
	"scbSshHostKeyMismatch", "scbUserMappingFailure",
}

// systemAlerts are the traps of the appliance's MIB. The guide's own sample is not
// available.
var systemAlerts = []string{
	"xcbAlert", "xcbArchiveFailed", "xcbBackupFailed", "xcbBruteforceAttempt", "xcbConfigChange", "xcbDBError",
	"xcbDiskFull", "xcbError", "xcbFirmwareError", "xcbHWError", "xcbHaNodeChanged", "xcbInitSystemUnitFailed",
	"xcbLicenseAlmostExpired", "xcbLimitReached", "xcbLoadAvgHigh", "xcbLogin", "xcbLoginFailure", "xcbLogout",
	"xcbRaidStatus", "xcbRandomGeneratorError", "xcbSwapFull", "xcbTimeSyncLost", "xcbTimestampError",
}

// healthAlerts are the traps of the MIB's other group. They may not be system alerts.
var healthAlerts = []string{"xcbDiskFull", "xcbLoadAvgHigh", "xcbSwapFull"}

func addAlerting(t *tree) {
	addAlerts(t, "alerting/traffic_alerts", trafficAlerts)
	addAlerts(t, systemAlertsPath, systemAlerts)
}

const systemAlertsPath = "alerting/system_alerts"

// addAlerts adds alerts that are all off.
func addAlerts(t *tree, p string, alerts []string) {
	const off = `{"email":false,"snmp":false}`
	members := make(map[string]*shape, len(alerts))
	for _, alert := range alerts {
		members[alert] = recordOf(map[string]*shape{"email": flag(), "snmp": flag()})
	}
	t.singleton(p, recordOf(members), `{"`+strings.Join(alerts, `":`+off+`,"`)+`":`+off+`}`)
}

// chooseAlerts follows the variant system-alerts.
func (a *Appliance) chooseAlerts() {
	if a.variant("system-alerts") != "without-health" {
		return
	}
	p := configurationPath + "/" + systemAlertsPath
	v, err := decode(a.committed.bodies[p])
	body, ok := v.(object)
	if err != nil || !ok {
		return // a state brought something else
	}
	for _, alert := range healthAlerts {
		delete(a.nodes[p].shape.members, alert)
		delete(body, alert)
	}
	a.committed.bodies[p] = encode(body)
}
