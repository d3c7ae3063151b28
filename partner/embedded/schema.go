package embedded

// formatVersion is the version of the tables below, kept as SQLite's user_version.
const formatVersion = 6

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
	tbl TEXT NOT NULL,
	row INTEGER NOT NULL,
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

const schemaSweep = `
CREATE TABLE MirrorStateSweep (
	Id          int NOT NULL PRIMARY KEY,
	Owner       binary(16) NULL,
	LeasedUntil datetime2(7) NULL,
	LastRun     datetime2(7) NULL,
	Deleted     bigint NOT NULL
);
`

const schemaSettled = `
CREATE TABLE MirrorStateSettled (
	OperationId binary(16) NOT NULL,
	CallId      binary(16) NOT NULL,
	Settled     datetime2(7) NOT NULL,
	Result      int NOT NULL,
	PRIMARY KEY (OperationId, CallId)
);
CREATE INDEX Index_Settled ON MirrorStateSettled (Settled);
`

// The one row of a table, as installation makes it.
const (
	firstEpoch = `INSERT INTO MirrorStateEpoch (Id, Epoch, Server, FleetSecret) VALUES (1, 0, '', NULL);`
	firstSweep = `INSERT INTO MirrorStateSweep (Id, Owner, LeasedUntil, LastRun, Deleted) VALUES (1, NULL, NULL, NULL, 0);`
)

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
);
`
