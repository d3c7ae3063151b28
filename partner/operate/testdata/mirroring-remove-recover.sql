-- ======== part 1, on a (sql1) ========
-- mirrorstate pair remove, database ASPState, topology mirroring.
-- Part 1 of 2, on server a (sql1). Run the parts in order, each until it ends: sqlcmd -b -y 0 -S sql1 -i FILE
-- Stop at the first error and fix its cause. Every step can be run again.
-- NOT CHECKED, because this was written without asking the servers:
--   - that a (sql1) is the principal
USE [master];
GO

-- 1. The database is mirrored
IF NOT EXISTS (SELECT 1 AS yes FROM sys.databases d JOIN sys.database_mirroring m ON m.database_id = d.database_id WHERE d.name = N'ASPState' AND m.mirroring_guid IS NOT NULL)
  THROW 51416, N'1416: the database is not mirrored, or this login may not see it; run pair setup first; if the database is mirrored, use a login that is sysadmin', 1;
GO

-- 2. Remove the witness
IF NOT EXISTS (SELECT 1 AS yes FROM sys.databases d JOIN sys.database_mirroring m ON m.database_id = d.database_id WHERE d.name = N'ASPState' AND (m.mirroring_witness_name IS NULL OR m.mirroring_witness_name = N''))
  ALTER DATABASE [ASPState] SET WITNESS OFF;
--    Error 1439 means that there was nothing to do.
GO

-- 3. End the session
ALTER DATABASE [ASPState] SET PARTNER OFF;
GO

-- 4. The database is no longer mirrored
DECLARE @end datetime2 = DATEADD(second, 60, SYSUTCDATETIME());
WHILE NOT EXISTS (SELECT 1 AS yes FROM sys.databases d JOIN sys.database_mirroring m ON m.database_id = d.database_id WHERE d.name = N'ASPState' AND m.mirroring_guid IS NULL) AND SYSUTCDATETIME() < @end
  WAITFOR DELAY '00:00:01';
IF NOT EXISTS (SELECT 1 AS yes FROM sys.databases d JOIN sys.database_mirroring m ON m.database_id = d.database_id WHERE d.name = N'ASPState' AND m.mirroring_guid IS NULL)
  THROW 50000, N'state not reached: The database is no longer mirrored; check pair status and the error logs of both servers', 1;
GO


-- ======== part 2, on b (sql2) ========
-- mirrorstate pair remove, database ASPState, topology mirroring.
-- Part 2 of 2, on server b (sql2). Run the parts in order, each until it ends: sqlcmd -b -y 0 -S sql2 -i FILE
USE [master];
GO

-- 5. The other server's copy is no longer mirrored either
DECLARE @end datetime2 = DATEADD(second, 60, SYSUTCDATETIME());
WHILE NOT EXISTS (SELECT 1 AS yes FROM sys.databases d JOIN sys.database_mirroring m ON m.database_id = d.database_id WHERE d.name = N'ASPState' AND m.mirroring_guid IS NULL) AND SYSUTCDATETIME() < @end
  WAITFOR DELAY '00:00:01';
IF NOT EXISTS (SELECT 1 AS yes FROM sys.databases d JOIN sys.database_mirroring m ON m.database_id = d.database_id WHERE d.name = N'ASPState' AND m.mirroring_guid IS NULL)
  THROW 50000, N'state not reached: The other server''s copy is no longer mirrored either; check pair status and the error logs of both servers', 1;
GO

-- 6. Open the copy
--    From now on there are two independent databases with one name: configure the proxy for the right one.
IF NOT EXISTS (SELECT 1 AS yes FROM sys.databases WHERE name = N'ASPState' AND state_desc = N'ONLINE')
  RESTORE DATABASE [ASPState] WITH RECOVERY;
GO

-- 7. The copy is open
DECLARE @end datetime2 = DATEADD(second, 60, SYSUTCDATETIME());
WHILE NOT EXISTS (SELECT 1 AS yes FROM sys.databases WHERE name = N'ASPState' AND state_desc = N'ONLINE') AND SYSUTCDATETIME() < @end
  WAITFOR DELAY '00:00:01';
IF NOT EXISTS (SELECT 1 AS yes FROM sys.databases WHERE name = N'ASPState' AND state_desc = N'ONLINE')
  THROW 50000, N'the copy does not open; read the server''s error log', 1;
GO

-- Endpoints, certificates and logins are kept: other databases may use them.

