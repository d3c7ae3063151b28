package measure

import "time"

// keptWrites is how many writes of the chain are kept by stamp. If a read finds an older one, the
// read must have begun long ago; it is not counted as a loss.
const keptWrites = 8

// Write is one write of a session. It belongs to the [Entry] that returned it and has no exported
// parts.
type Write struct {
	seq, stamp uint64
	base       *Write // the write it is based on; nil once that does not matter
	known      bool   // it has taken effect: it is or was part of the chain
	lost       bool   // it was part of the chain and is not any more
	refused    bool   // the answer said that it has not taken effect
	unknown    bool   // no answer says whether it has taken effect
	until      time.Time
	expired    bool // its outcome was unknown, its deadline has passed, and it had not taken effect
}

// BeginWrite begins a write that is based on seen (nil: the write creates the session). It appends
// the item to store, of n bytes, to b and returns both.
func (e *Entry) BeginWrite(b []byte, seen *Write, n int) ([]byte, *Write) {
	w := &Write{seq: 1, stamp: e.ledger.stamps.Add(1), base: seen}
	if seen != nil {
		w.seq = seen.seq + 1
	}
	e.mu.Lock()
	defer e.mu.Unlock()
	e.writes[w.stamp] = w
	return appendItem(b, e.ID, w.seq, w.stamp, n), w
}

// EndWrite notes the answer to a write. A write of unknown outcome may take effect before until,
// and not later.
func (e *Entry) EndWrite(w *Write, err error, until time.Time) {
	e.mu.Lock()
	defer e.mu.Unlock()
	switch {
	case err == nil:
		e.ledger.count(func(i *Integrity) { i.AcknowledgedWrites++ })
		if !w.known {
			e.acknowledge(w)
		}
	case OutcomeUnknown(err):
		w.unknown, w.until = true, until
	case w.known: // a client has seen it
		e.ledger.count(func(i *Integrity) { i.GhostWrites++ })
	default:
		w.refused = true
	}
}

// acknowledge adds a write to the chain. If the write is not based on the chain's last one, two
// clients had the lock at the same time, and the writes since their common base are lost.
func (e *Entry) acknowledge(w *Write) {
	if e.head != nil && (w.base == nil || w.base.stamp != e.head.stamp) {
		e.lose(e.head.seq, w.origin())
	}
	e.extend(w)
}

// extend makes a write the last one of the chain.
func (e *Entry) extend(w *Write) {
	w.known, w.base, w.lost = true, nil, false
	e.head = w
	e.recent = append(e.recent, w)
	if len(e.recent) > keptWrites {
		delete(e.writes, e.recent[0].stamp)
		e.recent = e.recent[1:]
	}
}

// lose counts the writes of the chain with sequences from after+1 to upTo as lost.
func (e *Entry) lose(upTo, after uint64) {
	for _, w := range e.recent {
		w.lost = w.lost || w.seq > after
	}
	if upTo > after {
		e.ledger.count(func(i *Integrity) { i.LostWrites += int64(upTo - after) })
	}
}

// origin returns the sequence of the newest write of the chain that w is based on, or 0 if there is
// none.
func (w *Write) origin() uint64 {
	for b := w.base; b != nil; b = b.base {
		if b.known && !b.lost {
			return b.seq
		}
	}
	return 0
}

// CheckItem checks the item of an answer and returns the write that stored it, or nil if the load
// did not write it. It counts the session as resurrected if its removal was acknowledged before the
// call began.
func (e *Entry) CheckItem(v View, item []byte) *Write {
	e.mu.Lock()
	defer e.mu.Unlock()
	e.checkAliveLocked(v)
	seq, stamp, err := readItem(e.ID, item)
	if err != nil {
		e.ledger.count(func(i *Integrity) { i.DamagedItems++ })
		return nil
	}
	w := e.writes[stamp]
	if w == nil {
		return e.itemForgotten(v, seq, stamp)
	}
	if w.refused || w.expired {
		w.refused, w.expired = false, false
		e.ledger.count(func(i *Integrity) { i.GhostWrites++ })
	}
	e.expire(v, w)
	switch {
	case !w.known:
		e.itemNew(v, w)
	case v.head == nil, v.head.lost: // nothing was known, or the loss is counted already
	case w.lost, w.seq < v.head.seq:
		e.itemOlder(v, w)
	}
	return w
}

// itemForgotten handles an item whose stamp is not kept any more.
func (e *Entry) itemForgotten(v View, seq, stamp uint64) *Write {
	w := &Write{seq: seq, stamp: stamp, known: true}
	switch {
	case e.head == nil || seq >= e.head.seq:
		e.ledger.count(func(i *Integrity) { i.DamagedItems++ })
		return nil
	case v.head != nil && seq < v.head.seq && !v.head.lost:
		e.itemOlder(v, w)
	}
	return w
}

// itemNew handles a write that is seen before its answer, or that has none.
func (e *Entry) itemNew(v View, w *Write) {
	switch {
	case e.head == nil, w.base != nil && w.base.stamp == e.head.stamp:
		e.extend(w)
	case v.head != nil && !v.head.lost && w.origin() < v.head.seq:
		// It took effect after a write that its client had not seen.
		e.lose(v.head.seq, w.origin())
		e.extend(w)
	}
}

// itemOlder handles a read that found an older write than was known when the read began. The chain
// goes on from the write that was found, so that each loss counts once. A lost write that is seen
// again later is not counted.
func (e *Entry) itemOlder(v View, w *Write) {
	e.lose(v.head.seq, w.seq)
	e.recent = nil
	e.writes[w.stamp] = w
	e.extend(w)
}

// expire marks the writes of unknown outcome whose time was over when the call of v began. The call
// has found another write, seen.
func (e *Entry) expire(v View, seen *Write) {
	for _, w := range e.writes {
		if w.unknown && !w.known && w != seen && w.until.Before(v.began) {
			w.expired = true
		}
	}
}
