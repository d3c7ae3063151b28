package proxy

import (
	"context"
	"fmt"
	"sync"
	"sync/atomic"
	"time"

	"github.com/mirrorstate/mirrorstate/fairshare"
	"github.com/mirrorstate/mirrorstate/session"
)

// AdmissionStats counts the calls that asked for a place at the store.
type AdmissionStats struct {
	Busy    int64  // places in use now
	Waiting int64  // calls that wait for a place now
	Queued  uint64 // calls that had to wait
	Passed  uint64 // calls that took no place, because the pair was holding calls
	Full    uint64 // refused on arrival: the queue was full, and no other caller had more calls in it
	Evicted uint64 // refused while they waited, to make room for a caller with fewer calls
	Late    uint64 // refused: they waited too long while others were served
	Left    uint64 // ended by their caller, or by their deadline
}

// admission bounds how many calls use the store at once. The other calls wait in its queue, and not for a connection
// of the pair: here their callers are known.
//
// Callers are served in turn, and each caller's calls in their order. So a caller that sends too many calls delays
// only its own. If the queue is full, the newest call of the caller with the most calls in it is refused. A call that
// has waited too long is refused if other calls are served meanwhile. If no call is served, a server hangs or a
// failover is in progress, and a call waits until its own deadline. While the pair holds calls, calls take no place:
// the hold has its own bounds and its own order.
//
// While places are free, a call costs two atomic operations. Any number of goroutines may use an admission.
type admission struct {
	places, size int64
	wait         time.Duration
	holding      func() bool // reports whether the pair holds calls

	busy, waiting, delayed                    atomic.Int64 // waiting is the length of the queue; written under mu
	queued, passed, full, evicted, late, left atomic.Uint64

	mu         sync.Mutex // guards the fields below; never held during I/O
	queue      fairshare.Pool[*queuedCall]
	lastServed time.Time // when a place last became free for a waiting call
}

// queuedCall is a call that waits.
type queuedCall struct {
	part    fairshare.Part[*queuedCall]
	verdict chan error // gets one value from the code that removes the call from the queue; nil: it has a place
}

// holdCheck is how often a waiting call checks whether the pair has begun to hold calls.
const holdCheck = 500 * time.Millisecond

func newAdmission(places, size int, wait time.Duration, holding func() bool) *admission {
	if holding == nil {
		holding = func() bool { return false }
	}
	return &admission{places: int64(places), size: int64(size), wait: wait, holding: holding}
}

// enter takes a place for a call. If placed is true, the caller must give the place back with leave. If placed is false
// and err is nil, the call uses the store without a place.
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
	a.dispatch(false) // a place may have become free before this call was counted as waiting
	return a.await(ctx, e)
}

// tryEnter takes a place if no call waits for one.
func (a *admission) tryEnter() bool { return a.waiting.Load() == 0 && a.take() }

// refusalDelay is how long the answer to a refused call is delayed. Otherwise a client that ignores Retry-After and
// asks again at once would use all of the processor.
const refusalDelay = 200 * time.Millisecond

// leastDelayed is how many calls may be delayed at once even if the queue is shorter.
const leastDelayed = 1000

// delay delays a refused call, unless too many calls are delayed already: as many as may be in the queue.
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

// take takes a place if one is free, and reports whether it did.
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

// join puts a call at the end of its caller's line. If there is no room, the newest call of the caller with the most
// calls is refused, which may be this one.
func (a *admission) join(caller string) (*queuedCall, error) {
	a.mu.Lock()
	defer a.mu.Unlock()
	gone, ok := a.queue.Room(caller, fairshare.Size{Count: 1}, fairshare.Size{Count: int(a.size)})
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

// countLocked stores the length of the queue in waiting, which can be read without mu.
func (a *admission) countLocked() { a.waiting.Store(int64(a.queue.Size().Count)) }

func (a *admission) fullError() error {
	return &problemError{kindOverloaded, fmt.Sprintf("%d calls wait for a place already", a.size)}
}

// dispatch gives free places to waiting calls, one call of each caller in turn. freed means that a call has just given
// its place back.
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

// leaveError returns the error of a call that has waited since began and ends with its context. Nothing was sent, so
// its outcome is known. If the deadline is over, the error is an overload if other calls were served meanwhile.
func (a *admission) leaveError(ctx context.Context, began time.Time) error {
	switch {
	case ctx.Err() == context.DeadlineExceeded && a.servedSince(began):
		return &problemError{kindOverloaded, "no place at the store before the deadline"}
	case ctx.Err() == context.DeadlineExceeded:
		return fmt.Errorf("%w: no place at the store before the deadline", session.ErrNoPrincipal)
	}
	return context.Cause(ctx)
}

// verdictOf returns the verdict of a call that was removed from the queue just before its context ended. If the call
// has got a place, it uses that place: the store sees that its context has ended.
func (a *admission) verdictOf(e *queuedCall) (placed bool, err error) {
	err = <-e.verdict
	return err == nil, err
}

// served reports whether a waiting call got a place within the last wait.
func (a *admission) served() bool {
	a.mu.Lock()
	defer a.mu.Unlock()
	return time.Since(a.lastServed) < a.wait
}

// servedSince reports whether a waiting call got a place after t.
func (a *admission) servedSince(t time.Time) bool {
	a.mu.Lock()
	defer a.mu.Unlock()
	return a.lastServed.After(t)
}

// withdraw takes a call out of the queue. It returns false if the call already has its verdict.
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
