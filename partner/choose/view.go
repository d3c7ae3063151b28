package choose

import (
	"fmt"
	"strings"
	"time"
)

// View is what the loop knows, for others to read.
type View struct {
	Observed [2]Observation
	Seen     [2]time.Time
	Latency  [2]time.Duration
	Accepted Accepted
	Decision Decision
	Serving  bool // the decision's choice was acted on

	reachableSince   [2]time.Time // since when each has answered every probe; zero: it doesn't
	UnreachableSince [2]time.Time // since when none was answered, on a fresh connection; zero: they are
	Claims           [2]Claim     // of a split brain
	Fenced           [2]string    // why each one's claim is not believed; empty: it is, or there is none

	mirroring    [2]mirroringReport // what each last said of the mirroring session
	Synchronized bool               // when the principal last answered, its mirror had all it acknowledged
}

// With is the view after one more observation.
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
		o.ServerName = was.ServerName // what it is called does not change when it is away
	}
	v.noteMirroring(i, o, now)
	v.Observed[i] = o
	if o.Reachable {
		v.Seen[i] = now
	}
	// A row of answers, or of silence, is broken where nobody asked for a while:
	// this process may have slept.
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

// confirmed is the view after a probe that was not answered while calls that were sent after it began succeeded. What the
// principal last said of itself goes on counting, as of the time it was asked; it is not gone, and not new either.
func (v View) confirmed(i int, o Observation, now time.Time) View {
	was := v.Observed[i]
	was.ValidUntil, was.Err, was.ConfirmedByCalls = o.ValidUntil, fmt.Errorf("%w; calls sent since succeed", o.Err), true
	v.noteMirroring(i, o, now)
	v.Observed[i], v.Seen[i], v.UnreachableSince[i] = was, now, time.Time{}
	return v
}

// Since is from when on partner i has been as it is, reachable or not; zero: unknown,
// also where the last probe is too old to say.
func (v *View) Since(i int) time.Time {
	if time.Now().After(v.Observed[i].ValidUntil) {
		return time.Time{}
	}
	if v.Observed[i].Reachable {
		return v.reachableSince[i]
	}
	return v.UnreachableSince[i]
}

// JudgeClaims notes which claims there are: both of a split brain, and those
// that are too old to be believed, by the reason.
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

// Serves reports whether a partner is principal by its own word, and calls go there.
func (v View) Serves(n Name) bool {
	return v.Serving && v.Accepted.Partner == n && v.Observed[n.Index()].Role == RolePrincipal
}

// The words for how the two servers belong together.
const (
	topologyMirroring = "mirroring"
	topologyGroup     = "availability-group"
	topologyPlain     = "plain"   // a principal serves that is neither mirrored nor in a group
	topologyUnknown   = "unknown" // nobody could tell yet
)

// Topology is what the partners tell of themselves, now
// or when a principal was last accepted. Silence proves nothing: a NULL in
// sys.database_mirroring may only mean that the login may not look, and on a mirror
// does for everybody but a sysadmin. It is "plain" only by the word of a partner
// whose database is open.
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

// GroupPrefix stands before the id of an availability group where otherwise a
// mirroring session's stands, so that the two are never compared.
const GroupPrefix = "availability group "

// GroupSession reports whether a session is that of an availability group.
func GroupSession(session string) bool { return strings.HasPrefix(session, GroupPrefix) }
