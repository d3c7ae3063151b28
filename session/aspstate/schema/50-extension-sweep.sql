-- The expiry job: one proxy of a fleet does in small batches what the SQL Server Agent job DeleteExpiredSessions does.

IF OBJECT_ID(N'dbo.MirrorState_Sweep_1', N'P') IS NOT NULL DROP PROCEDURE dbo.MirrorState_Sweep_1
GO
-- Takes or renews the sweeper's lease for @owner (NULL: no lease is needed). If @limit is above 0, deletes at
-- most so many expired sessions, the oldest first. Rows that another transaction has locked are skipped.
-- A session whose lock is held is skipped until the lock is abandoned. The statement that deletes a row
-- checks that it is expired: a row that was just renewed stays. @limit must be at most a few thousand rows;
-- otherwise the locks would escalate to the table.
--
-- Result: 0 done: @owner has the lease, 6 moved (the epoch has changed; nothing was done), 7 again (too late;
-- nothing was done), 9 another owner has the lease.
--
-- @lease      seconds until the lease expires, unless it is renewed. A lease that ends later than possible
--             was taken before the clock was set back, and counts as expired
-- @abandoned  seconds after which a lock is abandoned
CREATE PROCEDURE dbo.MirrorState_Sweep_1
    @epoch     bigint,
    @notAfter  datetime2(7),
    @owner     binary(16),
    @lease     int,
    @limit     int,
    @abandoned int
AS
    SET NOCOUNT ON
    SET DEADLOCK_PRIORITY LOW
    DECLARE @clock datetime2(7), @now datetime, @before datetime, @oldest datetime, @leads int, @deleted int
    DECLARE @gone TABLE (Locked bit NOT NULL)
    SET @clock = SYSUTCDATETIME()
    SET @now = GETUTCDATE()
    SET @before = DATEADD(second, -@abandoned, @now)
    SET @deleted = 0
    SET @owner = NULLIF(@owner, 0x00000000000000000000000000000000)

    UPDATE dbo.MirrorStateSweep WITH (ROWLOCK, UPDLOCK)
    SET Owner = COALESCE(@owner, Owner),
        LeasedUntil = CASE WHEN @owner IS NULL THEN LeasedUntil ELSE DATEADD(second, @lease, @clock) END,
        LastRun = CASE WHEN @limit > 0 THEN @clock ELSE LastRun END
    WHERE Id = 1
      AND (@owner IS NULL OR @lease IS NOT NULL)
      AND (@owner IS NULL OR Owner = @owner OR LeasedUntil IS NULL OR LeasedUntil <= @clock
           OR LeasedUntil > DATEADD(second, 2 * @lease + 60, @clock))
      AND @clock <= @notAfter
      AND EXISTS (SELECT Id FROM dbo.MirrorStateEpoch WITH (HOLDLOCK) WHERE Id = 1 AND Epoch = @epoch)
    SET @leads = @@ROWCOUNT

    IF @leads = 1 AND @limit > 0
        SELECT TOP (1) @oldest = Expires
        FROM dbo.ASPStateTempSessions WITH (READPAST, READCOMMITTEDLOCK)
        WHERE Expires <= @now AND (Locked = 0 OR LockDate <= @before)
        ORDER BY Expires

    IF @oldest IS NOT NULL
    BEGIN
        DELETE TOP (@limit) FROM dbo.ASPStateTempSessions WITH (ROWLOCK, READPAST, READCOMMITTEDLOCK)
        OUTPUT deleted.Locked INTO @gone (Locked)
        WHERE SessionId IN (SELECT TOP (@limit) x.SessionId
                            FROM dbo.ASPStateTempSessions AS x WITH (READPAST, READCOMMITTEDLOCK)
                            WHERE x.Expires <= @now AND (x.Locked = 0 OR x.LockDate <= @before)
                            ORDER BY x.Expires)
          AND Expires <= @now AND (Locked = 0 OR LockDate <= @before)
          AND EXISTS (SELECT Id FROM dbo.MirrorStateEpoch WITH (HOLDLOCK) WHERE Id = 1 AND Epoch = @epoch)
        SET @deleted = @@ROWCOUNT
        IF @deleted > 0
            UPDATE dbo.MirrorStateSweep SET Deleted = Deleted + @deleted WHERE Id = 1
    END

    SELECT CASE
             WHEN @epoch IS NULL OR e.Epoch <> @epoch THEN 6
             WHEN @leads = 1 THEN 0
             WHEN @clock > @notAfter THEN 7
             ELSE 9
           END AS Result,
           @deleted AS Deleted,
           (SELECT COUNT(*) FROM @gone WHERE Locked = 1) AS Abandoned,
           DATEDIFF(second, @oldest, @now) AS Oldest,
           s.LastRun, s.Deleted AS DeletedEver,
           DATEDIFF(second, s.LastRun, @clock) AS SinceRun
    FROM dbo.MirrorStateEpoch AS e LEFT JOIN dbo.MirrorStateSweep AS s ON s.Id = 1
    WHERE e.Id = 1
    RETURN 0
GO
