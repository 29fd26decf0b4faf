package spstest

import (
	"fmt"
	"maps"
	"slices"
	"strings"
)

const defaultProfile = "7.4"

// profile is what differs between releases of the appliance.
type profile struct {
	firmware       string // that it runs
	upgrade        string // in slot 2
	oldTransaction bool   // status in a "transaction" member, no commit message
	thinLists      bool   // list entries without bodies
	autoOpen       bool   // the first change opens a transaction by itself
	loginMethods   bool   // authentication/login_methods instead of authentication/types
	oldUserInfo    bool   // user_info lists endpoints instead of the login method
	pluginSDK      bool   // info has plugin_sdk_version
	browserToken   bool   // browsers must send X-Token with a write
	snapshots      bool   // of recorded sessions, and their count
	oldSessions    bool   // recorded sessions have links to what belongs to them, and numbers as keys
}

var profiles = map[string]profile{
	"6.0": {firmware: "6.0.12", upgrade: "8.0.0", oldSessions: true, oldTransaction: true, thinLists: true, oldUserInfo: true},
	"6.9": {firmware: "6.9.5", upgrade: "8.0.0", oldSessions: true, oldTransaction: true, autoOpen: true, oldUserInfo: true, pluginSDK: true},
	"7.4": {firmware: "7.4.0", upgrade: "8.0.0", autoOpen: true, loginMethods: true, pluginSDK: true, snapshots: true},
	"8.0": {firmware: "8.0.0", upgrade: "8.1.0", autoOpen: true, loginMethods: true, pluginSDK: true, browserToken: true, snapshots: true},
}

// Profiles returns the names of the profiles for [WithProfile].
func Profiles() []string { return slices.Sorted(maps.Keys(profiles)) }

// slots are those of an appliance that nobody has given any.
func (p *profile) slots() []Slot {
	image := func(key, version string) Slot {
		return Slot{Key: key, Version: version, UpgradeNotes: "Upgrade notes of " + version}
	}
	running := image("1", p.firmware)
	running.Current, running.AfterReboot = true, true
	return []Slot{running, image("2", p.upgrade), {Key: "3"}, image("4", "6.0.10"), {Key: "5"}}
}

// WithProfile makes the appliance behave like one of the given release, and run its
// firmware unless [WithSlots] says otherwise:
//
//   - 6.0, running 6.0.12: a transaction must be opened before the first change; its status is
//     in a member named transaction; lists carry no bodies; no login_methods.
//   - 6.9, running 6.9.5: the first change opens a transaction by itself; lists carry bodies.
//   - 7.4, the default, running 7.4.0: the transaction has a body with status and commit_message; login
//     methods can be listed; recorded sessions have snapshots.
//   - 8.0, running 8.0.0, with 8.1.0 in slot 2: browsers must send an X-Token with a
//     write.
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
