package memory_test

import (
	"errors"
	"testing"
	"time"

	"github.com/mirrorstate/mirrorstate/session"
	"github.com/mirrorstate/mirrorstate/session/memory"
)

// TestAcquire_answeredWhileItWaits: two calls of one acquire wait for the lock, and one gets ErrNotFound. That is
// also the answer of the other, which does not get the lock of a session that is created later.
func TestAcquire_answeredWhileItWaits(t *testing.T) {
	s := memory.New(nil)
	ref := session.Ref{App: &session.Application{Name: "answered"}, ID: "a"}
	id, began := session.NewOperationID(), time.Now()
	acquire := func() error {
		_, _, err := s.Acquire(t.Context(), ref, session.Operation{ID: id, Call: session.NewOperationID(), Began: began, AsksAgain: true})
		return err
	}
	if err := acquire(); !errors.Is(err, session.ErrNotFound) {
		t.Fatalf("one call: got %v, want %v", err, session.ErrNotFound)
	}
	if _, err := s.Put(t.Context(), ref, session.Write{Item: []byte("1")}, session.Condition{}, session.Operation{}); err != nil {
		t.Fatal(err)
	}
	if err := acquire(); !errors.Is(err, session.ErrNotFound) {
		t.Errorf("the other call, later: got %v, want %v", err, session.ErrNotFound)
	}
}

// TestAcquire_refusedWhileItWaits: "locked" is not a final answer for a call that waits.
func TestAcquire_refusedWhileItWaits(t *testing.T) {
	s := memory.New(nil)
	ref := session.Ref{App: &session.Application{Name: "refused"}, ID: "a"}
	if _, err := s.Put(t.Context(), ref, session.Write{Item: []byte("1")}, session.Condition{}, session.Operation{}); err != nil {
		t.Fatal(err)
	}
	_, lock, err := s.Acquire(t.Context(), ref, session.Operation{})
	if err != nil {
		t.Fatal(err)
	}
	op := session.Operation{ID: session.NewOperationID(), Call: session.NewOperationID(), Began: time.Now(), AsksAgain: true}
	other := op
	other.Call = session.NewOperationID()
	if _, _, err := s.Acquire(t.Context(), ref, op); !errors.Is(err, session.ErrLocked) {
		t.Fatalf("got %v, want %v", err, session.ErrLocked)
	}
	if err := s.Release(t.Context(), ref, lock, session.Operation{}); err != nil {
		t.Fatal(err)
	}
	if _, _, err := s.Acquire(t.Context(), ref, other); err != nil {
		t.Errorf("the other call, once the lock is free: %v", err)
	}
}
