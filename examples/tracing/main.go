// Command tracing records the requests to an SPS appliance as OpenTelemetry spans and as
// log/slog records. Both contain the trace id, so that you can match them. The command is a
// separate module, so that the SDK does not depend on OpenTelemetry. Run it with:
//
//	go run .
package main

import (
	"context"
	"fmt"
	"io"
	"log"
	"log/slog"
	"net/http"
	"os"
	"strings"

	"go.opentelemetry.io/contrib/instrumentation/net/http/otelhttp"
	"go.opentelemetry.io/otel/attribute"
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
	spans := tracetest.NewInMemoryExporter() // use the exporter of your tracing backend instead
	provider := sdk.NewTracerProvider(sdk.WithSyncer(spans))
	defer provider.Shutdown(ctx)
	logger := slog.New(withTraceID{slog.NewTextHandler(stdout, &slog.HandlerOptions{Level: slog.LevelDebug})})
	appliance := spstest.NewServer(nil)
	defer appliance.Close()
	appliance.Inject(spstest.Fault{Path: "firmware/slots", Status: 503}) // makes the client send a second attempt

	ctx, span := provider.Tracer("example").Start(ctx, "list slots")
	client, err := sps.Connect(ctx, appliance.Addr(),
		sps.UsernamePassword(appliance.Username(), sps.NewSecretString(appliance.Password())),
		sps.WithCABundle(appliance.CA()), sps.WithLogger(logger), traced(provider))
	if err != nil {
		return err
	}
	_, err = client.Firmware.Slots.List(ctx)
	client.Close(ctx)
	span.End()
	for _, s := range spans.GetSpans() {
		fmt.Fprintf(stdout, "span trace_id=%s %s %s\n", s.SpanContext.TraceID(), s.Name, s.Status.Code)
	}
	return err
}

// traced returns an option that records a span for each attempt of a request, as a child of
// the span in the context of the call. A span is named after the method and the first two
// segments of the path, which contain no keys, so that backends can group spans by name.
func traced(provider trace.TracerProvider) sps.Option {
	return sps.WithTransport(func(base http.RoundTripper) http.RoundTripper {
		return otelhttp.NewTransport(withoutQuery{base}, otelhttp.WithTracerProvider(provider),
			otelhttp.WithSpanNameFormatter(func(_ string, r *http.Request) string {
				parts := strings.Split(strings.TrimPrefix(r.URL.Path, "/api/"), "/")
				return r.Method + " " + strings.Join(parts[:min(2, len(parts))], "/")
			}))
	})
}

// withoutQuery removes the query from the URL in the span. The query may contain search
// terms or a license number.
type withoutQuery struct{ base http.RoundTripper }

func (t withoutQuery) RoundTrip(r *http.Request) (*http.Response, error) {
	if r.URL.RawQuery != "" {
		plain := *r.URL
		plain.RawQuery = ""
		trace.SpanFromContext(r.Context()).SetAttributes(attribute.String("url.full", plain.String()))
	}
	return t.base.RoundTrip(r)
}

// withTraceID adds the trace id to each log record whose context contains a span.
type withTraceID struct{ slog.Handler }

func (h withTraceID) Handle(ctx context.Context, record slog.Record) error {
	if span := trace.SpanContextFromContext(ctx); span.IsValid() {
		record.AddAttrs(slog.String("trace_id", span.TraceID().String()))
	}
	return h.Handler.Handle(ctx, record)
}

func (h withTraceID) WithAttrs(as []slog.Attr) slog.Handler {
	return withTraceID{h.Handler.WithAttrs(as)}
}
func (h withTraceID) WithGroup(name string) slog.Handler {
	return withTraceID{h.Handler.WithGroup(name)}
}
