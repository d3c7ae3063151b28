package embedded

import (
	"context"
	"errors"
	"runtime"
	"testing"

	"github.com/mirrorstate/mirrorstate/partner/embedded/tds"
)

// TestLease_queuedBehindAFailover has a failover come while one explicit
// transaction is open and another waits for its turn: the second must not begin, or the
// failover would wait for as long as that is open.
func TestLease_queuedBehindAFailover(t *testing.T) {
	p := openPair(t).Partner("a")
	ctx, cancel := context.WithTimeout(t.Context(), leaseIdle/2)
	defer cancel()
	first, err := p.main().openLease(ctx)
	if err != nil {
		t.Fatal(err)
	}
	second := make(chan error, 1)
	go func() {
		l, err := p.main().openLease(ctx)
		if err == nil {
			defer l.breakOff(errLeaseDone)
		}
		second <- err
	}()
	for queued := 0; queued == 0 && ctx.Err() == nil; runtime.Gosched() {
		p.main().turns.mu.Lock()
		queued = len(p.main().turns.waiting)
		p.main().turns.mu.Unlock()
	}
	if err := p.Failover(ctx); err != nil {
		t.Fatalf("failover: %v", err)
	}
	for what, err := range map[string]error{"the open transaction": first.commit(), "the queued one": <-second} {
		var e tds.Errors
		if !errors.As(err, &e) {
			t.Errorf("%s ended with %v, want the session killed", what, err)
		}
	}
	if p.other().main().state.Load().role != rolePrincipal {
		t.Error("the roles did not change")
	}
}
