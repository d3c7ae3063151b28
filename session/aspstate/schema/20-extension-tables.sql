-- What the extension adds to ASPState: nullable columns, which .NET never names and so never
-- notices, and tables of its own. No filtered index and no index on a computed column: the stock
-- procedures may have been made with QUOTED_IDENTIFIER OFF, and their writes would fail (1934).

IF COL_LENGTH(N'dbo.ASPStateTempSessions', N'LockOperationId') IS NULL
    ALTER TABLE dbo.ASPStateTempSessions ADD
        LockOperationId     binary(16) NULL, -- operation id of the acquire that was granted the lock
        LockOperationCookie int        NULL, -- the LockCookie it was granted with; .NET's acquires move one and not the other
        LockActionFlags     int        NULL, -- the action flags that grant reports (1: uninitialized), or those that its holder stored since
        OperationId1        binary(16) NULL, -- the ring: the last four operations, newest first
        OperationId2        binary(16) NULL,
        OperationId3        binary(16) NULL,
        OperationId4        binary(16) NULL,
        OperationDate1      datetime2(7) NULL, -- when each was executed, UTC
        OperationDate2      datetime2(7) NULL,
        OperationDate3      datetime2(7) NULL,
        OperationDate4      datetime2(7) NULL,
        OperationsForgotten datetime2(7) NULL, -- when the newest operation that left the ring was executed
        LockCallId          binary(16) NULL, -- the call of the acquire that may give its lock back; NULL: none may
        Settled             datetime2(7) NULL, -- when an operation on this session was last entered in MirrorStateSettled
        MadeOperationId     binary(16) NULL, -- the operation that made the session; of one that .NET made there is none
        TimeoutSeconds      int        NULL, -- the timeout, where it was given in seconds; counts while Timeout is its minutes, rounded up
        TimeoutDate         datetime2(7) NULL -- when a call last set the timeout, UTC
GO
-- The last five, where the extension is of an earlier version.
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
        [Server]    nvarchar(256) NOT NULL, -- the server that took it
        FleetSecret binary(32)    NULL      -- makes operation ids of Idempotency-Keys, and seals tags and handles
    )
GO
IF NOT EXISTS (SELECT Id FROM dbo.MirrorStateEpoch)
    INSERT INTO dbo.MirrorStateEpoch (Id, Epoch, [Server], FleetSecret) VALUES (1, 0, N'', NULL)
GO

-- Removed sessions, kept ten minutes, with the operations they remembered: a re-sent store never
-- inserts past one.
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
        Created      datetime     NULL,     -- when that session was made
        PRIMARY KEY (SessionId, OperationId)
    )
    CREATE INDEX Index_Removed ON dbo.MirrorStateTombstones (Removed)
END
GO
IF COL_LENGTH(N'dbo.MirrorStateTombstones', N'Created') IS NULL
    ALTER TABLE dbo.MirrorStateTombstones ADD Created datetime NULL
GO

-- Calls that have been answered, kept ten minutes: no attempt of theirs that was sent before has an
-- effect any more, however late the network delivers it. Only what was sent again, and refusals of what
-- others may send again, are entered: the table is almost empty.
IF OBJECT_ID(N'dbo.MirrorStateSettled', N'U') IS NULL
BEGIN
    CREATE TABLE dbo.MirrorStateSettled (
        OperationId binary(16)   NOT NULL,
        CallId      binary(16)   NOT NULL, -- which call of the operation was answered
        Settled     datetime2(7) NOT NULL, -- when
        Result      int          NOT NULL, -- what; 7: its caller has left, and only its own attempts are meant
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
        LeasedUntil datetime2(7) NULL,          -- then anybody may take it
        LastRun     datetime2(7) NULL,          -- when a batch was last deleted, or found nothing to delete
        Deleted     bigint       NOT NULL       -- rows, since the table was made
    )
GO
IF NOT EXISTS (SELECT Id FROM dbo.MirrorStateSweep)
    INSERT INTO dbo.MirrorStateSweep (Id, Owner, LeasedUntil, LastRun, Deleted) VALUES (1, NULL, NULL, NULL, 0)
GO
