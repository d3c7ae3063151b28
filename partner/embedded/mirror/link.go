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

// LinkState is the state of the mirroring session, as both partners show it, numbered as mirroring_state.
type LinkState int32

const (
	StateSuspended       LinkState = 0
	StateDisconnected    LinkState = 1
	StateSynchronizing   LinkState = 2
	statePendingFailover LinkState = 3
	StateSynchronized    LinkState = 4
)

// String returns mirroring_state_desc.
func (s LinkState) String() string {
	return [...]string{"SUSPENDED", "DISCONNECTED", "SYNCHRONIZING", "PENDING_FAILOVER", "SYNCHRONIZED"}[s]
}

// link connects the partners. Both are in one process, so that only an injected fault can cut the link; see
// [Instance.Inject].
type link struct {
	wake chan struct{}
	cut  atomic.Bool // cut by Partition; for the other faults see links
}

// sessionLink is the state of one mirroring session.
type sessionLink struct {
	state atomic.Int32 // a LinkState
	// switching: a manual failover is running, and the principal shows PENDING_FAILOVER.
	switching atomic.Bool
}

func (l *link) init() {
	l.wake = make(chan struct{}, 1)
}

// State returns mirroring_state_desc, as both partners show it, of the pair's first database, or else of another
// mirrored one; "" if no database is mirrored.
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

// LinkState returns the state of the mirroring session.
func (s *Session) LinkState() LinkState { return LinkState(s.link.state.Load()) }

// ShowState changes the state and logs the change.
func (s *Session) ShowState(to LinkState) {
	if old := LinkState(s.link.state.Swap(int32(to))); old != to {
		s.pair.log.Info("mirroring state changed", "from", old.String(), "to", to.String())
		s.pair.events.publish("state", "", to.String())
	}
}

// WakeWatch makes watchLinks check the links soon.
func (p *Pair) WakeWatch() {
	select {
	case p.link.wake <- struct{}{}:
	default:
	}
}

// begin reads the stored mirroring state, determines the principal of each database and synchronizes the mirror, before
// the pair serves clients.
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
		return fmt.Errorf("connect the partners: %w", err)
	}
	return nil
}

// begin reads the stored mirroring state of a database. If one server has lost the data of a mirrored database, begin
// creates it again there. by.Schema creates the objects of the pair's first database.
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
		return nil // the database is not mirrored
	case fresh:
		made, err := by.Schema(s.bothCopies()[0])
		if err != nil {
			return errors.Join(err, s.bothCopies()[0].removeLeftovers())
		}
		states[0] = &storage.Mirroring{GUID: storage.NewGUID(), Role: storage.RolePrincipal, SafetyFull: true, SafetySequence: 1, Timeout: s.pair.seconds}
		states[0].NewFork(1, 0)
		mirror := *states[0]
		mirror.Role = storage.RoleMirror
		if made { // the resynchronisation copies it from the principal
			mirror.History, mirror.Diverged = nil, true
		}
		states[1] = &mirror
	}
	for i, q := range s.pair.Partners {
		m := states[i]
		if m == nil {
			// The data is missing: this copy starts again as an empty mirror of the other one.
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

// isFirst reports whether the database is the pair's first one.
func (s *Session) isFirst() bool {
	return !s.pair.Folder.empty && strings.EqualFold(s.title, s.pair.Folder.title)
}

// openWait is the limit for the synchronization of the mirror in Open.
const openWait = 5 * time.Minute

// Partition cuts the link between the partners, or restores it. Clients and the witness still reach both. It returns
// when the principal has noticed.
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
