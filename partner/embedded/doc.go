// Package embedded runs a mirrored pair of SQL Servers in this process. Two servers on loopback ports speak TDS to any
// driver. They keep their databases in SQLite, and mirror them to each other as a principal and its mirror do.
//
// The pair imitates the mirroring of SQL Server; it is not a complete SQL Server. It runs T-SQL: CREATE statements
// define tables, indexes, views and procedures in any database, and package tsql translates their text to SQLite's SQL.
// The pair has the views, functions and catalogue procedures (sp_columns, sp_datatype_info_100, …) that drivers and
// monitors call. It has the ALTER DATABASE statements of mirroring, with SQL Server's states, preconditions and error
// numbers. It refuses everything else with error 40510, which names the statement or function; docs/embedded.md has the
// list.
//
// A new pair has one mirrored database, in which it runs Options.Schema, or no database (Options.Empty). The caller
// supplies the schema: this package contains no schema, and imports none of the packages that use it. Logins of CREATE
// LOGIN have only the rights that were granted to them.
//
// A write runs in an open transaction of SQLite. SQLite reports which rows the transaction wrote. The pair mirrors
// those rows by rowid and values, after the changes of the schema.
//
// Guarantees: under SAFETY FULL, while SYNCHRONIZED, the pair acknowledges a write only after both partners have
// committed it. A commit survives the end of the process at any moment (kill -9). Commits are not flushed to the disk
// one by one, so a crash of the machine can lose the last moments on both partners. Role changes are flushed.
//
// The partners fail as servers and networks do: see [Partner.Inject]. With a witness (Options.Witness) the mirror
// performs an automatic failover, by SQL Server's rules of quorum. A principal that can reach neither mirror nor
// witness closes its database (955). Either the principal continues without the mirror, or the mirror takes over
// without the principal, never both. So every acknowledged write is on the partner that serves.
//
// A role change or a loss of quorum closes the database and ends the sessions that use it. The connection of an idle
// session is closed. A busy session gets 596 (class 21); if nothing was done, 954 or 955 follows. 596 alone leaves open
// whether the transaction was committed. Sessions that did not use the database get 954 or 955 and stay open.
//
// Its packages; each imports only those above it in this list, and partner/embedded imports all of them:
//
//	tds       the protocol: packets, logins, requests, responses
//	tsql      T-SQL: parser, types, translation to SQLite
//	sqlerror  errors with SQL Server's texts
//	sqlvalue  conversion of values between TDS, T-SQL and SQLite
//	storage   one server's copy of a database: a SQLite file, its commits as records
//	mirror    two servers: roles, quorum, shipping of commits, resynchronisation; faults
//	logins    passwords and the limit on failed logins (imports sqlerror alone)
//	engine    what clients see, and what executes T-SQL: logins, batches, procedures, transactions, catalogue, rights
//
// Costs: a write is two SQLite commits in parallel, shared by all writes that wait at that moment. A read that changes
// no row needs no commit and runs in parallel with other reads and writes.
package embedded
