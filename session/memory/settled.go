package memory

import (
	"errors"
	"time"

	"github.com/mirrorstate/mirrorstate/session"
)

// answered is what one call of an operation was answered that did nothing.
type answered struct {
	op, call session.OperationID
	at       time.Time
	err      error
}

// settledLife is how long answers are remembered: longer than any call may take.
const settledLife = 10 * time.Minute

// decide runs one mutation under the store's mutex, unless another call of the same
// operation has been answered since this one began: then that answer is this one's, too.
// An answer for which nothing was done is remembered for the operation's other calls.
func (s *Store) decide(c call, op session.Operation, mutation func() (did bool, err error)) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	if earlier := s.answeredLocked(op); earlier != nil {
		return earlier.err
	}
	did, err := mutation()
	waits := op.AsksAgain && errors.Is(err, session.ErrLocked)
	if !did && !waits && op.Call != op.ID {
		s.rememberLocked(answered{op.ID, op.Call, c.now, err})
	}
	return err
}

// answeredLocked finds the answer that another call of the operation got since this one began.
func (s *Store) answeredLocked(op session.Operation) *answered {
	for i := len(s.settled) - 1; i >= 0; i-- {
		if a := &s.settled[i]; a.op == op.ID && a.call != op.Call && a.at.After(op.Began) {
			return a
		}
	}
	return nil
}

// rememberLocked adds an answer and forgets those that are old enough.
func (s *Store) rememberLocked(a answered) {
	old := 0
	for old < len(s.settled) && s.settled[old].at.Before(a.at.Add(-settledLife)) {
		old++
	}
	s.settled = append(s.settled[old:], a)
}
