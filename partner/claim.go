package partner

import "time"

// Overruled is a claim the operator's word went against. It and older ones of
// the same partner do not count until that partner is a mirror again, or makes
// a newer claim. The zero value: none.
type Overruled struct {
	Partner  Name   `json:"partner"`
	Extended bool   `json:"extended"`
	Epoch    int64  `json:"epoch"`
	Sequence int64  `json:"role_sequence"`
	Session  string `json:"session"`
}

// covers says whether a claim is the overruled one, or not known to be newer.
func (r Overruled) covers(o Observation) bool {
	switch {
	case r.Partner == "" || r.Partner != o.Partner:
		return false
	case r.Extended && o.Extended && r.Epoch != o.Epoch:
		return o.Epoch < r.Epoch
	case sameCount(r.Session, o.Session, r.Sequence, o.Sequence):
		return o.Sequence <= r.Sequence
	}
	return agree(r.Session, o.Session)
}

// lifted says whether a partner's answer ends what was overruled there: it is a
// copy of its partner's data now.
func (r Overruled) lifted(o Observation) bool {
	return r.Partner == o.Partner && o.Reachable && (o.Role == RoleMirror || o.State == "RESTORING")
}

// claimOf is what an observation claims.
func claimOf(o Observation) Claim {
	return Claim{Partner: o.Partner, Server: o.ServerName, Epoch: o.Epoch, EpochServer: o.EpochServer,
		RoleSequence: o.Sequence, Session: o.Session}
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
