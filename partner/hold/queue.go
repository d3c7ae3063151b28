package hold

import (
	"context"
	"sync"
	"sync/atomic"

	"github.com/mirrorstate/mirrorstate/shares"
)

// Queue is where calls wait for a connection, once more want one than there are. It has the hold's
// bounds: a principal that hangs fills its pool before anybody knows that it hangs. While there are
// connections for all, a call touches one counter.
type Queue struct {
	cfg   Config
	conns int64 // how many connections there are

	wanted  atomic.Int64 // calls that want a connection, or have one
	evicted atomic.Uint64

	mu      sync.Mutex
	waiting [2]shares.Pool[*Place] // those who carry a lock are in the second
}

// NewQueue returns a line before conns connections.
func NewQueue(cfg Config, conns int) *Queue { return &Queue{cfg: cfg, conns: int64(conns)} }

// Evictions returns how many calls were refused while they waited, to make room for another caller.
func (q *Queue) Evictions() uint64 { return q.evicted.Load() }

// Size returns how many calls want a connection or have one, and how much waits: calls that carry no lock, and calls that carry one.
func (q *Queue) Size() (wanted int64, plain, locks shares.Size) {
	q.mu.Lock()
	defer q.mu.Unlock()
	return q.wanted.Load(), q.waiting[0].Size(), q.waiting[1].Size()
}

// Place is what a call has of the line; nil: it needs none.
type Place struct {
	queue *Queue
	pool  *shares.Pool[*Place]
	part  shares.Part[*Place]

	cancel  context.CancelCauseFunc // ends the waiting
	refused error                   // why it had to go
}

// Enter gives a call its Place, which it leaves when it has its connection; done ends what enter began, whatever
// it answers. Where there is no Place, the newest calls of whoever has most make room: cancel ends their waiting.
// sent calls are not refused, and stay: there are no more of them than connections.
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
	if !sent && pl.pool.Size().Count > 0 { // an item larger than the bound waits alone
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

// Leave gives the Place back. Where it was taken already, to make room, it says why.
func (pl *Place) Leave() error {
	if pl == nil {
		return nil
	}
	pl.queue.mu.Lock()
	defer pl.queue.mu.Unlock()
	pl.pool.Remove(&pl.part)
	return pl.refused
}

// Done says that the call has given its connection back, or wants none.
func (q *Queue) Done() { q.wanted.Add(-1) }
