package choose

import "time"

// word is what a partner last said of the mirroring session.
type mirroringReport struct {
	received     time.Time // when it was heard
	session      string
	synchronized bool // SYNCHRONIZED under FULL
	witness      bool // there is a witness of SQL Server's own
}

// hear notes a partner's word, and with the principal's whether a forced
// service on the mirror would lose nothing. It is settled only when the
// principal answers: what the mirror says after that, alone, is about its loss.
// A mirror that had lost its partner before the principal was asked, though, was
// not getting what the principal acknowledged.
//
// A principal that does not answer may still have acknowledged calls. One that was sent after its mirror told of the loss is on
// the principal alone. While only its calls tell that it is there, the mirror itself must go on answering.
func (v *View) noteMirroring(i int, o Observation, now time.Time) {
	if !o.Reachable {
		if mirror := v.mirroring[1-i]; o.Partner == v.Accepted.Partner &&
			(!mirror.synchronized && o.LastCall.After(mirror.received) || o.ConfirmedByCalls && !v.Observed[1-i].Reachable) {
			v.Synchronized = false
		}
		return
	}
	before, other := v.mirroring[i], v.mirroring[1-i]
	w := mirroringReport{received: now, session: o.Session, synchronized: o.Mirroring == "SYNCHRONIZED" && o.Safety == "FULL"}
	if o.Role == RoleMirror && (o.Safety == "UNKNOWN" || o.Safety == "") {
		w.synchronized = o.Mirroring == "SYNCHRONIZED" // the principal knows the level
	}
	switch {
	case o.WitnessName != "" || o.WitnessState == "CONNECTED" || o.WitnessState == "DISCONNECTED":
		w.witness = true
	case o.Role == RoleMirror:
		w.witness = before.witness // a mirror's own NULL is no proof that there is none
	}
	v.mirroring[i] = w
	if o.Role == RoleMirror {
		if v.Accepted.Partner == o.Partner {
			v.Synchronized = false // no principal any more; the next one has to earn it
		}
		return
	}
	if o.Partner != v.Accepted.Partner {
		return
	}
	mirrored := other.synchronized && Agree(other.session, o.Session)
	if other.received.After(o.Began) {
		mirrored = mirrored || v.Synchronized
	}
	v.Synchronized = o.Role == RolePrincipal && w.synchronized && mirrored
}
