package embedded

import (
	"context"
	"sync"
)

// witnessName is the address that the catalogue shows for the witness.
const witnessName = "TCP://127.0.0.1:5022"

// witness is the third of the pair. It keeps nothing on disk: what it knows, it has
// from the partners, when it is set.
//
// The promise rests on its one lock: that the principal goes on without the mirror, and
// that the mirror takes over without the principal, exclude each other.
type witness struct {
	mu       sync.Mutex
	on       bool
	sequence int64 // the newest role switch that it knows of
	inSync   bool  // the mirror has all that was acknowledged
}

// Witness tells whether the pair's mirrored database has a witness.
func (p *pair) Witness() bool {
	s := p.main()
	return s != nil && s.Witness()
}

// Witness tells whether the session has a witness.
func (s *mirroringSession) Witness() bool {
	s.witness.mu.Lock()
	defer s.witness.mu.Unlock()
	return s.witness.on
}

// SetWitness gives the pair a witness, or takes it away: SET WITNESS, without its
// preconditions. It says nothing if it is so already.
func (p *pair) SetWitness(on bool) error {
	return p.verb(context.Background(), func(context.Context) error {
		s := p.main()
		if s == nil || !s.mirrored() {
			return message(1416, 16, `Database "%s" is not configured for database mirroring.`, p.folder.title)
		}
		s.setWitness(on)
		return nil
	})
}

// setWitness is SetWitness for who holds verbs.
func (s *mirroringSession) setWitness(on bool) {
	w := &s.witness
	w.mu.Lock()
	changed := w.on != on
	w.on = on
	if changed {
		for _, q := range s.both() {
			w.sequence = max(w.sequence, q.state.Load().sequence)
		}
		w.inSync = s.linkState() == stateSynchronized && s.safe()
	}
	w.mu.Unlock()
	if changed {
		detail := map[bool]string{true: "on", false: "off"}[on]
		s.pair.log.Info("witness changed", "to", detail)
		s.pair.events.tell("witness", "", detail)
		s.pair.poke()
	}
}

// safe tells whether both partners are under SAFETY FULL.
func (s *mirroringSession) safe() bool {
	return s.both()[0].state.Load().safetyFull && s.both()[1].state.Load().safetyFull
}

// seen tells whether the witness and the partner see each other at this moment.
func (s *mirroringSession) seen(q *database) bool {
	return s.pair.see().clear[q.instance.witnessLink()]
}

func (i *instance) witnessLink() int {
	if i == i.pair.partners[0] {
		return linkWitnessA
	}
	return linkWitnessB
}

// mayExpose asks whether the principal may commit without its mirror. From then on
// the mirror can't take over by itself.
func (s *mirroringSession) mayExpose(principal *database) bool {
	w := &s.witness
	w.mu.Lock()
	defer w.mu.Unlock()
	if !w.on {
		return true
	}
	if !s.seen(principal) || principal.state.Load().sequence < w.sequence {
		return false
	}
	w.inSync = false
	return true
}

// exposes has the witness know that the principal commits without its mirror, which
// it sees.
func (w *witness) exposes() {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.inSync = false
}

// synchronized has the witness know that the mirror has everything.
func (w *witness) synchronized(sequence int64) {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.inSync = true
	w.sequence = max(w.sequence, sequence)
}

// learn has the witness know of a role switch.
func (w *witness) learn(sequence int64) {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.sequence = max(w.sequence, sequence)
}

// forced has the witness know of a forced service: the old principal can't go on any more.
func (w *witness) forced(sequence int64) {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.inSync, w.sequence = false, max(w.sequence, sequence)
}

// fit tells whether a mirror of that role sequence may take over.
func (w *witness) fit(sequence int64) bool {
	w.mu.Lock()
	defer w.mu.Unlock()
	return w.on && w.inSync && w.sequence <= sequence
}

// elect settles that the mirror of that role sequence takes over: the old
// principal can't go on without it any more. false: the old one was first.
func (w *witness) elect(sequence int64) bool {
	w.mu.Lock()
	defer w.mu.Unlock()
	if !w.on || !w.inSync || w.sequence > sequence {
		return false
	}
	w.inSync, w.sequence = false, sequence+1
	return true
}

// revoke undoes an election that came to nothing.
func (w *witness) revoke(sequence int64) {
	w.mu.Lock()
	defer w.mu.Unlock()
	if w.sequence == sequence+1 {
		w.inSync, w.sequence = true, sequence
	}
}
