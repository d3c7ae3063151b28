-- mirrorstate install, dry run: database ASPState. Nothing was sent.
-- Not checked, because no server was asked (no pair is configured):
-- - which partner is the principal: on a mirror the script fails at once (954)
-- - the state of the database: the script assumes an ASPState with the extension (--onto)
-- - the texts of the stock procedures: each existing one is replaced, and keeps its rights
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

USE [ASPState]
GO

-- drop every session, and create the stock objects again
BEGIN TRANSACTION
GO
-- Deletes all sessions, all registrations of applications, and the records of removed sessions and answered calls.
IF OBJECT_ID(N'dbo.ASPStateTempSessions', N'U') IS NOT NULL DROP TABLE dbo.ASPStateTempSessions
GO
IF OBJECT_ID(N'dbo.ASPStateTempApplications', N'U') IS NOT NULL DROP TABLE dbo.ASPStateTempApplications
GO
IF OBJECT_ID(N'dbo.MirrorStateTombstones', N'U') IS NOT NULL DELETE FROM dbo.MirrorStateTombstones
GO
IF OBJECT_ID(N'dbo.MirrorStateSettled', N'U') IS NOT NULL DELETE FROM dbo.MirrorStateSettled
GO
ALTER PROCEDURE dbo.CreateTempTables
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
ALTER PROCEDURE dbo.GetMajorVersion
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
ALTER PROCEDURE dbo.TempGetVersion
    @ver char(10) OUTPUT
AS
    SET @ver = '2'
    RETURN 0
GO
ALTER PROCEDURE dbo.GetHashCode
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
ALTER PROCEDURE dbo.TempGetAppID
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
ALTER PROCEDURE dbo.DeleteExpiredSessions
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
ALTER PROCEDURE dbo.TempGetStateItem
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
ALTER PROCEDURE dbo.TempGetStateItem2
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
ALTER PROCEDURE dbo.TempGetStateItem3
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
ALTER PROCEDURE dbo.TempGetStateItemExclusive
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
ALTER PROCEDURE dbo.TempGetStateItemExclusive2
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
ALTER PROCEDURE dbo.TempGetStateItemExclusive3
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
ALTER PROCEDURE dbo.TempInsertUninitializedItem
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
ALTER PROCEDURE dbo.TempInsertStateItemShort
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
ALTER PROCEDURE dbo.TempInsertStateItemLong
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
ALTER PROCEDURE dbo.TempUpdateStateItemShort
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
ALTER PROCEDURE dbo.TempUpdateStateItemShortNullLong
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
ALTER PROCEDURE dbo.TempUpdateStateItemLong
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
ALTER PROCEDURE dbo.TempUpdateStateItemLongNullShort
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
ALTER PROCEDURE dbo.TempReleaseStateItemExclusive
    @id         nvarchar(88),
    @lockCookie int
AS
    UPDATE dbo.ASPStateTempSessions
    SET Expires = DATEADD(minute, Timeout, GETUTCDATE()), Locked = 0
    WHERE SessionId = @id AND LockCookie = @lockCookie
    RETURN 0
GO
ALTER PROCEDURE dbo.TempRemoveStateItem
    @id         nvarchar(88),
    @lockCookie int
AS
    DELETE FROM dbo.ASPStateTempSessions WHERE SessionId = @id AND LockCookie = @lockCookie
    RETURN 0
GO
ALTER PROCEDURE dbo.TempResetTimeout
    @id nvarchar(88)
AS
    UPDATE dbo.ASPStateTempSessions
    SET Expires = DATEADD(minute, Timeout, GETUTCDATE())
    WHERE SessionId = @id
    RETURN 0
GO
IF OBJECT_ID(N'dbo.ASPStateTempSessions', N'U') IS NULL EXECUTE dbo.CreateTempTables
GO
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
COMMIT TRANSACTION
GO
