package partner

import (
	"fmt"
	"time"
)

// view is what the loop knows, for others to read.
type view struct {
	obs      [2]Observation
	seen     [2]time.Time
	latency  [2]time.Duration
	accepted Accepted
	decision Decision
	serving  bool // the decision's choice was acted on

	met    [2]time.Time // since when each has answered every probe; zero: it doesn't
	lost   [2]time.Time // since when none was answered, on a fresh connection; zero: they are
	claims [2]Claim     // of a split brain
	fenced [2]string    // why each one's claim is not believed; empty: it is, or there is none

	words   [2]word // what each last said of the mirroring session
	insured bool    // when the principal last answered, its mirror had all it acknowledged
}

// with is the view after one more observation.
func (v view) with(i int, o Observation, now time.Time) view {
	was := v.obs[i]
	if o.Vouched && o.Partner == v.accepted.Partner && was.refusal(now) == "" {
		return v.vouched(i, o, now)
	}
	o.Vouched = false
	o.Since = now
	if o.refusal(now) == "" && was.refusal(now) == "" {
		o.Since = was.Since
	}
	if o.ServerName == "" {
		o.ServerName = was.ServerName // what it is called does not change when it is away
	}
	v.insure(i, o, now)
	v.obs[i] = o
	if o.Reachable {
		v.seen[i] = now
	}
	// A row of answers, or of silence, is broken where nobody asked for a while:
	// this process may have slept.
	broken := o.Began.After(was.GoodUntil)
	if o.Reachable {
		v.lost[i] = time.Time{}
		if v.met[i].IsZero() || broken {
			v.met[i] = now
		}
	} else {
		v.met[i] = time.Time{}
		if broken {
			v.lost[i] = time.Time{}
		}
		if v.lost[i].IsZero() && o.Fresh {
			v.lost[i] = o.Began
		}
	}
	if o.Latency > 0 {
		v.latency[i] = o.Latency
	}
	return v
}

// vouched is the view after a probe that was not answered while calls that were sent after it began succeeded. What the
// principal last said of itself goes on counting, as of the time it was asked; it is not gone, and not new either.
func (v view) vouched(i int, o Observation, now time.Time) view {
	was := v.obs[i]
	was.GoodUntil, was.Err, was.Vouched = o.GoodUntil, fmt.Errorf("%w; calls sent since succeed", o.Err), true
	v.insure(i, o, now)
	v.obs[i], v.seen[i], v.lost[i] = was, now, time.Time{}
	return v
}

// since is from when on partner i has been as it is, reachable or not; zero: unknown,
// also where the last probe is too old to say.
func (v *view) since(i int) time.Time {
	if time.Now().After(v.obs[i].GoodUntil) {
		return time.Time{}
	}
	if v.obs[i].Reachable {
		return v.met[i]
	}
	return v.lost[i]
}

// judgeClaims notes which claims there are: both of a split brain, and those
// that are too old to be believed, by the reason.
func (v *view) judgeClaims(now time.Time, acc Accepted) {
	v.claims, v.fenced = [2]Claim{}, [2]string{}
	for i, o := range v.obs {
		if v.decision.SplitBrain {
			v.claims[i] = claimOf(o)
		}
		if o.refusal(now) == "" {
			v.fenced[i], _ = stale(o, acc)
		}
	}
}

// serves reports whether a partner is principal by its own word, and calls go there.
func (v view) serves(n Name) bool {
	return v.serving && v.accepted.Partner == n && v.obs[n.Index()].Role == RolePrincipal
}
