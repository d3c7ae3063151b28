package choose

import (
	"errors"
	"strings"
	"testing"
	"time"
)

var noon = time.Date(2026, 1, 2, 12, 0, 0, 0, time.UTC)

// says makes an observation by a partner of a synchronized pair on the stock schema.
func says(n Name, role Role, sequence int64, mend ...func(*Observation)) Observation {
	o := Observation{
		Partner: n, Address: string(n) + ":1433", ServerName: "SQL" + strings.ToUpper(string(n)),
		Began: noon, Since: noon.Add(-time.Minute), GoodUntil: noon.Add(time.Second), Reachable: true,
		Known: true, State: "ONLINE", UserAccess: "MULTI_USER", Updateable: "READ_WRITE",
		Role: role, Mirroring: "SYNCHRONIZED", Safety: "FULL", Sequence: sequence, Session: "guid", Opens: true,
	}
	if role == RoleMirror {
		o.State, o.Updateable, o.Opens = "RESTORING", "", false
	}
	if role == RoleUnknown {
		o.Mirroring, o.Safety, o.Session = "", "", ""
	}
	for _, m := range mend {
		m(&o)
	}
	return o
}

func epoch(n int64, server string) func(*Observation) {
	return func(o *Observation) { o.Extended, o.Epoch, o.EpochServer = true, n, server }
}

func silent(o *Observation) {
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
		{"principal and mirror", says(A, pA, 5), says(B, m, 5), never, Decision{Serve: A, Reason: "is the mirror"}},
		{"the other way round", says(A, m, 5), says(B, pB, 5), never, Decision{Serve: B}},
		{"failed over", says(A, m, 6), says(B, pB, 6), tookA, Decision{Serve: B, Drop: true}},
		{"old principal still unheard of", says(A, pA, 5), says(B, pB, 6), tookA, Decision{Serve: B, SplitBrain: true, Reason: "role sequence"}},
		{"accepted one is silent", says(A, pA, 5, silent), says(B, m, 5), tookA, Decision{Reason: "a does not answer; b is the mirror"}},
		{"both silent", says(A, pA, 5, silent), says(B, m, 5, silent), tookA, Decision{Reason: "b does not answer"}},
		{"about to hand over: it still answers what it has", says(A, pA, 5, func(o *Observation) { o.Mirroring = "PENDING_FAILOVER" }), says(B, m, 5), tookA, Decision{Drop: false, Reason: "about to become the mirror"}},
		{"both mirrors, in the middle of a switch", says(A, m, 5), says(B, m, 5), tookA, Decision{Drop: true, Reason: "a is the mirror"}},
		{"at the start nobody is believed before both were asked", says(A, pA, 5), unasked, never, Decision{Reason: "waiting for a first word"}},
		{"silence is a word", says(A, pA, 5), says(B, m, 5, silent), never, Decision{Serve: A}},
		{"a memory may be old, and does not replace the other's first word", says(A, pA, 5), unasked, tookA, Decision{Reason: "waiting for a first word"}},
		{"forced service with the old principal away", says(A, pA, 5, silent), says(B, pB, 6), tookA, Decision{Serve: B}},
		{"old principal back alone", says(A, pA, 4), says(B, m, 5, silent), Accepted{Partner: B, Sequence: 5, Session: "guid"}, Decision{Reason: "claims role sequence 4, and 5 was accepted"}},
		{"sequences of another session do not count", says(A, pA, 1, func(o *Observation) { o.Session = "new" }), says(B, m, 1), Accepted{Partner: B, Sequence: 5, Session: "guid"}, Decision{Serve: A, Drop: true}},

		{"extended, its own epoch", says(A, pA, 5, epoch(3, "SQLA")), says(B, m, 5), never, Decision{Serve: A}},
		{"extended, case of the name differs", says(A, pA, 5, epoch(3, "sqla")), says(B, m, 5), never, Decision{Serve: A}},
		{"extended, taken under the address", says(A, pA, 5, epoch(3, "a:1433")), says(B, m, 5), never, Decision{Serve: A}},
		{"extended, somebody else's epoch", says(A, pA, 5, epoch(3, "")), says(B, m, 5), never, Decision{Serve: A, Take: true}},
		{"failed over, epoch not taken yet", says(A, m, 6), says(B, pB, 6, epoch(3, "SQLA")), tookA3, Decision{Serve: B, Take: true, Drop: true}},
		{"failed over, another proxy took it", says(A, m, 6), says(B, pB, 6, epoch(4, "SQLB")), tookA3, Decision{Serve: B, Drop: true}},
		{"there and back between two probes", says(A, pA, 7, epoch(4, "SQLB")), says(B, m, 7), tookA3, Decision{Serve: A, Take: true}},
		{"another proxy's spelling is left alone", says(A, pA, 5, epoch(4, "sql1.example")), says(B, m, 5), tookA3, Decision{Serve: A}},
		{"another proxy's spelling, new principal", says(A, pA, 7, epoch(4, "sql1.example")), says(B, m, 7), tookA3, Decision{Serve: A, Take: true}},
		{"higher epoch wins", says(A, pA, 9, epoch(3, "SQLA")), says(B, pB, 6, epoch(4, "SQLB")), tookA3, Decision{Serve: B, SplitBrain: true, Drop: false, Reason: "higher epoch"}},
		{"old epoch is fenced though alone", says(A, pA, 9, epoch(3, "SQLA")), says(B, m, 6, silent), Accepted{Partner: B, Extended: true, Epoch: 4, Sequence: 6, Session: "guid"}, Decision{Reason: "claims epoch 3, and 4 was accepted"}},
		{"restored copy of the accepted partner is fenced", says(A, pA, 5, epoch(2, "SQLA")), says(B, m, 5), tookA3, Decision{Drop: true, Reason: "claims epoch 2"}},
		{"a copy that lost the epoch row", says(A, m, 6), says(B, pB, 6), tookA3, Decision{Drop: true, Reason: "has no epoch"}},
		{"extension installed under way", says(A, pA, 5, epoch(1, "")), says(B, m, 5), tookA, Decision{Serve: A, Take: true}},
		{"both call themselves the same, address is the name",
			says(A, pA, 5, epoch(3, "SQL"), func(o *Observation) { o.ServerName = "SQL" }), says(B, m, 5, func(o *Observation) { o.ServerName = "SQL" }), never, Decision{Serve: A, Take: true}},
		{"both call themselves the same, taken",
			says(A, pA, 5, epoch(3, "a:1433"), func(o *Observation) { o.ServerName = "SQL" }), says(B, m, 5, func(o *Observation) { o.ServerName = "SQL" }), never, Decision{Serve: A}},

		{"no rights: the one that opens", says(A, RoleUnknown, 0), says(B, RoleUnknown, 0, func(o *Observation) { o.State, o.Opens = "RESTORING", false }), never, Decision{Serve: A}},
		{"plain pair, both writable, none accepted", says(A, RoleUnknown, 0), says(B, RoleUnknown, 0), never, Decision{SplitBrain: true, Reason: "serving neither"}},
		{"plain pair, both writable, one accepted", says(A, RoleUnknown, 0), says(B, RoleUnknown, 0), Accepted{Partner: B}, Decision{Serve: B, SplitBrain: true, Reason: "b stays"}},
		{"plain pair, moved", says(A, RoleUnknown, 0, silent), says(B, RoleUnknown, 0), Accepted{Partner: A}, Decision{Serve: B}},
		{"equal epochs and sequences can't be ordered", says(A, pA, 5, epoch(3, "SQLA")), says(B, pB, 5, epoch(3, "SQLB")), never, Decision{SplitBrain: true, Reason: "serving neither"}},
		{"a claim seen before the other's first is no split yet",
			says(A, pA, 5), says(B, pB, 6, func(o *Observation) { o.Since = noon.Add(time.Millisecond) }), tookA, Decision{Serve: B}},
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
		name string
		mend func(*Observation)
		want string
	}{
		{"recovering", func(o *Observation) { o.State = "RECOVERING" }, "is RECOVERING"},
		{"pending failover", func(o *Observation) { o.Mirroring = "PENDING_FAILOVER" }, "about to become the mirror"},
		{"read-only", func(o *Observation) { o.ReadOnly = true }, "read-only"},
		{"readable secondary", func(o *Observation) { o.Updateable = "READ_ONLY" }, "read-only"},
		{"single user", func(o *Observation) { o.UserAccess = "SINGLE_USER" }, "single-user"},
		{"no quorum, does not open", func(o *Observation) { o.Opens = false }, "can't be opened"},
		{"no such database", func(o *Observation) { o.Known = false }, "no such database"},
		{"an old answer", func(o *Observation) { o.GoodUntil = noon.Add(-1) }, "lately"},
	}
	for _, tt := range tests {
		d := Decide(noon, [2]Observation{says(A, RolePrincipal, 5, tt.mend), says(B, RoleMirror, 5)}, Accepted{})
		if d.Serve != "" || !strings.Contains(d.Reason, tt.want) {
			t.Errorf("%s: got %+v, want nobody, because a %s", tt.name, d, tt.want)
		}
	}
	// What a login without rights does not see refuses nothing.
	d := Decide(noon, [2]Observation{says(A, RoleUnknown, 0, func(o *Observation) { o.Updateable, o.UserAccess = "", "" }), says(B, RoleUnknown, 0, silent)}, Accepted{})
	if d.Serve != A {
		t.Errorf("unknown role: got %+v, want a", d)
	}
}
