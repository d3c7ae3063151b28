-- mirrorstate uninstall, dry run: database ASPState. Nothing was sent.
-- Not checked, because no server was asked (no pair is configured):
-- - which partner is the principal: on a mirror the script fails at once (954)
-- - the state of the database: the script assumes an ASPState with the extension (--onto)
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

-- drop the extension's tables and procedures
BEGIN TRANSACTION
GO
-- Removes the extension and nothing that .NET uses: no stock table, column or procedure, no session, no application. The
-- role mirrorstate_proxy stays, with its rights on the stock objects.
-- The epoch is removed first: without it every proxy uses the schema as a stock one.
IF OBJECT_ID(N'dbo.MirrorStateEpoch', N'U') IS NOT NULL DROP TABLE dbo.MirrorStateEpoch
GO
IF OBJECT_ID(N'dbo.MirrorState_TakeEpoch_1', N'P') IS NOT NULL DROP PROCEDURE dbo.MirrorState_TakeEpoch_1
GO
IF OBJECT_ID(N'dbo.MirrorState_RaiseEpoch_1', N'P') IS NOT NULL DROP PROCEDURE dbo.MirrorState_RaiseEpoch_1
GO
IF OBJECT_ID(N'dbo.MirrorState_FleetSecret_1', N'P') IS NOT NULL DROP PROCEDURE dbo.MirrorState_FleetSecret_1
GO
IF OBJECT_ID(N'dbo.MirrorState_GetAppId_1', N'P') IS NOT NULL DROP PROCEDURE dbo.MirrorState_GetAppId_1
GO
IF OBJECT_ID(N'dbo.MirrorState_Get_1', N'P') IS NOT NULL DROP PROCEDURE dbo.MirrorState_Get_1
GO
IF OBJECT_ID(N'dbo.MirrorState_Touch_1', N'P') IS NOT NULL DROP PROCEDURE dbo.MirrorState_Touch_1
GO
IF OBJECT_ID(N'dbo.MirrorState_Enter_1', N'P') IS NOT NULL DROP PROCEDURE dbo.MirrorState_Enter_1
GO
IF OBJECT_ID(N'dbo.MirrorState_Settle_1', N'P') IS NOT NULL DROP PROCEDURE dbo.MirrorState_Settle_1
GO
IF OBJECT_ID(N'dbo.MirrorState_Acquire_1', N'P') IS NOT NULL DROP PROCEDURE dbo.MirrorState_Acquire_1
GO
IF OBJECT_ID(N'dbo.MirrorState_Update_1', N'P') IS NOT NULL DROP PROCEDURE dbo.MirrorState_Update_1
GO
IF OBJECT_ID(N'dbo.MirrorState_Release_1', N'P') IS NOT NULL DROP PROCEDURE dbo.MirrorState_Release_1
GO
IF OBJECT_ID(N'dbo.MirrorState_GiveBack_1', N'P') IS NOT NULL DROP PROCEDURE dbo.MirrorState_GiveBack_1
GO
IF OBJECT_ID(N'dbo.MirrorState_Store_1', N'P') IS NOT NULL DROP PROCEDURE dbo.MirrorState_Store_1
GO
IF OBJECT_ID(N'dbo.MirrorState_Remove_1', N'P') IS NOT NULL DROP PROCEDURE dbo.MirrorState_Remove_1
GO
IF OBJECT_ID(N'dbo.MirrorState_Sweep_1', N'P') IS NOT NULL DROP PROCEDURE dbo.MirrorState_Sweep_1
GO
IF OBJECT_ID(N'dbo.MirrorStateTombstones', N'U') IS NOT NULL DROP TABLE dbo.MirrorStateTombstones
GO
IF OBJECT_ID(N'dbo.MirrorStateSettled', N'U') IS NOT NULL DROP TABLE dbo.MirrorStateSettled
GO
IF OBJECT_ID(N'dbo.MirrorStateSweep', N'U') IS NOT NULL DROP TABLE dbo.MirrorStateSweep
GO
COMMIT TRANSACTION
GO

-- drop the extension's columns from ASPStateTempSessions
ALTER TABLE dbo.ASPStateTempSessions DROP COLUMN
    LockOperationId, LockOperationCookie, LockActionFlags,
    OperationId1, OperationId2, OperationId3, OperationId4,
    OperationDate1, OperationDate2, OperationDate3, OperationDate4, OperationsForgotten,
    LockCallId, Settled, MadeOperationId, TimeoutSeconds, TimeoutDate
GO
