package partner

import (
	"context"
	"errors"
	"testing"
	"testing/synctest"
	"time"

	"github.com/mirrorstate/mirrorstate/partner/choose"
	"github.com/mirrorstate/mirrorstate/partner/classify"
	"github.com/mirrorstate/mirrorstate/partner/hold"
)

// slowDrain holds writes until a principal serves them on conns connections, each for the time each. It returns
// how many succeeded, and how the others ended, by kind.
func slowDrain(t *testing.T, calls, conns int, each, away time.Duration) (done int, kinds map[error]int, s Status) {
	f := newFakePair(t)
	p := f.startServing(func(c *Config) { c.Hold.Size = calls })
	f.set(func(a, b *fakeServer) {
		a.down, a.openErr = true, errors.New("connection refused")
		b.down = true
		b.slots = make(chan struct{}, conns)
	})
	if err := p.await(t.Context(), false, func(v choose.View) bool { return !v.Serving }); err != nil {
		t.Fatal(err)
	}
	results := make(chan error, calls)
	for range calls {
		go func() {
			// The deadline of a request, as package proxy sets it: before the deadline of the call.
			ctx, cancel := context.WithTimeout(t.Context(), p.cfg.Hold.Window+p.cfg.Budgets.Attempt-time.Millisecond)
			defer cancel()
			results <- p.Do(ctx, Call{Write: true, Bytes: 1}, func(context.Context, *Attempt) error {
				time.Sleep(each)
				return nil
			})
		}()
	}
	time.Sleep(away)
	f.set(func(_, b *fakeServer) { b.down, b.role, b.sequence = false, choose.RolePrincipal, 2 })
	kinds = make(map[error]int)
	for range calls {
		err := <-results
		if err == nil {
			done++
			continue
		}
		if o := OutcomeOf(err); o != NotApplied {
			t.Errorf("%v has outcome %s", err, o)
		}
		for _, kind := range []error{NoPrincipal, Busy, hold.ErrFull, classify.ErrPoolBusy} {
			if errors.Is(err, kind) {
				kinds[kind]++
				break
			}
		}
	}
	return done, kinds, p.Status()
}

// A call that is not executed in time although there is a principal gets Busy, whether it waited in the hold
// or for a connection.
func TestDo_BusyIfTheQueueIsTooLong(t *testing.T) {
	for _, c := range []struct {
		name         string
		conns        int
		each, away   time.Duration
		least, taken int // of 12,000: successful calls
	}{
		{"all connections are in use", 64, 160 * time.Millisecond, 15 * time.Second, 7000, 9000},
		{"the principal came late in the window", 12_000, 2 * time.Second, 29 * time.Second, 3000, 5000},
	} {
		t.Run(c.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				done, kinds, s := slowDrain(t, 12_000, c.conns, c.each, c.away)
				if done < c.least || done > c.taken || kinds[Busy] != 12_000-done {
					t.Errorf("%d calls succeeded, the others ended with %v; want %v", done, kinds, Busy)
				}
				if c.conns == 12_000 && (s.Hold.Expired != 0 || s.Hold.Late != uint64(12_000-done)) {
					t.Errorf("counters of the hold: %+v", s.Hold)
				}
			})
		})
	}
}

// A pool that stays busy for all retries is not an error of the server.
func TestDo_BusyIfNoConnectionBecomesFree(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		f := newFakePair(t)
		p := f.startServing(func(c *Config) { c.Hold.Window = 2 * time.Minute })
		f.set(func(a, _ *fakeServer) { a.busy = true })
		err := p.Do(t.Context(), Call{Write: true}, func(context.Context, *Attempt) error { return nil })
		if !errors.Is(err, Busy) || OutcomeOf(err) != NotApplied {
			t.Errorf("got %v, %s; want %v", err, OutcomeOf(err), Busy)
		}
	})
}

// A call that found all connections in use, and then waited in the hold until the window was over, gets
// NoPrincipal.
func TestDo_NoPrincipalAfterABusyPrincipal(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		f := newFakePair(t)
		p := f.startServing()
		f.set(func(a, _ *fakeServer) { a.busy = true })
		time.AfterFunc(7*time.Second, func() {
			f.set(func(a, b *fakeServer) {
				a.down, b.down, a.busy = true, true, false
				a.openErr = errors.New("connection refused")
			})
		})
		err := p.Do(t.Context(), Call{Write: true}, func(context.Context, *Attempt) error { return nil })
		if !errors.Is(err, NoPrincipal) || errors.Is(err, Busy) {
			t.Errorf("got %v, want %v", err, NoPrincipal)
		}
	})
}
