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

	"github.com/mirrorstate/mirrorstate/session"
	"github.com/mirrorstate/mirrorstate/shares"
)

// How often the head of a queue asks the store: at first, and at the least. Each
// pause is up to a quarter longer or shorter.
const (
	pollFirst = 5 * time.Millisecond
	pollLast  = 250 * time.Millisecond
)

// WaiterStats counts the callers that waited for a session's lock.
type WaiterStats struct {
	Waiting      int64  // now
	Total        uint64 // ever queued
	Polls        uint64 // tries by the heads of queues
	Woken        uint64 // tries because the session was released through this proxy
	Served       uint64 // left with an answer other than "locked"
	Expired      uint64 // left because their wait was over
	Left         uint64 // left because their caller had, or its deadline was over
	SessionLimit uint64 // turned away: too many for the session
	TotalLimit   uint64 // turned away: too many in all
	Evicted      uint64 // turned away while they waited, to make room for a caller with fewer
}

// waitKey names a session.
type waitKey struct {
	app string
	id  session.ID // folded
}

// waiters queues callers for locked sessions, first come first served. Of each
// session's queue only the head asks the store, from time to time, and at once
// when the session is released through this proxy. It starts no goroutine: every
// caller waits in its own.
//
// Both bounds, the session's and the one in all, have a turn for each caller: where a bound is met, the newest
// waiter of whoever has most is turned away, unless that is the one who asks. Who waits takes a
// mutex that all waiters share, once as it comes and once as it goes; nobody else does. Any number of goroutines may use it.
type waiters struct {
	perSession int
	total      int
	seed       maphash.Seed
	shards     [64]waitShard // so that sessions do not meet at one lock

	closing sync.Once
	closed  chan struct{} // closed by close

	mu   sync.Mutex // guards pool; taken within a shard's, if with one
	pool shares.Pool[*waiter]

	waiting                                        atomic.Int64 // what the pool has; written under mu
	queued, polls, woken, served                   atomic.Uint64
	expired, left, fullSession, fullTotal, evicted atomic.Uint64

	took prometheus.Histogram // time in a queue
}

type waitShard struct {
	mu     sync.Mutex
	queues map[waitKey]*waitQueue // owned by mu, queues included; none is empty
}

// waitQueue is the callers that wait for one session. Never empty.
type waitQueue struct {
	members []*waiter // in the order they came; the first polls
	age     time.Duration
	seen    time.Time // when age was the lock's
}

// waiter is one call in a queue.
type waiter struct {
	caller  string
	part    shares.Part[*waiter]
	signals atomic.Uint32 // what it was told
	wakeup  chan struct{} // holds a token if it was told something
}

// What a waiter is told.
const (
	isHead    = 1 << iota // it is the head
	mayBeFree             // the session may be free
	mustLeave             // it has to make room
)

// signal says something to a waiter.
func (me *waiter) signal(what uint32) {
	me.signals.Or(what)
	select {
	case me.wakeup <- struct{}{}:
	default: // it will see this, too
	}
}

// has says whether it was told something.
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

// await calls try until it answers anything but "locked", for at most wait. With
// nobody in the queue it tries at once; otherwise its turn comes after theirs.
// shared says that success leaves the session free for the next in the queue. look, if it is not nil, is called first by
// who finds others in the queue; its error is the answer.
// At the wait's end, and once close was called, the error is a *LockedError with
// the age last seen.
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
	defer func() { // also if try panics: the queue goes on
		w.took.Observe(time.Since(joined).Seconds())
		v.leave(free)
	}()
	err := v.queue(ctx)
	free = shared && err == nil || errors.Is(err, session.ErrNotFound)
	return err
}

// close ends all waiting, now and later: for when the server is to end.
func (w *waiters) close() { w.closing.Do(func() { close(w.closed) }) }

func (sh *waitShard) busy(key waitKey) bool {
	sh.mu.Lock()
	defer sh.mu.Unlock()
	return sh.queues[key] != nil
}

// queueing is one caller's time in a queue.
type queueing struct {
	w      *waiters
	sh     *waitShard
	key    waitKey
	caller string
	me     *waiter          // once it has joined
	over   <-chan time.Time // when the wait is over
	try    func(context.Context) error
}

// queue waits for the head's place, then polls from it.
func (v *queueing) queue(ctx context.Context) error {
	for !v.me.has(isHead | mustLeave) {
		if _, err := v.awaitSignal(ctx, nil); err != nil {
			return err
		}
	}
	return v.poll(ctx)
}

// awaitSignal waits until the waiter is told something, or due fires; the error is the end of the wait.
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

// poll is the head's part.
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

// join goes to the back of the queue, and makes one where there is none.
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
	if !w.enter(v.me) { // not if one has just gone: nobody goes for nothing
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

// room makes room in a session's queue, where another caller has more of it. Whoever has it already keeps some.
func (v *queueing) room(q *waitQueue) bool {
	var pool shares.Pool[*waiter]
	for _, m := range q.members {
		if !m.has(mustLeave) { // those are on their way out
			pool.Add(m.caller, &shares.Part[*waiter]{Value: m})
		}
	}
	gone, ok := pool.Room(v.caller, shares.Size{Count: 1}, shares.Size{Count: v.w.perSession})
	for _, part := range gone {
		v.w.exit(part.Value)
		v.w.evict(part.Value)
		q.remove(part.Value, false)
	}
	return ok
}

// enter counts a waiter, and makes room for it where another caller has more.
func (w *waiters) enter(me *waiter) bool {
	w.mu.Lock()
	defer w.mu.Unlock()
	gone, ok := w.pool.Room(me.caller, shares.Size{Count: 1}, shares.Size{Count: w.total})
	for _, part := range gone {
		w.evict(part.Value) // it goes out of its queue by itself
	}
	if ok {
		me.part.Value = me
		w.pool.Add(me.caller, &me.part)
	}
	w.waiting.Store(int64(w.pool.Size().Count))
	return ok
}

// evict tells a waiter that it has to make room.
func (w *waiters) evict(m *waiter) {
	w.evicted.Add(1)
	m.signal(mustLeave)
}

// exit counts a waiter no more.
func (w *waiters) exit(me *waiter) {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.pool.Remove(&me.part)
	w.waiting.Store(int64(w.pool.Size().Count))
}

// errEvicted is the answer to whoever had to make room.
var errEvicted = &problemError{kindOverloaded, "too many calls wait for locked sessions, and most of them are this caller's"}

// leave goes out of the queue, and says whether the session is free as far as it knows.
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

// remove takes a waiter out, if it is in. A head hands its place on.
func (q *waitQueue) remove(me *waiter, free bool) {
	i := slices.Index(q.members, me)
	if i < 0 {
		return
	}
	q.members = slices.Delete(q.members, i, i+1)
	if i == 0 && len(q.members) > 0 {
		next := q.members[0]
		next.signal(isHead)
		// What the head was told and did not use is for the next one.
		if free || me.has(mayBeFree) {
			next.signal(mayBeFree)
		}
	}
}

// wake tells the head of the session's queue to try now.
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

// sawLocked remembers the lock's age for those who never asked themselves.
func (v *queueing) sawLocked(age time.Duration) {
	v.sh.mu.Lock()
	defer v.sh.mu.Unlock()
	if q := v.sh.queues[v.key]; q != nil { // nil: this one had to go out of it meanwhile, and all others went
		q.age, q.seen = age, time.Now()
	}
}

// expire is the end of a wait: the lock's age as last seen, and the time since then.
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

// jitter is d, up to a quarter shorter or longer.
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
