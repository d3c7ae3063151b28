package tsql

import (
	"fmt"
	"hash/fnv"
	"strings"
)

// name gives each unnamed constraint a name in SQL Server's form. The digits depend only on the constraint, so
// that the names are the same on both partners.
func (t *Table) name() {
	name := func(prefix, column string, digits int, of ...string) string {
		h := fnv.New64a()
		fmt.Fprintf(h, "%s.%s %q", prefix, strings.ToLower(t.Name.Table()), of)
		text := prefix + "__" + clip(t.Name.Object, 9)
		if column != "" {
			text += "__" + clip(column, 5)
		}
		return text + "__" + fmt.Sprintf("%016X", h.Sum64())[:digits]
	}
	for i := range t.Keys {
		if k := &t.Keys[i]; k.Name == "" {
			prefix := "UQ"
			if k.Primary {
				prefix = "PK"
			}
			k.Name = name(prefix, "", 16, strings.ToLower(strings.Join(columnNames(k.Columns), "\x00")))
		}
	}
	for i := range t.ForeignKeys {
		if f := &t.ForeignKeys[i]; f.Name == "" {
			f.Name = name("FK", f.Columns[0], 8, strings.ToLower(strings.Join(f.Columns, "\x00")), f.Table.String())
		}
	}
	for i := range t.Checks {
		if c := &t.Checks[i]; c.Name == "" {
			c.Name = name("CK", c.Column, 8, c.Text)
		}
	}
	for i := range t.Columns {
		if c := &t.Columns[i]; c.DefaultText != "" && c.DefaultName == "" {
			c.DefaultName = name("DF", c.Name, 8, strings.ToLower(c.Name))
		}
	}
}

// validate checks that the parts of the table are consistent. known are the columns that the table has already.
func (t *Table) validate(known []Column, line int) *Error {
	fail := func(number int32, format string, args ...any) *Error {
		e := failure(number, 16, format, args...)
		e.Line = line
		return e
	}
	seen := map[string]bool{}
	identities := 0
	for _, c := range t.Columns {
		if seen[strings.ToLower(c.Name)] || known != nil && hasColumn(known, c.Name) {
			return fail(2705, "Column names in each table must be unique. Column name '%s' in table '%s' is specified more than once.", c.Name, t.Name)
		}
		seen[strings.ToLower(c.Name)] = true
		if c.Identity {
			identities++
		}
		if c.Identity && c.nullable {
			return fail(8147, "Could not create IDENTITY attribute on nullable column '%s', table '%s'.", c.Name, t.Name.Object)
		}
		if c.Identity && c.DefaultText != "" {
			return fail(1754, "Defaults cannot be created on columns with an IDENTITY attribute. Table '%s', column '%s'.", t.Name.Object, c.Name)
		}
	}
	if identities > 1 {
		return fail(2744, "Multiple identity columns specified for table '%s'. Only one identity column per table is allowed.", t.Name.Object)
	}
	have := func(column string) bool { return seen[strings.ToLower(column)] || hasColumn(known, column) }
	primary := 0
	for _, k := range t.Keys {
		if k.Primary {
			primary++
		}
		for _, c := range k.Columns {
			if !have(c.Name) {
				return fail(1911, "Column name '%s' does not exist in the target table or view.", c.Name)
			}
			if column := t.Column(c.Name); k.Primary && column != nil && column.nullable {
				return fail(8111, "Cannot define PRIMARY KEY constraint on nullable column in table '%s'.", t.Name.Object)
			}
		}
	}
	if primary > 1 {
		return fail(8110, "Cannot add multiple PRIMARY KEY constraints to table '%s'.", t.Name.Object)
	}
	for _, f := range t.ForeignKeys {
		for _, c := range f.Columns {
			if !have(c) {
				return fail(1769, "Foreign key '%s' references invalid column '%s' in referencing table '%s'.", f.Name, c, t.Name.Object)
			}
		}
	}
	for _, x := range t.Indexes {
		for _, c := range append(columnNames(x.Columns), x.Include...) {
			if !have(c) {
				return fail(1911, "Column name '%s' does not exist in the target table or view.", c)
			}
		}
	}
	all := t.constraintNames()
	for i, name := range all {
		if hasName(all[:i], name) {
			return fail(2714, "There is already an object named '%s' in the database.", name)
		}
	}
	return nil
}

// hasColumn reports whether the list has the column.
func hasColumn(columns []Column, name string) bool {
	for _, c := range columns {
		if strings.EqualFold(c.Name, name) {
			return true
		}
	}
	return false
}
