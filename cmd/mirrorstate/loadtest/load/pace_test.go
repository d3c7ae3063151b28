package load

import (
	"context"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/mirrorstate/mirrorstate/cmd/mirrorstate/loadtest/measure"
)

// newTestPacer returns a pacer that sleeps by the bubble's time.
func newTestPacer(start time.Time, length time.Duration, rate float64) *Pacer {
	p := NewPacer(start, start.Add(length), rate)
	p.sleep = measure.SleepUntil
	return p
}

// Arrivals come at the rate, whatever the clients do, and each has the time when it was due.
func TestPacer_OpenModel(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		start := time.Now().Add(time.Second)
		p := newTestPacer(start, time.Second, 100)
		var (
			mu     sync.Mutex
			due    = map[time.Duration]bool{}
			worst  time.Duration
			wg     sync.WaitGroup
			stalls = true
		)
		for range 4 {
			wg.Go(func() {
				for {
					at, _, ok := p.Next(t.Context())
					if !ok {
						return
					}
					mu.Lock()
					first := stalls && at.Sub(start) == 100*time.Millisecond
					stalls = stalls && !first
					mu.Unlock()
					if first { // one answer takes 0.3 s, all others 5 ms
						time.Sleep(300 * time.Millisecond)
					} else {
						time.Sleep(5 * time.Millisecond)
					}
					mu.Lock()
					due[at.Sub(start)] = true
					worst = max(worst, time.Since(at))
					mu.Unlock()
				}
			})
		}
		wg.Wait()
		if len(due) != 100 {
			t.Errorf("%d different arrivals in a second at 100/s", len(due))
		}
		for i := range 100 {
			if at := time.Duration(i) * 10 * time.Millisecond; !due[at] {
				t.Errorf("nothing was due at %v", at)
			}
		}
		if worst != 300*time.Millisecond {
			t.Errorf("the worst latency is %v: three clients were free, and nobody else was delayed", worst)
		}
		if len(p.Left()) != 0 {
			t.Errorf("%d arrivals are left over", len(p.Left()))
		}
	})
}

// A stall counts for each request that it delays: with one client, an answer that takes a second
// delays a hundred requests.
func TestPacer_NoCoordinatedOmission(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		start := time.Now()
		p := newTestPacer(start, 2*time.Second, 100)
		var late int
		for {
			due, _, ok := p.Next(t.Context())
			if !ok {
				break
			}
			if due.Equal(start) {
				time.Sleep(time.Second)
			}
			if time.Since(due) >= 10*time.Millisecond {
				late++
			}
		}
		if late != 100 {
			t.Errorf("%d requests were late, want the one that stalled and the 99 that were due meanwhile", late)
		}
	})
}

// early is true for a client that waited for the arrival, and false for one that came later.
func TestPacer_Early(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		p := newTestPacer(time.Now().Add(time.Millisecond), time.Minute, 1)
		if _, early, ok := p.Next(t.Context()); !early || !ok {
			t.Errorf("a client that waited: early %v, ok %v", early, ok)
		}
		time.Sleep(5 * time.Second)
		if _, early, ok := p.Next(t.Context()); early || !ok {
			t.Errorf("a client that was busy: early %v, ok %v", early, ok)
		}
	})
}

// Arrivals that no client could take until long after the end are left over.
func TestPacer_GivesUp(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		start := time.Now()
		p := newTestPacer(start, time.Second, 10)
		taken := 0
		for ; ; taken++ {
			if _, _, ok := p.Next(t.Context()); !ok {
				break
			}
			time.Sleep(3 * time.Second)
		}
		if taken != 4 || len(p.Left()) != 6 {
			t.Errorf("%d taken, %d left; want 4 (at 0, 3, 6 and 9 s) and 6", taken, len(p.Left()))
		}
	})
}

func TestPacer_Interrupted(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		ctx, cancel := context.WithCancel(t.Context())
		p := newTestPacer(time.Now().Add(time.Hour), time.Hour, 10)
		time.AfterFunc(time.Second, cancel)
		began := time.Now()
		if _, _, ok := p.Next(ctx); ok || time.Since(began) != time.Second {
			t.Errorf("after %v: ok %v", time.Since(began), ok)
		}
	})
}

func TestPacer_ClosedLoop(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		start := time.Now().Add(time.Second)
		p := newTestPacer(start, time.Second, 0)
		n := 0
		for ; ; n++ {
			due, _, ok := p.Next(t.Context())
			if !ok {
				break
			}
			if !due.Equal(time.Now()) {
				t.Fatalf("due at %v, want now, %v", due, time.Now())
			}
			time.Sleep(100 * time.Millisecond)
		}
		if n != 10 || len(p.Left()) != 0 {
			t.Errorf("%d arrivals in a second of 0.1 s each, %d left", n, len(p.Left()))
		}
	})
}

// With the real clock, sleepExactly never returns too early.
func TestSleepExactly(t *testing.T) {
	began := time.Now()
	until := began.Add(5 * time.Millisecond)
	if err := sleepExactly(t.Context(), until); err != nil || time.Now().Before(until) {
		t.Errorf("woke after %v of 5ms, %v", time.Since(began), err)
	}
}
