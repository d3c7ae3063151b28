package proxy

import (
	"context"

	"github.com/mirrorstate/mirrorstate/session"
)

// admit waits until the call has a place at the store, calls use with the store, and returns its result. Every use of
// the store for a call goes through admit, except the release of a lock whose caller has left.
//
// Until the store sends the call, its item may be evicted to make room for another caller's. The store calls
// [call.Permitted] before each of its attempts, and the first of these calls pins the item.
func admit[T any](ctx context.Context, c *call, use func(ctx context.Context, store session.Store) (T, error)) (result T, err error) {
	if err := c.evictable(); err != nil {
		return result, err
	}
	placed, err := c.api.admission.enter(ctx, nameOf(c.caller))
	if err != nil {
		return result, err
	}
	if placed {
		defer c.api.admission.leave()
	}
	return use(ctx, c.api.store)
}

// admitWhenUnlocked is admit for a verb that a lock can stop. With ?wait= it calls admit again while the session is
// locked. So the call has no place at the store while it waits for the lock. shared means that success takes no lock.
func admitWhenUnlocked[T any](ctx context.Context, c *call, shared bool, use func(ctx context.Context, store session.Store) (T, error)) (T, error) {
	if c.wait == 0 {
		return admit(ctx, c, use)
	}
	return retryWhileLocked(ctx, c, shared, func(ctx context.Context) (T, error) { return admit(ctx, c, use) })
}

var _ session.Permission = (*call)(nil)

// permitting returns a context in which the store asks the call for permission. If callers are not authenticated and
// the application is configured, the call needs no permission.
func (c *call) permitting(ctx context.Context) context.Context {
	if c.caller == nil && c.api.apps.Load().configured(c.ref.App.Name) {
		return ctx
	}
	return session.WithPermission(ctx, c)
}

// Permitted implements session.Permission. If it returns nil, the store sends the call, and the item can no longer be
// evicted.
func (c *call) Permitted() error {
	if err := c.gate.recheck(c, c.right); err != nil {
		return err
	}
	return c.pin()
}

// MayRegister implements session.Permission. It refuses an application whose id is that of a configured one. It counts
// an application that neither the configuration nor the caller's key names, once for each call.
func (c *call) MayRegister(app string) error {
	apps := c.api.apps.Load()
	if apps.collides(app) {
		return &problemError{kindCollision, collides}
	}
	if c.registers || c.caller == nil || c.caller.Names(app) || apps.configured(app) {
		return nil
	}
	if err := c.api.registrations.take(c.caller.Name); err != nil {
		return err
	}
	c.registers = true
	return nil
}
