package partner

import (
	"context"
	"errors"
	"slices"
	"testing"
	"testing/synctest"
	"time"

	"github.com/sony/gobreaker/v2"

	"github.com/mirrorstate/mirrorstate/partner/choose"
	"github.com/mirrorstate/mirrorstate/partner/classify"
	"github.com/mirrorstate/mirrorstate/partner/link"
)

// However often a call has to wait, it waits no longer than the window in all.
func TestDo_TheWindowCountsFromTheFirstWait(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		f := newFakePair(t)
		p := f.startServing()
		began, tries := time.Now(), 0
		err := p.Do(t.Context(), Call{Write: true}, func(context.Context, *Attempt) error {
			if tries++; tries == 1 {
				time.AfterFunc(20*time.Second, func() {
					f.set(func(_, b *fakeServer) { b.down, b.role, b.sequence = false, choose.RolePrincipal, 2 })
				})
			}
			f.set(func(a, b *fakeServer) { a.down, b.down = true, true })
			return sqlErr(14, 4063)
		})
		if d := time.Since(began); !errors.Is(err, ErrNoPrincipal) || d != 30*time.Second || tries != 2 {
			t.Errorf("after %d tries and %v: %v; want two tries within one window", tries, d, err)
		}
	})
}

// A call ends after the window and one attempt at the latest, whatever it spends them on.
func TestDo_EndsAfterTheWindowAndOneAttempt(t *testing.T) {
	hang := func(ctx context.Context) error { <-ctx.Done(); return ctx.Err() }
	lose := func(context.Context) error { time.Sleep(2 * time.Second); return sqlErr(13, 1205) } // a deadlock, again
	for _, c := range []struct {
		name  string
		try   func(ctx context.Context) error
		tries int // before there is no principal any more
		want  error
	}{
		{"hanging again and again", hang, 1000, ErrOutcomeUnknown},
		{"hanging twice, then held", hang, 2, ErrOutcomeUnknown},
		{"giving way for long, then held", lose, 4, ErrNoPrincipal},
	} {
		synctest.Test(t, func(t *testing.T) {
			f := newFakePair(t)
			p := f.startServing()
			began, tries := time.Now(), 0
			err := p.Do(t.Context(), Call{Write: true}, func(ctx context.Context, _ *Attempt) error {
				if tries++; tries <= c.tries {
					return c.try(ctx)
				}
				f.set(func(a, b *fakeServer) { a.down, b.down = true, true })
				return sqlErr(14, 4063)
			})
			if d := time.Since(began); !errors.Is(err, c.want) || d != 35*time.Second {
				t.Errorf("%s: ended after %v with %v", c.name, d, err)
			}
		})
	}
}

// The pauses between attempts on one partner double, up to a tenth of a second; each
// is half to one and a half of that.
func TestDo_PausesBetweenAttempts(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		p := newFakePair(t).startServing()
		var tries []time.Time
		_ = p.Do(t.Context(), Call{}, func(context.Context, *Attempt) error {
			tries = append(tries, time.Now())
			return sqlErr(13, 1205)
		})
		want := []time.Duration{2, 4, 8, 16, 32, 64, 100, 100, 100, 100}
		got := gaps(tries)
		if len(got) != len(want) {
			t.Fatalf("%d pauses, want %d", len(got), len(want))
		}
		for i, d := range got {
			if w := want[i] * time.Millisecond; d < w/2 || d >= w/2+w {
				t.Errorf("pause %d is %v, want about %v", i+1, d, w)
			}
		}
	})
}

// gaps are the times between one moment and the next.
func gaps(moments []time.Time) (d []time.Duration) {
	for i := 1; i < len(moments); i++ {
		d = append(d, moments[i].Sub(moments[i-1]))
	}
	return d
}

// pauses are those between the probes of b that begin from now on, for so long.
func (f *fakePair) pauses(during time.Duration) []time.Duration {
	f.set(func(_, b *fakeServer) { b.probes = nil })
	time.Sleep(during)
	synctest.Wait()
	var moments []time.Time
	f.set(func(_, b *fakeServer) { moments = slices.Clone(b.probes) })
	return gaps(moments)
}

func TestRun_PausesAreThoseConfigured(t *testing.T) {
	const ms = time.Millisecond
	for _, c := range []struct {
		steady, trouble time.Duration
		late            time.Duration // the pause after ten seconds of trouble
	}{
		{7 * time.Second, 20 * ms, 200 * ms},
		{time.Second, 300 * ms, time.Second}, // never slower than steady
	} {
		synctest.Test(t, func(t *testing.T) {
			f := newFakePair(t)
			p := f.startServing(func(cfg *Config) { cfg.MonitorSteady, cfg.MonitorTrouble = c.steady, c.trouble })
			is := func(when string, got []time.Duration, want time.Duration) {
				t.Helper()
				if len(got) == 0 || slices.Min(got) != want || slices.Max(got) != want {
					t.Errorf("%s: %d pauses %v, want %v", when, len(got), slices.Compact(got), want)
				}
			}
			const roundTrip = 200 * time.Microsecond // of a fake that answers; one that is down costs no time
			is("steady", f.pauses(5*c.steady), c.steady+roundTrip)
			f.set(func(a, b *fakeServer) { a.down, b.down = true, true })
			if err := p.await(t.Context(), false, func(v choose.View) bool { return !v.Serving }); err != nil {
				t.Fatal(err)
			}
			time.Sleep(c.trouble) // the trouble woke the watchers: that pause is shorter
			is("in trouble", f.pauses(slowDownAfter-2*c.trouble), c.trouble)
			if grows := f.pauses(slowDownOver); !slices.IsSorted(grows) || grows[0] < c.trouble || grows[len(grows)-1] > c.late {
				t.Errorf("pauses that grow: %v", grows)
			}
			time.Sleep(3 * c.late)
			is("in long trouble", f.pauses(10*c.late), c.late)
			f.set(func(a, b *fakeServer) { a.down, b.down = false, false })
			if err := p.WaitForPrincipal(t.Context()); err != nil {
				t.Fatal(err)
			}
			time.Sleep(c.steady) // likewise
			is("steady again", f.pauses(5*c.steady), c.steady+roundTrip)
		})
	}
}

// stuckServer is a partner whose probes do not come back while stuck: its watcher sleeps.
type stuckServer struct {
	*fakeServer
	stuck chan struct{} // guarded by the pair's lock; nil: they do
}

func (s *stuckServer) Probe(ctx context.Context, a link.ProbeRequest) link.ProbeResult {
	o := s.fakeServer.Probe(ctx, a)
	s.pair.mu.Lock()
	stuck := s.stuck
	s.pair.mu.Unlock()
	if stuck != nil {
		select {
		case <-stuck:
		case <-ctx.Done():
		}
	}
	return o
}

// What a partner said proves nothing once the pause after it and a probe's time are over.
func TestRun_AnObservationGetsOld(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		f := newFakePair(t)
		a, stuck := &stuckServer{fakeServer: f.ends[0]}, make(chan struct{})
		p := f.newPair()
		p.members[0].endpoint = a
		ctx, stop := context.WithCancel(t.Context())
		ended := make(chan error, 1)
		go func() { ended <- p.Run(ctx) }()
		if err := p.WaitForPrincipal(ctx); err != nil {
			t.Fatal(err)
		}
		said, c := time.Now(), p.cfg
		f.set(func(_, _ *fakeServer) { a.stuck = stuck })
		good := c.MonitorSteady + c.Budgets.Login + 2*c.Budgets.Probe
		time.Sleep(good - time.Since(said))
		synctest.Wait()
		if s := p.Status(); s.Principal != choose.A {
			t.Errorf("%v after a's word it counts no more: %s", good, s.Reason)
		}
		time.Sleep(c.MonitorSteady + time.Millisecond) // b was asked once more
		synctest.Wait()
		if s := p.Status(); s.Principal != "" || !p.hold.Holding() {
			t.Errorf("%v after a's word it still counts", time.Since(said))
		}
		close(stuck)
		if err := p.WaitForPrincipal(ctx); err != nil || p.Status().Principal != choose.A {
			t.Errorf("a is heard again: %v, %+v", err, p.Status())
		}
		stop()
		if err := <-ended; err != nil {
			t.Error(err)
		}
	})
}

// A breaker opens after so many failures in a row, for its time-out to the moment.
func TestBreaker_OpensForItsTimeOut(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := newBreaker(choose.A, func(string, string) {})
		call := func(result error) error {
			return b.run(func() (struct{}, error) { return struct{}{}, result })
		}
		for range 3 { // they do not add up
			for range breakerTrips - 1 {
				_ = call(errUnreachable)
			}
			_ = call(nil)
		}
		if b.stateName() != "closed" {
			t.Fatal("opened by failures that were not in a row")
		}
		for range 2 { // a trial that fails opens it for as long again
			for b.stateName() != "open" {
				_ = call(errUnreachable)
			}
			time.Sleep(breakerTimeout)
			if err := call(nil); !errors.Is(err, gobreaker.ErrOpenState) {
				t.Fatalf("let through after %v: %v", breakerTimeout, err)
			}
			time.Sleep(time.Nanosecond)
			if err := call(errUnreachable); err != errUnreachable {
				t.Fatalf("not let through after more than %v: %v", breakerTimeout, err)
			}
		}
	})
}

// A half-open breaker lets through a few trials at a time, and closes when that many went well.
func TestBreaker_Trials(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := newBreaker(choose.A, func(string, string) {})
		for range breakerTrips {
			b.record(false, true)
		}
		time.Sleep(breakerTimeout + 1)
		verdicts, ended := make(chan error), make(chan error, 2*breakerTrials)
		try := func() {
			go func() { ended <- b.run(func() (struct{}, error) { return struct{}{}, <-verdicts }) }()
			synctest.Wait()
		}
		for range breakerTrials {
			try()
		}
		if len(ended) != 0 {
			t.Fatalf("one of %d trials was refused: %v", breakerTrials, <-ended)
		}
		try()
		if err := <-ended; !errors.Is(err, gobreaker.ErrTooManyRequests) || classify.Classify(err, classify.Connecting) != classify.Down {
			t.Fatalf("one trial too many: %v", err)
		}
		verdicts <- errNotCounted // its caller left: another may try
		<-ended
		try()
		for n := range breakerTrials {
			if synctest.Wait(); b.stateName() != "half-open" {
				t.Errorf("%s after %d good trials", b.stateName(), n)
			}
			verdicts <- nil
			<-ended
		}
		if b.stateName() != "closed" {
			t.Errorf("%s after %d good trials", b.stateName(), breakerTrials)
		}
	})
}
