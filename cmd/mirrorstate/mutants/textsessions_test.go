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
	byStore("I3", "Acquire", "locking", "grants a lock that somebody holds", "AND (Locked = 0 OR LockDate <= @abandoned)", ""),
	byStore("I3", "Acquire", "abandoned locks", "abandons every lock at once", "SET @abandoned = DATEADD(second, -@lockTimeout, @now)", "SET @abandoned = @now"),
	byStore("I3", "Acquire", "abandoned locks", "never abandons a lock", "(Locked = 0 OR LockDate <= @abandoned)", "(Locked = 0)"),
	byStore("I3", "Acquire", "locking", "leaves the cookie as it was", "LockCookie = LockCookie + 1,", "LockCookie = LockCookie,"),
	byCall("I3", "Acquire", "TestGuards_written", "locks nothing", "Locked = 1, LockDate", "LockDate"),
	byCall("I3", "Acquire", "TestGuards_written", "does not note when it locked", "LockDate = @now, ", ""),
	byCall("I3", "Acquire", "TestExtended_repeated", "drops the operation id of an acquire", "LockOperationId = @op, ", ""),
	byCall("I3", "Acquire", "TestGuards_written", "drops the cookie of an acquire", "LockOperationCookie = LockCookie + 1, ", ""),
	byCall("I3", "Acquire", "TestGuards_written", "drops the call of an acquire", ", LockCallId = @call,", ","),
	byStore("I5", "Acquire", "uninitialized", "drops the action flags of an acquire", "LockActionFlags = Flags & 1, ", ""),
	byStore("I7", "Acquire", ".NET reads", "leaves a session uninitialized that was acquired", "Flags = Flags & ~1,", ""),
	byCall("I8", "Acquire", "TestGuards_written", "locks and renews nothing", "Expires = COALESCE(@given, CASE WHEN (TimeoutSeconds + 59) / 60 = Timeout THEN DATEADD(second, TimeoutSeconds, @now) ELSE DATEADD(minute, Timeout, @now) END)", "Expires = Expires"),
	byStore("I8", "Acquire", "expiry", "locks what has expired", "AND Expires > @now", ""),
	byCall("I5", "Acquire", "TestGuards_written", "does not tell of a lock that it made the session", "CASE WHEN inserted.MadeOperationId = @op THEN 8 ELSE 0 END", "0"),
	byCall("I4", "Acquire", "TestGuards_ring", "does not look at the ring when it locks",
		`AND @op NOT IN (ISNULL(OperationId1, 0x00), ISNULL(OperationId2, 0x00), ISNULL(OperationId3, 0x00),
                          ISNULL(OperationId4, 0x00), ISNULL(LockOperationId, 0x00))`,
		"AND @op IS NOT NULL"),
	byCall("I4", "Acquire", "TestGuards_ring", "locks again for the operation of the last lock", "ISNULL(LockOperationId, 0x00)", "0x00"),
	byCall("I4", "Acquire", "TestExtended_repeated", "grants a lock to a straggler of an overrun ring", "AND (OperationsForgotten IS NULL OR OperationsForgotten < @sent)", ""),
	byCall("I4", "Acquire", "TestGuards_removed", "grants on the successor what was granted on a removed session",
		`AND ((@careful = 0 AND @call = @op) OR NOT EXISTS (SELECT t.SessionId FROM dbo.MirrorStateTombstones AS t
                          WHERE t.SessionId = @id AND `+removedBy+"))", ""),
	byCall("I4", "Acquire", "TestGuards_removed", "grants to another call on the successor what was granted on a removed session", "(@careful = 0 AND @call = @op) OR", "(@careful = 0) OR"),
}

// acquireMakesMutants break the session that an acquire creates.
var acquireMakesMutants = []mutant{
	byCall("I3", "Acquire", "TestGuards_holder", "makes a session anew that somebody holds", "AND (Locked = 0 OR LockDate <= @abandoned)", "").behind(anew),
	byCall("I4", "Acquire", "TestGuards_ring", "does not look at the ring when it makes a session anew",
		`AND @op NOT IN (ISNULL(OperationId1, 0x00), ISNULL(OperationId2, 0x00), ISNULL(OperationId3, 0x00),
                              ISNULL(OperationId4, 0x00), ISNULL(LockOperationId, 0x00))`,
		"AND @op IS NOT NULL").behind(anew),
	byCall("I4", "Acquire", "TestGuards_ring", "makes a session anew that has forgotten operations since", "AND (OperationsForgotten IS NULL OR OperationsForgotten < @sent)", "").behind(anew),
	byCall("I4", "Acquire", "TestGuards_young", "makes a session anew that was made after it was sent", "AND (@sent IS NULL OR Created <= DATEADD(millisecond, 10, @sent))", "").behind(anew),
	byCall("I4", "Acquire", "TestGuards_answered", "makes a session anew for an acquire that was answered", "AND @answered IS NULL", "").behind(anew),
	byCall("I5", "Acquire", "TestGuards_timeAndEpoch", "makes a session anew after its time", inTime, "").behind(anew),
	byCall("I6", "Acquire", "TestGuards_timeAndEpoch", "makes a session anew in another epoch", inEpoch, "").behind(anew),
	byCall("I4", "Acquire", "TestGuards_version", "makes a session anew past the tombstone of a removal", "t.Removed >= @since OR t.Created = @waited OR", "t.Created = @waited OR").behind(anew),
	byCall("I4", "Acquire", "TestGuards_version", "makes a session anew whose predecessor the call waited for", "t.Removed >= @since OR t.Created = @waited OR", "t.Removed >= @since OR").behind(anew),
	byCall("I4", "Acquire", "TestGuards_removed", "makes a session anew though it was granted on a removed one", " OR "+removedBy+"))", "))").behind(anew),
	byCall("I4", "Acquire", "TestGuards_written", "makes a session anew and does not remember it", "OperationId1 = @op, ", "").behind(anew),
	byCall("I3", "Acquire", "TestGuards_written", "makes a session anew and leaves the cookie as it was", "LockCookie = LockCookie + 1,", "LockCookie = LockCookie,").behind(anew),
	byCall("I7", "Acquire", "TestGuards_written", "makes a session anew and leaves it as old as it was", "Created = @now, ", "").behind(anew),
	byCall("I5", "Acquire", "TestGuards_written", "makes a session anew and does not note who", "MadeOperationId = @op,", "").behind(anew),
	byCall("I7", "Acquire", "TestGuards_written", "makes a session anew and leaves the long item beside the short one", " SessionItemLong = NULL,", "").behind(anew),
	byCall("I5", "Acquire", "TestGuards_written", "makes a session anew and does not note that it forgets", "COALESCE(OperationDate4, OperationsForgotten)", "OperationsForgotten").behind(anew),
	byCall("I4", "Acquire", "TestGuards_entered", "makes a session anew and settles nothing", "IF @resent = 1 EXECUTE dbo.MirrorState_Settle_1 @id, @op, @call, 8", "").behind(anew),
	byCall("I5", "Acquire", "TestGuards_entered", "makes each session that is not there", "IF @careful = 1 AND @create = 1", "IF @careful = 1"),

	byCall("I6", "Acquire", "TestGuards_timeAndEpoch", "makes and locks in another epoch", "AND e.Epoch = @epoch", "").behind(inserts),
	byCall("I4", "Acquire", "TestGuards_operation", "makes and locks for no operation", "AND @op IS NOT NULL", "").behind(inserts),
	byStore("I4", "Acquire", "late", "makes a session again for an acquire that was answered", "AND @answered IS NULL", "").behind(inserts),
	byCall("I5", "Acquire", "TestGuards_timeAndEpoch", "makes and locks after its time", inTime, "").behind(inserts),
	byCall("I4", "Acquire", "TestGuards_version", "makes and locks past the tombstone of a removal", "t.Removed >= @since OR t.Created IN", "t.Created IN").behind(inserts),
	byCall("I4", "Acquire", "TestGuards_version", "makes and locks what was removed while the call waited for it", "t.Created IN (@waited, @now)", "t.Created = @now").behind(inserts),
	byCall("I4", "Acquire", "TestExtended_twoInOneTick", "makes and locks a second session within one tick", "t.Created IN (@waited, @now)", "t.Created = @waited").behind(inserts),
	byCall("I4", "Acquire", "TestGuards_removed", "makes and locks again what was granted on a removed session", " OR "+removedBy+"))", "))").behind(inserts),
	byCall("I4", "Acquire", "TestGuards_entered", "makes and locks and settles nothing", "IF @resent = 1 EXECUTE dbo.MirrorState_Settle_1 @id, @op, @call, 8", "").behind(inserts),
	byCall("I3", "Acquire", "TestGuards_written", "makes and does not lock", "@defaultTimeout), 1,", "@defaultTimeout), 0,").behind(inserts),
	byCall("I3", "Acquire", "TestGuards_written", "makes and locks for nobody", "0, @op, 2, @call, 1,", "0, NULL, 2, @call, 1,").behind(inserts),
	byCall("I3", "Acquire", "TestGuards_written", "makes and locks with another cookie", "0, @op, 2, @call, 1,", "0, @op, 1, @call, 1,").behind(inserts),
	byCall("I3", "Acquire", "TestGuards_written", "makes and locks for no call", "0, @op, 2, @call, 1,", "0, @op, 2, NULL, 1,").behind(inserts),
	byCall("I4", "Acquire", "TestGuards_written", "makes and locks and does not remember it", "@op, @clock, @op, CASE", "NULL, @clock, @op, CASE").behind(inserts),
	byCall("I5", "Acquire", "TestGuards_written", "makes and locks and does not note when", "@op, @clock, @op, CASE", "@op, NULL, @op, CASE").behind(inserts),
	byCall("I5", "Acquire", "TestGuards_written", "makes and locks and does not note who", "@op, @clock, @op, CASE", "@op, @clock, NULL, CASE").behind(inserts),
}

const (
	foundAgain = "-- Found again, by another call."
	ownLock    = "WHEN s.Locked = 1 AND s.LockOperationId = @op AND s.LockOperationCookie = s.LockCookie AND ISNULL(@answered, 0) <> 7"
	ownItem    = "WHEN e.Epoch = @epoch AND s.Locked = 1 AND s.LockOperationId = @op AND s.LockOperationCookie = s.LockCookie"
	itsLock    = "AND Locked = 1 AND LockOperationId = @op AND LockOperationCookie = LockCookie AND LockCallId <> @call"
)

// acquireAnswerMutants break the answers of an acquire that does not lock.
var acquireAnswerMutants = []mutant{
	byStore("I3", "Acquire", "late", "gives back a lock that another call of the operation has found", "SET LockCallId = NULL", "SET LockCallId = LockCallId"),
	byCall("I5", "Acquire", "TestGuards_timeAndEpoch", "takes a lock from its call after its time", inTime, "").behind(foundAgain),
	byCall("I6", "Acquire", "TestGuards_timeAndEpoch", "takes a lock from its call in another epoch", inEpoch, "").behind(foundAgain),
	byCall("I3", "Acquire", "TestGuards_holder", "takes a lock of another operation from its call", itsLock, without(itsLock, "LockOperationId = @op AND ")),
	byCall("I3", "Acquire", "TestGuards_holder", "takes a lock of another grant from its call", itsLock, without(itsLock, "LockOperationCookie = LockCookie AND ")),
	byCall("I3", "Acquire", "TestGuards_holder", "takes a lock that is over from its call", itsLock, without(itsLock, "Locked = 1 AND ")),
	byCall("I3", "Acquire", "TestGuards_holder", "takes the call's own lock from it", itsLock, without(itsLock, " AND LockCallId <> @call")),

	byStore("I3", "Acquire", ".NET locks", "takes another's lock for its own by the operation alone", ownLock, without(ownLock, "s.LockOperationCookie = s.LockCookie AND ")),
	byCall("I3", "Acquire", "TestGuards_holder", "takes a lock that is over for its own", ownLock, without(ownLock, "s.Locked = 1 AND ")),
	byCall("I3", "Acquire", "TestGuards_holder", "takes anybody's lock for its own", ownLock, without(ownLock, "s.LockOperationId = @op AND ")),
	byCall("I3", "Acquire", "TestGuards_holder", "hands out a lock to the call that gave it back", ownLock, without(ownLock, " AND ISNULL(@answered, 0) <> 7")),
	byCall("I3", "Acquire", "TestExtended_repeated", "does not find its own lock again", ownLock, "WHEN 1 = 0"),
	byCall("I5", "Acquire", "TestGuards_holder", "does not tell of its own lock that it made the session", "CASE WHEN s.MadeOperationId = @op THEN 8 ELSE 0 END", "0"),
	byCall("I5", "Acquire", "TestExtended_uninitialized", "answers the session's flag to an acquire that finds its lock again", "CASE WHEN s.LockOperationId = @op THEN s.LockActionFlags ELSE s.Flags & 1 END", "s.Flags & 1"),
	byCall("I3", "Acquire", "TestGuards_found", "hands out the item with a lock that is over", ownItem, without(ownItem, "s.Locked = 1 AND ")),
	byCall("I3", "Acquire", "TestGuards_found", "hands out the item with another's lock", ownItem, without(ownItem, "s.LockOperationId = @op AND ")),
	byCall("I3", "Acquire", "TestGuards_found", "hands out the item with another grant's lock", ownItem, without(ownItem, " AND s.LockOperationCookie = s.LockCookie")),
	byCall("I6", "Acquire", "TestGuards_found", "hands out the item in another epoch", ownItem, without(ownItem, "e.Epoch = @epoch AND ")),
	byCall("I5", "Acquire", "TestExtended_repeated", "does not tell that its lock is over",
		`WHEN @op IN (ISNULL(s.OperationId1, 0x00), ISNULL(s.OperationId2, 0x00), ISNULL(s.OperationId3, 0x00),
                              ISNULL(s.OperationId4, 0x00), ISNULL(s.LockOperationId, 0x00)) THEN 3`,
		"WHEN 1 = 0 THEN 3"),
	byCall("I5", "Acquire", "TestGuards_answered", "does not answer a refusal again", "WHEN @answered BETWEEN 1 AND 4 THEN @answered", "WHEN 1 = 0 THEN 3"),
	byCall("I5", "Acquire", "TestGuards_answered", "does not tell that its lock is over, when it is forgotten", "WHEN @answered IS NOT NULL THEN 3", "WHEN 1 = 0 THEN 3"),
	byCall("I5", "Acquire", "TestGuards_removed", "does not tell that its lock is over, when the session was removed",
		`WHEN EXISTS (SELECT t.SessionId FROM dbo.MirrorStateTombstones AS t
                          WHERE t.SessionId = @id AND `+removedBy+") THEN 3",
		"WHEN 1 = 0 THEN 3").behind(decides),
	byCall("I5", "Acquire", "TestExtended_locking", "does not tell that it is locked", "WHEN s.Locked = 1 AND s.LockDate > @abandoned THEN 2", "WHEN 1 = 0 THEN 2"),
	byStore("I5", "Acquire", "waited for", "does not tell that what the call waited for was removed",
		"AND EXISTS (SELECT t.SessionId FROM dbo.MirrorStateTombstones AS t WHERE t.SessionId = @id AND t.Created = @waited) THEN 1", "AND 1 = 0 THEN 1"),
	byCall("I5", "Acquire", "TestGuards_version", "does not tell that what it would make was removed since",
		"AND EXISTS (SELECT t.SessionId FROM dbo.MirrorStateTombstones AS t WHERE t.SessionId = @id AND t.Removed >= @since) THEN 1", "AND 1 = 0 THEN 1"),
	byCall("I5", "Acquire", "TestGuards_version", "does not tell that there is no session", "WHEN s.SessionId IS NULL THEN CASE @create WHEN 1 THEN 7 ELSE 1 END", "WHEN s.SessionId IS NULL THEN 7"),
	byCall("I5", "Acquire", "TestExtended_expiry", "does not tell that the session has expired", "WHEN s.Expires <= @now THEN CASE @create WHEN 1 THEN 7 ELSE 1 END", "WHEN s.Expires <= @now THEN 7"),
	byCall("I4", "Acquire", "TestGuards_entered", "settles what moved, or comes too late", "IF (@result < 4 OR @result = 8) AND", "IF"),
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
		each("I3", procedures, "TestGuards_holder", "%s for anybody who has the cookie", isHolder, without(isHolder, " AND LockOperationId = @lockOp")),
		each("I3", procedures, "TestGuards_holder", "%s for a holder whose cookie has moved on", isHolder, without(isHolder, " AND LockCookie = @lockCookie")),
		each("I3", procedures, "TestGuards_holder", "%s for the holder of another grant", isHolder, without(isHolder, " AND LockOperationCookie = @lockCookie")),
		each("I3", procedures, "TestGuards_holder", "%s when there is no lock any more", isHolder, without(isHolder, "Locked = 1 AND ")),
		each("I4", procedures, "TestGuards_ring", "%s what the ring has", inRing, "@op IS NOT NULL"),
		each("I4", procedures, "TestGuards_ring", "%s past what the ring has forgotten", "AND (OperationsForgotten IS NULL OR OperationsForgotten < @since)", ""),
		each("I5", procedures, "TestGuards_ring", "%s and does not tell of what the ring has", "WHEN @op IN "+ringOf+" THEN 0", "WHEN 1 = 0 THEN 0"),
		each("I5", procedures, "TestGuards_answered", "%s and does not answer again what it answered", "WHEN @answered IS NOT NULL THEN @answered", "WHEN 1 = 0 THEN 0"),
		each("I5", procedures, "TestGuards_ring", "%s and says again of what the ring may have forgotten", "CASE WHEN @resent = 1 AND s.OperationsForgotten >= @firstSent THEN 5 ELSE 7 END", "7"),
		each("I5", procedures, "TestGuards_timeAndEpoch", "%s and does not know its lock, too late", "WHEN "+itsLock, "WHEN 1 = 0 AND "+itsLock),
		each("I5", procedures, "TestGuards_removed", "%s and does not know what was done to a removed session", "AND "+removedBy+") THEN 0", "AND 1 = 0) THEN 0"),
		each("I5", procedures, "TestGuards_wasItDone", "%s and does not know a lock of a removed session", "AND "+byLock+") THEN 3", "AND 1 = 0) THEN 3"),
		each("I5", procedures, "TestGuards_wasItDone", "%s and says lock lost of what another call may have done", another, "WHEN 1 = 0"),
		each("I5", procedures, "TestGuards_wasItDone", "%s and says unknown of what no other call can have done", another, without(another, " AND s.OperationsForgotten >= @called")),
		each("I5", procedures, "TestGuards_wasItDone", "%s and says unknown of the only call", another, without(another, " AND @call <> @op")),
		each("I5", procedures, "TestGuards_wasItDone", "%s and says unknown though the acquire is remembered, of another call", "AND @lockOp NOT IN "+ringOf, ""),
		each("I5", procedures, "TestGuards_wasItDone", "%s and says unknown of what was sent first now", "WHEN @resent = 0 THEN 3", "WHEN 1 = 0 THEN 3"),
		each("I5", procedures, "TestGuards_wasItDone", "%s and does not know what a removed session remembered", wasRemoved, wasRemoved+" AND 1 = 0"),
		each("I5", procedures, "TestGuards_wasItDone", "%s and believes a session that was removed before", wasRemoved, without(wasRemoved, "AND t.Removed >= @firstSent ")),
		each("I5", procedures, "TestGuards_wasItDone", "%s and believes a session that was made since", wasRemoved, without(wasRemoved, "AND t.Created < DATEADD(millisecond, -10, @firstSent)")),
		each("I5", procedures, "TestGuards_wasItDone", "%s and believes a removed session that had forgotten some", forgotten, "(1 = 1)"),
		each("I5", procedures, "TestGuards_wasItDone", "%s and says lock lost where there is no session", "WHEN s.SessionId IS NULL THEN 5", "WHEN 1 = 0 THEN 5"),
		each("I5", procedures, "TestGuards_wasItDone", "%s and says unknown though the acquire is remembered", "WHEN @lockOp IN "+ringOf+" THEN 3", "WHEN 1 = 0 THEN 3"),
		each("I5", procedures, "TestGuards_wasItDone", "%s and takes a successor for the session", "WHEN s.Created >= DATEADD(millisecond, -10, @firstSent) THEN 5", "WHEN 1 = 0 THEN 5"),
		each("I5", procedures, "TestGuards_wasItDone", "%s and says unknown though all is remembered", "WHEN s.OperationsForgotten IS NULL OR s.OperationsForgotten < @firstSent THEN 3", "WHEN 1 = 0 THEN 3"),
		each("I4", procedures, "TestGuards_entered", "%s and settles what moved, or comes too late", "IF @result < 6 AND", "IF"),
		each("I4", procedures, "TestGuards_entered", "%s and does not settle what is unknown", "IF @result < 6 AND", "IF @result < 5 AND"),
		each("I8", procedures, "TestGuards_written", "%s and serves the session beyond its second", "CASE WHEN (TimeoutSeconds + 59) / 60 = Timeout THEN DATEADD(second, TimeoutSeconds, @now) ELSE DATEADD(minute, Timeout, @now) END", "DATEADD(minute, Timeout, @now)"),
		[]mutant{
			byCall("I3", "Update", "TestExtended_locking", "releases the lock that it was to keep", "Locked = @keep,", "Locked = 0,"),
			byCall("I3", "Update", "TestExtended_locking", "keeps the lock that it was to release", "Locked = @keep,", "Locked = 1,"),
			byCall("I3", "Update", "TestGuards_written", "keeps the lock and not its age", "LockDate = CASE @keep WHEN 1 THEN @now ELSE LockDate END,", ""),
			byCall("I7", "Update", "TestGuards_written", "updates and leaves the short item beside the long one", "SessionItemShort = @itemShort,", "SessionItemShort = COALESCE(@itemShort, SessionItemShort),"),
			byCall("I7", "Update", "TestGuards_written", "updates and leaves the long item beside the short one", "SessionItemLong = @itemLong,", "SessionItemLong = COALESCE(@itemLong, SessionItemLong),"),
			byCall("I7", "Update", "TestGuards_written", "updates and leaves the session uninitialized", "Flags = (Flags & ~1) | @flags,", "Flags = Flags | @flags,"),
			byStore("I5", "Update", "uninitialized", "answers the flag of the grant to an acquire that finds its lock again", " LockActionFlags = @flags & 1,", ""),
			byStore("I3", "Release", "locking", "releases nothing", "Locked = 0,", "Locked = Locked,"),
		})
}

// giveBackMutants break the procedure that undoes an acquire.
var giveBackMutants = []mutant{
	byStore("I3", "GiveBack", "late", "gives back the lock of another call", " AND LockCallId = @call", ""),
	byCall("I3", "GiveBack", "TestGuards_holder", "gives back the lock of another grant", " AND LockOperationCookie = LockCookie", ""),
	byCall("I3", "GiveBack", "TestGuards_holder", "gives back the lock of another operation", "LockOperationId = @op AND ", ""),
	byCall("I3", "GiveBack", "TestGuards_holder", "gives back what is released", "AND Locked = 1 AND LockOperationId", "AND LockOperationId"),
	byCall("I4", "GiveBack", "TestGuards_operation", "gives back for an operation of zeros", "NULLIF(@op, 0x00000000000000000000000000000000)", "@op"),
	byStore("I3", "GiveBack", "late", "grants a lock to an attempt that was given back", "EXECUTE dbo.MirrorState_Settle_1 @id, @op, @call, 7", "SET @rows = @rows"),
	byCall("I5", "GiveBack", "TestGuards_entered", "settles that it gave back after its time", "IF @op IS NOT NULL AND @clock <= @notAfter AND", "IF @op IS NOT NULL AND"),
	byCall("I6", "GiveBack", "TestGuards_entered", "settles that it gave back in another epoch", inEpoch, "").behind("SET @rows = @@ROWCOUNT"),
	byCall("I3", "GiveBack", "TestGuards_written", "gives back and leaves the lock", "SET Locked = 0, ", "SET "),
	byCall("I3", "GiveBack", "TestGuards_written", "gives back and leaves the operation of the lock", "LockOperationId = NULL, ", ""),
	byStore("I3", "GiveBack", "late", "remembers an acquire that was given back", "THEN @instead ELSE OperationId1", "THEN @op ELSE OperationId1"),
	byCall("I3", "GiveBack", "TestGuards_written", "remembers an acquire that was given back, second", "THEN @instead ELSE OperationId2", "THEN @op ELSE OperationId2"),
	byCall("I3", "GiveBack", "TestGuards_written", "remembers an acquire that was given back, third", "THEN @instead ELSE OperationId3", "THEN @op ELSE OperationId3"),
	byCall("I3", "GiveBack", "TestGuards_written", "remembers an acquire that was given back, last", "THEN @instead ELSE OperationId4", "THEN @op ELSE OperationId4"),
	byStore("I5", "GiveBack", "late", "gives back and drops the action flags", ", Flags = Flags | ISNULL(LockActionFlags, 0),", ","),
	byCall("I5", "GiveBack", "TestGuards_holder", "says that it gave back what it did not", "WHEN @rows = 1 THEN 0", "WHEN @rows < 2 THEN 0"),
	byCall("I5", "GiveBack", "TestGuards_timeAndEpoch", "says that there was nothing to give back, after its time", "WHEN @clock > @notAfter THEN 7", "WHEN 1 = 0 THEN 7"),
}

// removeMutants break the removal.
var removeMutants = []mutant{
	byStore("I3", "Remove", "locking", "removes under the holder", "(@lockOp IS NULL AND (Locked = 0 OR LockDate <= @abandoned))", "(@lockOp IS NULL)"),
	byStore("I3", "Remove", "lost locks", "removes what nobody holds, with a lock that is lost", "(@lockOp IS NULL AND (Locked", "((Locked"),
	byCall("I3", "Remove", "TestGuards_holder", "removes for anybody who has the cookie", without(isHolder, "AND "), without(without(isHolder, "AND "), " AND LockOperationId = @lockOp")),
	byCall("I3", "Remove", "TestGuards_holder", "removes for a holder whose cookie has moved on", without(isHolder, "AND "), without(without(isHolder, "AND "), " AND LockCookie = @lockCookie")),
	byCall("I3", "Remove", "TestGuards_holder", "removes for the holder of another grant", without(isHolder, "AND "), without(without(isHolder, "AND "), " AND LockOperationCookie = @lockCookie")),
	byCall("I3", "Remove", "TestGuards_holder", "removes for who held the lock that is over", without(isHolder, "AND "), without(without(isHolder, "AND "), "Locked = 1 AND ")),
	byCall("I4", "Remove", "TestGuards_operation", "removes for no operation", "AND @op IS NOT NULL", ""),
	byCall("I4", "Remove", "TestGuards_version", "removes the successor of what the call waited for",
		"AND (@waited IS NULL OR NOT EXISTS (SELECT t.SessionId FROM dbo.MirrorStateTombstones AS t WHERE t.SessionId = @id AND t.Created = @waited))", ""),
	byCall("I4", "Remove", "TestGuards_removedOnce", "removes the successor of what it had removed",
		"OR NOT EXISTS (SELECT t.SessionId FROM dbo.MirrorStateTombstones AS t WHERE t.SessionId = @id AND t.OperationId = @op)", "OR 1 = 1"),
	byCall("I4", "Remove", "TestGuards_removedOnce", "removes for another call the successor of what it had removed", "((@careful = 0 AND @call = @op)", "((@careful = 0)"),
	byCall("I4", "Remove", "TestGuards_written", "removes and forgets what the session remembered", "deleted.OperationId1, deleted.OperationId2, deleted.OperationId3, deleted.OperationId4", "NULL, NULL, NULL, NULL"),
	byCall("I5", "Remove", "TestExtended_removedAfterItForgot", "does not note that a removed session had forgotten operations", "deleted.OperationsForgotten", "NULL"),
	byCall("I5", "Remove", "TestGuards_written", "does not note when a removed session was made", "deleted.Created\n", "NULL\n"),
	byCall("I9", "Remove", "TestExtended_tombstonesAreSwept", "keeps tombstones for ever", "DELETE TOP (4)", "DELETE TOP (0)"),
	byStore("I4", "Remove", "late", "forgets removals at once", "Removed < DATEADD(minute, -10, @clock)", "Removed <= DATEADD(minute, 10, @clock)"),
	byCall("I5", "Remove", "TestGuards_answered", "removes and does not answer again what it answered", "WHEN @answered IS NOT NULL THEN @answered", "WHEN 1 = 0 THEN 0"),
	byCall("I5", "Remove", "TestGuards_removedOnce", "does not know that it has removed the session",
		"WHEN EXISTS (SELECT t.SessionId FROM dbo.MirrorStateTombstones AS t WHERE t.SessionId = @id AND t.OperationId = @op) THEN 0", "WHEN 1 = 0 THEN 0"),
	byCall("I5", "Remove", "TestExtended_removed", "does not know that what is not there is removed", "WHEN s.SessionId IS NULL THEN 0", "WHEN 1 = 0 THEN 0"),
	byStore("I5", "Remove", "waited for", "does not know that what the call waited for is removed", "AND t.Created = @waited) THEN 0", "AND 1 = 0) THEN 0"),
	byCall("I5", "Remove", "TestGuards_timeAndEpoch", "removes and says locked, too late", "WHEN @clock > @notAfter THEN 7", "WHEN 1 = 0 THEN 7"),
	byCall("I5", "Remove", "TestGuards_timeAndEpoch", "removes and says lock lost, too late", "WHEN @clock > @notAfter THEN 7", "WHEN @clock > @notAfter AND @lockOp IS NULL THEN 7"),
	byCall("I5", "Remove", "TestGuards_holder", "says removed where the lock is lost", "WHEN @lockOp IS NOT NULL THEN 3", "WHEN @lockOp IS NOT NULL THEN 0"),
	byCall("I5", "Remove", "TestExtended_locking", "does not tell of a removal that it is locked", "WHEN s.Locked = 1 AND s.LockDate > @abandoned THEN 2", "WHEN 1 = 0 THEN 2"),
	byCall("I4", "Remove", "TestGuards_entered", "removes and settles what moved, or comes too late", "IF @result < 4 AND", "IF"),
}
