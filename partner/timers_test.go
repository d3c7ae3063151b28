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

// A call waits one window in total, however often it has to wait.
func TestDo_TheWindowBeginsWithTheFirstWait(t *testing.T) {
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
		if d := time.Since(began); !errors.Is(err, NoPrincipal) || d != 30*time.Second || tries != 2 {
			t.Errorf("after %d tries and %v: %v; want two tries within one window", tries, d, err)
		}
	})
}

// A call ends after the window and one attempt at the latest.
func TestDo_EndsAfterTheWindowAndOneAttempt(t *testing.T) {
	hang := func(ctx context.Context) error { <-ctx.Done(); return ctx.Err() }
	lose := func(context.Context) error { time.Sleep(2 * time.Second); return sqlErr(13, 1205) } // a deadlock
	for _, c := range []struct {
		name  string
		try   func(ctx context.Context) error
		tries int // attempts before the principal is lost
		want  error
	}{
		{"every attempt hangs", hang, 1000, OutcomeUnknown},
		{"two attempts hang, then held", hang, 2, OutcomeUnknown},
		{"slow deadlocks, then held", lose, 4, NoPrincipal},
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

// The pauses between attempts on one partner double, up to 100 ms. Each is between 50 % and 150 % of that.
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

// gaps returns the times between successive moments.
func gaps(moments []time.Time) (d []time.Duration) {
	for i := 1; i < len(moments); i++ {
		d = append(d, moments[i].Sub(moments[i-1]))
	}
	return d
}

// pauses returns the pauses between the probes of b during a time that begins now.
func (f *fakePair) pauses(during time.Duration) []time.Duration {
	f.set(func(_, b *fakeServer) { b.probes = nil })
	time.Sleep(during)
	synctest.Wait()
	var moments []time.Time
	f.set(func(_, b *fakeServer) { moments = slices.Clone(b.probes) })
	return gaps(moments)
}

func TestRun_PausesBetweenProbesAsConfigured(t *testing.T) {
	const ms = time.Millisecond
	for _, c := range []struct {
		steady, trouble time.Duration
		late            time.Duration // the pause after ten seconds without a principal
	}{
		{7 * time.Second, 20 * ms, 200 * ms},
		{time.Second, 300 * ms, time.Second}, // never longer than the steady pause
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
			const roundTrip = 200 * time.Microsecond // of a fake that answers; a fake that is down needs no time
			is("steady", f.pauses(5*c.steady), c.steady+roundTrip)
			f.set(func(a, b *fakeServer) { a.down, b.down = true, true })
			if err := p.await(t.Context(), false, func(v choose.View) bool { return !v.Serving }); err != nil {
				t.Fatal(err)
			}
			time.Sleep(c.trouble) // the first pause was interrupted, so it is shorter
			is("without a principal", f.pauses(slowDownAfter-2*c.trouble), c.trouble)
			if grows := f.pauses(slowDownOver); !slices.IsSorted(grows) || grows[0] < c.trouble || grows[len(grows)-1] > c.late {
				t.Errorf("pauses that grow: %v", grows)
			}
			time.Sleep(3 * c.late)
			is("long without a principal", f.pauses(10*c.late), c.late)
			f.set(func(a, b *fakeServer) { a.down, b.down = false, false })
			if err := p.WaitForPrincipal(t.Context()); err != nil {
				t.Fatal(err)
			}
			time.Sleep(c.steady) // the same
			is("steady again", f.pauses(5*c.steady), c.steady+roundTrip)
		})
	}
}

// stuckServer is a partner whose probes do not return while stuck is set.
type stuckServer struct {
	*fakeServer
	stuck chan struct{} // guarded by the pair's lock; nil: probes return
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

// An observation is too old once the pause, the login budget and two probe budgets are over.
func TestRun_AnObservationBecomesTooOld(t *testing.T) {
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
			t.Errorf("%v after the answer of a it is too old: %s", good, s.Reason)
		}
		time.Sleep(c.MonitorSteady + time.Millisecond) // b was probed once more
		synctest.Wait()
		if s := p.Status(); s.Principal != "" || !p.hold.Holding() {
			t.Errorf("%v after the answer of a it is still used", time.Since(said))
		}
		close(stuck)
		if err := p.WaitForPrincipal(ctx); err != nil || p.Status().Principal != choose.A {
			t.Errorf("a answers again: %v, %+v", err, p.Status())
		}
		stop()
		if err := <-ended; err != nil {
			t.Error(err)
		}
	})
}

// A breaker opens after breakerTrips consecutive failures, for exactly breakerTimeout.
func TestBreaker_OpensForItsTimeout(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := newBreaker(choose.A, func(string, string) {})
		call := func(result error) error {
			return b.run(func() (struct{}, error) { return struct{}{}, result })
		}
		for range 3 { // failures that are not consecutive do not count
			for range breakerTrips - 1 {
				_ = call(errUnreachable)
			}
			_ = call(nil)
		}
		if b.stateName() != "closed" {
			t.Fatal("opened by failures that were not consecutive")
		}
		for range 2 { // a trial that fails opens it again for the same time
			for b.stateName() != "open" {
				_ = call(errUnreachable)
			}
			time.Sleep(breakerTimeout)
			if err := call(nil); !errors.Is(err, gobreaker.ErrOpenState) {
				t.Fatalf("a call was allowed after %v: %v", breakerTimeout, err)
			}
			time.Sleep(time.Nanosecond)
			if err := call(errUnreachable); err != errUnreachable {
				t.Fatalf("no call was allowed after more than %v: %v", breakerTimeout, err)
			}
		}
	})
}

// A half-open breaker allows breakerTrials calls at a time. It closes when that many have succeeded.
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
		verdicts <- errNotCounted // the caller left, so another call may try
		<-ended
		try()
		for n := range breakerTrials {
			if synctest.Wait(); b.stateName() != "half-open" {
				t.Errorf("%s after %d successful trials", b.stateName(), n)
			}
			verdicts <- nil
			<-ended
		}
		if b.stateName() != "closed" {
			t.Errorf("%s after %d successful trials", b.stateName(), breakerTrials)
		}
	})
}
