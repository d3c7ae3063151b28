package proxy

import (
	"context"
	"errors"
	"net/http"
	"time"

	"github.com/mirrorstate/mirrorstate/proxy/keyring"
	"github.com/mirrorstate/mirrorstate/session"
)

// releaseTimeout bounds how long a lock that nobody waits for is given back.
const releaseTimeout = 5 * time.Second

// creates is the parameter that has an acquire make a session that is not there.
const creates = "create"

// acquire is POST /v1/apps/{app}/sessions/{id}/lock[?wait=…][&create=true]: 200 with the item and
// Session-Lock, 201 if it made the session.
func acquire(ctx context.Context, c *call) (err error) {
	if c.op.Create, err = c.flag(creates, "true"); err != nil {
		return err
	}
	if err := c.changes(c.op.Create); err != nil {
		return err
	}
	if _, err := c.api.secrets.sealer(ctx); err != nil { // before a lock is granted that can't be told
		return err
	}
	m := &c.api.memory
	granted, err := admitWhenUnlocked(ctx, c, false, func(ctx context.Context, store session.Store) (grant, error) {
		if m.full(nameOf(c.caller)) { // later it would be too late: a lock that was granted is the caller's
			return grant{}, m.fullError()
		}
		s, lock, err := store.Acquire(ctx, c.ref, c.op)
		return grant{s, lock}, err
	})
	if err != nil {
		return c.removed(lost(err, lostByAcquire))
	}
	s, lock := &granted.session, granted.lock
	m.takeAlways(nameOf(c.caller), &c.items, len(s.Item)) // the lock is the caller's already
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

// grant is what an acquire is granted: the lock, and the session as it is then.
type grant struct {
	session session.Session
	lock    session.Lock
}

// changes has the operation set the timeout, where there is a Session-Timeout. Who may take a lock may
// not for that change a session or make one: that wants the right to write as well.
func (c *call) changes(makes bool) error {
	c.op.Timeout, c.op.Seconds = c.timeout, c.seconds
	if !makes && c.timeout == 0 {
		return nil
	}
	c.right |= keyring.Write
	return c.gate.admit(c.caller, c.right, c.ref.App.Name)
}

// giveBack releases a lock whose caller left between the grant and the answer, or did not take all of it;
// earlier than that the store does it. If it fails, the lock is abandoned and ends
// by its age. It waits for no place at the store.
func (c *call) giveBack(lock session.Lock) {
	ctx, cancel := context.WithTimeout(context.WithoutCancel(c.context()), releaseTimeout)
	defer cancel()
	err := c.api.store.GiveBack(ctx, c.ref, lock, c.op.Call)
	if errors.Is(err, session.ErrLockLost) {
		return // another call of the operation has found it
	}
	if err != nil {
		c.api.log.Warn("lock of a caller that left was not released", "error", err)
		return
	}
	c.freed()
}

// release is DELETE /v1/apps/{app}/sessions/{id}/lock with Session-Lock: 204.
func release(ctx context.Context, c *call) error {
	handle, ok, err := oneHeader(c.r.Header["Session-Lock"], "Session-Lock")
	if err != nil {
		return err
	}
	if !ok {
		return badInput("header Session-Lock", "is missing: it names the lock to release")
	}
	lock, err := c.lockOf(ctx, handle)
	if err != nil {
		return lost(err, lostByRelease)
	}
	if err := c.changes(false); err != nil {
		return err
	}
	if _, err := admit(ctx, c, func(ctx context.Context, store session.Store) (struct{}, error) {
		return struct{}{}, store.Release(ctx, c.ref, lock, c.op)
	}); err != nil {
		return lost(err, lostByRelease)
	}
	c.freed()
	c.answerDone()
	return nil
}
