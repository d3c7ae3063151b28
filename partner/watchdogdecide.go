package partner

import (
	"context"
	"fmt"
	"strings"
	"time"
)

// watchAction is what the watchdog does.
type watchAction string

const (
	watchOff   watchAction = "off"         // it is not enabled
	watchIdle  watchAction = "watch"       // the principal answers
	watchWait  watchAction = "wait"        // time alone may change the decision
	watchBlock watchAction = "block"       // a guard is not met
	watchAsk   watchAction = "ask"         // every guard of our own is met: ask the observers
	watchWould watchAction = "would-force" // it would force service, and only reports
	watchForce watchAction = "force"
)

// sightingFresh is how long an observer's word counts.
const sightingFresh = 500 * time.Millisecond

// vigil is everything the watchdog's decision follows from.
type vigil struct {
	cfg       WatchdogConfig
	obs       [2]Observation
	lost      [2]time.Time // since when each does not answer fresh connections
	accepted  Accepted
	serving   bool
	insured   bool
	witness   bool
	sightings []Sighting
	notBefore time.Time // a cool-down ends then
	pause     string    // which one
}

// vigilOf gathers what the view gives.
func vigilOf(cfg WatchdogConfig, v view) vigil {
	return vigil{cfg: cfg, obs: v.obs, lost: v.lost, accepted: v.accepted, serving: v.serving,
		insured: v.insured, witness: v.words[0].witness || v.words[1].witness}
}

// sides gives the accepted principal's index and the other's.
func (in vigil) sides() (principal, mirror int) {
	if in.accepted.Partner == B {
		return 1, 0
	}
	return 0, 1
}

// decideWatchdog says what to do, and why. It is pure. The reason names no
// time, so that it changes only with the decision.
//
// Service is forced only if the principal answers nobody: not us, on fresh
// connections, for After, nor any observer, for After; its mirror says that it
// lost its partner; no witness of SQL Server's own is there to decide; and
// nothing acknowledged can be lost, or the operator allowed that.
func decideWatchdog(now time.Time, in vigil) (watchAction, string) {
	switch {
	case !in.cfg.Enabled:
		return watchOff, ""
	case in.serving && in.obstacle() != "":
		return watchIdle, "a principal serves; service would not be forced if it went, because " + in.obstacle()
	case in.serving:
		return watchIdle, "a principal serves"
	case in.accepted.Partner == "":
		return watchBlock, "no principal was ever accepted"
	}
	for _, step := range []func(time.Time, vigil) (watchAction, string){missed, mirrorAlone, permitted, inTime, observed} {
		if action, reason := step(now, in); action != "" {
			return action, reason
		}
	}
	p, m := in.sides()
	reason := fmt.Sprintf("%s answers nobody, and its mirror %s has lost it", in.obs[p].Partner, in.obs[m].Partner)
	if in.cfg.DryRun {
		return watchWould, reason
	}
	return watchForce, reason
}

// missed asks whether the principal is out of our own reach.
func missed(now time.Time, in vigil) (watchAction, string) {
	p, _ := in.sides()
	switch o := in.obs[p]; {
	case o.Began.IsZero():
		return watchWait, fmt.Sprintf("%s was not asked yet", in.accepted.Partner)
	case o.Reachable:
		return watchIdle, fmt.Sprintf("%s answers", o.Partner)
	case now.After(o.GoodUntil):
		return watchWait, fmt.Sprintf("%s has not been asked lately", o.Partner)
	case in.lost[p].IsZero():
		return watchWait, fmt.Sprintf("%s has not been missed on a fresh connection yet", o.Partner)
	}
	return "", ""
}

// mirrorAlone asks whether the mirror is one, and says that it lost its partner.
func mirrorAlone(now time.Time, in vigil) (watchAction, string) {
	_, m := in.sides()
	o := in.obs[m]
	switch {
	case o.Began.IsZero() || !o.Reachable || now.After(o.GoodUntil):
		return watchBlock, "the mirror does not answer either"
	case o.Role != RoleMirror:
		return watchBlock, fmt.Sprintf("%s does not say that it is the mirror", o.Partner)
	case o.Mirroring != "DISCONNECTED":
		return watchBlock, fmt.Sprintf("the mirror %s is %s: it has not lost its partner", o.Partner, o.Mirroring)
	case !agree(o.Session, in.accepted.Session):
		return watchBlock, fmt.Sprintf("%s is the mirror of another session than the last principal's", o.Partner)
	case sameCount(o.Session, in.accepted.Session, o.Sequence, in.accepted.Sequence) && o.Sequence < in.accepted.Sequence:
		return watchBlock, fmt.Sprintf("the mirror %s has not seen the last change of roles", o.Partner)
	}
	return "", ""
}

// permitted asks whether anything forbids it, whatever happens.
func permitted(_ time.Time, in vigil) (watchAction, string) {
	if why := in.obstacle(); why != "" {
		return watchBlock, why
	}
	return "", ""
}

// obstacle is what forbids forcing service as things are set up and were last known.
func (in vigil) obstacle() string {
	switch {
	case in.witness:
		return "SQL Server's own witness decides"
	case in.obs[0].Grouped || in.obs[1].Grouped || groupSession(in.accepted.Session):
		// Its cluster decides; without one a lost primary comes back as a primary.
		return "this is an availability group, which only an operator forces"
	}
	if in.cfg.AllowDataLoss {
		return ""
	}
	var why []string
	add := func(is bool, text string) {
		if is {
			why = append(why, text)
		}
	}
	add(!in.insured, "the pair was not last seen SYNCHRONIZED under FULL by both")
	add(!in.accepted.Extended, "nothing fences the old principal on a stock schema")
	add(in.cfg.Shared, "others write to the database past us")
	add(len(in.cfg.Observers) == 0, "there are no observers")
	if why == nil {
		return ""
	}
	return strings.Join(why, ", ") + ", and data loss is not allowed"
}

// inTime asks whether it has lasted long enough.
func inTime(now time.Time, in vigil) (watchAction, string) {
	p, _ := in.sides()
	switch {
	case now.Before(in.notBefore):
		return watchWait, in.pause
	case now.Sub(in.lost[p]) < in.cfg.After:
		return watchWait, fmt.Sprintf("%s has been gone for less than %s", in.accepted.Partner, in.cfg.After)
	}
	return "", ""
}

// observed asks whether every observer has missed the principal as long. One
// that can't be asked has not said so.
func observed(now time.Time, in vigil) (watchAction, string) {
	if len(in.sightings) != len(in.cfg.Observers) {
		return watchAsk, ""
	}
	for _, s := range in.sightings {
		if s.Partner != in.accepted.Partner || now.Sub(s.At) > sightingFresh {
			return watchAsk, ""
		}
	}
	for i, s := range in.sightings {
		switch {
		case s.Error != "":
			return watchBlock, fmt.Sprintf("observer %d can't be asked", i+1)
		case s.Reachable:
			return watchBlock, fmt.Sprintf("observer %d reaches %s", i+1, s.Partner)
		}
	}
	for i, s := range in.sightings {
		if s.Since < in.cfg.After {
			return watchWait, fmt.Sprintf("observer %d has missed %s for less than %s", i+1, s.Partner, in.cfg.After)
		}
	}
	return "", ""
}

// WatchdogConfig says whether, when and how surely this proxy forces service
// on the mirror of a pair that has no witness of SQL Server's own.
type WatchdogConfig struct {
	Enabled bool // off by default
	DryRun  bool // decide and report, and force nothing
	// After is how long the principal must be gone, for us and for every
	// observer. Default 10 s.
	After time.Duration
	// CoolDown is the least time between two forced services. Default 10 min.
	// With Config.Memory it is kept over a restart.
	CoolDown time.Duration
	// AllowDataLoss permits forcing where acknowledged writes may be lost:
	// without observers, while others write past us, on a stock schema (nothing
	// fences them there), or when the pair was not known to be SYNCHRONIZED
	// under FULL before.
	AllowDataLoss bool
	// Shared says that others, such as .NET's own provider, write to the
	// database past this proxy and its fellows.
	Shared bool
	// Observers are asked for their view before anything is forced; every one
	// of them must have missed the principal for After.
	Observers []Observer
}

// Observer is somebody else who watches the same pair from another place,
// usually another proxy. A *Pair is one itself.
type Observer interface {
	// Sees says whether the observer reaches the named partner, and for how long
	// that has been so without a break. An error means that it can't be asked, or
	// can't tell. It must end with ctx.
	Sees(ctx context.Context, n Name) (reachable bool, since time.Duration, err error)
}

// Sighting is an observer's answer about the principal.
type Sighting struct {
	At        time.Time     `json:"at"` // when it answered
	Partner   Name          `json:"partner"`
	Reachable bool          `json:"reachable"`
	Since     time.Duration `json:"since_ns"`
	Error     string        `json:"error"` // why it could not be asked; empty: it answered
}
