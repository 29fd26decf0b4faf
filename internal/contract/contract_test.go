// Package contract tests the exact contents of requests, the decoding of the guide's samples,
// and the texts and types of errors.
package contract

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"go/ast"
	"io"
	"net/http"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"sync"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"
	"gopkg.in/h2non/gock.v1"

	"github.com/go-sps/sps"
	"github.com/go-sps/sps/internal/testkit"
)

// The contract tests compare the requests of the client with the guide. Mocks return the
// guide's samples from testdata as responses. The mocks are global, so no test in this file
// runs in parallel.

const (
	contractHost    = "sps1.example.com"
	contractSession = "a1f71d030e657634730b9e887cb59a5e56162860"
	contractCookie  = "session_id=" + contractSession
)

// contractExchange is a request that the client must send exactly, and the response to it.
type contractExchange struct {
	method, path string
	query        string
	body         string // JSON; "" for no body
	anonymous    bool   // sent without a session
	cookie       string // the session's cookie; "" for contractCookie
	ends         *contractSessions
	accept       string // the Accept header; "" for JSON
	basic        string // the credentials in the Authorization header
	status       int    // 0 for 200
	answer       string
	kind         string // the content type of the response; "" for JSON
	setCookie    string
}

// contractSessions contains the cookies of sessions that the client may log out in any order.
type contractSessions struct {
	mu   sync.Mutex
	left []string
}

// take returns the expected cookies of a log-out request that has the given cookies. If the
// request has exactly one cookie, and left contains that cookie, take removes it from left and
// returns it. Otherwise take returns all cookies in left.
func (s *contractSessions) take(cookies []string) []string {
	s.mu.Lock()
	defer s.mu.Unlock()
	if len(cookies) != 1 || !slices.Contains(s.left, cookies[0]) {
		return s.left
	}
	s.left = slices.DeleteFunc(s.left, func(left string) bool { return left == cookies[0] })
	return cookies
}

// contractRequest contains the parts of a request that the tests compare.
type contractRequest struct {
	Method, Scheme, Host, Path, Query  string
	Cookie, Authorization, ContentType []string
	Accept                             []string
	Body                               any
}

// contractMock prepares the mocks. The test fails if the client does not send exactly these
// requests in this order. gock ignores some differences in paths, queries and bodies, so
// contractMock also compares each request in full.
func contractMock(t *testing.T, exchanges ...contractExchange) {
	t.Helper()
	gock.OffAll()
	gock.DisableNetworking()
	t.Cleanup(gock.OffAll)
	t.Cleanup(func() {
		for _, mock := range gock.Pending() {
			t.Errorf("%s %s was not requested", mock.Request().Method, mock.Request().URLStruct.Path)
		}
		if !gock.IsDone() {
			t.Error("some exchanges did not take place")
		}
		for _, request := range gock.GetUnmatchedRequests() {
			t.Errorf("unexpected %s %s", request.Method, request.URL)
		}
		if gock.HasUnmatchedRequest() {
			t.Error("some requests were not expected")
		}
	})
	for _, x := range exchanges {
		matcher := gock.NewBasicMatcher()
		matcher.Set(append([]gock.MatchFunc{x.match(t)}, matcher.Get()...))
		mock := gock.New("https://" + contractHost).
			Path("^" + regexp.QuoteMeta(x.path) + "$").
			WithOptions(gock.Options{DisableRegexpHost: true})
		mock.Method = x.method
		mock.SetMatcher(matcher)
		status, kind := x.status, x.kind
		if status == 0 {
			status = http.StatusOK
		}
		if kind == "" {
			kind = "application/json"
		}
		reply := mock.Reply(status).SetHeader("Content-Type", kind).BodyString(x.answer)
		if x.setCookie != "" {
			reply.SetHeader("Set-Cookie", x.setCookie)
		}
	}
}

// match returns a strict matcher for an exchange. It reports every difference, because the
// requests come in a fixed order.
func (x contractExchange) match(t *testing.T) gock.MatchFunc {
	want := contractRequest{
		Method: x.method, Scheme: "https", Host: contractHost, Path: x.path, Query: x.query,
		Accept: []string{"application/json"},
	}
	if x.accept != "" {
		want.Accept = []string{x.accept}
	}
	switch {
	case x.cookie != "":
		want.Cookie = []string{x.cookie}
	case !x.anonymous:
		want.Cookie = []string{contractCookie}
	}
	if x.basic != "" {
		want.Authorization = []string{"Basic " + x.basic}
	}
	if x.body != "" {
		want.ContentType = []string{"application/json"}
		want.Body = contractJSON(t, []byte(x.body))
	}
	return func(r *http.Request, _ *gock.Request) (bool, error) {
		got := contractRequest{
			Method: r.Method, Scheme: r.URL.Scheme, Host: r.URL.Host, Path: r.URL.EscapedPath(), Query: r.URL.RawQuery,
			Cookie: r.Header["Cookie"], Authorization: r.Header["Authorization"],
			ContentType: r.Header["Content-Type"], Accept: r.Header["Accept"],
		}
		if r.Body != nil {
			data, err := io.ReadAll(r.Body)
			if err != nil {
				return false, err
			}
			r.Body.Close()
			r.Body = io.NopCloser(bytes.NewReader(data))
			if len(data) > 0 {
				got.Body = contractJSON(t, data)
			}
		}
		want := want
		if x.ends != nil {
			want.Cookie = x.ends.take(got.Cookie)
		}
		d := cmp.Diff(want, got)
		if d != "" {
			t.Errorf("request mismatch (-want +got):\n%s", d)
		}
		return d == "", nil
	}
}

// contractJSON decodes JSON. A number keeps its digits and differs from a string.
func contractJSON(t *testing.T, data []byte) any {
	decoder := json.NewDecoder(bytes.NewReader(data))
	decoder.UseNumber()
	var value any
	if err := decoder.Decode(&value); err != nil {
		t.Errorf("invalid JSON: %v: %s", err, data)
	}
	if _, err := decoder.Token(); err != io.EOF {
		t.Errorf("more than one JSON value: %s", data)
	}
	return value
}

// noNetwork is a RoundTripper that fails the test, because gock should have intercepted the
// request.
type noNetwork struct{ t *testing.T }

func (n noNetwork) RoundTrip(r *http.Request) (*http.Response, error) {
	n.t.Errorf("%s %s was not intercepted by the mocks", r.Method, r.URL)
	return nil, errors.New("no network in a contract test")
}

// contractOptions returns options that send each request to the mocks, without retries.
func contractOptions(t *testing.T) []sps.Option {
	transport := gock.NewTransport()
	transport.Transport = noNetwork{t}
	return []sps.Option{
		sps.WithTransport(func(http.RoundTripper) http.RoundTripper { return transport }),
		sps.WithRetry(sps.RetryPolicy{Attempts: 1}),
	}
}

// contractClient prepares the mocks for the exchanges. It returns a client with the session of
// the guide, which sends no request when it is created.
func contractClient(t *testing.T, exchanges ...contractExchange) *sps.Client {
	t.Helper()
	contractMock(t, exchanges...)
	c, err := sps.Connect(t.Context(), contractHost, sps.ExistingSession(sps.NewSecretString(contractSession)), contractOptions(t)...)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := c.Close(context.Background()); err != nil {
			t.Errorf("Close: %v", err)
		}
	})
	return c
}

// firmwareTestExchange returns the exchange of a firmware test of a slot.
func firmwareTestExchange(slot string, status int, answer string) contractExchange {
	return contractExchange{method: "POST", path: "/api/firmware/test", body: `{"slot_id": ` + slot + `}`, status: status, answer: answer}
}

// wantRefusal checks that err reports that the appliance refused the request with the given
// status and error type, and that it matches no other error type.
func wantRefusal(t *testing.T, err error, status int, errorType sps.ErrorType) *sps.Error {
	t.Helper()
	var refused *sps.Error
	if !errors.As(err, &refused) {
		t.Fatalf("got %v, want an *sps.Error", err)
	}
	testkit.Diff(t, "status", status, refused.Status)
	testkit.Diff(t, "type", errorType, refused.Type)
	if !errors.Is(err, sps.Status(status)) {
		t.Errorf("%v is not %v", err, sps.Status(status))
	}
	if errorType != "" && !errors.Is(err, errorType) {
		t.Errorf("%v is not %v", err, errorType)
	}
	same := map[sps.ErrorType]sps.ErrorType{sps.NotFound: sps.ResourceNotFound, sps.ResourceNotFound: sps.NotFound}
	for _, other := range declaredErrorTypes(t) {
		want := errorType != "" && (other == errorType || other == same[errorType])
		if got := errors.Is(err, other); got != want {
			t.Errorf("errors.Is(err, %s) = %t, want %t", other, got, want)
		}
	}
	if errors.Is(err, sps.ErrBadAnswer) || errors.Is(err, sps.ErrOutcomeUnknown) {
		t.Errorf("%v: a refusal must not match ErrBadAnswer or ErrOutcomeUnknown", err)
	}
	wantOneLine(t, err)
	return refused
}

// wantBadAnswer checks that err is ErrBadAnswer, which reports a response that cannot be used.
func wantBadAnswer(t *testing.T, err error) {
	t.Helper()
	if !errors.Is(err, sps.ErrBadAnswer) {
		t.Fatalf("got %v, want %v", err, sps.ErrBadAnswer)
	}
	var refused *sps.Error
	if errors.As(err, &refused) {
		t.Errorf("%v is a refusal too", err)
	}
	wantOneLine(t, err)
}

func wantOneLine(t *testing.T, err error) {
	t.Helper()
	if text := err.Error(); strings.ContainsAny(text, "\r\n") || strings.Contains(text, contractSession) {
		t.Errorf("the text has several lines or the session: %q", text)
	}
}

// declaredErrorTypes reads the error types from the source code, so that the tests notice a new
// one.
func declaredErrorTypes(t *testing.T) []sps.ErrorType {
	t.Helper()
	var types []sps.ErrorType
	for _, file := range testkit.SourceFiles(t, "") {
		ast.Inspect(file, func(n ast.Node) bool {
			spec, ok := n.(*ast.ValueSpec)
			if !ok {
				return true
			}
			if name, ok := spec.Type.(*ast.Ident); !ok || name.Name != "ErrorType" || !spec.Names[0].IsExported() {
				return true
			}
			for _, value := range spec.Values {
				types = append(types, sps.ErrorType(testkit.Must(strconv.Unquote(value.(*ast.BasicLit).Value))))
			}
			return true
		})
	}
	if len(types) == 0 {
		t.Fatal("no error type is declared")
	}
	return types
}

func TestContractIntegratedProducts(t *testing.T) {
	tests := []struct {
		sample string
		want   []sps.IntegratedProduct
	}{
		{"integrated_products.starling", []sps.IntegratedProduct{{Name: "Defender"}, {Name: "Connect"}, {Name: "Governance"}, {Name: "RemoteAccess"}}},
		{"integrated_products.spp", []sps.IntegratedProduct{{Name: "Safeguard for Privileged Passwords", Link: "https://10.10.10.10", Activated: true}}},
		{"integrated_products.starling_integrated", []sps.IntegratedProduct{
			{Name: "Defender", Link: "https://2fa.cloud.oneidentity.com", Activated: true},
			{Name: "Connect", Link: "https://connect.cloud.oneidentity.com", Activated: true},
			{Name: "Governance"},
		}},
		{"integrated_products.empty", nil},
	}
	for _, test := range tests {
		t.Run(test.sample, func(t *testing.T) {
			c := contractClient(t, contractExchange{method: "GET", path: "/api/integrated_products", answer: testkit.Sample(t, test.sample)})
			got, err := c.IntegratedProducts(t.Context())
			if err != nil {
				t.Fatal(err)
			}
			testkit.Diff(t, "products", &sps.IntegratedProducts{Products: test.want}, got)
		})
	}
}

func TestContractFirmwareListing(t *testing.T) {
	c := contractClient(t, contractExchange{method: "GET", path: "/api/firmware", answer: testkit.Sample(t, "firmware.listing")})
	got, err := c.Listing(t.Context(), "firmware")
	if err != nil {
		t.Fatal(err)
	}
	testkit.Diff(t, "links", []sps.ListingEntry{
		{Key: "fetch", Href: "/api/firmware/fetch"},
		{Key: "slots", Href: "/api/firmware/slots"},
		{Key: "test", Href: "/api/firmware/test"},
		{Key: "upgrade", Href: "/api/firmware/upgrade"},
	}, got.Entries)
	testkit.Diff(t, "meta", sps.Meta{Href: "/api/firmware", Parent: "/api"}, got.Meta, cmpopts.IgnoreUnexported(sps.Meta{}))
	for _, name := range []string{"fetch", "slots", "test", "upgrade"} {
		testkit.Diff(t, "link "+name, "/api/firmware/"+name, got.Meta.Link(name))
	}
}

// TestContractRawCall checks that Invoke returns the bytes of the response unchanged.
func TestContractRawCall(t *testing.T) {
	sample := testkit.Sample(t, "firmware.listing")
	c := contractClient(t, contractExchange{method: "GET", path: "/api/firmware", answer: sample})
	response, err := c.Invoke(t.Context(), "GET", "firmware", nil)
	if err != nil {
		t.Fatal(err)
	}
	testkit.Diff(t, "status", 200, response.StatusCode)
	testkit.Diff(t, "body", sample, string(response.Body))
	var got struct {
		Items []struct {
			Key string `json:"key"`
		} `json:"items"`
	}
	if err := response.Decode(&got); err != nil || len(got.Items) != 4 {
		t.Errorf("decoded %+v, %v", got, err)
	}
}

// These are the firmware images in the guide's samples.
var (
	runningImage = sps.FirmwareImage{Version: "6.5.0", Current: true, UpgradeNotes: "some notes"}
	nextImage    = sps.FirmwareImage{Version: "6.6.0", AfterReboot: true, UpgradeNotes: "some notes"}
	freeImage    = sps.FirmwareImage{Version: "6.7.0", UpgradeNotes: "some notes"}
)

func sampleSlot(key string, image sps.FirmwareImage) sps.FirmwareSlot {
	return sps.FirmwareSlot{Key: key, Meta: sps.Meta{Href: "/api/firmware/slots/" + key}, Body: image}
}

func TestContractSlotList(t *testing.T) {
	c := contractClient(t, contractExchange{method: "GET", path: "/api/firmware/slots", answer: testkit.Sample(t, "firmware_slots.list")})
	got, err := c.Firmware.Slots.List(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	want := &sps.FirmwareSlotList{
		Slots: []sps.FirmwareSlot{
			sampleSlot("1", runningImage), sampleSlot("2", nextImage), sampleSlot("3", sps.FirmwareImage{}),
			sampleSlot("4", freeImage), sampleSlot("5", sps.FirmwareImage{}),
		},
		CurrentSlot: "1", SlotAfterReboot: "2", EmptySlots: 2,
	}
	testkit.Diff(t, "slots", want, got, cmpopts.IgnoreUnexported(sps.Meta{}))
	for _, slot := range got.Slots {
		if empty := slot.Key == "3" || slot.Key == "5"; slot.Body.Empty() != empty {
			t.Errorf("slot %s: Empty() = %t, want %t", slot.Key, !empty, empty)
		}
	}
}

func TestContractSlot(t *testing.T) {
	c := contractClient(t, contractExchange{method: "GET", path: "/api/firmware/slots/1", answer: testkit.Sample(t, "firmware_slots.one")})
	got, err := c.Firmware.Slots.Get(t.Context(), "1")
	if err != nil {
		t.Fatal(err)
	}
	want := sampleSlot("1", runningImage)
	want.Meta.Parent = "/api/firmware/slots"
	testkit.Diff(t, "slot", &want, got, cmpopts.IgnoreUnexported(sps.Meta{}))
}

func TestContractSlotDelete(t *testing.T) {
	const free = `{"body":{"after_reboot":false,"current":false,"upgrade_news":null,"upgrade_notes":"some notes","version":"6.7.0"},
		"key":"4","meta":{"href":"/api/firmware/slots/4","parent":"/api/firmware/slots"}}`
	// The guide does not show the response to this request.
	answers := []struct {
		name   string
		status int
		answer string
	}{
		{"empty slot", 200, `{"body":{},"key":"4","meta":{"href":"/api/firmware/slots/4"}}`},
		{"meta only", 200, `{"meta":{"href":"/api/firmware/slots/4"}}`},
		{"nothing", 200, ""},
		{"no content", 204, ""},
	}
	for _, test := range answers {
		t.Run(test.name, func(t *testing.T) {
			c := contractClient(t,
				contractExchange{method: "GET", path: "/api/firmware/slots/4", answer: free},
				contractExchange{method: "DELETE", path: "/api/firmware/slots/4", status: test.status, answer: test.answer})
			if err := c.Firmware.Slots.Delete(t.Context(), "4"); err != nil {
				t.Error(err)
			}
		})
	}
	t.Run("refused", func(t *testing.T) {
		c := contractClient(t,
			contractExchange{method: "GET", path: "/api/firmware/slots/4", answer: free},
			contractExchange{method: "DELETE", path: "/api/firmware/slots/4", status: 403, answer: `{"error":{"type":"ForbiddenActionError"}}`})
		wantRefusal(t, c.Firmware.Slots.Delete(t.Context(), "4"), 403, sps.ForbiddenActionError)
	})
	t.Run("by a raw call", func(t *testing.T) {
		c := contractClient(t, contractExchange{method: "DELETE", path: "/api/firmware/slots/4", answer: `{}`})
		if _, err := c.Invoke(t.Context(), "DELETE", "firmware/slots/4", nil); err != nil {
			t.Error(err)
		}
	})
	for name, test := range map[string]string{
		"running":      strings.Replace(free, `"current":false`, `"current":true`, 1),
		"after reboot": strings.Replace(free, `"after_reboot":false`, `"after_reboot":true`, 1),
	} {
		t.Run("in use: "+name, func(t *testing.T) {
			c := contractClient(t, contractExchange{method: "GET", path: "/api/firmware/slots/4", answer: test})
			if err := c.Firmware.Slots.Delete(t.Context(), "4"); !errors.Is(err, sps.ErrSlotInUse) {
				t.Errorf("got %v, want %v", err, sps.ErrSlotInUse)
			}
		})
	}
}

func TestContractFirmwareTestPassed(t *testing.T) {
	tests := []struct{ sample, want string }{
		{"firmware_test.success", "HA check started\nHA check finished"},
		{"firmware_test.success_short", "..."},
	}
	for _, test := range tests {
		t.Run(test.sample, func(t *testing.T) {
			x := firmwareTestExchange("1", 200, testkit.Sample(t, test.sample))
			x.body = testkit.Sample(t, "firmware_test.request")
			got, err := contractClient(t, x).Firmware.Test(t.Context(), "1")
			if err != nil {
				t.Fatal(err)
			}
			testkit.Diff(t, "report", &sps.FirmwareTestReport{SlotKey: "1", TestSummary: test.want}, got)
		})
	}
}

// firmwareRefusals lists the error responses to a firmware test, with their details.
var firmwareRefusals = []struct {
	sample    string
	errorType sps.ErrorType
	message   string
	details   string
	detail    error
	short     error
}{
	{
		"firmware_test.missing_slot_id", sps.IncompleteRequestBodyError, "Some paths were missing from the request body",
		`{"missing_paths":["slot_id"]}`, &sps.IncompleteRequestBodyErrorDetails{Paths: []string{"slot_id"}}, nil,
	},
	{
		"firmware_test.empty_slot", sps.ResourceNotFound, "Resource was not found",
		`{"mount_point":"/firmware/test","resource":"3"}`, &sps.ResourceNotFoundDetails{MountPoint: "firmware/test", Resource: "3"}, nil,
	},
	{
		"firmware_test.failed", sps.FirmwareTestFailed, "The firmware test failed",
		`{"exit_code":1,"test_summary":"HA check started\nHA check failed"}`,
		&sps.FirmwareTestFailedDetails{ExitCode: 1, TestSummary: "HA check started\nHA check failed"},
		&sps.FirmwareTestFailedDetails{ExitCode: sps.ExitCodeUnknown},
	},
}

// detailOf returns the typed details of an error, or nil.
func detailOf(err error) error {
	var failure *sps.FirmwareTestFailedDetails
	var paths *sps.IncompleteRequestBodyErrorDetails
	var resource *sps.ResourceNotFoundDetails
	var syntactic *sps.SyntacticErrorDetails
	var unauthenticated *sps.UnauthenticatedDetails
	var unauthorized *sps.UnauthorizedDetails
	var open *sps.OpenTransactionErrorDetails
	var semantic *sps.SemanticErrorDetails
	switch {
	case errors.As(err, &failure):
		return failure
	case errors.As(err, &paths):
		return paths
	case errors.As(err, &resource):
		return resource
	case errors.As(err, &syntactic):
		return syntactic
	case errors.As(err, &unauthenticated):
		return unauthenticated
	case errors.As(err, &unauthorized):
		return unauthorized
	case errors.As(err, &open):
		return open
	case errors.As(err, &semantic):
		return semantic
	}
	return nil
}

// TestContractFirmwareTestRefused checks the error responses to a firmware test. The guide
// prints no status for them, so the client must recognize them with every status.
func TestContractFirmwareTestRefused(t *testing.T) {
	for _, status := range []int{200, 400, 404, 409, 422, 500} {
		for _, test := range firmwareRefusals {
			t.Run(fmt.Sprintf("%s/%d", test.sample, status), func(t *testing.T) {
				c := contractClient(t, firmwareTestExchange("3", status, testkit.Sample(t, test.sample)))
				report, err := c.Firmware.Test(t.Context(), "3")
				if report != nil {
					t.Errorf("a report was returned with the error: %+v", report)
				}
				refused := wantRefusal(t, err, status, test.errorType)
				testkit.Diff(t, "message", test.message, refused.Message)
				testkit.Diff(t, "operation", "POST firmware/test", refused.Method+" "+refused.Path)
				testkit.Diff(t, "details", contractJSON(t, []byte(test.details)), contractJSON(t, refused.Details))
				testkit.Diff(t, "detail", test.detail, detailOf(err))
			})
			t.Run(fmt.Sprintf("%s_short/%d", test.sample, status), func(t *testing.T) {
				c := contractClient(t, firmwareTestExchange("3", status, testkit.Sample(t, test.sample+"_short")))
				report, err := c.Firmware.Test(t.Context(), "3")
				if report != nil {
					t.Errorf("a report was returned with the error: %+v", report)
				}
				refused := wantRefusal(t, err, status, test.errorType)
				testkit.Diff(t, "message", "", refused.Message)
				testkit.Diff(t, "details", 0, len(refused.Details))
				testkit.Diff(t, "detail", test.short, detailOf(err))
			})
		}
	}
}

func TestContractFirmwareTestWithoutSlot(t *testing.T) {
	for _, sample := range []string{"firmware_test.missing_slot_id", "firmware_test.missing_slot_id_short"} {
		t.Run(sample, func(t *testing.T) {
			x := firmwareTestExchange("", 400, testkit.Sample(t, sample))
			x.body = testkit.Sample(t, "firmware_test.request_missing_slot_id")
			_, err := contractClient(t, x).Invoke(t.Context(), "POST", "firmware/test", map[string]any{})
			wantRefusal(t, err, 400, sps.IncompleteRequestBodyError)
		})
	}
}

// TestContractFirmwareErrorDetails checks error details in the forms of the guide's table and
// of its samples, and in undocumented forms.
func TestContractFirmwareErrorDetails(t *testing.T) {
	tests := []struct {
		name, answer string
		errorType    sps.ErrorType
		detail       error
	}{
		{
			"resource as a number", `{"error":{"type":"ResourceNotFound","details":{"mount_point":"/firmware/test","resource":3}}}`,
			sps.ResourceNotFound, &sps.ResourceNotFoundDetails{MountPoint: "firmware/test", Resource: "3"},
		},
		{
			"resource only", `{"error":{"type":"ResourceNotFound","details":{"resource":"3"}}}`,
			sps.ResourceNotFound, &sps.ResourceNotFoundDetails{Resource: "3"},
		},
		{
			"the other name", `{"error":{"type":"NotFound","details":{"mount_point":"/firmware/test","resource":"3"}}}`,
			sps.NotFound, &sps.ResourceNotFoundDetails{MountPoint: "firmware/test", Resource: "3"},
		},
		{
			"several missing paths", `{"error":{"type":"IncompleteRequestBodyError","details":{"missing_paths":["slot_id","message"]}}}`,
			sps.IncompleteRequestBodyError, &sps.IncompleteRequestBodyErrorDetails{Paths: []string{"slot_id", "message"}},
		},
		{
			"missing paths as a text", `{"error":{"type":"IncompleteRequestBodyError","details":{"missing_paths":"slot_id"}}}`,
			sps.IncompleteRequestBodyError, &sps.IncompleteRequestBodyErrorDetails{Paths: []string{"slot_id"}},
		},
		{
			"no missing path", `{"error":{"type":"IncompleteRequestBodyError","details":{"missing_paths":[]}}}`,
			sps.IncompleteRequestBodyError, nil,
		},
		{
			"details as a text", `{"error":{"type":"FirmwareTestFailed","details":"no space left"}}`,
			sps.FirmwareTestFailed, &sps.FirmwareTestFailedDetails{ExitCode: sps.ExitCodeUnknown, TestSummary: "no space left"},
		},
		{
			"details as a text of another type", `{"error":{"type":"ResourceNotFound","details":"slot 3"}}`,
			sps.ResourceNotFound, nil,
		},
		{
			"details null", `{"error":{"type":"FirmwareTestFailed","details":null}}`,
			sps.FirmwareTestFailed, &sps.FirmwareTestFailedDetails{ExitCode: sps.ExitCodeUnknown},
		},
		{
			"details a list", `{"error":{"type":"FirmwareTestFailed","details":["no space left"]}}`,
			sps.FirmwareTestFailed, &sps.FirmwareTestFailedDetails{ExitCode: sps.ExitCodeUnknown},
		},
		{
			"exit code as a string", `{"error":{"type":"FirmwareTestFailed","details":{"exit_code":"1","test_summary":"x"}}}`,
			sps.FirmwareTestFailed, &sps.FirmwareTestFailedDetails{ExitCode: 1, TestSummary: "x"},
		},
		{
			"exit code 0", `{"error":{"type":"FirmwareTestFailed","details":{"exit_code":0}}}`,
			sps.FirmwareTestFailed, &sps.FirmwareTestFailedDetails{ExitCode: sps.ExitCodeUnknown},
		},
		{
			"exit code null", `{"error":{"type":"FirmwareTestFailed","details":{"exit_code":null,"test_summary":null}}}`,
			sps.FirmwareTestFailed, &sps.FirmwareTestFailedDetails{ExitCode: sps.ExitCodeUnknown},
		},
		{
			"exit code of a wrong kind", `{"error":{"type":"FirmwareTestFailed","details":{"exit_code":{},"test_summary":["x"]}}}`,
			sps.FirmwareTestFailed, &sps.FirmwareTestFailedDetails{ExitCode: sps.ExitCodeUnknown},
		},
		{
			"unknown members", `{"error":{"type":"FirmwareTestFailed","severity":3,"details":{"exit_code":1,"test_summary":"x","node":"a"},"hint":{}},"trace":[]}`,
			sps.FirmwareTestFailed, &sps.FirmwareTestFailedDetails{ExitCode: 1, TestSummary: "x"},
		},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			c := contractClient(t, firmwareTestExchange("3", 200, test.answer))
			_, err := c.Firmware.Test(t.Context(), "3")
			wantRefusal(t, err, 200, test.errorType)
			testkit.Diff(t, "detail", test.detail, detailOf(err))
		})
	}
}

// TestContractErrorTypes checks each error type with the status that the guide prints for it.
func TestContractErrorTypes(t *testing.T) {
	read := func(path string) contractExchange { return contractExchange{method: "GET", path: "/api/" + path} }
	join := contractExchange{method: "POST", path: "/api/starling/join", body: `{"credential_string":"x"}`}
	unjoin := contractExchange{method: "DELETE", path: "/api/starling/join"}
	put := func(path string) contractExchange {
		return contractExchange{method: "PUT", path: "/api/configuration/" + path, body: `{"enabled":true}`}
	}
	const email = "configuration/management/email"
	tests := []struct {
		request   contractExchange
		status    int
		errorType sps.ErrorType
		details   string
		detail    error
	}{
		{put("trust_stores/1"), 400, sps.SyntacticError, `"revocation_check"`, &sps.SyntacticErrorDetails{Path: "revocation_check"}},
		{put("trust_stores/1"), 400, sps.SyntacticError, `{"path":"revocation_check"}`, &sps.SyntacticErrorDetails{Path: "revocation_check"}},
		{
			put("trust_stores/1"), 400, sps.SemanticError, `["the name is taken"]`,
			&sps.SemanticErrorDetails{Errors: []sps.Fault{{Message: "the name is taken"}}},
		},
		{
			put("trust_stores/1"), 400, sps.SemanticError, `{"errors":[{"message":"the name is taken","paths":["/api/configuration/trust_stores/2"]},"no CA"]}`,
			&sps.SemanticErrorDetails{Errors: []sps.Fault{{Message: "the name is taken", Object: "configuration/trust_stores/2"}, {Message: "no CA"}}},
		},
		{put("management/email"), 400, sps.InvalidRequestBody, "", nil},
		{join, 400, sps.IncompleteRequestBodyError, `{"missing_paths":["environment"]}`, &sps.IncompleteRequestBodyErrorDetails{Paths: []string{"environment"}}},
		{join, 400, sps.MissingCredentialStringError, "", nil},
		{join, 400, sps.MissingProductInstanceError, "", nil},
		{read(email), 401, sps.Unauthenticated, `"/api/` + email + `"`, &sps.UnauthenticatedDetails{Path: email}},
		{read(email), 401, sps.AuthenticationFailure, "", nil},
		{read(email), 403, sps.Unauthorized, `["/api/` + email + `"]`, &sps.UnauthorizedDetails{Path: email}},
		{read(email), 403, sps.Unauthorized, `{"resource":"/api/` + email + `"}`, &sps.UnauthorizedDetails{Path: email}},
		{join, 403, sps.OpenTransactionError, "", nil},
		{join, 403, sps.OpenTransactionError, `"/api/starling/join"`, &sps.OpenTransactionErrorDetails{Path: "starling/join"}},
		{contractExchange{method: "DELETE", path: "/api/firmware/slots/1"}, 403, sps.ForbiddenActionError, "", nil},
		{unjoin, 403, sps.StarlingJoinIsInUseByRemoteAccessError, "", nil},
		{put("starling"), 403, sps.RemoteAccessDependsOnStarlingJoinError, "", nil},
		{put("starling"), 403, sps.StarlingJoinInfoIsReadOnlyError, "", nil},
		{read(email), 404, sps.NotFound, "", nil},
		{
			read("firmware/slots/9"), 404, sps.ResourceNotFound, `{"mount_point":"/firmware/slots","resource":"9"}`,
			&sps.ResourceNotFoundDetails{MountPoint: "firmware/slots", Resource: "9"},
		},
		{contractExchange{method: "DELETE", path: "/api/info"}, 405, sps.MethodNotAllowed, "", nil},
		{
			contractExchange{method: "POST", path: "/api/firmware/test", body: `{"slot_id":1}`}, 400, sps.FirmwareTestFailed, `{"exit_code":1,"test_summary":"x"}`,
			&sps.FirmwareTestFailedDetails{ExitCode: 1, TestSummary: "x"},
		},
	}
	left := map[sps.ErrorType]bool{}
	for _, errorType := range declaredErrorTypes(t) {
		left[errorType] = true
	}
	for _, test := range tests {
		delete(left, test.errorType)
		t.Run(fmt.Sprintf("%s/%s", test.errorType, test.details), func(t *testing.T) {
			x := test.request
			x.status = test.status
			x.answer = fmt.Sprintf(`{"error":{"type":%q,"message":"No."},"meta":{"href":%q}}`, test.errorType, x.path)
			if test.details != "" {
				x.answer = strings.Replace(x.answer, `"message"`, `"details":`+test.details+`,"message"`, 1)
			}
			invoke := func(ctx context.Context, send func(context.Context, string, string, any, ...sps.RequestOption) (*sps.Response, error)) error {
				var body any
				if x.body != "" {
					body = json.RawMessage(x.body)
				}
				_, err := send(ctx, x.method, x.path, body)
				return err
			}
			var err error
			if x.method == "PUT" {
				c := contractClient(t, contractTransaction(t, false, nil, x)...)
				err = contractCommit(t, c, func(ctx context.Context, tx *sps.Transaction) error { return invoke(ctx, tx.Invoke) })
			} else {
				err = invoke(t.Context(), contractClient(t, x).Invoke)
			}
			refused := wantRefusal(t, err, test.status, test.errorType)
			testkit.Diff(t, "detail", test.detail, detailOf(err))
			if !strings.HasPrefix(refused.Message, "No.") {
				t.Errorf("message %q, want the appliance's", refused.Message)
			}
		})
	}
	for errorType := range left {
		t.Errorf("no case for %s", errorType)
	}
}

func TestContractUnknownErrorType(t *testing.T) {
	for _, status := range []int{200, 418, 500} {
		t.Run(strconv.Itoa(status), func(t *testing.T) {
			c := contractClient(t, firmwareTestExchange("1", status, `{"error":{"type":"DiskOnFireError","message":"a\nb","details":{"disk":1}}}`))
			_, err := c.Firmware.Test(t.Context(), "1")
			refused := wantRefusal(t, err, status, "DiskOnFireError")
			testkit.Diff(t, "message", "a b", refused.Message)
			testkit.Diff(t, "details", `{"disk":1}`, string(refused.Details))
			testkit.Diff(t, "detail", error(nil), detailOf(err))
		})
	}
}

// TestContractErrorForms checks that a response with an error member of any form counts as
// refused, whatever other members the response has.
func TestContractErrorForms(t *testing.T) {
	tests := []struct{ name, answer, message string }{
		{"text", `{"error":"out of order"}`, "out of order"},
		{"empty text", `{"error":""}`, "an error member without a type and a message"},
		{"number", `{"error":7}`, "7"},
		{"true", `{"error":true}`, "an error member without a type and a message"},
		{"false", `{"error":false}`, "an error member without a type and a message"},
		{"list", `{"error":[]}`, "an error member without a type and a message"},
		{"empty object", `{"error":{}}`, "an error member without a type and a message"},
		{"without a type", `{"error":{"message":"out of order"}}`, "out of order"},
		{"type null", `{"error":{"type":null,"message":null}}`, "an error member without a type and a message"},
		{"type of a wrong kind", `{"error":{"type":["FirmwareTestFailed"],"message":{}}}`, "an error member without a type and a message"},
		{"beside a success", `{"body":{"test_summary":"HA check finished"},"key":"1","error":{"message":"out of order"}}`, "out of order"},
	}
	for _, test := range tests {
		for _, status := range []int{200, 400} {
			t.Run(fmt.Sprintf("%s/%d", test.name, status), func(t *testing.T) {
				c := contractClient(t, firmwareTestExchange("1", status, test.answer))
				_, err := c.Firmware.Test(t.Context(), "1")
				testkit.Diff(t, "message", test.message, wantRefusal(t, err, status, "").Message)
			})
		}
	}
}

func TestContractFirmwareTestForms(t *testing.T) {
	tests := []struct {
		name, answer string
		want         string // the summary
		bad          bool   // the result is ErrBadAnswer
	}{
		{name: "key as a string", answer: `{"body":{"test_summary":"ok"},"key":"1"}`, want: "ok"},
		{name: "key as a number", answer: `{"body":{"test_summary":"ok"},"key":1}`, want: "ok"},
		{name: "body as a string", answer: `{"body":"ok","key":"1"}`, want: "ok"},
		{name: "exit code 0", answer: `{"body":{"test_summary":"ok","exit_code":0},"key":"1"}`, want: "ok"},
		{name: "error null", answer: `{"body":{"test_summary":"ok"},"key":"1","error":null}`, want: "ok"},
		{name: "unknown members", answer: `{"x":[{}],"body":{"y":null,"test_summary":"ok","z":{"a":1}},"key":"1","meta":{"w":1}}`, want: "ok"},
		{name: "white space", answer: " \r\n\t{\"body\" : {\"test_summary\":\"ok\"} , \"key\" : \"1\"}\n", want: "ok"},
		{name: "another slot", answer: `{"body":{"test_summary":"ok"},"key":"2"}`, bad: true},
		{name: "another slot as a number", answer: `{"body":{"test_summary":"ok"},"key":2}`, bad: true},
		{name: "key absent", answer: `{"body":{"test_summary":"ok"}}`, want: "ok"},
		{name: "key null", answer: `{"body":{"test_summary":"ok"},"key":null}`, want: "ok"},
		{name: "link of the slot", answer: `{"body":{"test_summary":"ok"},"meta":{"slot":"/api/firmware/slots/1"}}`, want: "ok"},
		{name: "link of another slot", answer: `{"body":{"test_summary":"ok"},"meta":{"slot":"/api/firmware/slots/2"}}`, bad: true},
		{name: "key of a wrong kind", answer: `{"body":{"test_summary":"ok"},"key":{"slot_id":2}}`, bad: true},
		{name: "body without a summary", answer: `{"body":{},"key":"1"}`, bad: true},
		{name: "body absent", answer: `{"key":"1","meta":{"href":"/api/firmware/test"}}`, bad: true},
		{name: "body null", answer: `{"body":null,"key":"1"}`, bad: true},
		{name: "body a list", answer: `{"body":["ok"],"key":"1"}`, bad: true},
		{name: "body true", answer: `{"body":true,"key":"1"}`, bad: true},
		{name: "summary null", answer: `{"body":{"test_summary":null},"key":"1"}`, bad: true},
		{name: "summary of a wrong kind", answer: `{"body":{"test_summary":{"ok":true}},"key":"1"}`, bad: true},
		{name: "summary at the top", answer: `{"test_summary":"ok","key":"1"}`, bad: true},
		{name: "empty object", answer: `{}`, bad: true},
		{name: "empty", answer: ``, bad: true},
		{name: "blank", answer: " \n", bad: true},
		{name: "null", answer: `null`, bad: true},
		{name: "a list", answer: `[{"body":"ok","key":"1"}]`, bad: true},
		{name: "a text", answer: `"ok"`, bad: true},
		{name: "an empty summary", answer: `{"body":{"test_summary":""},"key":"1"}`, bad: true},
		{name: "an empty body", answer: `{"body":"","key":"1"}`, bad: true},
		{name: "a blank summary", answer: `{"body":{"test_summary":" \n\t"},"key":"1"}`, bad: true},
		{name: "not allowed", answer: `{"body":{"test_summary":"Upgrade is not allowed"},"key":"1"}`, want: "Upgrade is not allowed"},
		{name: "truncated", answer: `{"body":{"test_summary":"ok"},"key":"1"`, bad: true},
		{name: "truncated in the body", answer: `{"key":"1","body":{"test_summary":"HA check st`, bad: true},
		{name: "two values", answer: `{"body":"ok","key":"1"}{}`, bad: true},
		{name: "duplicate key", answer: `{"body":"ok","key":"2","key":"1"}`, bad: true},
		{name: "duplicate summary", answer: `{"body":{"test_summary":"bad","test_summary":"ok"},"key":"1"}`, bad: true},
		{name: "duplicate error", answer: `{"body":"ok","key":"1","error":{"type":"FirmwareTestFailed"},"error":null}`, bad: true},
		{name: "invalid UTF-8", answer: "{\"body\":\"\xff\",\"key\":\"1\"}", bad: true},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			c := contractClient(t, firmwareTestExchange("1", 200, test.answer))
			got, err := c.Firmware.Test(t.Context(), "1")
			if test.bad {
				if got != nil {
					t.Errorf("an unusable response was reported as a success: %+v", got)
				}
				wantBadAnswer(t, err)
				return
			}
			if err != nil {
				t.Fatal(err)
			}
			testkit.Diff(t, "report", &sps.FirmwareTestReport{SlotKey: "1", TestSummary: test.want}, got)
		})
	}
	t.Run("failed exit code", func(t *testing.T) {
		c := contractClient(t, firmwareTestExchange("1", 200, `{"body":{"test_summary":"HA check failed","exit_code":1},"key":"1"}`))
		_, err := c.Firmware.Test(t.Context(), "1")
		wantRefusal(t, err, 200, sps.FirmwareTestFailed)
		testkit.Diff(t, "detail", error(&sps.FirmwareTestFailedDetails{ExitCode: 1, TestSummary: "HA check failed"}), detailOf(err))
	})
}

func TestContractSlotForms(t *testing.T) {
	meta := cmpopts.IgnoreFields(sps.FirmwareSlot{}, "Meta")
	tests := []struct {
		name, answer string
		want         sps.FirmwareSlot
		bad          bool
	}{
		{name: "key as a number", answer: `{"body":{"version":"6.5.0"},"key":1}`, want: sps.FirmwareSlot{Key: "1", Body: sps.FirmwareImage{Version: "6.5.0"}}},
		{name: "key absent", answer: `{"body":{"version":"6.5.0"}}`, want: sps.FirmwareSlot{Key: "1", Body: sps.FirmwareImage{Version: "6.5.0"}}},
		{name: "version as a number", answer: `{"body":{"version":6.5},"key":"1"}`, want: sps.FirmwareSlot{Key: "1", Body: sps.FirmwareImage{Version: "6.5"}}},
		{name: "version as a number with a zero", answer: `{"body":{"version":6.10},"key":"1"}`, want: sps.FirmwareSlot{Key: "1", Body: sps.FirmwareImage{Version: "6.10"}}},
		{name: "empty slot", answer: `{"body":{},"key":"1"}`, want: sps.FirmwareSlot{Key: "1"}},
		{name: "body null", answer: `{"body":null,"key":"1"}`, want: sps.FirmwareSlot{Key: "1"}},
		{name: "members null", answer: `{"body":{"version":null,"current":null,"after_reboot":null,"upgrade_news":null,"upgrade_notes":null},"key":"1"}`, want: sps.FirmwareSlot{Key: "1"}},
		{
			name: "news and unknown members", answer: `{"body":{"version":"6.5.0","upgrade_news":"read this","size":5,"x":{"y":[]}},"key":"1","etag":"z"}`,
			want: sps.FirmwareSlot{Key: "1", Body: sps.FirmwareImage{Version: "6.5.0", UpgradeNews: "read this"}},
		},
		{name: "meta of a wrong kind", answer: `{"body":{"version":"6.5.0"},"key":"1","meta":[]}`, want: sps.FirmwareSlot{Key: "1", Body: sps.FirmwareImage{Version: "6.5.0"}}},
		{name: "current of a wrong kind", answer: `{"body":{"version":"6.5.0","current":"no"},"key":"1"}`, bad: true},
		{name: "version of a wrong kind", answer: `{"body":{"version":["6.5.0"]},"key":"1"}`, bad: true},
		{name: "body a text", answer: `{"body":"6.5.0","key":"1"}`, bad: true},
		{name: "body absent", answer: `{"key":"1"}`, bad: true},
		{name: "another slot", answer: `{"body":{"version":"6.5.0"},"key":"2"}`, bad: true},
		{name: "empty", answer: ``, bad: true},
		{name: "truncated", answer: `{"body":{"version":"6.5.0"},"key":`, bad: true},
		{name: "duplicates", answer: `{"body":{"current":true,"current":false},"key":"1"}`, bad: true},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			c := contractClient(t, contractExchange{method: "GET", path: "/api/firmware/slots/1", answer: test.answer})
			got, err := c.Firmware.Slots.Get(t.Context(), "1")
			if test.bad {
				wantBadAnswer(t, err)
				return
			}
			if err != nil {
				t.Fatal(err)
			}
			testkit.Diff(t, "slot", &test.want, got, meta)
		})
	}
}

// TestContractSlotDeleteAnswerForOtherSlot checks that Delete reads the slot first, and that it
// deletes nothing and returns ErrBadAnswer if the response describes another slot.
func TestContractSlotDeleteAnswerForOtherSlot(t *testing.T) {
	c := contractClient(t, contractExchange{method: "GET", path: "/api/firmware/slots/1", answer: `{"body":{"version":"6.7.0","current":false,"after_reboot":false},"key":"4"}`})
	wantBadAnswer(t, c.Firmware.Slots.Delete(t.Context(), "1"))
}

func TestContractSlotListForms(t *testing.T) {
	const items = `{"body":{"version":"6.5.0","current":true},"key":"1"},{"body":{},"key":2},{"body":{"version":"6.7.0","after_reboot":true},"key":"4"}`
	sample := sps.FirmwareSlotList{
		Slots: []sps.FirmwareSlot{
			{Key: "1", Body: sps.FirmwareImage{Version: "6.5.0", Current: true}},
			{Key: "2"},
			{Key: "4", Body: sps.FirmwareImage{Version: "6.7.0", AfterReboot: true}},
		},
		CurrentSlot: "1", SlotAfterReboot: "4", EmptySlots: 1,
	}
	tests := []struct {
		name, answer string
		want         sps.FirmwareSlotList
		bad          bool
	}{
		{name: "without meta", answer: `{"items":[` + items + `]}`, want: sample},
		{name: "meta null", answer: `{"items":[` + items + `],"meta":null}`, want: sample},
		{name: "meta of a wrong kind", answer: `{"items":[` + items + `],"meta":"x"}`, want: sample},
		{name: "meta without counts", answer: `{"items":[` + items + `],"meta":{"href":"/api/firmware/slots"}}`, want: sample},
		{name: "meta with null", answer: `{"items":[` + items + `],"meta":{"current_slot":null,"slot_after_reboot":null,"number_of_empty_slots":null}}`, want: sample},
		{name: "meta with other links", answer: `{"items":[` + items + `],"meta":{"current_slot":"/api/info","slot_after_reboot":"","number_of_empty_slots":-1}}`, want: sample},
		{name: "count as a string", answer: `{"items":[` + items + `],"meta":{"number_of_empty_slots":"1"}}`, want: sample},
		{name: "unknown members", answer: `{"x":1,"items":[` + items + `],"meta":{"y":[]},"body":{}}`, want: sample},
		{name: "no slot", answer: `{"items":[]}`},
		{name: "items absent", answer: `{"meta":{"href":"/api/firmware/slots"}}`, bad: true},
		{name: "items null", answer: `{"items":null}`, bad: true},
		{name: "items an object", answer: `{"items":{"1":{"version":"6.5.0"}}}`, bad: true},
		{name: "item without a key", answer: `{"items":[{"body":{}}]}`, bad: true},
		{name: "item a text", answer: `{"items":["1"]}`, bad: true},
		{name: "empty object", answer: `{}`, bad: true},
		{name: "empty", answer: ``, bad: true},
		{name: "truncated", answer: `{"items":[` + items, bad: true},
		{name: "duplicates", answer: `{"items":[` + items + `],"items":[]}`, bad: true},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			c := contractClient(t, contractExchange{method: "GET", path: "/api/firmware/slots", answer: test.answer})
			got, err := c.Firmware.Slots.List(t.Context())
			if test.bad {
				wantBadAnswer(t, err)
				return
			}
			if err != nil {
				t.Fatal(err)
			}
			testkit.Diff(t, "slots", &test.want, got, cmpopts.IgnoreFields(sps.FirmwareSlot{}, "Meta"))
		})
	}
	t.Run("items without a body", func(t *testing.T) {
		c := contractClient(t,
			contractExchange{method: "GET", path: "/api/firmware/slots", answer: `{"items":[{"key":"1","meta":{"href":"/api/firmware/slots/1"}},{"key":"3","body":{}}]}`},
			contractExchange{method: "GET", path: "/api/firmware/slots/1", answer: testkit.Sample(t, "firmware_slots.one")})
		got, err := c.Firmware.Slots.List(t.Context())
		if err != nil {
			t.Fatal(err)
		}
		want := &sps.FirmwareSlotList{Slots: []sps.FirmwareSlot{{Key: "1", Body: runningImage}, {Key: "3"}}, CurrentSlot: "1", EmptySlots: 1}
		testkit.Diff(t, "slots", want, got, cmpopts.IgnoreFields(sps.FirmwareSlot{}, "Meta"))
	})
}

// TestContractForeignAnswers checks responses that do not come from the API. With a success
// status they result in ErrBadAnswer, otherwise in a refusal without a type.
func TestContractForeignAnswers(t *testing.T) {
	const html = "<html><body>Service Unavailable</body></html>"
	answers := []struct {
		name, answer, kind string
	}{
		{"HTML", html, "text/html; charset=utf-8"},
		{"HTML called JSON", html, ""},
		{"text", "ok", "text/plain"},
		{"truncated", `{"error":{"type":"ResourceNotFound"`, ""},
		{"duplicates", `{"error":{"type":"ResourceNotFound","type":"FirmwareTestFailed"}}`, ""},
		{"empty", "", ""},
		{"empty object", "{}", ""},
	}
	for _, test := range answers {
		t.Run(test.name+"/200", func(t *testing.T) {
			x := firmwareTestExchange("1", 200, test.answer)
			x.kind = test.kind
			_, err := contractClient(t, x).Firmware.Test(t.Context(), "1")
			wantBadAnswer(t, err)
			if strings.Contains(err.Error(), "Service Unavailable") {
				t.Errorf("the text quotes the body: %v", err)
			}
		})
		for _, status := range []int{302, 404, 503} {
			t.Run(fmt.Sprintf("%s/%d", test.name, status), func(t *testing.T) {
				x := firmwareTestExchange("1", status, test.answer)
				x.kind = test.kind
				_, err := contractClient(t, x).Firmware.Test(t.Context(), "1")
				refused := wantRefusal(t, err, status, "")
				if refused.Message == "" || strings.Contains(refused.Message, "Service Unavailable") {
					t.Errorf("message %q, want one that describes the response and does not quote it", refused.Message)
				}
				testkit.Diff(t, "details", 0, len(refused.Details))
			})
		}
	}
	t.Run("empty/200 of a raw call", func(t *testing.T) {
		c := contractClient(t, contractExchange{method: "GET", path: "/api/firmware"})
		response, err := c.Invoke(t.Context(), "GET", "firmware", nil)
		if err != nil {
			t.Fatal(err)
		}
		testkit.Diff(t, "body", "", string(response.Body))
	})
}

func TestContractLogin(t *testing.T) {
	const (
		user     = "jürgen"
		password = "pä:ss wörd €"
		// basic is the base64 encoding of user:password in UTF-8.
		basic = "asO8cmdlbjpww6Q6c3Mgd8O2cmQg4oKs"
		// cookie has expired by the clock of the client. The client must accept it, because the
		// clocks of the client and the appliance may differ.
		cookie = contractCookie + "; expires=Thu, 01 Jan 1970 00:20:00 GMT; Path=/; Secure"
	)
	login := contractExchange{
		method: "GET", path: "/api/authentication", anonymous: true, basic: basic,
		answer: `{"meta":{"href":"/api/authentication","parent":"/api"}}`, setCookie: cookie,
	}
	slots := contractExchange{method: "GET", path: "/api/firmware/slots", answer: `{"items":[]}`}
	logOut := contractExchange{method: "DELETE", path: "/api/authentication"}
	credential := sps.UsernamePassword(user, sps.NewSecretString(password))

	// The guide does not show a log-out. If the appliance does not implement it, Close returns
	// nil.
	logOuts := []struct {
		status int
		answer string
		want   error
	}{
		{200, `{"meta":{"href":"/api/authentication"}}`, nil},
		{204, "", nil},
		{401, `{"error":{"type":"Unauthenticated"}}`, nil},
		{404, `{"error":{"type":"ResourceNotFound"}}`, nil},
		{405, `{"error":{"type":"MethodNotAllowed"}}`, nil},
		{403, `{"error":{"type":"Unauthorized"}}`, sps.Unauthorized},
		{500, "", sps.Status(500)},
	}
	for _, test := range logOuts {
		t.Run(fmt.Sprintf("log-out/%d", test.status), func(t *testing.T) {
			last := logOut
			last.status, last.answer = test.status, test.answer
			contractMock(t, login, slots, last)
			c, err := sps.Connect(t.Context(), contractHost, credential, contractOptions(t)...)
			if err != nil {
				t.Fatal(err)
			}
			if _, err := c.Firmware.Slots.List(t.Context()); err != nil {
				t.Error(err)
			}
			if err := c.Close(t.Context()); !errors.Is(err, test.want) {
				t.Errorf("Close: got %v, want %v", err, test.want)
			}
			if _, err := c.Firmware.Slots.List(t.Context()); !errors.Is(err, sps.ErrClosed) {
				t.Errorf("after Close: got %v, want %v", err, sps.ErrClosed)
			}
		})
	}

	t.Run("login method", func(t *testing.T) {
		x := login
		x.query = "login_method=local"
		contractMock(t, x, logOut)
		local := sps.UsernamePassword(user, sps.NewSecretString(password), sps.WithLoginMethod("local"))
		c, err := sps.Connect(t.Context(), contractHost, local, contractOptions(t)...)
		if err != nil {
			t.Fatal(err)
		}
		if err := c.Close(t.Context()); err != nil {
			t.Error(err)
		}
	})

	failures := []struct {
		name      string
		status    int
		answer    string
		setCookie string
		errorType sps.ErrorType // "" for ErrBadAnswer
	}{
		{"wrong password", 401, `{"error":{"type":"AuthenticationFailure","message":"No."}}`, "", sps.AuthenticationFailure},
		{"wrong password with a cookie", 401, `{"error":{"type":"AuthenticationFailure"}}`, cookie, sps.AuthenticationFailure},
		{"refused with success", 200, `{"error":{"type":"AuthenticationFailure"}}`, cookie, sps.AuthenticationFailure},
		{"no cookie", 200, `{"meta":{}}`, "", ""},
		{"another cookie", 200, `{"meta":{}}`, "sid=" + contractSession + "; Path=/", ""},
		{"empty cookie", 200, `{"meta":{}}`, "session_id=; Path=/", ""},
		{"cookie of another host", 200, `{"meta":{}}`, contractCookie + "; Domain=example.org", ""},
	}
	for _, test := range failures {
		t.Run(test.name, func(t *testing.T) {
			x := login
			x.status, x.answer, x.setCookie = test.status, test.answer, test.setCookie
			contractMock(t, x)
			c, err := sps.Connect(t.Context(), contractHost, credential, contractOptions(t)...)
			if c != nil {
				t.Error("a client was returned with the error")
			}
			if err == nil {
				t.Fatal("the login succeeded")
			}
			if strings.Contains(err.Error(), password) || strings.Contains(err.Error(), basic) {
				t.Errorf("the text has the credential: %v", err)
			}
			if test.errorType == "" {
				wantBadAnswer(t, err)
				return
			}
			wantRefusal(t, err, test.status, test.errorType)
		})
	}
}
