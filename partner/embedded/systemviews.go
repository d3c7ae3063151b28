package embedded

import (
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/mirrorstate/mirrorstate/partner/embedded/tsql"
)

// systemViewsText makes the system views as temporary tables of a connection. They
// are filled just before a query that names them.
const systemViewsText = `
CREATE TEMP TABLE sys_databases (
	name nvarchar(128) COLLATE NOCASE, database_id int, create_date datetime, compatibility_level tinyint,
	collation_name nvarchar(128), user_access tinyint, user_access_desc nvarchar(60), is_read_only bit, is_auto_close_on bit,
	state tinyint, state_desc nvarchar(60), recovery_model tinyint, recovery_model_desc nvarchar(60),
	log_reuse_wait_desc nvarchar(60), is_trustworthy_on bit, replica_id uniqueidentifier, group_database_id uniqueidentifier);
CREATE TEMP TABLE sys_sysdatabases (name nvarchar(128) COLLATE NOCASE, dbid smallint);
CREATE TEMP TABLE sys_database_mirroring (
	database_id int, mirroring_guid uniqueidentifier, mirroring_state tinyint, mirroring_state_desc nvarchar(60),
	mirroring_role tinyint, mirroring_role_desc nvarchar(60), mirroring_role_sequence int,
	mirroring_safety_level tinyint, mirroring_safety_level_desc nvarchar(60), mirroring_safety_sequence int,
	mirroring_partner_name nvarchar(128), mirroring_partner_instance nvarchar(128),
	mirroring_witness_name nvarchar(128), mirroring_witness_state tinyint, mirroring_witness_state_desc nvarchar(60),
	mirroring_failover_lsn numeric(25,0), mirroring_connection_timeout int,
	mirroring_redo_queue int, mirroring_redo_queue_type nvarchar(60),
	mirroring_end_of_log_lsn numeric(25,0), mirroring_replication_lsn numeric(25,0));
CREATE TEMP TABLE sys_database_mirroring_endpoints (
	name nvarchar(128), endpoint_id int, role tinyint, role_desc nvarchar(60), state tinyint, state_desc nvarchar(60),
	is_encryption_enabled bit, connection_auth_desc nvarchar(60), encryption_algorithm_desc nvarchar(60), certificate_id int);
CREATE TEMP TABLE sys_database_mirroring_witnesses (database_name nvarchar(128));
CREATE TEMP TABLE sys_objects (
	name nvarchar(128) COLLATE NOCASE, object_id int, schema_id int, type char(2) COLLATE NOCASE, type_desc nvarchar(60));
CREATE TEMP TABLE sys_procedures (
	name nvarchar(128) COLLATE NOCASE, object_id int, schema_id int, type char(2) COLLATE NOCASE, type_desc nvarchar(60));
CREATE TEMP TABLE sys_tables (
	name nvarchar(128) COLLATE NOCASE, object_id int, schema_id int, type char(2) COLLATE NOCASE, type_desc nvarchar(60));
CREATE TEMP TABLE sys_sysobjects (
	name nvarchar(128) COLLATE NOCASE, id int, xtype char(2) COLLATE NOCASE, uid smallint, type char(2) COLLATE NOCASE);
CREATE TEMP TABLE information_schema_tables (
	TABLE_CATALOG nvarchar(128), TABLE_SCHEMA nvarchar(128), TABLE_NAME nvarchar(128) COLLATE NOCASE, TABLE_TYPE varchar(10));
CREATE TEMP TABLE sys_databasepropertyex (
	database_name nvarchar(128) COLLATE NOCASE, property nvarchar(128) COLLATE NOCASE, value);
CREATE TEMP TABLE sys_availability_groups (
	group_id uniqueidentifier, name nvarchar(128) COLLATE NOCASE, cluster_type tinyint, cluster_type_desc nvarchar(60), sequence_number bigint,
	required_synchronized_secondaries_to_commit int, basic_features bit);
CREATE TEMP TABLE sys_availability_replicas (
	replica_id uniqueidentifier, group_id uniqueidentifier, replica_server_name nvarchar(256) COLLATE NOCASE, endpoint_url nvarchar(128),
	availability_mode tinyint, availability_mode_desc nvarchar(60), failover_mode tinyint, failover_mode_desc nvarchar(60),
	session_timeout int, secondary_role_allow_connections tinyint, secondary_role_allow_connections_desc nvarchar(60),
	seeding_mode tinyint, seeding_mode_desc nvarchar(60));
CREATE TEMP TABLE sys_availability_databases_cluster (
	group_id uniqueidentifier, group_database_id uniqueidentifier, database_name nvarchar(128) COLLATE NOCASE);
CREATE TEMP TABLE sys_dm_hadr_availability_replica_states (
	replica_id uniqueidentifier, group_id uniqueidentifier, is_local bit, role tinyint, role_desc nvarchar(60),
	operational_state tinyint, operational_state_desc nvarchar(60), connected_state tinyint, connected_state_desc nvarchar(60),
	synchronization_health tinyint, synchronization_health_desc nvarchar(60),
	last_connect_error_number int, last_connect_error_description nvarchar(1024));
CREATE TEMP TABLE sys_dm_hadr_database_replica_states (
	database_id int, group_id uniqueidentifier, replica_id uniqueidentifier, group_database_id uniqueidentifier, is_local bit,
	is_primary_replica bit, synchronization_state tinyint, synchronization_state_desc nvarchar(60), is_commit_participant bit,
	synchronization_health tinyint, synchronization_health_desc nvarchar(60), database_state tinyint, database_state_desc nvarchar(60),
	is_suspended bit, suspend_reason tinyint, suspend_reason_desc nvarchar(60), last_hardened_lsn numeric(25,0),
	end_of_log_lsn numeric(25,0), log_send_queue_size bigint, redo_queue_size bigint, last_commit_time datetime, secondary_lag_seconds bigint);
`

// viewRows makes the rows of each view, for a session.
var viewRows = map[string]func(s *session, database string) [][]any{
	"sys_databases":                    func(s *session, _ string) [][]any { return s.p.databaseRows() },
	"sys_sysdatabases":                 func(*session, string) [][]any { return sysDatabaseRows() },
	"sys_database_mirroring":           func(s *session, _ string) [][]any { return s.p.mirroringRows() },
	"sys_database_mirroring_endpoints": endpointRows,
	"sys_database_mirroring_witnesses": func(*session, string) [][]any { return nil },
	"sys_objects":                      func(_ *session, db string) [][]any { return objectRows(db, "") },
	"sys_procedures":                   func(_ *session, db string) [][]any { return objectRows(db, "P") },
	"sys_tables":                       func(_ *session, db string) [][]any { return objectRows(db, "U") },
	"sys_sysobjects":                   sysObjectRows,
	"information_schema_tables":        informationSchemaRows,
	"sys_databasepropertyex":           func(s *session, _ string) [][]any { return s.p.propertyRows() },

	// A mirrored pair is no availability group: see Plant.
	"sys_availability_groups":                 noRows,
	"sys_availability_replicas":               noRows,
	"sys_availability_databases_cluster":      noRows,
	"sys_dm_hadr_availability_replica_states": noRows,
	"sys_dm_hadr_database_replica_states":     noRows,
}

func noRows(*session, string) [][]any { return nil }

func knownView(name string) bool { return viewRows[name] != nil }

// fillViews fills the views that a query names, as they are now.
func (s *session) fillViews(r *reader, names []tsql.Name) error {
	var text strings.Builder
	for _, n := range names {
		rows := viewRows[n.Table()]
		if !n.System() || rows == nil {
			continue
		}
		database := s.database
		if n.Database != "" {
			database, _ = canonicalDatabase(n.Database)
		}
		fmt.Fprintf(&text, "DELETE FROM temp.%s;", n.Table())
		now, planted := s.p.planted.rows(n.Table())
		if !planted {
			now = rows(s, database)
		}
		for _, row := range now {
			fmt.Fprintf(&text, "INSERT INTO temp.%s VALUES (", n.Table())
			for i, v := range row {
				if i > 0 {
					text.WriteByte(',')
				}
				text.WriteString(literal(v))
			}
			text.WriteString(");")
		}
	}
	if text.Len() == 0 {
		return nil
	}
	if err := r.script(text.String()); err != nil {
		return fmt.Errorf("fill the system views: %w", err)
	}
	return nil
}

// literal is a value in SQLite's words.
func literal(v any) string {
	switch v := v.(type) {
	case nil:
		return "NULL"
	case string:
		return "'" + strings.ReplaceAll(v, "'", "''") + "'"
	case bool:
		return fmt.Sprint(boolInt(v))
	}
	return fmt.Sprint(v)
}

// databaseNames are all databases in the order of their ids, from 1.
var databaseNames = append(slices.Clone(systemDatabases), DatabaseName)

// databaseID is the id of a database that is there.
func databaseID(name string) int64 { return int64(slices.Index(databaseNames, name) + 1) }

func (p *Partner) databaseRows() (rows [][]any) {
	for _, name := range databaseNames {
		state, desc, recovery, model := 0, "ONLINE", 3, "SIMPLE"
		wait := "NOTHING"
		if name == DatabaseName {
			recovery, model = 1, "FULL"
			if p.state.Load().role == roleMirror {
				state, desc = 1, "RESTORING"
			} else if p.serving() != nil {
				state, desc = 2, "RECOVERING"
			} else if st := p.pair.linkState(); st == stateSuspended || st == stateDisconnected {
				wait = "DATABASE_MIRRORING"
			}
		}
		rows = append(rows, []any{name, databaseID(name), time.Unix(1546300800, 0).UTC().Format("2006-01-02 15:04:05.000"), 150,
			"SQL_Latin1_General_CP1_CI_AS", 0, "MULTI_USER", false, false, state, desc, recovery, model, wait, false, nil, nil})
	}
	return rows
}

func sysDatabaseRows() (rows [][]any) {
	for _, name := range databaseNames {
		rows = append(rows, []any{name, databaseID(name)})
	}
	return rows
}

// mirroringRows is sys.database_mirroring: a row for each database, of NULLs for
// those that are not mirrored.
func (p *Partner) mirroringRows() (rows [][]any) {
	const columns = 21
	for _, name := range databaseNames {
		row := make([]any, columns)
		row[0] = databaseID(name)
		if name == DatabaseName {
			p.mirroringRow(row)
		}
		rows = append(rows, row)
	}
	return rows
}

func (p *Partner) mirroringRow(row []any) {
	m := p.state.Load()
	state := p.pair.linkState()
	if p.pair.link.switching.Load() && m.role == rolePrincipal {
		state = statePendingFailover
	}
	level, safety := 1, "OFF"
	if m.safetyFull {
		level, safety = 2, "FULL"
	}
	host, port := p.other().hostPort()
	acked := p.acked.Load()
	if m.role == roleMirror {
		acked = p.store.lsn.Load()
	}
	witness, witnessState, witnessDesc := p.witnessRow()
	copy(row[1:], []any{m.guid, int(state), state.String(), int(m.role), m.role.String(), m.sequence,
		level, safety, m.safetySequence, "TCP://" + host + ":" + port, p.other().clientName(),
		witness, witnessState, witnessDesc, acked, m.timeout, nil, "UNLIMITED", p.store.lsn.Load(), nil})
}

// witnessRow is the partner's view of the witness: name, state and description.
func (p *Partner) witnessRow() (name string, state int, desc string) {
	switch {
	case !p.pair.Witness():
		return "", 0, "UNKNOWN"
	case p.pair.see().lost[p.witnessLink()]:
		return witnessName, 2, "DISCONNECTED"
	}
	return witnessName, 1, "CONNECTED"
}

func endpointRows(*session, string) [][]any {
	return [][]any{{"Mirroring", 65536, 3, "ALL", 0, "STARTED", false, "NEGOTIATE", "NONE", 0}}
}

// object is a table or procedure of the mirrored database.
type object struct{ name, kind string }

// objects are in the order of their ids, from firstObjectID.
func objects() []object {
	all := make([]object, 0, len(tables)+len(procedureList))
	for _, t := range tables {
		all = append(all, object{t.String(), "U"})
	}
	for _, p := range procedureList {
		all = append(all, object{p.name, "P"})
	}
	return all
}

const firstObjectID = 245575913

func objectRows(database, kind string) (rows [][]any) {
	if database != DatabaseName {
		return nil
	}
	for i, o := range objects() {
		if kind == "" || o.kind == kind {
			rows = append(rows, []any{o.name, firstObjectID + i, 1, o.kind, kindText[o.kind]})
		}
	}
	return rows
}

var kindText = map[string]string{"U": "USER_TABLE", "P": "SQL_STORED_PROCEDURE"}

func sysObjectRows(_ *session, database string) (rows [][]any) {
	for _, r := range objectRows(database, "") {
		rows = append(rows, []any{r[0], r[1], r[3], 1, r[3]})
	}
	return rows
}

func informationSchemaRows(_ *session, database string) (rows [][]any) {
	for _, r := range objectRows(database, "U") {
		rows = append(rows, []any{database, "dbo", r[0], "BASE TABLE"})
	}
	return rows
}

// propertyRows is what DATABASEPROPERTYEX and HAS_DBACCESS know. What is not here is NULL.
func (p *Partner) propertyRows() (rows [][]any) {
	for _, name := range databaseNames {
		add := func(property string, value any) { rows = append(rows, []any{name, property, value}) }
		if name == DatabaseName && p.serving() != nil {
			status := "RESTORING"
			if p.state.Load().role == rolePrincipal {
				status = "RECOVERING"
			}
			add("Status", status)
			add("HasDBAccess", 0)
			continue
		}
		add("Status", "ONLINE")
		if name == DatabaseName && p.writable() != nil {
			add("Updateability", "READ_ONLY")
		} else {
			add("Updateability", "READ_WRITE")
		}
		add("UserAccess", "MULTI_USER")
		add("Collation", "SQL_Latin1_General_CP1_CI_AS")
		add("IsAutoClose", 0)
		add("Version", 904)
		add("HasDBAccess", 1)
		if name == DatabaseName {
			add("Recovery", "FULL")
		} else {
			add("Recovery", "SIMPLE")
		}
	}
	return rows
}

// objectID is OBJECT_ID(name): NULL for what is not there or not open.
func (s *session) objectID(name string) (any, error) {
	n, ok := splitName(name)
	if !ok {
		return nil, nil
	}
	database := s.database
	if n.database != "" {
		database, _ = canonicalDatabase(n.database)
	}
	if database != DatabaseName || s.p.serving() != nil {
		return nil, nil
	}
	for i, o := range objects() {
		if strings.EqualFold(o.name, n.object) {
			return int64(firstObjectID + i), nil
		}
	}
	return nil, nil
}

func objectName(id int64) any {
	all := objects()
	if i := id - firstObjectID; i >= 0 && i < int64(len(all)) {
		return all[i].name
	}
	return nil
}

// serverProperty is SERVERPROPERTY(name); NULL for those it does not know.
func (p *Partner) serverProperty(name string) any {
	switch strings.ToLower(name) {
	case "servername":
		return p.ServerName()
	case "machinename", "computernamephysicalnetbios":
		return "MIRRORSTATE"
	case "instancename":
		return strings.ToUpper(p.name)
	case "productversion":
		return "15.0.2000.5"
	case "productmajorversion":
		return "15"
	case "productlevel":
		return "RTM"
	case "edition":
		return "Enterprise Edition (mirrorstate embedded pair)"
	case "engineedition":
		return int64(3)
	case "collation":
		return "SQL_Latin1_General_CP1_CI_AS"
	case "isclustered", "ishadrenabled", "issingleuser", "isintegratedsecurityonly":
		return int64(0)
	case "isfulltextinstalled":
		return int64(0)
	}
	return nil
}
