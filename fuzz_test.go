package sps

import (
	"bytes"
	"context"
	"crypto/ed25519"
	"crypto/rand"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/json"
	"encoding/pem"
	"errors"
	"fmt"
	"io"
	"maps"
	"math/big"
	"net/http"
	"net/url"
	"os"
	"path"
	"path/filepath"
	"reflect"
	"runtime"
	"slices"
	"strings"
	"testing"
	"time"
	"unicode"
	"unicode/utf8"

	"github.com/go-sps/sps/internal/wire"
)

// This file has fuzz targets for the code that reads data from an appliance. Each test
// run includes their seeds. Fuzz one target with
//
//	go test -run '^$' -fuzz '^FuzzErrorAnswer$' -fuzztime 10m -fuzzminimizetime 20x .

// fuzzHost is a client of a simulated appliance. The function play returns the responses.
type fuzzHost struct {
	*Client
	play     func(*http.Request) (status int, header http.Header, body []byte)
	requests int
	cookie   string // Cookie header of the latest request
}

const fuzzSession = "5ec2e7f00d"

var jsonHeader = http.Header{"Content-Type": {"application/json"}}

func newFuzzHost(tb testing.TB) *fuzzHost {
	tb.Helper()
	h := &fuzzHost{}
	trip := fuzzTrip(func(r *http.Request) (*http.Response, error) {
		h.requests++
		h.cookie = r.Header.Get("Cookie")
		status, header, body := h.play(r)
		return &http.Response{
			StatusCode: status, Header: header.Clone(), Body: io.NopCloser(bytes.NewReader(body)), ContentLength: int64(len(body)),
			ProtoMajor: 1, ProtoMinor: 1, Request: r,
		}, nil
	})
	c, err := Connect(tb.Context(), "sps.test", ExistingSession(NewSecretString(fuzzSession)), fuzzOptions(trip)...)
	if err != nil {
		tb.Fatal(err)
	}
	h.Client = c
	return h
}

type fuzzTrip func(*http.Request) (*http.Response, error)

func (f fuzzTrip) RoundTrip(r *http.Request) (*http.Response, error) { return f(r) }

// fuzzOptions returns the options of a client that tries each request once and has no
// timeouts.
func fuzzOptions(trip http.RoundTripper) []Option {
	return []Option{
		WithTransport(func(http.RoundTripper) http.RoundTripper { return trip }),
		WithRetry(RetryPolicy{Attempts: 1}), WithTimeouts(Timeouts{Connect: -1, Read: -1, Write: -1, Commit: -1, Action: -1, Stall: -1}),
	}
}

// answers makes the appliance return the given response to each request. It also resets
// the session and the number of requests.
func (h *fuzzHost) answers(status int, header http.Header, body []byte) {
	h.renew()
	h.play = func(*http.Request) (int, http.Header, []byte) { return status, header, body }
}

func (h *fuzzHost) renew() {
	h.requests = 0
	h.reading.mu.Lock()
	defer h.reading.mu.Unlock()
	h.reading.current = newSession(fuzzSession, nil)
}

// opened returns a transaction that is already open on the appliance.
func (h *fuzzHost) opened(ctx context.Context) *Transaction {
	tx := h.newTransaction(ctx, &transactionOptions{})
	tx.session, tx.confirmed = h.reading.current, true
	tx.phase.Store(phaseOpen)
	return tx
}

// fuzzSamples returns the sample bodies of the guide, by the name of their file.
func fuzzSamples(tb testing.TB) map[string][]byte {
	tb.Helper()
	names, err := filepath.Glob("testdata/*.json")
	if err != nil || len(names) == 0 {
		tb.Fatalf("no sample: %v", err)
	}
	samples := make(map[string][]byte, len(names))
	for _, name := range names {
		if samples[filepath.Base(name)], err = os.ReadFile(name); err != nil {
			tb.Fatal(err)
		}
	}
	return samples
}

// nasty returns malformed and unusual bodies of responses.
func nasty() [][]byte {
	deep := func(open, end string, n int) string { return strings.Repeat(open, n) + strings.Repeat(end, n) }
	var all [][]byte
	for _, text := range []string{
		"", " ", "null", "{}", "[]", `""`, "0", "{", "\xff", "\xef\xbb\xbf{}",
		`{"body":null}`, `{"body":{}}`, `{"body":[]}`, `{"body":""}`, `{"body":0}`, `{"items":null}`, `{"items":{}}`, `{"items":[null]}`, `{"items":[{}]}`,
		`{"items":[{"key":null}]}`, `{"items":[{"key":""}]}`, `{"items":[{"key":".."}]}`, `{"items":[{"key":"a\u0000b"}]}`, `{"items":[{"key":"a\u2028b"},{"key":1}]}`,
		`{"items":[{"key":"1","body":{}},{"key":"1","body":{}}]}`,
		`{"body":{},"body":{}}`, `{"body":{"a":1,"a":2}}`, `{"body":{"a":1e999}}`, `{"body":{"a":-0}}`,
		`{"body":"\ud800"}`, `{"body":{"a\nb":"c\u001bd"}}`, `{"error":{}}`, `{"error":null}`, `{"error":false}`, `{"error":[]}`,
		`{"error":{"type":["x"],"message":{"a":1},"details":null}}`,
		`{"error":{"type":"a\nb","message":"\u001b[2J\u202e\u2028","details":"x\r\ny"}}`,
		"{\"error\":{\"type\":\"Unauthorized\",\"message\":\"\xff\xfe\"}}",
		`{"meta":{"href":1,"next":"?","remaining_seconds":1e30},"items":[]}`,
		`{"meta":{"href":"/api/..","next":"/api/%","remaining_seconds":-1},"items":[]}`,
		`{"key":{},"body":{}}`, `{"key":"x\ny","body":{}}`, `{"key":"` + strings.Repeat("k", 2000) + `","body":{}}`,
		`{"error":{"type":"` + strings.Repeat("T", 5000) + `","message":"` + strings.Repeat("ü", 5000) + `","details":"` + strings.Repeat(`\n`, 5000) + `"}}`,
		`{"error":` + deep("[", "]", 1000) + `}`,
		`{"body":` + deep("[", "]", 1000) + `}`,
		`{"body":` + deep(`{"a":`, "0", 500)[:500*5] + "0" + strings.Repeat("}", 500) + `}`,
		`{"items":[` + strings.TrimSuffix(strings.Repeat(`{"key":1},`, 300), ",") + `]}`,
	} {
		all = append(all, []byte(text))
	}
	return all
}

// checkLine checks that a text can be printed: it is one line, is valid UTF-8, has no
// control characters, and is not too long to read.
func checkLine(t *testing.T, what, text string) {
	t.Helper()
	checkLineOf(t, what, text, 4<<10)
}

func checkLineOf(t *testing.T, what, text string, limit int) {
	t.Helper()
	switch {
	case !utf8.ValidString(text):
		t.Errorf("%s is not valid UTF-8: %q", what, text[:min(len(text), limit)])
	case len(text) > limit:
		t.Errorf("%s has %d bytes: %q…", what, len(text), text[:200])
	case strings.ContainsFunc(text, func(r rune) bool { return !unicode.IsPrint(r) }):
		t.Errorf("%s has characters that cannot be printed: %q", what, text)
	}
}

// checkError checks the texts of an error and the errors that it unwraps to. The details
// of an Error must be valid JSON. err may be nil.
func checkError(t *testing.T, err error) {
	t.Helper()
	if err == nil {
		return
	}
	checkLine(t, "the error", err.Error())
	var refused *Error
	if errors.As(err, &refused) {
		checkRefusal(t, refused)
	}
	var broken *TransportError
	if errors.As(err, &broken) {
		checkLine(t, "the TransportError", broken.Error())
		checkLine(t, "its record", broken.LogValue().String())
	}
}

func checkRefusal(t *testing.T, e *Error) {
	t.Helper()
	checkLine(t, "the Error", e.Error())
	checkLine(t, "the message", e.Message)
	checkLine(t, "the record", e.LogValue().String())
	if e.Detail != nil {
		checkLine(t, "the detail", e.Detail.Error())
	}
	if e.Details != nil && wire.Valid(e.Details) != nil {
		t.Errorf("the details are not valid JSON: %q", e.Details)
	}
	if len(e.Details) > 9*maxDetails {
		t.Errorf("the details have %d bytes", len(e.Details))
	}
	if e.Type != "" && !errors.Is(e, e.Type) || !errors.Is(e, Status(e.Status)) {
		t.Errorf("the error does not unwrap to its type %q and its status %d", e.Type, e.Status)
	}
}

// checkValue checks that a decoded value can be encoded.
func checkValue(t *testing.T, value any) {
	t.Helper()
	if _, err := json.Marshal(value); err != nil {
		t.Errorf("%T does not encode: %v", value, err)
	}
}

// checkBodyOf encodes a body, decodes the result, and encodes it again. It checks that
// both encodings are the same.
func checkBodyOf[T any](t *testing.T, body T) {
	t.Helper()
	first, err := codec.Marshal(body)
	if err != nil {
		t.Fatalf("%T does not encode: %v", body, err)
	}
	var again T
	if err := wire.Unmarshal(first, &again); err != nil {
		t.Fatalf("%T cannot be decoded from its own encoding: %v: %s", body, err, first)
	}
	second, err := codec.Marshal(again)
	if err != nil || !bytes.Equal(first, second) {
		t.Errorf("%T differs after encoding and decoding, %v:\n%s\n%s", body, err, first, second)
	}
	checkValue(t, body)
}

// FuzzErrorAnswer fuzzes error responses: the status, the headers, the body, and the
// details of each error type. It checks that no text of an error shows a secret.
func FuzzErrorAnswer(f *testing.F) {
	kinds := []ErrorType{
		"", FirmwareTestFailed, IncompleteRequestBodyError, NotFound, ResourceNotFound, Unauthenticated, Unauthorized, SyntacticError, SemanticError, "Another",
	}
	for _, sample := range fuzzSamples(f) {
		if bytes.Contains(sample, []byte(`"error"`)) {
			f.Add(uint16(400), byte(0), sample, "", "", "")
		}
	}
	for i, body := range nasty() {
		f.Add(uint16(200+i*20), byte(i), body, "", "", "text/html")
		f.Add(uint16(500), byte(i), body, "https://%ff/", "120", "application/json; charset=utf-8")
	}
	for i, details := range []string{
		`"text"`, `["a","b"]`, `{"path":"/api/x"}`, `{"paths":["a",1]}`, `{"missing_paths":"slot_id"}`, `{"missing_paths":["a\nb"]}`,
		`{"mount_point":"/x\u2028","resource":"\u0000"}`, `{"exit_code":"1","test_summary":"a\nb"}`, `{"exit_code":1e9}`, `"a\u001b"`,
		`{"errors":[{"message":"a\nb","paths":["x"]},"y",7]}`, `[{"path":"x"}]`, `{"errors":null}`, `[[]]`, `12345678`, `{"secret":1234}`, `{"12345":true}`,
	} {
		for kind := range kinds {
			f.Add(uint16(400+i), byte(kind), []byte(details), "https://a\x7fb/", "Tue, 29 Oct 2030 16:56:32 GMT", "text/plain")
		}
		f.Add(uint16(403), byte(0), []byte(details), "//[::1]:80/", "99999999999999999999", "1234")
	}
	h := newFuzzHost(f)
	f.Fuzz(func(t *testing.T, status uint16, kind byte, data []byte, location, after, content string) {
		answer := 100 + int(status%900)
		h.answers(answer, http.Header{"Location": {location}, "Retry-After": {after}, "Content-Type": {content}}, data)
		_, err := h.Invoke(t.Context(), "GET", "x", nil)
		if h.requests != 1 {
			t.Errorf("%d requests", h.requests)
		}
		if err == nil && (answer < 200 || answer >= 300) {
			t.Errorf("status %d is success", answer)
		}
		checkError(t, err)

		// Use the data as the message and the details of an error, and the content type
		// as a secret.
		if wire.Valid(data) != nil {
			return
		}
		name := kinds[int(kind)%len(kinds)]
		member := wire.Join([]wire.Member{{Name: "type", Value: quotedJSON(string(name))}, {Name: "message", Value: data}, {Name: "details", Value: data}})
		e := newError(&call{method: "GET", path: infoPath}, answer, member, "", fuzzSession, content)
		checkRefusal(t, e)
		if e.Type != name {
			t.Errorf("type %q, want %q", e.Type, name)
		}
		if len(content) < 4 || strings.Trim(content, "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789") != "" || strings.Contains(redacted, content) {
			return
		}
		shown := e.Message + "\n" + string(e.Details)
		if e.Detail != nil {
			shown += "\n" + strings.TrimPrefix(e.Detail.Error(), "exit code unknown")
		}
		if strings.Contains(strings.TrimPrefix(shown, "an error member without a type and a message"), content) {
			for _, own := range []string{"exit code", "missing: ", "the response names no fault", "more", "below"} {
				if strings.Contains(own, content) {
					return
				}
			}
			t.Errorf("the secret %q is shown: %q", content, shown)
		}
	})
}

func quotedJSON(text string) []byte {
	quoted, err := json.Marshal(strings.ToValidUTF8(text, "\uFFFD"))
	if err != nil {
		panic(err)
	}
	return quoted
}

// FuzzHeader fuzzes the headers that the client reads: the cookie of the session,
// Retry-After, and Location. It also fuzzes host names, which the client compares with
// the domain of a cookie.
func FuzzHeader(f *testing.F) {
	for _, cookie := range []string{
		"session_id=abc", "session_id=abc; Path=/; HttpOnly; Secure", "session_id=abc; Path=/api", "session_id=abc; Path=/ap", "session_id=abc; Domain=sps.test",
		"session_id=abc; Domain=.test", "session_id=abc; Domain=other", `session_id="abc"`, "session_id=", "session_id=; Max-Age=0", "session_id=abc; Max-Age=-1",
		"session_id=a b", "session_id=a,b", `session_id="a b"`, `session_id="a,b"`, "session_id=a\r\nX: y", "session_id=a\tb", "session_id=\x80", "SESSION_ID=a", "session_id=a;session_id=b",
		" session_id = a ", "=a", ";", "session_id=" + strings.Repeat("a", 5000), `session_id=\`, `session_id=a"b`,
	} {
		f.Add(cookie, "session_id=next", "30", "sps.test", "/api/list/1")
		f.Add("x=y", cookie, "Wed, 21 Oct 2015 07:28:00 GMT", "[2001:db8::5]:8443", "https://sps.test/api/list/a%2fb")
	}
	for _, after := range []string{"-1", "+1", "1.5", "1e3", " 5", "2147483647", "2147483648", "18446744073709551616", "Mon, 01 Jan 0001 00:00:00 GMT", "Fri, 31 Dec 9999 23:59:59 GMT", "Monday, 02-Jan-06 15:04:05 GMT"} {
		f.Add("", "", after, "127.0.0.1:443", "list/%")
	}
	for _, host := range []string{"", ":", "a:", "a:0", "a:65536", "a:http", "[::1", "::1", "[::1%25eth0]", "fe80::1%eth0", "a b", "a@b", "a/b", "-", "..", "A.B:443", "[::ffff:1.2.3.4]:1", "1.2.3.4.5", "0x7f.1", "ü", "\u212aey.test", "fe80::1%et.\x82", "fe80::1%a\r\nb", "[fe80::1%a b]:1"} {
		f.Add("", "", "", host, "/api/list/")
	}
	for _, location := range []string{"https://%ff/", "https://\xff/", "https://a\u2028b/", "//u:p@h/", "https://" + strings.Repeat("h", 3000), "https://[::1%25\x1b]/", "%"} {
		f.Add("", "", "", "", location)
	}
	h := newFuzzHost(f)
	list := mustPath("list")
	f.Fuzz(func(t *testing.T, first, second, after, host, location string) {
		header := http.Header{"Set-Cookie": {first, second}, "Retry-After": {after}, "Location": {location}}
		checkID := func(id string) {
			if id != "" && !plainCookie(id) {
				t.Errorf("the invalid session id %q is accepted", id)
			}
		}
		checkID(sessionID(header, h.Host()))
		checkID(sessionID(header, host))
		if c := ExistingSession(NewSecretString(first)).credential(); c.invalid == nil {
			checkID(first)
		}
		if wait := retryAfter(header); wait < 0 {
			t.Errorf("Retry-After %q is %s", after, wait)
		}
		address, err := parseHost(host)
		checkError(t, err)
		if err == nil {
			u, err := url.Parse((&url.URL{Scheme: "https", Host: address, Path: "/api/x"}).String())
			if strings.ContainsFunc(address, func(r rune) bool { return r <= ' ' || r >= 0x7f }) {
				t.Errorf("the invalid host %q is accepted", address)
			}
			if err != nil || u.Host != address || u.User != nil || u.Path != "/api/x" {
				t.Errorf("host %q becomes %q, which is not valid in a URL: %v", host, address, err)
			}
			if again, err := parseHost(address); err != nil || again != address {
				t.Errorf("host %q becomes %q, which parses again as %q, %v", host, address, again, err)
			}
		}

		// If a response sets a new session cookie, the next request must send it.
		h.answers(200, header, []byte("{}"))
		for range 2 {
			_, err := h.Invoke(t.Context(), "GET", "x", nil)
			checkError(t, err)
		}
		if !strings.HasPrefix(h.cookie, "session_id=") || !plainCookie(strings.TrimPrefix(h.cookie, "session_id=")) {
			t.Errorf("the next request has Cookie: %q", h.cookie)
		}
		if id := sessionID(header, h.Host()); id != "" && h.cookie != "session_id="+id {
			t.Errorf("the next request has Cookie: %q, want the id %q", h.cookie, id)
		}

		a := &answer{header: header, exchange: &exchange{call: &call{method: "POST", path: list}, t: h.transport}}
		key, err := a.createdKey(list)
		checkError(t, err)
		if err == nil && key == "" {
			t.Error("a created object has no key")
		}
		a.status = 302
		checkLine(t, "what a redirect says", (&exchange{call: &call{}, t: h.transport, location: location}).describe(&http.Response{StatusCode: 302, Header: http.Header{}}))
	})
}

// plainCookie reports whether a server reads the value of a cookie unchanged.
func plainCookie(id string) bool {
	for _, b := range []byte(id) {
		if b <= ' ' || b >= 0x7f || b == '"' || b == ',' || b == ';' || b == '\\' {
			return false
		}
	}
	r := http.Request{Header: http.Header{"Cookie": {"session_id=" + id}}}
	cookies := r.Cookies()
	return len(cookies) == 1 && cookies[0].Value == id
}

// FuzzPath fuzzes texts that the client makes a path from: links in responses, paths from
// users, and keys. It checks that Client.Invoke sends no write to a path that a server
// could interpret as a path of the configuration.
func FuzzPath(f *testing.F) {
	for _, link := range []string{
		"", "/", "//", "api", "/api/", "/api/api/configuration", "info", "/api/firmware/slots/1", "audit/sessions?limit=5&limit=6", "configuration", "/api/configuration/management/email",
		"CONFIGURATION/x", "Configuration", "%63onfiguration", "%2563onfiguration/x", "x/../configuration", "x/%2e%2e/configuration", "x%2fconfiguration", "configuration%00", "configuration;a=b", "configuration#x",
		"%e2%84%aaonfiguration", "conf\u0130guration", "\u212aey", "transaction/x", "acl", "acl2", "cluster/nodes/1", "cluster", "cluster//nodes", "a\\b", "a%5cb", "x?%", "x?a;b", "a\u2028b", "\xff", strings.Repeat("a/", 3000) + "a",
		"configuration.", "configuration%20", "%2e/configuration", "./configuration", "...", ".%2e/x", "+configuration",
	} {
		f.Add(link, "x")
		f.Add("configuration/trust_stores", link)
	}
	h := newFuzzHost(f)
	f.Fuzz(func(t *testing.T, link, key string) {
		check := func(p apiPath) {
			if len(p.Text) > 1<<20 {
				return
			}
			u := url.URL{Scheme: "https", Host: "sps.test", Path: "/api/" + p.Plain(), RawPath: "/api/" + p.Escaped}
			if u.EscapedPath() != "/api/"+p.Escaped {
				t.Errorf("%q is sent as %q", p.Escaped, u.EscapedPath())
			}
			server, err := url.ParseRequestURI(u.RequestURI())
			if err != nil || server.Path != "/api/"+p.Plain() {
				t.Errorf("a server receives %q as %v, %v", p.Text, server, err)
			}
			if clean := path.Clean("/api/" + p.Plain()); clean != "/api/"+p.Plain() {
				t.Errorf("%q is cleaned to %q", p.Text, clean)
			}
			again, err := newPath(p.Text)
			if slashed := strings.Contains(strings.ToUpper(p.Text), "%2F"); !slashed && !strings.HasPrefix(p.Text, "api/") && p.Text != "api" && !strings.Contains(p.Text, "://") && (err != nil || again != p) {
				t.Errorf("%+v parsed again is %+v, %v", p, again, err)
			}
			if again, _, err := parseLink("/api/" + p.Escaped); !strings.Contains(p.Text, "://") && (err != nil || again != p) {
				t.Errorf("%+v parsed as a link is %+v, %v", p, again, err)
			}
			for _, form := range unfolded(p.Escaped) {
				if form.Below(append(transactional, "transaction")...) && !guarded(p) {
					t.Errorf("a server may read %q as %q, but guarded returns false", p.Text, form.Text)
				}
			}
		}
		p, query, err := parseLink(link)
		checkError(t, err)
		if err == nil {
			check(p)
			if again, err := url.ParseQuery(query.Encode()); err != nil || len(query) > 0 && !reflect.DeepEqual(query, again) {
				t.Errorf("the query %v becomes %v", query, again)
			}
			h.answers(200, jsonHeader, []byte("{}"))
			for _, method := range []string{"PUT", "POST", "DELETE"} {
				_, err := h.Invoke(t.Context(), method, link, nil)
				checkError(t, err)
			}
			if guarded(p) && h.requests > 0 {
				t.Errorf("%d writes to %q were sent", h.requests, link)
			}
		}
		if p, err := newPath(link); err != nil {
			checkError(t, err)
		} else {
			check(p)
		}
		if p, err := itemPath(trustStores.endpoint.path, key); err != nil {
			checkError(t, err)
		} else {
			check(p)
			if !guarded(p) || !p.Below(trustStores.endpoint.path.Text) || strings.Count(p.Text, "/") != 2 {
				t.Errorf("the key %q makes the path %q", key, p.Text)
			}
		}
		if slot := slotOfLink(link); slot != "" {
			if again := slotOfLink("/api/firmware/slots/" + url.PathEscape(slot)); again != slot {
				t.Errorf("slot %q of %q is %q", slot, link, again)
			}
		}
		if id, err := slotID(firmwareTestPath, key); err != nil {
			checkError(t, err)
		} else if wire.Valid([]byte(id)) != nil {
			t.Errorf("the slot_id of slot %q is not valid JSON: %s", key, id)
		}
		changePlace(link)
	})
}

// unfolded lists the paths that a server may read from an escaped path, for example after
// it decoded the path twice.
func unfolded(escaped string) []apiPath {
	var forms []apiPath
	seen := map[string]bool{}
	var add func(text string, depth int)
	add = func(text string, depth int) {
		if seen[text] || depth > 4 {
			return
		}
		seen[text] = true
		lower := strings.ToLower(text)
		for _, form := range []string{text, lower, path.Clean("/" + lower)[1:], path.Clean("/" + strings.ReplaceAll(lower, `\`, "/"))[1:]} {
			forms = append(forms, apiPath{Text: form})
		}
		for _, unfold := range []func(string) (string, error){url.PathUnescape, url.QueryUnescape} {
			if plain, err := unfold(text); err == nil {
				add(plain, depth+1)
			}
		}
	}
	add(escaped, 0)
	add(url.PathEscape(escaped), 0)
	return forms
}

// FuzzConfiguration fuzzes the responses of the configuration endpoints whose bodies have
// a Go type. It checks that a decoded body can be encoded and decoded again, and calls
// the methods of its type.
func FuzzConfiguration(f *testing.F) {
	kinds := 8
	samples := fuzzSamples(f)
	for name, kind := range map[string]byte{
		"configuration_alerting_traffic_alerts.get.json": 0, "configuration_alerting_system_alerts.get.json": 1, "configuration_management_email.get.json": 2,
		"configuration_management_snmp_trap.get.json": 3, "configuration_starling.joined.json": 4, "configuration_starling.not_joined.json": 4,
		"configuration_trust_stores.built_in.json": 5, "configuration_trust_stores.custom.json": 5, "configuration_trust_stores.list.json": 6,
		"configuration_rdp_connections.one.json": 7,
	} {
		f.Add(kind, samples[name])
	}
	for _, sample := range samples {
		f.Add(byte(7), sample)
	}
	for kind := range kinds {
		for _, body := range nasty() {
			f.Add(byte(kind), body)
		}
	}
	for kind, bodies := range map[byte][]string{
		0: {`{"a":{"email":true}}`, `{"a":{"snmp":null}}`, `{"a":{"email":"x"}}`, `{"a\nb":{"email":1}}`, `{"a":{"email":true,"snmp":false},"b":[],"c":{}}`},
		2: {`{"smtp_server":null,"smtp_auth":null}`, `{"smtp_server":{"selection":1,"value":{}},"sender_address":"x"}`, `{"smtp_auth":{"enabled":true,"x":1}}`, `{"smtp_server":{"value":"v"}}`, `{"smtp_encryption":{"selection":"starttls","value":"v","x":1}}`, `{"smtp_encryption":{"selection":1,"value":{}}}`},
		3: {`{"version":{"value":{"community":"c","server":null}}}`, `{"version":{"value":{"community":null}}}`, `{"version":{"value":null}}`},
		4: {`{"join_info":{}}`, `{"join_info":null,"remote_access":{"enabled":true}}`},
		5: {
			`{"name":"a\nb","authorities":[{"pem":"-----BEGIN CERTIFICATE-----\n-----END CERTIFICATE-----","subject":"s\u001b"}],"crl_urls":["http://u:p@h/\n","%"],"revocation_check":"x\n"}`,
			`{"authorities":[{}],"crl_urls":null}`, `{"authorities":null}`, `{"name":"` + strings.Repeat("n", 3000) + `"}`,
			`{"name":"many","authorities":[` + strings.TrimSuffix(strings.Repeat(`{"pem":""},`, 200), ",") + `]}`,
		},
		7: {`{"r":{"key":"1","meta":{"href":"/api/x"}},"n":{"key":null,"meta":{}}}`, `{"r":[]}`, `{"r":1.50}`, `{"r":"\u0061"}`},
	} {
		for _, body := range bodies {
			f.Add(kind, []byte(`{"key":"k","body":`+body+`,"meta":{}}`))
		}
	}
	h := newFuzzHost(f)
	f.Fuzz(func(t *testing.T, kind byte, answer []byte) {
		h.answers(200, jsonHeader, answer)
		ctx := t.Context()
		switch int(kind) % kinds {
		case 0:
			if o := got(h.Alerting.TrafficAlerts.Get(ctx)).in(t); o != nil {
				checkAlerts(t, o.Body)
			}
		case 1:
			if o := got(h.Alerting.SystemAlerts.Get(ctx)).in(t); o != nil {
				checkAlerts(t, o.Body)
			}
		case 2:
			if o := got(h.Management.Email.Get(ctx)).in(t); o != nil {
				checkBodyOf(t, o.Body)
			}
		case 3:
			if o := got(h.Management.SNMP.Trap.Get(ctx)).in(t); o != nil {
				checkBodyOf(t, o.Body)
			}
		case 4:
			if o := got(h.Starling.Configuration.Get(ctx)).in(t); o != nil {
				checkBodyOf(t, o.Body)
				checkError(t, changedStarling(&StarlingConfiguration{}, &o.Body))
			}
		case 5:
			e, _ := wire.ParseEnvelope(answer)
			key, _ := wire.Text(e.Key)
			if o := got(h.TrustStores.Get(ctx, key)).in(t); o != nil {
				checkTrustStore(t, o.Body)
			}
		case 6:
			list, err := h.TrustStores.List(ctx)
			checkError(t, err)
			for _, o := range list {
				checkTrustStore(t, o.Body)
			}
			if len(list) > 0 {
				_, err := h.TrustStores.GetByName(ctx, list[0].Body.Name)
				checkError(t, err)
			}
		case 7:
			if o := got(NewSingleton[map[string]Ref](h.Client, "configuration/x").Get(ctx)).in(t); o != nil {
				checkBodyOf(t, o.Body)
			}
			if o := got(NewSingleton[any](h.Client, "configuration/x").Get(ctx)).in(t); o != nil {
				checkBodyOf(t, o.Body)
			}
			if response, err := h.Invoke(ctx, "GET", "configuration/x", nil); err == nil {
				for _, v := range []any{new(map[string]map[string]int), new(map[string]any), new(struct {
					Body EmailSettings `json:"body"`
				})} {
					checkError(t, response.Decode(v))
				}
			}
		}
		if h.requests > 400 {
			t.Errorf("%d requests", h.requests)
		}
	})
}

// gotten is the result of a read.
type gotten[T any] struct {
	o   *Object[T]
	err error
}

func got[T any](o *Object[T], err error) gotten[T] { return gotten[T]{o, err} }

// in checks the result and returns the object, or nil if the read failed.
func (g gotten[T]) in(t *testing.T) *Object[T] {
	t.Helper()
	checkError(t, g.err)
	if g.err == nil {
		checkValue(t, g.o)
		g.o.Meta.Link("x")
	}
	return g.o
}

func checkAlerts[ID ~string](t *testing.T, alerts Alerts[ID]) {
	t.Helper()
	checkBodyOf(t, alerts)
	was := maps.Clone(alerts)
	checkError(t, alerts.Enable(ChannelEmail, "no such alert"))
	checkError(t, alerts.EnableAll(ChannelEmail))
	checkError(t, alerts.DisableAll(ChannelSNMP))
	for _, d := range was.Diff(alerts) {
		if d.Old == nil || d.New == nil || *d.Old == *d.New {
			t.Errorf("%q differs: %v, %v", d.Alert, d.Old, d.New)
		}
	}
	checkError(t, changedAlerts(&was, &alerts))
	checkError(t, changedAlerts(&was, &Alerts[ID]{"no such alert": {}}))
}

func checkTrustStore(t *testing.T, s TrustStore) {
	t.Helper()
	checkBodyOf(t, s)
	checkFaults := func(err error) { // Faults may return one fault for each authority and URL
		t.Helper()
		if err != nil {
			checkLineOf(t, "the error", err.Error(), 1000+500*(len(s.Authorities)+2*len(s.CRLURLs)))
		}
	}
	checkFaults(s.Validate())
	certificates, err := s.Certificates()
	checkFaults(err)
	if len(certificates) > len(s.Authorities) || (err == nil) != (len(certificates) == len(s.Authorities)) {
		t.Errorf("%d certificates for %d authorities, error %v", len(certificates), len(s.Authorities), err)
	}
	_, err = s.ExpiringBefore(time.Unix(1e9, 0))
	checkFaults(err)
	for _, c := range certificates {
		fingerprint := CertificateFingerprint(c)
		if a, err := s.Authority(fingerprint); err != nil {
			t.Errorf("an authority is not found: %v", err)
		} else if again, err := a.Certificate(); err != nil || !again.Equal(c) {
			t.Errorf("another authority is found: %v", err)
		}
		checkError(t, s.AddAuthority(c))
	}
	_, err = s.Authority(strings.Repeat("0", 64))
	checkError(t, err)
	for _, a := range s.Authorities {
		_, err = s.Authority(a.Fingerprint.Digest)
		checkError(t, err)
	}
	s.Authorities = slices.Clone(s.Authorities)
	if len(certificates) > 0 {
		if err := s.RemoveAuthority(CertificateFingerprint(certificates[0])); err != nil {
			t.Error(err)
		}
	}
	was := s
	s.Name += "x"
	checkError(t, changedTrustStore(&was, &s))
}

// FuzzStatus fuzzes the responses about the state of an appliance and its users. It
// checks the texts of the errors, and that decoded values can be encoded.
func FuzzStatus(f *testing.F) {
	kinds := 9
	for name, sample := range fuzzSamples(f) {
		for kind, prefix := range []string{"info", "user_info", "health_status", "cluster_status", "starling_join", "integrated_products", "transaction", "authentication", "setup"} {
			if strings.HasPrefix(name, prefix) {
				f.Add(byte(kind), sample)
			}
		}
	}
	for kind := range kinds {
		for _, body := range nasty() {
			f.Add(byte(kind), body)
		}
	}
	for kind, bodies := range map[byte][]string{
		0: {`{"body":{"firmware_version":7.4,"roles":"a","plugin_sdk_version":[],"analytics_enabled": true}}`, `{"body":{"firmware_version":"7","roles":[1,null]},"meta":{"remaining_seconds":1e8}}`},
		1: {`{"user":{"name":"a"},"login_method":"x","endpoints":[{"url":1,"methods":"GET"},[]]}`, `{"body":{"user":{"name":1},"login_method":{}}}`},
		2: {`{"health_status":{"cpu":"x","load1":1e999,"firmware":{"tainted_files":[]},"raid":{"disks":{"a":{"status":1}}}}}`, `{"body":{"health_status":{"sessions":{"a":1.5},"total_sessions":1,"sessions_total":2}}}`},
		3: {`{"items":[{"key":1,"health_status":{},"configuration_sync":{"issues":{"warnings":[{"message":1,"paths":"x"},"y"]}}}],"meta":{"self":"/"}}`},
		4: {`{"body":{"joined":"true"}}`, `{"body":{"joined":null,"product_tims":1}}`},
		5: {`{"warnings":["a\nb",{"message":["c",{"message":"d"}]}],"meta":{"warning":"\u001b"},"items":[{"name":"n","link":1,"activated":"true"}]}`, `{"message":"` + strings.Repeat("w", 3000) + `"}`,
			`{"error":{"message":"The credentials used for accessing Starling are invalid","details":["\n"]}}`},
		6: {`{"transaction":{"status":"open"},"body":{"commit_message":"required"}}`},
		7: {`{"login_methods":["a",{"name":1},[],null]}`, `{"login_methods":{}}`},
		8: {`{"status":"x\ny","meta":{"eula":1}}`},
	} {
		for _, body := range bodies {
			f.Add(kind, []byte(body))
		}
	}
	h := newFuzzHost(f)
	anonymous := fuzzOptions(fuzzTrip(func(r *http.Request) (*http.Response, error) {
		status, header, body := h.play(r)
		return &http.Response{StatusCode: status, Header: header, Body: io.NopCloser(bytes.NewReader(body)), ContentLength: int64(len(body)), Request: r}, nil
	}))
	f.Fuzz(func(t *testing.T, kind byte, answer []byte) {
		h.answers(200, jsonHeader, answer)
		ctx := t.Context()
		switch int(kind) % kinds {
		case 0:
			readWell(t)(h.Info(ctx))
		case 1:
			readWell(t)(h.UserInfo(ctx))
		case 2:
			readWell(t)(h.HealthStatus(ctx))
		case 3:
			readWell(t)(h.Cluster.Status(ctx))
		case 4:
			readWell(t)(h.Starling.JoinStatus(ctx))
			page, err := h.Starling.JoinPage(ctx)
			readWell(t)(page, err)
			e, _ := wire.ParseEnvelope(answer)
			body, err := StarlingJoinRequest{CredentialString: NewSecretString("x"), ProductInstance: "p"}.over(e.Body)
			checkError(t, err)
			if err != nil || wire.Valid(body) != nil {
				t.Errorf("the request body would be %s, error %v", body, err)
			}
		case 5:
			list, err := h.IntegratedProducts(ctx)
			readWell(t)(list, err)
			if err == nil {
				list.Warned(StarlingUnavailable)
				for _, w := range list.Warnings {
					checkLine(t, "a warning", w.Error())
				}
			}
		case 6:
			readWell(t)(h.TransactionStatus(ctx))
		case 7:
			readWell(t)(LoginMethods(ctx, "sps.test", anonymous...))
		case 8:
			readWell(t)(SetupStatus(ctx, "sps.test", anonymous...))
		}
	})
}

// readWell returns a function that checks the value and the error of a read.
func readWell(t *testing.T) func(value any, err error) {
	return func(value any, err error) {
		t.Helper()
		checkError(t, err)
		if err == nil {
			checkValue(t, value)
		}
	}
}

// FuzzJob fuzzes the responses about firmware and about jobs. It checks that
// Firmware.Test does not report success for a test that did not pass.
func FuzzJob(f *testing.F) {
	kinds := 11
	for name, sample := range fuzzSamples(f) {
		for kind, prefix := range map[byte]string{0: "firmware_slots.list", 1: "firmware_slots.one", 2: "firmware_test", 3: "firmware_upgrade", 4: "upload_firmware", 5: "troubleshooting", 9: "troubleshooting", 7: "firmware_fetch"} {
			if strings.HasPrefix(name, prefix) {
				f.Add(kind, sample)
			}
		}
	}
	for kind := range kinds {
		for _, body := range nasty() {
			f.Add(byte(kind), body)
		}
	}
	for kind, bodies := range map[byte][]string{
		0: {`{"items":[{"key":"1","body":{"version":7.4,"current":true}},{"key":"2","body":null}],"meta":{"number_of_empty_slots":-1,"current_slot":"/api/firmware/slots/9"}}`},
		1: {`{"key":"1","body":{"version":null,"current":"x"}}`},
		2: {`{"key":"1","body":"passed"}`, `{"key":null,"body":{"test_summary":"s","exit_code":0}}`, `{"body":{"test_summary":"s","exit_code":"1"}}`, `{"body":{"test_summary":1,"exit_code":[0]}}`, `{"body":{"test_summary":"s","exit_code":0.0}}`, `{"body":{"test_summary":"s","exit_code":null},"meta":{"slot":"/api/firmware/slots/2"}}`},
		4: {`{"key":"","body":null,"meta":{"slot":"/api/firmware/slots/3"}}`},
		5: {`{"body":{"status":"in-progress\u001b[2J","progress":"50%"}}`, `{"body":"finished","message":"a\nb"}`, `{"body":{"state":"Error","percent":1e2,"error":{"message":"m\n"}}}`, `{"body":{"status":"CANCELED","progress":"NaN"}}`, `{"body":{"status":"failed","progress":"0x1p-2","message":"` + strings.Repeat("m", 5000) + `"}}`},
		7: {`{"body":{"status":"queued","slot_id":2,"progress":101}}`, `{"body":{"status":"x","slot":"/api/firmware/slots/a%2fb"}}`},
		9: {`{"items":[{"key":"a","body":{"status":"finished"}},{"key":"b"}],"body":{"status":"finished"}}`},
	} {
		for _, body := range bodies {
			f.Add(kind, []byte(body))
			f.Add(kind+1, []byte(body))
		}
	}
	h := newFuzzHost(f)
	f.Fuzz(func(t *testing.T, kind byte, answer []byte) {
		h.answers(200, jsonHeader, answer)
		ctx, cancel := context.WithCancel(t.Context())
		defer cancel()
		once := func() { // cancels the context in the first poll of a wait
			h.play = func(*http.Request) (int, http.Header, []byte) {
				cancel()
				return 200, jsonHeader, answer
			}
		}
		looked := WithProgress(func(p Progress) {
			checkLine(t, "a state", p.State)
			if p.Percent != -1 && !(p.Percent >= 0 && p.Percent <= 100) {
				t.Errorf("%v percent", p.Percent)
			}
		})
		passed := func(report *FirmwareTestReport, err error) {
			t.Helper()
			readWell(t)(report, err)
			if err == nil {
				checkPassed(t, answer)
			}
		}
		switch int(kind) % kinds {
		case 0:
			slots, err := h.Firmware.Slots.List(ctx)
			readWell(t)(slots, err)
			if err == nil && (slots.EmptySlots < 0 || len(slots.Slots) > len(answer)/2) {
				t.Errorf("%d slots, %d of them empty", len(slots.Slots), slots.EmptySlots)
			}
		case 1:
			for _, key := range []string{"1", "2"} {
				readWell(t)(h.Firmware.Slots.Get(ctx, key))
				checkError(t, h.Firmware.Slots.Delete(ctx, key))
			}
			var image FirmwareImage
			e, _ := wire.ParseEnvelope(answer)
			if err := wire.Unmarshal(e.Body, &image); err != nil {
				checkLine(t, "the error of an image", err.Error())
			}
		case 2:
			passed(h.Firmware.Test(ctx, "1"))
		case 3:
			passed(h.Firmware.StartUpgrade(ctx, "1", WithMessage("message")))
		case 4:
			e, _ := wire.ParseEnvelope(answer)
			slot, err := uploadedSlot(h.answerOf(e))
			readWell(t)(slot, err)
			if err == nil && checkSlotKey(slotsPath, slot.Key) != nil {
				t.Errorf("the image is in slot %q", slot.Key)
			}
			u := &FirmwareUploadError{Known: true, Stored: slot, Err: errors.New("x")}
			checkLine(t, "an upload's error", u.Error())
		case 5:
			readWell(t)(h.Troubleshooting.SupportBundle.Get(ctx, "1"))
		case 6:
			key, err := h.Troubleshooting.SupportBundle.Start(ctx)
			readWell(t)(key, err)
			once()
			readWell(t)(h.Troubleshooting.SupportBundle.Wait(ctx, "1", looked))
			if err == nil && key == "" {
				t.Error("a bundle without a key")
			}
		case 7:
			readWell(t)(h.Firmware.Fetch.Get(ctx, "1"))
			checkError(t, h.Firmware.Fetch.Cancel(ctx, "1"))
		case 8:
			once()
			readWell(t)(h.Firmware.Fetch.Wait(ctx, "1", looked))
		case 9:
			readWell(t)(h.Troubleshooting.SupportBundle.List(ctx))
		case 10:
			readWell(t)(h.Firmware.Fetch.List(ctx))
		}
		if h.requests > 6+len(answer)/9 {
			t.Errorf("%d requests", h.requests)
		}
	})
}

// answerOf makes a successful response.
func (h *fuzzHost) answerOf(e wire.Envelope) *answer {
	return &answer{Envelope: e, status: 200, exchange: &exchange{call: &call{method: "GET", path: infoPath}, t: h.transport}}
}

// checkPassed is called if Firmware.Test reported success. It decodes the response with
// encoding/json and checks that the test passed and that it tested slot 1.
func checkPassed(t *testing.T, data []byte) {
	t.Helper()
	var e struct {
		Key  any
		Body any
		Meta struct{ Slot any }
	}
	decoder := json.NewDecoder(bytes.NewReader(bytes.TrimPrefix(data, []byte("\xef\xbb\xbf"))))
	decoder.UseNumber()
	members := map[string]json.RawMessage{}
	if err := decoder.Decode(&members); err != nil {
		t.Fatalf("Firmware.Test accepted a response that is not JSON: %v", err)
	}
	if text := string(members["error"]); text != "" && text != "null" {
		t.Errorf("Firmware.Test accepted a response with an error: %s", text)
	}
	for name, into := range map[string]any{"key": &e.Key, "body": &e.Body} {
		if members[name] != nil {
			d := json.NewDecoder(bytes.NewReader(members[name]))
			d.UseNumber()
			if err := d.Decode(into); err != nil {
				t.Fatal(err)
			}
		}
	}
	if e.Key != nil && fmt.Sprint(e.Key) != "1" {
		t.Errorf("Firmware.Test accepted a response about slot %v", e.Key)
	}
	switch body := e.Body.(type) {
	case map[string]any:
		if code := body["exit_code"]; code != nil && fmt.Sprint(code) != "0" {
			t.Errorf("Firmware.Test accepted the exit code %v", code)
		}
		switch body["test_summary"].(type) {
		case string, json.Number:
		default:
			t.Errorf("Firmware.Test accepted the summary %v", body["test_summary"])
		}
	case string, json.Number:
	default:
		t.Errorf("Firmware.Test accepted the body %v", body)
	}
}

// FuzzList fuzzes lists, their pages and Client.Walk. The fuzz input contains the bodies
// of several responses, separated by zero bytes. After the last one, the first one is
// returned again.
func FuzzList(f *testing.F) {
	kinds := 5
	samples := fuzzSamples(f)
	for name, sample := range samples {
		if strings.Contains(name, "list") {
			f.Add(byte(0), sample)
			f.Add(byte(1), slices.Concat(sample, []byte{0}, samples["configuration_management_email.get.json"]))
			f.Add(byte(2), sample)
		}
	}
	for kind := range kinds {
		for _, body := range nasty() {
			f.Add(byte(kind), body)
		}
		f.Add(byte(kind), bytes.Join(nasty()[:30], []byte{0}))
		for _, script := range [][]string{
			{`{"items":[{"key":"1","body":{"name":"a"}}],"meta":{"next":"/api/configuration/x?offset=1"}}`, `{"items":[{"key":"2","body":{}}],"meta":{"next":"/api/configuration/x?offset=2"}}`, `{"items":[]}`},
			{`{"items":[{"key":"1","body":{}}],"meta":{"next":"/api/configuration/x?offset=1"}}`, `{"items":[{"key":"1","body":{}}],"meta":{"next":"/api/configuration/x?offset=2"}}`},
			{`{"items":[{"key":"1","body":{}}],"meta":{"next":"/api/configuration/y?offset=1"}}`},
			{`{"items":[{"key":"1"},{"key":"2"}]}`, `{"key":"1","body":{"name":"x"}}`, `{"error":{"type":"ResourceNotFound"}}`},
			{`{"items":[{"key":"a","meta":{"href":"/api/configuration/x/b"}},{"key":"b","meta":{"href":"/api/configuration"}},{"key":"c","meta":{"href":"/api/configuration/x/%00"}}]}`, `{"items":[]}`},
			{`{"items":[{"key":"a"},{"key":"b"}]}`},
			{`{"items":[{"key":"a","meta":{"href":"/api/configuration/x` + strings.Repeat("/y", 4000) + `"}}]}`, `{"body":[]}`, `{"error":{"type":"Unauthorized"}}`},
			{`{"items":[{"key":"a\u2028b"},{"key":"\u202e"}]}`, `{"error":{"type":"Unauthorized"}}`},
			{`{"items":[{"key":"` + strings.Repeat("k", 900) + `"}]}`},
		} {
			f.Add(byte(kind), []byte(strings.Join(script, "\x00")))
		}
	}
	h := newFuzzHost(f)
	f.Fuzz(func(t *testing.T, kind byte, script []byte) {
		const most = 40
		answers := bytes.Split(script, []byte{0})
		h.renew()
		root := "/api/configuration/x"
		h.play = func(r *http.Request) (int, http.Header, []byte) {
			if r.Method != "GET" || r.URL.Path != root && !strings.HasPrefix(r.URL.Path, root+"/") {
				t.Errorf("the request is %s %s", r.Method, r.URL)
			}
			if len(r.URL.RawPath) > 16<<10 {
				t.Errorf("the request has a path of %d bytes", len(r.URL.RawPath))
			}
			if h.requests > most {
				return 404, jsonHeader, []byte(`{"error":{"type":"ResourceNotFound"}}`)
			}
			return 200, jsonHeader, answers[(h.requests-1)%len(answers)]
		}
		ctx := t.Context()
		switch int(kind) % kinds {
		case 0:
			readWell(t)(h.Listing(ctx, "configuration/x"))
		case 1:
			seen := map[string]bool{}
			for node, err := range h.Walk(ctx, "configuration/x") {
				checkError(t, err)
				if err != nil {
					break
				}
				checkError(t, node.Err)
				shown := *node
				shown.Err = nil
				checkValue(t, shown)
				if node.Err == nil && seen[node.Path] {
					t.Errorf("%q comes twice", node.Path)
				}
				seen[node.Path] = seen[node.Path] || node.Err == nil
				if node.Path == "" && node.Err != nil { // a key that cannot be part of a path
					node.Path = node.Parent
				}
				if node.Path != "configuration/x" && !strings.HasPrefix(node.Path, "configuration/x/") {
					t.Errorf("%q is not below the root", node.Path)
				}
			}
		case 2:
			list := NewCollection[any](h.Client, "configuration/x")
			count := 0
			for o, err := range list.All(ctx) {
				checkError(t, err)
				if err == nil {
					checkBodyOf(t, o.Body)
					checkValue(t, o)
				}
				if count++; count > len(script)*most+1 {
					t.Fatalf("%d objects", count)
				}
			}
		case 3:
			_, err := NewCollection[map[string]any](h.Client, "configuration/x").GetByName(ctx, "x")
			checkError(t, err)
		case 4:
			root = "/api/troubleshooting/support-bundle"
			readWell(t)(h.Troubleshooting.SupportBundle.List(ctx))
		}
		if h.requests > most*(2+len(script)/9) {
			t.Errorf("%d requests", h.requests)
		}
	})
}

// FuzzChanges fuzzes the list of changes of a transaction. It also fuzzes the detection
// of conflicts, which compares a change with the bodies that the transaction read and
// sent.
func FuzzChanges(f *testing.F) {
	samples := fuzzSamples(f)
	email := member(samples["configuration_management_email.get.json"], "body")
	for _, name := range []string{"transaction_changes.filled.json", "transaction_changes.empty.json"} {
		f.Add(samples[name], email, email, "/admin_address")
	}
	for name, sample := range samples {
		if body := member(sample, "body"); body != nil {
			f.Add(samples["transaction_changes.filled.json"], body, email, "#/"+name)
		}
	}
	for _, list := range nasty() {
		f.Add(list, list, []byte(`{"a":1}`), "")
		f.Add(slices.Concat([]byte(`{"changes":[{"type":"replace","path":"/api/configuration/x","old_value":`), list, []byte(`,"new_value":{}}]}`)), []byte(`{"a":[1,{"b":"c"}]}`), list, "")
	}
	for _, place := range []string{"/a", "#a/1/b", "/a/01", "/a/99999999999999999999", "//", "#", "a", "/a/-1", "/a/1/b/c", "\xff"} {
		f.Add([]byte(`{"changes":[{"type":1,"path":"configuration/x`+place+`","old_value":"d","old_order":[{"key":1},2,[]]},[]]}`), []byte(`{"a":[1,{"b":"c"}]}`), []byte(`{"a":[1,{"b":"e"}]}`), place)
	}
	h := newFuzzHost(f)
	f.Fuzz(func(t *testing.T, list, read, sent []byte, place string) {
		h.answers(200, jsonHeader, list)
		tx := h.opened(t.Context())
		defer tx.forget()
		defer tx.cancel(nil)
		object := mustPath("configuration/x")
		stage := func(read, sent []byte) (contradicts func(Change) bool) {
			tx := h.opened(t.Context())
			defer tx.forget()
			defer tx.cancel(nil)
			tx.staged.read(&call{method: "GET", path: object}, &answer{Envelope: wire.Envelope{Body: read}})
			tx.staged.write(&call{method: "PUT", path: object, body: sent}, &answer{})
			return tx.staged.contradicts
		}
		changes, err := tx.Changes(t.Context())
		readWell(t)(changes, err)
		if wire.Valid(read) != nil || wire.Valid(sent) != nil {
			return
		}
		contradicts := stage(read, sent)
		for _, change := range changes {
			checkLine(t, "a change", change.String())
			contradicts(change)
			change.Path = object.Text + place
			contradicts(change)
		}
		// A change whose old value is the value that was read is not a conflict, at any
		// place.
		steps := changePlace(place)
		change := Change{Type: ChangeReplace, Path: "/api/" + object.Text + place, OldValue: wire.At(bare(read), steps), NewValue: wire.At(bare(sent), steps)}
		if contradicts(change) {
			t.Errorf("a change of %s whose old value was read is a conflict: %s, %s", change.Path, read, sent)
		}
		// A change with another old value is a conflict, if its new value is the value
		// that was sent.
		within := func(value []byte) []byte { return bare(wire.Join([]wire.Member{{Name: "a", Value: value}})) }
		contradicts = stage(within(read), within(sent))
		change = Change{Type: ChangeReplace, Path: object.Text + "/a", OldValue: sent, NewValue: wire.At(within(sent), []string{"a"})}
		if want := wire.Differs(wire.At(within(read), []string{"a"}), bare(sent)); contradicts(change) != want {
			t.Errorf("a change with the old value %s, after %s was read, is a conflict: %t", sent, read, !want)
		}
	})
}

// fuzzCertificates returns the certificates of two authorities, and a certificate that is
// not an authority's, in DER form.
func fuzzCertificates(tb testing.TB) [][]byte {
	tb.Helper()
	key := ed25519.NewKeyFromSeed(make([]byte, ed25519.SeedSize))
	var all [][]byte
	for i, name := range []string{"one", "two\nlines \u202e", "none"} {
		template := &x509.Certificate{
			SerialNumber: big.NewInt(int64(i + 1)), Subject: pkix.Name{CommonName: name}, NotBefore: time.Unix(0, 0), NotAfter: time.Unix(2e9, 0),
			BasicConstraintsValid: true, IsCA: i < 2,
		}
		der, err := x509.CreateCertificate(rand.Reader, template, template, key.Public(), key)
		if err != nil {
			tb.Fatal(err)
		}
		all = append(all, der)
	}
	return all
}

// FuzzCertificate fuzzes certificates in PEM and DER form, fingerprints, and firmware
// versions.
func FuzzCertificate(f *testing.F) {
	block := func(der []byte) []byte { return pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: der}) }
	ders := fuzzCertificates(f)
	for _, der := range ders {
		f.Add(der, "", "7.4.0", "7.4")
		f.Add(block(der), strings.Repeat("aB", 32), "7.10", "7.9")
		f.Add(slices.Concat([]byte("text\n"), block(der), block(ders[0]), []byte("\n-----BEGIN \n")), strings.Repeat("00:", 31)+"00", "", ".")
	}
	for _, text := range []string{
		"", "-----BEGIN CERTIFICATE-----\n-----END CERTIFICATE-----\n", "-----BEGIN CERTIFICATE-----\nMAA=\n-----END CERTIFICATE-----\n", "-----BEGIN X\ny-----\n-----END X\ny-----\n",
		"-----BEGIN RSA PRIVATE KEY-----\nMAA=\n-----END RSA PRIVATE KEY-----\n", "-----BEGIN \x1b[2J-----\nMAA=\n-----END \x1b[2J-----\n", "-----BEGIN " + strings.Repeat("A", 3000) + "-----\nMAA=\n-----END " + strings.Repeat("A", 3000) + "-----\n",
	} {
		f.Add([]byte(text), text, text, "18446744073709551616")
	}
	for _, version := range []string{"1", "01", "-1", "+1", "1..2", "1.0.0.0", "1.a", "٣", "1_0", "0x1", "18446744073709551615", "7 .4", "5 F7"} {
		f.Add([]byte(nil), ": a:", version, "1.0")
	}
	f.Fuzz(func(t *testing.T, data []byte, fingerprint, a, b string) {
		certificates, err := ParseCertificates(data)
		checkError(t, err)
		if err == nil && (len(certificates) == 0 || bytes.Count(data, []byte("-----BEGIN ")) != len(certificates) || bytes.Contains(data, []byte("PRIVATE KEY-----"))) {
			t.Errorf("%d certificates are read", len(certificates))
		}
		if c, err := x509.ParseCertificate(data); err == nil {
			certificates = append(certificates, c)
		}
		s := NewTrustStore("name", certificates...)
		for i, c := range certificates {
			again, err := s.Authorities[i].Certificate()
			if err != nil || !again.Equal(c) {
				t.Errorf("certificate %d differs after encoding and decoding: %v", i, err)
			}
			if digits, err := parseFingerprint(CertificateFingerprint(c)); err != nil || formatFingerprint(digits) != CertificateFingerprint(c) {
				t.Errorf("the fingerprint %s becomes %q, %v", CertificateFingerprint(c), digits, err)
			}
		}
		checkTrustStore(t, s)
		checkTrustStore(t, TrustStore{Authorities: []TrustStoreAuthority{{PEM: string(data), Subject: a, Fingerprint: TrustStoreFingerprint{Digest: fingerprint}}}}.valid())
		_, err = newConfig([]Option{WithCABundle(data)})
		checkError(t, err)
		_, err = newConfig([]Option{WithPinnedCertificates(fingerprint, a)})
		checkError(t, err)
		if digits, err := parseFingerprint(fingerprint); err == nil {
			if again, err := parseFingerprint(formatFingerprint(digits)); err != nil || again != digits || len(digits) != 64 {
				t.Errorf("the fingerprint %q becomes %q, which becomes %q", fingerprint, digits, again)
			}
		} else {
			checkError(t, err)
		}

		order, ok := CompareVersions(a, b)
		if back, okBack := CompareVersions(b, a); back != -order || ok != okBack {
			t.Errorf("%q and %q compare as %d, %t, and in the reverse order as %d, %t", a, b, order, ok, back, okBack)
		}
		if ok && order == 0 != sameVersion(a, b) || !ok && sameVersion(a, b) != (a == b) {
			t.Errorf("%q and %q are the same version: %t", a, b, sameVersion(a, b))
		}
		if order, ok := CompareVersions(a, a+".0"); ok != dotted(a) || order != 0 {
			t.Errorf("CompareVersions treats %q as a dotted version: %t, %d", a, ok, order)
		}
		if order, ok := CompareVersions(a, a+".1"); ok && order != -1 {
			t.Errorf("%q is not below %[1]q.1: %d", a, order)
		}
	})
}

// valid replaces invalid UTF-8 in the texts of a store, because JSON cannot contain it.
func (s TrustStore) valid() TrustStore {
	for i, a := range s.Authorities {
		clean := func(text string) string { return strings.ToValidUTF8(text, "\uFFFD") }
		s.Authorities[i] = TrustStoreAuthority{PEM: clean(a.PEM), Subject: clean(a.Subject), Fingerprint: TrustStoreFingerprint{Digest: clean(a.Fingerprint.Digest)}}
	}
	return s
}

// dotted reports whether a text consists of decimal numbers with dots between them.
func dotted(text string) bool {
	for field := range strings.SplitSeq(text, ".") {
		n, ok := new(big.Int).SetString(field, 10)
		if !ok || strings.Trim(field, "0123456789") != "" || !n.IsUint64() {
			return false
		}
	}
	return true
}

// fuzzPartial is a type with fields for some members of a body.
type fuzzPartial struct {
	Name   string            `json:"name"`
	Count  float64           `json:"count"`
	Flag   bool              `json:"flag"`
	Sparse string            `json:"sparse,omitempty"`
	Labels map[string]string `json:"labels"`
	Ref    Ref               `json:"ref"`
	Inner  *fuzzPartial      `json:"inner"`
	List   []fuzzPartial     `json:"list"`
}

// fuzzEdit is one change in two forms: typed changes a value of the type, and parsed
// makes the same change in the parsed body.
type fuzzEdit struct{ typed, parsed func() }

// edits lists possible changes of a value. Each changes one place.
func (p *fuzzPartial) edits(document map[string]any) []fuzzEdit {
	list := []fuzzEdit{
		{func() { p.Name = "changed" }, func() { document["name"] = "changed" }},
		{func() { p.Count = 4711 }, func() { document["count"] = json.Number("4711") }},
		{func() { p.Flag = true }, func() { document["flag"] = true }},
		{func() { p.Sparse = "changed" }, func() { document["sparse"] = "changed" }},
		{func() { p.Ref = Ref{Key: "-9"} }, func() { document["ref"] = "-9" }},
		{func() { p.Labels = map[string]string{"x": "y"} }, nil},
	}
	if labels, ok := document["labels"].(map[string]any); ok {
		list[5] = fuzzEdit{func() { p.Labels["x"] = "changed" }, func() { labels["x"] = "changed" }}
	} else {
		list[5].parsed = func() { document["labels"] = map[string]any{"x": "y"} }
	}
	if !p.Flag && document["flag"] != nil || p.Flag {
		list[2] = fuzzEdit{func() { p.Flag = !p.Flag }, func() { document["flag"] = p.Flag }}
	}
	if inner, ok := document["inner"].(map[string]any); ok {
		list = append(list, p.Inner.edits(inner)...)
	}
	elements, _ := document["list"].([]any)
	forms := map[string]int{}
	for i := range elements {
		form, _ := codec.Marshal(p.List[i])
		forms[string(form)]++
	}
	for i, element := range elements {
		if element, ok := element.(map[string]any); ok {
			list = append(list, p.List[i].edits(element)...)
		}
		if form, _ := codec.Marshal(p.List[i]); forms[string(form)] == 1 {
			list = append(list, fuzzEdit{
				func() { p.List = slices.Delete(slices.Clone(p.List), i, i+1) },
				func() { document["list"] = slices.Delete(slices.Clone(elements), i, i+1) },
			})
		}
	}
	return list
}

// rewrite changes a parsed body. The bytes of program select the place and the kind of
// the change.
func rewrite(value any, program []byte) any {
	if len(program) == 0 {
		return value
	}
	values := []any{"changed", nil, true, "", map[string]any{}, []any{}, map[string]any{"key": "9", "meta": map[string]any{"href": "/api/x"}}, []any{"a", map[string]any{"b": nil}}}
	op, program := program[0], program[1:]
	fresh := values[int(op>>3)%len(values)]
	switch v := value.(type) {
	case map[string]any:
		names := slices.Sorted(maps.Keys(v))
		switch {
		case op%8 < 4 && len(names) > 0 && len(program) > 0: // continue inside a member
			name := names[int(program[0])%len(names)]
			v[name] = rewrite(v[name], program[1:])
		case op%8 == 4 && len(names) > 0 && len(program) > 0:
			delete(v, names[int(program[0])%len(names)])
		case op%8 == 5:
			v["added"] = fresh
		case op%8 == 6 && len(names) > 0 && len(program) > 0:
			v[names[int(program[0])%len(names)]] = fresh
		}
		return v
	case []any:
		at := 0
		if len(program) > 0 && len(v) > 0 {
			at = int(program[0]) % len(v)
		}
		switch {
		case len(v) == 0 || op%8 == 5:
			return slices.Insert(v, at, fresh)
		case op%8 < 4 && len(program) > 0:
			v[at] = rewrite(v[at], program[1:])
		case op%8 == 4:
			return slices.Delete(v, at, at+1)
		case op%8 == 6:
			v[at] = fresh
		case op%8 == 7:
			v[0], v[at] = v[at], v[0]
		}
		return v
	}
	return fresh
}

// parsed parses JSON; numbers keep their spelling.
func parsed(t *testing.T, data []byte) any {
	t.Helper()
	decoder := json.NewDecoder(bytes.NewReader(data))
	decoder.UseNumber()
	var value any
	if err := decoder.Decode(&value); err != nil {
		t.Fatalf("no JSON: %v: %s", err, data)
	}
	return value
}

// bareParsed replaces the references in a parsed body with their keys.
func bareParsed(value any, top bool) any {
	switch v := value.(type) {
	case map[string]any:
		meta, isObject := v["meta"].(map[string]any)
		if key, ok := v["key"]; ok && !top && len(v) == 2 && isObject {
			href, _ := meta["href"].(string)
			switch key.(type) {
			case nil:
				if len(meta) == 0 {
					return nil
				}
			case string, json.Number:
				if strings.HasPrefix(href, "/api/") {
					return key
				}
			}
		}
		for name := range v {
			v[name] = bareParsed(v[name], false)
		}
	case []any:
		for i := range v {
			v[i] = bareParsed(v[i], false)
		}
	}
	return value
}

// sameParsed reports whether two parsed values are equal. It compares numbers by their
// value, not by their spelling.
func sameParsed(a, b any) bool {
	switch a := a.(type) {
	case map[string]any:
		b, ok := b.(map[string]any)
		return ok && maps.EqualFunc(a, b, sameParsed)
	case []any:
		b, ok := b.([]any)
		return ok && slices.EqualFunc(a, b, sameParsed)
	case json.Number:
		b, ok := b.(json.Number)
		x, xerr := a.Float64()
		y, yerr := b.Float64()
		return ok && (a == b || xerr == nil && yerr == nil && x == y)
	}
	return reflect.DeepEqual(a, b)
}

// FuzzUpdateObject fuzzes updates of arbitrary bodies in a transaction. It checks that
// the members that the update function did not change are sent as they were read, with
// references replaced by their keys.
func FuzzUpdateObject(f *testing.F) {
	kinds := 8
	for name, sample := range fuzzSamples(f) {
		body := member(sample, "body")
		if body == nil {
			continue
		}
		for kind := range byte(2) {
			for _, program := range []string{"", "\x05", "\x04\x00", "\x00\x01\x06\x00", "\x00\x02\x00\x00\x04\x00", "\x00\x00\x00\x01\x07\x01", "\x03\x05\x03\x00\x03\x00\x0d\x00"} {
				f.Add(kind, body, []byte(program))
			}
		}
		for kind, prefix := range map[byte]string{3: "configuration_alerting_traffic", 4: "configuration_management_email", 5: "configuration_starling", 6: "configuration_trust_stores", 7: "configuration_management_snmp_trap"} {
			if strings.HasPrefix(name, prefix) {
				for n := range byte(6) {
					f.Add(kind, body, []byte{n, n})
				}
			}
		}
	}
	for _, body := range []string{
		`{"name":"a","count":1.0,"flag":null,"x":[{"key":"1","meta":{"href":"/api/y"}}],"labels":{"l":"m"},"ref":{"key":"-1","meta":{"href":"/api/z"}},"inner":{"u":1e2,"list":[{"v":1},{"v":2}]},"list":[{"name":"b","w":1},{"name":"c","w":2},null]}`,
		`{"list":[{"name":"same","u":1},{"name":"same","u":2},{"u":3},{"u":4}],"labels":null,"inner":null,"ref":null}`, `{"ref":5,"sparse":"","n":{"key":null,"meta":{}}}`,
		`{"meta":{},"key":1}`, `{"key":"1","meta":{"href":"/api/x"}}`, `{"a":{"key":"1","meta":{"href":"/api/x"},"more":1}}`, `[1.0,1,1.00]`, `{"a":9007199254740993,"b":[9007199254740992,9007199254740993]}`,
		strings.Repeat(`{"a":`, 120) + "1" + strings.Repeat("}", 120), strings.Repeat("[", 99) + `{"meta":0}` + strings.Repeat("]", 99), `{"a":"[sps.Secret]"}`, `{"\u0061":"\u0062","é":"\ud83d\ude00"}`,
	} {
		for n := range byte(30) {
			f.Add(byte(2), []byte(body), []byte{n})
		}
		for kind := range byte(2) {
			for _, program := range []string{"\x05\x00", "\x04\x01", "\x00\x00\x00\x00\x06\x00", "\x07\x01", strings.Repeat("\x00", 240) + "\x05"} {
				f.Add(kind, []byte(body), []byte(program))
			}
		}
	}
	h := newFuzzHost(f)
	f.Fuzz(func(t *testing.T, kind byte, body, program []byte) {
		if wire.Valid(body) != nil {
			return
		}
		var put []byte
		h.renew()
		envelope := slices.Concat([]byte(`{"key":"x","body":`), body, []byte(`}`))
		h.play = func(r *http.Request) (int, http.Header, []byte) {
			switch {
			case r.Method == "PUT":
				put, _ = io.ReadAll(r.Body)
				return 200, jsonHeader, []byte("{}")
			case strings.HasSuffix(r.URL.Path, "/configuration/trust_stores"):
				return 200, jsonHeader, []byte(`{"items":[]}`)
			}
			return 200, jsonHeader, envelope
		}
		want := parsed(t, body)
		document, _ := want.(map[string]any)
		if document == nil {
			document = map[string]any{}
		}
		nth := func(edits []fuzzEdit) {
			n := 0
			for _, b := range program {
				n = n<<8%len(edits) + int(b)
			}
			edit := edits[n%len(edits)]
			edit.typed()
			edit.parsed()
		}
		within := func(name string) map[string]any {
			inner, ok := document[name].(map[string]any)
			if !ok {
				inner = map[string]any{}
				document[name] = inner
			}
			return inner
		}
		ctx := t.Context()
		tx := h.opened(ctx)
		defer tx.forget()
		defer tx.cancel(nil)
		changed := false // set if the update function was called
		var err error
		switch int(kind) % kinds {
		case 0:
			err = NewSingleton[any](h.Client, "configuration/x").In(tx).Update(ctx, func(v *any) error {
				changed = true
				*v = rewrite(*v, program)
				want = rewrite(want, program)
				return nil
			})
		case 1:
			err = NewCollection[map[string]any](h.Client, "configuration/list").In(tx).Update(ctx, "x", func(v *map[string]any) error {
				if changed = *v != nil; changed {
					rewrite(*v, program)
					rewrite(want, program)
				}
				return nil
			})
		case 2:
			err = NewSingleton[fuzzPartial](h.Client, "configuration/x").In(tx).Update(ctx, func(v *fuzzPartial) error {
				if _, changed = want.(map[string]any); changed {
					nth(v.edits(document))
				}
				return nil
			})
		case 3:
			err = tx.Alerting.TrafficAlerts.Update(ctx, func(v *TrafficAlerts) error {
				changed = true
				ids := v.ids()
				if len(ids) == 0 || len(program) == 0 {
					return nil
				}
				id := ids[int(program[0])%len(ids)]
				setting := within(string(id))
				if on := !(*v)[id].Email; len(program)%2 == 0 {
					setting["email"] = on
					return v.set(on, ChannelEmail, []TrafficAlert{id})
				}
				setting["snmp"] = !(*v)[id].SNMP
				return v.set(!(*v)[id].SNMP, ChannelSNMP, []TrafficAlert{id})
			})
		case 4:
			err = tx.Management.Email.Update(ctx, func(v *EmailSettings) error {
				if _, changed = want.(map[string]any); !changed {
					return nil
				}
				nth([]fuzzEdit{
					{func() { v.AdminAddress = "changed" }, func() { document["admin_address"] = "changed" }},
					{func() { v.SenderAddress = new(string) }, func() { document["sender_address"] = "" }},
					{func() { v.SMTPServer.Value = "changed" }, func() {
						if _, ok := document["smtp_server"].(map[string]any); !ok {
							document["smtp_server"] = map[string]any{"selection": ""}
						}
						within("smtp_server")["value"] = "changed"
					}},
					{func() { v.SMTPAuth.Enabled = !v.SMTPAuth.Enabled }, func() { within("smtp_auth")["enabled"] = v.SMTPAuth.Enabled }},
				})
				return nil
			})
		case 5:
			err = tx.Starling.Configuration.Update(ctx, func(v *StarlingConfiguration) error {
				if _, changed = want.(map[string]any); changed {
					v.RemoteAccess.Enabled = !v.RemoteAccess.Enabled
					within("remote_access")["enabled"] = v.RemoteAccess.Enabled
				}
				return nil
			})
		case 6:
			err = tx.TrustStores.Update(ctx, "x", func(v *TrustStore) error {
				if _, changed = want.(map[string]any); !changed {
					return nil
				}
				edits := []fuzzEdit{
					{func() { v.Name = "changed" }, func() { document["name"] = "changed" }},
					{func() { v.RevocationCheck = RevocationFull }, func() { document["revocation_check"] = "full" }},
				}
				list, _ := document["authorities"].([]any)
				for i, a := range v.Authorities {
					if len(list) == len(v.Authorities) && slices.Index(v.Authorities, a) == i && !slices.Contains(v.Authorities[i+1:], a) {
						edits = append(edits, fuzzEdit{
							func() { v.Authorities = slices.Delete(v.Authorities, i, i+1) },
							func() { document["authorities"] = slices.Delete(list, i, i+1) },
						})
					}
				}
				nth(edits)
				return nil
			})
			if errors.Is(err, ErrInvalidInput) {
				checkError(t, err)
				return
			}
		case 7:
			err = tx.Management.SNMP.Trap.Update(ctx, func(v *SNMPTrap) error {
				if _, changed = want.(map[string]any); !changed {
					return nil
				}
				version := func() map[string]any {
					if _, ok := document["version"].(map[string]any); !ok {
						document["version"] = map[string]any{"selection": "", "value": map[string]any{"community": "", "server": map[string]any{"selection": ""}}}
					}
					return within("version")
				}
				nth([]fuzzEdit{
					{func() { v.Enabled = !v.Enabled }, func() { document["enabled"] = v.Enabled }},
					{func() { v.Version.Selection = "changed" }, func() { version()["selection"] = "changed" }},
					{func() { v.Version.Value.Community = NewSecretString("changed") }, func() {
						value, ok := version()["value"].(map[string]any)
						if !ok {
							value = map[string]any{"server": map[string]any{"selection": ""}}
							version()["value"] = value
						}
						value["community"] = "changed"
					}},
				})
				return nil
			})
		}
		checkError(t, err)
		switch {
		case errors.Is(err, ErrBadAnswer) && !changed:
			return // the body does not fit into the type
		case err != nil && strings.Contains(err.Error(), "nested more than 100 levels deep") && put == nil:
			return
		case errors.Is(err, ErrInvalidInput) && strings.Contains(err.Error(), "cannot be told apart") && put == nil:
			return
		case errors.Is(err, ErrInvalidInput) && strings.Contains(err.Error(), "the object has no member") && put == nil:
			return
		case errors.Is(err, ErrInvalidInput) && bytes.Contains(body, []byte(redacted)):
			return
		case err != nil:
			t.Fatalf("%v, of %s", err, body)
		case !changed && put != nil:
			t.Fatalf("%s was written without a change", put)
		case !changed:
			return
		}
		if put == nil {
			if was := parsed(t, body); !sameParsed(want, was) {
				t.Errorf("nothing was written, want %v; the body was %s", want, body)
			}
			return
		}
		if is := parsed(t, put); wire.Valid(put) != nil || !sameParsed(bareParsed(want, true), is) {
			t.Errorf("mismatch, of %s\nwant %v\ngot  %v", body, want, is)
		}
		if len(put) > 2*len(body)+1000+6*len(program) {
			t.Errorf("%d bytes became %d", len(body), len(put))
		}
	})
}

// TestMemoryOfAnswers checks that the memory for reading a response is limited to a
// multiple of its size, with responses that need much memory.
func TestMemoryOfAnswers(t *testing.T) {
	h := newFuzzHost(t)
	ctx := t.Context()
	list := func(entry, end string, n int) string {
		return strings.TrimSuffix(strings.Repeat(entry+",", n/len(entry)), ",") + end
	}
	answers := map[string]func(n int) string{
		"numbers":       func(n int) string { return `{"body":{"a":[` + list("1", "]}}", n/2) },
		"empty objects": func(n int) string { return `{"items":[` + list("{}", "]}", n*2/3) },
		"keys":          func(n int) string { return `{"items":[` + list(`{"key":1}`, "]}", n) },
		"bodies":        func(n int) string { return `{"items":[` + list(`{"key":"a","body":{}}`, "]}", n) },
		"nodes":         func(n int) string { return `{"items":[` + list(`{"health_status":{}}`, "]}", n) },
		"depth":         func(n int) string { return `{"body":` + strings.Repeat("[", n/2) + strings.Repeat("]", n/2) + "}" },
		"depth of 90": func(n int) string {
			return `{"body":[` + list(strings.Repeat(`[`, 90)+strings.Repeat(`]`, 90), "]}", n)
		},
		"text":        func(n int) string { return `{"body":"` + strings.Repeat("a", n) + `"}` },
		"escapes":     func(n int) string { return `{"body":{"a":"` + strings.Repeat(`\u0001`, n/6) + `"}}` },
		"members":     func(n int) string { return `{"body":{` + members(n, `"%d":1`) + "}}" },
		"alerts":      func(n int) string { return `{"body":{` + members(n, `"%d":{"email":true}`) + "}}" },
		"authorities": func(n int) string { return `{"key":"k","body":{"authorities":[` + list(`{}`, "]}}", n*2/3) },
		"urls":        func(n int) string { return `{"key":"k","body":{"crl_urls":[` + list(`""`, "]}}", n*2/3) },
		"warnings":    func(n int) string { return `{"warnings":[` + list(`""`, "]}", n*2/3) },
		"other warnings": func(n int) string {
			return `{"warnings":[` + strings.TrimPrefix(members(n, `"%d"`), ",") + "]}"
		},
		"endpoints": func(n int) string { return `{"user":{"name":"a"},"endpoints":[` + list(`{}`, "]}", n*2/3) },
		"changes":   func(n int) string { return `{"changes":[` + list(`{}`, "]}", n*2/3) },
		"methods":   func(n int) string { return `{"login_methods":[` + list(`""`, "]}", n*2/3) },
		"an error":  func(n int) string { return `{"error":{"type":"SemanticError","details":[` + list(`"a"`, "]}}", n) },
		"error paths": func(n int) string {
			return `{"error":{"type":"IncompleteRequestBodyError","details":{"missing_paths":[` + list(`""`, "]}}}", n*2/3)
		},
		"a long message": func(n int) string {
			return `{"error":{"type":"` + strings.Repeat("ü\\n", n/8) + `","message":"` + strings.Repeat("\\n", n/4) + `"}}`
		},
		"a secret": func(n int) string {
			return `{"error":{"message":"` + strings.Repeat(fuzzSession, n/20) + `","details":"` + strings.Repeat(fuzzSession, n/20) + `"}}`
		},
		"a wrong details": func(n int) string {
			return `{"error":{"type":"ResourceNotFound","details":{"` + strings.Repeat("x", n) + `":1}}}`
		},
	}
	readers := map[string]func() error{
		"Invoke":                func() error { _, err := h.Invoke(ctx, "GET", "x", nil); return err },
		"Info":                  func() error { _, err := h.Info(ctx); return err },
		"UserInfo":              func() error { _, err := h.UserInfo(ctx); return err },
		"Health":                func() error { _, err := h.HealthStatus(ctx); return err },
		"ClusterStatus":         func() error { _, err := h.Cluster.Status(ctx); return err },
		"TransactionStatus":     func() error { _, err := h.TransactionStatus(ctx); return err },
		"IntegratedProducts":    func() error { _, err := h.IntegratedProducts(ctx); return err },
		"JoinStatus":            func() error { _, err := h.Starling.JoinStatus(ctx); return err },
		"TrafficAlerts":         func() error { _, err := h.Alerting.TrafficAlerts.Get(ctx); return err },
		"Email":                 func() error { _, err := h.Management.Email.Get(ctx); return err },
		"SNMPTrap":              func() error { _, err := h.Management.SNMP.Trap.Get(ctx); return err },
		"TrustStores.Get":       func() error { _, err := h.TrustStores.Get(ctx, "k"); return err },
		"TrustStores.List":      func() error { _, err := h.TrustStores.List(ctx); return err },
		"TrustStores.GetByName": func() error { _, err := h.TrustStores.GetByName(ctx, "x"); return err },
		"StarlingConfiguration": func() error { _, err := h.Starling.Configuration.Get(ctx); return err },
		"Listing":               func() error { _, err := h.Listing(ctx, "x"); return err },
		"any":                   func() error { _, err := NewSingleton[any](h.Client, "x").Get(ctx); return err },
		"Slots":                 func() error { _, err := h.Firmware.Slots.List(ctx); return err },
		"Slot":                  func() error { _, err := h.Firmware.Slots.Get(ctx, "1"); return err },
		"Test":                  func() error { _, err := h.Firmware.Test(ctx, "1"); return err },
		"Fetch":                 func() error { _, err := h.Firmware.Fetch.Get(ctx, "1"); return err },
		"Changes": func() error {
			a, err := h.read(ctx, changesPath, nil)
			if err == nil {
				_, err = newChanges(a)
			}
			return err
		},
		"Update": func() error {
			tx := h.opened(ctx)
			defer tx.forget()
			return NewSingleton[map[string]any](h.Client, "configuration/x").In(tx).Update(ctx, func(v *map[string]any) error {
				(*v)["added"] = true
				return nil
			})
		},
	}
	for name, answer := range answers {
		for reader, read := range readers {
			var ratio [2]float64
			for i, size := range []int{3 << 10, 12 << 10} {
				body := []byte(answer(size))
				h.renew()
				h.play = func(r *http.Request) (int, http.Header, []byte) {
					if h.requests > 1 {
						return 404, jsonHeader, []byte(`{"error":{"type":"ResourceNotFound"}}`)
					}
					return 200, jsonHeader, body
				}
				var before, after runtime.MemStats
				runtime.ReadMemStats(&before)
				err := read()
				runtime.ReadMemStats(&after)
				if err != nil {
					checkLine(t, "the error", err.Error())
				}
				ratio[i] = float64(after.TotalAlloc-before.TotalAlloc) / float64(len(body))
			}
			if ratio[1] > 1000 || ratio[1] > 2*ratio[0]+10 {
				t.Errorf("%s needs memory for %s of %.0f times its size, and of %.0f times for a longer response", reader, name, ratio[0], ratio[1])
			}
		}
	}
}

// members returns about n bytes of members of an object.
func members(n int, format string) string {
	var b strings.Builder
	for i := 0; b.Len() < n; i++ {
		if i > 0 {
			b.WriteByte(',')
		}
		fmt.Fprintf(&b, format, i)
	}
	return b.String()
}
