package partner

import (
	"context"
	"errors"
	"slices"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/mirrorstate/mirrorstate/shares"
)

// One caller alone may have all of the hold. Where another comes, it makes room, newest first, until they
// have about the same.
func TestHold_EachCallerHasATurn(t *testing.T) {
	for _, c := range []struct {
		name  string
		size  int
		bytes int64 // of each call
		bound string
	}{{"number", 16, 0, "size"}, {"bytes", 1000, 4 << 20, "bytes"}} {
		synctest.Test(t, func(t *testing.T) {
			h := newHold(HoldConfig{Size: c.size, Bytes: 64 << 20}, false)
			ctx, cancel := context.WithCancel(t.Context())
			defer cancel()
			flood, good := make(chan held, 40), make(chan held, 40)
			for range 16 {
				queue(ctx, h, Call{Caller: "flood", Label: "flood", Bytes: c.bytes}, time.Minute, flood)
			}
			if len(flood) != 0 {
				t.Errorf("%s: a caller that is alone has %d of its calls refused", c.name, len(flood))
			}
			queue(ctx, h, Call{Caller: "flood", Label: "more", Bytes: c.bytes}, time.Minute, flood)
			if r := <-flood; r.label != "more" || !errors.Is(r.err, ErrHoldFull) {
				t.Errorf("%s: the flood's next call: %+v", c.name, r)
			}
			for i := range 8 {
				queue(ctx, h, Call{Caller: "good", Bytes: c.bytes}, time.Minute, good)
				var full *HoldFullError
				if len(good) != 0 || len(flood) != 1 {
					t.Fatalf("%s: call %d of the other: %d refused, %d of the flood", c.name, i, len(good), len(flood))
				}
				if r := <-flood; !errors.As(r.err, &full) || full.Bound != c.bound || OutcomeOf(r.err) != NotApplied {
					t.Errorf("%s: the flood's newest ended with %v", c.name, r.err)
				}
			}
			for _, caller := range []string{"good", "flood"} { // both have half
				queue(ctx, h, Call{Caller: caller, Bytes: c.bytes}, time.Minute, good)
				if r := <-good; !errors.Is(r.err, ErrHoldFull) {
					t.Errorf("%s: one more of %s: %+v", c.name, caller, r)
				}
			}
			if s := h.read(); s.Held != 16 || s.Bytes != 16*c.bytes || s.Evicted != 8 || s.Rejected != 3 {
				t.Errorf("%s: counters: %+v", c.name, s)
			}
			go h.drain(ctx)
			h.open(new(term), nil, 0)
			time.Sleep(time.Second)
			if n := len(gone(good)); n != 8 || h.gate.Load() == nil {
				t.Errorf("%s: %d of the other were let go", c.name, n)
			}
		})
	}
}

// A flood takes no place of those who hold locks, and no call that may have had an effect makes room.
func TestHold_LanesKeepTheirOwn(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		h := newHold(HoldConfig{Size: 3, Bytes: 1000}, false)
		ctx, cancel := context.WithCancel(t.Context())
		defer cancel()
		out := make(chan held, 40)
		wait := func(label string, c Call, sent bool) {
			c.Label = label
			go func() {
				_, err := h.wait(ctx, &c, new(pass), time.Minute, sent)
				out <- held{label: label, err: err}
			}()
			synctest.Wait()
		}
		for range 3 {
			wait("sent", Call{Caller: "flood"}, true)
			wait("lock", Call{Caller: "flood", HoldsLock: true}, false)
			wait("plain", Call{Caller: "flood"}, false)
		}
		for range 3 {
			wait("good", Call{Caller: "good"}, false)
			wait("good's lock", Call{Caller: "good", HoldsLock: true}, false)
			wait("good's sent", Call{Caller: "good"}, true)
		}
		got := gone(out)
		slices.Sort(got)
		if want := []string{"good", "good", "good's lock", "good's lock", "lock", "plain"}; !slices.Equal(got, want) {
			t.Errorf("refused: %v, want %v", got, want)
		}
	})
}

// Calls that wait for a connection have the same turns: a principal that hangs has one caller's calls on all of them.
func TestDo_EachCallerHasATurnForAConnection(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		f := newFakePair(t)
		p := f.startServing(func(c *Config) { c.Hold.Size, c.Hold.Bytes, c.MaxConns = 100, 1000, 2 })
		room := make(chan struct{}, 2)
		f.set(func(a, _ *fakeServer) { a.room = room })
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
		if err := <-do(Call{Caller: "flood", Bytes: 100}); !errors.Is(err, ErrHoldFull) {
			t.Errorf("one more of the flood: %v", err)
		}
		good := do(Call{Caller: "good", Bytes: 200})
		for i := range floods {
			select {
			case err := <-floods[i]:
				if i < 10 || !errors.Is(err, ErrHoldFull) || OutcomeOf(err) != NotApplied {
					t.Errorf("call %d of the flood ended with %v", i, err)
				}
			default:
				if i >= 10 {
					t.Errorf("call %d of the flood did not make room", i)
				}
			}
		}
		if size := p.line.waiting[0].Size(); size != (shares.Size{Count: 9, Bytes: 1000}) || p.line.evicted.Load() != 2 {
			t.Errorf("%+v wait, %d had to go", size, p.line.evicted.Load())
		}
		close(block)
		if err := <-good; err != nil {
			t.Errorf("the other caller's call: %v", err)
		}
		wg.Wait()
		if n, size := p.line.wanted.Load(), p.line.waiting[0].Size(); n != 0 || size != (shares.Size{}) {
			t.Errorf("at the end %d want a connection, %+v wait", n, size)
		}
	})
}
