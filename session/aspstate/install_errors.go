package aspstate

import "fmt"

// sentences have the advice for the errors of SQL Server that an installation can get. Source of the numbers: SQL
// Server's list of engine events.
var sentences = map[int32]string{
	229:   "the login may read this database but not change it: use a member of db_owner there",
	262:   "the login may not create that: it needs the server role dbcreator for a database, and db_owner in an existing database",
	297:   "the login may not do that: use one that is a member of db_owner, or a sysadmin",
	911:   "the database does not exist: it was dropped just now",
	916:   "the login has no user in this database: use one that is a member of db_owner there, or a sysadmin",
	924:   "the database is in single-user mode, and another session uses it: ALTER DATABASE … SET MULTI_USER",
	927:   "the database is being restored: RESTORE DATABASE … WITH RECOVERY, or set up mirroring first",
	945:   "the database cannot be opened: its files or memory are missing, see the server's error log",
	954:   "this partner is now the mirror: run it again, and it goes to the principal",
	955:   "the database has no quorum: neither the mirror nor the witness is connected",
	976:   "this replica is a secondary: run it again, and it goes to the primary",
	983:   "this replica has no role in which the database is open: run it again when the availability group has a primary",
	1105:  "the file group is full: free or add space",
	1204:  "the server has no memory for locks: run it again when there is less load",
	1205:  "run it again when there is less load",
	1222:  "other sessions hold a lock on these tables for too long: run it again (--wait gives it more time); this step changed nothing",
	1468:  "the database is in a mirroring session or an availability group, which does not allow that",
	1801:  "the database was created just now: run it again",
	1802:  "the server could not create the files: give its service account the right to the data folder, and free space",
	1807:  "the database model is in use: run it again in a moment",
	334:   "the table has a trigger: disable it",
	547:   "a foreign key forbids that: drop it",
	3726:  "a foreign key refers to that table: drop it",
	2714:  "the object was created just now: run it again",
	3701:  "the object does not exist, or the login may not drop it: use a member of db_owner",
	3702:  "the database is in use",
	3704:  "the login may not change that procedure: use a member of db_owner",
	3906:  "the database is read-only here: it is a secondary, or set to READ_ONLY",
	3908:  "the database is in a state in which it cannot be written",
	5011:  "the login may not change the database: it needs db_owner there",
	9001:  "the log cannot be written: see the server's error log",
	9002:  "the transaction log is full: back it up (BACKUP LOG), or add space",
	15007: "there is no such login on this server: create it on both partners with the same SID",
	15023: "a user of that name belongs to another login: ALTER USER … WITH LOGIN = …",
	15063: "that login has another user here: it is the owner, or has another name",
	15151: "the object or principal does not exist, or the login may not see it: use a member of db_owner",
	15247: "the login may not do that: use a sysadmin",
	18456: "the login failed: see user and password, and the server's error log for the reason",
}

// ExplainInstall adds the number and advice to an error of SQL Server during an installation.
func ExplainInstall(err error) error { return explain(err) }

// explain adds the number and advice to an error of SQL Server.
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
