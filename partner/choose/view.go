package choose

import (
	"fmt"
	"strings"
	"time"
)

// View is what is known about both partners, and the last decision. Arrays hold a first and b second. The zero
// value means that nothing is known yet. With returns a changed copy, so a copy can be read without a lock.
type View struct {
	Observed [2]Observation   // the last observation of each partner
	Seen     [2]time.Time     // when each partner last answered; zero if never
	Latency  [2]time.Duration // round trip of the last answered probe
	Accepted Accepted         // the last accepted principal
	Decision Decision         // what followed from Observed and Accepted
	Serving  bool             // the chosen partner was accepted and may get calls

	reachableSince   [2]time.Time // when each partner began to answer every probe; zero if it does not answer
	UnreachableSince [2]time.Time // when the first new connection failed after the last answer; zero if probes are answered
	Claims           [2]Claim     // both claims during a split brain
	Fenced           [2]string    // why each partner's claim is ignored, as the counters name it; empty if it is not ignored

	mirroring    [2]mirroringReport // what each partner last reported about the mirroring session
	Synchronized bool               // the mirror had every acknowledged commit when the principal last answered
}

// With returns the view after the observation o of partner i. It keeps the decision and the accepted principal.
func (v View) With(i int, o Observation, now time.Time) View {
	was := v.Observed[i]
	if o.ConfirmedByCalls && o.Partner == v.Accepted.Partner && was.Refusal(now) == "" {
		return v.confirmed(i, o, now)
	}
	o.ConfirmedByCalls = false
	o.Since = now
	if o.Refusal(now) == "" && was.Refusal(now) == "" {
		o.Since = was.Since
	}
	if o.ServerName == "" {
		o.ServerName = was.ServerName // the name of the server stays known while it does not answer
	}
	v.noteMirroring(i, o, now)
	v.Observed[i] = o
	if o.Reachable {
		v.Seen[i] = now
	}
	// A period starts again if no probe was made for a while, for example because this process was suspended.
	broken := o.Began.After(was.ValidUntil)
	if o.Reachable {
		v.UnreachableSince[i] = time.Time{}
		if v.reachableSince[i].IsZero() || broken {
			v.reachableSince[i] = now
		}
	} else {
		v.reachableSince[i] = time.Time{}
		if broken {
			v.UnreachableSince[i] = time.Time{}
		}
		if v.UnreachableSince[i].IsZero() && o.Fresh {
			v.UnreachableSince[i] = o.Began
		}
	}
	if o.Latency > 0 {
		v.Latency[i] = o.Latency
	}
	return v
}

// confirmed returns the view after a probe that was not answered, although calls sent after it succeeded. The
// last answer of the principal stays valid, with the time at which it was asked for.
func (v View) confirmed(i int, o Observation, now time.Time) View {
	was := v.Observed[i]
	was.ValidUntil, was.Err, was.ConfirmedByCalls = o.ValidUntil, fmt.Errorf("%w; calls sent after the probe succeed", o.Err), true
	v.noteMirroring(i, o, now)
	v.Observed[i], v.Seen[i], v.UnreachableSince[i] = was, now, time.Time{}
	return v
}

// Since returns the time at which partner i became reachable, or unreachable. It returns the zero time if that
// time is unknown, or the last observation is too old.
func (v *View) Since(i int) time.Time {
	if time.Now().After(v.Observed[i].ValidUntil) {
		return time.Time{}
	}
	if v.Observed[i].Reachable {
		return v.reachableSince[i]
	}
	return v.UnreachableSince[i]
}

// NoteClaims sets Claims and Fenced from the observations and the decision.
func (v *View) NoteClaims(now time.Time, acc Accepted) {
	v.Claims, v.Fenced = [2]Claim{}, [2]string{}
	for i, o := range v.Observed {
		if v.Decision.SplitBrain {
			v.Claims[i] = ClaimOf(o)
		}
		if o.Refusal(now) == "" {
			v.Fenced[i], _ = Stale(o, acc)
		}
	}
}

// Serves reports whether calls go to partner n, and n itself reports that it is principal.
func (v View) Serves(n Name) bool {
	return v.Serving && v.Accepted.Partner == n && v.Observed[n.Index()].Role == RolePrincipal
}

// How the two servers are connected, as the status shows it.
const (
	topologyMirroring = "mirroring"
	topologyGroup     = "availability-group"
	topologyPlain     = "plain"   // a database is open that is neither mirrored nor in a group
	topologyUnknown   = "unknown" // no partner has shown it yet
)

// Topology returns how the two servers are connected: what they report now, or what was known when a principal
// was last accepted. A NULL in sys.database_mirroring proves nothing, because the login may not see the row; on
// a mirror only a sysadmin sees it. The result is "plain" only if a partner with an open database reports no
// session.
func (v View) Topology() string {
	plain := false
	for _, o := range v.Observed {
		switch {
		case o.InGroup:
			return topologyGroup
		case o.HasRole() || o.Session != "":
			return topologyMirroring
		}
		plain = plain || o.Opens
	}
	switch {
	case GroupSession(v.Accepted.Session):
		return topologyGroup
	case v.Accepted.Session != "":
		return topologyMirroring
	case plain:
		return topologyPlain
	}
	return topologyUnknown
}

// GroupPrefix is put before the id of an availability group in Observation.Session. So a group's id never
// equals the id of a mirroring session.
const GroupPrefix = "availability group "

// GroupSession reports whether session identifies an availability group.
func GroupSession(session string) bool { return strings.HasPrefix(session, GroupPrefix) }
