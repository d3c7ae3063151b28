package aspstate

import (
	"context"
	"database/sql"
	"database/sql/driver"
	"fmt"
	"time"

	"github.com/mirrorstate/mirrorstate/partner"
	"github.com/mirrorstate/mirrorstate/session"
)

// resultOthers is the Result of a sweep whose caller has not got the lease.
const resultOthers = 9

// The ways to sweep, as they are reported.
const (
	sweepExtended  = "MirrorState_Sweep_1"
	sweepStatement = "DELETE in batches"
	// SweepProcedure is .NET's own, which does not tell how many it deleted.
	SweepProcedure = "DeleteExpiredSessions"
)

// errNoPermission is SQL Server's number for a right that is missing.
const errNoPermission = 229

// sweepText deletes expired rows of a stock ASPState, the oldest first, as MirrorState_Sweep_1
// does. It wants the right to DELETE and SELECT, which execute on the procedures does not give.
//
// Each hint, and what goes wrong without it:
//
//	ROWLOCK            rows are locked one by one; a page's lock would stop live calls on the sessions beside them.
//	                   Above some 5,000 locks in a statement it would become the table's all the same: @limit is smaller.
//	READPAST           a row that a live call has locked is passed over; the sweep would wait for it, with the rows that it
//	                   has locked before, and other live calls would queue behind those.
//	READCOMMITTEDLOCK  where READ_COMMITTED_SNAPSHOT is ON, READPAST is refused without it.
//
// The look within takes no update lock: a row may be renewed between it and the DELETE, which therefore
// asks for Expires and the lock again, under its own row lock.
const sweepText = `DELETE TOP (@limit) FROM dbo.ASPStateTempSessions WITH (ROWLOCK, READPAST, READCOMMITTEDLOCK) ` +
	`WHERE SessionId IN (SELECT TOP (@limit) x.SessionId FROM dbo.ASPStateTempSessions AS x WITH (READPAST, READCOMMITTEDLOCK) ` +
	`WHERE x.Expires < GETUTCDATE() AND (x.Locked = 0 OR x.LockDate <= DATEADD(second, -@abandoned, GETUTCDATE())) ORDER BY x.Expires) ` +
	`AND Expires < GETUTCDATE() AND (Locked = 0 OR LockDate <= DATEADD(second, -@abandoned, GETUTCDATE())); ` +
	`SELECT @@ROWCOUNT AS Deleted`

// oldestText is how long ago the oldest expired session has expired, in seconds; NULL: there is none. READPAST:
// the look waits for no live call; READCOMMITTEDLOCK lets READPAST be where READ_COMMITTED_SNAPSHOT is ON.
const oldestText = `SELECT DATEDIFF(second, MIN(Expires), GETUTCDATE()) AS Oldest FROM dbo.ASPStateTempSessions ` +
	`WITH (READPAST, READCOMMITTEDLOCK) WHERE Expires < GETUTCDATE()`

// sweepAsk is one batch.
type sweepAsk struct {
	owner     session.OperationID // zero: without the lease
	lease     time.Duration
	limit     int // rows; 0: only the lease
	abandoned time.Duration
	method    string // how a stock schema was swept last, for an ask that sweeps nothing; empty: not yet
}

// sweepAnswer is what became of it.
type sweepAnswer struct {
	method      string
	leads       bool
	deleted     int
	all         bool          // the procedure deletes all there is, in one call
	abandoned   int           // of them, whose lock nobody had given back
	oldest      time.Duration // how long ago the oldest had expired, before the batch; 0: none
	lastRun     time.Time     // of the fleet; zero: never, or not known
	deletedEver int64         // by the fleet; 0 on a stock schema
	sinceRun    time.Duration // since then, by the database's clock; negative: that was set back
}

// sweepBatch does one batch on the principal, wherever that is.
func (s *Store) sweepBatch(ctx context.Context, ask sweepAsk) (sweepAnswer, error) {
	return do(ctx, s.pair, partner.Call{Label: "sweep"}, func(ctx context.Context, a *partner.Attempt) (sweepAnswer, error) {
		if a.Extended {
			return sweepOnExtended(ctx, a, ask)
		}
		return sweepOnStock(ctx, stockConn{a}, ask)
	})
}

func sweepOnExtended(ctx context.Context, a *partner.Attempt, ask sweepAsk) (sweepAnswer, error) {
	owner := ask.owner[:]
	if ask.owner.IsZero() {
		owner = nil
	}
	args := []driver.NamedValue{arg("epoch", a.Epoch), arg("notAfter", a.NotAfter), arg("owner", owner),
		arg("lease", int32(ask.lease/time.Second)), arg("limit", int32(ask.limit)), arg("abandoned", int32(ask.abandoned/time.Second))}
	s, err := lastRow(ctx, a, "dbo."+sweepExtended, args, readSwept)
	if err != nil || s.result == resultOthers {
		return s.sweepAnswer, err
	}
	s.leads = true
	return s.sweepAnswer, (&answer{result: s.result}).err(a.Partner)
}

// swept is a row of MirrorState_Sweep_1.
type swept struct {
	sweepAnswer
	result int64
}

// readSwept reads the one row of MirrorState_Sweep_1.
func readSwept(r *row) (s swept) {
	s.method, s.result = sweepExtended, next[int64](r).V
	s.deleted, s.abandoned = int(next[int64](r).V), int(next[int64](r).V)
	s.oldest = seconds(next[int64](r).V)
	if lastRun := next[time.Time](r); lastRun.Valid {
		s.lastRun = lastRun.V.UTC()
	}
	s.deletedEver = next[int64](r).V
	s.sinceRun = time.Duration(next[int64](r).V) * time.Second
	return s
}

func seconds(n int64) time.Duration { return time.Duration(max(0, n)) * time.Second }

// stockServer is what sweepOnStock needs of a server.
type stockServer interface {
	// number runs a query whose one row has one number, or NULL.
	number(ctx context.Context, text string, args ...any) (sql.NullInt64, error)
	// call runs a procedure without arguments.
	call(ctx context.Context, procedure string) error
}

// stockConn is one attempt's connection as a stockServer.
type stockConn struct{ *partner.Attempt }

func (c stockConn) number(ctx context.Context, text string, args ...any) (n sql.NullInt64, err error) {
	err = c.Conn.QueryRowContext(ctx, text, args...).Scan(&n)
	return n, wrap(err, "sweep expired sessions on %s", c.Partner)
}

func (c stockConn) call(ctx context.Context, procedure string) error {
	_, err := c.Conn.ExecContext(ctx, procedure)
	return wrap(err, "call %s on %s", procedure, c.Partner)
}

// sweepOnStock sweeps as the login's rights allow. There is no lease: every proxy sweeps, which
// does no harm.
func sweepOnStock(ctx context.Context, c stockServer, ask sweepAsk) (out sweepAnswer, err error) {
	out = sweepAnswer{method: ask.method, leads: true}
	if ask.limit == 0 {
		return out, nil
	}
	out.method = sweepStatement
	if err = out.sweepBatch(ctx, c, ask); errorNumber(err) != errNoPermission {
		return out, err
	}
	out.method, out.all = SweepProcedure, true
	return out, c.call(ctx, "dbo."+SweepProcedure)
}

// sweepBatch deletes a batch where there is something to delete.
func (out *sweepAnswer) sweepBatch(ctx context.Context, c stockServer, ask sweepAsk) error {
	oldest, err := c.number(ctx, oldestText)
	if err != nil || !oldest.Valid {
		return err
	}
	out.oldest = seconds(oldest.Int64)
	deleted, err := c.number(ctx, sweepText, sql.Named("limit", ask.limit), sql.Named("abandoned", int(ask.abandoned/time.Second)))
	out.deleted = int(deleted.Int64)
	return err
}

// wrap says what was being done, if something went wrong.
func wrap(err error, format string, args ...any) error {
	if err == nil {
		return nil
	}
	return fmt.Errorf(format+": %w", append(args, err)...)
}
