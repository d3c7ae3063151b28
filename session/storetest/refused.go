package storetest

import (
	"errors"
	"testing"

	"github.com/mirrorstate/mirrorstate/session"
)

// revoked is the permission of a caller that has lost all its rights.
type revoked struct{}

var errRevoked = errors.New("the key was revoked")

func (revoked) Permitted() error         { return errRevoked }
func (revoked) MayRegister(string) error { return errRevoked }

// refused: every verb refuses a caller without permission, and does nothing.
func refused(t *testing.T, s Subject) {
	run(t, s, "a call without permission does nothing", func(s *scene) {
		item := s.create()
		_, lock := s.acquire()
		ctx := session.WithPermission(s.ctx, revoked{})
		_, err := s.Store.Update(ctx, s.ref, lock, content(blob(10)), false, op())
		s.fails("update", err, errRevoked)
		s.fails("release", s.Store.Release(ctx, s.ref, lock, op()), errRevoked)
		s.fails("remove", s.Store.Remove(ctx, s.ref, lock, op()), errRevoked)
		s.release(lock)
		_, err = s.Store.Get(ctx, s.ref, session.GetOptions{})
		s.fails("get", err, errRevoked)
		_, err = s.Store.Put(ctx, s.ref, content(blob(10)), unconditional, op())
		s.fails("put", err, errRevoked)
		_, _, err = s.Store.Acquire(ctx, s.ref, op())
		s.fails("acquire", err, errRevoked)
		_, err = s.Store.Touch(ctx, s.ref, op())
		s.fails("touch", err, errRevoked)
		s.holds(item)
		if lister, ok := s.Store.(session.Lister); ok {
			_, err = lister.List(ctx, s.ref.App, "", 10)
			s.fails("list", err, errRevoked)
		}
	}, func(s Subject) string {
		if !s.Permits {
			return "this store asks no permission"
		}
		return ""
	})
}
