package choose

import "time"

// mirroringReport is what a partner last reported about the mirroring session.
type mirroringReport struct {
	received     time.Time // when the answer was received
	session      string
	synchronized bool // SYNCHRONIZED under FULL
	witness      bool // the mirroring session has a witness
}

// noteMirroring records what partner i reports about mirroring. It also updates Synchronized: whether forced
// service on the mirror would lose nothing.
//
// Synchronized changes mainly when the principal answers. If the mirror alone later reports a disconnect, the
// principal was lost, and the mirror has what was acknowledged before. If the mirror reported the disconnect
// before the principal was probed, the principal may have acknowledged more.
//
// A principal that does not answer probes may still acknowledge calls. If a successful call was sent after the
// mirror reported the disconnect, only the principal has that commit. While only calls confirm the principal,
// the mirror itself must answer.
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
		w.synchronized = o.Mirroring == "SYNCHRONIZED" // only the principal knows the safety level
	}
	switch {
	case o.WitnessName != "" || o.WitnessState == "CONNECTED" || o.WitnessState == "DISCONNECTED":
		w.witness = true
	case o.Role == RoleMirror:
		w.witness = before.witness // a NULL on the mirror does not prove that there is no witness
	}
	v.mirroring[i] = w
	if o.Role == RoleMirror {
		if v.Accepted.Partner == o.Partner {
			v.Synchronized = false // the next principal must report it again
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
