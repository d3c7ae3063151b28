package link

import "strings"

// The texts of all queries of this package. Package operate has those that change a server.
//
// Each text is constant and sent exactly as it is here, so that an emulator can compare it letter by letter.
// QueryStatus and queryGroup are sent as sp_executesql with the parameter @db nvarchar. QueryEpoch is a batch
// without parameters. callTakeEpoch and callRaiseEpoch are RPCs by name with named parameters. All are sent on
// a connection to master, because the database of a mirror cannot be opened.
const (
	// QueryStatus reads one row about the database, or none if the server has no database of that name.
	// Columns, in order:
	//
	//	state_desc              nvarchar   ONLINE, RESTORING, RECOVERING, …
	//	is_read_only            bit
	//	user_access_desc        nvarchar   MULTI_USER, RESTRICTED_USER, SINGLE_USER
	//	updateability           nvarchar   READ_WRITE, READ_ONLY, or NULL
	//	mirroring_guid          nvarchar   NULL: not mirrored, or the login may not see it
	//	mirroring_role_desc     nvarchar   PRINCIPAL, MIRROR, or NULL = unknown
	//	mirroring_state_desc    nvarchar
	//	mirroring_role_sequence int
	//	mirroring_safety_level_desc   nvarchar   FULL, OFF, UNKNOWN
	//	mirroring_partner_name        nvarchar   TCP://host:port of the other partner's endpoint
	//	mirroring_partner_instance    nvarchar
	//	mirroring_witness_state_desc  nvarchar   CONNECTED, DISCONNECTED, UNKNOWN, or NULL
	//	mirroring_witness_name        nvarchar   TCP://…; NULL or empty: there is no witness
	//	utc_now                 datetime2(7)
	//	server_name             nvarchar
	//	replica_id              nvarchar   not NULL: the database is in an availability group on this server
	QueryStatus = `SELECT d.state_desc, d.is_read_only, d.user_access_desc, ` +
		`CONVERT(nvarchar(60), DATABASEPROPERTYEX(d.name, N'Updateability')) AS updateability, ` +
		`CONVERT(nvarchar(36), m.mirroring_guid) AS mirroring_guid, ` +
		`m.mirroring_role_desc, m.mirroring_state_desc, m.mirroring_role_sequence, ` +
		`m.mirroring_safety_level_desc, m.mirroring_partner_name, m.mirroring_partner_instance, ` +
		`m.mirroring_witness_state_desc, m.mirroring_witness_name, SYSUTCDATETIME() AS utc_now, @@SERVERNAME AS server_name, ` +
		`CONVERT(nvarchar(36), d.replica_id) AS replica_id ` +
		`FROM sys.databases d LEFT JOIN sys.database_mirroring m ON m.database_id = d.database_id ` +
		`WHERE d.name = @db`

	// queryGroup is sent if replica_id is not NULL. It reads one row for each other replica whose state this
	// server knows. A secondary knows none, so there it reads one row. Columns, in order:
	//
	//	group_id                nvarchar   NULL: no state of the replica (it is starting, or leaving the group)
	//	sequence_number         bigint     of the group's configuration
	//	role_desc               nvarchar   PRIMARY, SECONDARY, RESOLVING, or NULL = unknown
	//	connected_state_desc    nvarchar   of this replica; on a secondary: whether it reaches its primary
	//	availability_mode_desc  nvarchar   SYNCHRONOUS_COMMIT, ASYNCHRONOUS_COMMIT
	//	synchronization_state_desc     nvarchar   of the database on this server
	//	is_suspended                   bit
	//	then, of the other replica: connected_state_desc, availability_mode_desc, synchronization_state_desc, is_suspended
	//	other_participates             bit        a commit waits for that replica; accurate only on the primary
	//
	// Two rights are needed. Without VIEW SERVER STATE the sys.dm_hadr_ views refuse the query (300, then 297),
	// and the role is unknown. Without VIEW ANY DEFINITION the catalogue views sys.availability_ have no rows
	// and no error. So everything necessary comes from the former. The latter are outer-joined for what they
	// add.
	queryGroup = groupSelect + `g.sequence_number` + groupFrom

	// queryGroupBefore2017 is for servers that answer queryGroup with error 207: sequence_number exists since
	// SQL Server 2017.
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

	// QueryEpoch opens the database, which a mirror refuses, and reads the epoch row of the extended schema:
	// Epoch bigint, Server nvarchar(256). Error 208 proves that the database is open and has no mirrorstate
	// extension. %DB% stands for the quoted name, for example [ASPState].
	QueryEpoch = `SELECT Epoch, [Server] FROM %DB%.dbo.MirrorStateEpoch`

	// callTakeEpoch takes the next epoch for @server nvarchar(256), unless that server has the current one. It
	// returns one row: Epoch bigint, Server nvarchar(256).
	callTakeEpoch = `%DB%.dbo.MirrorState_TakeEpoch_1`

	// callRaiseEpoch takes an epoch above @above bigint for @server nvarchar(256), whichever server has the
	// current one. It returns the same row.
	callRaiseEpoch = `%DB%.dbo.MirrorState_RaiseEpoch_1`
)

// quoteName quotes a name with brackets, as QUOTENAME does.
func quoteName(name string) string {
	return "[" + strings.ReplaceAll(name, "]", "]]") + "]"
}

// ForDatabase replaces %DB% in one of the texts above by the quoted database name.
func ForDatabase(text, database string) string {
	return strings.ReplaceAll(text, "%DB%", quoteName(database))
}
