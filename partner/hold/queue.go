package hold

import (
	"context"
	"sync"
	"sync/atomic"

	"github.com/mirrorstate/mirrorstate/fairshare"
)

// Queue is where calls wait for a connection while all connections are in use. It has the hold's bounds: a
// principal that hangs fills its pool before a probe notices. All methods may be called concurrently. While
// there are connections for all calls, a call changes one atomic counter.
type Queue struct {
	cfg   Config
	conns int64 // number of connections

	wanted  atomic.Int64  // calls that wait for a connection or have one
	evicted atomic.Uint64 // calls refused while they waited

	mu      sync.Mutex
	waiting [2]fairshare.Pool[*Place] // calls without a session's lock, then calls with one
}

// NewQueue returns a queue for conns connections.
func NewQueue(cfg Config, conns int) *Queue { return &Queue{cfg: cfg, conns: int64(conns)} }

// Evictions returns the number of calls refused while they waited, to make room for another caller.
func (q *Queue) Evictions() uint64 { return q.evicted.Load() }

// Size returns the number of calls that wait for a connection or have one. plain and locks are the calls that
// wait, without and with a session's lock.
func (q *Queue) Size() (wanted int64, plain, locks fairshare.Size) {
	q.mu.Lock()
	defer q.mu.Unlock()
	return q.wanted.Load(), q.waiting[0].Size(), q.waiting[1].Size()
}

// Place is a call's place in the queue. A nil Place means that the call need not wait.
type Place struct {
	queue *Queue
	pool  *fairshare.Pool[*Place]
	part  fairshare.Part[*Place]

	cancel  context.CancelCauseFunc // ends the wait of the call
	refused error                   // why the call was refused; nil if it was not
}

// Enter returns the Place of a call, or a *FullError. The call gives the Place back with Leave when it has a
// connection. The caller must call Done once for every Enter, even if Enter returns an error.
//
// If the queue is full, the newest calls of the caller with the most places are refused, and cancel ends their
// waits. A call that was sent before is never refused: there are never more of these than connections.
func (q *Queue) Enter(c *Call, sent bool, cancel context.CancelCauseFunc) (*Place, error) {
	if q.wanted.Add(1) <= q.conns {
		return nil, nil
	}
	pl := &Place{queue: q, pool: &q.waiting[0], cancel: cancel}
	pl.part.Value, pl.part.Bytes = pl, c.Bytes
	if c.HoldsLock {
		pl.pool = &q.waiting[1]
	}
	q.mu.Lock()
	defer q.mu.Unlock()
	if !sent && pl.pool.Size().Count > 0 { // a call larger than the bound may wait if it is the only one
		evicted, full, ok := makeRoom(pl.pool, &q.cfg, c)
		for _, part := range evicted {
			part.Value.refused = full
			part.Value.cancel(full)
		}
		q.evicted.Add(uint64(len(evicted)))
		if !ok {
			return nil, full
		}
	}
	pl.pool.Add(c.Caller, &pl.part)
	pl.pool.Pin(&pl.part, sent)
	return pl, nil
}

// Leave gives the Place back. It returns an error if the call was refused to make room for another.
func (pl *Place) Leave() error {
	if pl == nil {
		return nil
	}
	pl.queue.mu.Lock()
	defer pl.queue.mu.Unlock()
	pl.pool.Remove(&pl.part)
	return pl.refused
}

// Done records that the call has given its connection back, or no longer needs one.
func (q *Queue) Done() { q.wanted.Add(-1) }
