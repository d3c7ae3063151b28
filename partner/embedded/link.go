package embedded

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"sync/atomic"
	"time"
)

// linkState is the state of the mirroring session, which both partners show;
// numbered as mirroring_state.
type linkState int32

const (
	stateSuspended       linkState = 0
	stateDisconnected    linkState = 1
	stateSynchronizing   linkState = 2
	statePendingFailover linkState = 3
	stateSynchronized    linkState = 4
)

// String is mirroring_state_desc.
func (s linkState) String() string {
	return [...]string{"SUSPENDED", "DISCONNECTED", "SYNCHRONIZING", "PENDING_FAILOVER", "SYNCHRONIZED"}[s]
}

// link connects the partners. In one process it
// can't fail by itself; see [Partner.Inject].
type link struct {
	wake chan struct{}
	cut  atomic.Bool // by Partition; see weather for the rest
}

// sessionLink is the state of one mirroring session.
type sessionLink struct {
	state atomic.Int32 // a linkState
	// switching: a manual failover is under way, and the principal shows PENDING_FAILOVER.
	switching atomic.Bool
}

func (l *link) init() {
	l.wake = make(chan struct{}, 1)
}

// State is mirroring_state_desc as both partners show it, of the database the pair began with, or what else is mirrored; ""
// if nothing is.
func (p *pair) State() string {
	if s := p.main(); s != nil && s.mirrored() {
		return s.linkState().String()
	}
	return ""
}

func (s *mirroringSession) linkState() linkState { return linkState(s.link.state.Load()) }

// showState changes the state and tells the log.
func (s *mirroringSession) showState(to linkState) {
	if old := linkState(s.link.state.Swap(int32(to))); old != to {
		s.pair.log.Info("mirroring state changed", "from", old.String(), "to", to.String())
		s.pair.events.tell("state", "", to.String())
	}
}

// poke has the link looked after soon.
func (p *pair) poke() {
	select {
	case p.link.wake <- struct{}{}:
	default:
	}
}

// begin reads what the partners remember, settles who is principal of each database and brings the
// mirror up to date, before anybody is served.
func (p *pair) begin(o *Options, by service) error {
	if p.seconds > maxTimeout {
		p.seconds = maxTimeout
	}
	timeout := p.seconds
	for _, s := range p.sessions() {
		s.witness.on = o.Witness && s.isFirst() || s.hadWitness()
		if err := s.begin(by); err != nil {
			return err
		}
		if d := s.both()[0]; s.mirrored() {
			timeout = d.state.Load().timeout
		}
	}
	if p.timeout.Load() == 0 {
		p.timeout.Store(timeout * int64(time.Second))
	}
	ctx, cancel := context.WithTimeout(context.Background(), openWait)
	defer cancel()
	if err := p.tend(ctx); err != nil {
		return fmt.Errorf("bring the partners together: %w", err)
	}
	return nil
}

// begin reads what the partners remember of a database. A mirrored one whose data is gone on one server
// is made again there. What is in the one that a pair begins with comes of schema.
func (s *mirroringSession) begin(by service) error {
	var states [2]*mirroring
	for i, d := range s.both() {
		var err error
		if d == nil {
			continue
		}
		if states[i], err = d.store.loadMirroring(); err != nil {
			return err
		}
	}
	fresh := states[0] == nil && states[1] == nil
	switch {
	case fresh && !s.isFirst():
		return nil // it is not mirrored
	case fresh:
		made, err := by.schema(s.both()[0])
		if err != nil {
			return errors.Join(err, s.both()[0].unmake())
		}
		states[0] = &mirroring{guid: newGUID(), role: rolePrincipal, safetyFull: true, safetySequence: 1, timeout: s.pair.seconds}
		states[0].newReign(1, 0)
		mirror := *states[0]
		mirror.role = roleMirror
		if made { // it gets it from the principal
			mirror.history, mirror.diverged = nil, true
		}
		states[1] = &mirror
	}
	for i, q := range s.pair.partners {
		m := states[i]
		if m == nil {
			// Its data is gone: it starts again as an empty mirror of the other.
			lost := *states[1-i]
			lost.role, lost.history, lost.diverged = roleMirror, nil, true
			m = &lost
			if s.both()[i] == nil {
				d, err := q.openDatabase(s.pair.folder.database(q.name, s.title), *s.both()[1-i].store.about.Load())
				if err != nil {
					return err
				}
				d.adopt()
			}
		}
		d := s.both()[i]
		d.state.Store(m)
		if err := d.store.saveMirroring(m); err != nil {
			return err
		}
	}
	return nil
}

// isFirst tells whether it is the database that the pair began with.
func (s *mirroringSession) isFirst() bool {
	return !s.pair.folder.empty && strings.EqualFold(s.title, s.pair.folder.title)
}

// openWait is how long Open may take to bring the mirror up to date.
const openWait = 5 * time.Minute

// Partition cuts the link between the partners, or heals it. Clients, and the
// witness, reach both as before. It returns when the principal has noticed.
func (p *pair) Partition(ctx context.Context, cut bool) error {
	p.weather.mu.Lock()
	p.link.cut.Store(cut)
	p.forecast()
	p.weather.mu.Unlock()
	if !cut {
		return nil
	}
	return p.tend(ctx)
}
