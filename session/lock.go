package session

// Lock proves that its holder has a session's exclusive lock. Operation and cookie must both match, and the row must
// still be locked. A store on the stock schema keeps no operation ids and compares the cookie only.
//
// A caller that knows a lock's parts can use the lock. So they must not be logged or answered; package proxy gives
// callers a sealed handle instead.
type Lock struct {
	Operation OperationID // the operation id of the acquire that was granted the lock
	Cookie    int32       // the lock cookie of that grant

	// Handle is the sealed handle that a server of the HTTP API gives to its callers. A client of such a server knows
	// only the handle. Other stores neither set nor use it.
	Handle string
}

// IsZero reports whether there is no lock.
func (l Lock) IsZero() bool { return l == Lock{} }
