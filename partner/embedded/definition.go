package embedded

import (
	"context"
	"errors"
	"maps"
	"strings"

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
	if st.Kind == "INDEX" {
		where = st.On
	}
	d, err := s.here(where)
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
		if err := w.say("SAVEPOINT defines"); err != nil {
			return err
		}
		if err := c.object(st, b.text); err != nil {
			return errors.Join(err, w.say("ROLLBACK TO defines"), w.say("RELEASE defines"))
		}
		return w.say("RELEASE defines")
	})
}

// defineOnServer is what of it concerns the server.
func (b *batch) defineOnServer(ctx context.Context, st *tsql.Definition) error {
	s := b.s
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
	if st.IfExists && !s.p.known(st.Name.Object) {
		return nil
	}
	if err := s.serverOnly(3701, 11, "Cannot drop the database '%s', because it does not exist or you do not have permission.", st.Name.Object); err != nil {
		return err
	}
	return s.p.dropDatabase(ctx, st.Name.Object, &s.presence)
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
	d   *database // nil: one that nobody knows of yet
	set objectSet
}

func openCatalogue(w *writer, d *database) (*catalogueWriter, error) {
	set, err := w.objectSet()
	if err != nil {
		return nil, err
	}
	return &catalogueWriter{w: w, d: d, set: maps.Clone(set)}, nil
}

func (c *catalogueWriter) add(o *objectRow) error {
	c.set[o.key()] = o
	err := c.w.putObject(o)
	c.now()
	return err
}

func (c *catalogueWriter) drop(kind, name string) error {
	delete(c.set, objectKey(kind, name))
	err := c.w.dropObject(kind, name)
	c.now()
	return err
}

// now has the connection know the objects, which need not be read again.
func (c *catalogueWriter) now() {
	if c.w.gathered.on {
		c.w.gathered.objects = c.set
	}
}

// object makes, changes or removes a table, an index, a view or a procedure. text is the batch.
func (c *catalogueWriter) object(st *tsql.Definition, text string) error {
	switch {
	case st.Kind == "TABLE" && st.Verb == "CREATE":
		return c.createTable(st)
	case st.Kind == "TABLE" || st.Kind == "INDEX":
		return c.changeTable(st)
	case st.Kind == "VIEW" && st.Verb != "DROP":
		return c.text(st, kindView, text)
	case st.Kind == "VIEW":
		return c.dropText(st, kindView)
	case st.Kind == "PROCEDURE" && st.Verb != "DROP":
		return c.text(st, kindProcedure, text)
	case st.Kind == "PROCEDURE":
		return c.dropText(st, kindProcedure)
	}
	return notSupported("%s %s", st.Verb, st.Kind)
}

// taken is the error of a name that is another object's; nil: it is free.
func (c *catalogueWriter) taken(name string) error {
	if c.set.named(name) == nil {
		return nil
	}
	return message(2714, 16, "There is already an object named '%s' in the database.", name)
}

func (c *catalogueWriter) createTable(st *tsql.Definition) error {
	name := st.Name.Object
	if err := c.taken(name); err != nil {
		return err
	}
	if !isMirrored(name) || strings.HasPrefix(name, "sys_") || strings.HasPrefix(strings.ToLower(name), "information_schema_") {
		return notSupported("A table of the name %s", name)
	}
	t, err := st.Table.Resolve(c.set.tables())
	if err != nil {
		return asTold(err)
	}
	if err := c.w.define(t.SQL()...); err != nil {
		return err
	}
	return c.add(&objectRow{kind: kindTable, name: name, detail: t.Text(), id: c.set.nextID()})
}

// changeTable is ALTER, DROP and TRUNCATE of a table, and CREATE and DROP of an index.
func (c *catalogueWriter) changeTable(st *tsql.Definition) error {
	n := st.Name
	if st.Kind == "INDEX" {
		n = st.On
	}
	o := c.set[objectKey(kindTable, n.Object)]
	if o == nil {
		return c.noTable(st, n)
	}
	t := o.table()
	if t == nil {
		return errUnreadable
	}
	ch, err := t.Change(st, c.set.tables())
	if err != nil {
		return asTold(err)
	}
	for _, check := range ch.Checks {
		if err := c.w.checks(check); err != nil {
			return err
		}
	}
	if err := c.w.define(ch.Schema...); err != nil {
		return err
	}
	for _, text := range ch.Rows {
		if err := c.w.script(text); err != nil {
			return inWords(err)
		}
	}
	if ch.Table != nil {
		return c.add(&objectRow{kind: kindTable, name: o.name, detail: ch.Table.Text(), id: o.id})
	}
	return c.dropWithRights(o)
}

// noTable is the error of a table that is not there.
func (c *catalogueWriter) noTable(st *tsql.Definition, n tsql.Name) error {
	switch {
	case st.Verb == "DROP" && st.IfExists:
		return nil
	case st.Kind == "INDEX" && st.Verb == "CREATE":
		return message(1088, 16, `Cannot find the object "dbo.%s" because it does not exist or you do not have permissions.`, n.Object)
	case st.Kind == "INDEX":
		return message(3701, 11, "Cannot drop the index 'dbo.%s.%s', because it does not exist or you do not have permission.", n.Object, st.Name.Object)
	case st.Verb == "ALTER":
		return message(4902, 16, `Cannot find the object "dbo.%s" because it does not exist or you do not have permissions.`, n.Object)
	case st.Verb == "TRUNCATE":
		return message(4701, 16, `Cannot find the object "dbo.%s" because it does not exist or you do not have permissions.`, n.Object)
	}
	return message(3701, 11, "Cannot drop the table 'dbo.%s', because it does not exist or you do not have permission.", n.Object)
}

// text makes or changes a view or a procedure, which is its text.
func (c *catalogueWriter) text(st *tsql.Definition, kind, text string) error {
	name := st.Name.Object
	old := c.set[objectKey(kind, name)]
	switch {
	case st.Verb == "CREATE" && !st.OrAlter || old == nil && c.set.named(name) != nil:
		if err := c.taken(name); err != nil {
			return err
		}
	case st.Verb == "ALTER" && old == nil:
		return message(208, 16, "Invalid object name 'dbo.%s'.", name)
	}
	o := &objectRow{kind: kind, name: name, detail: text, id: c.set.nextID()}
	if old != nil {
		o.name, o.id = old.name, old.id
	}
	if kind == kindProcedure {
		if _, err := compiledProcedure(text, c.set.signature(), c.set.columns); err != nil {
			return err
		}
		return c.add(o)
	}
	list, err := tsql.ParseFor(text, c.set.columns)
	if err != nil {
		return asTold(err)
	}
	d, ok := definitionIn(list)
	if !ok || d.View == nil {
		return errUnreadable
	}
	for _, n := range d.View.Tables {
		if !c.set.readable(n.Table()) {
			return message(208, 16, "Invalid object name '%s'.", n)
		}
	}
	if err := c.w.define(st.Name.Drop(), d.View.SQL); err != nil {
		return err
	}
	if err := c.w.checks("SELECT 1 FROM " + quoted(st.Name.Table()) + " LIMIT 0"); err != nil {
		return err
	}
	return c.add(o)
}

// dropText removes a view or a procedure.
func (c *catalogueWriter) dropText(st *tsql.Definition, kind string) error {
	o := c.set[objectKey(kind, st.Name.Object)]
	switch {
	case o == nil && st.IfExists:
		return nil
	case o == nil:
		return message(3701, 11, "Cannot drop the %s 'dbo.%s', because it does not exist or you do not have permission.", strings.ToLower(st.Kind), st.Name.Object)
	case kind == kindView:
		if err := c.w.define(st.Name.Drop()); err != nil {
			return err
		}
	}
	return c.dropWithRights(o)
}

// dropWithRights removes an object, and the rights on it.
func (c *catalogueWriter) dropWithRights(o *objectRow) error {
	if err := c.drop(o.kind, o.name); err != nil {
		return err
	}
	return c.dropIf(kindGrant, func(r *objectRow) bool { return hasSuffixFold(r.name, "/"+o.name) })
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

// define changes the schema of SQLite in the open transaction, and notes it for the mirror.
func (w *writer) define(texts ...string) error {
	defer w.schemaChanged()
	for _, text := range texts {
		if err := w.script(text); err != nil {
			return inWords(err)
		}
		w.gathered.schema = append(w.gathered.schema, text)
	}
	return nil
}

// checks runs a SELECT for its error.
func (w *writer) checks(text string) error {
	st, err := w.prepare(text)
	if err != nil {
		return inWords(err)
	}
	_, err = st.all(nil)
	return errors.Join(inWords(err), st.close())
}
