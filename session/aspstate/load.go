package aspstate

import (
	"context"
	"math/bits"
	"sync/atomic"
	"time"
)

// load measures how long live calls take, and whether one is in progress. A call costs three atomic additions.
//
// Times are counted in classes. Each power of two, in microseconds, has sixteen classes, so the longest time of a class
// is at most a sixteenth longer than its shortest.
type load struct {
	underWay atomic.Int64
	classes  [loadClasses]atomic.Int64
}

const (
	gapLook     = 200 * time.Microsecond // between two checks for a gap between calls
	loadClasses = 24 * 16                // up to a minute
	loadFine    = 4                      // 1 << loadFine classes a power of two
)

// classOf returns the class of a time.
func classOf(d time.Duration) int {
	us := uint64(max(0, d.Microseconds()))
	if us < 1<<loadFine {
		return int(us)
	}
	octave := bits.Len64(us) - loadFine - 1
	return min(loadClasses-1, (octave+1)<<loadFine+int(us>>octave)&(1<<loadFine-1))
}

// top returns the longest time of a class.
func top(class int) time.Duration {
	if class < 1<<loadFine {
		return time.Duration(class) * time.Microsecond
	}
	octave := class>>loadFine - 1
	least := (1<<loadFine + class&(1<<loadFine-1)) << octave
	return time.Duration(least+1<<octave-1) * time.Microsecond
}

// begin counts a call that begins. The caller must call end when the call has ended.
func (l *load) begin() (began time.Time) {
	l.underWay.Add(1)
	return time.Now()
}

func (l *load) end(began time.Time) {
	l.underWay.Add(-1)
	l.note(time.Since(began))
}

// gap waits until no call is in progress, but not longer than most, nor than ctx. A batch that begins in such a gap
// delays only calls that begin while it runs, and not calls that are about to commit. gap checks from time to time. It
// does not react at the moment when the last call ends, because the caller's next call often follows at once. It does
// not see the calls of other proxies.
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

// note counts one call with its time.
func (l *load) note(took time.Duration) { l.classes[classOf(took)].Add(1) }

// latencies are counted calls, by class.
type latencies struct {
	calls   int64
	classes [loadClasses]int64
}

// take returns the calls since the last take, and resets the counts. Only one goroutine may call it.
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

// add adds the counts of another.
func (l *latencies) add(more *latencies) {
	l.calls += more.calls
	for i, n := range more.classes {
		l.classes[i] += n
	}
}

// beyond returns the number of calls whose class is above that of d.
func (l *latencies) beyond(d time.Duration) (n int64) {
	for _, c := range l.classes[min(classOf(d)+1, loadClasses):] {
		n += c
	}
	return n
}

// p99 returns the 99th percentile of the times, rounded up to the end of its class; 0 without calls.
func (l *latencies) p99() time.Duration {
	beyond := l.calls / 100
	for i := loadClasses - 1; i >= 0; i-- {
		if beyond -= l.classes[i]; beyond < 0 {
			return top(i)
		}
	}
	return 0
}
