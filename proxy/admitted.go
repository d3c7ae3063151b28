package proxy

import (
	"context"

	"github.com/mirrorstate/mirrorstate/proxy/keyring"
	"github.com/mirrorstate/mirrorstate/session"
)

// admitted is the store as one call sees it: each use of it takes a place, and none is
// kept while the call waits for somebody's lock. Before each attempt of the store the caller is looked at again: it is
// the permission of the call's context.
type admitted struct {
	store session.Store
	door  *admission
	call  *call
	gate  *gate
	right keyring.Right

	registers bool // the call's application is counted as registered by its caller
}

var (
	_ session.Store      = (*admitted)(nil)
	_ session.Permission = (*admitted)(nil)
)

// permitting returns a context in which the store asks whether the caller still may, and may register the
// application, and says that it sends the call. Nobody need be asked about a configured application of whoever calls.
func (a *admitted) permitting(ctx context.Context) context.Context {
	if a.call.caller == nil && a.call.api.apps.Load().configured(a.call.ref.App.Name) {
		return ctx
	}
	return session.WithPermission(ctx, a)
}

// Permitted implements session.Permission. From then on the call makes no room: whatever the store says of it, it
// was sent.
func (a *admitted) Permitted() error {
	if err := a.gate.still(a.call, a.right); err != nil {
		return err
	}
	return a.call.sends()
}

// MayRegister implements session.Permission: no application takes the id of one that is configured, and
// one that neither the configuration nor the caller's key names counts. A call that is sent again counts once.
func (a *admitted) MayRegister(app string) error {
	apps, caller := a.call.api.apps.Load(), a.call.caller
	if apps.collides(app) {
		return &problemError{kindCollision, collides}
	}
	if a.registers || caller == nil || caller.Names(app) || apps.configured(app) {
		return nil
	}
	if err := a.call.api.registrations.take(caller.Name); err != nil {
		return err
	}
	a.registers = true
	return nil
}

// enter gives a place at the store. While the call waits for one, and then until the store sends it, its item makes room
// for others; whether its caller still may is asked by the store then.
func (a *admitted) enter(ctx context.Context) (placed bool, err error) {
	if err := a.call.waits(); err != nil {
		return false, err
	}
	return a.door.enter(ctx, nameOf(a.call.caller))
}

// leave ends what enter began.
func (a *admitted) leave(placed bool) {
	if placed {
		a.door.leave()
	}
}

// Get implements session.Store.
func (a *admitted) Get(ctx context.Context, ref session.Ref, opts session.GetOptions) (session.Session, error) {
	placed, err := a.enter(ctx)
	if err != nil {
		return session.Session{}, err
	}
	defer a.leave(placed)
	return a.store.Get(ctx, ref, opts)
}

// Acquire implements session.Store.
func (a *admitted) Acquire(ctx context.Context, ref session.Ref, op session.Operation) (session.Session, session.Lock, error) {
	placed, err := a.enter(ctx)
	if err != nil {
		return session.Session{}, session.Lock{}, err
	}
	defer a.leave(placed)
	if m := &a.call.api.memory; m.full(nameOf(a.call.caller)) { // later it would be too late: a lock that was granted is the caller's
		return session.Session{}, session.Lock{}, m.fullError()
	}
	return a.store.Acquire(ctx, ref, op)
}

// Update implements session.Store.
func (a *admitted) Update(ctx context.Context, ref session.Ref, lock session.Lock, w session.Write, keep bool, op session.Operation) (session.Session, error) {
	placed, err := a.enter(ctx)
	if err != nil {
		return session.Session{}, err
	}
	defer a.leave(placed)
	return a.store.Update(ctx, ref, lock, w, keep, op)
}

// Put implements session.Store.
func (a *admitted) Put(ctx context.Context, ref session.Ref, w session.Write, cond session.Condition, op session.Operation) (session.Session, error) {
	placed, err := a.enter(ctx)
	if err != nil {
		return session.Session{}, err
	}
	defer a.leave(placed)
	return a.store.Put(ctx, ref, w, cond, op)
}

// Release implements session.Store.
func (a *admitted) Release(ctx context.Context, ref session.Ref, lock session.Lock, op session.Operation) error {
	placed, err := a.enter(ctx)
	if err != nil {
		return err
	}
	defer a.leave(placed)
	return a.store.Release(ctx, ref, lock, op)
}

// GiveBack implements session.Store. What a caller that has left had waits for no place.
func (a *admitted) GiveBack(ctx context.Context, ref session.Ref, lock session.Lock, call session.OperationID) error {
	return a.store.GiveBack(ctx, ref, lock, call)
}

// Remove implements session.Store.
func (a *admitted) Remove(ctx context.Context, ref session.Ref, lock session.Lock, op session.Operation) error {
	placed, err := a.enter(ctx)
	if err != nil {
		return err
	}
	defer a.leave(placed)
	return a.store.Remove(ctx, ref, lock, op)
}

// List implements session.Lister, where the store is one.
func (a *admitted) List(ctx context.Context, app *session.Application, after session.ID, limit int) ([]session.Entry, error) {
	lister, ok := a.store.(session.Lister)
	if !ok {
		return nil, badInput("the store", "cannot list sessions")
	}
	placed, err := a.enter(ctx)
	if err != nil {
		return nil, err
	}
	defer a.leave(placed)
	return lister.List(ctx, app, after, limit)
}

// Touch implements session.Store.
func (a *admitted) Touch(ctx context.Context, ref session.Ref, op session.Operation) (session.Session, error) {
	placed, err := a.enter(ctx)
	if err != nil {
		return session.Session{}, err
	}
	defer a.leave(placed)
	return a.store.Touch(ctx, ref, op)
}
