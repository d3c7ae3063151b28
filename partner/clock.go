package partner

import (
	"time"

	"github.com/mirrorstate/mirrorstate/partner/choose"
)

// clockReading is what is known about a partner's clock. It never changes. The zero value means that the clock
// was never read.
type clockReading struct {
	at     time.Time     // when it was read; zero if never
	offset time.Duration // the partner's clock minus ours, as estimated
	width  time.Duration // difference between the largest and the smallest possible offset at that time
}

// clockDrift bounds how fast two clocks drift apart: by one part in clockDrift.
const clockDrift = 5000

// maxError returns the largest error of the offset at now: half the width, plus the drift since the clock was
// read.
func (r *clockReading) maxError(now time.Time) time.Duration {
	if r.at.IsZero() {
		return 0
	}
	return r.width/2 + now.Sub(r.at)/clockDrift
}

// earliest returns the earliest time (UTC) that the partner's clock can have shown at t.
func (r *clockReading) earliest(t time.Time) time.Time {
	return t.Add(r.offset - r.maxError(t)).UTC()
}

// addClockReading narrows the clock's offset by one observation.
//
// The server read its clock at some time within the round trip, so each observation gives a smallest and a
// largest offset. The true offset lies in the range that all observations share. This range is often much
// smaller than any round trip. If an observation contradicts the earlier ones, the clock was set, and only the
// new observation counts.
func (m *member) addClockReading(o choose.Observation, now time.Time) {
	is := &clockReading{at: now, offset: o.ClockOffset, width: o.Latency}
	if was := m.clock.Load(); !was.at.IsZero() {
		least := max(was.offset-was.maxError(now), is.offset-is.width/2)
		most := min(was.offset+was.maxError(now), is.offset+is.width/2)
		if least <= most {
			is.offset, is.width = least+(most-least)/2, most-least
		}
	}
	m.clock.Store(is)
}

// earliest returns the earliest time (UTC) that the clock of either partner can have shown at t. Everything
// executed after t, on either partner, is dated later.
func (p *Pair) earliest(t time.Time) time.Time {
	first := p.members[0].clock.Load().earliest(t)
	if other := p.members[1].clock.Load(); !other.at.IsZero() && other.earliest(t).Before(first) {
		return other.earliest(t)
	}
	return first
}
