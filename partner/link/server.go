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

// Endpoint is what a Pair needs of a partner; the tests have one of their own.
// probe is called by one goroutine at a time, the others by any.
type Endpoint interface {
	// probe asks the partner for its role. It always gives an Observation, with
	// what could be learned; it ends with the budgets. An answer that comes later is given by a later probe.
	Probe(ctx context.Context, ask ProbeRequest) ProbeResult
	// exec runs one operators' statement in master, on a connection of its own.
	Exec(ctx context.Context, statement string) error
	// raise takes an epoch above the given one under the server's name, on a connection of its own.
	Raise(ctx context.Context, server string, above int64) error
	// newPool makes a pool on the database for one term. It dials nothing.
	NewPool() Pool
	// close gives up the parked connection. No other call comes after it.
	Close()
}

// Answer is an Observation, and what its endpoint tells its watcher beside it.
type ProbeResult struct {
	choose.Observation
	Late    bool          // the answer to an earlier probe's question: Began, Asked and taken are that one's
	TakenAs string        // the name that the epoch was taken under; empty: it was not
	Timeout time.Duration // how long the endpoint waits for the next answer; 0: the probe's budget
}

// Ask says what a probe shall do beside reading.
type ProbeRequest struct {
	Fresh       bool       // do not believe the parked connection: dial
	TakeEpochAs string     // take the next epoch under this name, if the database opens; empty: don't
	Number      uint64     // the pair's count of questions when it was asked
	Calls       *CallTimes // what the calls to the partner say
}

// Server is the endpoint that speaks TDS.
type Server struct {
	name     choose.Name
	database string
	dsn      msdsn.Config
	budgets  Budgets
	maxConns int

	// Owned by the goroutine that probes.
	probeConn *masterConn   // nil: none
	pending   *pendingProbe // the question that was not answered in time, and still may be; nil: none
	timeout   time.Duration // how long the next answer is waited for, where that is more than the probe's budget

	before2017 atomic.Bool // it knows no sequence_number of a group
}

var _ Endpoint = (*Server)(nil)

// masterConn is a connection in master, with the pool of one that it needs to live in.
type masterConn struct {
	server     *Server
	pool       *sqlPool
	conn       *sql.Conn
	lastStatus choose.Observation // the last status the server gave on it, and when it was asked for
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

// close cuts the connection without a word: the server may not be listening.
func (m *masterConn) close() {
	m.pool.connector.abort(net.ErrClosed)
	_ = m.conn.Close()
	_ = m.pool.db.Close()
}

// NewPool implements endpoint.
func (s *Server) NewPool() Pool {
	return newPool(newConnector(s.name, s.dsn, s.database, s.budgets), s.maxConns)
}

// Close implements endpoint.
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

// Exec implements endpoint. A role switch may kill the connection that asked
// for it: the caller decides by what both partners say afterwards.
func (s *Server) Exec(ctx context.Context, statement string) error {
	return s.inMaster(ctx, func(c *sql.Conn) error {
		_, err := c.ExecContext(ctx, statement)
		return firstError(err)
	})
}

// Raise implements endpoint.
func (s *Server) Raise(ctx context.Context, server string, above int64) error {
	return s.inMaster(ctx, func(c *sql.Conn) error {
		var epoch int64
		row := c.QueryRowContext(ctx, ForDatabase(callRaiseEpoch, s.database), sql.Named("server", server), sql.Named("above", above))
		return row.Scan(&epoch, &server)
	})
}

// inMaster runs f on a connection of its own, which ends with ctx.
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

// PartnerConfig says how one partner is reached.
type PartnerConfig struct {
	// Name is "a" or "b".
	Name choose.Name
	// Address is host:port, for display, and as the server's name in the epoch
	// row where both partners call themselves the same. Default: from the
	// connection string.
	Address string
	// ConnectionString is what go-mssqldb understands: ADO.NET, URL or ODBC
	// form. Its database and failoverpartner are ignored. Either this or DSN.
	ConnectionString string
	// DSN is the same, parsed already. It is copied.
	DSN *msdsn.Config
}

// Budgets are the longest waits for a server, each written once.
type Budgets struct {
	Dial  time.Duration // TCP connect, name look-up included; default 2 s
	Login time.Duration // dial, prelogin, TLS and login in all; at least Dial; default 3 s
	Probe time.Duration // the queries of one probe on a parked connection; default 1 s
	// SlowProbe is the longest that a probe is waited for where Probe is known to be too short, and how long its answer still
	// counts where it comes late. At least Probe; default 10 s.
	SlowProbe time.Duration
	Attempt   time.Duration // one try of one call, checkout included, without the time its item takes; Probe to MaxAttempt; default 5 s
	Admin     time.Duration // an operator's statement until both partners agree; default 30 s
	Grace     time.Duration // how long the driver may wait for an answer to its cancel request; default 200 ms
}

// WithDefaults fills in what is zero.
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

// NewServer returns the endpoint of one partner, and fills in pc.Address. b is complete.
func NewServer(pc *PartnerConfig, database string, b Budgets, maxConns int) (*Server, error) {
	var dsn msdsn.Config
	switch {
	case pc.DSN != nil && pc.ConnectionString != "":
		return nil, errors.New("both a connection string and a DSN are given")
	case pc.DSN != nil:
		dsn = *pc.DSN
	case pc.ConnectionString == "":
		return nil, errors.New("no connection string")
	default:
		var err error
		if dsn, err = msdsn.Parse(pc.ConnectionString); err != nil {
			// The parser's text may quote what it read, the password included.
			return nil, errors.New("its connection string can't be read")
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
