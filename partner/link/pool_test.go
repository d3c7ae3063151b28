package link

import (
	"context"
	"errors"
	"testing"

	"github.com/mirrorstate/mirrorstate/partner/choose"
	"github.com/mirrorstate/mirrorstate/partner/classify"
	"github.com/mirrorstate/mirrorstate/partner/tdstest"
)

func TestPool_CloseIdle(t *testing.T) {
	w := scripted(t)
	dsn := tdstest.DSN(t, w.Servers[0].Addr, "disable")
	pool := newPool(newConnector(choose.A, dsn, "ASPState", Budgets{}.WithDefaults()), 4)
	defer pool.Abort(ErrTermOver)
	var out []Lease
	for range 3 {
		l, err := pool.Get(t.Context(), func(error) {})
		if err != nil {
			t.Fatal(err)
		}
		out = append(out, l)
	}
	for _, l := range out[1:] {
		l.Release(false)
	}
	if n := pool.db.Stats().OpenConnections; n != 3 {
		t.Fatalf("%d open, want 3", n)
	}
	pool.CloseIdle()
	if n := pool.db.Stats().OpenConnections; n != 1 {
		t.Errorf("%d open after CloseIdle, want the one in use", n)
	}
	out[0].Release(true)
	if n := pool.db.Stats().OpenConnections; n != 0 {
		t.Errorf("%d open after a broken connection was released", n)
	}
}

func TestPool_AbortEndsCallsThatHoldOrWaitForAConnection(t *testing.T) {
	w := scripted(t)
	dsn := tdstest.DSN(t, w.Servers[0].Addr, "disable")
	pool := newPool(newConnector(choose.A, dsn, "ASPState", Budgets{}.WithDefaults()), 1)
	ctx, cancel := context.WithCancelCause(t.Context())
	l, err := pool.Get(ctx, cancel)
	if err != nil {
		t.Fatal(err)
	}
	waiting := make(chan error, 1)
	go func() {
		_, err := pool.Get(t.Context(), func(error) {})
		waiting <- err
	}()
	w.Freeze(0)
	hanging := make(chan error, 1)
	go func() {
		_, err := l.Conn().ExecContext(ctx, "Work")
		hanging <- err
	}()
	<-w.Servers[0].Blocked
	pool.Abort(ErrTermOver)
	if err := <-hanging; err == nil || !errors.Is(context.Cause(ctx), ErrTermOver) {
		t.Errorf("the call that hung: %v, its context ended by %v", err, context.Cause(ctx))
	}
	l.Release(true)
	if err := <-waiting; err == nil || classify.Classify(err, classify.Connecting) != classify.Down {
		t.Errorf("the call that waited: %v", err)
	}
	if _, err := pool.Get(t.Context(), func(error) {}); err == nil {
		t.Error("an aborted pool returned a connection")
	}
	if _, err := pool.connector.Connect(t.Context()); !errors.Is(err, ErrTermOver) {
		t.Errorf("a login that ended after Abort: %v", err)
	}
}

// scripted starts a scripted pair that answers this package's queries.
func scripted(t testing.TB) *tdstest.Pair {
	return tdstest.NewPair(t, QueryStatus, ForDatabase(QueryEpoch, "ASPState"))
}
