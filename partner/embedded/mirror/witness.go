package mirror

import (
	"context"
	"sync"

	"github.com/mirrorstate/mirrorstate/partner/embedded/sqlerror"
)

// witnessName is the address that the catalogue shows for the witness.
const witnessName = "TCP://127.0.0.1:5022"

// witness is the witness of a database's mirroring session. It stores nothing on disk: the
// partners set its state when the pair starts and when the witness is set.
//
// Its only lock guarantees that no acknowledged write is lost: either the principal continues
// without the mirror, or the mirror takes over without the principal. Both never happen.
type witness struct {
	mu       sync.Mutex
	on       bool
	sequence int64 // the newest role sequence that the witness has seen
	inSync   bool  // the mirror has everything that was acknowledged
}

// Witness reports whether the pair's mirrored database has a witness.
func (p *Pair) Witness() bool {
	s := p.Main()
	return s != nil && s.Witness()
}

// Witness reports whether the session has a witness.
func (s *Session) Witness() bool {
	s.Arbiter.mu.Lock()
	defer s.Arbiter.mu.Unlock()
	return s.Arbiter.on
}

// SetWitness adds or removes the pair's witness: SET WITNESS, without its preconditions.
// It does nothing if the setting is the same already.
func (p *Pair) SetWitness(on bool) error {
	return p.Verb(context.Background(), func(context.Context) error {
		s := p.Main()
		if s == nil || !s.mirrored() {
			return sqlerror.New(1416, 16, `Database "%s" is not configured for database mirroring.`, p.Folder.title)
		}
		s.setWitness(on)
		return nil
	})
}

// setWitness is SetWitness for a caller that holds verbs.
func (s *Session) setWitness(on bool) {
	w := &s.Arbiter
	w.mu.Lock()
	changed := w.on != on
	w.on = on
	if changed {
		for _, q := range s.bothCopies() {
			w.sequence = max(w.sequence, q.State.Load().Sequence)
		}
		w.inSync = s.LinkState() == StateSynchronized && s.safe()
	}
	w.mu.Unlock()
	if changed {
		detail := map[bool]string{true: "on", false: "off"}[on]
		s.pair.log.Info("witness changed", "to", detail)
		s.pair.events.publish("witness", "", detail)
		s.pair.WakeWatch()
	}
}

// safe reports whether both partners are under SAFETY FULL.
func (s *Session) safe() bool {
	return s.bothCopies()[0].State.Load().SafetyFull && s.bothCopies()[1].State.Load().SafetyFull
}

// reachesWitness reports whether the witness and the partner reach each other at this moment.
func (s *Session) reachesWitness(q *Database) bool {
	return s.pair.viewLinks().clear[q.Instance.witnessLink()]
}

func (i *Instance) witnessLink() int {
	if i == i.Pair.Partners[0] {
		return linkWitnessA
	}
	return linkWitnessB
}

// MayExpose reports whether the principal may commit without its mirror. From then on the
// mirror cannot take over automatically.
func (s *Session) MayExpose(principal *Database) bool {
	w := &s.Arbiter
	w.mu.Lock()
	defer w.mu.Unlock()
	if !w.on {
		return true
	}
	if !s.reachesWitness(principal) || principal.State.Load().Sequence < w.sequence {
		return false
	}
	w.inSync = false
	return true
}

// exposes records that the principal, which reaches the witness, commits without its
// mirror.
func (w *witness) exposes() {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.inSync = false
}

// synchronized records that the mirror has everything.
func (w *witness) synchronized(sequence int64) {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.inSync = true
	w.sequence = max(w.sequence, sequence)
}

// noteSwitch records a role switch.
func (w *witness) noteSwitch(sequence int64) {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.sequence = max(w.sequence, sequence)
}

// forced records a forced service: the old principal may not continue.
func (w *witness) forced(sequence int64) {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.inSync, w.sequence = false, max(w.sequence, sequence)
}

// Fit reports whether a mirror of that role sequence may take over.
func (w *witness) Fit(sequence int64) bool {
	w.mu.Lock()
	defer w.mu.Unlock()
	return w.on && w.inSync && w.sequence <= sequence
}

// Elect decides that the mirror of that role sequence takes over, so that the old
// principal may not continue without it. false: the principal has been exposed before.
func (w *witness) Elect(sequence int64) bool {
	w.mu.Lock()
	defer w.mu.Unlock()
	if !w.on || !w.inSync || w.sequence > sequence {
		return false
	}
	w.inSync, w.sequence = false, sequence+1
	return true
}

// revoke undoes an election whose failover failed.
func (w *witness) revoke(sequence int64) {
	w.mu.Lock()
	defer w.mu.Unlock()
	if w.sequence == sequence+1 {
		w.inSync, w.sequence = true, sequence
	}
}
