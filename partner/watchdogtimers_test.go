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

// tolerance is how much later than planned the watchdog may act: the longest pause between two probes, and a
// little more.
const tolerance = 60 * time.Millisecond

// forceRequests records when a partner was asked to force service, and sets what it does then.
type forceRequests struct {
	times    chan time.Time
	succeeds bool  // guarded by the pair's lock
	refusal  error // guarded by the pair's lock
}

// onForce makes server end record requests to force service.
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

// disconnect stops the other partner, and disconnects the mirror.
func (f *fakePair) disconnect(mirror int) {
	f.set(func(_, _ *fakeServer) { f.ends[1-mirror].down, f.ends[mirror].mirroring = true, "DISCONNECTED" })
}

// rejoin brings the lost partner back as a synchronized mirror.
func (f *fakePair) rejoin(mirror int) {
	f.set(func(_, _ *fakeServer) {
		m, p := f.ends[mirror], f.ends[1-mirror]
		m.down, m.role, m.sequence, m.mirroring, p.mirroring = false, choose.RoleMirror, p.sequence, "SYNCHRONIZED", "SYNCHRONIZED"
	})
}

// assertDelay checks that at is later than from by want, with the tolerance.
func assertDelay(t *testing.T, what string, from, at time.Time, want time.Duration) {
	t.Helper()
	if d := at.Sub(from); d < want || d > want+tolerance {
		t.Errorf("%s after %v, want %v", what, d, want)
	}
}

func TestWatchdog_ForcesAfterTheConfiguredTime(t *testing.T) {
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

func TestWatchdog_CoolDownEndsOnTimeAfterARestart(t *testing.T) {
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
		assertDelay(t, "forced again after the restart", forced, <-second.times, time.Minute)
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
			assertDelay(t, "repeated", last, next, refusedPause)
			last = next
		}
	})
}

// If the cool-down cannot be written to the memory file, service is not forced, and this is tried again a
// moment later.
func TestWatchdog_DoesNotForceIfTheDiskFails(t *testing.T) {
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
		if s := p.Status().Watchdog; len(mirror.times) != 0 || !strings.Contains(s.Reason, "written to the memory file") || !s.LastForced.IsZero() {
			t.Errorf("without a disk: forced %d times, %+v", len(mirror.times), s)
		}
		move(folder+".away", folder)
		back := time.Now()
		if d := (<-mirror.times).Sub(back); d > refusedPause+tolerance {
			t.Errorf("forced %v after the disk worked again, want %v at most", d, refusedPause)
		}
	})
}

// If the partners do not confirm a forced service, the watchdog gives up after the admin budget. The cool-down
// still applies.
func TestWatchdog_GivesUpAnUnconfirmedForce(t *testing.T) {
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

// hangingObserver is an observer that does not answer.
type hangingObserver struct{ asked chan time.Duration }

func (s *hangingObserver) Sees(ctx context.Context, _ choose.Name) (bool, time.Duration, error) {
	began := time.Now()
	<-ctx.Done()
	s.asked <- time.Since(began)
	return false, 0, errors.Join(errors.New("no answer"), ctx.Err())
}

// An observer that hangs gets the probe budget, and does not count as agreeing. The other observers are asked
// again then, but not too often.
func TestWatchdog_AHangingObserverGetsTheProbeBudget(t *testing.T) {
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
				t.Fatalf("it got %v, want %v", d, p.cfg.Budgets.Probe)
			}
		}
		synctest.Wait()
		if s := p.Status().Watchdog; s.Action != "block" || !strings.Contains(s.Reason, "observer 2 can't be asked") || len(mirror.times) != 0 {
			t.Errorf("forced %d times, %+v", len(mirror.times), s)
		}
	})
}

// An observer's answer can be used for SightingMaxAge. It is asked again after that, and not before.
func TestWatchdog_AsksAgainWhenAnAnswerIsTooOld(t *testing.T) {
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
				t.Errorf("request %d came after %v, want after more than %v", i+2, d, choose.SightingMaxAge)
			}
		}
	})
}

// recordingObserver is an observer that reaches the principal and records when it is asked.
type recordingObserver struct{ asked []time.Time } // written only by the watchdog, read only while it waits

func (d *recordingObserver) Sees(context.Context, choose.Name) (bool, time.Duration, error) {
	d.asked = append(d.asked, time.Now())
	return true, time.Hour, nil
}
