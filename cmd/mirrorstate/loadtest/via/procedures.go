package via

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"time"

	mssql "github.com/microsoft/go-mssqldb"

	"github.com/mirrorstate/mirrorstate/cmd/mirrorstate/loadtest/measure"
	"github.com/mirrorstate/mirrorstate/session"
)

// Procedures is a store that calls the stored procedures of a stock ASPState as ASP.NET does,
// without retries. Its methods may be called concurrently. The caller must close it. Source: facts,
// aspstate-schema §3 and §6.
type Procedures struct {
	db     *sql.DB
	suffix string // suffix of the application in session ids
}

var _ session.Store = (*Procedures)(nil)

// MaxShort is the largest item of the column for short items, in bytes.
const MaxShort = 7000

// openProcedures connects to the server, or to its failover partner, and asks for the application's
// id as ASP.NET does.
func openProcedures(ctx context.Context, dsn, app string, connections int) (*Procedures, error) {
	connector, err := mssql.NewConnector(dsn)
	if err != nil {
		return nil, errors.New("go-mssqldb rejects the connection string") // the text of err might contain the password
	}
	s := &Procedures{db: sql.OpenDB(connector)}
	s.db.SetMaxOpenConns(connections)
	s.db.SetMaxIdleConns(connections)
	var id int32
	if _, err := s.db.ExecContext(ctx, "dbo.TempGetAppID", sql.Named("appName", app), sql.Named("appId", sql.Out{Dest: &id})); err != nil {
		return nil, errors.Join(fmt.Errorf("get the application's id: %w", err), s.db.Close())
	}
	s.suffix = session.AppID(id).Suffix()
	return s, nil
}

// connectTime bounds the first connection.
const connectTime = 20 * time.Second

// ConnectProcedures connects with the connection string dsn of go-mssqldb, for the application app.
// It takes 20 s at most, and opens up to this many connections.
func ConnectProcedures(ctx context.Context, dsn, app string, connections int) (s *Procedures, err error) {
	err = measure.WithTimeout(ctx, connectTime, func(ctx context.Context) (err error) {
		s, err = openProcedures(ctx, dsn, app, connections)
		return err
	})
	if err != nil {
		return nil, fmt.Errorf("connect: %w", err)
	}
	return s, nil
}

// Close closes the connections.
func (s *Procedures) Close() error { return s.db.Close() }

func (s *Procedures) key(ref session.Ref) string { return string(ref.ID) + s.suffix }

// driverError gives an error of the driver a name: the number of SQL Server's first error, as in
// .NET, or "connection" if there is none.
func driverError(err error) error {
	if err == nil {
		return nil
	}
	if e, ok := errors.AsType[mssql.Error](err); ok {
		if len(e.All) > 0 {
			e = e.All[0]
		}
		return &measure.ProblemError{Name: fmt.Sprintf("sql-%d", e.Number), Err: err}
	}
	return &measure.ProblemError{Name: "connection", Err: err}
}

// read calls one of the two procedures that read a session.
func (s *Procedures) read(ctx context.Context, procedure string, ref session.Ref) (item []byte, cookie int32, err error) {
	var (
		short, long  []byte
		locked       sql.NullBool
		age, lock, f sql.NullInt32
	)
	rows, err := s.db.QueryContext(ctx, procedure, sql.Named("id", s.key(ref)), sql.Named("itemShort", sql.Out{Dest: &short}),
		sql.Named("locked", sql.Out{Dest: &locked}), sql.Named("lockAge", sql.Out{Dest: &age}),
		sql.Named("lockCookie", sql.Out{Dest: &lock}), sql.Named("actionFlags", sql.Out{Dest: &f}))
	if err != nil {
		return nil, 0, driverError(err)
	}
	defer rows.Close()
	for rows.Next() { // the long item is a row and comes before the output parameters
		if err := rows.Scan(&long); err != nil {
			return nil, 0, driverError(err)
		}
	}
	if err := errors.Join(rows.Err(), rows.Close()); err != nil {
		return nil, 0, driverError(err)
	}
	switch {
	case !locked.Valid:
		return nil, 0, session.ErrNotFound
	case locked.Bool:
		return nil, 0, &session.LockedError{Age: time.Duration(age.Int32) * time.Second}
	case long != nil:
		return long, lock.Int32, nil
	}
	return short, lock.Int32, nil
}

// Get implements session.Store.
func (s *Procedures) Get(ctx context.Context, ref session.Ref, opts session.GetOptions) (out session.Session, err error) {
	if opts.AllowLocked {
		return s.readRow(ctx, ref)
	}
	out.Item, _, err = s.read(ctx, "dbo.TempGetStateItem3", ref)
	return out, err
}

// readRow reads the row itself. The procedures do not return a locked session's item.
func (s *Procedures) readRow(ctx context.Context, ref session.Ref) (out session.Session, err error) {
	var short, long []byte
	row := s.db.QueryRowContext(ctx, "SELECT SessionItemShort, SessionItemLong FROM dbo.ASPStateTempSessions WHERE SessionId = @id", sql.Named("id", s.key(ref)))
	err = row.Scan(&short, &long)
	if errors.Is(err, sql.ErrNoRows) {
		return out, session.ErrNotFound
	}
	if out.Item = short; long != nil {
		out.Item = long
	}
	return out, driverError(err)
}

// Acquire implements session.Store.
func (s *Procedures) Acquire(ctx context.Context, ref session.Ref, op session.Operation) (out session.Session, lock session.Lock, err error) {
	lock.Operation = op.ID
	out.Item, lock.Cookie, err = s.read(ctx, "dbo.TempGetStateItemExclusive3", ref)
	return out, lock, err
}

// exec calls a procedure that writes. As in ASP.NET, a call that changes no row is not an error.
func (s *Procedures) exec(ctx context.Context, procedure string, ref session.Ref, args ...any) error {
	_, err := s.db.ExecContext(ctx, procedure, append([]any{sql.Named("id", s.key(ref))}, args...)...)
	return driverError(err)
}

// Update implements session.Store.
func (s *Procedures) Update(ctx context.Context, ref session.Ref, lock session.Lock, w session.Write, _ bool, _ session.Operation) (session.Session, error) {
	procedure, item := "dbo.TempUpdateStateItemShortNullLong", "itemShort"
	if len(w.Item) > MaxShort {
		procedure, item = "dbo.TempUpdateStateItemLongNullShort", "itemLong"
	}
	return session.Session{}, s.exec(ctx, procedure, ref,
		sql.Named(item, w.Item), sql.Named("timeout", int32(w.Timeout)), sql.Named("lockCookie", lock.Cookie))
}

// Put implements session.Store. It can only create sessions.
func (s *Procedures) Put(ctx context.Context, ref session.Ref, w session.Write, _ session.Condition, _ session.Operation) (session.Session, error) {
	procedure, item := "dbo.TempInsertStateItemShort", "itemShort"
	if len(w.Item) > MaxShort {
		procedure, item = "dbo.TempInsertStateItemLong", "itemLong"
	}
	return session.Session{}, s.exec(ctx, procedure, ref, sql.Named(item, w.Item), sql.Named("timeout", int32(w.Timeout)))
}

// Release implements session.Store.
func (s *Procedures) Release(ctx context.Context, ref session.Ref, lock session.Lock, _ session.Operation) error {
	return s.exec(ctx, "dbo.TempReleaseStateItemExclusive", ref, sql.Named("lockCookie", lock.Cookie))
}

// GiveBack implements session.Store. It is the same as Release.
func (s *Procedures) GiveBack(ctx context.Context, ref session.Ref, lock session.Lock, _ session.OperationID) error {
	return s.Release(ctx, ref, lock, session.Operation{})
}

// Remove implements session.Store.
func (s *Procedures) Remove(ctx context.Context, ref session.Ref, lock session.Lock, _ session.Operation) error {
	return s.exec(ctx, "dbo.TempRemoveStateItem", ref, sql.Named("lockCookie", lock.Cookie))
}

// Touch implements session.Store. Unlike the others it checks whether a row was changed, because it
// has no other answer.
func (s *Procedures) Touch(ctx context.Context, ref session.Ref, _ session.Operation) (session.Session, error) {
	res, err := s.db.ExecContext(ctx, "dbo.TempResetTimeout", sql.Named("id", s.key(ref)))
	if err != nil {
		return session.Session{}, driverError(err)
	}
	if n, err := res.RowsAffected(); err != nil || n == 0 {
		return session.Session{}, errors.Join(session.ErrNotFound, err)
	}
	return session.Session{}, nil
}
