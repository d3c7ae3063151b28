-- ======== part 1, on a (sql1) ========
-- mirrorstate pair setup, database O'Brien's [shop], topology mirroring.
-- Part 1 of 6, on server a (sql1). Run the parts in order, each until it ends: sqlcmd -b -y 0 -S sql1 -i FILE
-- Stop at the first error and fix its cause. Every step can be run again.
-- NOT CHECKED, because this was written without asking the servers:
--   - that a (sql1) is the principal
--   - that both servers have the same version, edition and collation, that the database has no FILESTREAM files, and that the login is sysadmin on both
--   - that neither server has an endpoint for mirroring yet: an existing one is used, and GRANT CONNECT must then have its name
--   - which logins own users in the database: those named with --login are copied
--   - which server rights they have (sys.server_permissions): grant them on the other server too
-- Choose a password and set it in the environment variable MasterKeyPassword, which sqlcmd reads: everybody can read a command line.
USE [master];
GO
IF N'$(MasterKeyPassword)' LIKE N'$' + N'(%' THROW 50000, N'Run this with sqlcmd, or replace the variable MasterKeyPassword by hand.', 1;
GO

-- 1. The database exists, and is open
IF NOT EXISTS (SELECT 1 AS yes FROM sys.databases WHERE name = N'O''Brien''s [shop]' AND state_desc = N'ONLINE')
  THROW 50911, N'911: the database does not exist, or is not ONLINE; check the database''s name, and that this is the right server', 1;
GO

-- 2. The database is MULTI_USER
IF NOT EXISTS (SELECT 1 AS yes FROM sys.databases WHERE name = N'O''Brien''s [shop]' AND user_access_desc = N'MULTI_USER')
  THROW 51488, N'1488: the database is not MULTI_USER; ALTER DATABASE ... SET MULTI_USER', 1;
GO

-- 3. The database is not READ_ONLY
IF NOT EXISTS (SELECT 1 AS yes FROM sys.databases WHERE name = N'O''Brien''s [shop]' AND is_read_only = 0)
  THROW 51466, N'1466: the database is READ_ONLY; ALTER DATABASE ... SET READ_WRITE', 1;
GO

-- 4. AUTO_CLOSE is OFF
IF NOT EXISTS (SELECT 1 AS yes FROM sys.databases WHERE name = N'O''Brien''s [shop]' AND is_auto_close_on = 0)
  THROW 51469, N'1469: AUTO_CLOSE is ON; ALTER DATABASE ... SET AUTO_CLOSE OFF', 1;
GO

-- 5. The database is in no availability group
IF NOT EXISTS (SELECT 1 AS yes FROM sys.databases WHERE name = N'O''Brien''s [shop]' AND replica_id IS NULL)
  THROW 50000, N'the database is in an availability group; remove it from the group first: pair remove --topology availability-group', 1;
GO

-- 6. The database is not mirrored yet
IF NOT EXISTS (SELECT 1 AS yes FROM sys.databases d JOIN sys.database_mirroring m ON m.database_id = d.database_id WHERE d.name = N'O''Brien''s [shop]' AND m.mirroring_guid IS NULL)
  THROW 51405, N'1405: the database has a mirroring session already; check pair status; after a setup that failed run pair remove first', 1;
GO

-- 7. Create a master key in master, which protects the certificate's private key
IF NOT EXISTS (SELECT 1 AS yes FROM sys.symmetric_keys WHERE name = N'##MS_DatabaseMasterKey##')
  CREATE MASTER KEY ENCRYPTION BY PASSWORD = '$(MasterKeyPassword)';
GO

-- 8. Create the certificate by which the other servers recognize this one
--    Without EXPIRY_DATE it would expire after a year, and mirroring would stop.
IF NOT EXISTS (SELECT 1 AS yes FROM sys.certificates WHERE name = N'mirrorstate sql1:5022')
  CREATE CERTIFICATE [mirrorstate sql1:5022] WITH SUBJECT = 'endpoint sql1:5022', EXPIRY_DATE = '20391231';
GO

-- 9. Create the endpoint for the connections between the partners
--    A server has one endpoint of this kind. An existing one is used unchanged: a change would break the sessions of other databases.
IF NOT EXISTS (SELECT 1 AS yes FROM sys.database_mirroring_endpoints)
  CREATE ENDPOINT [Mirroring] STATE = STARTED AS TCP (LISTENER_PORT = 5022, LISTENER_IP = ALL) FOR DATABASE_MIRRORING (AUTHENTICATION = CERTIFICATE [mirrorstate sql1:5022], ENCRYPTION = REQUIRED ALGORITHM AES, ROLE = ALL);
GO

-- 10. The endpoint is started, on the port that the other servers use, and with the right role
IF NOT EXISTS (SELECT 1 AS yes FROM sys.database_mirroring_endpoints e JOIN sys.tcp_endpoints t ON t.endpoint_id = e.endpoint_id WHERE e.state_desc = N'STARTED' AND e.role_desc IN (N'PARTNER', N'ALL') AND t.port = 5022)
  THROW 51418, N'1418: the endpoint is not STARTED with ROLE ALL on port 5022; start it (ALTER ENDPOINT ... STATE = STARTED), or give its real port with --endpoint-a', 1;
GO

-- 11. Read the public part of this server's certificate, for the other servers
--    It is copied as a value, so no certificate file must be copied.
SELECT CONVERT(varchar(max), CERTENCODED(c.certificate_id), 1) AS certificate FROM sys.certificates c WHERE c.name = N'mirrorstate sql1:5022';
GO


-- ======== part 2, on b (sql2) ========
-- mirrorstate pair setup, database O'Brien's [shop], topology mirroring.
-- Part 2 of 6, on server b (sql2). Run the parts in order, each until it ends: sqlcmd -b -y 0 -S sql2 -i FILE
-- Choose a password and set it in the environment variable MasterKeyPassword, which sqlcmd reads: everybody can read a command line.
-- Choose a password and set it in the environment variable EndpointLoginPassword, which sqlcmd reads: everybody can read a command line.
-- Give the value that step 11 printed: sqlcmd -v CertificateOf_a=VALUE
USE [master];
GO
IF N'$(MasterKeyPassword)' LIKE N'$' + N'(%' THROW 50000, N'Run this with sqlcmd, or replace the variable MasterKeyPassword by hand.', 1;
GO
IF N'$(EndpointLoginPassword)' LIKE N'$' + N'(%' THROW 50000, N'Run this with sqlcmd, or replace the variable EndpointLoginPassword by hand.', 1;
GO
IF N'$(CertificateOf_a)' LIKE N'$' + N'(%' THROW 50000, N'Run this with sqlcmd, or replace the variable CertificateOf_a by hand.', 1;
GO

-- 12. Create a master key in master, which protects the certificate's private key
IF NOT EXISTS (SELECT 1 AS yes FROM sys.symmetric_keys WHERE name = N'##MS_DatabaseMasterKey##')
  CREATE MASTER KEY ENCRYPTION BY PASSWORD = '$(MasterKeyPassword)';
GO

-- 13. Create the certificate by which the other servers recognize this one
--    Without EXPIRY_DATE it would expire after a year, and mirroring would stop.
IF NOT EXISTS (SELECT 1 AS yes FROM sys.certificates WHERE name = N'mirrorstate sql2:5022')
  CREATE CERTIFICATE [mirrorstate sql2:5022] WITH SUBJECT = 'endpoint sql2:5022', EXPIRY_DATE = '20391231';
GO

-- 14. Create the endpoint for the connections between the partners
--    A server has one endpoint of this kind. An existing one is used unchanged: a change would break the sessions of other databases.
IF NOT EXISTS (SELECT 1 AS yes FROM sys.database_mirroring_endpoints)
  CREATE ENDPOINT [Mirroring] STATE = STARTED AS TCP (LISTENER_PORT = 5022, LISTENER_IP = ALL) FOR DATABASE_MIRRORING (AUTHENTICATION = CERTIFICATE [mirrorstate sql2:5022], ENCRYPTION = REQUIRED ALGORITHM AES, ROLE = ALL);
GO

-- 15. The endpoint is started, on the port that the other servers use, and with the right role
IF NOT EXISTS (SELECT 1 AS yes FROM sys.database_mirroring_endpoints e JOIN sys.tcp_endpoints t ON t.endpoint_id = e.endpoint_id WHERE e.state_desc = N'STARTED' AND e.role_desc IN (N'PARTNER', N'ALL') AND t.port = 5022)
  THROW 51418, N'1418: the endpoint is not STARTED with ROLE ALL on port 5022; start it (ALTER ENDPOINT ... STATE = STARTED), or give its real port with --endpoint-b', 1;
GO

-- 16. Read the public part of this server's certificate, for the other servers
--    It is copied as a value, so no certificate file must be copied.
SELECT CONVERT(varchar(max), CERTENCODED(c.certificate_id), 1) AS certificate FROM sys.certificates c WHERE c.name = N'mirrorstate sql2:5022';
GO

-- 17. Create a login for a, which authenticates with its certificate; nobody uses the password
IF NOT EXISTS (SELECT 1 AS yes FROM sys.server_principals WHERE name = N'mirrorstate sql1:5022')
  CREATE LOGIN [mirrorstate sql1:5022] WITH PASSWORD = '$(EndpointLoginPassword)';
GO

-- 18. Create its user in master, which owns the certificate
IF NOT EXISTS (SELECT 1 AS yes FROM sys.database_principals WHERE name = N'mirrorstate sql1:5022')
  CREATE USER [mirrorstate sql1:5022] FOR LOGIN [mirrorstate sql1:5022];
GO

-- 19. Import the certificate of a
IF NOT EXISTS (SELECT 1 AS yes FROM sys.certificates WHERE name = N'mirrorstate sql1:5022')
  CREATE CERTIFICATE [mirrorstate sql1:5022] AUTHORIZATION [mirrorstate sql1:5022] FROM BINARY = $(CertificateOf_a);
GO

-- 20. Grant it the right to connect to the endpoint
GRANT CONNECT ON ENDPOINT::[Mirroring] TO [mirrorstate sql1:5022];
GO


-- ======== part 3, on a (sql1) ========
-- mirrorstate pair setup, database O'Brien's [shop], topology mirroring.
-- Part 3 of 6, on server a (sql1). Run the parts in order, each until it ends: sqlcmd -b -y 0 -S sql1 -i FILE
-- Choose a password and set it in the environment variable EndpointLoginPassword, which sqlcmd reads: everybody can read a command line.
-- Give the value that step 16 printed: sqlcmd -v CertificateOf_b=VALUE
USE [master];
GO
IF N'$(EndpointLoginPassword)' LIKE N'$' + N'(%' THROW 50000, N'Run this with sqlcmd, or replace the variable EndpointLoginPassword by hand.', 1;
GO
IF N'$(CertificateOf_b)' LIKE N'$' + N'(%' THROW 50000, N'Run this with sqlcmd, or replace the variable CertificateOf_b by hand.', 1;
GO

-- 21. Create a login for b, which authenticates with its certificate; nobody uses the password
IF NOT EXISTS (SELECT 1 AS yes FROM sys.server_principals WHERE name = N'mirrorstate sql2:5022')
  CREATE LOGIN [mirrorstate sql2:5022] WITH PASSWORD = '$(EndpointLoginPassword)';
GO

-- 22. Create its user in master, which owns the certificate
IF NOT EXISTS (SELECT 1 AS yes FROM sys.database_principals WHERE name = N'mirrorstate sql2:5022')
  CREATE USER [mirrorstate sql2:5022] FOR LOGIN [mirrorstate sql2:5022];
GO

-- 23. Import the certificate of b
IF NOT EXISTS (SELECT 1 AS yes FROM sys.certificates WHERE name = N'mirrorstate sql2:5022')
  CREATE CERTIFICATE [mirrorstate sql2:5022] AUTHORIZATION [mirrorstate sql2:5022] FROM BINARY = $(CertificateOf_b);
GO

-- 24. Grant it the right to connect to the endpoint
GRANT CONNECT ON ENDPOINT::[Mirroring] TO [mirrorstate sql2:5022];
GO

-- 25. Set the recovery model to FULL: mirroring sends the log
--    From now on only log backups truncate the log. Create a job for them on both servers: without it the log fills the disk.
IF NOT EXISTS (SELECT 1 AS yes FROM sys.databases WHERE name = N'O''Brien''s [shop]' AND recovery_model_desc = N'FULL')
  ALTER DATABASE [O'Brien's [shop]]] SET RECOVERY FULL;
--    Error 5061 is temporary: run the step again.
GO

-- 26. Read the SID and the password hash of the login it's [me]
SELECT CONVERT(varchar(200), sid, 1) AS sid, CONVERT(varchar(600), password_hash, 1) AS hash FROM sys.sql_logins WHERE name = N'it''s [me]';
GO

-- 27. Take a full backup
--    Pause the log backup job: a log backup taken from now on must be restored on the mirror too (1408, 1409, 1412, 1478).
BACKUP DATABASE [O'Brien's [shop]]] TO DISK = N'O''Brien''s [shop]-mirrorstate.bak' WITH INIT, FORMAT, CHECKSUM;
GO

-- 28. Take a log backup, which mirroring needs to start
BACKUP LOG [O'Brien's [shop]]] TO DISK = N'O''Brien''s [shop]-mirrorstate.trn' WITH INIT, FORMAT;
GO


-- ======== part 4, on b (sql2) ========
-- mirrorstate pair setup, database O'Brien's [shop], topology mirroring.
-- Part 4 of 6, on server b (sql2). Run the parts in order, each until it ends: sqlcmd -b -y 0 -S sql2 -i FILE
USE [master];
GO

-- 29. Copy O'Brien's [shop]-mirrorstate.bak from a's default backup folder to that of b
--    The SQL Server service on each machine opens the path, and its account must have the right to read it.
RESTORE FILELISTONLY FROM DISK = N'O''Brien''s [shop]-mirrorstate.bak';
GO

-- 30. Copy O'Brien's [shop]-mirrorstate.trn from a's default backup folder to that of b
--    The SQL Server service on each machine opens the path, and its account must have the right to read it.
RESTORE FILELISTONLY FROM DISK = N'O''Brien''s [shop]-mirrorstate.trn';
GO

-- 31. Restore the copy, which stays closed
--    NORECOVERY: a copy that was opened once can't be mirrored. REPLACE is not used: it would overwrite a database of that name.
IF NOT EXISTS (SELECT 1 AS yes FROM sys.databases WHERE name = N'O''Brien''s [shop]' AND state_desc = N'RESTORING')
  RESTORE DATABASE [O'Brien's [shop]]] FROM DISK = N'O''Brien''s [shop]-mirrorstate.bak' WITH NORECOVERY;
GO

-- 32. Restore the log backup
RESTORE LOG [O'Brien's [shop]]] FROM DISK = N'O''Brien''s [shop]-mirrorstate.trn' WITH NORECOVERY;
--    Error 4326 means that there was nothing to do.
GO

-- 33. The copy exists, and is RESTORING
IF NOT EXISTS (SELECT 1 AS yes FROM sys.databases WHERE name = N'O''Brien''s [shop]' AND state_desc = N'RESTORING')
  THROW 51464, N'1464: the copy is not RESTORING; restore the database WITH NORECOVERY on the mirror first', 1;
GO

-- 34. First set the partner on the mirror; this does not connect to the principal
ALTER DATABASE [O'Brien's [shop]]] SET PARTNER = N'TCP://sql1:5022';
GO


-- ======== part 5, on a (sql1) ========
-- mirrorstate pair setup, database O'Brien's [shop], topology mirroring.
-- Part 5 of 6, on server a (sql1). Run the parts in order, each until it ends: sqlcmd -b -y 0 -S sql1 -i FILE
USE [master];
GO

-- 35. Then set the partner on the principal, which connects to the mirror and starts the session
--    1418 here often means a missing certificate or GRANT CONNECT, or a closed port: read both error logs. The statement can succeed and the session fail later: the next step checks.
ALTER DATABASE [O'Brien's [shop]]] SET PARTNER = N'TCP://sql2:5022';
--    Error 1404 is temporary: run the step again.
--    Error 1413 is temporary: run the step again.
--    Error 1421 is temporary: run the step again.
--    Error 1438 is temporary: run the step again.
-- If it fails, on b: ALTER DATABASE [O'Brien's [shop]]] SET PARTNER OFF;
GO

-- 36. The session has started
DECLARE @end datetime2 = DATEADD(second, 60, SYSUTCDATETIME());
WHILE NOT EXISTS (SELECT 1 AS yes FROM sys.databases d JOIN sys.database_mirroring m ON m.database_id = d.database_id WHERE d.name = N'O''Brien''s [shop]' AND m.mirroring_role_desc = N'PRINCIPAL' AND m.mirroring_state_desc <> N'DISCONNECTED') AND SYSUTCDATETIME() < @end
  WAITFOR DELAY '00:00:01';
IF NOT EXISTS (SELECT 1 AS yes FROM sys.databases d JOIN sys.database_mirroring m ON m.database_id = d.database_id WHERE d.name = N'O''Brien''s [shop]' AND m.mirroring_role_desc = N'PRINCIPAL' AND m.mirroring_state_desc <> N'DISCONNECTED')
  THROW 50000, N'state not reached: The session has started; check pair status and the error logs of both servers', 1;
GO

-- 37. The mirror has caught up
DECLARE @end datetime2 = DATEADD(second, 1800, SYSUTCDATETIME());
WHILE NOT EXISTS (SELECT 1 AS yes FROM sys.databases d JOIN sys.database_mirroring m ON m.database_id = d.database_id WHERE d.name = N'O''Brien''s [shop]' AND m.mirroring_state_desc = N'SYNCHRONIZED') AND SYSUTCDATETIME() < @end
  WAITFOR DELAY '00:00:01';
IF NOT EXISTS (SELECT 1 AS yes FROM sys.databases d JOIN sys.database_mirroring m ON m.database_id = d.database_id WHERE d.name = N'O''Brien''s [shop]' AND m.mirroring_state_desc = N'SYNCHRONIZED')
  THROW 50000, N'state not reached: The mirror has caught up; check pair status and the error logs of both servers', 1;
GO

-- 38. Set SAFETY FULL
IF NOT EXISTS (SELECT 1 AS yes FROM sys.databases d JOIN sys.database_mirroring m ON m.database_id = d.database_id WHERE d.name = N'O''Brien''s [shop]' AND m.mirroring_safety_level_desc = N'FULL')
  ALTER DATABASE [O'Brien's [shop]]] SET PARTNER SAFETY FULL;
GO


-- ======== part 6, on b (sql2) ========
-- mirrorstate pair setup, database O'Brien's [shop], topology mirroring.
-- Part 6 of 6, on server b (sql2). Run the parts in order, each until it ends: sqlcmd -b -y 0 -S sql2 -i FILE
-- Give the value that step 26 printed: sqlcmd -v LoginSid1=VALUE
-- Give the value that step 26 printed: sqlcmd -v LoginHash1=VALUE
USE [master];
GO
IF N'$(LoginSid1)' LIKE N'$' + N'(%' THROW 50000, N'Run this with sqlcmd, or replace the variable LoginSid1 by hand.', 1;
GO
IF N'$(LoginHash1)' LIKE N'$' + N'(%' THROW 50000, N'Run this with sqlcmd, or replace the variable LoginHash1 by hand.', 1;
GO

-- 39. The mirror catches up too
DECLARE @end datetime2 = DATEADD(second, 60, SYSUTCDATETIME());
WHILE NOT EXISTS (SELECT 1 AS yes FROM sys.databases d JOIN sys.database_mirroring m ON m.database_id = d.database_id WHERE d.name = N'O''Brien''s [shop]' AND (m.mirroring_state_desc = N'SYNCHRONIZED' OR m.mirroring_state_desc = N'SYNCHRONIZING' OR m.mirroring_state_desc IS NULL)) AND SYSUTCDATETIME() < @end
  WAITFOR DELAY '00:00:01';
IF NOT EXISTS (SELECT 1 AS yes FROM sys.databases d JOIN sys.database_mirroring m ON m.database_id = d.database_id WHERE d.name = N'O''Brien''s [shop]' AND (m.mirroring_state_desc = N'SYNCHRONIZED' OR m.mirroring_state_desc = N'SYNCHRONIZING' OR m.mirroring_state_desc IS NULL))
  THROW 50000, N'state not reached: The mirror catches up too; check pair status and the error logs of both servers', 1;
GO

-- 40. Create the same login on this server
--    master is not mirrored. With another SID the user would be orphaned after a failover (916); with the database as its default, the login would fail on the mirror.
IF NOT EXISTS (SELECT 1 AS yes FROM sys.server_principals WHERE name = N'it''s [me]' AND sid = $(LoginSid1))
  CREATE LOGIN [it's [me]]] WITH PASSWORD = $(LoginHash1) HASHED, SID = $(LoginSid1), CHECK_POLICY = OFF, DEFAULT_DATABASE = [master];
GO

-- Jobs are not mirrored: create the log backup job, and every other job that uses the database, on both servers.

