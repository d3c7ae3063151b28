package proxy

import (
	"context"
	"errors"
	"net/http"

	"github.com/mirrorstate/mirrorstate/session"
)

// key returns the key of the session's queue. All spellings of an id have the same queue.
func (c *call) key() waitKey { return waitKey{c.ref.App.Name, c.ref.ID.Folded()} }

// retryWhileLocked calls try once. With ?wait= it calls try until the session is not locked, or the wait is over. shared
// means that success takes no lock.
func retryWhileLocked[T any](ctx context.Context, c *call, shared bool, try func(ctx context.Context) (T, error)) (result T, err error) {
	if c.wait == 0 {
		return try(ctx)
	}
	c.op.AsksAgain = true
	result, err = retryInQueue(ctx, c, shared, try)
	if c.keyed() && errors.Is(err, session.ErrLocked) {
		// "Locked" is now the call's final answer. The store must record it for the operation's other calls.
		c.op.AsksAgain = false
		return try(ctx)
	}
	return result, err
}

// retryInQueue calls try when it is the call's turn in the session's queue, and returns the last result.
func retryInQueue[T any](ctx context.Context, c *call, shared bool, try func(ctx context.Context) (T, error)) (result T, err error) {
	err = c.await(ctx, shared, func(ctx context.Context) (err error) {
		result, err = try(ctx)
		c.noteLocked(err)
		return err
	})
	return result, err
}

// noteLocked records the version of the session that the call waits for, from the error of a try. If that session is
// removed while the call waits, the call does not create it again.
func (c *call) noteLocked(err error) {
	if locked, ok := errors.AsType[*session.LockedError](err); ok && c.op.Waited == "" {
		c.op.Waited = locked.Version
	}
}

// removed returns err with another detail if the session was removed while the call waited.
func (c *call) removed(err error) error {
	if c.op.Waited != "" && errors.Is(err, session.ErrNotFound) {
		return &problemError{kindNotFound, "the session was removed while this call waited for its lock; nothing was done"}
	}
	return err
}

// findWaited reads the version of the session that the call waits for. It is needed if other calls wait already: the
// call itself uses the store only when its turn comes. If the store cannot read a locked session, the version stays
// unknown.
func (c *call) findWaited(ctx context.Context) error {
	s, err := admit(ctx, c, func(ctx context.Context, store session.Store) (session.Session, error) {
		return store.Get(ctx, c.ref, session.GetOptions{Peek: true, AllowLocked: true, NoItem: true})
	})
	switch {
	case err == nil:
		c.op.Waited = s.Tag
	case !errors.Is(err, session.ErrNotFound) && !errors.Is(err, session.ErrUnsupported):
		return err
	}
	return nil
}

// await waits in the session's queue. The call's item may be evicted meanwhile.
func (c *call) await(ctx context.Context, shared bool, try func(context.Context) error) error {
	if err := c.evictable(); err != nil {
		return err
	}
	var look func(context.Context) error
	if c.r.Method == http.MethodPut || c.r.Method == http.MethodDelete || c.op.Create { // these must not affect a session that is created after a removal
		look = func(ctx context.Context) error {
			if err := c.findWaited(ctx); err != nil {
				return err
			}
			return c.evictable() // the store has pinned the item
		}
	}
	return c.api.waiters.await(ctx, nameOf(c.caller), c.key(), c.wait, shared, look, func(ctx context.Context) error {
		err := try(ctx)
		if errors.Is(err, session.ErrLocked) { // any other answer ends the wait
			if err := c.evictable(); err != nil {
				return err
			}
		}
		return err
	})
}

// wakeWaiter wakes the first call in the session's queue. It is called when the session is no longer locked.
func (c *call) wakeWaiter() { c.api.waiters.wake(c.key()) }
