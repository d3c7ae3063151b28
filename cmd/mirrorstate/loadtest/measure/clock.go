package measure

import (
	"context"
	"time"
)

// Clock counts from when measuring begins; before, in the warm-up, it is below zero.
type Clock struct{ Zero time.Time }

// Now is the time on the clock.
func (c Clock) Now() time.Duration { return c.At(time.Now()) }

// At is a moment on the clock.
func (c Clock) At(t time.Time) time.Duration { return t.Sub(c.Zero) }

// moment is a time on the clock as a moment.
func (c Clock) moment(d time.Duration) time.Time { return c.Zero.Add(d) }

// Wait waits until it is d on the clock, or ctx ends, whose error it returns.
func (c Clock) Wait(ctx context.Context, d time.Duration) error {
	return SleepUntil(ctx, c.moment(d))
}

// SleepUntil waits until then, or ctx ends, whose error it returns.
func SleepUntil(ctx context.Context, then time.Time) error {
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

// WithTimeout bounds one call.
func WithTimeout(ctx context.Context, limit time.Duration, do func(context.Context) error) error {
	ctx, cancel := context.WithTimeout(ctx, limit)
	defer cancel()
	return do(ctx)
}
