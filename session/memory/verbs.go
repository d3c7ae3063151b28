package memory

import (
	"bytes"
	"context"
	"slices"
	"time"

	"github.com/mirrorstate/mirrorstate/session"
)

// Get implements [session.Store].
func (s *Store) Get(ctx context.Context, ref session.Ref, opts session.GetOptions) (session.Session, error) {
	c, err := s.call(ctx, ref)
	if err != nil {
		return session.Session{}, err
	}
	sess, err := s.get(c, opts)
	sess.Item = bytes.Clone(sess.Item)
	return sess, err
}

func (s *Store) get(c call, opts session.GetOptions) (session.Session, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	r := s.rows[c.key]
	switch {
	case r == nil:
		return session.Session{}, session.ErrNotFound
	case r.held(c) && !opts.AllowLocked:
		return session.Session{}, r.lockedError(c)
	case !r.held(c) && !r.live(c):
		return session.Session{}, session.ErrNotFound
	}
	if !opts.Peek {
		r.slide(c)
	}
	sess := r.session()
	if !opts.NoItem {
		sess.Item = r.item
	}
	return sess, nil
}

// Acquire implements [session.Store].
func (s *Store) Acquire(ctx context.Context, ref session.Ref, op session.Operation) (session.Session, session.Lock, error) {
	c, err := s.call(ctx, ref)
	if err != nil {
		return session.Session{}, session.Lock{}, err
	}
	if err := session.CheckTimeout(op.Timeout, op.Seconds); err != nil {
		return session.Session{}, session.Lock{}, err
	}
	op = c.begun(op)
	var (
		sess session.Session
		lock session.Lock
	)
	err = s.decide(c, op, func(known bool) (what outcome, err error) {
		sess, what, err = s.acquireLocked(c, ref, op, known)
		if err == nil {
			lock = session.Lock{Operation: op.ID, Cookie: s.rows[c.key].cookie}
		}
		return what, err
	})
	sess.Item = bytes.Clone(sess.Item)
	return sess, lock, err
}

func (s *Store) acquireLocked(c call, ref session.Ref, op session.Operation, known bool) (session.Session, outcome, error) {
	r, what := s.rows[c.key], found
	switch {
	case r == nil && (known || s.removedLocked(c.key, op.ID)):
		return session.Session{}, nothing, session.ErrLockLost
	case r == nil && op.Create && s.waitedForRemovedLocked(c.key, op):
		return session.Session{}, nothing, session.ErrNotFound
	case r == nil && op.Create:
		r = s.newRowLocked(&c, ref.ID)
		r.makeLocked(c, op)
		what = did
	case r == nil:
		return session.Session{}, nothing, session.ErrNotFound
	case r.holder(session.Lock{Operation: op.ID, Cookie: r.cookie}):
		if r.lockCall != op.Call { // another call has the lock too: no call gives it back any more
			r.lockCall = session.OperationID{}
		}
	case known || r.remembers(op.ID) || r.lockOp == op.ID || s.removedLocked(c.key, op.ID):
		return session.Session{}, nothing, session.ErrLockLost
	case r.held(c):
		return session.Session{}, nothing, r.lockedError(c)
	case !r.live(c) && op.Create && s.waitedForRemovedLocked(c.key, op):
		return session.Session{}, nothing, session.ErrNotFound
	case !r.live(c) && op.Create:
		r.makeLocked(c, op)
		what = did
	case !r.live(c):
		return session.Session{}, nothing, session.ErrNotFound
	default:
		r.grant(c, op)
		what = did
	}
	sess := r.session()
	sess.Made = r.madeBy == op.ID
	sess.Item = r.item
	sess.Uninitialized = r.lockUninitialized
	return sess, what, nil
}

// GiveBack implements [session.Store].
func (s *Store) GiveBack(ctx context.Context, ref session.Ref, lock session.Lock, call session.OperationID) error {
	c, err := s.call(ctx, ref)
	if err != nil {
		return err
	}
	if call.IsZero() {
		call = lock.Operation
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	r := s.rows[c.key]
	if r == nil || !r.holder(lock) || r.lockCall != call {
		return session.ErrLockLost
	}
	r.locked, r.uninitialized = false, r.lockUninitialized
	r.forget(lock.Operation)
	return nil
}

// Update implements [session.Store].
func (s *Store) Update(ctx context.Context, ref session.Ref, lock session.Lock, w session.Write, keep bool, op session.Operation) (session.Session, error) {
	c, err := s.call(ctx, ref)
	if err != nil {
		return session.Session{}, err
	}
	if err := c.check(w); err != nil {
		return session.Session{}, err
	}
	op, item := c.begun(op), cloneItem(w.Item)
	var out session.Session
	err = s.decide(c, op, func(known bool) (outcome, error) {
		r := s.rows[c.key]
		switch {
		case r != nil && (known || r.remembers(op.ID)):
			out = r.stored(op.ID)
			return found, nil
		case known, s.removedLocked(c.key, op.ID): // done, to a session that has been removed since
			out = session.Session{Timeout: w.Timeout}
			return found, nil
		case r == nil, !r.holder(lock):
			return nothing, session.ErrLockLost
		}
		r.setTimeout(c, w.Timeout, w.Seconds)
		r.item, r.uninitialized = item, w.Uninitialized
		r.lockUninitialized = w.Uninitialized
		r.locked = keep
		if keep {
			r.lockDate = c.now
		}
		r.remember(op.ID)
		out = r.stored(op.ID)
		return did, nil
	})
	return out, err
}

// Put implements [session.Store].
func (s *Store) Put(ctx context.Context, ref session.Ref, w session.Write, cond session.Condition, op session.Operation) (session.Session, error) {
	c, err := s.call(ctx, ref)
	if err != nil {
		return session.Session{}, err
	}
	if err := c.check(w); err != nil {
		return session.Session{}, err
	}
	op, w.Item = c.begun(op), cloneItem(w.Item)
	var out session.Session
	err = s.decide(c, op, func(known bool) (outcome, error) {
		r := s.rows[c.key]
		switch {
		case r != nil && (known || r.remembers(op.ID)):
			out = r.stored(op.ID)
			out.Made = r.madeBy == op.ID
			return found, nil
		case known, s.removedLocked(c.key, op.ID): // done, to a session that has been removed since
			out = session.Session{Timeout: w.Timeout}
			return found, nil
		case cond == session.Condition{} && s.waitedForRemovedLocked(c.key, op):
			return nothing, session.ErrNotFound
		}
		if err := r.allows(c, cond); err != nil {
			return nothing, err
		}
		made := r == nil || !r.live(c)
		if r == nil {
			r = s.newRowLocked(&c, ref.ID)
		}
		r.store(c, w, made)
		if made {
			r.madeBy = op.ID
		}
		r.remember(op.ID)
		out = r.stored(op.ID)
		out.Made = made
		return did, nil
	})
	return out, err
}

// Release implements [session.Store].
func (s *Store) Release(ctx context.Context, ref session.Ref, lock session.Lock, op session.Operation) error {
	c, err := s.call(ctx, ref)
	if err != nil {
		return err
	}
	if err := session.CheckTimeout(op.Timeout, op.Seconds); err != nil {
		return err
	}
	op = c.begun(op)
	return s.decide(c, op, func(known bool) (outcome, error) {
		r := s.rows[c.key]
		switch {
		case known, r != nil && r.remembers(op.ID), s.removedLocked(c.key, op.ID):
			return found, nil
		case r == nil, !r.holder(lock):
			return nothing, session.ErrLockLost
		}
		r.setTimeout(c, op.Timeout, op.Seconds)
		r.locked = false
		r.remember(op.ID)
		return did, nil
	})
}

// Remove implements [session.Store].
func (s *Store) Remove(ctx context.Context, ref session.Ref, lock session.Lock, op session.Operation) error {
	c, err := s.call(ctx, ref)
	if err != nil {
		return err
	}
	op = c.begun(op)
	t := tombstone{key: c.key, op: op.ID}
	return s.decide(c, op, func(known bool) (outcome, error) {
		r := s.rows[c.key]
		_, again := s.tombstones[t]
		switch {
		case known, again:
			return found, nil
		case r == nil:
			return nothing, nil // removed already; a session that is created later is another one
		case lock.IsZero() && s.waitedForRemovedLocked(c.key, op):
			return nothing, nil // the session there is another one
		case !lock.IsZero() && !r.holder(lock):
			return nothing, session.ErrLockLost
		case lock.IsZero() && r.held(c) && !op.Break:
			return nothing, r.lockedError(c)
		}
		delete(s.rows, c.key)
		s.recordRemovalLocked(t, removal{at: c.now, created: r.created, ring: r.ring})
		return did, nil
	})
}

// recordRemovalLocked remembers a removal and drops expired ones.
func (s *Store) recordRemovalLocked(t tombstone, r removal) {
	s.tombstones[t] = r
	s.removals = append(s.removals, t)
	old := 0
	for old < len(s.removals) && s.tombstones[s.removals[old]].at.Before(r.at.Add(-tombstoneLife)) {
		delete(s.tombstones, s.removals[old])
		old++
	}
	s.removals = slices.Delete(s.removals, 0, old)
}

// removedLocked reports whether a removed session of the key remembered op.
func (s *Store) removedLocked(k key, op session.OperationID) bool {
	for t, r := range s.tombstones {
		if t.key == k && slices.Contains(r.ring[:], op) {
			return true
		}
	}
	return false
}

// newRowLocked adds a row for a new session. Two sessions of one id must not have the same creation time, so it advances
// c.created if necessary.
func (s *Store) newRowLocked(c *call, id session.ID) *row {
	r := &row{id: id}
	s.rows[c.key] = r
	for s.createdLocked(c.key, c.created.UnixNano()) {
		c.created = c.created.Add(time.Microsecond)
	}
	return r
}

// createdLocked reports whether a removed session of that key was created at that time.
func (s *Store) createdLocked(k key, created int64) bool {
	for t, r := range s.tombstones {
		if t.key == k && r.created.UnixNano() == created {
			return true
		}
	}
	return false
}

// waitedForRemovedLocked reports whether the session that the operation waited for has been removed.
func (s *Store) waitedForRemovedLocked(k key, op session.Operation) bool {
	created, ok := createdOf(op.Waited)
	return ok && s.createdLocked(k, created)
}

// Touch implements [session.Store].
func (s *Store) Touch(ctx context.Context, ref session.Ref, op session.Operation) (session.Session, error) {
	c, err := s.call(ctx, ref)
	if err != nil {
		return session.Session{}, err
	}
	if err := session.CheckTimeout(op.Timeout, op.Seconds); err != nil {
		return session.Session{}, err
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	r := s.rows[c.key]
	if r == nil || !r.held(c) && !r.live(c) {
		return session.Session{}, session.ErrNotFound
	}
	if op.Timeout != 0 || op.Seconds != 0 {
		r.setTimeout(c, op.Timeout, op.Seconds)
	} else {
		r.slide(c)
	}
	return r.session(), nil
}
