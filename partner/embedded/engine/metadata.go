package engine

import (
	"slices"
	"strings"

	"github.com/mirrorstate/mirrorstate/partner/embedded/sqlvalue"
	"github.com/mirrorstate/mirrorstate/partner/embedded/storage"
)

// Metadata functions. Those whose argument is a column read the system views: see package tsql.

// informationSchemaID and systemSchemaID are the ids of the schemas of the system views.
const informationSchemaID, systemSchemaID = 3, 4

// objectID returns OBJECT_ID(name, kind): NULL for an object that does not exist or is not accessible. An empty kind
// matches any kind.
func (s *session) objectID(name, kind string) (any, error) {
	n, ok := splitName(name)
	if !ok {
		return nil, nil
	}
	database := s.database
	if n.database != "" {
		database, _ = s.p.CanonicalDatabase(n.database)
	}
	if d := s.p.Find(database); d == nil && !s.p.Known(database) || d != nil && d.Serving() != nil {
		return nil, nil
	}
	schema := 1
	if n.schema != "" {
		at := slices.IndexFunc(schemas, func(one schemaOf) bool { return strings.EqualFold(one.name, n.schema) })
		if at < 0 {
			return nil, nil
		}
		schema = schemas[at].id
	}
	object := strings.TrimRight(n.object, " ")
	if d := s.p.Find(database); schema == 1 && d != nil {
		if set, err := s.visible(d); err == nil {
			o := set.Named(object)
			switch {
			case o != nil && s.sees(set, o.Name) && (kind == "" || o.Kind == kind):
				return o.ID, nil
			case kindText[kind] != "":
				return nil, nil
			}
		}
	}
	rows := s.everyObject(database) // the object may be a constraint
	if schema == informationSchemaID || schema == systemSchemaID {
		rows = allObjectRows(s, database)
	}
	for _, row := range rows {
		if row[3] == schema && strings.EqualFold(row[0].(string), object) && (kind == "" || row[5] == kind) {
			return int64(row[1].(int)), nil
		}
	}
	return nil, nil
}

// objectNameIn returns OBJECT_NAME(id [, database_id]).
func (s *session) objectNameIn(args []any) (any, error) {
	id, ok := sqlvalue.IntegerOf(args[0], -1<<31, 1<<31-1)
	database := s.database
	if len(args) > 1 && args[1] != nil {
		number, _ := sqlvalue.IntegerOf(args[1], 0, 1<<15-1)
		database = ""
		for _, c := range s.p.catalogue() {
			if c.id == number {
				database = c.name
			}
		}
	}
	if !ok || database == "" {
		return nil, nil
	}
	for _, row := range allObjectRows(s, database) {
		if int64(row[1].(int)) == id {
			return row[0], nil
		}
	}
	return nil, nil
}

// objectName returns OBJECT_NAME(id), in the session's database.
func (s *session) objectName(id int64) (any, error) { return s.objectNameIn([]any{id}) }

// objectPropertyRows returns the known values of OBJECTPROPERTY. Others are NULL.
func objectPropertyRows(s *session, database string) (rows [][]any) {
	tables := s.describedTables(s.describedIn(database))
	for _, o := range allObjectRows(s, database) {
		id, kind := o[1].(int), o[5].(string)
		add := func(property string, value int) { rows = append(rows, []any{id, property, value}) }
		for property, of := range map[string]string{"IsTable": "U", "IsUserTable": "U", "IsProcedure": "P", "IsView": "V", "IsPrimaryKey": "PK", "IsUniqueCnst": "UQ",
			"IsForeignKey": "F", "IsDefault": "D", "IsDefaultCnst": "D", "IsTrigger": "TR", "IsScalarFunction": "FN", "IsTableFunction": "TF", "IsInlineFunction": "IF",
			"IsCheckCnst": "C", "IsSystemTable": "S", "IsRule": "R"} {
			add(property, boolInt(kind == of))
		}
		add("IsConstraint", boolInt(slices.Contains([]string{"PK", "UQ", "F", "D", "C"}, kind)))
		add("IsMSShipped", boolInt(o[9] == true))
		add("OwnerId", 1)
		add("SchemaId", o[3].(int))
		if kind == storage.KindProcedure {
			add("ExecIsQuotedIdentOn", 1)
			add("ExecIsAnsiNullsOn", 1)
		}
		for _, t := range tables {
			if t.id != id {
				continue
			}
			has := func(is func(x describedIndex) bool) int { return boolInt(slices.ContainsFunc(t.indexes, is)) }
			add("TableHasPrimaryKey", has(func(x describedIndex) bool { return x.primary }))
			add("TableHasClustIndex", has(describedIndex.clusters))
			add("TableHasIndex", boolInt(len(t.indexes) > 0))
			add("TableHasUniqueCnst", has(func(x describedIndex) bool { return x.constraint && !x.primary }))
			add("TableHasForeignKey", boolInt(len(t.foreignKeys) > 0))
			add("TableHasIdentity", boolInt(slices.ContainsFunc(t.columns, func(c describedColumn) bool { return c.identity })))
			add("TableHasDefaultCnst", boolInt(slices.ContainsFunc(t.columns, func(c describedColumn) bool { return c.defaultValue != "" })))
		}
	}
	return rows
}

// columnPropertyRows returns the known values of COLUMNPROPERTY, for columns and parameters. Others are NULL.
func columnPropertyRows(s *session, database string) (rows [][]any) {
	add := func(id int, name string, at int, d *dataType, m measures, nullable, identity, output bool) {
		precision := any(m.odbcDigits)
		if m.characters == -1 {
			precision = -1
		}
		for property, value := range map[string]any{"ColumnId": at, "AllowsNull": boolInt(nullable), "IsIdentity": boolInt(identity), "IsComputed": 0, "IsRowGuidCol": 0,
			"IsSparse": 0, "IsColumnSet": 0, "IsHidden": 0, "GeneratedAlwaysType": 0, "IsOutParam": boolInt(output), "Precision": precision, "Scale": d.odbcScale(m),
			"CharMaxLen": m.characters, "UsesAnsiTrim": 1, "IsIdNotForRepl": 0, "IsDeterministic": nil} {
			rows = append(rows, []any{id, name, property, value})
		}
	}
	s.eachColumn(database, func(t *describedTable, i int, d *dataType, m measures) {
		add(t.id, t.columns[i].name, i+1, d, m, t.columns[i].nullable, t.columns[i].identity, false)
	})
	for _, p := range s.describedProcedures(s.describedIn(database)) {
		for i, q := range p.params {
			if d := dataTypeOf(q.typ.Name); d != nil {
				add(p.id, q.name, i+1, d, d.measured(q.typ), true, false, q.output)
			}
		}
	}
	return rows
}
