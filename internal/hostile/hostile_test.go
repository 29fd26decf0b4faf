// Package hostile tests the client with responses that are meant to harm it, and under load. A
// call must not hang or leak a secret, and memory, allocations and goroutines must not grow.
package hostile

import (
	"bufio"
	"bytes"
	"compress/gzip"
	"context"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/json"
	"encoding/pem"
	"errors"
	"fmt"
	"io"
	"math/big"
	"net"
	"net/http"
	urlpath "path"
	"runtime"
	"slices"
	"strconv"
	"strings"
	"sync"
	"syscall"
	"testing"
	"testing/synctest"
	"time"
	"unicode"

	"github.com/go-sps/sps"
	"github.com/go-sps/sps/internal/testkit"
	"github.com/go-sps/sps/spstest"
)

func TestMain(m *testing.M) { testkit.RunTests(m) }

// hostileScript answers one request on a connection. If the request body has 1 MiB or more, the
// script is called before the body was read.
type hostileScript func(w *hostileConn, r *http.Request)

// hostileAppliance is a TLS server on in-memory pipes that answers each request with a script.
// It works inside and outside of a synctest bubble. It records each address that the client
// dials, and accepts connections to hostileHost only.
type hostileAppliance struct {
	script  hostileScript
	rawConn func(net.Conn) // if not nil, handles each connection instead of the TLS server

	mu       sync.Mutex
	dialled  []string
	received []*http.Request
	conns    sync.WaitGroup
}

const hostileHost, hostileID = "appliance.test", "hostile-session"

// hostileConn is the appliance's end of a connection. If the client has closed the connection,
// Write ends the goroutine, so that scripts may write without end.
type hostileConn struct {
	*tls.Conn
	pipe net.Conn
}

func (c *hostileConn) Write(p []byte) (int, error) {
	n, err := c.Conn.Write(p)
	if err != nil {
		runtime.Goexit()
	}
	return n, nil
}

func (c *hostileConn) send(texts ...string) {
	for _, text := range texts {
		io.WriteString(c, text)
	}
}

// cut closes the connection without sending the TLS alert close_notify, and ends the goroutine.
func (c *hostileConn) cut() {
	c.pipe.Close()
	runtime.Goexit()
}

// hostileCertificate returns a certificate that is also valid at the simulated times of a
// synctest bubble.
var hostileCertificate = sync.OnceValue(func() tls.Certificate {
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		panic(err)
	}
	template := &x509.Certificate{
		SerialNumber: big.NewInt(1), Subject: pkix.Name{CommonName: "hostile"}, DNSNames: []string{hostileHost}, IPAddresses: []net.IP{net.IPv4(127, 0, 0, 1)},
		NotBefore: time.Unix(0, 0), NotAfter: time.Date(2100, 1, 1, 0, 0, 0, 0, time.UTC),
		IsCA: true, BasicConstraintsValid: true, KeyUsage: x509.KeyUsageDigitalSignature | x509.KeyUsageCertSign,
	}
	der, err := x509.CreateCertificate(rand.Reader, template, template, key.Public(), key)
	if err != nil {
		panic(err)
	}
	return tls.Certificate{Certificate: [][]byte{der}, PrivateKey: key}
})

func hostileCA() []byte {
	return pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: hostileCertificate().Certificate[0]})
}

func (h *hostileAppliance) dial(_ context.Context, _, address string) (net.Conn, error) {
	h.mu.Lock()
	defer h.mu.Unlock()
	h.dialled = append(h.dialled, address)
	if address != hostileHost+":443" {
		return nil, &net.OpError{Op: "dial", Err: syscall.ECONNREFUSED}
	}
	client, server := net.Pipe()
	h.conns.Go(func() { h.serve(server) })
	return client, nil
}

func (h *hostileAppliance) serve(pipe net.Conn) {
	defer pipe.Close()
	if h.rawConn != nil {
		h.rawConn(pipe)
		return
	}
	conn := &hostileConn{tls.Server(h.buffered(pipe), &tls.Config{Certificates: []tls.Certificate{hostileCertificate()}}), pipe}
	reader := bufio.NewReader(conn.Conn)
	for {
		r, err := http.ReadRequest(reader)
		if err != nil {
			return
		}
		h.mu.Lock()
		h.received = append(h.received, r)
		h.mu.Unlock()
		if r.ContentLength < 1<<20 {
			body, _ := io.ReadAll(r.Body)
			r.Body = io.NopCloser(bytes.NewReader(body))
		}
		h.script(conn, r)
	}
}

// hostileBuffer stores the bytes that the client sends until the appliance reads them, as a
// network does. Without the buffer, the client could not close a connection that the appliance
// does not read, because TLS first writes an alert.
type hostileBuffer struct {
	net.Conn
	pieces chan []byte
	rest   []byte
}

func (h *hostileAppliance) buffered(pipe net.Conn) net.Conn {
	b := &hostileBuffer{Conn: pipe, pieces: make(chan []byte, 1<<12)}
	h.conns.Go(func() {
		defer close(b.pieces)
		for {
			piece := make([]byte, 16<<10)
			n, err := pipe.Read(piece)
			if err != nil {
				return
			}
			b.pieces <- piece[:n]
		}
	})
	return b
}

func (b *hostileBuffer) Read(p []byte) (int, error) {
	if len(b.rest) == 0 {
		piece, ok := <-b.pieces
		if !ok {
			return 0, io.EOF
		}
		b.rest = piece
	}
	n := copy(p, b.rest)
	b.rest = b.rest[n:]
	return n, nil
}

// requests returns the requests since its last call.
func (h *hostileAppliance) requests() []*http.Request {
	h.mu.Lock()
	defer h.mu.Unlock()
	received := h.received
	h.received = nil
	return received
}

// client returns a client with an existing session. Unless an option changes it, the client
// makes one attempt for each call.
func (h *hostileAppliance) client(t *testing.T, options ...sps.Option) *sps.Client {
	t.Helper()
	c, err := sps.Connect(t.Context(), hostileHost, sps.ExistingSession(sps.NewSecretString(hostileID)), append(h.options(), options...)...)
	if err != nil {
		t.Fatal(err)
	}
	return c
}

func (h *hostileAppliance) options() []sps.Option {
	return []sps.Option{
		sps.WithCABundle(hostileCA()), sps.WithRetry(sps.RetryPolicy{Attempts: 1}), sps.WithTimeouts(sps.Timeouts{Outcome: 100 * time.Millisecond}),
		sps.WithTransport(func(base http.RoundTripper) http.RoundTripper {
			base.(*http.Transport).DialContext = h.dial
			return base
		}),
	}
}

// done closes the client. It checks that the client dialled no other address, that its requests
// have the expected form, and that the text of err is one readable line.
func (h *hostileAppliance) done(t *testing.T, c *sps.Client, err error) {
	t.Helper()
	c.Close(context.Background())
	h.conns.Wait()
	h.mu.Lock()
	defer h.mu.Unlock()
	for _, address := range h.dialled {
		if address != hostileHost+":443" {
			t.Errorf("the client dialled %s", address)
		}
	}
	for _, r := range h.received {
		hostileRequest(t, r)
	}
	clearLine(t, err)
}

// clearLine checks that the text of an error is a single line of limited length with the usual
// prefix.
func clearLine(t *testing.T, err error) {
	t.Helper()
	if err == nil {
		return
	}
	text := err.Error()
	if len(text) > 5000 || !strings.HasPrefix(text, "sps: ") || strings.ContainsFunc(text, func(r rune) bool { return unicode.IsControl(r) }) {
		t.Errorf("an error text of %d bytes that is too long or not one readable line: %.300q", len(text), text)
	}
}

// hostileRequest checks that a request has only headers and a path that the client itself would
// send, whatever input the caller passed.
func hostileRequest(t *testing.T, r *http.Request) {
	t.Helper()
	known := []string{"Accept", "Accept-Encoding", "User-Agent", "Cookie", "Content-Type", "Content-Length", "Authorization", "X-Given"}
	for name := range r.Header {
		if !slices.Contains(known, name) {
			t.Errorf("%s %s has the header %s", r.Method, r.RequestURI, name)
		}
	}
	if r.Host != hostileHost || len(r.Header["Cookie"]) > 1 || r.Header.Get("Authorization") != "" && r.URL.Path != "/api/authentication" {
		t.Errorf("%s %s went to %q with the headers %v", r.Method, r.RequestURI, r.Host, r.Header)
	}
	path, ok := strings.CutPrefix(r.URL.Path, "/api/")
	if !ok || strings.ContainsAny(path, "\\\r\n\x00") {
		t.Errorf("%s %q is outside of /api/", r.Method, r.RequestURI)
	}
	for segment := range strings.SplitSeq(path, "/") {
		if segment == "" || segment == "." || segment == ".." {
			t.Errorf("%s %q has the segment %q", r.Method, r.RequestURI, segment)
		}
	}
}

// says returns a script that returns the same response to every request, with the right
// Content-Length.
func says(status int, header, body string) hostileScript {
	text := fmt.Sprintf("HTTP/1.1 %d Whatever\r\nContent-Length: %d\r\n%s\r\n%s", status, len(body), header, body)
	return func(w *hostileConn, _ *http.Request) { w.send(text) }
}

// transacts returns a script that lets a transaction succeed. object is the response to each
// read of an object, and changes is the list of changes.
func transacts(object, changes string) hostileScript {
	object = strings.Replace(object, `{"body":{`, `{"body":{"new":0,`, 1) // hostileUpdate sets this member
	return func(w *hostileConn, r *http.Request) {
		body := "{}"
		switch {
		case r.URL.Path == "/api/transaction/changes":
			body = changes
		case r.URL.Path == "/api/transaction":
			body = `{"body":{"status":"closed"}}`
		case r.Method == "GET":
			body = object
		}
		says(200, "", body)(w, r)
	}
}

// listed returns a list of n elements as JSON, between before and after.
func listed(before string, n int, element func(int) string, after string) string {
	var b strings.Builder
	b.WriteString(before)
	for i := range n {
		if i > 0 {
			b.WriteByte(',')
		}
		b.WriteString(element(i))
	}
	b.WriteString(after)
	return b.String()
}

func always(text string) func(int) string { return func(int) string { return text } }

// endlessly returns a script that sends head, and then repeats text in pieces of 32 KiB without
// end.
func endlessly(head, text string) hostileScript {
	piece := strings.Repeat(text, max(1, 32<<10/len(text)))
	return func(w *hostileConn, _ *http.Request) {
		w.send(head)
		for {
			w.send(piece)
		}
	}
}

type hostileCall func(context.Context, *sps.Client) error

// The following functions are the calls that the tests of this file make with hostile
// responses.
func hostileSlots(ctx context.Context, c *sps.Client) error {
	_, err := c.Firmware.Slots.List(ctx)
	return err
}

func hostileGet(ctx context.Context, c *sps.Client) error {
	_, err := c.Invoke(ctx, "GET", "configuration/x", nil)
	return err
}

func hostileObject(ctx context.Context, c *sps.Client) error {
	_, err := sps.NewSingleton[any](c, "configuration/x").Get(ctx)
	return err
}

func hostilePost(ctx context.Context, c *sps.Client) error {
	_, err := c.Invoke(ctx, "POST", "firmware/x", map[string]string{"a": "b"})
	return err
}

func hostileDownload(ctx context.Context, c *sps.Client) error {
	_, err := c.Download(ctx, "firmware/x", io.Discard)
	return err
}

func hostileProducts(ctx context.Context, c *sps.Client) error {
	_, err := c.IntegratedProducts(ctx)
	return err
}

func hostileList(ctx context.Context, c *sps.Client) error {
	_, err := sps.NewCollection[any](c, "x").List(ctx)
	return err
}

func hostileWalk(ctx context.Context, c *sps.Client) error {
	for node, err := range c.Walk(ctx, "configuration") {
		if err != nil {
			return err
		}
		if node.Err != nil {
			return node.Err
		}
	}
	return nil
}

// hostileForest walks over the configuration, and continues after nodes that cannot be read.
func hostileForest(ctx context.Context, c *sps.Client) error {
	for _, err := range c.Walk(ctx, "configuration") {
		if err != nil {
			return err
		}
	}
	return nil
}

// hostileUpdate updates an object of any form: it sets one member.
func hostileUpdate(ctx context.Context, c *sps.Client) error {
	return c.Transaction(ctx, func(ctx context.Context, tx *sps.Transaction) error {
		return sps.NewSingleton[any](c, "configuration/x").In(tx).Update(ctx, func(v *any) error {
			if object, ok := (*v).(map[string]any); ok {
				object["new"] = 1
			}
			return nil
		})
	})
}

func hostileStore(ctx context.Context, c *sps.Client) error {
	return c.Transaction(ctx, func(ctx context.Context, tx *sps.Transaction) error {
		return tx.TrustStores.Update(ctx, "7", func(s *sps.TrustStore) error {
			s.RevocationCheck = sps.RevocationFull
			return nil
		})
	})
}

// errNone means that a call must succeed.
var errNone = errors.New("no error")

// TestHostileMemory checks that each call ends within limits of time and memory. The limits
// include what the appliance allocates itself, which is little. The client reads at most 32 MiB
// of a response. It allocates about five times as much for a response without a length, and
// more for JSON with many small values.
func TestHostileMemory(t *testing.T) {
	if testkit.Race {
		t.Skip("the race detector multiplies memory and time")
	}
	const chunked = "HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nTransfer-Encoding: chunked\r\n\r\n"
	chunk := "8000\r\n" + strings.Repeat("a", 0x8000) + "\r\n"
	var bomb bytes.Buffer
	zip := gzip.NewWriter(&bomb)
	for range 64 {
		zip.Write(make([]byte, 1<<20))
	}
	zip.Close()
	nest := func(open, inner, end string, n int) string {
		return strings.Repeat(open, n) + inner + strings.Repeat(end, n)
	}
	deep := nest("[", "1", "]", 100_000)
	deepObject := nest(`{"a":`, "1", "}", 100_000)
	just := nest(`{"meta":`, "1", "}", 9_000) // the JSON library accepts a depth of 10,000
	text := strings.Repeat("a", 4<<20)
	const n = 100_000 // the length of most lists; some names of subtests contain it
	number := func(i int) string { return fmt.Sprint(i) }
	store := func(urls func(int) string) string {
		return listed(`{"key":"7","body":{"name":"n","authorities":[],"revocation_check":"leaf","trust_store_type":"custom","crl_urls":[`, n, urls, `]}}`)
	}
	for _, test := range []struct {
		name   string
		script hostileScript
		call   hostileCall
		want   error
		mib    uint64
	}{
		{"endless body", endlessly(chunked, chunk), hostileSlots, sps.ErrBadAnswer, 512},
		{"endless body without length", endlessly("HTTP/1.0 200 OK\r\n\r\n", " "), hostileSlots, sps.ErrBadAnswer, 512},
		{"endless body of a refusal", endlessly("HTTP/1.1 400 No\r\n\r\n", "a"), hostileSlots, sps.ErrBadAnswer, 512},
		{"endless body of a redirect", endlessly("HTTP/1.1 302 No\r\nLocation: https://evil.example/\r\n\r\n", "a"), hostileSlots, sps.ErrBadAnswer, 512},
		{"announced", endlessly("HTTP/1.1 200 OK\r\nContent-Length: 9000000000000000000\r\n\r\n", "a"), hostileSlots, sps.ErrBadAnswer, 8},
		{"endless page for a download", endlessly("HTTP/1.1 200 OK\r\nContent-Type: application/json\r\n\r\n", "a"), hostileDownload, sps.ErrBadAnswer, 512},
		{"endless page for a login", endlessly("HTTP/1.1 200 OK\r\nSet-Cookie: session_id=x\r\n\r\n", "a"), hostileLogin, sps.ErrBadAnswer, 512},
		{"endless header", endlessly("HTTP/1.1 200 OK\r\nX: ", "a"), hostileSlots, nil, 16},
		{"endless headers", endlessly("HTTP/1.1 200 OK\r\n", "X: a\r\n"), hostileSlots, nil, 64},
		{"endless status line", endlessly("HTTP/1.1 200 ", "a"), hostileSlots, nil, 16},
		{"endless chunk length", endlessly(chunked, "0"), hostileSlots, nil, 8},
		{"endless chunk extension", endlessly(chunked+"1;", "a"), hostileSlots, nil, 8},
		{"endless chunk extensions", endlessly(chunked, "1;"+strings.Repeat("a", 1000)+"\r\na\r\n"), hostileSlots, nil, 8},
		{"endless trailer", endlessly(chunked+"2\r\n{}\r\n0\r\n", "X: a\r\n"), hostileSlots, nil, 8},
		{"flood of 100 Continue", endlessly("", "HTTP/1.1 100 Continue\r\n\r\n"), hostileSlots, nil, 64},
		{"flood of 103 Early Hints", endlessly("", "HTTP/1.1 103 Early Hints\r\nLink: </>\r\n\r\n"), hostilePost, nil, 64},
		{"101 Switching Protocols", endlessly("HTTP/1.1 101 Switching\r\nConnection: Upgrade\r\nUpgrade: x\r\n\r\n", "a"), hostileSlots, sps.Status(101), 8},
		{"HTTP/2 status line", endlessly("HTTP/2.0 200 OK\r\n\r\n", "a"), hostileSlots, nil, 512},
		{"no HTTP", endlessly("SSH-2.0-OpenSSH_9.6\r\n", "a"), hostileSlots, nil, 16},
		{"gzip bomb", says(200, "Content-Encoding: gzip\r\n", bomb.String()), hostileSlots, sps.ErrBadAnswer, 8},
		{"gzip bomb as a refusal", says(403, "Content-Encoding: gzip\r\n", bomb.String()), hostileSlots, sps.Status(403), 8},
		{"gzip bomb with two encodings", says(200, "Content-Encoding: identity, GZIP\r\n", bomb.String()), hostileDownload, sps.ErrBadAnswer, 8},

		{"deep answer", says(200, "", deep), hostileGet, sps.ErrBadAnswer, 16},
		{"deep answer, truncated", says(200, "", deep[:100_000]), hostileGet, sps.ErrBadAnswer, 16},
		{"deep body", says(200, "", `{"body":`+deep+`}`), hostileGet, sps.ErrBadAnswer, 16},
		{"deep body of objects", says(200, "", `{"body":`+deepObject+`}`), hostileGet, sps.ErrBadAnswer, 32},
		{"deep item", says(200, "", `{"items":[{"key":"1","body":`+deep+`}]}`), hostileSlots, sps.ErrBadAnswer, 16},
		{"deep error", says(400, "", `{"error":`+deep+`}`), hostileSlots, sps.Status(400), 16},
		{"deep details", says(400, "", `{"error":{"type":"SemanticError","details":`+deep+`}}`), hostileSlots, sps.Status(400), 16},
		{"deep in an update", transacts(`{"body":{"a":`+deep+`}}`, `{}`), hostileUpdate, sps.ErrBadAnswer, 16},
		{"deepest JSON that is accepted", says(200, "", `{"body":`+just+`}`), hostileGet, errNone, 32},
		{"deepest JSON that is accepted, details", says(400, "", `{"error":{"type":"SemanticError","details":`+just+`}}`), hostileSlots, sps.SemanticError, 64},
		{"deepest JSON that is accepted, update", transacts(`{"body":`+just+`}`, `{}`), hostileUpdate, nil, 256},
		{"deepest JSON that is accepted, warnings", says(200, "", `{"items":[],"warning":`+nest("[", listed("", n, number, ""), "]", 9_000)+`}`), hostileProducts, errNone, 64},
		{"ninety levels in an update", transacts(`{"body":{"meta":1,"a":`+nest("[", listed("", n/10, number, ""), "]", 90)+`}}`, `{}`), hostileUpdate, errNone, 256},
		{"many warnings", says(200, "", listed(`{"items":[],"warning":[`, n, func(i int) string { return fmt.Sprintf(`"%d"`, i) }, `]}`)), hostileProducts, errNone, 64},

		{"100,000 items without bodies", says(200, "", listed(`{"items":[`, n, func(i int) string { return fmt.Sprintf(`{"key":"%d"}`, i) }, `]}`)), hostileSlots, nil, 64},
		{"100,000 items", says(200, "", listed(`{"items":[`, n, func(i int) string { return fmt.Sprintf(`{"key":"%d","body":{}}`, i) }, `]}`)), hostileList, errNone, 256},
		{"100,000 slots", says(200, "", listed(`{"items":[`, n, func(i int) string { return fmt.Sprintf(`{"key":"%d","body":{}}`, i) }, `]}`)), hostileSlots, sps.ErrBadAnswer, 64},
		{"a million numbers for items", says(200, "", listed(`{"items":[`, 10*n, always("1"), `]}`)), hostileList, sps.ErrBadAnswer, 192},
		{"100,000 members", says(200, "", listed(`{`, n, func(i int) string { return fmt.Sprintf(`"%d":1`, i) }, `}`)), hostileSlots, sps.ErrBadAnswer, 64},
		{"100,000 members to update", transacts(listed(`{"body":{"meta":0`, n, func(i int) string { return fmt.Sprintf(`%.*s"%d":1`, 1-min(i, 1), ",", i) }, `}}`), `{}`), hostileUpdate, errNone, 512},
		{"100,000 changes", transacts(listed(`{"body":{"meta":{},"a":[`, n/10, number, `]}}`),
			listed(`{"changes":[`, n, always(`{"type":"replace","path":"/api/configuration/x/a/1","old_value":1}`), `]}`)), hostileUpdate, context.DeadlineExceeded, 16 << 10},
		{"100,000 URLs", transacts(store(func(i int) string { return fmt.Sprintf(`"http://a/%d"`, i) }), `{}`), hostileStore, errNone, 512},
		{"100,000 wrong URLs", transacts(store(func(i int) string { return fmt.Sprintf(`"x%d"`, i) }), `{}`), hostileStore, errNone, 768},
		{"10,000 nodes", says(200, "", listed(`{"items":[`, n/10, always(`{"key":"k","health_status":{"cpu":1e400}}`), `]}`)), func(ctx context.Context, c *sps.Client) error {
			_, err := c.Cluster.Status(ctx)
			return err
		}, errNone, 2048},

		{"enormous message", says(400, "", `{"error":{"type":"SyntacticError","message":"`+text+`"}}`), hostileSlots, sps.SyntacticError, 128},
		{"enormous type", says(400, "", `{"error":{"type":"`+text+`"}}`), hostileSlots, sps.Status(400), 128},
		{"enormous error", says(400, "", `{"error":"`+text+`"}`), hostileSlots, sps.Status(400), 128},
		{"enormous details", says(400, "", `{"error":{"type":"FirmwareTestFailed","details":"`+text+`"}}`), hostileSlots, sps.FirmwareTestFailed, 128},
		{"enormous lines", says(400, "", `{"error":{"type":"X","message":"`+strings.Repeat(`\n\u202e`, 1<<20)+`"}}`), hostileSlots, sps.ErrorType("X"), 128},
		{"a million missing paths", says(400, "", listed(`{"error":{"type":"IncompleteRequestBodyError","details":{"missing_paths":[`, 10*n, always(`"a"`), `]}}}`)), hostileSlots, sps.IncompleteRequestBodyError, 128},
		{"a million faults", says(400, "", listed(`{"error":{"type":"SemanticError","details":[`, 10*n, always(`{"message":"a"}`), `]}}`)), hostileSlots, sps.SemanticError, 192},
		{"enormous content type", says(200, "Content-Type: text/"+strings.Repeat("a", 200_000)+"\r\n", "x"), hostileSlots, sps.ErrBadAnswer, 16},
		{"enormous Location", says(302, "Location: https://"+strings.Repeat("a", 200_000)+"/\r\n", "x"), hostileSlots, sps.Status(302), 16},
		{"enormous Retry-After", says(503, "Retry-After: "+strings.Repeat("9", 200_000)+"\r\n", "x"), hostileSlots, sps.Status(503), 16},
		{"enormous key", says(200, "", `{"items":[{"key":"`+text+`"}]}`), hostileList, sps.ErrBadAnswer, 128},
		{"enormous name of a member", says(200, "", `{"`+text+`":`), hostileSlots, sps.ErrBadAnswer, 128},
		{"enormous status of a job", says(200, "", `{"body":{"status":"`+text+`","message":"`+text+`"}}`), func(ctx context.Context, c *sps.Client) error {
			return c.Firmware.Fetch.Delete(ctx, "1")
		}, sps.ErrFetchRunning, 256},

		{"huge numbers", says(200, "", `{"items":[{"key":"1","body":{"version":`+strings.Repeat("9", 1<<20)+`,"current":1e999999999}}]}`), hostileSlots, sps.ErrBadAnswer, 32},
		{"huge numbers in meta", says(200, "", `{"items":[],"meta":{"remaining_seconds":1e308,"number_of_empty_slots":`+strings.Repeat("9", 1<<20)+`,"current_slot":-0}}`), hostileSlots, errNone, 64},
		{"huge key", says(200, "", `{"items":[{"key":`+strings.Repeat("9", 1<<20)+`}]}`), hostileList, sps.ErrBadAnswer, 32},
		{"huge health", says(200, "", `{"health_status":{"cpu":1e999999999,"load1":`+strings.Repeat("9", 1<<20)+`,"sessions_total":1e99,"firmware":{"tainted_files":{"core":1e40}}}}`), func(ctx context.Context, c *sps.Client) error {
			_, err := c.HealthStatus(ctx)
			return err
		}, errNone, 64},
		{"huge exit code", says(200, "", `{"body":{"test_summary":"x","exit_code":1e99999999}}`), func(ctx context.Context, c *sps.Client) error {
			_, err := c.Firmware.Test(ctx, "2")
			return err
		}, sps.FirmwareTestFailed, 8},
		{"invalid UTF-8", says(200, "", "{\"body\":{\"\xff\":\"\xc3\"}}"), hostileObject, sps.ErrBadAnswer, 8},
		{"invalid UTF-8 in an error", says(400, "", "{\"error\":{\"type\":\"SyntacticError\",\"message\":\"a\xff\xfe\"}}"), hostileSlots, sps.SyntacticError, 8},
		{"invalid UTF-8 in headers", says(302, "Location: https://\xff\xfe/\r\nContent-Type: \xff\r\n", "\xff"), hostileSlots, sps.Status(302), 8},
		{"a lone surrogate", says(400, "", `{"error":{"type":"\ud800","message":"\udfff"}}`), hostileSlots, sps.Status(400), 8},
		{"a lone surrogate in an update", transacts(`{"body":{"a":"\ud800"}}`, `{}`), hostileUpdate, sps.ErrBadAnswer, 8},
		{"4 MiB of invalid UTF-8", says(200, "", `{"body":"`+strings.Repeat("\xff", 4<<20)+`"}`), hostileObject, sps.ErrBadAnswer, 128},
	} {
		t.Run(test.name, func(t *testing.T) {
			h := &hostileAppliance{script: test.script}
			c := h.client(t)
			limit := 5 * time.Second // enough for a busy machine; most calls take milliseconds
			if test.want == context.DeadlineExceeded {
				limit = 500 * time.Millisecond
			}
			ctx, cancel := context.WithTimeout(t.Context(), limit)
			defer cancel()
			var before, after runtime.MemStats
			runtime.ReadMemStats(&before)
			start := time.Now()
			finished := make(chan error, 1)
			go func() { finished <- test.call(context.WithValue(ctx, hostileKey{}, h), c) }()
			var err error
			select {
			case err = <-finished:
			case <-time.After(limit + 5*time.Second):
				t.Fatalf("the call has not ended %v after the deadline", time.Since(start)-limit)
			}
			took := time.Since(start)
			runtime.ReadMemStats(&after)
			spent := (after.TotalAlloc - before.TotalAlloc) >> 20
			t.Logf("%v, %d MiB: %v", took.Round(time.Millisecond), spent, err)
			switch {
			case test.want == errNone && err != nil, test.want != errNone && err == nil:
				t.Errorf("error %v, want %v", err, test.want)
			case test.want != errNone && test.want != nil && !errors.Is(err, test.want):
				t.Errorf("error %v, want %v", err, test.want)
			}
			if ctx.Err() != nil && test.want != context.DeadlineExceeded {
				t.Errorf("the call ended only at the deadline: %v", err)
			}
			if over := took - limit; over > 3*time.Second {
				t.Errorf("the call ended %v after the deadline", over)
			}
			if spent > test.mib {
				t.Errorf("the call allocated %d MiB, want at most %d", spent, test.mib)
			}
			h.done(t, c, err)
		})
	}
}

// hostileKey is the context key under which hostileLogin finds the appliance.
type hostileKey struct{}

func hostileLogin(ctx context.Context, _ *sps.Client) error {
	h := ctx.Value(hostileKey{}).(*hostileAppliance)
	c, err := sps.Connect(ctx, hostileHost, sps.UsernamePassword("u", sps.NewSecretString("password")), h.options()...)
	if err == nil {
		c.Close(ctx)
	}
	return err
}

// TestHostileTime checks that each call ends at the caller's deadline or at its own time limit,
// to the second of the simulated time.
func TestHostileTime(t *testing.T) {
	t.Parallel()
	// drip sends a text byte by byte, and then repeats its last byte without end.
	drip := func(text string) hostileScript {
		return func(w *hostileConn, _ *http.Request) {
			for i := 0; ; i++ {
				w.send(text[min(i, len(text)-1):][:1])
				time.Sleep(time.Second)
			}
		}
	}
	silent := func(w *hostileConn, _ *http.Request) { time.Sleep(24 * time.Hour) }
	page := func(r *http.Request, item string) string {
		n := 0
		fmt.Sscan(r.URL.Query().Get("page"), &n)
		return fmt.Sprintf(`{"items":[%s],"meta":{"next":"%s?page=%d"}}`, strings.ReplaceAll(item, "PAGE", strconv.Itoa(n)), r.URL.Path, n+1)
	}
	pages := func(item string) hostileScript {
		return func(w *hostileConn, r *http.Request) {
			time.Sleep(100 * time.Millisecond)
			switch {
			case r.URL.Path == "/api/x" || r.URL.Path == "/api/configuration":
				says(200, "", page(r, item))(w, r)
			default:
				says(404, "", `{"error":{"type":"ResourceNotFound"}}`)(w, r)
			}
		}
	}
	circle := func(w *hostileConn, r *http.Request) {
		time.Sleep(10 * time.Millisecond)
		n := 0
		fmt.Sscan(r.URL.Query().Get("page"), &n)
		says(200, "", fmt.Sprintf(`{"items":[{"key":"k","body":{}}],"meta":{"next":"/api/x?page=%d"}}`, (n+1)%100))(w, r)
	}
	tree := func(w *hostileConn, r *http.Request) {
		time.Sleep(100 * time.Millisecond)
		says(200, "", `{"items":[{"key":"a"},{"key":"b"}]}`)(w, r)
	}
	const deadline = 90 * time.Second
	limits := sps.DefaultTimeouts()
	limits.Read, limits.Write, limits.Action, limits.Login, limits.Close = time.Hour, time.Hour, time.Hour, time.Hour, 5*time.Second
	for name, test := range map[string]struct {
		script hostileScript
		raw    func(net.Conn)
		call   hostileCall
		limits *sps.Timeouts
		took   time.Duration // 0 for the deadline
		want   error         // nil for the error of the deadline
	}{
		"no handshake":                   {nil, func(c net.Conn) { io.Copy(io.Discard, c) }, hostileSlots, nil, 15 * time.Second, new(sps.TransportError)},
		"no answer":                      {silent, nil, hostileSlots, &limits, 0, nil},
		"no answer to a write":           {silent, nil, hostilePost, &limits, 0, nil},
		"no answer to a login":           {silent, nil, hostileLogin, nil, time.Minute, new(sps.TransportError)},
		"slow headers":                   {drip("HTTP/1.1 200 OK\r\nX: aaa"), nil, hostileSlots, &limits, 0, nil},
		"slow body":                      {drip("HTTP/1.1 200 OK\r\nContent-Length: 1000000\r\n\r\n{ "), nil, hostileSlots, &limits, 0, nil},
		"slow chunks":                    {drip("HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\nfffff\r\n "), nil, hostilePost, &limits, 0, nil},
		"slow body, default time limits": {drip("HTTP/1.1 200 OK\r\nContent-Length: 1000000\r\n\r\n{ "), nil, hostileSlots, nil, time.Minute, nil},
		"slow 1xx":                       {drip(strings.Repeat("HTTP/1.1 100 Continue\r\n\r\n", 10)), nil, hostileSlots, &limits, 0, nil},
		"slow download":                  {drip("HTTP/1.1 200 OK\r\nContent-Type: x/y\r\nContent-Length: 1000000\r\n\r\na"), nil, hostileDownload, nil, 0, nil},
		"slow headers of a download":     {drip("HTTP/1.1 200 OK\r\nX: a"), nil, hostileDownload, nil, 0, nil},
		"slow error":                     {drip("HTTP/1.1 500 No\r\nContent-Length: 1000000\r\n\r\n{ "), nil, hostilePost, &limits, 0, nil},
		"endless pages":                  {pages(`{"key":"PAGE","body":{}}`), nil, hostileList, nil, 0, nil},
		"endless pages without bodies":   {pages(`{"key":"PAGE"}`), nil, hostileList, nil, 0, nil},
		"endless pages for GetByName": {pages(`{"key":"PAGE","body":{"name":"x"}}`), nil, func(ctx context.Context, c *sps.Client) error {
			_, err := sps.NewCollection[any](c, "x").GetByName(ctx, "y")
			return err
		}, nil, 0, nil},
		"endless pages for Walk":               {pages(`{"key":"PAGE"}`), nil, hostileForest, nil, 0, nil},
		"same page without end":                {pages(`{"key":"1","body":{}},{"key":"2","body":{}}`), nil, hostileList, nil, time.Second, sps.ErrBadAnswer},
		"same page without bodies without end": {pages(`{"key":"1"},{"key":"2"}`), nil, hostileList, nil, 2 * time.Second, sps.ErrBadAnswer},
		"an endless tree":                      {tree, nil, hostileForest, nil, 0, nil},
		"a circle of 100 pages":                {circle, nil, hostileList, nil, 3 * time.Second, sps.ErrBadAnswer},
		"503 for Close": {says(503, "Retry-After: 29\r\n", ""), nil, func(ctx context.Context, c *sps.Client) error {
			return c.Close(ctx) // there is nothing to log out
		}, nil, 0, errNone},
		"lock never released": {func(w *hostileConn, r *http.Request) {
			if r.Method == "GET" {
				says(200, "", `{"body":{"status":"closed"}}`)(w, r)
				return
			}
			says(403, "", `{"error":{"type":"OpenTransactionError"}}`)(w, r)
		}, nil, func(ctx context.Context, c *sps.Client) error {
			return c.Transaction(ctx, testkit.SetAdmin("x"), sps.WithLockWait(time.Hour))
		}, nil, 0, nil},
		"job that never ends": {says(200, "", `{"body":{"status":"queued"}}`), nil, func(ctx context.Context, c *sps.Client) error {
			_, err := c.Firmware.Fetch.Wait(ctx, "1")
			return err
		}, nil, 0, nil},
		"commit without a response": {func(w *hostileConn, r *http.Request) {
			if r.Method == "PUT" && r.URL.Path == "/api/transaction" {
				silent(w, r)
			}
			transacts(`{"body":{"old":0}}`, `{}`)(w, r)
		}, nil, hostileUpdate, &limits, 0, nil},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			synctest.Test(t, func(t *testing.T) {
				h := &hostileAppliance{script: test.script, rawConn: test.raw}
				own := sps.DefaultTimeouts()
				if test.limits != nil {
					own = *test.limits
				}
				c := h.client(t, sps.WithTimeouts(own))
				ctx, cancel := context.WithTimeout(t.Context(), deadline)
				defer cancel()
				start := time.Now()
				err := test.call(context.WithValue(ctx, hostileKey{}, h), c)
				took, most := time.Since(start), test.took
				if most == 0 {
					most = deadline
				}
				// If the response to a commit is lost, the client may also poll for the outcome
				// for up to Timeouts.Close after the deadline.
				if took > most+own.Close || test.want == nil && took < most-time.Second {
					t.Errorf("the call took %v, want %v", took, most)
				}
				var broken *sps.TransportError
				switch {
				case test.want == errNone:
					if err != nil {
						t.Error(err)
					}
				case test.want == nil:
					if !errors.Is(err, context.DeadlineExceeded) && !errors.Is(err, sps.ErrOutcomeUnknown) {
						t.Errorf("error %v, want DeadlineExceeded or ErrOutcomeUnknown", err)
					}
				case !errors.Is(err, test.want) && !errors.As(err, &broken):
					t.Errorf("error %v, want %v", err, test.want)
				}
				h.done(t, c, err)
			})
		})
	}
}

// TestHostilePages checks that reading an endless list or tree does not store the pages. From
// page 200 to page 2,000, the heap may grow by at most 256 KiB for a list. It may grow by at
// most 5,000 KiB for a walk, which stores the paths that it has visited.
func TestHostilePages(t *testing.T) {
	filler := strings.Repeat("x", 1_000)
	asked := 0
	var early, late uint64
	alive := func() uint64 {
		var m runtime.MemStats
		runtime.GC()
		runtime.ReadMemStats(&m)
		return m.HeapAlloc
	}
	for name, test := range map[string]struct {
		item, path string
		call       func(context.Context, *sps.Client) error
		kib        uint64
	}{
		"All": {`{"key":"PAGE","body":{"name":"x"}}`, "x", func(ctx context.Context, c *sps.Client) error {
			for _, err := range sps.NewCollection[any](c, "x").All(ctx) {
				if err != nil {
					return err
				}
			}
			return nil
		}, 256},
		"GetByName": {`{"key":"PAGE","body":{"name":"x"}}`, "x", func(ctx context.Context, c *sps.Client) error {
			_, err := sps.NewCollection[any](c, "x").GetByName(ctx, "y")
			return err
		}, 256},
		"Walk": {`{"key":"a"},{"key":"b"}`, "configuration", hostileForest, 5_000},
	} {
		t.Run(name, func(t *testing.T) {
			ctx, cancel := context.WithCancel(t.Context())
			defer cancel()
			asked = 0
			c, err := sps.Connect(ctx, hostileHost, sps.ExistingSession(sps.NewSecretString(hostileID)), testkit.RoundTrip(func(r *http.Request) (*http.Response, error) {
				switch asked++; asked {
				case 200:
					early = alive()
				case 2_000:
					late = alive()
					cancel()
				}
				return testkit.Answer(r, 200, http.Header{}, fmt.Sprintf(`{"filler":%q,"items":[%s],"meta":{"next":"/api/%s?page=%d"}}`, filler, strings.ReplaceAll(test.item, "PAGE", strconv.Itoa(asked)), test.path, asked)), nil
			}))
			if err != nil {
				t.Fatal(err)
			}
			defer c.Close(context.Background())
			if err := test.call(ctx, c); !errors.Is(err, context.Canceled) {
				t.Errorf("error %v, want Canceled", err)
			}
			t.Logf("heap after 200 pages: %d KiB, after 2,000: %d KiB", early>>10, late>>10)
			if late > early+test.kib<<10 {
				t.Errorf("heap after 200 pages: %d KiB, after 2,000: %d KiB", early>>10, late>>10)
			}
		})
	}
}

// TestHostileCut closes the connection after each byte of a response, with and without the TLS
// alert. It checks that an incomplete response results in an error.
func TestHostileCut(t *testing.T) {
	t.Parallel()
	const body = `{"body":{"a":[1,"x"]},"meta":{}}`
	for form, answer := range map[string]string{
		"length":   fmt.Sprintf("HTTP/1.1 200 OK\r\nContent-Length: %d\r\n\r\n%s", len(body), body),
		"chunked":  fmt.Sprintf("HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n10\r\n%s\r\n%x\r\n%s\r\n0\r\n\r\n", body[:16], len(body)-16, body[16:]),
		"HTTP/1.0": "HTTP/1.0 200 OK\r\n\r\n" + body,
		"refusal":  fmt.Sprintf("HTTP/1.1 400 No\r\nContent-Length: %d\r\n\r\n%s", 40, `{"error":{"type":"SyntacticError"    }}  `[:40]),
	} {
		for what, call := range map[string]hostileCall{"GET": hostileGet, "POST": hostilePost} {
			for _, alert := range []bool{true, false} {
				t.Run(fmt.Sprintf("%s, %s, alert %t", form, what, alert), func(t *testing.T) {
					t.Parallel()
					start := time.Now()
					for i := range len(answer) + 1 {
						h := &hostileAppliance{script: func(w *hostileConn, _ *http.Request) {
							w.send(answer[:i])
							if alert {
								w.Conn.Close()
							}
							w.cut()
						}}
						c := h.client(t)
						err := call(t.Context(), c)
						// A response without a length ends with its connection, so only its
						// JSON shows whether it is complete. A raw call also accepts an empty
						// body.
						whole := i == len(answer) || form == "HTTP/1.0" && i == len(answer)-len(body)
						var refused *sps.Error
						var broken *sps.TransportError
						switch {
						case form == "refusal" && whole:
							if !errors.Is(err, sps.SyntacticError) {
								t.Errorf("a complete response: %v, want SyntacticError", err)
							}
						case whole != (err == nil), errors.As(err, &refused):
							t.Errorf("cut after %d of %d bytes: %v", i, len(answer), err)
						case err != nil && (!errors.As(err, &broken) || errors.Is(err, sps.ErrOutcomeUnknown) != (what == "POST")):
							t.Errorf("cut after %d of %d bytes: %v, want a TransportError with the known outcome", i, len(answer), err)
						}
						h.done(t, c, err)
					}
					if took := time.Since(start); took > 30*time.Second {
						t.Errorf("took %v", took)
					}
				})
			}
		}
	}
}

// TestHostileFraming checks responses whose actual length or framing contradicts their headers.
func TestHostileFraming(t *testing.T) {
	t.Parallel()
	const body = `{"body":{}}`
	const then = "HTTP/1.1 200 OK\r\nContent-Length: 20\r\n\r\n{\"body\":\"smuggled\"} "
	file := "Content-Type: application/octet-stream\r\n"
	for name, test := range map[string]struct {
		answer string
		call   hostileCall
		want   error // nil for any error, errNone for success
	}{
		"length too long":                       {"HTTP/1.1 200 OK\r\nContent-Length: 12\r\n\r\n" + body, hostileGet, io.ErrUnexpectedEOF},
		"length too long, download":             {"HTTP/1.1 200 OK\r\n" + file + "Content-Length: 12\r\n\r\n" + body, hostileDownload, io.ErrUnexpectedEOF},
		"length too short":                      {"HTTP/1.1 200 OK\r\nContent-Length: 10\r\n\r\n" + body, hostileGet, sps.ErrBadAnswer},
		"garbage after the response":            {"HTTP/1.1 200 OK\r\nContent-Length: 11\r\n\r\n" + body + "garbage", hostileGet, errNone},
		"second response after the first":       {"HTTP/1.1 200 OK\r\nContent-Length: 11\r\nConnection: close\r\n\r\n" + body + then, hostileGet, errNone},
		"none":                                  {"HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n", hostileSlots, sps.ErrBadAnswer},
		"negative":                              {"HTTP/1.1 200 OK\r\nContent-Length: -1\r\n\r\n" + body, hostileGet, nil},
		"length is a list":                      {"HTTP/1.1 200 OK\r\nContent-Length: 11, 11\r\n\r\n" + body, hostileGet, nil},
		"hex":                                   {"HTTP/1.1 200 OK\r\nContent-Length: 0xb\r\n\r\n" + body, hostileGet, nil},
		"two":                                   {"HTTP/1.1 200 OK\r\nContent-Length: 11\r\nContent-Length: 10\r\n\r\n" + body, hostileGet, nil},
		"length too large for an integer":       {"HTTP/1.1 200 OK\r\nContent-Length: 99999999999999999999\r\n\r\n" + body, hostileGet, nil},
		"both":                                  {"HTTP/1.1 200 OK\r\nContent-Length: 3\r\nTransfer-Encoding: chunked\r\n\r\nb\r\n" + body + "\r\n0\r\n\r\n", hostileGet, errNone},
		"unknown transfer encoding":             {"HTTP/1.1 200 OK\r\nTransfer-Encoding: gzip\r\n\r\n" + body, hostileGet, nil},
		"chunk length too long":                 {"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\nff\r\n" + body + "\r\n0\r\n\r\n", hostileGet, nil},
		"chunk length too short":                {"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n3\r\n" + body + "\r\n0\r\n\r\n", hostileGet, nil},
		"chunk length not a number":             {"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\nzz\r\n" + body, hostileGet, nil},
		"chunk length too large for an integer": {"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\nfffffffffffffffff\r\n" + body, hostileGet, nil},
		"HTTP/1.0":                              {"HTTP/1.0 200 OK\r\n\r\n" + body, hostileGet, errNone},
		"HTTP/1.0 with keep-alive":              {"HTTP/1.0 200 OK\r\nConnection: keep-alive\r\nContent-Length: 11\r\n\r\n" + body, hostileGet, errNone},
		"HTTP/1.0, chunked":                     {"HTTP/1.0 200 OK\r\nTransfer-Encoding: chunked\r\n\r\nb\r\n" + body + "\r\n0\r\n\r\n", hostileGet, nil},
		"HTTP/0.9":                              {body, hostileGet, nil},
		"204 with a body":                       {"HTTP/1.1 204 No\r\nContent-Length: 11\r\n\r\n" + body, hostileGet, errNone},
		"status line without a status":          {"HTTP/1.1\r\n\r\n" + body, hostileGet, nil},
		"a negative status":                     {"HTTP/1.1 -20 OK\r\nContent-Length: 11\r\n\r\n" + body, hostileGet, nil},
		"status below 100":                      {"HTTP/1.1 099 OK\r\nContent-Length: 11\r\n\r\n" + body, hostileGet, nil},
		"an unknown status":                     {"HTTP/1.1 999 OK\r\nContent-Length: 11\r\n\r\n" + body, hostileGet, sps.Status(999)},
		"a folded header":                       {"HTTP/1.1 200 OK\r\nX: a\r\n b\r\nContent-Length: 11\r\n\r\n" + body, hostileGet, errNone},
		"header without a name":                 {"HTTP/1.1 200 OK\r\n: a\r\nContent-Length: 11\r\n\r\n" + body, hostileGet, nil},
		"header without a colon":                {"HTTP/1.1 200 OK\r\nX\r\nContent-Length: 11\r\n\r\n" + body, hostileGet, nil},
		"NUL in a header":                       {"HTTP/1.1 200 OK\r\nX: a\x00b\r\nContent-Length: 11\r\n\r\n" + body, hostileGet, nil},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			first := true
			h := &hostileAppliance{}
			h.script = func(w *hostileConn, _ *http.Request) {
				if !first {
					w.send("HTTP/1.1 200 OK\r\nContent-Length: 11\r\n\r\n" + body)
					return
				}
				first = false
				w.send(test.answer)
				w.Conn.Close()
				w.cut()
			}
			c := h.client(t)
			ctx, cancel := context.WithTimeout(t.Context(), 20*time.Second)
			defer cancel()
			err := test.call(ctx, c)
			switch {
			case test.want == errNone && err != nil, test.want != errNone && err == nil, test.want != nil && test.want != errNone && !errors.Is(err, test.want):
				t.Errorf("error %v, want %v", err, test.want)
			case ctx.Err() != nil:
				t.Errorf("the call ended only at the deadline: %v", err)
			}
			// Bytes after a response must not be taken for the response to the next request.
			// net/http may fail that request if it reuses the connection before it reads those
			// bytes.
			resp, next := c.Invoke(ctx, "GET", "configuration/x", nil)
			if next != nil {
				resp, next = c.Invoke(ctx, "GET", "configuration/x", nil)
			}
			if next != nil || string(resp.Body) != body {
				t.Errorf("the response to the next request is %+v, %v", resp, next)
			}
			h.done(t, c, err)
		})
	}
}

// TestHostileRedirects checks that the client follows no redirect, for each method and status.
func TestHostileRedirects(t *testing.T) {
	t.Parallel()
	calls := map[string]hostileCall{
		"GET": hostileGet, "POST": hostilePost, "download": hostileDownload, "login": hostileLogin,
		"PUT": func(ctx context.Context, c *sps.Client) error {
			_, err := c.Invoke(ctx, "PUT", "firmware/x", map[string]string{"password": "hush"})
			return err
		},
		"transaction": hostileUpdate,
		"join page": func(ctx context.Context, c *sps.Client) error {
			page, err := c.Starling.JoinPage(ctx)
			if err == nil {
				err = fmt.Errorf("sps: %w", sps.Status(page.StatusCode)) // the caller decides whether to follow it
			}
			return err
		},
	}
	places := []string{"http://appliance.test/api/x", "https://evil.example/api/x", "//evil.example/x", "https://appliance.test:444/", "/api/x", "x", "file:///etc/passwd",
		"https://user:password@evil.example/", "https://[::1", "https://evil.example/\xff", "javascript:alert(1)", ""}
	for _, status := range []int{301, 302, 303, 307, 308} {
		for what, call := range calls {
			t.Run(fmt.Sprint(status, what), func(t *testing.T) {
				t.Parallel()
				for _, place := range places {
					h := &hostileAppliance{script: says(status, "Refresh: 0;url=https://evil.example/\r\nLocation: "+place+"\r\nAlt-Svc: h3=\"evil.example:443\"\r\n", "moved")}
					c := h.client(t)
					err := call(context.WithValue(t.Context(), hostileKey{}, h), c)
					if !errors.Is(err, sps.Status(status)) {
						t.Errorf("to %q: %v, want the status", place, err)
					}
					if n := len(h.received); n != 1 {
						t.Errorf("to %q: %d requests", place, n)
					}
					h.done(t, c, err)
				}
			})
		}
	}
}

// TestHostileCookies checks that the client accepts a new session ID only from a cookie that is
// valid for the API of this host, and that it sends no other cookie.
func TestHostileCookies(t *testing.T) {
	t.Parallel()
	for line, want := range map[string]string{
		"session_id=new": "new",
		"session_id=new; Path=/api; Secure; HttpOnly":          "new",
		"session_id=new; Path=/":                               "new",
		"session_id=new; Domain=appliance.test":                "new",
		"session_id=new; Domain=evil.example":                  "",
		"session_id=new; Domain=nce.test":                      "",
		"session_id=new; Domain=x.appliance.test":              "",
		"session_id=new; Path=/web":                            "",
		"session_id=new; Path=/ap":                             "",
		"session_id=new; Path=/api/configuration":              "",
		"session_id=new; Max-Age=0":                            "",
		"session_id=new; Max-Age=-1":                           "",
		"session_id=":                                          "",
		"session_id":                                           "",
		"session_id=\"new\"":                                   "new",
		"session_id=a b":                                       "",
		"session_id=a,b":                                       "",
		"session_id=a\\b":                                      "",
		"session_id=a\"b":                                      "",
		"session_id=é":                                         "",
		"session_id=a\tb":                                      "",
		"session_id=" + strings.Repeat("a", 4096):              strings.Repeat("a", 4096),
		"session_id=" + strings.Repeat("a", 4097):              "",
		"Session_ID=new":                                       "",
		"other=x":                                              "",
		"=session_id":                                          "",
		"session_id=new\r\nSet-Cookie: session_id=newer":       "newer",
		"session_id=new\r\nSet-Cookie: session_id=; Path=/web": "new",
		"a=b; session_id=new":                                  "",
		"session_id=new\r\n" + strings.Repeat("Set-Cookie: a=b\r\n", 5_000) + "X: y": "new",
	} {
		t.Run(fmt.Sprintf("%.60q", line), func(t *testing.T) {
			t.Parallel()
			h := &hostileAppliance{script: says(200, "Set-Cookie: "+line+"\r\n", `{"body":{}}`)}
			c := h.client(t)
			err := errors.Join(hostileGet(t.Context(), c), hostileGet(t.Context(), c))
			if err != nil {
				t.Fatal(err)
			}
			if want == "" {
				want = hostileID
			}
			received := h.requests()
			testkit.Diff(t, "cookie", []string{"session_id=" + want}, received[len(received)-1].Header["Cookie"])
			h.done(t, c, nil)
		})
	}
}

// hostileTexts lists texts that could change the meaning of a request.
var hostileTexts = []string{
	"", " ", ".", "..", "../x", "a/../../b", "..\\x", "%2e%2e", "..%2f..%2fx", "%252e%252e", "a//b", "/etc/passwd", "//evil.example/x", "https://evil.example/x", "\\\\evil.example\\x",
	"@evil.example", "user@evil.example:80", "a?b=c", "?force=true", "a#b", "a;b", "..;/x", ";/../x", "a&b=c", "a=b", ":", "a:b",
	"x\r\nX-Injected: 1", "x\nX-Injected: 1", "x\rX-Injected: 1", "%0d%0aX-Injected: 1", "x HTTP/1.1\r\nHost: evil.example\r\n\r\nGET /y", "x\x00", "\x7f", "\xff\xfe", "\u2028", "\u202e", "é", "日本", "\u0085", "\ufffd",
	`"`, `'`, `\`, "`", "{}", "[sps.Secret]", "api/../x", "configuration/../transaction", "CONFIGURATION/x", "x/%2e%2e/y", "transaction", "*", "~", "\t", strings.Repeat("a", 5_000), strings.Repeat("a/", 2_000),
}

// TestHostileInput passes each hostile text to each parameter that takes a text. It checks that
// the client sends only the intended request, or nothing.
func TestHostileInput(t *testing.T) {
	t.Parallel()
	type input struct {
		// below is a path relative to /api/. Each request, except those for /api/transaction, must
		// have a path under it. If below is "", any path under /api/ is permitted.
		below string
		call  func(ctx context.Context, c *sps.Client, h *hostileAppliance, text string) error
	}
	log := func(ctx context.Context, h *hostileAppliance, credential sps.Credential, options ...sps.Option) error {
		c, err := sps.Connect(ctx, hostileHost, credential, append(h.options(), options...)...)
		if err != nil {
			return err
		}
		return c.Close(ctx)
	}
	password := sps.NewSecretString("password")
	path := func(f func(ctx context.Context, c *sps.Client, text string) error) input {
		return input{"", func(ctx context.Context, c *sps.Client, _ *hostileAppliance, text string) error {
			return f(ctx, c, text)
		}}
	}
	at := func(below string, f func(ctx context.Context, c *sps.Client, key string) error) input {
		return input{below, func(ctx context.Context, c *sps.Client, _ *hostileAppliance, text string) error {
			return f(ctx, c, text)
		}}
	}
	in := func(f func(ctx context.Context, tx *sps.Transaction, key string) error) input {
		return at("configuration/trust_stores", func(ctx context.Context, c *sps.Client, key string) error {
			return c.Transaction(ctx, func(ctx context.Context, tx *sps.Transaction) error { return f(ctx, tx, key) })
		})
	}
	for name, test := range map[string]input{
		"user name": {"authentication", func(ctx context.Context, _ *sps.Client, h *hostileAppliance, text string) error {
			return log(ctx, h, sps.UsernamePassword(text, password))
		}},
		"password": {"authentication", func(ctx context.Context, _ *sps.Client, h *hostileAppliance, text string) error {
			return log(ctx, h, sps.UsernamePassword("u", sps.NewSecretString(text)))
		}},
		"login method": {"authentication", func(ctx context.Context, _ *sps.Client, h *hostileAppliance, text string) error {
			return log(ctx, h, sps.UsernamePassword("u", password, sps.WithLoginMethod(text)))
		}},
		"user agent": {"authentication", func(ctx context.Context, _ *sps.Client, h *hostileAppliance, text string) error {
			return log(ctx, h, sps.UsernamePassword("u", password), sps.WithUserAgent(text))
		}},
		"session id": {"info", func(ctx context.Context, _ *sps.Client, h *hostileAppliance, text string) error {
			c, err := sps.Connect(ctx, hostileHost, sps.ExistingSession(sps.NewSecretString(text)), h.options()...)
			if err != nil {
				return err
			}
			defer c.Close(ctx)
			_, err = c.Info(ctx)
			return err
		}},
		"header value": at("x", func(ctx context.Context, c *sps.Client, text string) error {
			_, err := c.Invoke(ctx, "GET", "x", nil, sps.WithHeader("X-Given", text))
			return err
		}),
		"header name": at("x", func(ctx context.Context, c *sps.Client, text string) error {
			var errs []error
			for _, name := range []string{"X-Given" + text, text + "X-Given", "Proxy-" + text, "X-Http-Method" + text, "Cookie" + text} {
				if name == "X-Given" { // the text is empty, so the name is valid
					continue
				}
				if _, err := c.Invoke(ctx, "GET", "x", nil, sps.WithHeader(name, "1")); err != nil && !errors.Is(err, sps.ErrInvalidInput) {
					errs = append(errs, err)
				} else if err != nil {
					clearLine(t, err)
				}
			}
			return errors.Join(errs...)
		}),
		"query": at("x", func(ctx context.Context, c *sps.Client, text string) error {
			_, err := c.Invoke(ctx, "GET", "x", nil, sps.WithQuery(text, text))
			return err
		}),
		"license number": at("starling/join", func(ctx context.Context, c *sps.Client, text string) error {
			_, err := c.Starling.JoinStatus(ctx, sps.WithProductTIMS(text))
			return err
		}),
		"method": at("x", func(ctx context.Context, c *sps.Client, text string) error {
			_, err := c.Invoke(ctx, "GET"+text, "x", nil)
			return err
		}),
		"commit message": path(func(ctx context.Context, c *sps.Client, text string) error {
			return c.Transaction(ctx, testkit.SetAdmin("x"), sps.WithMessage(text))
		}),
		"upgrade message": path(func(ctx context.Context, c *sps.Client, text string) error {
			_, err := c.Firmware.StartUpgrade(ctx, "2", sps.WithMessage(text))
			return err
		}),
		"image URL": at("firmware/fetch", func(ctx context.Context, c *sps.Client, text string) error {
			_, err := c.Firmware.Fetch.Start(ctx, "https://images.example/"+text, strings.Repeat("a", 64))
			return err
		}),

		"key, Get": at("configuration/trust_stores", func(ctx context.Context, c *sps.Client, key string) error {
			_, err := c.TrustStores.Get(ctx, key)
			return err
		}),
		"key, Update": in(func(ctx context.Context, tx *sps.Transaction, key string) error {
			return tx.TrustStores.Update(ctx, key, func(s *sps.TrustStore) error { s.Name = "other"; return nil })
		}),
		"key, Replace": in(func(ctx context.Context, tx *sps.Transaction, key string) error {
			return tx.TrustStores.Replace(ctx, key, sps.NewTrustStore("other"))
		}),
		"key, Delete": in(func(ctx context.Context, tx *sps.Transaction, key string) error {
			return tx.TrustStores.Delete(ctx, key)
		}),
		"name": at("configuration/trust_stores", func(ctx context.Context, c *sps.Client, key string) error {
			_, err := c.TrustStores.GetByName(ctx, key)
			return err
		}),
		"slot": at("firmware/slots", func(ctx context.Context, c *sps.Client, key string) error {
			_, err := c.Firmware.Slots.Get(ctx, key)
			return err
		}),
		"slot, Delete": at("firmware/slots", func(ctx context.Context, c *sps.Client, key string) error {
			return c.Firmware.Slots.Delete(ctx, key)
		}),
		"slot, Test": at("firmware/test", func(ctx context.Context, c *sps.Client, key string) error {
			_, err := c.Firmware.Test(ctx, key)
			return err
		}),
		"fetch": at("firmware/fetch", func(ctx context.Context, c *sps.Client, key string) error {
			_, err := c.Firmware.Fetch.Get(ctx, key)
			return err
		}),
		"fetch, Cancel": at("firmware/fetch", func(ctx context.Context, c *sps.Client, key string) error { return c.Firmware.Fetch.Cancel(ctx, key) }),
		"fetch, Remove": at("firmware/fetch", func(ctx context.Context, c *sps.Client, key string) error { return c.Firmware.Fetch.Delete(ctx, key) }),
		"bundle": at("troubleshooting/support-bundle", func(ctx context.Context, c *sps.Client, key string) error {
			_, err := c.Troubleshooting.SupportBundle.Get(ctx, key)
			return err
		}),
		"bundle, Download": at("troubleshooting/support-bundle", func(ctx context.Context, c *sps.Client, key string) error {
			_, err := c.Troubleshooting.SupportBundle.Download(ctx, key, io.Discard)
			return err
		}),
		"bundle, Delete": at("troubleshooting/support-bundle", func(ctx context.Context, c *sps.Client, key string) error {
			return c.Troubleshooting.SupportBundle.Delete(ctx, key)
		}),

		"NewSingleton": path(func(ctx context.Context, c *sps.Client, text string) error {
			_, err := sps.NewSingleton[any](c, text).Get(ctx)
			return err
		}),
		"NewCollection": path(func(ctx context.Context, c *sps.Client, text string) error {
			_, err := sps.NewCollection[any](c, text).Get(ctx, "key")
			return err
		}),
		"Invoke": path(func(ctx context.Context, c *sps.Client, text string) error {
			_, err := c.Invoke(ctx, "GET", text, nil)
			return err
		}),
		"Download": path(func(ctx context.Context, c *sps.Client, text string) error {
			_, err := c.Download(ctx, text, io.Discard)
			return err
		}),
		"Listing": path(func(ctx context.Context, c *sps.Client, text string) error {
			_, err := c.Listing(ctx, text)
			return err
		}),
		"Walk": path(func(ctx context.Context, c *sps.Client, text string) error {
			for _, err := range c.Walk(ctx, text) {
				return err
			}
			return nil
		}),
		"Invoke, write": path(func(ctx context.Context, c *sps.Client, text string) error {
			_, err := c.Invoke(ctx, "POST", "upload/"+text, nil)
			return err
		}),
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			h := &hostileAppliance{script: func(w *hostileConn, r *http.Request) {
				says(200, "Set-Cookie: session_id=x\r\n", `{"key":"1","body":{"status":"finished","firmware_version":"1","name":"n","trust_store_type":"custom","revocation_check":"none"},"items":[]}`)(w, r)
			}}
			c := h.client(t)
			for _, text := range hostileTexts {
				h.requests()
				err := test.call(t.Context(), c, h, text)
				clearLine(t, err)
				received := h.requests()
				for _, r := range received {
					if name == "header name" { // a valid name is sent as it is
						if len(r.Header) > 5 || len(r.Header["Cookie"]) != 1 || r.Header["X-Injected"] != nil {
							t.Errorf("%q: the headers are %v", text, r.Header)
						}
						continue
					}
					hostileRequest(t, r)
					if strings.Contains(r.RequestURI, "%2F") && urlpath.Clean(r.URL.Path) != r.URL.Path {
						t.Errorf("%q: sent %s, which a server may take for %s", text, r.RequestURI, urlpath.Clean(r.URL.Path))
					}
					below, ok := strings.CutPrefix(r.URL.EscapedPath(), "/api/"+test.below)
					if r.URL.Path == "/api/transaction" || test.below == "" {
						continue
					}
					if tail := strings.Trim(strings.TrimSuffix(below, "/download"), "/"); !ok || strings.Contains(tail, "/") || r.URL.Fragment != "" ||
						r.URL.RawQuery != "" && !slices.Contains([]string{"login method", "query", "license number"}, name) {
						t.Errorf("%q: sent %s %s, which is not below %s", text, r.Method, r.RequestURI, test.below)
					}
				}
				if errors.Is(err, sps.ErrInvalidInput) && len(received) > 0 && received[len(received)-1].URL.Path != "/api/transaction" {
					t.Errorf("%q was refused (%v) after %d requests", text, err, len(received))
				}
			}
			h.done(t, c, nil)
		})
	}
}

// TestHostileLinks checks that the client sends no request outside the requested path if the
// appliance returns each hostile text as a key, as a link, and as the link to the next page.
func TestHostileLinks(t *testing.T) {
	t.Parallel()
	quote := func(text string) string { return string(testkit.Must(json.Marshal(text))) }
	links := slices.Clone(hostileTexts)
	links = append(links, "/api/transaction", "/api/firmware/slots/1", "/api/configurations/x", "/api/configuration/../transaction", "/api/configuration/x/%2e%2e/%2e%2e/y", "/api/configuration?x=y", "/api/x?page=2#a", "//evil.example/api/x?page=2", "https://evil.example/api/x?page=2", "/api/configuration/x?"+strings.Repeat("a=b&", 1000))
	keep := func(err error) error {
		if errors.Is(err, sps.ErrInvalidInput) {
			return fmt.Errorf("an invalid response is reported as invalid input: %w", err)
		}
		return nil
	}
	for name, test := range map[string]struct {
		answer func(text string) string // the response to each request that the script below does not reject
		root   string
		call   hostileCall
	}{
		"Walk, hrefs": {func(text string) string { return `{"items":[{"key":"k","meta":{"href":` + quote(text) + `}}]}` }, "configuration", hostileWalk},
		"Walk, keys":  {func(text string) string { return `{"items":[{"key":` + quote(text) + `}]}` }, "configuration", hostileWalk},
		"Walk, next": {func(text string) string {
			return `{"items":[{"key":"k","body":{}}],"meta":{"next":` + quote(text) + `}}`
		}, "configuration", hostileWalk},
		"List, keys": {func(text string) string { return `{"items":[{"key":` + quote(text) + `}]}` }, "x", hostileList},
		"List, next": {func(text string) string {
			return `{"items":[{"key":"k","body":{}}],"meta":{"next":` + quote(text) + `}}`
		}, "x", hostileList},
		"Slots": {func(text string) string {
			return `{"items":[{"key":` + quote(text) + `}],"meta":{"current_slot":` + quote(text) + `}}`
		}, "firmware/slots", hostileSlots},
		"Fetches": {func(text string) string { return `{"items":[{"key":` + quote(text) + `}]}` }, "firmware/fetch", func(ctx context.Context, c *sps.Client) error {
			_, err := c.Firmware.Fetch.List(ctx)
			return err
		}},
		"Bundles": {func(text string) string { return `{"items":[{"key":` + quote(text) + `}]}` }, "troubleshooting/support-bundle", func(ctx context.Context, c *sps.Client) error {
			_, err := c.Troubleshooting.SupportBundle.List(ctx)
			return err
		}},
		"Listing": {func(text string) string {
			return `{"items":[{"key":` + quote(text) + `,"meta":{"href":` + quote(text) + `}}]}`
		}, "configuration", func(ctx context.Context, c *sps.Client) error {
			_, err := c.Listing(ctx, "configuration")
			return err
		}},
		"upgrade": {func(text string) string {
			return `{"key":` + quote(text) + `,"items":[],"body":{"firmware_version":"1","status":"finished","slot_id":` + quote(text) + `},"meta":{"slot":` + quote(text) + `,"href":` + quote(text) + `}}`
		}, "", func(ctx context.Context, c *sps.Client) error {
			_, err := c.Firmware.Upgrade(ctx, sps.FromURL("https://images.example/x", strings.Repeat("a", 64)), sps.WithTestOnly())
			if errors.Is(err, sps.ErrInvalidInput) { // Upgrade validates the key of the slot again
				err = nil
			}
			return err
		}},
		"created": {func(text string) string { return `{"meta":{"href":` + quote(text) + `},"body":{"status":"closed"}}` }, "", func(ctx context.Context, c *sps.Client) error {
			return c.Transaction(ctx, func(ctx context.Context, tx *sps.Transaction) error {
				key, err := sps.NewCollection[any](c, "configuration/x").In(tx).Create(ctx, 1)
				if err == nil {
					err = fmt.Errorf("created %q", key)
				}
				return err
			})
		}},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			var text string
			h := &hostileAppliance{}
			h.script = func(w *hostileConn, r *http.Request) {
				if strings.Count(r.URL.Path, "/") > 12 || r.URL.RawQuery != "" {
					says(404, "", `{"error":{"type":"ResourceNotFound"}}`)(w, r)
					return
				}
				says(200, "", test.answer(text))(w, r)
			}
			c := h.client(t)
			for _, text = range links {
				h.requests()
				ctx, cancel := context.WithTimeout(t.Context(), 20*time.Second)
				err := test.call(ctx, c)
				if ctx.Err() != nil {
					t.Errorf("%q: the call ended only at the deadline: %v", text, err)
				}
				cancel()
				if err := keep(err); err != nil && name != "created" && name != "Walk, keys" {
					t.Errorf("%.100q: %.500v", text, err)
				}
				for _, r := range h.requests() {
					hostileRequest(t, r)
					if p := r.URL.Path; test.root != "" && p != "/api/"+test.root && !strings.HasPrefix(p, "/api/"+test.root+"/") {
						t.Errorf("%q: %s %s is not below %s", text, r.Method, r.RequestURI, test.root)
					}
				}
			}
			h.done(t, c, nil)
		})
	}
}

// TestHostileEarlyAnswer checks uploads whose response arrives before the appliance has read
// the body, over a real connection whose buffers fill up.
func TestHostileEarlyAnswer(t *testing.T) {
	t.Parallel()
	const size = 64 << 20
	for name, test := range map[string]struct {
		answer string
		then   func(*tls.Conn)
		want   error // nil for any error
	}{
		"413, then reads":                  {"HTTP/1.1 413 No\r\nContent-Length: 0\r\n\r\n", func(c *tls.Conn) { io.Copy(io.Discard, c) }, sps.Status(413)},
		"413, then closes":                 {"HTTP/1.1 413 No\r\nContent-Length: 0\r\nConnection: close\r\n\r\n", func(c *tls.Conn) {}, nil},
		"413, then does not read":          {"HTTP/1.1 413 No\r\nContent-Length: 0\r\n\r\n", func(c *tls.Conn) { time.Sleep(3 * time.Second) }, sps.Status(413)},
		"200, then does not read":          {"HTTP/1.1 200 OK\r\nContent-Length: 35\r\n\r\n" + `{"key":"2","body":{"version":"1"}} `, func(c *tls.Conn) { time.Sleep(3 * time.Second) }, sps.ErrBadAnswer},
		"closed":                           {"", func(*tls.Conn) {}, nil},
		"100 Continue, then does not read": {"HTTP/1.1 100 Continue\r\n\r\n", func(c *tls.Conn) { time.Sleep(10 * time.Second) }, nil},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			listener, err := tls.Listen("tcp", "127.0.0.1:0", &tls.Config{Certificates: []tls.Certificate{hostileCertificate()}})
			if err != nil {
				t.Fatal(err)
			}
			defer listener.Close()
			go func() {
				for {
					conn, err := listener.Accept()
					if err != nil {
						return
					}
					go func() {
						defer conn.Close()
						reader := bufio.NewReader(conn)
						for {
							r, err := http.ReadRequest(reader)
							if err != nil {
								return
							}
							if r.Method == "POST" {
								io.WriteString(conn, test.answer)
								test.then(conn.(*tls.Conn))
								return
							}
							const slots = `{"items":[{"key":"2","body":{}}]}`
							fmt.Fprintf(conn, "HTTP/1.1 200 OK\r\nContent-Length: %d\r\n\r\n%s", len(slots), slots)
						}
					}()
				}
			}()
			limits := sps.DefaultTimeouts()
			limits.Stall, limits.Outcome = 2*time.Second, time.Second
			c, err := sps.Connect(t.Context(), listener.Addr().String(), sps.ExistingSession(sps.NewSecretString(hostileID)), sps.WithCABundle(hostileCA()), testkit.Quick, sps.WithTimeouts(limits))
			if err != nil {
				t.Fatal(err)
			}
			defer c.Close(t.Context())
			start := time.Now()
			slot, err := c.Firmware.Upload(t.Context(), spstest.Image("8.0.0", size), size)
			if err == nil || test.want != nil && !errors.Is(err, test.want) {
				t.Errorf("slot %+v, error %v, want %v", slot, err, test.want)
			}
			clearLine(t, err)
			if took := time.Since(start); took > 20*time.Second {
				t.Errorf("took %v", took)
			}
		})
	}
}
