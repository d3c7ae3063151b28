package classify

import "errors"

// The errors that an op may return, wrapped or not, to control Do.
var (
	// ErrMoved means that the database has another epoch than the call, or is not the principal's any more. Nothing
	// was done. Do looks for the principal and runs the op again.
	ErrMoved = errors.New("this partner is no longer the principal")
	// ErrLate means that the call reached the database after its NotAfter. Nothing was done. Do runs the op
	// again.
	ErrLate = errors.New("the call reached the database after its not-after time")
)
