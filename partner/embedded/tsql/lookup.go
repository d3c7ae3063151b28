package tsql

import (
	"database/sql/driver"
	"fmt"
	"strings"
)

// lookup is a metadata function that becomes a look-up in a table of the caller; see Inputs.Tables.
type lookup struct {
	table string
	value string      // a column, or an expression of columns
	keys  []lookupKey // the conditions for a row, one per argument
	where string      // a further condition for a row
	typ   TypeSpec
	fewer int // number of optional arguments
	// elsewhere: SQL Server accepts a database's id as a further argument.
	elsewhere bool
	// ofColumns: it is a look-up only if an argument names a column. Otherwise the caller computes it.
	ofColumns bool
}

// lookupKey is the column, or expression of columns, that an argument is compared with.
type lookupKey struct {
	column   string
	text     bool   // compared as text
	argument string // a function that is applied to the argument
}

func numberKey(column string) lookupKey { return lookupKey{column: column} }
func textKey(column string) lookupKey   { return lookupKey{column: column, text: true} }

// objectKey matches an object by its name with or without its schema.
var objectKey = lookupKey{column: "(CASE schema_id WHEN 3 THEN 'INFORMATION_SCHEMA.' WHEN 4 THEN 'sys.' ELSE 'dbo.' END || name)", text: true, argument: "tsql_object"}

// property returns a look-up for a property function. Its table has the keys, the name of the property, and its value.
func property(table string, typ TypeSpec, keys ...lookupKey) lookup {
	return lookup{table: table, value: "value", keys: append(keys, textKey("property")), typ: typ}
}

var lookups = map[string]lookup{
	"DB_ID":              {table: "databases", value: "database_id", keys: []lookupKey{textKey("name")}, typ: smallintType},
	"DB_NAME":            {table: "databases", value: "name", keys: []lookupKey{numberKey("database_id")}, typ: sysnameType},
	"DATABASEPROPERTYEX": property("databasepropertyex", variantType, textKey("database_name")),
	"HAS_DBACCESS": {table: "databasepropertyex", value: "value", keys: []lookupKey{textKey("database_name")},
		where: "property = 'HasDBAccess'", typ: intType},
	"CERT_ID":     {table: "certificates", value: "certificate_id", keys: []lookupKey{textKey("name")}, typ: intType},
	"CERTENCODED": {table: "certificates", value: "encoded", keys: []lookupKey{numberKey("certificate_id")}, typ: TypeSpec{Name: "varbinary", Length: 8000}},
	"OBJECT_ID": {table: "all_objects", value: "object_id", keys: []lookupKey{objectKey, textKey("type")}, typ: intType, fewer: 1,
		ofColumns: true},
	"OBJECT_NAME": {table: "all_objects", value: "name", keys: []lookupKey{numberKey("object_id")}, typ: sysnameType, elsewhere: true, ofColumns: true},
	"OBJECT_SCHEMA_NAME": {table: "all_objects", value: "(CASE schema_id WHEN 3 THEN 'INFORMATION_SCHEMA' WHEN 4 THEN 'sys' ELSE 'dbo' END)",
		keys: []lookupKey{numberKey("object_id")}, typ: sysnameType, elsewhere: true},
	"OBJECT_DEFINITION":     {table: "sql_modules", value: "definition", keys: []lookupKey{numberKey("object_id")}, typ: TypeSpec{Name: "nvarchar", Max: true}, ofColumns: true},
	"SCHEMA_NAME":           {table: "schemas", value: "name", keys: []lookupKey{numberKey("schema_id")}, typ: sysnameType},
	"SCHEMA_ID":             {table: "schemas", value: "schema_id", keys: []lookupKey{textKey("name")}, typ: intType},
	"TYPE_NAME":             {table: "types", value: "name", keys: []lookupKey{numberKey("user_type_id")}, typ: sysnameType},
	"TYPE_ID":               {table: "types", value: "user_type_id", keys: []lookupKey{{column: "name", text: true, argument: "tsql_type"}}, typ: intType},
	"COL_NAME":              {table: "all_columns", value: "name", keys: []lookupKey{numberKey("object_id"), numberKey("column_id")}, typ: sysnameType},
	"COLUMNPROPERTY":        property("columnproperties", intType, numberKey("object_id"), textKey("name")),
	"OBJECTPROPERTY":        property("objectproperties", intType, numberKey("object_id")),
	"OBJECTPROPERTYEX":      property("objectproperties", variantType, numberKey("object_id")),
	"SUSER_SNAME":           {table: "server_principals", value: "name", keys: []lookupKey{numberKey("sid")}, typ: sysnameType},
	"SUSER_NAME":            {table: "server_principals", value: "name", keys: []lookupKey{numberKey("principal_id")}, typ: sysnameType},
	"SUSER_ID":              {table: "server_principals", value: "principal_id", keys: []lookupKey{textKey("name")}, typ: intType},
	"SUSER_SID":             {table: "server_principals", value: "sid", keys: []lookupKey{textKey("name")}, typ: binaryType, ofColumns: true},
	"USER_NAME":             {table: "database_principals", value: "name", keys: []lookupKey{numberKey("principal_id")}, typ: sysnameType},
	"USER_ID":               {table: "database_principals", value: "principal_id", keys: []lookupKey{textKey("name")}, typ: intType},
	"DATABASE_PRINCIPAL_ID": {table: "database_principals", value: "principal_id", keys: []lookupKey{textKey("name")}, typ: intType, ofColumns: true},
}

// lookup writes a metadata function as a query on a table of the caller. The subquery uses only internal names, which
// users do not write, so that a column in an argument is always a column of the enclosing query.
func (p *parser) lookup(function token, l lookup) fragment {
	most := len(l.keys)
	if l.elsewhere {
		most++
	}
	args := p.arguments(function, len(l.keys)-l.fewer, most)
	if len(args) > len(l.keys) {
		p.fail(notSupported(int(function.line), "Function", function.text+" in another database"))
	}
	if p.err != nil {
		return fragment{}
	}
	p.in.needTable(Name{Schema: "sys", Object: l.table})
	inner := "SELECT " + l.value + " AS tsql_value"
	var conditions []string
	for i, arg := range args {
		key, arg := l.keys[i], p.typed(arg)
		inner += fmt.Sprintf(", %s AS tsql_key%d", key.column, i+1)
		sql := arg.sql
		if key.argument != "" {
			sql = key.argument + "(" + sql + ")"
		}
		if key.text { // names in the catalogue have no trailing blanks
			if text, ok := arg.constant.(string); ok && key.argument == "" {
				sql = quoteText(strings.TrimRight(text, " "))
			} else if arg.typ.Name != sysnameType.Name || arg.column == "" {
				sql = "tsql_trimmed(" + sql + ")"
			}
			sql += " COLLATE NOCASE"
		}
		conditions = append(conditions, fmt.Sprintf("tsql_key%d = %s", i+1, sql))
	}
	inner += " FROM sys_" + l.table
	if l.where != "" {
		inner += " WHERE " + l.where
	}
	return fragment{sql: "(SELECT tsql_value FROM (" + inner + ") WHERE " + strings.Join(conditions, " AND ") + ")", typ: l.typ}
}

// namesColumn reports whether an argument of the function whose parenthesis comes next names a column, or might: a word
// that is not a function, literal or operator.
func (p *parser) namesColumn() bool {
	depth := 0
	for i := 0; ; i++ {
		t := p.peek(i)
		switch {
		case t.kind == endToken:
			return false
		case t.isSymbol("("):
			depth++
		case t.isSymbol(")"):
			if depth--; depth == 0 {
				return false
			}
		case t.kind == quotedToken && !p.peek(i+1).isSymbol("("):
			return true
		case t.isName() && !p.peek(i+1).isSymbol("(") && bareFunctions[strings.ToUpper(t.text)] == "" && !typeWord(p, i):
			return true
		}
	}
}

// typeWord reports whether the token is the type of a CAST or CONVERT.
func typeWord(p *parser, i int) bool {
	return i >= 2 && (p.peek(i-1).is("AS") || p.peek(i-1).isSymbol("(") && (p.peek(i-2).is("CONVERT") || p.peek(i-2).is("TRY_CONVERT")))
}

// wholeName returns an object's name with its schema, for look-ups. NULL for an invalid name; error 40510 for a name
// with a database.
func wholeName(args []driver.Value) (driver.Value, *Error) {
	tokens, err := tokenize(textOf(args[0]))
	if err != nil {
		return nil, nil
	}
	p := &parser{tokens: tokens, in: &inputs{}}
	n := p.name()
	switch {
	case p.err != nil || !p.atEnd():
		return nil, nil
	case n.Database != "":
		return nil, failure(40510, 16, "Function 'OBJECT_ID of a column that names a database' is not supported by the embedded partner.")
	case n.Schema == "":
		n.Schema = "dbo"
	}
	return n.Schema + "." + n.Object, nil
}

// typeName returns a type's name without the schema sys.
func typeName(args []driver.Value) (driver.Value, *Error) {
	name := strings.ToLower(textOf(args[0]))
	return strings.TrimPrefix(strings.NewReplacer("[", "", "]", "").Replace(name), "sys."), nil
}
