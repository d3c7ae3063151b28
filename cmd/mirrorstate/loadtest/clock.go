package loadtest

import (
	"context"
	"time"
)

// clock counts from when measuring begins; before, in the warm-up, it is below zero.
type clock struct{ zero time.Time }

// now is the time on the clock.
func (c clock) now() time.Duration { return c.at(time.Now()) }

// at is a moment on the clock.
func (c clock) at(t time.Time) time.Duration { return t.Sub(c.zero) }

// moment is a time on the clock as a moment.
func (c clock) moment(d time.Duration) time.Time { return c.zero.Add(d) }

// wait waits until it is d on the clock, or ctx ends, whose error it returns.
func (c clock) wait(ctx context.Context, d time.Duration) error {
	return sleepUntil(ctx, c.moment(d))
}

// sleepUntil waits until then, or ctx ends, whose error it returns.
func sleepUntil(ctx context.Context, then time.Time) error {
	if err := ctx.Err(); err != nil {
		return err
	}
	left := time.Until(then)
	if left <= 0 {
		return nil
	}
	timer := time.NewTimer(left)
	defer timer.Stop()
	select {
	case <-timer.C:
		return nil
	case <-ctx.Done():
		return ctx.Err()
	}
}

// withTimeout bounds one call.
func withTimeout(ctx context.Context, limit time.Duration, do func(context.Context) error) error {
	ctx, cancel := context.WithTimeout(ctx, limit)
	defer cancel()
	return do(ctx)
}
