package partner

import (
	"context"
	"errors"
	"sync"
	"testing"
	"testing/synctest"

	"github.com/mirrorstate/mirrorstate/partner/hold"
	"github.com/mirrorstate/mirrorstate/shares"
)

// Calls that wait for a connection have the same turns: a principal that hangs has one caller's calls on all of them.
func TestDo_EachCallerHasATurnForAConnection(t *testing.T) {
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
		var floods []<-chan error
		for range 12 { // two have the connections, ten of a hundred bytes wait
			floods = append(floods, do(Call{Caller: "flood", Bytes: 100}))
		}
		if err := <-do(Call{Caller: "flood", Bytes: 100}); !errors.Is(err, hold.ErrFull) {
			t.Errorf("one more of the flood: %v", err)
		}
		good := do(Call{Caller: "good", Bytes: 200})
		for i := range floods {
			select {
			case err := <-floods[i]:
				if i < 10 || !errors.Is(err, hold.ErrFull) || OutcomeOf(err) != NotApplied {
					t.Errorf("call %d of the flood ended with %v", i, err)
				}
			default:
				if i >= 10 {
					t.Errorf("call %d of the flood did not make room", i)
				}
			}
		}
		if _, size, _ := p.queue.Size(); size != (shares.Size{Count: 9, Bytes: 1000}) || p.queue.Evictions() != 2 {
			t.Errorf("%+v wait, %d had to go", size, p.queue.Evictions())
		}
		close(block)
		if err := <-good; err != nil {
			t.Errorf("the other caller's call: %v", err)
		}
		wg.Wait()
		if n, size, _ := p.queue.Size(); n != 0 || size != (shares.Size{}) {
			t.Errorf("at the end %d want a connection, %+v wait", n, size)
		}
	})
}
