package session

// Lock is the proof that its bearer holds a session's exclusive lock. Operation and
// cookie must both match, and the row must still be locked. A store on the stock schema
// keeps no operation ids and compares the cookie alone.
//
// Whoever has a lock's parts holds the lock: they belong in no log and no answer.
// Package proxy gives callers a sealed handle instead.
type Lock struct {
	Operation OperationID // of the acquire that was granted the lock
	Cookie    int32       // the lock cookie it was granted with

	// Handle is the lock as a server of the HTTP API names it to its callers, and all
	// that a client of one knows of it. No other store gives it or looks at it.
	Handle string
}

// IsZero reports whether there is no lock.
func (l Lock) IsZero() bool { return l == Lock{} }
