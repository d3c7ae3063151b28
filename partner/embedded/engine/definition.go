package engine

import (
	"context"
	"errors"
	"maps"
	"strings"

	"github.com/mirrorstate/mirrorstate/partner/embedded/mirror"
	"github.com/mirrorstate/mirrorstate/partner/embedded/sqlerror"
	"github.com/mirrorstate/mirrorstate/partner/embedded/storage"
	"github.com/mirrorstate/mirrorstate/partner/embedded/tds"
	"github.com/mirrorstate/mirrorstate/partner/embedded/tsql"
)

// define runs CREATE, ALTER, DROP and TRUNCATE.
func (b *batch) define(ctx context.Context, st *tsql.Definition) error {
	s := b.s
	if st.Kind == "DATABASE" || st.Kind == "LOGIN" {
		return b.defineOnServer(ctx, st)
	}
	if done, err := b.usersOfMaster(ctx, st); done {
		return err
	}
	where := st.Name
	if st.Kind == "INDEX" || st.Verb == "ENABLE" || st.Verb == "DISABLE" {
		where = st.On
	}
	d, err := s.databaseFor(where)
	if err != nil {
		return err
	}
	if err := s.checkControl(d, st.Verb+" "+st.Kind); err != nil {
		return err
	}
	return s.writing(ctx, d, func(w *storage.Writer) error {
		c, err := openCatalogue(w, d)
		if err != nil {
			return err
		}
		switch st.Kind {
		case "ROLE", "USER":
			return c.principal(st)
		}
		if err := w.RunCached("SAVEPOINT defines"); err != nil {
			return err
		}
		if err := c.object(st, b.text); err != nil {
			return errors.Join(err, w.RunCached("ROLLBACK TO defines"), w.RunCached("RELEASE defines"))
		}
		return w.RunCached("RELEASE defines")
	})
}

// defineOnServer runs the definitions that concern the server.
func (b *batch) defineOnServer(ctx context.Context, st *tsql.Definition) error {
	s := b.s
	if s.open > 0 {
		return sqlerror.New(226, 16, "%s %s statement not allowed within multi-statement transaction.", st.Verb, st.Kind)
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
		_, err := s.p.CreateDatabase(ctx, st.Name.Object)
		return err
	}
	if st.IfExists && !s.p.Known(st.Name.Object) {
		return nil
	}
	if err := s.serverOnly(3701, 11, "Cannot drop the database '%s', because it does not exist or you do not have permission.", st.Name.Object); err != nil {
		return err
	}
	return s.p.DropDatabase(ctx, st.Name.Object, &s.ClientSession)
}

// databaseFor returns the database of an object's name. A system database has no user objects.
func (s *session) databaseFor(n tsql.Name) (*mirror.Database, error) {
	name := s.database
	if n.Database != "" {
		name = n.Database
	}
	d := s.p.Find(name)
	switch {
	case d == nil && s.p.Known(name):
		return nil, sqlerror.NotSupported("An object in the database %s", name)
	case d == nil:
		return nil, sqlerror.ErrNoDatabase(name)
	case n.Schema != "" && !strings.EqualFold(n.Schema, "dbo"):
		return nil, sqlerror.New(2760, 16, `The specified schema name "%s" either does not exist or you do not have permission to use it.`, n.Schema)
	}
	if err := d.Serving(); err != nil {
		return nil, err
	}
	return d, s.checkAccess(d)
}

// catalogueWriter changes the objects of a database in an open transaction.
type catalogueWriter struct {
	w   *storage.Writer
	d   *mirror.Database // nil: a database that is not registered yet
	set storage.ObjectSet
}

func openCatalogue(w *storage.Writer, d *mirror.Database) (*catalogueWriter, error) {
	set, err := w.ObjectSet()
	if err != nil {
		return nil, err
	}
	return &catalogueWriter{w: w, d: d, set: maps.Clone(set)}, nil
}

func (c *catalogueWriter) add(o *storage.ObjectRow) error {
	c.set[o.Key()] = o
	err := c.w.PutObject(o)
	c.publish()
	return err
}

func (c *catalogueWriter) drop(kind, name string) error {
	delete(c.set, storage.ObjectKey(kind, name))
	err := c.w.DropObject(kind, name)
	c.publish()
	return err
}

// publish makes the changed objects known to the connection, so that it need not read them
// again.
func (c *catalogueWriter) publish() {
	if c.w.Gathered.On {
		c.w.Gathered.Objects = c.set
	}
}

// object creates, changes or removes a table, an index, a view or a procedure. text is the
// batch.
func (c *catalogueWriter) object(st *tsql.Definition, text string) error {
	switch {
	case st.Kind == "TABLE" && st.Verb == "CREATE":
		return c.createTable(st)
	case st.Kind == "TABLE" || st.Kind == "INDEX":
		return c.changeTable(st)
	case st.Kind == "VIEW" && st.Verb != "DROP":
		return c.text(st, storage.KindView, text)
	case st.Kind == "VIEW":
		return c.dropText(st, storage.KindView)
	case st.Kind == "PROCEDURE" && st.Verb != "DROP":
		return c.text(st, storage.KindProcedure, text)
	case st.Kind == "PROCEDURE":
		return c.dropText(st, storage.KindProcedure)
	case st.Kind == "FUNCTION" && st.Verb != "DROP":
		return c.text(st, storage.KindFunction, text)
	case st.Kind == "FUNCTION":
		return c.dropText(st, storage.KindFunction)
	case st.Kind == "TRIGGER":
		return c.trigger(st, text)
	}
	return sqlerror.NotSupported("%s %s", st.Verb, st.Kind)
}

// checkFree returns an error if another object has the name.
func (c *catalogueWriter) checkFree(name string) error {
	if c.set.Named(name) == nil {
		return nil
	}
	return sqlerror.New(2714, 16, "There is already an object named '%s' in the database.", name)
}

func (c *catalogueWriter) createTable(st *tsql.Definition) error {
	name := st.Name.Object
	if err := c.checkFree(name); err != nil {
		return err
	}
	if !storage.IsMirrored(name) || strings.HasPrefix(name, "sys_") || strings.HasPrefix(strings.ToLower(name), "information_schema_") {
		return sqlerror.NotSupported("A table named %s", name)
	}
	t, err := st.Table.Resolve(c.set.Tables())
	if err != nil {
		return sqlerror.AsWireError(err)
	}
	if err := c.w.Define(t.SQL()...); err != nil {
		return err
	}
	return c.add(&storage.ObjectRow{Kind: storage.KindTable, Name: name, Detail: t.Text(), ID: c.set.NextID()})
}

// changeTable runs ALTER, DROP and TRUNCATE of a table, and CREATE and DROP of an index.
func (c *catalogueWriter) changeTable(st *tsql.Definition) error {
	n := st.Name
	if st.Kind == "INDEX" {
		n = st.On
	}
	o := c.set[storage.ObjectKey(storage.KindTable, n.Object)]
	if o == nil {
		return c.noTable(st, n)
	}
	t := o.Table()
	if t == nil {
		return storage.ErrUnreadable
	}
	ch, err := t.Change(st, c.set.Tables())
	if err != nil {
		return sqlerror.AsWireError(err)
	}
	for _, check := range ch.Checks {
		if err := c.w.Checks(check); err != nil {
			return err
		}
	}
	if err := c.w.Define(ch.Schema...); err != nil {
		return err
	}
	for _, text := range ch.Rows {
		if err := c.w.Script(text); err != nil {
			return sqlerror.FromSQLite(err)
		}
	}
	if ch.Table != nil {
		return c.add(&storage.ObjectRow{Kind: storage.KindTable, Name: o.Name, Detail: ch.Table.Text(), ID: o.ID})
	}
	if err := c.dropTriggersOf(o.Name); err != nil {
		return err
	}
	return c.dropWithRights(o)
}

// noTable returns the error for a table that does not exist.
func (c *catalogueWriter) noTable(st *tsql.Definition, n tsql.Name) error {
	switch {
	case st.Verb == "DROP" && st.IfExists:
		return nil
	case st.Kind == "INDEX" && st.Verb == "CREATE":
		return sqlerror.New(1088, 16, `Cannot find the object "dbo.%s" because it does not exist or you do not have permissions.`, n.Object)
	case st.Kind == "INDEX":
		return sqlerror.New(3701, 11, "Cannot drop the index 'dbo.%s.%s', because it does not exist or you do not have permission.", n.Object, st.Name.Object)
	case st.Verb == "ALTER":
		return sqlerror.New(4902, 16, `Cannot find the object "dbo.%s" because it does not exist or you do not have permissions.`, n.Object)
	case st.Verb == "TRUNCATE":
		return sqlerror.New(4701, 16, `Cannot find the object "dbo.%s" because it does not exist or you do not have permissions.`, n.Object)
	}
	return sqlerror.New(3701, 11, "Cannot drop the table 'dbo.%s', because it does not exist or you do not have permission.", n.Object)
}

// compilers compile the text of an object.
var compilers = map[string]func(text, signature string, schema tsql.Schema) (*procedure, error){
	storage.KindFunction: compiledFunction, storage.KindTrigger: compiledTrigger, storage.KindProcedure: compiledProcedure,
}

// text creates or changes an object that consists of its text: a view, a procedure, a function,
// a trigger.
func (c *catalogueWriter) text(st *tsql.Definition, kind, text string) error {
	name := st.Name.Object
	old := c.set[storage.ObjectKey(kind, name)]
	switch {
	case st.Verb == "CREATE" && !st.OrAlter || old == nil && c.set.Named(name) != nil:
		if err := c.checkFree(name); err != nil {
			return err
		}
	case st.Verb == "ALTER" && old == nil:
		return sqlerror.New(208, 16, "Invalid object name 'dbo.%s'.", name)
	}
	o := &storage.ObjectRow{Kind: kind, Name: name, Detail: text, ID: c.set.NextID()}
	if old != nil {
		o.Name, o.ID = old.Name, old.ID
	}
	if compile := compilers[kind]; compile != nil {
		p, err := compile(text, c.set.Signature(), c.set.Columns)
		if err == nil {
			err = c.resolve(p)
		}
		if e, ok := errors.AsType[*tds.Error](err); ok && e.Proc == "" {
			e.Proc = name
		}
		if err != nil {
			return err
		}
		return c.add(o)
	}
	list, err := tsql.ParseFor(text, c.set.Columns)
	if err != nil {
		return sqlerror.AsWireError(err)
	}
	d, ok := storage.DefinitionIn(list)
	if !ok || d.View == nil {
		return storage.ErrUnreadable
	}
	for _, n := range d.View.Tables {
		if !c.set.Readable(n.Table()) {
			return sqlerror.New(208, 16, "Invalid object name '%s'.", n)
		}
	}
	if err := c.w.Define(st.Name.Drop(), d.View.SQL); err != nil {
		return err
	}
	if err := c.w.Checks("SELECT 1 FROM " + storage.Quoted(st.Name.Table()) + " LIMIT 0"); err != nil {
		return err
	}
	return c.add(o)
}

// dropText removes a view, a procedure, a function or a trigger.
func (c *catalogueWriter) dropText(st *tsql.Definition, kind string) error {
	o := c.set[storage.ObjectKey(kind, st.Name.Object)]
	switch {
	case o == nil && st.IfExists:
		return nil
	case o == nil:
		return sqlerror.New(3701, 11, "Cannot drop the %s 'dbo.%s', because it does not exist or you do not have permission.", strings.ToLower(st.Kind), st.Name.Object)
	case kind == storage.KindView:
		if err := c.w.Define(st.Name.Drop()); err != nil {
			return err
		}
	}
	return c.dropWithRights(o)
}

// dropWithRights removes an object, and the permissions on it.
func (c *catalogueWriter) dropWithRights(o *storage.ObjectRow) error {
	if err := c.drop(o.Kind, o.Name); err != nil {
		return err
	}
	return c.dropIf(storage.KindGrant, func(r *storage.ObjectRow) bool { return hasSuffixFold(r.Name, "/"+o.Name) })
}

func hasPrefixFold(s, prefix string) bool {
	return len(s) >= len(prefix) && strings.EqualFold(s[:len(prefix)], prefix)
}

func hasSuffixFold(s, suffix string) bool {
	return len(s) >= len(suffix) && strings.EqualFold(s[len(s)-len(suffix):], suffix)
}

// dropIf removes the objects of a kind for which meant returns true.
func (c *catalogueWriter) dropIf(kind string, meant func(r *storage.ObjectRow) bool) error {
	for _, r := range c.set.Of(kind) {
		if meant(r) {
			if err := c.drop(kind, r.Name); err != nil {
				return err
			}
		}
	}
	return nil
}
