package hold

import (
	"time"

	"github.com/mirrorstate/mirrorstate/shares"
)

// Config bounds the hold. Calls that carry a lock (Call.HoldsLock) have
// places and bytes of their own, as many again; so have reads and writes where
// writes wait while the mirror is away. Calls that were sent before have no bound.
type Config struct {
	Window time.Duration // longest time one call waits for a principal; default 30 s
	Size   int           // calls waiting at once; default 10,000
	Bytes  int64         // sum of Call.Bytes of those; default 64 MiB
}

// roomLocked makes room for a call in a lane, where another caller has more of it.
func (h *Hold[T]) makeRoomLocked(l *lane[T], c *Call) error {
	evicted, full, ok := makeRoom(&l.pool, &h.cfg, c)
	for _, part := range evicted {
		l.refuse(part.Value, full)
	}
	h.stats.Evicted += uint64(len(evicted))
	if !ok {
		return full
	}
	return nil
}

// makeRoom makes room for a call in a pool that has the hold's bounds. It returns the parts that must go, and the
// error for their callers. Where there is no room, that error is the call's own.
func makeRoom[P any](pool *shares.Pool[P], cfg *Config, c *Call) (evicted []*shares.Part[P], full error, ok bool) {
	more, limit := shares.Size{Count: 1, Bytes: c.Bytes}, shares.Size{Count: cfg.Size, Bytes: cfg.Bytes}
	switch short := pool.Short(more, limit); short {
	case shares.Enough:
		return nil, nil, true
	case shares.Count:
		full = &FullError{string(short), int64(cfg.Size)}
	default:
		full = &FullError{string(short), cfg.Bytes}
	}
	evicted, ok = pool.Room(c.Caller, more, limit)
	return evicted, full, ok
}
