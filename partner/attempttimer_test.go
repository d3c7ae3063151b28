package partner

import (
	"context"
	"errors"
	"math"
	"testing"
	"testing/synctest"
	"time"

	"github.com/mirrorstate/mirrorstate/partner/link"
)

// An attempt may take as long as its item needs, but not longer than MaxAttempt. The call ends after the window
// and one such attempt, or at its caller's deadline.
func TestDo_AttemptTimeGrowsWithTheItem(t *testing.T) {
	for _, c := range []struct {
		name           string
		bytes          int64
		caller         time.Duration // the caller's deadline; 0: none
		attempt, whole time.Duration // longest times
	}{
		{"no item", 0, 0, 5 * time.Second, 35 * time.Second},
		{"4 MiB", 4 << 20, 0, 21 * time.Second, 51 * time.Second},
		{"1 GiB", 1 << 30, 0, MaxAttempt, 30*time.Second + MaxAttempt},
		{"the largest number of bytes", math.MaxInt64, 0, MaxAttempt, 30*time.Second + MaxAttempt},
		{"4 MiB and a deadline", 4 << 20, 12 * time.Second, 12 * time.Second, 12 * time.Second},
		{"4 MiB and a late deadline", 4 << 20, 35 * time.Second, 21 * time.Second, 35 * time.Second},
	} {
		t.Run(c.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				f := newFakePair(t)
				p := f.startServing(func(cfg *Config) { cfg.Hold.Bytes = math.MaxInt64 })
				p.members[0].clock.Store(new(clockReading))
				ctx := t.Context()
				if c.caller > 0 {
					var cancel context.CancelFunc
					ctx, cancel = context.WithTimeout(ctx, c.caller)
					defer cancel()
				}
				began := time.Now()
				err := p.Do(ctx, Call{Write: true, Bytes: c.bytes}, func(ctx context.Context, a *Attempt) error {
					at := time.Now()
					if d := a.NotAfter.Sub(at); a.Number == 1 && d != c.attempt || d > MaxAttempt {
						t.Errorf("attempt %d: not after %v, want %v", a.Number, d, c.attempt)
					}
					<-ctx.Done()
					if d := time.Since(at); a.Number == 1 && d != c.attempt {
						t.Errorf("the first attempt ended after %v, want %v", d, c.attempt)
					}
					return ctx.Err()
				})
				if d := time.Since(began); !errors.Is(err, OutcomeUnknown) || d != c.whole {
					t.Errorf("ended after %v with %v, want %v", d, err, c.whole)
				}
			})
		})
	}
}

// An answer that is arriving gets the time that its bytes need at minRate, and no more. If nothing arrives any
// more, the attempt ends.
func TestDo_AttemptTimeGrowsWithTheAnswer(t *testing.T) {
	for _, c := range []struct {
		name string
		rate int64         // bytes a second
		dry  time.Duration // nothing is received after this time
		want time.Duration // when the attempt ends
	}{
		{"nothing is received", 0, 0, 5 * time.Second},
		{"too slow", minRate / 2, time.Hour, 10 * time.Second}, // 5 + 2.5 + 1.25 + …
		{"stops in the middle", 2 * minRate, 4 * time.Second, 12800 * time.Millisecond},
		{"continues", 2 * minRate, time.Hour, MaxAttempt},
	} {
		t.Run(c.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				f := newFakePair(t)
				p := f.startServing(func(c *Config) { c.Hold.Window = 2 * time.Minute })
				pool := f.ends[0].pools[0]
				pool.receive(1 << 30) // for other calls, before
				first := time.Duration(0)
				err := p.Do(t.Context(), Call{}, func(ctx context.Context, a *Attempt) error {
					if a.Number > 1 {
						return nil
					}
					began, tick := time.Now(), time.NewTicker(100*time.Millisecond)
					defer tick.Stop()
					for {
						select {
						case <-ctx.Done():
							first = time.Since(began)
							return ctx.Err()
						case <-tick.C:
							if time.Since(began) < c.dry {
								pool.receive(c.rate / 10)
							}
						}
					}
				})
				if err != nil || (first-c.want).Abs() > 200*time.Millisecond {
					t.Errorf("ended after %v, want %v; then %v", first, c.want, err)
				}
			})
		})
	}
}

// receive adds n received bytes.
func (p *fakePool) receive(n int64) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.received += n
}

func TestConfig_RefusesALongAttempt(t *testing.T) {
	c := Config{Database: "ASPState", Budgets: link.Budgets{Attempt: MaxAttempt + 1}}.withDefaults()
	if err := c.validate(); err == nil {
		t.Errorf("an attempt budget of %v was accepted", c.Budgets.Attempt)
	}
}
