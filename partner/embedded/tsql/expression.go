package tsql

import (
	"database/sql"
	"fmt"
	"strings"
)

// Name is a name of up to four parts as written, without brackets and quotes; omitted parts are empty (ASPState..X has
// no Schema).
type Name struct {
	Server, Database, Schema, Object string
}

// String returns the parts that were written, joined as SQL Server shows them in errors.
func (n Name) String() string {
	s := n.Object
	if n.Schema != "" || n.Database != "" || n.Server != "" {
		s = n.Schema + "." + s
	}
	if n.Database != "" || n.Server != "" {
		s = n.Database + "." + s
	}
	if n.Server != "" {
		s = n.Server + "." + s
	}
	return s
}

// isLocal reports whether n names a table variable or a temporary table.
func (n Name) isLocal() bool {
	return strings.HasPrefix(n.Object, "#") || strings.HasPrefix(n.Object, "@")
}

// System reports whether n names a view or table of the system catalogue: of schema sys or INFORMATION_SCHEMA, or a
// compatibility view such as sysobjects.
func (n Name) System() bool {
	switch strings.ToLower(n.Schema) {
	case "sys", "information_schema":
		return true
	case "", "dbo":
		object := strings.ToLower(n.Object)
		return oldCatalogue[object] || strings.EqualFold(n.Database, "msdb") && agentTables[object]
	}
	return false
}

// agentTables are the tables of msdb that can be queried, by name; queries must include the database's name.
var agentTables = map[string]bool{"sysjobs": true, "sysjobsteps": true, "backupset": true}

// Table returns the table's name in SQLite: the object's name alone; for the catalogue, in lower case, sys_databases,
// information_schema_tables, sys_sysobjects; for any schema except dbo, "schema.object" as one name.
func (n Name) Table() string {
	switch schema := strings.ToLower(n.Schema); {
	case n.System() && schema == "information_schema":
		return "information_schema_" + strings.ToLower(n.Object)
	case n.System():
		return "sys_" + strings.ToLower(n.Object)
	case schema == "" || schema == "dbo":
		return n.Object
	default:
		return n.Schema + "." + n.Object
	}
}

// oldCatalogue has the compatibility views for SQL Server 2000, which are in schema sys and can also be queried in dbo.
var oldCatalogue = map[string]bool{
	"sysobjects": true, "sysdatabases": true, "sysprocesses": true, "syscolumns": true,
	"sysindexes": true, "sysusers": true, "systypes": true, "syslogins": true, "sysfiles": true,
	"sysconfigures": true, "syscurconfigs": true, "sysservers": true, "syscomments": true,
}

// TypeSpec is a data type as declared. The zero TypeSpec means "unknown".
type TypeSpec struct {
	// Name is in lower case and without synonyms: int, bit, nvarchar, datetime, varbinary, … or the name of a
	// user-defined type, such as tsessionid.
	Name string
	// Length is in characters or bytes for the string and binary types (1 in a declaration without length), and the
	// precision of decimal; 0 if the type has none.
	Length int
	// Scale is that of decimal, and the number of decimals of datetime2, datetimeoffset and time (7 if not written).
	Scale int
	// Max: (max) was written; Length is 0.
	Max bool
}

// Inputs lists what a SQL text for SQLite needs besides its own text.
type Inputs struct {
	// Parameters has the variables that the text uses, lower case with "@", each once. In the SQL each is a named
	// parameter; see BindName.
	Parameters []string
	// System has the values of the session or server that the text uses, each once: two equal calls in a statement are
	// one value, as in SQL Server.
	System []SystemCall
	// Tables has every table that the text reads or writes, the written one first. The caller checks databases and
	// schemas here, and provides the catalogue tables (see Name.System) in it. Metadata functions become look-ups
	// there: DB_ID(x) and DB_NAME(x) in sys_databases (name, database_id), SCHEMA_NAME(x) in sys_schemas, TYPE_NAME(x)
	// in sys_types, OBJECT_NAME(x) of a column in sys_all_objects, and so on. Properties have tables of their own, with
	// a row for each: DATABASEPROPERTYEX(d, p) in sys_databasepropertyex (database_name, property, value),
	// HAS_DBACCESS(d) in the same table with the property 'HasDBAccess'; OBJECTPROPERTY(o, p) in sys_objectproperties
	// (object_id, property, value) and COLUMNPROPERTY(o, c, p) in sys_columnproperties (object_id, name, property,
	// value). Names and properties are compared without case; a missing row means NULL.
	Tables []Name
	// Locals has the table variables and temporary tables among them, each once. They are in SQLite's schema temp,
	// under the name with its "@" or "#".
	Locals []Name
}

// SystemCall is a value that only the session or server has. The caller evaluates it and binds the value to Param.
type SystemCall struct {
	// Name is in upper case: "@@SPID", "GETUTCDATE", "SERVERPROPERTY", …
	// Those with arguments: OBJECT_ID, SERVERPROPERTY, IS_SRVROLEMEMBER,
	// IS_MEMBER, SUSER_SNAME, SUSER_NAME, SUSER_ID, USER_NAME, USER_ID,
	// OBJECT_NAME, OBJECT_DEFINITION, COL_LENGTH, DATABASE_PRINCIPAL_ID, HAS_PERMS_BY_NAME,
	// SCHEMA_NAME, SCHEMA_ID, CONNECTIONPROPERTY, IDENT_CURRENT, IDENT_SEED, IDENT_INCR, UPDATE (of a trigger), and no
	// other. FUNCTION, for user-defined functions, is the number of [NewCaller]. CURRENT_TIMESTAMP becomes GETDATE;
	// CURRENT_USER, USER and SESSION_USER become USER_NAME without arguments.
	Name string
	// Args are constants, variables or system values, never columns.
	Args []Expr
	// Param is the parameter's name for sql.Named.
	Param string
	// Function is the user-defined function that is called, if Name is "FUNCTION"; see [Function].
	Function Name
}

// Expr is a value expression, to be evaluated as "SELECT " + SQL on SQLite.
type Expr struct {
	Inputs
	SQL string
	// Query is the query of the expression in a procedure's body. Its column has no name, because the driver asks
	// SQLite for each name.
	Query string
	// Type is the expression's type if the text determines it; zero for NULL and for a variable that is declared
	// elsewhere.
	Type TypeSpec
	// IsConstant: SQL is a literal, and Constant is its value: nil, int64, float64, string or []byte (which must not be
	// changed). It needs no evaluation.
	IsConstant bool
	Constant   any
	// Variable is set if the expression is only a variable: lower case, with its "@".
	Variable string

	eval    evaluator // nil: only SQLite can compute it
	decided evaluator // if eval is nil: see [fragment]
}

// BindName returns the name for sql.Named of a variable in SQL that this package wrote: "v_" and the variable's name
// without "@", in lower case; characters that SQLite does not accept in a name are written in hexadecimal.
func BindName(variable string) string {
	var b strings.Builder
	b.WriteString("v_")
	for _, r := range strings.TrimPrefix(strings.ToLower(variable), "@") {
		if r == '_' || '0' <= r && r <= '9' || 'a' <= r && r <= 'z' {
			b.WriteRune(r)
			continue
		}
		fmt.Fprintf(&b, "$%x$", r)
	}
	return b.String()
}

// Bind returns the arguments (sql.NamedArg) for running the SQL. It calls variable for each of Parameters, and system
// for each of System, and returns their errors unchanged. system must evaluate the Args of a SystemCall.
func (in Inputs) Bind(variable func(name string) (any, error), system func(SystemCall) (any, error)) ([]any, error) {
	args := make([]any, 0, len(in.Parameters)+len(in.System))
	for _, name := range in.Parameters {
		value, err := variable(name)
		if err != nil {
			return nil, err
		}
		args = append(args, sql.Named(BindName(name), value))
	}
	for _, call := range in.System {
		value, err := system(call)
		if err != nil {
			return nil, err
		}
		args = append(args, sql.Named(call.Param, value))
	}
	return args, nil
}
