package engine

import (
	"strings"

	"github.com/mirrorstate/mirrorstate/partner/embedded/storage"
	"github.com/mirrorstate/mirrorstate/partner/embedded/tsql"
)

// serverCollation is the collation of the server and of all its databases.
const serverCollation = "SQL_Latin1_General_CP1_CI_AS"

// catalogueViewsText creates the views about tables, columns, keys, indexes, procedures and types. Their columns have
// the names, types and order of the manual's "System catalog views" and "System information schema views". Of long
// views it omits trailing columns that have no meaning here. nvarchar(4001) stands for nvarchar(max), which SQLite does
// not accept.
const catalogueViewsText = `
CREATE TEMP TABLE sys_all_objects (
	name nvarchar(128), object_id int, principal_id int, schema_id int, parent_object_id int, type char(2), type_desc nvarchar(60),
	create_date datetime, modify_date datetime, is_ms_shipped bit, is_published bit, is_schema_published bit);
CREATE TEMP TABLE sys_views (
	name nvarchar(128), object_id int, principal_id int, schema_id int, parent_object_id int, type char(2), type_desc nvarchar(60),
	create_date datetime, modify_date datetime, is_ms_shipped bit, is_published bit, is_schema_published bit);
CREATE TEMP TABLE sys_schemas (name nvarchar(128), schema_id int, principal_id int);
CREATE TEMP TABLE sys_types (
	name nvarchar(128), system_type_id tinyint, user_type_id int, schema_id int, principal_id int, max_length smallint, precision tinyint, scale tinyint,
	collation_name nvarchar(128), is_nullable bit, is_user_defined bit, is_assembly_type bit, default_object_id int, rule_object_id int, is_table_type bit);
CREATE TEMP TABLE sys_columns (` + columnsOfColumns + `);
CREATE TEMP TABLE sys_all_columns (` + columnsOfColumns + `);
CREATE TEMP TABLE sys_identity_columns (` + columnsOfColumns + `, seed_value sql_variant, increment_value sql_variant, last_value sql_variant, is_not_for_replication bit);
CREATE TEMP TABLE sys_computed_columns (` + columnsOfColumns + `, definition nvarchar(4001), uses_database_collation bit, is_persisted bit);
CREATE TEMP TABLE sys_indexes (
	object_id int, name nvarchar(128), index_id int, type tinyint, type_desc nvarchar(60), is_unique bit, data_space_id int, ignore_dup_key bit,
	is_primary_key bit, is_unique_constraint bit, fill_factor tinyint, is_padded bit, is_disabled bit, is_hypothetical bit, is_ignored_in_optimization bit,
	allow_row_locks bit, allow_page_locks bit, has_filter bit, filter_definition nvarchar(4001));
CREATE TEMP TABLE sys_index_columns (
	object_id int, index_id int, index_column_id int, column_id int, key_ordinal tinyint, partition_ordinal tinyint, is_descending_key bit, is_included_column bit);
CREATE TEMP TABLE sys_key_constraints (
	name nvarchar(128), object_id int, principal_id int, schema_id int, parent_object_id int, type char(2), type_desc nvarchar(60),
	create_date datetime, modify_date datetime, is_ms_shipped bit, is_published bit, is_schema_published bit, unique_index_id int, is_system_named bit);
CREATE TEMP TABLE sys_default_constraints (
	name nvarchar(128), object_id int, principal_id int, schema_id int, parent_object_id int, type char(2), type_desc nvarchar(60),
	create_date datetime, modify_date datetime, is_ms_shipped bit, is_published bit, is_schema_published bit, parent_column_id int, definition nvarchar(4001), is_system_named bit);
CREATE TEMP TABLE sys_check_constraints (
	name nvarchar(128), object_id int, principal_id int, schema_id int, parent_object_id int, type char(2), type_desc nvarchar(60),
	create_date datetime, modify_date datetime, is_disabled bit, parent_column_id int, definition nvarchar(4001), is_system_named bit);
CREATE TEMP TABLE sys_foreign_key_columns (
	constraint_object_id int, constraint_column_id int, parent_object_id int, parent_column_id int, referenced_object_id int, referenced_column_id int);
CREATE TEMP TABLE sys_parameters (` + columnsOfParameters + `);
CREATE TEMP TABLE sys_all_parameters (` + columnsOfParameters + `);
CREATE TEMP TABLE sys_objectproperties (object_id int, property nvarchar(128), value);
CREATE TEMP TABLE sys_columnproperties (object_id int, name nvarchar(128), property nvarchar(128), value);
CREATE TEMP TABLE sys_extended_properties (
	class tinyint, class_desc nvarchar(60), major_id int, minor_id int, name nvarchar(128), value sql_variant);
CREATE TEMP TABLE sys_syscolumns (
	name nvarchar(128), id int, xtype tinyint, xusertype smallint, length smallint, colid smallint, prec smallint, scale int, iscomputed int, isoutparam int, isnullable int);
CREATE TEMP TABLE sys_systypes (
	name nvarchar(128), xtype tinyint, xusertype smallint, length smallint, xprec tinyint, xscale tinyint, type tinyint, usertype smallint);
CREATE TEMP TABLE sys_sysusers (uid smallint, name nvarchar(128), sid varbinary(85), issqlrole int, issqluser int);
CREATE TEMP TABLE information_schema_schemata (
	CATALOG_NAME nvarchar(128), SCHEMA_NAME nvarchar(128), SCHEMA_OWNER nvarchar(128), DEFAULT_CHARACTER_SET_CATALOG varchar(6),
	DEFAULT_CHARACTER_SET_SCHEMA varchar(3), DEFAULT_CHARACTER_SET_NAME nvarchar(128));
CREATE TEMP TABLE information_schema_columns (
	TABLE_CATALOG nvarchar(128), TABLE_SCHEMA nvarchar(128), TABLE_NAME nvarchar(128), COLUMN_NAME nvarchar(128), ORDINAL_POSITION int,
	COLUMN_DEFAULT nvarchar(4000), IS_NULLABLE varchar(3), DATA_TYPE nvarchar(128), CHARACTER_MAXIMUM_LENGTH int, CHARACTER_OCTET_LENGTH int,
	NUMERIC_PRECISION tinyint, NUMERIC_PRECISION_RADIX smallint, NUMERIC_SCALE int, DATETIME_PRECISION smallint,
	CHARACTER_SET_CATALOG nvarchar(128), CHARACTER_SET_SCHEMA nvarchar(128), CHARACTER_SET_NAME nvarchar(128),
	COLLATION_CATALOG nvarchar(128), COLLATION_SCHEMA nvarchar(128), COLLATION_NAME nvarchar(128),
	DOMAIN_CATALOG nvarchar(128), DOMAIN_SCHEMA nvarchar(128), DOMAIN_NAME nvarchar(128));
CREATE TEMP TABLE information_schema_views (
	TABLE_CATALOG nvarchar(128), TABLE_SCHEMA nvarchar(128), TABLE_NAME nvarchar(128), VIEW_DEFINITION nvarchar(4000), CHECK_OPTION varchar(7), IS_UPDATABLE varchar(2));
CREATE TEMP TABLE information_schema_table_constraints (
	CONSTRAINT_CATALOG nvarchar(128), CONSTRAINT_SCHEMA nvarchar(128), CONSTRAINT_NAME nvarchar(128), TABLE_CATALOG nvarchar(128), TABLE_SCHEMA nvarchar(128),
	TABLE_NAME nvarchar(128), CONSTRAINT_TYPE varchar(11), IS_DEFERRABLE varchar(2), INITIALLY_DEFERRED varchar(2));
CREATE TEMP TABLE information_schema_key_column_usage (
	CONSTRAINT_CATALOG nvarchar(128), CONSTRAINT_SCHEMA nvarchar(128), CONSTRAINT_NAME nvarchar(128), TABLE_CATALOG nvarchar(128), TABLE_SCHEMA nvarchar(128),
	TABLE_NAME nvarchar(128), COLUMN_NAME nvarchar(128), ORDINAL_POSITION int);
CREATE TEMP TABLE information_schema_constraint_column_usage (
	TABLE_CATALOG nvarchar(128), TABLE_SCHEMA nvarchar(128), TABLE_NAME nvarchar(128), COLUMN_NAME nvarchar(128),
	CONSTRAINT_CATALOG nvarchar(128), CONSTRAINT_SCHEMA nvarchar(128), CONSTRAINT_NAME nvarchar(128));
CREATE TEMP TABLE information_schema_referential_constraints (
	CONSTRAINT_CATALOG nvarchar(128), CONSTRAINT_SCHEMA nvarchar(128), CONSTRAINT_NAME nvarchar(128), UNIQUE_CONSTRAINT_CATALOG nvarchar(128),
	UNIQUE_CONSTRAINT_SCHEMA nvarchar(128), UNIQUE_CONSTRAINT_NAME nvarchar(128), MATCH_OPTION varchar(7), UPDATE_RULE varchar(11), DELETE_RULE varchar(11));
CREATE TEMP TABLE information_schema_routines (
	SPECIFIC_CATALOG nvarchar(128), SPECIFIC_SCHEMA nvarchar(128), SPECIFIC_NAME nvarchar(128), ROUTINE_CATALOG nvarchar(128), ROUTINE_SCHEMA nvarchar(128),
	ROUTINE_NAME nvarchar(128), ROUTINE_TYPE nvarchar(20), DATA_TYPE nvarchar(128), ROUTINE_BODY nvarchar(30), ROUTINE_DEFINITION nvarchar(4000),
	CREATED datetime, LAST_ALTERED datetime);
CREATE TEMP TABLE information_schema_parameters (
	SPECIFIC_CATALOG nvarchar(128), SPECIFIC_SCHEMA nvarchar(128), SPECIFIC_NAME nvarchar(128), ORDINAL_POSITION int, PARAMETER_MODE nvarchar(10),
	IS_RESULT nvarchar(10), AS_LOCATOR nvarchar(10), PARAMETER_NAME nvarchar(128), DATA_TYPE nvarchar(128), CHARACTER_MAXIMUM_LENGTH int, CHARACTER_OCTET_LENGTH int,
	COLLATION_CATALOG nvarchar(128), COLLATION_SCHEMA nvarchar(128), COLLATION_NAME nvarchar(128),
	CHARACTER_SET_CATALOG nvarchar(128), CHARACTER_SET_SCHEMA nvarchar(128), CHARACTER_SET_NAME nvarchar(128),
	NUMERIC_PRECISION tinyint, NUMERIC_PRECISION_RADIX smallint, NUMERIC_SCALE int, DATETIME_PRECISION smallint);
`

// Columns of several views.
const (
	columnsOfColumns = `
	object_id int, name nvarchar(128), column_id int, system_type_id tinyint, user_type_id int, max_length smallint, precision tinyint, scale tinyint,
	collation_name nvarchar(128), is_nullable bit, is_ansi_padded bit, is_rowguidcol bit, is_identity bit, is_computed bit, is_filestream bit,
	is_replicated bit, is_non_sql_subscribed bit, is_merge_published bit, is_dts_replicated bit, is_xml_document bit, xml_collection_id int,
	default_object_id int, rule_object_id int, is_sparse bit, is_column_set bit, generated_always_type tinyint, generated_always_type_desc nvarchar(60),
	encryption_type int, encryption_type_desc nvarchar(64), is_hidden bit, is_masked bit`
	columnsOfParameters = `
	object_id int, name nvarchar(128), parameter_id int, system_type_id tinyint, user_type_id int, max_length smallint, precision tinyint, scale tinyint,
	is_output bit, is_cursor_ref bit, has_default_value bit, is_xml_document bit, default_value sql_variant, xml_collection_id int, is_readonly bit, is_nullable bit`
)

// catalogueViewRows returns the rows of these views. Views of objects that cannot be created here are empty.
var catalogueViewRows = map[string]func(s *session, database string) [][]any{
	"sys_all_objects": allObjectRows, "sys_views": noRows, "sys_schemas": schemaRows, "sys_types": typeRows,
	"sys_columns": columnRows, "sys_all_columns": columnRows, "sys_identity_columns": identityRows, "sys_computed_columns": noRows,
	"sys_indexes": indexRows, "sys_index_columns": indexColumnRows, "sys_key_constraints": keyConstraintRows, "sys_default_constraints": defaultConstraintRows,
	"sys_check_constraints": noRows, "sys_foreign_key_columns": foreignKeyColumnRows, "sys_parameters": parameterRows, "sys_all_parameters": parameterRows,
	"sys_objectproperties": objectPropertyRows, "sys_columnproperties": columnPropertyRows, "sys_extended_properties": noRows, "sys_syscolumns": oldColumnRows, "sys_systypes": oldTypeRows, "sys_sysusers": oldUserRows,
	"information_schema_schemata": schemataRows, "information_schema_columns": schemaColumnRows, "information_schema_views": noRows,
	"information_schema_table_constraints": tableConstraintRows, "information_schema_key_column_usage": keyColumnRows,
	"information_schema_constraint_column_usage": constraintColumnRows, "information_schema_referential_constraints": referentialRows,
	"information_schema_routines": routineRows, "information_schema_parameters": schemaParameterRows,
}

// object returns the columns with which every view of objects begins.
func (s *session) object(database, name string, id, parent int, kind, desc string) []any {
	return []any{name, id, nil, 1, parent, kind, desc, s.createdAt(database), s.createdAt(database), false, false, false}
}

// createdAt returns when the database was created, which stands also for its objects.
func (s *session) createdAt(database string) any {
	for _, c := range s.p.catalogue() {
		if strings.EqualFold(c.name, database) {
			return c.created
		}
	}
	return nil
}

// everyObject returns all objects of the database: tables and procedures, and the constraints of tables.
func (s *session) everyObject(database string) (rows [][]any) {
	set := s.objectsOf(database)
	for _, o := range s.describedObjects(s.p.Find(database), "") {
		rows = append(rows, s.object(database, o.Name, int(o.ID), parentOf(set, o), o.Kind, kindText[o.Kind]))
	}
	for _, r := range keyConstraintRows(s, database) {
		rows = append(rows, r[:12])
	}
	for _, r := range defaultConstraintRows(s, database) {
		rows = append(rows, r[:12])
	}
	for _, r := range foreignKeyRows(s, database) {
		rows = append(rows, r[:12])
	}
	return rows
}

func fullObjectRows(s *session, database string) [][]any { return s.everyObject(database) }

// fullRowsOf returns the objects of one kind, as sys.procedures and sys.tables show them.
func fullRowsOf(kind string) func(s *session, database string) [][]any {
	return func(s *session, database string) (rows [][]any) {
		for _, r := range s.objectRows(database, kind) {
			row := s.object(database, r[0].(string), r[1].(int), 0, kind, r[4].(string))
			if kind == storage.KindTable {
				row = append(row, false)
			}
			rows = append(rows, row)
		}
		return rows
	}
}

// firstSystemID is above the object_ids of all system views.
const firstSystemID = -100

// schemaOf is a schema of a database.
type schemaOf struct {
	name      string
	id, owner int
}

// schemas are the schemas of each database, with their ids and those of their owners.
var schemas = []schemaOf{{"dbo", 1, 1}, {"guest", 2, 2}, {"INFORMATION_SCHEMA", informationSchemaID, 3}, {"sys", systemSchemaID, 4}, {"db_owner", 16384, 16384}}

func allObjectRows(s *session, database string) [][]any {
	rows := s.everyObject(database)
	for i, v := range systemViewNames() {
		row := s.object(database, v.name, firstSystemID-i, 0, "V", "VIEW")
		row[3], row[9] = systemSchemaID, true
		if v.schema != "sys" {
			row[3] = informationSchemaID
		}
		rows = append(rows, row)
	}
	return rows
}

func schemaRows(*session, string) (rows [][]any) {
	for _, one := range schemas {
		rows = append(rows, []any{one.name, one.id, one.owner})
	}
	return rows
}

func schemataRows(_ *session, database string) (rows [][]any) {
	for _, one := range schemas {
		rows = append(rows, []any{database, one.name, one.name, nil, nil, "iso_1"})
	}
	return rows
}

func typeRows(*session, string) (rows [][]any) {
	for i := range dataTypes {
		d := &dataTypes[i]
		m := d.measured(tsql.TypeSpec{Name: d.name, Length: d.digits, Scale: d.scale})
		precision, scale := m.precision, m.scale
		rows = append(rows, []any{d.name, d.id, d.userTypeID(), 4, nil, d.size, precision, scale, d.collation(),
			d.name != "timestamp" && d.name != "sysname", false, false, 0, 0, false})
	}
	return rows
}

// collation returns the collation of a column of the type.
func (d *dataType) collation() any {
	if d.isText() {
		return serverCollation
	}
	return nil
}

// eachColumn calls each with the columns of a database's tables, and with the catalogue's data about their types.
func (s *session) eachColumn(database string, each func(t *describedTable, at int, d *dataType, m measures)) {
	for _, t := range s.describedTables(s.describedIn(database)) {
		for i, c := range t.columns {
			if d := dataTypeOf(c.typ.Name); d != nil {
				each(&t, i, d, d.measured(c.typ))
			}
		}
	}
}

func columnRows(s *session, database string) (rows [][]any) {
	s.eachColumn(database, func(t *describedTable, i int, d *dataType, m measures) {
		c, def := t.columns[i], 0
		if c.defaultValue != "" {
			def = t.defaultID(i)
		}
		rows = append(rows, []any{t.id, c.name, i + 1, d.id, d.userTypeID(), m.maxLength, m.precision, m.scale, d.collation(), c.nullable, true, false,
			c.identity, false, false, false, false, false, false, false, 0, def, 0, false, false, 0, "NOT_APPLICABLE", nil, nil, false, false})
	})
	return rows
}

func identityRows(s *session, database string) (rows [][]any) {
	for _, r := range columnRows(s, database) {
		if r[12] == true {
			rows = append(rows, append(r, 1, 1, nil, false))
		}
	}
	return rows
}

func indexRows(s *session, database string) (rows [][]any) {
	for _, t := range s.describedTables(s.describedIn(database)) {
		clustered := false
		for i, x := range t.indexes {
			kind, desc := 2, "NONCLUSTERED"
			if x.clusters() {
				kind, desc, clustered = 1, "CLUSTERED", true
			}
			rows = append(rows, []any{t.id, x.name, i + 1, kind, desc, x.unique, 1, false, x.primary, x.constraint && !x.primary, 0, false, false, false, false, true, true, false, nil})
		}
		if !clustered {
			rows = append(rows, []any{t.id, nil, 0, 0, "HEAP", false, 1, false, false, false, 0, false, false, false, false, true, true, false, nil})
		}
	}
	return rows
}

func indexColumnRows(s *session, database string) (rows [][]any) {
	for _, t := range s.describedTables(s.describedIn(database)) {
		for i, x := range t.indexes {
			for n, at := range x.columns {
				rows = append(rows, []any{t.id, i + 1, n + 1, at + 1, n + 1, 0, false, false})
			}
		}
	}
	return rows
}

func keyConstraintRows(s *session, database string) (rows [][]any) {
	for _, t := range s.describedTables(s.describedIn(database)) {
		for i, x := range t.indexes {
			kind, desc := "UQ", "UNIQUE_CONSTRAINT"
			if x.primary {
				kind, desc = "PK", "PRIMARY_KEY_CONSTRAINT"
			}
			if x.constraint {
				rows = append(rows, append(s.object(database, x.name, t.constraintID(i), t.id, kind, desc), i+1, strings.HasPrefix(x.name, kind+"__")))
			}
		}
	}
	return rows
}

func defaultConstraintRows(s *session, database string) (rows [][]any) {
	for _, t := range s.describedTables(s.describedIn(database)) {
		for i, c := range t.columns {
			if c.defaultValue != "" {
				rows = append(rows, append(s.object(database, "DF__"+t.name+"__"+c.name, t.defaultID(i), t.id, "D", "DEFAULT_CONSTRAINT"), i+1, c.defaultValue, true))
			}
		}
	}
	return rows
}
