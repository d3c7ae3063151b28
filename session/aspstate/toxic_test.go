package aspstate_test

import (
	"bytes"
	"context"
	"encoding/json"
	"net/netip"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/Shopify/toxiproxy/v2"
	"github.com/Shopify/toxiproxy/v2/stream"
	"github.com/Shopify/toxiproxy/v2/toxics"
	"github.com/microsoft/go-mssqldb/msdsn"
	"github.com/rs/zerolog"

	"github.com/mirrorstate/mirrorstate/partner/embedded"
)

// wire is the connection to one partner: a port on loopback behind which toxiproxy disturbs the bytes like a bad
// network.
type wire struct {
	dsn   msdsn.Config // of the partner, through the wire
	proxy *toxiproxy.Proxy
}

// openWire opens a wire to a partner. It is closed when the test ends.
func openWire(t *testing.T, p *embedded.Partner) *wire {
	t.Helper()
	dsn, err := msdsn.Parse(p.ConnectionString(embedded.DatabaseName))
	if err != nil {
		t.Fatal(err)
	}
	guardAll()
	w := &wire{dsn: dsn, proxy: toxiproxy.NewProxy(toxiproxyServer(), p.Name(), "127.0.0.1:0", p.Addr())}
	w.add(t, toxic{"pass", "upstream", nil})
	w.add(t, toxic{"pass", "downstream", nil})
	w.enable(t)
	t.Cleanup(func() { w.close(t) })
	at, err := netip.ParseAddrPort(w.proxy.Listen)
	if err != nil {
		t.Fatal(err)
	}
	w.dsn.Host, w.dsn.Port = at.Addr().String(), uint64(at.Port())
	return w
}

// toxiproxyServer is the part of toxiproxy that we do not use: it serves no API and logs nothing.
var toxiproxyServer = sync.OnceValue(func() *toxiproxy.ApiServer {
	zerolog.SetGlobalLevel(zerolog.Disabled)
	return toxiproxy.NewServer(toxiproxy.NewMetricsContainer(nil), zerolog.Nop())
})

// close closes the wire and waits for its goroutines.
func (w *wire) close(t *testing.T) {
	w.proxy.Toxics.ResetToxics(context.Background())
	w.proxy.Stop()
	limit := time.After(patience)
	for guards.Load() > 0 {
		select {
		case <-time.After(time.Millisecond):
		case <-limit:
			t.Errorf("%d ends of wires are still held", guards.Load())
			return
		}
	}
}

// enable makes the wire accept connections. Another connection may use its port as its local port for a moment.
func (w *wire) enable(t *testing.T) {
	t.Helper()
	limit := time.After(patience)
	for w.proxy.Start() != nil {
		select {
		case <-time.After(time.Millisecond):
		case <-limit:
			t.Fatalf("the wire to %s can't listen on %s", w.proxy.Name, w.proxy.Listen)
		}
	}
}

// toxic is a disturbance of one direction of a wire, in toxiproxy's terms.
type toxic struct {
	Type       string         `json:"type"`
	Stream     string         `json:"stream"` // upstream: what we send; downstream: what the partner sends
	Attributes map[string]any `json:"attributes"`
}

func (w *wire) add(t *testing.T, x toxic) {
	t.Helper()
	text, err := json.Marshal(x)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := w.proxy.Toxics.AddToxicJson(bytes.NewReader(text)); err != nil {
		t.Fatalf("add %s: %v", text, err)
	}
}

// remove removes a toxic.
func (w *wire) remove(t *testing.T, x toxic) {
	t.Helper()
	if err := w.proxy.Toxics.RemoveToxic(t.Context(), x.Type+"_"+x.Stream); err != nil {
		t.Fatalf("remove %s: %v", x.Type, err)
	}
}

// guardAll replaces the writing toxics in toxiproxy's register by our guards.
var guardAll = sync.OnceFunc(func() {
	toxics.Register("pass", new(guard[toxics.NoopToxic, *toxics.NoopToxic]))
	toxics.Register("latency", new(guard[toxics.LatencyToxic, *toxics.LatencyToxic]))
	toxics.Register("bandwidth", new(guard[toxics.BandwidthToxic, *toxics.BandwidthToxic]))
	toxics.Register("slow_close", new(guard[toxics.SlowCloseToxic, *toxics.SlowCloseToxic]))
	toxics.Register("slicer", new(guard[toxics.SlicerToxic, *toxics.SlicerToxic]))
	toxics.Register("limit_data", new(guard[toxics.LimitDataToxic, *toxics.LimitDataToxic]))
})

// guards counts the running guards.
var guards atomic.Int64

// nobodyThere is how long a guard waits until its bytes are read. It is much longer than any of our toxics delays
// bytes.
const nobodyThere = time.Second

// guard is a toxic that ends with its connection. Without it, a toxic whose reader has gone waits forever. If a
// change of the wire comes at that moment, it also keeps the lock that every change needs.
type guard[T any, P interface {
	*T
	toxics.Toxic
}] struct{ toxic T }

// UnmarshalJSON reads the attributes of the toxic behind the guard.
func (g *guard[T, P]) UnmarshalJSON(text []byte) error { return json.Unmarshal(text, &g.toxic) }

// GetBufferSize implements [toxics.BufferedToxic].
func (g *guard[T, P]) GetBufferSize() int {
	if b, ok := any(P(&g.toxic)).(toxics.BufferedToxic); ok {
		return b.GetBufferSize()
	}
	return 0
}

// NewState implements [toxics.StatefulToxic].
func (g *guard[T, P]) NewState() any {
	if s, ok := any(P(&g.toxic)).(toxics.StatefulToxic); ok {
		return s.NewState()
	}
	return nil
}

// Pipe implements [toxics.Toxic].
func (g *guard[T, P]) Pipe(stub *toxics.ToxicStub) {
	guards.Add(1)
	defer guards.Add(-1)
	out := make(chan *stream.StreamChunk)
	inner := toxics.NewToxicStub(stub.Input, out)
	inner.Interrupt, inner.State = stub.Interrupt, stub.State
	over := make(chan struct{})
	go func() {
		defer close(over)
		P(&g.toxic).Pipe(inner)
	}()
	for open := true; open; {
		select {
		case chunk := <-out:
			open = chunk != nil && stub.WriteOutput(chunk, nobodyThere) == nil
		case <-over:
			if !inner.Closed() {
				return // interrupted: another toxic continues with the stub
			}
		}
	}
	stub.Close()
	for working := true; working; {
		select {
		case <-out: // nothing reads it
		case <-over:
			working = false
		}
	}
	for range stub.Input { // drop what still arrives, until the other end is closed
	}
}
