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

// Firmware tests, uploads and upgrades the firmware of an appliance (guide: Managing SPS,
// Firmware management). The appliance keeps images in slots. Identify a slot by its key,
// "1" to "5", not by its position in the list.
type Firmware struct {
	// Slots lists the slots and empties them (firmware/slots).
	Slots FirmwareSlots
	// Fetch lets the appliance download an image (firmware/fetch).
	Fetch FirmwareFetches

	client *Client
}

func newFirmware(c *Client) Firmware { return Firmware{FirmwareSlots{c}, FirmwareFetches{c}, c} }

// FirmwareSlots lists the slots for firmware images and empties them (firmware/slots).
type FirmwareSlots struct{ client *Client }

// FirmwareSlotList is the list of firmware slots, as [FirmwareSlots.List] returns it.
type FirmwareSlotList struct {
	// Slots are all slots, including empty ones, in the order of the appliance.
	Slots []FirmwareSlot
	// CurrentSlot is the key of the slot with the running firmware. SlotAfterReboot is
	// the key of the slot that the next boot starts. Each is "" if the appliance does not
	// report it.
	CurrentSlot, SlotAfterReboot string
	// EmptySlots is the number of empty slots.
	EmptySlots int
}

// Slot returns the slot with the given key. It returns false if there is none.
func (s *FirmwareSlotList) Slot(key string) (FirmwareSlot, bool) {
	for _, slot := range s.Slots {
		if slot.Key == key {
			return slot, true
		}
	}
	return FirmwareSlot{}, false
}

// FirmwareSlot is one firmware slot: Key identifies it, and Body is the image in it.
type FirmwareSlot = Object[FirmwareImage]

// FirmwareImage is the firmware image in a slot. The zero value means that the slot is
// empty.
type FirmwareImage struct {
	// Version is the dotted version, such as "7.4.0".
	Version string
	// Current is true for the running firmware.
	Current bool
	// AfterReboot is true for the firmware that the next boot starts.
	AfterReboot bool
	// UpgradeNews is the appliance's news about this image, or "".
	UpgradeNews string
	// UpgradeNotes is the text of the upgrade notes.
	UpgradeNotes string
}

// Empty reports whether the slot holds no firmware.
func (i FirmwareImage) Empty() bool { return i == FirmwareImage{} }

// UnmarshalJSON decodes the body of a slot. The version may be a JSON number, as in the
// guide's table, or a string, as in the guide's samples.
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

// FirmwareTestReport is the report of a firmware test that passed.
type FirmwareTestReport struct {
	// SlotKey is the key of the slot that was tested.
	SlotKey string
	// TestSummary is the summary of the test: free text of several lines, for people to
	// read. It may contain notes in addition to the result. It is not empty.
	TestSummary string
}

// maxSlots limits a list of slots. An appliance has five.
const maxSlots = 1000

// List lists the firmware slots, including empty ones (GET /api/firmware/slots).
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
	// The metadata of the list, if there are any, take precedence over the slots.
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

// listed reads a slot of the list. If the list has no body for a slot, listed reads the
// slot separately; if that returns 404, the slot is empty.
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

// Get reads one slot by its key (GET /api/firmware/slots/<key>). It returns
// [ResourceNotFound] if the slot does not exist.
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

// Delete empties a slot (DELETE /api/firmware/slots/<key>). It returns [ResourceNotFound]
// if the slot does not exist. The slot with the running firmware and the slot for the
// next boot cannot be emptied. The client therefore reads the slot first. For such a
// slot, it returns [ErrSlotInUse] and sends no deletion, because the guide does not
// document how the appliance refuses it.
//
// If the response is lost, the client polls the slot for up to [Timeouts].Outcome, or for
// half of [Timeouts].Close if ctx has ended. Delete returns nil once the slot is empty.
// Otherwise it returns [ErrOutcomeUnknown] with [OutcomeUnknownDetails], because the
// appliance may still empty the slot.
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
		return s.client.fail("DELETE "+path.Text, fmt.Errorf("%w: it holds the firmware for the next boot, %s", ErrSlotInUse, oneLine(slot.Body.Version, 40)))
	}
	look := func(ctx context.Context) (bool, string, error) {
		switch now, err := s.read(ctx, path); {
		case errors.Is(err, ResourceNotFound): // an appliance may not list empty slots
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

// Test tests whether the appliance can be upgraded to the firmware in a slot, without
// upgrading it (POST /api/firmware/test). The appliance checks the version, the storage
// space, the compatibility of its configuration, and tainted files. This may take
// minutes, see [Timeouts].Action.
//
// Test returns a report only if the test passed. The TestSummary of the report is for people
// to read. The errors are:
//   - [FirmwareTestFailed] with [FirmwareTestFailedDetails]: the test found a problem.
//   - [ResourceNotFound]: the slot is empty or does not exist.
//   - [ErrBadAnswer]: the response reports success but lacks a test summary, or is about
//     another slot.
//
// A test changes nothing. If the connection breaks, the client therefore sends the
// request again, although the appliance may still be running the first test. It does not
// send the request again after the time limit or after a response.
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

// newTestReport reads a response that reports success. The response must show that the
// test ran on the requested slot. Otherwise newTestReport returns an error, because a
// wrong success would be worse than a wrong failure.
func newTestReport(a *answer, key string) (*FirmwareTestReport, error) {
	report := &FirmwareTestReport{SlotKey: key}
	clean := a.exchange.veil().shown
	if tested, ok := wire.Text(a.Key); a.Key != nil && wire.Kind(a.Key) != wire.Null && (!ok || tested != key) {
		return nil, a.unusable("the answer is about slot %q, not %q", oneLine(tested, 40), key)
	}
	if tested := slotOfLink(newMeta(a.Meta).Link("slot")); tested != "" && tested != key {
		return nil, a.unusable("the answer links to slot %q, not %q", oneLine(tested, 40), key)
	}
	summary, ok := wire.Text(a.Body)
	if !ok {
		summary, ok = wire.Text(member(a.Body, "test_summary"))
	}
	switch code, plain := wire.Text(member(a.Body, "exit_code")); {
	case !plain && wire.Kind(member(a.Body, "exit_code")) != 0 && wire.Kind(member(a.Body, "exit_code")) != wire.Null:
		return nil, a.unusable("the exit code of the test is not a number")
	case plain && code != "0":
		e := newError(a.exchange.call, a.status, nil, "the answer reports success but has a failed exit code")
		e.Host, e.Attempts = a.exchange.t.host, a.exchange.attempts
		e.Type, e.Detail = FirmwareTestFailed, newDetail(FirmwareTestFailed, a.Body, clean)
		return nil, e
	}
	if !ok || strings.TrimSpace(summary) == "" {
		return nil, a.unusable("the answer has no test summary, so the test may not have run")
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
	path, err := itemPath(slotsPath, key)
	return path, s.client.at(err)
}

// slotID makes the slot_id of a request. It is a JSON number if the key is a decimal
// number, as in the guide's samples, and a string otherwise.
func slotID(request apiPath, key string) (string, error) {
	if err := checkSlotKey(request, key); err != nil {
		return "", err
	}
	if number, err := strconv.ParseUint(key, 10, 32); err == nil && strconv.FormatUint(number, 10) == key {
		return key, nil
	}
	return `"` + key + `"`, nil
}

// checkSlotKey refuses an invalid slot key before anything is sent.
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
		why = "has characters that are not allowed in a slot key"
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

// noSlot makes the error for a key that no slot can have. mount is the endpoint of the
// request.
func noSlot(mount apiPath, key, why string) error {
	u := breach(ResourceNotFound, "", "slot key %s %s: use the Key of a slot that Firmware.Slots.List lists, such as \"2\"", quoted(key), why)
	u.detail = []error{&ResourceNotFoundDetails{mount.Text, key}}
	if mount != slotsPath {
		u.faults[0].Member = "slot_id"
		if key == "" {
			u.types = []ErrorType{IncompleteRequestBodyError}
			u.detail = append(u.detail, &IncompleteRequestBodyErrorDetails{[]string{"slot_id"}})
		}
	}
	u.faults[0].Object = mount.Text
	return u
}
