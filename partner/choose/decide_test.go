package choose

import (
	"errors"
	"strings"
	"testing"
	"time"
)

var noon = time.Date(2026, 1, 2, 12, 0, 0, 0, time.UTC)

// observation returns an observation of a partner in a synchronized pair on the stock schema.
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
		want Decision // Reason: a substring of the decision's reason
	}{
		{"principal and mirror", observation(A, pA, 5), observation(B, m, 5), never, Decision{Serve: A, Reason: "is the mirror"}},
		{"mirror and principal", observation(A, m, 5), observation(B, pB, 5), never, Decision{Serve: B}},
		{"failed over", observation(A, m, 6), observation(B, pB, 6), tookA, Decision{Serve: B, EndTerm: true}},
		{"failed over, the old principal has not answered since", observation(A, pA, 5), observation(B, pB, 6), tookA, Decision{Serve: B, SplitBrain: true, Reason: "role sequence"}},
		{"the accepted partner does not answer", observation(A, pA, 5, unreachable), observation(B, m, 5), tookA, Decision{Reason: "a does not answer; b is the mirror"}},
		{"neither partner answers", observation(A, pA, 5, unreachable), observation(B, m, 5, unreachable), tookA, Decision{Reason: "b does not answer"}},
		{"pending failover: the principal still answers its calls", observation(A, pA, 5, func(o *Observation) { o.Mirroring = "PENDING_FAILOVER" }), observation(B, m, 5), tookA, Decision{EndTerm: false, Reason: "about to become the mirror"}},
		{"both are mirrors during a role switch", observation(A, m, 5), observation(B, m, 5), tookA, Decision{EndTerm: true, Reason: "a is the mirror"}},
		{"at the start both partners must be probed first", observation(A, pA, 5), unasked, never, Decision{Reason: "waiting for the first answer"}},
		{"a probe without an answer is enough", observation(A, pA, 5), observation(B, m, 5, unreachable), never, Decision{Serve: A}},
		{"a remembered principal does not replace the other partner's first probe", observation(A, pA, 5), unasked, tookA, Decision{Reason: "waiting for the first answer"}},
		{"service was forced, the old principal does not answer", observation(A, pA, 5, unreachable), observation(B, pB, 6), tookA, Decision{Serve: B}},
		{"only the old principal answers", observation(A, pA, 4), observation(B, m, 5, unreachable), Accepted{Partner: B, Sequence: 5, Session: "guid"}, Decision{Reason: "claims role sequence 4, but 5 was accepted"}},
		{"role sequences of another session are not compared", observation(A, pA, 1, func(o *Observation) { o.Session = "new" }), observation(B, m, 1), Accepted{Partner: B, Sequence: 5, Session: "guid"}, Decision{Serve: A, EndTerm: true}},

		{"extended, epoch taken by the partner itself", observation(A, pA, 5, withEpoch(3, "SQLA")), observation(B, m, 5), never, Decision{Serve: A}},
		{"extended, the case of the server name differs", observation(A, pA, 5, withEpoch(3, "sqla")), observation(B, m, 5), never, Decision{Serve: A}},
		{"extended, epoch taken under the address", observation(A, pA, 5, withEpoch(3, "a:1433")), observation(B, m, 5), never, Decision{Serve: A}},
		{"extended, epoch taken by another server", observation(A, pA, 5, withEpoch(3, "")), observation(B, m, 5), never, Decision{Serve: A, TakeEpoch: true}},
		{"failed over, epoch not taken yet", observation(A, m, 6), observation(B, pB, 6, withEpoch(3, "SQLA")), tookA3, Decision{Serve: B, TakeEpoch: true, EndTerm: true}},
		{"failed over, another proxy took the epoch", observation(A, m, 6), observation(B, pB, 6, withEpoch(4, "SQLB")), tookA3, Decision{Serve: B, EndTerm: true}},
		{"failed over and back between two probes", observation(A, pA, 7, withEpoch(4, "SQLB")), observation(B, m, 7), tookA3, Decision{Serve: A, TakeEpoch: true}},
		{"another proxy's server name, same principal", observation(A, pA, 5, withEpoch(4, "sql1.example")), observation(B, m, 5), tookA3, Decision{Serve: A}},
		{"another proxy's server name, new principal", observation(A, pA, 7, withEpoch(4, "sql1.example")), observation(B, m, 7), tookA3, Decision{Serve: A, TakeEpoch: true}},
		{"higher epoch wins", observation(A, pA, 9, withEpoch(3, "SQLA")), observation(B, pB, 6, withEpoch(4, "SQLB")), tookA3, Decision{Serve: B, SplitBrain: true, EndTerm: false, Reason: "higher epoch"}},
		{"an old epoch is fenced, even as the only claim", observation(A, pA, 9, withEpoch(3, "SQLA")), observation(B, m, 6, unreachable), Accepted{Partner: B, Extended: true, Epoch: 4, Sequence: 6, Session: "guid"}, Decision{Reason: "claims epoch 3, but epoch 4 was accepted"}},
		{"a restored copy of the accepted partner is fenced", observation(A, pA, 5, withEpoch(2, "SQLA")), observation(B, m, 5), tookA3, Decision{EndTerm: true, Reason: "claims epoch 2"}},
		{"a copy that lost the epoch row", observation(A, m, 6), observation(B, pB, 6), tookA3, Decision{EndTerm: true, Reason: "has no epoch"}},
		{"the extension was installed after the start", observation(A, pA, 5, withEpoch(1, "")), observation(B, m, 5), tookA, Decision{Serve: A, TakeEpoch: true}},
		{"both servers have the same name: the address is used",
			observation(A, pA, 5, withEpoch(3, "SQL"), func(o *Observation) { o.ServerName = "SQL" }), observation(B, m, 5, func(o *Observation) { o.ServerName = "SQL" }), never, Decision{Serve: A, TakeEpoch: true}},
		{"both servers have the same name: epoch taken under the address",
			observation(A, pA, 5, withEpoch(3, "a:1433"), func(o *Observation) { o.ServerName = "SQL" }), observation(B, m, 5, func(o *Observation) { o.ServerName = "SQL" }), never, Decision{Serve: A}},

		{"the login sees no role: the partner with the open database", observation(A, RoleUnknown, 0), observation(B, RoleUnknown, 0, func(o *Observation) { o.State, o.Opens = "RESTORING", false }), never, Decision{Serve: A}},
		{"plain pair, both writable, none accepted", observation(A, RoleUnknown, 0), observation(B, RoleUnknown, 0), never, Decision{SplitBrain: true, Reason: "serving neither"}},
		{"plain pair, both writable, one accepted", observation(A, RoleUnknown, 0), observation(B, RoleUnknown, 0), Accepted{Partner: B}, Decision{Serve: B, SplitBrain: true, Reason: "b stays"}},
		{"plain pair, only the other partner answers", observation(A, RoleUnknown, 0, unreachable), observation(B, RoleUnknown, 0), Accepted{Partner: A}, Decision{Serve: B}},
		{"equal epochs and sequences can't be ordered", observation(A, pA, 5, withEpoch(3, "SQLA")), observation(B, pB, 5, withEpoch(3, "SQLB")), never, Decision{SplitBrain: true, Reason: "serving neither"}},
		{"a claim observed before the other's first claim is no split brain",
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
		{"no quorum, the database does not open", func(o *Observation) { o.Opens = false }, "can't be opened"},
		{"no such database", func(o *Observation) { o.Known = false }, "no such database"},
		{"an answer that is too old", func(o *Observation) { o.ValidUntil = noon.Add(-1) }, "recently"},
	}
	for _, tt := range tests {
		d := Decide(noon, [2]Observation{observation(A, RolePrincipal, 5, tt.change), observation(B, RoleMirror, 5)}, Accepted{})
		if d.Serve != "" || !strings.Contains(d.Reason, tt.want) {
			t.Errorf("%s: got %+v, want no principal, because a %s", tt.name, d, tt.want)
		}
	}
	// A NULL that a login without rights sees is not a reason to refuse.
	d := Decide(noon, [2]Observation{observation(A, RoleUnknown, 0, func(o *Observation) { o.Updateable, o.UserAccess = "", "" }), observation(B, RoleUnknown, 0, unreachable)}, Accepted{})
	if d.Serve != A {
		t.Errorf("unknown role: got %+v, want a", d)
	}
}
