package link

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"strconv"
	"time"

	mssql "github.com/microsoft/go-mssqldb"

	"github.com/mirrorstate/mirrorstate/partner/classify"
	"github.com/mirrorstate/mirrorstate/partner/operate"
)

// Console is an administrator's connection to one partner, in master. It dials at its first use, and again
// after the connection broke. Only one goroutine at a time may use it.
type Console struct {
	server *Server
	conn   *masterConn // nil: not connected
}

var _ operate.Server = (*Console)(nil)

// NewConsole returns a console for a partner. It dials nothing. The budgets bound dial and login; zero budgets
// get their defaults. Statements end only with their context.
func NewConsole(pc PartnerConfig, b Budgets) (*Console, error) {
	s, err := NewServer(&pc, "master", b.WithDefaults(), 1)
	if err != nil {
		return nil, fmt.Errorf("partner %s: %w", pc.Name, err)
	}
	return &Console{server: s}, nil
}

// Close closes the connection. A later statement dials again.
func (c *Console) Close() {
	if c.conn != nil {
		c.conn.close()
		c.conn = nil
	}
}

// withConn calls f with the connection. If f breaks the connection, or ctx ends, the next call dials again.
func (c *Console) withConn(ctx context.Context, f func(m *masterConn) error) error {
	if c.conn == nil {
		m, err := c.server.dialMaster(ctx)
		if err != nil {
			return err
		}
		c.conn = m
	}
	m := c.conn
	stop := context.AfterFunc(ctx, func() { m.pool.connector.abort(context.Cause(ctx)) })
	err := f(m)
	if !stop() || err != nil && classify.Fatal(err) {
		c.Close()
	}
	if err != nil && ctx.Err() != nil {
		return fmt.Errorf("%w: %w", context.Cause(ctx), err)
	}
	return err
}

// Exec implements operate.Server.
func (c *Console) Exec(ctx context.Context, statement string) error {
	return c.withConn(ctx, func(m *masterConn) error {
		_, err := m.conn.ExecContext(ctx, statement)
		return firstError(err)
	})
}

// firstError returns the first error of a reply with several errors. SQL Server sends the cause first and its
// consequence later: 5061, then 5069 (ALTER DATABASE failed); 3201, then 3013 (RESTORE is terminating). The
// driver's error is the last one. The result has the highest severity of all, because the severity shows whether
// the connection still works.
func firstError(err error) error {
	e, ok := errors.AsType[mssql.Error](err)
	if !ok || len(e.All) < 2 {
		return err
	}
	first := e.All[0]
	first.All = e.All
	for _, one := range e.All {
		first.Class = max(first.Class, one.Class)
	}
	return first
}

// Query implements operate.Server. A connection kept from before may have broken meanwhile. Then the query is
// sent once more on a new one.
func (c *Console) Query(ctx context.Context, query string) (rows []operate.Row, err error) {
	reused := c.conn != nil
	err = c.withConn(ctx, func(m *masterConn) error { rows, err = readRows(ctx, m, query); return err })
	if err != nil && reused && c.conn == nil && ctx.Err() == nil && !classify.FromServer(err) {
		err = c.withConn(ctx, func(m *masterConn) error { rows, err = readRows(ctx, m, query); return err })
	}
	return rows, err
}

// readRows returns every row of a query, with its values as text. A NULL has no entry in its row.
func readRows(ctx context.Context, m *masterConn, query string) (all []operate.Row, err error) {
	rows, err := m.conn.QueryContext(ctx, query)
	if err != nil {
		return nil, firstError(err)
	}
	defer func() { err = firstError(errors.Join(err, rows.Close())) }()
	columns, err := rows.Columns()
	if err != nil {
		return nil, err
	}
	values, into := make([]any, len(columns)), make([]any, len(columns))
	for i := range values {
		into[i] = &values[i]
	}
	for rows.Next() {
		if err := rows.Scan(into...); err != nil {
			return nil, err
		}
		row := operate.Row{}
		for i, v := range values {
			if v != nil {
				row[columns[i]] = asText(v)
			}
		}
		all = append(all, row)
	}
	return all, rows.Err()
}

// asText returns a value of the driver as text.
func asText(v any) string {
	switch v := v.(type) {
	case bool:
		if v {
			return "1"
		}
		return "0"
	case []byte:
		return string(v) // such as a numeric(25,0)
	case time.Time:
		return v.UTC().Format(time.RFC3339Nano)
	case int64:
		return strconv.FormatInt(v, 10)
	}
	return fmt.Sprint(v)
}

// Shown returns the partner's address for display, without secrets: Address, or host:port from the connection
// string. It is empty if the connection string cannot be read.
func (pc PartnerConfig) Shown() string {
	_, _ = NewServer(&pc, "master", Budgets{}, 1) // sets pc.Address; its error is reported where the partner is used
	return pc.Address
}

// InMaster calls f with a new connection to master of one server. It works whatever the server's role is, and
// without a pair. The login is bounded by the login budget. The connection is closed when f returns or ctx
// ends.
func InMaster(ctx context.Context, pc PartnerConfig, f func(*sql.Conn) error) error {
	s, err := NewServer(&pc, "master", Budgets{}.WithDefaults(), 1)
	if err != nil {
		return fmt.Errorf("partner %s: %w", pc.Name, err)
	}
	return s.inMaster(ctx, f)
}
