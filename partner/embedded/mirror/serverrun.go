package mirror

import (
	"context"
	"errors"
	"fmt"
	"net"
	"slices"
	"time"

	"github.com/mirrorstate/mirrorstate/partner/embedded/sqlerror"
	"github.com/mirrorstate/mirrorstate/partner/embedded/storage"
)

// serverRun is one run of the server, from a start to its end.
type serverRun struct {
	ctx      context.Context
	cancel   context.CancelFunc
	listener net.Listener
	done     chan struct{} // closed when the last connection is closed
}

// errStopped means that the whole pair stops.
var errStopped = errors.New("the pair is stopping")

func (i *Instance) newServerRun(listener net.Listener) *serverRun {
	ctx, cancel := context.WithCancel(context.Background())
	return &serverRun{ctx: ctx, cancel: cancel, listener: &gatedListener{listener, i.gate}, done: make(chan struct{})}
}

// run runs the server, and runs it again after each start, until ctx ends.
func (i *Instance) run(ctx context.Context) error {
	for {
		select {
		case <-ctx.Done():
			return nil
		case l := <-i.lives:
			stop := context.AfterFunc(ctx, l.cancel)
			err := i.Server.Serve(l.ctx, l.listener)
			stop()
			close(l.done)
			if err != nil {
				return fmt.Errorf("partner %s: %w", i.Letter, err)
			}
		}
	}
}

// stopServer ends the server. A crash resets the connections and finishes nothing; a stop ends it in
// order. The port is free until the start, and refuses connections.
func (i *Instance) stopServer(ctx context.Context, kind string) error {
	if down := i.IsDown(); down != "" {
		if kind == FaultCrash {
			i.setDown(kind) // the server is down already: there is nothing to stop in order
		}
		return nil
	}
	if kind == FaultCrash {
		i.setDown(kind)
	}
	l := i.life
	i.gate.end(kind == FaultCrash)
	l.cancel() // closes the listener
	select {
	case <-l.done:
	case <-ctx.Done():
		return context.Cause(ctx)
	case <-i.Pair.over:
		return errStopped
	}
	i.setDown(kind)
	return i.Pair.Verb(ctx, func(ctx context.Context) error {
		return i.each(ctx, func(d *Database) error {
			d.Mirror = nil
			d.Mirroring.ShowState(StateDisconnected)
			return d.Store.Shut()
		})
	})
}

// each calls f for each database while nobody writes to it.
func (i *Instance) each(ctx context.Context, f func(d *Database) error) error {
	var errs []error
	for _, d := range i.all() {
		errs = append(errs, d.Alone(ctx, true, func() error { return f(d) }))
	}
	return errors.Join(errs...)
}

// IsDown returns crash or stop, or "" while the server runs.
func (i *Instance) IsDown() string {
	i.Pair.Links.Mu.Lock()
	defer i.Pair.Links.Mu.Unlock()
	return i.down
}

// setDown marks the server as down, or as running. A frozen process that ends is no longer frozen.
func (i *Instance) setDown(kind string) {
	w := &i.Pair.Links
	w.Mu.Lock()
	defer w.Mu.Unlock()
	i.down = kind
	if kind != "" {
		i.faults = slices.DeleteFunc(slices.Clone(i.faults), func(f Fault) bool { return f.Kind == FaultFreeze })
		i.gate.set(slices.DeleteFunc(slices.Clone(i.faults), func(f Fault) bool { return f.Kind == FaultPartition }))
	}
	i.Pair.updateLinks()
}

// start opens the partner's files and port again. It does not open the database to clients before
// it has asked the partner and the witness for the principal.
func (i *Instance) start(ctx context.Context) error {
	if i.IsDown() == "" {
		return nil
	}
	if i.Pair.stopping() {
		return errStopped
	}
	// Open the port first, because the caller may stop waiting for it.
	listener, err := i.Pair.listenAgain(ctx, i.addr.String())
	if err != nil {
		return err
	}
	err = i.Pair.Verb(ctx, func(ctx context.Context) error { return i.each(ctx, (*Database).reopen) })
	if err != nil {
		return errors.Join(err, listener.Close())
	}
	i.gate.begin()
	i.life = i.newServerRun(listener)
	select {
	case i.lives <- i.life:
	case <-i.Pair.over:
		return errors.Join(errStopped, listener.Close())
	}
	i.setDown("")
	return nil
}

// reopen reads the database's files again. The caller holds the turn.
func (d *Database) reopen() error {
	if err := d.Store.Reopen(); err != nil {
		return err
	}
	m, err := d.Store.LoadMirroring()
	if err == nil && m == nil {
		if d.IsMirrored() {
			err = errors.New("the data is missing")
		}
		m = &storage.Mirroring{}
	}
	if err == nil && m.Role == storage.RolePrincipal {
		// The mirror may have a commit that this server had not finished. The next commit has the same number, and must
		// not be mistaken for that commit.
		m.NewFork(m.Sequence, d.Store.LSN.Load())
		err = d.Store.SaveMirroring(m)
	}
	if err != nil {
		return errors.Join(err, d.Store.Shut())
	}
	d.acked.Store(0) // not known, so that nothing is trimmed
	d.State.Store(m)
	d.Closed.Store(m.Role == storage.RolePrincipal)
	d.Term.Add(1)
	return nil
}

// ListenRetry is the delay between two attempts to listen on a port that is in use.
const ListenRetry = 10 * time.Millisecond

// listenAgain listens on the port again. Another process may use it for a moment, as the local port of
// a connection.
func (p *Pair) listenAgain(ctx context.Context, addr string) (net.Listener, error) {
	for {
		l, err := p.listen("tcp", addr)
		if err == nil {
			return l, nil
		}
		again := time.NewTimer(ListenRetry)
		select {
		case <-again.C:
		case <-ctx.Done():
			again.Stop()
			return nil, fmt.Errorf("listen on %s: %w", addr, err)
		}
	}
}

// Shut closes the principal's database to its sessions, until [Database.Unshut].
func (d *Database) Shut(why string) {
	if d.State.Load().Role != storage.RolePrincipal || d.Closed.Swap(true) {
		return
	}
	d.closing.Store(sqlerror.ErrNoQuorum(d.Title))
	d.Term.Add(1)
	d.Instance.Sessions.drop(d)
	d.Instance.Log.Warn("database closed", "reason", why)
	d.Mirroring.pair.events.publish("state", d.Instance.Letter, "closed: "+why)
}

// Unshut opens the principal's database again.
func (d *Database) Unshut() {
	if d.Closed.Swap(false) && d.State.Load().Role == storage.RolePrincipal {
		d.Instance.Log.Info("database opened")
		d.Mirroring.pair.events.publish("state", d.Instance.Letter, "open")
	}
}
