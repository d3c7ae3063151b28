package choose

import (
	"strings"
	"testing"
	"time"
)

// gone is a vigil in which every guard is met: a was principal, b is left alone.
func forceableSituation() Situation {
	in := Situation{
		Config: WatchdogConfig{Enabled: true, After: 10 * time.Second, CoolDown: time.Minute, Observers: []Observer{nil, nil}},
		Observed: [2]Observation{
			observation(A, RoleUnknown, 0, unreachable),
			observation(B, RoleMirror, 5, func(o *Observation) { o.Mirroring = "DISCONNECTED" }),
		},
		UnreachableSince: [2]time.Time{noon.Add(-10 * time.Second), {}},
		Accepted:         Accepted{Partner: A, Extended: true, Epoch: 3, Sequence: 5, Session: "guid"},
		Synchronized:     true,
	}
	for range in.Config.Observers {
		in.Sightings = append(in.Sightings, Sighting{At: noon, Partner: A, Since: 10 * time.Second})
	}
	return in
}

// mirror changes what b says.
func changeMirror(changes func(*Observation)) func(*Situation) {
	return func(in *Situation) { changes(&in.Observed[1]) }
}

func TestDecideWatchdog(t *testing.T) {
	allowed := func(in *Situation) { in.Config.AllowDataLoss = true }
	tests := []struct {
		name   string
		change []func(*Situation)
		want   WatchdogAction
		reason string
	}{
		{"every guard is met", nil, WatchdogForce, "a answers nobody"},
		{"dry run", []func(*Situation){func(in *Situation) { in.Config.DryRun = true }}, WatchdogWouldForce, "a answers nobody"},
		{"not enabled", []func(*Situation){func(in *Situation) { in.Config.Enabled = false }}, WatchdogOff, ""},
		{"a principal serves", []func(*Situation){func(in *Situation) { in.serving = true }}, WatchdogIdle, "serves"},
		{"it tells in time what would be in its way", []func(*Situation){func(in *Situation) { in.serving, in.Witness = true, true }}, WatchdogIdle, "would not be forced if it went, because SQL Server's own witness"},
		{"none was ever accepted", []func(*Situation){func(in *Situation) { in.Accepted = Accepted{} }}, WatchdogBlock, "ever accepted"},

		{"it answers, if only to refuse", []func(*Situation){func(in *Situation) { in.Observed[0].Reachable = true }}, WatchdogIdle, "a answers"},
		{"it was not asked yet", []func(*Situation){func(in *Situation) { in.Observed[0] = Observation{} }}, WatchdogWait, "a was not asked"},
		{"not asked lately", []func(*Situation){func(in *Situation) { in.Observed[0].ValidUntil = noon.Add(-1) }}, WatchdogWait, "lately"},
		{"missed on a parked connection only", []func(*Situation){func(in *Situation) { in.UnreachableSince[0] = time.Time{} }}, WatchdogWait, "fresh connection"},
		{"gone for a moment less", []func(*Situation){func(in *Situation) { in.UnreachableSince[0] = in.UnreachableSince[0].Add(1) }}, WatchdogWait, "less than 10s"},

		{"the mirror was not asked", []func(*Situation){changeMirror(func(o *Observation) { *o = Observation{} })}, WatchdogBlock, "does not answer either"},
		{"the mirror is silent", []func(*Situation){changeMirror(unreachable)}, WatchdogBlock, "does not answer either"},
		{"the mirror's word is old", []func(*Situation){changeMirror(func(o *Observation) { o.ValidUntil = noon.Add(-1) })}, WatchdogBlock, "does not answer either"},
		{"it claims to be principal", []func(*Situation){changeMirror(func(o *Observation) { o.Role = RolePrincipal })}, WatchdogBlock, "does not say that it is the mirror"},
		{"its role is unknown", []func(*Situation){changeMirror(func(o *Observation) { o.Role = RoleUnknown })}, WatchdogBlock, "does not say that it is the mirror"},
		{"it is connected", []func(*Situation){changeMirror(func(o *Observation) { o.Mirroring = "SYNCHRONIZED" })}, WatchdogBlock, "is SYNCHRONIZED: it has not lost"},
		{"it is suspended", []func(*Situation){changeMirror(func(o *Observation) { o.Mirroring = "SUSPENDED" })}, WatchdogBlock, "is SUSPENDED"},
		{"of another session", []func(*Situation){changeMirror(func(o *Observation) { o.Session = "other" })}, WatchdogBlock, "another session"},
		{"it slept through a failover", []func(*Situation){changeMirror(func(o *Observation) { o.Sequence = 4 })}, WatchdogBlock, "last change of roles"},

		{"a witness is there", []func(*Situation){func(in *Situation) { in.Witness = true }}, WatchdogBlock, "witness decides"},
		{"a witness is there, data loss allowed", []func(*Situation){allowed, func(in *Situation) { in.Witness = true }}, WatchdogBlock, "witness decides"},
		{"was not synchronized", []func(*Situation){func(in *Situation) { in.Synchronized = false }}, WatchdogBlock, "not last seen SYNCHRONIZED"},
		{"was not synchronized, allowed", []func(*Situation){allowed, func(in *Situation) { in.Synchronized = false }}, WatchdogForce, ""},
		{"stock schema", []func(*Situation){func(in *Situation) { in.Accepted.Extended = false }}, WatchdogBlock, "stock schema"},
		{"stock schema, allowed", []func(*Situation){allowed, func(in *Situation) { in.Accepted.Extended = false }}, WatchdogForce, ""},
		{"others write", []func(*Situation){func(in *Situation) { in.Config.Shared = true }}, WatchdogBlock, "others write"},
		{"others write, allowed", []func(*Situation){allowed, func(in *Situation) { in.Config.Shared = true }}, WatchdogForce, ""},
		{"no observers", []func(*Situation){func(in *Situation) { in.Config.Observers, in.Sightings = nil, nil }}, WatchdogBlock, "no observers"},
		{"no observers, allowed", []func(*Situation){allowed, func(in *Situation) { in.Config.Observers, in.Sightings = nil, nil }}, WatchdogForce, ""},
		{"two things at once", []func(*Situation){func(in *Situation) { in.Synchronized, in.Config.Shared = false, true }}, WatchdogBlock, "by both, others write"},

		{"in the cool-down", []func(*Situation){func(in *Situation) { in.NotBefore, in.PauseReason = noon.Add(1), "cool-down" }}, WatchdogWait, "cool-down"},
		{"the cool-down is over", []func(*Situation){func(in *Situation) { in.NotBefore = noon }}, WatchdogForce, ""},

		{"observers not asked yet", []func(*Situation){func(in *Situation) { in.Sightings = nil }}, WatchdogAsk, ""},
		{"an observer's word is old", []func(*Situation){func(in *Situation) { in.Sightings[1].At = noon.Add(-SightingMaxAge - 1) }}, WatchdogAsk, ""},
		{"it was about the other", []func(*Situation){func(in *Situation) { in.Sightings[0].Partner = B }}, WatchdogAsk, ""},
		{"an observer reaches it", []func(*Situation){func(in *Situation) { in.Sightings[1].Reachable = true }}, WatchdogBlock, "observer 2 reaches a"},
		{"an observer reaches it, data loss allowed", []func(*Situation){allowed, func(in *Situation) { in.Sightings[1].Reachable = true }}, WatchdogBlock, "observer 2 reaches a"},
		{"an observer can't be asked", []func(*Situation){func(in *Situation) { in.Sightings[0].Error = "refused" }}, WatchdogBlock, "observer 1 can't be asked"},
		{"an observer can't be asked, data loss allowed", []func(*Situation){allowed, func(in *Situation) { in.Sightings[0].Error = "refused" }}, WatchdogBlock, "observer 1 can't be asked"},
		{"an observer missed it a moment less", []func(*Situation){func(in *Situation) { in.Sightings[1].Since-- }}, WatchdogWait, "observer 2 has missed a for less"},
	}
	for _, tt := range tests {
		in := forceableSituation()
		for _, m := range tt.change {
			m(&in)
		}
		action, reason := DecideWatchdog(noon, in)
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
		do       func(*Situation)
	}{
		{false, func(in *Situation) { in.Config.Enabled = false }},
		{false, func(in *Situation) { in.serving = true }},
		{false, func(in *Situation) { in.Observed[0].Reachable = true }},
		{false, func(in *Situation) { in.UnreachableSince[0] = time.Time{} }},
		{false, func(in *Situation) { in.Observed[1].Mirroring = "SYNCHRONIZED" }},
		{false, func(in *Situation) { in.Observed[1].Role = RolePrincipal }},
		{false, func(in *Situation) { in.Witness = true }},
		{false, func(in *Situation) { in.NotBefore = noon.Add(time.Second) }},
		{false, func(in *Situation) { in.Sightings[0].Reachable = true }},
		{false, func(in *Situation) { in.Sightings[1].Error = "refused" }},
		{false, func(in *Situation) { in.Config.DryRun = true }},
		{true, func(in *Situation) { in.Synchronized = false }},
		{true, func(in *Situation) { in.Accepted.Extended = false }},
		{true, func(in *Situation) { in.Config.Shared = true }},
	}
	for allow := range 2 {
		for set := range 1 << len(breaks) {
			in, want := forceableSituation(), true
			in.Config.AllowDataLoss = allow == 1
			for i, b := range breaks {
				if set&(1<<i) != 0 {
					b.do(&in)
					want = want && b.forgiven && allow == 1
				}
			}
			if action, reason := DecideWatchdog(noon, in); (action == WatchdogForce) != want {
				t.Fatalf("allow %d, broken %b: %s %q", allow, set, action, reason)
			}
		}
	}
}

func TestView_Synchronized(t *testing.T) {
	at := func(s int) time.Time { return noon.Add(time.Duration(s) * time.Second) }
	type answer struct {
		second int // when it was asked; it is heard a tenth later
		o      Observation
	}
	sync := func(*Observation) {}
	state := func(s string) func(*Observation) { return func(o *Observation) { o.Mirroring = s } }
	a := func(s int, m func(*Observation)) answer { return answer{s, observation(A, RolePrincipal, 5, m)} }
	b := func(s int, m func(*Observation)) answer { return answer{s, observation(B, RoleMirror, 5, m)} }
	tests := []struct {
		name string
		row  []answer
		want bool
	}{
		{"both synchronized", []answer{b(0, sync), a(1, sync)}, true},
		{"the mirror was never heard", []answer{a(1, sync)}, false},
		{"the principal was never heard", []answer{b(0, sync)}, false},
		{"the principal goes, then the mirror loses it", []answer{b(0, sync), a(1, sync), a(2, unreachable), b(2, state("DISCONNECTED"))}, true},
		{"the mirror loses it first, and it is asked after that", []answer{b(0, sync), a(1, sync), b(2, state("DISCONNECTED")), a(3, sync), a(4, unreachable)}, false},
		{"the mirror loses it while it is being asked", []answer{b(0, sync), a(1, sync), b(3, state("DISCONNECTED")), a(3, sync), a(4, unreachable)}, true},
		{"the principal ran exposed", []answer{b(0, sync), a(1, sync), b(2, unreachable), a(3, state("DISCONNECTED")), a(4, unreachable)}, false},
		{"synchronizing", []answer{b(0, sync), a(1, state("SYNCHRONIZING"))}, false},
		{"the mirror catches up, by the principal's word", []answer{b(0, state("SYNCHRONIZING")), a(1, sync)}, false},
		{"safety off", []answer{b(0, sync), a(1, func(o *Observation) { o.Safety = "OFF" })}, false},
		{"mirroring removed", []answer{b(0, sync), a(1, sync), a(2, func(o *Observation) { o.Role, o.Session, o.Mirroring = RoleUnknown, "", "" })}, false},
		{"another session", []answer{b(0, func(o *Observation) { o.Session = "old" }), a(1, sync)}, false},
		{"it became the mirror", []answer{b(0, sync), a(1, sync), {2, observation(A, RoleMirror, 6)}}, false},
		{"the mirror does not know the safety level", []answer{b(0, func(o *Observation) { o.Safety = "UNKNOWN" }), a(1, sync)}, true},
		{"the mirror says OFF", []answer{b(0, func(o *Observation) { o.Safety = "OFF" }), a(1, sync)}, false},
		{"the principal does not know it", []answer{b(0, sync), a(1, func(o *Observation) { o.Safety = "UNKNOWN" })}, false},
		{"resynchronized", []answer{b(0, sync), a(1, state("SYNCHRONIZING")), b(2, sync), a(3, sync)}, true},
	}
	for _, tt := range tests {
		v := View{Accepted: Accepted{Partner: A}}
		for _, x := range tt.row {
			i := 0
			if x.o.Partner == B {
				i = 1
			}
			x.o.Began = at(x.second)
			v.noteMirroring(i, x.o, at(x.second).Add(100*time.Millisecond))
		}
		if v.Synchronized != tt.want {
			t.Errorf("%s: %v", tt.name, v.Synchronized)
		}
	}
	// A mirror's database is not online, and its view may not tell of a witness.
	v := View{Accepted: Accepted{Partner: A}}
	v.noteMirroring(1, observation(B, RoleMirror, 5, func(o *Observation) { o.WitnessState = "CONNECTED" }), noon)
	v.noteMirroring(1, observation(B, RoleMirror, 5), noon)
	if !SituationOf(WatchdogConfig{}, v).Witness {
		t.Error("a mirror's silence took the witness away")
	}
	v = View{Accepted: Accepted{Partner: A}}
	v.noteMirroring(0, observation(A, RolePrincipal, 5, func(o *Observation) { o.WitnessState, o.WitnessName = "UNKNOWN", "TCP://w:5022" }), noon)
	if !SituationOf(WatchdogConfig{}, v).Witness {
		t.Error("a witness in an unknown state is none")
	}
	v.noteMirroring(0, observation(A, RolePrincipal, 5, func(o *Observation) { o.WitnessState = "UNKNOWN" }), noon)
	if SituationOf(WatchdogConfig{}, v).Witness {
		t.Error("a witness that was taken away is there")
	}
}
