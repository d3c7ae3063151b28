package proxy

import (
	"context"
	"errors"
	"time"

	"github.com/mirrorstate/mirrorstate/session"
)

// releaseTimeout bounds how long a lock that nobody waits for is given back.
const releaseTimeout = 5 * time.Second

// acquire is POST /v1/apps/{app}/sessions/{id}/lock[?wait=…]: 200 with the item and
// Session-Lock.
func acquire(ctx context.Context, c *call) error {
	var (
		s    session.Session
		lock session.Lock
	)
	if _, err := c.api.secrets.sealer(ctx); err != nil { // before a lock is granted that can't be told
		return err
	}
	err := c.meetLock(ctx, false, func(ctx context.Context) (err error) {
		s, lock, err = c.store.Acquire(ctx, c.ref, c.op)
		return err
	})
	if err != nil {
		return err
	}
	m := &c.api.memory
	m.must(nameOf(c.caller), &c.items, len(s.Item)) // the lock is the caller's already
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
	m.writesItem(c.w, &c.items)
	if c.answerItem(ctx, &s); !m.stays(&c.items) {
		c.giveBack(lock)
	}
	return nil
}

// giveBack releases a lock whose caller left between the grant and the answer, or did not take all of it;
// earlier than that the store does it. If it fails, the lock is abandoned and ends
// by its age.
func (c *call) giveBack(lock session.Lock) {
	ctx, cancel := context.WithTimeout(context.WithoutCancel(c.context()), releaseTimeout)
	defer cancel()
	err := c.store.GiveBack(ctx, c.ref, lock, c.op.Call)
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
		return err
	}
	if err := c.store.Release(ctx, c.ref, lock, c.op); err != nil {
		return err
	}
	c.freed()
	c.answerDone()
	return nil
}
