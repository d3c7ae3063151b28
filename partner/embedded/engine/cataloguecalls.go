package engine

import (
	"context"
	"fmt"
	"math"
	"slices"
	"strings"

	"github.com/mirrorstate/mirrorstate/partner/embedded/mirror"
	"github.com/mirrorstate/mirrorstate/partner/embedded/sqlerror"
	"github.com/mirrorstate/mirrorstate/partner/embedded/sqlvalue"
	"github.com/mirrorstate/mirrorstate/partner/embedded/tds"
	"github.com/mirrorstate/mirrorstate/partner/embedded/tsql"
)

// catalogueProcedure is a system procedure with which drivers query the catalogue. Its columns and parameters have the
// names, types and order of the manual's "Catalog stored procedures".
type catalogueProcedure struct {
	params  string // names in order; "!" follows each required one at the beginning
	columns []tds.Column
	rows    func(c *catalogueCall) ([][]any, error)
	server  bool // its result concerns no single database
}

// catalogueCall is a call of a catalogue procedure.
type catalogueCall struct {
	ctx      context.Context
	s        *session
	name     string
	database string // the database that the result is about
	d        *mirror.Database
	args     map[string]any
	modern   bool // the name ends in _100: the result may have the types of SQL Server 2008
}

// catalogueProcedures are the catalogue procedures by name in lower case.
var catalogueProcedures map[string]*catalogueProcedure

// init fills catalogueProcedures. An initializer of the variable would be a cycle, because describing a result set runs
// a batch, which reads the map.
func init() {
	catalogueProcedures = map[string]*catalogueProcedure{}
	for name, p := range map[string]catalogueProcedure{
		"sp_datatype_info":                {params: "@data_type @ODBCVer", columns: dataTypeInfoColumns, rows: dataTypeInfo, server: true},
		"sp_tables":                       {params: "@table_name @table_owner @table_qualifier @table_type @fUsePattern", columns: tableListColumns, rows: tableList},
		"sp_columns":                      {params: "@table_name! @table_owner @table_qualifier @column_name @ODBCVer", columns: columnListColumns, rows: columnList},
		"sp_columns_100":                  {params: "@table_name! @table_owner @table_qualifier @column_name @NameScope @ODBCVer @fUsePattern", columns: columnList100Columns, rows: columnList},
		"sp_pkeys":                        {params: "@table_name! @table_owner @table_qualifier", columns: primaryKeyColumns, rows: primaryKeys},
		"sp_fkeys":                        {params: "@pktable_name @pktable_owner @pktable_qualifier @fktable_name @fktable_owner @fktable_qualifier", columns: foreignKeyColumns, rows: foreignKeys},
		"sp_statistics":                   {params: "@table_name! @table_owner @table_qualifier @index_name @is_unique @accuracy", columns: statisticsColumns, rows: statistics},
		"sp_special_columns":              {params: "@table_name! @table_owner @table_qualifier @col_type @scope @nullable @ODBCVer", columns: specialColumnColumns, rows: specialColumns},
		"sp_stored_procedures":            {params: "@sp_name @sp_owner @sp_qualifier @fUsePattern", columns: procedureListColumns, rows: procedureListRows},
		"sp_sproc_columns":                {params: "@procedure_name @procedure_owner @procedure_qualifier @column_name @ODBCVer @fUsePattern", columns: parameterListColumns, rows: parameterList},
		"sp_sproc_columns_100":            {params: "@procedure_name @procedure_owner @procedure_qualifier @column_name @ODBCVer @fUsePattern", columns: parameterList100Columns, rows: parameterList},
		"sp_procedure_params_100_managed": {params: "@procedure_name! @group_number @procedure_schema @parameter_name", columns: managedParameterColumns, rows: managedParameters},
		"sp_databases":                    {columns: databaseListColumns, rows: databaseList, server: true},
		"sp_server_info":                  {params: "@attribute_id", columns: serverInfoColumns, rows: serverInfo, server: true},
		"sp_helptext":                     {params: "@objname! @columnname", columns: helpTextColumns, rows: helpText},
		"sp_describe_first_result_set":    {params: "@tsql! @params @browse_information_mode", columns: describedSetColumns, rows: describeFirstSet},
	} {
		one := p
		catalogueProcedures[name] = &one
	}
	for _, name := range []string{"sp_datatype_info", "sp_statistics", "sp_special_columns"} { // the same result, with the types of SQL Server 2008
		catalogueProcedures[name+"_100"] = catalogueProcedures[name]
	}
	for _, name := range refusedProcedures {
		catalogueProcedures[name] = &catalogueProcedure{}
	}
}

// refusedProcedures are system procedures of SQL Server that drivers and tools call and that are not supported. The
// error names them as not supported, instead of as unknown (2812).
var refusedProcedures = strings.Fields(`
sp_help sp_helpdb sp_helpindex sp_helpconstraint sp_helptrigger sp_helpfile sp_helpfilegroup sp_helplogins sp_helpuser sp_helprole sp_helprolemember sp_helpsrvrolemember
sp_helprotect sp_helpsort sp_helpserver sp_helplanguage sp_helpstats sp_depends sp_spaceused sp_lock sp_who sp_who2 sp_configure sp_rename sp_renamedb sp_dboption
sp_getapplock sp_releaseapplock sp_addmessage sp_dropmessage sp_bindsession sp_getbindtoken sp_set_session_context sp_recompile sp_updatestats sp_createstats sp_autostats
sp_column_privileges sp_column_privileges_ex sp_table_privileges sp_table_privileges_ex sp_tables_ex sp_columns_ex sp_columns_ex_100 sp_catalogs sp_linkedservers sp_linkedservers_rowset
sp_columns_90 sp_datatype_info_90 sp_columns_managed sp_procedure_params_managed sp_procedure_params_90_managed sp_procedure_params_rowset sp_procedure_params_100_rowset
sp_tables_rowset sp_tables_rowset2 sp_tables_info_rowset sp_columns_rowset sp_columns_100_rowset sp_indexes_rowset sp_indexes_100_rowset sp_primary_keys_rowset sp_foreign_keys_rowset
sp_schemata_rowset sp_catalogs_rowset sp_provider_types_rowset sp_provider_types_100_rowset sp_procedures_rowset sp_views_rowset sp_statistics_rowset sp_bcp_dbcmptlevel sp_tablecollations sp_tablecollations_90 sp_tablecollations_100
sp_describe_undeclared_parameters sp_describe_parameter_encryption sp_describe_cursor sp_cursor_list sp_table_type_columns_100 sp_table_types sp_oledb_ro_usrname sp_refreshview sp_validname
sp_addextendedproperty sp_updateextendedproperty sp_dropextendedproperty sp_detach_db sp_attach_db sp_indexoption sp_tableoption sp_changedbowner sp_msforeachtable sp_msforeachdb xp_cmdshell xp_msver xp_instance_regread xp_regread xp_qv
sp_trace_create sp_trace_setevent sp_trace_setstatus sp_start_job sp_stop_job sp_add_job sp_resetstatus sp_readerrorlog xp_readerrorlog sp_prepare_rpc sp_invoke_external_rest_endpoint`)

// catalogueProcedureOf returns a catalogue procedure by its name; nil: no such procedure. Names in brackets in schema
// sys are accepted too.
func catalogueProcedureOf(n procedureName) *catalogueProcedure {
	if len(n.object) < 3 || n.object[2] != '_' { // every call passes here: avoid the copy in lower case
		return nil
	}
	if n.schema != "" && !strings.EqualFold(n.schema, "dbo") && !strings.EqualFold(n.schema, "sys") {
		return nil
	}
	return catalogueProcedures[strings.ToLower(n.object)]
}

// callCatalogue runs a catalogue procedure and sends its result set.
func (s *session) callCatalogue(ctx context.Context, p *catalogueProcedure, n procedureName, list []given, w *tds.Response) error {
	name := strings.ToLower(n.object)
	if p.rows == nil {
		return sqlerror.NotSupported("System procedure '%s'", name)
	}
	c := &catalogueCall{ctx: ctx, s: s, name: name, database: s.database, modern: strings.Contains(name, "_100"), args: map[string]any{}}
	if n.database != "" {
		canonical, ok := s.p.CanonicalDatabase(n.database)
		if !ok {
			return sqlerror.ErrNoDatabase(n.database)
		}
		c.database = canonical
	}
	if err := p.bindArguments(c, list); err != nil {
		return err
	}
	if c.d = s.p.Find(c.database); c.d != nil && !p.server {
		if err := c.d.Serving(); err != nil {
			return err
		}
		if err := s.checkAccess(c.d); err != nil {
			return err
		}
	}
	rows, err := p.rows(c)
	if err != nil {
		return err
	}
	w.Columns(p.columns...)
	for _, row := range rows {
		if err := w.Row(row...); err != nil {
			return err
		}
	}
	s.rowCount = int64(len(rows))
	w.Done(s.counted(s.rowCount))
	w.ReturnStatus(0)
	return nil
}

// bindArguments determines the values of the parameters.
func (p *catalogueProcedure) bindArguments(c *catalogueCall, list []given) error {
	names := strings.Fields(p.params)
	if len(list) > len(names) {
		return sqlerror.New(8144, 16, "Procedure or function %s has too many arguments specified.", c.name)
	}
	for i, g := range list {
		name := strings.TrimSuffix(names[i], "!")
		if g.name != "" {
			at := slices.IndexFunc(names, func(known string) bool { return strings.EqualFold(strings.TrimSuffix(known, "!"), g.name) })
			if at < 0 {
				return sqlerror.New(8145, 16, "%s is not a parameter for procedure %s.", g.name, c.name)
			}
			name = strings.TrimSuffix(names[at], "!")
		}
		if !g.isDefault && g.value != nil {
			c.args[strings.ToLower(name)] = g.value
		}
	}
	for _, name := range names {
		required, ok := strings.CutSuffix(name, "!")
		if ok && c.args[strings.ToLower(required)] == nil {
			return sqlerror.New(201, 16, "Procedure or function '%s' expects parameter '%s', which was not supplied.", c.name, required)
		}
	}
	return nil
}

// text returns an argument; "" if it is missing.
func (c *catalogueCall) text(name string) string {
	t, _ := sqlvalue.TextOf(c.args[name])
	return t
}

// number returns an argument, or otherwise if it is missing.
func (c *catalogueCall) number(name string, otherwise int64) int64 {
	if n, ok := sqlvalue.IntegerOf(c.args[name], math.MinInt32, math.MaxInt32); ok && c.args[name] != nil {
		return n
	}
	return otherwise
}

// version returns the caller's version of ODBC.
func (c *catalogueCall) version() int64 { return c.number("@odbcver", 2) }

// patterns reports whether names are patterns of LIKE, which is the default.
func (c *catalogueCall) patterns() bool { return c.number("@fusepattern", 1) != 0 }

// matches reports whether a name matches an argument. A missing argument matches all names.
func (c *catalogueCall) matches(argument, name string, pattern bool) bool {
	asked := c.args[argument]
	if asked == nil {
		return true
	}
	text, _ := sqlvalue.TextOf(asked)
	if pattern {
		return tsql.Like(text, name)
	}
	return strings.EqualFold(strings.TrimRight(text, " "), name)
}

// qualified checks that a qualifier names the database of the call: 15250.
func (c *catalogueCall) qualified(argument string) error {
	if q := c.text(argument); q == "" || strings.EqualFold(q, c.database) || q == "%" {
		return nil
	}
	return sqlerror.New(15250, 16, "The database name component of the object qualifier must be the name of the current database.")
}

// tables returns the tables that match the call's name and owner. Only the lists accept patterns.
func (c *catalogueCall) tables(name, owner, qualifier string, pattern bool) ([]describedTable, error) {
	if err := c.qualified(qualifier); err != nil {
		return nil, err
	}
	named := func(t describedTable) string { return t.name }
	return matching(c, c.s.describedTables(c.d), named, name, owner, pattern), nil
}

// matching returns the elements of all that match the call's name and owner, in the order of their names.
func matching[T any](c *catalogueCall, all []T, named func(T) string, name, owner string, pattern bool) []T {
	var list []T
	for _, one := range all {
		if c.matches(name, named(one), pattern) && c.matches(owner, "dbo", pattern) {
			list = append(list, one)
		}
	}
	slices.SortStableFunc(list, func(a, b T) int {
		return strings.Compare(strings.ToLower(named(a)), strings.ToLower(named(b)))
	})
	return list
}

// The types of the result columns.
var (
	nameType    = tds.NVarChar(128)
	remarksType = tds.VarChar(254)
)

// columnsOf parses result columns: "NAME:type", the types by one letter: n name, s smallint, i int, t tinyint, b bit, r
// remarks, d nvarchar(4000), v varchar(32), w varchar(60), x varchar(255), c char(1).
func columnsOf(list string) []tds.Column {
	types := map[string]tds.Type{"n": nameType, "s": tds.SmallInt, "i": tds.Int, "t": tds.TinyInt, "b": tds.Bit, "r": remarksType,
		"d": tds.NVarChar(4000), "v": tds.VarChar(32), "w": tds.VarChar(60), "x": tds.VarChar(255), "c": tds.Char(1),
		"h": tds.VarChar(128), "p": tds.NVarChar(134), "e": tds.NVarChar(255), "f": tds.NVarChar(256), "a": tds.NVarCharMax}
	var columns []tds.Column
	for _, one := range strings.Fields(list) {
		name, letter, _ := strings.Cut(one, ":")
		t, ok := types[letter]
		if !ok {
			panic(fmt.Sprintf("column %s has no type", one))
		}
		columns = append(columns, tds.Column{Name: name, Type: t})
	}
	return columns
}

// rpcArguments returns the arguments of an RPC.
func rpcArguments(params []tds.Param) []given {
	list := make([]given, len(params))
	for i := range params {
		q := &params[i]
		list[i] = given{name: q.Name, value: q.Value, from: q.Type.Kind().String(), isDefault: q.Default}
	}
	return list
}

// catalogue runs EXEC of a catalogue procedure in a text.
func (b *batch) catalogue(ctx context.Context, st *tsql.Exec, p *catalogueProcedure, list []given) error {
	n := st.Procedure
	if err := b.s.callCatalogue(ctx, p, procedureName{n.Server, n.Database, n.Schema, n.Object}, list, b.w); err != nil {
		return err
	}
	if st.Return != "" {
		return b.set(st.Return, int64(0))
	}
	return nil
}
