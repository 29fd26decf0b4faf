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
	infoPath          = mustPath("info")
	userInfoPath      = mustPath("user_info")
	healthPath        = mustPath("health_status")
	clusterStatusPath = mustPath("cluster/status")
	setupPath         = mustPath("setup")
)

// ApplianceInfo is what an appliance says about itself (GET /api/info). A member that
// its version does not have is the zero value.
type ApplianceInfo struct {
	// FirmwareVersion is the running version in dotted form, "7.4.0": the one to
	// compare.
	FirmwareVersion string
	// Version is the same for people, "5 F7".
	Version string
	// BuildDate is when the firmware was built, the zero time where that cannot be read.
	BuildDate time.Time
	// ConfigHash changes with the configuration: 32 hex digits.
	ConfigHash string
	// Hostname, Domainname and Nickname are the appliance's names.
	Hostname, Domainname, Nickname string
	// Roles are its roles in a cluster, such as "central-management".
	Roles []string
	// AnalyticsEnabled tells whether analytics are on.
	AnalyticsEnabled bool
	// SupportLink is where to ask for support.
	SupportLink string
	// PluginSDKVersion is the full version of the plugin SDK.
	PluginSDKVersion string
	// SessionRemaining is the time until the session ends, 0 where the appliance
	// does not say.
	SessionRemaining time.Duration
}

// Info reads what the appliance says about itself. The endpoint answers without
// a session too, with less; the client takes such an answer for an expired
// session and logs in again.
func (c *Client) Info(ctx context.Context) (*ApplianceInfo, error) {
	a, err := c.read(ctx, infoPath, nil)
	if err != nil {
		return nil, err
	}
	return newInfo(a)
}

func newInfo(a *answer) (*ApplianceInfo, error) {
	if wire.Kind(a.Body) != wire.Object {
		return nil, a.unusable("it lacks the body")
	}
	body, err := wire.Members(a.Body)
	if err != nil {
		return nil, a.unusable("it lacks the body")
	}
	// Each member by itself: one of an unexpected type must not hide the others.
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

// timeOf reads a time of an answer, RFC 3339 with or without a zone; without one it is UTC.
// What is none is the zero time.
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

// UserInfo is who is logged in (GET /api/user_info).
type UserInfo struct {
	// Name is the user's name.
	Name string
	// LoginMethod is how the user logged in; empty on appliances before 7.4.
	LoginMethod LoginMethod
	// Endpoints are what the user may do; nil on appliances from 7.4 on, which do
	// not say.
	Endpoints []AllowedEndpoint
}

// AllowedEndpoint is an endpoint with what a user may do there and below.
type AllowedEndpoint struct {
	// URL is its path, "/api/configuration".
	URL string
	// Methods are the HTTP methods.
	Methods []string
}

// UserInfo reads who is logged in.
func (c *Client) UserInfo(ctx context.Context) (*UserInfo, error) {
	a, err := c.read(ctx, userInfoPath, nil)
	if err != nil {
		return nil, err
	}
	find := anywhere(a)
	info := &UserInfo{}
	var ok bool
	if info.Name, ok = wire.Text(member(find("user"), "name")); !ok {
		return nil, a.unusable("it lacks the name of the user")
	}
	if method := find("login_method"); method != nil {
		info.LoginMethod.decode(method)
	}
	if list := find("endpoints"); wire.Kind(list) == wire.Array {
		entries, err := wire.Elements(list)
		if err != nil {
			return nil, a.unusable("its endpoints are no list")
		}
		for _, entry := range entries {
			url, _ := wire.Text(member(entry, "url"))
			info.Endpoints = append(info.Endpoints, AllowedEndpoint{url, texts(member(entry, "methods"))})
		}
	}
	return info, nil
}

// HealthStatus is how an appliance feels (GET /api/health_status, from 7.0 on). What the
// appliance does not tell is nil, never zero, and so is what cannot be read, which
// Unreadable names; Raw has all. Numbers may be written as texts.
type HealthStatus struct {
	// CPU, Memory, Disk and Swap are used, in percent; nil where that is not told.
	CPU, Memory, Disk, Swap *float64
	// Load1, Load5 and Load15 are the load averages of as many minutes; nil where they
	// are not told.
	Load1, Load5, Load15 *float64
	// TaintedFiles counts files of the firmware that somebody changed, by the part
	// of the firmware: "boot", "core", "ha_other". A count that cannot be read is -1. It
	// is nil where nothing is told.
	TaintedFiles map[string]int
	// Integrity is "OK" for each part of the firmware, or else "CORRUPTED"; "" where it
	// cannot be read. It is nil where nothing is told.
	Integrity map[string]string
	// RAIDStatus is "OK" for a RAID in order, RAIDDetail says more. Both are empty where
	// there is no RAID, and where they cannot be read.
	RAIDStatus, RAIDDetail string
	// RAIDDisks has the status of each disk, "OK" or another; "" where it cannot be read.
	RAIDDisks map[string]string
	// Sessions counts the sessions under way by protocol; -1 where that cannot be read.
	Sessions map[string]int
	// SessionsTotal counts the sessions under way, as health_status tells it
	// (sessions_total); nil where it is not told.
	SessionsTotal *int
	// TotalSessions counts the sessions under way on a node, as the status of a cluster
	// tells it (total_sessions); nil where it is not told.
	TotalSessions *int
	// PipelineQueues is how full the queues are, by their names; -1 where that cannot be
	// read.
	PipelineQueues map[string]float64
	// Unreadable are the places of what is there and cannot be read,
	// "firmware/tainted_files/core", in their order.
	Unreadable []string
	// Raw is the whole status as it was sent.
	Raw json.RawMessage
}

// Issues tells in words what of the firmware, the RAID and the disk is not in order, or
// cannot be said to be: files that were changed, an integrity, a RAID or a disk of it that
// is not "OK", and what of these is not told or cannot be read. An appliance without a RAID
// has no issue with it. How full the disk may be is for you to judge. It is about the
// health of an appliance: the status of a cluster tells too little of its nodes.
func (h *HealthStatus) Issues() []string {
	var issues []string
	add := func(format string, args ...any) { issues = append(issues, fmt.Sprintf(format, args...)) }
	if len(h.TaintedFiles) == 0 {
		add("whether files of the firmware were changed is not told")
	}
	for _, part := range slices.Sorted(maps.Keys(h.TaintedFiles)) {
		switch n := h.TaintedFiles[part]; {
		case n < 0:
			add("how many files of %s were changed cannot be read", oneLine(part, 60))
		case n > 0:
			add("%d changed files in %s", n, oneLine(part, 60))
		}
	}
	if len(h.Integrity) == 0 {
		add("the integrity of the firmware is not told")
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
		add("how full the disk is is not told")
	}
	return issues
}

// HealthStatus reads how the appliance feels. Before an upgrade the guide's checklist asks
// for an appliance without issues: no tainted files, every integrity and the RAID
// "OK", and space on the disk; [HealthStatus.Issues] looks at these, [Firmware.Test] at
// some of it.
func (c *Client) HealthStatus(ctx context.Context) (*HealthStatus, error) {
	a, err := c.read(ctx, healthPath, nil)
	if err != nil {
		return nil, err
	}
	status := anywhere(a)("health_status")
	if wire.Kind(status) != wire.Object {
		return nil, a.unusable("it lacks the health_status")
	}
	return newHealth(status), nil
}

// newHealth reads each member by itself: one of an unexpected type must not hide the
// others, nor pass for a healthy one.
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

// healthReader reads members of a health status, and notes what it cannot read.
type healthReader struct {
	status     []byte
	unreadable []string
}

// at returns the value at a place, nil where there is none. What is above it must be
// objects.
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

// one reads one member, nil where it is not told or cannot be read.
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

// each reads the members of an object; one that cannot be read is bad.
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

// numberOf reads a number that is not negative, written as one or as a text.
func numberOf(value []byte) (float64, bool) {
	text, ok := wire.Text(value)
	n, err := strconv.ParseFloat(text, 64)
	return n, ok && err == nil && n >= 0 && !math.IsInf(n, 0)
}

// countOf reads a whole number as numberOf does.
func countOf(value []byte) (int, bool) {
	n, ok := numberOf(value)
	return int(n), ok && n == math.Trunc(n) && n < 1e15
}

// stringOf reads a text that is not empty.
func stringOf(value []byte) (string, bool) {
	text, _ := wire.Text(value)
	return text, wire.Kind(value) == wire.String && text != ""
}

// ClusterStatus is the state of a cluster of appliances, as its Central Management
// node sees it (GET /api/cluster/status).
type ClusterStatus struct {
	// Nodes are all nodes.
	Nodes []ClusterNodeStatus
	// Self is the key of the node that answered, "" where it does not say.
	Self string
}

// ClusterNodeStatus is one node of a [ClusterStatus].
type ClusterNodeStatus struct {
	// Key is the node's id.
	Key string
	// FQDN is its name.
	FQDN string
	// LastSeen is when it was heard of, the zero time for the node that answered.
	LastSeen time.Time
	// SyncStatus tells whether it has the present configuration: "n/a" on the
	// Central Management node, "pending" and others elsewhere.
	SyncStatus string
	// Health is how it feels, nil where it is down or says nothing; of the members
	// it has memory, disk, swap, the loads and the sessions, with TotalSessions.
	Health *HealthStatus
	// Warnings are what went wrong with its configuration.
	Warnings []ClusterWarning
	// Raw is the whole entry as it was sent.
	Raw json.RawMessage
}

// ClusterWarning is a problem of a node's configuration.
type ClusterWarning struct {
	// Message says what it is.
	Message string
	// Paths are the endpoints that it is about.
	Paths []string
}

// Cluster reads the state of a cluster of appliances (guide: Managing clusters;
// cluster).
type Cluster struct{ client *Client }

// Status reads the state of the cluster (GET /api/cluster/status). An appliance that is
// not the Central Management node of one refuses, which is [ErrNoCluster]; with which
// error, the guide does not say.
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
			return nil, a.unusable("a node is no object")
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

// Setup is the state of an appliance's first setup.
type Setup struct {
	// Status is "uninitialized" before the setup, "completed" after it, and
	// "booting" while the appliance starts.
	Status string
	// EULA is where the license agreement is.
	EULA string
}

// SetupStatus reads the state of an appliance's setup without logging in (GET
// /api/setup): it answers before there are any users.
func SetupStatus(ctx context.Context, host string, options ...Option) (*Setup, error) {
	a, err := anonymously(ctx, host, setupPath, options)
	if err != nil {
		return nil, err
	}
	status, ok := wire.Text(wire.Find(a.All, "status"))
	if !ok {
		return nil, a.unusable("it lacks the status of the setup")
	}
	return &Setup{Status: status, EULA: newMeta(a.Meta).Link("eula")}, nil
}
