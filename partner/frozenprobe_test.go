package partner

import (
	"context"
	"errors"
	"testing"
	"time"
)

// A server that froze after the login answers neither the probe nor its cancel request,
// for which the driver alone would wait five seconds.
func TestServer_ProbeOfAFrozenServer(t *testing.T) {
	w := newWirePair(t)
	b := Config{}.withDefaults().Budgets
	b.Probe = time.Second // before it freezes, it has to answer within that
	s := &server{name: A, database: "ASPState", dsn: dsnFor(t, w.ends[0].addr, "disable"), budgets: b, maxConns: 4}
	defer s.close()
	if o := s.probe(t.Context(), ask{}); !o.Reachable || !o.Opens {
		t.Fatalf("before: %+v", o)
	}
	w.freeze(0)
	began := time.Now()
	if o := s.probe(t.Context(), ask{}); o.Reachable || o.Fresh || !errors.Is(o.Err, context.DeadlineExceeded) {
		t.Errorf("frozen: %+v; want the silence reported at once, without another login", o)
	}
	if d := time.Since(began); d > 4*time.Second {
		t.Errorf("took %s: the driver's own five seconds", d)
	}
}
