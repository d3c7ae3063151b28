package choose

import (
	"context"
	"fmt"
	"strings"
	"time"
)

// WatchdogAction is what the watchdog decided. Its value is shown in the status and names a counter.
type WatchdogAction string

// The actions.
const (
	WatchdogOff        WatchdogAction = "off"         // the watchdog is not enabled
	WatchdogIdle       WatchdogAction = "watch"       // the principal answers
	WatchdogWait       WatchdogAction = "wait"        // the decision may change as time passes
	WatchdogBlock      WatchdogAction = "block"       // a condition for forcing service is not met
	WatchdogAsk        WatchdogAction = "ask"         // every condition that this proxy can check is met: ask the observers
	WatchdogWouldForce WatchdogAction = "would-force" // dry run: it would force service now
	WatchdogForce      WatchdogAction = "force"       // force service on the mirror now
)

// SightingMaxAge is how long an observer's answer can be used.
const SightingMaxAge = 500 * time.Millisecond

// Situation is the input of DecideWatchdog. Arrays hold a first and b second.
type Situation struct {
	Config           WatchdogConfig
	Observed         [2]Observation // the last observation of each partner
	UnreachableSince [2]time.Time   // when each partner stopped answering new connections; zero if it answers
	Accepted         Accepted       // the last accepted principal
	serving          bool
	Synchronized     bool       // the mirror had every acknowledged commit when the principal last answered
	Witness          bool       // the mirroring session has a witness
	Sightings        []Sighting // the answers of Config.Observers, in that order
	NotBefore        time.Time  // service is not forced before this time
	PauseReason      string     // why not before that time
}

// SituationOf returns the situation that v shows. The caller adds Sightings, NotBefore and PauseReason.
func SituationOf(cfg WatchdogConfig, v View) Situation {
	return Situation{Config: cfg, Observed: v.Observed, UnreachableSince: v.UnreachableSince, Accepted: v.Accepted, serving: v.Serving,
		Synchronized: v.Synchronized, Witness: v.mirroring[0].witness || v.mirroring[1].witness}
}

// Sides returns the index of the accepted principal and that of the other partner.
func (in Situation) Sides() (principal, mirror int) {
	if in.Accepted.Partner == B {
		return 1, 0
	}
	return 0, 1
}

// DecideWatchdog returns what the watchdog does, and why. It is pure. The reason contains no time, so it
// changes only with the decision.
//
// Service is forced only if all of these hold:
//
//   - For Config.After the principal has answered neither this proxy, on new connections, nor any observer.
//   - The mirror reports that it lost its partner.
//   - The mirroring session has no witness; a witness would decide itself.
//   - No acknowledged write can be lost, or Config.AllowDataLoss is set.
func DecideWatchdog(now time.Time, in Situation) (WatchdogAction, string) {
	switch {
	case !in.Config.Enabled:
		return WatchdogOff, ""
	case in.serving && in.obstacle() != "":
		return WatchdogIdle, "a principal serves; service would not be forced if it failed, because " + in.obstacle()
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
	reason := fmt.Sprintf("%s is unreachable, and its mirror %s is disconnected from it", in.Observed[p].Partner, in.Observed[m].Partner)
	if in.Config.DryRun {
		return WatchdogWouldForce, reason
	}
	return WatchdogForce, reason
}

// principalUnreachable returns an action unless the principal does not answer, not even on a new connection.
func principalUnreachable(now time.Time, in Situation) (WatchdogAction, string) {
	p, _ := in.Sides()
	switch o := in.Observed[p]; {
	case o.Began.IsZero():
		return WatchdogWait, fmt.Sprintf("%s was not probed yet", in.Accepted.Partner)
	case o.Reachable:
		return WatchdogIdle, fmt.Sprintf("%s answers", o.Partner)
	case now.After(o.ValidUntil):
		return WatchdogWait, fmt.Sprintf("%s was not probed recently", o.Partner)
	case in.UnreachableSince[p].IsZero():
		return WatchdogWait, fmt.Sprintf("%s was not yet tried on a new connection", o.Partner)
	}
	return "", ""
}

// mirrorDisconnected returns an action unless the other partner is the mirror and reports that it lost its
// partner.
func mirrorDisconnected(now time.Time, in Situation) (WatchdogAction, string) {
	_, m := in.Sides()
	o := in.Observed[m]
	switch {
	case o.Began.IsZero() || !o.Reachable || now.After(o.ValidUntil):
		return WatchdogBlock, "the mirror does not answer either"
	case o.Role != RoleMirror:
		return WatchdogBlock, fmt.Sprintf("%s does not report that it is the mirror", o.Partner)
	case o.Mirroring != "DISCONNECTED":
		return WatchdogBlock, fmt.Sprintf("the mirror %s is %s and not DISCONNECTED", o.Partner, o.Mirroring)
	case !Agree(o.Session, in.Accepted.Session):
		return WatchdogBlock, fmt.Sprintf("%s is the mirror in another session than the last principal", o.Partner)
	case comparableSequences(o.Session, in.Accepted.Session, o.Sequence, in.Accepted.Sequence) && o.Sequence < in.Accepted.Sequence:
		return WatchdogBlock, fmt.Sprintf("the mirror %s has a lower role sequence than the last principal", o.Partner)
	}
	return "", ""
}

// forceAllowed returns an action if the configuration or the last known state forbids forcing service.
func forceAllowed(_ time.Time, in Situation) (WatchdogAction, string) {
	if why := in.obstacle(); why != "" {
		return WatchdogBlock, why
	}
	return "", ""
}

// obstacle returns why the configuration or the last known state forbids forcing service; empty if they do not.
func (in Situation) obstacle() string {
	switch {
	case in.Witness:
		return "the witness decides"
	case in.Observed[0].InGroup || in.Observed[1].InGroup || GroupSession(in.Accepted.Session):
		// The cluster decides. In a group without a cluster, a lost primary comes back as a primary.
		return "only an operator may force an availability group"
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
	add(!in.Synchronized, "the pair was not SYNCHRONIZED under FULL when the principal last answered")
	add(!in.Accepted.Extended, "a stock schema has no epoch that fences the old principal")
	add(in.Config.Shared, "other programs write to the database directly")
	add(len(in.Config.Observers) == 0, "no observers are configured")
	if why == nil {
		return ""
	}
	return strings.Join(why, ", ") + ", and data loss is not allowed"
}

// longEnough returns an action during a cool-down, and while the principal has been unreachable for less than
// After.
func longEnough(now time.Time, in Situation) (WatchdogAction, string) {
	p, _ := in.Sides()
	switch {
	case now.Before(in.NotBefore):
		return WatchdogWait, in.PauseReason
	case now.Sub(in.UnreachableSince[p]) < in.Config.After:
		return WatchdogWait, fmt.Sprintf("%s has been unreachable for less than %s", in.Accepted.Partner, in.Config.After)
	}
	return "", ""
}

// observersAgree returns an action unless every observer has missed the principal for After. An observer that
// cannot be asked does not agree.
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
			return WatchdogWait, fmt.Sprintf("observer %d has not reached %s for less than %s", i+1, s.Partner, in.Config.After)
		}
	}
	return "", ""
}

// WatchdogConfig configures the watchdog, which forces service on the mirror of a pair that has no witness.
type WatchdogConfig struct {
	Enabled bool // off by default
	DryRun  bool // decide and report, but never force service
	// After is how long the principal must be unreachable, for this proxy and for every observer. Default 10 s.
	After time.Duration
	// CoolDown is the shortest time between two forced services. Default 10 min. If Config.Memory is set, it
	// also applies across a restart.
	CoolDown time.Duration
	// AllowDataLoss permits forcing service when acknowledged writes may be lost. That is: there are no
	// observers; other programs write to the database directly; the schema is the stock one, so nothing fences
	// the old principal; or the pair was not known to be SYNCHRONIZED under FULL.
	AllowDataLoss bool
	// Shared means that other programs, such as .NET's own provider, write to the database directly and not
	// through a proxy of this pair.
	Shared bool
	// Observers are asked before service is forced. Every observer must have missed the principal for After.
	Observers []Observer
}

// Observer watches the same pair from another place. Usually it is another proxy; *partner.Pair implements it.
type Observer interface {
	// Sees reports whether the observer reaches partner n, and for how long that has been so without
	// interruption. An error means that the observer cannot be asked or does not know. Sees must return when
	// ctx ends.
	Sees(ctx context.Context, n Name) (reachable bool, since time.Duration, err error)
}

// Sighting is an observer's answer about the principal.
type Sighting struct {
	At        time.Time     `json:"at"`        // when the observer answered
	Partner   Name          `json:"partner"`   // the partner that was asked about
	Reachable bool          `json:"reachable"` // the observer reaches it
	Since     time.Duration `json:"since_ns"`  // how long that has been so
	Error     string        `json:"error"`     // why the observer could not be asked; empty if it answered
}
