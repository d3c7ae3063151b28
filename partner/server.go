package partner

import (
	"context"
	"database/sql"

	"net"

	"github.com/microsoft/go-mssqldb/msdsn"
)

// endpoint is what a Pair needs of a partner; the tests have one of their own.
// probe is called by one goroutine at a time, the others by any.
type endpoint interface {
	// probe asks the partner for its role. It always gives an Observation, with
	// what could be learned; it ends with the budgets.
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
	fresh bool   // do not believe the parked connection: dial
	take  string // take the next epoch under this name, if the database opens; empty: don't
}

// server is the endpoint that speaks TDS.
type server struct {
	name     Name
	database string
	dsn      msdsn.Config
	budgets  Budgets
	maxConns int

	// Owned by the goroutine that probes.
	parked     *masterConn // nil: none
	word       Observation // the last status it gave, and when it was asked for
	before2017 bool        // it knows no sequence_number of a group
}

var _ endpoint = (*server)(nil)

// masterConn is a connection in master, with the pool of one that it needs to live in.
type masterConn struct {
	pool *sqlPool
	conn *sql.Conn
}

// dialMaster logs in to master, within the login budget.
func (s *server) dialMaster(ctx context.Context) (*masterConn, error) {
	p := newPool(newConnector(s.name, s.dsn, "master", s.budgets), 1)
	c, err := p.db.Conn(ctx)
	if err != nil {
		p.cut(errTermOver)
		return nil, err
	}
	return &masterConn{p, c}, nil
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
func (s *server) close() { s.unpark() }

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
