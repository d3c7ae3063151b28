// Package aspstate is a session.Store on the classic ASP.NET ASPState tables,
// reached through a partner.Pair, so that a failover is a wait and not an error.
//
// It speaks two dialects and finds out by itself, attempt by attempt, which one
// the principal understands:
//
//   - extended: the procedures MirrorState_…_1 of schema/, one round trip a call,
//     exactly-once by operation id, fenced by epoch.
//   - stock: the procedures aspnet_regsql makes, which is all a login with execute
//     rights on them can use. They keep no operation ids, so a re-sent write that
//     matches no row is ErrOutcomeUnknown, a re-sent acquire can't be told from
//     another client's lock and is ErrLocked, expiry is .NET's own (a row lives until it is
//     swept, and every read renews it, a peek too, so that where there is no room to
//     write (1105, 9002) a read fails like a write), and calls the procedures have no
//     verb for (store without lock, remove without lock) take several round trips
//     under a lock of their own.
//
// The schema in schema/*.sql is the definition of both; package
// partner/embedded follows it line by line.
package aspstate
