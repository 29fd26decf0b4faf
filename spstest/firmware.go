package spstest

import (
	"encoding/json"
	"fmt"
	"net/http"
	"slices"
	"strconv"
)

// Slot is a slot for a firmware image. It is empty if it has no Version.
type Slot struct {
	Key          string       `json:"key"`                     // the key of the slot; "1" to "5" on a new appliance
	Version      string       `json:"version,omitempty"`       // the version of the image, for example "8.0.0"
	UpgradeNotes string       `json:"upgrade_notes,omitempty"` // the text of the upgrade notes
	UpgradeNews  *string      `json:"upgrade_news,omitempty"`  // news about this image, or nil
	Current      bool         `json:"current,omitempty"`       // true if the slot holds the running firmware
	AfterReboot  bool         `json:"after_reboot,omitempty"`  // true if the slot holds the firmware for the next boot
	TestFailure  *TestFailure `json:"test_failure,omitempty"`  // the result of the firmware test of the slot; nil if the test passes
}

// TestFailure is the result of a firmware test that fails.
type TestFailure struct {
	ExitCode int    `json:"exit_code"`    // the exit code of the test; 1 in the guide's sample
	Summary  string `json:"test_summary"` // the output of the test, with several lines
}

// VersionIncompatible returns the result of a firmware test that fails because an upgrade
// to this version is not supported.
func VersionIncompatible() *TestFailure {
	return &TestFailure{1, "HA check started\nHA check finished\nVersion check started\n" +
		"Upgrading from the running version to this one is not supported: install the latest LTS release first\nVersion check failed"}
}

// NotEnoughStorage returns the result of a firmware test that fails because the upgrade
// needs more disk space than is free.
func NotEnoughStorage() *TestFailure {
	return &TestFailure{1, "HA check started\nHA check finished\nVersion check started\nVersion check finished\nStorage check started\n" +
		"Not enough free space on the firmware partition: 1843 MiB needed, 612 MiB available\nStorage check failed"}
}

// ConfigurationIncompatible returns the result of a firmware test that fails because the
// new firmware does not support the current configuration.
func ConfigurationIncompatible() *TestFailure {
	return &TestFailure{1, "HA check started\nHA check finished\nVersion check started\nVersion check finished\n" +
		"Storage check started\nStorage check finished\nConfiguration check started\n" +
		"The SSH settings policy 'legacy' uses a key exchange that the new firmware does not support\nConfiguration check failed"}
}

// TaintedFirmware returns the result of a firmware test that fails because files on the
// appliance were modified manually.
func TaintedFirmware() *TestFailure {
	return &TestFailure{1, "HA check started\nHA check finished\nIntegrity check started\n" +
		"Modified files in the core firmware: 2\nModified files in the boot firmware: 1\nIntegrity check failed"}
}

// WithSlots replaces all firmware slots. Without arguments, the appliance has no slots.
func WithSlots(slots ...Slot) Option {
	return func(a *Appliance) error {
		seen := make(map[string]bool)
		for _, s := range slots {
			if s.Key == "" || seen[s.Key] {
				return fmt.Errorf("spstest: slot key %q is empty or given twice", s.Key)
			}
			seen[s.Key] = true
		}
		a.slots = []Slot{}
		for _, s := range slots {
			a.slots = append(a.slots, s.clone())
		}
		return nil
	}
}

func (s Slot) clone() Slot {
	if s.UpgradeNews != nil {
		news := *s.UpgradeNews
		s.UpgradeNews = &news
	}
	if s.TestFailure != nil {
		failure := *s.TestFailure
		s.TestFailure = &failure
	}
	return s
}

// Slots returns the firmware slots, including empty ones.
func (a *Appliance) Slots() []Slot {
	a.enter()
	defer a.mu.Unlock()
	slots := make([]Slot, len(a.slots))
	for i, s := range a.slots {
		slots[i] = s.clone()
	}
	return slots
}

// SetSlot replaces the slot with the same key, or adds the slot if the key is new. If the
// slot is Current or AfterReboot, this flag is removed from the other slots.
func (a *Appliance) SetSlot(slot Slot) {
	a.enter()
	defer a.mu.Unlock()
	slot = slot.clone()
	for i := range a.slots {
		a.slots[i].Current = a.slots[i].Current && !slot.Current
		a.slots[i].AfterReboot = a.slots[i].AfterReboot && !slot.AfterReboot
	}
	if i := a.slotIndex(slot.Key); i >= 0 {
		a.slots[i] = slot
		return
	}
	a.slots = append(a.slots, slot)
}

func (a *Appliance) slotIndex(key string) int {
	return slices.IndexFunc(a.slots, func(s Slot) bool { return s.Key == key })
}

// currentVersion returns the version of the running firmware.
func (a *Appliance) currentVersion() string {
	for _, s := range a.slots {
		if s.Current {
			return s.Version
		}
	}
	return a.profile.firmware
}

func (a *Appliance) getFirmware(x *exchange) answer {
	var items []object
	meta := x.meta()
	for _, name := range []string{"fetch", "slots", "test", "upgrade"} {
		link := href("firmware/" + name)
		items = append(items, object{"key": name, "meta": object{"href": link}})
		meta[name] = link
	}
	return reply(http.StatusOK, object{"items": items, "meta": meta})
}

func (a *Appliance) getSlots(x *exchange) answer {
	meta := x.meta()
	meta["current_slot"], meta["slot_after_reboot"] = nil, nil
	items := []object{}
	free := 0
	for i := range a.slots {
		s := &a.slots[i]
		link := href("firmware/slots/" + s.Key)
		items = append(items, object{"body": a.slotBody(s), "key": a.slotKey(s), "meta": object{"href": link}})
		if s.Version == "" {
			free++
			continue
		}
		if s.Current {
			meta["current_slot"] = link
		}
		if s.AfterReboot {
			meta["slot_after_reboot"] = link
		}
	}
	meta["number_of_empty_slots"] = free
	list := object{"items": items, "meta": meta}
	if a.variant("slots-body") == "present" {
		list["body"] = object{}
	}
	return reply(http.StatusOK, list)
}

func (a *Appliance) getSlot(x *exchange) answer {
	i := a.slotIndex(x.last())
	if i < 0 {
		return a.notFound(x)
	}
	s := &a.slots[i]
	return reply(http.StatusOK, object{"body": a.slotBody(s), "key": a.slotKey(s), "meta": x.meta()})
}

// deleteSlot empties a slot. Deleting an empty slot succeeds and changes nothing.
func (a *Appliance) deleteSlot(x *exchange) answer {
	i := a.slotIndex(x.last())
	if i < 0 {
		return a.notFound(x)
	}
	if s := &a.slots[i]; s.Current || s.AfterReboot {
		return a.refuse(x, "slot-delete-refused", "The firmware in this slot cannot be deleted", nil)
	}
	if x.holds() {
		return answer{}
	}
	a.slots[i] = Slot{Key: a.slots[i].Key}
	if a.variant("slot-delete-answer") == "204" {
		return empty(http.StatusNoContent)
	}
	return reply(http.StatusOK, object{"meta": x.meta()})
}

func (a *Appliance) slotBody(s *Slot) object {
	if s.Version == "" {
		return object{}
	}
	body := object{
		"after_reboot":  s.AfterReboot,
		"current":       s.Current,
		"upgrade_news":  s.UpgradeNews,
		"upgrade_notes": s.UpgradeNotes,
		"version":       s.Version,
	}
	if a.variant("slot-version") == "number" {
		body["version"] = asNumber(s.Version)
	}
	return body
}

func (a *Appliance) slotKey(s *Slot) any {
	if a.variant("slot-key") == "number" {
		return asNumber(s.Key)
	}
	return s.Key
}

// asNumber returns s as a JSON number if it has the form of one, and as a string
// otherwise.
func asNumber(s string) any {
	var n json.Number
	if s == "" || s[0] == '"' || json.Unmarshal([]byte(s), &n) != nil || n == "" {
		return s
	}
	return n
}

// testPassed is the summary of a firmware test that passes.
const testPassed = "HA check started\nHA check finished"

func (a *Appliance) testFirmware(x *exchange) answer {
	body, ok := x.jsonObject()
	if !ok {
		return a.invalidBody(x)
	}
	key, ans, ok := a.slotOf(x, body)
	if !ok {
		return ans
	}
	if x.holds() {
		return answer{}
	}
	s, ans, ok := a.testSlot(x, key)
	if !ok {
		return ans
	}
	meta := x.meta()
	meta["slot"] = href("firmware/slots/" + s.Key)
	meta["upgrade"] = href("firmware/upgrade")
	return reply(http.StatusOK, object{"body": object{"test_summary": testPassed}, "key": a.slotKey(s), "meta": meta})
}

// slotOf reads the slot_id from the body of a firmware test or an upgrade.
func (a *Appliance) slotOf(x *exchange, body object) (key string, refusal answer, ok bool) {
	switch id := body["slot_id"].(type) {
	case nil:
		return "", a.missing(x, "slot_id"), false
	case json.Number:
		return id.String(), answer{}, true
	case string:
		if a.variant("slot-id") == "number" {
			return "", a.syntacticError(x, "slot_id", "The slot id has to be a number"), false
		}
		return id, answer{}, true
	}
	return "", a.syntacticError(x, "slot_id", "The slot id has a wrong type"), false
}

// testSlot runs the firmware test of a slot.
func (a *Appliance) testSlot(x *exchange, key string) (s *Slot, refusal answer, ok bool) {
	i := a.slotIndex(key)
	if i < 0 || a.slots[i].Version == "" {
		return nil, a.firmwareError(x, "firmware-not-found-status", a.variant("not-found-type"),
			"Resource was not found", object{"mount_point": "/" + x.path, "resource": key}), false
	}
	if f := a.slots[i].TestFailure; f != nil {
		return nil, a.firmwareError(x, "firmware-failed-status", "FirmwareTestFailed",
			"The firmware test failed", object{"exit_code": f.ExitCode, "test_summary": f.Summary}), false
	}
	return &a.slots[i], answer{}, true
}

// missing returns the error for members that are missing from the request body.
func (a *Appliance) missing(x *exchange, paths ...string) answer {
	return a.firmwareError(x, "firmware-incomplete-status", "IncompleteRequestBodyError",
		"Some paths were missing from the request body", object{"missing_paths": paths})
}

func (a *Appliance) firmwareError(x *exchange, variant, kind, message string, details any) answer {
	status, _ := strconv.Atoi(a.variant(variant))
	if a.variant("firmware-errors") == "short" {
		return reply(status, object{"error": object{"type": kind}})
	}
	return x.fail(status, kind, message, details)
}
