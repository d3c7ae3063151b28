package proxy

import (
	"context"
	"errors"
	"fmt"
	"hash/maphash"
	"math/rand/v2"
	"slices"
	"sync"
	"sync/atomic"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"github.com/mirrorstate/mirrorstate/fairshare"
	"github.com/mirrorstate/mirrorstate/session"
)

// The first and the longest pause between two tries by the head of a queue. Each pause is up to a quarter longer or
// shorter.
const (
	pollFirst = 5 * time.Millisecond
	pollLast  = 250 * time.Millisecond
)

// WaiterStats counts the calls that waited for a session's lock.
type WaiterStats struct {
	Waiting      int64  // now
	Total        uint64 // ever queued
	Polls        uint64 // tries by the heads of queues
	Woken        uint64 // tries because the lock was released through this proxy
	Served       uint64 // ended with an answer other than "locked"
	Expired      uint64 // ended because their wait was over
	Left         uint64 // ended because their caller left, or by their deadline
	SessionLimit uint64 // refused: too many for the session
	TotalLimit   uint64 // refused: too many in all
	Evicted      uint64 // refused while they waited, to make room for a caller with fewer calls
}

// waitKey names a session.
type waitKey struct {
	app string
	id  session.ID // folded
}

// waiters queues calls for locked sessions, first come first served. Only the head of each session's queue uses the
// store: from time to time, and at once when the lock is released through this proxy. waiters starts no goroutine:
// every call waits in its own.
//
// There is a bound for each session and one for all sessions together. Both are shared fairly between callers: if a
// bound is reached, the newest waiter of the caller with the most is refused, which may be the new call itself. A
// waiting call takes a mutex that all waiters share, once when it arrives and once when it leaves; other calls do not
// take it. Any number of goroutines may use waiters.
type waiters struct {
	perSession int
	total      int
	seed       maphash.Seed
	shards     [64]waitShard // so that sessions do not share one mutex

	closing sync.Once
	closed  chan struct{} // closed by close

	mu   sync.Mutex // guards pool; if both are held, a shard's mutex is taken first
	pool fairshare.Pool[*waiter]

	waiting                                        atomic.Int64 // the size of the pool; written under mu
	queued, polls, woken, served                   atomic.Uint64
	expired, left, fullSession, fullTotal, evicted atomic.Uint64

	took prometheus.Histogram // the time in a queue
}

type waitShard struct {
	mu     sync.Mutex
	queues map[waitKey]*waitQueue // owned by mu, and the queues too; no queue is empty
}

// waitQueue has the calls that wait for one session. It is never empty.
type waitQueue struct {
	members []*waiter // in the order of their arrival; the first polls
	age     time.Duration
	seen    time.Time // when the lock had that age
}

// waiter is one call in a queue.
type waiter struct {
	caller  string
	part    fairshare.Part[*waiter]
	signals atomic.Uint32 // the signals that it has received
	wakeup  chan struct{} // gets a value when there is a new signal
}

// The signals to a waiter.
const (
	isHead    = 1 << iota // the waiter is the head
	mayBeFree             // the session may be free
	mustLeave             // the waiter is evicted
)

// signal sends a signal to a waiter.
func (me *waiter) signal(what uint32) {
	me.signals.Or(what)
	select {
	case me.wakeup <- struct{}{}:
	default: // a value is there already: the waiter will see this signal too
	}
}

// has reports whether the waiter has received a signal.
func (me *waiter) has(what uint32) bool { return me.signals.Load()&what != 0 }

func newWaiters(perSession, total int) *waiters {
	w := &waiters{perSession: perSession, total: total, seed: maphash.MakeSeed(), closed: make(chan struct{}), took: newWaitTimes()}
	for i := range w.shards {
		w.shards[i].queues = make(map[waitKey]*waitQueue)
	}
	return w
}

func (w *waiters) shard(key waitKey) *waitShard {
	return &w.shards[maphash.Comparable(w.seed, key)%uint64(len(w.shards))]
}

// await calls try until it returns something other than "locked", for at most wait. If the queue is empty, it calls try
// at once; otherwise it waits for its turn. shared means that success leaves the session free for the next waiter. If
// look is not nil and there are other waiters, await calls look first, and returns its error. When the wait is over, or
// after close, the error is a *LockedError with the lock's last known age.
func (w *waiters) await(ctx context.Context, caller string, key waitKey, wait time.Duration, shared bool, look, try func(context.Context) error) error {
	over := time.NewTimer(wait)
	defer over.Stop()
	v := queueing{w: w, sh: w.shard(key), key: key, caller: caller, over: over.C, try: try}
	age := time.Duration(0)
	switch {
	case !v.sh.busy(key):
		err := try(ctx)
		if !errors.Is(err, session.ErrLocked) {
			return err
		}
		age = lockAge(err)
	case look != nil:
		if err := look(ctx); err != nil {
			return err
		}
	}
	if err := v.join(age); err != nil {
		return err
	}
	joined, free := time.Now(), false
	defer func() { // also if try panics: the queue must continue
		w.took.Observe(time.Since(joined).Seconds())
		v.leave(free)
	}()
	err := v.queue(ctx)
	free = shared && err == nil || errors.Is(err, session.ErrNotFound)
	return err
}

// close ends all waits, and later ones at once. It is called when the server is about to end.
func (w *waiters) close() { w.closing.Do(func() { close(w.closed) }) }

func (sh *waitShard) busy(key waitKey) bool {
	sh.mu.Lock()
	defer sh.mu.Unlock()
	return sh.queues[key] != nil
}

// queueing is one call's time in a queue.
type queueing struct {
	w      *waiters
	sh     *waitShard
	key    waitKey
	caller string
	me     *waiter          // nil until it has joined
	over   <-chan time.Time // when the wait is over
	try    func(context.Context) error
}

// queue waits until the call is the head, and then polls.
func (v *queueing) queue(ctx context.Context) error {
	for !v.me.has(isHead | mustLeave) {
		if _, err := v.awaitSignal(ctx, nil); err != nil {
			return err
		}
	}
	return v.poll(ctx)
}

// awaitSignal waits until the waiter gets a signal, or due fires. It returns an error if the wait has ended.
func (v *queueing) awaitSignal(ctx context.Context, due <-chan time.Time) (fired bool, err error) {
	select {
	case <-v.me.wakeup:
		return false, nil
	case <-due:
		return true, nil
	case <-v.over:
		return false, v.expire()
	case <-v.w.closed:
		return false, v.expire()
	case <-ctx.Done():
		v.w.left.Add(1)
		return false, context.Cause(ctx)
	}
}

// poll calls try from time to time, and when the session may be free. Only the head of a queue calls it.
func (v *queueing) poll(ctx context.Context) error {
	pause := pollFirst
	timer := time.NewTimer(jitter(pause))
	defer timer.Stop()
	for {
		for !v.me.has(mayBeFree | mustLeave) {
			due, err := v.awaitSignal(ctx, timer.C)
			if err != nil {
				return err
			}
			if due {
				pause = min(2*pause, pollLast)
				break
			}
		}
		if v.me.has(mustLeave) {
			return errEvicted
		}
		if v.me.signals.And(^uint32(mayBeFree))&mayBeFree != 0 {
			v.w.woken.Add(1)
			pause = pollFirst
		}
		v.w.polls.Add(1)
		err := v.try(ctx)
		if !errors.Is(err, session.ErrLocked) {
			v.w.served.Add(1)
			return err
		}
		v.sawLocked(lockAge(err))
		timer.Reset(jitter(pause))
	}
}

// join adds the call to the end of the queue, and makes the queue if there is none.
func (v *queueing) join(age time.Duration) error {
	w := v.w
	v.me = &waiter{caller: v.caller, wakeup: make(chan struct{}, 1)}
	v.sh.mu.Lock()
	defer v.sh.mu.Unlock()
	q := v.sh.queues[v.key]
	if q != nil && len(q.members) >= w.perSession && !v.room(q) {
		w.fullSession.Add(1)
		return &problemError{kindOverloaded, fmt.Sprintf("%d calls wait for this session already", w.perSession)}
	}
	if !w.enter(v.me) { // cannot fail after room has evicted a waiter, so no waiter is evicted for nothing
		w.fullTotal.Add(1)
		return &problemError{kindOverloaded, fmt.Sprintf("%d calls wait for locked sessions already", w.total)}
	}
	if q == nil {
		q = &waitQueue{age: age, seen: time.Now()}
		v.sh.queues[v.key] = q
		v.me.signals.Or(isHead)
	}
	q.members = append(q.members, v.me)
	w.queued.Add(1)
	return nil
}

// room makes room in a session's queue by evicting a waiter of a caller that has more calls in it. It returns false if
// there is no such caller.
func (v *queueing) room(q *waitQueue) bool {
	var pool fairshare.Pool[*waiter]
	for _, m := range q.members {
		if !m.has(mustLeave) { // evicted waiters are about to leave
			pool.Add(m.caller, &fairshare.Part[*waiter]{Value: m})
		}
	}
	gone, ok := pool.Room(v.caller, fairshare.Size{Count: 1}, fairshare.Size{Count: v.w.perSession})
	for _, part := range gone {
		v.w.exit(part.Value)
		v.w.evict(part.Value)
		q.remove(part.Value, false)
	}
	return ok
}

// enter counts a waiter in the bound for all sessions. If that is reached, it evicts a waiter of a caller that has more,
// or returns false.
func (w *waiters) enter(me *waiter) bool {
	w.mu.Lock()
	defer w.mu.Unlock()
	gone, ok := w.pool.Room(me.caller, fairshare.Size{Count: 1}, fairshare.Size{Count: w.total})
	for _, part := range gone {
		w.evict(part.Value) // it leaves its queue by itself
	}
	if ok {
		me.part.Value = me
		w.pool.Add(me.caller, &me.part)
	}
	w.waiting.Store(int64(w.pool.Size().Count))
	return ok
}

// evict sends a waiter the signal to leave.
func (w *waiters) evict(m *waiter) {
	w.evicted.Add(1)
	m.signal(mustLeave)
}

// exit removes a waiter from the bound for all sessions.
func (w *waiters) exit(me *waiter) {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.pool.Remove(&me.part)
	w.waiting.Store(int64(w.pool.Size().Count))
}

// errEvicted is the answer to an evicted call.
var errEvicted = &problemError{kindOverloaded, "too many calls wait for locked sessions, most of them from this caller"}

// leave removes the call from the queue. free means that the session is not locked, as far as the call knows.
func (v *queueing) leave(free bool) {
	v.w.exit(v.me)
	v.sh.mu.Lock()
	defer v.sh.mu.Unlock()
	if q := v.sh.queues[v.key]; q != nil {
		if q.remove(v.me, free); len(q.members) == 0 {
			delete(v.sh.queues, v.key)
		}
	}
}

// remove removes a waiter if it is in the queue. If it is the head, the next waiter becomes the head.
func (q *waitQueue) remove(me *waiter, free bool) {
	i := slices.Index(q.members, me)
	if i < 0 {
		return
	}
	q.members = slices.Delete(q.members, i, i+1)
	if i == 0 && len(q.members) > 0 {
		next := q.members[0]
		next.signal(isHead)
		// If the head has not used its signal that the session may be free, the next waiter gets it.
		if free || me.has(mayBeFree) {
			next.signal(mayBeFree)
		}
	}
}

// wake makes the head of the session's queue try now.
func (w *waiters) wake(key waitKey) {
	if w.waiting.Load() == 0 { // the usual case, without a lock
		return
	}
	sh := w.shard(key)
	sh.mu.Lock()
	defer sh.mu.Unlock()
	if q := sh.queues[key]; q != nil {
		q.members[0].signal(mayBeFree)
	}
}

// sawLocked records the lock's age, for waiters that have not used the store.
func (v *queueing) sawLocked(age time.Duration) {
	v.sh.mu.Lock()
	defer v.sh.mu.Unlock()
	if q := v.sh.queues[v.key]; q != nil { // nil: this waiter was evicted meanwhile, and all others have left
		q.age, q.seen = age, time.Now()
	}
}

// expire returns the error of a wait that is over: the lock's last known age, plus the time since then.
func (v *queueing) expire() error {
	v.sh.mu.Lock()
	defer v.sh.mu.Unlock()
	if v.me.has(mustLeave) {
		return errEvicted
	}
	v.w.expired.Add(1)
	q := v.sh.queues[v.key]
	return &session.LockedError{Age: (q.age + time.Since(q.seen)).Truncate(time.Second)}
}

func lockAge(err error) time.Duration {
	var locked *session.LockedError
	if errors.As(err, &locked) {
		return locked.Age
	}
	return 0
}

// jitter returns d, up to a quarter shorter or longer.
func jitter(d time.Duration) time.Duration {
	return d*3/4 + rand.N(d/2)
}

func (w *waiters) stats() WaiterStats {
	return WaiterStats{
		Waiting: w.waiting.Load(), Total: w.queued.Load(), Polls: w.polls.Load(), Woken: w.woken.Load(),
		Served: w.served.Load(), Expired: w.expired.Load(), Left: w.left.Load(),
		SessionLimit: w.fullSession.Load(), TotalLimit: w.fullTotal.Load(), Evicted: w.evicted.Load(),
	}
}
