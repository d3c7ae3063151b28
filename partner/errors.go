package partner

import (
	"errors"
	"fmt"
	"time"

	"github.com/mirrorstate/mirrorstate/partner/classify"
)

// Outcome says what became of a call's effect in the database.
type Outcome int

// The three ways a call ends.
const (
	NotApplied Outcome = iota // nothing was done
	Applied                   // it was done
	Unknown                   // it was sent, and nobody can say
)

// String is the word used in problem details: not-applied, applied, unknown.
func (o Outcome) String() string {
	switch o {
	case Applied:
		return "applied"
	case Unknown:
		return "unknown"
	default:
		return "not-applied"
	}
}

// What Do returns beside the op's own permanent errors. Use errors.Is.
var (
	// ErrNoPrincipal: the window or the caller's deadline is over, no partner
	// served, and nothing was done. Outcome NotApplied.
	ErrNoPrincipal = errors.New("no partner is principal")
	// ErrBusy: a partner serves, but the window or the caller's deadline was over before
	// this call's turn came: others were let go first, or had all the connections.
	// Nothing was done. Outcome NotApplied.
	ErrBusy = errors.New("a partner is principal, but too many calls wait for it")
	// ErrOutcomeUnknown: a write was sent, nobody answered, and time is over. Outcome Unknown.
	ErrOutcomeUnknown = errors.New("the call was sent and not answered")
	// ErrClosed: the pair's Run has ended.
	ErrClosed = errors.New("the pair is closed")
)

// CallError is how Do ends a call that has no answer of its own: it says which
// call, after how many attempts and how long, what became of it, and why.
type CallError struct {
	Label    string
	Attempts int           // how often it was tried
	Held     time.Duration // how long it waited in all, holds included
	Result   Outcome       // NotApplied or Unknown
	Kind     error         // ErrNoPrincipal, ErrBusy, ErrOutcomeUnknown, ErrClosed, a context error, or nil
	Cause    error         // the last attempt's error, or nil
}

// Error implements error.
func (e *CallError) Error() string {
	text := fmt.Sprintf("%s, attempt %d, %s", e.Label, e.Attempts, e.Held.Round(time.Millisecond))
	for _, err := range []error{e.Kind, e.Cause} {
		if err != nil {
			text += ": " + err.Error()
		}
	}
	return text
}

// Unwrap gives both the kind and the cause to errors.Is and errors.As.
func (e *CallError) Unwrap() []error {
	errs := make([]error, 0, 2)
	for _, err := range []error{e.Kind, e.Cause} {
		if err != nil {
			errs = append(errs, err)
		}
	}
	return errs
}

// Outcome implements the method OutcomeOf looks for.
func (e *CallError) Outcome() Outcome { return e.Result }

// OutcomeOf says what became of a call that ended with err: Applied for nil,
// what the error itself answers through a method Outcome() Outcome, and
// otherwise what its class tells: an answer of the server that it failed is
// NotApplied, silence is Unknown.
func OutcomeOf(err error) Outcome {
	if err == nil {
		return Applied
	}
	if o, ok := errors.AsType[interface {
		error
		Outcome() Outcome
	}](err); ok {
		return o.Outcome()
	}
	if classify.Classify(err, classify.Executing) == classify.Ambiguous {
		return Unknown
	}
	return NotApplied
}

// RefusedError says that an operators' verb was not carried out, by the server
// or by a check made before anything was sent.
type RefusedError struct {
	Number  int32  // SQL Server's number for it, also where the check was ours
	Message string // what is wrong
	Advice  string // what to do about it
}

// Error implements error.
func (e *RefusedError) Error() string {
	return fmt.Sprintf("refused (%d): %s; %s", e.Number, e.Message, e.Advice)
}

// Refusal gives the parts to who shows them, without that one knowing this package.
func (e *RefusedError) Refusal() (number int32, message, advice string) {
	return e.Number, e.Message, e.Advice
}
