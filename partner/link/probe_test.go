package link

import (
	"context"
	"errors"
	"testing"
	"time"

	"github.com/mirrorstate/mirrorstate/partner/choose"
	"github.com/mirrorstate/mirrorstate/partner/tdstest"
)

// A frozen server answers neither the probe nor its cancel request. The driver itself would wait five seconds
// for the latter.
func TestServer_ProbeOfAFrozenServer(t *testing.T) {
	w := scripted(t)
	b := Budgets{}.WithDefaults()
	b.Probe = time.Second // before the server is frozen, it must answer within this time
	s := &Server{name: choose.A, database: "ASPState", dsn: tdstest.DSN(t, w.Servers[0].Addr, "disable"), budgets: b, maxConns: 4}
	defer s.Close()
	if o := s.Probe(t.Context(), ProbeRequest{}); !o.Reachable || !o.Opens {
		t.Fatalf("before: %+v", o)
	}
	w.Freeze(0)
	began := time.Now()
	if o := s.Probe(t.Context(), ProbeRequest{}); o.Reachable || o.Fresh || !errors.Is(o.Err, context.DeadlineExceeded) {
		t.Errorf("frozen: %+v; want a timeout at once, without another login", o)
	}
	if d := time.Since(began); d > 4*time.Second {
		t.Errorf("took %s: the driver waited its five seconds", d)
	}
}

// A slow server without calls gets more time after it has shown that it needs it. It is not dialled each time.
func TestServer_ProbeTimeoutGrows(t *testing.T) {
	w := scripted(t)
	b := Budgets{}.WithDefaults()
	b.Probe = 500 * time.Millisecond // a busy machine takes less than half of it
	s := &Server{name: choose.A, database: "ASPState", dsn: tdstest.DSN(t, w.Servers[0].Addr, "disable"), budgets: b, maxConns: 4}
	defer s.Close()
	if o := s.Probe(t.Context(), ProbeRequest{}); !o.Opens {
		t.Fatalf("before: %+v", o)
	}
	quick := w.SlowProbes(0)
	defer quick()
	asked := time.Now()
	o := s.Probe(t.Context(), ProbeRequest{Number: 7})
	if d := time.Since(asked); o.Reachable || o.PendingSince.IsZero() || d > 4*time.Second {
		t.Fatalf("slow: %+v after %s; want a timeout and a pending probe", o, d)
	}
	defer w.SlowProbes(0)() // the next probe gets no answer before the test ends
	time.AfterFunc(b.Probe/2, quick)
	o = s.Probe(t.Context(), ProbeRequest{Number: 8})
	if !o.Opens || o.Request != 7 || o.Began.Sub(asked) > b.Probe || o.Latency < b.Probe {
		t.Errorf("late: %+v; want the answer to the probe before, with the time at which it was sent", o)
	}
	// The second slow answer is waited for.
	logins := w.ProbeLogins(0)
	quick = w.SlowProbes(0)
	defer quick()
	time.AfterFunc(2*b.Probe, quick)
	if o = s.Probe(t.Context(), ProbeRequest{}); !o.Opens || !o.PendingSince.IsZero() || w.ProbeLogins(0) != logins {
		t.Errorf("second time: %+v, %d logins; want an answer on the same connection", o, w.ProbeLogins(0)-logins)
	}
	// But a probe does not wait longer while calls stall that were quick before.
	calls := &CallTimes{start: time.Now().Add(-time.Minute)}
	calls.Sent(time.Now().Add(-2 * b.Probe))
	quick = w.SlowProbes(0)
	defer quick()
	if o = s.Probe(t.Context(), ProbeRequest{Calls: calls}); o.PendingSince.IsZero() || s.timeout <= b.Probe {
		t.Errorf("stalled: %+v, timeout %s; want the probe to end before its timeout", o, s.timeout)
	}
	if d := time.Since(o.PendingSince); d > s.timeout {
		t.Errorf("noticed after %s, the timeout is %s", d, s.timeout)
	}
}
