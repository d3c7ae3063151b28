package session

import (
	"encoding/base64"
	"encoding/binary"
)

// Lock is the proof that its bearer holds a session's exclusive lock. Both parts
// must match and the row must still be locked. A store on the stock schema keeps
// no operation ids and compares the cookie alone.
type Lock struct {
	Operation OperationID // of the acquire that was granted the lock
	Cookie    int32       // the lock cookie it was granted with
}

// IsZero reports whether there is no lock.
func (l Lock) IsZero() bool { return l == Lock{} }

// lockLength is the length of a lock in bytes, before it is written as text.
const lockLength = len(OperationID{}) + 4

// String is the lock's opaque handle, safe in a header or a URL. Whoever has it
// holds the lock: it belongs in no log.
func (l Lock) String() string {
	var b [lockLength]byte
	copy(b[:], l.Operation[:])
	binary.BigEndian.PutUint32(b[len(l.Operation):], uint32(l.Cookie))
	return base64.RawURLEncoding.EncodeToString(b[:])
}

// ParseLock reads a handle that [Lock.String] made. What is malformed is
// [ErrLockLost], like what is stale: a caller can do the same about both.
func ParseLock(s string) (Lock, error) {
	// The length comes first: the decoder skips line ends, and a lock has one handle.
	if len(s) != base64.RawURLEncoding.EncodedLen(lockLength) {
		return Lock{}, ErrLockLost
	}
	b, err := base64.RawURLEncoding.Strict().DecodeString(s)
	if err != nil || len(b) != lockLength {
		return Lock{}, ErrLockLost
	}
	l := Lock{Operation: OperationID(b[:len(OperationID{})])}
	l.Cookie = int32(binary.BigEndian.Uint32(b[len(l.Operation):]))
	return l, nil
}
