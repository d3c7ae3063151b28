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

// Console is an administrator's connection to one partner, in master. It dials when
// it is first needed, and again after the connection broke. One goroutine at a time.
type Console struct {
	server *Server
	conn   *masterConn
}

var _ operate.Server = (*Console)(nil)

// NewConsole makes the console of a partner. Budgets bound its dial and login; zero ones
// are defaulted. Everything else ends with its context.
func NewConsole(pc PartnerConfig, b Budgets) (*Console, error) {
	s, err := NewServer(&pc, "master", b.WithDefaults(), 1)
	if err != nil {
		return nil, fmt.Errorf("partner %s: %w", pc.Name, err)
	}
	return &Console{server: s}, nil
}

// Close gives the connection up.
func (c *Console) Close() {
	if c.conn != nil {
		c.conn.close()
		c.conn = nil
	}
}

// on lends f the connection. What breaks it, or ctx's end, makes the next call dial anew.
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

// cause gives an error of several messages the first one's number and text. SQL Server names the cause first and then what
// came of it: 5061, then 5069 (ALTER DATABASE failed); 3201, then 3013 (RESTORE is terminating). The driver's error is
// the last one's. The severity is the highest of all, since it tells whether the connection goes on.
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

// Query implements operate.Server. A parked connection that broke while nobody looked is
// no answer: a query is asked once more on a new one.
func (c *Console) Query(ctx context.Context, query string) (rows []operate.Row, err error) {
	reused := c.conn != nil
	err = c.withConn(ctx, func(m *masterConn) error { rows, err = readRows(ctx, m, query); return err })
	if err != nil && reused && c.conn == nil && ctx.Err() == nil && !classify.FromServer(err) {
		err = c.withConn(ctx, func(m *masterConn) error { rows, err = readRows(ctx, m, query); return err })
	}
	return rows, err
}

// readRows reads every row of a query as text.
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

// asText writes a value of the driver.
func asText(v any) string {
	switch v := v.(type) {
	case bool:
		if v {
			return "1"
		}
		return "0"
	case []byte:
		return string(v) // numeric(25,0) comes so
	case time.Time:
		return v.UTC().Format(time.RFC3339Nano)
	case int64:
		return strconv.FormatInt(v, 10)
	}
	return fmt.Sprint(v)
}

// Shown is the partner's address as it may be shown: host:port, or what the configuration says.
func (pc PartnerConfig) Shown() string {
	_, _ = NewServer(&pc, "master", Budgets{}, 1) // fills it in; what can't be read is reported where it is used
	return pc.Address
}

// InMaster runs f on a connection of its own in one server's master, whatever the server's role is,
// or whether there is a pair at all. Logging in takes the login budget at most; the connection ends
// with f, and is cut when ctx ends.
func InMaster(ctx context.Context, pc PartnerConfig, f func(*sql.Conn) error) error {
	s, err := NewServer(&pc, "master", Budgets{}.WithDefaults(), 1)
	if err != nil {
		return fmt.Errorf("partner %s: %w", pc.Name, err)
	}
	return s.inMaster(ctx, f)
}
