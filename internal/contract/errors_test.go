package contract

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"iter"
	"log/slog"
	"net"
	"strings"
	"testing"
	"time"

	"github.com/go-sps/sps"
	"github.com/go-sps/sps/audit"
	"github.com/go-sps/sps/internal/testkit"
	"github.com/go-sps/sps/spstest"
)

// refusal returns the error for a response with the given error member.
func refusal(t *testing.T, member string) *sps.Error {
	t.Helper()
	a := spstest.NewServer(t)
	c := testkit.Connect(t, a)
	a.Inject(spstest.Fault{Path: "firmware/slots", Status: 400, Body: `{"error":` + member + `}`})
	_, err := c.Firmware.Slots.List(t.Context())
	var e *sps.Error
	if !errors.As(err, &e) {
		t.Fatalf("error %v, want an *Error", err)
	}
	return e
}

// TestErrorTypeIsOneLine checks that the text of an unknown error type is one short line,
// even if the type contains line breaks or other unprintable characters.
func TestErrorTypeIsOneLine(t *testing.T) {
	t.Parallel()
	text := sps.ErrorType("Odd\n\x1b[31m" + strings.Repeat("x", 1000)).Error()
	if strings.ContainsAny(text, "\n\x1b") || len(text) > 300 {
		t.Errorf("%q", text)
	}
	testkit.Diff(t, "a known one", "ResourceNotFound", sps.ResourceNotFound.Error())
}

func TestErrorIsBounded(t *testing.T) {
	t.Parallel()
	long := strings.Repeat("x\n", 100_000)
	encoded, _ := json.Marshal(long)
	e := refusal(t, `{"type":"SyntacticError","message":`+string(encoded)+`,"details":`+string(encoded)+`}`)
	if len(e.Error()) > 1000 || strings.Contains(e.Error(), "\n") {
		t.Errorf("a text of %d bytes: %.200q", len(e.Error()), e.Error())
	}
	if e.Details != nil {
		t.Errorf("details of %d bytes are kept", len(e.Details))
	}
	if e = refusal(t, `{"type":"X","details":{"a":[1]}}`); string(e.Details) != `{"a":[1]}` {
		t.Errorf("details %s", e.Details)
	}
}

func TestErrorsInLogs(t *testing.T) {
	t.Parallel()
	var out bytes.Buffer
	logger := slog.New(slog.NewTextHandler(&out, nil))
	logger.Info("x", "err", refusal(t, `{"type":"SyntacticError","message":"you sent hush","details":"hush"}`))
	logger.Info("x", "err", &sps.TransportError{Method: "GET", Path: "info", Attempts: 2, Err: errors.New("a\nb")})
	for _, want := range []string{"err.type=SyntacticError", "err.status=400", "err.path=firmware/slots", "err.attempts=2"} {
		if !strings.Contains(out.String(), want) {
			t.Errorf("the log lacks %s: %s", want, out.String())
		}
	}
	if strings.Contains(out.String(), "hush") {
		t.Errorf("the log shows the message: %s", out.String())
	}
}

func TestNotFoundHasTwoNames(t *testing.T) {
	t.Parallel()
	for _, name := range []sps.ErrorType{sps.NotFound, sps.ResourceNotFound} {
		err := fmt.Errorf("wrapped: %w", refusal(t, `{"type":"`+string(name)+`"}`))
		if !errors.Is(err, sps.NotFound) || !errors.Is(err, sps.ResourceNotFound) || errors.Is(err, sps.Unauthorized) || errors.Is(err, sps.Status(404)) {
			t.Errorf("%s: %v", name, err)
		}
	}
	if errors.Is(refusal(t, `{"type":"resourcenotfound"}`), sps.NotFound) {
		t.Error("an error type matches a type with another spelling")
	}
}

// TestErrorsWithoutCause checks the texts of error values that have no cause, for example
// because a test of another package has built them.
func TestErrorsWithoutCause(t *testing.T) {
	t.Parallel()
	for want, err := range map[string]error{
		"sps: GET x: the cause is not known":                                                                                                               &sps.TransportError{Method: "GET", Path: "x"},
		"sps: PUT x: the cause is not known; the outcome is unknown":                                                                                       &sps.TransportError{Method: "PUT", Path: "x", OutcomeUnknown: true},
		"the cause is not known; the slots of the appliance could not be read: list them before the next attempt":                                          &sps.FirmwareUploadError{},
		"the cause is not known; no slot was filled when the client checked, but the appliance may still fill one: list the slots before the next attempt": &sps.FirmwareUploadError{Known: true},
		"the cause is not known; the image is in slot 3 (), unless somebody else filled that slot":                                                         &sps.FirmwareUploadError{Known: true, Stored: &sps.FirmwareSlot{Key: "3"}},
		"sps: upgrade stopped at test: the cause is not known":                                                                                             &sps.FirmwareUpgradeError{Step: sps.StepTest},
		"sps: upgrade stopped at test: the cause is not known; all is as before":                                                                           &sps.FirmwareUpgradeError{Step: sps.StepTest, Left: "all is as before"},
		"exit code unknown": &sps.FirmwareTestFailedDetails{},
		"exit code 1":       &sps.FirmwareTestFailedDetails{ExitCode: 1},
	} {
		testkit.Diff(t, "text", want, err.Error())
		if errors.Is(err, sps.ErrClosed) || errors.As(err, new(*sps.Error)) {
			t.Errorf("%v matches ErrClosed or *Error", err)
		}
		var out bytes.Buffer
		slog.New(slog.NewTextHandler(&out, nil)).Info("x", "error", err)
		if strings.Contains(out.String(), "panic") {
			t.Errorf("logged as %s", out.String())
		}
	}
	if !errors.Is(&sps.TransportError{OutcomeUnknown: true}, sps.ErrOutcomeUnknown) {
		t.Error("a TransportError with OutcomeUnknown and no cause does not match ErrOutcomeUnknown")
	}
	var certificate *sps.CertificateError
	if text := (&sps.CertificateError{}).Error(); strings.Contains(text, "nil") || errors.As(&sps.TransportError{}, &certificate) {
		t.Errorf("text %q", text)
	}
	if got := sps.CertificateFingerprint(nil); got != "" {
		t.Errorf("Fingerprint without a certificate returns %q", got)
	}
}

// TestErrorTextsEndWithRemedy checks, for each error type of the guide, that the error text
// names the appliance, the operation, the cause and a remedy, in this order.
func TestErrorTextsEndWithRemedy(t *testing.T) {
	t.Parallel()
	for _, errorType := range declaredErrorTypes(t) {
		text := (&sps.Error{Host: "sps1", Method: "GET", Path: "info", Status: 400, Type: errorType, Message: "No."}).Error()
		remedy, ok := strings.CutPrefix(text, "sps: sps1: GET info: "+string(errorType)+" (400): No.; ")
		if !ok || len(remedy) < 10 {
			t.Errorf("%s: the text is %q", errorType, text)
		}
	}
}

// TestErrorTexts checks the remedies in the texts of errors that are not in the guide, such
// as a 503 or a refused connection.
func TestErrorTexts(t *testing.T) {
	t.Parallel()
	refused := &net.OpError{Op: "dial", Net: "tcp", Err: errors.New("connection refused")}
	for name, test := range map[string]struct {
		err  error
		want string
	}{
		"an overloaded appliance": {&sps.Error{Host: "sps1", Method: "GET", Path: "info", Status: 503}, "sps: sps1: GET info: 503 Service Unavailable; try again later"},
		"a page of a web server": {&sps.Error{Host: "sps1", Method: "GET", Path: "info", Status: 404},
			"sps: sps1: GET info: 404 Not Found; check that this is the address of an SPS appliance"},
		"an unknown type": {&sps.Error{Host: "sps1", Method: "GET", Path: "info", Status: 400, Type: "Odd"}, "sps: sps1: GET info: Odd (400)"},
		"an unknown outcome": {&sps.Error{Host: "sps1", Method: "POST", Path: "info", Status: 503, OutcomeUnknown: true},
			"sps: sps1: POST info: 503 Service Unavailable; the outcome is unknown"},
		"no connection": {&sps.TransportError{Host: "sps1", Method: "GET", Path: "info", Err: refused},
			"sps: sps1: GET info: dial tcp: connection refused; check the host, the port and the network"},
		"no such host": {&sps.TransportError{Host: "sps1", Method: "GET", Path: "info", Err: &net.OpError{Op: "dial", Net: "tcp", Err: &net.DNSError{Err: "no such host", Name: "sps1"}}},
			"sps: sps1: GET info: dial tcp: lookup sps1: no such host; check the name of the host"},
		"a connection that broke": {&sps.TransportError{Host: "sps1", Method: "GET", Path: "info", Err: io.EOF}, "sps: sps1: GET info: EOF"},
		"a cancelled call":        {&sps.TransportError{Host: "sps1", Method: "GET", Path: "info", Err: context.Canceled}, "sps: sps1: GET info: context canceled"},
	} {
		testkit.Diff(t, name, test.want, test.err.Error())
	}
}

// TestLocalErrorsNameAppliance checks that an error that the client returns before it sends a
// request names the appliance.
func TestLocalErrorsNameAppliance(t *testing.T) {
	t.Parallel()
	a := spstest.NewServer(t)
	c := testkit.Connect(t, a)
	ctx := t.Context()
	sessions := c.Audit.Sessions
	ignore := sps.WithTrailFormat("mp4")
	for name, call := range map[string]func() error{
		"an empty key":              func() error { _, err := c.TrustStores.Get(ctx, ""); return err },
		"an empty name":             func() error { _, err := c.TrustStores.GetByName(ctx, ""); return err },
		"a slot's empty key":        func() error { _, err := c.Firmware.Slots.Get(ctx, ""); return err },
		"a job's empty key":         func() error { _, err := c.Firmware.Fetch.Get(ctx, ""); return err },
		"a bundle's empty key":      func() error { _, err := c.Troubleshooting.SupportBundle.Download(ctx, "", io.Discard); return err },
		"a deleted bundle's key":    func() error { return c.Troubleshooting.SupportBundle.Delete(ctx, "") },
		"a header of a list":        func() error { _, err := c.TrustStores.List(ctx, sps.WithHeader("Accept", "text/plain")); return err },
		"a path":                    func() error { _, err := sps.NewSingleton[sps.Object[any]](c, "a/../b").Get(ctx); return err },
		"a method":                  func() error { _, err := c.Invoke(ctx, "PATCH", "info", nil); return err },
		"the path of a listing":     func() error { _, err := c.Listing(ctx, "a/../b"); return err },
		"the path of a walk":        func() error { return last(c.Walk(ctx, "a/../b")) },
		"a negative wait":           func() error { return c.Transaction(ctx, nil, sps.WithLockWait(-1)) },
		"an invoked path":           func() error { _, err := c.Invoke(ctx, "GET", "a/../b", nil); return err },
		"a downloaded path":         func() error { _, err := c.Download(ctx, "a/../b", io.Discard); return err },
		"a format":                  func() error { _, err := c.Download(ctx, "x", io.Discard, ignore); return err },
		"the name of an endpoint":   func() error { _, err := sessions.Get(ctx, "stats"); return err },
		"a session's empty key":     func() error { _, err := sessions.DownloadTrail(ctx, "", io.Discard); return err },
		"an empty search text":      func() error { return last(sessions.Content(ctx, "k", "")) },
		"a query":                   func() error { return last(sessions.Search(ctx, audit.Query{PageSize: -1}).All()) },
		"a counted query":           func() error { _, err := sessions.Count(ctx, audit.Query{Filter: audit.Term("", "x")}); return err },
		"a query of statistics":     func() error { _, err := sessions.Stats(ctx, audit.StatsQuery{}); return err },
		"a followed query":          func() error { _, err := sessions.Follow(ctx, audit.Query{End: time.Now()}); return err },
		"a CSV without columns":     func() error { _, err := sessions.Search(ctx, audit.Query{}).WriteCSV(io.Discard); return err },
		"a wait":                    func() error { return c.WaitReady(ctx, sps.WithWaitLimit(-1)) },
		"a wait for a version":      func() error { _, err := c.Firmware.WaitForVersion(ctx, "8.0.0", sps.WithWaitLimit(-1)); return err },
		"an upgrade without source": func() error { _, err := c.Firmware.Upgrade(ctx, nil); return err },
		"an invocation in a transaction": func() error {
			return c.Transaction(ctx, func(ctx context.Context, tx *sps.Transaction) error {
				_, err := tx.Invoke(ctx, "PUT", "a/../b", nil)
				return err
			})
		},
	} {
		err := call()
		if err == nil || !strings.HasPrefix(err.Error(), "sps: "+a.Addr()+": ") || strings.Count(err.Error(), a.Addr()) != 1 {
			t.Errorf("%s: %v", name, err)
		}
		if !errors.Is(err, sps.ErrInvalidInput) {
			t.Errorf("%s: %v is not ErrInvalidInput", name, err)
		}
	}
	if got := len(a.Journal()); got != 1 {
		t.Errorf("%d requests, want only the login", got)
	}
}

// last returns the error that ends an iteration.
func last[T any](all iter.Seq2[T, error]) (err error) {
	for _, err = range all {
	}
	return err
}
