package mirror

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"sync/atomic"
	"time"

	"github.com/mirrorstate/mirrorstate/partner/embedded/storage"
)

// LinkState is the state of the mirroring session, which both partners show;
// numbered as mirroring_state.
type LinkState int32

const (
	StateSuspended       LinkState = 0
	StateDisconnected    LinkState = 1
	StateSynchronizing   LinkState = 2
	statePendingFailover LinkState = 3
	StateSynchronized    LinkState = 4
)

// String is mirroring_state_desc.
func (s LinkState) String() string {
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
func (p *Pair) State() string {
	if s := p.Main(); s != nil && s.mirrored() {
		return s.LinkState().String()
	}
	return ""
}

// Synchronized waits until the state is SYNCHRONIZED. The error is that of ctx.
func (p *Pair) Synchronized(ctx context.Context) error {
	events, unsubscribe := p.Events()
	defer unsubscribe()
	for p.State() != StateSynchronized.String() {
		select {
		case <-events:
		case <-ctx.Done():
			return fmt.Errorf("the state is %s: %w", p.State(), context.Cause(ctx))
		}
	}
	return nil
}

// LinkState is the state of the mirroring session.
func (s *Session) LinkState() LinkState { return LinkState(s.link.state.Load()) }

// ShowState changes the state and tells the log.
func (s *Session) ShowState(to LinkState) {
	if old := LinkState(s.link.state.Swap(int32(to))); old != to {
		s.pair.log.Info("mirroring state changed", "from", old.String(), "to", to.String())
		s.pair.events.publish("state", "", to.String())
	}
}

// Poke has the link looked after soon.
func (p *Pair) WakeWatch() {
	select {
	case p.link.wake <- struct{}{}:
	default:
	}
}

// begin reads what the partners remember, settles who is principal of each database and brings the
// mirror up to date, before anybody is served.
func (p *Pair) begin(o *Options, by Service) error {
	if p.seconds > maxTimeout {
		p.seconds = maxTimeout
	}
	timeout := p.seconds
	for _, s := range p.sessions() {
		s.Arbiter.on = o.Witness && s.isFirst() || s.storedWitness()
		if err := s.begin(by); err != nil {
			return err
		}
		if d := s.bothCopies()[0]; s.mirrored() {
			timeout = d.State.Load().Timeout
		}
	}
	if p.timeout.Load() == 0 {
		p.timeout.Store(timeout * int64(time.Second))
	}
	ctx, cancel := context.WithTimeout(context.Background(), openWait)
	defer cancel()
	if err := p.Reconcile(ctx); err != nil {
		return fmt.Errorf("bring the partners together: %w", err)
	}
	return nil
}

// begin reads what the partners remember of a database. A mirrored one whose data is gone on one server
// is made again there. What is in the one that a pair begins with comes of schema.
func (s *Session) begin(by Service) error {
	var states [2]*storage.Mirroring
	for i, d := range s.bothCopies() {
		var err error
		if d == nil {
			continue
		}
		if states[i], err = d.Store.LoadMirroring(); err != nil {
			return err
		}
	}
	fresh := states[0] == nil && states[1] == nil
	switch {
	case fresh && !s.isFirst():
		return nil // it is not mirrored
	case fresh:
		made, err := by.Schema(s.bothCopies()[0])
		if err != nil {
			return errors.Join(err, s.bothCopies()[0].removeLeftovers())
		}
		states[0] = &storage.Mirroring{GUID: storage.NewGUID(), Role: storage.RolePrincipal, SafetyFull: true, SafetySequence: 1, Timeout: s.pair.seconds}
		states[0].NewFork(1, 0)
		mirror := *states[0]
		mirror.Role = storage.RoleMirror
		if made { // it gets it from the principal
			mirror.History, mirror.Diverged = nil, true
		}
		states[1] = &mirror
	}
	for i, q := range s.pair.Partners {
		m := states[i]
		if m == nil {
			// Its data is gone: it starts again as an empty mirror of the other.
			lost := *states[1-i]
			lost.Role, lost.History, lost.Diverged = storage.RoleMirror, nil, true
			m = &lost
			if s.bothCopies()[i] == nil {
				d, err := q.OpenDatabase(s.pair.Folder.Database(q.Letter, s.title), *s.bothCopies()[1-i].Store.About.Load())
				if err != nil {
					return err
				}
				d.Register()
			}
		}
		d := s.bothCopies()[i]
		d.State.Store(m)
		if err := d.Store.SaveMirroring(m); err != nil {
			return err
		}
	}
	return nil
}

// isFirst reports whether it is the database that the pair began with.
func (s *Session) isFirst() bool {
	return !s.pair.Folder.empty && strings.EqualFold(s.title, s.pair.Folder.title)
}

// openWait is how long Open may take to bring the mirror up to date.
const openWait = 5 * time.Minute

// Partition cuts the link between the partners, or heals it. Clients, and the
// witness, reach both as before. It returns when the principal has noticed.
func (p *Pair) Partition(ctx context.Context, cut bool) error {
	p.Links.Mu.Lock()
	p.link.cut.Store(cut)
	p.updateLinks()
	p.Links.Mu.Unlock()
	if !cut {
		return nil
	}
	return p.Reconcile(ctx)
}
