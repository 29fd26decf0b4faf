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

// FirmwareUpgradeStep is a part of [Firmware.Upgrade], in this order.
type FirmwareUpgradeStep string

// The steps of an upgrade. Of upload and fetch there is one or none, as the source
// says.
const (
	StepPrepare FirmwareUpgradeStep = "prepare" // look at the appliance
	StepUpload  FirmwareUpgradeStep = "upload"  // send the image
	StepFetch   FirmwareUpgradeStep = "fetch"   // let the appliance download the image
	StepTest    FirmwareUpgradeStep = "test"    // test the image without upgrading
	StepUpgrade FirmwareUpgradeStep = "upgrade" // begin the upgrade
	StepWait    FirmwareUpgradeStep = "wait"    // wait for the appliance to come back
	StepVerify  FirmwareUpgradeStep = "verify"  // look whether it runs the image
)

// UpgradeSource is where the image of an upgrade comes from: [FromSlot],
// [FromFile], [FromImage] or [FromURL].
type UpgradeSource interface{ source() source }

// source places an image in a slot of the appliance. check refuses what cannot be
// right before anything is sent; nil has nothing to refuse.
type source struct {
	check func() error
	place func(context.Context, Firmware, *upgrade) (slotKey string, err error)
}

func (s source) source() source { return s }

// FromSlot upgrades to an image that the appliance has already.
func FromSlot(key string) UpgradeSource {
	return source{
		check: func() error { return checkSlotKey(upgradePath, key) },
		place: func(context.Context, Firmware, *upgrade) (string, error) { return key, nil },
	}
}

// FromFile uploads a file first, see [Firmware.UploadFile].
func FromFile(name string) UpgradeSource {
	return source{place: func(ctx context.Context, f Firmware, u *upgrade) (string, error) {
		u.enter(StepUpload)
		return slotKeyOf(f.UploadFile(ctx, name, WithProgress(u.uploaded)))
	}}
}

// FromImage uploads an image first, see [Firmware.Upload].
func FromImage(image io.ReaderAt, size int64) UpgradeSource {
	return source{place: func(ctx context.Context, f Firmware, u *upgrade) (string, error) {
		u.enter(StepUpload)
		return slotKeyOf(f.Upload(ctx, image, size, WithProgress(u.uploaded)))
	}}
}

// FromURL lets the appliance download the image first, see [FirmwareFetches.Start].
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

// UpgradeOption refines one [Firmware.Upgrade]: [WithMessage], [WithProgress],
// [WithPollInterval], [WithWaitLimit], [WithExpectedVersion] and [WithTestOnly].
type UpgradeOption interface{ applyUpgrade(*upgrade) }

func (o MessageOption) applyUpgrade(u *upgrade) { u.message = string(o) }

func (o ProgressOption) applyUpgrade(u *upgrade) { u.progress = o.report }

func (o IntervalOption) applyUpgrade(u *upgrade) { u.waiting = append(u.waiting, o) }

func (o PollOption) applyUpgrade(u *upgrade) { u.waiting = append(u.waiting, o) }

type upgradeOption func(*upgrade)

func (o upgradeOption) applyUpgrade(u *upgrade) { o(u) }

// WithExpectedVersion stops the upgrade with [ErrUnexpectedImage] before the test, unless
// the image has this version. It is good practice with [FromURL]: the record of a fetch
// need not say where its image went, and then the slot that filled meanwhile is taken for
// it.
func WithExpectedVersion(version string) UpgradeOption {
	return upgradeOption(func(u *upgrade) { u.expected = version })
}

// WithTestOnly ends the upgrade once the image is tested: a dry run, which leaves the
// image in its slot.
func WithTestOnly() UpgradeOption {
	return upgradeOption(func(u *upgrade) { u.testOnly = true })
}

// StartUpgradeOption refines one [Firmware.StartUpgrade]: [WithMessage].
type StartUpgradeOption interface{ applyStartUpgrade(message *string) }

func (o MessageOption) applyStartUpgrade(message *string) { *message = string(o) }

// FirmwareUpgradeReport is what an upgrade did.
type FirmwareUpgradeReport struct {
	// SlotKey is the slot of the image, "" if it never got into one.
	SlotKey string
	// FetchKey is the key of the fetch of [FromURL], whose record stays on the
	// appliance; "" for none.
	FetchKey string
	// From is the version that ran before, To that of the image.
	From, To string
	// TestSummary is the summary of the test.
	TestSummary string
	// Info is what the appliance says about itself afterwards; nil after
	// [WithTestOnly] and where the upgrade did not get so far.
	Info *ApplianceInfo
}

// FirmwareUpgradeError says at which step an upgrade stopped. It unwraps to the cause.
type FirmwareUpgradeError struct {
	// Step is the step that failed; none after it was begun.
	Step FirmwareUpgradeStep
	// Left says in words what is left on the appliance: what is certain, what was seen
	// when the appliance was asked, and what may come yet.
	Left string
	// Err is the cause.
	Err error
}

// Error returns the step, the cause and what is left.
func (e *FirmwareUpgradeError) Error() string {
	text := fmt.Sprintf("sps: upgrade stopped at %s: %s", e.Step, plain(causeOf(e.Err)))
	if e.Left != "" {
		text += "; " + e.Left
	}
	return text
}

// Unwrap returns the cause.
func (e *FirmwareUpgradeError) Unwrap() error { return e.Err }

// LogValue returns the error without what the appliance wrote into the cause.
func (e *FirmwareUpgradeError) LogValue() slog.Value { return logged(e) }

// StartUpgrade begins the upgrade to the firmware in a slot (POST
// /api/firmware/upgrade). The appliance tests the firmware first, with the errors
// of [Firmware.Test], then restarts by itself; follow it with
// [Firmware.WaitForVersion]. An empty message is sent as null; where the appliance
// requires one, it is refused with [ErrCommitMessageRequired] before anything is
// sent.
//
// An answer that is lost is [ErrOutcomeUnknown]: the restart may have been faster, or the
// appliance may still be at work. WaitForVersion finds out; that an appliance runs what it
// did before does not prove that it will not upgrade.
func (f Firmware) StartUpgrade(ctx context.Context, key string, options ...StartUpgradeOption) (*FirmwareTestReport, error) {
	message := ""
	for _, option := range options {
		if option != nil {
			option.applyStartUpgrade(&message)
		}
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

// checkMessage refuses an empty message where the appliance requires one. The
// setting is that for commits.
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

// CompareVersions compares dotted versions number by number: "7.10" is higher than
// "7.9", and "8.0" the same as "8.0.0". It returns -1, 0 or 1, and false where one
// is no dotted version.
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

// WithRestartOf makes [Firmware.WaitForVersion] demand proof of a restart, for an
// upgrade to the version that runs already: that a restart was seen, or that the
// build differs from what the appliance said before.
func WithRestartOf(before *ApplianceInfo) VersionWaitOption { return restartOption{before} }

// VersionWaitOption refines one [Firmware.WaitForVersion]: [WithRestartOf], and what a
// [WaitOption] is.
type VersionWaitOption interface{ applyVersionWait(*waitOptions) }

type restartOption struct{ before *ApplianceInfo }

func (o restartOption) applyVersionWait(w *waitOptions)  { w.before = o.before }
func (o ProgressOption) applyVersionWait(w *waitOptions) { o.applyWait(w) }
func (o IntervalOption) applyVersionWait(w *waitOptions) { o.applyWait(w) }
func (o PollOption) applyVersionWait(w *waitOptions)     { o.applyWait(w) }

// settleTime is how long another version may be seen after a restart before it
// counts: an appliance may restart twice.
const settleTime = 2 * time.Minute

// The patience with what a starting appliance may show and a broken one does too.
const (
	maxRefusedLogins = 5
	maxUntrusted     = 3
	// loginPause is the least time between two logins that are refused: a minute
	// in all.
	loginPause = 15 * time.Second
)

// WaitForVersion waits until the appliance runs a version, through its restart:
// refused and broken connections, failed handshakes, 502 and 503, HTML at any status, a session
// that is gone and logins that fail while services start are waited out, within the
// context and [WithWaitLimit]. The client logs in again when it must.
//
// It ends early with [ErrWrongVersion] when the appliance came back with another
// version for two minutes, with a [CertificateError] when it keeps showing a
// certificate that is not trusted, and with the refusal when it keeps refusing the
// login, so that the account is not locked. When the time is over, the error wraps
// context.DeadlineExceeded and says what was seen last.
func (f Firmware) WaitForVersion(ctx context.Context, version string, options ...VersionWaitOption) (*ApplianceInfo, error) {
	o := &waitOptions{progress: func(Progress) {}}
	for _, option := range options {
		if option != nil {
			option.applyVersionWait(o)
		}
	}
	if err := o.complete(10*time.Second, 30*time.Minute); err != nil {
		return nil, err
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
			w.restarted = true // the session did not survive
		}
		if ctx.Err() == nil { // a look that was cut short saw nothing
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

// glance asks the appliance for its version once, with whatever session there is,
// and a new one if that is gone.
func (f Firmware) glance(ctx context.Context) (*ApplianceInfo, *session, error) {
	a, err := f.client.readOnce(ctx, infoPath)
	if err != nil {
		return nil, nil, err
	}
	info, err := newInfo(a)
	return info, a.session, err
}

// versionWait is what was seen so far.
type versionWait struct {
	version   string
	before    *ApplianceInfo
	restarted bool
	wrong     time.Time // since when another version is seen after the restart
	down      int       // looks in a row that found nobody
	refused   int       // logins in a row
	untrusted int       // certificates in a row
}

// maxDown is how many looks in a row must find nobody before that is a restart,
// and no hiccup of the network.
const maxDown = 2

// judge takes one look at the appliance: whether it is done, what was seen in
// words, and why there is no point in waiting on.
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

// failed counts a look that failed.
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
		// The session is gone, so the appliance has restarted.
		w.restarted = true
		if w.refused++; w.refused >= maxRefusedLogins {
			return err
		}
		return nil
	case errors.As(err, &broken):
		// A slow answer is no restart, nor is one that makes no sense; but there is
		// nobody where no connection can be made, be it for want of time.
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

// How often to look again for what runs in the end, and after which time.
const (
	verifyTries = 6
	verifyPause = 10 * time.Second
)

// upgrade is one upgrade on its way.
type upgrade struct {
	message  string
	waiting  []WaitOption
	progress func(Progress)
	testOnly bool
	expected string // version

	step   FirmwareUpgradeStep
	unsure bool // the answer to the request that begins the upgrade was lost
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

// looked reports what waiting sees.
func (u *upgrade) looked(step FirmwareUpgradeStep) []WaitOption {
	return append(slices.Clone(u.waiting), WithProgress(func(p Progress) {
		p.Step = step
		u.progress(p)
	}))
}

// Upgrade brings the appliance to a firmware and waits until it runs: it uploads or
// fetches the image unless it is there, tests it, begins the upgrade, waits for the
// restart, and verifies what runs. It stops at the first failure; the error is an
// [FirmwareUpgradeError] that says at which step, and what is left on the appliance, and
// the report says how far it got. An answer to the upgrade that is lost is no
// failure, because waiting finds out. Where waiting ends before the version was seen, the
// error is [ErrOutcomeUnknown] too, unless the upgrade was begun for certain and the
// appliance came back with another version, which is [ErrWrongVersion].
func (f Firmware) Upgrade(ctx context.Context, from UpgradeSource, options ...UpgradeOption) (*FirmwareUpgradeReport, error) {
	u := &upgrade{progress: func(Progress) {}, report: &FirmwareUpgradeReport{}}
	for _, option := range options {
		if option != nil {
			option.applyUpgrade(u)
		}
	}
	if err := f.upgrade(ctx, u, from); err != nil {
		return u.report, &FirmwareUpgradeError{Step: u.step, Left: u.left(err), Err: err}
	}
	return u.report, nil
}

func (f Firmware) upgrade(ctx context.Context, u *upgrade, from UpgradeSource) error {
	u.enter(StepPrepare)
	if from == nil {
		return invalid("the upgrade has no source")
	}
	if _, err := newWait(0, 0, u.waiting); err != nil {
		return err
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

// fetched lets the appliance download an image, and finds the slot that it went
// into.
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
	// The record need not say where the image is: it is in the slot that filled.
	after, err := f.Slots.List(ctx)
	if err != nil {
		return "", err
	}
	found := ""
	for _, slot := range after.Slots {
		if old, known := u.slots.Slot(slot.Key); !slot.Body.Empty() && (!known || old.Body.Empty()) {
			if found != "" {
				return "", f.client.fail("firmware fetch "+key, fmt.Errorf("finished, and two slots filled meanwhile (%s and %s): continue from the right one", found, oneLine(slot.Key, 40)))
			}
			found = slot.Key
		}
	}
	if found == "" {
		return "", f.client.fail("firmware fetch "+key, errors.New("finished, and no slot filled"))
	}
	return found, nil
}

// notSeen makes the error of an upgrade whose version was not seen. lost is why the
// answer to its beginning was, nil where there was one.
func (u *upgrade) notSeen(err, lost error) error {
	switch {
	case lost != nil:
		return beside(err, "the answer to the upgrade was lost", lost)
	case errors.Is(err, ErrWrongVersion):
		return err
	}
	return because(ErrOutcomeUnknown, err)
}

// left says what an upgrade that stopped leaves on the appliance.
func (u *upgrade) left(err error) string {
	const begunOrNot = "whether the upgrade was begun is unknown: look at the appliance before you repeat it"
	unbegun := "no upgrade was begun"
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
		return "the upgrade was begun: look at the appliance before you repeat it"
	case u.report.SlotKey != "":
		return unbegun + "; " + holds
	case u.step == StepUpload && errors.As(err, &upload):
		return unbegun + "; " + upload.left()
	case u.step == StepUpload:
		return unbegun + "; the image was not uploaded"
	case u.report.FetchKey != "":
		return unbegun + "; the fetch " + oneLine(u.report.FetchKey, 40) + " goes on if it has not ended, and its record stays until it is removed"
	case errors.Is(err, ErrOutcomeUnknown):
		return unbegun + "; whether the fetch was begun is unknown: look at Firmware.Fetch.List"
	}
	return unbegun
}

// left says where the image may be.
func (e *FirmwareUploadError) left() string {
	switch {
	case e.Stored != nil:
		return "the image is in slot " + oneLine(e.Stored.Key, 40) + ", unless somebody else filled that"
	case e.Known:
		return "the image may come into a slot yet"
	}
	return "whether the appliance holds the image is unknown"
}
