package aspstate

import (
	"testing"
	"time"
)

// called adds n live calls that took so long.
func (l *latencies) called(n int, took time.Duration) *latencies {
	l.calls += int64(n)
	l.classes[classOf(took)] += int64(n)
	return l
}

func TestPace_Rows(t *testing.T) {
	t.Run("batches come to take the target", func(t *testing.T) {
		p, rows := newPace(new(latencies)), batchFirst
		const perRow = 20 * time.Microsecond
		for range 20 {
			rows, _ = p.next(time.Duration(rows)*perRow, 0)
		}
		if took := time.Duration(rows) * perRow; took < batchTarget*9/10 || took > batchTarget*11/10 {
			t.Errorf("%d rows, which take %v; want about %v", rows, took, batchTarget)
		}
	})
	t.Run("bounded", func(t *testing.T) {
		p := newPace(new(latencies))
		most, least := 0, 0
		for range 20 {
			most, _ = p.next(time.Nanosecond, 0)
		}
		for range 20 {
			least, _ = p.next(10*time.Second, 0)
		}
		if most != batchMost || least != batchLeast {
			t.Errorf("from %d to %d rows, want %d and %d", least, most, batchLeast, batchMost)
		}
	})
	t.Run("a batch is never more than twice the last one", func(t *testing.T) {
		if rows, _ := newPace(new(latencies)).next(time.Nanosecond, 0); rows != 2*batchFirst {
			t.Errorf("%d rows, want %d", rows, 2*batchFirst)
		}
	})
}

func TestPace_Rest(t *testing.T) {
	const quiet = 4 * time.Millisecond
	before := new(latencies).called(1000, quiet)
	for _, c := range []struct {
		name   string
		before *latencies
		seen   *latencies
		round  time.Duration
		want   float64 // times the rest it began with; 1: it is not judged yet
	}{
		{"too few calls, and too early to say", before, new(latencies).called(judgeCalls-1, quiet), judgeAfter - 1, 1},
		{"nobody calls", before, new(latencies), judgeAfter, 1 / 4.0},
		{"a few slow calls say nothing", before, new(latencies).called(fewCalls, 9*quiet), judgeAfter, 1 / 1.2},
		{"calls are as before", before, new(latencies).called(1000, quiet), 0, 1 / 1.2},
		{"one in a hundred is slow", before, new(latencies).called(990, quiet).called(10, 9*quiet), 0, 1 / 1.2},
		{"two in a hundred are slow", before, new(latencies).called(980, quiet).called(20, 9*quiet), 0, 2},
		{"what was before is not known", new(latencies).called(judgeCalls-1, quiet), new(latencies).called(1000, 9*quiet), 0, 1 / 1.2},
	} {
		p := newPace(c.before)
		p.seen = *c.seen
		_, pause := p.next(batchTarget, c.round)
		if want := restFirst * c.want; p.rest != want || pause != min(restLimit, time.Duration(want*float64(batchTarget))) {
			t.Errorf("%s: rests %.1f batches, %v; want %.1f", c.name, p.rest, pause, want)
		}
	}
}

func TestPace_RestIsBounded(t *testing.T) {
	const quiet = 4 * time.Millisecond
	p := newPace(new(latencies).called(1000, quiet))
	judged := func(seen *latencies) (pause time.Duration) {
		for range 100 {
			p.seen = *seen
			_, pause = p.next(time.Second, judgeAfter)
		}
		return pause
	}
	if pause := judged(new(latencies).called(1000, 9*quiet)); p.rest != restMost || pause != restLimit {
		t.Errorf("rests %.1f batches, %v, beside slow calls; want %v and %v", p.rest, pause, restMost, restLimit)
	}
	if judged(new(latencies).called(1000, quiet)); p.rest != restLive {
		t.Errorf("rests %.1f batches beside calls as before, want %v", p.rest, restLive)
	}
	if judged(new(latencies)); p.rest != restLeast {
		t.Errorf("rests %.1f batches with nobody there, want %v", p.rest, restLeast)
	}
}

func TestLoad(t *testing.T) {
	var l load
	for i := range 100 {
		l.note(time.Duration(i+1) * time.Millisecond)
	}
	var got latencies
	l.take(&got)
	if p := got.p99(); got.calls != 100 || p < 99*time.Millisecond || p > 99*time.Millisecond*9/8 {
		t.Errorf("%d calls, 99 of 100 within %v", got.calls, p)
	}
	var none latencies
	if l.take(&none); none.calls != 0 || none.p99() != 0 {
		t.Errorf("after that %d calls, %v", none.calls, none.p99())
	}
}

// TestClassOf: every time falls into a class whose longest time is at most an eighth longer.
func TestClassOf(t *testing.T) {
	for us := int64(0); us < 60_000_000; us += 1 + us/50 {
		d := time.Duration(us) * time.Microsecond
		c := classOf(d)
		if c < 0 || c >= loadClasses || top(c) < d || top(c) > d+d/8 {
			t.Fatalf("%v is in class %d, which ends at %v", d, c, top(c))
		}
	}
	if classOf(-1) != 0 || classOf(1<<62) != loadClasses-1 {
		t.Error("what is out of range is not in the first or last class")
	}
}
