package proxy

import (
	"context"
	"fmt"
	"sync"
	"sync/atomic"
	"time"

	"github.com/mirrorstate/mirrorstate/session"
	"github.com/mirrorstate/mirrorstate/shares"
)

// AdmissionStats count the calls that wanted a place at the store.
type AdmissionStats struct {
	Busy    int64  // places taken now
	Waiting int64  // calls that wait for one now
	Queued  uint64 // calls that ever waited
	Passed  uint64 // calls that went past, because the pair holds calls itself
	Full    uint64 // turned away as they came: the queue was full, and no other caller had more of it
	Evicted uint64 // turned away while they waited, to make room for a caller with fewer
	Late    uint64 // turned away: they waited too long while others were served
	Left    uint64 // left with their caller, or at their deadline
}

// admission bounds how many calls are at the store at once, so that those who come
// in a flood wait here, where it is known whose they are, and not for a connection.
//
// Who waits is served in turn by callers, and each caller's calls in their order: a flood of
// one is that one's own trouble. When the queue is full the newest call of whoever has most in
// it is turned away. A call that has waited too long is turned away while others get
// through; where none does, a server hangs or a failover goes on, and what ends waiting then
// is the call's own deadline. While the pair holds calls, they go past: the hold has bounds of
// its own, and knows which to let go first.
//
// While there are places, a call costs two atomic operations. Any number of goroutines may use it.
type admission struct {
	places, size int64
	wait         time.Duration
	holding      func() bool // the pair holds calls

	busy, waiting, delayed                    atomic.Int64 // waiting is what the queue has; written under mu
	queued, passed, full, evicted, late, left atomic.Uint64

	mu         sync.Mutex // guards what follows; held for no I/O
	queue      shares.Pool[*queuedCall]
	lastServed time.Time // when a place last became free for who waits
}

// queuedCall is a call that waits. verdict is sent once by whoever takes it out of the queue.
type queuedCall struct {
	part    shares.Part[*queuedCall]
	verdict chan error
}

// holdCheck is how often a waiting call looks whether the pair has begun to hold calls.
const holdCheck = 500 * time.Millisecond

func newAdmission(places, size int, wait time.Duration, holding func() bool) *admission {
	if holding == nil {
		holding = func() bool { return false }
	}
	return &admission{places: int64(places), size: int64(size), wait: wait, holding: holding}
}

// enter gives a place, which leave gives back: placed. Without one the call goes on all the same
// unless there is an error.
func (a *admission) enter(ctx context.Context, caller string) (placed bool, err error) {
	if a.tryEnter() {
		return true, nil
	}
	if a.holding() {
		a.passed.Add(1)
		return false, nil
	}
	e, err := a.join(caller)
	if err != nil {
		a.delay(ctx)
		return false, err
	}
	a.dispatch(false) // a place may have become free before this call was seen to wait
	return a.await(ctx, e)
}

// tryEnter gives a place if nobody waits for one.
func (a *admission) tryEnter() bool { return a.waiting.Load() == 0 && a.take() }

// refusalDelay is how long a call that is turned away waits for that answer. Whoever asks
// again at once, whatever Retry-After says, would otherwise have the processor busy with turning him away.
const refusalDelay = 200 * time.Millisecond

// leastDelayed is how many may be kept so, where the queue is shorter.
const leastDelayed = 1000

// delay keeps a call that is turned away for a moment, unless as many are kept already as may
// be in the queue.
func (a *admission) delay(ctx context.Context) {
	defer a.delayed.Add(-1)
	if a.delayed.Add(1) > max(a.size, leastDelayed) {
		return
	}
	timer := time.NewTimer(refusalDelay)
	defer timer.Stop()
	select {
	case <-timer.C:
	case <-ctx.Done():
	}
}

// leave gives a place back.
func (a *admission) leave() {
	a.busy.Add(-1)
	if a.waiting.Load() > 0 {
		a.dispatch(true)
	}
}

// take takes a place if there is one.
func (a *admission) take() bool {
	for {
		n := a.busy.Load()
		if n >= a.places {
			return false
		}
		if a.busy.CompareAndSwap(n, n+1) {
			return true
		}
	}
}

// join goes to the end of the caller's line. Where there is no more room, the newest call of whoever has
// most is turned away; that may be this one.
func (a *admission) join(caller string) (*queuedCall, error) {
	a.mu.Lock()
	defer a.mu.Unlock()
	gone, ok := a.queue.Room(caller, shares.Size{Count: 1}, shares.Size{Count: int(a.size)})
	for _, part := range gone {
		part.Value.verdict <- a.fullError()
	}
	a.evicted.Add(uint64(len(gone)))
	if !ok {
		a.full.Add(1)
		return nil, a.fullError()
	}
	if a.queue.Size().Count == 0 {
		a.lastServed = time.Now()
	}
	e := &queuedCall{verdict: make(chan error, 1)}
	e.part.Value = e
	a.queue.Add(caller, &e.part)
	a.countLocked()
	a.queued.Add(1)
	return e, nil
}

// countLocked tells who does not look at the queue how many wait in it.
func (a *admission) countLocked() { a.waiting.Store(int64(a.queue.Size().Count)) }

func (a *admission) fullError() error {
	return &problemError{kindOverloaded, fmt.Sprintf("%d calls wait already", a.size)}
}

// dispatch gives free places to who waits, one line after the other.
func (a *admission) dispatch(freed bool) {
	a.mu.Lock()
	defer a.mu.Unlock()
	if freed {
		a.lastServed = time.Now()
	}
	for a.queue.Size().Count > 0 && a.take() {
		first := a.queue.Next()
		a.queue.Remove(first)
		a.countLocked()
		first.Value.verdict <- nil
	}
}

// await waits for the verdict.
func (a *admission) await(ctx context.Context, e *queuedCall) (placed bool, err error) {
	began := time.Now()
	tick := time.NewTimer(min(a.wait, holdCheck))
	defer tick.Stop()
	for {
		select {
		case err := <-e.verdict:
			return err == nil, err
		case <-ctx.Done():
			if !a.withdraw(e) {
				return a.verdictOf(e)
			}
			a.left.Add(1)
			return false, a.leaveError(ctx, began)
		case <-tick.C:
		}
		switch held := a.holding(); {
		case held && a.withdraw(e):
			a.passed.Add(1)
			return false, nil
		case !held && time.Since(began) >= a.wait && a.served() && a.withdraw(e):
			a.late.Add(1)
			return false, &problemError{kindOverloaded, fmt.Sprintf("no place at the store in %v", a.wait)}
		}
		tick.Reset(min(a.wait, holdCheck))
	}
}

// leaveError is why a call that has waited since began gives up. Nothing was sent, so time that
// is over leaves nothing unknown; it is an overload if others got through meanwhile.
func (a *admission) leaveError(ctx context.Context, began time.Time) error {
	switch {
	case ctx.Err() == context.DeadlineExceeded && a.servedSince(began):
		return &problemError{kindOverloaded, "no place at the store before the deadline"}
	case ctx.Err() == context.DeadlineExceeded:
		return fmt.Errorf("%w: no place at the store before the deadline", session.ErrNoPrincipal)
	}
	return context.Cause(ctx)
}

// verdictOf is for a call that was taken out of its line at the moment it wanted to leave. A
// place it was given is used: the store sees the end of its context.
func (a *admission) verdictOf(e *queuedCall) (placed bool, err error) {
	err = <-e.verdict
	return err == nil, err
}

// served says whether somebody who waited was let go within the wait.
func (a *admission) served() bool {
	a.mu.Lock()
	defer a.mu.Unlock()
	return time.Since(a.lastServed) < a.wait
}

// servedSince says whether somebody who waited was let go since then.
func (a *admission) servedSince(t time.Time) bool {
	a.mu.Lock()
	defer a.mu.Unlock()
	return a.lastServed.After(t)
}

// withdraw takes a call out of the queue; false: it has its verdict.
func (a *admission) withdraw(e *queuedCall) bool {
	a.mu.Lock()
	defer a.mu.Unlock()
	in := e.part.In()
	a.queue.Remove(&e.part)
	a.countLocked()
	return in
}

func (a *admission) stats() AdmissionStats {
	return AdmissionStats{
		Busy: a.busy.Load(), Waiting: a.waiting.Load(), Queued: a.queued.Load(), Passed: a.passed.Load(),
		Full: a.full.Load(), Evicted: a.evicted.Load(), Late: a.late.Load(), Left: a.left.Load(),
	}
}
