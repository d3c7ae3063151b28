package aspstate

import (
	"context"
	"testing"
	"testing/synctest"
	"time"
)

// called adds n live calls that took this time.
func (l *latencies) called(n int, took time.Duration) *latencies {
	l.calls += int64(n)
	l.classes[classOf(took)] += int64(n)
	return l
}

const (
	quietP99 = 4 * time.Millisecond
	aBatch   = time.Millisecond
)

// paced returns the pace of a sweep before which live calls took quietP99.
func paced() *pace { return newPace(new(latencies).called(judgeCalls, quietP99)) }

// batches runs n batches with this time for each row. live are the live calls between them. The batches are so far
// apart that each is followed by a judgement.
func (p *pace) batches(n int, perRow time.Duration, live *latencies) (took, pause time.Duration) {
	for range n {
		took = aBatch + time.Duration(p.rows)*perRow
		_, pause = p.next(took, idleFor, live)
	}
	return took, pause
}

func TestPace_Judges(t *testing.T) {
	asBefore := func() *latencies { return new(latencies).called(judgeCalls, quietP99) }
	mixed := func(slow int) *latencies {
		return new(latencies).called(judgeCalls-slow, quietP99/2).called(slow, 9*quietP99)
	}
	for _, c := range []struct {
		name string
		p    *pace
		seen *latencies
		rows int
		rest float64
	}{
		{"too few calls are ignored", paced(), new(latencies).called(judgeCalls-1, 9*quietP99), batchFirst, restLive},
		{"calls are as before", paced(), asBefore(), batchFirst * growLive, restLive},
		{"one in a hundred is slow", paced(), mixed(judgeCalls / 100), batchFirst * growLive, restLive},
		{"more are slow", paced(), mixed(judgeCalls/100 + 1), batchFirst / 2, restLive},
		{"a little longer is not slow", paced(), new(latencies).called(judgeCalls, quietP99*11/10), batchFirst * growLive, restLive},
		{"a quarter longer is", paced(), new(latencies).called(judgeCalls, quietP99*5/4), batchFirst / 2, restLive},
		{"the smallest batches are too much", &pace{rows: batchLeast, rest: restLive, quiet: quietP99}, mixed(judgeCalls / 2), batchLeast, 2 * restLive},
		{"the rest shrinks before batches grow", &pace{rows: batchLeast, rest: 2 * restLive, quiet: quietP99}, asBefore(), batchLeast, 2 * restLive / growLive},
		{"hardly any calls", paced(), new(latencies).called(idleCalls-1, 9*quietP99), batchFirst * growIdle, restLive / growIdle},
	} {
		rows, pause := c.p.next(aBatch, idleFor, c.seen)
		if rows != c.rows || c.p.rest != c.rest || pause != time.Duration(c.rest*float64(aBatch)) {
			t.Errorf("%s: %d rows, rests %.2f batches, %v; want %d and %.2f", c.name, rows, c.p.rest, pause, c.rows, c.rest)
		}
	}
}

func TestPace_CallsAreCountedTogether(t *testing.T) {
	p := paced()
	for range 9 {
		p.next(aBatch, idleFor/10, new(latencies).called(judgeCalls/10, 9*quietP99))
	}
	if p.rows != batchFirst {
		t.Fatalf("judged too early: %d rows", p.rows)
	}
	if rows, _ := p.next(aBatch, idleFor/10, new(latencies).called(judgeCalls/10, 9*quietP99)); rows != batchFirst/2 {
		t.Errorf("%d rows after so many slow calls, want %d", rows, batchFirst/2)
	}
}

// TestPace_Listens: a sweep that stays at the slowest pace measures again how long calls take without a sweep.
func TestPace_Listens(t *testing.T) {
	busy := func() *latencies { return new(latencies).called(judgeCalls, 9*quietP99) }
	slowest := func() *pace {
		p := paced()
		p.rows, p.rest = batchLeast, restMost
		for range slowTurns - 1 {
			if _, pause := p.next(aBatch, idleFor, busy()); pause == listenFor {
				t.Fatal("it listens too early")
			}
		}
		if _, pause := p.next(aBatch, idleFor, busy()); pause != listenFor {
			t.Fatalf("it rests for %v instead of listening", pause)
		}
		return p
	}
	t.Run("calls are as slow without a sweep", func(t *testing.T) {
		p := slowest()
		p.next(aBatch, listenFor, busy())
		if p.next(aBatch, idleFor, busy()); p.quiet < 9*quietP99 || p.rest >= restMost {
			t.Errorf("quiet p99 %v, rests %.1f batches: it does not get faster", p.quiet, p.rest)
		}
	})
	t.Run("calls are faster without a sweep", func(t *testing.T) {
		p := slowest()
		if p.next(aBatch, listenFor, new(latencies).called(judgeCalls, quietP99)); p.rest != restMost {
			t.Errorf("rests %.1f batches after it has listened", p.rest)
		}
		if p.next(aBatch, idleFor, busy()); p.quiet > quietP99*17/16 || p.rows != batchLeast || p.rest != restMost {
			t.Errorf("quiet p99 %v, %d rows, rests %.1f batches", p.quiet, p.rows, p.rest)
		}
	})
	t.Run("too few calls for a measurement", func(t *testing.T) {
		p := slowest()
		if p.next(aBatch, listenFor, new(latencies).called(heardCalls-1, 9*quietP99)); p.quiet > quietP99*17/16 {
			t.Errorf("quiet p99 %v", p.quiet)
		}
	})
	t.Run("the time before the sweep is not known", func(t *testing.T) {
		p := newPace(new(latencies).called(judgeCalls-1, quietP99))
		if rows, pause := p.next(aBatch, idleFor, busy()); rows != batchFirst || pause != listenFor {
			t.Fatalf("%d rows, rests for %v instead of listening", rows, pause)
		}
		p.next(aBatch, listenFor, new(latencies).called(judgeCalls, quietP99))
		if rows, _ := p.next(aBatch, idleFor, busy()); p.quiet < quietP99 || p.quiet > quietP99*17/16 || rows != batchFirst/2 {
			t.Errorf("quiet p99 %v, %d rows beside slow calls", p.quiet, rows)
		}
	})
	t.Run("the fewest calls that are not hardly any", func(t *testing.T) {
		p, seen := slowest(), func(took time.Duration) *latencies {
			return new(latencies).called(int(listenFor/idleFor)*idleCalls, 9*took)
		}
		if p.next(aBatch, listenFor, seen(quietP99)); p.quiet < 9*quietP99 {
			t.Errorf("quiet p99 %v after as many slow calls as it can hear", p.quiet)
		}
	})
}

func TestPace_IsBounded(t *testing.T) {
	for _, c := range []struct {
		name    string
		perRow  time.Duration
		live    *latencies
		rows    int // 0: longest is checked instead
		longest time.Duration
		rest    float64
	}{
		{"by rows", time.Nanosecond, new(latencies), batchMost, 0, restLeast},
		{"by time, without live calls", 20 * time.Microsecond, new(latencies), 0, aBatch + tookIdle, restLeast},
		{"by time, during live calls", 20 * time.Microsecond, new(latencies).called(judgeCalls, quietP99), 0, aBatch + tookLive, restLive},
		{"by the time of live calls", time.Microsecond, new(latencies).called(judgeCalls, 9*quietP99), batchLeast, 0, restMost},
	} {
		p := paced()
		rounds := 200
		if c.rest == restMost {
			rounds = 7 // fewer than before a new measurement
		}
		took, _ := p.batches(rounds, c.perRow, c.live)
		if p.rest != c.rest || c.rows > 0 && p.rows != c.rows {
			t.Errorf("%s: %d rows, rests %.1f; want %d, %.1f", c.name, p.rows, p.rest, c.rows, c.rest)
		}
		if c.longest > 0 && (took > c.longest*5/4 || took < c.longest/3) {
			t.Errorf("%s: a batch of %d rows takes %v, want about %v", c.name, p.rows, took, c.longest)
		}
	}
	if _, pause := paced().next(time.Minute, idleFor, new(latencies)); pause != restLimit {
		t.Errorf("rests for %v, want %v", pause, restLimit)
	}
}

// TestPace_FarAway: if every batch takes longer than before, whatever its rows, the reason is not the rows.
func TestPace_FarAway(t *testing.T) {
	p := paced()
	p.batches(3, 10*time.Microsecond, new(latencies).called(judgeCalls, quietP99))
	for range 50 { // during live calls; the round trip is longer by ten times the time of a batch
		took := 10*aBatch + time.Duration(p.rows)*10*time.Microsecond
		p.next(took, idleFor, new(latencies).called(judgeCalls, quietP99))
	}
	if p.rows < 10*batchLeast {
		t.Errorf("%d rows a batch, with a floor of %v", p.rows, p.floor)
	}
}

// TestPace_CallersComeBack: when live calls begin again, the pace becomes slower at once.
func TestPace_CallersComeBack(t *testing.T) {
	p := paced()
	p.batches(50, 20*time.Microsecond, new(latencies))
	took, pause := p.batches(2, 20*time.Microsecond, new(latencies).called(100, quietP99))
	if took > p.floor+tookLive*3/2 || pause < restLive*took {
		t.Errorf("a batch still takes %v, and rests for %v", took, pause)
	}
}

func TestLoad(t *testing.T) {
	var l load
	for i := range 100 {
		l.note(time.Duration(i+1) * time.Millisecond)
	}
	got := l.take()
	if p := got.p99(); got.calls != 100 || p < 99*time.Millisecond || p > 99*time.Millisecond*17/16 {
		t.Errorf("%d calls, 99 of 100 within %v", got.calls, p)
	}
	if none := l.take(); none.calls != 0 || none.p99() != 0 {
		t.Errorf("after that %d calls, %v", none.calls, none.p99())
	}
}

// TestLoad_Gap: a batch waits for the end of the calls in progress, but not forever.
func TestLoad_Gap(t *testing.T) {
	const most = 10 * time.Millisecond
	for _, c := range []struct {
		name        string
		calls       []time.Duration // when each ends; 0: never
		leaves      time.Duration   // when the sweeper's context ends; 0: never
		least, most time.Duration
	}{
		{"no calls", nil, 0, 0, 0},
		{"a call ends", []time.Duration{3 * time.Millisecond}, 0, 3 * time.Millisecond, 3*time.Millisecond + gapLook},
		{"the last of two ends", []time.Duration{time.Millisecond, 5 * time.Millisecond}, 0, 5 * time.Millisecond, 5*time.Millisecond + gapLook},
		{"one never ends", []time.Duration{time.Millisecond, 0}, 0, most, most + gapLook},
		{"the sweep is stopped", []time.Duration{0}, 2 * time.Millisecond, 2 * time.Millisecond, 2 * time.Millisecond},
	} {
		t.Run(c.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				ctx, cancel := context.WithCancel(t.Context())
				defer cancel()
				if c.leaves > 0 {
					time.AfterFunc(c.leaves, cancel)
				}
				var l load
				began := time.Now()
				for _, ends := range c.calls {
					call := l.begin()
					if ends > 0 {
						time.AfterFunc(ends, func() { l.end(call) })
					}
				}
				if l.gap(ctx, most); time.Since(began) < c.least || time.Since(began) > c.most {
					t.Errorf("waited %v, want %v to %v", time.Since(began), c.least, c.most)
				}
			})
		})
	}
}

// TestClassOf: the longest time of a class is at most a sixteenth longer than each of its times.
func TestClassOf(t *testing.T) {
	for us := int64(0); us < 60_000_000; us += 1 + us/50 {
		d := time.Duration(us) * time.Microsecond
		c := classOf(d)
		if c < 0 || c >= loadClasses || top(c) < d || top(c) > d+d/16 {
			t.Fatalf("%v is in class %d, which ends at %v", d, c, top(c))
		}
	}
	if classOf(-1) != 0 || classOf(1<<62) != loadClasses-1 {
		t.Error("what is out of range is not in the first or last class")
	}
}
