package choose

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
	case comparableSequences(r.Session, o.Session, r.Sequence, o.Sequence):
		return o.Sequence <= r.Sequence
	}
	return Agree(r.Session, o.Session)
}

// Lifted says whether a partner's answer ends what was overruled there: it is a
// copy of its partner's data now.
func (r Overruled) LiftedBy(o Observation) bool {
	return r.Partner == o.Partner && o.Reachable && (o.Role == RoleMirror || o.State == "RESTORING")
}

// ClaimOf is what an observation claims.
func ClaimOf(o Observation) Claim {
	return Claim{Partner: o.Partner, Server: o.ServerName, Epoch: o.Epoch, EpochServer: o.EpochServer,
		RoleSequence: o.Sequence, Session: o.Session}
}

// Claim is what a partner that claims to be a writable principal says of itself.
type Claim struct {
	Partner      Name   `json:"partner"`
	Server       string `json:"server"`        // @@SERVERNAME
	Epoch        int64  `json:"epoch"`         // 0 on a stock schema
	EpochServer  string `json:"epoch_server"`  // who took that epoch
	RoleSequence int64  `json:"role_sequence"` // 0: unknown
	Session      string `json:"session"`       // mirroring_guid; empty: unknown
}

// Accept is what is known of the newest principal once o has been acted on.
func Accept(o Observation, before Accepted) Accepted {
	acc := Accepted{Partner: o.Partner, Extended: o.Extended, Epoch: o.Epoch, Sequence: o.Sequence, Session: o.Session}
	if before.Overruled.Partner != o.Partner {
		acc.Overruled = before.Overruled
	}
	if before.Partner == o.Partner && o.Sequence == 0 && Agree(o.Session, before.Session) {
		acc.Sequence, acc.Session = before.Sequence, before.Session
	}
	return acc
}

// Overrule is the claim that Accept of its partner goes against: what it says
// now, what was accepted of it, or what was overruled before.
func Overrule(other Observation, acc Accepted, now time.Time) Overruled {
	switch {
	case other.Refusal(now) == "":
		return Overruled{Partner: other.Partner, Extended: other.Extended, Epoch: other.Epoch, Sequence: other.Sequence, Session: other.Session}
	case acc.Partner == other.Partner:
		return Overruled{Partner: acc.Partner, Extended: acc.Extended, Epoch: acc.Epoch, Sequence: acc.Sequence, Session: acc.Session}
	case acc.Overruled.Partner == other.Partner:
		return acc.Overruled
	}
	return Overruled{}
}

// RaiseAbove is the epoch that o's must exceed so that every proxy believes it,
// and whether it doesn't yet. The one accepted before may keep its own.
func RaiseAbove(o Observation, over Overruled, acc Accepted) (above int64, raise bool) {
	if !o.Extended {
		return 0, false
	}
	above = o.Epoch
	if over.Extended {
		raise = o.Epoch <= over.Epoch
		above = max(above, over.Epoch)
	}
	if acc.Extended {
		raise = raise || o.Epoch < acc.Epoch || o.Epoch == acc.Epoch && o.Partner != acc.Partner
		above = max(above, acc.Epoch)
	}
	return above, raise
}
