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
}

// waitKey names a session.
type waitKey struct {
	app string
	id  session.ID // folded
}

// waiters queues callers for locked sessions, first come first served. Of each
// session's queue only the head asks the store, from time to time, and at once
// when the session is released through this proxy. It starts no goroutine: every
// caller waits in its own. Any number of goroutines may use it.
type waiters struct {
	perSession int
	total      int64
	seed       maphash.Seed
	shards     [64]waitShard // so that sessions do not meet at one lock

	closing sync.Once
	closed  chan struct{} // closed by close

	waiting                               atomic.Int64
	queued, polls, woken, served          atomic.Uint64
	expired, left, fullSession, fullTotal atomic.Uint64

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

// waiter is one caller in a queue.
type waiter struct {
	head chan struct{} // closed when it becomes the head
	wake chan struct{} // holds one token if the session may be free
}

func newWaiters(perSession, total int) *waiters {
	w := &waiters{perSession: perSession, total: int64(total), seed: maphash.MakeSeed(), closed: make(chan struct{}), took: newWaitTimes()}
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
// shared says that success leaves the session free for the next in the queue.
// At the wait's end, and once close was called, the error is a *LockedError with
// the age last seen.
func (w *waiters) await(ctx context.Context, key waitKey, wait time.Duration, shared bool, try func(context.Context) error) error {
	over := time.NewTimer(wait)
	defer over.Stop()
	v := visit{w: w, sh: w.shard(key), key: key, over: over.C, try: try}
	age := time.Duration(0)
	if !v.sh.busy(key) {
		err := try(ctx)
		if !errors.Is(err, session.ErrLocked) {
			return err
		}
		age = lockAge(err)
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

// visit is one caller's time in a queue.
type visit struct {
	w    *waiters
	sh   *waitShard
	key  waitKey
	me   *waiter
	over <-chan time.Time // when the wait is over
	try  func(context.Context) error
}

// queue waits for the head's place, then polls from it.
func (v *visit) queue(ctx context.Context) error {
	select {
	case <-v.me.head:
		return v.poll(ctx)
	case <-v.over:
		return v.expire()
	case <-v.w.closed:
		return v.expire()
	case <-ctx.Done():
		v.w.left.Add(1)
		return context.Cause(ctx)
	}
}

// poll is the head's part.
func (v *visit) poll(ctx context.Context) error {
	pause := pollFirst
	timer := time.NewTimer(jitter(pause))
	defer timer.Stop()
	for {
		select {
		case <-v.me.wake:
			v.w.woken.Add(1)
			pause = pollFirst
		case <-timer.C:
			pause = min(2*pause, pollLast)
		case <-v.over:
			return v.expire()
		case <-v.w.closed:
			return v.expire()
		case <-ctx.Done():
			v.w.left.Add(1)
			return context.Cause(ctx)
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
func (v *visit) join(age time.Duration) error {
	w := v.w
	if n := w.waiting.Add(1); n > w.total {
		w.waiting.Add(-1)
		w.fullTotal.Add(1)
		return &problemError{kindOverloaded, fmt.Sprintf("%d calls wait for locked sessions already", w.total)}
	}
	v.me = &waiter{head: make(chan struct{}), wake: make(chan struct{}, 1)}
	v.sh.mu.Lock()
	defer v.sh.mu.Unlock()
	q := v.sh.queues[v.key]
	switch {
	case q == nil:
		q = &waitQueue{age: age, seen: time.Now()}
		v.sh.queues[v.key] = q
		close(v.me.head)
	case len(q.members) >= w.perSession:
		w.waiting.Add(-1)
		w.fullSession.Add(1)
		return &problemError{kindOverloaded, fmt.Sprintf("%d calls wait for this session already", w.perSession)}
	}
	q.members = append(q.members, v.me)
	w.queued.Add(1)
	return nil
}

// leave goes out of the queue. A head hands its place on, and says whether the
// session is free as far as it knows.
func (v *visit) leave(free bool) {
	v.w.waiting.Add(-1)
	v.sh.mu.Lock()
	defer v.sh.mu.Unlock()
	q := v.sh.queues[v.key]
	i := slices.Index(q.members, v.me)
	q.members = slices.Delete(q.members, i, i+1)
	switch {
	case len(q.members) == 0:
		delete(v.sh.queues, v.key)
	case i == 0:
		next := q.members[0]
		close(next.head)
		// A token that the head was given and did not use is the next one's.
		if free || len(v.me.wake) > 0 {
			next.rouse()
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
		q.members[0].rouse()
	}
}

func (me *waiter) rouse() {
	select {
	case me.wake <- struct{}{}:
	default: // it has been told
	}
}

// sawLocked remembers the lock's age for those who never asked themselves.
func (v *visit) sawLocked(age time.Duration) {
	v.sh.mu.Lock()
	defer v.sh.mu.Unlock()
	q := v.sh.queues[v.key]
	q.age, q.seen = age, time.Now()
}

// expire is the end of a wait: the lock's age as last seen, and the time since then.
func (v *visit) expire() error {
	v.w.expired.Add(1)
	v.sh.mu.Lock()
	defer v.sh.mu.Unlock()
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
		SessionLimit: w.fullSession.Load(), TotalLimit: w.fullTotal.Load(),
	}
}
