package partner

import (
	"context"
	"testing"
	"testing/synctest"
	"time"

	"github.com/mirrorstate/mirrorstate/partner/choose"
)

// A refusal is an answer. However many calls a partner refuses at once, its breaker stays closed, because the
// partner can be reached.
func TestBreaker_CountsARefusalAsReached(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		p := newFakePair(t).startServing()
		events, cancel := p.Subscribe()
		const calls = 2 * breakerTrips
		all, ended := make(chan struct{}), make(chan error, calls)
		for range calls {
			go func() {
				ended <- p.Do(t.Context(), Call{}, func(_ context.Context, a *Attempt) error {
					if a.Number > 1 {
						return nil
					}
					<-all
					return sqlErr(14, 954)
				})
			}()
		}
		synctest.Wait()
		close(all)
		for range calls {
			if err := <-ended; err != nil {
				t.Error(err)
			}
		}
		synctest.Wait()
		cancel()
		for e := range events {
			if e.Kind == "breaker" {
				t.Errorf("after %d concurrent refusals: the breaker changed from %s", calls, e.Reason)
			}
		}
	})
}

// While calls are held for a principal, the pair is ready. Otherwise a load balancer would remove all proxies.
func TestReady_WhileCallsAreHeld(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		f := newFakePair(t)
		p := f.startServing()
		f.set(func(a, b *fakeServer) { a.down, b.down = true, true })
		if err := p.await(t.Context(), false, func(v choose.View) bool { return !v.Serving }); err != nil {
			t.Fatal(err)
		}
		window := p.cfg.Hold.Window
		time.Sleep(window - 2*time.Second)
		if !p.Ready() {
			t.Errorf("not ready before the window of %s is over", window)
		}
		time.Sleep(2 * time.Second)
		if p.Ready() {
			t.Errorf("ready although the window of %s is over", window)
		}
	})
}
