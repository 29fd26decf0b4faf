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

// UploadOption is an option of [Firmware.Upload] and [Firmware.UploadFile]:
// [WithProgress].
type UploadOption interface{ applyUpload(*uploadOptions) }

type uploadOptions struct{ progress func(Progress) }

func (o ProgressOption) applyUpload(u *uploadOptions) { u.progress = o.report }

// FirmwareUploadError means that the response to an upload was lost. It reports the state
// of the slots after the loss. It unwraps to the cause and to [ErrOutcomeUnknown],
// because the appliance may still put the image into a slot.
type FirmwareUploadError struct {
	// Known is true if the client could read the slots after the response was lost.
	Known bool
	// Stored is the slot that was filled since the upload started, or nil. It holds the
	// image, unless somebody else filled the slot.
	Stored *FirmwareSlot
	// Err is the error that made the client lose the response.
	Err error
}

// Error returns the cause and the state of the slots.
func (e *FirmwareUploadError) Error() string {
	text := causeOf(e.Err).Error()
	switch {
	case e.Stored != nil:
		return fmt.Sprintf("%s; the image is in slot %s (%s), unless somebody else filled that slot", text, oneLine(e.Stored.Key, 40), oneLine(e.Stored.Body.Version, 40))
	case !e.Known:
		return text + "; the slots of the appliance could not be read: list them before the next attempt"
	}
	return text + "; no slot was filled when the client checked, but the appliance may still fill one: list the slots before the next attempt"
}

// Unwrap returns the cause.
func (e *FirmwareUploadError) Unwrap() error { return e.Err }

// LogValue returns the text of the error without the message and the details that the
// appliance sent.
func (e *FirmwareUploadError) LogValue() slog.Value { return logged(e) }

// Upload sends a firmware image to the appliance (POST /api/upload/firmware) and returns
// the slot that received it. Upload needs constant memory. Each attempt reads the image
// once, from the start. If an attempt certainly had no effect, Upload may make another
// attempt. It does not close the reader.
//
// Upload lists the slots first. An expired session or [ErrNoEmptySlot] is therefore found
// before gigabytes are sent. There is no total time limit. [Timeouts].Stall limits the
// time in which no data is transferred, and [Timeouts].Action limits the wait for the
// response.
//
// If the appliance refuses the image, the error is an [Error]. Upload returns
// [ErrInvalidInput] if the image is empty or shorter than size. If the image cannot be
// read to its end, or if ctx ends during the upload, the appliance discards the
// incomplete upload.
//
// If the whole image was sent and the response is lost, the client polls the slots until
// one is filled, for up to [Timeouts].Outcome, or for half of [Timeouts].Close if ctx has
// ended. Whether or not a slot was filled, the error is then a [FirmwareUploadError] and
// [ErrOutcomeUnknown], because somebody else may have filled the slot.
func (f Firmware) Upload(ctx context.Context, image io.ReaderAt, size int64, options ...UploadOption) (*FirmwareSlot, error) {
	if image == nil || size <= 0 {
		return nil, f.client.fail("POST "+uploadPath.Text, invalid("the image is empty"))
	}
	return f.upload(ctx, &upload{image: image, size: size, check: func() error { return nil }}, options)
}

// UploadFile uploads a firmware image from a file. It works like [Firmware.Upload]. It
// returns [ErrInvalidInput] for a directory, an empty file, and a file that changes
// during the upload.
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
		return fail(fmt.Errorf("%s is not a regular file", name))
	}
	if before.Size() == 0 {
		return fail(fmt.Errorf("%s is empty", name))
	}
	unchanged := func() error {
		now, err := file.Stat()
		if err == nil && (now.Size() != before.Size() || !now.ModTime().Equal(before.ModTime())) {
			err = invalid("%s changed during the upload", name)
		}
		return err
	}
	return f.upload(ctx, &upload{image: file, size: before.Size(), check: unchanged}, options)
}

// upload is the state of one running upload.
type upload struct {
	image io.ReaderAt
	size  int64
	// check is called before the last part of the image is sent. If check fails, that
	// part is not sent, and the appliance discards the upload.
	check  func() error
	report func(sent, total int64)
	failed atomic.Pointer[error] // the error that occurred while reading the image

	mu      sync.Mutex
	current *imageReader // the reader of the current attempt; nil after the upload has ended
	whole   bool         // the image was read to its end
}

func (f Firmware) upload(ctx context.Context, u *upload, options []UploadOption) (*FirmwareSlot, error) {
	o := &uploadOptions{progress: func(Progress) {}}
	for option := range given(options) {
		option.applyUpload(o)
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
		return nil, f.client.fail("POST "+uploadPath.Text, errorf("the image was not sent completely: %w", *reading))
	}
	if err == nil {
		slot, incomplete := uploadedSlot(a)
		if incomplete == nil && !whole {
			incomplete = a.unusable("the answer came before the whole image was sent")
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
		return nil, errorf("%w; the image was not sent completely", withoutUnknown(err))
	}
	return nil, f.uploadLost(ctx, before, err)
}

// uploadedSlot reads the slot from the response to an upload.
func uploadedSlot(a *answer) (*FirmwareSlot, error) {
	link := slotOfLink(newMeta(a.Meta).Link("slot"))
	key, ok := wire.Text(a.Key)
	if !ok || key == "" {
		key = link
	}
	if link != "" && link != key {
		return nil, a.unusable("the answer names the slots %q and %q", oneLine(key, 40), oneLine(link, 40))
	}
	if checkSlotKey(slotsPath, key) != nil {
		return nil, a.unusable("the answer does not name the slot of the image")
	}
	slot := new(FirmwareSlot)
	return slot.or((&item{a.Envelope, key, a}).into(slot.parts(), nil))
}

// uploadLost polls the slots after the response to an upload was lost, and makes the
// error.
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

// look lists the slots and searches for a slot that was empty before the upload and is
// filled now.
func (e *FirmwareUploadError) look(ctx context.Context, f Firmware, before *FirmwareSlotList) (seen bool, state string, err error) {
	after, err := f.Slots.List(ctx)
	if err != nil {
		return false, "", err
	}
	for _, slot := range after.Slots {
		old, known := before.Slot(slot.Key)
		if !slot.Body.Empty() && (!known || old.Body.Empty()) {
			e.Stored = &slot
			return true, "slot " + oneLine(slot.Key, 40) + " was filled", nil
		}
	}
	return false, "no slot was filled", nil
}

// multipart wraps the image in a multipart form with the field firmware.
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

// imageReader reads an image once for one attempt. It reports the progress and fails if
// the image is shorter than expected or has changed.
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
			err = invalid("the image ends after %d of %d bytes", r.sent, r.size)
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

// errAttemptOver ends an attempt whose result is no longer needed.
var errAttemptOver = errors.New("the attempt is over")

// end reports whether the last part of the image may be sent. It returns false if this
// attempt is over, so that an abandoned attempt is not completed later.
func (r *imageReader) end() bool {
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.current != r {
		return false
	}
	r.whole = true
	return true
}

// progress reports the progress, unless this attempt is over: net/http may continue to
// read the image after an early response.
func (r *imageReader) progress() {
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.current == r {
		r.report(r.sent, r.size)
	}
}

// severalSteps marks the error for [SafeToRetry], which returns false because some steps
// of the failed call may have taken effect.
func (e *FirmwareUploadError) severalSteps() {}
