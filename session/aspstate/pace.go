package aspstate

import "time"

// The bounds of a sweep's pace.
const (
	batchFirst  = 50   // rows of the first batch
	batchLeast  = 10   // rows
	batchMost   = 2000 // rows; below the 5,000 locks at which SQL Server takes the whole table instead
	batchTarget = 2 * time.Millisecond

	restLeast = 1.0             // of the time that a batch takes, where nobody calls
	restLive  = 9.0             // the same beside live calls: so at most one in ten meets a batch
	restFirst = 20.0            // what a sweep begins with
	restMost  = 40.0            // however slow live calls are: a sweep that rests longer does not keep up
	restLimit = 2 * time.Second // the longest pause

	slowdown   = 1.15            // live calls whose p99 is this much longer than before the sweep are too slow
	judgeCalls = 300             // calls that say something about a p99
	judgeAfter = 2 * time.Second // after which fewer are taken for few
	fewCalls   = 20
)

// pace decides how many rows the next batch deletes and how long the sweep rests before it. It is
// pure: it is told what the last batch took and how long live calls took meanwhile.
//
// Batches are made to take about batchTarget, since a write may wait that long for one. The
// rest doubles while the live calls' p99 is longer than it was before the sweep began, and
// shrinks slowly to nine times the batch while it is not. Where hardly anybody calls it
// shrinks to as long as the batch.
type pace struct {
	rows  int
	rest  float64       // in times of a batch
	quiet time.Duration // the live calls' p99 without a sweep; 0: not known

	seen  latencies     // since it was last judged
	since time.Duration // so long ago
}

// newPace begins a sweep's pace; before is what live calls took without one.
func newPace(before *latencies) *pace {
	p := &pace{rows: batchFirst, rest: restFirst}
	if before.calls >= judgeCalls {
		p.quiet = before.p99()
	}
	return p
}

// next is told how long the last batch took, and how long ago the one before had begun. What live
// calls took meanwhile has been added to seen.
func (p *pace) next(took, round time.Duration) (rows int, pause time.Duration) {
	// Halfway to what would take the target, and never more than twice as many.
	ideal := float64(p.rows) * float64(batchTarget) / float64(max(took, time.Microsecond))
	p.rows = max(batchLeast, min(batchMost, 2*p.rows, int((float64(p.rows)+ideal)/2)))
	if p.since += round; p.seen.calls >= judgeCalls || p.since >= judgeAfter {
		p.judge()
	}
	return p.rows, min(restLimit, time.Duration(p.rest*float64(took)))
}

// judge changes the rest by what was seen.
func (p *pace) judge() {
	switch {
	case p.seen.calls < fewCalls:
		p.rest = max(restLeast, p.rest/4)
	case p.seen.calls >= judgeCalls && p.quiet > 0 && float64(p.seen.p99()) > slowdown*float64(p.quiet):
		p.rest = min(restMost, p.rest*2)
	default:
		p.rest = max(restLive, p.rest/1.2)
	}
	p.seen, p.since = latencies{}, 0
}
