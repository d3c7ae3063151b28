package engine

import (
	"context"
	"errors"
	"runtime"
	"testing"

	"github.com/mirrorstate/mirrorstate/partner/embedded/mirror"
	"github.com/mirrorstate/mirrorstate/partner/embedded/storage"
	"github.com/mirrorstate/mirrorstate/partner/embedded/tds"
)

// TestLease_queuedBehindAFailover starts a failover while one explicit transaction is
// open and another waits for its turn. The second must not begin, or the failover would
// have to wait for it.
func TestLease_queuedBehindAFailover(t *testing.T) {
	p := openPair(t).Partner("a")
	ctx, cancel := context.WithTimeout(t.Context(), mirror.LeaseIdle/2)
	defer cancel()
	first, err := p.Main().OpenLease(ctx)
	if err != nil {
		t.Fatal(err)
	}
	second := make(chan error, 1)
	go func() {
		l, err := p.Main().OpenLease(ctx)
		if err == nil {
			defer l.Abort(mirror.ErrLeaseDone)
		}
		second <- err
	}()
	for queued := 0; queued == 0 && ctx.Err() == nil; runtime.Gosched() {
		p.Main().Turns.Mu.Lock()
		queued = len(p.Main().Turns.Waiting)
		p.Main().Turns.Mu.Unlock()
	}
	if err := p.Failover(ctx); err != nil {
		t.Fatalf("failover: %v", err)
	}
	for what, err := range map[string]error{"the open transaction": first.Commit(), "the queued one": <-second} {
		var e tds.Errors
		if !errors.As(err, &e) {
			t.Errorf("%s ended with %v, want the session killed", what, err)
		}
	}
	if p.Other().Main().State.Load().Role != storage.RolePrincipal {
		t.Error("the roles did not change")
	}
}
