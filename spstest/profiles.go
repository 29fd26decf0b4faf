package spstest

import (
	"fmt"
	"maps"
	"slices"
	"strings"
)

const defaultProfile = "8.0"

// profile is what differs between releases of the appliance.
type profile struct {
	oldTransaction bool // status in a "transaction" member, no commit message
	thinLists      bool // list entries without bodies
	autoOpen       bool // the first change opens a transaction by itself
	loginMethods   bool // authentication/login_methods instead of authentication/types
	oldUserInfo    bool // user_info lists endpoints instead of the login method
	pluginSDK      bool // info has plugin_sdk_version
	browserToken   bool // browsers must send X-Token with a write
	snapshots      bool // of recorded sessions, and their count
	oldSessions    bool // recorded sessions have links to what belongs to them, and numbers as keys
}

var profiles = map[string]profile{
	"6.0": {oldSessions: true, oldTransaction: true, thinLists: true, oldUserInfo: true},
	"6.9": {oldSessions: true, oldTransaction: true, autoOpen: true, oldUserInfo: true, pluginSDK: true},
	"7.4": {autoOpen: true, loginMethods: true, pluginSDK: true, snapshots: true},
	"8.0": {autoOpen: true, loginMethods: true, pluginSDK: true, browserToken: true, snapshots: true},
}

// Profiles lists the names that [WithProfile] takes.
func Profiles() []string { return slices.Sorted(maps.Keys(profiles)) }

// WithProfile makes the appliance behave like one of the given release:
//
//   - 6.0: a transaction must be opened before the first change; its status is
//     in a member named transaction; lists carry no bodies; no login_methods.
//   - 6.9: the first change opens a transaction by itself; lists carry bodies.
//   - 7.4: the transaction has a body with status and commit_message; login
//     methods can be listed; recorded sessions have snapshots.
//   - 8.0, the default: browsers must send an X-Token with a write.
func WithProfile(name string) Option {
	return func(a *Appliance) error {
		p, ok := profiles[name]
		if !ok {
			return fmt.Errorf("spstest: unknown profile %q: want one of %s", name, strings.Join(Profiles(), ", "))
		}
		a.profile = p
		return nil
	}
}
