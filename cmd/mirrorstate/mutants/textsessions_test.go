package mutants

import (
	"slices"
	"strings"
)

// without returns text without one of its parts.
func without(text, part string) string { return strings.Replace(text, part, "", 1) }

// acquireMutants break the acquire.
var acquireMutants = slices.Concat(acquireLockMutants, acquireMakesMutants, acquireAnswerMutants)

// acquireLockMutants break the lock of an existing session.
var acquireLockMutants = []mutant{
	byStore("I3", "Acquire", "locking", "grants a lock that another caller holds", "AND (Locked = 0 OR LockDate <= @abandoned)", ""),
	byStore("I3", "Acquire", "abandoned locks", "treats every lock as abandoned", "SET @abandoned = DATEADD(second, -@lockTimeout, @now)", "SET @abandoned = @now"),
	byStore("I3", "Acquire", "abandoned locks", "treats no lock as abandoned", "(Locked = 0 OR LockDate <= @abandoned)", "(Locked = 0)"),
	byStore("I3", "Acquire", "locking", "does not change the cookie when it locks", "LockCookie = LockCookie + 1,", "LockCookie = LockCookie,"),
	byCall("I3", "Acquire", "TestGuards_written", "grants a lock without locking the session", "Locked = 1, LockDate", "LockDate"),
	byCall("I3", "Acquire", "TestGuards_written", "does not store the time of the lock", "LockDate = @now, ", ""),
	byCall("I3", "Acquire", "TestExtended_repeated", "does not store the operation of the lock", "LockOperationId = @op, ", ""),
	byCall("I3", "Acquire", "TestGuards_written", "does not store the cookie of the lock's operation", "LockOperationCookie = LockCookie + 1, ", ""),
	byCall("I3", "Acquire", "TestGuards_written", "does not store the call of the lock", ", LockCallId = @call,", ","),
	byStore("I5", "Acquire", "uninitialized", "does not store the action flags of the lock", "LockActionFlags = Flags & 1, ", ""),
	byStore("I7", "Acquire", ".NET reads", "leaves an acquired session uninitialized", "Flags = Flags & ~1,", ""),
	byCall("I8", "Acquire", "TestGuards_written", "does not renew the session when it locks", "Expires = COALESCE(@given, CASE WHEN (TimeoutSeconds + 59) / 60 = Timeout THEN DATEADD(second, TimeoutSeconds, @now) ELSE DATEADD(minute, Timeout, @now) END)", "Expires = Expires"),
	byStore("I8", "Acquire", "expiry", "locks an expired session", "AND Expires > @now", ""),
	byCall("I5", "Acquire", "TestGuards_written", "does not report that the operation of the lock created the session", "CASE WHEN inserted.MadeOperationId = @op THEN 8 ELSE 0 END", "0"),
	byCall("I4", "Acquire", "TestGuards_ring", "locks for an operation that the session remembers",
		`AND @op NOT IN (ISNULL(OperationId1, 0x00), ISNULL(OperationId2, 0x00), ISNULL(OperationId3, 0x00),
                          ISNULL(OperationId4, 0x00), ISNULL(LockOperationId, 0x00))`,
		"AND @op IS NOT NULL"),
	byCall("I4", "Acquire", "TestGuards_ring", "locks for the operation of the last lock", "ISNULL(LockOperationId, 0x00)", "0x00"),
	byCall("I4", "Acquire", "TestExtended_repeated", "grants a lock to a late attempt after the session has forgotten operations", "AND (OperationsForgotten IS NULL OR OperationsForgotten < @sent)", ""),
	byCall("I4", "Acquire", "TestGuards_removed", "locks the successor of a removed session that the operation had locked",
		`AND ((@careful = 0 AND @call = @op) OR NOT EXISTS (SELECT t.SessionId FROM dbo.MirrorStateTombstones AS t
                          WHERE t.SessionId = @id AND `+removedBy+"))", ""),
	byCall("I4", "Acquire", "TestGuards_removed", "locks for another call the successor of a removed session that the operation had locked", "(@careful = 0 AND @call = @op) OR", "(@careful = 0) OR"),
}

// acquireMakesMutants break the session that an acquire creates.
var acquireMakesMutants = []mutant{
	byCall("I3", "Acquire", "TestGuards_holder", "re-creates an expired session that another caller holds", "AND (Locked = 0 OR LockDate <= @abandoned)", "").behind(anew),
	byCall("I4", "Acquire", "TestGuards_ring", "re-creates a session for an operation that it remembers",
		`AND @op NOT IN (ISNULL(OperationId1, 0x00), ISNULL(OperationId2, 0x00), ISNULL(OperationId3, 0x00),
                              ISNULL(OperationId4, 0x00), ISNULL(LockOperationId, 0x00))`,
		"AND @op IS NOT NULL").behind(anew),
	byCall("I4", "Acquire", "TestGuards_ring", "re-creates a session that has forgotten operations since the attempt was sent", "AND (OperationsForgotten IS NULL OR OperationsForgotten < @sent)", "").behind(anew),
	byCall("I4", "Acquire", "TestGuards_young", "re-creates a session that was created after the attempt was sent", "AND (@sent IS NULL OR Created <= DATEADD(millisecond, 10, @sent))", "").behind(anew),
	byCall("I4", "Acquire", "TestGuards_answered", "re-creates a session for an acquire that was answered", "AND @answered IS NULL", "").behind(anew),
	byCall("I5", "Acquire", "TestGuards_timeAndEpoch", "re-creates a session after the deadline", inTime, "").behind(anew),
	byCall("I6", "Acquire", "TestGuards_timeAndEpoch", "re-creates a session in another epoch", inEpoch, "").behind(anew),
	byCall("I4", "Acquire", "TestGuards_version", "re-creates a session that was removed since the first attempt", "t.Removed >= @since OR t.Created = @waited OR", "t.Created = @waited OR").behind(anew),
	byCall("I4", "Acquire", "TestGuards_version", "re-creates a session although the one that the call waited for was removed", "t.Removed >= @since OR t.Created = @waited OR", "t.Removed >= @since OR").behind(anew),
	byCall("I4", "Acquire", "TestGuards_removed", "re-creates a session although the operation had locked a removed one", " OR "+removedBy+"))", "))").behind(anew),
	byCall("I4", "Acquire", "TestGuards_written", "re-creates a session and does not remember the operation", "OperationId1 = @op, ", "").behind(anew),
	byCall("I3", "Acquire", "TestGuards_written", "re-creates a session with an unchanged cookie", "LockCookie = LockCookie + 1,", "LockCookie = LockCookie,").behind(anew),
	byCall("I7", "Acquire", "TestGuards_written", "re-creates a session with the old creation time", "Created = @now, ", "").behind(anew),
	byCall("I5", "Acquire", "TestGuards_written", "re-creates a session and does not store the creating operation", "MadeOperationId = @op,", "").behind(anew),
	byCall("I7", "Acquire", "TestGuards_written", "re-creates a session and leaves the old long item in the row", " SessionItemLong = NULL,", "").behind(anew),
	byCall("I5", "Acquire", "TestGuards_written", "re-creates a session and does not store that it forgets an operation", "COALESCE(OperationDate4, OperationsForgotten)", "OperationsForgotten").behind(anew),
	byCall("I4", "Acquire", "TestGuards_entered", "re-creates a session and does not record the answer", "IF @resent = 1 EXECUTE dbo.MirrorState_Settle_1 @id, @op, @call, 8", "").behind(anew),
	byCall("I5", "Acquire", "TestGuards_entered", "creates a missing session for a call that must not", "IF @careful = 1 AND @create = 1", "IF @careful = 1"),

	byCall("I6", "Acquire", "TestGuards_timeAndEpoch", "creates and locks a session in another epoch", "AND e.Epoch = @epoch", "").behind(inserts),
	byCall("I4", "Acquire", "TestGuards_operation", "creates and locks a session without an operation", "AND @op IS NOT NULL", "").behind(inserts),
	byStore("I4", "Acquire", "late", "creates a session again for an acquire that was answered", "AND @answered IS NULL", "").behind(inserts),
	byCall("I5", "Acquire", "TestGuards_timeAndEpoch", "creates and locks a session after the deadline", inTime, "").behind(inserts),
	byCall("I4", "Acquire", "TestGuards_version", "creates and locks a session that was removed since the first attempt", "t.Removed >= @since OR t.Created IN", "t.Created IN").behind(inserts),
	byCall("I4", "Acquire", "TestGuards_version", "creates and locks a session that was removed while the call waited for it", "t.Created IN (@waited, @now)", "t.Created = @now").behind(inserts),
	byCall("I4", "Acquire", "TestExtended_twoInOneTick", "creates and locks a second session within one tick of the clock", "t.Created IN (@waited, @now)", "t.Created = @waited").behind(inserts),
	byCall("I4", "Acquire", "TestGuards_removed", "creates and locks a session although the operation had locked a removed one", " OR "+removedBy+"))", "))").behind(inserts),
	byCall("I4", "Acquire", "TestGuards_entered", "creates and locks a session and does not record the answer", "IF @resent = 1 EXECUTE dbo.MirrorState_Settle_1 @id, @op, @call, 8", "").behind(inserts),
	byCall("I3", "Acquire", "TestGuards_written", "creates a session and does not lock it", "@defaultTimeout), 1,", "@defaultTimeout), 0,").behind(inserts),
	byCall("I3", "Acquire", "TestGuards_written", "creates a session and does not store the operation of the lock", "0, @op, 2, @call, 1,", "0, NULL, 2, @call, 1,").behind(inserts),
	byCall("I3", "Acquire", "TestGuards_written", "creates a session and stores a wrong cookie of the lock's operation", "0, @op, 2, @call, 1,", "0, @op, 1, @call, 1,").behind(inserts),
	byCall("I3", "Acquire", "TestGuards_written", "creates a session and does not store the call of the lock", "0, @op, 2, @call, 1,", "0, @op, 2, NULL, 1,").behind(inserts),
	byCall("I4", "Acquire", "TestGuards_written", "creates and locks a session and does not remember the operation", "@op, @clock, @op, CASE", "NULL, @clock, @op, CASE").behind(inserts),
	byCall("I5", "Acquire", "TestGuards_written", "creates and locks a session and does not store the time of the operation", "@op, @clock, @op, CASE", "@op, NULL, @op, CASE").behind(inserts),
	byCall("I5", "Acquire", "TestGuards_written", "creates and locks a session and does not store the creating operation", "@op, @clock, @op, CASE", "@op, @clock, NULL, CASE").behind(inserts),
}

const (
	foundAgain = "-- Found again, by another call."
	ownLock    = "WHEN s.Locked = 1 AND s.LockOperationId = @op AND s.LockOperationCookie = s.LockCookie AND ISNULL(@answered, 0) <> 7"
	ownItem    = "WHEN e.Epoch = @epoch AND s.Locked = 1 AND s.LockOperationId = @op AND s.LockOperationCookie = s.LockCookie"
	itsLock    = "AND Locked = 1 AND LockOperationId = @op AND LockOperationCookie = LockCookie AND LockCallId <> @call"
)

// acquireAnswerMutants break the answers of an acquire that does not lock.
var acquireAnswerMutants = []mutant{
	byStore("I3", "Acquire", "late", "lets a call give back a lock that another call of the operation has found", "SET LockCallId = NULL", "SET LockCallId = LockCallId"),
	byCall("I5", "Acquire", "TestGuards_timeAndEpoch", "takes a lock from its call after the deadline", inTime, "").behind(foundAgain),
	byCall("I6", "Acquire", "TestGuards_timeAndEpoch", "takes a lock from its call in another epoch", inEpoch, "").behind(foundAgain),
	byCall("I3", "Acquire", "TestGuards_holder", "takes a lock of another operation from its call", itsLock, without(itsLock, "LockOperationId = @op AND ")),
	byCall("I3", "Acquire", "TestGuards_holder", "takes a lock of another grant from its call", itsLock, without(itsLock, "LockOperationCookie = LockCookie AND ")),
	byCall("I3", "Acquire", "TestGuards_holder", "takes a released lock from its call", itsLock, without(itsLock, "Locked = 1 AND ")),
	byCall("I3", "Acquire", "TestGuards_holder", "takes a lock from the call that finds it", itsLock, without(itsLock, " AND LockCallId <> @call")),

	byStore("I3", "Acquire", ".NET locks", "treats a lock with the same operation and another cookie as its own", ownLock, without(ownLock, "s.LockOperationCookie = s.LockCookie AND ")),
	byCall("I3", "Acquire", "TestGuards_holder", "treats a released lock as its own", ownLock, without(ownLock, "s.Locked = 1 AND ")),
	byCall("I3", "Acquire", "TestGuards_holder", "treats every lock as its own", ownLock, without(ownLock, "s.LockOperationId = @op AND ")),
	byCall("I3", "Acquire", "TestGuards_holder", "returns a lock to the call that gave it back", ownLock, without(ownLock, " AND ISNULL(@answered, 0) <> 7")),
	byCall("I3", "Acquire", "TestExtended_repeated", "does not find its own lock again", ownLock, "WHEN 1 = 0"),
	byCall("I5", "Acquire", "TestGuards_holder", "does not report for its own lock that the operation created the session", "CASE WHEN s.MadeOperationId = @op THEN 8 ELSE 0 END", "0"),
	byCall("I5", "Acquire", "TestExtended_uninitialized", "returns the session's current flags to an acquire that finds its lock again", "CASE WHEN s.LockOperationId = @op THEN s.LockActionFlags ELSE s.Flags & 1 END", "s.Flags & 1"),
	byCall("I3", "Acquire", "TestGuards_found", "returns the item with a released lock", ownItem, without(ownItem, "s.Locked = 1 AND ")),
	byCall("I3", "Acquire", "TestGuards_found", "returns the item with the lock of another operation", ownItem, without(ownItem, "s.LockOperationId = @op AND ")),
	byCall("I3", "Acquire", "TestGuards_found", "returns the item with the lock of another grant", ownItem, without(ownItem, " AND s.LockOperationCookie = s.LockCookie")),
	byCall("I6", "Acquire", "TestGuards_found", "returns the item in another epoch", ownItem, without(ownItem, "e.Epoch = @epoch AND ")),
	byCall("I5", "Acquire", "TestExtended_repeated", "does not report lock lost for a remembered operation",
		`WHEN @op IN (ISNULL(s.OperationId1, 0x00), ISNULL(s.OperationId2, 0x00), ISNULL(s.OperationId3, 0x00),
                              ISNULL(s.OperationId4, 0x00), ISNULL(s.LockOperationId, 0x00)) THEN 3`,
		"WHEN 1 = 0 THEN 3"),
	byCall("I5", "Acquire", "TestGuards_answered", "does not repeat a recorded refusal", "WHEN @answered BETWEEN 1 AND 4 THEN @answered", "WHEN 1 = 0 THEN 3"),
	byCall("I5", "Acquire", "TestGuards_answered", "does not report lock lost for a recorded answer", "WHEN @answered IS NOT NULL THEN 3", "WHEN 1 = 0 THEN 3"),
	byCall("I5", "Acquire", "TestGuards_removed", "does not report lock lost for a lock of a removed session",
		`WHEN EXISTS (SELECT t.SessionId FROM dbo.MirrorStateTombstones AS t
                          WHERE t.SessionId = @id AND `+removedBy+") THEN 3",
		"WHEN 1 = 0 THEN 3").behind(decides),
	byCall("I5", "Acquire", "TestExtended_locking", "does not report that the session is locked", "WHEN s.Locked = 1 AND s.LockDate > @abandoned THEN 2", "WHEN 1 = 0 THEN 2"),
	byStore("I5", "Acquire", "waited for", "does not report that the session that the call waited for was removed",
		"AND EXISTS (SELECT t.SessionId FROM dbo.MirrorStateTombstones AS t WHERE t.SessionId = @id AND t.Created = @waited) THEN 1", "AND 1 = 0 THEN 1"),
	byCall("I5", "Acquire", "TestGuards_version", "does not report that the session was removed since the first attempt",
		"AND EXISTS (SELECT t.SessionId FROM dbo.MirrorStateTombstones AS t WHERE t.SessionId = @id AND t.Removed >= @since) THEN 1", "AND 1 = 0 THEN 1"),
	byCall("I5", "Acquire", "TestGuards_version", "does not report that the session does not exist", "WHEN s.SessionId IS NULL THEN CASE @create WHEN 1 THEN 7 ELSE 1 END", "WHEN s.SessionId IS NULL THEN 7"),
	byCall("I5", "Acquire", "TestExtended_expiry", "does not report that the session has expired", "WHEN s.Expires <= @now THEN CASE @create WHEN 1 THEN 7 ELSE 1 END", "WHEN s.Expires <= @now THEN 7"),
	byCall("I4", "Acquire", "TestGuards_entered", "records the answers moved and again", "IF (@result < 4 OR @result = 8) AND", "IF"),
}

// updateMutants break the update and the release, which differ in what they write.
func updateMutants() []mutant {
	procedures := []string{"Update", "Release"}
	const (
		wasRemoved = "AND t.Removed >= @firstSent AND t.Created < DATEADD(millisecond, -10, @firstSent)"
		forgotten  = "(t.OperationsForgotten IS NULL OR t.OperationsForgotten < @firstSent)"
		another    = "WHEN @resent = 0 AND @call <> @op AND s.OperationsForgotten >= @called"
		byLock     = "@lockOp IN (ISNULL(t.OperationId1, 0x00), ISNULL(t.OperationId2, 0x00), ISNULL(t.OperationId3, 0x00), ISNULL(t.OperationId4, 0x00))"
		itsLock    = "s.Locked = 1 AND s.LockCookie = @lockCookie AND s.LockOperationId = @lockOp AND s.LockOperationCookie = @lockCookie\n                   THEN"
	)
	return slices.Concat(
		each("I3", procedures, "TestGuards_holder", "%s the session for any caller with the cookie", isHolder, without(isHolder, " AND LockOperationId = @lockOp")),
		each("I3", procedures, "TestGuards_holder", "%s the session for a holder with an old cookie", isHolder, without(isHolder, " AND LockCookie = @lockCookie")),
		each("I3", procedures, "TestGuards_holder", "%s the session for the holder of another grant", isHolder, without(isHolder, " AND LockOperationCookie = @lockCookie")),
		each("I3", procedures, "TestGuards_holder", "%s a session that is not locked", isHolder, without(isHolder, "Locked = 1 AND ")),
		each("I4", procedures, "TestGuards_ring", "%s the session again for an operation that it remembers", inRing, "@op IS NOT NULL"),
		each("I4", procedures, "TestGuards_ring", "%s a session that has forgotten operations since the attempt was sent", "AND (OperationsForgotten IS NULL OR OperationsForgotten < @since)", ""),
		each("I5", procedures, "TestGuards_ring", "%s and does not report done for a remembered operation", "WHEN @op IN "+ringOf+" THEN 0", "WHEN 1 = 0 THEN 0"),
		each("I5", procedures, "TestGuards_answered", "%s and does not repeat a recorded answer", "WHEN @answered IS NOT NULL THEN @answered", "WHEN 1 = 0 THEN 0"),
		each("I5", procedures, "TestGuards_ring", "%s and reports again, not unknown, after the session has forgotten operations", "CASE WHEN @resent = 1 AND s.OperationsForgotten >= @firstSent THEN 5 ELSE 7 END", "7"),
		each("I5", procedures, "TestGuards_timeAndEpoch", "%s and does not recognise its lock", "WHEN "+itsLock, "WHEN 1 = 0 AND "+itsLock),
		each("I5", procedures, "TestGuards_removed", "%s and does not report done for an operation that a removed session remembers", "AND "+removedBy+") THEN 0", "AND 1 = 0) THEN 0"),
		each("I5", procedures, "TestGuards_wasItDone", "%s and does not report lock lost for an acquire that a removed session remembers", "AND "+byLock+") THEN 3", "AND 1 = 0) THEN 3"),
		each("I5", procedures, "TestGuards_wasItDone", "%s and reports lock lost although another call may have done it", another, "WHEN 1 = 0"),
		each("I5", procedures, "TestGuards_wasItDone", "%s and reports unknown although no other call can have done it", another, without(another, " AND s.OperationsForgotten >= @called")),
		each("I5", procedures, "TestGuards_wasItDone", "%s and reports unknown to the only call of the operation", another, without(another, " AND @call <> @op")),
		each("I5", procedures, "TestGuards_wasItDone", "%s and reports unknown to another call although the session remembers the acquire", "AND @lockOp NOT IN "+ringOf, ""),
		each("I5", procedures, "TestGuards_wasItDone", "%s and reports unknown to a first attempt", "WHEN @resent = 0 THEN 3", "WHEN 1 = 0 THEN 3"),
		each("I5", procedures, "TestGuards_wasItDone", "%s and ignores what a removed session remembers", wasRemoved, wasRemoved+" AND 1 = 0"),
		each("I5", procedures, "TestGuards_wasItDone", "%s and uses the tombstone of a session that was removed before the first attempt", wasRemoved, without(wasRemoved, "AND t.Removed >= @firstSent ")),
		each("I5", procedures, "TestGuards_wasItDone", "%s and uses the tombstone of a session that was created after the first attempt", wasRemoved, without(wasRemoved, "AND t.Created < DATEADD(millisecond, -10, @firstSent)")),
		each("I5", procedures, "TestGuards_wasItDone", "%s and uses the tombstone of a session that had forgotten operations", forgotten, "(1 = 1)"),
		each("I5", procedures, "TestGuards_wasItDone", "%s and reports lock lost for a session that does not exist", "WHEN s.SessionId IS NULL THEN 5", "WHEN 1 = 0 THEN 5"),
		each("I5", procedures, "TestGuards_wasItDone", "%s and reports unknown although the session remembers the acquire", "WHEN @lockOp IN "+ringOf+" THEN 3", "WHEN 1 = 0 THEN 3"),
		each("I5", procedures, "TestGuards_wasItDone", "%s and mistakes a successor for the session", "WHEN s.Created >= DATEADD(millisecond, -10, @firstSent) THEN 5", "WHEN 1 = 0 THEN 5"),
		each("I5", procedures, "TestGuards_wasItDone", "%s and reports unknown although the session has forgotten nothing", "WHEN s.OperationsForgotten IS NULL OR s.OperationsForgotten < @firstSent THEN 3", "WHEN 1 = 0 THEN 3"),
		each("I4", procedures, "TestGuards_entered", "%s and records the answers moved and again", "IF @result < 6 AND", "IF"),
		each("I4", procedures, "TestGuards_entered", "%s and does not record the answer unknown", "IF @result < 6 AND", "IF @result < 5 AND"),
		each("I8", procedures, "TestGuards_written", "%s and rounds a timeout in seconds up to minutes", "CASE WHEN (TimeoutSeconds + 59) / 60 = Timeout THEN DATEADD(second, TimeoutSeconds, @now) ELSE DATEADD(minute, Timeout, @now) END", "DATEADD(minute, Timeout, @now)"),
		[]mutant{
			byCall("I3", "Update", "TestExtended_locking", "releases a lock that it must keep", "Locked = @keep,", "Locked = 0,"),
			byCall("I3", "Update", "TestExtended_locking", "keeps a lock that it must release", "Locked = @keep,", "Locked = 1,"),
			byCall("I3", "Update", "TestGuards_written", "keeps the lock and does not reset its age", "LockDate = CASE @keep WHEN 1 THEN @now ELSE LockDate END,", ""),
			byCall("I7", "Update", "TestGuards_written", "updates and leaves the old short item in the row", "SessionItemShort = @itemShort,", "SessionItemShort = COALESCE(@itemShort, SessionItemShort),"),
			byCall("I7", "Update", "TestGuards_written", "updates and leaves the old long item in the row", "SessionItemLong = @itemLong,", "SessionItemLong = COALESCE(@itemLong, SessionItemLong),"),
			byCall("I7", "Update", "TestGuards_written", "updates and leaves the session uninitialized", "Flags = (Flags & ~1) | @flags,", "Flags = Flags | @flags,"),
			byStore("I5", "Update", "uninitialized", "returns the flags of the grant to an acquire that finds its lock again after an update", " LockActionFlags = @flags & 1,", ""),
			byStore("I3", "Release", "locking", "does not release the lock", "Locked = 0,", "Locked = Locked,"),
		})
}

// giveBackMutants break the procedure that undoes an acquire.
var giveBackMutants = []mutant{
	byStore("I3", "GiveBack", "late", "gives back the lock of another call", " AND LockCallId = @call", ""),
	byCall("I3", "GiveBack", "TestGuards_holder", "gives back the lock of another grant", " AND LockOperationCookie = LockCookie", ""),
	byCall("I3", "GiveBack", "TestGuards_holder", "gives back the lock of another operation", "LockOperationId = @op AND ", ""),
	byCall("I3", "GiveBack", "TestGuards_holder", "gives back a lock that was released", "AND Locked = 1 AND LockOperationId", "AND LockOperationId"),
	byCall("I4", "GiveBack", "TestGuards_operation", "gives back a lock for an operation of zeros", "NULLIF(@op, 0x00000000000000000000000000000000)", "@op"),
	byStore("I3", "GiveBack", "late", "grants a lock to an attempt that was given back", "EXECUTE dbo.MirrorState_Settle_1 @id, @op, @call, 7", "SET @rows = @rows"),
	byCall("I5", "GiveBack", "TestGuards_entered", "records after the deadline that the lock was given back", "IF @op IS NOT NULL AND @clock <= @notAfter AND", "IF @op IS NOT NULL AND"),
	byCall("I6", "GiveBack", "TestGuards_entered", "records in another epoch that the lock was given back", inEpoch, "").behind("SET @rows = @@ROWCOUNT"),
	byCall("I3", "GiveBack", "TestGuards_written", "gives back the lock and leaves the session locked", "SET Locked = 0, ", "SET "),
	byCall("I3", "GiveBack", "TestGuards_written", "gives back the lock and leaves its operation in the row", "LockOperationId = NULL, ", ""),
	byStore("I3", "GiveBack", "late", "remembers an acquire that was given back, first place", "THEN @instead ELSE OperationId1", "THEN @op ELSE OperationId1"),
	byCall("I3", "GiveBack", "TestGuards_written", "remembers an acquire that was given back, second place", "THEN @instead ELSE OperationId2", "THEN @op ELSE OperationId2"),
	byCall("I3", "GiveBack", "TestGuards_written", "remembers an acquire that was given back, third place", "THEN @instead ELSE OperationId3", "THEN @op ELSE OperationId3"),
	byCall("I3", "GiveBack", "TestGuards_written", "remembers an acquire that was given back, fourth place", "THEN @instead ELSE OperationId4", "THEN @op ELSE OperationId4"),
	byStore("I5", "GiveBack", "late", "gives back the lock and does not restore the action flags", ", Flags = Flags | ISNULL(LockActionFlags, 0),", ","),
	byCall("I5", "GiveBack", "TestGuards_holder", "reports done although it gave back no lock", "WHEN @rows = 1 THEN 0", "WHEN @rows < 2 THEN 0"),
	byCall("I5", "GiveBack", "TestGuards_timeAndEpoch", "reports lock lost after the deadline", "WHEN @clock > @notAfter THEN 7", "WHEN 1 = 0 THEN 7"),
}

// removeMutants break the removal.
var removeMutants = []mutant{
	byStore("I3", "Remove", "locking", "removes a locked session without its lock", "(@lockOp IS NULL AND (Locked = 0 OR LockDate <= @abandoned))", "(@lockOp IS NULL)"),
	byStore("I3", "Remove", "lost locks", "removes an unlocked session for a caller whose lock is lost", "(@lockOp IS NULL AND (Locked", "((Locked"),
	byCall("I3", "Remove", "TestGuards_holder", "removes the session for any caller with the cookie", without(isHolder, "AND "), without(without(isHolder, "AND "), " AND LockOperationId = @lockOp")),
	byCall("I3", "Remove", "TestGuards_holder", "removes the session for a holder with an old cookie", without(isHolder, "AND "), without(without(isHolder, "AND "), " AND LockCookie = @lockCookie")),
	byCall("I3", "Remove", "TestGuards_holder", "removes the session for the holder of another grant", without(isHolder, "AND "), without(without(isHolder, "AND "), " AND LockOperationCookie = @lockCookie")),
	byCall("I3", "Remove", "TestGuards_holder", "removes the session for the holder of a released lock", without(isHolder, "AND "), without(without(isHolder, "AND "), "Locked = 1 AND ")),
	byCall("I4", "Remove", "TestGuards_operation", "removes the session without an operation", "AND @op IS NOT NULL", ""),
	byCall("I4", "Remove", "TestGuards_version", "removes the successor of the session that the call waited for",
		"AND (@waited IS NULL OR NOT EXISTS (SELECT t.SessionId FROM dbo.MirrorStateTombstones AS t WHERE t.SessionId = @id AND t.Created = @waited))", ""),
	byCall("I4", "Remove", "TestGuards_removedOnce", "removes the successor of the session that the operation has removed",
		"OR NOT EXISTS (SELECT t.SessionId FROM dbo.MirrorStateTombstones AS t WHERE t.SessionId = @id AND t.OperationId = @op)", "OR 1 = 1"),
	byCall("I4", "Remove", "TestGuards_removedOnce", "removes for another call the successor of the session that the operation has removed", "((@careful = 0 AND @call = @op)", "((@careful = 0)"),
	byCall("I4", "Remove", "TestGuards_written", "does not store in the tombstone what the session remembers", "deleted.OperationId1, deleted.OperationId2, deleted.OperationId3, deleted.OperationId4", "NULL, NULL, NULL, NULL"),
	byCall("I5", "Remove", "TestExtended_removedAfterItForgot", "does not store in the tombstone that the session had forgotten operations", "deleted.OperationsForgotten", "NULL"),
	byCall("I5", "Remove", "TestGuards_written", "does not store in the tombstone when the session was created", "deleted.Created\n", "NULL\n"),
	byCall("I9", "Remove", "TestExtended_tombstonesAreSwept", "never deletes a tombstone", "DELETE TOP (4)", "DELETE TOP (0)"),
	byStore("I4", "Remove", "late", "deletes tombstones at once", "Removed < DATEADD(minute, -10, @clock)", "Removed <= DATEADD(minute, 10, @clock)"),
	byCall("I5", "Remove", "TestGuards_answered", "removes and does not repeat a recorded answer", "WHEN @answered IS NOT NULL THEN @answered", "WHEN 1 = 0 THEN 0"),
	byCall("I5", "Remove", "TestGuards_removedOnce", "does not report done for a session that the operation has removed",
		"WHEN EXISTS (SELECT t.SessionId FROM dbo.MirrorStateTombstones AS t WHERE t.SessionId = @id AND t.OperationId = @op) THEN 0", "WHEN 1 = 0 THEN 0"),
	byCall("I5", "Remove", "TestExtended_removed", "does not report done for a session that does not exist", "WHEN s.SessionId IS NULL THEN 0", "WHEN 1 = 0 THEN 0"),
	byStore("I5", "Remove", "waited for", "does not report done although the session that the call waited for was removed", "AND t.Created = @waited) THEN 0", "AND 1 = 0) THEN 0"),
	byCall("I5", "Remove", "TestGuards_timeAndEpoch", "removes and reports locked after the deadline", "WHEN @clock > @notAfter THEN 7", "WHEN 1 = 0 THEN 7"),
	byCall("I5", "Remove", "TestGuards_timeAndEpoch", "removes and reports lock lost after the deadline", "WHEN @clock > @notAfter THEN 7", "WHEN @clock > @notAfter AND @lockOp IS NULL THEN 7"),
	byCall("I5", "Remove", "TestGuards_holder", "reports done although the lock is lost", "WHEN @lockOp IS NOT NULL THEN 3", "WHEN @lockOp IS NOT NULL THEN 0"),
	byCall("I5", "Remove", "TestExtended_locking", "does not report to a removal that the session is locked", "WHEN s.Locked = 1 AND s.LockDate > @abandoned THEN 2", "WHEN 1 = 0 THEN 2"),
	byCall("I4", "Remove", "TestGuards_entered", "removes and records the answers moved and again", "IF @result < 4 AND", "IF"),
}
