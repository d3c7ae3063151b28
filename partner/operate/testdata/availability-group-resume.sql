-- ======== part 1, on a (sql1.example.com) ========
-- mirrorstate pair resume, database ASPState, topology availability-group.
-- Part 1 of 2, on server a (sql1.example.com). Run the parts in order, each until it ends: sqlcmd -b -y 0 -S sql1.example.com -i FILE
-- Stop at the first error and fix its cause. Every step can be run again.
-- NOT CHECKED, because this was written without asking the servers:
--   - that a (sql1.example.com) is the primary
--   - that the servers' @@SERVERNAME are SQL1 and SQL2, the group is called ASPState_ag, and it has no cluster
USE [master];
GO

-- 1. This server is the primary
IF NOT EXISTS (SELECT 1 AS yes FROM sys.availability_groups g JOIN sys.dm_hadr_availability_replica_states s ON s.group_id = g.group_id WHERE g.name = N'ASPState_ag' AND s.is_local = 1 AND s.role_desc = N'PRIMARY')
  THROW 85251, N'35251: this server is not the group''s primary; send the statement to the primary: check pair status', 1;
GO

-- 2. Resume data movement
--    After a forced failover the secondary is suspended, and this permanently discards the data that only it has.
IF NOT EXISTS (SELECT 1 AS yes FROM sys.availability_databases_cluster c JOIN sys.dm_hadr_database_replica_states l ON l.group_database_id = c.group_database_id WHERE c.database_name = N'ASPState' AND l.is_local = 1 AND l.is_suspended = 0)
  ALTER DATABASE [ASPState] SET HADR RESUME;
--    Error 35239 means that there was nothing to do.
--    Error 35242 means that there was nothing to do.
GO

-- 3. Data movement is resumed
DECLARE @end datetime2 = DATEADD(second, 60, SYSUTCDATETIME());
WHILE NOT EXISTS (SELECT 1 AS yes FROM sys.availability_databases_cluster c JOIN sys.dm_hadr_database_replica_states l ON l.group_database_id = c.group_database_id WHERE c.database_name = N'ASPState' AND l.is_local = 1 AND l.is_suspended = 0) AND SYSUTCDATETIME() < @end
BEGIN
  IF NOT EXISTS (SELECT 1 AS yes FROM sys.availability_databases_cluster c JOIN sys.dm_hadr_database_replica_states l ON l.group_database_id = c.group_database_id WHERE c.database_name = N'ASPState' AND l.is_local = 1 AND l.is_suspended = 0)
  BEGIN TRY
    ALTER DATABASE [ASPState] SET HADR RESUME;
  END TRY
  BEGIN CATCH
    PRINT ERROR_MESSAGE();
  END CATCH;
  WAITFOR DELAY '00:00:01';
END;
IF NOT EXISTS (SELECT 1 AS yes FROM sys.availability_databases_cluster c JOIN sys.dm_hadr_database_replica_states l ON l.group_database_id = c.group_database_id WHERE c.database_name = N'ASPState' AND l.is_local = 1 AND l.is_suspended = 0)
  THROW 50000, N'state not reached: Data movement is resumed; check pair status and the error logs of both servers', 1;
GO


-- ======== part 2, on b (sql2.example.com) ========
-- mirrorstate pair resume, database ASPState, topology availability-group.
-- Part 2 of 2, on server b (sql2.example.com). Run the parts in order, each until it ends: sqlcmd -b -y 0 -S sql2.example.com -i FILE
USE [master];
GO

-- 4. Resume data movement
--    After a forced failover the secondary is suspended, and this permanently discards the data that only it has.
IF NOT EXISTS (SELECT 1 AS yes FROM sys.availability_databases_cluster c JOIN sys.dm_hadr_database_replica_states l ON l.group_database_id = c.group_database_id WHERE c.database_name = N'ASPState' AND l.is_local = 1 AND l.is_suspended = 0)
  ALTER DATABASE [ASPState] SET HADR RESUME;
--    Error 35239 means that there was nothing to do.
--    Error 35242 means that there was nothing to do.
GO

-- 5. Data movement is resumed
DECLARE @end datetime2 = DATEADD(second, 60, SYSUTCDATETIME());
WHILE NOT EXISTS (SELECT 1 AS yes FROM sys.availability_databases_cluster c JOIN sys.dm_hadr_database_replica_states l ON l.group_database_id = c.group_database_id WHERE c.database_name = N'ASPState' AND l.is_local = 1 AND l.is_suspended = 0) AND SYSUTCDATETIME() < @end
BEGIN
  IF NOT EXISTS (SELECT 1 AS yes FROM sys.availability_databases_cluster c JOIN sys.dm_hadr_database_replica_states l ON l.group_database_id = c.group_database_id WHERE c.database_name = N'ASPState' AND l.is_local = 1 AND l.is_suspended = 0)
  BEGIN TRY
    ALTER DATABASE [ASPState] SET HADR RESUME;
  END TRY
  BEGIN CATCH
    PRINT ERROR_MESSAGE();
  END CATCH;
  WAITFOR DELAY '00:00:01';
END;
IF NOT EXISTS (SELECT 1 AS yes FROM sys.availability_databases_cluster c JOIN sys.dm_hadr_database_replica_states l ON l.group_database_id = c.group_database_id WHERE c.database_name = N'ASPState' AND l.is_local = 1 AND l.is_suspended = 0)
  THROW 50000, N'state not reached: Data movement is resumed; check pair status and the error logs of both servers', 1;
GO


