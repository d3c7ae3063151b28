package engine

import (
	"fmt"
	"slices"
	"strings"

	"github.com/mirrorstate/mirrorstate/partner/embedded/sqlerror"
	"github.com/mirrorstate/mirrorstate/partner/embedded/tsql"
)

// The result columns of the catalogue procedures about procedures and the server.
var (
	procedureListColumns = columnsOf(`PROCEDURE_QUALIFIER:n PROCEDURE_OWNER:n PROCEDURE_NAME:p NUM_INPUT_PARAMS:i NUM_OUTPUT_PARAMS:i NUM_RESULT_SETS:i
		REMARKS:r PROCEDURE_TYPE:s`)
	parameterListColumns = columnsOf(`PROCEDURE_QUALIFIER:n PROCEDURE_OWNER:n PROCEDURE_NAME:p COLUMN_NAME:n COLUMN_TYPE:s DATA_TYPE:s TYPE_NAME:n PRECISION:i
		LENGTH:i SCALE:s RADIX:s NULLABLE:s REMARKS:r COLUMN_DEF:d SQL_DATA_TYPE:s SQL_DATETIME_SUB:s CHAR_OCTET_LENGTH:i ORDINAL_POSITION:i IS_NULLABLE:r SS_DATA_TYPE:t`)
	parameterList100Columns = slices.Concat(parameterListColumns[:19], columnsOf(`SS_TYPE_CATALOG_NAME:n SS_TYPE_SCHEMA_NAME:n SS_UDT_CATALOG_NAME:n
		SS_UDT_SCHEMA_NAME:n SS_UDT_ASSEMBLY_TYPE_NAME:d SS_XML_SCHEMACOLLECTION_CATALOG_NAME:n SS_XML_SCHEMACOLLECTION_SCHEMA_NAME:n SS_XML_SCHEMACOLLECTION_NAME:n SS_DATA_TYPE:t`))
	managedParameterColumns = columnsOf(`PROCEDURE_CATALOG:n PROCEDURE_SCHEMA:n PROCEDURE_NAME:p PARAMETER_NAME:n ORDINAL_POSITION:s PARAMETER_TYPE:s
		PARAMETER_HASDEFAULT:t PARAMETER_DEFAULT:d IS_NULLABLE:b DATA_TYPE:s MANAGED_DATA_TYPE:s CHARACTER_MAXIMUM_LENGTH:i CHARACTER_OCTET_LENGTH:i
		NUMERIC_PRECISION:s NUMERIC_SCALE:s TYPE_CATALOG_NAME:n TYPE_SCHEMA_NAME:n TYPE_NAME:n XML_CATALOGNAME:n XML_SCHEMANAME:n XML_SCHEMACOLLECTIONNAME:n
		SS_DATETIME_PRECISION:i`)
	databaseListColumns = columnsOf(`DATABASE_NAME:n DATABASE_SIZE:i REMARKS:r`)
	serverInfoColumns   = columnsOf(`ATTRIBUTE_ID:i ATTRIBUTE_NAME:w ATTRIBUTE_VALUE:x`)
	helpTextColumns     = columnsOf(`Text:e`)
)

// procedures returns the procedures that match the call's name and owner.
func (c *catalogueCall) procedures(name, owner, qualifier string, pattern bool) ([]describedProcedure, error) {
	if qualifier != "" {
		if err := c.qualified(qualifier); err != nil {
			return nil, err
		}
	}
	named := func(p describedProcedure) string { return p.name }
	return matching(c, c.s.describedProcedures(c.d), named, name, owner, pattern), nil
}

// procedureListRows returns the rows of sp_stored_procedures.
func procedureListRows(c *catalogueCall) (rows [][]any, err error) {
	list, err := c.procedures("@sp_name", "@sp_owner", "@sp_qualifier", c.patterns())
	for _, p := range list {
		rows = append(rows, []any{c.database, "dbo", p.name + ";1", -1, -1, -1, nil, 2})
	}
	return rows, err
}

// returned is the return value of a procedure, as the lists of parameters show it.
var returned = describedParam{name: "@RETURN_VALUE", typ: tsql.TypeSpec{Name: "int"}}

// The kinds of parameters, as ODBC numbers them; the last one is of the managed provider.
const (
	inParam         = 1
	inOutParam      = 2
	returnParam     = 5
	managedReturned = 4
)

func (q describedParam) kind() int {
	if q.output {
		return inOutParam
	}
	return inParam
}

// parameterList returns the rows of sp_sproc_columns, and with more columns of sp_sproc_columns_100.
func parameterList(c *catalogueCall) (rows [][]any, err error) {
	list, err := c.procedures("@procedure_name", "@procedure_owner", "@procedure_qualifier", c.patterns())
	for _, p := range list {
		for i, q := range append([]describedParam{returned}, p.params...) {
			d := dataTypeOf(q.typ.Name)
			if d == nil || !c.matches("@column_name", q.name, c.patterns()) {
				continue
			}
			kind, nullable := q.kind(), true
			if i == 0 {
				kind, nullable = returnParam, false
			}
			m := d.measured(q.typ)
			digits, radix := d.odbcPrecision(m, c.version())
			sqlType, sub := d.verbose(c.modern)
			row := []any{c.database, "dbo", p.name + ";1", q.name, kind, d.odbcType(c.version(), c.modern), d.name, digits, m.odbcLength, d.odbcScale(m), radix,
				boolInt(nullable), nil, nil, sqlType, sub, m.octets, i, yesOrNo(nullable)}
			if c.modern {
				row = append(row, nil, nil, nil, nil, nil, nil, nil, nil)
			}
			rows = append(rows, append(row, d.number(nullable)))
		}
	}
	return rows, err
}

// managedParameters returns the rows of sp_procedure_params_100_managed, which SqlCommandBuilder.DeriveParameters
// calls.
func managedParameters(c *catalogueCall) (rows [][]any, err error) {
	list, err := c.procedures("@procedure_name", "@procedure_schema", "", false)
	for _, p := range list {
		for i, q := range append([]describedParam{returned}, p.params...) {
			d := dataTypeOf(q.typ.Name)
			if d == nil || !c.matches("@parameter_name", q.name, false) {
				continue
			}
			kind := q.kind()
			if i == 0 {
				kind = managedReturned
			}
			m := d.measured(q.typ)
			var precision, scale, seconds any
			switch {
			case d.isDate():
				seconds = m.scale
			case m.precision > 0:
				precision, scale = m.precision, m.scale
			}
			rows = append(rows, []any{c.database, "dbo", p.name + ";1", q.name, i, kind, 0, nil, i > 0, d.odbcType(3, true), d.managed, m.characters, m.octets,
				precision, scale, nil, nil, d.name, nil, nil, nil, seconds})
		}
	}
	return rows, err
}

// databaseList returns the rows of sp_databases: the databases that the login may open.
func databaseList(c *catalogueCall) (rows [][]any, err error) {
	for _, db := range c.s.p.catalogue() {
		if db.d == nil || db.d.Serving() == nil && c.s.checkAccess(db.d) == nil {
			rows = append(rows, []any{db.name, nil, nil}) // the manual allows an unknown size
		}
	}
	return rows, nil
}

// serverAttributes are the rows of sp_server_info. Source: the manual's page; N for a feature that an embedded partner
// does not have.
var serverAttributes = []struct {
	id          int
	name, value string
}{
	{1, "DBMS_NAME", "Microsoft SQL Server"}, {2, "DBMS_VER", VersionText},
	{10, "OWNER_TERM", "owner"}, {11, "TABLE_TERM", "table"}, {12, "MAX_OWNER_NAME_LENGTH", "128"}, {13, "TABLE_LENGTH", "128"},
	{14, "MAX_QUAL_LENGTH", "128"}, {15, "COLUMN_LENGTH", "128"}, {16, "IDENTIFIER_CASE", "MIXED"}, {17, "TX_ISOLATION", "2"},
	{18, "COLLATION_SEQ", "charset=iso_1 sort_order=nocase_iso charset_num=1 sort_order_num=52"}, {19, "SAVEPOINT_SUPPORT", "Y"},
	{20, "MULTI_RESULT_SETS", "Y"}, {22, "ACCESSIBLE_TABLES", "Y"}, {100, "USERID_LENGTH", "128"}, {101, "QUALIFIER_TERM", "database"},
	{102, "NAMED_TRANSACTIONS", "Y"}, {103, "SPROC_AS_LANGUAGE", "Y"}, {104, "ACCESSIBLE_SPROC", "Y"}, {105, "MAX_INDEX_COLS", "16"},
	{106, "RENAME_TABLE", "N"}, {107, "RENAME_COLUMN", "N"}, {108, "DROP_COLUMN", "Y"}, {109, "INCREASE_COLUMN_LENGTH", "N"},
	{110, "DDL_IN_TRANSACTION", "Y"}, {111, "DESCENDING_INDEXES", "Y"}, {112, "SP_RENAME", "N"}, {113, "REMOTE_SPROC", "N"},
	{500, "SYS_SPROC_VERSION", "15.00.2000"},
}

// serverInfo returns the rows of sp_server_info.
func serverInfo(c *catalogueCall) (rows [][]any, err error) {
	asked := c.number("@attribute_id", 0)
	for _, a := range serverAttributes {
		if asked == 0 || asked == int64(a.id) {
			rows = append(rows, []any{a.id, a.name, a.value})
		}
	}
	return rows, nil
}

// helpText returns the rows of sp_helptext: the lines of a procedure's text, each with its line end.
func helpText(c *catalogueCall) (rows [][]any, err error) {
	written := c.text("@objname")
	n, ok := splitName(written)
	if ok && n.database != "" && !strings.EqualFold(n.database, c.database) {
		return nil, sqlerror.New(15250, 16, "The database name component of the object qualifier must be the name of the current database.")
	}
	for _, p := range c.s.describedProcedures(c.d) {
		if !ok || !strings.EqualFold(p.name, n.object) {
			continue
		}
		for _, line := range strings.SplitAfter(strings.ReplaceAll(p.text, "\r\n", "\n"), "\n") {
			line = strings.Replace(line, "\n", "\r\n", 1)
			for rest := []rune(line); len(rest) > 0; {
				n := min(len(rest), 255)
				rows = append(rows, []any{string(rest[:n])})
				rest = rest[n:]
			}
		}
		return rows, nil
	}
	for _, t := range c.s.describedTables(c.d) {
		if ok && strings.EqualFold(t.name, n.object) {
			return nil, sqlerror.New(15197, 16, "There is no text for object '%s'.", written)
		}
	}
	return nil, sqlerror.New(15009, 16, "The object '%s' does not exist in database '%s' or is invalid for this operation.", written, c.database)
}

// systemView is the name of a view that queries can use.
type systemView struct{ schema, name string }

// systemViewNames returns the views of the schemas sys and INFORMATION_SCHEMA, in order.
func systemViewNames() (list []systemView) {
	for table := range views() {
		if name, ok := strings.CutPrefix(table, "information_schema_"); ok {
			list = append(list, systemView{"INFORMATION_SCHEMA", strings.ToUpper(name)})
		} else if name, ok := strings.CutPrefix(table, "sys_"); ok && !hiddenViews[name] {
			list = append(list, systemView{"sys", name})
		}
	}
	slices.SortFunc(list, func(a, b systemView) int { return strings.Compare(fmt.Sprint(a), fmt.Sprint(b)) })
	return list
}

// hiddenViews are internal tables that functions read, and the views of msdb.
var hiddenViews = map[string]bool{"databasepropertyex": true, "objectproperties": true, "columnproperties": true, "sysjobs": true, "sysjobsteps": true, "backupset": true}
