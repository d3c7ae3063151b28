package aspstate

import (
	"context"
	"database/sql"
	"fmt"
	"time"

	"github.com/mirrorstate/mirrorstate/partner"
	"github.com/mirrorstate/mirrorstate/session"
)

// The Result column of the procedures MirrorState_…_1; see schema/40-extension-sessions.sql.
const (
	resultDone         = 0
	resultNotFound     = 1
	resultLocked       = 2
	resultLockLost     = 3
	resultPrecondition = 4
	resultUnknown      = 5
	resultMoved        = 6
	resultAgain        = 7
	resultMade         = 8
)

// answer is the one row a procedure of the extended schema answers with.
type answer struct {
	result      int32
	lockCookie  sql.NullInt32
	lockAge     sql.NullInt32
	timeout     sql.NullInt32
	expires     sql.NullTime
	created     sql.NullTime
	locked      sql.NullBool
	newest      []byte // OperationId1
	actionFlags sql.NullInt32
	item        []byte
}

// callExtended calls a procedure of the session's verbs and reads its answer.
func callExtended(ctx context.Context, c *call, procedure string, args ...any) (a answer, err error) {
	err = lastRow(ctx, c.Attempt, procedure, args, func(rows *sql.Rows) error {
		a = answer{}
		return rows.Scan(&a.result, &a.lockCookie, &a.lockAge, &a.timeout, &a.expires, &a.created, &a.locked,
			&a.newest, &a.actionFlags, &a.item)
	})
	if err != nil {
		return answer{}, err
	}
	return a, a.err(c.Partner)
}

// lastRow calls a procedure of the extended schema and scans every row there is; the
// last one is the answer, which counts only once everything has been read, for OUTPUT
// rows are sent before the commit.
func lastRow(ctx context.Context, a *partner.Attempt, procedure string, args []any, scan func(rows *sql.Rows) error) error {
	rows, err := a.Conn.QueryContext(ctx, procedure, args...)
	if err != nil {
		return fmt.Errorf("call %s on %s: %w", procedure, a.Partner, earlierVersion(err))
	}
	defer rows.Close()
	got := false
	for more := true; more; more = rows.NextResultSet() {
		for rows.Next() {
			got = true
			if err := scan(rows); err != nil {
				return fmt.Errorf("read the answer of %s on %s: %w", procedure, a.Partner, err)
			}
		}
	}
	if err := rows.Err(); err != nil {
		return fmt.Errorf("read the answer of %s on %s: %w", procedure, a.Partner, earlierVersion(err))
	}
	if !got {
		return fmt.Errorf("%s on %s answered no row", procedure, a.Partner)
	}
	return nil
}

// earlierVersion says what to do about an extension that lacks a procedure (2812), or a parameter of
// one (8144, 8145): it was installed by an earlier version of mirrorstate.
func earlierVersion(err error) error {
	switch errorNumber(err) {
	case 2812, 8144, 8145:
		return fmt.Errorf("the extension is of an earlier version, run mirrorstate install: %w", err)
	}
	return err
}

// err is what a result means to the caller, or to the pair.
func (a *answer) err(p partner.Name) error {
	switch a.result {
	case resultDone, resultMade:
		return nil
	case resultNotFound:
		return session.ErrNotFound
	case resultLocked:
		return &session.LockedError{Age: time.Duration(max(0, a.lockAge.Int32)) * time.Second}
	case resultLockLost:
		return session.ErrLockLost
	case resultPrecondition:
		return session.ErrPrecondition
	case resultUnknown:
		return fmt.Errorf("%w: the session has seen more operations than it remembers", session.ErrOutcomeUnknown)
	case resultMoved:
		return partner.ErrMoved
	case resultAgain:
		return partner.ErrLate
	}
	return fmt.Errorf("result %d from %s is not one this version knows; is a newer mirrorstate installed there?", a.result, p)
}

// session is the answer in the domain's words.
func (a *answer) session() session.Session {
	out := session.Session{
		Item:          a.item,
		Timeout:       int(a.timeout.Int32),
		Uninitialized: a.actionFlags.Int32&1 != 0,
		Made:          a.result == resultMade,
	}
	if out.Timeout < 0 { // in seconds
		out.Timeout, out.Seconds = session.SplitTimeout(0, -out.Timeout)
	}
	if a.expires.Valid {
		out.Expires = a.expires.Time.UTC()
	}
	if a.created.Valid {
		out.Tag = version{created: a.created.Time, cookie: a.lockCookie.Int32, locked: a.locked.Bool, newest: a.newest}.tag()
	}
	return out
}

// stored is the answer to a write of operation op. Its version is one that this write
// was the newest operation of: an attempt that is sent again may find that others have
// stored since, and the tag of their version would let its caller overwrite what it never saw.
func (a *answer) stored(op session.OperationID) session.Session {
	a.newest = op[:]
	return a.session()
}
