package aspstate

import "time"

// The bounds of a sweep's pace.
const (
	batchFirst  = 50   // rows of the first batch
	batchLeast  = 10   // rows
	batchMost   = 2000 // rows; below the 5,000 locks at which SQL Server takes the whole table instead
	batchTarget = 2 * time.Millisecond

	restLeast  = 1.0             // of the time that the batch took, where nobody calls
	restLive   = 9.0             // the same beside live calls: so one in ten meets a batch
	restMost   = 200.0           // likewise
	restLimit  = 2 * time.Second // the longest pause
	slowdown   = 1.15            // live calls this much slower than before the sweep are too slow
	liveEnough = 20              // calls that say something about the mean
)

// pace decides how many rows the next batch deletes and how long the sweep rests before it. It is
// pure: it is told what the last batch took and how long live calls took meanwhile.
//
// Batches are made to take about batchTarget, since a write may wait that long for one. The
// rest grows fast while live calls are slower than they were before the sweep began, and
// shrinks slowly to nine times the batch while they are not. Without live calls it shrinks to as
// long as the batch.
type pace struct {
	rows  int
	rest  float64       // in times of the last batch
	quiet time.Duration // the live calls' mean without a sweep; 0: not known
}

func newPace(quiet time.Duration) *pace {
	return &pace{rows: batchFirst, rest: restLive, quiet: quiet}
}

// next is told about the last batch, and of the live calls since the one before.
func (p *pace) next(took time.Duration, calls int64, mean time.Duration) (rows int, pause time.Duration) {
	// Halfway to what would take the target, and never more than twice as many.
	ideal := float64(p.rows) * float64(batchTarget) / float64(max(took, time.Microsecond))
	p.rows = max(batchLeast, min(batchMost, 2*p.rows, int((float64(p.rows)+ideal)/2)))
	switch {
	case calls < liveEnough:
		p.rest = max(restLeast, p.rest/1.5)
	case p.quiet > 0 && float64(mean) > slowdown*float64(p.quiet):
		p.rest = min(restMost, p.rest*1.5)
	default:
		p.rest = max(restLive, p.rest/1.1)
	}
	return p.rows, min(restLimit, time.Duration(p.rest*float64(took)))
}
