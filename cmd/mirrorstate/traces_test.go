package main

import (
	"bytes"
	"context"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	commonpb "go.opentelemetry.io/proto/otlp/common/v1"
	tracepb "go.opentelemetry.io/proto/otlp/trace/v1"
	"google.golang.org/protobuf/proto"

	"github.com/mirrorstate/mirrorstate/cmd/mirrorstate/server"
	"github.com/mirrorstate/mirrorstate/session"
)

// collector receives spans as an OpenTelemetry collector does.
type collector struct {
	url string

	mu     sync.Mutex
	raw    bytes.Buffer
	spans  []*tracepb.Span
	res    map[string]string
	header http.Header
	came   chan struct{} // closed and replaced at every delivery
	refuse int           // number of deliveries to answer with 503
}

func startCollector(t *testing.T) *collector {
	t.Helper()
	c := &collector{came: make(chan struct{})}
	srv := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		body, err := io.ReadAll(r.Body)
		var data tracepb.TracesData
		if err == nil {
			err = proto.Unmarshal(body, &data)
		}
		if err != nil || r.URL.Path != "/v1/traces" || r.Method != "POST" || r.Header.Get("Content-Type") != "application/x-protobuf" {
			t.Errorf("%s %s: %v, %v", r.Method, r.URL, r.Header, err)
		}
		c.mu.Lock()
		defer c.mu.Unlock()
		if c.refuse > 0 {
			c.refuse--
			w.WriteHeader(http.StatusServiceUnavailable)
			return
		}
		c.raw.Write(body)
		c.header = r.Header
		for _, rs := range data.ResourceSpans {
			c.res = values(rs.Resource.Attributes)
			for _, ss := range rs.ScopeSpans {
				c.spans = append(c.spans, ss.Spans...)
			}
		}
		close(c.came)
		c.came = make(chan struct{})
	}))
	t.Cleanup(srv.Close)
	c.url = srv.URL
	return c
}

// await waits until n matching spans have arrived.
func (c *collector) await(t *testing.T, n int, match func(*tracepb.Span) bool) []*tracepb.Span {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), waitLimit)
	defer cancel()
	for {
		c.mu.Lock()
		var found []*tracepb.Span
		for _, s := range c.spans {
			if match(s) {
				found = append(found, s)
			}
		}
		came := c.came
		c.mu.Unlock()
		if len(found) >= n {
			return found
		}
		select {
		case <-came:
		case <-ctx.Done():
			t.Fatalf("%d of %d spans arrived", len(found), n)
		}
	}
}

func values(attributes []*commonpb.KeyValue) map[string]string {
	all := map[string]string{}
	for _, kv := range attributes {
		switch v := kv.Value.Value.(type) {
		case *commonpb.AnyValue_StringValue:
			all[kv.Key] = v.StringValue
		case *commonpb.AnyValue_IntValue:
			all[kv.Key] = fmt.Sprint(v.IntValue)
		case *commonpb.AnyValue_BoolValue:
			all[kv.Key] = fmt.Sprint(v.BoolValue)
		}
	}
	return all
}

// checkAttributes checks that a span has these attributes.
func checkAttributes(t *testing.T, s *tracepb.Span, want map[string]string) {
	t.Helper()
	got := values(s.Attributes)
	for k, v := range want {
		if got[k] != v {
			t.Errorf("%s: %s is %q, want %q", s.Name, k, got[k], v)
		}
	}
}

// A call with a traceparent has a span that is a child of the caller's span. Each attempt has a child span of that. No
// span contains a session's id or item.
func TestTraces(t *testing.T) {
	c := startCollector(t)
	c.refuse = 1 // the spans are sent again
	t.Setenv("OTEL_EXPORTER_OTLP_ENDPOINT", c.url)
	t.Setenv("OTEL_EXPORTER_OTLP_HEADERS", "authorization=Bearer%20collector-key")
	t.Setenv("OTEL_RESOURCE_ATTRIBUTES", "deployment.environment.name=test")
	t.Setenv("OTEL_BSP_SCHEDULE_DELAY", "20")
	p := startServe(t, t.TempDir())
	// While the principal's clock is not known well, locking a new session takes a second attempt.
	p.until(t, "looked at quickly", func(st server.PairStatus) bool { return st.Principal == "a" && st.Partners[0].LatencyMS < 5 })
	h, _ := must(t, []int{201}, "POST", p.api+"/v1/apps/default/sessions", "item-in-no-trace")
	url := p.api + h.Get("Location")
	id := h.Get("Location")[strings.LastIndexByte(h.Get("Location"), '/')+1:]

	const traceID, parent = "0af7651916cd43dd8448eb211c80319c", "b7ad6b7169203331"
	lock, _ := must(t, []int{200}, "POST", url+"/lock", "", "traceparent", "00-"+traceID+"-"+parent+"-01")
	mine := func(s *tracepb.Span) bool { return fmt.Sprintf("%x", s.TraceId) == traceID }
	spans := c.await(t, 2, mine)
	if len(spans) != 2 {
		t.Fatalf("%d spans", len(spans))
	}
	slices.SortFunc(spans, func(a, b *tracepb.Span) int { return int(a.Kind) - int(b.Kind) }) // server, client
	call, attempt := spans[0], spans[1]
	const route = "/v1/apps/{app}/sessions/{id}/lock"
	if fmt.Sprintf("%x", call.ParentSpanId) != parent || call.Kind != tracepb.Span_SPAN_KIND_SERVER || call.Name != "POST "+route {
		t.Errorf("the call's span: %v", call)
	}
	checkAttributes(t, call, map[string]string{
		"http.request.method": "POST", "http.route": route, "http.response.status_code": "200", "url.scheme": "http",
		"mirrorstate.outcome": "ok", "mirrorstate.application": "/lm/w3svc/1/root", "mirrorstate.session_hash": session.ID(id).ShortHash(),
	})
	if !bytes.Equal(attempt.ParentSpanId, call.SpanId) || attempt.Kind != tracepb.Span_SPAN_KIND_CLIENT || attempt.Name != "acquire ASPState" {
		t.Errorf("the attempt's span: %v", attempt)
	}
	checkAttributes(t, attempt, map[string]string{
		"db.system.name": "microsoft.sql_server", "db.namespace": "ASPState", "db.operation.name": "acquire",
		"mirrorstate.partner": "a", "mirrorstate.epoch": "1", "mirrorstate.attempt": "1", "mirrorstate.outcome": "done",
	})
	if attempt.StartTimeUnixNano < call.StartTimeUnixNano || attempt.EndTimeUnixNano > call.EndTimeUnixNano || attempt.EndTimeUnixNano <= attempt.StartTimeUnixNano {
		t.Errorf("the attempt is not within the call's time: %v, %v", attempt, call)
	}

	must(t, []int{423}, "POST", url+"/lock", "")
	refused := c.await(t, 1, func(s *tracepb.Span) bool { return values(s.Attributes)["http.response.status_code"] == "423" })[0]
	checkAttributes(t, refused, map[string]string{"mirrorstate.outcome": "session-locked"})
	if len(refused.ParentSpanId) != 0 || refused.Status.GetCode() != tracepb.Status_STATUS_CODE_UNSET {
		t.Errorf("the refused call's span: %v", refused)
	}

	p.stop(t)
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.res["service.name"] != "mirrorstate" || c.res["service.version"] == "" || c.res["deployment.environment.name"] != "test" {
		t.Errorf("got resource %v", c.res)
	}
	if c.header.Get("Authorization") != "Bearer collector-key" {
		t.Errorf("the collector got %v", c.header)
	}
	for _, secret := range []string{id, "item-in-no-trace", lock.Get("Session-Lock")} {
		if bytes.Contains(c.raw.Bytes(), []byte(secret)) {
			t.Errorf("the spans contain %q", secret)
		}
	}
	if strings.Contains(p.stderr.String(), "level=WARN msg=\"tracing error\"") {
		t.Errorf("a repeated delivery is logged as an error:\n%s", p.stderr)
	}
}

// Without a collector the server logs a warning now and then, and no request fails.
func TestTraces_NoCollector(t *testing.T) {
	gone := httptest.NewServer(http.NotFoundHandler())
	gone.Close()
	t.Setenv("OTEL_EXPORTER_OTLP_ENDPOINT", strings.Replace(gone.URL, "://", "://user:s3cret-in-url@", 1))
	t.Setenv("OTEL_EXPORTER_OTLP_TIMEOUT", "100")
	t.Setenv("OTEL_BSP_SCHEDULE_DELAY", "20")
	p := startServe(t, t.TempDir())
	must(t, []int{201}, "POST", p.api+"/v1/apps/default/sessions", "x")
	ctx, cancel := context.WithTimeout(t.Context(), waitLimit)
	defer cancel()
	if err := p.stderr.await(ctx, "level=WARN msg=\"tracing error\""); err != nil {
		t.Error(err)
	}
	began := time.Now()
	p.stop(t)
	if took := time.Since(began); took > 20*time.Second {
		t.Errorf("stopping took %v", took)
	}
	if strings.Contains(p.stderr.String(), "s3cret-in-url") {
		t.Errorf("the collector's password is in the log:\n%s", p.stderr)
	}
}
