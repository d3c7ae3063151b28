-- ======== part 1, on a (sql1.example.com) ========
-- mirrorstate pair setup, database ASPState, topology availability-group.
-- Part 1 of 10, on server a (sql1.example.com). Run the parts in their order, each to its end: sqlcmd -b -y 0 -S sql1.example.com -i FILE
-- Stop at the first error and mend what it says. Every step may be run again.
-- NOT CHECKED, because this was written without asking the servers:
--   - that a (sql1.example.com) is the primary
--   - that the servers' @@SERVERNAME are SQL1 and SQL2, the group is called ASPState_ag, and it has no cluster
--   - that both servers have the same version, edition and collation, that the database has no FILESTREAM files, and that the login is sysadmin on both
--   - that neither server has an endpoint for mirroring yet: one that is there is used, and its name then stands in GRANT CONNECT
--   - which logins own users in the database: those named with --login are carried over
--   - which rights on the server they have (sys.server_permissions): give them there too
USE [master];
GO

-- 1. Availability groups are switched on
IF NOT EXISTS (SELECT 1 AS yes WHERE CONVERT(int, SERVERPROPERTY(N'IsHadrEnabled')) = 1)
  THROW 85221, N'35221: availability groups are not switched on for this instance; switch availability groups on for the instance (in a container: MSSQL_ENABLE_HADR=1) and restart it', 1;
GO

-- 2. The server's name is the replica's
IF NOT EXISTS (SELECT 1 AS yes WHERE @@SERVERNAME = N'SQL1')
  THROW 85250, N'35250: @@SERVERNAME is not SQL1; a replica must bear the server''s name; a container keeps the name of its first start in its volume', 1;
GO


-- ======== part 2, on b (sql2.example.com) ========
-- mirrorstate pair setup, database ASPState, topology availability-group.
-- Part 2 of 10, on server b (sql2.example.com). Run the parts in their order, each to its end: sqlcmd -b -y 0 -S sql2.example.com -i FILE
USE [master];
GO

-- 3. Availability groups are switched on
IF NOT EXISTS (SELECT 1 AS yes WHERE CONVERT(int, SERVERPROPERTY(N'IsHadrEnabled')) = 1)
  THROW 85221, N'35221: availability groups are not switched on for this instance; switch availability groups on for the instance (in a container: MSSQL_ENABLE_HADR=1) and restart it', 1;
GO

-- 4. The server's name is the replica's
IF NOT EXISTS (SELECT 1 AS yes WHERE @@SERVERNAME = N'SQL2')
  THROW 85250, N'35250: @@SERVERNAME is not SQL2; a replica must bear the server''s name; a container keeps the name of its first start in its volume', 1;
GO


-- ======== part 3, on a (sql1.example.com) ========
-- mirrorstate pair setup, database ASPState, topology availability-group.
-- Part 3 of 10, on server a (sql1.example.com). Run the parts in their order, each to its end: sqlcmd -b -y 0 -S sql1.example.com -i FILE
USE [master];
GO

-- 5. The database is there, and open
IF NOT EXISTS (SELECT 1 AS yes FROM sys.databases WHERE name = N'ASPState' AND state_desc = N'ONLINE')
  THROW 50911, N'911: the database is not there, or not ONLINE; check the database''s name, and that this is the right server', 1;
GO

-- 6. Many may use it
IF NOT EXISTS (SELECT 1 AS yes FROM sys.databases WHERE name = N'ASPState' AND user_access_desc = N'MULTI_USER')
  THROW 51488, N'1488: the database is not MULTI_USER; ALTER DATABASE ... SET MULTI_USER', 1;
GO

-- 7. It may be written
IF NOT EXISTS (SELECT 1 AS yes FROM sys.databases WHERE name = N'ASPState' AND is_read_only = 0)
  THROW 51466, N'1466: the database is READ_ONLY; ALTER DATABASE ... SET READ_WRITE', 1;
GO

-- 8. It does not close by itself
IF NOT EXISTS (SELECT 1 AS yes FROM sys.databases WHERE name = N'ASPState' AND is_auto_close_on = 0)
  THROW 51469, N'1469: AUTO_CLOSE is ON; ALTER DATABASE ... SET AUTO_CLOSE OFF', 1;
GO

-- 9. It is in no availability group
IF NOT EXISTS (SELECT 1 AS yes FROM sys.databases WHERE name = N'ASPState' AND replica_id IS NULL)
  THROW 50000, N'the database is in an availability group; remove it from the group first: pair remove --topology availability-group', 1;
GO


-- ======== part 4, on b (sql2.example.com) ========
-- mirrorstate pair setup, database ASPState, topology availability-group.
-- Part 4 of 10, on server b (sql2.example.com). Run the parts in their order, each to its end: sqlcmd -b -y 0 -S sql2.example.com -i FILE
USE [master];
GO

-- 10. There is no database of that name yet
IF NOT EXISTS (SELECT 1 AS yes WHERE DB_ID(N'ASPState') IS NULL)
  THROW 51801, N'1801: the secondary has a database of that name already; a database of that name is there already: drop it, or use another server', 1;
GO


-- ======== part 5, on a (sql1.example.com) ========
-- mirrorstate pair setup, database ASPState, topology availability-group.
-- Part 5 of 10, on server a (sql1.example.com). Run the parts in their order, each to its end: sqlcmd -b -y 0 -S sql1.example.com -i FILE
-- Choose a password and put it into the environment variable MasterKeyPassword, where sqlcmd looks it up: everybody can read a command line.
USE [master];
GO
IF N'$(MasterKeyPassword)' LIKE N'$' + N'(%' THROW 50000, N'Run this with sqlcmd, or put the value of MasterKeyPassword in by hand.', 1;
GO

-- 11. A master key in master, which protects the certificate's private key
IF NOT EXISTS (SELECT 1 AS yes FROM sys.symmetric_keys WHERE name = N'##MS_DatabaseMasterKey##')
  CREATE MASTER KEY ENCRYPTION BY PASSWORD = '$(MasterKeyPassword)';
GO

-- 12. The certificate that this server shows to the others
--    Without EXPIRY_DATE it would end after a year, and mirroring with it.
IF NOT EXISTS (SELECT 1 AS yes FROM sys.certificates WHERE name = N'mirrorstate sql1.example.com:5022')
  CREATE CERTIFICATE [mirrorstate sql1.example.com:5022] WITH SUBJECT = 'endpoint sql1.example.com:5022', EXPIRY_DATE = '20391231';
GO

-- 13. The endpoint on which the partners speak
--    A server has one endpoint of this kind. One that is there is used as it is: to change it would break other databases' sessions.
IF NOT EXISTS (SELECT 1 AS yes FROM sys.database_mirroring_endpoints)
  CREATE ENDPOINT [Hadr_endpoint] STATE = STARTED AS TCP (LISTENER_PORT = 5022, LISTENER_IP = ALL) FOR DATABASE_MIRRORING (AUTHENTICATION = CERTIFICATE [mirrorstate sql1.example.com:5022], ENCRYPTION = REQUIRED ALGORITHM AES, ROLE = ALL);
GO

-- 14. The endpoint is started, on the port that the others use, and may do this
IF NOT EXISTS (SELECT 1 AS yes FROM sys.database_mirroring_endpoints e JOIN sys.tcp_endpoints t ON t.endpoint_id = e.endpoint_id WHERE e.state_desc = N'STARTED' AND e.role_desc IN (N'PARTNER', N'ALL') AND t.port = 5022)
  THROW 51418, N'1418: the endpoint is not STARTED with ROLE ALL on port 5022; start it (ALTER ENDPOINT ... STATE = STARTED), or give its true port with --endpoint-a', 1;
GO

-- 15. The public part of this server's certificate, for the others
--    It is carried as a value, so that no certificate file has to be.
SELECT CONVERT(varchar(max), CERTENCODED(c.certificate_id), 1) AS certificate FROM sys.certificates c WHERE c.name = N'mirrorstate sql1.example.com:5022';
GO


-- ======== part 6, on b (sql2.example.com) ========
-- mirrorstate pair setup, database ASPState, topology availability-group.
-- Part 6 of 10, on server b (sql2.example.com). Run the parts in their order, each to its end: sqlcmd -b -y 0 -S sql2.example.com -i FILE
-- Choose a password and put it into the environment variable MasterKeyPassword, where sqlcmd looks it up: everybody can read a command line.
-- Choose a password and put it into the environment variable EndpointLoginPassword, where sqlcmd looks it up: everybody can read a command line.
-- Give what step 15 printed: sqlcmd -v CertificateOf_a=VALUE
USE [master];
GO
IF N'$(MasterKeyPassword)' LIKE N'$' + N'(%' THROW 50000, N'Run this with sqlcmd, or put the value of MasterKeyPassword in by hand.', 1;
GO
IF N'$(EndpointLoginPassword)' LIKE N'$' + N'(%' THROW 50000, N'Run this with sqlcmd, or put the value of EndpointLoginPassword in by hand.', 1;
GO
IF N'$(CertificateOf_a)' LIKE N'$' + N'(%' THROW 50000, N'Run this with sqlcmd, or put the value of CertificateOf_a in by hand.', 1;
GO

-- 16. A master key in master, which protects the certificate's private key
IF NOT EXISTS (SELECT 1 AS yes FROM sys.symmetric_keys WHERE name = N'##MS_DatabaseMasterKey##')
  CREATE MASTER KEY ENCRYPTION BY PASSWORD = '$(MasterKeyPassword)';
GO

-- 17. The certificate that this server shows to the others
--    Without EXPIRY_DATE it would end after a year, and mirroring with it.
IF NOT EXISTS (SELECT 1 AS yes FROM sys.certificates WHERE name = N'mirrorstate sql2.example.com:5022')
  CREATE CERTIFICATE [mirrorstate sql2.example.com:5022] WITH SUBJECT = 'endpoint sql2.example.com:5022', EXPIRY_DATE = '20391231';
GO

-- 18. The endpoint on which the partners speak
--    A server has one endpoint of this kind. One that is there is used as it is: to change it would break other databases' sessions.
IF NOT EXISTS (SELECT 1 AS yes FROM sys.database_mirroring_endpoints)
  CREATE ENDPOINT [Hadr_endpoint] STATE = STARTED AS TCP (LISTENER_PORT = 5022, LISTENER_IP = ALL) FOR DATABASE_MIRRORING (AUTHENTICATION = CERTIFICATE [mirrorstate sql2.example.com:5022], ENCRYPTION = REQUIRED ALGORITHM AES, ROLE = ALL);
GO

-- 19. The endpoint is started, on the port that the others use, and may do this
IF NOT EXISTS (SELECT 1 AS yes FROM sys.database_mirroring_endpoints e JOIN sys.tcp_endpoints t ON t.endpoint_id = e.endpoint_id WHERE e.state_desc = N'STARTED' AND e.role_desc IN (N'PARTNER', N'ALL') AND t.port = 5022)
  THROW 51418, N'1418: the endpoint is not STARTED with ROLE ALL on port 5022; start it (ALTER ENDPOINT ... STATE = STARTED), or give its true port with --endpoint-b', 1;
GO

-- 20. The public part of this server's certificate, for the others
--    It is carried as a value, so that no certificate file has to be.
SELECT CONVERT(varchar(max), CERTENCODED(c.certificate_id), 1) AS certificate FROM sys.certificates c WHERE c.name = N'mirrorstate sql2.example.com:5022';
GO

-- 21. A login for a, which nobody logs in with: its certificate is its proof
IF NOT EXISTS (SELECT 1 AS yes FROM sys.server_principals WHERE name = N'mirrorstate sql1.example.com:5022')
  CREATE LOGIN [mirrorstate sql1.example.com:5022] WITH PASSWORD = '$(EndpointLoginPassword)';
GO

-- 22. Its user in master, who owns the certificate
IF NOT EXISTS (SELECT 1 AS yes FROM sys.database_principals WHERE name = N'mirrorstate sql1.example.com:5022')
  CREATE USER [mirrorstate sql1.example.com:5022] FOR LOGIN [mirrorstate sql1.example.com:5022];
GO

-- 23. The certificate of a
IF NOT EXISTS (SELECT 1 AS yes FROM sys.certificates WHERE name = N'mirrorstate sql1.example.com:5022')
  CREATE CERTIFICATE [mirrorstate sql1.example.com:5022] AUTHORIZATION [mirrorstate sql1.example.com:5022] FROM BINARY = $(CertificateOf_a);
GO

-- 24. It may connect to the endpoint
GRANT CONNECT ON ENDPOINT::[Hadr_endpoint] TO [mirrorstate sql1.example.com:5022];
GO


-- ======== part 7, on a (sql1.example.com) ========
-- mirrorstate pair setup, database ASPState, topology availability-group.
-- Part 7 of 10, on server a (sql1.example.com). Run the parts in their order, each to its end: sqlcmd -b -y 0 -S sql1.example.com -i FILE
-- Choose a password and put it into the environment variable EndpointLoginPassword, where sqlcmd looks it up: everybody can read a command line.
-- Give what step 20 printed: sqlcmd -v CertificateOf_b=VALUE
USE [master];
GO
IF N'$(EndpointLoginPassword)' LIKE N'$' + N'(%' THROW 50000, N'Run this with sqlcmd, or put the value of EndpointLoginPassword in by hand.', 1;
GO
IF N'$(CertificateOf_b)' LIKE N'$' + N'(%' THROW 50000, N'Run this with sqlcmd, or put the value of CertificateOf_b in by hand.', 1;
GO

-- 25. A login for b, which nobody logs in with: its certificate is its proof
IF NOT EXISTS (SELECT 1 AS yes FROM sys.server_principals WHERE name = N'mirrorstate sql2.example.com:5022')
  CREATE LOGIN [mirrorstate sql2.example.com:5022] WITH PASSWORD = '$(EndpointLoginPassword)';
GO

-- 26. Its user in master, who owns the certificate
IF NOT EXISTS (SELECT 1 AS yes FROM sys.database_principals WHERE name = N'mirrorstate sql2.example.com:5022')
  CREATE USER [mirrorstate sql2.example.com:5022] FOR LOGIN [mirrorstate sql2.example.com:5022];
GO

-- 27. The certificate of b
IF NOT EXISTS (SELECT 1 AS yes FROM sys.certificates WHERE name = N'mirrorstate sql2.example.com:5022')
  CREATE CERTIFICATE [mirrorstate sql2.example.com:5022] AUTHORIZATION [mirrorstate sql2.example.com:5022] FROM BINARY = $(CertificateOf_b);
GO

-- 28. It may connect to the endpoint
GRANT CONNECT ON ENDPOINT::[Hadr_endpoint] TO [mirrorstate sql2.example.com:5022];
GO

-- 29. Full recovery: the log is what mirroring sends
--    From now on only log backups free the log. Make sure that a job takes some, on both servers: without one the log fills the disk.
IF NOT EXISTS (SELECT 1 AS yes FROM sys.databases WHERE name = N'ASPState' AND recovery_model_desc = N'FULL')
  ALTER DATABASE [ASPState] SET RECOVERY FULL;
--    Error 5061 passes: run the step again.
GO

-- 30. The SID and the password's hash of the login aspstate
SELECT CONVERT(varchar(200), sid, 1) AS sid, CONVERT(varchar(600), password_hash, 1) AS hash FROM sys.sql_logins WHERE name = N'aspstate';
GO

-- 31. A full backup, which a database must have before it is added
BACKUP DATABASE [ASPState] TO DISK = N'ASPState-mirrorstate.bak' WITH INIT, FORMAT, CHECKSUM;
GO

-- 32. The group, without a cluster
--    ALLOW_CONNECTIONS = NO: a login at the wrong server fails at once (976), and not at its first write (3906).
IF NOT EXISTS (SELECT 1 AS yes FROM sys.availability_groups WHERE name = N'ASPState_ag')
  CREATE AVAILABILITY GROUP [ASPState_ag] WITH (CLUSTER_TYPE = NONE) FOR REPLICA ON N'SQL1' WITH (ENDPOINT_URL = N'tcp://sql1.example.com:5022', AVAILABILITY_MODE = SYNCHRONOUS_COMMIT, FAILOVER_MODE = MANUAL, SEEDING_MODE = AUTOMATIC, SECONDARY_ROLE (ALLOW_CONNECTIONS = NO)), N'SQL2' WITH (ENDPOINT_URL = N'tcp://sql2.example.com:5022', AVAILABILITY_MODE = SYNCHRONOUS_COMMIT, FAILOVER_MODE = MANUAL, SEEDING_MODE = AUTOMATIC, SECONDARY_ROLE (ALLOW_CONNECTIONS = NO));
GO


-- ======== part 8, on b (sql2.example.com) ========
-- mirrorstate pair setup, database ASPState, topology availability-group.
-- Part 8 of 10, on server b (sql2.example.com). Run the parts in their order, each to its end: sqlcmd -b -y 0 -S sql2.example.com -i FILE
USE [master];
GO

-- 33. The secondary joins
--    35250 is as often a certificate or a name that does not resolve as a primary that does not run.
IF NOT EXISTS (SELECT 1 AS yes FROM sys.availability_groups WHERE name = N'ASPState_ag')
  ALTER AVAILABILITY GROUP [ASPState_ag] JOIN WITH (CLUSTER_TYPE = NONE);
--    Error 35250 passes: run the step again.
GO

-- 34. The group may make the database here
ALTER AVAILABILITY GROUP [ASPState_ag] GRANT CREATE ANY DATABASE;
GO


-- ======== part 9, on a (sql1.example.com) ========
-- mirrorstate pair setup, database ASPState, topology availability-group.
-- Part 9 of 10, on server a (sql1.example.com). Run the parts in their order, each to its end: sqlcmd -b -y 0 -S sql1.example.com -i FILE
USE [master];
GO

-- 35. And here, for when the roles have changed
ALTER AVAILABILITY GROUP [ASPState_ag] GRANT CREATE ANY DATABASE;
GO

-- 36. The database goes into the group, and its copy over the wire
IF NOT EXISTS (SELECT 1 AS yes FROM sys.availability_databases_cluster WHERE database_name = N'ASPState')
  ALTER AVAILABILITY GROUP [ASPState_ag] ADD DATABASE [ASPState];
--    Error 19494 passes: run the step again.
GO


-- ======== part 10, on b (sql2.example.com) ========
-- mirrorstate pair setup, database ASPState, topology availability-group.
-- Part 10 of 10, on server b (sql2.example.com). Run the parts in their order, each to its end: sqlcmd -b -y 0 -S sql2.example.com -i FILE
-- Give what step 30 printed: sqlcmd -v LoginSid1=VALUE
-- Give what step 30 printed: sqlcmd -v LoginHash1=VALUE
USE [master];
GO
IF N'$(LoginSid1)' LIKE N'$' + N'(%' THROW 50000, N'Run this with sqlcmd, or put the value of LoginSid1 in by hand.', 1;
GO
IF N'$(LoginHash1)' LIKE N'$' + N'(%' THROW 50000, N'Run this with sqlcmd, or put the value of LoginHash1 in by hand.', 1;
GO

-- 37. The copy is made and follows
DECLARE @end datetime2 = DATEADD(second, 1800, SYSUTCDATETIME());
WHILE NOT EXISTS (SELECT 1 AS yes FROM sys.availability_databases_cluster c JOIN sys.dm_hadr_database_replica_states l ON l.group_database_id = c.group_database_id WHERE c.database_name = N'ASPState' AND l.is_local = 1 AND (l.synchronization_state_desc = N'SYNCHRONIZED' OR N'FULL' = N'OFF' AND l.synchronization_state_desc = N'SYNCHRONIZING')) AND SYSUTCDATETIME() < @end
  WAITFOR DELAY '00:00:01';
IF NOT EXISTS (SELECT 1 AS yes FROM sys.availability_databases_cluster c JOIN sys.dm_hadr_database_replica_states l ON l.group_database_id = c.group_database_id WHERE c.database_name = N'ASPState' AND l.is_local = 1 AND (l.synchronization_state_desc = N'SYNCHRONIZED' OR N'FULL' = N'OFF' AND l.synchronization_state_desc = N'SYNCHRONIZING'))
  THROW 50000, N'it did not come about: The copy is made and follows; see pair status and both servers'' error logs', 1;
GO

-- 38. The same login there
--    master is not mirrored. With another SID the user would be orphaned after a failover (916); with the database as default the login would fail on the mirror.
IF NOT EXISTS (SELECT 1 AS yes FROM sys.server_principals WHERE name = N'aspstate' AND sid = $(LoginSid1))
  CREATE LOGIN [aspstate] WITH PASSWORD = $(LoginHash1) HASHED, SID = $(LoginSid1), CHECK_POLICY = OFF, DEFAULT_DATABASE = [master];
GO

-- If proxies log in as aspstate, run on both servers, or they can't see the replicas' roles: GRANT VIEW SERVER STATE TO [aspstate]
-- A group without a cluster never fails over by itself, and has no listener that moves: clients reach the primary through mirrorstate.
-- Jobs are not replicated: make the log backup job on both servers, and every other one that uses the database.

