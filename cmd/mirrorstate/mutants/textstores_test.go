package mutants

import (
	"slices"
	"strings"
)

// storeMutants break the store without a lock.
var storeMutants = slices.Concat(storeOverMutants, storeMakesMutants, storeAnswerMutants)

const version = `AND Created = @created AND LockCookie = @cookie AND Locked = @locked
                AND ISNULL(OperationId1, 0x00) = ISNULL(@newest, 0x00)`

// storeOverMutants break the store over an existing session.
var storeOverMutants = []mutant{
	byStore("I3", "Store", "locking", "stores over a session that another caller holds", "AND (Locked = 0 OR LockDate <= @abandoned)", ""),
	byStore("I3", "Store", "abandoned locks", "does not store over a session with an abandoned lock", "AND (Locked = 0 OR LockDate <= @abandoned)", "AND (Locked = 0)"),
	byCall("I3", "Store", "TestGuards_written", "stores and leaves an abandoned lock in the row", "Locked = 0, LockDate", "LockDate"),
	byStore("I7", "Store", ".NET writes", "does not change the cookie in a store without a lock", "LockCookie = LockCookie + 1,", ""),
	byStore("I4", "Store", "repeated late", "stores again for an operation that the session remembers", "AND "+inRing, "AND @op IS NOT NULL"),
	byCall("I4", "Store", "TestGuards_ring", "stores over a session that has forgotten operations since the attempt was sent", "AND (OperationsForgotten IS NULL OR OperationsForgotten < @since)", ""),
	byPair("I4", "Store", "TestPut_sentAgainAfterDotNETRemoved", "stores again over a session that .NET has created since",
		"AND (@resent = 0 OR MadeOperationId IS NOT NULL OR Created < DATEADD(millisecond, -10, @since))", ""),
	byCall("I4", "Store", "TestGuards_version", "stores over the successor of the session that the call waited for",
		"AND (@waited IS NULL OR NOT EXISTS (SELECT t.SessionId FROM dbo.MirrorStateTombstones AS t WHERE t.SessionId = @id AND t.Created = @waited))", ""),
	byCall("I4", "Store", "TestExtended_createdAgain", "stores over the successor of a session that was removed since the first attempt", "t.Removed >= @since OR @op IN", "@op IN"),
	byCall("I4", "Store", "TestGuards_removed", "stores over the successor of the session that the operation changed", "(t.Removed >= @since OR "+removedBy+")", "(t.Removed >= @since)"),
	byCall("I4", "Store", "TestGuards_removed", "stores for another call over the successor of the session that the operation changed", "(@careful = 0 AND @call = @op) OR", "(@careful = 0) OR"),
	byCall("I4", "Store", "TestGuards_version", "creates a session that exists", "(@mode = 1 AND Expires <= @now)", "(@mode = 1)"),
	byCall("I4", "Store", "TestGuards_version", "overwrites a version with another creation time", version, without(version, "AND Created = @created ")),
	byCall("I4", "Store", "TestGuards_version", "overwrites a version with another cookie", version, without(version, "AND LockCookie = @cookie ")),
	byCall("I4", "Store", "TestGuards_version", "overwrites a version whose lock has changed", version, without(version, "AND Locked = @locked")),
	byCall("I4", "Store", "TestGuards_version", "overwrites a version with another last operation", version, without(version, "AND ISNULL(OperationId1, 0x00) = ISNULL(@newest, 0x00)")),
	byCall("I8", "Store", "TestGuards_version", "overwrites the version of an expired session", "@mode = 2 AND Expires > @now AND", "@mode = 2 AND"),

	byCall("I7", "Store", "TestGuards_written", "stores a new session with the old creation time", "Created = CASE WHEN Expires > @now THEN Created ELSE @now END,", ""),
	byCall("I5", "Store", "TestGuards_written", "stores a new session without the creating operation", "MadeOperationId = CASE WHEN Expires > @now THEN MadeOperationId ELSE @op END,", ""),
	byCall("I5", "Store", "TestGuards_written", "stores itself as the creating operation of an existing session", "CASE WHEN Expires > @now THEN MadeOperationId ELSE @op END", "@op"),
	byCall("I5", "Store", "TestExtended_expiry", "does not report that the session is new", "CASE WHEN deleted.Expires > @now THEN 0 ELSE 8 END", "0"),
	byCall("I8", "Store", "TestGuards_written", "keeps the timeout in seconds of an expired session", "WHEN Expires > @now THEN TimeoutSeconds END", "ELSE TimeoutSeconds END"),
	byCall("I8", "Store", "TestGuards_written", "stores and rounds a timeout in seconds up to minutes", "CASE WHEN (TimeoutSeconds + 59) / 60 = Timeout THEN DATEADD(second, TimeoutSeconds, @now) ELSE DATEADD(minute, Timeout, @now) END", "DATEADD(minute, Timeout, @now)"),
	byCall("I8", "Store", "TestGuards_written", "stores and does not set the timeout", "Timeout = CASE WHEN Expires > @now THEN COALESCE(@timeout, Timeout)", "Timeout = CASE WHEN Expires > @now THEN Timeout"),
	byCall("I7", "Store", "TestGuards_written", "stores and leaves the old short item in the row", "SessionItemShort = @itemShort,", "SessionItemShort = COALESCE(@itemShort, SessionItemShort),"),
	byCall("I7", "Store", "TestGuards_written", "stores and leaves the old long item in the row", "SessionItemLong = @itemLong,", "SessionItemLong = COALESCE(@itemLong, SessionItemLong),"),
	byCall("I7", "Store", "TestGuards_written", "stores and leaves the session uninitialized", "Flags = (Flags & ~1) | @flags,", "Flags = Flags | @flags,"),
}

// storeMakesMutants break the session that a store creates.
var storeMakesMutants = []mutant{
	byCall("I6", "Store", "TestGuards_timeAndEpoch", "creates a session in another epoch", "AND e.Epoch = @epoch", "").behind(inserts),
	byCall("I4", "Store", "TestGuards_version", "creates a session for a call that requires a version", "AND @mode <> 2", "").behind(inserts),
	byCall("I4", "Store", "TestGuards_operation", "creates a session without an operation", "AND @op IS NOT NULL", "").behind(inserts),
	byStore("I4", "Store", "late", "creates a session again for a store that was answered", "AND @answered IS NULL", "").behind(inserts),
	byCall("I5", "Store", "TestGuards_timeAndEpoch", "creates a session after the deadline", inTime, "").behind(inserts),
	byCall("I4", "Store", "TestGuards_version", "creates a session that was removed since the first attempt", "t.Removed >= @since OR t.Created IN", "t.Created IN").behind(inserts),
	byCall("I4", "Store", "TestGuards_version", "creates a session that was removed while the call waited for it", "t.Created IN (@waited, @now)", "t.Created = @now").behind(inserts),
	byCall("I4", "Store", "TestExtended_twoInOneTick", "creates a second session within one tick of the clock", "t.Created IN (@waited, @now)", "t.Created = @waited").behind(inserts),
	byCall("I4", "Store", "TestGuards_removed", "creates a session again that the operation has created before", " OR "+removedBy+"))", "))").behind(inserts),
	byCall("I4", "Store", "TestGuards_entered", "creates a session and does not record the answer", "IF @resent = 1 EXECUTE dbo.MirrorState_Settle_1 @id, @op, @call, 8", ""),
	byCall("I4", "Store", "TestGuards_written", "creates a session and does not remember the operation", "@op, @clock, @op, CASE", "NULL, @clock, @op, CASE"),
	byCall("I5", "Store", "TestGuards_written", "creates a session and does not store the time of the operation", "@op, @clock, @op, CASE", "@op, NULL, @op, CASE"),
	byCall("I5", "Store", "TestGuards_written", "creates a session and does not store the creating operation", "@op, @clock, @op, CASE", "@op, @clock, NULL, CASE"),
}

// storeAnswerMutants break the answers of a store that does not store.
var storeAnswerMutants = []mutant{
	byCall("I5", "Store", "TestGuards_ring", "does not report done for a remembered operation", "WHEN @op IN "+ringOf, "WHEN 1 = 0"),
	byCall("I5", "Store", "TestExtended_repeated", "does not report for a remembered operation that it created the session", "CASE WHEN s.MadeOperationId = @op THEN 8 ELSE 0 END", "0"),
	byCall("I5", "Store", "TestGuards_answered", "stores and does not repeat a recorded answer", "WHEN @answered IS NOT NULL THEN @answered", "WHEN 1 = 0 THEN 0"),
	byCall("I5", "Store", "TestGuards_removed", "does not report done for an operation that a removed session remembers", "AND "+removedBy+") THEN 0", "AND 1 = 0) THEN 0"),
	byCall("I5", "Store", "TestExtended_removedAfterItForgot", "reports no session although the removed session had forgotten operations", "AND t.Removed >= @since AND t.OperationsForgotten >= @since) THEN 5", "AND 1 = 0) THEN 5"),
	byCall("I5", "Store", "TestExtended_removed", "does not report to a store that the session was removed since the first attempt", "AND t.Removed >= @since) THEN 1", "AND 1 = 0) THEN 1"),
	byStore("I5", "Store", "waited for", "does not report to a store that the session that it waited for was removed", "AND t.Created = @waited) THEN 1", "AND 1 = 0) THEN 1"),
	byCall("I5", "Store", "TestGuards_timeAndEpoch", "reports precondition failed after the deadline", "WHEN @clock > @notAfter THEN 7", "WHEN 1 = 0 THEN 7"),
	byPair("I5", "Store", "TestPut_sentAgainAfterDotNETRemoved", "reports not done although .NET has removed the session since",
		"AND ((@mode = 2 AND s.Created <> @created) OR (@mode <> 2 AND s.MadeOperationId IS NULL)) THEN 5", "AND 1 = 0 THEN 5"),
	byCall("I5", "Store", "TestGuards_version", "reports not done although a successor has replaced the version", "(@mode = 2 AND s.Created <> @created) OR", ""),
	byCall("I5", "Store", "TestGuards_version", "reports unknown for the existing version", "(@mode = 2 AND s.Created <> @created) OR", "(@mode = 2) OR"),
	byPair("I5", "Store", "TestPut_sentAgainAndNotDone", "ignores the tombstone of the required version",
		"WHERE t.SessionId = @id AND t.Created = @created) THEN 5", "WHERE 1 = 0) THEN 5"),
	byCall("I5", "Store", "TestGuards_version", "reports not done for a version that no longer exists", "WHEN @resent = 1 AND @mode = 2 AND s.SessionId IS NULL", "WHEN 1 = 0"),
	byPair("I5", "Store", "TestPut_sentAgainToALockedSession", "reports locked although the session has forgotten operations since", "WHEN @resent = 1 AND s.OperationsForgotten >= @since THEN 5", "WHEN 1 = 0 THEN 5"),
	byCall("I5", "Store", "TestExtended_locking", "does not report to a store that the session is locked", "WHEN s.Locked = 1 AND s.LockDate > @abandoned THEN CASE", "WHEN 1 = 0 THEN CASE"),
	byCall("I5", "Store", "TestGuards_version", "reports locked to a create", "CASE @mode WHEN 1 THEN 4 ELSE 2 END", "2"),
	byCall("I5", "Store", "TestGuards_version", "reports precondition failed although the session has forgotten operations since", "WHEN s.OperationsForgotten >= @since THEN 7", "WHEN 1 = 0 THEN 7").behind("CASE @mode WHEN 1"),
	byCall("I5", "Store", "TestExtended_storeAndRead", "does not report to a create that the session exists", "WHEN @mode = 1 AND s.Expires > @now THEN 4", "WHEN 1 = 0 THEN 4"),
	byCall("I5", "Store", "TestExtended_lateAttempt", "reports precondition failed for a version that is newer than the attempt",
		"AND ISNULL(s.OperationId1, 0x00) = ISNULL(@newest, 0x00) THEN 7", "AND 1 = 0 THEN 7"),
	byCall("I5", "Store", "TestExtended_entityTag", "does not report that the version is another one", "WHEN @mode = 2 THEN 4", "WHEN 1 = 0 THEN 4"),
	byCall("I4", "Store", "TestGuards_answered", "refuses a store without checking the answers since the call began", "AND @disturbed = 0 AND", "AND"),
	byCall("I4", "Store", "TestGuards_entered", "stores and records the answers moved and again", "IF @result NOT IN (6, 7) AND", "IF"),
	byCall("I4", "Store", "TestGuards_entered", "stores and does not record the answer unknown", "IF @result NOT IN (6, 7) AND", "IF @result NOT IN (5, 6, 7) AND"),
}

// expiredRows is the condition for expired rows. The sweep checks it when it finds them and again
// when it deletes them.
const expiredRows = `WHERE x.Expires <= @now AND (x.Locked = 0 OR x.LockDate <= @before)
                            ORDER BY x.Expires)
          AND Expires <= @now AND (Locked = 0 OR LockDate <= @before)`

// batch bounds how many rows are found, and how many are deleted.
const batch = `DELETE TOP (@limit) FROM dbo.ASPStateTempSessions WITH (ROWLOCK, READPAST, READCOMMITTEDLOCK)
        OUTPUT deleted.Locked INTO @gone (Locked)
        WHERE SessionId IN (SELECT TOP (@limit) x.SessionId`

// sweepMutants break the expiry job.
var sweepMutants = []mutant{
	byCall("I6", "Sweep", "TestSweep_takesNothing", "takes the sweeper's lease in another epoch", inEpoch, ""),
	byCall("I5", "Sweep", "TestSweep_lease", "sweeps after the deadline", inTime, ""),
	byCall("I6", "Sweep", "TestSweep_lease", "sweeps and does not report that the epoch has changed", "WHEN @epoch IS NULL OR e.Epoch <> @epoch THEN 6", "WHEN 1 = 0 THEN 6"),
	byCall("I5", "Sweep", "TestSweep_lease", "sweeps and does not report that the deadline has passed", "WHEN @clock > @notAfter THEN 7", "WHEN 1 = 0 THEN 7"),
	byPair("I8", "Sweep", "TestSweeper_OneLeaderAFleet", "grants the lease to two owners",
		`AND (@owner IS NULL OR Owner = @owner OR LeasedUntil IS NULL OR LeasedUntil <= @clock
           OR LeasedUntil > DATEADD(second, 2 * @lease + 60, @clock))`, ""),
	byCall("I8", "Sweep", "TestSweep_lease", "does not grant the lease to its owner again", "Owner = @owner OR LeasedUntil IS NULL", "LeasedUntil IS NULL"),
	byCall("I8", "Sweep", "TestSweep_lease", "does not grant an expired lease", "OR LeasedUntil <= @clock", ""),
	byPair("I8", "Sweep", "TestSweeper_ClockSetBack", "does not grant a lease that was taken before the clock was set back", "OR LeasedUntil > DATEADD(second, 2 * @lease + 60, @clock)", ""),
	byCall("I8", "Sweep", "TestSweep_takesNothing", "takes the lease from an owner with a longer lease", "2 * @lease + 60", "2 * @lease"),
	byCall("I8", "Sweep", "TestSweep_takesNothing", "grants a lease without a length", "AND (@owner IS NULL OR @lease IS NOT NULL)", ""),
	byCall("I8", "Sweep", "TestSweep_takesNothing", "grants the lease to an owner of zeros", "NULLIF(@owner, 0x00000000000000000000000000000000)", "@owner"),
	byCall("I8", "Sweep", "TestSweep_lease", "refuses a sweep without an owner while there is an owner", "AND (@owner IS NULL OR Owner = @owner OR", "AND (Owner = @owner OR"),
	byCall("I8", "Sweep", "TestSweep_takesNothing", "takes the lease from its owner in a sweep without an owner", "COALESCE(@owner, Owner)", "@owner"),
	byCall("I8", "Sweep", "TestSweep_lease", "grants the lease and does not extend it", "CASE WHEN @owner IS NULL THEN LeasedUntil ELSE DATEADD(second, @lease, @clock) END", "LeasedUntil"),
	byCall("I8", "Sweep", "TestSweep_takesNothing", "extends the lease in a sweep without an owner", "CASE WHEN @owner IS NULL THEN LeasedUntil ELSE DATEADD(second, @lease, @clock) END", "DATEADD(second, @lease, @clock)"),
	byCall("I8", "Sweep", "TestSweep_lease", "does not store when it swept", "CASE WHEN @limit > 0 THEN @clock ELSE LastRun END", "LastRun"),
	byCall("I8", "Sweep", "TestSweep_lease", "counts a lease without a sweep as a sweep", "CASE WHEN @limit > 0 THEN @clock ELSE LastRun END", "@clock"),
	byCall("I8", "Sweep", "TestSweep_lease", "sweeps without the lease", "IF @leads = 1 AND @limit > 0", "IF @limit > 0"),
	byCall("I8", "Sweep", "TestSweep_whatHasExpired", "sweeps sessions that have not expired", expiredRows,
		strings.NewReplacer("x.Expires <= @now AND ", "", "AND Expires <= @now ", "").Replace(expiredRows)),
	byCall("I8", "Sweep", "TestSweep_locks", "sweeps a session that a caller holds", expiredRows,
		strings.NewReplacer(" AND (x.Locked = 0 OR x.LockDate <= @before)", "", " AND (Locked = 0 OR LockDate <= @before)", "").Replace(expiredRows)),
	byCall("I8", "Sweep", "TestSweep_whatHasExpired", "sweeps the newest sessions first", "ORDER BY x.Expires", "ORDER BY x.Expires DESC"),
	byCall("I8", "Sweep", "TestSweep_whatHasExpired", "sweeps more sessions than its limit", batch, strings.ReplaceAll(batch, "@limit", "1000")),
	byCall("I8", "Sweep", "TestSweep_locks", "counts locked sessions as overdue", "AND (Locked = 0 OR LockDate <= @before)", ""),
	byCall("I8", "Sweep", "TestSweep_whatHasExpired", "counts sessions that have not expired as overdue", "WHERE Expires <= @now AND", "WHERE"),
	byCall("I8", "Sweep", "TestSweep_locks", "sweeps a session whose lock is not abandoned yet", "DATEADD(second, -@abandoned, @now)", "@now"),
	byCall("I8", "Sweep", "TestSweep_locks", "never sweeps a session with an abandoned lock", "(x.Locked = 0 OR x.LockDate <= @before)", "(x.Locked = 0)"),
	byCall("I8", "Sweep", "TestSweep_whatHasExpired", "resets the number of swept sessions", "Deleted = Deleted + @deleted", "Deleted = @deleted"),
}
