// Package mirror is the mirroring of databases between two servers: who is principal, how a write gets to both, what happens when the
// servers lose each other, and how they find together again.
//
//   - [Pair] is the two servers and the links between them and the witness; [Instance] is one: its port, its databases, and the faults
//     that befall it.
//   - [Database] is one server's copy of a database. Who writes waits for a turn; all who wait at once share a commit, which the
//     mirror has before the principal does (harden.go).
//   - [Session] is a database as both have it: its state, its witness, the way back after an outage (tend.go, resync.go).
//
// It knows nothing of logins, statements or clients: who serves those is handed to [OpenInstances].
package mirror
