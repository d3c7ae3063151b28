package engine

import (
	"slices"
	"strings"

	"github.com/mirrorstate/mirrorstate/partner/embedded/mirror"
	"github.com/mirrorstate/mirrorstate/partner/embedded/sqlerror"
	"github.com/mirrorstate/mirrorstate/partner/embedded/storage"
	"github.com/mirrorstate/mirrorstate/partner/embedded/tsql"
)

// trigger is an AFTER trigger of a table.
type trigger struct {
	name     string
	table    string // in lower case
	compiled *procedure
	disabled bool
	err      error // why it cannot be compiled any more
}

// triggerSet holds the triggers of a database.
type triggerSet struct {
	of map[string][]*trigger // by table in lower case, in the order of their ids
	// cascades: a foreign key may write a table that has triggers.
	cascades bool
}

// compiledTriggers caches compiled triggers by their text and the signature of the tables.
var compiledTriggers = storage.CacheByText[*procedure]{Most: 1024}

func compiledTrigger(text, signature string, schema tsql.Schema) (*procedure, error) {
	p, err := compiledTriggers.Find(text+"\x00"+signature, func() (*procedure, error) {
		t, err := tsql.ParseTrigger(text, schema)
		if err != nil {
			return nil, err
		}
		return &procedure{name: t.Name.Object, text: &t.Procedure, trigger: t}, nil
	})
	return p, sqlerror.AsWireError(err)
}

// triggerHeads caches the parsed heads of triggers by their text.
var triggerHeads = storage.CacheByText[*tsql.Trigger]{Most: 1024}

// triggerTable returns the table of a trigger, from the trigger's text; "" if the text cannot
// be parsed.
func triggerTable(text string) string {
	t, err := triggerHeads.Find(text, func() (*tsql.Trigger, error) { return tsql.ParseTriggerHead(text) })
	if err != nil {
		return ""
	}
	return t.Table.Object
}

// triggersIn returns the triggers of the database.
func triggersIn(o storage.ObjectSet) *triggerSet {
	list := o.Of(storage.KindTrigger)
	if list == nil {
		return &triggerSet{}
	}
	slices.SortFunc(list, func(a, b *storage.ObjectRow) int { return int(a.ID - b.ID) })
	set, signature := &triggerSet{of: map[string][]*trigger{}}, o.Signature()
	for _, r := range list {
		t := &trigger{name: r.Name, table: strings.ToLower(triggerTable(r.Detail)), disabled: o.Has(storage.KindDisabled, r.Name)}
		t.compiled, t.err = compiledTrigger(r.Detail, signature, o.Columns)
		set.of[t.table] = append(set.of[t.table], t)
	}
	for _, table := range o.Tables() {
		if set.of[strings.ToLower(table.Name.Object)] == nil {
			continue
		}
		for _, key := range table.ForeignKeys {
			set.cascades = set.cascades || key.OnDelete != "NO ACTION" || key.OnUpdate != "NO ACTION"
		}
	}
	return set
}

// triggersOf returns the triggers of a table, in the order of their ids.
func triggersOf(o storage.ObjectSet, table string) []*storage.ObjectRow {
	list := slices.DeleteFunc(o.Of(storage.KindTrigger), func(r *storage.ObjectRow) bool { return !strings.EqualFold(triggerTable(r.Detail), table) })
	slices.SortFunc(list, func(a, b *storage.ObjectRow) int { return int(a.ID - b.ID) })
	return list
}

// triggersNow returns the triggers of the database as the open transaction sees them.
func triggersNow(w *storage.Writer, d *mirror.Database) (*triggerSet, error) {
	if !w.Gathered.ObjectsWritten {
		return committedTriggers(d.Store.Objects.Load()), nil
	}
	set, err := w.ObjectSet()
	if err != nil {
		return nil, err
	}
	return triggersIn(set), nil
}

// trigger creates, changes, removes, enables or disables a trigger.
func (c *catalogueWriter) trigger(st *tsql.Definition, text string) error {
	switch st.Verb {
	case "DROP":
		if err := c.drop(storage.KindDisabled, st.Name.Object); err != nil {
			return err
		}
		return c.dropText(st, storage.KindTrigger)
	case "ENABLE", "DISABLE":
		return c.switchTriggers(st)
	}
	if !c.set.Has(storage.KindTable, st.On.Object) {
		return sqlerror.New(8197, 16, "The object '%s' does not exist or is invalid for this operation.", st.On)
	}
	if old := c.set[storage.ObjectKey(storage.KindTrigger, st.Name.Object)]; old != nil && (st.Verb == "ALTER" || st.OrAlter) && !strings.EqualFold(triggerTable(old.Detail), st.On.Object) {
		return sqlerror.NotSupported("ALTER TRIGGER that names another table")
	}
	return c.text(st, storage.KindTrigger, text)
}

// switchTriggers runs ENABLE and DISABLE TRIGGER.
func (c *catalogueWriter) switchTriggers(st *tsql.Definition) error {
	if !c.set.Has(storage.KindTable, st.On.Object) {
		number := int32(1088)
		if st.Action != "" {
			number = 4902
		}
		return sqlerror.New(number, 16, `Cannot find the object "%s" because it does not exist or you do not have permissions.`, st.On)
	}
	list := triggersOf(c.set, st.On.Object)
	var names []string
	for _, r := range list {
		names = append(names, r.Name)
	}
	if st.Columns != nil {
		for _, name := range st.Columns {
			switch known := slices.ContainsFunc(names, func(s string) bool { return strings.EqualFold(s, name) }); {
			case known:
			case st.Action != "":
				return sqlerror.New(4920, 16, "%s failed because trigger '%s' on table '%s' does not exist.", st.Action, name, st.On.Object)
			default:
				return sqlerror.New(1088, 16, `Cannot find the object "%s" because it does not exist or you do not have permissions.`, name)
			}
		}
		names = st.Columns
	}
	for _, name := range names {
		var err error
		if st.Verb == "ENABLE" {
			err = c.drop(storage.KindDisabled, name)
		} else {
			err = c.add(&storage.ObjectRow{Kind: storage.KindDisabled, Name: name})
		}
		if err != nil {
			return err
		}
	}
	return nil
}

// dropTriggersOf removes the triggers of a dropped table.
func (c *catalogueWriter) dropTriggersOf(table string) error {
	for _, r := range triggersOf(c.set, table) {
		if err := c.drop(storage.KindDisabled, r.Name); err != nil {
			return err
		}
		if err := c.dropWithRights(r); err != nil {
			return err
		}
	}
	return nil
}

// triggerRows returns the rows of sys.triggers.
func triggerRows(s *session, database string) (rows [][]any) {
	set := s.objectsOf(database)
	for _, o := range s.describedObjects(s.p.Find(database), storage.KindTrigger) {
		rows = append(rows, []any{o.Name, int(o.ID), 1, parentOf(set, o), set.Has(storage.KindDisabled, o.Name), false})
	}
	return rows
}

// parentOf returns the object_id of a trigger's table; 0 for any other object.
func parentOf(o storage.ObjectSet, r *storage.ObjectRow) int {
	if r == nil || r.Kind != storage.KindTrigger {
		return 0
	}
	if table := o[storage.ObjectKey(storage.KindTable, triggerTable(r.Detail))]; table != nil {
		return int(table.ID)
	}
	return 0
}

// committedTriggers returns the triggers of a snapshot, computed at the first call.
func committedTriggers(s *storage.Snapshot) *triggerSet {
	set, _ := cached(s, "TR", func() (*triggerSet, error) { return triggersIn(s.Set), nil }) // no key of a procedure is in upper case
	return set
}
