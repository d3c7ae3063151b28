package link

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
	// QueryStatus reads one row about the database, or none if the server has
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
	QueryStatus = `SELECT d.state_desc, d.is_read_only, d.user_access_desc, ` +
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
	// is one row). Columns, in order:
	//
	//	group_id                nvarchar   NULL: the replica's state is not there (it is starting, or leaving the group)
	//	sequence_number         bigint     of the group's configuration
	//	role_desc               nvarchar   PRIMARY, SECONDARY, RESOLVING, or NULL = unknown
	//	connected_state_desc    nvarchar   of this replica: a secondary's tells whether its primary is there
	//	availability_mode_desc  nvarchar   SYNCHRONOUS_COMMIT, ASYNCHRONOUS_COMMIT
	//	synchronization_state_desc     nvarchar   of the database here
	//	is_suspended                   bit
	//	and of the other replica connected_state_desc, availability_mode_desc, synchronization_state_desc and is_suspended
	//	other_participates             bit        a commit waits for it; accurate on the primary only
	//
	// Two rights are needed, and their want looks different. The sys.dm_hadr_ views need VIEW SERVER STATE; without
	// it the query is refused (300, then 297) and the role is unknown. The catalogue views sys.availability_ need VIEW
	// ANY DEFINITION; without it they have no rows and say nothing. So all that matters comes from the former, and the
	// latter are joined loosely, for what they have to add.
	queryGroup = groupSelect + `g.sequence_number` + groupFrom

	// queryGroupBefore2017 is for servers on which queryGroup meets 207: sequence_number came with SQL Server 2017.
	queryGroupBefore2017 = groupSelect + `CONVERT(bigint, NULL) AS sequence_number` + groupFrom

	groupSelect = `SELECT CONVERT(nvarchar(36), s.group_id) AS group_id, `
	groupFrom   = `, s.role_desc, s.connected_state_desc, r.availability_mode_desc, l.synchronization_state_desc, l.is_suspended, ` +
		`t.connected_state_desc AS other_connected, o.availability_mode_desc AS other_mode, ` +
		`x.synchronization_state_desc AS other_state, x.is_suspended AS other_suspended, x.is_commit_participant AS other_participates ` +
		`FROM sys.databases d ` +
		`LEFT JOIN sys.dm_hadr_availability_replica_states s ON s.replica_id = d.replica_id ` +
		`LEFT JOIN sys.dm_hadr_database_replica_states l ON l.replica_id = d.replica_id AND l.group_database_id = d.group_database_id ` +
		`LEFT JOIN sys.availability_replicas r ON r.replica_id = d.replica_id ` +
		`LEFT JOIN sys.availability_groups g ON g.group_id = s.group_id ` +
		`LEFT JOIN sys.dm_hadr_availability_replica_states t ON t.group_id = s.group_id AND t.replica_id <> d.replica_id ` +
		`LEFT JOIN sys.dm_hadr_database_replica_states x ON x.replica_id = t.replica_id AND x.group_database_id = d.group_database_id ` +
		`LEFT JOIN sys.availability_replicas o ON o.replica_id = t.replica_id ` +
		`WHERE d.name = @db`

	// QueryEpoch opens the database itself, which a mirror refuses, and reads
	// the fencing row of the extended schema: Epoch bigint, Server
	// nvarchar(256). Error 208 proves a database that opens and has no
	// mirrorstate extension. %DB% is the quoted name, as in [ASPState].
	QueryEpoch = `SELECT Epoch, [Server] FROM %DB%.dbo.MirrorStateEpoch`

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

// ForDatabase puts the quoted database name into one of the texts above.
func ForDatabase(text, database string) string {
	return strings.ReplaceAll(text, "%DB%", quoteName(database))
}
