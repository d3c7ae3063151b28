package measure

import (
	"errors"
	"testing"
	"time"

	"github.com/mirrorstate/mirrorstate/session"
)

// sessionHistory is the history of one session, written by hand. Each step is a request of a client, or an answer.
type sessionHistory struct {
	t      *testing.T
	ledger *Ledger
	entry  *Entry
	now    time.Time
	items  map[string][]byte // the item that each write would leave in the database
	writes map[string]*Write
}

// newHistory creates a session with the item "made", which is acknowledged.
func newHistory(t *testing.T) *sessionHistory {
	l := &Ledger{}
	s := &sessionHistory{t: t, ledger: l, entry: l.NewEntry(session.NewID()), now: time.Now(), items: map[string][]byte{}, writes: map[string]*Write{}}
	s.begins("made", nil)
	s.wrote("made", nil)
	return s
}

// begins sends a write that is based on seen.
func (s *sessionHistory) begins(name string, seen *Write) {
	s.items[name], s.writes[name] = s.entry.BeginWrite(nil, seen, 100)
}

// wrote is the answer to a write.
func (s *sessionHistory) wrote(name string, err error) {
	s.entry.EndWrite(s.writes[name], err, s.now.Add(time.Minute))
}

// stores is an acknowledged update: a client reads the item sees with the lock, and stores the item
// name.
func (s *sessionHistory) stores(name, sees string) {
	s.begins(name, s.reads(sees))
	s.wrote(name, nil)
}

// reads is a read that begins and ends now and finds an item.
func (s *sessionHistory) reads(name string) *Write { return s.answered(s.entry.BeginCall(s.now), name) }

// answered is the answer to a read that began before.
func (s *sessionHistory) answered(v View, name string) *Write {
	s.t.Helper()
	w := s.entry.CheckItem(v, s.items[name])
	if w == nil {
		s.t.Fatalf("the item %s is counted as damaged", name)
	}
	return w
}

// later lets time pass.
func (s *sessionHistory) later(d time.Duration) { s.now = s.now.Add(d) }

// found compares the counts of the ledger, except acknowledged writes and sessions read back.
func (s *sessionHistory) found(want Integrity) {
	s.t.Helper()
	got := s.ledger.Found()
	got.AcknowledgedWrites, got.ReadBack = 0, 0
	if got != want {
		s.t.Errorf("found %+v, want %+v", got, want)
	}
}

// The errors with which a correct server may answer.
var (
	errUnknown = session.ErrOutcomeUnknown
	errNothing = session.ErrNoPrincipal
)

func TestLedger_CorrectServer(t *testing.T) {
	t.Run("a chain of writes", func(t *testing.T) {
		s := newHistory(t)
		s.stores("1", "made")
		s.stores("2", "1")
		s.reads("2")
		s.found(Integrity{})
		if n := s.ledger.Found().AcknowledgedWrites; n != 3 {
			t.Errorf("%d writes acknowledged, want 3", n)
		}
	})
	t.Run("a write is seen before it is acknowledged", func(t *testing.T) {
		s := newHistory(t)
		s.begins("1", s.reads("made"))
		s.stores("2", "1")
		s.wrote("1", nil)
		s.reads("2")
		s.found(Integrity{})
	})
	t.Run("a read that was overtaken by a write", func(t *testing.T) {
		s := newHistory(t)
		early := s.entry.BeginCall(s.now)
		s.stores("1", "made")
		s.stores("2", "1")
		s.answered(early, "made")
		s.answered(early, "1")
		s.answered(early, "2")
		s.reads("2")
		s.found(Integrity{})
	})
	t.Run("a read that was overtaken by very many writes", func(t *testing.T) {
		s := newHistory(t)
		early := s.entry.BeginCall(s.now)
		last := "made"
		for i := range 3 * keptWrites {
			name := string(rune('A' + i))
			s.stores(name, last)
			last = name
		}
		s.answered(early, "made")
		s.answered(early, "B")
		s.reads(last)
		s.found(Integrity{})
	})
	t.Run("unknown, and not applied", func(t *testing.T) {
		s := newHistory(t)
		s.begins("1", s.reads("made"))
		s.wrote("1", errUnknown)
		s.stores("2", "made")
		s.reads("2")
		s.found(Integrity{})
	})
	t.Run("unknown, and applied", func(t *testing.T) {
		s := newHistory(t)
		s.begins("1", s.reads("made"))
		s.wrote("1", errUnknown)
		s.stores("2", "1")
		s.reads("2")
		s.found(Integrity{})
	})
	t.Run("unknown, and applied later", func(t *testing.T) {
		s := newHistory(t)
		s.begins("1", s.reads("made"))
		s.wrote("1", errUnknown)
		s.reads("made")
		s.later(30 * time.Second)
		s.reads("made")
		s.reads("1")
		s.stores("2", "1")
		s.found(Integrity{})
	})
	t.Run("unknown, and applied during a read", func(t *testing.T) {
		s := newHistory(t)
		s.begins("1", s.reads("made"))
		s.wrote("1", errUnknown)
		before := s.entry.BeginCall(s.now)
		s.reads("1")
		s.answered(before, "made")
		s.found(Integrity{})
	})
	t.Run("not applied", func(t *testing.T) {
		s := newHistory(t)
		s.begins("1", s.reads("made"))
		s.wrote("1", errNothing)
		s.stores("2", "made")
		s.reads("2")
		s.found(Integrity{})
	})
	t.Run("removed", func(t *testing.T) {
		s := newHistory(t)
		before := s.entry.BeginCall(s.now)
		s.entry.BeginRemoval()
		s.answered(before, "made")
		if !s.entry.CheckMissing() {
			t.Error("a session is missing while it is removed: counted as unexpected")
		}
		s.entry.EndRemoval(nil)
		s.answered(before, "made") // it began before the removal was acknowledged
		if !s.entry.CheckMissing() {
			t.Error("a removed session is missing: counted as unexpected")
		}
		s.found(Integrity{})
	})
	t.Run("a removal of unknown outcome", func(t *testing.T) {
		s := newHistory(t)
		s.entry.BeginRemoval()
		s.entry.EndRemoval(errUnknown)
		s.reads("made")
		if !s.entry.CheckMissing() {
			t.Error("a session whose removal is unknown is missing: counted as unexpected")
		}
		s.found(Integrity{})
	})
}

func TestLedger_BrokenServer(t *testing.T) {
	t.Run("acknowledged without writing", func(t *testing.T) {
		s := newHistory(t)
		s.stores("1", "made")
		s.reads("made")
		s.reads("made")
		s.found(Integrity{LostWrites: 1})
	})
	t.Run("a lost write is counted once", func(t *testing.T) {
		s := newHistory(t)
		s.stores("1", "made")
		s.stores("2", "1")
		s.stores("3", "made") // 1 and 2 are lost
		s.stores("4", "3")
		s.reads("4")
		s.found(Integrity{LostWrites: 2})
	})
	t.Run("a read finds a write that is not kept any more", func(t *testing.T) {
		s := newHistory(t)
		last := "made"
		for i := range 2 * keptWrites {
			name := string(rune('A' + i))
			s.stores(name, last)
			last = name
		}
		s.reads("made")
		s.found(Integrity{LostWrites: 2 * keptWrites})
	})
	t.Run("a write that was seen is lost", func(t *testing.T) {
		s := newHistory(t)
		s.begins("1", s.reads("made"))
		s.wrote("1", errUnknown)
		s.reads("1")
		s.reads("made")
		s.found(Integrity{LostWrites: 1})
	})
	t.Run("a late write over an acknowledged one", func(t *testing.T) {
		s := newHistory(t)
		s.begins("1", s.reads("made"))
		s.wrote("1", errUnknown)
		s.stores("2", "made")
		s.reads("1")
		s.stores("3", "1")
		s.found(Integrity{LostWrites: 1})
	})
	t.Run("two writers, both acknowledged", func(t *testing.T) {
		s := newHistory(t)
		a, b := s.reads("made"), s.reads("made")
		s.begins("a", a)
		s.begins("b", b)
		s.wrote("a", nil)
		s.wrote("b", nil)
		s.reads("b")
		s.found(Integrity{LostWrites: 1})
	})
	t.Run("two writers, and the first write stays", func(t *testing.T) {
		s := newHistory(t)
		a, b := s.reads("made"), s.reads("made")
		s.begins("a", a)
		s.begins("b", b)
		s.wrote("a", nil)
		s.wrote("b", nil)
		s.reads("a")
		s.stores("c", "a")
		s.reads("c")
		s.found(Integrity{LostWrites: 1})
	})
	t.Run("all writes of the session are lost", func(t *testing.T) {
		s := newHistory(t)
		s.stores("1", "made")
		for range 2 {
			if s.entry.CheckMissing() {
				t.Error("a session is missing that nobody removed: counted as expected")
			}
		}
		s.found(Integrity{LostWrites: 2})
	})
	t.Run("a refused removal", func(t *testing.T) {
		s := newHistory(t)
		s.entry.BeginRemoval()
		s.entry.EndRemoval(session.ErrLockLost)
		if s.entry.CheckMissing() {
			t.Error("a session whose removal was refused is missing: counted as expected")
		}
		s.found(Integrity{LostWrites: 1})
	})
	t.Run("resurrected", func(t *testing.T) {
		s := newHistory(t)
		s.entry.BeginRemoval()
		s.entry.EndRemoval(nil)
		s.reads("made")
		s.entry.CheckAlive(s.entry.BeginCall(s.now))
		s.found(Integrity{ResurrectedSessions: 1})
	})
	t.Run("refused, and applied", func(t *testing.T) {
		s := newHistory(t)
		s.begins("1", s.reads("made"))
		s.wrote("1", errNothing)
		s.reads("1")
		s.found(Integrity{GhostWrites: 1})
	})
	t.Run("applied, and then refused", func(t *testing.T) {
		s := newHistory(t)
		s.begins("1", s.reads("made"))
		s.reads("1")
		s.wrote("1", errNothing)
		s.found(Integrity{GhostWrites: 1})
	})
	t.Run("applied after its deadline", func(t *testing.T) {
		s := newHistory(t)
		s.begins("1", s.reads("made"))
		s.wrote("1", errUnknown) // it takes effect within a minute or never
		s.later(2 * time.Minute)
		s.reads("made")
		s.reads("1")
		s.found(Integrity{GhostWrites: 1})
	})
	t.Run("damaged", func(t *testing.T) {
		s := newHistory(t)
		for i := range len(s.items["made"]) {
			item := append([]byte{}, s.items["made"]...)
			item[i] ^= 1
			if s.entry.CheckItem(s.entry.BeginCall(s.now), item) != nil {
				t.Errorf("byte %d is damaged, and the item is accepted", i)
			}
		}
		s.found(Integrity{DamagedItems: int64(len(s.items["made"]))})
	})
	t.Run("another session's item", func(t *testing.T) {
		s := newHistory(t)
		other := s.ledger.NewEntry(session.NewID())
		item, w := other.BeginWrite(nil, nil, 100)
		other.EndWrite(w, nil, s.now)
		s.entry.CheckItem(s.entry.BeginCall(s.now), item)
		s.found(Integrity{DamagedItems: 1})
	})
	t.Run("no item", func(t *testing.T) {
		s := newHistory(t)
		s.entry.CheckItem(s.entry.BeginCall(s.now), nil)
		s.found(Integrity{DamagedItems: 1})
	})
}

func TestLedger_Locks(t *testing.T) {
	t.Run("one holder after the other", func(t *testing.T) {
		s := newHistory(t)
		for range 2 {
			s.entry.BeginAcquire(s.now)
			s.entry.LockGranted()
			s.entry.BeginRelease()
			s.entry.EndHold()
		}
		s.found(Integrity{})
	})
	t.Run("granted during the update of the previous holder", func(t *testing.T) {
		s := newHistory(t)
		s.entry.BeginAcquire(s.now)
		s.entry.LockGranted()
		s.entry.BeginAcquire(s.now)
		s.entry.BeginRelease()
		s.entry.LockGranted()
		s.entry.EndHold()
		s.found(Integrity{})
	})
	t.Run("granted twice", func(t *testing.T) {
		s := newHistory(t)
		s.entry.BeginAcquire(s.now)
		s.entry.BeginAcquire(s.now)
		s.entry.LockGranted()
		s.entry.LockGranted()
		s.found(Integrity{DoubleGrants: 1})
	})
}

// The answer that another client holds the lock is a failure if no other client can have held it.
func TestEntry_Contended(t *testing.T) {
	s := newHistory(t)
	e := s.entry
	alone := e.BeginCall(s.now)
	if e.Contended(alone) {
		t.Error("nobody has the lock, and a refusal counts as expected")
	}
	mine := e.BeginAcquire(s.now)
	if e.Contended(mine) {
		t.Error("only the client itself asks for the lock, and its refusal counts as expected")
	}
	other := e.BeginAcquire(s.now)
	if !e.Contended(other) || !e.Contended(mine) || !e.Contended(alone) {
		t.Error("two clients ask for the lock, and a refusal counts as unexpected")
	}
	e.EndHold()
	e.EndHold()
	if e.Contended(e.BeginCall(s.now)) {
		t.Error("all have released the lock, and a refusal counts as expected")
	}
}

func TestEntry_Classify(t *testing.T) {
	broken := errors.New("broken")
	for _, tt := range []struct {
		name    string
		prepare func(*Entry)
		err     error
		want    Status
		problem string
	}{
		{"answered", nil, nil, Answered, ""},
		{"missing", nil, session.ErrNotFound, Failed, "session-not-found"},
		{"removed", (*Entry).BeginRemoval, session.ErrNotFound, Gone, ""},
		{"a lock that nobody holds", nil, &session.LockedError{}, Failed, "session-locked"},
		{"locked", func(e *Entry) { e.BeginAcquire(time.Now()) }, &session.LockedError{}, Busy, ""},
		{"lost lock", nil, session.ErrLockLost, Failed, "lock-lost"},
		{"no principal", nil, session.ErrNoPrincipal, Failed, "no-principal"},
		{"overloaded", nil, session.ErrOverloaded, Failed, "overloaded"},
		{"unknown", nil, session.ErrOutcomeUnknown, Failed, "outcome-unknown"},
		{"driver's", nil, &ProblemError{"sql-4060", broken}, Failed, "sql-4060"},
		{"anything", nil, broken, Failed, "no-answer"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			s := newHistory(t)
			v := s.entry.BeginCall(time.Now())
			if tt.prepare != nil {
				tt.prepare(s.entry)
			}
			if status, problem := s.entry.Classify(v, tt.err); status != tt.want || problem != tt.problem {
				t.Errorf("classified as %v %q, want %v %q", status, problem, tt.want, tt.problem)
			}
		})
	}
}
