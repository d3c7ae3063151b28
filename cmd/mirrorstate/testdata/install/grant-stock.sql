-- mirrorstate install, dry run: database ASPState. Nothing was sent.
-- Not checked, because no server was asked (no pair is configured):
-- - which partner is the principal: on a mirror the script fails at once (954)
-- - the state of the database: the script assumes a stock ASPState, made by aspnet_regsql -sstype p (--onto)
-- - whether the login web exists, with the same SID on both partners, and the name of its user
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

-- grant the role mirrorstate_proxy its rights
BEGIN TRANSACTION
GO
-- The least rights of a proxy: EXECUTE on the procedures that it calls, SELECT on the tables that it queries (for the
-- principal, and mirrorstate session list), and DELETE for sweeping a stock ASPState in batches. All other access to
-- tables is through the procedures, which have the same owner.
IF DATABASE_PRINCIPAL_ID(N'mirrorstate_proxy') IS NULL CREATE ROLE mirrorstate_proxy
GO
GRANT SELECT ON dbo.ASPStateTempSessions TO mirrorstate_proxy
GRANT DELETE ON dbo.ASPStateTempSessions TO mirrorstate_proxy
GRANT SELECT ON dbo.ASPStateTempApplications TO mirrorstate_proxy
GRANT EXECUTE ON dbo.GetMajorVersion TO mirrorstate_proxy
GRANT EXECUTE ON dbo.TempGetVersion TO mirrorstate_proxy
GRANT EXECUTE ON dbo.GetHashCode TO mirrorstate_proxy
GRANT EXECUTE ON dbo.TempGetAppID TO mirrorstate_proxy
GRANT EXECUTE ON dbo.DeleteExpiredSessions TO mirrorstate_proxy
GRANT EXECUTE ON dbo.TempGetStateItem TO mirrorstate_proxy
GRANT EXECUTE ON dbo.TempGetStateItem2 TO mirrorstate_proxy
GRANT EXECUTE ON dbo.TempGetStateItem3 TO mirrorstate_proxy
GRANT EXECUTE ON dbo.TempGetStateItemExclusive TO mirrorstate_proxy
GRANT EXECUTE ON dbo.TempGetStateItemExclusive2 TO mirrorstate_proxy
GRANT EXECUTE ON dbo.TempGetStateItemExclusive3 TO mirrorstate_proxy
GRANT EXECUTE ON dbo.TempInsertUninitializedItem TO mirrorstate_proxy
GRANT EXECUTE ON dbo.TempInsertStateItemShort TO mirrorstate_proxy
GRANT EXECUTE ON dbo.TempInsertStateItemLong TO mirrorstate_proxy
GRANT EXECUTE ON dbo.TempUpdateStateItemShort TO mirrorstate_proxy
GRANT EXECUTE ON dbo.TempUpdateStateItemShortNullLong TO mirrorstate_proxy
GRANT EXECUTE ON dbo.TempUpdateStateItemLong TO mirrorstate_proxy
GRANT EXECUTE ON dbo.TempUpdateStateItemLongNullShort TO mirrorstate_proxy
GRANT EXECUTE ON dbo.TempReleaseStateItemExclusive TO mirrorstate_proxy
GRANT EXECUTE ON dbo.TempRemoveStateItem TO mirrorstate_proxy
GRANT EXECUTE ON dbo.TempResetTimeout TO mirrorstate_proxy
GO
-- The user of the login. It has the SID of the login. The login on the other partner must have the same SID; otherwise
-- it has no access after a failover.
CREATE USER [web] FOR LOGIN [web]
GO
ALTER ROLE mirrorstate_proxy ADD MEMBER [web]
GO
COMMIT TRANSACTION
GO
