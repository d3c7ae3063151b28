package aspstate_test

import (
	"context"
	"fmt"
	"testing"
	"time"

	"github.com/mirrorstate/mirrorstate/partner"
	"github.com/mirrorstate/mirrorstate/session"
	"github.com/mirrorstate/mirrorstate/session/aspstate"
	"github.com/mirrorstate/mirrorstate/session/aspstate/aspstatetest"
)

// resends is a pair that executes every n-th write twice, as if its first answer had been lost.
type resends struct {
	aspstate.Pair
	every, n int
}

// Do implements aspstate.Pair.
func (r *resends) Do(ctx context.Context, c partner.Call, op func(ctx context.Context, a *partner.Attempt) error) error {
	return r.Pair.Do(ctx, c, func(ctx context.Context, a *partner.Attempt) error {
		err := op(ctx, a)
		if r.n++; err != nil || !c.Write || r.every == 0 || r.n%r.every != 0 {
			return err
		}
		again := *a
		again.Sent = a.Earliest(time.Now())
		again.FirstSent, again.Resent, again.Number = a.Sent, true, a.Number+1
		return op(ctx, &again)
	})
}

// BenchmarkStore_resends measures a cycle of lock and store: without repetitions, and with one write in a hundred
// sent again; with operation ids of the store, and with ids that other calls may have too.
//
//	go test -run '^$' -bench Store_resends -benchtime 3s ./session/aspstate
func BenchmarkStore_resends(b *testing.B) {
	pair := openPair(b, aspstatetest.Start(b))
	app := session.Application{Name: "/lm/w3svc/1/root"}.WithDefaults()
	for _, keyed := range []bool{false, true} {
		for _, every := range []int{0, 100} {
			b.Run(fmt.Sprintf("keyed=%v/every=%d", keyed, every), func(b *testing.B) {
				store := openStore(b, &resends{Pair: pair, every: every})
				item := session.Write{Item: make([]byte, 1024)}
				var refs [64]session.Ref
				for i := range refs {
					refs[i] = session.Ref{App: &app, ID: session.NewID()}
					if _, err := store.Put(b.Context(), refs[i], item, session.Condition{}, session.Operation{}); err != nil {
						b.Fatal(err)
					}
				}
				operation := func() session.Operation {
					if keyed {
						return session.NewOperation()
					}
					return session.Operation{}
				}
				n := 0
				for b.Loop() {
					n++
					ref := refs[n%len(refs)]
					_, lock, err := store.Acquire(b.Context(), ref, operation())
					if err == nil {
						_, err = store.Update(b.Context(), ref, lock, item, false, operation())
					}
					if err != nil {
						b.Fatal(err)
					}
				}
			})
		}
	}
}
