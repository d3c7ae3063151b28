package embedded

import (
	"context"
	"fmt"
	"testing"
	"time"
)

// A procedure of many statements passes the turn on between two of them: others write meanwhile, and a change of roles does
// not wait for its end.
func TestLong_othersGetTheirTurn(t *testing.T) {
	pair := openPair(t)
	p := pair.Partner("a")
	past := datetimeOf(time.Now().Add(-time.Hour)).text()
	err := p.main().exclusively(t.Context(), func(w *writer) error {
		for i := range 5000 {
			if err := w.script(fmt.Sprintf("INSERT INTO ASPStateTempSessions (SessionId, Created, Expires, LockDate, LockDateLocal, LockCookie, Timeout, Locked) VALUES ('s%d', '%s', '%[2]s', '%[2]s', '%[2]s', 1, 20, 0)", i, past)); err != nil {
				return err
			}
		}
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	proc := findProcedure(t, p, "DeleteExpiredSessions")
	if !proc.long || findProcedure(t, p, "MirrorState_Remove_1").long || findProcedure(t, p, "MirrorState_Store_1").long {
		t.Error("which procedures take long is not seen")
	}
	sweep := func() error {
		_, err := (&session{p: p, database: DatabaseName, lockTimeout: -1}).runProcedure(context.Background(), proc, p.main(), nil)
		return err
	}
	ended := make(chan error, 1)
	go func() { ended <- sweep() }()
	beside := 0
	for done := false; !done; beside++ {
		storeItem(t, p, "beside", []byte("x"))
		select {
		case err := <-ended:
			if done = true; err != nil {
				t.Error(err)
			}
		default:
		}
	}
	if beside < 3 {
		t.Errorf("%d calls were let in", beside)
	}
	if n := sessions(t, p); n != 1 {
		t.Errorf("%d sessions left, want the one beside", n)
	}
	if a, b := dump(t, p), dump(t, p.other()); a != b {
		t.Errorf("the partners differ: %s %s", a, b)
	}
}

// One that loses its turn leaves nothing behind that the next one stumbles over.
func TestLong_losesItsTurn(t *testing.T) {
	pair := openPair(t)
	p := pair.Partner("a")
	storeItem(t, p, "s", []byte("x"))
	l := &longTurns{waits: (&session{p: p, lockTimeout: -1}).patient, d: p.main()}
	err := p.main().exclusively(t.Context(), func(*writer) error {
		p.main().store.mu.Lock()
		defer p.main().store.mu.Unlock()
		return p.main().store.main.script("CREATE TEMP TABLE [#expired] (SessionId)")
	})
	if err != nil {
		t.Fatal(err)
	}
	expire(t, p, "s", time.Minute)
	_, err = (&session{p: p, database: DatabaseName, lockTimeout: -1}).runProcedure(t.Context(), findProcedure(t, p, "DeleteExpiredSessions"), p.main(), nil)
	if err != nil || sessions(t, p) != 0 {
		t.Errorf("%v, %d sessions", err, sessions(t, p))
	}
	gone, cancel := context.WithCancel(t.Context())
	cancel()
	err = p.main().alone(t.Context(), false, func() error { return l.take(gone) })
	if err == nil || !l.began.IsZero() {
		t.Errorf("it took a turn that is another's: %v", err)
	}
}

// sessions counts them, expired or not.
func sessions(t *testing.T, p *Partner) (n int64) {
	t.Helper()
	err := p.main().store.read(func(r *reader) (err error) {
		n, err = r.number("SELECT COUNT(*) FROM ASPStateTempSessions")
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	return n
}
