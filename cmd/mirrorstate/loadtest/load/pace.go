package load

import (
	"context"
	"time"

	"github.com/mirrorstate/mirrorstate/cmd/mirrorstate/loadtest/measure"
)

// Pacer hands out the arrivals of an open load: arrival i is due at start + i/rate,
// whatever became of those before. A client that is free takes the next one and waits
// until it is due; where no client is free, the arrival waits for one, and its latency
// counts from when it was due. With a rate of 0 the next arrival is due when a client
// asks for it. Any number of goroutines may use it.
type Pacer struct {
	start, end time.Time
	every      float64 // nanoseconds between two arrivals; 0: at once

	// turn holds the number of the next arrival. Who has taken it out waits for that
	// one; the others wait in a row, so that one client, at most, waits for the time.
	turn chan int64

	sleep func(ctx context.Context, until time.Time) error
}

// NewPacer makes a pacer of so many arrivals a second between start and end.
func NewPacer(start, end time.Time, rate float64) *Pacer {
	p := &Pacer{start: start, end: end, turn: make(chan int64, 1), sleep: sleepExactly}
	p.turn <- 0
	if rate > 0 {
		p.every = float64(time.Second) / rate
	}
	return p
}

// Next waits for the next arrival, and says when it was due; early says that the client
// was there before it. ok is false if there are no more, or ctx ended.
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

// CatchUp is how long after the end arrivals are handed out that were due before it: for a
// load that ends in the middle of a failover.
const CatchUp = 10 * time.Second

// Left are when the arrivals were due that nobody has taken. The clients must have ended.
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

// sleepExactly is sleepUntil without the lateness of the runtime's timers, which at
// half a millisecond is as long as the answers that are measured.
func sleepExactly(ctx context.Context, until time.Time) error {
	if err := measure.SleepUntil(ctx, until.Add(-timerLateness)); err != nil {
		return err
	}
	if left := time.Until(until); left > 0 {
		block(left)
	}
	return ctx.Err()
}

// timerLateness is how late a timer may be.
const timerLateness = 2 * time.Millisecond
