package operate

// numbers of refusals that our own checks use, in SQL Server's sense.
const (
	alreadyMirrored  = 1405
	notMirrored      = 1416
	noWitnessSeen    = 1431
	partnersApart    = 1447
	notCaughtUp      = 1422
	sameServer       = 1452
	wrongState       = 1455
	notRestoring     = 1464
	notFullRecovery  = 1465
	readOnly         = 1466
	autoClose        = 1469
	onlyPrincipal    = 1470
	safetyNotFull    = 1477
	notMultiUser     = 1488
	groupsDisabled   = 35221
	onlyPrimary      = 35251
	onlySecondary    = 35252
	noSuchGroup      = 41100
	alreadyPrimary   = 41122
	groupNotCaughtUp = 41142
)

// advices has one sentence for each number that the statements here are known to meet: what
// to do. Sources: SQL Server's message list; the pages of ALTER DATABASE … SET PARTNER and of
// availability groups.
var advices = map[int32]string{
	// Setting up and the partners' session.
	911: "check the database's name, and that this is the right server", 916: "give the login a user in the database: mirrorstate install --grant LOGIN; and the same SID on both servers: mirrorstate pair logins",
	1402: "take the witness away (SET WITNESS OFF) and set it again: it knows another session",
	1404: "the mirror is busy: try again in a moment",
	1405: "see pair status; after a set-up that failed half-way run pair remove first",
	1406: "service can't be forced safely: run pair remove --copy recover, and check the data",
	1407: "the mirror's copy is of another database: run pair setup from a new backup", 1408: "restore the log backups taken since WITH NORECOVERY on the mirror, then repeat pair setup --restored",
	1409: "restore the log backups taken since WITH NORECOVERY on the mirror, then repeat pair setup --restored", 1410: "run pair remove first: the other server is mirrored already",
	1411: "check that the principal is in full recovery, and restore one more log backup on the mirror",
	1412: "restore the log backups taken since WITH NORECOVERY on the mirror, then repeat pair setup --restored",
	1413: "the partners lost each other before the start: try again",
	1416: "run pair setup first; if it was, look with a login that is sysadmin",
	1418: "check that both endpoints are STARTED, the port is open both ways, the names resolve, and each server's certificate or account may CONNECT on the other's endpoint: security faults show up as this one",
	1419: "the mirror's copy must be RESTORING: restore it WITH NORECOVERY", 1421: "it timed out and may yet have worked: see pair status, then try again",
	1422: "wait until the state is SYNCHRONIZED; run pair resume if it is SUSPENDED", 1426: "bring principal, mirror and witness up and connected, and wait for SYNCHRONIZED, then set the witness",
	1427: "check the witness's address, port and endpoint: it must have ROLE = WITNESS or ALL", 1429: "check the witness's address, port and endpoint: it must have ROLE = WITNESS or ALL",
	1430: "mirroring was removed in an unstable state: verify the data on both servers", 1431: "check that the partner and the witness run and can be reached",
	1433: "bring principal, mirror and witness up and connected, then set the witness", 1438: "it was rejected for the moment: try again",
	1439: "there is no witness to take away", 1446: "take the old witness away first", 1447: "bring the other partner back, or force service if the principal is lost",
	1448: "create the copy on the mirror: restore a backup there WITH NORECOVERY", 1449: "write the address as TCP://host:port of the partner's endpoint",
	1451: "mirroring information is missing in the system table: run pair remove, and pair setup again",
	1452: "a server can't be its own partner: check both endpoints' addresses",
	1453: "the mirror's redo failed: look into its error log, then pair resume", 1454: "mirroring is suspended after an error: look into both error logs, then pair resume",
	1455: "if the principal is alive use pair failover; otherwise wait until the mirror has noticed that it is gone (DISCONNECTED)",
	1456: "the witness was not told and nothing was changed: check that it can be reached, then set it again", 1460: "run pair remove first: the other server is mirrored already",
	1462: "the mirror's redo failed, so that it can't resume: look into its error log; pair remove and setup make it anew",
	1463: "this edition of SQL Server has no database mirroring: use an availability group", 1464: "restore the database WITH NORECOVERY on the mirror first",
	1465: "ALTER DATABASE … SET RECOVERY FULL, and take a full backup", 1466: "ALTER DATABASE … SET READ_WRITE", 1467: "the database can't be mirrored as it is: see the message",
	1469: "ALTER DATABASE … SET AUTO_CLOSE OFF", 1470: "send it to the principal: roles may just have changed, so see pair status and try again",
	1473: "only Enterprise mirrors asynchronously: leave SAFETY at FULL", 1475: "take a log backup on the principal and restore it WITH NORECOVERY on the mirror",
	1476: "the partner time-out can be at most 32767 seconds", 1477: "ALTER DATABASE … SET PARTNER SAFETY FULL on the principal, wait for SYNCHRONIZED, and fail over then",
	1478: "restore the log backups taken since WITH NORECOVERY on the mirror, then repeat pair setup --restored", 1486: "make the endpoint for mirroring first, with ROLE = PARTNER or ALL", 1488: "ALTER DATABASE … SET MULTI_USER",
	1490: "the mirror's copy is too old: restore more log, or begin again from a new full backup",
	927:  "the copy is still being restored: that is right for a mirror; RESTORE DATABASE … WITH RECOVERY opens it",
	// Backup and restore.
	3101: "nobody may use the database while it is restored: end the sessions in it", 3102: "run it from master, and end the sessions in the database",
	3104: "the database is mirrored or in a group: remove that first",
	3117: "the log does not follow on the restored backup: begin again from the full backup", 3154: "the backup is of another database than the one there: drop that one first",
	3159: "the tail of the log was not backed up: check whether the copy there is needed, and drop it", 3201: "check the path: it is as the SQL Server service sees it, and its account needs rights there",
	3202: "writing the backup failed: check free space and rights of the service account", 3241: "the file is no backup, or was carried over damaged: copy it again",
	3203: "reading the backup failed: copy it again", 4208: "the database is in simple recovery: SET RECOVERY FULL and take a full backup first",
	4214: "take a full backup before the log backup", 4305: "a log backup between is missing: restore them in their order", 4326: "this log backup is too old: restore the one that follows",
	5061: "somebody uses the database in a way that the change can't share: try again in a moment", 5069: "see the message before this one",
	5133: "the folder of the data files is missing there: give one with --mirror-data", 1834: "the files belong to another database there: give another folder with --mirror-data",
	3013: "see the message before this one", 1801: "a database of that name is there already: drop it, or use another server",
	// Endpoint, certificates, logins.
	7807: "the endpoint's port or address is in use: choose another port with --endpoint-a or --endpoint-b", 7862: "a server has one endpoint of this kind: use the one it has",
	4613: "run it with a login that is sysadmin", 4621: "run it in master",
	15578: "there is a master key already", 15581: "create a master key in master, or open it", 15025: "there is another login of that name on this server: if it owns nothing, DROP LOGIN it there, and run the same command again",
	15023: "there is a user of that name already", 15232: "there is a certificate of that name already", 15151: "it is not there, or the login may not see it: check the spelling and run as sysadmin",
	15433: "another login has that SID already: see sys.server_principals", 15118: "the password does not satisfy the server's policy: choose a longer one",
	15297: "the certificate's data is damaged: carry it over again", 15208: "the certificate's file can't be read: check the path and the service account's rights",
	15240: "the certificate's file can't be written: it may be there already", 262: "run it with a login that is sysadmin", 229: "run it with a login that is sysadmin", 297: "run it with a login that is sysadmin",
	300: "run it with a login that has VIEW SERVER STATE, or sysadmin", 5011: "check the database's name; the login must own it or be sysadmin", 18456: "check the login and its password on this server",
	4060: "the database can't be opened here: it may be the mirror's, or the login has no user in it",
	// Availability groups.
	976: "this is a secondary that lets nobody in: ask the primary", 983: "the replica is resolving: wait and see pair status, then decide", 988: "the group's cluster lacks quorum: bring its nodes back",
	19416: "a database is not SYNCHRONIZED: wait for it, or bring the secondary back", 19494: "seeding failed for the moment and is tried again: wait",
	35201: "check the endpoints, their ports and their certificates: the replica can't be reached", 35206: "check the endpoints, their ports and their certificates: the replica can't be reached", 35208: "run it in master",
	35221: "switch availability groups on for the instance (in a container: MSSQL_ENABLE_HADR=1) and restart it", 35239: "see the message, and the state in sys.dm_hadr_database_replica_states",
	35242: "the database is not joined to the group: see pair status", 35250: "check that the primary runs, and both endpoints, ports and certificates",
	35251: "send it to the primary: see pair status", 35252: "send it to the secondary: see pair status", 35253: "restore the log backups that are missing WITH NORECOVERY, then join again",
	35254: "remove the database from the group and add it again", 35264: "data movement is suspended: pair resume", 35268: "rebuild the secondary: remove the database from the group and add it again",
	35269: "rebuild the secondary: remove the database from the group and add it again", 41100: "check the group's name, and that this server has it", 41104: "the replica could not change its role yet: try again; if it lasts, restart its service", 41113: "a failover is under way already: wait and see pair status",
	41122: "it is the primary already", 41131: "bringing the group online timed out: see pair status, then try again", 41134: "the database was not SYNCHRONIZED: pair force --allow-data-loss if the primary is lost",
	41138: "the database is busy with another operation: try again", 41140: "send it to the primary: see pair status", 41142: "wait until the secondary is SYNCHRONIZED and joined",
	41143: "restart the instance: the replica is in a failed state", 41144: "restart the instance: the replica is in a failed state", 41147: "switch availability groups on for the instance and restart it",
	41160: "read the error before this one in the server's error log", 41165: "the replica did not answer in time: try again", 41166: "the replica did not answer in time: try again",
	40510: "the embedded pair does not know this statement",
}

// Advice says in one sentence what to do about an error of that number.
func Advice(number int32) string {
	if a, ok := advices[number]; ok {
		return a
	}
	return "see the server's message and error log, and pair status"
}

// transient are the errors of SET PARTNER after which the manual says to try again.
var transient = []int32{1404, 1413, 1421, 1438}
