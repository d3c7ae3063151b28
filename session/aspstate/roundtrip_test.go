package aspstate_test

import (
	"bytes"
	"context"
	"maps"
	"testing"
	"time"

	"github.com/mirrorstate/mirrorstate/partner"
	"github.com/mirrorstate/mirrorstate/session"
	"github.com/mirrorstate/mirrorstate/session/aspstate"
	"github.com/mirrorstate/mirrorstate/session/aspstate/aspstatetest"
)

// exactClock is a pair that knows the server's clock exactly, because it is this machine's. With the usual
// uncertainty, some milliseconds on a busy machine, a call that follows soon after another may need a second attempt.
type exactClock struct{ aspstate.Pair }

// Do implements aspstate.Pair.
func (p exactClock) Do(ctx context.Context, c partner.Call, op func(ctx context.Context, a *partner.Attempt) error) error {
	return p.Pair.Do(ctx, c, func(ctx context.Context, a *partner.Attempt) error {
		exact := *a
		exact.Sent = time.Now().UTC().Add(20 * time.Millisecond) // as if the session were older: a session that was just created costs a second attempt
		if !a.Resent {
			exact.FirstSent = exact.Sent
		}
		return op(ctx, &exact)
	})
}

// TestStore_OneRoundTrip counts requests at the server. On the extended schema, a call that need not wait is exactly
// one request, with short and with long items.
func TestStore_OneRoundTrip(t *testing.T) {
	servers := aspstatetest.Start(t)
	store := openStore(t, exactClock{openPair(t, servers)})
	ctx := t.Context()
	// The prober sends batches; the store sends only procedure calls.
	calls := func() (n int64) {
		for calls := range maps.Values(servers.Partner("a").Counters().Calls) {
			n += calls
		}
		return n
	}
	app := session.Application{Name: "/lm/w3svc/1/root"}.WithDefaults()
	ref := session.Ref{App: &app, ID: session.NewID()}
	var (
		lock session.Lock
		last session.Session
	)
	write := session.Write{Item: []byte("short")}
	long := session.Write{Item: bytes.Repeat([]byte("long"), 25_000)}
	acquire := func() (err error) { _, lock, err = store.Acquire(ctx, ref, session.Operation{}); return err }

	// The first call of an application also asks for its id. This is not part of the promise.
	if _, err := store.Put(ctx, session.Ref{App: &app, ID: session.NewID()}, write, session.Condition{}, session.Operation{}); err != nil {
		t.Fatal(err)
	}
	for _, step := range []struct {
		name string
		call func() error
	}{
		{"create", func() (err error) {
			_, err = store.Put(ctx, ref, write, session.Condition{OnlyCreate: true}, session.Operation{})
			return err
		}},
		{"get", func() (err error) { last, err = store.Get(ctx, ref, session.GetOptions{}); return err }},
		{"put if unchanged", func() (err error) {
			_, err = store.Put(ctx, ref, write, session.Condition{Match: last.Tag}, session.Operation{})
			return err
		}},
		{"touch", func() error { _, err := store.Touch(ctx, ref, session.Operation{}); return err }},
		{"acquire", acquire},
		{"update and release", func() error { _, err := store.Update(ctx, ref, lock, long, false, session.Operation{}); return err }},
		{"get a long item", func() (err error) { last, err = store.Get(ctx, ref, session.GetOptions{}); return err }},
		{"acquire a long item", acquire},
		{"release", func() error { return store.Release(ctx, ref, lock, session.Operation{}) }},
		{"put", func() error {
			_, err := store.Put(ctx, ref, long, session.Condition{}, session.Operation{})
			return err
		}},
		{"touch with a timeout", func() error {
			_, err := store.Touch(ctx, ref, session.Operation{Seconds: 90})
			return err
		}},
		{"remove", func() error { return store.Remove(ctx, ref, session.Lock{}, session.Operation{}) }},
		{"acquire or make", func() (err error) {
			_, lock, err = store.Acquire(ctx, ref, session.Operation{Create: true})
			return err
		}},
		{"release with a timeout", func() error { return store.Release(ctx, ref, lock, session.Operation{Timeout: 30}) }},
		{"acquire what may be made", func() (err error) {
			_, lock, err = store.Acquire(ctx, ref, session.Operation{Create: true})
			return err
		}},
		{"remove past the lock", func() error { return store.Remove(ctx, ref, session.Lock{}, session.Operation{Break: true}) }},
	} {
		before := calls()
		if err := step.call(); err != nil {
			t.Fatalf("%s: %v", step.name, err)
		}
		if n := calls() - before; n != 1 {
			t.Errorf("%s took %d round trips, want 1", step.name, n)
		}
	}
}
