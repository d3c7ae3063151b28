package proxy

import (
	"context"
	"errors"
	"net/http"

	"github.com/mirrorstate/mirrorstate/session"
)

// key is the session's queue, one for all spellings of its id.
func (c *call) key() waitKey { return waitKey{c.ref.App.Name, c.ref.ID.Folded()} }

// retryWhileLocked calls try once, or with ?wait= until the session is not locked. shared
// says that success takes no lock.
func retryWhileLocked[T any](ctx context.Context, c *call, shared bool, try func(ctx context.Context) (T, error)) (result T, err error) {
	if c.wait == 0 {
		return try(ctx)
	}
	c.op.AsksAgain = true
	result, err = retryInQueue(ctx, c, shared, try)
	if c.keyed() && errors.Is(err, session.ErrLocked) {
		// The refusal that is answered is one that the operation's other calls are bound by.
		c.op.AsksAgain = false
		return try(ctx)
	}
	return result, err
}

// retryInQueue calls try from the session's queue, and returns what it returned last.
func retryInQueue[T any](ctx context.Context, c *call, shared bool, try func(ctx context.Context) (T, error)) (result T, err error) {
	err = c.await(ctx, shared, func(ctx context.Context) (err error) {
		result, err = try(ctx)
		c.met(err)
		return err
	})
	return result, err
}

// met remembers the session that the call waits for, by the refusal of a try: one that is removed while the call waits is
// not made again by it.
func (c *call) met(err error) {
	if locked, ok := errors.AsType[*session.LockedError](err); ok && c.op.Waited == "" {
		c.op.Waited = locked.Version
	}
}

// removed puts words of its own to a session that the call waited for and that is not there any more.
func (c *call) removed(err error) error {
	if c.op.Waited != "" && errors.Is(err, session.ErrNotFound) {
		return &problemError{kindNotFound, "the session was removed while this call waited for its lock; nothing was done"}
	}
	return err
}

// look finds the session that the call waits for where others wait already, and it does not try itself before it is its turn. A store
// that can't read beside a lock's holder does not tell.
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

// await waits in the session's queue. An item that came with the call makes room for others meanwhile.
func (c *call) await(ctx context.Context, shared bool, try func(context.Context) error) error {
	if err := c.evictable(); err != nil {
		return err
	}
	var look func(context.Context) error
	if c.r.Method == http.MethodPut || c.r.Method == http.MethodDelete || c.op.Create { // what comes after a removal is not for them
		look = func(ctx context.Context) error {
			if err := c.look(ctx); err != nil {
				return err
			}
			return c.evictable() // the store was asked
		}
	}
	return c.api.waiters.await(ctx, nameOf(c.caller), c.key(), c.wait, shared, look, func(ctx context.Context) error {
		err := try(ctx)
		if errors.Is(err, session.ErrLocked) { // what was answered in another way is over
			if err := c.evictable(); err != nil {
				return err
			}
		}
		return err
	})
}

// freed tells who waits that the session is not locked any more.
func (c *call) freed() { c.api.waiters.wake(c.key()) }
