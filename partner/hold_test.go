package partner

import (
	"context"
	"errors"
	"slices"
	"testing"
	"testing/synctest"
	"time"
)

// held is a call waiting in a hold under test.
type held struct {
	label string
	term  *term
	err   error
}

// queue lets a call wait in its own goroutine and reports its end.
func queue(ctx context.Context, h *hold, c Call, limit time.Duration, out chan<- held) {
	go func() {
		t, err := h.wait(ctx, &c, new(pass), limit, false)
		out <- held{c.Label, t, err}
	}()
	synctest.Wait() // so that calls arrive in the order of the test
}

// gone is what has come out so far.
func gone(out chan held) (labels []string) {
	synctest.Wait()
	for len(out) > 0 {
		labels = append(labels, (<-out).label)
	}
	return labels
}

func TestHold_LockHoldersFirstThenOrderOfArrival(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		h := newHold(HoldConfig{Size: 100, Bytes: 1000}, false)
		out := make(chan held, 100)
		want := []string{"x", "y", "z", "1", "2", "3", "4", "5", "6"}
		for _, l := range []string{"1", "2", "x", "3", "y", "4", "5", "6", "z"} {
			queue(t.Context(), h, Call{Label: l, HoldsLock: l >= "a"}, time.Minute, out)
		}
		if got := gone(out); len(got) != 0 {
			t.Fatalf("let go without a principal: %v", got)
		}
		next := new(term)
		h.open(next, nil, 0)
		got := gone(out)
		slices.Sort(got) // goroutines report in any order; which ones went is the point
		if first := slices.Sorted(slices.Values(want[:drainFirst])); !slices.Equal(got, first) {
			t.Fatalf("first let go: %v, want %v", got, first)
		}
		if h.gate.Load() != nil {
			t.Fatal("open for everybody while a call waits")
		}
		h.completed()
		if got := gone(out); !slices.Equal(got, want[drainFirst:]) {
			t.Fatalf("then let go: %v, want %v", got, want[drainFirst:])
		}
		if h.gate.Load() != next {
			t.Fatal("not open although nobody waits")
		}
		if s := h.read(); s.Total != 9 || s.Drained != 9 || s.Held != 0 {
			t.Errorf("counters: %+v", s)
		}
	})
}

func TestHold_RampIsDrivenByCompletionsAndByTime(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		h := newHold(HoldConfig{Size: 100, Bytes: 1000}, false)
		ctx, cancel := context.WithCancel(t.Context())
		defer cancel()
		go h.drain(ctx)
		out := make(chan held, 100)
		for range 40 {
			queue(ctx, h, Call{}, time.Minute, out)
		}
		h.open(new(term), nil, 0)
		if n := len(gone(out)); n != drainFirst {
			t.Fatalf("at once: %d, want %d", n, drainFirst)
		}
		h.completed()
		h.completed()
		if n := len(gone(out)); n != 2*drainPerDone {
			t.Fatalf("after two completions: %d, want %d", n, 2*drainPerDone)
		}
		time.Sleep(drainInterval)
		if n := len(gone(out)); n != drainPerTick {
			t.Fatalf("after one interval: %d, want %d", n, drainPerTick)
		}
		late := make(chan held, 1)
		queue(ctx, h, Call{Label: "late"}, time.Minute, late)
		if len(late) != 0 {
			t.Fatal("a call that came during the drain passed those who waited")
		}
		time.Sleep(10 * drainInterval)
		if n := len(gone(out)) + len(gone(late)); n != 40+1-drainFirst-2*drainPerDone-drainPerTick {
			t.Fatalf("the rest: %d", n)
		}
	})
}

func TestHold_ShutsInTheMiddleOfADrain(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		h := newHold(HoldConfig{Size: 100, Bytes: 1000}, false)
		ctx, cancel := context.WithCancel(t.Context())
		defer cancel()
		go h.drain(ctx)
		out := make(chan held, 100)
		for range 20 {
			queue(ctx, h, Call{}, time.Minute, out)
		}
		t1, t2 := new(term), new(term)
		h.open(t1, nil, 1)
		if !h.doubt(t1, t1.confirmed.Load(), func() uint64 { return 7 }) {
			t.Fatal("a doubt about the term in use was not taken")
		}
		if h.doubt(t1, t1.confirmed.Load(), func() uint64 { return 8 }) {
			t.Fatal("a second doubt was taken")
		}
		time.Sleep(time.Second)
		if n := len(gone(out)); n != drainFirst {
			t.Fatalf("let go: %d, want %d", n, drainFirst)
		}
		if h.open(t1, nil, 6) {
			t.Fatal("opened by a probe that began before the doubt")
		}
		if !h.open(t2, nil, 7) {
			t.Fatal("not opened by a probe that began after the doubt")
		}
		time.Sleep(time.Second)
		synctest.Wait()
		if len(out) != 12 {
			t.Fatalf("then let go: %d, want 12", len(out))
		}
		for len(out) > 0 {
			if r := <-out; r.term != t2 {
				t.Fatalf("let go to %p, want the new term %p", r.term, t2)
			}
		}
		if h.doubt(t1, t1.confirmed.Load(), func() uint64 { return 9 }) || h.gate.Load() != t2 {
			t.Error("a doubt about a term that is over shut the door to its successor")
		}
	})
}

func TestHold_Bounds(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		h := newHold(HoldConfig{Size: 2, Bytes: 100}, false)
		ctx, cancel := context.WithCancel(t.Context())
		defer cancel()
		out := make(chan held, 10)
		refusal := func(c Call, sent bool) error {
			_, err := h.wait(ctx, &c, new(pass), 0, sent)
			return err
		}
		queue(ctx, h, Call{Bytes: 60}, time.Minute, out)
		if err := refusal(Call{Bytes: 41}, false); !errors.Is(err, ErrHoldFull) || err.(*HoldFullError).Bound != "bytes" {
			t.Errorf("too many bytes: %v", err)
		}
		queue(ctx, h, Call{Bytes: 40}, time.Minute, out)
		if err := refusal(Call{}, false); !errors.Is(err, ErrHoldFull) || err.(*HoldFullError).Bound != "size" {
			t.Errorf("too many calls: %v", err)
		}
		if err := refusal(Call{}, true); !errors.Is(err, ErrNoPrincipal) {
			t.Errorf("a call that was sent already: %v, want a place", err)
		}
		queue(ctx, h, Call{HoldsLock: true, Bytes: 100}, time.Minute, out)
		queue(ctx, h, Call{HoldsLock: true}, time.Minute, out)
		if err := refusal(Call{HoldsLock: true}, false); !errors.Is(err, ErrHoldFull) {
			t.Errorf("too many lock holders: %v", err)
		}
		if s := h.read(); s.Held != 4 || s.Bytes != 200 || s.Rejected != 3 {
			t.Errorf("counters: %+v", s)
		}
		cancel()
		synctest.Wait()
		if s := h.read(); s.Held != 0 || s.Bytes != 0 || s.Left != 4 {
			t.Errorf("counters after everybody left: %+v", s)
		}
	})
}

// Each kind has the whole bound, and calls that were sent before have none: docs/metrics.md says how much that is in all.
func TestHold_BoundsOfEachKind(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		h := newHold(HoldConfig{Size: 1, Bytes: 100}, true)
		ctx, cancel := context.WithCancel(t.Context())
		defer cancel()
		out := make(chan held, 10)
		kinds := []Call{{Bytes: 100}, {Write: true, Bytes: 100}, {HoldsLock: true, Bytes: 100}, {HoldsLock: true, Write: true, Bytes: 100}}
		for _, c := range kinds {
			queue(ctx, h, c, time.Minute, out)
		}
		for _, c := range kinds {
			if _, err := h.wait(ctx, &c, new(pass), 0, false); !errors.Is(err, ErrHoldFull) {
				t.Errorf("one more of %+v: %v", c, err)
			}
		}
		if s := h.read(); s.Held != 4 || s.Bytes != 400 {
			t.Errorf("of all kinds: %+v", s)
		}
		go func() { _, _ = h.wait(ctx, &kinds[1], new(pass), time.Minute, true) }()
		synctest.Wait()
		if s := h.read(); s.Held != 5 || s.Bytes != 500 {
			t.Errorf("with one that was sent before: %+v", s)
		}
	})
}

func TestHold_WindowAndLeavers(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		h := newHold(HoldConfig{Size: 10, Bytes: 100}, false)
		out := make(chan held, 10)
		ctx, cancel := context.WithCancel(t.Context())
		queue(t.Context(), h, Call{Label: "patient"}, 30*time.Second, out)
		queue(ctx, h, Call{Label: "leaver"}, 30*time.Second, out)
		queue(t.Context(), h, Call{Label: "second"}, 40*time.Second, out)
		cancel()
		synctest.Wait()
		if r := <-out; r.label != "leaver" || !errors.Is(r.err, context.Canceled) {
			t.Fatalf("first out: %+v", r)
		}
		began := time.Now()
		if r := <-out; r.label != "patient" || !errors.Is(r.err, ErrNoPrincipal) || time.Since(began) != 30*time.Second {
			t.Fatalf("second out: %+v after %s", r, time.Since(began))
		}
		h.open(new(term), nil, 0)
		if r := <-out; r.label != "second" || r.err != nil {
			t.Fatalf("third out: %+v", r)
		}
		s := h.read()
		want := HoldStats{Total: 3, Expired: 1, Left: 1, Drained: 1, MaxWait: 30 * time.Second}
		if s != want {
			t.Errorf("counters: %+v, want %+v", s, want)
		}
	})
}

func TestHold_ACallThatComesBackKeepsItsPlace(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		h := newHold(HoldConfig{Size: 10, Bytes: 100}, false)
		first := &pass{}
		for i, l := range []string{"a", "b", "c"} {
			ps := first
			if i > 0 {
				ps = new(pass)
			}
			w, _, err := h.enter(&Call{Label: l}, ps, false)
			if err != nil {
				t.Fatal(err)
			}
			if i == 0 {
				h.leave(w, &Call{}, context.Canceled)
			}
		}
		w, _, _ := h.enter(&Call{}, first, false)
		if h.lanes[rankOther].reads.head != w {
			t.Error("the oldest call is not the first to go")
		}
	})
}

func TestHold_Close(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		h := newHold(HoldConfig{Size: 10, Bytes: 100}, false)
		out := make(chan held, 10)
		queue(t.Context(), h, Call{}, time.Minute, out)
		h.close()
		if r := <-out; !errors.Is(r.err, ErrClosed) {
			t.Errorf("a waiter got %v, want ErrClosed", r.err)
		}
		if _, err := h.wait(t.Context(), &Call{}, new(pass), time.Minute, false); !errors.Is(err, ErrClosed) {
			t.Errorf("a late caller got %v, want ErrClosed", err)
		}
		if h.open(new(term), nil, 9) {
			t.Error("a closed hold was opened")
		}
	})
}

// What was cut off on the term before goes first, and alone until all of it is back.
func TestHold_CutOffFirst(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		h := newHold(Config{}.withDefaults().Hold, false)
		ctx, stop := context.WithCancel(t.Context())
		defer stop()
		go h.drain(ctx)
		before, next := new(term), new(term)
		var back, away pass
		back.start(before)
		away.start(before)
		let := make(chan string, 4)
		wait := func(name string, c Call, ps *pass, sent bool) {
			go func() {
				if _, err := h.wait(ctx, &c, ps, time.Minute, sent); err == nil {
					let <- name
				}
			}()
			synctest.Wait()
		}
		wait("other", Call{}, new(pass), false)
		wait("lock", Call{HoldsLock: true}, new(pass), false)
		wait("back", Call{}, &back, true)
		h.open(next, before, 0)
		if got := <-let; got != "back" {
			t.Errorf("%s goes first", got)
		}
		<-time.After(settleTime / 2)
		if n := len(let); n != 0 || h.gate.Load() != nil {
			t.Errorf("%d went before all were back", n)
		}
		away.leave()
		if one, other := <-let, <-let; one == other {
			t.Errorf("%s went twice", one)
		}
		<-time.After(2 * drainInterval)
		if h.gate.Load() != next {
			t.Error("the door is not open for everybody in the end")
		}
	})
}

// The same where the door opens to the term that it led to before: a connection broke, not the principal.
func TestHold_CutOffFirst_sameTerm(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		h := newHold(Config{}.withDefaults().Hold, false)
		ctx, stop := context.WithCancel(t.Context())
		defer stop()
		go h.drain(ctx)
		only := new(term)
		h.open(only, nil, 0)
		if h.gate.Load() != only {
			t.Fatal("shut, although nobody can have been cut off")
		}
		var cut pass
		cut.start(only)
		h.doubt(only, 1, func() uint64 { return 1 })
		let := make(chan struct{})
		go func() {
			if _, err := h.wait(ctx, &Call{}, new(pass), time.Minute, false); err == nil {
				close(let)
			}
		}()
		synctest.Wait()
		h.open(only, nil, 1)
		select {
		case <-let:
			t.Error("somebody else goes before who was cut off is back")
		case <-time.After(settleTime / 2):
		}
		if _, err := h.wait(ctx, &Call{}, &cut, time.Minute, true); err != nil {
			t.Error(err)
		}
		<-let
	})
}

// One that never comes back keeps nobody for longer than settleTime.
func TestHold_CutOffForGood(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		h := newHold(Config{}.withDefaults().Hold, false)
		ctx, stop := context.WithCancel(t.Context())
		defer stop()
		go h.drain(ctx)
		before := new(term)
		new(pass).start(before)
		h.open(new(term), before, 0)
		began := time.Now()
		if _, err := h.wait(ctx, &Call{}, new(pass), time.Minute, false); err != nil {
			t.Fatal(err)
		}
		if d := time.Since(began); d < settleTime || d > settleTime+2*drainInterval {
			t.Errorf("waited %v", d)
		}
	})
}
