package partner

import (
	"context"
	"database/sql"
	"time"

	"github.com/mirrorstate/mirrorstate/partner/choose"
)

// Call describes one call to Do.
type Call struct {
	Label     string // a constant for logs and errors, like "acquire"; never an id
	Caller    string // who it is for, where callers are told apart: each has its share of what is bounded
	HoldsLock bool   // its caller holds a session's lock: it waits in places of its own and drains first
	Bytes     int64  // its item's: memory the call keeps while it waits, and time that an attempt needs to send it
	Write     bool   // it may change data: unanswered, its outcome is unknown
}

// Attempt is one try of one call. It is valid until the op returns; the op must
// not close Conn, nor keep it.
type Attempt struct {
	Partner   choose.Name
	Conn      *sql.Conn // checked out for this attempt, its database is Config.Database
	Epoch     int64     // to be passed to the extended procedures; 0 on a stock schema
	Extended  bool      // the database has the mirrorstate extension (an epoch row was found)
	Number    int       // 1, 2, …
	Resent    bool      // an earlier attempt may have been executed
	Sent      time.Time // when this attempt was sent, on this partner's clock at the earliest (UTC)
	FirstSent time.Time // when the first attempt that may have been executed was sent (this one, unless Resent), on either partner's clock at the earliest (UTC)
	NotAfter  time.Time // this attempt's deadline, on this partner's clock at the earliest (UTC)

	pair *Pair
	term *term
}

// Earliest returns what the clock that dates what is executed showed at t at the least (UTC):
// this partner's, and before it became principal the other's too. What was executed since t is
// dated later. Without a pair (in tests) it is t.
func (a *Attempt) Earliest(t time.Time) time.Time {
	switch {
	case a.pair == nil:
		return t.UTC()
	case t.After(a.term.began):
		return a.term.member.clock.Load().earliest(t)
	}
	return a.pair.earliest(t)
}

// ClockWait returns how long to wait from now on until Earliest is certain to be later than
// what this partner's clock shows now: twice the error of what is known of it.
func (a *Attempt) ClockWait() time.Duration {
	if a.pair == nil {
		return 0
	}
	return 2 * a.term.member.clock.Load().maxError(time.Now())
}

// Op is one statement or procedure call on a.Conn, under ctx. It may be run
// several times, never twice at once, and returns the driver's errors wrapped
// with %w so that they can be classified.
type Op func(ctx context.Context, a *Attempt) error
