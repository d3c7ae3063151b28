package telemetry

import (
	"context"
	"errors"
	"log/slog"
	"net"
	"net/http"
	"strconv"
	"time"

	"go.opentelemetry.io/otel"
	"go.opentelemetry.io/otel/attribute"
	"go.opentelemetry.io/otel/codes"
	"go.opentelemetry.io/otel/exporters/otlp/otlptrace"
	"go.opentelemetry.io/otel/propagation"
	"go.opentelemetry.io/otel/sdk/resource"
	sdktrace "go.opentelemetry.io/otel/sdk/trace"
	"go.opentelemetry.io/otel/trace"

	mssql "github.com/microsoft/go-mssqldb"

	"github.com/mirrorstate/mirrorstate/partner"
	"github.com/mirrorstate/mirrorstate/proxy"
	"github.com/mirrorstate/mirrorstate/secretfile"
	"github.com/mirrorstate/mirrorstate/textfile"
)

// scope is the name of this program's instrumentation.
const scope = "github.com/mirrorstate/mirrorstate"

// Tracing creates a span for every call, with the caller's span as parent if the caller sent a W3C traceparent.
// Every attempt on a partner gets a child span. Any number of goroutines may use it.
type Tracing struct {
	provider *sdktrace.TracerProvider
	tracer   trace.Tracer
	caller   propagation.TraceContext
	database string
}

var _ proxy.Tracer = (*Tracing)(nil)

// NewTracing reads the OTEL_ variables; lookup is os.LookupEnv. It returns nil and no error if they request no
// traces. The SDK reads the variables for sampling, batches and span limits itself. Close must be called.
func NewTracing(ctx context.Context, lookup func(string) (string, bool), version, database string, log *slog.Logger) (*Tracing, error) {
	to, err := readOTLP(lookup)
	if err != nil || to == nil {
		return nil, err
	}
	if key, _ := otlpVariables(textfile.Lookup(lookup)).get("CLIENT_KEY"); key != "" {
		if e := secretfile.Check(key); e != nil {
			log.Warn("others can access the key of the client certificate for traces", "note", e.Error())
		}
	}
	exporter, err := otlptrace.New(ctx, to)
	if err != nil {
		return nil, err
	}
	// WithFromEnv is last, so that the variables override these attributes.
	res, err := resource.New(ctx,
		resource.WithAttributes(attribute.String("service.name", "mirrorstate"), attribute.String("service.version", version)),
		resource.WithTelemetrySDK(), resource.WithFromEnv())
	if err != nil && !errors.Is(err, resource.ErrPartialResource) {
		return nil, err
	}
	otel.SetErrorHandler(otel.ErrorHandlerFunc(func(err error) { log.Warn("tracing error", "error", err) }))
	return newTracing(sdktrace.NewTracerProvider(sdktrace.WithResource(res), sdktrace.WithBatcher(exporter)), version, database), nil
}

func newTracing(p *sdktrace.TracerProvider, version, database string) *Tracing {
	return &Tracing{provider: p, tracer: p.Tracer(scope, trace.WithInstrumentationVersion(version)), database: database}
}

// closeTime is the deadline for sending the last spans.
const closeTime = 5 * time.Second

// Close sends the remaining spans, within five seconds. A nil Tracing has none.
func (t *Tracing) Close() error {
	if t == nil {
		return nil
	}
	ctx, cancel := context.WithTimeout(context.Background(), closeTime)
	defer cancel()
	return t.provider.Shutdown(ctx)
}

// Begin implements proxy.Tracer. Source of the names: OpenTelemetry's semantic conventions for HTTP servers.
func (t *Tracing) Begin(r *http.Request, route string) (context.Context, func(proxy.CallEnd)) {
	ctx := t.caller.Extract(r.Context(), propagation.HeaderCarrier(r.Header))
	ctx, span := t.tracer.Start(ctx, r.Method+" "+route, trace.WithSpanKind(trace.SpanKindServer))
	if !span.IsRecording() {
		return ctx, func(proxy.CallEnd) { span.End() }
	}
	span.SetAttributes(attribute.String("http.request.method", r.Method), attribute.String("http.route", route),
		attribute.String("url.scheme", scheme(r)), attribute.String("network.protocol.version", strconv.Itoa(r.ProtoMajor)+"."+strconv.Itoa(r.ProtoMinor)))
	if local, ok := ctx.Value(http.LocalAddrContextKey).(*net.TCPAddr); ok {
		span.SetAttributes(attribute.String("server.address", local.IP.String()), attribute.Int("server.port", local.Port))
	}
	return ctx, func(e proxy.CallEnd) { endCall(span, e) }
}

func scheme(r *http.Request) string {
	if r.TLS != nil {
		return "https"
	}
	return "http"
}

func endCall(span trace.Span, e proxy.CallEnd) {
	span.SetAttributes(attribute.String("mirrorstate.outcome", e.Outcome))
	if e.Status != 0 {
		span.SetAttributes(attribute.Int("http.response.status_code", e.Status))
	}
	if e.Application != "" {
		span.SetAttributes(attribute.String("mirrorstate.application", e.Application))
	}
	if e.Session != "" {
		span.SetAttributes(attribute.String("mirrorstate.session_hash", e.Session))
	}
	if e.Fault != nil {
		span.SetAttributes(attribute.String("error.type", e.Outcome))
		span.SetStatus(codes.Error, e.Outcome)
	}
	span.End()
}

// attempted creates the span of an attempt, if its call is traced. Source of the names: OpenTelemetry's semantic
// conventions for SQL Server.
func (t *Tracing) attempted(ctx context.Context, a partner.AttemptEnd) {
	if !trace.SpanFromContext(ctx).IsRecording() {
		return
	}
	outcome := a.Outcome()
	_, span := t.tracer.Start(ctx, a.Label+" "+t.database, trace.WithSpanKind(trace.SpanKindClient), trace.WithTimestamp(a.Began), trace.WithAttributes(
		attribute.String("db.system.name", "microsoft.sql_server"), attribute.String("db.namespace", t.database), attribute.String("db.operation.name", a.Label),
		attribute.String("mirrorstate.partner", string(a.Partner)), attribute.Int64("mirrorstate.epoch", a.Epoch),
		attribute.Int("mirrorstate.attempt", a.Number), attribute.Bool("mirrorstate.resent", a.Resent), attribute.String("mirrorstate.outcome", outcome),
	))
	if a.OutcomeIndex() != 0 {
		if e, ok := errors.AsType[mssql.Error](a.Err); ok {
			span.SetAttributes(attribute.String("db.response.status_code", strconv.Itoa(int(e.Number))))
		}
		span.SetAttributes(attribute.String("error.type", outcome))
		span.SetStatus(codes.Error, outcome) // not the server's message, because it may quote the item
	}
	span.End(trace.WithTimestamp(a.Ended))
}

// held adds an event to a call's span: the call waited for a principal.
func (t *Tracing) held(ctx context.Context, h partner.HoldEnd) {
	trace.SpanFromContext(ctx).AddEvent("held", trace.WithAttributes(
		attribute.String("mirrorstate.outcome", h.Outcome.String()), attribute.Float64("mirrorstate.waited_seconds", h.Waited.Seconds())))
}
