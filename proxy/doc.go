// Package proxy is the HTTP face of mirrorstate: the session API, the operators'
// listener, and the server both run in.
//
// A handler decodes, calls one method of [session.Store] and encodes; what all
// have in common is in one place (call.go). It costs a few microseconds beside
// net/http, one store call a request, and no goroutine of its own. It does not know
// what a partner is: the pair is seen through [PairView].
//
// Before a body is read it is known who calls, and whether for what is theirs (access.go,
// package keyring). Connections, places at the store and bytes of items are bounded
// (connections.go, admission.go, itemmemory.go).
//
// Callers never see a tag or a lock as the store knows it, nor any operation id: both are
// sealed with the fleet's secret on their way out, and opened on their way in (seal.go, sealed.go).
//
// The contract is openapi.yaml, served at GET /openapi.yaml. Errors become
// problem details by the one table in errors.go. Callers that wait for a locked
// session queue in this process first come first served; see waiters.go.
package proxy
