package classify

import "errors"

// What an op may return (wrapped or not) to steer Do.
var (
	// ErrMoved: the database says that this is another epoch than the caller's,
	// or no principal at all. Nothing was done. Do looks for the principal and runs the op again.
	ErrMoved = errors.New("this partner is not the principal any more")
	// ErrLate: the call reached the database after its NotAfter. Nothing was done. Do runs the op again.
	ErrLate = errors.New("the call came after its not-after time")
)
