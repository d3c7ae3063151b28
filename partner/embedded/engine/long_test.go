package engine

import (
	"context"
	"fmt"
	"testing"
	"time"

	"github.com/mirrorstate/mirrorstate/partner/embedded/mirror"
	"github.com/mirrorstate/mirrorstate/partner/embedded/sqlvalue"
	"github.com/mirrorstate/mirrorstate/partner/embedded/storage"
)

// A procedure of many statements passes the turn on between two of them: others write meanwhile, and a role change does
// not wait for its end.
func TestLong_othersGetTheirTurn(t *testing.T) {
	pair := openPair(t)
	p := pair.Partner("a")
	past := sqlvalue.DatetimeOf(time.Now().Add(-time.Hour)).Text()
	err := p.Main().Exclusively(t.Context(), func(w *storage.Writer) error {
		for i := range 5000 {
			if err := w.Script(fmt.Sprintf("INSERT INTO ASPStateTempSessions (SessionId, Created, Expires, LockDate, LockDateLocal, LockCookie, Timeout, Locked) VALUES ('s%d', '%s', '%[2]s', '%[2]s', '%[2]s', 1, 20, 0)", i, past)); err != nil {
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
		t.Error("isLong does not report a long procedure")
	}
	sweep := func() error {
		_, err := (&session{p: p, database: mirror.DatabaseName, lockTimeout: -1}).runProcedure(context.Background(), proc, p.Main(), nil)
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
		t.Errorf("%d calls got a turn", beside)
	}
	if n := sessions(t, p); n != 1 {
		t.Errorf("%d sessions left, want the one of the other call", n)
	}
	if a, b := dump(t, p), dump(t, p.Other()); a != b {
		t.Errorf("the partners differ: %s %s", a, b)
	}
}

// A long call that loses its turn leaves no state that disturbs the next one.
func TestLong_losesItsTurn(t *testing.T) {
	pair := openPair(t)
	p := pair.Partner("a")
	storeItem(t, p, "s", []byte("x"))
	l := &mirror.LongTurns{Waits: (&session{p: p, lockTimeout: -1}).withLockTimeout, D: p.Main()}
	err := p.Main().Exclusively(t.Context(), func(*storage.Writer) error {
		p.Main().Store.Mu.Lock()
		defer p.Main().Store.Mu.Unlock()
		w, err := p.Main().Store.Long()
		if err != nil {
			return err
		}
		return w.Script("CREATE TEMP TABLE [#expired] (SessionId)")
	})
	if err != nil {
		t.Fatal(err)
	}
	expire(t, p, "s", time.Minute)
	_, err = (&session{p: p, database: mirror.DatabaseName, lockTimeout: -1}).runProcedure(t.Context(), findProcedure(t, p, "DeleteExpiredSessions"), p.Main(), nil)
	if err != nil || sessions(t, p) != 0 {
		t.Errorf("%v, %d sessions", err, sessions(t, p))
	}
	gone, cancel := context.WithCancel(t.Context())
	cancel()
	err = p.Main().Alone(t.Context(), false, func() error { return l.Take(gone) })
	if err == nil || !l.Began.IsZero() {
		t.Errorf("it took the turn of another call: %v", err)
	}
}

// sessions returns the number of sessions, expired or not.
func sessions(t *testing.T, p *Partner) (n int64) {
	t.Helper()
	err := p.Main().Store.Read(func(r *storage.Reader) (err error) {
		n, err = r.Number("SELECT COUNT(*) FROM ASPStateTempSessions")
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	return n
}

// A call has its own temporary tables, whatever their names, even while a long call waits for its turn.
func TestLong_tablesOfItsOwn(t *testing.T) {
	pair := openPair(t)
	p := pair.Partner("a")
	begun, goOn := make(chan struct{}), make(chan struct{})
	ended := make(chan error, 1)
	go func() {
		ended <- p.Main().RunLong(context.Background(), (&session{p: p, lockTimeout: -1}).withLockTimeout, func(w *storage.Writer, l *mirror.LongTurns) error {
			if err := w.Script("CREATE TEMP TABLE [#t] (n)"); err != nil {
				return err
			}
			for l.Began = l.Began.Add(-time.Minute); ; { // its turn has lasted long enough
				if err := l.Pause(context.Background()); err != nil {
					return err
				}
				select {
				case begun <- struct{}{}:
				default:
				}
				select {
				case <-goOn:
					return w.Script("DROP TABLE temp.[#t]")
				default:
					l.Began = l.Began.Add(-time.Minute)
				}
			}
		})
	}()
	<-begun
	out, _, err := runBody(t.Context(), t, p, "CREATE TABLE #t (n int) INSERT INTO #t (n) VALUES (7) SELECT @out = n FROM #t")
	if err != nil || out != "7" {
		t.Errorf("%v, %v", out, err)
	}
	close(goOn)
	if err := <-ended; err != nil {
		t.Error(err)
	}
}
