package proxy

import (
	"fmt"
	"sync"
	"sync/atomic"
	"time"

	"golang.org/x/time/rate"
)

// registrations bounds how many applications that nobody configured each caller may have made known to the database in
// an hour. They stay there for good, and each is an entry in every server's memory. Any number of goroutines may use it.
type registrations struct {
	hourly  int // of each caller; 0: nothing bounds them
	refused atomic.Uint64

	mu      sync.Mutex
	callers map[string]*rate.Limiter // owned by mu; by name, of those who have registered any
}

func newRegistrations(hourly int) *registrations {
	return &registrations{hourly: hourly, callers: make(map[string]*rate.Limiter)}
}

// take takes one registration from the caller's, or says when there will be one.
func (g *registrations) take(caller string) error {
	if g.hourly <= 0 {
		return nil
	}
	g.mu.Lock()
	defer g.mu.Unlock()
	limiter := g.callers[caller]
	if limiter == nil {
		limiter = rate.NewLimiter(rate.Every(time.Hour/time.Duration(g.hourly)), g.hourly)
		g.callers[caller] = limiter
	}
	r := limiter.Reserve()
	after := r.Delay()
	if after == 0 {
		return nil
	}
	r.Cancel()
	g.refused.Add(1)
	return &laterError{&problemError{kindOverloaded, fmt.Sprintf("the caller has registered %d new applications within the hour, its limit; name the application "+
		"in the server's configuration (apps) or in the key, or raise limits.new_applications", g.hourly)}, after}
}

// laterError is a problem that is over after a known time, for Retry-After.
type laterError struct {
	*problemError
	after time.Duration
}

// Unwrap gives the problem.
func (e *laterError) Unwrap() error { return e.problemError }
