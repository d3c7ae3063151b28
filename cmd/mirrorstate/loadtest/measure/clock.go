package measure

import (
	"context"
	"time"
)

// Clock gives times as durations from the start of measuring. Times in the warm-up are negative.
type Clock struct {
	Zero time.Time // when measuring starts
}

// Now returns the current time on the clock.
func (c Clock) Now() time.Duration { return c.At(time.Now()) }

// At converts a time to the clock.
func (c Clock) At(t time.Time) time.Duration { return t.Sub(c.Zero) }

// moment converts a time on the clock to a [time.Time].
func (c Clock) moment(d time.Duration) time.Time { return c.Zero.Add(d) }

// Wait waits until the clock shows d. If ctx ends first, Wait returns its error.
func (c Clock) Wait(ctx context.Context, d time.Duration) error {
	return SleepUntil(ctx, c.moment(d))
}

// SleepUntil waits until then. If ctx ends first, SleepUntil returns its error.
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

// WithTimeout calls do with a context that ends after limit at the latest.
func WithTimeout(ctx context.Context, limit time.Duration, do func(context.Context) error) error {
	ctx, cancel := context.WithTimeout(ctx, limit)
	defer cancel()
	return do(ctx)
}
