package tsql

import (
	"slices"
	"strings"
)

// Change is the effect of ALTER TABLE, CREATE INDEX, DROP INDEX, DROP TABLE or TRUNCATE TABLE on a table in SQLite. All
// statements run in one transaction or savepoint: first Checks, then Schema, then Rows.
type Change struct {
	// Table is the table after the change; nil: it is dropped.
	Table *Table
	// Checks are SELECTs that fail with a SQL Server error (see [FromSQLite]) if the rows violate the change.
	Checks []string
	// Schema changes the schema and no row: a mirror runs the same statements.
	Schema []string
	// Rows writes rows: a mirror gets the written rows.
	Rows []string
}

// Change returns the effect of a definition on the table: ALTER TABLE of it, CREATE INDEX or DROP INDEX on it, DROP
// TABLE or TRUNCATE TABLE. tables are the tables of the database, for the foreign keys. The error is an *Error.
func (t *Table) Change(d *Definition, tables []*Table) (*Change, error) {
	ch := &changing{Change: Change{Table: t.clone()}, old: t, tables: tables}
	var err *Error
	switch {
	case d.Kind == "INDEX" && d.Verb == "CREATE":
		err = ch.addIndex(*d.Index)
	case d.Kind == "INDEX":
		err = ch.dropIndex(d)
	case d.Verb == "DROP":
		err = ch.dropTable(d)
	case d.Verb == "TRUNCATE":
		err = ch.truncate(d)
	case d.Action == "ADD":
		err = ch.add(d)
	case d.Action == "DROP COLUMN":
		err = ch.dropColumns(d)
	case d.Action == "DROP CONSTRAINT":
		err = ch.dropConstraints(d)
	case d.Action == "ALTER COLUMN":
		err = ch.alterColumn(d)
	case d.Action == "CHECK CONSTRAINT": // constraints always apply here
		err = ch.known(d)
	}
	if err != nil {
		err.Line = d.Line()
		return nil, err
	}
	return &ch.Change, nil
}

// changing is a Change while it is computed.
type changing struct {
	Change
	old    *Table
	tables []*Table
}

// raise returns a SELECT that fails with the error if the rest of it finds a row.
func raise(e *Error, rest string) string {
	return "SELECT tsql_raise(" + integerText(int64(e.Number)) + ", " + integerText(int64(e.Class)) + ", " + quoteText(e.Message) + ") FROM " + rest
}

func (c *changing) name() string { return quoteIdentifier(c.old.Name.Table()) }

// rewrite replaces the table's declaration by that of Table. It changes no row: existing columns keep their positions.
// Changes that SQLite's ALTER TABLE does not have are made in sqlite_schema, as SQLite's manual shows. Creating and
// dropping a table tells other connections that the schema has changed.
func (c *changing) rewrite() {
	c.Schema = append(c.Schema,
		"PRAGMA writable_schema = ON",
		"UPDATE sqlite_schema SET sql = "+quoteText(c.Table.create())+" WHERE type = 'table' AND name = "+quoteText(c.old.Name.Table())+" COLLATE NOCASE",
		"PRAGMA writable_schema = RESET",
		"CREATE TABLE [tsql$changed] (x)", "DROP TABLE [tsql$changed]")
}

// add runs ALTER TABLE … ADD.
func (c *changing) add(d *Definition) *Error {
	n := c.Table
	added := d.Table.clone()
	if err := added.validate(c.old.Schema(), d.Line()); err != nil {
		return err
	}
	n.Columns = append(n.Columns, added.Columns...)
	n.Keys = append(n.Keys, added.Keys...)
	n.ForeignKeys = append(n.ForeignKeys, added.ForeignKeys...)
	n.Checks = append(n.Checks, added.Checks...)
	if err := c.addDefaults(d); err != nil {
		return err
	}
	if err := n.validate(nil, d.Line()); err != nil {
		return err
	}
	for i := range n.ForeignKeys {
		if err := n.resolve(&n.ForeignKeys[i], c.tables); err != nil {
			return err
		}
	}
	var values []string
	for _, column := range added.Columns {
		value, err := c.addColumn(column)
		if err != nil {
			return err
		}
		values = append(values, quoteIdentifier(column.Name)+" = "+value)
	}
	if values != nil {
		// In SQLite existing rows would have the default of the column, even a default that is added or dropped later.
		c.Rows = append(c.Rows, "UPDATE "+c.name()+" SET "+strings.Join(values, ", "))
	}
	c.rewrite()
	for _, k := range added.Keys {
		if err := c.addKey(k); err != nil {
			return err
		}
	}
	if !d.noCheck {
		c.checkRows(n.ForeignKeys[len(c.old.ForeignKeys):], added.Checks, added.Columns)
	}
	return nil
}

// addDefaults runs ADD DEFAULT … FOR column.
func (c *changing) addDefaults(d *Definition) *Error {
	for _, def := range d.defaults {
		column := c.Table.Column(def.column)
		switch {
		case column == nil:
			return failure(1752, 16, "Column '%s' in table '%s' is invalid for creating a default constraint.", def.column, c.old.Name.Object)
		case column.DefaultText != "":
			return failure(1781, 16, "Column already has a DEFAULT bound to it.")
		case column.Identity:
			return failure(1754, 16, "Defaults cannot be created on columns with an IDENTITY attribute. Table '%s', column '%s'.", c.old.Name.Object, def.column)
		}
		column.DefaultText, column.DefaultName, column.Default = def.text, def.name, defaultSQL(def.value, column.Type)
	}
	c.Table.name()
	return nil
}

// addColumn adds a column, and returns the value of existing rows: its default if NULL is not allowed, or if WITH
// VALUES was written.
func (c *changing) addColumn(column TableColumn) (string, *Error) {
	switch {
	case column.Identity:
		return "", notSupported(0, "Statement", "ALTER TABLE … ADD of an identity column")
	case column.NotNull && column.Default == "":
		c.Checks = append(c.Checks, raise(failure(4901, 16, "ALTER TABLE only allows columns to be added that can contain nulls, or have a DEFAULT definition specified, "+
			"or the column being added is an identity or timestamp column, or alternatively if none of the previous conditions are satisfied the table must be empty "+
			"to allow addition of this column. Column '%s' cannot be added to non-empty table '%s' because it does not satisfy these conditions.",
			column.Name, c.old.Name.Object), c.name()+" LIMIT 1"))
	case column.Default != "" && (column.NotNull || column.withValues):
		return column.Default, nil
	}
	return "NULL", nil
}

// addKey adds a key: its values must be unique, and not NULL in a primary key.
func (c *changing) addKey(k Key) *Error {
	for _, column := range k.Columns {
		if old := c.old.Column(column.Name); k.Primary && old != nil && !old.NotNull {
			return failure(8111, 16, "Cannot define PRIMARY KEY constraint on nullable column in table '%s'.", c.old.Name.Object)
		}
	}
	if !slices.ContainsFunc(k.Columns, func(column IndexColumn) bool { return c.old.Column(column.Name) == nil }) {
		c.checkUnique(k.Name, k.Columns, "")
	}
	c.Schema = append(c.Schema, c.Table.keySQL(k)...)
	return nil
}

// checkUnique checks for duplicates. GROUP BY takes NULLs as equal, as SQL Server does in a key.
func (c *changing) checkUnique(name string, columns []IndexColumn, where string) {
	if where != "" {
		where = " WHERE " + where
	}
	c.Checks = append(c.Checks, raise(failure(1505, 16, "The CREATE UNIQUE INDEX statement terminated because a duplicate key was found for the object name '%s' and the index name '%s'.",
		c.old.display(), name), c.name()+where+" GROUP BY "+quoted(columnNames(columns))+" HAVING count(*) > 1 LIMIT 1"))
}

// checkRows checks whether the rows satisfy new constraints, as far as these concern existing columns.
func (c *changing) checkRows(keys []ForeignKey, checks []Check, added []TableColumn) {
	is := func(name string) bool {
		return slices.ContainsFunc(added, func(a TableColumn) bool { return strings.EqualFold(a.Name, name) })
	}
	for _, f := range keys {
		if slices.ContainsFunc(f.Columns, is) {
			continue
		}
		var match, present []string
		for i, column := range f.Columns {
			match = append(match, "[tsql$parent]."+quoteIdentifier(f.References[i])+" = "+c.name()+"."+quoteIdentifier(column))
			present = append(present, c.name()+"."+quoteIdentifier(column)+" IS NOT NULL")
		}
		c.Checks = append(c.Checks, raise(failure(547, 16, "The ALTER TABLE statement conflicted with the FOREIGN KEY constraint \"%s\". The conflict occurred in table \"%s\".", f.Name, (&Table{Name: f.Table}).display()),
			c.name()+" WHERE "+strings.Join(present, " AND ")+" AND NOT EXISTS (SELECT 1 FROM "+quoteIdentifier(f.Table.Table())+" AS [tsql$parent] WHERE "+strings.Join(match, " AND ")+") LIMIT 1"))
	}
	for _, k := range checks {
		if slices.ContainsFunc(added, func(a TableColumn) bool {
			return strings.Contains(strings.ToLower(k.SQL), strings.ToLower(quoteIdentifier(a.Name)))
		}) {
			continue
		}
		c.Checks = append(c.Checks, raise(failure(547, 16, "The ALTER TABLE statement conflicted with the CHECK constraint \"%s\". The conflict occurred in table \"%s\".", k.Name, c.old.display()),
			c.name()+" WHERE NOT ("+k.SQL+") LIMIT 1"))
	}
}

func (c *changing) addIndex(x Index) *Error {
	for _, other := range c.old.Indexes {
		if strings.EqualFold(other.Name, x.Name) {
			return failure(1913, 16, "The operation failed because an index or statistics with name '%s' already exists on table '%s'.", x.Name, c.old.display())
		}
	}
	if slices.ContainsFunc(c.old.Keys, func(k Key) bool { return strings.EqualFold(k.Name, x.Name) }) {
		return failure(1913, 16, "The operation failed because an index or statistics with name '%s' already exists on table '%s'.", x.Name, c.old.display())
	}
	for _, name := range append(columnNames(x.Columns), x.Include...) {
		if c.old.Column(name) == nil {
			return failure(1911, 16, "Column name '%s' does not exist in the target table or view.", name)
		}
	}
	c.Table.Indexes = append(c.Table.Indexes, x)
	if x.Unique {
		c.checkUnique(x.Name, x.Columns, x.SQL)
	}
	c.Schema = c.Table.indexSQL(x)
	return nil
}

func (c *changing) dropIndex(d *Definition) *Error {
	name := d.Name.Object
	for _, k := range c.old.Keys {
		if strings.EqualFold(k.Name, name) {
			kind := "UNIQUE KEY"
			if k.Primary {
				kind = "PRIMARY KEY"
			}
			return failure(3723, 16, "An explicit DROP INDEX is not allowed on index '%s.%s'. It is being used for %s constraint enforcement.", c.old.Name.Object, name, kind)
		}
	}
	at := slices.IndexFunc(c.old.Indexes, func(x Index) bool { return strings.EqualFold(x.Name, name) })
	switch {
	case at < 0 && d.IfExists:
		return nil
	case at < 0:
		return failure(3701, 11, "Cannot drop the index '%s.%s', because it does not exist or you do not have permission.", c.old.Name.Object, name)
	case c.referenced(columnNames(c.old.Indexes[at].Columns)) != "":
		return failure(3723, 16, "An explicit DROP INDEX is not allowed on index '%s.%s'. It is being used for FOREIGN KEY constraint enforcement.", c.old.Name.Object, name)
	}
	c.Table.Indexes = slices.Delete(c.Table.Indexes, at, at+1)
	c.Schema = c.old.dropIndexSQL(c.old.Indexes[at].Name)
	return nil
}

// referenced returns a foreign key of another table to these columns of the table, or to any column; "": there is none.
// With columns given, a foreign key of the table itself counts too.
func (c *changing) referenced(columns []string) string {
	for _, other := range append(slices.DeleteFunc(slices.Clone(c.tables), func(t *Table) bool { return t.is(c.old.Name) }), c.old) {
		for _, f := range other.ForeignKeys {
			if c.old.is(f.Table) && (columns == nil && other != c.old || columns != nil && sameSet(f.References, columns)) {
				return f.Name
			}
		}
	}
	return ""
}

func (c *changing) dropTable(d *Definition) *Error {
	if c.referenced(nil) != "" {
		return failure(3726, 16, "Could not drop object '%s' because it is referenced by a FOREIGN KEY constraint.", d.Name)
	}
	c.Table, c.Schema = nil, []string{"DROP TABLE " + c.name()}
	return nil
}

// truncate removes all rows and resets the identity.
func (c *changing) truncate(d *Definition) *Error {
	if c.referenced(nil) != "" {
		return failure(4712, 16, "Cannot truncate table '%s' because it is being referenced by a FOREIGN KEY constraint.", d.Name)
	}
	c.Rows = []string{"DELETE FROM " + c.name()}
	if id := c.old.Identity(); id != nil {
		c.Schema = []string{"DELETE FROM sqlite_sequence WHERE name = " + quoteText(c.old.Name.Table()) + " COLLATE NOCASE", c.old.seeded(id.Seed - 1)}
	}
	return nil
}

func (c *changing) dropColumns(d *Definition) *Error {
	for _, name := range d.Columns {
		at := slices.IndexFunc(c.Table.Columns, func(column TableColumn) bool { return strings.EqualFold(column.Name, name) })
		if at < 0 && d.IfExists {
			continue
		}
		if at < 0 {
			return failure(4924, 16, "ALTER TABLE DROP COLUMN failed because column '%s' does not exist in table '%s'.", name, c.old.Name.Object)
		}
		column := c.Table.Columns[at]
		kind, by := c.Table.usedBy(name)
		if kind == "" && column.DefaultText != "" {
			kind, by = "object", column.DefaultName
		}
		switch {
		case kind != "":
			return failure(5074, 16, "The %s '%s' is dependent on column '%s'.", kind, by, name)
		case len(c.Table.Columns) == 1:
			return failure(4923, 16, "ALTER TABLE DROP COLUMN failed because '%s' is the only data column in table '%s'. A table must have at least one data column.", name, c.old.Name.Object)
		case column.Identity:
			return notSupported(0, "Statement", "ALTER TABLE … DROP COLUMN of an identity column")
		}
		c.Table.Columns = slices.Delete(c.Table.Columns, at, at+1)
		c.Schema = append(c.Schema, "ALTER TABLE "+c.name()+" DROP COLUMN "+quoteIdentifier(column.Name))
	}
	return nil
}

func (c *changing) dropConstraints(d *Definition) *Error {
	changed := false
	for _, name := range d.Columns {
		done, err := c.dropConstraint(name)
		if err != nil {
			return err
		}
		if !done && !d.IfExists {
			return failure(3728, 16, "'%s' is not a constraint.", name)
		}
		changed = changed || done
	}
	if changed {
		c.rewrite()
	}
	return nil
}

// dropConstraint removes a constraint; false: no constraint of that name.
func (c *changing) dropConstraint(name string) (bool, *Error) {
	n := c.Table
	for i, k := range n.Keys {
		if !strings.EqualFold(k.Name, name) {
			continue
		}
		if by := c.referenced(columnNames(k.Columns)); by != "" {
			return false, failure(3725, 16, "The constraint '%s' is being referenced by table, foreign key constraint '%s'.", k.Name, by)
		}
		n.Keys = slices.Delete(n.Keys, i, i+1)
		c.Schema = append(c.Schema, c.old.dropIndexSQL(k.Name)...)
		return true, nil
	}
	for i := range n.Columns {
		if column := &n.Columns[i]; column.DefaultText != "" && strings.EqualFold(column.DefaultName, name) {
			column.DefaultText, column.DefaultName, column.Default = "", "", ""
			return true, nil
		}
	}
	for i, f := range n.ForeignKeys {
		if strings.EqualFold(f.Name, name) {
			n.ForeignKeys = slices.Delete(n.ForeignKeys, i, i+1)
			return true, nil
		}
	}
	for i, k := range n.Checks {
		if strings.EqualFold(k.Name, name) {
			n.Checks = slices.Delete(n.Checks, i, i+1)
			return true, nil
		}
	}
	return false, nil
}

// known checks that the constraints of CHECK CONSTRAINT exist.
func (c *changing) known(d *Definition) *Error {
	for _, name := range d.Columns {
		if !hasName(c.old.constraintNames(), name) {
			return failure(4917, 16, "Constraint '%s' does not exist.", name)
		}
	}
	return nil
}

// alterColumn runs ALTER COLUMN: another type, length or nullability.
func (c *changing) alterColumn(d *Definition) *Error {
	n := d.Table.Columns[0]
	old := c.Table.Column(n.Name)
	if old == nil {
		return failure(4924, 16, "ALTER TABLE ALTER COLUMN failed because column '%s' does not exist in table '%s'.", n.Name, c.old.Name.Object)
	}
	if old.Identity {
		return notSupported(0, "Statement", "ALTER TABLE … ALTER COLUMN of an identity column")
	}
	if n.Collation == "" {
		n.Collation = old.Collation
	}
	from, was := old.Type, *old
	old.Type, old.NotNull, old.Collation = n.Type, n.NotNull, n.Collation
	longer := from.Name == n.Type.Name && (n.Type.Max && !from.Max || n.Type.Max == from.Max && n.Type.Length >= from.Length) && n.Type.Scale == from.Scale
	if kind, by := c.old.usedBy(old.Name); kind != "" && !(longer && was.NotNull == n.NotNull && was.collation() == old.collation()) {
		return failure(5074, 16, "The %s '%s' is dependent on column '%s'.", kind, by, old.Name)
	}
	if old.DefaultText != "" && from != n.Type {
		if from.Name != n.Type.Name {
			return failure(5074, 16, "The object '%s' is dependent on column '%s'.", old.DefaultName, old.Name)
		}
		f, err := parseDefault(old.DefaultText)
		if err != nil {
			return err
		}
		old.Default = defaultSQL(f, n.Type)
	}
	if n.NotNull && !was.NotNull {
		c.Checks = append(c.Checks, raise(nullRefused(c.old, old.Name, "", "ALTER TABLE"), c.name()+" WHERE "+quoteIdentifier(old.Name)+" IS NULL LIMIT 1"))
	}
	c.rewrite()
	if from != n.Type {
		p := &parser{}
		value := p.stored(fragment{sql: quoteIdentifier(old.Name), typ: from}, n.Type)
		c.Rows = append(c.Rows, "UPDATE "+c.name()+" SET "+quoteIdentifier(old.Name)+" = "+value.sql)
	}
	return nil
}
