package embedded

import (
	"errors"
	"sync"
	"sync/atomic"
	"time"
)

// The three links of a pair with a witness.
const (
	linkPartners = iota
	linkWitnessA
	linkWitnessB
	linkCount
)

// weather is what the faults make of the links.
type weather struct {
	rough atomic.Bool // some link is not clear: look closer

	mu      sync.Mutex // also guards the partners' faults and down
	links   [linkCount]connection
	changed chan struct{} // closed at every change
	ended   bool          // the pair stops: nobody waits any more
}

// connection is the condition of a link. Its ends notice at once that it is cut, and that
// it is silent only by the partner time-out.
type connection struct {
	cut    bool
	silent time.Time // since when nothing comes through; zero: everything does
}

func (c connection) clear() bool { return !c.cut && c.silent.IsZero() }

// lost tells whether its ends have noticed, by now.
func (c connection) lost(now time.Time, patience time.Duration) bool {
	return c.cut || !c.silent.IsZero() && now.Sub(c.silent) >= patience
}

// after is the condition from now on.
func (c connection) after(cut, silent bool, now time.Time) connection {
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
type sky struct {
	clear, lost [linkCount]bool
	next        time.Duration // until a silent link counts as lost; 0: none
}

// see looks at all the links.
func (p *pair) see() (s sky) {
	w := &p.weather
	w.mu.Lock()
	defer w.mu.Unlock()
	now, patience := time.Now(), p.patience()
	for i, c := range w.links {
		s.clear[i], s.lost[i] = c.clear(), c.lost(now, patience)
		if !c.clear() && !s.lost[i] {
			left := c.silent.Add(patience).Sub(now)
			if s.next == 0 || left < s.next {
				s.next = left
			}
		}
	}
	return s
}

// patience is the partner time-out.
func (p *pair) patience() time.Duration { return time.Duration(p.timeout.Load()) }

// forecast computes the links from the faults, and wakes everybody who waits for a
// change. The caller holds weather.mu.
func (p *pair) forecast() {
	w := &p.weather
	now := time.Now()
	var cut, silent bool
	for i, q := range p.partners {
		down := q.down != "" || w.ended
		mute := q.suffers(faultFreeze) || q.suffers(faultIsolate)
		w.links[linkWitnessA+i] = w.links[linkWitnessA+i].after(down, mute, now)
		cut = cut || down || q.suffers(faultPartition)
		silent = silent || mute
		q.frozen.Store(q.suffers(faultFreeze) && !down)
		q.dead.Store(q.down == faultCrash || w.ended && q.suffers(faultFreeze))
	}
	w.links[linkPartners] = w.links[linkPartners].after(cut || p.link.cut.Load(), silent, now)
	rough := false
	for _, c := range w.links {
		rough = rough || !c.clear()
	}
	w.rough.Store(rough)
	close(w.changed)
	w.changed = make(chan struct{})
	p.interrupt() // before the link is looked after again, which must not be what is interrupted
	p.poke()
}

// suffers tells whether a fault hits the whole server, not only an application. The
// caller holds weather.mu.
func (i *instance) suffers(kind string) bool {
	for _, f := range i.faults {
		if f.kind == kind && f.app == "" {
			return true
		}
	}
	return false
}

// stopping tells whether the pair stops as a whole.
func (p *pair) stopping() bool {
	p.weather.mu.Lock()
	defer p.weather.mu.Unlock()
	return p.weather.ended
}

// changes is closed when the weather next changes.
func (w *weather) changes() <-chan struct{} {
	w.mu.Lock()
	defer w.mu.Unlock()
	return w.changed
}

// pass waits until something gets through between the partners, at most for the
// partner time-out.
func (p *pair) pass() error {
	w := &p.weather
	for w.rough.Load() {
		w.mu.Lock()
		c, changed := w.links[linkPartners], w.changed
		w.mu.Unlock()
		switch {
		case c.cut:
			return errLinkCut
		case c.clear():
			return nil
		case c.lost(time.Now(), p.patience()):
			return errLinkSilent
		}
		limit := time.NewTimer(time.Until(c.silent.Add(p.patience())))
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
func (d *database) stand() error {
	for d.instance.frozen.Load() {
		changed := d.mirroring.pair.weather.changes()
		if d.instance.frozen.Load() {
			<-changed // there is one when the fault is lifted, the server killed, or the pair stopped
		}
	}
	switch {
	case d.instance.dead.Load():
		return errKillState()
	case d.closed.Load():
		return d.killed()
	}
	return nil
}

// calmDown lifts everything that would keep the pair from stopping.
func (p *pair) calmDown() {
	p.weather.mu.Lock()
	p.weather.ended = true
	p.forecast()
	p.weather.mu.Unlock()
	for _, q := range p.partners {
		q.gate.end(false)
	}
}
