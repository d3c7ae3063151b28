package engine

import (
	"context"
	"database/sql"
	"database/sql/driver"
	"errors"
	"io"
	"strings"
	"time"

	"github.com/mirrorstate/mirrorstate/partner/embedded/mirror"
	"github.com/mirrorstate/mirrorstate/partner/embedded/sqlerror"
	"github.com/mirrorstate/mirrorstate/partner/embedded/sqlvalue"
	"github.com/mirrorstate/mirrorstate/partner/embedded/storage"
	"github.com/mirrorstate/mirrorstate/partner/embedded/tds"
	"github.com/mirrorstate/mirrorstate/partner/embedded/tsql"
)

// query runs an ad-hoc SELECT, INSERT, UPDATE or DELETE.
func (b *batch) query(ctx context.Context, q *tsql.Query) error {
	d, err := b.checkTables(&q.Inputs, q.Kind)
	if err != nil {
		return err
	}
	args, err := b.bind(q.Inputs)
	if err != nil {
		return err
	}
	if q.Kind != tsql.Select {
		return b.modify(ctx, d, q, args)
	}
	read := func(r *storage.Reader) error { return b.selectRows(ctx, r, q, args) }
	if d == nil {
		return b.s.p.SystemStore().ReadAdhoc(read)
	}
	l, err := b.s.inTransaction(ctx, d)
	if err != nil {
		return err
	}
	if l != nil {
		return l.Run(func(w *storage.Writer) error { return read(w.Reader) })
	}
	return d.Store.ReadAdhoc(read)
}

// checkTables checks that the tables exist and that their database is open, and returns that
// database; nil if all of them are system views.
func (b *batch) checkTables(in *tsql.Inputs, kind tsql.QueryKind) (data *mirror.Database, err error) {
	if err := b.checkLocals(in.Locals); err != nil {
		return nil, err
	}
	for i, n := range in.Tables {
		d := b.s.In.Load()
		if n.Database != "" {
			if d = b.s.p.Find(n.Database); d == nil && !b.s.p.Known(n.Database) {
				return nil, sqlerror.ErrNoDatabase(n.Database)
			}
		}
		if n.Server != "" && !strings.EqualFold(n.Server, b.s.p.ServerName()) {
			return nil, sqlerror.New(7202, 11, "Could not find server '%s' in sys.servers.", n.Server)
		}
		if d != nil {
			if err := d.Serving(); err != nil {
				return nil, err
			}
			if err := b.s.checkAccess(d); err != nil {
				return nil, err
			}
		}
		if n.System() {
			if !knownView(n.Table()) {
				return nil, sqlerror.New(208, 16, "Invalid object name '%s'.", n)
			}
			continue
		}
		if d == nil {
			return nil, sqlerror.New(208, 16, "Invalid object name '%s'.", n)
		}
		objects, err := b.s.visible(d)
		permission := "SELECT"
		if i == 0 {
			permission = kind.String()
		}
		switch {
		case err != nil:
			return nil, err
		case !objects.Readable(n.Table()):
			return nil, sqlerror.New(208, 16, "Invalid object name '%s'.", n)
		case data != nil && data != d:
			return nil, sqlerror.NotSupported("A query on the tables of two databases")
		}
		if err := b.s.checkPermission(d, objects, permission, n.Object); err != nil {
			return nil, err
		}
		data = d
	}
	return b.checkFunctions(in, data)
}

// bind returns the values of a text's parameters.
func (b *batch) bind(in tsql.Inputs) ([]driver.NamedValue, error) {
	list, err := in.Bind(b.valueOf, b.systemValue)
	if err != nil {
		return nil, err
	}
	args := make([]driver.NamedValue, len(list))
	for i, a := range list {
		named := a.(sql.NamedArg)
		args[i] = driver.NamedValue{Name: named.Name, Ordinal: i + 1, Value: named.Value}
	}
	return args, nil
}

// evaluate evaluates an expression.
func (b *batch) evaluate(e tsql.Expr) (value any, err error) {
	if e.IsConstant {
		return e.Constant, nil
	}
	if e.Variable != "" {
		v, err := b.lookup(e.Variable)
		if err != nil {
			return nil, err
		}
		return v.value, nil
	}
	if b.frame != nil {
		return b.frame.evaluate(&e)
	}
	d, err := b.checkTables(&e.Inputs, tsql.Select)
	if err != nil {
		return nil, err
	}
	args, err := b.bind(e.Inputs)
	if err != nil {
		return nil, err
	}
	err = b.reading(d, func(r *storage.Reader) (err error) {
		b.s.at.rd = r
		if err := b.s.fillViews(r, e.Tables); err != nil {
			return err
		}
		empty, err := b.fillLocals(r, e.Locals)
		if err != nil {
			return err
		}
		defer func() { err = errors.Join(err, empty()) }()
		one, err := r.Query("SELECT " + e.SQL)
		if err != nil {
			return sqlerror.FromSQLite(err)
		}
		rows, err := one.Ask(context.Background(), args)
		if err != nil {
			return sqlerror.FromSQLite(err)
		}
		dst := make([]driver.Value, 1)
		err = rows.Next(dst)
		value = dst[0]
		if t, ok := value.(time.Time); ok {
			value = sqlvalue.Stored(t)
		}
		return errors.Join(sqlerror.FromSQLite(err), rows.Close())
	})
	return value, err
}

// reading runs f with a reader: that of the open transaction on the database, if there is
// one.
func (b *batch) reading(d *mirror.Database, f func(r *storage.Reader) error) error {
	switch {
	case d == nil:
		return b.s.p.SystemStore().ReadAdhoc(f)
	case b.frame != nil && b.frame.d == d: // it uses the connection itself
		return f(b.frame.rd)
	case b.s.lease != nil && b.s.lease.P == d:
		return b.s.lease.Run(func(w *storage.Writer) error { return f(w.Reader) })
	}
	return d.Store.ReadAdhoc(f)
}

// writing runs a write: in the open transaction, or in a transaction of its own.
func (s *session) writing(ctx context.Context, d *mirror.Database, write func(w *storage.Writer) error) error {
	if s.doomed {
		return errUncommittable()
	}
	l, err := s.inTransaction(ctx, d)
	if err != nil {
		return err
	}
	if l != nil {
		return l.Run(write)
	}
	ctx, cancel := s.withLockTimeout(ctx)
	defer cancel()
	return d.Exclusively(ctx, write)
}

// selectRows runs the query and sends its rows, or assigns them to variables.
func (b *batch) selectRows(ctx context.Context, r *storage.Reader, q *tsql.Query, args []driver.NamedValue) (err error) {
	b.s.at.rd = r
	if err := b.s.fillViews(r, q.Tables); err != nil {
		return err
	}
	empty, err := b.fillLocals(r, q.Locals)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, empty()) }()
	st, err := r.Query(q.SQL)
	if err != nil {
		return sqlerror.FromSQLite(err)
	}
	rows, err := st.Ask(ctx, args)
	if err != nil {
		return sqlerror.FromSQLite(err)
	}
	defer func() { err = errors.Join(err, rows.Close()) }()
	if q.Assigns != nil {
		return b.assignRows(rows, q.Assigns)
	}
	names := rows.Columns()
	row := make([]driver.Value, len(names))
	next := rows.Next(row)
	columns := b.columns(rows, q.Hints(names), row)
	b.w.Columns(columns...)
	var n int64
	values := make([]any, len(row))
	for ; next == nil && !b.s.rowLimitReached(n); next = rows.Next(row) {
		for i, v := range row {
			if values[i], err = sqlvalue.ClientValue(columns[i].Type, v); err != nil {
				return err
			}
		}
		if err := b.w.Row(values...); err != nil {
			return err
		}
		n++
	}
	if next != nil && !errors.Is(next, io.EOF) {
		return sqlerror.FromSQLite(next)
	}
	b.s.rowCount = n
	b.w.Done(b.s.counted(n))
	return nil
}

func (b *batch) assignRows(rows driver.Rows, names []string) error {
	row := make([]driver.Value, len(rows.Columns()))
	var n int64
	next := rows.Next(row)
	for ; next == nil && !b.s.rowLimitReached(n); next = rows.Next(row) {
		for i, name := range names {
			if err := b.set(name, sqlvalue.Stored(row[i])); err != nil {
				return err
			}
		}
		n++
	}
	b.s.rowCount = n
	if next != nil && !errors.Is(next, io.EOF) {
		return sqlerror.FromSQLite(next)
	}
	b.w.DoneCommand(tds.CommandSelect, noCount)
	return nil
}

// columns returns the result columns: from the text, or the column's declaration, or else
// from the first row's value.
func (b *batch) columns(rows driver.Rows, hints []tsql.ColumnHint, first []driver.Value) []tds.Column {
	columns := make([]tds.Column, len(hints))
	declared, _ := rows.(driver.RowsColumnTypeDatabaseTypeName)
	for i, h := range hints {
		c := tds.Column{Name: h.Name}
		known := false
		if h.Type.Name != "" {
			c.Type, known = sqlvalue.TypeOf(h.Type)
		}
		if v := b.vars[h.Variable]; !known && v != nil {
			c.Type, known = v.typ, v.typ.Kind() != tds.KindNull
		}
		if !known && declared != nil {
			c.Type, known = sqlvalue.DeclaredType(declared.ColumnTypeDatabaseTypeName(i))
		}
		if !known {
			if c.Type = sqlvalue.TypeOfValue(first[i]); c.Type == tds.Int && first[i] != nil {
				c.Type = tds.BigInt // later rows may have larger values
			}
		}
		columns[i] = c
	}
	return columns
}

// systemValue returns a value of the session or the server.
func (b *batch) systemValue(c tsql.SystemCall) (any, error) {
	if v, ok := tsql.ClockValue(c.Name, time.Now()); ok {
		return v, nil
	}
	if b.frame != nil {
		if v, ok := b.frame.systemValue(c.Name); ok {
			return v, nil
		}
	}
	if v, ok := b.sessionValue(c.Name); ok {
		return v, nil
	}
	s := b.s
	args := make([]any, len(c.Args))
	for i, a := range c.Args {
		var err error
		if args[i], err = b.evaluate(a); err != nil {
			return nil, err
		}
	}
	var first, second string
	if len(args) > 0 {
		first, _ = sqlvalue.TextOf(args[0])
	}
	if len(args) > 1 {
		second, _ = sqlvalue.TextOf(args[1])
	}
	switch c.Name {
	case "@@SERVERNAME", "@@SERVICENAME":
		return s.p.ServerName(), nil
	case "@@VERSION":
		return VersionText, nil
	case "@@SPID":
		return int64(s.spid), nil
	case "@@ROWCOUNT", "ROWCOUNT_BIG":
		return s.rowCount, nil
	case "@@ERROR":
		return int64(s.lastError), nil
	case "@@MAX_PRECISION":
		return int64(38), nil
	case "@@MICROSOFTVERSION":
		return int64(0x0F0007D0), nil
	case "DB_NAME":
		return s.database, nil
	case "DB_ID":
		return s.p.databaseID(s.database), nil
	case "SUSER_SNAME", "SUSER_NAME", "SYSTEM_USER", "ORIGINAL_LOGIN": // without an argument, as the next three: see lookups of package tsql
		return s.loginName(), nil
	case "USER_NAME":
		return s.userIn(), nil
	case "SCHEMA_NAME":
		return "dbo", nil
	case "USER_ID", "SCHEMA_ID", "SUSER_ID":
		return int64(1), nil
	case "APP_NAME":
		return s.app, nil
	case "HOST_NAME":
		return s.host, nil
	case "IS_SRVROLEMEMBER":
		return s.isServerMember(first), nil
	case "SUSER_SID":
		return s.loginSID(first, len(args) == 0)
	case "IS_MEMBER":
		return s.isMember(first)
	case "COL_LENGTH":
		return s.columnLength(first, second)
	case "OBJECT_DEFINITION":
		n, _ := sqlvalue.IntegerOf(args[0], 0, 1<<31-1)
		return s.objectDefinition(n)
	case "DATABASE_PRINCIPAL_ID":
		return s.principalID(first)
	case "HAS_PERMS_BY_NAME":
		third, _ := sqlvalue.TextOf(args[2])
		return s.permissionByName(first, second, third)
	case "OBJECT_ID":
		if id := s.locals.id(first); id != 0 {
			return id, nil
		}
		return s.objectID(first, strings.ToUpper(strings.TrimSpace(second)))
	case "OBJECT_NAME":
		return s.objectNameIn(args)
	case "SERVERPROPERTY":
		return s.p.serverProperty(first), nil
	case "@@IDENTITY":
		return s.identity.last, nil
	case "SCOPE_IDENTITY":
		return b.identity, nil
	case "FUNCTION":
		return s.caller(), nil
	case "TRIGGER_NESTLEVEL": // outside of triggers
		return int64(0), nil
	case "UPDATE":
		return sqlvalue.BoolInt(b.frame != nil && b.frame.updates(first)), nil
	case "IDENT_CURRENT", "IDENT_SEED", "IDENT_INCR":
		return b.identityOf(c.Name, first)
	case "CONNECTIONPROPERTY":
		return nil, nil
	}
	return nil, sqlerror.NotSupported("Function '%s'", c.Name)
}
