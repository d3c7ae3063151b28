package aspstate_test

import (
	"bytes"
	"context"
	"sync/atomic"
	"testing"

	"github.com/mirrorstate/mirrorstate/partner"
	"github.com/mirrorstate/mirrorstate/session"
	"github.com/mirrorstate/mirrorstate/session/aspstate"
	"github.com/mirrorstate/mirrorstate/session/aspstate/aspstatetest"
)

// TestStore_BigItemsOnASlowLink: an item that needs longer than the attempt budget is written and read in one
// attempt. It is not cancelled and sent again.
func TestStore_BigItemsOnASlowLink(t *testing.T) {
	servers := aspstatetest.Start(t)
	wires := map[partner.Name]*wire{"a": openWire(t, servers.Partner("a")), "b": openWire(t, servers.Partner("b"))}
	pair := &countAttempts{Pair: followWires(t, wires)} // the attempt budget is half a second
	store := openStore(t, pair)
	ref := newSession(t, store)
	for _, stream := range []string{"upstream", "downstream"} {
		wires["a"].add(t, toxic{"bandwidth", stream, map[string]any{"rate": 700}}) // KB/s
	}
	item := bytes.Repeat([]byte("0123456789abcdef"), 1<<16) // 1 MiB, which takes a second and a half
	steps := []struct {
		verb string
		do   func() ([]byte, error)
	}{
		{"put", func() ([]byte, error) {
			_, err := store.Put(t.Context(), ref, session.Write{Item: item}, session.Condition{}, session.NewOperation())
			return item, err
		}},
		{"get", func() ([]byte, error) {
			s, err := store.Get(t.Context(), ref, session.GetOptions{})
			return s.Item, err
		}},
		{"acquire", func() ([]byte, error) {
			s, _, err := store.Acquire(t.Context(), ref, session.NewOperation())
			return s.Item, err
		}},
	}
	for _, step := range steps {
		pair.attempts.Store(0)
		got, err := step.do()
		if err != nil || !bytes.Equal(got, item) {
			t.Errorf("%s: %d bytes, %v", step.verb, len(got), err)
		}
		if n := pair.attempts.Load(); n != 1 {
			t.Errorf("%s took %d attempts, want one", step.verb, n)
		}
	}
}

// countAttempts counts the attempts of all calls.
type countAttempts struct {
	aspstate.Pair
	attempts atomic.Int64
}

// Do implements aspstate.Pair.
func (p *countAttempts) Do(ctx context.Context, c partner.Call, op func(ctx context.Context, a *partner.Attempt) error) error {
	return p.Pair.Do(ctx, c, func(ctx context.Context, a *partner.Attempt) error {
		p.attempts.Add(1)
		return op(ctx, a)
	})
}
