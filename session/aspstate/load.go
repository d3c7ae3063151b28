package aspstate

import (
	"context"
	"math/bits"
	"sync/atomic"
	"time"
)

// load tells how long live calls take, and whether one is under way. A call costs three atomic additions.
//
// Times are counted in classes: each power of two of microseconds has sixteen, so that a class is
// at most a sixteenth wide.
type load struct {
	underWay atomic.Int64
	classes  [loadClasses]atomic.Int64
}

const (
	gapLook     = 200 * time.Microsecond // between two looks for a gap between calls
	loadClasses = 24 * 16                // up to a minute
	loadFine    = 4                      // 1 << loadFine classes a power of two
)

// classOf is the class of a time.
func classOf(d time.Duration) int {
	us := uint64(max(0, d.Microseconds()))
	if us < 1<<loadFine {
		return int(us)
	}
	octave := bits.Len64(us) - loadFine - 1
	return min(loadClasses-1, (octave+1)<<loadFine+int(us>>octave)&(1<<loadFine-1))
}

// top is the longest time of a class.
func top(class int) time.Duration {
	if class < 1<<loadFine {
		return time.Duration(class) * time.Microsecond
	}
	octave := class>>loadFine - 1
	least := (1<<loadFine + class&(1<<loadFine-1)) << octave
	return time.Duration(least+1<<octave-1) * time.Microsecond
}

// begin begins a call's way to the database and back; it ends with end.
func (l *load) begin() (began time.Time) {
	l.underWay.Add(1)
	return time.Now()
}

func (l *load) end(began time.Time) {
	l.underWay.Add(-1)
	l.note(time.Since(began))
}

// gap waits until no call is under way, but no longer than most, nor than ctx. A batch that begins in
// a gap is met only by calls that begin while it runs, and not by the more numerous ones that have their commits still
// before them. It looks now and then instead of being told when the last call ends, because that moment
// is the worst: a caller's next call follows it. Calls of other proxies are not seen.
func (l *load) gap(ctx context.Context, most time.Duration) {
	for until := time.Now().Add(most); l.underWay.Load() > 0 && time.Now().Before(until); {
		look := time.NewTimer(gapLook)
		select {
		case <-ctx.Done():
			look.Stop()
			return
		case <-look.C:
		}
	}
}

// note counts one call that took so long.
func (l *load) note(took time.Duration) { l.classes[classOf(took)].Add(1) }

// latencies are calls that were noted, by class.
type latencies struct {
	calls   int64
	classes [loadClasses]int64
}

// take gives what was noted since the last take, and forgets it. One goroutine may call it.
func (l *load) take() *latencies {
	taken := new(latencies)
	for i := range l.classes {
		if l.classes[i].Load() == 0 {
			continue
		}
		n := l.classes[i].Swap(0)
		taken.classes[i] = n
		taken.calls += n
	}
	return taken
}

// add adds what another has counted.
func (l *latencies) add(more *latencies) {
	l.calls += more.calls
	for i, n := range more.classes {
		l.classes[i] += n
	}
}

// beyond is how many calls took longer than any of the class that d is in.
func (l *latencies) beyond(d time.Duration) (n int64) {
	for _, c := range l.classes[min(classOf(d)+1, loadClasses):] {
		n += c
	}
	return n
}

// p99 is how long 99 of 100 calls took at most, to a sixteenth; 0 without calls.
func (l *latencies) p99() time.Duration {
	beyond := l.calls / 100
	for i := loadClasses - 1; i >= 0; i-- {
		if beyond -= l.classes[i]; beyond < 0 {
			return top(i)
		}
	}
	return 0
}
