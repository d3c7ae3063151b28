package aspstate

import "time"

// The bounds of a sweep's pace.
const (
	batchFirst = 8                      // rows of the first batch
	batchLeast = 4                      // rows
	batchMost  = 2000                   // rows; below the 5,000 locks at which SQL Server takes the whole table instead
	tookLive   = 2 * time.Millisecond   // how much longer than the shortest a batch may take during live calls: a write may wait for it
	tookIdle   = 10 * time.Millisecond  // the same with hardly any live calls
	growLive   = 1.25                   // times as many rows, while live calls are not slower
	growIdle   = 2.0                    // the same with hardly any live calls
	restLeast  = 1.0                    // rest as a multiple of the batch's time, with hardly any live calls
	restLive   = 3.0                    // the same during live calls
	restMost   = 24.0                   // the longest rest, however slow live calls are: a sweep that rests longer falls behind
	restLimit  = 2 * time.Second        // the longest pause
	slowdown   = 1.15                   // live calls are too slow if their p99 is this much longer than before the sweep
	judgeCalls = 1000                   // so many calls make a p99 meaningful
	idleFor    = 250 * time.Millisecond // how often it is checked whether there are live calls
	idleCalls  = 10                     // fewer in that time are hardly any
	slowTurns  = 5                      // judgements at the slowest pace after which the time of calls without a sweep is measured again
	listenFor  = 3 * time.Second        // how long that is measured
	heardCalls = 100                    // so many calls make that measurement meaningful
)

// pace decides how many rows the next batch deletes, and how long the sweep rests before it. It is pure: it is told
// how long the last batch took and how long live calls took meanwhile.
//
// If possible, a batch begins in a gap between live calls: see [load.gap].
//
// At the same rate, small batches with short rests disturb live calls less than large batches with long rests: a call
// that meets a batch waits for its end. So a sweep begins with small batches. They grow slowly while the p99 of live
// calls is what it was before the sweep. If the p99 is longer, they are halved, and when they cannot be smaller, the
// rest is doubled. With hardly any live calls they grow fast, and the rest shrinks to the time of a batch. A sweep
// that stays at its slowest stops for a moment and measures again: the p99 from before it began may be out of date,
// and the sweep must not fall behind. So does a sweep that does not know that p99, as after a start.
type pace struct {
	rows  int
	rest  float64       // as a multiple of the batch's time
	floor time.Duration // the time of the shortest batch: the round trip, and the commit on both partners
	quiet time.Duration // the p99 of live calls without a sweep; 0: not known

	seen   latencies     // since the last judgement
	recent int64         // calls since the last check for live calls
	since  time.Duration // the time since that check
	idle   bool          // there were hardly any live calls

	slow      int  // judgements in a row at the slowest pace
	listening bool // nothing is swept until the next batch: the p99 of that time becomes quiet
}

// newPace returns the pace of a new sweep; before has the live calls without a sweep.
func newPace(before *latencies) *pace {
	p := &pace{rows: batchFirst, rest: restLive}
	if before.calls >= judgeCalls {
		p.quiet = before.p99()
	}
	return p
}

// next is called after a batch. took is its time, round the time since the batch before it began, and live has the
// live calls since then.
func (p *pace) next(took, round time.Duration, live *latencies) (rows int, pause time.Duration) {
	ran := p.rows
	if p.listening {
		p.hear(live)
	} else {
		p.seen.add(live)
	}
	p.recent += live.calls
	if p.since += round; p.since >= idleFor {
		p.idle = float64(p.recent) < idleCalls*float64(p.since)/float64(idleFor)
		p.recent, p.since = 0, 0
		if p.idle {
			p.grow(growIdle)
			p.rest = max(restLeast, p.rest/growIdle)
			p.seen = latencies{}
		}
	}
	if p.seen.calls >= judgeCalls {
		p.judge()
		p.seen = latencies{}
	}
	if p.floor == 0 || took < p.floor {
		p.floor = took
	}
	longest := p.floor + tookLive
	if p.idle {
		longest = p.floor + tookIdle
	} else {
		p.rest = max(restLive, p.rest)
	}
	switch {
	case took > longest && ran <= batchLeast: // the rows are not the cause: the mirror has returned, or the principal is farther away after a failover
		p.floor = took
	case took > longest:
		p.rows = max(batchLeast, min(p.rows/2, int(float64(p.rows)*float64(longest)/float64(took))))
	}
	if p.slow >= slowTurns {
		p.slow, p.listening, p.seen = 0, true, latencies{}
		return p.rows, listenFor
	}
	return p.rows, min(restLimit, time.Duration(p.rest*float64(took)))
}

// hear takes the p99 of calls without a sweep from the measurement. If it has not changed, the sweep makes calls
// slow, and nothing changes.
func (p *pace) hear(live *latencies) {
	p.listening = false
	if live.calls >= heardCalls {
		p.quiet = live.p99()
	}
}

// judge changes the pace by the times of live calls.
func (p *pace) judge() {
	limit := time.Duration(slowdown * float64(p.quiet))
	switch slow := p.seen.beyond(limit)*100 > p.seen.calls; {
	case p.quiet == 0:
		p.slow = slowTurns
		return
	case slow && p.rows > batchLeast:
		p.rows = max(batchLeast, p.rows/2)
	case slow && p.rest < restMost:
		p.rest = min(restMost, p.rest*2)
	case slow:
		p.slow++
		return
	case p.rest > restLive:
		p.rest = max(restLive, p.rest/growLive)
	default:
		p.grow(growLive)
	}
	p.slow = 0
}

func (p *pace) grow(by float64) { p.rows = min(batchMost, int(float64(p.rows)*by)) }
