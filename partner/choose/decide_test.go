package choose

import (
	"errors"
	"strings"
	"testing"
	"time"
)

var noon = time.Date(2026, 1, 2, 12, 0, 0, 0, time.UTC)

// says makes an observation by a partner of a synchronized pair on the stock schema.
func observation(n Name, role Role, sequence int64, changes ...func(*Observation)) Observation {
	o := Observation{
		Partner: n, Address: string(n) + ":1433", ServerName: "SQL" + strings.ToUpper(string(n)),
		Began: noon, Since: noon.Add(-time.Minute), ValidUntil: noon.Add(time.Second), Reachable: true,
		Known: true, State: "ONLINE", UserAccess: "MULTI_USER", Updateable: "READ_WRITE",
		Role: role, Mirroring: "SYNCHRONIZED", Safety: "FULL", Sequence: sequence, Session: "guid", Opens: true,
	}
	if role == RoleMirror {
		o.State, o.Updateable, o.Opens = "RESTORING", "", false
	}
	if role == RoleUnknown {
		o.Mirroring, o.Safety, o.Session = "", "", ""
	}
	for _, m := range changes {
		m(&o)
	}
	return o
}

func withEpoch(n int64, server string) func(*Observation) {
	return func(o *Observation) { o.Extended, o.Epoch, o.EpochServer = true, n, server }
}

func unreachable(o *Observation) {
	o.Reachable, o.Known, o.Opens, o.Err = false, false, false, errors.New("refused")
}

func TestDecide(t *testing.T) {
	never := Accepted{}
	tookA := Accepted{Partner: A, Sequence: 5, Session: "guid"}
	tookA3 := Accepted{Partner: A, Extended: true, Epoch: 3, Sequence: 5, Session: "guid"}
	unasked := Observation{}
	pA, pB := RolePrincipal, RolePrincipal
	m := RoleMirror
	tests := []struct {
		name string
		a, b Observation
		acc  Accepted
		want Decision // Reason: a part of it
	}{
		{"principal and mirror", observation(A, pA, 5), observation(B, m, 5), never, Decision{Serve: A, Reason: "is the mirror"}},
		{"the other way round", observation(A, m, 5), observation(B, pB, 5), never, Decision{Serve: B}},
		{"failed over", observation(A, m, 6), observation(B, pB, 6), tookA, Decision{Serve: B, EndTerm: true}},
		{"old principal still unheard of", observation(A, pA, 5), observation(B, pB, 6), tookA, Decision{Serve: B, SplitBrain: true, Reason: "role sequence"}},
		{"accepted one is silent", observation(A, pA, 5, unreachable), observation(B, m, 5), tookA, Decision{Reason: "a does not answer; b is the mirror"}},
		{"both silent", observation(A, pA, 5, unreachable), observation(B, m, 5, unreachable), tookA, Decision{Reason: "b does not answer"}},
		{"about to hand over: it still answers what it has", observation(A, pA, 5, func(o *Observation) { o.Mirroring = "PENDING_FAILOVER" }), observation(B, m, 5), tookA, Decision{EndTerm: false, Reason: "about to become the mirror"}},
		{"both mirrors, in the middle of a switch", observation(A, m, 5), observation(B, m, 5), tookA, Decision{EndTerm: true, Reason: "a is the mirror"}},
		{"at the start nobody is believed before both were asked", observation(A, pA, 5), unasked, never, Decision{Reason: "waiting for a first word"}},
		{"silence is a word", observation(A, pA, 5), observation(B, m, 5, unreachable), never, Decision{Serve: A}},
		{"a memory may be old, and does not replace the other's first word", observation(A, pA, 5), unasked, tookA, Decision{Reason: "waiting for a first word"}},
		{"forced service with the old principal away", observation(A, pA, 5, unreachable), observation(B, pB, 6), tookA, Decision{Serve: B}},
		{"old principal back alone", observation(A, pA, 4), observation(B, m, 5, unreachable), Accepted{Partner: B, Sequence: 5, Session: "guid"}, Decision{Reason: "claims role sequence 4, and 5 was accepted"}},
		{"sequences of another session do not count", observation(A, pA, 1, func(o *Observation) { o.Session = "new" }), observation(B, m, 1), Accepted{Partner: B, Sequence: 5, Session: "guid"}, Decision{Serve: A, EndTerm: true}},

		{"extended, its own epoch", observation(A, pA, 5, withEpoch(3, "SQLA")), observation(B, m, 5), never, Decision{Serve: A}},
		{"extended, case of the name differs", observation(A, pA, 5, withEpoch(3, "sqla")), observation(B, m, 5), never, Decision{Serve: A}},
		{"extended, taken under the address", observation(A, pA, 5, withEpoch(3, "a:1433")), observation(B, m, 5), never, Decision{Serve: A}},
		{"extended, somebody else's epoch", observation(A, pA, 5, withEpoch(3, "")), observation(B, m, 5), never, Decision{Serve: A, TakeEpoch: true}},
		{"failed over, epoch not taken yet", observation(A, m, 6), observation(B, pB, 6, withEpoch(3, "SQLA")), tookA3, Decision{Serve: B, TakeEpoch: true, EndTerm: true}},
		{"failed over, another proxy took it", observation(A, m, 6), observation(B, pB, 6, withEpoch(4, "SQLB")), tookA3, Decision{Serve: B, EndTerm: true}},
		{"there and back between two probes", observation(A, pA, 7, withEpoch(4, "SQLB")), observation(B, m, 7), tookA3, Decision{Serve: A, TakeEpoch: true}},
		{"another proxy's spelling is left alone", observation(A, pA, 5, withEpoch(4, "sql1.example")), observation(B, m, 5), tookA3, Decision{Serve: A}},
		{"another proxy's spelling, new principal", observation(A, pA, 7, withEpoch(4, "sql1.example")), observation(B, m, 7), tookA3, Decision{Serve: A, TakeEpoch: true}},
		{"higher epoch wins", observation(A, pA, 9, withEpoch(3, "SQLA")), observation(B, pB, 6, withEpoch(4, "SQLB")), tookA3, Decision{Serve: B, SplitBrain: true, EndTerm: false, Reason: "higher epoch"}},
		{"old epoch is fenced though alone", observation(A, pA, 9, withEpoch(3, "SQLA")), observation(B, m, 6, unreachable), Accepted{Partner: B, Extended: true, Epoch: 4, Sequence: 6, Session: "guid"}, Decision{Reason: "claims epoch 3, and 4 was accepted"}},
		{"restored copy of the accepted partner is fenced", observation(A, pA, 5, withEpoch(2, "SQLA")), observation(B, m, 5), tookA3, Decision{EndTerm: true, Reason: "claims epoch 2"}},
		{"a copy that lost the epoch row", observation(A, m, 6), observation(B, pB, 6), tookA3, Decision{EndTerm: true, Reason: "has no epoch"}},
		{"extension installed under way", observation(A, pA, 5, withEpoch(1, "")), observation(B, m, 5), tookA, Decision{Serve: A, TakeEpoch: true}},
		{"both call themselves the same, address is the name",
			observation(A, pA, 5, withEpoch(3, "SQL"), func(o *Observation) { o.ServerName = "SQL" }), observation(B, m, 5, func(o *Observation) { o.ServerName = "SQL" }), never, Decision{Serve: A, TakeEpoch: true}},
		{"both call themselves the same, taken",
			observation(A, pA, 5, withEpoch(3, "a:1433"), func(o *Observation) { o.ServerName = "SQL" }), observation(B, m, 5, func(o *Observation) { o.ServerName = "SQL" }), never, Decision{Serve: A}},

		{"no rights: the one that opens", observation(A, RoleUnknown, 0), observation(B, RoleUnknown, 0, func(o *Observation) { o.State, o.Opens = "RESTORING", false }), never, Decision{Serve: A}},
		{"plain pair, both writable, none accepted", observation(A, RoleUnknown, 0), observation(B, RoleUnknown, 0), never, Decision{SplitBrain: true, Reason: "serving neither"}},
		{"plain pair, both writable, one accepted", observation(A, RoleUnknown, 0), observation(B, RoleUnknown, 0), Accepted{Partner: B}, Decision{Serve: B, SplitBrain: true, Reason: "b stays"}},
		{"plain pair, moved", observation(A, RoleUnknown, 0, unreachable), observation(B, RoleUnknown, 0), Accepted{Partner: A}, Decision{Serve: B}},
		{"equal epochs and sequences can't be ordered", observation(A, pA, 5, withEpoch(3, "SQLA")), observation(B, pB, 5, withEpoch(3, "SQLB")), never, Decision{SplitBrain: true, Reason: "serving neither"}},
		{"a claim seen before the other's first is no split yet",
			observation(A, pA, 5), observation(B, pB, 6, func(o *Observation) { o.Since = noon.Add(time.Millisecond) }), tookA, Decision{Serve: B}},
	}
	for _, tt := range tests {
		got := Decide(noon, [2]Observation{tt.a, tt.b}, tt.acc)
		reason := got.Reason
		got.Reason = tt.want.Reason
		if got != tt.want || !strings.Contains(reason, tt.want.Reason) {
			t.Errorf("%s:\ngot  %+v %q\nwant %+v", tt.name, got, reason, tt.want)
		}
	}
}

func TestDecide_Refusals(t *testing.T) {
	tests := []struct {
		name   string
		change func(*Observation)
		want   string
	}{
		{"recovering", func(o *Observation) { o.State = "RECOVERING" }, "is RECOVERING"},
		{"pending failover", func(o *Observation) { o.Mirroring = "PENDING_FAILOVER" }, "about to become the mirror"},
		{"read-only", func(o *Observation) { o.ReadOnly = true }, "read-only"},
		{"readable secondary", func(o *Observation) { o.Updateable = "READ_ONLY" }, "read-only"},
		{"single user", func(o *Observation) { o.UserAccess = "SINGLE_USER" }, "single-user"},
		{"no quorum, does not open", func(o *Observation) { o.Opens = false }, "can't be opened"},
		{"no such database", func(o *Observation) { o.Known = false }, "no such database"},
		{"an old answer", func(o *Observation) { o.ValidUntil = noon.Add(-1) }, "lately"},
	}
	for _, tt := range tests {
		d := Decide(noon, [2]Observation{observation(A, RolePrincipal, 5, tt.change), observation(B, RoleMirror, 5)}, Accepted{})
		if d.Serve != "" || !strings.Contains(d.Reason, tt.want) {
			t.Errorf("%s: got %+v, want nobody, because a %s", tt.name, d, tt.want)
		}
	}
	// What a login without rights does not see refuses nothing.
	d := Decide(noon, [2]Observation{observation(A, RoleUnknown, 0, func(o *Observation) { o.Updateable, o.UserAccess = "", "" }), observation(B, RoleUnknown, 0, unreachable)}, Accepted{})
	if d.Serve != A {
		t.Errorf("unknown role: got %+v, want a", d)
	}
}
