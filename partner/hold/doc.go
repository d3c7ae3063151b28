// Package hold is where calls wait: in a [Hold] for a principal, and in a [Queue] for one of its connections.
//
// When the principal dies, this happens to a call, in this order:
//
//  1. The caller's attempt fails. It doubts the principal ([Hold.Doubt], state.go): the hold is shut, and no new call starts.
//  2. The call waits ([Hold.Wait], hold.go), and so does each new call. Its number, bytes and time are bounded (bounds.go).
//  3. A probe finds a principal, and the hold opens to it ([Hold.Open], state.go).
//  4. The hold settles: calls that may have been executed already are released first (drain.go).
//  5. The hold drains: calls that hold a session's lock are released next, then the others, a few at a time (drain.go).
//  6. When the last call is released, the hold is open, and calls start at once.
//
// The bounds are shared fairly between callers. A call that need not wait costs one atomic load in the hold and
// one atomic counter in the queue. The package sends no SQL and does not know who is principal.
package hold
