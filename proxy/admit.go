package proxy

import (
	"context"

	"github.com/mirrorstate/mirrorstate/session"
)

// admit calls use with the store once the call has a place there, and returns what use returned. Every use of the store on
// behalf of a call goes through admit, but for giving back a lock whose caller has left.
//
// While the call waits for the place, and then until the store sends it, its item makes room for those of others. The store
// asks [call.Permitted] before each of its attempts.
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

// admitWhenUnlocked is [admit]. With ?wait= it is repeated while the session is locked, each time in a place of its own: the
// call keeps none while it waits for a lock. shared says that success takes no lock.
func admitWhenUnlocked[T any](ctx context.Context, c *call, shared bool, use func(ctx context.Context, store session.Store) (T, error)) (T, error) {
	if c.wait == 0 {
		return admit(ctx, c, use)
	}
	return retryWhileLocked(ctx, c, shared, func(ctx context.Context) (T, error) { return admit(ctx, c, use) })
}

var _ session.Permission = (*call)(nil)

// permitting returns a context in which the store asks the call for permission. A call to a configured application
// by nobody in particular needs none.
func (c *call) permitting(ctx context.Context) context.Context {
	if c.caller == nil && c.api.apps.Load().configured(c.ref.App.Name) {
		return ctx
	}
	return session.WithPermission(ctx, c)
}

// Permitted implements session.Permission. From then on the call makes no room: whatever the store answers, the call
// was sent.
func (c *call) Permitted() error {
	if err := c.gate.still(c, c.right); err != nil {
		return err
	}
	return c.pin()
}

// MayRegister implements session.Permission: no application takes the id of one that is configured, and
// one that neither the configuration nor the caller's key names counts. A call that is sent again counts once.
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
