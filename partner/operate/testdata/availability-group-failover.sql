-- ======== part 1, on a (sql1.example.com) ========
-- mirrorstate pair failover, database ASPState, topology availability-group.
-- Part 1 of 7, on server a (sql1.example.com). Run the parts in order, each until it ends: sqlcmd -b -y 0 -S sql1.example.com -i FILE
-- Stop at the first error and fix its cause. Every step can be run again.
-- NOT CHECKED, because this was written without asking the servers:
--   - that a (sql1.example.com) is the primary
--   - that the servers' @@SERVERNAME are SQL1 and SQL2, the group is called ASPState_ag, and it has no cluster
USE [master];
GO

-- 1. This server is the primary
IF NOT EXISTS (SELECT 1 AS yes FROM sys.availability_groups g JOIN sys.dm_hadr_availability_replica_states s ON s.group_id = g.group_id WHERE g.name = N'ASPState_ag' AND s.is_local = 1 AND s.role_desc = N'PRIMARY')
  THROW 91140, N'41140: this server is not the group''s primary; send the statement to the primary: check pair status', 1;
GO


-- ======== part 2, on b (sql2.example.com) ========
-- mirrorstate pair failover, database ASPState, topology availability-group.
-- Part 2 of 7, on server b (sql2.example.com). Run the parts in order, each until it ends: sqlcmd -b -y 0 -S sql2.example.com -i FILE
USE [master];
GO

-- 2. This server is a secondary
IF NOT EXISTS (SELECT 1 AS yes FROM sys.availability_groups g JOIN sys.dm_hadr_availability_replica_states s ON s.group_id = g.group_id WHERE g.name = N'ASPState_ag' AND s.is_local = 1 AND s.role_desc = N'SECONDARY')
  THROW 85252, N'35252: this server is not a secondary of the group; send the statement to the secondary: check pair status', 1;
GO

-- 3. The secondary has all that the primary has, and is not suspended
IF NOT EXISTS (SELECT 1 AS yes FROM sys.availability_databases_cluster c JOIN sys.dm_hadr_database_replica_states l ON l.group_database_id = c.group_database_id WHERE c.database_name = N'ASPState' AND l.is_local = 1 AND l.synchronization_state_desc = N'SYNCHRONIZED' AND l.is_suspended = 0)
  THROW 91142, N'41142: the secondary is not SYNCHRONIZED; wait until the secondary is SYNCHRONIZED and joined', 1;
GO


-- ======== part 3, on a (sql1.example.com) ========
-- mirrorstate pair failover, database ASPState, topology availability-group.
-- Part 3 of 7, on server a (sql1.example.com). Run the parts in order, each until it ends: sqlcmd -b -y 0 -S sql1.example.com -i FILE
USE [master];
GO

-- 4. Let commits wait for a, so that no data can be lost
IF NOT EXISTS (SELECT 1 AS yes FROM sys.availability_groups g JOIN sys.availability_replicas r ON r.group_id = g.group_id WHERE g.name = N'ASPState_ag' AND r.replica_server_name = N'SQL1' AND r.availability_mode_desc = N'SYNCHRONOUS_COMMIT')
  ALTER AVAILABILITY GROUP [ASPState_ag] MODIFY REPLICA ON N'SQL1' WITH (AVAILABILITY_MODE = SYNCHRONOUS_COMMIT);
GO

-- 5. Let commits wait for b, so that no data can be lost
IF NOT EXISTS (SELECT 1 AS yes FROM sys.availability_groups g JOIN sys.availability_replicas r ON r.group_id = g.group_id WHERE g.name = N'ASPState_ag' AND r.replica_server_name = N'SQL2' AND r.availability_mode_desc = N'SYNCHRONOUS_COMMIT')
  ALTER AVAILABILITY GROUP [ASPState_ag] MODIFY REPLICA ON N'SQL2' WITH (AVAILABILITY_MODE = SYNCHRONOUS_COMMIT);
GO


-- ======== part 4, on b (sql2.example.com) ========
-- mirrorstate pair failover, database ASPState, topology availability-group.
-- Part 4 of 7, on server b (sql2.example.com). Run the parts in order, each until it ends: sqlcmd -b -y 0 -S sql2.example.com -i FILE
USE [master];
GO

-- 6. The secondary shows SYNCHRONIZED
DECLARE @end datetime2 = DATEADD(second, 60, SYSUTCDATETIME());
WHILE NOT EXISTS (SELECT 1 AS yes FROM sys.availability_databases_cluster c JOIN sys.dm_hadr_database_replica_states l ON l.group_database_id = c.group_database_id WHERE c.database_name = N'ASPState' AND l.is_local = 1 AND l.synchronization_state_desc = N'SYNCHRONIZED' AND l.is_suspended = 0) AND SYSUTCDATETIME() < @end
  WAITFOR DELAY '00:00:01';
IF NOT EXISTS (SELECT 1 AS yes FROM sys.availability_databases_cluster c JOIN sys.dm_hadr_database_replica_states l ON l.group_database_id = c.group_database_id WHERE c.database_name = N'ASPState' AND l.is_local = 1 AND l.synchronization_state_desc = N'SYNCHRONIZED' AND l.is_suspended = 0)
  THROW 50000, N'state not reached: The secondary shows SYNCHRONIZED; check pair status and the error logs of both servers', 1;
GO


-- ======== part 5, on a (sql1.example.com) ========
-- mirrorstate pair failover, database ASPState, topology availability-group.
-- Part 5 of 7, on server a (sql1.example.com). Run the parts in order, each until it ends: sqlcmd -b -y 0 -S sql1.example.com -i FILE
USE [master];
GO

-- 7. The primary shows SYNCHRONIZED
DECLARE @end datetime2 = DATEADD(second, 60, SYSUTCDATETIME());
WHILE NOT EXISTS (SELECT 1 AS yes FROM sys.availability_databases_cluster c JOIN sys.dm_hadr_database_replica_states l ON l.group_database_id = c.group_database_id WHERE c.database_name = N'ASPState' AND l.is_local = 1 AND l.synchronization_state_desc = N'SYNCHRONIZED' AND l.is_suspended = 0) AND SYSUTCDATETIME() < @end
  WAITFOR DELAY '00:00:01';
IF NOT EXISTS (SELECT 1 AS yes FROM sys.availability_databases_cluster c JOIN sys.dm_hadr_database_replica_states l ON l.group_database_id = c.group_database_id WHERE c.database_name = N'ASPState' AND l.is_local = 1 AND l.synchronization_state_desc = N'SYNCHRONIZED' AND l.is_suspended = 0)
  THROW 50000, N'state not reached: The primary shows SYNCHRONIZED; check pair status and the error logs of both servers', 1;
GO

-- 8. Allow no commit without the secondary from now on
--    It is set to 0 again as soon as the secondary has taken over: with 1 the primary refuses writes while the secondary is away.
ALTER AVAILABILITY GROUP [ASPState_ag] SET (REQUIRED_SYNCHRONIZED_SECONDARIES_TO_COMMIT = 1);
-- If it fails, on a: ALTER AVAILABILITY GROUP [ASPState_ag] SET (REQUIRED_SYNCHRONIZED_SECONDARIES_TO_COMMIT = 0);
GO

-- 9. Stop the primary; no server serves until the next step
--    19416 means that the secondary is no longer SYNCHRONIZED: nothing was done.
BEGIN TRY
  ALTER AVAILABILITY GROUP [ASPState_ag] OFFLINE;
END TRY
BEGIN CATCH
  PRINT N'To recover: If b is not the primary (pair status), make a serve again. On a: ALTER AVAILABILITY GROUP [ASPState_ag] FORCE_FAILOVER_ALLOW_DATA_LOSS; on a: ALTER AVAILABILITY GROUP [ASPState_ag] SET (REQUIRED_SYNCHRONIZED_SECONDARIES_TO_COMMIT = 0).';
  THROW;
END CATCH;
-- If it fails, on a: ALTER AVAILABILITY GROUP [ASPState_ag] SET (REQUIRED_SYNCHRONIZED_SECONDARIES_TO_COMMIT = 0);
GO


-- ======== part 6, on b (sql2.example.com) ========
-- mirrorstate pair failover, database ASPState, topology availability-group.
-- Part 6 of 7, on server b (sql2.example.com). Run the parts in order, each until it ends: sqlcmd -b -y 0 -S sql2.example.com -i FILE
USE [master];
GO

-- 10. Make the secondary the primary
--    Without a cluster there is no other command. No data is lost: the secondary was SYNCHRONIZED, and nothing has been written since.
BEGIN TRY
  ALTER AVAILABILITY GROUP [ASPState_ag] FORCE_FAILOVER_ALLOW_DATA_LOSS;
END TRY
BEGIN CATCH
  PRINT N'To recover: If b is not the primary (pair status), make a serve again. On a: ALTER AVAILABILITY GROUP [ASPState_ag] FORCE_FAILOVER_ALLOW_DATA_LOSS; on a: ALTER AVAILABILITY GROUP [ASPState_ag] SET (REQUIRED_SYNCHRONIZED_SECONDARIES_TO_COMMIT = 0).';
  THROW;
END CATCH;
--    Error 41122 means that there was nothing to do.
-- If it fails, on a: ALTER AVAILABILITY GROUP [ASPState_ag] FORCE_FAILOVER_ALLOW_DATA_LOSS;
-- If it fails, on a: ALTER AVAILABILITY GROUP [ASPState_ag] SET (REQUIRED_SYNCHRONIZED_SECONDARIES_TO_COMMIT = 0);
GO

-- 11. The former secondary is the primary
DECLARE @end datetime2 = DATEADD(second, 60, SYSUTCDATETIME());
WHILE NOT EXISTS (SELECT 1 AS yes FROM sys.availability_groups g JOIN sys.dm_hadr_availability_replica_states s ON s.group_id = g.group_id WHERE g.name = N'ASPState_ag' AND s.is_local = 1 AND s.role_desc = N'PRIMARY') AND SYSUTCDATETIME() < @end
  WAITFOR DELAY '00:00:01';
IF NOT EXISTS (SELECT 1 AS yes FROM sys.availability_groups g JOIN sys.dm_hadr_availability_replica_states s ON s.group_id = g.group_id WHERE g.name = N'ASPState_ag' AND s.is_local = 1 AND s.role_desc = N'PRIMARY')
  THROW 50000, N'state not reached: The former secondary is the primary; check pair status and the error logs of both servers. To recover: If b is not the primary (pair status), make a serve again. On a: ALTER AVAILABILITY GROUP [ASPState_ag] FORCE_FAILOVER_ALLOW_DATA_LOSS; on a: ALTER AVAILABILITY GROUP [ASPState_ag] SET (REQUIRED_SYNCHRONIZED_SECONDARIES_TO_COMMIT = 0). Otherwise: b is the primary and serves. On b: ALTER AVAILABILITY GROUP [ASPState_ag] SET (REQUIRED_SYNCHRONIZED_SECONDARIES_TO_COMMIT = 0); on a: ALTER AVAILABILITY GROUP [ASPState_ag] SET (ROLE = SECONDARY) (after 41104 repeat it; if the error stays, restart the service of a first); on a: ALTER DATABASE [ASPState] SET HADR RESUME, repeated until pair status shows SYNCHRONIZED. Keep clients away from a until then.', 1;
-- If it fails, on b: ALTER AVAILABILITY GROUP [ASPState_ag] SET (REQUIRED_SYNCHRONIZED_SECONDARIES_TO_COMMIT = 0);
GO

-- 12. Allow writes without the secondary again
BEGIN TRY
  ALTER AVAILABILITY GROUP [ASPState_ag] SET (REQUIRED_SYNCHRONIZED_SECONDARIES_TO_COMMIT = 0);
END TRY
BEGIN CATCH
  PRINT N'To recover: b is the primary and serves. On b: ALTER AVAILABILITY GROUP [ASPState_ag] SET (REQUIRED_SYNCHRONIZED_SECONDARIES_TO_COMMIT = 0); on a: ALTER AVAILABILITY GROUP [ASPState_ag] SET (ROLE = SECONDARY) (after 41104 repeat it; if the error stays, restart the service of a first); on a: ALTER DATABASE [ASPState] SET HADR RESUME, repeated until pair status shows SYNCHRONIZED. Keep clients away from a until then.';
  THROW;
END CATCH;
--    Error 41138 is temporary: run the step again.
--    Error 41165 is temporary: run the step again.
--    Error 41166 is temporary: run the step again.
-- If it fails, on b: ALTER AVAILABILITY GROUP [ASPState_ag] SET (REQUIRED_SYNCHRONIZED_SECONDARIES_TO_COMMIT = 0);
GO


-- ======== part 7, on a (sql1.example.com) ========
-- mirrorstate pair failover, database ASPState, topology availability-group.
-- Part 7 of 7, on server a (sql1.example.com). Run the parts in order, each until it ends: sqlcmd -b -y 0 -S sql1.example.com -i FILE
USE [master];
GO

-- 13. Make the old primary a secondary
--    SQL Server can refuse it with 41104 for a while. Meanwhile the new primary serves clients, without a second copy.
BEGIN TRY
  ALTER AVAILABILITY GROUP [ASPState_ag] SET (ROLE = SECONDARY);
END TRY
BEGIN CATCH
  PRINT N'To recover: b is the primary and serves. On b: ALTER AVAILABILITY GROUP [ASPState_ag] SET (REQUIRED_SYNCHRONIZED_SECONDARIES_TO_COMMIT = 0); on a: ALTER AVAILABILITY GROUP [ASPState_ag] SET (ROLE = SECONDARY) (after 41104 repeat it; if the error stays, restart the service of a first); on a: ALTER DATABASE [ASPState] SET HADR RESUME, repeated until pair status shows SYNCHRONIZED. Keep clients away from a until then.';
  THROW;
END CATCH;
--    Error 41104 is temporary: run the step again.
--    Error 41131 is temporary: run the step again.
--    Error 41138 is temporary: run the step again.
--    Error 41165 is temporary: run the step again.
--    Error 41166 is temporary: run the step again.
GO

-- 14. The old primary is a secondary
DECLARE @end datetime2 = DATEADD(second, 60, SYSUTCDATETIME());
WHILE NOT EXISTS (SELECT 1 AS yes FROM sys.availability_groups g JOIN sys.dm_hadr_availability_replica_states s ON s.group_id = g.group_id WHERE g.name = N'ASPState_ag' AND s.is_local = 1 AND s.role_desc = N'SECONDARY') AND SYSUTCDATETIME() < @end
  WAITFOR DELAY '00:00:01';
IF NOT EXISTS (SELECT 1 AS yes FROM sys.availability_groups g JOIN sys.dm_hadr_availability_replica_states s ON s.group_id = g.group_id WHERE g.name = N'ASPState_ag' AND s.is_local = 1 AND s.role_desc = N'SECONDARY')
  THROW 50000, N'state not reached: The old primary is a secondary; check pair status and the error logs of both servers. To recover: b is the primary and serves. On b: ALTER AVAILABILITY GROUP [ASPState_ag] SET (REQUIRED_SYNCHRONIZED_SECONDARIES_TO_COMMIT = 0); on a: ALTER AVAILABILITY GROUP [ASPState_ag] SET (ROLE = SECONDARY) (after 41104 repeat it; if the error stays, restart the service of a first); on a: ALTER DATABASE [ASPState] SET HADR RESUME, repeated until pair status shows SYNCHRONIZED. Keep clients away from a until then.', 1;
GO

-- 15. Data movement is resumed, and the secondary is SYNCHRONIZED
DECLARE @end datetime2 = DATEADD(second, 60, SYSUTCDATETIME());
WHILE NOT EXISTS (SELECT 1 AS yes FROM sys.availability_databases_cluster c JOIN sys.dm_hadr_database_replica_states l ON l.group_database_id = c.group_database_id WHERE c.database_name = N'ASPState' AND l.is_local = 1 AND l.synchronization_state_desc = N'SYNCHRONIZED' AND l.is_suspended = 0) AND SYSUTCDATETIME() < @end
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
IF NOT EXISTS (SELECT 1 AS yes FROM sys.availability_databases_cluster c JOIN sys.dm_hadr_database_replica_states l ON l.group_database_id = c.group_database_id WHERE c.database_name = N'ASPState' AND l.is_local = 1 AND l.synchronization_state_desc = N'SYNCHRONIZED' AND l.is_suspended = 0)
  THROW 50000, N'state not reached: Data movement is resumed, and the secondary is SYNCHRONIZED; check pair status and the error logs of both servers. To recover: b is the primary and serves. On b: ALTER AVAILABILITY GROUP [ASPState_ag] SET (REQUIRED_SYNCHRONIZED_SECONDARIES_TO_COMMIT = 0); on a: ALTER AVAILABILITY GROUP [ASPState_ag] SET (ROLE = SECONDARY) (after 41104 repeat it; if the error stays, restart the service of a first); on a: ALTER DATABASE [ASPState] SET HADR RESUME, repeated until pair status shows SYNCHRONIZED. Keep clients away from a until then.', 1;
GO


