package sps

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"slices"
	"strconv"
	"strings"
	"time"
)

var upgradePath = mustPath("firmware/upgrade")

// FirmwareUpgradeStep is a step of [Firmware.Upgrade].
type FirmwareUpgradeStep string

// The steps of an upgrade, in their order. The source determines whether there is an
// upload, a fetch or neither.
const (
	StepPrepare FirmwareUpgradeStep = "prepare" // read the state of the appliance
	StepUpload  FirmwareUpgradeStep = "upload"  // send the image
	StepFetch   FirmwareUpgradeStep = "fetch"   // make the appliance download the image
	StepTest    FirmwareUpgradeStep = "test"    // test the image without upgrading
	StepUpgrade FirmwareUpgradeStep = "upgrade" // start the upgrade
	StepWait    FirmwareUpgradeStep = "wait"    // wait until the appliance has restarted
	StepVerify  FirmwareUpgradeStep = "verify"  // check that the appliance runs the firmware from the slot
)

// UpgradeSource is the source of the image for an upgrade: [FromSlot], [FromFile],
// [FromImage] or [FromURL].
type UpgradeSource interface{ source() source }

// source places an image in a slot of the appliance. check refuses invalid arguments
// before anything is sent; it may be nil.
type source struct {
	check func() error
	place func(context.Context, Firmware, *upgrade) (slotKey string, err error)
}

func (s source) source() source { return s }

// FromSlot makes [Firmware.Upgrade] use an image that is already in a slot of the
// appliance.
func FromSlot(key string) UpgradeSource {
	return source{
		check: func() error { return checkSlotKey(upgradePath, key) },
		place: func(context.Context, Firmware, *upgrade) (string, error) { return key, nil },
	}
}

// FromFile makes [Firmware.Upgrade] upload an image from a file, see
// [Firmware.UploadFile].
func FromFile(name string) UpgradeSource {
	return source{place: func(ctx context.Context, f Firmware, u *upgrade) (string, error) {
		u.enter(StepUpload)
		return slotKeyOf(f.UploadFile(ctx, name, WithProgress(u.uploaded)))
	}}
}

// FromImage makes [Firmware.Upgrade] upload an image from a reader, see
// [Firmware.Upload].
func FromImage(image io.ReaderAt, size int64) UpgradeSource {
	return source{place: func(ctx context.Context, f Firmware, u *upgrade) (string, error) {
		u.enter(StepUpload)
		return slotKeyOf(f.Upload(ctx, image, size, WithProgress(u.uploaded)))
	}}
}

// FromURL makes [Firmware.Upgrade] let the appliance download the image, see
// [FirmwareFetches.Start].
func FromURL(imageURL, sha256 string) UpgradeSource {
	return source{
		check: func() error {
			_, err := fetchBody(imageURL, sha256)
			return err
		},
		place: func(ctx context.Context, f Firmware, u *upgrade) (string, error) {
			u.enter(StepFetch)
			return f.fetched(ctx, u, imageURL, sha256)
		},
	}
}

func slotKeyOf(slot *FirmwareSlot, err error) (string, error) {
	if err != nil {
		return "", err
	}
	return slot.Key, nil
}

// UpgradeOption is an option of [Firmware.Upgrade]: [WithMessage], [WithProgress],
// [WithPollInterval], [WithWaitLimit], [WithExpectedVersion] or [WithTestOnly].
type UpgradeOption interface{ applyUpgrade(*upgrade) }

func (o MessageOption) applyUpgrade(u *upgrade) { u.message = string(o) }

func (o ProgressOption) applyUpgrade(u *upgrade) { u.progress = o.report }

func (o IntervalOption) applyUpgrade(u *upgrade) { u.waiting = append(u.waiting, o) }

func (o PollOption) applyUpgrade(u *upgrade) { u.waiting = append(u.waiting, o) }

type upgradeOption func(*upgrade)

func (o upgradeOption) applyUpgrade(u *upgrade) { o(u) }

// WithExpectedVersion stops the upgrade with [ErrUnexpectedImage] before the test, unless
// the image has this version. This is useful with [FromURL]: if the appliance does not
// report the slot of the download, the upgrade uses the slot that was filled during the
// download, and that slot may hold another image.
func WithExpectedVersion(version string) UpgradeOption {
	return upgradeOption(func(u *upgrade) { u.expected = version })
}

// WithTestOnly makes [Firmware.Upgrade] stop after the test. This is a dry run; the image
// stays in its slot.
func WithTestOnly() UpgradeOption {
	return upgradeOption(func(u *upgrade) { u.testOnly = true })
}

// StartUpgradeOption is an option of [Firmware.StartUpgrade]: [WithMessage].
type StartUpgradeOption interface{ applyStartUpgrade(message *string) }

func (o MessageOption) applyStartUpgrade(message *string) { *message = string(o) }

// FirmwareUpgradeReport describes what [Firmware.Upgrade] did.
type FirmwareUpgradeReport struct {
	// SlotKey is the slot of the image, or "" if the image reached no slot.
	SlotKey string
	// FetchKey is the key of the fetch that [FromURL] started, or "" for other sources. The
	// record of the fetch stays on the appliance.
	FetchKey string
	// From is the version that ran before the upgrade. To is the version of the image.
	From, To string
	// TestSummary is the summary of the firmware test.
	TestSummary string
	// Info is the information that the appliance reported after the upgrade. It is nil with
	// [WithTestOnly], and if the upgrade stopped earlier.
	Info *ApplianceInfo
}

// FirmwareUpgradeError means that an upgrade stopped. It names the step and the state of
// the appliance, and unwraps to the cause.
type FirmwareUpgradeError struct {
	// Step is the step that failed. No later step was started.
	Step FirmwareUpgradeStep
	// Left describes the state of the appliance, for people to read: what is certain,
	// what the client observed, and what may still happen.
	Left string
	// Err is the error that stopped the upgrade.
	Err error
}

// Error returns the step, the cause and the state of the appliance.
func (e *FirmwareUpgradeError) Error() string {
	host, cause := apart(causeOf(e.Err))
	if host != "" {
		host += ": "
	}
	text := fmt.Sprintf("sps: %supgrade stopped at %s: %s", host, e.Step, cause)
	if e.Left != "" {
		text += "; " + e.Left
	}
	return text
}

// Unwrap returns the cause.
func (e *FirmwareUpgradeError) Unwrap() error { return e.Err }

// LogValue returns the text of the error without the message and the details that the
// appliance sent.
func (e *FirmwareUpgradeError) LogValue() slog.Value { return logged(e) }

// StartUpgrade starts the upgrade to the firmware in a slot (POST /api/firmware/upgrade).
// The appliance first tests the firmware; if the test fails, the errors are those of
// [Firmware.Test]. It then upgrades and restarts by itself. Wait for the new version with
// [Firmware.WaitForVersion]. An empty message is sent as null. If the appliance requires
// a message, StartUpgrade returns [ErrCommitMessageRequired] before it sends the request.
//
// If the response is lost, StartUpgrade returns [ErrOutcomeUnknown]: the appliance may
// have restarted before it sent the response, or it may still be working. Call
// WaitForVersion to find out. An appliance that still runs the old version may upgrade
// later.
func (f Firmware) StartUpgrade(ctx context.Context, key string, options ...StartUpgradeOption) (*FirmwareTestReport, error) {
	message := ""
	for option := range given(options) {
		option.applyStartUpgrade(&message)
	}
	id, err := slotID(upgradePath, key)
	if err != nil {
		return nil, f.client.fail("POST "+upgradePath.Text, err)
	}
	if err := f.checkMessage(ctx, message); err != nil {
		return nil, err
	}
	text := []byte("null")
	if message != "" {
		if text, _, err = encode(message); err != nil {
			return nil, err
		}
	}
	var report *FirmwareTestReport
	accept := func(a *answer) (err error) {
		report, err = newTestReport(a, key)
		return err
	}
	body := []byte(`{"slot_id":` + id + `,"message":` + string(text) + `}`)
	return report, f.client.act(ctx, upgradePath, body, accept, witness{method: "Firmware.WaitForVersion"})
}

// checkMessage refuses an empty message if the appliance requires a message for commits.
func (f Firmware) checkMessage(ctx context.Context, message string) error {
	if strings.TrimSpace(message) != "" {
		return nil
	}
	a, err := f.client.read(ctx, transactionPath, nil)
	if err != nil {
		return err
	}
	if newTransactionStatus(a).CommitMessageRequired {
		return f.client.fail("POST "+upgradePath.Text, fmt.Errorf("%w: pass WithMessage", ErrCommitMessageRequired))
	}
	return nil
}

// CompareVersions compares two dotted versions number by number: "7.10" is higher than
// "7.9", and "8.0" equals "8.0.0". It returns -1, 0 or 1. It returns false if one of the
// texts is not a dotted version.
func CompareVersions(a, b string) (order int, ok bool) {
	left, leftOK := parseVersion(a)
	right, rightOK := parseVersion(b)
	if !leftOK || !rightOK {
		return 0, false
	}
	for i := range max(len(left), len(right)) {
		var l, r uint64
		if i < len(left) {
			l = left[i]
		}
		if i < len(right) {
			r = right[i]
		}
		if l != r {
			return cmp.Compare(l, r), true
		}
	}
	return 0, true
}

func parseVersion(text string) ([]uint64, bool) {
	var parts []uint64
	for field := range strings.SplitSeq(text, ".") {
		number, err := strconv.ParseUint(field, 10, 64)
		if err != nil {
			return nil, false
		}
		parts = append(parts, number)
	}
	return parts, true
}

func sameVersion(a, b string) bool {
	order, ok := CompareVersions(a, b)
	return ok && order == 0 || a == b
}

// WithRestartOf makes [Firmware.WaitForVersion] require proof of a restart. Use it for an
// upgrade to the version that is already running. The proof is an observed restart, or a
// BuildDate that differs from before.BuildDate.
func WithRestartOf(before *ApplianceInfo) VersionWaitOption { return restartOption{before} }

// VersionWaitOption is an option of [Firmware.WaitForVersion]: [WithRestartOf] or a
// [WaitOption].
type VersionWaitOption interface{ applyVersionWait(*waitOptions) }

type restartOption struct{ before *ApplianceInfo }

func (o restartOption) applyVersionWait(w *waitOptions)  { w.before = o.before }
func (o ProgressOption) applyVersionWait(w *waitOptions) { o.applyWait(w) }
func (o IntervalOption) applyVersionWait(w *waitOptions) { o.applyWait(w) }
func (o PollOption) applyVersionWait(w *waitOptions)     { o.applyWait(w) }

// settleTime is how long another version than the expected one may run after a restart
// before the wait fails. The wait does not fail at once, because an appliance may restart
// twice.
const settleTime = 2 * time.Minute

// WaitForVersion waits until the appliance has restarted and runs the given version. It
// tolerates the errors that occur during a restart: refused and broken connections,
// failed handshakes, statuses 502 and 503, HTML pages, an ended session, and refused
// logins while services start. The client logs in again if necessary. The context and
// [WithWaitLimit] limit the wait.
//
// WaitForVersion ends early in three cases. It returns [ErrWrongVersion] if the appliance
// has run another version for two minutes after the restart. It returns a
// [CertificateError] if the appliance keeps presenting an untrusted certificate. It
// returns the refusal if the appliance keeps refusing the login, so that further attempts
// do not lock the account. When the time limit of the wait or the deadline of ctx has
// passed, the error wraps context.DeadlineExceeded and describes the last poll.
func (f Firmware) WaitForVersion(ctx context.Context, version string, options ...VersionWaitOption) (*ApplianceInfo, error) {
	o := &waitOptions{progress: func(Progress) {}}
	for option := range given(options) {
		option.applyVersionWait(o)
	}
	if err := o.complete(10*time.Second, 30*time.Minute); err != nil {
		return nil, f.client.at(err)
	}
	return f.waitForVersion(ctx, version, o)
}

func (f Firmware) waitForVersion(ctx context.Context, version string, o *waitOptions) (*ApplianceInfo, error) {
	if err := f.client.made(); err != nil {
		return nil, err
	}
	ctx, cancel := o.bound(ctx)
	defer cancel()
	defer f.client.logins.patient()()
	w := &versionWait{version: version, before: o.before}
	start := time.Now()
	last := "nothing"
	session := f.client.reading.now()
	for {
		info, renewed, err := f.glance(ctx)
		if session != nil && renewed != nil && renewed != session {
			w.restarted = true // a restart ends the session
		}
		if ctx.Err() == nil { // ignore a poll that was interrupted
			done, state, stop := w.judge(info, err)
			last = state
			o.progress(Progress{State: state, Percent: -1, Elapsed: time.Since(start)})
			if stop != nil {
				return nil, f.client.fail("waiting for version "+oneLine(version, 40), stop)
			}
			if done {
				return info, nil
			}
		}
		pause := o.every
		if w.refused > 0 {
			pause = max(pause, loginPause)
		}
		if err := sleep(ctx, pause); err != nil {
			return nil, f.client.fail("waiting for version "+oneLine(version, 40), errorf("%w; last seen: %s", err, last))
		}
	}
}

// glance reads the appliance's version once. It uses the existing session, or logs in
// again if that session has ended.
func (f Firmware) glance(ctx context.Context) (*ApplianceInfo, *session, error) {
	a, err := f.client.readOnce(ctx, infoPath)
	if err != nil {
		return nil, nil, err
	}
	info, err := newInfo(a)
	return info, a.session, err
}

// versionWait is the state of a wait for a version: the expected version, and what the
// polls have found so far.
type versionWait struct {
	version   string
	before    *ApplianceInfo
	restarted bool
	wrong     time.Time // the time when a poll first found another version after the restart
	down      int       // the number of polls in a row that could not connect
	refused   int       // the number of polls in a row whose login was refused
	untrusted int       // the number of polls in a row with an untrusted certificate
}

// maxDown is how many polls in a row must fail to connect before that counts as a restart
// and not as a network problem.
const maxDown = 2

// judge evaluates one poll. It returns whether the wait is done, a text that describes
// the state, and an error if a longer wait is pointless.
func (w *versionWait) judge(info *ApplianceInfo, err error) (done bool, state string, stop error) {
	if err != nil {
		return false, oneLine(err.Error(), 200), w.failed(err)
	}
	w.down, w.refused, w.untrusted = 0, 0, 0
	switch same := sameVersion(info.FirmwareVersion, w.version); {
	case same && (w.before == nil || w.restarted || !info.BuildDate.Equal(w.before.BuildDate)):
		return true, "runs " + oneLine(info.FirmwareVersion, 40), nil
	case same:
		return false, "runs " + oneLine(info.FirmwareVersion, 40) + ", and has not restarted yet", nil
	case !w.restarted:
		return false, "still runs " + oneLine(info.FirmwareVersion, 40), nil
	case w.wrong.IsZero():
		w.wrong = time.Now()
	case time.Since(w.wrong) >= settleTime:
		stop = fmt.Errorf("%w: it runs %s", ErrWrongVersion, oneLine(info.FirmwareVersion, 40))
	}
	return false, "restarted, and runs " + oneLine(info.FirmwareVersion, 40), stop
}

// failed counts a failed poll. It returns an error if the wait must stop.
func (w *versionWait) failed(err error) (stop error) {
	w.wrong = time.Time{}
	var broken *TransportError
	nobody := false
	switch {
	case errors.Is(err, ErrClosed), errors.Is(err, errExpiredExisting):
		return err
	case untrusted(err):
		if w.untrusted++; w.untrusted >= maxUntrusted {
			return err
		}
		return nil
	case refusesCredential(err):
		// The session has ended, so the appliance has restarted.
		w.restarted = true
		if w.refused++; w.refused >= maxRefusedLogins {
			return err
		}
		return nil
	case errors.As(err, &broken):
		// A slow or unusable response does not prove a restart. A connection that cannot
		// be made counts as a restart, even if the reason is a time limit.
		nobody = neverSent(err) || !errors.Is(err, context.DeadlineExceeded) && !errors.Is(err, ErrBadAnswer)
	case errors.Is(err, Status(502)), errors.Is(err, Status(503)):
		nobody = true
	}
	w.refused, w.untrusted = 0, 0
	if !nobody {
		w.down = 0
	} else if w.down++; w.down >= maxDown {
		w.restarted = true
	}
	return nil
}

// verifyTries is how often the slots are read after the upgrade, and verifyPause is the
// time between two attempts.
const (
	verifyTries = 6
	verifyPause = 10 * time.Second
)

// upgrade is the state of one call of [Firmware.Upgrade].
type upgrade struct {
	message  string
	waiting  []WaitOption
	progress func(Progress)
	testOnly bool
	expected string // the version that WithExpectedVersion requires

	step   FirmwareUpgradeStep
	unsure bool // the response to the request that starts the upgrade was lost
	start  time.Time
	report *FirmwareUpgradeReport
	slots  *FirmwareSlotList // before the image was placed
}

func (u *upgrade) enter(step FirmwareUpgradeStep) {
	u.step, u.start = step, time.Now()
	u.progress(Progress{Step: step, State: "begun", Percent: -1})
}

func (u *upgrade) uploaded(p Progress) {
	p.Step = StepUpload
	u.progress(p)
}

// looked returns the options of a wait, with a progress function that adds the step.
func (u *upgrade) looked(step FirmwareUpgradeStep) []WaitOption {
	return append(slices.Clone(u.waiting), WithProgress(func(p Progress) {
		p.Step = step
		u.progress(p)
	}))
}

// Upgrade brings the appliance to a firmware version and waits until that version runs.
// It uploads or fetches the image unless it is already in a slot, tests it, starts the
// upgrade, waits for the restart and verifies the running version. It stops at the first
// failure. The error is then a [FirmwareUpgradeError] with the failed step and the state
// of the appliance. The report has the results of the steps before.
//
// If the response to the request that starts the upgrade is lost, Upgrade continues and
// waits for the new version. If the wait ends before the appliance runs the new version,
// the error is also [ErrOutcomeUnknown]. If, however, that response was received and the
// appliance restarted with another version, the error is [ErrWrongVersion] but not
// ErrOutcomeUnknown.
func (f Firmware) Upgrade(ctx context.Context, from UpgradeSource, options ...UpgradeOption) (*FirmwareUpgradeReport, error) {
	u := &upgrade{progress: func(Progress) {}, report: &FirmwareUpgradeReport{}}
	for option := range given(options) {
		option.applyUpgrade(u)
	}
	if err := f.upgrade(ctx, u, from); err != nil {
		return u.report, &FirmwareUpgradeError{Step: u.step, Left: u.left(err), Err: f.client.at(err)}
	}
	return u.report, nil
}

func (f Firmware) upgrade(ctx context.Context, u *upgrade, from UpgradeSource) error {
	u.enter(StepPrepare)
	if from == nil {
		return invalid("the upgrade has no source: pass FromSlot, FromFile, FromImage or FromURL")
	}
	if _, err := newWait(0, 0, u.waiting); err != nil {
		return f.client.at(err)
	}
	image := from.source()
	if image.check != nil {
		if err := image.check(); err != nil {
			return err
		}
	}
	before, err := f.client.Info(ctx)
	if err != nil {
		return err
	}
	u.report.From = before.FirmwareVersion
	if err := f.checkMessage(ctx, u.message); err != nil && !u.testOnly {
		return err
	}
	if u.slots, err = f.Slots.List(ctx); err != nil {
		return err
	}

	key, err := image.place(ctx, f, u)
	if err != nil {
		return err
	}
	if u.step != StepPrepare {
		u.report.SlotKey = key
	}
	slot, err := f.Slots.Get(ctx, key)
	if err != nil {
		return err
	}
	u.report.SlotKey, u.report.To = key, slot.Body.Version
	if u.expected != "" && !sameVersion(u.expected, u.report.To) {
		return fmt.Errorf("%w: slot %s holds %q, not %s", ErrUnexpectedImage, oneLine(key, 40), oneLine(u.report.To, 40), oneLine(u.expected, 40))
	}

	u.enter(StepTest)
	tested, err := f.Test(ctx, key)
	if err != nil {
		return err
	}
	u.report.TestSummary = tested.TestSummary
	if u.testOnly {
		return nil
	}

	u.enter(StepUpgrade)
	_, lost := f.StartUpgrade(ctx, key, WithMessage(u.message))
	if lost != nil && (ctx.Err() != nil || !answerLost(lost)) {
		return lost
	}
	u.unsure = lost != nil

	u.enter(StepWait)
	waiting, err := newWait(10*time.Second, 30*time.Minute, u.looked(StepWait))
	if err != nil {
		return err
	}
	if sameVersion(before.FirmwareVersion, slot.Body.Version) {
		waiting.before = before
	}
	if u.report.Info, err = f.waitForVersion(ctx, slot.Body.Version, waiting); err != nil {
		return u.notSeen(err, lost)
	}
	u.unsure = false

	u.enter(StepVerify)
	after, err := f.Slots.List(ctx)
	for range verifyTries {
		// Services may still be starting.
		if err == nil || !passing(err) || sleep(ctx, verifyPause) != nil {
			break
		}
		after, err = f.Slots.List(ctx)
	}
	if err != nil {
		return err
	}
	if after.CurrentSlot != key {
		return f.client.fail("upgrade", fmt.Errorf("the running firmware is in slot %s, not %s", oneLine(after.CurrentSlot, 40), key))
	}
	return nil
}

// fetched makes the appliance download an image and finds the slot that received it.
func (f Firmware) fetched(ctx context.Context, u *upgrade, imageURL, sha256 string) (string, error) {
	if u.slots.EmptySlots == 0 && len(u.slots.Slots) > 0 {
		return "", f.client.fail("POST "+fetchPath.Text, ErrNoEmptySlot)
	}
	key, err := f.Fetch.Start(ctx, imageURL, sha256)
	if err != nil {
		return "", err
	}
	u.report.FetchKey = key
	done, err := f.Fetch.Wait(ctx, key, u.looked(StepFetch)...)
	if err != nil {
		return "", err
	}
	if done.SlotKey != "" {
		return done.SlotKey, nil
	}
	// The record of the fetch may lack the slot. In that case, use the slot that was
	// filled during the fetch.
	after, err := f.Slots.List(ctx)
	if err != nil {
		return "", err
	}
	found := ""
	for _, slot := range after.Slots {
		if old, known := u.slots.Slot(slot.Key); !slot.Body.Empty() && (!known || old.Body.Empty()) {
			if found != "" {
				return "", f.client.fail("firmware fetch "+key, fmt.Errorf("the fetch finished, but two slots were filled meanwhile (%s and %s): check which slot holds the image, and continue with FromSlot", found, oneLine(slot.Key, 40)))
			}
			found = slot.Key
		}
	}
	if found == "" {
		return "", f.client.fail("firmware fetch "+key, errors.New("the fetch finished, but no slot was filled"))
	}
	return found, nil
}

// notSeen makes the error of an upgrade if the appliance was not found to run the new
// version. lost is the error of the request that started the upgrade if its response was
// lost, otherwise nil.
func (u *upgrade) notSeen(err, lost error) error {
	switch {
	case lost != nil:
		return beside(err, "the answer to the upgrade was lost", lost)
	case errors.Is(err, ErrWrongVersion):
		return err
	}
	return because(ErrOutcomeUnknown, err)
}

// left describes the state of the appliance after an upgrade stopped.
func (u *upgrade) left(err error) string {
	const begunOrNot = "it is not known whether the upgrade was started: look at the appliance before you repeat it"
	unbegun := "no upgrade was started"
	if u.report.From != "" {
		unbegun += "; the appliance ran " + oneLine(u.report.From, 40)
	}
	holds := "the image stays in slot " + oneLine(u.report.SlotKey, 40)
	if u.report.To == "" {
		holds = "slot " + oneLine(u.report.SlotKey, 40) + " is empty, or could not be read"
	}
	var upload *FirmwareUploadError
	switch {
	case u.step == StepPrepare:
		return unbegun
	case u.step == StepUpgrade && errors.Is(err, ErrOutcomeUnknown), u.unsure:
		return begunOrNot
	case u.step == StepWait, u.step == StepVerify:
		return "the upgrade was started: look at the appliance before you repeat it"
	case u.report.SlotKey != "":
		return unbegun + "; " + holds
	case u.step == StepUpload && errors.As(err, &upload):
		return unbegun + "; " + upload.left()
	case u.step == StepUpload:
		return unbegun + "; the image was not uploaded"
	case u.report.FetchKey != "":
		return unbegun + "; the fetch " + oneLine(u.report.FetchKey, 40) + " continues unless it has ended, and its record remains until it is deleted"
	case errors.Is(err, ErrOutcomeUnknown):
		return unbegun + "; it is not known whether the fetch was started: list the fetches with Firmware.Fetch.List"
	}
	return unbegun
}

// left describes where the image may be after an upload whose response was lost.
func (e *FirmwareUploadError) left() string {
	switch {
	case e.Stored != nil:
		return "the image is in slot " + oneLine(e.Stored.Key, 40) + ", unless somebody else filled that slot"
	case e.Known:
		return "the appliance may still put the image into a slot"
	}
	return "it is not known whether the appliance has the image"
}

// severalSteps marks the error for [SafeToRetry], which returns false because some steps
// of the failed call may have taken effect.
func (e *FirmwareUpgradeError) severalSteps() {}
