// Package proxy is the HTTP face of mirrorstate: the session API, the operators' listener, and the server that serves
// both.
//
// A request takes one straight way. A handler decodes it (call.go, request.go), lets it through to the store
// (admit.go), calls one method of [session.Store] and encodes the answer (answer.go). The package costs a few
// microseconds beside net/http, one call of the store for each request, and no goroutine of its own. It knows no
// partners: it sees the pair through [PairView].
//
// Before a body is read, the caller is authenticated and its rights are checked (access.go, package keyring).
// Connections, places at the store and bytes of items are bounded (connections.go, admission.go, itemmemory.go).
//
// Callers never see a tag, a lock or an operation id as the store has it. Tags and locks are sealed with the fleet's
// secret when they leave and opened when they return (seal.go, sealed.go).
//
// The contract is openapi.yaml, served at GET /openapi.yaml. The routes of each listener are in one table
// (routes.go). Errors become problem details by one table (errors.go). Callers that wait for a locked session queue
// in this process, first come first served (waiters.go).
package proxy
