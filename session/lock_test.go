package session

import "testing"

func TestNewOperationID(t *testing.T) {
	a, b := NewOperationID(), NewOperationID()
	if a.IsZero() || b.IsZero() || a == b {
		t.Errorf("got %x and %x, want two that differ and are not zero", a, b)
	}
	if !(OperationID{}).IsZero() {
		t.Error("the zero operation id is not zero")
	}
}

func TestLock_IsZero(t *testing.T) {
	if !(Lock{}).IsZero() {
		t.Error("no lock is a lock")
	}
	for _, lock := range []Lock{{Operation: NewOperationID()}, {Cookie: 1}, {Cookie: -1}, {Handle: "x"}} {
		if lock.IsZero() {
			t.Errorf("%+v is no lock", lock)
		}
	}
}
