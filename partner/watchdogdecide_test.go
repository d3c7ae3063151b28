package partner

import (
	"strings"
	"testing"
	"time"
)

// gone is a vigil in which every guard is met: a was principal, b is left alone.
func goneVigil() vigil {
	in := vigil{
		cfg: WatchdogConfig{Enabled: true, After: 10 * time.Second, CoolDown: time.Minute, Observers: []Observer{nil, nil}},
		obs: [2]Observation{
			says(A, RoleUnknown, 0, silent),
			says(B, RoleMirror, 5, func(o *Observation) { o.Mirroring = "DISCONNECTED" }),
		},
		lost:     [2]time.Time{noon.Add(-10 * time.Second), {}},
		accepted: Accepted{Partner: A, Extended: true, Epoch: 3, Sequence: 5, Session: "guid"},
		insured:  true,
	}
	for range in.cfg.Observers {
		in.sightings = append(in.sightings, Sighting{At: noon, Partner: A, Since: 10 * time.Second})
	}
	return in
}

// mirror changes what b says.
func mirrorSays(mend func(*Observation)) func(*vigil) { return func(in *vigil) { mend(&in.obs[1]) } }

func TestDecideWatchdog(t *testing.T) {
	allowed := func(in *vigil) { in.cfg.AllowDataLoss = true }
	tests := []struct {
		name   string
		mend   []func(*vigil)
		want   watchAction
		reason string
	}{
		{"every guard is met", nil, watchForce, "a answers nobody"},
		{"dry run", []func(*vigil){func(in *vigil) { in.cfg.DryRun = true }}, watchWould, "a answers nobody"},
		{"not enabled", []func(*vigil){func(in *vigil) { in.cfg.Enabled = false }}, watchOff, ""},
		{"a principal serves", []func(*vigil){func(in *vigil) { in.serving = true }}, watchIdle, "serves"},
		{"it tells in time what would be in its way", []func(*vigil){func(in *vigil) { in.serving, in.witness = true, true }}, watchIdle, "would not be forced if it went, because SQL Server's own witness"},
		{"none was ever accepted", []func(*vigil){func(in *vigil) { in.accepted = Accepted{} }}, watchBlock, "ever accepted"},

		{"it answers, if only to refuse", []func(*vigil){func(in *vigil) { in.obs[0].Reachable = true }}, watchIdle, "a answers"},
		{"it was not asked yet", []func(*vigil){func(in *vigil) { in.obs[0] = Observation{} }}, watchWait, "a was not asked"},
		{"not asked lately", []func(*vigil){func(in *vigil) { in.obs[0].GoodUntil = noon.Add(-1) }}, watchWait, "lately"},
		{"missed on a parked connection only", []func(*vigil){func(in *vigil) { in.lost[0] = time.Time{} }}, watchWait, "fresh connection"},
		{"gone for a moment less", []func(*vigil){func(in *vigil) { in.lost[0] = in.lost[0].Add(1) }}, watchWait, "less than 10s"},

		{"the mirror was not asked", []func(*vigil){mirrorSays(func(o *Observation) { *o = Observation{} })}, watchBlock, "does not answer either"},
		{"the mirror is silent", []func(*vigil){mirrorSays(silent)}, watchBlock, "does not answer either"},
		{"the mirror's word is old", []func(*vigil){mirrorSays(func(o *Observation) { o.GoodUntil = noon.Add(-1) })}, watchBlock, "does not answer either"},
		{"it claims to be principal", []func(*vigil){mirrorSays(func(o *Observation) { o.Role = RolePrincipal })}, watchBlock, "does not say that it is the mirror"},
		{"its role is unknown", []func(*vigil){mirrorSays(func(o *Observation) { o.Role = RoleUnknown })}, watchBlock, "does not say that it is the mirror"},
		{"it is connected", []func(*vigil){mirrorSays(func(o *Observation) { o.Mirroring = "SYNCHRONIZED" })}, watchBlock, "is SYNCHRONIZED: it has not lost"},
		{"it is suspended", []func(*vigil){mirrorSays(func(o *Observation) { o.Mirroring = "SUSPENDED" })}, watchBlock, "is SUSPENDED"},
		{"of another session", []func(*vigil){mirrorSays(func(o *Observation) { o.Session = "other" })}, watchBlock, "another session"},
		{"it slept through a failover", []func(*vigil){mirrorSays(func(o *Observation) { o.Sequence = 4 })}, watchBlock, "last change of roles"},

		{"a witness is there", []func(*vigil){func(in *vigil) { in.witness = true }}, watchBlock, "witness decides"},
		{"a witness is there, data loss allowed", []func(*vigil){allowed, func(in *vigil) { in.witness = true }}, watchBlock, "witness decides"},
		{"was not synchronized", []func(*vigil){func(in *vigil) { in.insured = false }}, watchBlock, "not last seen SYNCHRONIZED"},
		{"was not synchronized, allowed", []func(*vigil){allowed, func(in *vigil) { in.insured = false }}, watchForce, ""},
		{"stock schema", []func(*vigil){func(in *vigil) { in.accepted.Extended = false }}, watchBlock, "stock schema"},
		{"stock schema, allowed", []func(*vigil){allowed, func(in *vigil) { in.accepted.Extended = false }}, watchForce, ""},
		{"others write", []func(*vigil){func(in *vigil) { in.cfg.Shared = true }}, watchBlock, "others write"},
		{"others write, allowed", []func(*vigil){allowed, func(in *vigil) { in.cfg.Shared = true }}, watchForce, ""},
		{"no observers", []func(*vigil){func(in *vigil) { in.cfg.Observers, in.sightings = nil, nil }}, watchBlock, "no observers"},
		{"no observers, allowed", []func(*vigil){allowed, func(in *vigil) { in.cfg.Observers, in.sightings = nil, nil }}, watchForce, ""},
		{"two things at once", []func(*vigil){func(in *vigil) { in.insured, in.cfg.Shared = false, true }}, watchBlock, "by both, others write"},

		{"in the cool-down", []func(*vigil){func(in *vigil) { in.notBefore, in.pause = noon.Add(1), "cool-down" }}, watchWait, "cool-down"},
		{"the cool-down is over", []func(*vigil){func(in *vigil) { in.notBefore = noon }}, watchForce, ""},

		{"observers not asked yet", []func(*vigil){func(in *vigil) { in.sightings = nil }}, watchAsk, ""},
		{"an observer's word is old", []func(*vigil){func(in *vigil) { in.sightings[1].At = noon.Add(-sightingFresh - 1) }}, watchAsk, ""},
		{"it was about the other", []func(*vigil){func(in *vigil) { in.sightings[0].Partner = B }}, watchAsk, ""},
		{"an observer reaches it", []func(*vigil){func(in *vigil) { in.sightings[1].Reachable = true }}, watchBlock, "observer 2 reaches a"},
		{"an observer reaches it, data loss allowed", []func(*vigil){allowed, func(in *vigil) { in.sightings[1].Reachable = true }}, watchBlock, "observer 2 reaches a"},
		{"an observer can't be asked", []func(*vigil){func(in *vigil) { in.sightings[0].Error = "refused" }}, watchBlock, "observer 1 can't be asked"},
		{"an observer can't be asked, data loss allowed", []func(*vigil){allowed, func(in *vigil) { in.sightings[0].Error = "refused" }}, watchBlock, "observer 1 can't be asked"},
		{"an observer missed it a moment less", []func(*vigil){func(in *vigil) { in.sightings[1].Since-- }}, watchWait, "observer 2 has missed a for less"},
	}
	for _, tt := range tests {
		in := goneVigil()
		for _, m := range tt.mend {
			m(&in)
		}
		action, reason := decideWatchdog(noon, in)
		if action != tt.want || !strings.Contains(reason, tt.reason) {
			t.Errorf("%s: %s, %q; want %s, %q", tt.name, action, reason, tt.want, tt.reason)
		}
	}
}

// TestDecideWatchdog_EveryCombination breaks every set of guards: service is
// forced only where none is broken, but for those an allowed loss makes good.
func TestDecideWatchdog_EveryCombination(t *testing.T) {
	breaks := []struct {
		forgiven bool // by AllowDataLoss
		do       func(*vigil)
	}{
		{false, func(in *vigil) { in.cfg.Enabled = false }},
		{false, func(in *vigil) { in.serving = true }},
		{false, func(in *vigil) { in.obs[0].Reachable = true }},
		{false, func(in *vigil) { in.lost[0] = time.Time{} }},
		{false, func(in *vigil) { in.obs[1].Mirroring = "SYNCHRONIZED" }},
		{false, func(in *vigil) { in.obs[1].Role = RolePrincipal }},
		{false, func(in *vigil) { in.witness = true }},
		{false, func(in *vigil) { in.notBefore = noon.Add(time.Second) }},
		{false, func(in *vigil) { in.sightings[0].Reachable = true }},
		{false, func(in *vigil) { in.sightings[1].Error = "refused" }},
		{false, func(in *vigil) { in.cfg.DryRun = true }},
		{true, func(in *vigil) { in.insured = false }},
		{true, func(in *vigil) { in.accepted.Extended = false }},
		{true, func(in *vigil) { in.cfg.Shared = true }},
	}
	for allow := range 2 {
		for set := range 1 << len(breaks) {
			in, want := goneVigil(), true
			in.cfg.AllowDataLoss = allow == 1
			for i, b := range breaks {
				if set&(1<<i) != 0 {
					b.do(&in)
					want = want && b.forgiven && allow == 1
				}
			}
			if action, reason := decideWatchdog(noon, in); (action == watchForce) != want {
				t.Fatalf("allow %d, broken %b: %s %q", allow, set, action, reason)
			}
		}
	}
}

func TestInsure(t *testing.T) {
	at := func(s int) time.Time { return noon.Add(time.Duration(s) * time.Second) }
	type answer struct {
		second int // when it was asked; it is heard a tenth later
		o      Observation
	}
	sync := func(*Observation) {}
	state := func(s string) func(*Observation) { return func(o *Observation) { o.Mirroring = s } }
	a := func(s int, m func(*Observation)) answer { return answer{s, says(A, RolePrincipal, 5, m)} }
	b := func(s int, m func(*Observation)) answer { return answer{s, says(B, RoleMirror, 5, m)} }
	tests := []struct {
		name string
		row  []answer
		want bool
	}{
		{"both synchronized", []answer{b(0, sync), a(1, sync)}, true},
		{"the mirror was never heard", []answer{a(1, sync)}, false},
		{"the principal was never heard", []answer{b(0, sync)}, false},
		{"the principal goes, then the mirror loses it", []answer{b(0, sync), a(1, sync), a(2, silent), b(2, state("DISCONNECTED"))}, true},
		{"the mirror loses it first, and it is asked after that", []answer{b(0, sync), a(1, sync), b(2, state("DISCONNECTED")), a(3, sync), a(4, silent)}, false},
		{"the mirror loses it while it is being asked", []answer{b(0, sync), a(1, sync), b(3, state("DISCONNECTED")), a(3, sync), a(4, silent)}, true},
		{"the principal ran exposed", []answer{b(0, sync), a(1, sync), b(2, silent), a(3, state("DISCONNECTED")), a(4, silent)}, false},
		{"synchronizing", []answer{b(0, sync), a(1, state("SYNCHRONIZING"))}, false},
		{"the mirror catches up, by the principal's word", []answer{b(0, state("SYNCHRONIZING")), a(1, sync)}, false},
		{"safety off", []answer{b(0, sync), a(1, func(o *Observation) { o.Safety = "OFF" })}, false},
		{"mirroring removed", []answer{b(0, sync), a(1, sync), a(2, func(o *Observation) { o.Role, o.Session, o.Mirroring = RoleUnknown, "", "" })}, false},
		{"another session", []answer{b(0, func(o *Observation) { o.Session = "old" }), a(1, sync)}, false},
		{"it became the mirror", []answer{b(0, sync), a(1, sync), {2, says(A, RoleMirror, 6)}}, false},
		{"the mirror does not know the safety level", []answer{b(0, func(o *Observation) { o.Safety = "UNKNOWN" }), a(1, sync)}, true},
		{"the mirror says OFF", []answer{b(0, func(o *Observation) { o.Safety = "OFF" }), a(1, sync)}, false},
		{"the principal does not know it", []answer{b(0, sync), a(1, func(o *Observation) { o.Safety = "UNKNOWN" })}, false},
		{"resynchronized", []answer{b(0, sync), a(1, state("SYNCHRONIZING")), b(2, sync), a(3, sync)}, true},
	}
	for _, tt := range tests {
		v := view{accepted: Accepted{Partner: A}}
		for _, x := range tt.row {
			i := 0
			if x.o.Partner == B {
				i = 1
			}
			x.o.Began = at(x.second)
			v.insure(i, x.o, at(x.second).Add(100*time.Millisecond))
		}
		if v.insured != tt.want {
			t.Errorf("%s: %v", tt.name, v.insured)
		}
	}
	// A mirror's database is not online, and its view may not tell of a witness.
	v := view{accepted: Accepted{Partner: A}}
	v.insure(1, says(B, RoleMirror, 5, func(o *Observation) { o.WitnessState = "CONNECTED" }), noon)
	v.insure(1, says(B, RoleMirror, 5), noon)
	if !vigilOf(WatchdogConfig{}, v).witness {
		t.Error("a mirror's silence took the witness away")
	}
	v = view{accepted: Accepted{Partner: A}}
	v.insure(0, says(A, RolePrincipal, 5, func(o *Observation) { o.WitnessState, o.WitnessName = "UNKNOWN", "TCP://w:5022" }), noon)
	if !vigilOf(WatchdogConfig{}, v).witness {
		t.Error("a witness in an unknown state is none")
	}
	v.insure(0, says(A, RolePrincipal, 5, func(o *Observation) { o.WitnessState = "UNKNOWN" }), noon)
	if vigilOf(WatchdogConfig{}, v).witness {
		t.Error("a witness that was taken away is there")
	}
}
