package partner

import (
	"context"
	"errors"
	"io"
	"slices"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/mirrorstate/mirrorstate/partner/choose"
)

func TestFailover(t *testing.T) {
	for _, answer := range []error{nil, io.EOF} { // the switch may end the connection that asked for it
		synctest.Test(t, func(t *testing.T) {
			f := newFakePair(t)
			p := f.startServing()
			f.ends[0].onExec = func(string) error {
				f.set(func(a, _ *fakeServer) { a.role = choose.RoleMirror })
				time.AfterFunc(300*time.Millisecond, func() {
					f.set(func(a, b *fakeServer) { b.role, a.sequence, b.sequence = choose.RolePrincipal, 2, 2 })
				})
				return answer
			}
			began := time.Now()
			if err := p.Failover(t.Context()); err != nil || time.Since(began) > 320*time.Millisecond {
				t.Errorf("%v after %s", err, time.Since(began))
			}
			if s := p.Status(); s.Principal != choose.B || s.Partners[0].Role != choose.RoleMirror {
				t.Errorf("Failover returned before the new principal serves: %+v", s)
			}
			if got := f.seen(choose.A).execs; !slices.Equal(got, []string{"FAILOVER"}) {
				t.Errorf("sent to a: %q", got)
			}
		})
	}
}

func TestFailover_Refused(t *testing.T) {
	tests := []struct {
		name   string
		script func(a, b *fakeServer)
		number int32
		sent   bool
	}{
		{"safety off", func(a, b *fakeServer) { a.safety, b.safety = "OFF", "OFF" }, 1477, false},
		{"synchronizing", func(a, b *fakeServer) { a.mirroring, b.mirroring = "SYNCHRONIZING", "SYNCHRONIZING" }, 1422, false},
		{"suspended", func(a, b *fakeServer) { a.mirroring, b.mirroring = "SUSPENDED", "SUSPENDED" }, 1422, false},
		{"the mirror does not answer", func(a, b *fakeServer) { b.down = true }, 1447, false},
		{"no principal", func(a, b *fakeServer) { a.down = true }, 1431, false},
		{"not mirrored", func(a, b *fakeServer) { a.role, b.role = choose.RoleUnknown, choose.RoleUnknown }, 1416, false},
		{"refused by the server", func(a, b *fakeServer) { a.onExec = func(string) error { return sqlErr(16, 1404) } }, 1404, true},
	}
	for _, tt := range tests {
		synctest.Test(t, func(t *testing.T) {
			f := newFakePair(t)
			p := f.startServing()
			f.set(tt.script)
			err := p.Failover(t.Context())
			r, ok := errors.AsType[*RefusedError](err)
			if !ok || r.Number != tt.number || r.Advice == "" {
				t.Errorf("%s: got %v, want a refusal %d with advice", tt.name, err, tt.number)
			}
			if sent := len(f.seen(choose.A).execs) > 0; sent != tt.sent {
				t.Errorf("%s: sent %v, want %v", tt.name, sent, tt.sent)
			}
		})
	}
}

func TestFailover_NotConfirmed(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		p := newFakePair(t).startServing()
		began := time.Now()
		err := p.Failover(t.Context())
		if !errors.Is(err, context.DeadlineExceeded) || time.Since(began) != 30*time.Second {
			t.Errorf("%v after %s", err, time.Since(began))
		}
	})
}

func TestFailover_IsSentToTheClaimantThatServes(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		f := newFakePair(t)
		f.split(fakeRow{5, "SQLA"}, fakeRow{3, "SQLB"})
		f.set(func(_, b *fakeServer) { b.sequence = 9 })
		p := f.startServing()
		ctx, cancel := context.WithTimeout(t.Context(), time.Second)
		defer cancel()
		_ = p.Failover(ctx)
		if a, b := f.execCounts(); a != 1 || b != 0 {
			t.Errorf("sent %d statements to a, which serves, and %d to b; want 1 and 0", a, b)
		}
	})
}

func TestForceService(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		f := newFakePair(t)
		p := f.startServing()
		number := func(err error) int32 {
			r, ok := errors.AsType[*RefusedError](err)
			if !ok {
				t.Fatalf("got %v, want a refusal", err)
			}
			return r.Number
		}
		if n := number(p.ForceService(t.Context(), false)); n != 0 {
			t.Errorf("without allowing data loss: %d", n)
		}
		if n := number(p.ForceService(t.Context(), true)); n != 1455 {
			t.Errorf("while the principal is connected: %d, want 1455", n)
		}
		f.set(func(a, b *fakeServer) {
			a.down, b.mirroring = true, "DISCONNECTED"
			b.onExec = func(string) error {
				f.set(func(_, b *fakeServer) { b.role, b.sequence = choose.RolePrincipal, 2 })
				return nil
			}
		})
		if err := p.ForceService(t.Context(), true); err != nil || p.Status().Principal != choose.B {
			t.Errorf("%v, principal %q", err, p.Status().Principal)
		}
		if got := f.seen(choose.B).execs; !slices.Equal(got, []string{"FORCE_SERVICE_ALLOW_DATA_LOSS"}) {
			t.Errorf("sent to b: %q", got)
		}
		f.set(func(_, b *fakeServer) { b.down = true })
		if n := number(p.ForceService(t.Context(), true)); n != 1431 {
			t.Errorf("while neither partner answers: %d, want 1431", n)
		}
	})
}

func TestSuspendAndResume(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		f := newFakePair(t)
		p := f.startServing()
		f.ends[0].onExec = func(statement string) error {
			state := "SUSPENDED"
			if strings.HasSuffix(statement, "RESUME") {
				state = "SYNCHRONIZING"
			}
			f.set(func(a, _ *fakeServer) { a.mirroring = state })
			time.AfterFunc(50*time.Millisecond, func() { f.set(func(_, b *fakeServer) { b.mirroring = state }) })
			return nil
		}
		for _, step := range []struct {
			run  func(context.Context) error
			want string
		}{{p.Suspend, "SUSPENDED"}, {p.Resume, "SYNCHRONIZING"}} {
			if err := step.run(t.Context()); err != nil {
				t.Fatal(err)
			}
			s := p.Status()
			if s.Partners[0].State != step.want || s.Partners[1].State != step.want || s.Principal != choose.A {
				t.Errorf("want both %s: %+v", step.want, s)
			}
		}
	})
}
