package main

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"log/slog"
	"net/http"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"go.opentelemetry.io/otel/codes"
	sdk "go.opentelemetry.io/otel/sdk/trace"
	"go.opentelemetry.io/otel/sdk/trace/tracetest"
	"go.opentelemetry.io/otel/trace"

	"github.com/go-sps/sps"
	"github.com/go-sps/sps/spstest"
)

// TestRun checks the spans of the command, and checks that each log record has the trace id
// of the spans.
func TestRun(t *testing.T) {
	t.Parallel()
	var out bytes.Buffer
	if err := run(t.Context(), &out); err != nil {
		t.Fatal(err)
	}
	records, spans, _ := strings.Cut(out.String(), "span ")
	_, first, _ := strings.Cut(spans, "trace_id=")
	id, _, _ := strings.Cut(first, " ")
	want := strings.ReplaceAll(`trace_id=ID GET authentication Unset
span trace_id=ID GET firmware/slots Error
span trace_id=ID GET firmware/slots Unset
span trace_id=ID DELETE authentication Unset
span trace_id=ID list slots Unset
`, "ID", id)
	if d := cmp.Diff(want, spans); d != "" {
		t.Errorf("spans (-want +got):\n%s", d)
	}
	if n := strings.Count(records, " trace_id="+id+"\n"); n != 4 {
		t.Errorf("%d records have the trace id, want 4:\n%s", n, records)
	}
}

// The secrets that must not be recorded: the password, and a value in a query.
const (
	password = "correct-horse-battery"
	license  = "222-333-444"
)

// observed runs a function inside a span, with a client that records spans and log records.
// It returns the spans of the requests, the log records, and the requests that the appliance
// received. It fails the test if a span or a log record contains a secret.
func observed(t *testing.T, do func(context.Context, *spstest.Appliance, *sps.Client)) (tracetest.SpanStubs, []map[string]any, []spstest.Request) {
	t.Helper()
	appliance := spstest.NewServer(t, spstest.WithoutListener(), spstest.WithCredentials("operator", password))
	defer appliance.Close()
	spans, log := tracetest.NewInMemoryExporter(), &bytes.Buffer{}
	provider := sdk.NewTracerProvider(sdk.WithSyncer(spans))
	ctx, span := provider.Tracer("test").Start(t.Context(), "all")
	client, err := sps.Connect(ctx, appliance.Addr(), sps.UsernamePassword("operator", sps.NewSecretString(password)),
		sps.WithTransport(func(http.RoundTripper) http.RoundTripper { return appliance }),
		traced(provider),
		sps.WithLogger(slog.New(withTraceID{slog.NewJSONHandler(log, &slog.HandlerOptions{Level: slog.LevelDebug})})),
		sps.WithRetry(sps.RetryPolicy{Attempts: 3, MaxWait: time.Millisecond}))
	if err != nil {
		t.Fatal(err)
	}
	do(ctx, appliance, client)
	if err := client.Close(ctx); err != nil {
		t.Error(err)
	}
	span.End()

	var requests tracetest.SpanStubs
	for _, s := range spans.GetSpans() {
		if s.SpanKind == trace.SpanKindClient {
			requests = append(requests, s)
		}
		if s.SpanContext.TraceID() != span.SpanContext().TraceID() {
			t.Errorf("%s is in another trace", s.Name)
		}
	}
	slices.SortStableFunc(requests, func(a, b tracetest.SpanStub) int { return a.StartTime.Compare(b.StartTime) })
	for _, s := range requests {
		if s.Parent.SpanID() != span.SpanContext().SpanID() {
			t.Errorf("%s is not a child of the caller's span", s.Name)
		}
	}
	var records []map[string]any
	for line := range strings.Lines(log.String()) {
		var record map[string]any
		if err := json.Unmarshal([]byte(line), &record); err != nil {
			t.Fatal(err)
		}
		if record["trace_id"] != span.SpanContext().TraceID().String() {
			t.Errorf("a record has another trace id, or none: %s", line)
		}
		records = append(records, record)
	}

	// No span and no log record may contain a secret.
	secrets := []string{password, license}
	for _, r := range appliance.Journal() {
		if _, id, ok := strings.Cut(r.Header.Get("Cookie"), "session_id="); ok {
			secrets = append(secrets, id)
		}
		if _, basic, ok := strings.Cut(r.Header.Get("Authorization"), " "); ok {
			secrets = append(secrets, basic)
		}
	}
	recorded := log.String()
	for _, s := range spans.GetSpans() {
		recorded += fmt.Sprintf("%s %v %v %v\n", s.Name, s.Status, s.Attributes, s.Events)
	}
	for _, secret := range secrets {
		if strings.Contains(recorded, secret) {
			t.Errorf("%q was recorded:\n%s", secret, recorded)
		}
	}
	return requests, records, appliance.Journal()
}

// outcome describes a span in one line: its name, the status code of the response, and "error"
// if the span has failed.
func outcome(s tracetest.SpanStub) string {
	text := s.Name
	for _, a := range s.Attributes {
		if a.Key == "http.response.status_code" {
			text += " " + a.Value.String()
		}
	}
	if s.Status.Code == codes.Error {
		text += " error"
	}
	return text
}

// TestOneSpanPerAttempt checks that each attempt of a request has one span and one log record,
// also when the client retries, logs in again or runs a transaction.
func TestOneSpanPerAttempt(t *testing.T) {
	t.Parallel()
	spans, records, journal := observed(t, func(ctx context.Context, a *spstest.Appliance, c *sps.Client) {
		a.Inject(spstest.Fault{Path: "firmware/slots/*", Status: 503})
		a.Inject(spstest.Fault{Path: "firmware/slots/*", CutBefore: true})
		if _, err := c.Firmware.Slots.Get(ctx, "2"); err != nil {
			t.Error(err)
		}
		a.ExpireSessions() // so that the next call logs in again
		if _, err := c.Starling.JoinStatus(ctx, sps.WithProductTIMS(license)); err != nil {
			t.Error(err)
		}
		err := c.Transaction(ctx, func(ctx context.Context, tx *sps.Transaction) error {
			return tx.Alerting.TrafficAlerts.Update(ctx, func(alerts *sps.TrafficAlerts) error { return alerts.EnableAll(sps.ChannelEmail) })
		})
		if err != nil {
			t.Error(err)
		}
	})
	want := []string{
		"GET authentication 200",
		"GET firmware/slots 503 error",
		"GET firmware/slots error", // there was no response, so there is no status
		"GET firmware/slots 200",
		"GET starling/join 401 error",
		"GET authentication 200",
		"GET starling/join 200",
	}
	for _, r := range journal[len(want):] { // the transaction and the log-outs, as the appliance received them
		path := strings.Split(strings.TrimPrefix(r.Path, "/api/"), "/")
		want = append(want, fmt.Sprintf("%s %s %d", r.Method, strings.Join(path[:min(2, len(path))], "/"), r.Status))
	}
	if last := want[len(want)-3:]; !slices.Equal(last, []string{"PUT transaction 200", "DELETE authentication 200", "DELETE authentication 200"}) {
		t.Errorf("the last spans are %q", last)
	}
	var got []string
	for _, s := range spans {
		got = append(got, outcome(s))
	}
	if d := cmp.Diff(want, got); d != "" {
		t.Errorf("spans (-want +got):\n%s", d)
	}
	if len(records) != len(spans) {
		t.Errorf("%d records and %d spans", len(records), len(spans))
	}
	for _, r := range journal {
		if r.Header.Get("Traceparent") != "" {
			t.Errorf("%s %s: the trace id was sent to the appliance", r.Method, r.Path)
		}
	}
}

// TestURLWithoutQuery checks that a span has the URL without the query, and that the appliance
// still receives the query.
func TestURLWithoutQuery(t *testing.T) {
	t.Parallel()
	spans, _, journal := observed(t, func(ctx context.Context, _ *spstest.Appliance, c *sps.Client) {
		if _, err := c.Starling.JoinStatus(ctx, sps.WithProductTIMS(license)); err != nil {
			t.Error(err)
		}
	})
	if query := journal[1].RawQuery; !strings.Contains(query, license) {
		t.Errorf("the appliance received the query %q", query)
	}
	for _, a := range spans[1].Attributes {
		if a.Key == "url.full" && a.Value.AsString() != "https://appliance.test/api/starling/join" {
			t.Errorf("the span has the URL %s", a.Value.AsString())
		}
	}
}
