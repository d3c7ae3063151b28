package partner

import (
	"context"
	"errors"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/mirrorstate/mirrorstate/partner/choose"
)

// soon is how long after the time has come the watchdog may act: the pause between two
// probes in long trouble, and a bit.
const tolerance = 60 * time.Millisecond

// orders tells when a partner was told to force service, and what it does then.
type forceRequests struct {
	times    chan time.Time
	succeeds bool  // guarded by the pair's lock
	refusal  error // guarded by the pair's lock
}

// takeOrders has the partner that end picks take them.
func (f *fakePair) onForce(end int) *forceRequests {
	o := &forceRequests{succeeds: true, times: make(chan time.Time, 100)}
	s := f.ends[end]
	f.set(func(_, _ *fakeServer) {
		s.onExec = func(string) (err error) {
			f.set(func(_, _ *fakeServer) {
				if err = o.refusal; err == nil && o.succeeds {
					s.role, s.sequence = choose.RolePrincipal, s.sequence+1
				}
			})
			o.times <- time.Now()
			return err
		}
	})
	return o
}

// loseTo takes a partner away, and has the other, the mirror, notice.
func (f *fakePair) disconnect(mirror int) {
	f.set(func(_, _ *fakeServer) { f.ends[1-mirror].down, f.ends[mirror].mirroring = true, "DISCONNECTED" })
}

// rejoin brings the partner that was lost back as a mirror that has everything.
func (f *fakePair) rejoin(mirror int) {
	f.set(func(_, _ *fakeServer) {
		m, p := f.ends[mirror], f.ends[1-mirror]
		m.down, m.role, m.sequence, m.mirroring, p.mirroring = false, choose.RoleMirror, p.sequence, "SYNCHRONIZED", "SYNCHRONIZED"
	})
}

// in checks that a moment is as long after another as wanted, or a bit more.
func assertDelay(t *testing.T, what string, from, at time.Time, want time.Duration) {
	t.Helper()
	if d := at.Sub(from); d < want || d > want+tolerance {
		t.Errorf("%s after %v, want %v", what, d, want)
	}
}

func TestWatchdog_ActsWhenItsTimeHasCome(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		f := newFakePair(t)
		f.extended = true
		p := f.startServing(withWatchdog(&fakeObserver{goneSince: time.Now()}))
		first, second := f.onForce(1), f.onForce(0)
		time.Sleep(3 * time.Second)
		f.disconnect(1)
		var missed time.Time
		if err := p.await(t.Context(), false, func(v choose.View) bool { missed = v.UnreachableSince[0]; return !missed.IsZero() }); err != nil {
			t.Fatal(err)
		}
		forced := <-first.times
		assertDelay(t, "forced", missed, forced, 10*time.Second)
		if err := p.WaitForPrincipal(t.Context()); err != nil {
			t.Fatal(err)
		}
		f.rejoin(0)
		time.Sleep(3 * time.Second)
		f.disconnect(0)
		assertDelay(t, "forced again", forced, <-second.times, time.Minute)
	})
}

func TestWatchdog_TheCoolDownIsKeptOverARestart(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		f := newFakePair(t)
		f.extended = true
		observer, file := &fakeObserver{goneSince: time.Now()}, withMemory(filepath.Join(t.TempDir(), "pair.json"))
		first, second := f.onForce(1), f.onForce(0)
		var forced time.Time
		f.runWhile(func(p *Pair) {
			_ = p.WaitForPrincipal(t.Context())
			time.Sleep(3 * time.Second)
			f.disconnect(1)
			forced = <-first.times
			_ = p.WaitForPrincipal(t.Context())
		}, withWatchdog(observer), file)
		f.rejoin(0)
		f.startServing(withWatchdog(observer), file)
		time.Sleep(3 * time.Second)
		f.disconnect(0)
		assertDelay(t, "forced again, by the next process", forced, <-second.times, time.Minute)
	})
}

func TestWatchdog_PausesAfterARefusal(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		f := newFakePair(t)
		f.extended = true
		f.startServing(withWatchdog(&fakeObserver{goneSince: time.Now()}))
		mirror := f.onForce(1)
		f.set(func(_, _ *fakeServer) { mirror.refusal = sqlErr(16, 1455) })
		time.Sleep(3 * time.Second)
		f.disconnect(1)
		last := <-mirror.times
		for range 10 {
			next := <-mirror.times
			assertDelay(t, "tried again", last, next, refusedPause)
			last = next
		}
	})
}

// Who can't remember on disk that it forced does not force, and tries again a moment later.
func TestWatchdog_PausesWhereTheDiskFails(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		folder := filepath.Join(t.TempDir(), "memory")
		if err := os.Mkdir(folder, 0o700); err != nil {
			t.Fatal(err)
		}
		f := newFakePair(t)
		f.extended = true
		p := f.startServing(withWatchdog(&fakeObserver{goneSince: time.Now()}), withMemory(filepath.Join(folder, "pair.json")))
		mirror := f.onForce(1)
		time.Sleep(3 * time.Second)
		move := func(from, to string) {
			if err := os.Rename(from, to); err != nil {
				t.Fatal(err)
			}
		}
		move(folder, folder+".away")
		f.disconnect(1)
		time.Sleep(15 * time.Second)
		synctest.Wait()
		if s := p.Status().Watchdog; len(mirror.times) != 0 || !strings.Contains(s.Reason, "remembered on disk") || !s.LastForced.IsZero() {
			t.Errorf("without a disk: forced %d times, %+v", len(mirror.times), s)
		}
		move(folder+".away", folder)
		back := time.Now()
		if d := (<-mirror.times).Sub(back); d > refusedPause+tolerance {
			t.Errorf("forced %v after the disk was back, want %v at most", d, refusedPause)
		}
	})
}

// A force that the partners do not confirm keeps the watchdog no longer than an
// operator's statement may take; and counts for the cool-down.
func TestWatchdog_AnUnconfirmedForceEndsInTime(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		f := newFakePair(t)
		f.extended = true
		p := f.startServing(withWatchdog(&fakeObserver{goneSince: time.Now()}))
		mirror := f.onForce(1)
		f.set(func(_, _ *fakeServer) { mirror.succeeds = false })
		time.Sleep(3 * time.Second)
		f.disconnect(1)
		forced := <-mirror.times
		time.Sleep(p.cfg.Budgets.Admin - 1)
		synctest.Wait()
		if s := p.Status().Watchdog; s.LastError != "" {
			t.Errorf("given up early: %s", s.LastError)
		}
		time.Sleep(time.Nanosecond)
		synctest.Wait()
		if s := p.Status().Watchdog; !strings.Contains(s.LastError, "did not confirm") || s.Forced != 0 {
			t.Errorf("not given up after %v: %+v", p.cfg.Budgets.Admin, s)
		}
		assertDelay(t, "forced again", forced, <-mirror.times, time.Minute)
	})
}

// sleeper is an observer that does not answer.
type hangingObserver struct{ asked chan time.Duration }

func (s *hangingObserver) Sees(ctx context.Context, _ choose.Name) (bool, time.Duration, error) {
	began := time.Now()
	<-ctx.Done()
	s.asked <- time.Since(began)
	return false, 0, errors.Join(errors.New("no answer"), ctx.Err())
}

// An observer that hangs is given the time of a probe, and has not said that it misses anybody. What the
// others say is asked anew then, and not too often.
func TestWatchdog_AHangingObserverIsGivenAProbesTime(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		f := newFakePair(t)
		f.extended = true
		observer, asleep := &fakeObserver{goneSince: time.Now()}, &hangingObserver{make(chan time.Duration, 1000)}
		p := f.startServing(withWatchdog(observer, asleep))
		mirror := f.onForce(1)
		time.Sleep(3 * time.Second)
		f.disconnect(1)
		time.Sleep(12 * time.Second)
		for range 10 {
			if d := <-asleep.asked; d != p.cfg.Budgets.Probe {
				t.Fatalf("it was given %v, want %v", d, p.cfg.Budgets.Probe)
			}
		}
		synctest.Wait()
		if s := p.Status().Watchdog; s.Action != "block" || !strings.Contains(s.Reason, "observer 2 can't be asked") || len(mirror.times) != 0 {
			t.Errorf("forced %d times, %+v", len(mirror.times), s)
		}
	})
}

// An observer's word counts for sightingFresh: it is asked again when it is older, and not before.
func TestWatchdog_AsksAgainWhenAWordGetsOld(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		f := newFakePair(t)
		f.extended = true
		observer := &recordingObserver{}
		f.startServing(withWatchdog(observer))
		time.Sleep(3 * time.Second)
		f.disconnect(1)
		time.Sleep(25 * time.Second)
		synctest.Wait()
		got := gaps(observer.asked)
		if len(got) < 20 {
			t.Fatalf("asked %d times", len(observer.asked))
		}
		for i, d := range got {
			if d <= choose.SightingMaxAge || d > choose.SightingMaxAge+tolerance {
				t.Errorf("asked for the %d. time after %v, want after more than %v", i+2, d, choose.SightingMaxAge)
			}
		}
	})
}

// diary is an observer that reaches the principal, and notes when it is asked.
type recordingObserver struct{ asked []time.Time } // written by the watchdog alone, read when it waits

func (d *recordingObserver) Sees(context.Context, choose.Name) (bool, time.Duration, error) {
	d.asked = append(d.asked, time.Now())
	return true, time.Hour, nil
}
