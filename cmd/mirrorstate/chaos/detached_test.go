package chaos

import (
	"context"
	"math/rand/v2"
	"sync"
	"time"

	"github.com/mirrorstate/mirrorstate/session"
	"github.com/mirrorstate/mirrorstate/session/memory"
)

// detachedStore treats clients that hang up as a proxy does: their calls continue without them, and a lock that is
// granted to such a call is released a little later.
type detachedStore struct {
	session.Store
	late *sync.WaitGroup // the calls under way
}

// do runs a call in its own goroutine, until the client has the answer or has hung up. If it has hung up, undo runs.
func (f *detachedStore) do(ctx context.Context, op session.Operation, call func(ctx context.Context, op session.Operation) error, undo func(op session.Operation)) error {
	op.Call, op.Began = session.NewOperationID(), time.Now()
	if err := (begins{}).may(ctx); err != nil {
		return err
	}
	over := make(chan error, 1)
	f.late.Go(func() {
		inside := context.WithoutCancel(ctx)
		pause(inside, time.Duration(rand.N(4_000))*time.Microsecond)
		err := call(inside, op)
		left := ctx.Err() != nil
		over <- err
		if err == nil && left && undo != nil {
			pause(inside, time.Duration(rand.N(4_000))*time.Microsecond)
			undo(op)
		}
	})
	select {
	case err := <-over:
		return err
	case <-ctx.Done():
		return ctx.Err()
	}
}

func (f *detachedStore) Acquire(ctx context.Context, ref session.Ref, op session.Operation) (session.Session, session.Lock, error) {
	type granted struct {
		s    session.Session
		lock session.Lock
	}
	var g granted
	err := f.do(ctx, op, func(ctx context.Context, op session.Operation) (err error) {
		g.s, g.lock, err = f.Store.Acquire(ctx, ref, op)
		return err
	}, func(op session.Operation) { _ = f.GiveBack(context.Background(), ref, g.lock, op.Call) })
	if err != nil {
		return session.Session{}, session.Lock{}, err
	}
	return g.s, g.lock, nil
}

func (f *detachedStore) Update(ctx context.Context, ref session.Ref, lock session.Lock, w session.Write, keep bool, op session.Operation) (session.Session, error) {
	var s session.Session
	if err := f.do(ctx, op, func(ctx context.Context, op session.Operation) (err error) {
		s, err = f.Store.Update(ctx, ref, lock, w, keep, op)
		return err
	}, nil); err != nil {
		return session.Session{}, err
	}
	return s, nil
}

func (f *detachedStore) Put(ctx context.Context, ref session.Ref, w session.Write, cond session.Condition, op session.Operation) (session.Session, error) {
	var s session.Session
	if err := f.do(ctx, op, func(ctx context.Context, op session.Operation) (err error) {
		s, err = f.Store.Put(ctx, ref, w, cond, op)
		return err
	}, nil); err != nil {
		return session.Session{}, err
	}
	return s, nil
}

func (f *detachedStore) Release(ctx context.Context, ref session.Ref, lock session.Lock, op session.Operation) error {
	return f.do(ctx, op, func(ctx context.Context, op session.Operation) error { return f.Store.Release(ctx, ref, lock, op) }, nil)
}

func (f *detachedStore) Remove(ctx context.Context, ref session.Ref, lock session.Lock, op session.Operation) error {
	return f.do(ctx, op, func(ctx context.Context, op session.Operation) error { return f.Store.Remove(ctx, ref, lock, op) }, nil)
}

// remembers is a store that remembers all operations. An operation that was done gets the same answer again. An acquire
// whose lock is no longer held is not granted again, unless the lock was given back.
type remembers struct {
	session.Store

	mu   sync.Mutex
	done map[session.OperationID]session.Session // the answers of the operations that were done
	held map[session.ID]session.Lock
}

func newRemembers() *remembers {
	return &remembers{Store: memory.New(nil), done: map[session.OperationID]session.Session{}, held: map[session.ID]session.Lock{}}
}

// once calls do, unless the operation was done before.
func (r *remembers) once(op session.Operation, do func() (session.Session, error)) (session.Session, error) {
	r.mu.Lock()
	defer r.mu.Unlock()
	if s, again := r.done[op.ID]; again {
		return s, nil
	}
	s, err := do()
	if err == nil {
		r.done[op.ID] = s
	}
	return s, err
}

func (r *remembers) Acquire(ctx context.Context, ref session.Ref, op session.Operation) (session.Session, session.Lock, error) {
	r.mu.Lock()
	defer r.mu.Unlock()
	if _, again := r.done[op.ID]; again && r.held[ref.ID].Operation != op.ID {
		return session.Session{}, session.Lock{}, session.ErrLockLost
	}
	s, lock, err := r.Store.Acquire(ctx, ref, op)
	if err == nil {
		r.done[op.ID], r.held[ref.ID] = s, lock
	}
	return s, lock, err
}

func (r *remembers) GiveBack(ctx context.Context, ref session.Ref, lock session.Lock, call session.OperationID) error {
	r.mu.Lock()
	defer r.mu.Unlock()
	err := r.Store.GiveBack(ctx, ref, lock, call)
	if err == nil {
		delete(r.done, lock.Operation)
		delete(r.held, ref.ID)
	}
	return err
}

func (r *remembers) Update(ctx context.Context, ref session.Ref, lock session.Lock, w session.Write, keep bool, op session.Operation) (session.Session, error) {
	return r.once(op, func() (session.Session, error) {
		s, err := r.Store.Update(ctx, ref, lock, w, keep, op)
		if err == nil && !keep {
			delete(r.held, ref.ID)
		}
		return s, err
	})
}

func (r *remembers) Put(ctx context.Context, ref session.Ref, w session.Write, cond session.Condition, op session.Operation) (session.Session, error) {
	return r.once(op, func() (session.Session, error) { return r.Store.Put(ctx, ref, w, cond, op) })
}

func (r *remembers) Release(ctx context.Context, ref session.Ref, lock session.Lock, op session.Operation) error {
	_, err := r.once(op, func() (session.Session, error) {
		err := r.Store.Release(ctx, ref, lock, op)
		if err == nil {
			delete(r.held, ref.ID)
		}
		return session.Session{}, err
	})
	return err
}

func (r *remembers) Remove(ctx context.Context, ref session.Ref, lock session.Lock, op session.Operation) error {
	_, err := r.once(op, func() (session.Session, error) {
		err := r.Store.Remove(ctx, ref, lock, op)
		if err == nil {
			delete(r.held, ref.ID)
		}
		return session.Session{}, err
	})
	return err
}
