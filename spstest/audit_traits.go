package spstest

import (
	"net/url"
	"strconv"
	"strings"
	"time"
)

// trait is a property that is chosen for each session. Changing the order of the
// constants changes the generated sessions.
type trait uint64

const (
	traitKey trait = iota + 1
	traitKeyNumber
	traitUser
	traitJitter
	traitTie
	traitLength
	traitLengthKind
	traitOrigin
	traitProtocol
	traitVerdict
	traitAnalytics
	traitTrail
	traitIndex
	traitVault
	traitVaultForm
	traitUnknown
	traitServer
	traitServerName
	traitServerAddress
	traitClient
	traitClientPort
	traitClientName
	traitCreated
	traitZone
	traitNode
	traitAuth
	traitChannelPolicy
	traitNetwork
	traitLocalPort
	traitDomain
	traitGateway
	traitServerUser
	traitScripted
	traitInteresting
	traitTrailSize
	traitEvents
	traitChannels
	traitIndexings
	traitDownloads
	traitScored  trait = 100
	traitScore   trait = 200
	traitCommand trait = 1000
)

const (
	verdictAccept     = "ACCEPT"
	verdictTerminated = "TERMINATED"
	verdictAuthFail   = "AUTH_FAIL"
	verdictFail       = "FAIL"
)

// person is a user of the recorded sessions.
type person struct{ login, name string }

var people = []person{
	{"yoda", "Yoda Green"}, {"balabit", "Bala Bit"}, {"ddavid", "Diana David"}, {"admin", "Administrator"}, {"akovacs", "Anna Kovacs"},
	{"bnagy", "Béla Nagy"}, {"cmeyer", "Clara Meyer"}, {"dsmith", "Dan Smith"}, {"efarkas", "Eva Farkas"}, {"fweber", "Fritz Weber"},
	{"gjones", "Gwen Jones"}, {"hlee", "Hana Lee"}, {"ipetrov", "Ivan Petrov"}, {"jdoe", "Jane Doe"}, {"kimura", "Ken Kimura"},
	{"lrossi", "Luca Rossi"}, {"mtoth", "Maria Toth"}, {"svc-backup", "Backup"}, {"svc-deploy", "Deployment"}, {"o'brien", "Owen O'Brien"},
}

// host is a server of the recorded sessions.
type host struct{ ip, name string }

var hosts = func() (all []host) {
	for i, role := range []string{"db", "web", "app", "mail", "dc", "fs", "build", "jump"} {
		for n := 1; n <= 5; n++ {
			all = append(all, host{"10.110." + strconv.Itoa(100+i) + "." + strconv.Itoa(20+n), role + strconv.Itoa(n) + ".example.com"})
		}
	}
	return all
}()

var (
	origins         = map[bool]string{true: "RECORDING", false: "LOG"}
	indexStatuses   = map[bool]string{true: "INDEXED", false: "NOT_INDEXED"}
	nodeIDs         = []string{"e5c31a9b-54c7-448d-a203-2bef339f8591", "6fed7872-2c3d-4e1f-a0b9-c8d7e6f5a4b3"}
	authMethods     = []string{"password", "publickey", "keyboard-interactive"}
	channelPolicies = []string{"all_with_content", "shell-only", "terminal-only"}
	protocols       = []string{"SSH", "SSH", "SSH", "SSH", "SSH", "SSH", "SSH", "SSH", "RDP", "RDP", "RDP", "RDP", "RDP", "ICA", "VNC", "TELNET", "HTTP", "HTTP", "MSSQL"}
	verdicts        = []string{verdictAccept, verdictAccept, verdictAccept, verdictAccept, verdictAccept, verdictAccept, verdictAccept,
		verdictTerminated, verdictAuthFail, verdictFail}
	ports     = map[string]int{"SSH": 22, "RDP": 3389, "ICA": 1494, "VNC": 5900, "TELNET": 23, "HTTP": 80, "MSSQL": 1433}
	policyIDs = map[string]string{"SSH": "9676364645a0c050b39861", "RDP": "1038700604dfa6c2b3e402", "ICA": "1140211785f1b7d3c4f513", "VNC": "12517228960a2c8e4d5062",
		"TELNET": "13622339071b3d9f5e6173", "HTTP": "14727440182c4e0a6f7284", "MSSQL": "15832551293d5f1b708395"}
)

func (v *auditView) protocol() string {
	if v.change != nil && v.change.protocol != "" {
		return v.change.protocol
	}
	return protocols[v.pick(traitProtocol, len(protocols))]
}

func (v *auditView) verdict() string {
	switch {
	case v.change != nil && v.change.verdict != "":
		return v.change.verdict
	case v.record.flags&flagAccepted != 0:
		return verdictAccept
	}
	return verdicts[v.pick(traitVerdict, len(verdicts))]
}

func (v *auditView) user() string {
	if v.change != nil && v.change.user != "" {
		return v.change.user
	}
	return people[v.pick(traitUser, len(people))].login
}

// recorded reports whether the session went through the appliance. The other sessions
// come from a log.
func (v *auditView) recorded() bool {
	return v.pick(traitOrigin, 25) > 0 || v.change != nil && v.change.trail > 0
}

// connected reports whether the session reached the server.
func (v *auditView) connected() bool {
	verdict := v.verdict()
	return verdict == verdictAccept || verdict == verdictTerminated
}

// textual reports whether users type commands in sessions of this protocol.
func (v *auditView) textual() bool { return v.protocol() == "SSH" || v.protocol() == "TELNET" }

func (v *auditView) analyzed() bool {
	return v.recorded() && !v.record.active() && v.pick(traitAnalytics, 4) > 0
}

func (v *auditView) indexed() bool {
	return v.hasTrail() && !v.record.active() && v.pick(traitIndex, 5) > 0
}

func (v *auditView) hasTrail() bool {
	if v.change != nil && v.change.trail != 0 {
		return v.change.trail > 0
	}
	return v.recorded() && v.connected() && v.pick(traitTrail, 8) > 0
}

// trailSize returns the size of the recording in bytes, or 0 if there is none.
func (v *auditView) trailSize() int64 {
	switch {
	case !v.hasTrail():
		return 0
	case v.change != nil && v.change.trail > 0:
		return v.change.trail
	case v.store.trailSize > 0:
		return v.store.trailSize
	}
	return int64(4<<10 + v.pick(traitTrailSize, 256<<10))
}

func (v *auditView) score(which int) int { return v.pick(traitScore+trait(which), 101) }

func (v *auditView) archivedAt() int64 {
	if v.change != nil && v.change.archived != 0 {
		return v.change.archived
	}
	return v.record.end + (24 * time.Hour).Milliseconds()
}

func (v *auditView) server() host {
	h := hosts[v.pick(traitServer, len(hosts))]
	if v.pick(traitServerName, 3) == 0 {
		h.name = h.ip
	}
	return h
}

func (v *auditView) clientIP() string {
	n := v.pick(traitClient, 1<<16)
	b := append(make([]byte, 0, len("10.10.255.255")), "10.10."...)
	b = strconv.AppendInt(b, int64(n>>8&0x3f), 10)
	b = append(b, '.')
	return string(strconv.AppendInt(b, int64(n&0xff), 10))
}

func (v *auditView) clientName() string {
	if v.pick(traitClientName, 3) > 0 {
		return v.clientIP()
	}
	return "pc" + strconv.Itoa(v.pick(traitClient, 1<<16)) + ".example.com"
}

func (v *auditView) policy() string { return "demo-" + strings.ToLower(v.protocol()) + "-pol" }

func (v *auditView) href() string { return auditSessionsHref + "/" + url.PathEscape(v.key()) }

// interesting returns the suspicious commands of a session.
func (v *auditView) interesting() []string {
	return [][]string{{}, {}, {"sudo"}, {"sudo", "vim"}, {"passwd"}}[v.pick(traitInteresting, 5)]
}

// vault returns the access request of a session as an object or a list. Most sessions
// have none.
func (v *auditView) vault() auditValue {
	if v.pick(traitVault, 7) > 0 {
		return auditValue{}
	}
	access := v.appendAccess(nil, 0)
	switch v.pick(traitVaultForm, 4) {
	case 0:
		return rawOf("[" + string(access) + "]")
	case 1:
		return rawOf("[" + string(access) + "," + string(v.appendAccess(nil, 1)) + "]")
	}
	return rawOf(string(access))
}

func (v *auditView) appendAccess(b []byte, which int) []byte {
	at := func(minutes int64) auditValue { return timeOf(v.record.start + minutes*60_000 + int64(which)) }
	who := people[v.pick(traitUser, len(people))]
	kind := map[bool]string{true: "SSH", false: "REMOTEDESKTOP"}[v.textual()]
	text := func(name, value string) { b = appendText(appendName(b, name, false), value) }
	num := func(name string, n int) { b = strconv.AppendInt(appendName(b, name, false), int64(n), 10) }
	when := func(name string, minutes int64) { b = at(minutes).append(appendName(b, name, false)) }
	b = appendText(append(b, `{"access_request_type":`...), kind)
	num("account_id", 13+v.pick(traitServerUser, 40)+which)
	text("account_name", "root")
	text("appliance_id", "0123456789abcdef0123456789abcdef")
	text("appliance_name", "QWERT")
	num("asset_partition_id", -1)
	text("asset_partition_name", "Macrocosm")
	when("auto_approved", -2)
	when("available", -2)
	num("broker_id", 0)
	b = at(-3).append(append(b, `,"created":{"timestamp":`...))
	b = appendText(append(b, `,"user":{"client_ip_address":`...), v.clientIP())
	text("user_display_name", who.name)
	num("user_id", 8+v.pick(traitUser, len(people)))
	text("user_name", who.login)
	b = append(b, "}}"...)
	when("expired", 57)
	b = append(b, `,"is_emergency":false,"offline_workflow":false`...)
	num("system_id", 4+v.pick(traitServer, len(hosts)))
	text("system_name", v.server().name)
	return append(b, '}')
}
