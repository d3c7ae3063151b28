package embedded

// acquiring is the arguments of MirrorState_Acquire_1 by name.
type acquiring struct {
	attempt
	id, notAfter, create, item, defaultTimeout argument
	waited                                     argument
	given                                      timeoutGiven
}

func acquireSession(t *transaction, args arguments) (*result, error) {
	epoch, lockTimeout := args[1], args[5]
	p := acquiring{attempt: attemptOf(args[3], args[4], args[15], args[6], args[7], args[8], args[9]),
		id: args[0], notAfter: args[2], create: args[12], item: args[13], defaultTimeout: args[14], waited: args[16]}
	g, err := givenOf(t, args[10], args[11])
	if err != nil {
		return nil, err
	}
	p.given = g
	a := &p.attempt
	c, err := look(t, p.id, epoch, lockTimeout)
	if err != nil {
		return nil, err
	}
	if c.e == nil {
		return noRow(columnsWithItem), nil
	}
	decided, err := a.decided(t)
	if err != nil {
		return nil, err
	}
	var f fate
	for ; ; a.careful = true {
		if a.careful {
			if err := a.enter(t); err != nil {
				return nil, err
			}
		}
		if !a.alone() { // most attempts are, and need not ask
			if f, err = t.fateOf(p.id, a.since, a.op); err != nil {
				return nil, err
			}
		}
		mayAct := !a.answered.ok && inTime(t, p.notAfter) && c.sameEpoch
		old := c.s
		if mayAct && old != nil && old.expires > t.now && p.mayTake(&c) && a.quiet(old) && !decided && (a.alone() || !f.done) {
			r, err := p.grant(t, old)
			return a.done(t, p.id, resultDone, r, err)
		}
		if a.alone() {
			if f, err = t.fateOf(p.id, a.since, a.op); err != nil {
				return nil, err
			}
		}
		if mayAct && a.careful && p.create.is(1) && a.op.ok && !f.removed && !f.done && !f.removedOf(p.waited) && (old != nil || !f.sameTick(t)) && p.mayMake(t, &c) {
			r, err := p.make(t, old)
			return a.done(t, p.id, resultCreated, r, err)
		}
		mine := old != nil && old.heldByItself(a.op) && a.answered.n != resultAgain
		if a.careful && mine && !old.lockCall.is(a.call.op()) && old.lockCall != "" && inTime(t, p.notAfter) && c.sameEpoch {
			s := *old
			s.lockCall = "" // found again, by another call
			t.put(&s)
			c.s = &s
		}
		outcome := p.whyNotGranted(&c, f, mine)
		if a.careful {
			if outcome < resultPrecondition || outcome == resultCreated {
				if err := a.idle(t, p.id, outcome); err != nil {
					return nil, err
				}
			}
			return acquireAnswer(t, &c, a.op, outcome)
		}
		// Its own lock, a refusal that binds others, or a row that is younger than the call.
		again := outcome == resultDone || outcome == resultAgain || outcome == resultCreated
		if late(t, p.notAfter) || !again && (!a.binds(outcome) || outcome > resultLockLost) {
			return acquireAnswer(t, &c, a.op, outcome)
		}
	}
}

// mayTake reports whether the row's lock is free, and was neither this operation's nor can have been.
func (p *acquiring) mayTake(c *situation) bool {
	s := c.s
	return c.free() && s.notInRing(p.op) && s.lockOp.orZero() != p.op.op() && s.forgotNothingSince(p.sent)
}

// mayMake reports whether there is no session, or one that has expired and may be made anew.
func (p *acquiring) mayMake(t *transaction, c *situation) bool {
	if c.s == nil {
		return p.id.ok
	}
	return c.s.expires <= t.now && p.mayTake(c) && p.quiet(c.s)
}

// whyNotGranted is the CASE of the last statement.
func (a *acquiring) whyNotGranted(c *situation, f fate, mine bool) int64 {
	s := c.s
	makes := a.create.is(1)
	switch {
	case c.moved:
		return resultMoved
	case mine:
		return s.grantedAs(a.op)
	case s != nil && (s.inRing(a.op) || a.op.ok && s.lockOp.orZero() == a.op.op()):
		return resultLockLost
	case a.answered.ok && a.answered.n >= resultNoSession && a.answered.n <= resultPrecondition:
		return a.answered.n
	case a.answered.ok:
		return resultLockLost
	case f.done:
		return resultLockLost
	case s != nil && c.heldAlive():
		return resultLocked
	case s != nil && s.expires > c.now:
		return resultAgain
	case makes && f.removedOf(a.waited), makes && a.resent && f.removed, !makes:
		return resultNoSession
	}
	return resultAgain
}

// acquireAnswer is the row of an acquire that was not granted a lock just now.
func acquireAnswer(t *transaction, c *situation, op argument, outcome int64) (*result, error) {
	s := c.s
	if s == nil {
		return answer(t, columnsWithItem, outcome, nil, 0, nil, nil), nil
	}
	var flags any = s.flags & 1
	if op.ok && s.lockOp.is(op.op()) {
		flags = s.lockActionFlags.value()
	}
	var item []byte
	if c.sameEpoch && s.heldByItself(op) {
		item = s.item()
	}
	return answer(t, columnsWithItem, outcome, s, s.lockDate.secondsUntil(t.now), flags, item), nil
}

// grantedAs is the Result of a grant: of an operation that made the session it says so.
func (s *sessionRow) grantedAs(op argument) int64 {
	if s.madeBy.is(op.op()) {
		return resultCreated
	}
	return resultDone
}

// grant gives the lock to the operation and answers with the item.
func (p *acquiring) grant(t *transaction, old *sessionRow) (*result, error) {
	s := *old
	var err error
	if s.expires, err = p.given.slid(t, old); err != nil {
		return nil, err
	}
	p.given.set(&s, t.clock)
	s.lockActionFlags = nullInt{s.flags & 1, true}
	s.lockCookie++
	return p.granted(t, &s, s.grantedAs(p.op)), nil
}

// make makes the session, or makes it anew, with the lock on it.
func (p *acquiring) make(t *transaction, old *sessionRow) (*result, error) {
	timeout, verb := p.given.minutes, "INSERT"
	if old != nil {
		verb = "UPDATE"
	}
	if !timeout.ok {
		timeout = p.defaultTimeout
	}
	if !timeout.ok {
		return nil, nullColumn("Expires", tableSessions, verb)
	}
	s := newSessionRow(p.id.s, t.now, noDate, timeout.int32())
	if old != nil { // what it remembers and its cookie go on
		made := *old
		made.created, made.timeout, made.timeoutDate = t.now, timeout.int32(), noDate2
		made.long = nil
		s = &made
	}
	s.lockCookie++
	s.timeoutSeconds = nullInt{}
	var err error
	if s.expires, err = p.given.slid(t, s); err != nil {
		return nil, err
	}
	s.timeoutSeconds = p.given.secondsOnly()
	s.short, s.madeBy = p.item.blob(), p.op.op()
	s.lockActionFlags = nullInt{1, true}
	return p.granted(t, s, resultCreated), nil
}

// granted writes the row with the lock on it.
func (p *acquiring) granted(t *transaction, s *sessionRow, outcome int64) *result {
	s.locked, s.lockDate, s.lockDateLocal = true, t.now, localNow()
	s.lockOp, s.lockOpCookie, s.lockCall = p.op.op(), nullInt{s.lockCookie, true}, p.call.op()
	s.flags &^= 1
	s.remember(p.op, t.clock)
	t.put(s)
	return answer(t, columnsWithItem, outcome, s, 0, s.lockActionFlags.value(), s.item())
}
