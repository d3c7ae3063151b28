package engine

import (
	"fmt"
	"testing"
	"time"

	"github.com/mirrorstate/mirrorstate/partner/embedded/sqlvalue"
)

// The results of MirrorState_Sweep_1, by the text of 50-extension-sweep.sql.

// sweeper has the arguments of a sweep, with values that allow it.
type sweeper struct {
	epoch, lease, limit, abandoned int64
	owner                          sqlvalue.Argument
	notAfter                       sqlvalue.Argument
}

func sweeping() sweeper {
	return sweeper{lease: 30, limit: 100, abandoned: 110, owner: newOperation(), notAfter: moment(time.Now().Add(time.Hour))}
}

func (s sweeper) sweep(t testing.TB, p *Partner) []any {
	t.Helper()
	return do(t, p, "MirrorState_Sweep_1", number64(s.epoch), s.notAfter, s.owner, number64(s.lease), number64(s.limit), number64(s.abandoned))
}

// swept checks that the sweep leads, and how many sessions it has deleted and found
// abandoned.
func (s sweeper) swept(t testing.TB, p *Partner, deleted, abandoned int) []any {
	t.Helper()
	row := s.sweep(t, p)
	if outcome(row) != resultDone || row[1] != int64(deleted) || row[2] != int64(abandoned) {
		t.Errorf("sweep: result %v, %v deleted, %v abandoned; want 0, %d, %d", row[0], row[1], row[2], deleted, abandoned)
	}
	return row
}

// alive reports whether the session's row is there, expired or not.
func alive(t testing.TB, p *Partner, id string) bool {
	t.Helper()
	return do(t, p, "MirrorState_Get_1", text(id), number64(0), number64(110), number64(0), number64(1), number64(0))[1] != nil
}

// expire makes a session expire d ago, whatever its lock.
func expire(t testing.TB, p *Partner, id string, d time.Duration) {
	t.Helper()
	err := alter(p, "UPDATE ASPStateTempSessions SET Expires = ?2 WHERE SessionId = ?1", id, sqlvalue.DatetimeOf(time.Now().Add(-d)).Text())
	if err != nil {
		t.Fatal(err)
	}
}

func TestSweep_whatHasExpired(t *testing.T) {
	pair := openPair(t)
	p := pair.Partner("a")
	s := sweeping()
	if row := s.swept(t, p, 0, 0); row[3] != nil {
		t.Errorf("no session has expired, but the oldest expired session is %v seconds old", row[3])
	}
	for i := range 5 {
		expect(t, "create", asking(fmt.Sprint("old", i)).store(t, p), resultCreated)
		expire(t, p, fmt.Sprint("old", i), time.Duration(100-i)*time.Second)
	}
	expect(t, "create", asking("live").store(t, p), resultCreated)
	s.limit = 3
	if row := s.swept(t, p, 3, 0); row[3].(int64) < 100 || row[3].(int64) > 105 {
		t.Errorf("the oldest had expired %v seconds ago, want 100", row[3])
	}
	if alive(t, p, "old0") || alive(t, p, "old2") || !alive(t, p, "old3") {
		t.Error("the oldest was not deleted first")
	}
	s.swept(t, p, 2, 0)
	if row := s.swept(t, p, 0, 0); row[5] != int64(5) || row[3] != nil {
		t.Errorf("%v deleted in total, want 5; no session has expired, but the oldest expired session is %v seconds old", row[5], row[3])
	}
	if !alive(t, p, "live") {
		t.Error("a live session was swept")
	}
}

func TestSweep_locks(t *testing.T) {
	p := openPair(t).Partner("a")
	locked(t, p, "held")
	expire(t, p, "held", time.Minute)
	s := sweeping()
	if row := s.swept(t, p, 0, 0); row[3] != nil {
		t.Errorf("the only expired session is locked, but the oldest one is %v seconds old", row[3])
	}
	expect(t, "create", asking("free").store(t, p), resultCreated)
	expire(t, p, "free", time.Second)
	s.swept(t, p, 1, 0)
	if !alive(t, p, "held") {
		t.Error("a locked session was deleted")
	}
	age(t, p, "held", 111*time.Second)
	s.swept(t, p, 1, 1)
}

func TestSweep_lease(t *testing.T) {
	p := openPair(t).Partner("a")
	expect(t, "create", asking("s").store(t, p), resultCreated)
	expire(t, p, "s", time.Minute)
	first, second := sweeping(), sweeping()
	first.limit = 0
	if row := first.swept(t, p, 0, 0); row[4] != nil || row[6] != nil {
		t.Errorf("last run %v, %v seconds ago; a lease alone does not count as a run", row[4], row[6])
	}
	row := second.sweep(t, p)
	if outcome(row) != resultOthers || row[1] != int64(0) || !alive(t, p, "s") {
		t.Errorf("while there is another leader: result %v, %v deleted; want %d and none", row[0], row[1], resultOthers)
	}
	first.lease = -1 // it expires at once
	first.swept(t, p, 0, 0)
	second.swept(t, p, 1, 0)
	expect(t, "the former leader", first.sweep(t, p), resultOthers)

	alone := sweeping()
	alone.owner = sqlvalue.Argument{}
	if row := alone.swept(t, p, 0, 0); row[4] == nil || row[6] == nil {
		t.Error("a sweep without the lease does not count as a run")
	}
	second.swept(t, p, 0, 0)
	second.epoch = 7
	expect(t, "another epoch", second.sweep(t, p), resultMoved)
	second.epoch, second.notAfter = 0, moment(time.Now().Add(-time.Second))
	expect(t, "too late", second.sweep(t, p), resultAgain)
}

// TestSweep_isMirrored: the sessions are deleted on the mirror too, and the mirror has the
// leader.
func TestSweep_isMirrored(t *testing.T) {
	pair := openPair(t)
	a, b := pair.Partner("a"), pair.Partner("b")
	expect(t, "create", asking("s").store(t, a), resultCreated)
	expire(t, a, "s", time.Minute)
	s := sweeping()
	s.swept(t, a, 1, 0)
	if err := a.Failover(t.Context()); err != nil {
		t.Fatal(err)
	}
	if alive(t, b, "s") {
		t.Error("the mirror still has the session")
	}
	expect(t, "another proxy, after the failover", sweeping().sweep(t, b), resultOthers)
	s.swept(t, b, 0, 0)
}

// TestSweep_takesNothing: a refused sweep, and one without the lease, do not change the
// lease.
func TestSweep_takesNothing(t *testing.T) {
	p := openPair(t).Partner("a")
	expect(t, "create", asking("s").store(t, p), resultCreated)
	expire(t, p, "s", time.Minute)
	ask := func(what string, want int64, change func(*sweeper)) {
		t.Helper()
		s := sweeping()
		change(&s)
		expect(t, what, s.sweep(t, p), want)
		if !alive(t, p, "s") {
			t.Fatalf("%s: it has deleted sessions", what)
		}
	}
	ask("another epoch", resultMoved, func(s *sweeper) { s.epoch = 7 })
	ask("too late", resultAgain, func(s *sweeper) { s.notAfter = moment(time.Now().Add(-time.Second)) })
	s := sweeping()
	expect(t, "a lease without a length", do(t, p, "MirrorState_Sweep_1", number64(0), s.notAfter, s.owner, sqlvalue.Argument{}, number64(100), number64(110)), resultOthers)
	for _, nobody := range []sqlvalue.Argument{{}, text(string(make([]byte, 16)))} {
		ask("no owner, nothing to sweep", resultDone, func(s *sweeper) { s.owner, s.limit = nobody, 0 })
	}

	leader := sweeping()
	leader.limit, leader.lease = 0, 90
	leader.swept(t, p, 0, 0) // the lease was free
	ask("another owner with a shorter lease", resultOthers, func(s *sweeper) { s.lease = 30 })
	for _, nobody := range []sqlvalue.Argument{{}, text(string(make([]byte, 16)))} {
		ask("no owner, while there is a leader", resultDone, func(s *sweeper) { s.owner, s.limit, s.lease = nobody, 0, -1 })
	}
	ask("another owner, afterwards", resultOthers, func(*sweeper) {})
	leader.limit = 100
	leader.swept(t, p, 1, 0)
}
