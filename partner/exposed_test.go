package partner

import (
	"context"
	"errors"
	"testing"
	"testing/synctest"
	"time"

	"github.com/mirrorstate/mirrorstate/partner/choose"
)

func refuseExposed(c *Config) { c.Exposed = ExposedRefuse }

// expose sets the mirroring state of both fakes.
func (f *fakePair) expose(state string) {
	f.set(func(a, b *fakeServer) { a.mirroring, b.mirroring = state, state })
}

func TestExposed_WritesWaitForTheMirrorButReadsDoNot(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		f := newFakePair(t)
		p := f.startServing(refuseExposed)
		f.expose("DISCONNECTED")
		p.probeNow()
		if err := p.await(t.Context(), false, func(v choose.View) bool { return v.Observed[0].Mirroring == "DISCONNECTED" }); err != nil {
			t.Fatal(err)
		}
		synctest.Wait()
		ran := make(chan time.Time, 1)
		began := time.Now()
		done := make(chan error, 1)
		go func() {
			done <- p.Do(t.Context(), Call{Write: true}, func(context.Context, *Attempt) error { ran <- time.Now(); return nil })
		}()
		synctest.Wait()
		if err := p.Do(t.Context(), Call{}, func(context.Context, *Attempt) error { return nil }); err != nil || time.Since(began) > 0 {
			t.Errorf("a read meanwhile: %v after %v", err, time.Since(began))
		}
		if s := p.Status(); s.Holding != 1 || !s.Exposed || len(ran) != 0 {
			t.Errorf("%d held, exposed %v, %d writes executed; want 1, true, 0", s.Holding, s.Exposed, len(ran))
		}
		time.Sleep(10 * time.Second)
		f.expose("SYNCHRONIZED")
		if err := <-done; err != nil {
			t.Errorf("the write: %v", err)
		}
		if d := (<-ran).Sub(began); d < 10*time.Second || d > 12*time.Second {
			t.Errorf("the write was executed after %v, want soon after the mirror came back at 10 s", d)
		}
	})
}

func TestExposed_WriteEndsWithTheWindow(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		f := newFakePair(t)
		f.expose("SUSPENDED")
		p := f.startServing(refuseExposed)
		began := time.Now()
		err := p.Do(t.Context(), Call{Write: true}, func(context.Context, *Attempt) error { t.Error("the write was executed"); return nil })
		if !errors.Is(err, NoPrincipal) || !errors.Is(err, errExposed) || OutcomeOf(err) != NotApplied {
			t.Errorf("got %v, %v", err, OutcomeOf(err))
		}
		if d := time.Since(began); d != 30*time.Second {
			t.Errorf("held for %v, want the window", d)
		}
	})
}

// The mirror is lost after the last probe, so only the probe after the commit finds it.
func TestExposed_FoundOnlyAfterTheCommit(t *testing.T) {
	for _, back := range []bool{true, false} {
		synctest.Test(t, func(t *testing.T) {
			f := newFakePair(t)
			p := f.startServing(refuseExposed)
			began, attempts := time.Now(), 0
			if back {
				time.AfterFunc(3*time.Second, func() { f.expose("SYNCHRONIZED") })
			}
			err := p.Do(t.Context(), Call{Write: true}, func(context.Context, *Attempt) error {
				attempts++
				f.expose("DISCONNECTED")
				return nil
			})
			d := time.Since(began)
			switch {
			case back && (err != nil || d < 3*time.Second || d > 4100*time.Millisecond):
				t.Errorf("the mirror came back after 3 s: %v after %v", err, d)
			case !back && (!errors.Is(err, OutcomeUnknown) || !errors.Is(err, errExposed) || OutcomeOf(err) != Unknown || d != 35*time.Second):
				t.Errorf("the mirror stayed away: %v, %v after %v", err, OutcomeOf(err), d)
			}
			if attempts != 1 {
				t.Errorf("executed %d times", attempts)
			}
		})
	}
}

// The write is sent again to the new principal, which knows its result.
func TestExposed_FailoverAfterTheCommit(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		f := newFakePair(t)
		f.extended, f.epoch, f.server = true, 3, "SQLA"
		p := f.startServing(refuseExposed)
		err := p.Do(t.Context(), Call{Write: true}, func(_ context.Context, a *Attempt) error {
			if a.Partner == choose.A {
				f.failOver()
			} else if !a.Resent {
				t.Error("Resent is not set")
			}
			return nil
		})
		if s := p.Status(); err != nil || s.Principal != choose.B {
			t.Errorf("got %v with principal %s", err, s.Principal)
		}
	})
}

func TestExposed_ProbesAreShared(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		f := newFakePair(t)
		p := f.startServing(refuseExposed)
		before := f.seen(choose.A).probes
		const calls = 100
		results := make(chan error, calls)
		for range calls {
			go func() {
				results <- p.Do(t.Context(), Call{Write: true}, func(context.Context, *Attempt) error { return nil })
			}()
		}
		for range calls {
			if err := <-results; err != nil {
				t.Error(err)
			}
		}
		if n := f.seen(choose.A).probes - before; n == 0 || n > 3 {
			t.Errorf("%d concurrent writes took %d probes", calls, n)
		}
	})
}

// An unknown mirroring state does not count as synchronized.
func TestExposed_UnknownMirroringState(t *testing.T) {
	for _, c := range []struct {
		name string
		o    choose.Observation
		want bool
	}{
		{"synchronized", choose.Observation{Role: choose.RolePrincipal, Mirroring: "SYNCHRONIZED", Safety: "FULL"}, true},
		{"asynchronous", choose.Observation{Role: choose.RolePrincipal, Mirroring: "SYNCHRONIZED", Safety: "OFF"}, false},
		{"synchronizing", choose.Observation{Role: choose.RolePrincipal, Mirroring: "SYNCHRONIZING", Safety: "FULL"}, false},
		{"not visible to the login", choose.Observation{Role: choose.RoleUnknown}, false},
	} {
		if got := c.o.MirrorSynchronized(); got != c.want {
			t.Errorf("%s: %v", c.name, got)
		}
	}
}
