-- ======== part 1, on a (sql1.example.com) ========
-- mirrorstate pair suspend, database ASPState, topology mirroring.
-- Part 1 of 2, on server a (sql1.example.com). Run the parts in order, each until it ends: sqlcmd -b -y 0 -S sql1.example.com -i FILE
-- Stop at the first error and fix its cause. Every step can be run again.
-- NOT CHECKED, because this was written without asking the servers:
--   - that a (sql1.example.com) is the principal
USE [master];
GO

-- 1. The database is mirrored
IF NOT EXISTS (SELECT 1 AS yes FROM sys.databases d JOIN sys.database_mirroring m ON m.database_id = d.database_id WHERE d.name = N'ASPState' AND m.mirroring_guid IS NOT NULL)
  THROW 51416, N'1416: the database is not mirrored, or this login may not see it; run pair setup first; if the database is mirrored, use a login that is sysadmin', 1;
GO

-- 2. This server is the principal
IF NOT EXISTS (SELECT 1 AS yes FROM sys.databases d JOIN sys.database_mirroring m ON m.database_id = d.database_id WHERE d.name = N'ASPState' AND m.mirroring_role_desc = N'PRINCIPAL')
  THROW 51470, N'1470: this server is not the principal; send the statement to the principal: the roles may have changed, so check pair status and retry', 1;
GO

-- 3. Stop sending the log
--    Until mirroring is resumed, the log can't be truncated and grows, and new writes have no second copy. The suspension survives restarts.
IF NOT EXISTS (SELECT 1 AS yes FROM sys.databases d JOIN sys.database_mirroring m ON m.database_id = d.database_id WHERE d.name = N'ASPState' AND m.mirroring_state_desc = N'SUSPENDED')
  ALTER DATABASE [ASPState] SET PARTNER SUSPEND;
GO

-- 4. The session is suspended
DECLARE @end datetime2 = DATEADD(second, 60, SYSUTCDATETIME());
WHILE NOT EXISTS (SELECT 1 AS yes FROM sys.databases d JOIN sys.database_mirroring m ON m.database_id = d.database_id WHERE d.name = N'ASPState' AND (m.mirroring_state_desc = N'SUSPENDED' OR m.mirroring_state_desc IS NULL)) AND SYSUTCDATETIME() < @end
  WAITFOR DELAY '00:00:01';
IF NOT EXISTS (SELECT 1 AS yes FROM sys.databases d JOIN sys.database_mirroring m ON m.database_id = d.database_id WHERE d.name = N'ASPState' AND (m.mirroring_state_desc = N'SUSPENDED' OR m.mirroring_state_desc IS NULL))
  THROW 50000, N'state not reached: The session is suspended; check pair status and the error logs of both servers', 1;
GO


-- ======== part 2, on b (sql2.example.com) ========
-- mirrorstate pair suspend, database ASPState, topology mirroring.
-- Part 2 of 2, on server b (sql2.example.com). Run the parts in order, each until it ends: sqlcmd -b -y 0 -S sql2.example.com -i FILE
USE [master];
GO

-- 5. The mirror is suspended too
DECLARE @end datetime2 = DATEADD(second, 60, SYSUTCDATETIME());
WHILE NOT EXISTS (SELECT 1 AS yes FROM sys.databases d JOIN sys.database_mirroring m ON m.database_id = d.database_id WHERE d.name = N'ASPState' AND (m.mirroring_state_desc = N'SUSPENDED' OR m.mirroring_state_desc IS NULL)) AND SYSUTCDATETIME() < @end
  WAITFOR DELAY '00:00:01';
IF NOT EXISTS (SELECT 1 AS yes FROM sys.databases d JOIN sys.database_mirroring m ON m.database_id = d.database_id WHERE d.name = N'ASPState' AND (m.mirroring_state_desc = N'SUSPENDED' OR m.mirroring_state_desc IS NULL))
  THROW 50000, N'state not reached: The mirror is suspended too; check pair status and the error logs of both servers', 1;
GO


