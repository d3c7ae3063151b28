package aspstate

import (
	"context"
	"database/sql"
	"time"

	mssql "github.com/microsoft/go-mssqldb"

	"github.com/mirrorstate/mirrorstate/partner"
	"github.com/mirrorstate/mirrorstate/session"
)

// extended is the dialect of the procedures MirrorState_…_1.
type extended struct{}

// items gives an item its column: up to 7,000 bytes the short one, else the
// long one, the other NULL, so that .NET reads what it expects. Source: facts,
// aspstate-schema §0 item 5.
func items(item []byte) (short, long []byte) {
	if item == nil {
		item = []byte{}
	}
	if len(item) <= maxShort {
		return item, nil
	}
	return nil, item
}

// withTimeout adds a timeout to the arguments, where there is one; without it the row keeps its own.
// Seconds are named only where they count: an extension of an earlier version knows none.
func withTimeout(args []any, timeout, seconds int) []any {
	minutes, seconds := session.SplitTimeout(timeout, seconds)
	if minutes != 0 {
		args = append(args, sql.Named("timeout", int32(minutes)))
	}
	if seconds != 0 {
		args = append(args, sql.Named("timeoutSeconds", int32(seconds)))
	}
	return args
}

// orNull is the timeout of a write, whose parameter has no default.
func orNull(args []any, timeout, seconds int) []any {
	if timeout == 0 && seconds == 0 {
		return append(args, sql.Named("timeout", sql.NullInt32{}))
	}
	return withTimeout(args, timeout, seconds)
}

func flags(w session.Write) int32 {
	if w.Uninitialized {
		return 1
	}
	return 0
}

// everyLock as the seconds after which a lock is abandoned makes every lock so: one of the
// future too, as a partner whose clock is ahead may have given it.
const everyLock = int32(-366 * 24 * 60 * 60)

func lockSeconds(ref session.Ref) int32 { return int32(ref.App.LockTimeout / time.Second) }

// mutation is a call of a mutation: its own arguments, and those that tell how it was sent. Most
// attempts are the first of the only call of their operation, and need few.
func mutation(c *call, args ...any) []any {
	all := make([]any, 0, len(args)+10)
	all = append(all, sql.Named("id", c.key), sql.Named("epoch", c.Epoch), sql.Named("notAfter", c.NotAfter),
		sql.Named("op", c.op.ID[:]), sql.Named("sent", c.Sent))
	if c.Resent {
		all = append(all, sql.Named("resent", true))
	}
	if c.shared() {
		settle := int32(settleRefusals)
		if c.op.AsksAgain {
			settle = settleUnlessLocked
		}
		all = append(all, sql.Named("call", c.op.Call[:]), sql.Named("called", c.Earliest(c.op.Began)), sql.Named("settle", settle))
	}
	return append(all, args...)
}

// The @settle of the mutations: which refusals bind the other calls of their operation.
const (
	settleRefusals     = 1
	settleUnlessLocked = 2
)

// firstSent adds when the first attempt was sent, to those procedures that ask.
func (c *call) firstSent(args []any) []any {
	if c.Resent {
		args = append(args, sql.Named("firstSent", c.FirstSent))
	}
	return args
}

func (extended) get(ctx context.Context, c *call, opts session.GetOptions) (session.Session, error) {
	a, err := callExtended(ctx, c, "dbo.MirrorState_Get_1",
		sql.Named("id", c.key), sql.Named("epoch", c.Epoch), sql.Named("lockTimeout", lockSeconds(c.ref)),
		sql.Named("renew", !opts.Peek), sql.Named("allowLocked", opts.AllowLocked), sql.Named("item", !opts.NoItem))
	if err != nil {
		return session.Session{}, err
	}
	return a.session(), nil
}

func (extended) touch(ctx context.Context, c *call) (session.Session, error) {
	args := []any{sql.Named("id", c.key), sql.Named("epoch", c.Epoch), sql.Named("notAfter", c.NotAfter),
		sql.Named("lockTimeout", lockSeconds(c.ref))}
	if setsTimeout(c.op) {
		args = withTimeout(append(args, sql.Named("sent", c.Sent)), c.op.Timeout, c.op.Seconds)
	}
	a, err := callExtended(ctx, c, "dbo.MirrorState_Touch_1", args...)
	if err != nil {
		return session.Session{}, err
	}
	return a.session(), nil
}

func (extended) acquire(ctx context.Context, c *call) (session.Session, session.Lock, error) {
	args := withTimeout(mutation(c, sql.Named("lockTimeout", lockSeconds(c.ref))), c.op.Timeout, c.op.Seconds)
	if c.op.Create {
		args = c.firstSent(append(args, sql.Named("create", true), sql.Named("itemShort", emptyContent(c)),
			sql.Named("defaultTimeout", int32(c.ref.App.Timeout))))
	}
	a, err := callExtended(ctx, c, "dbo.MirrorState_Acquire_1", args...)
	if err != nil {
		return session.Session{}, session.Lock{}, err
	}
	return a.session(), session.Lock{Operation: c.op.ID, Cookie: a.lockCookie.Int32}, nil
}

// emptyContent is the item of a session that an acquire makes.
func emptyContent(c *call) []byte {
	minutes, _ := session.SplitTimeout(c.op.Timeout, c.op.Seconds)
	if minutes == 0 {
		minutes = c.ref.App.Timeout
	}
	return session.EmptyContent(minutes)
}

func (extended) update(ctx context.Context, c *call, lock session.Lock, w session.Write, keep bool) (session.Session, error) {
	short, long := items(w.Item)
	a, err := callExtended(ctx, c, "dbo.MirrorState_Update_1", orNull(c.firstSent(mutation(c,
		sql.Named("lockOp", lock.Operation[:]), sql.Named("lockCookie", lock.Cookie), sql.Named("keep", keep),
		sql.Named("flags", flags(w)), sql.Named("itemShort", short), sql.Named("itemLong", long))), w.Timeout, w.Seconds)...)
	if err != nil {
		return session.Session{}, err
	}
	return a.stored(c.op.ID), nil
}

func (extended) release(ctx context.Context, c *call, lock session.Lock) error {
	_, err := callExtended(ctx, c, "dbo.MirrorState_Release_1", withTimeout(c.firstSent(mutation(c,
		sql.Named("lockOp", lock.Operation[:]), sql.Named("lockCookie", lock.Cookie))), c.op.Timeout, c.op.Seconds)...)
	return err
}

func (extended) giveBack(ctx context.Context, c *call, _ session.Lock) error {
	instead := session.NewOperationID()
	_, err := callExtended(ctx, c, "dbo.MirrorState_GiveBack_1",
		sql.Named("id", c.key), sql.Named("epoch", c.Epoch), sql.Named("notAfter", c.NotAfter),
		sql.Named("op", c.op.ID[:]), sql.Named("call", c.op.Call[:]), sql.Named("instead", instead[:]))
	return err
}

// The @mode of MirrorState_Store_1.
const (
	storeUnlessLocked = 0
	storeOnlyCreate   = 1
	storeOnlyMatch    = 2
)

func (extended) put(ctx context.Context, c *call, w session.Write, cond session.Condition) (session.Session, error) {
	mode, v := int32(storeUnlessLocked), version{}
	switch {
	case cond.OnlyCreate:
		mode = storeOnlyCreate
	case cond.Match != "":
		var ok bool
		if v, ok = parseVersion(cond.Match); !ok {
			return session.Session{}, session.ErrPrecondition
		}
		mode = storeOnlyMatch
	}
	short, long := items(w.Item)
	a, err := callExtended(ctx, c, "dbo.MirrorState_Store_1", orNull(c.firstSent(mutation(c,
		sql.Named("lockTimeout", lockSeconds(c.ref)), sql.Named("mode", mode),
		sql.Named("created", v.createdParameter()), sql.Named("cookie", v.cookie), sql.Named("locked", v.locked),
		sql.Named("newest", v.newest),
		sql.Named("defaultTimeout", int32(c.ref.App.Timeout)), sql.Named("flags", flags(w)),
		sql.Named("itemShort", short), sql.Named("itemLong", long))), w.Timeout, w.Seconds)...)
	if err != nil {
		return session.Session{}, err
	}
	return a.stored(c.op.ID), nil
}

// createdParameter is the creation time as a datetime parameter; NULL where there is none. The driver has no NULL of
// datetime: one of datetime2 becomes it, and one without a type is text to some engines.
func (v version) createdParameter() any {
	if v.created.IsZero() {
		return mssql.NullDateTime{}
	}
	return mssql.DateTime1(v.created)
}

func (extended) remove(ctx context.Context, c *call, lock session.Lock) error {
	// NULLs mean "unless somebody holds it"; a lock, even one with no operation id, means its holder.
	var op, cookie any = lock.Operation[:], lock.Cookie
	abandoned := lockSeconds(c.ref)
	if lock.IsZero() {
		op, cookie = []byte(nil), sql.NullInt32{}
		if c.op.Break {
			abandoned = everyLock
		}
	}
	_, err := callExtended(ctx, c, "dbo.MirrorState_Remove_1", mutation(c,
		sql.Named("lockTimeout", abandoned), sql.Named("lockOp", op), sql.Named("lockCookie", cookie))...)
	return err
}

// fleetSecret reads the fleet's secret, proposing one where there is none.
func fleetSecret(ctx context.Context, a *partner.Attempt, proposal []byte) (secret []byte, err error) {
	var result int32
	args := []any{sql.Named("epoch", a.Epoch), sql.Named("proposal", proposal)}
	err = lastRow(ctx, a, "dbo.MirrorState_FleetSecret_1", args, func(rows *sql.Rows) error { return rows.Scan(&result, &secret) })
	if err != nil {
		return nil, err
	}
	return secret, (&answer{result: result}).err(a.Partner)
}
