package aspstate

import (
	"testing"
	"time"
)

func TestPace(t *testing.T) {
	const quiet = time.Millisecond
	t.Run("batches come to take the target", func(t *testing.T) {
		p := newPace(quiet)
		perRow, rows := 20*time.Microsecond, batchFirst
		for range 20 {
			rows, _ = p.next(time.Duration(rows)*perRow, 0, 0)
		}
		if took := time.Duration(rows) * perRow; took < batchTarget*9/10 || took > batchTarget*11/10 {
			t.Errorf("%d rows, which take %v; want about %v", rows, took, batchTarget)
		}
	})
	t.Run("bounded", func(t *testing.T) {
		p := newPace(quiet)
		most, least := 0, 0
		for range 20 {
			most, _ = p.next(time.Nanosecond, 0, 0)
		}
		for range 20 {
			least, _ = p.next(10*time.Second, 0, 0)
		}
		if most != batchMost || least != batchLeast {
			t.Errorf("from %d to %d rows, want %d and %d", least, most, batchLeast, batchMost)
		}
	})
	t.Run("a batch is never more than twice the last one", func(t *testing.T) {
		if rows, _ := newPace(quiet).next(time.Nanosecond, 0, 0); rows != 2*batchFirst {
			t.Errorf("%d rows, want %d", rows, 2*batchFirst)
		}
	})
	for _, c := range []struct {
		name  string
		calls int64
		mean  time.Duration
		quiet time.Duration
		less  bool // the rest gets shorter
	}{
		{"nobody calls", 0, 0, quiet, true},
		{"a few slow calls say nothing", liveEnough - 1, 9 * quiet, quiet, true},
		{"calls are as before", 1000, quiet, quiet, true},
		{"calls are a little slower", 1000, quiet * 110 / 100, quiet, true},
		{"calls are slower", 1000, quiet * 120 / 100, quiet, false},
		{"what was before is not known", 1000, quiet, 0, true},
	} {
		p := newPace(c.quiet)
		p.rest = 2 * restLive
		before := p.rest
		_, pause := p.next(batchTarget, c.calls, c.mean)
		if less := p.rest < before; less != c.less {
			t.Errorf("%s: the rest goes from %.2f to %.2f batches", c.name, before, p.rest)
		}
		if want := time.Duration(p.rest * float64(batchTarget)); pause != want {
			t.Errorf("%s: rests %v, want %v", c.name, pause, want)
		}
	}
	t.Run("the rest has its bounds", func(t *testing.T) {
		p := newPace(quiet)
		for range 100 {
			p.next(batchTarget, 1000, 9*quiet)
		}
		if _, pause := p.next(time.Second, 1000, 9*quiet); p.rest != restMost || pause != restLimit {
			t.Errorf("rests %.1f batches, %v; want %v and %v", p.rest, pause, restMost, restLimit)
		}
		for range 100 {
			p.next(batchTarget, 1000, quiet)
		}
		if p.rest != restLive {
			t.Errorf("rests %.1f batches beside calls as before, want %v", p.rest, restLive)
		}
		for range 100 {
			p.next(batchTarget, 0, 0)
		}
		if p.rest != restLeast {
			t.Errorf("rests %.1f batches with nobody there, want %v", p.rest, restLeast)
		}
	})
}

func TestLoad(t *testing.T) {
	var l load
	l.note(time.Millisecond)
	l.note(3 * time.Millisecond)
	if calls, mean := l.take(); calls != 2 || mean != 2*time.Millisecond {
		t.Errorf("%d calls, %v on average", calls, mean)
	}
	if calls, mean := l.take(); calls != 0 || mean != 0 {
		t.Errorf("after that %d calls, %v", calls, mean)
	}
}
