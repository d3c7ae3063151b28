package engine

import (
	"bytes"
	"database/sql/driver"
	"encoding/hex"
	"fmt"
	"maps"
	"reflect"
	"slices"
	"strings"

	"github.com/mirrorstate/mirrorstate/partner/embedded/mirror"
	"github.com/mirrorstate/mirrorstate/partner/embedded/sqlvalue"
	"github.com/mirrorstate/mirrorstate/partner/embedded/storage"
	"github.com/mirrorstate/mirrorstate/partner/embedded/tsql"
)

// systemViewsText creates the system views as temporary tables of a connection. They are created and filled
// just before a query that names them, because creating all of them would slow down each new connection.
const systemViewsText = `
CREATE TEMP TABLE sys_databases (
	name nvarchar(128), database_id int, create_date datetime, compatibility_level tinyint,
	collation_name nvarchar(128), user_access tinyint, user_access_desc nvarchar(60), is_read_only bit, is_auto_close_on bit,
	state tinyint, state_desc nvarchar(60), recovery_model tinyint, recovery_model_desc nvarchar(60),
	log_reuse_wait_desc nvarchar(60), is_trustworthy_on bit, replica_id uniqueidentifier, group_database_id uniqueidentifier);
CREATE TEMP TABLE sys_sysdatabases (name nvarchar(128), dbid smallint);
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
	name nvarchar(128), object_id int, principal_id int, schema_id int, parent_object_id int, type char(2), type_desc nvarchar(60),
	create_date datetime, modify_date datetime, is_ms_shipped bit, is_published bit, is_schema_published bit);
CREATE TEMP TABLE sys_procedures (
	name nvarchar(128), object_id int, principal_id int, schema_id int, parent_object_id int, type char(2), type_desc nvarchar(60),
	create_date datetime, modify_date datetime, is_ms_shipped bit, is_published bit, is_schema_published bit);
CREATE TEMP TABLE sys_tables (
	name nvarchar(128), object_id int, principal_id int, schema_id int, parent_object_id int, type char(2), type_desc nvarchar(60),
	create_date datetime, modify_date datetime, is_ms_shipped bit, is_published bit, is_schema_published bit, is_memory_optimized bit);
CREATE TEMP TABLE sys_triggers (
	name nvarchar(128), object_id int, parent_class tinyint, parent_id int, is_disabled bit, is_instead_of_trigger bit);
CREATE TEMP TABLE sys_foreign_keys (
	name nvarchar(128), object_id int, principal_id int, schema_id int, parent_object_id int, type char(2), type_desc nvarchar(60),
	create_date datetime, modify_date datetime, is_ms_shipped bit, is_published bit, is_schema_published bit,
	referenced_object_id int, key_index_id int, is_disabled bit, is_not_for_replication bit, is_not_trusted bit, delete_referential_action tinyint,
	delete_referential_action_desc nvarchar(60), update_referential_action tinyint, update_referential_action_desc nvarchar(60), is_system_named bit);
CREATE TEMP TABLE sys_sysobjects (
	name nvarchar(128), id int, xtype char(2), uid smallint, type char(2));
CREATE TEMP TABLE information_schema_tables (
	TABLE_CATALOG nvarchar(128), TABLE_SCHEMA nvarchar(128), TABLE_NAME nvarchar(128), TABLE_TYPE varchar(10));
CREATE TEMP TABLE sys_sql_modules (object_id int, definition ntext);
CREATE TEMP TABLE sys_database_principals (
	name nvarchar(128), principal_id int, type char(1), type_desc nvarchar(60), default_schema_name nvarchar(128), sid varbinary(85));
CREATE TEMP TABLE sys_database_role_members (role_principal_id int, member_principal_id int);
CREATE TEMP TABLE sys_database_permissions (
	class tinyint, class_desc nvarchar(60), major_id int, minor_id int, grantee_principal_id int,
	permission_name nvarchar(128), state char(1), state_desc nvarchar(60));
CREATE TEMP TABLE sys_databasepropertyex (
	database_name nvarchar(128), property nvarchar(128), value);
CREATE TEMP TABLE sys_availability_groups (
	group_id uniqueidentifier, name nvarchar(128), cluster_type tinyint, cluster_type_desc nvarchar(60), sequence_number bigint,
	required_synchronized_secondaries_to_commit int, basic_features bit);
CREATE TEMP TABLE sys_availability_replicas (
	replica_id uniqueidentifier, group_id uniqueidentifier, replica_server_name nvarchar(256), endpoint_url nvarchar(128),
	availability_mode tinyint, availability_mode_desc nvarchar(60), failover_mode tinyint, failover_mode_desc nvarchar(60),
	session_timeout int, secondary_role_allow_connections tinyint, secondary_role_allow_connections_desc nvarchar(60),
	seeding_mode tinyint, seeding_mode_desc nvarchar(60));
CREATE TEMP TABLE sys_availability_databases_cluster (
	group_id uniqueidentifier, group_database_id uniqueidentifier, database_name nvarchar(128));
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
` + setupViewsText + serverViewsText + catalogueViewsText

// viewRows has the function that returns the rows of each view, for a session.
var viewRows = withCatalogueViews(map[string]func(s *session, database string) [][]any{
	"sys_databases":                    func(s *session, _ string) [][]any { return s.p.databaseRows() },
	"sys_sysdatabases":                 func(s *session, _ string) [][]any { return s.p.sysDatabaseRows() },
	"sys_database_mirroring":           func(s *session, _ string) [][]any { return s.mirroringRows() },
	"sys_database_mirroring_endpoints": endpointRows,
	"sys_database_mirroring_witnesses": func(*session, string) [][]any { return nil },
	"sys_objects":                      fullObjectRows,
	"sys_procedures":                   fullRowsOf(storage.KindProcedure),
	"sys_tables":                       fullRowsOf(storage.KindTable),
	"sys_sysobjects":                   sysObjectRows,
	"sys_triggers":                     triggerRows,
	"sys_foreign_keys":                 foreignKeyRows,
	"sys_sql_modules":                  moduleRows,
	"sys_database_principals":          principalRows,
	"sys_database_role_members":        memberRows,
	"sys_database_permissions":         permissionRows,
	"information_schema_tables":        informationSchemaRows,
	"sys_databasepropertyex":           func(s *session, _ string) [][]any { return s.p.propertyRows() },

	"sys_tcp_endpoints":      tcpEndpointRows,
	"sys_certificates":       certificateRows,
	"sys_symmetric_keys":     symmetricKeyRows,
	"sys_server_principals":  serverPrincipalRows,
	"sys_server_permissions": serverPermissionRows,
	"sys_sql_logins":         sqlLoginRows,
	"sys_master_files":       masterFileRows,

	"sys_backupset":                  backupRows,
	"sys_sysjobs":                    noRows,
	"sys_sysjobsteps":                noRows,
	"sys_dm_os_performance_counters": noRows,
	"sys_dm_db_log_space_usage":      noRows,

	// A mirrored pair is not an availability group: see Plant.
	"sys_availability_groups":                 noRows,
	"sys_availability_replicas":               noRows,
	"sys_availability_databases_cluster":      noRows,
	"sys_dm_hadr_availability_replica_states": noRows,
	"sys_dm_hadr_database_replica_states":     noRows,
})

// withCatalogueViews adds the views about tables and procedures.
func withCatalogueViews(all map[string]func(s *session, database string) [][]any) map[string]func(s *session, database string) [][]any {
	maps.Copy(all, catalogueViewRows)
	return all
}

func noRows(*session, string) [][]any { return nil }

func knownView(name string) bool { return viewRows[name] != nil }

// fillViews fills the views that a query names with their current rows.
func (s *session) fillViews(r *storage.Reader, names []tsql.Name) error {
	for _, n := range names {
		rows := viewRows[n.Table()]
		if !n.System() || rows == nil {
			continue
		}
		if err := s.checkViewState(n.Table()); err != nil {
			return err
		}
		database := s.database
		if n.Database != "" {
			database, _ = s.p.CanonicalDatabase(n.Database)
		}
		now, planted := s.p.planted.rows(n.Table())
		switch {
		case s.hidden(n.Table()):
			now = nil
		case !planted:
			now = rows(s, database)
		}
		if err := fillView(r, n.Table(), now); err != nil {
			return fmt.Errorf("fill the system view %s: %w", n.Table(), err)
		}
	}
	return nil
}

// fillView creates the view, unless the connection has it already, and replaces its rows, unless they are the
// same. A prober queries the same two views hundreds of times per second.
func fillView(r *storage.Reader, view string, rows [][]any) error {
	var values []driver.Value
	for _, row := range rows {
		for _, v := range row {
			values = append(values, bound(v))
		}
	}
	was, made := r.Shown[view]
	switch {
	case !made:
		if err := r.Script(views()[view].text); err != nil {
			return err
		}
	case slices.EqualFunc(was, values, sameValue):
		return nil
	}
	delete(r.Shown, view) // if an error follows, the view is created again, which does nothing
	if err := r.Change("DELETE FROM temp." + view); err != nil {
		return err
	}
	for rest := rows; len(rest) > 0; { // a statement has at most 32,766 parameters
		width := len(rest[0])
		n := min(len(rest), 30_000/width)
		row := "(?" + strings.Repeat(",?", width-1) + ")"
		at := (len(rows) - len(rest)) * width
		if err := r.Change("INSERT INTO temp."+view+" VALUES "+row+strings.Repeat(","+row, n-1), values[at:at+n*width]...); err != nil {
			return err
		}
		rest = rest[n:]
	}
	if r.Shown != nil {
		r.Shown[view] = values
	}
	return nil
}

// bound returns a value as SQLite's driver accepts it.
func bound(v any) driver.Value {
	switch v := v.(type) {
	case bool:
		return sqlvalue.BoolInt(v)
	case sqlvalue.Hexadecimal:
		b, _ := hex.DecodeString(string(v)) // the digits are valid: this package wrote them, or Plant checked them
		return b
	}
	switch r := reflect.ValueOf(v); {
	case r.CanInt():
		return r.Int()
	case r.CanUint():
		return int64(r.Uint())
	}
	return v
}

// sameValue compares binary values by their bytes, all others with ==.
func sameValue(a, b driver.Value) bool {
	x, isBinary := a.([]byte)
	y, areBoth := b.([]byte)
	if isBinary || areBoth {
		return isBinary == areBoth && bytes.Equal(x, y)
	}
	return a == b
}

// databaseID returns the id of a database; 0: no such database.
func (p *Partner) databaseID(name string) int64 {
	if d := p.Find(name); d != nil {
		return d.Store.About.Load().ID
	}
	return int64(slices.Index(mirror.SystemDatabases, name) + 1)
}

// catalogueDatabase is a database as sys.databases shows it.
type catalogueDatabase struct {
	name    string
	id      int64
	created string
	d       *mirror.Database // nil: a system database
}

// catalogue returns all databases of the server in the order of their ids.
func (p *Partner) catalogue() (list []catalogueDatabase) {
	created := storage.FirstDatabase("")
	for i, name := range mirror.SystemDatabases {
		list = append(list, catalogueDatabase{name: name, id: int64(i + 1), created: created.CreatedAt()})
	}
	for _, d := range p.Sorted() {
		about := d.Store.About.Load()
		list = append(list, catalogueDatabase{name: d.Title, id: about.ID, created: about.CreatedAt(), d: d})
	}
	return list
}

// recoveryModels are numbered as in sys.databases.
var recoveryModels = map[string]int{storage.RecoveryFull: 1, storage.RecoveryBulkLogged: 2, storage.RecoverySimple: 3}

func (p *Partner) databaseRows() (rows [][]any) {
	for _, c := range p.catalogue() {
		state, desc, model := 0, "ONLINE", storage.RecoverySimple
		wait := "NOTHING"
		if d := c.d; d != nil {
			about, role := d.Store.About.Load(), d.State.Load().Role
			model = about.Recovery
			if role == storage.RoleMirror || about.Restoring {
				state, desc = 1, "RESTORING"
			} else if d.Serving() != nil {
				state, desc = 2, "RECOVERING"
			} else if st := d.Mirroring.LinkState(); role == storage.RolePrincipal && (st == mirror.StateSuspended || st == mirror.StateDisconnected) {
				wait = "DATABASE_MIRRORING"
			}
		}
		rows = append(rows, []any{c.name, c.id, c.created, 150,
			serverCollation, 0, "MULTI_USER", false, false, state, desc, recoveryModels[model], model, wait, false, nil, nil})
	}
	return rows
}

func (p *Partner) sysDatabaseRows() (rows [][]any) {
	for _, c := range p.catalogue() {
		rows = append(rows, []any{c.name, c.id})
	}
	return rows
}

// mirroringRows returns the rows of sys.database_mirroring: a row for each database, with NULLs for a
// database that is not mirrored, or that the login may not open.
func (s *session) mirroringRows() (rows [][]any) {
	const columns = 21
	for _, c := range s.p.catalogue() {
		row := make([]any, columns)
		row[0] = c.id
		if c.d.IsMirrored() && (s.sysadmin() || c.d.Serving() == nil && s.checkAccess(c.d) == nil) {
			c.d.MirroringRow(row)
		}
		rows = append(rows, row)
	}
	return rows
}

// objectRows returns the tables, views and procedures of a database, in the order of their ids.
func (s *session) objectRows(database, kind string) (rows [][]any) {
	for _, o := range s.describedObjects(s.p.Find(database), kind) {
		rows = append(rows, []any{o.Name, int(o.ID), 1, o.Kind, kindText[o.Kind]})
	}
	return rows
}

var kindText = map[string]string{"U": "USER_TABLE", "V": "VIEW", "P": "SQL_STORED_PROCEDURE", "FN": "SQL_SCALAR_FUNCTION", "TR": "SQL_TRIGGER"}

func sysObjectRows(s *session, database string) (rows [][]any) {
	for _, r := range s.objectRows(database, "") {
		rows = append(rows, []any{r[0], r[1], r[3], 1, r[3]})
	}
	return rows
}

func informationSchemaRows(s *session, database string) (rows [][]any) {
	for _, r := range s.objectRows(database, "U") {
		rows = append(rows, []any{database, "dbo", r[0], "BASE TABLE"})
	}
	for _, r := range s.objectRows(database, "V") {
		rows = append(rows, []any{database, "dbo", r[0], "VIEW"})
	}
	return rows
}

// propertyRows returns the known values of DATABASEPROPERTYEX and HAS_DBACCESS. Others are NULL.
func (p *Partner) propertyRows() (rows [][]any) {
	for _, c := range p.catalogue() {
		add := func(property string, value any) { rows = append(rows, []any{c.name, property, value}) }
		if c.d != nil && c.d.Serving() != nil {
			status := "RESTORING"
			if c.d.State.Load().Role == storage.RolePrincipal {
				status = "RECOVERING"
			}
			add("Status", status)
			add("HasDBAccess", 0)
			continue
		}
		add("Status", "ONLINE")
		if c.d != nil && c.d.Writable() != nil {
			add("Updateability", "READ_ONLY")
		} else {
			add("Updateability", "READ_WRITE")
		}
		add("UserAccess", "MULTI_USER")
		add("Collation", serverCollation)
		add("IsAutoClose", 0)
		add("Version", 904)
		add("HasDBAccess", 1)
		model := storage.RecoverySimple
		if c.d != nil {
			model = c.d.Store.About.Load().Recovery
		}
		add("Recovery", model)
	}
	return rows
}

// objectDefinition returns OBJECT_DEFINITION of a procedure, in the session's database: the text that created
// it.
func (s *session) objectDefinition(id int64) (any, error) {
	name, err := s.objectName(id)
	if err != nil || name == nil {
		return nil, err
	}
	if d := s.In.Load(); d != nil {
		set, err := s.visible(d)
		if o := set.Named(name.(string)); o != nil && o.Kind != storage.KindTable {
			return o.Detail, err
		}
	}
	return nil, nil
}

// serverProperty returns SERVERPROPERTY(name); NULL for unknown ones.
func (p *Partner) serverProperty(name string) any {
	switch strings.ToLower(name) {
	case "servername":
		return p.ServerName()
	case "machinename", "computernamephysicalnetbios":
		return "MIRRORSTATE"
	case "instancename":
		return strings.ToUpper(p.Letter)
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
		return serverCollation
	case "isclustered", "ishadrenabled", "issingleuser", "isintegratedsecurityonly":
		return int64(0)
	case "isfulltextinstalled":
		return int64(0)
	}
	return nil
}
