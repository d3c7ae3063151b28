package measure

import "time"

// keptWrites is how many writes on the line are remembered by their stamps. A reader who is
// answered with an older one began long ago, and is believed.
const keptWrites = 8

// Write is one write, on its way or done.
type Write struct {
	seq, stamp uint64
	base       *Write // what it was derived from; nil once that does not matter
	known      bool   // it has taken effect: it is or was on the line
	lost       bool   // it was on the line, and is not there any more
	refused    bool   // it was answered not to have taken effect
	unknown    bool   // nobody knows whether it has
	until      time.Time
	expired    bool // it was unknown, its time is over, and it had not taken effect then
}

// BeginWrite begins a write that is derived from what was seen (nil: the session is made) and
// gives the item to store, of n bytes, appended to b.
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

// EndWrite ends a write with its answer. One whose outcome is unknown may take effect until then.
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
	case w.known: // somebody has seen it
		e.ledger.count(func(i *Integrity) { i.GhostWrites++ })
	default:
		w.refused = true
	}
}

// acknowledge puts a write at the end of the line. If it was derived from something
// else than the end, two writers had the same lock, and one of them wrote for nothing.
func (e *Entry) acknowledge(w *Write) {
	if e.head != nil && (w.base == nil || w.base.stamp != e.head.stamp) {
		e.lose(e.head.seq, w.origin())
	}
	e.extend(w)
}

// extend puts a write at the end of the line.
func (e *Entry) extend(w *Write) {
	w.known, w.base, w.lost = true, nil, false
	e.head = w
	e.recent = append(e.recent, w)
	if len(e.recent) > keptWrites {
		delete(e.writes, e.recent[0].stamp)
		e.recent = e.recent[1:]
	}
}

// lose counts what was on the line up to a sequence, and after another one.
func (e *Entry) lose(upTo, after uint64) {
	for _, w := range e.recent {
		w.lost = w.lost || w.seq > after
	}
	if upTo > after {
		e.ledger.count(func(i *Integrity) { i.LostWrites += int64(upTo - after) })
	}
}

// origin is the sequence at which a write left the line: of the newest write on the line
// that it was derived from; 0 if there is none.
func (w *Write) origin() uint64 {
	for b := w.base; b != nil; b = b.base {
		if b.known && !b.lost {
			return b.seq
		}
	}
	return 0
}

// CheckItem checks the item that a call was answered with, and returns the write it is, or nil
// if it is none. A session that was gone is counted as resurrected.
func (e *Entry) CheckItem(v view, item []byte) *Write {
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
	case v.head == nil, v.head.lost: // nothing was known, or it was counted already
	case w.lost, w.seq < v.head.seq:
		e.itemOlder(v, w)
	}
	return w
}

// itemForgotten is for an item whose stamp is remembered no more.
func (e *Entry) itemForgotten(v view, seq, stamp uint64) *Write {
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

// itemNew is for a write that is seen before its answer, or instead of one.
func (e *Entry) itemNew(v view, w *Write) {
	switch {
	case e.head == nil, w.base != nil && w.base.stamp == e.head.stamp:
		e.extend(w)
	case v.head != nil && !v.head.lost && w.origin() < v.head.seq:
		// It took effect on top of what its writer had never seen.
		e.lose(v.head.seq, w.origin())
		e.extend(w)
	}
}

// itemOlder is for a read that did not find what was there before it began. The line goes
// on from what it found, so that the loss is counted once; if it comes back after
// all, it is nothing new.
func (e *Entry) itemOlder(v view, w *Write) {
	e.lose(v.head.seq, w.seq)
	e.recent = nil
	e.writes[w.stamp] = w
	e.extend(w)
}

// expire gives up writes of unknown outcome whose time was over when this call began,
// which has seen another one.
func (e *Entry) expire(v view, seen *Write) {
	for _, w := range e.writes {
		if w.unknown && !w.known && w != seen && w.until.Before(v.began) {
			w.expired = true
		}
	}
}
