package embedded

import (
	"context"
	"fmt"
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

// link is the mirroring session, which connects the partners. In one process it
// can't fail by itself; see [Partner.Inject].
type link struct {
	wake  chan struct{}
	cut   atomic.Bool  // by Partition; see weather for the rest
	state atomic.Int32 // a linkState
	// switching: a manual failover is under way, and the principal shows PENDING_FAILOVER.
	switching atomic.Bool
}

func (l *link) init() {
	l.wake = make(chan struct{}, 1)
	l.state.Store(int32(stateDisconnected))
}

// State is mirroring_state_desc as both partners show it.
func (p *Pair) State() string { return p.linkState().String() }

func (p *Pair) linkState() linkState { return linkState(p.link.state.Load()) }

// showState changes the state and tells the log.
func (p *Pair) showState(s linkState) {
	if old := linkState(p.link.state.Swap(int32(s))); old != s {
		p.log.Info("mirroring state changed", "from", old.String(), "to", s.String())
		p.events.tell("state", "", s.String())
	}
}

// poke has the link looked after soon.
func (p *Pair) poke() {
	select {
	case p.link.wake <- struct{}{}:
	default:
	}
}

// begin reads what the partners remember, settles who is principal and brings the
// mirror up to date, before anybody is served.
func (p *Pair) begin() error {
	var states [2]*mirroring
	for i, partner := range p.partners {
		var err error
		if states[i], err = partner.store.loadMirroring(); err != nil {
			return err
		}
	}
	if states[0] == nil && states[1] == nil {
		states[0] = &mirroring{guid: newGUID(), role: rolePrincipal, safetyFull: true, safetySequence: 1, timeout: p.seconds}
		states[0].newReign(1, 0)
		mirror := *states[0]
		mirror.role = roleMirror
		states[1] = &mirror
	}
	for i, partner := range p.partners {
		if m := states[i]; m != nil {
			partner.state.Store(m)
			continue
		}
		// Its data is gone: it starts again as an empty mirror of the other.
		m := *states[1-i]
		m.role, m.history, m.diverged = roleMirror, nil, true
		partner.state.Store(&m)
	}
	for _, partner := range p.partners {
		if err := partner.store.saveMirroring(partner.state.Load()); err != nil {
			return err
		}
	}
	if p.timeout.Load() == 0 {
		p.timeout.Store(p.partners[0].state.Load().timeout * int64(time.Second))
	}
	ctx, cancel := context.WithTimeout(context.Background(), openWait)
	defer cancel()
	if err := p.tend(ctx); err != nil {
		return fmt.Errorf("bring the partners together: %w", err)
	}
	return nil
}

// openWait is how long Open may take to bring the mirror up to date.
const openWait = 5 * time.Minute

// Partition cuts the link between the partners, or heals it. Clients, and the
// witness, reach both as before. It returns when the principal has noticed.
func (p *Pair) Partition(ctx context.Context, cut bool) error {
	p.weather.mu.Lock()
	p.link.cut.Store(cut)
	p.forecast()
	p.weather.mu.Unlock()
	if !cut {
		return nil
	}
	return p.tend(ctx)
}
