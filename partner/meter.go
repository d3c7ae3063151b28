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

// Meter receives the results of calls, for metrics and traces. Its methods are called concurrently, on the
// goroutines of the calls. They must not block, and must not keep errors or contexts.
type Meter interface {
	// Attempted is called after every attempt. ctx is the call's.
	Attempted(ctx context.Context, a AttemptEnd)
	// Held is called after every wait in the hold, and if the hold refused the call. ctx is the call's.
	Held(ctx context.Context, h HoldEnd)
}

// AttemptEnd is the result of one attempt.
type AttemptEnd struct {
	Label   string      // the call's
	Partner choose.Name // where it ran
	Epoch   int64       // 0 on a stock schema
	Number  int         // 1, 2, …; an attempt that the breaker refused has the number of the one before
	Resent  bool        // an earlier attempt may have been executed
	Began   time.Time   // by the clock of this process, as Ended
	Ended   time.Time
	Class   classify.Class // the class of Err
	Err     error          // nil if the attempt succeeded
}

// outcomeDone is the outcome of an attempt that the server answered, even if the op returned an error because of
// the answer.
const outcomeDone = "done"

// Outcomes returns all values of AttemptEnd.Outcome, in a fixed order: done, then the names of the classes.
func Outcomes() []string {
	all := []string{outcomeDone}
	for c := classify.Permanent; c <= classify.CallerGone; c++ {
		all = append(all, c.String())
	}
	return all
}

// OutcomeIndex returns the index of the outcome in Outcomes. If the op returned an error because of the answer,
// for example that another request holds the lock, the outcome is done.
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

// Outcome returns "done" or the name of the class.
func (a AttemptEnd) Outcome() string {
	if i := a.OutcomeIndex(); i > 0 {
		return classify.Class(i - 1).String()
	}
	return outcomeDone
}

// HoldEnd is how a wait in the hold ended.
type HoldEnd struct {
	Label   string        // the call's
	Waited  time.Duration // how long the call waited this time
	Outcome hold.Outcome  // why the wait ended
}

// PoolStats describes the connections to the principal.
type PoolStats struct {
	Partner choose.Name // the principal; empty if no partner serves, and then the rest is zero
	sql.DBStats
	Queued  int64  // calls that wait for a connection now
	Evicted uint64 // waiting calls refused since the start, to make room for a caller with fewer
}

// Pool returns the statistics of the connections that calls run on. Each term of a principal has its own pool,
// so its counters start again after a failover. Safe for concurrent use.
func (p *Pair) Pool() PoolStats {
	s := PoolStats{Queued: p.queued.Load(), Evicted: p.queue.Evictions()}
	if t := p.hold.Serving(); t != nil {
		s.Partner, s.DBStats = t.Target.member.name, t.Target.pool.Stats()
	}
	return s
}
