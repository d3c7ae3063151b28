package mutants

// sessionMutants break the invariants of a session and its lock.
var sessionMutants = []mutant{
	// I3: a lock has one holder, and a repeated acquire finds the lock that it was granted.
	{
		invariant: "I3", name: "keeps a lock whose caller has left",
		file: "session/aspstate/store.go",
		old: `		s.clean(ctx, ref, op, lock)
`,
		new: ``,
		pkg: "session/aspstate", test: "TestAcquire_callerLeft",
	},
	{
		invariant: "I3", name: "keeps a lock whose grant nobody heard of",
		file: "session/aspstate/store.go",
		old:  `		s.clean(ctx, ref, op, session.Lock{})`,
		new:  `		_ = op`,
		pkg:  "session/aspstate", test: "TestAcquire_grantedAndNeverAnswered",
	},
	{
		invariant: "I3", name: "makes an operation of each try of one request",
		file: "proxy/locks.go",
		old:  `s, lock, err := store.Acquire(ctx, c.ref, c.op)`,
		new:  `s, lock, err := store.Acquire(ctx, c.ref, session.NewOperation())`,
		pkg:  "proxy", test: "TestAPI_WaitKeepsOperation",
	},

	// I4: a call that is sent twice takes effect once.
	{
		invariant: "I4", name: "does not say that a call was sent before",
		file: "partner/attempt.go",
		old: `		r.att.Resent = true
`,
		new: ``,
		pkg: "partner", test: "TestDo_FailoverTakesMilliseconds",
	},
	{
		invariant: "I4", name: "forgets when a call was sent first",
		file: "partner/attempt.go",
		old: `	if !r.att.Resent {
		r.firstSent = now
	}`,
		new: `	r.firstSent = now`,
		pkg: "partner", test: "TestDo_RepeatsACallThatHangsOnTheOldPrincipal",
	},
	{
		invariant: "I4", name: "tells a call's end by the wrong clock",
		file: "partner/attempt.go",
		old:  `r.att.Sent, r.att.NotAfter = clock.earliest(now), clock.earliest(end)`,
		new:  `r.att.Sent, r.att.NotAfter = clock.earliest(now), end.UTC()`,
		pkg:  "partner", test: "TestDo_HealthyPrincipal",
	},
	{
		invariant: "I4", name: "dates what was sent to one partner by the clock of the other",
		file: "partner/attempt.go",
		old:  `r.att.FirstSent = r.p.earliest(r.firstSent)`,
		new:  `r.att.FirstSent = clock.earliest(r.firstSent)`,
		pkg:  "partner", test: "TestDo_FirstSentIsTheEarlierOfBothClocks",
	},
	{
		invariant: "I4", name: "believes a clock that was read through a frozen server",
		file: "partner/clock.go",
		old:  `if least <= most {`,
		new:  `if false {`,
		pkg:  "partner", test: "TestMember_AddClockReading",
	},
	{
		invariant: "I4", name: "makes another operation of a repeated key",
		file: "proxy/operation.go",
		old:  `c.op = session.Operation{ID: session.OperationID(sum[:len(c.op.ID)]), Call`,
		new: `_ = sum
	c.op = session.Operation{ID: session.NewOperationID(), Call`,
		pkg: "proxy", test: "TestAPI_IdempotencyKey",
	},
	{
		invariant: "I4", name: "does not tell the database that an update was sent before",
		file: "session/aspstate/extended.go",
		old: `		all = append(all, arg("resent", true))
`,
		new: ``,
		pkg: "session/aspstate", test: "TestUpdate_sentAgainWhenTheRowCannotTell/extended",
	},
	{
		invariant: "I4", name: "releases other calls before the interrupted ones are back",
		file: "partner/hold/drain.go",
		old:  `if !h.interrupted.returned(time.Now()) {`,
		new:  `if false {`,
		pkg:  "partner/hold", test: "TestHold_ReleasesInterruptedCallsFirst",
	},
	{
		invariant: "I4", name: "releases other calls first when a connection broke and the principal did not change",
		file: "partner/hold/state.go",
		old:  `if before == nil && t.opened.Load() > 0 {`,
		new:  `if false {`,
		pkg:  "partner/hold", test: "TestHold_ReleasesInterruptedCallsFirst_sameTerm",
	},

	// I5: the answer to a call is true.
	{
		invariant: "I5", name: "says not applied of a write that nobody answered",
		file: "partner/do.go",
		old: `	if r.unanswered {
		e.Result = Unknown
	}`,
		new: ``,
		pkg: "partner", test: "TestDo_EndsWithTheWindow",
	},
	{
		invariant: "I5", name: "answers that there is no principal when the queue for one is too long",
		file: "partner/do.go",
		old:  `errors.Is(r.lastErr, classify.ErrPoolBusy) && r.p.hold.Serves(r.state.Call())`,
		new:  `false`,
		pkg:  "partner", test: "TestDo_BusyIfTheQueueIsTooLong",
	},
	{
		invariant: "I5", name: "loses on its way up that an outcome is unknown",
		file: "session/aspstate/errors.go",
		old:  `		e.outcome = session.Unknown`,
		new:  `		e.outcome = session.NotApplied`,
		pkg:  "session/aspstate", test: "TestDomainError",
	},
	{
		invariant: "I5", name: "says not applied where a caller is refused after an attempt that nobody answered",
		file: "session/aspstate/permission.go",
		old:  `if what.Write && a.Resent {`,
		new:  `if false {`,
		pkg:  "session/aspstate", test: "TestStore_RevokedBetweenAttempts",
	},
	{
		invariant: "I5", name: "has a call make room for another caller's item after it was sent",
		file: "proxy/admit.go",
		old:  `return c.pin()`,
		new:  `return nil`,
		pkg:  "proxy", test: "TestTurns_ItemsInTheHold",
	},
	{
		invariant: "I5", name: "closes a connection of which a request is at the store",
		file: "proxy/connection.go",
		old:  `return requests == bodies`,
		new:  `return requests >= bodies`,
		pkg:  "proxy", test: "TestConnection_MakesRoom",
	},
	{
		invariant: "I5", name: "does a request whose connection was closed to make room",
		file: "proxy/connection.go",
		old:  `if !b.c.addActivity(-aBody) {`,
		new:  `if b.c.addActivity(-aBody); false {`,
		pkg:  "proxy", test: "TestConnection_MakesRoom",
	},
	{
		invariant: "I5", name: "answers a key's other request as its first one",
		file: "proxy/requestmemory.go",
		old:  `case q.content != content:`,
		new:  `case false:`,
		pkg:  "proxy", test: "TestIdempotency_Mismatch",
	},
	{
		invariant: "I5", name: "forgets what an operation asked for when a later call of it is refused",
		file: "proxy/requestmemory.go",
		old:  `q.kept = q.kept || applied`,
		new:  `q.kept = applied`,
		pkg:  "proxy", test: "TestIdempotency_RefusedAfterApplied",
	},
	{
		invariant: "I5", name: "answers 204 to a PUT whose lock is lost",
		file: "proxy/writes.go",
		old: `	if err != nil {
		return err
	}
	if !keep {`,
		new: `	if err != nil && !errors.Is(err, session.ErrLockLost) {
		return err
	}
	if !keep {`,
		pkg: "proxy", test: "TestAPI_Locks",
	},
	{
		invariant: "I5", name: "does not count the rows of a stock write",
		file: "session/aspstate/stock.go",
		old: `	return false, nil
}

func (it stockItem) session()`,
		new: `	return true, nil
}

func (it stockItem) session()`,
		pkg: "session/aspstate", test: "TestStore_StockOnEmbeddedPair/lost locks",
	},
	{
		invariant: "I5", name: "says lock lost of a stock write that was sent twice",
		file: "session/aspstate/stock.go",
		old: `	if c.Resent {
		return fmt.Errorf(`,
		new: `	if false {
		return fmt.Errorf(`,
		pkg: "session/aspstate", test: "TestUpdate_sentAgainWhenTheRowCannotTell/stock",
	},
	{
		invariant: "I5", name: "says lock lost where the ring can't tell",
		file: "session/aspstate/answer.go",
		old:  `return fmt.Errorf("%w: the session has seen more operations than it remembers", session.ErrOutcomeUnknown)`,
		new:  `return session.ErrLockLost`,
		pkg:  "session/aspstate", test: "TestUpdate_sentAgainWhenTheRowCannotTell/extended",
	},
	{
		invariant: "I5", name: "says not applied of a mutation that ran out of time",
		file: "proxy/errors.go",
		old:  `		if mutates {`,
		new:  `		if false {`,
		pkg:  "proxy", test: "TestAPI_StoreErrors",
	},
	{
		invariant: "I5", name: "tells of another's version as its own",
		file: "session/aspstate/answer.go",
		old: `	a.newest = op[:]
`,
		new: ``,
		pkg: "session/aspstate", test: "TestPut_sentAgainDoesNotReturnAnothersTag",
	},

	// I7: .NET and mirrorstate read each other's sessions, byte for byte.
	{
		invariant: "I7", name: "puts an item of 7,000 bytes into the long column",
		file: "session/aspstate/extended.go",
		old:  `if len(item) <= maxShort {`,
		new:  `if len(item) < maxShort {`,
		pkg:  "session/aspstate", test: "TestStore_ExtendedOnEmbeddedPair/.NET reads",
	},
	{
		invariant: "I7", name: "ends a session's key in capitals",
		file: "session/application.go",
		old:  `return hex.AppendEncode(b, id[:])`,
		new:  `return append(b, strings.ToUpper(hex.EncodeToString(id[:]))...)`,
		pkg:  "session", test: "TestAppID_Suffix",
	},
	{
		invariant: "I7", name: "gives applications other ids than .NET",
		file: "session/application.go",
		old:  `h*33 ^ uint32(b)`,
		new:  `h*33 + uint32(b)`,
		pkg:  "session", test: "TestHashApplicationName",
	},
	{
		invariant: "I7", name: "leaves the long item beside the short one",
		file: "session/aspstate/stock.go",
		old:  `"dbo.TempUpdateStateItemShortNullLong"`,
		new:  `"dbo.TempUpdateStateItemShort"`,
		pkg:  "session/aspstate", test: "TestStore_StockOnEmbeddedPair/items",
	},
	{
		invariant: "I7", name: "keeps an application's id when the principal is another",
		file: "session/aspstate/applications.go",
		old:  `app.epoch == a.Epoch && app.partner == a.Partner {`,
		new:  `app.epoch == a.Epoch {`,
		pkg:  "session/aspstate", test: "TestApplications_LookedUpAgainOnAnotherPrincipal",
	},

	// I8: an expired session is never served. (The sweep is not covered here.)
	{
		invariant: "I5", name: "takes what the stock schema was sent for what the extension would know",
		file: "session/aspstate/store.go",
		old:  `first.Resent, first.FirstSent = false, a.Sent`,
		new:  ``,
		pkg:  "session/aspstate", test: "TestSentTo",
	},
	{
		invariant: "I2", name: "ends an answer well whose error it dropped, because the server stops",
		file: "partner/embedded/tds/conn.go",
		old: `	default:
		return cause
	}
	return nil`,
		new: `	default:
		c.w.finish(err, false)
	}
	return nil`,
		pkg: "partner/embedded/tds", test: "TestWire_ServerStopsWhileAStatementFails",
	},
	{
		invariant: "I8", name: "sweeps although the clocks are apart",
		file: "session/aspstate/sweeper.go",
		old:  `	if apart <= most {`,
		new:  `	if most > 0 {`,
		pkg:  "session/aspstate", test: "TestSweeper_ClocksApart",
	},
}
