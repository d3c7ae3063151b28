package aspstate

import (
	"context"
	"database/sql/driver"
	"time"

	mssql "github.com/microsoft/go-mssqldb"

	"github.com/mirrorstate/mirrorstate/partner"
	"github.com/mirrorstate/mirrorstate/session"
)

// extended is the dialect of the procedures MirrorState_…_1.
type extended struct{}

// items returns the values of the two item columns. An item of up to 7,000 bytes is in the short one, a longer item in
// the long one. The other column is NULL, as .NET expects. Source: facts, aspstate-schema §0 item 5.
func items(item []byte) (short, long []byte) {
	if item == nil {
		item = []byte{}
	}
	if len(item) <= maxShort {
		return item, nil
	}
	return nil, item
}

// withTimeout adds a timeout to the arguments, if there is one. Without it the row keeps its timeout. Seconds are sent
// only if they are set, because an extension of an earlier version has no such parameter.
func withTimeout(args []driver.NamedValue, timeout, seconds int) []driver.NamedValue {
	minutes, seconds := session.SplitTimeout(timeout, seconds)
	if minutes != 0 {
		args = append(args, arg("timeout", int32(minutes)))
	}
	if seconds != 0 {
		args = append(args, arg("timeoutSeconds", int32(seconds)))
	}
	return args
}

// withWrite adds the item of a write, and those of its other parts that differ from the defaults.
func withWrite(args []driver.NamedValue, w session.Write) []driver.NamedValue {
	if short, long := items(w.Item); long != nil {
		args = append(args, arg("itemLong", long))
	} else {
		args = append(args, arg("itemShort", short))
	}
	if w.Uninitialized {
		args = append(args, arg("flags", int32(1)))
	}
	return withTimeout(args, w.Timeout, w.Seconds)
}

// everyLock is a @lockTimeout, in seconds, by which every lock is abandoned. It is negative, so that a lock with a date
// in the future is abandoned too: the clock of the partner that granted it may have been ahead.
const everyLock = int32(-366 * 24 * 60 * 60)

func lockSeconds(ref session.Ref) int32 { return int32(ref.App.LockTimeout / time.Second) }

// mutation returns the arguments of a mutation: those that all mutations have, and args. If the attempt is the first one
// of the only call of its operation, as usual, few arguments are needed.
func mutation(c *call, args ...driver.NamedValue) []driver.NamedValue {
	all := make([]driver.NamedValue, 0, len(args)+10)
	all = append(all, arg("id", c.key), arg("epoch", c.Epoch), arg("notAfter", c.NotAfter),
		arg("op", c.op.ID[:]), arg("sent", c.Sent))
	if c.Resent {
		all = append(all, arg("resent", true))
	}
	if c.shared() {
		settle := int32(settleRefusals)
		if c.op.AsksAgain {
			settle = settleUnlessLocked
		}
		all = append(all, arg("call", c.op.Call[:]), arg("called", c.Earliest(c.op.Began)), arg("settle", settle))
	}
	return append(all, args...)
}

// The @settle of the mutations: which refusals are recorded as the answer of the operation's other calls too.
const (
	settleRefusals     = 1
	settleUnlessLocked = 2
)

// firstSent adds the time at which the first attempt was sent, for procedures that need it.
func (c *call) firstSent(args []driver.NamedValue) []driver.NamedValue {
	if c.Resent {
		args = append(args, arg("firstSent", c.FirstSent))
	}
	return args
}

// waited adds the creation time of the session for whose lock the call has waited, if it has.
func (c *call) waited(args []driver.NamedValue) []driver.NamedValue {
	if c.op.Waited == "" {
		return args
	}
	if v, ok := parseVersion(c.op.Waited); ok {
		args = append(args, arg("waited", mssql.DateTime1(v.created)))
	}
	return args
}

func (extended) get(ctx context.Context, c *call, opts session.GetOptions) (session.Session, error) {
	args := append(make([]driver.NamedValue, 0, 6), arg("id", c.key), arg("epoch", c.Epoch), arg("lockTimeout", lockSeconds(c.ref)))
	if opts.Peek {
		args = append(args, arg("renew", false))
	}
	if opts.AllowLocked {
		args = append(args, arg("allowLocked", true))
	}
	if opts.NoItem {
		args = append(args, arg("item", false))
	}
	a, err := callExtended(ctx, c, "dbo.MirrorState_Get_1", args...)
	if err != nil {
		return session.Session{}, err
	}
	return a.session(), nil
}

func (extended) touch(ctx context.Context, c *call) (session.Session, error) {
	args := []driver.NamedValue{arg("id", c.key), arg("epoch", c.Epoch), arg("notAfter", c.NotAfter),
		arg("lockTimeout", lockSeconds(c.ref))}
	if setsTimeout(c.op) {
		args = withTimeout(append(args, arg("sent", c.Sent)), c.op.Timeout, c.op.Seconds)
	}
	a, err := callExtended(ctx, c, "dbo.MirrorState_Touch_1", args...)
	if err != nil {
		return session.Session{}, err
	}
	return a.session(), nil
}

func (extended) acquire(ctx context.Context, c *call) (session.Session, session.Lock, error) {
	args := withTimeout(mutation(c, arg("lockTimeout", lockSeconds(c.ref))), c.op.Timeout, c.op.Seconds)
	if c.op.Create {
		args = c.waited(c.firstSent(append(args, arg("create", true), arg("itemShort", emptyContent(c)),
			arg("defaultTimeout", int32(c.ref.App.Timeout)))))
	}
	a, err := callExtended(ctx, c, "dbo.MirrorState_Acquire_1", args...)
	if err != nil {
		return session.Session{}, session.Lock{}, err
	}
	return a.session(), session.Lock{Operation: c.op.ID, Cookie: int32(a.lockCookie.V)}, nil
}

// emptyContent returns the item of a session that an acquire creates.
func emptyContent(c *call) []byte {
	minutes, _ := session.SplitTimeout(c.op.Timeout, c.op.Seconds)
	if minutes == 0 {
		minutes = c.ref.App.Timeout
	}
	return session.EmptyContent(minutes)
}

func (extended) update(ctx context.Context, c *call, lock session.Lock, w session.Write, keep bool) (session.Session, error) {
	args := c.firstSent(mutation(c, arg("lockOp", lock.Operation[:]), arg("lockCookie", lock.Cookie)))
	if keep {
		args = append(args, arg("keep", true))
	}
	a, err := callExtended(ctx, c, "dbo.MirrorState_Update_1", withWrite(args, w)...)
	if err != nil {
		return session.Session{}, err
	}
	return a.stored(c.op.ID), nil
}

func (extended) release(ctx context.Context, c *call, lock session.Lock) error {
	_, err := callExtended(ctx, c, "dbo.MirrorState_Release_1", withTimeout(c.firstSent(mutation(c,
		arg("lockOp", lock.Operation[:]), arg("lockCookie", lock.Cookie))), c.op.Timeout, c.op.Seconds)...)
	return err
}

func (extended) giveBack(ctx context.Context, c *call, _ session.Lock) error {
	instead := session.NewOperationID()
	_, err := callExtended(ctx, c, "dbo.MirrorState_GiveBack_1",
		arg("id", c.key), arg("epoch", c.Epoch), arg("notAfter", c.NotAfter),
		arg("op", c.op.ID[:]), arg("call", c.op.Call[:]), arg("instead", instead[:]))
	return err
}

// The values of @mode of MirrorState_Store_1. The default is to store unless another caller holds the lock.
const (
	storeOnlyCreate = 1
	storeOnlyMatch  = 2
)

func (extended) put(ctx context.Context, c *call, w session.Write, cond session.Condition) (session.Session, error) {
	args := c.firstSent(mutation(c,
		arg("lockTimeout", lockSeconds(c.ref)), arg("defaultTimeout", int32(c.ref.App.Timeout))))
	switch {
	case cond.OnlyCreate:
		args = append(args, arg("mode", int32(storeOnlyCreate)))
	case cond.Match != "":
		v, ok := parseVersion(cond.Match)
		if !ok {
			return session.Session{}, session.ErrPrecondition
		}
		args = append(args, arg("mode", int32(storeOnlyMatch)), arg("created", mssql.DateTime1(v.created)),
			arg("cookie", v.cookie), arg("locked", v.locked), arg("newest", v.newest))
	default:
		args = c.waited(args)
	}
	a, err := callExtended(ctx, c, "dbo.MirrorState_Store_1", withWrite(args, w)...)
	if err != nil {
		return session.Session{}, err
	}
	return a.stored(c.op.ID), nil
}

func (extended) remove(ctx context.Context, c *call, lock session.Lock) error {
	// Without lock arguments the procedure removes the session unless another caller holds the lock. With them, even if
	// the operation id is zero, it removes the session only if they match.
	abandoned := lockSeconds(c.ref)
	if lock.IsZero() && c.op.Break {
		abandoned = everyLock
	}
	args := mutation(c, arg("lockTimeout", abandoned))
	if lock.IsZero() {
		args = c.waited(args)
	} else {
		args = append(args, arg("lockOp", lock.Operation[:]), arg("lockCookie", lock.Cookie))
	}
	_, err := callExtended(ctx, c, "dbo.MirrorState_Remove_1", args...)
	return err
}

// fleetSecret reads the fleet's secret. If the database has none yet, it stores the proposal as the secret.
func fleetSecret(ctx context.Context, a *partner.Attempt, proposal []byte) ([]byte, error) {
	type secretRow struct {
		result int64
		secret []byte
	}
	args := []driver.NamedValue{arg("epoch", a.Epoch), arg("proposal", proposal)}
	row, err := lastRow(ctx, a, "dbo.MirrorState_FleetSecret_1", args, func(r *row) secretRow { return secretRow{next[int64](r).V, next[[]byte](r).V} })
	if err != nil {
		return nil, err
	}
	return row.secret, (&answer{result: row.result}).err(a.Partner)
}
