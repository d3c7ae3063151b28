package proxy

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/mirrorstate/mirrorstate/session"
)

// entering calls enter in a goroutine, which sends the error.
func entering(ctx context.Context, a *admission, caller string) <-chan error {
	got := make(chan error, 1)
	go func() {
		_, err := a.enter(ctx, caller)
		got <- err
	}()
	return got
}

func TestAdmission_TakesTurns(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		a := newAdmission(1, 100, time.Hour, nil)
		if placed, err := a.enter(t.Context(), "first"); !placed || err != nil {
			t.Fatal(placed, err)
		}
		var mu sync.Mutex
		var order []string
		var wg sync.WaitGroup
		for i, caller := range []string{"flood", "flood", "flood", "good", "flood", "other", "good"} {
			wg.Go(func() {
				if _, err := a.enter(t.Context(), caller); err != nil {
					t.Error(err)
				}
				mu.Lock()
				order = append(order, fmt.Sprint(caller, i))
				mu.Unlock()
				a.leave()
			})
			synctest.Wait() // so that the calls arrive in this order
		}
		a.leave()
		wg.Wait()
		want := []string{"flood0", "good3", "other5", "flood1", "good6", "flood2", "flood4"}
		if !slices.Equal(order, want) {
			t.Errorf("served in the order %v, want %v", order, want)
		}
		if s := a.stats(); s.Busy != 0 || s.Waiting != 0 || s.Queued != 7 {
			t.Errorf("at the end %+v", s)
		}
	})
}

func TestAdmission_Full(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		ctx, cancel := context.WithCancel(t.Context())
		a := newAdmission(1, 3, time.Hour, nil)
		a.take()
		var floods []<-chan error
		for range 3 {
			floods = append(floods, entering(ctx, a, "flood"))
			synctest.Wait()
		}
		if _, err := a.enter(ctx, "flood"); !errors.Is(err, session.ErrOverloaded) {
			t.Errorf("one more of the flood: %v", err)
		}
		good := entering(ctx, a, "good")
		synctest.Wait()
		select {
		case err := <-floods[2]:
			if !errors.Is(err, session.ErrOverloaded) {
				t.Errorf("the newest of the flood ended with %v", err)
			}
		default:
			t.Error("a caller with nothing in the queue finds no room in it")
		}
		a.leave()
		synctest.Wait()
		a.leave()
		if err := <-good; err != nil {
			t.Errorf("the other caller: %v", err)
		}
		cancel()
		synctest.Wait()
		if s := a.stats(); s.Full != 1 || s.Evicted != 1 || s.Waiting != 0 {
			t.Errorf("counted %+v", s)
		}
	})
}

// A call that waits too long is refused only while other calls get places. If no call does, this is not an overload,
// and the call waits until its own deadline.
func TestAdmission_Late(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		a := newAdmission(1, 100, 2*time.Second, nil)
		a.take()
		waits := entering(t.Context(), a, "a")
		time.Sleep(time.Minute)
		synctest.Wait()
		select {
		case err := <-waits:
			t.Fatalf("turned away although nothing moves: %v", err)
		default:
		}
		// From now on other calls get places.
		var others []<-chan error
		for range 4 {
			others = append(others, entering(t.Context(), a, "b"))
			synctest.Wait()
		}
		a.leave() // a call of a gets the place
		if err := <-waits; err != nil {
			t.Fatalf("a's turn: %v", err)
		}
		for range 3 {
			time.Sleep(900 * time.Millisecond)
			a.leave()
			synctest.Wait()
		}
		time.Sleep(time.Second)
		synctest.Wait()
		turned := 0
		for _, o := range others {
			select {
			case err := <-o:
				if errors.Is(err, session.ErrOverloaded) {
					turned++
				}
			default:
			}
		}
		if turned != 2 || a.stats().Late != 2 || a.stats().Waiting != 0 {
			t.Errorf("%d were turned away, counted %+v", turned, a.stats())
		}
	})
}

// The error of a call whose deadline ends in the queue says whether other calls got places.
func TestAdmission_DeadlineInTheQueue(t *testing.T) {
	for _, c := range []struct {
		moves bool
		want  error
	}{{true, session.ErrOverloaded}, {false, session.ErrNoPrincipal}} {
		synctest.Test(t, func(t *testing.T) {
			a := newAdmission(1, 100, time.Hour, nil)
			a.take()
			ctx, cancel := context.WithTimeout(t.Context(), 90*time.Second)
			defer cancel()
			other := entering(t.Context(), a, "b") // gets a place first
			synctest.Wait()
			waits := entering(ctx, a, "a")
			time.Sleep(20 * time.Second)
			if c.moves {
				a.leave()
			}
			if err := <-waits; !errors.Is(err, c.want) {
				t.Errorf("others served %v: got %v, want %v", c.moves, err, c.want)
			}
			if !c.moves {
				a.leave()
			}
			if err := <-other; err != nil {
				t.Error(err)
			}
		})
	}
}

// While the pair holds calls, calls take no place, because the hold has its own order.
func TestAdmission_Holding(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var holding atomic.Bool
		a := newAdmission(1, 1, time.Hour, holding.Load)
		a.take()
		waits := entering(t.Context(), a, "a")
		synctest.Wait()
		holding.Store(true)
		if placed, err := a.enter(t.Context(), "b"); placed || err != nil {
			t.Errorf("a call in a hold: placed %t, %v", placed, err)
		}
		if err := <-waits; err != nil { // at its next check
			t.Errorf("a call that waited as the hold began: %v", err)
		}
		if s := a.stats(); s.Passed != 2 || s.Busy != 1 {
			t.Errorf("counted %+v", s)
		}
	})
}

func TestAdmission_CallerLeaves(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		a := newAdmission(1, 100, time.Hour, nil)
		a.take()
		ctx, cancel := context.WithCancel(t.Context())
		gone := entering(ctx, a, "a")
		late, end := context.WithTimeout(t.Context(), time.Second)
		defer end()
		over := entering(late, a, "a")
		stays := entering(t.Context(), a, "a")
		synctest.Wait()
		cancel()
		if err := <-gone; !errors.Is(err, context.Canceled) {
			t.Errorf("a caller that left: %v", err)
		}
		if err := <-over; !errors.Is(err, session.ErrNoPrincipal) || session.OutcomeOf(err) != session.NotApplied {
			t.Errorf("a call whose time is over: %v, which must say that nothing was done", err)
		}
		a.leave()
		if err := <-stays; err != nil {
			t.Errorf("the one that stayed: %v", err)
		}
		a.leave()
		if s := a.stats(); s.Busy != 0 || s.Left != 2 {
			t.Errorf("counted %+v", s)
		}
	})
}

// The number of places stays the same, whatever happens at the same time.
func TestAdmission_Concurrent(t *testing.T) {
	a := newAdmission(3, 20, time.Millisecond, nil)
	var at, most atomic.Int64
	var wg sync.WaitGroup
	for i := range 64 {
		wg.Go(func() {
			for n := range 300 {
				ctx, cancel := context.WithTimeout(t.Context(), time.Duration(1+(i+n)%7)*100*time.Microsecond)
				if placed, err := a.enter(ctx, fmt.Sprint(i%5)); err == nil && placed {
					now := at.Add(1)
					for m := most.Load(); now > m && !most.CompareAndSwap(m, now); m = most.Load() {
					}
					at.Add(-1)
					a.leave()
				}
				cancel()
			}
		})
	}
	wg.Wait()
	if s := a.stats(); s.Busy != 0 || s.Waiting != 0 || most.Load() > 3 {
		t.Errorf("at the end %+v, %d at once", s, most.Load())
	}
	if placed, err := a.enter(t.Context(), "x"); !placed || err != nil {
		t.Errorf("no place at the end: %v", err)
	}
}
