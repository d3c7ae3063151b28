package aspstate

import (
	"errors"
	"fmt"

	mssql "github.com/microsoft/go-mssqldb"
)

// errorNumbers are SQL Server's numbers of an error in the order in which they came: first the cause, then what came of
// it. The driver's error itself has the last one.
func errorNumbers(err error) (numbers []int32) {
	if e, ok := errors.AsType[mssql.Error](err); ok && len(e.All) > 0 {
		for _, one := range e.All {
			numbers = append(numbers, one.Number)
		}
		return numbers
	}
	if n := errorNumber(err); n != 0 {
		numbers = append(numbers, n)
	}
	return numbers
}

// errorNumber is SQL Server's number of an error; 0: it is none of its.
func errorNumber(err error) int32 {
	if e, ok := errors.AsType[interface {
		error
		SQLErrorNumber() int32
	}](err); ok {
		return e.SQLErrorNumber()
	}
	return 0
}

// sentences say what to do about SQL Server's refusals that an installation can meet. Source of the numbers: its
// list of engine events.
var sentences = map[int32]string{
	229:   "the login may look at this database and not change it: use one that is a member of db_owner there",
	262:   "the login may not create that: it needs the server role dbcreator for a database, and db_owner in a database that stands",
	297:   "the login may not do that: use one that is a member of db_owner, or a sysadmin",
	911:   "the database is gone: somebody dropped it just now",
	916:   "the login has no user in this database: use one that is a member of db_owner there, or a sysadmin",
	924:   "the database is in single-user mode, and somebody is in it: ALTER DATABASE … SET MULTI_USER",
	927:   "the database is being restored: RESTORE DATABASE … WITH RECOVERY, or set up mirroring first",
	945:   "the database can't be opened: its files or the memory are not there, see the server's error log",
	954:   "this partner is the mirror now: run it again, it goes to the principal",
	955:   "the database has no quorum: neither mirror nor witness is there",
	976:   "this replica is a secondary: run it again, it goes to the primary",
	983:   "this replica is not in a role to be opened: run it again when the availability group has a primary",
	1105:  "the file group is full: give it room",
	1204:  "the server has no memory for locks: run it again when there is less load",
	1205:  "run it again when there is less load",
	1222:  "others hold a lock on these tables for longer than the patience: run it again (--wait gives it more time); nothing was changed by this step",
	1468:  "the database is in a mirroring session or an availability group, which does not allow that",
	1801:  "somebody made the database just now: run it again",
	1802:  "the server could not make the files: give its service account the right to the data folder, and room",
	1807:  "somebody is using the database model: run it again in a moment",
	334:   "somebody added a trigger to that table: disable it",
	547:   "a foreign key of somebody's forbids that: drop it",
	3726:  "a foreign key of somebody's refers to that table: drop it",
	2714:  "somebody made that object just now: run it again",
	3701:  "the object is not there, or the login may not drop it: use a member of db_owner",
	3702:  "somebody is using the database",
	3704:  "the login may not change that procedure: use a member of db_owner",
	3906:  "the database is read-only here: it is a secondary, or set so",
	3908:  "the database is not in a state to be written",
	5011:  "the login may not change the database: it needs db_owner there",
	9001:  "the log can't be written: see the server's error log",
	9002:  "the transaction log is full: back it up (BACKUP LOG), or give it room",
	15007: "there is no such login on this server: make it on both partners with the same SID",
	15023: "there is a user of that name that belongs to another login: ALTER USER … WITH LOGIN = …",
	15063: "that login has another user here: it is the owner, or has another name",
	15151: "the object or principal is not there, or the login may not see it: use a member of db_owner",
	15247: "the login may not do that: use a sysadmin",
	18456: "the login failed: see user and password, and the server's error log for the reason",
}

// ExplainInstall adds to an error of SQL Server, which an installation met, its number and what to do about it.
func ExplainInstall(err error) error { return explain(err) }

// explain adds to an error of SQL Server what to do about it.
func explain(err error) error {
	if err == nil {
		return nil
	}
	numbers := errorNumbers(err)
	for _, number := range numbers {
		if sentence, ok := sentences[number]; ok {
			return fmt.Errorf("%w (%d): %s", err, number, sentence)
		}
	}
	if len(numbers) > 0 {
		return fmt.Errorf("%w (%d)", err, numbers[0])
	}
	return err
}
