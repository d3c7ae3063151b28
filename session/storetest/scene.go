package storetest

import (
	"bytes"
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"testing"
	"time"

	"github.com/mirrorstate/mirrorstate/session"
)

// scene is one subtest: its deadline, its session's name, and the verbs of the store. The verbs must succeed.
type scene struct {
	*testing.T
	Subject
	ctx context.Context
	ref session.Ref

	own, other session.Lock // the session's lock: the caller's own, and another caller's
	netCookie  int32        // the cookie of .NET's lock
}

// noLock and unconditional name the zero values where they are arguments.
var (
	noLock        session.Lock
	unconditional session.Condition
)

func op() session.Operation { return session.NewOperation() }

// blob returns n random bytes, so that no two items are equal.
func blob(n int) []byte {
	b := make([]byte, n)
	rand.Read(b)
	return b
}

// content returns a Write that keeps the session's timeout.
func content(item []byte) session.Write { return session.Write{Item: item} }

// create creates the session and returns its item.
func (s *scene) create() []byte {
	s.Helper()
	item := blob(64)
	s.put(item)
	return item
}

func (s *scene) put(item []byte) session.Session {
	s.Helper()
	sess, err := s.Store.Put(s.ctx, s.ref, content(item), unconditional, op())
	s.noError("put", err)
	return sess
}

func (s *scene) get() session.Session {
	s.Helper()
	sess, err := s.Store.Get(s.ctx, s.ref, session.GetOptions{})
	s.noError("get", err)
	return sess
}

// peek reads everything, without renewing the expiry, and also if another caller holds the lock.
func (s *scene) peek() (session.Session, error) {
	return s.Store.Get(s.ctx, s.ref, session.GetOptions{Peek: true, NoItem: true, AllowLocked: true})
}

func (s *scene) acquire() (session.Session, session.Lock) {
	s.Helper()
	sess, lock, err := s.Store.Acquire(s.ctx, s.ref, op())
	s.noError("acquire", err)
	return sess, lock
}

func (s *scene) update(lock session.Lock, item []byte) session.Session {
	s.Helper()
	sess, err := s.Store.Update(s.ctx, s.ref, lock, content(item), false, op())
	s.noError("update", err)
	return sess
}

func (s *scene) keep(lock session.Lock, item []byte) session.Session {
	s.Helper()
	sess, err := s.Store.Update(s.ctx, s.ref, lock, content(item), true, op())
	s.noError("update that keeps the lock", err)
	return sess
}

func (s *scene) release(lock session.Lock) {
	s.Helper()
	s.noError("release", s.Store.Release(s.ctx, s.ref, lock, op()))
}

func (s *scene) remove(lock session.Lock) {
	s.Helper()
	s.noError("remove", s.Store.Remove(s.ctx, s.ref, lock, op()))
}

func (s *scene) touch() session.Session {
	s.Helper()
	sess, err := s.Store.Touch(s.ctx, s.ref, session.Operation{})
	s.noError("touch", err)
	return sess
}

func (s *scene) age(d time.Duration) {
	s.Helper()
	s.Age(s.T, s.ref, d)
}

func (s *scene) noError(what string, err error) {
	s.Helper()
	if err != nil {
		s.Fatalf("%s: %v", what, err)
	}
}

// fails checks that err is target.
func (s *scene) fails(what string, err, target error) {
	s.Helper()
	if !errors.Is(err, target) {
		s.Fatalf("%s: got error %v, want %v", what, err, target)
	}
	if got := session.OutcomeOf(err); got != session.NotApplied {
		s.Fatalf("%s: the outcome of %v is %v, want %v", what, err, got, session.NotApplied)
	}
}

// locked checks that err is a *LockedError, and returns the lock's age.
func (s *scene) locked(what string, err error) time.Duration {
	s.Helper()
	s.fails(what, err, session.ErrLocked)
	var locked *session.LockedError
	if !errors.As(err, &locked) {
		s.Fatalf("%s: got error %T, want a *session.LockedError", what, err)
	}
	return locked.Age
}

// lockLost checks that every verb that takes a lock refuses this one. A removal with a zero lock would mean "without
// a lock", so the lock must not be zero for it.
func (s *scene) lockLost(lock session.Lock) {
	s.Helper()
	_, err := s.Store.Update(s.ctx, s.ref, lock, content(blob(10)), false, op())
	s.fails("update", err, session.ErrLockLost)
	if s.Extended { // the stock schema cannot keep a lock
		_, err = s.Store.Update(s.ctx, s.ref, lock, content(blob(10)), true, op())
		s.fails("update that keeps the lock", err, session.ErrLockLost)
	}
	s.fails("release", s.Store.Release(s.ctx, s.ref, lock, op()), session.ErrLockLost)
	if !lock.IsZero() {
		s.fails("remove", s.Store.Remove(s.ctx, s.ref, lock, op()), session.ErrLockLost)
	}
}

// holds checks that the session is unlocked and has item.
func (s *scene) holds(item []byte) {
	s.Helper()
	s.same("get", s.get().Item, item)
}

// same compares items. Its failure message does not contain the whole items.
func (s *scene) same(what string, got, want []byte) {
	s.Helper()
	if bytes.Equal(got, want) {
		return
	}
	s.Fatalf("%s: got another item: %s, want %s", what, brief(got), brief(want))
}

// brief describes an item in a failure message.
func brief(item []byte) string {
	if len(item) <= 16 {
		return fmt.Sprintf("%d bytes %x", len(item), item)
	}
	return fmt.Sprintf("%d bytes %x…%x", len(item), item[:8], item[len(item)-4:])
}

// gone checks that the session does not exist.
func (s *scene) gone() {
	s.Helper()
	_, err := s.Store.Get(s.ctx, s.ref, session.GetOptions{})
	s.fails("get", err, session.ErrNotFound)
}

// there checks that the session exists, without renewing it.
func (s *scene) there() {
	s.Helper()
	_, err := s.peek()
	s.noError("peek", err)
}
