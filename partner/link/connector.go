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

// connector makes connections to one database on one partner. It is a driver.Connector for database/sql.
//
// It bounds the login. The driver ignores the context between the dial and the reply to the login, so a server
// that accepts and does not answer would block the caller forever. The connector closes the sockets of a login
// when its time is over. It also keeps all connections in a set, to close them all at once.
type connector struct {
	partner choose.Name
	driver  *mssql.Connector
	login   time.Duration
	grace   time.Duration

	mu      sync.Mutex
	conns   map[*conn]struct{} // guarded by mu
	aborted error              // guarded by mu; why abort was called, or nil
}

// newConnector returns a connector to database with the partner's settings.
func newConnector(name choose.Name, dsn msdsn.Config, database string, b Budgets) *connector {
	dsn.Database = database
	dsn.FailOverPartner, dsn.FailOverPort = "", 0 // the driver would wait for the dial timeout each time
	dsn.DialTimeout = b.Dial
	dsn.ConnTimeout = 0 // contexts bound the calls
	// DisableRetry stays off. We use only checked-out sql.Conns, where database/sql does not retry. With it on,
	// the driver would not report that a request was not sent completely.
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

// Connect implements driver.Connector. It returns when ctx ends or after the login budget. Every error is a
// *LoginError.
func (c *connector) Connect(ctx context.Context) (driver.Conn, error) {
	s := new(sockets)
	ctx, cancel := context.WithTimeoutCause(context.WithValue(ctx, socketsKey{}, s), c.login, errLoginTimeout)
	defer cancel()
	stop := context.AfterFunc(ctx, s.close)
	defer stop()
	inner, err := c.driver.Connect(ctx)
	if err == nil && !stop() {
		err = context.Cause(ctx) // the time was over when the login ended, so its socket is closed
	} else if err != nil && ctx.Err() != nil {
		err = fmt.Errorf("%w: %w", context.Cause(ctx), err)
	}
	if err != nil {
		return nil, &LoginError{c.partner, classify.WithAdvice(err)}
	}
	mc, ok := inner.(*mssql.Conn)
	if !ok {
		_ = inner.Close()
		return nil, &LoginError{c.partner, fmt.Errorf("the driver returned a %T", inner)}
	}
	return c.register(&conn{Conn: mc, owner: c, sockets: s})
}

// register adds a new connection to the set, or closes it if the connector was aborted meanwhile.
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

// abort closes every connection at once, also those in use and those being made. cause becomes the cause of the
// contexts of their attempts.
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

// unregister removes a closed connection from the set.
func (c *connector) unregister(cn *conn) {
	c.mu.Lock()
	delete(c.conns, cn)
	c.mu.Unlock()
}

// conn is the driver's connection, with its socket. Embedding gives database/sql every optional interface of
// the driver.
type conn struct {
	*mssql.Conn
	owner   *connector
	sockets *sockets

	mu      sync.Mutex
	cancel  context.CancelCauseFunc // guarded by mu; cancels the attempt that uses the connection; nil if none does
	aborted error                   // guarded by mu; why abort was called, or nil
}

// Close implements driver.Conn. For a broken or aborted connection it closes only the socket. The driver's Close
// would give the connection's buffer to the next connection, although a reader may still use it. One caller could
// then see another caller's bytes.
func (c *conn) Close() error {
	c.owner.unregister(c)
	if c.sockets.isClosed() || !c.Conn.IsValid() {
		c.sockets.close()
		return nil
	}
	return c.Conn.Close()
}

// begin records the attempt that uses the connection; cancel ends the attempt.
func (c *conn) begin(cancel context.CancelCauseFunc) {
	c.mu.Lock()
	c.cancel = cancel
	aborted := c.aborted
	c.mu.Unlock()
	if aborted != nil {
		cancel(aborted)
	}
}

// end records that the attempt no longer uses the connection.
func (c *conn) end() {
	c.mu.Lock()
	c.cancel = nil
	c.mu.Unlock()
}

// abort closes the connection at once and cancels its attempt with cause.
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

// LoginError is an error from making a connection. Nothing was sent for the call.
type LoginError struct {
	Partner choose.Name
	Err     error // the driver's error
}

// Error implements error.
func (e *LoginError) Error() string { return "log in to " + string(e.Partner) + ": " + e.Err.Error() }

// Unwrap returns the driver's error.
func (e *LoginError) Unwrap() error { return e.Err }

// sockets are the network connections of one login. There are several if a name has several addresses, or an
// instance is looked up.
type sockets struct {
	broken   atomic.Bool  // a read or a write failed
	received atomic.Int64 // bytes read

	mu     sync.Mutex
	conns  []net.Conn // guarded by mu
	closed bool       // guarded by mu
}

// watchedSocket records failures and counts received bytes. The driver's errors do not always show that the socket
// is broken: if a connection ends within a long item, the driver returns an error without a type.
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

// isClosed reports whether close was called.
func (s *sockets) isClosed() bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.closed
}

// add adds a new socket. It closes the socket at once if close was called before.
func (s *sockets) add(c net.Conn) {
	s.mu.Lock()
	s.conns = append(s.conns, c)
	closed := s.closed
	s.mu.Unlock()
	if closed {
		_ = c.Close()
	}
}

// close closes all sockets. Reads and writes on them return an error at once.
func (s *sockets) close() {
	s.mu.Lock()
	s.closed = true
	all := s.conns
	s.mu.Unlock()
	for _, c := range all {
		_ = c.Close()
	}
}

// dialer records the sockets it dials. It resolves names itself, because the driver would do so without a
// context.
type dialer struct{ net.Dialer }

var _ mssql.HostDialer = dialer{}

// HostName implements mssql.HostDialer. It makes the driver leave the name to DialContext.
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

// ErrorText returns the text of err without the partner's name, or "" for nil.
func ErrorText(err error) string {
	if err == nil {
		return ""
	}
	if e, ok := errors.AsType[*LoginError](err); ok && e.Err != nil {
		return e.Err.Error()
	}
	return err.Error()
}
