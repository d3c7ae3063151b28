package mutants

// sessionMutants break the invariants of a session and its lock.
var sessionMutants = []mutant{
	// I3: a lock has one holder, and a repeated acquire finds the lock that it was granted.
	{
		invariant: "I3", name: "does not give back a lock whose caller has left",
		file: "session/aspstate/store.go",
		old: `		s.clean(ctx, ref, op, lock)
`,
		new: ``,
		pkg: "session/aspstate", test: "TestAcquire_callerLeft",
	},
	{
		invariant: "I3", name: "does not give back a lock whose grant was not answered",
		file: "session/aspstate/store.go",
		old:  `		s.clean(ctx, ref, op, session.Lock{})`,
		new:  `		_ = op`,
		pkg:  "session/aspstate", test: "TestAcquire_grantedAndNeverAnswered",
	},
	{
		invariant: "I3", name: "uses a new operation for each attempt of a request",
		file: "proxy/locks.go",
		old:  `s, lock, err := store.Acquire(ctx, c.ref, c.op)`,
		new:  `s, lock, err := store.Acquire(ctx, c.ref, session.NewOperation())`,
		pkg:  "proxy", test: "TestAPI_WaitKeepsOperation",
	},

	// I4: a call that is sent twice takes effect once.
	{
		invariant: "I4", name: "does not mark an attempt as sent again",
		file: "partner/attempt.go",
		old: `		r.att.Resent = true
`,
		new: ``,
		pkg: "partner", test: "TestDo_FailoverTakesMilliseconds",
	},
	{
		invariant: "I4", name: "forgets when the first attempt of a call was sent",
		file: "partner/attempt.go",
		old: `	if !r.att.Resent {
		r.firstSent = now
	}`,
		new: `	r.firstSent = now`,
		pkg: "partner", test: "TestDo_RepeatsACallThatHangsOnTheOldPrincipal",
	},
	{
		invariant: "I4", name: "computes the deadline of an attempt by the wrong clock",
		file: "partner/attempt.go",
		old:  `r.att.Sent, r.att.NotAfter = clock.earliest(now), clock.earliest(end)`,
		new:  `r.att.Sent, r.att.NotAfter = clock.earliest(now), end.UTC()`,
		pkg:  "partner", test: "TestDo_HealthyPrincipal",
	},
	{
		invariant: "I4", name: "converts the time of the first attempt by the other partner's clock",
		file: "partner/attempt.go",
		old:  `r.att.FirstSent = r.p.earliest(r.firstSent)`,
		new:  `r.att.FirstSent = clock.earliest(r.firstSent)`,
		pkg:  "partner", test: "TestDo_FirstSentIsTheEarlierOfBothClocks",
	},
	{
		invariant: "I4", name: "uses a clock reading that was taken while the server was frozen",
		file: "partner/clock.go",
		old:  `if least <= most {`,
		new:  `if false {`,
		pkg:  "partner", test: "TestMember_AddClockReading",
	},
	{
		invariant: "I4", name: "uses a new operation for a repeated Idempotency-Key",
		file: "proxy/operation.go",
		old:  `c.op = session.Operation{ID: session.OperationID(sum[:len(c.op.ID)]), Call`,
		new: `_ = sum
	c.op = session.Operation{ID: session.NewOperationID(), Call`,
		pkg: "proxy", test: "TestAPI_IdempotencyKey",
	},
	{
		invariant: "I4", name: "does not tell the database that an update is sent again",
		file: "session/aspstate/extended.go",
		old: `		all = append(all, arg("resent", true))
`,
		new: ``,
		pkg: "session/aspstate", test: "TestUpdate_sentAgainWhenTheRowCannotTell/extended",
	},
	{
		invariant: "I4", name: "releases other calls before the interrupted calls have returned",
		file: "partner/hold/drain.go",
		old:  `if !h.interrupted.returned(time.Now()) {`,
		new:  `if false {`,
		pkg:  "partner/hold", test: "TestHold_ReleasesInterruptedCallsFirst",
	},
	{
		invariant: "I4", name: "releases other calls before the interrupted ones after a broken connection without a failover",
		file: "partner/hold/state.go",
		old:  `if before == nil && t.opened.Load() > 0 {`,
		new:  `if false {`,
		pkg:  "partner/hold", test: "TestHold_ReleasesInterruptedCallsFirst_sameTerm",
	},

	// I5: the answer to a call is true.
	{
		invariant: "I5", name: "reports not applied for a write without an answer",
		file: "partner/do.go",
		old: `	if r.unanswered {
		e.Result = Unknown
	}`,
		new: ``,
		pkg: "partner", test: "TestDo_EndsWithTheWindow",
	},
	{
		invariant: "I5", name: "reports no principal when too many calls wait for a connection to it",
		file: "partner/do.go",
		old:  `errors.Is(r.lastErr, classify.ErrPoolBusy) && r.p.hold.Serves(r.state.Call())`,
		new:  `false`,
		pkg:  "partner", test: "TestDo_BusyIfTheQueueIsTooLong",
	},
	{
		invariant: "I5", name: "reports not applied for an unknown outcome",
		file: "session/aspstate/errors.go",
		old:  `		e.outcome = session.Unknown`,
		new:  `		e.outcome = session.NotApplied`,
		pkg:  "session/aspstate", test: "TestDomainError",
	},
	{
		invariant: "I5", name: "reports not applied for a refused call after an attempt without an answer",
		file: "session/aspstate/permission.go",
		old:  `if what.Write && a.Resent {`,
		new:  `if false {`,
		pkg:  "session/aspstate", test: "TestStore_RevokedBetweenAttempts",
	},
	{
		invariant: "I5", name: "ends a call that was sent, to make room for another caller's item",
		file: "proxy/admit.go",
		old:  `return c.pin()`,
		new:  `return nil`,
		pkg:  "proxy", test: "TestTurns_ItemsInTheHold",
	},
	{
		invariant: "I5", name: "closes a connection with a request at the store",
		file: "proxy/connection.go",
		old:  `return requests == bodies`,
		new:  `return requests >= bodies`,
		pkg:  "proxy", test: "TestConnection_MakesRoom",
	},
	{
		invariant: "I5", name: "runs a request whose connection was closed to make room",
		file: "proxy/connection.go",
		old:  `if !b.c.addActivity(-aBody) {`,
		new:  `if b.c.addActivity(-aBody); false {`,
		pkg:  "proxy", test: "TestConnection_MakesRoom",
	},
	{
		invariant: "I5", name: "answers another request with the same Idempotency-Key as the first one",
		file: "proxy/requestmemory.go",
		old:  `case q.content != content:`,
		new:  `case false:`,
		pkg:  "proxy", test: "TestIdempotency_Mismatch",
	},
	{
		invariant: "I5", name: "forgets the content of an operation when a later call of it is refused",
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
		invariant: "I5", name: "does not check whether a stock write changed a row",
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
		invariant: "I5", name: "reports lock lost for a stock write that was sent twice",
		file: "session/aspstate/stock.go",
		old: `	if c.Resent {
		return fmt.Errorf(`,
		new: `	if false {
		return fmt.Errorf(`,
		pkg: "session/aspstate", test: "TestUpdate_sentAgainWhenTheRowCannotTell/stock",
	},
	{
		invariant: "I5", name: "reports lock lost although the session has forgotten operations",
		file: "session/aspstate/answer.go",
		old:  `return fmt.Errorf("%w: the session has seen more operations than it remembers", session.ErrOutcomeUnknown)`,
		new:  `return session.ErrLockLost`,
		pkg:  "session/aspstate", test: "TestUpdate_sentAgainWhenTheRowCannotTell/extended",
	},
	{
		invariant: "I5", name: "reports not applied for a mutation that timed out",
		file: "proxy/errors.go",
		old:  `		if mutates {`,
		new:  `		if false {`,
		pkg:  "proxy", test: "TestAPI_StoreErrors",
	},
	{
		invariant: "I5", name: "returns the version of another write as its own",
		file: "session/aspstate/answer.go",
		old: `	a.newest = op[:]
`,
		new: ``,
		pkg: "session/aspstate", test: "TestPut_sentAgainDoesNotReturnAnothersTag",
	},

	// I7: .NET and mirrorstate read each other's sessions, byte for byte.
	{
		invariant: "I7", name: "stores an item of 7,000 bytes in the long column",
		file: "session/aspstate/extended.go",
		old:  `if len(item) <= maxShort {`,
		new:  `if len(item) < maxShort {`,
		pkg:  "session/aspstate", test: "TestStore_ExtendedOnEmbeddedPair/.NET reads",
	},
	{
		invariant: "I7", name: "writes the application id in a session's key in upper case",
		file: "session/application.go",
		old:  `return hex.AppendEncode(b, id[:])`,
		new:  `return append(b, strings.ToUpper(hex.EncodeToString(id[:]))...)`,
		pkg:  "session", test: "TestAppID_Suffix",
	},
	{
		invariant: "I7", name: "computes other application ids than .NET",
		file: "session/application.go",
		old:  `h*33 ^ uint32(b)`,
		new:  `h*33 + uint32(b)`,
		pkg:  "session", test: "TestHashApplicationName",
	},
	{
		invariant: "I7", name: "leaves the old long item in the row beside the new short one",
		file: "session/aspstate/stock.go",
		old:  `"dbo.TempUpdateStateItemShortNullLong"`,
		new:  `"dbo.TempUpdateStateItemShort"`,
		pkg:  "session/aspstate", test: "TestStore_StockOnEmbeddedPair/items",
	},
	{
		invariant: "I7", name: "keeps an application's id after a change of the principal",
		file: "session/aspstate/applications.go",
		old:  `app.epoch == a.Epoch && app.partner == a.Partner {`,
		new:  `app.epoch == a.Epoch {`,
		pkg:  "session/aspstate", test: "TestApplications_LookedUpAgainOnAnotherPrincipal",
	},

	// Unknown outcomes after a change of the schema, and when a server stops.
	{
		invariant: "I5", name: "expects the extension to know a call that was sent to the stock schema",
		file: "session/aspstate/store.go",
		old:  `first.Resent, first.FirstSent = false, a.Sent`,
		new:  ``,
		pkg:  "session/aspstate", test: "TestSentTo",
	},
	{
		invariant: "I2", name: "sends a successful end of a response whose error it dropped, when the server stops",
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

	// I8: an expired session is never served. (The sweep is not covered here.)
	{
		invariant: "I8", name: "sweeps although the clocks differ too much",
		file: "session/aspstate/sweeper.go",
		old:  `	if apart <= most {`,
		new:  `	if most > 0 {`,
		pkg:  "session/aspstate", test: "TestSweeper_ClocksApart",
	},
}
