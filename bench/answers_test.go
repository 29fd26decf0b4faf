package bench_test

import (
	"bytes"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"os"
	"slices"
	"strconv"
	"strings"
	"testing"
)

// answers are the responses of a server, by method and path.
type answers map[string]answer

type answer struct {
	status int
	body   []byte
}

// sample reads a sample response of the REST API guide, and removes the white space between
// its tokens.
func sample(tb testing.TB, name string) []byte {
	tb.Helper()
	data, err := os.ReadFile("../testdata/" + name + ".json")
	if err != nil {
		tb.Fatal(err)
	}
	var compact bytes.Buffer
	if err := json.Compact(&compact, data); err != nil {
		tb.Fatal(err)
	}
	return compact.Bytes()
}

// The paths of the benchmarks.
const (
	alertsPath      = "configuration/alerting/traffic_alerts"
	slotsPath       = "firmware/slots"
	slotPath        = "firmware/slots/1"
	testPath        = "firmware/test"
	storesPath      = "configuration/trust_stores"
	transactionPath = "transaction"
	loginPath       = "authentication"
)

// applianceAnswers returns the responses of an appliance whose state does not change.
func applianceAnswers(tb testing.TB) answers {
	tb.Helper()
	done := []byte(`{"meta":{"href":"/api/transaction","parent":"/api"}}`)
	return answers{
		"GET /api/" + loginPath: {200, []byte(`{"meta":{"href":"/api/authentication","parent":"/api"}}`)},
		// Log-out.
		"DELETE /api/" + loginPath: {200, []byte(`{"meta":{"href":"/api/authentication","parent":"/api"}}`)},
		"GET /api/" + alertsPath:   {200, sample(tb, "configuration_alerting_traffic_alerts.get")},
		"GET /api/" + slotsPath:    {200, sample(tb, "firmware_slots.list")},
		"GET /api/" + slotPath:     {200, slotAnswer},
		"GET /api/" + storesPath:   {200, storesAnswer(tb, 1000)},
		"POST /api/" + testPath:    {400, sample(tb, "firmware_test.failed")},
		// A transaction.
		"GET /api/" + transactionPath:    {200, []byte(`{"body":{"status":"closed"},"key":"transaction","meta":{"href":"/api/transaction","parent":"/api","remaining_seconds":600}}`)},
		"POST /api/" + transactionPath:   {200, done},
		"PUT /api/" + transactionPath:    {200, done},
		"DELETE /api/" + transactionPath: {200, done},
		"PUT /api/" + alertsPath:         {200, []byte(`{"key":"traffic_alerts","meta":{"href":"/api/configuration/alerting/traffic_alerts","parent":"/api/configuration/alerting"}}`)},
	}
}

// slotAnswer is a response of 250 bytes.
var slotAnswer = []byte(`{"body":{"after_reboot":false,"current":true,"upgrade_news":null,"upgrade_notes":"Read the upgrade guide before this upgrade, with care.","version":"7.4.0"},"key":"1","meta":{"href":"/api/firmware/slots/1","parent":"/api/firmware/slots","a":"b"}}`)

// storesAnswer returns a list of n trust stores. Each has the certificate of the sample in
// the REST API guide.
func storesAnswer(tb testing.TB, n int) []byte {
	tb.Helper()
	var one struct {
		Body map[string]any `json:"body"`
	}
	if err := json.Unmarshal(sample(tb, "configuration_trust_stores.custom"), &one); err != nil {
		tb.Fatal(err)
	}
	type item struct {
		Body map[string]any    `json:"body"`
		Key  string            `json:"key"`
		Meta map[string]string `json:"meta"`
	}
	list := struct {
		Items []item            `json:"items"`
		Meta  map[string]string `json:"meta"`
	}{Meta: map[string]string{"href": "/api/" + storesPath}}
	for i := range n {
		body := map[string]any{}
		for name, value := range one.Body {
			body[name] = value
		}
		body["name"] = fmt.Sprintf("Store %d", i)
		key := strconv.Itoa(i)
		list.Items = append(list.Items, item{body, key, map[string]string{"href": "/api/" + storesPath + "/" + key}})
	}
	data, err := json.Marshal(list)
	if err != nil {
		tb.Fatal(err)
	}
	return data
}

// of returns the response to a request.
func (a answers) of(method, path string) answer {
	if found, ok := a[method+" "+path]; ok {
		return found
	}
	return answer{404, []byte(`{"error":{"type":"ResourceNotFound","message":"` + method + " " + path + `"}}`)}
}

func (a answers) header(method, path string, body []byte) http.Header {
	header := http.Header{"Content-Type": {"application/json"}, "Content-Length": {strconv.Itoa(len(body))}, "Date": {"Tue, 24 Nov 2026 12:00:00 GMT"}}
	if method == http.MethodGet && strings.HasSuffix(path, "/api/"+loginPath) {
		header["Set-Cookie"] = []string{"session_id=0123456789abcdef0123456789abcdef; Path=/api; Secure; HttpOnly"}
	}
	return header
}

// memory is an http.RoundTripper that responds in the same process, without a connection.
// All compared clients use it.
type memory struct{ answers answers }

func (m memory) RoundTrip(r *http.Request) (*http.Response, error) {
	if r.Body != nil {
		if _, err := io.Copy(io.Discard, r.Body); err != nil {
			return nil, err
		}
		r.Body.Close()
	}
	found := m.answers.of(r.Method, r.URL.Path)
	return &http.Response{
		Status: http.StatusText(found.status), StatusCode: found.status, Proto: "HTTP/1.1", ProtoMajor: 1, ProtoMinor: 1,
		Header: m.answers.header(r.Method, r.URL.Path, found.body), Body: io.NopCloser(bytes.NewReader(found.body)),
		ContentLength: int64(len(found.body)), Request: r,
	}, nil
}

// ServeHTTP sends the same responses over a connection.
func (m memory) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	_, _ = io.Copy(io.Discard, r.Body)
	found := m.answers.of(r.Method, r.URL.Path)
	header := w.Header()
	for name, values := range m.answers.header(r.Method, r.URL.Path, found.body) {
		header[name] = slices.Clone(values)
	}
	w.WriteHeader(found.status)
	_, _ = w.Write(found.body)
}

// serve starts a TLS server on loopback with the responses.
func serve(tb testing.TB, a answers) *httptest.Server {
	tb.Helper()
	server := httptest.NewTLSServer(memory{a})
	tb.Cleanup(server.Close)
	return server
}
