package aspstate

import "time"

// The bounds of a sweep's pace.
const (
	batchFirst = 8                      // rows of the first batch
	batchLeast = 4                      // rows
	batchMost  = 2000                   // rows; below the 5,000 locks at which SQL Server takes the whole table instead
	tookLive   = 2 * time.Millisecond   // during live calls a batch may take this much longer than the shortest one: a write may wait for it
	tookIdle   = 10 * time.Millisecond  // the same with hardly any live calls
	growLive   = 1.25                   // factor by which batches grow while live calls are not slower
	growIdle   = 2.0                    // the same with hardly any live calls
	restLeast  = 1.0                    // rest as a multiple of the batch's time, with hardly any live calls
	restLive   = 3.0                    // the same during live calls
	restMost   = 24.0                   // the longest rest, as the same multiple: a sweep that rests longer falls behind
	restLimit  = 2 * time.Second        // the longest pause
	slowdown   = 1.15                   // live calls are too slow if their p99 is above this multiple of the p99 before the sweep
	judgeCalls = 1000                   // the fewest calls for a meaningful p99
	idleFor    = 250 * time.Millisecond // how often the number of live calls is checked
	idleCalls  = 10                     // fewer calls in that time are "hardly any"
	slowTurns  = 5                      // after so many judgements at the slowest pace, the time of calls without a sweep is measured again
	listenFor  = 3 * time.Second        // how long that measurement takes
	heardCalls = 100                    // the fewest calls for a meaningful measurement
)

// pace decides how many rows the next batch deletes, and how long the sweep rests before it. It is pure: its input is
// how long the last batch took, and how long live calls took meanwhile.
//
// If possible, a batch begins in a gap between live calls: see [load.gap].
//
// At the same rate, small batches with short rests disturb live calls less than large batches with long rests, because
// a call may have to wait for the end of a batch. So a sweep begins with small batches:
//
//   - While the p99 of live calls is the same as before the sweep, batches grow slowly.
//   - If the p99 is longer, batches are halved. If they are as small as possible, the rest is doubled.
//   - With hardly any live calls, batches grow fast, and the rest shrinks to the time of a batch.
//   - After some time at the slowest pace, the sweep stops for a moment and measures the p99 again: the value from before
//     the sweep may be out of date, and the sweep must not fall behind.
//   - A sweep that does not know the p99 before it, for example after a start, measures it in the same way.
type pace struct {
	rows  int
	rest  float64       // as a multiple of the batch's time
	floor time.Duration // the time of the shortest batch: the round trip, and the commit on both partners
	quiet time.Duration // the p99 of live calls without a sweep; 0: not known

	seen   latencies     // since the last judgement
	recent int64         // calls since the last check for live calls
	since  time.Duration // the time since that check
	idle   bool          // there were hardly any live calls

	slow      int  // number of judgements in a row at the slowest pace
	listening bool // the sweep pauses until the next batch, and measures the p99 for quiet
}

// newPace returns the pace of a new sweep; before has the live calls without a sweep.
func newPace(before *latencies) *pace {
	p := &pace{rows: batchFirst, rest: restLive}
	if before.calls >= judgeCalls {
		p.quiet = before.p99()
	}
	return p
}

// next returns the rows of the next batch, and the pause before it. took is the time of the last batch. round is the
// time from the beginning of the batch before it to its own beginning. live has the live calls since the last call.
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
	case took > longest && ran <= batchLeast: // not because of the rows: the mirror has returned, or the principal is farther away after a failover
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

// hear ends a measurement: quiet becomes the p99 of the calls during it.
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
