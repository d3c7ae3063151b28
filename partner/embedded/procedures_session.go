package embedded

import (
	"github.com/mirrorstate/mirrorstate/partner/embedded/tds"
)

// What the extended procedures answer as Result. Source: 40-extension-sessions.sql.
const (
	resultDone         = 0
	resultNoSession    = 1
	resultLocked       = 2
	resultLockLost     = 3
	resultPrecondition = 4
	resultUnknown      = 5
	resultMoved        = 6
	resultAgain        = 7
	resultCreated      = 8
)

// Parameters of the extended procedures.
var (
	paramEpoch       = parameter{name: "@epoch", typ: tds.BigInt}
	paramNotAfter    = parameter{name: "@notAfter", typ: tds.DateTime2(7)}
	paramOp          = parameter{name: "@op", typ: tds.Binary(16)}
	paramSent        = parameter{name: "@sent", typ: tds.DateTime2(7)}
	paramLockTimeout = parameter{name: "@lockTimeout", typ: tds.Int}
	paramLockOp      = parameter{name: "@lockOp", typ: tds.Binary(16)}
	paramFlags       = parameter{name: "@flags", typ: tds.Int, optional: true, value: argument{ok: true}}
	paramItemShort   = parameter{name: "@itemShort", typ: paramShort.typ, optional: true}
	paramItemLongMax = parameter{name: "@itemLong", typ: tds.VarBinaryMax, optional: true}
)

// sessionProcedures are those of 40-extension-sessions.sql, but the two of
// procedures_store.go.
var sessionProcedures = []*procedure{
	{name: "MirrorState_Get_1", readsFirst: true, run: getSession, params: []parameter{paramID, paramEpoch, paramLockTimeout,
		{name: "@renew", typ: tds.Bit, optional: true, value: argument{n: 1, ok: true}},
		{name: "@allowLocked", typ: tds.Bit, optional: true, value: argument{ok: true}},
		{name: "@item", typ: tds.Bit, optional: true, value: argument{n: 1, ok: true}}}},
	{name: "MirrorState_Touch_1", readsFirst: true, run: touchSession,
		params: []parameter{paramID, paramEpoch, paramNotAfter, paramLockTimeout, paramSentLater, paramTimeoutLater, paramTimeoutSeconds}},
	{name: "MirrorState_Acquire_1", run: acquireSession,
		params: []parameter{paramID, paramEpoch, paramNotAfter, paramOp, paramSent, paramLockTimeout,
			paramResent, paramCall, paramCalled, paramSettle, paramTimeoutLater, paramTimeoutSeconds,
			{name: "@create", typ: tds.Bit, optional: true, value: argument{ok: true}}, paramItemShort,
			{name: "@defaultTimeout", typ: tds.Int, optional: true}, paramFirstSent, paramWaited}},
	{name: "MirrorState_Update_1", run: updateSessionLocked,
		params: []parameter{paramID, paramEpoch, paramNotAfter, paramOp, paramFirstSent, paramResent, paramLockOp, paramLockCookie,
			{name: "@keep", typ: tds.Bit, optional: true, value: argument{ok: true}}, paramTimeoutLater, paramFlags, paramItemShort, paramItemLongMax,
			paramSentLater, paramCall, paramCalled, paramSettle, paramTimeoutSeconds}},
	{name: "MirrorState_Release_1", run: releaseSession,
		params: []parameter{paramID, paramEpoch, paramNotAfter, paramOp, paramFirstSent, paramResent, paramLockOp, paramLockCookie,
			paramSentLater, paramCall, paramCalled, paramSettle, paramTimeoutLater, paramTimeoutSeconds}},
	{name: "MirrorState_GiveBack_1", run: giveBack,
		params: []parameter{paramID, paramEpoch, paramNotAfter, paramOp, {name: "@call", typ: tds.Binary(16)}, {name: "@instead", typ: tds.Binary(16)}}},
}

// answerColumns are the columns that every verb answers; the item's type is that
// of the text: int where it says NULL.
func answerColumns(item tds.Type) []tds.Column {
	return []tds.Column{
		{Name: "Result", Type: tds.Int}, {Name: "LockCookie", Type: tds.Int}, {Name: "LockAge", Type: tds.Int},
		{Name: "Timeout", Type: tds.Int}, {Name: "Expires", Type: tds.DateTime}, {Name: "Created", Type: tds.DateTime},
		{Name: "Locked", Type: tds.Bit}, {Name: "OperationId1", Type: tds.Binary(16)},
		{Name: "ActionFlags", Type: tds.Int}, {Name: "Item", Type: item},
	}
}

var (
	columnsWithItem    = answerColumns(tds.VarBinaryMax)
	columnsWithoutItem = answerColumns(tds.Int)
)

// answer is the row of a verb. s is nil for no session. An age below zero is
// asked of the row.
func answer(t *transaction, columns []tds.Column, outcome int64, s *sessionRow, age int64, flags any, item []byte) *result {
	if s == nil {
		return rowAnswer(columns, outcome, nil, nil, nil, nil, nil, nil, nil, nil, nil)
	}
	return rowAnswer(columns, outcome, s.lockCookie, age, s.told(), s.expires.value(), s.created.value(),
		s.locked, s.ops[0].value(), flags, nilIfNull(item))
}

// applied is the OUTPUT row of a statement that did its work.
func applied(t *transaction, outcome int64, s *sessionRow) (*result, error) {
	t.put(s)
	return answer(t, columnsWithoutItem, outcome, s, 0, s.flags&1, nil), nil
}

// notApplied is the row of the statement that finds out why nothing was done.
func notApplied(t *transaction, outcome int64, s *sessionRow) (*result, error) {
	if s == nil {
		return answer(t, columnsWithoutItem, outcome, nil, 0, nil, nil), nil
	}
	return answer(t, columnsWithoutItem, outcome, s, s.lockDate.secondsUntil(t.now), s.flags&1, nil), nil
}

// situation is what the extended procedures look at: the session, the epoch row,
// and the clock against the caller's limits. What is unknown (NULL) is false.
type situation struct {
	s         *sessionRow // nil: no such session
	e         *epochRow   // nil: no epoch row, so no answer at all
	sameEpoch bool        // e.Epoch = @epoch
	moved     bool        // e.Epoch <> @epoch
	abandoned datetime    // locks of this moment or before are no locks
	timed     bool        // abandoned is known
	now       datetime    // GETUTCDATE()
}

// look reads what a procedure decides on.
func look(t *transaction, id, epoch, lockTimeout argument) (c situation, err error) {
	c.e, c.now = t.epochRow(), t.now
	if c.e != nil {
		c.sameEpoch = epoch.is(c.e.epoch)
		c.moved = !c.sameEpoch
	}
	if lockTimeout.ok {
		c.abandoned, c.timed = t.now.addSeconds(-lockTimeout.n), true
		if !c.abandoned.inRange() {
			_, err := expiry(lastDate, 1)
			return c, err
		}
	}
	c.s, err = t.session(id)
	return c, err
}

// heldAlive is Locked = 1 AND LockDate > @abandoned.
func (c *situation) heldAlive() bool { return c.timed && c.s.locked && c.s.lockDate > c.abandoned }

// free is Locked = 0 OR LockDate <= @abandoned.
func (c *situation) free() bool { return !c.s.locked || c.timed && c.s.lockDate <= c.abandoned }

// inRing is @op IN (the ring), where an empty place counts as zeros.
func (s *sessionRow) inRing(op argument) bool {
	if !op.ok {
		return false
	}
	for _, have := range s.ops {
		if have.orZero() == op.op() {
			return true
		}
	}
	return false
}

// notInRing is @op NOT IN (the ring): false for a NULL too.
func (s *sessionRow) notInRing(op argument) bool { return op.ok && !s.inRing(op) }

// heldBy is: locked, with that cookie, and the cookie was granted to that operation.
func (s *sessionRow) heldBy(op, cookie argument) bool {
	return s.locked && cookie.is(int64(s.lockCookie)) && op.ok && s.lockOp.is(op.op()) &&
		s.lockOpCookie.ok && cookie.is(int64(s.lockOpCookie.n))
}

// remember puts op into the ring; what falls out of it is forgotten at its date.
func (s *sessionRow) remember(op argument, clock datetime2) {
	if last := s.opDates[3]; !last.null() {
		s.forgotten = last
	}
	s.ops = [4]operation{op.op(), s.ops[0], s.ops[1], s.ops[2]}
	s.opDates = [4]datetime2{clock, s.opDates[0], s.opDates[1], s.opDates[2]}
}

// forgotNothingSince is OperationsForgotten IS NULL OR OperationsForgotten < @moment.
func (s *sessionRow) forgotNothingSince(moment argument) bool {
	return s.forgotten.null() || moment.ok && s.forgotten < moment.date2()
}

// inTime is @clock <= @notAfter.
func inTime(t *transaction, notAfter argument) bool {
	return notAfter.ok && t.clock <= notAfter.date2()
}

// late is @clock > @notAfter.
func late(t *transaction, notAfter argument) bool { return notAfter.ok && t.clock > notAfter.date2() }

func getSession(t *transaction, a arguments) (*result, error) {
	id, epoch, lockTimeout, renew, allowLocked, item := a[0], a[1], a[2], a[3], a[4], a[5]
	c, err := look(t, id, epoch, lockTimeout)
	if err != nil {
		return nil, err
	}
	if c.e == nil {
		return noRow(columnsWithItem), nil
	}
	if renew.is(1) && c.s != nil && due(t, c.s) && c.sameEpoch &&
		(c.s.expires > t.now && c.free() || allowLocked.is(1) && c.heldAlive()) && t.mayFail() {
		if err := slide(t, &c); err != nil {
			return nil, err
		}
	}
	s := c.s
	outcome := int64(resultDone)
	switch {
	case c.moved:
		outcome = resultMoved
	case s == nil:
		outcome = resultNoSession
	case c.heldAlive():
		if !allowLocked.is(1) {
			outcome = resultLocked
		}
	case s.expires <= t.now:
		outcome = resultNoSession
	}
	if s == nil {
		return answer(t, columnsWithItem, outcome, nil, 0, nil, nil), nil
	}
	content := s.item()
	switch {
	case item.is(0) || c.moved,
		c.heldAlive() && allowLocked.is(0),
		s.expires <= t.now && c.free():
		content = nil
	}
	return answer(t, columnsWithItem, outcome, s, s.lockDate.secondsUntil(t.now), s.flags&1, content), nil
}

func updateSessionLocked(t *transaction, args arguments) (*result, error) {
	keep, flags, short, long := args[8], args[10], args[11], args[12]
	g, err := givenOf(t, args[9], args[17])
	if err != nil {
		return nil, err
	}
	return writeLocked(t, args, 13, &g, func(s *sessionRow) (*result, error) {
		if !keep.ok {
			return failed(nullColumn("Locked", tableSessions, "UPDATE")), nil
		}
		if !flags.ok {
			return failed(nullColumn("Flags", tableSessions, "UPDATE")), nil
		}
		if s.locked = keep.is(1); s.locked {
			s.lockDate, s.lockDateLocal = t.now, localNow()
		}
		s.short, s.long = short.blob(), long.blob()
		s.flags = s.flags&^1 | flags.int32()
		s.lockActionFlags = nullInt{flags.int32() & 1, true}
		return nil, nil
	})
}

func releaseSession(t *transaction, args arguments) (*result, error) {
	g, err := givenOf(t, args[12], args[13])
	if err != nil {
		return nil, err
	}
	return writeLocked(t, args, 8, &g, func(s *sessionRow) (*result, error) {
		s.locked = false
		return nil, nil
	})
}

// writeLocked is what update and release have in common: the caller must hold the lock, and this
// operation must not have been done. write changes the row, or answers an error of its own. The
// arguments of the attempt go on at rest.
func writeLocked(t *transaction, args arguments, rest int, g *timeoutGiven, write func(s *sessionRow) (*result, error)) (*result, error) {
	id, epoch, notAfter, lockOp, lockCookie := args[0], args[1], args[2], args[6], args[7]
	a := attemptOf(args[3], args[rest], args[4], args[5], args[rest+1], args[rest+2], args[rest+3])
	c, err := look(t, id, epoch, argument{})
	if err != nil {
		return nil, err
	}
	if c.e == nil {
		return noRow(columnsWithoutItem), nil
	}
	decided, err := a.decided(t)
	if err != nil {
		return nil, err
	}
	for ; ; a.careful = true {
		if a.careful {
			if err := a.enter(t); err != nil {
				return nil, err
			}
		}
		if c.s != nil && !decided && c.s.heldBy(lockOp, lockCookie) && c.s.notInRing(a.op) && c.s.forgotNothingSince(a.since) &&
			a.quiet(c.s) && !a.answered.ok && inTime(t, notAfter) && c.sameEpoch {
			s := *c.s
			if r, err := write(&s); r != nil || err != nil {
				return r, err
			}
			if s.expires, err = g.slid(t, &s); err != nil {
				return nil, err
			}
			g.set(&s, t.clock)
			s.remember(a.op, t.clock)
			r, err := applied(t, resultDone, &s)
			return a.done(t, id, resultDone, r, err)
		}
		outcome, err := a.whyNotHeld(t, &c, id, lockOp, lockCookie)
		if err != nil {
			return nil, err
		}
		if a.careful {
			if outcome < resultMoved {
				err = a.idle(t, id, outcome)
			}
			if err != nil {
				return nil, err
			}
			return notApplied(t, outcome, c.s)
		}
		if late(t, notAfter) || outcome != resultAgain && (!a.binds(outcome) || outcome == resultMoved) {
			return notApplied(t, outcome, c.s)
		}
	}
}

// whyNotHeld tells why an update or release did nothing.
func (a *attempt) whyNotHeld(t *transaction, c *situation, id, lockOp, lockCookie argument) (int64, error) {
	f, err := t.fateOf(id, a.firstSent, a.op)
	removedHeld := false
	if err == nil {
		var held fate
		held, err = t.fateOf(id, argument{}, lockOp)
		removedHeld = held.done
	}
	s := c.s
	switch {
	case err != nil:
		return 0, err
	case c.moved:
		return resultMoved, nil
	case s != nil && s.inRing(a.op):
		return resultDone, nil
	case a.answered.ok:
		return a.answered.n, nil
	case s != nil && s.heldBy(lockOp, lockCookie):
		if a.resent && !s.forgotten.null() && !s.forgotNothingSince(a.firstSent) {
			return resultUnknown, nil
		}
		return resultAgain, nil
	case f.done: // to a session that has been removed since
		return resultDone, nil
	// The session whose lock that was has been removed, and while it remembered the acquire it would have
	// remembered this too.
	case removedHeld:
		return resultLockLost, nil
	// What the ring has forgotten since the call began may be what another call of the operation did.
	case !a.resent && a.shared() && s != nil && !s.forgotten.null() && !s.forgotNothingSince(a.called) && !s.inRing(lockOp):
		return resultUnknown, nil
	case !a.resent, f.notDone:
		return resultLockLost, nil
	case s == nil:
		return resultUnknown, nil
	// The acquire came before this: while the ring still has the acquire, it would
	// have this too.
	case s.inRing(lockOp):
		return resultLockLost, nil
	// Made since this was first sent: another session than the one it was for.
	case a.firstSent.ok && !s.created.before(a.firstSent):
		return resultUnknown, nil
	case s.forgotNothingSince(a.firstSent):
		return resultLockLost, nil
	}
	return resultUnknown, nil
}
