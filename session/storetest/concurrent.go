package storetest

import (
	"bytes"
	"encoding/binary"
	"errors"
	"fmt"
	"sync"
	"sync/atomic"
	"testing"

	"github.com/mirrorstate/mirrorstate/session"
)

// concurrent: the promises hold with many concurrent callers.
func concurrent(t *testing.T, s Subject) {
	run(t, s, "locked counters are exact, and a lock has one holder", counters)
	run(t, s, "of many concurrent only-creates, one creates the session", func(s *scene) {
		made := s.race(8, func(int) error {
			_, err := s.Store.Put(s.ctx, s.ref, content(blob(10)), session.Condition{OnlyCreate: true}, op())
			return err
		}, session.ErrPrecondition)
		if made != 1 {
			s.Errorf("%d callers created the session, want 1", made)
		}
	})
	run(t, s, "of many concurrent acquires, one gets the lock", func(s *scene) {
		s.create()
		granted := s.race(8, func(int) error {
			_, _, err := s.Store.Acquire(s.ctx, s.ref, op())
			return err
		}, session.ErrLocked)
		if granted != 1 {
			s.Errorf("%d callers got the lock, want 1", granted)
		}
	})
	run(t, s, "of many concurrent puts with one tag, one replaces the version", func(s *scene) {
		s.create()
		tag := s.get().Tag
		stored := s.race(8, func(int) error {
			_, err := s.putMatch(tag, blob(10))
			return err
		}, session.ErrPrecondition)
		if stored != 1 {
			s.Errorf("%d callers replaced the version, want 1", stored)
		}
	}, extended)
	run(t, s, "one acquire that is sent many times at once gets one lock", func(s *scene) {
		s.create()
		first := op()
		var locks [8]session.Lock
		s.race(len(locks), func(i int) (err error) {
			_, locks[i], err = s.Store.Acquire(s.ctx, s.ref, first)
			return err
		}, nil)
		for _, lock := range locks {
			if lock != locks[0] {
				s.Fatalf("one operation got two locks: %v and %v", locks[0], lock)
			}
		}
		s.release(locks[0])
	}, extended)
	run(t, s, "one put that is sent many times at once stores once", func(s *scene) {
		item, first := blob(20), op()
		var tags [8]session.Tag
		s.race(len(tags), func(i int) error {
			sess, err := s.Store.Put(s.ctx, s.ref, content(item), unconditional, first)
			if err == nil && !sess.Made {
				err = errors.New("an answer says that the put did not create the session")
			}
			tags[i] = sess.Tag
			return err
		}, nil)
		for _, tag := range tags {
			if tag != tags[0] {
				s.Fatalf("one operation made two versions: %q and %q", tags[0], tag)
			}
		}
		s.holds(item)
	}, extended)
	run(t, s, "the first callers of an application all create their sessions", func(s *scene) {
		for range 16 {
			app := *s.ref.App
			app.Name += "/" + string(session.NewID())
			s.race(8, func(int) error {
				ref := session.Ref{App: &app, ID: session.NewID()}
				_, err := s.Store.Put(s.ctx, ref, content(blob(10)), unconditional, op())
				return err
			}, nil)
		}
	})
	// A stock put holds the lock for a moment, and a stock read is two statements.
	run(t, s, "readers see whole items while another caller writes", wholeItems, extended)
}

// race runs n callers at once and returns the number of those that succeed. The others must fail with loser. If loser
// is nil, all must succeed.
func (s *scene) race(n int, call func(i int) error, loser error) int {
	s.Helper()
	var (
		wg    sync.WaitGroup
		start = make(chan struct{})
		errs  = make([]error, n)
		won   int
	)
	for i := range n {
		wg.Go(func() {
			<-start
			errs[i] = call(i)
		})
	}
	close(start)
	wg.Wait()
	for i, err := range errs {
		switch {
		case err == nil:
			won++
		case loser == nil || !errors.Is(err, loser):
			s.Errorf("caller %d: got error %v, want %v", i, err, loser)
		}
	}
	return won
}

// The load of [counters]: enough for conflicts, but small enough for a slow server.
const (
	counterSessions = 3
	counterCallers  = 8
	counterRounds   = 15
)

// counter is a session whose item is a number.
type counter struct {
	ref     session.Ref
	holders atomic.Int32
}

func counters(s *scene) {
	var all [counterSessions]counter
	for i := range all {
		all[i].ref = newRef(&mainApp)
		_, err := s.Store.Put(s.ctx, all[i].ref, content(make([]byte, 8)), unconditional, op())
		s.noError("put", err)
	}
	s.race(counterCallers, func(caller int) error {
		for round := range counterRounds {
			if err := s.increment(&all[(caller+round)%len(all)]); err != nil {
				return fmt.Errorf("round %d: %w", round, err)
			}
		}
		return nil
	}, nil)

	var sum uint64
	for i := range all {
		sess, err := s.Store.Get(s.ctx, all[i].ref, session.GetOptions{})
		s.noError("get", err)
		sum += binary.BigEndian.Uint64(sess.Item)
	}
	if want := uint64(counterCallers * counterRounds); sum != want {
		s.Errorf("the counters make %d, want %d", sum, want)
	}
}

// increment adds one under the lock. It waits for the lock as long as the subtest may take.
func (s *scene) increment(c *counter) error {
	for {
		sess, lock, err := s.Store.Acquire(s.ctx, c.ref, op())
		if errors.Is(err, session.ErrLocked) && pause(s.ctx) {
			continue
		}
		if err != nil {
			return fmt.Errorf("acquire: %w", err)
		}
		if n := c.holders.Add(1); n != 1 {
			return fmt.Errorf("%d callers hold one lock", n)
		}
		item := binary.BigEndian.AppendUint64(nil, binary.BigEndian.Uint64(sess.Item)+1)
		c.holders.Add(-1)
		if _, err := s.Store.Update(s.ctx, c.ref, lock, content(item), false, op()); err != nil {
			return fmt.Errorf("update: %w", err)
		}
		return nil
	}
}

// wholeItems writes items of one repeated byte, below and above the limit of the short column. A reader must never
// see an item with two different bytes, or the wrong column.
func wholeItems(s *scene) {
	item := func(i int) []byte {
		size := shortItem - 100
		if i%2 == 1 {
			size = shortItem + 100
		}
		b := make([]byte, size)
		for j := range b {
			b[j] = byte(i)
		}
		return b
	}
	s.put(item(0))
	s.race(4, func(caller int) error {
		for i := range 20 {
			if caller == 0 {
				if _, err := s.Store.Put(s.ctx, s.ref, content(item(i)), unconditional, op()); err != nil {
					return fmt.Errorf("put: %w", err)
				}
				continue
			}
			sess, err := s.Store.Get(s.ctx, s.ref, session.GetOptions{})
			if err != nil {
				return fmt.Errorf("get: %w", err)
			}
			if len(sess.Item) == 0 || !bytes.Equal(sess.Item, item(int(sess.Item[0]))) {
				return fmt.Errorf("read %s, which no caller wrote", brief(sess.Item))
			}
		}
		return nil
	}, nil)
}
