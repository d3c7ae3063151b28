package proxy

import (
	"context"

	"github.com/mirrorstate/mirrorstate/proxy/keyring"
	"github.com/mirrorstate/mirrorstate/session"
)

// admitted is the store as one call sees it: each use of it takes a place, and none is
// kept while the call waits for somebody's lock. With the place had, the caller is looked at again.
type admitted struct {
	store session.Store
	door  *admission
	call  *call
	gate  *gate
	right keyring.Right
}

var _ session.Store = (*admitted)(nil)

// enter gives a place to whoever may still call. A call's body may have come slowly, and its
// turn late: it does not outlive its key.
func (a *admitted) enter(ctx context.Context) (placed bool, err error) {
	if placed, err = a.door.enter(ctx, nameOf(a.call.caller)); err != nil {
		return placed, err
	}
	if err = a.gate.still(a.call, a.right); err != nil {
		a.leave(placed)
		placed = false
	}
	return placed, err
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
	if m := &a.call.api.memory; m.full() { // later it would be too late: a lock that was granted is the caller's
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
