package storetest

import (
	"context"
	"database/sql"
	"errors"
	"fmt"

	"github.com/mirrorstate/mirrorstate/session"
)

// NetClient does what SqlSessionStateStore does: it calls the stock procedures under their own names, unguarded. A
// stale lock cookie is no error, as in .NET. Keys are those of the SessionId column; see [session.ID.Key]. Errors are
// the driver's, wrapped.
type NetClient interface {
	// AppID is TempGetAppID: it registers the application if necessary.
	AppID(ctx context.Context, name string) (session.AppID, error)

	// GetItem3 and GetItemExclusive3 are TempGetStateItem3 and TempGetStateItemExclusive3.
	GetItem3(ctx context.Context, key string) (NetItem, error)
	GetItemExclusive3(ctx context.Context, key string) (NetItem, error)

	// The inserts fail with error 2627 if there is a row; see [DuplicateKey].
	// Timeouts are minutes.
	InsertShort(ctx context.Context, key string, item []byte, timeout int) error
	InsertLong(ctx context.Context, key string, item []byte, timeout int) error
	InsertUninitialized(ctx context.Context, key string, item []byte, timeout int) error

	// The updates store in one column, set the other NULL if their name says so, and release.
	UpdateShort(ctx context.Context, key string, item []byte, timeout int, cookie int32) error
	UpdateShortNullLong(ctx context.Context, key string, item []byte, timeout int, cookie int32) error
	UpdateLong(ctx context.Context, key string, item []byte, timeout int, cookie int32) error
	UpdateLongNullShort(ctx context.Context, key string, item []byte, timeout int, cookie int32) error

	// Release is TempReleaseStateItemExclusive.
	Release(ctx context.Context, key string, cookie int32) error
	// Remove is TempRemoveStateItem.
	Remove(ctx context.Context, key string, cookie int32) error
	// ResetTimeout is TempResetTimeout.
	ResetTimeout(ctx context.Context, key string) error
}

// NetItem is the answer of a reading procedure.
type NetItem struct {
	Found       bool   // @locked was not NULL
	Short       []byte // @itemShort, nil for NULL
	Long        []byte // the result set, nil without one
	Locked      bool   // before the call
	LockAge     int    // seconds
	LockCookie  int32
	ActionFlags int
}

// Item returns the item that .NET uses: the long one if there is one.
func (i NetItem) Item() []byte {
	if i.Long != nil {
		return i.Long
	}
	return i.Short
}

// DuplicateKey reports whether err is SQL Server's 2627: the row exists.
func DuplicateKey(err error) bool {
	var numbered interface{ SQLErrorNumber() int32 }
	return errors.As(err, &numbered) && numbered.SQLErrorNumber() == 2627
}

// NewNetClient returns a NetClient that calls the procedures through db, a
// go-mssqldb pool on the ASPState database of the principal. It keeps db and does
// not close it.
func NewNetClient(db *sql.DB) NetClient { return netClient{db} }

type netClient struct{ db *sql.DB }

func (c netClient) AppID(ctx context.Context, name string) (session.AppID, error) {
	var id int32
	err := c.exec(ctx, "TempGetAppID", sql.Named("appName", name), sql.Named("appId", sql.Out{Dest: &id}))
	return session.AppID(id), err
}

func (c netClient) GetItem3(ctx context.Context, key string) (NetItem, error) {
	return c.read(ctx, "TempGetStateItem3", key)
}

func (c netClient) GetItemExclusive3(ctx context.Context, key string) (NetItem, error) {
	return c.read(ctx, "TempGetStateItemExclusive3", key)
}

// read calls a reading procedure. The output parameters come after the rows, so they are read after all rows.
func (c netClient) read(ctx context.Context, procedure, key string) (NetItem, error) {
	var (
		item   NetItem
		locked sql.NullBool
		age    sql.NullInt32
		cookie sql.NullInt32
		flags  sql.NullInt32
	)
	rows, err := c.db.QueryContext(ctx, "dbo."+procedure,
		sql.Named("id", key),
		sql.Named("itemShort", sql.Out{Dest: &item.Short}),
		sql.Named("locked", sql.Out{Dest: &locked}),
		sql.Named("lockAge", sql.Out{Dest: &age}),
		sql.Named("lockCookie", sql.Out{Dest: &cookie}),
		sql.Named("actionFlags", sql.Out{Dest: &flags}))
	if err != nil {
		return NetItem{}, fmt.Errorf("%s: %w", procedure, err)
	}
	defer rows.Close()
	for more := true; more; more = rows.NextResultSet() {
		for rows.Next() {
			if err := rows.Scan(&item.Long); err != nil {
				return NetItem{}, fmt.Errorf("%s: %w", procedure, err)
			}
		}
	}
	if err := errors.Join(rows.Err(), rows.Close()); err != nil {
		return NetItem{}, fmt.Errorf("%s: %w", procedure, err)
	}
	item.Found, item.Locked = locked.Valid, locked.Bool
	item.LockAge, item.LockCookie, item.ActionFlags = int(age.Int32), cookie.Int32, int(flags.Int32)
	return item, nil
}

func (c netClient) InsertShort(ctx context.Context, key string, item []byte, timeout int) error {
	return c.exec(ctx, "TempInsertStateItemShort", sql.Named("id", key), sql.Named("itemShort", item), minutesArg(timeout))
}

func (c netClient) InsertLong(ctx context.Context, key string, item []byte, timeout int) error {
	return c.exec(ctx, "TempInsertStateItemLong", sql.Named("id", key), sql.Named("itemLong", item), minutesArg(timeout))
}

func (c netClient) InsertUninitialized(ctx context.Context, key string, item []byte, timeout int) error {
	return c.exec(ctx, "TempInsertUninitializedItem", sql.Named("id", key), sql.Named("itemShort", item), minutesArg(timeout))
}

func (c netClient) UpdateShort(ctx context.Context, key string, item []byte, timeout int, cookie int32) error {
	return c.update(ctx, "TempUpdateStateItemShort", key, sql.Named("itemShort", item), timeout, cookie)
}

func (c netClient) UpdateShortNullLong(ctx context.Context, key string, item []byte, timeout int, cookie int32) error {
	return c.update(ctx, "TempUpdateStateItemShortNullLong", key, sql.Named("itemShort", item), timeout, cookie)
}

func (c netClient) UpdateLong(ctx context.Context, key string, item []byte, timeout int, cookie int32) error {
	return c.update(ctx, "TempUpdateStateItemLong", key, sql.Named("itemLong", item), timeout, cookie)
}

func (c netClient) UpdateLongNullShort(ctx context.Context, key string, item []byte, timeout int, cookie int32) error {
	return c.update(ctx, "TempUpdateStateItemLongNullShort", key, sql.Named("itemLong", item), timeout, cookie)
}

func (c netClient) Release(ctx context.Context, key string, cookie int32) error {
	return c.exec(ctx, "TempReleaseStateItemExclusive", sql.Named("id", key), sql.Named("lockCookie", cookie))
}

func (c netClient) Remove(ctx context.Context, key string, cookie int32) error {
	return c.exec(ctx, "TempRemoveStateItem", sql.Named("id", key), sql.Named("lockCookie", cookie))
}

func (c netClient) ResetTimeout(ctx context.Context, key string) error {
	return c.exec(ctx, "TempResetTimeout", sql.Named("id", key))
}

func (c netClient) update(ctx context.Context, procedure, key string, item sql.NamedArg, timeout int, cookie int32) error {
	return c.exec(ctx, procedure, sql.Named("id", key), item, minutesArg(timeout), sql.Named("lockCookie", cookie))
}

// exec calls a procedure by name: for a name without spaces the driver sends an RPC.
func (c netClient) exec(ctx context.Context, procedure string, args ...any) error {
	if _, err := c.db.ExecContext(ctx, "dbo."+procedure, args...); err != nil {
		return fmt.Errorf("%s: %w", procedure, err)
	}
	return nil
}

func minutesArg(timeout int) sql.NamedArg { return sql.Named("timeout", int32(timeout)) }
