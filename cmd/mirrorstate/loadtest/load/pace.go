package load

import (
	"context"
	"time"

	"github.com/mirrorstate/mirrorstate/cmd/mirrorstate/loadtest/measure"
)

// Pacer hands out the arrivals of an open model: arrival i is due at start + i/rate, whether the
// earlier ones have ended or not. A free client takes the next arrival and waits until it is due.
// If no client is free, the arrival waits for one. Its latency counts from when it was due. With a
// rate of 0 the next arrival is due when a client asks for it. The methods may be called
// concurrently.
type Pacer struct {
	start, end time.Time
	every      float64 // nanoseconds between two arrivals; 0: no pause

	// turn holds the number of the next arrival. The client that has taken the number waits for
	// that arrival. The other clients wait for the number.
	turn chan int64

	sleep func(ctx context.Context, until time.Time) error
}

// NewPacer returns a pacer with rate arrivals a second between start and end.
func NewPacer(start, end time.Time, rate float64) *Pacer {
	p := &Pacer{start: start, end: end, turn: make(chan int64, 1), sleep: sleepExactly}
	p.turn <- 0
	if rate > 0 {
		p.every = float64(time.Second) / rate
	}
	return p
}

// Next waits until the next arrival is due, and returns when that was. early reports whether the
// client was there before. ok is false if there are no more arrivals, or if ctx ended.
func (p *Pacer) Next(ctx context.Context) (due time.Time, early, ok bool) {
	if p.every == 0 {
		if p.sleep(ctx, p.start) != nil {
			return due, false, false
		}
		due = time.Now()
		return due, false, due.Before(p.end)
	}
	n := <-p.turn
	defer func() { p.turn <- n }()
	due = p.start.Add(time.Duration(float64(n) * p.every))
	if !due.Before(p.end) || time.Since(p.end) > CatchUp {
		return due, false, false
	}
	early = time.Now().Before(due)
	if p.sleep(ctx, due) != nil {
		return due, early, false
	}
	n++
	return due, early, true
}

// CatchUp is how long after the end the pacer still hands out arrivals that were due before it. A
// load may end during a failover.
const CatchUp = 10 * time.Second

// Left returns when the arrivals were due that no client has taken. No client may call Next any
// more.
func (p *Pacer) Left() (list []time.Time) {
	if p.every == 0 {
		return nil
	}
	n := <-p.turn
	defer func() { p.turn <- n }()
	for ; ; n++ {
		due := p.start.Add(time.Duration(float64(n) * p.every))
		if !due.Before(p.end) {
			return list
		}
		list = append(list, due)
	}
}

// sleepExactly is [measure.SleepUntil] without the delay of the runtime's timers. That delay is
// about half a millisecond, as long as the latencies that are measured.
func sleepExactly(ctx context.Context, until time.Time) error {
	if err := measure.SleepUntil(ctx, until.Add(-timerLateness)); err != nil {
		return err
	}
	if left := time.Until(until); left > 0 {
		block(left)
	}
	return ctx.Err()
}

// timerLateness is the largest expected delay of a timer.
const timerLateness = 2 * time.Millisecond
