package partner

import (
	"context"
	"database/sql/driver"
	"errors"
	"fmt"
	"testing"
	"testing/synctest"

	mssql "github.com/microsoft/go-mssqldb"

	"github.com/mirrorstate/mirrorstate/partner/choose"
	"github.com/mirrorstate/mirrorstate/partner/hold"
)

func TestDo_ABrokenIdleConnectionClosesTheOtherIdleOnes(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		f := newFakePair(t)
		p := f.startServing()
		attempts := 0
		err := p.Do(t.Context(), Call{Write: true}, func(_ context.Context, a *Attempt) error {
			if attempts++; attempts == 1 {
				return fmt.Errorf("op: %w", driver.ErrBadConn)
			}
			if a.Resent {
				t.Error("a request that was not sent completely counts as sent")
			}
			return nil
		})
		if err != nil || attempts != 2 || f.seen(choose.A).pools[0].idleClosed != 1 {
			t.Errorf("%v after %d attempts, idle connections closed %d times; want once", err, attempts, f.seen(choose.A).pools[0].idleClosed)
		}
	})
}

// The first calls of a new principal find connections that were made while its epoch was taken.
func TestRun_MakesConnectionsForTheNextTerm(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		f := newFakePair(t)
		f.extended, f.epoch, f.server = true, 3, "SQLA"
		p := f.startServing()
		f.failOver()
		p.probeNow()
		if err := p.await(t.Context(), false, func(v choose.View) bool { return v.Serves(choose.B) }); err != nil {
			t.Fatal(err)
		}
		synctest.Wait()
		if pools := f.seen(choose.B).pools; len(pools) != 1 || pools[0].warmed != hold.DrainFirst || pools[0].aborted != nil {
			t.Errorf("%d pools on the new principal, want one with %d connections made", len(pools), hold.DrainFirst)
		}
	})
}

func TestMember_DropNextPoolClosesTheConnections(t *testing.T) {
	f := newFakePair(t)
	p := f.newPair()
	m := p.members[1]
	p.prepareTerm(m)
	p.prepareTerm(m)
	p.running.Wait()
	m.dropNextPool()
	m.dropNextPool()
	if pools := f.seen(choose.B).pools; len(pools) != 1 || pools[0].aborted == nil || m.nextPool != nil {
		t.Errorf("%+v, kept %v; want one closed pool and none kept", pools, m.nextPool)
	}
}

// If an answer breaks off in the middle, the error of the driver may be a mere text.
func TestDo_IncompleteAnswer(t *testing.T) {
	for _, c := range []struct {
		name    string
		broke   bool
		err     error
		resends bool
	}{
		{"the connection broke within an item", true, errors.New("Reading PLP type failed: unexpected EOF"), true},
		{"the same text on a good connection", false, errors.New("Reading PLP type failed: unexpected EOF"), false},
		{"an error of the server before the connection broke", true, mssql.Error{Number: 2627, Class: 14}, false},
	} {
		synctest.Test(t, func(t *testing.T) {
			f := newFakePair(t)
			p := f.startServing()
			attempts := 0
			err := p.Do(t.Context(), Call{Write: true}, func(_ context.Context, a *Attempt) error {
				if attempts++; attempts > 1 {
					if !a.Resent {
						t.Errorf("%s: Resent is not set in the second attempt", c.name)
					}
					return nil
				}
				pool := f.ends[0].pools[0]
				pool.mu.Lock()
				pool.socketBroken = c.broke
				pool.mu.Unlock()
				return fmt.Errorf("op: %w", c.err)
			})
			if c.resends != (attempts == 2) || c.resends != (err == nil) {
				t.Errorf("%s: %v after %d attempts", c.name, err, attempts)
			}
		})
	}
}
