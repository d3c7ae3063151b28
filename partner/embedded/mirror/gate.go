package mirror

import (
	"math/rand/v2"
	"net"
	"sync"
	"sync/atomic"
	"time"
)

// gate is between a partner's sockets and its server. It implements the faults that clients
// see: frozen connections, resets, slow responses.
type gate struct {
	faulty atomic.Bool // a fault is in force: check faults

	mu      sync.Mutex
	faults  []Fault // of kinds freeze, isolate and slow
	ending  bool    // the server is going down: connections close at once, frozen or not
	conns   map[*GatedConn]struct{}
	changed chan struct{} // closed when faults or ending change
}

func newGate() *gate {
	return &gate{conns: map[*GatedConn]struct{}{}, changed: make(chan struct{})}
}

// gatedListener is the listener of one run of the server.
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

// set replaces the faults in force, and closes the connections that the server closed while
// they were frozen.
func (g *gate) set(faults []Fault) {
	g.change(func() {
		g.faults = faults
		g.faulty.Store(len(faults) > 0)
	})
}

// end closes all connections, with a reset or in order, and freezes no connection from now
// on.
func (g *gate) end(reset bool) {
	g.change(func() { g.ending = true })
	if reset {
		g.sever("")
	}
}

// begin accepts connections again.
func (g *gate) begin() { g.change(func() { g.ending = false }) }

func (g *gate) change(f func()) {
	g.mu.Lock()
	defer g.mu.Unlock()
	f()
	for c := range g.conns {
		if c.left && !g.holds(c) {
			g.remove(c)
		}
	}
	close(g.changed)
	g.changed = make(chan struct{})
}

// sever resets the connections of an application, or all connections.
func (g *gate) sever(app string) {
	g.mu.Lock()
	defer g.mu.Unlock()
	for c := range g.conns {
		if !c.belongsTo(app) {
			continue
		}
		if tcp, ok := c.Conn.(*net.TCPConn); ok {
			_ = tcp.SetLinger(0) // so that Close sends a reset; an error means that the socket is closed already
		}
		g.remove(c)
	}
}

// remove closes a connection for good. The caller holds mu.
func (g *gate) remove(c *GatedConn) {
	delete(g.conns, c)
	c.err = c.Conn.Close()
}

// holds reports whether the connection is frozen in both directions. The caller holds mu.
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

// GatedConn is a client's connection through the gate.
type GatedConn struct {
	net.Conn
	g      *gate
	app    atomic.Pointer[string] // nil before the login
	once   sync.Once
	closed chan struct{} // closed when the server has closed the connection

	// Guarded by g.mu.
	left bool // the server closed it while it was frozen: the client must not notice yet
	err  error
}

// LoggedIn sets the application of the connection.
func (c *GatedConn) LoggedIn(app string) { c.app.Store(&app) }

// belongsTo reports whether a fault for that application affects the connection.
func (c *GatedConn) belongsTo(app string) bool {
	mine := c.app.Load()
	return app == "" || mine != nil && *mine == app
}

// wait waits until the connection is not frozen, or the server has closed it.
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

// Read implements [net.Conn]. Bytes that arrive while the connection is frozen are read
// afterwards.
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

// delayWrite waits as long as the slow faults in force require.
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
	return c.wait() // the connection may be frozen by now
}

// Close implements [net.Conn]. The client of a frozen connection notices when the connection
// is no longer frozen.
func (c *GatedConn) Close() error {
	c.once.Do(func() { close(c.closed) })
	c.g.mu.Lock()
	defer c.g.mu.Unlock()
	if _, open := c.g.conns[c]; !open {
		return c.err
	}
	if c.g.holds(c) {
		c.left = true
		return c.Conn.SetDeadline(time.Unix(1, 0)) // ends a running Read or Write
	}
	c.g.remove(c)
	return c.err
}
