package link

import (
	"context"
	"errors"
	"testing"
	"time"

	"github.com/mirrorstate/mirrorstate/partner/choose"
	"github.com/mirrorstate/mirrorstate/partner/wiretest"
)

// A server that froze after the login answers neither the probe nor its cancel request,
// for which the driver alone would wait five seconds.
func TestServer_ProbeOfAFrozenServer(t *testing.T) {
	w := scripted(t)
	b := Budgets{}.WithDefaults()
	b.Probe = time.Second // before it freezes, it has to answer within that
	s := &Server{name: choose.A, database: "ASPState", dsn: wiretest.DSN(t, w.Servers[0].Addr, "disable"), budgets: b, maxConns: 4}
	defer s.Close()
	if o := s.Probe(t.Context(), ProbeRequest{}); !o.Reachable || !o.Opens {
		t.Fatalf("before: %+v", o)
	}
	w.Freeze(0)
	began := time.Now()
	if o := s.Probe(t.Context(), ProbeRequest{}); o.Reachable || o.Fresh || !errors.Is(o.Err, context.DeadlineExceeded) {
		t.Errorf("frozen: %+v; want the silence reported at once, without another login", o)
	}
	if d := time.Since(began); d > 4*time.Second {
		t.Errorf("took %s: the driver's own five seconds", d)
	}
}

// A slow server that nobody calls is given more time once it has shown that it needs it, and is not dialled each time.
func TestServer_PatienceGrows(t *testing.T) {
	w := scripted(t)
	b := Budgets{}.WithDefaults()
	b.Probe = 500 * time.Millisecond // half of it is more than a busy machine takes
	s := &Server{name: choose.A, database: "ASPState", dsn: wiretest.DSN(t, w.Servers[0].Addr, "disable"), budgets: b, maxConns: 4}
	defer s.Close()
	if o := s.Probe(t.Context(), ProbeRequest{}); !o.Opens {
		t.Fatalf("before: %+v", o)
	}
	quick := w.SlowProbes(0)
	defer quick()
	asked := time.Now()
	o := s.Probe(t.Context(), ProbeRequest{Number: 7})
	if d := time.Since(asked); o.Reachable || o.PendingSince.IsZero() || d > 4*time.Second {
		t.Fatalf("slow: %+v after %s; want silence, and the answer awaited", o, d)
	}
	defer w.SlowProbes(0)() // the next question gets no answer before the test ends
	time.AfterFunc(b.Probe/2, quick)
	o = s.Probe(t.Context(), ProbeRequest{Number: 8})
	if !o.Opens || o.Request != 7 || o.Began.Sub(asked) > b.Probe || o.Latency < b.Probe {
		t.Errorf("late: %+v; want the answer to the question before, as of the time it was asked", o)
	}
	// A second time, as slow as the first.
	logins := w.ProbeLogins(0)
	quick = w.SlowProbes(0)
	defer quick()
	time.AfterFunc(2*b.Probe, quick)
	if o = s.Probe(t.Context(), ProbeRequest{}); !o.Opens || !o.PendingSince.IsZero() || w.ProbeLogins(0) != logins {
		t.Errorf("again: %+v, %d logins; want an answer on the same connection", o, w.ProbeLogins(0)-logins)
	}
	// But not where calls hang, which were quick before.
	calls := &CallTimes{start: time.Now().Add(-time.Minute)}
	calls.Sent(time.Now().Add(-2 * b.Probe))
	quick = w.SlowProbes(0)
	defer quick()
	if o = s.Probe(t.Context(), ProbeRequest{Calls: calls}); o.PendingSince.IsZero() || s.timeout <= b.Probe {
		t.Errorf("frozen: %+v, patience %s; want silence before the patience is over", o, s.timeout)
	}
	if d := time.Since(o.PendingSince); d > s.timeout {
		t.Errorf("noticed after %s, the patience is %s", d, s.timeout)
	}
}
