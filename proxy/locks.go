package proxy

import (
	"context"
	"errors"
	"net/http"
	"time"

	"github.com/mirrorstate/mirrorstate/proxy/keyring"
	"github.com/mirrorstate/mirrorstate/session"
)

// releaseTimeout bounds the release of a lock whose caller has left.
const releaseTimeout = 5 * time.Second

// createParameter is the parameter with which an acquire creates a session that does not exist.
const createParameter = "create"

// acquire is POST /v1/apps/{app}/sessions/{id}/lock[?wait=…][&create=true]: 200 with the item and Session-Lock, or 201
// if it created the session.
func acquire(ctx context.Context, c *call) (err error) {
	if c.op.Create, err = c.flag(createParameter, "true"); err != nil {
		return err
	}
	if err := c.takeTimeout(c.op.Create); err != nil {
		return err
	}
	if _, err := c.api.secrets.sealer(ctx); err != nil { // before a lock is granted that cannot be sealed
		return err
	}
	m := &c.api.memory
	granted, err := admitWhenUnlocked(ctx, c, false, func(ctx context.Context, store session.Store) (grant, error) {
		if m.full(nameOf(c.caller)) { // checked before the store grants the lock, because a grant cannot be refused
			return grant{}, m.fullError()
		}
		s, lock, err := store.Acquire(ctx, c.ref, c.op)
		return grant{s, lock}, err
	})
	if err != nil {
		return c.removed(lost(err, lostByAcquire))
	}
	s, lock := &granted.session, granted.lock
	m.takeAlways(nameOf(c.caller), &c.items, len(s.Item)) // the caller has the lock already
	if err := c.r.Context().Err(); err != nil {
		c.giveBack(lock)
		return err
	}
	handle, err := c.handleOf(ctx, lock)
	if err != nil {
		c.giveBack(lock)
		return err
	}
	c.values.set(c.w.Header(), "Session-Lock", handle)
	status := http.StatusOK
	if s.Made {
		status = http.StatusCreated
	}
	m.writesItem(c.w, &c.items)
	if c.answerItem(ctx, status, s); !m.pin(&c.items) {
		c.giveBack(lock)
	}
	return nil
}

// grant is the result of an acquire: the lock, and the session at that moment.
type grant struct {
	session session.Session
	lock    session.Lock
}

// takeTimeout copies the Session-Timeout, if there is one, to the operation. The right to lock does not allow changing
// the timeout or creating a session: both need the right to write as well. makes means that the call creates a session.
func (c *call) takeTimeout(makes bool) error {
	c.op.Timeout, c.op.Seconds = c.timeout, c.seconds
	if !makes && c.timeout == 0 {
		return nil
	}
	c.right |= keyring.Write
	return c.gate.checkRight(c.caller, c.right, c.ref.App.Name)
}

// giveBack releases a lock whose caller left between the grant and the end of the answer. For a caller that left before
// the grant, the store does this. If it fails, the lock is abandoned and ends by its age. It needs no place at the
// store.
func (c *call) giveBack(lock session.Lock) {
	ctx, cancel := context.WithTimeout(context.WithoutCancel(c.context()), releaseTimeout)
	defer cancel()
	err := c.api.store.GiveBack(ctx, c.ref, lock, c.op.Call)
	if errors.Is(err, session.ErrLockLost) {
		return // another call of the operation has the lock
	}
	if err != nil {
		c.api.log.Warn("lock of a caller that left was not released", "error", err)
		return
	}
	c.wakeWaiter()
}

// release is DELETE /v1/apps/{app}/sessions/{id}/lock with Session-Lock: 204.
func release(ctx context.Context, c *call) error {
	handle, ok, err := oneHeader(c.r.Header["Session-Lock"], "Session-Lock")
	if err != nil {
		return err
	}
	if !ok {
		return badInput("header Session-Lock", "is missing: it must name the lock to release")
	}
	lock, err := c.lockOf(ctx, handle)
	if err != nil {
		return lost(err, lostByRelease)
	}
	if err := c.takeTimeout(false); err != nil {
		return err
	}
	if _, err := admit(ctx, c, func(ctx context.Context, store session.Store) (struct{}, error) {
		return struct{}{}, store.Release(ctx, c.ref, lock, c.op)
	}); err != nil {
		return lost(err, lostByRelease)
	}
	c.wakeWaiter()
	c.answerDone()
	return nil
}
