package partner

import (
	"context"
	"errors"
	"testing"
)

func TestWire_PurgeClosesIdleConnections(t *testing.T) {
	w := scripted(t)
	dsn := dsnFor(t, w.ends[0].addr, "disable")
	pool := newPool(newConnector(A, dsn, "ASPState", Budgets{}.withDefaults()), 4)
	defer pool.cut(errTermOver)
	var out []lease
	for range 3 {
		l, err := pool.get(t.Context(), func(error) {})
		if err != nil {
			t.Fatal(err)
		}
		out = append(out, l)
	}
	for _, l := range out[1:] {
		l.release(false)
	}
	if n := pool.db.Stats().OpenConnections; n != 3 {
		t.Fatalf("%d open, want 3", n)
	}
	pool.purge()
	if n := pool.db.Stats().OpenConnections; n != 1 {
		t.Errorf("%d open after the purge, want the one in use", n)
	}
	out[0].release(true)
	if n := pool.db.Stats().OpenConnections; n != 0 {
		t.Errorf("%d open after a broken one came back", n)
	}
}

func TestWire_CutEndsWhoeverHoldsAConnection(t *testing.T) {
	w := scripted(t)
	dsn := dsnFor(t, w.ends[0].addr, "disable")
	pool := newPool(newConnector(A, dsn, "ASPState", Budgets{}.withDefaults()), 1)
	ctx, cancel := context.WithCancelCause(t.Context())
	l, err := pool.get(ctx, cancel)
	if err != nil {
		t.Fatal(err)
	}
	waiting := make(chan error, 1)
	go func() {
		_, err := pool.get(t.Context(), func(error) {})
		waiting <- err
	}()
	w.freeze(0)
	hanging := make(chan error, 1)
	go func() {
		_, err := l.conn().ExecContext(ctx, "Work")
		hanging <- err
	}()
	<-w.ends[0].hung
	pool.cut(errTermOver)
	if err := <-hanging; err == nil || !errors.Is(context.Cause(ctx), errTermOver) {
		t.Errorf("the one that hung: %v, its context ended by %v", err, context.Cause(ctx))
	}
	l.release(true)
	if err := <-waiting; err == nil || Classify(err, Connecting) != Down {
		t.Errorf("the one that waited: %v", err)
	}
	if _, err := pool.get(t.Context(), func(error) {}); err == nil {
		t.Error("a connection of a pool that is over")
	}
	if _, err := pool.c.Connect(t.Context()); !errors.Is(err, errTermOver) {
		t.Errorf("a login that ended after the cut: %v", err)
	}
}

// scripted starts a scripted pair that answers this package's queries.
func scripted(t testing.TB) *wirePair {
	return newScripted(t, queryStatus, forDatabase(queryEpoch, "ASPState"))
}
