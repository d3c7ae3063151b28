package proxy_test

import (
	"context"
	"sync/atomic"

	"github.com/mirrorstate/mirrorstate/proxy"
	"github.com/mirrorstate/mirrorstate/session"
)

// watched is a store that counts its calls.
type watched struct {
	session.Store
	n atomic.Int64
}

func (w *watched) calls() int64 { return w.n.Load() }

func (w *watched) Get(ctx context.Context, ref session.Ref, opts session.GetOptions) (session.Session, error) {
	w.n.Add(1)
	return w.Store.Get(ctx, ref, opts)
}

func (w *watched) Acquire(ctx context.Context, ref session.Ref, op session.Operation) (session.Session, session.Lock, error) {
	w.n.Add(1)
	return w.Store.Acquire(ctx, ref, op)
}

func (w *watched) Update(ctx context.Context, ref session.Ref, lock session.Lock, wr session.Write, keep bool, op session.Operation) (session.Session, error) {
	w.n.Add(1)
	return w.Store.Update(ctx, ref, lock, wr, keep, op)
}

func (w *watched) Put(ctx context.Context, ref session.Ref, wr session.Write, cond session.Condition, op session.Operation) (session.Session, error) {
	w.n.Add(1)
	return w.Store.Put(ctx, ref, wr, cond, op)
}

func (w *watched) Release(ctx context.Context, ref session.Ref, lock session.Lock, op session.Operation) error {
	w.n.Add(1)
	return w.Store.Release(ctx, ref, lock, op)
}

func (w *watched) Remove(ctx context.Context, ref session.Ref, lock session.Lock, op session.Operation) error {
	w.n.Add(1)
	return w.Store.Remove(ctx, ref, lock, op)
}

func (w *watched) Touch(ctx context.Context, ref session.Ref, op session.Operation) (session.Session, error) {
	w.n.Add(1)
	return w.Store.Touch(ctx, ref, op)
}

// List implements session.Lister.
func (w *watched) List(ctx context.Context, app *session.Application, after session.ID, limit int) ([]session.Entry, error) {
	w.n.Add(1)
	return w.Store.(session.Lister).List(ctx, app, after, limit)
}

// endedEvents is a source whose streams have ended.
type endedEvents struct{}

func (endedEvents) Events() (<-chan proxy.Event, func()) {
	ended := make(chan proxy.Event)
	close(ended)
	return ended, func() {}
}
