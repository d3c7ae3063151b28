package memory

import (
	"errors"
	"time"

	"github.com/mirrorstate/mirrorstate/session"
)

// answered is the answer of one call of an operation that changed nothing.
type answered struct {
	op, call session.OperationID
	at       time.Time
	done     bool // the call found the operation done
	err      error
}

// outcome is what a mutation did.
type outcome int

const (
	nothing outcome = iota
	did
	found // an earlier call had done the operation
)

// settledLife is how long answers are remembered: longer than any call may take.
const settledLife = 10 * time.Minute

// decide runs one mutation under the store's mutex. If another call of the same operation was answered after this one
// began, decide returns that answer instead. The answer of a call that changed nothing is remembered for the operation's
// other calls. known means that one of them found the operation done, even if the session does not remember it.
func (s *Store) decide(c call, op session.Operation, mutation func(known bool) (outcome, error)) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	earlier, known := s.settledLocked(c, op)
	if earlier != nil && !known {
		return earlier.err
	}
	what, err := mutation(known)
	waits := op.AsksAgain && errors.Is(err, session.ErrLocked)
	if what != did && !waits && op.Call != op.ID {
		s.rememberLocked(answered{op.ID, op.Call, c.now, what == found, err})
	}
	return err
}

// settledLocked returns the latest answer that another call of the operation got after this one began, or nil. known
// reports whether any call found the operation done.
func (s *Store) settledLocked(c call, op session.Operation) (earlier *answered, known bool) {
	for i := len(s.settled) - 1; i >= 0; i-- {
		a := &s.settled[i]
		if a.op != op.ID {
			continue
		}
		known = known || a.done && c.now.Before(a.at.Add(settledLife))
		if earlier == nil && a.call != op.Call && a.at.After(op.Began) {
			earlier = a
		}
	}
	return earlier, known
}

// rememberLocked adds an answer and removes expired ones.
func (s *Store) rememberLocked(a answered) {
	old := 0
	for old < len(s.settled) && s.settled[old].at.Before(a.at.Add(-settledLife)) {
		old++
	}
	s.settled = append(s.settled[old:], a)
}
