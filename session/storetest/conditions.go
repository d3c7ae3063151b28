package storetest

import (
	"testing"
	"time"

	"github.com/mirrorstate/mirrorstate/session"
)

// conditions: a put with a tag replaces only that version. The stock schema has other tags.
func conditions(t *testing.T, s Subject) {
	run(t, s, "the version that was read can be replaced", func(s *scene) {
		s.create()
		item := blob(20)
		_, err := s.putMatch(s.get().Tag, item)
		s.noError("put", err)
		s.holds(item)
	}, extended)
	run(t, s, "the tag in the answer to a put is that of the next read", func(s *scene) {
		put := s.put(blob(10))
		if got := s.get(); got.Tag != put.Tag || got.Tag == "" {
			s.Fatalf("the put answers tag %q, the read %q; want one tag", put.Tag, got.Tag)
		}
		next, err := s.putMatch(put.Tag, blob(10))
		s.noError("put", err)
		_, err = s.putMatch(next.Tag, blob(10))
		s.noError("put with the answer's tag", err)
	}, extended)
	run(t, s, "another version is not replaced", func(s *scene) {
		s.create()
		old := s.get().Tag
		item := s.create()
		_, err := s.putMatch(old, blob(10))
		s.fails("put", err, session.ErrPrecondition)
		s.holds(item)
	}, extended)
	run(t, s, "a put with a tag does not create a session", func(s *scene) {
		s.create()
		tag := s.get().Tag
		s.remove(noLock)
		_, err := s.putMatch(tag, blob(10))
		s.fails("put", err, session.ErrPrecondition)
		s.gone()
	}, extended)
	run(t, s, "a tag does not match a session that was created again", func(s *scene) {
		item := s.create()
		tag := s.get().Tag
		s.remove(noLock)
		s.put(item)
		_, err := s.putMatch(tag, blob(10))
		s.fails("put", err, session.ErrPrecondition)
		s.holds(item)
	}, extended)
	run(t, s, "an invalid tag matches no version", func(s *scene) {
		item := s.create()
		for _, tag := range []session.Tag{"x", "AAAA", session.Tag(session.NewID())} {
			_, err := s.putMatch(tag, blob(10))
			s.fails("put", err, session.ErrPrecondition)
		}
		s.holds(item)
	}, extended)
	run(t, s, "a put with a tag is refused while the session is locked", func(s *scene) {
		s.create()
		before := s.get().Tag
		_, lock := s.acquire()
		sess, err := s.peek()
		s.noError("peek", err)
		for _, tag := range []session.Tag{before, sess.Tag} {
			_, err = s.putMatch(tag, blob(10))
			s.locked("put", err)
		}
		s.release(lock)
	}, extended)
	run(t, s, "an abandoned lock does not stop a put with the right tag", func(s *scene) {
		s.create()
		_, old := s.acquire()
		sess, err := s.peek()
		s.noError("peek", err)
		s.age(mainApp.LockTimeout + time.Second)
		item := blob(10)
		_, err = s.putMatch(sess.Tag, item)
		s.noError("put", err)
		s.lockLost(old)
		s.holds(item)
	}, extended, aged)
	tagsOfRepeats(t, s)
}

// tagsOfRepeats: a repeated write returns the tag of its own version, so that its caller does not overwrite a version
// that it never saw.
func tagsOfRepeats(t *testing.T, s Subject) {
	for verb, write := range map[string]func(*scene, session.Lock, session.Operation) (session.Session, error){
		"put": func(s *scene, _ session.Lock, op session.Operation) (session.Session, error) {
			return s.Store.Put(s.ctx, s.ref, content(blob(10)), unconditional, op)
		},
		"update": func(s *scene, lock session.Lock, op session.Operation) (session.Session, error) {
			return s.Store.Update(s.ctx, s.ref, lock, content(blob(10)), false, op)
		},
	} {
		run(t, s, "the tag of "+verb+" that is sent again is not that of a later version", func(s *scene) {
			s.create()
			_, lock := s.acquire()
			if verb == "put" {
				s.release(lock)
			}
			again := op()
			first, err := write(s, lock, again)
			s.noError(verb, err)
			if same, err := write(s, lock, again); err != nil || same.Tag != first.Tag {
				s.Errorf("sent again without another write: got tag %q, %v, want %q", same.Tag, err, first.Tag)
			}
			item := s.create()
			late, err := write(s, lock, again)
			s.noError(verb+" sent again", err)
			_, err = s.putMatch(late.Tag, blob(10))
			s.fails("put on its tag", err, session.ErrPrecondition)
			s.holds(item)
		}, extended)
	}
}

func (s *scene) putMatch(tag session.Tag, item []byte) (session.Session, error) {
	return s.Store.Put(s.ctx, s.ref, content(item), session.Condition{Match: tag}, op())
}

// tags: a tag changes if something is stored, locked or released, and only then.
func tags(t *testing.T, s Subject) {
	for _, step := range []struct {
		verb    string
		use     func(*scene, session.Lock)
		changes bool
	}{
		{"get", func(s *scene, _ session.Lock) {
			_, err := s.Store.Get(s.ctx, s.ref, session.GetOptions{AllowLocked: true})
			s.noError("get", err)
		}, false},
		{"peek", func(s *scene, _ session.Lock) { s.there() }, false},
		{"touch", func(s *scene, _ session.Lock) { s.touch() }, false},
		{"update that keeps the lock", func(s *scene, lock session.Lock) { s.keep(lock, blob(10)) }, true},
		{"update", func(s *scene, lock session.Lock) { s.update(lock, blob(10)) }, true},
		{"release", func(s *scene, lock session.Lock) { s.release(lock) }, true},
	} {
		run(t, s, step.verb+" under a lock", func(s *scene) {
			s.create()
			_, lock := s.acquire()
			s.changesTag(step.changes, func() { step.use(s, lock) })
		}, extended)
	}
	run(t, s, "acquire", func(s *scene) {
		s.create()
		s.changesTag(true, func() { s.acquire() })
	}, extended)
	run(t, s, "a refused acquire", func(s *scene) {
		s.create()
		s.acquire()
		s.changesTag(false, func() {
			_, _, err := s.Store.Acquire(s.ctx, s.ref, op())
			s.locked("acquire", err)
		})
	}, extended)
	run(t, s, "put, even of the same item", func(s *scene) {
		item := s.create()
		s.changesTag(true, func() { s.put(item) })
	}, extended)
	run(t, s, "get, put's refusals and touch without a lock", func(s *scene) {
		s.create()
		s.changesTag(false, func() {
			s.get()
			s.touch()
			_, err := s.Store.Put(s.ctx, s.ref, content(blob(10)), session.Condition{OnlyCreate: true}, op())
			s.fails("only-create", err, session.ErrPrecondition)
		})
	}, extended)
	run(t, s, "get that renews the expiry", func(s *scene) {
		s.create()
		s.age(most)
		s.changesTag(false, func() { s.get() })
	}, extended, aged)
}

// changesTag checks whether do changes the tag.
func (s *scene) changesTag(want bool, do func()) {
	s.Helper()
	before, err := s.peek()
	s.noError("peek before", err)
	do()
	after, err := s.peek()
	s.noError("peek after", err)
	if before.Tag == "" || after.Tag == "" {
		s.Fatalf("there is no tag: %q before, %q after", before.Tag, after.Tag)
	}
	if got := before.Tag != after.Tag; got != want {
		s.Errorf("the tag changed: %v, want %v", got, want)
	}
}
