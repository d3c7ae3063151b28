package mutants

import (
	"fmt"
	"slices"
)

// textMutants break the T-SQL of session/aspstate/schema, which customers install and the embedded
// pair runs. There is one for each guard of each procedure. There is no mutant for the table hints
// and for the second checks within one call. They matter only to concurrent calls, but the embedded
// pair runs one writing call after the other. In the names a session remembers the operations in
// its columns OperationId1 to OperationId4; a recorded answer is a row of MirrorStateSettled; a
// tombstone is a row of MirrorStateTombstones.
func textMutants() []mutant {
	return slices.Concat(sharedMutants(), pairTextMutants, enterMutants, getMutants, touchMutants, acquireMutants, updateMutants(), giveBackMutants, storeMutants, removeMutants, sweepMutants)
}

// Snippets that several procedures have.
const (
	inEpoch   = `AND EXISTS (SELECT Id FROM dbo.MirrorStateEpoch WITH (HOLDLOCK) WHERE Id = 1 AND Epoch = @epoch)`
	inTime    = `AND @clock <= @notAfter`
	isHolder  = `AND Locked = 1 AND LockCookie = @lockCookie AND LockOperationId = @lockOp AND LockOperationCookie = @lockCookie`
	inRing    = `@op NOT IN (ISNULL(OperationId1, 0x00), ISNULL(OperationId2, 0x00), ISNULL(OperationId3, 0x00), ISNULL(OperationId4, 0x00))`
	ringOf    = `(ISNULL(s.OperationId1, 0x00), ISNULL(s.OperationId2, 0x00), ISNULL(s.OperationId3, 0x00), ISNULL(s.OperationId4, 0x00))`
	removedBy = `@op IN (ISNULL(t.OperationId1, 0x00), ISNULL(t.OperationId2, 0x00), ISNULL(t.OperationId3, 0x00), ISNULL(t.OperationId4, 0x00))`
	halved    = `DATEADD(second, -@lockTimeout / 2, @now)`
	given     = `COALESCE(@given, `
	anew      = `-- One that has expired is made anew.`
	inserts   = `INSERT INTO dbo.ASPStateTempSessions`
	decides   = `SELECT @result = CASE`
	answers   = `SELECT CASE`
)

// does says what a procedure does, for the names of its mutants.
var does = map[string]string{
	"Get": "reads", "Touch": "touches", "Acquire": "locks", "Update": "updates", "Release": "releases", "GiveBack": "gives back", "Store": "stores", "Remove": "removes",
}

// The procedures with an operation id, those of them that store it in the ring, and those that
// check locks of other callers.
var (
	withOperation = []string{"Acquire", "Update", "Release", "Store", "Remove"}
	withRing      = withOperation[:4]
	withLocks     = []string{"Acquire", "Store", "Remove"}
	withEpoch     = append([]string{"Touch", "GiveBack"}, withOperation...)
)

// each returns the same break for several procedures.
func each(invariant string, procedures []string, test, name, old, new string) (all []mutant) {
	for _, procedure := range procedures {
		all = append(all, byCall(invariant, procedure, test, fmt.Sprintf(name, does[procedure]), old, new))
	}
	return all
}

// byCall returns a break that the test of calls with many arguments notices.
func byCall(invariant, procedure, test, name, old, new string) mutant {
	file := "40-extension-sessions.sql"
	switch procedure {
	case "TakeEpoch", "RaiseEpoch", "FleetSecret", "GetAppId":
		file = "30-extension-pair.sql"
	case "Sweep":
		file = "50-extension-sweep.sql"
	}
	return mutant{
		invariant: invariant, name: name,
		file: "session/aspstate/schema/" + file, within: "MirrorState_" + procedure + "_1", old: old, new: new,
		pkg: "partner/embedded/engine", test: test,
	}
}

// byStore returns a break that a theme of the store's conformance suite notices.
func byStore(invariant, procedure, theme, name, old, new string) mutant {
	m := byCall(invariant, procedure, "TestStore_ExtendedOnEmbeddedPair/"+theme, name, old, new)
	m.pkg = "session/aspstate"
	return m
}

// byPair returns a break that a test of the store on a pair notices.
func byPair(invariant, procedure, test, name, old, new string) mutant {
	m := byCall(invariant, procedure, test, name, old, new)
	m.pkg = "session/aspstate"
	return m
}

// behind returns m for the first snippet after another one.
func (m mutant) behind(after string) mutant {
	m.after = after
	return m
}

// sharedMutants break what several procedures have in common.
func sharedMutants() []mutant {
	const moved = "WHEN @epoch IS NULL OR e.Epoch <> @epoch THEN 6"
	return slices.Concat(
		each("I5", withEpoch, "TestGuards_timeAndEpoch", "%s after the deadline", inTime, ""),
		each("I6", append([]string{"Get"}, withEpoch...), "TestGuards_timeAndEpoch", "%s in another epoch", inEpoch, ""),
		each("I6", append([]string{"Get"}, withEpoch...), "TestGuards_timeAndEpoch", "%s and does not report that the epoch has changed", moved, "WHEN 1 = 0 THEN 6"),
		each("I4", withOperation, "TestGuards_operation", "%s for an operation of zeros", "NULLIF(@op, 0x00000000000000000000000000000000)", "@op"),
		each("I4", withOperation, "TestGuards_answered", "%s again after a recorded answer", "AND @answered IS NULL", ""),
		each("I4", withOperation, "TestGuards_answered", "%s again what another call of the operation did long ago",
			"AND (@call = @op OR NOT EXISTS (SELECT u.OperationId FROM dbo.MirrorStateSettled AS u WHERE u.OperationId = @op AND u.Result IN (0, 5, 8)))", ""),
		each("I4", withOperation, "TestGuards_answered", "%s in one statement although an answer was recorded since the call began", " AND (Settled IS NULL OR Settled < @called)", ""),
		each("I4", withOperation, "TestGuards_answered", "%s in one statement although the session was created since the call began", "Created < DATEADD(millisecond, -10, @called) AND ", ""),
		each("I4", withOperation, "TestGuards_young", "%s a session that was created after the attempt was sent", "AND (@sent IS NULL OR Created <= DATEADD(millisecond, 10, @sent))", ""),
		each("I4", withOperation, "TestGuards_entered", "%s without checking the recorded answers for an attempt that was sent again", "SET @careful = @resent", "SET @careful = 0"),
		each("I4", withOperation, "TestGuards_answered", "%s and has no default for @called", "SET @called = COALESCE(@called, @sent)", ""),
		each("I4", []string{"Update", "Release", "Store"}, "TestGuards_young", "%s and has no default for @sent", "SET @sent = COALESCE(@sent, @firstSent)", ""),
		each("I4", []string{"Acquire", "Store"}, "TestGuards_version", "%s and has no default for @firstSent", "SET @since = COALESCE(@firstSent, @sent)", "SET @since = @firstSent"),
		each("I4", withOperation, "TestGuards_entered", "%s and does not record a refusal of an attempt that was sent again", "(@resent = 1 OR (@settle", "(@resent = 5 OR (@settle"),
		each("I4", withOperation, "TestGuards_entered", "%s and does not record a refusal that binds the other calls", "(@settle > 0 AND", "(@settle > 5 AND"),
		each("I4", withOperation, "TestGuards_entered", "%s and records again an answer that the call already had", "(@answered IS NULL OR @own = 0) AND ", ""),
		each("I4", withRing, "TestGuards_entered", "%s and does not record the answer done", "IF @resent = 1 EXECUTE dbo.MirrorState_Settle_1 @id, @op, @call, 0", ""),
		each("I4", withRing, "TestGuards_written", "%s and does not remember the operation", "OperationId1 = @op, ", ""),
		each("I4", withRing, "TestGuards_written", "%s and remembers only three operations", "OperationId4 = OperationId3,", "OperationId4 = NULL,"),
		each("I5", withRing, "TestGuards_written", "%s and does not store that the session forgets an operation", "COALESCE(OperationDate4, OperationsForgotten)", "OperationsForgotten"),
		each("I5", withRing, "TestGuards_written", "%s and resets the time of forgotten operations", "COALESCE(OperationDate4, OperationsForgotten)", "OperationDate4"),
		each("I3", withLocks, "TestGuards_holder", "%s a session whose lock is not abandoned yet", "DATEADD(second, -@lockTimeout, @now)", halved),
		each("I8", withRing[:3], "TestGuards_written", "%s and does not set the timeout", "Timeout = COALESCE(@timeout, Timeout)", "Timeout = Timeout"),
	)
}

// pairTextMutants break the epoch, the fleet's secret and the applications.
var pairTextMutants = []mutant{
	byCall("I6", "TakeEpoch", "TestExtended_pair", "takes the next epoch without increasing it", "Epoch = Epoch + 1, [", "["),
	byCall("I6", "TakeEpoch", "TestExtended_pair", "takes a new epoch for the server that already has one", " AND [Server] <> @server", ""),
	byCall("I6", "TakeEpoch", "TestExtended_pair", "takes an epoch and does not store the server", ", [Server] = @server", ""),
	byCall("I6", "RaiseEpoch", "TestExtended_pair", "raises the epoch above the other claim's and not above the row's", "CASE WHEN Epoch > @above THEN Epoch ELSE @above END + 1", "@above + 1"),
	byCall("I6", "RaiseEpoch", "TestExtended_pair", "raises the epoch above the row's and not above the other claim's", "CASE WHEN Epoch > @above THEN Epoch ELSE @above END + 1", "Epoch + 1"),
	byCall("I6", "RaiseEpoch", "TestExtended_pair", "raises the epoch and does not store the server", ", [Server] = @server", ""),
	byCall("I6", "FleetSecret", "TestExtended_pair", "stores a secret in another epoch", " AND Epoch = @epoch", ""),
	byCall("I6", "FleetSecret", "TestExtended_pair", "returns a secret and does not report that the epoch has changed", "CASE WHEN Epoch = @epoch THEN 0 ELSE 6 END", "0"),
	byCall("I3", "FleetSecret", "TestExtended_pair", "replaces the secret by each proposal", " AND FleetSecret IS NULL", ""),
	byCall("I6", "GetAppId", "TestExtended_pair", "returns an application's id in another epoch", " AND Epoch = @epoch", ""),
	byCall("I7", "GetAppId", "TestExtended_pair", "registers an application that was only looked up", "IF @register = 1", "IF 1 = 1"),
}

// enterMutants break what is stored of answers.
var enterMutants = []mutant{
	byStore("I4", "Enter", "late", "finds no recorded answer", "WHERE OperationId = @op", "WHERE OperationId = NULL"),
	byCall("I4", "Enter", "TestGuards_answered", "finds the answer done only if it is recent", "Result IN (0, 5, 8) OR ", ""),
	byCall("I4", "Enter", "TestGuards_answered", "finds the answer created only if it is recent", "Result IN (0, 5, 8)", "Result IN (0, 5)"),
	byPair("I5", "Enter", "TestUpdate_sentAgainWhenTheRowCannotTell/extended", "finds the answer unknown only if it is recent", "Result IN (0, 5, 8)", "Result IN (0, 8)"),
	byCall("I4", "Enter", "TestGuards_answered", "does not find an answer to the same call", "(CallId = @call AND Settled >= @sent) OR ", ""),
	byCall("I4", "Enter", "TestGuards_answered", "finds an answer to the same call from before this attempt was sent", " AND Settled >= @sent", ""),
	byStore("I4", "Enter", "late", "does not find an answer to another call", " OR (CallId <> @call AND Settled >= @called AND Result <> 7)", ""),
	byCall("I4", "Enter", "TestGuards_answered", "finds an answer to another call from before this call began", " AND Settled >= @called", ""),
	byStore("I4", "Enter", "late", "treats a lock that was given back as an answer to all calls", " AND Result <> 7", ""),
	byCall("I4", "Enter", "TestGuards_newestAnswer", "returns the oldest answer", "ORDER BY Settled DESC", "ORDER BY Settled"),
	byCall("I4", "Enter", "TestGuards_entered", "treats every answer as the call's own", "CASE WHEN CallId = @call THEN 1 ELSE 0 END", "1"),
	byCall("I4", "Enter", "TestGuards_entered", "treats the call's own answer as another call's", "CASE WHEN CallId = @call THEN 1 ELSE 0 END", "0"),
	byCall("I4", "Settle", "TestGuards_entered", "records no answer", "IF @@ROWCOUNT = 0", "IF @@ROWCOUNT = 5"),
	byCall("I4", "Settle", "TestGuards_entered", "does not replace the earlier answer to the call", "SET Settled = @clock, Result = @result", "SET Settled = @clock"),
	byCall("I4", "Settle", "TestGuards_entered", "does not replace the time of the earlier answer to the call", "SET Settled = @clock, Result = @result", "SET Result = @result"),
	byStore("I4", "Settle", "late", "does not store in the session that an answer was recorded", "    UPDATE dbo.ASPStateTempSessions WITH (ROWLOCK, UPDLOCK) SET Settled = @clock WHERE SessionId = @id\n", ""),
	byCall("I4", "Settle", "TestGuards_entriesAreSwept", "deletes recorded answers at once", "DATEADD(minute, -10, @clock)", "@clock"),
	byCall("I9", "Settle", "TestGuards_entriesAreSwept", "keeps recorded answers for years", "DATEADD(minute, -10, @clock)", "DATEADD(year, -10, @clock)"),
}

// getMutants break the read.
var getMutants = []mutant{
	byCall("I8", "Get", "TestExtended_expiry", "reads an expired session", "WHEN s.Expires <= @now THEN 1", "WHEN 1 = 0 THEN 1"),
	byCall("I8", "Get", "TestGuards_renewed", "reads the item of an expired session", "WHEN s.Expires <= @now AND (s.Locked = 0 OR s.LockDate <= @abandoned) THEN NULL", "WHEN 1 = 0 THEN NULL"),
	byCall("I3", "Get", "TestExtended_locking", "reads a locked session", "WHEN s.Locked = 1 AND s.LockDate > @abandoned THEN CASE", "WHEN 1 = 0 THEN CASE"),
	byCall("I3", "Get", "TestGuards_renewed", "reads the item of a locked session", "WHEN s.Locked = 1 AND s.LockDate > @abandoned AND @allowLocked = 0 THEN NULL", "WHEN 1 = 0 THEN NULL"),
	byStore("I3", "Get", "abandoned locks", "reports an abandoned lock as held", "WHEN s.Locked = 1 AND s.LockDate > @abandoned THEN", "WHEN s.Locked = 1 THEN"),
	byCall("I3", "Get", "TestGuards_renewed", "treats a lock as abandoned too early", "DATEADD(second, -@lockTimeout, @now)", halved),
	byCall("I6", "Get", "TestGuards_timeAndEpoch", "reads the item in another epoch", "WHEN @item = 0 OR @epoch IS NULL OR e.Epoch <> @epoch THEN NULL", "WHEN @item = 0 THEN NULL"),
	byCall("I8", "Get", "TestGuards_renewed", "renews an expired session in a read", "(Expires > @now AND (Locked", "((Locked"),
	byCall("I8", "Get", "TestGuards_renewed", "renews a locked session in a read that is refused", "(Expires > @now AND (Locked = 0 OR LockDate <= @abandoned))", "(Expires > @now)"),
	byCall("I8", "Get", "TestGuards_renewed", "does not renew a locked session in a read that allows locks", "OR (@allowLocked = 1 AND Locked = 1 AND LockDate > @abandoned))", ")"),
	byCall("I8", "Get", "TestGuards_renewed", "renews the session in a read that must not renew", "IF @renew = 1 AND EXISTS", "IF EXISTS"),
	byStore("I8", "Get", "expiry", "renews a session for too long in a read", "Timeout * 63", "Timeout * 90"),
	byStore("I8", "Get", "timeouts in seconds", "rounds a timeout in seconds up to minutes in a read", "CASE WHEN (TimeoutSeconds + 59) / 60 = Timeout THEN TimeoutSeconds ELSE Timeout * 63 END", "Timeout * 63"),
}

// touchMutants break the touch.
var touchMutants = []mutant{
	byStore("I4", "Touch", "late", "sets the timeout for a late touch", " AND COALESCE(TimeoutDate, DATEADD(millisecond, 10, Created)) < @sent", ""),
	byStore("I4", "Touch", "late", "sets the timeout of a session that was created after the touch was sent", "COALESCE(TimeoutDate, DATEADD(millisecond, 10, Created)) < @sent", "(TimeoutDate IS NULL OR TimeoutDate < @sent)"),
	byCall("I4", "Touch", "TestGuards_renewed", "does not store when it set the timeout", "CASE WHEN @timeout IS NULL THEN TimeoutDate ELSE @clock END", "TimeoutDate"),
	byCall("I5", "Touch", "TestGuards_renewed", "reports done for a late touch", "WHEN @timeout IS NOT NULL AND @rows = 0 THEN 7", "WHEN 1 = 0 THEN 7"),
	byCall("I5", "Touch", "TestGuards_renewed", "reports done for a session that does not exist", "WHEN s.SessionId IS NULL THEN 1", "WHEN 1 = 0 THEN 1"),
	byCall("I5", "Touch", "TestExtended_expiry", "reports done for an expired session", "WHEN s.Expires <= @now AND", "WHEN 1 = 0 AND"),
	byCall("I5", "Touch", "TestGuards_renewed", "reports no session for an expired session that is held", "WHEN s.Expires <= @now AND (s.Locked = 0 OR s.LockDate <= @abandoned) THEN 1", "WHEN s.Expires <= @now THEN 1"),
	byCall("I5", "Touch", "TestGuards_timeAndEpoch", "reports done for a touch after the deadline", "WHEN @clock > @notAfter THEN 7", "WHEN 1 = 0 THEN 7"),
	byCall("I8", "Touch", "TestGuards_renewed", "renews an expired session in a touch", "AND (Expires > @now OR (Locked = 1 AND LockDate > @abandoned))", ""),
	byCall("I8", "Touch", "TestGuards_renewed", "renews an expired session with an abandoned lock in a touch", "(Locked = 1 AND LockDate > @abandoned)", "(Locked = 1)"),
	byCall("I8", "Touch", "TestGuards_renewed", "does not renew an expired session that is held", " OR (Locked = 1 AND LockDate > @abandoned)", ""),
	byCall("I8", "Touch", "TestGuards_renewed", "treats a lock as abandoned too early in a touch", "DATEADD(second, -@lockTimeout, @now)", halved),
	byCall("I8", "Touch", "TestGuards_renewed", "renews a session for too long in a touch", "Timeout * 63", "Timeout * 90"),
	byStore("I8", "Touch", "timeouts in seconds", "rounds a timeout in seconds up to minutes in a touch", "CASE WHEN (TimeoutSeconds + 59) / 60 = Timeout THEN TimeoutSeconds ELSE Timeout * 63 END", "Timeout * 63"),
	byCall("I8", "Touch", "TestGuards_renewed", "deletes the seconds in a touch without a timeout", "CASE WHEN @timeout IS NULL THEN TimeoutSeconds ELSE @timeoutSeconds END", "@timeoutSeconds"),
	byCall("I8", "Touch", "TestGuards_renewed", "keeps the seconds in a touch that sets minutes", "CASE WHEN @timeout IS NULL THEN TimeoutSeconds ELSE @timeoutSeconds END", "TimeoutSeconds"),
}
