package partner

import (
	"errors"
	"sync/atomic"
	"time"

	"github.com/sony/gobreaker/v2"

	"github.com/mirrorstate/mirrorstate/partner/choose"
)

// When a breaker opens, and for how long. The time is short, because probes close the breaker as soon as a new
// connection succeeds.
const (
	breakerTrips   = 5 // consecutive failures that open it
	breakerTimeout = time.Second
	breakerTrials  = 4 // calls that may try when it is half-open
)

// The errors of an attempt or a probe, as the breaker counts them; nil means that the partner was reached.
var (
	errUnreachable = errors.New("not reached")
	errNotCounted  = errors.New("not counted")
)

// breaker counts whether one partner can be reached. An error that the server sent, such as a mirror's refusal,
// counts as reached. Safe for concurrent use.
type breaker struct {
	cb       atomic.Pointer[gobreaker.CircuitBreaker[struct{}]]
	settings gobreaker.Settings
	state    atomic.Int32 // the last recorded state; asking gobreaker for it may change it
}

// newBreaker returns a closed breaker. changed is called for every change of state, under the breaker's lock:
// it must only record the change.
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

// isTrial reports whether a change only means that an open breaker lets a few calls try, or that they failed.
// While a partner is down this happens every second, and the log does not show it.
func isTrial(from, to string) bool {
	open, trying := gobreaker.StateOpen.String(), gobreaker.StateHalfOpen.String()
	return from == open && to == trying || from == trying && to == open
}

// run calls f, or returns gobreaker's error. The error of f is what the breaker counts.
func (b *breaker) run(f func() (struct{}, error)) error {
	_, err := b.cb.Load().Execute(f)
	return err
}

// record counts the result of a probe. Probes run even if the breaker is open. A probe that succeeds on a new
// connection closes the breaker at once; gobreaker offers no such method, so it is replaced.
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

// reset closes the breaker.
func (b *breaker) reset() {
	from := gobreaker.State(b.state.Swap(int32(gobreaker.StateClosed)))
	b.cb.Store(gobreaker.NewCircuitBreaker[struct{}](b.settings))
	if from != gobreaker.StateClosed {
		b.settings.OnStateChange(b.settings.Name, from, gobreaker.StateClosed)
	}
}

// stateName returns the recorded state: closed, open or half-open.
func (b *breaker) stateName() string { return gobreaker.State(b.state.Load()).String() }
