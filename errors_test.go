package sps_test

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"strings"
	"testing"

	"github.com/go-sps/sps"
	"github.com/go-sps/sps/spstest"
)

// refusal returns the error of an answer with this error member.
func refusal(t *testing.T, member string) *sps.Error {
	t.Helper()
	a := spstest.NewServer(t)
	c := connect(t, a)
	a.Inject(spstest.Fault{Path: "firmware/slots", Status: 400, Body: `{"error":` + member + `}`})
	_, err := c.Firmware.Slots(t.Context())
	var e *sps.Error
	if !errors.As(err, &e) {
		t.Fatalf("error %v, want an *Error", err)
	}
	return e
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
