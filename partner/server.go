package partner

import (
	"context"
	"database/sql"
	"net"
	"sync/atomic"
	"time"

	"github.com/microsoft/go-mssqldb/msdsn"
)

// endpoint is what a Pair needs of a partner; the tests have one of their own.
// probe is called by one goroutine at a time, the others by any.
type endpoint interface {
	// probe asks the partner for its role. It always gives an Observation, with
	// what could be learned; it ends with the budgets. An answer that comes later is given by a later probe.
	probe(ctx context.Context, ask ask) Observation
	// exec runs one operators' statement in master, on a connection of its own.
	exec(ctx context.Context, statement string) error
	// raise takes an epoch above the given one under the server's name, on a connection of its own.
	raise(ctx context.Context, server string, above int64) error
	// newPool makes a pool on the database for one term. It dials nothing.
	newPool() pool
	// close gives up the parked connection. No other call comes after it.
	close()
}

// ask says what a probe shall do beside reading.
type ask struct {
	fresh  bool      // do not believe the parked connection: dial
	take   string    // take the next epoch under this name, if the database opens; empty: don't
	number uint64    // the pair's count of questions when it was asked
	calls  *evidence // what the calls to the partner say
}

// server is the endpoint that speaks TDS.
type server struct {
	name     Name
	database string
	dsn      msdsn.Config
	budgets  Budgets
	maxConns int

	// Owned by the goroutine that probes.
	parked   *masterConn   // nil: none
	late     *question     // the question that was not answered in time, and still may be; nil: none
	patience time.Duration // how long the next answer is waited for, where that is more than the probe's budget

	before2017 atomic.Bool // it knows no sequence_number of a group
}

var _ endpoint = (*server)(nil)

// masterConn is a connection in master, with the pool of one that it needs to live in.
type masterConn struct {
	server *server
	pool   *sqlPool
	conn   *sql.Conn
	word   Observation // the last status the server gave on it, and when it was asked for
}

// dialMaster logs in to master, within the login budget.
func (s *server) dialMaster(ctx context.Context) (*masterConn, error) {
	p := newPool(newConnector(s.name, s.dsn, "master", s.budgets), 1)
	c, err := p.db.Conn(ctx)
	if err != nil {
		p.cut(errTermOver)
		return nil, err
	}
	return &masterConn{server: s, pool: p, conn: c}, nil
}

// close cuts the connection without a word: the server may not be listening.
func (m *masterConn) close() {
	m.pool.c.cut(net.ErrClosed)
	_ = m.conn.Close()
	_ = m.pool.db.Close()
}

// newPool implements endpoint.
func (s *server) newPool() pool {
	return newPool(newConnector(s.name, s.dsn, s.database, s.budgets), s.maxConns)
}

// close implements endpoint.
func (s *server) close() {
	s.unask()
	s.unpark()
}

func (s *server) unpark() {
	if s.parked != nil {
		s.parked.close()
		s.parked = nil
	}
}

// exec implements endpoint. A role switch may kill the connection that asked
// for it: the caller decides by what both partners say afterwards.
func (s *server) exec(ctx context.Context, statement string) error {
	return s.inMaster(ctx, func(c *sql.Conn) error {
		_, err := c.ExecContext(ctx, statement)
		return cause(err)
	})
}

// raise implements endpoint.
func (s *server) raise(ctx context.Context, server string, above int64) error {
	return s.inMaster(ctx, func(c *sql.Conn) error {
		var epoch int64
		row := c.QueryRowContext(ctx, forDatabase(callRaiseEpoch, s.database), sql.Named("server", server), sql.Named("above", above))
		return row.Scan(&epoch, &server)
	})
}

// inMaster runs f on a connection of its own, which ends with ctx.
func (s *server) inMaster(ctx context.Context, f func(*sql.Conn) error) error {
	m, err := s.dialMaster(ctx)
	if err != nil {
		return err
	}
	stop := context.AfterFunc(ctx, func() { m.pool.c.cut(context.Cause(ctx)) })
	defer m.close()
	defer stop()
	return f(m.conn)
}
