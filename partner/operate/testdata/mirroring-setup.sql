-- ======== part 1, on a (sql1.example.com) ========
-- mirrorstate pair setup, database ASPState, topology mirroring.
-- Part 1 of 6, on server a (sql1.example.com). Run the parts in their order, each to its end: sqlcmd -b -y 0 -S sql1.example.com -i FILE
-- Stop at the first error and mend what it says. Every step may be run again.
-- NOT CHECKED, because this was written without asking the servers:
--   - that a (sql1.example.com) is the principal
--   - that both servers have the same version, edition and collation, that the database has no FILESTREAM files, and that the login is sysadmin on both
--   - that neither server has an endpoint for mirroring yet: one that is there is used, and its name then stands in GRANT CONNECT
--   - which logins own users in the database: those named with --login are carried over
--   - which rights on the server they have (sys.server_permissions): give them there too
-- Choose a password and put it into the environment variable MasterKeyPassword, where sqlcmd looks it up: everybody can read a command line.
USE [master];
GO
IF N'$(MasterKeyPassword)' LIKE N'$' + N'(%' THROW 50000, N'Run this with sqlcmd, or put the value of MasterKeyPassword in by hand.', 1;
GO

-- 1. The database is there, and open
IF NOT EXISTS (SELECT 1 AS yes FROM sys.databases WHERE name = N'ASPState' AND state_desc = N'ONLINE')
  THROW 50911, N'911: the database is not there, or not ONLINE; check the database''s name, and that this is the right server', 1;
GO

-- 2. Many may use it
IF NOT EXISTS (SELECT 1 AS yes FROM sys.databases WHERE name = N'ASPState' AND user_access_desc = N'MULTI_USER')
  THROW 51488, N'1488: the database is not MULTI_USER; ALTER DATABASE ... SET MULTI_USER', 1;
GO

-- 3. It may be written
IF NOT EXISTS (SELECT 1 AS yes FROM sys.databases WHERE name = N'ASPState' AND is_read_only = 0)
  THROW 51466, N'1466: the database is READ_ONLY; ALTER DATABASE ... SET READ_WRITE', 1;
GO

-- 4. It does not close by itself
IF NOT EXISTS (SELECT 1 AS yes FROM sys.databases WHERE name = N'ASPState' AND is_auto_close_on = 0)
  THROW 51469, N'1469: AUTO_CLOSE is ON; ALTER DATABASE ... SET AUTO_CLOSE OFF', 1;
GO

-- 5. It is in no availability group
IF NOT EXISTS (SELECT 1 AS yes FROM sys.databases WHERE name = N'ASPState' AND replica_id IS NULL)
  THROW 50000, N'the database is in an availability group; remove it from the group first: pair remove --topology availability-group', 1;
GO

-- 6. It is not mirrored yet
IF NOT EXISTS (SELECT 1 AS yes FROM sys.databases d JOIN sys.database_mirroring m ON m.database_id = d.database_id WHERE d.name = N'ASPState' AND m.mirroring_guid IS NULL)
  THROW 51405, N'1405: the database has a session already; see pair status; after a set-up that failed half-way run pair remove first', 1;
GO

-- 7. A master key in master, which protects the certificate's private key
IF NOT EXISTS (SELECT 1 AS yes FROM sys.symmetric_keys WHERE name = N'##MS_DatabaseMasterKey##')
  CREATE MASTER KEY ENCRYPTION BY PASSWORD = '$(MasterKeyPassword)';
GO

-- 8. The certificate that this server shows to the others
--    Without EXPIRY_DATE it would end after a year, and mirroring with it.
IF NOT EXISTS (SELECT 1 AS yes FROM sys.certificates WHERE name = N'mirrorstate sql1.example.com:5022')
  CREATE CERTIFICATE [mirrorstate sql1.example.com:5022] WITH SUBJECT = 'endpoint sql1.example.com:5022', EXPIRY_DATE = '20391231';
GO

-- 9. The endpoint on which the partners speak
--    A server has one endpoint of this kind. One that is there is used as it is: to change it would break other databases' sessions.
IF NOT EXISTS (SELECT 1 AS yes FROM sys.database_mirroring_endpoints)
  CREATE ENDPOINT [Mirroring] STATE = STARTED AS TCP (LISTENER_PORT = 5022, LISTENER_IP = ALL) FOR DATABASE_MIRRORING (AUTHENTICATION = CERTIFICATE [mirrorstate sql1.example.com:5022], ENCRYPTION = REQUIRED ALGORITHM AES, ROLE = ALL);
GO

-- 10. The endpoint is started, on the port that the others use, and may do this
IF NOT EXISTS (SELECT 1 AS yes FROM sys.database_mirroring_endpoints e JOIN sys.tcp_endpoints t ON t.endpoint_id = e.endpoint_id WHERE e.state_desc = N'STARTED' AND e.role_desc IN (N'PARTNER', N'ALL') AND t.port = 5022)
  THROW 51418, N'1418: the endpoint is not STARTED with ROLE ALL on port 5022; start it (ALTER ENDPOINT ... STATE = STARTED), or give its true port with --endpoint-a', 1;
GO

-- 11. The public part of this server's certificate, for the others
--    It is carried as a value, so that no certificate file has to be.
SELECT CONVERT(varchar(max), CERTENCODED(c.certificate_id), 1) AS certificate FROM sys.certificates c WHERE c.name = N'mirrorstate sql1.example.com:5022';
GO


-- ======== part 2, on b (sql2.example.com) ========
-- mirrorstate pair setup, database ASPState, topology mirroring.
-- Part 2 of 6, on server b (sql2.example.com). Run the parts in their order, each to its end: sqlcmd -b -y 0 -S sql2.example.com -i FILE
-- Choose a password and put it into the environment variable MasterKeyPassword, where sqlcmd looks it up: everybody can read a command line.
-- Choose a password and put it into the environment variable EndpointLoginPassword, where sqlcmd looks it up: everybody can read a command line.
-- Give what step 11 printed: sqlcmd -v CertificateOf_a=VALUE
USE [master];
GO
IF N'$(MasterKeyPassword)' LIKE N'$' + N'(%' THROW 50000, N'Run this with sqlcmd, or put the value of MasterKeyPassword in by hand.', 1;
GO
IF N'$(EndpointLoginPassword)' LIKE N'$' + N'(%' THROW 50000, N'Run this with sqlcmd, or put the value of EndpointLoginPassword in by hand.', 1;
GO
IF N'$(CertificateOf_a)' LIKE N'$' + N'(%' THROW 50000, N'Run this with sqlcmd, or put the value of CertificateOf_a in by hand.', 1;
GO

-- 12. A master key in master, which protects the certificate's private key
IF NOT EXISTS (SELECT 1 AS yes FROM sys.symmetric_keys WHERE name = N'##MS_DatabaseMasterKey##')
  CREATE MASTER KEY ENCRYPTION BY PASSWORD = '$(MasterKeyPassword)';
GO

-- 13. The certificate that this server shows to the others
--    Without EXPIRY_DATE it would end after a year, and mirroring with it.
IF NOT EXISTS (SELECT 1 AS yes FROM sys.certificates WHERE name = N'mirrorstate sql2.example.com:5022')
  CREATE CERTIFICATE [mirrorstate sql2.example.com:5022] WITH SUBJECT = 'endpoint sql2.example.com:5022', EXPIRY_DATE = '20391231';
GO

-- 14. The endpoint on which the partners speak
--    A server has one endpoint of this kind. One that is there is used as it is: to change it would break other databases' sessions.
IF NOT EXISTS (SELECT 1 AS yes FROM sys.database_mirroring_endpoints)
  CREATE ENDPOINT [Mirroring] STATE = STARTED AS TCP (LISTENER_PORT = 5022, LISTENER_IP = ALL) FOR DATABASE_MIRRORING (AUTHENTICATION = CERTIFICATE [mirrorstate sql2.example.com:5022], ENCRYPTION = REQUIRED ALGORITHM AES, ROLE = ALL);
GO

-- 15. The endpoint is started, on the port that the others use, and may do this
IF NOT EXISTS (SELECT 1 AS yes FROM sys.database_mirroring_endpoints e JOIN sys.tcp_endpoints t ON t.endpoint_id = e.endpoint_id WHERE e.state_desc = N'STARTED' AND e.role_desc IN (N'PARTNER', N'ALL') AND t.port = 5022)
  THROW 51418, N'1418: the endpoint is not STARTED with ROLE ALL on port 5022; start it (ALTER ENDPOINT ... STATE = STARTED), or give its true port with --endpoint-b', 1;
GO

-- 16. The public part of this server's certificate, for the others
--    It is carried as a value, so that no certificate file has to be.
SELECT CONVERT(varchar(max), CERTENCODED(c.certificate_id), 1) AS certificate FROM sys.certificates c WHERE c.name = N'mirrorstate sql2.example.com:5022';
GO

-- 17. A login for a, which nobody logs in with: its certificate is its proof
IF NOT EXISTS (SELECT 1 AS yes FROM sys.server_principals WHERE name = N'mirrorstate sql1.example.com:5022')
  CREATE LOGIN [mirrorstate sql1.example.com:5022] WITH PASSWORD = '$(EndpointLoginPassword)';
GO

-- 18. Its user in master, who owns the certificate
IF NOT EXISTS (SELECT 1 AS yes FROM sys.database_principals WHERE name = N'mirrorstate sql1.example.com:5022')
  CREATE USER [mirrorstate sql1.example.com:5022] FOR LOGIN [mirrorstate sql1.example.com:5022];
GO

-- 19. The certificate of a
IF NOT EXISTS (SELECT 1 AS yes FROM sys.certificates WHERE name = N'mirrorstate sql1.example.com:5022')
  CREATE CERTIFICATE [mirrorstate sql1.example.com:5022] AUTHORIZATION [mirrorstate sql1.example.com:5022] FROM BINARY = $(CertificateOf_a);
GO

-- 20. It may connect to the endpoint
GRANT CONNECT ON ENDPOINT::[Mirroring] TO [mirrorstate sql1.example.com:5022];
GO


-- ======== part 3, on a (sql1.example.com) ========
-- mirrorstate pair setup, database ASPState, topology mirroring.
-- Part 3 of 6, on server a (sql1.example.com). Run the parts in their order, each to its end: sqlcmd -b -y 0 -S sql1.example.com -i FILE
-- Choose a password and put it into the environment variable EndpointLoginPassword, where sqlcmd looks it up: everybody can read a command line.
-- Give what step 16 printed: sqlcmd -v CertificateOf_b=VALUE
USE [master];
GO
IF N'$(EndpointLoginPassword)' LIKE N'$' + N'(%' THROW 50000, N'Run this with sqlcmd, or put the value of EndpointLoginPassword in by hand.', 1;
GO
IF N'$(CertificateOf_b)' LIKE N'$' + N'(%' THROW 50000, N'Run this with sqlcmd, or put the value of CertificateOf_b in by hand.', 1;
GO

-- 21. A login for b, which nobody logs in with: its certificate is its proof
IF NOT EXISTS (SELECT 1 AS yes FROM sys.server_principals WHERE name = N'mirrorstate sql2.example.com:5022')
  CREATE LOGIN [mirrorstate sql2.example.com:5022] WITH PASSWORD = '$(EndpointLoginPassword)';
GO

-- 22. Its user in master, who owns the certificate
IF NOT EXISTS (SELECT 1 AS yes FROM sys.database_principals WHERE name = N'mirrorstate sql2.example.com:5022')
  CREATE USER [mirrorstate sql2.example.com:5022] FOR LOGIN [mirrorstate sql2.example.com:5022];
GO

-- 23. The certificate of b
IF NOT EXISTS (SELECT 1 AS yes FROM sys.certificates WHERE name = N'mirrorstate sql2.example.com:5022')
  CREATE CERTIFICATE [mirrorstate sql2.example.com:5022] AUTHORIZATION [mirrorstate sql2.example.com:5022] FROM BINARY = $(CertificateOf_b);
GO

-- 24. It may connect to the endpoint
GRANT CONNECT ON ENDPOINT::[Mirroring] TO [mirrorstate sql2.example.com:5022];
GO

-- 25. Full recovery: the log is what mirroring sends
--    From now on only log backups free the log. Make sure that a job takes some, on both servers: without one the log fills the disk.
IF NOT EXISTS (SELECT 1 AS yes FROM sys.databases WHERE name = N'ASPState' AND recovery_model_desc = N'FULL')
  ALTER DATABASE [ASPState] SET RECOVERY FULL;
--    Error 5061 passes: run the step again.
GO

-- 26. The SID and the password's hash of the login aspstate
SELECT CONVERT(varchar(200), sid, 1) AS sid, CONVERT(varchar(600), password_hash, 1) AS hash FROM sys.sql_logins WHERE name = N'aspstate';
GO

-- 27. A full backup
--    From here on no other log backup may be taken, or it must be restored on the mirror too (1408, 1409, 1412, 1478): let the log backup job pause.
BACKUP DATABASE [ASPState] TO DISK = N'ASPState-mirrorstate.bak' WITH INIT, FORMAT, CHECKSUM;
GO

-- 28. A log backup, without which mirroring does not start
BACKUP LOG [ASPState] TO DISK = N'ASPState-mirrorstate.trn' WITH INIT, FORMAT;
GO


-- ======== part 4, on b (sql2.example.com) ========
-- mirrorstate pair setup, database ASPState, topology mirroring.
-- Part 4 of 6, on server b (sql2.example.com). Run the parts in their order, each to its end: sqlcmd -b -y 0 -S sql2.example.com -i FILE
USE [master];
GO

-- 29. Carry ASPState-mirrorstate.bak from a's default backup folder to that of b
--    The path is as the SQL Server service on each machine sees it, and its account must be allowed to read there.
RESTORE FILELISTONLY FROM DISK = N'ASPState-mirrorstate.bak';
GO

-- 30. Carry ASPState-mirrorstate.trn from a's default backup folder to that of b
--    The path is as the SQL Server service on each machine sees it, and its account must be allowed to read there.
RESTORE FILELISTONLY FROM DISK = N'ASPState-mirrorstate.trn';
GO

-- 31. The copy, which stays closed
--    NORECOVERY: a copy that was opened once can't be mirrored any more. REPLACE is left out on purpose: it would overwrite a database of that name.
IF NOT EXISTS (SELECT 1 AS yes FROM sys.databases WHERE name = N'ASPState' AND state_desc = N'RESTORING')
  RESTORE DATABASE [ASPState] FROM DISK = N'ASPState-mirrorstate.bak' WITH NORECOVERY;
GO

-- 32. And the log since
RESTORE LOG [ASPState] FROM DISK = N'ASPState-mirrorstate.trn' WITH NORECOVERY;
--    Error 4326 means that there was nothing to do.
GO

-- 33. The copy is there, and closed
IF NOT EXISTS (SELECT 1 AS yes FROM sys.databases WHERE name = N'ASPState' AND state_desc = N'RESTORING')
  THROW 51464, N'1464: the copy is not RESTORING; restore the database WITH NORECOVERY on the mirror first', 1;
GO

-- 34. First the mirror learns who its principal is; this contacts nobody
ALTER DATABASE [ASPState] SET PARTNER = N'TCP://sql1.example.com:5022';
GO


-- ======== part 5, on a (sql1.example.com) ========
-- mirrorstate pair setup, database ASPState, topology mirroring.
-- Part 5 of 6, on server a (sql1.example.com). Run the parts in their order, each to its end: sqlcmd -b -y 0 -S sql1.example.com -i FILE
USE [master];
GO

-- 35. Then the principal calls its mirror, and the session begins
--    1418 here is as often a missing certificate or GRANT CONNECT as a closed port: look into both error logs. It can return without error and fail later: the next step looks.
ALTER DATABASE [ASPState] SET PARTNER = N'TCP://sql2.example.com:5022';
--    Error 1404 passes: run the step again.
--    Error 1413 passes: run the step again.
--    Error 1421 passes: run the step again.
--    Error 1438 passes: run the step again.
-- If it fails, on b: ALTER DATABASE [ASPState] SET PARTNER OFF;
GO

-- 36. The session has begun
DECLARE @end datetime2 = DATEADD(second, 60, SYSUTCDATETIME());
WHILE NOT EXISTS (SELECT 1 AS yes FROM sys.databases d JOIN sys.database_mirroring m ON m.database_id = d.database_id WHERE d.name = N'ASPState' AND m.mirroring_role_desc = N'PRINCIPAL' AND m.mirroring_state_desc <> N'DISCONNECTED') AND SYSUTCDATETIME() < @end
  WAITFOR DELAY '00:00:01';
IF NOT EXISTS (SELECT 1 AS yes FROM sys.databases d JOIN sys.database_mirroring m ON m.database_id = d.database_id WHERE d.name = N'ASPState' AND m.mirroring_role_desc = N'PRINCIPAL' AND m.mirroring_state_desc <> N'DISCONNECTED')
  THROW 50000, N'it did not come about: The session has begun; see pair status and both servers'' error logs', 1;
GO

-- 37. The mirror has caught up
DECLARE @end datetime2 = DATEADD(second, 1800, SYSUTCDATETIME());
WHILE NOT EXISTS (SELECT 1 AS yes FROM sys.databases d JOIN sys.database_mirroring m ON m.database_id = d.database_id WHERE d.name = N'ASPState' AND m.mirroring_state_desc = N'SYNCHRONIZED') AND SYSUTCDATETIME() < @end
  WAITFOR DELAY '00:00:01';
IF NOT EXISTS (SELECT 1 AS yes FROM sys.databases d JOIN sys.database_mirroring m ON m.database_id = d.database_id WHERE d.name = N'ASPState' AND m.mirroring_state_desc = N'SYNCHRONIZED')
  THROW 50000, N'it did not come about: The mirror has caught up; see pair status and both servers'' error logs', 1;
GO

-- 38. SAFETY FULL
IF NOT EXISTS (SELECT 1 AS yes FROM sys.databases d JOIN sys.database_mirroring m ON m.database_id = d.database_id WHERE d.name = N'ASPState' AND m.mirroring_safety_level_desc = N'FULL')
  ALTER DATABASE [ASPState] SET PARTNER SAFETY FULL;
GO


-- ======== part 6, on b (sql2.example.com) ========
-- mirrorstate pair setup, database ASPState, topology mirroring.
-- Part 6 of 6, on server b (sql2.example.com). Run the parts in their order, each to its end: sqlcmd -b -y 0 -S sql2.example.com -i FILE
-- Give what step 26 printed: sqlcmd -v LoginSid1=VALUE
-- Give what step 26 printed: sqlcmd -v LoginHash1=VALUE
USE [master];
GO
IF N'$(LoginSid1)' LIKE N'$' + N'(%' THROW 50000, N'Run this with sqlcmd, or put the value of LoginSid1 in by hand.', 1;
GO
IF N'$(LoginHash1)' LIKE N'$' + N'(%' THROW 50000, N'Run this with sqlcmd, or put the value of LoginHash1 in by hand.', 1;
GO

-- 39. The mirror says so too
DECLARE @end datetime2 = DATEADD(second, 60, SYSUTCDATETIME());
WHILE NOT EXISTS (SELECT 1 AS yes FROM sys.databases d JOIN sys.database_mirroring m ON m.database_id = d.database_id WHERE d.name = N'ASPState' AND (m.mirroring_state_desc = N'SYNCHRONIZED' OR m.mirroring_state_desc = N'SYNCHRONIZING' OR m.mirroring_state_desc IS NULL)) AND SYSUTCDATETIME() < @end
  WAITFOR DELAY '00:00:01';
IF NOT EXISTS (SELECT 1 AS yes FROM sys.databases d JOIN sys.database_mirroring m ON m.database_id = d.database_id WHERE d.name = N'ASPState' AND (m.mirroring_state_desc = N'SYNCHRONIZED' OR m.mirroring_state_desc = N'SYNCHRONIZING' OR m.mirroring_state_desc IS NULL))
  THROW 50000, N'it did not come about: The mirror says so too; see pair status and both servers'' error logs', 1;
GO

-- 40. The same login there
--    master is not mirrored. With another SID the user would be orphaned after a failover (916); with the database as default the login would fail on the mirror.
IF NOT EXISTS (SELECT 1 AS yes FROM sys.server_principals WHERE name = N'aspstate' AND sid = $(LoginSid1))
  CREATE LOGIN [aspstate] WITH PASSWORD = $(LoginHash1) HASHED, SID = $(LoginSid1), CHECK_POLICY = OFF, DEFAULT_DATABASE = [master];
GO

-- Jobs are not mirrored: make the log backup job on both servers, and every other one that uses the database.

