package sps

import (
	"context"

	"github.com/go-sps/sps/internal/wire"
)

var infoPath = mustPath("info")

// Info is what an appliance says about itself (GET /api/info). A member that
// its version does not have is the zero value.
type Info struct {
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
	// RemainingSeconds is the time until the session ends, 0 where the appliance
	// does not say.
	RemainingSeconds int
}

// Info reads what the appliance says about itself. The endpoint answers without
// a session too, with less; the client takes such an answer for an expired
// session and logs in again.
func (c *Client) Info(ctx context.Context) (*Info, error) {
	a, err := c.read(ctx, infoPath, nil)
	if err != nil {
		return nil, err
	}
	return newInfo(a)
}

func newInfo(a *answer) (*Info, error) {
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
	return &Info{
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
		RemainingSeconds: newMeta(a.Meta).RemainingSeconds,
	}, nil
}

func pluginSDKVersion(value []byte) string {
	full, _ := wire.Text(member(value, "full"))
	return full
}
