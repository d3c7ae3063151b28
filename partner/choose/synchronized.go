package choose

import "time"

// word is what a partner last said of the mirroring session.
type word struct {
	at      time.Time // when it was heard
	session string
	synced  bool // SYNCHRONIZED under FULL
	witness bool // there is a witness of SQL Server's own
}

// hear notes a partner's word, and with the principal's whether a forced
// service on the mirror would lose nothing. It is settled only when the
// principal answers: what the mirror says after that, alone, is about its loss.
// A mirror that had lost its partner before the principal was asked, though, was
// not getting what the principal acknowledged.
//
// A principal that does not answer may still have acknowledged calls. One that was sent after its mirror told of the loss is on
// the principal alone. While only its calls tell that it is there, the mirror itself must go on answering.
func (v *View) hear(i int, o Observation, now time.Time) {
	if !o.Reachable {
		if mirror := v.words[1-i]; o.Partner == v.Accepted.Partner &&
			(!mirror.synced && o.LastCall.After(mirror.at) || o.Confirmed && !v.Observed[1-i].Reachable) {
			v.Synchronized = false
		}
		return
	}
	before, other := v.words[i], v.words[1-i]
	w := word{at: now, session: o.Session, synced: o.Mirroring == "SYNCHRONIZED" && o.Safety == "FULL"}
	if o.Role == RoleMirror && (o.Safety == "UNKNOWN" || o.Safety == "") {
		w.synced = o.Mirroring == "SYNCHRONIZED" // the principal knows the level
	}
	switch {
	case o.WitnessName != "" || o.WitnessState == "CONNECTED" || o.WitnessState == "DISCONNECTED":
		w.witness = true
	case o.Role == RoleMirror:
		w.witness = before.witness // a mirror's own NULL is no proof that there is none
	}
	v.words[i] = w
	if o.Role == RoleMirror {
		if v.Accepted.Partner == o.Partner {
			v.Synchronized = false // no principal any more; the next one has to earn it
		}
		return
	}
	if o.Partner != v.Accepted.Partner {
		return
	}
	mirrored := other.synced && Agree(other.session, o.Session)
	if other.at.After(o.Began) {
		mirrored = mirrored || v.Synchronized
	}
	v.Synchronized = o.Role == RolePrincipal && w.synced && mirrored
}
