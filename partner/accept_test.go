package partner

import (
	"errors"
	"path/filepath"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	mssql "github.com/microsoft/go-mssqldb"

	"github.com/mirrorstate/mirrorstate/partner/choose"
	"github.com/mirrorstate/mirrorstate/partner/link"
)

// split makes both servers writable principals whose epoch rows are no longer replicated.
func (f *fakePair) split(a, b fakeRow) {
	f.set(func(sa, sb *fakeServer) {
		f.extended = true
		sa.role, sb.role = choose.RolePrincipal, choose.RolePrincipal
		sa.ownRow, sb.ownRow = &a, &b
	})
}

func TestAccept_OverridesAHigherEpochAndTakesOneAboveIt(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		path := filepath.Join(t.TempDir(), "pair.json")
		f := newFakePair(t)
		f.split(fakeRow{3, "SQLA"}, fakeRow{5, "SQLB"})
		p := f.startServing(withMemory(path))
		time.Sleep(3 * time.Second)
		if s := p.Status(); s.Principal != choose.B || !s.SplitBrain || len(s.Claims) != 2 || s.Claims[0].Epoch != 3 || s.Claims[1].Epoch != 5 || s.Claims[1].Server != "SQLB" {
			t.Fatalf("before: %+v", s)
		}
		if err := p.Accept(t.Context(), choose.A, "a has the orders"); err != nil {
			t.Fatal(err)
		}
		if s := p.Status(); s.Principal != choose.A || s.Epoch != 6 || f.seen(choose.A).ownRow != (fakeRow{6, "SQLA"}) {
			t.Fatalf("after: %+v, row %+v", s, f.seen(choose.A).ownRow)
		}
		if err := p.Accept(t.Context(), choose.A, "once more"); err != nil || f.seen(choose.A).ownRow.epoch != 6 {
			t.Errorf("accepting the accepted partner again: %v, epoch %d", err, f.seen(choose.A).ownRow.epoch)
		}
		time.Sleep(5 * time.Second)
		if s := p.Status(); s.Principal != choose.A || p.Stats().Accepts != 2 || p.Stats().SplitBrains != 1 {
			t.Errorf("later: %+v, %+v", s, p.Stats())
		}
		// Another proxy without a memory follows the new epoch.
		f.runWhile(func(p *Pair) {
			time.Sleep(2 * time.Second)
			if s := p.Status(); s.Principal != choose.A || s.Epoch != 6 {
				t.Errorf("another proxy: %+v", s)
			}
		})
	})
}

func TestAccept_DecidesBetweenClaimsThatCannotBeOrdered(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		path := filepath.Join(t.TempDir(), "pair.json")
		f := newFakePair(t)
		f.set(func(a, b *fakeServer) { // stock schema, neither in a mirroring session
			a.role, b.role, a.sequence, b.sequence = choose.RoleUnknown, choose.RoleUnknown, 0, 0
		})
		f.runWhile(func(p *Pair) {
			time.Sleep(3 * time.Second)
			if s := p.Status(); s.Principal != "" || !s.SplitBrain {
				t.Fatalf("before: %+v", s)
			}
			if err := p.Accept(t.Context(), choose.B, "b was last"); err != nil || p.Status().Principal != choose.B {
				t.Fatalf("%v, %+v", err, p.Status())
			}
		}, withMemory(path))
		// The accepted principal is still known after a restart, and while it does not answer.
		f.set(func(_, b *fakeServer) { b.down = true })
		f.runWhile(func(p *Pair) {
			time.Sleep(5 * time.Second)
			if s := p.Status(); s.Principal != "" || !strings.Contains(s.Reason, "overruled") {
				t.Errorf("only the overruled partner answers: %+v", s)
			}
			f.set(func(a, b *fakeServer) { a.role, b.down, b.role = choose.RoleMirror, false, choose.RolePrincipal })
			time.Sleep(time.Second)
			f.set(func(a, b *fakeServer) { a.role, b.role = choose.RolePrincipal, choose.RoleMirror })
			time.Sleep(2 * time.Second)
			if s := p.Status(); s.Principal != choose.A {
				t.Errorf("after it was a mirror and the pair failed over: %+v", s)
			}
		}, withMemory(path))
	})
}

func TestAccept_OverrulesAHigherRoleSequenceThatComesBack(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		f := newFakePair(t)
		f.set(func(a, b *fakeServer) {
			a.role, b.role, a.sequence, b.sequence = choose.RoleMirror, choose.RolePrincipal, 6, 6
		})
		p := f.startServing()
		f.set(func(a, b *fakeServer) { a.role, a.sequence, b.down = choose.RolePrincipal, 5, true })
		time.Sleep(5 * time.Second)
		if s := p.Status(); s.Principal != "" {
			t.Fatalf("a claim with role sequence 5 was accepted after 6: %+v", s)
		}
		if err := p.Accept(t.Context(), choose.A, "b's disk is lost"); err != nil {
			t.Fatal(err)
		}
		f.set(func(_, b *fakeServer) { b.down = false })
		time.Sleep(5 * time.Second)
		if s := p.Status(); s.Principal != choose.A {
			t.Errorf("b came back with its old claim and is principal: %+v", s)
		}
		f.set(func(_, b *fakeServer) { b.sequence = 7 })
		time.Sleep(5 * time.Second)
		if s := p.Status(); s.Principal != choose.B {
			t.Errorf("b makes a newer claim: %+v", s)
		}
	})
}

func TestAccept_Refused(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		f := newFakePair(t)
		p := f.startServing()
		for _, tt := range []struct {
			name   string
			script func(a, b *fakeServer)
			n      choose.Name
			reason string
			want   string
		}{
			{"no such partner", nil, "c", "x", `no such partner: "c"`},
			{"no reason", nil, choose.B, "", "needs a reason"},
			{"the mirror", nil, choose.B, "x", "is the mirror"},
			{"a partner that does not answer", func(_, b *fakeServer) { b.down = true }, choose.B, "x", "does not answer"},
		} {
			if tt.script != nil {
				f.set(tt.script)
			}
			err := p.Accept(t.Context(), tt.n, tt.reason)
			r, ok := errors.AsType[*RefusedError](err)
			if !ok || !strings.Contains(r.Message, tt.want) || r.Advice == "" || p.Status().Principal != choose.A {
				t.Errorf("%s: %v, principal %q", tt.name, err, p.Status().Principal)
			}
		}
		f.split(fakeRow{3, "SQLA"}, fakeRow{2, "SQLB"})
		f.set(func(_, b *fakeServer) {
			b.down, b.raiseErr = false, mssql.Error{Number: link.ErrNoProcedure, Class: 16}
		})
		time.Sleep(2 * time.Second)
		err := p.Accept(t.Context(), choose.B, "x")
		if r, ok := errors.AsType[*RefusedError](err); !ok || !strings.Contains(r.Advice, "mirrorstate install") || p.Status().Principal != choose.A {
			t.Errorf("an older extension without the procedure: %v", err)
		}
	})
}

func TestRun_FollowsMirroringThatIsSetUpAgain(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		f := newFakePair(t)
		f.split(fakeRow{3, "SQLA"}, fakeRow{3, "SQLA"})
		f.set(func(a, b *fakeServer) { a.sequence, b.sequence, b.role = 9, 9, choose.RoleMirror })
		p := f.startServing()
		f.set(func(a, b *fakeServer) { // mirroring is removed: a serves alone, b waits to be restored
			a.role, a.sequence, b.down = choose.RoleUnknown, 0, true
		})
		time.Sleep(3 * time.Second)
		if s := p.Status(); s.Principal != choose.A || s.Epoch != 3 {
			t.Fatalf("mirroring removed: %+v", s)
		}
		f.set(func(a, b *fakeServer) { // mirroring is set up again, then the pair fails over
			a.role, a.sequence, b.role, b.sequence, b.down = choose.RoleMirror, 2, choose.RolePrincipal, 2, false
			a.session, b.session = "new", "new"
			b.ownRow = &fakeRow{4, "SQLB"}
		})
		time.Sleep(3 * time.Second)
		if s := p.Status(); s.Principal != choose.B || s.Epoch != 4 || s.RoleSequence != 2 {
			t.Errorf("set up again: %+v", s)
		}
	})
}
