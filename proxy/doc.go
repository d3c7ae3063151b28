// Package proxy is the HTTP face of mirrorstate: the session API, the operators' listener, and the server that serves
// both.
//
// A request of the session API takes these steps:
//
//  1. The route is found (routes.go), and its handler runs the call (call.go).
//  2. The caller is authenticated and its rights are checked (access.go, package keyring).
//  3. The request is decoded, and its item is read (call.go, request.go, itemmemory.go).
//  4. The operation id is made from the Idempotency-Key (operation.go, requestmemory.go).
//  5. The verb runs (reads.go, writes.go, locks.go, listing.go). With ?wait= it waits for a lock (lockwait.go,
//     waiters.go).
//  6. The call gets a place at the store (admit.go, admission.go), and one method of [session.Store] is called.
//  7. The answer is written (answer.go), or the problem (errors.go).
//
// Connections, places at the store and bytes of items are bounded (connections.go, admission.go, itemmemory.go). The
// package costs a few microseconds beside net/http and no goroutine of its own. It does not know the partners: it sees
// the pair through [PairView].
//
// Callers never see a tag, a lock or an operation id as the store has it. Answers have tags and locks sealed with the
// fleet's secret; requests return them, and they are opened here (seal.go, sealed.go).
//
// The contract is openapi.yaml, served at GET /openapi.yaml. The routes of each listener are in one table (routes.go).
// One table turns errors into problem details (errors.go).
package proxy
