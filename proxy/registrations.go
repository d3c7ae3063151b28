package proxy

import (
	"fmt"
	"sync"
	"sync/atomic"
	"time"

	"golang.org/x/time/rate"
)

// registrations bounds how many applications that are not configured each caller may register in the database per hour.
// A registration is never removed, and takes memory in every proxy. Any number of goroutines may use it.
type registrations struct {
	hourly  int // of each caller; 0: no bound
	refused atomic.Uint64

	mu      sync.Mutex
	callers map[string]*rate.Limiter // owned by mu; by name, of callers that have registered an application
}

func newRegistrations(hourly int) *registrations {
	return &registrations{hourly: hourly, callers: make(map[string]*rate.Limiter)}
}

// take counts one registration of the caller. If the caller has reached its limit, the error says when it may register
// again.
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

// laterError is a problem that ends after a known time, for Retry-After.
type laterError struct {
	*problemError
	after time.Duration
}

// Unwrap returns the problem.
func (e *laterError) Unwrap() error { return e.problemError }
