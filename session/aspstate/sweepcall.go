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

// resultOthers is the Result of a sweep whose caller does not have the lease.
const resultOthers = 9

// The ways to sweep, as they are reported.
const (
	sweepExtended  = "MirrorState_Sweep_1"
	sweepStatement = "DELETE in batches"
	// SweepProcedure is .NET's own procedure, which does not return how many sessions it deleted.
	SweepProcedure = "DeleteExpiredSessions"
)

// errNoPermission is SQL Server's number for a missing right.
const errNoPermission = 229

// sweepText deletes expired rows of a stock ASPState, the oldest first, as MirrorState_Sweep_1 does. It needs the rights
// DELETE and SELECT on the table, which EXECUTE on the procedures does not include.
//
// The hints, and what would happen without them:
//
//	ROWLOCK            rows are locked one by one; a page lock would block live calls on the sessions beside them.
//	                   With more than about 5,000 locks SQL Server would lock the whole table, so @limit is smaller.
//	READPAST           a row that a live call has locked is skipped; the sweep would wait for it and hold the rows that it
//	                   has locked before, and other live calls would wait for those.
//	READCOMMITTEDLOCK  with READ_COMMITTED_SNAPSHOT ON, READPAST is refused without it.
//
// A row may be renewed between the inner SELECT, which takes no update lock, and the DELETE. So the DELETE checks Expires
// and the lock again, under its own row lock.
const sweepText = `DELETE TOP (@limit) FROM dbo.ASPStateTempSessions WITH (ROWLOCK, READPAST, READCOMMITTEDLOCK) ` +
	`WHERE SessionId IN (SELECT TOP (@limit) x.SessionId FROM dbo.ASPStateTempSessions AS x WITH (READPAST, READCOMMITTEDLOCK) ` +
	`WHERE x.Expires < GETUTCDATE() AND (x.Locked = 0 OR x.LockDate <= DATEADD(second, -@abandoned, GETUTCDATE())) ORDER BY x.Expires) ` +
	`AND Expires < GETUTCDATE() AND (Locked = 0 OR LockDate <= DATEADD(second, -@abandoned, GETUTCDATE())); ` +
	`SELECT @@ROWCOUNT AS Deleted`

// oldestText returns how long ago the oldest expired session expired, in seconds; NULL: there is none. With READPAST
// it waits for no live call; READCOMMITTEDLOCK allows READPAST with READ_COMMITTED_SNAPSHOT ON.
const oldestText = `SELECT DATEDIFF(second, MIN(Expires), GETUTCDATE()) AS Oldest FROM dbo.ASPStateTempSessions ` +
	`WITH (READPAST, READCOMMITTEDLOCK) WHERE Expires < GETUTCDATE()`

// sweepAsk describes one batch.
type sweepAsk struct {
	owner     session.OperationID // of the lease; zero: sweep without the lease
	lease     time.Duration
	limit     int // rows; 0: only the lease
	abandoned time.Duration
	method    string // how a stock schema was last swept, for a request that sweeps nothing; empty: not yet
}

// sweepAnswer is the result of a batch.
type sweepAnswer struct {
	method      string
	leads       bool
	deleted     int
	all         bool          // the batch deleted all expired rows
	abandoned   int           // deleted rows with an abandoned lock
	oldest      time.Duration // how long before the batch the oldest session had expired; 0: no session had
	lastRun     time.Time     // when the fleet last swept; zero: never, or not known
	deletedEver int64         // rows deleted by the fleet so far; 0 on a stock schema
	sinceRun    time.Duration // time since lastRun, by the database's clock; negative: that clock was set back
}

// sweepBatch runs one batch on the principal.
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

// readSwept reads the row of MirrorState_Sweep_1.
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
	// number runs a query with one row of one number, or NULL.
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

// sweepOnStock deletes a batch, or calls .NET's procedure if the login may not delete rows itself. A stock schema has no
// lease: every proxy sweeps, which does no harm.
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

// sweepBatch deletes a batch if there is something to delete.
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

// wrap returns err with a description of what was being done; nil for nil.
func wrap(err error, format string, args ...any) error {
	if err == nil {
		return nil
	}
	return fmt.Errorf(format+": %w", append(args, err)...)
}
