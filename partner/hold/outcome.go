package hold

import (
	"errors"
	"fmt"
	"time"
)

// Why a wait in the hold ends without a principal, besides the error of the caller's context.
var (
	// ErrExpired: no partner was principal within the limit.
	ErrExpired = errors.New("no partner was principal in time")
	// ErrTurn: a partner was principal, and the call's turn did not come within the limit.
	ErrBusy = errors.New("a partner is principal, and the call's turn did not come in time")
	// ErrFull: too many calls, or too many bytes, wait already. See FullError.
	ErrFull = errors.New("the hold is full")
	// ErrClosed: the hold is closed.
	ErrClosed = errors.New("the hold is closed")
)

// FullError is an ErrFull that says which bound was met. Outcome NotApplied.
type FullError struct {
	Bound string // "size" or "bytes"
	Limit int64  // its value, in calls or bytes
}

// Error implements error.
func (e *FullError) Error() string {
	return fmt.Sprintf("%v: %s %d", ErrFull, e.Bound, e.Limit)
}

// Is makes it an ErrFull.
func (e *FullError) Is(target error) bool { return target == ErrFull }

// Outcome says why a call is not in the hold any more.
type Outcome int

// The outcomes.
const (
	Drained  Outcome = iota // let go to a principal
	Expired                 // the window was over, without a principal
	Left                    // its caller left, or the server ended
	Rejected                // the hold was full
	Late                    // the window was over, and a principal served: too many were before it
)

// String is the word used in metrics.
func (o Outcome) String() string {
	return [...]string{"drained", "expired", "left", "rejected", "late"}[o]
}

// OutcomeOf is the outcome of a wait that ended with err.
func OutcomeOf(err error) Outcome {
	switch {
	case err == nil:
		return Drained
	case errors.Is(err, ErrFull):
		return Rejected
	case errors.Is(err, ErrBusy):
		return Late
	case errors.Is(err, ErrExpired):
		return Expired
	}
	return Left
}

// Stats counts what the hold did since the start.
type Stats struct {
	Held     int           `json:"held"`        // waiting now, of all kinds: [Config] bounds each of them, and those that were sent before not at all
	Bytes    int64         `json:"bytes"`       // theirs
	Total    uint64        `json:"total"`       // ever let in
	Rejected uint64        `json:"rejected"`    // turned away because the hold was full
	Evicted  uint64        `json:"evicted"`     // refused after they were let in, to make room for a caller with less in the hold
	Expired  uint64        `json:"expired"`     // given up because the window was over
	Late     uint64        `json:"late"`        // given up because the window was over, although a principal served
	Left     uint64        `json:"left"`        // gone because their caller was
	Drained  uint64        `json:"drained"`     // let go to a principal
	MaxWait  time.Duration `json:"max_wait_ns"` // longest wait of a drained call
}
