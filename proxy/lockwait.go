package proxy

import (
	"context"
	"errors"
	"net/http"

	"github.com/mirrorstate/mirrorstate/session"
)

// key names the session's queue; all spellings of an id have one.
func (c *call) key() waitKey { return waitKey{c.ref.App.Name, c.ref.ID.Folded()} }

// retryWhileLocked calls try once. With ?wait= it calls try until the session is not locked. shared says that success
// takes no lock.
func retryWhileLocked[T any](ctx context.Context, c *call, shared bool, try func(ctx context.Context) (T, error)) (result T, err error) {
	if c.wait == 0 {
		return try(ctx)
	}
	c.op.AsksAgain = true
	result, err = retryInQueue(ctx, c, shared, try)
	if c.keyed() && errors.Is(err, session.ErrLocked) {
		// The refusal that is answered must bind the operation's other calls.
		c.op.AsksAgain = false
		return try(ctx)
	}
	return result, err
}

// retryInQueue calls try from the session's queue, and returns the last result.
func retryInQueue[T any](ctx context.Context, c *call, shared bool, try func(ctx context.Context) (T, error)) (result T, err error) {
	err = c.await(ctx, shared, func(ctx context.Context) (err error) {
		result, err = try(ctx)
		c.met(err)
		return err
	})
	return result, err
}

// met remembers which session the call waits for, as the refusal of a try tells it. If that session is removed while
// the call waits, the call does not create it again.
func (c *call) met(err error) {
	if locked, ok := errors.AsType[*session.LockedError](err); ok && c.op.Waited == "" {
		c.op.Waited = locked.Version
	}
}

// removed gives a detail of its own to the error of a call whose session was removed while it waited.
func (c *call) removed(err error) error {
	if c.op.Waited != "" && errors.Is(err, session.ErrNotFound) {
		return &problemError{kindNotFound, "the session was removed while this call waited for its lock; nothing was done"}
	}
	return err
}

// look finds out which session the call waits for, where other calls already wait: the call itself asks the store
// only when its turn comes. A store that cannot read a locked session does not tell.
func (c *call) look(ctx context.Context) error {
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
	if c.r.Method == http.MethodPut || c.r.Method == http.MethodDelete || c.op.Create { // they must not affect a session that is created after a removal
		look = func(ctx context.Context) error {
			if err := c.look(ctx); err != nil {
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

// freed wakes the head of the session's queue: the session is not locked any more.
func (c *call) freed() { c.api.waiters.wake(c.key()) }
