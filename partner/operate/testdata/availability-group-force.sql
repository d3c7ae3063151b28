-- ======== part 1, on b (sql2.example.com) ========
-- mirrorstate pair force, database ASPState, topology availability-group.
-- Part 1 of 1, on server b (sql2.example.com). Run the parts in order, each until it ends: sqlcmd -b -y 0 -S sql2.example.com -i FILE
-- Stop at the first error and fix its cause. Every step can be run again.
-- NOT CHECKED, because this was written without asking the servers:
--   - that a (sql1.example.com) is the primary
--   - that the servers' @@SERVERNAME are SQL1 and SQL2, the group is called ASPState_ag, and it has no cluster
--   - that the principal is really gone: if it still serves, there will be two principals
--   - whether any data is lost
USE [master];
GO

-- 1. This server is not the primary
IF NOT EXISTS (SELECT 1 AS yes FROM sys.availability_groups g JOIN sys.dm_hadr_availability_replica_states s ON s.group_id = g.group_id WHERE g.name = N'ASPState_ag' AND s.is_local = 1 AND (s.role_desc = N'SECONDARY' OR s.role_desc = N'RESOLVING'))
  THROW 91122, N'41122: this server is not a secondary of the group; this server is the primary already', 1;
GO

-- 2. Its copy can become primary
IF NOT EXISTS (SELECT 1 AS yes FROM sys.availability_databases_cluster c JOIN sys.dm_hadr_database_replica_states l ON l.group_database_id = c.group_database_id WHERE c.database_name = N'ASPState' AND l.is_local = 1 AND l.synchronization_state_desc <> N'REVERTING' AND l.synchronization_state_desc <> N'INITIALIZING')
  THROW 91134, N'41134: the copy is REVERTING or INITIALIZING: it can''t become primary; the database was not SYNCHRONIZED: run pair force --allow-data-loss if the primary is lost', 1;
GO

-- 3. Force the failover
--    Data that the secondary had not received is lost.
ALTER AVAILABILITY GROUP [ASPState_ag] FORCE_FAILOVER_ALLOW_DATA_LOSS;
--    Error 41122 means that there was nothing to do.
GO

-- 4. The secondary is the primary
DECLARE @end datetime2 = DATEADD(second, 60, SYSUTCDATETIME());
WHILE NOT EXISTS (SELECT 1 AS yes FROM sys.availability_groups g JOIN sys.dm_hadr_availability_replica_states s ON s.group_id = g.group_id WHERE g.name = N'ASPState_ag' AND s.is_local = 1 AND s.role_desc = N'PRIMARY') AND SYSUTCDATETIME() < @end
  WAITFOR DELAY '00:00:01';
IF NOT EXISTS (SELECT 1 AS yes FROM sys.availability_groups g JOIN sys.dm_hadr_availability_replica_states s ON s.group_id = g.group_id WHERE g.name = N'ASPState_ag' AND s.is_local = 1 AND s.role_desc = N'PRIMARY')
  THROW 50000, N'state not reached: The secondary is the primary; check pair status and the error logs of both servers', 1;
GO

-- 5. Remove the old primary from the group
--    Without a cluster a lost primary that comes back is primary again, and accepts writes.
ALTER AVAILABILITY GROUP [ASPState_ag] REMOVE REPLICA ON N'SQL1';
--    Error 41100 means that there was nothing to do.
GO

-- As soon as a comes back, before any client reaches it, run there: ALTER AVAILABILITY GROUP [ASPState_ag] OFFLINE  (refused with 19416 while its secondary is away: then keep clients away from it). Save the data that only it has, then run there: DROP AVAILABILITY GROUP [ASPState_ag]; DROP DATABASE [ASPState]; then `pair setup` adds it again.

