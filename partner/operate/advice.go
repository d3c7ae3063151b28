package operate

// The SQL Server error numbers that the checks of this package use, with SQL Server's meaning.
const (
	alreadyMirrored      = 1405
	notMirrored          = 1416
	noQuorum             = 1431
	partnersDisconnected = 1447
	notCaughtUp          = 1422
	sameServer           = 1452
	wrongState           = 1455
	notRestoring         = 1464
	notFullRecovery      = 1465
	readOnly             = 1466
	autoClose            = 1469
	onlyPrincipal        = 1470
	safetyNotFull        = 1477
	notMultiUser         = 1488
	groupsDisabled       = 35221
	onlyPrimary          = 35251
	onlySecondary        = 35252
	noSuchGroup          = 41100
	alreadyPrimary       = 41122
	groupNotCaughtUp     = 41142
)

// advices has one sentence of advice for each error number that the statements of this package can get.
// Sources: SQL Server's list of messages; the pages on ALTER DATABASE … SET PARTNER and on
// availability groups.
var advices = map[int32]string{
	// Setup and the mirroring session.
	911: "check the database's name, and that this is the right server", 916: "create a user for the login in the database: mirrorstate install --grant LOGIN; then give it the same SID on both servers: mirrorstate pair logins",
	1402: "the witness belongs to another session: remove it (SET WITNESS OFF) and set it again",
	1404: "the mirror is busy: retry in a moment",
	1405: "check pair status; after a setup that failed run pair remove first",
	1406: "service can't be forced safely: run pair remove --copy recover, and check the data",
	1407: "the mirror's copy is of another database: run pair setup from a new backup", 1408: "restore the log backups taken since WITH NORECOVERY on the mirror, then repeat pair setup --restored",
	1409: "restore the log backups taken since WITH NORECOVERY on the mirror, then repeat pair setup --restored", 1410: "run pair remove first: the other server is mirrored already",
	1411: "check that the principal is in full recovery, and restore one more log backup on the mirror",
	1412: "restore the log backups taken since WITH NORECOVERY on the mirror, then repeat pair setup --restored",
	1413: "the partners lost their connection before the session started: retry",
	1416: "run pair setup first; if the database is mirrored, use a login that is sysadmin",
	1418: "check that both endpoints are STARTED, the port is open both ways, the names resolve, and each server's certificate or account has CONNECT on the other's endpoint: security errors are reported as 1418 too",
	1419: "the mirror's copy must be RESTORING: restore it WITH NORECOVERY", 1421: "the statement timed out and may still have worked: check pair status, then retry",
	1422: "wait until the state is SYNCHRONIZED; run pair resume if it is SUSPENDED", 1426: "make sure that principal, mirror and witness run and are connected, wait for SYNCHRONIZED, then set the witness",
	1427: "check the witness's address, port and endpoint: it must have ROLE = WITNESS or ALL", 1429: "check the witness's address, port and endpoint: it must have ROLE = WITNESS or ALL",
	1430: "mirroring was removed in an unstable state: verify the data on both servers", 1431: "check that the partner and the witness run and can be reached",
	1433: "make sure that principal, mirror and witness run and are connected, then set the witness", 1438: "the server rejected the statement for the moment: retry",
	1439: "there is no witness to remove", 1446: "remove the old witness first", 1447: "start the other partner, or force service if the principal is lost",
	1448: "create the copy on the mirror: restore a backup there WITH NORECOVERY", 1449: "write the address as TCP://host:port of the partner's endpoint",
	1451: "mirroring information is missing in the system table: run pair remove, and pair setup again",
	1452: "a server can't be its own partner: check both endpoints' addresses",
	1453: "the mirror's redo failed: read its error log, then run pair resume", 1454: "mirroring is suspended after an error: read both error logs, then run pair resume",
	1455: "if the principal runs use pair failover; otherwise wait until the mirror detects that the principal is gone (DISCONNECTED)",
	1456: "the witness could not be reached and nothing was changed: check that it can be reached, then set it again", 1460: "run pair remove first: the other server is mirrored already",
	1462: "the mirror's redo failed and it can't resume: read its error log, then create the mirror again with pair remove and pair setup",
	1463: "this edition of SQL Server has no database mirroring: use an availability group", 1464: "restore the database WITH NORECOVERY on the mirror first",
	1465: "ALTER DATABASE … SET RECOVERY FULL, and take a full backup", 1466: "ALTER DATABASE … SET READ_WRITE", 1467: "the database can't be mirrored: the message says why",
	1469: "ALTER DATABASE … SET AUTO_CLOSE OFF", 1470: "send the statement to the principal: the roles may have changed, so check pair status and retry",
	1473: "only Enterprise edition supports asynchronous mirroring: leave SAFETY at FULL", 1475: "take a log backup on the principal and restore it WITH NORECOVERY on the mirror",
	1476: "the partner timeout can be at most 32767 seconds", 1477: "ALTER DATABASE … SET PARTNER SAFETY FULL on the principal, wait for SYNCHRONIZED, then fail over",
	1478: "restore the log backups taken since WITH NORECOVERY on the mirror, then repeat pair setup --restored", 1486: "create the endpoint for mirroring first, with ROLE = PARTNER or ALL", 1488: "ALTER DATABASE … SET MULTI_USER",
	1490: "the mirror's copy is too old: restore more log backups, or start again from a new full backup",
	927:  "the copy is RESTORING, which is the normal state of a mirror; RESTORE DATABASE … WITH RECOVERY opens it",
	// Backup and restore.
	3101: "nobody may use the database during the restore: end the sessions in it", 3102: "run the statement in master, and end the sessions in the database",
	3104: "the database is mirrored or in a group: remove that first",
	3117: "the log backup does not follow the restored backup: start again from the full backup", 3154: "the server has another database with this name than the one in the backup: drop it first",
	3159: "the tail of the log was not backed up: check whether the copy on that server is needed, and drop it", 3201: "check the path: the SQL Server service opens it, and its account needs rights there",
	3202: "writing the backup failed: check the free space and the rights of the service account", 3241: "the file is not a backup, or was damaged when it was copied: copy it again",
	3203: "reading the backup failed: copy it again", 4208: "the database is in simple recovery: SET RECOVERY FULL and take a full backup first",
	4214: "take a full backup before the log backup", 4305: "a log backup is missing: restore all log backups in their order", 4326: "this log backup is too old: restore the next one",
	5061: "another session blocks the change: retry in a moment", 5069: "the message before this one says what is wrong",
	5133: "that server does not have the folder of the data files: name one with --mirror-data", 1834: "the files belong to another database on that server: name another folder with --mirror-data",
	3013: "the message before this one says what is wrong", 1801: "a database with that name exists already: drop it, or use another server",
	// Endpoint, certificates, logins.
	7807: "the endpoint's port or address is in use: choose another port with --endpoint-a or --endpoint-b", 7862: "a server can have only one endpoint for mirroring: use the existing one",
	4613: "use a login that is sysadmin", 4621: "run the statement in master",
	15578: "there is a master key already", 15581: "create a master key in master, or open it", 15025: "this server has another login with that name: if it owns nothing, drop it there with DROP LOGIN, and run the same command again",
	15023: "there is a user with that name already", 15232: "there is a certificate with that name already", 15151: "the object does not exist, or the login may not see it: check the spelling and use a login that is sysadmin",
	15433: "another login has that SID already: check sys.server_principals", 15118: "the password does not satisfy the server's policy: choose a longer one",
	15297: "the certificate's data is damaged: copy it again", 15208: "the certificate's file can't be read: check the path and the rights of the service account",
	15240: "the certificate's file can't be written: it may exist already", 262: "use a login that is sysadmin", 229: "use a login that is sysadmin", 297: "use a login that is sysadmin",
	300: "use a login that has VIEW SERVER STATE, or is sysadmin", 5011: "check the database's name; the login must own it or be sysadmin", 18456: "check the login and its password on this server",
	4060: "the database can't be opened on this server: this may be the mirror, or the login has no user in the database",
	// Availability groups.
	976: "this is a secondary that accepts no connections: use the primary", 983: "the replica is RESOLVING: wait and check pair status, then decide", 988: "the group's cluster has no quorum: start its nodes",
	19416: "a database is not SYNCHRONIZED: wait for it, or start the secondary", 19494: "seeding failed for the moment and SQL Server retries it: wait",
	35201: "the replica can't be reached: check the endpoints, their ports and their certificates", 35206: "the replica can't be reached: check the endpoints, their ports and their certificates", 35208: "run the statement in master",
	35221: "enable availability groups for the instance (in a container: MSSQL_ENABLE_HADR=1) and restart it", 35239: "check the message, and the state in sys.dm_hadr_database_replica_states",
	35242: "the database is not joined to the group: check pair status", 35250: "check that the primary runs, and check both endpoints, ports and certificates",
	35251: "send the statement to the primary: check pair status", 35252: "send the statement to the secondary: check pair status", 35253: "restore the missing log backups WITH NORECOVERY, then join again",
	35254: "remove the database from the group and add it again", 35264: "data movement is suspended: run pair resume", 35268: "rebuild the secondary: remove the database from the group and add it again",
	35269: "rebuild the secondary: remove the database from the group and add it again", 41100: "check the group's name, and that this server has it", 41104: "the replica could not change its role yet: retry; if the error stays, restart its service", 41113: "a failover is running already: wait and check pair status",
	41122: "this server is the primary already", 41131: "bringing the group online timed out: check pair status, then retry", 41134: "the database was not SYNCHRONIZED: run pair force --allow-data-loss if the primary is lost",
	41138: "the database is busy with another operation: retry", 41140: "send the statement to the primary: check pair status", 41142: "wait until the secondary is SYNCHRONIZED and joined",
	41143: "restart the instance: the replica is in a failed state", 41144: "restart the instance: the replica is in a failed state", 41147: "enable availability groups for the instance and restart it",
	41160: "read the error before this one in the server's error log", 41165: "the replica did not answer in time: retry", 41166: "the replica did not answer in time: retry",
	40510: "the embedded pair does not support this statement",
}

// Advice returns one sentence that says what to do about an error with this number.
func Advice(number int32) string {
	if a, ok := advices[number]; ok {
		return a
	}
	return "check the server's message and error log, and pair status"
}

// transient are the errors of SET PARTNER after which the manual says to retry.
var transient = []int32{1404, 1413, 1421, 1438}
