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
	byStore("I3", "Store", "locking", "stores under the holder", "AND (Locked = 0 OR LockDate <= @abandoned)", ""),
	byStore("I3", "Store", "abandoned locks", "stores past no abandoned lock", "AND (Locked = 0 OR LockDate <= @abandoned)", "AND (Locked = 0)"),
	byCall("I3", "Store", "TestGuards_written", "stores and leaves an abandoned lock", "Locked = 0, LockDate", "LockDate"),
	byStore("I7", "Store", ".NET writes", "leaves the cookie as it was in a store without a lock", "LockCookie = LockCookie + 1,", ""),
	byStore("I4", "Store", "repeated late", "does not look for a put in the ring", "AND "+inRing, "AND @op IS NOT NULL"),
	byCall("I4", "Store", "TestGuards_ring", "puts past what the ring has forgotten", "AND (OperationsForgotten IS NULL OR OperationsForgotten < @since)", ""),
	byPair("I4", "Store", "TestPut_sentAgainAfterDotNETRemoved", "puts once more, over what .NET made of what it has removed since",
		"AND (@resent = 0 OR MadeOperationId IS NOT NULL OR Created < DATEADD(millisecond, -10, @since))", ""),
	byCall("I4", "Store", "TestGuards_version", "stores what was removed while the call waited for it",
		"AND (@waited IS NULL OR NOT EXISTS (SELECT t.SessionId FROM dbo.MirrorStateTombstones AS t WHERE t.SessionId = @id AND t.Created = @waited))", ""),
	byCall("I4", "Store", "TestExtended_madeAgain", "stores past the tombstone of a removal", "t.Removed >= @since OR @op IN", "@op IN"),
	byCall("I4", "Store", "TestGuards_removed", "stores over the successor of what it was done to", "(t.Removed >= @since OR "+removedBy+")", "(t.Removed >= @since)"),
	byCall("I4", "Store", "TestGuards_removed", "stores for another call over the successor of what it was done to", "(@careful = 0 AND @call = @op) OR", "(@careful = 0) OR"),
	byCall("I4", "Store", "TestGuards_version", "creates what is there", "(@mode = 1 AND Expires <= @now)", "(@mode = 1)"),
	byCall("I4", "Store", "TestGuards_version", "overwrites a version that was made at another time", version, without(version, "AND Created = @created ")),
	byCall("I4", "Store", "TestGuards_version", "overwrites a version of another cookie", version, without(version, "AND LockCookie = @cookie ")),
	byCall("I4", "Store", "TestGuards_version", "overwrites a version that was not locked", version, without(version, "AND Locked = @locked")),
	byCall("I4", "Store", "TestGuards_version", "overwrites a version of another operation", version, without(version, "AND ISNULL(OperationId1, 0x00) = ISNULL(@newest, 0x00)")),
	byCall("I8", "Store", "TestGuards_version", "finds the version of an expired session", "@mode = 2 AND Expires > @now AND", "@mode = 2 AND"),

	byCall("I7", "Store", "TestGuards_written", "stores a new session that is as old as the last", "Created = CASE WHEN Expires > @now THEN Created ELSE @now END,", ""),
	byCall("I5", "Store", "TestGuards_written", "stores a new session and does not note who", "MadeOperationId = CASE WHEN Expires > @now THEN MadeOperationId ELSE @op END,", ""),
	byCall("I5", "Store", "TestGuards_written", "stores and notes that it made the session", "CASE WHEN Expires > @now THEN MadeOperationId ELSE @op END", "@op"),
	byCall("I5", "Store", "TestExtended_expiry", "does not tell that a session is new", "CASE WHEN deleted.Expires > @now THEN 0 ELSE 8 END", "0"),
	byCall("I8", "Store", "TestGuards_written", "keeps the seconds of a session that has expired", "WHEN Expires > @now THEN TimeoutSeconds END", "ELSE TimeoutSeconds END"),
	byCall("I8", "Store", "TestGuards_written", "stores and serves the session beyond its second", "CASE WHEN (TimeoutSeconds + 59) / 60 = Timeout THEN DATEADD(second, TimeoutSeconds, @now) ELSE DATEADD(minute, Timeout, @now) END", "DATEADD(minute, Timeout, @now)"),
	byCall("I8", "Store", "TestGuards_written", "stores and sets no timeout", "Timeout = CASE WHEN Expires > @now THEN COALESCE(@timeout, Timeout)", "Timeout = CASE WHEN Expires > @now THEN Timeout"),
	byCall("I7", "Store", "TestGuards_written", "stores and leaves the short item beside the long one", "SessionItemShort = @itemShort,", "SessionItemShort = COALESCE(@itemShort, SessionItemShort),"),
	byCall("I7", "Store", "TestGuards_written", "stores and leaves the long item beside the short one", "SessionItemLong = @itemLong,", "SessionItemLong = COALESCE(@itemLong, SessionItemLong),"),
	byCall("I7", "Store", "TestGuards_written", "stores and leaves the session uninitialized", "Flags = (Flags & ~1) | @flags,", "Flags = Flags | @flags,"),
}

// storeMakesMutants break the session that a store creates.
var storeMakesMutants = []mutant{
	byCall("I6", "Store", "TestGuards_timeAndEpoch", "makes a session in another epoch", "AND e.Epoch = @epoch", "").behind(inserts),
	byCall("I4", "Store", "TestGuards_version", "makes a session where a version was meant", "AND @mode <> 2", "").behind(inserts),
	byCall("I4", "Store", "TestGuards_operation", "makes a session for no operation", "AND @op IS NOT NULL", "").behind(inserts),
	byStore("I4", "Store", "late", "makes a session again for a put that was answered", "AND @answered IS NULL", "").behind(inserts),
	byCall("I5", "Store", "TestGuards_timeAndEpoch", "makes a session after its time", inTime, "").behind(inserts),
	byCall("I4", "Store", "TestGuards_version", "makes a session past the tombstone of a removal", "t.Removed >= @since OR t.Created IN", "t.Created IN").behind(inserts),
	byCall("I4", "Store", "TestGuards_version", "makes what was removed while the call waited for it", "t.Created IN (@waited, @now)", "t.Created = @now").behind(inserts),
	byCall("I4", "Store", "TestExtended_twoInOneTick", "stores a second session within one tick", "t.Created IN (@waited, @now)", "t.Created = @waited").behind(inserts),
	byCall("I4", "Store", "TestGuards_removed", "makes a session again that it made before", " OR "+removedBy+"))", "))").behind(inserts),
	byCall("I4", "Store", "TestGuards_entered", "makes a session and settles nothing", "IF @resent = 1 EXECUTE dbo.MirrorState_Settle_1 @id, @op, @call, 8", ""),
	byCall("I4", "Store", "TestGuards_written", "makes a session and does not remember it", "@op, @clock, @op, CASE", "NULL, @clock, @op, CASE"),
	byCall("I5", "Store", "TestGuards_written", "makes a session and does not note when", "@op, @clock, @op, CASE", "@op, NULL, @op, CASE"),
	byCall("I5", "Store", "TestGuards_written", "makes a session and does not note who", "@op, @clock, @op, CASE", "@op, @clock, NULL, CASE"),
}

// storeAnswerMutants break the answers of a store that does not store.
var storeAnswerMutants = []mutant{
	byCall("I5", "Store", "TestGuards_ring", "does not tell of a put that the ring has", "WHEN @op IN "+ringOf, "WHEN 1 = 0"),
	byCall("I5", "Store", "TestExtended_repeated", "does not tell of a put again that it made the session", "CASE WHEN s.MadeOperationId = @op THEN 8 ELSE 0 END", "0"),
	byCall("I5", "Store", "TestGuards_answered", "stores and does not answer again what it answered", "WHEN @answered IS NOT NULL THEN @answered", "WHEN 1 = 0 THEN 0"),
	byCall("I5", "Store", "TestGuards_removed", "does not know what was stored in a removed session", "AND "+removedBy+") THEN 0", "AND 1 = 0) THEN 0"),
	byCall("I5", "Store", "TestExtended_removedAfterItForgot", "says no session of what a removed session has forgotten", "AND t.Removed >= @since AND t.OperationsForgotten >= @since) THEN 5", "AND 1 = 0) THEN 5"),
	byCall("I5", "Store", "TestExtended_removed", "does not tell that the session was removed since", "AND t.Removed >= @since) THEN 1", "AND 1 = 0) THEN 1"),
	byStore("I5", "Store", "waited for", "does not tell of a put that what it waited for was removed", "AND t.Created = @waited) THEN 1", "AND 1 = 0) THEN 1"),
	byCall("I5", "Store", "TestGuards_timeAndEpoch", "says precondition failed, too late", "WHEN @clock > @notAfter THEN 7", "WHEN 1 = 0 THEN 7"),
	byPair("I5", "Store", "TestPut_sentAgainAfterDotNETRemoved", "says that a put was not done to what .NET has removed since",
		"AND ((@mode = 2 AND s.Created <> @created) OR (@mode <> 2 AND s.MadeOperationId IS NULL)) THEN 5", "AND 1 = 0 THEN 5"),
	byCall("I5", "Store", "TestGuards_version", "says that a put was not done to a version of which the successor is there", "(@mode = 2 AND s.Created <> @created) OR", ""),
	byCall("I5", "Store", "TestGuards_version", "says unknown of the version that is there", "(@mode = 2 AND s.Created <> @created) OR", "(@mode = 2) OR"),
	byPair("I5", "Store", "TestPut_sentAgainAndNotDone", "does not know why a put with a tag was not done",
		"WHERE t.SessionId = @id AND t.Created = @created) THEN 5", "WHERE 1 = 0) THEN 5"),
	byCall("I5", "Store", "TestGuards_version", "says that a put was not done to a version that has gone", "WHEN @resent = 1 AND @mode = 2 AND s.SessionId IS NULL", "WHEN 1 = 0"),
	byPair("I5", "Store", "TestPut_sentAgainToALockedSession", "takes a later lock for a reason that a put was not done", "WHEN @resent = 1 AND s.OperationsForgotten >= @since THEN 5", "WHEN 1 = 0 THEN 5"),
	byCall("I5", "Store", "TestExtended_locking", "does not tell of a put that it is locked", "WHEN s.Locked = 1 AND s.LockDate > @abandoned THEN CASE", "WHEN 1 = 0 THEN CASE"),
	byCall("I5", "Store", "TestGuards_version", "says locked of a create", "CASE @mode WHEN 1 THEN 4 ELSE 2 END", "2"),
	byCall("I5", "Store", "TestGuards_version", "says precondition failed where the ring may have forgotten it", "WHEN s.OperationsForgotten >= @since THEN 7", "WHEN 1 = 0 THEN 7").behind("CASE @mode WHEN 1"),
	byCall("I5", "Store", "TestExtended_storeAndRead", "does not tell of a create that the session is there", "WHEN @mode = 1 AND s.Expires > @now THEN 4", "WHEN 1 = 0 THEN 4"),
	byCall("I5", "Store", "TestExtended_straggler", "says precondition failed of a version that is younger than the attempt",
		"AND ISNULL(s.OperationId1, 0x00) = ISNULL(@newest, 0x00) THEN 7", "AND 1 = 0 THEN 7"),
	byCall("I5", "Store", "TestExtended_entityTag", "does not tell that it is another version", "WHEN @mode = 2 THEN 4", "WHEN 1 = 0 THEN 4"),
	byCall("I4", "Store", "TestGuards_answered", "refuses a put without a look at what was answered since the call began", "AND @disturbed = 0 AND", "AND"),
	byCall("I4", "Store", "TestGuards_entered", "stores and settles what moved, or comes too late", "IF @result NOT IN (6, 7) AND", "IF"),
	byCall("I4", "Store", "TestGuards_entered", "stores and does not settle what is unknown", "IF @result NOT IN (6, 7) AND", "IF @result NOT IN (5, 6, 7) AND"),
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
	byCall("I5", "Sweep", "TestSweep_lease", "sweeps after its time", inTime, ""),
	byCall("I6", "Sweep", "TestSweep_lease", "does not tell the sweeper that the epoch is another", "WHEN @epoch IS NULL OR e.Epoch <> @epoch THEN 6", "WHEN 1 = 0 THEN 6"),
	byCall("I5", "Sweep", "TestSweep_lease", "does not tell the sweeper that it is too late", "WHEN @clock > @notAfter THEN 7", "WHEN 1 = 0 THEN 7"),
	byPair("I8", "Sweep", "TestSweeper_OneLeaderAFleet", "has two leaders",
		`AND (@owner IS NULL OR Owner = @owner OR LeasedUntil IS NULL OR LeasedUntil <= @clock
           OR LeasedUntil > DATEADD(second, 2 * @lease + 60, @clock))`, ""),
	byCall("I8", "Sweep", "TestSweep_lease", "does not know the leader", "Owner = @owner OR LeasedUntil IS NULL", "LeasedUntil IS NULL"),
	byCall("I8", "Sweep", "TestSweep_lease", "takes no lease that is over", "OR LeasedUntil <= @clock", ""),
	byPair("I8", "Sweep", "TestSweeper_ClockSetBack", "waits for a lease that a clock took which was set back", "OR LeasedUntil > DATEADD(second, 2 * @lease + 60, @clock)", ""),
	byCall("I8", "Sweep", "TestSweep_takesNothing", "takes a lease from a leader whose lease is longer", "2 * @lease + 60", "2 * @lease"),
	byCall("I8", "Sweep", "TestSweep_takesNothing", "takes a lease for no time", "AND (@owner IS NULL OR @lease IS NOT NULL)", ""),
	byCall("I8", "Sweep", "TestSweep_takesNothing", "takes a lease for an owner of zeros", "NULLIF(@owner, 0x00000000000000000000000000000000)", "@owner"),
	byCall("I8", "Sweep", "TestSweep_lease", "sweeps for nobody only where nobody leads", "AND (@owner IS NULL OR Owner = @owner OR", "AND (Owner = @owner OR"),
	byCall("I8", "Sweep", "TestSweep_takesNothing", "takes the lease from its leader by a sweep for nobody", "COALESCE(@owner, Owner)", "@owner"),
	byCall("I8", "Sweep", "TestSweep_lease", "takes a lease and no time for it", "CASE WHEN @owner IS NULL THEN LeasedUntil ELSE DATEADD(second, @lease, @clock) END", "LeasedUntil"),
	byCall("I8", "Sweep", "TestSweep_takesNothing", "leases by a sweep for nobody", "CASE WHEN @owner IS NULL THEN LeasedUntil ELSE DATEADD(second, @lease, @clock) END", "DATEADD(second, @lease, @clock)"),
	byCall("I8", "Sweep", "TestSweep_lease", "does not note when it swept", "CASE WHEN @limit > 0 THEN @clock ELSE LastRun END", "LastRun"),
	byCall("I8", "Sweep", "TestSweep_lease", "notes a lease alone as a sweep", "CASE WHEN @limit > 0 THEN @clock ELSE LastRun END", "@clock"),
	byCall("I8", "Sweep", "TestSweep_lease", "sweeps beside the leader", "IF @leads = 1 AND @limit > 0", "IF @limit > 0"),
	byCall("I8", "Sweep", "TestSweep_whatHasExpired", "sweeps sessions that live", expiredRows,
		strings.NewReplacer("x.Expires <= @now AND ", "", "AND Expires <= @now ", "").Replace(expiredRows)),
	byCall("I8", "Sweep", "TestSweep_locks", "sweeps a session under its holder's feet", expiredRows,
		strings.NewReplacer(" AND (x.Locked = 0 OR x.LockDate <= @before)", "", " AND (Locked = 0 OR LockDate <= @before)", "").Replace(expiredRows)),
	byCall("I8", "Sweep", "TestSweep_whatHasExpired", "sweeps the youngest first", "ORDER BY x.Expires", "ORDER BY x.Expires DESC"),
	byCall("I8", "Sweep", "TestSweep_whatHasExpired", "sweeps more than it was told to", batch, strings.ReplaceAll(batch, "@limit", "1000")),
	byCall("I8", "Sweep", "TestSweep_locks", "takes what is locked for overdue", "AND (Locked = 0 OR LockDate <= @before)", ""),
	byCall("I8", "Sweep", "TestSweep_whatHasExpired", "takes what lives for overdue", "WHERE Expires <= @now AND", "WHERE"),
	byCall("I8", "Sweep", "TestSweep_locks", "sweeps under a lock before it is abandoned", "DATEADD(second, -@abandoned, @now)", "@now"),
	byCall("I8", "Sweep", "TestSweep_locks", "never sweeps what is abandoned", "(x.Locked = 0 OR x.LockDate <= @before)", "(x.Locked = 0)"),
	byCall("I8", "Sweep", "TestSweep_whatHasExpired", "forgets what it swept before", "Deleted = Deleted + @deleted", "Deleted = @deleted"),
}
