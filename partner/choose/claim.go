package choose

import "time"

// Overruled is a claim that an operator rejected by accepting the other partner. This claim and older claims of
// the same partner are ignored. The rejection ends when that partner becomes a mirror, or makes a newer claim.
// The zero value means that no claim is overruled.
type Overruled struct {
	Partner  Name   `json:"partner"`
	Extended bool   `json:"extended"` // the claim has an epoch
	Epoch    int64  `json:"epoch"`
	Sequence int64  `json:"role_sequence"` // role sequence; 0 means unknown
	Session  string `json:"session"`       // mirroring_guid; empty means unknown
}

// covers reports whether o makes the overruled claim, or a claim that is not known to be newer.
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

// LiftedBy reports whether the observation o ends the rejection. It does when the overruled partner is a
// mirror, because its data is now a copy of the other partner's.
func (r Overruled) LiftedBy(o Observation) bool {
	return r.Partner == o.Partner && o.Reachable && (o.Role == RoleMirror || o.State == "RESTORING")
}

// ClaimOf returns the claim that an observation makes.
func ClaimOf(o Observation) Claim {
	return Claim{Partner: o.Partner, Server: o.ServerName, Epoch: o.Epoch, EpochServer: o.EpochServer,
		RoleSequence: o.Sequence, Session: o.Session}
}

// Claim is what a partner reports about itself when it claims to be a writable principal. The zero value means
// no claim.
type Claim struct {
	Partner      Name   `json:"partner"`
	Server       string `json:"server"`        // @@SERVERNAME
	Epoch        int64  `json:"epoch"`         // 0 on a stock schema
	EpochServer  string `json:"epoch_server"`  // the server that took that epoch
	RoleSequence int64  `json:"role_sequence"` // 0 means unknown
	Session      string `json:"session"`       // mirroring_guid; empty means unknown
}

// Accept returns the new accepted principal after o was chosen; before is the principal accepted until now. If
// o does not show the role sequence, the known one of the same partner is kept.
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

// Overrule returns the claim of other that is overruled when its partner is accepted. It is the current claim of
// other, or else the claim accepted from other before, or else the claim overruled before. It is the zero value if
// other never made a claim.
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

// RaiseAbove returns the highest known epoch of both partners, and whether o must take an epoch above it, so that
// every proxy follows o. The partner that was accepted last may keep its own epoch. On a stock schema raise is
// false.
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
