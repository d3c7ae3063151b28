package aspstate_test

import (
	"context"
	"testing"
	"time"

	"github.com/mirrorstate/mirrorstate/partner"
	"github.com/mirrorstate/mirrorstate/session/aspstate"
)

// keepsBack is a pair on a bad network. If next was called, it delays the first attempt of a write, sends the write
// again, and executes the delayed attempt after the write was answered.
type keepsBack struct {
	aspstate.Pair
	armed  bool
	leaves bool                                                   // the caller leaves, and nothing is sent again
	kept   func(ctx context.Context, conn *partner.Attempt) error // the delayed attempt
}

// next implements storetest.KeepBack.
func (k *keepsBack) next(t *testing.T, leaves bool) (deliver func()) {
	k.armed, k.leaves, k.kept = true, leaves, nil
	return func() {
		t.Helper()
		k.armed = false
		if k.kept == nil {
			t.Fatal("no attempt was kept back")
		}
		err := k.Pair.Do(t.Context(), partner.Call{Label: "late"}, func(ctx context.Context, a *partner.Attempt) error {
			_ = k.kept(ctx, a) // its answer is not used
			return nil
		})
		if err != nil {
			t.Fatalf("deliver the attempt: %v", err)
		}
	}
}

// Do implements aspstate.Pair.
func (k *keepsBack) Do(ctx context.Context, c partner.Call, op func(ctx context.Context, a *partner.Attempt) error) error {
	if !k.armed || !c.Write {
		return k.Pair.Do(ctx, c, op)
	}
	k.armed = false
	ctx, leave := context.WithCancel(ctx)
	defer leave()
	return k.Pair.Do(ctx, c, func(ctx context.Context, a *partner.Attempt) error {
		first, second := *a, *a
		if k.kept == nil {
			k.kept = func(ctx context.Context, now *partner.Attempt) error {
				first.Conn = now.Conn
				return op(ctx, &first)
			}
			if k.leaves {
				leave()
				return ctx.Err()
			}
			second.Sent = a.Earliest(time.Now())
			second.FirstSent, second.Resent, second.Number = first.Sent, true, a.Number+1
		}
		return op(ctx, &second)
	})
}
