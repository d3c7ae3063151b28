package partner

import "strings"

// The texts of everything this package asks a server (what it makes one do, stands in
// package operate), each one constant and
// each sent exactly as it stands here: whoever emulates a server can match
// them letter by letter. queryStatus and queryGroup go out as sp_executesql with the one
// parameter @db nvarchar; queryEpoch is a plain
// batch without parameters; callTakeEpoch and callRaiseEpoch are RPCs by name with
// named parameters. All of them run on a connection whose database
// is master, because the mirror's own database can't be opened.
const (
	// queryStatus reads one row about the database, or none if the server has
	// no database of that name. Columns, in order:
	//
	//	state_desc              nvarchar   ONLINE, RESTORING, RECOVERING, …
	//	is_read_only            bit
	//	user_access_desc        nvarchar   MULTI_USER, RESTRICTED_USER, SINGLE_USER
	//	updateability           nvarchar   READ_WRITE, READ_ONLY, or NULL
	//	mirroring_guid          nvarchar   NULL: not mirrored, or not for these eyes
	//	mirroring_role_desc     nvarchar   PRINCIPAL, MIRROR, or NULL = unknown
	//	mirroring_state_desc    nvarchar
	//	mirroring_role_sequence int
	//	mirroring_safety_level_desc   nvarchar   FULL, OFF, UNKNOWN
	//	mirroring_partner_name        nvarchar   TCP://host:port of the other's endpoint
	//	mirroring_partner_instance    nvarchar
	//	mirroring_witness_state_desc  nvarchar   CONNECTED, DISCONNECTED, UNKNOWN, or NULL
	//	mirroring_witness_name       nvarchar   TCP://…; NULL or empty: there is no witness
	//	utc_now                 datetime2(7)
	//	server_name             nvarchar
	//	replica_id              nvarchar   not NULL: it is in an availability group here
	queryStatus = `SELECT d.state_desc, d.is_read_only, d.user_access_desc, ` +
		`CONVERT(nvarchar(60), DATABASEPROPERTYEX(d.name, N'Updateability')) AS updateability, ` +
		`CONVERT(nvarchar(36), m.mirroring_guid) AS mirroring_guid, ` +
		`m.mirroring_role_desc, m.mirroring_state_desc, m.mirroring_role_sequence, ` +
		`m.mirroring_safety_level_desc, m.mirroring_partner_name, m.mirroring_partner_instance, ` +
		`m.mirroring_witness_state_desc, m.mirroring_witness_name, SYSUTCDATETIME() AS utc_now, @@SERVERNAME AS server_name, ` +
		`CONVERT(nvarchar(36), d.replica_id) AS replica_id ` +
		`FROM sys.databases d LEFT JOIN sys.database_mirroring m ON m.database_id = d.database_id ` +
		`WHERE d.name = @db`

	// queryGroup is asked where replica_id is not NULL. It reads a row for each
	// other replica whose state this one knows (a secondary knows none: then it
	// is one row), or none if the login may not see them. Columns, in order:
	//
	//	group_id                nvarchar
	//	sequence_number         bigint     of the group's configuration
	//	role_desc               nvarchar   PRIMARY, SECONDARY, RESOLVING, or NULL = unknown
	//	availability_mode_desc  nvarchar   SYNCHRONOUS_COMMIT, ASYNCHRONOUS_COMMIT
	//	synchronization_state_desc     nvarchar   of the database here
	//	is_suspended                   bit
	//	and the same three of the other replica, with its connected_state_desc
	//
	// Without VIEW SERVER STATE it is refused (297, 300): the role is unknown then.
	queryGroup = `SELECT CONVERT(nvarchar(36), r.group_id) AS group_id, g.sequence_number, s.role_desc, r.availability_mode_desc, ` +
		`l.synchronization_state_desc, l.is_suspended, ` +
		`o.availability_mode_desc AS other_mode, x.synchronization_state_desc AS other_state, x.is_suspended AS other_suspended, ` +
		`t.connected_state_desc AS other_connected ` +
		`FROM sys.databases d JOIN sys.availability_replicas r ON r.replica_id = d.replica_id ` +
		`LEFT JOIN sys.availability_groups g ON g.group_id = r.group_id ` +
		`LEFT JOIN sys.dm_hadr_availability_replica_states s ON s.replica_id = d.replica_id ` +
		`LEFT JOIN sys.dm_hadr_database_replica_states l ON l.replica_id = d.replica_id AND l.group_database_id = d.group_database_id ` +
		`LEFT JOIN sys.availability_replicas o ON o.group_id = r.group_id AND o.replica_id <> d.replica_id ` +
		`LEFT JOIN sys.dm_hadr_availability_replica_states t ON t.replica_id = o.replica_id ` +
		`LEFT JOIN sys.dm_hadr_database_replica_states x ON x.replica_id = o.replica_id AND x.group_database_id = d.group_database_id ` +
		`WHERE d.name = @db`

	// queryEpoch opens the database itself, which a mirror refuses, and reads
	// the fencing row of the extended schema: Epoch bigint, Server
	// nvarchar(256). Error 208 proves a database that opens and has no
	// mirrorstate extension. %DB% is the quoted name, as in [ASPState].
	queryEpoch = `SELECT Epoch, [Server] FROM %DB%.dbo.MirrorStateEpoch`

	// callTakeEpoch takes the next epoch for @server nvarchar(256) unless it
	// has it already, and answers one row: Epoch bigint, Server nvarchar(256).
	callTakeEpoch = `%DB%.dbo.MirrorState_TakeEpoch_1`

	// callRaiseEpoch takes an epoch above @above bigint for @server
	// nvarchar(256), whoever has the current one; the same answer.
	callRaiseEpoch = `%DB%.dbo.MirrorState_RaiseEpoch_1`
)

// quoteName brackets a name as QUOTENAME does.
func quoteName(name string) string {
	return "[" + strings.ReplaceAll(name, "]", "]]") + "]"
}

// forDatabase puts the quoted database name into one of the texts above.
func forDatabase(text, database string) string {
	return strings.ReplaceAll(text, "%DB%", quoteName(database))
}
