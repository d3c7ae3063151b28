package embedded

import (
	"github.com/mirrorstate/mirrorstate/partner/embedded/tds"
)

// storeProcedures are the two verbs of 40-extension-sessions.sql that need no lock.
var storeProcedures = []*procedure{
	{name: "MirrorState_Store_1", run: storeSession, params: []parameter{paramID, paramEpoch, paramNotAfter, paramOp, paramFirstSent,
		paramResent, paramLockTimeout, {name: "@mode", typ: tds.Int}, {name: "@created", typ: tds.DateTime}, {name: "@cookie", typ: tds.Int},
		{name: "@locked", typ: tds.Bit}, {name: "@newest", typ: tds.Binary(16)}, paramTimeout,
		{name: "@defaultTimeout", typ: tds.Int}, paramFlags, paramShort, paramItemLongMax}},
	{name: "MirrorState_Remove_1", run: removeSession,
		params: []parameter{paramID, paramEpoch, paramNotAfter, paramOp, paramLockTimeout, paramLockOp, paramLockCookie}},
}

// Values of @mode.
const (
	modeUnlessLocked = 0
	modeCreate       = 1
	modeIfMatch      = 2
)

// storing is the arguments of MirrorState_Store_1 by name.
type storing struct {
	id, epoch, notAfter, op, firstSent, resent, lockTimeout, mode argument
	created, cookie, locked, newest                               argument
	timeout, defaultTimeout, flags, short, long                   argument
}

func storingOf(a arguments) storing {
	return storing{id: a[0], epoch: a[1], notAfter: a[2], op: a[3], firstSent: a[4], resent: a[5], lockTimeout: a[6], mode: a[7],
		created: a[8], cookie: a[9], locked: a[10], newest: a[11],
		timeout: a[12], defaultTimeout: a[13], flags: a[14], short: a[15], long: a[16]}
}

// newTimeout is COALESCE(@timeout, @defaultTimeout).
func (p *storing) newTimeout() argument {
	if p.timeout.ok {
		return p.timeout
	}
	return p.defaultTimeout
}

func storeSession(t *transaction, a arguments) (*result, error) {
	p := storingOf(a)
	c, err := look(t, p.id, p.epoch, p.lockTimeout)
	if err != nil {
		return nil, err
	}
	f, err := t.fateOf(p.id, p.firstSent, p.op)
	switch {
	case err != nil:
		return nil, err
	case f.removed, f.done:
		// What was removed, and perhaps made again, since this was first sent is not
		// for this to make or to overwrite.
	case c.s != nil && p.mayOverwrite(t, &c):
		return p.overwrite(t, c.s)
	case c.s == nil && c.sameEpoch && p.mode.ok && p.mode.n != modeIfMatch && inTime(t, p.notAfter) && p.id.ok:
		return p.insert(t)
	}
	return p.explain(t, &c, f)
}

// mayOverwrite is the WHERE clause of the UPDATE.
func (p *storing) mayOverwrite(t *transaction, c *situation) bool {
	s := c.s
	if !c.free() || !s.notInRing(p.op) || !s.forgotNothingSince(p.firstSent) || !inTime(t, p.notAfter) || !c.sameEpoch || !p.mode.ok {
		return false
	}
	switch p.mode.n {
	case modeUnlessLocked:
		return true
	case modeCreate:
		return s.expires <= t.now
	case modeIfMatch:
		newest := zeroOperation
		if p.newest.ok {
			newest = p.newest.op()
		}
		return s.expires > t.now && p.created.ok && s.created == p.created.date() && p.cookie.is(int64(s.lockCookie)) &&
			p.locked.is(boolInt(s.locked)) && s.ops[0].orZero() == newest
	}
	return false
}

// overwrite stores into the row; an expired one becomes a new session.
func (p *storing) overwrite(t *transaction, old *sessionRow) (*result, error) {
	s := *old
	alive := old.expires > t.now
	outcome := int64(resultDone)
	timeout := p.timeout
	if !timeout.ok && alive {
		timeout = argument{ok: true, n: int64(old.timeout)}
	}
	if !alive {
		timeout = p.newTimeout()
		s.created = t.now
		outcome = resultCreated
	}
	switch {
	case !timeout.ok:
		return failed(nullColumn("Expires", tableSessions, "UPDATE")), nil
	case !p.flags.ok:
		return failed(nullColumn("Flags", tableSessions, "UPDATE")), nil
	}
	s.timeout = timeout.int32()
	var err error
	if s.expires, err = expiry(t.now, s.timeout); err != nil {
		return nil, err
	}
	s.locked, s.lockDate, s.lockDateLocal = false, t.now, localNow()
	s.lockCookie++
	s.short, s.long = p.short.blob(), p.long.blob()
	s.flags = s.flags&^1 | p.flags.int32()
	s.remember(p.op, t.clock)
	return applied(t, outcome, &s)
}

// insert makes the session.
func (p *storing) insert(t *transaction) (*result, error) {
	timeout := p.newTimeout()
	switch {
	case !timeout.ok:
		return nil, nullColumn("Expires", tableSessions, "INSERT")
	case !p.flags.ok:
		return nil, nullColumn("Flags", tableSessions, "INSERT")
	}
	expires, err := expiry(t.now, timeout.int32())
	if err != nil {
		return nil, err
	}
	s := newSessionRow(p.id.s, t.now, expires, timeout.int32())
	s.short, s.long = p.short.blob(), p.long.blob()
	s.flags = p.flags.int32()
	s.ops[0], s.opDates[0] = p.op.op(), t.clock
	if !p.op.ok {
		s.ops[0] = ""
	}
	return applied(t, resultCreated, s)
}

// explain tells why nothing was stored.
func (p *storing) explain(t *transaction, c *situation, f fate) (*result, error) {
	if c.e == nil {
		return noRow(columnsWithoutItem), nil
	}
	return notApplied(t, p.why(t, c, f), c.s)
}

// why is the CASE of the last statement.
func (p *storing) why(t *transaction, c *situation, f fate) int64 {
	s := c.s
	overrun := s != nil && !s.forgotten.null() && p.firstSent.ok && s.forgotten >= p.firstSent.date2()
	switch {
	case c.moved:
		return resultMoved
	case s != nil && s.inRing(p.op):
		if s.forgotten.null() && s.oldest().is(p.op.op()) {
			return resultCreated
		}
		return resultDone
	case f.done:
		return resultDone
	// Removed since this was first sent. It is no more to be done: the session stays
	// away, or its successor as it is. Whether it was done before, the removed
	// session's ring tells.
	case p.resent.is(1) && f.unknown:
		return resultUnknown
	case p.resent.is(1) && f.removed:
		return resultNoSession
	case late(t, p.notAfter):
		return resultAgain
	case overrun && p.resent.is(1):
		return resultUnknown // what stands in the way now may have come after this was done
	case s != nil && c.heldAlive():
		if p.mode.is(modeCreate) {
			return resultPrecondition
		}
		return resultLocked
	case overrun:
		return resultAgain
	case p.mode.is(modeCreate) && s != nil && s.expires > t.now, p.mode.is(modeIfMatch):
		return resultPrecondition
	}
	return resultAgain
}

// oldest is the oldest operation of the ring: of one that has forgotten nothing,
// the one that made the session.
func (s *sessionRow) oldest() operation {
	for i := len(s.ops) - 1; i >= 0; i-- {
		if s.ops[i] != "" {
			return s.ops[i]
		}
	}
	return ""
}

// tombstoneMinutes is how long a tombstone is kept, and tombstonesSwept how many
// old ones a removal sweeps away.
const (
	tombstoneMinutes = 10
	tombstonesSwept  = 4
)

func removeSession(t *transaction, a arguments) (*result, error) {
	id, epoch, notAfter, op, lockTimeout, lockOp, lockCookie := a[0], a[1], a[2], a[3], a[4], a[5], a[6]
	c, err := look(t, id, epoch, lockTimeout)
	if err != nil {
		return nil, err
	}
	done, err := t.tombstoned(id, op.op())
	if err != nil {
		return nil, err
	}
	s := c.s
	if s != nil && (!lockOp.ok && c.free() || s.heldBy(lockOp, lockCookie)) && !done && inTime(t, notAfter) && c.sameEpoch {
		if !op.ok {
			return failed(nullColumn("OperationId", tableTombstones, "INSERT")), nil
		}
		return bury(t, s, op)
	}
	if c.e == nil {
		return noRow(columnsWithoutItem), nil
	}
	outcome := int64(resultAgain)
	switch {
	case c.moved:
		outcome = resultMoved
	case done, s == nil:
		outcome = resultDone
	case late(t, notAfter), lockOp.ok && s.heldBy(lockOp, lockCookie):
	case lockOp.ok:
		outcome = resultLockLost
	case c.heldAlive():
		outcome = resultLocked
	}
	return notApplied(t, outcome, s)
}

// bury removes the session, leaves a tombstone, and sweeps a few old ones.
func bury(t *transaction, s *sessionRow, op argument) (*result, error) {
	old, err := t.from.tombstonesBefore(t.clock.addMinutes(-tombstoneMinutes), tombstonesSwept)
	if err != nil {
		return nil, err
	}
	t.remove(s)
	t.put(&tombstoneRow{id: s.id, op: op.op(), removed: t.clock, ops: s.ops, forgotten: s.forgotten})
	for _, r := range old {
		t.remove(r)
	}
	return notApplied(t, resultDone, nil)
}
