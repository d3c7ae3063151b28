package mirror

import (
	"errors"
	"sync"
	"sync/atomic"
	"time"

	"github.com/mirrorstate/mirrorstate/partner/embedded/sqlerror"
)

// The three links of a pair with a witness.
const (
	LinkPartners = iota
	linkWitnessA
	linkWitnessB
	linkCount
)

// links is the state of the links that results from the faults.
type links struct {
	Faulty atomic.Bool // a link is not clear: check the condition of each

	Mu          sync.Mutex // also guards the partners' faults and down
	Connections [linkCount]Connection
	Changed     chan struct{} // closed at every change
	ended       bool          // the pair stops: no goroutine may wait any more
}

// Connection is the condition of one link. Both ends notice a cut link at once, and a
// silent link after the partner timeout.
type Connection struct {
	cut    bool
	silent time.Time // since when no message arrives; zero: all messages arrive
}

// Clear reports whether messages arrive.
func (c Connection) Clear() bool { return !c.cut && c.silent.IsZero() }

// Lost reports whether both ends have noticed by now that the link is down.
func (c Connection) Lost(now time.Time, timeout time.Duration) bool {
	return c.cut || !c.silent.IsZero() && now.Sub(c.silent) >= timeout
}

// After returns the condition from now on.
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

// The errors of a record that did not reach the mirror, or that the mirror did not acknowledge.
var (
	errLinkCut    = errors.New("the partners are not connected")
	errLinkSilent = errors.New("the partner did not answer within the partner timeout")
	errDeposed    = errors.New("the mirror has become principal")
)

// linkView is the state of the links at one moment.
type linkView struct {
	clear, lost [linkCount]bool
	next        time.Duration // until a silent link counts as lost; 0: none
}

// viewLinks returns the current state of all links.
func (p *Pair) viewLinks() (s linkView) {
	w := &p.Links
	w.Mu.Lock()
	defer w.Mu.Unlock()
	now, timeout := time.Now(), p.partnerTimeout()
	for i, c := range w.Connections {
		s.clear[i], s.lost[i] = c.Clear(), c.Lost(now, timeout)
		if !c.Clear() && !s.lost[i] {
			left := c.silent.Add(timeout).Sub(now)
			if s.next == 0 || left < s.next {
				s.next = left
			}
		}
	}
	return s
}

// partnerTimeout returns the partner timeout.
func (p *Pair) partnerTimeout() time.Duration { return time.Duration(p.timeout.Load()) }

// updateLinks computes the links from the faults, and wakes all goroutines that wait for
// a change. The caller holds Links.Mu.
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
	p.interrupt() // before the wake-up; otherwise it could interrupt the verb of watchLinks
	p.WakeWatch()
}

// hasFault reports whether a fault of that kind applies to the whole server, not only to
// an application. The caller holds Links.Mu.
func (i *Instance) hasFault(kind string) bool {
	for _, f := range i.faults {
		if f.Kind == kind && f.app == "" {
			return true
		}
	}
	return false
}

// stopping reports whether the whole pair stops.
func (p *Pair) stopping() bool {
	p.Links.Mu.Lock()
	defer p.Links.Mu.Unlock()
	return p.Links.ended
}

// Changes returns a channel that is closed at the next change of the links.
func (w *links) Changes() <-chan struct{} {
	w.Mu.Lock()
	defer w.Mu.Unlock()
	return w.Changed
}

// awaitLink waits until messages arrive between the partners, at most for the partner
// timeout.
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

// awaitThaw blocks while the server is frozen. It returns an error if the server must not
// continue, because it was killed, or its database is closed.
func (d *Database) awaitThaw() error {
	for d.Instance.frozen.Load() {
		changed := d.Mirroring.pair.Links.Changes()
		if d.Instance.frozen.Load() {
			<-changed // the links change when the fault is removed, the server is killed, or the pair stops
		}
	}
	switch {
	case d.Instance.Dead.Load():
		return sqlerror.ErrKillState()
	case d.Closed.Load():
		return d.Killed()
	}
	return nil
}

// liftFaults removes all faults that would keep the pair from stopping.
func (p *Pair) liftFaults() {
	p.Links.Mu.Lock()
	p.Links.ended = true
	p.updateLinks()
	p.Links.Mu.Unlock()
	for _, q := range p.Partners {
		q.gate.end(false)
	}
}
