package partner

import (
	"context"
	"slices"
	"testing"
	"testing/synctest"
	"time"

	"github.com/mirrorstate/mirrorstate/partner/choose"
)

// eventKinds returns the kinds of the events published so far.
func eventKinds(events <-chan Event) (all []string) {
	for {
		select {
		case e := <-events:
			all = append(all, e.Kind)
		default:
			return all
		}
	}
}

// Only the probes of the principal are slow. Its calls succeed, so it stays principal and is not dialled again.
func TestWire_SlowProbes(t *testing.T) {
	w := newWirePair(t)
	b := longBudgets()
	b.Probe = time.Second // longer than a pause of a busy machine
	p := startWith(t, w, b)
	events, cancel := p.Subscribe()
	defer cancel()
	quick := w.SlowProbes(0)
	defer quick()
	dialled := w.ProbeLogins(0)
	for end := time.Now().Add(3 * p.cfg.Budgets.Probe); time.Now().Before(end); {
		began := time.Now()
		if err := p.Do(t.Context(), Call{Label: "work", Write: true}, work); err != nil {
			t.Fatal(err)
		}
		if d := time.Since(began); d > p.cfg.Budgets.Probe {
			t.Errorf("a call took %s", d)
		}
	}
	if s := p.Status(); s.Principal != choose.A || !s.Partners[0].Reachable || s.Partners[0].LastError == "" {
		t.Errorf("while probes are slow: %+v; want a, reachable, and the reason in LastError", s)
	}
	if got := eventKinds(events); slices.Contains(got, "no-principal") || slices.Contains(got, "breaker") {
		t.Errorf("the principal changed: %v", got)
	}
	if n := w.ProbeLogins(0) - dialled; n != 0 {
		t.Errorf("%d new logins", n)
	}
	quick()
	err := p.await(t.Context(), false, func(v choose.View) bool { return v.Observed[0].Err == nil })
	if err != nil {
		t.Error(err)
	}
	if n := w.ProbeLogins(0) - dialled; n != 0 {
		t.Errorf("%d new logins, although the answer came", n)
	}
	if p.Status().Partners[0].LatencyMS < milliseconds(2*p.cfg.Budgets.Probe) {
		t.Error("the late answer was not used")
	}
}

// succeedAfter returns an Op that succeeds after d.
func succeedAfter(d time.Duration) Op {
	return func(ctx context.Context, _ *Attempt) error {
		select {
		case <-time.After(d):
			return nil
		case <-ctx.Done():
			return ctx.Err()
		}
	}
}

// Calls that were sent after the probe and succeed confirm the principal, as long as they do.
func TestRun_CallsConfirmASlowPrincipal(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		f := newFakePair(t)
		p := f.startServing()
		events, cancel := p.Subscribe()
		defer cancel()
		f.set(func(a, _ *fakeServer) { a.silentProbes = true })
		for began := time.Now(); time.Since(began) < time.Minute; {
			if err := p.Do(t.Context(), Call{Write: true}, succeedAfter(100*time.Millisecond)); err != nil {
				t.Fatal(err)
			}
		}
		if got := eventKinds(events); len(got) != 0 || p.Status().Principal != choose.A {
			t.Fatalf("the principal changed: %v, %+v", got, p.Status())
		}
		// Now the server freezes: it answers no calls either.
		froze := time.Now()
		go func() { _ = p.Do(t.Context(), Call{Write: true}, succeedAfter(time.Hour)) }()
		if err := p.await(t.Context(), false, func(v choose.View) bool { return !v.Serving }); err != nil {
			t.Fatal(err)
		}
		if d := time.Since(froze); d > p.cfg.MonitorSteady+p.cfg.Budgets.Probe {
			t.Errorf("noticed after %s, want within one pause and one probe budget", d)
		}
		f.set(func(a, _ *fakeServer) { a.silentProbes, a.pendingSince = false, time.Time{} })
		if err := p.WaitForPrincipal(t.Context()); err != nil {
			t.Error(err)
		}
	})
}

// A call that was sent before the probe does not confirm the principal. Nor does a read that another copy may
// have answered.
func TestRun_CallsThatDoNotConfirmThePrincipal(t *testing.T) {
	for name, call := range map[string]func(p *Pair, stop chan struct{}) error{
		"sent before the probe": func(p *Pair, _ chan struct{}) error {
			return p.Do(context.Background(), Call{Write: true}, succeedAfter(1900*time.Millisecond))
		},
		"reads of a stock schema": func(p *Pair, stop chan struct{}) error {
			for {
				select {
				case <-stop:
					return nil
				default:
					if err := p.Do(context.Background(), Call{}, succeedAfter(10*time.Millisecond)); err != nil {
						return err
					}
				}
			}
		},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				f := newFakePair(t)
				p := f.startServing()
				stop, ended := make(chan struct{}), make(chan error, 1)
				go func() { ended <- call(p, stop) }()
				synctest.Wait()
				f.set(func(a, _ *fakeServer) { a.silentProbes = true })
				muted := time.Now()
				if err := p.await(t.Context(), false, func(v choose.View) bool { return !v.Serving }); err != nil {
					t.Fatal(err)
				}
				if d := time.Since(muted); d > 2*time.Second {
					t.Errorf("still served after %s", d)
				}
				f.set(func(a, _ *fakeServer) { a.silentProbes, a.pendingSince = false, time.Time{} })
				close(stop)
				if err := <-ended; err != nil {
					t.Error(err)
				}
			})
		})
	}
}
