package engine

import (
	"strings"

	"github.com/mirrorstate/mirrorstate/partner/embedded/sqlvalue"
	"github.com/mirrorstate/mirrorstate/partner/embedded/tsql"
)

// dataType is the catalogue's data about a data type.
// Source: the manual's sys.types, sp_datatype_info, sp_columns and "ODBC data types".
type dataType struct {
	name    string
	id      int // system_type_id
	user    int // user_type_id, if it is not id
	old     int // type of systypes: SS_DATA_TYPE of a column that is not NULL
	null    int // the same of a column that may be NULL; 0: as old
	managed int // SqlDbType
	odbc    int // DATA_TYPE of ODBC 3
	odbc2   int // DATA_TYPE of ODBC 2, if different
	size    int // max_length of sys.types
	digits  int // PRECISION
	scale   int // scale of sys.types: the largest that can be declared
	length  int // LENGTH of a column: bytes as ODBC transfers them; 0: as declared

	quote, params string // LITERAL_PREFIX and CREATE_PARAMS
	search        int    // SEARCHABLE
	userType      int    // USERTYPE
	scaled        bool   // MINIMUM_SCALE and MAXIMUM_SCALE are not NULL
	least         int    // MINIMUM_SCALE
	radix         int
	identity      string // TYPE_NAME of an identity column
}

// dataTypes are the known data types of SQL Server, in the order of their ODBC types.
var dataTypes = []dataType{
	{name: "datetimeoffset", id: 43, managed: 34, odbc: -155, size: 10, digits: 34, scale: 7, length: 20, quote: "'", params: "scale", search: 3, scaled: true},
	{name: "time", id: 41, managed: 32, odbc: -154, size: 5, digits: 16, scale: 7, length: 12, quote: "'", params: "scale", search: 3, scaled: true},
	{name: "xml", id: 241, managed: 25, odbc: -152, size: -1, quote: "N'"},
	{name: "sql_variant", id: 98, old: 39, managed: 23, odbc: -150, size: 8016, digits: 8000, length: 8000, search: 2, userType: 39, scaled: true, radix: 10},
	{name: "uniqueidentifier", id: 36, old: 37, managed: 14, odbc: -11, size: 16, digits: 36, length: 16, quote: "'", search: 2, userType: 37},
	{name: "ntext", id: 99, old: 35, managed: 11, odbc: -10, size: 16, digits: 1073741823, length: 2147483646, quote: "N'", search: 1},
	{name: "nvarchar", id: 231, old: 39, managed: 12, odbc: -9, size: 8000, digits: 4000, quote: "N'", params: "max length", search: 3},
	{name: "sysname", id: 231, user: 256, old: 39, managed: 12, odbc: -9, size: 256, digits: 128, quote: "N'", search: 3, userType: 18},
	{name: "nchar", id: 239, old: 47, null: 39, managed: 10, odbc: -8, size: 8000, digits: 4000, quote: "N'", params: "length", search: 3},
	{name: "bit", id: 104, old: 50, managed: 2, odbc: -7, size: 1, digits: 1, length: 1, search: 2, userType: 16, scaled: true},
	{name: "tinyint", id: 48, old: 48, null: 38, managed: 20, odbc: -6, size: 1, digits: 3, length: 1, search: 2, userType: 5, scaled: true, radix: 10, identity: "tinyint identity"},
	{name: "bigint", id: 127, old: 63, null: 108, managed: 0, odbc: -5, size: 8, digits: 19, length: 8, search: 2, scaled: true, radix: 10, identity: "bigint identity"},
	{name: "image", id: 34, old: 34, managed: 7, odbc: -4, size: 16, digits: 2147483647, length: 2147483647, quote: "0x", userType: 20},
	{name: "varbinary", id: 165, old: 37, managed: 21, odbc: -3, size: 8000, digits: 8000, quote: "0x", params: "max length", search: 2, userType: 4},
	{name: "binary", id: 173, old: 45, null: 37, managed: 1, odbc: -2, size: 8000, digits: 8000, quote: "0x", params: "length", search: 2, userType: 3},
	{name: "timestamp", id: 189, old: 45, null: 37, managed: 19, odbc: -2, size: 8, digits: 8, length: 8, quote: "0x", search: 2, userType: 80},
	{name: "text", id: 35, old: 35, managed: 18, odbc: -1, size: 16, digits: 2147483647, length: 2147483647, quote: "'", search: 1, userType: 19},
	{name: "char", id: 175, old: 47, null: 39, managed: 3, odbc: 1, size: 8000, digits: 8000, quote: "'", params: "length", search: 3, userType: 1},
	{name: "numeric", id: 108, old: 63, null: 108, managed: 5, odbc: 2, size: 17, digits: 38, scale: 38, params: "precision,scale", search: 2, userType: 10, scaled: true, radix: 10, identity: "numeric() identity"},
	{name: "decimal", id: 106, old: 55, null: 106, managed: 5, odbc: 3, size: 17, digits: 38, scale: 38, params: "precision,scale", search: 2, userType: 24, scaled: true, radix: 10, identity: "decimal() identity"},
	{name: "money", id: 60, old: 60, null: 110, managed: 9, odbc: 3, size: 8, digits: 19, scale: 4, length: 21, quote: "$", search: 2, userType: 11, scaled: true, least: 4, radix: 10},
	{name: "smallmoney", id: 122, old: 122, null: 110, managed: 17, odbc: 3, size: 4, digits: 10, scale: 4, length: 12, quote: "$", search: 2, userType: 21, scaled: true, least: 4, radix: 10},
	{name: "int", id: 56, old: 56, null: 38, managed: 8, odbc: 4, size: 4, digits: 10, length: 4, search: 2, userType: 7, scaled: true, radix: 10, identity: "int identity"},
	{name: "smallint", id: 52, old: 52, null: 38, managed: 16, odbc: 5, size: 2, digits: 5, length: 2, search: 2, userType: 6, scaled: true, radix: 10, identity: "smallint identity"},
	{name: "float", id: 62, old: 62, null: 109, managed: 6, odbc: 6, size: 8, digits: 53, length: 8, search: 2, userType: 8, radix: 2},
	{name: "real", id: 59, old: 59, null: 109, managed: 13, odbc: 7, size: 4, digits: 24, length: 4, search: 2, userType: 23, radix: 2},
	{name: "varchar", id: 167, old: 39, managed: 22, odbc: 12, size: 8000, digits: 8000, quote: "'", params: "max length", search: 3, userType: 2},
	{name: "date", id: 40, managed: 31, odbc: 91, odbc2: 9, size: 3, digits: 10, length: 6, quote: "'", search: 3},
	{name: "datetime2", id: 42, managed: 33, odbc: 93, odbc2: 11, size: 8, digits: 27, scale: 7, length: 16, quote: "'", params: "scale", search: 3, scaled: true},
	{name: "datetime", id: 61, old: 61, null: 111, managed: 4, odbc: 93, odbc2: 11, size: 8, digits: 23, scale: 3, length: 16, quote: "'", search: 3, userType: 12, scaled: true, least: 3},
	{name: "smalldatetime", id: 58, old: 58, null: 111, managed: 15, odbc: 93, odbc2: 11, size: 4, digits: 16, length: 16, quote: "'", search: 3, userType: 22, scaled: true},
}

// dataTypeOf returns the data about a type; nil for an unknown type.
func dataTypeOf(name string) *dataType {
	for i := range dataTypes {
		if dataTypes[i].name == strings.ToLower(name) {
			return &dataTypes[i]
		}
	}
	return nil
}

// isWide reports whether the type holds Unicode text. The methods below report other categories.
func (d *dataType) isWide() bool {
	return d.name[0] == 'n' && d.name != "numeric" || d.name == "sysname"
}
func (d *dataType) isText() bool {
	return d.isWide() || strings.HasSuffix(d.name, "char") || d.name == "text"
}
func (d *dataType) isBinary() bool {
	return strings.HasSuffix(d.name, "binary") || d.name == "image" || d.name == "timestamp"
}
func (d *dataType) isMoney() bool { return strings.HasSuffix(d.name, "money") }
func (d *dataType) isDate() bool  { return strings.Contains(d.name, "date") || d.name == "time" }

// isNew reports whether the type is new in SQL Server 2008; the older procedures show it as nvarchar.
func (d *dataType) isNew() bool { return d.isDate() && d.old == 0 }

// userTypeID returns user_type_id.
func (d *dataType) userTypeID() int {
	if d.user != 0 {
		return d.user
	}
	return d.id
}

// odbcType returns DATA_TYPE for a version of ODBC; the procedures with names in _100 have the types of SQL
// Server 2008.
func (d *dataType) odbcType(version int64, modern bool) int {
	switch {
	case d.isNew() && !modern:
		return -9
	case version < 3 && d.odbc2 != 0:
		return d.odbc2
	}
	return d.odbc
}

// verbose returns SQL_DATA_TYPE and SQL_DATETIME_SUB.
func (d *dataType) verbose(modern bool) (sqlType int, sub any) {
	switch {
	case d.isNew() && !modern:
		return -9, nil
	case d.odbc == 91:
		return 9, 1
	case d.odbc == 93:
		return 9, 3
	case d.isNew():
		return d.odbc, 0
	}
	return d.odbc, nil
}

// measures are the catalogue's data about the size of a column or parameter of a declared type.
type measures struct {
	maxLength  int // max_length: bytes; -1: (max)
	precision  int // precision of sys.columns: digits; 0: the type is neither a number nor a time
	scale      int // scale of sys.columns
	odbcDigits int // PRECISION
	odbcLength int // LENGTH
	octets     any // CHAR_OCTET_LENGTH
	characters any // CHARACTER_MAXIMUM_LENGTH
}

// measured returns the measures of a declared type.
func (d *dataType) measured(t tsql.TypeSpec) measures {
	m := measures{maxLength: d.size, odbcDigits: d.digits, odbcLength: d.length}
	width := 1
	if d.isWide() {
		width = 2
	}
	switch {
	case d.name == "decimal" || d.name == "numeric":
		m.precision, m.scale = t.Length, t.Scale
		m.maxLength = 1 + 4*(1+boolInt(t.Length > 9)+boolInt(t.Length > 19)+boolInt(t.Length > 28))
		m.odbcDigits, m.odbcLength = t.Length, t.Length+2
	case d.isText() && d.length == 0 || d.isBinary() && d.length == 0:
		n := t.Length
		if d.name == "sysname" {
			n = 128
		}
		m.maxLength, m.odbcDigits, m.odbcLength, m.octets, m.characters = n*width, n, n*width, n*width, n
		if t.Max {
			m.maxLength, m.odbcDigits, m.odbcLength, m.octets, m.characters = -1, 0, 0, 0, -1
		}
	case d.isText() || d.isBinary():
		m.octets, m.characters = d.length, d.digits
	case d.name == "time", d.name == "datetime2", d.name == "datetimeoffset":
		bytes := map[string]int{"time": 3, "datetime2": 6, "datetimeoffset": 8}[d.name]
		m.maxLength = bytes + boolInt(t.Scale > 2) + boolInt(t.Scale > 4)
		m.odbcDigits = map[string]int{"time": 8, "datetime2": 19, "datetimeoffset": 26}[d.name] + t.Scale + boolInt(t.Scale > 0)
		m.precision, m.scale = m.odbcDigits, t.Scale
	case d.name == "sql_variant" || d.name == "xml" || d.name == "uniqueidentifier":
		m.precision = 0
	default:
		m.precision, m.scale = d.digits, d.scale
	}
	return m
}

// boolInt returns 1 for true and 0 for false.
func boolInt(yes bool) int { return int(sqlvalue.BoolInt(yes)) }

// odbcScale returns SCALE of a column: NULL if the type has no scale.
func (d *dataType) odbcScale(m measures) any {
	if !d.scaled || d.name == "bit" || d.name == "sql_variant" {
		return nil
	}
	return m.scale
}

// odbcPrecision returns PRECISION for a version of ODBC, and RADIX: version 2 counts the digits of a float in
// tens.
func (d *dataType) odbcPrecision(m measures, version int64) (digits int, radix any) {
	switch {
	case d.radix == 2 && version < 3:
		return map[string]int{"float": 15, "real": 7}[d.name], 10
	case d.radix == 0 || d.name == "sql_variant":
		return m.odbcDigits, nil
	}
	return m.odbcDigits, d.radix
}

// number returns SS_DATA_TYPE.
func (d *dataType) number(nullable bool) int {
	if nullable && d.null != 0 {
		return d.null
	}
	return d.old
}
