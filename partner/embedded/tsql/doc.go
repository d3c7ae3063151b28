// Package tsql parses the Transact-SQL that an embedded partner receives as text: what drivers send at login,
// definitions of tables and other objects, queries on them, calls of procedures, and the operators' ALTER DATABASE …
// SET PARTNER.
//
// [Parse] splits a batch into statements. It translates SELECT, INSERT, UPDATE, DELETE and MERGE to SQLite
// (modernc.org/sqlite). What needs a session or a server (variables, @@SPID, GETUTCDATE()) becomes named parameters,
// listed in [Inputs], which the caller binds. Functions that depend only on their arguments become SQLite functions
// named tsql_…, which [RegisterFunctions] registers. System views become tables of the caller (sys.databases is
// sys_databases). An [Error] refuses everything else and names it; then nothing of the batch has run.
//
// It costs one pass over the text and a few strings per statement. It does no I/O and holds no state. What it returns
// is never changed afterwards, so the result for a text may be cached and shared between goroutines.
//
// SQLite stores the values as follows, and the functions here return them so:
//
//	bit, tinyint … bigint     INTEGER
//	float, real               REAL
//	decimal, money            REAL, or INTEGER for whole numbers of more than 15 digits; others of more than 15 are refused
//	char … nvarchar, text     TEXT (columns COLLATE NOCASE, or better [Collation], which also ignores trailing blanks)
//	binary, varbinary, image  BLOB
//	uniqueidentifier          TEXT, upper case, 36 characters
//	datetime                  TEXT 'YYYY-MM-DD HH:MM:SS.mmm', in steps of 1/300 s
//	datetime2                 TEXT 'YYYY-MM-DD HH:MM:SS.nnnnnnn'
//	datetimeoffset            TEXT 'YYYY-MM-DD HH:MM:SS.nnnnnnn +hh:mm', compared as moments
//	date, time                TEXT 'YYYY-MM-DD', 'HH:MM:SS' with as many decimals as the type has
//
// Definitions are returned parsed. A [Table] of CREATE TABLE has the statements that create it in SQLite, and the
// effect of ALTER TABLE on it ([Table.Change]). A [View] has its query. [Written] names the constraint that a refused
// write violates. SQLite generates the values of identity columns: the caller computes SCOPE_IDENTITY() and related
// functions from last_insert_rowid().
//
// Limits: the package checks no name against a schema (SQLite does, see [FromSQLite]), and holds no variables. MERGE
// and an UPDATE or DELETE from a join need rowids. OUTPUT, table variables, temporary tables and cursors are supported
// only in the body of a procedure: see [ParseProcedure].
package tsql
