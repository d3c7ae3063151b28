// Package embedded is a mirrored pair of SQL Servers in this process: two
// servers on loopback ports that speak TDS to anyone's driver, keep ASPState in
// SQLite, and mirror it to each other as a principal and its mirror do.
//
// It is a faithful pair, not a SQL Server: it has the procedures of ASPState by
// name (stock and extended), simple ad-hoc statements on the ASPState tables, the
// views, functions and catalogue procedures (sp_columns, sp_datatype_info_100, …) that drivers and monitors ask for, and the ALTER DATABASE
// statements of mirroring, with SQL Server's states, preconditions and error
// numbers. Anything else is refused by an error that names it.
//
// A server may have several databases, or none (Options.Empty): CREATE DATABASE makes one, and the
// definitions of session/aspstate/schema, known by their text, make what is in it. Logins
// of CREATE LOGIN have the rights that are granted to them, and no others.
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
// What it costs: a write is two SQLite commits side by side, shared by all writes
// that wait at that moment; a read that renews nothing costs none and runs beside
// the others.
package embedded
