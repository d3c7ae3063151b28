package mutants

// pairMutants break the invariants of a pair with one principal. The names say what the broken code
// does.
var pairMutants = []mutant{
	// I1: no request fails because of a failover inside the hold window.
	{
		invariant: "I1", name: "answers at once instead of holding the call",
		file: "partner/do.go",
		old:  `limit := min(r.waitingSince.Add(r.p.cfg.Hold.Window).Sub(now), r.deadline().Sub(now))`,
		new:  `limit := time.Duration(0)`,
		pkg:  "partner", test: "TestDo_HoldsCallsWhileThereIsNoPrincipal",
	},
	{
		invariant: "I1", name: "does not interrupt the calls that hang on a former principal",
		file: "partner/term.go",
		old:  `	t.pool.Abort(link.ErrTermOver)`,
		new:  ``,
		pkg:  "partner", test: "TestDo_RepeatsACallThatHangsOnTheOldPrincipal",
	},
	{
		invariant: "I1", name: "continues to release held calls to a principal in doubt",
		file: "partner/hold/state.go",
		old: `	h.shutLocked()
	h.doubted, h.doubtedAt`,
		new: `	h.doubted, h.doubtedAt`,
		pkg: "partner/hold", test: "TestHold_ShutsDuringADrain",
	},
	{
		invariant: "I1", name: "returns a mirror's refusal to the caller",
		file: "partner/classify/classify.go",
		old:  `954: Moved, `,
		new:  ``,
		pkg:  "partner", test: "TestDo_FailoverTakesMilliseconds",
	},
	{
		invariant: "I1", name: "does not search for the principal as soon as a call finds it gone",
		file: "partner/do.go",
		old: `	p.startSearch()
}`,
		new: `}`,
		pkg: "partner", test: "TestDo_FailoverTakesMilliseconds",
	},
	{
		invariant: "I1", name: "queues the calls of lock holders behind all others",
		file: "partner/hold/hold.go",
		old:  `		rank = rankLock`,
		new:  ``,
		pkg:  "partner/hold", test: "TestHold_ReleasesLockHoldersFirstThenByArrival",
	},
	{
		invariant: "I1", name: "reports not ready while calls are held",
		file: "partner/status.go",
		old:  `return p.withoutPrincipal() < p.cfg.Hold.Window }`,
		new:  `return p.withoutPrincipal() < 0 }`,
		pkg:  "partner", test: "TestReady_WhileCallsAreHeld",
	},
	{
		invariant: "I1", name: "counts a mirror's refusals as failures to reach it",
		file: "partner/attempt.go",
		old:  `	case class == classify.Down, class == classify.Ambiguous:`,
		new:  `	case class != classify.Permanent:`,
		pkg:  "partner", test: "TestBreaker_CountsARefusalAsReached",
	},

	// I2: what was acknowledged under FULL survives every failover.
	{
		invariant: "I2", name: "assumes that the mirror has a commit",
		file: "partner/embedded/mirror/harden.go",
		old:  `if lost := <-shipped; lost == nil {`,
		new:  `if lost := error(nil); lost == nil {`,
		pkg:  "partner/embedded/engine", test: "TestMirror_lost",
	},
	{
		invariant: "I2", name: "makes a commit visible before the mirror has answered",
		file: "partner/embedded/mirror/harden.go",
		old: `	var exposed *storage.Mirroring
	sent := shipped != nil // the mirror may have the record
	if sent {
		if lost := <-shipped; lost == nil {
			d.acked.Store(rec.LSN)
		} else {
			var alone error
			exposed, alone = d.continueWithout(w, rec, lost)
			err = errors.Join(err, alone)
			sent = !storage.IsNoRoom(lost) // a mirror with a full disk does not have the record
		}
	}
	if err == nil {
		exposed, err = d.forkIfPending(w, rec, exposed)
	}
	if err == nil {
		if d.BeforeCommit != nil {
			d.BeforeCommit(rec)
		}
		if err = d.awaitThaw(); err == nil {
			_, err = w.Commit.Exec()
		}
	}
`,
		new: `	var exposed *storage.Mirroring
	sent := shipped != nil // the mirror may have the record
	if err == nil {
		exposed, err = d.forkIfPending(w, rec, exposed)
	}
	if err == nil {
		if d.BeforeCommit != nil {
			d.BeforeCommit(rec)
		}
		if err = d.awaitThaw(); err == nil {
			_, err = w.Commit.Exec()
		}
	}
	if sent {
		if lost := <-shipped; lost == nil {
			d.acked.Store(rec.LSN)
		} else {
			var alone error
			exposed, alone = d.continueWithout(w, rec, lost)
			err = errors.Join(err, alone)
			sent = !storage.IsNoRoom(lost) // a mirror with a full disk does not have the record
		}
	}
`,
		pkg: "partner/embedded/engine", test: "TestCommit_theMirrorHasItFirst",
	},
	{
		invariant: "I2", name: "continues without the mirror although the witness may have elected it",
		file: "partner/embedded/mirror/witness.go",
		old: `	if !s.reachesWitness(principal) || principal.State.Load().Sequence < w.sequence {
		return false
	}`,
		new: ``,
		pkg: "partner/embedded/engine", test: "TestWitness_oneOfTheTwo",
	},
	{
		invariant: "I2", name: "elects a mirror that does not have all commits",
		file: "partner/embedded/mirror/witness.go",
		old: `	return w.on && w.inSync && w.sequence <= sequence
}

// Elect decides that the mirror of that role sequence takes over, so that the old
// principal may not continue without it. false: the principal has been exposed before.
func (w *witness) Elect(sequence int64) bool {
	w.mu.Lock()
	defer w.mu.Unlock()
	if !w.on || !w.inSync || w.sequence > sequence {`,
		new: `	return w.on && w.sequence <= sequence
}

// Elect decides that the mirror of that role sequence takes over, so that the old
// principal may not continue without it. false: the principal has been exposed before.
func (w *witness) Elect(sequence int64) bool {
	w.mu.Lock()
	defer w.mu.Unlock()
	if !w.on || w.sequence > sequence {`,
		pkg: "partner/embedded/engine", test: "TestWitness_oneOfTheTwo",
	},
	{
		invariant: "I2", name: "mistakes its next commit for the one that only the mirror has",
		file: "partner/embedded/mirror/harden.go",
		old: `	m.NewFork(m.Sequence, rec.LSN-1)
	if err := w.InTransaction`,
		new: `	if err := w.InTransaction`,
		pkg: "partner/embedded/engine", test: "TestCommit_exposedIsAnotherFork",
	},
	{
		invariant: "I2", name: "mistakes a commit after a crash for the one that only the mirror has",
		file: "partner/embedded/mirror/serverrun.go",
		old:  `		m.NewFork(m.Sequence, d.Store.LSN.Load())`,
		new:  ``,
		pkg:  "partner/embedded/engine", test: "TestCommit_afterACrashIsAnotherFork",
	},
	{
		invariant: "I2", name: "mistakes its next commit for a commit in doubt that it could not record",
		file: "partner/embedded/mirror/diskfull.go",
		old:  `	if !d.ForkPending || exposed != nil {`,
		new:  `	if true {`,
		pkg:  "partner/embedded/engine", test: "TestFullDisk_pendingFork",
	},
	{
		invariant: "I2", name: "acknowledges a commit that failed",
		file: "partner/embedded/mirror/harden.go",
		old:  `		return d.rollBackRecord(w, rec, sent, err)`,
		new: `		_ = d.undo(w, rec, sent, err)
		return nil`,
		pkg: "partner/embedded/engine", test: "TestPrincipal_commitFails",
	},
	{
		invariant: "I2", name: "acknowledges a write when its row arrives, before its commit",
		file: "session/aspstate/procedure.go",
		old: `	if err != nil {
		return none, fmt.Errorf("call %s`,
		new: `	if err != nil && !got {
		return none, fmt.Errorf("call %s`,
		pkg: "session/aspstate", test: "TestStore_ARowIsNoCommit",
	},
	{
		invariant: "I2", name: "acknowledges a write that only one server has, with pair.exposed: refuse",
		file: "partner/exposed.go",
		old:  `	if !r.p.refusesExposed() || !r.state.Call().Write {`,
		new:  `	if true {`,
		pkg:  "partner", test: "TestExposed_FoundOnlyAfterTheCommit",
	},
	{
		invariant: "I2", name: "forces service on a mirror that was not seen SYNCHRONIZED",
		file: "partner/choose/watchdog.go",
		old:  `add(!in.Synchronized, `,
		new:  `add(false, `,
		pkg:  "partner/choose", test: "TestDecideWatchdog",
	},
	{
		invariant: "I2", name: "forces service although an observer reaches the principal",
		file: "partner/choose/watchdog.go",
		old:  `		case s.Reachable:`,
		new:  `		case false:`,
		pkg:  "partner/choose", test: "TestDecideWatchdog",
	},

	// I6: a caller that knows the new principal sends nothing to the former one.
	{
		invariant: "I6", name: "follows the claim with the lower epoch",
		file: "partner/choose/decide.go",
		old:  `	if a > b {`,
		new:  `	if a < b {`,
		pkg:  "partner/choose", test: "TestDecide",
	},
	{
		invariant: "I6", name: "accepts a claim with an older epoch than the accepted one",
		file: "partner/choose/decide.go",
		old:  `acc.Extended && o.Extended && o.Epoch < acc.Epoch:`,
		new:  `false:`,
		pkg:  "partner/choose", test: "TestDecide",
	},
	{
		invariant: "I6", name: "does not store the accepted principal on disk",
		file: "partner/act.go",
		old:  `		p.remember(v)`,
		new:  ``,
		pkg:  "partner", test: "TestMemory_ARestartedProxyIgnoresAFormerPrincipal",
	},
	{
		invariant: "I6", name: "uses a new principal with the epoch of the old one",
		file: "partner/choose/decide.go",
		old: `	if !o.Extended {
		return false
	}
	n := `,
		new: `	if true {
		return false
	}
	n := `,
		pkg: "partner", test: "TestRun_Fencing",
	},
	{
		invariant: "I6", name: "follows one of two claims that can't be ordered",
		file: "partner/choose/decide.go",
		old:  `return -1, "both claim to be principal, can't be ordered`,
		new:  `return 0, "both claim to be principal, can't be ordered`,
		pkg:  "partner", test: "TestRun_SplitBrain",
	},
	{
		invariant: "I6", name: "continues with an epoch that another proxy has replaced",
		file: "partner/term.go",
		old:  `t.extended == o.Extended && t.epoch == o.Epoch &&`,
		new:  `t.extended == o.Extended &&`,
		pkg:  "partner", test: "TestDo_UsesTheEpochThatAnotherProxyTook",
	},
	{
		invariant: "I6", name: "follows the claim that an operator has overruled",
		file: "partner/choose/decide.go",
		old:  `	case acc.Overruled.covers(o):`,
		new:  `	case false:`,
		pkg:  "partner", test: "TestAccept_DecidesBetweenClaimsThatCannotBeOrdered",
	},

	// I9: every request ends by its deadline, and waiting is bounded.
	{
		invariant: "I9", name: "does not limit the time of an attempt",
		file: "partner/attempt.go",
		old:  `end = time.Now().Add(attemptTime(r.p.cfg.Budgets.Attempt, r.state.Call().Bytes))`,
		new:  `end = time.Now().Add(time.Hour)`,
		pkg:  "partner", test: "TestDo_RepeatsAnAttemptThatTimedOut",
	},
	{
		invariant: "I9", name: "holds any number of calls",
		file: "partner/hold/bounds.go",
		old:  `fairshare.Size{Count: cfg.Size, Bytes: cfg.Bytes}`,
		new:  `fairshare.Size{Bytes: cfg.Bytes}`,
		pkg:  "partner/hold", test: "TestHold_Bounds",
	},
	{
		invariant: "I9", name: "holds any number of bytes",
		file: "partner/hold/bounds.go",
		old:  `fairshare.Size{Count: cfg.Size, Bytes: cfg.Bytes}`,
		new:  `fairshare.Size{Count: cfg.Size}`,
		pkg:  "partner/hold", test: "TestHold_Bounds",
	},
	{
		invariant: "I9", name: "lets one caller keep the whole hold",
		file: "fairshare/fairshare.go",
		old:  `left > after && s.caller != asks && s.skipUnremovable(by)`,
		new:  `left > after && s.caller == asks && s.skipUnremovable(by)`,
		pkg:  "partner/hold", test: "TestHold_SharesItsBoundsBetweenCallers",
	},
	{
		invariant: "I9", name: "holds calls longer than the hold window",
		file: "partner/hold/hold.go",
		old:  `timer := time.NewTimer(limit)`,
		new:  `timer := time.NewTimer(time.Hour)`,
		pkg:  "partner/hold", test: "TestHold_TimeLimitAndCallersThatLeave",
	},
	{
		invariant: "I9", name: "waits for a login without a limit",
		file: "partner/link/connector.go",
		old:  `stop := context.AfterFunc(ctx, s.close)`,
		new:  `stop := func() bool { return true }`,
		pkg:  "partner/link", test: "TestConnector_BoundsTheLogin", hangs: true,
	},
	{
		invariant: "I9", name: "lets any number of calls wait for a connection",
		file: "partner/hold/queue.go",
		old:  `	if !sent && pl.pool.Size().Count > 0 {`,
		new:  `	if false {`,
		pkg:  "partner", test: "TestDo_RefusesCallsIfTooManyWaitForAConnection",
	},
	{
		invariant: "I9", name: "waits without a limit for the answer to a cancel request",
		file: "partner/link/pool.go",
		old:  `l.stopTimer = context.AfterFunc(ctx, l.expire)`,
		new:  `l.stopTimer = func() bool { return true }`,
		pkg:  "partner", test: "TestWire_UnansweredCancelEndsWithTheGrace",
	},
	{
		invariant: "I9", name: "lets a probe take five seconds more than its timeout",
		file: "partner/link/probe.go",
		old:  `if time.Since(began) >= s.timeout || a.Calls`,
		new:  `if time.Since(began) >= s.timeout+5*time.Second || a.Calls`,
		pkg:  "partner/link", test: "TestServer_ProbeOfAFrozenServer",
	},
	{
		invariant: "I9", name: "lets any number of callers wait for one session",
		file: "proxy/waiters.go",
		old:  `	if q != nil && len(q.members) >= w.perSession && !v.room(q) {`,
		new:  `	if false && !v.room(q) {`,
		pkg:  "proxy", test: "TestWaiters_Bounds",
	},
	{
		invariant: "I9", name: "lets one caller's held items use all memory for items",
		file: "proxy/call.go",
		old:  `if c.caller != nil && c.items.taken > 0 {`,
		new:  `if false {`,
		pkg:  "proxy", test: "TestTurns_ItemsInTheHold",
	},
	{
		invariant: "I9", name: "lets one caller's sent items use all memory for items",
		file: "proxy/itemmemory.go",
		old:  `m.limit - m.limit/reservedShare}`,
		new:  `m.limit}`,
		pkg:  "proxy", test: "TestTurns_RoomBesideWhatWasSent",
	},
	{
		invariant: "I9", name: "lets one caller use all connections",
		file: "proxy/connections.go",
		old:  `if room := c.largestLocked(); len(room) > 0 {`,
		new:  `if room := []*connection(nil); len(room) > 0 {`,
		pkg:  "proxy", test: "TestTurns_Connections",
	},
	{
		invariant: "I9", name: "keeps an event stream open that must make room",
		file: "proxy/events.go",
		old:  `		close(part.Value)`,
		new:  `		_ = part`,
		pkg:  "proxy", test: "TestEvents_EachCallerHasATurn",
	},
	{
		invariant: "I9", name: "gives a request no deadline",
		file: "proxy/call.go",
		old:  `context.WithTimeout(c.context(), c.wait+c.api.hold+deadlineMargin)`,
		new:  `context.WithCancel(c.context())`,
		pkg:  "proxy", test: "TestAPI_Deadline",
	},
	{
		invariant: "I9", name: "retries a call without a limit",
		file: "partner/do.go",
		old:  `r.retries > retryLimit {`,
		new:  `r.retries > 1000 {`,
		pkg:  "partner", test: "TestDo_RetriesADeadlock",
	},
}
