package sps

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"math"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/go-sps/sps/internal/apipath"
	"github.com/go-sps/sps/internal/wire"
)

var (
	userInfoPath      = mustPath("user_info")
	healthPath        = mustPath("health_status")
	clusterStatusPath = mustPath("cluster/status")
)

// ApplianceInfo has the version, the names and the roles of an appliance (GET /api/info).
// A field is the zero value if the appliance does not report the member.
type ApplianceInfo struct {
	// FirmwareVersion is the running version in dotted form, such as "7.4.0". Use it to
	// compare versions.
	FirmwareVersion string
	// Version is the running version in the vendor's short form, such as "5 F7".
	Version string
	// BuildDate is the build date of the firmware. It is the zero time if the response
	// has no valid time.
	BuildDate time.Time
	// ConfigHash is a hash of the configuration: 32 hex digits.
	ConfigHash string
	// Hostname, Domainname and Nickname are the names of the appliance.
	Hostname, Domainname, Nickname string
	// Roles are the roles of the appliance in a cluster, such as "central-management".
	Roles []string
	// AnalyticsEnabled is true if analytics are switched on.
	AnalyticsEnabled bool
	// SupportLink is the URL of the vendor's support.
	SupportLink string
	// PluginSDKVersion is the full version of the plugin SDK.
	PluginSDKVersion string
	// SessionRemaining is the time until the session ends. It is 0 if the appliance does
	// not report it.
	SessionRemaining time.Duration
}

// Info reads the version, the names and the roles of the appliance (GET /api/info). If
// the session has expired, the endpoint returns fewer members instead of an error. The
// client detects this and logs in again.
func (c *Client) Info(ctx context.Context) (*ApplianceInfo, error) {
	a, err := c.read(ctx, infoPath, nil)
	if err != nil {
		return nil, err
	}
	return newInfo(a)
}

func newInfo(a *answer) (*ApplianceInfo, error) {
	if wire.Kind(a.Body) != wire.Object {
		return nil, a.unusable("the answer lacks the body")
	}
	body, err := wire.Members(a.Body)
	if err != nil {
		return nil, a.unusable("the answer lacks the body")
	}
	// Each member is read separately, so that a member of an unexpected type does not
	// prevent the reading of the others.
	text := func(name string) string {
		value, _ := wire.Text(wire.Find(body, name))
		return value
	}
	return &ApplianceInfo{
		FirmwareVersion:  text("firmware_version"),
		Version:          text("version"),
		BuildDate:        timeOf(text("build_date")),
		ConfigHash:       text("config_hash"),
		Hostname:         text("hostname"),
		Domainname:       text("domainname"),
		Nickname:         text("nickname"),
		Roles:            texts(wire.Find(body, "roles")),
		AnalyticsEnabled: string(wire.Find(body, "analytics_enabled")) == "true",
		SupportLink:      text("support_link"),
		PluginSDKVersion: pluginSDKVersion(wire.Find(body, "plugin_sdk_version")),
		SessionRemaining: newMeta(a.Meta).SessionRemaining,
	}, nil
}

// timeOf parses a time in the form of RFC 3339, with or without a zone. A time without a
// zone is read as UTC. timeOf returns the zero time for any other text.
func timeOf(text string) time.Time {
	for _, layout := range []string{time.RFC3339, "2006-01-02T15:04:05"} {
		if t, err := time.Parse(layout, text); err == nil {
			return t
		}
	}
	return time.Time{}
}

func pluginSDKVersion(value []byte) string {
	full, _ := wire.Text(member(value, "full"))
	return full
}

// UserInfo is the user who is logged in (GET /api/user_info).
type UserInfo struct {
	// Name is the name of the user.
	Name string
	// LoginMethod is the login method that the user used. It is empty on appliances
	// before 7.4.
	LoginMethod LoginMethod
	// Endpoints are the endpoints that the user may access. It is nil on appliances from
	// 7.4 on, which do not report them.
	Endpoints []AllowedEndpoint
}

// AllowedEndpoint is an endpoint and the HTTP methods that a user may use for it and for
// the endpoints below it.
type AllowedEndpoint struct {
	// URL is the path of the endpoint, such as "/api/configuration".
	URL string
	// Methods are the allowed HTTP methods.
	Methods []string
}

// UserInfo reads the name and the login method of the user who is logged in (GET
// /api/user_info).
func (c *Client) UserInfo(ctx context.Context) (*UserInfo, error) {
	a, err := c.read(ctx, userInfoPath, nil)
	if err != nil {
		return nil, err
	}
	find := anywhere(a)
	info := &UserInfo{}
	var ok bool
	if info.Name, ok = wire.Text(member(find("user"), "name")); !ok {
		return nil, a.unusable("the answer lacks the name of the user")
	}
	if method := find("login_method"); method != nil {
		info.LoginMethod = newLoginMethod(method)
	}
	if list := find("endpoints"); wire.Kind(list) == wire.Array {
		entries, err := wire.Elements(list)
		if err != nil {
			return nil, a.unusable("the endpoints of the user are not a list")
		}
		for _, entry := range entries {
			url, _ := wire.Text(member(entry, "url"))
			info.Endpoints = append(info.Endpoints, AllowedEndpoint{url, texts(member(entry, "methods"))})
		}
	}
	return info, nil
}

// HealthStatus is the health of an appliance (GET /api/health_status, from 7.0 on). A
// pointer or a map is nil if the appliance does not report the value or if the value
// cannot be read. Unreadable lists the values that cannot be read. Raw is the whole
// status. The appliance may write numbers as strings.
type HealthStatus struct {
	// CPU, Memory, Disk and Swap are the used shares in percent. Each is nil if it is not
	// reported.
	CPU, Memory, Disk, Swap *float64
	// Load1, Load5 and Load15 are the load averages of 1, 5 and 15 minutes. Each is nil
	// if it is not reported.
	Load1, Load5, Load15 *float64
	// TaintedFiles is the number of modified firmware files in each part of the firmware,
	// such as "boot", "core" or "ha_other". A count that cannot be read is -1. The map is
	// nil if it is not reported.
	TaintedFiles map[string]int
	// Integrity is "OK" or "CORRUPTED" for each part of the firmware, or "" if it cannot
	// be read. The map is nil if it is not reported.
	Integrity map[string]string
	// RAIDStatus is "OK" for a healthy RAID; RAIDDetail has details. Both are empty if
	// there is no RAID or if they cannot be read.
	RAIDStatus, RAIDDetail string
	// RAIDDisks is the status of each disk, "OK" or another text, or "" if it cannot be
	// read.
	RAIDDisks map[string]string
	// Sessions is the number of running sessions by protocol. A number that cannot be
	// read is -1.
	Sessions map[string]int
	// SessionsTotal is the member sessions_total of health_status: the number of running
	// sessions. It is nil if it is not reported.
	SessionsTotal *int
	// TotalSessions is the member total_sessions of a node in the status of a cluster:
	// the number of running sessions on the node. It is nil if it is not reported.
	TotalSessions *int
	// PipelineQueues is the fill level of each queue by name. A level that cannot be read
	// is -1.
	PipelineQueues map[string]float64
	// Unreadable lists the places of the values that are reported but cannot be read,
	// such as "firmware/tainted_files/core", in alphabetical order.
	Unreadable []string
	// Raw is the whole status, unchanged.
	Raw json.RawMessage
}

// Issues returns one text for each problem of the firmware, the RAID and the disk. The
// problems are modified files, parts of the firmware whose integrity is not "OK", a RAID
// or RAID disk whose status is not "OK", and values that are missing or cannot be read.
// Issues returns no text about the RAID of an appliance that has none. Issues does not
// report a full disk; compare Disk with a limit of your own. Call Issues on the result of
// [Client.HealthStatus]. The health of a node in a [ClusterStatus] lacks some of these
// values, so Issues would list them as not reported.
func (h *HealthStatus) Issues() []string {
	var issues []string
	add := func(format string, args ...any) { issues = append(issues, fmt.Sprintf(format, args...)) }
	if len(h.TaintedFiles) == 0 {
		add("the number of modified firmware files is not reported")
	}
	for _, part := range slices.Sorted(maps.Keys(h.TaintedFiles)) {
		switch n := h.TaintedFiles[part]; {
		case n < 0:
			add("the number of modified files in %s cannot be read", oneLine(part, 60))
		case n > 0:
			add("%d modified files in %s", n, oneLine(part, 60))
		}
	}
	if len(h.Integrity) == 0 {
		add("the integrity of the firmware is not reported")
	}
	state := func(what, status string) {
		switch status {
		case "OK":
		case "":
			add("%s cannot be read", what)
		default:
			add("%s is %s", what, oneLine(status, 60))
		}
	}
	for _, part := range slices.Sorted(maps.Keys(h.Integrity)) {
		state("the integrity of "+oneLine(part, 60), h.Integrity[part])
	}
	if h.RAIDStatus != "" || h.RAIDDisks != nil || slices.ContainsFunc(h.Unreadable, func(place string) bool { return strings.HasPrefix(place, "raid") }) {
		state("the RAID", h.RAIDStatus)
	}
	for _, disk := range slices.Sorted(maps.Keys(h.RAIDDisks)) {
		state("the disk "+oneLine(disk, 60)+" of the RAID", h.RAIDDisks[disk])
	}
	if h.Disk == nil {
		add("the used disk space is not reported")
	}
	return issues
}

// HealthStatus reads the health of the appliance. The guide's checklist for an upgrade
// requires that there are no tainted files, that the integrity and the RAID are "OK", and
// that there is free disk space. [HealthStatus.Issues] checks the files, the integrity and
// the RAID; compare the field Disk with a limit of your own. [Firmware.Test] checks some of
// the requirements, too.
func (c *Client) HealthStatus(ctx context.Context) (*HealthStatus, error) {
	a, err := c.read(ctx, healthPath, nil)
	if err != nil {
		return nil, err
	}
	status := anywhere(a)("health_status")
	if wire.Kind(status) != wire.Object {
		return nil, a.unusable("the answer lacks the health_status")
	}
	return newHealth(status), nil
}

// newHealth reads each member separately. A member of an unexpected type does not prevent
// the reading of the others, and it is not reported as healthy.
func newHealth(status []byte) *HealthStatus {
	h := &HealthStatus{Raw: json.RawMessage(status)}
	r := &healthReader{status: status}
	h.CPU, h.Memory, h.Disk, h.Swap = r.percent("cpu"), r.percent("memory"), r.percent("disk"), r.percent("swap")
	h.Load1, h.Load5, h.Load15 = r.percent("load1"), r.percent("load5"), r.percent("load15")
	h.SessionsTotal, h.TotalSessions = r.count("sessions_total"), r.count("total_sessions")
	h.TaintedFiles, h.Sessions = each(r, "firmware/tainted_files", -1, countOf), each(r, "sessions", -1, countOf)
	h.PipelineQueues = each(r, "pipeline_queues", -1, numberOf)
	h.Integrity = each(r, "firmware/integrity", "", stringOf)
	h.RAIDStatus, h.RAIDDetail = r.text("raid/status/status"), r.text("raid/status/detailed_status")
	h.RAIDDisks = each(r, "raid/disks", "", func(disk []byte) (string, bool) { return stringOf(member(disk, "status")) })
	h.Unreadable = slices.Sorted(slices.Values(r.unreadable))
	return h
}

// healthReader reads members of a health status and records those that it cannot read.
type healthReader struct {
	status     []byte
	unreadable []string
}

// at returns the value at a place, or nil. Each value on the path to it must be an
// object; otherwise at records that value as unreadable.
func (r *healthReader) at(place string) []byte {
	steps := strings.Split(place, "/")
	value := r.status
	for i, step := range steps {
		if wire.Kind(value) != wire.Object {
			if above := strings.Join(steps[:i], "/"); !slices.Contains(r.unreadable, above) {
				r.unreadable = append(r.unreadable, above)
			}
			return nil
		}
		if value = member(value, step); value == nil || wire.Kind(value) == wire.Null {
			return nil
		}
	}
	return value
}

// one reads one member. It returns nil if the member is missing or cannot be read.
func one[T any](r *healthReader, place string, read func([]byte) (T, bool)) *T {
	value := r.at(place)
	if value == nil {
		return nil
	}
	v, ok := read(value)
	if !ok {
		r.unreadable = append(r.unreadable, place)
		return nil
	}
	return &v
}

func (r *healthReader) percent(place string) *float64 { return one(r, place, numberOf) }

func (r *healthReader) count(place string) *int { return one(r, place, countOf) }

func (r *healthReader) text(place string) string {
	if text := one(r, place, stringOf); text != nil {
		return *text
	}
	return ""
}

// each reads the members of the object at a place and returns their values by name. The
// value of a member that cannot be read is bad. each returns nil if there is no object.
func each[T any](r *healthReader, place string, bad T, read func([]byte) (T, bool)) map[string]T {
	value := r.at(place)
	if value == nil {
		return nil
	}
	members, err := wire.Members(value)
	if wire.Kind(value) != wire.Object || err != nil {
		r.unreadable = append(r.unreadable, place)
		return nil
	}
	all := make(map[string]T, len(members))
	for _, m := range members {
		v, ok := read(m.Value)
		if !ok {
			v = bad
			r.unreadable = append(r.unreadable, place+"/"+m.Name)
		}
		all[m.Name] = v
	}
	return all
}

// numberOf reads a number that is not negative, written as a number or as a string.
func numberOf(value []byte) (float64, bool) {
	text, ok := wire.Text(value)
	n, err := strconv.ParseFloat(text, 64)
	return n, ok && err == nil && n >= 0 && !math.IsInf(n, 0)
}

// countOf reads a whole number in the forms that numberOf accepts.
func countOf(value []byte) (int, bool) {
	n, ok := numberOf(value)
	return int(n), ok && n == math.Trunc(n) && n < 1e15
}

// stringOf reads a string that is not empty.
func stringOf(value []byte) (string, bool) {
	text, _ := wire.Text(value)
	return text, wire.Kind(value) == wire.String && text != ""
}

// ClusterStatus is the state of a cluster of appliances, as its Central Management node
// reports it (GET /api/cluster/status).
type ClusterStatus struct {
	// Nodes are all nodes of the cluster.
	Nodes []ClusterNodeStatus
	// Self is the key of the node that sent the response, or "" if it is not reported.
	Self string
}

// ClusterNodeStatus is one node of a [ClusterStatus].
type ClusterNodeStatus struct {
	// Key is the id of the node.
	Key string
	// FQDN is the full name of the node.
	FQDN string
	// LastSeen is when the node last reported. It is the zero time for the node that sent
	// the response.
	LastSeen time.Time
	// SyncStatus says whether the node has the current configuration. It is "n/a" for the
	// Central Management node, and "pending" or another status for the other nodes.
	SyncStatus string
	// Health is the health of the node, or nil if the node is down or reports nothing. In
	// the guide's samples, a node reports Memory, Disk, Swap, the loads, Sessions and
	// TotalSessions; the other fields are nil.
	Health *HealthStatus
	// Warnings are the problems of the node's configuration.
	Warnings []ClusterWarning
	// Raw is the whole entry, unchanged.
	Raw json.RawMessage
}

// ClusterWarning is a problem of a node's configuration.
type ClusterWarning struct {
	// Message describes the problem.
	Message string
	// Paths are the endpoints with the problem.
	Paths []string
}

// Cluster reads the state of a cluster of appliances (guide: Managing clusters;
// cluster).
type Cluster struct{ client *Client }

// Status reads the state of the cluster (GET /api/cluster/status). It returns
// [ErrNoCluster] if the appliance refuses because it is not the Central Management node
// of a cluster. The guide does not document that refusal.
func (c Cluster) Status(ctx context.Context) (*ClusterStatus, error) {
	a, err := c.client.read(ctx, clusterStatusPath, nil)
	if err != nil {
		var refused *Error
		if errors.As(err, &refused) && refusedWithoutCluster(refused) {
			err = because(ErrNoCluster, err)
		}
		return nil, err
	}
	entries, err := a.list()
	if err != nil {
		return nil, err
	}
	_, self, _ := apipath.CutLast(newMeta(a.Meta).Link("self"))
	status := &ClusterStatus{Self: self}
	for _, entry := range entries {
		members, err := wire.Members(entry)
		if err != nil {
			return nil, a.unusable("a node is not an object")
		}
		node := ClusterNodeStatus{Raw: json.RawMessage(entry)}
		seen := ""
		for name, into := range map[string]*string{"key": &node.Key, "fqdn": &node.FQDN, "last_seen": &seen, "sync_status": &node.SyncStatus} {
			*into, _ = wire.Text(wire.Find(members, name))
		}
		node.LastSeen = timeOf(seen)
		if health := wire.Find(members, "health_status"); wire.Kind(health) == wire.Object {
			node.Health = newHealth(health)
		}
		warnings, _ := wire.Elements(wire.At(entry, []string{"configuration_sync", "issues", "warnings"}))
		for _, warning := range warnings {
			message, _ := wire.Text(member(warning, "message"))
			node.Warnings = append(node.Warnings, ClusterWarning{message, texts(member(warning, "paths"))})
		}
		status.Nodes = append(status.Nodes, node)
	}
	return status, nil
}

// Setup is the state of the first setup of an appliance.
type Setup struct {
	// Status is "uninitialized" before the setup, "completed" after it, or "booting"
	// while the appliance starts.
	Status string
	// EULA is the path of the license agreement.
	EULA string
}

// SetupStatus reads the state of the setup without logging in (GET /api/setup). It works
// even before the appliance has any users.
func SetupStatus(ctx context.Context, host string, options ...Option) (*Setup, error) {
	a, err := anonymously(ctx, host, setupPath, options)
	if err != nil {
		return nil, err
	}
	status, ok := wire.Text(wire.Find(a.All, "status"))
	if !ok {
		return nil, a.unusable("the answer lacks the status of the setup")
	}
	return &Setup{Status: status, EULA: newMeta(a.Meta).Link("eula")}, nil
}
