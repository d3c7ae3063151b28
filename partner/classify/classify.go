package classify

import (
	"context"
	"database/sql"
	"database/sql/driver"
	"errors"
	"io"
	"net"

	mssql "github.com/microsoft/go-mssqldb"
	"github.com/sony/gobreaker/v2"
)

// Class says what an error means for where and whether a call may run again.
type Class int

// The classes. Which error belongs to which: sqlClasses and Classify.
const (
	Permanent  Class = iota // tell the caller
	Again                   // nothing was done; run it again on the same partner, a little later
	Moved                   // this partner is not the principal; nothing was done
	Down                    // the partner can't be reached; nothing was sent
	Wait                    // the database is between two states; nothing was done; run it when a probe says it serves
	Ambiguous               // sent, and no answer
	CallerGone              // the caller left
)

// String is the word used in logs and counters.
func (c Class) String() string {
	return [...]string{"permanent", "again", "moved", "down", "wait", "ambiguous", "caller-gone"}[c]
}

// Phase says how far an attempt had come when its error arose.
type Phase int

// The two phases.
const (
	Connecting Phase = iota // until a connection is checked out: nothing was sent
	Executing               // from then on: something may have been sent
)

// ErrPoolBusy: every connection of the pool stayed in use for the whole
// attempt. Nothing was sent, and nothing is said about the server's health.
var ErrPoolBusy = errors.New("no connection of the pool became free")

// sqlClasses are the server's numbers that mean more than "the statement
// failed". Sources: SQL Server's message list; who sees which on which side of
// a mirrored pair and of an availability group.
//
// A full file group or log (1101, 1105, 9002) is none of these: it is Permanent. The
// other partner does not take writes either, and room is made by people, not by
// asking again. Nothing was done, and the caller is told at once.
var sqlClasses = map[int32]Class{
	// Again: the server gave up on this statement, not on its role.
	1205: Again, 1204: Again, 1222: Again, 3960: Again, // deadlock, locks, lock time-out, snapshot conflict
	701: Again, 802: Again, 8628: Again, 8645: Again, 8651: Again, // memory
	17197: Again, 615: Again, // login time-out, database id changed under the statement
	10928: Again, 10929: Again, 40501: Again, 49918: Again, 49919: Again, 49920: Again, // throttling

	// Moved: this side does not have the database open, or not for writing.
	4060: Moved, 4063: Moved, 4064: Moved, // logins; the driver's own login gets 4063
	954: Moved, 927: Moved, 942: Moved, 945: Moved, 926: Moved,
	976: Moved, 978: Moved, 3906: Moved,

	// Wait: neither side serves just now, or this one is on its way.
	952: Wait, 955: Wait, 956: Wait, 921: Wait, 922: Wait, 941: Wait, 913: Wait,
	983: Wait, 988: Wait, 6005: Wait, 17142: Wait, 18401: Wait, 18451: Wait, 40613: Wait,

	// Ambiguous: the session was killed, or its statement cancelled, at a point nobody knows.
	596: Ambiguous, 3617: Ambiguous, 0: Ambiguous,
}

// rank orders the classes where one reply carries several errors: a mirror's
// 4060 comes with an 18456, and the former is the news.
var priority = [...]int{Again: 5, Moved: 4, Wait: 3, Ambiguous: 2, Permanent: 1, Down: 0, CallerGone: 0}

// Classify says what to do about an error that is not nil. It is pure: it looks
// at the error and the phase alone. A context error without more is the
// caller's leaving (Canceled) or silence (DeadlineExceeded); Do, who knows whose
// context ended, corrects the former. An error it knows nothing about is an
// answer the op made of what it read, and so Permanent.
func Classify(err error, phase Phase) Class {
	switch {
	case errors.Is(err, ErrMoved):
		return Moved
	case errors.Is(err, ErrLate), errors.Is(err, ErrPoolBusy):
		return Again
	case errors.Is(err, gobreaker.ErrOpenState), errors.Is(err, gobreaker.ErrTooManyRequests):
		return Down
	case errors.Is(err, context.Canceled):
		return CallerGone
	case errors.Is(err, context.DeadlineExceeded):
		return noAnswer(phase)
	}
	if e, ok := errors.AsType[mssql.Error](err); ok {
		return classifySQL(err, e, phase)
	}
	return classifyTransport(err, phase)
}

// Errors gives every error of one reply.
func Errors(e mssql.Error) []mssql.Error {
	if len(e.All) > 0 {
		return e.All
	}
	return []mssql.Error{e}
}

// silence is the class of no answer.
func noAnswer(phase Phase) Class {
	if phase == Connecting {
		return Down
	}
	return Ambiguous
}

// classifySQL scans every error of the reply: the driver reports the last one,
// and the telling one is often the first.
func classifySQL(err error, e mssql.Error, phase Phase) Class {
	best, known, fatal := Permanent, false, false
	if _, ok := errors.AsType[mssql.ServerError](err); ok {
		fatal = true
	}
	for _, one := range Errors(e) {
		fatal = fatal || one.Class >= 20
		if c, ok := sqlClasses[one.Number]; ok && (!known || priority[c] > priority[best]) {
			best, known = c, true
		}
	}
	switch {
	case known && best == Ambiguous, !known && fatal:
		return noAnswer(phase)
	default:
		return best
	}
}

// classifyTransport is for errors the server did not send.
func classifyTransport(err error, phase Phase) Class {
	if phase == Connecting {
		if isTLSError(err) {
			return Permanent // the same certificate will be shown again
		}
		return Down
	}
	if errors.Is(err, driver.ErrBadConn) {
		return Again // the request never left whole
	}
	if _, ok := errors.AsType[net.Error](err); ok {
		return Ambiguous
	}
	if _, ok := errors.AsType[mssql.StreamError](err); ok {
		return Ambiguous
	}
	if _, ok := errors.AsType[mssql.ServerError](err); ok {
		return Ambiguous
	}
	for _, silent := range []error{io.EOF, io.ErrUnexpectedEOF, io.ErrClosedPipe, net.ErrClosed, sql.ErrConnDone} {
		if errors.Is(err, silent) {
			return Ambiguous
		}
	}
	return Permanent
}

// isTLSRefusal finds certificate errors. The driver flattens those of the
// handshake inside TDS to text, hence the look at the words.
func isTLSError(err error) bool { return certificateAdvice(err) != "" }

// Fatal says whether a connection that brought this error must not be used
// again. The driver notices only some of these: an error of class 20 or above
// goes back to the pool unless the server also set a bit few servers set.
func Fatal(err error) bool {
	if e, ok := errors.AsType[mssql.Error](err); ok {
		for _, one := range Errors(e) {
			if one.Class >= 20 {
				return true
			}
		}
	}
	return Classify(err, Executing) == Ambiguous
}

// FromServer says whether the error is the server's word.
func FromServer(err error) bool {
	_, ok := errors.AsType[mssql.Error](err)
	return ok
}
