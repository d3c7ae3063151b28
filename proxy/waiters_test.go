package proxy

import (
	"context"
	"errors"
	"slices"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/mirrorstate/mirrorstate/session"
)

// testLock is a lock for waiters. A try that finds it unlocked locks it.
type testLock struct {
	mu     sync.Mutex
	locked bool        // owned by mu
	tries  []time.Time // owned by mu: the tries that found it locked
}

func (d *testLock) acquire(context.Context) error {
	d.mu.Lock()
	defer d.mu.Unlock()
	if d.locked {
		d.tries = append(d.tries, time.Now())
		return &session.LockedError{Age: 7 * time.Second}
	}
	d.locked = true
	return nil
}

func (d *testLock) read(context.Context) error {
	d.mu.Lock()
	defer d.mu.Unlock()
	if d.locked {
		return &session.LockedError{Age: 7 * time.Second}
	}
	return nil
}

func (d *testLock) unlock() {
	d.mu.Lock()
	defer d.mu.Unlock()
	d.locked = false
}

var key = waitKey{"/app", "session"}

// line starts n callers one after the other, each after the previous one is in the queue. They send their numbers
// when they are served.
func line(ctx context.Context, w *waiters, n int, wait time.Duration, try func(context.Context) error) (served <-chan int, wg *sync.WaitGroup) {
	order := make(chan int, n)
	wg = new(sync.WaitGroup)
	for i := range n {
		wg.Go(func() {
			if err := w.await(ctx, "", key, wait, false, nil, try); err == nil {
				order <- i
			}
		})
		synctest.Wait()
	}
	return order, wg
}

func TestWaiters_FirstComeFirstServed(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w, d := newWaiters(50, 100), &testLock{locked: true}
		served, wg := line(t.Context(), w, 5, time.Minute, d.acquire)
		for want := range 5 {
			d.unlock()
			w.wake(key)
			synctest.Wait() // no time passes: the next waiter is served at once
			select {
			case got := <-served:
				if got != want {
					t.Errorf("caller %d was served as number %d", got, want)
				}
			default:
				t.Fatalf("no call was served after release %d", want)
			}
		}
		wg.Wait()
		if st := w.stats(); st.Waiting != 0 || st.Total != 5 || st.Served != 5 || st.Woken < 5 {
			t.Errorf("the counters are %+v", st)
		}
		if len(w.shard(key).queues) != 0 {
			t.Error("an empty queue is kept")
		}
	})
}

// If the store panics in one call, the queue of the session continues.
func TestWaiters_Panic(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w, d := newWaiters(50, 100), &testLock{locked: true}
		tries := 0
		panicked := make(chan any, 1)
		go func() {
			defer func() { panicked <- recover() }()
			w.await(t.Context(), "", key, time.Minute, false, nil, func(ctx context.Context) error {
				if tries++; tries == 2 {
					panic("a bug")
				}
				return d.acquire(ctx)
			})
		}()
		synctest.Wait()
		served, wg := line(t.Context(), w, 1, time.Minute, d.acquire)
		if <-panicked == nil {
			t.Error("the panic reached no caller")
		}
		d.unlock()
		wg.Wait()
		if len(served) != 1 {
			t.Error("the next in the queue was not served")
		}
		if st := w.stats(); st.Waiting != 0 || len(w.shard(key).queues) != 0 {
			t.Errorf("a waiter is left in the queue: %+v", st)
		}
	})
}

// A release through another proxy wakes no waiter here, so the head of the queue polls.
func TestWaiters_HeadPolls(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w, d := newWaiters(50, 100), &testLock{locked: true}
		start := time.Now()
		served, wg := line(t.Context(), w, 3, 2*time.Minute, d.acquire)
		time.Sleep(10 * time.Second)
		d.mu.Lock()
		tries := slices.Clone(d.tries)
		d.mu.Unlock()
		d.unlock()
		time.Sleep(pollLast * 5 / 4)
		synctest.Wait()
		if len(served) != 1 || <-served != 0 {
			t.Fatal("the head did not find the session free within the longest pause")
		}
		if tries[0] != start {
			t.Errorf("the first try came after %v, want at once", tries[0].Sub(start))
		}
		pause := pollFirst
		for i, at := range tries[1:] {
			got := at.Sub(tries[i])
			if got < pause*3/4 || got > pause*5/4 {
				t.Errorf("pause %d is %v, want %v give or take a quarter", i, got, pause)
			}
			pause = min(2*pause, pollLast)
		}
		if n := len(tries); n < 30 || n > 70 {
			t.Errorf("three callers made %d tries in ten seconds, want those of one", n)
		}
		time.Sleep(2 * time.Minute)
		wg.Wait()
	})
}

func TestWaiters_WaitEnds(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w, d := newWaiters(50, 100), &testLock{locked: true}
		start := time.Now()
		var wg sync.WaitGroup
		for range 2 { // the head, and a waiter behind it that never tried
			wg.Go(func() {
				err := w.await(t.Context(), "", key, 30*time.Second, false, nil, d.acquire)
				var locked *session.LockedError
				if !errors.As(err, &locked) {
					t.Errorf("got %v, want a LockedError", err)
				} else if locked.Age < 7*time.Second || locked.Age > 37*time.Second || locked.Age%time.Second != 0 {
					t.Errorf("got the lock age %v", locked.Age)
				}
				if took := time.Since(start); took != 30*time.Second {
					t.Errorf("it took %v, want 30s", took)
				}
			})
			synctest.Wait()
		}
		wg.Wait()
		if st := w.stats(); st.Expired != 2 || st.Waiting != 0 {
			t.Errorf("the counters are %+v", st)
		}
	})
}

func TestWaiters_CallersLeave(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w, d := newWaiters(50, 100), &testLock{locked: true}
		head, leaveHead := context.WithCancel(t.Context())
		second, leaveSecond := context.WithCancel(t.Context())
		var wg sync.WaitGroup
		served := ""
		call := func(ctx context.Context, name string) {
			wg.Go(func() {
				err := w.await(ctx, "", key, time.Minute, false, nil, d.acquire)
				if err == nil {
					served += name
				} else if !errors.Is(err, context.Canceled) {
					t.Errorf("%s got %v", name, err)
				}
			})
			synctest.Wait()
		}
		call(head, "head")
		call(second, "second")
		call(t.Context(), "third")
		leaveSecond()
		synctest.Wait()
		leaveHead()
		synctest.Wait()
		d.unlock()
		w.wake(key)
		wg.Wait()
		if served != "third" {
			t.Errorf("%q was served, want the third", served)
		}
		if st := w.stats(); st.Left != 2 || st.Served != 1 {
			t.Errorf("the counters are %+v", st)
		}
	})
}

// If the head leaves before it has used its signal, the next waiter gets the signal.
func TestWaiters_TokenIsHandedOn(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWaiters(50, 100)
		head := queueing{w: w, sh: w.shard(key), key: key}
		next := head
		if err := errors.Join(head.join(0), next.join(0)); err != nil {
			t.Fatal(err)
		}
		w.wake(key)
		head.leave(false)
		if !next.me.has(isHead) {
			t.Error("the next is not the head")
		}
		if !next.me.has(mayBeFree) || len(next.me.wakeup) != 1 {
			t.Error("the token was lost with the head")
		}
		next.leave(false)
	})
}

// When the server ends, no call waits any longer.
func TestWaiters_Close(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w, d := newWaiters(50, 100), &testLock{locked: true}
		start := time.Now()
		served, wg := line(t.Context(), w, 3, time.Minute, d.acquire)
		w.close()
		wg.Wait()
		if err := w.await(t.Context(), "", key, time.Minute, false, nil, d.acquire); !errors.Is(err, session.ErrLocked) {
			t.Errorf("who came later got %v, want locked", err)
		}
		if took := time.Since(start); took != 0 || len(served) != 0 {
			t.Errorf("%d were served, and it took %v", len(served), took)
		}
		d.unlock()
		if err := w.await(t.Context(), "", key, time.Minute, false, nil, d.acquire); err != nil {
			t.Errorf("a session that is free: got %v", err)
		}
		w.close()
	})
}

// Readers do not lock: after one release all of them are served at once.
func TestWaiters_SharedReaders(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w, d := newWaiters(50, 100), &testLock{locked: true}
		var wg sync.WaitGroup
		start := time.Now()
		for range 20 {
			wg.Go(func() {
				if err := w.await(t.Context(), "", key, time.Minute, true, nil, d.read); err != nil {
					t.Error(err)
				}
			})
			synctest.Wait()
		}
		d.unlock()
		w.wake(key)
		wg.Wait()
		if took := time.Since(start); took != 0 {
			t.Errorf("it took %v, want no time", took)
		}
	})
}

// After the session was removed, all waiters are served at once, each by the store.
func TestWaiters_Removed(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWaiters(50, 100)
		answer := error(&session.LockedError{})
		var mu sync.Mutex
		try := func(context.Context) error {
			mu.Lock()
			defer mu.Unlock()
			return answer
		}
		var wg sync.WaitGroup
		for range 3 {
			wg.Go(func() {
				if err := w.await(t.Context(), "", key, time.Minute, false, nil, try); !errors.Is(err, session.ErrNotFound) {
					t.Errorf("got %v, want not found", err)
				}
			})
			synctest.Wait()
		}
		mu.Lock()
		answer = session.ErrNotFound
		mu.Unlock()
		start := time.Now()
		w.wake(key)
		wg.Wait()
		if took := time.Since(start); took != 0 {
			t.Errorf("it took %v, want no time", took)
		}
	})
}

func TestWaiters_Bounds(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w, d := newWaiters(3, 5), &testLock{locked: true}
		ctx, leave := context.WithCancel(t.Context())
		_, wg := line(ctx, w, 3, time.Minute, d.acquire)
		refused := func(what string, key waitKey) {
			t.Helper()
			if err := w.await(t.Context(), "", key, time.Minute, false, nil, d.acquire); !errors.Is(err, session.ErrOverloaded) {
				t.Errorf("%s: got %v, want overloaded", what, err)
			}
		}
		refused("a fourth for one session", key)
		other := waitKey{"/app", "other"}
		for range 2 {
			wg.Go(func() { _ = w.await(ctx, "", other, time.Minute, false, nil, d.acquire) })
			synctest.Wait()
		}
		refused("a sixth in all", waitKey{"/app", "third"})
		leave()
		wg.Wait()
		if st := w.stats(); st.SessionLimit != 1 || st.TotalLimit != 1 || st.Waiting != 0 {
			t.Errorf("the counters are %+v", st)
		}
	})
}

// Any answer other than "locked" ends the wait.
func TestWaiters_OtherErrors(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWaiters(50, 100)
		tries := 0
		err := w.await(t.Context(), "", key, time.Minute, false, nil, func(context.Context) error {
			if tries++; tries == 3 {
				return session.ErrNoPrincipal
			}
			return session.ErrLocked
		})
		if !errors.Is(err, session.ErrNoPrincipal) || tries != 3 {
			t.Errorf("got %v after %d tries, want no principal after 3", err, tries)
		}
	})
}

// Both bounds are shared between callers: the newest waiter of the caller with the most is evicted.
func TestWaiters_EachCallerHasATurn(t *testing.T) {
	one := func(int) waitKey { return key }
	own := func(i int) waitKey { return waitKey{"/app", session.ID([]byte{'a' + byte(i)})} }
	for _, c := range []struct {
		name              string
		perSession, total int
		key               func(i int) waitKey
	}{{"of one session", 6, 100, one}, {"in all", 100, 6, own}, {"in all, of one session", 100, 6, one}} {
		synctest.Test(t, func(t *testing.T) {
			w, d := newWaiters(c.perSession, c.total), &testLock{locked: true}
			type end struct {
				caller string
				err    error
			}
			ends := make(chan end, 20)
			wait := func(caller string, k waitKey) {
				go func() { ends <- end{caller, w.await(t.Context(), caller, k, time.Minute, true, nil, d.read)} }()
				synctest.Wait()
			}
			for i := range 6 {
				wait("flood", c.key(i))
			}
			if len(ends) != 0 {
				t.Errorf("%s: one that is alone was turned away: %v", c.name, <-ends)
			}
			for i := range 3 {
				wait("good", c.key(i))
				if e := <-ends; e.caller != "flood" || !errors.Is(e.err, session.ErrOverloaded) {
					t.Errorf("%s: waiter %d of the other: %+v", c.name, i, e)
				}
			}
			for _, caller := range []string{"good", "flood"} { // each caller has half
				wait(caller, c.key(0))
				if e := <-ends; e.caller != caller || !errors.Is(e.err, session.ErrOverloaded) {
					t.Errorf("%s: one more of %s: %+v", c.name, caller, e)
				}
			}
			if s := w.stats(); s.Evicted != 3 || s.SessionLimit+s.TotalLimit != 2 || s.Waiting != 6 || w.pool.Size().Count != 6 {
				t.Errorf("%s: counted %+v", c.name, s)
			}
			d.unlock()
			for range 6 {
				if e := <-ends; e.err != nil {
					t.Errorf("%s: who stayed: %+v", c.name, e)
				}
			}
			if s := w.stats(); s.Waiting != 0 || s.Served != 6 || w.pool.Size().Count != 0 {
				t.Errorf("%s: at the end %+v", c.name, s)
			}
			for i := range w.shards {
				if len(w.shards[i].queues) != 0 {
					t.Errorf("%s: an empty queue is kept", c.name)
				}
			}
		})
	}
}
