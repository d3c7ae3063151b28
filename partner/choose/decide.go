package choose

import (
	"fmt"
	"time"
)

// Accepted is the last principal that this proxy used. It stays known when that principal stops serving: a
// later claim must not be older. The zero value means that no principal was accepted yet.
type Accepted struct {
	Partner  Name
	Extended bool // its database has an epoch row
	Epoch    int64
	Sequence int64  // role sequence; 0 means unknown
	Session  string // the mirroring session that Sequence belongs to
	// Overruled is the claim of the other partner that an operator rejected.
	Overruled Overruled
}

// Decision is the result of Decide.
type Decision struct {
	Serve      Name   // the partner that gets the calls; empty means none
	TakeEpoch  bool   // take the next epoch on that partner before it gets calls
	EndTerm    bool   // the accepted principal answered and is no longer a writable principal
	SplitBrain bool   // both partners claim to be a writable principal
	Reason     string // why, as text for the status and the log
}

// Decide chooses the principal. It is pure: obs holds the observations of a and b, in this order, and acc is
// the last accepted principal.
//
// A partner claims to be principal if it answered recently and its database is open for writing. A claim that
// is older than the accepted one is ignored; claims are compared by epoch, then by role sequence. The newer of
// two claims wins. If two claims cannot be ordered, the accepted partner stays. If none was accepted before,
// neither partner serves.
func Decide(now time.Time, obs [2]Observation, acc Accepted) Decision {
	d := Decision{}
	var claims []int
	var why [2]string
	claiming := 0
	for i, o := range obs {
		why[i] = o.Refusal(now)
		if why[i] == "" {
			claiming++
			_, why[i] = Stale(o, acc)
		}
		if why[i] == "" {
			claims = append(claims, i)
		} else if o.Partner == acc.Partner && o.Reachable && o.Mirroring != "PENDING_FAILOVER" {
			// A principal that is about to hand over still answers the calls it has.
			d.EndTerm = true
		}
	}
	d.SplitBrain = claiming == 2 && claimsOverlap(obs)
	chosen, reason := choose(obs, acc, claims, why)
	d.Reason = reason
	if chosen < 0 {
		return d
	}
	d.Serve = obs[chosen].Partner
	d.TakeEpoch = mustTakeEpoch(obs[chosen], obs[1-chosen], acc)
	return d
}

// choose returns the index of the claim to use and the reason, or -1 if it uses none.
func choose(obs [2]Observation, acc Accepted, claims []int, why [2]string) (int, string) {
	switch len(claims) {
	case 0:
		return -1, fmt.Sprintf("%s %s; %s %s", A, why[0], B, why[1])
	case 1:
		c := claims[0]
		// The memory file may be old: another proxy may have followed the other partner since.
		if obs[1-c].Began.IsZero() {
			return -1, fmt.Sprintf("waiting for the first answer of the partner of %s", obs[c].Partner)
		}
		return c, fmt.Sprintf("%s serves; its partner %s", obs[c].Partner, why[1-c])
	}
	if c, by := newer(obs); c >= 0 {
		return c, fmt.Sprintf("both claim to be principal; %s has the higher %s", obs[c].Partner, by)
	}
	for i, o := range obs {
		if o.Partner == acc.Partner {
			return i, fmt.Sprintf("both claim to be principal and can't be ordered; %s stays, because it was accepted last", o.Partner)
		}
	}
	return -1, "both claim to be principal, can't be ordered, and none was accepted before: serving neither"
}

// newer returns the index of the newer claim, and whether the epoch or the role sequence decided. It returns -1
// if the claims cannot be ordered.
func newer(obs [2]Observation) (winner int, by string) {
	a, b := obs[0], obs[1]
	if a.Extended && b.Extended && a.Epoch != b.Epoch {
		return higher(a.Epoch, b.Epoch), "epoch"
	}
	if a.Extended == b.Extended && comparableSequences(a.Session, b.Session, a.Sequence, b.Sequence) && a.Sequence != b.Sequence {
		return higher(a.Sequence, b.Sequence), "role sequence"
	}
	return -1, ""
}

func higher(a, b int64) int {
	if a > b {
		return 0
	}
	return 1
}

// comparableSequences reports whether two role sequences are known and belong to the same mirroring session.
func comparableSequences(s1, s2 string, n1, n2 int64) bool { return s1 == s2 && n1 > 0 && n2 > 0 }

// The kinds of ignored claims, as the counters name them.
const (
	// FencedEpoch counts claims with a lower epoch than the accepted one.
	FencedEpoch     = "epoch"
	fencedSequence  = "role-sequence"
	fencedNoEpoch   = "no-epoch"
	fencedOverruled = "overruled"
)

// Stale returns why the claim o is ignored: the kind for the counters, and the reason as text. Both are empty
// if the claim is not older than the accepted one.
func Stale(o Observation, acc Accepted) (kind, why string) {
	switch {
	case acc.Overruled.covers(o):
		return fencedOverruled, "was overruled by an operator"
	case acc.Partner == "":
		return "", ""
	case acc.Extended && !o.Extended && o.Partner != acc.Partner:
		return fencedNoEpoch, "has no epoch, but an epoch of its partner was accepted"
	case acc.Extended && o.Extended && o.Epoch < acc.Epoch:
		return FencedEpoch, fmt.Sprintf("claims epoch %d, but epoch %d was accepted", o.Epoch, acc.Epoch)
	case acc.Extended && o.Extended && o.Epoch > acc.Epoch:
		return "", ""
	case o.InGroup:
		// The sequence number of a group also counts changes of its configuration. It can order two claims, but
		// does not prove that a single claim is old.
		return "", ""
	case comparableSequences(o.Session, acc.Session, o.Sequence, acc.Sequence) && o.Sequence < acc.Sequence:
		return fencedSequence, fmt.Sprintf("claims role sequence %d, but %d was accepted", o.Sequence, acc.Sequence)
	}
	return "", ""
}

// mustTakeEpoch reports whether the epoch of o was taken for another principal. If the principal is unchanged and
// its epoch row has an unknown server name, another proxy with other names in its configuration took the epoch.
// That proxy must not be fenced.
func mustTakeEpoch(o, other Observation, acc Accepted) bool {
	if !o.Extended {
		return false
	}
	n := NamesOf(o, other)
	if n.isOwn(o.EpochServer) {
		return false
	}
	unchanged := o.Partner == acc.Partner && (o.InGroup || Agree(o.Sequence, acc.Sequence)) && Agree(o.Session, acc.Session)
	return !unchanged || o.EpochServer == "" || n.isOther(o.EpochServer)
}

// claimsOverlap reports whether both partners make their claims at the same time. Around a failover the two probes
// can see two claims, one made before it and one after it. So each claim must be older than the last probe of the
// other partner.
func claimsOverlap(obs [2]Observation) bool {
	return obs[0].Since.Before(obs[1].Began) && obs[1].Since.Before(obs[0].Began)
}
