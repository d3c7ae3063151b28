package partner

import (
	"errors"
	"fmt"
	"time"

	"github.com/mirrorstate/mirrorstate/partner/classify"
)

// Outcome says whether a call was executed.
type Outcome int

// The outcomes of a call.
const (
	NotApplied Outcome = iota // the call was not executed
	Applied                   // the call was executed
	Unknown                   // the call was sent, and nobody knows whether it was executed
)

// String returns the name used in problem details: not-applied, applied or unknown.
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

// Kind says why a call ended without an answer. A Kind is an error, and errors.Is and errors.AsType find it in a
// *CallError. A store turns it into an error of its own.
type Kind int

// The kinds.
const (
	// Cancelled means that the caller's context was cancelled. CallError.Cause has the cause.
	Cancelled Kind = iota
	// NoPrincipal means that no partner was principal before the window or the caller's deadline was over.
	// Outcome NotApplied.
	NoPrincipal
	// Busy means that a partner is principal, but the window or the caller's deadline was over first. Too
	// many other calls were released first, or used all connections. Outcome NotApplied.
	Busy
	// OutcomeUnknown means that a write was sent and not answered before the time was over. Outcome Unknown.
	OutcomeUnknown
	// Closed means that the pair's Run has ended.
	Closed
)

// String describes the kind.
func (k Kind) String() string {
	return [...]string{
		Cancelled:      "the caller cancelled the call",
		NoPrincipal:    "no partner is principal",
		Busy:           "a partner is principal, but too many calls wait for it",
		OutcomeUnknown: "the call was sent and not answered",
		Closed:         "the pair is closed",
	}[k]
}

// Error implements error.
func (k Kind) Error() string { return k.String() }

// CallError is the error of a call that ended without an answer.
type CallError struct {
	Label    string        // Call.Label
	Attempts int           // number of attempts
	Held     time.Duration // how long the call took in total, including waits in the hold
	Result   Outcome       // NotApplied or Unknown
	Kind     Kind
	Cause    error // why ctx was cancelled, the error of the last attempt, both, or nil
}

// Error implements error.
func (e *CallError) Error() string {
	text := fmt.Sprintf("%s, attempt %d, %s", e.Label, e.Attempts, e.Held.Round(time.Millisecond))
	if e.Kind != Cancelled { // then the cause says why
		text += ": " + e.Kind.Error()
	}
	if e.Cause != nil {
		text += ": " + e.Cause.Error()
	}
	return text
}

// Unwrap returns the kind and the cause.
func (e *CallError) Unwrap() []error {
	if e.Cause == nil {
		return []error{e.Kind}
	}
	return []error{e.Kind, e.Cause}
}

// Outcome returns Result. OutcomeOf calls it.
func (e *CallError) Outcome() Outcome { return e.Result }

// OutcomeOf returns the outcome of a call that ended with err. It is Applied for nil. If err has a method
// Outcome() Outcome, that decides. Otherwise the class decides: Unknown if there was no answer, NotApplied if
// the server or the op answered with an error.
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

// RefusedError means that an operator's verb was refused, by the server or by a check before anything
// was sent.
type RefusedError struct {
	Number  int32  // SQL Server's error number, also if the check was ours; 0 if there is none
	Message string // what is wrong
	Advice  string // what to do about it
}

// Error implements error.
func (e *RefusedError) Error() string {
	return fmt.Sprintf("refused (%d): %s; %s", e.Number, e.Message, e.Advice)
}

// Refusal returns the parts of the error. A caller can find this method without importing this package.
func (e *RefusedError) Refusal() (number int32, message, advice string) {
	return e.Number, e.Message, e.Advice
}
