package partner

import (
	"errors"
	"sync/atomic"
	"time"

	"github.com/sony/gobreaker/v2"

	"github.com/mirrorstate/mirrorstate/partner/choose"
)

// When a breaker opens and for how long. It is short: the prober finds out in
// milliseconds, and closes the breaker when a fresh connection answers.
const (
	breakerTrips   = 5 // failures in a row
	breakerTimeout = time.Second
	breakerTrials  = 4 // calls let through when half open
)

// What an attempt tells the breaker, beside nil for reached.
var (
	errUnreachable = errors.New("not reached")
	errNotCounted  = errors.New("says nothing about the partner")
)

// breaker is about one partner's reachability and nothing else: a mirror's
// refusal is a success.
type breaker struct {
	cb       atomic.Pointer[gobreaker.CircuitBreaker[struct{}]]
	settings gobreaker.Settings
	state    atomic.Int32 // the last state recorded; asking gobreaker may change it
}

// newBreaker makes a closed breaker. changed is called for every change of
// state under the breaker's lock: it must only record.
func newBreaker(name choose.Name, changed func(from, to string)) *breaker {
	b := new(breaker)
	b.settings = gobreaker.Settings{
		Name:         string(name),
		MaxRequests:  breakerTrials,
		Timeout:      breakerTimeout,
		ReadyToTrip:  func(c gobreaker.Counts) bool { return c.ConsecutiveFailures >= breakerTrips },
		IsExcluded:   func(err error) bool { return err == errNotCounted },
		IsSuccessful: func(err error) bool { return err == nil },
		OnStateChange: func(_ string, from, to gobreaker.State) {
			b.state.Store(int32(to))
			changed(from.String(), to.String())
		},
	}
	b.cb.Store(gobreaker.NewCircuitBreaker[struct{}](b.settings))
	return b
}

// trial reports whether a change is only that an open breaker lets a few calls try, or that these failed: to whoever reads the
// log it is still open. While a partner is down that happens every second.
func isTrial(from, to string) bool {
	open, trying := gobreaker.StateOpen.String(), gobreaker.StateHalfOpen.String()
	return from == open && to == trying || from == trying && to == open
}

// run lets f through, or returns gobreaker's error. f's error is its verdict.
func (b *breaker) run(f func() (struct{}, error)) error {
	_, err := b.cb.Load().Execute(f)
	return err
}

// record notes a probe's result. A probe is never kept from running; one that
// succeeded on a fresh connection closes an open breaker at once, which
// gobreaker can only do by being replaced.
func (b *breaker) record(reached, fresh bool) {
	if reached && fresh && b.state.Load() != int32(gobreaker.StateClosed) {
		b.reset()
		return
	}
	result := error(nil)
	if !reached {
		result = errUnreachable
	}
	_ = b.run(func() (struct{}, error) { return struct{}{}, result })
}

// reset closes the breaker by decision.
func (b *breaker) reset() {
	from := gobreaker.State(b.state.Swap(int32(gobreaker.StateClosed)))
	b.cb.Store(gobreaker.NewCircuitBreaker[struct{}](b.settings))
	if from != gobreaker.StateClosed {
		b.settings.OnStateChange(b.settings.Name, from, gobreaker.StateClosed)
	}
}

// read is the state's word: closed, open or half-open.
func (b *breaker) stateName() string { return gobreaker.State(b.state.Load()).String() }
