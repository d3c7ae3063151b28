package mirror

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/mirrorstate/mirrorstate/partner/embedded/storage"
)

// smallDelta is the largest number of rows in the last step of a resynchronisation, because
// writers wait for that step.
const smallDelta = 256

// maxPasses limits the steps before the last one, for a principal that writes faster than
// the steps copy.
const maxPasses = 20

// catchUp brings the mirror to the principal's state while the principal serves. Each step
// takes the mirror, in one commit, from one consistent state to a later one, and may be
// repeated. Under SAFETY FULL the last step runs in the principal's turn to write, and from
// then on each commit is shipped. The caller holds verbs.
func (s *Session) catchUp(ctx context.Context, principal *Database, full bool) error {
	if s.LinkState() != StateSynchronized {
		s.ShowState(StateSynchronizing)
	}
	if full {
		// Commits shipped now would conflict with the rows that the steps copy.
		if err := s.dropMirror(ctx, principal); err != nil {
			return err
		}
	}
	for range maxPasses {
		rows, err := s.transfer(ctx, principal)
		if err != nil {
			s.ShowState(StateDisconnected)
			return err
		}
		if !full && principal.acked.Load() == principal.Store.LSN.Load() {
			s.ShowState(StateSynchronized)
			return nil
		}
		if rows <= smallDelta {
			break
		}
	}
	if !full {
		s.pair.WakeWatch() // the principal has committed more meanwhile
		return nil
	}
	ctx, cancel := context.WithTimeout(ctx, TurnWait)
	defer cancel()
	return principal.Alone(ctx, true, func() error {
		if _, err := s.transfer(ctx, principal); err != nil {
			s.ShowState(StateDisconnected)
			return err
		}
		principal.Mirror = principal.other()
		principal.ForkPending = false // the mirror has discarded the commits that only it had
		s.Arbiter.synchronized(principal.State.Load().Sequence)
		s.ShowState(StateSynchronized)
		return nil
	})
}

// TurnWait limits how long watchLinks waits for the turn: an explicit transaction may hold the turn, and others wait
// for verbs.
const TurnWait = 2 * time.Second

// dropMirror stops the shipping of commits until the mirror is synchronized.
func (s *Session) dropMirror(ctx context.Context, principal *Database) error {
	ctx, cancel := context.WithTimeout(ctx, TurnWait)
	defer cancel()
	return principal.Alone(ctx, true, func() error {
		s.Arbiter.exposes()
		principal.Mirror = nil
		return nil
	})
}

// transfer brings the mirror to the principal's current state and returns the number of rows
// copied. The mirror discards the commits that only it has.
func (s *Session) transfer(ctx context.Context, principal *Database) (rows int, err error) {
	mirror := principal.other()
	err = principal.Store.Snapshot(func(r *storage.Reader, lsn, start int64) error {
		store := mirror.Store
		store.Mu.Lock()
		defer store.Mu.Unlock()
		t := &storage.Transferred{From: r, To: store.Main, LSN: lsn}
		mine, theirs := principal.State.Load(), mirror.State.Load()
		t.Common = storage.CommonPoint(mine.History, theirs.History, lsn, store.LSN.Load())
		current := t.Common == lsn && store.LSN.Load() == lsn && sameFork(mine, theirs)
		if current && !theirs.Diverged {
			principal.acked.Store(lsn)
			return nil
		}
		m := *theirs
		m.GUID, m.Sequence, m.History, m.Diverged = mine.GUID, mine.Sequence, mine.History, false
		m.SafetyFull, m.SafetySequence, m.Timeout = mine.SafetyFull, mine.SafetySequence, mine.Timeout
		whole := t.Common < start || t.Common < store.StartLSN.Load() || len(theirs.History) == 0
		err := store.Main.InTransaction(func() error {
			if err := t.Copy(ctx, whole); err != nil {
				return err
			}
			return storage.WriteMirroring(store.Main.Conn, &m)
		})
		if err != nil {
			return errors.Join(err, store.Refresh())
		}
		rows = t.Rows
		mirror.State.Store(&m)
		principal.acked.Store(lsn)
		return store.Refresh()
	})
	if err != nil {
		err = fmt.Errorf("synchronize partner %s: %w", mirror.Instance.Letter, err)
	}
	return rows, err
}

// sameFork reports whether two partners have the same current recovery fork.
func sameFork(a, b *storage.Mirroring) bool {
	return len(a.History) > 0 && len(b.History) > 0 &&
		a.History[len(a.History)-1].ID == b.History[len(b.History)-1].ID
}
