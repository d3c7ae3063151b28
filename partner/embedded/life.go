package embedded

import (
	"context"
	"errors"
	"fmt"
	"net"
	"slices"
	"time"
)

// life is the time between a start of the server and its end.
type life struct {
	ctx      context.Context
	cancel   context.CancelFunc
	listener net.Listener
	done     chan struct{} // closed when the last connection is
}

// errStopped: the pair stops as a whole.
var errStopped = errors.New("the pair is stopping")

func (p *instance) newLife(listener net.Listener) *life {
	ctx, cancel := context.WithCancel(context.Background())
	return &life{ctx: ctx, cancel: cancel, listener: &gatedListener{listener, p.gate}, done: make(chan struct{})}
}

// run serves, life after life, until ctx ends.
func (p *instance) run(ctx context.Context) error {
	for {
		select {
		case <-ctx.Done():
			return nil
		case l := <-p.lives:
			stop := context.AfterFunc(ctx, l.cancel)
			err := p.server.Serve(l.ctx, l.listener)
			stop()
			close(l.done)
			if err != nil {
				return fmt.Errorf("partner %s: %w", p.name, err)
			}
		}
	}
}

// halt ends the server: a crash by resets and without finishing anything, a stop in
// order. The port is free until the start, and refuses connections.
func (p *instance) halt(ctx context.Context, kind string) error {
	if down := p.isDown(); down != "" {
		if kind == faultCrash {
			p.setDown(kind) // nothing is left to stop in order
		}
		return nil
	}
	if kind == faultCrash {
		p.setDown(kind)
	}
	l := p.life
	p.gate.end(kind == faultCrash)
	l.cancel() // closes the listener
	select {
	case <-l.done:
	case <-ctx.Done():
		return context.Cause(ctx)
	case <-p.pair.over:
		return errStopped
	}
	p.setDown(kind)
	return p.pair.verb(ctx, func(ctx context.Context) error {
		return p.each(ctx, func(d *database) error {
			d.mirror = nil
			d.pair.showState(stateDisconnected)
			return d.store.shut()
		})
	})
}

// each runs f for each database while nobody writes there.
func (p *instance) each(ctx context.Context, f func(d *database) error) error {
	var errs []error
	for _, d := range p.all() {
		errs = append(errs, d.alone(ctx, true, func() error { return f(d) }))
	}
	return errors.Join(errs...)
}

func (p *instance) isDown() string {
	p.pair.weather.mu.Lock()
	defer p.pair.weather.mu.Unlock()
	return p.down
}

// setDown says that the server is down, or up again. A frozen process that ends is
// frozen no more.
func (p *instance) setDown(kind string) {
	w := &p.pair.weather
	w.mu.Lock()
	defer w.mu.Unlock()
	p.down = kind
	if kind != "" {
		p.faults = slices.DeleteFunc(slices.Clone(p.faults), func(f Fault) bool { return f.kind == faultFreeze })
		p.gate.set(slices.DeleteFunc(slices.Clone(p.faults), func(f Fault) bool { return f.kind == faultPartition }))
	}
	p.pair.forecast()
}

// start opens the partner's files and port again. It serves nothing of the database before it
// has asked partner and witness.
func (p *instance) start(ctx context.Context) error {
	if p.isDown() == "" {
		return nil
	}
	if p.pair.stopping() {
		return errStopped
	}
	// The port first: that is what its caller may give up waiting for.
	listener, err := p.pair.relisten(ctx, p.addr.String())
	if err != nil {
		return err
	}
	err = p.pair.verb(ctx, func(ctx context.Context) error { return p.each(ctx, (*database).reopen) })
	if err != nil {
		return errors.Join(err, listener.Close())
	}
	p.gate.begin()
	p.life = p.newLife(listener)
	select {
	case p.lives <- p.life:
	case <-p.pair.over:
		return errors.Join(errStopped, listener.Close())
	}
	p.setDown("")
	return nil
}

// reopen reads again what is on disk. The caller holds the turn.
func (p *database) reopen() error {
	if err := p.store.reopen(); err != nil {
		return err
	}
	m, err := p.store.loadMirroring()
	if err == nil && m == nil {
		if p.isMirrored() {
			err = errors.New("the data is gone")
		}
		m = &mirroring{}
	}
	if err == nil && m.role == rolePrincipal {
		// The mirror may have a commit that we had not finished. It must not be taken for
		// another of the same number.
		m.newReign(m.sequence, p.store.lsn.Load())
		err = p.store.saveMirroring(m)
	}
	if err != nil {
		return errors.Join(err, p.store.shut())
	}
	p.acked.Store(0) // not known: nothing is trimmed
	p.state.Store(m)
	p.closed.Store(m.role == rolePrincipal)
	p.term.Add(1)
	return nil
}

// listenRetry is when a port that somebody else has got is asked for again.
const listenRetry = 10 * time.Millisecond

// relisten takes the port back. Somebody may have it for a moment, as the near end of a connection.
func (p *pair) relisten(ctx context.Context, addr string) (net.Listener, error) {
	for {
		l, err := p.listen("tcp", addr)
		if err == nil {
			return l, nil
		}
		again := time.NewTimer(listenRetry)
		select {
		case <-again.C:
		case <-ctx.Done():
			again.Stop()
			return nil, fmt.Errorf("listen on %s: %w", addr, err)
		}
	}
}

// shut closes the principal's database to its sessions, until [database.unshut].
func (p *database) shut(why string) {
	if p.state.Load().role != rolePrincipal || p.closed.Swap(true) {
		return
	}
	p.closing.Store(errNoQuorum(p.title))
	p.term.Add(1)
	p.instance.sessions.drop(p)
	p.log.Warn("database closed", "reason", why)
	p.pair.events.tell("state", p.name, "closed: "+why)
}

// unshut opens the principal's database again.
func (p *database) unshut() {
	if p.closed.Swap(false) && p.state.Load().role == rolePrincipal {
		p.log.Info("database open")
		p.pair.events.tell("state", p.name, "open")
	}
}
