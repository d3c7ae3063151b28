package partner

import (
	"context"
	"errors"
	"path/filepath"
	"slices"
	"strings"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/mirrorstate/mirrorstate/partner/choose"
	"github.com/mirrorstate/mirrorstate/partner/link"
)

// fakeObserver is an observer whose answers a test sets.
type fakeObserver struct {
	reaches   atomic.Bool
	fails     atomic.Bool
	asked     atomic.Int64
	goneSince time.Time // since when it has not reached the principal
}

func (o *fakeObserver) Sees(context.Context, choose.Name) (bool, time.Duration, error) {
	o.asked.Add(1)
	if o.fails.Load() {
		return false, 0, errors.New("connection refused")
	}
	return o.reaches.Load(), time.Since(o.goneSince), nil
}

// withWatchdog configures a watchdog that waits ten seconds.
func withWatchdog(observers ...choose.Observer) func(*Config) {
	return func(c *Config) {
		c.Watchdog = choose.WatchdogConfig{Enabled: true, After: 10 * time.Second, CoolDown: time.Minute, Observers: observers}
	}
}

// losePrincipal stops the principal a and disconnects the mirror. Forced service on the mirror succeeds.
func (f *fakePair) losePrincipal() {
	f.set(func(a, b *fakeServer) {
		a.down, b.mirroring = true, "DISCONNECTED"
		b.onExec = func(string) error {
			f.set(func(_, b *fakeServer) { b.role, b.sequence = choose.RolePrincipal, b.sequence+1 })
			return nil
		}
	})
}

// untilSynchronized waits until the principal was probed once more after it was accepted. Before that,
// Synchronized is unknown. This may take a whole second.
func untilSynchronized(t *testing.T, p *Pair) {
	t.Helper()
	if err := p.await(t.Context(), false, func(v choose.View) bool { return v.Serving && v.Synchronized }); err != nil {
		t.Fatalf("not SYNCHRONIZED in time: %v, %+v", err, p.Status())
	}
}

// execCounts returns how many statements were sent to each server.
func (f *fakePair) execCounts() (toA, toB int) {
	f.set(func(a, b *fakeServer) { toA, toB = len(a.execs), len(b.execs) })
	return toA, toB
}

func TestWatchdog_ForcesServiceOnce(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		f := newFakePair(t)
		f.extended = true
		observer := &fakeObserver{goneSince: time.Now()}
		p := f.startServing(withWatchdog(observer))
		events, cancel := p.Subscribe()
		defer cancel()
		time.Sleep(3 * time.Second)
		if s := p.Status().Watchdog; s.Action != "watch" || observer.asked.Load() != 0 {
			t.Fatalf("while the principal serves: %+v, asked %d", s, observer.asked.Load())
		}
		f.losePrincipal()
		lost := time.Now()
		time.Sleep(10 * time.Second)
		if _, b := f.execCounts(); b != 0 {
			t.Fatalf("forced before After: %+v", p.Status().Watchdog)
		}
		if err := p.WaitForPrincipal(t.Context()); err != nil {
			t.Fatal(err)
		}
		if d := time.Since(lost); d > 12*time.Second {
			t.Errorf("took %s", d)
		}
		time.Sleep(2 * time.Minute)
		s := p.Status()
		if a, b := f.execCounts(); a != 0 || b != 1 || s.Principal != choose.B || s.Epoch != 2 || s.Watchdog.Forced != 1 || s.Watchdog.LastError != "" {
			t.Errorf("sent %d to a and %d to b; %+v", a, b, s)
		}
		var told []string
		for len(events) > 0 {
			if e := <-events; e.Kind == "watchdog" {
				told = append(told, strings.SplitN(e.Reason, ":", 2)[0])
			}
		}
		if !slices.Contains(told, "force") || p.Stats().Watchdog["force"] != 1 {
			t.Errorf("published %q, counted %v", told, p.Stats().Watchdog)
		}
	})
}

func TestWatchdog_CoolDownAcrossARestart(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		path := filepath.Join(t.TempDir(), "pair.json")
		f := newFakePair(t)
		f.extended = true
		observer := &fakeObserver{goneSince: time.Now()}
		f.runWhile(func(p *Pair) {
			untilSynchronized(t, p)
			f.losePrincipal()
			time.Sleep(15 * time.Second)
			if _, b := f.execCounts(); b != 1 {
				t.Fatalf("not forced: %+v", p.Status().Watchdog)
			}
		}, withWatchdog(observer), withMemory(path))
		// a comes back as a synchronized mirror, and b is lost at once.
		f.set(func(a, b *fakeServer) {
			a.down, a.role, a.sequence, a.mirroring, b.mirroring = false, choose.RoleMirror, b.sequence, "SYNCHRONIZED", "SYNCHRONIZED"
		})
		p := f.startServing(withWatchdog(observer), withMemory(path))
		untilSynchronized(t, p)
		f.set(func(a, b *fakeServer) { b.down, a.mirroring = true, "DISCONNECTED" })
		time.Sleep(20 * time.Second)
		if a, _ := f.execCounts(); a != 0 || !strings.Contains(p.Status().Watchdog.Reason, "cool-down") {
			t.Fatalf("a restarted proxy forced service again during the cool-down: %+v", p.Status().Watchdog)
		}
		time.Sleep(time.Minute)
		if a, b := f.execCounts(); a == 0 || b != 1 {
			t.Errorf("after the cool-down: %d to a, %d to b, %+v", a, b, p.Status().Watchdog)
		}
	})
}

func TestWatchdog_CoolDown(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		f := newFakePair(t)
		f.extended = true
		p := f.startServing(withWatchdog(&fakeObserver{goneSince: time.Now()}))
		untilSynchronized(t, p)
		f.losePrincipal()
		time.Sleep(15 * time.Second)
		f.set(func(a, b *fakeServer) {
			a.down, a.role, a.sequence, a.mirroring, b.mirroring = false, choose.RoleMirror, b.sequence, "SYNCHRONIZED", "SYNCHRONIZED"
		})
		untilSynchronized(t, p)
		f.set(func(a, b *fakeServer) { b.down, a.mirroring = true, "DISCONNECTED" })
		time.Sleep(20 * time.Second)
		if a, b := f.execCounts(); a != 0 || b != 1 || p.Status().Watchdog.Reason != pauseForced {
			t.Fatalf("within the cool-down: %d to a, %d to b, %+v", a, b, p.Status().Watchdog)
		}
		time.Sleep(time.Minute)
		if a, b := f.execCounts(); a != 1 || b != 1 {
			t.Errorf("after the cool-down: %d to a, %d to b, %+v", a, b, p.Status().Watchdog)
		}
	})
}

func TestWatchdog_DoesNotForce(t *testing.T) {
	tests := []struct {
		name   string
		change func(c *Config, observer *fakeObserver)
		script func(a, b *fakeServer)
		want   string
	}{
		{"dry run", func(c *Config, _ *fakeObserver) { c.Watchdog.DryRun = true }, nil, "would-force: a is unreachable"},
		{"an observer reaches the principal", func(_ *Config, observer *fakeObserver) { observer.reaches.Store(true) }, nil, "block: observer 1 reaches a"},
		{"an observer does not answer", func(_ *Config, observer *fakeObserver) { observer.fails.Store(true) }, nil, "block: observer 1 can't be asked"},
		{"no observers", func(c *Config, _ *fakeObserver) { c.Watchdog.Observers = nil }, nil, "block: no observers are configured"},
		{"off", func(c *Config, _ *fakeObserver) { c.Watchdog.Enabled = false }, nil, "off: "},
		{"a witness", nil, func(a, b *fakeServer) { a.witness, b.witness = "CONNECTED", "CONNECTED" }, "block: the witness decides"},
		{"asynchronous", nil, func(a, b *fakeServer) { a.safety, b.safety = "OFF", "OFF" }, "block: the pair was not SYNCHRONIZED"},
		{"exposed", nil, func(a, b *fakeServer) { a.mirroring, b.mirroring = "DISCONNECTED", "DISCONNECTED" }, "block: the pair was not SYNCHRONIZED"},
	}
	for _, tt := range tests {
		synctest.Test(t, func(t *testing.T) {
			f := newFakePair(t)
			f.extended = true
			if tt.script != nil {
				f.set(tt.script)
			}
			observer := &fakeObserver{goneSince: time.Now()}
			p := f.startServing(withWatchdog(observer), func(c *Config) {
				if tt.change != nil {
					tt.change(c, observer)
				}
			})
			time.Sleep(3 * time.Second)
			f.losePrincipal()
			time.Sleep(time.Minute)
			s := p.Status().Watchdog
			if a, b := f.execCounts(); a+b != 0 || !strings.HasPrefix(s.Action+": "+s.Reason, tt.want) {
				t.Errorf("%s: sent %d and %d, %s: %q; want %q", tt.name, a, b, s.Action, s.Reason, tt.want)
			}
			if n := observer.asked.Load(); n > 150 {
				t.Errorf("%s: asked the observer %d times in a minute", tt.name, n)
			}
			if n := p.Stats().Watchdog[s.Action]; n > 3 {
				t.Errorf("%s: counted %d times, want once per change", tt.name, n)
			}
		})
	}
}

func TestWatchdog_AnAnswerRestartsTheWait(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		f := newFakePair(t)
		f.extended = true
		p := f.startServing(withWatchdog(&fakeObserver{goneSince: time.Now()}))
		time.Sleep(3 * time.Second)
		for range 5 {
			f.set(func(a, b *fakeServer) { a.down, b.mirroring = true, "DISCONNECTED" })
			time.Sleep(9 * time.Second)
			f.set(func(a, b *fakeServer) { a.down, b.mirroring = false, "SYNCHRONIZED" })
			time.Sleep(3 * time.Second)
		}
		if a, b := f.execCounts(); a+b != 0 || p.Status().Principal != choose.A {
			t.Errorf("sent %d and %d, %+v", a, b, p.Status())
		}
	})
}

func TestWatchdog_RepeatsAfterARefusal(t *testing.T) {
	for _, failure := range []error{sqlErr(16, 1455), &link.LoginError{Partner: choose.B, Err: errors.New("connection reset")}} {
		forceFails(t, failure)
	}
}

// forceFails makes forced service fail for a while.
func forceFails(t *testing.T, failure error) {
	synctest.Test(t, func(t *testing.T) {
		f := newFakePair(t)
		f.extended = true
		p := f.startServing(withWatchdog(&fakeObserver{goneSince: time.Now()}))
		time.Sleep(3 * time.Second)
		f.losePrincipal()
		works := f.ends[1].onExec
		f.set(func(_, b *fakeServer) { b.onExec = func(string) error { return failure } })
		time.Sleep(15 * time.Second)
		_, tried := f.execCounts()
		if s := p.Status().Watchdog; tried < 2 || tried > 6 || s.Forced != 0 || s.LastError == "" {
			t.Fatalf("tried %d times, %+v", tried, s)
		}
		f.set(func(_, b *fakeServer) { b.onExec = works })
		time.Sleep(3 * time.Second)
		if s := p.Status(); s.Principal != choose.B || s.Watchdog.Forced != 1 {
			t.Errorf("later: %+v", s)
		}
	})
}

func TestSees(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		f := newFakePair(t)
		if _, _, err := f.newPair().Sees(t.Context(), choose.A); err == nil {
			t.Error("Sees succeeded before the first probe")
		}
		var over *Pair
		f.runWhile(func(p *Pair) {
			over = p
			_ = p.WaitForPrincipal(t.Context())
			time.Sleep(10 * time.Second)
			if ok, since, err := p.Sees(t.Context(), choose.A); !ok || err != nil || since < 9*time.Second {
				t.Errorf("a partner that answers: %v for %s, %v", ok, since, err)
			}
			f.set(func(a, _ *fakeServer) { a.frozen = true })
			time.Sleep(10 * time.Second)
			ok, since, err := p.Sees(t.Context(), choose.A)
			if ok || err != nil || since < 6*time.Second || since > 9*time.Second {
				t.Errorf("a frozen partner: %v for %s, %v; want the time since the first new connection failed", ok, since, err)
			}
			if s := p.Status().Partners; s[0].Reachable || s[0].SinceS < 6 || !s[1].Reachable || s[1].SinceS < 19 {
				t.Errorf("status: %+v", s)
			}
		})
		if _, _, err := over.Sees(t.Context(), choose.A); !errors.Is(err, Closed) {
			t.Errorf("after Run ended: %v", err)
		}
	})
}
