package partner

import (
	"context"
	"errors"
	"sync"
	"testing"
	"testing/synctest"

	"github.com/mirrorstate/mirrorstate/fairshare"
	"github.com/mirrorstate/mirrorstate/partner/hold"
)

// Callers also share the queue for a connection: a principal that hangs may have calls of a single caller on
// all connections.
func TestDo_SharesTheQueueForAConnectionBetweenCallers(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		f := newFakePair(t)
		p := f.startServing(func(c *Config) { c.Hold.Size, c.Hold.Bytes, c.MaxConns = 100, 1000, 2 })
		room := make(chan struct{}, 2)
		f.set(func(a, _ *fakeServer) { a.slots = room })
		block := make(chan struct{})
		var wg sync.WaitGroup
		do := func(c Call) <-chan error {
			end := make(chan error, 1)
			wg.Go(func() {
				end <- p.Do(t.Context(), c, func(context.Context, *Attempt) error { <-block; return nil })
			})
			synctest.Wait()
			return end
		}
		var firsts []<-chan error
		for range 12 { // two have connections, ten with 100 bytes each wait
			firsts = append(firsts, do(Call{Caller: "first", Bytes: 100}))
		}
		if err := <-do(Call{Caller: "first", Bytes: 100}); !errors.Is(err, hold.ErrFull) {
			t.Errorf("one more call of the first caller: %v", err)
		}
		second := do(Call{Caller: "second", Bytes: 200})
		for i := range firsts {
			select {
			case err := <-firsts[i]:
				if i < 10 || !errors.Is(err, hold.ErrFull) || OutcomeOf(err) != NotApplied {
					t.Errorf("call %d of the first caller ended with %v", i, err)
				}
			default:
				if i >= 10 {
					t.Errorf("call %d of the first caller was not refused", i)
				}
			}
		}
		if _, size, _ := p.queue.Size(); size != (fairshare.Size{Count: 9, Bytes: 1000}) || p.queue.Evictions() != 2 {
			t.Errorf("%+v wait, %d were refused", size, p.queue.Evictions())
		}
		close(block)
		if err := <-second; err != nil {
			t.Errorf("the call of the second caller: %v", err)
		}
		wg.Wait()
		if n, size, _ := p.queue.Size(); n != 0 || size != (fairshare.Size{}) {
			t.Errorf("at the end %d calls want a connection, %+v wait", n, size)
		}
	})
}
