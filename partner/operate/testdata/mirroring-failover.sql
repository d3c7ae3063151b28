-- ======== part 1, on b (sql2.example.com) ========
-- mirrorstate pair failover, database ASPState, topology mirroring.
-- Part 1 of 4, on server b (sql2.example.com). Run the parts in order, each until it ends: sqlcmd -b -y 0 -S sql2.example.com -i FILE
-- Stop at the first error and fix its cause. Every step can be run again.
-- NOT CHECKED, because this was written without asking the servers:
--   - that a (sql1.example.com) is the principal
USE [master];
GO

-- 1. This server is the mirror
IF NOT EXISTS (SELECT 1 AS yes FROM sys.databases d JOIN sys.database_mirroring m ON m.database_id = d.database_id WHERE d.name = N'ASPState' AND (m.mirroring_role_desc = N'MIRROR' OR m.mirroring_role_desc IS NULL) AND d.state_desc = N'RESTORING')
  THROW 51447, N'1447: this server is not the mirror; start the other partner, or force service if the principal is lost', 1;
GO


-- ======== part 2, on a (sql1.example.com) ========
-- mirrorstate pair failover, database ASPState, topology mirroring.
-- Part 2 of 4, on server a (sql1.example.com). Run the parts in order, each until it ends: sqlcmd -b -y 0 -S sql1.example.com -i FILE
USE [master];
GO

-- 2. The database is mirrored
IF NOT EXISTS (SELECT 1 AS yes FROM sys.databases d JOIN sys.database_mirroring m ON m.database_id = d.database_id WHERE d.name = N'ASPState' AND m.mirroring_guid IS NOT NULL)
  THROW 51416, N'1416: the database is not mirrored, or this login may not see it; run pair setup first; if the database is mirrored, use a login that is sysadmin', 1;
GO

-- 3. This server is the principal
IF NOT EXISTS (SELECT 1 AS yes FROM sys.databases d JOIN sys.database_mirroring m ON m.database_id = d.database_id WHERE d.name = N'ASPState' AND m.mirroring_role_desc = N'PRINCIPAL')
  THROW 51470, N'1470: this server is not the principal; send the statement to the principal: the roles may have changed, so check pair status and retry', 1;
GO

-- 4. SAFETY is FULL, which a failover without data loss requires
IF NOT EXISTS (SELECT 1 AS yes FROM sys.databases d JOIN sys.database_mirroring m ON m.database_id = d.database_id WHERE d.name = N'ASPState' AND m.mirroring_safety_level_desc = N'FULL')
  THROW 51477, N'1477: the safety level is not FULL; ALTER DATABASE ... SET PARTNER SAFETY FULL on the principal, wait for SYNCHRONIZED, then fail over', 1;
GO

-- 5. The partners are connected
IF NOT EXISTS (SELECT 1 AS yes FROM sys.databases d JOIN sys.database_mirroring m ON m.database_id = d.database_id WHERE d.name = N'ASPState' AND m.mirroring_state_desc <> N'DISCONNECTED')
  THROW 51447, N'1447: the partners are not connected; start the other partner, or force service if the principal is lost', 1;
GO

-- 6. The mirror has all that the principal has
IF NOT EXISTS (SELECT 1 AS yes FROM sys.databases d JOIN sys.database_mirroring m ON m.database_id = d.database_id WHERE d.name = N'ASPState' AND m.mirroring_state_desc = N'SYNCHRONIZED')
  THROW 51422, N'1422: the mirror is not SYNCHRONIZED; wait until the state is SYNCHRONIZED; run pair resume if it is SUSPENDED', 1;
GO

-- 7. Exchange the roles
--    The session must be in master: SQL Server kills the sessions in the database. The statement may return an error although the roles change: the views decide.
ALTER DATABASE [ASPState] SET PARTNER FAILOVER;
GO


-- ======== part 3, on b (sql2.example.com) ========
-- mirrorstate pair failover, database ASPState, topology mirroring.
-- Part 3 of 4, on server b (sql2.example.com). Run the parts in order, each until it ends: sqlcmd -b -y 0 -S sql2.example.com -i FILE
USE [master];
GO

-- 8. The former mirror is the principal
DECLARE @end datetime2 = DATEADD(second, 60, SYSUTCDATETIME());
WHILE NOT EXISTS (SELECT 1 AS yes FROM sys.databases d JOIN sys.database_mirroring m ON m.database_id = d.database_id WHERE d.name = N'ASPState' AND m.mirroring_role_desc = N'PRINCIPAL' AND d.state_desc = N'ONLINE') AND SYSUTCDATETIME() < @end
  WAITFOR DELAY '00:00:01';
IF NOT EXISTS (SELECT 1 AS yes FROM sys.databases d JOIN sys.database_mirroring m ON m.database_id = d.database_id WHERE d.name = N'ASPState' AND m.mirroring_role_desc = N'PRINCIPAL' AND d.state_desc = N'ONLINE')
  THROW 50000, N'state not reached: The former mirror is the principal; check pair status and the error logs of both servers', 1;
GO

-- 9. The new mirror follows
DECLARE @end datetime2 = DATEADD(second, 60, SYSUTCDATETIME());
WHILE NOT EXISTS (SELECT 1 AS yes FROM sys.databases d JOIN sys.database_mirroring m ON m.database_id = d.database_id WHERE d.name = N'ASPState' AND (m.mirroring_state_desc = N'SYNCHRONIZED' OR m.mirroring_state_desc = N'SYNCHRONIZING' OR m.mirroring_state_desc IS NULL)) AND SYSUTCDATETIME() < @end
  WAITFOR DELAY '00:00:01';
IF NOT EXISTS (SELECT 1 AS yes FROM sys.databases d JOIN sys.database_mirroring m ON m.database_id = d.database_id WHERE d.name = N'ASPState' AND (m.mirroring_state_desc = N'SYNCHRONIZED' OR m.mirroring_state_desc = N'SYNCHRONIZING' OR m.mirroring_state_desc IS NULL))
  THROW 50000, N'state not reached: The new mirror follows; check pair status and the error logs of both servers', 1;
GO


-- ======== part 4, on a (sql1.example.com) ========
-- mirrorstate pair failover, database ASPState, topology mirroring.
-- Part 4 of 4, on server a (sql1.example.com). Run the parts in order, each until it ends: sqlcmd -b -y 0 -S sql1.example.com -i FILE
USE [master];
GO

-- 10. The former principal is the mirror
DECLARE @end datetime2 = DATEADD(second, 60, SYSUTCDATETIME());
WHILE NOT EXISTS (SELECT 1 AS yes FROM sys.databases d JOIN sys.database_mirroring m ON m.database_id = d.database_id WHERE d.name = N'ASPState' AND (m.mirroring_role_desc = N'MIRROR' OR m.mirroring_role_desc IS NULL) AND d.state_desc = N'RESTORING') AND SYSUTCDATETIME() < @end
  WAITFOR DELAY '00:00:01';
IF NOT EXISTS (SELECT 1 AS yes FROM sys.databases d JOIN sys.database_mirroring m ON m.database_id = d.database_id WHERE d.name = N'ASPState' AND (m.mirroring_role_desc = N'MIRROR' OR m.mirroring_role_desc IS NULL) AND d.state_desc = N'RESTORING')
  THROW 50000, N'state not reached: The former principal is the mirror; check pair status and the error logs of both servers', 1;
GO


