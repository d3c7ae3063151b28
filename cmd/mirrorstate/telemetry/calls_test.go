package telemetry

import (
	"context"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	sdktrace "go.opentelemetry.io/otel/sdk/trace"
	"go.opentelemetry.io/otel/sdk/trace/tracetest"

	"github.com/mirrorstate/mirrorstate/partner"
	"github.com/mirrorstate/mirrorstate/proxy"
)

// attempt returns a successful attempt.
func attempt() partner.AttemptEnd {
	now := time.Now()
	return partner.AttemptEnd{Label: "get", Partner: partner.A, Epoch: 1, Number: 1, Began: now, Ended: now.Add(time.Millisecond)}
}

// With tracing off, counting an attempt allocates no memory.
func TestCalls_OffTakesNoMemory(t *testing.T) {
	c, a, ctx := newCalls(nil), attempt(), t.Context()
	if n := testing.AllocsPerRun(1000, func() {
		c.Attempted(ctx, a)
		c.Held(ctx, partner.HoldEnd{Label: "get", Waited: time.Millisecond})
	}); n != 0 {
		t.Errorf("%v allocations per attempt", n)
	}
}

// An attempt without a traced call, such as one of the expiry job, gets no span.
func TestCalls_OnlyCallsAreTraced(t *testing.T) {
	spans := tracetest.NewSpanRecorder()
	tracing := newTracing(sdktrace.NewTracerProvider(sdktrace.WithSpanProcessor(spans)), "1", "ASPState")
	c := newCalls(tracing)
	c.Attempted(t.Context(), attempt())
	ctx, call := tracing.tracer.Start(t.Context(), "a call")
	c.Held(ctx, partner.HoldEnd{Waited: time.Second, Outcome: partner.HoldDrained})
	c.Attempted(ctx, attempt())
	call.End()
	ended := spans.Ended()
	if len(ended) != 2 || ended[0].Name() != "get ASPState" || ended[0].Parent().SpanID() != call.SpanContext().SpanID() {
		t.Fatalf("%d spans: %v", len(ended), ended)
	}
	if took := ended[0].EndTime().Sub(ended[0].StartTime()); took != time.Millisecond {
		t.Errorf("the attempt's span took %v", took)
	}
	if events := ended[1].Events(); len(events) != 1 || events[0].Name != "held" {
		t.Errorf("the call's events are %v", events)
	}
	if err := tracing.Close(); err != nil {
		t.Error(err)
	}
}

// BenchmarkCalls measures the cost of counting an attempt, and of tracing it as part of a traced call.
func BenchmarkCalls(b *testing.B) {
	a := attempt()
	run := func(name string, c *Calls, ctx context.Context) {
		b.Run(name, func(b *testing.B) {
			b.ReportAllocs()
			for b.Loop() {
				c.Attempted(ctx, a)
			}
		})
	}
	run("counted", newCalls(nil), b.Context())
	tracing := newTracing(sdktrace.NewTracerProvider(), "1", "ASPState")
	ctx, span := tracing.tracer.Start(b.Context(), "a call")
	defer span.End()
	run("traced", newCalls(tracing), ctx)
}

// For any traceparent and tracestate the call gets a span. Its parent is the caller's span only if the traceparent is valid.
func FuzzTraceparent(f *testing.F) {
	f.Add("00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01", "a=b")
	f.Add("00-00000000000000000000000000000000-b7ad6b7169203331-01", "=")
	f.Add("ff-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01-x", strings.Repeat("a=b,", 99))
	f.Add("", "")
	spans := tracetest.NewSpanRecorder()
	tracing := newTracing(sdktrace.NewTracerProvider(sdktrace.WithSpanProcessor(spans), sdktrace.WithSampler(sdktrace.AlwaysSample())), "1", "ASPState")
	f.Fuzz(func(t *testing.T, parent, state string) {
		spans.Reset()
		r := httptest.NewRequest("GET", "/v1/apps/default/sessions/x", nil)
		r.Header["Traceparent"], r.Header["Tracestate"] = []string{parent}, []string{state}
		_, end := tracing.Begin(r, "/v1/apps/{app}/sessions/{id}")
		end(proxy.CallEnd{Outcome: "ok", Status: 200})
		ended := spans.Ended()
		if len(ended) != 1 || !ended[0].SpanContext().IsValid() {
			t.Fatalf("%d spans", len(ended))
		}
		if p := ended[0].Parent(); p.IsValid() && (!strings.Contains(parent, p.TraceID().String()) || !strings.Contains(parent, p.SpanID().String())) {
			t.Errorf("%q became the parent %v", parent, p)
		}
	})
}
