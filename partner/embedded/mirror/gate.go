package mirror

import (
	"math/rand/v2"
	"net"
	"sync"
	"sync/atomic"
	"time"
)

// gate stands between a partner's sockets and its server. Through it the faults
// act that clients see: held connections, resets, slow answers.
type gate struct {
	faulty atomic.Bool // some fault is in force: look closer

	mu      sync.Mutex
	faults  []Fault // of kinds freeze, isolate and slow
	ending  bool    // the server is going down: connections close at once, held or not
	conns   map[*GatedConn]struct{}
	changed chan struct{} // closed when faults or ending change
}

func newGate() *gate {
	return &gate{conns: map[*GatedConn]struct{}{}, changed: make(chan struct{})}
}

// gatedListener is the port during one life of the server.
type gatedListener struct {
	net.Listener
	g *gate
}

// Accept implements [net.Listener].
func (l *gatedListener) Accept() (net.Conn, error) {
	c, err := l.Listener.Accept()
	if err != nil {
		return nil, err
	}
	return l.g.admit(c), nil
}

func (g *gate) admit(c net.Conn) *GatedConn {
	g.mu.Lock()
	defer g.mu.Unlock()
	gated := &GatedConn{Conn: c, g: g, closed: make(chan struct{})}
	g.conns[gated] = struct{}{}
	return gated
}

// set puts the faults in force, and closes what was closed while it was held and is
// held no more.
func (g *gate) set(faults []Fault) {
	g.change(func() {
		g.faults = faults
		g.faulty.Store(len(faults) > 0)
	})
}

// end closes all connections, by a reset or as the server does by itself, and
// holds none back from now on.
func (g *gate) end(reset bool) {
	g.change(func() { g.ending = true })
	if reset {
		g.sever("")
	}
}

// begin takes connections again.
func (g *gate) begin() { g.change(func() { g.ending = false }) }

func (g *gate) change(f func()) {
	g.mu.Lock()
	defer g.mu.Unlock()
	f()
	for c := range g.conns {
		if c.left && !g.holds(c) {
			g.forget(c)
		}
	}
	close(g.changed)
	g.changed = make(chan struct{})
}

// sever resets the connections of an application, or all.
func (g *gate) sever(app string) {
	g.mu.Lock()
	defer g.mu.Unlock()
	for c := range g.conns {
		if !c.belongsTo(app) {
			continue
		}
		if tcp, ok := c.Conn.(*net.TCPConn); ok {
			_ = tcp.SetLinger(0) // so that Close resets; of a closed socket there is nothing to reset
		}
		g.forget(c)
	}
}

// forget closes a connection for good. The caller holds mu.
func (g *gate) forget(c *GatedConn) {
	delete(g.conns, c)
	c.err = c.Conn.Close()
}

// holds reports whether nothing of the connection goes in or out. The caller holds mu.
func (g *gate) holds(c *GatedConn) bool {
	if g.ending {
		return false
	}
	for _, f := range g.faults {
		if f.Kind != faultSlow && c.belongsTo(f.app) {
			return true
		}
	}
	return false
}

// GatedConn is one client's connection behind the gate.
type GatedConn struct {
	net.Conn
	g      *gate
	app    atomic.Pointer[string] // nil before the login
	once   sync.Once
	closed chan struct{} // the server has closed it

	// Guarded by g.mu.
	left bool // closed, but held: the client must not see it yet
	err  error
}

// LoggedIn tells the gate whose connection it is.
func (c *GatedConn) LoggedIn(app string) { c.app.Store(&app) }

// belongsTo reports whether a fault for that application hits the connection.
func (c *GatedConn) belongsTo(app string) bool {
	mine := c.app.Load()
	return app == "" || mine != nil && *mine == app
}

// wait returns when nothing holds the connection, or the server has closed it.
func (c *GatedConn) wait() error {
	for c.g.faulty.Load() {
		c.g.mu.Lock()
		held, changed := c.g.holds(c), c.g.changed
		c.g.mu.Unlock()
		if !held {
			return nil
		}
		select {
		case <-changed:
		case <-c.closed:
			return net.ErrClosed
		}
	}
	return nil
}

// Read implements [net.Conn]. What came in while the connection was held, is read afterwards.
func (c *GatedConn) Read(b []byte) (int, error) {
	if err := c.wait(); err != nil {
		return 0, err
	}
	n, err := c.Conn.Read(b)
	if held := c.wait(); held != nil {
		return 0, held
	}
	return n, err
}

// Write implements [net.Conn].
func (c *GatedConn) Write(b []byte) (int, error) {
	if err := c.wait(); err != nil {
		return 0, err
	}
	if c.g.faulty.Load() {
		if err := c.delayWrite(); err != nil {
			return 0, err
		}
	}
	return c.Conn.Write(b)
}

// dawdle waits as long as the slow faults want.
func (c *GatedConn) delayWrite() error {
	c.g.mu.Lock()
	var delay time.Duration
	for _, f := range c.g.faults {
		if f.Kind == faultSlow && c.belongsTo(f.app) {
			delay += f.delay
			if f.jitter > 0 {
				delay += rand.N(2*f.jitter+1) - f.jitter
			}
		}
	}
	c.g.mu.Unlock()
	if delay > 0 {
		t := time.NewTimer(delay)
		defer t.Stop()
		select {
		case <-t.C:
		case <-c.closed:
			return net.ErrClosed
		}
	}
	return c.wait() // it may be held by now
}

// Close implements [net.Conn]. A held connection's client sees it once it is held no more.
func (c *GatedConn) Close() error {
	c.once.Do(func() { close(c.closed) })
	c.g.mu.Lock()
	defer c.g.mu.Unlock()
	if _, open := c.g.conns[c]; !open {
		return c.err
	}
	if c.g.holds(c) {
		c.left = true
		return c.Conn.SetDeadline(time.Unix(1, 0)) // ends a Read or Write under way
	}
	c.g.forget(c)
	return c.err
}
