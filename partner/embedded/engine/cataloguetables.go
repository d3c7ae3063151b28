package engine

import (
	"database/sql/driver"
	"fmt"
	"sort"
	"strings"

	"github.com/mirrorstate/mirrorstate/partner/embedded/sqlerror"
	"github.com/mirrorstate/mirrorstate/partner/embedded/storage"
	"github.com/mirrorstate/mirrorstate/partner/embedded/tds"
)

// The result columns of the catalogue procedures about types and tables.
var (
	dataTypeInfoColumns = columnsOf(`TYPE_NAME:n DATA_TYPE:s PRECISION:i LITERAL_PREFIX:v LITERAL_SUFFIX:v CREATE_PARAMS:v NULLABLE:s CASE_SENSITIVE:s
		SEARCHABLE:s UNSIGNED_ATTRIBUTE:s MONEY:s AUTO_INCREMENT:s LOCAL_TYPE_NAME:n MINIMUM_SCALE:s MAXIMUM_SCALE:s SQL_DATA_TYPE:s SQL_DATETIME_SUB:s
		NUM_PREC_RADIX:i INTERVAL_PRECISION:s USERTYPE:s`)
	tableListColumns  = columnsOf(`TABLE_QUALIFIER:n TABLE_OWNER:n TABLE_NAME:n TABLE_TYPE:v REMARKS:r`)
	columnListColumns = columnsOf(`TABLE_QUALIFIER:n TABLE_OWNER:n TABLE_NAME:n COLUMN_NAME:n DATA_TYPE:s TYPE_NAME:n PRECISION:i LENGTH:i SCALE:s RADIX:s
		NULLABLE:s REMARKS:r COLUMN_DEF:d SQL_DATA_TYPE:s SQL_DATETIME_SUB:s CHAR_OCTET_LENGTH:i ORDINAL_POSITION:i IS_NULLABLE:r SS_DATA_TYPE:t`)
	columnList100Columns = append(append([]tds.Column{}, columnListColumns[:18]...), columnsOf(`SS_IS_SPARSE:s SS_IS_COLUMN_SET:s SS_IS_COMPUTED:s SS_IS_IDENTITY:s
		SS_UDT_CATALOG_NAME:n SS_UDT_SCHEMA_NAME:n SS_UDT_ASSEMBLY_TYPE_NAME:d SS_XML_SCHEMACOLLECTION_CATALOG_NAME:n SS_XML_SCHEMACOLLECTION_SCHEMA_NAME:n
		SS_XML_SCHEMACOLLECTION_NAME:n SS_DATA_TYPE:t`)...)
	primaryKeyColumns = columnsOf(`TABLE_QUALIFIER:n TABLE_OWNER:n TABLE_NAME:n COLUMN_NAME:n KEY_SEQ:s PK_NAME:n`)
	foreignKeyColumns = columnsOf(`PKTABLE_QUALIFIER:n PKTABLE_OWNER:n PKTABLE_NAME:n PKCOLUMN_NAME:n FKTABLE_QUALIFIER:n FKTABLE_OWNER:n FKTABLE_NAME:n
		FKCOLUMN_NAME:n KEY_SEQ:s UPDATE_RULE:s DELETE_RULE:s FK_NAME:n PK_NAME:n DEFERRABILITY:s`)
	statisticsColumns = columnsOf(`TABLE_QUALIFIER:n TABLE_OWNER:n TABLE_NAME:n NON_UNIQUE:s INDEX_QUALIFIER:n INDEX_NAME:n TYPE:s SEQ_IN_INDEX:s COLUMN_NAME:n
		COLLATION:c CARDINALITY:i PAGES:i FILTER_CONDITION:h`)
	specialColumnColumns = columnsOf(`SCOPE:s COLUMN_NAME:n DATA_TYPE:s TYPE_NAME:n PRECISION:i LENGTH:i SCALE:s PSEUDO_COLUMN:s`)
)

// dataTypeInfo returns the rows of sp_datatype_info: the types, with a second row for those that can be an identity.
func dataTypeInfo(c *catalogueCall) ([][]any, error) {
	asked, version := c.number("@data_type", 0), c.version()
	if version >= 3 && asked >= 9 && asked <= 11 { // the numbers of the date types in ODBC 2
		asked += 82
	}
	var rows [][]any
	for i := range dataTypes {
		d := &dataTypes[i]
		if n := int64(d.odbcType(version, c.modern)); asked != 0 && asked != n {
			continue
		}
		rows = append(rows, d.info(c, false))
		if d.identity != "" {
			rows = append(rows, d.info(c, true))
		}
	}
	sort.SliceStable(rows, func(i, j int) bool {
		a, b := rows[i], rows[j]
		if a[1] != b[1] {
			return a[1].(int) < b[1].(int)
		}
		return a[11] == 0 && b[11] == 1
	})
	return rows, nil
}

// info returns the row of a type in sp_datatype_info.
func (d *dataType) info(c *catalogueCall, identity bool) []any {
	version := c.version()
	digits, radix := d.odbcPrecision(measures{odbcDigits: d.digits}, version)
	sqlType, sub := d.verbose(c.modern)
	var prefix, suffix, params, unsigned, auto, least, most any
	precision := any(digits)
	if d.digits == 0 {
		precision = 0
	}
	if d.quote != "" {
		prefix = d.quote
		if strings.HasSuffix(d.quote, "'") {
			suffix = "'"
		}
	}
	if d.params != "" {
		params = d.params
	}
	if d.scaled {
		least, most = d.least, d.scale
	}
	if d.radix != 0 && d.name != "sql_variant" {
		unsigned, auto = boolInt(d.name == "tinyint"), 0
	}
	name, nullable := d.name, boolInt(d.name != "timestamp" && d.name != "sysname")
	if identity {
		name, nullable, auto, most, params = d.identity, 0, 1, 0, nil
		if strings.Contains(name, "()") {
			params = "precision"
		}
	}
	if d.name == "sql_variant" {
		radix = 10
	}
	return []any{name, d.odbcType(version, c.modern), precision, prefix, suffix, params, nullable, boolInt(d.name == "xml"),
		d.search, unsigned, boolInt(d.isMoney()), auto, name, least, most, sqlType, sub, radix, nil, d.userType}
}

// tableList returns the rows of sp_tables. A single % as qualifier, owner or type lists those, as in SQLTables.
func tableList(c *catalogueCall) ([][]any, error) {
	name, owner, qualifier, kinds := c.text("@table_name"), c.text("@table_owner"), c.text("@table_qualifier"), c.text("@table_type")
	given := func(argument string) bool { return c.args[argument] != nil }
	switch {
	case qualifier == "%" && given("@table_owner") && owner == "" && given("@table_name") && name == "":
		var rows [][]any
		for _, db := range c.s.p.catalogue() {
			rows = append(rows, []any{db.name, nil, nil, nil, nil})
		}
		return rows, nil
	case owner == "%" && given("@table_qualifier") && qualifier == "" && given("@table_name") && name == "":
		return [][]any{{nil, "dbo", nil, nil, nil}, {nil, "INFORMATION_SCHEMA", nil, nil, nil}, {nil, "sys", nil, nil, nil}}, nil
	case kinds == "%" && name == "" && owner == "" && qualifier == "":
		return [][]any{{nil, nil, nil, "SYSTEM TABLE", nil}, {nil, nil, nil, "TABLE", nil}, {nil, nil, nil, "VIEW", nil}}, nil
	}
	tables, err := c.tables("@table_name", "@table_owner", "@table_qualifier", c.patterns())
	if err != nil {
		return nil, err
	}
	wanted := func(kind string) bool {
		return kinds == "" || kinds == "%" || strings.Contains(strings.ToUpper(kinds), "'"+kind+"'") || strings.EqualFold(kinds, kind)
	}
	var rows [][]any
	if wanted("TABLE") {
		for _, t := range tables {
			rows = append(rows, []any{c.database, "dbo", t.name, "TABLE", nil})
		}
	}
	if wanted("VIEW") {
		for _, v := range systemViewNames() {
			if c.matches("@table_name", v.name, c.patterns()) && c.matches("@table_owner", v.schema, c.patterns()) {
				rows = append(rows, []any{c.database, v.schema, v.name, "VIEW", nil})
			}
		}
	}
	return rows, nil
}

// columnList returns the rows of sp_columns, and with more columns of sp_columns_100.
func columnList(c *catalogueCall) ([][]any, error) {
	if n := c.number("@namescope", 0); n != 0 {
		return nil, sqlerror.NotSupported("sp_columns_100 with @NameScope = %d", n)
	}
	tables, err := c.tables("@table_name", "@table_owner", "@table_qualifier", c.patterns())
	if err != nil {
		return nil, err
	}
	var rows [][]any
	for _, t := range tables {
		for i, column := range t.columns {
			d := dataTypeOf(column.typ.Name)
			if d == nil || !c.matches("@column_name", column.name, true) {
				continue
			}
			m := d.measured(column.typ)
			digits, radix := d.odbcPrecision(m, c.version())
			length := m.odbcLength
			if d.isNew() && !c.modern { // such columns are shown as nvarchar
				length = 2 * digits
			}
			sqlType, sub := d.verbose(c.modern)
			var def any
			if column.defaultValue != "" {
				def = column.defaultValue
			}
			typeName := d.name
			if column.identity && d.identity != "" {
				typeName = d.identity
			}
			row := []any{c.database, "dbo", t.name, column.name, d.odbcType(c.version(), c.modern), typeName, digits, length, d.odbcScale(m), radix,
				boolInt(column.nullable), nil, def, sqlType, sub, m.octets, i + 1, yesOrNo(column.nullable)}
			if strings.HasSuffix(c.name, "_100") {
				row = append(row, 0, 0, 0, boolInt(column.identity), nil, nil, nil, nil, nil, nil)
			}
			rows = append(rows, append(row, d.number(column.nullable)))
		}
	}
	return rows, nil
}

func yesOrNo(yes bool) string {
	if yes {
		return "YES"
	}
	return "NO"
}

// primaryKeys returns the rows of sp_pkeys.
func primaryKeys(c *catalogueCall) ([][]any, error) {
	tables, err := c.tables("@table_name", "@table_owner", "@table_qualifier", false)
	var rows [][]any
	for _, t := range tables {
		for _, x := range t.indexes {
			for i, at := range x.columns {
				if x.primary {
					rows = append(rows, []any{c.database, "dbo", t.name, t.columns[at].name, i + 1, x.name})
				}
			}
		}
	}
	return rows, err
}

// foreignKeyRules are the values of UPDATE_RULE and DELETE_RULE.
var foreignKeyRules = map[string]int{"CASCADE": 0, "NO ACTION": 1, "SET NULL": 2, "SET DEFAULT": 3}

// foreignKeys returns the rows of sp_fkeys.
func foreignKeys(c *catalogueCall) ([][]any, error) {
	if c.args["@pktable_name"] == nil && c.args["@fktable_name"] == nil {
		return nil, sqlerror.New(15252, 16, "The primary or foreign key table name must be given.")
	}
	for _, qualifier := range []string{"@pktable_qualifier", "@fktable_qualifier"} {
		if err := c.qualified(qualifier); err != nil {
			return nil, err
		}
	}
	all := c.s.describedTables(c.d)
	var rows [][]any
	for _, t := range all {
		for _, key := range t.foreignKeys {
			for _, other := range all {
				if !strings.EqualFold(other.name, key.table) || !c.matches("@fktable_name", t.name, false) || !c.matches("@pktable_name", other.name, false) ||
					!c.matches("@fktable_owner", "dbo", false) || !c.matches("@pktable_owner", "dbo", false) {
					continue
				}
				for i := range key.columns {
					rows = append(rows, []any{c.database, "dbo", other.name, other.columns[key.referenced[i]].name, c.database, "dbo", t.name, t.columns[key.columns[i]].name,
						i + 1, foreignKeyRules[key.onUpdate], foreignKeyRules[key.onDelete], key.name, key.constrained, 7})
				}
			}
		}
	}
	return rows, nil
}

// statistics returns the rows of sp_statistics: one for the table, and one for each column of each index.
func statistics(c *catalogueCall) ([][]any, error) {
	tables, err := c.tables("@table_name", "@table_owner", "@table_qualifier", false)
	if err != nil {
		return nil, err
	}
	var rows [][]any
	for _, t := range tables {
		n, err := c.countRows(t)
		if err != nil {
			return nil, err
		}
		rows = append(rows, []any{c.database, "dbo", t.name, nil, nil, nil, 0, nil, nil, nil, n, nil, nil})
		for pass := range 2 { // unique indexes first
			for _, x := range t.indexes {
				if x.unique != (pass == 0) || !x.unique && strings.EqualFold(c.text("@is_unique"), "Y") || !c.matches("@index_name", x.name, true) {
					continue
				}
				kind := 3
				if x.clusters() {
					kind = 1
				}
				var cardinality any
				if x.unique {
					cardinality = n
				}
				for i, at := range x.columns {
					rows = append(rows, []any{c.database, "dbo", t.name, boolInt(!x.unique), t.name, x.name, kind, i + 1, t.columns[at].name, "A", cardinality, nil, nil})
				}
			}
		}
	}
	return rows, nil
}

// countRows returns the number of rows of a table.
func (c *catalogueCall) countRows(t describedTable) (n int64, err error) {
	b := &batch{s: c.s}
	err = b.reading(c.d, func(r *storage.Reader) error {
		one, err := r.Query(`SELECT count(*) FROM main."` + strings.ReplaceAll(t.name, `"`, `""`) + `"`)
		if err != nil {
			return err
		}
		v := make([]driver.Value, 1)
		if _, err := one.Row(v); err != nil {
			return fmt.Errorf("count the rows of %s: %w", t.name, err)
		}
		n, _ = v[0].(int64)
		return nil
	})
	return n, err
}

// specialColumns returns the rows of sp_special_columns: the columns that identify a row best, or the columns that
// every update changes, of which there are none.
func specialColumns(c *catalogueCall) ([][]any, error) {
	tables, err := c.tables("@table_name", "@table_owner", "@table_qualifier", false)
	if err != nil || strings.EqualFold(c.text("@col_type"), "V") {
		return nil, err
	}
	scope := 1
	if strings.EqualFold(c.text("@scope"), "C") {
		scope = 0
	}
	var rows [][]any
	for _, t := range tables {
		best := t.bestKey(!strings.EqualFold(c.text("@nullable"), "O"))
		if best == nil {
			continue
		}
		for _, at := range best.columns {
			column := t.columns[at]
			d := dataTypeOf(column.typ.Name)
			if d == nil {
				continue
			}
			m := d.measured(column.typ)
			digits, _ := d.odbcPrecision(m, c.version())
			rows = append(rows, []any{scope, column.name, d.odbcType(c.version(), c.modern), d.name, digits, m.odbcLength, d.odbcScale(m), 1})
		}
	}
	return rows, nil
}

// bestKey returns the primary key, or else a unique index; nil: there is none.
func (t *describedTable) bestKey(nullable bool) *describedIndex {
	for i, x := range t.indexes {
		null := false
		for _, at := range x.columns {
			null = null || t.columns[at].nullable
		}
		if x.unique && (nullable || !null) {
			return &t.indexes[i]
		}
	}
	return nil
}
