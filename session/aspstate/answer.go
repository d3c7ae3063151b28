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

// answer is the row that a procedure of the extended schema returns.
type answer struct {
	result      int64
	lockCookie  sql.Null[int64]
	lockAge     sql.Null[int64] // in seconds
	timeout     sql.Null[int64]
	expires     sql.Null[time.Time]
	created     sql.Null[time.Time]
	locked      sql.Null[bool]
	newest      []byte // OperationId1
	actionFlags sql.Null[int64]
	item        []byte
}

// callExtended calls a procedure for sessions and reads its answer.
func callExtended(ctx context.Context, c *call, procedure string, args ...driver.NamedValue) (answer, error) {
	a, err := lastRow(ctx, c.Attempt, procedure, args, readAnswer)
	if err != nil {
		return answer{}, err
	}
	return a, a.err(c.Partner)
}

// readAnswer reads an answer from its row.
func readAnswer(r *row) answer {
	return answer{
		result: next[int64](r).V, lockCookie: next[int64](r), lockAge: next[int64](r), timeout: next[int64](r),
		expires: next[time.Time](r), created: next[time.Time](r), locked: next[bool](r),
		newest: next[[]byte](r).V, actionFlags: next[int64](r), item: next[[]byte](r).V,
	}
}

// earlierVersion adds advice to an error that means that an earlier version of mirrorstate installed the extension: a
// procedure (2812), a parameter (8144, 8145) or a default (201) is missing.
func earlierVersion(err error) error {
	switch errorNumber(err) {
	case 201, 2812, 8144, 8145:
		return fmt.Errorf("the extension is of an earlier version; run mirrorstate install: %w", err)
	}
	return err
}

// err returns the error that the result means: one of package session for the caller, or one that makes the pair send
// the call again.
func (a *answer) err(p partner.Name) error {
	switch a.result {
	case resultDone, resultMade:
		return nil
	case resultNotFound:
		return session.ErrNotFound
	case resultLocked:
		return &session.LockedError{Age: time.Duration(max(0, a.lockAge.V)) * time.Second, Version: a.tag()}
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
	return fmt.Errorf("unknown result %d from %s; is a newer mirrorstate installed there?", a.result, p)
}

// session returns the answer as a session.
func (a *answer) session() session.Session {
	out := session.Session{
		Item:          a.item,
		Timeout:       int(a.timeout.V),
		Uninitialized: a.actionFlags.V&1 != 0,
		Made:          a.result == resultMade,
	}
	if out.Timeout < 0 { // in seconds
		out.Timeout, out.Seconds = session.SplitTimeout(0, -out.Timeout)
	}
	if a.expires.Valid {
		out.Expires = a.expires.V.UTC()
	}
	out.Tag = a.tag()
	return out
}

// tag returns the session's version; empty: there is no session.
func (a *answer) tag() session.Tag {
	if !a.created.Valid {
		return ""
	}
	return version{created: a.created.V, cookie: int32(a.lockCookie.V), locked: a.locked.V, newest: a.newest}.tag()
}

// stored returns the answer to a write of operation op. Its tag is made with op as the newest operation. If an attempt
// is sent again, other callers may have stored since. With the tag of their version, this caller could overwrite an item
// that it never saw.
func (a *answer) stored(op session.OperationID) session.Session {
	a.newest = op[:]
	return a.session()
}
