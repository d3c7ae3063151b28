package hold

import (
	"time"

	"github.com/mirrorstate/mirrorstate/fairshare"
)

// Config bounds the hold. Calls that hold a session's lock have places and bytes of their own, up to the same
// limits. If writes can wait for the mirror, reads and writes also have separate places. A call that may have
// been executed already is never refused, so such calls have no bound.
type Config struct {
	Window time.Duration // longest time that one call waits for a principal; default 30 s
	Size   int           // number of waiting calls; default 10,000
	Bytes  int64         // sum of Call.Bytes of the waiting calls; default 64 MiB
}

// makeRoomLocked makes room for the call c in the lane l. It refuses calls of a caller that has more of the
// lane. It returns an error if there is no room.
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

// makeRoom finds room for a call in a pool with the hold's bounds. It returns the parts to evict, and the error
// for their callers. If ok is false there is no room, and the error is for the call itself.
func makeRoom[P any](pool *fairshare.Pool[P], cfg *Config, c *Call) (evicted []*fairshare.Part[P], full error, ok bool) {
	more, limit := fairshare.Size{Count: 1, Bytes: c.Bytes}, fairshare.Size{Count: cfg.Size, Bytes: cfg.Bytes}
	switch short := pool.Short(more, limit); short {
	case fairshare.Enough:
		return nil, nil, true
	case fairshare.Count:
		full = &FullError{string(short), int64(cfg.Size)}
	default:
		full = &FullError{string(short), cfg.Bytes}
	}
	evicted, ok = pool.Room(c.Caller, more, limit)
	return evicted, full, ok
}
