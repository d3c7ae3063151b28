package hold

import (
	"context"
	"errors"
	"slices"
	"testing"
	"testing/synctest"
	"time"
)

// waitResult is how the wait of a call ended.
type waitResult struct {
	label string
	term  *Term[string]
	err   error
}

// newState returns the state of a new call.
func newState(c Call) *CallState[string] { return &CallState[string]{call: c} }

// startWait starts the wait of a call in a goroutine, which sends the result to out.
func startWait(ctx context.Context, h *Hold[string], label string, c Call, limit time.Duration, out chan<- waitResult) {
	go func() {
		t, err := h.Wait(ctx, newState(c), limit, false)
		out <- waitResult{label, t, err}
	}()
	synctest.Wait() // so that calls arrive in the order of the test
}

// finished returns the labels of the calls whose wait has ended.
func finished(out chan waitResult) (labels []string) {
	synctest.Wait()
	for len(out) > 0 {
		labels = append(labels, (<-out).label)
	}
	return labels
}

func TestHold_ReleasesLockHoldersFirstThenByArrival(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		h := New[string](Config{Size: 100, Bytes: 1000}, false)
		out := make(chan waitResult, 100)
		want := []string{"x", "y", "z", "1", "2", "3", "4", "5", "6"}
		for _, l := range []string{"1", "2", "x", "3", "y", "4", "5", "6", "z"} {
			startWait(t.Context(), h, l, Call{HoldsLock: l >= "a"}, time.Minute, out)
		}
		if got := finished(out); len(got) != 0 {
			t.Fatalf("released without a principal: %v", got)
		}
		next := new(Term[string])
		h.Open(next, nil, 0)
		got := finished(out)
		slices.Sort(got) // goroutines report in any order; only the set matters
		if first := slices.Sorted(slices.Values(want[:DrainFirst])); !slices.Equal(got, first) {
			t.Fatalf("released first: %v, want %v", got, first)
		}
		if h.gate.Load() != nil {
			t.Fatal("the gate is open while a call waits")
		}
		h.releaseMore(drainPerDone)
		if got := finished(out); !slices.Equal(got, want[DrainFirst:]) {
			t.Fatalf("released then: %v, want %v", got, want[DrainFirst:])
		}
		if h.gate.Load() != next {
			t.Fatal("the gate is shut although no call waits")
		}
		if s := h.Stats(); s.Total != 9 || s.Drained != 9 || s.Held != 0 {
			t.Errorf("counters: %+v", s)
		}
	})
}

func TestHold_DrainsByCompletionsAndByTime(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		h := New[string](Config{Size: 100, Bytes: 1000}, false)
		ctx, cancel := context.WithCancel(t.Context())
		defer cancel()
		go h.Drain(ctx)
		out := make(chan waitResult, 100)
		for range 40 {
			startWait(ctx, h, "", Call{}, time.Minute, out)
		}
		h.Open(new(Term[string]), nil, 0)
		if n := len(finished(out)); n != DrainFirst {
			t.Fatalf("at once: %d, want %d", n, DrainFirst)
		}
		h.releaseMore(drainPerDone)
		h.releaseMore(drainPerDone)
		if n := len(finished(out)); n != 2*drainPerDone {
			t.Fatalf("after two completions: %d, want %d", n, 2*drainPerDone)
		}
		time.Sleep(drainInterval)
		if n := len(finished(out)); n != drainPerTick {
			t.Fatalf("after one interval: %d, want %d", n, drainPerTick)
		}
		late := make(chan waitResult, 1)
		startWait(ctx, h, "late", Call{}, time.Minute, late)
		if len(late) != 0 {
			t.Fatal("a new call was released before the calls that waited")
		}
		time.Sleep(10 * drainInterval)
		if n := len(finished(out)) + len(finished(late)); n != 40+1-DrainFirst-2*drainPerDone-drainPerTick {
			t.Fatalf("after the drain: %d", n)
		}
	})
}

func TestHold_ShutsDuringADrain(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		h := New[string](Config{Size: 100, Bytes: 1000}, false)
		ctx, cancel := context.WithCancel(t.Context())
		defer cancel()
		go h.Drain(ctx)
		out := make(chan waitResult, 100)
		for range 20 {
			startWait(ctx, h, "", Call{}, time.Minute, out)
		}
		t1, t2 := new(Term[string]), new(Term[string])
		h.Open(t1, nil, 1)
		if !h.Doubt(t1, t1.Openings(), func() uint64 { return 7 }) {
			t.Fatal("a doubt about the current term was ignored")
		}
		if h.Doubt(t1, t1.Openings(), func() uint64 { return 8 }) {
			t.Fatal("a second doubt about the same opening was accepted")
		}
		time.Sleep(time.Second)
		if n := len(finished(out)); n != DrainFirst {
			t.Fatalf("released: %d, want %d", n, DrainFirst)
		}
		if h.Open(t1, nil, 6) {
			t.Fatal("a probe that began before the doubt opened the hold")
		}
		if !h.Open(t2, nil, 7) {
			t.Fatal("a probe that began after the doubt did not open the hold")
		}
		time.Sleep(time.Second)
		synctest.Wait()
		if len(out) != 12 {
			t.Fatalf("released then: %d, want 12", len(out))
		}
		for len(out) > 0 {
			if r := <-out; r.term != t2 {
				t.Fatalf("released to %p, want the new term %p", r.term, t2)
			}
		}
		if h.Doubt(t1, t1.Openings(), func() uint64 { return 9 }) || h.gate.Load() != t2 {
			t.Error("a doubt about an old term shut the hold to the new term")
		}
	})
}

func TestHold_Bounds(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		h := New[string](Config{Size: 2, Bytes: 100}, false)
		ctx, cancel := context.WithCancel(t.Context())
		defer cancel()
		out := make(chan waitResult, 10)
		refusal := func(c Call, sent bool) error {
			_, err := h.Wait(ctx, newState(c), 0, sent)
			return err
		}
		startWait(ctx, h, "", Call{Bytes: 60}, time.Minute, out)
		if err := refusal(Call{Bytes: 41}, false); !errors.Is(err, ErrFull) || err.(*FullError).Bound != "bytes" {
			t.Errorf("too many bytes: %v", err)
		}
		startWait(ctx, h, "", Call{Bytes: 40}, time.Minute, out)
		if err := refusal(Call{}, false); !errors.Is(err, ErrFull) || err.(*FullError).Bound != "size" {
			t.Errorf("too many calls: %v", err)
		}
		if err := refusal(Call{}, true); !errors.Is(err, ErrExpired) {
			t.Errorf("a call that was sent before: %v, want it to wait", err)
		}
		startWait(ctx, h, "", Call{HoldsLock: true, Bytes: 100}, time.Minute, out)
		startWait(ctx, h, "", Call{HoldsLock: true}, time.Minute, out)
		if err := refusal(Call{HoldsLock: true}, false); !errors.Is(err, ErrFull) {
			t.Errorf("too many lock holders: %v", err)
		}
		if s := h.Stats(); s.Held != 4 || s.Bytes != 200 || s.Rejected != 3 {
			t.Errorf("counters: %+v", s)
		}
		cancel()
		synctest.Wait()
		if s := h.Stats(); s.Held != 0 || s.Bytes != 0 || s.Left != 4 {
			t.Errorf("counters after all callers left: %+v", s)
		}
	})
}

// Each kind of call has the whole bound, and calls that were sent before have none. docs/metrics.md says how
// much that is in total.
func TestHold_BoundsOfEachKind(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		h := New[string](Config{Size: 1, Bytes: 100}, true)
		ctx, cancel := context.WithCancel(t.Context())
		defer cancel()
		out := make(chan waitResult, 10)
		kinds := []Call{{Bytes: 100}, {Write: true, Bytes: 100}, {HoldsLock: true, Bytes: 100}, {HoldsLock: true, Write: true, Bytes: 100}}
		for _, c := range kinds {
			startWait(ctx, h, "", c, time.Minute, out)
		}
		for _, c := range kinds {
			if _, err := h.Wait(ctx, newState(c), 0, false); !errors.Is(err, ErrFull) {
				t.Errorf("one call more, %+v: %v", c, err)
			}
		}
		if s := h.Stats(); s.Held != 4 || s.Bytes != 400 {
			t.Errorf("all kinds: %+v", s)
		}
		go func() { _, _ = h.Wait(ctx, newState(kinds[1]), time.Minute, true) }()
		synctest.Wait()
		if s := h.Stats(); s.Held != 5 || s.Bytes != 500 {
			t.Errorf("with a call that was sent before: %+v", s)
		}
	})
}

func TestHold_TimeLimitAndCallersThatLeave(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		h := New[string](Config{Size: 10, Bytes: 100}, false)
		out := make(chan waitResult, 10)
		ctx, cancel := context.WithCancel(t.Context())
		startWait(t.Context(), h, "patient", Call{}, 30*time.Second, out)
		startWait(ctx, h, "leaver", Call{}, 30*time.Second, out)
		startWait(t.Context(), h, "second", Call{}, 40*time.Second, out)
		cancel()
		synctest.Wait()
		if r := <-out; r.label != "leaver" || !errors.Is(r.err, context.Canceled) {
			t.Fatalf("first result: %+v", r)
		}
		began := time.Now()
		if r := <-out; r.label != "patient" || !errors.Is(r.err, ErrExpired) || time.Since(began) != 30*time.Second {
			t.Fatalf("second result: %+v after %s", r, time.Since(began))
		}
		h.Open(new(Term[string]), nil, 0)
		if r := <-out; r.label != "second" || r.err != nil {
			t.Fatalf("third result: %+v", r)
		}
		s := h.Stats()
		want := Stats{Total: 3, Expired: 1, Left: 1, Drained: 1, MaxWait: 30 * time.Second}
		if s != want {
			t.Errorf("counters: %+v, want %+v", s, want)
		}
	})
}

func TestHold_KeepsTheOrderOfACallThatWaitsAgain(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		h := New[string](Config{Size: 10, Bytes: 100}, false)
		first := newState(Call{})
		for i := range 3 {
			cs := first
			if i > 0 {
				cs = newState(Call{})
			}
			w, _, err := h.enter(cs, false)
			if err != nil {
				t.Fatal(err)
			}
			if i == 0 {
				h.leave(w, &cs.call, context.Canceled)
			}
		}
		w, _, _ := h.enter(first, false)
		if h.lanes[rankOther].reads.head != w {
			t.Error("the oldest call is not the first in its lane")
		}
	})
}

func TestHold_Close(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		h := New[string](Config{Size: 10, Bytes: 100}, false)
		out := make(chan waitResult, 10)
		startWait(t.Context(), h, "", Call{}, time.Minute, out)
		h.Close()
		if r := <-out; !errors.Is(r.err, ErrClosed) {
			t.Errorf("a waiting call got %v, want ErrClosed", r.err)
		}
		if _, err := h.Wait(t.Context(), newState(Call{}), time.Minute, false); !errors.Is(err, ErrClosed) {
			t.Errorf("a later call got %v, want ErrClosed", err)
		}
		if h.Open(new(Term[string]), nil, 9) {
			t.Error("a closed hold was opened")
		}
	})
}

// Interrupted calls of the old term are released first. Other calls wait until all of these are back.
func TestHold_ReleasesInterruptedCallsFirst(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		h := New[string](Config{Size: 10_000, Bytes: 64 << 20}, false)
		ctx, stop := context.WithCancel(t.Context())
		defer stop()
		go h.Drain(ctx)
		before, next := new(Term[string]), new(Term[string])
		var back, away CallState[string]
		back.Start(before)
		away.Start(before)
		released := make(chan string, 4)
		wait := func(name string, cs *CallState[string], sent bool) {
			go func() {
				if _, err := h.Wait(ctx, cs, time.Minute, sent); err == nil {
					released <- name
				}
			}()
			synctest.Wait()
		}
		wait("other", newState(Call{}), false)
		wait("lock", newState(Call{HoldsLock: true}), false)
		wait("back", &back, true)
		h.Open(next, before, 0)
		if got := <-released; got != "back" {
			t.Errorf("%s was released first", got)
		}
		<-time.After(settleTime / 2)
		if n := len(released); n != 0 || h.gate.Load() != nil {
			t.Errorf("%d calls were released before all interrupted calls were back", n)
		}
		away.Finish()
		if one, other := <-released, <-released; one == other {
			t.Errorf("%s was released twice", one)
		}
		<-time.After(2 * drainInterval)
		if h.gate.Load() != next {
			t.Error("the gate is not open at the end")
		}
	})
}

// The same if the hold opens to the same term again: a connection broke, and the principal did not change.
func TestHold_ReleasesInterruptedCallsFirst_sameTerm(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		h := New[string](Config{Size: 10_000, Bytes: 64 << 20}, false)
		ctx, stop := context.WithCancel(t.Context())
		defer stop()
		go h.Drain(ctx)
		only := new(Term[string])
		h.Open(only, nil, 0)
		if h.gate.Load() != only {
			t.Fatal("the gate is shut, although no call was interrupted")
		}
		var cut CallState[string]
		cut.Start(only)
		h.Doubt(only, 1, func() uint64 { return 1 })
		released := make(chan struct{})
		go func() {
			if _, err := h.Wait(ctx, newState(Call{}), time.Minute, false); err == nil {
				close(released)
			}
		}()
		synctest.Wait()
		h.Open(only, nil, 1)
		select {
		case <-released:
			t.Error("another call was released before the interrupted call was back")
		case <-time.After(settleTime / 2):
		}
		if _, err := h.Wait(ctx, &cut, time.Minute, true); err != nil {
			t.Error(err)
		}
		<-released
	})
}

// A call that never comes back delays other calls for settleTime at most.
func TestHold_WaitsOnlySettleTimeForInterruptedCalls(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		h := New[string](Config{Size: 10_000, Bytes: 64 << 20}, false)
		ctx, stop := context.WithCancel(t.Context())
		defer stop()
		go h.Drain(ctx)
		before := new(Term[string])
		new(CallState[string]).Start(before)
		h.Open(new(Term[string]), before, 0)
		began := time.Now()
		if _, err := h.Wait(ctx, newState(Call{}), time.Minute, false); err != nil {
			t.Fatal(err)
		}
		if d := time.Since(began); d < settleTime || d > settleTime+2*drainInterval {
			t.Errorf("waited %v", d)
		}
	})
}

// A single caller may use the whole hold. When another caller comes, the newest calls of the first are refused,
// until both have about the same share.
func TestHold_SharesItsBoundsBetweenCallers(t *testing.T) {
	for _, c := range []struct {
		name  string
		size  int
		bytes int64 // of each call
		bound string
	}{{"number", 16, 0, "size"}, {"bytes", 1000, 4 << 20, "bytes"}} {
		synctest.Test(t, func(t *testing.T) {
			h := New[string](Config{Size: c.size, Bytes: 64 << 20}, false)
			ctx, cancel := context.WithCancel(t.Context())
			defer cancel()
			first, second := make(chan waitResult, 40), make(chan waitResult, 40)
			for range 16 {
				startWait(ctx, h, "first", Call{Caller: "first", Bytes: c.bytes}, time.Minute, first)
			}
			if len(first) != 0 {
				t.Errorf("%s: %d calls of a single caller were refused", c.name, len(first))
			}
			startWait(ctx, h, "more", Call{Caller: "first", Bytes: c.bytes}, time.Minute, first)
			if r := <-first; r.label != "more" || !errors.Is(r.err, ErrFull) {
				t.Errorf("%s: one more call of the same caller: %+v", c.name, r)
			}
			for i := range 8 {
				startWait(ctx, h, "", Call{Caller: "second", Bytes: c.bytes}, time.Minute, second)
				var full *FullError
				if len(second) != 0 || len(first) != 1 {
					t.Fatalf("%s: call %d of the second caller: %d refused, %d of the first refused", c.name, i, len(second), len(first))
				}
				if r := <-first; !errors.As(r.err, &full) || full.Bound != c.bound {
					t.Errorf("%s: the newest call of the first caller ended with %v", c.name, r.err)
				}
			}
			for _, caller := range []string{"second", "first"} { // each caller has half
				startWait(ctx, h, "", Call{Caller: caller, Bytes: c.bytes}, time.Minute, second)
				if r := <-second; !errors.Is(r.err, ErrFull) {
					t.Errorf("%s: one more call of %s: %+v", c.name, caller, r)
				}
			}
			if s := h.Stats(); s.Held != 16 || s.Bytes != 16*c.bytes || s.Evicted != 8 || s.Rejected != 3 {
				t.Errorf("%s: counters: %+v", c.name, s)
			}
			go h.Drain(ctx)
			h.Open(new(Term[string]), nil, 0)
			time.Sleep(time.Second)
			if n := len(finished(second)); n != 8 || h.gate.Load() == nil {
				t.Errorf("%s: %d calls of the second caller were released", c.name, n)
			}
		})
	}
}

// Many calls of one caller take no place of calls that hold a lock. A call that may have been executed already
// is never refused.
func TestHold_LanesHaveSeparateBounds(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		h := New[string](Config{Size: 3, Bytes: 1000}, false)
		ctx, cancel := context.WithCancel(t.Context())
		defer cancel()
		out := make(chan waitResult, 40)
		wait := func(label string, c Call, sent bool) {
			go func() {
				_, err := h.Wait(ctx, newState(c), time.Minute, sent)
				out <- waitResult{label: label, err: err}
			}()
			synctest.Wait()
		}
		for range 3 {
			wait("sent", Call{Caller: "first"}, true)
			wait("lock", Call{Caller: "first", HoldsLock: true}, false)
			wait("plain", Call{Caller: "first"}, false)
		}
		for range 3 {
			wait("second", Call{Caller: "second"}, false)
			wait("second's lock", Call{Caller: "second", HoldsLock: true}, false)
			wait("second's sent", Call{Caller: "second"}, true)
		}
		got := finished(out)
		slices.Sort(got)
		if want := []string{"lock", "plain", "second", "second", "second's lock", "second's lock"}; !slices.Equal(got, want) {
			t.Errorf("refused: %v, want %v", got, want)
		}
	})
}

// A hold that waits for interrupted calls stops waiting by itself, even if no other call waited when it opened.
func TestHold_SettlesAlthoughNoCallWaitsAtFirst(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		h := New[string](Config{Size: 10_000, Bytes: 64 << 20}, false)
		ctx, stop := context.WithCancel(t.Context())
		defer stop()
		go h.Drain(ctx)
		before := new(Term[string])
		new(CallState[string]).Start(before)
		admitted := time.Now()
		h.Open(new(Term[string]), before, 0)
		time.Sleep(10 * drainInterval)
		if _, err := h.Wait(ctx, newState(Call{}), time.Minute, false); err != nil {
			t.Fatal(err)
		}
		if d := time.Since(admitted); d < settleTime || d > settleTime+2*drainInterval {
			t.Errorf("released %v after the hold opened, want %v", d, settleTime)
		}
	})
}
