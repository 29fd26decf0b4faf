package spstest_test

import (
	"bufio"
	"bytes"
	"context"
	"crypto/sha256"
	"crypto/tls"
	"crypto/x509"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"mime/multipart"
	"net/http"
	"net/http/httptest"
	"runtime"
	"strings"
	"testing"
	"testing/iotest"

	"github.com/google/go-cmp/cmp"

	"github.com/go-sps/sps/spstest"
)

func imageReader(version string, size int64) *io.SectionReader {
	return io.NewSectionReader(spstest.Image(version, size), 0, size)
}

// upload is the body of an upload with its type and length.
type upload struct {
	body   io.Reader
	kind   string
	length int64
}

func rawUpload(version string, size int64) upload {
	return upload{imageReader(version, size), "application/octet-stream", size}
}

// formUpload returns an upload as a form. If end is false, the form lacks its closing
// boundary.
func formUpload(t testing.TB, field, file, version string, size int64, end bool) upload {
	t.Helper()
	var b bytes.Buffer
	form := multipart.NewWriter(&b)
	if err := form.WriteField("comment", "first"); err != nil {
		t.Fatal(err)
	}
	var err error
	if file == "" {
		_, err = form.CreateFormField(field)
	} else {
		_, err = form.CreateFormFile(field, file)
	}
	if err != nil {
		t.Fatal(err)
	}
	head := b.String()
	b.Reset()
	if err := form.Close(); err != nil {
		t.Fatal(err)
	}
	tail := b.String()
	if !end {
		tail = ""
	}
	return upload{io.MultiReader(strings.NewReader(head), imageReader(version, size), strings.NewReader(tail)),
		form.FormDataContentType(), int64(len(head)) + size + int64(len(tail))}
}

// upload sends an upload. With a length of -1, the request has no Content-Length.
func (c *client) upload(u upload) (response, error) {
	c.t.Helper()
	req, err := http.NewRequestWithContext(c.t.Context(), "POST", c.base+"/api/upload/firmware", u.body)
	if err != nil {
		c.t.Fatal(err)
	}
	req.ContentLength = u.length
	req.Header.Set("Cookie", "session_id="+c.cookie)
	if u.kind != "" {
		req.Header.Set("Content-Type", u.kind)
	}
	resp, err := c.transport.RoundTrip(req)
	if err != nil {
		return response{}, err
	}
	defer resp.Body.Close()
	raw, err := io.ReadAll(resp.Body)
	if err != nil {
		c.t.Fatal(err)
	}
	r := response{status: resp.StatusCode, header: resp.Header, raw: string(raw)}
	if strings.HasPrefix(resp.Header.Get("Content-Type"), "application/json") {
		r.body, _ = fromJSON(c.t, r.raw).(map[string]any)
	}
	return r, nil
}

func TestUpload(t *testing.T) {
	t.Parallel()
	const size = 100_000 // larger than the part that the appliance stores
	for _, test := range []struct {
		name, variant string
		upload        func() upload
		form          string
		status        int
		after         string
		key           string
	}{
		{"multipart", "", func() upload { return formUpload(t, "firmware", "sps.iso", "8.1.0", size, true) }, "multipart", 200, "false", `"3"`},
		{"multipart labelled as JSON", "upload-labelled-json=accepted", func() upload {
			u := formUpload(t, "firmware", "sps.iso", "8.1.0", size, true)
			u.kind = "application/json"
			return u
		}, "multipart", 200, "false", `"3"`},
		{"raw labelled as JSON", "upload-labelled-json=accepted", func() upload { u := rawUpload("8.1.0", size); u.kind = "application/json"; return u }, "raw", 200, "false", `"3"`},
		{"raw", "", func() upload { return rawUpload("8.1.0", size) }, "raw", 200, "false", `"3"`},
		{"raw, other type", "", func() upload { u := rawUpload("8.1.0", size); u.kind = "application/x-iso9660-image"; return u }, "raw", 200, "false", `"3"`},
		{"raw, no type", "", func() upload { u := rawUpload("8.1.0", size); u.kind = ""; return u }, "raw", 200, "false", `"3"`},
		{"created", "upload-status=201", func() upload { return rawUpload("8.1.0", size) }, "raw", 201, "false", `"3"`},
		{"after reboot", "upload-after-reboot=true", func() upload { return rawUpload("8.1.0", size) }, "raw", 200, "true", `"3"`},
		{"number", "slot-key=number", func() upload { return rawUpload("8.1.0", size) }, "raw", 200, "false", `3`},
	} {
		t.Run(test.name, func(t *testing.T) {
			t.Parallel()
			var opts []spstest.Option
			if test.variant != "" {
				opts = variants(t, test.variant)
			}
			a := spstest.NewServer(t, opts...)
			for _, c := range []*client{overTLS(t, a), inProcess(t, a)} {
				a.SetSlot(spstest.Slot{Key: "3"})
				c.logIn("admin", "a")
				a.ResetJournal()
				u := test.upload()
				r, err := c.upload(u)
				if err != nil || r.status != test.status {
					t.Fatalf("status %d, error %v: %s", r.status, err, r.raw)
				}
				wantJSON(t, `{"body":{"after_reboot":`+test.after+`,"current":false,"upgrade_news":null,"upgrade_notes":"Upgrade notes of 8.1.0","version":"8.1.0"},
					"key":`+test.key+`,"meta":{"href":"/api/upload/firmware","slot":"/api/firmware/slots/3","test":"/api/firmware/test",
					"upgrade":"/api/firmware/upgrade","number_of_empty_slots":1}}`, r.raw)
				slot := spstest.Slot{Key: "3", Version: "8.1.0", UpgradeNotes: "Upgrade notes of 8.1.0"}
				if diff := cmp.Diff(slot, a.Slots()[2]); diff != "" {
					t.Errorf("slot (-want +got):\n%s", diff)
				}
				entry := a.Journal()[0]
				if entry.Body != nil || entry.Size != u.length || !entry.Executed {
					t.Errorf("journal: body of %d, size %d, executed %t: want no body and %d", len(entry.Body), entry.Size, entry.Executed, u.length)
				}
			}
			one := spstest.Upload{Version: "8.1.0", SHA256: spstest.ImageSHA256("8.1.0", size), Size: size, Form: test.form, Slot: "3"}
			if diff := cmp.Diff([]spstest.Upload{one, one}, a.Uploads()); diff != "" {
				t.Errorf("uploads (-want +got):\n%s", diff)
			}
		})
	}
}

func TestUploadRefused(t *testing.T) {
	t.Parallel()
	missing := map[string]any{"missing_paths": []any{"firmware"}}
	text := func(kind, body string) upload { return upload{strings.NewReader(body), kind, int64(len(body))} }
	json := func(u upload) upload { u.kind = "application/json"; return u }
	for _, test := range []struct {
		name, variant string
		full          bool
		upload        upload
		status        int
		kind          string
		details       any
	}{
		{"other field", "", false, formUpload(t, "file", "sps.iso", "8.1.0", 100, true), 400, "IncompleteRequestBodyError", missing},
		{"no file", "", false, formUpload(t, "firmware", "", "8.1.0", 100, true), 400, "IncompleteRequestBodyError", missing},
		{"nothing", "", false, text("", ""), 400, "IncompleteRequestBodyError", missing},
		{"other status", "firmware-incomplete-status=422", false, text("", ""), 422, "IncompleteRequestBodyError", missing},
		{"no closing boundary", "", false, formUpload(t, "firmware", "sps.iso", "8.1.0", 100_000, false), 400, "InvalidRequestBody", nil},
		{"no boundary", "", false, text("multipart/form-data", "--"), 400, "InvalidRequestBody", nil},
		{"no form", "", false, text("multipart/form-data; boundary=x", "{}"), 400, "InvalidRequestBody", nil},
		{"no image", "", false, text("application/octet-stream", "{}"), 400, "InvalidFirmwareImage", nil},
		{"labelled as JSON", "", false, json(formUpload(t, "firmware", "sps.iso", "8.1.0", 100, true)), 400, "InvalidFirmwareImage", nil},
		{"labelled as JSON, other field", "upload-labelled-json=accepted", false, json(formUpload(t, "file", "sps.iso", "8.1.0", 100, true)), 400, "IncompleteRequestBodyError", missing},
		{"JSON", "upload-labelled-json=accepted", false, text("application/json", "{}"), 400, "InvalidFirmwareImage", nil},
		{"a boundary and no more", "upload-labelled-json=accepted", false, text("application/json", "--x"), 400, "InvalidFirmwareImage", nil},
		{"a form without a boundary", "upload-labelled-json=accepted", false, text("application/json", "--\r\n"), 400, "InvalidFirmwareImage", nil},
		{"cut image", "", false, rawUpload("8.1.0", 15), 400, "InvalidFirmwareImage", nil},
		{"no version", "", false, rawUpload("", 100), 400, "InvalidFirmwareImage", nil},
		{"strange version", "", false, rawUpload("8.1 0", 100), 400, "InvalidFirmwareImage", nil},
		{"no image, other error", "upload-broken-image=400:SyntacticError", false, text("", "{}"), 400, "SyntacticError", nil},
		{"full", "", true, rawUpload("8.1.0", 100), 409, "NoEmptySlot", nil},
		{"full, other error", "upload-no-slot=403:ForbiddenActionError", true, rawUpload("8.1.0", 100), 403, "ForbiddenActionError", nil},
	} {
		t.Run(test.name, func(t *testing.T) {
			t.Parallel()
			var opts []spstest.Option
			if test.variant != "" {
				opts = variants(t, test.variant)
			}
			if test.full {
				opts = append(opts, spstest.WithSlots(spstest.Slot{Key: "1", Version: "8.0.0", Current: true}))
			}
			a := newInProcess(t, opts...)
			before := a.Slots()
			r, err := inProcess(t, a).logIn("admin", "a").upload(test.upload)
			if err != nil {
				t.Fatal(err)
			}
			wantError(t, r, test.status, test.kind, test.details)
			if diff := cmp.Diff(before, a.Slots()); diff != "" || a.Uploads() != nil {
				t.Errorf("uploads %v; slots (-want +got):\n%s", a.Uploads(), diff)
			}
		})
	}
}

func TestUploadNeedsALengthAndASession(t *testing.T) {
	t.Parallel()
	a := spstest.NewServer(t, spstest.WithUser("reader", "r", spstest.ReadOnly))
	for _, c := range []*client{overTLS(t, a), inProcess(t, a)} {
		for _, test := range []struct {
			name   string
			length int64
			status int
		}{{"", 1000, 401}, {"reader", 1000, 403}, {"admin", -1, 411}} {
			c.cookie = ""
			switch test.name {
			case "reader":
				c.logIn("reader", "r")
			case "admin":
				c.logIn("admin", "a")
			}
			u := rawUpload("8.1.0", 1000)
			u.body, u.length = io.NopCloser(u.body), test.length // hides the length of the body from net/http
			r, err := c.upload(u)
			if err != nil || r.status != test.status {
				t.Errorf("%q: status %d, error %v, want %d", test.name, r.status, err, test.status)
			}
		}
	}
	if a.Uploads() != nil {
		t.Errorf("uploads %v", a.Uploads())
	}
}

func TestUploadCut(t *testing.T) {
	t.Parallel()
	mine := errors.New("my disk is broken")
	ctx, cancel := context.WithCancel(t.Context())
	defer cancel()
	for _, test := range []struct {
		name string
		body io.Reader
		want error
	}{
		{"shorter than stated", imageReader("8.1.0", 50_000), io.ErrUnexpectedEOF},
		{"longer than stated", imageReader("8.1.0", 150_000), nil},
		{"its own error", io.MultiReader(imageReader("8.1.0", 50_000), iotest.ErrReader(mine)), mine},
		{"cancelled", &cancelling{imageReader("8.1.0", 100_000), cancel}, context.Canceled},
	} {
		a := newInProcess(t)
		c := inProcess(t, a).logIn("admin", "a")
		a.ResetJournal()
		body := &watched{Reader: test.body}
		req, err := http.NewRequestWithContext(ctx, "POST", c.base+"/api/upload/firmware", body)
		if err != nil {
			t.Fatal(err)
		}
		req.ContentLength = 100_000
		req.Header.Set("Cookie", "session_id="+c.cookie)
		if _, err := a.RoundTrip(req); err == nil || test.want != nil && !errors.Is(err, test.want) {
			t.Errorf("%s: error %v, want %v", test.name, err, test.want)
		}
		journal := a.Journal()
		if len(journal) != 1 || journal[0].Executed || journal[0].Status != 0 || a.Uploads() != nil || a.Slots()[2].Version != "" || !body.closed {
			t.Errorf("%s: journal %+v, uploads %v, closed %t", test.name, journal, a.Uploads(), body.closed)
		}
	}
}

// cancelling is a reader that cancels a context after its first read.
type cancelling struct {
	io.Reader
	cancel func()
}

func (c *cancelling) Read(p []byte) (int, error) {
	defer c.cancel()
	return c.Reader.Read(p[:1000])
}

func TestUploadClientDisconnects(t *testing.T) {
	t.Parallel()
	a := spstest.NewServer(t)
	c := overTLS(t, a).logIn("admin", "a")
	a.ResetJournal()
	pool := x509.NewCertPool()
	pool.AppendCertsFromPEM(a.CA())
	conn, err := tls.Dial("tcp", a.Addr(), &tls.Config{RootCAs: pool})
	if err != nil {
		t.Fatal(err)
	}
	fmt.Fprintf(conn, "POST /api/upload/firmware HTTP/1.1\r\nHost: x\r\nCookie: session_id=%s\r\nContent-Length: 100000\r\n\r\nSPS-FIRMWARE 8.1.0\n", c.cookie)
	defer conn.Close()
	if err := conn.CloseWrite(); err != nil {
		t.Fatal(err)
	}
	if answer, _ := io.ReadAll(conn); len(answer) > 0 { // reads until the appliance closes the connection
		t.Errorf("unexpected response %q", answer)
	}
	journal := a.Journal()
	if diff := cmp.Diff([]any{int64(19), false, 0}, []any{journal[0].Size, journal[0].Executed, journal[0].Status}); diff != "" {
		t.Errorf("size, executed, status (-want +got):\n%s", diff)
	}
	if a.Uploads() != nil || a.Slots()[2].Version != "" {
		t.Errorf("uploads %v", a.Uploads())
	}
}

func TestUploadFaults(t *testing.T) {
	t.Parallel()
	for _, test := range []struct {
		fault  spstest.Fault
		status int // 0 means that there is no response
		stored bool
	}{
		{spstest.Fault{Refuse: true}, 0, false},
		{spstest.Fault{CutBefore: true}, 0, false},
		{spstest.Fault{CutAfter: true}, 0, true},
		{spstest.Fault{Status: 502}, 502, false},
		{spstest.Fault{Status: 502, Execute: true}, 502, true},
		{spstest.Fault{ExpireSession: true}, 401, false},
	} {
		a := spstest.NewServer(t)
		for _, c := range []*client{overTLS(t, a), inProcess(t, a)} {
			a.SetSlot(spstest.Slot{Key: "3"})
			c.logIn("admin", "a")
			a.Inject(test.fault)
			r, err := c.upload(rawUpload("8.1.0", 1<<20))
			if r.status != test.status || (err != nil) != (test.status == 0) {
				t.Errorf("%+v: status %d, error %v", test.fault, r.status, err)
			}
			if stored := a.Slots()[2].Version != ""; stored != test.stored {
				t.Errorf("%+v: stored %t, want %t", test.fault, stored, test.stored)
			}
		}
	}
}

// TestExpect checks the responses to requests with an Expect header, as curl needs them.
// curl sends this header without being told to if a body has 1 MiB or more, and repeats
// the request without it if the response keeps the connection open. If a user told curl
// to send the header, curl would repeat the request with it again and again, so for
// shorter bodies the response must close the connection.
func TestExpect(t *testing.T) {
	t.Parallel()
	for name, test := range map[string]struct {
		method, path string
		length       int64
		connection   string
	}{
		"a small body":            {"POST", "/api/transaction", 2, "close"},
		"a small upload":          {"POST", "/api/upload/firmware", 100, "close"},
		"one below 1 MiB":         {"POST", "/api/upload/firmware", 1<<20 - 1, "close"},
		"an image":                {"POST", "/api/upload/firmware", 1 << 20, ""},
		"a big object":            {"PUT", "/api/configuration/aaa/acls", 2 << 20, ""},
		"an image without length": {"POST", "/api/upload/firmware", -1, ""},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			a := spstest.NewServer(t)
			conn, err := tls.Dial("tcp", a.Addr(), &tls.Config{InsecureSkipVerify: true})
			if err != nil {
				t.Fatal(err)
			}
			defer conn.Close()
			length := fmt.Sprintf("Content-Length: %d", test.length)
			if test.length < 0 {
				length = "Transfer-Encoding: chunked"
			}
			fmt.Fprintf(conn, "%s %s HTTP/1.1\r\nHost: sps\r\nExpect: 100-continue\r\n%s\r\n\r\n", test.method, test.path, length)
			raw, err := io.ReadAll(conn) // reads to the end, to check that there is only one response
			if err != nil {
				t.Fatal(err)
			}
			r, err := http.ReadResponse(bufio.NewReader(bytes.NewReader(raw)), nil)
			if err != nil {
				t.Fatal(err)
			}
			defer r.Body.Close()
			if got := map[bool]string{true: "close"}[r.Close]; r.StatusCode != http.StatusExpectationFailed || got != test.connection {
				t.Errorf("status %d, connection %q, want 417 and %q:\n%s", r.StatusCode, got, test.connection, raw)
			}
			if journal := a.Journal(); len(journal) != 1 || journal[0].Size != 0 {
				t.Errorf("%d requests in the journal, want one request without a body", len(journal))
			}
		})
	}
}

func TestUploadThroughAHandler(t *testing.T) {
	t.Parallel()
	a := newInProcess(t)
	c := inProcess(t, a).logIn("admin", "a")
	r := httptest.NewRequestWithContext(t.Context(), "POST", "/api/upload/firmware", imageReader("8.1.0", 1000))
	r.ContentLength = 1000
	r.Header.Set("Cookie", "session_id="+c.cookie)
	w := httptest.NewRecorder()
	a.Handler().ServeHTTP(w, r)
	if w.Code != 200 || len(a.Uploads()) != 1 {
		t.Errorf("status %d, uploads %v", w.Code, a.Uploads())
	}
}

func TestImage(t *testing.T) {
	t.Parallel()
	const size = 20_000
	whole, err := io.ReadAll(imageReader("8.1.0", size))
	if err != nil || len(whole) != size || !bytes.HasPrefix(whole, []byte("SPS-FIRMWARE 8.1.0\n")) {
		t.Fatalf("%d bytes, error %v, begins %q", len(whole), err, whole[:20])
	}
	sum := sha256.Sum256(whole)
	if diff := cmp.Diff(hex.EncodeToString(sum[:]), spstest.ImageSHA256("8.1.0", size)); diff != "" {
		t.Errorf("SHA-256 (-want +got):\n%s", diff)
	}
	image := spstest.Image("8.1.0", size)
	for _, off := range []int64{0, 5, 18, 19, 20, 4113, 4114, 4115, 4118, 12_000, size - 10} {
		p := make([]byte, 5000)
		n, err := image.ReadAt(p, off)
		if (err == io.EOF) != (off+5000 > size) || err != nil && err != io.EOF || !bytes.Equal(p[:n], whole[off:min(off+5000, size)]) {
			t.Errorf("offset %d: %d bytes, error %v", off, n, err)
		}
	}
	for off, want := range map[int64]string{size: "EOF", size + 9: "EOF", -1: "spstest: image read at a negative offset"} {
		if n, err := image.ReadAt(make([]byte, 1), off); n != 0 || err == nil || err.Error() != want {
			t.Errorf("offset %d: %d bytes, error %v", off, n, err)
		}
	}
	for i := 19; i+2*4096 < size; i += 4096 {
		if bytes.Equal(whole[i:i+4096], whole[i+4096:i+2*4096]) {
			t.Errorf("two blocks at %d are the same", i)
		}
	}
}

// TestUploadIsNotStored checks that an upload of 256 MiB allocates little memory. It is not
// parallel, because it counts the allocations of the process.
func TestUploadIsNotStored(t *testing.T) {
	const size = 256 << 20
	a := spstest.NewServer(t, spstest.WithSlots(
		spstest.Slot{Key: "1"}, spstest.Slot{Key: "2"}, spstest.Slot{Key: "3"}, spstest.Slot{Key: "4"}))
	for mode, c := range map[string]*client{"TLS": overTLS(t, a), "in process": inProcess(t, a)} {
		c.logIn("admin", "a")
		for _, u := range []upload{rawUpload("8.1.0", size), formUpload(t, "firmware", "sps.iso", "8.1.0", size, true)} {
			var before, after runtime.MemStats
			runtime.ReadMemStats(&before)
			r, err := c.upload(u)
			runtime.ReadMemStats(&after)
			if err != nil || r.status != 200 {
				t.Fatalf("%s: status %d, error %v: %s", mode, r.status, err, r.raw)
			}
			if allocated := after.TotalAlloc - before.TotalAlloc; allocated > mostAllocated {
				t.Errorf("%s, %s: %d bytes allocated, want at most %d", mode, u.kind, allocated, mostAllocated)
			}
		}
	}
	if len(a.Uploads()) != 4 || a.Uploads()[3].Size != size {
		t.Errorf("uploads %v", a.Uploads())
	}
}
