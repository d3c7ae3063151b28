package embedded

import (
	"slices"

	"github.com/mirrorstate/mirrorstate/partner/embedded/tds"
)

// storeProcedures are the two verbs of 40-extension-sessions.sql that need no lock.
var storeProcedures = []*procedure{
	{name: "MirrorState_Store_1", run: storeSession, params: []parameter{paramID, paramEpoch, paramNotAfter, paramOp,
		paramFirstSent, paramResent, paramLockTimeout, {name: "@mode", typ: tds.Int, optional: true, value: argument{ok: true}},
		{name: "@created", typ: tds.DateTime, optional: true}, {name: "@cookie", typ: tds.Int, optional: true},
		{name: "@locked", typ: tds.Bit, optional: true}, {name: "@newest", typ: tds.Binary(16), optional: true}, paramTimeoutLater,
		{name: "@defaultTimeout", typ: tds.Int}, paramFlags, paramItemShort, paramItemLongMax,
		paramSentLater, paramCall, paramCalled, paramSettle, paramTimeoutSeconds, paramWaited}},
	{name: "MirrorState_Remove_1", run: removeSession,
		params: []parameter{paramID, paramEpoch, paramNotAfter, paramOp, paramLockTimeout,
			{name: "@lockOp", typ: paramLockOp.typ, optional: true}, {name: "@lockCookie", typ: tds.Int, optional: true}, paramSentLater, paramResent, paramCall, paramCalled, paramSettle, paramWaited}},
}

// Values of @mode.
const (
	modeUnlessLocked = 0
	modeCreate       = 1
	modeIfMatch      = 2
)

// storing is the arguments of MirrorState_Store_1 by name.
type storing struct {
	attempt
	id, epoch, notAfter, lockTimeout, mode      argument
	created, cookie, locked, newest             argument
	timeout, defaultTimeout, flags, short, long argument
	waited                                      argument
	given                                       timeoutGiven
}

func storingOf(a arguments) storing {
	return storing{attempt: attemptOf(a[3], a[17], a[4], a[5], a[18], a[19], a[20]),
		id: a[0], epoch: a[1], notAfter: a[2], lockTimeout: a[6], mode: a[7],
		created: a[8], cookie: a[9], locked: a[10], newest: a[11],
		timeout: a[12], defaultTimeout: a[13], flags: a[14], short: a[15], long: a[16], waited: a[22]}
}

// newTimeout is COALESCE(@timeout, @defaultTimeout).
func (p *storing) newTimeout() argument {
	if p.timeout.ok {
		return p.timeout
	}
	return p.defaultTimeout
}

func storeSession(t *transaction, args arguments) (*result, error) {
	p := storingOf(args)
	g, err := givenOf(t, p.timeout, args[21])
	if err != nil {
		return nil, err
	}
	p.given = g
	c, err := look(t, p.id, p.epoch, p.lockTimeout)
	if err != nil {
		return nil, err
	}
	if c.e == nil {
		return noRow(columnsWithoutItem), nil
	}
	f, err := t.fateOf(p.id, p.since, p.op)
	if err != nil {
		return nil, err
	}
	decided, err := p.decided(t)
	if err != nil {
		return nil, err
	}
	for ; ; p.careful = true {
		if p.careful {
			if err := p.enter(t); err != nil {
				return nil, err
			}
		}
		// What was removed, and perhaps made again, since this was first sent is not
		// for this to make or to overwrite.
		mayWrite := !decided && c.sameEpoch && inTime(t, p.notAfter) && !p.answered.ok && (p.alone() || !f.removed && !f.done) && !f.removedOf(p.waited)
		switch {
		case mayWrite && c.s != nil && p.mayOverwrite(t, &c):
			r, err := p.overwrite(t, c.s)
			return p.done(t, p.id, resultDone, r, err)
		case mayWrite && c.s == nil && !f.sameTick(t) && p.careful && p.mode.ok && !p.mode.is(modeIfMatch) && p.op.ok && p.id.ok:
			r, err := p.insert(t)
			return p.done(t, p.id, resultCreated, r, err)
		}
		outcome := p.why(t, &c, f)
		if p.careful {
			if outcome != resultMoved && outcome != resultAgain {
				if err := p.idle(t, p.id, outcome); err != nil {
					return nil, err
				}
			}
			return notApplied(t, outcome, c.s)
		}
		quiet := c.s != nil && p.quiet(c.s)
		if late(t, p.notAfter) || outcome == resultMoved || outcome != resultAgain && quiet && !p.binds(outcome) {
			return notApplied(t, outcome, c.s)
		}
	}
}

// mayOverwrite is the WHERE clause of the UPDATE.
func (p *storing) mayOverwrite(t *transaction, c *situation) bool {
	s := c.s
	if !c.free() || !s.notInRing(p.op) || !s.forgotNothingSince(p.since) || !p.attempt.quiet(s) || !p.mode.ok {
		return false
	}
	if p.resent && s.madeBy == "" && !s.created.before(p.since) {
		return false
	}
	switch p.mode.n {
	case modeUnlessLocked:
		return true
	case modeCreate:
		return s.expires <= t.now
	case modeIfMatch:
		return p.matches(t, s)
	}
	return false
}

// matches reports whether the row is the version that is meant.
func (p *storing) matches(t *transaction, s *sessionRow) bool {
	newest := zeroOperation
	if p.newest.ok {
		newest = p.newest.op()
	}
	return s.expires > t.now && p.created.ok && s.created == p.created.date() && p.cookie.is(int64(s.lockCookie)) &&
		p.locked.is(boolInt(s.locked)) && s.ops[0].orZero() == newest
}

// overwrite stores into the row; an expired one becomes a new session.
func (p *storing) overwrite(t *transaction, old *sessionRow) (*result, error) {
	s := *old
	alive := old.expires > t.now
	outcome := int64(resultDone)
	if !alive {
		timeout := p.newTimeout()
		if !timeout.ok {
			return failed(nullColumn("Expires", tableSessions, "UPDATE")), nil
		}
		s.timeout, s.timeoutSeconds, s.timeoutDate = timeout.int32(), nullInt{}, noDate2
		s.created, s.madeBy = t.now, p.op.op()
		outcome = resultCreated
	}
	switch {
	case !p.flags.ok:
		return failed(nullColumn("Flags", tableSessions, "UPDATE")), nil
	}
	var err error
	if s.expires, err = p.given.slid(t, &s); err != nil {
		return nil, err
	}
	p.given.set(&s, t.clock)
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
	s := newSessionRow(p.id.s, t.now, noDate, timeout.int32())
	var err error
	if s.expires, err = p.given.slid(t, s); err != nil {
		return nil, err
	}
	s.timeoutSeconds = p.given.secondsOnly()
	s.short, s.long = p.short.blob(), p.long.blob()
	s.flags = p.flags.int32()
	s.ops[0], s.opDates[0], s.madeBy = p.op.op(), t.clock, p.op.op()
	return applied(t, resultCreated, s)
}

// why is the CASE of the last statement.
func (p *storing) why(t *transaction, c *situation, f fate) int64 {
	s := c.s
	overrun := s != nil && !s.forgotten.null() && p.since.ok && s.forgotten >= p.since.date2()
	switch {
	case c.moved:
		return resultMoved
	case s != nil && s.inRing(p.op):
		if s.madeBy.is(p.op.op()) {
			return resultCreated
		}
		return resultDone
	case p.answered.ok:
		return p.answered.n
	case f.done:
		return resultDone
	// Removed since this was first sent. It is no more to be done: the session stays
	// away, or its successor as it is. Whether it was done before, the removed
	// session's ring tells.
	case p.resent && f.unknown:
		return resultUnknown
	case p.resent && f.removed, f.removedOf(p.waited):
		return resultNoSession
	case late(t, p.notAfter):
		return resultAgain
	case p.resent && p.replaced(s, f):
		return resultUnknown
	case overrun && p.resent:
		return resultUnknown // what stands in the way now may have come after this was done
	case s != nil && c.heldAlive():
		if p.mode.is(modeCreate) {
			return resultPrecondition
		}
		return resultLocked
	case overrun:
		return resultAgain
	case p.mode.is(modeIfMatch) && s != nil && p.matches(t, s):
		return resultAgain // so young that this may have been sent before it was made, as far as is known of the clock
	case p.mode.is(modeCreate) && s != nil && s.expires > t.now, p.mode.is(modeIfMatch):
		return resultPrecondition
	}
	return resultAgain
}

// replaced reports whether the session that was there when this was first sent has gone without a
// tombstone, as .NET removes: nobody knows whether this was done to it before.
func (p *storing) replaced(s *sessionRow, f fate) bool {
	if s == nil {
		return p.mode.is(modeIfMatch) && !(p.created.ok && slices.Contains(f.buried, p.created.date()))
	}
	if !p.since.ok || s.created.before(p.since) {
		return false
	}
	if p.mode.is(modeIfMatch) {
		return p.created.ok && s.created != p.created.date()
	}
	return p.mode.ok && s.madeBy == "" // of a successor that a verb made it is taken that there was none before
}

// tombstoneMinutes is how long a tombstone is kept, and tombstonesSwept how many
// old ones a removal sweeps away.
const (
	tombstoneMinutes = 10
	tombstonesSwept  = 4
)

func removeSession(t *transaction, args arguments) (*result, error) {
	id, epoch, notAfter, lockTimeout, lockOp, lockCookie := args[0], args[1], args[2], args[4], args[5], args[6]
	a := attemptOf(args[3], args[7], argument{}, args[8], args[9], args[10], args[11])
	c, err := look(t, id, epoch, lockTimeout)
	if err != nil {
		return nil, err
	}
	if c.e == nil {
		return noRow(columnsWithoutItem), nil
	}
	another, err := t.removedOf(id, args[12]) // then what is there is not what the call waited for
	if err != nil {
		return nil, err
	}
	done := false
	if a.op.ok {
		if done, err = t.tombstoned(id, a.op.op()); err != nil {
			return nil, err
		}
	}
	decided, err := a.decided(t)
	if err != nil {
		return nil, err
	}
	for s := c.s; ; a.careful = true {
		if a.careful {
			if err := a.enter(t); err != nil {
				return nil, err
			}
		}
		if s != nil && (!lockOp.ok && c.free() || s.heldBy(lockOp, lockCookie)) && a.op.ok && a.quiet(s) && !a.answered.ok && !decided &&
			!another && (a.alone() || !done) && inTime(t, notAfter) && c.sameEpoch {
			return bury(t, s, a.op)
		}
		outcome := int64(resultAgain)
		switch {
		case c.moved:
			outcome = resultMoved
		case done:
			outcome = resultDone
		case a.answered.ok:
			outcome = a.answered.n
		case s == nil, another:
			outcome = resultDone
		case late(t, notAfter), lockOp.ok && s.heldBy(lockOp, lockCookie):
		case lockOp.ok:
			outcome = resultLockLost
		case c.heldAlive():
			outcome = resultLocked
		}
		if a.careful {
			if outcome < resultPrecondition {
				if err := a.idle(t, id, outcome); err != nil {
					return nil, err
				}
			}
			return notApplied(t, outcome, s)
		}
		if late(t, notAfter) || outcome != resultAgain && (!a.binds(outcome) || outcome == resultMoved) {
			return notApplied(t, outcome, s)
		}
	}
}

// bury removes the session, leaves a tombstone, and sweeps a few old ones.
func bury(t *transaction, s *sessionRow, op argument) (*result, error) {
	old, err := t.from.tombstonesBefore(t.clock.addMinutes(-tombstoneMinutes), tombstonesSwept)
	if err != nil {
		return nil, err
	}
	t.remove(s)
	t.put(&tombstoneRow{id: s.id, op: op.op(), removed: t.clock, ops: s.ops, forgotten: s.forgotten, created: s.created})
	for _, r := range old {
		t.remove(r)
	}
	return notApplied(t, resultDone, nil)
}
