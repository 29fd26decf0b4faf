package sps

import (
	"context"
	"encoding/json"
	"errors"
	"strings"
	"time"

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
	// BuildDate is when the firmware was built, RFC 3339 as the appliance writes
	// it.
	BuildDate string
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
		BuildDate:        text("build_date"),
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

// HealthStatus is how an appliance feels (GET /api/health_status, from 7.0 on). A member
// that the appliance does not have, or has in another form, is the zero value;
// Raw has all.
type HealthStatus struct {
	// CPU, Memory, Disk and Swap are used, in percent.
	CPU, Memory, Disk, Swap float64
	// Load1, Load5 and Load15 are the load averages of as many minutes.
	Load1, Load5, Load15 float64
	// TaintedFiles counts files of the firmware that somebody changed, by the part
	// of the firmware: "boot", "core", "ha_other".
	TaintedFiles map[string]int
	// Integrity is "OK" for each part of the firmware, or else "CORRUPTED".
	Integrity map[string]string
	// RAIDStatus is "OK" for a RAID in order, RAIDDetail says more.
	RAIDStatus, RAIDDetail string
	// RAIDDisks has the status of each disk.
	RAIDDisks map[string]string
	// Sessions counts the sessions under way by protocol.
	Sessions map[string]int
	// SessionsTotal counts the sessions under way.
	SessionsTotal int
	// PipelineQueues is how full the queues are, by their names.
	PipelineQueues map[string]float64
	// Raw is the whole status as it was sent.
	Raw json.RawMessage
}

// HealthStatus reads how the appliance feels. Before an upgrade the guide's checklist asks
// for an appliance without issues: no tainted files, every integrity and the RAID
// "OK", and space on the disk; [Firmware.Test] looks at some of it.
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
// others.
func newHealth(status []byte) *HealthStatus {
	h := &HealthStatus{Raw: json.RawMessage(status)}
	for place, into := range map[string]any{
		"cpu": &h.CPU, "memory": &h.Memory, "disk": &h.Disk, "swap": &h.Swap,
		"load1": &h.Load1, "load5": &h.Load5, "load15": &h.Load15,
		"firmware/tainted_files": &h.TaintedFiles, "firmware/integrity": &h.Integrity,
		"raid/status/status": &h.RAIDStatus, "raid/status/detailed_status": &h.RAIDDetail,
		"sessions": &h.Sessions, "sessions_total": &h.SessionsTotal,
		"total_sessions":  &h.SessionsTotal, // in the status of a cluster
		"pipeline_queues": &h.PipelineQueues,
	} {
		if value := wire.At(status, strings.Split(place, "/")); value != nil {
			_ = wire.Unmarshal(value, into)
		}
	}
	var disks map[string]struct {
		Status string `json:"status"`
	}
	if value := wire.At(status, []string{"raid", "disks"}); value != nil && wire.Unmarshal(value, &disks) == nil {
		h.RAIDDisks = make(map[string]string, len(disks))
		for name, disk := range disks {
			h.RAIDDisks[name] = disk.Status
		}
	}
	return h
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
	// LastSeen is when it was heard of, RFC 3339; "" for the node that answered.
	LastSeen string
	// SyncStatus tells whether it has the present configuration: "n/a" on the
	// Central Management node, "pending" and others elsewhere.
	SyncStatus string
	// Health is how it feels, nil where it is down or says nothing; of the members
	// it has memory, disk, swap, the loads and the sessions.
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

// ClusterStatus reads the state of the cluster. An appliance that is not the Central
// Management node of one refuses, which is [ErrNoCluster]; with which error, the guide
// does not say.
func (c *Client) ClusterStatus(ctx context.Context) (*ClusterStatus, error) {
	a, err := c.read(ctx, clusterStatusPath, nil)
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
	_, self, _ := cutLast(newMeta(a.Meta).Link("self"))
	status := &ClusterStatus{Self: self}
	for _, entry := range entries {
		members, err := wire.Members(entry)
		if err != nil {
			return nil, a.unusable("a node is no object")
		}
		node := ClusterNodeStatus{Raw: json.RawMessage(entry)}
		for name, into := range map[string]*string{"key": &node.Key, "fqdn": &node.FQDN, "last_seen": &node.LastSeen, "sync_status": &node.SyncStatus} {
			*into, _ = wire.Text(wire.Find(members, name))
		}
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
