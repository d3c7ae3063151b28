package link

import (
	"cmp"
	"context"
	"database/sql"
	"errors"
	"net"
	"strconv"
	"sync/atomic"
	"time"

	"github.com/microsoft/go-mssqldb/msdsn"

	"github.com/mirrorstate/mirrorstate/partner/choose"
)

// Endpoint is what a pair needs of one partner. Only one goroutine at a time may call Probe; the other methods
// may be called concurrently.
type Endpoint interface {
	// Probe asks the partner for its role. It always returns an observation, with what could be learned, within
	// the budgets. If an answer comes later, a later Probe returns it.
	Probe(ctx context.Context, ask ProbeRequest) ProbeResult
	// Exec runs one operator's statement in master, on a new connection.
	Exec(ctx context.Context, statement string) error
	// Raise takes an epoch above the given one under the server's name, on a new connection.
	Raise(ctx context.Context, server string, above int64) error
	// NewPool returns a pool on the database for one term. It dials nothing.
	NewPool() Pool
	// Close closes the probe's connection. It must be the last call.
	Close()
}

// ProbeResult is the Observation of a probe, and what the prober needs besides.
type ProbeResult struct {
	choose.Observation
	Late    bool          // the answer is that of an earlier probe: Began, Request and TakenAs are those of that probe
	TakenAs string        // the server name that the epoch was taken under; empty if none was taken
	Timeout time.Duration // how long the next probe may wait for its answer; 0 means the probe budget
}

// ProbeRequest says how to probe. The zero value only reads, on the connection kept from the last probe.
type ProbeRequest struct {
	Fresh       bool       // use a new connection
	TakeEpochAs string     // take the next epoch under this server name if the database opens; empty: take none
	Number      uint64     // the number of the probe request
	Calls       *CallTimes // when calls to the partner succeeded; nil: no calls
}

// Server is the Endpoint that speaks TDS to a SQL Server.
type Server struct {
	name     choose.Name
	database string
	dsn      msdsn.Config
	budgets  Budgets
	maxConns int

	// Owned by the goroutine that calls Probe.
	probeConn *masterConn   // the connection kept between probes; nil: none
	pending   *pendingProbe // the probe whose answer is still awaited; nil: none
	timeout   time.Duration // timeout of the next probe, if longer than the probe budget

	before2017 atomic.Bool // the server has no sequence_number of a group
}

var _ Endpoint = (*Server)(nil)

// masterConn is a connection to master, in a pool of its own.
type masterConn struct {
	server     *Server
	pool       *sqlPool
	conn       *sql.Conn
	lastStatus choose.Observation // the last status read on it; its Began is when it was asked for
}

// dialMaster logs in to master, within the login budget.
func (s *Server) dialMaster(ctx context.Context) (*masterConn, error) {
	p := newPool(newConnector(s.name, s.dsn, "master", s.budgets), 1)
	c, err := p.db.Conn(ctx)
	if err != nil {
		p.Abort(ErrTermOver)
		return nil, err
	}
	return &masterConn{server: s, pool: p, conn: c}, nil
}

// close closes the connection without a logout, because the server may not answer.
func (m *masterConn) close() {
	m.pool.connector.abort(net.ErrClosed)
	_ = m.conn.Close()
	_ = m.pool.db.Close()
}

// NewPool implements Endpoint.
func (s *Server) NewPool() Pool {
	return newPool(newConnector(s.name, s.dsn, s.database, s.budgets), s.maxConns)
}

// Close implements Endpoint.
func (s *Server) Close() {
	s.dropPending()
	s.closeProbeConn()
}

func (s *Server) closeProbeConn() {
	if s.probeConn != nil {
		s.probeConn.close()
		s.probeConn = nil
	}
}

// Exec implements Endpoint. A role switch may end the connection that asked for it, so the caller must check
// what both partners report afterwards.
func (s *Server) Exec(ctx context.Context, statement string) error {
	return s.inMaster(ctx, func(c *sql.Conn) error {
		_, err := c.ExecContext(ctx, statement)
		return firstError(err)
	})
}

// Raise implements Endpoint.
func (s *Server) Raise(ctx context.Context, server string, above int64) error {
	return s.inMaster(ctx, func(c *sql.Conn) error {
		var epoch int64
		row := c.QueryRowContext(ctx, ForDatabase(callRaiseEpoch, s.database), sql.Named("server", server), sql.Named("above", above))
		return row.Scan(&epoch, &server)
	})
}

// inMaster calls f with a new connection to master. The connection is closed when f returns or ctx ends.
func (s *Server) inMaster(ctx context.Context, f func(*sql.Conn) error) error {
	m, err := s.dialMaster(ctx)
	if err != nil {
		return err
	}
	stop := context.AfterFunc(ctx, func() { m.pool.connector.abort(context.Cause(ctx)) })
	defer m.close()
	defer stop()
	return f(m.conn)
}

// PartnerConfig says how to connect to one partner. Set either ConnectionString or DSN.
type PartnerConfig struct {
	// Name is "a" or "b".
	Name choose.Name
	// Address is host:port, for display. It also names the server in the epoch row if both servers report the
	// same name. Default: host and port of the connection string.
	Address string
	// ConnectionString is a connection string of go-mssqldb in ADO.NET, URL or ODBC form. Its database and
	// failoverpartner are ignored.
	ConnectionString string
	// DSN is a parsed connection string. It is copied.
	DSN *msdsn.Config
}

// Budgets are the longest times to wait for a server. Zero budgets get their defaults.
type Budgets struct {
	Dial  time.Duration // TCP connect, including name resolution; default 2 s
	Login time.Duration // dial, prelogin, TLS and login together; at least Dial; default 3 s
	Probe time.Duration // the queries of one probe; default 1 s
	// SlowProbe is the longest time that a probe waits for a server that is known to be slow. A late answer is
	// accepted for the same time. At least Probe; default 10 s.
	SlowProbe time.Duration
	// Attempt is one attempt of one call, including the wait for a connection, but not the time to transfer its
	// item. At least Probe and Login, at most MaxAttempt; default 5 s.
	Attempt time.Duration
	Admin   time.Duration // an operator's statement, until both partners report the result; default 30 s
	Grace   time.Duration // the driver's wait for the answer to its cancel request; default 200 ms
}

// WithDefaults returns a copy in which every zero budget has its default.
func (b Budgets) WithDefaults() Budgets {
	b.Dial = cmp.Or(b.Dial, 2*time.Second)
	b.Login = cmp.Or(b.Login, 3*time.Second)
	b.Probe = cmp.Or(b.Probe, time.Second)
	b.SlowProbe = cmp.Or(b.SlowProbe, max(10*time.Second, b.Probe))
	b.Attempt = cmp.Or(b.Attempt, 5*time.Second)
	b.Admin = cmp.Or(b.Admin, 30*time.Second)
	b.Grace = cmp.Or(b.Grace, 200*time.Millisecond)
	return b
}

// NewServer returns the endpoint of one partner. It sets pc.Address if that is empty. b must be complete; see
// WithDefaults.
func NewServer(pc *PartnerConfig, database string, b Budgets, maxConns int) (*Server, error) {
	var dsn msdsn.Config
	switch {
	case pc.DSN != nil && pc.ConnectionString != "":
		return nil, errors.New("both a connection string and a DSN are set: set one of them")
	case pc.DSN != nil:
		dsn = *pc.DSN
	case pc.ConnectionString == "":
		return nil, errors.New("no connection string")
	default:
		var err error
		if dsn, err = msdsn.Parse(pc.ConnectionString); err != nil {
			// The parser's error may contain the connection string, and so the password.
			return nil, errors.New("the connection string can't be read")
		}
	}
	if pc.Address == "" {
		port := dsn.Port
		if port == 0 {
			port = 1433
		}
		pc.Address = net.JoinHostPort(dsn.Host, strconv.FormatUint(port, 10))
	}
	return &Server{name: pc.Name, database: database, dsn: dsn, budgets: b, maxConns: maxConns}, nil
}

// Console returns an administrator's connection to the same server.
func (s *Server) Console() *Console {
	return &Console{server: &Server{name: s.name, database: s.database, dsn: s.dsn, budgets: s.budgets, maxConns: s.maxConns}}
}
