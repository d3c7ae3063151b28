package engine

import (
	"slices"
	"strings"

	"github.com/mirrorstate/mirrorstate/partner/embedded/sqlvalue"
	"github.com/mirrorstate/mirrorstate/partner/embedded/storage"
)

// The rows of the views about foreign keys and parameters, of the compatibility views, and of
// INFORMATION_SCHEMA.

// foreignKeyID returns the object_id of the n-th foreign key of a table.
func (t *describedTable) foreignKeyID(n int) int { return t.id + 1_000_000*(n+51) }

// eachForeignKey calls each with the foreign keys of a database's tables, and the table that each refers to.
func (s *session) eachForeignKey(database string, each func(t *describedTable, n int, key *describedForeignKey, other *describedTable)) {
	all := s.describedTables(s.describedIn(database))
	for i := range all {
		for n := range all[i].foreignKeys {
			key := &all[i].foreignKeys[n]
			for j := range all {
				if strings.EqualFold(all[j].name, key.table) {
					key.refer(all[i].references[n], &all[j])
					each(&all[i], n, key, &all[j])
				}
			}
		}
	}
}

// refer determines the referenced columns and key in the other table.
func (key *describedForeignKey) refer(columns []string, other *describedTable) {
	key.referenced = nil
	for _, name := range columns {
		key.referenced = append(key.referenced, other.column(name))
	}
	for _, x := range other.indexes {
		if x.unique && slices.Equal(x.columns, key.referenced) {
			key.constrained = x.name
		}
	}
}

func foreignKeyRows(s *session, database string) (rows [][]any) {
	s.eachForeignKey(database, func(t *describedTable, n int, key *describedForeignKey, other *describedTable) {
		named := func(rule string) string { return strings.ReplaceAll(rule, " ", "_") }
		rule := map[string]int{"NO ACTION": 0, "CASCADE": 1, "SET NULL": 2, "SET DEFAULT": 3}
		rows = append(rows, append(s.object(database, key.name, t.foreignKeyID(n), t.id, "F", "FOREIGN_KEY_CONSTRAINT"),
			other.id, 1, false, false, false, rule[key.onDelete], named(key.onDelete), rule[key.onUpdate], named(key.onUpdate), strings.HasPrefix(key.name, "FK__")))
	})
	return rows
}

func foreignKeyColumnRows(s *session, database string) (rows [][]any) {
	s.eachForeignKey(database, func(t *describedTable, n int, key *describedForeignKey, other *describedTable) {
		for i := range key.columns {
			rows = append(rows, []any{t.foreignKeyID(n), i + 1, t.id, key.columns[i] + 1, other.id, key.referenced[i] + 1})
		}
	})
	return rows
}

func referentialRows(s *session, database string) (rows [][]any) {
	s.eachForeignKey(database, func(_ *describedTable, _ int, key *describedForeignKey, _ *describedTable) {
		rows = append(rows, []any{database, "dbo", key.name, database, "dbo", key.constrained, "SIMPLE", key.onUpdate, key.onDelete})
	})
	return rows
}

func parameterRows(s *session, database string) (rows [][]any) {
	for _, p := range s.describedRoutines(s.describedIn(database)) {
		for i, q := range p.params {
			if d := dataTypeOf(q.typ.Name); d != nil {
				m := d.measured(q.typ)
				rows = append(rows, []any{p.id, q.name, p.place(i), d.id, d.userTypeID(), m.maxLength, m.precision, m.scale, q.output, false, false, false, nil, 0, false, true})
			}
		}
	}
	return rows
}

func oldColumnRows(s *session, database string) (rows [][]any) {
	s.eachColumn(database, func(t *describedTable, i int, d *dataType, m measures) {
		rows = append(rows, []any{t.columns[i].name, t.id, d.id, d.userTypeID(), m.maxLength, i + 1, m.odbcDigits, d.odbcScale(m), 0, 0, boolInt(t.columns[i].nullable)})
	})
	for _, p := range s.describedProcedures(s.describedIn(database)) {
		for i, q := range p.params {
			if d := dataTypeOf(q.typ.Name); d != nil {
				m := d.measured(q.typ)
				rows = append(rows, []any{q.name, p.id, d.id, d.userTypeID(), m.maxLength, i + 1, m.odbcDigits, d.odbcScale(m), 0, boolInt(q.output), 1})
			}
		}
	}
	return rows
}

func oldTypeRows(*session, string) (rows [][]any) {
	for i := range dataTypes {
		d := &dataTypes[i]
		rows = append(rows, []any{d.name, d.id, d.userTypeID(), d.size, d.digits & 0xFF, d.scale, d.old, d.userType})
	}
	return rows
}

func oldUserRows(s *session, database string) (rows [][]any) {
	d := s.describedIn(database)
	if d == nil {
		return [][]any{{1, "dbo", dboSID, 0, 1}}
	}
	for _, p := range principalsIn(d.Store.Committed()) {
		rows = append(rows, []any{p.id, p.name, p.sid, boolInt(p.kind == storage.KindRole), boolInt(p.kind == storage.KindUser)})
	}
	return rows
}

// schemaType returns the columns of INFORMATION_SCHEMA about a type, from after DATA_TYPE to DATETIME_PRECISION.
func (d *dataType) schemaType(m measures) (characters, octets, precision, radix, scale, seconds any) {
	characters, octets = m.characters, m.octets
	if octets == 0 { // (max)
		octets = -1
	}
	switch {
	case d.isDate():
		seconds = m.scale
	case d.radix != 0 && d.name != "sql_variant":
		precision, radix = m.precision, d.radix
		if d.radix == 10 {
			scale = m.scale
		}
	}
	return characters, octets, precision, radix, scale, seconds
}

// characterSet returns CHARACTER_SET_NAME.
func (d *dataType) characterSet() any {
	switch {
	case d.isWide():
		return "UNICODE"
	case d.isText():
		return "iso_1"
	}
	return nil
}

func schemaColumnRows(s *session, database string) (rows [][]any) {
	s.eachColumn(database, func(t *describedTable, i int, d *dataType, m measures) {
		c := t.columns[i]
		var def any
		if c.defaultValue != "" {
			def = c.defaultValue
		}
		characters, octets, precision, radix, scale, seconds := d.schemaType(m)
		rows = append(rows, []any{database, "dbo", t.name, c.name, i + 1, def, yesOrNo(c.nullable), d.name, characters, octets, precision, radix, scale, seconds,
			nil, nil, d.characterSet(), nil, nil, d.collation(), nil, nil, nil})
	})
	return rows
}

// eachConstraint calls each with the keys of a database's tables: name, type and columns.
func (s *session) eachConstraint(database string, each func(t *describedTable, name, kind string, columns []int)) {
	for _, t := range s.describedTables(s.describedIn(database)) {
		for _, x := range t.indexes {
			switch {
			case x.primary:
				each(&t, x.name, "PRIMARY KEY", x.columns)
			case x.constraint:
				each(&t, x.name, "UNIQUE", x.columns)
			}
		}
		for _, key := range t.foreignKeys {
			each(&t, key.name, "FOREIGN KEY", key.columns)
		}
	}
}

func tableConstraintRows(s *session, database string) (rows [][]any) {
	s.eachConstraint(database, func(t *describedTable, name, kind string, _ []int) {
		rows = append(rows, []any{database, "dbo", name, database, "dbo", t.name, kind, "NO", "NO"})
	})
	return rows
}

func keyColumnRows(s *session, database string) (rows [][]any) {
	s.eachConstraint(database, func(t *describedTable, name, _ string, columns []int) {
		for i, at := range columns {
			rows = append(rows, []any{database, "dbo", name, database, "dbo", t.name, t.columns[at].name, i + 1})
		}
	})
	return rows
}

func constraintColumnRows(s *session, database string) (rows [][]any) {
	s.eachConstraint(database, func(t *describedTable, name, _ string, columns []int) {
		for _, at := range columns {
			rows = append(rows, []any{database, "dbo", t.name, t.columns[at].name, database, "dbo", name})
		}
	})
	return rows
}

func routineRows(s *session, database string) (rows [][]any) {
	made := s.createdAt(database)
	for _, p := range s.describedRoutines(s.describedIn(database)) {
		kind, typ := "PROCEDURE", any(nil)
		if p.value {
			kind = "FUNCTION"
			if len(p.params) > 0 {
				typ = p.params[0].typ.Name
			}
		}
		rows = append(rows, []any{database, "dbo", p.name, database, "dbo", p.name, kind, typ, "SQL", sqlvalue.CutText(p.text, 4000), made, made})
	}
	return rows
}

func schemaParameterRows(s *session, database string) (rows [][]any) {
	for _, p := range s.describedRoutines(s.describedIn(database)) {
		for i, q := range p.params {
			d := dataTypeOf(q.typ.Name)
			if d == nil {
				continue
			}
			mode, result := "IN", "NO"
			switch {
			case p.place(i) == 0:
				mode, result = "OUT", "YES"
			case q.output:
				mode = "INOUT"
			}
			characters, octets, precision, radix, scale, seconds := d.schemaType(d.measured(q.typ))
			rows = append(rows, []any{database, "dbo", p.name, p.place(i), mode, result, "NO", q.name, d.name, characters, octets, nil, nil, d.collation(),
				nil, nil, d.characterSet(), precision, radix, scale, seconds})
		}
	}
	return rows
}
