package aspstate

import (
	"math/bits"
	"sync/atomic"
	"time"
)

// load tells how long live calls take. Noting one costs one atomic addition.
//
// Times are counted in classes: each power of two of microseconds has sixteen, so that a class is
// at most a sixteenth wide.
type load struct {
	classes [loadClasses]atomic.Int64
}

const (
	loadClasses = 24 * 16 // up to a minute
	loadFine    = 4       // 1 << loadFine classes a power of two
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

// note counts one call's way to the database and back.
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
