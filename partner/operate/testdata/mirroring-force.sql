-- ======== part 1, on b (sql2.example.com) ========
-- mirrorstate pair force, database ASPState, topology mirroring.
-- Part 1 of 1, on server b (sql2.example.com). Run the parts in order, each until it ends: sqlcmd -b -y 0 -S sql2.example.com -i FILE
-- Stop at the first error and fix its cause. Every step can be run again.
-- NOT CHECKED, because this was written without asking the servers:
--   - that a (sql1.example.com) is the principal
--   - that the principal is really gone: if it still serves, there will be two principals
--   - whether any data is lost
USE [master];
GO

-- 1. The database is mirrored
IF NOT EXISTS (SELECT 1 AS yes FROM sys.databases d JOIN sys.database_mirroring m ON m.database_id = d.database_id WHERE d.name = N'ASPState' AND m.mirroring_guid IS NOT NULL)
  THROW 51416, N'1416: the database is not mirrored, or this login may not see it; run pair setup first; if the database is mirrored, use a login that is sysadmin', 1;
GO

-- 2. This server is the mirror
IF NOT EXISTS (SELECT 1 AS yes FROM sys.databases d JOIN sys.database_mirroring m ON m.database_id = d.database_id WHERE d.name = N'ASPState' AND m.mirroring_role_desc = N'MIRROR')
  THROW 51455, N'1455: this server is not the mirror; if the principal runs use pair failover; otherwise wait until the mirror detects that the principal is gone (DISCONNECTED)', 1;
GO

-- 3. The mirror has lost its principal
IF NOT EXISTS (SELECT 1 AS yes FROM sys.databases d JOIN sys.database_mirroring m ON m.database_id = d.database_id WHERE d.name = N'ASPState' AND m.mirroring_state_desc = N'DISCONNECTED')
  THROW 51455, N'1455: the mirror is connected to its principal, which runs; if the principal runs use pair failover; otherwise wait until the mirror detects that the principal is gone (DISCONNECTED)', 1;
GO

-- 4. There is no witness, or the mirror is connected to it
IF NOT EXISTS (SELECT 1 AS yes FROM sys.databases d JOIN sys.database_mirroring m ON m.database_id = d.database_id WHERE d.name = N'ASPState' AND (m.mirroring_witness_name IS NULL OR m.mirroring_witness_name = N'' OR m.mirroring_witness_state_desc = N'CONNECTED'))
  THROW 51431, N'1431: the mirror is not connected to the witness; check that the partner and the witness run and can be reached', 1;
GO

-- 5. Force service
--    Data that the mirror had not received is lost. If only the network between the partners is interrupted, the old principal still serves: keep clients away from it.
ALTER DATABASE [ASPState] SET PARTNER FORCE_SERVICE_ALLOW_DATA_LOSS;
GO

-- 6. The mirror is the principal
DECLARE @end datetime2 = DATEADD(second, 60, SYSUTCDATETIME());
WHILE NOT EXISTS (SELECT 1 AS yes FROM sys.databases d JOIN sys.database_mirroring m ON m.database_id = d.database_id WHERE d.name = N'ASPState' AND m.mirroring_role_desc = N'PRINCIPAL' AND d.state_desc = N'ONLINE') AND SYSUTCDATETIME() < @end
  WAITFOR DELAY '00:00:01';
IF NOT EXISTS (SELECT 1 AS yes FROM sys.databases d JOIN sys.database_mirroring m ON m.database_id = d.database_id WHERE d.name = N'ASPState' AND m.mirroring_role_desc = N'PRINCIPAL' AND d.state_desc = N'ONLINE')
  THROW 50000, N'state not reached: The mirror is the principal; check pair status and the error logs of both servers', 1;
GO

-- When the old principal comes back it becomes the mirror, SUSPENDED. Then run either `pair resume`, which discards the data that only it has, or `pair remove`, and save its data by hand.

