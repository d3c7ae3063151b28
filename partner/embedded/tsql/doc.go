// Package tsql understands the Transact-SQL that an embedded partner
// meets as text: what drivers send at login, definitions of tables and other objects, queries on
// them, calls of procedures, and the operators' ALTER DATABASE … SET PARTNER.
//
// [Parse] turns a batch into statements. SELECT, INSERT, UPDATE, DELETE and MERGE
// come out rewritten for SQLite (modernc.org/sqlite); what needs a session or a
// server (variables, @@SPID, GETUTCDATE()) becomes named parameters, listed in
// [Inputs], which the caller binds. Functions of their arguments alone become
// SQLite functions named tsql_…, which [RegisterFunctions] registers. System
// views become tables of the caller's (sys.databases is sys_databases).
// Whatever else T-SQL has is refused by an [Error] that names it; then nothing
// of the batch has run.
//
// It costs one pass over the text and a few strings a statement. It does no
// I/O, holds no state, and what it returns is never changed afterwards, so the
// result for a text may be cached and shared between goroutines.
//
// Values in SQLite are kept like this, and the functions here return them so:
//
//	bit, tinyint … bigint     INTEGER
//	float, real               REAL
//	decimal, money            REAL, or INTEGER for whole numbers of more than 15 digits; others of more than 15 are refused
//	char … nvarchar, text     TEXT (columns COLLATE NOCASE, or better [Collation], which also ignores blanks at the end)
//	binary, varbinary, image  BLOB
//	uniqueidentifier          TEXT, upper case, 36 characters
//	datetime                  TEXT 'YYYY-MM-DD HH:MM:SS.mmm', in steps of 1/300 s
//	datetime2                 TEXT 'YYYY-MM-DD HH:MM:SS.nnnnnnn'
//	datetimeoffset            TEXT 'YYYY-MM-DD HH:MM:SS.nnnnnnn +hh:mm', compared as moments
//	date, time                TEXT 'YYYY-MM-DD', 'HH:MM:SS' with as many decimals as the type has
//
// Definitions come out parsed: a [Table] of CREATE TABLE knows the statements that make it in SQLite and what ALTER TABLE
// changes ([Table.Change]), a [View] its query, and [Written] names the constraint that a refused write was against.
// Identity columns are left to SQLite: the caller answers SCOPE_IDENTITY() and its like by last_insert_rowid().
//
// What it does not do: it checks no name against a schema (SQLite does, see
// [FromSQLite]), and keeps no variables. MERGE and an UPDATE or DELETE from a join need rowids. OUTPUT, table variables,
// temporary tables and cursors are known in the body of a procedure only: see [ParseProcedure].
package tsql
