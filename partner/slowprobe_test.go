package partner

import (
	"context"
	"slices"
	"testing"
	"testing/synctest"
	"time"

	"github.com/mirrorstate/mirrorstate/partner/choose"
)

// kinds are the events since the subscription began.
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

// TestWire_SlowProbes slows only the probes of the principal: its calls succeed, so it is not gone, and it is not dialled again.
func TestWire_SlowProbes(t *testing.T) {
	w := newWirePair(t)
	b := longBudgets()
	b.Probe = time.Second // a pause of the machine is shorter
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
		t.Errorf("while probes are slow: %+v; want a, reachable, and why that is known", s)
	}
	if got := eventKinds(events); slices.Contains(got, "no-principal") || slices.Contains(got, "breaker") {
		t.Errorf("it flapped: %v", got)
	}
	if n := w.ProbeLogins(0) - dialled; n != 0 {
		t.Errorf("logged in %d times more", n)
	}
	quick()
	err := p.await(t.Context(), false, func(v choose.View) bool { return v.Observed[0].Err == nil })
	if err != nil {
		t.Error(err)
	}
	if n := w.ProbeLogins(0) - dialled; n != 0 {
		t.Errorf("logged in %d times more, for an answer that came", n)
	}
	if p.Status().Partners[0].LatencyMS < milliseconds(2*p.cfg.Budgets.Probe) {
		t.Error("the late answer was not taken")
	}
}

// done is a call that succeeds after d.
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

// Calls that were sent after the probe began and succeeded keep the principal, for as long as they do.
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
			t.Fatalf("it flapped: %v, %+v", got, p.Status())
		}
		// Now it freezes, calls and all.
		froze := time.Now()
		go func() { _ = p.Do(t.Context(), Call{Write: true}, succeedAfter(time.Hour)) }()
		if err := p.await(t.Context(), false, func(v choose.View) bool { return !v.Serving }); err != nil {
			t.Fatal(err)
		}
		if d := time.Since(froze); d > p.cfg.MonitorSteady+p.cfg.Budgets.Probe {
			t.Errorf("noticed after %s, want within the pause and a probe's time", d)
		}
		f.set(func(a, _ *fakeServer) { a.silentProbes, a.pendingSince = false, time.Time{} })
		if err := p.WaitForPrincipal(t.Context()); err != nil {
			t.Error(err)
		}
	})
}

// What is no proof: a call that was sent before the probe, and a read that another copy may have answered.
func TestRun_CallsThatConfirmNothing(t *testing.T) {
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
					t.Errorf("served for %s more", d)
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
