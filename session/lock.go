package session

// Lock proves that its holder has a session's exclusive lock. Operation and cookie must both match, and the row must
// still be locked. A store on the stock schema keeps no operation ids and compares the cookie only.
//
// Whoever knows a lock's parts has the lock: never log or answer them. Package proxy gives callers a sealed handle
// instead.
type Lock struct {
	Operation OperationID // of the acquire that was granted the lock
	Cookie    int32       // the lock cookie it was granted with

	// Handle is the lock as a server of the HTTP API names it to its callers. A client of such a server knows nothing
	// else of the lock. Other stores neither set nor use it.
	Handle string
}

// IsZero reports whether there is no lock.
func (l Lock) IsZero() bool { return l == Lock{} }
