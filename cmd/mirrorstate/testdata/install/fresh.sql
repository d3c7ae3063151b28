-- mirrorstate install, dry run: database ASPState. Nothing was sent.
-- Not checked, because no server was asked (no pair is configured):
-- - which partner is the principal: on a mirror the script fails at once (954)
-- - the state of the database: the script assumes that it does not exist (--onto)
-- - the rights of the login that runs it, locks that others hold, free space for data and log
-- To run it yourself, as a member of db_owner (dbcreator to create a database): sqlcmd -I -S principal -i file

-- For sqlcmd, and for SQL Server Management Studio in SQLCMD mode (menu Query): they stop at the first error. Other
-- programs execute nothing: after an error the rest could run in another database.
:on error exit
:setvar SqlCmd "on"
GO
IF N'$(SqlCmd)' <> N'on'
BEGIN
    PRINT N'This script wants SQLCMD mode.'
    SET NOEXEC ON
END
GO

USE [master]
GO
-- Settings for the whole connection. A statement that waits for a lock fails after a second, so
-- that no other statement queues behind it: then run it again.
SET NOCOUNT ON
SET XACT_ABORT ON
SET QUOTED_IDENTIFIER ON
SET ANSI_NULLS ON
SET ANSI_PADDING ON
SET LOCK_TIMEOUT 1000
SET DEADLOCK_PRIORITY LOW
GO

-- create the database
CREATE DATABASE [ASPState]
GO

USE [ASPState]
GO

-- create the missing stock objects
BEGIN TRANSACTION
GO
CREATE PROCEDURE dbo.CreateTempTables
AS
    CREATE TABLE dbo.ASPStateTempSessions (
        SessionId        nvarchar(88)    NOT NULL PRIMARY KEY,
        Created          datetime        NOT NULL DEFAULT GETUTCDATE(),
        Expires          datetime        NOT NULL,
        LockDate         datetime        NOT NULL,
        LockDateLocal    datetime        NOT NULL,
        LockCookie       int             NOT NULL,
        Timeout          int             NOT NULL,
        Locked           bit             NOT NULL,
        SessionItemShort varbinary(7000) NULL,
        SessionItemLong  image           NULL,
        Flags            int             NOT NULL DEFAULT 0
    )
    CREATE INDEX Index_Expires ON dbo.ASPStateTempSessions (Expires)

    CREATE TABLE dbo.ASPStateTempApplications (
        AppId   int       NOT NULL PRIMARY KEY,
        AppName char(280) NOT NULL
    )
    CREATE INDEX Index_AppName ON dbo.ASPStateTempApplications (AppName)
    RETURN 0
GO
CREATE PROCEDURE dbo.GetMajorVersion
    @@ver int OUTPUT
AS
    -- "Microsoft SQL Server 2012 - 11.0.7001.0 (X64)": the number between the first dash and the next point.
    DECLARE @text nvarchar(400), @from int, @to int
    SET @text = @@VERSION
    SET @@ver = 7
    SET @from = CHARINDEX(N' - ', @text)
    IF @from > 0
    BEGIN
        SET @from = @from + 3
        SET @to = CHARINDEX(N'.', @text, @from)
        IF @to > @from SET @@ver = CONVERT(int, SUBSTRING(@text, @from, @to - @from))
    END
    RETURN 0
GO
CREATE PROCEDURE dbo.TempGetVersion
    @ver char(10) OUTPUT
AS
    SET @ver = '2'
    RETURN 0
GO
CREATE PROCEDURE dbo.GetHashCode
    @input varchar(280),
    @hash  int OUTPUT
AS
    -- h = h * 33 XOR byte, modulo 2^32, read as a signed number. A literal above 2147483647 is numeric, with which a
    -- bigint becomes numeric too, and ^ and & know no numeric (402): hence @low and @all.
    DECLARE @h bigint, @low bigint, @all bigint, @i int, @n int
    SET @h = 5381
    SET @low = CONVERT(bigint, 4294967295)
    SET @all = CONVERT(bigint, 4294967296)
    SET @i = 1
    SET @n = DATALENGTH(@input)
    WHILE @i <= @n
    BEGIN
        SET @h = ((@h * 33) & @low) ^ ASCII(SUBSTRING(@input, @i, 1))
        SET @i = @i + 1
    END
    IF @h > 2147483647 SET @h = @h - @all
    SET @hash = CONVERT(int, @h)
    RETURN 0
GO
CREATE PROCEDURE dbo.TempGetAppID
    @appName varchar(280),
    @appId   int OUTPUT
AS
    SET @appName = LOWER(@appName)
    SET @appId = NULL
    SELECT @appId = AppId FROM dbo.ASPStateTempApplications WHERE AppName = @appName
    IF @appId IS NULL
    BEGIN
        BEGIN TRANSACTION
        -- TABLOCKX: from here to the COMMIT nobody else reads or registers. Without it two callers with the same new name
        -- both find nothing, and the second INSERT meets 2627, which is then taken for a collision of two names.
        SELECT @appId = AppId FROM dbo.ASPStateTempApplications WITH (TABLOCKX) WHERE AppName = @appName
        IF @appId IS NULL
        BEGIN
            EXECUTE dbo.GetHashCode @appName, @appId OUTPUT
            INSERT INTO dbo.ASPStateTempApplications (AppId, AppName) VALUES (@appId, @appName)
            IF @@ERROR = 2627
                RAISERROR('SQL session state fatal error: hash-code collision between applications. Please rename the application "%s" to resolve the problem.', 18, 1, @appName)
        END
        COMMIT
    END
    RETURN 0
GO
CREATE PROCEDURE dbo.DeleteExpiredSessions
AS
    SET NOCOUNT ON
    SET DEADLOCK_PRIORITY LOW
    DECLARE @now datetime, @id nvarchar(88)
    SET @now = GETUTCDATE()
    CREATE TABLE #expired (SessionId nvarchar(88) NOT NULL PRIMARY KEY)
    -- READUNCOMMITTED: to look for expired rows takes no row lock and waits for none. Without it the scan would stop at
    -- the first session that is being written. What it reads may be rolled back, or moved on since: each DELETE looks again.
    INSERT INTO #expired (SessionId)
        SELECT SessionId FROM dbo.ASPStateTempSessions WITH (READUNCOMMITTED) WHERE Expires < @now
    DECLARE expired CURSOR LOCAL FORWARD_ONLY READ_ONLY FOR SELECT SessionId FROM #expired
    OPEN expired
    FETCH NEXT FROM expired INTO @id
    WHILE @@FETCH_STATUS = 0
    BEGIN
        -- The second look at Expires spares a session that was renewed meanwhile.
        DELETE FROM dbo.ASPStateTempSessions WHERE SessionId = @id AND Expires < @now
        FETCH NEXT FROM expired INTO @id
    END
    CLOSE expired
    DEALLOCATE expired
    DROP TABLE #expired
    RETURN 0
GO
CREATE PROCEDURE dbo.TempGetStateItem
    @id         nvarchar(88),
    @itemShort  varbinary(7000) OUTPUT,
    @locked     bit             OUTPUT,
    @lockDate   datetime        OUTPUT,
    @lockCookie int             OUTPUT
AS
    DECLARE @now datetime, @length int
    SET @now = GETUTCDATE()
    UPDATE dbo.ASPStateTempSessions
    SET Expires     = DATEADD(minute, Timeout, @now),
        @locked     = Locked,
        @lockDate   = LockDateLocal,
        @lockCookie = LockCookie,
        @itemShort  = CASE Locked WHEN 0 THEN SessionItemShort ELSE NULL END,
        @length     = CASE Locked WHEN 0 THEN DATALENGTH(SessionItemLong) ELSE NULL END
    WHERE SessionId = @id
    IF @length IS NOT NULL
        SELECT SessionItemLong FROM dbo.ASPStateTempSessions WHERE SessionId = @id
    RETURN 0
GO
CREATE PROCEDURE dbo.TempGetStateItem2
    @id         nvarchar(88),
    @itemShort  varbinary(7000) OUTPUT,
    @locked     bit             OUTPUT,
    @lockAge    int             OUTPUT,
    @lockCookie int             OUTPUT
AS
    DECLARE @now datetime, @length int
    SET @now = GETUTCDATE()
    UPDATE dbo.ASPStateTempSessions
    SET Expires     = DATEADD(minute, Timeout, @now),
        @locked     = Locked,
        @lockAge    = DATEDIFF(second, LockDate, @now),
        @lockCookie = LockCookie,
        @itemShort  = CASE Locked WHEN 0 THEN SessionItemShort ELSE NULL END,
        @length     = CASE Locked WHEN 0 THEN DATALENGTH(SessionItemLong) ELSE NULL END
    WHERE SessionId = @id
    IF @length IS NOT NULL
        SELECT SessionItemLong FROM dbo.ASPStateTempSessions WHERE SessionId = @id
    RETURN 0
GO
CREATE PROCEDURE dbo.TempGetStateItem3
    @id          nvarchar(88),
    @itemShort   varbinary(7000) OUTPUT,
    @locked      bit             OUTPUT,
    @lockAge     int             OUTPUT,
    @lockCookie  int             OUTPUT,
    @actionFlags int             OUTPUT
AS
    DECLARE @now datetime, @length int
    SET @now = GETUTCDATE()
    UPDATE dbo.ASPStateTempSessions
    SET Expires      = DATEADD(minute, Timeout, @now),
        @locked      = Locked,
        @lockAge     = DATEDIFF(second, LockDate, @now),
        @lockCookie  = LockCookie,
        @itemShort   = CASE Locked WHEN 0 THEN SessionItemShort ELSE NULL END,
        @length      = CASE Locked WHEN 0 THEN DATALENGTH(SessionItemLong) ELSE NULL END,
        @actionFlags = Flags & 1,
        Flags        = Flags & ~1
    WHERE SessionId = @id
    IF @length IS NOT NULL
        SELECT SessionItemLong FROM dbo.ASPStateTempSessions WHERE SessionId = @id
    RETURN 0
GO
CREATE PROCEDURE dbo.TempGetStateItemExclusive
    @id         nvarchar(88),
    @itemShort  varbinary(7000) OUTPUT,
    @locked     bit             OUTPUT,
    @lockDate   datetime        OUTPUT,
    @lockCookie int             OUTPUT
AS
    DECLARE @now datetime, @nowLocal datetime, @length int
    SET @now = GETUTCDATE()
    SET @nowLocal = GETDATE()
    UPDATE dbo.ASPStateTempSessions
    SET Expires       = DATEADD(minute, Timeout, @now),
        LockDate      = CASE Locked WHEN 0 THEN @now ELSE LockDate END,
        LockDateLocal = CASE Locked WHEN 0 THEN @nowLocal ELSE LockDateLocal END,
        LockCookie    = CASE Locked WHEN 0 THEN LockCookie + 1 ELSE LockCookie END,
        Locked        = 1,
        @locked       = Locked,
        @lockDate     = CASE Locked WHEN 0 THEN @nowLocal ELSE LockDateLocal END,
        @lockCookie   = CASE Locked WHEN 0 THEN LockCookie + 1 ELSE LockCookie END,
        @itemShort    = CASE Locked WHEN 0 THEN SessionItemShort ELSE NULL END,
        @length       = CASE Locked WHEN 0 THEN DATALENGTH(SessionItemLong) ELSE NULL END
    WHERE SessionId = @id
    IF @length IS NOT NULL
        SELECT SessionItemLong FROM dbo.ASPStateTempSessions WHERE SessionId = @id
    RETURN 0
GO
CREATE PROCEDURE dbo.TempGetStateItemExclusive2
    @id         nvarchar(88),
    @itemShort  varbinary(7000) OUTPUT,
    @locked     bit             OUTPUT,
    @lockAge    int             OUTPUT,
    @lockCookie int             OUTPUT
AS
    DECLARE @now datetime, @nowLocal datetime, @length int
    SET @now = GETUTCDATE()
    SET @nowLocal = GETDATE()
    UPDATE dbo.ASPStateTempSessions
    SET Expires       = DATEADD(minute, Timeout, @now),
        LockDate      = CASE Locked WHEN 0 THEN @now ELSE LockDate END,
        LockDateLocal = CASE Locked WHEN 0 THEN @nowLocal ELSE LockDateLocal END,
        LockCookie    = CASE Locked WHEN 0 THEN LockCookie + 1 ELSE LockCookie END,
        Locked        = 1,
        @locked       = Locked,
        @lockAge      = CASE Locked WHEN 0 THEN 0 ELSE DATEDIFF(second, LockDate, @now) END,
        @lockCookie   = CASE Locked WHEN 0 THEN LockCookie + 1 ELSE LockCookie END,
        @itemShort    = CASE Locked WHEN 0 THEN SessionItemShort ELSE NULL END,
        @length       = CASE Locked WHEN 0 THEN DATALENGTH(SessionItemLong) ELSE NULL END
    WHERE SessionId = @id
    IF @length IS NOT NULL
        SELECT SessionItemLong FROM dbo.ASPStateTempSessions WHERE SessionId = @id
    RETURN 0
GO
CREATE PROCEDURE dbo.TempGetStateItemExclusive3
    @id          nvarchar(88),
    @itemShort   varbinary(7000) OUTPUT,
    @locked      bit             OUTPUT,
    @lockAge     int             OUTPUT,
    @lockCookie  int             OUTPUT,
    @actionFlags int             OUTPUT
AS
    DECLARE @now datetime, @nowLocal datetime, @length int
    SET @now = GETUTCDATE()
    SET @nowLocal = GETDATE()
    UPDATE dbo.ASPStateTempSessions
    SET Expires       = DATEADD(minute, Timeout, @now),
        LockDate      = CASE Locked WHEN 0 THEN @now ELSE LockDate END,
        LockDateLocal = CASE Locked WHEN 0 THEN @nowLocal ELSE LockDateLocal END,
        LockCookie    = CASE Locked WHEN 0 THEN LockCookie + 1 ELSE LockCookie END,
        Locked        = 1,
        @locked       = Locked,
        @lockAge      = CASE Locked WHEN 0 THEN 0 ELSE DATEDIFF(second, LockDate, @now) END,
        @lockCookie   = CASE Locked WHEN 0 THEN LockCookie + 1 ELSE LockCookie END,
        @itemShort    = CASE Locked WHEN 0 THEN SessionItemShort ELSE NULL END,
        @length       = CASE Locked WHEN 0 THEN DATALENGTH(SessionItemLong) ELSE NULL END,
        @actionFlags  = Flags & 1,
        Flags         = Flags & ~1
    WHERE SessionId = @id
    IF @length IS NOT NULL
        SELECT SessionItemLong FROM dbo.ASPStateTempSessions WHERE SessionId = @id
    RETURN 0
GO
CREATE PROCEDURE dbo.TempInsertUninitializedItem
    @id        nvarchar(88),
    @itemShort varbinary(7000),
    @timeout   int
AS
    DECLARE @now datetime
    SET @now = GETUTCDATE()
    INSERT INTO dbo.ASPStateTempSessions
        (SessionId, SessionItemShort, Timeout, Expires, Locked, LockDate, LockDateLocal, LockCookie, Flags)
    VALUES
        (@id, @itemShort, @timeout, DATEADD(minute, @timeout, @now), 0, @now, GETDATE(), 1, 1)
    RETURN 0
GO
CREATE PROCEDURE dbo.TempInsertStateItemShort
    @id        nvarchar(88),
    @itemShort varbinary(7000),
    @timeout   int
AS
    DECLARE @now datetime
    SET @now = GETUTCDATE()
    INSERT INTO dbo.ASPStateTempSessions
        (SessionId, SessionItemShort, Timeout, Expires, Locked, LockDate, LockDateLocal, LockCookie)
    VALUES
        (@id, @itemShort, @timeout, DATEADD(minute, @timeout, @now), 0, @now, GETDATE(), 1)
    RETURN 0
GO
CREATE PROCEDURE dbo.TempInsertStateItemLong
    @id       nvarchar(88),
    @itemLong image,
    @timeout  int
AS
    DECLARE @now datetime
    SET @now = GETUTCDATE()
    INSERT INTO dbo.ASPStateTempSessions
        (SessionId, SessionItemLong, Timeout, Expires, Locked, LockDate, LockDateLocal, LockCookie)
    VALUES
        (@id, @itemLong, @timeout, DATEADD(minute, @timeout, @now), 0, @now, GETDATE(), 1)
    RETURN 0
GO
CREATE PROCEDURE dbo.TempUpdateStateItemShort
    @id         nvarchar(88),
    @itemShort  varbinary(7000),
    @timeout    int,
    @lockCookie int
AS
    UPDATE dbo.ASPStateTempSessions
    SET Expires = DATEADD(minute, @timeout, GETUTCDATE()), Timeout = @timeout, Locked = 0,
        SessionItemShort = @itemShort
    WHERE SessionId = @id AND LockCookie = @lockCookie
    RETURN 0
GO
CREATE PROCEDURE dbo.TempUpdateStateItemShortNullLong
    @id         nvarchar(88),
    @itemShort  varbinary(7000),
    @timeout    int,
    @lockCookie int
AS
    UPDATE dbo.ASPStateTempSessions
    SET Expires = DATEADD(minute, @timeout, GETUTCDATE()), Timeout = @timeout, Locked = 0,
        SessionItemShort = @itemShort, SessionItemLong = NULL
    WHERE SessionId = @id AND LockCookie = @lockCookie
    RETURN 0
GO
CREATE PROCEDURE dbo.TempUpdateStateItemLong
    @id         nvarchar(88),
    @itemLong   image,
    @timeout    int,
    @lockCookie int
AS
    UPDATE dbo.ASPStateTempSessions
    SET Expires = DATEADD(minute, @timeout, GETUTCDATE()), Timeout = @timeout, Locked = 0,
        SessionItemLong = @itemLong
    WHERE SessionId = @id AND LockCookie = @lockCookie
    RETURN 0
GO
CREATE PROCEDURE dbo.TempUpdateStateItemLongNullShort
    @id         nvarchar(88),
    @itemLong   image,
    @timeout    int,
    @lockCookie int
AS
    UPDATE dbo.ASPStateTempSessions
    SET Expires = DATEADD(minute, @timeout, GETUTCDATE()), Timeout = @timeout, Locked = 0,
        SessionItemLong = @itemLong, SessionItemShort = NULL
    WHERE SessionId = @id AND LockCookie = @lockCookie
    RETURN 0
GO
CREATE PROCEDURE dbo.TempReleaseStateItemExclusive
    @id         nvarchar(88),
    @lockCookie int
AS
    UPDATE dbo.ASPStateTempSessions
    SET Expires = DATEADD(minute, Timeout, GETUTCDATE()), Locked = 0
    WHERE SessionId = @id AND LockCookie = @lockCookie
    RETURN 0
GO
CREATE PROCEDURE dbo.TempRemoveStateItem
    @id         nvarchar(88),
    @lockCookie int
AS
    DELETE FROM dbo.ASPStateTempSessions WHERE SessionId = @id AND LockCookie = @lockCookie
    RETURN 0
GO
CREATE PROCEDURE dbo.TempResetTimeout
    @id nvarchar(88)
AS
    UPDATE dbo.ASPStateTempSessions
    SET Expires = DATEADD(minute, Timeout, GETUTCDATE())
    WHERE SessionId = @id
    RETURN 0
GO
IF OBJECT_ID(N'dbo.ASPStateTempSessions', N'U') IS NULL EXECUTE dbo.CreateTempTables
GO
COMMIT TRANSACTION
GO

-- add the extension's columns to ASPStateTempSessions
-- The extension adds nullable columns and its own tables to ASPState. .NET does not name the columns, so
-- they have no effect on it. There is no filtered index and no index on a computed column: the stock
-- procedures may have been created with QUOTED_IDENTIFIER OFF, and their writes would fail (1934).

IF COL_LENGTH(N'dbo.ASPStateTempSessions', N'LockOperationId') IS NULL
    ALTER TABLE dbo.ASPStateTempSessions ADD
        LockOperationId     binary(16) NULL, -- operation id of the acquire that was granted the lock
        LockOperationCookie int        NULL, -- the LockCookie of that grant; an acquire of .NET changes only LockCookie
        LockActionFlags     int        NULL, -- the action flags of that grant (1: uninitialized), or those that the holder stored later
        OperationId1        binary(16) NULL, -- the ring: the last four operations, the newest first
        OperationId2        binary(16) NULL,
        OperationId3        binary(16) NULL,
        OperationId4        binary(16) NULL,
        OperationDate1      datetime2(7) NULL, -- when each was executed, UTC
        OperationDate2      datetime2(7) NULL,
        OperationDate3      datetime2(7) NULL,
        OperationDate4      datetime2(7) NULL,
        OperationsForgotten datetime2(7) NULL, -- when the newest operation that left the ring was executed
        LockCallId          binary(16) NULL, -- the call of the acquire that may give its lock back; NULL: no call may
        Settled             datetime2(7) NULL, -- when an operation on this session was last entered in MirrorStateSettled
        MadeOperationId     binary(16) NULL, -- the operation that made the session; no value if .NET made it
        TimeoutSeconds      int        NULL, -- the timeout, if it was given in seconds; valid while Timeout is its minutes, rounded up
        TimeoutDate         datetime2(7) NULL -- when a call last set the timeout, UTC
GO

-- create the extension's tables and procedures
BEGIN TRANSACTION
GO
-- One row. Epoch fences former principals: a call that names another epoch does nothing.
IF OBJECT_ID(N'dbo.MirrorStateEpoch', N'U') IS NULL
    CREATE TABLE dbo.MirrorStateEpoch (
        Id          int           NOT NULL PRIMARY KEY,
        Epoch       bigint        NOT NULL,
        [Server]    nvarchar(256) NOT NULL, -- the server for which the epoch was claimed
        FleetSecret binary(32)    NULL      -- for making operation ids from Idempotency-Keys, and for sealing tags and handles
    )
GO
-- Removed sessions with their last operations, kept for ten minutes: a store that is sent again does not
-- insert a removed session.
IF OBJECT_ID(N'dbo.MirrorStateTombstones', N'U') IS NULL
BEGIN
    CREATE TABLE dbo.MirrorStateTombstones (
        SessionId    nvarchar(88) NOT NULL,
        OperationId  binary(16)   NOT NULL, -- of the removal
        Removed      datetime2(7) NOT NULL,
        OperationId1 binary(16)   NULL,     -- the ring of the session that was removed
        OperationId2 binary(16)   NULL,
        OperationId3 binary(16)   NULL,
        OperationId4 binary(16)   NULL,
        OperationsForgotten datetime2(7) NULL,
        Created      datetime     NULL,     -- when the removed session was made
        PRIMARY KEY (SessionId, OperationId)
    )
    CREATE INDEX Index_Removed ON dbo.MirrorStateTombstones (Removed)
END
GO
-- Answered calls, kept for ten minutes: an earlier attempt of such a call has no effect, however late the
-- network delivers it. Only calls that were sent again are entered, and refusals of operations that
-- other calls may send again: the table is almost empty.
IF OBJECT_ID(N'dbo.MirrorStateSettled', N'U') IS NULL
BEGIN
    CREATE TABLE dbo.MirrorStateSettled (
        OperationId binary(16)   NOT NULL,
        CallId      binary(16)   NOT NULL, -- which call of the operation was answered
        Settled     datetime2(7) NOT NULL, -- when the call was answered
        Result      int          NOT NULL, -- the answer; 7: the caller has left, and the row applies only to this call's attempts
        PRIMARY KEY (OperationId, CallId)
    )
    CREATE INDEX Index_Settled ON dbo.MirrorStateSettled (Settled)
END
GO
-- One row: which proxy sweeps expired sessions, and what it last did.
IF OBJECT_ID(N'dbo.MirrorStateSweep', N'U') IS NULL
    CREATE TABLE dbo.MirrorStateSweep (
        Id          int          NOT NULL PRIMARY KEY,
        Owner       binary(16)   NULL,          -- the proxy that has the lease
        LeasedUntil datetime2(7) NULL,          -- after that any proxy may take the lease
        LastRun     datetime2(7) NULL,          -- when a batch was last deleted, or had nothing to delete
        Deleted     bigint       NOT NULL       -- deleted rows since the table was created
    )
GO
IF NOT EXISTS (SELECT Id FROM dbo.MirrorStateEpoch)
    INSERT INTO dbo.MirrorStateEpoch (Id, Epoch, [Server], FleetSecret) VALUES (1, 0, N'', NULL)
GO
IF NOT EXISTS (SELECT Id FROM dbo.MirrorStateSweep)
    INSERT INTO dbo.MirrorStateSweep (Id, Owner, LeasedUntil, LastRun, Deleted) VALUES (1, NULL, NULL, NULL, 0)
GO
-- Claims the next epoch for @server, unless @server has the current one. Returns the row in both cases.
CREATE PROCEDURE dbo.MirrorState_TakeEpoch_1
    @server nvarchar(256)
AS
    SET NOCOUNT ON
    UPDATE dbo.MirrorStateEpoch SET Epoch = Epoch + 1, [Server] = @server WHERE Id = 1 AND [Server] <> @server
    SELECT Epoch, [Server] FROM dbo.MirrorStateEpoch WHERE Id = 1
    RETURN 0
GO
-- Claims an epoch above both the current one and @above for @server, whichever server has the current one: the operator
-- overrides another claim. Returns the row.
CREATE PROCEDURE dbo.MirrorState_RaiseEpoch_1
    @server nvarchar(256),
    @above  bigint
AS
    SET NOCOUNT ON
    UPDATE dbo.MirrorStateEpoch SET Epoch = CASE WHEN Epoch > @above THEN Epoch ELSE @above END + 1, [Server] = @server WHERE Id = 1
    SELECT Epoch, [Server] FROM dbo.MirrorStateEpoch WHERE Id = 1
    RETURN 0
GO
-- Returns the fleet's secret. The @proposal of the first caller becomes the secret.
CREATE PROCEDURE dbo.MirrorState_FleetSecret_1
    @epoch    bigint,
    @proposal binary(32)
AS
    SET NOCOUNT ON
    UPDATE dbo.MirrorStateEpoch SET FleetSecret = @proposal WHERE Id = 1 AND Epoch = @epoch AND FleetSecret IS NULL
    SELECT CASE WHEN Epoch = @epoch THEN 0 ELSE 6 END AS Result, FleetSecret FROM dbo.MirrorStateEpoch WHERE Id = 1
    RETURN 0
GO
-- Returns the application's id; NULL if it has none and @register is 0.
CREATE PROCEDURE dbo.MirrorState_GetAppId_1
    @appName  varchar(280),
    @epoch    bigint,
    @register bit
AS
    SET NOCOUNT ON
    DECLARE @appId int
    IF NOT EXISTS (SELECT Id FROM dbo.MirrorStateEpoch WHERE Id = 1 AND Epoch = @epoch)
    BEGIN
        SELECT 6 AS Result, @appId AS AppId
        RETURN 0
    END
    IF @register = 1
        EXECUTE dbo.TempGetAppID @appName, @appId OUTPUT
    ELSE
        SELECT @appId = AppId FROM dbo.ASPStateTempApplications WHERE AppName = LOWER(@appName)
    SELECT 0 AS Result, @appId AS AppId
    RETURN 0
GO
-- Begins the careful way, in its transaction: from here to the commit no other call writes this session.
-- @answered is an earlier answer to this operation: to an attempt of the same call since @sent, to another
-- call since @called, or at any time if it was "done" or "unknown"; NULL: there is none.
-- @own is 1 if the same call was answered.
CREATE PROCEDURE dbo.MirrorState_Enter_1
    @id       nvarchar(88),
    @op       binary(16),
    @call     binary(16),
    @sent     datetime2(7),
    @called   datetime2(7),
    @answered int OUTPUT,
    @own      bit OUTPUT
AS
    SET NOCOUNT ON
    DECLARE @key nvarchar(88)
    SELECT @key = SessionId FROM dbo.ASPStateTempSessions WITH (ROWLOCK, UPDLOCK, HOLDLOCK) WHERE SessionId = @id
    SET @answered = NULL
    SELECT TOP (1) @answered = Result, @own = CASE WHEN CallId = @call THEN 1 ELSE 0 END
    FROM dbo.MirrorStateSettled WITH (READCOMMITTEDLOCK)
    WHERE OperationId = @op
      AND (Result IN (0, 5, 8) OR (CallId = @call AND Settled >= @sent) OR (CallId <> @call AND Settled >= @called AND Result <> 7))
    ORDER BY Settled DESC
    RETURN 0
GO
-- Enters the answer of a call, in the transaction that MirrorState_Enter_1 began. After that, earlier attempts
-- of the call, and calls of the operation that began earlier, have no effect.
-- Deletes a few old entries.
CREATE PROCEDURE dbo.MirrorState_Settle_1
    @id     nvarchar(88),
    @op     binary(16),
    @call   binary(16),
    @result int
AS
    SET NOCOUNT ON
    DECLARE @clock datetime2(7)
    SET @clock = SYSUTCDATETIME()
    UPDATE dbo.MirrorStateSettled WITH (ROWLOCK, UPDLOCK) SET Settled = @clock, Result = @result WHERE OperationId = @op AND CallId = @call
    IF @@ROWCOUNT = 0
        INSERT INTO dbo.MirrorStateSettled (OperationId, CallId, Settled, Result) VALUES (@op, @call, @clock, @result)
    UPDATE dbo.ASPStateTempSessions WITH (ROWLOCK, UPDLOCK) SET Settled = @clock WHERE SessionId = @id
    DELETE TOP (4) FROM dbo.MirrorStateSettled WITH (ROWLOCK, READPAST, READCOMMITTEDLOCK)
    WHERE Settled < DATEADD(minute, -10, @clock)
    RETURN 0
GO
-- Shared read. @renew 1 slides Expires if less than the full timeout is left, and then by five percent
-- more, so that most reads write nothing; a timeout in seconds gets no extra. @allowLocked 1 reads a locked session too.
-- @item 0 omits the item. If the log or disk is full, the item is returned nevertheless,
-- with the old Expires: a later read slides it.
CREATE PROCEDURE dbo.MirrorState_Get_1
    @id          nvarchar(88),
    @epoch       bigint,
    @lockTimeout int,
    @renew       bit = 1,
    @allowLocked bit = 0,
    @item        bit = 1
AS
    SET NOCOUNT ON
    DECLARE @now datetime, @abandoned datetime
    SET @now = GETUTCDATE()
    SET @abandoned = DATEADD(second, -@lockTimeout, @now)

    IF @renew = 1 AND EXISTS (
        SELECT SessionId FROM dbo.ASPStateTempSessions
        WHERE SessionId = @id
          AND Expires < CASE WHEN (TimeoutSeconds + 59) / 60 = Timeout THEN DATEADD(second, TimeoutSeconds, @now) ELSE DATEADD(minute, Timeout, @now) END)
    BEGIN
        BEGIN TRY
            UPDATE dbo.ASPStateTempSessions WITH (ROWLOCK)
            SET Expires = DATEADD(second, CASE WHEN (TimeoutSeconds + 59) / 60 = Timeout THEN TimeoutSeconds ELSE Timeout * 63 END, @now)
            WHERE SessionId = @id
              AND Expires < CASE WHEN (TimeoutSeconds + 59) / 60 = Timeout THEN DATEADD(second, TimeoutSeconds, @now) ELSE DATEADD(minute, Timeout, @now) END
              AND ((Expires > @now AND (Locked = 0 OR LockDate <= @abandoned))
                OR (@allowLocked = 1 AND Locked = 1 AND LockDate > @abandoned))
              AND EXISTS (SELECT Id FROM dbo.MirrorStateEpoch WITH (HOLDLOCK) WHERE Id = 1 AND Epoch = @epoch)
        END TRY
        BEGIN CATCH
            -- 1101, 1105: the file group is full; 9002: the log is. Without a transaction of the caller's
            -- the UPDATE was undone by itself. With one that can only be rolled back (XACT_ABORT ON), the
            -- caller must be told: the end of the batch would be 3998.
            IF ERROR_NUMBER() NOT IN (1101, 1105, 9002) OR XACT_STATE() = -1
            BEGIN;
                THROW;
            END
        END CATCH
    END

    SELECT CASE
             WHEN @epoch IS NULL OR e.Epoch <> @epoch THEN 6
             WHEN s.SessionId IS NULL THEN 1
             WHEN s.Locked = 1 AND s.LockDate > @abandoned THEN CASE WHEN @allowLocked = 1 THEN 0 ELSE 2 END
             WHEN s.Expires <= @now THEN 1
             ELSE 0
           END AS Result,
           s.LockCookie, DATEDIFF(second, s.LockDate, @now) AS LockAge, CASE WHEN (s.TimeoutSeconds + 59) / 60 = s.Timeout THEN -s.TimeoutSeconds ELSE s.Timeout END AS Timeout, s.Expires, s.Created,
           s.Locked, s.OperationId1, s.Flags & 1 AS ActionFlags,
           CASE
             WHEN @item = 0 OR @epoch IS NULL OR e.Epoch <> @epoch THEN NULL
             WHEN s.Locked = 1 AND s.LockDate > @abandoned AND @allowLocked = 0 THEN NULL
             WHEN s.Expires <= @now AND (s.Locked = 0 OR s.LockDate <= @abandoned) THEN NULL
             ELSE COALESCE(CONVERT(varbinary(max), s.SessionItemLong), s.SessionItemShort)
           END AS Item
    FROM dbo.MirrorStateEpoch AS e LEFT JOIN dbo.ASPStateTempSessions AS s ON s.SessionId = @id
    WHERE e.Id = 1
    RETURN 0
GO
-- Slides Expires by the rule of MirrorState_Get_1, whether the session is locked or not. It also sets @timeout, unless
-- another call set the timeout, or made the session, since @sent: a late attempt has no effect, and a caller that still
-- waits sends the call again (7). Until the call is answered, it may take effect more than once.
CREATE PROCEDURE dbo.MirrorState_Touch_1
    @id             nvarchar(88),
    @epoch          bigint,
    @notAfter       datetime2(7),
    @lockTimeout    int,
    @sent           datetime2(7) = NULL,
    @timeout        int          = NULL,
    @timeoutSeconds int          = NULL
AS
    SET NOCOUNT ON
    DECLARE @clock datetime2(7), @now datetime, @abandoned datetime, @given datetime, @rows int
    SET @clock = SYSUTCDATETIME()
    SET @now = GETUTCDATE()
    SET @abandoned = DATEADD(second, -@lockTimeout, @now)
    SET @given = COALESCE(DATEADD(second, @timeoutSeconds, @now), DATEADD(minute, @timeout, @now))

    UPDATE dbo.ASPStateTempSessions WITH (ROWLOCK)
    SET Expires = COALESCE(@given, DATEADD(second, CASE WHEN (TimeoutSeconds + 59) / 60 = Timeout THEN TimeoutSeconds ELSE Timeout * 63 END, @now)),
        Timeout = COALESCE(@timeout, Timeout),
        TimeoutSeconds = CASE WHEN @timeout IS NULL THEN TimeoutSeconds ELSE @timeoutSeconds END,
        TimeoutDate = CASE WHEN @timeout IS NULL THEN TimeoutDate ELSE @clock END
    WHERE SessionId = @id
      AND ((@timeout IS NULL AND Expires < CASE WHEN (TimeoutSeconds + 59) / 60 = Timeout THEN DATEADD(second, TimeoutSeconds, @now) ELSE DATEADD(minute, Timeout, @now) END)
        OR (@timeout IS NOT NULL AND COALESCE(TimeoutDate, DATEADD(millisecond, 10, Created)) < @sent))
      AND (Expires > @now OR (Locked = 1 AND LockDate > @abandoned))
      AND @clock <= @notAfter
      AND EXISTS (SELECT Id FROM dbo.MirrorStateEpoch WITH (HOLDLOCK) WHERE Id = 1 AND Epoch = @epoch)
    SET @rows = @@ROWCOUNT

    SELECT CASE
             WHEN @epoch IS NULL OR e.Epoch <> @epoch THEN 6
             WHEN s.SessionId IS NULL THEN 1
             WHEN s.Expires <= @now AND (s.Locked = 0 OR s.LockDate <= @abandoned) THEN 1
             WHEN @clock > @notAfter THEN 7
             WHEN @timeout IS NOT NULL AND @rows = 0 THEN 7
             ELSE 0
           END AS Result,
           s.LockCookie, DATEDIFF(second, s.LockDate, @now) AS LockAge, CASE WHEN (s.TimeoutSeconds + 59) / 60 = s.Timeout THEN -s.TimeoutSeconds ELSE s.Timeout END AS Timeout, s.Expires, s.Created,
           s.Locked, s.OperationId1, s.Flags & 1 AS ActionFlags, NULL AS Item
    FROM dbo.MirrorStateEpoch AS e LEFT JOIN dbo.ASPStateTempSessions AS s ON s.SessionId = @id
    WHERE e.Id = 1
    RETURN 0
GO
-- Acquires the exclusive lock and reads the item. The same @op again finds its lock while it is
-- held (and its action flags, or those that the holder stored later); after that the answer is 3. If another call of the
-- operation has found the lock, neither call may give it back. An operation that is no longer in the ring may get the lock
-- again: no caller was told of its first grant. But an attempt that was delayed until the ring was overwritten is
-- late, and no caller waits for it: it is refused. With @create 1 a session that does not exist or has
-- expired is made with the lock: uninitialized, with @itemShort, and @timeout or else @defaultTimeout (answer 8,
-- also for the same @op again). A session that was removed since this was first sent, or while the call waited for it, is
-- not made again.
CREATE PROCEDURE dbo.MirrorState_Acquire_1
    @id          nvarchar(88),
    @epoch       bigint,
    @notAfter    datetime2(7),
    @op          binary(16),
    @sent        datetime2(7),
    @lockTimeout int,
    @resent      bit          = 0,
    @call        binary(16)   = NULL,
    @called      datetime2(7) = NULL,
    @settle      int          = 0,
    @timeout     int          = NULL,
    @timeoutSeconds int       = NULL,
    @create      bit          = 0,
    @itemShort   varbinary(7000) = NULL,
    @defaultTimeout int       = NULL,
    @firstSent   datetime2(7) = NULL,
    @waited      datetime     = NULL
AS
    SET NOCOUNT ON
    SET XACT_ABORT ON
    DECLARE @clock datetime2(7), @now datetime, @abandoned datetime, @given datetime, @since datetime2(7), @careful bit, @answered int, @own bit,
            @result int, @cookie int, @age int, @minutes int, @expires datetime, @created datetime, @locked bit, @newest binary(16), @actionFlags int, @item varbinary(max)
    SET @clock = SYSUTCDATETIME()
    SET @now = GETUTCDATE()
    SET @abandoned = DATEADD(second, -@lockTimeout, @now)
    SET @given = COALESCE(DATEADD(second, @timeoutSeconds, @now), DATEADD(minute, @timeout, @now))
    SET @since = COALESCE(@firstSent, @sent)
    SET @op = NULLIF(@op, 0x00000000000000000000000000000000)
    SET @call = COALESCE(@call, @op)
    SET @called = COALESCE(@called, @sent)
    SET @careful = @resent

    WHILE 1 = 1
    BEGIN
        IF @careful = 1
        BEGIN
            BEGIN TRANSACTION
            EXECUTE dbo.MirrorState_Enter_1 @id, @op, @call, @sent, @called, @answered OUTPUT, @own OUTPUT
        END

        UPDATE dbo.ASPStateTempSessions WITH (ROWLOCK, UPDLOCK)
        SET Expires = COALESCE(@given, CASE WHEN (TimeoutSeconds + 59) / 60 = Timeout THEN DATEADD(second, TimeoutSeconds, @now) ELSE DATEADD(minute, Timeout, @now) END),
            Timeout = COALESCE(@timeout, Timeout),
            TimeoutSeconds = CASE WHEN @timeout IS NULL THEN TimeoutSeconds ELSE @timeoutSeconds END,
            TimeoutDate = CASE WHEN @timeout IS NULL THEN TimeoutDate ELSE @clock END,
            Locked = 1, LockDate = @now, LockDateLocal = GETDATE(), LockCookie = LockCookie + 1,
            LockOperationId = @op, LockOperationCookie = LockCookie + 1, LockCallId = @call,
            LockActionFlags = Flags & 1, Flags = Flags & ~1,
            OperationId1 = @op, OperationId2 = OperationId1, OperationId3 = OperationId2, OperationId4 = OperationId3,
            OperationDate1 = @clock, OperationDate2 = OperationDate1, OperationDate3 = OperationDate2, OperationDate4 = OperationDate3,
            OperationsForgotten = COALESCE(OperationDate4, OperationsForgotten)
        OUTPUT CASE WHEN inserted.MadeOperationId = @op THEN 8 ELSE 0 END AS Result, inserted.LockCookie, 0 AS LockAge, CASE WHEN (inserted.TimeoutSeconds + 59) / 60 = inserted.Timeout THEN -inserted.TimeoutSeconds ELSE inserted.Timeout END AS Timeout, inserted.Expires, inserted.Created,
               inserted.Locked, inserted.OperationId1, inserted.LockActionFlags AS ActionFlags,
               COALESCE(CONVERT(varbinary(max), inserted.SessionItemLong), inserted.SessionItemShort) AS Item
        WHERE SessionId = @id
          AND Expires > @now
          AND (Locked = 0 OR LockDate <= @abandoned)
          AND @op NOT IN (ISNULL(OperationId1, 0x00), ISNULL(OperationId2, 0x00), ISNULL(OperationId3, 0x00),
                          ISNULL(OperationId4, 0x00), ISNULL(LockOperationId, 0x00))
          AND (OperationsForgotten IS NULL OR OperationsForgotten < @sent)
          AND (@careful = 1 OR (Created < DATEADD(millisecond, -10, @called) AND (Settled IS NULL OR Settled < @called)))
          AND (@sent IS NULL OR Created <= DATEADD(millisecond, 10, @sent))
          AND @answered IS NULL
          AND (@call = @op OR NOT EXISTS (SELECT u.OperationId FROM dbo.MirrorStateSettled AS u WHERE u.OperationId = @op AND u.Result IN (0, 5, 8)))
          -- What was granted on a session that has been removed since is not granted on its successor.
          AND ((@careful = 0 AND @call = @op) OR NOT EXISTS (SELECT t.SessionId FROM dbo.MirrorStateTombstones AS t
                          WHERE t.SessionId = @id AND @op IN (ISNULL(t.OperationId1, 0x00), ISNULL(t.OperationId2, 0x00), ISNULL(t.OperationId3, 0x00), ISNULL(t.OperationId4, 0x00))))
          AND @clock <= @notAfter
          AND EXISTS (SELECT Id FROM dbo.MirrorStateEpoch WITH (HOLDLOCK) WHERE Id = 1 AND Epoch = @epoch)
        IF @@ROWCOUNT = 1
        BEGIN
            IF @resent = 1 EXECUTE dbo.MirrorState_Settle_1 @id, @op, @call, 0
            IF @careful = 1 COMMIT TRANSACTION
            RETURN 0
        END

        IF @careful = 1 AND @create = 1
        BEGIN
            -- One that has expired is made anew.
            UPDATE dbo.ASPStateTempSessions WITH (ROWLOCK, UPDLOCK)
            SET Created = @now, MadeOperationId = @op,
                Expires = COALESCE(@given, DATEADD(minute, @defaultTimeout, @now)), Timeout = COALESCE(@timeout, @defaultTimeout),
                TimeoutSeconds = CASE WHEN @timeout IS NOT NULL THEN @timeoutSeconds END, TimeoutDate = NULL,
                SessionItemShort = @itemShort, SessionItemLong = NULL,
                Locked = 1, LockDate = @now, LockDateLocal = GETDATE(), LockCookie = LockCookie + 1,
                LockOperationId = @op, LockOperationCookie = LockCookie + 1, LockCallId = @call,
                LockActionFlags = 1, Flags = Flags & ~1,
                OperationId1 = @op, OperationId2 = OperationId1, OperationId3 = OperationId2, OperationId4 = OperationId3,
                OperationDate1 = @clock, OperationDate2 = OperationDate1, OperationDate3 = OperationDate2, OperationDate4 = OperationDate3,
                OperationsForgotten = COALESCE(OperationDate4, OperationsForgotten)
            OUTPUT 8 AS Result, inserted.LockCookie, 0 AS LockAge, CASE WHEN (inserted.TimeoutSeconds + 59) / 60 = inserted.Timeout THEN -inserted.TimeoutSeconds ELSE inserted.Timeout END AS Timeout, inserted.Expires, inserted.Created,
                   inserted.Locked, inserted.OperationId1, inserted.LockActionFlags AS ActionFlags, CONVERT(varbinary(max), inserted.SessionItemShort) AS Item
            WHERE SessionId = @id
              AND Expires <= @now
              AND (Locked = 0 OR LockDate <= @abandoned)
              AND @op NOT IN (ISNULL(OperationId1, 0x00), ISNULL(OperationId2, 0x00), ISNULL(OperationId3, 0x00),
                              ISNULL(OperationId4, 0x00), ISNULL(LockOperationId, 0x00))
              AND (OperationsForgotten IS NULL OR OperationsForgotten < @sent)
              AND (@sent IS NULL OR Created <= DATEADD(millisecond, 10, @sent))
              AND @answered IS NULL
              AND @clock <= @notAfter
              AND NOT EXISTS (SELECT t.SessionId FROM dbo.MirrorStateTombstones AS t
                              WHERE t.SessionId = @id AND (t.Removed >= @since OR t.Created = @waited OR @op IN (ISNULL(t.OperationId1, 0x00), ISNULL(t.OperationId2, 0x00), ISNULL(t.OperationId3, 0x00), ISNULL(t.OperationId4, 0x00))))
              AND EXISTS (SELECT Id FROM dbo.MirrorStateEpoch WITH (HOLDLOCK) WHERE Id = 1 AND Epoch = @epoch)
            IF @@ROWCOUNT = 1
            BEGIN
                IF @resent = 1 EXECUTE dbo.MirrorState_Settle_1 @id, @op, @call, 8
                COMMIT TRANSACTION
                RETURN 0
            END
            INSERT INTO dbo.ASPStateTempSessions
                (SessionId, Created, Expires, LockDate, LockDateLocal, LockCookie, Timeout, Locked,
                 SessionItemShort, SessionItemLong, Flags, LockOperationId, LockOperationCookie, LockCallId, LockActionFlags,
                 OperationId1, OperationDate1, MadeOperationId, TimeoutSeconds)
            SELECT @id, @now, COALESCE(@given, DATEADD(minute, @defaultTimeout, @now)), @now, GETDATE(), 2, COALESCE(@timeout, @defaultTimeout), 1,
                   @itemShort, NULL, 0, @op, 2, @call, 1,
                   @op, @clock, @op, CASE WHEN @timeout IS NOT NULL THEN @timeoutSeconds END
            FROM dbo.MirrorStateEpoch AS e WITH (HOLDLOCK)
            WHERE e.Id = 1 AND e.Epoch = @epoch
              AND @op IS NOT NULL
              AND @answered IS NULL
              AND @clock <= @notAfter
              AND NOT EXISTS (SELECT x.SessionId FROM dbo.ASPStateTempSessions AS x WHERE x.SessionId = @id)
              AND NOT EXISTS (SELECT t.SessionId FROM dbo.MirrorStateTombstones AS t
                              WHERE t.SessionId = @id AND (t.Removed >= @since OR t.Created IN (@waited, @now) OR @op IN (ISNULL(t.OperationId1, 0x00), ISNULL(t.OperationId2, 0x00), ISNULL(t.OperationId3, 0x00), ISNULL(t.OperationId4, 0x00))))
            IF @@ROWCOUNT = 1
            BEGIN
                IF @resent = 1 EXECUTE dbo.MirrorState_Settle_1 @id, @op, @call, 8
                COMMIT TRANSACTION
                SELECT 8 AS Result, 2 AS LockCookie, 0 AS LockAge, COALESCE(-@timeoutSeconds, @timeout, @defaultTimeout) AS Timeout,
                       COALESCE(@given, DATEADD(minute, @defaultTimeout, @now)) AS Expires, @now AS Created, CONVERT(bit, 1) AS Locked,
                       @op AS OperationId1, 1 AS ActionFlags, CONVERT(varbinary(max), @itemShort) AS Item
                RETURN 0
            END
        END

        -- Found again, by another call.
        IF @careful = 1 AND ISNULL(@answered, 0) <> 7
            UPDATE dbo.ASPStateTempSessions WITH (ROWLOCK, UPDLOCK)
            SET LockCallId = NULL
            WHERE SessionId = @id AND Locked = 1 AND LockOperationId = @op AND LockOperationCookie = LockCookie AND LockCallId <> @call
              AND @clock <= @notAfter
              AND EXISTS (SELECT Id FROM dbo.MirrorStateEpoch WITH (HOLDLOCK) WHERE Id = 1 AND Epoch = @epoch)

        SELECT @result = CASE
                 WHEN @epoch IS NULL OR e.Epoch <> @epoch THEN 6
                 WHEN s.Locked = 1 AND s.LockOperationId = @op AND s.LockOperationCookie = s.LockCookie AND ISNULL(@answered, 0) <> 7
                   THEN CASE WHEN s.MadeOperationId = @op THEN 8 ELSE 0 END
                 WHEN @op IN (ISNULL(s.OperationId1, 0x00), ISNULL(s.OperationId2, 0x00), ISNULL(s.OperationId3, 0x00),
                              ISNULL(s.OperationId4, 0x00), ISNULL(s.LockOperationId, 0x00)) THEN 3
                 WHEN @answered BETWEEN 1 AND 4 THEN @answered
                 WHEN @answered IS NOT NULL THEN 3
                 WHEN EXISTS (SELECT t.SessionId FROM dbo.MirrorStateTombstones AS t
                          WHERE t.SessionId = @id AND @op IN (ISNULL(t.OperationId1, 0x00), ISNULL(t.OperationId2, 0x00), ISNULL(t.OperationId3, 0x00), ISNULL(t.OperationId4, 0x00))) THEN 3
                 WHEN s.Locked = 1 AND s.LockDate > @abandoned THEN 2
                 WHEN @create = 1 AND (s.SessionId IS NULL OR s.Expires <= @now)
                      AND EXISTS (SELECT t.SessionId FROM dbo.MirrorStateTombstones AS t WHERE t.SessionId = @id AND t.Created = @waited) THEN 1
                 WHEN @resent = 1 AND @create = 1 AND (s.SessionId IS NULL OR s.Expires <= @now)
                      AND EXISTS (SELECT t.SessionId FROM dbo.MirrorStateTombstones AS t WHERE t.SessionId = @id AND t.Removed >= @since) THEN 1
                 WHEN s.SessionId IS NULL THEN CASE @create WHEN 1 THEN 7 ELSE 1 END
                 WHEN s.Expires <= @now THEN CASE @create WHEN 1 THEN 7 ELSE 1 END
                 ELSE 7
               END,
               @cookie = s.LockCookie, @age = DATEDIFF(second, s.LockDate, @now), @minutes = CASE WHEN (s.TimeoutSeconds + 59) / 60 = s.Timeout THEN -s.TimeoutSeconds ELSE s.Timeout END, @expires = s.Expires, @created = s.Created,
               @locked = s.Locked, @newest = s.OperationId1, @actionFlags = CASE WHEN s.LockOperationId = @op THEN s.LockActionFlags ELSE s.Flags & 1 END,
               @item = CASE WHEN e.Epoch = @epoch AND s.Locked = 1 AND s.LockOperationId = @op AND s.LockOperationCookie = s.LockCookie
                            THEN COALESCE(CONVERT(varbinary(max), s.SessionItemLong), s.SessionItemShort) END
        FROM dbo.MirrorStateEpoch AS e LEFT JOIN dbo.ASPStateTempSessions AS s ON s.SessionId = @id
        WHERE e.Id = 1

        IF @careful = 1
        BEGIN
            IF (@result < 4 OR @result = 8) AND (@answered IS NULL OR @own = 0) AND (@resent = 1 OR (@settle > 0 AND (@settle = 1 OR @result <> 2)))
                EXECUTE dbo.MirrorState_Settle_1 @id, @op, @call, @result
            COMMIT TRANSACTION
            BREAK
        END
        -- Its own lock, a refusal that binds others, or a row that is younger than the call.
        IF @clock > @notAfter OR (@result NOT IN (0, 7, 8) AND (@settle = 0 OR (@settle = 2 AND @result = 2) OR @result > 3)) BREAK
        SET @careful = 1
    END
    SELECT @result AS Result, @cookie AS LockCookie, @age AS LockAge, @minutes AS Timeout, @expires AS Expires, @created AS Created,
           @locked AS Locked, @newest AS OperationId1, @actionFlags AS ActionFlags, @item AS Item
    RETURN 0
GO
-- Update and release; @keep 1 keeps the lock and renews its age. It checks the lock and not Expires: a
-- holder's update is never discarded because it took long. One of the items is NULL.
-- An item of up to 7,000 bytes is the short one, so that .NET reads it correctly. @timeout NULL keeps the row's timeout.
CREATE PROCEDURE dbo.MirrorState_Update_1
    @id         nvarchar(88),
    @epoch      bigint,
    @notAfter   datetime2(7),
    @op         binary(16),
    @firstSent  datetime2(7) = NULL,
    @resent     bit          = 0,
    @lockOp     binary(16),
    @lockCookie int,
    @keep       bit          = 0,
    @timeout    int          = NULL,
    @flags      int          = 0,
    @itemShort  varbinary(7000) = NULL,
    @itemLong   varbinary(max) = NULL,
    @sent       datetime2(7) = NULL,
    @call       binary(16)   = NULL,
    @called     datetime2(7) = NULL,
    @settle     int          = 0,
    @timeoutSeconds int      = NULL
AS
    SET NOCOUNT ON
    SET XACT_ABORT ON
    DECLARE @clock datetime2(7), @now datetime, @since datetime2(7), @given datetime, @careful bit, @answered int, @own bit,
            @result int, @cookie int, @age int, @minutes int, @expires datetime, @created datetime, @locked bit, @newest binary(16), @actionFlags int
    SET @clock = SYSUTCDATETIME()
    SET @now = GETUTCDATE()
    SET @given = COALESCE(DATEADD(second, @timeoutSeconds, @now), DATEADD(minute, @timeout, @now))
    SET @since = COALESCE(@firstSent, @sent)
    SET @sent = COALESCE(@sent, @firstSent)
    SET @op = NULLIF(@op, 0x00000000000000000000000000000000)
    SET @call = COALESCE(@call, @op)
    SET @called = COALESCE(@called, @sent)
    SET @careful = @resent

    WHILE 1 = 1
    BEGIN
        IF @careful = 1
        BEGIN
            BEGIN TRANSACTION
            EXECUTE dbo.MirrorState_Enter_1 @id, @op, @call, @sent, @called, @answered OUTPUT, @own OUTPUT
        END

        UPDATE dbo.ASPStateTempSessions WITH (ROWLOCK, UPDLOCK)
        SET Expires = COALESCE(@given, CASE WHEN (TimeoutSeconds + 59) / 60 = Timeout THEN DATEADD(second, TimeoutSeconds, @now) ELSE DATEADD(minute, Timeout, @now) END),
            Timeout = COALESCE(@timeout, Timeout),
            TimeoutSeconds = CASE WHEN @timeout IS NULL THEN TimeoutSeconds ELSE @timeoutSeconds END,
            TimeoutDate = CASE WHEN @timeout IS NULL THEN TimeoutDate ELSE @clock END,
            Locked = @keep,
            LockDate = CASE @keep WHEN 1 THEN @now ELSE LockDate END,
            LockDateLocal = CASE @keep WHEN 1 THEN GETDATE() ELSE LockDateLocal END,
            SessionItemShort = @itemShort, SessionItemLong = @itemLong,
            Flags = (Flags & ~1) | @flags, LockActionFlags = @flags & 1,
            OperationId1 = @op, OperationId2 = OperationId1, OperationId3 = OperationId2, OperationId4 = OperationId3,
            OperationDate1 = @clock, OperationDate2 = OperationDate1, OperationDate3 = OperationDate2, OperationDate4 = OperationDate3,
            OperationsForgotten = COALESCE(OperationDate4, OperationsForgotten)
        OUTPUT 0 AS Result, inserted.LockCookie, 0 AS LockAge, CASE WHEN (inserted.TimeoutSeconds + 59) / 60 = inserted.Timeout THEN -inserted.TimeoutSeconds ELSE inserted.Timeout END AS Timeout, inserted.Expires, inserted.Created,
               inserted.Locked, inserted.OperationId1, inserted.Flags & 1 AS ActionFlags, NULL AS Item
        WHERE SessionId = @id
          AND Locked = 1 AND LockCookie = @lockCookie AND LockOperationId = @lockOp AND LockOperationCookie = @lockCookie
          AND @op NOT IN (ISNULL(OperationId1, 0x00), ISNULL(OperationId2, 0x00), ISNULL(OperationId3, 0x00), ISNULL(OperationId4, 0x00))
          -- What the ring has forgotten since this was first sent may have been this.
          AND (OperationsForgotten IS NULL OR OperationsForgotten < @since)
          AND (@careful = 1 OR (Created < DATEADD(millisecond, -10, @called) AND (Settled IS NULL OR Settled < @called)))
          AND (@sent IS NULL OR Created <= DATEADD(millisecond, 10, @sent))
          AND @answered IS NULL
          AND (@call = @op OR NOT EXISTS (SELECT u.OperationId FROM dbo.MirrorStateSettled AS u WHERE u.OperationId = @op AND u.Result IN (0, 5, 8)))
          AND @clock <= @notAfter
          AND EXISTS (SELECT Id FROM dbo.MirrorStateEpoch WITH (HOLDLOCK) WHERE Id = 1 AND Epoch = @epoch)
        IF @@ROWCOUNT = 1
        BEGIN
            IF @resent = 1 EXECUTE dbo.MirrorState_Settle_1 @id, @op, @call, 0
            IF @careful = 1 COMMIT TRANSACTION
            RETURN 0
        END

        SELECT @result = CASE
                 WHEN @epoch IS NULL OR e.Epoch <> @epoch THEN 6
                 WHEN @op IN (ISNULL(s.OperationId1, 0x00), ISNULL(s.OperationId2, 0x00), ISNULL(s.OperationId3, 0x00), ISNULL(s.OperationId4, 0x00)) THEN 0
                 WHEN @answered IS NOT NULL THEN @answered
                 WHEN s.Locked = 1 AND s.LockCookie = @lockCookie AND s.LockOperationId = @lockOp AND s.LockOperationCookie = @lockCookie
                   THEN CASE WHEN @resent = 1 AND s.OperationsForgotten >= @firstSent THEN 5 ELSE 7 END
                 -- Done, to a session that has been removed since.
                 WHEN EXISTS (SELECT t.SessionId FROM dbo.MirrorStateTombstones AS t
                          WHERE t.SessionId = @id AND @op IN (ISNULL(t.OperationId1, 0x00), ISNULL(t.OperationId2, 0x00), ISNULL(t.OperationId3, 0x00), ISNULL(t.OperationId4, 0x00))) THEN 0
                 -- The session whose lock that was has been removed, and while it remembered the acquire it would have remembered this too.
                 WHEN EXISTS (SELECT t.SessionId FROM dbo.MirrorStateTombstones AS t
                              WHERE t.SessionId = @id AND @lockOp IN (ISNULL(t.OperationId1, 0x00), ISNULL(t.OperationId2, 0x00), ISNULL(t.OperationId3, 0x00), ISNULL(t.OperationId4, 0x00))) THEN 3
                 -- What the ring has forgotten since the call began may be what another call of the operation did.
                 WHEN @resent = 0 AND @call <> @op AND s.OperationsForgotten >= @called
                      AND @lockOp NOT IN (ISNULL(s.OperationId1, 0x00), ISNULL(s.OperationId2, 0x00), ISNULL(s.OperationId3, 0x00), ISNULL(s.OperationId4, 0x00)) THEN 5
                 WHEN @resent = 0 THEN 3
                 -- The session that was there when this was first sent has been removed, and remembered well that this was not done.
                 WHEN EXISTS (SELECT t.SessionId FROM dbo.MirrorStateTombstones AS t
                              WHERE t.SessionId = @id AND t.Removed >= @firstSent AND t.Created < DATEADD(millisecond, -10, @firstSent)
                                AND (t.OperationsForgotten IS NULL OR t.OperationsForgotten < @firstSent)) THEN 3
                 WHEN s.SessionId IS NULL THEN 5
                 -- The acquire came before this: while the ring still has the acquire, it would have this too.
                 WHEN @lockOp IN (ISNULL(s.OperationId1, 0x00), ISNULL(s.OperationId2, 0x00), ISNULL(s.OperationId3, 0x00), ISNULL(s.OperationId4, 0x00)) THEN 3
                 -- Made since this was first sent: another session than the one it was for. (datetime is coarse.)
                 WHEN s.Created >= DATEADD(millisecond, -10, @firstSent) THEN 5
                 WHEN s.OperationsForgotten IS NULL OR s.OperationsForgotten < @firstSent THEN 3
                 ELSE 5
               END,
               @cookie = s.LockCookie, @age = DATEDIFF(second, s.LockDate, @now), @minutes = CASE WHEN (s.TimeoutSeconds + 59) / 60 = s.Timeout THEN -s.TimeoutSeconds ELSE s.Timeout END, @expires = s.Expires, @created = s.Created,
               @locked = s.Locked, @newest = s.OperationId1, @actionFlags = s.Flags & 1
        FROM dbo.MirrorStateEpoch AS e LEFT JOIN dbo.ASPStateTempSessions AS s ON s.SessionId = @id
        WHERE e.Id = 1

        IF @careful = 1
        BEGIN
            IF @result < 6 AND (@answered IS NULL OR @own = 0) AND (@resent = 1 OR (@settle > 0 AND (@settle = 1 OR @result <> 2)))
                EXECUTE dbo.MirrorState_Settle_1 @id, @op, @call, @result
            COMMIT TRANSACTION
            BREAK
        END
        IF @clock > @notAfter OR (@result <> 7 AND (@settle = 0 OR @result = 6)) BREAK
        SET @careful = 1
    END
    SELECT @result AS Result, @cookie AS LockCookie, @age AS LockAge, @minutes AS Timeout, @expires AS Expires, @created AS Created,
           @locked AS Locked, @newest AS OperationId1, @actionFlags AS ActionFlags, NULL AS Item
    RETURN 0
GO
-- Releases the lock and slides Expires. It also sets the timeout if one is given, and changes nothing else.
CREATE PROCEDURE dbo.MirrorState_Release_1
    @id         nvarchar(88),
    @epoch      bigint,
    @notAfter   datetime2(7),
    @op         binary(16),
    @firstSent  datetime2(7) = NULL,
    @resent     bit          = 0,
    @lockOp     binary(16),
    @lockCookie int,
    @sent       datetime2(7) = NULL,
    @call       binary(16)   = NULL,
    @called     datetime2(7) = NULL,
    @settle     int          = 0,
    @timeout    int          = NULL,
    @timeoutSeconds int      = NULL
AS
    SET NOCOUNT ON
    SET XACT_ABORT ON
    DECLARE @clock datetime2(7), @now datetime, @since datetime2(7), @given datetime, @careful bit, @answered int, @own bit,
            @result int, @cookie int, @age int, @minutes int, @expires datetime, @created datetime, @locked bit, @newest binary(16), @actionFlags int
    SET @clock = SYSUTCDATETIME()
    SET @now = GETUTCDATE()
    SET @given = COALESCE(DATEADD(second, @timeoutSeconds, @now), DATEADD(minute, @timeout, @now))
    SET @since = COALESCE(@firstSent, @sent)
    SET @sent = COALESCE(@sent, @firstSent)
    SET @op = NULLIF(@op, 0x00000000000000000000000000000000)
    SET @call = COALESCE(@call, @op)
    SET @called = COALESCE(@called, @sent)
    SET @careful = @resent

    WHILE 1 = 1
    BEGIN
        IF @careful = 1
        BEGIN
            BEGIN TRANSACTION
            EXECUTE dbo.MirrorState_Enter_1 @id, @op, @call, @sent, @called, @answered OUTPUT, @own OUTPUT
        END

        UPDATE dbo.ASPStateTempSessions WITH (ROWLOCK, UPDLOCK)
        SET Expires = COALESCE(@given, CASE WHEN (TimeoutSeconds + 59) / 60 = Timeout THEN DATEADD(second, TimeoutSeconds, @now) ELSE DATEADD(minute, Timeout, @now) END),
            Timeout = COALESCE(@timeout, Timeout),
            TimeoutSeconds = CASE WHEN @timeout IS NULL THEN TimeoutSeconds ELSE @timeoutSeconds END,
            TimeoutDate = CASE WHEN @timeout IS NULL THEN TimeoutDate ELSE @clock END,
            Locked = 0,
            OperationId1 = @op, OperationId2 = OperationId1, OperationId3 = OperationId2, OperationId4 = OperationId3,
            OperationDate1 = @clock, OperationDate2 = OperationDate1, OperationDate3 = OperationDate2, OperationDate4 = OperationDate3,
            OperationsForgotten = COALESCE(OperationDate4, OperationsForgotten)
        OUTPUT 0 AS Result, inserted.LockCookie, 0 AS LockAge, CASE WHEN (inserted.TimeoutSeconds + 59) / 60 = inserted.Timeout THEN -inserted.TimeoutSeconds ELSE inserted.Timeout END AS Timeout, inserted.Expires, inserted.Created,
               inserted.Locked, inserted.OperationId1, inserted.Flags & 1 AS ActionFlags, NULL AS Item
        WHERE SessionId = @id
          AND Locked = 1 AND LockCookie = @lockCookie AND LockOperationId = @lockOp AND LockOperationCookie = @lockCookie
          AND @op NOT IN (ISNULL(OperationId1, 0x00), ISNULL(OperationId2, 0x00), ISNULL(OperationId3, 0x00), ISNULL(OperationId4, 0x00))
          -- What the ring has forgotten since this was first sent may have been this.
          AND (OperationsForgotten IS NULL OR OperationsForgotten < @since)
          AND (@careful = 1 OR (Created < DATEADD(millisecond, -10, @called) AND (Settled IS NULL OR Settled < @called)))
          AND (@sent IS NULL OR Created <= DATEADD(millisecond, 10, @sent))
          AND @answered IS NULL
          AND (@call = @op OR NOT EXISTS (SELECT u.OperationId FROM dbo.MirrorStateSettled AS u WHERE u.OperationId = @op AND u.Result IN (0, 5, 8)))
          AND @clock <= @notAfter
          AND EXISTS (SELECT Id FROM dbo.MirrorStateEpoch WITH (HOLDLOCK) WHERE Id = 1 AND Epoch = @epoch)
        IF @@ROWCOUNT = 1
        BEGIN
            IF @resent = 1 EXECUTE dbo.MirrorState_Settle_1 @id, @op, @call, 0
            IF @careful = 1 COMMIT TRANSACTION
            RETURN 0
        END

        SELECT @result = CASE
                 WHEN @epoch IS NULL OR e.Epoch <> @epoch THEN 6
                 WHEN @op IN (ISNULL(s.OperationId1, 0x00), ISNULL(s.OperationId2, 0x00), ISNULL(s.OperationId3, 0x00), ISNULL(s.OperationId4, 0x00)) THEN 0
                 WHEN @answered IS NOT NULL THEN @answered
                 WHEN s.Locked = 1 AND s.LockCookie = @lockCookie AND s.LockOperationId = @lockOp AND s.LockOperationCookie = @lockCookie
                   THEN CASE WHEN @resent = 1 AND s.OperationsForgotten >= @firstSent THEN 5 ELSE 7 END
                 -- Done, to a session that has been removed since.
                 WHEN EXISTS (SELECT t.SessionId FROM dbo.MirrorStateTombstones AS t
                          WHERE t.SessionId = @id AND @op IN (ISNULL(t.OperationId1, 0x00), ISNULL(t.OperationId2, 0x00), ISNULL(t.OperationId3, 0x00), ISNULL(t.OperationId4, 0x00))) THEN 0
                 -- The session whose lock that was has been removed, and while it remembered the acquire it would have remembered this too.
                 WHEN EXISTS (SELECT t.SessionId FROM dbo.MirrorStateTombstones AS t
                              WHERE t.SessionId = @id AND @lockOp IN (ISNULL(t.OperationId1, 0x00), ISNULL(t.OperationId2, 0x00), ISNULL(t.OperationId3, 0x00), ISNULL(t.OperationId4, 0x00))) THEN 3
                 -- What the ring has forgotten since the call began may be what another call of the operation did.
                 WHEN @resent = 0 AND @call <> @op AND s.OperationsForgotten >= @called
                      AND @lockOp NOT IN (ISNULL(s.OperationId1, 0x00), ISNULL(s.OperationId2, 0x00), ISNULL(s.OperationId3, 0x00), ISNULL(s.OperationId4, 0x00)) THEN 5
                 WHEN @resent = 0 THEN 3
                 -- The session that was there when this was first sent has been removed, and remembered well that this was not done.
                 WHEN EXISTS (SELECT t.SessionId FROM dbo.MirrorStateTombstones AS t
                              WHERE t.SessionId = @id AND t.Removed >= @firstSent AND t.Created < DATEADD(millisecond, -10, @firstSent)
                                AND (t.OperationsForgotten IS NULL OR t.OperationsForgotten < @firstSent)) THEN 3
                 WHEN s.SessionId IS NULL THEN 5
                 -- The acquire came before this: while the ring still has the acquire, it would have this too.
                 WHEN @lockOp IN (ISNULL(s.OperationId1, 0x00), ISNULL(s.OperationId2, 0x00), ISNULL(s.OperationId3, 0x00), ISNULL(s.OperationId4, 0x00)) THEN 3
                 -- Made since this was first sent: another session than the one it was for. (datetime is coarse.)
                 WHEN s.Created >= DATEADD(millisecond, -10, @firstSent) THEN 5
                 WHEN s.OperationsForgotten IS NULL OR s.OperationsForgotten < @firstSent THEN 3
                 ELSE 5
               END,
               @cookie = s.LockCookie, @age = DATEDIFF(second, s.LockDate, @now), @minutes = CASE WHEN (s.TimeoutSeconds + 59) / 60 = s.Timeout THEN -s.TimeoutSeconds ELSE s.Timeout END, @expires = s.Expires, @created = s.Created,
               @locked = s.Locked, @newest = s.OperationId1, @actionFlags = s.Flags & 1
        FROM dbo.MirrorStateEpoch AS e LEFT JOIN dbo.ASPStateTempSessions AS s ON s.SessionId = @id
        WHERE e.Id = 1

        IF @careful = 1
        BEGIN
            IF @result < 6 AND (@answered IS NULL OR @own = 0) AND (@resent = 1 OR (@settle > 0 AND (@settle = 1 OR @result <> 2)))
                EXECUTE dbo.MirrorState_Settle_1 @id, @op, @call, @result
            COMMIT TRANSACTION
            BREAK
        END
        IF @clock > @notAfter OR (@result <> 7 AND (@settle = 0 OR @result = 6)) BREAK
        SET @careful = 1
    END
    SELECT @result AS Result, @cookie AS LockCookie, @age AS LockAge, @minutes AS Timeout, @expires AS Expires, @created AS Created,
           @locked AS Locked, @newest AS OperationId1, @actionFlags AS ActionFlags, NULL AS Item
    RETURN 0
GO
-- Undoes an acquire whose caller has left. After that no attempt of the call acquires the lock. If the call had
-- been granted the lock, and no other call of the operation has found it since, the lock is released as if it had
-- never been granted: @instead, a new operation id, replaces @op in the ring, so that the operation may
-- get the lock again, and the action flags are restored. 3: there was nothing to give back.
CREATE PROCEDURE dbo.MirrorState_GiveBack_1
    @id       nvarchar(88),
    @epoch    bigint,
    @notAfter datetime2(7),
    @op       binary(16),
    @call     binary(16),
    @instead  binary(16)
AS
    SET NOCOUNT ON
    SET XACT_ABORT ON
    DECLARE @clock datetime2(7), @now datetime, @answered int, @own bit, @rows int
    SET @clock = SYSUTCDATETIME()
    SET @now = GETUTCDATE()
    SET @op = NULLIF(@op, 0x00000000000000000000000000000000)
    SET @call = COALESCE(@call, @op)

    BEGIN TRANSACTION
    EXECUTE dbo.MirrorState_Enter_1 @id, @op, @call, @clock, @clock, @answered OUTPUT, @own OUTPUT
    UPDATE dbo.ASPStateTempSessions WITH (ROWLOCK, UPDLOCK)
    SET Locked = 0, LockOperationId = NULL, LockCallId = NULL, Flags = Flags | ISNULL(LockActionFlags, 0),
        OperationId1 = CASE WHEN OperationId1 = @op THEN @instead ELSE OperationId1 END,
        OperationId2 = CASE WHEN OperationId2 = @op THEN @instead ELSE OperationId2 END,
        OperationId3 = CASE WHEN OperationId3 = @op THEN @instead ELSE OperationId3 END,
        OperationId4 = CASE WHEN OperationId4 = @op THEN @instead ELSE OperationId4 END
    WHERE SessionId = @id
      AND Locked = 1 AND LockOperationId = @op AND LockOperationCookie = LockCookie AND LockCallId = @call
      AND @clock <= @notAfter
      AND EXISTS (SELECT Id FROM dbo.MirrorStateEpoch WITH (HOLDLOCK) WHERE Id = 1 AND Epoch = @epoch)
    SET @rows = @@ROWCOUNT
    IF @op IS NOT NULL AND @clock <= @notAfter AND EXISTS (SELECT Id FROM dbo.MirrorStateEpoch WITH (HOLDLOCK) WHERE Id = 1 AND Epoch = @epoch)
        EXECUTE dbo.MirrorState_Settle_1 @id, @op, @call, 7
    COMMIT TRANSACTION

    SELECT CASE
             WHEN @epoch IS NULL OR e.Epoch <> @epoch THEN 6
             WHEN @rows = 1 THEN 0
             WHEN @clock > @notAfter THEN 7
             ELSE 3
           END AS Result,
           s.LockCookie, DATEDIFF(second, s.LockDate, @now) AS LockAge, CASE WHEN (s.TimeoutSeconds + 59) / 60 = s.Timeout THEN -s.TimeoutSeconds ELSE s.Timeout END AS Timeout, s.Expires, s.Created,
           s.Locked, s.OperationId1, s.Flags & 1 AS ActionFlags, NULL AS Item
    FROM dbo.MirrorStateEpoch AS e LEFT JOIN dbo.ASPStateTempSessions AS s ON s.SessionId = @id
    WHERE e.Id = 1
    RETURN 0
GO
-- Stores without a lock. @mode 0: unless another caller holds the lock; makes the session if there is
-- none. 1: only if there is no session (create). 2: only if @created, @cookie, @locked and @newest equal
-- the row's values (an entity tag). The cookie changes, so that a .NET holder with a stale cookie can't overwrite.
-- An expired row is reused as a new session. @timeout NULL: the row's timeout, or @defaultTimeout for a new session.
-- A session is made only in the careful way: its place is locked from the query of the tombstones to the
-- insert. If the session of @waited has been removed, nothing is made or overwritten (1).
-- Two sessions with one id are never made in the same tick of datetime, because Created distinguishes them (answer 7).
CREATE PROCEDURE dbo.MirrorState_Store_1
    @id             nvarchar(88),
    @epoch          bigint,
    @notAfter       datetime2(7),
    @op             binary(16),
    @firstSent      datetime2(7) = NULL,
    @resent         bit          = 0,
    @lockTimeout    int,
    @mode           int          = 0,
    @created        datetime     = NULL,
    @cookie         int          = NULL,
    @locked         bit          = NULL,
    @newest         binary(16)   = NULL,
    @timeout        int          = NULL,
    @defaultTimeout int,
    @flags          int          = 0,
    @itemShort      varbinary(7000) = NULL,
    @itemLong       varbinary(max) = NULL,
    @sent           datetime2(7) = NULL,
    @call           binary(16)   = NULL,
    @called         datetime2(7) = NULL,
    @settle         int          = 0,
    @timeoutSeconds int          = NULL,
    @waited         datetime     = NULL
AS
    SET NOCOUNT ON
    SET XACT_ABORT ON
    DECLARE @clock datetime2(7), @now datetime, @abandoned datetime, @given datetime, @since datetime2(7), @careful bit, @answered int, @own bit, @disturbed bit,
            @result int, @expires datetime, @isCookie int, @isAge int, @isTimeout int, @isExpires datetime, @isCreated datetime,
            @isLocked bit, @isNewest binary(16), @isFlags int
    SET @clock = SYSUTCDATETIME()
    SET @now = GETUTCDATE()
    SET @abandoned = DATEADD(second, -@lockTimeout, @now)
    SET @given = COALESCE(DATEADD(second, @timeoutSeconds, @now), DATEADD(minute, @timeout, @now))
    SET @expires = COALESCE(@given, DATEADD(minute, @defaultTimeout, @now))
    SET @since = COALESCE(@firstSent, @sent)
    SET @sent = COALESCE(@sent, @firstSent)
    SET @op = NULLIF(@op, 0x00000000000000000000000000000000)
    SET @call = COALESCE(@call, @op)
    SET @called = COALESCE(@called, @sent)
    SET @careful = @resent

    WHILE 1 = 1
    BEGIN
        IF @careful = 1
        BEGIN
            BEGIN TRANSACTION
            EXECUTE dbo.MirrorState_Enter_1 @id, @op, @call, @sent, @called, @answered OUTPUT, @own OUTPUT
        END

        UPDATE dbo.ASPStateTempSessions WITH (ROWLOCK, UPDLOCK)
        SET Created = CASE WHEN Expires > @now THEN Created ELSE @now END,
            MadeOperationId = CASE WHEN Expires > @now THEN MadeOperationId ELSE @op END,
            Timeout = CASE WHEN Expires > @now THEN COALESCE(@timeout, Timeout) ELSE COALESCE(@timeout, @defaultTimeout) END,
            TimeoutSeconds = CASE WHEN @timeout IS NOT NULL THEN @timeoutSeconds WHEN Expires > @now THEN TimeoutSeconds END,
            TimeoutDate = CASE WHEN @timeout IS NOT NULL THEN @clock WHEN Expires > @now THEN TimeoutDate END,
            Expires = CASE WHEN Expires > @now THEN COALESCE(@given, CASE WHEN (TimeoutSeconds + 59) / 60 = Timeout THEN DATEADD(second, TimeoutSeconds, @now) ELSE DATEADD(minute, Timeout, @now) END) ELSE @expires END,
            Locked = 0, LockDate = @now, LockDateLocal = GETDATE(), LockCookie = LockCookie + 1,
            SessionItemShort = @itemShort, SessionItemLong = @itemLong,
            Flags = (Flags & ~1) | @flags,
            OperationId1 = @op, OperationId2 = OperationId1, OperationId3 = OperationId2, OperationId4 = OperationId3,
            OperationDate1 = @clock, OperationDate2 = OperationDate1, OperationDate3 = OperationDate2, OperationDate4 = OperationDate3,
            OperationsForgotten = COALESCE(OperationDate4, OperationsForgotten)
        OUTPUT CASE WHEN deleted.Expires > @now THEN 0 ELSE 8 END AS Result,
               inserted.LockCookie, 0 AS LockAge, CASE WHEN (inserted.TimeoutSeconds + 59) / 60 = inserted.Timeout THEN -inserted.TimeoutSeconds ELSE inserted.Timeout END AS Timeout, inserted.Expires, inserted.Created,
               inserted.Locked, inserted.OperationId1, inserted.Flags & 1 AS ActionFlags, NULL AS Item
        WHERE SessionId = @id
          AND (Locked = 0 OR LockDate <= @abandoned)
          AND ((@mode = 0)
            OR (@mode = 1 AND Expires <= @now)
            OR (@mode = 2 AND Expires > @now AND Created = @created AND LockCookie = @cookie AND Locked = @locked
                AND ISNULL(OperationId1, 0x00) = ISNULL(@newest, 0x00)))
          AND @op NOT IN (ISNULL(OperationId1, 0x00), ISNULL(OperationId2, 0x00), ISNULL(OperationId3, 0x00), ISNULL(OperationId4, 0x00))
          AND (OperationsForgotten IS NULL OR OperationsForgotten < @since)
          AND (@careful = 1 OR (Created < DATEADD(millisecond, -10, @called) AND (Settled IS NULL OR Settled < @called)))
          AND (@sent IS NULL OR Created <= DATEADD(millisecond, 10, @sent))
          AND @answered IS NULL
          AND (@call = @op OR NOT EXISTS (SELECT u.OperationId FROM dbo.MirrorStateSettled AS u WHERE u.OperationId = @op AND u.Result IN (0, 5, 8)))
          -- What was removed and made again since this was first sent is not for this to overwrite.
          AND (@resent = 0 OR MadeOperationId IS NOT NULL OR Created < DATEADD(millisecond, -10, @since))
          AND (@waited IS NULL OR NOT EXISTS (SELECT t.SessionId FROM dbo.MirrorStateTombstones AS t WHERE t.SessionId = @id AND t.Created = @waited))
          AND ((@careful = 0 AND @call = @op) OR NOT EXISTS (SELECT t.SessionId FROM dbo.MirrorStateTombstones AS t
                              WHERE t.SessionId = @id AND (t.Removed >= @since OR @op IN (ISNULL(t.OperationId1, 0x00), ISNULL(t.OperationId2, 0x00), ISNULL(t.OperationId3, 0x00), ISNULL(t.OperationId4, 0x00)))))
          AND @clock <= @notAfter
          AND EXISTS (SELECT Id FROM dbo.MirrorStateEpoch WITH (HOLDLOCK) WHERE Id = 1 AND Epoch = @epoch)
        IF @@ROWCOUNT = 1
        BEGIN
            IF @resent = 1 EXECUTE dbo.MirrorState_Settle_1 @id, @op, @call, 0
            IF @careful = 1 COMMIT TRANSACTION
            RETURN 0
        END

        IF @careful = 1
        BEGIN
            INSERT INTO dbo.ASPStateTempSessions
                (SessionId, Created, Expires, LockDate, LockDateLocal, LockCookie, Timeout, Locked,
                 SessionItemShort, SessionItemLong, Flags, OperationId1, OperationDate1, MadeOperationId, TimeoutSeconds)
            SELECT @id, @now, @expires, @now, GETDATE(), 1, COALESCE(@timeout, @defaultTimeout), 0,
                   @itemShort, @itemLong, @flags, @op, @clock, @op, CASE WHEN @timeout IS NOT NULL THEN @timeoutSeconds END
            FROM dbo.MirrorStateEpoch AS e WITH (HOLDLOCK)
            WHERE e.Id = 1 AND e.Epoch = @epoch
              AND @mode <> 2
              AND @op IS NOT NULL
              AND @answered IS NULL
              AND @clock <= @notAfter
              AND NOT EXISTS (SELECT x.SessionId FROM dbo.ASPStateTempSessions AS x WHERE x.SessionId = @id)
              AND NOT EXISTS (SELECT t.SessionId FROM dbo.MirrorStateTombstones AS t
                              WHERE t.SessionId = @id AND (t.Removed >= @since OR t.Created IN (@waited, @now) OR @op IN (ISNULL(t.OperationId1, 0x00), ISNULL(t.OperationId2, 0x00), ISNULL(t.OperationId3, 0x00), ISNULL(t.OperationId4, 0x00))))
            IF @@ROWCOUNT = 1
            BEGIN
                IF @resent = 1 EXECUTE dbo.MirrorState_Settle_1 @id, @op, @call, 8
                COMMIT TRANSACTION
                SELECT 8 AS Result, 1 AS LockCookie, 0 AS LockAge, COALESCE(-@timeoutSeconds, @timeout, @defaultTimeout) AS Timeout,
                       @expires AS Expires, @now AS Created, CONVERT(bit, 0) AS Locked, @op AS OperationId1,
                       @flags & 1 AS ActionFlags, NULL AS Item
                RETURN 0
            END
        END

        SELECT @result = CASE
                 WHEN @epoch IS NULL OR e.Epoch <> @epoch THEN 6
                 WHEN @op IN (ISNULL(s.OperationId1, 0x00), ISNULL(s.OperationId2, 0x00), ISNULL(s.OperationId3, 0x00), ISNULL(s.OperationId4, 0x00))
                   THEN CASE WHEN s.MadeOperationId = @op THEN 8 ELSE 0 END
                 WHEN @answered IS NOT NULL THEN @answered
                 -- Done, to a session that has been removed since: it stays away, or its successor as it is.
                 WHEN EXISTS (SELECT t.SessionId FROM dbo.MirrorStateTombstones AS t
                          WHERE t.SessionId = @id AND @op IN (ISNULL(t.OperationId1, 0x00), ISNULL(t.OperationId2, 0x00), ISNULL(t.OperationId3, 0x00), ISNULL(t.OperationId4, 0x00))) THEN 0
                 -- Removed since this was first sent. It is no more to be done: the session stays away, or its
                 -- successor as it is. Whether it was done before, the removed session's ring tells.
                 WHEN @resent = 1 AND EXISTS (SELECT t.SessionId FROM dbo.MirrorStateTombstones AS t
                              WHERE t.SessionId = @id AND t.Removed >= @since AND t.OperationsForgotten >= @since) THEN 5
                 WHEN @resent = 1 AND EXISTS (SELECT t.SessionId FROM dbo.MirrorStateTombstones AS t
                              WHERE t.SessionId = @id AND t.Removed >= @since) THEN 1
                 WHEN EXISTS (SELECT t.SessionId FROM dbo.MirrorStateTombstones AS t WHERE t.SessionId = @id AND t.Created = @waited) THEN 1
                 WHEN @clock > @notAfter THEN 7
                 -- The session that was there when this was first sent has gone without a tombstone, as .NET removes, and
                 -- whether this was done to it before, nobody knows. (Of a successor that a verb made it is taken that there was
                 -- none before it, as it is where .NET does not come.)
                 WHEN @resent = 1 AND s.Created >= DATEADD(millisecond, -10, @since)
                  AND ((@mode = 2 AND s.Created <> @created) OR (@mode <> 2 AND s.MadeOperationId IS NULL)) THEN 5
                 WHEN @resent = 1 AND @mode = 2 AND s.SessionId IS NULL AND NOT EXISTS (SELECT t.SessionId FROM dbo.MirrorStateTombstones AS t
                              WHERE t.SessionId = @id AND t.Created = @created) THEN 5
                 -- What stands in the way now may have come after this was done.
                 WHEN @resent = 1 AND s.OperationsForgotten >= @since THEN 5
                 WHEN s.Locked = 1 AND s.LockDate > @abandoned THEN CASE @mode WHEN 1 THEN 4 ELSE 2 END
                 WHEN s.OperationsForgotten >= @since THEN 7
                 WHEN @mode = 1 AND s.Expires > @now THEN 4
                 -- It is the version that is meant, and so young that this may have been sent before it was made, as far as is known of the clock.
                 WHEN @mode = 2 AND s.Expires > @now AND s.Created = @created AND s.LockCookie = @cookie AND s.Locked = @locked
                  AND ISNULL(s.OperationId1, 0x00) = ISNULL(@newest, 0x00) THEN 7
                 WHEN @mode = 2 THEN 4
                 ELSE 7
               END,
               @disturbed = CASE WHEN s.Created < DATEADD(millisecond, -10, @called) AND (s.Settled IS NULL OR s.Settled < @called) THEN 0 ELSE 1 END,
               @isCookie = s.LockCookie, @isAge = DATEDIFF(second, s.LockDate, @now), @isTimeout = CASE WHEN (s.TimeoutSeconds + 59) / 60 = s.Timeout THEN -s.TimeoutSeconds ELSE s.Timeout END, @isExpires = s.Expires,
               @isCreated = s.Created, @isLocked = s.Locked, @isNewest = s.OperationId1, @isFlags = s.Flags & 1
        FROM dbo.MirrorStateEpoch AS e LEFT JOIN dbo.ASPStateTempSessions AS s ON s.SessionId = @id
        WHERE e.Id = 1

        IF @careful = 1
        BEGIN
            IF @result NOT IN (6, 7) AND (@answered IS NULL OR @own = 0) AND (@resent = 1 OR (@settle > 0 AND (@settle = 1 OR @result <> 2)))
                EXECUTE dbo.MirrorState_Settle_1 @id, @op, @call, @result
            COMMIT TRANSACTION
            BREAK
        END
        IF @clock > @notAfter OR @result = 6
           OR (@result <> 7 AND @disturbed = 0 AND (@settle = 0 OR (@settle = 2 AND @result = 2))) BREAK
        SET @careful = 1
    END
    SELECT @result AS Result, @isCookie AS LockCookie, @isAge AS LockAge, @isTimeout AS Timeout, @isExpires AS Expires, @isCreated AS Created,
           @isLocked AS Locked, @isNewest AS OperationId1, @isFlags AS ActionFlags, NULL AS Item
    RETURN 0
GO
-- Removes the session: with @lockOp and @lockCookie as the holder of the lock, with NULLs unless
-- another caller holds the lock. A session that does not exist counts as removed; one that is made later is
-- another session. So is the present one if the session of @waited has been removed. Deletes a few old tombstones too.
CREATE PROCEDURE dbo.MirrorState_Remove_1
    @id          nvarchar(88),
    @epoch       bigint,
    @notAfter    datetime2(7),
    @op          binary(16),
    @lockTimeout int,
    @lockOp      binary(16)   = NULL,
    @lockCookie  int          = NULL,
    @sent        datetime2(7) = NULL,
    @resent      bit          = 0,
    @call        binary(16)   = NULL,
    @called      datetime2(7) = NULL,
    @settle      int          = 0,
    @waited      datetime     = NULL
AS
    SET NOCOUNT ON
    SET XACT_ABORT ON
    DECLARE @clock datetime2(7), @now datetime, @abandoned datetime, @careful bit, @answered int, @own bit,
            @result int, @cookie int, @age int, @minutes int, @expires datetime, @created datetime, @locked bit, @newest binary(16), @actionFlags int
    SET @clock = SYSUTCDATETIME()
    SET @now = GETUTCDATE()
    SET @abandoned = DATEADD(second, -@lockTimeout, @now)
    SET @op = NULLIF(@op, 0x00000000000000000000000000000000)
    SET @call = COALESCE(@call, @op)
    SET @called = COALESCE(@called, @sent)
    SET @careful = @resent

    WHILE 1 = 1
    BEGIN
        IF @careful = 1
        BEGIN
            BEGIN TRANSACTION
            EXECUTE dbo.MirrorState_Enter_1 @id, @op, @call, @sent, @called, @answered OUTPUT, @own OUTPUT
        END

        DELETE FROM dbo.ASPStateTempSessions WITH (ROWLOCK, UPDLOCK)
        OUTPUT deleted.SessionId, @op, @clock, deleted.OperationId1, deleted.OperationId2, deleted.OperationId3, deleted.OperationId4,
               deleted.OperationsForgotten, deleted.Created
          INTO dbo.MirrorStateTombstones (SessionId, OperationId, Removed, OperationId1, OperationId2, OperationId3, OperationId4,
               OperationsForgotten, Created)
        WHERE SessionId = @id
          AND ((@lockOp IS NULL AND (Locked = 0 OR LockDate <= @abandoned))
            OR (Locked = 1 AND LockCookie = @lockCookie AND LockOperationId = @lockOp AND LockOperationCookie = @lockCookie))
          AND @op IS NOT NULL
          AND (@careful = 1 OR (Created < DATEADD(millisecond, -10, @called) AND (Settled IS NULL OR Settled < @called)))
          AND (@sent IS NULL OR Created <= DATEADD(millisecond, 10, @sent))
          AND @answered IS NULL
          AND (@call = @op OR NOT EXISTS (SELECT u.OperationId FROM dbo.MirrorStateSettled AS u WHERE u.OperationId = @op AND u.Result IN (0, 5, 8)))
          AND (@waited IS NULL OR NOT EXISTS (SELECT t.SessionId FROM dbo.MirrorStateTombstones AS t WHERE t.SessionId = @id AND t.Created = @waited))
          AND ((@careful = 0 AND @call = @op)
            OR NOT EXISTS (SELECT t.SessionId FROM dbo.MirrorStateTombstones AS t WHERE t.SessionId = @id AND t.OperationId = @op))
          AND @clock <= @notAfter
          AND EXISTS (SELECT Id FROM dbo.MirrorStateEpoch WITH (HOLDLOCK) WHERE Id = 1 AND Epoch = @epoch)
        IF @@ROWCOUNT = 1
        BEGIN
            IF @careful = 1 COMMIT TRANSACTION
            SET @result = 0
            DELETE TOP (4) FROM dbo.MirrorStateTombstones WITH (ROWLOCK, READPAST, READCOMMITTEDLOCK)
            WHERE Removed < DATEADD(minute, -10, @clock)
            BREAK
        END

        SELECT @result = CASE
                 WHEN @epoch IS NULL OR e.Epoch <> @epoch THEN 6
                 WHEN EXISTS (SELECT t.SessionId FROM dbo.MirrorStateTombstones AS t WHERE t.SessionId = @id AND t.OperationId = @op) THEN 0
                 WHEN @answered IS NOT NULL THEN @answered
                 WHEN s.SessionId IS NULL THEN 0
                 WHEN EXISTS (SELECT t.SessionId FROM dbo.MirrorStateTombstones AS t WHERE t.SessionId = @id AND t.Created = @waited) THEN 0
                 WHEN @clock > @notAfter THEN 7
                 WHEN @lockOp IS NOT NULL AND s.Locked = 1 AND s.LockCookie = @lockCookie AND s.LockOperationId = @lockOp
                      AND s.LockOperationCookie = @lockCookie THEN 7
                 WHEN @lockOp IS NOT NULL THEN 3
                 WHEN s.Locked = 1 AND s.LockDate > @abandoned THEN 2
                 ELSE 7
               END,
               @cookie = s.LockCookie, @age = DATEDIFF(second, s.LockDate, @now), @minutes = CASE WHEN (s.TimeoutSeconds + 59) / 60 = s.Timeout THEN -s.TimeoutSeconds ELSE s.Timeout END, @expires = s.Expires, @created = s.Created,
               @locked = s.Locked, @newest = s.OperationId1, @actionFlags = s.Flags & 1
        FROM dbo.MirrorStateEpoch AS e LEFT JOIN dbo.ASPStateTempSessions AS s ON s.SessionId = @id
        WHERE e.Id = 1

        IF @careful = 1
        BEGIN
            IF @result < 4 AND (@answered IS NULL OR @own = 0) AND (@resent = 1 OR (@settle > 0 AND (@settle = 1 OR @result <> 2)))
                EXECUTE dbo.MirrorState_Settle_1 @id, @op, @call, @result
            COMMIT TRANSACTION
            BREAK
        END
        IF @clock > @notAfter OR (@result <> 7 AND (@settle = 0 OR (@settle = 2 AND @result = 2) OR @result = 6)) BREAK
        SET @careful = 1
    END
    SELECT @result AS Result, @cookie AS LockCookie, @age AS LockAge, @minutes AS Timeout, @expires AS Expires, @created AS Created,
           @locked AS Locked, @newest AS OperationId1, @actionFlags AS ActionFlags, NULL AS Item
    RETURN 0
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
COMMIT TRANSACTION
GO
