-- ======== part 1, on a (sql1.example.com) ========
-- mirrorstate pair status, database ASPState, topology mirroring.
-- Part 1 of 2, on server a (sql1.example.com). Run the parts in order, each until it ends: sqlcmd -b -y 0 -S sql1.example.com -i FILE
-- Stop at the first error and fix its cause. Every step can be run again.
-- NOT CHECKED, because this was written without asking the servers:
--   - that a (sql1.example.com) is the principal
USE [master];
GO

-- 1. Read the server's properties
SELECT @@SERVERNAME AS server_name, CONVERT(nvarchar(128), SERVERPROPERTY(N'ProductVersion')) AS version, CONVERT(nvarchar(128), SERVERPROPERTY(N'Edition')) AS edition, CONVERT(nvarchar(128), SERVERPROPERTY(N'Collation')) AS collation, CONVERT(int, SERVERPROPERTY(N'IsHadrEnabled')) AS hadr, IS_SRVROLEMEMBER(N'sysadmin') AS sysadmin, @@VERSION AS banner;
GO

-- 2. Read the database, and its role in mirroring
SELECT d.state_desc, d.recovery_model_desc, d.user_access_desc, d.is_read_only, d.is_auto_close_on, d.log_reuse_wait_desc, HAS_DBACCESS(d.name) AS access, CONVERT(nvarchar(36), d.replica_id) AS replica_id, CONVERT(nvarchar(36), m.mirroring_guid) AS mirroring_guid, m.mirroring_role_desc, m.mirroring_state_desc, m.mirroring_role_sequence, m.mirroring_safety_level_desc, m.mirroring_partner_name, m.mirroring_partner_instance, m.mirroring_witness_name, m.mirroring_witness_state_desc, CONVERT(nvarchar(30), m.mirroring_failover_lsn) AS failover_lsn, CONVERT(nvarchar(30), m.mirroring_end_of_log_lsn) AS end_of_log FROM sys.databases d LEFT JOIN sys.database_mirroring m ON m.database_id = d.database_id WHERE d.name = N'ASPState';
GO

-- 3. Read its files
SELECT f.name, f.type FROM sys.master_files f WHERE f.database_id = DB_ID(N'ASPState') ORDER BY f.type, f.file_id;
GO

-- 4. Read the endpoint
SELECT e.name, e.role_desc, e.state_desc, e.connection_auth_desc, t.port, c.name AS certificate FROM sys.database_mirroring_endpoints e LEFT JOIN sys.tcp_endpoints t ON t.endpoint_id = e.endpoint_id LEFT JOIN sys.certificates c ON c.certificate_id = e.certificate_id;
GO


-- ======== part 2, on b (sql2.example.com) ========
-- mirrorstate pair status, database ASPState, topology mirroring.
-- Part 2 of 2, on server b (sql2.example.com). Run the parts in order, each until it ends: sqlcmd -b -y 0 -S sql2.example.com -i FILE
USE [master];
GO

-- 5. Read the server's properties
SELECT @@SERVERNAME AS server_name, CONVERT(nvarchar(128), SERVERPROPERTY(N'ProductVersion')) AS version, CONVERT(nvarchar(128), SERVERPROPERTY(N'Edition')) AS edition, CONVERT(nvarchar(128), SERVERPROPERTY(N'Collation')) AS collation, CONVERT(int, SERVERPROPERTY(N'IsHadrEnabled')) AS hadr, IS_SRVROLEMEMBER(N'sysadmin') AS sysadmin, @@VERSION AS banner;
GO

-- 6. Read the database, and its role in mirroring
SELECT d.state_desc, d.recovery_model_desc, d.user_access_desc, d.is_read_only, d.is_auto_close_on, d.log_reuse_wait_desc, HAS_DBACCESS(d.name) AS access, CONVERT(nvarchar(36), d.replica_id) AS replica_id, CONVERT(nvarchar(36), m.mirroring_guid) AS mirroring_guid, m.mirroring_role_desc, m.mirroring_state_desc, m.mirroring_role_sequence, m.mirroring_safety_level_desc, m.mirroring_partner_name, m.mirroring_partner_instance, m.mirroring_witness_name, m.mirroring_witness_state_desc, CONVERT(nvarchar(30), m.mirroring_failover_lsn) AS failover_lsn, CONVERT(nvarchar(30), m.mirroring_end_of_log_lsn) AS end_of_log FROM sys.databases d LEFT JOIN sys.database_mirroring m ON m.database_id = d.database_id WHERE d.name = N'ASPState';
GO

-- 7. Read its files
SELECT f.name, f.type FROM sys.master_files f WHERE f.database_id = DB_ID(N'ASPState') ORDER BY f.type, f.file_id;
GO

-- 8. Read the endpoint
SELECT e.name, e.role_desc, e.state_desc, e.connection_auth_desc, t.port, c.name AS certificate FROM sys.database_mirroring_endpoints e LEFT JOIN sys.tcp_endpoints t ON t.endpoint_id = e.endpoint_id LEFT JOIN sys.certificates c ON c.certificate_id = e.certificate_id;
GO


