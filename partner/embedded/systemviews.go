package embedded

import (
	"database/sql/driver"
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
}

func knownView(name string) bool { return viewRows[name] != nil }

// fillViews fills the views that a query names, as they are now.
func (s *session) fillViews(r *reader, names []tsql.Name) error {
	for _, n := range names {
		rows := viewRows[n.Table()]
		if !n.System() || rows == nil {
			continue
		}
		database := s.database
		if n.Database != "" {
			database, _ = canonicalDatabase(n.Database)
		}
		if err := r.fillView(n.Table(), rows(s, database)); err != nil {
			return fmt.Errorf("fill the system view %s: %w", n.Table(), err)
		}
	}
	return nil
}

// fillView replaces the rows of a view, unless they are those it has. A prober asks for
// the same two views hundreds of times a second.
func (r *reader) fillView(view string, rows [][]any) error {
	var values []driver.Value
	for _, row := range rows {
		for _, v := range row {
			values = append(values, bound(v))
		}
	}
	if r.shown != nil {
		if was, ok := r.shown[view]; ok && slices.Equal(was, values) {
			return nil
		}
		delete(r.shown, view)
	}
	if err := r.change("DELETE FROM temp." + view); err != nil {
		return err
	}
	if len(rows) > 0 {
		row := "(?" + strings.Repeat(",?", len(rows[0])-1) + ")"
		if err := r.change("INSERT INTO temp."+view+" VALUES "+row+strings.Repeat(","+row, len(rows)-1), values...); err != nil {
			return err
		}
	}
	if r.shown != nil {
		r.shown[view] = values
	}
	return nil
}

// change runs a statement that is kept prepared.
func (r *reader) change(text string, args ...driver.Value) error {
	st, err := r.query(text)
	if err != nil {
		return err
	}
	_, err = st.exec(args...)
	return err
}

// bound is a value as SQLite's driver takes it.
func bound(v any) driver.Value {
	switch v := v.(type) {
	case bool:
		return boolInt(v)
	case int:
		return int64(v)
	case int32:
		return int64(v)
	}
	return v
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
		add("Updateability", "READ_WRITE")
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
