package embedded

// formatVersion is the version of the tables below, kept as SQLite's user_version.
const formatVersion = 5

// schemaText makes the database of one partner. The first six tables are
// ASPState's, declared with their T-SQL types, which ad-hoc queries answer with.
// The others are the partner's own:
//
//	partner_log      lsn: the number of the last commit; start_lsn: partner_changes has all after it
//	partner_changes  which rows each commit wrote or removed (the rows themselves stand in their tables)
//	partner_state    role and mirroring session, one row
//	partner_roles    the roles this data went through: in order, identity and the lsn at which each began
//	partner_database what the database is, one row
//	partner_objects  which tables, procedures and principals the database has; mirrored like a table
const schemaText = `
CREATE TABLE ASPStateTempSessions (
	SessionId           nvarchar(88) NOT NULL COLLATE NOCASE PRIMARY KEY,
	Created             datetime NOT NULL DEFAULT (strftime('%Y-%m-%d %H:%M:%f', 'now')),
	Expires             datetime NOT NULL,
	LockDate            datetime NOT NULL,
	LockDateLocal       datetime NOT NULL,
	LockCookie          int NOT NULL,
	Timeout             int NOT NULL,
	Locked              bit NOT NULL,
	SessionItemShort    varbinary(7000) NULL,
	SessionItemLong     image NULL,
	Flags               int NOT NULL DEFAULT 0,
	LockOperationId     binary(16) NULL,
	LockOperationCookie int NULL,
	LockActionFlags     int NULL,
	OperationId1        binary(16) NULL,
	OperationId2        binary(16) NULL,
	OperationId3        binary(16) NULL,
	OperationId4        binary(16) NULL,
	OperationDate1      datetime2(7) NULL,
	OperationDate2      datetime2(7) NULL,
	OperationDate3      datetime2(7) NULL,
	OperationDate4      datetime2(7) NULL,
	OperationsForgotten datetime2(7) NULL,
	LockCallId          binary(16) NULL,
	Settled             datetime2(7) NULL,
	MadeOperationId     binary(16) NULL,
	TimeoutSeconds      int NULL,
	TimeoutDate         datetime2(7) NULL
);
CREATE INDEX Index_Expires ON ASPStateTempSessions (Expires);
CREATE TABLE ASPStateTempApplications (
	AppId   int NOT NULL PRIMARY KEY,
	AppName char(280) NOT NULL COLLATE NOCASE
);
CREATE INDEX Index_AppName ON ASPStateTempApplications (AppName);
CREATE TABLE MirrorStateEpoch (
	Id          int NOT NULL PRIMARY KEY,
	Epoch       bigint NOT NULL,
	Server      nvarchar(256) NOT NULL COLLATE NOCASE,
	FleetSecret binary(32) NULL
);
CREATE TABLE MirrorStateTombstones (
	SessionId   nvarchar(88) NOT NULL COLLATE NOCASE,
	OperationId binary(16) NOT NULL,
	Removed     datetime2(7) NOT NULL,
	OperationId1 binary(16) NULL, OperationId2 binary(16) NULL, OperationId3 binary(16) NULL, OperationId4 binary(16) NULL,
	OperationsForgotten datetime2(7) NULL,
	Created     datetime NULL,
	PRIMARY KEY (SessionId, OperationId)
);
CREATE INDEX Index_Removed ON MirrorStateTombstones (Removed);
` + schemaSweep + schemaSettled + schemaObjects + `
CREATE TABLE partner_log (
	id        INTEGER PRIMARY KEY CHECK (id = 1),
	lsn       INTEGER NOT NULL,
	start_lsn INTEGER NOT NULL
);
INSERT INTO partner_log VALUES (1, 0, 0);
CREATE TABLE partner_changes (
	lsn INTEGER NOT NULL,
	n   INTEGER NOT NULL,
	tbl INTEGER NOT NULL,
	key TEXT NOT NULL,
	PRIMARY KEY (lsn, n)
) WITHOUT ROWID;
CREATE TABLE partner_state (
	id              INTEGER PRIMARY KEY CHECK (id = 1),
	guid            TEXT NOT NULL,
	role            INTEGER NOT NULL,
	role_sequence   INTEGER NOT NULL,
	safety_full     INTEGER NOT NULL,
	safety_sequence INTEGER NOT NULL,
	suspended       INTEGER NOT NULL,
	forced          INTEGER NOT NULL,
	diverged        INTEGER NOT NULL,
	timeout         INTEGER NOT NULL
);
CREATE TABLE partner_roles (
	role_sequence INTEGER PRIMARY KEY,
	identity      TEXT NOT NULL,
	start_lsn     INTEGER NOT NULL
);
`

// schemaSweep is what format 2 has and format 1 had not.
const schemaSweep = `
CREATE TABLE MirrorStateSweep (
	Id          int NOT NULL PRIMARY KEY,
	Owner       binary(16) NULL,
	LeasedUntil datetime2(7) NULL,
	LastRun     datetime2(7) NULL,
	Deleted     bigint NOT NULL
);
`

// schemaSettled and the columns of alterSettled are what format 4 has and format 3 had not.
const (
	schemaSettled = `
CREATE TABLE MirrorStateSettled (
	OperationId binary(16) NOT NULL,
	CallId      binary(16) NOT NULL,
	Settled     datetime2(7) NOT NULL,
	Result      int NOT NULL,
	PRIMARY KEY (OperationId, CallId)
);
CREATE INDEX Index_Settled ON MirrorStateSettled (Settled);
`
	alterSettled = `
ALTER TABLE ASPStateTempSessions ADD COLUMN LockCallId binary(16) NULL;
ALTER TABLE ASPStateTempSessions ADD COLUMN Settled datetime2(7) NULL;
ALTER TABLE ASPStateTempSessions ADD COLUMN MadeOperationId binary(16) NULL;
ALTER TABLE MirrorStateTombstones ADD COLUMN Created datetime NULL;
`
)

// alterTimeout is what format 5 has and format 4 had not.
const alterTimeout = `
ALTER TABLE ASPStateTempSessions ADD COLUMN TimeoutSeconds int NULL;
ALTER TABLE ASPStateTempSessions ADD COLUMN TimeoutDate datetime2(7) NULL;
`

// The one row of a table, as installation makes it.
const (
	firstEpoch = `INSERT INTO MirrorStateEpoch (Id, Epoch, Server, FleetSecret) VALUES (1, 0, '', NULL);`
	firstSweep = `INSERT INTO MirrorStateSweep (Id, Owner, LeasedUntil, LastRun, Deleted) VALUES (1, NULL, NULL, NULL, 0);`
)

// schemaObjects is what format 3 has and format 2 had not.
const schemaObjects = `
CREATE TABLE partner_database (
	id          INTEGER PRIMARY KEY CHECK (id = 1),
	title       TEXT NOT NULL,
	database_id INTEGER NOT NULL,
	created     TEXT NULL,
	recovery    TEXT NOT NULL,
	restoring   INTEGER NOT NULL
);
CREATE TABLE partner_objects (
	kind   TEXT NOT NULL,
	name   TEXT NOT NULL COLLATE NOCASE,
	detail TEXT NOT NULL,
	PRIMARY KEY (kind, name)
) WITHOUT ROWID;
`

// The statements of a reader. Rows are found by what procedures know of them.
const (
	readSession         = `SELECT ` + sessionColumns + ` FROM ASPStateTempSessions WHERE SessionId = ?1`
	readApplication     = `SELECT AppId, AppName FROM ASPStateTempApplications WHERE AppId = ?1`
	readApplicationName = `SELECT AppId, AppName FROM ASPStateTempApplications WHERE AppName = ?1`
	readEpoch           = `SELECT Id, Epoch, Server, FleetSecret FROM MirrorStateEpoch WHERE Id = ?1`
	readTombstone       = `SELECT ` + tombstoneColumns + ` FROM MirrorStateTombstones WHERE SessionId = ?1 AND OperationId = ?2`
	readTombstonesOf    = `SELECT ` + tombstoneColumns + ` FROM MirrorStateTombstones WHERE SessionId = ?1`
	readOldTombstones   = `SELECT ` + tombstoneColumns + ` FROM MirrorStateTombstones WHERE Removed < ?1 ORDER BY Removed LIMIT ?2`
	readSettled         = `SELECT ` + settledColumns + ` FROM MirrorStateSettled WHERE OperationId = ?1 AND CallId = ?2`
	readSettledOf       = `SELECT ` + settledColumns + ` FROM MirrorStateSettled WHERE OperationId = ?1`
	readOldSettled      = `SELECT ` + settledColumns + ` FROM MirrorStateSettled WHERE Settled < ?1 ORDER BY Settled LIMIT ?2`
	readSweep           = `SELECT ` + sweepColumns + ` FROM MirrorStateSweep WHERE Id = ?1`
	readDue             = `SELECT SessionId, +Expires, Locked FROM ASPStateTempSessions
		WHERE Expires <= ?1 AND (Locked = 0 OR LockDate <= ?2) ORDER BY Expires LIMIT ?3`
	readExpired = `SELECT SessionId FROM ASPStateTempSessions WHERE Expires < ?1 ORDER BY Expires LIMIT ?2`
	readObject  = `SELECT ` + objectColumns + ` FROM partner_objects WHERE kind = ?1 AND name = ?2`
	readObjects = `SELECT ` + objectColumns + ` FROM partner_objects`
	readLog     = `SELECT lsn, start_lsn FROM partner_log`
	readChanges = `SELECT lsn, n, tbl, key FROM partner_changes WHERE (lsn, n) > (?1, ?2) AND lsn <= ?3 ORDER BY lsn, n LIMIT ?4`
)

// The statements of a writer.
const (
	updateSession = `UPDATE ASPStateTempSessions SET
		Created = ?2, Expires = ?3, LockDate = ?4, LockDateLocal = ?5, LockCookie = ?6, Timeout = ?7, Locked = ?8,
		SessionItemShort = ?9, SessionItemLong = ?10, Flags = ?11,
		LockOperationId = ?12, LockOperationCookie = ?13, LockActionFlags = ?14,
		OperationId1 = ?15, OperationId2 = ?16, OperationId3 = ?17, OperationId4 = ?18,
		OperationDate1 = ?19, OperationDate2 = ?20, OperationDate3 = ?21, OperationDate4 = ?22, OperationsForgotten = ?23,
		LockCallId = ?24, Settled = ?25, MadeOperationId = ?26, TimeoutSeconds = ?27, TimeoutDate = ?28
		WHERE SessionId = ?1`
	insertSession = `INSERT INTO ASPStateTempSessions VALUES
		(?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10, ?11, ?12, ?13, ?14, ?15, ?16, ?17, ?18, ?19, ?20, ?21, ?22, ?23, ?24, ?25, ?26, ?27, ?28)`
	deleteSession     = `DELETE FROM ASPStateTempSessions WHERE SessionId = ?1`
	putApplication    = `INSERT INTO ASPStateTempApplications VALUES (?1, ?2) ON CONFLICT (AppId) DO UPDATE SET AppName = ?2`
	deleteApplication = `DELETE FROM ASPStateTempApplications WHERE AppId = ?1`
	putEpoch          = `INSERT INTO MirrorStateEpoch VALUES (?1, ?2, ?3, ?4)
		ON CONFLICT (Id) DO UPDATE SET Epoch = ?2, Server = ?3, FleetSecret = ?4`
	deleteEpoch  = `DELETE FROM MirrorStateEpoch WHERE Id = ?1`
	putTombstone = `INSERT INTO MirrorStateTombstones VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9)
		ON CONFLICT (SessionId, OperationId) DO UPDATE SET Removed = ?3,
		OperationId1 = ?4, OperationId2 = ?5, OperationId3 = ?6, OperationId4 = ?7, OperationsForgotten = ?8, Created = ?9`
	putSweep = `INSERT INTO MirrorStateSweep VALUES (?1, ?2, ?3, ?4, ?5)
		ON CONFLICT (Id) DO UPDATE SET Owner = ?2, LeasedUntil = ?3, LastRun = ?4, Deleted = ?5`
	putSettled = `INSERT INTO MirrorStateSettled VALUES (?1, ?2, ?3, ?4)
		ON CONFLICT (OperationId, CallId) DO UPDATE SET Settled = ?3, Result = ?4`
	deleteSettled   = `DELETE FROM MirrorStateSettled WHERE OperationId = ?1 AND CallId = ?2`
	putObject       = `INSERT INTO partner_objects VALUES (?1, ?2, ?3) ON CONFLICT (kind, name) DO UPDATE SET name = ?2, detail = ?3`
	deleteObject    = `DELETE FROM partner_objects WHERE kind = ?1 AND name = ?2`
	deleteSweep     = `DELETE FROM MirrorStateSweep WHERE Id = ?1`
	deleteTombstone = `DELETE FROM MirrorStateTombstones WHERE SessionId = ?1 AND OperationId = ?2`

	writeChange = `INSERT INTO partner_changes VALUES (?1, ?2, ?3, ?4)`
	writeLSN    = `UPDATE partner_log SET lsn = ?1`
	trimChanges = `DELETE FROM partner_changes WHERE lsn <= ?1`
	trimLog     = `UPDATE partner_log SET start_lsn = max(start_lsn, ?1)`
)
