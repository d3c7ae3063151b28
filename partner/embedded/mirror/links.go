package mirror

import (
	"errors"
	"sync"
	"sync/atomic"
	"time"

	"github.com/mirrorstate/mirrorstate/partner/embedded/message"
)

// The three links of a pair with a witness.
const (
	LinkPartners = iota
	linkWitnessA
	linkWitnessB
	linkCount
)

// weather is what the faults make of the links.
type links struct {
	Faulty atomic.Bool // some link is not clear: look closer

	Mu          sync.Mutex // also guards the partners' faults and down
	Connections [linkCount]Connection
	Changed     chan struct{} // closed at every change
	ended       bool          // the pair stops: nobody waits any more
}

// Connection is the condition of a link. Its ends notice at once that it is cut, and that
// it is silent only by the partner time-out.
type Connection struct {
	cut    bool
	silent time.Time // since when nothing comes through; zero: everything does
}

// Clear reports whether what is said arrives.
func (c Connection) Clear() bool { return !c.cut && c.silent.IsZero() }

// Lost reports whether its ends have noticed, by now.
func (c Connection) Lost(now time.Time, patience time.Duration) bool {
	return c.cut || !c.silent.IsZero() && now.Sub(c.silent) >= patience
}

// After is the condition from now on.
func (c Connection) After(cut, silent bool, now time.Time) Connection {
	c.cut = cut
	switch {
	case !silent:
		c.silent = time.Time{}
	case c.silent.IsZero():
		c.silent = now
	}
	return c
}

// Why a record did not get to the mirror, or its answer not back.
var (
	errLinkCut    = errors.New("the partners are not connected")
	errLinkSilent = errors.New("the partner did not answer within the partner time-out")
	errDeposed    = errors.New("the mirror has become principal")
)

// sky is the links as they are at one moment.
type linkView struct {
	clear, lost [linkCount]bool
	next        time.Duration // until a silent link counts as lost; 0: none
}

// see looks at all the links.
func (p *Pair) viewLinks() (s linkView) {
	w := &p.Links
	w.Mu.Lock()
	defer w.Mu.Unlock()
	now, patience := time.Now(), p.partnerTimeout()
	for i, c := range w.Connections {
		s.clear[i], s.lost[i] = c.Clear(), c.Lost(now, patience)
		if !c.Clear() && !s.lost[i] {
			left := c.silent.Add(patience).Sub(now)
			if s.next == 0 || left < s.next {
				s.next = left
			}
		}
	}
	return s
}

// patience is the partner time-out.
func (p *Pair) partnerTimeout() time.Duration { return time.Duration(p.timeout.Load()) }

// forecast computes the links from the faults, and wakes everybody who waits for a
// change. The caller holds weather.mu.
func (p *Pair) updateLinks() {
	w := &p.Links
	now := time.Now()
	var cut, silent bool
	for i, q := range p.Partners {
		down := q.down != "" || w.ended
		mute := q.hasFault(FaultFreeze) || q.hasFault(FaultIsolate)
		w.Connections[linkWitnessA+i] = w.Connections[linkWitnessA+i].After(down, mute, now)
		cut = cut || down || q.hasFault(FaultPartition)
		silent = silent || mute
		q.frozen.Store(q.hasFault(FaultFreeze) && !down)
		q.Dead.Store(q.down == FaultCrash || w.ended && q.hasFault(FaultFreeze))
	}
	w.Connections[LinkPartners] = w.Connections[LinkPartners].After(cut || p.link.cut.Load(), silent, now)
	rough := false
	for _, c := range w.Connections {
		rough = rough || !c.Clear()
	}
	w.Faulty.Store(rough)
	close(w.Changed)
	w.Changed = make(chan struct{})
	p.interrupt() // before the link is looked after again, which must not be what is interrupted
	p.WakeWatch()
}

// suffers reports whether a fault hits the whole server, not only an application. The
// caller holds weather.mu.
func (i *Instance) hasFault(kind string) bool {
	for _, f := range i.faults {
		if f.Kind == kind && f.app == "" {
			return true
		}
	}
	return false
}

// stopping reports whether the pair stops as a whole.
func (p *Pair) stopping() bool {
	p.Links.Mu.Lock()
	defer p.Links.Mu.Unlock()
	return p.Links.ended
}

// Changes is closed when the weather next changes.
func (w *links) Changes() <-chan struct{} {
	w.Mu.Lock()
	defer w.Mu.Unlock()
	return w.Changed
}

// pass waits until something gets through between the partners, at most for the
// partner time-out.
func (p *Pair) awaitLink() error {
	w := &p.Links
	for w.Faulty.Load() {
		w.Mu.Lock()
		c, changed := w.Connections[LinkPartners], w.Changed
		w.Mu.Unlock()
		switch {
		case c.cut:
			return errLinkCut
		case c.Clear():
			return nil
		case c.Lost(time.Now(), p.partnerTimeout()):
			return errLinkSilent
		}
		limit := time.NewTimer(time.Until(c.silent.Add(p.partnerTimeout())))
		select {
		case <-changed:
		case <-limit.C:
		}
		limit.Stop()
	}
	return nil
}

// stand is where a frozen server stands still. The error is why it must not go on: it was
// killed, or its database is closed.
func (d *Database) awaitThaw() error {
	for d.Instance.frozen.Load() {
		changed := d.Mirroring.pair.Links.Changes()
		if d.Instance.frozen.Load() {
			<-changed // there is one when the fault is lifted, the server killed, or the pair stopped
		}
	}
	switch {
	case d.Instance.Dead.Load():
		return message.ErrKillState()
	case d.Closed.Load():
		return d.Killed()
	}
	return nil
}

// calmDown lifts everything that would keep the pair from stopping.
func (p *Pair) liftFaults() {
	p.Links.Mu.Lock()
	p.Links.ended = true
	p.updateLinks()
	p.Links.Mu.Unlock()
	for _, q := range p.Partners {
		q.gate.end(false)
	}
}
