// Package aspstate is a session.Store on the tables of ASP.NET's ASPState database. It reaches them through a
// partner.Pair, so that a call waits for a failover and does not fail.
//
// It uses one of two dialects. For each attempt the pair says which one the principal's schema needs:
//
//   - extended: the procedures MirrorState_…_1 of schema/. A call is one round trip, takes effect exactly once by its
//     operation id, and is fenced by the epoch.
//   - stock: the procedures that aspnet_regsql makes, for a login that may only execute these.
//
// The stock procedures promise less:
//
//   - They keep no operation ids. If a write is sent again and matches no row, it is ErrOutcomeUnknown. If an acquire is
//     sent again, its own lock looks like another client's: ErrLocked.
//   - A row lives until it is swept, and every read renews it, also a peek. So if the server has no room to write (1105,
//     9002), a read fails like a write.
//   - There is no procedure to store or remove without a lock. These calls take several round trips, under a lock of
//     their own.
//
// A call runs in this order: Store's method and run (store.go), the application's id (applications.go), the dialect
// (extended.go or stock.go), the procedure (procedure.go), its answer (answer.go) and the error (errors.go). The sweeper
// is in sweeper.go, sweepcall.go, pace.go and load.go; mirrorstate install is in install*.go.
//
// The schema in schema/*.sql defines both dialects.
package aspstate
