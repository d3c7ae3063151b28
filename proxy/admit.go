package proxy

import (
	"context"

	"github.com/mirrorstate/mirrorstate/session"
)

// admit calls use with the store once the call has a place there, and returns what use returned. Every use of the
// store for a call goes through admit, except giving back the lock of a caller that has left.
//
// While the call waits for the place, its item may be evicted for another caller's. It may be evicted until the store
// sends the call: the store asks [call.Permitted] before each of its attempts.
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

// admitWhenUnlocked calls admit. With ?wait= it repeats that while the session is locked. Each repetition takes a
// place of its own, so the call has none while it waits for a lock. shared says that success takes no lock.
func admitWhenUnlocked[T any](ctx context.Context, c *call, shared bool, use func(ctx context.Context, store session.Store) (T, error)) (T, error) {
	if c.wait == 0 {
		return admit(ctx, c, use)
	}
	return retryWhileLocked(ctx, c, shared, func(ctx context.Context) (T, error) { return admit(ctx, c, use) })
}

var _ session.Permission = (*call)(nil)

// permitting returns a context in which the store asks the call for permission. A call of an unnamed caller to a
// configured application needs no permission.
func (c *call) permitting(ctx context.Context) context.Context {
	if c.caller == nil && c.api.apps.Load().configured(c.ref.App.Name) {
		return ctx
	}
	return session.WithPermission(ctx, c)
}

// Permitted implements session.Permission. From then on the item cannot be evicted: whatever the store answers, the
// call was sent.
func (c *call) Permitted() error {
	if err := c.gate.still(c, c.right); err != nil {
		return err
	}
	return c.pin()
}

// MayRegister implements session.Permission. No application may have the id of a configured one. An application that
// neither the configuration nor the caller's key names is counted. A call that is sent again is counted once.
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
