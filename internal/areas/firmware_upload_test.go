package areas

import (
	"bytes"
	"context"
	"errors"
	"io"
	"net/http"
	"os"
	"path/filepath"
	"runtime"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/go-sps/sps"
	"github.com/go-sps/sps/internal/testkit"
	"github.com/go-sps/sps/spstest"
)

const imageSize = 3 << 20

func TestUpload(t *testing.T) {
	t.Parallel()
	testkit.UnderVariants(t, func(t *testing.T, options ...spstest.Option) {
		a := spstest.NewServer(t, options...)
		c := testkit.Connect(t, a)
		a.ExpireSessions() // the client detects this before it sends the image
		var sent, total int64
		slot, err := c.Firmware.Upload(t.Context(), spstest.Image("8.1.0", imageSize), imageSize,
			sps.WithProgress(func(p sps.Progress) {
				if p.Done <= sent {
					t.Errorf("progress goes from %d to %d", sent, p.Done)
				}
				sent, total = p.Done, p.Total
			}))
		if err != nil {
			t.Fatal(err)
		}
		if slot.Key != "3" || slot.Body.Version != "8.1.0" || sent != imageSize || total != imageSize {
			t.Errorf("slot %+v, progress %d of %d", slot, sent, total)
		}
		uploads := a.Uploads()
		testkit.Diff(t, "uploads", []spstest.Upload{{Version: "8.1.0", SHA256: spstest.ImageSHA256("8.1.0", imageSize), Size: imageSize, Form: "multipart", Slot: "3"}}, uploads)
		for _, r := range a.Journal() {
			if r.Path == "/api/upload/firmware" && (r.Header.Get("Expect") != "" || r.Header.Get("Content-Length") == "" && r.Size < imageSize) {
				t.Errorf("upload with header %v and %d bytes", r.Header, r.Size)
			}
		}
		if _, err := c.Firmware.Test(t.Context(), slot.Key); err != nil {
			t.Errorf("Test of the uploaded image: %v", err)
		}
	})
}

// TestUploadMemory checks that the upload of a large image allocates little memory.
func TestUploadMemory(t *testing.T) {
	const size = 256 << 20
	a := spstest.NewServer(t)
	c := testkit.Connect(t, a)
	var before, after runtime.MemStats
	runtime.GC()
	runtime.ReadMemStats(&before)
	if _, err := c.Firmware.Upload(t.Context(), spstest.Image("8.1.0", size), size); err != nil {
		t.Fatal(err)
	}
	runtime.ReadMemStats(&after)
	limit := uint64(8 << 20)
	if testkit.Race {
		limit = 128 << 20 // with the race detector, sync.Pool drops buffers at random
	}
	if allocated := after.TotalAlloc - before.TotalAlloc; allocated > limit {
		t.Errorf("%d MiB were allocated for an upload of 256 MiB", allocated>>20)
	}
}

func TestUploadFile(t *testing.T) {
	t.Parallel()
	write := func(t *testing.T, size int64) string {
		t.Helper()
		name := filepath.Join(t.TempDir(), "image.iso")
		content := make([]byte, size)
		if _, err := spstest.Image("8.1.0", size).ReadAt(content, 0); err != nil && err != io.EOF {
			t.Fatal(err)
		}
		if err := os.WriteFile(name, content, 0o600); err != nil {
			t.Fatal(err)
		}
		return name
	}
	a := spstest.NewServer(t)
	c := testkit.Connect(t, a)
	slot, err := c.Firmware.UploadFile(t.Context(), write(t, imageSize))
	if err != nil || slot.Body.Version != "8.1.0" {
		t.Fatalf("slot %+v, %v", slot, err)
	}

	uploads := len(a.Uploads())
	for name, test := range map[string]struct {
		file   func(t *testing.T) string
		during func(name string) error // runs while the file is sent
		want   error
	}{
		"no such file":                   {func(*testing.T) string { return "/no/such/file" }, nil, os.ErrNotExist},
		"a directory":                    {func(t *testing.T) string { return t.TempDir() }, nil, sps.ErrInvalidInput},
		"empty":                          {func(t *testing.T) string { return write(t, 0) }, nil, sps.ErrInvalidInput},
		"file shrinks during the upload": {func(t *testing.T) string { return write(t, imageSize) }, func(name string) error { return os.Truncate(name, 2<<20) }, sps.ErrInvalidInput},
		"file grows during the upload":   {func(t *testing.T) string { return write(t, imageSize) }, func(name string) error { return os.Truncate(name, 4<<20) }, sps.ErrInvalidInput},
	} {
		t.Run(name, func(t *testing.T) {
			file := test.file(t)
			_, err := c.Firmware.UploadFile(t.Context(), file, sps.WithProgress(func(p sps.Progress) {
				if test.during != nil && p.Done < 2<<20 {
					if err := test.during(file); err != nil {
						t.Error(err)
					}
				}
			}))
			if !errors.Is(err, test.want) || strings.Contains(err.Error(), "\n") {
				t.Errorf("error %v, want %v in one line", err, test.want)
			}
			testkit.Diff(t, "uploads", uploads, len(a.Uploads()))
		})
	}
}

type brokenImage struct{ at int64 }

var errDisk = errors.New("the disk is broken")

func (b brokenImage) ReadAt(p []byte, off int64) (int, error) {
	if off >= b.at {
		return 0, errDisk
	}
	return copy(p, strings.Repeat("x", len(p))), nil
}

// TestUploadFails checks that the error of a failed upload says what went wrong and whether the
// appliance has stored the image.
func TestUploadFails(t *testing.T) {
	t.Parallel()
	good, small := spstest.Image("8.1.0", imageSize), spstest.Image("8.1.0", 1000) // small is sent completely before the client detects that the connection broke
	for name, test := range map[string]struct {
		image  io.ReaderAt
		size   int64
		fault  spstest.Fault
		want   error
		says   string
		stored bool
	}{
		"no image":                           {nil, 1, spstest.Fault{}, sps.ErrInvalidInput, "empty", false},
		"size 0":                             {good, 0, spstest.Fault{}, sps.ErrInvalidInput, "empty", false},
		"image shorter than its size":        {bytes.NewReader([]byte("SPS-FIRMWARE 8.1.0\n")), 100, spstest.Fault{}, sps.ErrInvalidInput, "ends after 19 of 100", false},
		"reader fails":                       {brokenImage{1 << 20}, imageSize, spstest.Fault{}, errDisk, "the image was not sent completely", false},
		"a broken image":                     {strings.NewReader(strings.Repeat("no image", 100)), 800, spstest.Fault{}, sps.ErrorType("InvalidFirmwareImage"), "", false},
		"connection breaks before execution": {small, 1000, spstest.Fault{CutBefore: true}, sps.ErrOutcomeUnknown, "no slot was filled when the client checked, but the appliance may", false},
		"connection breaks after execution":  {good, imageSize, spstest.Fault{CutAfter: true}, sps.ErrOutcomeUnknown, "in slot 3 (8.1.0)", true},
		"response truncated":                 {good, imageSize, spstest.Fault{Truncate: 5}, sps.ErrOutcomeUnknown, "in slot 3 (8.1.0)", true},
		"response without a key":             {good, imageSize, spstest.Fault{Mutate: func([]byte) []byte { return []byte(`{"body":{}}`) }}, sps.ErrOutcomeUnknown, "in slot 3 (8.1.0)", true},
		"504 after execution":                {good, imageSize, spstest.Fault{Status: 504, Execute: true}, sps.Status(504), "in slot 3 (8.1.0)", true},
		"response names two slots":           {good, imageSize, spstest.Fault{Mutate: func([]byte) []byte { return []byte(`{"body":{},"key":"4","meta":{"slot":"/api/firmware/slots/3"}}`) }}, sps.ErrBadAnswer, "in slot 3 (8.1.0)", true},
		"503":                                {small, 1000, spstest.Fault{Status: 503}, sps.Status(503), "no slot was filled when the client checked, but the appliance may", false},
		"502":                                {small, 1000, spstest.Fault{Status: 502}, sps.Status(502), "no slot was filled when the client checked, but the appliance may", false},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			a := spstest.NewServer(t)
			c := testkit.Connect(t, a)
			test.fault.Path = "upload/firmware"
			a.Inject(test.fault)
			_, err := c.Firmware.Upload(t.Context(), test.image, test.size)
			if !errors.Is(err, test.want) || !strings.Contains(err.Error(), test.says) {
				t.Errorf("error %v, want %v that says %q", err, test.want, test.says)
			}
			var failed *sps.FirmwareUploadError
			if test.stored && (!errors.As(err, &failed) || !failed.Known || failed.Stored == nil || failed.Stored.Key != "3") {
				t.Errorf("error %+v, want one that names slot 3", failed)
			}
			testkit.Diff(t, "stored", test.stored, len(a.Uploads()) == 1)
			sent := 0
			for _, r := range a.Journal() {
				if r.Path == "/api/upload/firmware" {
					sent++
				}
			}
			if sent > 1 {
				t.Errorf("sent %d times", sent)
			}
		})
	}
}

func TestUploadNoEmptySlot(t *testing.T) {
	t.Parallel()
	a := spstest.NewServer(t, spstest.WithSlots(spstest.Slot{Key: "1", Version: "7.4.0", Current: true, AfterReboot: true}))
	c := testkit.Connect(t, a)
	a.ResetJournal()
	_, err := c.Firmware.Upload(t.Context(), spstest.Image("8.1.0", imageSize), imageSize)
	if !errors.Is(err, sps.ErrNoEmptySlot) {
		t.Errorf("error %v, want ErrNoEmptySlot", err)
	}
	testkit.Diff(t, "requests", []string{"GET /api/firmware/slots"}, testkit.Requests(a))
}

// TestUploadCancelled checks that a cancelled upload stops, and that the appliance stores no
// image.
func TestUploadCancelled(t *testing.T) {
	t.Parallel()
	a := spstest.NewServer(t)
	c := testkit.Connect(t, a)
	ctx, cancel := context.WithCancel(t.Context())
	_, err := c.Firmware.Upload(ctx, spstest.Image("8.1.0", 1<<30), 1<<30, sps.WithProgress(func(sps.Progress) { cancel() }))
	if !errors.Is(err, context.Canceled) || errors.Is(err, sps.ErrOutcomeUnknown) || !strings.Contains(err.Error(), "not sent completely") {
		t.Errorf("error %v, want Canceled and that the image was not sent completely", err)
	}
	if uploads := a.Uploads(); len(uploads) != 0 {
		t.Errorf("uploads %+v", uploads)
	}
}

// TestUploadRetried checks that an image is sent again from its beginning if the connection was
// refused, or if the session expired just before the upload.
func TestUploadRetried(t *testing.T) {
	t.Parallel()
	for name, fault := range map[string]spstest.Fault{"refused": {Refuse: true}, "expired": {ExpireSession: true}} {
		testkit.Bubble(t, func(t *testing.T, a *spstest.Appliance, c *sps.Client) {
			fault.Path = "upload/firmware"
			a.Inject(fault)
			slot, err := c.Firmware.Upload(t.Context(), spstest.Image("8.1.0", imageSize), imageSize)
			if err != nil || slot.Key != "3" {
				t.Fatalf("%s: slot %+v, %v", name, slot, err)
			}
			testkit.Diff(t, "SHA-256", spstest.ImageSHA256("8.1.0", imageSize), a.Uploads()[0].SHA256)
		})
	}
}

// TestUploadStalls checks that an upload ends if nothing is sent for too long, but not if it is
// only slow.
func TestUploadStalls(t *testing.T) {
	t.Parallel()
	for name, test := range map[string]struct {
		pause time.Duration // the wait before each MiB
		ok    bool
	}{"slow": {90 * time.Second, true}, "stuck": {3 * time.Minute, false}} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			synctest.Test(t, func(t *testing.T) {
				a := spstest.NewServer(t, spstest.WithoutListener())
				defer a.Close()
				slow := sps.WithTransport(func(http.RoundTripper) http.RoundTripper {
					return testkit.RoundTripper(func(r *http.Request) (*http.Response, error) {
						if strings.HasSuffix(r.URL.Path, "upload/firmware") {
							r = r.Clone(r.Context())
							r.Body = &slowBody{ReadCloser: r.Body, ctx: r.Context(), pause: test.pause}
						}
						return a.RoundTrip(r)
					})
				})
				c, err := sps.Connect(t.Context(), a.Addr(), sps.UsernamePassword(a.Username(), sps.NewSecretString(a.Password())), slow)
				if err != nil {
					t.Fatal(err)
				}
				defer c.Close(t.Context())
				_, err = c.Firmware.Upload(t.Context(), spstest.Image("8.1.0", imageSize), imageSize)
				if test.ok && err != nil {
					t.Error(err)
				}
				if !test.ok && !errors.Is(err, context.DeadlineExceeded) {
					t.Errorf("error %v, want the time limit for a stalled upload", err)
				}
			})
		})
	}
}

// slowBody is a request body that waits before each MiB.
type slowBody struct {
	io.ReadCloser
	ctx   context.Context
	pause time.Duration
	next  int // the number of bytes after which the next wait begins
	read  int
}

func (s *slowBody) Read(p []byte) (int, error) {
	if s.read >= s.next {
		select {
		case <-time.After(s.pause):
		case <-s.ctx.Done():
			return 0, s.ctx.Err()
		}
		s.next += 1 << 20
	}
	n, err := s.ReadCloser.Read(p)
	s.read += n
	return n, err
}

// TestUploadSlotByLink checks that Upload returns the slot of the image if the response
// contains a link to the slot instead of a key.
func TestUploadSlotByLink(t *testing.T) {
	t.Parallel()
	a := spstest.NewServer(t)
	c := testkit.Connect(t, a)
	a.Inject(spstest.Fault{Path: "upload/firmware", Mutate: func([]byte) []byte {
		return []byte(`{"body":{"version":"8.1.0","after_reboot":true},"meta":{"slot":"/api/firmware/slots/3"}}`)
	}})
	var sent int64
	const size = imageSize + 5 // the last piece is smaller than a progress step
	slot, err := c.Firmware.Upload(t.Context(), spstest.Image("8.1.0", size), size, sps.WithProgress(func(p sps.Progress) { sent = p.Done }))
	if err != nil || slot.Key != "3" || sent != size {
		t.Errorf("slot %+v, %v; %d bytes reported", slot, err, sent)
	}
}

// TestUploadOutcomeUnknown checks that the error says that the outcome is not known if the
// slots cannot be read after a lost response.
func TestUploadOutcomeUnknown(t *testing.T) {
	t.Parallel()
	testkit.Bubble(t, func(t *testing.T, a *spstest.Appliance, c *sps.Client) {
		a.Inject(spstest.Fault{Path: "upload/firmware", CutAfter: true})
		a.Inject(spstest.Fault{Path: "firmware/slots", Skip: 2, Times: -1, Status: 500})
		report, err := c.Firmware.Upgrade(t.Context(), sps.FromImage(spstest.Image("8.1.0", imageSize), imageSize))
		var stopped *sps.FirmwareUpgradeError
		if !errors.As(err, &stopped) || !strings.Contains(stopped.Left, "not known") || report.SlotKey != "" {
			t.Errorf("report %+v, error %v", report, err)
		}
	})
}
