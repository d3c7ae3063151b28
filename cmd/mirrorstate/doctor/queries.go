package doctor

import (
	"fmt"
	"strings"
)

// inMaster and inDatabase are the statements that doctor sends. Two other packages send more. operate asks about the
// server, the database, and its mirroring or group (queryServer to queryGroup in its found.go). aspstate asks for the
// contents of the database (lookServer to lookUsers in its install_found.go). All statements only read. %N is the
// database's name as a literal, %Q in brackets. The statements in inMaster are sent to both servers, those in
// inDatabase only where the database opens.
//
// Sources: facts/mirroring.md §3 and §8, facts/aspstate-schema.md §2; SQL Server's documentation of the catalog views. None
// of them has been tried on a real server.
var inMaster = map[question]string{
	askClock: `SELECT SYSUTCDATETIME() AS utc_now`,

	// A login can see itself without any right.
	askSelf: `SELECT SUSER_SNAME() AS name, SUSER_SID() AS sid, IS_SRVROLEMEMBER(N'sysadmin') AS sysadmin, ` +
		`HAS_PERMS_BY_NAME(NULL, NULL, N'VIEW SERVER STATE') AS view_state, HAS_PERMS_BY_NAME(NULL, NULL, N'VIEW ANY DEFINITION') AS view_definition`,
	askDefault: `SELECT default_database_name FROM sys.server_principals WHERE name = SUSER_SNAME()`,

	// Without VIEW ANY DEFINITION or ALTER ANY LOGIN this returns only the login itself and system logins.
	askLogins: `SELECT name, sid FROM sys.server_principals WHERE type IN ('S', 'U', 'G')`,

	askUpdate: `SELECT CONVERT(nvarchar(60), DATABASEPROPERTYEX(d.name, N'Updateability')) AS updateability FROM sys.databases AS d WHERE d.name = %N`,

	askTimeout: `SELECT m.mirroring_connection_timeout FROM sys.database_mirroring AS m JOIN sys.databases AS d ON d.database_id = m.database_id WHERE d.name = %N`,

	askCertificate: `SELECT c.name, c.expiry_date, GETDATE() AS server_now FROM sys.database_mirroring_endpoints AS e ` +
		`JOIN sys.certificates AS c ON c.certificate_id = e.certificate_id`,

	// A job can have any name. So the query looks for the procedure that the job calls.
	askJobs: `SELECT j.name, j.enabled, s.database_name, s.command FROM msdb.dbo.sysjobs AS j JOIN msdb.dbo.sysjobsteps AS s ON s.job_id = j.job_id ` +
		`WHERE s.command LIKE N'%%DeleteExpiredSessions%%'`,

	// GETDATE is in the server's local time, like backup_finish_date.
	askBackups: `SELECT TOP (1) b.backup_finish_date, GETDATE() AS server_now FROM msdb.dbo.backupset AS b ` +
		`WHERE b.database_name = %N AND b.type = 'L' ORDER BY b.backup_finish_date DESC`,

	// object_name begins with SQLServer: or MSSQL$INSTANCE:.
	askQueues: `SELECT counter_name, cntr_value FROM sys.dm_os_performance_counters WHERE object_name LIKE N'%%:Database Mirroring%%' AND instance_name = %N`,
	askSendQueue: `SELECT x.log_send_queue_size, x.redo_queue_size FROM sys.databases AS d JOIN sys.dm_hadr_database_replica_states AS x ` +
		`ON x.group_database_id = d.group_database_id WHERE d.name = %N AND x.is_local = 0`,
}

var inDatabase = map[question]string{
	// Error 208: there is no such table. Error 229: the login may not read it. TOP (0) reads no row.
	askTable:  `SELECT TOP (0) SessionId FROM %Q.dbo.ASPStateTempSessions`,
	askEpoch:  `SELECT Epoch, [Server] FROM %Q.dbo.MirrorStateEpoch`,
	askApps:   `SELECT AppId, AppName FROM %Q.dbo.ASPStateTempApplications ORDER BY AppName`,
	askUsers:  `SELECT name, sid FROM %Q.sys.database_principals WHERE type IN ('S', 'U') AND principal_id > 4`,
	askLog:    `SELECT total_log_size_in_bytes, used_log_space_in_percent FROM %Q.sys.dm_db_log_space_usage`,
	askRights: `USE %Q; SELECT HAS_PERMS_BY_NAME(QUOTENAME(DB_NAME()), N'DATABASE', N'VIEW DEFINITION') AS view_definition`, // rightsText adds a column for each right
}

// question identifies a question to a server.
type question int

const (
	askClock question = iota
	askSelf
	askDefault
	askLogins
	askUpdate
	askTimeout
	askCertificate
	askJobs
	askBackups
	askQueues
	askSendQueue
	askTable
	askEpoch
	askApps
	askUsers
	askLog
	askRights
)

// text returns the statement with the database's name in it.
func text(statement, database string) string {
	return strings.NewReplacer("%N", literal(database), "%Q", "["+strings.ReplaceAll(database, "]", "]]")+"]", "%%", "%").Replace(statement)
}

func literal(s string) string { return "N'" + strings.ReplaceAll(s, "'", "''") + "'" }

// rightsText returns the statement that asks for rights on objects of dbo. The answers are in the columns r0, r1, ….
func rightsText(database string, wanted []Right) string {
	var columns strings.Builder
	for i, r := range wanted {
		fmt.Fprintf(&columns, ", HAS_PERMS_BY_NAME(%s, N'OBJECT', %s) AS r%d", literal(r.Object), literal(r.Permission), i)
	}
	return text(inDatabase[askRights], database) + columns.String()
}
