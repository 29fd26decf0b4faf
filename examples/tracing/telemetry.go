package main

import (
	"context"
	"log/slog"
	"net/http"
	"strings"

	"go.opentelemetry.io/contrib/instrumentation/net/http/otelhttp"
	"go.opentelemetry.io/otel/attribute"
	"go.opentelemetry.io/otel/trace"

	"github.com/go-sps/sps"
)

// traced makes a span of each attempt of each request, below the span of the context
// that the call was given. That of a login which several calls wait for is below the
// call that began it.
func traced(provider trace.TracerProvider) sps.Option {
	return sps.WithTransport(func(base http.RoundTripper) http.RoundTripper {
		return otelhttp.NewTransport(withoutQuery{base},
			otelhttp.WithTracerProvider(provider),
			otelhttp.WithSpanNameFormatter(func(_ string, r *http.Request) string { return spanName(r) }))
	})
}

// spanName names a span by the method and the first two parts of the path, in which
// there is never a key: names are for grouping.
func spanName(r *http.Request) string {
	parts := strings.Split(strings.TrimPrefix(r.URL.Path, "/api/"), "/")
	return r.Method + " " + strings.Join(parts[:min(2, len(parts))], "/")
}

// withoutQuery takes the query out of the URL that otelhttp has put into the span: it
// may have what somebody searched for, or a license number.
type withoutQuery struct{ base http.RoundTripper }

func (t withoutQuery) RoundTrip(r *http.Request) (*http.Response, error) {
	if r.URL.RawQuery != "" {
		plain := *r.URL
		plain.RawQuery = ""
		trace.SpanFromContext(r.Context()).SetAttributes(attribute.String("url.full", plain.String()))
	}
	return t.base.RoundTrip(r)
}

// withTraceID adds the id of the trace to each record that has one in its context. The
// SDK logs with the context of the call.
type withTraceID struct{ slog.Handler }

func (h withTraceID) Handle(ctx context.Context, record slog.Record) error {
	if span := trace.SpanContextFromContext(ctx); span.IsValid() {
		record.AddAttrs(slog.String("trace_id", span.TraceID().String()))
	}
	return h.Handler.Handle(ctx, record)
}

func (h withTraceID) WithAttrs(attrs []slog.Attr) slog.Handler {
	return withTraceID{h.Handler.WithAttrs(attrs)}
}

func (h withTraceID) WithGroup(name string) slog.Handler {
	return withTraceID{h.Handler.WithGroup(name)}
}
