package contract

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"strings"
	"testing"

	"github.com/go-sps/sps"
	"github.com/go-sps/sps/internal/testkit"
	"github.com/go-sps/sps/spstest"
)

// refusal returns the error of an answer with this error member.
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

// TestErrorTypeIsOneLine checks a type that an appliance made up.
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
		t.Error("types match by spelling only")
	}
}

// TestErrorsWithoutCause prints errors that somebody else has built, in a test say.
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
			t.Errorf("%v is something that it is not", err)
		}
		var out bytes.Buffer
		slog.New(slog.NewTextHandler(&out, nil)).Info("x", "error", err)
		if strings.Contains(out.String(), "panic") {
			t.Errorf("logged as %s", out.String())
		}
	}
	if !errors.Is(&sps.TransportError{OutcomeUnknown: true}, sps.ErrOutcomeUnknown) {
		t.Error("without a cause the outcome is not unknown any more")
	}
	var certificate *sps.CertificateError
	if text := (&sps.CertificateError{}).Error(); strings.Contains(text, "nil") || errors.As(&sps.TransportError{}, &certificate) {
		t.Errorf("text %q", text)
	}
	if got := sps.CertificateFingerprint(nil); got != "" {
		t.Errorf("fingerprint %q of no certificate", got)
	}
}
