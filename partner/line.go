package partner

import (
	"context"
	"sync"
	"sync/atomic"

	"github.com/mirrorstate/mirrorstate/shares"
)

// line is where calls wait for a connection, once more want one than there are. It has the hold's
// bounds: a principal that hangs fills its pool before anybody knows that it hangs. While there are
// connections for all, a call touches one counter.
type line struct {
	cfg   HoldConfig
	conns int64 // how many connections there are

	wanted  atomic.Int64 // calls that want a connection, or have one
	evicted atomic.Uint64

	mu      sync.Mutex
	waiting [2]shares.Pool[*place] // those who carry a lock are in the second
}

// newLine returns a line before conns connections.
func newLine(cfg HoldConfig, conns int) *line { return &line{cfg: cfg, conns: int64(conns)} }

// evictions returns how many calls were refused while they waited, to make room for another caller.
func (l *line) evictions() uint64 { return l.evicted.Load() }

// size returns how many calls want a connection or have one, and how much waits: calls that carry no lock, and calls that carry one.
func (l *line) size() (wanted int64, plain, locks shares.Size) {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.wanted.Load(), l.waiting[0].Size(), l.waiting[1].Size()
}

// place is what a call has of the line; nil: it needs none.
type place struct {
	l    *line
	pool *shares.Pool[*place]
	part shares.Part[*place]

	cancel  context.CancelCauseFunc // ends the waiting
	refused error                   // why it had to go
}

// enter gives a call its place, which it leaves when it has its connection; done ends what enter began, whatever
// it answers. Where there is no place, the newest calls of whoever has most make room: cancel ends their waiting.
// sent calls are not refused, and stay: there are no more of them than connections.
func (l *line) enter(c *heldCall, sent bool, cancel context.CancelCauseFunc) (*place, error) {
	if l.wanted.Add(1) <= l.conns {
		return nil, nil
	}
	pl := &place{l: l, pool: &l.waiting[0], cancel: cancel}
	pl.part.Value, pl.part.Bytes = pl, c.Bytes
	if c.HoldsLock {
		pl.pool = &l.waiting[1]
	}
	l.mu.Lock()
	defer l.mu.Unlock()
	if !sent && pl.pool.Size().Count > 0 { // an item larger than the bound waits alone
		gone, full, ok := makeRoom(pl.pool, &l.cfg, c)
		for _, part := range gone {
			part.Value.refused = full
			part.Value.cancel(full)
		}
		l.evicted.Add(uint64(len(gone)))
		if !ok {
			return nil, full
		}
	}
	pl.pool.Add(c.Caller, &pl.part)
	pl.pool.Pin(&pl.part, sent)
	return pl, nil
}

// leave gives the place back. Where it was taken already, to make room, it says why.
func (pl *place) leave() error {
	if pl == nil {
		return nil
	}
	pl.l.mu.Lock()
	defer pl.l.mu.Unlock()
	pl.pool.Remove(&pl.part)
	return pl.refused
}

// done says that the call has given its connection back, or wants none.
func (l *line) done() { l.wanted.Add(-1) }
