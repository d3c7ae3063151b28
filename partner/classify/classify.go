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

// Class says what an error means for a call: whether it may run again, and on which partner.
type Class int

// The classes. sqlClasses and Classify say which error has which class.
const (
	Permanent  Class = iota // return the error to the caller
	Again                   // nothing was done; run the call again on the same partner, a little later
	Moved                   // this partner is not the principal; nothing was done
	Down                    // the partner cannot be reached; nothing was sent
	Wait                    // the database is changing its state; nothing was done; run the call again when a probe finds a principal
	Ambiguous               // the call was sent and not answered
	CallerGone              // the caller ended the call
)

// String returns the name used in logs and counters.
func (c Class) String() string {
	return [...]string{"permanent", "again", "moved", "down", "wait", "ambiguous", "caller-gone"}[c]
}

// Phase says how far an attempt had come when the error occurred.
type Phase int

// The phases.
const (
	Connecting Phase = iota // before a connection is checked out: nothing was sent
	Executing               // after that: something may have been sent
)

// ErrPoolBusy means that every connection of the pool was in use for the whole attempt. Nothing was sent. It
// says nothing about the health of the server.
var ErrPoolBusy = errors.New("no connection of the pool became free")

// sqlClasses has the class of each error number of SQL Server that is not Permanent. Sources: SQL Server's list of
// messages, and observations of both servers of a mirrored pair and of an availability group.
//
// A full file group or log (1101, 1105, 9002) is not in the list, so it is Permanent: the other partner cannot
// take writes either, and only an administrator can make room. Nothing was done, and the caller gets the error
// at once.
var sqlClasses = map[int32]Class{
	// Again: the server ended this statement, but is still the principal.
	1205: Again, 1204: Again, 1222: Again, 3960: Again, // deadlock, locks, lock timeout, snapshot conflict
	701: Again, 802: Again, 8628: Again, 8645: Again, 8651: Again, // memory
	17197: Again, 615: Again, // login timeout, database id changed under the statement
	10928: Again, 10929: Again, 40501: Again, 49918: Again, 49919: Again, 49920: Again, // throttling

	// Moved: the database is not open on this server, or not open for writing.
	4060: Moved, 4063: Moved, 4064: Moved, // login errors; the driver's login gets 4063
	954: Moved, 927: Moved, 942: Moved, 945: Moved, 926: Moved,
	976: Moved, 978: Moved, 3906: Moved,

	// Wait: neither server can serve now, or this one is still starting the database.
	952: Wait, 955: Wait, 956: Wait, 921: Wait, 922: Wait, 941: Wait, 913: Wait,
	983: Wait, 988: Wait, 6005: Wait, 17142: Wait, 18401: Wait, 18451: Wait, 40613: Wait,

	// Ambiguous: the session was killed, or its statement cancelled, at an unknown point.
	596: Ambiguous, 3617: Ambiguous, 0: Ambiguous,
}

// priority orders the classes of several errors in one reply. For example, a mirror's 4060 comes with an 18456,
// and 4060 is the one that counts.
var priority = [...]int{Again: 5, Moved: 4, Wait: 3, Ambiguous: 2, Permanent: 1, Down: 0, CallerGone: 0}

// Classify returns the class of err, which must not be nil. It is pure: it looks only at the error and the
// phase.
//
// A context.Canceled is CallerGone, and a context.DeadlineExceeded counts as no answer. partner.Pair.Do knows whose
// context ended, and corrects CallerGone. An unknown error is Permanent: the op made it from an answer that it
// read.
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

// Errors returns all errors of one reply, in the order in which the server sent them.
func Errors(e mssql.Error) []mssql.Error {
	if len(e.All) > 0 {
		return e.All
	}
	return []mssql.Error{e}
}

// noAnswer returns the class of a call without an answer.
func noAnswer(phase Phase) Class {
	if phase == Connecting {
		return Down
	}
	return Ambiguous
}

// classifySQL looks at every error of the reply. The driver reports the last one, and the important one is
// often the first.
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

// classifyTransport returns the class of an error that the server did not send.
func classifyTransport(err error, phase Phase) Class {
	if phase == Connecting {
		if isTLSError(err) {
			return Permanent // a retry would meet the same certificate
		}
		return Down
	}
	if errors.Is(err, driver.ErrBadConn) {
		return Again // the request was not sent completely
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

// isTLSError reports whether err is about a certificate or encryption. The driver turns the errors of a
// handshake within TDS into text, so the text is searched.
func isTLSError(err error) bool { return certificateAdvice(err) != "" }

// Fatal reports whether a connection that returned this error must not be used again. The driver does not
// notice all of these: it keeps a connection after an error of class 20 or above, unless the server also sets a
// status bit that few servers set.
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

// FromServer reports whether the server sent the error.
func FromServer(err error) bool {
	_, ok := errors.AsType[mssql.Error](err)
	return ok
}
