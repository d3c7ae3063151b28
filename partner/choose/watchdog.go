package choose

import (
	"context"
	"fmt"
	"strings"
	"time"
)

// WatchdogAction is what the watchdog does.
type WatchdogAction string

const (
	WatchdogOff        WatchdogAction = "off"         // it is not enabled
	WatchdogIdle       WatchdogAction = "watch"       // the principal answers
	WatchdogWait       WatchdogAction = "wait"        // time alone may change the decision
	WatchdogBlock      WatchdogAction = "block"       // a guard is not met
	WatchdogAsk        WatchdogAction = "ask"         // every guard of our own is met: ask the observers
	WatchdogWouldForce WatchdogAction = "would-force" // it would force service, and only reports
	WatchdogForce      WatchdogAction = "force"
)

// SightingFresh is how long an observer's word counts.
const SightingMaxAge = 500 * time.Millisecond

// Situation is everything the watchdog's decision follows from.
type Situation struct {
	Config           WatchdogConfig
	Observed         [2]Observation
	UnreachableSince [2]time.Time // since when each does not answer fresh connections
	Accepted         Accepted
	serving          bool
	Synchronized     bool
	Witness          bool
	Sightings        []Sighting
	NotBefore        time.Time // a cool-down ends then
	PauseReason      string    // which one
}

// SituationOf gathers what the view gives.
func SituationOf(cfg WatchdogConfig, v View) Situation {
	return Situation{Config: cfg, Observed: v.Observed, UnreachableSince: v.UnreachableSince, Accepted: v.Accepted, serving: v.Serving,
		Synchronized: v.Synchronized, Witness: v.mirroring[0].witness || v.mirroring[1].witness}
}

// Sides gives the accepted principal's index and the other's.
func (in Situation) Sides() (principal, mirror int) {
	if in.Accepted.Partner == B {
		return 1, 0
	}
	return 0, 1
}

// DecideWatchdog says what to do, and why. It is pure. The reason names no
// time, so that it changes only with the decision.
//
// Service is forced only if the principal answers nobody: not us, on fresh
// connections, for After, nor any observer, for After; its mirror says that it
// lost its partner; no witness of SQL Server's own is there to decide; and
// nothing acknowledged can be lost, or the operator allowed that.
func DecideWatchdog(now time.Time, in Situation) (WatchdogAction, string) {
	switch {
	case !in.Config.Enabled:
		return WatchdogOff, ""
	case in.serving && in.obstacle() != "":
		return WatchdogIdle, "a principal serves; service would not be forced if it went, because " + in.obstacle()
	case in.serving:
		return WatchdogIdle, "a principal serves"
	case in.Accepted.Partner == "":
		return WatchdogBlock, "no principal was ever accepted"
	}
	for _, step := range []func(time.Time, Situation) (WatchdogAction, string){principalUnreachable, mirrorDisconnected, forceAllowed, longEnough, observersAgree} {
		if action, reason := step(now, in); action != "" {
			return action, reason
		}
	}
	p, m := in.Sides()
	reason := fmt.Sprintf("%s answers nobody, and its mirror %s has lost it", in.Observed[p].Partner, in.Observed[m].Partner)
	if in.Config.DryRun {
		return WatchdogWouldForce, reason
	}
	return WatchdogForce, reason
}

// missed asks whether the principal is out of our own reach.
func principalUnreachable(now time.Time, in Situation) (WatchdogAction, string) {
	p, _ := in.Sides()
	switch o := in.Observed[p]; {
	case o.Began.IsZero():
		return WatchdogWait, fmt.Sprintf("%s was not asked yet", in.Accepted.Partner)
	case o.Reachable:
		return WatchdogIdle, fmt.Sprintf("%s answers", o.Partner)
	case now.After(o.ValidUntil):
		return WatchdogWait, fmt.Sprintf("%s has not been asked lately", o.Partner)
	case in.UnreachableSince[p].IsZero():
		return WatchdogWait, fmt.Sprintf("%s has not been missed on a fresh connection yet", o.Partner)
	}
	return "", ""
}

// mirrorAlone asks whether the mirror is one, and says that it lost its partner.
func mirrorDisconnected(now time.Time, in Situation) (WatchdogAction, string) {
	_, m := in.Sides()
	o := in.Observed[m]
	switch {
	case o.Began.IsZero() || !o.Reachable || now.After(o.ValidUntil):
		return WatchdogBlock, "the mirror does not answer either"
	case o.Role != RoleMirror:
		return WatchdogBlock, fmt.Sprintf("%s does not say that it is the mirror", o.Partner)
	case o.Mirroring != "DISCONNECTED":
		return WatchdogBlock, fmt.Sprintf("the mirror %s is %s: it has not lost its partner", o.Partner, o.Mirroring)
	case !Agree(o.Session, in.Accepted.Session):
		return WatchdogBlock, fmt.Sprintf("%s is the mirror of another session than the last principal's", o.Partner)
	case comparableSequences(o.Session, in.Accepted.Session, o.Sequence, in.Accepted.Sequence) && o.Sequence < in.Accepted.Sequence:
		return WatchdogBlock, fmt.Sprintf("the mirror %s has not seen the last change of roles", o.Partner)
	}
	return "", ""
}

// permitted asks whether anything forbids it, whatever happens.
func forceAllowed(_ time.Time, in Situation) (WatchdogAction, string) {
	if why := in.obstacle(); why != "" {
		return WatchdogBlock, why
	}
	return "", ""
}

// obstacle is what forbids forcing service as things are set up and were last known.
func (in Situation) obstacle() string {
	switch {
	case in.Witness:
		return "SQL Server's own witness decides"
	case in.Observed[0].InGroup || in.Observed[1].InGroup || GroupSession(in.Accepted.Session):
		// Its cluster decides; without one a lost primary comes back as a primary.
		return "this is an availability group, which only an operator forces"
	}
	if in.Config.AllowDataLoss {
		return ""
	}
	var why []string
	add := func(is bool, text string) {
		if is {
			why = append(why, text)
		}
	}
	add(!in.Synchronized, "the pair was not last seen SYNCHRONIZED under FULL by both")
	add(!in.Accepted.Extended, "nothing fences the old principal on a stock schema")
	add(in.Config.Shared, "others write to the database past us")
	add(len(in.Config.Observers) == 0, "there are no observers")
	if why == nil {
		return ""
	}
	return strings.Join(why, ", ") + ", and data loss is not allowed"
}

// inTime asks whether it has lasted long enough.
func longEnough(now time.Time, in Situation) (WatchdogAction, string) {
	p, _ := in.Sides()
	switch {
	case now.Before(in.NotBefore):
		return WatchdogWait, in.PauseReason
	case now.Sub(in.UnreachableSince[p]) < in.Config.After:
		return WatchdogWait, fmt.Sprintf("%s has been gone for less than %s", in.Accepted.Partner, in.Config.After)
	}
	return "", ""
}

// observed asks whether every observer has missed the principal as long. One
// that can't be asked has not said so.
func observersAgree(now time.Time, in Situation) (WatchdogAction, string) {
	if len(in.Sightings) != len(in.Config.Observers) {
		return WatchdogAsk, ""
	}
	for _, s := range in.Sightings {
		if s.Partner != in.Accepted.Partner || now.Sub(s.At) > SightingMaxAge {
			return WatchdogAsk, ""
		}
	}
	for i, s := range in.Sightings {
		switch {
		case s.Error != "":
			return WatchdogBlock, fmt.Sprintf("observer %d can't be asked", i+1)
		case s.Reachable:
			return WatchdogBlock, fmt.Sprintf("observer %d reaches %s", i+1, s.Partner)
		}
	}
	for i, s := range in.Sightings {
		if s.Since < in.Config.After {
			return WatchdogWait, fmt.Sprintf("observer %d has missed %s for less than %s", i+1, s.Partner, in.Config.After)
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
