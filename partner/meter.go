package partner

import (
	"context"
	"database/sql"
	"errors"
	"time"

	"github.com/mirrorstate/mirrorstate/partner/choose"
	"github.com/mirrorstate/mirrorstate/partner/classify"
	"github.com/mirrorstate/mirrorstate/partner/hold"
	"github.com/mirrorstate/mirrorstate/partner/link"
)

// Meter is told what became of calls, for metrics and traces. It is called on the calls' own
// goroutines, many at once: it must not block, and not keep errors or contexts.
type Meter interface {
	// Attempted is told of every attempt that has ended. ctx is the call's.
	Attempted(ctx context.Context, a AttemptEnd)
	// Held is told of every call that has left the hold, or was not let in. ctx is the call's.
	Held(ctx context.Context, h HoldEnd)
}

// AttemptEnd is how one attempt of one call ended.
type AttemptEnd struct {
	Label   string // the call's
	Partner choose.Name
	Epoch   int64 // 0 on a stock schema
	Number  int   // 1, 2, …; of an attempt that the breaker refused, that of the one before
	Resent  bool  // an earlier one may have been executed
	Began   time.Time
	Ended   time.Time
	Class   classify.Class // of Err
	Err     error          // nil: it was carried out
}

// outcomeDone is the outcome of an attempt that the server answered, with a refusal of the
// caller's wish or without.
const outcomeDone = "done"

// Outcomes are the words Outcome has, in a fixed order: done, and those of the classes.
func Outcomes() []string {
	all := []string{outcomeDone}
	for c := classify.Permanent; c <= classify.CallerGone; c++ {
		all = append(all, c.String())
	}
	return all
}

// OutcomeIndex is the place of the outcome in Outcomes. What the op made of the server's answer
// itself ("somebody else holds the lock") is done.
func (a AttemptEnd) OutcomeIndex() int {
	if a.Err == nil {
		return 0
	}
	if a.Class == classify.Permanent && !classify.FromServer(a.Err) && !errors.Is(a.Err, hold.ErrFull) {
		if _, atLogin := errors.AsType[*link.LoginError](a.Err); !atLogin {
			return 0
		}
	}
	return 1 + int(a.Class)
}

// Outcome is done, or the word of the class.
func (a AttemptEnd) Outcome() string {
	if i := a.OutcomeIndex(); i > 0 {
		return classify.Class(i - 1).String()
	}
	return outcomeDone
}

// HoldEnd is how a call left the hold.
type HoldEnd struct {
	Label   string // the call's
	Waited  time.Duration
	Outcome hold.Outcome
}

// PoolStats is what the connections to the principal are doing.
type PoolStats struct {
	Partner choose.Name // whose they are; empty: no partner serves, and all is zero
	sql.DBStats
	Queued  int64  // calls that wait for one now
	Evicted uint64 // calls that were turned away while they waited, to make room for a caller with fewer that wait; since the start
}

// Pool reads the statistics of the connections that calls run on. Each term of a principal has
// a pool of its own, so that counters begin anew after a failover.
func (p *Pair) Pool() PoolStats {
	s := PoolStats{Queued: p.queued.Load(), Evicted: p.queue.Evictions()}
	if t := p.hold.Serving(); t != nil {
		s.Partner, s.DBStats = t.Target.member.name, t.Target.pool.Stats()
	}
	return s
}
