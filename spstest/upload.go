package spstest

import (
	"bufio"
	"bytes"
	"context"
	"errors"
	"io"
	"mime"
	"mime/multipart"
	"net"
	"net/http"
	"slices"
	"strconv"
)

// uploadPath is the path whose request bodies are not stored in memory.
const uploadPath = "upload/firmware"

// uploadField is the form field with the image.
const uploadField = "firmware"

// Upload is an image that was uploaded and stored in a slot.
type Upload struct {
	Version string // the version in the first line of the image
	SHA256  string // the SHA-256 of the image, in lower-case hexadecimal digits
	Size    int64  // the size of the image in bytes
	Form    string // the form of the request body: "multipart" or "raw"
	Slot    string // the key of the slot that the image was stored in
}

// Uploads returns the images that were uploaded and stored, in order.
func (a *Appliance) Uploads() []Upload {
	a.enter()
	defer a.mu.Unlock()
	return slices.Clone(a.uploads)
}

func (x *exchange) uploads() bool { return x.method == http.MethodPost && x.path == uploadPath }

// incoming is the body of an upload while it is being read.
type incoming struct {
	from io.Reader
	stop func() error // returns an error if reading must stop
	n    int64        // the number of bytes read so far
	err  error        // the error that ended the reading, other than io.EOF
}

func (b *incoming) Read(p []byte) (int, error) {
	if b.err == nil {
		b.err = b.stop()
	}
	if b.err != nil {
		return 0, b.err
	}
	n, err := b.from.Read(p)
	b.n += int64(n)
	if err != nil && !errors.Is(err, io.EOF) {
		b.err = err
	}
	return n, err
}

// overTheWire returns the body of a request that came through an http.Server, which checks
// the length of the body.
func overTheWire(r *http.Request) *incoming {
	return &incoming{from: r.Body, stop: func() error { return nil }}
}

// incoming returns the body of an in-process request. It checks that the body has the
// stated length.
func (a *Appliance) incoming(ctx context.Context, body io.Reader, length int64) *incoming {
	if body == nil {
		body = http.NoBody
	}
	b := &incoming{from: body, stop: func() error {
		select {
		case <-a.closed:
			return errReset
		default:
			return ctx.Err()
		}
	}}
	if length > 0 {
		b.from = &exactly{body, length}
	}
	return b
}

// exactly is a reader that fails, like a transport, if the body is shorter or longer than
// stated.
type exactly struct {
	from io.Reader
	left int64
}

func (e *exactly) Read(p []byte) (int, error) {
	n, err := e.from.Read(p)
	e.left -= int64(n)
	switch {
	case e.left < 0:
		return 0, errors.New("spstest: the body of the request is longer than its ContentLength")
	case e.left > 0 && errors.Is(err, io.EOF):
		return n, &net.OpError{Op: "write", Net: "tcp", Err: io.ErrUnexpectedEOF}
	}
	return n, err
}

// received is the result of reading an upload.
type received struct {
	form      string
	malformed bool // the body is labelled as a form but is not one, or is incomplete
	image     *digest
}

// receive reads an upload. If labelled is true, it also recognizes a form that is
// labelled as JSON. The error is that of the connection.
func (b *incoming) receive(contentType string, labelled bool) (received, error) {
	buffer := make([]byte, imageHead)
	from := io.Reader(b)
	if kind, _, _ := mime.ParseMediaType(contentType); labelled && kind == "application/json" {
		peeked := bufio.NewReader(b)
		if found, ok := formOf(peeked); ok {
			contentType = found
		}
		from = peeked
	}
	got := parseUpload(from, contentType, buffer)
	_, _ = io.CopyBuffer(onlyWriter{io.Discard}, b, buffer) // reads the rest of the body
	return got, b.err
}

// onlyWriter hides the method ReadFrom of a writer, so that io.CopyBuffer uses the given
// buffer.
type onlyWriter struct{ io.Writer }

// formOf returns the Content-Type of a form that is labelled as JSON. ok is false if the
// body is not a form.
func formOf(body *bufio.Reader) (contentType string, ok bool) {
	// A form starts with two hyphens and the boundary, which has at most 70 characters.
	head, _ := body.Peek(2 + 70 + 1)
	line, _, ok := bytes.Cut(head, []byte("\r"))
	boundary, isForm := bytes.CutPrefix(line, []byte("--"))
	if !ok || !isForm || len(boundary) == 0 {
		return "", false
	}
	contentType = mime.FormatMediaType("multipart/form-data", map[string]string{"boundary": string(boundary)})
	return contentType, contentType != ""
}

func parseUpload(b io.Reader, contentType string, buffer []byte) received {
	kind, parameters, err := mime.ParseMediaType(contentType)
	if kind != "multipart/form-data" {
		got := received{form: "raw", image: newDigest()}
		_, _ = io.CopyBuffer(got.image, b, buffer)
		if got.image.size == 0 {
			got.image = nil
		}
		return got
	}
	got := received{form: "multipart"}
	if err != nil || parameters["boundary"] == "" {
		got.malformed = true
		return got
	}
	form := multipart.NewReader(b, parameters["boundary"])
	for {
		part, err := form.NextRawPart()
		if err == io.EOF { // a wrapped io.EOF means that the form was cut
			return got
		}
		if err != nil {
			got.malformed = true
			return got
		}
		// A part without a file name is a value, not a file.
		to := io.Writer(onlyWriter{io.Discard})
		if part.FormName() == uploadField && part.FileName() != "" && got.image == nil {
			got.image = newDigest()
			to = got.image
		}
		if _, err := io.CopyBuffer(to, part, buffer); err != nil {
			got.malformed = true
			return got
		}
	}
}

// emptySlots returns the number of empty slots and the index of the first one, or -1 if
// there is none.
func (a *Appliance) emptySlots() (first, n int) {
	first = -1
	for i := range a.slots {
		if a.slots[i].Version != "" {
			continue
		}
		if first < 0 {
			first = i
		}
		n++
	}
	return first, n
}

// store stores an image in a slot.
func (a *Appliance) store(i int, version string) *Slot {
	a.slots[i] = Slot{Key: a.slots[i].Key, Version: version, UpgradeNotes: "Upgrade notes of " + version}
	return &a.slots[i]
}

func (a *Appliance) uploadFirmware(x *exchange) answer {
	got := x.received
	switch {
	case got.malformed:
		return x.fail(http.StatusBadRequest, "InvalidRequestBody", "The request body is not a valid form", nil)
	case got.image == nil:
		return a.missing(x, uploadField)
	}
	i, free := a.emptySlots()
	if i < 0 {
		return a.refuse(x, "upload-no-slot", "There is no empty firmware slot", nil)
	}
	version, ok := imageVersion(got.image.head)
	if !ok {
		return a.refuse(x, "upload-broken-image", "The file is not a firmware image", nil)
	}
	if x.holds() {
		return answer{}
	}
	s := a.store(i, version)
	a.uploads = append(a.uploads, Upload{version, got.image.sum(), got.image.size, got.form, s.Key})

	body := a.slotBody(s)
	if a.variant("upload-after-reboot") == "true" {
		body["after_reboot"] = true
	}
	status, _ := strconv.Atoi(a.variant("upload-status"))
	return reply(status, object{
		"body": body,
		"key":  a.slotKey(s),
		"meta": object{
			"href":                  href(uploadPath),
			"number_of_empty_slots": free - 1,
			"slot":                  href("firmware/slots/" + s.Key),
			"test":                  href("firmware/test"),
			"upgrade":               href("firmware/upgrade"),
		},
	})
}
