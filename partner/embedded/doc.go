// Package embedded is a mirrored pair of SQL Servers in this process: two
// servers on loopback ports that speak TDS to anyone's driver, keep their databases in
// SQLite, and mirror them to each other as a principal and its mirror do.
//
// It is a faithful pair, not a SQL Server. It runs T-SQL: tables, indexes, views and procedures are what CREATE says, in
// any database; package tsql translates their text to SQLite's. It has the
// views, functions and catalogue procedures (sp_columns, sp_datatype_info_100, …) that drivers and monitors ask for, and the ALTER DATABASE
// statements of mirroring, with SQL Server's states, preconditions and error
// numbers. Anything else is refused by an error that names it (40510): docs/embedded.md has the list.
//
// A new pair begins with one mirrored database, in which Options.Schema is run, or with no database (Options.Empty). Whoever starts a
// pair hands the schema in: this package knows none, and imports nothing of the packages that use it. Logins of CREATE LOGIN have
// the rights that are granted to them, and no others.
//
// A write runs in an open transaction of SQLite, which tells the rows that were written: they are mirrored by rowid and
// values, and before them what changed the schema.
//
// What it promises: under SAFETY FULL, while SYNCHRONIZED, a write is answered
// only after both partners have committed it. A commit survives the end of the
// process at any moment (kill -9); it is not flushed to the disk one by one, so
// that the end of the machine may cost the last moments on both. Role changes are
// flushed.
//
// Its partners fail as servers and networks do: see [Partner.Inject]. With a witness
// (Options.Witness) the mirror takes over by itself, by SQL Server's rules of quorum, and a
// principal that sees neither mirror nor witness closes its database (955). That the principal
// goes on without the mirror and that the mirror takes over without the principal exclude each
// other: so an acknowledged write is on whoever serves.
//
// A session whose database is closed to it, by a role change or for want of quorum, ends: an idle one by the end of
// its connection, a busy one by 596 (class 21), and after that 954 or 955, which says that nothing was done. 596 alone
// leaves open whether the commit is there. Sessions that were not in the database get 954 or 955, and live.
//
// Its rooms, each of which imports only those above it in this list (and partner/embedded, the face, all of them):
//
//	tds       the wire: packets, logins, requests, answers
//	tsql      T-SQL: parsed, typed, written for SQLite
//	message   errors in SQL Server's words
//	sqlvalue  values between wire, T-SQL and SQLite
//	storage   one server's copy of a database: a file of SQLite, its commits as records
//	mirror    two servers: roles, quorum, shipping, the way back; faults
//	logins    passwords and who is wrong too often (needs message alone)
//	server    what clients see: logins, batches, procedures, transactions, catalogue, rights
//
// What it costs: a write is two SQLite commits side by side, shared by all writes
// that wait at that moment; a read that renews nothing costs none and runs beside
// the others.
package embedded
