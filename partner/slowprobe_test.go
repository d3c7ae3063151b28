package partner

import (
	"context"
	"slices"
	"sync"
	"testing"
	"testing/synctest"
	"time"
)

// slow has a server answer none of the probes that come until quick is called; its calls go on.
func (w *wirePair) slow(i int) (quick func()) {
	w.mu.Lock()
	defer w.mu.Unlock()
	slow := make(chan struct{})
	w.ends[i].slow = slow
	return sync.OnceFunc(func() {
		w.mu.Lock()
		defer w.mu.Unlock()
		if w.ends[i].slow == slow {
			w.ends[i].slow = nil
		}
		close(slow)
	})
}

// logins is how often a server was logged in to for probes.
func (w *wirePair) logins(i int) int {
	w.mu.Lock()
	defer w.mu.Unlock()
	return w.ends[i].logins
}

// kinds are the events since the subscription began.
func kinds(events <-chan Event) (all []string) {
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
	b := unhurried()
	b.Probe = time.Second // a pause of the machine is shorter
	p := w.startWith(t, b)
	events, cancel := p.Subscribe()
	defer cancel()
	quick := w.slow(0)
	defer quick()
	dialled := w.logins(0)
	for end := time.Now().Add(3 * p.cfg.Budgets.Probe); time.Now().Before(end); {
		began := time.Now()
		if err := p.Do(t.Context(), Call{Label: "work", Write: true}, work); err != nil {
			t.Fatal(err)
		}
		if d := time.Since(began); d > p.cfg.Budgets.Probe {
			t.Errorf("a call took %s", d)
		}
	}
	if s := p.Status(); s.Principal != A || !s.Partners[0].Reachable || s.Partners[0].LastError == "" {
		t.Errorf("while probes are slow: %+v; want a, reachable, and why that is known", s)
	}
	if got := kinds(events); slices.Contains(got, "no-principal") || slices.Contains(got, "breaker") {
		t.Errorf("it flapped: %v", got)
	}
	if n := w.logins(0) - dialled; n != 0 {
		t.Errorf("logged in %d times more", n)
	}
	quick()
	err := p.await(t.Context(), false, func(v view) bool { return v.obs[0].Err == nil })
	if err != nil {
		t.Error(err)
	}
	if n := w.logins(0) - dialled; n != 0 {
		t.Errorf("logged in %d times more, for an answer that came", n)
	}
	if p.Status().Partners[0].LatencyMS < milliseconds(2*p.cfg.Budgets.Probe) {
		t.Error("the late answer was not taken")
	}
}

// done is a call that succeeds after d.
func done(d time.Duration) Op {
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
func TestRun_CallsVouchForASlowPrincipal(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		f := newFakePair(t)
		p := f.startServing()
		events, cancel := p.Subscribe()
		defer cancel()
		f.set(func(a, _ *fakeServer) { a.mute = true })
		for began := time.Now(); time.Since(began) < time.Minute; {
			if err := p.Do(t.Context(), Call{Write: true}, done(100*time.Millisecond)); err != nil {
				t.Fatal(err)
			}
		}
		if got := kinds(events); len(got) != 0 || p.Status().Principal != A {
			t.Fatalf("it flapped: %v, %+v", got, p.Status())
		}
		// Now it freezes, calls and all.
		froze := time.Now()
		go func() { _ = p.Do(t.Context(), Call{Write: true}, done(time.Hour)) }()
		if err := p.await(t.Context(), false, func(v view) bool { return !v.serving }); err != nil {
			t.Fatal(err)
		}
		if d := time.Since(froze); d > p.cfg.MonitorSteady+p.cfg.Budgets.Probe {
			t.Errorf("noticed after %s, want within the pause and a probe's time", d)
		}
		f.set(func(a, _ *fakeServer) { a.mute, a.awaited = false, time.Time{} })
		if err := p.WaitForPrincipal(t.Context()); err != nil {
			t.Error(err)
		}
	})
}

// What is no proof: a call that was sent before the probe, and a read that another copy may have answered.
func TestRun_CallsThatVouchForNothing(t *testing.T) {
	for name, call := range map[string]func(p *Pair, stop chan struct{}) error{
		"sent before the probe": func(p *Pair, _ chan struct{}) error {
			return p.Do(context.Background(), Call{Write: true}, done(1900*time.Millisecond))
		},
		"reads of a stock schema": func(p *Pair, stop chan struct{}) error {
			for {
				select {
				case <-stop:
					return nil
				default:
					if err := p.Do(context.Background(), Call{}, done(10*time.Millisecond)); err != nil {
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
				f.set(func(a, _ *fakeServer) { a.mute = true })
				muted := time.Now()
				if err := p.await(t.Context(), false, func(v view) bool { return !v.serving }); err != nil {
					t.Fatal(err)
				}
				if d := time.Since(muted); d > 2*time.Second {
					t.Errorf("served for %s more", d)
				}
				f.set(func(a, _ *fakeServer) { a.mute, a.awaited = false, time.Time{} })
				close(stop)
				if err := <-ended; err != nil {
					t.Error(err)
				}
			})
		})
	}
}

// The watchdog forces nobody while calls succeed; and what the principal acknowledged after its mirror told of the loss is no insured
// write any more, whether a probe said so or not.
func TestView_CallsAndTheWatchdog(t *testing.T) {
	now := time.Now()
	at := func(d time.Duration) time.Time { return now.Add(d) }
	principal := says(A, RolePrincipal, 1, func(o *Observation) {
		o.Mirroring, o.Safety, o.Began, o.GoodUntil = "SYNCHRONIZED", "FULL", now, at(time.Minute)
	})
	mirror := func(state string) Observation {
		return says(B, RoleMirror, 1, func(o *Observation) {
			o.Mirroring, o.Safety, o.Began, o.GoodUntil = state, "FULL", now, at(time.Minute)
		})
	}
	silent := func(sent time.Time, vouched bool) Observation {
		return Observation{Partner: A, Began: at(4 * time.Second), GoodUntil: at(time.Minute), Err: errProbeTime,
			Fresh: true, Pending: at(3 * time.Second), Vouched: vouched, LastCall: sent}
	}
	for _, tt := range []struct {
		name    string
		mirror  Observation // heard after 2 s
		silent  Observation // heard after 5 s
		insured bool
		gone    bool
	}{
		{"calls succeed, the mirror follows", mirror("SYNCHRONIZED"), silent(at(4*time.Second), true), true, false},
		{"calls succeed after the mirror's loss", mirror("DISCONNECTED"), silent(at(4*time.Second), true), false, false},
		{"a call succeeded after the mirror's loss, and no more", mirror("DISCONNECTED"), silent(at(2500*time.Millisecond), false), false, true},
		{"no call succeeded after the mirror's loss", mirror("DISCONNECTED"), silent(at(1500*time.Millisecond), false), true, true},
		{"calls succeed, the mirror is silent", Observation{Partner: B, Err: errProbeTime}, silent(at(4*time.Second), true), false, false},
	} {
		t.Run(tt.name, func(t *testing.T) {
			v := view{accepted: Accepted{Partner: A}}
			v = v.with(1, mirror("SYNCHRONIZED"), now)
			v = v.with(0, principal, now)
			if !v.insured {
				t.Fatal("not insured at first")
			}
			v = v.with(1, tt.mirror, at(2*time.Second))
			v = v.with(0, tt.silent, at(5*time.Second))
			if v.insured != tt.insured {
				t.Errorf("insured %v, want %v", v.insured, tt.insured)
			}
			if gone := !v.lost[0].IsZero(); gone != tt.gone || v.obs[0].Reachable == tt.gone {
				t.Errorf("gone %v, reachable %v, want %v", gone, v.obs[0].Reachable, tt.gone)
			}
		})
	}
}

// A slow server that nobody calls is given more time once it has shown that it needs it, and is not dialled each time.
func TestServer_PatienceGrows(t *testing.T) {
	w := newWirePair(t)
	b := Config{}.withDefaults().Budgets
	b.Probe = 500 * time.Millisecond // half of it is more than a busy machine takes
	s := &server{name: A, database: "ASPState", dsn: dsnFor(t, w.ends[0].addr, "disable"), budgets: b, maxConns: 4}
	defer s.close()
	if o := s.probe(t.Context(), ask{}); !o.Opens {
		t.Fatalf("before: %+v", o)
	}
	quick := w.slow(0)
	defer quick()
	asked := time.Now()
	o := s.probe(t.Context(), ask{number: 7})
	if d := time.Since(asked); o.Reachable || o.Pending.IsZero() || d > 4*time.Second {
		t.Fatalf("slow: %+v after %s; want silence, and the answer awaited", o, d)
	}
	defer w.slow(0)() // the next question gets no answer before the test ends
	time.AfterFunc(b.Probe/2, quick)
	o = s.probe(t.Context(), ask{number: 8})
	if !o.Opens || o.Asked != 7 || o.Began.Sub(asked) > b.Probe || o.Latency < b.Probe {
		t.Errorf("late: %+v; want the answer to the question before, as of the time it was asked", o)
	}
	// A second time, as slow as the first.
	logins := w.logins(0)
	quick = w.slow(0)
	defer quick()
	time.AfterFunc(2*b.Probe, quick)
	if o = s.probe(t.Context(), ask{}); !o.Opens || !o.Pending.IsZero() || w.logins(0) != logins {
		t.Errorf("again: %+v, %d logins; want an answer on the same connection", o, w.logins(0)-logins)
	}
	// But not where calls hang, which were quick before.
	calls := &evidence{born: time.Now().Add(-time.Minute)}
	calls.begin(time.Now().Add(-2 * b.Probe))
	quick = w.slow(0)
	defer quick()
	if o = s.probe(t.Context(), ask{calls: calls}); o.Pending.IsZero() || s.patience <= b.Probe {
		t.Errorf("frozen: %+v, patience %s; want silence before the patience is over", o, s.patience)
	}
	if d := time.Since(o.Pending); d > s.patience {
		t.Errorf("noticed after %s, the patience is %s", d, s.patience)
	}
}
