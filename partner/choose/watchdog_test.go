package choose

import (
	"strings"
	"testing"
	"time"
)

// forceableSituation returns a situation in which every condition is met: a was principal, and the mirror b is
// disconnected.
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

// changeMirror changes the observation of the mirror b.
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
		{"every condition is met", nil, WatchdogForce, "a is unreachable"},
		{"dry run", []func(*Situation){func(in *Situation) { in.Config.DryRun = true }}, WatchdogWouldForce, "a is unreachable"},
		{"not enabled", []func(*Situation){func(in *Situation) { in.Config.Enabled = false }}, WatchdogOff, ""},
		{"a principal serves", []func(*Situation){func(in *Situation) { in.serving = true }}, WatchdogIdle, "serves"},
		{"the reason names an obstacle while a principal still serves", []func(*Situation){func(in *Situation) { in.serving, in.Witness = true, true }}, WatchdogIdle, "would not be forced if it failed, because the witness"},
		{"none was ever accepted", []func(*Situation){func(in *Situation) { in.Accepted = Accepted{} }}, WatchdogBlock, "ever accepted"},

		{"the principal answers with an error", []func(*Situation){func(in *Situation) { in.Observed[0].Reachable = true }}, WatchdogIdle, "a answers"},
		{"the principal was not probed yet", []func(*Situation){func(in *Situation) { in.Observed[0] = Observation{} }}, WatchdogWait, "a was not probed"},
		{"the principal was not probed recently", []func(*Situation){func(in *Situation) { in.Observed[0].ValidUntil = noon.Add(-1) }}, WatchdogWait, "recently"},
		{"unreachable on an old connection only", []func(*Situation){func(in *Situation) { in.UnreachableSince[0] = time.Time{} }}, WatchdogWait, "new connection"},
		{"unreachable for a moment less than After", []func(*Situation){func(in *Situation) { in.UnreachableSince[0] = in.UnreachableSince[0].Add(1) }}, WatchdogWait, "less than 10s"},

		{"the mirror was not probed", []func(*Situation){changeMirror(func(o *Observation) { *o = Observation{} })}, WatchdogBlock, "does not answer either"},
		{"the mirror does not answer", []func(*Situation){changeMirror(unreachable)}, WatchdogBlock, "does not answer either"},
		{"the mirror's answer is too old", []func(*Situation){changeMirror(func(o *Observation) { o.ValidUntil = noon.Add(-1) })}, WatchdogBlock, "does not answer either"},
		{"the mirror claims to be principal", []func(*Situation){changeMirror(func(o *Observation) { o.Role = RolePrincipal })}, WatchdogBlock, "does not report that it is the mirror"},
		{"the mirror's role is unknown", []func(*Situation){changeMirror(func(o *Observation) { o.Role = RoleUnknown })}, WatchdogBlock, "does not report that it is the mirror"},
		{"the mirror is connected", []func(*Situation){changeMirror(func(o *Observation) { o.Mirroring = "SYNCHRONIZED" })}, WatchdogBlock, "is SYNCHRONIZED and not DISCONNECTED"},
		{"the mirror is suspended", []func(*Situation){changeMirror(func(o *Observation) { o.Mirroring = "SUSPENDED" })}, WatchdogBlock, "is SUSPENDED"},
		{"the mirror belongs to another session", []func(*Situation){changeMirror(func(o *Observation) { o.Session = "other" })}, WatchdogBlock, "another session"},
		{"the mirror missed a failover", []func(*Situation){changeMirror(func(o *Observation) { o.Sequence = 4 })}, WatchdogBlock, "lower role sequence"},

		{"a witness exists", []func(*Situation){func(in *Situation) { in.Witness = true }}, WatchdogBlock, "the witness decides"},
		{"a witness exists, data loss allowed", []func(*Situation){allowed, func(in *Situation) { in.Witness = true }}, WatchdogBlock, "the witness decides"},
		{"was not synchronized", []func(*Situation){func(in *Situation) { in.Synchronized = false }}, WatchdogBlock, "not SYNCHRONIZED under FULL"},
		{"was not synchronized, allowed", []func(*Situation){allowed, func(in *Situation) { in.Synchronized = false }}, WatchdogForce, ""},
		{"stock schema", []func(*Situation){func(in *Situation) { in.Accepted.Extended = false }}, WatchdogBlock, "stock schema"},
		{"stock schema, allowed", []func(*Situation){allowed, func(in *Situation) { in.Accepted.Extended = false }}, WatchdogForce, ""},
		{"other programs write", []func(*Situation){func(in *Situation) { in.Config.Shared = true }}, WatchdogBlock, "other programs write"},
		{"other programs write, allowed", []func(*Situation){allowed, func(in *Situation) { in.Config.Shared = true }}, WatchdogForce, ""},
		{"no observers", []func(*Situation){func(in *Situation) { in.Config.Observers, in.Sightings = nil, nil }}, WatchdogBlock, "no observers"},
		{"no observers, allowed", []func(*Situation){allowed, func(in *Situation) { in.Config.Observers, in.Sightings = nil, nil }}, WatchdogForce, ""},
		{"two things at once", []func(*Situation){func(in *Situation) { in.Synchronized, in.Config.Shared = false, true }}, WatchdogBlock, "last answered, other programs write"},

		{"in the cool-down", []func(*Situation){func(in *Situation) { in.NotBefore, in.PauseReason = noon.Add(1), "cool-down" }}, WatchdogWait, "cool-down"},
		{"the cool-down is over", []func(*Situation){func(in *Situation) { in.NotBefore = noon }}, WatchdogForce, ""},

		{"the observers were not asked yet", []func(*Situation){func(in *Situation) { in.Sightings = nil }}, WatchdogAsk, ""},
		{"an observer's answer is too old", []func(*Situation){func(in *Situation) { in.Sightings[1].At = noon.Add(-SightingMaxAge - 1) }}, WatchdogAsk, ""},
		{"an observer answered about the other partner", []func(*Situation){func(in *Situation) { in.Sightings[0].Partner = B }}, WatchdogAsk, ""},
		{"an observer reaches the principal", []func(*Situation){func(in *Situation) { in.Sightings[1].Reachable = true }}, WatchdogBlock, "observer 2 reaches a"},
		{"an observer reaches the principal, data loss allowed", []func(*Situation){allowed, func(in *Situation) { in.Sightings[1].Reachable = true }}, WatchdogBlock, "observer 2 reaches a"},
		{"an observer can't be asked", []func(*Situation){func(in *Situation) { in.Sightings[0].Error = "refused" }}, WatchdogBlock, "observer 1 can't be asked"},
		{"an observer can't be asked, data loss allowed", []func(*Situation){allowed, func(in *Situation) { in.Sightings[0].Error = "refused" }}, WatchdogBlock, "observer 1 can't be asked"},
		{"an observer missed the principal for a moment less than After", []func(*Situation){func(in *Situation) { in.Sightings[1].Since-- }}, WatchdogWait, "observer 2 has not reached a for less"},
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

// Each combination of broken conditions is tried. Service is forced only if none is broken, except those that
// AllowDataLoss permits.
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
		second int // when the probe began; its answer is received 0.1 s later
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
		{"the mirror never answered", []answer{a(1, sync)}, false},
		{"the principal never answered", []answer{b(0, sync)}, false},
		{"the principal stops answering, then the mirror reports the disconnect", []answer{b(0, sync), a(1, sync), a(2, unreachable), b(2, state("DISCONNECTED"))}, true},
		{"the mirror reports the disconnect, then the principal is probed", []answer{b(0, sync), a(1, sync), b(2, state("DISCONNECTED")), a(3, sync), a(4, unreachable)}, false},
		{"the mirror reports the disconnect while the principal is probed", []answer{b(0, sync), a(1, sync), b(3, state("DISCONNECTED")), a(3, sync), a(4, unreachable)}, true},
		{"the principal ran exposed", []answer{b(0, sync), a(1, sync), b(2, unreachable), a(3, state("DISCONNECTED")), a(4, unreachable)}, false},
		{"synchronizing", []answer{b(0, sync), a(1, state("SYNCHRONIZING"))}, false},
		{"only the principal reports SYNCHRONIZED", []answer{b(0, state("SYNCHRONIZING")), a(1, sync)}, false},
		{"safety off", []answer{b(0, sync), a(1, func(o *Observation) { o.Safety = "OFF" })}, false},
		{"mirroring removed", []answer{b(0, sync), a(1, sync), a(2, func(o *Observation) { o.Role, o.Session, o.Mirroring = RoleUnknown, "", "" })}, false},
		{"another session", []answer{b(0, func(o *Observation) { o.Session = "old" }), a(1, sync)}, false},
		{"the principal became the mirror", []answer{b(0, sync), a(1, sync), {2, observation(A, RoleMirror, 6)}}, false},
		{"the mirror does not know the safety level", []answer{b(0, func(o *Observation) { o.Safety = "UNKNOWN" }), a(1, sync)}, true},
		{"the mirror reports OFF", []answer{b(0, func(o *Observation) { o.Safety = "OFF" }), a(1, sync)}, false},
		{"the principal does not know the safety level", []answer{b(0, sync), a(1, func(o *Observation) { o.Safety = "UNKNOWN" })}, false},
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
	// A mirror's database is not online, so its view may not show the witness.
	v := View{Accepted: Accepted{Partner: A}}
	v.noteMirroring(1, observation(B, RoleMirror, 5, func(o *Observation) { o.WitnessState = "CONNECTED" }), noon)
	v.noteMirroring(1, observation(B, RoleMirror, 5), noon)
	if !SituationOf(WatchdogConfig{}, v).Witness {
		t.Error("a NULL on the mirror removed the known witness")
	}
	v = View{Accepted: Accepted{Partner: A}}
	v.noteMirroring(0, observation(A, RolePrincipal, 5, func(o *Observation) { o.WitnessState, o.WitnessName = "UNKNOWN", "TCP://w:5022" }), noon)
	if !SituationOf(WatchdogConfig{}, v).Witness {
		t.Error("a witness in an unknown state was not counted")
	}
	v.noteMirroring(0, observation(A, RolePrincipal, 5, func(o *Observation) { o.WitnessState = "UNKNOWN" }), noon)
	if SituationOf(WatchdogConfig{}, v).Witness {
		t.Error("a removed witness is still counted")
	}
}
