package storage

// formatVersion is the version of the tables below, stored as SQLite's user_version.
const formatVersion = 6

// schemaText creates the partner's own tables in a database. CREATE TABLE creates all others.
//
// partner_log      lsn: the number of the last commit; start_lsn: partner_changes has all commits after it
// partner_changes  the keys of the rows that each commit wrote or removed (the rows themselves are in their tables)
// partner_state    role and mirroring session, one row
// partner_roles    the recovery forks of this data, in order: identity and the lsn at which each began
// partner_database the description of the database, one row
// partner_objects  the tables, procedures, principals and other objects of the database; mirrored like a table
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
