package sps

import (
	"context"
	"errors"
	"fmt"
	"strconv"
	"strings"
	"unicode"

	"github.com/go-sps/sps/internal/apipath"
	"github.com/go-sps/sps/internal/wire"
)

var (
	slotsPath        = mustPath("firmware/slots")
	firmwareTestPath = mustPath("firmware/test")
)

// Firmware reads and tests the firmware images of an appliance (guide: Managing
// SPS, Firmware management). Images are kept in slots. A slot is named by its
// key, the text "1" to "5", never by its position in the list.
type Firmware struct {
	// Slots reads and empties the slots, firmware/slots.
	Slots FirmwareSlots
	// Fetch lets the appliance download an image, firmware/fetch.
	Fetch FirmwareFetches

	client *Client
}

func newFirmware(c *Client) Firmware { return Firmware{FirmwareSlots{c}, FirmwareFetches{c}, c} }

// FirmwareSlots reads and empties the slots of firmware images (firmware/slots).
type FirmwareSlots struct{ client *Client }

// FirmwareSlotList is the list of slots.
type FirmwareSlotList struct {
	// Slots are all slots, empty ones included, in the order of the appliance.
	Slots []FirmwareSlot
	// CurrentSlot is the key of the slot with the running firmware, and
	// SlotAfterReboot of the one that the next boot starts; "" where the
	// appliance does not say.
	CurrentSlot, SlotAfterReboot string
	// EmptySlots is the number of empty slots.
	EmptySlots int
}

// Slot returns the slot with that key, and whether there is one.
func (s *FirmwareSlotList) Slot(key string) (FirmwareSlot, bool) {
	for _, slot := range s.Slots {
		if slot.Key == key {
			return slot, true
		}
	}
	return FirmwareSlot{}, false
}

// FirmwareSlot is one slot: Key names it, Body is the image in it.
type FirmwareSlot = Object[FirmwareImage]

// FirmwareImage is the firmware in a slot; the zero value is an empty slot's.
type FirmwareImage struct {
	// Version is the dotted version, "7.4.0".
	Version string
	// Current is set for the running firmware.
	Current bool
	// AfterReboot is set for the firmware that the next boot starts.
	AfterReboot bool
	// UpgradeNews is news for this image, "" for none.
	UpgradeNews string
	// UpgradeNotes is the text of the upgrade notes.
	UpgradeNotes string
}

// Empty reports whether the slot holds no firmware.
func (i FirmwareImage) Empty() bool { return i == FirmwareImage{} }

// UnmarshalJSON decodes the body of a slot. The guide's table gives the version
// as a number and its samples as a string: both decode.
func (i *FirmwareImage) UnmarshalJSON(data []byte) error {
	*i = FirmwareImage{}
	if wire.Kind(data) == wire.Null {
		return nil
	}
	return wire.Each(data, func(name string, value []byte) error {
		var ok bool
		switch name {
		case "version":
			i.Version, ok = wire.Text(value)
		case "upgrade_news":
			i.UpgradeNews, ok = wire.Text(value)
		case "upgrade_notes":
			i.UpgradeNotes, ok = wire.Text(value)
		case "current":
			i.Current, ok = wire.Bool(value)
		case "after_reboot":
			i.AfterReboot, ok = wire.Bool(value)
		default:
			ok = true
		}
		if !ok && wire.Kind(value) != wire.Null {
			return wire.Unfit(name + " has an unexpected type")
		}
		return nil
	})
}

// FirmwareTestReport is the outcome of a test that passed.
type FirmwareTestReport struct {
	// SlotKey is the key of the slot that was tested.
	SlotKey string
	// TestSummary is the summary of the test, free text of several lines, for people to
	// read: it may say more than that the test passed. It is never empty.
	TestSummary string
}

// maxSlots bounds a list of slots. An appliance has five.
const maxSlots = 1000

// List lists the firmware slots, empty ones included (GET /api/firmware/slots).
func (s FirmwareSlots) List(ctx context.Context) (*FirmwareSlotList, error) {
	a, err := s.client.read(ctx, slotsPath, nil)
	if err != nil {
		return nil, err
	}
	entries, err := a.list()
	if err != nil {
		return nil, err
	}
	if len(entries) > maxSlots {
		return nil, a.unusable("it lists %d slots", len(entries))
	}
	list := &FirmwareSlotList{}
	for _, entry := range entries {
		slot, err := s.listed(ctx, a, entry)
		if err != nil {
			return nil, err
		}
		if slot.Body.Empty() {
			list.EmptySlots++
		}
		if slot.Body.Current {
			list.CurrentSlot = slot.Key
		}
		if slot.Body.AfterReboot {
			list.SlotAfterReboot = slot.Key
		}
		list.Slots = append(list.Slots, *slot)
	}
	// Where the appliance says it itself, it is right.
	meta := newMeta(a.Meta)
	if key := slotOfLink(meta.Link("current_slot")); key != "" {
		list.CurrentSlot = key
	}
	if key := slotOfLink(meta.Link("slot_after_reboot")); key != "" {
		list.SlotAfterReboot = key
	}
	if n, err := strconv.Atoi(meta.Link("number_of_empty_slots")); err == nil && n >= 0 {
		list.EmptySlots = n
	}
	return list, nil
}

// listed reads a slot of the list. One that is listed without a body and is not
// found by itself is empty.
func (s FirmwareSlots) listed(ctx context.Context, a *answer, entry []byte) (*FirmwareSlot, error) {
	listed, err := newItem(a, entry)
	if err == nil && listed.Body == nil {
		listed, err = readItem(ctx, s.client, slotsPath, listed)
	}
	var gone *goneItem
	if errors.As(err, &gone) {
		return &FirmwareSlot{Key: gone.key}, nil
	}
	if err != nil {
		return nil, err
	}
	slot := new(FirmwareSlot)
	return slot.or(listed.into(slot.parts(), nil))
}

// Get reads one slot by its key (GET /api/firmware/slots/<key>). It gives
// [ResourceNotFound] for a slot that does not exist.
func (s FirmwareSlots) Get(ctx context.Context, key string) (*FirmwareSlot, error) {
	path, err := s.path(key)
	if err != nil {
		return nil, err
	}
	return s.read(ctx, path)
}

func (s FirmwareSlots) read(ctx context.Context, path apiPath) (*FirmwareSlot, error) {
	slot := new(FirmwareSlot)
	_, err := readObject(ctx, s.client, path, true, slot.parts())
	return slot.or(err)
}

// Delete empties a slot (DELETE /api/firmware/slots/<key>). It gives
// [ResourceNotFound] for a slot that does not exist. The slot with the running
// firmware and the one for after the reboot cannot be deleted: the slot is read
// before, and the deletion not sent but [ErrSlotInUse] given, because the appliance's
// own refusal is not documented.
//
// Where the answer is lost the slot is read, for up to [Timeouts].Outcome, and after the
// end of ctx for half of [Timeouts].Close. Delete returns nil once it is empty.
// Otherwise it is [ErrOutcomeUnknown] with [OutcomeUnknownDetails]: the appliance may
// empty it yet.
func (s FirmwareSlots) Delete(ctx context.Context, key string) error {
	path, err := s.path(key)
	if err != nil {
		return err
	}
	slot, err := s.read(ctx, path)
	if err != nil {
		return err
	}
	switch {
	case slot.Body.Current:
		return s.client.fail("DELETE "+path.Text, fmt.Errorf("%w: it holds the running firmware %s", ErrSlotInUse, oneLine(slot.Body.Version, 40)))
	case slot.Body.AfterReboot:
		return s.client.fail("DELETE "+path.Text, fmt.Errorf("%w: it holds the firmware for after the reboot, %s", ErrSlotInUse, oneLine(slot.Body.Version, 40)))
	}
	look := func(ctx context.Context) (bool, string, error) {
		switch now, err := s.read(ctx, path); {
		case errors.Is(err, ResourceNotFound): // an appliance may show no empty slot
			return true, "", nil
		case err != nil:
			return false, "", err
		case now.Body.Empty():
			return true, "empty", nil
		}
		return false, "not empty", nil
	}
	return s.client.remove(ctx, path, nil, witness{"Firmware.Slots.Get", look})
}

// Test asks the appliance whether it could be upgraded to the firmware in a
// slot, without upgrading it (POST /api/firmware/test). The appliance looks at
// version compatibility, storage space, compatibility of its configuration and
// tainted files; that takes up to minutes, see [Timeouts].Action.
//
// A report means that the test passed, and nothing else does. A test that found
// a problem is [FirmwareTestFailed] with its detail [FirmwareTestFailedDetails]; an
// empty or unknown slot is [ResourceNotFound]; an answer of success without a
// test summary or with an empty one, or about another slot, is [ErrBadAnswer]. The
// appliance alone says whether a test passed: show people the summary beside it. A test
// changes nothing, so the request is sent again after a connection that broke, although
// the appliance may still be at work on the first one; it is not sent again after its
// time limit, nor after an answer.
func (f Firmware) Test(ctx context.Context, key string) (*FirmwareTestReport, error) {
	id, err := slotID(firmwareTestPath, key)
	if err != nil {
		return nil, f.client.fail("POST "+firmwareTestPath.Text, err)
	}
	a, err := f.client.try(ctx, firmwareTestPath, []byte(`{"slot_id":`+id+`}`))
	if err != nil {
		return nil, err
	}
	return newTestReport(a, key)
}

// newTestReport reads an answer of success. It must show that the test was run,
// and on the slot that was asked for: a precheck that passes by mistake is worse
// than one that fails.
func newTestReport(a *answer, key string) (*FirmwareTestReport, error) {
	report := &FirmwareTestReport{SlotKey: key}
	clean := a.exchange.veil().shown
	if tested, ok := wire.Text(a.Key); a.Key != nil && wire.Kind(a.Key) != wire.Null && (!ok || tested != key) {
		return nil, a.unusable("it is about slot %q, not %q", oneLine(tested, 40), key)
	}
	if tested := slotOfLink(newMeta(a.Meta).Link("slot")); tested != "" && tested != key {
		return nil, a.unusable("it links to slot %q, not %q", oneLine(tested, 40), key)
	}
	summary, ok := wire.Text(a.Body)
	if !ok {
		summary, ok = wire.Text(member(a.Body, "test_summary"))
	}
	switch code, plain := wire.Text(member(a.Body, "exit_code")); {
	case !plain && wire.Kind(member(a.Body, "exit_code")) != 0 && wire.Kind(member(a.Body, "exit_code")) != wire.Null:
		return nil, a.unusable("its exit code is no number")
	case plain && code != "0":
		e := newError(a.exchange.call, a.status, nil, "the answer has the form of success and a failed exit code")
		e.Host, e.Attempts = a.exchange.t.host, a.exchange.attempts
		e.Type, e.Detail = FirmwareTestFailed, newDetail(FirmwareTestFailed, a.Body, clean)
		return nil, e
	}
	if !ok || strings.TrimSpace(summary) == "" {
		return nil, a.unusable("it has no test summary, so the test may not have been run")
	}
	report.TestSummary = clean(summary)
	return report, nil
}

// path makes the path of a slot.
func (s FirmwareSlots) path(key string) (apiPath, error) {
	if err := s.client.made(); err != nil {
		return apiPath{}, err
	}
	if err := checkSlotKey(slotsPath, key); err != nil {
		return apiPath{}, s.client.fail(slotsPath.Text, err)
	}
	return itemPath(slotsPath, key)
}

// slotID makes the slot_id of a request to a path, which is a number where the key is a
// plain decimal, as in the guide's samples.
func slotID(request apiPath, key string) (string, error) {
	if err := checkSlotKey(request, key); err != nil {
		return "", err
	}
	if number, err := strconv.ParseUint(key, 10, 32); err == nil && strconv.FormatUint(number, 10) == key {
		return key, nil
	}
	return `"` + key + `"`, nil
}

// checkSlotKey refuses what is no key of a slot before a request to a path is sent.
func checkSlotKey(request apiPath, key string) error {
	why := ""
	switch {
	case key == "":
		why = "is empty"
	case key[0] == '-':
		why = "is negative"
	case len(key) > 64 || strings.ContainsFunc(key, func(r rune) bool {
		return r > unicode.MaxASCII || !unicode.IsLetter(r) && !unicode.IsDigit(r) && r != '_' && r != '-'
	}):
		why = "has characters that no slot key has"
	default:
		return nil
	}
	return noSlot(request, key, why)
}

// slotOfLink returns the key at the end of a link to a slot.
func slotOfLink(link string) string {
	p, _, err := parseLink(link)
	if err != nil {
		return ""
	}
	if parent, _, _ := apipath.CutLast(p.Text); parent != slotsPath.Text {
		return ""
	}
	return p.Key()
}
