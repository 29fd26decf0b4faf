package spstest

import (
	"fmt"
	"maps"
	"slices"
	"strings"
)

const defaultProfile = "7.4"

// profile is a set of differences between releases of the appliance.
type profile struct {
	firmware       string // the running version
	upgrade        string // the version in slot 2
	oldTransaction bool   // the status is in a member named transaction, and there is no commit message
	thinLists      bool   // lists contain no bodies
	autoOpen       bool   // the first change opens a transaction if none is open
	loginMethods   bool   // authentication/login_methods exists instead of authentication/types
	oldUserInfo    bool   // user_info lists endpoints instead of the login method
	pluginSDK      bool   // info has plugin_sdk_version
	browserToken   bool   // a browser must send X-Token with a write
	snapshots      bool   // searches have snapshots, and _count exists
	oldSessions    bool   // recorded sessions have numbers as keys, and links to their events, channels and so on
}

var profiles = map[string]profile{
	"6.0": {firmware: "6.0.12", upgrade: "8.0.0", oldSessions: true, oldTransaction: true, thinLists: true, oldUserInfo: true},
	"6.9": {firmware: "6.9.5", upgrade: "8.0.0", oldSessions: true, oldTransaction: true, autoOpen: true, oldUserInfo: true, pluginSDK: true},
	"7.4": {firmware: "7.4.0", upgrade: "8.0.0", autoOpen: true, loginMethods: true, pluginSDK: true, snapshots: true},
	"8.0": {firmware: "8.0.0", upgrade: "8.1.0", autoOpen: true, loginMethods: true, pluginSDK: true, browserToken: true, snapshots: true},
}

// Profiles returns the names of the profiles of [WithProfile].
func Profiles() []string { return slices.Sorted(maps.Keys(profiles)) }

// slots returns the firmware slots of an appliance without [WithSlots].
func (p *profile) slots() []Slot {
	image := func(key, version string) Slot {
		return Slot{Key: key, Version: version, UpgradeNotes: "Upgrade notes of " + version}
	}
	running := image("1", p.firmware)
	running.Current, running.AfterReboot = true, true
	return []Slot{running, image("2", p.upgrade), {Key: "3"}, image("4", "6.0.10"), {Key: "5"}}
}

// WithProfile makes the appliance behave like the given release and run its firmware.
// [WithSlots] overrides the firmware. The default is 7.4. Each entry lists the main
// differences from the entry before it:
//
//   - 6.0 runs 6.0.12. A client must open a transaction before the first change. The status
//     of the transaction is in a member named transaction. Lists contain no bodies.
//     authentication/login_methods does not exist. Recorded sessions have numbers
//     as keys, and no snapshots.
//   - 6.9 runs 6.9.5. The first change opens a transaction if none is open. Lists contain
//     bodies.
//   - 7.4 runs 7.4.0. The transaction has a body with status and commit_message. Login
//     methods can be listed. Recorded sessions have snapshots.
//   - 8.0 runs 8.0.0 and has 8.1.0 in slot 2. A browser must send an X-Token with a write.
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
