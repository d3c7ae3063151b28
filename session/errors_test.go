package session

import (
	"context"
	"errors"
	"fmt"
	"testing"
	"time"
)

// carried is an error with an outcome.
type carried struct{ outcome Outcome }

func (c carried) Error() string    { return "carried" }
func (c carried) Outcome() Outcome { return c.outcome }

func TestOutcomeOf(t *testing.T) {
	for _, test := range []struct {
		name string
		err  error
		want Outcome
	}{
		{"no error", nil, NotApplied},
		{"not found", ErrNotFound, NotApplied},
		{"locked", &LockedError{}, NotApplied},
		{"no principal", fmt.Errorf("put: %w", ErrNoPrincipal), NotApplied},
		{"cancelled", context.Canceled, NotApplied},
		{"outcome unknown", ErrOutcomeUnknown, Unknown},
		{"outcome unknown, wrapped", fmt.Errorf("put: %w", ErrOutcomeUnknown), Unknown},
		{"an error with the outcome applied", carried{Applied}, Applied},
		{"a wrapped error with the outcome unknown", fmt.Errorf("put: %w", carried{Unknown}), Unknown},
		{"an error with the outcome not applied, joined with an unknown one", errors.Join(carried{NotApplied}, ErrOutcomeUnknown), NotApplied},
	} {
		t.Run(test.name, func(t *testing.T) {
			if got := OutcomeOf(test.err); got != test.want {
				t.Errorf("got %v, want %v", got, test.want)
			}
		})
	}
}

func TestOutcome_String(t *testing.T) {
	for outcome, want := range map[Outcome]string{NotApplied: "not-applied", Applied: "applied", Unknown: "unknown"} {
		if got := outcome.String(); got != want {
			t.Errorf("got %q, want %q", got, want)
		}
	}
}

func TestLockedError(t *testing.T) {
	err := fmt.Errorf("acquire: %w", &LockedError{Age: 3 * time.Second})
	if !errors.Is(err, ErrLocked) || errors.Is(err, ErrLockLost) {
		t.Errorf("%v is locked %v, lock lost %v; want only the first", err, errors.Is(err, ErrLocked), errors.Is(err, ErrLockLost))
	}
	var locked *LockedError
	if !errors.As(err, &locked) || locked.Age != 3*time.Second {
		t.Errorf("the age is lost: %v", err)
	}
	if want := "acquire: session is locked for 3s"; err.Error() != want {
		t.Errorf("got %q, want %q", err, want)
	}
}

func TestTooLargeError(t *testing.T) {
	if got, want := (&TooLargeError{Limit: 1000}).Error(), "item is larger than 1000 bytes"; got != want {
		t.Errorf("got %q, want %q", got, want)
	}
}
