package memory

import (
	"bytes"
	"context"
	"slices"

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
func (s *Store) Acquire(ctx context.Context, ref session.Ref, op session.OperationID) (session.Session, session.Lock, error) {
	c, err := s.call(ctx, ref)
	if err != nil {
		return session.Session{}, session.Lock{}, err
	}
	sess, lock, err := s.acquire(c, orNew(op))
	sess.Item = bytes.Clone(sess.Item)
	return sess, lock, err
}

func (s *Store) acquire(c call, op session.OperationID) (session.Session, session.Lock, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	r := s.rows[c.key]
	switch {
	case r == nil:
		return session.Session{}, session.Lock{}, session.ErrNotFound
	case r.holder(session.Lock{Operation: op, Cookie: r.cookie}):
		// Its own lock, asked for again.
	case r.remembers(op) || r.lockOp == op:
		return session.Session{}, session.Lock{}, session.ErrLockLost
	case r.held(c):
		return session.Session{}, session.Lock{}, r.lockedError(c)
	case !r.live(c):
		return session.Session{}, session.Lock{}, session.ErrNotFound
	default:
		r.grant(c, op)
	}
	sess := r.session()
	sess.Item = r.item
	sess.Uninitialized = r.lockUninitialized
	return sess, session.Lock{Operation: op, Cookie: r.cookie}, nil
}

// Update implements [session.Store].
func (s *Store) Update(ctx context.Context, ref session.Ref, lock session.Lock, w session.Write, keep bool, op session.OperationID) (session.Session, error) {
	c, err := s.call(ctx, ref)
	if err != nil {
		return session.Session{}, err
	}
	if err := c.check(w); err != nil {
		return session.Session{}, err
	}
	op, item := orNew(op), cloneItem(w.Item)

	s.mu.Lock()
	defer s.mu.Unlock()
	r := s.rows[c.key]
	switch {
	case r != nil && r.remembers(op):
		return r.session(), nil
	case s.buriedLocked(c.key, op): // done, to a session that has been removed since
		return session.Session{Timeout: w.Timeout}, nil
	case r == nil:
		return session.Session{}, session.ErrLockLost
	case !r.holder(lock):
		return session.Session{}, session.ErrLockLost
	}
	if w.Timeout != 0 {
		r.timeout = w.Timeout
	}
	r.expires = c.now.Add(minutes(r.timeout))
	r.item, r.uninitialized = item, w.Uninitialized
	r.locked = keep
	if keep {
		r.lockDate = c.now
	}
	r.remember(op)
	return r.session(), nil
}

// Put implements [session.Store].
func (s *Store) Put(ctx context.Context, ref session.Ref, w session.Write, cond session.Condition, op session.OperationID) (session.Session, error) {
	c, err := s.call(ctx, ref)
	if err != nil {
		return session.Session{}, err
	}
	if err := c.check(w); err != nil {
		return session.Session{}, err
	}
	op, w.Item = orNew(op), cloneItem(w.Item)

	s.mu.Lock()
	defer s.mu.Unlock()
	r := s.rows[c.key]
	if r != nil && r.remembers(op) {
		sess := r.session()
		sess.Made = r.madeBy(op)
		return sess, nil
	}
	if s.buriedLocked(c.key, op) { // done, to a session that has been removed since
		return session.Session{Timeout: w.Timeout}, nil
	}
	if err := r.allows(c, cond); err != nil {
		return session.Session{}, err
	}
	made := r == nil || !r.live(c)
	if r == nil {
		r = &row{id: ref.ID}
		s.rows[c.key] = r
	}
	r.store(c, w, made)
	r.remember(op)
	sess := r.session()
	sess.Made = made
	return sess, nil
}

// Release implements [session.Store].
func (s *Store) Release(ctx context.Context, ref session.Ref, lock session.Lock, op session.OperationID) error {
	c, err := s.call(ctx, ref)
	if err != nil {
		return err
	}
	op = orNew(op)

	s.mu.Lock()
	defer s.mu.Unlock()
	r := s.rows[c.key]
	switch {
	case r != nil && r.remembers(op), s.buriedLocked(c.key, op):
		return nil
	case r == nil:
		return session.ErrLockLost
	case !r.holder(lock):
		return session.ErrLockLost
	}
	r.expires = c.now.Add(minutes(r.timeout))
	r.locked = false
	r.remember(op)
	return nil
}

// Remove implements [session.Store].
func (s *Store) Remove(ctx context.Context, ref session.Ref, lock session.Lock, op session.OperationID) error {
	c, err := s.call(ctx, ref)
	if err != nil {
		return err
	}
	t := tombstone{key: c.key, op: orNew(op)}

	s.mu.Lock()
	defer s.mu.Unlock()
	r := s.rows[c.key]
	_, again := s.tombstones[t]
	switch {
	case r == nil || again:
		return nil
	case !lock.IsZero() && !r.holder(lock):
		return session.ErrLockLost
	case lock.IsZero() && r.held(c):
		return r.lockedError(c)
	}
	delete(s.rows, c.key)
	s.buryLocked(t, removal{at: c.now, ring: r.ring})
	return nil
}

// buryLocked remembers a removal and forgets those that are old enough.
func (s *Store) buryLocked(t tombstone, r removal) {
	s.tombstones[t] = r
	s.removals = append(s.removals, t)
	old := 0
	for old < len(s.removals) && s.tombstones[s.removals[old]].at.Before(r.at.Add(-tombstoneLife)) {
		delete(s.tombstones, s.removals[old])
		old++
	}
	s.removals = slices.Delete(s.removals, 0, old)
}

// buriedLocked tells whether a session of the key that was removed remembered op.
func (s *Store) buriedLocked(k key, op session.OperationID) bool {
	for t, r := range s.tombstones {
		if t.key == k && slices.Contains(r.ring[:], op) {
			return true
		}
	}
	return false
}

// Touch implements [session.Store].
func (s *Store) Touch(ctx context.Context, ref session.Ref) (session.Session, error) {
	c, err := s.call(ctx, ref)
	if err != nil {
		return session.Session{}, err
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	r := s.rows[c.key]
	if r == nil || !r.held(c) && !r.live(c) {
		return session.Session{}, session.ErrNotFound
	}
	r.slide(c)
	return r.session(), nil
}
