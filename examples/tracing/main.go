// Command tracing shows the calls to an SPS appliance as OpenTelemetry spans and as
// log/slog records, joined by the id of their trace.
//
//	go run .
//
// It asks a simulated appliance, in its own process, or the one that the environment
// names: SPS_HOST, SPS_USERNAME, SPS_PASSWORD, and SPS_CA_BUNDLE or SPS_FINGERPRINT.
// The spans are kept in memory and printed at the end; a program of yours would give
// its provider an exporter that sends them. What there is to copy is in telemetry.go.
//
// The program is a module of its own, so that users of the SDK do not inherit
// OpenTelemetry.
package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"log"
	"log/slog"
	"os"
	"slices"

	"go.opentelemetry.io/otel/attribute"
	"go.opentelemetry.io/otel/codes"
	sdk "go.opentelemetry.io/otel/sdk/trace"
	"go.opentelemetry.io/otel/sdk/trace/tracetest"
	"go.opentelemetry.io/otel/trace"

	"github.com/go-sps/sps"
	"github.com/go-sps/sps/spstest"
)

func main() {
	if err := run(context.Background(), os.Stdout); err != nil {
		log.Fatal(err)
	}
}

func run(ctx context.Context, stdout io.Writer) error {
	spans := tracetest.NewInMemoryExporter()
	provider := sdk.NewTracerProvider(sdk.WithSyncer(spans))
	defer provider.Shutdown(ctx)
	logger := slog.New(withTraceID{slog.NewTextHandler(stdout, &slog.HandlerOptions{Level: slog.LevelDebug})})

	connect, end, err := target()
	if err != nil {
		return err
	}
	defer end()
	fmt.Fprintln(stdout, "The log records:")
	err = precheck(ctx, provider.Tracer("precheck"), func(ctx context.Context) (*sps.Client, error) {
		return connect(ctx, traced(provider), sps.WithLogger(logger))
	})
	fmt.Fprintln(stdout, "\nThe spans:")
	printSpans(stdout, spans.GetSpans())
	return err
}

// precheck is the work to look at: all that it does is below one span.
func precheck(ctx context.Context, tracer trace.Tracer, connect func(context.Context) (*sps.Client, error)) (err error) {
	ctx, span := tracer.Start(ctx, "precheck")
	defer func() {
		if err != nil {
			span.SetStatus(codes.Error, err.Error()) // the SDK's errors hold no secrets
		}
		span.End()
	}()
	client, err := connect(ctx)
	if err != nil {
		return err
	}
	defer client.Close(ctx)
	list, err := client.Firmware.Slots.List(ctx)
	if err != nil {
		return err
	}
	for _, slot := range list.Slots {
		if slot.Body.Empty() || slot.Body.Current {
			continue
		}
		_, err := client.Firmware.Test(ctx, slot.Key)
		var failed *sps.FirmwareTestFailedDetails
		switch {
		case errors.As(err, &failed):
			span.AddEvent("the test failed", trace.WithAttributes(attribute.String("slot", slot.Key)))
		case err != nil:
			return err
		}
	}
	return nil
}

// target returns how to connect to the appliance of the environment or to a simulated
// one, and what to do at the end.
func target() (connect func(context.Context, ...sps.Option) (*sps.Client, error), end func(), err error) {
	if os.Getenv("SPS_HOST") != "" {
		return sps.ConnectFromEnv, func() {}, nil
	}
	appliance := spstest.NewServer(nil)
	appliance.SetSlot(spstest.Slot{Key: "4", Version: "6.0.10", TestFailure: spstest.VersionIncompatible()})
	// The first look at the slots is turned away, so that a second attempt shows.
	appliance.Inject(spstest.Fault{Path: "firmware/slots", Status: 503})
	return func(ctx context.Context, options ...sps.Option) (*sps.Client, error) {
		return sps.Connect(ctx, appliance.Addr(),
			sps.UsernamePassword(appliance.Username(), sps.NewSecretString(appliance.Password())),
			append(options, sps.WithCABundle(appliance.CA()))...)
	}, appliance.Close, nil
}

// printSpans prints the spans in the order of their beginnings.
func printSpans(w io.Writer, spans tracetest.SpanStubs) {
	slices.SortStableFunc(spans, func(a, b tracetest.SpanStub) int { return a.StartTime.Compare(b.StartTime) })
	for _, span := range spans {
		fmt.Fprintf(w, "trace_id=%s ", span.SpanContext.TraceID())
		if span.Parent.IsValid() {
			fmt.Fprint(w, "  ")
		}
		fmt.Fprint(w, span.Name)
		for _, a := range span.Attributes {
			if a.Key == "http.response.status_code" {
				fmt.Fprint(w, " ", a.Value.String())
			}
		}
		if span.Status.Code == codes.Error {
			fmt.Fprint(w, " (error)")
		}
		fmt.Fprintln(w)
	}
}
