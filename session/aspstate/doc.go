// Package aspstate is a session.Store on the classic ASP.NET ASPState tables, reached through a partner.Pair, so that
// a failover is a wait and not an error.
//
// It speaks two dialects. In each attempt it finds out which one the principal understands:
//
//   - extended: the procedures MirrorState_…_1 of schema/, one round trip a call,
//     exactly once by operation id, fenced by epoch.
//   - stock: the procedures that aspnet_regsql makes, for a login that may only execute
//     them. They keep no operation ids. So a re-sent write that
//     matches no row is ErrOutcomeUnknown, and a re-sent acquire cannot be told from
//     another client's lock and is ErrLocked. Expiry is .NET's own: a row lives until it is
//     swept, and every read renews it, also a peek, so that without room to
//     write (1105, 9002) a read fails like a write. Calls that have no
//     procedure (store without lock, remove without lock) take several round trips
//     under a lock of their own.
//
// The schema in schema/*.sql defines both dialects; package partner/embedded follows it line by line.
package aspstate
