package embedded

import (
	"context"
	"fmt"
	"slices"
	"strings"
	"sync"

	"github.com/mirrorstate/mirrorstate/partner/embedded/tsql"
	"github.com/mirrorstate/mirrorstate/session/aspstate/schema"
)

// knownTexts are the definitions of tables, indexes, columns and procedures that have twins in this
// package: those that stand in session/aspstate/schema. Each maps to the object it makes.
var knownTexts = sync.OnceValues(func() (map[string]*objectRow, error) {
	batches, err := schema.All()
	if err != nil {
		return nil, err
	}
	known := map[string]*objectRow{}
	for _, b := range batches {
		list, err := tsql.Parse(b.Text)
		if err != nil {
			return nil, fmt.Errorf("%s, line %d: %w", b.File, b.Line, err)
		}
		collectDefinitions(known, list)
	}
	return known, nil
})

// procedureTexts are the texts of the procedures as they stand in session/aspstate/schema, by name in lower case.
var procedureTexts = sync.OnceValues(func() (map[string]string, error) {
	batches, err := schema.All()
	texts := map[string]string{}
	for _, b := range batches {
		if list, err := tsql.Parse(b.Text); err == nil && len(list) == 1 {
			if d, ok := list[0].(*tsql.Definition); ok && d.Verb == "CREATE" && d.Kind == "PROCEDURE" {
				texts[strings.ToLower(d.Name.Object)] = b.Text
			}
		}
	}
	return texts, err
})

func collectDefinitions(known map[string]*objectRow, list []tsql.Statement) {
	for _, st := range list {
		switch st := st.(type) {
		case *tsql.If:
			collectDefinitions(known, st.Then)
			collectDefinitions(known, st.Else)
		case *tsql.Definition:
			if o := definedBy(st); o != nil && st.Verb != "DROP" {
				known[st.Text] = o
			}
		}
	}
}

// definedBy is the object that a definition is about; nil for one that is no object of this kind.
func definedBy(st *tsql.Definition) *objectRow {
	switch st.Kind {
	case "TABLE":
		if st.Verb == "ALTER" {
			return &objectRow{kind: kindColumns, name: st.Name.Object}
		}
		return &objectRow{kind: kindTable, name: st.Name.Object}
	case "INDEX":
		return &objectRow{kind: kindIndex, name: st.On.Object + "/" + st.Name.Object}
	case "PROCEDURE":
		return &objectRow{kind: kindProcedure, name: st.Name.Object}
	}
	return nil
}

// define runs CREATE, ALTER and DROP.
func (b *batch) define(ctx context.Context, st *tsql.Definition) error {
	s := b.s
	if st.Kind == "DATABASE" || st.Kind == "LOGIN" {
		if s.open > 0 {
			return message(226, 16, "%s %s statement not allowed within multi-statement transaction.", st.Verb, st.Kind)
		}
		switch {
		case st.Kind == "LOGIN":
			if err := s.serverOnly(15247, 16, "User does not have permission to perform this action."); err != nil {
				return err
			}
			return s.p.defineLogin(ctx, s, st)
		case st.Verb == "CREATE":
			if err := s.serverOnly(262, 14, "CREATE DATABASE permission denied in database 'master'."); err != nil {
				return err
			}
			_, err := s.p.createDatabase(ctx, st.Name.Object)
			return err
		}
		if err := s.serverOnly(3701, 11, "Cannot drop the database '%s', because it does not exist or you do not have permission.", st.Name.Object); err != nil {
			return err
		}
		return s.p.dropDatabase(ctx, st.Name.Object, s)
	}
	if done, err := b.usersOfMaster(ctx, st); done {
		return err
	}
	d, err := s.here(st.Name)
	if err != nil {
		return err
	}
	if err := s.mayOwn(d, st.Verb+" "+st.Kind); err != nil {
		return err
	}
	return s.writing(ctx, d, func(w *writer) error {
		c, err := openCatalogue(w, d)
		if err != nil {
			return err
		}
		switch st.Kind {
		case "ROLE", "USER":
			return c.principal(st)
		}
		return c.object(st)
	})
}

// here is the database in which an object's name is meant. One of the system's takes no objects.
func (s *session) here(n tsql.Name) (*database, error) {
	name := s.database
	if n.Database != "" {
		name = n.Database
	}
	d := s.p.find(name)
	switch {
	case d == nil && s.p.known(name):
		return nil, notSupported("An object in the database %s", name)
	case d == nil:
		return nil, errNoDatabase(name)
	case n.Schema != "" && !strings.EqualFold(n.Schema, "dbo"):
		return nil, message(2760, 16, `The specified schema name "%s" either does not exist or you do not have permission to use it.`, n.Schema)
	}
	if err := d.serving(); err != nil {
		return nil, err
	}
	return d, s.mayEnter(d)
}

// catalogueWriter changes the objects of a database in an open transaction.
type catalogueWriter struct {
	w   *writer
	d   *database
	set objectSet
}

func openCatalogue(w *writer, d *database) (*catalogueWriter, error) {
	rows, err := w.objectRows()
	if err != nil {
		return nil, err
	}
	c := &catalogueWriter{w: w, d: d, set: newObjectSet(rows)}
	if !c.set.has(kindAll, "*") {
		return c, nil
	}
	// From now on each object is by itself.
	for _, o := range everything() {
		if err := c.add(o); err != nil {
			return nil, err
		}
	}
	return c, c.drop(kindAll, "*")
}

func (c *catalogueWriter) add(o *objectRow) error {
	c.set[o.key()] = o
	return c.w.put(change{table: tableObjects, key: o.key(), row: o})
}

func (c *catalogueWriter) drop(kind, name string) error {
	key := objectKey(kind, name)
	delete(c.set, key)
	return c.w.put(change{table: tableObjects, key: key})
}

// object makes or removes a table, an index, columns, or a procedure.
func (c *catalogueWriter) object(st *tsql.Definition) error {
	o := definedBy(st)
	switch {
	case o == nil:
		return notSupported("%s %s", st.Verb, st.Kind)
	case st.Action == "DROP COLUMN":
		return c.dropColumns(st)
	case st.Verb == "DROP":
		return c.dropObject(st, o)
	}
	known, err := knownTexts()
	if err != nil {
		return err
	}
	if o := known[strings.Replace(st.Text, "ALTER", "CREATE", 1)]; st.Verb == "ALTER" && st.Kind == "PROCEDURE" && o != nil {
		if c.set[o.key()] == nil {
			return message(208, 16, "Invalid object name 'dbo.%s'.", o.name)
		}
		return nil // it has that text already
	}
	if known[st.Text] == nil {
		return notSupported("%s %s %s with this text (only those of mirrorstate's own schema are known)", st.Verb, st.Kind, st.Name.Object)
	}
	return c.make(known[st.Text])
}

// make makes an object that is not there yet.
func (c *catalogueWriter) make(o *objectRow) error {
	onTable, index, _ := strings.Cut(o.name, "/")
	switch o.kind {
	case kindIndex:
		if !c.set.has(kindTable, onTable) {
			return message(1088, 16, `Cannot find the object "dbo.%s" because it does not exist or you do not have permissions.`, onTable)
		}
		if c.set[o.key()] != nil {
			return message(1913, 16, "The operation failed because an index or statistics with name '%s' already exists on table 'dbo.%s'.", index, onTable)
		}
	case kindColumns:
		if !c.set.has(kindTable, o.name) {
			return message(4902, 16, `Cannot find the object "dbo.%s" because it does not exist or you do not have permissions.`, o.name)
		}
		if c.set[o.key()] != nil {
			return message(2705, 16, "Column names in each table must be unique. Column name '%s' in table 'dbo.%s' is specified more than once.", extensionColumns[0], o.name)
		}
	default:
		if c.set.has(kindTable, o.name) || c.set.has(kindProcedure, o.name) {
			return message(2714, 16, "There is already an object named '%s' in the database.", o.name)
		}
	}
	return c.add(o)
}

// dropObject removes a table with its rows, an index or a procedure, and the rights on it.
func (c *catalogueWriter) dropObject(st *tsql.Definition, o *objectRow) error {
	if c.set[o.key()] == nil {
		return message(3701, 11, "Cannot drop the %s 'dbo.%s', because it does not exist or you do not have permission.", strings.ToLower(st.Kind), st.Name.Object)
	}
	name := c.set[o.key()].name
	if err := c.drop(o.kind, o.name); err != nil {
		return err
	}
	if o.kind == kindTable {
		if err := c.w.script("DELETE FROM main." + name); err != nil {
			return err
		}
		if err := c.dropIf(kindColumns, func(r *objectRow) bool { return strings.EqualFold(r.name, name) }); err != nil {
			return err
		}
		if err := c.dropIf(kindIndex, func(r *objectRow) bool { return hasPrefixFold(r.name, name+"/") }); err != nil {
			return err
		}
	}
	return c.dropIf(kindGrant, func(r *objectRow) bool { return hasSuffixFold(r.name, "/"+name) })
}

func hasPrefixFold(s, prefix string) bool {
	return len(s) >= len(prefix) && strings.EqualFold(s[:len(prefix)], prefix)
}

func hasSuffixFold(s, suffix string) bool {
	return len(s) >= len(suffix) && strings.EqualFold(s[len(s)-len(suffix):], suffix)
}

// dropIf removes the objects of a kind that are meant.
func (c *catalogueWriter) dropIf(kind string, meant func(r *objectRow) bool) error {
	for _, r := range c.set.of(kind) {
		if meant(r) {
			if err := c.drop(kind, r.name); err != nil {
				return err
			}
		}
	}
	return nil
}

// extensionColumns are those that the extension adds to the sessions.
var extensionColumns = []string{"LockOperationId", "LockOperationCookie", "LockActionFlags",
	"OperationId1", "OperationId2", "OperationId3", "OperationId4",
	"OperationDate1", "OperationDate2", "OperationDate3", "OperationDate4", "OperationsForgotten", "LockCallId", "Settled", "MadeOperationId", "TimeoutSeconds", "TimeoutDate"}

// dropColumns takes the extension's columns away, all of them.
func (c *catalogueWriter) dropColumns(st *tsql.Definition) error {
	for _, column := range st.Columns {
		known := slices.ContainsFunc(extensionColumns, func(name string) bool { return strings.EqualFold(name, column) })
		if !known || !c.set.has(kindColumns, st.Name.Object) {
			return message(4924, 16, "ALTER TABLE DROP COLUMN failed because column '%s' does not exist in table '%s'.", column, st.Name.Object)
		}
	}
	if len(st.Columns) != len(extensionColumns) {
		return notSupported("ALTER TABLE %s DROP COLUMN of some of the extension's columns", st.Name.Object)
	}
	if err := c.w.script("UPDATE main." + tableSessions.String() + " SET " + strings.Join(extensionColumns, " = NULL, ") + " = NULL"); err != nil {
		return err
	}
	return c.drop(kindColumns, st.Name.Object)
}

// stockTables are the tables and indexes in the text of CreateTempTables, in its order.
var stockTables = []*objectRow{
	{kind: kindTable, name: tableSessions.String()}, {kind: kindIndex, name: tableSessions.String() + "/Index_Expires"},
	{kind: kindTable, name: tableApplications.String()}, {kind: kindIndex, name: tableApplications.String() + "/Index_AppName"},
}
