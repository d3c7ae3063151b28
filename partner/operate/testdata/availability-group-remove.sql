-- ======== part 1, on a (sql1.example.com) ========
-- mirrorstate pair remove, database ASPState, topology availability-group.
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

-- 2. Remove the database from the group
IF NOT EXISTS (SELECT 1 AS yes FROM sys.databases WHERE name = N'ASPState' AND replica_id IS NULL)
  ALTER AVAILABILITY GROUP [ASPState_ag] REMOVE DATABASE [ASPState];
GO

-- 3. The database is in no group
DECLARE @end datetime2 = DATEADD(second, 60, SYSUTCDATETIME());
WHILE NOT EXISTS (SELECT 1 AS yes FROM sys.databases WHERE name = N'ASPState' AND replica_id IS NULL) AND SYSUTCDATETIME() < @end
  WAITFOR DELAY '00:00:01';
IF NOT EXISTS (SELECT 1 AS yes FROM sys.databases WHERE name = N'ASPState' AND replica_id IS NULL)
  THROW 50000, N'state not reached: The database is in no group; check pair status and the error logs of both servers', 1;
GO

-- 4. Drop the group on this server, unless it has other databases; without a cluster each server has its own
IF NOT EXISTS (SELECT 1 AS yes FROM sys.availability_groups g JOIN sys.availability_databases_cluster c ON c.group_id = g.group_id WHERE g.name = N'ASPState_ag' AND c.database_name <> N'ASPState')
  DROP AVAILABILITY GROUP [ASPState_ag];
--    Error 41100 means that there was nothing to do.
GO


-- ======== part 2, on b (sql2.example.com) ========
-- mirrorstate pair remove, database ASPState, topology availability-group.
-- Part 2 of 2, on server b (sql2.example.com). Run the parts in order, each until it ends: sqlcmd -b -y 0 -S sql2.example.com -i FILE
USE [master];
GO

-- 5. Drop the group on this server, unless it has other databases; without a cluster each server has its own
IF NOT EXISTS (SELECT 1 AS yes FROM sys.availability_groups g JOIN sys.availability_databases_cluster c ON c.group_id = g.group_id WHERE g.name = N'ASPState_ag' AND c.database_name <> N'ASPState')
  DROP AVAILABILITY GROUP [ASPState_ag];
--    Error 41100 means that there was nothing to do.
GO

-- The copy on b is still RESTORING. Open it with: RESTORE DATABASE [ASPState] WITH RECOVERY  or drop it with: DROP DATABASE [ASPState]  or mirror again from it: restore a log backup from a there WITH NORECOVERY, then run pair setup --restored.
-- Endpoints, certificates and logins are kept: other databases may use them.

