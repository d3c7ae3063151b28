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
-- The last five columns, if an earlier version of the extension is installed.
IF COL_LENGTH(N'dbo.ASPStateTempSessions', N'Settled') IS NULL
    ALTER TABLE dbo.ASPStateTempSessions ADD
        LockCallId          binary(16) NULL,
        Settled             datetime2(7) NULL,
        MadeOperationId     binary(16) NULL
GO
IF COL_LENGTH(N'dbo.ASPStateTempSessions', N'TimeoutSeconds') IS NULL
    ALTER TABLE dbo.ASPStateTempSessions ADD
        TimeoutSeconds      int        NULL,
        TimeoutDate         datetime2(7) NULL
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
IF NOT EXISTS (SELECT Id FROM dbo.MirrorStateEpoch)
    INSERT INTO dbo.MirrorStateEpoch (Id, Epoch, [Server], FleetSecret) VALUES (1, 0, N'', NULL)
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
IF COL_LENGTH(N'dbo.MirrorStateTombstones', N'Created') IS NULL
    ALTER TABLE dbo.MirrorStateTombstones ADD Created datetime NULL
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
IF NOT EXISTS (SELECT Id FROM dbo.MirrorStateSweep)
    INSERT INTO dbo.MirrorStateSweep (Id, Owner, LeasedUntil, LastRun, Deleted) VALUES (1, NULL, NULL, NULL, 0)
GO
