package partner

import (
	"context"
	"database/sql"
	"time"

	"github.com/mirrorstate/mirrorstate/partner/choose"
)

// Call describes one call to Do. The zero value is an anonymous read.
type Call struct {
	Label     string // a constant for logs and errors, such as "acquire"; never an id
	Caller    string // for whom the call is made; each caller gets a share of the hold's bounds
	HoldsLock bool   // its caller holds a session's lock: the call has places of its own and is released first
	Bytes     int64  // size of its item: memory that the call keeps while it waits, and bytes that an attempt must send
	Write     bool   // the call may change data; without an answer its outcome is unknown
}

// Attempt is one attempt of one call. It is valid until the op returns. The op must not close or keep Conn.
// Times are in UTC, by the clock of the partner. Since that clock is known only approximately, they are the
// earliest possible.
type Attempt struct {
	Partner   choose.Name // where the attempt runs
	Conn      *sql.Conn   // checked out for this attempt; its database is Config.Database
	Epoch     int64       // for the extended procedures; 0 on a stock schema
	Extended  bool        // the database has the mirrorstate extension: it has an epoch row
	Number    int         // 1, 2, …
	Resent    bool        // an earlier attempt may have been executed
	Sent      time.Time   // when this attempt was sent
	FirstSent time.Time   // when the first attempt that may have been executed was sent, by the clock of either partner; equal to Sent unless Resent
	NotAfter  time.Time   // the deadline of this attempt

	pair *Pair
	term *term
}

// Earliest returns the earliest time (UTC) that the partner's clock can have shown at t. If t is before the
// partner became principal, the clocks of both partners count. So everything executed after t has a later date in
// the database. For an Attempt that a test made without a pair, it returns t.
func (a *Attempt) Earliest(t time.Time) time.Time {
	switch {
	case a.pair == nil:
		return t.UTC()
	case t.After(a.term.began):
		return a.term.member.clock.Load().earliest(t)
	}
	return a.pair.earliest(t)
}

// ClockWait returns how long to wait until Earliest(time.Now()) is certainly later than what the partner's
// clock shows now. It is twice the uncertainty of that clock.
func (a *Attempt) ClockWait() time.Duration {
	if a.pair == nil {
		return 0
	}
	return 2 * a.term.member.clock.Load().maxError(time.Now())
}

// Op is one statement or procedure call on a.Conn, under ctx. It may run several times, but never twice at
// once. It must wrap the driver's errors with %w, so that they can be classified.
type Op func(ctx context.Context, a *Attempt) error
