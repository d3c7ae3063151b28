package link

import (
	"context"
	"database/sql/driver"
	"errors"
	"fmt"
	"net"
	"sync"
	"sync/atomic"
	"time"

	mssql "github.com/microsoft/go-mssqldb"
	"github.com/microsoft/go-mssqldb/msdsn"

	"github.com/mirrorstate/mirrorstate/partner/choose"
	"github.com/mirrorstate/mirrorstate/partner/classify"
)

// connector makes connections of one partner to one database. It bounds what
// the driver does not: the driver forgets the context between the dial and the
// login's reply, so a server that accepts and stays silent would hold it for
// ever. Here the sockets of a login are cut when its time is over. Every
// connection is kept in a set, so that all of them can be cut at once.
type connector struct {
	partner choose.Name
	driver  *mssql.Connector
	login   time.Duration
	grace   time.Duration

	mu      sync.Mutex
	conns   map[*conn]struct{} // guarded by mu
	aborted error              // guarded by mu; why the connector was cut, nil while it lives
}

// newConnector makes a connector to database with the partner's settings.
func newConnector(name choose.Name, dsn msdsn.Config, database string, b Budgets) *connector {
	dsn.Database = database
	dsn.FailOverPartner, dsn.FailOverPort = "", 0 // the driver would pay its dial time each time
	dsn.DialTimeout = b.Dial
	dsn.ConnTimeout = 0 // contexts bound the calls
	// DisableRetry stays off: the retries of database/sql never happen on a
	// checked-out sql.Conn, which is all we use, and with it on, the driver
	// would no longer say that a request did not leave whole.
	c := &connector{
		partner: name,
		driver:  mssql.NewConnectorConfig(dsn),
		login:   b.Login,
		grace:   b.Grace,
		conns:   make(map[*conn]struct{}),
	}
	c.driver.Dialer = dialer{net.Dialer{Timeout: b.Dial, KeepAlive: dsn.KeepAlive}}
	return c
}

// Driver implements driver.Connector.
func (c *connector) Driver() driver.Driver { return c.driver.Driver() }

// Connect implements driver.Connector. It ends with ctx, and after the login
// budget at the latest.
func (c *connector) Connect(ctx context.Context) (driver.Conn, error) {
	s := new(sockets)
	ctx, cancel := context.WithTimeoutCause(context.WithValue(ctx, socketsKey{}, s), c.login, errLoginTimeout)
	defer cancel()
	stop := context.AfterFunc(ctx, s.close)
	defer stop()
	inner, err := c.driver.Connect(ctx)
	if err == nil && !stop() {
		err = context.Cause(ctx) // the time ended as the login did, and its socket is cut
	} else if err != nil && ctx.Err() != nil {
		err = fmt.Errorf("%w: %w", context.Cause(ctx), err)
	}
	if err != nil {
		return nil, &LoginError{c.partner, classify.WithAdvice(err)}
	}
	mc, ok := inner.(*mssql.Conn)
	if !ok {
		_ = inner.Close()
		return nil, &LoginError{c.partner, fmt.Errorf("the driver made a %T", inner)}
	}
	return c.register(&conn{Conn: mc, owner: c, sockets: s})
}

// keep adds a new connection to the set, unless the connector was cut meanwhile.
func (c *connector) register(cn *conn) (driver.Conn, error) {
	c.mu.Lock()
	aborted := c.aborted
	if aborted == nil {
		c.conns[cn] = struct{}{}
	}
	c.mu.Unlock()
	if aborted != nil {
		cn.sockets.close()
		return nil, &LoginError{c.partner, aborted}
	}
	return cn, nil
}

// cut ends every connection there is, whoever waits on it, and every one that
// is being made. Their attempts' contexts end with cause.
func (c *connector) abort(cause error) {
	c.mu.Lock()
	c.aborted = cause
	all := make([]*conn, 0, len(c.conns))
	for cn := range c.conns {
		all = append(all, cn)
	}
	c.mu.Unlock()
	for _, cn := range all {
		cn.abort(cause)
	}
}

// forget takes a closed connection out of the set.
func (c *connector) unregister(cn *conn) {
	c.mu.Lock()
	delete(c.conns, cn)
	c.mu.Unlock()
}

// conn is the driver's connection with its socket at hand. Embedding passes
// every optional interface of the driver through at no cost.
type conn struct {
	*mssql.Conn
	owner   *connector
	sockets *sockets

	mu      sync.Mutex
	cancel  context.CancelCauseFunc // guarded by mu; of the attempt that has the connection, or nil
	aborted error                   // guarded by mu; why it was cut
}

// Close implements driver.Conn. A connection that broke or was cut only has its
// socket closed: the driver's own Close would give its buffer to the next
// connection while its reader may still be at work in it, and one caller could
// see another's bytes.
func (c *conn) Close() error {
	c.owner.unregister(c)
	if c.sockets.isClosed() || !c.Conn.IsValid() {
		c.sockets.close()
		return nil
	}
	return c.Conn.Close()
}

// begin notes the attempt that has the connection now.
func (c *conn) begin(cancel context.CancelCauseFunc) {
	c.mu.Lock()
	c.cancel = cancel
	aborted := c.aborted
	c.mu.Unlock()
	if aborted != nil {
		cancel(aborted)
	}
}

// end is the opposite of begin.
func (c *conn) end() {
	c.mu.Lock()
	c.cancel = nil
	c.mu.Unlock()
}

// cut ends the connection now.
func (c *conn) abort(cause error) {
	c.mu.Lock()
	c.aborted = cause
	cancel := c.cancel
	c.mu.Unlock()
	if cancel != nil {
		cancel(cause)
	}
	c.sockets.close()
}

// LoginError is an error of making a connection: nothing was sent for the call.
type LoginError struct {
	Partner choose.Name
	Err     error
}

// Error implements error.
func (e *LoginError) Error() string { return "log in to " + string(e.Partner) + ": " + e.Err.Error() }

// Unwrap gives the driver's error.
func (e *LoginError) Unwrap() error { return e.Err }

// sockets are the network connections made for one login: one, or a few where
// a name has several addresses or an instance has to be looked up.
type sockets struct {
	broken   atomic.Bool  // a read or a write failed
	received atomic.Int64 // bytes read

	mu     sync.Mutex
	conns  []net.Conn // guarded by mu
	closed bool       // guarded by mu
}

// watchedSocket notes that it broke, and counts what comes. The driver's own errors do not always tell: what ends in
// the middle of a long item is an error of a text to it.
type watchedSocket struct {
	net.Conn
	sockets *sockets
}

// Read implements net.Conn.
func (s *watchedSocket) Read(b []byte) (int, error) {
	n, err := s.Conn.Read(b)
	s.sockets.received.Add(int64(n))
	if err != nil {
		s.sockets.broken.Store(true)
	}
	return n, err
}

// Write implements net.Conn.
func (s *watchedSocket) Write(b []byte) (int, error) {
	n, err := s.Conn.Write(b)
	if err != nil {
		s.sockets.broken.Store(true)
	}
	return n, err
}

type socketsKey struct{}

// isCut says whether cut was called.
func (s *sockets) isClosed() bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.closed
}

// add records a new socket, and closes it at once if time is over.
func (s *sockets) add(c net.Conn) {
	s.mu.Lock()
	s.conns = append(s.conns, c)
	closed := s.closed
	s.mu.Unlock()
	if closed {
		_ = c.Close()
	}
}

// cut closes them all; whoever reads or writes there gets an error at once.
func (s *sockets) close() {
	s.mu.Lock()
	s.closed = true
	all := s.conns
	s.mu.Unlock()
	for _, c := range all {
		_ = c.Close()
	}
}

// dialer records what it dials. It resolves names itself, because the driver
// would do so without a context.
type dialer struct{ net.Dialer }

var _ mssql.HostDialer = dialer{}

// HostName implements mssql.HostDialer, which is what makes the driver leave
// the name to DialContext.
func (dialer) HostName() string { return "" }

// DialContext implements mssql.Dialer.
func (d dialer) DialContext(ctx context.Context, network, addr string) (net.Conn, error) {
	c, err := d.Dialer.DialContext(ctx, network, addr)
	if err != nil {
		return nil, err
	}
	s, ok := ctx.Value(socketsKey{}).(*sockets)
	if !ok {
		return c, nil
	}
	s.add(c)
	return &watchedSocket{c, s}, nil
}

// ErrorText is an error in one line; empty for none.
func ErrorText(err error) string {
	if err == nil {
		return ""
	}
	if e, ok := errors.AsType[*LoginError](err); ok && e.Err != nil {
		return e.Err.Error()
	}
	return err.Error()
}
