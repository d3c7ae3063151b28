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

func (i *instance) newLife(listener net.Listener) *life {
	ctx, cancel := context.WithCancel(context.Background())
	return &life{ctx: ctx, cancel: cancel, listener: &gatedListener{listener, i.gate}, done: make(chan struct{})}
}

// run serves, life after life, until ctx ends.
func (i *instance) run(ctx context.Context) error {
	for {
		select {
		case <-ctx.Done():
			return nil
		case l := <-i.lives:
			stop := context.AfterFunc(ctx, l.cancel)
			err := i.server.Serve(l.ctx, l.listener)
			stop()
			close(l.done)
			if err != nil {
				return fmt.Errorf("partner %s: %w", i.name, err)
			}
		}
	}
}

// halt ends the server: a crash by resets and without finishing anything, a stop in
// order. The port is free until the start, and refuses connections.
func (i *instance) halt(ctx context.Context, kind string) error {
	if down := i.isDown(); down != "" {
		if kind == faultCrash {
			i.setDown(kind) // nothing is left to stop in order
		}
		return nil
	}
	if kind == faultCrash {
		i.setDown(kind)
	}
	l := i.life
	i.gate.end(kind == faultCrash)
	l.cancel() // closes the listener
	select {
	case <-l.done:
	case <-ctx.Done():
		return context.Cause(ctx)
	case <-i.pair.over:
		return errStopped
	}
	i.setDown(kind)
	return i.pair.verb(ctx, func(ctx context.Context) error {
		return i.each(ctx, func(d *database) error {
			d.mirror = nil
			d.mirroring.showState(stateDisconnected)
			return d.store.shut()
		})
	})
}

// each runs f for each database while nobody writes there.
func (i *instance) each(ctx context.Context, f func(d *database) error) error {
	var errs []error
	for _, d := range i.all() {
		errs = append(errs, d.alone(ctx, true, func() error { return f(d) }))
	}
	return errors.Join(errs...)
}

func (i *instance) isDown() string {
	i.pair.weather.mu.Lock()
	defer i.pair.weather.mu.Unlock()
	return i.down
}

// setDown says that the server is down, or up again. A frozen process that ends is
// frozen no more.
func (i *instance) setDown(kind string) {
	w := &i.pair.weather
	w.mu.Lock()
	defer w.mu.Unlock()
	i.down = kind
	if kind != "" {
		i.faults = slices.DeleteFunc(slices.Clone(i.faults), func(f Fault) bool { return f.kind == faultFreeze })
		i.gate.set(slices.DeleteFunc(slices.Clone(i.faults), func(f Fault) bool { return f.kind == faultPartition }))
	}
	i.pair.forecast()
}

// start opens the partner's files and port again. It serves nothing of the database before it
// has asked partner and witness.
func (i *instance) start(ctx context.Context) error {
	if i.isDown() == "" {
		return nil
	}
	if i.pair.stopping() {
		return errStopped
	}
	// The port first: that is what its caller may give up waiting for.
	listener, err := i.pair.relisten(ctx, i.addr.String())
	if err != nil {
		return err
	}
	err = i.pair.verb(ctx, func(ctx context.Context) error { return i.each(ctx, (*database).reopen) })
	if err != nil {
		return errors.Join(err, listener.Close())
	}
	i.gate.begin()
	i.life = i.newLife(listener)
	select {
	case i.lives <- i.life:
	case <-i.pair.over:
		return errors.Join(errStopped, listener.Close())
	}
	i.setDown("")
	return nil
}

// reopen reads again what is on disk. The caller holds the turn.
func (d *database) reopen() error {
	if err := d.store.reopen(); err != nil {
		return err
	}
	m, err := d.store.loadMirroring()
	if err == nil && m == nil {
		if d.isMirrored() {
			err = errors.New("the data is gone")
		}
		m = &mirroring{}
	}
	if err == nil && m.role == rolePrincipal {
		// The mirror may have a commit that we had not finished. It must not be taken for
		// another of the same number.
		m.newReign(m.sequence, d.store.lsn.Load())
		err = d.store.saveMirroring(m)
	}
	if err != nil {
		return errors.Join(err, d.store.shut())
	}
	d.acked.Store(0) // not known: nothing is trimmed
	d.state.Store(m)
	d.closed.Store(m.role == rolePrincipal)
	d.term.Add(1)
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
func (d *database) shut(why string) {
	if d.state.Load().role != rolePrincipal || d.closed.Swap(true) {
		return
	}
	d.closing.Store(errNoQuorum(d.title))
	d.term.Add(1)
	d.instance.sessions.drop(d)
	d.instance.log.Warn("database closed", "reason", why)
	d.mirroring.pair.events.tell("state", d.instance.name, "closed: "+why)
}

// unshut opens the principal's database again.
func (d *database) unshut() {
	if d.closed.Swap(false) && d.state.Load().role == rolePrincipal {
		d.instance.log.Info("database open")
		d.mirroring.pair.events.tell("state", d.instance.name, "open")
	}
}
