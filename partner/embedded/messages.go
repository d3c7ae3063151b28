package embedded

import (
	"fmt"

	"github.com/mirrorstate/mirrorstate/partner/embedded/tds"
)

// DatabaseName is the database that a pair begins with where nobody names another.
const DatabaseName = "ASPState"

// fatalClass is the lowest severity that ends a session.
const fatalClass = 20

// message makes an error in SQL Server's words. Source of numbers and severities:
// its list of engine events.
func message(number int32, class uint8, format string, args ...any) *tds.Error {
	return &tds.Error{Number: number, Class: class, State: 1, Message: fmt.Sprintf(format, args...)}
}

// Refusals of the mirror.
func errMirror(database string) *tds.Error {
	return message(954, 14, `The database "%s" cannot be opened. It is acting as a mirror database.`, database)
}

// errNoQuorum refuses a principal's database that sees neither mirror nor witness.
func errNoQuorum(database string) *tds.Error {
	return message(955, 14, `Database "%s" is enabled for Database Mirroring, but the database lacks quorum: the database cannot be opened. Check the partner and witness connections if configured.`, database)
}

// errKillState ends a session. Alone, it says nothing about what the session was doing: the commit may be there,
// on the mirror, or not.
func errKillState() *tds.Error {
	return message(596, 21, "Cannot continue the execution because the session is in the kill state.")
}

// errNoWitness refuses what needs the witness.
func errNoWitness(database string) *tds.Error {
	return message(1431, 16, `Neither the partner nor the witness server instance for database "%s" is available. Reissue the command when at least one of the instances becomes available.`, database)
}

func errNoDatabase(name string) *tds.Error {
	return message(911, 16, "Database '%s' does not exist. Make sure that the name is entered correctly.", name)
}

// errKilled ends a session whose database has been closed to it, by a role change or for want of quorum. The first
// message is the fatal one, which is all that .NET looks at: ASP.NET tries again after class 20 and above, and not
// after 954. The second, for those who read on, says why, and so that nothing was done.
func errKilled(why *tds.Error) tds.Errors { return tds.Errors{errKillState(), why} }

func errNoProcedure(name string) *tds.Error {
	e := message(2812, 16, "Could not find stored procedure '%s'.", name)
	e.State = 62
	return e
}

// notSupported refuses what SQL Server has and this pair has not.
func notSupported(format string, args ...any) *tds.Error {
	return message(40510, 16, format+" is not supported by the embedded partner.", args...)
}

// Refusals of ALTER DATABASE … SET PARTNER.
func errOnlyPrincipal(database string) *tds.Error {
	return message(1470, 16, `The alter database for this partner config values may only be initiated on the current principal server for database "%s".`, database)
}

func errNotConnected(database string) *tds.Error {
	return message(1447, 16, `ALTER DATABASE "%s" command cannot be executed until both partner server instances are up, running, and connected. Start the partner and reissue the command.`, database)
}

func errNotCaughtUp(database string) *tds.Error {
	return message(1422, 16, `The mirror server instance is not caught up to the recent changes to database "%s". Unable to fail over.`, database)
}

func errSafetyOff(database string) *tds.Error {
	return message(1477, 16, `The database mirroring safety level must be FULL to manually failover database "%s". Set safety level to FULL and retry.`, database)
}

func errCannotForce(database string) *tds.Error {
	return message(1455, 16, `The database mirroring service cannot be forced for database "%s" because the database is not in the correct state to become the principal database.`, database)
}

func errUnsafeForce(database string) *tds.Error {
	return message(1406, 16, `Unable to force service safely. Remove database mirroring and recover database "%s" to gain access.`, database)
}
