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

// An attempt may take as long as its item needs, and no attempt longer than MaxAttempt;
// its call ends after the window and one such attempt, or at its caller's deadline.
func TestDo_AnAttemptHasTimeForItsItem(t *testing.T) {
	for _, c := range []struct {
		name           string
		bytes          int64
		caller         time.Duration // its deadline; 0: none
		attempt, whole time.Duration // the longest
	}{
		{"nothing", 0, 0, 5 * time.Second, 35 * time.Second},
		{"4 MiB", 4 << 20, 0, 21 * time.Second, 51 * time.Second},
		{"1 GiB", 1 << 30, 0, MaxAttempt, 30*time.Second + MaxAttempt},
		{"no end of bytes", math.MaxInt64, 0, MaxAttempt, 30*time.Second + MaxAttempt},
		{"4 MiB, and a deadline", 4 << 20, 12 * time.Second, 12 * time.Second, 12 * time.Second},
		{"4 MiB, and a late deadline", 4 << 20, 35 * time.Second, 21 * time.Second, 35 * time.Second},
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
						t.Errorf("the first attempt was cut after %v, want %v", d, c.attempt)
					}
					return ctx.Err()
				})
				if d := time.Since(began); !errors.Is(err, ErrOutcomeUnknown) || d != c.whole {
					t.Errorf("ended after %v with %v, want %v", d, err, c.whole)
				}
			})
		})
	}
}

// An answer that is on its way has the time that its bytes need at the least rate, and no
// more: one that dries up is cut.
func TestDo_AnAttemptHasTimeForItsAnswer(t *testing.T) {
	for _, c := range []struct {
		name string
		rate int64         // bytes a second
		dry  time.Duration // nothing comes after that
		want time.Duration // when the attempt is cut
	}{
		{"nothing comes", 0, 0, 5 * time.Second},
		{"too slow", minRate / 2, time.Hour, 10 * time.Second}, // 5 + 2.5 + 1.25 + …
		{"dries up", 2 * minRate, 4 * time.Second, 12800 * time.Millisecond},
		{"goes on", 2 * minRate, time.Hour, MaxAttempt},
	} {
		t.Run(c.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				f := newFakePair(t)
				p := f.startServing(func(c *Config) { c.Hold.Window = 2 * time.Minute })
				pool := f.ends[0].pools[0]
				pool.receive(1 << 30) // for others, before
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
					t.Errorf("cut after %v, want %v; then %v", first, c.want, err)
				}
			})
		})
	}
}

// arrive has so many bytes come.
func (p *fakePool) receive(n int64) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.received += n
}

func TestConfig_AttemptIsBounded(t *testing.T) {
	c := Config{Database: "ASPState", Budgets: link.Budgets{Attempt: MaxAttempt + 1}}.withDefaults()
	if err := c.validate(); err == nil {
		t.Errorf("an attempt may take %v", c.Budgets.Attempt)
	}
}
