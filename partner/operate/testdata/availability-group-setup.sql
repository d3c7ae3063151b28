-- ======== part 1, on a (sql1.example.com) ========
-- mirrorstate pair setup, database ASPState, topology availability-group.
-- Part 1 of 10, on server a (sql1.example.com). Run the parts in order, each until it ends: sqlcmd -b -y 0 -S sql1.example.com -i FILE
-- Stop at the first error and fix its cause. Every step can be run again.
-- NOT CHECKED, because this was written without asking the servers:
--   - that a (sql1.example.com) is the primary
--   - that the servers' @@SERVERNAME are SQL1 and SQL2, the group is called ASPState_ag, and it has no cluster
--   - that both servers have the same version, edition and collation, that the database has no FILESTREAM files, and that the login is sysadmin on both
--   - that neither server has an endpoint for mirroring yet: an existing one is used, and GRANT CONNECT must then have its name
--   - which logins own users in the database: those named with --login are copied
--   - which server rights they have (sys.server_permissions): grant them on the other server too
USE [master];
GO

-- 1. Availability groups are enabled
IF NOT EXISTS (SELECT 1 AS yes WHERE CONVERT(int, SERVERPROPERTY(N'IsHadrEnabled')) = 1)
  THROW 85221, N'35221: availability groups are not enabled for this instance; enable availability groups for the instance (in a container: MSSQL_ENABLE_HADR=1) and restart it', 1;
GO

-- 2. The replica has the server's name
IF NOT EXISTS (SELECT 1 AS yes WHERE @@SERVERNAME = N'SQL1')
  THROW 85250, N'35250: @@SERVERNAME is not SQL1; a replica must have the server''s name; a container keeps the name of its first start in its volume', 1;
GO


-- ======== part 2, on b (sql2.example.com) ========
-- mirrorstate pair setup, database ASPState, topology availability-group.
-- Part 2 of 10, on server b (sql2.example.com). Run the parts in order, each until it ends: sqlcmd -b -y 0 -S sql2.example.com -i FILE
USE [master];
GO

-- 3. Availability groups are enabled
IF NOT EXISTS (SELECT 1 AS yes WHERE CONVERT(int, SERVERPROPERTY(N'IsHadrEnabled')) = 1)
  THROW 85221, N'35221: availability groups are not enabled for this instance; enable availability groups for the instance (in a container: MSSQL_ENABLE_HADR=1) and restart it', 1;
GO

-- 4. The replica has the server's name
IF NOT EXISTS (SELECT 1 AS yes WHERE @@SERVERNAME = N'SQL2')
  THROW 85250, N'35250: @@SERVERNAME is not SQL2; a replica must have the server''s name; a container keeps the name of its first start in its volume', 1;
GO


-- ======== part 3, on a (sql1.example.com) ========
-- mirrorstate pair setup, database ASPState, topology availability-group.
-- Part 3 of 10, on server a (sql1.example.com). Run the parts in order, each until it ends: sqlcmd -b -y 0 -S sql1.example.com -i FILE
USE [master];
GO

-- 5. The database exists, and is open
IF NOT EXISTS (SELECT 1 AS yes FROM sys.databases WHERE name = N'ASPState' AND state_desc = N'ONLINE')
  THROW 50911, N'911: the database does not exist, or is not ONLINE; check the database''s name, and that this is the right server', 1;
GO

-- 6. The database is MULTI_USER
IF NOT EXISTS (SELECT 1 AS yes FROM sys.databases WHERE name = N'ASPState' AND user_access_desc = N'MULTI_USER')
  THROW 51488, N'1488: the database is not MULTI_USER; ALTER DATABASE ... SET MULTI_USER', 1;
GO

-- 7. The database is not READ_ONLY
IF NOT EXISTS (SELECT 1 AS yes FROM sys.databases WHERE name = N'ASPState' AND is_read_only = 0)
  THROW 51466, N'1466: the database is READ_ONLY; ALTER DATABASE ... SET READ_WRITE', 1;
GO

-- 8. AUTO_CLOSE is OFF
IF NOT EXISTS (SELECT 1 AS yes FROM sys.databases WHERE name = N'ASPState' AND is_auto_close_on = 0)
  THROW 51469, N'1469: AUTO_CLOSE is ON; ALTER DATABASE ... SET AUTO_CLOSE OFF', 1;
GO

-- 9. The database is in no availability group
IF NOT EXISTS (SELECT 1 AS yes FROM sys.databases WHERE name = N'ASPState' AND replica_id IS NULL)
  THROW 50000, N'the database is in an availability group; remove it from the group first: pair remove --topology availability-group', 1;
GO


-- ======== part 4, on b (sql2.example.com) ========
-- mirrorstate pair setup, database ASPState, topology availability-group.
-- Part 4 of 10, on server b (sql2.example.com). Run the parts in order, each until it ends: sqlcmd -b -y 0 -S sql2.example.com -i FILE
USE [master];
GO

-- 10. There is no database with that name yet
IF NOT EXISTS (SELECT 1 AS yes WHERE DB_ID(N'ASPState') IS NULL)
  THROW 51801, N'1801: the secondary has a database with that name already; a database with that name exists already: drop it, or use another server', 1;
GO


-- ======== part 5, on a (sql1.example.com) ========
-- mirrorstate pair setup, database ASPState, topology availability-group.
-- Part 5 of 10, on server a (sql1.example.com). Run the parts in order, each until it ends: sqlcmd -b -y 0 -S sql1.example.com -i FILE
-- Choose a password and set it in the environment variable MasterKeyPassword, which sqlcmd reads: everybody can read a command line.
USE [master];
GO
IF N'$(MasterKeyPassword)' LIKE N'$' + N'(%' THROW 50000, N'Run this with sqlcmd, or replace the variable MasterKeyPassword by hand.', 1;
GO

-- 11. Create a master key in master, which protects the certificate's private key
IF NOT EXISTS (SELECT 1 AS yes FROM sys.symmetric_keys WHERE name = N'##MS_DatabaseMasterKey##')
  CREATE MASTER KEY ENCRYPTION BY PASSWORD = '$(MasterKeyPassword)';
GO

-- 12. Create the certificate by which the other servers recognize this one
--    Without EXPIRY_DATE it would expire after a year, and mirroring would stop.
IF NOT EXISTS (SELECT 1 AS yes FROM sys.certificates WHERE name = N'mirrorstate sql1.example.com:5022')
  CREATE CERTIFICATE [mirrorstate sql1.example.com:5022] WITH SUBJECT = 'endpoint sql1.example.com:5022', EXPIRY_DATE = '20391231';
GO

-- 13. Create the endpoint for the connections between the partners
--    A server has one endpoint of this kind. An existing one is used unchanged: a change would break the sessions of other databases.
IF NOT EXISTS (SELECT 1 AS yes FROM sys.database_mirroring_endpoints)
  CREATE ENDPOINT [Hadr_endpoint] STATE = STARTED AS TCP (LISTENER_PORT = 5022, LISTENER_IP = ALL) FOR DATABASE_MIRRORING (AUTHENTICATION = CERTIFICATE [mirrorstate sql1.example.com:5022], ENCRYPTION = REQUIRED ALGORITHM AES, ROLE = ALL);
GO

-- 14. The endpoint is started, on the port that the other servers use, and with the right role
IF NOT EXISTS (SELECT 1 AS yes FROM sys.database_mirroring_endpoints e JOIN sys.tcp_endpoints t ON t.endpoint_id = e.endpoint_id WHERE e.state_desc = N'STARTED' AND e.role_desc IN (N'PARTNER', N'ALL') AND t.port = 5022)
  THROW 51418, N'1418: the endpoint is not STARTED with ROLE ALL on port 5022; start it (ALTER ENDPOINT ... STATE = STARTED), or give its real port with --endpoint-a', 1;
GO

-- 15. Read the public part of this server's certificate, for the other servers
--    It is copied as a value, so no certificate file must be copied.
SELECT CONVERT(varchar(max), CERTENCODED(c.certificate_id), 1) AS certificate FROM sys.certificates c WHERE c.name = N'mirrorstate sql1.example.com:5022';
GO


-- ======== part 6, on b (sql2.example.com) ========
-- mirrorstate pair setup, database ASPState, topology availability-group.
-- Part 6 of 10, on server b (sql2.example.com). Run the parts in order, each until it ends: sqlcmd -b -y 0 -S sql2.example.com -i FILE
-- Choose a password and set it in the environment variable MasterKeyPassword, which sqlcmd reads: everybody can read a command line.
-- Choose a password and set it in the environment variable EndpointLoginPassword, which sqlcmd reads: everybody can read a command line.
-- Give the value that step 15 printed: sqlcmd -v CertificateOf_a=VALUE
USE [master];
GO
IF N'$(MasterKeyPassword)' LIKE N'$' + N'(%' THROW 50000, N'Run this with sqlcmd, or replace the variable MasterKeyPassword by hand.', 1;
GO
IF N'$(EndpointLoginPassword)' LIKE N'$' + N'(%' THROW 50000, N'Run this with sqlcmd, or replace the variable EndpointLoginPassword by hand.', 1;
GO
IF N'$(CertificateOf_a)' LIKE N'$' + N'(%' THROW 50000, N'Run this with sqlcmd, or replace the variable CertificateOf_a by hand.', 1;
GO

-- 16. Create a master key in master, which protects the certificate's private key
IF NOT EXISTS (SELECT 1 AS yes FROM sys.symmetric_keys WHERE name = N'##MS_DatabaseMasterKey##')
  CREATE MASTER KEY ENCRYPTION BY PASSWORD = '$(MasterKeyPassword)';
GO

-- 17. Create the certificate by which the other servers recognize this one
--    Without EXPIRY_DATE it would expire after a year, and mirroring would stop.
IF NOT EXISTS (SELECT 1 AS yes FROM sys.certificates WHERE name = N'mirrorstate sql2.example.com:5022')
  CREATE CERTIFICATE [mirrorstate sql2.example.com:5022] WITH SUBJECT = 'endpoint sql2.example.com:5022', EXPIRY_DATE = '20391231';
GO

-- 18. Create the endpoint for the connections between the partners
--    A server has one endpoint of this kind. An existing one is used unchanged: a change would break the sessions of other databases.
IF NOT EXISTS (SELECT 1 AS yes FROM sys.database_mirroring_endpoints)
  CREATE ENDPOINT [Hadr_endpoint] STATE = STARTED AS TCP (LISTENER_PORT = 5022, LISTENER_IP = ALL) FOR DATABASE_MIRRORING (AUTHENTICATION = CERTIFICATE [mirrorstate sql2.example.com:5022], ENCRYPTION = REQUIRED ALGORITHM AES, ROLE = ALL);
GO

-- 19. The endpoint is started, on the port that the other servers use, and with the right role
IF NOT EXISTS (SELECT 1 AS yes FROM sys.database_mirroring_endpoints e JOIN sys.tcp_endpoints t ON t.endpoint_id = e.endpoint_id WHERE e.state_desc = N'STARTED' AND e.role_desc IN (N'PARTNER', N'ALL') AND t.port = 5022)
  THROW 51418, N'1418: the endpoint is not STARTED with ROLE ALL on port 5022; start it (ALTER ENDPOINT ... STATE = STARTED), or give its real port with --endpoint-b', 1;
GO

-- 20. Read the public part of this server's certificate, for the other servers
--    It is copied as a value, so no certificate file must be copied.
SELECT CONVERT(varchar(max), CERTENCODED(c.certificate_id), 1) AS certificate FROM sys.certificates c WHERE c.name = N'mirrorstate sql2.example.com:5022';
GO

-- 21. Create a login for a, which authenticates with its certificate; nobody uses the password
IF NOT EXISTS (SELECT 1 AS yes FROM sys.server_principals WHERE name = N'mirrorstate sql1.example.com:5022')
  CREATE LOGIN [mirrorstate sql1.example.com:5022] WITH PASSWORD = '$(EndpointLoginPassword)';
GO

-- 22. Create its user in master, which owns the certificate
IF NOT EXISTS (SELECT 1 AS yes FROM sys.database_principals WHERE name = N'mirrorstate sql1.example.com:5022')
  CREATE USER [mirrorstate sql1.example.com:5022] FOR LOGIN [mirrorstate sql1.example.com:5022];
GO

-- 23. Import the certificate of a
IF NOT EXISTS (SELECT 1 AS yes FROM sys.certificates WHERE name = N'mirrorstate sql1.example.com:5022')
  CREATE CERTIFICATE [mirrorstate sql1.example.com:5022] AUTHORIZATION [mirrorstate sql1.example.com:5022] FROM BINARY = $(CertificateOf_a);
GO

-- 24. Grant it the right to connect to the endpoint
GRANT CONNECT ON ENDPOINT::[Hadr_endpoint] TO [mirrorstate sql1.example.com:5022];
GO


-- ======== part 7, on a (sql1.example.com) ========
-- mirrorstate pair setup, database ASPState, topology availability-group.
-- Part 7 of 10, on server a (sql1.example.com). Run the parts in order, each until it ends: sqlcmd -b -y 0 -S sql1.example.com -i FILE
-- Choose a password and set it in the environment variable EndpointLoginPassword, which sqlcmd reads: everybody can read a command line.
-- Give the value that step 20 printed: sqlcmd -v CertificateOf_b=VALUE
USE [master];
GO
IF N'$(EndpointLoginPassword)' LIKE N'$' + N'(%' THROW 50000, N'Run this with sqlcmd, or replace the variable EndpointLoginPassword by hand.', 1;
GO
IF N'$(CertificateOf_b)' LIKE N'$' + N'(%' THROW 50000, N'Run this with sqlcmd, or replace the variable CertificateOf_b by hand.', 1;
GO

-- 25. Create a login for b, which authenticates with its certificate; nobody uses the password
IF NOT EXISTS (SELECT 1 AS yes FROM sys.server_principals WHERE name = N'mirrorstate sql2.example.com:5022')
  CREATE LOGIN [mirrorstate sql2.example.com:5022] WITH PASSWORD = '$(EndpointLoginPassword)';
GO

-- 26. Create its user in master, which owns the certificate
IF NOT EXISTS (SELECT 1 AS yes FROM sys.database_principals WHERE name = N'mirrorstate sql2.example.com:5022')
  CREATE USER [mirrorstate sql2.example.com:5022] FOR LOGIN [mirrorstate sql2.example.com:5022];
GO

-- 27. Import the certificate of b
IF NOT EXISTS (SELECT 1 AS yes FROM sys.certificates WHERE name = N'mirrorstate sql2.example.com:5022')
  CREATE CERTIFICATE [mirrorstate sql2.example.com:5022] AUTHORIZATION [mirrorstate sql2.example.com:5022] FROM BINARY = $(CertificateOf_b);
GO

-- 28. Grant it the right to connect to the endpoint
GRANT CONNECT ON ENDPOINT::[Hadr_endpoint] TO [mirrorstate sql2.example.com:5022];
GO

-- 29. Set the recovery model to FULL: mirroring sends the log
--    From now on only log backups truncate the log. Create a job for them on both servers: without it the log fills the disk.
IF NOT EXISTS (SELECT 1 AS yes FROM sys.databases WHERE name = N'ASPState' AND recovery_model_desc = N'FULL')
  ALTER DATABASE [ASPState] SET RECOVERY FULL;
--    Error 5061 is temporary: run the step again.
GO

-- 30. Read the SID and the password hash of the login aspstate
SELECT CONVERT(varchar(200), sid, 1) AS sid, CONVERT(varchar(600), password_hash, 1) AS hash FROM sys.sql_logins WHERE name = N'aspstate';
GO

-- 31. Take a full backup, which a database needs before it is added
BACKUP DATABASE [ASPState] TO DISK = N'ASPState-mirrorstate.bak' WITH INIT, FORMAT, CHECKSUM;
GO

-- 32. Create the group, without a cluster
--    ALLOW_CONNECTIONS = NO: a login on the wrong server fails at once (976), and not at its first write (3906).
IF NOT EXISTS (SELECT 1 AS yes FROM sys.availability_groups WHERE name = N'ASPState_ag')
  CREATE AVAILABILITY GROUP [ASPState_ag] WITH (CLUSTER_TYPE = NONE) FOR REPLICA ON N'SQL1' WITH (ENDPOINT_URL = N'tcp://sql1.example.com:5022', AVAILABILITY_MODE = SYNCHRONOUS_COMMIT, FAILOVER_MODE = MANUAL, SEEDING_MODE = AUTOMATIC, SECONDARY_ROLE (ALLOW_CONNECTIONS = NO)), N'SQL2' WITH (ENDPOINT_URL = N'tcp://sql2.example.com:5022', AVAILABILITY_MODE = SYNCHRONOUS_COMMIT, FAILOVER_MODE = MANUAL, SEEDING_MODE = AUTOMATIC, SECONDARY_ROLE (ALLOW_CONNECTIONS = NO));
GO


-- ======== part 8, on b (sql2.example.com) ========
-- mirrorstate pair setup, database ASPState, topology availability-group.
-- Part 8 of 10, on server b (sql2.example.com). Run the parts in order, each until it ends: sqlcmd -b -y 0 -S sql2.example.com -i FILE
USE [master];
GO

-- 33. Join the secondary to the group
--    35250 can mean a certificate, a name that does not resolve, or a primary that does not run.
IF NOT EXISTS (SELECT 1 AS yes FROM sys.availability_groups WHERE name = N'ASPState_ag')
  ALTER AVAILABILITY GROUP [ASPState_ag] JOIN WITH (CLUSTER_TYPE = NONE);
--    Error 35250 is temporary: run the step again.
GO

-- 34. Let the group create the database on this server
ALTER AVAILABILITY GROUP [ASPState_ag] GRANT CREATE ANY DATABASE;
GO


-- ======== part 9, on a (sql1.example.com) ========
-- mirrorstate pair setup, database ASPState, topology availability-group.
-- Part 9 of 10, on server a (sql1.example.com). Run the parts in order, each until it ends: sqlcmd -b -y 0 -S sql1.example.com -i FILE
USE [master];
GO

-- 35. Let it create the database here too, for the time after a failover
ALTER AVAILABILITY GROUP [ASPState_ag] GRANT CREATE ANY DATABASE;
GO

-- 36. Add the database to the group, which copies it to the secondary
IF NOT EXISTS (SELECT 1 AS yes FROM sys.availability_databases_cluster WHERE database_name = N'ASPState')
  ALTER AVAILABILITY GROUP [ASPState_ag] ADD DATABASE [ASPState];
--    Error 19494 is temporary: run the step again.
GO


-- ======== part 10, on b (sql2.example.com) ========
-- mirrorstate pair setup, database ASPState, topology availability-group.
-- Part 10 of 10, on server b (sql2.example.com). Run the parts in order, each until it ends: sqlcmd -b -y 0 -S sql2.example.com -i FILE
-- Give the value that step 30 printed: sqlcmd -v LoginSid1=VALUE
-- Give the value that step 30 printed: sqlcmd -v LoginHash1=VALUE
USE [master];
GO
IF N'$(LoginSid1)' LIKE N'$' + N'(%' THROW 50000, N'Run this with sqlcmd, or replace the variable LoginSid1 by hand.', 1;
GO
IF N'$(LoginHash1)' LIKE N'$' + N'(%' THROW 50000, N'Run this with sqlcmd, or replace the variable LoginHash1 by hand.', 1;
GO

-- 37. The copy exists and is synchronized
DECLARE @end datetime2 = DATEADD(second, 1800, SYSUTCDATETIME());
WHILE NOT EXISTS (SELECT 1 AS yes FROM sys.availability_databases_cluster c JOIN sys.dm_hadr_database_replica_states l ON l.group_database_id = c.group_database_id WHERE c.database_name = N'ASPState' AND l.is_local = 1 AND (l.synchronization_state_desc = N'SYNCHRONIZED' OR N'FULL' = N'OFF' AND l.synchronization_state_desc = N'SYNCHRONIZING')) AND SYSUTCDATETIME() < @end
  WAITFOR DELAY '00:00:01';
IF NOT EXISTS (SELECT 1 AS yes FROM sys.availability_databases_cluster c JOIN sys.dm_hadr_database_replica_states l ON l.group_database_id = c.group_database_id WHERE c.database_name = N'ASPState' AND l.is_local = 1 AND (l.synchronization_state_desc = N'SYNCHRONIZED' OR N'FULL' = N'OFF' AND l.synchronization_state_desc = N'SYNCHRONIZING'))
  THROW 50000, N'state not reached: The copy exists and is synchronized; check pair status and the error logs of both servers', 1;
GO

-- 38. Create the same login on this server
--    master is not mirrored. With another SID the user would be orphaned after a failover (916); with the database as its default, the login would fail on the mirror.
IF NOT EXISTS (SELECT 1 AS yes FROM sys.server_principals WHERE name = N'aspstate' AND sid = $(LoginSid1))
  CREATE LOGIN [aspstate] WITH PASSWORD = $(LoginHash1) HASHED, SID = $(LoginSid1), CHECK_POLICY = OFF, DEFAULT_DATABASE = [master];
GO

-- If proxies log in as aspstate, they need this right to see the replicas' roles. Run on both servers: GRANT VIEW SERVER STATE TO [aspstate]
-- A group without a cluster has no automatic failover, and its listener does not move: clients reach the primary through mirrorstate.
-- Jobs are not replicated: create the log backup job, and every other job that uses the database, on both servers.

