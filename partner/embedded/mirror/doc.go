// Package mirror mirrors databases between two servers. It determines which partner is principal, makes each write
// durable on both partners, detects that the partners have lost each other, and resynchronizes them afterwards.
//
//   - [Pair] is the two servers, the link between them and the links to the witness. [Instance] is one server: its
//     port, its databases and the faults in force on it.
//   - [Database] is one server's copy of a database. A writer waits for its turn. All writers that wait at the same
//     time share a commit, which the mirror commits before the principal (harden.go).
//   - [Session] is the mirroring session of a database: its state, its witness, its reconnection and resynchronisation
//     after an outage (watch.go, resync.go).
//
// It contains no logins, statements or clients; the caller passes the code that serves clients to [OpenInstances].
package mirror
