package telemetry

import (
	"context"
	"testing"
	"time"

	sdktrace "go.opentelemetry.io/otel/sdk/trace"
	"go.opentelemetry.io/otel/sdk/trace/tracetest"

	"github.com/mirrorstate/mirrorstate/partner"
)

// attempt is one that went well.
func attempt() partner.AttemptEnd {
	now := time.Now()
	return partner.AttemptEnd{Label: "get", Partner: partner.A, Epoch: 1, Number: 1, Began: now, Ended: now.Add(time.Millisecond)}
}

// With tracing off an attempt is counted without any memory.
func TestCalls_OffTakesNoMemory(t *testing.T) {
	c, a, ctx := newCalls(nil), attempt(), t.Context()
	if n := testing.AllocsPerRun(1000, func() {
		c.Attempted(ctx, a)
		c.Held(ctx, partner.HoldEnd{Label: "get", Waited: time.Millisecond})
	}); n != 0 {
		t.Errorf("%v allocations an attempt", n)
	}
}

// An attempt of what is nobody's call, such as the expiry job's, is no trace of its own.
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

// BenchmarkCalls is what an attempt pays for being counted, and for being traced where its call is.
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
