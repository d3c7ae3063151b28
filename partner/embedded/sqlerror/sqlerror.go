package sqlerror

import (
	"errors"
	"fmt"

	"github.com/mirrorstate/mirrorstate/partner/embedded/tds"
	"github.com/mirrorstate/mirrorstate/partner/embedded/tsql"
)

// FatalClass is the lowest severity that ends a session.
const FatalClass = 20

// New returns an error with SQL Server's number and severity. Source of both: its list of engine events.
func New(number int32, class uint8, format string, args ...any) *tds.Error {
	return &tds.Error{Number: number, Class: class, State: 1, Message: fmt.Sprintf(format, args...)}
}

// ErrMirror is the error for a database that is a mirror (954).
func ErrMirror(database string) *tds.Error {
	return New(954, 14, `The database "%s" cannot be opened. It is acting as a mirror database.`, database)
}

// ErrNoQuorum is the error for the database of a principal that reaches neither mirror nor witness (955).
func ErrNoQuorum(database string) *tds.Error {
	return New(955, 14, `Database "%s" is enabled for Database Mirroring, but the database lacks quorum: the database cannot be opened. Check the partner and witness connections if configured.`, database)
}

// ErrKillState ends a session (596). Alone, it does not say whether the session's transaction was committed: the
// mirror may have it or not.
func ErrKillState() *tds.Error {
	return New(596, 21, "Cannot continue the execution because the session is in the kill state.")
}

// ErrNoWitness refuses a command that needs the witness (1431).
func ErrNoWitness(database string) *tds.Error {
	return New(1431, 16, `Neither the partner nor the witness server instance for database "%s" is available. Reissue the command when at least one of the instances becomes available.`, database)
}

// ErrNoDatabase is the error for a database that does not exist (911).
func ErrNoDatabase(name string) *tds.Error {
	return New(911, 16, "Database '%s' does not exist. Make sure that the name is entered correctly.", name)
}

// ErrKilled ends a session whose database was closed to it by a role change or a loss of quorum. The first error is the
// fatal one. .NET uses only the first error: ASP.NET retries after class 20 and above, and not after 954. The second
// error gives the reason. It also means that nothing was done.
func ErrKilled(why *tds.Error) tds.Errors { return tds.Errors{ErrKillState(), why} }

// ErrNoProcedure is the error for a procedure that does not exist (2812).
func ErrNoProcedure(name string) *tds.Error {
	e := New(2812, 16, "Could not find stored procedure '%s'.", name)
	e.State = 62
	return e
}

// NotSupported refuses a feature of SQL Server that this pair does not have (40510).
func NotSupported(format string, args ...any) *tds.Error {
	return New(40510, 16, format+" is not supported by the embedded partner.", args...)
}

// ErrOnlyPrincipal refuses ALTER DATABASE … SET PARTNER on a server that is not the principal (1470).
func ErrOnlyPrincipal(database string) *tds.Error {
	return New(1470, 16, `The alter database for this partner config values may only be initiated on the current principal server for database "%s".`, database)
}

// ErrNotConnected refuses a command for which the partners must be connected (1447).
func ErrNotConnected(database string) *tds.Error {
	return New(1447, 16, `ALTER DATABASE "%s" command cannot be executed until both partner server instances are up, running, and connected. Start the partner and reissue the command.`, database)
}

// ErrNotCaughtUp refuses a failover to a mirror that is not synchronized (1422).
func ErrNotCaughtUp(database string) *tds.Error {
	return New(1422, 16, `The mirror server instance is not caught up to the recent changes to database "%s". Unable to fail over.`, database)
}

// ErrSafetyOff refuses a failover without SAFETY FULL (1477).
func ErrSafetyOff(database string) *tds.Error {
	return New(1477, 16, `The database mirroring safety level must be FULL to manually failover database "%s". Set safety level to FULL and retry.`, database)
}

// ErrCannotForce refuses forced service on a copy that cannot serve, or whose principal serves (1455).
func ErrCannotForce(database string) *tds.Error {
	return New(1455, 16, `The database mirroring service cannot be forced for database "%s" because the database is not in the correct state to become the principal database.`, database)
}

// ErrUnsafeForce refuses forced service on a copy that is not usable (1406).
func ErrUnsafeForce(database string) *tds.Error {
	return New(1406, 16, `Unable to force service safely. Remove database mirroring and recover database "%s" to gain access.`, database)
}

// NoRoom is SQL Server's number for a full file group. SQL Server has 9002 for a full log; here data and log are
// in one file.
const NoRoom = 1105

// FromSQLite returns the SQL Server error for an error of SQLite, or err itself if there is none.
func FromSQLite(err error) error {
	if e := tsql.FromSQLite(err); e != nil {
		return FromTSQL(e)
	}
	return err
}

// AsWireError converts an error of package tsql to an error of package tds.
func AsWireError(err error) error {
	if e, ok := errors.AsType[*tsql.Error](err); ok {
		return FromTSQL(e)
	}
	return err
}

// FromTSQL converts an error of package tsql to an error of package tds.
func FromTSQL(e *tsql.Error) *tds.Error {
	return &tds.Error{Number: e.Number, State: e.State, Class: e.Class, Message: e.Message, Line: int32(e.Line)}
}
