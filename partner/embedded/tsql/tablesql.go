package tsql

import (
	"fmt"
	"slices"
	"strconv"
	"strings"
)

func integerText(n int64) string { return strconv.FormatInt(n, 10) }

// Spelling returns the type as in a T-SQL declaration: nvarchar(88), decimal(18,2), datetime2(7).
func (t TypeSpec) Spelling() string {
	switch {
	case t.Max:
		return t.Name + "(max)"
	case t.Name == "decimal":
		return fmt.Sprintf("decimal(%d,%d)", t.Length, t.Scale)
	case t.Name == "datetime2" || t.Name == "datetimeoffset" || t.Name == "time":
		return fmt.Sprintf("%s(%d)", t.Name, t.Scale)
	case t.Length > 0:
		return fmt.Sprintf("%s(%d)", t.Name, t.Length)
	}
	return t.Name
}

// collation returns the SQLite COLLATE of a column; "" for a column that is not text.
func (c *TableColumn) collation() string {
	switch {
	case c.Type.Name == "uniqueidentifier":
		return "NOCASE"
	case !c.Type.isString():
		return ""
	case isCaseSensitive(c.Collation):
		return "BINARY"
	}
	return "NOCASE"
}

// isCaseSensitive reports whether a collation of SQL Server distinguishes case.
func isCaseSensitive(name string) bool {
	name = strings.ToUpper(name)
	return strings.Contains(name, "_BIN") || strings.Contains(name, "_CS_")
}

// SQL returns the statements that create the table in SQLite, in order: CREATE TABLE first, then the initial identity
// value, then the indexes. Its foreign keys must be resolved.
func (t *Table) SQL() []string {
	list := []string{t.create()}
	if c := t.Identity(); c != nil && c.Seed > 1 {
		list = append(list, t.seeded(c.Seed-1))
	}
	for _, k := range t.Keys {
		list = append(list, t.keySQL(k)...)
	}
	for _, x := range t.Indexes {
		list = append(list, t.indexSQL(x)...)
	}
	return list
}

// seeded returns the statement that sets the last identity value.
func (t *Table) seeded(last int64) string {
	return "INSERT INTO sqlite_sequence (name, seq) VALUES (" + quoteText(t.Name.Table()) + ", " + integerText(last) + ")"
}

// create returns the CREATE TABLE of SQLite.
func (t *Table) create() string {
	var items []string
	for i := range t.Columns {
		items = append(items, t.Columns[i].sql())
	}
	for _, f := range t.ForeignKeys {
		item := "CONSTRAINT " + quoteIdentifier(f.Name) + " FOREIGN KEY (" + quoted(f.Columns) + ") REFERENCES " + quoteIdentifier(f.Table.Table())
		if len(f.References) > 0 {
			item += " (" + quoted(f.References) + ")"
		}
		for _, a := range [...]struct{ on, does string }{{"DELETE", f.OnDelete}, {"UPDATE", f.OnUpdate}} {
			if a.does != "NO ACTION" {
				item += " ON " + a.on + " " + a.does
			}
		}
		items = append(items, item)
	}
	for _, c := range t.Checks {
		items = append(items, "CONSTRAINT "+quoteIdentifier(c.Name)+" CHECK ("+c.SQL+")")
	}
	return "CREATE TABLE " + quoteIdentifier(t.Name.Table()) + " (" + strings.Join(items, ", ") + ")"
}

// sql returns the column in CREATE TABLE.
func (c *TableColumn) sql() string {
	if c.Identity {
		return quoteIdentifier(c.Name) + " INTEGER PRIMARY KEY AUTOINCREMENT"
	}
	typ := c.Type.Spelling()
	if c.Type.Max {
		typ = "[" + typ + "]" // SQLite accepts only numbers in parentheses, and reports the type without the brackets
	}
	sql := quoteIdentifier(c.Name) + " " + typ
	if collation := c.collation(); collation != "" {
		sql += " COLLATE " + collation
	}
	if c.NotNull {
		sql += " NOT NULL"
	}
	if c.Default != "" {
		sql += " DEFAULT (" + c.Default + ")"
	}
	return sql
}

// quoted returns names as a quoted list.
func quoted(list []string) string {
	texts := make([]string, len(list))
	for i, name := range list {
		texts[i] = quoteIdentifier(name)
	}
	return strings.Join(texts, ", ")
}

// indexName returns the name of an index or a key in SQLite, where index names are unique in the whole database.
func (t *Table) indexName(name string) string { return t.Name.Table() + "." + name }

// nullName returns the name of the index for keys with NULLs.
func (t *Table) nullName(name string) string { return t.indexName(name) + "$null" }

// keySQL returns the statements that create a key. An identity column is unique without an index.
func (t *Table) keySQL(k Key) []string {
	if t.isIdentity(k) {
		return nil
	}
	return t.indexSQL(Index{Name: k.Name, Unique: true, Columns: k.Columns})
}

// isIdentity reports whether the key is the identity column, which needs no index in SQLite.
func (t *Table) isIdentity(k Key) bool {
	c := t.Identity()
	return c != nil && len(k.Columns) == 1 && strings.EqualFold(k.Columns[0].Name, c.Name)
}

// indexSQL returns the statements that create an index.
func (t *Table) indexSQL(x Index) []string {
	var columns, terms, nulls []string
	for _, c := range x.Columns {
		name := quoteIdentifier(c.Name)
		term := name
		if c.Descending {
			term += " DESC"
		}
		columns = append(columns, term)
		if column := t.Column(c.Name); column != nil && !column.NotNull {
			nulls = append(nulls, name+" IS NULL")
			name = "ifnull(" + name + ", 0)"
			if collation := column.collation(); collation != "" {
				name += " COLLATE " + collation
			}
			terms = append(terms, quoteIdentifier(c.Name)+" IS NULL")
		}
		terms = append(terms, name)
	}
	where := ""
	if x.SQL != "" {
		where = " WHERE " + x.SQL
	}
	table := " ON " + quoteIdentifier(t.Name.Table()) + " ("
	if !x.Unique {
		return []string{"CREATE INDEX " + quoteIdentifier(t.indexName(x.Name)) + table + strings.Join(columns, ", ") + ")" + where}
	}
	list := []string{"CREATE UNIQUE INDEX " + quoteIdentifier(t.indexName(x.Name)) + table + strings.Join(columns, ", ") + ")" + where}
	if len(nulls) > 0 {
		where = " WHERE (" + strings.Join(nulls, " OR ") + ")"
		if x.SQL != "" {
			where += " AND " + x.SQL
		}
		list = append(list, "CREATE UNIQUE INDEX "+quoteIdentifier(t.nullName(x.Name))+table+strings.Join(terms, ", ")+")"+where)
	}
	return list
}

// dropIndexSQL returns the statements that drop the indexes of indexSQL.
func (t *Table) dropIndexSQL(name string) []string {
	return []string{"DROP INDEX IF EXISTS " + quoteIdentifier(t.indexName(name)), "DROP INDEX IF EXISTS " + quoteIdentifier(t.nullName(name))}
}

// Text returns the table as T-SQL: CREATE TABLE with all names, then a CREATE INDEX for each index. [ParseTable] parses
// it to an equal table.
func (t *Table) Text() string {
	var items []string
	for i := range t.Columns {
		items = append(items, t.Columns[i].text())
	}
	for _, k := range t.Keys {
		items = append(items, k.text())
	}
	for _, f := range t.ForeignKeys {
		item := "CONSTRAINT " + bracketed(f.Name) + " FOREIGN KEY (" + bracketedAll(f.Columns) + ") REFERENCES " + f.Table.text()
		if len(f.References) > 0 {
			item += " (" + bracketedAll(f.References) + ")"
		}
		items = append(items, item+" ON DELETE "+f.OnDelete+" ON UPDATE "+f.OnUpdate)
	}
	for _, c := range t.Checks {
		items = append(items, "CONSTRAINT "+bracketed(c.Name)+" CHECK "+c.Text)
	}
	text := "CREATE TABLE " + t.Name.text() + " (\n\t" + strings.Join(items, ",\n\t") + "\n)"
	for _, x := range t.Indexes {
		text += "\n" + x.text(t.Name)
	}
	return text
}

// text returns the column in CREATE TABLE.
func (c *TableColumn) text() string {
	text := bracketed(c.Name) + " " + c.Type.Spelling()
	if c.Collation != "" {
		text += " COLLATE " + c.Collation
	}
	if c.Identity {
		text += " IDENTITY(" + integerText(c.Seed) + ", 1)"
	}
	if text += " NULL"; c.NotNull {
		text = strings.TrimSuffix(text, "NULL") + "NOT NULL"
	}
	if c.DefaultText != "" {
		text += " CONSTRAINT " + bracketed(c.DefaultName) + " DEFAULT " + c.DefaultText
	}
	return text
}

func (k Key) text() string {
	text := "CONSTRAINT " + bracketed(k.Name) + " UNIQUE"
	if k.Primary {
		text = "CONSTRAINT " + bracketed(k.Name) + " PRIMARY KEY"
	}
	switch {
	case k.Clustered:
		text += " CLUSTERED"
	case k.Nonclustered:
		text += " NONCLUSTERED"
	}
	return text + columnsText(k.Columns)
}

// text returns the CREATE INDEX.
func (x Index) text(on Name) string {
	text := "CREATE "
	if x.Unique {
		text += "UNIQUE "
	}
	if x.Clustered {
		text += "CLUSTERED "
	}
	text += "INDEX " + bracketed(x.Name) + " ON " + on.text() + columnsText(x.Columns)
	if len(x.Include) > 0 {
		text += " INCLUDE (" + bracketedAll(x.Include) + ")"
	}
	if x.Text != "" {
		text += " WHERE " + x.Text
	}
	return text + ";"
}

// columnsText returns (a, b DESC).
func columnsText(columns []IndexColumn) string {
	var items []string
	for _, c := range columns {
		item := bracketed(c.Name)
		if c.Descending {
			item += " DESC"
		}
		items = append(items, item)
	}
	return " (" + strings.Join(items, ", ") + ")"
}

// bracketed quotes a name for T-SQL.
func bracketed(name string) string { return "[" + strings.ReplaceAll(name, "]", "]]") + "]" }

func bracketedAll(list []string) string {
	texts := make([]string, len(list))
	for i, name := range list {
		texts[i] = bracketed(name)
	}
	return strings.Join(texts, ", ")
}

// text quotes a name within its database for T-SQL.
func (n Name) text() string {
	if n.Schema == "" {
		return bracketed(n.Object)
	}
	return bracketed(n.Schema) + "." + bracketed(n.Object)
}

// ParseTable parses the result of [Table.Text], or any CREATE TABLE followed by the CREATE INDEX of its indexes. The
// error is an *Error.
func ParseTable(text string) (*Table, error) {
	list, err := Parse(text)
	if err != nil {
		return nil, err
	}
	var t *Table
	for i, st := range list {
		d, ok := st.(*Definition)
		switch {
		case ok && i == 0 && d.Verb == "CREATE" && d.Kind == "TABLE":
			t = d.Table
		case ok && i > 0 && d.Verb == "CREATE" && d.Kind == "INDEX" && t.is(d.On):
			n := t.clone()
			n.Indexes = append(n.Indexes, *d.Index)
			t = n
		default:
			return nil, syntaxNear(clip(text, 30), st.Line())
		}
	}
	if t == nil {
		return nil, syntaxNear("", 1)
	}
	return t, nil
}

// Resolve finds the tables that foreign keys reference, and fills in omitted referenced columns: those of the primary
// key. tables are those of the database. The error is an *Error: 1767, 1773, 1776, 1778, or 1774.
func (t *Table) Resolve(tables []*Table) (*Table, error) {
	n := t.clone()
	for i := range n.ForeignKeys {
		if err := n.resolve(&n.ForeignKeys[i], tables); err != nil {
			return nil, err
		}
	}
	return n, nil
}

func (t *Table) resolve(f *ForeignKey, tables []*Table) *Error {
	parent := t
	if !t.is(f.Table) {
		parent = find(tables, f.Table)
	}
	switch {
	case f.Table.Database != "" && !strings.EqualFold(f.Table.Database, t.Name.Database):
		return failure(1763, 16, "Cross-database foreign key references are not supported. Foreign key '%s'.", f.Table)
	case parent == nil:
		return failure(1767, 16, "Foreign key '%s' references invalid table '%s'.", f.Name, f.Table)
	case len(f.References) == 0 && parent.PrimaryKey() == nil:
		return failure(1773, 16, "Foreign key '%s' has implicit reference to object '%s' which does not have a primary key defined on it.", f.Name, f.Table)
	case len(f.References) == 0:
		f.References = columnNames(parent.PrimaryKey().Columns)
	}
	if len(f.References) != len(f.Columns) {
		return failure(8139, 16, "Number of referencing columns in foreign key differs from number of referenced columns, table '%s'.", t.Name.Object)
	}
	for i, name := range f.References {
		there, here := parent.Column(name), t.Column(f.Columns[i])
		if there == nil {
			return failure(1770, 16, "Foreign key '%s' references invalid column '%s' in referenced table '%s'.", f.Name, name, f.Table.Object)
		}
		if here != nil && here.Type != there.Type && (here.Type.Name != there.Type.Name || !here.Type.isString() && here.Type.Name != "varbinary") {
			return failure(1778, 16, "Column '%s.%s' is not the same data type as referencing column '%s.%s' in foreign key '%s'.",
				f.Table.Object, name, t.Name.Object, here.Name, f.Name)
		}
	}
	if !parent.hasKey(f.References) {
		return failure(1776, 16, "There are no primary or candidate keys in the referenced table '%s' that match the referencing column list in the foreign key '%s'.", f.Table, f.Name)
	}
	return nil
}

// hasKey reports whether the columns are, in any order, those of a key or of a unique index without a filter.
func (t *Table) hasKey(columns []string) bool {
	return slices.ContainsFunc(t.Keys, func(k Key) bool { return sameSet(columnNames(k.Columns), columns) }) ||
		slices.ContainsFunc(t.Indexes, func(x Index) bool { return x.Unique && x.SQL == "" && sameSet(columnNames(x.Columns), columns) })
}
