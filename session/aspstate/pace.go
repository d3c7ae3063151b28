package aspstate

import "time"

// The bounds of a sweep's pace.
const (
	batchFirst = 8                      // rows of the first batch
	batchLeast = 4                      // rows
	batchMost  = 2000                   // rows; below the 5,000 locks at which SQL Server takes the whole table instead
	tookLive   = 2 * time.Millisecond   // how much longer than the shortest a batch may take beside live calls: a write may wait for it
	tookIdle   = 10 * time.Millisecond  // the same where hardly anybody calls
	growLive   = 1.25                   // times as many rows, while live calls are none the slower
	growIdle   = 2.0                    // the same where hardly anybody calls
	restLeast  = 1.0                    // of the time that a batch takes, where hardly anybody calls
	restLive   = 3.0                    // the same beside live calls
	restMost   = 24.0                   // however slow live calls are: a sweep that rests longer does not keep up
	restLimit  = 2 * time.Second        // the longest pause
	slowdown   = 1.15                   // live calls whose p99 is this much longer than before the sweep are too slow
	judgeCalls = 1000                   // calls that say something about a p99
	idleFor    = 250 * time.Millisecond // after which it is seen that hardly anybody calls
	idleCalls  = 10                     // so many in that time are hardly anybody
	slowTurns  = 5                      // judgements at the slowest pace after which it is listened anew what calls take without a sweep
	listenFor  = 3 * time.Second        // so long
	heardCalls = 100                    // calls that were heard meanwhile say something
)

// pace decides how many rows the next batch deletes and how long the sweep rests before it. It is
// pure: it is told what the last batch took and how long live calls took meanwhile.
//
// A batch begins, if one comes in time, in a gap between live calls: see [load.gap].
//
// Small batches with short rests harm live calls less than large ones with long rests, at the
// same rate: a call that meets a batch waits for its end. So a sweep begins with small batches,
// and they grow slowly while the live calls' p99 is what it was before the sweep began; where it
// is longer, they are halved, and when they can't be smaller, the rest is doubled. Where hardly anybody
// calls, they grow fast, and the rest shrinks to as long as a batch. A sweep that stays at its slowest
// stops for a moment and listens: what calls took before it began may be out of date, and it must keep up.
// So does one that does not know what they took before, as after a start.
type pace struct {
	rows  int
	rest  float64       // in times of a batch
	floor time.Duration // what the shortest batch took: the way there and back, and the commit on both partners
	quiet time.Duration // the live calls' p99 without a sweep; 0: not known

	seen   latencies     // since it was last judged
	recent int64         // calls since it was last seen whether anybody calls
	since  time.Duration // so long ago
	idle   bool          // hardly anybody did

	slow      int  // judgements in a row at the slowest pace
	listening bool // nothing is swept until the next batch: what calls take meanwhile is the new quiet p99
}

// newPace begins a sweep's pace; before is what live calls took without one.
func newPace(before *latencies) *pace {
	p := &pace{rows: batchFirst, rest: restLive}
	if before.calls >= judgeCalls {
		p.quiet = before.p99()
	}
	return p
}

// next is told how long the last batch took, how long ago the one before had begun, and what live
// calls took meanwhile.
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
	case took > longest && ran <= batchLeast: // whatever the rows: a mirror has come back, or a failover led farther away
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

// hear takes what calls took while nothing was swept for what they take without a sweep. If that is
// as short as it was, it is the sweep that makes them slow, and nothing changes.
func (p *pace) hear(live *latencies) {
	p.listening = false
	if live.calls >= heardCalls {
		p.quiet = live.p99()
	}
}

// judge changes the pace by what was seen of live calls.
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
