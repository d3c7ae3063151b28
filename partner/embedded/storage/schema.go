package storage

// formatVersion is the version of the tables below, kept as SQLite's user_version.
const formatVersion = 6

// schemaText makes the database of one partner: the tables that are its own. All others come by CREATE TABLE.
//
//	partner_log      lsn: the number of the last commit; start_lsn: partner_changes has all after it
//	partner_changes  which rows each commit wrote or removed (the rows themselves stand in their tables)
//	partner_state    role and mirroring session, one row
//	partner_roles    the roles this data went through: in order, identity and the lsn at which each began
//	partner_database what the database is, one row
//	partner_objects  which tables, procedures and principals the database has; mirrored like a table
const schemaText = `
` + schemaObjects + `
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
	id     INTEGER NOT NULL,
	PRIMARY KEY (kind, name)
);
`
