package sps

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"mime/multipart"
	"os"
	"slices"
	"sync"
	"sync/atomic"
	"time"

	"github.com/go-sps/sps/internal/wire"
)

var uploadPath = mustPath("upload/firmware")

// UploadOption refines one [Firmware.Upload]: [WithProgress].
type UploadOption interface{ applyUpload(*uploadOptions) }

type uploadOptions struct{ progress func(Progress) }

func (o ProgressOption) applyUpload(u *uploadOptions) { u.progress = o.report }

// FirmwareUploadError says that the answer to an upload was lost, and what was seen in the slots
// afterwards. It unwraps to the cause, which is [ErrOutcomeUnknown] too: the appliance may
// put the image into a slot yet, whatever was seen.
type FirmwareUploadError struct {
	// Known is set where the appliance could be asked afterwards.
	Known bool
	// Stored is the slot that was seen to have filled since the upload began, nil for
	// none. It holds the image, unless somebody else filled it.
	Stored *FirmwareSlot
	// Err is the cause.
	Err error
}

// Error returns the cause and what was seen.
func (e *FirmwareUploadError) Error() string {
	text := causeOf(e.Err).Error()
	switch {
	case e.Stored != nil:
		return fmt.Sprintf("%s; the image is in slot %s (%s), unless somebody else filled that", text, oneLine(e.Stored.Key, 40), oneLine(e.Stored.Body.Version, 40))
	case !e.Known:
		return text + "; the appliance could not be asked what it holds: list its slots before the next try"
	}
	return text + "; no slot had filled when the appliance was asked; it may put the image into one yet: list its slots before the next try"
}

// Unwrap returns the cause.
func (e *FirmwareUploadError) Unwrap() error { return e.Err }

// LogValue returns the error without what the appliance wrote into the cause.
func (e *FirmwareUploadError) LogValue() slog.Value { return logged(e) }

// Upload sends a firmware image to the appliance (POST /api/upload/firmware) and
// returns the slot that the appliance put it into. It takes constant memory: the
// image is read once, and again from its beginning only where an attempt certainly
// had no effect. The reader is not closed.
//
// The slots are read first, so that a session that has expired, or
// [ErrNoEmptySlot], is noticed before gigabytes are sent. There is no time limit
// in all; [Timeouts].Stall bounds the time in which nothing moves, and
// [Timeouts].Action the wait for the answer.
//
// An image that the appliance refuses is an [Error]. An empty image, or one that is
// shorter than size, is [ErrInvalidInput]. An image that was not sent to its end, because
// it could not be read or because ctx ended, is dropped by the appliance.
//
// When the whole image was sent and the answer is lost, the slots are listed until one
// has filled, for up to [Timeouts].Outcome, and after the end of ctx for half of
// [Timeouts].Close. The error is an [FirmwareUploadError] then and [ErrOutcomeUnknown], also where
// one has filled: that may have been somebody else.
func (f Firmware) Upload(ctx context.Context, image io.ReaderAt, size int64, options ...UploadOption) (*FirmwareSlot, error) {
	if image == nil || size <= 0 {
		return nil, f.client.fail("POST "+uploadPath.Text, invalid("the image is empty"))
	}
	return f.upload(ctx, &upload{image: image, size: size, check: func() error { return nil }}, options)
}

// UploadFile is [Firmware.Upload] of a file. A directory, an empty file, and one
// that changes while it is sent are [ErrInvalidInput].
func (f Firmware) UploadFile(ctx context.Context, name string, options ...UploadOption) (*FirmwareSlot, error) {
	fail := func(err error) (*FirmwareSlot, error) {
		return nil, f.client.fail("POST "+uploadPath.Text, fmt.Errorf("%w: %w", ErrInvalidInput, err))
	}
	file, err := os.Open(name)
	if err != nil {
		return fail(err)
	}
	defer file.Close()
	before, err := file.Stat()
	if err != nil {
		return fail(err)
	}
	if !before.Mode().IsRegular() {
		return fail(fmt.Errorf("%s is no regular file", name))
	}
	if before.Size() == 0 {
		return fail(fmt.Errorf("%s is empty", name))
	}
	unchanged := func() error {
		now, err := file.Stat()
		if err == nil && (now.Size() != before.Size() || !now.ModTime().Equal(before.ModTime())) {
			err = invalid("%s was changed while it was sent", name)
		}
		return err
	}
	return f.upload(ctx, &upload{image: file, size: before.Size(), check: unchanged}, options)
}

// upload is one image on its way.
type upload struct {
	image io.ReaderAt
	size  int64
	// check is called before the end of the image is sent: without that end the
	// appliance drops what it got.
	check  func() error
	report func(sent, total int64)
	failed atomic.Pointer[error] // what reading the image gave

	mu      sync.Mutex
	current *imageReader // the only one that may go on, nil once all is over
	whole   bool         // the image was read to its end
}

func (f Firmware) upload(ctx context.Context, u *upload, options []UploadOption) (*FirmwareSlot, error) {
	o := &uploadOptions{progress: func(Progress) {}}
	for _, option := range options {
		if option != nil {
			option.applyUpload(o)
		}
	}
	start := time.Now()
	u.report = func(sent, total int64) { o.progress(transferred(sent, total, start)) }
	before, err := f.Slots.List(ctx)
	if err != nil {
		return nil, err
	}
	if before.EmptySlots == 0 && len(before.Slots) > 0 {
		return nil, f.client.fail("POST "+uploadPath.Text, ErrNoEmptySlot)
	}
	stream, err := u.multipart()
	if err != nil {
		return nil, err
	}
	a, err := f.client.upload(ctx, uploadPath, stream)
	u.mu.Lock()
	u.current = nil
	whole := u.whole
	u.mu.Unlock()
	if reading := u.failed.Load(); err != nil && reading != nil {
		return nil, f.client.fail("POST "+uploadPath.Text, errorf("the image was not sent to its end: %w", *reading))
	}
	if err == nil {
		slot, incomplete := uploadedSlot(a)
		if incomplete == nil && !whole {
			incomplete = a.unusable("it came before the whole image was sent")
		}
		if incomplete == nil {
			return slot, nil
		}
		err = incomplete
	}
	switch {
	case !answerLost(err):
		return nil, err
	case a == nil && !whole:
		return nil, errorf("%w; the image was not sent to its end", withoutUnknown(err))
	}
	return nil, f.uploadLost(ctx, before, err)
}

// uploadedSlot reads the slot from the answer to an upload.
func uploadedSlot(a *answer) (*FirmwareSlot, error) {
	link := slotOfLink(newMeta(a.Meta).Link("slot"))
	key, ok := wire.Text(a.Key)
	if !ok || key == "" {
		key = link
	}
	if link != "" && link != key {
		return nil, a.unusable("it names the slots %q and %q", oneLine(key, 40), oneLine(link, 40))
	}
	if checkSlotKey(slotsPath, key) != nil {
		return nil, a.unusable("it does not name the slot of the image")
	}
	slot := new(FirmwareSlot)
	return slot.or((&item{a.Envelope, key, a}).into(slot.parts(), nil))
}

// uploadLost asks what became of an upload whose answer was lost.
func (f Firmware) uploadLost(ctx context.Context, before *FirmwareSlotList, cause error) error {
	end := f.client.patience(ctx)
	defer end.release()
	failed := &FirmwareUploadError{Err: cause}
	found := f.client.ask(ctx, end, "POST "+uploadPath.Text, cause, func(ctx context.Context) (bool, string, error) {
		return failed.look(ctx, f, before)
	})
	failed.Known = found.asked
	return failed
}

// look looks for a slot that was empty before.
func (e *FirmwareUploadError) look(ctx context.Context, f Firmware, before *FirmwareSlotList) (seen bool, state string, err error) {
	after, err := f.Slots.List(ctx)
	if err != nil {
		return false, "", err
	}
	for _, slot := range after.Slots {
		old, known := before.Slot(slot.Key)
		if !slot.Body.Empty() && (!known || old.Body.Empty()) {
			e.Stored = &slot
			return true, "slot " + oneLine(slot.Key, 40) + " has filled", nil
		}
	}
	return false, "no slot has filled", nil
}

// multipart frames the image as a form with the field firmware.
func (u *upload) multipart() (*stream, error) {
	var frame bytes.Buffer
	form := multipart.NewWriter(&frame)
	if _, err := form.CreateFormFile("firmware", "firmware.iso"); err != nil {
		return nil, err
	}
	head := slices.Clone(frame.Bytes())
	frame.Reset()
	if err := form.Close(); err != nil {
		return nil, err
	}
	tail := frame.Bytes()
	return &stream{
		contentType: form.FormDataContentType(),
		length:      int64(len(head)) + u.size + int64(len(tail)),
		open: func() (io.Reader, error) {
			image := &imageReader{upload: u}
			u.mu.Lock()
			u.current = image
			u.mu.Unlock()
			return io.MultiReader(bytes.NewReader(head), image, bytes.NewReader(tail)), nil
		},
	}, nil
}

// progressStep is how many bytes pass between two reports of progress.
const progressStep = 1 << 20

// imageReader reads an image once, reports its progress, and notices when it is
// not what it was.
type imageReader struct {
	*upload
	sent, reported int64
}

func (r *imageReader) Read(p []byte) (int, error) {
	if r.sent == r.size {
		return 0, io.EOF
	}
	p = p[:min(int64(len(p)), r.size-r.sent)]
	n, err := r.image.ReadAt(p, r.sent)
	r.sent += int64(n)
	if err == io.EOF {
		err = nil
		if n < len(p) {
			err = invalid("it ends after %d of %d bytes", r.sent, r.size)
		}
	}
	if err == nil && r.sent == r.size {
		err = r.check()
	}
	if err != nil {
		r.failed.Store(&err)
		return 0, err
	}
	if r.sent == r.size && !r.end() {
		return 0, errAttemptOver
	}
	if r.sent-r.reported >= progressStep || r.sent == r.size {
		r.reported = r.sent
		r.progress()
	}
	return n, nil
}

// errAttemptOver ends an attempt that nobody waits for any more.
var errAttemptOver = errors.New("the attempt is over")

// end lets the end of the image out, unless this attempt is over: what was not sent whole
// by then never will be.
func (r *imageReader) end() bool {
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.current != r {
		return false
	}
	r.whole = true
	return true
}

// progress reports, unless this attempt is over: net/http may still read from one
// whose answer came early.
func (r *imageReader) progress() {
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.current == r {
		r.report(r.sent, r.size)
	}
}
