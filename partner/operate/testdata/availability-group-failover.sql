-- ======== part 1, on a ========
-- mirrorstate pair failover, database ASPState, topology availability-group.
-- Part 1 of 9, on server a (sql1.example.com). Run the parts in their order, each to its end: sqlcmd -b -y 0 -S sql1.example.com -i …
-- Stop at the first error and mend what it says. Every step may be run again.
-- NOT CHECKED, because this was written without asking the servers:
--   - that a (sql1.example.com) is the primary
--   - that the servers' @@SERVERNAME are SQL1 and SQL2, the group is called ASPState_ag, and it has no cluster
USE [master];
GO

-- 1. This server is the primary
IF NOT EXISTS (SELECT 1 AS yes FROM sys.availability_groups g JOIN sys.dm_hadr_availability_replica_states s ON s.group_id = g.group_id WHERE g.name = N'ASPState_ag' AND s.is_local = 1 AND s.role_desc = N'PRIMARY')
  THROW 91140, N'41140: this server is not the group''s primary; send it to the primary: see pair status', 1;
GO


-- ======== part 2, on b ========
-- mirrorstate pair failover, database ASPState, topology availability-group.
-- Part 2 of 9, on server b (sql2.example.com). Run the parts in their order, each to its end: sqlcmd -b -y 0 -S sql2.example.com -i …
USE [master];
GO

-- 2. The other server is a secondary
IF NOT EXISTS (SELECT 1 AS yes FROM sys.availability_groups g JOIN sys.dm_hadr_availability_replica_states s ON s.group_id = g.group_id WHERE g.name = N'ASPState_ag' AND s.is_local = 1 AND s.role_desc = N'SECONDARY')
  THROW 85252, N'35252: the other server is not a secondary of the group; send it to the secondary: see pair status', 1;
GO

-- 3. The secondary has all that the primary has, and is not suspended
IF NOT EXISTS (SELECT 1 AS yes FROM sys.availability_databases_cluster c JOIN sys.dm_hadr_database_replica_states l ON l.group_database_id = c.group_database_id WHERE c.database_name = N'ASPState' AND l.is_local = 1 AND l.synchronization_state_desc = N'SYNCHRONIZED' AND l.is_suspended = 0)
  THROW 91142, N'41142: the secondary is not SYNCHRONIZED; wait until the secondary is SYNCHRONIZED and joined', 1;
GO


-- ======== part 3, on a ========
-- mirrorstate pair failover, database ASPState, topology availability-group.
-- Part 3 of 9, on server a (sql1.example.com). Run the parts in their order, each to its end: sqlcmd -b -y 0 -S sql1.example.com -i …
USE [master];
GO

-- 4. Commits wait for a, or something could be lost
IF NOT EXISTS (SELECT 1 AS yes FROM sys.availability_groups g JOIN sys.availability_replicas r ON r.group_id = g.group_id WHERE g.name = N'ASPState_ag' AND r.replica_server_name = N'SQL1' AND r.availability_mode_desc = N'SYNCHRONOUS_COMMIT')
  ALTER AVAILABILITY GROUP [ASPState_ag] MODIFY REPLICA ON N'SQL1' WITH (AVAILABILITY_MODE = SYNCHRONOUS_COMMIT);
GO

-- 5. Commits wait for b, or something could be lost
IF NOT EXISTS (SELECT 1 AS yes FROM sys.availability_groups g JOIN sys.availability_replicas r ON r.group_id = g.group_id WHERE g.name = N'ASPState_ag' AND r.replica_server_name = N'SQL2' AND r.availability_mode_desc = N'SYNCHRONOUS_COMMIT')
  ALTER AVAILABILITY GROUP [ASPState_ag] MODIFY REPLICA ON N'SQL2' WITH (AVAILABILITY_MODE = SYNCHRONOUS_COMMIT);
GO


-- ======== part 4, on b ========
-- mirrorstate pair failover, database ASPState, topology availability-group.
-- Part 4 of 9, on server b (sql2.example.com). Run the parts in their order, each to its end: sqlcmd -b -y 0 -S sql2.example.com -i …
USE [master];
GO

-- 6. The secondary is SYNCHRONIZED, by its own word
DECLARE @end datetime2 = DATEADD(second, 60, SYSUTCDATETIME());
WHILE NOT EXISTS (SELECT 1 AS yes FROM sys.availability_databases_cluster c JOIN sys.dm_hadr_database_replica_states l ON l.group_database_id = c.group_database_id WHERE c.database_name = N'ASPState' AND l.is_local = 1 AND l.synchronization_state_desc = N'SYNCHRONIZED' AND l.is_suspended = 0) AND SYSUTCDATETIME() < @end
  WAITFOR DELAY '00:00:01';
IF NOT EXISTS (SELECT 1 AS yes FROM sys.availability_databases_cluster c JOIN sys.dm_hadr_database_replica_states l ON l.group_database_id = c.group_database_id WHERE c.database_name = N'ASPState' AND l.is_local = 1 AND l.synchronization_state_desc = N'SYNCHRONIZED' AND l.is_suspended = 0)
  THROW 50000, N'it did not come about: The secondary is SYNCHRONIZED, by its own word; see pair status and both servers'' error logs', 1;
GO


-- ======== part 5, on a ========
-- mirrorstate pair failover, database ASPState, topology availability-group.
-- Part 5 of 9, on server a (sql1.example.com). Run the parts in their order, each to its end: sqlcmd -b -y 0 -S sql1.example.com -i …
USE [master];
GO

-- 7. And by the primary's
DECLARE @end datetime2 = DATEADD(second, 60, SYSUTCDATETIME());
WHILE NOT EXISTS (SELECT 1 AS yes FROM sys.availability_databases_cluster c JOIN sys.dm_hadr_database_replica_states l ON l.group_database_id = c.group_database_id WHERE c.database_name = N'ASPState' AND l.is_local = 1 AND l.synchronization_state_desc = N'SYNCHRONIZED' AND l.is_suspended = 0) AND SYSUTCDATETIME() < @end
  WAITFOR DELAY '00:00:01';
IF NOT EXISTS (SELECT 1 AS yes FROM sys.availability_databases_cluster c JOIN sys.dm_hadr_database_replica_states l ON l.group_database_id = c.group_database_id WHERE c.database_name = N'ASPState' AND l.is_local = 1 AND l.synchronization_state_desc = N'SYNCHRONIZED' AND l.is_suspended = 0)
  THROW 50000, N'it did not come about: And by the primary''s; see pair status and both servers'' error logs', 1;
GO

-- 8. No commit without the secondary, from here on
--    It must be 0 again at the end: left at 1 the primary refuses writes whenever the secondary is away.
ALTER AVAILABILITY GROUP [ASPState_ag] SET (REQUIRED_SYNCHRONIZED_SECONDARIES_TO_COMMIT = 1);
GO

-- 9. The primary stops serving; until the next step nobody does
--    19416 means that the secondary has just fallen behind: nothing was done.
ALTER AVAILABILITY GROUP [ASPState_ag] OFFLINE;
-- If it fails, on a: ALTER AVAILABILITY GROUP [ASPState_ag] SET (REQUIRED_SYNCHRONIZED_SECONDARIES_TO_COMMIT = 0);
GO


-- ======== part 6, on b ========
-- mirrorstate pair failover, database ASPState, topology availability-group.
-- Part 6 of 9, on server b (sql2.example.com). Run the parts in their order, each to its end: sqlcmd -b -y 0 -S sql2.example.com -i …
USE [master];
GO

-- 10. The secondary takes over
--    Without a cluster this is the only command there is. Nothing is lost: the secondary was SYNCHRONIZED, and nothing has been written since.
ALTER AVAILABILITY GROUP [ASPState_ag] FORCE_FAILOVER_ALLOW_DATA_LOSS;
--    Error 41122 means that there was nothing to do.
-- If it fails, on a: ALTER AVAILABILITY GROUP [ASPState_ag] FORCE_FAILOVER_ALLOW_DATA_LOSS;
-- If it fails, on a: ALTER AVAILABILITY GROUP [ASPState_ag] SET (REQUIRED_SYNCHRONIZED_SECONDARIES_TO_COMMIT = 0);
GO

-- 11. The former secondary is the primary
DECLARE @end datetime2 = DATEADD(second, 60, SYSUTCDATETIME());
WHILE NOT EXISTS (SELECT 1 AS yes FROM sys.availability_groups g JOIN sys.dm_hadr_availability_replica_states s ON s.group_id = g.group_id WHERE g.name = N'ASPState_ag' AND s.is_local = 1 AND s.role_desc = N'PRIMARY') AND SYSUTCDATETIME() < @end
  WAITFOR DELAY '00:00:01';
IF NOT EXISTS (SELECT 1 AS yes FROM sys.availability_groups g JOIN sys.dm_hadr_availability_replica_states s ON s.group_id = g.group_id WHERE g.name = N'ASPState_ag' AND s.is_local = 1 AND s.role_desc = N'PRIMARY')
  THROW 50000, N'it did not come about: The former secondary is the primary; see pair status and both servers'' error logs', 1;
GO


-- ======== part 7, on a ========
-- mirrorstate pair failover, database ASPState, topology availability-group.
-- Part 7 of 9, on server a (sql1.example.com). Run the parts in their order, each to its end: sqlcmd -b -y 0 -S sql1.example.com -i …
USE [master];
GO

-- 12. The old primary becomes a secondary
ALTER AVAILABILITY GROUP [ASPState_ag] SET (ROLE = SECONDARY);
GO

-- 13. It is one
DECLARE @end datetime2 = DATEADD(second, 60, SYSUTCDATETIME());
WHILE NOT EXISTS (SELECT 1 AS yes FROM sys.availability_groups g JOIN sys.dm_hadr_availability_replica_states s ON s.group_id = g.group_id WHERE g.name = N'ASPState_ag' AND s.is_local = 1 AND s.role_desc = N'SECONDARY') AND SYSUTCDATETIME() < @end
  WAITFOR DELAY '00:00:01';
IF NOT EXISTS (SELECT 1 AS yes FROM sys.availability_groups g JOIN sys.dm_hadr_availability_replica_states s ON s.group_id = g.group_id WHERE g.name = N'ASPState_ag' AND s.is_local = 1 AND s.role_desc = N'SECONDARY')
  THROW 50000, N'it did not come about: It is one; see pair status and both servers'' error logs', 1;
GO

-- 14. Its data moves again
--    After a forced failover data movement stays suspended until somebody says this.
IF NOT EXISTS (SELECT 1 AS yes FROM sys.availability_databases_cluster c JOIN sys.dm_hadr_database_replica_states l ON l.group_database_id = c.group_database_id WHERE c.database_name = N'ASPState' AND l.is_local = 1 AND l.is_suspended = 0)
  ALTER DATABASE [ASPState] SET HADR RESUME;
--    Error 35239 means that there was nothing to do.
--    Error 35242 means that there was nothing to do.
GO


-- ======== part 8, on b ========
-- mirrorstate pair failover, database ASPState, topology availability-group.
-- Part 8 of 9, on server b (sql2.example.com). Run the parts in their order, each to its end: sqlcmd -b -y 0 -S sql2.example.com -i …
USE [master];
GO

-- 15. Writes without the secondary are allowed again
ALTER AVAILABILITY GROUP [ASPState_ag] SET (REQUIRED_SYNCHRONIZED_SECONDARIES_TO_COMMIT = 0);
GO


-- ======== part 9, on a ========
-- mirrorstate pair failover, database ASPState, topology availability-group.
-- Part 9 of 9, on server a (sql1.example.com). Run the parts in their order, each to its end: sqlcmd -b -y 0 -S sql1.example.com -i …
USE [master];
GO

-- 16. The new secondary is SYNCHRONIZED
DECLARE @end datetime2 = DATEADD(second, 60, SYSUTCDATETIME());
WHILE NOT EXISTS (SELECT 1 AS yes FROM sys.availability_databases_cluster c JOIN sys.dm_hadr_database_replica_states l ON l.group_database_id = c.group_database_id WHERE c.database_name = N'ASPState' AND l.is_local = 1 AND l.synchronization_state_desc = N'SYNCHRONIZED' AND l.is_suspended = 0) AND SYSUTCDATETIME() < @end
  WAITFOR DELAY '00:00:01';
IF NOT EXISTS (SELECT 1 AS yes FROM sys.availability_databases_cluster c JOIN sys.dm_hadr_database_replica_states l ON l.group_database_id = c.group_database_id WHERE c.database_name = N'ASPState' AND l.is_local = 1 AND l.synchronization_state_desc = N'SYNCHRONIZED' AND l.is_suspended = 0)
  THROW 50000, N'it did not come about: The new secondary is SYNCHRONIZED; see pair status and both servers'' error logs', 1;
GO


