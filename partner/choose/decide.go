package choose

import (
	"fmt"
	"time"
)

// Accepted is the newest principal this proxy has ever used. It outlives the
// principal: whoever claims to be one later must not be older. The zero value
// says that there was none yet.
type Accepted struct {
	Partner  Name
	Extended bool
	Epoch    int64
	Sequence int64  // role sequence; 0: unknown
	Session  string // the mirroring session it counts in
	// Overruled is the other's claim the operator did not accept.
	Overruled Overruled
}

// Decision is what follows from two observations.
type Decision struct {
	Serve      Name   // who gets the calls; empty: nobody
	TakeEpoch  bool   // first take the next epoch there
	EndTerm    bool   // the accepted principal says that it is none any more
	SplitBrain bool   // both claim to be a writable principal
	Reason     string // in words, for status and log
}

// Decide chooses the principal. It is pure: time and everything known come in
// as values, a first and b second.
//
// A partner claims to be principal by answering lately, and opening its
// database for writing. A claim older than the accepted one never counts, by
// epoch, then by role sequence. Of two claims the newer counts; if they can't
// be ordered the accepted partner stays, and if there is none, nobody serves.
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
			// One that is about to hand over still answers the calls it has.
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

// choose picks one of the claims, or -1.
func choose(obs [2]Observation, acc Accepted, claims []int, why [2]string) (int, string) {
	switch len(claims) {
	case 0:
		return -1, fmt.Sprintf("%s %s; %s %s", A, why[0], B, why[1])
	case 1:
		c := claims[0]
		// What is remembered from before a restart may be old: another proxy may
		// have followed the partner since.
		if obs[1-c].Began.IsZero() {
			return -1, fmt.Sprintf("waiting for a first word of the partner of %s", obs[c].Partner)
		}
		return c, fmt.Sprintf("%s serves; its partner %s", obs[c].Partner, why[1-c])
	}
	if c, by := newer(obs); c >= 0 {
		return c, fmt.Sprintf("both claim to be principal; %s has the higher %s", obs[c].Partner, by)
	}
	for i, o := range obs {
		if o.Partner == acc.Partner {
			return i, fmt.Sprintf("both claim to be principal and can't be ordered; %s stays, as the last one accepted", o.Partner)
		}
	}
	return -1, "both claim to be principal, can't be ordered, and none was accepted before: serving neither"
}

// newer orders two claims, by epoch and then by role sequence; -1: it can't be done.
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

// sameCount says whether two role sequences count in the same mirroring session.
func comparableSequences(s1, s2 string, n1, n2 int64) bool { return s1 == s2 && n1 > 0 && n2 > 0 }

// The reasons a claim is not believed, for the counters.
const (
	FencedEpoch     = "epoch"
	fencedSequence  = "role-sequence"
	fencedNoEpoch   = "no-epoch"
	fencedOverruled = "overruled"
)

// Stale says how a claim is older than the accepted one, for the counters and
// in words; empty: it isn't.
func Stale(o Observation, acc Accepted) (kind, why string) {
	switch {
	case acc.Overruled.covers(o):
		return fencedOverruled, "was overruled by the operator"
	case acc.Partner == "":
		return "", ""
	case acc.Extended && !o.Extended && o.Partner != acc.Partner:
		return fencedNoEpoch, "has no epoch, though its partner had one"
	case acc.Extended && o.Extended && o.Epoch < acc.Epoch:
		return FencedEpoch, fmt.Sprintf("claims epoch %d, and %d was accepted", o.Epoch, acc.Epoch)
	case acc.Extended && o.Extended && o.Epoch > acc.Epoch:
		return "", ""
	case o.InGroup:
		// A group's number counts changes of its configuration too. It orders two
		// claims, and is too weak a word to shut out the only one.
		return "", ""
	case comparableSequences(o.Session, acc.Session, o.Sequence, acc.Sequence) && o.Sequence < acc.Sequence:
		return fencedSequence, fmt.Sprintf("claims role sequence %d, and %d was accepted", o.Sequence, acc.Sequence)
	}
	return "", ""
}

// mustTake says whether o's epoch is still that of somebody before it. While a
// principal simply goes on, a name we don't know in its row is that of another
// proxy's configuration and no reason to fence that proxy.
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

// bothSeen says whether two claims are more than the two ends of one switch:
// each must have been made after the other's began to be answered.
func claimsOverlap(obs [2]Observation) bool {
	return obs[0].Since.Before(obs[1].Began) && obs[1].Since.Before(obs[0].Began)
}
