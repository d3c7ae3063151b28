-- ======== part 1, on a (sql1.example.com) ========
-- mirrorstate pair status, database ASPState, topology availability-group.
-- Part 1 of 2, on server a (sql1.example.com). Run the parts in order, each until it ends: sqlcmd -b -y 0 -S sql1.example.com -i FILE
-- Stop at the first error and fix its cause. Every step can be run again.
-- NOT CHECKED, because this was written without asking the servers:
--   - that a (sql1.example.com) is the primary
--   - that the servers' @@SERVERNAME are SQL1 and SQL2, the group is called ASPState_ag, and it has no cluster
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

-- 5. Read the group, as this replica shows it
SELECT g.name AS group_name, g.cluster_type_desc AS cluster, g.sequence_number AS sequence_number, r.replica_server_name, r.endpoint_url, r.availability_mode_desc, r.failover_mode_desc, s.is_local, s.role_desc, s.operational_state_desc, s.connected_state_desc, l.synchronization_state_desc, l.is_suspended, l.suspend_reason_desc, CONVERT(nvarchar(30), l.last_hardened_lsn) AS hardened, CONVERT(nvarchar(30), l.end_of_log_lsn) AS end_of_log FROM sys.databases d LEFT JOIN sys.dm_hadr_availability_replica_states o ON o.replica_id = d.replica_id LEFT JOIN sys.availability_replicas m ON m.replica_id = d.replica_id LEFT JOIN sys.availability_groups g ON g.group_id = COALESCE(o.group_id, m.group_id) LEFT JOIN sys.availability_replicas r ON r.group_id = g.group_id LEFT JOIN sys.dm_hadr_availability_replica_states s ON s.group_id = o.group_id AND (r.replica_id IS NULL OR s.replica_id = r.replica_id) LEFT JOIN sys.dm_hadr_database_replica_states l ON l.replica_id = s.replica_id AND l.group_database_id = d.group_database_id WHERE d.name = N'ASPState';
GO


-- ======== part 2, on b (sql2.example.com) ========
-- mirrorstate pair status, database ASPState, topology availability-group.
-- Part 2 of 2, on server b (sql2.example.com). Run the parts in order, each until it ends: sqlcmd -b -y 0 -S sql2.example.com -i FILE
USE [master];
GO

-- 6. Read the server's properties
SELECT @@SERVERNAME AS server_name, CONVERT(nvarchar(128), SERVERPROPERTY(N'ProductVersion')) AS version, CONVERT(nvarchar(128), SERVERPROPERTY(N'Edition')) AS edition, CONVERT(nvarchar(128), SERVERPROPERTY(N'Collation')) AS collation, CONVERT(int, SERVERPROPERTY(N'IsHadrEnabled')) AS hadr, IS_SRVROLEMEMBER(N'sysadmin') AS sysadmin, @@VERSION AS banner;
GO

-- 7. Read the database, and its role in mirroring
SELECT d.state_desc, d.recovery_model_desc, d.user_access_desc, d.is_read_only, d.is_auto_close_on, d.log_reuse_wait_desc, HAS_DBACCESS(d.name) AS access, CONVERT(nvarchar(36), d.replica_id) AS replica_id, CONVERT(nvarchar(36), m.mirroring_guid) AS mirroring_guid, m.mirroring_role_desc, m.mirroring_state_desc, m.mirroring_role_sequence, m.mirroring_safety_level_desc, m.mirroring_partner_name, m.mirroring_partner_instance, m.mirroring_witness_name, m.mirroring_witness_state_desc, CONVERT(nvarchar(30), m.mirroring_failover_lsn) AS failover_lsn, CONVERT(nvarchar(30), m.mirroring_end_of_log_lsn) AS end_of_log FROM sys.databases d LEFT JOIN sys.database_mirroring m ON m.database_id = d.database_id WHERE d.name = N'ASPState';
GO

-- 8. Read its files
SELECT f.name, f.type FROM sys.master_files f WHERE f.database_id = DB_ID(N'ASPState') ORDER BY f.type, f.file_id;
GO

-- 9. Read the endpoint
SELECT e.name, e.role_desc, e.state_desc, e.connection_auth_desc, t.port, c.name AS certificate FROM sys.database_mirroring_endpoints e LEFT JOIN sys.tcp_endpoints t ON t.endpoint_id = e.endpoint_id LEFT JOIN sys.certificates c ON c.certificate_id = e.certificate_id;
GO

-- 10. Read the group, as this replica shows it
SELECT g.name AS group_name, g.cluster_type_desc AS cluster, g.sequence_number AS sequence_number, r.replica_server_name, r.endpoint_url, r.availability_mode_desc, r.failover_mode_desc, s.is_local, s.role_desc, s.operational_state_desc, s.connected_state_desc, l.synchronization_state_desc, l.is_suspended, l.suspend_reason_desc, CONVERT(nvarchar(30), l.last_hardened_lsn) AS hardened, CONVERT(nvarchar(30), l.end_of_log_lsn) AS end_of_log FROM sys.databases d LEFT JOIN sys.dm_hadr_availability_replica_states o ON o.replica_id = d.replica_id LEFT JOIN sys.availability_replicas m ON m.replica_id = d.replica_id LEFT JOIN sys.availability_groups g ON g.group_id = COALESCE(o.group_id, m.group_id) LEFT JOIN sys.availability_replicas r ON r.group_id = g.group_id LEFT JOIN sys.dm_hadr_availability_replica_states s ON s.group_id = o.group_id AND (r.replica_id IS NULL OR s.replica_id = r.replica_id) LEFT JOIN sys.dm_hadr_database_replica_states l ON l.replica_id = s.replica_id AND l.group_database_id = d.group_database_id WHERE d.name = N'ASPState';
GO


