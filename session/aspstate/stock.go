package aspstate

import (
	"context"
	"crypto/sha256"
	"database/sql"
	"encoding/base64"
	"encoding/binary"
	"errors"
	"fmt"
	"time"

	"github.com/mirrorstate/mirrorstate/session"
)

// stock is the dialect of the procedures that aspnet_regsql makes. The package comment says what they cannot promise.
type stock struct{}

// noCount is the bit of @@OPTIONS for SET NOCOUNT ON.
const noCount = 512

// stockItem is the answer of the TempGetStateItem…3 procedures.
type stockItem struct {
	item        []byte
	found       bool
	locked      bool
	lockAge     time.Duration
	lockCookie  int32
	actionFlags int32
}

// read calls TempGetStateItem3 or TempGetStateItemExclusive3. The long item is a result set, which comes before the
// output parameters. If both columns have an item, the long one is used, as in .NET. Source: facts, aspstate-schema
// §3.2.
func (stock) read(ctx context.Context, c *call, procedure string) (stockItem, error) {
	var (
		short, long     []byte
		locked          sql.NullBool
		age, cookie, af sql.NullInt32
	)
	rows, err := c.Conn.QueryContext(ctx, procedure, sql.Named("id", c.key),
		sql.Named("itemShort", sql.Out{Dest: &short}), sql.Named("locked", sql.Out{Dest: &locked}),
		sql.Named("lockAge", sql.Out{Dest: &age}), sql.Named("lockCookie", sql.Out{Dest: &cookie}),
		sql.Named("actionFlags", sql.Out{Dest: &af}))
	if err != nil {
		return stockItem{}, fmt.Errorf("call %s on %s: %w", procedure, c.Partner, err)
	}
	defer rows.Close()
	for rows.Next() {
		if err := rows.Scan(&long); err != nil {
			return stockItem{}, fmt.Errorf("read the item from %s on %s: %w", procedure, c.Partner, err)
		}
	}
	if err := errors.Join(rows.Err(), rows.Close()); err != nil {
		return stockItem{}, fmt.Errorf("read the answer of %s on %s: %w", procedure, c.Partner, err)
	}
	it := stockItem{item: short, found: locked.Valid, locked: locked.Bool, lockCookie: cookie.Int32,
		lockAge: time.Duration(max(0, age.Int32)) * time.Second, actionFlags: af.Int32}
	if long != nil {
		it.item = long
	}
	return it, nil
}

// exec calls a writing procedure and reports whether it changed a row. The stock procedures show this only by the row
// count, which a server can be configured not to send.
func (stock) exec(ctx context.Context, c *call, procedure string, args ...any) (bool, error) {
	res, err := c.Conn.ExecContext(ctx, procedure, args...)
	if err != nil {
		return false, fmt.Errorf("call %s on %s: %w", procedure, c.Partner, err)
	}
	n, err := res.RowsAffected()
	if err != nil || n > 0 {
		return n > 0, err
	}
	var options int64
	if err := c.Conn.QueryRowContext(ctx, "SELECT @@OPTIONS").Scan(&options); err != nil {
		return false, fmt.Errorf("read the user options of %s: %w", c.Partner, err)
	}
	if options&noCount != 0 {
		return false, fmt.Errorf("%w: partner %s has NOCOUNT among its user options, so it does not report whether a write changed a row; "+
			"clear it with sp_configure 'user options'", session.ErrOutcomeUnknown, c.Partner)
	}
	return false, nil
}

func (it stockItem) session() session.Session {
	return session.Session{
		Item:          it.item,
		Timeout:       timeoutOf(it.item),
		Uninitialized: it.actionFlags&1 != 0,
		Tag:           stockTag(it.lockCookie, it.item),
	}
}

// timeoutOf returns the timeout in an ASP.NET item; 0 for other bytes. Source: facts, session-item-format §1 and §5.
func timeoutOf(item []byte) int {
	if len(item) < 7 || item[4] > 1 || item[5] > 1 || item[len(item)-1] != 0xFF {
		return 0
	}
	minutes := binary.LittleEndian.Uint32(item)
	if minutes < session.MinTimeout || minutes > session.MaxTimeout {
		return 0
	}
	return int(minutes)
}

// stockTag returns a tag made of what the stock schema shows: the cookie, which every exclusive lock changes, and the
// item.
func stockTag(cookie int32, item []byte) session.Tag {
	sum := sha256.Sum256(item)
	b := binary.BigEndian.AppendUint32(nil, uint32(cookie))
	return session.Tag("s" + base64.RawURLEncoding.EncodeToString(append(b, sum[:16]...)))
}

func (d stock) get(ctx context.Context, c *call, opts session.GetOptions) (session.Session, error) {
	it, err := d.read(ctx, c, "dbo.TempGetStateItem3")
	switch {
	case err != nil:
		return session.Session{}, err
	case !it.found:
		return session.Session{}, session.ErrNotFound
	case it.locked:
		return session.Session{}, &session.LockedError{Age: it.lockAge}
	}
	out := it.session()
	if opts.NoItem {
		out.Item = nil
	}
	return out, nil
}

// lock takes the exclusive lock. It breaks an abandoned lock as .NET does, by releasing it with its holder's cookie.
// Source: facts, aspstate-schema §6.
func (d stock) lock(ctx context.Context, c *call) (stockItem, error) {
	for first := true; ; first = false {
		it, err := d.read(ctx, c, "dbo.TempGetStateItemExclusive3")
		switch {
		case err != nil:
			return it, err
		case !it.found:
			return it, session.ErrNotFound
		case !it.locked:
			return it, nil
		case !first || it.lockAge < c.ref.App.LockTimeout:
			return it, &session.LockedError{Age: it.lockAge}
		}
		if _, err := d.exec(ctx, c, "dbo.TempReleaseStateItemExclusive",
			sql.Named("id", c.key), sql.Named("lockCookie", it.lockCookie)); err != nil {
			return it, err
		}
	}
}

// acquire creates a missing session as .NET does: it inserts an uninitialized session, and then locks the session that
// exists. These are three calls, and other clients may call between them. So another client may get the lock first, and
// the created session stays even if its lock is not granted. Source: facts, aspstate-schema §6.
func (d stock) acquire(ctx context.Context, c *call) (session.Session, session.Lock, error) {
	if setsTimeout(c.op) {
		return session.Session{}, session.Lock{}, noTimeout("an acquire")
	}
	it, err := d.lock(ctx, c)
	made := false
	if c.op.Create && errors.Is(err, session.ErrNotFound) {
		_, err = d.insert(ctx, c, session.Write{Item: emptyContent(c), Uninitialized: true})
		switch {
		case err == nil:
			made = true
		case !errors.Is(err, session.ErrPrecondition) && !errors.Is(err, session.ErrOutcomeUnknown): // these two mean that the session exists
			return session.Session{}, session.Lock{}, err
		}
		it, err = d.lock(ctx, c)
	}
	if err != nil {
		return session.Session{}, session.Lock{}, err
	}
	out := it.session()
	out.Made = made
	return out, session.Lock{Operation: c.op.ID, Cookie: it.lockCookie}, nil
}

// noTimeout is the error of a timeout that the stock procedures cannot set.
func noTimeout(verb string) error {
	return fmt.Errorf("%w: the stock schema cannot set the timeout with %s, only with a store; extend it with mirrorstate install", session.ErrUnsupported, verb)
}

// wholeMinutes refuses a timeout that the stock schema cannot keep.
func wholeMinutes(w session.Write) error {
	if w.Seconds%60 != 0 {
		return fmt.Errorf("%w: the stock schema keeps timeouts of whole minutes; extend it with mirrorstate install", session.ErrUnsupported)
	}
	return nil
}

// noRow returns the error of a write with a lock cookie that changed no row.
func noRow(c *call) error {
	if c.Resent {
		return fmt.Errorf("%w: it was sent twice, and the stock schema does not show whether the first attempt was applied", session.ErrOutcomeUnknown)
	}
	return session.ErrLockLost
}

// timeoutFor returns the timeout that a write sets. The stock procedures require one, and do not return the row's. So it
// is the given timeout, or else the one in the item, or else the application's.
func timeoutFor(c *call, w session.Write) int32 {
	given, _ := session.SplitTimeout(w.Timeout, w.Seconds)
	for _, minutes := range []int{given, timeoutOf(w.Item)} {
		if minutes != 0 {
			return int32(minutes)
		}
	}
	return int32(c.ref.App.Timeout)
}

// write stores the item and releases the lock with that cookie. It always sets the other item column to NULL.
func (d stock) write(ctx context.Context, c *call, cookie int32, w session.Write) (bool, error) {
	procedure, name := "dbo.TempUpdateStateItemShortNullLong", "itemShort"
	item, long := items(w.Item)
	if long != nil {
		procedure, name, item = "dbo.TempUpdateStateItemLongNullShort", "itemLong", long
	}
	return d.exec(ctx, c, procedure, sql.Named("id", c.key), sql.Named(name, item),
		sql.Named("timeout", timeoutFor(c, w)), sql.Named("lockCookie", cookie))
}

func (d stock) update(ctx context.Context, c *call, lock session.Lock, w session.Write, keep bool) (session.Session, error) {
	if keep {
		return session.Session{}, fmt.Errorf("%w: the stock schema cannot update and keep the lock; extend it with mirrorstate install", session.ErrUnsupported)
	}
	if err := wholeMinutes(w); err != nil {
		return session.Session{}, err
	}
	switch found, err := d.write(ctx, c, lock.Cookie, w); {
	case err != nil:
		return session.Session{}, err
	case !found:
		return session.Session{}, noRow(c)
	}
	return written(c, lock.Cookie, w, false), nil
}

// written returns the session after a write by this call.
func written(c *call, cookie int32, w session.Write, made bool) session.Session {
	return session.Session{Timeout: int(timeoutFor(c, w)), Uninitialized: w.Uninitialized && made, Made: made, Tag: stockTag(cookie, w.Item)}
}

func (d stock) release(ctx context.Context, c *call, lock session.Lock) error {
	if setsTimeout(c.op) {
		return noTimeout("a release")
	}
	found, err := d.exec(ctx, c, "dbo.TempReleaseStateItemExclusive",
		sql.Named("id", c.key), sql.Named("lockCookie", lock.Cookie))
	if err == nil && !found {
		err = noRow(c)
	}
	return err
}

// giveBack releases the lock if its cookie is known: each grant changes the cookie, so the cookie identifies the grant.
// A lock whose cookie is not known ends by its age.
func (d stock) giveBack(ctx context.Context, c *call, lock session.Lock) error {
	if lock.IsZero() {
		return session.ErrLockLost
	}
	return d.release(ctx, c, lock)
}

// put takes the lock, compares the version, and writes or releases. If there is no session, it inserts one. There is no
// stock procedure for this.
func (d stock) put(ctx context.Context, c *call, w session.Write, cond session.Condition) (session.Session, error) {
	if err := wholeMinutes(w); err != nil {
		return session.Session{}, err
	}
	if cond.OnlyCreate {
		return d.insert(ctx, c, w)
	}
	it, err := d.lock(ctx, c)
	switch {
	case errors.Is(err, session.ErrNotFound) && cond.Match == "":
		out, err := d.insert(ctx, c, w)
		if errors.Is(err, session.ErrPrecondition) { // another caller created it meanwhile
			err = &session.LockedError{}
		}
		return out, err
	case err != nil:
		return session.Session{}, err
	}
	if cond.Match != "" && cond.Match != stockTag(it.lockCookie-1, it.item) { // our own lock has increased the cookie by one
		if err := d.release(ctx, c, session.Lock{Cookie: it.lockCookie}); err != nil {
			return session.Session{}, err
		}
		return session.Session{}, session.ErrPrecondition
	}
	switch found, err := d.write(ctx, c, it.lockCookie, w); {
	case err != nil:
		return session.Session{}, err
	case !found: // another caller broke the lock just now
		return session.Session{}, &session.LockedError{}
	}
	return written(c, it.lockCookie, w, false), nil
}

// insert creates a session. Source of the choice of the procedure: facts, aspstate-schema §3.3.
func (d stock) insert(ctx context.Context, c *call, w session.Write) (session.Session, error) {
	procedure, name := "dbo.TempInsertStateItemShort", "itemShort"
	item, long := items(w.Item)
	switch {
	case w.Uninitialized:
		procedure = "dbo.TempInsertUninitializedItem"
	case long != nil:
		procedure, name, item = "dbo.TempInsertStateItemLong", "itemLong", long
	}
	_, err := d.exec(ctx, c, procedure, sql.Named("id", c.key), sql.Named(name, item), sql.Named("timeout", timeoutFor(c, w)))
	switch {
	case isDuplicateKey(err) && c.Resent:
		return session.Session{}, fmt.Errorf("%w: it was sent twice, and the stock schema does not show which attempt created the session", session.ErrOutcomeUnknown)
	case isDuplicateKey(err):
		return session.Session{}, session.ErrPrecondition
	case err != nil:
		return session.Session{}, err
	}
	return written(c, 1, w, true), nil
}

// isDuplicateKey reports error 2627: the session exists.
func isDuplicateKey(err error) bool { return errorNumber(err) == 2627 }

func (d stock) remove(ctx context.Context, c *call, lock session.Lock) error {
	switch {
	case lock.IsZero() && c.op.Break: // the answer has the cookie of the lock, even if another caller holds it
		it, err := d.read(ctx, c, "dbo.TempGetStateItemExclusive3")
		switch {
		case err != nil:
			return err
		case !it.found:
			return session.ErrNotFound
		}
		lock.Cookie = it.lockCookie
	case lock.IsZero():
		it, err := d.lock(ctx, c)
		if err != nil {
			return err
		}
		lock.Cookie = it.lockCookie
	}
	found, err := d.exec(ctx, c, "dbo.TempRemoveStateItem", sql.Named("id", c.key), sql.Named("lockCookie", lock.Cookie))
	if err != nil || found {
		return err
	}
	it, err := d.read(ctx, c, "dbo.TempGetStateItem3")
	switch {
	case err != nil:
		return err
	case !it.found: // removed already
		return nil
	}
	return noRow(c)
}

func (d stock) touch(ctx context.Context, c *call) (session.Session, error) {
	if setsTimeout(c.op) {
		return session.Session{}, noTimeout("a touch")
	}
	found, err := d.exec(ctx, c, "dbo.TempResetTimeout", sql.Named("id", c.key))
	if err == nil && !found {
		err = session.ErrNotFound
	}
	return session.Session{}, err
}
